/* SPDX-License-Identifier: Apache-2.0 */
/* trees_internal.h - what the trees_*.c files share: nodes, binned data, the model.
 *
 * A tree is an array of nodes in breadth-first order, children adjacent (right = left + 1). It is kept in three forms:
 *   wr_tnode  the tree itself: what training makes and the file holds;
 *   wr_twalk  8 bytes a node, for one row at a time: step without a branch, leaves step to themselves;
 *   wr_top    a program over byte bins, for 64 rows at a time: every inner node is evaluated, children before parents,
 * and selects between the leaf numbers of its two sides. Cost: the number of nodes; no branch, no gather.
 *
 * Bins: a numeric value's bin is the number of cuts below it (x > cut), so `x <= cuts[b]` is `bin <= b`. Byte 254 is a
 * category not known by itself, byte 255 is missing.
 */
#pragma once
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calc/trees.h"

enum {
    WR_TREES_OTHER = 254,
    WR_TREES_MISSING = 255,
    WR_TREES_BINS = 256,
    WR_TREES_MAX_FEATURES = 16000, /* twice this fits 15 bits: wr_twalk.slot */
    WR_TREES_MAX_LEAVES = 32768,   /* nodes of a tree fit 16 bits: wr_twalk.step */
    WR_TREES_MAX_ROUNDS = 100000,
    WR_TREES_MAX_CATS = 1 << 22,
    WR_TREES_MAP_BYTES = 64 << 20, /* category maps of a model, all features together */
    WR_TREES_FAST_FEATURES = 512,  /* more used features than this: the plain path, no buffers on the stack */
    WR_TREES_FAST_LEAVES = 256,    /* leaf numbers of a program are bytes */
    WR_TREES_TILE = 64,            /* rows a program works on */
};

enum { WR_TN_LEAF = 1, WR_TN_CAT = 2, WR_TN_MISSING_LEFT = 4, WR_TN_WIDE = 8 /* of a wr_top: bins of 16 bits */ };

typedef struct {
    uint16_t feature;
    uint8_t kind;       /* WR_TN_ bits */
    uint8_t bin;        /* numeric: bin <= this goes left */
    float value;        /* numeric: threshold (may be +inf: all that is present goes left); leaf: its value */
    uint32_t left, set; /* set: categories going left, by bin, index into sets; holds missing (bit 255) too */
    float gain, cover;  /* inner: gain of the split; all: sum of hessians */
} wr_tnode;

typedef struct {
    float value;   /* threshold, leaf value, or the bits of the set's index */
    uint16_t slot; /* of the row buffer; top bit: categorical */
    uint16_t step; /* left child's index minus own */
} wr_twalk;

/* Missing is the greatest bin of its width: 255 or 65535. The set of a wide column is longer than one wr_tset, and goes on in those behind. */
typedef struct {
    uint16_t left, right; /* scratch lines: 0..255 the constants, from 256 the results of earlier ops */
    uint16_t feature;     /* its column, in lines of the tile */
    uint16_t bin;
    uint32_t set;
    uint8_t kind;
} wr_top;

typedef struct {
    uint8_t bits[32];
} wr_tset;

/* Bins of one feature. */
typedef struct {
    char *name;
    bool categorical;
    uint32_t nmap;  /* categorical: codes from nmap on are unknown */
    uint8_t *map;   /* code to bin: 0..253 or WR_TREES_OTHER */
    uint32_t ncuts; /* numeric: at most 254 */
    float *cuts;    /* 256 values, +inf from ncuts on; NULL when ncuts is 0 */
} wr_tfeature;

struct wr_trees {
    wr_trees_objective objective;
    size_t nfeatures;
    wr_tfeature *features;
    double base; /* margin before the first tree */
    int ntrees;
    wr_tnode *nodes;
    size_t *first; /* ntrees + 1 offsets into nodes */
    wr_tset *sets;
    size_t nsets;
    /* derived by wr_trees_finish */
    wr_twalk *walk; /* parallel to nodes */
    wr_top *ops;
    size_t *op_first; /* ntrees + 1 */
    float *leaves;
    size_t *leaf_first; /* ntrees + 1 */
    uint32_t most_leaves;
    uint16_t *used; /* features with a split, ascending */
    size_t nused;
    bool any_cat, fast; /* fast: the buffers of one-row and tile paths suffice */
};

/* Binned rows. Columns for partition and programs, rows (padded to a multiple of 8 bytes) for histograms. */
typedef struct {
    size_t n, nfeatures;
    size_t column; /* distance of columns: n rounded up to whole tiles */
    uint8_t *cols;
    size_t stride; /* distance of rows */
    uint8_t *rows; /* NULL when not asked for */
} wr_tdata;

/* A function for AVX2, opaque to its callers: gcc 12 at -O1 has dropped calls of such static functions as without
 * effect. */
