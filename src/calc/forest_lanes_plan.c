/* SPDX-License-Identifier: Apache-2.0 */
/* forest_lanes_plan.c - which forests are for lanes, and their tables (see forest_lanes.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "calc/forest_internal.h"

enum {
    TREES = WR_FLANES,
    PLACE = 2 * TREES,
    NODE = 4 * TREES,
    PIECE = 254,
    TOP = 16,
    ALIGN = 64,
    FREE_BYTES = 1 << 18,
    LOOK = 16, /* floats are read sixteen at a time */
};

void wr_flanes_free(wr_flanes *l)
{
    if (!l) return;
    void *owned[] = {l->blocks, l->tables_room, l->values, l->columns, l->cut, l->tops, l->cuts_room, l->first_cell};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wr_free(owned[i]);
    wr_free(l);
}

static size_t pieces_of(const wr_fcolumn *c) { return c->ncuts ? (c->ncuts + PIECE - 1) / PIECE : 1; }

/* Cells that a row has; 0: more than there can be, or categories. */
static size_t count_cells(const wr_forest *f, bool second)
{
    size_t n = 0;
    for (size_t j = 0; j < f->ncolumns; j++) {
        if (f->columns[j].kind == WR_FCOLUMN_CATEGORY || f->columns[j].ncuts > WR_FLANES_CUTS) return 0;
        n += pieces_of(&f->columns[j]) << second;
    }
    return n <= WR_FLANES_CELLS ? n : 0;
}

static size_t width_of(size_t cells) { return cells <= 64 ? 64 : cells <= 128 ? 128 : 256; }

static bool any_missing_left(const wr_forest *f)
{
    for (size_t i = 0; i < f->nodes.n; i++) {
        if (f->nodes.at[i].left && f->nodes.at[i].bits & WR_FOREST_MISSING_LEFT) return true;
    }
    return false;
}

/* Hundredths of a nanosecond, as measured on one processor: what matters is which of two is less. Places and nodes of a block for a row. */
enum { BIN = 230, BIN_ALONE = 530, SUM = 20, SUM_SLOW = 30, SUM_ALONE = 95, STEP = 90, CELL = 100, OP = 205 };

static size_t block_cost(const wr_fblock *b, size_t width)
{
    size_t places = (size_t)1 << b->bits;
    if (wr_flanes_wide()) return b->nodes ? b->nodes * (width > 128 ? 170 : 112) : places * 42;
    return b->nodes ? b->nodes * (140 + 3 * width) : places * 75 + b->bits * width * 4;
}

static size_t table_bytes(const wr_fblock *b)
{
    return b->nodes ? TREES + b->nodes * NODE : (((size_t)1 << b->bits) - 1) * PLACE;
}

/* The cheaper form of a block; bits 0 and nodes 0 when there is none. */
static wr_fblock block_of(const wr_forest *f, size_t number, size_t width)
{
    size_t from = number * TREES, n = f->trees.n - from < TREES ? f->trees.n - from : TREES, depth = 1, leaves = 1;
    for (size_t t = from; t < from + n; t++) {
        const wr_ftree *tree = &f->trees.at[t];
        depth = tree->depth > depth ? tree->depth : depth;
        leaves = tree->nleaves > leaves ? tree->nleaves : leaves;
    }
    wr_fblock none = {.ntrees = (uint32_t)n}, full = none, each = none;
    full.bits = (uint32_t)depth;
    each.nodes = (uint32_t)(leaves > 1 ? leaves - 1 : 1);
    while ((size_t)1 << each.bits < leaves) each.bits++;
    if (leaves > WR_FLANES_LEAVES) return depth > WR_FLANES_DEPTH ? none : full;
    return depth > WR_FLANES_DEPTH || block_cost(&each, width) < block_cost(&full, width) ? each : full;
}

/* Every block has a form, and not so few nodes that tables would be far larger than the forest. */
static bool suited(const wr_forest *f, size_t width)
{
    size_t bytes = 0;
    if (f->nvalues > 1 || !f->trees.n || !f->ncolumns) return false;
    for (size_t k = 0; k * TREES < f->trees.n; k++) {
        wr_fblock b = block_of(f, k, width);
        if (!b.bits && !b.nodes) return false;
        bytes += table_bytes(&b) + ((size_t)b.ntrees << b.bits) * sizeof(double);
    }
    return bytes <= 128 * f->nodes.n + FREE_BYTES;
}

