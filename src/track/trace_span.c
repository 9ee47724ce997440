/* SPDX-License-Identifier: Apache-2.0 */
/* trace_span.c - a span's text, and what spans say of their trace. */
#include "track/trace_span.h"

#include <math.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "track/run.h"
#include "track/trace.h"
#include "track/trace_inside.h"

const char *const wr_token_names[WR_TOKENS] = {"input_tokens",
                                               "output_tokens",
                                               "total_tokens",
                                               "cache_read_input_tokens",
                                               "cache_creation_input_tokens",
                                               "cache_creation_input_tokens_above_1hr"};
const char *const wr_cost_names[WR_COSTS] = {"input_cost", "output_cost", "total_cost"};

/* ---- JSON as Python writes it ---- */

void wr_span_json_str(wr_buf *out, wr_str s)
{
    size_t from = 0;
    wr_buf_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        wr_buf_add(out, s.p + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') wr_buf_add(out, (char[]){'\\', (char)c}, 2);
        else if (c == '\n') wr_buf_add(out, "\\n", 2);
        else if (c == '\r') wr_buf_add(out, "\\r", 2);
        else if (c == '\t') wr_buf_add(out, "\\t", 2);
        else if (c == '\b') wr_buf_add(out, "\\b", 2);
        else if (c == '\f') wr_buf_add(out, "\\f", 2);
        else wr_buf_printf(out, "\\u%04x", c);
    }
    wr_buf_add(out, s.p + from, s.n - from);
    wr_buf_char(out, '"');
}

void wr_trace_put_f64(wr_buf *out, double v)
{
    char text[32];
    if (isnan(v)) wr_buf_str(out, "NaN");
    else if (isinf(v)) wr_buf_str(out, v > 0 ? "Infinity" : "-Infinity");
    else {
        size_t n = wr_f64_text(text, v);
        wr_buf_add(out, text, n);
        if (!memchr(text, '.', n) && !memchr(text, 'e', n)) wr_buf_str(out, ".0"); /* it stays a float */
    }
}

static void put_items(wr_buf *out, const wr_otlp_attrs *items, bool map)
{
    wr_buf_char(out, map ? '{' : '[');
    for (size_t i = 0; i < items->n; i++) {
        if (i) wr_buf_str(out, ", ");
        if (map) {
            wr_span_json_str(out, items->at[i].key);
            wr_buf_str(out, ": ");
        }
        wr_span_json(out, &items->at[i].value);
    }
    wr_buf_char(out, map ? '}' : ']');
}

void wr_span_json(wr_buf *out, const wr_otlp_value *v)
{
    switch (v->kind) {
    case WR_OTLP_STR:
        wr_span_json_str(out, v->s);
        break;
    case WR_OTLP_BOOL:
        wr_buf_str(out, v->i ? "true" : "false");
        break;
    case WR_OTLP_INT:
        wr_buf_i64(out, v->i);
        break;
    case WR_OTLP_F64:
        wr_trace_put_f64(out, v->f);
        break;
    case WR_OTLP_LIST:
    case WR_OTLP_MAP:
        put_items(out, &v->items, v->kind == WR_OTLP_MAP);
        break;
    case WR_OTLP_BYTES:
        wr_buf_char(out, '"');
        wr_base64_encode(out, v->s, false);
        wr_buf_char(out, '"');
        break;
    default:
        wr_buf_str(out, "null");
    }
}

/* Is it a JSON text, list or object? Such a text attribute was written as JSON already by the client. */
static bool is_json(wr_str s)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str start = wr_str_trim(s);
    if (!start.n || !strchr("\"[{", *start.p) || wr_json_parse_lenient(&j, s, NULL) < 0) return false;
    return yyjson_is_str(j.root) || yyjson_is_ctn(j.root);
}

/* ---- attributes as they are kept: key and JSON text ---- */

static int add_item(wr_span_attrs *attrs, wr_arena *a, wr_str key, wr_str json, wr_err *err)
{
    wr_track_item item = {key, wr_arena_str(a, json)};
    for (size_t i = 0; i < attrs->n; i++)
        if (wr_str_eq(attrs->at[i].key, key)) {
            attrs->at[i] = item;
            return item.value.p ? 0 : wr_err_nomem(err);
        }
    return !item.value.p || wr_vec_push(attrs, item) < 0 ? wr_err_nomem(err) : 0;
}

