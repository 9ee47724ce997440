/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_test.c - every value lies in its bin; quantiles and PSI against their definitions. */
#include "calc/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "calc/special.h"

static void test_durations(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 1);
    for (size_t i = 0; i < WR_DURATION_BINS; i++) assert_true(wr_duration_edge(i) < wr_duration_edge(i + 1));
    for (int i = 0; i < 100000; i++) {
        uint64_t ns = wr_rng_u64(&r) >> (27 + wr_rng_below(&r, 37));
        size_t bin = wr_duration_bin(ns);
        assert_true(bin < WR_DURATION_BINS);
        if ((double)ns < wr_duration_edge(bin) || (ns < 1ULL << 38 && (double)ns >= wr_duration_edge(bin + 1)))
            fail_msg("%llu is not in bin %zu", (unsigned long long)ns, bin);
        if (ns >= 16 && bin + 1 < WR_DURATION_BINS)
            assert_true(wr_duration_edge(bin + 1) / wr_duration_edge(bin) <= 1.0626);
    }
    assert_int_equal(wr_duration_bin(UINT64_MAX), WR_DURATION_BINS - 1);
    assert_true(wr_duration_edge(WR_DURATION_BINS) == 0x1p38);
}

static void test_values(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 2);
    for (size_t i = 0; i < WR_VALUE_BINS; i++) assert_true(wr_value_edge(i) < wr_value_edge(i + 1));
    for (int i = 0; i < 100000; i++) {
        double x = ldexp(wr_rng_f64(&r) - 0.5, (int)wr_rng_below(&r, 36) - 15);
        size_t bin = wr_value_bin(x);
        assert_true(bin < WR_VALUE_BINS);
        if (fabs(x) < 0x1p-16) assert_int_equal(bin, WR_VALUE_SIDE);
        else if (x > 0 ? x < wr_value_edge(bin) || x >= wr_value_edge(bin + 1)
                       : x <= wr_value_edge(bin) || x > wr_value_edge(bin + 1))
            if (x > 0 || x != wr_value_edge(bin)) fail_msg("%.17g is not in bin %zu", x, bin);
    }
    assert_int_equal(wr_value_bin(INFINITY), WR_VALUE_BINS - 1);
    assert_int_equal(wr_value_bin(1e300), WR_VALUE_BINS - 1);
    assert_int_equal(wr_value_bin(-INFINITY), 0);
    assert_int_equal(wr_value_bin(0), wr_value_bin(-0.0));
    assert_true(wr_value_bin(NAN) == SIZE_MAX);
    assert_true(wr_value_bin(0.5) != wr_value_bin(0.4999));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_quantiles(void **state)
{
    (void)state;
    enum { N = 5000 };
    static double x[N];
    static uint64_t count[WR_DURATION_BINS];
    wr_rng r;
    wr_rng_init(&r, 3);
    memset(count, 0, sizeof count);
    assert_true(isnan(wr_bins_quantile(count, WR_DURATION_BINS, wr_duration_edge, 0.5)));
    for (int i = 0; i < N; i++) {
        x[i] = floor(exp(12 + wr_rng_normal(&r)));
        count[wr_duration_bin((uint64_t)x[i])]++;
    }
    qsort(x, N, sizeof *x, ascending);
    for (double q = 0.01; q < 1; q += 0.01) {
        double got = wr_bins_quantile(count, WR_DURATION_BINS, wr_duration_edge, q), want = x[(int)(q * N)];
        if (fabs(got / want - 1) > 0.07) fail_msg("quantile %g: %g, not %g", q, got, want);
    }
}

/* By hand: 4 groups of one bin each. */
static void test_psi(void **state)
{
    (void)state;
    uint64_t ref[] = {0, 100, 100, 0, 100, 100, 0}, cur[] = {0, 50, 100, 0, 100, 150, 0};
    double p, want = (0.25 - 0.125) * log(2) + (0.25 - 0.375) * log(0.25 / 0.375);
    assert_true(fabs(wr_bins_psi(&p, ref, cur, 7, 4) - want) < 1e-12);
    assert_true(fabs(p - wr_chi2_sf(want * 200, 3)) < 1e-12);
    assert_true(wr_bins_psi(&p, ref, ref, 7, 4) == 0);
    assert_true(p == 1);
    uint64_t none[7] = {0}, elsewhere[] = {0, 0, 0, 0, 0, 0, 400}, before[] = {400, 0, 0, 0, 0, 0, 0};
    assert_true(isnan(wr_bins_psi(&p, ref, none, 7, 4)) && p == 1);
    assert_true(isnan(wr_bins_psi(&p, none, ref, 7, 4)));
    assert_true(wr_bins_psi(&p, ref, elsewhere, 7, 4) > 3 && p < 1e-9);
    assert_true(wr_bins_psi(&p, ref, before, 7, 4) > 3 && p < 1e-9);
    uint64_t one[] = {0, 0, 500, 0, 0, 0, 0}; /* all of the reference in one bin: only what leaves it can be told */
    assert_true(isnan(wr_bins_psi(&p, one, one, 7, 4)));
    assert_true(wr_bins_psi(&p, one, before, 7, 4) > 3);
    assert_true(wr_bins_psi(&p, one, elsewhere, 7, 4) > 3);
}

/* When nothing moved the p-value is below 0.01 about once in a hundred times. */
static void test_psi_level(void **state)
{
    (void)state;
    enum { TIMES = 400, N = 2000 };
    static uint64_t count[2][WR_VALUE_BINS];
    wr_rng r;
    int low = 0;
    wr_rng_init(&r, 4);
    for (int t = 0; t < TIMES; t++) {
        double p;
        memset(count, 0, sizeof count);
        for (int i = 0; i < 2 * N; i++) count[i & 1][wr_value_bin(1 / (1 + exp(-2 * wr_rng_normal(&r))))]++;
        double psi = wr_bins_psi(&p, count[0], count[1], WR_VALUE_BINS, 10);
        assert_true(psi >= 0 && psi < 0.1);
        low += p < 0.01;
    }
    assert_in_range(low, 0, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_durations), cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_quantiles), cmocka_unit_test(test_psi),
                                       cmocka_unit_test(test_psi_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
