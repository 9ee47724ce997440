/* SPDX-License-Identifier: Apache-2.0 */
/* package_test.c - packages: what training saw is what a loaded package answers, and no hostile package gets through.
 */
#include "core/package.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/rng.h"
#include "calc/forest.h"
#include "calc/trees_internal.h"
#include "core/package_files.h"
#include "io/file.h"

static const char view_text[] = "name: trips\nsource: trips\ntime: t\nlabel: {name: late, of: delay, above: 15}\n"
                                "events: {source: trips, time: \"t | 1\", values: {delay: {of: delay}}}\n"
                                "features:\n"
                                "  - {name: hour, op: hour, of: t}\n"
                                "  - {name: unused, op: number, of: unused}\n"
                                "  - {name: from, op: category, of: from}\n"
                                "  - {name: km, op: number, of: km}\n"
                                "  - {name: to, op: category, of: to}\n"
                                "  - {name: delay_1h, op: mean, of: delay, key: from, over: 1h}\n";

enum { ROWS = 600, USE = 5, HOUR = 3600 };

typedef struct {
    wr_arena *a;
    const char *dir;
    wr_project *project;
    wr_view *view;
    wr_frame *rows, *events, *features;
    wr_package_parts parts;
    double *predicted; /* by the learner right after training */
    char id[WR_SHA256_HEX];
} world;

/* ---- a trained model ---- */

static void make_data(world *w, wr_rng *r)
{
    static const char *const places[] = {"SFO", "JFK", "z\"ü", "", "ORD", "LAX"};
    wr_err err;
    w->rows = wr_frame_new();
    w->events = wr_frame_new();
    w->features = wr_frame_new();
    assert_int_equal(wr_frame_resize(w->rows, ROWS), 0);
    assert_int_equal(wr_frame_resize(w->events, ROWS), 0);
    static const struct {
        const char *name;
        wr_type type;
    } cols[] = {{"t", WR_TS}, {"unused", WR_F64}, {"from", WR_TEXT}, {"km", WR_F64}, {"to", WR_TEXT}};
    for (size_t i = 0; i < 5; i++) {
        wr_col *c = wr_frame_add(w->rows, cols[i].name, cols[i].type);
        for (size_t k = 0; k < ROWS; k++) {
            if (c->type == WR_TS) c->i64[k] = (int64_t)k * HOUR * 400000;
            else if (c->type == WR_F64) c->f64[k] = wr_rng_f64(r) * 1000;
            else assert_int_equal(wr_col_code(c, wr_str_of(places[wr_rng_below(r, 6)]), &c->code[k]), 0);
            if (i > 1 && wr_rng_below(r, 9) == 0) assert_int_equal(wr_col_set_missing(c, k), 0);
        }
    }
    wr_frame_col(w->rows, "km")->f64[3] = INFINITY; /* no golden row */
    assert_non_null(wr_frame_add(w->events, "_time", WR_TS));
    assert_non_null(wr_frame_add(w->events, "from", WR_TEXT));
    wr_col *time = wr_frame_col(w->events, "_time"), *from = wr_frame_col(w->events, "from");
    for (size_t k = 0; k < ROWS; k++) {
        time->i64[k] = (int64_t)k * HOUR * 400000;
        assert_int_equal(wr_col_code(from, wr_str_of(places[wr_rng_below(r, 6)]), &from->code[k]), 0);
    }
    wr_col *delay = wr_frame_add(w->events, "delay", WR_F64);
    for (size_t k = 0; k < ROWS; k++) delay->f64[k] = (double)wr_rng_below(r, 90);
    if (wr_view_compute(w->features, w->view, w->rows, w->events, NULL, &err) < 0) fail_msg("%s", err.msg);
}

/* Only the first 300 rows make the dictionary: later ones have unknown categories. */
static void make_dict(world *w)
{
    w->parts.dict = wr_arena_calloc(w->a, USE, sizeof(wr_map));
    for (size_t j = 0; j < USE; j++) {
        wr_col *c = wr_frame_col(w->features, w->view->features[w->parts.use[j]].name);
        for (size_t i = 0; i < 300 && c->type == WR_TEXT; i++) {
            wr_str s = wr_col_text(c, i);
            if (s.p && !wr_str_is(s, "LAX")) assert_true(wr_map_put(&w->parts.dict[j], s, NULL) >= 0);
        }
    }
}

