/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.c - the protobuf form of OTLP's traces, and the response. Numbers of fields are those of
 * opentelemetry-proto 1.x.
 *
 * A nested message's fields come in any order, so a resource may come behind its spans: spans point to a place for it
 * that is filled when it comes. */
#include "codec/otlp.h"

#include <stdio.h>

#include "codec/json.h"
#include "codec/otlp_inside.h"
#include "codec/protobuf.h"

/* ---- lists that grow in the arena ---- */

void *wr_otlp_push(wr_arena *a, void *at, size_t n, size_t size)
{
    /* doubles at powers of two from 4 on; what is left behind is at most what is kept */
    if (n != 0 && (!at || n < 4 || (n & (n - 1)) != 0)) return at;
    size_t cap = n < 4 ? 4 : 2 * n;
    char *grown = wr_arena_calloc(a, cap, size);
    if (grown && n) memcpy(grown, at, n * size);
    return grown;
}

const wr_otlp_value *wr_otlp_get(const wr_otlp_attrs *attrs, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = attrs->n; i-- > 0;)
        if (attrs->at[i].key.n == length && memcmp(attrs->at[i].key.p, key, length) == 0) return &attrs->at[i].value;
    return NULL;
}

/* ---- values ---- */

static void read_value(wr_otlp_reader *o, wr_otlp_value *out, wr_pb *r, const wr_pb_field *f, int depth);

static void read_pair(wr_otlp_reader *o, wr_otlp_attr *out, wr_pb *r, const wr_pb_field *f, int depth)
{
    wr_pb m;
    wr_pb_field g;
    *out = (wr_otlp_attr){.key = WR_STR("")};
    wr_pb_enter(&m, r, f);
    while (wr_pb_next(&m, &g)) {
        if (g.number == 1) out->key = wr_pb_str(&m, &g);
        else if (g.number == 2) read_value(o, &out->value, &m, &g, depth);
    }
}

static void read_items(wr_otlp_reader *o, wr_otlp_value *out, wr_pb *r, const wr_pb_field *f, int depth)
{
    wr_pb m;
    wr_pb_field g;
    wr_otlp_attrs items = {0};
    out->items = items;
    if (depth >= WR_LIMIT_OTLP_DEPTH) {
        o->why = "an attribute is nested too deeply";
        return;
    }
    wr_pb_enter(&m, r, f);
    while (wr_pb_next(&m, &g)) {
        if (g.number != 1) continue;
        if (items.n == WR_LIMIT_OTLP_ITEMS) {
            o->why = "a list in an attribute is too long";
            break;
        }
        items.at = wr_otlp_push(o->arena, items.at, items.n, sizeof *items.at);
        if (!items.at) return;
        wr_otlp_attr *next = &items.at[items.n++];
        if (out->kind == WR_OTLP_MAP) read_pair(o, next, &m, &g, depth + 1);
        else read_value(o, &next->value, &m, &g, depth + 1);
    }
    out->items = items;
}

static void read_value(wr_otlp_reader *o, wr_otlp_value *out, wr_pb *r, const wr_pb_field *f, int depth)
{
    wr_pb m;
    wr_pb_field g;
    *out = (wr_otlp_value){.kind = WR_OTLP_NONE};
    wr_pb_enter(&m, r, f);
    while (wr_pb_next(&m, &g)) switch (g.number) {
        case 1:
            *out = (wr_otlp_value){.kind = WR_OTLP_STR, .s = wr_pb_str(&m, &g)};
            break;
        case 2:
            *out = (wr_otlp_value){.kind = WR_OTLP_BOOL, .i = wr_pb_bool(&m, &g)};
            break;
        case 3:
            *out = (wr_otlp_value){.kind = WR_OTLP_INT, .i = wr_pb_i64(&m, &g)};
            break;
        case 4:
            *out = (wr_otlp_value){.kind = WR_OTLP_F64, .f = wr_pb_f64(&m, &g)};
            break;
        case 5:
        case 6:
            out->kind = g.number == 5 ? WR_OTLP_LIST : WR_OTLP_MAP;
            read_items(o, out, &m, &g, depth);
            break;
        case 7:
            *out = (wr_otlp_value){.kind = WR_OTLP_BYTES, .s = wr_pb_bytes(&m, &g)};
            break;
        default:
            break;
        }
}

