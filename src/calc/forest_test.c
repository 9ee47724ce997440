/* SPDX-License-Identifier: Apache-2.0 */
/* forest_test.c - forests of all kinds by every kernel against the obvious walk, bit by bit; what is refused; failing memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "calc/forest_testing.h"

static void same_bits(const double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_memory_equal(&a[i], &b[i], sizeof *a);
}

static void check_kernels(toy *t, size_t n, uint64_t seed)
{
    size_t nm = t->o.noutputs;
    float *rows = toy_rows(t, n, seed);
    double *want = malloc(n * nm * sizeof *want), *got = malloc(n * nm * sizeof *got);
    uint32_t *leaves = malloc(n * (t->o.ntrees + 1) * sizeof *leaves);
    wr_err err;
    for (size_t i = 0; i < n; i++) toy_margins(t, rows + i * t->o.nfeatures, want + i * nm);
    for (int vectors = 0; vectors < 3; vectors++) { /* the longest, of 32 bytes, none */
        wr_forest_narrow = vectors > 0;
        wr_trees_plain = vectors == 2;
        for (int k = WR_FOREST_KERNEL_AUTO; k <= WR_FOREST_KERNEL_LANES; k++) {
            wr_forest_force = (wr_forest_kernel)k;
            memset(got, 0xff, n * nm * sizeof *got);
            assert_int_equal(wr_forest_predict(t->f, rows, n, true, got, NULL, &err), 0);
            same_bits(got, want, n * nm);
        }
        wr_forest_force = WR_FOREST_KERNEL_AUTO;
        for (size_t i = 0; i < n && i < 20; i++) {
            assert_int_equal(wr_forest_predict(t->f, rows + i * t->o.nfeatures, 1, true, got, NULL, &err), 0);
            same_bits(got, want + i * nm, nm);
        }
    }
    wr_forest_narrow = wr_trees_plain = false;
    assert_int_equal(wr_forest_leaves(t->f, rows, n, leaves, &err), 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < t->o.ntrees; k++) {
            assert_int_equal(leaves[i * t->o.ntrees + k], toy_leaf(t, &t->trees[k], rows + i * t->o.nfeatures));
        }
    }
    free(rows);
    free(want);
    free(got);
    free(leaves);
}

