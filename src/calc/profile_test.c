/* SPDX-License-Identifier: Apache-2.0 */
/* profile_test.c - against numpy's and scipy's values; text against a plain count; edges; same bytes for any pool. */
#include "calc/profile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../tests/reference/profile_values.h"
#include "../../tests/reference/stream.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/rng.h"

enum { CASES = sizeof profile_cases / sizeof *profile_cases, ROWS = 20000 };

/* The same data as profile.py. */
static double value(int how, size_t i, double x, double u)
{
    switch (how) {
    case 1: return x * x * x;
    case 2: return floor(x * 4);
    case 3: return 1e6 + x;
    case 4: return floor(x * 1000);
    case 5: return 1e15 + floor(u * 3e13);
    case 6: return floor(u * 1.3);
    case 7: return u < 0.0004 ? x : 0.25;
    case 8: return (double)i * 0.5;
    default: return x;
    }
}

static void put(wr_col *c, size_t i, double x)
{
    switch (c->type) {
    case WR_F64: c->f64[i] = x; break;
    case WR_F32: c->f32[i] = (float)x; break;
    case WR_I64:
    case WR_TS: c->i64[i] = (int64_t)x; break;
    case WR_BOOL: c->b[i] = x != 0; break;
    case WR_TEXT: fail(); break;
    }
}

/* Rows before and after the data's end are missing, so that all columns share one length. */
static void fill(wr_col *c, size_t k)
{
    size_t n = profile_cases[k].n;
    static double x[ROWS], u[ROWS], v[ROWS];
    stream_bells(x, 600 + k, n);
    stream_uniforms(u, 700 + k, n);
    stream_uniforms(v, 800 + k, n);
    for (size_t i = 0; i < c->n; i++) {
        if (i >= n || v[i] < profile_cases[k].gone) {
            if (c->type == WR_F64 && i % 2) {
                c->f64[i] = NAN; /* a NaN without a mark is missing too */
            } else {
                assert_int_equal(wr_col_set_missing(c, i), 0);
            }
        } else {
            put(c, i, value(profile_cases[k].how, i, x[i], u[i]));
        }
    }
}

static wr_frame *numbers(void)
{
    wr_frame *f = wr_frame_new();
    assert_non_null(f);
    assert_int_equal(wr_frame_resize(f, ROWS), 0);
    for (size_t k = 0; k < CASES; k++) {
        assert_non_null(wr_frame_add(f, profile_cases[k].name, profile_cases[k].type));
        fill(&f->cols[k], k);
    }
    return f;
}

#define NEAR(got, want, what) \
    do { \
        if (!stream_near((got), (want), 1e-9)) fail_msg("%s: %s %.17g, not %.17g", name, what, (got), (want)); \
    } while (0)

static void check(const wr_profile *p, size_t k)
{
    const char *name = profile_cases[k].name;
    assert_string_equal(p->name, name);
    assert_int_equal(p->type, profile_cases[k].type);
    assert_int_equal(p->rows, ROWS);
    assert_int_equal(p->missing, ROWS - profile_cases[k].n + profile_cases[k].missing);
    assert_int_equal(p->distinct, profile_cases[k].distinct);
    assert_int_equal(p->sorted, profile_cases[k].sorted);
    NEAR(p->min, profile_cases[k].min, "min");
    NEAR(p->max, profile_cases[k].max, "max");
    NEAR(p->mean, profile_cases[k].mean, "mean");
    NEAR(p->std, profile_cases[k].std, "std");
    if (fabs(p->skew) > 1e-12 || profile_cases[k].skew != 0) NEAR(p->skew, profile_cases[k].skew, "skew");
    NEAR(p->kurtosis, profile_cases[k].kurtosis, "kurtosis");
    NEAR(p->sum, profile_cases[k].sum, "sum");
    for (int i = 0; i < 9; i++) NEAR(p->quantile[i], profile_cases[k].quantile[i], "quantile");
    assert_int_equal(p->zeros, profile_cases[k].zeros);
    assert_int_equal(p->negatives, profile_cases[k].negatives);
    assert_int_equal(p->below, profile_cases[k].below);
    assert_int_equal(p->above, profile_cases[k].above);
    for (int i = 0; i < WR_PROFILE_BINS; i++) {
        if (p->hist[i] != profile_cases[k].hist[i])
            fail_msg("%s: bin %d holds %zu, not %zu", name, i, p->hist[i], profile_cases[k].hist[i]);
    }
    assert_true(p->hist_lo == p->quantile[0] && p->hist_hi == p->quantile[8] && p->infinite == 0);
    assert_true(p->ntop == 0 && isnan(p->len_mean));
}