static void train(world *w, wr_rng *r)
{
    float *cols[USE], *label = wr_arena_calloc(w->a, ROWS, sizeof *label);
    wr_trees_feature f[USE];
    wr_err err;
    if (wr_package_encode(cols, &w->parts, w->features, w->a, &err) < 0) fail_msg("%s", err.msg);
    for (size_t i = 0; i < ROWS; i++)
        label[i] = (float)(wr_rng_f64(r) * 400 + (isnan(cols[1][i]) ? 0 : (double)cols[1][i]) > 500);
    for (size_t j = 0; j < USE; j++) {
        const wr_view_feature *vf = &w->view->features[w->parts.use[j]];
        f[j] = (wr_trees_feature){vf->name, vf->category, cols[j], (uint32_t)w->parts.dict[j].n};
    }
    wr_trees_set set = {.n = ROWS, .nfeatures = USE, .features = f, .label = label};
    wr_trees_opt opt = {.rounds = 12, .max_leaves = 8, .min_child_rows = 5, .seed = 3};
    if (wr_trees_train(&w->parts.trees, &set, NULL, &opt, NULL, NULL, NULL, &err) < 0) fail_msg("%s", err.msg);
    w->predicted = wr_arena_calloc(w->a, ROWS, sizeof(double));
    assert_int_equal(
        wr_trees_predict_columns(w->parts.trees, (const float *const *)cols, ROWS, w->predicted, NULL, &err), 0);
    assert_true(wr_trees_count(w->parts.trees) > 3);
}

