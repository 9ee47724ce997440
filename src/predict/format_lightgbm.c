/* SPDX-License-Identifier: Apache-2.0 */
/* format_lightgbm.c - models of LightGBM as Booster.save_model writes them: text of version v2 to v4.
 *
 * "key=value" lines: the head, then a block a tree ("Tree=0" ...), then "end of trees"; of what follows, parameters among it, only names of
 * categories matter (categories_lightgbm.c); a category that was not there in training is missing, as in pandas. A tree of n leaves has
 * n - 1 inner nodes; a child below zero is the leaf ~child. decision_type of a node: bit 0 category, bit 1 missing goes left, bits 2 and 3
 * what is missing: nothing (NaN is 0 then), zero (and NaN), NaN. A category goes left when it is in the node's set of bits; what is missing
 * or negative goes right.
 *
 * Sums are doubles in the order of trees, tree k of an iteration adding to class k; a random forest is averaged. Features are compared as
 * float32 here and as doubles there: a value that only a double can tell from a threshold may go another way.
 */
#include <math.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/num.h"
#include "io/file.h"
#include "predict/forest_predictor.h"
#include "predict/format_list.h"

enum { MAX_LEAVES = 1 << 25, MAX_CATEGORY_WORDS = 1 << 24 };

typedef struct {
    const char *name;
    wr_forest_transform transform;
} objective;

static const objective objectives[] = {
    {"regression", WR_FOREST_IDENTITY},
    {"regression_l1", WR_FOREST_IDENTITY},
    {"huber", WR_FOREST_IDENTITY},
    {"fair", WR_FOREST_IDENTITY},
    {"quantile", WR_FOREST_IDENTITY},
    {"mape", WR_FOREST_IDENTITY},
    {"poisson", WR_FOREST_EXP},
    {"gamma", WR_FOREST_EXP},
    {"tweedie", WR_FOREST_EXP},
    {"binary", WR_FOREST_LOGISTIC},
    {"multiclass", WR_FOREST_SOFTMAX},
    {"multiclassova", WR_FOREST_EACH_LOGISTIC},
    {"cross_entropy", WR_FOREST_EACH_LOGISTIC},
    {"cross_entropy_lambda", WR_FOREST_LOG1P_EXP},
    {"lambdarank", WR_FOREST_IDENTITY},
    {"rank_xendcg", WR_FOREST_IDENTITY},
    {"custom", WR_FOREST_IDENTITY},
    {"", WR_FOREST_IDENTITY}, /* an objective of the program's own is not written */
};

typedef struct {
    const char *what;
    wr_err *err;
    wr_arena *a; /* of the tree in hand */
    wr_str rest; /* lines to come */
    size_t line;
    int64_t nfeatures, nout;
    wr_forest_opt opt;
    wr_str names, objective;
    wr_lightgbm_lists lists;
    bool average;
    wr_forest *f;
} reader;

static int corrupt(reader *r, const char *message)
{
    return wr_err_set(r->err, WEIR_ECORRUPT, "%s: line %zu: %s", r->what, r->line, message);
}

/* The next line as key and value (value.p NULL: no '='). False at the end. */
static bool next_line(reader *r, wr_str *key, wr_str *value)
{
    if (!r->rest.p) return false;
    *value = wr_str_trim(wr_str_cut(&r->rest, '\n'));
    r->line++;
    *key = wr_str_cut(value, '=');
    return true;
}

static int whole(int64_t *out, reader *r, wr_str text, int64_t least, int64_t most)
{
    if (wr_num_i64(out, text, NULL) < 0) return corrupt(r, "not a whole number");
    if (*out >= least && *out <= most) return 0;
    return wr_err_set(r->err, WEIR_ELIMIT, "%s: line %zu: %lld, %lld to %lld are possible", r->what, r->line, (long long)*out, (long long)least,
                      (long long)most);
}

/* ---- lists ---- */

