/* SPDX-License-Identifier: Apache-2.0 */
/* graph_trees.c - ai.onnx.ml TreeEnsembleRegressor and TreeEnsembleClassifier, onto calc/forest.
 *
 * The file has parallel lists, one entry a node, in any order and mixed over the trees; the first node of a tree is its
 * root. Modes are brought to one comparison: x < t is x <= the float before t, and > and >= are the others with the
 * children swapped. */
#include "predict/graph_scores.h"

#include <math.h>
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "calc/forest.h"

enum { CELLS_MAX = 1 << 26 }; /* values of leaves */

typedef struct {
    wr_forest *forest;
    size_t features, outputs, trees;
    uint64_t steps; /* comparisons of a row, at most */
    bool average, binary, positive;
    bool *scored; /* classes that any leaf names */
    const wr_onnx_attr *base;
    wr_post post;
    wr_labels labels; /* of a classifier */
} ensemble;

typedef struct {
    int64_t tree, node;
} id;

/* The lists of the file, checked to be equally long, and where their nodes go. */
typedef struct {
    const wr_graph_node *n;
    const int64_t *tree, *node, *feature, *yes, *no, *missing; /* missing may be NULL */
    const float *value, *cover;                                /* cover may be NULL */
    const wr_str *mode;
    size_t count, ntrees, max_feature;
    wr_map index;              /* id -> 1 + position in the lists */
    uint32_t *tree_of, *place; /* of each entry: its tree by order of appearance, its place in it */
    size_t *first;             /* of each tree: its nodes before */
    wr_forest_node *nodes;
    uint32_t *order; /* nodes by tree: entry */
    bool less;       /* every comparison is < */
    wr_err *err;
} lists;

static const int64_t *ints(lists *l, const char *name, size_t count, bool *ok)
{
    const wr_onnx_attr *a = wr_graph_attr_list(l->n, name, WR_ONNX_ATTR_INTS);
    if (!a || a->n != count) *ok = false;
    return a ? a->ints : NULL;
}

static int read_lists(lists *l)
{
    const wr_graph_node *n = l->n;
    const wr_onnx_attr *trees = wr_graph_attr_list(n, "nodes_treeids", WR_ONNX_ATTR_INTS),
                       *value = wr_graph_attr_list(n, "nodes_values", WR_ONNX_ATTR_FLOATS);
    const wr_onnx_attr *mode = wr_graph_attr_list(n, "nodes_modes", WR_ONNX_ATTR_STRINGS),
                       *missing = wr_graph_attr_list(n, "nodes_missing_value_tracks_true", WR_ONNX_ATTR_INTS);
    const wr_onnx_attr *cover = wr_graph_attr_list(n, "nodes_hitrates", WR_ONNX_ATTR_FLOATS);
    if (wr_onnx_attr_find(n->of, "nodes_values_as_tensor"))
        return wr_graph_refuse(n, l->err, "thresholds of another type than float");
    if (!trees || !value || !mode) return wr_graph_corrupt(n, l->err, "a list of nodes is missing");
    bool ok = value->n == trees->n && mode->n == trees->n && (!missing || missing->n == trees->n);
    l->count = trees->n;
    l->tree = trees->ints;
    l->value = value->floats;
    l->mode = mode->strings;
    l->node = ints(l, "nodes_nodeids", l->count, &ok);
    l->feature = ints(l, "nodes_featureids", l->count, &ok);
    l->yes = ints(l, "nodes_truenodeids", l->count, &ok);
    l->no = ints(l, "nodes_falsenodeids", l->count, &ok);
    l->missing = missing ? missing->ints : NULL;
    l->cover = cover && cover->n == l->count ? cover->floats : NULL;
    return ok && l->count < UINT32_MAX ? 0 : wr_graph_corrupt(n, l->err, "the lists of nodes are not equally long");
}

static wr_str key_of(const id *i) { return (wr_str){(const char *)i, sizeof *i}; }

