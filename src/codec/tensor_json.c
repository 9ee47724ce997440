/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_json.c - the data of a tensor from and to JSON: numbers go from the text straight to their place. */
#include <math.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/num.h"
#include "codec/json.h"
#include "codec/json_scan.h"
#include "codec/tensor.h"

typedef struct {
    wr_jscan *s;
    wr_tensor *t;
    size_t from, i, end; /* elements: first, next, behind the last one */
    bool nulls;          /* null is fine for every type */
    uint8_t *missing;    /* t->count bytes, made at the first null */
    bool (*put)(void *at, const wr_jnumber *v);
} reading;

/* ---- one number of a type ---- */

#define PUT_SIGNED(name, T, MAX)                                                                                       \
    static bool name(void *at, const wr_jnumber *v)                                                                    \
    {                                                                                                                  \
        if (!v->whole || v->magnitude > (uint64_t)(MAX) + v->minus) return false;                                      \
        *(T *)at = (T)(v->minus ? -v->magnitude : v->magnitude);                                                       \
        return true;                                                                                                   \
    }
#define PUT_UNSIGNED(name, T, MAX)                                                                                     \
    static bool name(void *at, const wr_jnumber *v)                                                                    \
    {                                                                                                                  \
        if (!v->whole || (v->minus && v->magnitude) || v->magnitude > (uint64_t)(MAX)) return false;                   \
        *(T *)at = (T)v->magnitude;                                                                                    \
        return true;                                                                                                   \
    }
PUT_SIGNED(put_int8, int8_t, INT8_MAX)
PUT_SIGNED(put_int16, int16_t, INT16_MAX)
PUT_SIGNED(put_int32, int32_t, INT32_MAX)
PUT_SIGNED(put_int64, int64_t, INT64_MAX)
PUT_UNSIGNED(put_bool, uint8_t, 1)
PUT_UNSIGNED(put_uint8, uint8_t, UINT8_MAX)
PUT_UNSIGNED(put_uint16, uint16_t, UINT16_MAX)
PUT_UNSIGNED(put_uint32, uint32_t, UINT32_MAX)
PUT_UNSIGNED(put_uint64, uint64_t, UINT64_MAX)

static bool put_fp64(void *at, const wr_jnumber *v)
{
    *(double *)at = v->whole && v->minus && !v->magnitude ? -0.0 : v->real;
    return true;
}

static bool put_fp32(void *at, const wr_jnumber *v)
{
    float f = (float)v->real;
    *(float *)at = v->whole && v->minus && !v->magnitude ? -0.0F : f;
    return !isinf(f) || isinf(v->real);
}

static bool (*const puts_of[WR_TENSOR_TYPES])(void *, const wr_jnumber *) = {
    [WR_TENSOR_BOOL] = put_bool,     [WR_TENSOR_UINT8] = put_uint8,   [WR_TENSOR_UINT16] = put_uint16,
    [WR_TENSOR_UINT32] = put_uint32, [WR_TENSOR_UINT64] = put_uint64, [WR_TENSOR_INT8] = put_int8,
    [WR_TENSOR_INT16] = put_int16,   [WR_TENSOR_INT32] = put_int32,   [WR_TENSOR_INT64] = put_int64,
    [WR_TENSOR_FP32] = put_fp32,     [WR_TENSOR_FP64] = put_fp64};

static bool is_float(const wr_tensor *t) { return t->type == WR_TENSOR_FP32 || t->type == WR_TENSOR_FP64; }

/* Text -> double -> float rounds twice. Where that may matter the text is read again as a float. */
static int read_float_again(reading *r, const char *from)
{
    char text[1024]; /* strtof wants a NUL */
    size_t n = (size_t)(r->s->at - from);
    if (n >= sizeof text) return 0; /* the double's rounding stands */
    memcpy(text, from, n);
    text[n] = 0;
    ((float *)r->t->data)[r->i] = strtof(text, NULL);
    return 0;
}

/* ---- elements ---- */

static int bad_element(const reading *r, wr_str text)
{
    size_t n = 0;
    while (n < text.n && n < 40 && !strchr(",]} \t\r\n", text.p[n])) n++;
    return wr_err_set(r->s->err, WEIR_ETYPE, "element %zu is not %s: %.*s", r->i, wr_tensor_type_name(r->t->type),
                      (int)n, text.p);
}

