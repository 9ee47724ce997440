/* SPDX-License-Identifier: Apache-2.0 */
/* forest.c - forests: building them from any origin's nodes, and what margins become. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "calc/forest_internal.h"

enum { STACK_MARGINS = 2048 };

wr_forest_kernel wr_forest_force;

int wr_forest_new(wr_forest **out, const wr_forest_opt *opt, wr_err *err)
{
    if (!opt->nfeatures || opt->nfeatures > WR_FOREST_MAX_FEATURES) {
        return wr_err_set(err, WEIR_ELIMIT, "forest: %u features, 1 to %d are possible", opt->nfeatures, WR_FOREST_MAX_FEATURES);
    }
    if (!opt->noutputs || opt->noutputs > WR_FOREST_MAX_OUTPUTS) {
        return wr_err_set(err, WEIR_ELIMIT, "forest: %u outputs, 1 to %d are possible", opt->noutputs, WR_FOREST_MAX_OUTPUTS);
    }
    wr_forest *f = wr_calloc(1, sizeof *f);
    if (!f) return wr_err_nomem(err);
    *f = (wr_forest){.nfeatures = opt->nfeatures,
                     .nmargins = opt->noutputs,
                     .op = opt->op,
                     .sum_float = opt->sum == WR_FOREST_SUM_FLOAT,
                     .transform = opt->transform,
                     .scale = opt->scale == 0 ? 1 : opt->scale,
                     .average = opt->average,
                     .base_last = opt->base_last || opt->average,
                     .loose = opt->loose_categories,
                     .negative_missing = opt->negative_missing,
                     .has_cover = true};
    (void)pthread_mutex_init(&f->shap_lock, NULL);
    f->base = wr_calloc(opt->noutputs, sizeof *f->base);
    /* a forest without trees or sets has arrays too: kernels add offsets of 0 to them */
    bool room = wr_vec_reserve(&f->trees, 1) == 0 && wr_vec_reserve(&f->nodes, 1) == 0 && wr_vec_reserve(&f->values, 1) == 0 &&
                wr_vec_reserve(&f->set_bits, 1) == 0 && wr_vec_push(&f->sets, ((wr_fset){0, 0})) == 0;
    if (!f->base || !room) {
        wr_forest_free(f);
        return wr_err_nomem(err);
    }
    for (uint32_t k = 0; opt->base && k < opt->noutputs; k++) {
        f->base[k] = f->sum_float ? (double)(float)opt->base[k] : opt->base[k];
    }
    *out = f;
    return 0;
}

void wr_forest_free(wr_forest *f)
{
    if (!f) return;
    for (size_t j = 0; f->columns && j < f->ncolumns; j++) {
        wr_free(f->columns[j].cuts);
        wr_free(f->columns[j].map);
    }
    wr_flanes_free(f->lanes);
    wr_forest_shap_free(f);
    (void)pthread_mutex_destroy(&f->shap_lock);
    void *owned[] = {f->base,      f->trees.at, f->nodes.at,   f->values.at, f->sets.at, f->set_bits.at, f->columns, f->output_first,
                     f->roots,     f->reach,    f->steps,       f->ops,        f->leaf_float, f->bin_sets,    f->exits,   f->below,    f->features};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wr_free(owned[i]);
    wr_free(f);
}

int wr_forest_add_set(uint32_t *index, wr_forest *f, const uint8_t *bits, size_t nbits, wr_err *err)
{
    WR_BUG_IF(f->finished);
    size_t bytes = (nbits + 7) / 8;
    if (nbits > WR_FOREST_CATEGORIES || f->set_bits.n + bytes > WR_FOREST_SET_BYTES || f->sets.n >= WR_FOREST_MAX_NODES) {
        return wr_err_set(err, WEIR_ELIMIT, "forest: sets of categories are too large");
    }
    if (wr_vec_reserve(&f->set_bits, bytes) < 0 || wr_vec_push(&f->sets, ((wr_fset){f->set_bits.n, nbits})) < 0) return wr_err_nomem(err);
    if (bytes) memcpy(f->set_bits.at + f->set_bits.n, bits, bytes);
    f->set_bits.n += bytes;
    *index = (uint32_t)(f->sets.n - 1);
    return 0;
}

