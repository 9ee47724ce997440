/* SPDX-License-Identifier: Apache-2.0 */
/* graph_inside.h - what ops see: their node, the run, room for outputs. */
#pragma once
#include "predict/graph.h"

typedef struct wr_graph_node wr_graph_node;
typedef struct wr_graph_ctx wr_graph_ctx;

/* An entry of a family's table; the last one's name is NULL. */
typedef struct {
    const char *name;
    /* Once, at open: checks attributes, makes n->state (in g's memory; or fini frees it). NULL = nothing to do. */
    int (*prepare)(wr_graph_node *n, wr_graph *g, wr_err *err);
    int (*run)(wr_graph_ctx *r, const wr_graph_node *n);
    void (*fini)(void *state);
    /* Can it do what `next` does to output 0 as well? It alone uses that output; its other inputs are constant. After true it is gone. */
    bool (*absorb)(wr_graph_node *n, const wr_graph_node *next, wr_graph *g);
    const void *arg; /* what tells this entry from others with the same functions */
    uint8_t min_in, max_in, max_out;
    bool alias; /* output 0 may be the memory of input 0 */
    bool ml;    /* domain ai.onnx.ml */
} wr_graph_op;

enum { WR_GRAPH_ANY = 255 }; /* max_in, max_out */

struct wr_graph_node {
    const wr_graph_op *op;
    const wr_onnx_node *of;
    uint32_t nin, nout;
    int32_t *in, *out;  /* slots, -1 = left out */
    uint32_t first_own; /* of r->own, nout of them */
    void *state;
    uint32_t *dead; /* slots whose memory is free after it */
    uint32_t ndead;
};

typedef struct {
    void *p;
    size_t n;
} wr_graph_block;
enum { WR_GRAPH_BLOCKS = 8 }; /* free memory that is remembered */

struct wr_graph_ctx {
    const wr_graph *g;
    wr_arena *a;
    const wr_tensor **v; /* by slot, NULL = not yet */
    wr_tensor *own;
    size_t *room; /* bytes behind own[i].data that are the run's own, 0 = none */
    wr_graph_block free[WR_GRAPH_BLOCKS];
    uint64_t left; /* of the work allowed */
    wr_err *err;
};

struct wr_graph {
    const wr_onnx_model *model;
    int64_t opset, opset_ml;
    wr_arena *mem;
    wr_graph_node *nodes, *folded; /* folded: kept for their states */
    size_t nnodes, nfolded;
    const wr_tensor **konst; /* by slot, NULL = not constant */
    size_t nslots, nown;
    int32_t *in, *out; /* slots of the graph's inputs and outputs */
    uint64_t work;
    size_t beside; /* bytes of states outside of mem */
};

/* The tables. */
extern const wr_graph_op wr_graph_math_ops[], wr_graph_shape_ops[], wr_graph_reduce_ops[], wr_graph_matmul_ops[],
    wr_graph_cast_ops[];
extern const wr_graph_op wr_graph_learn_ops[], wr_graph_encode_ops[], wr_graph_trees_ops[],
    wr_graph_vectors_ops[];
const wr_graph_op *wr_graph_op_find(wr_str domain, wr_str name);

/* ---- for run ---- */
/* NULL when it is left out. */
static inline const wr_tensor *wr_graph_in(const wr_graph_ctx *r, const wr_graph_node *n, uint32_t i)
{
    return i < n->nin && n->in[i] >= 0 ? r->v[n->in[i]] : NULL;
}
/* Output i with room for its elements (BYTES: zeroed), or NULL with the error set. An output that nobody uses has room
 * all the same. */
wr_tensor *wr_graph_make(wr_graph_ctx *r, const wr_graph_node *n, uint32_t i, wr_tensor_type type, int ndims,
                         const int64_t *shape);
/* Output i with the memory of `of`, which has as many elements. */
int wr_graph_share(wr_graph_ctx *r, const wr_graph_node *n, uint32_t i, const wr_tensor *of, int ndims,
                   const int64_t *shape);
/* The same caps for what comes from outside. */
int wr_graph_check_input(wr_graph_ctx *r, const wr_tensor *t);
/* Room beside the outputs, dead with the run. */
void *wr_graph_scratch(wr_graph_ctx *r, size_t n);
/* Counts work; WEIR_ELIMIT when there was too much. */
int wr_graph_work(wr_graph_ctx *r, uint64_t n);
int wr_graph_bad(wr_graph_ctx *r, const char *why);            /* WEIR_EINVAL: "shapes do not fit" */
int wr_graph_unsupported(wr_graph_ctx *r, const wr_tensor *t); /* WEIR_EUNSUPPORTED: no kernel for that type */

/* ---- for both ---- */
int64_t wr_graph_attr_i(const wr_graph_node *n, const char *name, int64_t fallback);
float wr_graph_attr_f(const wr_graph_node *n, const char *name, float fallback);
wr_str wr_graph_attr_s(const wr_graph_node *n, const char *name, const char *fallback);
/* The list attribute of that type, or NULL (also when it is empty). */
const wr_onnx_attr *wr_graph_attr_list(const wr_graph_node *n, const char *name, wr_onnx_attr_type type);
/* -ndims..ndims-1 to 0..ndims-1; WEIR_EINVAL. */
int wr_graph_axis(int *out, int64_t axis, int ndims, wr_err *err);
/* Elements of an INT64 or INT32 tensor; WEIR_EINVAL when there are more than max or they are no integers. */
int wr_graph_ints(int64_t *out, size_t *n, size_t max, const wr_tensor *t, wr_err *err);
/* Input i when it is constant (initializer or folded), else NULL. */
const wr_tensor *wr_graph_constant(const wr_graph *g, const wr_graph_node *n, uint32_t i);
/* What an attribute or a form of an op is that we do not have; prepare returns it. */
int wr_graph_refuse(const wr_graph_node *n, wr_err *err, const char *what);
/* Contradictions in a file. */
int wr_graph_corrupt(const wr_graph_node *n, wr_err *err, const char *what);
/* Product of t->shape[from .. to-1]. */
static inline size_t wr_graph_product(const wr_tensor *t, int from, int to)
{
    size_t n = 1;
    for (int i = from; i < to; i++) n *= (size_t)t->shape[i];
    return n;
}