static void check(toy_opt o, size_t n)
{
    for (int s = 0; s < 8; s++) {
        toy t;
        wr_err err;
        o.opt.op = s & 1 ? WR_FOREST_LESS : WR_FOREST_LESS_EQUAL;
        o.opt.sum = s & 2 ? WR_FOREST_SUM_FLOAT : WR_FOREST_SUM_DOUBLE;
        o.opt.average = s >> 2;
        o.opt.base_last = s == 3 || s == 5;
        o.opt.loose_categories = s % 3 == 0;
        o.opt.negative_missing = s % 4 == 1;
        toy_new(&t, o, 100 + (uint64_t)s);
        int rc = toy_build(&t, &err);
        if (rc < 0) print_error("%s\n", err.msg);
        assert_int_equal(rc, 0);
        check_kernels(&t, n, 7 + (uint64_t)s);
        toy_free(&t);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    check((toy_opt){.nfeatures = 5, .noutputs = 1, .ntrees = 37, .leaves = 30, .cuts = 40}, 150);
    check((toy_opt){.nfeatures = 3, .noutputs = 1, .ntrees = 3, .leaves = 256, .cuts = 100}, 64);
    check((toy_opt){.nfeatures = 1, .noutputs = 1, .ntrees = 9, .leaves = 1, .cuts = 2}, 17);
    check((toy_opt){.nfeatures = 1, .noutputs = 1, .ntrees = 0, .leaves = 1, .cuts = 2}, 70);
}

static void test_wide(void **state)
{
    (void)state;
    check((toy_opt){.nfeatures = 2, .noutputs = 1, .ntrees = 40, .leaves = 60, .cuts = 5000, .zero_missing = true}, 130);
    check((toy_opt){.nfeatures = 4, .noutputs = 3, .ntrees = 40, .leaves = 60, .cuts = 5000, .ncats = 700}, 130);
}

static void test_categories(void **state)
{
    (void)state;
    check((toy_opt){.nfeatures = 5, .noutputs = 1, .ntrees = 25, .leaves = 20, .cuts = 30, .ncats = 20, .zero_missing = true}, 130);
    check((toy_opt){.nfeatures = 5, .noutputs = 2, .ntrees = 25, .leaves = 20, .cuts = 30, .ncats = 254}, 70);
    check((toy_opt){.nfeatures = 2, .noutputs = 2, .ntrees = 25, .leaves = 20, .cuts = 30, .ncats = 3000}, 70);
}

static void test_outputs(void **state)
{
    (void)state;
    check((toy_opt){.nfeatures = 5, .noutputs = 4, .ntrees = 33, .leaves = 20, .cuts = 30}, 100);
    check((toy_opt){.nfeatures = 5, .noutputs = 4, .ntrees = 33, .leaves = 20, .cuts = 30, .values = true, .zero_missing = true}, 100);
    check((toy_opt){.nfeatures = 5, .noutputs = 4, .ntrees = 10, .leaves = 2000, .cuts = 300, .values = true}, 100);
}

static void test_deep(void **state)
{
    (void)state;
    check((toy_opt){.nfeatures = 5, .noutputs = 1, .ntrees = 20, .leaves = 3000, .cuts = 300, .ncats = 30, .zero_missing = true}, 140);
    check((toy_opt){.nfeatures = 5, .noutputs = 2, .ntrees = 11, .leaves = 400, .cuts = 300, .chain = true}, 64);
    check((toy_opt){.nfeatures = 3, .noutputs = 1, .ntrees = 2, .leaves = 90000, .cuts = 60000, .ncats = 9}, 64); /* long steps */
}

static void check_lanes(toy_opt o)
{
    static const size_t rows[] = {1, 2, 3, 5, 8, 9, 33, 64, 65, 130};
    for (int s = 0; s < 10; s++) {
        toy t;
        wr_err err;
        o.opt.op = s & 1 ? WR_FOREST_LESS : WR_FOREST_LESS_EQUAL;
        o.opt.sum = s & 2 ? WR_FOREST_SUM_FLOAT : WR_FOREST_SUM_DOUBLE;
        o.opt.average = s == 5;
        o.opt.loose_categories = s == 6;
        o.opt.negative_missing = s == 7;
        toy_new(&t, o, 300 + (uint64_t)s);
        assert_int_equal(toy_build(&t, &err), 0);
        assert_non_null(t.f->lanes);
        check_kernels(&t, rows[s], 70 + (uint64_t)s);
        toy_free(&t);
    }
}

/* Trees side by side: every depth, blocks that are not full, cells in one register and in several. */
static void test_lanes(void **state)
{
    (void)state;
    for (uint32_t depth = 1; depth <= WR_FLANES_DEPTH; depth++) {
        size_t leaves = (size_t)1 << depth;
        check_lanes((toy_opt){.nfeatures = 3, .noutputs = 1, .ntrees = 10 + 20 * depth, .leaves = leaves, .cuts = 40, .depth = depth, .perfect = true});
        check_lanes((toy_opt){.nfeatures = 30, .noutputs = 1, .ntrees = 70, .leaves = leaves, .cuts = 200, .depth = depth, .doubles = depth % 2});
    }
    check_lanes((toy_opt){.nfeatures = 100, .noutputs = 1, .ntrees = 130, .leaves = 64, .cuts = 250, .depth = 6, .perfect = true});
    check_lanes((toy_opt){.nfeatures = 40, .noutputs = 3, .ntrees = 100, .leaves = 30, .cuts = 30, .depth = 7, .zero_missing = true});
    check_lanes((toy_opt){.nfeatures = 4, .noutputs = 2, .ntrees = 400, .leaves = 64, .cuts = 900, .depth = 6, .missing_right = true});
    check_lanes((toy_opt){.nfeatures = 2, .noutputs = 1, .ntrees = 200, .leaves = 250, .cuts = 9000, .depth = 8, .zero_missing = true});
    check_lanes((toy_opt){.nfeatures = 1, .noutputs = 9, .ntrees = 20, .leaves = 2, .cuts = 3, .depth = 1});
}

/* Small trees of any shape, node by node; and blocks of both forms in one forest. */
static void test_lanes_by_node(void **state)
{
    (void)state;
    static const size_t leaves[] = {2, 17, 31, 64, 128};
    for (size_t k = 0; k < sizeof leaves / sizeof *leaves; k++) {
        check_lanes((toy_opt){.nfeatures = 9, .noutputs = 1, .ntrees = 70, .leaves = leaves[k], .cuts = 40, .chain = true, .doubles = k % 2});
        check_lanes((toy_opt){.nfeatures = 80, .noutputs = 1, .ntrees = 90, .leaves = leaves[k], .cuts = 40});
    }
    check_lanes((toy_opt){.nfeatures = 3, .noutputs = 5, .ntrees = 300, .leaves = 31, .cuts = 5000, .zero_missing = true});
    check_lanes((toy_opt){.nfeatures = 1, .noutputs = 1, .ntrees = 3, .leaves = 31, .cuts = 50, .chain = true, .missing_right = true});
    for (uint32_t cats = 5; cats < 150; cats += 70) {
        check_lanes((toy_opt){.nfeatures = 9, .noutputs = 2, .ntrees = 140, .leaves = 40, .cuts = 40, .ncats = cats, .zero_missing = true});
    }
    check_lanes((toy_opt){.nfeatures = 4, .noutputs = 1, .ntrees = 90, .leaves = 128, .cuts = 40, .ncats = 9, .chain = true});
    check_lanes((toy_opt){.nfeatures = 4, .noutputs = 1, .ntrees = 64, .leaves = 120, .cuts = 40, .ncats = 400}); /* bins of 16 bits */
    toy t;
    toy_new(&t, (toy_opt){.nfeatures = 9, .noutputs = 1, .ntrees = 150, .leaves = 128, .cuts = 40, .chain = true}, 8);
    for (size_t k = 0; k < 80; k++) t.trees[k].n = 1, t.trees[k].nodes[0] = (wr_forest_node){.bits = WR_FOREST_LEAF, .value = (double)k};
    assert_int_equal(toy_build(&t, NULL), 0);
    assert_true(t.f->lanes && t.f->lanes->nblocks == 3 && t.f->lanes->blocks[1].nodes == 127);
    for (size_t n = 1; n <= 130; n += n < 20 ? 1 : 5) check_kernels(&t, n, n);
    toy_free(&t);
}

/* More columns than the stack has room for. */
static void test_many_features(void **state)
{
    (void)state;
    check((toy_opt){.nfeatures = 3000, .noutputs = 1, .ntrees = 100, .leaves = 200, .cuts = 3, .ncats = 5}, 80);
}

/* The ladder of cuts at every length where a row more begins. */
static void test_bins(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 2, 15, 16, 17, 254, 255, 256, 257, 4079, 4080, 4095, 4096, 4097, 65534};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        uint32_t n = lengths[k];
        float *cuts = malloc(wr_cuts_room(n) * sizeof *cuts), x[301];
        uint16_t wide[2][100];
        uint8_t narrow[2][100];
        for (uint32_t i = 0; i < n; i++) cuts[i] = (float)i * 2;
        wr_cuts_finish(cuts, n);
        for (size_t i = 0; i < 301; i++) {
            x[i] = i % 9 == 8 ? NAN : i % 17 == 1 ? INFINITY : i % 19 == 1 ? -INFINITY : (float)(i * (2 * n + 3) / 300) - 1 + (float)(i % 2);
        }
        for (int plain = 0; plain < 2; plain++) {
            wr_trees_plain = plain;
            wr_bin_floats(cuts, n, x, 3, 100, wide[plain], true);
            if (n < 255) wr_bin_floats(cuts, n, x, 3, 100, narrow[plain], false);
        }
        wr_trees_plain = false;
        for (size_t i = 0; i < 100; i++) {
            uint32_t below = 0;
            for (uint32_t c = 0; c < n; c++) below += x[i * 3] > (float)c * 2;
            for (int plain = 0; plain < 2; plain++) {
                assert_int_equal(wide[plain][i], isnan(x[i * 3]) ? 65535 : below);
                if (n < 255) assert_int_equal(narrow[plain][i], isnan(x[i * 3]) ? 255 : below);
            }
        }
        free(cuts);
    }
}

