/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - bins by octave, and what can be said of counts in them. */
#include "calc/histogram.h"

#include <math.h>

#include "calc/special.h"

/* ---- durations ---- */

size_t wr_duration_bin(uint64_t ns)
{
    if (ns < 16) return (size_t)ns;
    int octave = 63 - __builtin_clzll(ns);
    if (octave > 37) return WR_DURATION_BINS - 1;
    return (size_t)(octave - 4) * 16 + (size_t)(ns >> (octave - 4));
}

double wr_duration_edge(size_t bin)
{
    if (bin < 16) return (double)bin;
    return ldexp((double)(16 + bin % 16), (int)(bin / 16) - 1);
}

/* ---- values ---- */

enum { LOWEST = -16, STEPS = 32 };

size_t wr_value_bin(double x)
{
    int e;
    if (x != x) return SIZE_MAX;
    double m = isinf(x) ? 0 : 2 * frexp(fabs(x), &e); /* [1, 2) */
    size_t at;
    if (isinf(x) || e - 1 >= LOWEST + WR_VALUE_OCTAVES) at = WR_VALUE_SIDE - 1;
    else if (x == 0 || e - 1 < LOWEST) return WR_VALUE_SIDE;
    else at = (size_t)(e - 1 - LOWEST) * STEPS + (size_t)((m - 1) * STEPS);
    return x > 0 ? WR_VALUE_SIDE + 1 + at : WR_VALUE_SIDE - 1 - at;
}

/* Lower end of the magnitude of step `at`. */
static double magnitude(size_t at) { return ldexp((double)(STEPS + at % STEPS), LOWEST + (int)(at / STEPS) - 5); }

double wr_value_edge(size_t bin)
{
    return bin > WR_VALUE_SIDE ? magnitude(bin - WR_VALUE_SIDE - 1) : -magnitude(WR_VALUE_SIDE - bin);
}

/* ---- counts ---- */

uint64_t wr_bins_total(const uint64_t *count, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += count[i];
    return sum;
}

double wr_bins_quantile(const uint64_t *count, size_t n, double (*edge)(size_t), double q)
{
    uint64_t total = wr_bins_total(count, n);
    double rank = q * (double)total, below = 0;
    if (!total) return NAN;
    for (size_t i = 0; i < n; i++) {
        double here = (double)count[i];
        if (here > 0 && below + here >= rank) {
            double lo = edge(i), hi = edge(i + 1), f = (rank - below) / here;
            return lo + (hi - lo) * (f > 0 ? f : 0);
        }
        below += here;
    }
    return edge(n);
}

typedef struct {
    double total_ref, total_cur, ref, cur, psi;
    int groups;
} psi_state;

static void close_group(psi_state *s)
{
    double p = s->ref / s->total_ref, q = s->cur / s->total_cur;
    if (!(s->ref + s->cur > 0)) return;
    if (p < 1e-4) p = 1e-4;
    if (q < 1e-4) q = 1e-4;
    s->psi += (p - q) * log(p / q);
    s->groups++;
    s->ref = s->cur = 0;
}

double wr_bins_psi(double *p, const uint64_t *ref, const uint64_t *cur, size_t n, int groups)
{
    psi_state s = {(double)wr_bins_total(ref, n), (double)wr_bins_total(cur, n), 0, 0, 0, 0};
    double seen = 0;
    *p = 1;
    if (!(s.total_ref > 0) || !(s.total_cur > 0)) return NAN;
    for (size_t i = 0; i < n; i++) {
        double share = s.total_ref / groups, here = (double)ref[i];
        if (here >= share) close_group(&s); /* a bin that is a group by itself is not mixed with what came before */
        s.ref += here;
        s.cur += (double)cur[i];
        seen += here;
        if (s.ref >= share && (seen < s.total_ref || here >= share)) close_group(&s);
    }
    close_group(&s);
    if (s.groups < 2) return NAN;
    *p = wr_chi2_sf(s.psi * s.total_ref * s.total_cur / (s.total_ref + s.total_cur), s.groups - 1);
    return s.psi;
}
