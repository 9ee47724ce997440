/* SPDX-License-Identifier: Apache-2.0 */
/* traces.c - traces/...: start, read, search, tags, links, deleting; of MLflow 3 under /api/3.0, of MLflow 2 under
 * /api/2.0. Spans come in by OTLP (otlp.c), assessments are in assessments.c. */
#include <math.h>
#include <time.h>

#include "base/clock.h"
#include "track/trace_metrics.h"
#include "track/trace_search.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/artifacts.h"
#include "wire/mlflow/rpcs.h"
#include "wire/mlflow/trace_json.h"

enum { RESULTS = 100, MOST_RESULTS = 500, MOST_TRACES = 10000 };

/* ---- start and end ---- */

static int start_v3(wr_mlflow_call *c, wr_err *err)
{
    wr_trace in, out;
    yyjson_val *info = wr_mlflow_member(wr_mlflow_val(c, "trace"), "trace_info");
    if (!info) return wr_mlflow_missing(err, "trace.trace_info");
    WR_TRY(wr_mlflow_read_trace_info(&in, c->arena, info, err));
    WR_TRY(wr_mlflow_edits_trace(c->access, c->track, in.uuid, err)); /* it may be there, in another experiment */
    WR_TRY(wr_trace_start(&out, c->arena, c->track, &in, err));
    wr_jsonw_key(&c->w, "trace");
    wr_jsonw_obj(&c->w);
    wr_mlflow_put_trace_info(&c->w, "trace_info", &out);
    wr_jsonw_end(&c->w);
    return 0;
}

static int read_v2(wr_trace *in, wr_mlflow_call *c, wr_err *err)
{
    *in = (wr_trace){.time_ms = wr_mlflow_i64(c, "timestamp_ms", 0)};
    WR_TRY(wr_mlflow_items(&in->tags, &in->ntags, c, "tags", err));
    return wr_mlflow_items(&in->metadata, &in->nmetadata, c, "request_metadata", err);
}

