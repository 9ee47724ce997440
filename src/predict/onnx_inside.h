/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_inside.h - what the reader's files share. */
#pragma once
#include "codec/protobuf.h"
#include "predict/onnx_model.h"

/* TensorProto inside a message that is being read. WEIR_EUNSUPPORTED for kinds that wr_tensor cannot hold; broken bytes
 * fail `r` and give 0. dir NULL: external data are refused. *external (may be NULL) is set when there were some; *left:
 * bytes of external files still allowed. */
typedef struct {
    wr_arena *a;
    const char *dir;
    bool external;
    uint64_t left;
} wr_onnx_source;
int wr_onnx_tensor_of(wr_tensor *out, wr_pb *r, wr_onnx_source *from, wr_err *err);

/* How often field `number` is in the message; it is not consumed. */
size_t wr_onnx_count(const wr_pb *r, uint32_t number);
