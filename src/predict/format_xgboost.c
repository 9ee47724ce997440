/* SPDX-License-Identifier: Apache-2.0 */
/* format_xgboost.c - models of XGBoost as Booster.save_model writes them since 1.0: JSON and UBJSON, of 1.7 to 3.x.
 *
 * What the file says (its schema: doc/model.schema of XGBoost): learner.learner_model_param has features, classes, targets and base_score;
 * learner.objective.name the transformation; learner.gradient_booster trees (gbtree), trees with weights (dart) or weights (gblinear). A
 * tree is arrays by node: left_children -1 is a leaf, whose value stands in split_conditions.
 *
 * Sums. XGBoost starts with the base score as a margin and adds leaves as float32 in the order of trees; dart multiplies leaf and weight
 * first. A value goes left when it is less than the condition. A category goes right when it stands in the node's list; one that stands in
 * none, or is no category, goes left: such a node's children change sides here.
 *
 * Since 3.1 "cats" of the booster's model says what categories are called (categories_xgboost.c); one that was not there in training is an error.
 *
 * base_score is on the scale of the answer ("5E-1"; since 3.1 "[5E-1]", or one for each target) and is brought to that of margins.
 */
#include <math.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/num.h"
#include "codec/ubjson.h"
#include "io/file.h"
#include "predict/forest_predictor.h"
#include "predict/format_list.h"

enum { MAX_NODES = 1 << 26 };

typedef enum { SAME, LOGIT, LOG } link_kind;

typedef struct {
    const char *name;
    wr_forest_transform transform;
    link_kind link;
} objective;

static const objective objectives[] = {
    {"reg:squarederror", WR_FOREST_IDENTITY, SAME},
    {"reg:linear", WR_FOREST_IDENTITY, SAME},
    {"reg:squaredlogerror", WR_FOREST_IDENTITY, SAME},
    {"reg:pseudohubererror", WR_FOREST_IDENTITY, SAME},
    {"reg:absoluteerror", WR_FOREST_IDENTITY, SAME},
    {"reg:quantileerror", WR_FOREST_IDENTITY, SAME},
    {"reg:expectileerror", WR_FOREST_IDENTITY, SAME},
    {"reg:logistic", WR_FOREST_EACH_LOGISTIC, LOGIT},
    {"binary:logistic", WR_FOREST_EACH_LOGISTIC, LOGIT},
    {"binary:logitraw", WR_FOREST_IDENTITY, SAME},
    {"binary:hinge", WR_FOREST_SIGN, SAME},
    {"count:poisson", WR_FOREST_EXP, LOG},
    {"reg:gamma", WR_FOREST_EXP, LOG},
    {"reg:tweedie", WR_FOREST_EXP, LOG},
    {"survival:cox", WR_FOREST_EXP, LOG},
    {"survival:aft", WR_FOREST_EXP, LOG},
    {"multi:softprob", WR_FOREST_SOFTMAX, SAME},
    {"multi:softmax", WR_FOREST_ARGMAX, SAME},
    {"rank:pairwise", WR_FOREST_IDENTITY, SAME},
    {"rank:ndcg", WR_FOREST_IDENTITY, SAME},
    {"rank:map", WR_FOREST_IDENTITY, SAME},
};

typedef struct {
    const char *what;
    wr_arena *a;
    wr_err *err;
    yyjson_val *learner, *version;
    const objective *objective;
    uint32_t nfeatures, nout;
    float *base; /* margins, nout */
    bool sklearn, classifier;
    wr_forest *f;
    wr_categories *categories;
} reader;

static int corrupt(reader *r, const char *message) { return wr_err_set(r->err, WEIR_ECORRUPT, "%s: %s", r->what, message); }

/* Errors of the getters name the member; they mean a broken file here. */
static int broken(reader *r, int rc)
{
    if (rc >= 0) return 0;
    int code = rc == WEIR_ENOMEM ? WEIR_ENOMEM : WEIR_ECORRUPT;
    if (r->err) r->err->code = code;
    return wr_err_wrap(r->err, code, "%s", r->what);
}