/* Columns by falling number of pieces: those that have a k-th piece are the first ones. */
static void order_columns(const wr_forest *f, wr_flanes *l)
{
    size_t n = 0, cell = 0;
    for (size_t j = 0; j < f->ncolumns; j++) {
        size_t p = pieces_of(&f->columns[j]);
        l->npieces = p > l->npieces ? p : l->npieces;
    }
    for (size_t p = l->npieces; p > 0; p--) {
        for (size_t j = 0; j < f->ncolumns; j++) {
            if (pieces_of(&f->columns[j]) == p) l->columns[n++] = (uint32_t)j;
        }
        l->piece_columns[p - 1] = n;
    }
    for (size_t p = 0; p < l->npieces; p++) {
        l->piece_cell[p] = cell;
        cell += l->piece_columns[p];
    }
    for (size_t k = 0; k < n; k++) l->first_cell[l->columns[k]] = (uint32_t)k;
}

static void *aligned(uint8_t *room) { return room + (ALIGN - (uintptr_t)room % ALIGN) % ALIGN; }

static size_t tops_of(const wr_fcolumn *c) { return c->ncuts < TOP ? 0 : (c->ncuts / TOP + 1 + TOP - 1) / TOP; }

static int copy_cuts(const wr_forest *f, wr_flanes *l, wr_err *err)
{
    size_t total = 0;
    for (size_t k = 0; k < f->ncolumns; k++) {
        const wr_fcolumn *c = &f->columns[l->columns[k]];
        l->cut[k] = total;
        l->tops[k] = (uint32_t)tops_of(c);
        if (l->tops[k] <= WR_FLANES_TOPS) total += (l->tops[k] + c->ncuts / TOP + 1) * TOP;
    }
    l->cuts_room = wr_alloc(total * sizeof *l->cuts + ALIGN);
    if (!l->cuts_room) return wr_err_nomem(err);
    l->cuts = aligned(l->cuts_room);
    l->memory += total * sizeof *l->cuts + ALIGN;
    for (size_t i = 0; i < total; i++) l->cuts[i] = INFINITY;
    for (size_t k = 0; k < f->ncolumns; k++) {
        const wr_fcolumn *c = &f->columns[l->columns[k]];
        if (l->tops[k] > WR_FLANES_TOPS) continue;
        float *top = l->cuts + l->cut[k], *cuts = top + l->tops[k] * TOP;
        if (c->ncuts) memcpy(cuts, c->cuts, c->ncuts * sizeof *cuts);
        for (size_t i = 0; l->tops[k] && i < c->ncuts / TOP; i++) top[i] = cuts[i * TOP + TOP - 1];
    }
    return 0;
}

typedef struct {
    const wr_forest *f;
    const wr_ftree *tree;
    const wr_fblock *block;
    uint8_t *table; /* of the tree: its byte of the block's first vector */
    size_t slot;
} filling;

static void set_value(const filling *w, size_t slot, size_t leaf)
{
    const wr_forest *f = w->f;
    double value = f->values.at[w->tree->leaf + leaf];
    if (f->lanes->floats) ((float *)f->lanes->values)[w->slot + slot] = (float)value;
    else ((double *)f->lanes->values)[w->slot + slot] = value;
}

/* What a node looks at: the cell, and TREES behind it the bound. */
static void set_test(const filling *w, const wr_fnode *d, uint8_t *at)
{
    const wr_flanes *l = w->f->lanes;
    uint32_t bin = wr_fcolumn_cut(&w->f->columns[d->column], d->threshold), piece = bin / PIECE;
    bool left = (d->bits & WR_FOREST_MISSING_LEFT) != 0;
    at[0] = (uint8_t)(l->piece_cell[piece] + l->first_cell[d->column] + (left ? l->second : 0));
    at[TREES] = (uint8_t)(bin - piece * PIECE + left);
}

/* Full levels: a node at a place of its level, and what is below it, at most WR_FLANES_DEPTH calls deep. */
static void fill_places(const filling *w, size_t node, unsigned level, size_t place)
{
    const wr_fnode *d = &w->f->nodes.at[w->tree->node + node];
    if (!d->left) {
        for (size_t k = place; k < (size_t)1 << w->block->bits; k += (size_t)1 << level) set_value(w, k, d->index);
        return;
    }
    set_test(w, d, w->table + (((size_t)1 << level) - 1 + place) * PLACE);
    fill_places(w, d->left, level + 1, place);
    fill_places(w, d->left + 1, level + 1, place + ((size_t)1 << level));
}

