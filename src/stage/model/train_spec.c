/* SPDX-License-Identifier: Apache-2.0 */
/* train_spec.c - train.yaml, checked. */
#include "base/clock.h"
#include "base/limits.h"
#include "io/file.h"
#include "stage/model/train.h"

static const char *const spec_keys[] = {"model",    "view",    "rows",      "train",   "valid",
                                        "features", "exclude", "half_life", "learner", NULL};
static const char *const range_keys[] = {"from", "until", NULL};
static const char *const learner_keys[] = {"name",           "rounds",        "leaves",     "depth",
                                           "bins",           "learning_rate", "l2",         "min_child_weight",
                                           "min_child_rows", "min_gain",      "cat_smooth", "row_share",
                                           "feature_share",  "early_stop",    "seed",       NULL};

static int read_time(int64_t *out, const wr_yaml *range, const char *key, int64_t fallback, wr_err *err)
{
    const wr_yaml *n = wr_yaml_get(range, key);
    wr_err why = {0};
    *out = fallback;
    wr_str text;
    if (wr_yaml_null(n)) return 0;
    WR_TRY(wr_yaml_str(&text, n, key, err));
    if (wr_time_parse(out, text, &why) == 0) return 0;
    return wr_yaml_error(n, WEIR_EINVAL, err, "%s", why.msg);
}

static int read_range(int64_t *from, int64_t *until, const wr_yaml *range, const char *what, wr_err *err)
{
    if (range && range->kind != WR_YAML_MAP)
        return wr_yaml_error(range, WEIR_ETYPE, err, "%s is a map with from and until", what);
    if (range) WR_TRY(wr_yaml_known(range, what, range_keys, err));
    WR_TRY(read_time(from, range, "from", INT64_MIN, err));
    WR_TRY(read_time(until, range, "until", INT64_MAX, err));
    if (*from >= *until) return wr_yaml_error(range, WEIR_EINVAL, err, "%s: from is not before until", what);
    return 0;
}

static int find_feature(size_t *out, const wr_view *v, const wr_yaml *n, wr_arena *a, wr_err *err)
{
    wr_str name;
    WR_TRY(wr_yaml_str(&name, n, "feature", err));
    const char **names = wr_arena_alloc(a, (v->nfeatures + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < v->nfeatures; i++) {
        names[i] = v->features[i].name;
        *out = i;
        if (wr_str_is(name, names[i])) return 0;
    }
    int near = wr_str_nearest(name, names, v->nfeatures);
    wr_yaml_error(n, WEIR_ENOTFOUND, err, "view \"%s\" has no feature \"%.*s\"", v->name, WR_STR_FMT(name));
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]) : WEIR_ENOTFOUND;
}

/* features: these; exclude: all but these; neither: all. */
static int read_use(wr_train_spec *s, const wr_yaml *y, wr_arena *a, wr_err *err)
{
    const wr_yaml *only = wr_yaml_get(y, "features"), *except = wr_yaml_get(y, "exclude");
    const wr_yaml *list = only ? only : except;
    if (only && except) return wr_yaml_error(except, WEIR_EINVAL, err, "features and exclude do not go together");
    s->use = wr_arena_alloc(a, (s->view->nfeatures + 1) * sizeof *s->use);
    bool *named = wr_arena_calloc(a, s->view->nfeatures + 1, sizeof *named);
    if (!s->use || !named) return wr_err_nomem(err);
    if (list && list->kind != WR_YAML_SEQ)
        return wr_yaml_error(list, WEIR_ETYPE, err, "a list of feature names is needed");
    for (size_t i = 0; list && i < list->n; i++) {
        size_t at = 0;
        WR_TRY(find_feature(&at, s->view, list->items[i], a, err));
        named[at] = true;
    }
    for (size_t i = 0; i < s->view->nfeatures; i++)
        if (only ? named[i] : !named[i]) s->use[s->nuse++] = i;
    return s->nuse ? 0 : wr_yaml_error(list, WEIR_EINVAL, err, "no feature is left to learn from");
}

static int read_int(int *out, const wr_yaml *l, const char *key, int fallback, wr_err *err)
{
    int64_t v;
    WR_TRY(wr_yaml_get_i64(&v, l, key, fallback, err));
    if (v < 0 || v > 1000000) return wr_yaml_error(wr_yaml_get(l, key), WEIR_EINVAL, err, "%s is out of range", key);
    *out = (int)v;
    return 0;
}

