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
    void *owned[] = {l->blocks, l->tables_room, l->values, l->columns, l->cut, l->tops, l->cuts_room, l->first_cell, l->categories, l->marks, l->words};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wr_free(owned[i]);
    wr_free(l);
}

static size_t pieces_of(const wr_fcolumn *c) { return c->ncuts ? (c->ncuts + PIECE - 1) / PIECE : 1; }

static bool is_category(const wr_fcolumn *c) { return c->kind == WR_FCOLUMN_CATEGORY; }

/* Cells that a row has; false: more than there can be. */
static bool count_cells(const wr_forest *f, bool second, size_t *cells)
{
    size_t n = 0, categories = 0;
    for (size_t j = 0; j < f->ncolumns; j++) {
        if (f->columns[j].ncuts > WR_FLANES_CUTS) return false;
        if (is_category(&f->columns[j])) categories++;
        else n += pieces_of(&f->columns[j]) << second;
    }
    *cells = n;
    return n <= WR_FLANES_CELLS && categories <= WR_FLANES_CATEGORIES;
}

static size_t width_of(size_t cells) { return cells <= 64 ? 64 : cells <= 128 ? 128 : 256; }

static bool any_missing_left(const wr_forest *f)
{
    for (size_t i = 0; i < f->nodes.n; i++) {
        const wr_fnode *d = &f->nodes.at[i];
        if (d->left && d->bits & WR_FOREST_MISSING_LEFT && !(d->bits & WR_FOREST_CATEGORY)) return true;
    }
    return false;
}

/* Of the row, by measurement as WR_FOREST_COST_. */
static size_t block_cost(const wr_fblock *b, size_t width)
{
    size_t places = (size_t)1 << b->bits, marks = b->nmarks * (250 + 13 * b->nodes);
    if (wr_flanes_wide()) return b->nodes ? marks + b->nodes * (width > 128 ? 170 : 112) : places * 42;
    return b->nodes ? marks + b->nodes * (140 + 3 * width) : places * 75 + b->bits * width * 4;
}

static size_t words_of(const wr_fblock *b) { return (b->nodes + 7) / 8 * 8; } /* of a bin: whole vectors */

static size_t table_bytes(const wr_fblock *b)
{
    return b->nodes ? TREES + b->nodes * NODE : (((size_t)1 << b->bits) - 1) * PLACE;
}

/* Which columns of categories some trees look at. Their number. */
static size_t find_categories(const wr_forest *f, const wr_ftree *trees, size_t n, bool *has)
{
    size_t found = 0;
    memset(has, 0, f->ncolumns * sizeof *has);
    for (const wr_ftree *t = trees; t < trees + n && f->any_category; t++) {
        for (size_t i = t->node; i < t->node + t->nnodes; i++) {
            const wr_fnode *d = &f->nodes.at[i];
            if (!d->left || !is_category(&f->columns[d->column]) || has[d->column]) continue;
            has[d->column] = true;
            found++;
        }
    }
    return found;
}

/* The cheaper form of a block; bits 0 and nodes 0 when there is none. has: scratch, a place a column. */
static wr_fblock block_of(const wr_forest *f, size_t number, size_t width, bool *has)
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
    each.nmarks = find_categories(f, &f->trees.at[from], n, has);
    while ((size_t)1 << each.bits < leaves) each.bits++;
    bool may_full = depth <= WR_FLANES_DEPTH && !each.nmarks, may_each = leaves <= WR_FLANES_LEAVES;
    if (may_full && (!may_each || block_cost(&full, width) <= block_cost(&each, width))) return full;
    return may_each ? each : none;
}

static size_t mark_bytes(const wr_forest *f, const wr_fblock *b, const bool *has)
{
    size_t bins = 0;
    for (size_t j = 0; j < f->ncolumns && b->nmarks; j++) bins += has[j] ? f->columns[j].ncodes + 2 : 0;
    return bins * words_of(b) * sizeof(uint64_t);
}

