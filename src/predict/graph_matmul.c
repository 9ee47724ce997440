/* SPDX-License-Identifier: Apache-2.0 */
/* graph_matmul.c - MatMul, Gemm, BatchNormalization. Floats go through graph_gemm.h, with constant right sides packed
 * at open; doubles through a plain loop. */
#include "predict/graph_inside.h"

#include <math.h>

#include "base/limits.h"
#include "predict/graph_gemm.h"

/* What is known at open. b NULL: the right side is not constant. */
typedef struct {
    bool trans_a, trans_b, deep_bias; /* deep_bias: [1, n], which makes a matrix of a vector */
    float alpha, beta;
    float *b, *bias; /* bias NULL: none, or not constant */
    size_t n;
    wr_gemm_after after;
} packed;

static int pack_constant(wr_graph_node *n, wr_graph *g, const float *b, size_t k, size_t cols, size_t row,
                         size_t column, float alpha, wr_err *err)
{
    packed *p = n->state;
    if (k && wr_gemm_packed(k, cols) > WR_LIMIT_ONNX_ELEMENTS) return wr_graph_refuse(n, err, "a matrix of that size");
    p->b = wr_arena_alloc(g->mem, (wr_gemm_packed(k, cols) + 1) * sizeof *p->b);
    if (!p->b) return wr_err_nomem(err);
    wr_gemm_pack(p->b, b, k, cols, row, column, alpha);
    p->n = cols;
    return 0;
}

/* A constant row of n floats: [n] or [1, n]. */
static bool is_row(const wr_tensor *c, size_t n)
{
    return c && c->type == WR_TENSOR_FP32 && c->count == n && (c->ndims == 1 || c->ndims == 2) &&
           (size_t)c->shape[c->ndims - 1] == n;
}

static bool take_bias(packed *p, wr_graph *g, const wr_tensor *c, float beta)
{
    float *bias = wr_arena_alloc(g->mem, (p->n + 1) * sizeof *bias);
    for (size_t j = 0; bias && j < p->n; j++) bias[j] = beta * ((const float *)c->data)[j];
    if (bias) p->bias = bias;
    return bias != NULL;
}

/* Relu after the product, or a row that is added. */
static bool absorb(wr_graph_node *n, const wr_graph_node *next, wr_graph *g)
{
    packed *p = n->state;
    wr_str op = next->of->op;
    if (!p->b || p->after != WR_GEMM_PLAIN || next->of->domain.n) return false;
    if (wr_str_is(op, "Relu")) {
        const wr_tensor *c = wr_graph_constant(g, n, 2);
        if (c && !p->bias) return false; /* something else is added behind the kernel */
        if (n->nin > 2 && !c) return false;
        p->after = WR_GEMM_RELU;
        return true;
    }
    if (!wr_str_is(op, "Add") || p->bias || n->nin > 2) return false;
    const wr_tensor *c = wr_graph_constant(g, next, next->in[0] == n->out[0] ? 1 : 0);
    if (!is_row(c, p->n) || !take_bias(p, g, c, 1)) return false;
    p->deep_bias = c->ndims == 2;
    return true;
}

/* The right side packed: at open, or into scratch. */
static const float *packed_right(wr_graph_ctx *r, const packed *p, const float *b, size_t k, size_t n, size_t row,
                                 size_t column, float alpha)
{
    if (p && p->b) return p->b;
    float *to = wr_graph_scratch(r, (wr_gemm_packed(k, n) + 1) * sizeof *to);
    if (to) wr_gemm_pack(to, b, k, n, row, column, alpha);
    return to;
}

static void product_f64(double *o, const double *a, const double *b, size_t m, size_t k, size_t n)
{
    for (size_t i = 0; i < m; i++) {
        double *row = o + i * n;
        memset(row, 0, n * sizeof *row);
        for (size_t l = 0; l < k; l++)
            for (size_t j = 0; j < n; j++) row[j] += a[i * k + l] * b[l * n + j];
    }
}

static void product_i64(int64_t *o, const int64_t *a, const int64_t *b, size_t m, size_t k, size_t n)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            uint64_t s = 0;
            for (size_t l = 0; l < k; l++) s += (uint64_t)a[i * k + l] * (uint64_t)b[l * n + j];
            o[i * n + j] = (int64_t)s;
        }
}

