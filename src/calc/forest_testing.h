/* SPDX-License-Identifier: Apache-2.0 */
/* forest_testing.h - random forests, and their slow obvious twin: the walk over the nodes as they were handed over. */
#pragma once
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "calc/forest_internal.h"

typedef struct {
    uint32_t nfeatures, noutputs;
    size_t ntrees, leaves; /* a tree has up to so many */
    uint32_t cuts;         /* different thresholds of a feature */
    uint32_t ncats;        /* features 1, 4, 7, ... are categories below this; 0: none */
    bool zero_missing;     /* some comparisons take zero as missing */
    bool values;           /* leaves of noutputs values */
    uint32_t depth;        /* trees do not grow below it; 0: no limit */
    bool doubles;          /* values of leaves are no floats */
    bool missing_right;    /* no node sends missing left */
    bool perfect;          /* with depth: every leaf is there, 2^depth */
    bool chain;            /* trees grow at their last leaf: as deep as can be */
    bool cover;
    wr_forest_opt opt;     /* op, sum, transform, ... */
} toy_opt;

typedef struct {
    wr_forest_node *nodes;
    double *values;
    size_t n;
    uint32_t output;
} toy_tree;

typedef struct {
    toy_opt o;
    toy_tree *trees;
    uint8_t **sets;
    size_t nsets;
    double *base;
    wr_forest *f;
} toy;

static inline void toy_split(toy *t, wr_rng *r, toy_tree *tree, size_t at)
{
    wr_forest_node *d = &tree->nodes[at];
    uint32_t feature = (uint32_t)wr_rng_below(r, t->o.nfeatures);
    float cover = d->cover;
    *d = (wr_forest_node){.left = (uint32_t)tree->n, .right = (uint32_t)tree->n + 1, .feature = feature, .cover = cover};
    if (wr_rng_below(r, 2)) d->left++, d->right--;
    if (wr_rng_below(r, 2) && !t->o.missing_right) d->bits |= WR_FOREST_MISSING_LEFT;
    if (t->o.ncats && feature % 3 == 1) {
        size_t bytes = t->o.ncats / 8 + 1;
        uint8_t *bits = calloc(bytes, 1);
        for (size_t k = 0; k < bytes; k++) bits[k] = (uint8_t)wr_rng_u64(r);
        d->bits |= WR_FOREST_CATEGORY;
        if ((t->nsets & (t->nsets - 1)) == 0) t->sets = realloc(t->sets, (2 * t->nsets + 1) * sizeof *t->sets); /* full */
        t->sets[t->nsets] = bits;
        d->set = (uint32_t)++t->nsets; /* as add_set numbers them: 0 is the empty one */
    } else {
        d->threshold = (double)wr_rng_below(r, t->o.cuts) / t->o.cuts * 4 - 2;
        if (wr_rng_below(r, 8) == 0) d->threshold = 0;
        if (t->o.zero_missing && feature % 2) d->bits |= WR_FOREST_ZERO_MISSING;
    }
    float share = (float)(0.05 + 0.9 * wr_rng_f64(r));
    for (int k = 0; k < 2; k++) {
        float c = !t->o.cover ? 0 : k ? cover * share : cover - cover * share;
        tree->nodes[tree->n++] = (wr_forest_node){.bits = WR_FOREST_LEAF, .value = wr_rng_normal(r), .cover = c};
        if (!t->o.doubles) tree->nodes[tree->n - 1].value = (double)(float)tree->nodes[tree->n - 1].value;
    }
}

static inline void toy_tree_new(toy *t, wr_rng *r, toy_tree *tree, uint32_t output)
{
    size_t leaves = 1 + wr_rng_below(r, t->o.leaves), most = 2 * leaves;
    uint32_t depth = t->o.depth ? t->o.depth : UINT32_MAX;
    if (t->o.chain || t->o.perfect) leaves = t->o.leaves;
    if (depth < 20 && leaves > (size_t)1 << depth) leaves = (size_t)1 << depth;
    *tree = (toy_tree){.nodes = calloc(most + 2 * t->o.leaves, sizeof *tree->nodes), .n = 1, .output = output};
    uint32_t *level = calloc(most + 2 * t->o.leaves, sizeof *level);
    tree->nodes[0] = (wr_forest_node){.bits = WR_FOREST_LEAF, .value = 0.5, .cover = t->o.cover ? 1000 : 0};
    while (tree->n < 2 * leaves - 1) {
        size_t at = t->o.chain ? tree->n - 1 : wr_rng_below(r, tree->n);
        if (!(tree->nodes[at].bits & WR_FOREST_LEAF) || level[at] == depth) continue;
        level[tree->n] = level[tree->n + 1] = level[at] + 1;
        toy_split(t, r, tree, at);
    }
    free(level);
    if (!t->o.values) return;
    tree->values = calloc(tree->n * t->o.noutputs, sizeof *tree->values);
    for (size_t k = 0; k < tree->n * t->o.noutputs; k++) tree->values[k] = (double)(float)wr_rng_normal(r);
}

