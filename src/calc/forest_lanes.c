/* SPDX-License-Identifier: Apache-2.0 */
/* forest_lanes.c - margins of forests of shallow or small trees: one row, 64 trees side by side in a vector's bytes.
 *
 * Full levels (trees are shallow). A block of 64 trees has a table: for each place of a tree (level by level, every level full) 64 bytes that
 * name the cell each tree looks at there, and 64 bounds. A row is a table of cells too. A step down is: choose among the level's places by the
 * turns taken so far, which are masks, look up the cells (a byte shuffle), compare. The places of a level count with the latest turn as the
 * highest bit: the choices by earlier turns do not wait for it, and a place's children are itself and itself + 2^level of the next level. Trees
 * that end early have places behind their leaves that everybody passes on the left.
 *
 * Node by node (trees are small, of any shape). A tree's byte is the number of the node that it has come to. Every node is tested, and moves
 * the trees that have come to it.
 *
 * In both no memory is read at an address that depends on the row, but for the leaves at the end.
 *
 * Cells. A number's bin (how many cuts are below it) in pieces of 254: cell k is the bin - 254 k, held within 0..254, and 255 when the number
 * is missing; "goes left" is cell <= bound. Nodes that send missing left look at a second cell, one more, where missing has become 0.
 * Categories, node by node alone: a category's bin has a word for each node, with the trees that go right by it (wr_fmark).
 */
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/mem.h"
#include "calc/forest_internal.h"

enum { TREES = WR_FLANES, ROWS = 64, PLACE = 2 * TREES, NODE = 4 * TREES, PIECE = 254, SUM_ROWS = 8, TOP = 16, SLACK = 64 };

#if defined(__x86_64__)

#define ALWAYS inline __attribute__((always_inline))
#define V512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vbmi,popcnt")))
#define V256 __attribute__((target("avx2,popcnt")))
#if defined(__clang__)
#define OPAQUE __attribute__((noinline))
#else
#define OPAQUE __attribute__((noipa)) /* as WR_TREES_AVX2 */
#endif

bool wr_forest_narrow;

bool wr_flanes_wide(void)
{
    return !wr_forest_narrow && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("popcnt");
}

bool wr_flanes_can(const wr_forest *f) { return f->lanes && wr_trees_avx2() && __builtin_cpu_supports("popcnt"); }

/* ---- rows to cells ---- */

/* Bins of a column: `tops` vectors of every sixteenth cut, then the sixteen cuts that they lead to. out: `stride` apart. */
static ALWAYS V512 uint32_t below_512(const float *c, __m512 v)
{
    return (uint32_t)__builtin_popcount(_mm512_cmp_ps_mask(v, _mm512_load_ps(c), _CMP_GT_OQ));
}

static ALWAYS V512 uint32_t below2_512(const float *c, __m512 v)
{
    __mmask16 lo = _mm512_cmp_ps_mask(v, _mm512_load_ps(c), _CMP_GT_OQ), hi = _mm512_cmp_ps_mask(v, _mm512_load_ps(c + TOP), _CMP_GT_OQ);
    return (uint32_t)__builtin_popcount(_mm512_kunpackw(hi, lo));
}