static wr_forest *stump(const wr_forest_opt *opt, double threshold, uint8_t bits)
{
    wr_forest *f = NULL;
    wr_forest_node nodes[3] = {{.left = 1, .right = 2, .threshold = threshold, .bits = bits},
                               {.bits = WR_FOREST_LEAF, .value = 1},
                               {.bits = WR_FOREST_LEAF, .value = 2}};
    assert_int_equal(wr_forest_new(&f, opt, NULL), 0);
    assert_int_equal(wr_forest_add_tree(f, nodes, 3, 0, NULL, 0, NULL), 0);
    assert_int_equal(wr_forest_finish(f, NULL), 0);
    return f;
}

/* Double thresholds between floats, at the ends of floats and beyond them. */
static void test_thresholds(void **state)
{
    (void)state;
    static const double t[] = {0.1, -0.1, 0, -0.0, 1e-46, -1e-46, 1e39, -1e39, INFINITY, -INFINITY, 3.4028234663852886e38, 0.10000000149011612};
    static const float x[] = {0.1f, 0.099999994f, -0.1f, 0, -0.0f, 1e-45f, -1e-45f, 3.4028235e38f, -3.4028235e38f, INFINITY, -INFINITY, NAN};
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        for (int less = 0; less < 2; less++) {
            wr_forest *f = stump(&(wr_forest_opt){.nfeatures = 1, .noutputs = 1, .op = less ? WR_FOREST_LESS : WR_FOREST_LESS_EQUAL}, t[k], 0);
            for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
                for (int kernel = WR_FOREST_KERNEL_PLAIN; kernel <= WR_FOREST_KERNEL_TILE; kernel++) {
                    double out;
                    wr_forest_force = (wr_forest_kernel)kernel;
                    assert_int_equal(wr_forest_predict(f, &x[i], 1, true, &out, NULL, NULL), 0);
                    bool left = less ? (double)x[i] < t[k] : (double)x[i] <= t[k];
                    assert_true(out == (left ? 1 : 2));
                }
            }
            wr_forest_force = WR_FOREST_KERNEL_AUTO;
            wr_forest_free(f);
        }
    }
}

