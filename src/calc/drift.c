/* SPDX-License-Identifier: Apache-2.0 */
/* drift.c - two-sample statistics from two sorted samples and one walk over both, or from two tables of counts. */
#include "calc/drift.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "calc/sort.h"
#include "calc/special.h"

enum { BINS_DEFAULT = 10, BINS_MAX = 1000 };
static const double ZERO_SHARE = 1e-4, STD_LEAST = 1e-3;

struct wr_drift_ref {
    bool numeric;
    size_t rows, n;             /* all, present */
    /* numeric */
    double *x;                  /* sorted, n */
    double mean, std;
    double *edge;               /* nbins - 1, ascending */
    size_t nbins;
    /* categories */
    uint32_t ncats;
    size_t *count;              /* of a bin or a category */
};

void wr_drift_ref_free(wr_drift_ref *r)
{
    if (!r) return;
    wr_free(r->x);
    wr_free(r->edge);
    wr_free(r->count);
    wr_free(r);
}

/* Finite values of x, sorted, for the caller to free; *n becomes their number. */
static int sorted_copy(double **out, const double *x, size_t *n)
{
    double *a = wr_calloc(*n ? *n : 1, sizeof *a), *scratch = wr_calloc(*n ? *n : 1, sizeof *scratch);
    size_t m = 0;
    if (a && scratch) {
        for (size_t i = 0; i < *n; i++) {
            a[m] = x[i];
            m += isfinite(x[i]) != 0;
        }
        wr_sort_f64(a, scratch, m);
    }
    wr_free(scratch);
    if (!a || !scratch) {
        wr_free(a);
        return WEIR_ENOMEM;
    }
    *n = m;
    *out = a;
    return 0;
}

/* Blocks of a fixed size keep the rounding error small and the result the same everywhere. */
static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += 1024) {
        double part = 0;
        size_t end = i + 1024 < n ? i + 1024 : n;
        for (size_t j = i; j < end; j++) part += x[j];
        sum += part;
    }
    return sum / (double)n;
}

static double std_of(const double *x, size_t n, double mean)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += 1024) {
        double part = 0;
        size_t end = i + 1024 < n ? i + 1024 : n;
        for (size_t j = i; j < end; j++) part += (x[j] - mean) * (x[j] - mean);
        sum += part;
    }
    return sqrt(sum / (double)n);
}

