/* SPDX-License-Identifier: Apache-2.0 */
/* str_test.c - slices, UTF-8 against a slow twin, the nearest word, the buffer and its failures. */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"

/* Runs `act` in a child with stderr closed; how the child ended. */
static int ends(void (*act)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

#define CUT(s) ((wr_str){s, sizeof(s) - 1})

static void test_compare(void **state)
{
    (void)state;
    assert_true(wr_str_ieq(WR_STR("Content-LENGTH"), "content-length"));
    assert_false(wr_str_ieq(WR_STR("a"), "ab"));
    assert_false(wr_str_ieq(WR_STR("ab"), "a"));
    assert_false(wr_str_ieq(WR_STR("["), "{")); /* differ by 32 but are no letters */
    assert_false(wr_str_ieq(CUT("a\0"), "a"));
    assert_true(wr_str_ieq((wr_str){0}, ""));
    assert_true(wr_str_eq((wr_str){0}, WR_STR("")));
    assert_true(wr_str_is(wr_str_of(NULL), ""));
    assert_true(wr_str_starts(WR_STR("abc"), "ab") && wr_str_starts(WR_STR("abc"), "") &&
                wr_str_starts((wr_str){0}, ""));
    assert_false(wr_str_starts(WR_STR("a"), "ab"));
    assert_true(wr_str_ends(WR_STR("abc"), "bc") && wr_str_ends(WR_STR("abc"), ""));
    assert_false(wr_str_ends(WR_STR("c"), "bc"));
    assert_true(wr_str_cmp(WR_STR("a"), WR_STR("b")) < 0);
    assert_true(wr_str_cmp(WR_STR("a"), WR_STR("aa")) < 0);
    assert_true(wr_str_cmp(WR_STR("b"), WR_STR("aa")) > 0);
    assert_true(wr_str_cmp(WR_STR("\xFF"), WR_STR("a")) > 0); /* unsigned bytes */
    assert_int_equal(wr_str_cmp((wr_str){0}, WR_STR("")), 0);
}

static void test_trim_and_sub(void **state)
{
    (void)state;
    assert_true(wr_str_is(wr_str_trim(WR_STR(" \t\r\na b\n ")), "a b"));
    assert_int_equal(wr_str_trim(WR_STR(" \n ")).n, 0);
    assert_int_equal(wr_str_trim((wr_str){0}).n, 0);
    wr_str s = WR_STR("abcdef");
    assert_true(wr_str_is(wr_str_sub(s, 2, 4), "cd"));
    assert_true(wr_str_is(wr_str_sub(s, 4, 99), "ef"));
    assert_int_equal(wr_str_sub(s, 99, 100).n, 0);
    assert_int_equal(wr_str_sub(s, 4, 2).n, 0);
    assert_int_equal(wr_str_sub((wr_str){0}, 1, SIZE_MAX).n, 0);
}

static void test_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int n;
        const char *parts[4];
    } cases[] = {
        {"a,b,c", 3, {"a", "b", "c"}},    {"abc", 1, {"abc"}}, {"", 1, {""}}, {",", 2, {"", ""}},
        {"a,,b,", 4, {"a", "", "b", ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_str rest = wr_str_of(cases[i].text);
        int n = 0;
        while (rest.p) {
            assert_true(n < cases[i].n);
            assert_true(wr_str_is(wr_str_cut(&rest, ','), cases[i].parts[n++]));
        }
        assert_int_equal(n, cases[i].n);
    }
    wr_str none = {0};
    assert_int_equal(wr_str_cut(&none, ',').n, 0);
    assert_null(none.p);
}

/* ---- UTF-8 ---- */

static void test_utf8_table(void **state)
{
    (void)state;
    static const struct {
        wr_str s;
        bool ok;
    } cases[] = {
        {CUT(""), true},
        {CUT("plain"), true},
        {CUT("\0"), true},
        {CUT("\x7F"), true},
        {CUT("\xC2\x80"), true},
        {CUT("\xDF\xBF"), true},
        {CUT("\xE0\xA0\x80"), true},
        {CUT("\xED\x9F\xBF"), true},
        {CUT("\xEE\x80\x80"), true},
        {CUT("\xEF\xBF\xBF"), true},
        {CUT("\xF0\x90\x80\x80"), true},
        {CUT("\xF4\x8F\xBF\xBF"), true},
        {CUT("12345678gr\xC3\xBC\xC3\x9F"), true},
        {CUT("\x80"), false},             /* continuation alone */
        {CUT("\xC0\x80"), false},         /* overlong NUL */
        {CUT("\xC1\xBF"), false},         /* overlong */
        {CUT("\xE0\x9F\xBF"), false},     /* overlong */
        {CUT("\xF0\x8F\xBF\xBF"), false}, /* overlong */
        {CUT("\xED\xA0\x80"), false},     /* surrogate D800 */
        {CUT("\xED\xBF\xBF"), false},     /* surrogate DFFF */
        {CUT("\xF4\x90\x80\x80"), false}, /* U+110000 */
        {CUT("\xF5\x80\x80\x80"), false},
        {CUT("\xFF"), false},
        {CUT("\xC3"), false}, /* ends early */
        {CUT("\xE2\x82"), false},
        {CUT("\xF0\x9F\x98"), false},
        {CUT("\xC3("), false},
        {CUT("\xE2\x82("), false},
        {CUT("1234567\x80"), false}, /* inside the eight-byte stride */
        {CUT("12345678\xC3"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_int_equal(wr_str_utf8(cases[i].s), cases[i].ok);
}

/* Decodes and judges the value: slow, but another way round than str.c. */
static bool utf8_twin(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < n;) {
        size_t len = p[i] < 0x80 ? 1 : (p[i] >> 5) == 6 ? 2 : (p[i] >> 4) == 14 ? 3 : (p[i] >> 3) == 30 ? 4 : 0;
        if (len == 0 || i + len > n) return false;
        uint32_t c = len == 1 ? p[i] : p[i] & (0x7Fu >> len);
        for (size_t k = 1; k < len; k++) {
            if ((p[i + k] >> 6) != 2) return false;
            c = c << 6 | (p[i + k] & 0x3F);
        }
        if (c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return false;
        i += len;
    }
    return true;
}

static void test_utf8_twin(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                          0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF};
    enum { K = sizeof bytes };
    for (unsigned lead = 0; lead < 256; lead++) {
        for (unsigned i = 0; i < 256 * K * K; i++) {
            const unsigned char s[4] = {(unsigned char)lead, (unsigned char)i, bytes[(i >> 8) % K],
                                        bytes[(i >> 8) / K]};
            for (size_t n = i < 256 ? 1 : 4; n <= 4; n++) {
                bool got = wr_str_utf8((wr_str){(const char *)s, n});
                if (got != utf8_twin(s, n)) fail_msg("%02x %02x %02x %02x, length %zu", s[0], s[1], s[2], s[3], n);
            }
        }
    }
}

static void test_fit(void **state)
{
    (void)state;
    wr_str s = CUT("a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80z"); /* 1, 2, 3, 4 and 1 bytes */
    const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
    for (size_t max = 0; max < sizeof want / sizeof *want; max++) assert_int_equal(wr_str_fit(s, max).n, want[max]);
    assert_int_equal(wr_str_fit(CUT("\x80\x80\x80\x80\x80\x80\x80"), 6).n, 6); /* not UTF-8: cut anywhere */
    assert_int_equal(wr_str_fit((wr_str){0}, 3).n, 0);
}

/* ---- words ---- */

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"train", "predict", "evaluate", "serve", "mse", "rmse", "a"};
    static const struct {
        const char *s;
        int at;
    } cases[] = {
        {"train", 0}, {"trian", 0}, {"tran", 0},    {"traiin", 0}, {"evalaute", 2},  {"prdict", 1}, {"evaluates", 2},
        {"sevre", 3}, {"mae", 4},   {"rmsee", 5},   {"xyz", -1},   {"", -1},         {"b", -1},     {"trxxx", -1},
        {"a", 6},     {"aa", 6},    {"deploy", -1}, {"mse", 4},    {"predictor", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int at = wr_str_nearest(wr_str_of(cases[i].s), words, 7);
        if (at != cases[i].at) fail_msg("'%s': %d, not %d", cases[i].s, at, cases[i].at);
    }
    assert_int_equal(wr_str_nearest(WR_STR("x"), NULL, 0), -1);
    char longest[66];
    memset(longest, 'x', sizeof longest);
    longest[65] = 0;
    const char *const list[] = {longest, longest + 1};
    assert_int_equal(wr_str_nearest(wr_str_of(longest + 1), list, 2), 1);
    assert_int_equal(wr_str_nearest(wr_str_of(longest), list, 2), -1); /* too long to look at */
}

static void test_name(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "Z9", "_x", "0", "churn-model.v2", "a..b"};
    static const char *const wrong[] = {"",    ".",   "..",       "-x",   ".x",  "a/b",
                                        "a b", "a\n", "\xC3\xBC", "a\\b", "a:b", "a@"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(wr_name_ok(wr_str_of(good[i])));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(wr_name_ok(wr_str_of(wrong[i])));
    assert_false(wr_name_ok(CUT("a\0b")));
    char text[WR_LIMIT_NAME + 1];
    memset(text, 'a', sizeof text);
    assert_true(wr_name_ok((wr_str){text, WR_LIMIT_NAME}));
    assert_false(wr_name_ok((wr_str){text, WR_LIMIT_NAME + 1}));
}

/* ---- the buffer ---- */

static void test_buf_append(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    assert_string_equal(wr_buf_cstr(&b), "");
    wr_buf_str(&b, "a");
    wr_buf_str(&b, NULL);
    wr_buf_char(&b, 'b');
    wr_buf_slice(&b, WR_STR("cd"));
    wr_buf_add(&b, NULL, 0);
    wr_buf_printf(&b, "[%d %s]", 7, "x");
    wr_buf_i64(&b, INT64_MIN);
    wr_buf_char(&b, ' ');
    wr_buf_i64(&b, INT64_MAX);
    wr_buf_char(&b, ' ');
    wr_buf_i64(&b, 0);
    wr_buf_f64(&b, -1.5);
    assert_string_equal(wr_buf_cstr(&b), "abcd[7 x]-9223372036854775808 9223372036854775807 0-1.5");
    assert_int_equal(b.n, strlen(b.p));
    wr_buf_clear(&b);
    assert_string_equal(wr_buf_cstr(&b), "");
    wr_buf_printf(&b, "%*d", 5000, 1); /* does not fit at first */
    assert_int_equal(b.n, 5000);
    assert_int_equal(b.p[4999], '1');
    wr_buf_printf(&b, "%s", "");
    assert_int_equal(b.n, 5000);
    assert_false(b.failed);
}

static void test_buf_zeroed(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_clear(&b);
    wr_buf_printf(&b, "%d", 1);
    wr_buf_str(&b, "x");
    assert_string_equal(wr_buf_cstr(&b), "1x");
}

static void test_buf_max(void **state)
{
    (void)state;
    for (size_t max = 1; max < 300; max += 7) {
        WR_AUTOBUF wr_buf b;
        wr_buf_init(&b, max);
        for (size_t i = 0; i < max; i++) wr_buf_char(&b, 'x');
        assert_false(b.failed);
        assert_true(b.cap <= max + 1);
        wr_buf_char(&b, 'y');
        assert_true(b.failed);
        assert_int_equal(b.n, max);
        assert_int_equal(strlen(b.p), max);
        wr_buf_clear(&b);
        wr_buf_printf(&b, "%*d", (int)max, 1);
        assert_false(b.failed);
        wr_buf_clear(&b);
        wr_buf_str(&b, "");
        wr_buf_printf(&b, "%*d", (int)max + 1, 1);
        assert_true(b.failed);
        assert_string_equal(wr_buf_cstr(&b), ""); /* nothing half done */
        wr_buf_str(&b, "z");
        assert_int_equal(b.n, 0); /* and nothing after it */
        assert_false(wr_buf_reserve(&b, 0));
    }
    WR_AUTOBUF wr_buf b = {0};
    assert_false(wr_buf_reserve(&b, SIZE_MAX));
    wr_buf_clear(&b);
    assert_false(wr_buf_reserve(&b, WR_BUF_MAX + 1));
}

static void test_buf_consume(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_consume(&b, 0);
    wr_buf_str(&b, "hello world");
    wr_buf_consume(&b, 6);
    assert_string_equal(b.p, "world");
    wr_buf_consume(&b, 0);
    wr_buf_consume(&b, 5);
    assert_string_equal(b.p, "");
    assert_int_equal(b.n, 0);
}

static void consume_too_much(void)
{
    wr_buf b = {0};
    wr_buf_consume(&b, 1);
}

static void test_buf_consume_too_much(void **state)
{
    (void)state;
    int status = ends(consume_too_much);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void build(wr_buf *b)
{
    for (int i = 0; i < 40; i++) {
        wr_buf_str(b, "some text, ");
        wr_buf_printf(b, "%d %s, ", i, "more");
        wr_buf_i64(b, i);
        wr_buf_f64(b, i / 3.0);
    }
}

static void test_buf_each_allocation_failing(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf whole = {0};
    build(&whole);
    bool fired = true;
    long n = 1;
    for (; fired; n++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        build(&b);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(b.failed, fired);
        assert_true(b.n <= whole.n && (b.n == whole.n) == !fired);
        assert_memory_equal(wr_buf_cstr(&b), whole.p, b.n); /* a clean prefix: nothing appended after the failure */
        assert_int_equal(strlen(wr_buf_cstr(&b)), b.n);
        wr_buf_clear(&b);
        wr_buf_str(&b, "usable again");
        assert_string_equal(b.p, "usable again");
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_trim_and_sub),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_utf8_table),
        cmocka_unit_test(test_utf8_twin),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_buf_append),
        cmocka_unit_test(test_buf_zeroed),
        cmocka_unit_test(test_buf_max),
        cmocka_unit_test(test_buf_consume),
        cmocka_unit_test(test_buf_consume_too_much),
        cmocka_unit_test(test_buf_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