/* Numbers the trees in order of appearance and the nodes within them. */
static int place_nodes(lists *l, wr_arena *a)
{
    wr_map trees;
    wr_map_init(&trees);
    l->tree_of = wr_arena_alloc(a, l->count * sizeof *l->tree_of);
    l->place = wr_arena_alloc(a, l->count * sizeof *l->place);
    l->first = wr_arena_calloc(a, l->count + 1, sizeof *l->first);
    bool ok = l->tree_of && l->place && l->first, twice = false;
    for (size_t i = 0; ok && i < l->count; i++) {
        id x = {l->tree[i], l->node[i]};
        wr_str k = {(const char *)&l->tree[i], sizeof(int64_t)};
        void *p = wr_map_get(&trees, k);
        if (!p) {
            p = (void *)(uintptr_t)(l->ntrees + 1);
            ok = wr_map_put(&trees, k, p) >= 0;
            l->ntrees++;
        }
        l->tree_of[i] = (uint32_t)(uintptr_t)p - 1;
        l->place[i] = (uint32_t)l->first[l->tree_of[i] + 1]++;
        twice = twice || wr_map_find(&l->index, key_of(&x)) >= 0;
        ok = ok && wr_map_put(&l->index, key_of(&x), (void *)(uintptr_t)(i + 1)) >= 0;
    }
    wr_map_fini(&trees);
    if (!ok) return wr_err_nomem(l->err);
    if (twice) return wr_graph_corrupt(l->n, l->err, "a node comes twice");
    for (size_t t = 0; t < l->ntrees; t++) l->first[t + 1] += l->first[t];
    return 0;
}

typedef struct {
    bool leaf, swap, less;
} how;

static int mode_of(how *out, lists *l, size_t i)
{
    static const struct {
        const char *name;
        how h;
    } modes[] = {
        {"LEAF", {true, false, false}},      {"BRANCH_LEQ", {false, false, false}}, {"BRANCH_LT", {false, false, true}},
        {"BRANCH_GT", {false, true, false}}, {"BRANCH_GTE", {false, true, true}},
    };
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        if (!wr_str_is(l->mode[i], modes[k].name)) continue;
        *out = modes[k].h;
        return 0;
    }
    return wr_graph_refuse(l->n, l->err, "nodes that test for equality");
}

/* The place of a child in its tree. */
static int child(uint32_t *out, lists *l, size_t of, int64_t node)
{
    id x = {l->tree[of], node};
    void *p = wr_map_get(&l->index, key_of(&x));
    if (!p) return wr_graph_corrupt(l->n, l->err, "a child is not there");
    *out = l->place[(size_t)(uintptr_t)p - 1];
    return 0;
}

static int make_node(lists *l, size_t i)
{
    how h;
    uint32_t yes, no;
    wr_forest_node *to = &l->nodes[l->first[l->tree_of[i]] + l->place[i]];
    WR_TRY(mode_of(&h, l, i));
    *to = (wr_forest_node){.bits = h.leaf ? WR_FOREST_LEAF : 0, .cover = l->cover ? l->cover[i] : 0};
    if (h.leaf) return 0;
    WR_TRY(child(&yes, l, i, l->yes[i]));
    WR_TRY(child(&no, l, i, l->no[i]));
    if (l->feature[i] < 0 || l->feature[i] > INT32_MAX)
        return wr_graph_corrupt(l->n, l->err, "a feature has a strange number");
    to->feature = (uint32_t)l->feature[i];
    if (to->feature >= l->max_feature) l->max_feature = (size_t)to->feature + 1;
    to->left = h.swap ? no : yes;
    to->right = h.swap ? yes : no;
    to->threshold = (double)(h.less && !l->less ? nextafterf(l->value[i], -INFINITY) : l->value[i]);
    bool tracks =
        l->missing && l->missing[i] != 0; /* missing goes where true goes; else a comparison with NaN is false */
    if (tracks != h.swap) to->bits |= WR_FOREST_MISSING_LEFT;
    return 0;
}