/* n numbers between spaces. */
static int numbers(const double **out, reader *r, wr_str text, size_t n, const char *key)
{
    double *x = wr_arena_alloc(r->a, (n + 1) * sizeof *x);
    size_t k = 0;
    if (!x) return wr_err_nomem(r->err);
    while (text.p) {
        wr_str word = wr_str_cut(&text, ' ');
        if (!word.n) continue;
        if (k == n || wr_num_f64(&x[k++], word, NULL) < 0) {
            return wr_err_set(r->err, WEIR_ECORRUPT, "%s: tree before line %zu: \"%s\" is not a list of %zu numbers", r->what, r->line, key, n);
        }
    }
    if (k < n) return wr_err_set(r->err, WEIR_ECORRUPT, "%s: tree before line %zu: \"%s\" is not a list of %zu numbers", r->what, r->line, key, n);
    *out = x;
    return 0;
}

/* The whole number from `least` to `most` that x is; `least - 1` for others. */
static int64_t index_of(double x, int64_t least, int64_t most)
{
    return x >= (double)least && x <= (double)most && x == floor(x) ? (int64_t)x : least - 1;
}

/* ---- a tree ---- */

typedef enum {
    NUM_LEAVES,
    NUM_CAT,
    SPLIT_FEATURE,
    THRESHOLD,
    DECISION_TYPE,
    LEFT_CHILD,
    RIGHT_CHILD,
    LEAF_VALUE,
    LEAF_COUNT,
    INTERNAL_COUNT,
    CAT_BOUNDARIES,
    CAT_THRESHOLD,
    IS_LINEAR,
    FIELDS
} field;

static const char *const field_names[FIELDS] = {
    "num_leaves", "num_cat",    "split_feature",  "threshold",      "decision_type", "left_child", "right_child",
    "leaf_value", "leaf_count", "internal_count", "cat_boundaries", "cat_threshold", "is_linear",
};

typedef struct {
    wr_str text[FIELDS];
    const double *list[FIELDS];
    size_t leaves, inner, sets, words;
} tree;

static int list(tree *t, reader *r, field f, size_t n) { return numbers(&t->list[f], r, t->text[f], n, field_names[f]); }

static int read_lists(reader *r, tree *t)
{
    int64_t leaves, sets = 0, words = 0, linear = 0;
    WR_TRY(whole(&leaves, r, t->text[NUM_LEAVES], 1, MAX_LEAVES));
    if (t->text[NUM_CAT].p) WR_TRY(whole(&sets, r, t->text[NUM_CAT], 0, MAX_LEAVES));
    if (t->text[IS_LINEAR].p) WR_TRY(whole(&linear, r, t->text[IS_LINEAR], 0, 1));
    if (linear) return wr_err_set(r->err, WEIR_EUNSUPPORTED, "%s: trees with linear models in their leaves are not read", r->what);
    t->leaves = (size_t)leaves;
    t->inner = t->leaves - 1;
    t->sets = (size_t)sets;
    if (t->text[LEAF_VALUE].n < t->leaves * 2 - 1) return corrupt(r, "a tree with fewer values than leaves");
    for (int f = SPLIT_FEATURE; f <= RIGHT_CHILD && t->inner; f++) WR_TRY(list(t, r, (field)f, t->inner));
    WR_TRY(list(t, r, LEAF_VALUE, t->leaves));
    if (t->text[LEAF_COUNT].n) WR_TRY(list(t, r, LEAF_COUNT, t->leaves));
    if (t->text[INTERNAL_COUNT].n && t->inner) WR_TRY(list(t, r, INTERNAL_COUNT, t->inner));
    if (!t->sets) return 0;
    if (t->text[CAT_BOUNDARIES].n < t->sets) return corrupt(r, "a tree with fewer sets of categories than it says");
    WR_TRY(list(t, r, CAT_BOUNDARIES, t->sets + 1));
    words = index_of(t->list[CAT_BOUNDARIES][t->sets], 0, MAX_CATEGORY_WORDS);
    if (words < 0 || t->text[CAT_THRESHOLD].n < (size_t)words) return corrupt(r, "sets of categories that end nowhere");
    t->words = (size_t)words;
    return list(t, r, CAT_THRESHOLD, t->words);
}

