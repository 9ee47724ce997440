/* SPDX-License-Identifier: Apache-2.0 */
/* forest_predict.c - margins of rows: the plain walk, one row, 64 rows.
 *
 * One row, sixteen trees at a time. It is copied to cells, two a column: the value, and the value with NaN replaced by -inf; then one cell with -inf. A comparison
 * `x <= threshold` sends NaN right and -inf left, so a node picks its direction for missing values by picking the cell. A leaf compares the
 * last cell with its own value: true, and its left child is itself. Categories are bins in both cells.
 *
 * 64 rows. Columns are binned; a tree's program gives the number of its leaf, or of the node from which eight rows at a time walk on.
 *
 * Trees of one output are added one after the other, float or double as the forest says: all kernels make the same additions.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "calc/forest_internal.h"

enum { LANES = WR_FOREST_LANES, ROWS = 8, EVEN_DEPTH = 8, TILE = WR_TREES_TILE, BLOCK = 2048, LEAST_TILE = 16 };
#define ALWAYS inline __attribute__((always_inline))

/* ---- sums ---- */

/* What follows the sum of an output's trees. */
static double finish_sum(const wr_forest *f, uint32_t output, double m)
{
    if (!f->average && !f->base_last) return m;
    size_t trees = f->nvalues > 1 ? f->trees.n : f->output_first[output + 1] - f->output_first[output];
    double n = trees ? (double)trees : 1;
    if (f->average) m = f->sum_float ? (double)((float)m / (float)n) : m / n;
    if (f->base_last) m = f->sum_float ? (double)((float)m + (float)f->base[output]) : m + f->base[output];
    return m;
}

static inline double first_sum(const wr_forest *f, uint32_t output) { return f->base_last ? 0 : f->base[output]; }

/* A leaf of several values, added to a row's margins. */
static void add_values(const wr_forest *f, size_t leaf, double *out)
{
    size_t n = f->nvalues;
    if (f->sum_float) {
        for (size_t k = 0; k < n; k++) out[k] = (double)((float)out[k] + f->leaf_float[leaf * n + k]);
    } else {
        for (size_t k = 0; k < n; k++) out[k] += f->values.at[leaf * n + k];
    }
}

/* ---- the plain walk: any forest ---- */

static void margins_plain(const wr_forest *f, const float *row, double *out)
{
    for (uint32_t k = 0; k < f->nmargins; k++) out[k] = first_sum(f, k);
    for (size_t k = 0; k < f->trees.n; k++) {
        const wr_ftree *t = &f->trees.at[k];
        const wr_fnode *nodes = f->nodes.at + t->node;
        size_t at = 0;
        while (nodes[at].left) at = nodes[at].left + !wr_fnode_left(f, &nodes[at], row);
        size_t leaf = t->leaf + nodes[at].index;
        if (f->nvalues > 1) add_values(f, leaf, out);
        else if (f->sum_float) out[t->output] = (double)((float)out[t->output] + f->leaf_float[leaf]);
        else out[t->output] += f->values.at[leaf];
    }
    for (uint32_t k = 0; k < f->nmargins; k++) out[k] = finish_sum(f, k, out[k]);
}

/* ---- one row ---- */

static void fill_cells(const wr_forest *f, const float *row, float *x)
{
    size_t n = f->ncolumns;
    for (size_t j = 0; j < n; j++) {
        float v = row[f->features[j]];
        if (!f->all_numbers) v = wr_fcolumn_value(&f->columns[j], v);
        x[j] = v;
        x[n + j] = v > -INFINITY ? v : -INFINITY;
    }
    x[2 * n] = -INFINITY;
    for (size_t j = 0; f->any_category && j < n; j++) {
        if (f->columns[j].kind != WR_FCOLUMN_CATEGORY) continue;
        uint32_t bin = wr_fcolumn_category_bin(f, &f->columns[j], row[f->columns[j].feature]);
        memcpy(&x[j], &bin, 4);
        memcpy(&x[n + j], &bin, 4);
    }
}

typedef struct { bool wide, category; } shape; /* constants where the functions below are used */

static ALWAYS size_t step(const wr_forest *f, shape s, size_t at, const float *x)
{
    const wr_fstep8 *d8 = (const wr_fstep8 *)f->steps + at;
    const wr_fstep12 *d12 = (const wr_fstep12 *)f->steps + at;
    uint32_t slot = s.wide ? d12->slot : d8->slot, by = s.wide ? d12->step : d8->step;
    float value = s.wide ? d12->value : d8->value;
    if (!s.category) return (size_t)by + !(x[slot] <= value);
    /* without a branch on the kind: numbers look at the empty set in vain */
    uint32_t top = s.wide ? 31 : 15, cat = slot >> top, bin, set;
    float v = x[slot & ((1u << top) - 1)];
    memcpy(&bin, &v, 4);
    memcpy(&set, &value, 4);
    bin &= -cat;
    uint32_t in = f->bin_sets[(set & -cat) + (bin >> 3)] >> (bin & 7);
    return (size_t)by + (1 & ~((cat & in) | (~cat & (v <= value))));
}

