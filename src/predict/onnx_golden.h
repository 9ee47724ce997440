/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_golden.h - inputs for a model of which nothing is known but its specification, the same on every machine; and
 * whether two answers agree.
 *
 * Numbers are drawn from a seeded generator; strings are those that the model itself names (categories, keys), or
 * decimal numbers. They are good enough to tell whether two executors compute the same function, and whether rows are
 * answered each on its own.
 */
#pragma once
#include "predict/onnx_model.h"

typedef enum {
    WR_GOLDEN_PLAIN,   /* normal numbers, small whole ones, strings of the model */
    WR_GOLDEN_WIDE,    /* large numbers of both signs, strings with decimal numbers */
    WR_GOLDEN_ZEROS,   /* zeros and ones */
    WR_GOLDEN_TREES,   /* thresholds of the model's trees, exactly and a little beside; only for models with trees */
    WR_GOLDEN_MISSING, /* NaN among the numbers; only for models with ops that heed them */
    WR_GOLDEN_KINDS
} wr_golden_kind;

/* Does that kind make sense for the model? */
bool wr_onnx_golden_fits(const wr_onnx_model *m, wr_golden_kind kind);
/* One tensor for each input, in `a`; rows: for a first dimension that is free. WEIR_ELIMIT for inputs too large to try.
 */
int wr_onnx_golden(wr_tensor *in, const wr_onnx_model *m, size_t rows, wr_golden_kind kind, wr_arena *a, wr_err *err);
/* Row i of each: what `rows` = 1 would be with that row's elements. Tensors without a free first dimension are taken
 * whole. */
void wr_onnx_golden_row(wr_tensor *out, const wr_tensor *in, const wr_onnx_model *m, size_t i);

/* Same type, shape and elements; floats to `relative` of the larger of the two and of the tensor's mean size, NaN
 * equals NaN. */
bool wr_tensor_agree(const wr_tensor *a, const wr_tensor *b, double relative);