static int read_null(reading *r, wr_str text)
{
    wr_tensor *t = r->t;
    if (t->type == WR_TENSOR_FP64) ((double *)t->data)[r->i] = NAN;
    else if (t->type == WR_TENSOR_FP32) ((float *)t->data)[r->i] = NAN;
    else if (!r->nulls) return bad_element(r, text);
    else if (t->type == WR_TENSOR_BYTES) ((wr_str *)t->data)[r->i] = (wr_str){NULL, 0};
    else memset((char *)t->data + r->i * wr_tensor_type_size(t->type), 0, wr_tensor_type_size(t->type));
    if (!r->nulls) return 0;
    if (!r->missing) r->missing = wr_arena_calloc(r->s->arena, t->count, 1);
    if (!r->missing) return wr_err_nomem(r->s->err);
    r->missing[r->i] = 1;
    return 0;
}

static int read_word(reading *r, wr_str text)
{
    wr_tensor *t = r->t;
    double v;
    if (!text.n) return wr_jscan_fail(r->s, "the text ends too early");
    if (wr_jscan_word(r->s, "null")) return read_null(r, text);
    if (t->type == WR_TENSOR_BOOL) {
        bool yes = wr_jscan_word(r->s, "true");
        if (!yes && !wr_jscan_word(r->s, "false")) return bad_element(r, text);
        ((uint8_t *)t->data)[r->i] = yes;
        return 0;
    }
    if (!is_float(t)) return bad_element(r, text);
    if (wr_jscan_word(r->s, "NaN")) v = NAN;
    else if (wr_jscan_word(r->s, "Infinity")) v = INFINITY;
    else if (wr_jscan_word(r->s, "-Infinity")) v = -INFINITY;
    else return bad_element(r, text);
    if (t->type == WR_TENSOR_FP64) ((double *)t->data)[r->i] = v;
    else ((float *)t->data)[r->i] = (float)v;
    return 0;
}

static int read_number(reading *r, wr_str text)
{
    wr_jnumber v;
    wr_tensor *t = r->t;
    size_t size = wr_tensor_type_size(t->type);
    WR_TRY(wr_jscan_number(r->s, &v));
    if (!v.whole && !is_float(t) && v.real == trunc(v.real) && fabs(v.real) < 0x1p53) /* 3.0, 1e2 */
        v = (wr_jnumber){.whole = true, .minus = v.real < 0, .magnitude = (uint64_t)fabs(v.real), .real = v.real};
    if (!r->put((char *)t->data + r->i * size, &v)) return bad_element(r, text);
    if (t->type == WR_TENSOR_FP32 && wr_jscan_between_floats(v.real)) return read_float_again(r, text.p);
    return 0;
}

static int read_element(reading *r, char c)
{
    wr_str text = {r->s->at, (size_t)(r->s->end - r->s->at)};
    if (r->i == r->end)
        return wr_err_set(r->s->err, WEIR_EINVAL,
                          "Shape does not match true shape of 'data' field: more than %zu elements", r->end - r->from);
    bool number = (c >= '0' && c <= '9') || (c == '-' && !(text.n > 1 && text.p[1] == 'I'));
    if (number && r->put) WR_TRY(read_number(r, text));
    else if (c == '"' && !r->put) WR_TRY(wr_jscan_str(r->s, (wr_str *)r->t->data + r->i));
    else if (number || c == '"' || c == '{') return bad_element(r, text);
    else WR_TRY(read_word(r, text));
    r->i++;
    return 0;
}

/* The usual case, without detours: numbers that follow, each behind its comma. Stops before whatever is not one of
 * them, or needs a second look; the comma is then still there. */
static void read_run(reading *r)
{
    const char *p = r->s->at, *end = r->s->end;
    size_t size = wr_tensor_type_size(r->t->type);
    while (r->i < r->end && p < end && *p == ',') {
        wr_jnumber v;
        const char *q = p + 1;
        while (q < end && *q == ' ') q++;
        if (q == end || !wr_jscan_quick(&v, &q, end)) break;
        if (!r->put((char *)r->t->data + r->i * size, &v)) break;
        r->i++;
        p = q;
    }
    r->s->at = p;
}

