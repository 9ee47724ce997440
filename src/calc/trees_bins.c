/* SPDX-License-Identifier: Apache-2.0 */
/* trees_bins.c - from floats and category codes to bytes: choice of cuts, and binning of columns.
 *
 * Cuts come from the distinct values of a sample of at most 2^18 rows: every value its own bin while they fit, else
 * bins of about equal row counts in which a value with many rows stays alone. A cut lies halfway between two
 * neighbours.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/mem.h"
#include "calc/trees_internal.h"

enum { SAMPLE = 1 << 18, CHUNK = 4096 };

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Order-preserving key of a float that is not NaN; -0 counts as 0. */
static uint32_t key_of(float x)
{
    uint32_t u;
    x += 0.0f;
    memcpy(&u, &x, 4);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float value_of(uint32_t k)
{
    uint32_t u = k & 0x80000000u ? k & 0x7fffffffu : ~k;
    float x;
    memcpy(&x, &u, 4);
    return x;
}

static void sort_keys(uint32_t *a, uint32_t *tmp, size_t n)
{
    for (int pass = 0; pass < 3; pass++) {
        int shift = pass * 11;
        size_t count[2049] = {0};
        for (size_t i = 0; i < n; i++) count[(a[i] >> shift & 2047) + 1]++;
        for (int b = 0; b < 2048; b++) count[b + 1] += count[b];
        for (size_t i = 0; i < n; i++) tmp[count[a[i] >> shift & 2047]++] = a[i];
        uint32_t *swap = a;
        a = tmp;
        tmp = swap;
    }
    memcpy(tmp, a, n * sizeof *a); /* after an odd number of passes and swaps `tmp` is what came as `a` */
}

static size_t sample(uint32_t *keys, const float *x, size_t n, uint64_t seed)
{
    size_t m = n < SAMPLE ? n : SAMPLE, k = 0;
    for (size_t i = 0; i < m; i++) {
        size_t from = (size_t)((__uint128_t)i * n / m), to = (size_t)((__uint128_t)(i + 1) * n / m);
        float v = x[m == n ? i : from + mix(seed + i) % (to - from)];
        if (v == v) keys[k++] = key_of(v);
    }
    return k;
}

/* lo <= result < hi */
static float between(float lo, float hi)
{
    float mid = lo * 0.5f + hi * 0.5f;
    if (!isfinite(mid)) mid = isfinite(lo) ? lo : -FLT_MAX;
    return mid >= lo && mid < hi ? mid : lo;
}

/* keys sorted; count[i] rows have the distinct key[i]. Returns the number of cuts written. */
static uint32_t choose_cuts(float *cuts, const uint32_t *key, const uint32_t *count, size_t distinct, size_t rows,
                            uint32_t bins)
{
    uint32_t ncuts = 0;
    size_t left_rows = rows, in_bin = 0;
    for (size_t i = 0; i + 1 < distinct && ncuts + 1 < bins; i++) {
        in_bin += count[i];
        uint32_t left_bins = bins - ncuts;
        double target = (double)left_rows / left_bins;
        bool full = (double)in_bin >= target || distinct - i <= left_bins;
        bool big_next = count[i + 1] >= target && (double)in_bin >= target * 0.5;
        if (!full && !big_next) continue;
        cuts[ncuts++] = between(value_of(key[i]), value_of(key[i + 1]));
        left_rows -= in_bin;
        in_bin = 0;
    }
    return ncuts;
}

static int numeric_cuts(wr_tfeature *f, const float *x, size_t n, int max_bins, uint64_t seed, wr_err *err)
{
    size_t m = n < SAMPLE ? n : SAMPLE;
    WR_AUTOFREE uint32_t *keys = wr_alloc(m * sizeof *keys);
    WR_AUTOFREE uint32_t *tmp = wr_alloc(m * sizeof *tmp);
    f->cuts = wr_alloc(WR_TREES_BINS * sizeof *f->cuts);
    if (!keys || !tmp || !f->cuts) return wr_err_nomem(err);
    m = sample(keys, x, n, seed);
    sort_keys(keys, tmp, m);
    size_t distinct = 0;
    for (size_t i = 0; i < m; i++) { /* keys becomes the distinct keys, tmp their counts */
        if (distinct && keys[distinct - 1] == keys[i]) {
            tmp[distinct - 1]++;
        } else {
            keys[distinct] = keys[i];
            tmp[distinct++] = 1;
        }
    }
    for (int i = 0; i < WR_TREES_BINS; i++) f->cuts[i] = INFINITY;
    f->ncuts = choose_cuts(f->cuts, keys, tmp, distinct, m, (uint32_t)max_bins);
    return 0;
}

/* The 254 most frequent codes get a bin each, in order of code. */
static int category_map(wr_tfeature *f, const wr_trees_feature *src, size_t n, int max_bins, wr_err *err)
{
    WR_AUTOFREE uint32_t *count = wr_calloc(src->ncats ? src->ncats : 1, sizeof *count);
    if (!count) return wr_err_nomem(err);
    uint32_t seen = 0, nmap = 0;
    for (size_t i = 0; i < n; i++) {
        float v = src->x[i];
        if (v >= 0 && v < (float)src->ncats) seen += count[(uint32_t)v]++ == 0;
    }
    uint32_t keep = seen < (uint32_t)max_bins ? seen : (uint32_t)max_bins;
    uint32_t lo = 1, hi = UINT32_MAX; /* least count that leaves at most `keep` codes */
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2, above = 0;
        for (uint32_t c = 0; c < src->ncats; c++) above += count[c] >= mid;
        if (above <= keep) hi = mid;
        else lo = mid + 1;
    }
    uint32_t above = 0;
    for (uint32_t c = 0; c < src->ncats; c++) above += count[c] >= lo;
    uint32_t ties = keep - above, bin = 0; /* codes with count lo - 1 still to take, lowest code first */
    f->map = wr_alloc(src->ncats);
    if (!f->map) return wr_err_nomem(err);
    for (uint32_t c = 0; c < src->ncats; c++) {
        bool own = count[c] >= lo || (ties && lo > 1 && count[c] == lo - 1 && ties--);
        f->map[c] = own ? (uint8_t)bin++ : WR_TREES_OTHER;
        if (own) nmap = c + 1;
    }
    f->nmap = nmap;
    return 0;
}