int wr_span_attr_set(wr_span_attrs *attrs, wr_arena *a, const char *key, wr_str json, wr_err *err)
{
    return add_item(attrs, a, wr_str_of(key), json, err);
}

/* Of a key that comes twice the last counts, at the place of the first. Many keys: by a map. */
static int attrs_of(wr_span_attrs *out, wr_arena *a, const wr_otlp_attrs *in, wr_buf *text, wr_err *err)
{
    enum { FEW = 64 };
    wr_map seen = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < in->n; i++) {
        const wr_otlp_attr *attr = &in->at[i];
        wr_buf_clear(text);
        if (attr->value.kind == WR_OTLP_STR && is_json(attr->value.s)) wr_buf_slice(text, attr->value.s);
        else wr_span_json(text, &attr->value);
        if (text->failed) rc = wr_err_nomem(err);
        else if (in->n <= FEW) rc = add_item(out, a, attr->key, wr_buf_view(text), err);
        else {
            ptrdiff_t at = wr_map_find(&seen, attr->key);
            wr_track_item item = {attr->key, wr_arena_str(a, wr_buf_view(text))};
            if (!item.value.p) rc = wr_err_nomem(err);
            else if (at >= 0) out->at[at] = item;
            else if (wr_map_put(&seen, attr->key, NULL) < 0 || wr_vec_push(out, item) < 0) rc = wr_err_nomem(err);
        }
    }
    wr_map_fini(&seen);
    return rc;
}

wr_str wr_span_attr(const wr_span_attrs *attrs, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < attrs->n; i++)
        if (attrs->at[i].key.n == n && memcmp(attrs->at[i].key.p, key, n) == 0) return attrs->at[i].value;
    return (wr_str){NULL, 0};
}

/* The text that a JSON text holds; anything else as it stands. */
wr_str wr_span_attr_text(wr_arena *a, wr_str json)
{
    WR_AUTOJSON wr_json j = {0};
    if (!json.n || *json.p != '"' || wr_json_parse_lenient(&j, json, NULL) < 0 || !yyjson_is_str(j.root)) return json;
    return wr_arena_str(a, (wr_str){yyjson_get_str(j.root), yyjson_get_len(j.root)});
}

/* ---- the text ---- */

static void put_id(wr_buf *out, const unsigned char *id, size_t n)
{
    wr_buf_char(out, '"');
    wr_base64_encode(out, (wr_str){(const char *)id, n}, false);
    wr_buf_char(out, '"');
}

static void put_events(wr_buf *b, const wr_otlp_span *s)
{
    wr_buf_char(b, '[');
    for (size_t i = 0; i < s->nevents; i++) {
        wr_buf_str(b, i ? ", {\"name\": " : "{\"name\": ");
        wr_span_json_str(b, s->events[i].name);
        wr_buf_printf(b, ", \"time_unix_nano\": %llu, \"attributes\": ", (unsigned long long)s->events[i].time_ns);
        put_items(b, &s->events[i].attrs, true);
        wr_buf_char(b, '}');
    }
    wr_buf_char(b, ']');
}

static void put_links(wr_buf *b, const wr_otlp_span *s)
{
    char hex[33];
    wr_buf_char(b, '[');
    for (size_t i = 0; i < s->nlinks; i++) {
        wr_hex(hex, s->links[i].trace, sizeof s->links[i].trace);
        wr_buf_printf(b, "%s{\"trace_id\": \"tr-%s\", ", i ? ", " : "", hex);
        wr_hex(hex, s->links[i].span, sizeof s->links[i].span);
        wr_buf_printf(b, "\"span_id\": \"%s\", \"attributes\": ", hex);
        if (s->links[i].attrs.n) put_items(b, &s->links[i].attrs, true);
        else wr_buf_str(b, "null");
        wr_buf_char(b, '}');
    }
    wr_buf_char(b, ']');
}

