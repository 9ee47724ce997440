/* SPDX-License-Identifier: Apache-2.0 */
/* forest_shap_test.c - Shapley values against their definition: sums over all coalitions of features. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "calc/forest_testing.h"

/* What a coalition is worth: at a feature in it the row decides, at another both sides count by their cover. */
static double worth(const toy *t, const toy_tree *tree, size_t at, const float *row, uint32_t coalition, uint32_t output)
{
    const wr_forest_node *d = &tree->nodes[at];
    if (d->bits & WR_FOREST_LEAF) return tree->values ? tree->values[at * t->o.noutputs + output] : d->value;
    double l = worth(t, tree, d->left, row, coalition, output), r = worth(t, tree, d->right, row, coalition, output);
    if (!(coalition >> d->feature & 1)) {
        double cl = (double)tree->nodes[d->left].cover, cr = (double)tree->nodes[d->right].cover, c = (double)d->cover;
        return c > 0 ? (cl * l + cr * r) / c : 0;
    }
    wr_forest_node one[3] = {*d, {.bits = WR_FOREST_LEAF}, {.bits = WR_FOREST_LEAF}};
    one[0].left = 1;
    one[0].right = 2;
    toy_tree stump = {.nodes = one, .n = 3};
    return toy_leaf(t, &stump, row) == 1 ? l : r;
}

static double factorial(uint32_t n) { return n < 2 ? 1 : n * factorial(n - 1); }

static void brute(const toy *t, const float *row, uint32_t output, double *phi)
{
    uint32_t nf = t->o.nfeatures;
    double trees = 0, *v = calloc((size_t)1 << nf, sizeof *v);
    for (size_t k = 0; k < t->o.ntrees; k++) {
        const toy_tree *tree = &t->trees[k];
        if (!tree->values && tree->output != output) continue;
        trees++;
        for (uint32_t s = 0; s < 1u << nf; s++) v[s] += worth(t, tree, 0, row, s, output);
    }
    if (!t->o.opt.average || trees == 0) trees = 1;
    for (uint32_t i = 0; i <= nf; i++) phi[i] = 0;
    phi[nf] = v[0] / trees + t->base[output];
    for (uint32_t s = 0; s < 1u << nf; s++) {
        uint32_t size = (uint32_t)__builtin_popcount(s);
        for (uint32_t i = 0; i < nf; i++) {
            if (s >> i & 1) continue;
            phi[i] += factorial(size) * factorial(nf - size - 1) / factorial(nf) * (v[s | 1u << i] - v[s]) / trees;
        }
    }
    free(v);
}

static void check(toy_opt o, size_t n, uint64_t seed)
{
    toy t;
    wr_err err;
    o.cover = true;
    toy_new(&t, o, seed);
    assert_int_equal(toy_build(&t, &err), 0);
    assert_true(wr_forest_has_cover(t.f));
    size_t nf = o.nfeatures, nm = o.noutputs, width = nf + 1;
    float *rows = toy_rows(&t, n, seed);
    double *got = malloc(n * nm * width * sizeof *got), *again = malloc(n * nm * width * sizeof *got), *want = malloc(width * sizeof *want);
    double *margin = malloc(n * nm * sizeof *margin);
    assert_int_equal(wr_forest_shap(t.f, rows, n, got, NULL, &err), 0);
    wr_trees_plain = true; /* without AVX2, in a pool: the same bits */
    wr_pool *pool = wr_pool_new(2);
    assert_int_equal(wr_forest_shap(t.f, rows, n, again, pool, &err), 0);
    wr_pool_free(pool);
    wr_trees_plain = false;
    assert_memory_equal(got, again, n * nm * width * sizeof *got);
    assert_int_equal(wr_forest_predict(t.f, rows, n, true, margin, NULL, &err), 0);
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < nm; k++) {
            const double *mine = got + (i * nm + k) * width;
            double sum = 0, scale = 1;
            for (size_t j = 0; j < width; j++) sum += mine[j], scale += fabs(mine[j]);
            assert_true(fabs(sum - margin[i * nm + k]) <= 1e-9 * scale + (o.opt.sum == WR_FOREST_SUM_FLOAT ? 1e-5 * scale : 0));
            if (nf > 12) continue;
            brute(&t, rows + i * nf, k, want);
            for (size_t j = 0; j < width; j++) assert_true(fabs(mine[j] - want[j]) <= 1e-9);
        }
    }
    free(rows);
    free(got);
    free(again);
    free(want);
    free(margin);
    toy_free(&t);
}