static void add_attr(wr_otlp_reader *o, wr_otlp_attrs *attrs, wr_pb *r, const wr_pb_field *f)
{
    if (attrs->n == WR_LIMIT_OTLP_ATTRIBUTES) {
        o->why = "there are too many attributes";
        return;
    }
    attrs->at = wr_otlp_push(o->arena, attrs->at, attrs->n, sizeof *attrs->at);
    if (attrs->at) read_pair(o, &attrs->at[attrs->n++], r, f, 0);
}

/* ---- spans ---- */

static bool id_of(unsigned char *out, size_t size, wr_str bytes)
{
    if (bytes.n != size) return false;
    memcpy(out, bytes.p, size);
    return true;
}

static void add_event(wr_otlp_reader *o, wr_otlp_span *s, wr_pb *r, const wr_pb_field *f)
{
    wr_pb m;
    wr_pb_field g;
    if (s->nevents == WR_LIMIT_OTLP_EVENTS) {
        o->why = "there are too many events";
        return;
    }
    s->events = wr_otlp_push(o->arena, s->events, s->nevents, sizeof *s->events);
    if (!s->events) return;
    wr_otlp_event *e = &s->events[s->nevents++];
    *e = (wr_otlp_event){.name = WR_STR("")};
    wr_pb_enter(&m, r, f);
    while (wr_pb_next(&m, &g)) {
        if (g.number == 1) e->time_ns = wr_pb_fixed64(&m, &g);
        else if (g.number == 2) e->name = wr_pb_str(&m, &g);
        else if (g.number == 3) add_attr(o, &e->attrs, &m, &g);
    }
}

static void add_link(wr_otlp_reader *o, wr_otlp_span *s, wr_pb *r, const wr_pb_field *f)
{
    wr_pb m;
    wr_pb_field g;
    bool trace = false, span = false;
    if (s->nlinks == WR_LIMIT_OTLP_EVENTS) {
        o->why = "there are too many links";
        return;
    }
    s->links = wr_otlp_push(o->arena, s->links, s->nlinks, sizeof *s->links);
    if (!s->links) return;
    wr_otlp_link *l = &s->links[s->nlinks];
    *l = (wr_otlp_link){0};
    wr_pb_enter(&m, r, f);
    while (wr_pb_next(&m, &g)) {
        if (g.number == 1) trace = id_of(l->trace, sizeof l->trace, wr_pb_bytes(&m, &g));
        else if (g.number == 2) span = id_of(l->span, sizeof l->span, wr_pb_bytes(&m, &g));
        else if (g.number == 4) add_attr(o, &l->attrs, &m, &g);
    }
    if (trace && span) s->nlinks++; /* a link to nowhere is none */
}

static void read_status(wr_otlp_span *s, wr_pb *r, const wr_pb_field *f)
{
    wr_pb m;
    wr_pb_field g;
    wr_pb_enter(&m, r, f);
    while (wr_pb_next(&m, &g)) {
        if (g.number == 2) s->message = wr_pb_str(&m, &g);
        else if (g.number == 3) s->status = (int)(wr_pb_u64(&m, &g) & 3);
    }
}

wr_otlp_span *wr_otlp_span_begin(wr_otlp_reader *o, const wr_otlp_attrs *resource)
{
    wr_otlp_spans *out = o->out;
    o->why = NULL;
    if (out->n + out->refused >= WR_LIMIT_OTLP_SPANS) o->why = "there are too many spans in one request";
    out->spans = wr_otlp_push(o->arena, out->spans, out->n, sizeof *out->spans);
    if (!out->spans) return NULL;
    wr_otlp_span *s = &out->spans[out->n];
    *s = (wr_otlp_span){.name = WR_STR(""), .message = WR_STR(""), .resource = resource};
    return s;
}

void wr_otlp_span_end(wr_otlp_reader *o, wr_otlp_span *s, bool ids)
{
    if (!ids) o->no_id = true;
    if (s->status == 3) s->status = 0;
    if (!o->why) {
        o->out->n++;
        return;
    }
    o->out->refused++;
    if (!o->out->why) o->out->why = o->why;
}