static int object(yyjson_val **out, reader *r, yyjson_val *from, const char *key) { return broken(r, wr_json_obj(out, from, key, r->err)); }

/* A whole number: parameters are texts ("3"). */
static int number(int64_t *out, reader *r, yyjson_val *from, const char *key, int64_t fallback, int64_t most)
{
    yyjson_val *v = yyjson_obj_get(from, key);
    *out = fallback;
    if (!v || yyjson_is_null(v)) return 0;
    wr_str s = yyjson_is_str(v) ? (wr_str){yyjson_get_str(v), yyjson_get_len(v)} : (wr_str){0};
    if (yyjson_is_int(v)) *out = yyjson_get_sint(v);
    else if (!s.p || wr_num_i64(out, s, NULL) < 0) return wr_err_set(r->err, WEIR_ECORRUPT, "%s: \"%s\" is not a whole number", r->what, key);
    if (*out >= 0 && *out <= most) return 0;
    return wr_err_set(r->err, WEIR_ELIMIT, "%s: \"%s\" is %lld, 0 to %lld are possible", r->what, key, (long long)*out, (long long)most);
}

/* ---- arrays by node ---- */

typedef struct {
    yyjson_arr_iter it;
    bool there;
} list;

/* An array of exactly n numbers or booleans; missing: there = false. */
static int open_list(list *out, reader *r, yyjson_val *from, const char *key, size_t n)
{
    yyjson_val *v = yyjson_obj_get(from, key);
    out->there = v != NULL;
    if (!v) return 0;
    if (!yyjson_is_arr(v) || yyjson_arr_size(v) != n) {
        return wr_err_set(r->err, WEIR_ECORRUPT, "%s: \"%s\" is not a list of %zu", r->what, key, n);
    }
    return yyjson_arr_iter_init(v, &out->it) || n == 0 ? 0 : corrupt(r, "a list that is none");
}

static double next_f64(list *l)
{
    yyjson_val *v = l->there ? yyjson_arr_iter_next(&l->it) : NULL;
    if (yyjson_is_bool(v)) return yyjson_get_bool(v);
    return yyjson_is_num(v) ? yyjson_get_num(v) : v ? NAN : 0;
}

/* A whole number as it stands, or `otherwise`. */
static int64_t next_i64(list *l, int64_t otherwise)
{
    double v = l->there ? next_f64(l) : 0;
    return v >= -2147483648.0 && v <= 4294967295.0 && v == floor(v) ? (int64_t)v : otherwise;
}

static size_t size_of(yyjson_val *from, const char *key)
{
    yyjson_val *v = yyjson_obj_get(from, key);
    return yyjson_is_arr(v) ? yyjson_arr_size(v) : 0;
}

/* ---- a tree ---- */

typedef struct {
    wr_forest_node *nodes;
    double *values; /* leaves of several values, else NULL */
    size_t n;
} tree;

