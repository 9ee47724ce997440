/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json.c - the JSON form of OTLP's traces. Members of the wrong type are errors, unknown ones are skipped. */
#include <stdlib.h>

#include "base/num.h"
#include "base/chars.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/otlp_inside.h"

typedef struct {
    wr_otlp_reader o;
    wr_err *err;
} reader;

static int wrong(reader *r, const char *what)
{
    return wr_err_set(r->err, WEIR_EPARSE, "ExportTraceServiceRequest: %s", what);
}

/* "startTimeUnixNano", or as protobuf's own JSON also takes it "start_time_unix_nano". */
static yyjson_val *member(yyjson_val *obj, const char *camel)
{
    char snake[64];
    size_t n = 0;
    yyjson_val *v = yyjson_obj_get(obj, camel);
    if (v) return yyjson_is_null(v) ? NULL : v;
    for (const char *p = camel; *p && n < sizeof snake - 2; p++) {
        if (*p >= 'A' && *p <= 'Z') snake[n++] = '_';
        snake[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    }
    snake[n] = 0;
    v = yyjson_obj_get(obj, snake);
    return yyjson_is_null(v) ? NULL : v;
}

static int text(wr_str *out, reader *r, yyjson_val *obj, const char *key)
{
    yyjson_val *v = member(obj, key);
    if (!v) return 0;
    if (!yyjson_is_str(v)) return wrong(r, "a text is none");
    *out = wr_arena_str(r->o.arena, (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
    return out->p ? 0 : wr_err_nomem(r->err);
}

static int list(yyjson_val **out, reader *r, yyjson_val *obj, const char *key)
{
    *out = member(obj, key);
    if (!*out || yyjson_is_arr(*out)) return 0;
    return wrong(r, "a list is none");
}

static bool u64_of(uint64_t *out, yyjson_val *v)
{
    char *end;
    if (yyjson_is_uint(v)) *out = yyjson_get_uint(v);
    else if (!yyjson_is_str(v)) return false;
    else {
        const char *s = yyjson_get_str(v);
        if (*s < '0' || *s > '9' || yyjson_get_len(v) > 20) return false;
        *out = strtoull(s, &end, 10);
        return *end == 0;
    }
    return true;
}

static int time_of(uint64_t *out, reader *r, yyjson_val *obj, const char *key)
{
    yyjson_val *v = member(obj, key);
    return !v || u64_of(out, v) ? 0 : wrong(r, "a time is no number of nanoseconds");
}

/* 1 an id, 0 none or one of another length, < 0 no id at all. */
static int id_of(unsigned char *out, size_t size, reader *r, yyjson_val *obj, const char *key)
{
    yyjson_val *v = member(obj, key);
    if (!v) return 0;
    const char *s = yyjson_get_str(v);
    size_t n = yyjson_get_len(v);
    if (!s || n % 2) return wrong(r, "an id is not hexadecimal");
    for (size_t i = 0; i < n; i++)
        if (wr_hex_digit(s[i]) < 0) return wrong(r, "an id is not hexadecimal");
    if (n != 2 * size) return 0;
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)(wr_hex_digit(s[2 * i]) << 4 | wr_hex_digit(s[2 * i + 1]));
    return 1;
}

/* ---- values ---- */

static int read_value(wr_otlp_value *out, reader *r, yyjson_val *v, int depth);

static int read_items(wr_otlp_value *out, reader *r, yyjson_val *v, int depth)
{
    yyjson_val *values, *e;
    size_t i, max;
    if (!yyjson_is_obj(v)) return wrong(r, "a list or map of values is none");
    WR_TRY(list(&values, r, v, "values"));
    if (depth >= WR_LIMIT_OTLP_DEPTH) r->o.why = "an attribute is nested too deeply";
    if (yyjson_arr_size(values) > WR_LIMIT_OTLP_ITEMS) r->o.why = "a list in an attribute is too long";
    if (!values || r->o.why) return 0;
    out->items.at = wr_arena_calloc(r->o.arena, yyjson_arr_size(values) + 1, sizeof *out->items.at);
    if (!out->items.at) return wr_err_nomem(r->err);
    yyjson_arr_foreach(values, i, max, e)
    {
        wr_otlp_attr *next = &out->items.at[out->items.n++];
        next->key = WR_STR("");
        if (out->kind == WR_OTLP_MAP) WR_TRY(text(&next->key, r, e, "key"));
        WR_TRY(read_value(&next->value, r, out->kind == WR_OTLP_MAP ? member(e, "value") : e, depth + 1));
    }
    return 0;
}

static int read_number(wr_otlp_value *out, reader *r, yyjson_val *v, bool whole)
{
    wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
    out->kind = whole ? WR_OTLP_INT : WR_OTLP_F64;
    if (whole) {
        if (yyjson_is_int(v) && !(yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX)) out->i = yyjson_get_sint(v);
        else if (!s.p || wr_num_i64(&out->i, s, NULL) < 0) return wrong(r, "intValue is no number of 64 bits");
    } else if (yyjson_is_num(v)) out->f = yyjson_get_num(v);
    else if (s.p && wr_str_is(s, "Infinity")) out->f = __builtin_inf();
    else if (s.p && wr_str_is(s, "-Infinity")) out->f = -__builtin_inf();
    else if (!s.p || wr_num_f64(&out->f, s, NULL) < 0) return wrong(r, "doubleValue is no number");
    return 0;
}

static int read_bytes(wr_otlp_value *out, reader *r, yyjson_val *v)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
    if (!s.p || !wr_base64_decode(&b, s)) return wrong(r, "bytesValue is not base64");
    *out = (wr_otlp_value){.kind = WR_OTLP_BYTES, .s = wr_arena_str(r->o.arena, wr_buf_view(&b))};
    return out->s.p ? 0 : wr_err_nomem(r->err);
}

static int read_value(wr_otlp_value *out, reader *r, yyjson_val *v, int depth)
{
    yyjson_val *m;
    *out = (wr_otlp_value){.kind = WR_OTLP_NONE};
    if (!v) return 0;
    if (!yyjson_is_obj(v)) return wrong(r, "a value is no object");
    if (member(v, "stringValue")) {
        out->kind = WR_OTLP_STR;
        return text(&out->s, r, v, "stringValue");
    }
    if ((m = member(v, "boolValue"))) {
        if (!yyjson_is_bool(m)) return wrong(r, "boolValue is neither true nor false");
        *out = (wr_otlp_value){.kind = WR_OTLP_BOOL, .i = yyjson_get_bool(m)};
        return 0;
    }
    if ((m = member(v, "intValue"))) return read_number(out, r, m, true);
    if ((m = member(v, "doubleValue"))) return read_number(out, r, m, false);
    if ((m = member(v, "bytesValue"))) return read_bytes(out, r, m);
    if ((m = member(v, "arrayValue"))) out->kind = WR_OTLP_LIST;
    else if ((m = member(v, "kvlistValue"))) out->kind = WR_OTLP_MAP;
    return m ? read_items(out, r, m, depth) : 0;
}

static int read_attrs(wr_otlp_attrs *out, reader *r, yyjson_val *obj)
{
    yyjson_val *values, *e;
    size_t i, max;
    WR_TRY(list(&values, r, obj, "attributes"));
    if (yyjson_arr_size(values) > WR_LIMIT_OTLP_ATTRIBUTES) r->o.why = "there are too many attributes";
    if (!values || r->o.why) return 0;
    out->at = wr_arena_calloc(r->o.arena, yyjson_arr_size(values) + 1, sizeof *out->at);
    if (!out->at) return wr_err_nomem(r->err);
    yyjson_arr_foreach(values, i, max, e)
    {
        wr_otlp_attr *next = &out->at[out->n++];
        next->key = WR_STR("");
        if (!yyjson_is_obj(e)) return wrong(r, "an attribute is no object");
        WR_TRY(text(&next->key, r, e, "key"));
        WR_TRY(read_value(&next->value, r, member(e, "value"), 0));
    }
    return 0;
}

/* ---- spans ---- */

static int read_events(wr_otlp_span *s, reader *r, yyjson_val *obj)
{
    yyjson_val *values, *e;
    size_t i, max;
    WR_TRY(list(&values, r, obj, "events"));
    if (yyjson_arr_size(values) > WR_LIMIT_OTLP_EVENTS) r->o.why = "there are too many events";
    if (!values || r->o.why) return 0;
    s->events = wr_arena_calloc(r->o.arena, yyjson_arr_size(values) + 1, sizeof *s->events);
    if (!s->events) return wr_err_nomem(r->err);
    yyjson_arr_foreach(values, i, max, e)
    {
        wr_otlp_event *event = &s->events[s->nevents++];
        event->name = WR_STR("");
        if (!yyjson_is_obj(e)) return wrong(r, "an event is no object");
        WR_TRY(text(&event->name, r, e, "name"));
        WR_TRY(time_of(&event->time_ns, r, e, "timeUnixNano"));
        WR_TRY(read_attrs(&event->attrs, r, e));
    }
    return 0;
}

static int read_links(wr_otlp_span *s, reader *r, yyjson_val *obj)
{
    yyjson_val *values, *e;
    size_t i, max;
    WR_TRY(list(&values, r, obj, "links"));
    if (yyjson_arr_size(values) > WR_LIMIT_OTLP_EVENTS) r->o.why = "there are too many links";
    if (!values || r->o.why) return 0;
    s->links = wr_arena_calloc(r->o.arena, yyjson_arr_size(values) + 1, sizeof *s->links);
    if (!s->links) return wr_err_nomem(r->err);
    yyjson_arr_foreach(values, i, max, e)
    {
        wr_otlp_link *l = &s->links[s->nlinks];
        int trace = id_of(l->trace, sizeof l->trace, r, e, "traceId");
        int span = trace < 0 ? trace : id_of(l->span, sizeof l->span, r, e, "spanId");
        if (span < 0) return span;
        WR_TRY(read_attrs(&l->attrs, r, e));
        if (trace && span) s->nlinks++;
        else *l = (wr_otlp_link){0};
    }
    return 0;
}

static int read_status(wr_otlp_span *s, reader *r, yyjson_val *obj)
{
    yyjson_val *status = member(obj, "status"), *code = member(status, "code");
    if (!status) return 0;
    WR_TRY(text(&s->message, r, status, "message"));
    const char *name = yyjson_get_str(code);
    if (yyjson_is_uint(code)) s->status = (int)(yyjson_get_uint(code) & 3);
    else if (name) s->status = strcmp(name, "STATUS_CODE_OK") == 0 ? 1 : strcmp(name, "STATUS_CODE_ERROR") == 0 ? 2 : 0;
    return 0;
}

static int read_span(reader *r, const wr_otlp_attrs *resource, yyjson_val *v)
{
    wr_otlp_span *s = wr_otlp_span_begin(&r->o, resource);
    if (!s) return wr_err_nomem(r->err);
    if (!yyjson_is_obj(v)) return wrong(r, "a span is no object");
    int trace = id_of(s->trace, sizeof s->trace, r, v, "traceId");
    int span = trace < 0 ? trace : id_of(s->span, sizeof s->span, r, v, "spanId");
    int parent = span < 0 ? span : id_of(s->parent, sizeof s->parent, r, v, "parentSpanId");
    if (parent < 0) return parent;
    s->has_parent = parent > 0;
    WR_TRY(text(&s->name, r, v, "name"));
    WR_TRY(time_of(&s->start_ns, r, v, "startTimeUnixNano"));
    WR_TRY(time_of(&s->end_ns, r, v, "endTimeUnixNano"));
    WR_TRY(read_status(s, r, v));
    WR_TRY(read_attrs(&s->attrs, r, v));
    WR_TRY(read_events(s, r, v));
    WR_TRY(read_links(s, r, v));
    wr_otlp_span_end(&r->o, s, trace && span);
    return 0;
}

static int read_resource_spans(reader *r, yyjson_val *v)
{
    yyjson_val *scopes, *spans, *scope, *span, *m;
    size_t i, j, imax, jmax;
    wr_otlp_attrs *resource = wr_arena_calloc(r->o.arena, 1, sizeof *resource);
    if (!resource) return wr_err_nomem(r->err);
    r->o.out->nresources++;
    if (!yyjson_is_obj(v)) return wrong(r, "resourceSpans holds something else");
    if ((m = member(v, "resource"))) WR_TRY(read_attrs(resource, r, m));
    WR_TRY(list(&scopes, r, v, "scopeSpans"));
    yyjson_arr_foreach(scopes, i, imax, scope)
    {
        WR_TRY(list(&spans, r, scope, "spans"));
        yyjson_arr_foreach(spans, j, jmax, span) WR_TRY(read_span(r, resource, span));
    }
    return 0;
}

int wr_otlp_read_json(wr_otlp_spans *out, wr_arena *a, wr_str body, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    reader r = {.o = {.arena = a, .out = out}, .err = err};
    yyjson_val *resources, *e;
    size_t i, max;
    *out = (wr_otlp_spans){0};
    WR_TRY(wr_json_parse(&j, body, "ExportTraceServiceRequest", err));
    if (!yyjson_is_obj(j.root)) return wrong(&r, "the body is no object");
    WR_TRY(list(&resources, &r, j.root, "resourceSpans"));
    yyjson_arr_foreach(resources, i, max, e) WR_TRY(read_resource_spans(&r, e));
    return wr_otlp_done(&r.o, err);
}
