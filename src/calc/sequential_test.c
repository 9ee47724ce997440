/* SPDX-License-Identifier: Apache-2.0 */
/* sequential_test.c - values against scipy; and the promise itself: looking all the time does not break it. */
#include "calc/sequential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "../../tests/reference/sequential_values.h"
#include "../../tests/reference/stream.h"
#include "base/rng.h"
#include "calc/histogram.h"
#include "calc/special.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void test_special(void **state)
{
    (void)state;
    int bad = 0;
    for (size_t i = 0; i < COUNT(beta_values); i++) {
        double v = wr_beta_i(beta_values[i].a, beta_values[i].b, beta_values[i].x);
        if (stream_near(v, beta_values[i].i, 1e-9)) continue;
        bad++;
        print_error("I(%g, %g, %.17g) = %.17g, not %.17g\n", beta_values[i].a, beta_values[i].b, beta_values[i].x, v,
                    beta_values[i].i);
    }
    for (size_t i = 0; i < COUNT(student_values); i++) {
        double v = wr_student_cdf(student_values[i].df, student_values[i].t);
        if (stream_near(v, student_values[i].p, 1e-9)) continue;
        bad++;
        print_error("t(%g) at %g: %.17g, not %.17g\n", student_values[i].df, student_values[i].t, v,
                    student_values[i].p);
    }
    for (size_t i = 0; i < COUNT(binomial_values); i++) {
        double v = wr_binomial_cdf(binomial_values[i].k, binomial_values[i].n, binomial_values[i].q);
        if (stream_near(v, binomial_values[i].p, 1e-9)) continue;
        bad++;
        print_error("Bin(%g, %g) at %g: %.17g, not %.17g\n", (double)binomial_values[i].n, binomial_values[i].q,
                    (double)binomial_values[i].k, v, binomial_values[i].p);
    }
    assert_int_equal(bad, 0);
    assert_true(wr_beta_i(2, 3, 0) == 0 && wr_beta_i(2, 3, 1) == 1);
    assert_true(isnan(wr_beta_i(0, 1, 0.5)) && isnan(wr_beta_i(1, 1, 1.1)) && isnan(wr_beta_i(NAN, 1, 0.5)));
    assert_true(isnan(wr_student_cdf(0, 1)) && wr_student_cdf(3, INFINITY) == 1 && wr_student_cdf(3, -INFINITY) == 0);
    assert_true(wr_binomial_cdf(-1, 5, 0.5) == 0 && wr_binomial_cdf(5, 5, 0.5) == 1 && wr_binomial_cdf(0, 3, 0) == 1);
}

static void test_rates(void **state)
{
    (void)state;
    int bad = 0;
    for (size_t i = 0; i < COUNT(worse_values); i++) {
        double v = wr_seq_rate_worse(worse_values[i].bad_a, worse_values[i].n_a, worse_values[i].bad_b,
                                     worse_values[i].n_b, worse_values[i].delta);
        if (fabs(v - worse_values[i].p) < 1e-9) continue;
        bad++;
        print_error("P(%g of %g worse than %g of %g by %g) = %.12g, not %.12g\n", (double)worse_values[i].bad_b,
                    (double)worse_values[i].n_b, (double)worse_values[i].bad_a, (double)worse_values[i].n_a,
                    worse_values[i].delta, v, worse_values[i].p);
    }
    assert_int_equal(bad, 0);
    assert_true(isnan(wr_seq_rate_worse(3, 2, 0, 0, 0)) && isnan(wr_seq_rate_worse(0, 1, 0, 1, 2)));
}

static void test_means(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mixture_values); i++)
        assert_true(stream_near(
            wr_seq_mixture(mixture_values[i].d, mixture_values[i].v, mixture_values[i].null, mixture_values[i].tau),
            mixture_values[i].p, 1e-9));
    for (size_t i = 0; i < COUNT(width_values); i++)
        assert_true(stream_near(wr_seq_half_width(width_values[i].v, width_values[i].tau, width_values[i].alpha),
                                width_values[i].half, 1e-9));
    wr_moments a = {0}, b = {0}, all = {0};
    for (int i = 0; i < 9; i++) {
        wr_moments_add(&a, i);
        wr_moments_add(&all, i);
    }
    for (int i = 0; i < 5; i++) {
        wr_moments_add(&b, 3 * i);
        wr_moments_add(&all, 3 * i);
    }
    wr_moments_merge(&a, &b);
    assert_true(stream_near(a.mean, all.mean, 1e-12) && stream_near(a.m2, all.m2, 1e-12) && a.n == 14);
    wr_interval none = wr_seq_mean_difference(&(wr_moments){0}, &all, 0, 0.05);
    assert_true(none.lo == -INFINITY && none.hi == INFINITY);
    wr_moments flat = {.n = 50, .mean = 2};
    wr_interval same = wr_seq_mean_difference(&flat, &flat, 0, 0.05);
    assert_true(same.lo == 0 && same.hi == 0);
}

static uint64_t ranks_edge_calls;
static double unit_edge(size_t bin)
{
    ranks_edge_calls++;
    return (double)bin;
}