/* Work of a product; every dimension is at most 2^63 / 16, so the steps cannot wrap. */
static int count_product(wr_graph_ctx *r, size_t m, size_t k, size_t n)
{
    uint64_t w;
    if (__builtin_mul_overflow((uint64_t)m, (uint64_t)k, &w) || __builtin_mul_overflow(w, (uint64_t)n, &w))
        w = UINT64_MAX;
    return wr_graph_work(r, w);
}

/* ---- MatMul ---- */

static int prepare_matmul(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    const wr_tensor *b = wr_graph_constant(g, n, 1);
    n->state = wr_arena_calloc(g->mem, 1, sizeof(packed));
    if (!n->state) return wr_err_nomem(err);
    if (!b || b->type != WR_TENSOR_FP32 || b->ndims != 2) return 0;
    size_t cols = (size_t)b->shape[1];
    return pack_constant(n, g, b->data, (size_t)b->shape[0], cols, cols, 1, 1, err);
}

/* numpy's matmul: vectors get a dimension that goes away again, leading dimensions are repeated. */
typedef struct {
    size_t m, k, n;
    int batch;
    int64_t shape[WR_TENSOR_DIMS + 2];
    int ndims;
    size_t repeat_a[WR_TENSOR_DIMS], repeat_b[WR_TENSOR_DIMS];
} product;

static int product_shape(wr_graph_ctx *r, product *p, const wr_tensor *a, const wr_tensor *b)
{
    if (a->ndims == 0 || b->ndims == 0) return wr_graph_bad(r, "a number is not a matrix");
    p->m = a->ndims == 1 ? 1 : (size_t)a->shape[a->ndims - 2];
    p->k = (size_t)a->shape[a->ndims - 1];
    p->n = b->ndims == 1 ? 1 : (size_t)b->shape[b->ndims - 1];
    size_t kb = (size_t)b->shape[b->ndims == 1 ? 0 : b->ndims - 2];
    if (p->k != kb) return wr_graph_bad(r, "the matrices do not fit together");
    int na = a->ndims > 2 ? a->ndims - 2 : 0, nb = b->ndims > 2 ? b->ndims - 2 : 0;
    p->batch = na > nb ? na : nb;
    size_t step_a = p->m * p->k, step_b = p->k * p->n;
    for (int d = p->batch - 1; d >= 0; d--) {
        int64_t sa = d - (p->batch - na) < 0 ? 1 : a->shape[d - (p->batch - na)],
                sb = d - (p->batch - nb) < 0 ? 1 : b->shape[d - (p->batch - nb)];
        if (sa != sb && sa != 1 && sb != 1) return wr_graph_bad(r, "the matrices do not fit together");
        p->shape[d] = sa == 1 ? sb : sa;
        p->repeat_a[d] = sa == 1 ? 0 : step_a;
        p->repeat_b[d] = sb == 1 ? 0 : step_b;
        step_a *= (size_t)sa;
        step_b *= (size_t)sb;
    }
    p->ndims = p->batch;
    if (a->ndims > 1) p->shape[p->ndims++] = (int64_t)p->m;
    if (b->ndims > 1) p->shape[p->ndims++] = (int64_t)p->n;
    return 0;
}

static int multiply(wr_graph_ctx *r, const packed *ready, const product *p, wr_tensor *o, size_t to, const wr_tensor *a,
                    size_t at_a, const wr_tensor *b, size_t at_b)
{
    if (a->type == WR_TENSOR_FP64) {
        product_f64((double *)o->data + to, (const double *)a->data + at_a, (const double *)b->data + at_b, p->m, p->k,
                    p->n);
    } else if (a->type == WR_TENSOR_INT64) {
        product_i64((int64_t *)o->data + to, (const int64_t *)a->data + at_a, (const int64_t *)b->data + at_b, p->m,
                    p->k, p->n);
    } else {
        const float *right = packed_right(r, ready, (const float *)b->data + at_b, p->k, p->n, p->n, 1, 1);
        if (!right) return r->err->code;
        wr_gemm((float *)o->data + to, (const float *)a->data + at_a, right, ready->bias, p->m, p->k, p->n,
                ready->after);
    }
    return 0;
}

