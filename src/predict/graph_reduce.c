/* SPDX-License-Identifier: Apache-2.0 */
/* graph_reduce.c - many elements to one: sums and their kin over axes, ArgMax, Softmax. Sums are taken in double. */
#include "predict/graph_inside.h"

#include <math.h>

typedef enum { SUM, MEAN, MAXIMUM, MINIMUM, PRODUCT, SUM_SQUARE, L1, L2, LOG_SUM_EXP } how;

/* Where the elements of one group lie: the kept dimensions make the groups, the others a group's elements. */
typedef struct {
    int nkept, ngone;
    int64_t kept[WR_TENSOR_DIMS], kept_step[WR_TENSOR_DIMS], gone[WR_TENSOR_DIMS], gone_step[WR_TENSOR_DIMS];
    size_t ngroups, size;
} groups;

static void split_dimensions(groups *g, const wr_tensor *a, unsigned axes)
{
    int64_t step[WR_TENSOR_DIMS], s = 1;
    *g = (groups){.ngroups = 1, .size = 1};
    for (int d = a->ndims - 1; d >= 0; d--) {
        step[d] = s;
        s *= a->shape[d];
    }
    for (int d = 0; d < a->ndims; d++) {
        bool gone = axes >> d & 1;
        int *n = gone ? &g->ngone : &g->nkept;
        (gone ? g->gone : g->kept)[*n] = a->shape[d];
        (gone ? g->gone_step : g->kept_step)[(*n)++] = step[d];
        *(gone ? &g->size : &g->ngroups) *= (size_t)a->shape[d];
    }
}

/* The next place in a box of `n` dimensions; the offset follows. */
static void advance(int64_t *index, ptrdiff_t *at, int n, const int64_t *shape, const int64_t *step)
{
    for (int d = n - 1; d >= 0; d--) {
        *at += step[d];
        if (++index[d] < shape[d]) return;
        *at -= step[d] * shape[d];
        index[d] = 0;
    }
}

static double first_of(how h)
{
    return h == MAXIMUM ? (double)-INFINITY : h == MINIMUM ? (double)INFINITY : h == PRODUCT ? 1 : 0;
}

static double combine(how h, double s, double x)
{
    switch (h) {
    case MAXIMUM:
        return isnan(s) || x <= s ? s : x;
    case MINIMUM:
        return isnan(s) || x >= s ? s : x;
    case PRODUCT:
        return s * x;
    case SUM_SQUARE:
    case L2:
        return s + x * x;
    case L1:
        return s + fabs(x);
    default:
        return s + x;
    }
}

#define GROUP_OF(name, T)                                                                                              \
    static double name(const groups *g, const void *data, ptrdiff_t base, how h)                                       \
    {                                                                                                                  \
        int64_t index[WR_TENSOR_DIMS] = {0};                                                                           \
        ptrdiff_t at = base;                                                                                           \
        double s = first_of(h), top = 0;                                                                               \
        if (h == LOG_SUM_EXP) {                                                                                        \
            top = name(g, data, base, MAXIMUM);                                                                        \
            if (isinf(top)) top = 0;                                                                                   \
        }                                                                                                              \
        for (size_t i = 0; i < g->size; i++) {                                                                         \
            double x = (double)((const T *)data)[at];                                                                  \
            s = combine(h, s, h == LOG_SUM_EXP ? exp(x - top) : x);                                                    \
            advance(index, &at, g->ngone, g->gone, g->gone_step);                                                      \
        }                                                                                                              \
        return h == MEAN ? s / (double)g->size : h == L2 ? sqrt(s) : h == LOG_SUM_EXP ? log(s) + top : s;              \
    }
GROUP_OF(group_f32, float)
GROUP_OF(group_f64, double)
GROUP_OF(group_i32, int32_t)

/* Whole numbers of 64 bits do not fit a double. */
static int64_t group_i64(const groups *g, const void *data, ptrdiff_t base, how h)
{
    int64_t index[WR_TENSOR_DIMS] = {0};
    ptrdiff_t at = base;
    uint64_t s = h == MAXIMUM ? (uint64_t)INT64_MIN : h == MINIMUM ? (uint64_t)INT64_MAX : h == PRODUCT ? 1 : 0;
    for (size_t i = 0; i < g->size; i++) {
        int64_t x = ((const int64_t *)data)[at];
        switch (h) {
        case MAXIMUM:
            s = x > (int64_t)s ? (uint64_t)x : s;
            break;
        case MINIMUM:
            s = x < (int64_t)s ? (uint64_t)x : s;
            break;
        case PRODUCT:
            s *= (uint64_t)x;
            break;
        case SUM_SQUARE:
            s += (uint64_t)x * (uint64_t)x;
            break;
        case L1:
            s += x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
            break;
        default:
            s += (uint64_t)x;
            break;
        }
        advance(index, &at, g->ngone, g->gone, g->gone_step);
    }
    if (h != MEAN) return (int64_t)s;
    return g->size ? (int64_t)s / (int64_t)g->size : 0;
}