static int start_v2(wr_mlflow_call *c, wr_err *err)
{
    wr_trace in, out;
    WR_TRY(read_v2(&in, c, err));
    WR_TRY(wr_mlflow_experiment_id(&in.experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(wr_trace_begin(&out, c->arena, c->track, &in, err));
    wr_mlflow_put_trace_info_v2(&c->w, "trace_info", &out);
    return 0;
}

static int end_v2(wr_mlflow_call *c, wr_err *err)
{
    wr_trace in, out;
    yyjson_val *status = wr_mlflow_val(c, "status");
    int state = yyjson_is_str(status) ? wr_trace_state_parse(wr_mlflow_str(c, "status")) : WR_TRACE_UNSPECIFIED;
    if (state < 0) return wr_mlflow_invalid(err, "status", status, "expected OK, ERROR or IN_PROGRESS.");
    WR_TRY(read_v2(&in, c, err));
    WR_TRY(wr_trace_end(&out, c->arena, c->track, c->segment[0], in.time_ms, state, &in, err));
    wr_mlflow_put_trace_info_v2(&c->w, "trace_info", &out);
    return 0;
}

/* ---- reading ---- */

static int one(wr_trace *out, wr_mlflow_call *c, wr_str uuid, wr_err *err)
{
    WR_TRY(wr_trace_get(out, c->arena, c->track, uuid, err));
    return wr_trace_load(out, 1, c->arena, c->track, err);
}

static int get_info_v3(wr_mlflow_call *c, wr_err *err)
{
    wr_trace t;
    WR_TRY(one(&t, c, c->segment[0], err));
    wr_jsonw_key(&c->w, "trace");
    wr_jsonw_obj(&c->w);
    wr_mlflow_put_trace_info(&c->w, "trace_info", &t);
    wr_jsonw_end(&c->w);
    return 0;
}

static int get_info_v2(wr_mlflow_call *c, wr_err *err)
{
    wr_trace t;
    WR_TRY(one(&t, c, c->segment[0], err));
    wr_mlflow_put_trace_info_v2(&c->w, "trace_info", &t);
    return 0;
}

static int elsewhere(wr_mlflow_call *c, wr_err *err)
{
    c->error_code = "BAD_REQUEST";
    return wr_err_set(err, WEIR_EINVAL, "Trace data not stored in tracking store");
}

static bool in_store(const wr_trace *t) { return wr_str_is(t->spans, WR_TRACE_IN_STORE); }

static int put_trace(wr_mlflow_call *c, const char *key, const wr_trace *t, const wr_str *spans, size_t n, wr_err *err)
{
    if (key) wr_jsonw_key(&c->w, key);
    wr_jsonw_obj(&c->w);
    wr_mlflow_put_trace_info(&c->w, "trace_info", t);
    WR_TRY(wr_mlflow_put_spans(&c->w, spans, n, err));
    wr_jsonw_end(&c->w);
    return 0;
}

/* A client that has just sent a trace asks for it while its spans are still on their way: a short wait instead of a
 * 404. Only for traces of the last seconds, and not forever; on a reader's thread. */
static bool wait_for_spans(const wr_trace *t, int tries)
{
    enum { TRIES = 20, RECENT_MS = 10000 };
    int64_t ended = t->time_ms + (t->duration_ms == WR_TRACE_NONE ? 0 : t->duration_ms), now = wr_track_now_ms();
    if (tries >= TRIES || ended < now - RECENT_MS || ended > now + RECENT_MS) return false;
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return true;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_trace t;
    wr_str *spans, uuid = wr_mlflow_str(c, "trace_id");
    size_t n = 0;
    bool partial = wr_mlflow_bool(c, "allow_partial", false);
    for (int tries = 0;; tries++) {
        int rc = one(&t, c, uuid, err);
        if (rc == WEIR_ENOTFOUND)
            return wr_err_set(err, rc, "Trace with ID %.*s is not found.", WR_STR_FMT(wr_str_fit(uuid, 60)));
        if (rc < 0) return rc;
        if (in_store(&t)) WR_TRY(wr_trace_spans(&spans, &n, c->arena, c->track, &t, err));
        bool complete = in_store(&t) && wr_trace_complete(&t, n);
        if (complete || (partial && in_store(&t))) return put_trace(c, "trace", &t, spans, n, err);
        if (partial || !wait_for_spans(&t, tries)) break;
    }
    if (!in_store(&t)) return elsewhere(c, err);
    return wr_err_set(err, WEIR_ENOTFOUND, "Trace with ID %.*s is not fully exported yet, please try again later.",
                      WR_STR_FMT(wr_str_fit(uuid, 60)));
}

/* Those of `trace_ids` that are there, each once, in the order asked for; of some experiments only, when they are
 * named. */
static int batch(wr_trace **out, size_t *n, wr_mlflow_call *c, wr_err *err)
{
    wr_str *ids, *names;
    size_t nids, nnames;
    *n = 0;
    WR_TRY(wr_mlflow_strs(&ids, &nids, c, "trace_ids", err));
    WR_TRY(wr_mlflow_strs(&names, &nnames, c, "experiment_ids", err));
    if (nids > MOST_TRACES) return wr_err_set(err, WEIR_EINVAL, "more than %d traces in one request", MOST_TRACES);
    *out = wr_arena_calloc(c->arena, nids + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < nids; i++) {
        wr_err none = {0};
        wr_trace t;
        int64_t experiment;
        int rc = wr_trace_get(&t, c->arena, c->track, ids[i], &none);
        if (rc == WEIR_ENOTFOUND) continue;
        if (rc < 0) {
            *err = none;
            return rc;
        }
        bool wanted = !wr_mlflow_val(c, "experiment_ids"), seen = false;
        for (size_t k = 0; k < nnames; k++) {
            WR_TRY(wr_mlflow_experiment_id(&experiment, names[k], err));
            wanted |= experiment == t.experiment;
        }
        for (size_t k = 0; k < *n; k++) seen |= (*out)[k].id == t.id;
        if (wanted && !seen) (*out)[(*n)++] = t;
    }
    return wr_trace_load(*out, *n, c->arena, c->track, err);
}

static int batch_get(wr_mlflow_call *c, wr_err *err)
{
    wr_trace *traces;
    size_t n;
    WR_TRY(batch(&traces, &n, c, err));
    bool begun = false;
    for (size_t i = 0; i < n; i++) {
        wr_str *spans;
        size_t nspans;
        if (!in_store(&traces[i])) return elsewhere(c, err);
        WR_TRY(wr_trace_spans(&spans, &nspans, c->arena, c->track, &traces[i], err));
        if (!wr_trace_complete(&traces[i], nspans)) continue;
        if (!begun) {
            wr_jsonw_key(&c->w, "traces");
            wr_jsonw_arr(&c->w);
            begun = true;
        }
        WR_TRY(put_trace(c, NULL, &traces[i], spans, nspans, err));
    }
    if (begun) wr_jsonw_end(&c->w);
    return 0;
}

static int batch_get_infos(wr_mlflow_call *c, wr_err *err)
{
    wr_trace *traces;
    size_t n;
    WR_TRY(batch(&traces, &n, c, err));
    if (!n) return 0;
    wr_jsonw_key(&c->w, "trace_infos");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++) wr_mlflow_put_trace_info(&c->w, NULL, &traces[i]);
    wr_jsonw_end(&c->w);
    return 0;
}

/* Attachments are named by UUIDs: digits in lower case and their dashes. */
static bool attachment_ok(wr_str path)
{
    if (path.n != 36) return false;
    for (size_t i = 0; i < path.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? path.p[i] != '-' : !strchr("0123456789abcdef", path.p[i]) || !path.p[i]) return false;
    }
    return true;
}

