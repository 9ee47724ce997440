/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - logging of metrics and batches, and their history. */
#include <math.h>
#include <stdio.h>

#include "track/logged_model.h"
#include "wire/mlflow/rpcs.h"

enum {
    KEY = 250,
    METRICS = 1000,
    PARAMS_TAGS = 100,
    ENTITIES = 1000,
    BULK_RUNS = 100,
    BULK_POINTS = 25000,
    SAMPLE_MAX = 2500,
    HISTORY_MAX = 25000
};

void wr_mlflow_put_metric(wr_jsonw *w, const wr_track_point *p, const char *run_id)
{
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "key", p->key);
    wr_mlflow_put_double(w, "value", p->value);
    wr_jsonw_ki64(w, "timestamp", p->time_ms);
    wr_jsonw_ki64(w, "step", p->step);
    if (run_id) wr_jsonw_kstr(w, "run_id", run_id);
    wr_jsonw_end(w);
}

/* ---- logging ---- */

/* "value", or "metrics[3].value" when the point is the fourth of a batch (at >= 0). */
static const char *place(char out[48], int64_t at, const char *name)
{
    if (at < 0) snprintf(out, 48, "%s", name);
    else snprintf(out, 48, "metrics[%lld].%s", (long long)at, name);
    return out;
}

static int read_point(wr_track_point *out, yyjson_val *o, int64_t at, wr_err *err)
{
    char what[48];
    yyjson_val *value = yyjson_obj_get(o, "value"), *time = yyjson_obj_get(o, "timestamp"),
               *step = yyjson_obj_get(o, "step");
    *out = (wr_track_point){.key = wr_mlflow_str_of(o, "key")};
    if (!out->key.n) return wr_mlflow_missing(err, place(what, at, "key"));
    if (!value || yyjson_is_null(value)) return wr_mlflow_missing(err, place(what, at, "value"));
    if (!time || yyjson_is_null(time)) return wr_mlflow_missing(err, place(what, at, "timestamp"));
    if (!wr_mlflow_f64_of(&out->value, value))
        return wr_mlflow_invalid(err, place(what, at, "value"), value,
                                 "Please specify value as a valid double (64-bit floating point)");
    if (!wr_mlflow_i64_of(&out->time_ms, time) || out->time_ms < 0)
        return wr_mlflow_invalid(err, place(what, at, "timestamp"), time,
                                 "Timestamp must be a nonnegative long (64-bit integer)");
    if (step && !yyjson_is_null(step) && !wr_mlflow_i64_of(&out->step, step))
        return wr_mlflow_invalid(err, place(what, at, "step"), step, "Step must be a valid long (64-bit integer).");
    if (wr_track_key_check(out->key, KEY, "name", NULL) == 0) return 0;
    return wr_track_key_check(out->key, KEY, place(what, at, "name"), err);
}

/* ---- metrics of logged models ---- */

/* Points that say of which logged model they are belong to it too. Few do, so a member more than the usual four comes
 * before the look-up. */
static wr_str model_of(yyjson_val *o)
{
    return yyjson_obj_size(o) > 4 ? wr_mlflow_str_of(o, "model_id") : (wr_str){NULL, 0};
}

/* `batch`: the points as they came, NULL when the request itself is the only one. */
static bool names_model(const wr_mlflow_call *c, yyjson_val *batch)
{
    yyjson_val *v;
    size_t i, max;
    yyjson_arr_foreach(batch, i, max, v) if (model_of(v).n) return true;
    return !batch && model_of(c->in).n > 0;
}

static int keep_of_model(wr_mlflow_call *c, const wr_track_run *r, const wr_track_point *p, yyjson_val *o, wr_err *err)
{
    wr_str model = model_of(o);
    if (!model.n) return 0;
    wr_logged_point point = {.key = p->key,
                             .value = p->value,
                             .step = p->step,
                             .time_ms = p->time_ms,
                             .dataset_name = wr_mlflow_str_of(o, "dataset_name"),
                             .dataset_digest = wr_mlflow_str_of(o, "dataset_digest")};
    return wr_logged_model_put_metrics(c->track, model, r->id, &point, 1, err);
}