/* numpy.quantile(method="linear") of a sorted sample. */
static double quantile(const double *x, size_t n, double q)
{
    double at = q * (double)(n - 1), whole = floor(at), t = at - whole;
    size_t i = (size_t)whole;
    if (i + 1 >= n) return x[n - 1];
    double a = x[i], b = x[i + 1];
    return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

static void add_edge(wr_drift_ref *r, double e)
{
    size_t n = r->nbins - 1;
    if (n > 0 && e <= r->edge[n - 1]) return;
    r->edge[n] = e;
    r->nbins++;
}

static void make_edges(wr_drift_ref *r, int bins)
{
    double before = NAN;
    r->nbins = 1;
    for (int i = 1; i < bins; i++) {
        double e = quantile(r->x, r->n, (double)i / bins);
        if (e == before) add_edge(r, nextafter(e, INFINITY));
        add_edge(r, e);
        before = e;
    }
}

static void count_bins(const wr_drift_ref *r, const double *x, size_t n, size_t *count)
{
    size_t before = 0;
    for (size_t b = 0; b < r->nbins; b++) {
        size_t end = b + 1 < r->nbins ? wr_sorted_lower(x, n, r->edge[b]) : n;
        count[b] = end - before;
        before = end;
    }
}

int wr_drift_ref_numeric(wr_drift_ref **out, const double *x, size_t n, int bins, wr_err *err)
{
    if (bins == 0) bins = BINS_DEFAULT;
    if (bins < 1 || bins > BINS_MAX) return wr_err_set(err, WEIR_EINVAL, "%d \"bins\", not 1 to %d", bins, BINS_MAX);
    wr_drift_ref *r = wr_calloc(1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    int rc = 0;
    r->numeric = true;
    r->rows = r->n = n;
    r->edge = wr_calloc(2 * (size_t)bins, sizeof *r->edge);
    r->count = wr_calloc(2 * (size_t)bins, sizeof *r->count);
    if (!r->edge || !r->count || sorted_copy(&r->x, x, &r->n) < 0) {
        rc = wr_err_nomem(err);
    } else if (r->n == 0) {
        rc = wr_err_set(err, WEIR_EINVAL, "the reference sample has no value in %zu rows", n);
    }
    if (rc < 0) {
        wr_drift_ref_free(r);
        return rc;
    }
    r->mean = mean_of(r->x, r->n);
    r->std = std_of(r->x, r->n, r->mean);
    make_edges(r, bins);
    count_bins(r, r->x, r->n, r->count);
    *out = r;
    return 0;
}

int wr_drift_ref_categories(wr_drift_ref **out, const uint32_t *code, size_t n, uint32_t ncats, wr_err *err)
{
    wr_drift_ref *r = wr_calloc(1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    r->rows = n;
    r->ncats = ncats;
    r->count = wr_calloc((size_t)ncats + 1, sizeof *r->count);
    int rc = r->count ? 0 : wr_err_nomem(err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (code[i] == UINT32_MAX) continue;
        if (code[i] >= ncats) {
            rc = wr_err_set(err, WEIR_EINVAL, "row %zu has code %u of %u categories", i, code[i], ncats);
        } else {
            r->count[code[i]]++;
            r->n++;
        }
    }
    if (rc == 0 && r->n == 0) rc = wr_err_set(err, WEIR_EINVAL, "the reference sample has no value in %zu rows", n);
    if (rc < 0) {
        wr_drift_ref_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

/* Sums over bins or categories, fed one pair of counts at a time. */
typedef struct {
    double n, m;                /* reference, current */
    double psi, js, chi2, linf;
    size_t seen;                /* categories with a count on either side */
} tally;

static double relative_entropy(double p, double q) { return p > 0 ? p * log(p / q) : 0; }

static void tally_add(tally *t, size_t ref, size_t cur)
{
    if (ref == 0 && cur == 0) return; /* equal shares: nothing to any of the sums */
    double p = (double)ref / t->n, q = (double)cur / t->m, middle = (p + q) / 2;
    double pf = ref ? p : ZERO_SHARE, qf = cur ? q : ZERO_SHARE, expected = (double)ref * (t->m / t->n);
    t->seen++;
    t->psi += (pf - qf) * log(pf / qf);
    t->js += (relative_entropy(p, middle) + relative_entropy(q, middle)) / 2;
    t->chi2 += ref ? ((double)cur - expected) * ((double)cur - expected) / expected : INFINITY;
    if (fabs(p - q) > t->linf) t->linf = fabs(p - q);
}

static void tally_end(const tally *t, wr_drift_result *out)
{
    out->psi = t->psi;
    out->js = t->js > 0 ? sqrt(t->js) : 0;
}

static void start(wr_drift_result *out, const wr_drift_ref *r, size_t rows, size_t n)
{
    *out = (wr_drift_result){
        .psi = NAN, .js = NAN, .ks = NAN, .ks_p = NAN, .wasserstein = NAN, .chi2 = NAN, .chi2_p = NAN, .linf = NAN,
        .missing_ref = (double)(r->rows - r->n) / (double)r->rows, .missing_cur = (double)(rows - n) / (double)rows,
        .mean_ref = r->numeric ? r->mean : NAN, .mean_cur = NAN, .n_ref = r->n, .n_cur = n,
    };
}

static int no_value(wr_err *err, size_t rows)
{
    return wr_err_set(err, WEIR_EINVAL, "the current sample has no value in %zu rows", rows);
}

/* One walk over both sorted samples, a step per distinct value: sup |F - G| and the area between F and G. */
static void walk(const double *x, size_t n, const double *y, size_t m, double *sup, double *area)
{
    double dn = (double)n, dm = (double)m, last = x[0] < y[0] ? x[0] : y[0], gap = 0, most = 0, sum = 0;
    for (size_t i = 0, j = 0; i < n || j < m;) {
        double v = j >= m || (i < n && x[i] < y[j]) ? x[i] : y[j];
        sum += gap * (v - last);
        while (i < n && x[i] == v) i++;
        while (j < m && y[j] == v) j++;
        gap = fabs((double)i / dn - (double)j / dm);
        if (gap > most) most = gap;
        last = v;
    }
    *sup = most;
    *area = sum;
}

static void compare_numeric(wr_drift_result *out, const wr_drift_ref *r, const double *y, size_t m, size_t *count)
{
    tally t = {.n = (double)r->n, .m = (double)m};
    count_bins(r, y, m, count);
    for (size_t b = 0; b < r->nbins; b++) tally_add(&t, r->count[b], count[b]);
    tally_end(&t, out);
    double area, large = fmax(t.n, t.m), small = fmin(t.n, t.m);
    walk(r->x, r->n, y, m, &out->ks, &area);
    out->ks_p = wr_kolmogorov_sf(rint(large * small / (large + small)), out->ks);
    out->wasserstein = area / fmax(r->std, STD_LEAST);
    out->mean_cur = mean_of(y, m);
}

int wr_drift_numeric(wr_drift_result *out, const wr_drift_ref *r, const double *x, size_t n, wr_err *err)
{
    if (!r->numeric) return wr_err_set(err, WEIR_EINVAL, "the reference holds categories, not numbers");
    WR_AUTOFREE double *y = NULL;
    size_t m = n;
    if (sorted_copy(&y, x, &m) < 0) return wr_err_nomem(err);
    start(out, r, n, m);
    if (m == 0) return no_value(err, n);
    WR_AUTOFREE size_t *count = wr_calloc(r->nbins, sizeof *count);
    if (!count) return wr_err_nomem(err);
    compare_numeric(out, r, y, m, count);
    return 0;
}

/* Each distinct code in novel[0..n), sorted, is a category of its own. */
static void tally_novel(tally *t, const uint64_t *novel, size_t n)
{
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && novel[j] == novel[i]; j++) {}
        tally_add(t, 0, j - i);
    }
}

/* Count known codes; gather the others in `novel`, whose number is returned. `n` becomes the number of values. */
static size_t count_codes(const wr_drift_ref *r, const uint32_t *code, size_t *n, size_t *count, uint64_t *novel)
{
    size_t nnovel = 0, present = 0;
    for (size_t i = 0; i < *n; i++) {
        if (code[i] == UINT32_MAX) continue;
        present++;
        if (code[i] < r->ncats) {
            count[code[i]]++;
        } else {
            novel[nnovel++] = code[i];
        }
    }
    *n = present;
    return nnovel;
}

int wr_drift_categories(wr_drift_result *out, const wr_drift_ref *r, const uint32_t *code, size_t n, wr_err *err)
{
    if (r->numeric) return wr_err_set(err, WEIR_EINVAL, "the reference holds numbers, not categories");
    size_t m = n, unknown = 0;
    for (size_t i = 0; i < n; i++) unknown += code[i] >= r->ncats;
    WR_AUTOFREE size_t *count = wr_calloc((size_t)r->ncats + 1, sizeof *count);
    WR_AUTOFREE uint64_t *novel = wr_calloc(unknown + 1, sizeof *novel);
    WR_AUTOFREE uint64_t *scratch = wr_calloc(unknown + 1, sizeof *scratch);
    if (!count || !novel || !scratch) return wr_err_nomem(err);
    size_t nnovel = count_codes(r, code, &m, count, novel);
    start(out, r, n, m);
    if (m == 0) return no_value(err, n);
    tally t = {.n = (double)r->n, .m = (double)m};
    for (uint32_t c = 0; c < r->ncats; c++) tally_add(&t, r->count[c], count[c]);
    wr_sort_u64(novel, scratch, nnovel);
    tally_novel(&t, novel, nnovel);
    tally_end(&t, out);
    out->chi2 = t.seen > 1 ? t.chi2 : 0;
    out->chi2_p = t.seen > 1 ? wr_chi2_sf(t.chi2, (double)(t.seen - 1)) : 1;
    out->linf = t.linf;
    return 0;
}

static double value_psi(const wr_drift_result *r) { return r->psi; }
static double value_ks(const wr_drift_result *r) { return r->ks_p; }
static double value_wasserstein(const wr_drift_result *r) { return r->wasserstein; }
static double value_js(const wr_drift_result *r) { return r->js; }
static double value_chi2(const wr_drift_result *r) { return r->chi2_p; }

static const wr_drift_stat list[] = {
    {"psi", "population stability index over bins of the reference's quantiles", 1, 1, 0, 0.1, value_psi},
    {"ks", "two-sample Kolmogorov-Smirnov test, p-value", 1, 0, 1, 0.05, value_ks},
    {"wasserstein", "earth mover's distance in standard deviations of the reference", 1, 0, 0, 0.1, value_wasserstein},
    {"jensenshannon", "Jensen-Shannon distance, natural logarithm", 1, 1, 0, 0.1, value_js},
    {"chisquare", "chi-square test of the categories' counts, p-value", 0, 1, 1, 0.05, value_chi2},
};

const wr_drift_stat *wr_drift_stats(size_t *n)
{
    *n = sizeof list / sizeof *list;
    return list;
}

const wr_drift_stat *wr_drift_stat_find(const char *name)
{
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(list[i].name, name) == 0) return &list[i];
    }
    return NULL;
}
