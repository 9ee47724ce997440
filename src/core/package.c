/* SPDX-License-Identifier: Apache-2.0 */
/* package.c - packages as object trees: saving, loading with every check, and prediction. */
#include "core/package.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "calc/forest.h"
#include "core/package_files.h"

typedef struct {
    const char *name;
    size_t max;
    char id[WR_SHA256_HEX];
    wr_buf data;
} part;

/* In the order of the tree's lines: sorted by bytes. */
enum { MLMODEL, CARD, GOLDEN, TREES, WEIR, PARTS };

static void parts_init(part f[PARTS])
{
    static const struct {
        const char *name;
        size_t max;
    } files[PARTS] = {
        [MLMODEL] = {"MLmodel", WR_PACKAGE_TEXT_MAX},    [CARD] = {"card.md", WR_PACKAGE_TEXT_MAX},
        [GOLDEN] = {"golden.json", WR_PACKAGE_TEXT_MAX}, [TREES] = {"model.trees", WR_PACKAGE_TREES_MAX},
        [WEIR] = {"weir.json", WR_PACKAGE_JSON_MAX},
    };
    for (int i = 0; i < PARTS; i++) {
        f[i] = (part){.name = files[i].name, .max = files[i].max};
        wr_buf_init(&f[i].data, files[i].max);
    }
}

static void parts_fini(part f[PARTS])
{
    for (int i = 0; i < PARTS; i++) wr_buf_fini(&f[i].data);
}

struct wr_package {
    wr_arena *arena; /* holds this too */
    char id[WR_SHA256_HEX];
    wr_package_parts parts;
    pthread_mutex_t forest_lock; /* one thread makes it */
    _Atomic(wr_forest *) forest; /* of the trees, for contributions; NULL until the first were asked for */
};

/* ---- codes and prediction ---- */

/* Unknown: a code the learner has never seen, which it treats as such; missing: NaN. */
static float code_of(const wr_map *dict, wr_str text)
{
    if (!text.p) return NAN;
    ptrdiff_t i = wr_map_find(dict, text);
    return i < 0 ? (float)dict->n : (float)i;
}

/* One row; feature j of the learner stands at `at[j]` of num and text, or at j without `at`. */
static void code_row(float *row, const wr_package_parts *parts, const size_t *at, const float *num, const wr_str *text)
{
    for (size_t j = 0; j < parts->nuse; j++) {
        size_t k = at ? at[j] : j;
        row[j] = wr_package_feature(parts, j)->category ? code_of(&parts->dict[j], text[k]) : num[k];
    }
}

static double predict_one(const wr_package_parts *parts, const size_t *at, const float *num, const wr_str *text)
{
    float row[WR_VIEW_FEATURES];
    double out;
    code_row(row, parts, at, num, text);
    wr_trees_predict(parts->trees, row, 1, &out, NULL);
    return out;
}

double wr_package_predict_row(const wr_package *k, const float *num, const wr_str *text)
{
    return predict_one(&k->parts, k->parts.use, num, text);
}

void wr_package_row(float *row, const wr_package *k, const float *num, const wr_str *text)
{
    code_row(row, &k->parts, k->parts.use, num, text);
}

const char *wr_package_feature_name(const wr_package *k, size_t j) { return wr_package_feature(&k->parts, j)->name; }

/* ---- contributions ---- */

/* Made at the first call and kept; after a failure the next call tries again. */
static int forest_of(wr_forest **out, const wr_package *k, wr_err *err)
{
    wr_package *mine = (wr_package *)(uintptr_t)k; /* what is made late does not change what k is */
    int rc = 0;
    *out = atomic_load_explicit(&mine->forest, memory_order_acquire);
    if (*out) return 0;
    (void)pthread_mutex_lock(&mine->forest_lock);
    *out = atomic_load_explicit(&mine->forest, memory_order_relaxed);
    if (!*out) rc = wr_forest_of_trees(out, k->parts.trees, err);
    if (rc == 0) atomic_store_explicit(&mine->forest, *out, memory_order_release);
    (void)pthread_mutex_unlock(&mine->forest_lock);
    return rc;
}