static int read_learner(wr_train_spec *s, const wr_yaml *l, wr_arena *a, wr_err *err)
{
    wr_trees_opt *o = &s->learner;
    wr_str name;
    int64_t seed;
    WR_AUTOBUF wr_buf json;
    wr_buf_init(&json, 0);
    if (l) WR_TRY(wr_yaml_known(l, "learner", learner_keys, err));
    WR_TRY(wr_yaml_get_str(&name, l, "name", "trees", err));
    if (!wr_str_is(name, "trees"))
        return wr_yaml_error(wr_yaml_get(l, "name"), WEIR_EINVAL, err, "unknown learner \"%.*s\" (there is: trees)",
                             WR_STR_FMT(name));
    WR_TRY(read_int(&o->rounds, l, "rounds", 0, err));
    WR_TRY(read_int(&o->max_leaves, l, "leaves", 0, err));
    WR_TRY(read_int(&o->max_depth, l, "depth", 0, err));
    WR_TRY(read_int(&o->max_bins, l, "bins", 0, err));
    WR_TRY(read_int(&o->min_child_rows, l, "min_child_rows", 0, err));
    WR_TRY(read_int(&o->early_stop, l, "early_stop", 0, err));
    WR_TRY(wr_yaml_get_f64(&o->learning_rate, l, "learning_rate", 0, err));
    WR_TRY(wr_yaml_get_f64(&o->l2, l, "l2", 0, err));
    WR_TRY(wr_yaml_get_f64(&o->min_child_weight, l, "min_child_weight", 0, err));
    WR_TRY(wr_yaml_get_f64(&o->min_gain, l, "min_gain", 0, err));
    WR_TRY(wr_yaml_get_f64(&o->cat_smooth, l, "cat_smooth", 0, err));
    WR_TRY(wr_yaml_get_f64(&o->row_share, l, "row_share", 0, err));
    WR_TRY(wr_yaml_get_f64(&o->feature_share, l, "feature_share", 0, err));
    WR_TRY(wr_yaml_get_i64(&seed, l, "seed", 1, err));
    o->seed = (uint64_t)seed;
    if (l) wr_yaml_to_json(&json, l);
    else wr_buf_str(&json, "{\"name\":\"trees\"}");
    s->options_json = json.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&json));
    return s->options_json ? 0 : wr_err_nomem(err);
}

static int parse_spec(wr_yaml **out, wr_arena *a, const char *path, const char *dir, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    const char *full = wr_path_join(a, dir, path);
    if (!full) return wr_err_nomem(err);
    WR_TRY(wr_file_read(&text, full, WR_LIMIT_FILE_CONFIG, err));
    wr_str copy = wr_arena_str(a, wr_buf_view(&text));
    if (!copy.p) return wr_err_nomem(err);
    WR_TRY(wr_yaml_parse(out, a, copy, path, err));
    return wr_yaml_known(*out, "training specification", spec_keys, err);
}

static int required(const char **out, const wr_yaml *y, const char *key, wr_err *err)
{
    wr_str s;
    WR_TRY(wr_yaml_get_str(&s, y, key, "", err));
    if (!s.n) return wr_yaml_error(y, WEIR_EINVAL, err, "\"%s\" is missing", key);
    *out = s.p;
    return 0;
}

int wr_train_spec_load(wr_train_spec *out, wr_arena *a, const char *path, const char *dir, wr_err *err)
{
    wr_yaml *y;
    const wr_yaml *valid;
    memset(out, 0, sizeof *out);
    WR_TRY(parse_spec(&y, a, path, dir, err));
    WR_TRY(required(&out->model, y, "model", err));
    if (!wr_name_ok(wr_str_of(out->model)))
        return wr_yaml_error(wr_yaml_get(y, "model"), WEIR_EINVAL, err, "\"%s\" is not a model name", out->model);
    WR_TRY(required(&out->view_path, y, "view", err));
    WR_TRY(required(&out->rows, y, "rows", err));
    const char *view = wr_path_join(a, dir, out->view_path);
    if (!view) return wr_err_nomem(err);
    WR_TRY(wr_view_load(&out->view, a, view, err));
    if (!out->view->label)
        return wr_yaml_error(wr_yaml_get(y, "view"), WEIR_EINVAL, err, "view \"%s\" has no label to learn",
                             out->view->name);
    WR_TRY(read_range(&out->train_from_us, &out->train_until_us, wr_yaml_get(y, "train"), "train", err));
    valid = wr_yaml_get(y, "valid");
    if (!wr_yaml_null(valid)) WR_TRY(read_range(&out->valid_from_us, &out->valid_until_us, valid, "valid", err));
    WR_TRY(wr_yaml_get_duration_us(&out->half_life_us, y, "half_life", 0, err));
    WR_TRY(read_use(out, y, a, err));
    return read_learner(out, wr_yaml_get(y, "learner"), a, err);
}
