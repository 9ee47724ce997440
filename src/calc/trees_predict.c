/* SPDX-License-Identifier: Apache-2.0 */
/* trees_predict.c - evaluation of trees: one row (eight trees interleaved), tiles of 64 rows over byte bins, and the
 * plain walk.
 *
 * All three give the same bits: a margin is the base plus the leaf values (float) in tree order, summed in double.
 *
 * One row. The row is copied to a buffer in which every used feature has two cells: the value itself, and the value
 * with NaN replaced by -inf. A comparison `x <= threshold` sends NaN right and -inf left, so a node picks its direction
 * for missing values by picking the cell. A leaf compares a cell that holds -inf with its own value: true, and its left
 * child is itself.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/mem.h"
#include "calc/trees_internal.h"

enum { CAT_SLOT = 0x8000, LANES = 8, BLOCK = 2048 };

bool wr_trees_plain;

bool wr_trees_avx2(void)
{
#if defined(__x86_64__)
    return !wr_trees_plain && __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

/* ---- programs over bins ---- */

uint32_t wr_tree_program(const wr_tnode *nodes, size_t n, const uint16_t *column_of, wr_top *ops, float *leaves)
{
    uint16_t line[2 * WR_TREES_FAST_LEAVES]; /* scratch line of each node */
    uint32_t nops = 0, nleaves = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(nodes[i].kind & WR_TN_LEAF)) continue;
        line[i] = (uint16_t)nleaves;
        leaves[nleaves++] = nodes[i].value;
    }
    for (size_t i = n; i-- > 0;) {
        const wr_tnode *d = &nodes[i];
        if (d->kind & WR_TN_LEAF) continue;
        ops[nops] = (wr_top){.left = line[d->left],
                             .right = line[d->left + 1],
                             .bin = d->bin,
                             .kind = d->kind,
                             .set = d->set,
                             .feature = column_of ? column_of[d->feature] : d->feature};
        line[i] = (uint16_t)(WR_TREES_FAST_LEAVES + nops++);
    }
    return nops;
}

void wr_tree_scratch(wr_tscratch *s, uint32_t leaves)
{
    for (uint32_t k = 0; k < leaves; k++) memset(s->line[k], (int)k, WR_TREES_TILE);
}

static inline bool in_long_set(const wr_tset *set, uint16_t bin) { return ((const uint8_t *)set)[bin >> 3] >> (bin & 7) & 1; }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline __m256i in_set(__m256i lo, __m256i hi, __m256i bins)
{
    const __m256i powers = _mm256_set1_epi64x((long long)0x8040201008040201u);
    __m256i byte = _mm256_and_si256(_mm256_srli_epi16(bins, 3), _mm256_set1_epi8(31));
    __m256i upper = _mm256_slli_epi16(byte, 3); /* bit 4 of the byte's number becomes bit 7 */
    __m256i have = _mm256_blendv_epi8(_mm256_shuffle_epi8(lo, byte), _mm256_shuffle_epi8(hi, byte), upper);
    __m256i bit = _mm256_shuffle_epi8(powers, _mm256_and_si256(bins, _mm256_set1_epi8(7)));
    return _mm256_cmpeq_epi8(_mm256_and_si256(have, bit), bit);
}

/* 255 for each of the 64 rows that goes left, in two registers. */
__attribute__((target("avx2"))) static inline void left_narrow(const wr_top *o, const wr_tset *sets, const uint8_t *col, __m256i m[2])
{
    __m256i x0 = _mm256_loadu_si256((const void *)col), x1 = _mm256_loadu_si256((const void *)(col + 32));
    if (o->kind & WR_TN_CAT) {
        __m256i lo = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)sets[o->set].bits));
        __m256i hi = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(sets[o->set].bits + 16)));
        m[0] = in_set(lo, hi, x0);
        m[1] = in_set(lo, hi, x1);
    } else { /* missing (255) plus one is 0: left of everything */
        char up = (o->kind & WR_TN_MISSING_LEFT) != 0;
        __m256i add = _mm256_set1_epi8(up), t = _mm256_set1_epi8((char)(o->bin + up));
        x0 = _mm256_add_epi8(x0, add);
        x1 = _mm256_add_epi8(x1, add);
        m[0] = _mm256_cmpeq_epi8(_mm256_min_epu8(x0, t), x0);
        m[1] = _mm256_cmpeq_epi8(_mm256_min_epu8(x1, t), x1);
    }
}

