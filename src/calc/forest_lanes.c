/* SPDX-License-Identifier: Apache-2.0 */
/* forest_lanes.c - margins of forests of shallow trees: one row, 64 trees side by side in a vector's bytes.
 *
 * A block of 64 trees has a table: for each place of a tree (level by level, every level full) 64 bytes that name the cell each tree looks at
 * there, and 64 bounds. A row is a table of cells too. A step down is: choose among the level's places by the turns taken so far, which are
 * masks, look up the cells (a byte shuffle), compare. No memory is read at an address that depends on the row, but for the leaves at the end.
 *
 * The places of a level count with the latest turn as the highest bit: the choices by earlier turns do not wait for it, and a place's children
 * are itself and itself + 2^level of the next level. Trees that end early have places behind their leaves that everybody passes on the left.
 *
 * Cells. A number's bin (how many cuts are below it) in pieces of 254: cell k is the bin - 254 k, held within 0..254, and 255 when the number
 * is missing; "goes left" is cell <= bound. Nodes that send missing left look at a second cell, one more, where missing has become 0.
 */
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/mem.h"
#include "calc/forest_internal.h"

enum { TREES = WR_FLANES, ROWS = 64, PLACE = 2 * TREES, PIECE = 254, SUM_ROWS = 8, TOP = 16, SLACK = 64 };

#if defined(__x86_64__)

#define ALWAYS inline __attribute__((always_inline))
#define V512 __attribute__((target("avx512f,avx512bw,avx512vbmi,popcnt")))
#define V256 __attribute__((target("avx2,popcnt")))
#if defined(__clang__)
#define OPAQUE __attribute__((noinline))
#else
#define OPAQUE __attribute__((noipa)) /* as WR_TREES_AVX2 */
#endif

bool wr_forest_narrow;

static bool wide_vectors(void)
{
    return !wr_forest_narrow && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("popcnt");
}

bool wr_flanes_can(const wr_forest *f) { return f->lanes && wr_trees_avx2() && __builtin_cpu_supports("popcnt"); }

/* ---- rows to cells ---- */

/* Bins of a column: `tops` vectors of every sixteenth cut, then the sixteen cuts that they lead to. out: `stride` apart. */
static ALWAYS V512 void bins_512(const float *top, size_t tops, const float *x, size_t dist, size_t n, uint16_t *out, size_t stride)
{
    const float *cuts = top + tops * TOP;
    for (size_t i = 0; i < n; i++) {
        __m512 v = _mm512_set1_ps(x[i * dist]);
        uint32_t at = 0;
        for (size_t k = 0; k < tops; k++)
            at += (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(v, _mm512_loadu_ps(top + k * TOP), _CMP_GT_OQ));
        at *= TOP;
        at += (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(v, _mm512_loadu_ps(cuts + at), _CMP_GT_OQ));
        out[i * stride] = (uint16_t)(x[i * dist] == x[i * dist] ? at : UINT16_MAX);
    }
}

static ALWAYS V256 uint32_t below_256(const float *c, __m256 v)
{
    uint32_t lo = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_loadu_ps(c), _CMP_GT_OQ));
    uint32_t hi = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_loadu_ps(c + 8), _CMP_GT_OQ));
    return (uint32_t)__builtin_popcount(lo | hi << 8);
}

static ALWAYS V256 void bins_256(const float *top, size_t tops, const float *x, size_t dist, size_t n, uint16_t *out, size_t stride)
{
    const float *cuts = top + tops * TOP;
    for (size_t i = 0; i < n; i++) {
        __m256 v = _mm256_set1_ps(x[i * dist]);
        uint32_t at = 0;
        for (size_t k = 0; k < tops; k++) at += below_256(top + k * TOP, v);
        at *= TOP;
        at += below_256(cuts + at, v);
        out[i * stride] = (uint16_t)(x[i * dist] == x[i * dist] ? at : UINT16_MAX);
    }
}

