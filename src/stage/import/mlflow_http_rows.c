/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_http_rows.c - nouns as MLflow's REST interface writes them. */
#include <math.h>

#include "base/num.h"
#include "stage/import/mlflow_http.h"

static wr_str slice(yyjson_val *v)
{
    return yyjson_is_str(v) ? (wr_str){yyjson_get_str(v), yyjson_get_len(v)} : (wr_str){NULL, 0};
}

wr_str wr_mlflowhttp_text(wr_arena *a, yyjson_val *obj, const char *key)
{
    wr_str s = slice(yyjson_obj_get(obj, key));
    return s.p && a ? wr_arena_str(a, s) : s;
}

wr_str wr_mlflowhttp_word(wr_arena *a, yyjson_val *obj, const char *key)
{
    wr_str s = wr_mlflowhttp_text(a, obj, key);
    return s.p ? s : WR_STR("");
}

int64_t wr_mlflowhttp_int(yyjson_val *obj, const char *key, int64_t fallback)
{
    int64_t out;
    yyjson_val *v = yyjson_obj_get(obj, key);
    if (yyjson_is_int(v)) return yyjson_get_sint(v);
    return yyjson_is_str(v) && wr_num_i64(&out, slice(v), NULL) == 0 ? out : fallback;
}

double wr_mlflowhttp_number(yyjson_val *v)
{
    double out;
    if (yyjson_is_num(v)) return yyjson_get_num(v);
    wr_str s = slice(v);
    if (wr_str_is(s, "Infinity")) return INFINITY;
    if (wr_str_is(s, "-Infinity")) return -INFINITY;
    return s.p && wr_num_f64(&out, s, NULL) == 0 ? out : NAN;
}

int wr_mlflowhttp_items(wr_track_item **out, size_t *n, wr_arena *a, yyjson_val *list, wr_err *err)
{
    size_t i, max;
    yyjson_val *k, *v;
    *n = 0;
    *out = wr_arena_calloc(a, yyjson_get_len(list) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    if (yyjson_is_arr(list)) {
        yyjson_arr_foreach(list, i, max, v) if (yyjson_is_obj(v))(*out)[(*n)++] =
            (wr_track_item){wr_mlflowhttp_word(a, v, "key"), wr_mlflowhttp_word(a, v, "value")};
    } else if (yyjson_is_obj(list)) {
        yyjson_obj_foreach(list, i, max, k, v) if (yyjson_is_str(v))(*out)[(*n)++] =
            (wr_track_item){wr_arena_str(a, slice(k)), wr_arena_str(a, slice(v))};
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int no_id(const char *what, wr_err *err)
{
    return wr_err_set(err, WEIR_EPARSE, "the server names %s without an id", what);
}

int wr_mlflowhttp_experiment(wr_experiment *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    *out = (wr_experiment){.id = wr_mlflowhttp_int(v, "experiment_id", -1),
                           .name = wr_mlflowhttp_word(a, v, "name"),
                           .location = wr_mlflowhttp_word(a, v, "artifact_location"),
                           .deleted = wr_str_is(wr_mlflowhttp_word(NULL, v, "lifecycle_stage"), "deleted"),
                           .created_ms = wr_mlflowhttp_int(v, "creation_time", 0)};
    out->updated_ms = wr_mlflowhttp_int(v, "last_update_time", out->created_ms);
    if (out->id < 0 || !out->name.n) return no_id("an experiment", err);
    return wr_mlflowhttp_items(&out->tags, &out->ntags, a, yyjson_obj_get(v, "tags"), err);
}

/* ---- runs ---- */

static int run_metrics(wr_track_run *out, wr_arena *a, yyjson_val *list, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    out->metrics = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof *out->metrics);
    if (!out->metrics) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        double value = wr_mlflowhttp_number(yyjson_obj_get(v, "value"));
        out->metrics[out->nmetrics++] =
            (wr_track_point){wr_mlflowhttp_word(a, v, "key"), wr_import_value(value, isnan(value)),
                             wr_mlflowhttp_int(v, "step", 0), wr_mlflowhttp_int(v, "timestamp", 0)};
    }
    return 0;
}

static int run_inputs(wr_track_run *out, wr_arena *a, yyjson_val *list, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    out->inputs = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof *out->inputs);
    if (!out->inputs) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        yyjson_val *d = yyjson_obj_get(v, "dataset");
        wr_track_dataset *to = &out->inputs[out->ninputs++];
        *to = (wr_track_dataset){.name = wr_mlflowhttp_word(a, d, "name"),
                                 .digest = wr_mlflowhttp_word(a, d, "digest"),
                                 .source_type = wr_mlflowhttp_word(a, d, "source_type"),
                                 .source = wr_mlflowhttp_word(a, d, "source"),
                                 .schema = wr_mlflowhttp_text(a, d, "schema"),
                                 .profile = wr_mlflowhttp_text(a, d, "profile")};
        WR_TRY(wr_mlflowhttp_items(&to->tags, &to->ntags, a, yyjson_obj_get(v, "tags"), err));
    }
    return 0;
}

