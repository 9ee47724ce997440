/* SPDX-License-Identifier: Apache-2.0 */
/* runs.c - runs/...: life, params, tags, inputs and outputs. Metrics are in metrics.c. */
#include <stdio.h>

#include "track/search_run.h"
#include "wire/mlflow/rpcs.h"

enum { SEARCH_DEFAULT = 1000, SEARCH_MAX = 50000 };

/* ---- writing runs ---- */

void wr_mlflow_put_run_info(wr_jsonw *w, const char *key, const wr_track_run *r)
{
    char experiment[24];
    snprintf(experiment, sizeof experiment, "%lld", (long long)r->experiment);
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "run_uuid", r->uuid);
    wr_jsonw_kstr(w, "experiment_id", experiment);
    wr_jsonw_kslice(w, "run_name", r->name);
    wr_jsonw_kslice(w, "user_id", r->user);
    wr_jsonw_kstr(w, "status", wr_run_status_name(r->status));
    wr_jsonw_ki64(w, "start_time", r->start_ms);
    if (r->end_ms != -1) wr_jsonw_ki64(w, "end_time", r->end_ms);
    wr_jsonw_kslice(w, "artifact_uri", r->artifact_uri);
    wr_jsonw_kstr(w, "lifecycle_stage", r->deleted_ms < 0 ? "active" : "deleted");
    wr_jsonw_kslice(w, "run_id", r->uuid);
    wr_jsonw_end(w);
}

void wr_mlflow_put_dataset(wr_jsonw *w, const char *key, const wr_track_dataset *d)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", d->name);
    wr_jsonw_kslice(w, "digest", d->digest);
    wr_jsonw_kslice(w, "source_type", d->source_type);
    wr_jsonw_kslice(w, "source", d->source);
    if (d->schema.p) wr_jsonw_kslice(w, "schema", d->schema);
    if (d->profile.p) wr_jsonw_kslice(w, "profile", d->profile);
    wr_jsonw_end(w);
}

static void put_models(wr_jsonw *w, const char *key, const wr_track_model_ref *m, size_t n, bool step)
{
    if (!n) return;
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "model_id", m[i].model_id);
        if (step) wr_jsonw_ki64(w, "step", m[i].step);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_inputs(wr_jsonw *w, const wr_track_run *r)
{
    wr_jsonw_key(w, "inputs");
    wr_jsonw_obj(w);
    if (r->ninputs) {
        wr_jsonw_key(w, "dataset_inputs");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < r->ninputs; i++) {
            wr_jsonw_obj(w);
            wr_mlflow_put_items(w, "tags", r->inputs[i].tags, r->inputs[i].ntags);
            wr_mlflow_put_dataset(w, "dataset", &r->inputs[i]);
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
    }
    put_models(w, "model_inputs", r->input_models, r->ninput_models, false);
    wr_jsonw_end(w);
}

