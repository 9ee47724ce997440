/* SPDX-License-Identifier: Apache-2.0 */
/* num_test.c - parsers and their refusals, round trips of doubles, human forms. */
#include "base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static double of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void test_i64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t v;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"+7", 7},
        {"-42", -42},
        {"007", 7},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const struct {
        const char *text;
        int code;
    } wrong[] = {
        {"", WEIR_EPARSE},
        {"-", WEIR_EPARSE},
        {"+", WEIR_EPARSE},
        {"--1", WEIR_EPARSE},
        {" 1", WEIR_EPARSE},
        {"1 ", WEIR_EPARSE},
        {"1.0", WEIR_EPARSE},
        {"1e3", WEIR_EPARSE},
        {"0x10", WEIR_EPARSE},
        {"1_0", WEIR_EPARSE},
        {"9223372036854775808", WEIR_EINVAL},
        {"-9223372036854775809", WEIR_EINVAL},
        {"99999999999999999999999999", WEIR_EINVAL},
        {"99999999999999999999999999x", WEIR_EPARSE},
    };
    int64_t v;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(wr_num_i64(&v, wr_str_of(good[i].text), NULL), 0);
        assert_true(v == good[i].v);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wr_err err;
        v = 4711;
        assert_int_equal(wr_num_i64(&v, wr_str_of(wrong[i].text), &err), wrong[i].code);
        assert_int_equal(v, 4711);
        assert_non_null(strstr(err.msg, wrong[i].text));
    }
    assert_int_equal(wr_num_i64(&v, (wr_str){"123", 2}, NULL), 0);
    assert_int_equal(v, 12);
    assert_int_equal(wr_num_i64(&v, (wr_str){"1\0", 2}, NULL), WEIR_EPARSE);
    assert_int_equal(wr_num_i64(&v, (wr_str){0}, NULL), WEIR_EPARSE);
}

static void test_f64(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0",
        "-0",
        "1",
        "+1.5",
        ".5",
        "5.",
        "1e3",
        "1E+3",
        "1e-3",
        "0.1",
        "3.14159265358979",
        "9007199254740993",
        "1e22",
        "1e23",
        "123456789012345678901234567890",
        "1.7976931348623157e308",
        "2.2250738585072014e-308",
        "2.2250738585072011e-308",
        "5e-324",
        "2e-324",
        "4.9e-324",
        "1e-400",
        "0e999999999999",
        "0.000000000000000000000000000000000000000000001",
        "8.98846567431158e307",
        "9007199254740992.5",
        "1000000000000000000000000e-20",
        "18446744073709551615",
        "184467440737095516160000",
        "0.3e-5",
    };
    static const char *const wrong[] = {
        "",     "-",     ".",   "+.", "e5",   ".e5",    "1e", "1e+", "1.2.3",   " 1",    "1 ",
        "0x10", "0x1p3", "1,5", "1f", "nanx", "nan(1)", "in", "--1", "infinit", "1e5.0", "1_000",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double v = 4711, want = strtod(good[i], NULL);
        if (wr_num_f64(&v, wr_str_of(good[i]), NULL) != 0) fail_msg("'%s' was refused", good[i]);
        if (memcmp(&v, &want, sizeof v) != 0) fail_msg("'%s': %.17g", good[i], v);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double v = 4711;
        wr_err err;
        if (wr_num_f64(&v, wr_str_of(wrong[i]), &err) != WEIR_EPARSE) fail_msg("'%s' was taken", wrong[i]);
        assert_true(v == 4711);
    }
}

static void test_f64_special(void **state)
{
    (void)state;
    double v;
    static const char *const nans[] = {"nan", "NaN", "-nan", "+NAN"};
    for (int i = 0; i < 4; i++) assert_true(wr_num_f64(&v, wr_str_of(nans[i]), NULL) == 0 && isnan(v));
    static const char *const infs[] = {"inf", "+Inf", "Infinity", "INF"};
    for (int i = 0; i < 4; i++) assert_true(wr_num_f64(&v, wr_str_of(infs[i]), NULL) == 0 && isinf(v) && v > 0);
    assert_true(wr_num_f64(&v, WR_STR("-inf"), NULL) == 0 && isinf(v) && v < 0);
    assert_int_equal(wr_num_f64(&v, WR_STR("1e309"), NULL), WEIR_EINVAL);
    assert_int_equal(wr_num_f64(&v, WR_STR("-1e99999999999"), NULL), WEIR_EINVAL);
    char many[2000];
    memset(many, '3', sizeof many);
    assert_int_equal(wr_num_f64(&v, (wr_str){many, sizeof many}, NULL), WEIR_EINVAL);
    many[0] = '.';
    assert_int_equal(wr_num_f64(&v, (wr_str){many, 900}, NULL), 0);
    assert_true(v == 1.0 / 3);
    assert_true(wr_num_f64(&v, (wr_str){"1.25", 3}, NULL) == 0 && v == 1.2);
}