static wr_str tag_of(const wr_trace *t, const char *key)
{
    for (size_t i = 0; i < t->ntags; i++)
        if (wr_str_is(t->tags[i].key, key)) return t->tags[i].value;
    return WR_STR("");
}

/* The spans as a file, from wherever they are kept; or one of the trace's attachments. */
static int artifact(wr_mlflow_call *c, wr_err *err)
{
    wr_trace t;
    wr_str *spans, path = wr_mlflow_str(c, "path");
    size_t n;
    if (path.n && !attachment_ok(path))
        return wr_err_set(err, WEIR_EINVAL, "Invalid attachment path: '%.*s'. Attachment path must be a valid UUID.",
                          WR_STR_FMT(wr_str_fit(path, 100)));
    WR_TRY(one(&t, c, wr_mlflow_str(c, "request_id"), err));
    if (path.n || !in_store(&t)) {
        const char *file = path.n ? wr_arena_printf(c->arena, "attachments/%.*s", WR_STR_FMT(path)) : "traces.json";
        if (!file) return wr_err_nomem(err);
        return wr_mlflow_content(c, tag_of(&t, "mlflow.artifactLocation"), wr_str_of(file), err);
    }
    WR_TRY(wr_trace_spans(&spans, &n, c->arena, c->track, &t, err));
    wr_buf_clear(c->out);
    wr_buf_str(c->out, "{\"spans\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) wr_buf_char(c->out, ',');
        wr_buf_slice(c->out, spans[i]);
    }
    wr_buf_str(c->out, "]}");
    c->type = "application/octet-stream";
    c->headers = "Content-Disposition: attachment; filename=traces.json\r\nX-Content-Type-Options: nosniff\r\n";
    return 0;
}

/* ---- searching ---- */

/* Those that whoever asks may read. */
static int experiments_of(int64_t **out, size_t *n, wr_mlflow_call *c, const wr_str *ids, size_t nids, wr_err *err)
{
    *n = 0;
    *out = wr_arena_calloc(c->arena, nids + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < nids; i++) {
        WR_TRY(wr_mlflow_experiment_id(&(*out)[*n], ids[i], err));
        *n += wr_mlflow_may_read_experiment(c, (*out)[*n]);
    }
    return 0;
}