static int run_matmul(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *b = wr_graph_in(r, n, 1);
    const packed *ready = n->state;
    product p;
    if (a->type != b->type || (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64 && a->type != WR_TENSOR_INT64))
        return wr_graph_unsupported(r, b);
    WR_TRY(product_shape(r, &p, a, b));
    if (p.ndims > WR_TENSOR_DIMS) return wr_graph_bad(r, "too many dimensions");
    if (ready->deep_bias && p.ndims == 1) {
        p.shape[1] = p.shape[0];
        p.shape[0] = 1;
        p.ndims = 2;
    }
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, p.ndims, p.shape);
    if (!o) return r->err->code;
    WR_TRY(count_product(r, o->count, p.k, 1));
    if (o->count == 0) return 0;
    if (ready->b && p.batch > 0) { /* one matrix for all: its rows are many */
        p.m = o->count / p.n;
        return multiply(r, ready, &p, o, 0, a, 0, b, 0);
    }
    int64_t index[WR_TENSOR_DIMS] = {0};
    size_t at_a = 0, at_b = 0, to = 0;
    for (;; to += p.m * p.n) {
        WR_TRY(multiply(r, ready, &p, o, to, a, at_a, b, at_b));
        int d = p.batch - 1;
        for (; d >= 0; d--) {
            at_a += p.repeat_a[d];
            at_b += p.repeat_b[d];
            if (++index[d] < p.shape[d]) break;
            at_a -= p.repeat_a[d] * (size_t)p.shape[d];
            at_b -= p.repeat_b[d] * (size_t)p.shape[d];
            index[d] = 0;
        }
        if (d < 0) return 0;
    }
}

/* ---- Gemm: alpha A' B' + beta C ---- */

static int prepare_gemm(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    const wr_tensor *b = wr_graph_constant(g, n, 1), *c = wr_graph_constant(g, n, 2);
    packed *p = wr_arena_calloc(g->mem, 1, sizeof *p);
    if (!p) return wr_err_nomem(err);
    n->state = p;
    p->trans_a = wr_graph_attr_i(n, "transA", 0) != 0;
    p->trans_b = wr_graph_attr_i(n, "transB", 0) != 0;
    p->alpha = wr_graph_attr_f(n, "alpha", 1);
    p->beta = wr_graph_attr_f(n, "beta", 1);
    if (!b || b->type != WR_TENSOR_FP32 || b->ndims != 2) return 0;
    size_t rows = (size_t)b->shape[0], cols = (size_t)b->shape[1];
    bool t = p->trans_b;
    WR_TRY(pack_constant(n, g, b->data, t ? cols : rows, t ? rows : cols, t ? 1 : cols, t ? cols : 1, p->alpha, err));
    return is_row(c, p->n) && !take_bias(p, g, c, p->beta) ? wr_err_nomem(err) : 0;
}

/* C repeated to m x n and multiplied, added to the product. */
#define ADD_C(T)                                                                                                       \
    for (size_t i = 0; i < m; i++)                                                                                     \
        for (size_t j = 0; j < cols; j++)                                                                              \
            ((T *)o->data)[i * cols + j] =                                                                             \
                (T)((T *)o->data)[i * cols + j] + (T)beta * ((const T *)c->data)[i * sr + j * sc];

static int add_c(wr_graph_ctx *r, wr_tensor *o, const wr_tensor *c, float beta)
{
    size_t m = (size_t)o->shape[0], cols = (size_t)o->shape[1];
    int64_t rows = c->ndims == 2 ? c->shape[0] : 1, width = c->ndims >= 1 ? c->shape[c->ndims - 1] : 1;
    if (c->type != o->type) return wr_graph_bad(r, "operands of two types");
    if (c->ndims > 2 || (rows != 1 && rows != (int64_t)m) || (width != 1 && width != (int64_t)cols))
        return wr_graph_bad(r, "what is added does not fit");
    size_t sr = rows == 1 ? 0 : (size_t)width, sc = width == 1 ? 0 : 1;
    if (o->type == WR_TENSOR_FP32) {
        ADD_C(float)
    } else {
        ADD_C(double)
    }
    return 0;
}

#define TRANSPOSED(T)                                                                                                  \
    for (size_t i = 0; i < rows; i++)                                                                                  \
        for (size_t j = 0; j < cols; j++) ((T *)to)[j * rows + i] = ((const T *)a->data)[i * cols + j];