static void test_ranks(void **state)
{
    (void)state;
    static uint64_t count[1000001]; /* value i in bin i - 1: the bin is the rank */
    for (size_t i = 0; i < COUNT(rank_values); i++) {
        size_t n = (size_t)rank_values[i].n;
        for (size_t k = 0; k < n; k++) count[k] = 1;
        wr_interval v = wr_seq_quantile(count, n, unit_edge, rank_values[i].q, rank_values[i].alpha);
        double lo = rank_values[i].lo >= 1 ? rank_values[i].lo - 1 : 0;
        double hi = rank_values[i].hi <= rank_values[i].n ? rank_values[i].hi : INFINITY;
        if (v.lo != lo || v.hi != hi)
            fail_msg("n %zu, q %g, alpha %g: %g to %g, not %g to %g", n, rank_values[i].q, rank_values[i].alpha, v.lo,
                     v.hi, lo, hi);
    }
    assert_true(ranks_edge_calls > 0);
    double left = 1;
    for (uint64_t k = 1; k < 100000; k++) left -= wr_seq_spend(1, k);
    assert_true(left > 0 && left < 1.1e-5);
}

/* ---- looking all the time ---- */

enum { RUNS = 200, STEPS = 40, BATCH = 50 };

/* Two arms without any difference: how often does one look of many say there is one? */
static int false_alarms(double (*draw)(wr_rng *r), double null)
{
    int alarms = 0;
    wr_rng r;
    wr_rng_init(&r, 5);
    for (int run = 0; run < RUNS; run++) {
        wr_moments a = {0}, b = {0};
        bool said = false;
        for (int i = 0; i < STEPS * BATCH; i++) {
            wr_moments_add(&a, draw(&r));
            wr_moments_add(&b, draw(&r) + null);
            if (i < 50 || i % 5) continue;
            wr_interval v = wr_seq_mean_difference(&a, &b, 0, 0.05);
            said |= v.lo > null || v.hi < null;
        }
        alarms += said;
    }
    return alarms;
}

static double draw_normal(wr_rng *r) { return 3 * wr_rng_normal(r); }
static double draw_coin(wr_rng *r) { return wr_rng_f64(r) < 0.2; }

static void test_means_level(void **state)
{
    (void)state;
    int normal = false_alarms(draw_normal, 0), coin = false_alarms(draw_coin, 0),
        shifted = false_alarms(draw_normal, 0.4);
    if (normal > RUNS / 14 || coin > RUNS / 14 || shifted > RUNS / 14)
        fail_msg("%d, %d and %d of %d runs said there is a difference", normal, coin, shifted, RUNS);
}

/* And a difference that is there is found. */
static void test_means_power(void **state)
{
    (void)state;
    wr_rng r;
    int found = 0;
    wr_rng_init(&r, 6);
    for (int run = 0; run < 50; run++) {
        wr_moments a = {0}, b = {0};
        for (int i = 0; i < 3000; i++) {
            wr_moments_add(&a, wr_rng_f64(&r) < 0.2);
            wr_moments_add(&b, wr_rng_f64(&r) < 0.12);
        }
        found += wr_seq_mean_difference(&a, &b, 0, 0.05).hi < 0;
    }
    assert_in_range(found, 48, 50);
}

/* A canary as good as the control, looked at after each twenty requests: rolled back in few of the runs; one that is
 * worse in all. */
static void test_rates_peeking(void **state)
{
    (void)state;
    wr_rng r;
    int wrong = 0, found = 0;
    wr_rng_init(&r, 7);
    for (int run = 0; run < 60; run++)
        for (int bad = 0; bad < 2; bad++) {
            double n = 0, ea = 0, eb = 0;
            bool said = false;
            while (n < 3000 && !said) {
                ea += wr_rng_f64(&r) < 0.01;
                eb += wr_rng_f64(&r) < (bad ? 0.08 : 0.01);
                if (++n >= 200 && (int)n % 20 == 0) said = wr_seq_rate_worse(ea, n, eb, n, 0.01) > 0.95;
            }
            if (bad) found += said;
            else wrong += said;
        }
    assert_in_range(wrong, 0, 5);
    assert_int_equal(found, 60);
}

/* The p99 of exponential durations lies in the interval at every look, in nearly all runs. */
static void test_quantile_level(void **state)
{
    (void)state;
    static uint64_t count[WR_DURATION_BINS];
    double truth = -log(0.01) * 1e6;
    wr_rng r;
    int missed = 0, useful = 0;
    wr_rng_init(&r, 8);
    for (int run = 0; run < RUNS; run++) {
        bool out = false;
        wr_interval v = {0};
        memset(count, 0, sizeof count);
        for (int look = 1; look <= 20; look++) {
            for (int i = 0; i < 200; i++) count[wr_duration_bin((uint64_t)(-log(1 - wr_rng_f64(&r)) * 1e6))]++;
            v = wr_seq_quantile(count, WR_DURATION_BINS, wr_duration_edge, 0.99, wr_seq_spend(0.05, (uint64_t)look));
            out |= v.lo > truth || v.hi < truth;
        }
        missed += out;
        useful += v.lo > 0.6 * truth && v.hi < 1.9 * truth;
    }
    assert_in_range(missed, 0, RUNS / 20);
    assert_in_range(useful, RUNS / 2, RUNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_special),       cmocka_unit_test(test_rates),
                                       cmocka_unit_test(test_means),         cmocka_unit_test(test_ranks),
                                       cmocka_unit_test(test_means_level),   cmocka_unit_test(test_means_power),
                                       cmocka_unit_test(test_rates_peeking), cmocka_unit_test(test_quantile_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
