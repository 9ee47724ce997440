/* SPDX-License-Identifier: Apache-2.0 */
/* special.h - special functions behind p-values and posteriors. Relative error at most 1e-10 unless said otherwise; pure,
 * no errors. */
#pragma once
#include <stddef.h>

/* Regularised upper incomplete gamma function Q(a, x), a > 0, x >= 0; NaN outside. */
double wr_gamma_q(double a, double x);

/* Regularised incomplete beta function I_x(a, b), a, b > 0, 0 <= x <= 1; NaN outside. */
double wr_beta_i(double a, double b, double x);

/* x^a (1 - x)^b / B(a, b): x (1 - x) times the density of Beta(a, b). 0 at the ends; NaN outside. */
double wr_beta_power(double a, double b, double x);

/* P(X <= k), X binomial with n trials of probability p; n up to 2^53. */
double wr_binomial_cdf(double k, double n, double p);

/* P(T <= t), Student's t with `df` degrees of freedom; NaN when df is not positive. */
double wr_student_cdf(double df, double t);

/* P(chi-square with df degrees of freedom > x); NaN when df is not positive. */
double wr_chi2_sf(double x, double df);

/* P(D_n >= x) of the two-sided one-sample Kolmogorov-Smirnov statistic of n values: scipy.stats.kstwo.sf. Chooses its
 * method as scipy does (Simard & L'Ecuyer 2011), so the values agree to 1e-9 also where the method is an
 * approximation. NaN when n < 1. */
double wr_kolmogorov_sf(double n, double x);