static int make_nodes(lists *l, wr_arena *a)
{
    how h;
    l->less = true;
    for (size_t i = 0; i < l->count; i++) {
        WR_TRY(mode_of(&h, l, i));
        if (!h.leaf && !h.less) l->less = false;
    }
    l->nodes = wr_arena_alloc(a, l->count * sizeof *l->nodes);
    if (!l->nodes) return wr_err_nomem(l->err);
    for (size_t i = 0; i < l->count; i++) WR_TRY(make_node(l, i));
    return 0;
}

/* ---- leaves ---- */

typedef struct {
    const int64_t *tree, *node, *out;
    const float *weight;
    size_t n;
} weights;

static int read_weights(weights *w, lists *l, const char *prefix)
{
    char name[4][32];
    static const char *const parts[] = {"treeids", "nodeids", "ids", "weights"};
    for (int k = 0; k < 4; k++) (void)snprintf(name[k], sizeof name[k], "%s_%s", prefix, parts[k]);
    const wr_onnx_attr *f = wr_graph_attr_list(l->n, name[3], WR_ONNX_ATTR_FLOATS);
    if (!f) return wr_graph_refuse(l->n, l->err, "leaves without values, or values of another type than float");
    bool ok = true;
    w->n = f->n;
    w->weight = f->floats;
    w->tree = ints(l, name[0], f->n, &ok);
    w->node = ints(l, name[1], f->n, &ok);
    w->out = ints(l, name[2], f->n, &ok);
    return ok ? 0 : wr_graph_corrupt(l->n, l->err, "the lists of leaves are not equally long");
}

/* Outputs that a tree's leaves name: one -> only[tree]; more -> SIZE_MAX, then for all trees: a forest has one form of
 * leaves. */
static int which_outputs(size_t *only, lists *l, const weights *w, ensemble *e)
{
    for (size_t t = 0; t < l->ntrees; t++) only[t] = SIZE_MAX - 1;
    for (size_t k = 0; k < w->n; k++) {
        id x = {w->tree[k], w->node[k]};
        void *p = wr_map_get(&l->index, key_of(&x));
        if (!p || w->out[k] < 0 || (size_t)w->out[k] >= e->outputs)
            return wr_graph_corrupt(l->n, l->err, "a value belongs to no leaf or to no output");
        size_t i = (size_t)(uintptr_t)p - 1, t = l->tree_of[i];
        if (!(l->nodes[l->first[t] + l->place[i]].bits & WR_FOREST_LEAF))
            return wr_graph_corrupt(l->n, l->err, "a value belongs to a node that is no leaf");
        if (only[t] == SIZE_MAX - 1) only[t] = (size_t)w->out[k];
        else if (only[t] != (size_t)w->out[k]) only[t] = SIZE_MAX;
        e->scored[w->out[k]] = true;
        if (w->weight[k] < 0) e->positive = false;
    }
    bool several = false;
    for (size_t t = 0; t < l->ntrees; t++) several = several || only[t] == SIZE_MAX;
    for (size_t t = 0; several && t < l->ntrees; t++) only[t] = SIZE_MAX;
    return 0;
}

/* Comparisons on the longest way down; the tree is one already. */
static int depth_of(uint64_t *out, const wr_forest_node *nodes, size_t n, wr_err *err)
{
    WR_AUTOFREE uint32_t *stack = wr_alloc(n * 2 * sizeof *stack);
    if (!stack) return wr_err_nomem(err);
    size_t top = 0;
    uint32_t deepest = 0;
    stack[top++] = 0;
    stack[top++] = 0;
    while (top) {
        uint32_t depth = stack[--top], at = stack[--top];
        if (depth > deepest) deepest = depth;
        if (nodes[at].bits & WR_FOREST_LEAF) continue;
        stack[top++] = nodes[at].left;
        stack[top++] = depth + 1;
        stack[top++] = nodes[at].right;
        stack[top++] = depth + 1;
    }
    *out = (uint64_t)deepest + 1;
    return 0;
}

