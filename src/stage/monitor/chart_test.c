/* SPDX-License-Identifier: Apache-2.0 */
/* chart_test.c - lines with gaps, single points, hostile names; coordinates stay inside the picture. */
#include "stage/monitor/chart.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static void expect_text(const char *in, const char *out)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_html_text(&b, in);
    assert_string_equal(wr_buf_cstr(&b), out);
}

static void test_html_text(void **state)
{
    (void)state;
    expect_text("", "");
    expect_text("a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;");
    expect_text("grün – ≤", "grün – ≤");
    expect_text("\x01\x7f", "\xEF\xBF\xBD\xEF\xBF\xBD");
    expect_text("x\xFFy\xC3", "x\xEF\xBF\xBDy\xEF\xBF\xBD");
    expect_text("\xF0\x9F\x98\x80\xF0\x9F", "\xF0\x9F\x98\x80\xEF\xBF\xBD\xEF\xBF\xBD");
    expect_text("a\tb\n", "a\tb\n");
}

static void test_day(void **state)
{
    char text[32];
    (void)state;
    wr_chart_day(text, 0);
    assert_string_equal(text, "1 Jan");
    wr_chart_day(text, wr_time_from_civil(2001, 12, 31) + 14 * WR_DAY_US / 24 + 5 * 60 * WR_US);
    assert_string_equal(text, "31 Dec 14:05");
}

/* Every number after cx=, cy=, x1= ... lies inside the picture. */
static void inside(const char *svg)
{
    static const char *const names[] = {" cx=", " cy=", " x1=", " x2=", " y1=", " y2=", " x=", " y="};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (const char *at = strstr(svg, names[k]); at; at = strstr(at + 1, names[k])) {
            double v = strtod(at + strlen(names[k]), NULL);
            if (!(v >= -1 && v <= 961)) fail_msg("%.60s", at);
        }
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what)) n++;
    return n;
}

static void test_lines(void **state)
{
    (void)state;
    enum { N = 10 };
    int64_t t[N];
    double a[N], b[N], none[N];
    WR_AUTOBUF wr_buf out;
    wr_buf_init(&out, 0);
    for (int i = 0; i < N; i++) {
        t[i] = i * WR_DAY_US;
        a[i] = i == 4 ? NAN : 0.1 * i;
        b[i] = -3 + i;
        none[i] = i % 2 ? NAN : INFINITY;
    }
    wr_chart_line lines[] = {{"<a>", a, 0}, {"b", b, 1}, {"none", none, 2}};
    wr_chart_mark marks[] = {{-5 * WR_DAY_US, 1}, {3 * WR_DAY_US, 2}, {3 * WR_DAY_US, 3}, {99 * WR_DAY_US, 4}};
    wr_chart c = {.title = "T",
                  .note = "n&n",
                  .t = t,
                  .n = N,
                  .lines = lines,
                  .nlines = 3,
                  .marks = marks,
                  .nmarks = 4,
                  .has_bound = true,
                  .bound = 0.5,
                  .bound_name = "b<",
                  .height = 100};
    wr_chart_svg(&out, &c);
    const char *svg = wr_buf_cstr(&out);
    inside(svg);
    assert_int_equal(count(svg, "<path "), 3);
    assert_int_equal(count(svg, "<title>"), 9 + 10);
    assert_int_equal(count(svg, "<line class=mark"), 4);
    assert_non_null(strstr(svg, "&lt;a&gt;"));
    assert_null(strstr(svg, "<a>"));
    const char *first = strstr(svg, "d=\"");
    WR_AUTOBUF wr_buf path;
    wr_buf_init(&path, 0);
    wr_buf_add(&path, first, strcspn(first + 3, "\"") + 3);
    assert_int_equal(count(wr_buf_cstr(&path), "M"), 2); /* a gap begins a new piece */
    assert_null(strstr(svg, ">none</text>"));            /* a line without points has no name */
}

static void test_degenerate(void **state)
{
    static const double levels[] = {0, 1, -1, 1e-300, 1e300, -1e300, 0.9999999999, INFINITY, NAN};
    (void)state;
    for (size_t k = 0; k < sizeof levels / sizeof *levels; k++)
        for (int zero = 0; zero < 2; zero++) {
            int64_t t[] = {INT64_C(991958400000000), INT64_C(991958400000000)};
            double v[] = {levels[k], levels[k]};
            WR_AUTOBUF wr_buf out;
            wr_buf_init(&out, 1 << 20);
            wr_chart_line line = {"x", v, 0};
            wr_chart c = {.title = "T",
                          .note = "",
                          .t = t,
                          .n = 1,
                          .lines = &line,
                          .nlines = 1,
                          .from_zero = zero,
                          .height = 100};
            wr_chart_svg(&out, &c);
            inside(wr_buf_cstr(&out));
            c.n = 2; /* the same moment twice */
            wr_chart_svg(&out, &c);
            c.n = 0;
            size_t before = out.n;
            wr_chart_svg(&out, &c);
            assert_int_equal(out.n, before);
            assert_false(out.failed);
            inside(wr_buf_cstr(&out));
        }
}

/* Long spans do not make thousands of ticks. */
static void test_time_axis(void **state)
{
    static const int days[] = {1, 2, 9, 60, 400, 5000, 60000};
    (void)state;
    for (size_t k = 0; k < sizeof days / sizeof *days; k++) {
        int64_t t[] = {0, days[k] * WR_DAY_US};
        double v[] = {0, 1};
        WR_AUTOBUF wr_buf out;
        wr_buf_init(&out, 0);
        wr_chart_line line = {"x", v, 0};
        wr_chart c = {.title = "T", .note = "", .t = t, .n = 2, .lines = &line, .nlines = 1, .height = 100};
        wr_chart_svg(&out, &c);
        size_t ticks = count(wr_buf_cstr(&out), "text-anchor=middle");
        if (ticks < 1 || ticks > 14) fail_msg("%d days: %zu ticks", days[k], ticks);
        inside(wr_buf_cstr(&out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_html_text), cmocka_unit_test(test_day),
                                       cmocka_unit_test(test_lines), cmocka_unit_test(test_degenerate),
                                       cmocka_unit_test(test_time_axis)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
