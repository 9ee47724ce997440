/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - how good predictions are. Values equal scikit-learn's to 1e-9 (test values: tests/reference/metrics.py).
 *
 * y: labels, 0 or not 0; p: probabilities of 1; n rows; no missing values. Functions that sort take scratch from
 * malloc: WEIR_ENOMEM; they refuse a NaN in p (WEIR_EINVAL, names the row), the others return NaN then. No rows: NaN
 * everywhere.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* roc_auc_score; NaN with one class. */
int wr_metric_auc(double *out, const uint8_t *y, const double *p, size_t n, wr_err *err);
/* average_precision_score; 0 without a positive, as there. */
int wr_metric_average_precision(double *out, const uint8_t *y, const double *p, size_t n, wr_err *err);
double wr_metric_log_loss(const uint8_t *y, const double *p, size_t n);    /* log_loss, p clipped to [2^-52, 1-2^-52] */
double wr_metric_brier(const uint8_t *y, const double *p, size_t n);       /* brier_score_loss */

typedef struct { double tp, fp, tn, fn; } wr_confusion;
/* p >= threshold is 1. */
void wr_metric_confusion(wr_confusion *out, const uint8_t *y, const double *p, size_t n, double threshold);
double wr_confusion_accuracy(const wr_confusion *c);
double wr_confusion_precision(const wr_confusion *c);                      /* 0 when nothing was predicted 1 */
double wr_confusion_recall(const wr_confusion *c);                         /* 0 when nothing is 1 */
double wr_confusion_f1(const wr_confusion *c);                             /* 0 when neither is */

/* calibration_curve(strategy="uniform"): bin b holds p in (b/bins, (b+1)/bins], the first also 0; p outside [0, 1]
 * goes to the nearest bin. Empty bins have n 0 and NaN. bins >= 1; NaN values of p are left out. */
typedef struct { double mean_p, share_1; size_t n; } wr_calibration_bin;
void wr_metric_calibration(wr_calibration_bin *out, int bins, const uint8_t *y, const double *p, size_t n);
/* Expected calibration error: |mean_p - share_1| weighted by n. */
double wr_calibration_error(const wr_calibration_bin *b, int bins);

double wr_metric_rmse(const double *y, const double *p, size_t n);
double wr_metric_mae(const double *y, const double *p, size_t n);

/* A metric by name, for gates, reports and --help: "auc", "average_precision", "log_loss", "brier",
 * "calibration_error" (10 bins), "accuracy", "balanced_accuracy", "precision", "recall", "f1". One line in the list in
 * metrics.c adds one. `threshold` matters to those made from the confusion matrix. */
typedef struct {
    const char *name, *summary;
    int bigger_is_better;
    int (*compute)(double *out, const uint8_t *y, const double *p, size_t n, double threshold, wr_err *err);
} wr_metric;
const wr_metric *wr_metrics(size_t *n);
const wr_metric *wr_metric_find(const char *name);
