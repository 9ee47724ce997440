/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - agreement, distances, metrics with labels, and the bootstrap of their differences. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "calc/drift.h"
#include "calc/metrics.h"
#include "stage/replay/compare_inside.h"

int wr_compare_pairs_new(wr_compare_pairs *out, wr_arena *a, size_t n, wr_err *err)
{
    out->logged = wr_arena_alloc(a, (n + 1) * sizeof *out->logged);
    out->candidate = wr_arena_alloc(a, (n + 1) * sizeof *out->candidate);
    out->label = wr_arena_alloc(a, (n + 1) * sizeof *out->label);
    out->klass = wr_arena_alloc(a, (n + 1) * sizeof *out->klass);
    out->n = 0;
    return out->logged && out->candidate && out->label && out->klass ? 0 : wr_err_nomem(err);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void wr_compare_quantiles(double *median, double *p99, double *x, size_t n)
{
    *median = *p99 = NAN;
    if (!n) return;
    qsort(x, n, sizeof *x, by_value);
    *median = x[n / 2];
    *p99 = x[(size_t)((double)(n - 1) * 0.99)];
}

/* ---- without labels ---- */

static int distances(wr_compare_report *out, const wr_compare_pairs *p, wr_arena *a, wr_err *err)
{
    double *l = wr_arena_alloc(a, (p->n + 1) * sizeof *l), *c = wr_arena_alloc(a, (p->n + 1) * sizeof *c);
    size_t n = 0, same = 0, judged = 0;
    double sum = 0, most = 0;
    if (!l || !c) return wr_err_nomem(err);
    for (size_t i = 0; i < p->n; i++) {
        const wr_row_verdict *x = &p->logged[i], *y = &p->candidate[i];
        bool known = x->klass != UINT64_MAX && y->klass != UINT64_MAX;
        judged += known;
        same += known && x->klass == y->klass;
        if (!isfinite(x->score) || !isfinite(y->score)) continue;
        double d = fabs(x->score - y->score);
        sum += d;
        if (d > most) most = d;
        l[n] = x->score;
        c[n++] = y->score;
    }
    out->agreement = judged ? (double)same / (double)judged : NAN;
    out->max_delta = n ? most : NAN;
    out->mean_delta = n ? sum / (double)n : NAN;
    out->psi = NAN;
    if (!n) return 0;
    wr_drift_ref *ref;
    wr_drift_result r;
    WR_TRY(wr_drift_ref_numeric(&ref, l, n, 0, err));
    int rc = wr_drift_numeric(&r, ref, c, n, err);
    wr_drift_ref_free(ref);
    out->psi = r.psi;
    return rc;
}

/* ---- with labels: rows that both have a say on ---- */

typedef struct {
    size_t n;
    double *y, *score[2]; /* logged, candidate */
    double *loss[2];      /* of the row, for metrics that are means */
    uint32_t *order[2];   /* rows by score, for AUC */
} labelled;

typedef enum { AUC, LOG_LOSS, ACCURACY, RMSE } kind;
static const struct {
    const char *name;
    bool bigger_is_better;
} kinds[] = {{"auc", true}, {"log_loss", false}, {"accuracy", true}, {"rmse", false}};

/* Of the rows taken weight[i] times each; ties count half. */
static double weighted_auc(const labelled *s, int side, const uint32_t *weight)
{
    double negative = 0, positive = 0, won = 0;
    for (size_t i = 0; i < s->n;) {
        double same_pos = 0, same_neg = 0, score = s->score[side][s->order[side][i]];
        for (; i < s->n && s->score[side][s->order[side][i]] == score; i++) {
            uint32_t row = s->order[side][i];
            if (s->y[row] > 0.5) same_pos += weight[row];
            else same_neg += weight[row];
        }
        won += same_pos * (negative + same_neg / 2);
        positive += same_pos;
        negative += same_neg;
    }
    return positive > 0 && negative > 0 ? won / (positive * negative) : NAN;
}

static double weighted(const labelled *s, kind k, int side, const uint32_t *weight)
{
    double sum = 0, n = 0;
    if (k == AUC) return weighted_auc(s, side, weight);
    for (size_t i = 0; i < s->n; i++) {
        sum += s->loss[side][i] * weight[i];
        n += weight[i];
    }
    return k == RMSE ? sqrt(sum / n) : sum / n;
}

static int by_score(const void *a, const void *b, void *scores)
{
    const double *of = scores;
    double x = of[*(const uint32_t *)a], y = of[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

static int order_scores(labelled *s, wr_arena *a, wr_err *err)
{
    for (int side = 0; side < 2; side++) {
        s->order[side] = wr_arena_alloc(a, (s->n + 1) * sizeof *s->order[side]);
        if (!s->order[side]) return wr_err_nomem(err);
        for (size_t i = 0; i < s->n; i++) s->order[side][i] = (uint32_t)i;
        qsort_r(s->order[side], s->n, sizeof *s->order[side], by_score, s->score[side]);
    }
    return 0;
}

static double loss_of(kind k, const wr_compare_pairs *p, size_t row, const wr_row_verdict *v)
{
    double y = p->label[row], s = v->score, edge = 0x1p-52;
    if (k == RMSE) return (s - y) * (s - y);
    if (k == ACCURACY) return v->klass == p->klass[row];
    s = s < edge ? edge : s > 1 - edge ? 1 - edge : s;
    return y > 0.5 ? -log(s) : -log(1 - s);
}

/* The percentile interval of the difference; more rows than are worth it are cut. */
static int bootstrap(wr_compare_metric *m, labelled s, kind k, uint64_t seed, wr_arena *a, wr_err *err)
{
    wr_rng rng;
    size_t kept = 0, n = s.n < WR_COMPARE_BOOTSTRAP_ROWS ? s.n : WR_COMPARE_BOOTSTRAP_ROWS;
    uint32_t *weight = wr_arena_alloc(a, (s.n + 1) * sizeof *weight);
    double *d = wr_arena_alloc(a, WR_COMPARE_REPLICATES * sizeof *d);
    if (!weight || !d) return wr_err_nomem(err);
    wr_rng_init(&rng, seed);
    for (int r = 0; r < WR_COMPARE_REPLICATES; r++) {
        memset(weight, 0, s.n * sizeof *weight);
        for (size_t i = 0; i < n; i++) weight[wr_rng_below(&rng, n)]++;
        double x = weighted(&s, k, 1, weight) - weighted(&s, k, 0, weight);
        if (!isnan(x)) d[kept++] = x;
    }
    m->low = m->high = NAN;
    if (!kept) return 0;
    qsort(d, kept, sizeof *d, by_value);
    m->low = d[(size_t)((double)(kept - 1) * 0.025)];
    m->high = d[(size_t)((double)(kept - 1) * 0.975)];
    return 0;
}

static int add_metric(wr_compare_report *out, labelled *s, const wr_compare_pairs *p, const size_t *row, kind k,
                      uint64_t seed, wr_arena *a, wr_err *err)
{
    wr_compare_metric *m = &out->metrics[out->nmetrics++];
    uint32_t *once = wr_arena_alloc(a, (s->n + 1) * sizeof *once);
    if (!once) return wr_err_nomem(err);
    for (size_t i = 0; i < s->n; i++) once[i] = 1;
    for (int side = 0; side < 2; side++) {
        s->loss[side] = wr_arena_alloc(a, (s->n + 1) * sizeof *s->loss[side]);
        if (!s->loss[side]) return wr_err_nomem(err);
        for (size_t i = 0; i < s->n; i++)
            s->loss[side][i] = k == AUC ? 0 : loss_of(k, p, row[i], side ? &p->candidate[row[i]] : &p->logged[row[i]]);
    }
    *m = (wr_compare_metric){.name = kinds[k].name, .bigger_is_better = kinds[k].bigger_is_better};
    m->logged = weighted(s, k, 0, once);
    m->candidate = weighted(s, k, 1, once);
    return bootstrap(m, *s, k, seed, a, err);
}

static bool in_unit(double x) { return x >= 0 && x <= 1; }

/* What the labelled rows allow: of scores, when all have them; of classes. */
static int metrics(wr_compare_report *out, const wr_compare_pairs *p, uint64_t seed, wr_arena *a, wr_err *err)
{
    labelled s = {0};
    size_t *row = wr_arena_alloc(a, (p->n + 1) * sizeof *row);
    s.y = wr_arena_alloc(a, (p->n + 1) * sizeof *s.y);
    for (int side = 0; side < 2; side++) s.score[side] = wr_arena_alloc(a, (p->n + 1) * sizeof *s.score[side]);
    if (!row || !s.y || !s.score[0] || !s.score[1]) return wr_err_nomem(err);
    bool scores = true, binary = true, classes = true;
    for (size_t i = 0; i < p->n; i++) {
        if (isnan(p->label[i]) && p->klass[i] == UINT64_MAX) continue;
        double l = p->logged[i].score, c = p->candidate[i].score;
        row[s.n] = i;
        s.y[s.n] = p->label[i];
        s.score[0][s.n] = l;
        s.score[1][s.n++] = c;
        scores = scores && isfinite(l) && isfinite(c) && isfinite(p->label[i]);
        binary = binary && (p->label[i] == 0 || p->label[i] == 1) && in_unit(l) && in_unit(c);
        classes = classes && p->klass[i] != UINT64_MAX && p->logged[i].klass != UINT64_MAX &&
                  p->candidate[i].klass != UINT64_MAX;
    }
    out->labelled = s.n;
    if (!s.n) return 0;
    if (scores && binary) {
        WR_TRY(order_scores(&s, a, err));
        WR_TRY(add_metric(out, &s, p, row, AUC, seed, a, err));
        WR_TRY(add_metric(out, &s, p, row, LOG_LOSS, seed, a, err));
    }
    if (scores && !binary) WR_TRY(add_metric(out, &s, p, row, RMSE, seed, a, err));
    return classes && (binary || !scores) ? add_metric(out, &s, p, row, ACCURACY, seed, a, err) : 0;
}

int wr_compare_pairs_judge(wr_compare_report *out, const wr_compare_pairs *p, uint64_t seed, wr_arena *a, wr_err *err)
{
    out->rows = p->n;
    WR_TRY(distances(out, p, a, err));
    return metrics(out, p, seed, a, err);
}
