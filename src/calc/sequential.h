/* SPDX-License-Identifier: Apache-2.0 */
/* sequential.h - comparisons that may be looked at as often as one likes: deciding at any moment keeps the promised error.
 *
 *   rates       posterior probability that b's rate is above a's by more than delta, each rate with the uniform prior Beta(1, 1).
 *               A Bayesian statement: it means the same at every look.
 *   means       mixture sequential probability ratio test of the difference, mixture N(0, tau^2): Johari, Koomen, Pekelis & Walsh,
 *               "Always valid inference" (2022). Its p-value is valid at any look, and 1 - alpha intervals hold at all looks together;
 *               variances are estimated, so both want some dozens of values a side.
 *   quantiles   order statistics from counts in bins: exact binomial ranks at a level that each look takes from what is left
 *               (wr_seq_spend); the interval ends on edges of bins, so it is the wider by at most a bin.
 *
 * Plain functions over numbers the caller adds up; no memory, no errors: NaN where there is nothing to say.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* P(rate of b > rate of a + delta) given bad_a of n_a and bad_b of n_b; delta in [-1, 1]. Absolute error below 1e-9. NaN when bad > n. */
double wr_seq_rate_worse(double bad_a, double n_a, double bad_b, double n_b, double delta);

/* Count, mean and sum of squared deviations (Welford 1962; two are added as Chan et al. 1979). Zero to begin. */
typedef struct { double n, mean, m2; } wr_moments;
void wr_moments_add(wr_moments *m, double x);
void wr_moments_merge(wr_moments *into, const wr_moments *from);
double wr_moments_variance(const wr_moments *m);               /* unbiased; NaN for n < 2 */

/* 1 / likelihood ratio against "the difference is `null`" for a difference d of standard error sqrt(v): an always-valid p-value is the least
 * of all looks so far, at most 1. tau > 0. */
double wr_seq_mixture(double d, double v, double null, double tau);
/* Half the width of the 1 - alpha interval that holds at all looks. */
double wr_seq_half_width(double v, double tau, double alpha);

typedef struct { double lo, hi, at; } wr_interval;
/* mean(b) - mean(a) at all looks with probability 1 - alpha. -inf, inf with fewer than 2 values a side. tau 0: a twentieth of the pooled
 * deviation, which costs little wherever the difference is some hundredths to some tenths of it. */
wr_interval wr_seq_mean_difference(const wr_moments *a, const wr_moments *b, double tau, double alpha);
/* The mean of one side, as the difference from nothing. */
wr_interval wr_seq_mean(const wr_moments *a, double tau, double alpha);

/* What look k = 1, 2, ... may take of alpha: alpha / (k (k + 1)); all looks together take alpha. */
double wr_seq_spend(double alpha, uint64_t look);
/* Quantile q of what was counted in bins [edge(i), edge(i + 1)): holds with probability 1 - alpha at this look. 0, inf where there are too few
 * values to say; `at` NaN without any. */
wr_interval wr_seq_quantile(const uint64_t *count, size_t nbins, double (*edge)(size_t), double q, double alpha);