/* The leaves of `lanes` trees from tree k on (of the last one again, past `end`): the walks are independent, so their latencies overlap. Shallow
 * trees walk as far as the deepest goes; others until all rest. */
static ALWAYS void walk_lanes(const wr_forest *f, shape s, const size_t lanes, size_t k, size_t end, const float *x, size_t at[LANES])
{
    for (size_t l = 0; l < lanes; l++) at[l] = f->roots[k + l < end ? k + l : end - 1];
    if (f->reach[k] <= EVEN_DEPTH) {
        for (unsigned d = f->reach[k]; d > 0; d--) {
#pragma GCC unroll 16
            for (size_t l = 0; l < lanes; l++) at[l] += step(f, s, at[l], x);
        }
        return;
    }
    size_t moved;
    do {
        moved = 0;
#pragma GCC unroll 16
        for (size_t l = 0; l < lanes; l++) {
            size_t by = step(f, s, at[l], x);
            at[l] += by;
            moved |= by;
        }
    } while (moved);
}

/* Some trees from k on: how many. */
static ALWAYS size_t walk_some(const wr_forest *f, shape s, size_t k, size_t end, const float *x, size_t at[LANES])
{
    size_t n = end - k;
    if (n <= LANES / 2) {
        walk_lanes(f, s, LANES / 2, k, end, x, at);
        return n;
    }
    walk_lanes(f, s, LANES, k, end, x, at);
    return n < LANES ? n : LANES;
}

/* Leaves hold a float or the bits of their number. */
static ALWAYS float value_at(const wr_forest *f, bool wide, size_t at)
{
    return wide ? ((const wr_fstep12 *)f->steps)[at].value : ((const wr_fstep8 *)f->steps)[at].value;
}

static ALWAYS uint32_t leaf_at(const wr_forest *f, bool wide, size_t at)
{
    float v = value_at(f, wide, at);
    uint32_t leaf;
    memcpy(&leaf, &v, 4);
    return leaf;
}

/* The sums below: trees k to end - 1. */
static ALWAYS float sum_float(const wr_forest *f, shape s, size_t k, size_t end, const float *x, float m)
{
    for (size_t n; k < end; k += n) {
        size_t at[LANES];
        n = walk_some(f, s, k, end, x, at);
        for (size_t l = 0; l < n; l++) m += value_at(f, s.wide, at[l]);
    }
    return m;
}

static ALWAYS double sum_double(const wr_forest *f, shape s, size_t k, size_t end, const float *x, double m)
{
    for (size_t n; k < end; k += n) {
        size_t at[LANES];
        n = walk_some(f, s, k, end, x, at);
        for (size_t l = 0; l < n; l++) m += f->values.at[leaf_at(f, s.wide, at[l])];
    }
    return m;
}

static ALWAYS void sum_values(const wr_forest *f, shape s, size_t k, size_t end, const float *x, double *out)
{
    for (size_t n; k < end; k += n) {
        size_t at[LANES];
        n = walk_some(f, s, k, end, x, at);
        for (size_t l = 0; l < n; l++) add_values(f, leaf_at(f, s.wide, at[l]), out);
    }
}

static ALWAYS void margins_of_cells(const wr_forest *f, shape s, const float *x, double *out)
{
    for (uint32_t k = 0; k < f->nmargins; k++) out[k] = first_sum(f, k);
    if (f->nvalues > 1) {
        sum_values(f, s, 0, f->trees.n, x, out);
    } else {
        for (uint32_t k = 0; k < f->nmargins; k++) {
            size_t from = f->output_first[k], end = f->output_first[k + 1];
            if (f->direct) out[k] = (double)sum_float(f, s, from, end, x, (float)out[k]);
            else out[k] = sum_double(f, s, from, end, x, out[k]);
        }
    }
    for (uint32_t k = 0; k < f->nmargins; k++) out[k] = finish_sum(f, k, out[k]);
}

static void margins_row(const wr_forest *f, const float *x, double *out)
{
    if (f->long_steps) margins_of_cells(f, (shape){true, true}, x, out);
    else if (f->any_category) margins_of_cells(f, (shape){false, true}, x, out);
    else margins_of_cells(f, (shape){false, false}, x, out);
}

