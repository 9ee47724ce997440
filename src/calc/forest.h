/* SPDX-License-Identifier: Apache-2.0 */
/* forest.h - tree ensembles of any origin (XGBoost, LightGBM, ONNX TreeEnsemble, our own): one form in memory, kernels for one row and for
 * many, exact TreeSHAP.
 *
 * A node compares one feature: `x < t` or `x <= t` (per ensemble) on float32 goes left; or x, as a category, is in a set. Missing (NaN, or
 * a value the origin calls missing) goes to the node's default side. Each leaf has `nvalues` numbers (1 in most models) that are added to
 * the outputs they belong to (XGBoost: a tree belongs to one class). Outputs are margins in the order of additions of the origin; then
 * base values, average, and the transformation (identity, logistic, softmax, exp, ...).
 *
 * Exactness: sums are float32 or double as the origin's own (`sum`), trees in order, so margins are bit-identical to the origin's on one
 * thread. Every kernel gives the same bits (a test compares them all).
 *
 * Threads: immutable after wr_forest_finish; predict from any thread. No allocation in predict for n rows up to WR_FOREST_STACK_ROWS.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/pool.h"

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
    WR_FOREST_EACH_LOGISTIC, /* multi-label: each on its own */
} wr_forest_transform;

typedef enum { WR_FOREST_LEAF = 1, WR_FOREST_CATEGORY = 2, WR_FOREST_MISSING_LEFT = 4 } wr_forest_node_bits;

/* As readers hand nodes over. Children are indices into the tree's own array; node 0 is the root. */
typedef struct {
    uint32_t left, right;
    uint32_t feature;        /* WR_FOREST_CATEGORY: set says which go left */
    uint32_t set;            /* index of a set added before */
    uint8_t bits;
    double threshold;        /* of a float32 comparison: rounded by the reader so that every float compares as in the origin */
    double value;            /* leaf, one value; more: wr_forest_add_tree's values */
    float gain, cover;       /* cover: rows or sum of hessians that passed; 0 = unknown (no SHAP then) */
} wr_forest_node;

typedef struct {
    uint32_t nfeatures, noutputs;
    wr_forest_op op;
    wr_forest_sum sum;
    wr_forest_transform transform;
    double scale;            /* of LOGISTIC, 0 = 1 */
    bool average;            /* divide by the number of trees (random forests) */
    const double *base;      /* noutputs, added as the first term; NULL = 0 */
} wr_forest_opt;

/* `opt` is copied. */
int wr_forest_new(wr_forest **out, const wr_forest_opt *opt, wr_err *err);
void wr_forest_free(wr_forest *f);
/* A set of categories 0 .. nbits-1; its index. */
int wr_forest_add_set(uint32_t *index, wr_forest *f, const uint8_t *bits, size_t nbits, wr_err *err);
/* A tree whose leaves add to output `output` (values NULL), or to outputs 0 .. nvalues-1 with values[leaf's node * nvalues + k].
 * WEIR_ECORRUPT for an index out of range, a circle, a node with two parents. */
int wr_forest_add_tree(wr_forest *f, const wr_forest_node *nodes, size_t n, uint32_t output, const double *values, size_t nvalues, wr_err *err);
/* Builds what the kernels need. Nothing can be added after it. */
int wr_forest_finish(wr_forest *f, wr_err *err);

uint32_t wr_forest_nfeatures(const wr_forest *f);
uint32_t wr_forest_noutputs(const wr_forest *f);   /* per row, after the transformation */
size_t wr_forest_ntrees(const wr_forest *f);
size_t wr_forest_memory(const wr_forest *f);       /* bytes */
bool wr_forest_has_cover(const wr_forest *f);

/* rows: n x nfeatures, row-major, NaN = missing. out: n x noutputs. margin: without the transformation. pool NULL: this thread alone. */
enum { WR_FOREST_STACK_ROWS = 64 };
int wr_forest_predict(const wr_forest *f, const float *rows, size_t n, bool margin, double *out, wr_pool *pool, wr_err *err);
/* Leaf number of each row in each tree (n x ntrees), numbered as the origin's nodes. */
int wr_forest_leaves(const wr_forest *f, const float *rows, size_t n, uint32_t *out, wr_err *err);

/* Exact path-dependent TreeSHAP (Lundberg et al. 2018, "Consistent individualized feature attribution for tree ensembles", algorithm 2):
 * out: n x noutputs x (nfeatures + 1), the last is the base value; a row's numbers sum to its margin. WEIR_EUNSUPPORTED without covers. */
int wr_forest_shap(const wr_forest *f, const float *rows, size_t n, double *out, wr_pool *pool, wr_err *err);