static void put_span(wr_buf *b, const wr_otlp_span *s, const wr_span_attrs *attrs)
{
    static const char *const codes[] = {"UNSET", "OK", "ERROR"};
    wr_buf_str(b, "{\"trace_id\": ");
    put_id(b, s->trace, sizeof s->trace);
    wr_buf_str(b, ", \"span_id\": ");
    put_id(b, s->span, sizeof s->span);
    wr_buf_str(b, ", \"parent_span_id\": ");
    if (s->has_parent) put_id(b, s->parent, sizeof s->parent);
    else wr_buf_str(b, "null");
    wr_buf_str(b, ", \"name\": ");
    wr_span_json_str(b, s->name);
    wr_buf_printf(b, ", \"start_time_unix_nano\": %llu, \"end_time_unix_nano\": ", (unsigned long long)s->start_ns);
    if (s->end_ns) wr_buf_printf(b, "%llu", (unsigned long long)s->end_ns);
    else wr_buf_str(b, "null");
    wr_buf_str(b, ", \"events\": ");
    put_events(b, s);
    wr_buf_printf(b, ", \"status\": {\"code\": \"STATUS_CODE_%s\", \"message\": ", codes[s->status]);
    wr_span_json_str(b, s->message);
    wr_buf_str(b, "}, \"attributes\": {");
    for (size_t i = 0; i < attrs->n; i++) {
        if (i) wr_buf_str(b, ", ");
        wr_span_json_str(b, attrs->at[i].key);
        wr_buf_str(b, ": ");
        wr_span_json_str(b, attrs->at[i].value);
    }
    wr_buf_str(b, "}, \"links\": ");
    put_links(b, s);
    wr_buf_char(b, '}');
}

/* ---- one span ---- */

static uint64_t id_of(const unsigned char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}

static wr_str object_or_null(wr_str json)
{
    WR_AUTOJSON wr_json j = {0};
    if (!json.n || wr_json_parse_lenient(&j, json, NULL) < 0 || !yyjson_is_obj(j.root)) return (wr_str){NULL, 0};
    return json;
}

/* Names that a program may give itself on its root spans: those of known tools, no free text of strangers. */
static int service_name(wr_span_attrs *attrs, wr_arena *a, const wr_otlp_span *in, wr_err *err)
{
    static const char *const known[] = {"claude-code", "codex_cli_rs", "codex_vscode", "gemini-cli", "qwen-code"};
    const wr_otlp_value *v = in->has_parent ? NULL : wr_otlp_get(in->resource, "service.name");
    WR_AUTOBUF wr_buf b = {0};
    for (size_t i = 0; v && v->kind == WR_OTLP_STR && i < sizeof known / sizeof *known; i++) {
        if (!wr_str_is(v->s, known[i])) continue;
        wr_span_json_str(&b, v->s);
        return wr_span_attr_set(attrs, a, "service.name", wr_buf_view(&b), err);
    }
    return 0;
}

static int64_t clamp(uint64_t ns) { return ns > INT64_MAX ? INT64_MAX : (int64_t)ns; }

typedef struct {
    wr_arena *arena;
    wr_span_attrs attrs;
    wr_buf text, content;
} maker;

static void read_costs(wr_span *s)
{
    WR_AUTOJSON wr_json j = {0};
    bool any = s->cost.p && wr_json_parse_lenient(&j, s->cost, NULL) == 0;
    for (int i = 0; i < WR_COSTS; i++) {
        yyjson_val *v = any ? yyjson_obj_get(j.root, wr_cost_names[i]) : NULL;
        s->costs[i] = yyjson_is_num(v) && isfinite(yyjson_get_num(v)) ? yyjson_get_num(v) : NAN;
    }
}

/* `uuid` is kept as an attribute. WEIR_ELIMIT when the text is too long. */
static int make_span(wr_span *out, maker *m, const wr_otlp_span *in, wr_str uuid, wr_err *err)
{
    wr_arena *a = m->arena;
    m->attrs.n = 0;
    wr_buf_clear(&m->content);
    WR_TRY(attrs_of(&m->attrs, a, &in->attrs, &m->text, err));
    wr_buf_clear(&m->text);
    wr_span_json_str(&m->text, uuid);
    WR_TRY(wr_span_attr_set(&m->attrs, a, "mlflow.traceRequestId", wr_buf_view(&m->text), err));
    WR_TRY(service_name(&m->attrs, a, in, err));
    WR_TRY(wr_span_translate(&m->attrs, a, err));
    put_span(&m->content, in, &m->attrs);
    if (m->content.failed) return m->content.n > WR_LIMIT_SPAN / 2 ? WEIR_ELIMIT : wr_err_nomem(err);
    *out = (wr_span){.id = id_of(in->span),
                     .parent = in->has_parent ? id_of(in->parent) : 0,
                     .root = !in->has_parent,
                     .status = in->status,
                     .start_ns = clamp(in->start_ns),
                     .end_ns = clamp(in->end_ns),
                     .name = in->name,
                     .content = wr_arena_str(a, wr_buf_view(&m->content)),
                     .usage = object_or_null(wr_span_attr(&m->attrs, "mlflow.chat.tokenUsage")),
                     .cost = object_or_null(wr_span_attr(&m->attrs, "mlflow.llm.cost")),
                     .type = wr_span_attr_text(a, wr_span_attr(&m->attrs, "mlflow.spanType")),
                     .model = wr_span_attr_text(a, wr_span_attr(&m->attrs, "mlflow.llm.model")),
                     .provider = wr_span_attr_text(a, wr_span_attr(&m->attrs, "mlflow.llm.provider"))};
    read_costs(out);
    return out->content.p ? 0 : wr_err_nomem(err);
}