/* ---- a tree ---- */

/* The greatest float that is <= t, or < t. *never: there is none. */
static float rounded(double t, bool less, bool *never)
{
    float x = (float)t;
    bool above = less ? (double)x >= t : (double)x > t;
    *never = above && x == -INFINITY;
    return above && !*never ? nextafterf(x, -INFINITY) : x;
}

static int corrupt(wr_err *err, size_t tree, const char *what)
{
    return wr_err_set(err, WEIR_ECORRUPT, "forest: tree %zu: %s", tree, what);
}

typedef struct {
    wr_forest *f;
    const wr_forest_node *nodes;
    size_t n, tree;
    const double *values;
    wr_ftree t;
} adding;

static int add_leaf(adding *a, const wr_forest_node *s, wr_fnode *d, wr_err *err)
{
    wr_forest *f = a->f;
    d->index = (uint32_t)a->t.nleaves++;
    if (wr_vec_reserve(&f->values, f->nvalues) < 0) return wr_err_nomem(err);
    for (uint32_t k = 0; k < f->nvalues; k++) {
        double v = a->values ? a->values[(size_t)(s - a->nodes) * f->nvalues + k] : s->value;
        if (isnan(v)) return corrupt(err, a->tree, "the value of a leaf is not a number");
        f->values.at[f->values.n++] = v;
    }
    return 0;
}

static int add_inner(adding *a, const wr_forest_node *s, wr_fnode *d, wr_err *err)
{
    wr_forest *f = a->f;
    wr_fcolumn_kind kind = WR_FCOLUMN_NUMBER;
    bool never = false;
    if (s->feature >= f->nfeatures) return corrupt(err, a->tree, "a feature that the model does not have");
    if (s->bits & WR_FOREST_CATEGORY) {
        if (s->set >= f->sets.n) return corrupt(err, a->tree, "a set of categories that is not there");
        kind = WR_FCOLUMN_CATEGORY;
        d->index = s->set;
    } else {
        if (isnan(s->threshold)) return corrupt(err, a->tree, "a threshold is not a number");
        d->threshold = rounded(s->threshold, f->op == WR_FOREST_LESS, &never);
        if (s->bits & WR_FOREST_ZERO_MISSING) kind = WR_FCOLUMN_ZERO_MISSING;
    }
    if (never) { /* nothing that is there goes left: the empty set; a zero that is missing keeps its way by itself */
        if (kind == WR_FCOLUMN_ZERO_MISSING) return wr_err_set(err, WEIR_EUNSUPPORTED, "forest: a threshold below all numbers where zero is missing");
        kind = WR_FCOLUMN_CATEGORY;
        d->bits |= WR_FOREST_CATEGORY;
        d->index = 0;
    }
    d->column = s->feature * WR_FCOLUMN_KINDS + kind;
    return 0;
}

/* Breadth-first from the root; the queue is the tree itself. `seen` stops circles: a node comes up once at most. */
static int add_nodes(adding *a, uint8_t *seen, wr_err *err)
{
    wr_forest *f = a->f;
    size_t first = a->t.node, level_end = 1;
    for (size_t i = 0; i < a->t.nnodes; i++) {
        if (i == level_end) {
            a->t.depth++;
            level_end = a->t.nnodes;
        }
        wr_fnode d = f->nodes.at[first + i];
        const wr_forest_node *s = &a->nodes[d.origin];
        d.bits = s->bits & (WR_FOREST_LEAF | WR_FOREST_CATEGORY | WR_FOREST_MISSING_LEFT);
        d.cover = s->cover;
        if (!(s->cover >= 0) || s->cover > 3e38f || (!i && !(s->bits & WR_FOREST_LEAF) && s->cover == 0)) f->has_cover = false;
        if (s->bits & WR_FOREST_LEAF) {
            d.bits = WR_FOREST_LEAF;
            WR_TRY(add_leaf(a, s, &d, err));
        } else {
            if (s->left >= a->n || s->right >= a->n) return corrupt(err, a->tree, "a child that is not there");
            if (s->left == s->right || seen[s->left] || seen[s->right]) return corrupt(err, a->tree, "a node with two parents");
            seen[s->left] = seen[s->right] = 1;
            WR_TRY(add_inner(a, s, &d, err));
            d.left = (uint32_t)a->t.nnodes;
            if (wr_vec_reserve(&f->nodes, 2) < 0) return wr_err_nomem(err);
            f->nodes.at[f->nodes.n++] = (wr_fnode){.origin = s->left};
            f->nodes.at[f->nodes.n++] = (wr_fnode){.origin = s->right};
            a->t.nnodes += 2;
        }
        f->nodes.at[first + i] = d;
    }
    return 0;
}

