/* SPDX-License-Identifier: Apache-2.0 */
/* rng_test.c - the published sequences, ranges, moments. */
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

static void test_reference(void **state)
{
    (void)state;
    /* xoshiro256** 1.0 from state 1, 2, 3, 4 (reference C code; also in rand_xoshiro and Boost) */
    static const uint64_t want[] = {
        11520U,
        0U,
        1509978240U,
        1215971899390074240U,
        1216172134540287360U,
        607988272756665600U,
        16172922978634559625U,
        8476171486693032832U,
        10595114339597558777U,
        2904607092377533576U,
    };
    wr_rng r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) assert_true(wr_rng_u64(&r) == want[i]);
    wr_rng_init(&r, 1234567); /* splitmix64's published sequence */
    assert_true(r.s[0] == 6457827717110365317U);
    assert_true(r.s[1] == 3203168211198807973U);
    assert_true(r.s[2] == 9817491932198370423U);
    assert_true(r.s[3] == 4593380528125082431U);
}

static void test_split(void **state)
{
    (void)state;
    wr_rng a, b;
    uint64_t first[64];
    for (uint64_t stream = 0; stream < 64; stream++) {
        wr_rng_split(&a, 42, stream);
        wr_rng_split(&b, 42, stream);
        first[stream] = wr_rng_u64(&a);
        assert_true(first[stream] == wr_rng_u64(&b));
        for (uint64_t k = 0; k < stream; k++) assert_true(first[k] != first[stream]);
        wr_rng_split(&b, 43, stream);
        assert_true(first[stream] != wr_rng_u64(&b));
        wr_rng_split(&b, stream, 42); /* the two arguments are not interchangeable */
        assert_true(stream == 42 || first[stream] != wr_rng_u64(&b));
    }
    wr_rng_init(&a, 42);
    assert_true(first[0] != wr_rng_u64(&a));
}

static void test_below(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 1);
    for (int i = 0; i < 100; i++) assert_true(wr_rng_below(&r, 1) == 0);
    const uint64_t bounds[] = {2, 3, 7, 1000, (1ULL << 63) + 1, UINT64_MAX};
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        for (int i = 0; i < 1000; i++) assert_true(wr_rng_below(&r, bounds[b]) < bounds[b]);
    }
    double chi = 0, count[7] = {0}; /* 6 degrees of freedom: above 22.5 once in a thousand; the seed is fixed */
    for (int i = 0; i < 70000; i++) count[wr_rng_below(&r, 7)]++;
    for (int k = 0; k < 7; k++) chi += (count[k] - 10000) * (count[k] - 10000) / 10000;
    assert_true(chi < 22.5);
    /* n = 3 * 2^62: a plain remainder would find only a quarter in the upper third, a plain product half divisible by 3
     */
    int upper = 0, threes = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t x = wr_rng_below(&r, 3ULL << 62);
        upper += x >= 2ULL << 62;
        threes += x % 3 == 0;
    }
    assert_true(upper > 9600 && upper < 10400);
    assert_true(threes > 9600 && threes < 10400);
}

static void test_f64(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 2);
    double sum = 0, low = 1, high = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double x = wr_rng_f64(&r);
        assert_true(x >= 0 && x < 1);
        sum += x;
        low = fmin(low, x);
        high = fmax(high, x);
    }
    assert_true(fabs(sum / N - 0.5) < 0.005);
    assert_true(low < 0.001 && high > 0.999);
    wr_rng top = {{0, 0, 0, 0}};
    assert_true(wr_rng_f64(&top) == 0);
    /* s[1] chosen so that the output is 2^64 - 1, times the inverses of 9 and 5 */
    uint64_t rotated = UINT64_MAX * 0x8E38E38E38E38E39U;
    top = (wr_rng){{0, ((rotated >> 7) | (rotated << 57)) * 0xCCCCCCCCCCCCCCCDU, 0, 0}};
    assert_true(wr_rng_f64(&top) == 1 - 0x1p-53);
}

static void test_normal(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 3);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double x = wr_rng_normal(&r);
        m1 += x / N;
        m2 += x * x / N;
        m3 += x * x * x / N;
        m4 += x * x * x * x / N;
    }
    assert_true(fabs(m1) < 0.01);
    assert_true(fabs(m2 - 1) < 0.015);
    assert_true(fabs(m3) < 0.04);
    assert_true(fabs(m4 - 3) < 0.12);
}

static void test_shuffle(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 4);
    uint32_t a[100];
    bool seen[100] = {false};
    for (uint32_t i = 0; i < 100; i++) a[i] = i;
    wr_rng_shuffle(&r, a, 100);
    int moved = 0;
    for (uint32_t i = 0; i < 100; i++) {
        assert_false(seen[a[i]]);
        seen[a[i]] = true;
        moved += a[i] != i;
    }
    assert_true(moved > 90);
    int count[6] = {0}; /* all 6 orders of 3, 10000 times each */
    for (int i = 0; i < 60000; i++) {
        uint32_t t[] = {0, 1, 2};
        wr_rng_shuffle(&r, t, 3);
        count[t[0] * 2 + (t[1] > t[2])]++;
    }
    for (int k = 0; k < 6; k++) assert_true(count[k] > 9600 && count[k] < 10400);
    wr_rng_shuffle(&r, a, 0);
    wr_rng_shuffle(&r, a, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_split),  cmocka_unit_test(test_below),
        cmocka_unit_test(test_f64),       cmocka_unit_test(test_normal), cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