/* Marks nodes that compare categories, and gives each its set. */
static int read_categories(reader *r, yyjson_val *t, tree *out)
{
    size_t nnodes = size_of(t, "categories_nodes"), ncats = size_of(t, "categories");
    list nodes, starts, sizes, cats;
    WR_TRY(open_list(&nodes, r, t, "categories_nodes", nnodes));
    WR_TRY(open_list(&starts, r, t, "categories_segments", nnodes));
    WR_TRY(open_list(&sizes, r, t, "categories_sizes", nnodes));
    WR_TRY(open_list(&cats, r, t, "categories", ncats));
    WR_AUTOFREE uint32_t *codes = wr_alloc((ncats + 1) * sizeof *codes);
    WR_AUTOBUF wr_buf bits = {0};
    if (!codes) return wr_err_nomem(r->err);
    for (size_t k = 0; k < ncats; k++) {
        int64_t code = next_i64(&cats, -1);
        if (code < 0) return corrupt(r, "a category is none");
        if (code >= WR_FOREST_CATEGORIES) {
            return wr_err_set(r->err, WEIR_ELIMIT, "%s: category %lld, below %d are possible", r->what, (long long)code, WR_FOREST_CATEGORIES);
        }
        codes[k] = (uint32_t)code;
    }
    for (size_t k = 0; k < nnodes; k++) {
        int64_t node = next_i64(&nodes, -1), from = next_i64(&starts, -1), n = next_i64(&sizes, -1);
        if (node < 0 || (size_t)node >= out->n || !(out->nodes[node].bits & WR_FOREST_CATEGORY) || out->nodes[node].set) {
            return corrupt(r, "categories of a node that has none");
        }
        if (from < 0 || n < 0 || (size_t)from > ncats || (size_t)n > ncats - (size_t)from) return corrupt(r, "categories beyond their list");
        uint32_t most = 0;
        for (size_t c = (size_t)from; c < (size_t)(from + n); c++) most = codes[c] > most ? codes[c] : most;
        wr_buf_clear(&bits);
        if (!wr_buf_reserve(&bits, most / 8 + 1)) return wr_err_nomem(r->err);
        memset(bits.p, 0, most / 8 + 1);
        for (size_t c = (size_t)from; c < (size_t)(from + n); c++) bits.p[codes[c] / 8] |= (char)(1u << (codes[c] & 7));
        WR_TRY(wr_forest_add_set(&out->nodes[node].set, r->f, (const uint8_t *)bits.p, most + 1, r->err));
    }
    return 0;
}

/* Leaves of several values: leaf_weights by the number in right_children, or (to 3.0) base_weights by node. */
static int read_values(reader *r, yyjson_val *t, tree *out)
{
    size_t k = r->nout, nleaves = size_of(t, "leaf_weights");
    bool by_leaf = yyjson_obj_get(t, "leaf_weights") != NULL;
    list weights, number;
    WR_TRY(open_list(&weights, r, t, by_leaf ? "leaf_weights" : "base_weights", by_leaf ? nleaves : out->n * k));
    WR_TRY(open_list(&number, r, t, "right_children", out->n));
    if (!weights.there) return corrupt(r, "a tree without values");
    out->values = wr_arena_calloc(r->a, out->n * k, sizeof *out->values);
    if (!out->values) return wr_err_nomem(r->err);
    if (!by_leaf) {
        for (size_t i = 0; i < out->n * k; i++) out->values[i] = next_f64(&weights);
        return 0;
    }
    WR_AUTOFREE double *all = wr_alloc((nleaves + 1) * sizeof *all);
    if (!all) return wr_err_nomem(r->err);
    for (size_t i = 0; i < nleaves; i++) all[i] = next_f64(&weights);
    for (size_t i = 0; i < out->n; i++) {
        int64_t leaf = next_i64(&number, -1);
        if (!(out->nodes[i].bits & WR_FOREST_LEAF)) continue;
        if (leaf < 0 || (size_t)leaf * k + k > nleaves) return corrupt(r, "a leaf without values");
        memcpy(out->values + i * k, all + (size_t)leaf * k, k * sizeof *all);
    }
    return 0;
}