int wr_tfeature_cuts(wr_tfeature *f, const wr_trees_feature *src, size_t n, int max_bins, uint64_t seed, wr_err *err)
{
    f->categorical = src->categorical;
    return src->categorical ? category_map(f, src, n, max_bins, err) : numeric_cuts(f, src->x, n, max_bins, seed, err);
}

/* ---- values to bins ---- */

static inline uint8_t category_bin(const wr_tfeature *f, float x)
{
    if (!(x >= 0)) return WR_TREES_MISSING;
    return x < (float)f->nmap ? f->map[(uint32_t)x] : WR_TREES_OTHER;
}

static inline uint32_t numeric_bin(const float *cuts, uint32_t ncuts, float x, uint32_t missing)
{
    uint32_t lo = 0, n = ncuts;
    while (n) {
        uint32_t half = n / 2;
        bool above = x > cuts[lo + half];
        lo += above ? half + 1 : 0;
        n = above ? n - half - 1 : half;
    }
    return x == x ? lo : missing;
}

uint8_t wr_tfeature_bin_one(const wr_tfeature *f, float x)
{
    if (f->categorical) return category_bin(f, x);
    return (uint8_t)numeric_bin(f->cuts, f->ncuts, x, WR_TREES_MISSING);
}

/* Rows of the ladder of cuts, the longest first. */
enum { RUNGS = 4, RUNG = 16 }; /* 16^4 cuts */
static size_t rung_size(size_t below) { return (below / RUNG + RUNG - 1) / RUNG * RUNG; }

size_t wr_cuts_room(uint32_t ncuts)
{
    size_t n = ((size_t)ncuts / RUNG + 1) * RUNG, room = n;
    while (ncuts >= RUNG * RUNG && n > RUNG) room += n = rung_size(n);
    return room;
}

void wr_cuts_finish(float *cuts, uint32_t ncuts)
{
    size_t n = ((size_t)ncuts / RUNG + 1) * RUNG;
    for (size_t i = ncuts; i < n; i++) cuts[i] = INFINITY;
    while (ncuts >= RUNG * RUNG && n > RUNG) {
        float *up = cuts + n;
        size_t above = rung_size(n);
        for (size_t i = 0; i < above; i++) up[i] = i < n / RUNG ? cuts[i * RUNG + RUNG - 1] : INFINITY;
        cuts = up;
        n = above;
    }
}

#if defined(__x86_64__)
/* How many of 16 numbers are below x. */
static inline __attribute__((target("avx2,popcnt"))) uint32_t below16(const float *c, __m256 x)
{
    uint32_t lo = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_loadu_ps(c), _CMP_GT_OQ));
    uint32_t hi = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_loadu_ps(c + 8), _CMP_GT_OQ));
    return (uint32_t)__builtin_popcount(lo | hi << 8);
}

