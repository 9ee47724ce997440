/* SPDX-License-Identifier: Apache-2.0 */
/* graph_ops.c - the families of ops, and what their functions share. */
#include "predict/graph_inside.h"

#include "base/limits.h"

static const wr_graph_op *const families[] = {
    wr_graph_math_ops, wr_graph_shape_ops, wr_graph_reduce_ops, wr_graph_matmul_ops,
    wr_graph_cast_ops, wr_graph_learn_ops, wr_graph_encode_ops, wr_graph_trees_ops, wr_graph_vectors_ops,
};

const wr_graph_op *wr_graph_op_find(wr_str domain, wr_str name)
{
    bool ml = wr_str_is(domain, "ai.onnx.ml");
    if (!ml && domain.n != 0 && !wr_str_is(domain, "ai.onnx")) return NULL;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const wr_graph_op *op = families[i]; op->name; op++)
            if (op->ml == ml && wr_str_is(name, op->name)) return op;
    return NULL;
}

bool wr_graph_knows(wr_str domain, wr_str op) { return wr_graph_op_find(domain, op) != NULL; }

/* ---- attributes ---- */

int64_t wr_graph_attr_i(const wr_graph_node *n, const char *name, int64_t fallback)
{
    const wr_onnx_attr *a = wr_onnx_attr_find(n->of, name);
    return a && a->type == WR_ONNX_ATTR_INT ? a->i : fallback;
}

float wr_graph_attr_f(const wr_graph_node *n, const char *name, float fallback)
{
    const wr_onnx_attr *a = wr_onnx_attr_find(n->of, name);
    return a && a->type == WR_ONNX_ATTR_FLOAT ? a->f : fallback;
}

wr_str wr_graph_attr_s(const wr_graph_node *n, const char *name, const char *fallback)
{
    const wr_onnx_attr *a = wr_onnx_attr_find(n->of, name);
    return a && a->type == WR_ONNX_ATTR_STRING ? a->s : wr_str_of(fallback);
}

const wr_onnx_attr *wr_graph_attr_list(const wr_graph_node *n, const char *name, wr_onnx_attr_type type)
{
    const wr_onnx_attr *a = wr_onnx_attr_find(n->of, name);
    return a && a->type == type && a->n > 0 ? a : NULL;
}

int wr_graph_axis(int *out, int64_t axis, int ndims, wr_err *err)
{
    if (axis < -ndims || axis >= ndims)
        return wr_err_set(err, WEIR_EINVAL, "axis %lld of a tensor with %d dimensions", (long long)axis, ndims);
    *out = (int)(axis < 0 ? axis + ndims : axis);
    return 0;
}

int wr_graph_ints(int64_t *out, size_t *n, size_t max, const wr_tensor *t, wr_err *err)
{
    if (t->type != WR_TENSOR_INT64 && t->type != WR_TENSOR_INT32)
        return wr_err_set(err, WEIR_EINVAL, "a list of integers is %s", wr_tensor_type_name(t->type));
    if (t->count > max)
        return wr_err_set(err, WEIR_EINVAL, "a list of %zu integers where at most %zu make sense", t->count, max);
    for (size_t i = 0; i < t->count; i++)
        out[i] = t->type == WR_TENSOR_INT64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
    *n = t->count;
    return 0;
}

const wr_tensor *wr_graph_constant(const wr_graph *g, const wr_graph_node *n, uint32_t i)
{
    return i < n->nin && n->in[i] >= 0 ? g->konst[n->in[i]] : NULL;
}

int wr_graph_refuse(const wr_graph_node *n, wr_err *err, const char *what)
{
    return wr_err_set(err, WEIR_EUNSUPPORTED, "op \"%.*s\" with %s", WR_STR_FMT(wr_str_fit(n->of->op, 60)), what);
}

int wr_graph_corrupt(const wr_graph_node *n, wr_err *err, const char *what)
{
    return wr_err_set(err, WEIR_ECORRUPT, "op \"%.*s\": %s", WR_STR_FMT(wr_str_fit(n->of->op, 60)), what);
}

/* ---- a run's memory and errors ---- */

int wr_graph_bad(wr_graph_ctx *r, const char *why) { return wr_err_set(r->err, WEIR_EINVAL, "%s", why); }

