/* SPDX-License-Identifier: Apache-2.0 */
/* forest_plan.c - what the kernels need of a forest: columns and their bins, sets by bin, steps, programs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "calc/forest_internal.h"

enum {
    NARROW_CUTS = 254,
    WIDE_CUTS = 65534,
    NARROW_CODES = 254, /* with other and missing: 256 */
    WIDE_CODES = 65534,
    WHOLE_LEAVES = 128, /* trees up to here are programs altogether: */
    TOP_EXITS = 64,     /* 63 operations cost less than six steps, the 128 of the next two levels more than two */
};

/* ---- trees by output ---- */

static int order_trees(wr_forest *f, wr_err *err)
{
    size_t n = f->trees.n;
    f->output_first = wr_calloc(f->nmargins + 1, sizeof *f->output_first);
    WR_AUTOFREE wr_ftree *sorted = wr_alloc((n ? n : 1) * sizeof *sorted);
    WR_AUTOFREE uint32_t *at = wr_calloc(f->nmargins + 1, sizeof *at);
    if (!f->output_first || !sorted || !at) return wr_err_nomem(err);
    for (size_t k = 0; k < n; k++) f->output_first[f->trees.at[k].output + 1]++;
    for (uint32_t o = 0; o < f->nmargins; o++) at[o + 1] = f->output_first[o + 1] += f->output_first[o];
    for (size_t k = 0; k < n; k++) sorted[at[f->trees.at[k].output]++] = f->trees.at[k];
    if (n) memcpy(f->trees.at, sorted, n * sizeof *sorted);
    return 0;
}

/* ---- columns ---- */

/* Gives the used pairs (feature, kind) numbers in their order, and nodes their columns. */
static int find_columns(wr_forest *f, wr_err *err)
{
    size_t keys = (size_t)f->nfeatures * WR_FCOLUMN_KINDS;
    WR_AUTOFREE uint32_t *column_of = wr_calloc(keys, sizeof *column_of);
    if (!column_of) return wr_err_nomem(err);
    for (size_t i = 0; i < f->nodes.n; i++) {
        if (f->nodes.at[i].left) column_of[f->nodes.at[i].column] = 1;
    }
    for (size_t k = 0; k < keys; k++) f->ncolumns += column_of[k];
    f->columns = wr_calloc(f->ncolumns ? f->ncolumns : 1, sizeof *f->columns);
    f->features = wr_calloc(f->ncolumns ? f->ncolumns : 1, sizeof *f->features);
    f->all_numbers = true;
    if (!f->columns || !f->features) return wr_err_nomem(err);
    uint32_t j = 0;
    for (size_t k = 0; k < keys; k++) {
        if (!column_of[k]) continue;
        f->columns[j] = (wr_fcolumn){.feature = (uint32_t)(k / WR_FCOLUMN_KINDS), .kind = (wr_fcolumn_kind)(k % WR_FCOLUMN_KINDS)};
        f->features[j] = f->columns[j].feature;
        f->all_numbers &= f->columns[j].kind == WR_FCOLUMN_NUMBER;
        f->any_category |= f->columns[j].kind == WR_FCOLUMN_CATEGORY;
        f->columns[j].negative_missing = f->negative_missing && f->columns[j].kind == WR_FCOLUMN_CATEGORY;
        column_of[k] = j++;
    }
    for (size_t i = 0; i < f->nodes.n; i++) {
        wr_fnode *d = &f->nodes.at[i];
        d->column = d->left ? column_of[d->column] : 0;
    }
    return 0;
}