/* Values of the leaves: into the nodes for trees of one output, into a matrix for the others (first[t] * outputs on).
 */
static int put_values(double **out, lists *l, const weights *w, const size_t *only, size_t outputs, uint64_t most)
{
    double *many = NULL;
    size_t cells;
    for (size_t t = 0; t < l->ntrees && !many; t++) {
        if (only[t] != SIZE_MAX) continue;
        if (__builtin_mul_overflow(l->count, outputs, &cells) || cells > most)
            return wr_graph_refuse(l->n, l->err, "that many values in leaves");
        many = wr_calloc(cells, sizeof *many);
        if (!many) return wr_err_nomem(l->err);
    }
    *out = many;
    for (size_t k = 0; k < w->n; k++) {
        id x = {w->tree[k], w->node[k]};
        size_t i = (size_t)(uintptr_t)wr_map_get(&l->index, key_of(&x)) - 1, t = l->tree_of[i],
               at = l->first[t] + l->place[i];
        if (only[t] == SIZE_MAX) many[at * outputs + (size_t)w->out[k]] += (double)w->weight[k];
        else l->nodes[at].value += (double)w->weight[k];
    }
    return 0;
}

static int fill_forest(ensemble *e, lists *l, const size_t *only, const double *many)
{
    wr_forest_opt opt = {.nfeatures = (uint32_t)(l->max_feature ? l->max_feature : 1),
                         .noutputs = (uint32_t)e->outputs,
                         .sum = WR_FOREST_SUM_FLOAT,
                         .op = l->less ? WR_FOREST_LESS : WR_FOREST_LESS_EQUAL};
    WR_TRY(wr_forest_new(&e->forest, &opt, l->err));
    e->features = opt.nfeatures;
    e->trees = l->ntrees;
    for (size_t t = 0; t < l->ntrees; t++) {
        size_t from = l->first[t], n = l->first[t + 1] - from;
        uint64_t depth = 0;
        bool several = only[t] == SIZE_MAX;
        uint32_t output = several || only[t] >= e->outputs ? 0 : (uint32_t)only[t];
        WR_TRY(wr_forest_add_tree(e->forest, l->nodes + from, n, output, several ? many + from * e->outputs : NULL,
                                  several ? e->outputs : 1, l->err));
        WR_TRY(depth_of(&depth, l->nodes + from, n, l->err));
        e->steps += depth * (several ? e->outputs : 1);
    }
    return wr_forest_finish(e->forest, l->err);
}

static int build(ensemble *e, lists *l, wr_graph *g, const char *prefix)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOFREE double *many = NULL;
    weights w = {0};
    if (!a) return wr_err_nomem(l->err);
    WR_TRY(read_lists(l));
    WR_TRY(place_nodes(l, a));
    WR_TRY(make_nodes(l, a));
    WR_TRY(read_weights(&w, l, prefix));
    size_t *only = wr_arena_alloc(a, l->ntrees * sizeof *only);
    e->scored = wr_arena_calloc(g->mem, e->outputs, sizeof *e->scored);
    if (!only || !e->scored) return wr_err_nomem(l->err);
    e->positive = true;
    WR_TRY(which_outputs(only, l, &w, e));
    WR_TRY(put_values(&many, l, &w, only, e->outputs, g->work < CELLS_MAX ? g->work : CELLS_MAX));
    WR_TRY(fill_forest(e, l, only, many));
    g->beside += wr_forest_memory(e->forest);
    return 0;
}

static int prepare_ensemble(ensemble *e, wr_graph_node *n, wr_graph *g, const char *prefix, wr_err *err)
{
    lists l = {.n = n, .err = err};
    n->state = e;
    e->base = wr_graph_attr_list(n, "base_values", WR_ONNX_ATTR_FLOATS);
    if (wr_onnx_attr_find(n->of, "base_values_as_tensor"))
        return wr_graph_refuse(n, err, "values of another type than float");
    WR_TRY(wr_post_of(&e->post, n, err));
    wr_map_init(&l.index);
    int rc = build(e, &l, g, prefix);
    wr_map_fini(&l.index);
    return rc;
}

