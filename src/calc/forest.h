/* SPDX-License-Identifier: Apache-2.0 */
/* forest.h - tree ensembles of any origin (XGBoost, LightGBM, ONNX TreeEnsemble, our own): one form in memory, kernels for one row and for
 * many, exact TreeSHAP.
 *
 * A node compares one feature: `x < t` or `x <= t` (per ensemble) on float32 goes left; or x, as a category, is in a set. Missing (NaN, or
 * a value the origin calls missing) goes to the node's default side. Each leaf has `nvalues` numbers (1 in most models) that are added to
 * the outputs they belong to (XGBoost: a tree belongs to one class). Outputs are margins in the order of additions of the origin; then
 * average, and the transformation (identity, logistic, softmax, exp, ...).
 *
 * Categories: the value without its fraction. What is negative, 2^31 or more, or in no set goes right.
 *
 * Exactness: sums are float32 or double as the origin's own (`sum`), trees in order, so margins are bit-identical to the origin's on one
 * thread. Every kernel gives the same bits (a test compares them all).
 *
 * Kernels: forests of shallow or small trees (depth 8 or 128 leaves at most) go 64 trees side by side, row by row; else, and for few trees,
 * one row walks sixteen trees at a time (nodes of 8 bytes); many rows are binned to bytes or 16 bits, 64 at a time, and each tree is
 * a program over bins (trees_internal.h); trees of more than 128 leaves run such a program to a depth and walk on from there.
 *
 * Threads: immutable after wr_forest_finish; predict from any thread. No allocation in predict for n rows up to WR_FOREST_STACK_ROWS
 * while at most WR_FOREST_STACK_COLUMNS features are used.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/pool.h"
#include "calc/trees.h"

typedef struct wr_forest wr_forest;

typedef enum { WR_FOREST_LESS, WR_FOREST_LESS_EQUAL } wr_forest_op;
typedef enum { WR_FOREST_SUM_FLOAT, WR_FOREST_SUM_DOUBLE } wr_forest_sum;
typedef enum {
    WR_FOREST_IDENTITY,
    WR_FOREST_LOGISTIC,      /* 1 / (1 + exp(-scale x)) */
    WR_FOREST_SOFTMAX,
    WR_FOREST_EXP,
    WR_FOREST_SIGN,          /* of hinge losses: x > 0 */
    WR_FOREST_ARGMAX,        /* one output: the class */
    WR_FOREST_LOG1P_EXP,     /* log(1 + exp(x)) */
    WR_FOREST_EACH_LOGISTIC, /* multi-label: each on its own, with scale */
    WR_FOREST_SIGNED_SQUARE, /* x |x|: of models of the square root */
} wr_forest_transform;

typedef enum {
    WR_FOREST_LEAF = 1,
    WR_FOREST_CATEGORY = 2,
    WR_FOREST_MISSING_LEFT = 4,
    WR_FOREST_ZERO_MISSING = 8 /* 0 (to 1e-35) is missing here, as NaN; not with CATEGORY */
} wr_forest_node_bits;

/* As readers hand nodes over. Children are indices into the tree's own array; node 0 is the root. */
typedef struct {
    uint32_t left, right;
    uint32_t feature;        /* WR_FOREST_CATEGORY: set says which go left */
    uint32_t set;            /* index of a set added before */
    uint8_t bits;
    double threshold;        /* compared as a double: every float goes where it goes in the origin */
    double value;            /* leaf, one value; more: wr_forest_add_tree's values */
    float cover;             /* rows or sum of hessians that passed; 0 at the root = unknown (no SHAP then) */
} wr_forest_node;

typedef struct {
    uint32_t nfeatures, noutputs;
    wr_forest_op op;
    wr_forest_sum sum;
    wr_forest_transform transform;
    double scale;            /* of LOGISTIC, 0 = 1 */
    bool average;            /* divide by the number of trees of the output (random forests); then base_last */
    const double *base;      /* noutputs, the first term of the sum; NULL = 0 */
    bool base_last;          /* the last term instead, after the average */
    bool loose_categories;   /* what lies between -1 and 0 is category 0, not in no set */
    bool negative_missing;   /* categories below 0 are missing, not in no set */
} wr_forest_opt;

/* `opt` is copied. */
int wr_forest_new(wr_forest **out, const wr_forest_opt *opt, wr_err *err);
void wr_forest_free(wr_forest *f);
/* A set of categories 0 .. nbits-1 (bit b of byte b / 8); its index. nbits is at most WR_FOREST_CATEGORIES, else WEIR_ELIMIT. */
enum { WR_FOREST_CATEGORIES = 1 << 20 };
int wr_forest_add_set(uint32_t *index, wr_forest *f, const uint8_t *bits, size_t nbits, wr_err *err);
/* A tree whose leaves add to output `output` (values NULL), or to outputs 0 .. nvalues-1 with values[leaf's node * nvalues + k].
 * Nodes that the root does not reach are left out. WEIR_ECORRUPT for an index out of range, a circle, a node with two parents, a threshold
 * or value that is NaN; WEIR_EUNSUPPORTED for trees with values and without in one forest; WEIR_ELIMIT. */
int wr_forest_add_tree(wr_forest *f, const wr_forest_node *nodes, size_t n, uint32_t output, const double *values, size_t nvalues, wr_err *err);
/* Builds what the kernels need. Nothing can be added after it. */
int wr_forest_finish(wr_forest *f, wr_err *err);
/* Our own trees as a finished forest, which answers the same bits as wr_trees_predict and explains them. `t` need not outlive it. */
int wr_forest_of_trees(wr_forest **out, const wr_trees *t, wr_err *err);

uint32_t wr_forest_nfeatures(const wr_forest *f);
uint32_t wr_forest_noutputs(const wr_forest *f);   /* per row, after the transformation */
uint32_t wr_forest_nmargins(const wr_forest *f);   /* per row, before it */
size_t wr_forest_ntrees(const wr_forest *f);
size_t wr_forest_memory(const wr_forest *f);       /* bytes */
bool wr_forest_has_cover(const wr_forest *f);
wr_forest_transform wr_forest_transform_of(const wr_forest *f);

/* rows: n x nfeatures, row-major, NaN = missing. out: n x noutputs (margin: n x nmargins, without the
 * transformation). pool NULL: this thread alone. */
enum { WR_FOREST_STACK_ROWS = 64, WR_FOREST_STACK_COLUMNS = 512 };
int wr_forest_predict(const wr_forest *f, const float *rows, size_t n, bool margin, double *out, wr_pool *pool, wr_err *err);
/* From margins (n x nmargins, changed) to answers. out may be the margins themselves. */
void wr_forest_answer(const wr_forest *f, double *margins, size_t n, double *out);
/* Leaf number of each row in each tree (n x ntrees), numbered as the origin's nodes. */
int wr_forest_leaves(const wr_forest *f, const float *rows, size_t n, uint32_t *out, wr_err *err);

/* Exact path-dependent TreeSHAP: Shapley values of Lundberg et al. 2018, "Consistent individualized feature attribution for tree ensembles",
 * algorithm 2. out: n x margins x (nfeatures + 1), margins as wr_forest_nmargins says, the last of a row is the base value; a row's numbers
 * sum to its margin. WEIR_EUNSUPPORTED without covers, and beyond WR_FOREST_SHAP_PATH features on one path. */
enum { WR_FOREST_SHAP_PATH = 128 };
int wr_forest_shap(const wr_forest *f, const float *rows, size_t n, double *out, wr_pool *pool, wr_err *err);