/* Axes as bits: attribute or input; none = all, or none at all when noop_with_empty_axes says so (then *noop). */
static int axes_of(unsigned *out, bool *noop, wr_graph_ctx *r, const wr_graph_node *n, const wr_tensor *a)
{
    const wr_tensor *t = wr_graph_in(r, n, 1);
    const wr_onnx_attr *attr = wr_graph_attr_list(n, "axes", WR_ONNX_ATTR_INTS);
    int64_t axes[WR_TENSOR_DIMS];
    size_t count = 0;
    if (t) WR_TRY(wr_graph_ints(axes, &count, WR_TENSOR_DIMS, t, r->err));
    if (attr && attr->n > WR_TENSOR_DIMS) return wr_graph_bad(r, "too many axes");
    for (size_t i = 0; attr && !t && i < attr->n; i++) axes[count++] = attr->ints[i];
    *out = 0;
    *noop = count == 0 && wr_graph_attr_i(n, "noop_with_empty_axes", 0) != 0;
    if (count == 0 && !*noop) *out = (1u << a->ndims) - 1;
    for (size_t i = 0; i < count; i++) {
        int d;
        WR_TRY(wr_graph_axis(&d, axes[i], a->ndims, r->err));
        *out |= 1u << d;
    }
    return 0;
}

static wr_tensor *reduced(wr_graph_ctx *r, const wr_graph_node *n, const wr_tensor *a, unsigned axes, bool keep,
                          wr_tensor_type type)
{
    int64_t shape[WR_TENSOR_DIMS];
    int nd = 0;
    for (int d = 0; d < a->ndims; d++) {
        if (!(axes >> d & 1)) shape[nd++] = a->shape[d];
        else if (keep) shape[nd++] = 1;
    }
    return wr_graph_make(r, n, 0, type, nd, shape);
}

static int run_reduce(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    how h = *(const how *)n->op->arg;
    unsigned axes = 0;
    bool noop = false;
    WR_TRY(axes_of(&axes, &noop, r, n, a));
    if (noop) return wr_graph_share(r, n, 0, a, a->ndims, a->shape);
    if (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64 && a->type != WR_TENSOR_INT32 &&
        a->type != WR_TENSOR_INT64)
        return wr_graph_unsupported(r, a);
    if ((h == L2 || h == LOG_SUM_EXP) && a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64)
        return wr_graph_unsupported(r, a);
    groups g;
    split_dimensions(&g, a, axes);
    if (g.size == 0 && h != SUM && h != SUM_SQUARE && h != L1 && h != L2 && h != PRODUCT)
        return wr_graph_bad(r, "nothing of no elements");
    wr_tensor *o = reduced(r, n, a, axes, wr_graph_attr_i(n, "keepdims", 1) != 0, a->type);
    if (!o) return r->err->code;
    WR_TRY(wr_graph_work(r, a->count));
    int64_t index[WR_TENSOR_DIMS] = {0};
    ptrdiff_t at = 0;
    for (size_t i = 0; i < g.ngroups; i++) {
        if (a->type == WR_TENSOR_FP32) ((float *)o->data)[i] = (float)group_f32(&g, a->data, at, h);
        else if (a->type == WR_TENSOR_FP64) ((double *)o->data)[i] = group_f64(&g, a->data, at, h);
        else if (a->type == WR_TENSOR_INT64) ((int64_t *)o->data)[i] = group_i64(&g, a->data, at, h);
        else ((int32_t *)o->data)[i] = (int32_t)(int64_t)fmin(fmax(group_i32(&g, a->data, at, h), -9e18), 9e18);
        advance(index, &at, g.nkept, g.kept, g.kept_step);
    }
    return 0;
}

/* ---- the place of the greatest ---- */

static double element(const wr_tensor *a, ptrdiff_t at)
{
    switch (a->type) {
    case WR_TENSOR_FP32:
        return (double)((const float *)a->data)[at];
    case WR_TENSOR_FP64:
        return ((const double *)a->data)[at];
    default:
        return ((const int32_t *)a->data)[at];
    }
}

/* Of the elements at base, base + step, ...: the first greatest (or least), or the last such. */
static int64_t place(const wr_tensor *a, ptrdiff_t base, ptrdiff_t step, int64_t len, bool least, bool last)
{
    int64_t best = 0;
    for (int64_t i = 1; i < len; i++) {
        int c;
        if (a->type == WR_TENSOR_INT64) {
            int64_t x = ((const int64_t *)a->data)[base + i * step], y = ((const int64_t *)a->data)[base + best * step];
            c = (x > y) - (x < y);
        } else {
            double x = element(a, base + i * step), y = element(a, base + best * step);
            c = (x > y) - (x < y);
            if (x != x || y != y) c = -1; /* NaN is never better */
            if (least && c == -1 && (x != x || y != y)) c = 1;
        }
        if (least) c = -c;
        if (c > 0 || (c == 0 && last)) best = i;
    }
    return best;
}