static double answer(wr_forest_transform transform, double scale, double margin)
{
    wr_forest_opt opt = {.nfeatures = 1, .noutputs = 1, .sum = WR_FOREST_SUM_DOUBLE, .transform = transform, .scale = scale};
    opt.base = (const double[]){margin - 1};
    wr_forest *f = stump(&opt, 5, 0);
    double out;
    assert_int_equal(wr_forest_predict(f, (const float[]){0}, 1, false, &out, NULL, NULL), 0);
    wr_forest_free(f);
    return out;
}

static void near(double a, double b) { assert_true(fabs(a - b) <= 1e-14 * (1 + fabs(b))); }

static void test_transforms(void **state)
{
    (void)state;
    near(answer(WR_FOREST_IDENTITY, 0, 1.5), 1.5);
    near(answer(WR_FOREST_LOGISTIC, 0, 1.5), 0.8175744761936437);
    near(answer(WR_FOREST_LOGISTIC, 2, 1.5), 0.9525741268224334);
    near(answer(WR_FOREST_LOGISTIC, 0, -800), 0);
    near(answer(WR_FOREST_EACH_LOGISTIC, 0, 1.5), 0.8175744761936437);
    near(answer(WR_FOREST_EXP, 0, 1.5), 4.481689070338065);
    near(answer(WR_FOREST_SIGN, 0, 1.5), 1);
    near(answer(WR_FOREST_SIGN, 0, 0), 0);
    near(answer(WR_FOREST_LOG1P_EXP, 0, 1.5), 1.7014132779827524);
    near(answer(WR_FOREST_LOG1P_EXP, 0, 900), 900);
    near(answer(WR_FOREST_SIGNED_SQUARE, 0, -1.5), -2.25);
    near(answer(WR_FOREST_SOFTMAX, 0, 1.5), 1);
}