/* Down the ladder: a number's place in one row is the number of the 16 to look at in the row below. */
static WR_TREES_POPCNT void bin_avx2(const float *cuts, uint32_t ncuts, const float *x, size_t dist, size_t n, void *out, bool wide)
{
    const float *rung[RUNGS + 1] = {cuts};
    size_t size = ((size_t)ncuts / RUNG + 1) * RUNG;
    int rungs = 1;
    float second[RUNG];
    if (ncuts < RUNG * RUNG) {
        for (size_t i = 0; i < RUNG; i++) second[i] = i < size / RUNG ? cuts[i * RUNG + RUNG - 1] : INFINITY;
        rung[rungs++] = second;
    } else {
        for (; size > RUNG; rungs++) {
            rung[rungs] = rung[rungs - 1] + size;
            size = rung_size(size);
        }
    }
    for (size_t i = 0; i < n; i++) {
        float v = x[i * dist];
        __m256 all = _mm256_set1_ps(v);
        uint32_t at = 0;
        if (rungs == 2) {
            at = below16(second, all);
            at = at * RUNG + below16(cuts + at * RUNG, all);
        } else {
            for (int k = rungs; k-- > 0;) at = at * RUNG + below16(rung[k] + (size_t)at * RUNG, all);
        }
        if (wide) ((uint16_t *)out)[i] = (uint16_t)(v == v ? at : UINT16_MAX);
        else ((uint8_t *)out)[i] = (uint8_t)(v == v ? at : WR_TREES_MISSING);
    }
}
#endif

void wr_bin_floats(const float *cuts, uint32_t ncuts, const float *x, size_t dist, size_t n, void *out, bool wide)
{
    uint32_t missing = wide ? UINT16_MAX : WR_TREES_MISSING;
#if defined(__x86_64__)
    if (ncuts && wr_trees_avx2()) {
        bin_avx2(cuts, ncuts, x, dist, n, out, wide);
        return;
    }
#endif
    for (size_t i = 0; i < n; i++) {
        uint32_t bin = numeric_bin(cuts, ncuts, x[i * dist], missing);
        if (wide) ((uint16_t *)out)[i] = (uint16_t)bin;
        else ((uint8_t *)out)[i] = (uint8_t)bin;
    }
}

void wr_tfeature_bin(const wr_tfeature *f, const float *x, size_t step, size_t n, uint8_t *out)
{
    if (f->categorical) {
        for (size_t i = 0; i < n; i++) out[i] = category_bin(f, x[i * step]);
    } else {
        wr_bin_floats(f->cuts, f->ncuts, x, step, n, out, false);
    }
}

/* ---- a whole set ---- */

typedef struct {
    wr_tdata *d;
    const wr_tfeature *features;
    const wr_trees_set *set;
} bin_ctx;

static void bin_chunk(void *p, size_t index)
{
    bin_ctx *c = p;
    wr_tdata *d = c->d;
    size_t from = index * CHUNK, n = d->n - from < CHUNK ? d->n - from : CHUNK;
    for (size_t j = 0; j < d->nfeatures; j++) {
        uint8_t *col = d->cols + j * d->column + from;
        wr_tfeature_bin(&c->features[j], c->set->features[j].x + from, 1, n, col);
        if (!d->rows) continue;
        uint8_t *cell = d->rows + from * d->stride + j;
        for (size_t i = 0; i < n; i++) cell[i * d->stride] = col[i];
    }
}

int wr_tdata_make(wr_tdata *out, const wr_tfeature *features, const wr_trees_set *set, bool rows, wr_pool *pool,
                  wr_err *err)
{
    size_t n = set->n, nf = set->nfeatures;
    wr_tdata d = {.n = n,
                  .nfeatures = nf,
                  .column = (n + WR_TREES_TILE - 1) / WR_TREES_TILE * WR_TREES_TILE,
                  .stride = (nf + 7) / 8 * 8};
    d.cols = wr_calloc(nf, d.column);
    d.rows = rows && d.cols ? wr_calloc(n, d.stride) : NULL;
    if (!d.cols || (rows && !d.rows)) {
        wr_tdata_fini(&d);
        return wr_err_nomem(err);
    }
    bin_ctx c = {&d, features, set};
    wr_pool_for(pool, (n + CHUNK - 1) / CHUNK, bin_chunk, &c);
    *out = d;
    return 0;
}

void wr_tdata_fini(wr_tdata *d)
{
    wr_free(d->cols);
    wr_free(d->rows);
    *d = (wr_tdata){0};
}