int wr_forest_add_tree(wr_forest *f, const wr_forest_node *nodes, size_t n, uint32_t output, const double *values, size_t nvalues, wr_err *err)
{
    WR_BUG_IF(f->finished);
    size_t tree = f->trees.n;
    uint32_t per_leaf = values ? f->nmargins : 1;
    if (!n) return corrupt(err, tree, "no nodes");
    if (values ? nvalues != f->nmargins : output >= f->nmargins) return corrupt(err, tree, "an output that the model does not have");
    if (f->trees.n && f->nvalues != per_leaf) {
        return wr_err_set(err, WEIR_EUNSUPPORTED, "forest: leaves of one value and of several in one model");
    }
    if (f->nodes.n + n > WR_FOREST_MAX_NODES || f->values.n + n * per_leaf > WR_FOREST_MAX_VALUES || tree >= UINT32_MAX) {
        return wr_err_set(err, WEIR_ELIMIT, "forest: too many nodes");
    }
    f->nvalues = per_leaf;
    WR_AUTOFREE uint8_t *seen = wr_calloc(n, 1);
    if (!seen || wr_vec_reserve(&f->nodes, 1) < 0) return wr_err_nomem(err);
    adding a = {.f = f,
                .nodes = nodes,
                .n = n,
                .tree = tree,
                .values = values,
                .t = {.node = f->nodes.n, .nnodes = 1, .leaf = f->values.n / per_leaf, .output = values ? 0 : output, .number = (uint32_t)tree}};
    seen[0] = 1;
    f->nodes.at[f->nodes.n++] = (wr_fnode){.origin = 0};
    WR_TRY(add_nodes(&a, seen, err));
    return wr_vec_push(&f->trees, a.t) < 0 ? wr_err_nomem(err) : 0;
}

int wr_forest_finish(wr_forest *f, wr_err *err)
{
    WR_BUG_IF(f->finished);
    if (!f->trees.n) f->nvalues = 1;
    WR_TRY(wr_forest_plan(f, err));
    f->finished = true;
    return 0;
}

/* ---- facts ---- */

uint32_t wr_forest_nfeatures(const wr_forest *f) { return f->nfeatures; }
uint32_t wr_forest_noutputs(const wr_forest *f) { return f->transform == WR_FOREST_ARGMAX ? 1 : f->nmargins; }
uint32_t wr_forest_nmargins(const wr_forest *f) { return f->nmargins; }
size_t wr_forest_ntrees(const wr_forest *f) { return f->trees.n; }
size_t wr_forest_memory(const wr_forest *f) { return f->memory; }
bool wr_forest_has_cover(const wr_forest *f) { return f->has_cover; }
wr_forest_transform wr_forest_transform_of(const wr_forest *f) { return f->transform; }

/* ---- answers ---- */

static double logistic(double x) { return 1 / (1 + exp(-x)); }

static void softmax(double *x, size_t n)
{
    double most = x[0], sum = 0;
    for (size_t k = 1; k < n; k++) most = x[k] > most ? x[k] : most;
    for (size_t k = 0; k < n; k++) sum += x[k] = exp(x[k] - most);
    for (size_t k = 0; k < n; k++) x[k] /= sum;
}