static void predict_rows(const wr_forest *f, const float *rows, size_t n, double *out, float *cells)
{
    for (size_t i = 0; i < n; i++) {
        fill_cells(f, rows + i * f->nfeatures, cells);
        margins_row(f, cells, out + i * f->nmargins);
    }
}

/* ---- 64 rows ---- */

typedef struct {
    const wr_forest *f;
    uint8_t *bins;
    wr_tscratch scratch;
    uint8_t exit[TILE];
    uint32_t leaf[TILE]; /* of a deep tree */
} tile;

static void bin_tile(tile *w, const float *rows, size_t n)
{
    const wr_forest *f = w->f;
    float column[TILE];
    for (size_t j = 0; j < f->ncolumns; j++) {
        const wr_fcolumn *c = &f->columns[j];
        uint8_t *out = w->bins + (size_t)c->line * TILE;
        const float *x = rows + c->feature;
        size_t width = c->wide ? 2 : 1;
        if (n < TILE) memset(out + n * width, 0, (TILE - n) * width);
        if (c->kind == WR_FCOLUMN_CATEGORY) {
            for (size_t i = 0; i < n; i++) {
                uint32_t bin = wr_fcolumn_category_bin(f, c, x[i * f->nfeatures]);
                if (c->wide) ((uint16_t *)(void *)out)[i] = (uint16_t)bin;
                else out[i] = (uint8_t)bin;
            }
        } else if (c->kind == WR_FCOLUMN_ZERO_MISSING) {
            for (size_t i = 0; i < n; i++) column[i] = wr_fcolumn_value(c, x[i * f->nfeatures]);
            wr_bin_floats(c->cuts, c->ncuts, column, 1, n, out, c->wide);
        } else {
            wr_bin_floats(c->cuts, c->ncuts, x, f->nfeatures, n, out, c->wide);
        }
    }
}

static inline uint32_t deep_step(const wr_forest *f, const wr_fdeep *d, const uint8_t *bins, size_t row)
{
    uint16_t x;
    memcpy(&x, bins + (size_t)d->line * TILE + row * 2, 2);
    bool left = d->category ? f->bin_sets[d->set + (x >> 3)] >> (x & 7) & 1 : (uint16_t)(x + d->up) <= d->bin;
    return d->step + !left;
}

/* From a program's exits to leaves. */
static void walk_deep(tile *w, const wr_ftree *t)
{
    const wr_forest *f = w->f;
    const wr_fdeep *nodes = f->deep + t->node;
    const uint32_t *exits = f->exits + t->exit;
    for (size_t i = 0; i < TILE; i += ROWS) {
        uint32_t at[ROWS], moved;
        for (int l = 0; l < ROWS; l++) at[l] = exits[w->exit[i + l]];
        do {
            moved = 0;
#pragma GCC unroll 8
            for (int l = 0; l < ROWS; l++) {
                uint32_t by = deep_step(f, &nodes[at[l]], w->bins, i + l);
                at[l] += by;
                moved |= by;
            }
        } while (moved);
        for (int l = 0; l < ROWS; l++) w->leaf[i + l] = nodes[at[l]].set;
    }
}

/* Leaf numbers of a tree, in w->leaf when it is deep (true), else in w->exit. */
static bool tile_leaves(tile *w, const wr_ftree *t)
{
    wr_tree_tile(w->f->ops + t->op, t->nops, (const wr_tset *)(const void *)w->f->bin_sets, w->bins, TILE, &w->scratch, w->exit);
    if (t->exit == SIZE_MAX) return false;
    walk_deep(w, t);
    return true;
}

static void tile_float(tile *w, const wr_ftree *t, const wr_ftree *end, float m[TILE])
{
    for (; t < end; t++) {
        const float *values = w->f->leaf_float + t->leaf;
        if (tile_leaves(w, t)) {
            for (int i = 0; i < TILE; i++) m[i] += values[w->leaf[i]];
        } else {
            for (int i = 0; i < TILE; i++) m[i] += values[w->exit[i]];
        }
    }
}

static void tile_double(tile *w, const wr_ftree *t, const wr_ftree *end, double m[TILE])
{
    for (; t < end; t++) {
        const double *values = w->f->values.at + t->leaf;
        if (tile_leaves(w, t)) {
            for (int i = 0; i < TILE; i++) m[i] += values[w->leaf[i]];
        } else {
            for (int i = 0; i < TILE; i++) m[i] += values[w->exit[i]];
        }
    }
}

static void tile_values(tile *w, size_t n, double *out)
{
    const wr_forest *f = w->f;
    for (size_t k = 0; k < f->trees.n; k++) {
        const wr_ftree *t = &f->trees.at[k];
        bool deep = tile_leaves(w, t);
        for (size_t i = 0; i < n; i++) add_values(f, t->leaf + (deep ? w->leaf[i] : w->exit[i]), out + i * f->nmargins);
    }
}

