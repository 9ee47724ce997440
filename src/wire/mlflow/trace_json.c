/* SPDX-License-Identifier: Apache-2.0 */
/* trace_json.c - traces, spans and assessments in MLflow's JSON. Protobuf's JSON mapping, with names of protobuf:
 * members without a value are left out, times are RFC 3339, durations "0.001s", bytes base64. */
#include "wire/mlflow/trace_json.h"

#include <math.h>
#include <stdio.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/num.h"
#include "codec/base64.h"
#include "track/run.h"

enum { META_SHOWN = 250, TAG_SHOWN = 4096 }; /* characters that MLflow's entities give away */

yyjson_val *wr_mlflow_member(yyjson_val *obj, const char *name)
{
    char camel[64];
    size_t n = 0;
    yyjson_val *v = yyjson_obj_get(obj, name);
    if (!v) {
        for (const char *p = name; *p && n < sizeof camel - 1; p++) {
            if (*p == '_' && p[1]) p++, camel[n++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
            else camel[n++] = *p;
        }
        camel[n] = 0;
        v = yyjson_obj_get(obj, camel);
    }
    return v && !yyjson_is_null(v) ? v : NULL;
}

wr_str wr_mlflow_member_str(yyjson_val *obj, const char *name)
{
    yyjson_val *v = wr_mlflow_member(obj, name);
    return yyjson_is_str(v) ? (wr_str){yyjson_get_str(v), yyjson_get_len(v)} : (wr_str){NULL, 0};
}

int wr_mlflow_time(int64_t *out_ms, yyjson_val *obj, const char *name, wr_err *err)
{
    int64_t us;
    yyjson_val *v = wr_mlflow_member(obj, name);
    if (!v) return 0;
    if (!yyjson_is_str(v) || wr_time_parse(&us, wr_mlflow_member_str(obj, name), NULL) < 0)
        return wr_mlflow_invalid(err, name, v, "expected a time such as 2025-04-15T08:49:18.699Z.");
    *out_ms = us / 1000 - (us % 1000 < 0);
    return 0;
}

void wr_mlflow_put_time(wr_jsonw *w, const char *key, int64_t ms)
{
    char text[WR_TIME_TEXT];
    const int64_t first = -62135596800000, last = 253402300799999; /* years 1 to 9999: what a Timestamp can say */
    wr_time_format(text, (ms < first ? first : ms > last ? last : ms) * 1000);
    wr_jsonw_kstr(w, key, text);
}

/* ---- infos ---- */

/* {"k": "v"}; values that are no texts are written as texts. */
static int read_map(wr_track_item **out, size_t *n, wr_arena *a, yyjson_val *map, const char *name, wr_err *err)
{
    yyjson_val *k, *v;
    size_t i, max;
    *n = 0;
    *out = NULL;
    if (!map) return 0;
    if (!yyjson_is_obj(map)) return wr_mlflow_invalid(err, name, map, NULL);
    *out = wr_arena_calloc(a, yyjson_obj_size(map) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_obj_foreach(map, i, max, k, v)
    {
        wr_track_item item = {{yyjson_get_str(k), yyjson_get_len(k)}, {yyjson_get_str(v), yyjson_get_len(v)}};
        if (!item.key.n) continue;
        if (!yyjson_is_str(v)) return wr_mlflow_invalid(err, name, v, NULL);
        if (item.key.n > WR_TRACE_KEY) WR_TRY(wr_track_length_check(item.key, WR_TRACE_KEY, name, err));
        (*out)[(*n)++] = item;
    }
    return 0;
}

static int read_duration(int64_t *out_ms, yyjson_val *obj, const char *name, wr_err *err)
{
    yyjson_val *v = wr_mlflow_member(obj, name);
    wr_str s = wr_mlflow_member_str(obj, name);
    double seconds;
    *out_ms = WR_TRACE_NONE;
    if (!v) return 0;
    bool ok = s.n > 1 && s.p[s.n - 1] == 's' && wr_num_f64(&seconds, wr_str_sub(s, 0, s.n - 1), NULL) == 0 &&
              fabs(seconds) < 3.2e11;
    if (!ok) return wr_mlflow_invalid(err, name, v, "expected a duration such as \"0.25s\".");
    *out_ms = (int64_t)(seconds * 1000 + (seconds < 0 ? -1e-6 : 1e-6));
    return 0;
}

static int read_state(int *out, yyjson_val *obj, wr_err *err)
{
    yyjson_val *v = wr_mlflow_member(obj, "state");
    *out = WR_TRACE_UNSPECIFIED;
    if (!v) return 0;
    if (yyjson_is_str(v)) *out = wr_trace_state_parse(wr_mlflow_member_str(obj, "state"));
    else *out = yyjson_is_uint(v) && yyjson_get_uint(v) <= WR_TRACE_IN_PROGRESS ? (int)yyjson_get_uint(v) : -1;
    return *out < 0 ? wr_mlflow_invalid(err, "state", v, "expected OK, ERROR, IN_PROGRESS or STATE_UNSPECIFIED.") : 0;
}

static int read_assessments(wr_trace *out, wr_arena *a, yyjson_val *list, wr_err *err)
{
    yyjson_val *v;
    size_t i, max;
    out->assessments = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof *out->assessments);
    if (!out->assessments) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        wr_assessment *x = &out->assessments[out->nassessments++];
        WR_TRY(wr_mlflow_read_assessment(x, a, v, err));
        x->trace = out->uuid;
        x->valid = true;
    }
    return 0;
}