/* ---- what a span says of its trace ---- */

static int add_tag(wr_span_trace *t, wr_arena *a, wr_str key, wr_str value, wr_err *err)
{
    if (wr_track_key_check(key, WR_TRACE_KEY, "key", NULL) < 0) return 0; /* not one that we could keep: left out */
    if ((t->ntags & (t->ntags + 1)) == 0) {                               /* full at 0, 1, 3, 7, ... */
        wr_track_item *grown = wr_arena_calloc(a, 2 * t->ntags + 1, sizeof *grown);
        if (!grown) return wr_err_nomem(err);
        if (t->ntags) memcpy(grown, t->tags, t->ntags * sizeof *grown);
        t->tags = grown;
    }
    t->tags[t->ntags++] = (wr_track_item){key, wr_track_cut(value, WR_TRACE_TAG_VALUE)};
    return 0;
}

static int resource_tags(wr_span_trace *t, wr_arena *a, const wr_otlp_attrs *resource, wr_err *err)
{
    for (size_t i = 0; i < resource->n; i++) {
        const wr_otlp_attr *r = &resource->at[i];
        WR_AUTOBUF wr_buf b = {0};
        if (wr_str_starts(r->key, "telemetry.sdk.") || wr_str_starts(r->key, "mlflow.")) continue;
        if (r->value.kind == WR_OTLP_STR) wr_buf_slice(&b, r->value.s);
        else wr_span_json(&b, &r->value);
        wr_str value = wr_arena_str(a, wr_buf_view(&b));
        if (!value.p || b.failed) return wr_err_nomem(err);
        WR_TRY(add_tag(t, a, r->key, value, err));
    }
    return 0;
}

/* mlflow.traceTag.KEY of the root span. */
static int root_tags(wr_span_trace *t, wr_arena *a, const wr_span_attrs *attrs, wr_err *err)
{
    static const char prefix[] = "mlflow.traceTag.";
    for (size_t i = 0; i < attrs->n; i++) {
        if (!wr_str_starts(attrs->at[i].key, prefix)) continue;
        wr_str key = wr_str_sub(attrs->at[i].key, sizeof prefix - 1, attrs->at[i].key.n);
        wr_str value = wr_span_attr_text(a, attrs->at[i].value);
        if (wr_str_is(key, "mlflow.traceName")) t->name = value;
        else WR_TRY(add_tag(t, a, key, value, err));
    }
    return 0;
}

static int say(wr_span_trace *t, wr_arena *a, const wr_span *s, const wr_span_attrs *attrs, wr_err *err)
{
    int64_t start = s->start_ns / 1000000, end = s->end_ns / 1000000;
    if (!t->n || start < t->start_ms) t->start_ms = start;
    if (s->end_ns && (t->end_ms == WR_SPAN_NO_END || end > t->end_ms)) t->end_ms = end;
    t->usage |= s->usage.p != NULL;
    t->cost |= s->cost.p != NULL;
    wr_str session = wr_span_attr(attrs, "session.id"), user = wr_span_attr(attrs, "user.id");
    if (!session.n) session = wr_span_attr(attrs, "gen_ai.conversation.id");
    if (!t->session.p && session.n) t->session = wr_track_cut(wr_span_attr_text(a, session), WR_TRACE_KEY);
    if (!t->user.p && user.n) t->user = wr_track_cut(wr_span_attr_text(a, user), WR_TRACE_KEY);
    if (!s->root) return 0;
    if (t->root < 0) t->root = s->status == 2 ? WR_TRACE_ERROR : WR_TRACE_OK;
    wr_str inputs = wr_span_attr(attrs, "mlflow.spanInputs"), outputs = wr_span_attr(attrs, "mlflow.spanOutputs");
    if (inputs.n) t->request_preview = wr_span_preview(a, inputs, "user");
    if (outputs.n) t->response_preview = wr_span_preview(a, outputs, "assistant");
    return root_tags(t, a, attrs, err);
}

