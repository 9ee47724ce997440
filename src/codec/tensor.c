/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.c - types, counts, the binary form, conversions. JSON: tensor_json.c. */
#include "codec/tensor.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are little-endian in memory and on the wire"
#endif

static const struct {
    const char *name;
    size_t size;
} types[WR_TENSOR_TYPES] = {[WR_TENSOR_NONE] = {"", 0},
                            [WR_TENSOR_BOOL] = {"BOOL", 1},
                            [WR_TENSOR_UINT8] = {"UINT8", 1},
                            [WR_TENSOR_UINT16] = {"UINT16", 2},
                            [WR_TENSOR_UINT32] = {"UINT32", 4},
                            [WR_TENSOR_UINT64] = {"UINT64", 8},
                            [WR_TENSOR_INT8] = {"INT8", 1},
                            [WR_TENSOR_INT16] = {"INT16", 2},
                            [WR_TENSOR_INT32] = {"INT32", 4},
                            [WR_TENSOR_INT64] = {"INT64", 8},
                            [WR_TENSOR_FP16] = {"FP16", 2},
                            [WR_TENSOR_BF16] = {"BF16", 2},
                            [WR_TENSOR_FP32] = {"FP32", 4},
                            [WR_TENSOR_FP64] = {"FP64", 8},
                            [WR_TENSOR_BYTES] = {"BYTES", sizeof(wr_str)}};

const char *wr_tensor_type_name(wr_tensor_type t) { return t < WR_TENSOR_TYPES ? types[t].name : ""; }
size_t wr_tensor_type_size(wr_tensor_type t) { return t < WR_TENSOR_TYPES ? types[t].size : 0; }

wr_tensor_type wr_tensor_type_parse(wr_str s)
{
    for (int t = WR_TENSOR_BOOL; t < WR_TENSOR_TYPES; t++)
        if (wr_str_is(s, types[t].name)) return (wr_tensor_type)t;
    return WR_TENSOR_NONE;
}

/* ---- counts ---- */

static int name_n(const wr_tensor *t) { return (int)(t->name.n < 100 ? t->name.n : 100); }

void wr_tensor_shape_text(char out[WR_TENSOR_SHAPE_TEXT], const int64_t *shape, int ndims)
{
    size_t n = 0;
    out[n++] = '[';
    for (int i = 0; i < ndims && i < WR_TENSOR_DIMS; i++)
        n += (size_t)snprintf(out + n, WR_TENSOR_SHAPE_TEXT - n, i ? ",%lld" : "%lld", (long long)shape[i]);
    out[n++] = ']';
    out[n] = 0;
}

static int bad_shape(const wr_tensor *t, int code, const char *what, wr_err *err)
{
    char text[WR_TENSOR_SHAPE_TEXT];
    wr_tensor_shape_text(text, t->shape, t->ndims);
    return wr_err_set(err, code, "invalid shape for input '%.*s': shape %s %s", name_n(t), t->name.p ? t->name.p : "",
                      text, what);
}

int wr_tensor_count(wr_tensor *t, wr_err *err)
{
    int64_t n = 1;
    bool over = false, none = false;
    if (t->ndims < 0 || t->ndims > WR_TENSOR_DIMS)
        return wr_err_set(err, WEIR_ELIMIT, "invalid shape for input '%.*s': more than %d dimensions", name_n(t),
                          t->name.p ? t->name.p : "", WR_TENSOR_DIMS);
    for (int i = 0; i < t->ndims; i++) {
        if (t->shape[i] < 0) return bad_shape(t, WEIR_EINVAL, "contains one or more invalid dimensions", err);
        none |= t->shape[i] == 0;
        over |= __builtin_mul_overflow(n, t->shape[i], &n);
    }
    if (none) n = 0;
    else if (over)
        return bad_shape(t, WEIR_ELIMIT, "causes total element count to exceed maximum size of 9223372036854775807",
                         err);
    int64_t size = (int64_t)wr_tensor_type_size(t->type), bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return wr_err_set(err, WEIR_ELIMIT,
                          "byte size overflow for input '%.*s': element count (%lld) * data type size (%lld) exceeds "
                          "maximum allowed size (9223372036854775807)",
                          name_n(t), t->name.p ? t->name.p : "", (long long)n, (long long)size);
    if (n > WR_LIMIT_TENSOR_ELEMENTS) return bad_shape(t, WEIR_ELIMIT, "has too many elements", err);
    t->count = (size_t)n;
    return 0;
}

