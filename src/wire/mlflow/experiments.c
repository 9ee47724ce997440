/* SPDX-License-Identifier: Apache-2.0 */
/* experiments.c - experiments/... */
#include <stdio.h>
#include <unistd.h>

#include "track/search_experiment.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

enum { SEARCH_MAX = 50000, DATASET_EXPERIMENTS = 20, DATASETS = 1000 };

void wr_mlflow_put_experiment(wr_jsonw *w, const char *key, const wr_experiment *e)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)e->id);
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "experiment_id", id);
    wr_jsonw_kslice(w, "name", e->name);
    wr_jsonw_kslice(w, "artifact_location", e->location);
    wr_jsonw_kstr(w, "lifecycle_stage", e->deleted ? "deleted" : "active");
    wr_jsonw_ki64(w, "last_update_time", e->updated_ms);
    wr_jsonw_ki64(w, "creation_time", e->created_ms);
    wr_mlflow_put_items(w, "tags", e->tags, e->ntags);
    wr_jsonw_end(w);
}

static int experiment_id(int64_t *out, const wr_mlflow_call *c, wr_err *err)
{
    return wr_mlflow_experiment_id(out, wr_mlflow_str(c, "experiment_id"), err);
}

/* An artifact location names a place, not an action: no "runs:", nothing behind '#' or ';'. */
static int check_location(wr_str uri, wr_err *err)
{
    if (!uri.n) return 0;
    wr_str shown = wr_str_fit(uri, 120), rest = uri, scheme = wr_str_cut(&rest, ':');
    if (rest.p && wr_str_is(scheme, "runs"))
        return wr_err_set(err, WEIR_EINVAL,
                          "Unsupported URI '%.*s' for artifact_location: the scheme 'runs' is not a storage location.",
                          WR_STR_FMT(shown));
    if (memchr(uri.p, '#', uri.n) || memchr(uri.p, ';', uri.n))
        return wr_err_set(
            err, WEIR_EINVAL,
            "Unsupported URI '%.*s' for artifact_location: URIs with fragments or parameters are not allowed.",
            WR_STR_FMT(shown));
    for (wr_str parts = rest.p ? rest : uri; parts.p;)
        if (wr_str_is(wr_str_cut(&parts, '/'), ".."))
            return wr_err_set(err, WEIR_EINVAL, "Invalid artifact_location '%.*s': '..' is not allowed.",
                              WR_STR_FMT(shown));
    return 0;
}

/* A folder without a scheme is meant as the server sees it. */
static int make_absolute(wr_str *location, wr_arena *a, wr_err *err)
{
    char cwd[4096];
    if (!location->n || location->p[0] == '/' || memchr(location->p, ':', location->n)) return 0;
    if (!getcwd(cwd, sizeof cwd)) return wr_err_set(err, WEIR_EIO, "the current folder is gone");
    char *text = wr_arena_printf(a, "%s/%.*s", cwd, WR_STR_FMT(*location));
    if (!text) return wr_err_nomem(err);
    *location = wr_str_of(text);
    return 0;
}

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_track_item *tags;
    size_t ntags;
    int64_t id;
    char text[24];
    wr_str location = wr_mlflow_str(c, "artifact_location");
    WR_TRY(check_location(location, err));
    WR_TRY(make_absolute(&location, c->arena, err));
    WR_TRY(wr_mlflow_items(&tags, &ntags, c, "tags", err));
    WR_TRY(wr_experiment_create(&id, c->track, wr_mlflow_str(c, "name"), location, tags, ntags, err));
    snprintf(text, sizeof text, "%lld", (long long)id);
    wr_jsonw_kstr(&c->w, "experiment_id", text);
    c->made = wr_arena_str(c->arena, wr_str_of(text));
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_experiment e;
    int64_t id;
    WR_TRY(experiment_id(&id, c, err));
    WR_TRY(wr_experiment_get(&e, c->arena, c->track, id, err));
    wr_mlflow_put_experiment(&c->w, "experiment", &e);
    return 0;
}

static int get_by_name(wr_mlflow_call *c, wr_err *err)
{
    wr_experiment e;
    WR_TRY(wr_experiment_find(&e, c->arena, c->track, wr_mlflow_str(c, "experiment_name"), err));
    wr_mlflow_put_experiment(&c->w, "experiment", &e);
    return 0;
}

static int delete (wr_mlflow_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(experiment_id(&id, c, err));
    return wr_experiment_delete(c->track, id, err);
}

static int restore(wr_mlflow_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(experiment_id(&id, c, err));
    return wr_experiment_restore(c->track, id, err);
}

static int update(wr_mlflow_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(experiment_id(&id, c, err));
    return wr_experiment_rename(c->track, id, wr_mlflow_str(c, "new_name"), err);
}

static int set_tag(wr_mlflow_call *c, wr_err *err)
{
    int64_t id;
    wr_str value = wr_mlflow_str(c, "value");
    WR_TRY(experiment_id(&id, c, err));
    return wr_experiment_set_tag(c->track, id, wr_mlflow_str(c, "key"), value.p ? value : WR_STR(""), err);
}

static int delete_tag(wr_mlflow_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(experiment_id(&id, c, err));
    return wr_experiment_delete_tag(c->track, id, wr_mlflow_str(c, "key"), err);
}