static int run_models(wr_track_model_ref **out, size_t *n, wr_arena *a, yyjson_val *list, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    *out = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)(*out)[(*n)++] =
        (wr_track_model_ref){wr_mlflowhttp_word(a, v, "model_id"), wr_mlflowhttp_int(v, "step", 0)};
    return 0;
}

int wr_mlflowhttp_run(wr_track_run *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    yyjson_val *info = yyjson_obj_get(v, "info"), *data = yyjson_obj_get(v, "data"), *in = yyjson_obj_get(v, "inputs"),
               *made = yyjson_obj_get(v, "outputs");
    *out = (wr_track_run){.uuid = wr_mlflowhttp_word(a, info, "run_id"),
                          .experiment = wr_mlflowhttp_int(info, "experiment_id", -1),
                          .name = wr_mlflowhttp_word(a, info, "run_name"),
                          .user = wr_mlflowhttp_word(a, info, "user_id"),
                          .status = wr_run_status_parse(wr_mlflowhttp_word(NULL, info, "status")),
                          .start_ms = wr_mlflowhttp_int(info, "start_time", 0),
                          .end_ms = wr_mlflowhttp_int(info, "end_time", -1),
                          .deleted_ms = -1,
                          .artifact_uri = wr_mlflowhttp_word(a, info, "artifact_uri")};
    if (!out->uuid.n) return no_id("a run", err);
    if (!out->status) out->status = WR_RUN_RUNNING;
    if (wr_str_is(wr_mlflowhttp_word(NULL, info, "lifecycle_stage"), "deleted"))
        out->deleted_ms = out->end_ms < 0 ? out->start_ms : out->end_ms;
    WR_TRY(wr_mlflowhttp_items(&out->params, &out->nparams, a, yyjson_obj_get(data, "params"), err));
    WR_TRY(wr_mlflowhttp_items(&out->tags, &out->ntags, a, yyjson_obj_get(data, "tags"), err));
    WR_TRY(run_metrics(out, a, yyjson_obj_get(data, "metrics"), err));
    WR_TRY(run_inputs(out, a, yyjson_obj_get(in, "dataset_inputs"), err));
    WR_TRY(run_models(&out->input_models, &out->ninput_models, a, yyjson_obj_get(in, "model_inputs"), err));
    return run_models(&out->output_models, &out->noutput_models, a, yyjson_obj_get(made, "model_outputs"), err);
}

/* ---- the registry ---- */

int wr_mlflowhttp_model(wr_registered_model *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    size_t i, max;
    yyjson_val *alias, *aliases = yyjson_obj_get(v, "aliases");
    *out = (wr_registered_model){.name = wr_mlflowhttp_word(a, v, "name"),
                                 .description = wr_mlflowhttp_text(a, v, "description"),
                                 .created_ms = wr_mlflowhttp_int(v, "creation_timestamp", 0)};
    out->updated_ms = wr_mlflowhttp_int(v, "last_updated_timestamp", out->created_ms);
    if (!out->name.n) return no_id("a registered model", err);
    out->aliases = wr_arena_calloc(a, yyjson_arr_size(aliases) + 1, sizeof *out->aliases);
    if (!out->aliases) return wr_err_nomem(err);
    yyjson_arr_foreach(aliases, i, max, alias) out->aliases[out->naliases++] =
        (wr_registered_alias){wr_mlflowhttp_word(a, alias, "alias"), wr_mlflowhttp_int(alias, "version", 0)};
    return wr_mlflowhttp_items(&out->tags, &out->ntags, a, yyjson_obj_get(v, "tags"), err);
}