static ALWAYS V512 void bins_512(const float *top, size_t tops, const float *x, size_t dist, size_t n, uint16_t *out, size_t stride)
{
    const float *cuts = top + tops * TOP;
    for (size_t i = 0; i < n; i++) {
        __m512 v = _mm512_set1_ps(x[i * dist]);
        uint32_t at = 0, missing = x[i * dist] != x[i * dist];
        size_t k = 0;
        for (; k + 2 <= tops; k += 2) at += below2_512(top + k * TOP, v);
        if (k < tops) at += below_512(top + k * TOP, v);
        at *= TOP;
        at += below_512(cuts + at, v);
        out[i * stride] = (uint16_t)(at | -missing);
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
        uint32_t at = 0, missing = x[i * dist] != x[i * dist];
        for (size_t k = 0; k < tops; k++) at += below_256(top + k * TOP, v);
        at *= TOP;
        at += below_256(cuts + at, v);
        out[i * stride] = (uint16_t)(at | -missing);
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

/* Bins of a row, columns by falling number of pieces, to cells; one more each where missing is 0. Writes up to 31 bytes more than there are,
 * which the next write or the next row mends. Returns the end. */
static ALWAYS V256 uint8_t *pieces_256(const wr_flanes *l, const uint16_t *bins, uint8_t *out, __m256i more)
{
    const __m256i most = _mm256_set1_epi16(PIECE), missing = _mm256_set1_epi16(-1);
    for (size_t k = 0; k < l->npieces; k++) {
        __m256i base = _mm256_set1_epi16((short)(k * PIECE));
        for (size_t j = 0; j < l->piece_columns[k]; j += 32) {
            __m256i y[2];
            for (size_t h = 0; h < 2; h++) {
                __m256i v = _mm256_loadu_si256((const void *)(bins + j + 16 * h));
                __m256i at = _mm256_min_epu16(_mm256_subs_epu16(v, base), most);
                y[h] = _mm256_or_si256(at, _mm256_srli_epi16(_mm256_cmpeq_epi16(v, missing), 8));
            }
            __m256i z = _mm256_permute4x64_epi64(_mm256_packus_epi16(y[0], y[1]), 0xd8);
            _mm256_storeu_si256((void *)(out + j), _mm256_add_epi8(z, more));
        }
        out += l->piece_columns[k];
    }
    return out;
}

static V256 OPAQUE void cells_256(const wr_flanes *l, const uint16_t *bins, size_t columns, size_t n, uint8_t *cells)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *end = pieces_256(l, bins + i * columns, cells + i * l->width, _mm256_setzero_si256());
        if (l->second) (void)pieces_256(l, bins + i * columns, end, _mm256_set1_epi8(1));
    }
}

/* Rows as kernels see them. */
typedef struct {
    uint8_t cells[ROWS * WR_FLANES_CELLS + SLACK];
    uint32_t category[ROWS * WR_FLANES_CATEGORIES]; /* bins of a row's categories; of those that the forest has */
} sight;

static void fill_numbers(const wr_forest *f, const float *rows, size_t n, uint8_t *cells)
{
    const wr_flanes *l = f->lanes;
    uint16_t bins[ROWS * WR_FLANES_CELLS + SLACK], wide[ROWS];
    float column[ROWS];
    bool v512 = wr_flanes_wide();
    for (size_t j = 0; j < l->ncolumns; j++) {
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
            for (size_t i = 0; i < n; i++) bins[i * l->ncolumns + j] = wide[i];
        } else if (v512) {
            column_512(top, l->tops[j], x, dist, n, bins + j, l->ncolumns);
        } else {
            column_256(top, l->tops[j], x, dist, n, bins + j, l->ncolumns);
        }
    }
    cells_256(l, bins, l->ncolumns, n, cells);
}

static void fill_sight(const wr_forest *f, const float *rows, size_t n, sight *s)
{
    const wr_flanes *l = f->lanes;
    fill_numbers(f, rows, n, s->cells);
    for (size_t j = 0; j < l->ncategories; j++) {
        const wr_fcolumn *c = &f->columns[l->categories[j]];
        for (size_t i = 0; i < n; i++)
            s->category[i * l->ncategories + j] = wr_fcolumn_category_bin(f, c, rows[i * f->nfeatures + c->feature]);
    }
}

/* ---- down the trees ---- */