static int by_float(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int take_cuts(wr_forest *f, wr_fcolumn *c, float *list, size_t n, wr_err *err)
{
    size_t k = 0;
    qsort(list, n, sizeof *list, by_float);
    for (size_t i = 0; i < n; i++) {
        if (!k || list[i] > list[k - 1]) list[k++] = list[i];
    }
    size_t room = wr_cuts_room((uint32_t)k);
    c->ncuts = (uint32_t)k;
    c->cuts = wr_alloc(room * sizeof *c->cuts);
    if (!c->cuts) return wr_err_nomem(err);
    if (k) memcpy(c->cuts, list, k * sizeof *list);
    wr_cuts_finish(c->cuts, c->ncuts);
    f->memory += room * sizeof *c->cuts;
    return 0;
}

static int number_cuts(wr_forest *f, wr_err *err)
{
    WR_AUTOFREE size_t *start = wr_calloc(f->ncolumns + 2, sizeof *start);
    WR_AUTOFREE float *list = wr_alloc((f->nodes.n ? f->nodes.n : 1) * sizeof *list);
    if (!start || !list) return wr_err_nomem(err);
    for (size_t i = 0; i < f->nodes.n; i++) {
        const wr_fnode *d = &f->nodes.at[i];
        if (d->left && !(d->bits & WR_FOREST_CATEGORY)) start[d->column + 2]++;
    }
    for (size_t j = 2; j <= f->ncolumns; j++) start[j] += start[j - 1];
    for (size_t i = 0; i < f->nodes.n; i++) {
        const wr_fnode *d = &f->nodes.at[i];
        if (d->left && !(d->bits & WR_FOREST_CATEGORY)) list[start[d->column + 1]++] = d->threshold;
    }
    for (size_t j = 0; j < f->ncolumns; j++) { /* start[j + 1] has moved to the end of column j */
        wr_fcolumn *c = &f->columns[j];
        if (c->kind != WR_FCOLUMN_CATEGORY) WR_TRY(take_cuts(f, c, list + start[j], start[j + 1] - start[j], err));
    }
    return 0;
}

/* The next category of a set from `code` on; nbits when there is none. */
static size_t next_code(const wr_forest *f, const wr_fset *s, size_t code)
{
    const uint8_t *bits = f->set_bits.at + s->at;
    while (code < s->nbits && !(bits[code / 8] >> (code & 7) & 1)) code = bits[code / 8] >> (code & 7) ? code + 1 : (code / 8 + 1) * 8;
    return code < s->nbits ? code : s->nbits;
}

/* The categories that any node's set of a column has become bins, in order. */
static int category_maps(wr_forest *f, wr_err *err)
{
    for (size_t i = 0; i < f->nodes.n; i++) {
        const wr_fnode *d = &f->nodes.at[i];
        if (!d->left || !(d->bits & WR_FOREST_CATEGORY)) continue;
        wr_fcolumn *c = &f->columns[d->column];
        if (f->sets.at[d->index].nbits > c->nmap) c->nmap = (uint32_t)f->sets.at[d->index].nbits;
    }
    size_t bytes = 0;
    for (size_t j = 0; j < f->ncolumns; j++) {
        wr_fcolumn *c = &f->columns[j];
        if (c->kind != WR_FCOLUMN_CATEGORY) continue;
        bytes += c->nmap * sizeof *c->map;
        if (bytes > WR_FOREST_MAP_BYTES) return wr_err_set(err, WEIR_ELIMIT, "forest: categories are too large numbers");
        c->map = wr_calloc(c->nmap ? c->nmap : 1, sizeof *c->map);
        if (!c->map) return wr_err_nomem(err);
    }
    for (size_t i = 0; i < f->nodes.n; i++) {
        const wr_fnode *d = &f->nodes.at[i];
        if (!d->left || !(d->bits & WR_FOREST_CATEGORY)) continue;
        const wr_fset *s = &f->sets.at[d->index];
        for (size_t k = next_code(f, s, 0); k < s->nbits; k = next_code(f, s, k + 1)) f->columns[d->column].map[k] = 1;
    }
    for (size_t j = 0; j < f->ncolumns; j++) {
        wr_fcolumn *c = &f->columns[j];
        for (uint32_t k = 0; k < c->nmap; k++) c->ncodes += c->map[k];
        for (uint32_t k = 0, bin = 0; k < c->nmap; k++) c->map[k] = c->map[k] ? bin++ : c->ncodes;
    }
    f->memory += bytes;
    return 0;
}

/* Sets of nodes by bin. offset: parallel to nodes. */
static int sets_by_bin(wr_forest *f, uint32_t *offset, wr_err *err)
{
    size_t total = 32;
    for (size_t i = 0; i < f->nodes.n; i++) {
        const wr_fnode *d = &f->nodes.at[i];
        if (!d->left || !(d->bits & WR_FOREST_CATEGORY)) continue;
        offset[i] = (uint32_t)total;
        total += ((size_t)f->columns[d->column].ncodes + 2 + 255) / 256 * 32;
        if (total > WR_FOREST_SET_BYTES) return wr_err_set(err, WEIR_ELIMIT, "forest: sets of categories are too large");
    }
    f->bin_sets = wr_calloc(total, 1);
    if (!f->bin_sets) return wr_err_nomem(err);
    f->bin_sets_n = total;
    f->memory += total;
    for (size_t i = 0; i < f->nodes.n; i++) {
        const wr_fnode *d = &f->nodes.at[i];
        if (!offset[i]) continue;
        const wr_fcolumn *c = &f->columns[d->column];
        const wr_fset *s = &f->sets.at[d->index];
        uint8_t *bits = f->bin_sets + offset[i];
        for (size_t k = next_code(f, s, 0); k < s->nbits; k = next_code(f, s, k + 1)) bits[c->map[k] / 8] |= (uint8_t)(1u << (c->map[k] & 7));
        uint32_t missing = c->ncodes + 1;
        if (d->bits & WR_FOREST_MISSING_LEFT) bits[missing / 8] |= (uint8_t)(1u << (missing & 7));
    }
    return 0;
}

/* ---- steps ---- */

static int make_roots(wr_forest *f, wr_err *err)
{
    size_t n = f->trees.n;
    f->roots = wr_calloc(n + 1, sizeof *f->roots);
    f->reach = wr_calloc(n + 1, sizeof *f->reach);
    if (!f->roots || !f->reach) return wr_err_nomem(err);
    f->memory += n * (sizeof *f->roots + sizeof *f->reach);
    for (size_t k = 0; k < n; k++) {
        uint32_t most = 0;
        for (size_t l = k; l < n && l < k + WR_FOREST_LANES; l++) most = f->trees.at[l].depth > most ? f->trees.at[l].depth : most;
        f->roots[k] = (uint32_t)f->trees.at[k].node;
        f->reach[k] = (uint8_t)(most < 255 ? most : 255);
    }
    return 0;
}

static int make_steps(wr_forest *f, const uint32_t *offset, wr_err *err)
{
    WR_TRY(make_roots(f, err));
    for (size_t k = 0; k < f->trees.n; k++) {
        const wr_ftree *t = &f->trees.at[k];
        for (size_t i = 0; i < t->nnodes && !f->long_steps; i++) {
            uint32_t left = f->nodes.at[t->node + i].left;
            f->long_steps = left && left - i > UINT16_MAX;
        }
    }
    size_t size = f->long_steps ? sizeof(wr_fstep12) : sizeof(wr_fstep8);
    f->direct = f->sum_float && f->nvalues == 1;
    f->steps = wr_calloc(f->nodes.n ? f->nodes.n : 1, size);
    if (!f->steps) return wr_err_nomem(err);
    f->memory += f->nodes.n * size;
    for (size_t k = 0; k < f->trees.n; k++) {
        const wr_ftree *t = &f->trees.at[k];
        for (size_t i = t->node; i < t->node + t->nnodes; i++) {
            const wr_fnode *d = &f->nodes.at[i];
            wr_fstep12 w = {.value = d->threshold, .slot = (uint32_t)(2 * f->ncolumns)};
            uint32_t bits = (uint32_t)(t->leaf + d->index), top = f->long_steps ? 1u << 31 : 1u << 15;
            if (!d->left) {
                if (f->direct) w.value = (float)f->values.at[bits];
                else memcpy(&w.value, &bits, 4);
            } else {
                w.step = (uint32_t)(d->left - (i - t->node));
                w.slot = d->column + (d->bits & WR_FOREST_MISSING_LEFT ? (uint32_t)f->ncolumns : 0);
                if (d->bits & WR_FOREST_CATEGORY) {
                    memcpy(&w.value, &offset[i], 4);
                    w.slot |= top;
                }
            }
            if (f->long_steps) ((wr_fstep12 *)f->steps)[i] = w;
            else ((wr_fstep8 *)f->steps)[i] = (wr_fstep8){w.value, (uint16_t)w.slot, (uint16_t)w.step};
        }
    }
    return 0;
}

/* ---- programs ---- */

/* Widths and places of columns; false when 16 bits do not suffice. */
static bool place_columns(wr_forest *f)
{
    for (size_t j = 0; j < f->ncolumns; j++) {
        wr_fcolumn *c = &f->columns[j];
        if (c->ncuts > WIDE_CUTS || c->ncodes > WIDE_CODES) return false;
        c->wide = c->ncuts > NARROW_CUTS || c->ncodes > NARROW_CODES;
        c->line = (uint32_t)f->nlines;
        f->nlines += c->wide ? 2 : 1;
    }
    return f->nlines <= UINT16_MAX;
}

static wr_top op_of(const wr_forest *f, const wr_fnode *d, uint32_t offset)
{
    const wr_fcolumn *c = &f->columns[d->column];
    wr_top o = {.feature = (uint16_t)c->line};
    if (c->wide) o.kind |= WR_TN_WIDE;
    if (d->bits & WR_FOREST_MISSING_LEFT) o.kind |= WR_TN_MISSING_LEFT;
    if (c->kind == WR_FCOLUMN_CATEGORY) {
        o.kind |= WR_TN_CAT;
        o.set = offset / 32;
    } else {
        o.bin = (uint16_t)wr_fcolumn_cut(c, d->threshold);
    }
    return o;
}

/* A set of many categories is looked up row by row: a step does that as well. */
static bool slow_op(const wr_forest *f, const wr_fnode *d)
{
    const wr_fcolumn *c = &f->columns[d->column];
    return c->wide && c->kind == WR_FCOLUMN_CATEGORY;
}

static bool is_whole(const wr_forest *f, const wr_ftree *t)
{
    if (t->nleaves > WHOLE_LEAVES) return false;
    for (size_t i = t->node; i < t->node + t->nnodes; i++) {
        if (f->nodes.at[i].left && slow_op(f, &f->nodes.at[i])) return false;
    }
    return true;
}

static size_t exits_at_most(const wr_ftree *t) { return t->nleaves > WHOLE_LEAVES ? TOP_EXITS : t->nleaves; }

/* The program of a tree: its first inner nodes by level, as many as leave exits_at_most, and in whole trees all. Exits count in the order of
 * nodes. line[] has room for the nodes. */
static void make_program(wr_forest *f, wr_ftree *t, const uint32_t *offset, uint16_t *line)
{
    enum { AWAY = UINT16_MAX, REACHED = UINT16_MAX - 1, PART = UINT16_MAX - 2 };
    const wr_fnode *nodes = f->nodes.at + t->node;
    size_t inner = 0, last = 1, most = exits_at_most(t); /* last: behind the last node that is reached */
    for (size_t i = 0; i < t->nnodes; i++) line[i] = i ? AWAY : REACHED;
    for (size_t i = 0; i < last; i++) {
        if (line[i] != REACHED) continue;
        if (nodes[i].left && inner < most - 1 && !slow_op(f, &nodes[i])) {
            line[i] = PART;
            line[nodes[i].left] = line[nodes[i].left + 1] = REACHED;
            last = nodes[i].left + 2;
            inner++;
            continue;
        }
        if (f->exits) f->exits[t->exit + t->nexits] = (uint32_t)(t->node + i);
        line[i] = (uint16_t)t->nexits++;
    }
    if (t->nexits > f->most_exits) f->most_exits = (uint32_t)t->nexits;
    for (size_t i = last; i-- > 0;) {
        if (line[i] != PART) continue;
        wr_top *o = &f->ops[t->op + t->nops];
        *o = op_of(f, &nodes[i], offset[t->node + i]);
        o->left = line[nodes[i].left];
        o->right = line[nodes[i].left + 1];
        line[i] = (uint16_t)(WR_TREES_FAST_LEAVES + t->nops++);
    }
}

/* Steps from a tree's exits to its deepest leaf. height: scratch, a number a node. */
static uint32_t below_exits(const wr_forest *f, const wr_ftree *t, uint32_t *height)
{
    const wr_fnode *nodes = f->nodes.at + t->node;
    uint32_t most = 0;
    for (size_t i = t->nnodes; i-- > 0;) {
        uint32_t l = nodes[i].left ? height[nodes[i].left] : 0, r = nodes[i].left ? height[nodes[i].left + 1] : 0;
        height[i] = nodes[i].left ? 1 + (l > r ? l : r) : 0;
    }
    for (size_t k = 0; k < t->nexits; k++) {
        uint32_t h = height[f->exits[t->exit + k] - t->node];
        most = h > most ? h : most;
    }
    return most;
}

static int make_below(wr_forest *f, size_t most_nodes, wr_err *err)
{
    size_t n = f->trees.n;
    WR_AUTOFREE uint32_t *height = wr_alloc(most_nodes * sizeof *height);
    f->below = wr_calloc(n + 1, sizeof *f->below);
    if (!height || !f->below) return wr_err_nomem(err);
    for (size_t k = 0; k < n; k++) {
        uint32_t h = below_exits(f, &f->trees.at[k], height);
        for (size_t l = k + 1 < WR_FOREST_LANES ? 0 : k + 1 - WR_FOREST_LANES; l <= k; l++) {
            if (h > f->below[l]) f->below[l] = (uint8_t)(h < 255 ? h : 255);
        }
    }
    return 0;
}

static int make_programs(wr_forest *f, const uint32_t *offset, wr_err *err)
{
    size_t nops = 0, exits = 0, most = 1;
    bool large = false;
    if (!place_columns(f)) return 0;
    for (size_t k = 0; k < f->trees.n; k++) {
        wr_ftree *t = &f->trees.at[k];
        t->op = nops;
        t->exit = exits;
        nops += exits_at_most(t) - 1;
        exits += exits_at_most(t);
        large |= !is_whole(f, t);
        if (t->nnodes > most) most = t->nnodes;
    }
    WR_AUTOFREE uint16_t *line = wr_alloc(most * sizeof *line);
    f->exits = large ? wr_calloc(exits, sizeof *f->exits) : NULL;
    f->ops = wr_calloc(nops ? nops : 1, sizeof *f->ops);
    if (!line || !f->ops || (large && !f->exits)) return wr_err_nomem(err);
    f->memory += nops * sizeof *f->ops + (large ? exits * sizeof *f->exits : 0);
    for (size_t k = 0; k < f->trees.n; k++) make_program(f, &f->trees.at[k], offset, line);
    return large ? make_below(f, most, err) : 0;
}

static void weigh(wr_forest *f)
{
    size_t steps = 0, below = 0, ops = 0, step = f->any_category ? WR_FOREST_COST_STEP_CATEGORY : WR_FOREST_COST_STEP;
    for (size_t k = 0; k < f->trees.n; k++) {
        steps += f->reach[k];
        below += f->exits ? f->below[k] : 0;
        ops += f->trees.at[k].nops;
    }
    f->cost_row = f->ncolumns * WR_FOREST_COST_CELL + steps * step;
    f->cost_tile = ops * (f->any_category ? WR_FOREST_COST_OP_CATEGORY : WR_FOREST_COST_OP);
    f->cost_tile += WR_TREES_TILE * (f->ncolumns * WR_FOREST_COST_BIN + f->trees.n * WR_FOREST_COST_SUM + below * step);
}

int wr_forest_plan(wr_forest *f, wr_err *err)
{
    f->memory += sizeof *f + f->nodes.n * sizeof(wr_fnode) + f->values.n * sizeof(double) + f->set_bits.n + f->trees.n * sizeof(wr_ftree);
    WR_TRY(order_trees(f, err));
    WR_TRY(find_columns(f, err));
    f->memory += f->ncolumns * sizeof(wr_fcolumn);
    if (f->sum_float) {
        f->leaf_float = wr_alloc((f->values.n ? f->values.n : 1) * sizeof *f->leaf_float);
        if (!f->leaf_float) return wr_err_nomem(err);
        for (size_t i = 0; i < f->values.n; i++) f->leaf_float[i] = (float)f->values.at[i];
        f->memory += f->values.n * sizeof(float);
    }
    if (f->ncolumns > WR_FOREST_MAX_COLUMNS) return 0;
    WR_AUTOFREE uint32_t *offset = wr_calloc(f->nodes.n ? f->nodes.n : 1, sizeof *offset);
    if (!offset) return wr_err_nomem(err);
    WR_TRY(number_cuts(f, err));
    WR_TRY(category_maps(f, err));
    WR_TRY(sets_by_bin(f, offset, err));
    WR_TRY(make_steps(f, offset, err));
    WR_TRY(make_programs(f, offset, err));
    weigh(f);
    return wr_flanes_make(f, offset, err);
}