static int category_node(reader *r, const tree *t, wr_forest_node *d, double set)
{
    int64_t k = index_of(set, 0, (int64_t)t->sets - 1);
    if (k < 0) return corrupt(r, "a set of categories that is not there");
    int64_t from = index_of(t->list[CAT_BOUNDARIES][k], 0, (int64_t)t->words), to = index_of(t->list[CAT_BOUNDARIES][k + 1], 0, (int64_t)t->words);
    if (from < 0 || to < from) return corrupt(r, "a set of categories that ends before it starts");
    size_t n = (size_t)(to - from);
    WR_AUTOFREE uint8_t *bits = wr_alloc(n * 4 + 1);
    if (!bits) return wr_err_nomem(r->err);
    for (size_t w = 0; w < n; w++) {
        int64_t word = index_of(t->list[CAT_THRESHOLD][(size_t)from + w], 0, UINT32_MAX);
        if (word < 0) return corrupt(r, "a set of categories that is no set of bits");
        for (size_t b = 0; b < 4; b++) bits[w * 4 + b] = (uint8_t)(word >> (8 * b));
    }
    d->bits = WR_FOREST_CATEGORY;
    return wr_forest_add_set(&d->set, r->f, bits, n * 32, r->err);
}

static int number_node(reader *r, wr_forest_node *d, int64_t type, double threshold)
{
    enum { NONE, ZERO, NOT_A_NUMBER };
    int64_t missing = type >> 2;
    bool left = (type & 2) != 0;
    d->threshold = threshold;
    if (missing == NONE) left = 0 <= threshold; /* NaN is read as 0 */
    else if (missing == ZERO) d->bits |= WR_FOREST_ZERO_MISSING;
    else if (missing != NOT_A_NUMBER) return corrupt(r, "a kind of missing values that is not known");
    if (left) d->bits |= WR_FOREST_MISSING_LEFT;
    return 0;
}

/* Inner nodes as they stand, then leaves. */
static int child(uint32_t *out, reader *r, const tree *t, double x)
{
    int64_t k = index_of(x, -(int64_t)t->leaves, (int64_t)t->inner - 1);
    if (k < -(int64_t)t->leaves) return corrupt(r, "a child that is not there");
    *out = (uint32_t)(k >= 0 ? k : (int64_t)t->inner + ~k);
    return 0;
}

static int add_tree(reader *r, const tree *t, size_t number)
{
    size_t n = t->inner + t->leaves;
    bool counts = t->list[LEAF_COUNT] && (t->list[INTERNAL_COUNT] || !t->inner);
    wr_forest_node *nodes = wr_arena_calloc(r->a, n, sizeof *nodes);
    if (!nodes) return wr_err_nomem(r->err);
    for (size_t i = 0; i < t->inner; i++) {
        wr_forest_node *d = &nodes[i];
        int64_t feature = index_of(t->list[SPLIT_FEATURE][i], 0, r->nfeatures - 1), type = index_of(t->list[DECISION_TYPE][i], 0, 15);
        if (feature < 0 || type < 0) return corrupt(r, "a node whose feature or kind is none");
        WR_TRY(child(&d->left, r, t, t->list[LEFT_CHILD][i]));
        WR_TRY(child(&d->right, r, t, t->list[RIGHT_CHILD][i]));
        d->feature = (uint32_t)feature;
        d->cover = counts ? (float)t->list[INTERNAL_COUNT][i] : 0;
        if (type & 1) WR_TRY(category_node(r, t, d, t->list[THRESHOLD][i]));
        else WR_TRY(number_node(r, d, type, t->list[THRESHOLD][i]));
    }
    for (size_t i = 0; i < t->leaves; i++) {
        nodes[t->inner + i] = (wr_forest_node){
            .bits = WR_FOREST_LEAF, .value = t->list[LEAF_VALUE][i], .cover = counts ? (float)t->list[LEAF_COUNT][i] : 0};
    }
    int rc = wr_forest_add_tree(r->f, nodes, n, (uint32_t)(number % (size_t)r->nout), NULL, 0, r->err);
    return rc < 0 ? wr_err_wrap(r->err, rc, "%s", r->what) : 0;
}

