/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - numbers of bins for values that nobody knows the range of: counting is one array element, no row is kept.
 *
 * Durations: nanoseconds, 16 bins an octave (a bin is at most 1/16 wide), to 2^38 ns = 4.6 minutes; what is longer is in the last.
 * Values: any double by sign, octave and the first five bits behind it (at most 1/32 wide) for magnitudes 2^-16 to 2^20; smaller ones are
 * zero, greater ones and infinities are in the outer bins. NaN has no bin.
 * Bins are in ascending order, [edge(i), edge(i + 1)). Counts are the caller's; functions below take plain copies of them.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    WR_DURATION_BINS = 34 * 16 + 16,
    WR_VALUE_OCTAVES = 36,
    WR_VALUE_SIDE = WR_VALUE_OCTAVES * 32,
    WR_VALUE_BINS = 2 * WR_VALUE_SIDE + 1,
};

size_t wr_duration_bin(uint64_t ns);
double wr_duration_edge(size_t bin);                           /* lower edge, ns; of WR_DURATION_BINS: the last upper edge */
size_t wr_value_bin(double x);                                 /* SIZE_MAX for NaN */
double wr_value_edge(size_t bin);

uint64_t wr_bins_total(const uint64_t *count, size_t n);
/* The value that share q of what was counted lies below, linear within its bin; NaN when nothing was. */
double wr_bins_quantile(const uint64_t *count, size_t n, double (*edge)(size_t), double q);
/* Population stability index of `cur` against `ref` over at most `groups` groups of bins with about equal shares of the reference (zero
 * shares set to 1e-4, as drift.h), and its p-value: with N and M values, PSI N M / (N + M) is chi-square with groups - 1 degrees of freedom
 * when nothing moved (Yurdakul & Naranjo 2020). NaN, p 1, when a side is empty or all of the reference is in one group with nothing outside. */
double wr_bins_psi(double *p, const uint64_t *ref, const uint64_t *cur, size_t n, int groups);
