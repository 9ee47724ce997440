/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - classification and regression metrics.
 *
 * The ranking metrics sort the scores of the two classes apart, keys only, and walk both runs together: no label has
 * to travel through the sort. Counts are whole numbers, so the area under the curve is exact up to one division.
 */
#include "calc/metrics.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "calc/sort.h"

/* Scores as sort keys, those of label 0 in key[0..n0), those of label 1 after them, each ascending. */
typedef struct {
    uint64_t *key, *scratch;
    size_t n0, n1;
} classes;

static void classes_fini(classes *c)
{
    wr_free(c->key);
    wr_free(c->scratch);
}

static int classes_init(classes *c, const uint8_t *y, const double *p, size_t n, wr_err *err)
{
    *c = (classes){0};
    for (size_t i = 0; i < n; i++) {
        if (p[i] != p[i]) return wr_err_set(err, WEIR_EINVAL, "prediction of row %zu is not a number", i);
        c->n1 += y[i] != 0;
    }
    c->n0 = n - c->n1;
    c->key = wr_calloc(n ? n : 1, sizeof *c->key);
    c->scratch = wr_calloc(n ? n : 1, sizeof *c->scratch);
    if (!c->key || !c->scratch) {
        classes_fini(c);
        return wr_err_nomem(err);
    }
    size_t at[2] = {0, c->n0};
    for (size_t i = 0; i < n; i++) c->key[at[y[i] != 0]++] = wr_key_f64(p[i]);
    wr_sort_u64(c->key, c->scratch, c->n0);
    wr_sort_u64(c->key + c->n0, c->scratch, c->n1);
    return 0;
}

int wr_metric_auc(double *out, const uint8_t *y, const double *p, size_t n, wr_err *err)
{
    classes c;
    WR_TRY(classes_init(&c, y, p, n, err));
    const uint64_t *neg = c.key, *pos = c.key + c.n0;
    size_t below = 0, upto = 0;         /* negatives < and <= the positive at hand */
    double twice = 0;                   /* twice the number of ordered pairs, ties half; whole, so exact below 2^53 */
    for (size_t i = 0; i < c.n1; i++) {
        while (below < c.n0 && neg[below] < pos[i]) below++;
        if (upto < below) upto = below;
        while (upto < c.n0 && neg[upto] == pos[i]) upto++;
        twice += (double)(below + upto);
    }
    *out = c.n0 && c.n1 ? twice / 2 / ((double)c.n0 * (double)c.n1) : NAN;
    classes_fini(&c);
    return 0;
}

int wr_metric_average_precision(double *out, const uint8_t *y, const double *p, size_t n, wr_err *err)
{
    classes c;
    WR_TRY(classes_init(&c, y, p, n, err));
    const uint64_t *neg = c.key, *pos = c.key + c.n0;
    size_t i = c.n1, j = c.n0;          /* left to see, from the highest score down */
    double sum = 0;
    while (i > 0) {
        uint64_t score = pos[i - 1];    /* thresholds that only negatives pass add no recall */
        size_t before = i;
        while (i > 0 && pos[i - 1] == score) i--;
        while (j > 0 && neg[j - 1] >= score) j--;
        double tp = (double)(c.n1 - i), fp = (double)(c.n0 - j);
        sum += (double)(before - i) * (tp / (tp + fp));
    }
    *out = n == 0 ? NAN : c.n1 ? sum / (double)c.n1 : 0;
    classes_fini(&c);
    return 0;
}

/* Running sum with the rounding error carried along (Neumaier 1974): errors do not grow with n. */
typedef struct { double sum, rest; } exact;

static inline void exact_add(exact *e, double x)
{
    double t = e->sum + x;
    e->rest += fabs(e->sum) >= fabs(x) ? (e->sum - t) + x : (x - t) + e->sum;
    e->sum = t;
}

/* inf - inf in the carried part must not turn an infinite sum into NaN. */
static double exact_mean(const exact *e, size_t n)
{
    return (isfinite(e->sum) ? e->sum + e->rest : e->sum) / (double)n;
}

double wr_metric_log_loss(const uint8_t *y, const double *p, size_t n)
{
    const double eps = 0x1p-52;
    exact e = {0, 0};
    for (size_t i = 0; i < n; i++) {
        double q = y[i] ? p[i] : 1 - p[i];
        if (q < eps) q = eps;           /* not fmin and fmax: they would swallow NaN */
        if (q > 1 - eps) q = 1 - eps;
        exact_add(&e, -log(q));
    }
    return exact_mean(&e, n);
}

double wr_metric_brier(const uint8_t *y, const double *p, size_t n)
{
    exact e = {0, 0};
    for (size_t i = 0; i < n; i++) {
        double d = p[i] - (y[i] ? 1 : 0);
        exact_add(&e, d * d);
    }
    return exact_mean(&e, n);
}

void wr_metric_confusion(wr_confusion *out, const uint8_t *y, const double *p, size_t n, double threshold)
{
    size_t count[2][2] = {{0, 0}, {0, 0}}; /* label, predicted */
    for (size_t i = 0; i < n; i++) count[y[i] != 0][p[i] >= threshold]++;
    *out = (wr_confusion){
        .tn = (double)count[0][0], .fp = (double)count[0][1], .fn = (double)count[1][0], .tp = (double)count[1][1]};
}

static double confusion_n(const wr_confusion *c) { return c->tp + c->fp + c->tn + c->fn; }

/* a / b; 0 when b is 0, NaN when there are no rows at all. */
static double share(const wr_confusion *c, double a, double b) { return b > 0 ? a / b : confusion_n(c) > 0 ? 0 : NAN; }