int wr_package_explain(double *out, const wr_package *k, const float *rows, size_t n, wr_pool *pool, wr_err *err)
{
    wr_forest *f;
    WR_TRY(forest_of(&f, k, err));
    return wr_forest_shap(f, rows, n, out, pool, err);
}

/* ---- frames ---- */

static int encode_category(float *to, const wr_map *dict, const wr_col *c, wr_err *err)
{
    WR_AUTOFREE float *code = wr_alloc((c->dict.n + 1) * sizeof *code);
    if (!code) return wr_err_nomem(err);
    for (size_t i = 0; i <= c->dict.n; i++) code[i] = code_of(dict, i < c->dict.n ? c->dict.at[i].key : WR_STR(""));
    for (size_t i = 0; i < c->n; i++) {
        to[i] = wr_col_missing(c, i) ? NAN : code[c->code[i] < c->dict.n ? c->code[i] : c->dict.n];
    }
    return 0;
}

static int feature_column(wr_col **out, const wr_package_parts *parts, size_t j, const wr_frame *features, wr_err *err)
{
    const wr_view_feature *f = wr_package_feature(parts, j);
    WR_TRY(wr_frame_need(out, features, f->name, f->category ? (int)WR_TEXT : -1, err));
    if (f->category || (*out)->type != WR_TEXT) return 0;
    return wr_err_set(err, WEIR_ETYPE, "column \"%s\" is text, and the model takes a number", f->name);
}

int wr_package_encode(float **cols, const wr_package_parts *parts, const wr_frame *features, wr_arena *a, wr_err *err)
{
    for (size_t j = 0; j < parts->nuse; j++) {
        wr_col *c;
        WR_TRY(feature_column(&c, parts, j, features, err));
        cols[j] = c->f32;
        if (c->type == WR_F32) continue;
        cols[j] = wr_arena_calloc(a, c->n, sizeof *cols[j]);
        if (!cols[j]) return wr_err_nomem(err);
        if (c->type == WR_TEXT) WR_TRY(encode_category(cols[j], &parts->dict[j], c, err));
        else
            for (size_t i = 0; i < c->n; i++) cols[j][i] = (float)wr_col_num(c, i);
    }
    return 0;
}

int wr_package_predict(double *out, const wr_package *k, const wr_frame *features, wr_pool *pool, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    float **cols = a ? wr_arena_calloc(a, k->parts.nuse, sizeof *cols) : NULL;
    if (!cols) return wr_err_nomem(err);
    WR_TRY(wr_package_encode(cols, &k->parts, features, a, err));
    return wr_trees_predict_columns(k->parts.trees, (const float *const *)cols, features->nrows, out, pool, err);
}

/* ---- golden rows ---- */

/* JSON has no infinities and no bytes that are not UTF-8; a row with such is no example. */
static bool golden_row(wr_golden *g, const wr_package_parts *parts, wr_col *const *cols, size_t row)
{
    float *num = g->num + g->n * parts->nuse;
    wr_str *text = g->text + g->n * parts->nuse;
    for (size_t j = 0; j < parts->nuse; j++) {
        bool category = cols[j]->type == WR_TEXT;
        num[j] = category ? NAN : (float)wr_col_num(cols[j], row);
        text[j] = category ? wr_col_text(cols[j], row) : (wr_str){NULL, 0};
        if (isinf(num[j]) || (text[j].p && !wr_str_utf8(text[j]))) return false;
    }
    return true;
}

static int make_golden(wr_golden *g, wr_arena *a, const wr_package_parts *parts, const wr_frame *rows, wr_err *err)
{
    size_t cells = parts->nuse * WR_PACKAGE_GOLDEN;
    wr_col **cols = wr_arena_calloc(a, parts->nuse, sizeof *cols);
    *g = (wr_golden){.num = wr_arena_calloc(a, cells, sizeof *g->num),
                     .text = wr_arena_calloc(a, cells, sizeof *g->text),
                     .expected = wr_arena_calloc(a, WR_PACKAGE_GOLDEN, sizeof *g->expected)};
    if (wr_arena_failed(a)) return wr_err_nomem(err);
    if (!rows) return 0;
    for (size_t j = 0; j < parts->nuse; j++) WR_TRY(feature_column(&cols[j], parts, j, rows, err));
    for (size_t i = 0; i < rows->nrows && g->n < WR_PACKAGE_GOLDEN; i++) {
        if (!golden_row(g, parts, cols, i)) continue;
        double p = predict_one(parts, NULL, g->num + g->n * parts->nuse, g->text + g->n * parts->nuse);
        if (!isfinite(p)) return wr_err_set(err, WEIR_EINVAL, "the model's answer to row %zu is not finite", i);
        g->expected[g->n++] = p;
    }
    return 0;
}

