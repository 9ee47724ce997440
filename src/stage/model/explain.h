/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - contributions of features to a model's margins, without a server: packages, XGBoost and LightGBM files. */
#pragma once
#include "base/pool.h"
#include "core/project.h"

typedef struct {
    const char *model;              /* a file or folder when there is one, else a reference: NAME, NAME@ALIAS, NAME@VERSION */
    const char *rows;               /* a file (*.csv, *.json, *.parquet), a query, or a dataset; columns are features by name */
    size_t limit;                   /* the first rows; at least 1 */
} wr_explain_opt;
typedef struct {
    const double *phi;              /* rows x outputs x (features + 1), the last is the base value; in the arena */
    size_t rows, outputs, features;
    const char *const *names;       /* of the features; NULL = unknown, they are by place */
} wr_explanation;
/* Exact Shapley values (calc/forest.h). Of a package: the features that its learner sees, as the feature dataset has them. Of a file that does not
 * name its features: the columns in order. WEIR_EUNSUPPORTED for a model that cannot (says why); WEIR_ENOTFOUND, WEIR_ETYPE name the column. */
int wr_explain(wr_explanation *out, wr_arena *a, wr_project *p, const wr_explain_opt *opt, wr_pool *pool, wr_err *err);