/* Choice among 2^k places by the turns so far, the latest first. */
#define CHOICES(isa, vec, n)                                                                                                                        \
    static ALWAYS isa vec choose##n##_0(const uint8_t *p, const vec *right) { return (void)right, load##n(p); }                                            \
    CHOICE(isa, vec, n, 1, 0, pick_first##n) CHOICE(isa, vec, n, 2, 1, pick##n) CHOICE(isa, vec, n, 3, 2, pick##n)                                  \
    CHOICE(isa, vec, n, 4, 3, pick##n) CHOICE(isa, vec, n, 5, 4, pick##n) CHOICE(isa, vec, n, 6, 5, pick##n) CHOICE(isa, vec, n, 7, 6, pick##n)
#define CHOICE(isa, vec, n, k, below, pick)                                                                                                               \
    static ALWAYS isa vec choose##n##_##k(const uint8_t *p, const vec *right)                                                                              \
    {                                                                                                                                               \
        vec l = choose##n##_##below(p, right), r = choose##n##_##below(p + ((size_t)PLACE << below), right);                                        \
        return pick(right[below], r, l);                                                                                                            \
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

/* The choices by the first turn are half of all, and among what both rows need: a blend by mask leaves its operands as they are. */
static ALWAYS V512 two pick_first512(two m, two yes, two no)
{
    return (two){_mm512_mask_blend_epi8(_mm512_movepi8_mask(m.a), no.a, yes.a), _mm512_mask_blend_epi8(_mm512_movepi8_mask(m.b), no.b, yes.b)};
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

#define pick_first256 pick256

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

/* Node by node. A block's table: where each tree starts; for each node (in an order in which parents come first) the cell, the bound, and
 * the numbers of what is left and right of it. A tree's number changes at the node that it is, until it is a leaf's: 128 and more. words: of
 * each node, the trees that go right there because of a category; NULL: there are no categories. */
static ALWAYS V512 void chase512(const uint8_t *p, size_t nodes, const uint8_t *const cells[2], const uint64_t *const words[2], const size_t width,
                                 const bool marked, uint8_t *const end[2])
{
    __m512i a = _mm512_load_si512(p), b = a, number = _mm512_setzero_si512();
    p += TREES;
    for (size_t k = 0; k < nodes; k++, p += NODE) {
        __m512i cell = _mm512_load_si512(p), bound = _mm512_load_si512(p + TREES);
        __m512i left = _mm512_load_si512(p + 2 * TREES), right = _mm512_load_si512(p + 3 * TREES);
        __mmask64 up = _mm512_cmpgt_epu8_mask(look512(cells[0], width, cell), bound);
        __mmask64 up2 = _mm512_cmpgt_epu8_mask(look512(cells[1], width, cell), bound);
        if (marked) up = _kor_mask64(up, _cvtu64_mask64(words[0][k])), up2 = _kor_mask64(up2, _cvtu64_mask64(words[1][k]));
        a = _mm512_mask_mov_epi8(a, _mm512_cmpeq_epi8_mask(a, number), _mm512_mask_blend_epi8(up, left, right));
        b = _mm512_mask_mov_epi8(b, _mm512_cmpeq_epi8_mask(b, number), _mm512_mask_blend_epi8(up2, left, right));
        number = _mm512_add_epi8(number, _mm512_set1_epi8(1));
    }
    _mm512_storeu_si512(end[0], _mm512_and_si512(a, _mm512_set1_epi8(WR_FLANES_LEAVES - 1)));
    _mm512_storeu_si512(end[1], _mm512_and_si512(b, _mm512_set1_epi8(WR_FLANES_LEAVES - 1)));
}

static V512 OPAQUE void chase_512(const uint8_t *p, size_t nodes, const uint8_t *const cells[2], const uint64_t *const words[2], size_t width,
                                  uint8_t *const end[2])
{
    if (words[0]) chase512(p, nodes, cells, words, width, true, end);
    else if (width == 64) chase512(p, nodes, cells, words, 64, false, end);
    else if (width == 128) chase512(p, nodes, cells, words, 128, false, end);
    else chase512(p, nodes, cells, words, 256, false, end);
}

/* 255 for each bit that is set. */
static ALWAYS V256 __m256i spread256(uint32_t bits)
{
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), byte), bit), bit);
}

