/* SPDX-License-Identifier: Apache-2.0 */
/* trees_test.c - boosted trees against a slow greedy twin, against XGBoost and scikit-learn, and against hostile input.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "calc/trees_internal.h"

enum { MOST_FEATURES = 32 };

/* ---- data ---- */

typedef struct {
    size_t n, nf;
    float *x, *y, *w;
    wr_trees_feature features[MOST_FEATURES];
    wr_trees_set set;
} table;

static void *need(size_t n)
{
    void *p = malloc(n ? n : 1);
    assert_non_null(p);
    return p;
}

static table *table_new(size_t n, size_t nf)
{
    static const char *const names[MOST_FEATURES] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    table *t = need(sizeof *t);
    *t = (table){.n = n, .nf = nf, .x = need(n * nf * sizeof(float)), .y = need(n * sizeof(float))};
    for (size_t j = 0; j < nf; j++) t->features[j] = (wr_trees_feature){.name = names[j], .x = t->x + j * n};
    t->set = (wr_trees_set){.n = n, .nfeatures = nf, .features = t->features, .label = t->y};
    return t;
}

static void table_free(table *t)
{
    free(t->x);
    free(t->y);
    free(t->w);
    free(t);
}

static void categorical(table *t, size_t j, uint32_t ncats)
{
    t->features[j].categorical = true;
    t->features[j].ncats = ncats;
}

/* Rows [from, from + n) of another table, sharing its memory. */
static wr_trees_set part_of(const table *t, size_t from, size_t n, wr_trees_feature features[MOST_FEATURES])
{
    for (size_t j = 0; j < t->nf; j++) {
        features[j] = t->features[j];
        features[j].x += from;
    }
    return (wr_trees_set){
        .n = n, .nfeatures = t->nf, .features = features, .label = t->y + from, .weight = t->w ? t->w + from : NULL};
}

static float *row_major(const wr_trees_set *s)
{
    float *rows = need(s->n * s->nfeatures * sizeof *rows);
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = 0; j < s->nfeatures; j++) rows[i * s->nfeatures + j] = s->features[j].x[i];
    }
    return rows;
}

/* Mixed: few and many distinct values, ties, both zeros, infinities, missing values, and a categorical last feature. */
static table *mixed(size_t n, size_t nf, uint32_t ncats, uint64_t seed, bool regression)
{
    table *t = table_new(n, nf);
    wr_rng r;
    wr_rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        double z = 0;
        for (size_t j = 0; j < nf; j++) {
            double v = wr_rng_normal(&r), u = wr_rng_f64(&r);
            if (j == nf - 1 && ncats) v = floor(ncats * u * u);
            else if (j % 3 == 1) v = floor(v * 3);
            else if (j % 3 == 2 && u < 0.02) v = u < 0.01 ? INFINITY : -INFINITY;
            else if (j % 3 == 2 && u < 0.1) v = u < 0.05 ? 0.0 : -0.0;
            if (isfinite(v)) z += j == nf - 1 && ncats ? sin(v * 2) : v * (j % 2 ? 0.5 : -0.7);
            t->x[j * n + i] = wr_rng_f64(&r) < 0.07 ? NAN : (float)v;
        }
        if (isnan(t->x[i])) z += 1;
        t->y[i] = regression ? (float)(z + wr_rng_normal(&r)) : wr_rng_f64(&r) < 1 / (1 + exp(-z));
    }
    if (ncats) categorical(t, nf - 1, ncats);
    return t;
}

static wr_trees *train(const wr_trees_set *s, const wr_trees_set *valid, wr_trees_opt o, wr_pool *pool)
{
    wr_trees *t = NULL;
    wr_err err = {0};
    int rc = wr_trees_train(&t, s, valid, &o, pool, NULL, NULL, &err);
    if (rc < 0) fail_msg("%s", err.msg);
    return t;
}

static wr_buf saved(const wr_trees *t)
{
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_trees_save(t, &b, NULL), 0);
    return b;
}

static double auc(const double *p, const float *y, size_t n)
{ /* by counting pairs through ranks on a grid of scores */
    enum { GRID = 1 << 16 };
    double *pos = calloc(GRID + 1, sizeof *pos), *neg = calloc(GRID + 1, sizeof *neg), np = 0, nn = 0, wins = 0,
           below = 0;
    assert_true(pos && neg);
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)(p[i] * GRID);
        if (y[i] > 0.5f) pos[at]++, np++;
        else neg[at]++, nn++;
    }
    for (size_t k = 0; k <= GRID; k++) {
        wins += pos[k] * (below + neg[k] / 2);
        below += neg[k];
    }
    free(pos);
    free(neg);
    return wins / (np * nn);
}

/* ---- the twin: tries every split of a node with the true gradients in double ---- */

typedef struct {
    double g, h;
    int rows;
} mass;
typedef struct {
    const table *t;
    const wr_trees_opt *o;
    const double *g, *h;
    const bool *in; /* rows of the node */
} twin;

static mass mass_of(const twin *w, const bool *pick)
{
    mass m = {0};
    for (size_t i = 0; i < w->t->n; i++) {
        if (!w->in[i] || (pick && !pick[i])) continue;
        m.g += w->g[i];
        m.h += w->h[i];
        m.rows++;
    }
    return m;
}