/* The number of vectors is a constant where it is small. */
#define BINS(isa, name, bins)                                                                                                                       \
    static isa OPAQUE void name(const float *top, size_t tops, const float *x, size_t dist, size_t n, uint16_t *out, size_t stride)                 \
    {                                                                                                                                               \
        if (tops == 0) bins(top, 0, x, dist, n, out, stride);                                                                                       \
        else if (tops == 1) bins(top, 1, x, dist, n, out, stride);                                                                                  \
        else if (tops == 2) bins(top, 2, x, dist, n, out, stride);                                                                                  \
        else bins(top, tops, x, dist, n, out, stride);                                                                                              \
    }

BINS(V512, column_512, bins_512)
BINS(V256, column_256, bins_256)

/* Bins of one row, columns by falling number of pieces, to cells. Writes up to 31 bytes more than there are. */
static V256 OPAQUE void cells_256(const wr_flanes *l, const uint16_t *bins, uint8_t *cells)
{
    const __m256i most = _mm256_set1_epi16(PIECE), missing = _mm256_set1_epi16(-1);
    uint8_t *out = cells;
    for (size_t k = 0; k < l->npieces; k++) {
        __m256i base = _mm256_set1_epi16((short)(k * PIECE));
        for (size_t j = 0; j < l->piece_columns[k]; j += 32) {
            __m256i y[2];
            for (size_t h = 0; h < 2; h++) {
                __m256i v = _mm256_loadu_si256((const void *)(bins + j + 16 * h));
                __m256i at = _mm256_min_epu16(_mm256_subs_epu16(v, base), most);
                y[h] = _mm256_or_si256(at, _mm256_srli_epi16(_mm256_cmpeq_epi16(v, missing), 8));
            }
            _mm256_storeu_si256((void *)(out + j), _mm256_permute4x64_epi64(_mm256_packus_epi16(y[0], y[1]), 0xd8));
        }
        out += l->piece_columns[k];
    }
    if (l->second == 0) return;
    for (size_t j = 0; j < l->second; j += 32) {
        __m256i v = _mm256_loadu_si256((const void *)(cells + j));
        _mm256_storeu_si256((void *)(cells + l->second + j), _mm256_add_epi8(v, _mm256_set1_epi8(1)));
    }
}

static void fill_cells(const wr_forest *f, const float *rows, size_t n, uint8_t *cells)
{
    const wr_flanes *l = f->lanes;
    uint16_t bins[ROWS * WR_FLANES_CELLS + SLACK], wide[ROWS];
    float column[ROWS];
    bool v512 = wide_vectors();
    for (size_t j = 0; j < f->ncolumns; j++) {
        const wr_fcolumn *c = &f->columns[l->columns[j]];
        const float *x = rows + c->feature, *top = l->cuts + l->cut[j];
        size_t dist = f->nfeatures;
        if (c->kind == WR_FCOLUMN_ZERO_MISSING) {
            for (size_t i = 0; i < n; i++) column[i] = wr_fcolumn_value(c, x[i * dist]);
            x = column;
            dist = 1;
        }
        if (l->tops[j] > WR_FLANES_TOPS) {
            wr_bin_floats(c->cuts, c->ncuts, x, dist, n, wide, true);
            for (size_t i = 0; i < n; i++) bins[i * f->ncolumns + j] = wide[i];
        } else if (v512) {
            column_512(top, l->tops[j], x, dist, n, bins + j, f->ncolumns);
        } else {
            column_256(top, l->tops[j], x, dist, n, bins + j, f->ncolumns);
        }
    }
    for (size_t i = 0; i < n; i++) cells_256(l, bins + i * f->ncolumns, cells + i * l->width);
}

/* ---- down the trees ---- */

/* Choice among 2^k places by the turns so far, the latest first. */
#define CHOICES(isa, vec, n)                                                                                                                        \
    static ALWAYS isa vec choose##n##_0(const uint8_t *p, const vec *right) { return (void)right, load##n(p); }                                            \
    CHOICE(isa, vec, n, 1, 0) CHOICE(isa, vec, n, 2, 1) CHOICE(isa, vec, n, 3, 2) CHOICE(isa, vec, n, 4, 3) CHOICE(isa, vec, n, 5, 4)               \
    CHOICE(isa, vec, n, 6, 5) CHOICE(isa, vec, n, 7, 6)
