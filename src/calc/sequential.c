/* SPDX-License-Identifier: Apache-2.0 */
/* sequential.c - posterior of two rates by quadrature, mixture SPRT, ranks of quantiles. */
#include "calc/sequential.h"

#include <math.h>
#include <stdlib.h>

#include "calc/histogram.h"
#include "calc/special.h"

/* ---- rates ---- */

enum { PANELS = 6 };

/* Gauss-Legendre, 8 nodes on [-1, 1]. */
static const double node[] = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363};
static const double weight[] = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763};

typedef struct {
    double a, b, c, d, delta;
} two_rates; /* Beta(a, b) and Beta(c, d) */

/* Density of the first at x times the tail of the second beyond x + delta. */
static double integrand(const two_rates *r, double x)
{
    double y = x + r->delta, tail = y <= 0 ? 1 : y >= 1 ? 0 : wr_beta_i(r->d, r->c, 1 - y);
    return tail * wr_beta_power(r->a, r->b, x) / (x * (1 - x));
}

static double over_panel(const two_rates *r, double lo, double hi)
{
    double mid = (lo + hi) / 2, half = (hi - lo) / 2, sum = 0;
    for (int k = 0; k < 4; k++)
        sum += weight[k] * (integrand(r, mid - half * node[k]) + integrand(r, mid + half * node[k]));
    return sum * half;
}

static double over(const two_rates *r, double lo, double hi)
{
    double sum = 0, step = (hi - lo) / PANELS;
    for (int i = 0; i < PANELS && hi > lo; i++) sum += over_panel(r, lo + step * i, lo + step * (i + 1));
    return sum;
}

/* Borders of panels, each distribution's own: they may differ in width a million times. */
static const double far[] = {0, 2, 5, 9, 16, 40};
enum { FAR = sizeof far / sizeof *far, CUTS = 4 * FAR + 4 };

static size_t add_cuts(double *cut, size_t n, double a, double b, double shift)
{
    double s = a + b, mean = a / s - shift, sd = sqrt(a * b / (s * s * (s + 1)));
    for (int i = 0; i < FAR; i++) {
        cut[n++] = mean - far[i] * sd;
        cut[n++] = mean + far[i] * sd;
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double wr_seq_rate_worse(double bad_a, double n_a, double bad_b, double n_b, double delta)
{
    if (!(bad_a >= 0 && bad_a <= n_a && bad_b >= 0 && bad_b <= n_b && fabs(delta) <= 1)) return NAN;
    two_rates r = {bad_a + 1, n_a - bad_a + 1, bad_b + 1, n_b - bad_b + 1, delta};
    double cut[CUTS] = {0, 1, 0 - delta, 1 - delta},
           sum = 0; /* the last two: where the tail of the second has its corners */
    size_t n = add_cuts(cut, add_cuts(cut, 4, r.a, r.b, 0), r.c, r.d, delta);
    qsort(cut, n, sizeof *cut, ascending);
    for (size_t i = 0; i + 1 < n; i++)
        if (cut[i] >= 0 && cut[i + 1] <= 1) sum += over(&r, cut[i], cut[i + 1]);
    return sum < 0 ? 0 : sum > 1 ? 1 : sum;
}

/* ---- means ---- */

void wr_moments_add(wr_moments *m, double x)
{
    double d = x - m->mean;
    m->n++;
    m->mean += d / m->n;
    m->m2 += d * (x - m->mean);
}

void wr_moments_merge(wr_moments *into, const wr_moments *from)
{
    double n = into->n + from->n, d = from->mean - into->mean;
    if (!(from->n > 0)) return;
    into->m2 += from->m2 + d * d * into->n * from->n / n;
    into->mean += d * from->n / n;
    into->n = n;
}

double wr_moments_variance(const wr_moments *m) { return m->n >= 2 ? m->m2 / (m->n - 1) : NAN; }

double wr_seq_mixture(double d, double v, double null, double tau)
{
    double t2 = tau * tau, z = d - null;
    if (!(v > 0)) return z == 0 ? 1 : v == 0 ? 0 : NAN;
    return sqrt((v + t2) / v) * exp(-t2 * z * z / (2 * v * (v + t2)));
}

double wr_seq_half_width(double v, double tau, double alpha)
{
    double t2 = tau * tau;
    if (v == 0) return 0;
    return sqrt(2 * v * (v + t2) / t2 * (log(1 / alpha) + 0.5 * log((v + t2) / v)));
}

static wr_interval around(double d, double v, double sd, double tau, double alpha)
{
    if (!(tau > 0)) tau = sd / 20;
    double half = sd > 0 || tau > 0 ? wr_seq_half_width(v, tau > 0 ? tau : 1, alpha) : 0;
    return (wr_interval){d - half, d + half, d};
}

wr_interval wr_seq_mean_difference(const wr_moments *a, const wr_moments *b, double tau, double alpha)
{
    if (!(a->n >= 2) || !(b->n >= 2)) return (wr_interval){-INFINITY, INFINITY, b->mean - a->mean};
    double va = wr_moments_variance(a), vb = wr_moments_variance(b);
    double sd = sqrt((a->m2 + b->m2) / (a->n + b->n - 2));
    return around(b->mean - a->mean, va / a->n + vb / b->n, sd, tau, alpha);
}

wr_interval wr_seq_mean(const wr_moments *a, double tau, double alpha)
{
    if (!(a->n >= 2)) return (wr_interval){-INFINITY, INFINITY, a->mean};
    double v = wr_moments_variance(a);
    return around(a->mean, v / a->n, sqrt(v), tau, alpha);
}

/* ---- quantiles ---- */

double wr_seq_spend(double alpha, uint64_t look)
{
    double k = look ? (double)look : 1;
    return alpha / (k * (k + 1));
}

/* The least k with P(X <= k) >= p. */
static double binomial_quantile(double p, double n, double q)
{
    double lo = -1, hi = n;
    while (hi - lo > 1) {
        double mid = floor((lo + hi) / 2);
        if (wr_binomial_cdf(mid, n, q) >= p) hi = mid;
        else lo = mid;
    }
    return hi;
}

/* The bin of the r-th value in order, r from 1. */
static size_t bin_of_rank(const uint64_t *count, size_t nbins, double r)
{
    double below = 0;
    for (size_t i = 0; i < nbins; i++) {
        below += (double)count[i];
        if (below >= r) return i;
    }
    return nbins - 1;
}

wr_interval wr_seq_quantile(const uint64_t *count, size_t nbins, double (*edge)(size_t), double q, double alpha)
{
    double n = (double)wr_bins_total(count, nbins);
    wr_interval out = {0, INFINITY, wr_bins_quantile(count, nbins, edge, q)};
    if (!(n > 0) || !(q > 0 && q < 1)) return out;
    /* X(l) <= Q unless fewer than l values are at most Q: P(Bin(n, q) < l) <= alpha / 2; and the other side alike. */
    double l = binomial_quantile(alpha / 2, n, q), u = binomial_quantile(1 - alpha / 2, n, q) + 1;
    out.lo = l >= 1 ? edge(bin_of_rank(count, nbins, l)) : edge(0);
    if (u <= n) out.hi = edge(bin_of_rank(count, nbins, u) + 1);
    return out;
}
