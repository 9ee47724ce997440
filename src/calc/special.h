/* SPDX-License-Identifier: Apache-2.0 */
/* special.h - special functions behind the tests' p-values. Relative error at most 1e-10 unless said otherwise; pure,
 * no errors. */
#pragma once
#include <stddef.h>

/* Regularised upper incomplete gamma function Q(a, x), a > 0, x >= 0; NaN outside. */
double wr_gamma_q(double a, double x);

/* P(chi-square with df degrees of freedom > x); NaN when df is not positive. */
double wr_chi2_sf(double x, double df);

/* P(D_n >= x) of the two-sided one-sample Kolmogorov-Smirnov statistic of n values: scipy.stats.kstwo.sf. Chooses its
 * method as scipy does (Simard & L'Ecuyer 2011), so the values agree to 1e-9 also where the method is an
 * approximation. NaN when n < 1. */
double wr_kolmogorov_sf(double n, double x);