static int keep_of_models(wr_mlflow_call *c, const wr_track_run *r, const wr_track_point *points, yyjson_val *batch,
                          wr_err *err)
{
    yyjson_val *v;
    size_t i, max;
    if (!batch) return keep_of_model(c, r, points, c->in, err);
    yyjson_arr_foreach(batch, i, max, v) WR_TRY(keep_of_model(c, r, &points[i], v, err));
    return 0;
}

/* ---- keeping points ---- */

/* Through the log when there is one, else (and always inside a write) into the database. */
static int keep(wr_mlflow_call *c, const wr_track_point *points, size_t n, yyjson_val *batch, wr_err *err)
{
    wr_track_run r;
    wr_str run = wr_mlflow_str(c, "run_id");
    bool models = names_model(c, batch);
    if (!wr_track_writing()) {
        if (models || !wr_metric_has_log(c->track)) return WR_MLFLOW_IN_WRITE;
        return wr_metric_append(c->track, run, points, n, err);
    }
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, run, err));
    if (models) WR_TRY(keep_of_models(c, &r, points, batch, err));
    wr_metric_run to = {r.id, r.experiment, r.start_ms};
    return wr_metric_put(c->track, &to, points, n, err);
}

static int log_metric(wr_mlflow_call *c, wr_err *err)
{
    wr_track_point p;
    if (c->scanned) return wr_metric_append(c->track, c->scanned->run_id, c->scanned->points, c->scanned->n, err);
    WR_TRY(read_point(&p, c->in, -1, err));
    return keep(c, &p, 1, NULL, err);
}

static int too_many(const char *what, size_t limit, size_t n, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL,
                      "A batch logging request can contain at most %zu %s. Got %zu %s. Please split up %s across "
                      "multiple requests and try again.",
                      limit, what, n, what, what);
}

static int check_batch(size_t metrics, size_t params, size_t tags, wr_err *err)
{
    if (metrics > METRICS) return too_many("metrics", METRICS, metrics, err);
    if (params > PARAMS_TAGS) return too_many("params", PARAMS_TAGS, params, err);
    if (tags > PARAMS_TAGS) return too_many("tags", PARAMS_TAGS, tags, err);
    if (metrics + params + tags > ENTITIES)
        return too_many("metrics, params, and tags", ENTITIES, metrics + params + tags, err);
    return 0;
}

/* Alnum, then word characters and dashes, at most 256. */
static int check_run_id(wr_str id, yyjson_val *v, wr_err *err)
{
    bool ok = id.n >= 1 && id.n <= 256 && id.p[0] != '_' && id.p[0] != '-';
    for (size_t i = 0; ok && i < id.n; i++) {
        char ch = id.p[i];
        ok = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || ch == '_' || ch == '-';
    }
    return ok ? 0 : wr_mlflow_invalid(err, "run_id", v, "it is not the id of a run.");
}

static int check_items(const wr_track_item *items, size_t n, const char *what, bool unique, wr_err *err)
{
    char path[48];
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s[%zu].key", what, i);
        WR_TRY(wr_track_key_check(items[i].key, KEY, path, err));
        for (size_t j = 0; unique && j < i; j++)
            if (wr_str_eq(items[i].key, items[j].key))
                return wr_err_set(err, WEIR_EINVAL,
                                  "Duplicate parameter keys have been submitted: ['%.*s']. Please ensure the request "
                                  "contains only one param value "
                                  "per param key.",
                                  WR_STR_FMT(wr_str_fit(items[i].key, 100)));
    }
    return 0;
}

