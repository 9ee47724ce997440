/* SPDX-License-Identifier: Apache-2.0 */
/* drift_test.c - against scipy's and numpy's values, and the edges: no values, one value, constants, new categories. */
#include "calc/drift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <cmocka.h>

#include "../../tests/reference/drift_values.h"
#include "../../tests/reference/stream.h"
#include "base/fault.h"
#include "base/mem.h"

enum {
    NUMERIC = sizeof drift_numeric / sizeof *drift_numeric,
    CATEGORIES = sizeof drift_categories / sizeof *drift_categories,
    ROWS = 40000
};

static double *x, *y, *u;
static uint32_t *a, *b;

static int setup(void **state)
{
    (void)state;
    x = wr_alloc(ROWS * 8), y = wr_alloc(ROWS * 8), u = wr_alloc(ROWS * 8), a = wr_alloc(ROWS * 4),
    b = wr_alloc(ROWS * 4);
    return x && y && u && a && b ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    wr_free(x), wr_free(y), wr_free(u), wr_free(a), wr_free(b);
    return 0;
}

/* The same data as drift.py. */
static void make_numeric(size_t k)
{
    size_t n = drift_numeric[k].n, m = drift_numeric[k].m;
    double scale = pow(10, drift_numeric[k].digits);
    stream_bells(x, 100 + k, n);
    stream_bells(y, 200 + k, m);
    stream_uniforms(u, 300 + k, m);
    for (size_t i = 0; i < m; i++) y[i] = y[i] * drift_numeric[k].scale + drift_numeric[k].shift;
    for (size_t i = 0; i < n; i++) {
        if (drift_numeric[k].scale == 0) x[i] *= 0;
        if (drift_numeric[k].digits >= 0) x[i] = floor(x[i] * scale + 0.5) / scale;
    }
    for (size_t i = 0; i < m; i++) {
        if (drift_numeric[k].digits >= 0) y[i] = floor(y[i] * scale + 0.5) / scale;
        if (u[i] < drift_numeric[k].missing) y[i] = i % 3 ? NAN : i % 2 ? INFINITY : -INFINITY;
    }
}

#define NEAR(got, want, what) \
    do { \
        if (!stream_near((got), (want), 1e-9)) fail_msg("%s: %s %.17g, not %.17g", name, what, (got), (want)); \
    } while (0)

static void numeric_of_scipy(void **state)
{
    (void)state;
    for (size_t k = 0; k < NUMERIC; k++) {
        const char *name = drift_numeric[k].name;
        size_t n = drift_numeric[k].n, m = drift_numeric[k].m;
        wr_drift_ref *r = NULL;
        wr_drift_result d;
        make_numeric(k);
        assert_int_equal(wr_drift_ref_numeric(&r, x, n, drift_numeric[k].bins == 10 ? 0 : drift_numeric[k].bins, NULL),
                         0);
        memset(x, 0, n * sizeof *x); /* the reference is a copy */
        assert_int_equal(wr_drift_numeric(&d, r, y, m, NULL), 0);
        NEAR(d.psi, drift_numeric[k].psi, "psi");
        NEAR(d.js, drift_numeric[k].js, "js");
        NEAR(d.ks, drift_numeric[k].ks, "ks");
        NEAR(d.ks_p, drift_numeric[k].ks_p, "ks_p");
        NEAR(d.wasserstein, drift_numeric[k].wasserstein, "wasserstein");
        NEAR(d.mean_ref, drift_numeric[k].mean_ref, "mean_ref");
        NEAR(d.mean_cur, drift_numeric[k].mean_cur, "mean_cur");
        assert_true(d.n_ref == n && d.n_cur == drift_numeric[k].n_cur && d.missing_ref == 0);
        NEAR(d.missing_cur, 1 - (double)d.n_cur / (double)m, "missing_cur");
        assert_true(isnan(d.chi2) && isnan(d.chi2_p) && isnan(d.linf));
        wr_drift_ref_free(r);
    }
}