static double argmax(const double *x, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++) best = x[k] > x[best] ? k : best;
    return (double)best;
}

static void transform(const wr_forest *f, double *x, size_t rows)
{
    size_t n = rows * f->nmargins;
    switch (f->transform) {
    case WR_FOREST_LOGISTIC:
    case WR_FOREST_EACH_LOGISTIC:
        for (size_t i = 0; i < n; i++) x[i] = logistic(f->scale * x[i]);
        break;
    case WR_FOREST_SOFTMAX:
        for (size_t i = 0; i < rows; i++) softmax(x + i * f->nmargins, f->nmargins);
        break;
    case WR_FOREST_EXP:
        for (size_t i = 0; i < n; i++) x[i] = exp(x[i]);
        break;
    case WR_FOREST_SIGN:
        for (size_t i = 0; i < n; i++) x[i] = x[i] > 0;
        break;
    case WR_FOREST_LOG1P_EXP:
        for (size_t i = 0; i < n; i++) x[i] = x[i] > 700 ? x[i] : log1p(exp(x[i]));
        break;
    case WR_FOREST_SIGNED_SQUARE:
        for (size_t i = 0; i < n; i++) x[i] *= fabs(x[i]);
        break;
    case WR_FOREST_IDENTITY:
    case WR_FOREST_ARGMAX: break;
    }
}

void wr_forest_answer(const wr_forest *f, double *margins, size_t n, double *out)
{
    size_t nm = f->nmargins;
    if (f->transform == WR_FOREST_ARGMAX) {
        for (size_t i = 0; i < n; i++) out[i] = argmax(margins + i * nm, nm);
        return;
    }
    transform(f, margins, n);
    if (out != margins) memcpy(out, margins, n * nm * sizeof *out);
}

/* Margins do not fit where the classes go: some rows at a time. */
static int predict_argmax(const wr_forest *f, const float *rows, size_t n, double *out, wr_pool *pool, wr_err *err)
{
    double small[STACK_MARGINS];
    size_t nm = f->nmargins, block = nm <= STACK_MARGINS && n <= WR_FOREST_STACK_ROWS ? STACK_MARGINS / nm : 4096;
    if (block > n) block = n;
    WR_AUTOFREE double *large = block * nm > STACK_MARGINS ? wr_alloc(block * nm * sizeof *large) : NULL;
    if (block * nm > STACK_MARGINS && !large) return wr_err_nomem(err);
    double *m = large ? large : small;
    for (size_t i = 0; i < n; i += block) {
        size_t some = n - i < block ? n - i : block;
        WR_TRY(wr_forest_margins(f, rows + i * f->nfeatures, some, m, pool, err));
        wr_forest_answer(f, m, some, out + i);
    }
    return 0;
}

int wr_forest_predict(const wr_forest *f, const float *rows, size_t n, bool margin, double *out, wr_pool *pool, wr_err *err)
{
    WR_BUG_IF(!f->finished);
    if (!n) return 0;
    if (!margin && f->transform == WR_FOREST_ARGMAX) return predict_argmax(f, rows, n, out, pool, err);
    WR_TRY(wr_forest_margins(f, rows, n, out, pool, err));
    if (!margin) transform(f, out, n);
    return 0;
}

int wr_forest_leaves(const wr_forest *f, const float *rows, size_t n, uint32_t *out, wr_err *err)
{
    (void)err;
    WR_BUG_IF(!f->finished);
    for (size_t k = 0; k < f->trees.n; k++) {
        const wr_ftree *t = &f->trees.at[k];
        const wr_fnode *nodes = f->nodes.at + t->node;
        for (size_t i = 0; i < n; i++) {
            size_t at = 0;
            while (nodes[at].left) at = nodes[at].left + !wr_fnode_left(f, &nodes[at], rows + i * f->nfeatures);
            out[i * f->trees.n + t->number] = nodes[at].origin;
        }
    }
    return 0;
}