static int read_nodes(reader *r, yyjson_val *t, tree *out)
{
    list left, right, condition, feature, otherwise, type, cover;
    out->n = size_of(t, "left_children");
    if (!out->n || out->n > MAX_NODES) return corrupt(r, "a tree without nodes");
    WR_TRY(open_list(&left, r, t, "left_children", out->n));
    WR_TRY(open_list(&right, r, t, "right_children", out->n));
    WR_TRY(open_list(&condition, r, t, "split_conditions", out->n));
    WR_TRY(open_list(&feature, r, t, "split_indices", out->n));
    WR_TRY(open_list(&otherwise, r, t, "default_left", out->n));
    WR_TRY(open_list(&type, r, t, "split_type", out->n));
    WR_TRY(open_list(&cover, r, t, "sum_hessian", out->n));
    if (!right.there || !condition.there || !feature.there || !otherwise.there) return corrupt(r, "a tree without its lists");
    out->nodes = wr_arena_calloc(r->a, out->n, sizeof *out->nodes);
    if (!out->nodes) return wr_err_nomem(r->err);
    for (size_t i = 0; i < out->n; i++) {
        wr_forest_node *d = &out->nodes[i];
        int64_t l = next_i64(&left, -2), rc = next_i64(&right, -2), f = next_i64(&feature, -1);
        double c = next_f64(&condition);
        bool missing_left = next_i64(&otherwise, 0) != 0, category = next_i64(&type, 0) == 1;
        d->cover = (float)next_f64(&cover);
        if (l == -1) {
            d->bits = WR_FOREST_LEAF;
            d->value = (double)(float)c;
            continue;
        }
        if (l < 0 || rc < 0 || f < 0) return corrupt(r, "a tree whose children are not nodes");
        *d = (wr_forest_node){.left = (uint32_t)l, .right = (uint32_t)rc, .feature = (uint32_t)f, .cover = d->cover};
        if (category) { /* what stands in the list goes right */
            d->left = (uint32_t)rc;
            d->right = (uint32_t)l;
            d->bits = WR_FOREST_CATEGORY;
            missing_left = !missing_left;
        } else {
            d->threshold = (double)(float)c;
        }
        if (missing_left) d->bits |= WR_FOREST_MISSING_LEFT;
    }
    return 0;
}

static int read_tree(reader *r, yyjson_val *t, uint32_t output, double weight)
{
    tree out = {0};
    int64_t per_leaf;
    yyjson_val *param = yyjson_obj_get(t, "tree_param");
    WR_TRY(number(&per_leaf, r, param, "size_leaf_vector", 1, UINT16_MAX));
    wr_arena_clear(r->a);
    WR_TRY(read_nodes(r, t, &out));
    WR_TRY(read_categories(r, t, &out));
    if (per_leaf > 1) {
        if (per_leaf != r->nout) return corrupt(r, "leaves of another number of values than the model has targets");
        WR_TRY(read_values(r, t, &out));
    }
    for (size_t i = 0; i < out.n; i++) out.nodes[i].value = (double)((float)out.nodes[i].value * (float)weight);
    for (size_t i = 0; out.values && i < out.n * r->nout; i++) out.values[i] = (double)((float)out.values[i] * (float)weight);
    int rc = wr_forest_add_tree(r->f, out.nodes, out.n, output, out.values, out.values ? r->nout : 0, r->err);
    return rc < 0 ? wr_err_wrap(r->err, rc, "%s", r->what) : 0;
}

/* ---- boosters ---- */

/* Trees that a model of scikit-learn's kind answers with: up to its best round. */
static int trees_used(size_t *out, reader *r, yyjson_val *model, size_t ntrees)
{
    yyjson_val *attributes = yyjson_obj_get(r->learner, "attributes");
    int64_t best, parallel;
    *out = ntrees;
    if (!r->sklearn || !yyjson_obj_get(attributes, "best_iteration")) return 0;
    WR_TRY(number(&best, r, attributes, "best_iteration", 0, INT32_MAX));
    yyjson_val *rounds = yyjson_obj_get(model, "iteration_indptr");
    size_t end = ntrees;
    if (yyjson_is_arr(rounds) && yyjson_arr_size(rounds) > 1) {
        yyjson_val *v = yyjson_arr_get(rounds, (size_t)best + 1);
        if (v) end = (size_t)yyjson_get_uint(v);
    } else {
        WR_TRY(number(&parallel, r, yyjson_obj_get(model, "gbtree_model_param"), "num_parallel_tree", 1, INT32_MAX));
        end = (size_t)(best + 1) * (size_t)(parallel ? parallel : 1) * r->nout;
    }
    if (end < ntrees) *out = end;
    return 0;
}