/* Node by node: inner nodes are numbered from 0 on as they stand in the tree, leaf k is 128 + k. */
static void fill_nodes(const filling *w)
{
    const wr_fnode *nodes = w->f->nodes.at + w->tree->node;
    uint8_t number[2 * WR_FLANES_LEAVES], inner = 0;
    for (size_t i = 0; i < w->tree->nnodes; i++) {
        number[i] = nodes[i].left ? inner++ : (uint8_t)(WR_FLANES_LEAVES + nodes[i].index);
        if (!nodes[i].left) set_value(w, nodes[i].index, nodes[i].index);
    }
    w->table[0] = number[0];
    for (size_t i = 0; i < w->tree->nnodes; i++) {
        if (!nodes[i].left) continue;
        uint8_t *at = w->table + TREES + number[i] * NODE;
        set_test(w, &nodes[i], at);
        at[2 * TREES] = number[nodes[i].left];
        at[3 * TREES] = number[nodes[i].left + 1];
    }
}

static int fill_blocks(wr_forest *f, wr_flanes *l, wr_err *err)
{
    l->floats = true;
    for (size_t i = 0; i < f->values.n && !f->sum_float; i++) l->floats &= (double)(float)f->values.at[i] == f->values.at[i];
    size_t bytes = 0, slots = 0, size = l->floats ? sizeof(float) : sizeof(double);
    for (size_t k = 0; k < l->nblocks; k++) {
        wr_fblock *b = &l->blocks[k];
        *b = block_of(f, k, l->width);
        b->table = bytes;
        b->slot = slots;
        bytes += table_bytes(b);
        slots += (size_t)b->ntrees << b->bits;
    }
    l->tables_room = wr_alloc(bytes + ALIGN);
    l->values = wr_calloc(slots + LOOK, size);
    if (!l->tables_room || !l->values) return wr_err_nomem(err);
    l->memory += bytes + ALIGN + (slots + LOOK) * size;
    l->tables = aligned(l->tables_room);
    for (size_t i = 0; i < bytes; i++) l->tables[i] = i % PLACE < TREES ? 0 : UINT8_MAX; /* where no node is, all go left */
    for (size_t t = 0; t < f->trees.n; t++) {
        const wr_fblock *b = &l->blocks[t / TREES];
        filling w = {f, &f->trees.at[t], b, l->tables + b->table + t % TREES, b->slot + (t % TREES << b->bits)};
        if (b->nodes) fill_nodes(&w);
        else fill_places(&w, 0, 0, 0);
    }
    return 0;
}

static int fill_lanes(wr_forest *f, wr_flanes *l, size_t cells, bool second, wr_err *err)
{
    size_t n = f->ncolumns;
    l->nblocks = (f->trees.n + TREES - 1) / TREES;
    l->blocks = wr_calloc(l->nblocks, sizeof *l->blocks);
    l->columns = wr_calloc(n, sizeof *l->columns);
    l->first_cell = wr_calloc(n, sizeof *l->first_cell);
    l->cut = wr_calloc(n, sizeof *l->cut);
    l->tops = wr_calloc(n, sizeof *l->tops);
    if (!l->blocks || !l->columns || !l->first_cell || !l->cut || !l->tops) return wr_err_nomem(err);
    l->width = width_of(cells);
    l->second = second ? cells / 2 : 0;
    l->memory = sizeof *l + l->nblocks * sizeof *l->blocks + n * 20;
    order_columns(f, l);
    WR_TRY(copy_cuts(f, l, err));
    return fill_blocks(f, l, err);
}

static void weigh(const wr_forest *f, wr_flanes *l)
{
    size_t blocks = 0, trees = f->trees.n, steps = 0, ops = 0;
    for (size_t k = 0; k < l->nblocks; k++) blocks += block_cost(&l->blocks[k], l->width);
    for (size_t k = 0; k < trees; k++) {
        const wr_ftree *t = &f->trees.at[k];
        steps += t->depth;
        ops += t->nops;
    }
    l->alone = f->ncolumns * BIN_ALONE + 2 * blocks + trees * SUM_ALONE;
    l->row = f->ncolumns * BIN + blocks + trees * (l->floats && wr_flanes_wide() ? SUM : SUM_SLOW);
    l->steps = f->ncolumns * CELL + steps * STEP;
    l->tile = ops * OP + WR_TREES_TILE * (f->ncolumns * BIN + trees * SUM_SLOW);
    if (f->exits) l->tile += WR_TREES_TILE * steps * STEP / 2;
}

int wr_flanes_make(wr_forest *f, wr_err *err)
{
    bool second = any_missing_left(f);
    size_t cells = count_cells(f, second);
    if (!cells || !suited(f, width_of(cells))) return 0;
    f->lanes = wr_calloc(1, sizeof *f->lanes);
    if (!f->lanes) return wr_err_nomem(err);
    WR_TRY(fill_lanes(f, f->lanes, cells, second, err));
    weigh(f, f->lanes);
    f->memory += f->lanes->memory;
    return 0;
}
