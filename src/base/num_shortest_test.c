/* SPDX-License-Identifier: Apache-2.0 */
/* Shortest texts against a search with printf and strtod, over random bits and the corners of both formats. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/num.h"
#include "base/rng.h"

static int digits_of(const char *s)
{
    int n = 0, zeros = 0;
    for (; *s && *s != 'e'; s++) {
        if (*s < '0' || *s > '9' || (*s == '0' && n == 0)) continue;
        n++;
        zeros = *s == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

static void check_f64(double v)
{
    char text[32], slow[64];
    size_t n = wr_f64_shortest(text, v);
    int want = 0;
    do snprintf(slow, sizeof slow, "%.*e", want, v);
    while (strtod(slow, NULL) != v && ++want);
    if (strlen(text) != n || strtod(text, NULL) != v || digits_of(text) > want + 1)
        fail_msg("%.17g: %s, by search %s", v, text, slow);
    if (digits_of(text) == want + 1 && fabs(strtod(slow, NULL) - v) == 0 && fabs(v) >= DBL_MIN) {
        char again[32]; /* of two of the same length the nearer one, as printf */
        snprintf(again, sizeof again, "%.*e", digits_of(text) - 1, v);
        snprintf(slow, sizeof slow, "%.*e", digits_of(text) - 1, strtod(text, NULL));
        if (strtod(again, NULL) == v && strcmp(again, slow) != 0) fail_msg("%.17g: %s instead of %s", v, text, again);
    }
}

static void check_f32(float v)
{
    char text[32], slow[64];
    size_t n = wr_f32_shortest(text, v);
    int want = 0;
    do snprintf(slow, sizeof slow, "%.*e", want, (double)v);
    while (strtof(slow, NULL) != v && ++want);
    if (strlen(text) != n || strtof(text, NULL) != v || digits_of(text) > want + 1)
        fail_msg("%.9g: %s, by search %s", (double)v, text, slow);
}

static void test_random(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 1);
    for (int i = 0; i < 40000; i++) {
        uint64_t bits = wr_rng_u64(&r);
        uint32_t low = (uint32_t)bits;
        double v;
        float f;
        memcpy(&v, &bits, sizeof v);
        memcpy(&f, &low, sizeof f);
        if (isfinite(v)) check_f64(v);
        if (isfinite(f)) check_f32(f);
        check_f64((double)(int64_t)(bits >> 40) / 1000);
        check_f32((float)(bits >> 40) / 1000);
        check_f64((double)(bits >> (bits & 31)));
    }
}

static void test_corners(void **state)
{
    (void)state;
    for (int e = -1074; e <= 1023; e++) { /* powers of two: the interval is not symmetric */
        double v = ldexp(1, e);
        check_f64(v);
        check_f64(nextafter(v, 0) == 0 ? v : nextafter(v, 0));
        check_f64(nextafter(v, INFINITY));
    }
    for (int e = -149; e <= 127; e++) {
        float v = ldexpf(1, e);
        check_f32(v);
        check_f32(nextafterf(v, 0) == 0 ? v : nextafterf(v, 0));
        check_f32(nextafterf(v, INFINITY));
    }
    for (int e = -320; e <= 308; e++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", e);
        check_f64(strtod(text, NULL));
        if (e >= -45 && e <= 38) check_f32(strtof(text, NULL));
    }
    check_f64(DBL_MAX);
    check_f64(DBL_MIN);
    check_f32(FLT_MAX);
    check_f32(FLT_MIN);
}

/* Where the quick way says something it is what strtod says, also for digits around the middle between two doubles; it
 * hardly ever is silent. */
static void test_nearest(void **state)
{
    (void)state;
    wr_rng r;
    int silent = 0;
    wr_rng_init(&r, 3);
    for (int i = 0; i < 300000; i++) {
        uint64_t digits = wr_rng_u64(&r) >> (wr_rng_u64(&r) & 63);
        int exp = (int)(wr_rng_u64(&r) % 640) - 320;
        char text[40];
        double v;
        if (i & 1) { /* 19 digits of a middle, and one more or less */
            double d = ldexp((double)((wr_rng_u64(&r) >> 11) | 1), (int)(wr_rng_u64(&r) % 120) - 60);
            char middle[64];
            snprintf(middle, sizeof middle, "%.18Le", ((long double)d + (long double)nextafter(d, INFINITY)) / 2);
            digits = strtoull(middle, NULL, 10) * 1000000000000000000ULL + strtoull(middle + 2, NULL, 10) +
                     wr_rng_u64(&r) % 3 - 1;
            exp = (int)strtol(strchr(middle, 'e') + 1, NULL, 10) - 18;
        }
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, exp);
        double want = strtod(text, NULL);
        bool said = wr_f64_nearest(&v, digits, exp);
        if (said && v != want) fail_msg("%s: %.17g instead of %.17g", text, v, want);
        silent += !(i & 1) && !said && digits && isnormal(want) && exp >= -292;
    }
    assert_true(silent < 300);
    double v;
    assert_false(wr_f64_nearest(&v, 9007199254740993, 0)); /* a tie */
    assert_false(wr_f64_nearest(&v, 0, 0));
    assert_false(wr_f64_nearest(&v, 1, 400));
    assert_false(wr_f64_nearest(&v, 5, -324));
    assert_true(wr_f64_nearest(&v, 17976931348623157, 292) && v == DBL_MAX);
    assert_false(wr_f64_nearest(&v, 17976931348623159, 292)); /* infinite */
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } all[] = {{0, "0"},
               {-0.0, "-0.0"},
               {5, "5"},
               {-5, "-5"},
               {0.1, "0.1"},
               {0.3, "0.3"},
               {0.1 + 0.2, "0.30000000000000004"},
               {100, "100"},
               {1234567.25, "1234567.25"},
               {1e15, "1000000000000000"},
               {1e16, "1e+16"},
               {1.5e16, "1.5e+16"},
               {9007199254740992, "9007199254740992"},
               {0.0001, "0.0001"},
               {0.00012345, "0.00012345"},
               {0.00001, "1e-05"},
               {1.25e-7, "1.25e-07"},
               {5e-324, "5e-324"},
               {DBL_MAX, "1.7976931348623157e+308"},
               {NAN, "nan"},
               {INFINITY, "inf"},
               {-INFINITY, "-inf"}};
    char text[32];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wr_f64_shortest(text, all[i].v);
        assert_string_equal(text, all[i].text);
    }
    wr_f32_shortest(text, 0.1F);
    assert_string_equal(text, "0.1");
    wr_f32_shortest(text, 16777216);
    assert_string_equal(text, "16777216");
    wr_f32_shortest(text, FLT_MAX);
    assert_string_equal(text, "3.4028235e+38");
    wr_f32_shortest(text, -1e-45F);
    assert_string_equal(text, "-1e-45");
    wr_f32_shortest(text, -NAN);
    assert_string_equal(text, "nan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_corners),
                                       cmocka_unit_test(test_forms), cmocka_unit_test(test_nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