static int read_points(wr_track_point **out, size_t *n, wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *v, *metrics = wr_mlflow_val(c, "metrics");
    size_t i, max;
    *n = yyjson_arr_size(metrics);
    *out = wr_arena_alloc(c->arena, (*n + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_arr_foreach(metrics, i, max, v) WR_TRY(read_point(&(*out)[i], v, (int64_t)i, err));
    return 0;
}

static int log_batch(wr_mlflow_call *c, wr_err *err)
{
    wr_track_point *points;
    wr_track_item *params, *tags;
    size_t nparams, ntags, npoints;
    wr_track_run r;
    if (c->scanned) return wr_metric_append(c->track, c->scanned->run_id, c->scanned->points, c->scanned->n, err);
    WR_TRY(check_batch(yyjson_arr_size(wr_mlflow_val(c, "metrics")), yyjson_arr_size(wr_mlflow_val(c, "params")),
                       yyjson_arr_size(wr_mlflow_val(c, "tags")), err));
    WR_TRY(check_run_id(wr_mlflow_str(c, "run_id"), wr_mlflow_val(c, "run_id"), err));
    WR_TRY(read_points(&points, &npoints, c, err));
    WR_TRY(wr_mlflow_items(&params, &nparams, c, "params", err));
    WR_TRY(wr_mlflow_items(&tags, &ntags, c, "tags", err));
    WR_TRY(check_items(params, nparams, "params", true, err));
    WR_TRY(check_items(tags, ntags, "tags", false, err));
    if ((nparams || ntags) && !wr_track_writing()) return WR_MLFLOW_IN_WRITE; /* all of it or nothing */
    yyjson_val *batch = wr_mlflow_val(c, "metrics");
    if (!nparams && !ntags) return keep(c, points, npoints, batch, err);
    WR_TRY(wr_track_run_active(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err));
    for (size_t i = 0; i < nparams; i++)
        WR_TRY(wr_track_run_set_param(c->track, &r, params[i].key, params[i].value, err));
    if (npoints) WR_TRY(keep(c, points, npoints, batch, err));
    for (size_t i = 0; i < ntags; i++) WR_TRY(wr_track_run_set_tag(c->track, &r, tags[i].key, tags[i].value, err));
    return 0;
}

/* ---- history ---- */

/* A token is the last point of the page before: "step.time.bits of the value" in hexadecimal. */
static void put_token(wr_jsonw *w, const wr_track_point *last)
{
    char text[64];
    uint64_t bits;
    memcpy(&bits, &last->value, sizeof bits);
    snprintf(text, sizeof text, "%llx.%llx.%llx", (unsigned long long)last->step, (unsigned long long)last->time_ms,
             (unsigned long long)bits);
    wr_jsonw_kstr(w, "next_page_token", text);
}

static int read_token(wr_track_point *out, wr_str token, wr_err *err)
{
    unsigned long long step, time, bits;
    int used = 0;
    char text[64];
    if (token.n && token.n < sizeof text) {
        memcpy(text, token.p, token.n);
        text[token.n] = 0;
        if (sscanf(text, "%llx.%llx.%llx%n", &step, &time, &bits, &used) == 3 && (size_t)used == token.n) {
            uint64_t b = bits;
            memcpy(&out->value, &b, sizeof b);
            out->step = (int64_t)step;
            out->time_ms = (int64_t)time;
            return 0;
        }
    }
    return wr_err_set(err, WEIR_EINVAL, "Invalid page token, could not decode it");
}

static int get_history(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    wr_track_point *points, after;
    size_t n;
    wr_str token = wr_mlflow_str(c, "page_token"), key = wr_mlflow_str(c, "metric_key");
    int64_t max = wr_mlflow_i64(c, "max_results", 0);
    if (wr_mlflow_val(c, "max_results") && max <= 0)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid value %lld for parameter 'max_results' supplied. It must be a positive integer.",
                          (long long)max);
    if (token.n) WR_TRY(read_token(&after, token, err));
    int rc = wr_track_run_get(&r, c->arena, c->track, wr_mlflow_str(c, "run_id"), err);
    if (rc == WEIR_ENOTFOUND) return 0; /* as MLflow: no points */
    WR_TRY(rc);
    if (max > HISTORY_MAX) max = HISTORY_MAX;
    WR_TRY(wr_metric_history(&points, &n, c->arena, c->track, r.id, key, token.n ? &after : NULL,
                             max ? (size_t)max + 1 : 0, err));
    size_t shown = max && n > (size_t)max ? (size_t)max : n;
    if (!shown) return 0;
    wr_jsonw_key(&c->w, "metrics");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < shown; i++) wr_mlflow_put_metric(&c->w, &points[i], NULL);
    wr_jsonw_end(&c->w);
    if (shown < n) put_token(&c->w, &points[shown - 1]);
    return 0;
}

