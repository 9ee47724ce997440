/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - column profiles.
 *
 * A number column becomes an array of sort keys, is sorted once, and everything but the moments is then a lookup in
 * the sorted array: ends, quantiles, distinct values, zeros, histogram. Integers keep their 64 bits while sorted, so
 * distinct is exact beyond 2^53 too. Sums run over the sorted array in blocks of a fixed size: no result depends on
 * threads.
 */
#include "calc/profile.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "calc/sort.h"

const double wr_profile_q[WR_PROFILE_QUANTILES] = {.001, .01, .05, .25, .5, .75, .95, .99, .999};

enum { BLOCK = 1024 };

static void blank(wr_profile *p)
{
    p->min = p->max = p->mean = p->std = p->skew = p->kurtosis = p->sum = p->len_mean = p->hist_lo = p->hist_hi = NAN;
    for (int i = 0; i < WR_PROFILE_QUANTILES; i++) p->quantile[i] = NAN;
    p->sorted = true;
}

/* ---- numbers ---- */

/* Keys of the values that are there, in row order; their number. */
static size_t gather(uint64_t *key, const wr_col *c)
{
    size_t n = 0;
    switch (c->type) {
    case WR_F64:
        for (size_t i = 0; i < c->n; i++) {
            key[n] = wr_key_f64(c->f64[i]);
            n += !wr_col_missing(c, i) && !isnan(c->f64[i]);
        }
        break;
    case WR_F32:
        for (size_t i = 0; i < c->n; i++) {
            key[n] = wr_key_f64((double)c->f32[i]);
            n += !wr_col_missing(c, i) && !isnan(c->f32[i]);
        }
        break;
    case WR_I64:
    case WR_TS:
        for (size_t i = 0; i < c->n; i++) {
            key[n] = wr_key_i64(c->i64[i]);
            n += !wr_col_missing(c, i);
        }
        break;
    case WR_BOOL:
        for (size_t i = 0; i < c->n; i++) {
            key[n] = wr_key_i64(c->b[i] != 0);
            n += !wr_col_missing(c, i);
        }
        break;
    case WR_TEXT: break;
    }
    return n;
}

static bool is_sorted(const uint64_t *key, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (key[i] < key[i - 1]) return false;
    }
    return true;
}

static size_t count_distinct(const uint64_t *key, size_t n)
{
    size_t distinct = n > 0;
    for (size_t i = 1; i < n; i++) distinct += key[i] != key[i - 1];
    return distinct;
}

static void decode(double *x, const uint64_t *key, size_t n, wr_type type)
{
    if (type == WR_F64 || type == WR_F32) {
        for (size_t i = 0; i < n; i++) x[i] = wr_f64_of_key(key[i]);
    } else {
        for (size_t i = 0; i < n; i++) x[i] = (double)wr_i64_of_key(key[i]);
    }
}

/* First position with x > v. */
static size_t upper(const double *x, size_t n, double v) { return wr_sorted_lower(x, n, nextafter(v, INFINITY)); }

static double sum_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += BLOCK) {
        double part = 0;
        size_t end = i + BLOCK < n ? i + BLOCK : n;
        for (size_t j = i; j < end; j++) part += x[j];
        sum += part;
    }
    return sum;
}

/* Sums of powers of x - mean over blocks. */
static void powers(double m[5], const double *x, size_t n, double mean)
{
    for (size_t i = 0; i < n; i += BLOCK) {
        double part[5] = {0};
        size_t end = i + BLOCK < n ? i + BLOCK : n;
        for (size_t j = i; j < end; j++) {
            double d = x[j] - mean, dd = d * d;
            part[1] += d;
            part[2] += dd;
            part[3] += dd * d;
            part[4] += dd * dd;
        }
        for (int k = 1; k < 5; k++) m[k] += part[k];
    }
}

static void moments(wr_profile *p, const double *x, size_t n)
{
    double dn = (double)n, m[5] = {0};
    p->sum = sum_of(x, n);
    p->mean = p->sum / dn;
    if (p->min == p->max) { /* rounding would leave a trace of spread */
        p->mean = p->min;
        p->std = n > 1 ? 0 : NAN;
        return;
    }
    powers(m, x, n, p->mean);
    for (int k = 1; k < 5; k++) m[k] /= dn;
    /* What the rounded mean is off by, m[1], matters far from zero: moments about the true mean. */
    double off = m[1], m2 = m[2] - off * off, m3 = m[3] - 3 * off * m[2] + 2 * off * off * off;
    double m4 = m[4] - 4 * off * m[3] + 6 * off * off * m[2] - 3 * off * off * off * off;
    p->mean += off;
    p->std = sqrt(m2 * (dn / (dn - 1)));
    double noise = DBL_EPSILON * p->mean; /* below it scipy, too, calls the values equal */
    if (m2 <= noise * noise) return;
    p->skew = m3 / (m2 * sqrt(m2));
    p->kurtosis = m4 / (m2 * m2) - 3;
}