__attribute__((target("avx2"))) static inline void left_wide(const wr_top *o, const wr_tset *sets, const uint8_t *col, __m256i m[2])
{
    if (o->kind & WR_TN_CAT) {
        uint16_t x[WR_TREES_TILE];
        uint8_t in[WR_TREES_TILE];
        memcpy(x, col, sizeof x);
        for (int i = 0; i < WR_TREES_TILE; i++) in[i] = (uint8_t)-in_long_set(sets + o->set, x[i]);
        m[0] = _mm256_loadu_si256((const void *)in);
        m[1] = _mm256_loadu_si256((const void *)(in + 32));
        return;
    }
    short up = (o->kind & WR_TN_MISSING_LEFT) != 0;
    __m256i add = _mm256_set1_epi16(up), t = _mm256_set1_epi16((short)(o->bin + up)), x[4];
    for (int i = 0; i < 4; i++) {
        x[i] = _mm256_add_epi16(_mm256_loadu_si256((const void *)(col + 32 * i)), add);
        x[i] = _mm256_cmpeq_epi16(_mm256_min_epu16(x[i], t), x[i]);
    }
    m[0] = _mm256_permute4x64_epi64(_mm256_packs_epi16(x[0], x[1]), 0xd8);
    m[1] = _mm256_permute4x64_epi64(_mm256_packs_epi16(x[2], x[3]), 0xd8);
}

static WR_TREES_AVX2 void tile_avx2(const wr_top *ops, size_t nops, const wr_tset *sets, const uint8_t *cols,
                                    size_t column, wr_tscratch *s)
{
    for (size_t k = 0; k < nops; k++) {
        const wr_top *o = &ops[k];
        const __m256i *l = (const void *)s->line[o->left], *r = (const void *)s->line[o->right];
        __m256i *out = (void *)s->line[WR_TREES_FAST_LEAVES + k], m[2];
        if (o->kind & WR_TN_WIDE) left_wide(o, sets, cols + o->feature * column, m);
        else left_narrow(o, sets, cols + o->feature * column, m);
        _mm256_store_si256(out, _mm256_blendv_epi8(_mm256_load_si256(r), _mm256_load_si256(l), m[0]));
        _mm256_store_si256(out + 1, _mm256_blendv_epi8(_mm256_load_si256(r + 1), _mm256_load_si256(l + 1), m[1]));
    }
}
#endif

static inline bool op_left(const wr_top *o, const wr_tset *sets, uint8_t x)
{
    if (o->kind & WR_TN_CAT) return wr_tset_has(&sets[o->set], x);
    uint8_t up = (o->kind & WR_TN_MISSING_LEFT) != 0;
    return (uint8_t)(x + up) <= (uint8_t)(o->bin + up);
}

static inline bool op_left_wide(const wr_top *o, const wr_tset *sets, uint16_t x)
{
    if (o->kind & WR_TN_CAT) return in_long_set(sets + o->set, x);
    uint16_t up = (o->kind & WR_TN_MISSING_LEFT) != 0;
    return (uint16_t)(x + up) <= (uint16_t)(o->bin + up);
}

/* Without AVX2: op after op for the 64 rows, which the compiler vectorises as it can. */
static void tile_plain(const wr_top *ops, size_t nops, const wr_tset *sets, const uint8_t *cols, size_t column,
                       wr_tscratch *s)
{
    for (size_t k = 0; k < nops; k++) {
        const uint8_t *x = cols + ops[k].feature * column, *l = s->line[ops[k].left], *r = s->line[ops[k].right];
        uint8_t *restrict out = s->line[WR_TREES_FAST_LEAVES + k];
        if (ops[k].kind & WR_TN_WIDE) {
            const uint16_t *w = (const void *)x;
            for (int i = 0; i < WR_TREES_TILE; i++) out[i] = op_left_wide(&ops[k], sets, w[i]) ? l[i] : r[i];
        } else {
            for (int i = 0; i < WR_TREES_TILE; i++) out[i] = op_left(&ops[k], sets, x[i]) ? l[i] : r[i];
        }
    }
}