int wr_mlflow_read_trace_info(wr_trace *out, wr_arena *a, yyjson_val *info, wr_err *err)
{
    yyjson_val *location = wr_mlflow_member(wr_mlflow_member(info, "trace_location"), "mlflow_experiment");
    wr_str experiment = wr_mlflow_member_str(location, "experiment_id");
    *out = (wr_trace){.uuid = wr_mlflow_member_str(info, "trace_id"),
                      .client_request_id = wr_mlflow_member_str(info, "client_request_id"),
                      .request_preview = wr_mlflow_member_str(info, "request_preview"),
                      .response_preview = wr_mlflow_member_str(info, "response_preview")};
    if (!out->uuid.n) return wr_mlflow_missing(err, "trace.trace_info.trace_id");
    if (!experiment.n) return wr_mlflow_missing(err, "trace.trace_info.trace_location.mlflow_experiment.experiment_id");
    WR_TRY(wr_mlflow_experiment_id(&out->experiment, experiment, err));
    WR_TRY(wr_mlflow_time(&out->time_ms, info, "request_time", err));
    WR_TRY(read_duration(&out->duration_ms, info, "execution_duration", err));
    WR_TRY(read_state(&out->state, info, err));
    WR_TRY(read_map(&out->tags, &out->ntags, a, wr_mlflow_member(info, "tags"), "tags", err));
    WR_TRY(
        read_map(&out->metadata, &out->nmetadata, a, wr_mlflow_member(info, "trace_metadata"), "trace_metadata", err));
    return read_assessments(out, a, wr_mlflow_member(info, "assessments"), err);
}

static void put_map(wr_jsonw *w, const char *key, const wr_track_item *items, size_t n, size_t most)
{
    if (!n) return;
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_kslice(w, items[i].key.p, wr_track_cut(items[i].value, most));
    wr_jsonw_end(w);
}

static void put_experiment(wr_jsonw *w, int64_t experiment)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)experiment);
    wr_jsonw_kstr(w, "experiment_id", id);
}

