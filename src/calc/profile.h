/* SPDX-License-Identifier: Apache-2.0 */
/* profile.h - what a column looks like, in one pass and one sort.
 *
 * Numeric and time columns: count, missing, distinct (exact), min, max, mean, std (ddof 1), skewness and excess
 * kurtosis (population, as scipy.stats.skew/kurtosis: NaN when all values are equal), quantiles (linear
 * interpolation, as numpy), histogram, zeros, negatives, infinite. NaN is missing; infinite values count in
 * `distinct` and `infinite` only, so the rest describes the finite ones and is NaN when there are none (std: fewer
 * than two). Text: distinct, top values, lengths in characters (UTF-8 code points), empty. Results equal numpy/scipy
 * to 1e-9, the same for any number of threads. A task of the pool is a column and takes 16 bytes a row while it
 * lasts.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/pool.h"
#include "calc/frame.h"

enum { WR_PROFILE_BINS = 20, WR_PROFILE_TOP = 10, WR_PROFILE_QUANTILES = 9 };
extern const double wr_profile_q[WR_PROFILE_QUANTILES];        /* .001 .01 .05 .25 .5 .75 .95 .99 .999 */

typedef struct {
    const char *name;
    wr_type type;
    size_t rows, missing, distinct;
    bool sorted;                                               /* non-decreasing in row order, missing rows skipped */
    /* numeric, time (microseconds), boolean (0/1); NaN for text */
    double min, max, mean, std, skew, kurtosis, sum;
    double quantile[WR_PROFILE_QUANTILES];
    size_t zeros, negatives, infinite;
    /* Equal width over [q.001, q.999], the last bin closed; all in hist[0] when the two are equal. Outside: below,
     * above. */
    double hist_lo, hist_hi;
    size_t hist[WR_PROFILE_BINS];
    size_t below, above;
    /* text; len_mean is NaN when there is none */
    size_t empty, len_min, len_max;
    double len_mean;
    struct { wr_str value; size_t n; } top[WR_PROFILE_TOP]; size_t ntop; /* most frequent; ties by value */
} wr_profile;

/* One per column of the frame, in `a`. Slices of `top` point into the frame. WEIR_ENOMEM. */
int wr_profile_frame(wr_profile **out, wr_arena *a, const wr_frame *f, wr_pool *pool, wr_err *err);