static int setup(void **state)
{
    static size_t use[USE] = {4, 3, 0, 2, 5}; /* not in the view's order, "unused" left out */
    world *w = wr_calloc(1, sizeof *w);
    wr_yaml *y;
    wr_err err;
    wr_rng r;
    w->a = wr_arena_new(0);
    const char *tmp = getenv("TMPDIR");
    char *dir = wr_arena_printf(w->a, "%s/weir-package-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    w->dir = dir;
    assert_int_equal(wr_project_init(dir, &err), 0);
    assert_int_equal(wr_project_open(&w->project, dir, &err), 0);
    assert_int_equal(wr_yaml_parse(&y, w->a, wr_str_of(view_text), "view.yaml", &err), 0);
    if (wr_view_parse(&w->view, w->a, y, &err) < 0) fail_msg("%s", err.msg);
    wr_rng_init(&r, 11);
    make_data(w, &r);
    w->parts = (wr_package_parts){.view = w->view, .use = use, .nuse = USE};
    make_dict(w);
    train(w, &r);
    w->parts.name = wr_arena_strdup(w->a, "delay");
    w->parts.created = wr_arena_strdup(w->a, "2026-11-23T10:00:00.25Z");
    w->parts.run_id = wr_arena_strdup(w->a, "0123456789abcdef0123456789abcdef");
    w->parts.metrics_json =
        wr_arena_strdup(w->a, "{\"auc\": 0.75, \"energy_j\": 12.5, \"slices\": {\"a|b`\": [1, null]}}");
    w->parts.options_json = wr_arena_strdup(w->a, "{\"rounds\": 12}");
    w->parts.parents_json = wr_arena_strdup(w->a, "{\"dataset\": \"trips@3\"}");
    if (wr_package_save(w->id, w->project, &w->parts, w->features, &err) < 0) fail_msg("%s", err.msg);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    wr_err err;
    for (size_t j = 0; j < USE; j++) wr_map_fini(&w->parts.dict[j]);
    wr_trees_free(w->parts.trees);
    wr_frame_free(w->rows);
    wr_frame_free(w->events);
    wr_frame_free(w->features);
    wr_project_close(w->project);
    assert_int_equal(wr_file_remove_tree(w->dir, &err), 0);
    wr_arena_free(w->a);
    wr_free(w);
    return 0;
}

static wr_package *must_load(world *w)
{
    wr_package *k = NULL;
    wr_err err = {0};
    if (wr_package_load(&k, w->project, w->id, &err) < 0) fail_msg("%s (%s)", err.msg, err.detail);
    return k;
}

/* ---- the same answers ---- */

static void test_round_trip(void **state)
{
    world *w = *state;
    wr_err err;
    wr_package *k = must_load(w);
    const wr_package_parts *parts = wr_package_get(k);
    assert_string_equal(wr_package_id(k), w->id);
    assert_string_equal(parts->name, "delay");
    assert_string_equal(parts->created, w->parts.created);
    assert_string_equal(parts->run_id, w->parts.run_id);
    assert_string_equal(parts->options_json, "{\"rounds\":12}");
    assert_non_null(strstr(parts->metrics_json, "\"auc\":0.75"));
    assert_string_equal(parts->view->hash, w->view->hash);
    assert_int_equal(parts->nuse, USE);
    for (size_t j = 0; j < USE; j++) {
        assert_int_equal(parts->use[j], w->parts.use[j]);
        assert_int_equal(parts->dict[j].n, w->parts.dict[j].n);
        for (size_t i = 0; i < parts->dict[j].n; i++)
            assert_true(wr_str_eq(parts->dict[j].at[i].key, w->parts.dict[j].at[i].key));
    }
    double *p = wr_arena_calloc(w->a, ROWS, sizeof *p);
    assert_int_equal(wr_package_predict(p, k, w->features, NULL, &err), 0);
    assert_memory_equal(p, w->predicted, ROWS * sizeof *p);
    wr_package_free(k);
}

/* Serving: events and requests as they come, one by one; no allocation. */
static void test_rows_as_served(void **state)
{
    world *w = *state;
    const wr_view *v = w->view;
    wr_err err;
    wr_online *o;
    wr_package *k = must_load(w);
    assert_int_equal(wr_online_new(&o, wr_package_get(k)->view, &err), 0);
    assert_int_equal(v->nevent_columns, 2);
    for (size_t i = 0; i < ROWS; i++) {
        wr_cell event[2] = {{.text = wr_col_text(wr_frame_col(w->events, "from"), i)},
                            {.num = wr_frame_col(w->events, "delay")->f64[i]}};
        assert_int_equal(wr_online_add(o, wr_frame_col(w->events, "_time")->i64[i], event, &err), 0);
        wr_cell request[8];
        for (size_t c = 0; c < v->nrequest; c++) {
            const wr_col *col = wr_frame_col(w->rows, v->request[c]);
            request[c] = (wr_cell){.missing = wr_col_missing(col, i)};
            if (col->type == WR_TEXT) request[c].text = wr_col_text(col, i);
            else if (col->type == WR_TS) request[c].ts = col->i64[i];
            else request[c].num = col->f64[i];
        }
        float num[8];
        wr_str text[8];
        wr_fault_arm(WR_FAULT_ALLOC, 1, true);
        wr_online_row(o, request, num, text);
        double p = wr_package_predict_row(k, num, text);
        assert_false(wr_fault_fired(WR_FAULT_ALLOC));
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_true(p == w->predicted[i]);
    }
    wr_online_free(o);
    wr_package_free(k);
}

/* ---- contributions ---- */

static bool goes_left(const wr_trees *t, const wr_tnode *n, float x)
{
    if (n->kind & WR_TN_CAT) return wr_tset_has(&t->sets[n->set], wr_tfeature_bin_one(&t->features[n->feature], x));
    return isnan(x) ? (n->kind & WR_TN_MISSING_LEFT) != 0 : x <= n->value;
}

/* What a tree is worth when only the features in `known` are told; the others are as in the rows it grew from. */
static double worth(const wr_trees *t, size_t first, uint32_t at, const float *row, unsigned known)
{
    const wr_tnode *n = &t->nodes[first + at], *left = &t->nodes[first + n->left];
    if (n->kind & WR_TN_LEAF) return (double)n->value;
    if (known >> n->feature & 1) return worth(t, first, n->left + !goes_left(t, n, row[n->feature]), row, known);
    double share = (double)left->cover / (double)n->cover;
    return share * worth(t, first, n->left, row, known) +
           (double)left[1].cover / (double)n->cover * worth(t, first, n->left + 1, row, known);
}

/* Shapley values as they are defined: over all coalitions. */
static void explain_slowly(double phi[USE + 1], const wr_trees *t, const float *row)
{
    static const double factorial[] = {1, 1, 2, 6, 24, 120};
    double v[1 << USE];
    for (unsigned s = 0; s < 1 << USE; s++) {
        v[s] = t->base;
        for (int k = 0; k < t->ntrees; k++) v[s] += worth(t, t->first[k], 0, row, s);
    }
    for (unsigned j = 0; j < USE; j++) {
        phi[j] = 0;
        for (unsigned s = 0; s < 1 << USE; s++) {
            int n = __builtin_popcount(s);
            if (!(s >> j & 1)) phi[j] += factorial[n] * factorial[USE - n - 1] / factorial[USE] * (v[s | 1u << j] - v[s]);
        }
    }
    phi[USE] = v[0];
}

static float *coded_rows(world *w)
{
    float *cols[USE], *rows = wr_arena_alloc(w->a, ROWS * USE * sizeof *rows);
    wr_err err;
    assert_int_equal(wr_package_encode(cols, &w->parts, w->features, w->a, &err), 0);
    for (size_t i = 0; i < ROWS * USE; i++) rows[i] = cols[i % USE][i / USE];
    return rows;
}

static void test_contributions(void **state)
{
    world *w = *state;
    wr_err err;
    wr_package *k = must_load(w);
    float *rows = coded_rows(w), one[USE];
    double *phi = wr_arena_alloc(w->a, ROWS * (USE + 1) * sizeof *phi), slow[USE + 1], moved[USE] = {0};
    assert_int_equal(wr_package_explain(phi, k, rows, ROWS, NULL, &err), 0);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0, p = w->predicted[i];
        explain_slowly(slow, wr_package_get(k)->trees, rows + i * USE);
        for (size_t j = 0; j <= USE; j++) {
            double x = phi[i * (USE + 1) + j];
            if (fabs(x - slow[j]) > 1e-9) fail_msg("row %zu, feature %zu: %.17g, not %.17g", i, j, x, slow[j]);
            sum += x;
            if (j < USE) moved[j] += fabs(x);
        }
        assert_true(fabs(sum - log(p / (1 - p))) < 1e-9);
    }
    assert_true(moved[0] > 0 && moved[1] > 0 && moved[2] > 0);
    float num[8] = {3, 1, 0, 77, 0, 5};
    wr_str text[8] = {{0}, {0}, WR_STR("SFO"), {0}, WR_STR("nowhere"), {0}};
    wr_package_row(one, k, num, text);
    assert_true(one[0] == (float)w->parts.dict[0].n && one[1] == 77 && one[2] == 3 && one[4] == 5);
    assert_true(one[3] == (float)wr_map_find(&w->parts.dict[3], WR_STR("SFO")));
    assert_string_equal(wr_package_feature_name(k, 0), "to");
    assert_string_equal(wr_package_feature_name(k, 4), "delay_1h");
    wr_package_free(k);
}