static int replay(const wr_golden *g, const wr_package_parts *parts, wr_err *err)
{
    for (size_t i = 0; i < g->n; i++) {
        double p = predict_one(parts, NULL, g->num + i * parts->nuse, g->text + i * parts->nuse);
        if (p == g->expected[i]) continue;
        wr_err_set(err, WEIR_ECORRUPT, "row %zu gives another answer than when the model was made", i + 1);
        return wr_err_detail(err, WEIR_ECORRUPT, "expected %.17g, got %.17g", g->expected[i], p);
    }
    return 0;
}

/* ---- saving ---- */

static int make_files(part f[PARTS], wr_arena *a, const wr_package_parts *parts, const wr_frame *golden, wr_err *err)
{
    wr_golden g;
    WR_TRY(wr_package_check(parts, err));
    WR_TRY(wr_trees_save(parts->trees, &f[TREES].data, err));
    wr_sha256_of(f[TREES].data.p, f[TREES].data.n, f[TREES].id);
    WR_TRY(make_golden(&g, a, parts, golden, err));
    WR_TRY(wr_package_write_weir(&f[WEIR].data, parts, f[TREES].id, err));
    WR_TRY(wr_package_write_golden(&f[GOLDEN].data, parts, &g, err));
    WR_TRY(wr_package_write_mlmodel(&f[MLMODEL].data, parts, err));
    return wr_package_write_card(&f[CARD].data, parts, err);
}

/* The tree last: one that is there has all its files. */
static int put_files(char id[WR_SHA256_HEX], wr_objects *o, part f[PARTS], wr_err *err)
{
    WR_AUTOBUF wr_buf tree;
    wr_buf_init(&tree, 0);
    for (int i = 0; i < PARTS; i++) {
        WR_TRY(wr_objects_put(o, wr_buf_view(&f[i].data), f[i].id, err));
        wr_buf_printf(&tree, "%s %zu %s\n", f[i].id, f[i].data.n, f[i].name);
    }
    if (tree.failed) return wr_err_nomem(err);
    return wr_objects_put(o, wr_buf_view(&tree), id, err);
}

int wr_package_save(char id[65], wr_project *p, const wr_package_parts *parts, const wr_frame *golden, wr_err *err)
{
    wr_objects *o;
    part f[PARTS];
    WR_TRY(wr_project_objects(&o, p, err));
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    parts_init(f);
    int rc = make_files(f, a, parts, golden, err);
    if (rc == 0) rc = put_files(id, o, f, err);
    parts_fini(f);
    return rc < 0 ? wr_err_wrap(err, rc, "cannot save model \"%s\"", parts->name ? parts->name : "") : 0;
}

/* ---- loading ---- */

/* Whatever is wrong with the content, the package is corrupt; trouble of this machine keeps its code. */
static int blame(wr_err *err, int rc, const char *id, const char *file)
{
    bool content = rc == WEIR_EINVAL || rc == WEIR_ETYPE || rc == WEIR_EPARSE || rc == WEIR_ELIMIT ||
                   rc == WEIR_ENOTFOUND || rc == WEIR_EEXIST;
    int code = content ? WEIR_ECORRUPT : rc;
    if (err) err->code = code;
    return wr_err_wrap(err, code, "package %.12s: %s", id, file);
}

/* A line of the tree into the part it names; other files may lie in the folder, they are not ours. */
static bool take_line(part f[PARTS], wr_str line)
{
    wr_str id = wr_str_cut(&line, ' '), size = line.p ? wr_str_cut(&line, ' ') : line;
    if (!line.p || id.n != WR_SHA256_HEX - 1 || size.n == 0) return false;
    for (int i = 0; i < PARTS; i++) {
        if (!wr_str_is(line, f[i].name)) continue;
        if (f[i].id[0]) return false;
        memcpy(f[i].id, id.p, id.n);
    }
    return true;
}