static void fini_ensemble(void *state) { wr_forest_free(((ensemble *)state)->forest); }

static int prepare_regressor(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    ensemble *e = wr_arena_calloc(g->mem, 1, sizeof *e);
    int64_t targets = wr_graph_attr_i(n, "n_targets", 1);
    wr_str how_many = wr_graph_attr_s(n, "aggregate_function", "SUM");
    if (!e) return wr_err_nomem(err);
    if (targets < 1 || targets > 1 << 20) return wr_graph_corrupt(n, err, "a strange number of targets");
    e->outputs = (size_t)targets;
    e->average = wr_str_is(how_many, "AVERAGE");
    if (!e->average && !wr_str_is(how_many, "SUM"))
        return wr_graph_refuse(n, err, "another aggregate than SUM and AVERAGE");
    WR_TRY(prepare_ensemble(e, n, g, "target", err));
    return e->base && e->base->n != 1 && e->base->n != e->outputs
               ? wr_graph_corrupt(n, err, "base values and targets are not as many")
               : 0;
}

static int prepare_classifier(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    ensemble *e = wr_arena_calloc(g->mem, 1, sizeof *e);
    if (!e) return wr_err_nomem(err);
    WR_TRY(wr_labels_of(&e->labels, n, "classlabels_int64s", "classlabels_strings", err));
    e->outputs = e->labels.n;
    if (e->outputs < 2 || e->outputs > 1 << 20) return wr_graph_refuse(n, err, "one class");
    WR_TRY(prepare_ensemble(e, n, g, "class", err));
    if (e->base && e->base->n > e->outputs) return wr_graph_corrupt(n, err, "there are more base values than classes");
    e->binary = e->outputs == 2 && e->scored[0] != e->scored[1];
    if (e->binary && e->scored[0] && e->post == WR_POST_PROBIT)
        return wr_graph_refuse(n, err, "the probit of two classes");
    bool plain = e->labels.type == WR_TENSOR_BYTES || (e->labels.list->ints[0] == 0 && e->labels.list->ints[1] == 1);
    if (e->outputs == 2 && !e->binary && !plain)
        return wr_graph_refuse(n, err,
                               "two scores and labels other than 0 and 1"); /* ONNX Runtime says 0 and 1 nevertheless */
    return 0;
}

/* ---- running ---- */

/* The margins of all rows; rows with more columns than the trees look at are cut. */
static double *margins(wr_graph_ctx *r, const ensemble *e, const wr_tensor *a, size_t rows, size_t cols)
{
    if (a->type == WR_TENSOR_FP64) {
        (void)wr_graph_unsupported(r, a); /* its comparisons would be of doubles */
        return NULL;
    }
    if (cols < e->features) {
        (void)wr_graph_bad(r, "the model has more features");
        return NULL;
    }
    const float *x = wr_graph_floats(r, a);
    double *out = x ? wr_graph_scratch(r, rows * e->outputs * sizeof *out) : NULL;
    uint64_t work;
    if (!out || __builtin_mul_overflow((uint64_t)rows, e->steps, &work)) work = UINT64_MAX;
    if (!out || wr_graph_work(r, work) < 0) return NULL;
    if (cols > e->features) {
        float *narrow = wr_graph_scratch(r, rows * e->features * sizeof *narrow);
        for (size_t i = 0; narrow && i < rows; i++)
            memcpy(narrow + i * e->features, x + i * cols, e->features * sizeof *narrow);
        x = narrow;
    }
    return x && wr_forest_predict(e->forest, x, rows, true, out, NULL, r->err) == 0 ? out : NULL;
}