/* The blocks of trees, from behind "Tree=0" on. */
static int read_trees(reader *r)
{
    wr_str key, value;
    tree t = {0};
    for (size_t number = 0;;) {
        if (!next_line(r, &key, &value)) return corrupt(r, "ends before \"end of trees\"");
        bool last = wr_str_is(key, "end of trees");
        if (last || wr_str_is(key, "Tree")) {
            wr_arena_clear(r->a);
            WR_TRY(read_lists(r, &t));
            WR_TRY(add_tree(r, &t, number++));
            t = (tree){0};
            if (last) return number % (size_t)r->nout ? corrupt(r, "an iteration that is not whole") : 0;
            continue;
        }
        for (int f = 0; f < FIELDS && value.p; f++) {
            if (wr_str_is(key, field_names[f])) t.text[f] = value;
        }
    }
}

/* ---- the head ---- */

/* "binary sigmoid:1", "multiclass num_class:3", "regression sqrt" */
static int read_objective(reader *r)
{
    wr_str rest = r->objective, name = wr_str_cut(&rest, ' ');
    const objective *o = NULL;
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++) {
        if (wr_str_is(name, objectives[i].name)) o = &objectives[i];
    }
    if (!o) return wr_err_set(r->err, WEIR_EUNSUPPORTED, "%s: the objective \"%.*s\" is not known", r->what, (int)(name.n < 60 ? name.n : 60), name.p);
    r->opt.transform = o->transform;
    while (rest.p) {
        wr_str value = wr_str_cut(&rest, ' '), key = wr_str_cut(&value, ':');
        if (wr_str_is(key, "sqrt") && wr_str_is(name, "regression")) r->opt.transform = WR_FOREST_SIGNED_SQUARE;
        if (!wr_str_is(key, "sigmoid")) continue;
        if (wr_num_f64(&r->opt.scale, value, NULL) < 0 || !(r->opt.scale > 0)) return corrupt(r, "a sigmoid that is not above 0");
    }
    return 0;
}

static int read_names(const wr_str **out, wr_arena *a, reader *r)
{
    size_t k = 0, n = (size_t)r->nfeatures;
    wr_str *names = wr_arena_alloc(a, n * sizeof *names), rest = r->names;
    *out = NULL;
    if (!names) return wr_err_nomem(r->err);
    while (rest.p) {
        wr_str name = wr_str_cut(&rest, ' ');
        if (!name.n) continue;
        if (k == n) return corrupt(r, "more names than features");
        names[k++] = name;
    }
    if (k && k < n) return corrupt(r, "fewer names than features");
    *out = k ? names : NULL;
    return 0;
}

static int read_head(reader *r)
{
    wr_str key, value;
    int64_t classes = 1, most = -1;
    r->nout = 1;
    for (;;) {
        if (!next_line(r, &key, &value)) return corrupt(r, "ends before the first tree");
        if (wr_str_is(key, "end of trees")) return corrupt(r, "a model without trees");
        if (wr_str_is(key, "Tree")) break;
        if (wr_str_is(key, "num_class")) WR_TRY(whole(&classes, r, value, 1, 1 << 16));
        if (wr_str_is(key, "num_tree_per_iteration")) WR_TRY(whole(&r->nout, r, value, 1, 1 << 16));
        if (wr_str_is(key, "max_feature_idx")) WR_TRY(whole(&most, r, value, 0, (1 << 20) - 1));
        if (wr_str_is(key, "objective")) r->objective = value;
        if (wr_str_is(key, "feature_names")) r->names = value;
        if (wr_str_is(key, "feature_infos")) r->lists.infos = value;
        if (wr_str_is(key, "average_output")) r->average = true;
    }
    if (most < 0) return corrupt(r, "the head does not say how many features there are");
    if (classes != r->nout && classes != 1) return corrupt(r, "as many trees an iteration as classes are expected");
    r->nfeatures = most + 1;
    WR_TRY(read_objective(r));
    r->opt.nfeatures = (uint32_t)r->nfeatures;
    r->opt.noutputs = (uint32_t)r->nout;
    r->opt.op = WR_FOREST_LESS_EQUAL;
    r->opt.sum = WR_FOREST_SUM_DOUBLE;
    r->opt.average = r->average;
    r->opt.loose_categories = true;
    int rc = wr_forest_new(&r->f, &r->opt, r->err);
    if (rc < 0) return wr_err_wrap(r->err, rc, "%s", r->what);
    return read_trees(r);
}

