/* SPDX-License-Identifier: Apache-2.0 */
/* drift.h - how far a current sample has moved from a reference sample.
 *
 * A wr_drift_ref keeps what is needed of the reference (bin edges and shares, and the sorted sample for exact
 * statistics), so that many windows are compared without the reference's rows: each costs one sort of the window and a
 * merge. NaN and infinite values = missing: dropped, their share reported. A reference is immutable: use it from any
 * thread.
 * Definitions (p reference share, q current share, F and G the distribution functions):
 * PSI = sum (p - q) ln(p / q) over bins of reference quantiles (numeric) or over categories, zero shares set to 1e-4.
 * Bins: edges at the quantiles 1/bins .. (bins-1)/bins of the reference (linear, as numpy), a bin is [edge, next edge),
 * the outer ones are open; a value that is several of these quantiles gets a bin of its own.
 * Jensen-Shannon = sqrt(JS), natural log, same bins, no fill.
 * KS = sup |F - G|; its p-value is that of scipy.stats.ks_2samp(method="asymp") for every sample size (Kolmogorov's law
 * for round(nm / (n + m)) values; NaN when that is 0), not the exact one scipy takes by default for small samples.
 * Wasserstein = int |F - G| / max(std_ref, 1e-3) (population std).
 * Chi-square over categories seen on either side, expected = reference counts scaled to the current size: infinite,
 * p 0, when a category is new; a single category: 0, p 1. Values equal scipy's to 1e-9.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct wr_drift_ref wr_drift_ref;

typedef struct {
    double psi, js;                 /* both kinds */
    double ks, ks_p, wasserstein;   /* numeric; NaN for categories */
    double chi2, chi2_p, linf;      /* categories; NaN for numeric. linf = max |p - q| */
    double missing_ref, missing_cur;/* shares of all rows; NaN without rows */
    double mean_ref, mean_cur;      /* numeric; NaN for categories */
    size_t n_ref, n_cur;            /* values present */
} wr_drift_result;

/* Numeric reference: x is copied. bins 0 = 10, at most 1000. WEIR_EINVAL when no value is present. */
int wr_drift_ref_numeric(wr_drift_ref **out, const double *x, size_t n, int bins, wr_err *err);
/* Categories as codes 0..ncats-1 (UINT32_MAX missing; another code >= ncats here: WEIR_EINVAL); codes >= ncats in the
 * current sample count as new categories, one each. WEIR_EINVAL when no value is present. */
int wr_drift_ref_categories(wr_drift_ref **out, const uint32_t *code, size_t n, uint32_t ncats, wr_err *err);
void wr_drift_ref_free(wr_drift_ref *r);
/* WEIR_EINVAL when the current sample has no value (`out` is filled all the same: counts and missing shares as they
 * are, statistics NaN) or the reference is of the other kind. */
int wr_drift_numeric(wr_drift_result *out, const wr_drift_ref *r, const double *x, size_t n, wr_err *err);
int wr_drift_categories(wr_drift_result *out, const wr_drift_ref *r, const uint32_t *code, size_t n, wr_err *err);

/* A drift statistic by name ("psi", "ks", "wasserstein", "jensenshannon", "chisquare"), with its usual threshold.
 * `value` of ks and chisquare is the p-value: drift is value <= threshold; else it is a distance: value >= threshold.
 * */
typedef struct {
    const char *name, *summary;
    int numeric, categories, p_value;
    double threshold;
    double (*value)(const wr_drift_result *r);
} wr_drift_stat;
const wr_drift_stat *wr_drift_stats(size_t *n);
const wr_drift_stat *wr_drift_stat_find(const char *name);