/* ---- batches ---- */

static wr_span *place_of(wr_span_trace *t, uint64_t id)
{
    enum { LOOK_BACK = 64 }; /* twice in one request is rare and near; the insert copes with the rest (trace_log.c) */
    for (size_t i = t->n; i-- > 0 && t->n - i <= LOOK_BACK;)
        if (t->spans[i].id == id) return &t->spans[i];
    return NULL;
}

/* MLflow's clients say which trace of theirs a span belongs to; the id follows from OpenTelemetry's otherwise. */
static wr_str uuid_of(char derived[36], wr_arena *a, const wr_otlp_span *s)
{
    const wr_otlp_value *v = wr_otlp_get(&s->attrs, "mlflow.traceRequestId");
    wr_str said = v && v->kind == WR_OTLP_STR ? wr_span_attr_text(a, v->s) : (wr_str){NULL, 0};
    if (wr_trace_uuid_ok(said)) return said;
    memcpy(derived, "tr-", 3);
    wr_hex(derived + 3, s->trace, sizeof s->trace);
    return (wr_str){derived, 35};
}

/* Which trace each span belongs to, and room for each trace's spans. */
static int sort_out(wr_span_batch *out, size_t *of, wr_arena *a, const wr_otlp_spans *in, wr_err *err)
{
    wr_map seen;
    char derived[36];
    size_t *counts = wr_arena_calloc(a, in->n + 1, sizeof *counts);
    wr_map_init(&seen);
    bool ok = counts != NULL;
    for (size_t i = 0; ok && i < in->n; i++) {
        wr_str key = uuid_of(derived, a, &in->spans[i]);
        ptrdiff_t at = wr_map_find(&seen, key);
        if (at < 0) at = wr_map_put(&seen, key, NULL);
        ok = at >= 0;
        if (ok) counts[of[i] = (size_t)at]++;
    }
    out->traces = ok ? wr_arena_calloc(a, seen.n + 1, sizeof *out->traces) : NULL;
    for (size_t i = 0; out->traces && i < seen.n; i++) {
        wr_span_trace *t = &out->traces[out->n++];
        *t = (wr_span_trace){.uuid = wr_arena_str(a, seen.at[i].key),
                             .spans = wr_arena_calloc(a, counts[i], sizeof *t->spans),
                             .end_ms = WR_SPAN_NO_END,
                             .root = -1};
    }
    wr_map_fini(&seen);
    return !out->traces || wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static void refuse(wr_span_batch *out, const char *why)
{
    out->refused++;
    if (!out->why) out->why = why;
}

static int make_all(wr_span_batch *out, maker *m, const size_t *of, const wr_otlp_spans *in, wr_err *err)
{
    for (size_t i = 0; i < in->n; i++) {
        const wr_otlp_span *from = &in->spans[i];
        wr_span_trace *t = &out->traces[of[i]];
        wr_span s;
        int rc = make_span(&s, m, from, t->uuid, err);
        if (rc == WEIR_ELIMIT) {
            refuse(out, "a span is too large");
            continue;
        }
        if (rc < 0) return rc;
        if (!t->ntags && from->resource->n) WR_TRY(resource_tags(t, m->arena, from->resource, err));
        WR_TRY(say(t, m->arena, &s, &m->attrs, err));
        wr_span *place = place_of(t, s.id);
        if (place) *place = s;
        else t->spans[t->n++] = s;
        out->nspans++;
    }
    return 0;
}

int wr_span_batch_make(wr_span_batch *out, wr_arena *a, const wr_otlp_spans *in, wr_err *err)
{
    maker m = {.arena = a};
    *out = (wr_span_batch){.refused = in->refused, .why = in->why};
    size_t *of = wr_arena_calloc(a, in->n + 1, sizeof *of);
    if (!of) return wr_err_nomem(err);
    WR_TRY(sort_out(out, of, a, in, err));
    wr_buf_init(&m.text, WR_LIMIT_SPAN);
    wr_buf_init(&m.content, WR_LIMIT_SPAN);
    int rc = make_all(out, &m, of, in, err);
    wr_buf_fini(&m.text);
    wr_buf_fini(&m.content);
    wr_vec_fini(&m.attrs);
    return rc == 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc;
}