int wr_graph_unsupported(wr_graph_ctx *r, const wr_tensor *t)
{
    return wr_err_set(r->err, WEIR_EUNSUPPORTED, "not for elements of type \"%s\"",
                      t ? wr_tensor_type_name(t->type) : "");
}

int wr_graph_work(wr_graph_ctx *r, uint64_t n)
{
    if (n > r->left) return wr_err_set(r->err, WEIR_ELIMIT, "the graph does more work than is allowed");
    r->left -= n;
    return 0;
}

void *wr_graph_scratch(wr_graph_ctx *r, size_t n)
{
    if (wr_graph_work(r, n / 8) < 0) return NULL;
    void *p = wr_arena_alloc(r->a, n ? n : 1);
    if (!p) (void)wr_err_nomem(r->err);
    return p;
}

/* The smallest remembered block that is large enough and not four times too large. */
static void *reuse(wr_graph_ctx *r, size_t *n)
{
    wr_graph_block *best = NULL;
    for (size_t i = 0; i < WR_GRAPH_BLOCKS; i++) {
        wr_graph_block *b = &r->free[i];
        if (b->p && b->n >= *n && b->n / 4 <= *n && (!best || b->n < best->n)) best = b;
    }
    if (!best) return NULL;
    void *p = best->p;
    *n = best->n;
    best->p = NULL;
    return p;
}

/* Empty tensors may have huge dimensions beside the 0: loops go over those too. */
static int take_shape(wr_graph_ctx *r, wr_tensor *t)
{
    uint64_t n = 1;
    for (int d = 0; d < t->ndims; d++) {
        if (t->shape[d] < 0 || t->shape[d] > WR_LIMIT_ONNX_ELEMENTS) n = UINT64_MAX >> 1;
        if (n <= WR_LIMIT_ONNX_ELEMENTS) n *= t->shape[d] ? (uint64_t)t->shape[d] : 1;
    }
    if (n > WR_LIMIT_ONNX_ELEMENTS)
        return wr_err_set(r->err, WEIR_ELIMIT, "a tensor would have more than %d elements", WR_LIMIT_ONNX_ELEMENTS);
    WR_TRY(wr_tensor_count(t, r->err));
    return wr_graph_work(r, n + 16);
}

int wr_graph_check_input(wr_graph_ctx *r, const wr_tensor *t)
{
    wr_tensor copy = *t;
    return take_shape(r, &copy);
}

wr_tensor *wr_graph_make(wr_graph_ctx *r, const wr_graph_node *n, uint32_t i, wr_tensor_type type, int ndims,
                         const int64_t *shape)
{
    size_t at = n->first_own + i;
    wr_tensor *t = &r->own[at];
    t->type = type;
    t->ndims = ndims;
    if (ndims) memcpy(t->shape, shape, (size_t)ndims * sizeof *shape);
    if (take_shape(r, t) < 0) return NULL;
    size_t bytes = (t->count ? t->count : 1) * wr_tensor_type_size(type);
    t->data = reuse(r, &bytes);
    if (!t->data) t->data = wr_arena_alloc(r->a, bytes);
    if (!t->data) {
        (void)wr_err_nomem(r->err);
        return NULL;
    }
    if (type == WR_TENSOR_BYTES) memset(t->data, 0, t->count * sizeof(wr_str));
    r->room[at] = bytes;
    if (n->out[i] >= 0) r->v[n->out[i]] = t;
    return t;
}

int wr_graph_share(wr_graph_ctx *r, const wr_graph_node *n, uint32_t i, const wr_tensor *of, int ndims,
                   const int64_t *shape)
{
    size_t at = n->first_own + i;
    wr_tensor *t = &r->own[at];
    t->type = of->type;
    t->ndims = ndims;
    if (ndims) memcpy(t->shape, shape, (size_t)ndims * sizeof *shape);
    WR_TRY(take_shape(r, t));
    if (t->count != of->count) return wr_graph_bad(r, "the new shape has another number of elements");
    t->data = of->data;
    r->room[at] = 0;
    if (n->out[i] >= 0) r->v[n->out[i]] = t;
    return 0;
}
