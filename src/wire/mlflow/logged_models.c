/* SPDX-License-Identifier: Apache-2.0 */
/* logged_models.c - logged-models/... (3.x): what log_model makes. Their files are the artifact routes' matter. */
#include <stdio.h>

#include "track/logged_model.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

/* ---- writing ---- */

static void put_experiment_id(wr_jsonw *w, int64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    wr_jsonw_kstr(w, "experiment_id", text);
}

static void put_info(wr_jsonw *w, const wr_logged_model *m)
{
    wr_jsonw_key(w, "info");
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "model_id", m->uuid);
    put_experiment_id(w, m->experiment);
    wr_jsonw_kslice(w, "name", m->name);
    wr_jsonw_ki64(w, "creation_timestamp_ms", m->created_ms);
    wr_jsonw_ki64(w, "last_updated_timestamp_ms", m->updated_ms);
    wr_jsonw_kslice(w, "artifact_uri", m->artifact_uri);
    wr_jsonw_kstr(w, "status", wr_logged_status_name(m->status));
    if (m->model_type.p) wr_jsonw_kslice(w, "model_type", m->model_type);
    if (m->run_id.p) wr_jsonw_kslice(w, "source_run_id", m->run_id);
    if (m->status_message.p) wr_jsonw_kslice(w, "status_message", m->status_message);
    wr_mlflow_put_items(w, "tags", m->tags, m->ntags);
    if (m->nregistrations) {
        char version[24];
        wr_jsonw_key(w, "registrations");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < m->nregistrations; i++) {
            snprintf(version, sizeof version, "%lld", (long long)m->registrations[i].version);
            wr_jsonw_obj(w);
            wr_jsonw_kslice(w, "name", m->registrations[i].name);
            wr_jsonw_kstr(w, "version", version);
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_metrics(wr_jsonw *w, const wr_logged_model *m)
{
    if (!m->nmetrics) return;
    wr_jsonw_key(w, "metrics");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < m->nmetrics; i++) {
        const wr_logged_point *p = &m->metrics[i];
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "key", p->key);
        wr_mlflow_put_double(w, "value", p->value);
        wr_jsonw_ki64(w, "timestamp", p->time_ms);
        wr_jsonw_ki64(w, "step", p->step);
        if (p->dataset_name.n) wr_jsonw_kslice(w, "dataset_name", p->dataset_name);
        if (p->dataset_digest.n) wr_jsonw_kslice(w, "dataset_digest", p->dataset_digest);
        wr_jsonw_kslice(w, "model_id", m->uuid);
        if (p->run_id.n) wr_jsonw_kslice(w, "run_id", p->run_id);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_model(wr_jsonw *w, const char *key, const wr_logged_model *m)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    put_info(w, m);
    wr_jsonw_key(w, "data");
    wr_jsonw_obj(w);
    wr_mlflow_put_items(w, "params", m->params, m->nparams);
    put_metrics(w, m);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int answer(wr_mlflow_call *c, wr_str id, bool deleted, wr_err *err)
{
    wr_logged_model m;
    WR_TRY(wr_logged_model_get(&m, c->arena, c->track, id, deleted, err));
    put_model(&c->w, "model", &m);
    return 0;
}

/* ---- life ---- */

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_logged_model m;
    wr_track_item *params, *tags;
    wr_logged_model_new in = {.name = wr_mlflow_str(c, "name"),
                              .model_type = wr_mlflow_str(c, "model_type"),
                              .run_id = wr_mlflow_str(c, "source_run_id")};
    if (!in.name.n) in.name.p = NULL; /* an empty one is none */
    WR_TRY(wr_mlflow_experiment_id(&in.experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(wr_mlflow_items(&params, &in.nparams, c, "params", err));
    WR_TRY(wr_mlflow_items(&tags, &in.ntags, c, "tags", err));
    in.params = params;
    in.tags = tags;
    WR_TRY(wr_logged_model_create(&m, c->arena, c->track, &in, err));
    put_model(&c->w, "model", &m);
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    return answer(c, c->segment[0], wr_mlflow_bool(c, "allow_deleted", false), err);
}

/* By name, or by number as protobuf's enums may be. */
static int status_of(int *out, wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *v = wr_mlflow_val(c, "status");
    int64_t number;
    *out = 0;
    if (yyjson_is_str(v)) *out = wr_logged_status_parse((wr_str){yyjson_get_str(v), yyjson_get_len(v)});
    if (!*out && wr_mlflow_i64_of(&number, v)) *out = wr_logged_status_name((int)number) ? (int)number : 0;
    return *out ? 0
                : wr_mlflow_invalid(err, "status", v,
                                    "expected LOGGED_MODEL_PENDING, LOGGED_MODEL_READY or LOGGED_MODEL_UPLOAD_FAILED.");
}

static int finish(wr_mlflow_call *c, wr_err *err)
{
    int status;
    WR_TRY(status_of(&status, c, err));
    WR_TRY(wr_logged_model_finish(c->track, c->segment[0], status, err));
    return answer(c, c->segment[0], true, err);
}

static int delete (wr_mlflow_call *c, wr_err *err) { return wr_logged_model_delete(c->track, c->segment[0], err); }

/* ---- params, tags ---- */

static int log_params(wr_mlflow_call *c, wr_err *err)
{
    wr_track_item *params;
    size_t n;
    WR_TRY(wr_mlflow_items(&params, &n, c, "params", err));
    return wr_logged_model_set_params(c->track, c->segment[0], params, n, err);
}

static int set_tags(wr_mlflow_call *c, wr_err *err)
{
    wr_track_item *tags;
    size_t n;
    WR_TRY(wr_mlflow_items(&tags, &n, c, "tags", err));
    return wr_logged_model_set_tags(c->track, c->segment[0], tags, n, err);
}

static int delete_tag(wr_mlflow_call *c, wr_err *err)
{
    return wr_logged_model_delete_tag(c->track, c->segment[0], c->segment[1], err);
}

/* ---- searching ---- */

static int datasets_of(wr_logged_query *q, wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *v, *all = wr_mlflow_val(c, "datasets");
    size_t i, max;
    wr_logged_dataset *d = wr_arena_calloc(c->arena, yyjson_arr_size(all) + 1, sizeof *d);
    if (!d) return wr_err_nomem(err);
    yyjson_arr_foreach(all, i, max, v)
    {
        d[i] = (wr_logged_dataset){wr_mlflow_str_of(v, "dataset_name"), wr_mlflow_str_of(v, "dataset_digest")};
        if (!d[i].name.n)
            return wr_err_set(err, WEIR_EINVAL, "`dataset_name` in the `datasets` clause must be specified.");
    }
    q->datasets = d;
    q->ndatasets = yyjson_arr_size(all);
    return 0;
}

static int order_of(wr_logged_query *q, wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *v, *all = wr_mlflow_val(c, "order_by");
    size_t i, max;
    wr_logged_order *o = wr_arena_calloc(c->arena, yyjson_arr_size(all) + 1, sizeof *o);
    if (!o) return wr_err_nomem(err);
    yyjson_arr_foreach(all, i, max, v)
    {
        yyjson_val *up = yyjson_obj_get(v, "ascending");
        o[i] =
            (wr_logged_order){.field = wr_mlflow_str_of(v, "field_name"),
                              .dataset = {wr_mlflow_str_of(v, "dataset_name"), wr_mlflow_str_of(v, "dataset_digest")},
                              .desc = yyjson_is_false(up)};
        if (!o[i].field.n)
            return wr_err_set(err, WEIR_EINVAL, "`field_name` in the `order_by` clause must be specified.");
    }
    q->order = o;
    q->norder = yyjson_arr_size(all);
    return 0;
}

static int experiments_of(wr_logged_query *q, wr_mlflow_call *c, wr_err *err)
{
    wr_str *texts;
    size_t n;
    WR_TRY(wr_mlflow_strs(&texts, &n, c, "experiment_ids", err));
    int64_t *ids = wr_arena_alloc(c->arena, (n + 1) * sizeof *ids);
    if (!ids) return wr_err_nomem(err);
    q->experiments = ids;
    for (size_t i = 0; i < n; i++) {
        WR_TRY(wr_mlflow_experiment_id(&ids[q->nexperiments], texts[i], err));
        if (wr_mlflow_may_read_experiment(c, ids[q->nexperiments])) q->nexperiments++;
    }
    return 0;
}

static int search(wr_mlflow_call *c, wr_err *err)
{
    enum { FALLBACK = 50, MOST = 1000 };
    wr_logged_model *m;
    size_t n;
    wr_str next;
    int64_t max = wr_mlflow_i64(c, "max_results", FALLBACK);
    wr_logged_query q = {.filter = wr_mlflow_str(c, "filter"), .token = wr_mlflow_str(c, "page_token")};
    if (max < 0) return wr_mlflow_invalid(err, "max_results", wr_mlflow_val(c, "max_results"), NULL);
    q.max = max == 0 ? FALLBACK : max > MOST ? MOST : (size_t)max;
    WR_TRY(experiments_of(&q, c, err));
    WR_TRY(datasets_of(&q, c, err));
    WR_TRY(order_of(&q, c, err));
    WR_TRY(wr_logged_model_search(&m, &n, &next, c->arena, c->track, &q, err));
    if (n) {
        wr_jsonw_key(&c->w, "models");
        wr_jsonw_arr(&c->w);
        for (size_t i = 0; i < n; i++) put_model(&c->w, NULL, &m[i]);
        wr_jsonw_end(&c->w);
    }
    if (next.n) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

#define ONE "2.0/mlflow/logged-models/{}"
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "2.0/mlflow/logged-models",
     WR_MLFLOW_WRITE,
     create,
     {{"experiment_id", 's', true},
      {"name", 's', false},
      {"model_type", 's', false},
      {"source_run_id", 's', false},
      {"params", 'a', false},
      {"tags", 'a', false}}},
    {"POST",
     "2.0/mlflow/logged-models/search",
     WR_MLFLOW_QUERY,
     search,
     {{"experiment_ids", 'a', true},
      {"filter", 's', false},
      {"datasets", 'a', false},
      {"max_results", 'i', false},
      {"order_by", 'a', false},
      {"page_token", 's', false}}},
    {"GET", ONE, WR_MLFLOW_READ, get, {{"allow_deleted", '*', false}}},
    {"PATCH", ONE, WR_MLFLOW_WRITE, finish, {{"status", '*', true}}},
    {"DELETE", ONE, WR_MLFLOW_WRITE, delete, {{0}}},
    {"POST", ONE "/params", WR_MLFLOW_WRITE, log_params, {{"params", 'a', false}}},
    {"PATCH", ONE "/tags", WR_MLFLOW_WRITE, set_tags, {{"tags", 'a', false}}},
    {"DELETE", ONE "/tags/{}", WR_MLFLOW_WRITE, delete_tag, {{0}}},
};
const wr_mlflow_rpcs wr_mlflow_logged_models = {rpcs, sizeof rpcs / sizeof *rpcs};
