/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_fuzz.c - ONNX files of hostile origin: the reader trusts nothing, what it reads makes a graph or is refused, and
 * the graph answers small inputs within its work and memory, the same twice, with outputs that can be read to the last
 * byte. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "predict/graph.h"
#include "predict/onnx_golden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS = 64, OUTPUTS = 64, WORK = 1 << 18, MEMORY = 64 << 20, ELEMENTS = 1 << 14 };

static uint64_t sum_of(const void *p, size_t n)
{
    uint64_t s = 0;
    for (size_t i = 0; i < n; i++) s = s * 31 + ((const unsigned char *)p)[i];
    return s;
}

/* Every byte of it is read. */
static uint64_t digest(const wr_tensor *t)
{
    uint64_t s = (uint64_t)t->type;
    size_t count = 1;
    for (int d = 0; d < t->ndims; d++) count *= (size_t)t->shape[d];
    if (count != t->count || t->type == WR_TENSOR_NONE) abort();
    if (t->type != WR_TENSOR_BYTES) return s + sum_of(t->data, t->count * wr_tensor_type_size(t->type));
    for (size_t i = 0; i < t->count; i++) {
        wr_str v = ((const wr_str *)t->data)[i];
        s = s * 31 + sum_of(v.p, v.n) + v.n;
    }
    return s;
}

static bool run(uint64_t *out, const wr_graph *g, const wr_onnx_model *m, wr_golden_kind kind)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(MEMORY);
    wr_tensor in[INPUTS] = {0}, answer[OUTPUTS] = {0};
    if (!a || wr_onnx_golden(in, m, 2, kind, a, NULL) < 0) return false;
    for (size_t i = 0; i < m->nin; i++)
        if (in[i].count > ELEMENTS) return false;
    if (wr_graph_run(g, answer, NULL, in, a, NULL) < 0) return false;
    *out = 0;
    for (size_t i = 0; i < m->nout; i++) *out = *out * 131 + digest(&answer[i]);
    return true;
}

static void try_graph(const wr_onnx_model *m)
{
    wr_graph *g = NULL;
    wr_err err;
    if (m->nin > INPUTS || m->nout > OUTPUTS) return;
    if (wr_graph_new(&g, m, WORK, &err) < 0) return;
    for (wr_golden_kind k = WR_GOLDEN_PLAIN; k < WR_GOLDEN_KINDS; k++) {
        uint64_t one = 0, two = 0;
        bool ran = run(&one, g, m, k);
        if (ran != run(&two, g, m, k) || one != two) abort();
    }
    wr_graph_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_onnx_model *m = NULL;
    wr_err err;
    WR_AUTOARENA wr_arena *a = wr_arena_new(MEMORY);
    if (!a || wr_onnx_model_read(&m, (wr_str){(const char *)data, size}, NULL, &err) < 0) return 0;
    wr_str plain;
    if (wr_onnx_model_plain(&plain, m, a, &err) == 0 && plain.p != m->bytes.p) { /* what was written anew can be read */
        wr_onnx_model *again = NULL;
        if (wr_onnx_model_read(&again, plain, NULL, &err) < 0 || again->nout != m->nout || again->nnodes != m->nnodes)
            abort();
        wr_onnx_model_free(again);
    }
    try_graph(m);
    wr_onnx_model_free(m);
    return 0;
}