/* Random decimal texts: the same bits as strtod. */
static void test_f64_twin(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 5);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        uint64_t digits = wr_rng_u64(&r) >> wr_rng_below(&r, 64);
        int point = (int)wr_rng_below(&r, 12), e = (int)wr_rng_below(&r, i % 2 ? 50 : 600) - (i % 2 ? 25 : 300);
        snprintf(text, sizeof text, "%s%llu.%0*llue%d", i % 3 ? "" : "-", (unsigned long long)digits, point,
                 (unsigned long long)wr_rng_below(&r, 1000), e);
        double want = strtod(text, NULL), v = 0;
        int rc = wr_num_f64(&v, wr_str_of(text), NULL);
        if (isinf(want) ? rc != WEIR_EINVAL : rc != 0 || memcmp(&v, &want, sizeof v) != 0)
            fail_msg("'%s': %.17g", text, v);
    }
}

static void check_text(double v)
{
    char text[32];
    size_t n = wr_f64_text(text, v);
    assert_int_equal(n, strlen(text));
    assert_true(n <= 24);
    double back = strtod(text, NULL), parsed;
    if (memcmp(&back, &v, sizeof v) != 0) fail_msg("%.17g: '%s'", v, text);
    assert_int_equal(wr_num_f64(&parsed, (wr_str){text, n}, NULL), 0);
    assert_memory_equal(&parsed, &v, sizeof v);
}

static void test_text_round_trip(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 6);
    for (int i = 0; i < 60000; i++) {
        double v = of_bits(wr_rng_u64(&r));
        if (isfinite(v)) check_text(v);
        check_text(of_bits(wr_rng_u64(&r) >> 12));                             /* subnormal */
        check_text((double)(int64_t)(wr_rng_u64(&r) >> wr_rng_below(&r, 64))); /* whole */
        check_text((double)(int64_t)wr_rng_below(&r, 1000000) / 1000);         /* what people write */
    }
    for (int e = -1074; e <= 1023; e++) {
        double p = ldexp(1, e);
        check_text(p);
        check_text(-p);
        check_text(nextafter(p, 0));
        check_text(nextafter(p, INFINITY));
    }
    check_text(DBL_MAX);
    check_text(-DBL_MIN);
}

static void test_text_shortest(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {3, "3"},
        {-3, "-3"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {1e15, "1e+15"},
        {999999999999999, "999999999999999"},
        {-123456789012345, "-123456789012345"},
        {1e21, "1e+21"},
        {1e-7, "1e-07"},
        {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {-DBL_MIN, "-2.2250738585072014e-308"},
        {9007199254740992, "9007199254740992"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
    };
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_f64_text(text, cases[i].v);
        assert_string_equal(text, cases[i].text);
    }
    wr_f64_text(text, NAN);
    assert_string_equal(text, "nan");
    wr_f64_text(text, -NAN);
    assert_string_equal(text, "nan");
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
        int code;
    } cases[] = {
        {"90s", 90000000, 0},
        {"15m", 900000000, 0},
        {"15min", 900000000, 0},
        {"3h", 10800000000, 0},
        {"7d", 604800000000, 0},
        {"2w", 1209600000000, 0},
        {"250ms", 250000, 0},
        {"5us", 5, 0},
        {"30", 30000000, 0},
        {"0", 0, 0},
        {"1.5h", 5400000000, 0},
        {".5s", 500000, 0},
        {"0.0000004s", 0, 0},
        {"1e3s", 1000000000, 0},
        {"9223372036854s", 9223372036854000000, 0},
        {"9223372036855s", 0, WEIR_EINVAL},
        {"1e300w", 0, WEIR_EINVAL},
        {"99999999999999999999s", 0, WEIR_EINVAL},
        {"-1s", 0, WEIR_EINVAL},
        {"-0.5h", 0, WEIR_EINVAL},
        {"", 0, WEIR_EPARSE},
        {"s", 0, WEIR_EPARSE},
        {"5 s", 0, WEIR_EPARSE},
        {"5x", 0, WEIR_EPARSE},
        {"5S", 0, WEIR_EPARSE},
        {"1h30m", 0, WEIR_EPARSE},
        {"inf", 0, WEIR_EPARSE},
        {"nan", 0, WEIR_EPARSE},
        {"5s ", 0, WEIR_EPARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = 4711;
        int rc = wr_num_duration_us(&us, wr_str_of(cases[i].text), NULL);
        if (rc != cases[i].code || us != (rc ? 4711 : cases[i].us))
            fail_msg("'%s': %d, %lld", cases[i].text, rc, (long long)us);
    }
}

static void test_size(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
        int code;
    } cases[] = {
        {"0", 0, 0},
        {"4096", 4096, 0},
        {"17B", 17, 0},
        {"512k", 512000, 0},
        {"512kB", 512000, 0},
        {"512KB", 512000, 0},
        {"512Ki", 524288, 0},
        {"64MiB", 67108864, 0},
        {"64mib", 67108864, 0},
        {"1GB", 1000000000, 0},
        {"1.5GiB", 1610612736, 0},
        {"2T", 2000000000000, 0},
        {"1PiB", 1ULL << 50, 0},
        {"8191PiB", 8191ULL << 50, 0},
        {"8192PiB", 0, WEIR_EINVAL},
        {"-1", 0, WEIR_EINVAL},
        {"1e30", 0, WEIR_EINVAL},
        {"", 0, WEIR_EPARSE},
        {"B", 0, WEIR_EPARSE},
        {"MiB", 0, WEIR_EPARSE},
        {"1 MB", 0, WEIR_EPARSE},
        {"1bb", 0, WEIR_EPARSE},
        {"1x", 0, WEIR_EPARSE},
        {"1i", 0, WEIR_EPARSE},
        {"nanB", 0, WEIR_EPARSE},
        {"1MB,", 0, WEIR_EPARSE},
        {"1000000000000000000000000000000000000000000000000000000000000000000000", 0, WEIR_EPARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v = 4711;
        int rc = wr_num_size(&v, wr_str_of(cases[i].text), NULL);
        if (rc != cases[i].code || v != (rc ? 4711 : cases[i].bytes)) {
            fail_msg("'%s': %d, %llu", cases[i].text, rc, (unsigned long long)v);
        }
    }
}

typedef struct {
    double v;
    const char *text;
} form;

static void check_forms(char *(*fmt)(char *, double), const form *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char out[WR_NUM_TEXT];
        assert_ptr_equal(fmt(out, cases[i].v), out);
        if (strcmp(out, cases[i].text) != 0) fail_msg("%.17g: '%s', not '%s'", cases[i].v, out, cases[i].text);
    }
}