static int find_files(part f[PARTS], wr_objects *o, const char *id, wr_err *err)
{
    enum { TREE_MAX = 1 << 20 };
    WR_AUTOBUF wr_buf tree;
    wr_buf_init(&tree, TREE_MAX);
    WR_TRY(wr_objects_get(o, id, &tree, TREE_MAX, err));
    wr_str rest = wr_buf_view(&tree);
    while (rest.n) {
        if (!take_line(f, wr_str_cut(&rest, '\n')))
            return wr_err_set(err, WEIR_ECORRUPT, "object %.12s is not a package", id);
    }
    for (int i = 0; i < PARTS; i++) {
        if (!f[i].id[0]) return wr_err_set(err, WEIR_ECORRUPT, "package %.12s has no %s", id, f[i].name);
    }
    return 0;
}

static int get_files(part f[PARTS], wr_objects *o, const char *id, wr_err *err)
{
    for (int i = 0; i < PARTS; i++) {
        int rc = wr_objects_get(o, f[i].id, &f[i].data, f[i].max, err);
        if (rc < 0) return blame(err, rc, id, f[i].name);
    }
    return 0;
}

static int load_weir(wr_package *k, const part f[PARTS], wr_err *err)
{
    char sha[WR_SHA256_HEX];
    WR_TRY(wr_package_read_weir(&k->parts, sha, k->arena, wr_buf_view(&f[WEIR].data), err));
    if (strcmp(sha, f[TREES].id) == 0) return 0;
    return wr_err_set(err, WEIR_ECORRUPT, "model.trees is not the file it was made with");
}

static int load_golden(wr_package *k, const part f[PARTS], wr_err *err)
{
    wr_golden g;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_package_read_golden(&g, a, &k->parts, wr_buf_view(&f[GOLDEN].data), err));
    return replay(&g, &k->parts, err);
}

static int load_parts(wr_package *k, const part f[PARTS], wr_err *err)
{
    int rc = load_weir(k, f, err);
    if (rc < 0) return blame(err, rc, k->id, "weir.json");
    rc = wr_trees_load(&k->parts.trees, wr_buf_view(&f[TREES].data), err);
    if (rc == 0) rc = wr_package_check(&k->parts, err);
    if (rc < 0) return blame(err, rc, k->id, "model.trees");
    rc = load_golden(k, f, err);
    return rc < 0 ? blame(err, rc, k->id, "golden.json") : 0;
}

static int load(wr_package *k, wr_objects *o, const char *id, wr_err *err)
{
    part f[PARTS];
    parts_init(f);
    int rc = find_files(f, o, id, err);
    if (rc == 0) {
        memcpy(k->id, id, sizeof k->id);
        rc = get_files(f, o, id, err);
    }
    if (rc == 0) rc = load_parts(k, f, err);
    parts_fini(f);
    return rc;
}

int wr_package_load(wr_package **out, wr_project *p, const char *id, wr_err *err)
{
    wr_objects *o;
    WR_TRY(wr_project_objects(&o, p, err));
    wr_arena *a = wr_arena_new(0);
    wr_package *k = a ? wr_arena_calloc(a, 1, sizeof *k) : NULL;
    if (!k) {
        wr_arena_free(a);
        return wr_err_nomem(err);
    }
    k->arena = a;
    (void)pthread_mutex_init(&k->forest_lock, NULL);
    int rc = load(k, o, id, err);
    if (rc < 0) wr_package_free(k);
    else *out = k;
    return rc;
}

void wr_package_free(wr_package *k)
{
    if (!k) return;
    wr_forest_free(atomic_load_explicit(&k->forest, memory_order_relaxed));
    (void)pthread_mutex_destroy(&k->forest_lock);
    wr_trees_free(k->parts.trees);
    wr_package_fini_dict(&k->parts);
    wr_arena_free(k->arena);
}

const wr_package_parts *wr_package_get(const wr_package *k) { return &k->parts; }
const char *wr_package_id(const wr_package *k) { return k->id; }