typedef struct {
    const wr_package *k;
    const float *rows;
    pthread_barrier_t *start;
    double phi[20 * (USE + 1)];
    int rc;
} asker;

static void *ask_first(void *ctx)
{
    asker *x = ctx;
    wr_err err;
    pthread_barrier_wait(x->start);
    x->rc = wr_package_explain(x->phi, x->k, x->rows, 20, NULL, &err);
    return NULL;
}

/* The forest is made by one of those who come at once. */
static void test_contributions_at_once(void **state)
{
    enum { THREADS = 6 };
    world *w = *state;
    float *rows = coded_rows(w);
    for (int round = 0; round < 8; round++) {
        pthread_barrier_t start;
        pthread_t t[THREADS];
        wr_package *k = must_load(w);
        asker *x = wr_arena_calloc(w->a, THREADS, sizeof *x);
        pthread_barrier_init(&start, NULL, THREADS);
        for (int i = 0; i < THREADS; i++) {
            x[i].k = k;
            x[i].rows = rows;
            x[i].start = &start;
            assert_int_equal(pthread_create(&t[i], NULL, ask_first, &x[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(x[i].rc, 0);
            assert_memory_equal(x[i].phi, x[0].phi, sizeof x->phi);
        }
        pthread_barrier_destroy(&start);
        wr_package_free(k);
    }
}

static void test_contributions_nomem(void **state)
{
    world *w = *state;
    float *rows = coded_rows(w);
    double phi[USE + 1], again[USE + 1];
    long n = 1;
    for (bool fired = true; fired; n++) {
        wr_err err;
        wr_package *k = must_load(w);
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_package_explain(phi, k, rows, 1, NULL, &err);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        assert_int_equal(wr_package_explain(again, k, rows, 1, NULL, &err), 0); /* the next call tries again */
        if (!fired) assert_memory_equal(phi, again, sizeof phi);
        wr_package_free(k);
    }
    assert_true(n > 20);
}

static void test_encode(void **state)
{
    world *w = *state;
    wr_err err = {0};
    float *cols[USE];
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    assert_int_equal(wr_frame_resize(f, 4), 0);
    wr_col *to = wr_frame_add(f, "to", WR_TEXT);
    static const char *const texts[] = {"SFO", "LAX", "nowhere"};
    for (size_t i = 0; i < 3; i++) assert_int_equal(wr_col_code(to, wr_str_of(texts[i]), &to->code[i]), 0);
    assert_int_equal(wr_col_set_missing(to, 3), 0);
    assert_int_equal(wr_package_encode(cols, &w->parts, f, w->a, &err), WEIR_ENOTFOUND);
    assert_non_null(wr_frame_add(f, "km", WR_I64));
    wr_frame_col(f, "km")->i64[2] = 7;
    assert_non_null(wr_frame_add(f, "hour", WR_F64));
    assert_non_null(wr_frame_add(f, "from", WR_F64));
    assert_int_equal(wr_package_encode(cols, &w->parts, f, w->a, &err), WEIR_ETYPE);
    wr_frame_col(f, "from")->name[0] = 'x';
    assert_non_null(wr_frame_add(f, "from", WR_TEXT));
    assert_non_null(wr_frame_add(f, "delay_1h", WR_TEXT));
    assert_int_equal(wr_package_encode(cols, &w->parts, f, w->a, &err), WEIR_ETYPE);
    wr_frame_col(f, "delay_1h")->name[0] = 'x';
    assert_non_null(wr_frame_add(f, "delay_1h", WR_F32));
    assert_int_equal(wr_package_encode(cols, &w->parts, f, w->a, &err), 0);
    float unknown = (float)w->parts.dict[0].n;
    assert_true(cols[0][0] == (float)wr_map_find(&w->parts.dict[0], WR_STR("SFO")) && cols[0][0] < unknown);
    assert_true(cols[0][1] == unknown && cols[0][2] == unknown && isnan(cols[0][3]));
    assert_true(cols[1][2] == 7);
    assert_true(cols[3][0] == (float)wr_map_find(&w->parts.dict[3], WR_STR(""))); /* not filled: "" */
}

static void test_same_parts_same_id(void **state)
{
    world *w = *state;
    wr_err err;
    char id[WR_SHA256_HEX];
    assert_int_equal(wr_package_save(id, w->project, &w->parts, w->features, &err), 0);
    assert_string_equal(id, w->id);
    wr_package_parts other = w->parts;
    char created[] = "2026-11-24";
    other.created = created;
    assert_int_equal(wr_package_save(id, w->project, &other, w->features, &err), 0);
    assert_string_not_equal(id, w->id);
    /* what was loaded is saved as what it was */
    wr_package *k = must_load(w);
    assert_int_equal(wr_package_save(id, w->project, wr_package_get(k), w->features, &err), 0);
    wr_package *again = NULL;
    assert_int_equal(wr_package_load(&again, w->project, id, &err), 0);
    assert_string_equal(wr_package_get(again)->metrics_json, wr_package_get(k)->metrics_json);
    assert_string_equal(id, w->id);
    wr_package_free(again);
    /* without golden rows and without the optional texts */
    other = w->parts;
    other.metrics_json = other.options_json = other.parents_json = other.run_id = NULL;
    assert_int_equal(wr_package_save(id, w->project, &other, NULL, &err), 0);
    assert_int_equal(wr_package_load(&again, w->project, id, &err), 0);
    assert_string_equal(wr_package_get(again)->metrics_json, "{}");
    wr_package_free(again);
    wr_package_free(k);
}

/* ---- the files ---- */

typedef struct {
    char name[32];
    wr_buf data;
} file;
typedef struct {
    file at[8];
    size_t n;
} folder;

static void open_folder(folder *f, world *w, const char *id)
{
    wr_objects *o;
    wr_err err;
    WR_AUTOBUF wr_buf tree;
    wr_buf_init(&tree, 0);
    assert_int_equal(wr_project_objects(&o, w->project, &err), 0);
    assert_int_equal(wr_objects_get(o, id, &tree, 1 << 20, &err), 0);
    wr_str rest = wr_buf_view(&tree);
    f->n = 0;
    while (rest.n) {
        wr_str line = wr_str_cut(&rest, '\n'), sha = wr_str_cut(&line, ' ');
        file *to = &f->at[f->n++];
        wr_str_cut(&line, ' ');
        snprintf(to->name, sizeof to->name, "%.*s", WR_STR_FMT(line));
        wr_buf_init(&to->data, 0);
        char *hex = wr_arena_strndup(w->a, sha.p, sha.n);
        assert_int_equal(wr_objects_get(o, hex, &to->data, 1 << 26, &err), 0);
    }
}

static void close_folder(folder *f)
{
    for (size_t i = 0; i < f->n; i++) wr_buf_fini(&f->at[i].data);
}

static wr_buf *file_of(folder *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->at[i].name, name) == 0) return &f->at[i].data;
    }
    fail_msg("no file %s", name);
    return NULL;
}

