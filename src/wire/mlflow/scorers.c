/* SPDX-License-Identifier: Apache-2.0 */
/* scorers.c - scorers/... (3.x): judges of traces, by experiment and name. */
#include <stdio.h>

#include "track/scorer.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

/* A scorer in an answer; the number of an experiment is an integer here. */
static void put_scorer(wr_jsonw *w, const char *key, const wr_scorer *s)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "experiment_id", s->experiment);
    wr_jsonw_kslice(w, "scorer_name", s->name);
    wr_jsonw_ki64(w, "scorer_version", s->version);
    wr_jsonw_kslice(w, "serialized_scorer", s->serialized);
    wr_jsonw_ki64(w, "creation_time", s->created_ms);
    wr_jsonw_kslice(w, "scorer_id", s->uuid);
    wr_jsonw_end(w);
}

static void put_scorers(wr_mlflow_call *c, const wr_scorer *s, size_t n)
{
    if (!n) return;
    wr_jsonw_key(&c->w, "scorers");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++)
        if (wr_mlflow_may_read_scorer(c, s[i].experiment, s[i].name)) put_scorer(&c->w, NULL, &s[i]);
    wr_jsonw_end(&c->w);
}

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_scorer s;
    char text[24];
    int64_t experiment;
    WR_TRY(wr_mlflow_experiment_id(&experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(wr_scorer_register(&s, c->arena, c->track, experiment, wr_mlflow_str(c, "name"),
                              wr_mlflow_str(c, "serialized_scorer"), err));
    if (s.version == 1) { /* later versions are changes */
        c->made = wr_mlflow_scorer_id(c->arena, s.experiment, s.name);
        if (!c->made.p) return wr_err_nomem(err);
    }
    snprintf(text, sizeof text, "%lld", (long long)s.experiment);
    wr_jsonw_ki64(&c->w, "version", s.version);
    wr_jsonw_kslice(&c->w, "scorer_id", s.uuid);
    wr_jsonw_kstr(&c->w, "experiment_id", text);
    wr_jsonw_kslice(&c->w, "name", s.name);
    wr_jsonw_kslice(&c->w, "serialized_scorer", s.serialized);
    wr_jsonw_ki64(&c->w, "creation_time", s.created_ms);
    return 0;
}

/* Those of one experiment, of several, or of all. */
static int list(wr_mlflow_call *c, wr_err *err)
{
    wr_scorer *s;
    size_t n, nids;
    int64_t experiment, *ids;
    wr_str one = wr_mlflow_str(c, "experiment_id");
    if (one.n && wr_mlflow_val(c, "experiment_ids"))
        return wr_err_set(err, WEIR_EINVAL, "Cannot specify both 'experiment_id' and 'experiment_ids'.");
    if (one.n) {
        WR_TRY(wr_mlflow_experiment_id(&experiment, one, err));
        WR_TRY(wr_scorer_list(&s, &n, c->arena, c->track, experiment, err));
        put_scorers(c, s, n);
        return 0;
    }
    WR_TRY(wr_mlflow_experiment_ids(&ids, &nids, c, err));
    WR_TRY(wr_scorer_list_all(&s, &n, c->arena, c->track, err));
    if (wr_mlflow_val(c, "experiment_ids")) {
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            bool wanted = false;
            for (size_t k = 0; k < nids && !wanted; k++) wanted = ids[k] == s[i].experiment;
            if (wanted) s[kept++] = s[i];
        }
        n = kept;
    }
    put_scorers(c, s, n);
    return 0;
}