/* Runs of the request that exist, each once. */
typedef struct {
    const char **uuid;
    int64_t *id;
    size_t n;
} runs_of;

static int text_order(const void *a, const void *b) { return wr_str_cmp(*(const wr_str *)a, *(const wr_str *)b); }

static bool named_before(const wr_str *names, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (wr_str_eq(names[k], names[i])) return true;
    return false;
}

static int find_runs(runs_of *out, wr_mlflow_call *c, const wr_str *names, size_t n, wr_err *err)
{
    *out = (runs_of){wr_arena_calloc(c->arena, n + 1, sizeof(char *)),
                     wr_arena_calloc(c->arena, n + 1, sizeof(int64_t)), 0};
    if (!out->uuid || !out->id) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        wr_track_run r;
        int rc = wr_track_run_get(&r, c->arena, c->track, names[i], err);
        if (rc == WEIR_ENOTFOUND || named_before(names, i)) continue;
        WR_TRY(rc);
        out->uuid[out->n] = r.uuid.p;
        out->id[out->n++] = r.id;
    }
    return 0;
}

static int get_history_bulk(wr_mlflow_call *c, wr_err *err)
{
    wr_str *names;
    size_t n, left;
    runs_of runs;
    int64_t max = wr_mlflow_i64(c, "max_results", BULK_POINTS);
    WR_TRY(wr_mlflow_strs(&names, &n, c, "run_id", err));
    if (!n) return wr_err_set(err, WEIR_EINVAL, "GetMetricHistoryBulk request must specify at least one run_id.");
    if (n > BULK_RUNS)
        return wr_err_set(err, WEIR_EINVAL,
                          "GetMetricHistoryBulk request cannot specify more than %d run_ids. Received %zu run_ids.",
                          BULK_RUNS, n);
    if (!wr_mlflow_val(c, "metric_key"))
        return wr_err_set(err, WEIR_EINVAL, "GetMetricHistoryBulk request must specify a metric_key.");
    left = max > 0 && max < BULK_POINTS ? (size_t)max : BULK_POINTS;
    qsort(names, n, sizeof *names, text_order); /* rows come by the ids of runs */
    WR_TRY(find_runs(&runs, c, names, n, err));
    wr_jsonw_key(&c->w, "metrics");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < runs.n && left; i++) {
        wr_track_point *points;
        size_t count;
        WR_TRY(wr_metric_history(&points, &count, c->arena, c->track, runs.id[i], wr_mlflow_str(c, "metric_key"), NULL,
                                 left, err));
        for (size_t k = 0; k < count; k++) wr_mlflow_put_metric(&c->w, &points[k], runs.uuid[i]);
        left -= count;
    }
    wr_jsonw_end(&c->w);
    return 0;
}