static int read_trees(reader *r, yyjson_val *booster, yyjson_val *weights)
{
    yyjson_val *model, *trees;
    list groups, drop;
    size_t used;
    WR_TRY(object(&model, r, booster, "model"));
    WR_TRY(broken(r, wr_json_arr(&trees, model, "trees", r->err)));
    size_t n = yyjson_arr_size(trees);
    WR_TRY(open_list(&groups, r, model, "tree_info", n));
    int rc = wr_categories_from_xgboost(&r->categories, yyjson_obj_get(model, "cats"), r->version, r->nfeatures, r->err);
    if (rc < 0) return wr_err_wrap(r->err, rc, "%s", r->what);
    if (weights && (!yyjson_is_arr(weights) || yyjson_arr_size(weights) != n)) return corrupt(r, "\"weight_drop\" has not one weight for each tree");
    drop = (list){.there = weights != NULL};
    if (weights) (void)yyjson_arr_iter_init(weights, &drop.it);
    WR_TRY(trees_used(&used, r, model, n));
    yyjson_arr_iter it = yyjson_arr_iter_with(trees);
    for (size_t k = 0; k < used; k++) {
        int64_t group = next_i64(&groups, -1);
        double weight = weights ? next_f64(&drop) : 1;
        if (group < 0 || group >= r->nout || isnan(weight)) return corrupt(r, "\"tree_info\" names a class that the model does not have");
        WR_TRY(read_tree(r, yyjson_arr_iter_next(&it), (uint32_t)group, weight));
    }
    return 0;
}

/* XGBoost's linear booster takes the first base score for all classes, also where (3.x) the file has one for each. */
static int read_linear(float **out, reader *r, yyjson_val *booster)
{
    yyjson_val *model;
    size_t n = ((size_t)r->nfeatures + 1) * r->nout;
    list weights;
    for (uint32_t k = 1; k < r->nout; k++) r->base[k] = r->base[0];
    WR_TRY(object(&model, r, booster, "model"));
    WR_TRY(open_list(&weights, r, model, "weights", n));
    if (!weights.there) return corrupt(r, "a linear model without weights");
    *out = wr_alloc(n * sizeof **out);
    if (!*out) return wr_err_nomem(r->err);
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = (float)next_f64(&weights);
        if (isnan((*out)[i])) return corrupt(r, "a weight is not a number");
    }
    return 0;
}

/* ---- the learner ---- */

static int read_objective(reader *r)
{
    yyjson_val *o;
    wr_str name;
    WR_TRY(object(&o, r, r->learner, "objective"));
    WR_TRY(broken(r, wr_json_str(&name, o, "name", r->err)));
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++) {
        if (wr_str_is(name, objectives[i].name)) r->objective = &objectives[i];
    }
    if (r->objective) return 0;
    return wr_err_set(r->err, WEIR_EUNSUPPORTED, "%s: the objective \"%.*s\" is not known", r->what, (int)(name.n < 60 ? name.n : 60), name.p);
}

static float margin_of(const reader *r, float base)
{
    switch (r->objective->link) {
    case LOGIT: return -logf(1.0f / base - 1.0f);
    case LOG: return logf(base);
    case SAME: break;
    }
    return base;
}

static int read_base(reader *r, yyjson_val *param)
{
    yyjson_val *v = yyjson_obj_get(param, "base_score");
    wr_str text = yyjson_is_str(v) ? wr_str_trim((wr_str){yyjson_get_str(v), yyjson_get_len(v)}) : (wr_str){0};
    uint32_t n = 0;
    double x = 0.5;
    r->base = wr_calloc(r->nout, sizeof *r->base);
    if (!r->base) return wr_err_nomem(r->err);
    if (v && !text.p && !yyjson_is_num(v)) return corrupt(r, "\"base_score\" is not a number");
    if (yyjson_is_num(v)) x = yyjson_get_num(v);
    if (wr_str_starts(text, "[") && wr_str_ends(text, "]")) text = wr_str_sub(text, 1, text.n - 1);
    while (text.p) {
        if (wr_num_f64(&x, wr_str_trim(wr_str_cut(&text, ',')), NULL) < 0) return corrupt(r, "\"base_score\" is not a number");
        if (n >= r->nout) return corrupt(r, "\"base_score\" has more numbers than the model has outputs");
        r->base[n++] = margin_of(r, (float)x);
    }
    if (n > 1 && n < r->nout) return corrupt(r, "\"base_score\" has fewer numbers than the model has outputs");
    for (uint32_t k = n; k < r->nout; k++) r->base[k] = n ? r->base[0] : margin_of(r, (float)x);
    for (uint32_t k = 0; k < r->nout; k++) {
        if (!isfinite(r->base[k])) return corrupt(r, "\"base_score\" lies outside what the objective can answer");
    }
    return 0;
}

