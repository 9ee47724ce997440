/* SPDX-License-Identifier: Apache-2.0 */
/* format_onnx.h - an ONNX file as a predictor: by our own executor (platform "weir_onnx") or ONNX Runtime ("onnxruntime_onnx").
 *
 * Left to itself it takes ours when all ops are ours and it answers golden inputs (onnx_golden.h) as ONNX Runtime does, to 1e-5; without ONNX
 * Runtime, when all ops are ours and the golden inputs run. Test data beside the model (test_data_set_0/, as ONNX's own models have them) must
 * come out too. Golden inputs also tell whether rows are answered each on its own (p->rows): together and alone they must answer the same.
 * WEIR_ONNX_EXECUTOR=weir|onnxruntime in the environment forces one.
 * Maps of class to probability (ZipMap) are the tensor of probabilities, [rows, classes], with the classes as the output's labels.
 */
#pragma once
#include "predict/predictor.h"

typedef enum { WR_ONNX_AUTO, WR_ONNX_WEIR, WR_ONNX_ORT } wr_onnx_executor;

/* "weir", "onnxruntime", "auto" or "" */
int wr_onnx_executor_parse(wr_onnx_executor *out, wr_str s, wr_err *err);
/* WEIR_EUNSUPPORTED: neither has all ops; WEIR_EUNAVAILABLE: ONNX Runtime is forced and not there. */
int wr_onnx_open(wr_predictor **out, const char *path, wr_onnx_executor executor, wr_err *err);

/* What AUTO means for files that this thread opens from now on (a model configuration's parameter "executor"); returns what it was. The
 * environment is asked only where this says AUTO too. */
wr_onnx_executor wr_onnx_prefer(wr_onnx_executor e);

extern const wr_format wr_format_onnx;
