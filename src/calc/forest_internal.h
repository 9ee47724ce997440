/* SPDX-License-Identifier: Apache-2.0 */
/* forest_internal.h - what the forest_*.c files share.
 *
 * Trees are kept breadth-first, children adjacent (right = left + 1), in up to four forms:
 *   wr_fnode   the tree itself: plain walk, SHAP, leaf numbers;
 *   wr_fstep8  8 bytes a node (wr_fstep12: large trees), for one row: steps without a branch, leaves step to themselves;
 *   wr_flanes  tables of 64 trees side by side, when trees are shallow or small (forest_lanes.c): any number of rows;
 *   wr_top     a program over bins for 64 rows (trees_internal.h): the whole tree, or the upper levels of a large one, whose rows go on from
 *              the program's exits by steps.
 *
 * Every comparison is `x <= threshold` on float32 here: add_tree rounds (a float x is < t exactly when it is <= the greatest float below t).
 *
 * Columns: a used pair of feature and way to look at it (number, number whose zero is missing, category). Kernels know columns alone.
 *   number:    bin = how many cuts are below it; missing is the greatest bin of its width.
 *   category:  bin = its rank among the categories of all sets of the column; then "other", then "missing".
 * A column is narrow (bins are bytes) or wide (16 bits).
 *
 * Trees stand in the order (output, number), so an output's sum is a run of trees; `origin` tells the number.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "base/vec.h"
#include "calc/forest.h"
#include "calc/trees_internal.h"

enum {
    WR_FOREST_MAX_FEATURES = 1 << 20,
    WR_FOREST_MAX_OUTPUTS = 1 << 16,
    WR_FOREST_MAX_NODES = 1 << 28,
    WR_FOREST_MAX_VALUES = 1 << 28,
    WR_FOREST_SET_BYTES = 64 << 20,      /* all sets, as given and as columns need them */
    WR_FOREST_MAP_BYTES = 16 << 20,      /* category to bin, all columns together */
    WR_FOREST_LANES = 16,                /* trees that one row walks at a time */
    WR_FOREST_MAX_COLUMNS = 16000,       /* more: the plain walk alone */
};

typedef enum { WR_FCOLUMN_NUMBER, WR_FCOLUMN_ZERO_MISSING, WR_FCOLUMN_CATEGORY, WR_FCOLUMN_KINDS } wr_fcolumn_kind;

typedef struct {
    uint32_t feature;
    wr_fcolumn_kind kind;
    bool wide, negative_missing;
    uint32_t line;      /* where its bins start, in lines of 64 bytes */
    uint32_t ncuts;     /* number */
    float *cuts;        /* as wr_bin_floats wants them */
    uint32_t nmap;      /* category: codes from nmap on are other */
    uint32_t *map;      /* code to bin */
    uint32_t ncodes;    /* bins 0 .. ncodes-1; other = ncodes, missing = ncodes + 1 */
} wr_fcolumn;

typedef struct {
    uint32_t left;      /* of the tree's nodes; 0: leaf */
    uint32_t column;    /* before finish: feature * WR_FCOLUMN_KINDS + kind */
    uint32_t index;     /* leaf: its number in the tree; category: the set, as given */
    float threshold;
    float cover;
    uint32_t origin;    /* the node's number where it comes from */
    uint8_t bits;       /* WR_FOREST_ bits */
} wr_fnode;

typedef struct {
    size_t node, nnodes; /* first of `nodes` */
    size_t leaf, nleaves; /* first of `values`, in leaves */
    uint32_t output, depth, number;
    size_t op, nops;     /* of the program */
    size_t exit, nexits; /* of `exits` */
} wr_ftree;

typedef struct { size_t at, nbits; } wr_fset;

typedef struct {
    float value;         /* threshold; leaf: its value or the bits of its number; category: the bits of its set's offset */
    uint16_t slot, step; /* as wr_twalk */
} wr_fstep8;
typedef struct { float value; uint32_t slot, step; } wr_fstep12;