static int run_place(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    bool least = *(const how *)n->op->arg == MINIMUM, last = wr_graph_attr_i(n, "select_last_index", 0) != 0;
    int axis;
    if (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64 && a->type != WR_TENSOR_INT32 &&
        a->type != WR_TENSOR_INT64)
        return wr_graph_unsupported(r, a);
    WR_TRY(wr_graph_axis(&axis, wr_graph_attr_i(n, "axis", 0), a->ndims, r->err));
    if (a->shape[axis] == 0) return wr_graph_bad(r, "nothing is the greatest of no elements");
    groups g;
    split_dimensions(&g, a, 1u << axis);
    wr_tensor *o = reduced(r, n, a, 1u << axis, wr_graph_attr_i(n, "keepdims", 1) != 0, WR_TENSOR_INT64);
    if (!o) return r->err->code;
    WR_TRY(wr_graph_work(r, a->count));
    int64_t index[WR_TENSOR_DIMS] = {0};
    ptrdiff_t at = 0;
    for (size_t i = 0; i < g.ngroups; i++) {
        ((int64_t *)o->data)[i] = place(a, at, g.gone_step[0], g.gone[0], least, last);
        advance(index, &at, g.nkept, g.kept, g.kept_step);
    }
    return 0;
}

/* ---- Softmax ---- */

#define SOFTMAX(name, T, EXP, LOG)                                                                                     \
    static void name(T *o, const T *x, size_t n, size_t step, bool logarithm)                                          \
    {                                                                                                                  \
        T top = x[0], sum = 0;                                                                                         \
        for (size_t i = 1; i < n; i++)                                                                                 \
            if (x[i * step] > top) top = x[i * step];                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            T e = EXP(x[i * step] - top);                                                                              \
            sum += e;                                                                                                  \
            o[i * step] = logarithm ? x[i * step] - top : e;                                                           \
        }                                                                                                              \
        T norm = logarithm ? LOG(sum) : 1 / sum;                                                                       \
        for (size_t i = 0; i < n; i++) o[i * step] = logarithm ? o[i * step] - norm : o[i * step] * norm;              \
    }
SOFTMAX(softmax_f32, float, expf, logf)
SOFTMAX(softmax_f64, double, exp, log)

/* Before operator set 13 all dimensions from the axis on were one; since then only the axis itself. */
static int run_softmax(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    bool old = r->g->opset < 13, logarithm = n->op->arg != NULL;
    int axis;
    if (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64) return wr_graph_unsupported(r, a);
    WR_TRY(wr_graph_axis(&axis, wr_graph_attr_i(n, "axis", old ? 1 : -1), a->ndims, r->err));
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, a->shape);
    if (!o) return r->err->code;
    if (o->count == 0) return 0;
    size_t outer = wr_graph_product(a, 0, axis), len = wr_graph_product(a, axis, old ? a->ndims : axis + 1),
           step = old ? 1 : wr_graph_product(a, axis + 1, a->ndims);
    for (size_t k = 0; k < outer; k++) {
        for (size_t i = 0; i < step; i++) {
            size_t at = k * len * step + i;
            if (a->type == WR_TENSOR_FP32)
                softmax_f32((float *)o->data + at, (const float *)a->data + at, len, step, logarithm);
            else softmax_f64((double *)o->data + at, (const double *)a->data + at, len, step, logarithm);
        }
    }
    return 0;
}

static const how sum = SUM, mean = MEAN, maximum = MAXIMUM, minimum = MINIMUM, product = PRODUCT,
                 sum_square = SUM_SQUARE, l1 = L1, l2 = L2, lse = LOG_SUM_EXP;
#define REDUCE(op, h)                                                                                                  \
    {                                                                                                                  \
        .name = op, .run = run_reduce, .arg = &(h), .min_in = 1, .max_in = 2, .max_out = 1, .alias = true              \
    }
const wr_graph_op wr_graph_reduce_ops[] = {
    REDUCE("ReduceSum", sum),
    REDUCE("ReduceMean", mean),
    REDUCE("ReduceMax", maximum),
    REDUCE("ReduceMin", minimum),
    REDUCE("ReduceProd", product),
    REDUCE("ReduceSumSquare", sum_square),
    REDUCE("ReduceL1", l1),
    REDUCE("ReduceL2", l2),
    REDUCE("ReduceLogSumExp", lse),
    {.name = "ArgMax", .run = run_place, .arg = &maximum, .min_in = 1, .max_in = 1, .max_out = 1},
    {.name = "ArgMin", .run = run_place, .arg = &minimum, .min_in = 1, .max_in = 1, .max_out = 1},
    {.name = "Softmax", .run = run_softmax, .min_in = 1, .max_in = 1, .max_out = 1},
    {.name = "LogSoftmax", .run = run_softmax, .arg = &l1, .min_in = 1, .max_in = 1, .max_out = 1},
    {0},
};