static int read_names(const wr_str **out, wr_arena *a, reader *r)
{
    yyjson_val *names = yyjson_obj_get(r->learner, "feature_names"), *v;
    size_t i, n;
    *out = NULL;
    if (!yyjson_is_arr(names) || yyjson_arr_size(names) == 0) return 0;
    if (yyjson_arr_size(names) != r->nfeatures) return corrupt(r, "\"feature_names\" has not one name for each feature");
    wr_str *copy = wr_arena_alloc(a, r->nfeatures * sizeof *copy);
    if (!copy) return wr_err_nomem(r->err);
    yyjson_arr_foreach(names, i, n, v)
    {
        if (!yyjson_is_str(v)) return corrupt(r, "a feature's name is not text");
        copy[i] = (wr_str){yyjson_get_str(v), yyjson_get_len(v)};
    }
    *out = copy;
    return 0;
}

static int new_forest(reader *r)
{
    WR_AUTOFREE double *base = wr_alloc(r->nout * sizeof *base);
    if (!base) return wr_err_nomem(r->err);
    for (uint32_t k = 0; k < r->nout; k++) base[k] = (double)r->base[k];
    wr_forest_opt opt = {.nfeatures = r->nfeatures,
                         .noutputs = r->nout,
                         .op = WR_FOREST_LESS,
                         .sum = WR_FOREST_SUM_FLOAT,
                         .transform = r->objective->transform,
                         .base = base};
    return broken(r, wr_forest_new(&r->f, &opt, r->err));
}

static int read_booster(reader *r, float **linear)
{
    yyjson_val *booster, *inner;
    wr_str name;
    WR_TRY(object(&booster, r, r->learner, "gradient_booster"));
    WR_TRY(broken(r, wr_json_str(&name, booster, "name", r->err)));
    if (wr_str_is(name, "gbtree")) return read_trees(r, booster, NULL);
    if (wr_str_is(name, "gblinear")) return read_linear(linear, r, booster);
    if (!wr_str_is(name, "dart")) return wr_err_set(r->err, WEIR_EUNSUPPORTED, "%s: a booster that is not known", r->what);
    WR_TRY(object(&inner, r, booster, "gbtree"));
    yyjson_val *weights = yyjson_obj_get(booster, "weight_drop");
    return weights ? read_trees(r, inner, weights) : corrupt(r, "\"weight_drop\" is missing");
}

static int read_learner(reader *r, float **linear, wr_arena *a, const wr_str **names)
{
    yyjson_val *param;
    int64_t nfeatures, nclasses, ntargets;
    WR_TRY(object(&param, r, r->learner, "learner_model_param"));
    WR_TRY(number(&nfeatures, r, param, "num_feature", 0, 1 << 20));
    WR_TRY(number(&nclasses, r, param, "num_class", 0, 1 << 16));
    WR_TRY(number(&ntargets, r, param, "num_target", 1, 1 << 16));
    if (!nfeatures) return corrupt(r, "a model of no features");
    r->nfeatures = (uint32_t)nfeatures;
    r->nout = (uint32_t)(nclasses > ntargets ? nclasses : ntargets ? ntargets : 1);
    WR_TRY(read_objective(r));
    WR_TRY(read_base(r, param));
    WR_TRY(read_names(names, a, r));
    WR_TRY(new_forest(r));
    WR_TRY(read_booster(r, linear));
    return wr_forest_finish(r->f, r->err);
}