/* Trees side by side. */
enum {
    WR_FLANES = 64,          /* trees of a block */
    WR_FLANES_DEPTH = 8,     /* with full levels */
    WR_FLANES_LEAVES = 128,  /* node by node: numbers of leaves from 128 on are beside those of nodes in a byte */
    WR_FLANES_CELLS = 256,   /* of a row; a byte is a cell's number */
    WR_FLANES_CUTS = 65534,
    WR_FLANES_CATEGORIES = 64, /* columns */
    WR_FLANES_PIECES = WR_FLANES_CUTS / 254 + 1,
    WR_FLANES_TOPS = 4,      /* columns of more cuts are binned by wr_bin_floats */
};

typedef struct {
    size_t table, slot;      /* first byte of `tables`, first of `values` */
    uint32_t ntrees, bits;   /* 2^bits values a tree */
    uint32_t nodes;          /* 0: every level full, `bits` deep; else node by node, so many */
    size_t mark, nmarks;     /* first of `marks` */
} wr_fblock;

/* A column of categories in a block: for each bin a word a node, whose bit t says that tree t has that node on the column, and goes right. */
typedef struct {
    size_t category;         /* of `categories` */
    size_t word;             /* first of `words`: of bin 0 */
} wr_fmark;

typedef struct {
    wr_fblock *blocks;
    size_t nblocks;
    uint8_t *tables_room, *cuts_room; /* what tables and cuts lie in, at multiples of 64 bytes */
    uint8_t *tables;
    void *values;            /* of leaves by place, */
    bool floats;             /* as floats when they all are, else as doubles */
    size_t width, second;    /* bytes of a row's cells: 64, 128 or 256; first cell of those where missing is 0, 0: none */
    uint32_t *columns;       /* numbers, by falling number of pieces; those below are parallel to it, first_cell to the forest's columns */
    size_t *cut;             /* first of `cuts`: `tops` vectors of every 16th cut, then the cuts, +inf to a multiple of 16 */
    uint32_t *tops, *first_cell;
    float *cuts;
    size_t npieces, piece_columns[WR_FLANES_PIECES], piece_cell[WR_FLANES_PIECES]; /* the k-th pieces: of how many columns, from which cell on */
    size_t alone, row;       /* costs: of a row by itself, among many */
    uint32_t *categories;    /* columns */
    size_t ncolumns, ncategories;
    wr_fmark *marks;
    size_t nmarks;
    uint64_t *words;
    size_t memory;
} wr_flanes;

typedef struct wr_fshap wr_fshap; /* forest_shap.c */

struct wr_forest {
    uint32_t nfeatures, nmargins, nvalues; /* nvalues: of a leaf, 1 or nmargins */
    wr_forest_op op;
    bool sum_float, average, base_last, loose, negative_missing, finished, has_cover;
    wr_forest_transform transform;
    double scale;
    double *base;
    size_t memory;
    WR_VEC(wr_ftree) trees;
    WR_VEC(wr_fnode) nodes;
    WR_VEC(double) values;
    WR_VEC(wr_fset) sets; /* 0: the empty one */
    WR_VEC(uint8_t) set_bits;
    /* from finish on */
    wr_fcolumn *columns;
    size_t ncolumns, nlines;
    uint32_t *output_first; /* nmargins + 1: trees of an output */
    uint32_t *features;     /* of the columns */
    bool all_numbers;       /* every column is WR_FCOLUMN_NUMBER */
    uint32_t *roots;        /* of the trees, in `steps` */
    uint8_t *reach;         /* of a tree and the WR_FOREST_LANES - 1 behind it: steps to the deepest leaf, 255 for more than that */
    void *steps;            /* wr_fstep8, long_steps: wr_fstep12; parallel to nodes; NULL: plain walk alone */
    bool long_steps, any_category, direct; /* direct: leaves hold their float themselves */
    float *leaf_float;      /* values as float, when sum_float */
    uint8_t *bin_sets;      /* category sets by bin, in pieces of 32 bytes; starts with an empty one */
    size_t bin_sets_n;
    wr_top *ops;            /* NULL: no programs */
    uint32_t *exits;        /* where programs end, in `steps`; NULL: every tree is a program, which ends in leaves */
    uint8_t *below;         /* as `reach`, from there */
    uint32_t most_exits;
    wr_flanes *lanes;       /* NULL: not suited */
    size_t cost_row, cost_tile; /* of a row by steps, of 64 by programs */
    pthread_mutex_t shap_lock;
    _Atomic(wr_fshap *) shap;
};