static inline int toy_build(toy *t, wr_err *err)
{
    wr_forest_opt opt = t->o.opt;
    opt.nfeatures = t->o.nfeatures;
    opt.noutputs = t->o.noutputs;
    opt.base = t->base;
    WR_TRY(wr_forest_new(&t->f, &opt, err));
    for (size_t k = 0; k < t->nsets; k++) {
        uint32_t index;
        WR_TRY(wr_forest_add_set(&index, t->f, t->sets[k], t->o.ncats, err));
    }
    for (size_t k = 0; k < t->o.ntrees; k++) {
        const toy_tree *tree = &t->trees[k];
        WR_TRY(wr_forest_add_tree(t->f, tree->nodes, tree->n, tree->output, tree->values, t->o.values ? t->o.noutputs : 0, err));
    }
    return wr_forest_finish(t->f, err);
}

static inline void toy_new(toy *t, toy_opt o, uint64_t seed)
{
    wr_rng r;
    wr_rng_init(&r, seed);
    *t = (toy){.o = o, .trees = calloc(o.ntrees + 1, sizeof *t->trees), .base = calloc(o.noutputs, sizeof *t->base)};
    for (uint32_t k = 0; k < o.noutputs; k++) t->base[k] = (double)(float)wr_rng_normal(&r);
    for (size_t k = 0; k < o.ntrees; k++) toy_tree_new(t, &r, &t->trees[k], o.values ? 0 : (uint32_t)(k * 7 % o.noutputs));
}

static inline void toy_free(toy *t)
{
    wr_forest_free(t->f);
    for (size_t k = 0; k < t->o.ntrees; k++) {
        free(t->trees[k].nodes);
        free(t->trees[k].values);
    }
    for (size_t k = 0; k < t->nsets; k++) free(t->sets[k]);
    free(t->sets);
    free(t->trees);
    free(t->base);
}

static inline size_t toy_leaf(const toy *t, const toy_tree *tree, const float *row)
{
    size_t at = 0;
    for (;;) {
        const wr_forest_node *d = &tree->nodes[at];
        if (d->bits & WR_FOREST_LEAF) return at;
        float x = row[d->feature];
        bool left;
        bool negative = t->o.opt.negative_missing && d->bits & WR_FOREST_CATEGORY && x < 0;
        if (isnan(x) || negative || (d->bits & WR_FOREST_ZERO_MISSING && fabs((double)x) <= (double)1e-35f)) {
            left = d->bits & WR_FOREST_MISSING_LEFT;
        } else if (d->bits & WR_FOREST_CATEGORY) {
            double code = trunc((double)x);
            left = !(code < 0 || code >= t->o.ncats || (x < 0 && !t->o.opt.loose_categories));
            if (left) left = t->sets[d->set - 1][(size_t)code / 8] >> ((size_t)code % 8) & 1;
        } else {
            left = t->o.opt.op == WR_FOREST_LESS ? (double)x < d->threshold : (double)x <= d->threshold;
        }
        at = left ? d->left : d->right;
    }
}

static inline void toy_margins(const toy *t, const float *row, double *out)
{
    bool single = t->o.opt.sum == WR_FOREST_SUM_FLOAT;
    for (uint32_t o = 0; o < t->o.noutputs; o++) {
        double m = t->o.opt.base_last || t->o.opt.average ? 0 : t->base[o], trees = 0;
        for (size_t k = 0; k < t->o.ntrees; k++) {
            const toy_tree *tree = &t->trees[k];
            if (!tree->values && tree->output != o) continue;
            size_t leaf = toy_leaf(t, tree, row);
            double v = tree->values ? tree->values[leaf * t->o.noutputs + o] : tree->nodes[leaf].value;
            m = single ? (double)((float)m + (float)v) : m + v;
            trees++;
        }
        if (t->o.opt.average && trees > 0) m = single ? (double)((float)m / (float)trees) : m / trees;
        if (t->o.opt.base_last || t->o.opt.average) m = single ? (double)((float)m + (float)t->base[o]) : m + t->base[o];
        out[o] = m;
    }
}

/* Rows with everything that can go wrong in them. */
static inline float *toy_rows(const toy *t, size_t n, uint64_t seed)
{
    wr_rng r;
    wr_rng_init(&r, seed);
    float *rows = malloc(n * t->o.nfeatures * sizeof *rows);
    static const float odd[] = {NAN, 0, -0.0f, INFINITY, -INFINITY, 1e-35f, -1e-36f, 2e-35f, -0.5f, -1, 3e9f, 1e-45f};
    for (size_t i = 0; i < n * t->o.nfeatures; i++) {
        size_t feature = i % t->o.nfeatures;
        if (wr_rng_below(&r, 5) == 0) rows[i] = odd[wr_rng_below(&r, sizeof odd / sizeof *odd)];
        else if (t->o.ncats && feature % 3 == 1) rows[i] = (float)wr_rng_below(&r, t->o.ncats + 9) + (wr_rng_below(&r, 4) ? 0.f : 0.7f);
        else rows[i] = (float)((double)wr_rng_below(&r, t->o.cuts) / t->o.cuts * 4 - 2); /* thresholds are hit */
    }
    return rows;
}