static void categories_of_scipy(void **state)
{
    (void)state;
    for (size_t k = 0; k < CATEGORIES; k++) {
        const char *name = drift_categories[k].name;
        size_t n = drift_categories[k].n, m = drift_categories[k].m;
        double tilt = drift_categories[k].tilt;
        uint32_t ncats = drift_categories[k].ncats, all = ncats + drift_categories[k].novel;
        stream_uniforms(x, 400 + k, n);
        stream_uniforms(y, 500 + k, m);
        for (size_t i = 0; i < n; i++) a[i] = (uint32_t)(x[i] * x[i] * ncats);
        for (size_t i = 0; i < m; i++) b[i] = (uint32_t)(y[i] * (y[i] * (1 - tilt) + tilt) * all);
        for (size_t i = 0; i < 5; i++) a[n + i] = b[m + i] = UINT32_MAX;
        wr_drift_ref *r = NULL;
        wr_drift_result d;
        assert_int_equal(wr_drift_ref_categories(&r, a, n + 5, ncats, NULL), 0);
        assert_int_equal(wr_drift_categories(&d, r, b, m + 5, NULL), 0);
        NEAR(d.psi, drift_categories[k].psi, "psi");
        NEAR(d.js, drift_categories[k].js, "js");
        NEAR(d.chi2, drift_categories[k].chi2, "chi2");
        NEAR(d.chi2_p, drift_categories[k].chi2_p, "chi2_p");
        NEAR(d.linf, drift_categories[k].linf, "linf");
        assert_true(d.n_ref == n && d.n_cur == m && isnan(d.ks) && isnan(d.mean_cur));
        NEAR(d.missing_cur, 5 / (double)(m + 5), "missing_cur");
        NEAR(d.missing_ref, 5 / (double)(n + 5), "missing_ref");
        wr_drift_ref_free(r);
    }
}

static void windows_without_values(void **state)
{
    (void)state;
    const double ref[] = {1, 2, NAN, 3}, nothing[] = {NAN, INFINITY, NAN};
    const uint32_t code[] = {0, 1, 1}, no_code[] = {UINT32_MAX, UINT32_MAX};
    wr_drift_ref *r = NULL, *c = NULL;
    wr_drift_result d;
    wr_err err = {0};
    assert_int_equal(wr_drift_ref_numeric(&r, nothing, 3, 0, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "reference"));
    assert_int_equal(wr_drift_ref_numeric(&r, NULL, 0, 0, &err), WEIR_EINVAL);
    assert_int_equal(wr_drift_ref_numeric(&r, ref, 4, -1, &err), WEIR_EINVAL);
    assert_int_equal(wr_drift_ref_numeric(&r, ref, 4, 1001, &err), WEIR_EINVAL);
    assert_int_equal(wr_drift_ref_categories(&r, no_code, 2, 3, &err), WEIR_EINVAL);
    assert_int_equal(wr_drift_ref_categories(&r, code, 3, 1, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "row 1"));
    assert_null(r);
    assert_int_equal(wr_drift_ref_numeric(&r, ref, 4, 0, NULL), 0);
    assert_int_equal(wr_drift_ref_categories(&c, code, 3, 2, NULL), 0);
    assert_int_equal(wr_drift_numeric(&d, r, nothing, 3, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "current"));
    assert_true(isnan(d.psi) && isnan(d.ks) && isnan(d.mean_cur) && d.missing_cur == 1 && d.n_cur == 0);
    assert_true(d.n_ref == 3 && d.missing_ref == 0.25 && d.mean_ref == 2);
    assert_int_equal(wr_drift_numeric(&d, r, NULL, 0, NULL), WEIR_EINVAL);
    assert_true(isnan(d.missing_cur));
    assert_int_equal(wr_drift_categories(&d, c, no_code, 2, NULL), WEIR_EINVAL);
    assert_true(isnan(d.psi) && d.missing_cur == 1);
    assert_int_equal(wr_drift_categories(&d, r, code, 3, NULL), WEIR_EINVAL);
    assert_int_equal(wr_drift_numeric(&d, c, ref, 4, NULL), WEIR_EINVAL);
    wr_drift_ref_free(r), wr_drift_ref_free(c), wr_drift_ref_free(NULL);
}