static V256 OPAQUE void chase_256(const uint8_t *p, size_t nodes, const uint8_t *cells, const uint64_t *words, unsigned shift, size_t width,
                                  uint8_t *end)
{
    __m256i a = load256(p), number = _mm256_setzero_si256();
    p += TREES;
    for (size_t k = 0; k < nodes; k++, p += NODE) {
        __m256i bound = load256(p + TREES), x = look256(cells, width, load256(p)), left = load256(p + 2 * TREES);
        __m256i next = pick256(_mm256_cmpeq_epi8(_mm256_min_epu8(x, bound), x), left, load256(p + 3 * TREES));
        if (words) next = pick256(spread256((uint32_t)(words[k] >> shift)), load256(p + 3 * TREES), next);
        a = pick256(_mm256_cmpeq_epi8(a, number), next, a);
        number = _mm256_add_epi8(number, _mm256_set1_epi8(1));
    }
    _mm256_storeu_si256((void *)end, _mm256_and_si256(a, _mm256_set1_epi8(WR_FLANES_LEAVES - 1)));
}

/* The words of a row in a block: of each column those of its bin. */
static V256 OPAQUE void words_256(const wr_flanes *l, const wr_fblock *b, const uint32_t *category, uint64_t *out)
{
    const uint64_t *in[WR_FLANES_CATEGORIES];
    const wr_fmark *m = l->marks + b->mark;
    size_t n = (b->nodes + 7) / 8 * 8;
    for (size_t i = 0; i < b->nmarks; i++) in[i] = l->words + m[i].word + category[m[i].category] * n;
    for (size_t k = 0; k < n; k += 8) {
        __m256i lo = _mm256_setzero_si256(), hi = lo;
        for (size_t i = 0; i < b->nmarks; i++) {
            lo = _mm256_or_si256(lo, _mm256_loadu_si256((const void *)(in[i] + k)));
            hi = _mm256_or_si256(hi, _mm256_loadu_si256((const void *)(in[i] + k + 4)));
        }
        _mm256_storeu_si256((void *)(out + k), lo);
        _mm256_storeu_si256((void *)(out + k + 4), hi);
    }
}

static const uint64_t *row_words(const wr_flanes *l, const wr_fblock *b, const sight *s, size_t row, uint64_t out[WR_FLANES_LEAVES])
{
    if (!b->nmarks) return NULL;
    words_256(l, b, s->category + row * l->ncategories, out);
    return out;
}

static void down_one(const wr_flanes *l, const wr_fblock *b, const sight *s, size_t i, uint8_t *end)
{
    uint64_t room[WR_FLANES_LEAVES];
    const uint64_t *words = row_words(l, b, s, i, room);
    for (unsigned from = 0; from < b->ntrees; from += TREES / 2) {
        const uint8_t *table = l->tables + b->table + from, *cells = s->cells + i * l->width;
        if (b->nodes) chase_256(table, b->nodes, cells, words, from, l->width, end + from);
        else down_256(table, b->bits, cells, l->width, end + from);
    }
}

static void down_two(const wr_flanes *l, const wr_fblock *b, const sight *s, size_t i, size_t k, uint8_t *end, uint8_t *end2)
{
    const uint8_t *table = l->tables + b->table, *cells[2] = {s->cells + i * l->width, s->cells + k * l->width};
    uint64_t room[2][WR_FLANES_LEAVES];
    if (!b->nodes) {
        down_512(table, b->bits, cells[0], cells[1], l->width, end, end2);
        return;
    }
    const uint64_t *words[2] = {row_words(l, b, s, i, room[0]), row_words(l, b, s, k, room[1])};
    chase_512(table, b->nodes, cells, words, l->width, (uint8_t *const[2]){end, end2});
}