void wr_mlflow_put_run(wr_jsonw *w, const char *key, const wr_track_run *r)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_mlflow_put_run_info(w, "info", r);
    wr_jsonw_key(w, "data");
    wr_jsonw_obj(w);
    if (r->nmetrics) {
        wr_jsonw_key(w, "metrics");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < r->nmetrics; i++) wr_mlflow_put_metric(w, &r->metrics[i], NULL);
        wr_jsonw_end(w);
    }
    wr_mlflow_put_items(w, "params", r->params, r->nparams);
    wr_mlflow_put_items(w, "tags", r->tags, r->ntags);
    wr_jsonw_end(w);
    put_inputs(w, r);
    if (r->noutput_models) {
        wr_jsonw_key(w, "outputs");
        wr_jsonw_obj(w);
        put_models(w, "model_outputs", r->output_models, r->noutput_models, true);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

/* ---- life ---- */

/* Beyond MLflow: a client may choose the id, so that asking again makes no second run. 1: it is there. */
static int chosen_id(wr_track_run *r, wr_track_run_new *in, wr_mlflow_call *c, wr_err *err)
{
    in->uuid = wr_mlflow_str(c, "run_id");
    if (!in->uuid.n) return 0;
    for (size_t i = 0; i < in->uuid.n; i++)
        if (!strchr("0123456789abcdef", in->uuid.p[i]) || in->uuid.n != 32)
            return wr_err_set(err, WEIR_EINVAL, "run_id: an id to be given to a run is 32 hexadecimal digits");
    int rc = wr_track_run_get(r, c->arena, c->track, in->uuid, err);
    if (rc == WEIR_ENOTFOUND) return 0;
    WR_TRY(rc);
    if (r->experiment != in->experiment)
        return wr_err_set(err, WEIR_EEXIST, "run_id: a run of another experiment has this id");
    WR_TRY(wr_track_run_load(r, c->arena, c->track, err));
    return 1;
}

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    wr_track_item *tags;
    wr_str experiment = wr_mlflow_str(c, "experiment_id");
    wr_track_run_new in = {.user = wr_mlflow_str(c, "user_id"),
                           .name = wr_mlflow_str(c, "run_name"),
                           .start_ms = wr_mlflow_i64(c, "start_time", 0)};
    if (experiment.n) WR_TRY(wr_mlflow_experiment_id(&in.experiment, experiment, err));
    WR_TRY(wr_mlflow_items(&tags, &in.ntags, c, "tags", err));
    in.tags = tags;
    int there = chosen_id(&r, &in, c, err);
    if (there < 0) return there;
    if (!there) WR_TRY(wr_track_run_create(&r, c->arena, c->track, &in, err));
    wr_mlflow_put_run(&c->w, "run", &r);
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    WR_TRY(wr_track_run_get(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    WR_TRY(wr_track_run_load(&r, c->arena, c->track, err));
    wr_mlflow_put_run(&c->w, "run", &r);
    return 0;
}

/* By name, or by number as protobuf's enums may be. */
static int status_of(int *out, wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *v = wr_mlflow_val(c, "status");
    *out = 0;
    if (!v) return 0;
    if (yyjson_is_str(v)) *out = wr_run_status_parse((wr_str){yyjson_get_str(v), yyjson_get_len(v)});
    else if (yyjson_is_int(v)) *out = wr_run_status_name((int)yyjson_get_sint(v)) ? (int)yyjson_get_sint(v) : 0;
    return *out ? 0 : wr_mlflow_invalid(err, "status", v, "expected RUNNING, SCHEDULED, FINISHED, FAILED or KILLED.");
}

static int update(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    int status;
    WR_TRY(status_of(&status, c, err));
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    WR_TRY(
        wr_track_run_update(c->track, &r, status, wr_mlflow_i64(c, "end_time", -1), wr_mlflow_str(c, "run_name"), err));
    wr_mlflow_put_run_info(&c->w, "run_info", &r);
    return 0;
}

static int delete (wr_mlflow_call *c, wr_err *err)
{
    return wr_track_run_delete(c->track, wr_mlflow_str(c, "run_id"), err);
}
static int restore(wr_mlflow_call *c, wr_err *err)
{
    return wr_track_run_restore(c->track, wr_mlflow_str(c, "run_id"), err);
}

/* ---- params, tags ---- */

static int log_parameter(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    wr_str value = wr_mlflow_str(c, "value");
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    return wr_track_run_set_param(c->track, &r, wr_mlflow_str(c, "key"), value.p ? value : WR_STR(""), err);
}

static int set_tag(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    wr_str value = wr_mlflow_str(c, "value");
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    return wr_track_run_set_tag(c->track, &r, wr_mlflow_str(c, "key"), value.p ? value : WR_STR(""), err);
}

static int delete_tag(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    return wr_track_run_delete_tag(c->track, &r, wr_mlflow_str(c, "key"), err);
}

/* ---- inputs, outputs ---- */

static int required_text(wr_str *out, yyjson_val *obj, const char *name, const char *path, wr_err *err)
{
    *out = wr_mlflow_str_of(obj, name);
    return out->n ? 0 : wr_mlflow_missing(err, path);
}

static int tags_of(wr_track_dataset *d, wr_mlflow_call *c, yyjson_val *tags, wr_err *err)
{
    yyjson_val *v;
    size_t i, max;
    d->tags = wr_arena_calloc(c->arena, yyjson_arr_size(tags) + 1, sizeof *d->tags);
    if (!d->tags) return wr_err_nomem(err);
    yyjson_arr_foreach(tags, i, max, v)
    {
        wr_track_item *t = &d->tags[d->ntags++];
        *t = (wr_track_item){wr_mlflow_str_of(v, "key"), wr_mlflow_str_of(v, "value")};
        if (!t->key.n) return wr_mlflow_missing(err, "datasets.tags.key");
        if (!t->value.p) t->value = WR_STR("");
    }
    return 0;
}

static int add_dataset(wr_mlflow_call *c, const wr_track_run *r, yyjson_val *input, wr_err *err)
{
    yyjson_val *o = yyjson_obj_get(input, "dataset");
    wr_track_dataset d = {.schema = wr_mlflow_str_of(o, "schema"), .profile = wr_mlflow_str_of(o, "profile")};
    WR_TRY(required_text(&d.name, o, "name", "datasets.dataset.name", err));
    WR_TRY(required_text(&d.digest, o, "digest", "datasets.dataset.digest", err));
    WR_TRY(required_text(&d.source_type, o, "source_type", "datasets.dataset.source_type", err));
    WR_TRY(required_text(&d.source, o, "source", "datasets.dataset.source", err));
    WR_TRY(tags_of(&d, c, yyjson_obj_get(input, "tags"), err));
    return wr_track_run_add_input(c->track, r, &d, err);
}

static int add_models(wr_mlflow_call *c, const wr_track_run *r, bool output, wr_err *err)
{
    yyjson_val *v;
    size_t i, max;
    yyjson_arr_foreach(wr_mlflow_val(c, "models"), i, max, v)
    {
        wr_str id;
        int64_t step = 0;
        WR_TRY(required_text(&id, v, "model_id", "models.model_id", err));
        (void)wr_mlflow_i64_of(&step, yyjson_obj_get(v, "step"));
        WR_TRY(wr_track_run_add_model(c->track, r, output, id, step, err));
    }
    return 0;
}

static int log_inputs(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    yyjson_val *v;
    size_t i, max;
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    yyjson_arr_foreach(wr_mlflow_val(c, "datasets"), i, max, v) WR_TRY(add_dataset(c, &r, v, err));
    return add_models(c, &r, false, err);
}

static int log_outputs(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    return add_models(c, &r, true, err);
}

/* 2.x: what log_model says of a model goes to the end of a list in a tag. */
static int log_model(wr_mlflow_call *c, wr_err *err)
{
    static const char *const needed[] = {"artifact_path", "flavors", "utc_time_created", "run_id"};
    static const wr_str tag = {"mlflow.log-model.history", 24};
    WR_AUTOJSON wr_json model = {0}, old = {0};
    WR_AUTOBUF wr_buf b;
    wr_track_run r;
    wr_track_item *tags = NULL;
    wr_jsonw w;
    yyjson_val *v;
    size_t i, max;
    wr_buf_init(&b, 1 << 20);
    if (wr_json_parse(&model, wr_mlflow_str(c, "model_json"), "model", NULL) < 0 || !yyjson_is_obj(model.root))
        return wr_err_set(err, WEIR_EINVAL, "Malformed model info. It is not a valid JSON.");
    for (size_t k = 0; k < sizeof needed / sizeof *needed; k++)
        if (!yyjson_obj_get(model.root, needed[k]))
            return wr_err_set(err, WEIR_EINVAL, "Model json is missing mandatory fields: {'%s'}", needed[k]);
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    WR_TRY(wr_track_run_load(&r, c->arena, c->track, err));
    for (size_t k = 0; k < r.ntags; k++)
        if (wr_str_eq(r.tags[k].key, tag)) tags = &r.tags[k];
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_arr(&w);
    if (tags && wr_json_parse(&old, tags->value, "models", NULL) == 0)
        yyjson_arr_foreach(old.root, i, max, v) wr_jsonw_val(&w, v);
    wr_jsonw_val(&w, model.root);
    wr_jsonw_end(&w);
    if (b.failed) return wr_err_nomem(err);
    return wr_track_run_set_tag(c->track, &r, tag, wr_buf_view(&b), err);
}

/* ---- searching ---- */

static int search(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run *runs;
    wr_str *order, next;
    int64_t *experiments;
    size_t n;
    int view;
    int64_t max = wr_mlflow_i64(c, "max_results", SEARCH_DEFAULT);
    wr_run_search_opt o = {.filter = wr_mlflow_str(c, "filter"),
                           .token = wr_mlflow_str(c, "page_token"),
                           .load = {.parts = WR_RUN_EVERYTHING}};
    if (max < 1 || max > SEARCH_MAX)
        return wr_mlflow_invalid(err, "max_results", wr_mlflow_val(c, "max_results"),
                                 "It must be between 1 and 50000.");
    WR_TRY(wr_mlflow_view(&view, c, "run_view_type", err));
    WR_TRY(wr_mlflow_experiment_ids(&experiments, &o.nexperiments, c, err));
    WR_TRY(wr_mlflow_strs(&order, &o.norder, c, "order_by", err));
    o.experiments = experiments;
    o.order = order;
    o.view = (wr_view_type)view;
    o.max = (size_t)max;
    WR_TRY(wr_track_run_search(&runs, &n, &next, c->arena, c->track, &o, err));
    if (n) {
        wr_jsonw_key(&c->w, "runs");
        wr_jsonw_arr(&c->w);
        for (size_t i = 0; i < n; i++) wr_mlflow_put_run(&c->w, NULL, &runs[i]);
        wr_jsonw_end(&c->w);
    }
    if (next.p) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

#define SEARCH_FIELDS                                                                                                  \
    {"experiment_ids", 'a', false}, {"filter", 's', false}, {"run_view_type", '*', false},                             \
        {"max_results", 'i', false}, {"order_by", 'a', false},                                                         \
    {                                                                                                                  \
        "page_token", 's', false                                                                                       \
    }
#define ID                                                                                                             \
    {                                                                                                                  \
        "run_id", 's', true                                                                                            \
    }
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "2.0/mlflow/runs/create",
     WR_MLFLOW_WRITE,
     create,
     {{"experiment_id", 's', false},
      {"start_time", 'i', false},
      {"run_name", 's', false},
      {"user_id", 's', false},
      {"run_id", 's', false},
      {"tags", 'a', false}}},
    {"GET", "2.0/mlflow/runs/get", WR_MLFLOW_READ, get, {ID}},
    {"POST",
     "2.0/mlflow/runs/update",
     WR_MLFLOW_WRITE,
     update,
     {ID, {"end_time", 'i', false}, {"status", '*', false}, {"run_name", 's', false}}},
    {"POST", "2.0/mlflow/runs/delete", WR_MLFLOW_WRITE, delete, {ID}},
    {"POST", "2.0/mlflow/runs/restore", WR_MLFLOW_WRITE, restore, {ID}},
    {"POST",
     "2.0/mlflow/runs/log-parameter",
     WR_MLFLOW_WRITE,
     log_parameter,
     {ID, {"key", 's', true}, {"value", 's', false}}},
    {"POST", "2.0/mlflow/runs/set-tag", WR_MLFLOW_WRITE, set_tag, {ID, {"key", 's', true}, {"value", 's', false}}},
    {"POST", "2.0/mlflow/runs/delete-tag", WR_MLFLOW_WRITE, delete_tag, {ID, {"key", 's', true}}},
    {"POST",
     "2.0/mlflow/runs/log-inputs",
     WR_MLFLOW_WRITE,
     log_inputs,
     {ID, {"datasets", 'a', false}, {"models", 'a', false}}},
    {"POST", "2.0/mlflow/runs/outputs", WR_MLFLOW_WRITE, log_outputs, {ID, {"models", 'a', true}}},
    {"POST", "2.0/mlflow/runs/log-model", WR_MLFLOW_WRITE, log_model, {ID, {"model_json", 's', true}}},
    {"POST", "2.0/mlflow/runs/search", WR_MLFLOW_QUERY, search, {SEARCH_FIELDS}},
    {"GET", "2.0/mlflow/runs/search", WR_MLFLOW_QUERY, search, {SEARCH_FIELDS}},
};
const wr_mlflow_rpcs wr_mlflow_runs = {rpcs, sizeof rpcs / sizeof *rpcs};
