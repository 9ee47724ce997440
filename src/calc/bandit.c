/* SPDX-License-Identifier: Apache-2.0 */
/* bandit.c - who is best by how much of the posterior; what another policy would have earned. */
#include "calc/bandit.h"

#include <math.h>
#include <stdlib.h>

#include "calc/special.h"

/* ---- posteriors ---- */

typedef struct {
    bool binary;
    double a, b;          /* Beta */
    double df, at, scale; /* Student's t */
    double log_norm;
    double mean, sd;
} posterior;

static posterior posterior_of(const wr_moments *m, const wr_bandit_opt *opt)
{
    posterior p = {.binary = opt->binary};
    double sum = m->n * m->mean;
    if (opt->binary) {
        p.a = 1 + fmax(sum, 0);
        p.b = 1 + fmax(m->n - sum, 0);
        double s = p.a + p.b;
        p.mean = p.a / s;
        p.sd = sqrt(p.a * p.b / (s * s * (s + 1)));
        return p;
    }
    double kappa0 = opt->weight > 0 ? opt->weight : 1e-3, beta0 = opt->scale > 0 ? opt->scale : 1;
    double kappa = kappa0 + m->n, alpha = 1 + m->n / 2;
    double beta = beta0 + m->m2 / 2 + kappa0 * m->n * m->mean * m->mean / (2 * kappa);
    p.df = 2 * alpha;
    p.at = p.mean = sum / kappa;
    p.scale = p.sd = sqrt(beta / (alpha * kappa));
    p.log_norm = lgamma((p.df + 1) / 2) - lgamma(p.df / 2) - 0.5 * log(p.df * M_PI) - log(p.scale);
    return p;
}

static double cdf(const posterior *p, double x)
{
    if (!p->binary) return wr_student_cdf(p->df, (x - p->at) / p->scale);
    return x <= 0 ? 0 : x >= 1 ? 1 : wr_beta_i(p->a, p->b, x);
}

static double density(const posterior *p, double x)
{
    if (p->binary) return wr_beta_power(p->a, p->b, x) / (x * (1 - x));
    double t = (x - p->at) / p->scale;
    return exp(p->log_norm - (p->df + 1) / 2 * log1p(t * t / p->df));
}

/* ---- who is best ---- */

/* In deviations from the mean: close where a posterior has its mass, out to where a tail of two degrees of freedom
 * ends. */
static const double steps[] = {0,  0.5, 1,  1.5, 2,  2.5, 3,  3.5, 4,  5,   6,   7,    8,   9.5,
                               11, 13,  16, 19,  23, 28,  34, 43,  60, 100, 200, 1000, 1e4, 1e6};
enum { STEPS = sizeof steps / sizeof *steps, CUTS = WR_BANDIT_ARMS * 2 * STEPS + 2, NODES = 5 };
static const double node[NODES] = {-0.9061798459386640, -0.5384693101056831, 0, 0.5384693101056831, 0.9061798459386640};
static const double weight[NODES] = {0.2369268850561891, 0.4786286704993665, 0.5688888888888889, 0.4786286704993665,
                                     0.2369268850561891};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Borders of panels: each posterior's own, so that all are smooth between two of them whatever their widths. */
static size_t borders(double *cut, const posterior *p, size_t arms)
{
    size_t n = 0;
    for (size_t i = 0; i < arms; i++)
        for (size_t k = 0; k < STEPS; k++)
            for (int side = k ? -1 : 1; side <= 1; side += 2) {
                double x = p[i].mean + side * steps[k] * p[i].sd;
                if (!p[i].binary || (x > 0 && x < 1)) cut[n++] = x;
            }
    if (p[0].binary) {
        cut[n++] = 0;
        cut[n++] = 1;
    }
    qsort(cut, n, sizeof *cut, ascending);
    return n;
}

/* Adds, for each arm, density times the others' distribution functions at x. */
static void at_point(double *out, const posterior *p, size_t arms, double x, double w)
{
    double below[WR_BANDIT_ARMS];
    for (size_t i = 0; i < arms; i++) below[i] = cdf(&p[i], x);
    for (size_t i = 0; i < arms; i++) {
        double product = density(&p[i], x);
        for (size_t k = 0; k < arms && product > 0; k++) product *= k == i ? 1 : below[k];
        out[i] += w * product;
    }
}

