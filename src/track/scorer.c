/* SPDX-License-Identifier: Apache-2.0 */
/* scorer.c - scorers and their versions. */
#include "track/scorer.h"

#include "codec/json.h"
#include "track/experiment.h"
#include "track/run.h"
#include "track/track_inside.h"
#include "track/webhook_inside.h"

enum { NAME = 256, INSIDE = 8 /* judges in judges */ };

/* ---- checks ---- */

static int check_experiment(wr_track *t, int64_t id, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_experiment e;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_experiment_get(&e, a, t, id, err));
    if (!e.deleted) return 0;
    return wr_err_set(err, WEIR_EINVAL, "The experiment %lld must be in the 'active' state. Current state is deleted.",
                      (long long)id);
}

/* The model that a scorer calls stands in the part of its kind. */
static yyjson_val *model_of(yyjson_val *scorer)
{
    static const char *const kinds[] = {"instructions_judge_pydantic_data", "builtin_scorer_pydantic_data"};
    for (int depth = 0; depth < INSIDE; depth++) {
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (yyjson_obj_size(yyjson_obj_get(scorer, kinds[i])))
                return yyjson_obj_get(yyjson_obj_get(scorer, kinds[i]), "model");
        yyjson_val *inside = yyjson_obj_get(scorer, "memory_augmented_judge_data");
        if (!yyjson_obj_size(inside)) break;
        scorer = yyjson_obj_get(inside, "base_judge");
    }
    return yyjson_obj_get(yyjson_obj_get(scorer, "third_party_scorer_data"), "model");
}

static int check_text(wr_str serialized, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    if (serialized.n > WR_SCORER_TEXT)
        return wr_err_set(err, WEIR_ELIMIT, "a serialized scorer is larger than %d MiB", WR_SCORER_TEXT >> 20);
    if (wr_json_parse_lenient(&j, serialized, err) < 0) {
        char why[160];
        wr_str said = wr_str_fit(wr_str_of(err ? err->msg : ""), sizeof why - 1);
        memcpy(why, said.p, said.n);
        why[said.n] = 0;
        return wr_err_detail(err, wr_err_set(err, WEIR_EINVAL, "serialized_scorer must be valid JSON"), "%s", why);
    }
    if (!yyjson_is_obj(j.root)) return wr_err_set(err, WEIR_EINVAL, "serialized_scorer must be a JSON object");
    yyjson_val *model = model_of(j.root);
    if (!model || yyjson_is_null(model)) return 0;
    if (!yyjson_is_str(model)) return wr_err_set(err, WEIR_EINVAL, "Scorer model must be a string.");
    if (!wr_str_trim((wr_str){yyjson_get_str(model), yyjson_get_len(model)}).n)
        return wr_err_set(err, WEIR_EINVAL, "Scorer model cannot be empty or contain only whitespace.");
    return 0;
}

static int check_name(wr_str name, wr_err *err)
{
    if (!wr_str_trim(name).n)
        return wr_err_set(err, WEIR_EINVAL, "Scorer name cannot be empty or contain only whitespace.");
    return wr_track_length_check(name, NAME, "name", err);
}

static int not_found(int64_t experiment, wr_str name, int64_t version, wr_err *err)
{
    wr_str shown = wr_str_fit(name, 100);
    if (version)
        return wr_err_set(err, WEIR_ENOTFOUND,
                          "Scorer with name '%.*s' and version %lld not found for experiment %lld.", WR_STR_FMT(shown),
                          (long long)version, (long long)experiment);
    return wr_err_set(err, WEIR_ENOTFOUND, "Scorer with name '%.*s' not found for experiment %lld.", WR_STR_FMT(shown),
                      (long long)experiment);
}

/* ---- reading ---- */

#define SELECT                                                                                                         \
    "SELECT s.experiment, s.uuid, s.name, v.version, v.created_ms, v.serialized FROM scorers s JOIN scorer_versions "  \
    "v ON v.scorer = s.id "
#define NEWEST "v.version = (SELECT max(w.version) FROM scorer_versions w WHERE w.scorer = s.id) "

