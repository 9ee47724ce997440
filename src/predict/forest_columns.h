/* SPDX-License-Identifier: Apache-2.0 */
/* forest_columns.h - a tensor a feature, values as they are, into the matrix of numbers that trees take. Private to forest_predictor.c.
 *
 * What a model whose file names categories has for inputs: of a feature of texts BYTES, of whole numbers that only 64 bits hold INT64, else a
 * number, FP64 where it is a category, FP32 where it is none. All are [-1] and lenient; {NULL, 0} and NaN are missing.
 */
#pragma once
#include "predict/categories.h"
#include "predict/predictor.h"

typedef struct {
    wr_categories *categories;
    const char *const *names;
    size_t n;
    bool unseen_is_missing; /* a value that was not there in training; else an error */
} wr_forest_columns;

/* n specs in `a`. WEIR_ECORRUPT when two features have one name. */
int wr_forest_columns_specs(wr_tensor_spec **out, const wr_forest_columns *c, wr_arena *a, wr_err *err);
/* rows x n, of n tensors of those types. WEIR_EINVAL: a category that is not known, rows that are not as many everywhere. */
int wr_forest_columns_matrix(float **out, size_t *rows, const wr_forest_columns *c, const wr_tensor *in, wr_arena *a, wr_err *err);