static double twin_gain(const twin *w, const bool *left)
{
    mass l = mass_of(w, left), all = mass_of(w, NULL);
    mass r = {all.g - l.g, all.h - l.h, all.rows - l.rows};
    if (l.rows < w->o->min_child_rows || r.rows < w->o->min_child_rows) return -1;
    if (l.h < w->o->min_child_weight || r.h < w->o->min_child_weight) return -1;
    double l2 = w->o->l2;
    return l.g * l.g / (l.h + l2) + r.g * r.g / (r.h + l2) - all.g * all.g / (all.h + l2);
}

static double best_numeric(const twin *w, size_t f)
{
    const float *x = w->t->features[f].x;
    bool *left = need(w->t->n * sizeof *left);
    double best = -1;
    for (size_t k = 0; k < w->t->n; k++) {
        if (!w->in[k] || isnan(x[k])) continue;
        for (int missing = 0; missing < 2; missing++) {
            for (size_t i = 0; i < w->t->n; i++) left[i] = isnan(x[i]) ? missing : x[i] <= x[k];
            best = fmax(best, twin_gain(w, left));
        }
    }
    free(left);
    return best;
}

/* Every subset of at most 6 categories. */
static double best_subset(const twin *w, size_t f)
{
    const float *x = w->t->features[f].x;
    bool *left = need(w->t->n * sizeof *left);
    double best = -1;
    for (unsigned set = 0; set < 1u << w->t->features[f].ncats; set++) {
        for (int missing = 0; missing < 2; missing++) {
            for (size_t i = 0; i < w->t->n; i++) left[i] = x[i] >= 0 ? set >> (unsigned)x[i] & 1 : (unsigned)missing;
            best = fmax(best, twin_gain(w, left));
        }
    }
    free(left);
    return best;
}

/* Prefixes of the categories in order of smoothed gradient / hessian. */
static double best_prefix(const twin *w, size_t f)
{
    const float *x = w->t->features[f].x;
    uint32_t k = w->t->features[f].ncats;
    mass all = mass_of(w, NULL);
    bool *left = need(w->t->n * sizeof *left), *here = need(w->t->n * sizeof *here);
    double *key = need(k * sizeof *key), best = -1;
    for (uint32_t c = 0; c < k; c++) {
        for (size_t i = 0; i < w->t->n; i++) here[i] = x[i] == (float)c;
        mass m = mass_of(w, here);
        key[c] = m.rows ? m.g / (m.h + w->o->cat_smooth * all.h / all.rows) : NAN;
    }
    for (uint32_t c = 0; c < k; c++) {
        for (int missing = 0; missing < 2 && !isnan(key[c]); missing++) {
            for (size_t i = 0; i < w->t->n; i++) left[i] = x[i] >= 0 ? key[(uint32_t)x[i]] <= key[c] : missing;
            best = fmax(best, twin_gain(w, left));
        }
    }
    free(left);
    free(here);
    free(key);
    return best;
}

static double best_gain(const twin *w, bool subsets)
{
    double best = -1;
    for (size_t f = 0; f < w->t->nf; f++) {
        double b = !w->t->features[f].categorical ? best_numeric(w, f)
                   : subsets                      ? best_subset(w, f)
                                                  : best_prefix(w, f);
        best = fmax(best, b);
    }
    return best;
}

static bool goes_left(const wr_trees *m, const wr_tnode *d, float x)
{
    if (d->kind & WR_TN_CAT) return wr_tset_has(&m->sets[d->set], wr_tfeature_bin_one(&m->features[d->feature], x));
    return isnan(x) ? d->kind & WR_TN_MISSING_LEFT : x <= d->value;
}

/* Rows of the children; index into the model's nodes of one tree. */
static void descend(const wr_trees *m, const wr_tnode *nodes, size_t i, const table *t, bool **in)
{
    const wr_tnode *d = &nodes[i];
    for (int side = 0; side < 2; side++) {
        bool *to = in[d->left + (size_t)side] = need(t->n * sizeof *to);
        for (size_t r = 0; r < t->n; r++) to[r] = in[i][r] && goes_left(m, d, t->features[d->feature].x[r]) == !side;
    }
}

/* Every inner node of every tree is as good as the best split there is; every leaf is the Newton step of its rows. */
static void check_greedy(const table *t, wr_trees_opt o, bool subsets, double tolerance)
{
    wr_trees *m = train(&t->set, NULL, o, NULL);
    double *margin = need(t->n * sizeof *margin), *g = need(t->n * sizeof *g), *h = need(t->n * sizeof *h);
    for (size_t i = 0; i < t->n; i++) margin[i] = m->base;
    int splits = 0;
    for (int k = 0; k < m->ntrees; k++) {
        for (size_t i = 0; i < t->n; i++) {
            double p = 1 / (1 + exp(-margin[i])), weight = t->w ? (double)t->w[i] : 1;
            g[i] = (o.objective == WR_TREES_SQUARED ? margin[i] - (double)t->y[i] : p - (double)t->y[i]) * weight;
            h[i] = (o.objective == WR_TREES_SQUARED ? 1 : p * (1 - p)) * weight;
        }
        const wr_tnode *nodes = m->nodes + m->first[k];
        size_t n = m->first[k + 1] - m->first[k];
        bool **in = need(n * sizeof *in);
        in[0] = need(t->n * sizeof **in);
        for (size_t i = 0; i < t->n; i++) in[0][i] = true;
        for (size_t i = 0; i < n; i++) {
            twin w = {t, &o, g, h, in[i]};
            if (nodes[i].kind & WR_TN_LEAF) {
                mass here = mass_of(&w, NULL);
                double value = -here.g / (here.h + o.l2) * o.learning_rate;
                assert_true(fabs((double)nodes[i].value - value) < 1e-4 * (1 + fabs(value)));
                for (size_t r = 0; r < t->n; r++) margin[r] += in[i][r] ? (double)nodes[i].value : 0;
            } else {
                double best = best_gain(&w, subsets);
                descend(m, nodes, i, t, in);
                w.in = in[i];
                double mine = twin_gain(&w, in[nodes[i].left]);
                if (mine < best * (1 - tolerance) || mine > best * (1 + 1e-9) + 1e-12) { /* best of those it may take */
                    fail_msg("tree %d node %zu: gain %g, best %g", k, i, mine, best);
                }
                assert_true(fabs((double)nodes[i].gain - mine) <= 1e-3 * mine + 1e-4);
                splits++;
            }
        }
        for (size_t i = 0; i < n; i++) free(in[i]);
        free(in);
    }
    assert_true(splits > 0);
    free(margin);
    free(g);
    free(h);
    wr_trees_free(m);
}

