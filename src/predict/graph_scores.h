/* SPDX-License-Identifier: Apache-2.0 */
/* graph_scores.h - what the classifiers and regressors of ai.onnx.ml do with their scores at the end, and their labels.
 *
 * The standard leaves open what a classifier of two classes with one score answers; ONNX Runtime's answers are the rule
 * here (tests/reference/onnx_ops.py holds them).
 */
#pragma once
#include "predict/graph_inside.h"

typedef enum { WR_POST_NONE, WR_POST_LOGISTIC, WR_POST_SOFTMAX, WR_POST_SOFTMAX_ZERO, WR_POST_PROBIT } wr_post;

int wr_post_of(wr_post *out, const wr_graph_node *n, wr_err *err); /* attribute post_transform */
/* Two scores and more, in place; one score changes for PROBIT only. */
void wr_post_many(float *z, size_t n, wr_post post);
/* out[0], out[1] of a single score: sides of the logistic, else [1 - s, s], or [-s, s] when `mixed`. */
void wr_post_pair(float *out, float s, wr_post post, bool mixed);

/* Labels of classes: strings or whole numbers. */
typedef struct {
    const wr_onnx_attr *list;
    size_t n;
    wr_tensor_type type;
} wr_labels;
int wr_labels_of(wr_labels *out, const wr_graph_node *n, const char *ints, const char *strings, wr_err *err);
void wr_labels_put(wr_tensor *to, size_t row, const wr_labels *l, size_t which);

/* `t` as floats, n of them: its own where it is FP32, else converted into scratch. NULL with the error set. */
const float *wr_graph_floats(wr_graph_ctx *r, const wr_tensor *t);
/* Rows and columns of a matrix; a vector is one row. WEIR_EINVAL. */
int wr_graph_matrix(wr_graph_ctx *r, const wr_tensor *t, size_t *rows, size_t *columns);
