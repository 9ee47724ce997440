/* SPDX-License-Identifier: Apache-2.0 */
/* drift.h - how far a current sample has moved from a reference sample.
 *
 * A wr_drift_ref keeps what is needed of the reference (bin edges and shares, and the sorted sample for exact statistics), so that
 * many windows are compared without the reference's rows. NaN = missing: dropped, its share reported.
 * Definitions: PSI = sum (p - q) ln(p / q) over bins of reference quantiles (numeric; `bins` of them, default 10) or over
 * categories, zero shares set to 1e-4; KS = sup |F - G|, p by the asymptotic Kolmogorov law with scipy's effective n;
 * Wasserstein = int |F - G| / max(std_ref, 1e-3) (population std); Jensen-Shannon = sqrt(JS), natural log, same bins, no fill;
 * chi-square over categories, expected scaled to the current size. Values equal scipy's to 1e-9.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct wr_drift_ref wr_drift_ref;

typedef struct {
    double psi, js;                 /* both kinds */
    double ks, ks_p, wasserstein;   /* numeric; NaN for categories */
    double chi2, chi2_p, linf;      /* categories; NaN for numeric */
    double missing_ref, missing_cur;/* shares */
    double mean_ref, mean_cur;      /* numeric */
    size_t n_ref, n_cur;
} wr_drift_result;

/* Numeric reference: x is copied. bins 0 = 10. WEIR_EINVAL when no value is present. */
int wr_drift_ref_numeric(wr_drift_ref **out, const double *x, size_t n, int bins, wr_err *err);
/* Categories as codes 0..ncats-1 (UINT32_MAX missing); codes >= ncats in the current sample count as new categories. */
int wr_drift_ref_categories(wr_drift_ref **out, const uint32_t *code, size_t n, uint32_t ncats, wr_err *err);
void wr_drift_ref_free(wr_drift_ref *r);
int wr_drift_numeric(wr_drift_result *out, const wr_drift_ref *r, const double *x, size_t n, wr_err *err);
int wr_drift_categories(wr_drift_result *out, const wr_drift_ref *r, const uint32_t *code, size_t n, wr_err *err);

/* A drift statistic by name ("psi", "ks", "wasserstein", "jensenshannon", "chisquare"), with its usual threshold. */
typedef struct { const char *name, *summary; int numeric, categories; double threshold; double (*value)(const wr_drift_result *r); } wr_drift_stat;
const wr_drift_stat *wr_drift_stats(size_t *n);
const wr_drift_stat *wr_drift_stat_find(const char *name);
