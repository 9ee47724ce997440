/* SPDX-License-Identifier: Apache-2.0 */
/* forest_predict.c - margins of rows: the plain walk, one row, 64 rows.
 *
 * One row, sixteen trees at a time. It is copied to cells, two a column: the value, and the value with NaN replaced by
 * -inf; then one cell with -inf. A comparison `x <= threshold` sends NaN right and -inf left, so a node picks its
 * direction for missing values by picking the cell. A leaf compares the last cell with its own value: true, and its
 * left child is itself. Categories are bins in both cells.
 *
 * 64 rows, up to eight times. Columns are binned; a tree's program gives the number of its leaf, or in large trees of
 * the node from which the row walks on, through sixteen trees at a time again.
 *
 * Trees of one output are added one after the other, float or double as the forest says: all kernels make the same
 * additions.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "calc/forest_internal.h"

enum { LANES = WR_FOREST_LANES, EVEN_DEPTH = 8, TILE = WR_TREES_TILE, BLOCK = 2048 };
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

typedef struct {
    bool wide, category;
} shape; /* constants where the functions below are used */

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

/* From nodes to leaves: the walks are independent, so their latencies overlap. reach: how far the deepest may go. Short
 * ways are walked that far by all; others until all rest. */
static ALWAYS void walk_lanes(const wr_forest *f, shape s, const size_t lanes, unsigned reach, const float *x,
                              size_t at[LANES])
{
    if (reach <= EVEN_DEPTH) {
        for (; reach > 0; reach--) {
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

/* Leaves of some trees from k on: how many. Lanes past the end walk the last tree again. */
static ALWAYS size_t walk_some(const wr_forest *f, shape s, size_t k, size_t end, const float *x, size_t at[LANES])
{
    size_t n = end - k < LANES ? end - k : LANES;
    for (size_t l = 0; l < LANES; l++) at[l] = f->roots[l < n ? k + l : end - 1];
    if (n <= LANES / 2) walk_lanes(f, s, LANES / 2, f->reach[k], x, at);
    else walk_lanes(f, s, LANES, f->reach[k], x, at);
    return n;
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

/* Tiles whose bins are there together: a tree's nodes are read once for all of them. */
enum { GROUP = 8 };

typedef struct {
    const wr_forest *f;
    uint8_t *bins;      /* of the first tile; others follow */
    float *cells;       /* of its rows, when there are large trees */
    size_t tiles, rows; /* in the group */
    wr_tscratch scratch;
} group;

static void bin_tile(const wr_forest *f, uint8_t *bins, const float *rows, size_t n)
{
    float column[TILE];
    for (size_t j = 0; j < f->ncolumns; j++) {
        const wr_fcolumn *c = &f->columns[j];
        uint8_t *out = bins + (size_t)c->line * TILE;
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

static void run_program(group *w, const wr_ftree *t, size_t number, uint8_t exit[TILE])
{
    const uint8_t *bins = w->bins + number * w->f->nlines * TILE;
    wr_tree_tile(w->f->ops + t->op, t->nops, (const wr_tset *)(const void *)w->f->bin_sets, bins, TILE, &w->scratch,
                 exit);
}

/* Programs of whole trees: exits are leaves. */
static void tiles_float(group *w, const wr_ftree *t, const wr_ftree *end, float *m)
{
    uint8_t exit[TILE];
    for (; t < end; t++) {
        const float *values = w->f->leaf_float + t->leaf;
        for (size_t k = 0; k < w->tiles; k++) {
            float *to = m + k * TILE;
            run_program(w, t, k, exit);
            for (int i = 0; i < TILE; i++) to[i] += values[exit[i]];
        }
    }
}

static void tiles_double(group *w, const wr_ftree *t, const wr_ftree *end, double *m)
{
    uint8_t exit[TILE];
    for (; t < end; t++) {
        const double *values = w->f->values.at + t->leaf;
        for (size_t k = 0; k < w->tiles; k++) {
            double *to = m + k * TILE;
            run_program(w, t, k, exit);
            for (int i = 0; i < TILE; i++) to[i] += values[exit[i]];
        }
    }
}

static void tiles_values(group *w, double *out)
{
    const wr_forest *f = w->f;
    uint8_t exit[TILE];
    for (size_t t = 0; t < f->trees.n; t++) {
        const wr_ftree *tree = &f->trees.at[t];
        for (size_t k = 0; k < w->tiles; k++) {
            run_program(w, tree, k, exit);
            for (size_t i = 0; i < TILE && k * TILE + i < w->rows; i++)
                add_values(f, tree->leaf + exit[i], out + (k * TILE + i) * f->nmargins);
        }
    }
}

/* Large trees: programs of some trees for a tile, then each row goes on from their exits through all of them. out:
 * margins of the tile's rows, `stride` apart; of leaves of one value, of one output. */
static ALWAYS void large_trees(group *w, shape s, size_t k, size_t n, size_t number, double *out, size_t stride)
{
    const wr_forest *f = w->f;
    const wr_ftree *t = f->trees.at + k;
    uint8_t exit[LANES][TILE];
    size_t from = number * TILE, rows = w->rows - from < TILE ? w->rows - from : TILE, width = 2 * f->ncolumns + 1;
    for (size_t l = 0; l < n; l++) run_program(w, &t[l], number, exit[l]);
    for (size_t i = 0; i < rows; i++) {
        size_t at[LANES];
        double *to = out + i * stride;
        for (size_t l = 0; l < LANES; l++) at[l] = f->exits[t[l < n ? l : 0].exit + exit[l < n ? l : 0][i]];
        walk_lanes(f, s, LANES, f->below[k], w->cells + (from + i) * width, at);
        if (f->nvalues > 1) {
            for (size_t l = 0; l < n; l++) add_values(f, leaf_at(f, s.wide, at[l]), to);
        } else if (f->direct) {
            float m = (float)*to;
            for (size_t l = 0; l < n; l++) m += value_at(f, s.wide, at[l]);
            *to = (double)m;
        } else {
            for (size_t l = 0; l < n; l++) *to += f->values.at[leaf_at(f, s.wide, at[l])];
        }
    }
}

static void large_output(group *w, size_t k, size_t end, double *out, size_t stride)
{
    const wr_forest *f = w->f;
    for (; k < end; k += LANES) {
        size_t n = end - k < LANES ? end - k : LANES;
        for (size_t number = 0; number < w->tiles; number++) {
            double *to = out + number * TILE * stride;
            if (f->long_steps) large_trees(w, (shape){true, true}, k, n, number, to, stride);
            else if (f->any_category) large_trees(w, (shape){false, true}, k, n, number, to, stride);
            else large_trees(w, (shape){false, false}, k, n, number, to, stride);
        }
    }
}

static void predict_large(group *w, const float *rows, double *out)
{
    const wr_forest *f = w->f;
    size_t n = w->rows, nm = f->nmargins;
    for (size_t i = 0; i < n; i++) fill_cells(f, rows + i * f->nfeatures, w->cells + i * (2 * f->ncolumns + 1));
    for (size_t i = 0; i < n * nm; i++) out[i] = first_sum(f, (uint32_t)(i % nm));
    if (f->nvalues > 1) {
        large_output(w, 0, f->trees.n, out, nm);
    } else {
        for (uint32_t k = 0; k < nm; k++) large_output(w, f->output_first[k], f->output_first[k + 1], out + k, nm);
    }
}

static void predict_output(group *w, uint32_t output, double *out)
{
    const wr_forest *f = w->f;
    const wr_ftree *from = f->trees.at + f->output_first[output], *end = f->trees.at + f->output_first[output + 1];
    size_t nm = f->nmargins, n = w->tiles * TILE;
    if (f->sum_float) {
        float m[GROUP * TILE];
        for (size_t i = 0; i < n; i++) m[i] = (float)first_sum(f, output);
        tiles_float(w, from, end, m);
        for (size_t i = 0; i < w->rows; i++) out[i * nm + output] = (double)m[i];
    } else {
        double m[GROUP * TILE];
        for (size_t i = 0; i < n; i++) m[i] = first_sum(f, output);
        tiles_double(w, from, end, m);
        for (size_t i = 0; i < w->rows; i++) out[i * nm + output] = m[i];
    }
}

static void predict_group(group *w, const float *rows, double *out)
{
    const wr_forest *f = w->f;
    size_t n = w->rows, nm = f->nmargins;
    for (size_t k = 0; k < w->tiles; k++) {
        size_t from = k * TILE, some = n - from < TILE ? n - from : TILE;
        bin_tile(f, w->bins + k * f->nlines * TILE, rows + from * f->nfeatures, some);
    }
    if (f->exits) {
        predict_large(w, rows, out);
    } else if (f->nvalues > 1) {
        for (size_t i = 0; i < n * nm; i++) out[i] = first_sum(f, (uint32_t)(i % nm));
        tiles_values(w, out);
    } else {
        for (uint32_t k = 0; k < nm; k++) predict_output(w, k, out);
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
    bool mixed; /* a tile that would be rather empty is left to the kernel of rows */
} work;

static wr_forest_kernel cheapest(const wr_forest *f, size_t n)
{
    bool no_room = n <= WR_FOREST_STACK_ROWS &&
                   (f->exits || f->nlines > 2 * WR_FOREST_STACK_COLUMNS); /* nothing is allocated for few rows */
    size_t rows = n * f->cost_row, tiles = (n + TILE - 1) / TILE * f->cost_tile;
    wr_forest_kernel k = no_room || rows <= tiles ? WR_FOREST_KERNEL_ROW : WR_FOREST_KERNEL_TILE;
    size_t least = k == WR_FOREST_KERNEL_ROW ? rows : tiles;
    if (wr_flanes_can(f) && (n == 1 ? f->lanes->alone : n * f->lanes->row) < least) k = WR_FOREST_KERNEL_LANES;
    return k;
}

static wr_forest_kernel choose(const wr_forest *f, size_t n)
{
    wr_forest_kernel k = wr_forest_force == WR_FOREST_KERNEL_AUTO ? cheapest(f, n) : wr_forest_force;
    if (k == WR_FOREST_KERNEL_LANES && !wr_flanes_can(f)) k = WR_FOREST_KERNEL_TILE;
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
    WR_AUTOFREE float *large =
        f->ncolumns > WR_FOREST_STACK_COLUMNS ? wr_alloc((2 * f->ncolumns + 1) * sizeof *large) : NULL;
    if (f->ncolumns > WR_FOREST_STACK_COLUMNS && !large) block_plain(w, from, to); /* slower and the same */
    else predict_rows(f, w->rows + from * f->nfeatures, to - from, w->out + from * f->nmargins, large ? large : small);
}

static void block_lanes(const work *w, size_t from, size_t to)
{
    const wr_forest *f = w->f;
    double *out = w->out + from * f->nmargins;
    size_t n = (to - from) * f->nmargins;
    for (size_t i = 0; i < n; i++) out[i] = first_sum(f, (uint32_t)(i % f->nmargins));
    wr_flanes_margins(f, w->rows + from * f->nfeatures, to - from, out);
    if (!f->average && !f->base_last) return;
    for (size_t i = 0; i < n; i++) out[i] = finish_sum(f, (uint32_t)(i % f->nmargins), out[i]);
}

static void block_tiles(const work *w, size_t from, size_t to)
{
    const wr_forest *f = w->f;
    alignas(64) uint8_t small[2 * WR_FOREST_STACK_COLUMNS * TILE];
    size_t most = (to - from + TILE - 1) / TILE < GROUP ? (to - from + TILE - 1) / TILE : GROUP,
           bytes = f->nlines * TILE * most;
    WR_AUTOFREE uint8_t *large = bytes > sizeof small ? wr_alloc(bytes) : NULL;
    WR_AUTOFREE float *cells = f->exits ? wr_alloc(most * TILE * (2 * f->ncolumns + 1) * sizeof *cells) : NULL;
    group g;
    if ((bytes > sizeof small && !large) || (f->exits && !cells)) {
        block_plain(w, from, to); /* slower and the same */
        return;
    }
    g.f = f;
    g.cells = cells;
    g.bins = large ? large : small;
    wr_tree_scratch(&g.scratch, f->most_exits ? f->most_exits : 1);
    for (; from < to; from += g.rows) {
        g.rows = to - from < GROUP * TILE ? to - from : GROUP * TILE;
        g.tiles = (g.rows + TILE - 1) / TILE;
        predict_group(&g, w->rows + from * f->nfeatures, w->out + from * f->nmargins);
    }
}

static void predict_block(void *p, size_t index)
{
    const work *w = p;
    size_t from = index * BLOCK, to = w->n - from < BLOCK ? w->n : from + BLOCK;
    if (w->kernel == WR_FOREST_KERNEL_LANES) {
        block_lanes(w, from, to);
    } else if (w->kernel == WR_FOREST_KERNEL_TILE) {
        size_t rest = w->mixed ? (to - from) % TILE : 0;
        if (rest * w->f->cost_row > w->f->cost_tile) rest = 0;
        block_tiles(w, from, to - rest);
        if (rest) block_rows(w, to - rest, to);
    } else if (w->kernel == WR_FOREST_KERNEL_ROW) block_rows(w, from, to);
    else block_plain(w, from, to);
}

int wr_forest_margins(const wr_forest *f, const float *rows, size_t n, double *out, wr_pool *pool, wr_err *err)
{
    (void)err;
    work w = {f, rows, n, out, choose(f, n), wr_forest_force == WR_FOREST_KERNEL_AUTO && f->steps};
    wr_pool_for(n > BLOCK ? pool : NULL, (n + BLOCK - 1) / BLOCK, predict_block, &w);
    return 0;
}