static void store_folder(char id[WR_SHA256_HEX], folder *f, world *w)
{
    wr_objects *o;
    wr_err err;
    WR_AUTOBUF wr_buf tree;
    wr_buf_init(&tree, 0);
    assert_int_equal(wr_project_objects(&o, w->project, &err), 0);
    for (size_t i = 0; i < f->n; i++) {
        char sha[WR_SHA256_HEX];
        if (!f->at[i].name[0]) continue;
        assert_int_equal(wr_objects_put(o, wr_buf_view(&f->at[i].data), sha, &err), 0);
        wr_buf_printf(&tree, "%s %zu %s\n", sha, f->at[i].data.n, f->at[i].name);
    }
    assert_int_equal(wr_objects_put(o, wr_buf_view(&tree), id, &err), 0);
}

static void replace(wr_buf *b, const char *from, const char *to)
{
    const char *at = strstr(wr_buf_cstr(b), from);
    if (!at) fail_msg("\"%s\" is not there: %s", from, wr_buf_cstr(b));
    size_t before = (size_t)(at - b->p), skip = strlen(from);
    wr_buf out;
    wr_buf_init(&out, 0);
    wr_buf_add(&out, b->p, before);
    wr_buf_str(&out, to);
    wr_buf_add(&out, b->p + before + skip, b->n - before - skip);
    wr_buf_fini(b);
    *b = out;
}

static void test_mlmodel(void **state)
{
    world *w = *state;
    folder f;
    wr_yaml *y;
    wr_err err = {0};
    WR_AUTOJSON wr_json inputs;
    open_folder(&f, w, w->id);
    assert_int_equal(f.n, 5);
    if (wr_yaml_parse(&y, w->a, wr_buf_view(file_of(&f, "MLmodel")), "MLmodel", &err) < 0) fail_msg("%s", err.msg);
    assert_string_equal(wr_yaml_get(y, "run_id")->text.p, w->parts.run_id);
    assert_int_equal(wr_yaml_get(y, "model_uuid")->text.n, 32);
    assert_string_equal(wr_yaml_get(y, "utc_time_created")->text.p, "2026-11-23 10:00:00.250000");
    const wr_yaml *flavor = wr_yaml_get(wr_yaml_get(y, "flavors"), "weir"), *signature = wr_yaml_get(y, "signature");
    assert_string_equal(wr_yaml_get(flavor, "model")->text.p, "model.trees");
    assert_int_equal(wr_json_parse(&inputs, wr_yaml_get(signature, "inputs")->text, "inputs", &err), 0);
    assert_int_equal(yyjson_arr_size(inputs.root), w->view->nrequest);
    yyjson_val *time = yyjson_arr_get(inputs.root, 0), *from = yyjson_arr_get(inputs.root, 2);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(time, "type")), "datetime");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(from, "name")), "from");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(from, "type")), "string");
    close_folder(&f);
}

