/* SPDX-License-Identifier: Apache-2.0 */
/* graph_math.c - ops on elements: one operand, two with broadcasting, comparisons, Where.
 *
 * A kernel works on one line of n elements with a stride (0 or 1, seldom more) for each operand; the walk over all
 * lines is the same for every op. Whole numbers wrap; division by zero is an error. */
#include "predict/graph_inside.h"

#include <math.h>

typedef void (*line2)(void *o, const void *a, const void *b, ptrdiff_t sa, ptrdiff_t sb, size_t n);

/* One macro makes a kernel: the common strides as loops that the compiler can turn into vectors. */
#define LINE2(name, T, O, expr)                                                                                        \
    static void name(void *ov, const void *av, const void *bv, ptrdiff_t sa, ptrdiff_t sb, size_t n)                   \
    {                                                                                                                  \
        O *restrict o = ov;                                                                                            \
        const T *a = av, *b = bv;                                                                                      \
        if (sa == 1 && sb == 1) {                                                                                      \
            for (size_t i = 0; i < n; i++) {                                                                           \
                T x = a[i], y = b[i];                                                                                  \
                o[i] = (O)(expr);                                                                                      \
            }                                                                                                          \
        } else if (sa == 1 && sb == 0) {                                                                               \
            T y = b[0];                                                                                                \
            for (size_t i = 0; i < n; i++) {                                                                           \
                T x = a[i];                                                                                            \
                o[i] = (O)(expr);                                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            for (size_t i = 0; i < n; i++) {                                                                           \
                T x = a[(ptrdiff_t)i * sa], y = b[(ptrdiff_t)i * sb];                                                  \
                o[i] = (O)(expr);                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

static inline int64_t divide(int64_t x, int64_t y)
{
    return y == -1 ? (int64_t)(0u - (uint64_t)x) : y == 0 ? 0 : x / y;
}
static inline float least(float x, float y) { return isnan(x) || isnan(y) ? NAN : x < y ? x : y; }
static inline float most(float x, float y) { return isnan(x) || isnan(y) ? NAN : x > y ? x : y; }
static inline double least_d(double x, double y) { return isnan(x) || isnan(y) ? (double)NAN : x < y ? x : y; }
static inline double most_d(double x, double y) { return isnan(x) || isnan(y) ? (double)NAN : x > y ? x : y; }
static inline float power(float x, float y) { return y == 2 ? x * x : y == 0.5f ? sqrtf(x) : powf(x, y); }
static inline double power_d(double x, double y) { return y == 2 ? x * x : pow(x, y); }
/* Strings stand as wr_str: compared by bytes. */
#define SAME(x, y) wr_str_eq(x, y)

#define NUMBERS(op, fexpr, dexpr, iexpr)                                                                               \
    LINE2(op##_f32, float, float, fexpr)                                                                               \
    LINE2(op##_f64, double, double, dexpr)                                                                             \
    LINE2(op##_i32, int32_t, int32_t, iexpr)                                                                           \
    LINE2(op##_i64, int64_t, int64_t, iexpr)
NUMBERS(add, x + y, x + y, (uint64_t)x + (uint64_t)y)
NUMBERS(sub, x - y, x - y, (uint64_t)x - (uint64_t)y)
NUMBERS(mul, x *y, x *y, (uint64_t)x *(uint64_t)y)
NUMBERS(quotient, x / y, x / y, divide(x, y))
NUMBERS(min, least(x, y), least_d(x, y), x < y ? x : y)
NUMBERS(max, most(x, y), most_d(x, y), x > y ? x : y)
LINE2(pow_f32, float, float, power(x, y))
LINE2(pow_f64, double, double, power_d(x, y))

#define COMPARISON(op, expr)                                                                                           \
    LINE2(op##_f32, float, uint8_t, expr)                                                                              \
    LINE2(op##_f64, double, uint8_t, expr)                                                                             \
    LINE2(op##_i32, int32_t, uint8_t, expr)                                                                            \
    LINE2(op##_i64, int64_t, uint8_t, expr)
COMPARISON(equal, x == y)
COMPARISON(less, x < y)
COMPARISON(greater, x > y)
COMPARISON(at_most, x <= y)
COMPARISON(at_least, x >= y)
LINE2(equal_bool, uint8_t, uint8_t, x == y)
LINE2(equal_str, wr_str, uint8_t, SAME(x, y))
LINE2(and_bool, uint8_t, uint8_t, x &y)
LINE2(or_bool, uint8_t, uint8_t, x | y)
LINE2(xor_bool, uint8_t, uint8_t, x ^ y)

/* Kernels by type; NULL = none. `to`: type of the result, NONE = the operands'. */
typedef struct {
    line2 f32, f64, i32, i64, boolean, str;
    wr_tensor_type to;
    bool divides;
} kernels2;
#define OF(op)                                                                                                         \
    {                                                                                                                  \
        op##_f32, op##_f64, op##_i32, op##_i64, NULL, NULL, WR_TENSOR_NONE, false                                      \
    }
#define CMP(op)                                                                                                        \
    {                                                                                                                  \
        op##_f32, op##_f64, op##_i32, op##_i64, NULL, NULL, WR_TENSOR_BOOL, false                                      \
    }
static const kernels2 add = OF(add), sub = OF(sub), mul = OF(mul), minimum = OF(min), maximum = OF(max);
static const kernels2 quotient = {quotient_f32, quotient_f64, quotient_i32,   quotient_i64,
                                  NULL,         NULL,         WR_TENSOR_NONE, true};
static const kernels2 power_of = {pow_f32, pow_f64, NULL, NULL, NULL, NULL, WR_TENSOR_NONE, false};
static const kernels2 less = CMP(less), greater = CMP(greater), at_most = CMP(at_most), at_least = CMP(at_least);
static const kernels2 equal = {equal_f32,  equal_f64, equal_i32,      equal_i64,
                               equal_bool, equal_str, WR_TENSOR_BOOL, false};
static const kernels2 both = {.boolean = and_bool, .to = WR_TENSOR_BOOL},
                      either = {.boolean = or_bool, .to = WR_TENSOR_BOOL};
static const kernels2 one_of = {.boolean = xor_bool, .to = WR_TENSOR_BOOL};

static line2 kernel_for(const kernels2 *k, wr_tensor_type t)
{
    switch (t) {
    case WR_TENSOR_FP32:
        return k->f32;
    case WR_TENSOR_FP64:
        return k->f64;
    case WR_TENSOR_INT32:
        return k->i32;
    case WR_TENSOR_INT64:
        return k->i64;
    case WR_TENSOR_BOOL:
        return k->boolean;
    case WR_TENSOR_BYTES:
        return k->str;
    default:
        return NULL;
    }
}

/* ---- broadcasting ---- */

/* The common shape of up to three operands and each one's strides in elements (0 where it is repeated), neighbours
 * merged where all allow. */
enum { OPERANDS = 3 };
typedef struct {
    int ndims;
    int64_t shape[WR_TENSOR_DIMS], stride[OPERANDS][WR_TENSOR_DIMS];
} walk;

static int common_shape(wr_graph_ctx *r, walk *w, const wr_tensor *const *t, int n)
{
    w->ndims = 0;
    for (int k = 0; k < n; k++)
        if (t[k]->ndims > w->ndims) w->ndims = t[k]->ndims;
    for (int d = 0; d < w->ndims; d++) {
        w->shape[d] = 1;
        for (int k = 0; k < n; k++) {
            int at = d - (w->ndims - t[k]->ndims);
            int64_t s = at < 0 ? 1 : t[k]->shape[at];
            if (s == 1 || s == w->shape[d]) continue;
            if (w->shape[d] != 1) return wr_graph_bad(r, "shapes do not fit together");
            w->shape[d] = s;
        }
    }
    return 0;
}

static void strides_of(walk *w, int k, const wr_tensor *t)
{
    int64_t step = 1;
    for (int d = w->ndims - 1; d >= 0; d--) {
        int at = d - (w->ndims - t->ndims);
        int64_t s = at < 0 ? 1 : t->shape[at];
        w->stride[k][d] = s == 1 ? 0 : step;
        step *= s;
    }
}

/* Dimension d can join d + 1 when stepping in d is stepping past all of d + 1, for each operand. */
static bool joins(const walk *w, int d, int n)
{
    for (int k = 0; k < n; k++)
        if (w->stride[k][d] != w->stride[k][d + 1] * w->shape[d + 1]) return false;
    return true;
}

static void merge(walk *w, int n)
{
    int to = 0;
    walk m = *w;
    for (int d = 0; d < w->ndims; d++) { /* dimensions of one go away */
        if (w->shape[d] == 1) continue;
        m.shape[to] = w->shape[d];
        for (int k = 0; k < n; k++) m.stride[k][to] = w->stride[k][d];
        to++;
    }
    m.ndims = to;
    for (int d = m.ndims - 2; d >= 0; d--) {
        if (!joins(&m, d, n)) continue;
        m.shape[d] *= m.shape[d + 1];
        for (int k = 0; k < n; k++) m.stride[k][d] = m.stride[k][d + 1];
        for (int e = d + 1; e + 1 < m.ndims; e++) {
            m.shape[e] = m.shape[e + 1];
            for (int k = 0; k < n; k++) m.stride[k][e] = m.stride[k][e + 1];
        }
        m.ndims--;
    }
    if (m.ndims == 0) {
        m.ndims = 1;
        m.shape[0] = 1;
        for (int k = 0; k < n; k++) m.stride[k][0] = 0;
    }
    *w = m;
}

/* The next line: offsets of the operands, false at the end. Lines are the last dimension. */
static bool next_line(const walk *w, int64_t *index, ptrdiff_t *at, int n)
{
    for (int d = w->ndims - 2; d >= 0; d--) {
        for (int k = 0; k < n; k++) at[k] += w->stride[k][d];
        if (++index[d] < w->shape[d]) return true;
        for (int k = 0; k < n; k++) at[k] -= w->stride[k][d] * w->shape[d];
        index[d] = 0;
    }
    return false;
}

static void each_line2(const walk *w, line2 k, wr_tensor *o, const wr_tensor *a, const wr_tensor *b)
{
    int64_t index[WR_TENSOR_DIMS] = {0};
    ptrdiff_t at[2] = {0};
    size_t size = wr_tensor_type_size(a->type), osize = wr_tensor_type_size(o->type),
           n = (size_t)w->shape[w->ndims - 1];
    char *to = o->data;
    do {
        k(to, (const char *)a->data + at[0] * (ptrdiff_t)size, (const char *)b->data + at[1] * (ptrdiff_t)size,
          w->stride[0][w->ndims - 1], w->stride[1][w->ndims - 1], n);
        to += n * osize;
    } while (next_line(w, index, at, 2));
}

static bool has_zero(const wr_tensor *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->type == WR_TENSOR_INT32 && ((const int32_t *)t->data)[i] == 0) return true;
        if (t->type == WR_TENSOR_INT64 && ((const int64_t *)t->data)[i] == 0) return true;
    }
    return false;
}

static int binary(wr_graph_ctx *r, const wr_graph_node *n, const kernels2 *k, const wr_tensor *a, const wr_tensor *b)
{
    const wr_tensor *t[2] = {a, b};
    if (a->type != b->type) return wr_graph_bad(r, "operands of two types");
    line2 f = kernel_for(k, a->type);
    if (!f) return wr_graph_unsupported(r, a);
    walk w;
    WR_TRY(common_shape(r, &w, t, 2));
    wr_tensor *o = wr_graph_make(r, n, 0, k->to ? k->to : a->type, w.ndims, w.shape);
    if (!o) return r->err->code;
    if (o->count == 0) return 0;
    if (k->divides && a->type != WR_TENSOR_FP32 && has_zero(b)) return wr_graph_bad(r, "division by zero");
    strides_of(&w, 0, a);
    strides_of(&w, 1, b);
    merge(&w, 2);
    each_line2(&w, f, o, a, b);
    return 0;
}

static int run_binary(wr_graph_ctx *r, const wr_graph_node *n)
{
    return binary(r, n, n->op->arg, wr_graph_in(r, n, 0), wr_graph_in(r, n, 1));
}

/* Min and Max take any number of operands: from left to right. */
static int run_fold(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    if (n->nin == 1) return wr_graph_share(r, n, 0, a, a->ndims, a->shape);
    for (uint32_t i = 1; i < n->nin; i++) {
        const wr_tensor *b = wr_graph_in(r, n, i);
        if (!b) return wr_graph_bad(r, "an operand is missing");
        wr_tensor so_far = *a; /* the output's own struct is written anew each time */
        WR_TRY(binary(r, n, n->op->arg, &so_far, b));
        a = &r->own[n->first_own];
    }
    return 0;
}

/* The exponent may be of another number type: it takes the base's. */
static int run_pow(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *b = wr_graph_in(r, n, 1);
    wr_tensor converted;
    if (b->type != a->type) {
        if (b->type == WR_TENSOR_BYTES || (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64))
            return wr_graph_unsupported(r, b);
        WR_TRY(wr_tensor_convert(&converted, b, a->type, r->a, r->err));
        b = &converted;
    }
    return binary(r, n, n->op->arg, a, b);
}

/* ---- one operand ---- */

typedef void (*line1)(void *o, const void *a, size_t n, float alpha);
#define LINE1(name, T, O, expr)                                                                                        \
    static void name(void *ov, const void *av, size_t n, float alpha)                                                  \
    {                                                                                                                  \
        O *restrict o = ov;                                                                                            \
        const T *a = av;                                                                                               \
        (void)alpha;                                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                                               \
            T x = a[i];                                                                                                \
            o[i] = (O)(expr);                                                                                          \
        }                                                                                                              \
    }
#define FLOATS(op, fexpr, dexpr) LINE1(op##_f32, float, float, fexpr) LINE1(op##_f64, double, double, dexpr)

static inline float logistic(float x) { return x >= 0 ? 1 / (1 + expf(-x)) : 1 - 1 / (1 + expf(x)); }
static inline double logistic_d(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : 1 - 1 / (1 + exp(x)); }

FLOATS(relu, x > 0 || isnan(x) ? x : 0, x > 0 || isnan(x) ? x : 0)
LINE1(relu_i32, int32_t, int32_t, x > 0 ? x : 0)
LINE1(relu_i64, int64_t, int64_t, x > 0 ? x : 0)
FLOATS(sigmoid, logistic(x), logistic_d(x))
FLOATS(hyperbolic, tanhf(x), tanh(x))
FLOATS(exponential, expf(x), exp(x))
FLOATS(logarithm, logf(x), log(x))
FLOATS(root, sqrtf(x), sqrt(x))
FLOATS(magnitude, fabsf(x), fabs(x))
LINE1(magnitude_i32, int32_t, int32_t, x < 0 ? 0u - (uint32_t)x : (uint32_t)x)
LINE1(magnitude_i64, int64_t, int64_t, x < 0 ? 0u - (uint64_t)x : (uint64_t)x)
FLOATS(negative, -x, -x)
LINE1(negative_i32, int32_t, int32_t, 0u - (uint32_t)x)
LINE1(negative_i64, int64_t, int64_t, 0u - (uint64_t)x)
FLOATS(floor_of, floorf(x), floor(x))
FLOATS(ceil_of, ceilf(x), ceil(x))
FLOATS(nearest_even, rintf(x), rint(x))
FLOATS(reciprocal, 1 / x, 1 / x)
FLOATS(sign_of, x > 0 ? 1 : x < 0 ? -1 : x, x > 0 ? 1 : x < 0 ? -1 : x)
LINE1(sign_of_i32, int32_t, int32_t, (x > 0) - (x < 0))
LINE1(sign_of_i64, int64_t, int64_t, (x > 0) - (x < 0))
FLOATS(error_function, erff(x), erf(x))
FLOATS(softplus, x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)), x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
FLOATS(leaky, x >= 0 ? x : alpha * x, x >= 0 ? x : (double)alpha * x)
FLOATS(elu, x >= 0 ? x : alpha * expm1f(x), x >= 0 ? x : (double)alpha * expm1(x))
LINE1(not_bool, uint8_t, uint8_t, !x)
LINE1(isnan_f32, float, uint8_t, isnan(x))
LINE1(isnan_f64, double, uint8_t, isnan(x))

typedef struct {
    line1 f32, f64, i32, i64, boolean;
    wr_tensor_type to;
    float alpha;
} kernels1;
#define FLOAT1(op)                                                                                                     \
    {                                                                                                                  \
        op##_f32, op##_f64, NULL, NULL, NULL, WR_TENSOR_NONE, 0                                                        \
    }
#define NUMBER1(op)                                                                                                    \
    {                                                                                                                  \
        op##_f32, op##_f64, op##_i32, op##_i64, NULL, WR_TENSOR_NONE, 0                                                \
    }
static const kernels1 relu = NUMBER1(relu), sigmoid = FLOAT1(sigmoid), hyperbolic = FLOAT1(hyperbolic),
                      exponential = FLOAT1(exponential);
static const kernels1 logarithm = FLOAT1(logarithm), root = FLOAT1(root), magnitude = NUMBER1(magnitude),
                      negative = NUMBER1(negative);
static const kernels1 floor_of = FLOAT1(floor_of), ceil_of = FLOAT1(ceil_of), nearest_even = FLOAT1(nearest_even),
                      reciprocal = FLOAT1(reciprocal);
static const kernels1 sign_of = NUMBER1(sign_of), error_function = FLOAT1(error_function), softplus = FLOAT1(softplus);
static const kernels1 leaky = {leaky_f32, leaky_f64, NULL, NULL, NULL, WR_TENSOR_NONE, 0.01f};
static const kernels1 elu = {elu_f32, elu_f64, NULL, NULL, NULL, WR_TENSOR_NONE, 1};
static const kernels1 negation = {.boolean = not_bool},
                      is_nan = {.f32 = isnan_f32, .f64 = isnan_f64, .to = WR_TENSOR_BOOL};

static int run_unary(wr_graph_ctx *r, const wr_graph_node *n)
{
    const kernels1 *k = n->op->arg;
    const wr_tensor *a = wr_graph_in(r, n, 0);
    line1 f = a->type == WR_TENSOR_FP32    ? k->f32
              : a->type == WR_TENSOR_FP64  ? k->f64
              : a->type == WR_TENSOR_INT32 ? k->i32
              : a->type == WR_TENSOR_INT64 ? k->i64
              : a->type == WR_TENSOR_BOOL  ? k->boolean
                                           : NULL;
    if (!f) return wr_graph_unsupported(r, a);
    wr_tensor *o = wr_graph_make(r, n, 0, k->to ? k->to : a->type, a->ndims, a->shape);
    if (!o) return r->err->code;
    f(o->data, a->data, a->count, k->alpha == 0 ? 0 : wr_graph_attr_f(n, "alpha", k->alpha));
    return 0;
}

/* ---- Clip ---- */

/* The bound: an attribute before operator set 11, a scalar input since. */
static int bound(wr_graph_ctx *r, const wr_graph_node *n, double *out, uint32_t input, const char *attr,
                 const wr_tensor *a)
{
    const wr_tensor *b = wr_graph_in(r, n, input);
    if (!b) {
        const wr_onnx_attr *x = wr_onnx_attr_find(n->of, attr);
        if (!x || x->type != WR_ONNX_ATTR_FLOAT) return 0;
        if (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64) return wr_graph_unsupported(r, a);
        *out = (double)x->f;
        return 0;
    }
    if (b->type != a->type || b->count != 1) return wr_graph_bad(r, "a bound is not one number of the operand's type");
    switch (b->type) {
    case WR_TENSOR_FP32:
        *out = (double)*(const float *)b->data;
        return 0;
    case WR_TENSOR_FP64:
        *out = *(const double *)b->data;
        return 0;
    case WR_TENSOR_INT32:
        *out = *(const int32_t *)b->data;
        return 0;
    default:
        return wr_graph_unsupported(r, b);
    }
}

static int run_clip(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    double lo = (double)-INFINITY, hi = (double)INFINITY;
    WR_TRY(bound(r, n, &lo, 1, "min", a));
    WR_TRY(bound(r, n, &hi, 2, "max", a));
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, a->shape);
    if (!o) return r->err->code;
#define CLIP(T)                                                                                                        \
    for (size_t i = 0; i < a->count; i++) {                                                                            \
        T x = ((const T *)a->data)[i];                                                                                 \
        ((T *)o->data)[i] = (double)x > hi ? (T)hi : (double)x < lo ? (T)lo : x;                                       \
    }
    if (a->type == WR_TENSOR_FP32) {
        CLIP(float)
    } else if (a->type == WR_TENSOR_FP64) {
        CLIP(double)
    } else if (a->type == WR_TENSOR_INT32) {
        CLIP(int32_t)
    } else {
        return wr_graph_unsupported(r, a);
    }
#undef CLIP
    return 0;
}

/* ---- Where ---- */

static int run_where(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *t[3] = {wr_graph_in(r, n, 0), wr_graph_in(r, n, 1), wr_graph_in(r, n, 2)};
    if (t[0]->type != WR_TENSOR_BOOL || t[1]->type != t[2]->type)
        return wr_graph_bad(r, "the condition is not BOOL, or the two sides have two types");
    walk w;
    WR_TRY(common_shape(r, &w, t, 3));
    wr_tensor *o = wr_graph_make(r, n, 0, t[1]->type, w.ndims, w.shape);
    if (!o) return r->err->code;
    if (o->count == 0) return 0;
    for (int k = 0; k < 3; k++) strides_of(&w, k, t[k]);
    merge(&w, 3);
    int64_t index[WR_TENSOR_DIMS] = {0};
    ptrdiff_t at[3] = {0};
    int last = w.ndims - 1;
    size_t size = wr_tensor_type_size(o->type);
    char *to = o->data;
    do {
        for (int64_t i = 0; i < w.shape[last]; i++, to += size) {
            int side = ((const uint8_t *)t[0]->data)[at[0] + i * w.stride[0][last]] ? 1 : 2;
            memcpy(to, (const char *)t[side]->data + (size_t)(at[side] + i * w.stride[side][last]) * size, size);
        }
    } while (next_line(&w, index, at, 3));
    return 0;
}

#define TWO(op, table)                                                                                                 \
    {                                                                                                                  \
        .name = op, .run = run_binary, .arg = &(table), .min_in = 2, .max_in = 2, .max_out = 1                         \
    }
#define ONE(op, table)                                                                                                 \
    {                                                                                                                  \
        .name = op, .run = run_unary, .arg = &(table), .min_in = 1, .max_in = 1, .max_out = 1                          \
    }
const wr_graph_op wr_graph_math_ops[] = {
    TWO("Add", add),
    TWO("Sub", sub),
    TWO("Mul", mul),
    TWO("Div", quotient),
    {.name = "Pow", .run = run_pow, .arg = &power_of, .min_in = 2, .max_in = 2, .max_out = 1},
    {.name = "Min", .run = run_fold, .arg = &minimum, .min_in = 1, .max_in = WR_GRAPH_ANY, .max_out = 1, .alias = true},
    {.name = "Max", .run = run_fold, .arg = &maximum, .min_in = 1, .max_in = WR_GRAPH_ANY, .max_out = 1, .alias = true},
    {.name = "Sum", .run = run_fold, .arg = &add, .min_in = 1, .max_in = WR_GRAPH_ANY, .max_out = 1, .alias = true},
    TWO("Equal", equal),
    TWO("Less", less),
    TWO("Greater", greater),
    TWO("LessOrEqual", at_most),
    TWO("GreaterOrEqual", at_least),
    TWO("And", both),
    TWO("Or", either),
    TWO("Xor", one_of),
    ONE("Not", negation),
    ONE("IsNaN", is_nan),
    ONE("Relu", relu),
    ONE("Sigmoid", sigmoid),
    ONE("Tanh", hyperbolic),
    ONE("Exp", exponential),
    ONE("Log", logarithm),
    ONE("Sqrt", root),
    ONE("Abs", magnitude),
    ONE("Neg", negative),
    ONE("Floor", floor_of),
    ONE("Ceil", ceil_of),
    ONE("Round", nearest_even),
    ONE("Reciprocal", reciprocal),
    ONE("Sign", sign_of),
    ONE("Erf", error_function),
    ONE("Softplus", softplus),
    ONE("LeakyRelu", leaky),
    ONE("Elu", elu),
    {.name = "Clip", .run = run_clip, .min_in = 1, .max_in = 3, .max_out = 1},
    {.name = "Where", .run = run_where, .min_in = 3, .max_in = 3, .max_out = 1},
    {0},
};
