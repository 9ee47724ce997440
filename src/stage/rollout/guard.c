/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - verdicts on an arm. */
#include <math.h>
#include <stdio.h>

#include "stage/rollout/rollout.h"

const char *const wr_verdict_names[] = {"off", "waits", "fine", "failed", "certain"};

/* Is it time for a look whose share of the error is spent? */
static bool look_due(wr_look *l, double n)
{
    if (n < l->seen * 1.1) return false;
    l->seen = n;
    l->looks++;
    return true;
}

static double rate(const wr_arm_totals *t) { return t->requests > 0 ? t->errors / t->requests : NAN; }

static void settle(wr_verdict *v, bool certain)
{
    if (certain) v->kind = WR_VERDICT_CERTAIN;
    else if (v->kind != WR_VERDICT_FAILED) v->kind = WR_VERDICT_FINE;
}

/* ---- sequential ---- */

static void watch_errors(wr_verdict *v, const wr_guard_case *c, const wr_rollout_guard *g)
{
    const wr_arm_totals *a = c->primary, *b = c->arm;
    v->primary = rate(a);
    v->arm = rate(b);
    if (isnan(g->worse_by)) return;
    double p = wr_seq_rate_worse(a->errors, a->requests, b->errors, b->requests, g->worse_by);
    settle(v, p > c->spec->confidence);
    snprintf(v->why, sizeof v->why, "%.0f of %.0f failed, primary %.0f of %.0f; P(worse by %g) = %.4f", b->errors,
             b->requests, a->errors, a->requests, g->worse_by, p);
}

static void watch_p99(wr_verdict *v, wr_look *l, const wr_guard_case *c, const wr_rollout_guard *g)
{
    v->primary = wr_arm_p(c->primary, 0.99);
    v->arm = wr_arm_p(c->arm, 0.99);
    if (isnan(g->worse_by) || c->shadow) return;
    if (v->kind == WR_VERDICT_CERTAIN || !look_due(l, c->arm->requests)) return;
    double alpha = wr_seq_spend((1 - c->spec->confidence) / 2, l->looks);
    wr_interval a = wr_seq_quantile(c->primary->latency, WR_DURATION_BINS, wr_duration_edge, 0.99, alpha);
    wr_interval b = wr_seq_quantile(c->arm->latency, WR_DURATION_BINS, wr_duration_edge, 0.99, alpha);
    settle(v, b.lo > a.hi * (1 + g->worse_by));
    snprintf(v->why, sizeof v->why, "p99 at least %.3g ms, primary at most %.3g ms (look %llu)", b.lo / 1e6, a.hi / 1e6,
             (unsigned long long)l->looks);
}

static void watch_drift(wr_verdict *v, wr_look *l, const wr_guard_case *c, const wr_rollout_guard *g)
{
    double n = (double)wr_bins_total(c->arm->score, WR_VALUE_BINS), p;
    v->primary = 0;
    if (n < (double)c->spec->min_samples ||
        wr_bins_total(c->baseline, WR_VALUE_BINS) < (uint64_t)c->spec->min_samples) {
        if (v->kind == WR_VERDICT_FINE) v->kind = WR_VERDICT_WAITS;
        return;
    }
    if (v->kind == WR_VERDICT_CERTAIN || !look_due(l, n)) return;
    double psi = wr_bins_psi(&p, c->baseline, c->arm->score, WR_VALUE_BINS, 10);
    double alpha = wr_seq_spend(1 - c->spec->confidence, l->looks);
    v->arm = psi;
    settle(v, psi >= g->limit && p < alpha);
    snprintf(v->why, sizeof v->why, "PSI of scores %.3g, p %.2g at level %.2g (look %llu)", psi, p, alpha,
             (unsigned long long)l->looks);
}

static void watch_reward(wr_verdict *v, const wr_guard_case *c, const wr_rollout_guard *g)
{
    const wr_moments *a = &c->primary->reward, *b = &c->arm->reward;
    v->primary = a->n > 0 ? a->mean : NAN;
    v->arm = b->n > 0 ? b->mean : NAN;
    if (isnan(g->worse_by)) return;
    if (a->n < 50 || b->n < 50) {
        v->kind = WR_VERDICT_WAITS;
        return;
    }
    wr_interval d = wr_seq_mean_difference(a, b, 0, 1 - c->spec->confidence);
    settle(v, d.hi < -g->worse_by);
    snprintf(v->why, sizeof v->why, "reward differs by %.3g, between %.3g and %.3g, of %.0f and %.0f rewards", d.at,
             d.lo, d.hi, b->n, a->n);
}