static int step_range(int64_t *from, int64_t *to, wr_mlflow_call *c, wr_err *err)
{
    bool has_from = wr_mlflow_val(c, "start_step") != NULL, has_to = wr_mlflow_val(c, "end_step") != NULL;
    *from = wr_mlflow_i64(c, "start_step", INT64_MIN);
    *to = wr_mlflow_i64(c, "end_step", INT64_MAX);
    if (has_from != has_to)
        return wr_err_set(err, WEIR_EINVAL, "If either start step or end step are specified, both must be specified.");
    if (*from > *to)
        return wr_err_set(err, WEIR_EINVAL,
                          "end_step must be greater than start_step. Found start_step=%lld and end_step=%lld.",
                          (long long)*from, (long long)*to);
    return 0;
}

static int get_history_bulk_interval(wr_mlflow_call *c, wr_err *err)
{
    wr_str *names;
    size_t n;
    runs_of runs;
    int64_t max = wr_mlflow_i64(c, "max_results", SAMPLE_MAX), from, to;
    WR_TRY(wr_mlflow_strs(&names, &n, c, "run_ids", err));
    if (!n) return wr_mlflow_missing(err, "run_ids");
    if (n > BULK_RUNS)
        return wr_err_set(err, WEIR_EINVAL,
                          "GetMetricHistoryBulkInterval request must specify at most %d run_ids. Received %zu run_ids.",
                          BULK_RUNS, n);
    if (max < 1 || max > SAMPLE_MAX)
        return wr_err_set(err, WEIR_EINVAL, "max_results must be between 1 and %d.", SAMPLE_MAX);
    WR_TRY(step_range(&from, &to, c, err));
    WR_TRY(find_runs(&runs, c, names, n, err));
    wr_metric_series *series = wr_arena_calloc(c->arena, runs.n + 1, sizeof *series);
    if (!series) return wr_err_nomem(err);
    WR_TRY(wr_metric_sample(series, c->arena, c->track, runs.id, runs.n, wr_mlflow_str(c, "metric_key"), from, to,
                            (size_t)max, err));
    bool open = false;
    for (size_t i = 0; i < runs.n; i++) {
        if (series[i].n && !open) {
            wr_jsonw_key(&c->w, "metrics");
            wr_jsonw_arr(&c->w);
            open = true;
        }
        for (size_t k = 0; k < series[i].n; k++) wr_mlflow_put_metric(&c->w, &series[i].points[k], runs.uuid[i]);
    }
    if (open) wr_jsonw_end(&c->w);
    return 0;
}

static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "2.0/mlflow/runs/log-metric",
     WR_MLFLOW_APPEND,
     log_metric,
     {{"run_id", 's', true},
      {"key", 's', true},
      {"value", 'f', true},
      {"timestamp", 'i', true},
      {"step", 'i', false},
      {"model_id", 's', false},
      {"dataset_name", 's', false},
      {"dataset_digest", 's', false}}},
    {"POST",
     "2.0/mlflow/runs/log-batch",
     WR_MLFLOW_APPEND,
     log_batch,
     {{"run_id", 's', true}, {"metrics", 'a', false}, {"params", 'a', false}, {"tags", 'a', false}}},
    {"GET",
     "2.0/mlflow/metrics/get-history",
     WR_MLFLOW_QUERY,
     get_history,
     {{"run_id", 's', true}, {"metric_key", 's', true}, {"max_results", 'i', false}, {"page_token", 's', false}}},
    {"GET",
     "2.0/mlflow/metrics/get-history-bulk",
     WR_MLFLOW_QUERY,
     get_history_bulk,
     {{"metric_key", 's', false}, {"max_results", 'i', false}}},
    {"GET",
     "2.0/mlflow/metrics/get-history-bulk-interval",
     WR_MLFLOW_QUERY,
     get_history_bulk_interval,
     {{"run_ids", 'a', true},
      {"metric_key", 's', true},
      {"start_step", 'i', false},
      {"end_step", 'i', false},
      {"max_results", 'i', false}}},
};
const wr_mlflow_rpcs wr_mlflow_metrics = {rpcs, sizeof rpcs / sizeof *rpcs};