static void read_span(wr_otlp_reader *o, const wr_otlp_attrs *resource, wr_pb *r, const wr_pb_field *f)
{
    wr_pb m;
    wr_pb_field g;
    wr_otlp_span *s = wr_otlp_span_begin(o, resource);
    bool trace = false, span = false;
    if (!s) return;
    wr_pb_enter(&m, r, f);
    while (!o->why && wr_pb_next(&m, &g)) switch (g.number) {
        case 1:
            trace = id_of(s->trace, sizeof s->trace, wr_pb_bytes(&m, &g));
            break;
        case 2:
            span = id_of(s->span, sizeof s->span, wr_pb_bytes(&m, &g));
            break;
        case 4:
            s->has_parent = id_of(s->parent, sizeof s->parent, wr_pb_bytes(&m, &g));
            break;
        case 5:
            s->name = wr_pb_str(&m, &g);
            break;
        case 7:
            s->start_ns = wr_pb_fixed64(&m, &g);
            break;
        case 8:
            s->end_ns = wr_pb_fixed64(&m, &g);
            break;
        case 9:
            add_attr(o, &s->attrs, &m, &g);
            break;
        case 11:
            add_event(o, s, &m, &g);
            break;
        case 13:
            add_link(o, s, &m, &g);
            break;
        case 15:
            read_status(s, &m, &g);
            break;
        default:
            break;
        }
    wr_otlp_span_end(o, s, (trace && span) || o->why);
}

static void read_resource_spans(wr_otlp_reader *o, wr_pb *r, const wr_pb_field *f)
{
    wr_pb m, n;
    wr_pb_field g, h;
    wr_otlp_attrs *resource = wr_arena_calloc(o->arena, 1, sizeof *resource);
    if (!resource) return;
    o->out->nresources++;
    wr_pb_enter(&m, r, f);
    while (wr_pb_next(&m, &g)) {
        if (g.number != 1 && g.number != 2) continue;
        wr_pb_enter(&n, &m, &g);
        while (wr_pb_next(&n, &h)) {
            if (g.number == 1 && h.number == 1) add_attr(o, resource, &n, &h);
            else if (g.number == 2 && h.number == 2) read_span(o, resource, &n, &h);
        }
    }
}

int wr_otlp_done(const wr_otlp_reader *o, wr_err *err)
{
    if (wr_arena_failed(o->arena)) return wr_err_nomem(err);
    if (o->no_id) return wr_err_set(err, WEIR_EINVAL, "a span has no trace id of 16 bytes, or no span id of 8 bytes");
    return 0;
}

int wr_otlp_read_protobuf(wr_otlp_spans *out, wr_arena *a, wr_str body, wr_err *err)
{
    wr_otlp_reader o = {.arena = a, .out = out};
    wr_pb r;
    wr_pb_field f;
    *out = (wr_otlp_spans){0};
    wr_pb_init(&r, body);
    while (wr_pb_next(&r, &f))
        if (f.number == 1) read_resource_spans(&o, &r, &f);
    WR_TRY(wr_pb_end(&r, "ExportTraceServiceRequest", err));
    return wr_otlp_done(&o, err);
}

/* ---- the response ---- */

void wr_otlp_response(wr_buf *out, bool json, size_t refused, const char *why)
{
    if (json) {
        wr_jsonw w;
        char count[24];
        wr_jsonw_init(&w, out, 0);
        wr_jsonw_obj(&w);
        if (refused) {
            snprintf(count, sizeof count, "%zu", refused);
            wr_jsonw_key(&w, "partialSuccess");
            wr_jsonw_obj(&w);
            wr_jsonw_kstr(&w, "rejectedSpans", count);
            wr_jsonw_kstr(&w, "errorMessage", why ? why : "");
            wr_jsonw_end(&w);
        }
        wr_jsonw_end(&w);
    } else if (refused) {
        size_t at = wr_pbw_open(out, 1);
        wr_pbw_i64(out, 1, (int64_t)refused);
        wr_pbw_str(out, 2, wr_str_of(why));
        wr_pbw_close(out, at);
    }
}