#define CHOICE(isa, vec, n, k, below)                                                                                                               \
    static ALWAYS isa vec choose##n##_##k(const uint8_t *p, const vec *right)                                                                              \
    {                                                                                                                                               \
        vec l = choose##n##_##below(p, right), r = choose##n##_##below(p + ((size_t)PLACE << below), right);                                        \
        return pick##n(right[below], r, l);                                                                                                         \
    }

/* Two rows share the loads of the tables. */
typedef struct {
    __m512i a, b;
} two;

static ALWAYS V512 two load512(const uint8_t *p)
{
    __m512i v = _mm512_load_si512(p);
    __asm__("" : "+v"(v)); /* else the compiler loads it for each row */
    return (two){v, v};
}

static ALWAYS V512 two pick512(two m, two yes, two no)
{
    return (two){_mm512_ternarylogic_epi64(no.a, m.a, yes.a, 0xb8), _mm512_ternarylogic_epi64(no.b, m.b, yes.b, 0xb8)};
}

CHOICES(V512, two, 512)

static ALWAYS V512 __m512i look512(const uint8_t *cells, size_t width, __m512i at)
{
    if (width == 64) return _mm512_permutexvar_epi8(at, _mm512_loadu_si512(cells));
    __m512i lo = _mm512_permutex2var_epi8(_mm512_loadu_si512(cells), at, _mm512_loadu_si512(cells + 64));
    if (width == 128) return lo;
    __m512i hi = _mm512_permutex2var_epi8(_mm512_loadu_si512(cells + 128), at, _mm512_loadu_si512(cells + 192));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), lo, hi);
}

#define STEP512(k)                                                                                                                                  \
    do {                                                                                                                                            \
        two at = choose512_##k(p, m), bound = choose512_##k(p + TREES, m);                                                                          \
        m[k].a = _mm512_movm_epi8(_mm512_cmpgt_epu8_mask(look512(cells, width, at.a), bound.a));                                                    \
        m[k].b = _mm512_movm_epi8(_mm512_cmpgt_epu8_mask(look512(other, width, at.b), bound.b));                                                    \
        a = _mm512_ternarylogic_epi64(a, m[k].a, _mm512_set1_epi8((char)(1 << k)), 0xf8); /* a | (m & bit) */                                       \
        b = _mm512_ternarylogic_epi64(b, m[k].b, _mm512_set1_epi8((char)(1 << k)), 0xf8);                                                           \
        p += (size_t)PLACE << k;                                                                                                                    \
    } while (0)

/* Ends of the rows `cells` and `other` in a block's trees, to `end` and `end2`. */
static V512 OPAQUE void down_512(const uint8_t *p, unsigned depth, const uint8_t *cells, const uint8_t *other, size_t width, uint8_t *end,
                                 uint8_t *end2)
{
    two m[WR_FLANES_DEPTH];
    __m512i a = _mm512_setzero_si512(), b = a;
    do {
        STEP512(0);
        if (depth == 1) break;
        STEP512(1);
        if (depth == 2) break;
        STEP512(2);
        if (depth == 3) break;
        STEP512(3);
        if (depth == 4) break;
        STEP512(4);
        if (depth == 5) break;
        STEP512(5);
        if (depth == 6) break;
        STEP512(6);
        if (depth == 7) break;
        STEP512(7);
    } while (0);
    _mm512_storeu_si512(end, a);
    _mm512_storeu_si512(end2, b);
}

static ALWAYS V256 __m256i load256(const uint8_t *p) { return _mm256_load_si256((const void *)p); }
static ALWAYS V256 __m256i pick256(__m256i m, __m256i yes, __m256i no) { return _mm256_blendv_epi8(no, yes, m); }