void wr_mlflow_put_trace_info(wr_jsonw *w, const char *key, const wr_trace *t)
{
    char duration[32];
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "trace_id", t->uuid);
    if (t->client_request_id.p) wr_jsonw_kslice(w, "client_request_id", t->client_request_id);
    wr_jsonw_key(w, "trace_location");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "type", "MLFLOW_EXPERIMENT");
    wr_jsonw_key(w, "mlflow_experiment");
    wr_jsonw_obj(w);
    put_experiment(w, t->experiment);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    if (t->request_preview.p) wr_jsonw_kslice(w, "request_preview", t->request_preview);
    if (t->response_preview.p) wr_jsonw_kslice(w, "response_preview", t->response_preview);
    wr_mlflow_put_time(w, "request_time", t->time_ms);
    if (t->duration_ms != WR_TRACE_NONE) {
        long long ms = t->duration_ms < 0 ? -t->duration_ms : t->duration_ms;
        int n = snprintf(duration, sizeof duration, "%s%lld", t->duration_ms < 0 ? "-" : "", ms / 1000);
        if (ms % 1000) n += snprintf(duration + n, sizeof duration - (size_t)n, ".%03lld", ms % 1000);
        snprintf(duration + n, sizeof duration - (size_t)n, "s");
        wr_jsonw_kstr(w, "execution_duration", duration);
    }
    wr_jsonw_kstr(w, "state", wr_trace_state_name(t->state));
    put_map(w, "trace_metadata", t->metadata, t->nmetadata, META_SHOWN);
    if (t->nassessments) {
        wr_jsonw_key(w, "assessments");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < t->nassessments; i++) wr_mlflow_put_assessment(w, NULL, &t->assessments[i]);
        wr_jsonw_end(w);
    }
    put_map(w, "tags", t->tags, t->ntags, TAG_SHOWN);
    wr_jsonw_end(w);
}

static void put_pairs(wr_jsonw *w, const char *key, const wr_track_item *items, size_t n, size_t most)
{
    if (!n) return;
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "key", items[i].key);
        wr_jsonw_kslice(w, "value", wr_track_cut(items[i].value, most));
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

void wr_mlflow_put_trace_info_v2(wr_jsonw *w, const char *key, const wr_trace *t)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "request_id", t->uuid);
    put_experiment(w, t->experiment);
    wr_jsonw_ki64(w, "timestamp_ms", t->time_ms);
    wr_jsonw_ki64(w, "execution_time_ms", t->duration_ms == WR_TRACE_NONE ? 0 : t->duration_ms);
    wr_jsonw_kstr(w, "status",
                  t->state == WR_TRACE_UNSPECIFIED ? "TRACE_STATUS_UNSPECIFIED" : wr_trace_state_name(t->state));
    put_pairs(w, "request_metadata", t->metadata, t->nmetadata, META_SHOWN);
    put_pairs(w, "tags", t->tags, t->ntags, TAG_SHOWN);
    wr_jsonw_end(w);
}

/* ---- spans ---- */

