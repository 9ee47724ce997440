/* SPDX-License-Identifier: Apache-2.0 */
/* trees.h - histogram gradient-boosted decision trees: training, prediction, file format.
 *
 * Method: Friedman 2001 with second-order leaf weights -G/(H + l2) (Chen & Guestrin 2016), leaf-wise growth and histograms (Ke et al.
 * 2017). Features are binned to at most 254 bins (u8, bin 255 = missing); missing values go to the side with the larger gain. A
 * categorical feature (codes 0..ncats-1) splits into two sets found by sorting categories by gradient / hessian (Fisher 1958),
 * smoothed; categories beyond the 254 most frequent share a bin with "unknown".
 * Determinism: gradients are rounded to 64-bit fixed point, so sums do not depend on order: same data, options and seed give the
 * same bytes for any number of threads. Features are float; `x <= threshold` goes left, exactly as binned in training.
 * Threads: a trained wr_trees is immutable; predict from any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/pool.h"
#include "base/str.h"

typedef struct {
    const char *name;
    bool categorical;
    const float *x;                 /* n values; NaN = missing; categorical: the code, NaN or negative = missing */
    uint32_t ncats;                 /* categorical only */
} wr_trees_feature;

typedef struct {
    size_t n, nfeatures;
    const wr_trees_feature *features;
    const float *label;             /* 0/1 for logistic, any for squared */
    const float *weight;            /* NULL = 1 */
} wr_trees_set;

typedef enum { WR_TREES_LOGISTIC, WR_TREES_SQUARED } wr_trees_objective;

typedef struct {                    /* zero means the default in brackets */
    wr_trees_objective objective;
    int rounds;                     /* [200] at most */
    int max_leaves;                 /* [31] */
    int max_depth;                  /* [no limit; 0] at most 30 */
    int max_bins;                   /* [254] 2..254 */
    double learning_rate;           /* [0.1] at most 1 */
    double l2;                      /* [1.0] above 0 */
    double min_child_weight;        /* [1.0] sum of hessians */
    int min_child_rows;             /* [20] */
    double min_gain;                /* [0] */
    double cat_smooth;              /* [10] rows added to a category's hessian when sorting */
    double row_share;               /* [1] rows drawn per tree */
    double feature_share;           /* [1] features drawn per tree */
    int early_stop;                 /* [0 = off] rounds without a better validation loss */
    uint64_t seed;
} wr_trees_opt;

typedef struct wr_trees wr_trees;

/* Called after each round (may be NULL), rounds count from 1; non-zero stops with WEIR_ECANCELED. Losses are means: log loss or
 * squared error. valid_loss is NaN without a validation set. Called by the thread that called wr_trees_train. */
typedef int (*wr_trees_progress)(void *ctx, int round, double train_loss, double valid_loss);

/* `valid` may be NULL, else it has the same features in the same order, and codes of the same categories. The model kept is that
 * of the best validation round (with early_stop 0 too). Training ends early, maybe without any tree, when no split gains
 * anything. A missing value that training did not see at a node goes to the side with more hessian; so does an unseen category.
 * WEIR_EINVAL (no rows, one class is fine, NaN label, label or weight above 1e15, option out of range: names it), WEIR_ENOMEM,
 * WEIR_ECANCELED. Memory: about 2 bytes a cell (training), 1 (validation), and 40 bytes a training row. */
int wr_trees_train(wr_trees **out, const wr_trees_set *train, const wr_trees_set *valid, const wr_trees_opt *opt, wr_pool *pool,
                   wr_trees_progress progress, void *ctx, wr_err *err);
void wr_trees_free(wr_trees *t);

/* rows: n x nfeatures, row-major. out[i]: probability (logistic) or value (squared). No allocation for n = 1. The result for a row
 * does not depend on n, pool or position. */
void wr_trees_predict(const wr_trees *t, const float *rows, size_t n, double *out, wr_pool *pool);
/* The same from columns (feature j of row i is cols[j][i]). */
int wr_trees_predict_columns(const wr_trees *t, const float *const *cols, size_t n, double *out, wr_pool *pool, wr_err *err);

size_t wr_trees_nfeatures(const wr_trees *t);
const char *wr_trees_feature_name(const wr_trees *t, size_t j);
int wr_trees_count(const wr_trees *t);                         /* trees kept */
int wr_trees_best_round(const wr_trees *t);                    /* the round kept, from 1; 0 when there is no tree */
/* Total gain of the splits on each feature, nfeatures values. */
void wr_trees_gain(const wr_trees *t, double *out);

/* File format "WEIRTREE" version 1, little-endian, checksummed; load validates every index so that a hostile file cannot make
 * predict read outside (WEIR_ECORRUPT). */
int wr_trees_save(const wr_trees *t, wr_buf *out, wr_err *err);
int wr_trees_load(wr_trees **out, wr_str bytes, wr_err *err);

/* Plain C in place of the processor's vector code, to compare the two: for tests and studies, while nothing else predicts. */
extern bool wr_trees_plain;