/* Behind the trees: "[categorical_feature: 0,2]" among the parameters, and "pandas_categorical:[[...],...]". */
static int read_tail(wr_categories **out, reader *r)
{
    while (r->rest.p) {
        wr_str value = wr_str_trim(wr_str_cut(&r->rest, '\n')), key = wr_str_cut(&value, ':');
        if (wr_str_is(key, "[categorical_feature") && wr_str_ends(value, "]")) r->lists.categorical = wr_str_trim(wr_str_sub(value, 0, value.n - 1));
        if (wr_str_is(key, "pandas_categorical")) r->lists.lists = value;
    }
    int rc = wr_categories_from_lightgbm(out, &r->lists, (size_t)r->nfeatures, r->err);
    return rc < 0 ? wr_err_wrap(r->err, rc, "%s", r->what) : 0;
}

static int read_all(wr_predictor **out, reader *r, const char *as)
{
    wr_categories *categories;
    WR_AUTOARENA wr_arena *names_mem = wr_arena_new(0);
    const wr_str *names;
    wr_str kind = wr_str_of(as);
    if (!names_mem) return wr_err_nomem(r->err);
    WR_TRY(read_head(r));
    WR_TRY(read_names(&names, names_mem, r));
    WR_TRY(wr_forest_finish(r->f, r->err));
    WR_TRY(read_tail(&categories, r));
    wr_forest_predictor_opt opt = {.platform = "lightgbm_text",
                                   .type = WR_TENSOR_FP64,
                                   .labels = wr_str_ends(kind, "Classifier"),
                                   .features = names,
                                   .categories = categories,
                                   .unseen_is_missing = true};
    wr_forest *f = r->f;
    r->f = NULL;
    return wr_forest_predictor_new(out, f, &opt, r->err);
}

int wr_lightgbm_read(wr_predictor **out, wr_str bytes, const char *as, const char *what, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    if (memchr(bytes.p, 0, bytes.n)) return wr_err_set(err, WEIR_ECORRUPT, "%s: not the text of a LightGBM model", what);
    reader r = {.what = what, .err = err, .a = a, .rest = bytes};
    int rc = read_all(out, &r, as);
    wr_forest_free(r.f);
    return rc;
}

/* ---- the format ---- */

static bool knows(wr_str name, wr_str head)
{
    (void)name;
    return wr_str_starts(head, "tree\n") || wr_str_starts(head, "tree\r\n");
}

static int open_as(wr_predictor **out, const char *path, const char *as, wr_err *err)
{
    WR_AUTOBUF wr_buf bytes = {0};
    WR_TRY(wr_file_read(&bytes, path, WR_LIMIT_FOREST_FILE, err));
    return wr_lightgbm_read(out, wr_buf_view(&bytes), as, path, err);
}

static int open_file(wr_predictor **out, const char *path, wr_err *err) { return open_as(out, path, NULL, err); }

const wr_format wr_format_lightgbm = {
    .name = "lightgbm",
    .summary = "LightGBM models saved as text",
    .knows = knows,
    .open = open_file,
    .open_as = open_as,
};