/* A value of JSON as an AnyValue; lists and maps as deep as the parser went. */
static void put_any(wr_jsonw *w, yyjson_val *v)
{
    yyjson_val *k, *e;
    size_t i, max;
    wr_jsonw_obj(w);
    if (yyjson_is_str(v)) {
        wr_jsonw_kslice(w, "string_value", (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
    } else if (yyjson_is_bool(v)) {
        wr_jsonw_kbool(w, "bool_value", yyjson_get_bool(v));
    } else if (yyjson_is_real(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX)) {
        wr_mlflow_put_double(w, "double_value", yyjson_get_num(v));
    } else if (yyjson_is_int(v)) {
        wr_jsonw_ki64(w, "int_value", yyjson_get_sint(v));
    } else if (yyjson_is_ctn(v)) {
        wr_jsonw_key(w, yyjson_is_arr(v) ? "array_value" : "kvlist_value");
        wr_jsonw_obj(w);
        if (yyjson_get_len(v)) {
            wr_jsonw_key(w, "values");
            wr_jsonw_arr(w);
            yyjson_arr_foreach(v, i, max, e) put_any(w, e);
            yyjson_obj_foreach(v, i, max, k, e)
            {
                wr_jsonw_obj(w);
                wr_jsonw_kslice(w, "key", (wr_str){yyjson_get_str(k), yyjson_get_len(k)});
                wr_jsonw_key(w, "value");
                put_any(w, e);
                wr_jsonw_end(w);
            }
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

/* Written apart from `w`, whose nesting is bounded: a map takes four levels for one. */
static void put_value(wr_jsonw *w, yyjson_val *v)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw inner;
    wr_jsonw_init(&inner, &b, 0);
    put_any(&inner, v);
    if (!b.failed) {
        wr_jsonw_raw(w, wr_buf_view(&b));
        return;
    }
    WR_AUTOBUF wr_buf text = {0}; /* too deep for that: as its JSON text */
    wr_jsonw_init(&inner, &text, 0);
    wr_jsonw_val(&inner, v);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "string_value", wr_buf_view(&text));
    wr_jsonw_end(w);
}

/* {"key": value}; `packed`: values are texts that hold JSON. */
static void put_attributes(wr_jsonw *w, yyjson_val *map, bool packed)
{
    yyjson_val *k, *v;
    size_t i, max;
    if (!yyjson_is_obj(map) || !yyjson_obj_size(map)) return;
    wr_jsonw_key(w, "attributes");
    wr_jsonw_arr(w);
    yyjson_obj_foreach(map, i, max, k, v)
    {
        WR_AUTOJSON wr_json j = {0};
        wr_str text = {yyjson_get_str(v), yyjson_get_len(v)};
        bool unpacked = packed && yyjson_is_str(v) && wr_json_parse_lenient(&j, text, NULL) == 0;
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "key", (wr_str){yyjson_get_str(k), yyjson_get_len(k)});
        wr_jsonw_key(w, "value");
        put_value(w, unpacked ? j.root : v);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_copy(wr_jsonw *w, yyjson_val *span, const char *name)
{
    yyjson_val *v = yyjson_obj_get(span, name);
    bool empty = !v || yyjson_is_null(v) || (yyjson_is_str(v) && !yyjson_get_len(v)) ||
                 (yyjson_is_uint(v) && !yyjson_get_uint(v));
    if (empty) return;
    wr_jsonw_key(w, name);
    wr_jsonw_val(w, v);
}

/* Hexadecimal digits of an id as the base64 of its bytes. */
static void put_hex(wr_jsonw *w, const char *key, wr_str hex)
{
    WR_AUTOBUF wr_buf b = {0};
    char bytes[16];
    size_t n = 0;
    unsigned v = 0;
    if (wr_str_starts(hex, "tr-")) hex = wr_str_sub(hex, 3, hex.n);
    for (size_t i = 0; i < hex.n && n < sizeof bytes; i++) {
        v = v << 4 | (unsigned)wr_hex_digit(hex.p[i]);
        if (i % 2) bytes[n++] = (char)v;
    }
    wr_base64_encode(&b, (wr_str){bytes, n}, false);
    wr_jsonw_kslice(w, key, wr_buf_view(&b));
}

static void put_events(wr_jsonw *w, yyjson_val *events)
{
    yyjson_val *e;
    size_t i, max;
    if (!yyjson_arr_size(events)) return;
    wr_jsonw_key(w, "events");
    wr_jsonw_arr(w);
    yyjson_arr_foreach(events, i, max, e)
    {
        wr_jsonw_obj(w);
        put_copy(w, e, "time_unix_nano");
        put_copy(w, e, "name");
        put_attributes(w, yyjson_obj_get(e, "attributes"), false);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_links(wr_jsonw *w, yyjson_val *links)
{
    yyjson_val *l;
    size_t i, max;
    if (!yyjson_arr_size(links)) return;
    wr_jsonw_key(w, "links");
    wr_jsonw_arr(w);
    yyjson_arr_foreach(links, i, max, l)
    {
        wr_jsonw_obj(w);
        put_hex(w, "trace_id", wr_mlflow_str_of(l, "trace_id"));
        put_hex(w, "span_id", wr_mlflow_str_of(l, "span_id"));
        put_attributes(w, yyjson_obj_get(l, "attributes"), false);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_span(wr_jsonw *w, yyjson_val *s)
{
    yyjson_val *status = yyjson_obj_get(s, "status"), *code = yyjson_obj_get(status, "code");
    wr_jsonw_obj(w);
    put_copy(w, s, "trace_id");
    put_copy(w, s, "span_id");
    put_copy(w, s, "parent_span_id");
    put_copy(w, s, "name");
    put_copy(w, s, "start_time_unix_nano");
    put_copy(w, s, "end_time_unix_nano");
    put_attributes(w, yyjson_obj_get(s, "attributes"), true);
    put_events(w, yyjson_obj_get(s, "events"));
    put_links(w, yyjson_obj_get(s, "links"));
    wr_jsonw_key(w, "status");
    wr_jsonw_obj(w);
    put_copy(w, status, "message");
    if (code && !yyjson_equals_str(code, "STATUS_CODE_UNSET")) put_copy(w, status, "code");
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

int wr_mlflow_put_spans(wr_jsonw *w, const wr_str *spans, size_t n, wr_err *err)
{
    if (!n) return 0;
    wr_jsonw_key(w, "spans");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        WR_AUTOJSON wr_json j = {0};
        int rc = wr_json_parse_lenient(&j, spans[i], err);
        if (rc < 0) return rc == WEIR_ENOMEM ? rc : wr_err_set(err, WEIR_ECORRUPT, "a span cannot be read");
        put_span(w, j.root);
    }
    wr_jsonw_end(w);
    return 0;
}

/* ---- assessments ---- */

static wr_str json_of(wr_arena *a, yyjson_val *v)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    if (v) wr_jsonw_val(&w, v);
    else wr_jsonw_null(&w);
    return b.failed ? (wr_str){NULL, 0} : wr_arena_str(a, wr_buf_view(&b));
}

wr_str wr_mlflow_text_map(wr_arena *a, yyjson_val *map)
{
    yyjson_val *k, *v;
    size_t i, max;
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    if (!yyjson_obj_size(map)) return (wr_str){NULL, 0};
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    yyjson_obj_foreach(map, i, max, k, v)
    {
        if (!yyjson_is_str(v)) continue;
        wr_jsonw_kslice(&w, yyjson_get_str(k), (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
    }
    wr_jsonw_end(&w);
    return b.failed ? (wr_str){NULL, 0} : wr_arena_str(a, wr_buf_view(&b));
}

static int read_error(wr_str *out, wr_arena *a, yyjson_val *error, wr_err *err)
{
    static const char *const names[] = {"error_code", "error_message", "stack_trace"};
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    if (!error) return 0;
    if (!yyjson_is_obj(error)) return wr_mlflow_invalid(err, "feedback.error", error, NULL);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    for (size_t i = 0; i < 3; i++) {
        wr_str s = wr_mlflow_member_str(error, names[i]);
        if (s.n) wr_jsonw_kslice(&w, names[i], s);
    }
    wr_jsonw_end(&w);
    *out = wr_arena_str(a, wr_buf_view(&b));
    return b.failed || !out->p ? wr_err_nomem(err) : 0;
}

int wr_mlflow_read_judgement(wr_assessment *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *feedback = wr_mlflow_member(v, "feedback"), *expectation = wr_mlflow_member(v, "expectation");
    yyjson_val *issue = wr_mlflow_member(v, "issue"), *packed = wr_mlflow_member(expectation, "serialized_value");
    if (!!feedback + !!expectation + !!issue != 1)
        return wr_err_set(err, WEIR_EINVAL,
                          "Exactly one of `expectation`, `feedback`, or `issue` should be specified.");
    if (feedback) {
        out->kind = WR_ASSESS_FEEDBACK;
        out->value = json_of(a, yyjson_obj_get(feedback, "value"));
        WR_TRY(read_error(&out->error, a, wr_mlflow_member(feedback, "error"), err));
    } else if (issue) {
        out->kind = WR_ASSESS_ISSUE;
        out->value = json_of(a, issue);
    } else {
        out->kind = WR_ASSESS_EXPECTATION;
        if (packed) {
            wr_str text = wr_mlflow_member_str(packed, "value");
            if (wr_json_parse_lenient(&j, text.p ? text : WR_STR(""), NULL) < 0)
                return wr_mlflow_invalid(err, "expectation.serialized_value.value", wr_mlflow_member(packed, "value"),
                                         "it is no JSON.");
        }
        yyjson_val *value = packed ? j.root : yyjson_obj_get(expectation, "value");
        if (!value || yyjson_is_null(value))
            return wr_err_set(err, WEIR_EINVAL, "The `value` field must be specified.");
        out->value = json_of(a, value);
    }
    return out->value.p ? 0 : wr_err_nomem(err);
}

static int read_source(wr_assessment *out, yyjson_val *source, wr_err *err)
{
    static const char *const types[] = {"SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "CODE"};
    yyjson_val *type = wr_mlflow_member(source, "source_type");
    wr_str id = wr_mlflow_member_str(source, "source_id");
    int found = type ? -1 : 0;
    for (int i = 0; i < 4; i++)
        if (yyjson_equals_str(type, types[i]) || (yyjson_is_uint(type) && yyjson_get_uint(type) == (uint64_t)i))
            found = i;
    if (found < 0) return wr_mlflow_invalid(err, "source.source_type", type, "expected HUMAN, LLM_JUDGE or CODE.");
    out->source_type = wr_str_of(types[found]);
    out->source_id = id.n ? id : (wr_str){NULL, 0};
    return 0;
}

static wr_str or_null(wr_str s) { return s.n ? s : (wr_str){NULL, 0}; }

int wr_mlflow_read_assessment(wr_assessment *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    yyjson_val *metadata = wr_mlflow_member(v, "metadata");
    *out = (wr_assessment){.id = wr_mlflow_member_str(v, "assessment_id"),
                           .name = wr_mlflow_member_str(v, "assessment_name"),
                           .span = or_null(wr_mlflow_member_str(v, "span_id")),
                           .rationale = or_null(wr_mlflow_member_str(v, "rationale")),
                           .overrides = or_null(wr_mlflow_member_str(v, "overrides")),
                           .run = or_null(wr_mlflow_str_of(metadata, "mlflow.assessment.sourceRunId")),
                           .metadata = wr_mlflow_text_map(a, metadata)};
    if (!out->name.n) return wr_mlflow_missing(err, "assessment.assessment_name");
    WR_TRY(read_source(out, wr_mlflow_member(v, "source"), err));
    WR_TRY(wr_mlflow_time(&out->created_ms, v, "create_time", err));
    WR_TRY(wr_mlflow_time(&out->updated_ms, v, "last_update_time", err));
    return wr_mlflow_read_judgement(out, a, v, err);
}

static bool scalar(wr_str json) { return json.n && *json.p != '{' && *json.p != '['; }

static void put_judgement(wr_jsonw *w, const wr_assessment *x)
{
    bool packed = x->kind == WR_ASSESS_EXPECTATION && (!scalar(x->value) || wr_str_is(x->value, "null"));
    wr_jsonw_key(w, x->kind == WR_ASSESS_FEEDBACK ? "feedback" : x->kind == WR_ASSESS_ISSUE ? "issue" : "expectation");
    if (x->kind == WR_ASSESS_ISSUE) {
        wr_jsonw_raw(w, x->value);
        return;
    }
    wr_jsonw_obj(w);
    if (packed) {
        wr_jsonw_key(w, "serialized_value");
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "serialization_format", "JSON_FORMAT");
        wr_jsonw_kslice(w, "value", x->value);
        wr_jsonw_end(w);
    } else {
        wr_jsonw_key(w, "value");
        wr_jsonw_raw(w, x->value);
    }
    if (x->error.p) {
        wr_jsonw_key(w, "error");
        wr_jsonw_raw(w, x->error);
    }
    wr_jsonw_end(w);
}

void wr_mlflow_put_assessment(wr_jsonw *w, const char *key, const wr_assessment *x)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "assessment_id", x->id);
    wr_jsonw_kslice(w, "assessment_name", x->name);
    wr_jsonw_kslice(w, "trace_id", x->trace);
    if (x->span.p) wr_jsonw_kslice(w, "span_id", x->span);
    wr_jsonw_key(w, "source");
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "source_type", x->source_type);
    if (x->source_id.p) wr_jsonw_kslice(w, "source_id", x->source_id);
    wr_jsonw_end(w);
    wr_mlflow_put_time(w, "create_time", x->created_ms);
    wr_mlflow_put_time(w, "last_update_time", x->updated_ms);
    put_judgement(w, x);
    if (x->rationale.p) wr_jsonw_kslice(w, "rationale", x->rationale);
    if (x->metadata.p) {
        wr_jsonw_key(w, "metadata");
        wr_jsonw_raw(w, x->metadata);
    }
    if (x->overrides.p) wr_jsonw_kslice(w, "overrides", x->overrides);
    wr_jsonw_kbool(w, "valid", x->valid);
    wr_jsonw_end(w);
}