void wr_bandit_best(double *out, const wr_moments *reward, size_t arms, const wr_bandit_opt *opt)
{
    posterior p[WR_BANDIT_ARMS];
    double cut[CUTS], sum = 0;
    for (size_t i = 0; i < arms; i++) {
        p[i] = posterior_of(&reward[i], opt);
        out[i] = 0;
    }
    size_t n = borders(cut, p, arms);
    for (size_t j = 0; j + 1 < n; j++) {
        double half = (cut[j + 1] - cut[j]) / 2, mid = cut[j] + half;
        if (!(half > 0)) continue;
        for (int k = 0; k < NODES; k++) at_point(out, p, arms, mid + half * node[k], weight[k] * half);
    }
    for (size_t i = 0; i < arms; i++) sum += out[i];
    for (size_t i = 0; i < arms; i++) out[i] = sum > 0 ? out[i] / sum : 1 / (double)arms;
}

/* ---- shares ---- */

static void greedy(double *out, const wr_moments *reward, size_t arms, double epsilon)
{
    double best = -INFINITY, ties = 0;
    for (size_t i = 0; i < arms; i++) best = fmax(best, reward[i].n > 0 ? reward[i].mean : INFINITY);
    for (size_t i = 0; i < arms; i++) {
        out[i] = (reward[i].n > 0 ? reward[i].mean : INFINITY) == best;
        ties += out[i];
    }
    for (size_t i = 0; i < arms; i++) out[i] = (1 - epsilon) * out[i] / ties + epsilon / (double)arms;
}

void wr_bandit_shares(double *out, const wr_moments *reward, size_t arms, const wr_bandit_opt *opt)
{
    double floor = fmin(fmax(opt->floor, 0), 1 / (double)arms);
    if (opt->policy == WR_BANDIT_EPSILON) greedy(out, reward, arms, opt->epsilon);
    else wr_bandit_best(out, reward, arms, opt);
    for (size_t i = 0; i < arms; i++) out[i] = floor + (1 - (double)arms * floor) * out[i];
}

double wr_bandit_regret(const wr_moments *reward, size_t arms)
{
    double best = -INFINITY, sum = 0;
    for (size_t i = 0; i < arms; i++)
        if (reward[i].n > 0 && reward[i].mean > best) best = reward[i].mean;
    for (size_t i = 0; i < arms; i++)
        if (reward[i].n > 0) sum += reward[i].n * (best - reward[i].mean);
    return sum;
}

/* ---- off-policy ---- */

void wr_offpolicy_add(wr_offpolicy *o, double reward, double propensity, double target, double guess_taken,
                      double guess_policy, double clip)
{
    if (!(propensity > 0) || !(target >= 0) || !isfinite(reward)) return;
    double w = target / propensity;
    if (clip > 0 && w > clip) w = clip;
    o->n++;
    o->w += w;
    o->w2 += w * w;
    o->wr += w * reward;
    o->w2r += w * w * reward;
    o->w2r2 += w * w * reward * reward;
    wr_moments_add(&o->ips, w * reward);
    wr_moments_add(&o->dr, guess_policy + w * (reward - guess_taken));
}

/* Two-sided normal quantile by bisection of erfc: called a few times a report. */
static double normal_quantile(double alpha)
{
    double lo = 0, hi = 40;
    for (int i = 0; i < 80; i++) {
        double mid = (lo + hi) / 2;
        if (erfc(mid / M_SQRT2) > alpha) lo = mid;
        else hi = mid;
    }
    return (lo + hi) / 2;
}

static wr_interval about(const wr_moments *m, double z)
{
    double half = m->n >= 2 ? z * sqrt(wr_moments_variance(m) / m->n) : INFINITY;
    return (wr_interval){m->mean - half, m->mean + half, m->mean};
}

wr_offpolicy_result wr_offpolicy_of(const wr_offpolicy *o, double alpha)
{
    double z = normal_quantile(alpha), at = o->w > 0 ? o->wr / o->w : NAN;
    /* variance of sum w (r - at) / sum w */
    double v = o->w > 0 ? (o->w2r2 - 2 * at * o->w2r + at * at * o->w2) / (o->w * o->w) : NAN;
    double half = z * sqrt(fmax(v, 0));
    return (wr_offpolicy_result){.ips = about(&o->ips, z),
                                 .snips = {at - half, at + half, at},
                                 .dr = about(&o->dr, z),
                                 .n = o->n,
                                 .effective = o->w2 > 0 ? o->w * o->w / o->w2 : 0};
}