void wr_tree_tile(const wr_top *ops, size_t nops, const wr_tset *sets, const uint8_t *cols, size_t column,
                  wr_tscratch *s, uint8_t out[WR_TREES_TILE])
{
#if defined(__x86_64__)
    if (wr_trees_avx2()) tile_avx2(ops, nops, sets, cols, column, s);
    else
#endif
        tile_plain(ops, nops, sets, cols, column, s);
    memcpy(out, s->line[nops ? WR_TREES_FAST_LEAVES + nops - 1 : 0], WR_TREES_TILE);
}

size_t wr_tree_walk_bins(const wr_tnode *nodes, const wr_tset *sets, const uint8_t *cols, size_t column)
{
    size_t i = 0;
    while (!(nodes[i].kind & WR_TN_LEAF)) {
        const wr_tnode *d = &nodes[i];
        wr_top o = {.bin = d->bin, .kind = d->kind, .set = d->set};
        i = d->left + !op_left(&o, sets, cols[d->feature * column]);
    }
    return i;
}

/* ---- what is derived from the nodes ---- */

static int by_float(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The cuts a model needs are the thresholds it uses. `list` holds the thresholds of one feature. */
static int used_cuts(wr_tfeature *f, float *list, size_t n, wr_err *err)
{
    qsort(list, n, sizeof *list, by_float);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (list[i] < INFINITY && (!k || list[i] > list[k - 1])) list[k++] = list[i];
    }
    if (k > WR_TREES_OTHER)
        return wr_err_set(err, WEIR_ECORRUPT, "tree model: feature '%s' has too many thresholds", f->name);
    wr_free(f->cuts);
    f->ncuts = (uint32_t)k;
    f->cuts = wr_alloc(WR_TREES_BINS * sizeof *f->cuts);
    if (!f->cuts) return wr_err_nomem(err);
    for (size_t i = 0; i < WR_TREES_BINS; i++) f->cuts[i] = i < k ? list[i] : INFINITY;
    return 0;
}

static int derive_cuts(wr_trees *t, size_t nnodes, wr_err *err)
{
    WR_AUTOFREE size_t *start = wr_calloc(t->nfeatures + 2, sizeof *start);
    WR_AUTOFREE float *list = wr_alloc((nnodes ? nnodes : 1) * sizeof *list);
    if (!start || !list) return wr_err_nomem(err);
    for (size_t i = 0; i < nnodes; i++) {
        if (!(t->nodes[i].kind & (WR_TN_LEAF | WR_TN_CAT))) start[t->nodes[i].feature + 2]++;
    }
    for (size_t j = 2; j <= t->nfeatures; j++) start[j] += start[j - 1];
    for (size_t i = 0; i < nnodes; i++) {
        const wr_tnode *d = &t->nodes[i];
        if (!(d->kind & (WR_TN_LEAF | WR_TN_CAT))) list[start[d->feature + 1]++] = d->value;
    }
    for (size_t j = 0; j < t->nfeatures; j++) { /* start[j + 1] has moved to the end of feature j */
        wr_tfeature *f = &t->features[j];
        if (!f->categorical) WR_TRY(used_cuts(f, list + start[j], start[j + 1] - start[j], err));
    }
    for (size_t i = 0; i < nnodes; i++) {
        wr_tnode *d = &t->nodes[i];
        if (d->kind & (WR_TN_LEAF | WR_TN_CAT)) continue;
        d->bin = d->value < INFINITY ? wr_tfeature_bin_one(&t->features[d->feature], d->value) : WR_TREES_OTHER;
    }
    return 0;
}

static int derive_used(wr_trees *t, size_t nnodes, uint16_t *column_of, wr_err *err)
{
    memset(column_of, 0, t->nfeatures * sizeof *column_of);
    for (size_t i = 0; i < nnodes; i++) {
        if (!(t->nodes[i].kind & WR_TN_LEAF)) column_of[t->nodes[i].feature] = 1;
    }
    t->used = wr_alloc(t->nfeatures * sizeof *t->used);
    if (!t->used) return wr_err_nomem(err);
    for (size_t j = 0; j < t->nfeatures; j++) {
        if (!column_of[j]) continue;
        column_of[j] = (uint16_t)t->nused;
        t->used[t->nused++] = (uint16_t)j;
        t->any_cat |= t->features[j].categorical;
    }
    return 0;
}