static void test_splits_are_greedy(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        table *t = mixed(120, 4, 6, seed, seed % 2);
        wr_trees_opt o = {.rounds = 3,
                          .max_leaves = 6,
                          .learning_rate = 0.3,
                          .l2 = 1,
                          .min_child_weight = 1e-3,
                          .min_child_rows = (int)(seed % 3) * 4 + 1,
                          .cat_smooth = 10,
                          .seed = seed,
                          .objective = seed % 2 ? WR_TREES_SQUARED : WR_TREES_LOGISTIC};
        check_greedy(t, o, false, 1e-4);
        table_free(t);
    }
}

/* With unit hessians, hardly any l2 and no smoothing, prefixes of the sorted categories hold the best of all subsets.
 */
static void test_categories_best_subset(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        table *t = mixed(80, 2, 6, seed + 50, true);
        wr_trees_opt o = {.rounds = 1,
                          .max_leaves = 2,
                          .learning_rate = 1,
                          .l2 = 1e-9,
                          .min_child_weight = 1e-6,
                          .min_child_rows = 1,
                          .cat_smooth = 1e-9,
                          .objective = WR_TREES_SQUARED};
        check_greedy(t, o, true, 1e-6);
        table_free(t);
    }
}

/* Strong weights make sums of hessians say little about rows: min_child_rows needs the exact counts. */
static void test_least_rows_with_weights(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        table *t = mixed(150, 3, 5, seed + 80, false);
        wr_rng r;
        wr_rng_init(&r, seed);
        t->set.weight = t->w = need(t->n * sizeof *t->w);
        for (size_t i = 0; i < t->n; i++) t->w[i] = (float)exp(4 * wr_rng_normal(&r));
        wr_trees_opt o = {.rounds = 2,
                          .max_leaves = 8,
                          .learning_rate = 0.3,
                          .l2 = 1,
                          .min_child_weight = 1e-3,
                          .min_child_rows = 9,
                          .cat_smooth = 10};
        check_greedy(t, o, false, 1e-3);
        table_free(t);
    }
}

/* ---- the same bytes ---- */

static void test_same_bytes_for_any_threads(void **state)
{
    (void)state;
    table *t = mixed(60001, 7, 300, 3, false);
    wr_trees_opt o = {.rounds = 4, .max_leaves = 20, .seed = 9};
    wr_trees *first = train(&t->set, NULL, o, NULL);
    wr_buf want = saved(first);
    const int threads[] = {1, 2, 5};
    for (int k = 0; k < 5; k++) {
        wr_pool *pool = k < 3 ? wr_pool_new(threads[k]) : NULL;
        wr_trees_plain = k == 3;
        if (k == 4) wr_trees_hist_bytes = 1; /* next to none kept: children are built from rows */
        wr_trees *m = train(&t->set, NULL, o, pool);
        wr_buf got = saved(m);
        assert_true(wr_str_eq(wr_buf_view(&got), wr_buf_view(&want)));
        wr_buf_fini(&got);
        wr_trees_free(m);
        wr_pool_free(pool);
        wr_trees_plain = false;
        wr_trees_hist_bytes = (size_t)512 << 20;
    }
    o.seed = 10;
    wr_trees *other = train(&t->set, NULL, o, NULL);
    wr_buf got = saved(other);
    assert_false(wr_str_eq(wr_buf_view(&got), wr_buf_view(&want)));
    wr_buf_fini(&got);
    wr_trees_free(other);
    wr_buf_fini(&want);
    wr_trees_free(first);
    table_free(t);
}

static double *margins;
static void catch_margins(const double *m, size_t n)
{
    margins = need(n * sizeof *m);
    memcpy(margins, m, n * sizeof *m);
}

/* Rows as training saw them, by every path, give the margins that training had, to the last bit. */
static void check_margins(const table *t, wr_trees_opt o)
{
    wr_trees_margins = catch_margins;
    wr_trees *m = train(&t->set, NULL, o, NULL);
    wr_trees_margins = NULL;
    assert_int_equal(m->ntrees, o.rounds);
    float *rows = row_major(&t->set);
    double *out = need(t->n * sizeof *out), *want = need(t->n * sizeof *want);
    for (size_t i = 0; i < t->n; i++)
        want[i] = o.objective == WR_TREES_LOGISTIC ? 1 / (1 + exp(-margins[i])) : margins[i];
    wr_pool *pool = wr_pool_new(2);
    const float *cols[MOST_FEATURES];
    for (size_t j = 0; j < t->nf; j++) cols[j] = t->features[j].x;
    for (int path = 0; path < 6; path++) {
        wr_trees_plain = path == 1;
        memset(out, 255, t->n * sizeof *out);
        if (path <= 1) wr_trees_predict(m, rows, t->n, out, NULL);
        if (path == 2) wr_trees_predict(m, rows, t->n, out, pool);
        if (path == 3) assert_int_equal(wr_trees_predict_columns(m, cols, t->n, out, pool, NULL), 0);
        for (size_t i = 0; path == 4 && i < t->n; i++) wr_trees_predict(m, rows + i * t->nf, 1, out + i, NULL);
        if (path == 5) {
            bool fast = m->fast;
            m->fast = false;
            wr_trees_predict(m, rows, t->n, out, NULL);
            m->fast = fast;
        }
        wr_trees_plain = false;
        assert_memory_equal(out, want, t->n * sizeof *out);
    }
    wr_pool_free(pool);
    free(margins);
    free(rows);
    free(out);
    free(want);
    wr_trees_free(m);
}

