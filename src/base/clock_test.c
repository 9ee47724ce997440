/* SPDX-License-Identifier: Apache-2.0 */
/* clock_test.c - civil time against timegm and a slow calendar, parsing, formatting. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"

static void test_known_days(void **state)
{
    (void)state;
    static const struct {
        int y, m, d;
        int64_t seconds;
        int weekday, yearday;
    } days[] = {
        {1600, 1, 1, -11676096000, 5, 0},
        {1600, 2, 29, -11670998400, 1, 59},
        {1858, 11, 17, -3506716800, 2, 320},
        {1900, 1, 1, -2208988800, 0, 0},
        {1900, 3, 1, -2203891200, 3, 59},
        {1969, 12, 31, -86400, 2, 364},
        {1970, 1, 1, 0, 3, 0},
        {2000, 2, 29, 951782400, 1, 59},
        {2000, 3, 1, 951868800, 2, 60},
        {2001, 6, 14, 992476800, 3, 164},
        {2038, 1, 19, 2147472000, 1, 18},
        {2100, 2, 28, 4107456000, 6, 58},
        {2100, 3, 1, 4107542400, 0, 59},
        {2400, 2, 29, 13574563200, 1, 59},
        {2400, 12, 31, 13601001600, 6, 365},
        {1, 1, 1, -62135596800, 0, 0},
        {0, 2, 29, -62162121600, 1, 59},
        {-4, 2, 29, -62288352000, 3, 59},
    };
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        int64_t us = wr_time_from_civil(days[i].y, days[i].m, days[i].d);
        if (us != days[i].seconds * WR_US) fail_msg("row %zu: %lld", i, (long long)(us / WR_US));
        wr_civil c;
        wr_time_civil(&c, us + WR_DAY_US - 1);
        assert_int_equal(c.year, days[i].y);
        assert_int_equal(c.month, days[i].m);
        assert_int_equal(c.day, days[i].d);
        assert_int_equal(c.hour * 10000 + c.minute * 100 + c.second, 235959);
        if (c.weekday != days[i].weekday || c.yearday != days[i].yearday) {
            fail_msg("row %zu: weekday %d, yearday %d", i, c.weekday, c.yearday);
        }
    }
}

/* Counts days from 1600 to 2400 the way a child would, and compares timegm too. */
static void test_every_day(void **state)
{
    (void)state;
    const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t us = -11676096000 * WR_US;
    int weekday = 5;
    for (int y = 1600; y <= 2400; y++) {
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        int yearday = 0;
        for (int m = 1; m <= 12; m++) {
            for (int d = 1; d <= lengths[m - 1] + (leap && m == 2); d++) {
                wr_civil c;
                wr_time_civil(&c, us + 1);
                bool same = c.year == y && c.month == m && c.day == d && c.yearday == yearday && c.weekday == weekday;
                struct tm tm = {.tm_year = y - 1900, .tm_mon = m - 1, .tm_mday = d};
                if (!same || wr_time_from_civil(y, m, d) != us || timegm(&tm) * WR_US != us)
                    fail_msg("%d-%d-%d", y, m, d);
                us += WR_DAY_US;
                weekday = (weekday + 1) % 7;
                yearday++;
            }
        }
    }
}

static void test_carry_and_extremes(void **state)
{
    (void)state;
    assert_true(wr_time_from_civil(2001, 13, 1) == wr_time_from_civil(2002, 1, 1));
    assert_true(wr_time_from_civil(2001, 0, 1) == wr_time_from_civil(2000, 12, 1));
    assert_true(wr_time_from_civil(2001, -11, 31) == wr_time_from_civil(2000, 1, 31));
    assert_true(wr_time_from_civil(2001, 3, 0) == wr_time_from_civil(2001, 2, 28));
    assert_true(wr_time_from_civil(2001, 2, 29) == wr_time_from_civil(2001, 3, 1));
    assert_true(wr_time_from_civil(INT32_MAX, INT32_MAX, INT32_MAX) == INT64_MAX);
    assert_true(wr_time_from_civil(INT32_MIN, INT32_MIN, INT32_MIN) == INT64_MIN);
    wr_civil c;
    wr_time_civil(&c, INT64_MAX);
    assert_int_equal(c.year, 294247);
    wr_time_civil(&c, INT64_MIN);
    assert_int_equal(c.year, -290308);
    wr_time_civil(&c, -1);
    assert_int_equal(c.year * 10000 + c.month * 100 + c.day, 19691231);
    assert_int_equal(c.hour * 10000 + c.minute * 100 + c.second, 235959);
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"1970-01-01", 0},
        {"2001-06-14", 992476800000000},
        {"2001-06-14 13:05", 992523900000000},
        {"2001-06-14T13:05", 992523900000000},
        {"2001-06-14T13:05:07Z", 992523907000000},
        {"2001-06-14T13:05:07", 992523907000000},
        {"2001-06-14T13:05:07.250Z", 992523907250000},
        {"2001-06-14 13:05:07.1", 992523907100000},
        {"2001-06-14T13:05:07.123456Z", 992523907123456},
        {"2001-06-14T13:05:07.123456999Z", 992523907123456},
        {"2001-06-14T13:05:07+02:00", 992516707000000},
        {"2001-06-14T13:05-05:30", 992543700000000},
        {"2000-02-29T23:59:59.999999+00:00", 951868799999999},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"0000-01-01", -62167219200000000},
        {"9999-12-31T23:59:59Z", 253402300799000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = 1;
        wr_err err = {.code = 77};
        assert_int_equal(wr_time_parse(&us, wr_str_of(cases[i].text), &err), 0);
        if (us != cases[i].us) fail_msg("'%s': %lld", cases[i].text, (long long)us);
        assert_int_equal(err.code, 77); /* untouched on success */
    }
}