CHOICES(V256, __m256i, 256)

/* 16 cells are what a shuffle knows: the higher bits of a cell's number choose among shuffles, each from the top bit of a byte. */
static ALWAYS V256 __m256i look16(const uint8_t *cells, __m256i at)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)cells)), at);
}

static ALWAYS V256 __m256i look32(const uint8_t *cells, __m256i at, __m256i bit4)
{
    return pick256(bit4, look16(cells + 16, at), look16(cells, at));
}

static ALWAYS V256 __m256i look64(const uint8_t *cells, __m256i at, __m256i bit4, __m256i bit5)
{
    return pick256(bit5, look32(cells + 32, at, bit4), look32(cells, at, bit4));
}

static ALWAYS V256 __m256i look256(const uint8_t *cells, size_t width, __m256i number)
{
    __m256i at = _mm256_and_si256(number, _mm256_set1_epi8(127)), bit4 = _mm256_slli_epi16(at, 3), bit5 = _mm256_slli_epi16(at, 2);
    if (width == 64) return look64(cells, at, bit4, bit5);
    __m256i bit6 = _mm256_slli_epi16(at, 1);
    __m256i lo = pick256(bit6, look64(cells + 64, at, bit4, bit5), look64(cells, at, bit4, bit5));
    if (width == 128) return lo;
    __m256i hi = pick256(bit6, look64(cells + 192, at, bit4, bit5), look64(cells + 128, at, bit4, bit5));
    return pick256(number, hi, lo);
}

#define STEP256(k)                                                                                                                                  \
    do {                                                                                                                                            \
        __m256i bound = choose256_##k(p + TREES, m), x = look256(cells, width, choose256_##k(p, m));                                                \
        m[k] = _mm256_xor_si256(_mm256_cmpeq_epi8(_mm256_min_epu8(x, bound), x), _mm256_set1_epi8(-1));                                             \
        a = _mm256_or_si256(a, _mm256_and_si256(m[k], _mm256_set1_epi8((char)(1 << k))));                                                           \
        p += (size_t)PLACE << k;                                                                                                                    \
    } while (0)

/* The same for one row and 32 trees. */
static V256 OPAQUE void down_256(const uint8_t *p, unsigned depth, const uint8_t *cells, size_t width, uint8_t *end)
{
    __m256i m[WR_FLANES_DEPTH], a = _mm256_setzero_si256();
    do {
        STEP256(0);
        if (depth == 1) break;
        STEP256(1);
        if (depth == 2) break;
        STEP256(2);
        if (depth == 3) break;
        STEP256(3);
        if (depth == 4) break;
        STEP256(4);
        if (depth == 5) break;
        STEP256(5);
        if (depth == 6) break;
        STEP256(6);
        if (depth == 7) break;
        STEP256(7);
    } while (0);
    _mm256_storeu_si256((void *)end, a);
}