/* Every block has a form, and not so few nodes that tables would be far larger than the forest. */
static bool suited(const wr_forest *f, size_t width, bool *has)
{
    size_t bytes = 0;
    for (size_t k = 0; k * TREES < f->trees.n; k++) {
        wr_fblock b = block_of(f, k, width, has);
        if (!b.bits && !b.nodes) return false;
        bytes += table_bytes(&b) + mark_bytes(f, &b, has) + ((size_t)b.ntrees << b.bits) * sizeof(double);
        if (bytes > 128 * f->nodes.n + FREE_BYTES) return false;
    }
    return true;
}

/* Columns by falling number of pieces: those that have a k-th piece are the first ones. */
static void order_columns(const wr_forest *f, wr_flanes *l)
{
    size_t n = 0, cell = 0;
    for (size_t j = 0; j < f->ncolumns; j++) {
        size_t p = pieces_of(&f->columns[j]);
        if (is_category(&f->columns[j])) l->categories[l->ncategories++] = (uint32_t)j;
        else l->npieces = p > l->npieces ? p : l->npieces;
    }
    for (size_t p = l->npieces; p > 0; p--) {
        for (size_t j = 0; j < f->ncolumns; j++) {
            if (!is_category(&f->columns[j]) && pieces_of(&f->columns[j]) == p) l->columns[n++] = (uint32_t)j;
        }
        l->piece_columns[p - 1] = n;
    }
    for (size_t p = 0; p < l->npieces; p++) {
        l->piece_cell[p] = cell;
        cell += l->piece_columns[p];
    }
    for (size_t k = 0; k < n; k++) l->first_cell[l->columns[k]] = (uint32_t)k;
    l->ncolumns = n;
}

static void *aligned(uint8_t *room) { return room + (ALIGN - (uintptr_t)room % ALIGN) % ALIGN; }

static size_t tops_of(const wr_fcolumn *c) { return c->ncuts < TOP ? 0 : (c->ncuts / TOP + 1 + TOP - 1) / TOP; }