/* The same from the first one on, for what most models take; false: none was usual. */
static bool read_floats(reading *r)
{
    size_t n = 0;
    if (r->t->type == WR_TENSOR_FP32) n = wr_jscan_floats(r->s, (float *)r->t->data + r->i, r->end - r->i);
    else if (r->t->type == WR_TENSOR_FP64) n = wr_jscan_doubles(r->s, (double *)r->t->data + r->i, r->end - r->i);
    r->i += n;
    return n > 0;
}

/* Lists in lists, to any depth up to the limit: only the order of the elements counts. */
static int read_lists(reading *r)
{
    bool first = false;
    int depth = 0;
    do {
        char c = wr_jscan_peek(r->s);
        if (c == '[') {
            if (++depth >= WR_LIMIT_TENSOR_DEPTH)
                return wr_err_set(r->s->err, WEIR_EINVAL, "JSON nesting depth exceeds maximum allowed limit (%d)",
                                  WR_LIMIT_TENSOR_DEPTH);
            WR_TRY(wr_jscan_open(r->s, '[', &first));
        } else if (!c || !read_floats(r)) {
            WR_TRY(read_element(r, c));
            if (r->put && !is_float(r->t)) read_run(r);
        }
        int more;
        while ((more = wr_jscan_item(r->s, &first)) == 0 && --depth) first = false;
        if (more < 0) return more;
    } while (depth);
    if (r->i == r->end) return 0;
    return wr_err_set(r->s->err, WEIR_EINVAL,
                      "Shape does not match true shape of 'data' field: %zu elements instead of %zu", r->i - r->from,
                      r->end - r->from);
}

static int read_json(reading *r, size_t *used, wr_str text, wr_arena *a, wr_err *err)
{
    wr_tensor *t = r->t;
    wr_jscan s;
    wr_jscan_init(&s, text, a, err);
    r->s = &s;
    r->end = t->count;
    r->put = puts_of[t->type];
    if (!r->put && t->type != WR_TENSOR_BYTES)
        return wr_err_set(err, WEIR_ETYPE,
                          "receiving %s data via JSON is not supported. Please use the binary data format",
                          wr_tensor_type_name(t->type));
    if (wr_jscan_peek(r->s) != '[') return wr_err_set(err, WEIR_ETYPE, "attempt to access JSON non-array as array");
    if (t->count > text.n) /* before anything is allocated for a shape that lies */
        return wr_err_set(err, WEIR_EINVAL, "Shape does not match true shape of 'data' field: fewer than %zu elements",
                          t->count);
    WR_TRY(wr_tensor_alloc(t, a, err));
    WR_TRY(read_lists(r));
    *used = (size_t)(r->s->at - text.p);
    return 0;
}

int wr_tensor_read_json(wr_tensor *t, size_t *used, wr_str text, wr_arena *a, wr_err *err)
{
    reading r = {.t = t};
    return read_json(&r, used, text, a, err);
}

int wr_tensor_read_json_missing(wr_tensor *t, uint8_t **missing, size_t *used, wr_str text, wr_arena *a, wr_err *err)
{
    reading r = {.t = t, .nulls = true};
    WR_TRY(read_json(&r, used, text, a, err));
    *missing = r.missing;
    return 0;
}

int wr_tensor_read_json_part(wr_tensor *t, size_t from, size_t n, uint8_t *missing, wr_jscan *s)
{
    reading r = {.s = s, .t = t, .from = from, .i = from, .end = from + n, .nulls = missing, .missing = missing};
    r.put = puts_of[t->type];
    char c = wr_jscan_peek(s);
    if (c == '[') return read_lists(&r);
    if (n == 1) return read_element(&r, c);
    return wr_err_set(s->err, WEIR_EINVAL, "expected a list of %zu elements", n);
}

/* ---- writing ---- */

static void put_text(wr_buf *out, const char *text, size_t n)
{
    memcpy(out->p + out->n, text, n);
    out->n += n;
}

static void put_float(wr_buf *out, size_t n)
{
    if (out->p[out->n] == 'n' || out->p[out->n] == 'i' || (out->p[out->n] == '-' && out->p[out->n + 1] == 'i'))
        put_text(out, "null", 4); /* not a number, infinite: JSON has no word for it */
    else out->n += n;
}

