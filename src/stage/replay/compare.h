/* SPDX-License-Identifier: Apache-2.0 */
/* compare.h - a candidate over the traffic that was logged, compared with what was answered, before it meets a user.
 *
 * Rows are those of predictions.ENDPOINT (stage/predlog/layout.h), newest last; the candidate is a model without a view: a path, or a registered
 * version. Its inputs are found by the names of their columns, what it does not use is passed over. Rows without a number for an input of whole numbers
 * are skipped and counted. What was answered is found by the names of the candidate's outputs, or is the column `score`. Score and class of an answer:
 * predict/scores.h.
 *
 * Labels are those of labels.ENDPOINT, the one known last of each prediction. When all are 0 or 1 and both scores are in [0, 1]: AUC, log loss
 * and accuracy; else, when they are numbers: RMSE; classes by name: accuracy. Differences (candidate - logged) with 95 % intervals by paired
 * bootstrap of the rows, WR_COMPARE_REPLICATES times, seeded: the same rows and seed give the same interval.
 */
#pragma once
#include "base/arena.h"
#include "core/project.h"

enum { WR_COMPARE_REPLICATES = 1000, WR_COMPARE_BOOTSTRAP_ROWS = 20000 /* of more, the first so many are resampled */ };

typedef struct {
    const char *endpoint, *candidate; /* path, or MODEL@VERSION or @ALIAS */
    const char *score;              /* column of what was answered; NULL = as the candidate's outputs */
    bool has_from, has_until;
    int64_t from_us, until_us;      /* of served_at */
    int64_t rows;                   /* the newest so many; 0 = 100000 */
    uint64_t seed;
    double threshold;               /* score of class 1 */
} wr_compare_opt;

typedef struct { const char *name; bool bigger_is_better; double logged, candidate, low, high; /* of the difference */ } wr_compare_metric;
typedef struct {
    uint64_t rows, skipped, labelled;
    double agreement;               /* share of rows of the same class; NaN = unknown */
    double max_delta, mean_delta, psi; /* of scores */
    double candidate_us, candidate_p99_us; /* one row at a time: median and p99 */
    double batch_us;                /* a row, in batches */
    double logged_us, logged_p99_us; /* of requests as they were answered; NaN = not logged */
    wr_compare_metric metrics[3]; size_t nmetrics;
} wr_compare_report;

/* WEIR_ENOTFOUND (nothing logged; a column the candidate needs, named), WEIR_EUNSUPPORTED (a candidate with a view). */
int wr_compare(wr_compare_report *out, wr_arena *a, wr_project *p, const wr_compare_opt *opt, wr_err *err);