static void numbers_of_numpy(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = numbers();
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_profile *p = NULL;
    assert_int_equal(wr_profile_frame(&p, a, f, NULL, NULL), 0);
    for (size_t k = 0; k < CASES; k++) check(&p[k], k);
}

static void same_for_any_pool(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = numbers();
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_profile *p[3];
    for (int i = 0; i < 3; i++) {
        wr_pool *pool = i ? wr_pool_new(i * 2) : NULL;
        assert_int_equal(wr_profile_frame(&p[i], a, f, pool, NULL), 0);
        wr_pool_free(pool);
        for (size_t k = 0; k < CASES; k++) p[i][k].name = NULL;
    }
    assert_memory_equal(p[0], p[1], CASES * sizeof **p);
    assert_memory_equal(p[0], p[2], CASES * sizeof **p);
}

static void edges(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_int_equal(wr_frame_resize(f, 6), 0);
    double *inf = wr_frame_add(f, "infinite", WR_F64)->f64, *none = wr_frame_add(f, "none", WR_F64)->f64;
    int64_t *big = wr_frame_add(f, "big", WR_I64)->i64;
    double *same = wr_frame_add(f, "same", WR_F64)->f64, *wide = wr_frame_add(f, "wide", WR_F64)->f64;
    for (size_t i = 0; i < 6; i++) {
        inf[i] = i == 0 ? INFINITY : i == 5 ? -INFINITY : i == 1 ? -0.0 : i == 2 ? 0.0 : (double)i;
        none[i] = i % 2 ? NAN : INFINITY;
        big[i] = INT64_MAX - (int64_t)i % 3;
        same[i] = 0.1;
        wide[i] = i % 2 ? 1.7e308 : -1.7e308;
    }
    wr_profile *p = NULL;
    assert_int_equal(wr_profile_frame(&p, a, f, NULL, NULL), 0);
    assert_true(p[0].infinite == 2 && p[0].distinct == 5 && p[0].zeros == 2 && p[0].negatives == 0 &&
                p[0].missing == 0);
    assert_true(p[0].min == 0 && p[0].max == 4 && p[0].sum == 7 && !p[0].sorted);
    assert_true(p[1].missing == 3 && p[1].infinite == 3 && p[1].distinct == 1 && isnan(p[1].mean) &&
                isnan(p[1].hist_lo));
    assert_true(p[2].distinct == 3); /* three neighbours that one double stands for */
    assert_true(p[3].std == 0 && isnan(p[3].skew) && isnan(p[3].kurtosis) && p[3].mean == 0.1 && p[3].distinct == 1);
    assert_true(p[3].hist[0] == 6 && p[3].hist_lo == 0.1 && p[3].sorted && p[3].below == 0 && p[3].above == 0);
    assert_true(p[4].min == -1.7e308 && p[4].quantile[4] != 0 && p[4].distinct == 2);
    size_t held = p[4].below + p[4].above;
    for (int i = 0; i < WR_PROFILE_BINS; i++) held += p[4].hist[i];
    assert_int_equal(held, 6);
}