int wr_mlflowhttp_version(wr_registered_version *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    *out = (wr_registered_version){.name = wr_mlflowhttp_word(a, v, "name"),
                                   .version = wr_mlflowhttp_int(v, "version", 0),
                                   .stage = wr_mlflowhttp_word(a, v, "current_stage"),
                                   .source = wr_mlflowhttp_word(a, v, "source"),
                                   .run_id = wr_mlflowhttp_text(a, v, "run_id"),
                                   .run_link = wr_mlflowhttp_text(a, v, "run_link"),
                                   .description = wr_mlflowhttp_text(a, v, "description"),
                                   .user = wr_mlflowhttp_text(a, v, "user_id"),
                                   .model_id = wr_mlflowhttp_text(a, v, "model_id"),
                                   .created_ms = wr_mlflowhttp_int(v, "creation_timestamp", 0)};
    out->updated_ms = wr_mlflowhttp_int(v, "last_updated_timestamp", out->created_ms);
    if (!out->name.n || out->version < 1) return no_id("a model version", err);
    if (!out->stage.n) out->stage = WR_STR("None");
    return wr_mlflowhttp_items(&out->tags, &out->ntags, a, yyjson_obj_get(v, "tags"), err);
}

/* ---- logged models ---- */

static int logged_metrics(wr_logged_model *out, wr_arena *a, yyjson_val *list, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    out->metrics = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof *out->metrics);
    if (!out->metrics) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        double value = wr_mlflowhttp_number(yyjson_obj_get(v, "value"));
        out->metrics[out->nmetrics++] = (wr_logged_point){.key = wr_mlflowhttp_word(a, v, "key"),
                                                          .value = wr_import_value(value, isnan(value)),
                                                          .step = wr_mlflowhttp_int(v, "step", 0),
                                                          .time_ms = wr_mlflowhttp_int(v, "timestamp", 0),
                                                          .run_id = wr_mlflowhttp_text(a, v, "run_id"),
                                                          .dataset_name = wr_mlflowhttp_text(a, v, "dataset_name"),
                                                          .dataset_digest = wr_mlflowhttp_text(a, v, "dataset_digest")};
    }
    return 0;
}

int wr_mlflowhttp_logged(wr_logged_model *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    yyjson_val *info = yyjson_obj_get(v, "info"), *data = yyjson_obj_get(v, "data");
    *out = (wr_logged_model){.uuid = wr_mlflowhttp_word(a, info, "model_id"),
                             .experiment = wr_mlflowhttp_int(info, "experiment_id", -1),
                             .name = wr_mlflowhttp_word(a, info, "name"),
                             .artifact_uri = wr_mlflowhttp_word(a, info, "artifact_uri"),
                             .status = wr_logged_status_parse(wr_mlflowhttp_word(NULL, info, "status")),
                             .status_message = wr_mlflowhttp_text(a, info, "status_message"),
                             .model_type = wr_mlflowhttp_text(a, info, "model_type"),
                             .run_id = wr_mlflowhttp_text(a, info, "source_run_id"),
                             .created_ms = wr_mlflowhttp_int(info, "creation_timestamp_ms", 0),
                             .deleted_ms = -1};
    out->updated_ms = wr_mlflowhttp_int(info, "last_updated_timestamp_ms", out->created_ms);
    if (!out->uuid.n) return no_id("a logged model", err);
    if (!out->status) out->status = WR_LOGGED_PENDING;
    WR_TRY(wr_mlflowhttp_items(&out->params, &out->nparams, a, yyjson_obj_get(data, "params"), err));
    WR_TRY(wr_mlflowhttp_items(&out->tags, &out->ntags, a, yyjson_obj_get(info, "tags"), err));
    return logged_metrics(out, a, yyjson_obj_get(data, "metrics"), err);
}
