/* SPDX-License-Identifier: Apache-2.0 */
/* graph.h - our own executor for small ONNX graphs: what tabular models are made of, on one thread, without a library
 * of 46 MB.
 *
 * At open everything that can be known is: names become numbers, constant parts are computed, weights are packed for
 * the kernels, trees become a wr_forest, and for every value it is noted after which node it is dead. A run walks the
 * nodes in order; each asks for room for its outputs, which comes from what is dead already or from the caller's arena,
 * nowhere else.
 *
 * Ops are entries of tables, a file a family (graph_math.c, graph_shape.c, graph_reduce.c, graph_matmul.c,
 * graph_learn.c, graph_encode.c, graph_trees.c, graph_vectors.c); docs/onnx.md lists them for users. Adding one: an entry and a case in
 * tests/reference/onnx_ops.py.
 *
 * Semantics are those of the operator set the model imports (7 to WR_GRAPH_OPSET, ai.onnx.ml 1 to WR_GRAPH_OPSET_ML; IR versions to WR_GRAPH_IR);
 * where the standard is silent, ONNX Runtime's behaviour on a CPU counts. ZipMap's output is the tensor of its values.
 *
 * A hostile graph costs what `work` allows: elements made, multiplications and comparisons together; beyond it a run is
 * WEIR_ELIMIT.
 *
 * Threads: immutable once made; run from any thread.
 */
#pragma once
#include "predict/onnx_model.h"

typedef struct wr_graph wr_graph;

enum { WR_GRAPH_IR = 13, WR_GRAPH_OPSET = 25, WR_GRAPH_OPSET_ML = 5 };
#define WR_GRAPH_WORK ((uint64_t)1 << 36) /* a minute, about */

/* `m` must outlive the graph. work 0 = WR_GRAPH_WORK. WEIR_EUNSUPPORTED names the op that is not ours (or the form of
 * it, the operator set); WEIR_ECORRUPT: a value that nobody makes, one made twice, attributes that contradict each
 * other. */
int wr_graph_new(wr_graph **out, const wr_onnx_model *m, uint64_t work, wr_err *err);
void wr_graph_free(wr_graph *g); /* NULL is fine */

/* in, out: in the order of the model's. want NULL = all. Outputs lie in `a`, in `in` or in the graph. WEIR_EINVAL:
 * shapes that do not fit; WEIR_EUNSUPPORTED: an op meets a type it has no kernel for. */
int wr_graph_run(const wr_graph *g, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err);

size_t wr_graph_memory(const wr_graph *g); /* bytes beside the model's own */
/* Is there an op of that name at all? For messages and the documentation. */
bool wr_graph_knows(wr_str domain, wr_str op);