static int search(wr_trace **out, size_t *n, wr_mlflow_call *c, const wr_str *ids, size_t nids, wr_err *err)
{
    wr_str *order, next;
    int64_t *experiments, max = wr_mlflow_i64(c, "max_results", RESULTS);
    wr_trace_search_opt opt = {.filter = wr_mlflow_str(c, "filter"), .token = wr_mlflow_str(c, "page_token")};
    if (max > MOST_RESULTS)
        return wr_mlflow_invalid(err, "max_results", wr_mlflow_val(c, "max_results"), "It must be at most 500.");
    if (max < 1)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid value %lld for parameter 'max_results' supplied. It must be a positive integer",
                          (long long)max);
    opt.max = (size_t)max;
    WR_TRY(wr_mlflow_strs(&order, &opt.norder, c, "order_by", err));
    WR_TRY(experiments_of(&experiments, &opt.nexperiments, c, ids, nids, err));
    opt.order = order;
    opt.experiments = experiments;
    WR_TRY(wr_trace_search(out, n, &next, c->arena, c->track, &opt, err));
    if (next.p) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

static int search_v3(wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *locations = wr_mlflow_val(c, "locations"), *l;
    wr_trace *traces;
    size_t n, nids = 0, i, max;
    wr_str *ids = wr_arena_calloc(c->arena, yyjson_arr_size(locations) + 1, sizeof *ids);
    if (!ids) return wr_err_nomem(err);
    yyjson_arr_foreach(locations, i, max, l)
    {
        wr_str id = wr_mlflow_member_str(wr_mlflow_member(l, "mlflow_experiment"), "experiment_id");
        if (id.p) ids[nids++] = id;
    }
    WR_TRY(search(&traces, &n, c, ids, nids, err));
    if (!n) return 0;
    wr_jsonw_key(&c->w, "traces");
    wr_jsonw_arr(&c->w);
    for (i = 0; i < n; i++) wr_mlflow_put_trace_info(&c->w, NULL, &traces[i]);
    wr_jsonw_end(&c->w);
    return 0;
}

static int search_v2(wr_mlflow_call *c, wr_err *err)
{
    wr_trace *traces;
    wr_str *ids;
    size_t n, nids;
    WR_TRY(wr_mlflow_strs(&ids, &nids, c, "experiment_ids", err));
    WR_TRY(search(&traces, &n, c, ids, nids, err));
    if (!n) return 0;
    wr_jsonw_key(&c->w, "traces");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++) wr_mlflow_put_trace_info_v2(&c->w, NULL, &traces[i]);
    wr_jsonw_end(&c->w);
    return 0;
}

static int correlate(wr_mlflow_call *c, wr_err *err)
{
    wr_trace_correlation r;
    wr_str *ids;
    int64_t *experiments;
    size_t nids, n;
    WR_TRY(wr_mlflow_strs(&ids, &nids, c, "experiment_ids", err));
    WR_TRY(experiments_of(&experiments, &n, c, ids, nids, err));
    WR_TRY(wr_trace_correlate(&r, c->arena, c->track, experiments, n, wr_mlflow_str(c, "filter_string1"),
                              wr_mlflow_str(c, "filter_string2"), wr_mlflow_str(c, "base_filter"), err));
    wr_mlflow_put_double(&c->w, "npmi", r.npmi);
    wr_mlflow_put_double(&c->w, "npmi_smoothed", r.smoothed);
    wr_jsonw_ki64(&c->w, "filter1_count", r.first);
    wr_jsonw_ki64(&c->w, "filter2_count", r.second);
    wr_jsonw_ki64(&c->w, "joint_count", r.both);
    wr_jsonw_ki64(&c->w, "total_count", r.total);
    return 0;
}

/* ---- metrics ---- */

/* By name, or by number as protobuf's enums may be. 0: none of them. */
static int enum_of(yyjson_val *v, const char *const *names, int n)
{
    for (int i = 1; i < n; i++)
        if (yyjson_equals_str(v, names[i]) || (yyjson_is_uint(v) && yyjson_get_uint(v) == (uint64_t)i)) return i;
    return 0;
}

