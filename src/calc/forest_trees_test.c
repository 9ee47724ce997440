/* SPDX-License-Identifier: Apache-2.0 */
/* forest_trees_test.c - our own trees, trained with missing values and categories, as forests: the same bits, and contributions that sum up. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/rng.h"
#include "calc/forest.h"

enum { N = 3000, F = 5 };

typedef struct {
    float x[F][N], y[N];
    wr_trees_feature features[F];
    wr_trees *t;
} trained;

static trained *train(wr_trees_objective objective, uint32_t ncats, uint64_t seed)
{
    trained *m = calloc(1, sizeof *m);
    wr_rng r;
    wr_err err;
    wr_rng_init(&r, seed);
    for (size_t i = 0; i < N; i++) {
        double z = 0;
        for (size_t j = 0; j < F; j++) {
            double v = wr_rng_normal(&r);
            m->x[j][i] = (float)v;
            if (j == 1 || j == 3) m->x[j][i] = (float)wr_rng_below(&r, ncats);
            z += j == 1 || j == 3 ? (double)((uint32_t)m->x[j][i] * 7 % 11) * 0.3 - 1.5 : v * 0.5;
            if (wr_rng_below(&r, 9) == 0) m->x[j][i] = NAN;
        }
        m->y[i] = objective == WR_TREES_LOGISTIC ? z + wr_rng_normal(&r) > 0 : (float)z;
    }
    for (size_t j = 0; j < F; j++) {
        m->features[j] = (wr_trees_feature){.name = "f", .x = m->x[j], .categorical = j == 1 || j == 3, .ncats = ncats};
    }
    wr_trees_set set = {.n = N, .nfeatures = F, .features = m->features, .label = m->y};
    wr_trees_opt opt = {.objective = objective, .rounds = 30, .max_leaves = 20, .seed = seed};
    assert_int_equal(wr_trees_train(&m->t, &set, NULL, &opt, NULL, NULL, NULL, &err), 0);
    return m;
}

static void train_free(trained *m)
{
    wr_trees_free(m->t);
    free(m);
}

static void check(wr_trees_objective objective, uint32_t ncats, uint64_t seed)
{
    enum { ROWS = 500 };
    static const float odd[] = {NAN, -1, -0.5f, 1e9f, 254, 255, 600, INFINITY, -INFINITY, 3e9f};
    trained *m = train(objective, ncats, seed);
    wr_forest *f = NULL;
    wr_err err;
    float rows[ROWS * F];
    double ours[ROWS], theirs[ROWS], margins[ROWS], *phi = malloc(ROWS * (F + 1) * sizeof *phi);
    for (size_t i = 0; i < ROWS * F; i++) rows[i] = i % 7 ? m->x[i % F][i / F] : odd[i % (sizeof odd / sizeof *odd)];
    assert_int_equal(wr_forest_of_trees(&f, m->t, &err), 0);
    assert_int_equal(wr_forest_ntrees(f), wr_trees_count(m->t));
    wr_trees_predict(m->t, rows, ROWS, theirs, NULL);
    assert_int_equal(wr_forest_predict(f, rows, ROWS, false, ours, NULL, &err), 0);
    assert_memory_equal(ours, theirs, sizeof ours);
    for (size_t i = 0; i < ROWS; i++) assert_int_equal(wr_forest_predict(f, rows + i * F, 1, false, &ours[i], NULL, &err), 0);
    assert_memory_equal(ours, theirs, sizeof ours);
    assert_int_equal(wr_forest_predict(f, rows, ROWS, true, margins, NULL, &err), 0);
    assert_int_equal(wr_forest_shap(f, rows, ROWS, phi, NULL, &err), 0);
    double moved = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t j = 0; j <= F; j++) sum += phi[i * (F + 1) + j];
        assert_true(fabs(sum - margins[i]) <= 1e-9);
        moved += fabs(phi[i * (F + 1) + 1]);
    }
    assert_true(moved > ROWS * 0.1);
    free(phi);
    wr_forest_free(f);
    train_free(m);
}

static void test_same(void **state)
{
    (void)state;
    check(WR_TREES_LOGISTIC, 12, 1);
    check(WR_TREES_SQUARED, 40, 2);
    check(WR_TREES_LOGISTIC, 700, 3); /* more than have bins: "other" is there */
}

static void test_no_memory(void **state)
{
    (void)state;
    trained *m = train(WR_TREES_LOGISTIC, 12, 1);
    long n = 1;
    for (;; n++) {
        wr_forest *f = NULL;
        wr_err err;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_forest_of_trees(&f, m->t, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        wr_forest_free(f);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
    }
    assert_true(n > 20);
    train_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same), cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