static void test_definition(void **state)
{
    (void)state;
    wr_forest_opt opt = {.sum = WR_FOREST_SUM_DOUBLE};
    for (uint64_t seed = 1; seed < 4; seed++) {
        check((toy_opt){.nfeatures = 4, .noutputs = 1, .ntrees = 6, .leaves = 12, .cuts = 9, .opt = opt}, 40, seed);
        check((toy_opt){.nfeatures = 9, .noutputs = 1, .ntrees = 4, .leaves = 40, .cuts = 9, .opt = opt}, 20, seed);
        check((toy_opt){.nfeatures = 10, .noutputs = 1, .ntrees = 3, .leaves = 25, .cuts = 9, .chain = true, .opt = opt}, 20, seed);
        check((toy_opt){.nfeatures = 5, .noutputs = 3, .ntrees = 11, .leaves = 12, .cuts = 9, .ncats = 20, .zero_missing = true, .opt = opt}, 20, seed);
        opt.average = true;
        check((toy_opt){.nfeatures = 5, .noutputs = 3, .ntrees = 4, .leaves = 12, .cuts = 9, .values = true, .opt = opt}, 20, seed);
    }
    check((toy_opt){.nfeatures = 3, .noutputs = 1, .ntrees = 2, .leaves = 1, .cuts = 9}, 5, 1);
    check((toy_opt){.nfeatures = 3, .noutputs = 2, .ntrees = 0, .leaves = 1, .cuts = 9}, 5, 1);
}

/* Sums alone, where coalitions are too many; the second keeps no tables. */
static void test_large(void **state)
{
    (void)state;
    wr_forest_opt opt = {.sum = WR_FOREST_SUM_DOUBLE};
    check((toy_opt){.nfeatures = 200, .noutputs = 1, .ntrees = 3, .leaves = 100, .cuts = 9, .chain = true, .opt = opt}, 20, 1);
    check((toy_opt){.nfeatures = 60, .noutputs = 1, .ntrees = 12, .leaves = 9000, .cuts = 900, .opt = opt}, 20, 2);
    check((toy_opt){.nfeatures = 30, .noutputs = 1, .ntrees = 50, .leaves = 64, .cuts = 900, .opt = {.sum = WR_FOREST_SUM_FLOAT}}, 60, 2);
}

static void test_refused(void **state)
{
    (void)state;
    toy t;
    wr_err err = {0};
    double out[301];
    float row[300] = {0};
    toy_new(&t, (toy_opt){.nfeatures = 4, .noutputs = 1, .ntrees = 2, .leaves = 9, .cuts = 9}, 3);
    assert_int_equal(toy_build(&t, &err), 0);
    assert_int_equal(wr_forest_shap(t.f, row, 1, out, NULL, &err), WEIR_EUNSUPPORTED);
    assert_string_equal(err.msg, "contributions: the model does not say how many rows passed its nodes");
    toy_free(&t);
    toy_new(&t, (toy_opt){.nfeatures = 300, .noutputs = 1, .ntrees = 1, .leaves = 400, .cuts = 9, .chain = true, .cover = true}, 3);
    assert_int_equal(toy_build(&t, &err), 0);
    assert_int_equal(wr_forest_shap(t.f, row, 1, out, NULL, &err), WEIR_EUNSUPPORTED);
    toy_free(&t);
    toy_new(&t, (toy_opt){.nfeatures = 3, .noutputs = 1, .ntrees = 1, .leaves = 600, .cuts = 9, .chain = true, .cover = true}, 3);
    assert_int_equal(toy_build(&t, &err), 0);
    assert_int_equal(wr_forest_shap(t.f, row, 1, out, NULL, &err), WEIR_EUNSUPPORTED);
    toy_free(&t);
}

static void test_no_memory(void **state)
{
    (void)state;
    toy t;
    float row[6] = {0};
    double out[7];
    toy_new(&t, (toy_opt){.nfeatures = 6, .noutputs = 1, .ntrees = 3, .leaves = 9, .cuts = 9, .cover = true}, 3);
    assert_int_equal(toy_build(&t, NULL), 0);
    long n = 1;
    for (;; n++) {
        wr_err err;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_forest_shap(t.f, row, 1, out, NULL, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
    }
    assert_true(n > 4); /* the tables stay once they are made */
    toy_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