static int aggs_of(wr_trace_agg **out, size_t *n, wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *list = wr_mlflow_val(c, "aggregations"), *v;
    size_t i, max;
    *n = 0;
    if (yyjson_arr_size(list) > WR_TRACE_AGGS)
        return wr_mlflow_invalid(err, "aggregations", list, "There are too many.");
    *out = wr_arena_calloc(c->arena, yyjson_arr_size(list) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        wr_trace_agg *g = &(*out)[(*n)++];
        yyjson_val *p = wr_mlflow_member(v, "percentile_value");
        g->kind = (wr_trace_agg_kind)enum_of(wr_mlflow_member(v, "aggregation_type"), wr_trace_agg_names, WR_AGGS);
        g->percentile = NAN;
        if (!g->kind)
            return wr_mlflow_invalid(err, "aggregations", v, "expected COUNT, SUM, AVG, PERCENTILE, MIN or MAX.");
        if (p && !wr_mlflow_f64_of(&g->percentile, p)) return wr_mlflow_invalid(err, "percentile_value", p, NULL);
        if (g->kind == WR_AGG_PERCENTILE && !p)
            return wr_err_set(err, WEIR_EINVAL, "Percentile value is required for PERCENTILE aggregation");
    }
    return 0;
}

static void put_point(wr_jsonw *w, const wr_trace_metric_opt *opt, const wr_trace_point *p)
{
    char text[WR_TIME_TEXT + 8];
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "metric_name", opt->metric);
    wr_jsonw_key(w, "dimensions");
    wr_jsonw_obj(w);
    if (p->bucket_ms != WR_TRACE_NONE) {
        wr_time_format(text, p->bucket_ms * 1000);
        memcpy(strchr(text, 'Z'), "+00:00", 7);
        wr_jsonw_kstr(w, "time_bucket", text);
    }
    for (size_t i = 0; i < opt->ndimensions; i++) wr_jsonw_kslice(w, opt->dimensions[i].p, p->dimensions[i]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "values");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < opt->naggs; i++) {
        WR_AUTOBUF wr_buf name = {0};
        if (isnan(p->values[i])) continue;
        if (opt->aggs[i].kind != WR_AGG_PERCENTILE) wr_buf_str(&name, wr_trace_agg_names[opt->aggs[i].kind]);
        else
            wr_buf_printf(&name, opt->aggs[i].percentile == floor(opt->aggs[i].percentile) ? "P%.1f" : "P%.15g",
                          opt->aggs[i].percentile);
        wr_mlflow_put_double(w, wr_buf_cstr(&name), p->values[i]);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int metrics(wr_mlflow_call *c, wr_err *err)
{
    static const char *const views[] = {"", "TRACES", "SPANS", "ASSESSMENTS"};
    wr_trace_metric_opt opt = {.view = (wr_trace_view)enum_of(wr_mlflow_val(c, "view_type"), views, 4),
                               .metric = wr_mlflow_str(c, "metric_name"),
                               .interval_s = wr_mlflow_i64(c, "time_interval_seconds", 0),
                               .from_ms = wr_mlflow_i64(c, "start_time_ms", WR_TRACE_NONE),
                               .to_ms = wr_mlflow_i64(c, "end_time_ms", WR_TRACE_NONE)};
    wr_str *ids, *names, *filters;
    wr_trace_agg *aggs;
    wr_trace_point *points;
    int64_t *experiments, max = wr_mlflow_i64(c, "max_results", 1000);
    size_t nids, n;
    if (!opt.view)
        return wr_mlflow_invalid(err, "view_type", wr_mlflow_val(c, "view_type"),
                                 "expected TRACES, SPANS or ASSESSMENTS.");
    if (max < 1 || max > 50000)
        return wr_mlflow_invalid(err, "max_results", wr_mlflow_val(c, "max_results"), "expected 1 to 50000.");
    opt.max = (size_t)max;
    WR_TRY(wr_mlflow_strs(&ids, &nids, c, "experiment_ids", err));
    WR_TRY(experiments_of(&experiments, &opt.nexperiments, c, ids, nids, err));
    WR_TRY(wr_mlflow_strs(&names, &opt.ndimensions, c, "dimensions", err));
    WR_TRY(wr_mlflow_strs(&filters, &opt.nfilters, c, "filters", err));
    WR_TRY(aggs_of(&aggs, &opt.naggs, c, err));
    opt.experiments = experiments;
    opt.dimensions = names;
    opt.filters = filters;
    opt.aggs = aggs;
    WR_TRY(wr_trace_metrics(&points, &n, c->arena, c->track, &opt, err));
    if (!n) return 0;
    wr_jsonw_key(&c->w, "data_points");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++) put_point(&c->w, &opt, &points[i]);
    wr_jsonw_end(&c->w);
    return 0;
}