static const void *left_side(wr_graph_ctx *r, const wr_tensor *a, bool trans)
{
    if (!trans) return a->data;
    size_t rows = (size_t)a->shape[0], cols = (size_t)a->shape[1];
    void *to = wr_graph_scratch(r, a->count * wr_tensor_type_size(a->type));
    if (!to) return NULL;
    if (a->type == WR_TENSOR_FP32) {
        TRANSPOSED(float)
    } else {
        TRANSPOSED(double)
    }
    return to;
}

static int run_gemm(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *b = wr_graph_in(r, n, 1), *c = wr_graph_in(r, n, 2);
    const packed *ready = n->state;
    bool ta = ready->trans_a, tb = ready->trans_b;
    if (a->type != b->type || (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_FP64))
        return wr_graph_unsupported(r, a);
    if (a->ndims != 2 || b->ndims != 2) return wr_graph_bad(r, "an operand is not a matrix");
    size_t m = (size_t)a->shape[ta], k = (size_t)a->shape[!ta], cols = (size_t)b->shape[!tb];
    if ((size_t)b->shape[tb] != k) return wr_graph_bad(r, "the matrices do not fit together");
    int64_t shape[2] = {(int64_t)m, (int64_t)cols};
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, 2, shape);
    if (!o) return r->err->code;
    WR_TRY(count_product(r, m, k, cols));
    if (o->count == 0) return 0;
    const void *left = left_side(r, a, ta);
    if (!left) return r->err->code;
    if (a->type == WR_TENSOR_FP32) {
        const float *right = packed_right(r, ready, b->data, k, cols, tb ? 1 : cols, tb ? k : 1, ready->alpha);
        if (!right) return r->err->code;
        wr_gemm(o->data, left, right, ready->bias, m, k, cols, ready->after);
    } else {
        const void *right = left_side(r, b, tb);
        if (!right) return r->err->code;
        product_f64(o->data, left, right, m, k, cols);
        for (size_t i = 0; i < o->count; i++) ((double *)o->data)[i] *= (double)ready->alpha;
    }
    return c && !ready->bias ? add_c(r, o, c, ready->beta) : 0;
}

/* ---- BatchNormalization of a finished model ---- */

static int run_batch_norm(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *p[4];
    float eps = wr_graph_attr_f(n, "epsilon", 1e-5f);
    if (a->type != WR_TENSOR_FP32) return wr_graph_unsupported(r, a);
    if (wr_graph_attr_i(n, "training_mode", 0)) return wr_graph_bad(r, "training mode");
    size_t channels = a->ndims > 1 ? (size_t)a->shape[1] : 1;
    for (uint32_t i = 0; i < 4; i++) {
        p[i] = wr_graph_in(r, n, i + 1);
        if (p[i]->type != WR_TENSOR_FP32 || p[i]->count != channels)
            return wr_graph_bad(r, "scale, bias, mean and variance are not as many as channels");
    }
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, a->shape);
    if (!o) return r->err->code;
    size_t inner = a->ndims > 2 ? wr_graph_product(a, 2, a->ndims) : 1, outer = a->ndims > 0 ? (size_t)a->shape[0] : 1;
    const float *x = a->data;
    float *y = o->data;
    for (size_t k = 0; k < outer; k++)
        for (size_t c = 0; c < channels; c++) {
            float scale = ((const float *)p[0]->data)[c] / sqrtf(((const float *)p[3]->data)[c] + eps);
            float shift = ((const float *)p[1]->data)[c] - ((const float *)p[2]->data)[c] * scale;
            for (size_t i = 0; i < inner; i++) *y++ = *x++ * scale + shift;
        }
    return 0;
}

const wr_graph_op wr_graph_matmul_ops[] = {
    {.name = "MatMul",
     .prepare = prepare_matmul,
     .run = run_matmul,
     .absorb = absorb,
     .min_in = 2,
     .max_in = 2,
     .max_out = 1},
    {.name = "Gemm",
     .prepare = prepare_gemm,
     .run = run_gemm,
     .absorb = absorb,
     .min_in = 2,
     .max_in = 3,
     .max_out = 1},
    {.name = "BatchNormalization", .run = run_batch_norm, .min_in = 5, .max_in = 5, .max_out = 1},
    {0},
};