static int copy_cuts(const wr_forest *f, wr_flanes *l, wr_err *err)
{
    size_t total = 0;
    for (size_t k = 0; k < l->ncolumns; k++) {
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
    for (size_t k = 0; k < l->ncolumns; k++) {
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
        if (is_category(&w->f->columns[nodes[i].column])) at[0] = 0, at[TREES] = UINT8_MAX; /* never right: words say that */
        else set_test(w, &nodes[i], at);
        at[2 * TREES] = number[nodes[i].left];
        at[3 * TREES] = number[nodes[i].left + 1];
    }
}

/* The words of a block's category nodes. */
static void fill_words(const wr_forest *f, const wr_fblock *b, size_t first_tree, const uint32_t *offset)
{
    const wr_flanes *l = f->lanes;
    for (size_t t = 0; t < b->ntrees; t++) {
        const wr_ftree *tree = &f->trees.at[first_tree + t];
        size_t number = 0;
        for (size_t i = tree->node; i < tree->node + tree->nnodes; i++) {
            const wr_fnode *d = &f->nodes.at[i];
            if (!d->left) continue;
            size_t mine = number++;
            if (!is_category(&f->columns[d->column])) continue;
            const wr_fmark *m = l->marks + b->mark;
            while (l->categories[m->category] != d->column) m++;
            const uint8_t *set = f->bin_sets + offset[i];
            for (size_t bin = 0; bin < f->columns[d->column].ncodes + 2; bin++) {
                if (!(set[bin / 8] >> (bin & 7) & 1)) l->words[m->word + bin * words_of(b) + mine] |= (uint64_t)1 << t;
            }
        }
    }
}

static int fill_marks(wr_forest *f, wr_flanes *l, bool *has, const uint32_t *offset, wr_err *err)
{
    size_t marks = 0, words = 0;
    for (size_t k = 0; k < l->nblocks; k++) {
        l->blocks[k].mark = marks;
        marks += l->blocks[k].nmarks;
    }
    if (!marks) return 0;
    l->marks = wr_calloc(marks, sizeof *l->marks);
    if (!l->marks) return wr_err_nomem(err);
    for (size_t k = 0; k < l->nblocks; k++) {
        const wr_fblock *b = &l->blocks[k];
        (void)find_categories(f, &f->trees.at[k * TREES], b->ntrees, has);
        for (size_t j = 0; j < l->ncategories; j++) {
            const wr_fcolumn *c = &f->columns[l->categories[j]];
            if (!has[l->categories[j]]) continue;
            l->marks[l->nmarks++] = (wr_fmark){j, words};
            words += (c->ncodes + 2) * words_of(b);
        }
    }
    l->words = wr_calloc(words, sizeof *l->words);
    if (!l->words) return wr_err_nomem(err);
    l->memory += marks * sizeof *l->marks + words * sizeof *l->words;
    for (size_t k = 0; k < l->nblocks; k++) {
        if (l->blocks[k].nmarks) fill_words(f, &l->blocks[k], k * TREES, offset);
    }
    return 0;
}

static int fill_blocks(wr_forest *f, wr_flanes *l, bool *has, wr_err *err)
{
    l->floats = true;
    for (size_t i = 0; i < f->values.n && !f->sum_float; i++) l->floats &= (double)(float)f->values.at[i] == f->values.at[i];
    size_t bytes = 0, slots = 0, size = l->floats ? sizeof(float) : sizeof(double);
    for (size_t k = 0; k < l->nblocks; k++) {
        wr_fblock *b = &l->blocks[k];
        *b = block_of(f, k, l->width, has);
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
    for (size_t i = 0; i < bytes; i++) l->tables[i] = i % PLACE < TREES ? 0 : UINT8_MAX; /* where a level has no node, all go left */
    for (size_t t = 0; t < f->trees.n; t++) {
        const wr_fblock *b = &l->blocks[t / TREES];
        filling w = {f, &f->trees.at[t], b, l->tables + b->table + t % TREES, b->slot + (t % TREES << b->bits)};
        if (b->nodes) fill_nodes(&w);
        else fill_places(&w, 0, 0, 0);
    }
    return 0;
}

static int make_arrays(wr_forest *f, wr_flanes *l, wr_err *err)
{
    size_t n = f->ncolumns;
    l->nblocks = (f->trees.n + TREES - 1) / TREES;
    l->blocks = wr_calloc(l->nblocks, sizeof *l->blocks);
    l->columns = wr_calloc(n, sizeof *l->columns);
    l->categories = wr_calloc(n, sizeof *l->categories);
    l->first_cell = wr_calloc(n, sizeof *l->first_cell);
    l->cut = wr_calloc(n, sizeof *l->cut);
    l->tops = wr_calloc(n, sizeof *l->tops);
    l->memory = sizeof *l + l->nblocks * sizeof *l->blocks + n * (4 * sizeof *l->columns + sizeof *l->cut);
    return l->blocks && l->columns && l->categories && l->first_cell && l->cut && l->tops ? 0 : wr_err_nomem(err);
}

static void weigh(const wr_forest *f, wr_flanes *l)
{
    size_t blocks = 0, trees = f->trees.n;
    for (size_t k = 0; k < l->nblocks; k++) blocks += block_cost(&l->blocks[k], l->width);
    l->alone = f->ncolumns * WR_FOREST_COST_BIN_ALONE + 2 * blocks + trees * WR_FOREST_COST_SUM_ALONE;
    l->row = f->ncolumns * WR_FOREST_COST_BIN + blocks +
             trees * (l->floats && wr_flanes_wide() ? WR_FOREST_COST_SUM_FAST : WR_FOREST_COST_SUM);
}

int wr_flanes_make(wr_forest *f, const uint32_t *offset, wr_err *err)
{
    bool second = any_missing_left(f);
    size_t cells;
    if (f->nvalues > 1 || !f->trees.n || !f->ncolumns || !count_cells(f, second, &cells)) return 0;
    WR_AUTOFREE bool *has = wr_alloc(f->ncolumns * sizeof *has);
    if (!has) return wr_err_nomem(err);
    if (!suited(f, width_of(cells), has)) return 0;
    wr_flanes *l = f->lanes = wr_calloc(1, sizeof *f->lanes);
    if (!l) return wr_err_nomem(err);
    l->width = width_of(cells);
    l->second = second ? cells / 2 : 0;
    WR_TRY(make_arrays(f, l, err));
    order_columns(f, l);
    WR_TRY(copy_cuts(f, l, err));
    WR_TRY(fill_blocks(f, l, has, err));
    WR_TRY(fill_marks(f, l, has, offset, err));
    weigh(f, l);
    f->memory += l->memory;
    return 0;
}