static void test_card(void **state)
{
    world *w = *state;
    folder f;
    open_folder(&f, w, w->id);
    const char *card = wr_buf_cstr(file_of(&f, "card.md"));
    static const char *const parts[] = {
        "# Model Card for `delay`",
        "### Intended Use",
        "`trips`",
        "Predicts `late`: `delay` above 15",
        "`t \\| 1`",
        "| `from` | category of `from` | 5 categories |",
        "| `delay_1h` | mean of `delay` over 1 h, events with `from` like the row's `from` |",
        "### Metrics",
        "| `auc` | `0.75` |",
        "`{\"a\\|b'\":[1,null]}`",
        "### Environmental Impact",
        "| `energy_j` | `12.5` |",
        "### Made From",
        "trips@3",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!strstr(card, parts[i])) fail_msg("no %s in\n%s", parts[i], card);
    }
    assert_true(strstr(card, "energy_j") > strstr(card, "### Environmental Impact"));
    close_folder(&f);
}

static void test_golden_rows(void **state)
{
    world *w = *state;
    folder f;
    wr_golden g;
    wr_err err;
    open_folder(&f, w, w->id);
    assert_int_equal(wr_package_read_golden(&g, w->a, &w->parts, wr_buf_view(file_of(&f, "golden.json")), &err), 0);
    assert_int_equal(g.n, 100);
    for (size_t i = 0; i < g.n; i++)
        assert_true(g.expected[i] == w->predicted[i < 3 ? i : i + 1]); /* row 3 has an infinity */
    close_folder(&f);
}

/* ---- hostile packages ---- */

static const struct {
    const char *file, *from, *to;
    int code;
    const char *msg;
} damage[] = {
    {"weir.json", "\"format\":1", "\"format\":2", WEIR_EUNSUPPORTED, "format 2"},
    {"weir.json", "\"format\":1", "\"format\":\"1\"", WEIR_ECORRUPT, "'format'"},
    {"weir.json", "\"format\":1,", "", WEIR_ECORRUPT, "'format' is missing"},
    {"weir.json", "\"learner\":\"trees\"", "\"learner\":\"pickle\"", WEIR_EUNSUPPORTED, "pickle"},
    {"weir.json", "\"name\":\"delay\"", "\"name\":\"../delay\"", WEIR_ECORRUPT, "not a model name"},
    {"weir.json", "\"name\":\"delay\"", "\"name\":7", WEIR_ECORRUPT, "'name'"},
    {"weir.json", "\"created\":\"2026", "\"created\":\"x2026", WEIR_ECORRUPT, "is not a time"},
    {"weir.json", "\"run\":\"", "\"run\":\"\\u0000", WEIR_ECORRUPT, "NUL"},
    {"weir.json", "\"options\":{\"rounds\":12}", "\"options\":[]", WEIR_ECORRUPT, "'options'"},
    {"weir.json", "\"op\":\"hour\"", "\"op\":\"exec\"", WEIR_ECORRUPT, "unknown op"},
    {"weir.json", "\"op\":\"hour\"", "\"op\":\"month\"", WEIR_ECORRUPT, "hash of the view"},
    {"weir.json", "\"features\":[{\"name\":\"to\"", "\"features\":[{\"name\":\"too\"", WEIR_ECORRUPT,
     "no feature 'too'"},
    {"weir.json", "\"features\":[{\"name\":\"to\"", "\"features\":[5,{\"name\":\"to\"", WEIR_ECORRUPT, "not an object"},
    {"weir.json", "{\"name\":\"km\"},{\"name\":\"hour\"}", "{\"name\":\"hour\"},{\"name\":\"km\"}", WEIR_ECORRUPT,
     "in the learner"},
    {"weir.json", "{\"name\":\"km\"},", "", WEIR_ECORRUPT, "takes 5 features"},
    {"weir.json", "{\"name\":\"km\"},", "{\"name\":\"hour\"},", WEIR_ECORRUPT, "used twice"},
    {"weir.json", "{\"name\":\"km\"}", "{\"name\":\"km\",\"count\":0,\"categories\":[]}", WEIR_ECORRUPT, "is a number"},
    {"weir.json", "\"count\":5", "\"count\":6", WEIR_ECORRUPT, "its count is 6"},
    {"weir.json", "\"count\":5", "\"count\":-1", WEIR_ECORRUPT, "its count is -1"},
    {"weir.json", "\"SFO\"", "\"JFK\"", WEIR_ECORRUPT, "stands there twice"},
    {"weir.json", "\"SFO\"", "5", WEIR_ECORRUPT, "not a text"},
    {"weir.json", "\"trees_sha256\":\"", "\"trees_sha256\":\"0", WEIR_ECORRUPT, "not a hash"},
    {"weir.json", "{", "[", WEIR_ECORRUPT, "weir.json"},
    {"golden.json", "\"expected\":[", "\"expected\":[0.5,", WEIR_ECORRUPT, "expected answers"},
    {"golden.json", "\"expected\":[0.", "\"expected\":[0.0", WEIR_ECORRUPT, "another answer"},
    {"golden.json", "\"expected\":[0", "\"expected\":[\"0\",0", WEIR_ECORRUPT, "expected answers"},
    {"golden.json", "\"to\",", "", WEIR_ECORRUPT, "not the model's"},
    {"golden.json", "\"rows\":[[", "\"rows\":[[1e300,", WEIR_ECORRUPT, "not a list of 5"},
    {"golden.json", "\"rows\":[[", "\"rows\":[1,[", WEIR_ECORRUPT, ""},
    {"golden.json", "\"rows\":[[", "\"rows\":{\"x\":[[", WEIR_ECORRUPT, ""},
    {"model.trees", "WEIRTREE", "WEIRTREF", WEIR_ECORRUPT, "not the file it was made with"},
};