static void test_predict_equals_training(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++) {
        table *t = mixed(k == 4 ? 5003 : 1003, k % 2 ? 8 : 5, k == 0 ? 0 : k == 1 ? 900 : 12, (uint64_t)k + 20, k % 2);
        wr_trees_opt o = {.rounds = 11,
                          .max_leaves = k == 4 ? 600 : 31,
                          .min_child_rows = k == 4 ? 1 : 5,
                          .min_child_weight = 1e-3,
                          .row_share = k == 2 ? 0.6 : 1,
                          .feature_share = k == 3 ? 0.5 : 1,
                          .objective = k % 2 ? WR_TREES_SQUARED : WR_TREES_LOGISTIC,
                          .max_depth = k == 5 ? 3 : 0};
        check_margins(t, o);
        table_free(t);
    }
}

static void test_result_does_not_depend_on_position(void **state)
{
    (void)state;
    table *t = mixed(500, 6, 20, 8, false);
    wr_trees *m = train(&t->set, NULL, (wr_trees_opt){.rounds = 20}, NULL);
    float *rows = row_major(&t->set);
    double all[500], some[500];
    wr_trees_predict(m, rows, 500, all, NULL);
    for (size_t n = 0; n <= 140; n += 7) {
        for (size_t from = 0; from < 30; from += 13) {
            some[n] = -5;
            wr_trees_predict(m, rows + from * t->nf, n, some, NULL);
            assert_memory_equal(some, all + from, n * sizeof *some);
            assert_true(some[n] == -5);
        }
    }
    free(rows);
    wr_trees_free(m);
    table_free(t);
}

/* ---- missing values and categories ---- */

static void test_missing_alone_tells(void **state)
{
    (void)state;
    table *t = table_new(1000, 2);
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] = i % 3 == 0;
        t->x[i] = i % 3 == 0 ? NAN : (float)(i * 7 % 100);
        t->x[t->n + i] = 1;
    }
    wr_trees *m = train(&t->set, NULL, (wr_trees_opt){.rounds = 30}, NULL);
    const float rows[] = {NAN, 1, 5, 1, INFINITY, NAN, -INFINITY, 1, 1e30f, 1};
    double p[5];
    wr_trees_predict(m, rows, 5, p, NULL);
    assert_true(p[0] > 0.9 && p[1] < 0.05 && p[2] == p[1] && p[3] == p[1] && p[4] == p[1]);
    double gain[2];
    wr_trees_gain(m, gain);
    assert_true(gain[0] > 100 && gain[1] == 0);
    wr_trees_free(m);
    table_free(t);
}

/* What training never saw at a node goes to the heavier side. */
static void test_unseen_goes_with_the_many(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        for (int cat = 0; cat < 2; cat++) {
            table *t = table_new(1000, 1);
            if (cat) categorical(t, 0, 5);
            for (size_t i = 0; i < t->n; i++) t->x[i] = t->y[i] = (i % 10 == 0) == !many;
            wr_trees *m = train(&t->set, NULL, (wr_trees_opt){.rounds = 5, .objective = WR_TREES_SQUARED}, NULL);
            const float rows[] = {NAN, (float)many, (float)!many, 4};
            double p[4];
            wr_trees_predict(m, rows, 4, p, NULL);
            assert_true(p[0] == p[1] && p[1] != p[2]);
            if (cat) assert_true(p[3] == p[1]);
            wr_trees_free(m);
            table_free(t);
        }
    }
}

static void test_unknown_categories(void **state)
{
    (void)state;
    table *t = table_new(30000, 1); /* 300 codes: 254 frequent ones, and 46 rare ones that all mean label 1 */
    categorical(t, 0, 300);
    for (size_t i = 0; i < t->n; i++) {
        size_t code = i % 100 == 0 ? 254 + i / 100 % 46 : i % 254;
        t->x[i] = i % 97 == 5 ? NAN : (float)code;
        t->y[i] = code >= 254 || code % 2;
    }
    wr_trees *m = train(&t->set, NULL, (wr_trees_opt){.rounds = 40, .min_child_rows = 2}, NULL);
    const float rows[] = {255, 299, 300, 1e9f, INFINITY, NAN, -1, -INFINITY, 3, 3.9f, 4};
    double p[11];
    wr_trees_predict(m, rows, 11, p, NULL);
    assert_true(p[0] > 0.9 && p[1] == p[0]);
    assert_true(p[2] == p[0] && p[3] == p[0] && p[4] == p[0]);
    assert_true(p[6] == p[5] && p[7] == p[5] && p[5] != p[0]);
    assert_true(p[8] > 0.9 && p[9] == p[8] && p[10] < 0.1);
    double single;
    for (size_t i = 0; i < 11; i++) {
        wr_trees_predict(m, rows + i, 1, &single, NULL);
        assert_true(single == p[i]);
    }
    wr_trees_free(m);
    table_free(t);
}