static void put_magnitude(wr_buf *out, bool minus, uint64_t v)
{
    char text[24];
    char *p = text + sizeof text;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    if (minus) *--p = '-';
    put_text(out, p, (size_t)(text + sizeof text - p));
}

static void put_signed(wr_buf *out, int64_t v) { put_magnitude(out, v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v); }

static void put_string(wr_buf *out, wr_str s)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    if (s.p) wr_jsonw_str(&w, s);
    else wr_jsonw_null(&w);
}

enum { ELEMENT_ROOM = 40 }; /* the longest number, its comma, the closing bracket, NUL */

static void put_element(wr_buf *out, const wr_tensor *t, size_t i)
{
    switch (t->type) {
    case WR_TENSOR_BOOL:
        put_text(out, ((const uint8_t *)t->data)[i] ? "true" : "false", ((const uint8_t *)t->data)[i] ? 4 : 5);
        return;
    case WR_TENSOR_UINT8:
        put_magnitude(out, false, ((const uint8_t *)t->data)[i]);
        return;
    case WR_TENSOR_UINT16:
        put_magnitude(out, false, ((const uint16_t *)t->data)[i]);
        return;
    case WR_TENSOR_UINT32:
        put_magnitude(out, false, ((const uint32_t *)t->data)[i]);
        return;
    case WR_TENSOR_UINT64:
        put_magnitude(out, false, ((const uint64_t *)t->data)[i]);
        return;
    case WR_TENSOR_INT8:
        put_signed(out, ((const int8_t *)t->data)[i]);
        return;
    case WR_TENSOR_INT16:
        put_signed(out, ((const int16_t *)t->data)[i]);
        return;
    case WR_TENSOR_INT32:
        put_signed(out, ((const int32_t *)t->data)[i]);
        return;
    case WR_TENSOR_INT64:
        put_signed(out, ((const int64_t *)t->data)[i]);
        return;
    case WR_TENSOR_FP16:
        put_float(out, wr_f32_shortest(out->p + out->n, wr_half_to_float(((const uint16_t *)t->data)[i])));
        return;
    case WR_TENSOR_BF16:
        put_float(out, wr_f32_shortest(out->p + out->n, wr_bf16_to_float(((const uint16_t *)t->data)[i])));
        return;
    case WR_TENSOR_FP32:
        put_float(out, wr_f32_shortest(out->p + out->n, ((const float *)t->data)[i]));
        return;
    default:
        put_float(out, wr_f64_shortest(out->p + out->n, ((const double *)t->data)[i]));
        return;
    }
}

void wr_tensor_write_json_element(wr_buf *out, const wr_tensor *t, size_t i, bool words)
{
    double v = t->type == WR_TENSOR_FP64   ? ((const double *)t->data)[i]
               : t->type == WR_TENSOR_FP32 ? (double)((const float *)t->data)[i]
                                           : 0;
    if (t->type == WR_TENSOR_BYTES) put_string(out, ((const wr_str *)t->data)[i]);
    else if (words && !isfinite(v)) wr_buf_str(out, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
    else if (wr_buf_reserve(out, ELEMENT_ROOM)) {
        put_element(out, t, i);
        out->p[out->n] = 0;
    }
}

/* Room is made for many elements at a time. */
static void put_elements(wr_buf *out, const wr_tensor *t)
{
    enum { MANY = 64 };
    for (size_t i = 0; i < t->count; i++) {
        if (i % MANY == 0 && !wr_buf_reserve(out, (t->count - i < MANY ? t->count - i : MANY) * ELEMENT_ROOM)) return;
        if (i) out->p[out->n++] = ',';
        put_element(out, t, i);
    }
}

void wr_tensor_write_json(wr_buf *out, const wr_tensor *t)
{
    wr_buf_char(out, '[');
    if (t->type != WR_TENSOR_BYTES) put_elements(out, t);
    for (size_t i = 0; t->type == WR_TENSOR_BYTES && i < t->count; i++) {
        if (i) wr_buf_char(out, ',');
        put_string(out, ((const wr_str *)t->data)[i]);
    }
    wr_buf_char(out, ']');
}
