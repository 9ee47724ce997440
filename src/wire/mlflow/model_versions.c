/* SPDX-License-Identifier: Apache-2.0 */
/* model_versions.c - model-versions/...: versions of registered models. */
#include "track/logged_model.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

static int named(wr_str *name, int64_t *version, wr_mlflow_call *c, wr_err *err)
{
    *name = wr_mlflow_str(c, "name");
    return wr_registered_version_number(version, wr_mlflow_str(c, "version"), err);
}

static int answer(wr_mlflow_call *c, wr_str name, int64_t version, wr_err *err)
{
    wr_registered_version v;
    WR_TRY(wr_registered_version_get(&v, c->arena, c->track, name, version, err));
    wr_mlflow_put_version(&c->w, "model_version", &v);
    return 0;
}

static wr_str text(const wr_mlflow_call *c, const char *name)
{
    wr_str v = wr_mlflow_str(c, name);
    return v.p ? v : WR_STR("");
}

/* ---- life ---- */

/* A path of this machine must be inside the artifacts of the run or logged model that is named. */
static int check_source(wr_mlflow_call *c, const wr_registered_version_new *in, wr_err *err)
{
    wr_str artifacts = {NULL, 0}, run;
    wr_track_run r;
    bool model = in->model_id.n > 0;
    if (wr_registered_is_prompt(in->tags, in->ntags)) return wr_registered_source_prompt(in->source, err);
    if (wr_registered_source_local(in->source) && model) {
        WR_TRY(wr_logged_model_source(&artifacts, &run, c->arena, c->track, in->model_id, err));
    } else if (wr_registered_source_local(in->source) && in->run_id.n) {
        WR_TRY(wr_track_run_get(&r, c->arena, c->track, in->run_id, err));
        artifacts = r.artifact_uri;
    }
    return wr_registered_source_check(in->source, artifacts, model, err);
}

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_registered_version v;
    wr_track_item *tags;
    wr_registered_version_new in = {.name = wr_mlflow_str(c, "name"),
                                    .source = wr_mlflow_str(c, "source"),
                                    .run_id = text(c, "run_id"),
                                    .run_link = text(c, "run_link"),
                                    .description = text(c, "description"),
                                    .model_id = wr_mlflow_str(c, "model_id"),
                                    .user = wr_str_of(c->user)};
    if (!c->user) in.user.p = NULL;
    WR_TRY(wr_mlflow_items(&tags, &in.ntags, c, "tags", err));
    in.tags = tags;
    WR_TRY(check_source(c, &in, err));
    WR_TRY(wr_registered_version_create(&v, c->arena, c->track, &in, err));
    wr_mlflow_put_version(&c->w, "model_version", &v);
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_str name;
    int64_t version;
    WR_TRY(named(&name, &version, c, err));
    return answer(c, name, version, err);
}

/* Without a description it is taken away. */
static int update(wr_mlflow_call *c, wr_err *err)
{
    wr_str name;
    int64_t version;
    WR_TRY(named(&name, &version, c, err));
    WR_TRY(wr_registered_version_describe(c->track, name, version, wr_mlflow_str(c, "description"), err));
    return answer(c, name, version, err);
}

static int transition(wr_mlflow_call *c, wr_err *err)
{
    wr_str name;
    int64_t version;
    WR_TRY(named(&name, &version, c, err));
    WR_TRY(wr_registered_version_move(c->track, name, version, wr_mlflow_str(c, "stage"),
                                      wr_mlflow_bool(c, "archive_existing_versions", false), wr_mlflow_who(c, err),
                                      err));
    return answer(c, name, version, err);
}

static int delete (wr_mlflow_call *c, wr_err *err)
{
    wr_str name;
    int64_t version;
    WR_TRY(named(&name, &version, c, err));
    return wr_registered_version_delete(c->track, name, version, wr_mlflow_who(c, err), err);
}

static int download_uri(wr_mlflow_call *c, wr_err *err)
{
    wr_registered_version v;
    wr_str name;
    int64_t version;
    WR_TRY(named(&name, &version, c, err));
    WR_TRY(wr_registered_version_get(&v, c->arena, c->track, name, version, err));
    wr_jsonw_kslice(&c->w, "artifact_uri", wr_registered_version_location(&v));
    return 0;
}

static int search(wr_mlflow_call *c, wr_err *err)
{
    wr_registered_version *v;
    size_t n;
    wr_str next;
    wr_registered_query q;
    WR_TRY(wr_mlflow_registered_query(&q, c, WR_REGISTERED_VERSIONS_MAX, WR_REGISTERED_VERSIONS_MAX, err));
    WR_TRY(wr_registered_versions_search(&v, &n, &next, c->arena, c->track, &q, err));
    size_t shown = 0;
    for (size_t i = 0; i < n; i++)
        if (wr_mlflow_may_read(c, "registered_model", v[i].name)) v[shown++] = v[i];
    wr_mlflow_put_versions(&c->w, "model_versions", v, shown);
    if (next.n) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

/* ---- tags ---- */

static int set_tag(wr_mlflow_call *c, wr_err *err)
{
    wr_str name;
    int64_t version;
    WR_TRY(named(&name, &version, c, err));
    return wr_registered_version_set_tag(c->track, name, version, wr_mlflow_str(c, "key"), text(c, "value"), err);
}

static int delete_tag(wr_mlflow_call *c, wr_err *err)
{
    wr_str name;
    int64_t version;
    WR_TRY(named(&name, &version, c, err));
    return wr_registered_version_delete_tag(c->track, name, version, wr_mlflow_str(c, "key"), err);
}

#define NAMED                                                                                                          \
    {"name", 's', true}, { "version", 's', true }
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "2.0/mlflow/model-versions/create",
     WR_MLFLOW_WRITE,
     create,
     {{"name", 's', true},
      {"source", 's', true},
      {"run_id", 's', false},
      {"tags", 'a', false},
      {"run_link", 's', false},
      {"description", 's', false},
      {"model_id", 's', false}}},
    {"GET", "2.0/mlflow/model-versions/get", WR_MLFLOW_READ, get, {NAMED}},
    {"PATCH", "2.0/mlflow/model-versions/update", WR_MLFLOW_WRITE, update, {NAMED, {"description", 's', false}}},
    {"POST",
     "2.0/mlflow/model-versions/transition-stage",
     WR_MLFLOW_WRITE,
     transition,
     {NAMED, {"stage", 's', true}, {"archive_existing_versions", 'b', false}}},
    {"DELETE", "2.0/mlflow/model-versions/delete", WR_MLFLOW_WRITE, delete, {NAMED}},
    {"GET", "2.0/mlflow/model-versions/search", WR_MLFLOW_QUERY, search, {WR_MLFLOW_SEARCH_FIELDS}},
    {"GET", "2.0/mlflow/model-versions/get-download-uri", WR_MLFLOW_READ, download_uri, {NAMED}},
    {"POST",
     "2.0/mlflow/model-versions/set-tag",
     WR_MLFLOW_WRITE,
     set_tag,
     {NAMED, {"key", 's', true}, {"value", 's', false}}},
    {"DELETE", "2.0/mlflow/model-versions/delete-tag", WR_MLFLOW_WRITE, delete_tag, {NAMED, {"key", 's', true}}},
};
const wr_mlflow_rpcs wr_mlflow_model_versions = {rpcs, sizeof rpcs / sizeof *rpcs};