static wr_twalk walk_of(const wr_trees *t, const wr_tnode *d, size_t index, const uint16_t *column_of)
{
    if (d->kind & WR_TN_LEAF) return (wr_twalk){.value = d->value, .slot = (uint16_t)(2 * t->nused), .step = 0};
    size_t slot = column_of[d->feature];
    wr_twalk w = {.value = d->value, .step = (uint16_t)(d->left - index)};
    if (d->kind & WR_TN_CAT) {
        memcpy(&w.value, &d->set, 4);
        slot |= CAT_SLOT;
    } else if (d->kind & WR_TN_MISSING_LEFT) {
        slot += t->nused;
    }
    w.slot = (uint16_t)slot;
    return w;
}

static int derive_programs(wr_trees *t, const uint16_t *column_of, wr_err *err)
{
    size_t trees = (size_t)t->ntrees, nnodes = t->first[trees], ops = 0, leaves = 0;
    t->ops = wr_alloc((nnodes ? nnodes : 1) * sizeof *t->ops);
    t->leaves = wr_alloc((nnodes ? nnodes : 1) * sizeof *t->leaves);
    t->op_first = wr_calloc(trees + 1, sizeof *t->op_first);
    t->leaf_first = wr_calloc(trees + 1, sizeof *t->leaf_first);
    if (!t->ops || !t->leaves || !t->op_first || !t->leaf_first) return wr_err_nomem(err);
    t->fast = t->nused <= WR_TREES_FAST_FEATURES;
    for (size_t k = 0; k < trees; k++) {
        size_t n = t->first[k + 1] - t->first[k];
        uint32_t mine = (uint32_t)(n + 1) / 2;
        if (mine > t->most_leaves) t->most_leaves = mine;
        if (mine > WR_TREES_FAST_LEAVES) continue;
        ops += wr_tree_program(t->nodes + t->first[k], n, column_of, t->ops + ops, t->leaves + leaves);
        leaves += mine;
        t->op_first[k + 1] = ops;
        t->leaf_first[k + 1] = leaves;
    }
    return 0;
}

int wr_trees_finish(wr_trees *t, wr_err *err)
{
    size_t nnodes = t->first[t->ntrees];
    WR_AUTOFREE uint16_t *column_of = wr_alloc(t->nfeatures * sizeof *column_of);
    if (!column_of) return wr_err_nomem(err);
    WR_TRY(derive_cuts(t, nnodes, err));
    WR_TRY(derive_used(t, nnodes, column_of, err));
    t->walk = wr_alloc((nnodes ? nnodes : 1) * sizeof *t->walk);
    if (!t->walk) return wr_err_nomem(err);
    for (int k = 0; k < t->ntrees; k++) {
        for (size_t i = t->first[k]; i < t->first[k + 1]; i++) {
            t->walk[i] = walk_of(t, &t->nodes[i], i - t->first[k], column_of);
        }
    }
    return derive_programs(t, column_of, err);
}

/* ---- where rows come from ---- */

typedef struct {
    const wr_trees *t;
    const float *rows; /* row-major, or NULL */
    const float *const *cols;
    double *out;
    size_t n;
} source;

static inline float value_at(const source *s, size_t i, size_t j)
{
    return s->rows ? s->rows[i * s->t->nfeatures + j] : s->cols[j][i];
}

static double answer(const wr_trees *t, double margin)
{
    return t->objective == WR_TREES_LOGISTIC ? 1 / (1 + exp(-margin)) : margin;
}

/* ---- the plain walk: any model ---- */

static double margin_plain(const source *s, size_t row)
{
    const wr_trees *t = s->t;
    double m = t->base;
    for (int k = 0; k < t->ntrees; k++) {
        const wr_tnode *nodes = t->nodes + t->first[k];
        size_t i = 0;
        while (!(nodes[i].kind & WR_TN_LEAF)) {
            const wr_tnode *d = &nodes[i];
            float x = value_at(s, row, d->feature);
            bool left;
            if (d->kind & WR_TN_CAT)
                left = wr_tset_has(&t->sets[d->set], wr_tfeature_bin_one(&t->features[d->feature], x));
            else left = x == x ? x <= d->value : (d->kind & WR_TN_MISSING_LEFT) != 0;
            i = d->left + !left;
        }
        m += (double)nodes[i].value;
    }
    return m;
}

/* ---- one row ---- */