/* ---- tags, links, deleting ---- */

static int set_tag(wr_mlflow_call *c, wr_err *err)
{
    wr_str value = wr_mlflow_str(c, "value");
    return wr_trace_set_tag(c->track, c->arena, c->segment[0], wr_mlflow_str(c, "key"), value.p ? value : WR_STR(""),
                            err);
}

static int delete_tag(wr_mlflow_call *c, wr_err *err)
{
    return wr_trace_delete_tag(c->track, c->arena, c->segment[0], wr_mlflow_str(c, "key"), err);
}

static int link_to_run(wr_mlflow_call *c, wr_err *err)
{
    wr_str *ids;
    size_t n;
    WR_TRY(wr_mlflow_strs(&ids, &n, c, "trace_ids", err));
    return wr_trace_link_run(c->track, ids, n, wr_mlflow_str(c, "run_id"), err);
}

static int link_prompts(wr_mlflow_call *c, wr_err *err)
{
    wr_trace t;
    yyjson_val *v;
    size_t i, max;
    WR_TRY(wr_trace_get(&t, c->arena, c->track, wr_mlflow_str(c, "trace_id"), err));
    yyjson_arr_foreach(wr_mlflow_val(c, "prompt_versions"), i, max, v)
    {
        wr_str name = wr_mlflow_member_str(v, "name"), version = wr_mlflow_member_str(v, "version");
        if (!name.n || !version.n)
            return wr_mlflow_missing(err, name.n ? "prompt_versions.version" : "prompt_versions.name");
        WR_TRY(wr_trace_link_prompt(c->track, t.uuid, name, version, err));
    }
    return 0;
}