static char *fmt_joule(char *out, double v) { return wr_fmt_si(out, v, "J"); }

static void test_forms(void **state)
{
    (void)state;
    static const form bytes[] = {
        {0, "0 B"},           {999, "999 B"},       {999.6, "1.0 kB"}, {1000, "1.0 kB"}, {17600000, "17.6 MB"},
        {999949, "999.9 kB"}, {999951, "1.0 MB"},   {2.5e9, "2.5 GB"}, {1e18, "1.0 EB"}, {-1500, "-1.5 kB"},
        {1e30, "1e+12 EB"},   {INFINITY, "inf EB"},
    };
    static const form counts[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {3000000, "3,000,000"},
        {-1234567, "-1,234,567"},
        {-999, "-999"},
        {99999.5, "100,000"},
        {1e17, "100,000,000,000,000,000"},
        {1e18, "1e+18"},
        {NAN, "nan"},
    };
    static const form seconds[] = {
        {0, "0 ns"},         {2e-8, "20 ns"},       {850e-6, "850 us"},     {1.5e-3, "1.5 ms"},
        {0.25, "250 ms"},    {0.99999, "1.0 s"},    {1.2, "1.2 s"},         {12.34, "12.3 s"},
        {59.94, "59.9 s"},   {59.96, "1 min"},      {192, "3 min 12 s"},    {3599.4, "59 min 59 s"},
        {3599.9, "1 h"},     {3660, "1 h 1 min"},   {84700, "23 h 32 min"}, {86399, "1 d"},
        {100800, "1 d 4 h"}, {-192, "-3 min 12 s"}, {1e9, "11574 d 2 h"},   {1e13, "1e+13 s"},
        {INFINITY, "inf s"},
    };
    static const form si[] = {
        {0, "0 J"},           {0.0123, "12.3 mJ"}, {4100, "4.1 kJ"}, {1, "1.0 J"},       {999.96, "1.0 kJ"},
        {-2.5e-6, "-2.5 uJ"}, {3.6e6, "3.6 MJ"},   {1e-9, "1.0 nJ"}, {1e25, "1e+10 PJ"}, {1e-15, "0.0 nJ"},
    };
    check_forms(wr_fmt_bytes, bytes, sizeof bytes / sizeof *bytes);
    check_forms(wr_fmt_count, counts, sizeof counts / sizeof *counts);
    check_forms(wr_fmt_seconds, seconds, sizeof seconds / sizeof *seconds);
    check_forms(fmt_joule, si, sizeof si / sizeof *si);
    char out[WR_NUM_TEXT];
    wr_fmt_si(out, DBL_MAX, "a unit that is far too long for the place");
    assert_int_equal(strlen(out), WR_NUM_TEXT - 1);
    double extremes[] = {DBL_MAX, -DBL_MAX, DBL_MIN, -INFINITY, -1e18, -999999999999999999., -1e12, -9.99e11};
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) { /* for the sanitizer: no write past the end */
        assert_true(strlen(wr_fmt_bytes(out, extremes[i])) < WR_NUM_TEXT);
        assert_true(strlen(wr_fmt_count(out, extremes[i])) < WR_NUM_TEXT);
        assert_true(strlen(wr_fmt_seconds(out, extremes[i])) < WR_NUM_TEXT);
        assert_true(strlen(fmt_joule(out, extremes[i])) < WR_NUM_TEXT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_i64),
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_f64_special),
        cmocka_unit_test(test_f64_twin),
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_text_shortest),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