int wr_tensor_alloc(wr_tensor *t, wr_arena *a, wr_err *err)
{
    size_t size = wr_tensor_type_size(t->type);
    if (t->type == WR_TENSOR_BYTES) t->data = wr_arena_calloc(a, t->count + 1, size);
    else t->data = t->count < SIZE_MAX / 16 ? wr_arena_alloc(a, t->count * size + 1) : NULL;
    return t->data ? 0 : wr_err_nomem(err);
}

/* ---- binary ---- */

static int size_mismatch(const wr_tensor *t, size_t want, size_t got, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL, "input byte size mismatch for input '%.*s'. Expected %zu, got %zu", name_n(t),
                      t->name.p ? t->name.p : "", want, got);
}

static int read_strings(wr_tensor *t, wr_str bytes, wr_arena *a, wr_err *err)
{
    wr_str *out;
    size_t i = 0, at = 0;
    const char *name = t->name.p ? t->name.p : "";
    if (t->count > bytes.n / sizeof(uint32_t))
        return wr_err_set(err, WEIR_EINVAL,
                          "expected %zu string elements for inference input '%.*s', %zu bytes hold fewer", t->count,
                          name_n(t), name, bytes.n);
    WR_TRY(wr_tensor_alloc(t, a, err));
    out = t->data;
    for (; at < bytes.n; i++) {
        uint32_t n;
        if (i == t->count)
            return wr_err_set(err, WEIR_EINVAL,
                              "unexpected number of string elements %zu for inference input '%.*s', expecting %zu",
                              i + 1, name_n(t), name, t->count);
        if (bytes.n - at < sizeof n)
            return wr_err_set(
                err, WEIR_EINVAL,
                "incomplete string length indicator for inference input '%.*s', expecting %zu bytes but only "
                "%zu bytes available",
                name_n(t), name, sizeof n, bytes.n - at);
        memcpy(&n, bytes.p + at, sizeof n);
        at += sizeof n;
        if (bytes.n - at < n)
            return wr_err_set(err, WEIR_EINVAL,
                              "incomplete string data for inference input '%.*s', expecting string of length %u but "
                              "only %zu bytes available",
                              name_n(t), name, n, bytes.n - at);
        out[i] = (wr_str){bytes.p + at, n};
        at += n;
    }
    if (i < t->count)
        return wr_err_set(err, WEIR_EINVAL, "expected %zu string elements for inference input '%.*s', got %zu",
                          t->count, name_n(t), name, i);
    return 0;
}

int wr_tensor_read_binary(wr_tensor *t, wr_str bytes, wr_arena *a, wr_err *err)
{
    size_t size = wr_tensor_type_size(t->type), want = t->count * size;
    if (t->type == WR_TENSOR_BYTES) return read_strings(t, bytes, a, err);
    if (bytes.n != want) return size_mismatch(t, want, bytes.n, err);
    if (t->type == WR_TENSOR_BOOL) { /* any byte but 0 is true; in memory it is 1 */
        WR_TRY(wr_tensor_alloc(t, a, err));
        for (size_t i = 0; i < t->count; i++) ((uint8_t *)t->data)[i] = bytes.p[i] != 0;
        return 0;
    }
    if (want && (uintptr_t)bytes.p % size == 0) {
        t->data = (void *)(uintptr_t)bytes.p; /* nobody writes into inputs */
        return 0;
    }
    WR_TRY(wr_tensor_alloc(t, a, err));
    if (want) memcpy(t->data, bytes.p, want);
    return 0;
}

size_t wr_tensor_binary_size(const wr_tensor *t)
{
    if (t->type != WR_TENSOR_BYTES) return t->count * wr_tensor_type_size(t->type);
    const wr_str *s = t->data;
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++) n += sizeof(uint32_t) + s[i].n;
    return n;
}

void wr_tensor_write_binary(wr_buf *out, const wr_tensor *t)
{
    if (t->type != WR_TENSOR_BYTES) {
        if (t->count) wr_buf_add(out, t->data, t->count * wr_tensor_type_size(t->type));
        return;
    }
    const wr_str *s = t->data;
    if (!wr_buf_reserve(out, wr_tensor_binary_size(t))) return;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t n = (uint32_t)s[i].n;
        if (s[i].n > UINT32_MAX) {
            out->failed = true;
            return;
        }
        wr_buf_add(out, &n, sizeof n);
        if (n) wr_buf_add(out, s[i].p, n);
    }
}