static void test_damage(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        folder f;
        char id[WR_SHA256_HEX];
        wr_err err = {0};
        wr_package *k = NULL;
        open_folder(&f, w, w->id);
        replace(file_of(&f, damage[i].file), damage[i].from, damage[i].to);
        store_folder(id, &f, w);
        int rc = wr_package_load(&k, w->project, id, &err);
        if (rc != damage[i].code || err.code != rc || !strstr(err.msg, damage[i].msg))
            fail_msg("case %zu (%s): %s: %s", i, damage[i].to, wr_err_name(rc), err.msg);
        assert_null(k);
        if (rc == WEIR_EUNSUPPORTED && i == 0) assert_non_null(strstr(err.hint, "newer"));
        close_folder(&f);
    }
}

/* The learner's file cut short or changed, with the hash in weir.json made to fit. */
static void test_damaged_trees(void **state)
{
    world *w = *state;
    for (int i = 0; i < 12; i++) {
        folder f;
        char id[WR_SHA256_HEX], was[WR_SHA256_HEX], is[WR_SHA256_HEX];
        wr_err err = {0};
        wr_package *k = NULL;
        open_folder(&f, w, w->id);
        wr_buf *trees = file_of(&f, "model.trees");
        wr_sha256_of(trees->p, trees->n, was);
        if (i < 6) trees->n = trees->n * (size_t)i / 6;
        else trees->p[trees->n * (size_t)(i - 6) / 6] ^= 1;
        wr_sha256_of(trees->p, trees->n, is);
        replace(file_of(&f, "weir.json"), was, is);
        store_folder(id, &f, w);
        assert_int_equal(wr_package_load(&k, w->project, id, &err), WEIR_ECORRUPT);
        assert_non_null(strstr(err.msg, "model.trees"));
        close_folder(&f);
    }
}

static void test_missing_files(void **state)
{
    world *w = *state;
    wr_objects *o;
    char id[WR_SHA256_HEX];
    wr_err err = {0};
    wr_package *k = NULL;
    for (size_t i = 0; i < 5; i++) {
        folder f;
        open_folder(&f, w, w->id);
        f.at[i].name[0] = 0;
        store_folder(id, &f, w);
        assert_int_equal(wr_package_load(&k, w->project, id, &err), WEIR_ECORRUPT);
        assert_non_null(strstr(err.msg, " has no "));
        close_folder(&f);
    }
    assert_int_equal(wr_project_objects(&o, w->project, &err), 0);
    static const char *const trees[] = {
        "",
        "hello\n",
        "0 0 weir.json\n",
        "0000000000000000000000000000000000000000000000000000000000000000 1 MLmodel\n"
        "0000000000000000000000000000000000000000000000000000000000000000 1 MLmodel\n",
    };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(wr_objects_put(o, wr_str_of(trees[i]), id, &err), 0);
        assert_int_equal(wr_package_load(&k, w->project, id, &err), WEIR_ECORRUPT);
    }
    WR_AUTOBUF wr_buf gone; /* names files that nobody has */
    wr_buf_init(&gone, 0);
    static const char *const names[] = {"MLmodel", "card.md", "golden.json", "model.trees", "weir.json"};
    for (size_t i = 0; i < 5; i++) wr_buf_printf(&gone, "%064zu 1 %s\n", i, names[i]);
    assert_int_equal(wr_objects_put(o, wr_buf_view(&gone), id, &err), 0);
    assert_int_equal(wr_package_load(&k, w->project, id, &err), WEIR_ECORRUPT);
    assert_non_null(strstr(err.msg, "MLmodel"));
    memset(id, '0', 64);
    assert_int_equal(wr_package_load(&k, w->project, id, &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_package_load(&k, w->project, "../../etc", &err), WEIR_EINVAL);
    assert_null(k);
    wr_package_free(NULL);
}

