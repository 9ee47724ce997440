/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_testing.h - reads what tests/reference/onnx_ops.py wrote: models with inputs and the answers of ONNX Runtime. */
#pragma once
#include "codec/protobuf.h"
#include "predict/onnx_model.h"

enum { WR_CASE_OPERANDS = 16 };

typedef struct {
    wr_str name, model;
    wr_tensor in[WR_CASE_OPERANDS], out[WR_CASE_OPERANDS];
    size_t nin, nout; /* nout 0: the inputs are to be refused */
} wr_onnx_case;

/* One Case message; false when it is broken. */
static inline bool wr_onnx_case_read(wr_onnx_case *c, wr_pb *r, wr_arena *a)
{
    wr_pb_field f;
    *c = (wr_onnx_case){0};
    while (wr_pb_next(r, &f)) {
        if (f.number == 1) c->name = wr_pb_str(r, &f);
        if (f.number == 2) c->model = wr_pb_bytes(r, &f);
        if (f.number != 3 && f.number != 4) continue;
        size_t *n = f.number == 3 ? &c->nin : &c->nout;
        if (*n == WR_CASE_OPERANDS) return false;
        wr_tensor *t = &(f.number == 3 ? c->in : c->out)[(*n)++];
        if (wr_onnx_tensor_read(t, wr_pb_bytes(r, &f), a, NULL) < 0) return false;
    }
    return !wr_pb_failed(r);
}