static void test_parse_rejects(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "x",
        "2001",
        "2001-06",
        "2001-6-14",
        "01-06-14",
        "2001-00-14",
        "2001-13-14",
        "2001-06-00",
        "2001-06-31",
        "2001-02-29",
        "1900-02-29",
        "2001-06-14 ",
        " 2001-06-14",
        "2001-06-14Z",
        "2001-06-14T",
        "2001-06-14T13",
        "2001-06-14T1:05",
        "2001-06-14T13:5",
        "2001-06-14T24:00",
        "2001-06-14T13:60",
        "2001-06-14T13:05:60",
        "2001-06-14T13:05:07.",
        "2001-06-14T13:05:07.Z",
        "2001-06-14T13:05:07.1234567890Z",
        "2001-06-14T13:05:07,5Z",
        "2001-06-14T13:05:07 Z",
        "2001-06-14T13:05:07ZZ",
        "2001-06-14T13:05:07+",
        "2001-06-14T13:05:07+2",
        "2001-06-14T13:05:07+0200",
        "2001-06-14T13:05:07+24:00",
        "2001-06-14T13:05:07+02:60",
        "2001-06-14T13:05:07+02:00x",
        "2001-06-14  13:05",
        "2001/06/14",
        "-001-06-14",
        "+2001-06-14",
        "2001-06-1x",
        "12001-06-14",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = 4711;
        wr_err err = {0};
        if (wr_time_parse(&us, wr_str_of(cases[i]), &err) != WEIR_EPARSE) fail_msg("'%s' was taken", cases[i]);
        assert_int_equal(us, 4711);
        assert_int_equal(err.code, WEIR_EPARSE);
        assert_non_null(strstr(err.msg, cases[i]));
        assert_true(err.hint[0]);
    }
    int64_t us;
    assert_int_equal(wr_time_parse(&us, (wr_str){"2001-06-14\0", 11}, NULL), WEIR_EPARSE);
    assert_int_equal(wr_time_parse(&us, (wr_str){"2001-06-14T13:05:07Z", 18}, NULL),
                     WEIR_EPARSE); /* reads only its slice */
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {992523907000000, "2001-06-14T13:05:07Z"},
        {992523907250000, "2001-06-14T13:05:07.250Z"},
        {992523907000001, "2001-06-14T13:05:07.000001Z"},
        {-62167219200000000, "0000-01-01T00:00:00Z"},
        {INT64_MAX, "+294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[WR_TIME_TEXT];
        wr_time_format(text, cases[i].us);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 1);
    const int64_t from = -62167219200000000, to = 253402300800000000; /* years 0 to 9999 */
    for (int i = 0; i < 20000; i++) {
        int64_t us = from + (int64_t)wr_rng_below(&r, (uint64_t)(to - from)), back;
        if (i % 3) us -= us % (i % 3 == 1 ? 1000 : WR_US);
        char text[WR_TIME_TEXT];
        wr_time_format(text, us);
        assert_int_equal(wr_time_parse(&back, wr_str_of(text), NULL), 0);
        if (back != us) fail_msg("%lld: '%s'", (long long)us, text);
    }
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t a = wr_clock_mono_ns();
    double cpu = wr_clock_cpu_s();
    assert_true(wr_clock_wall_us() > wr_time_from_civil(2020, 1, 1));
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    assert_true(wr_clock_mono_ns() - a >= 2000000);
    volatile double x = 0;
    for (int i = 0; i < 2000000; i++) x += i;
    assert_true(x > 0 && wr_clock_cpu_s() > cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_days),         cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_carry_and_extremes), cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_rejects),      cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),         cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
