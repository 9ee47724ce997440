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

/* First halving step for a search among `ncuts` cuts: the smallest power of two with 2 * step > ncuts. */
static uint32_t first_step(uint32_t ncuts)
{
    uint32_t s = 1;
    while (2 * s <= ncuts) s *= 2;
    return s;
}

static inline uint32_t numeric_bin(const float *cuts, uint32_t step, float x, uint32_t missing)
{
    uint32_t at = 0;
    for (uint32_t s = step; s; s >>= 1) at += x > cuts[at + s - 1] ? s : 0;
    return x == x ? at : missing;
}

uint8_t wr_tfeature_bin_one(const wr_tfeature *f, float x)
{
    if (f->categorical) return category_bin(f, x);
    if (!f->ncuts) return x == x ? 0 : WR_TREES_MISSING;
    return (uint8_t)numeric_bin(f->cuts, first_step(f->ncuts), x, WR_TREES_MISSING);
}

#if defined(__x86_64__)
/* Sixteen searches at a time; the same comparisons as numeric_bin. Returns how many were done. */
static WR_TREES_AVX2 size_t bin_avx2(const float *cuts, uint32_t step, const float *x, size_t dist, size_t n,
                                     void *out, bool wide)
{
    const __m256i missing = _mm256_set1_epi32(wide ? UINT16_MAX : WR_TREES_MISSING);
    if (dist > INT32_MAX / 8) return 0;
    const __m256i lane = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)dist));
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256 v0, v1;
        if (dist == 1) {
            v0 = _mm256_loadu_ps(x + i);
            v1 = _mm256_loadu_ps(x + i + 8);
        } else {
            v0 = _mm256_i32gather_ps(x + i * dist, lane, 4);
            v1 = _mm256_i32gather_ps(x + (i + 8) * dist, lane, 4);
        }
        __m256i a0 = _mm256_setzero_si256(), a1 = a0;
        for (uint32_t s = step; s; s >>= 1) {
            __m256i vs = _mm256_set1_epi32((int)s);
            __m256 c0 = _mm256_i32gather_ps(cuts + s - 1, a0, 4), c1 = _mm256_i32gather_ps(cuts + s - 1, a1, 4);
            a0 = _mm256_add_epi32(a0, _mm256_and_si256(_mm256_castps_si256(_mm256_cmp_ps(v0, c0, _CMP_GT_OQ)), vs));
            a1 = _mm256_add_epi32(a1, _mm256_and_si256(_mm256_castps_si256(_mm256_cmp_ps(v1, c1, _CMP_GT_OQ)), vs));
        }
        a0 = _mm256_or_si256(a0, _mm256_and_si256(_mm256_castps_si256(_mm256_cmp_ps(v0, v0, _CMP_UNORD_Q)), missing));
        a1 = _mm256_or_si256(a1, _mm256_and_si256(_mm256_castps_si256(_mm256_cmp_ps(v1, v1, _CMP_UNORD_Q)), missing));
        __m256i p = _mm256_permute4x64_epi64(_mm256_packus_epi32(a0, a1), 0xd8); /* 16 words in order */
        if (wide) {
            _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)out + i), p);
        } else {
            __m128i b = _mm_packus_epi16(_mm256_castsi256_si128(p), _mm256_extracti128_si256(p, 1));
            _mm_storeu_si128((__m128i *)(void *)((uint8_t *)out + i), b);
        }
    }
    return i;
}
#else
static size_t bin_avx2(const float *cuts, uint32_t step, const float *x, size_t dist, size_t n, void *out, bool wide)
{
    (void)cuts, (void)step, (void)x, (void)dist, (void)n, (void)out, (void)wide;
    return 0;
}
#endif

void wr_bin_floats(const float *cuts, uint32_t ncuts, const float *x, size_t dist, size_t n, void *out, bool wide)
{
    uint32_t missing = wide ? UINT16_MAX : WR_TREES_MISSING, half = ncuts ? first_step(ncuts) : 0;
    size_t i = half && wr_trees_avx2() ? bin_avx2(cuts, half, x, dist, n, out, wide) : 0;
    for (; i < n; i++) {
        uint32_t bin = numeric_bin(cuts, half, x[i * dist], missing);
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