static void test_softmax_argmax(void **state)
{
    (void)state;
    toy t;
    for (int k = 0; k < 2; k++) {
        wr_forest_opt opt = {.transform = k ? WR_FOREST_ARGMAX : WR_FOREST_SOFTMAX};
        toy_new(&t, (toy_opt){.nfeatures = 4, .noutputs = 5, .ntrees = 50, .leaves = 20, .cuts = 30, .opt = opt}, 5);
        assert_int_equal(toy_build(&t, NULL), 0);
        enum { N = 5000 };
        float *rows = toy_rows(&t, N, 3);
        double *m = malloc(N * 5 * sizeof *m), *out = malloc(N * 5 * sizeof *out);
        assert_int_equal(wr_forest_predict(t.f, rows, N, true, m, NULL, NULL), 0);
        assert_int_equal(wr_forest_predict(t.f, rows, N, false, out, NULL, NULL), 0);
        assert_int_equal(wr_forest_noutputs(t.f), k ? 1 : 5);
        for (size_t i = 0; i < N; i++) {
            double sum = 0, best = 0;
            for (int c = 0; c < 5; c++) sum += exp(m[i * 5 + c]);
            for (int c = 0; c < 5; c++) {
                if (!k) near(out[i * 5 + c], exp(m[i * 5 + c]) / sum);
                if (m[i * 5 + c] > m[i * 5 + (size_t)best]) best = c;
            }
            if (k) assert_true(out[i] == best);
        }
        free(rows);
        free(m);
        free(out);
        toy_free(&t);
    }
}

/* The same bits with a pool, and from blocks. */
static void test_pool(void **state)
{
    (void)state;
    enum { N = 9000 };
    toy t;
    toy_new(&t, (toy_opt){.nfeatures = 6, .noutputs = 2, .ntrees = 20, .leaves = 40, .cuts = 100, .ncats = 10}, 9);
    assert_int_equal(toy_build(&t, NULL), 0);
    float *rows = toy_rows(&t, N, 3);
    double *a = malloc(N * 2 * sizeof *a), *b = malloc(N * 2 * sizeof *b);
    wr_pool *pool = wr_pool_new(3);
    assert_int_equal(wr_forest_predict(t.f, rows, N, false, a, NULL, NULL), 0);
    assert_int_equal(wr_forest_predict(t.f, rows, N, false, b, pool, NULL), 0);
    same_bits(a, b, N * 2);
    wr_pool_free(pool);
    free(rows);
    free(a);
    free(b);
    toy_free(&t);
}

static int add(wr_forest_node *nodes, size_t n, uint32_t output)
{
    wr_forest *f = NULL;
    wr_err err = {0};
    assert_int_equal(wr_forest_new(&f, &(wr_forest_opt){.nfeatures = 2, .noutputs = 2}, NULL), 0);
    int rc = wr_forest_add_tree(f, nodes, n, output, NULL, 0, &err);
    if (rc < 0) assert_true(err.msg[0] != 0);
    wr_forest_free(f);
    return rc;
}

