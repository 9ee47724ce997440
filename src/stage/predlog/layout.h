/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h - tensors as columns: what the columns of predictions.ENDPOINT are called, for a model without a view.
 *
 * Of each tensor, inputs before outputs, `width` values a row:
 *   width 1                                      NAME
 *   the one input of a model that names its columns, up to WR_LAYOUT_NAMED    those names
 *   width <= WR_LAYOUT_WIDE                      NAME_0, NAME_1, ...
 *   more                                         NAME, text: a JSON list, which CAST(NAME AS DOUBLE[]) reads
 * A name that is taken (whatever its case), by the columns in front or by another tensor's, gets a "_" behind it, until it is not.
 * Quotes, backslashes and control characters in names become "_".
 * BOOL is BOOLEAN; whole numbers BIGINT, but UINT64 DOUBLE; FP16, BF16, FP32 FLOAT; FP64 DOUBLE; BYTES VARCHAR.
 *
 * A layout is known by a hash over names, types and widths. Names of columns that tensors do not have are kept in LOG/layouts/HASH.json
 * from before the first record of that layout: ["age", "height", ...].
 */
#pragma once
#include "calc/frame.h"
#include "codec/tensor.h"

enum { WR_LAYOUT_WIDE = 512, WR_LAYOUT_NAMED = 4096, WR_LAYOUT_NAMES = 100000 };

typedef struct { const char *name; wr_type type; int tensor; size_t at; bool list; } wr_layout_column; /* `tensor` counts inputs, then outputs */
typedef struct { wr_layout_column *columns; size_t n; } wr_layout;

/* Values of a row. */
size_t wr_layout_width(const wr_tensor *t, bool rowwise);
wr_type wr_layout_type(const wr_tensor *t);
/* features: nfeatures names of the columns of the one input, or none. */
uint64_t wr_layout_id(const wr_tensor *in, size_t nin, const wr_tensor *out, size_t nout, bool rowwise, const char *const *features, size_t nfeatures);
/* How many columns there are; more than WR_LIMIT_DELTA_COLUMNS, those in front included, cannot be kept. */
size_t wr_layout_count(const wr_tensor *in, size_t nin, const wr_tensor *out, size_t nout, bool rowwise, size_t nfeatures);
/* `taken`: names in front of them. */
int wr_layout_make(wr_layout *out, wr_arena *a, const wr_tensor *in, size_t nin, const wr_tensor *tensors, size_t nout, bool rowwise,
                   const char *const *features, size_t nfeatures, const char *const *taken, size_t ntaken, wr_err *err);
/* The value of row `row` into a column of that type. */
int wr_layout_put(wr_col *c, size_t at, const wr_layout_column *lc, const wr_tensor *t, size_t row, bool rowwise, wr_err *err);

/* LOG/layouts/HASH.json: durable when it returns; {0} names when there is none. */
int wr_layout_keep(const char *log_dir, uint64_t id, wr_str json, wr_err *err);
int wr_layout_names(const char *const **names, size_t *n, wr_arena *a, const char *log_dir, uint64_t id, wr_err *err);
