/* SPDX-License-Identifier: Apache-2.0 */
/* train.h - from a training table to a package.
 *
 * The specification (train.yaml):
 *   model: delay                                  # name of the candidate
 *   view: features.yaml                           # which columns are features, label, time
 *   rows: SELECT * FROM flights_features          # SQL over datasets; must give the view's columns
 *   train: {from: 2001-01-01, until: 2001-05-01}  # by the view's time; only rows whose label was known by `until`
 *   valid: {from: 2001-05-01, until: 2001-06-01}  # optional: early stopping and validation metrics
 *   features: [..] or exclude: [..]               # of the view; default all
 *   half_life: 45d                                # optional: a row that old counts half
 *   learner: {name: trees, rounds: 150, leaves: 63, ...}
 */
#pragma once
#include "base/pool.h"
#include "calc/trees.h"
#include "core/package.h"
#include "core/run.h"

typedef struct {
    const char *model, *rows, *view_path;
    wr_view *view;
    int64_t train_from_us, train_until_us, valid_from_us, valid_until_us; /* INT64_MIN / INT64_MAX: open; valid_from == valid_until: none */
    int64_t half_life_us;           /* 0 = off */
    size_t *use; size_t nuse;
    wr_trees_opt learner;
    const char *options_json;       /* of the learner, for the package */
} wr_train_spec;

/* Read and check a specification; `dir` is where relative paths in it start (the project's root). */
int wr_train_spec_load(wr_train_spec *out, wr_arena *a, const char *path, const char *dir, wr_err *err);

typedef struct { const char *name; double train, valid; } wr_train_metric;
typedef struct { const char *feature; double share; } wr_train_gain;   /* share of the total gain of all splits */
typedef struct {
    char package[65];
    size_t train_rows, valid_rows;
    int trees, best_round;
    wr_train_metric *metrics; size_t nmetrics;
    wr_train_gain *gain; size_t ngain; /* most important first */
} wr_trained;
/* Train, package, and propose as candidate of spec->model. progress as in trees.h. Results live in `a`. */
int wr_train(wr_trained *out, wr_arena *a, wr_project *p, const wr_train_spec *spec, wr_pool *pool, wr_run *run,
             wr_trees_progress progress, void *ctx, wr_err *err);