static void watch_joules(wr_verdict *v, const wr_guard_case *c, const wr_rollout_guard *g)
{
    const wr_moments *r = &c->arm->joule_ratio;
    v->primary = wr_arm_joules_1000(c->primary);
    v->arm = wr_arm_joules_1000(c->arm);
    if (isnan(g->worse_by)) return;
    if (r->n < 10) {
        v->kind = WR_VERDICT_WAITS;
        return;
    }
    wr_interval d = wr_seq_mean(r, 0, 1 - c->spec->confidence);
    settle(v, d.lo > log1p(g->worse_by));
    snprintf(v->why, sizeof v->why, "joules a prediction %.3g times the primary's, at least %.3g, over %.0f seconds",
             exp(d.at), exp(d.lo), r->n);
}

bool wr_guards_watch(wr_verdict *verdicts, wr_look *looks, const wr_guard_case *c)
{
    bool certain = false;
    for (int k = 0; k < WR_GUARDS; k++) {
        const wr_rollout_guard *g = &c->spec->guards[k];
        wr_verdict *v = &verdicts[k];
        if (!g->on) continue;
        if (v->kind == WR_VERDICT_OFF) *v = (wr_verdict){WR_VERDICT_WAITS, NAN, NAN, ""};
        if (c->arm->requests < (double)c->spec->min_samples) continue;
        if (v->kind == WR_VERDICT_WAITS) v->kind = WR_VERDICT_FINE;
        if (k == WR_GUARD_ERRORS) watch_errors(v, c, g);
        else if (k == WR_GUARD_P99) watch_p99(v, &looks[k], c, g);
        else if (k == WR_GUARD_DRIFT) watch_drift(v, &looks[k], c, g);
        else if (k == WR_GUARD_REWARD) watch_reward(v, c, g);
        else watch_joules(v, c, g);
        certain |= v->kind == WR_VERDICT_CERTAIN;
    }
    return certain;
}

/* ---- by interval ---- */

static double p99_since(const wr_arm_totals *now, const wr_arm_totals *then)
{
    uint64_t diff[WR_DURATION_BINS];
    for (size_t i = 0; i < WR_DURATION_BINS; i++) diff[i] = now->latency[i] - then->latency[i];
    return wr_bins_quantile(diff, WR_DURATION_BINS, wr_duration_edge, 0.99) / 1e9;
}

static double mean_since(const wr_moments *now, const wr_moments *then)
{
    double n = now->n - then->n;
    return n > 0 ? (now->n * now->mean - then->n * then->mean) / n : NAN;
}

static double value_since(wr_guard_kind k, const wr_guard_case *c)
{
    const wr_arm_totals *b = c->arm, *then = c->arm_then;
    switch (k) {
    case WR_GUARD_ERRORS:
        return (b->errors - then->errors) / (b->requests - then->requests);
    case WR_GUARD_P99:
        return c->shadow ? NAN : p99_since(b, then);
    case WR_GUARD_REWARD:
        return mean_since(&b->reward, &then->reward);
    case WR_GUARD_JOULES:
        return b->rows > then->rows ? (b->joules - then->joules) / (b->rows - then->rows) * 1000 : NAN;
    default:
        return NAN; /* drift: one look at all of it is the better one */
    }
}

int wr_guards_check(wr_verdict *verdicts, const wr_guard_case *c)
{
    int failed = 0;
    if (c->arm->requests - c->arm_then->requests < (double)c->spec->min_samples) return -1;
    for (int k = 0; k < WR_GUARDS; k++) {
        const wr_rollout_guard *g = &c->spec->guards[k];
        wr_verdict *v = &verdicts[k];
        if (!g->on || v->kind == WR_VERDICT_CERTAIN) continue;
        if (v->kind == WR_VERDICT_FAILED) v->kind = WR_VERDICT_FINE;
        double x = k == WR_GUARD_DRIFT || isnan(g->limit) ? NAN : value_since((wr_guard_kind)k, c);
        bool bad = k == WR_GUARD_REWARD ? x < g->limit : x > g->limit;
        if (isnan(x) || !bad) continue;
        failed++;
        v->kind = WR_VERDICT_FAILED;
        v->arm = x;
        snprintf(v->why, sizeof v->why, "%s of the interval is %.4g, the %s %.4g", wr_guard_names[k], x,
                 k == WR_GUARD_REWARD ? "least allowed" : "most allowed", g->limit);
    }
    return failed;
}