static void fill_row(const source *s, size_t row, float *x)
{
    const wr_trees *t = s->t;
    size_t n = t->nused;
    for (size_t u = 0; u < n; u++) {
        float v = value_at(s, row, t->used[u]);
        x[u] = v;
        x[n + u] = v == v ? v : -INFINITY;
    }
    x[2 * n] = -INFINITY;
    if (!t->any_cat) return;
    for (size_t u = 0; u < n; u++) {
        const wr_tfeature *f = &t->features[t->used[u]];
        if (!f->categorical) continue;
        uint32_t bin = wr_tfeature_bin_one(f, x[u]);
        memcpy(&x[u], &bin, 4);
    }
}

static inline uint32_t next_numeric(const wr_twalk *d, const float *x)
{
    return (uint32_t)d->step + !(x[d->slot] <= d->value);
}

/* Without a branch on the kind: numeric nodes look at set 0 in vain. */
static inline uint32_t next_any(const wr_twalk *d, const float *x, const wr_tset *sets)
{
    uint32_t cat = d->slot >> 15, bits, set;
    float v = x[d->slot & (CAT_SLOT - 1)];
    memcpy(&bits, &v, 4);
    memcpy(&set, &d->value, 4);
    uint32_t in = sets[set & -cat].bits[bits >> 3 & 31] >> (bits & 7);
    return (uint32_t)d->step + (1 & ~((cat & in) | (~cat & (v <= d->value))));
}

/* Eight trees in step until all rest in their leaves: the walks are independent, so their latencies overlap. */
static double margin_row(const wr_trees *t, const float *x)
{
    double m = t->base;
    const wr_twalk *w = t->walk;
    int k = 0;
    for (; k + LANES <= t->ntrees; k += LANES) {
        size_t at[LANES];
        for (int l = 0; l < LANES; l++) at[l] = t->first[k + l];
        uint32_t moved;
        do {
            moved = 0;
#pragma GCC unroll 8
            for (int l = 0; l < LANES; l++) {
                uint32_t by = next_numeric(&w[at[l]], x);
                at[l] += by;
                moved |= by;
            }
        } while (moved);
        for (int l = 0; l < LANES; l++) m += (double)w[at[l]].value;
    }
    for (; k < t->ntrees; k++) {
        size_t at = t->first[k];
        for (uint32_t by = 1; by;) at += by = next_numeric(&w[at], x);
        m += (double)w[at].value;
    }
    return m;
}

static double margin_row_cat(const wr_trees *t, const float *x)
{
    double m = t->base;
    const wr_twalk *w = t->walk;
    int k = 0;
    for (; k + LANES <= t->ntrees; k += LANES) {
        size_t at[LANES];
        for (int l = 0; l < LANES; l++) at[l] = t->first[k + l];
        uint32_t moved;
        do {
            moved = 0;
#pragma GCC unroll 8
            for (int l = 0; l < LANES; l++) {
                uint32_t by = next_any(&w[at[l]], x, t->sets);
                at[l] += by;
                moved |= by;
            }
        } while (moved);
        for (int l = 0; l < LANES; l++) m += (double)w[at[l]].value;
    }
    for (; k < t->ntrees; k++) {
        size_t at = t->first[k];
        for (uint32_t by = 1; by;) at += by = next_any(&w[at], x, t->sets);
        m += (double)w[at].value;
    }
    return m;
}

static void predict_rows(const source *s, size_t from, size_t to)
{
    const wr_trees *t = s->t;
    float x[2 * WR_TREES_FAST_FEATURES + 1];
    for (size_t i = from; i < to; i++) {
        if (t->fast) fill_row(s, i, x);
        double m = !t->fast ? margin_plain(s, i) : t->any_cat ? margin_row_cat(t, x) : margin_row(t, x);
        s->out[i] = answer(t, m);
    }
}

/* ---- tiles ---- */

static void bin_tile(const source *s, size_t from, size_t n, uint8_t (*bins)[WR_TREES_TILE])
{
    const wr_trees *t = s->t;
    for (size_t u = 0; u < t->nused; u++) {
        size_t j = t->used[u];
        if (s->rows) wr_tfeature_bin(&t->features[j], s->rows + from * t->nfeatures + j, t->nfeatures, n, bins[u]);
        else wr_tfeature_bin(&t->features[j], s->cols[j] + from, 1, n, bins[u]);
        if (n < WR_TREES_TILE) memset(bins[u] + n, 0, WR_TREES_TILE - n);
    }
}