static void down(const wr_flanes *l, const wr_fblock *b, const sight *s, size_t n, uint8_t (*ends)[TREES])
{
    if (wr_flanes_wide()) {
        for (size_t i = 0; i < n; i += 2) {
            size_t k = i + 1 < n ? i + 1 : i;
            down_two(l, b, s, i, k, ends[i], ends[k]);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) down_one(l, b, s, i, ends[i]);
}

/* ---- sums ---- */

/* Leaves of `trees` trees, 2^depth a tree, added in order to the sums of some rows: rows are independent, so their latencies overlap. */
#define SUMS(name, value, number)                                                                                                                   \
    static ALWAYS void name(const value *values, unsigned depth, size_t trees, const uint8_t *const *end, const size_t n, number *sum)              \
    {                                                                                                                                               \
        number m[SUM_ROWS];                                                                                                                         \
        for (size_t i = 0; i < n; i++) m[i] = sum[i];                                                                                               \
        for (size_t t = 0; t < trees; t++) {                                                                                                        \
            _Pragma("GCC unroll 8") for (size_t i = 0; i < n; i++) m[i] += (number)values[(t << depth) + end[i][t]];                                \
        }                                                                                                                                           \
        for (size_t i = 0; i < n; i++) sum[i] = m[i];                                                                                               \
    }                                                                                                                                               \
    static void some_##name(const value *values, unsigned depth, size_t trees, const uint8_t *const *end, size_t n, number *sum)                    \
    {                                                                                                                                               \
        if (n == 1) name(values, depth, trees, end, 1, sum);                                                                                        \
        else if (n <= 4) name(values, depth, trees, end, 4, sum);                                                                                   \
        else name(values, depth, trees, end, SUM_ROWS, sum);                                                                                        \
    }

SUMS(singles, float, float)
SUMS(mixed, float, double)
SUMS(doubles, double, double)

/* Ends of sixteen rows by tree: those of tree t are the 16 bytes from to[t % 16][t / 16 * 16] on. Four perfect shuffles of 16 vectors
 * transpose what is in each 16 bytes of them. */
static V512 OPAQUE void turn_512(const uint8_t *const *end, uint8_t (*to)[TREES])
{
    __m512i x[16], y[16];
    for (int i = 0; i < 16; i++) x[i] = _mm512_loadu_si512(end[i]);
    for (int round = 0; round < 4; round++) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            y[2 * i] = _mm512_unpacklo_epi8(x[i], x[i + 8]);
            y[2 * i + 1] = _mm512_unpackhi_epi8(x[i], x[i + 8]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) x[i] = y[i];
    }
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(to[i], x[i]);
}

/* The leaf of each of sixteen rows among a tree's 2^depth, by permutations of registers. */
static ALWAYS V512 __m512 leaves32(const float *v, __m512i at)
{
    return _mm512_permutex2var_ps(_mm512_loadu_ps(v), at, _mm512_loadu_ps(v + 16));
}

static ALWAYS V512 __m512 leaves64(const float *v, __m512i at)
{
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(at, _mm512_set1_epi32(32)), leaves32(v, at), leaves32(v + 32, at));
}

static ALWAYS V512 __m512 leaves_of(const float *v, const unsigned depth, __m512i at)
{
    if (depth <= 4) return _mm512_permutexvar_ps(at, _mm512_loadu_ps(v));
    if (depth == 5) return leaves32(v, at);
    if (depth == 6) return leaves64(v, at);
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(at, _mm512_set1_epi32(64)), leaves64(v, at), leaves64(v + 64, at));
}

static ALWAYS V512 void sum16(const float *values, unsigned depth, const unsigned bits, const uint8_t (*turned)[TREES], size_t from, size_t trees,
                              bool single, double *sum)
{
    __m512d lo = _mm512_loadu_pd(sum), hi = _mm512_loadu_pd(sum + 8);
    __m512 m = _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(lo)), _mm512_cvtpd_ps(hi), 1);
    for (size_t t = from; t < from + trees; t++, values += (size_t)1 << depth) {
        __m512i at = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)&turned[t % 16][t / 16 * 16]));
        __m512 v = leaves_of(values, bits, at);
        if (single) {
            m = _mm512_add_ps(m, v);
        } else {
            lo = _mm512_add_pd(lo, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
            hi = _mm512_add_pd(hi, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
        }
    }
    if (single) {
        lo = _mm512_cvtps_pd(_mm512_castps512_ps256(m));
        hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(m, 1));
    }
    _mm512_storeu_pd(sum, lo);
    _mm512_storeu_pd(sum + 8, hi);
}