/* ---- references ---- */

static double uniform(uint64_t stream, uint64_t i)
{
    uint64_t z = ((stream << 32) + i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static table *reference_table(const char *name, uint64_t seed)
{
    table *t = table_new(30000, 8);
    for (size_t i = 0; i < t->n; i++) {
        float *x = t->x + i;
        for (size_t j = 0; j < 8; j++) x[j * t->n] = (float)(4 * uniform(seed + j, i) - 2);
        double z = (double)x[0] - 0.5 * (double)x[t->n] + 0.5 * ((double)x[2 * t->n] + 1.5) * (double)x[3 * t->n];
        z += x[4 * t->n] > 0.5f ? 1 : 0;
        for (size_t j = 0; j < 3 && strcmp(name, "missing") == 0; j++) {
            if (uniform(seed + 20 + j, i) < 0.2) x[j * t->n] = NAN;
        }
        if (strcmp(name, "category") == 0) {
            double code = floor(40 * uniform(seed + 30, i));
            z += (fmod(code * 7, 11) - 5) * 0.4;
            x[7 * t->n] = (float)code;
        }
        double u = uniform(seed + 40, i);
        t->y[i] = strcmp(name, "squared") == 0 ? (float)(z + 2 * u - 1) : u < 1 / (1 + exp(-z));
    }
    if (strcmp(name, "category") == 0) categorical(t, 7, 40);
    return t;
}

static void check_reference(const char *name, uint64_t seed, double xgboost, double sklearn, double label_sum)
{
    table *t = reference_table(name, seed);
    double sum = 0, score = 0;
    for (size_t i = 0; i < t->n; i++) sum += (double)t->y[i];
    assert_true(fabs(sum - label_sum) < 0.01); /* the same data */
    bool squared = strcmp(name, "squared") == 0;
    wr_trees_feature fa[MOST_FEATURES], fb[MOST_FEATURES];
    wr_trees_set a = part_of(t, 0, 20000, fa), b = part_of(t, 20000, 10000, fb);
    wr_trees *m = train(
        &a, NULL, (wr_trees_opt){.rounds = 50, .objective = squared ? WR_TREES_SQUARED : WR_TREES_LOGISTIC}, NULL);
    const float *cols[8];
    for (size_t j = 0; j < 8; j++) cols[j] = fb[j].x;
    double *p = need(b.n * sizeof *p);
    assert_int_equal(wr_trees_predict_columns(m, cols, b.n, p, NULL, NULL), 0);
    for (size_t i = 0; i < b.n; i++) score += (p[i] - (double)b.label[i]) * (p[i] - (double)b.label[i]);
    score = squared ? sqrt(score / (double)b.n) : auc(p, b.label, b.n);
    print_message("%s: %.6f, xgboost %.6f, scikit-learn %.6f\n", name, score, xgboost, sklearn);
    if (squared) assert_true(score < fmax(xgboost, sklearn) * 1.005);
    else assert_true(score > fmin(xgboost, sklearn) - 0.0015);
    free(p);
    wr_trees_free(m);
    table_free(t);
}

static void test_as_good_as_the_references(void **state)
{
    (void)state;
    FILE *f = fopen(WEIR_SOURCE_DIR "/tests/reference/trees.txt", "r");
    assert_non_null(f);
    char line[256], name[32], metric[32];
    int cases = 0;
    while (fgets(line, sizeof line, f)) {
        double xgboost, sklearn, sum;
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%31s %31s %lf %lf %lf", name, metric, &xgboost, &sklearn, &sum), 5);
        check_reference(name, (uint64_t)++cases * 100, xgboost, sklearn, sum);
    }
    assert_int_equal(cases, 4);
    fclose(f);
}

/* ---- rounds ---- */

typedef struct {
    double train[300], valid[300];
    int n, stop_at;
} losses;

static int record(void *ctx, int round, double train_loss, double valid_loss)
{
    losses *l = ctx;
    assert_int_equal(round, l->n + 1);
    l->train[l->n] = train_loss;
    l->valid[l->n++] = valid_loss;
    return l->n == l->stop_at;
}

static double log_loss(const wr_trees *m, const wr_trees_set *s)
{
    float *rows = row_major(s);
    double *p = need(s->n * sizeof *p), sum = 0, weights = 0;
    wr_trees_predict(m, rows, s->n, p, NULL);
    for (size_t i = 0; i < s->n; i++) {
        double w = s->weight ? (double)s->weight[i] : 1;
        sum -= w * log(s->label[i] > 0.5f ? p[i] : 1 - p[i]);
        weights += w;
    }
    free(rows);
    free(p);
    return sum / weights;
}

static void test_early_stop_keeps_the_best(void **state)
{
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        table *t = mixed(1500, 5, 30, 4, false);
        t->w = weighted ? need(t->n * sizeof(float)) : NULL;
        for (size_t i = 0; weighted && i < t->n; i++) t->w[i] = (float)(1 + i % 4);
        wr_trees_feature fa[MOST_FEATURES], fb[MOST_FEATURES];
        wr_trees_set a = part_of(t, 0, 700, fa), b = part_of(t, 700, 800, fb);
        wr_trees_opt o = {.rounds = 300, .learning_rate = 0.3, .early_stop = 10, .min_child_rows = 2};
        losses l = {0};
        wr_trees *m = NULL;
        assert_int_equal(wr_trees_train(&m, &a, &b, &o, NULL, record, &l, NULL), 0);
        int best = 0;
        for (int k = 0; k < l.n; k++) best = l.valid[k] < l.valid[best] ? k : best;
        assert_int_equal(wr_trees_count(m), best + 1);
        assert_int_equal(wr_trees_best_round(m), best + 1);
        assert_int_equal(l.n, best + 11);
        assert_true(l.n < 300);
        assert_true(fabs(log_loss(m, &b) - l.valid[best]) < 1e-6);
        assert_true(fabs(log_loss(m, &a) - l.train[best]) < 1e-6);
        o.early_stop = 0;
        o.rounds = 40;
        wr_trees *full = train(&a, &b, o, NULL); /* no stop, but still the best round */
        assert_int_equal(wr_trees_count(full), best + 1);
        wr_trees_free(full);
        wr_trees_free(m);
        table_free(t);
    }
}

static void test_progress_cancels(void **state)
{
    (void)state;
    table *t = mixed(500, 4, 0, 4, false);
    losses l = {.stop_at = 3};
    wr_trees *m = NULL;
    wr_err err = {0};
    assert_int_equal(wr_trees_train(&m, &t->set, NULL, NULL, NULL, record, &l, &err), WEIR_ECANCELED);
    assert_null(m);
    assert_int_equal(l.n, 3);
    assert_true(isnan(l.valid[0]) && l.train[2] < l.train[0]);
    assert_non_null(strstr(err.msg, "round 3"));
    table_free(t);
}

static void test_nothing_to_learn(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        table *t = table_new(k == 3 ? 1 : 200, 2);
        for (size_t i = 0; i < t->n; i++) {
            t->x[i] = k == 0 ? 3 : k == 1 ? NAN : (float)i;
            t->x[t->n + i] = 7;
            t->y[i] = k == 2 || i % 2;
        }
        wr_trees *m = train(&t->set, k == 1 ? &t->set : NULL, (wr_trees_opt){0}, NULL);
        assert_true(wr_trees_count(m) == 0 || k == 2);
        float rows[2 * 40] = {0};
        double p[40];
        wr_trees_predict(m, rows, 40, p, NULL);
        if (k < 2) assert_true(fabs(p[0] - 0.5) < 1e-12 && p[39] == p[0]);
        if (k == 2) assert_true(p[0] > 0.9999);
        wr_trees_free(m);
        table_free(t);
    }
}