static int run_regressor(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const ensemble *e = n->state;
    size_t rows = 0, cols = 0, m = e->outputs;
    WR_TRY(wr_graph_matrix(r, a, &rows, &cols));
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_FP32, 2, (const int64_t[]){(int64_t)rows, (int64_t)m});
    const double *s = o ? margins(r, e, a, rows, cols) : NULL;
    if (!s) return r->err->code;
    bool base = e->base && e->base->n == m;
    float *z = o->data;
    for (size_t i = 0; i < rows; i++, z += m, s += m) {
        for (size_t k = 0; k < m; k++) {
            z[k] = (float)s[k];
            if (e->average) z[k] /= (float)e->trees;
            if (base) z[k] += e->base->floats[k];
        }
        if (e->post) wr_post_many(z, m, e->post);
    }
    return 0;
}

/* Two classes: what one score means depends on which classes the leaves name (see graph_scores.h). The label's number.
 */
static size_t answer_two(float *z, const ensemble *e, float s0, float s1)
{
    const float *base = e->base ? e->base->floats : NULL;
    size_t nbase = e->base ? e->base->n : 0;
    bool has0 = e->scored[0], has1 = e->scored[1];
    if (nbase == 2 && has1) {
        s1 = base[1] + s0;
        s0 = has0 ? -s1 : 0;
    } else if (nbase == 2) {
        s0 += base[0];
    } else if (nbase == 1) {
        s0 = has0 ? s0 + base[0] : 0;
    }
    float positive = has1 ? s1 : s0;
    size_t label = positive > (e->binary && e->positive ? 0.5f : 0);
    if (has1 || nbase == 2) {
        z[0] = s0;
        z[1] = has1 ? s1 : 0;
        wr_post_many(z, 2, e->post);
    } else {
        wr_post_pair(z, s0, e->post, !e->positive);
    }
    return label;
}

static size_t answer_many(float *z, const ensemble *e, const double *s)
{
    size_t best = SIZE_MAX;
    for (size_t k = 0; k < e->outputs; k++) {
        bool base = e->base && k < e->base->n;
        z[k] = (float)s[k];
        if (base) z[k] += e->base->floats[k];
        if ((e->scored[k] || base) && (best == SIZE_MAX || z[k] > z[best])) best = k;
    }
    wr_post_many(z, e->outputs, e->post);
    return best == SIZE_MAX ? 0 : best;
}

static int run_classifier(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const ensemble *e = n->state;
    size_t rows = 0, cols = 0, m = e->outputs;
    WR_TRY(wr_graph_matrix(r, a, &rows, &cols));
    wr_tensor *y = wr_graph_make(r, n, 0, e->labels.type, 1, (const int64_t[]){(int64_t)rows});
    float *room = y ? wr_graph_scratch(r, m * sizeof *room) : NULL; /* for a row, when nobody wants scores */
    wr_tensor *z = room && n->nout > 1
                       ? wr_graph_make(r, n, 1, WR_TENSOR_FP32, 2, (const int64_t[]){(int64_t)rows, (int64_t)m})
                       : NULL;
    const double *s = room && (z || n->nout < 2) ? margins(r, e, a, rows, cols) : NULL;
    if (!s) return r->err->code;
    for (size_t i = 0; i < rows; i++, s += m) {
        float *to = z ? (float *)z->data + i * m : room;
        wr_labels_put(y, i, &e->labels, m == 2 ? answer_two(to, e, (float)s[0], (float)s[1]) : answer_many(to, e, s));
    }
    return 0;
}

const wr_graph_op wr_graph_trees_ops[] = {
    {.name = "TreeEnsembleRegressor",
     .prepare = prepare_regressor,
     .run = run_regressor,
     .fini = fini_ensemble,
     .min_in = 1,
     .max_in = 1,
     .max_out = 1,
     .ml = true},
    {.name = "TreeEnsembleClassifier",
     .prepare = prepare_classifier,
     .run = run_classifier,
     .fini = fini_ensemble,
     .min_in = 1,
     .max_in = 1,
     .max_out = 2,
     .ml = true},
    {0},
};