static int versions(wr_mlflow_call *c, wr_err *err)
{
    wr_scorer *s;
    size_t n;
    int64_t experiment;
    WR_TRY(wr_mlflow_experiment_id(&experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(wr_scorer_versions(&s, &n, c->arena, c->track, experiment, wr_mlflow_str(c, "name"), err));
    put_scorers(c, s, n);
    return 0;
}

/* 0 stands for no version inside, and is none that somebody may ask for. */
static int version_of(int64_t *out, wr_mlflow_call *c, wr_err *err)
{
    *out = wr_mlflow_i64(c, "version", 0);
    if (*out || !wr_mlflow_val(c, "version")) return 0;
    return wr_mlflow_invalid(err, "version", wr_mlflow_val(c, "version"), "versions count from 1.");
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_scorer s;
    int64_t experiment, version;
    WR_TRY(wr_mlflow_experiment_id(&experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(version_of(&version, c, err));
    WR_TRY(wr_scorer_get(&s, c->arena, c->track, experiment, wr_mlflow_str(c, "name"), version, err));
    put_scorer(&c->w, "scorer", &s);
    return 0;
}

static int delete (wr_mlflow_call *c, wr_err *err)
{
    int64_t experiment, version;
    wr_scorer left;
    wr_str name = wr_mlflow_str(c, "name");
    WR_TRY(wr_mlflow_experiment_id(&experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(version_of(&version, c, err));
    WR_TRY(wr_scorer_delete(c->track, experiment, name, version, err));
    int rc = wr_scorer_get(&left, c->arena, c->track, experiment, name, 0, &(wr_err){0});
    if (rc != WEIR_ENOTFOUND) return rc;
    c->made = wr_mlflow_scorer_id(c->arena, experiment, name);
    return c->made.p ? 0 : wr_err_nomem(err);
}

/* ---- scoring of new traces by the server: there are no models behind it, so none is switched on ---- */

static int online_configs(wr_mlflow_call *c, wr_err *err)
{
    (void)err;
    wr_jsonw_key(&c->w, "configs");
    wr_jsonw_arr(&c->w);
    wr_jsonw_end(&c->w);
    return 0;
}

static int online_config(wr_mlflow_call *c, wr_err *err)
{
    wr_scorer s;
    int64_t experiment;
    char text[24];
    double rate = wr_mlflow_f64(c, "sample_rate", 0);
    WR_TRY(wr_mlflow_experiment_id(&experiment, wr_mlflow_str(c, "experiment_id"), err));
    if (!(rate >= 0 && rate <= 1))
        return wr_err_set(err, WEIR_EINVAL, "sample_rate must be between 0.0 and 1.0, got %g", rate);
    WR_TRY(wr_scorer_get(&s, c->arena, c->track, experiment, wr_mlflow_str(c, "name"), 0, err));
    if (rate > 0) {
        wr_err_set(
            err, WEIR_EINVAL,
            "Scorer '%.*s' does not use a gateway model. Automatic evaluation is only supported for scorers that "
            "use gateway models, and this server has none.",
            WR_STR_FMT(wr_str_fit(s.name, 100)));
        return wr_err_hint(err, WEIR_EINVAL, "let clients run it: mlflow.genai.evaluate");
    }
    snprintf(text, sizeof text, "%lld", (long long)s.experiment);
    wr_jsonw_key(&c->w, "config"); /* switched off, which it is; one a scorer, so it goes by the scorer's id */
    wr_jsonw_obj(&c->w);
    wr_jsonw_kslice(&c->w, "online_scoring_config_id", s.uuid);
    wr_jsonw_kslice(&c->w, "scorer_id", s.uuid);
    wr_mlflow_put_double(&c->w, "sample_rate", 0);
    wr_jsonw_kstr(&c->w, "experiment_id", text);
    wr_jsonw_end(&c->w);
    return 0;
}

#define NAMED                                                                                                          \
    {"experiment_id", 's', true}, { "name", 's', true }
static const wr_mlflow_rpc rpcs[] = {
    {"POST", "3.0/mlflow/scorers/register", WR_MLFLOW_WRITE, create, {NAMED, {"serialized_scorer", 's', true}}},
    {"GET",
     "3.0/mlflow/scorers/list",
     WR_MLFLOW_QUERY,
     list,
     {{"experiment_id", 's', false}, {"experiment_ids", 'a', false}}},
    {"GET", "3.0/mlflow/scorers/versions", WR_MLFLOW_QUERY, versions, {NAMED}},
    {"GET", "3.0/mlflow/scorers/get", WR_MLFLOW_READ, get, {NAMED, {"version", 'i', false}}},
    {"DELETE", "3.0/mlflow/scorers/delete", WR_MLFLOW_WRITE, delete, {NAMED, {"version", 'i', false}}},
    {"GET", "3.0/mlflow/scorers/online-configs", WR_MLFLOW_READ, online_configs, {{"scorer_ids", 'a', true}}},
    {"PUT",
     "3.0/mlflow/scorers/online-config",
     WR_MLFLOW_READ,
     online_config,
     {NAMED, {"sample_rate", 'f', true}, {"filter_string", 's', false}}},
};
const wr_mlflow_rpcs wr_mlflow_scorers = {rpcs, sizeof rpcs / sizeof *rpcs};