static void test_sampling_learns(void **state)
{
    (void)state;
    table *t = mixed(4000, 8, 0, 31, false);
    wr_trees_opt o = {.rounds = 60, .row_share = 0.5, .feature_share = 0.4, .seed = 1};
    wr_trees *m = train(&t->set, NULL, o, NULL);
    double base = 0, n = (double)t->n;
    for (size_t i = 0; i < t->n; i++) base += (double)t->y[i] / n;
    double entropy = -base * log(base) - (1 - base) * log(1 - base);
    assert_true(log_loss(m, &t->set) < 0.9 * entropy);
    for (int k = 0; k < m->ntrees; k++) { /* 4 of 8 features at most in a tree */
        unsigned seen = 0;
        for (size_t i = m->first[k]; i < m->first[k + 1]; i++) {
            if (!(m->nodes[i].kind & WR_TN_LEAF)) seen |= 1u << m->nodes[i].feature;
        }
        assert_true(__builtin_popcount(seen) <= 4);
    }
    wr_trees_free(m);
    table_free(t);
}

static void test_shape_options(void **state)
{
    (void)state;
    table *t = mixed(3000, 5, 9, 77, false);
    for (int depth = 1; depth <= 4; depth++) {
        wr_trees *m = train(&t->set, NULL,
                            (wr_trees_opt){.rounds = 3, .max_depth = depth, .max_leaves = 64, .max_bins = 16}, NULL);
        for (int k = 0; k < m->ntrees; k++) assert_true(m->first[k + 1] - m->first[k] <= (2u << depth) - 1);
        for (size_t j = 0; j < m->nfeatures; j++) assert_true(m->features[j].ncuts <= 15);
        wr_trees_free(m);
    }
    wr_trees *few = train(&t->set, NULL, (wr_trees_opt){.rounds = 3, .max_leaves = 2, .min_gain = 1e9}, NULL);
    assert_int_equal(wr_trees_count(few), 0);
    wr_trees_free(few);
    table_free(t);
}

/* More features than the buffers on the stack hold: the plain path. */
static void test_many_features(void **state)
{
    (void)state;
    enum { N = 300, NF = 700 };
    float *x = need(N * NF * sizeof *x), y[N];
    wr_trees_feature *features = need(NF * sizeof *features);
    wr_rng r;
    wr_rng_init(&r, 5);
    for (size_t k = 0; k < N * NF; k++) x[k] = (float)wr_rng_f64(&r);
    for (size_t i = 0; i < N; i++) y[i] = (float)wr_rng_normal(&r);
    for (size_t j = 0; j < NF; j++) features[j] = (wr_trees_feature){.x = x + j * N};
    wr_trees_set s = {.n = N, .nfeatures = NF, .features = features, .label = y};
    wr_trees_margins = catch_margins;
    wr_trees_opt o = {.rounds = 150, .min_child_rows = 2, .feature_share = 0.02, .objective = WR_TREES_SQUARED};
    wr_trees *m = train(&s, NULL, o, NULL);
    wr_trees_margins = NULL;
    assert_true(m->nused > 512 && !m->fast);
    float *rows = row_major(&s);
    double p[N];
    wr_trees_predict(m, rows, N, p, NULL);
    assert_memory_equal(p, margins, sizeof p);
    assert_string_equal(wr_trees_feature_name(m, 699), "");
    assert_null(wr_trees_feature_name(m, 700));
    free(margins);
    free(rows);
    free(x);
    free(features);
    wr_trees_free(m);
}