/* numpy.quantile(method="linear") of a sorted array. */
static double quantile(const double *x, size_t n, double q)
{
    double at = q * (double)(n - 1), whole = floor(at), t = at - whole;
    size_t i = (size_t)whole;
    if (i + 1 >= n) return x[n - 1];
    double a = x[i], b = x[i + 1];
    return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

/* Edges as numpy.linspace: lo + i * step, the last one hi itself. */
static void histogram(wr_profile *p, const double *x, size_t n)
{
    double lo = p->hist_lo = p->quantile[0], hi = p->hist_hi = p->quantile[WR_PROFILE_QUANTILES - 1];
    double step = isfinite(hi - lo) ? (hi - lo) / WR_PROFILE_BINS : hi / WR_PROFILE_BINS - lo / WR_PROFILE_BINS;
    size_t before = wr_sorted_lower(x, n, lo), end = upper(x, n, hi);
    p->below = before;
    p->above = n - end;
    if (lo == hi) {
        p->hist[0] = end - before;
        return;
    }
    for (int b = 0; b < WR_PROFILE_BINS; b++) {
        size_t next = b + 1 < WR_PROFILE_BINS ? wr_sorted_lower(x, n, lo + (b + 1) * step) : end;
        if (next > end) next = end;
        if (next < before) next = before; /* a step lost in rounding: edges fall together */
        p->hist[b] = next - before;
        before = next;
    }
}

static int profile_numbers(wr_profile *p, const wr_col *c)
{
    size_t room = c->n ? c->n : 1;
    WR_AUTOFREE uint64_t *key = wr_calloc(room, sizeof *key);
    WR_AUTOFREE void *scratch = wr_calloc(room, sizeof(uint64_t));
    if (!key || !scratch) return WEIR_ENOMEM;
    size_t n = gather(key, c);
    p->missing = c->n - n;
    p->sorted = is_sorted(key, n);
    if (!p->sorted) wr_sort_u64(key, scratch, n);
    p->distinct = count_distinct(key, n);
    double *x = scratch;            /* the sort is done with it */
    decode(x, key, n, c->type);
    size_t first = upper(x, n, -INFINITY), end = wr_sorted_lower(x, n, INFINITY);
    p->infinite = n - (end - first);
    x += first;
    n = end - first;
    if (n == 0) return 0;
    p->min = x[0];
    p->max = x[n - 1];
    p->negatives = wr_sorted_lower(x, n, 0);
    p->zeros = upper(x, n, 0) - p->negatives;
    moments(p, x, n);
    for (int i = 0; i < WR_PROFILE_QUANTILES; i++) p->quantile[i] = quantile(x, n, wr_profile_q[i]);
    histogram(p, x, n);
    return 0;
}

/* ---- text ---- */

static size_t characters(wr_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool text_sorted(const wr_col *c)
{
    size_t before = SIZE_MAX;
    for (size_t i = 0; i < c->n; i++) {
        if (wr_col_missing(c, i)) continue;
        if (before != SIZE_MAX && c->code[i] != c->code[before] &&
            wr_str_cmp(wr_col_text(c, i), wr_col_text(c, before)) < 0)
            return false;
        before = i;
    }
    return true;
}

/* Put (value, n) in its place among the most frequent, if it has one. */
static void offer_top(wr_profile *p, wr_str value, size_t n)
{
    size_t at = p->ntop;
    while (at > 0 && (p->top[at - 1].n < n || (p->top[at - 1].n == n && wr_str_cmp(value, p->top[at - 1].value) < 0)))
        at--;
    if (at == WR_PROFILE_TOP) return;
    if (p->ntop < WR_PROFILE_TOP) p->ntop++;
    memmove(&p->top[at + 1], &p->top[at], (p->ntop - 1 - at) * sizeof *p->top);
    p->top[at].value = value;
    p->top[at].n = n;
}

static void add_text(wr_profile *p, wr_str value, size_t n, double *total)
{
    if (n == 0) return;
    size_t len = characters(value);
    if (p->distinct == 0 || len < p->len_min) p->len_min = len;
    if (len > p->len_max) p->len_max = len;
    if (value.n == 0) p->empty = n;
    *total += (double)len * (double)n;
    p->distinct++;
    offer_top(p, value, n);
}

static int profile_text(wr_profile *p, const wr_col *c)
{
    size_t ncodes = c->dict.n, n = 0;
    WR_AUTOFREE size_t *count =
        wr_calloc(ncodes + 1, sizeof *count); /* the last: rows nobody has filled, "" as in frame.h */
    if (!count) return WEIR_ENOMEM;
    for (size_t i = 0; i < c->n; i++) {
        if (wr_col_missing(c, i)) continue;
        count[c->code[i] < ncodes ? c->code[i] : ncodes]++;
        n++;
    }
    ptrdiff_t empty = wr_map_find(&c->dict, (wr_str){"", 0});
    if (empty >= 0) {
        count[empty] += count[ncodes];
        count[ncodes] = 0;
    }
    double total = 0;
    for (size_t k = 0; k < ncodes; k++) add_text(p, c->dict.at[k].key, count[k], &total);
    add_text(p, (wr_str){"", 0}, count[ncodes], &total);
    p->missing = c->n - n;
    p->len_mean = total / (double)n;
    p->sorted = text_sorted(c);
    return 0;
}

typedef struct {
    const wr_frame *f;
    wr_profile *p;
    atomic_bool failed;
} job;

static void profile_column(void *ctx, size_t i)
{
    job *j = ctx;
    const wr_col *c = &j->f->cols[i];
    blank(&j->p[i]);
    j->p[i].type = c->type;
    j->p[i].rows = c->n;
    int rc = c->type == WR_TEXT ? profile_text(&j->p[i], c) : profile_numbers(&j->p[i], c);
    if (rc < 0) atomic_store(&j->failed, true);
}

int wr_profile_frame(wr_profile **out, wr_arena *a, const wr_frame *f, wr_pool *pool, wr_err *err)
{
    job j = {.f = f, .p = wr_arena_calloc(a, f->ncols ? f->ncols : 1, sizeof *j.p)};
    if (!j.p) return wr_err_nomem(err);
    for (size_t i = 0; i < f->ncols; i++) {
        j.p[i].name = wr_arena_strdup(a, f->cols[i].name);
        if (!j.p[i].name) return wr_err_nomem(err);
    }
    wr_pool_for(pool, f->ncols, profile_column, &j);
    if (atomic_load(&j.failed)) return wr_err_nomem(err);
    *out = j.p;
    return 0;
}