static void empty_frames(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_profile *p = NULL;
    assert_int_equal(wr_profile_frame(&p, a, f, NULL, NULL), 0);
    assert_non_null(wr_frame_add(f, "x", WR_F64));
    assert_non_null(wr_frame_add(f, "s", WR_TEXT));
    assert_int_equal(wr_profile_frame(&p, a, f, NULL, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(p[i].rows == 0 && p[i].missing == 0 && p[i].distinct == 0 && p[i].sorted && isnan(p[i].mean));
        assert_true(isnan(p[i].quantile[4]) && isnan(p[i].len_mean) && p[i].ntop == 0);
    }
}

static void text(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_int_equal(wr_frame_resize(f, 100), 0);
    wr_col *c = wr_frame_add(f, "s", WR_TEXT);
    uint32_t code;
    assert_int_equal(wr_col_code(c, WR_STR("unused"), &code), 0);
    for (size_t i = 0; i < 90; i++) {
        /* v0 .. v12: v0 to v11 seven times each, v12 six times */
        char s[8];
        int n = snprintf(s, sizeof s, "v%zu", i % 13);
        assert_int_equal(wr_col_code(c, (wr_str){s, (size_t)n}, &c->code[i]), 0);
    }
    for (size_t i = 90; i < 100; i++) {
        if (i < 93) {
            assert_int_equal(wr_col_set_missing(c, i), 0);
        } else {
            assert_int_equal(wr_col_code(c, i < 95 ? WR_STR("") : WR_STR("gr\xc3\xbc\xc3\x9f\x65"), &c->code[i]), 0);
        }
    }
    wr_profile *p = NULL;
    assert_int_equal(wr_profile_frame(&p, a, f, NULL, NULL), 0);
    assert_true(p->rows == 100 && p->missing == 3 && p->distinct == 15 && p->empty == 2 && !p->sorted);
    assert_true(p->len_min == 0 && p->len_max == 5 && isnan(p->mean) && isnan(p->quantile[0]));
    /* 12 values 7 times less one: 90 = 12 * 7 + 6; v10, v11 and v12 have three characters */
    assert_true(fabs(p->len_mean - ((90 - 20) * 2 + 20 * 3 + 0 * 2 + 5 * 5) / 97.0) < 1e-12);
    const char *const want[] = {"v0", "v1", "v10", "v11", "v2", "v3", "v4", "v5", "v6", "v7"};
    assert_int_equal(p->ntop, WR_PROFILE_TOP);
    for (size_t i = 0; i < WR_PROFILE_TOP; i++) {
        assert_int_equal(p->top[i].n, 7);
        assert_true(wr_str_is(p->top[i].value, want[i]));
    }
}

static void rising_text(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_int_equal(wr_frame_resize(f, 4), 0);
    wr_col *c = wr_frame_add(f, "s", WR_TEXT);
    wr_col *unfilled = wr_frame_add(f, "unfilled", WR_TEXT);
    c = &f->cols[0];
    assert_int_equal(wr_col_code(c, WR_STR("b"), &c->code[3]), 0); /* codes fall while the strings rise */
    assert_int_equal(wr_col_code(c, WR_STR("a"), &c->code[2]), 0);
    assert_int_equal(wr_col_code(c, WR_STR("a"), &c->code[0]), 0);
    assert_int_equal(wr_col_set_missing(c, 1), 0);
    assert_int_equal(unfilled->n, 4);
    wr_profile *p = NULL;
    assert_int_equal(wr_profile_frame(&p, a, f, NULL, NULL), 0);
    assert_true(p[0].sorted && p[0].distinct == 2 && p[0].ntop == 2 && p[0].top[0].n == 2);
    assert_true(p[1].distinct == 1 && p[1].empty == 4 && p[1].len_mean == 0 && p[1].sorted);
}

static void memory_runs_out(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    assert_int_equal(wr_frame_resize(f, 100), 0);
    assert_non_null(wr_frame_add(f, "x", WR_F64));
    assert_non_null(wr_frame_add(f, "s", WR_TEXT));
    for (long nth = 1;; nth++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_profile *p = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_profile_frame(&p, a, f, NULL, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        assert_true(fired == (p == NULL));
        if (!fired) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_numpy), cmocka_unit_test(same_for_any_pool), cmocka_unit_test(edges),
        cmocka_unit_test(empty_frames),     cmocka_unit_test(text),              cmocka_unit_test(rising_text),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