/* Long trees are for the one-row path; a model is either all short (tiles) or not. */
static bool tiles_fit(const wr_trees *t) { return t->fast && t->most_leaves <= WR_TREES_FAST_LEAVES; }

/* Fewer rows are faster one by one: measured with trees of 8 to 200 leaves. Steps among categories are the slower ones. */
static size_t least_tile(const wr_trees *t) { return t->any_cat ? 8 : 14; }

static void predict_block(void *p, size_t index)
{
    const source *s = p;
    const wr_trees *t = s->t;
    size_t from = index * BLOCK, to = s->n - from < BLOCK ? s->n : from + BLOCK;
    if (!tiles_fit(t) || to - from < least_tile(t)) {
        predict_rows(s, from, to);
        return;
    }
    uint8_t bins[WR_TREES_FAST_FEATURES][WR_TREES_TILE];
    wr_tscratch scratch;
    wr_tree_scratch(&scratch, t->most_leaves ? t->most_leaves : 1);
    for (; from < to; from += WR_TREES_TILE) {
        size_t n = to - from < WR_TREES_TILE ? to - from : WR_TREES_TILE;
        double m[WR_TREES_TILE];
        uint8_t id[WR_TREES_TILE];
        if (n < least_tile(t)) {
            predict_rows(s, from, to);
            return;
        }
        bin_tile(s, from, n, bins);
        for (int i = 0; i < WR_TREES_TILE; i++) m[i] = t->base;
        for (int k = 0; k < t->ntrees; k++) {
            const float *leaf = t->leaves + t->leaf_first[k];
            wr_tree_tile(t->ops + t->op_first[k], t->op_first[k + 1] - t->op_first[k], t->sets, bins[0], WR_TREES_TILE,
                         &scratch, id);
            for (int i = 0; i < WR_TREES_TILE; i++) m[i] += (double)leaf[id[i]];
        }
        for (size_t i = 0; i < n; i++) s->out[from + i] = answer(t, m[i]);
    }
}

static void predict(source *s, wr_pool *pool)
{
    if (s->n < least_tile(s->t)) predict_rows(s, 0, s->n);
    else wr_pool_for(s->n > BLOCK ? pool : NULL, (s->n + BLOCK - 1) / BLOCK, predict_block, s);
}

void wr_trees_predict(const wr_trees *t, const float *rows, size_t n, double *out, wr_pool *pool)
{
    source s = {.t = t, .rows = rows, .out = out, .n = n};
    predict(&s, pool);
}

int wr_trees_predict_columns(const wr_trees *t, const float *const *cols, size_t n, double *out, wr_pool *pool,
                             wr_err *err)
{
    if (!cols && n) return wr_err_set(err, WEIR_EINVAL, "tree model: no columns");
    source s = {.t = t, .cols = cols, .out = out, .n = n};
    predict(&s, pool);
    return 0;
}

/* ---- the rest of the model ---- */

void wr_trees_free(wr_trees *t)
{
    if (!t) return;
    for (size_t j = 0; t->features && j < t->nfeatures; j++) {
        wr_free(t->features[j].name);
        wr_free(t->features[j].map);
        wr_free(t->features[j].cuts);
    }
    void *owned[] = {t->features, t->nodes,    t->first,  t->sets,       t->walk,
                     t->ops,      t->op_first, t->leaves, t->leaf_first, t->used};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wr_free(owned[i]);
    wr_free(t);
}

size_t wr_trees_nfeatures(const wr_trees *t) { return t->nfeatures; }

const char *wr_trees_feature_name(const wr_trees *t, size_t j) { return j < t->nfeatures ? t->features[j].name : NULL; }

int wr_trees_count(const wr_trees *t) { return t->ntrees; }

int wr_trees_best_round(const wr_trees *t) { return t->ntrees; }

void wr_trees_gain(const wr_trees *t, double *out)
{
    for (size_t j = 0; j < t->nfeatures; j++) out[j] = 0;
    for (size_t i = 0; i < t->first[t->ntrees]; i++) {
        if (!(t->nodes[i].kind & WR_TN_LEAF)) out[t->nodes[i].feature] += (double)t->nodes[i].gain;
    }
}