/* Any damage to the texts: an error or parts that hold together. */
static void test_random_damage(void **state)
{
    world *w = *state;
    static const char bytes[] = "{}[]\",:0129ae-.tfn\\ ";
    folder f;
    wr_rng r;
    wr_rng_init(&r, 21);
    open_folder(&f, w, w->id);
    for (int i = 0; i < 2000; i++) {
        wr_buf *b = file_of(&f, i % 2 ? "weir.json" : "golden.json");
        size_t at = wr_rng_below(&r, b->n);
        char was = b->p[at];
        wr_err err = {0};
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        b->p[at] = bytes[wr_rng_below(&r, sizeof bytes - 1)];
        wr_package_parts parts = {0};
        wr_golden g;
        char sha[WR_SHA256_HEX];
        int rc = i % 2 ? wr_package_read_weir(&parts, sha, a, wr_buf_view(b), &err)
                       : wr_package_read_golden(&g, a, &w->parts, wr_buf_view(b), &err);
        if (rc == 0 && i % 2) assert_int_equal(wr_package_check(&parts, &err), 0);
        if (rc < 0) assert_true(err.msg[0]);
        wr_package_fini_dict(&parts);
        b->p[at] = was;
    }
    close_folder(&f);
}

/* ---- what cannot be saved ---- */

static void check_refused(world *w, const wr_package_parts *parts, int code, const char *msg)
{
    char id[WR_SHA256_HEX];
    wr_err err = {0};
    int rc = wr_package_save(id, w->project, parts, w->features, &err);
    if (rc != code || !strstr(err.msg, msg)) fail_msg("%s: %s", wr_err_name(rc), err.msg);
}

static void test_refused(void **state)
{
    world *w = *state;
    wr_package_parts p = w->parts;
    char bad[] = "a/b", yesterday[] = "yesterday", list[] = "[1]", open[] = "{";
    p.name = bad;
    check_refused(w, &p, WEIR_EINVAL, "not a model name");
    p = w->parts;
    p.created = yesterday;
    check_refused(w, &p, WEIR_EPARSE, "not a time");
    p = w->parts;
    p.metrics_json = list;
    check_refused(w, &p, WEIR_ETYPE, "\"metrics\" must be a JSON object");
    p = w->parts;
    p.parents_json = open;
    check_refused(w, &p, WEIR_EPARSE, "parents");
    p = w->parts;
    p.nuse = 4;
    check_refused(w, &p, WEIR_EINVAL, "takes 5 features");
    size_t swapped[USE] = {3, 4, 0, 2, 5}, beyond[USE] = {4, 3, 0, 2, 6};
    wr_map none[USE] = {0};
    p = w->parts;
    p.use = swapped;
    p.dict = none;
    check_refused(w, &p, WEIR_EINVAL, "in the learner");
    p.use = beyond;
    check_refused(w, &p, WEIR_EINVAL, "no feature 6");
    p.use = w->parts.use;
    assert_true(wr_map_put(&none[0], (wr_str){"\xff", 1}, NULL) >= 0);
    check_refused(w, &p, WEIR_EINVAL, "not UTF-8");
    wr_map_fini(&none[0]);
}

/* ---- faults ---- */

static void test_load_nomem(void **state)
{
    world *w = *state;
    for (long nth = 1;; nth++) {
        wr_package *k = NULL;
        wr_err err;
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_package_load(&k, w->project, w->id, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (rc == 0) wr_package_free(k);
        else assert_int_equal(rc, WEIR_ENOMEM);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
    }
}

/* Each write, fsync and rename in turn: an error, and the same save works afterwards. */
static void test_save_faults(void **state)
{
    world *w = *state;
    static const wr_fault_kind kinds[] = {WR_FAULT_ALLOC, WR_FAULT_WRITE, WR_FAULT_FSYNC, WR_FAULT_RENAME};
    wr_package_parts p = w->parts;
    int run = 0;
    for (size_t i = 0; i < 4; i++) {
        for (long nth = 1;; nth += kinds[i] == WR_FAULT_ALLOC ? 29 : 1) {
            char id[WR_SHA256_HEX];
            wr_err err = {0};
            p.run_id = wr_arena_printf(w->a, "%032d", run++); /* new files each time */
            wr_fault_arm(kinds[i], nth, false);
            int rc = wr_package_save(id, w->project, &p, w->features, &err);
            bool fired = wr_fault_fired(kinds[i]);
            wr_fault_arm(kinds[i], 0, false);
            if (!fired) {
                assert_int_equal(rc, 0);
                break;
            }
            if (rc < 0) assert_int_equal(wr_package_save(id, w->project, &p, w->features, &err), 0);
            wr_package *k = NULL;
            assert_int_equal(wr_package_load(&k, w->project, id, &err), 0);
            wr_package_free(k);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_rows_as_served),
        cmocka_unit_test(test_encode),        cmocka_unit_test(test_same_parts_same_id),
        cmocka_unit_test(test_mlmodel),       cmocka_unit_test(test_card),
        cmocka_unit_test(test_golden_rows),   cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damaged_trees), cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_random_damage), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_load_nomem),    cmocka_unit_test(test_save_faults),
        cmocka_unit_test(test_contributions), cmocka_unit_test(test_contributions_at_once),
        cmocka_unit_test(test_contributions_nomem),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