static void test_refused(void **state)
{
    (void)state;
    wr_forest *f = NULL;
    assert_int_equal(wr_forest_new(&f, &(wr_forest_opt){.nfeatures = 0, .noutputs = 1}, NULL), WEIR_ELIMIT);
    assert_int_equal(wr_forest_new(&f, &(wr_forest_opt){.nfeatures = 1, .noutputs = 1 << 20}, NULL), WEIR_ELIMIT);
#define INNER(l, r) {.left = l, .right = r}
#define LEAF_ {.bits = WR_FOREST_LEAF}
    assert_int_equal(add((wr_forest_node[]){LEAF_}, 1, 0), 0);
    assert_int_equal(add((wr_forest_node[]){LEAF_}, 0, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){LEAF_}, 1, 2), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){INNER(0, 1), LEAF_}, 2, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){INNER(1, 1), LEAF_}, 2, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){INNER(1, 2), LEAF_}, 2, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){INNER(1, 2), LEAF_, INNER(1, 3), LEAF_}, 4, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){INNER(1, 2), LEAF_, INNER(3, 4), INNER(2, 5), LEAF_, LEAF_}, 6, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){INNER(2, 3), INNER(1, 1), LEAF_, LEAF_}, 4, 0), 0); /* 1 is not reached */
    assert_int_equal(add((wr_forest_node[]){{.left = 1, .right = 2, .feature = 2}, LEAF_, LEAF_}, 3, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){{.left = 1, .right = 2, .threshold = NAN}, LEAF_, LEAF_}, 3, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){{.left = 1, .right = 2, .bits = WR_FOREST_CATEGORY, .set = 1}, LEAF_, LEAF_}, 3, 0), WEIR_ECORRUPT);
    assert_int_equal(add((wr_forest_node[]){{.bits = WR_FOREST_LEAF, .value = NAN}}, 1, 0), WEIR_ECORRUPT);
    assert_int_equal(wr_forest_new(&f, &(wr_forest_opt){.nfeatures = 1, .noutputs = 2}, NULL), 0);
    assert_int_equal(wr_forest_add_tree(f, (wr_forest_node[]){LEAF_}, 1, 0, NULL, 0, NULL), 0);
    assert_int_equal(wr_forest_add_tree(f, (wr_forest_node[]){LEAF_}, 1, 0, (const double[]){1, 2}, 2, NULL), WEIR_EUNSUPPORTED);
    assert_int_equal(wr_forest_add_tree(f, (wr_forest_node[]){LEAF_}, 1, 0, (const double[]){1, 2}, 1, NULL), WEIR_ECORRUPT);
    wr_forest_free(f);
}

static void test_no_memory(void **state)
{
    (void)state;
    toy t;
    wr_err err;
    toy_new(&t, (toy_opt){.nfeatures = 5, .noutputs = 1, .ntrees = 3, .leaves = 400, .cuts = 30, .ncats = 20, .chain = true}, 1);
    long n = 1;
    for (;; n++) {
        t.f = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = toy_build(&t, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
        wr_forest_free(t.f);
    }
    assert_true(n > 20);
    check_kernels(&t, 70, 1);
    toy_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_wide),       cmocka_unit_test(test_categories),
        cmocka_unit_test(test_outputs),    cmocka_unit_test(test_deep),
        cmocka_unit_test(test_lanes),      cmocka_unit_test(test_lanes_by_node),       cmocka_unit_test(test_many_features),
        cmocka_unit_test(test_bins),       cmocka_unit_test(test_thresholds), cmocka_unit_test(test_transforms), cmocka_unit_test(test_softmax_argmax),
        cmocka_unit_test(test_pool),       cmocka_unit_test(test_refused),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