/* ---- refusals ---- */

static void refused(const wr_trees_set *s, const wr_trees_set *valid, wr_trees_opt o, const char *word)
{
    wr_trees *t = NULL;
    wr_err err = {0};
    assert_int_equal(wr_trees_train(&t, s, valid, &o, NULL, NULL, NULL, &err), WEIR_EINVAL);
    assert_null(t);
    if (!strstr(err.msg, word)) fail_msg("'%s' not in '%s'", word, err.msg);
}

static void test_bad_options(void **state)
{
    (void)state;
    table *t = mixed(50, 2, 0, 1, false);
    const struct {
        wr_trees_opt o;
        const char *name;
    } bad[] = {
        {{.rounds = -1}, "rounds"},
        {{.rounds = 1 << 30}, "rounds"},
        {{.max_leaves = 1}, "max_leaves"},
        {{.max_leaves = 40000}, "max_leaves"},
        {{.max_depth = 31}, "max_depth"},
        {{.max_depth = -1}, "max_depth"},
        {{.max_bins = 255}, "max_bins"},
        {{.max_bins = 1}, "max_bins"},
        {{.learning_rate = -0.1}, "learning_rate"},
        {{.learning_rate = NAN}, "learning_rate"},
        {{.learning_rate = 1.5}, "learning_rate"},
        {{.l2 = -1}, "l2"},
        {{.l2 = INFINITY}, "l2"},
        {{.min_child_weight = NAN}, "min_child_weight"},
        {{.min_child_rows = -3}, "min_child_rows"},
        {{.min_gain = -1}, "min_gain"},
        {{.cat_smooth = -1}, "cat_smooth"},
        {{.row_share = 1.1}, "row_share"},
        {{.feature_share = -0.5}, "feature_share"},
        {{.early_stop = -1}, "early_stop"},
        {{.objective = (wr_trees_objective)7}, "objective"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refused(&t->set, NULL, bad[i].o, bad[i].name);
    table_free(t);
}

static void test_bad_sets(void **state)
{
    (void)state;
    table *t = mixed(50, 2, 0, 1, false);
    wr_trees_opt o = {0};
    wr_trees_set s = t->set;
    s.n = 0;
    refused(&s, NULL, o, "rows");
    s = t->set;
    s.nfeatures = 0;
    refused(&s, NULL, o, "features");
    s.nfeatures = 1;
    refused(&t->set, &s, o, "validation");
    s = t->set;
    s.label = NULL;
    refused(&s, NULL, o, "label");
    t->y[7] = NAN;
    refused(&t->set, NULL, o, "row 7");
    t->y[7] = 2;
    refused(&t->set, NULL, o, "row 7");
    o.objective = WR_TREES_SQUARED;
    t->y[7] = INFINITY;
    refused(&t->set, NULL, o, "row 7");
    t->y[7] = 1;
    t->set.weight = t->w = need(t->n * sizeof *t->w);
    for (size_t i = 0; i < t->n; i++) t->w[i] = 0;
    refused(&t->set, NULL, o, "weights");
    t->w[3] = -1;
    refused(&t->set, NULL, o, "row 3");
    t->w[3] = 1;
    t->features[1].x = NULL;
    refused(&t->set, NULL, o, "'b'");
    t->features[1].x = t->x;
    categorical(t, 1, UINT32_MAX);
    refused(&t->set, NULL, o, "categories");
    table_free(t);
}

/* ---- files ---- */

static wr_trees *small_model(table **out)
{
    table *t = *out = mixed(400, 4, 30, 6, false);
    return train(&t->set, NULL, (wr_trees_opt){.rounds = 4, .max_leaves = 6}, NULL);
}

static void test_save_and_load(void **state)
{
    (void)state;
    table *t;
    wr_trees *m = small_model(&t), *back = NULL;
    wr_buf b = saved(m);
    wr_err err = {0};
    if (wr_trees_load(&back, wr_buf_view(&b), &err) < 0) fail_msg("%s", err.msg);
    float *rows = row_major(&t->set);
    double p[400], q[400], gain[4], gain_back[4];
    wr_trees_predict(m, rows, 400, p, NULL);
    wr_trees_predict(back, rows, 400, q, NULL);
    assert_memory_equal(p, q, sizeof p);
    assert_int_equal(wr_trees_nfeatures(back), 4);
    assert_string_equal(wr_trees_feature_name(back, 2), "c");
    assert_int_equal(wr_trees_count(back), 4);
    wr_trees_gain(m, gain);
    wr_trees_gain(back, gain_back);
    assert_memory_equal(gain, gain_back, sizeof gain);
    wr_buf again = saved(back);
    assert_true(wr_str_eq(wr_buf_view(&b), wr_buf_view(&again)));
    wr_buf tiny;
    wr_buf_init(&tiny, 100);
    assert_true(wr_trees_save(m, &tiny, NULL) < 0);
    wr_buf_fini(&tiny);
    wr_buf_fini(&again);
    wr_buf_fini(&b);
    free(rows);
    wr_trees_free(back);
    wr_trees_free(m);
    table_free(t);
}

static void use_model(const wr_trees *m)
{
    size_t nf = wr_trees_nfeatures(m);
    static const float values[] = {0, -1, 3, 29, 1e9f, NAN, INFINITY, -INFINITY, 254, 255, 256, 0.5f};
    float *rows = need(70 * nf * sizeof *rows);
    for (size_t k = 0; k < 70 * nf; k++) rows[k] = values[(k * 7 + k / 5) % 12];
    double p[70], one, *gain = need(nf * sizeof *gain);
    wr_trees_predict(m, rows, 70, p, NULL);
    for (size_t i = 0; i < 70; i++) {
        wr_trees_predict(m, rows + i * nf, 1, &one, NULL);
        assert_memory_equal(&one, &p[i], sizeof one);
    }
    wr_trees_gain(m, gain);
    free(gain);
    free(rows);
}

static void test_damaged_files(void **state)
{
    (void)state;
    table *t;
    wr_trees *m = small_model(&t);
    wr_buf b = saved(m);
    size_t accepted = 0;
    for (size_t n = 0; n < b.n; n++) {
        wr_trees *back = NULL;
        assert_int_equal(wr_trees_load(&back, (wr_str){b.p, n}, NULL), WEIR_ECORRUPT);
    }
    char *copy = need(b.n);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        wr_trees *back = NULL;
        memcpy(copy, b.p, b.n);
        copy[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(wr_trees_load(&back, (wr_str){copy, b.n}, NULL), WEIR_ECORRUPT);
        uint64_t sum = wr_hash64(copy, b.n - 8, 0); /* as if the writer had meant it */
        for (int k = 0; k < 8; k++) copy[b.n - 8 + (size_t)k] = (char)(sum >> (8 * k));
        if (wr_trees_load(&back, (wr_str){copy, b.n}, NULL) < 0) continue;
        accepted++;
        if (bit % 3 == 0) use_model(back);
        wr_trees_free(back);
    }
    assert_true(accepted > 100); /* thresholds, leaf values, sets may be anything finite */
    free(copy);
    wr_buf_fini(&b);
    wr_trees_free(m);
    table_free(t);
}

/* A leaf in front and an inner node behind it, which would be its own child. */
static void test_circular_tree(void **state)
{
    (void)state;
    table *t = table_new(100, 1);
    for (size_t i = 0; i < t->n; i++) t->x[i] = t->y[i] = i < 50;
    wr_trees *m = train(&t->set, NULL, (wr_trees_opt){.rounds = 1, .max_leaves = 2}, NULL), *back = NULL;
    wr_buf b = saved(m);
    char *node = b.p + 40 + (2 + 1 + 1) + 4, swap[15]; /* header, feature 'a', size of the tree */
    assert_int_equal(node[0] & WR_TN_LEAF, 0);
    assert_int_equal(node[15] & WR_TN_LEAF, WR_TN_LEAF);
    memcpy(swap, node, 15);
    memcpy(node, node + 15, 15);
    memcpy(node + 15, swap, 15);
    uint64_t sum = wr_hash64(b.p, b.n - 8, 0);
    for (int k = 0; k < 8; k++) b.p[b.n - 8 + (size_t)k] = (char)(sum >> (8 * k));
    wr_err err = {0};
    assert_int_equal(wr_trees_load(&back, wr_buf_view(&b), &err), WEIR_ECORRUPT);
    assert_non_null(strstr(err.msg, "shape"));
    wr_buf_fini(&b);
    wr_trees_free(m);
    table_free(t);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    table *t = mixed(300, 4, 20, 12, false);
    wr_trees_opt o = {.rounds = 3, .max_leaves = 5};
    bool fired = true;
    for (long nth = 1; fired; nth++) {
        wr_trees *m = NULL, *back = NULL;
        wr_buf b;
        wr_buf_init(&b, 0);
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_trees_train(&m, &t->set, &t->set, &o, NULL, NULL, NULL, NULL);
        if (rc == 0) rc = wr_trees_save(m, &b, NULL);
        if (rc == 0) rc = wr_trees_load(&back, wr_buf_view(&b), NULL);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        wr_buf_fini(&b);
        wr_trees_free(m);
        wr_trees_free(back);
    }
    table_free(t);
}

static void test_one_row_needs_no_memory(void **state)
{
    (void)state;
    table *t;
    wr_trees *m = small_model(&t);
    const float row[4] = {1, 2, 3, 4};
    double p;
    wr_fault_arm(WR_FAULT_ALLOC, 1, true);
    wr_trees_predict(m, row, 1, &p, NULL);
    bool fired = wr_fault_fired(WR_FAULT_ALLOC);
    wr_fault_arm(WR_FAULT_ALLOC, 0, false);
    assert_false(fired);
    assert_true(p > 0 && p < 1);
    wr_trees_free(m);
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_are_greedy),
        cmocka_unit_test(test_categories_best_subset),
        cmocka_unit_test(test_least_rows_with_weights),
        cmocka_unit_test(test_same_bytes_for_any_threads),
        cmocka_unit_test(test_predict_equals_training),
        cmocka_unit_test(test_result_does_not_depend_on_position),
        cmocka_unit_test(test_missing_alone_tells),
        cmocka_unit_test(test_unseen_goes_with_the_many),
        cmocka_unit_test(test_unknown_categories),
        cmocka_unit_test(test_as_good_as_the_references),
        cmocka_unit_test(test_early_stop_keeps_the_best),
        cmocka_unit_test(test_progress_cancels),
        cmocka_unit_test(test_nothing_to_learn),
        cmocka_unit_test(test_sampling_learns),
        cmocka_unit_test(test_shape_options),
        cmocka_unit_test(test_many_features),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_bad_sets),
        cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_circular_tree),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_one_row_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