static int delete_traces(wr_mlflow_call *c, wr_err *err)
{
    wr_str *ids;
    size_t n;
    int64_t experiment, deleted;
    bool until = wr_mlflow_val(c, "max_timestamp_millis") != NULL, most = wr_mlflow_val(c, "max_traces") != NULL;
    int64_t max = wr_mlflow_i64(c, "max_traces", WR_TRACE_NONE);
    WR_TRY(wr_mlflow_experiment_id(&experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(wr_mlflow_strs(&ids, &n, c, "request_ids", err));
    if (!until && !n)
        return wr_err_set(err, WEIR_EINVAL, "Either `max_timestamp_millis` or `trace_ids` must be specified.");
    if (until && n)
        return wr_err_set(err, WEIR_EINVAL, "Only one of `max_timestamp_millis` and `trace_ids` can be specified.");
    if (n && most) return wr_err_set(err, WEIR_EINVAL, "`max_traces` can't be specified if `trace_ids` is specified.");
    if (most && max <= 0)
        return wr_err_set(err, WEIR_EINVAL, "`max_traces` must be a positive integer, received %lld.", (long long)max);
    WR_TRY(wr_trace_delete(&deleted, c->track, c->arena, experiment, ids, n,
                           wr_mlflow_i64(c, "max_timestamp_millis", 0), max, err));
    wr_jsonw_ki64(&c->w, "traces_deleted", deleted);
    return 0;
}

#define TAG                                                                                                            \
    {                                                                                                                  \
        {"key", 's', true}, { "value", 's', false }                                                                    \
    }
#define DELETE                                                                                                         \
    {                                                                                                                  \
        {"experiment_id", 's', true}, {"max_timestamp_millis", 'i', false}, {"max_traces", 'i', false},                \
        {                                                                                                              \
            "request_ids", 'a', false                                                                                  \
        }                                                                                                              \
    }
#define PAGE                                                                                                           \
    {"filter", 's', false}, {"max_results", 'i', false}, {"order_by", 'a', false}, { "page_token", 's', false }
#define PAIRS                                                                                                          \
    {"request_metadata", 'a', false}, { "tags", 'a', false }
static const wr_mlflow_rpc rpcs[] = {
    {"POST", "3.0/mlflow/traces", WR_MLFLOW_WRITE, start_v3, {{"trace", 'o', true}}},
    {"POST",
     "2.0/mlflow/traces",
     WR_MLFLOW_WRITE,
     start_v2,
     {{"experiment_id", 's', true}, {"timestamp_ms", 'i', false}, PAIRS}},
    {"PATCH",
     "2.0/mlflow/traces/{}",
     WR_MLFLOW_WRITE,
     end_v2,
     {{"timestamp_ms", 'i', false}, {"status", 's', false}, PAIRS}},
    {"GET", "2.0/mlflow/traces/{}/info", WR_MLFLOW_READ, get_info_v2, {{0}}},
    {"GET", "3.0/mlflow/traces/get", WR_MLFLOW_QUERY, get, {{"trace_id", 's', true}, {"allow_partial", 'b', false}}},
    {"GET",
     "3.0/mlflow/traces/batchGet",
     WR_MLFLOW_QUERY,
     batch_get,
     {{"trace_ids", 'a', true}, {"experiment_ids", 'a', false}}},
    {"POST",
     "3.0/mlflow/traces/batchGetInfos",
     WR_MLFLOW_QUERY,
     batch_get_infos,
     {{"trace_ids", 'a', true}, {"experiment_ids", 'a', false}}},
    {"GET", "3.0/mlflow/traces/{}", WR_MLFLOW_READ, get_info_v3, {{0}}},
    {"GET",
     "2.0/mlflow/get-trace-artifact",
     WR_MLFLOW_QUERY,
     artifact,
     {{"request_id", 's', true}, {"path", 's', false}}},
    {"GET",
     "3.0/mlflow/get-trace-artifact",
     WR_MLFLOW_QUERY,
     artifact,
     {{"request_id", 's', true}, {"path", 's', false}}},
    {"POST", "3.0/mlflow/traces/search", WR_MLFLOW_QUERY, search_v3, {{"locations", 'a', true}, PAGE}},
    {"GET", "2.0/mlflow/traces", WR_MLFLOW_QUERY, search_v2, {{"experiment_ids", 'a', true}, PAGE}},
    {"POST",
     "3.0/mlflow/traces/calculate-filter-correlation",
     WR_MLFLOW_QUERY,
     correlate,
     {{"experiment_ids", 'a', true},
      {"filter_string1", 's', true},
      {"filter_string2", 's', true},
      {"base_filter", 's', false}}},
    {"POST",
     "3.0/mlflow/traces/metrics",
     WR_MLFLOW_QUERY,
     metrics,
     {{"experiment_ids", 'a', true},
      {"view_type", '*', true},
      {"metric_name", 's', true},
      {"aggregations", 'a', true},
      {"dimensions", 'a', false},
      {"filters", 'a', false},
      {"time_interval_seconds", 'i', false},
      {"start_time_ms", 'i', false},
      {"end_time_ms", 'i', false},
      {"max_results", 'i', false},
      {"page_token", 's', false}}},
    {"PATCH", "2.0/mlflow/traces/{}/tags", WR_MLFLOW_WRITE, set_tag, TAG},
    {"PATCH", "3.0/mlflow/traces/{}/tags", WR_MLFLOW_WRITE, set_tag, TAG},
    {"DELETE", "2.0/mlflow/traces/{}/tags", WR_MLFLOW_WRITE, delete_tag, {{"key", 's', true}}},
    {"DELETE", "3.0/mlflow/traces/{}/tags", WR_MLFLOW_WRITE, delete_tag, {{"key", 's', true}}},
    {"POST",
     "2.0/mlflow/traces/link-to-run",
     WR_MLFLOW_WRITE,
     link_to_run,
     {{"trace_ids", 'a', true}, {"run_id", 's', true}}},
    {"POST",
     "2.0/mlflow/traces/link-prompts",
     WR_MLFLOW_WRITE,
     link_prompts,
     {{"trace_id", 's', true}, {"prompt_versions", 'a', true}}},
    {"POST", "2.0/mlflow/traces/delete-traces", WR_MLFLOW_WRITE, delete_traces, DELETE},
    {"POST", "3.0/mlflow/traces/delete-traces", WR_MLFLOW_WRITE, delete_traces, DELETE},
};
const wr_mlflow_rpcs wr_mlflow_traces = {rpcs, sizeof rpcs / sizeof *rpcs};