static void a_moved_constant_is_drift(void **state)
{
    (void)state;
    const double five[] = {5, 5, 5, 5}, six[] = {6, 6}, four[] = {4};
    wr_drift_ref *r = NULL;
    wr_drift_result d;
    assert_int_equal(wr_drift_ref_numeric(&r, five, 4, 0, NULL), 0);
    assert_int_equal(wr_drift_numeric(&d, r, six, 2, NULL), 0);
    assert_true(d.psi > 5 && d.ks == 1 && d.wasserstein == 1000);
    assert_int_equal(wr_drift_numeric(&d, r, four, 1, NULL), 0);
    assert_true(d.psi > 5 && d.ks == 1);
    assert_int_equal(wr_drift_numeric(&d, r, five, 3, NULL), 0);
    assert_true(d.psi == 0 && d.js == 0 && d.ks == 0 && d.ks_p == 1 && d.wasserstein == 0);
    wr_drift_ref_free(r);
}

static void statistics_by_name(void **state)
{
    (void)state;
    const wr_drift_result d = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    const struct { const char *name; double value; } want[] = {
        {"psi", 1}, {"jensenshannon", 2}, {"ks", 4}, {"wasserstein", 5}, {"chisquare", 7},
    };
    size_t n;
    const wr_drift_stat *all = wr_drift_stats(&n);
    assert_int_equal(n, sizeof want / sizeof *want);
    for (size_t i = 0; i < n; i++) {
        const wr_drift_stat *s = wr_drift_stat_find(want[i].name);
        assert_non_null(s);
        assert_true(s->value(&d) == want[i].value && s->threshold > 0 && (s->numeric || s->categories));
        assert_true(s >= all && s < all + n && s->summary[0]);
        assert_int_equal(s->p_value, strcmp(s->name, "ks") == 0 || strcmp(s->name, "chisquare") == 0);
    }
    assert_null(wr_drift_stat_find("kolmogorov"));
}

static void memory_runs_out(void **state)
{
    (void)state;
    const double v[] = {1, 2, 3};
    const uint32_t code[] = {0, 1, 5};
    for (int what = 0; what < 4; what++) {
        wr_drift_ref *r = NULL;
        wr_drift_result d;
        long nth = 1;
        for (bool fired = true; fired; nth++) {
            int rc = what == 1   ? wr_drift_ref_numeric(&r, v, 3, 0, NULL)
                     : what == 3 ? wr_drift_ref_categories(&r, code, 2, 2, NULL)
                                 : 0;
            assert_int_equal(rc, 0);
            wr_fault_arm(WR_FAULT_ALLOC, nth, false);
            switch (what) {
            case 0: rc = wr_drift_ref_numeric(&r, v, 3, 0, NULL); break;
            case 1: rc = wr_drift_numeric(&d, r, v, 3, NULL); break;
            case 2: rc = wr_drift_ref_categories(&r, code, 2, 2, NULL); break;
            default: rc = wr_drift_categories(&d, r, code, 3, NULL); break;
            }
            fired = wr_fault_fired(WR_FAULT_ALLOC);
            wr_fault_arm(WR_FAULT_ALLOC, 0, false);
            assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
            wr_drift_ref_free(r);
            r = NULL;
        }
        assert_true(nth > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_of_scipy),       cmocka_unit_test(categories_of_scipy),
        cmocka_unit_test(windows_without_values), cmocka_unit_test(a_moved_constant_is_drift),
        cmocka_unit_test(statistics_by_name),     cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