static int parse(wr_json *j, wr_str bytes, const char *what, wr_err *err)
{
    bool json = bytes.n > 1 && bytes.p[0] == '{' && (bytes.p[1] == '"' || bytes.p[1] == ' ' || bytes.p[1] == '\n' || bytes.p[1] == '\r' || bytes.p[1] == '\t');
    if (json) {
        int rc = wr_json_parse_lenient(j, bytes, err);
        return rc < 0 ? wr_err_wrap(err, rc, "%s", what) : 0;
    }
    if (bytes.n && bytes.p[0] == '{') return wr_ubjson_parse(j, bytes, what, err);
    wr_err_set(err, WEIR_EUNSUPPORTED, "%s: XGBoost's old binary format is not read", what);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "load it with the XGBoost that wrote it and save it as JSON: booster.save_model('model.json')");
}

static int read_all(wr_predictor **out, reader *r, wr_json *j)
{
    WR_AUTOFREE float *linear = NULL;
    WR_AUTOARENA wr_arena *names_mem = wr_arena_new(0);
    const wr_str *names = NULL;
    if (!names_mem) return wr_err_nomem(r->err);
    WR_TRY(object(&r->learner, r, j->root, "learner"));
    r->version = yyjson_obj_get(j->root, "version");
    WR_TRY(read_learner(r, &linear, names_mem, &names));
    wr_forest_predictor_opt opt = {.platform = "xgboost_json",
                                   .type = WR_TENSOR_FP32,
                                   .labels = r->classifier,
                                   .linear = linear,
                                   .linear_base = r->base,
                                   .features = names,
                                   .categories = r->categories};
    wr_forest *f = r->f;
    r->f = NULL;
    r->categories = NULL;
    return wr_forest_predictor_new(out, f, &opt, r->err);
}

int wr_xgboost_read(wr_predictor **out, wr_str bytes, const char *as, const char *what, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_str kind = wr_str_of(as);
    if (!a) return wr_err_nomem(err);
    WR_TRY(parse(&j, bytes, what, err));
    if (!yyjson_is_obj(j.root)) return wr_err_set(err, WEIR_ECORRUPT, "%s: not a model of XGBoost", what);
    reader r = {.what = what, .a = a, .err = err, .sklearn = wr_str_starts(kind, "xgboost.") && !wr_str_ends(kind, ".Booster")};
    r.classifier = r.sklearn && wr_str_ends(kind, "Classifier");
    int rc = read_all(out, &r, &j);
    wr_forest_free(r.f);
    wr_categories_free(r.categories);
    wr_free(r.base);
    return rc;
}

/* ---- the format ---- */

static bool contains(wr_str s, const char *word) { return s.n && memmem(s.p, s.n, word, strlen(word)) != NULL; }

static bool knows(wr_str name, wr_str head)
{
    if (head.n && head.p[0] == '{') return contains(head, "learner") || wr_str_ends(name, ".ubj");
    return wr_str_starts(head, "binf") || wr_str_ends(name, ".xgb") || wr_str_ends(name, ".deprecated") || wr_str_ends(name, ".ubj");
}

static int open_as(wr_predictor **out, const char *path, const char *as, wr_err *err)
{
    WR_AUTOBUF wr_buf bytes = {0};
    WR_TRY(wr_file_read(&bytes, path, WR_LIMIT_FOREST_FILE, err));
    return wr_xgboost_read(out, wr_buf_view(&bytes), as, path, err);
}

static int open_file(wr_predictor **out, const char *path, wr_err *err) { return open_as(out, path, NULL, err); }

const wr_format wr_format_xgboost = {
    .name = "xgboost",
    .summary = "XGBoost models saved as JSON or UBJSON",
    .knows = knows,
    .open = open_file,
    .open_as = open_as,
};