static void predict_tile(tile *w, const float *rows, size_t n, double *out)
{
    const wr_forest *f = w->f;
    size_t nm = f->nmargins;
    bin_tile(w, rows, n);
    for (size_t i = 0; i < n * nm && f->nvalues > 1; i++) out[i] = first_sum(f, (uint32_t)(i % nm));
    if (f->nvalues > 1) tile_values(w, n, out);
    for (uint32_t k = 0; k < nm && f->nvalues == 1; k++) {
        const wr_ftree *from = f->trees.at + f->output_first[k], *end = f->trees.at + f->output_first[k + 1];
        if (f->sum_float) {
            float m[TILE];
            for (int i = 0; i < TILE; i++) m[i] = (float)first_sum(f, k);
            tile_float(w, from, end, m);
            for (size_t i = 0; i < n; i++) out[i * nm + k] = (double)m[i];
        } else {
            double m[TILE];
            for (int i = 0; i < TILE; i++) m[i] = first_sum(f, k);
            tile_double(w, from, end, m);
            for (size_t i = 0; i < n; i++) out[i * nm + k] = m[i];
        }
    }
    if (!f->average && !f->base_last) return;
    for (size_t i = 0; i < n * nm; i++) out[i] = finish_sum(f, (uint32_t)(i % nm), out[i]);
}

/* ---- any number of rows ---- */

typedef struct {
    const wr_forest *f;
    const float *rows;
    size_t n;
    double *out;
    wr_forest_kernel kernel;
} work;

static wr_forest_kernel choose(const wr_forest *f, size_t n)
{
    wr_forest_kernel k = wr_forest_force;
    bool no_room = n <= WR_FOREST_STACK_ROWS && f->nlines > 2 * WR_FOREST_STACK_COLUMNS;
    if (k == WR_FOREST_KERNEL_AUTO) k = n < LEAST_TILE || no_room ? WR_FOREST_KERNEL_ROW : WR_FOREST_KERNEL_TILE;
    if (k == WR_FOREST_KERNEL_TILE && !f->ops) k = WR_FOREST_KERNEL_ROW;
    if (k == WR_FOREST_KERNEL_ROW && !f->steps) k = WR_FOREST_KERNEL_PLAIN;
    return k;
}

static void block_plain(const work *w, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) margins_plain(w->f, w->rows + i * w->f->nfeatures, w->out + i * w->f->nmargins);
}

static void block_rows(const work *w, size_t from, size_t to)
{
    const wr_forest *f = w->f;
    float small[2 * WR_FOREST_STACK_COLUMNS + 1];
    WR_AUTOFREE float *large = f->ncolumns > WR_FOREST_STACK_COLUMNS ? wr_alloc((2 * f->ncolumns + 1) * sizeof *large) : NULL;
    if (f->ncolumns > WR_FOREST_STACK_COLUMNS && !large) block_plain(w, from, to); /* slower and the same */
    else predict_rows(f, w->rows + from * f->nfeatures, to - from, w->out + from * f->nmargins, large ? large : small);
}

static void block_tiles(const work *w, size_t from, size_t to)
{
    const wr_forest *f = w->f;
    alignas(64) uint8_t small[2 * WR_FOREST_STACK_COLUMNS * TILE];
    size_t bytes = f->nlines * TILE;
    WR_AUTOFREE uint8_t *large = bytes > sizeof small ? wr_alloc(bytes) : NULL;
    tile t;
    t.f = f;
    t.bins = large ? large : small;
    if (bytes > sizeof small && !large) {
        block_plain(w, from, to);
        return;
    }
    wr_tree_scratch(&t.scratch, f->most_exits ? f->most_exits : 1);
    for (; from < to; from += TILE) {
        size_t n = to - from < TILE ? to - from : TILE;
        predict_tile(&t, w->rows + from * f->nfeatures, n, w->out + from * f->nmargins);
    }
}

static void predict_block(void *p, size_t index)
{
    const work *w = p;
    size_t from = index * BLOCK, to = w->n - from < BLOCK ? w->n : from + BLOCK;
    if (w->kernel == WR_FOREST_KERNEL_TILE) block_tiles(w, from, to);
    else if (w->kernel == WR_FOREST_KERNEL_ROW) block_rows(w, from, to);
    else block_plain(w, from, to);
}

int wr_forest_margins(const wr_forest *f, const float *rows, size_t n, double *out, wr_pool *pool, wr_err *err)
{
    (void)err;
    work w = {f, rows, n, out, choose(f, n)};
    wr_pool_for(n > BLOCK ? pool : NULL, (n + BLOCK - 1) / BLOCK, predict_block, &w);
    return 0;
}