#if defined(__clang__)
#define WR_TREES_AVX2 __attribute__((target("avx2"), noinline))
#define WR_TREES_POPCNT __attribute__((target("avx2,popcnt"), noinline))
#else
#define WR_TREES_AVX2 __attribute__((target("avx2"), noipa))
#define WR_TREES_POPCNT __attribute__((target("avx2,popcnt"), noipa))
#endif

/* Test hooks. plain: never use AVX2; hist_bytes: cap of the histograms kept for subtraction; results depend on neither.
 * margins: called with the training margins after the last round, before a validation set cuts the model back. */
extern size_t wr_trees_hist_bytes;
extern void (*wr_trees_margins)(const double *margin, size_t n);
bool wr_trees_avx2(void);

/* trees_bins.c */
int wr_tfeature_cuts(wr_tfeature *f, const wr_trees_feature *src, size_t n, int max_bins, uint64_t seed, wr_err *err);
uint8_t wr_tfeature_bin_one(const wr_tfeature *f, float x);
void wr_tfeature_bin(const wr_tfeature *f, const float *x, size_t step, size_t n, uint8_t *out);
/* Cuts are searched 16 at a time: `cuts` goes on with +inf to a multiple of 16 above ncuts. From 256 cuts on, the last of each 16 follow as a
 * row of their own (+inf to a multiple of 16 again), then those of that row, until a row is 16 long. wr_cuts_room: floats of all that;
 * wr_cuts_finish fills in what follows the cuts. */
size_t wr_cuts_room(uint32_t ncuts);
void wr_cuts_finish(float *cuts, uint32_t ncuts);
/* Bins of n values, `dist` floats apart: how many cuts are below; the greatest number of the width (uint8_t or uint16_t) for NaN. */
void wr_bin_floats(const float *cuts, uint32_t ncuts, const float *x, size_t dist, size_t n, void *out, bool wide);
int wr_tdata_make(wr_tdata *out, const wr_tfeature *features, const wr_trees_set *set, bool rows, wr_pool *pool,
                  wr_err *err);
void wr_tdata_fini(wr_tdata *d);

/* trees_predict.c */
/* Fills everything derived, and `bin` of the nodes; WEIR_ECORRUPT when a feature has over 254 thresholds. */
int wr_trees_finish(wr_trees *t, wr_err *err);
/* Program of a tree of at most 256 leaves; returns the number of ops; leaf values in order of leaf number. `used` maps
 * features to columns (NULL: itself). */
uint32_t wr_tree_program(const wr_tnode *nodes, size_t n, const uint16_t *column_of, wr_top *ops, float *leaves);
/* Leaf number of 64 rows, column k at cols + k * column (wide: two columns); scratch prepared by wr_tree_scratch for at least as many leaves. */
typedef struct {
    alignas(64) uint8_t line[512][WR_TREES_TILE];
} wr_tscratch;
void wr_tree_scratch(wr_tscratch *s, uint32_t leaves);
void wr_tree_tile(const wr_top *ops, size_t nops, const wr_tset *sets, const uint8_t *cols, size_t column,
                  wr_tscratch *s, uint8_t out[WR_TREES_TILE]);
/* Leaf (node index) of one binned row. */
size_t wr_tree_walk_bins(const wr_tnode *nodes, const wr_tset *sets, const uint8_t *cols, size_t column);
static inline bool wr_tset_has(const wr_tset *s, uint8_t bin) { return s->bits[bin >> 3] >> (bin & 7) & 1; }
static inline void wr_tset_add(wr_tset *s, uint8_t bin) { s->bits[bin >> 3] |= (uint8_t)(1u << (bin & 7)); }

/* trees_grow.c: one tree from quantised gradients. Packed: gradient (signed) in the high, hessian in the low 32 bits.
 */
typedef struct {
    const wr_trees_opt *opt; /* defaults filled in */
    const wr_tdata *data;
    const wr_tfeature *features;
    const uint64_t *gh;    /* data->n packed */
    double unit_g, unit_h; /* value of one quantum */
    uint32_t most_h;       /* largest hessian of a row, in quanta */
    const bool *drawn;     /* features allowed in this tree */
    wr_pool *pool;
} wr_tgrow_in;

typedef struct wr_tgrow wr_tgrow; /* work memory, reused over the trees */
int wr_tgrow_new(wr_tgrow **out, const wr_tdata *data, const wr_trees_opt *opt, wr_pool *pool, wr_err *err);
void wr_tgrow_free(wr_tgrow *g);
/* Row indices of the tree to come: fill rows[0..n-1] ascending, or leave n = data->n and all = true. */
uint32_t *wr_tgrow_rows(wr_tgrow *g);
typedef struct {
    const wr_tnode *nodes;
    size_t n;
    const wr_tset *sets;
    size_t nsets;
} wr_tgrown;
/* `out` points into g and lives until the next tree. Node sets count from 0. */
void wr_tgrow_tree(wr_tgrow *g, const wr_tgrow_in *in, size_t nrows, bool all, wr_tgrown *out);