static V512 OPAQUE void sum16_512(const float *values, unsigned depth, const uint8_t (*turned)[TREES], size_t from, size_t trees, bool single, double *sum)
{
    if (depth <= 4) sum16(values, depth, 4, turned, from, trees, single, sum);
    else if (depth == 5) sum16(values, depth, 5, turned, from, trees, single, sum);
    else if (depth == 6) sum16(values, depth, 6, turned, from, trees, single, sum);
    else sum16(values, depth, 7, turned, from, trees, single, sum);
}

/* The trees of a block that belong to one output. */
typedef struct {
    const wr_forest *f;
    const wr_fblock *b;
    size_t from, trees; /* of the block's */
} run;

/* Up to SUM_ROWS rows; those that are missing are the last once more. */
static void add_some(const run *r, uint8_t (*ends)[TREES], size_t n, double *out)
{
    const wr_flanes *l = r->f->lanes;
    const uint8_t *end[SUM_ROWS];
    float single[SUM_ROWS];
    double m[SUM_ROWS];
    unsigned depth = r->b->bits;
    size_t slot = r->b->slot + (r->from << depth), stride = r->f->nmargins;
    for (size_t i = 0; i < SUM_ROWS; i++) {
        size_t k = i < n ? i : n - 1;
        end[i] = ends[k] + r->from;
        m[i] = out[k * stride];
        single[i] = (float)m[i];
    }
    if (!l->floats) some_doubles((const double *)l->values + slot, depth, r->trees, end, n, m);
    else if (!r->f->sum_float) some_mixed((const float *)l->values + slot, depth, r->trees, end, n, m);
    else some_singles((const float *)l->values + slot, depth, r->trees, end, n, single);
    for (size_t i = 0; i < n; i++) out[i * stride] = r->f->sum_float ? (double)single[i] : m[i];
}

static void add_sixteen(const run *r, uint8_t (*ends)[TREES], size_t n, double *out)
{
    const uint8_t *end[16];
    uint8_t turned[16][TREES];
    double m[16];
    size_t slot = r->b->slot + (r->from << r->b->bits), stride = r->f->nmargins;
    for (size_t i = 0; i < 16; i++) {
        size_t k = i < n ? i : n - 1;
        end[i] = ends[k];
        m[i] = out[k * stride];
    }
    turn_512(end, turned);
    sum16_512((const float *)r->f->lanes->values + slot, r->b->bits, (const uint8_t(*)[TREES])turned, r->from, r->trees, r->f->sum_float, m);
    for (size_t i = 0; i < n; i++) out[i * stride] = m[i];
}

static void add_run(const run *r, uint8_t (*ends)[TREES], size_t n, double *out)
{
    bool sixteen = r->f->lanes->floats && r->b->bits <= 7 && wr_flanes_wide();
    for (size_t i = 0, some; i < n; i += some) {
        size_t left = n - i, most = sixteen && left > 4 ? 16 : SUM_ROWS;
        some = left < most ? left : most;
        double *to = out + i * r->f->nmargins;
        if (most == 16) add_sixteen(r, ends + i, some, to);
        else add_some(r, ends + i, some, to);
    }
}

void wr_flanes_margins(const wr_forest *f, const float *rows, size_t n, double *out)
{
    const wr_flanes *l = f->lanes;
    uint8_t ends[ROWS][TREES];
    sight s;
    for (size_t from = 0; from < n; from += ROWS) {
        size_t some = n - from < ROWS ? n - from : ROWS, tree = 0;
        double *to = out + from * f->nmargins;
        uint32_t output = 0;
        fill_sight(f, rows + from * f->nfeatures, some, &s);
        for (const wr_fblock *b = l->blocks; b < l->blocks + l->nblocks; b++) {
            down(l, b, &s, some, ends);
            for (run r = {.f = f, .b = b}; r.from < b->ntrees; r.from += r.trees, tree += r.trees) {
                while (f->output_first[output + 1] <= tree) output++;
                r.trees = f->output_first[output + 1] - tree;
                if (r.trees > b->ntrees - r.from) r.trees = b->ntrees - r.from;
                add_run(&r, ends, some, to + output);
            }
        }
    }
}

#else

bool wr_forest_narrow;

bool wr_flanes_wide(void) { return false; }

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