static void down(const wr_flanes *l, const wr_fblock *b, const uint8_t *cells, size_t n, uint8_t (*ends)[TREES])
{
    const uint8_t *table = l->tables + b->table;
    if (wide_vectors()) {
        for (size_t i = 0; i < n; i += 2) {
            size_t k = i + 1 < n ? i + 1 : i;
            down_512(table, b->depth, cells + i * l->width, cells + k * l->width, l->width, ends[i], ends[k]);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        down_256(table, b->depth, cells + i * l->width, l->width, ends[i]);
        if (b->ntrees > 32) down_256(table + 32, b->depth, cells + i * l->width, l->width, ends[i] + 32);
    }
}

/* ---- sums ---- */

/* Leaves of `trees` trees, 2^depth a tree, added in order to the sums of some rows: rows are independent, so their latencies overlap. */
#define SUMS(name, number)                                                                                                                          \
    static ALWAYS void name(const number *values, unsigned depth, size_t trees, const uint8_t *const *end, const size_t n, number *sum)                    \
    {                                                                                                                                               \
        number m[SUM_ROWS];                                                                                                                         \
        for (size_t i = 0; i < n; i++) m[i] = sum[i];                                                                                               \
        for (size_t t = 0; t < trees; t++) {                                                                                                        \
            _Pragma("GCC unroll 8") for (size_t i = 0; i < n; i++) m[i] += values[(t << depth) + end[i][t]];                                        \
        }                                                                                                                                           \
        for (size_t i = 0; i < n; i++) sum[i] = m[i];                                                                                               \
    }

SUMS(sums_float, float)
SUMS(sums_double, double)

/* Up to SUM_ROWS rows; those that are missing are the last once more. */
static void add_float(const float *values, unsigned depth, size_t trees, const uint8_t *const *end, size_t n, double *out, size_t stride)
{
    float m[SUM_ROWS];
    for (size_t i = 0; i < SUM_ROWS; i++) m[i] = (float)out[(i < n ? i : n - 1) * stride];
    if (n == 1) sums_float(values, depth, trees, end, 1, m);
    else if (n <= 4) sums_float(values, depth, trees, end, 4, m);
    else sums_float(values, depth, trees, end, SUM_ROWS, m);
    for (size_t i = 0; i < n; i++) out[i * stride] = (double)m[i];
}

static void add_double(const double *values, unsigned depth, size_t trees, const uint8_t *const *end, size_t n, double *out, size_t stride)
{
    double m[SUM_ROWS];
    for (size_t i = 0; i < SUM_ROWS; i++) m[i] = out[(i < n ? i : n - 1) * stride];
    if (n == 1) sums_double(values, depth, trees, end, 1, m);
    else if (n <= 4) sums_double(values, depth, trees, end, 4, m);
    else sums_double(values, depth, trees, end, SUM_ROWS, m);
    for (size_t i = 0; i < n; i++) out[i * stride] = m[i];
}

/* The trees of a block that belong to one output: from the one at `from` on. */
static void add_run(const wr_forest *f, const wr_fblock *b, size_t from, size_t trees, uint8_t (*ends)[TREES], size_t n, double *out)
{
    size_t slot = b->slot + (from << b->depth);
    for (size_t i = 0; i < n; i += SUM_ROWS) {
        size_t some = n - i < SUM_ROWS ? n - i : SUM_ROWS;
        const uint8_t *end[SUM_ROWS];
        for (size_t k = 0; k < SUM_ROWS; k++) end[k] = ends[i + (k < some ? k : some - 1)] + from;
        double *to = out + i * f->nmargins;
        if (f->sum_float) add_float((const float *)f->lanes->values + slot, b->depth, trees, end, some, to, f->nmargins);
        else add_double((const double *)f->lanes->values + slot, b->depth, trees, end, some, to, f->nmargins);
    }
}

void wr_flanes_margins(const wr_forest *f, const float *rows, size_t n, double *out)
{
    const wr_flanes *l = f->lanes;
    uint8_t cells[ROWS * WR_FLANES_CELLS + SLACK], ends[ROWS][TREES];
    for (size_t from = 0; from < n; from += ROWS) {
        size_t some = n - from < ROWS ? n - from : ROWS, tree = 0;
        double *to = out + from * f->nmargins;
        uint32_t output = 0;
        fill_cells(f, rows + from * f->nfeatures, some, cells);
        for (const wr_fblock *b = l->blocks; b < l->blocks + l->nblocks; b++) {
            down(l, b, cells, some, ends);
            for (size_t at = 0, run; at < b->ntrees; at += run, tree += run) {
                while (f->output_first[output + 1] <= tree) output++;
                run = f->output_first[output + 1] - tree;
                if (run > b->ntrees - at) run = b->ntrees - at;
                add_run(f, b, at, run, ends, some, to + output);
            }
        }
    }
}

#else

bool wr_flanes_can(const wr_forest *f)
{
    (void)f;
    return false;
}

void wr_flanes_margins(const wr_forest *f, const float *rows, size_t n, double *out)
{
    (void)f, (void)rows, (void)n, (void)out;
}

#endif