/* ---- searching ---- */

/* Rows that the caller may not see are passed over, and others come in their place. */
static int search(wr_mlflow_call *c, wr_err *err)
{
    wr_str *order, next = {NULL, 0};
    int view;
    int64_t max = wr_mlflow_i64(c, "max_results", 0);
    wr_experiment_search_opt o = {.filter = wr_mlflow_str(c, "filter"), .token = wr_mlflow_str(c, "page_token")};
    if (max < 1 || max > SEARCH_MAX)
        return wr_err_set(
            err, WEIR_EINVAL,
            "Invalid value %lld for parameter 'max_results' supplied: It must be a positive integer and at most %d",
            (long long)max, SEARCH_MAX);
    WR_TRY(wr_mlflow_view(&view, c, "view_type", err));
    WR_TRY(wr_mlflow_strs(&order, &o.norder, c, "order_by", err));
    o.view = (wr_view_type)view;
    o.order = order;
    wr_jsonw_key(&c->w, "experiments");
    wr_jsonw_arr(&c->w);
    for (int64_t left = max; left > 0;) {
        wr_experiment *e;
        size_t n;
        o.max = (size_t)left;
        WR_TRY(wr_experiment_search(&e, &n, &next, c->arena, c->track, &o, err));
        for (size_t i = 0; i < n; i++) {
            if (!wr_mlflow_may_read_experiment(c, e[i].id)) continue;
            wr_mlflow_put_experiment(&c->w, NULL, &e[i]);
            left--;
        }
        if (!next.p) break;
        o.token = next;
    }
    wr_jsonw_end(&c->w);
    if (next.p) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

static void put_summary(wr_jsonw *w, const wr_track_dataset_summary *d)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)d->experiment);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "experiment_id", id);
    wr_jsonw_kslice(w, "name", d->name);
    wr_jsonw_kslice(w, "digest", d->digest);
    if (d->context.p) wr_jsonw_kslice(w, "context", d->context);
    wr_jsonw_end(w);
}

static int search_datasets(wr_mlflow_call *c, wr_err *err)
{
    wr_track_dataset_summary *d;
    int64_t *ids;
    size_t nids, n, asked = yyjson_arr_size(wr_mlflow_val(c, "experiment_ids"));
    if (!asked) return wr_err_set(err, WEIR_EINVAL, "SearchDatasets request must specify at least one experiment_id.");
    if (asked > DATASET_EXPERIMENTS)
        return wr_err_set(
            err, WEIR_EINVAL,
            "SearchDatasets request cannot specify more than %d experiment_ids. Received %zu experiment_ids.",
            DATASET_EXPERIMENTS, asked);
    WR_TRY(wr_mlflow_experiment_ids(&ids, &nids, c, err));
    WR_TRY(wr_track_dataset_search(&d, &n, c->arena, c->track, ids, nids, DATASETS, err));
    if (!n) return 0;
    wr_jsonw_key(&c->w, "dataset_summaries");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++) put_summary(&c->w, &d[i]);
    wr_jsonw_end(&c->w);
    return 0;
}

#define SEARCH_FIELDS                                                                                                  \
    {"filter", 's', false}, {"max_results", 'i', false}, {"order_by", 'a', false}, {"page_token", 's', false},         \
    {                                                                                                                  \
        "view_type", '*', false                                                                                        \
    }
#define ID                                                                                                             \
    {                                                                                                                  \
        "experiment_id", 's', true                                                                                     \
    }
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "2.0/mlflow/experiments/create",
     WR_MLFLOW_WRITE,
     create,
     {{"name", 's', true}, {"artifact_location", 's', false}, {"tags", 'a', false}}},
    {"GET", "2.0/mlflow/experiments/get", WR_MLFLOW_READ, get, {ID}},
    {"GET", "2.0/mlflow/experiments/get-by-name", WR_MLFLOW_READ, get_by_name, {{"experiment_name", 's', true}}},
    {"POST", "2.0/mlflow/experiments/delete", WR_MLFLOW_WRITE, delete, {ID}},
    {"POST", "2.0/mlflow/experiments/restore", WR_MLFLOW_WRITE, restore, {ID}},
    {"POST", "2.0/mlflow/experiments/update", WR_MLFLOW_WRITE, update, {ID, {"new_name", 's', true}}},
    {"POST",
     "2.0/mlflow/experiments/set-experiment-tag",
     WR_MLFLOW_WRITE,
     set_tag,
     {ID, {"key", 's', true}, {"value", 's', false}}},
    {"POST", "2.0/mlflow/experiments/delete-experiment-tag", WR_MLFLOW_WRITE, delete_tag, {ID, {"key", 's', true}}},
    {"POST", "2.0/mlflow/experiments/search", WR_MLFLOW_QUERY, search, {SEARCH_FIELDS}},
    {"GET", "2.0/mlflow/experiments/search", WR_MLFLOW_QUERY, search, {SEARCH_FIELDS}},
    {"POST",
     "2.0/mlflow/experiments/search-datasets",
     WR_MLFLOW_QUERY,
     search_datasets,
     {{"experiment_ids", 'a', false}}},
};
const wr_mlflow_rpcs wr_mlflow_experiments = {rpcs, sizeof rpcs / sizeof *rpcs};