double wr_confusion_accuracy(const wr_confusion *c) { return share(c, c->tp + c->tn, confusion_n(c)); }
double wr_confusion_precision(const wr_confusion *c) { return share(c, c->tp, c->tp + c->fp); }
double wr_confusion_recall(const wr_confusion *c) { return share(c, c->tp, c->tp + c->fn); }
double wr_confusion_f1(const wr_confusion *c) { return share(c, 2 * c->tp, 2 * c->tp + c->fp + c->fn); }

/* Mean of the two recalls; a class without rows is left out, as balanced_accuracy_score does. */
static double balanced_accuracy(const wr_confusion *c)
{
    double pos = c->tp + c->fn, neg = c->tn + c->fp;
    if (pos == 0) return share(c, c->tn, neg);
    if (neg == 0) return share(c, c->tp, pos);
    return (c->tp / pos + c->tn / neg) / 2;
}

/* First bin whose upper edge is not below p. Edges are i * (1 / bins), as numpy.linspace computes them. */
static int calibration_bin(double p, int bins)
{
    double step = 1.0 / bins;
    int b = p >= 1 ? bins - 1 : p > 0 ? (int)(p * bins) : 0;
    if (b > bins - 1) b = bins - 1;
    while (b > 0 && p <= b * step) b--;
    while (b < bins - 1 && p > (b + 1) * step) b++;
    return b;
}

void wr_metric_calibration(wr_calibration_bin *out, int bins, const uint8_t *y, const double *p, size_t n)
{
    for (int b = 0; b < bins; b++) out[b] = (wr_calibration_bin){0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        if (p[i] != p[i]) continue;
        wr_calibration_bin *b = &out[calibration_bin(p[i], bins)];
        b->mean_p += p[i];
        b->share_1 += y[i] != 0;
        b->n++;
    }
    for (int b = 0; b < bins; b++) {
        out[b].mean_p /= (double)out[b].n;
        out[b].share_1 /= (double)out[b].n;
    }
}

double wr_calibration_error(const wr_calibration_bin *b, int bins)
{
    double sum = 0;
    size_t n = 0;
    for (int i = 0; i < bins; i++) {
        if (b[i].n) sum += (double)b[i].n * fabs(b[i].mean_p - b[i].share_1);
        n += b[i].n;
    }
    return sum / (double)n;
}

double wr_metric_rmse(const double *y, const double *p, size_t n)
{
    exact e = {0, 0};
    for (size_t i = 0; i < n; i++) exact_add(&e, (y[i] - p[i]) * (y[i] - p[i]));
    return sqrt(exact_mean(&e, n));
}

double wr_metric_mae(const double *y, const double *p, size_t n)
{
    exact e = {0, 0};
    for (size_t i = 0; i < n; i++) exact_add(&e, fabs(y[i] - p[i]));
    return exact_mean(&e, n);
}

/* The list. One signature for all, so some arguments go unused. */
#define COMPUTE(name) \
    static int name(double *out, const uint8_t *y, const double *p, size_t n, double threshold, wr_err *err)

COMPUTE(compute_auc) { (void)threshold; return wr_metric_auc(out, y, p, n, err); }
COMPUTE(compute_average_precision) { (void)threshold; return wr_metric_average_precision(out, y, p, n, err); }
COMPUTE(compute_log_loss) { (void)threshold, (void)err; *out = wr_metric_log_loss(y, p, n); return 0; }
COMPUTE(compute_brier) { (void)threshold, (void)err; *out = wr_metric_brier(y, p, n); return 0; }

COMPUTE(compute_calibration_error)
{
    enum { BINS = 10 };
    (void)threshold, (void)err;
    wr_calibration_bin bin[BINS];
    wr_metric_calibration(bin, BINS, y, p, n);
    *out = wr_calibration_error(bin, BINS);
    return 0;
}

static double of_confusion(double (*f)(const wr_confusion *), const uint8_t *y, const double *p, size_t n,
                           double threshold)
{
    wr_confusion c;
    wr_metric_confusion(&c, y, p, n, threshold);
    return f(&c);
}

COMPUTE(compute_accuracy) { (void)err; *out = of_confusion(wr_confusion_accuracy, y, p, n, threshold); return 0; }
COMPUTE(compute_balanced) { (void)err; *out = of_confusion(balanced_accuracy, y, p, n, threshold); return 0; }
COMPUTE(compute_precision) { (void)err; *out = of_confusion(wr_confusion_precision, y, p, n, threshold); return 0; }
COMPUTE(compute_recall) { (void)err; *out = of_confusion(wr_confusion_recall, y, p, n, threshold); return 0; }
COMPUTE(compute_f1) { (void)err; *out = of_confusion(wr_confusion_f1, y, p, n, threshold); return 0; }

static const wr_metric list[] = {
    {"auc", "area under the ROC curve: share of pairs ranked right", 1, compute_auc},
    {"average_precision", "precision averaged over recall", 1, compute_average_precision},
    {"log_loss", "negative log likelihood per row", 0, compute_log_loss},
    {"brier", "mean squared error of the probability", 0, compute_brier},
    {"calibration_error", "mean gap between probability and share of ones, 10 bins", 0, compute_calibration_error},
    {"accuracy", "share of rows predicted right", 1, compute_accuracy},
    {"balanced_accuracy", "mean recall of the two classes", 1, compute_balanced},
    {"precision", "share of predicted ones that are ones", 1, compute_precision},
    {"recall", "share of ones that were predicted", 1, compute_recall},
    {"f1", "harmonic mean of precision and recall", 1, compute_f1},
};

const wr_metric *wr_metrics(size_t *n)
{
    *n = sizeof list / sizeof *list;
    return list;
}

const wr_metric *wr_metric_find(const char *name)
{
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(list[i].name, name) == 0) return &list[i];
    }
    return NULL;
}