/* Test hook: which kernel answers. Results do not depend on it. */
typedef enum { WR_FOREST_KERNEL_AUTO, WR_FOREST_KERNEL_PLAIN, WR_FOREST_KERNEL_ROW, WR_FOREST_KERNEL_TILE, WR_FOREST_KERNEL_LANES } wr_forest_kernel;
extern wr_forest_kernel wr_forest_force;
extern bool wr_forest_narrow; /* vectors of 32 bytes, where there are longer ones too */

static inline float wr_fcolumn_value(const wr_fcolumn *c, float x)
{
    bool missing = (c->kind == WR_FCOLUMN_ZERO_MISSING && x >= -1e-35f && x <= 1e-35f) || (c->negative_missing && x < 0);
    return missing ? __builtin_nanf("") : x;
}

/* The category of a value, UINT32_MAX for none. */
static inline uint32_t wr_forest_category(const wr_forest *f, float x)
{
    bool some = f->loose ? x > -1 && x < 2147483648.f : x >= 0 && x < 2147483648.f;
    return some ? (uint32_t)(int32_t)x : UINT32_MAX;
}

/* Does a row's value go left at an inner node? The definition that all kernels equal. */
static inline bool wr_fnode_left(const wr_forest *f, const wr_fnode *d, const float *row)
{
    const wr_fcolumn *c = &f->columns[d->column];
    float x = wr_fcolumn_value(c, row[c->feature]);
    if (x != x) return (d->bits & WR_FOREST_MISSING_LEFT) != 0;
    if (c->kind != WR_FCOLUMN_CATEGORY) return x <= d->threshold;
    uint32_t code = wr_forest_category(f, x);
    const wr_fset *s = &f->sets.at[d->index];
    return code < s->nbits && (f->set_bits.at[s->at + code / 8] >> (code & 7) & 1);
}

/* forest_plan.c: everything derived. */
int wr_forest_plan(wr_forest *f, wr_err *err);
/* Bin of one value of a category column. */
static inline uint32_t wr_fcolumn_category_bin(const wr_forest *f, const wr_fcolumn *c, float x)
{
    x = wr_fcolumn_value(c, x);
    if (x != x) return c->ncodes + 1;
    uint32_t code = wr_forest_category(f, x);
    return code < c->nmap ? c->map[code] : c->ncodes;
}
/* How many cuts are below a threshold. */
static inline uint32_t wr_fcolumn_cut(const wr_fcolumn *c, float threshold)
{
    uint32_t lo = 0, hi = c->ncuts;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (c->cuts[mid] < threshold) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}
/* What kernels take, in hundredths of a nanosecond as measured on one processor; what matters is which of two is less. Of a row: a column's
 * bin or cells, a tree's leaf in the sum (by permutations, else; alone: nothing else to do meanwhile), a step. Of a tile: an op. */
enum {
    WR_FOREST_COST_BIN = 230,
    WR_FOREST_COST_BIN_ALONE = 530,
    WR_FOREST_COST_CELL = 100,
    WR_FOREST_COST_SUM_FAST = 20,
    WR_FOREST_COST_SUM = 30,
    WR_FOREST_COST_SUM_ALONE = 95,
    WR_FOREST_COST_STEP = 90,
    WR_FOREST_COST_STEP_CATEGORY = 230,
    WR_FOREST_COST_OP = 205,
    WR_FOREST_COST_OP_CATEGORY = 235,
};

/* forest_lanes_plan.c. offset: of nodes' sets in bin_sets, parallel to nodes. f->lanes stays NULL when the forest is not suited. */
int wr_flanes_make(wr_forest *f, const uint32_t *offset, wr_err *err);
void wr_flanes_free(wr_flanes *l);
/* forest_lanes.c. Sums of the rows' trees are added to what is in `out` (n x nmargins). */
bool wr_flanes_can(const wr_forest *f);
bool wr_flanes_wide(void); /* vectors of 64 bytes */
void wr_flanes_margins(const wr_forest *f, const float *rows, size_t n, double *out);
/* forest_predict.c: margins of rows, out n x nmargins. */
int wr_forest_margins(const wr_forest *f, const float *rows, size_t n, double *out, wr_pool *pool, wr_err *err);
void wr_forest_shap_free(wr_forest *f);