/* ---- small floats ---- */

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float wr_half_to_float(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, e = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (e == 31) return float_of(sign | 0x7f800000 | fraction << 13);
    if (e) return float_of(sign | (e + 112) << 23 | fraction << 13);
    float x = (float)fraction * 0x1p-24F; /* subnormal or zero: exact */
    return sign ? -x : x;
}

uint16_t wr_float_to_half(float x)
{
    uint32_t b = bits_of(x);
    uint16_t sign = (uint16_t)(b >> 16 & 0x8000);
    b &= 0x7fffffff;
    if (b > 0x7f800000) return sign | 0x7e00;  /* NaN */
    if (b >= 0x477ff000) return sign | 0x7c00; /* rounds to 65536 or is more */
    if (b < 0x38800000) { /* subnormal: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits */
        return sign | (uint16_t)(bits_of(float_of(b) + 0.5F) - 0x3f000000);
    }
    uint32_t odd = b >> 13 & 1;
    return sign | (uint16_t)((b + 0xfff + odd - 0x38000000) >> 13);
}

float wr_bf16_to_float(uint16_t bits) { return float_of((uint32_t)bits << 16); }

uint16_t wr_float_to_bf16(float x)
{
    uint32_t b = bits_of(x);
    if ((b & 0x7fffffff) > 0x7f800000) return (uint16_t)(b >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

/* ---- elements ---- */

bool wr_tensor_is_float(wr_tensor_type t) { return t >= WR_TENSOR_FP16 && t <= WR_TENSOR_FP64; }

double wr_tensor_f64(const wr_tensor *t, size_t i)
{
    switch (t->type) {
    case WR_TENSOR_FP16:
        return (double)wr_half_to_float(((const uint16_t *)t->data)[i]);
    case WR_TENSOR_BF16:
        return (double)wr_bf16_to_float(((const uint16_t *)t->data)[i]);
    case WR_TENSOR_FP32:
        return (double)((const float *)t->data)[i];
    case WR_TENSOR_FP64:
        return ((const double *)t->data)[i];
    case WR_TENSOR_UINT64:
        return (double)((const uint64_t *)t->data)[i];
    default:
        return (double)wr_tensor_i64(t, i);
    }
}

int64_t wr_tensor_i64(const wr_tensor *t, size_t i)
{
    switch (t->type) {
    case WR_TENSOR_BOOL:
    case WR_TENSOR_UINT8:
        return ((const uint8_t *)t->data)[i];
    case WR_TENSOR_UINT16:
        return ((const uint16_t *)t->data)[i];
    case WR_TENSOR_UINT32:
        return ((const uint32_t *)t->data)[i];
    case WR_TENSOR_INT8:
        return ((const int8_t *)t->data)[i];
    case WR_TENSOR_INT16:
        return ((const int16_t *)t->data)[i];
    case WR_TENSOR_INT32:
        return ((const int32_t *)t->data)[i];
    default:
        return ((const int64_t *)t->data)[i];
    }
}

void wr_tensor_set_f64(wr_tensor *t, size_t i, double x)
{
    switch (t->type) {
    case WR_TENSOR_FP32:
        ((float *)t->data)[i] = (float)x;
        break;
    case WR_TENSOR_FP64:
        ((double *)t->data)[i] = x;
        break;
    case WR_TENSOR_FP16:
        ((uint16_t *)t->data)[i] = wr_float_to_half((float)x);
        break;
    default:
        ((uint16_t *)t->data)[i] = wr_float_to_bf16((float)x);
        break;
    }
}

/* ---- conversions ---- */

/* One element between any two number types: whole numbers exactly, others as a double. */
typedef struct {
    bool whole, minus;
    uint64_t magnitude;
    double real;
} value;

static value of_signed(int64_t v)
{
    return (value){.whole = true, .minus = v < 0, .magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v, .real = (double)v};
}

static value of_unsigned(uint64_t v) { return (value){.whole = true, .magnitude = v, .real = (double)v}; }

static value of_real(double v)
{
    value out = {.real = v};
    if (v == trunc(v) && fabs(v) < 0x1p64) { /* NaN and infinities are not */
        out.whole = true;
        out.minus = v < 0;
        out.magnitude = (uint64_t)fabs(v);
    }
    return out;
}

static value get(const wr_tensor *t, size_t i)
{
    if (wr_tensor_is_float(t->type)) return of_real(wr_tensor_f64(t, i));
    int64_t v = wr_tensor_i64(t, i);
    return t->type <= WR_TENSOR_UINT64 ? of_unsigned((uint64_t)v) : of_signed(v);
}

static bool put_unsigned(void *p, size_t size, const value *v, uint64_t max)
{
    if (!v->whole || (v->minus && v->magnitude) || v->magnitude > max) return false;
    memcpy(p, &v->magnitude, size);
    return true;
}

static bool put_signed(void *p, size_t size, const value *v, uint64_t max)
{
    if (!v->whole || v->magnitude > max + v->minus) return false;
    uint64_t bits = v->minus ? -v->magnitude : v->magnitude;
    memcpy(p, &bits, size);
    return true;
}

/* A finite number must stay one. */
static bool put_real(void *p, wr_tensor_type type, double v)
{
    float f = (float)v;
    uint16_t h = type == WR_TENSOR_FP16 ? wr_float_to_half(f) : wr_float_to_bf16(f);
    switch (type) {
    case WR_TENSOR_FP64:
        memcpy(p, &v, sizeof v);
        return true;
    case WR_TENSOR_FP32:
        memcpy(p, &f, sizeof f);
        return isinf(v) || !isinf(f);
    default:
        memcpy(p, &h, sizeof h);
        return isinf(v) || !isinf(type == WR_TENSOR_FP16 ? wr_half_to_float(h) : wr_bf16_to_float(h));
    }
}

static bool put(wr_tensor *t, size_t i, const value *v)
{
    size_t size = wr_tensor_type_size(t->type);
    void *p = (char *)t->data + i * size;
    switch (t->type) {
    case WR_TENSOR_BOOL:
        return put_unsigned(p, size, v, 1);
    case WR_TENSOR_UINT8:
    case WR_TENSOR_UINT16:
    case WR_TENSOR_UINT32:
    case WR_TENSOR_UINT64:
        return put_unsigned(p, size, v, UINT64_MAX >> (64 - 8 * size));
    case WR_TENSOR_INT8:
    case WR_TENSOR_INT16:
    case WR_TENSOR_INT32:
    case WR_TENSOR_INT64:
        return put_signed(p, size, v, (uint64_t)INT64_MAX >> (64 - 8 * size));
    default:
        return put_real(p, t->type, v->real);
    }
}

/* The pairs that requests are full of: no look at each element's type. False: not one of them. */
static bool convert_quickly(wr_tensor *out, const wr_tensor *t)
{
    double *d = out->data;
    float *f = out->data;
    size_t n = t->count;
    if (out->type == WR_TENSOR_FP64 && t->type == WR_TENSOR_FP32)
        for (size_t i = 0; i < n; i++) d[i] = (double)((const float *)t->data)[i];
    else if (out->type == WR_TENSOR_FP64 && t->type == WR_TENSOR_INT64)
        for (size_t i = 0; i < n; i++) d[i] = (double)((const int64_t *)t->data)[i];
    else if (out->type == WR_TENSOR_FP64 && t->type == WR_TENSOR_INT32)
        for (size_t i = 0; i < n; i++) d[i] = (double)((const int32_t *)t->data)[i];
    else if (out->type == WR_TENSOR_FP32 && t->type == WR_TENSOR_INT64)
        for (size_t i = 0; i < n; i++) f[i] = (float)((const int64_t *)t->data)[i];
    else if (out->type == WR_TENSOR_FP32 && t->type == WR_TENSOR_INT32)
        for (size_t i = 0; i < n; i++) f[i] = (float)((const int32_t *)t->data)[i];
    else return false;
    return true;
}

int wr_tensor_convert(wr_tensor *out, const wr_tensor *t, wr_tensor_type type, wr_arena *a, wr_err *err)
{
    const char *name = t->name.p ? t->name.p : "";
    wr_tensor made = *t;
    made.type = type;
    if (type == t->type) {
        *out = *t;
        return 0;
    }
    if (type == WR_TENSOR_BYTES || t->type == WR_TENSOR_BYTES || type == WR_TENSOR_NONE || t->type == WR_TENSOR_NONE)
        return wr_err_set(err, WEIR_ETYPE, "'%.*s' is of datatype %s, which does not become %s", name_n(t), name,
                          wr_tensor_type_name(t->type), wr_tensor_type_name(type));
    WR_TRY(wr_tensor_alloc(&made, a, err));
    if (!convert_quickly(&made, t)) {
        for (size_t i = 0; i < t->count; i++) {
            value v = get(t, i);
            if (put(&made, i, &v)) continue;
            return wr_err_set(err, WEIR_ETYPE, "element %zu of '%.*s', %.17g, is not %s", i, name_n(t), name, v.real,
                              wr_tensor_type_name(type));
        }
    }
    *out = made;
    return 0;
}