/* Takes over `s`. */
static int read_rows(wr_scorer **out, size_t *n, wr_arena *a, wr_stmt *s, wr_err *err)
{
    WR_VEC(wr_scorer) rows = {0};
    size_t bytes = 0;
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wr_scorer x = {.experiment = wr_stmt_i64(s, 0),
                       .uuid = wr_arena_str(a, wr_stmt_str(s, 1)),
                       .name = wr_arena_str(a, wr_stmt_str(s, 2)),
                       .version = wr_stmt_i64(s, 3),
                       .created_ms = wr_stmt_i64(s, 4),
                       .serialized = wr_arena_str(a, wr_stmt_str(s, 5))};
        bytes += x.serialized.n;
        rc = bytes > WR_SCORER_LIST_BYTES
                 ? wr_err_set(err, WEIR_ELIMIT, "the scorers are larger than %d MiB", WR_SCORER_LIST_BYTES >> 20)
                 : wr_vec_add(&rows, x, err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_scorer_get(wr_scorer *out, wr_arena *a, wr_track *t, int64_t experiment, wr_str name, int64_t version,
                  wr_err *err)
{
    wr_stmt *s;
    wr_scorer *rows;
    size_t n;
    WR_TRY(check_experiment(t, experiment, err));
    if (version)
        WR_TRY(wr_track_query(&s, t, err, SELECT "WHERE s.experiment = ? AND s.name = ? AND v.version = ?", "isi",
                              experiment, name, version));
    else
        WR_TRY(wr_track_query(&s, t, err, SELECT "WHERE s.experiment = ? AND s.name = ? AND " NEWEST, "is", experiment,
                              name));
    WR_TRY(read_rows(&rows, &n, a, s, err));
    if (!n) return not_found(experiment, name, version, err);
    *out = rows[0];
    return 0;
}

int wr_scorer_list(wr_scorer **out, size_t *n, wr_arena *a, wr_track *t, int64_t experiment, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(check_experiment(t, experiment, err));
    WR_TRY(wr_track_query(&s, t, err, SELECT "WHERE s.experiment = ? AND " NEWEST "ORDER BY s.name", "i", experiment));
    return read_rows(out, n, a, s, err);
}

int wr_scorer_list_all(wr_scorer **out, size_t *n, wr_arena *a, wr_track *t, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err,
                          SELECT "JOIN experiments e ON e.id = s.experiment WHERE e.deleted = 0 AND " NEWEST
                                 "ORDER BY s.experiment, s.name",
                          ""));
    return read_rows(out, n, a, s, err);
}

int wr_scorer_versions(wr_scorer **out, size_t *n, wr_arena *a, wr_track *t, int64_t experiment, wr_str name,
                       wr_err *err)
{
    wr_stmt *s;
    WR_TRY(check_experiment(t, experiment, err));
    WR_TRY(wr_track_query(&s, t, err, SELECT "WHERE s.experiment = ? AND s.name = ? ORDER BY v.version", "is",
                          experiment, name));
    WR_TRY(read_rows(out, n, a, s, err));
    return *n ? 0 : not_found(experiment, name, 0, err);
}

/* ---- writing ---- */

static int find_or_make(int64_t *id, wr_track *t, int64_t experiment, wr_str name, wr_err *err)
{
    char uuid[37];
    WR_TRY(wr_track_number(id, 0, t, err, "SELECT id FROM scorers WHERE experiment = ? AND name = ?", "is", experiment,
                           name));
    if (*id) return 0;
    wr_webhook_new_id(uuid);
    return wr_track_number(id, 0, t, err, "INSERT INTO scorers (uuid, experiment, name) VALUES (?, ?, ?) RETURNING id",
                           "sis", wr_str_of(uuid), experiment, name);
}

int wr_scorer_register(wr_scorer *out, wr_arena *a, wr_track *t, int64_t experiment, wr_str name, wr_str serialized,
                       wr_err *err)
{
    int64_t id, last;
    WR_TRY(check_name(name, err));
    WR_TRY(check_experiment(t, experiment, err));
    WR_TRY(check_text(serialized, err));
    WR_TRY(find_or_make(&id, t, experiment, name, err));
    WR_TRY(wr_track_number(&last, 0, t, err, "SELECT max(version) FROM scorer_versions WHERE scorer = ?", "i", id));
    WR_TRY(wr_track_exec(t, err,
                         "INSERT INTO scorer_versions (scorer, version, serialized, created_ms) VALUES (?, ?, ?, ?)",
                         "iisi", id, last + 1, serialized, wr_track_now_ms()));
    return wr_scorer_get(out, a, t, experiment, name, last + 1, err);
}

int wr_scorer_delete(wr_track *t, int64_t experiment, wr_str name, int64_t version, wr_err *err)
{
    int64_t id;
    WR_TRY(check_experiment(t, experiment, err));
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM scorers WHERE experiment = ? AND name = ?", "is", experiment,
                           name));
    if (!id) return not_found(experiment, name, 0, err);
    int rc = version ? wr_track_exec(t, err, "DELETE FROM scorer_versions WHERE scorer = ? AND version = ? RETURNING 1",
                                     "ii", id, version)
                     : wr_track_exec(t, err, "DELETE FROM scorer_versions WHERE scorer = ? RETURNING 1", "i", id);
    if (rc < 0) return rc;
    if (rc == 0) return not_found(experiment, name, version, err);
    if (version) return 0;
    rc = wr_track_exec(t, err, "DELETE FROM scorers WHERE id = ?", "i", id);
    return rc < 0 ? rc : 0;
}

int wr_scorer_purge_experiment(wr_track *t, int64_t experiment, wr_err *err)
{
    WR_TRY(wr_track_exec(t, err,
                         "DELETE FROM scorer_versions WHERE scorer IN (SELECT id FROM scorers WHERE experiment = ?)",
                         "i", experiment));
    int rc = wr_track_exec(t, err, "DELETE FROM scorers WHERE experiment = ?", "i", experiment);
    return rc < 0 ? rc : 0;
}
