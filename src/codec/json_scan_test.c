/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/rng.h"
#include "codec/json_scan.h"

static wr_arena *arena;
static wr_err err;

static wr_jscan scan(const char *text)
{
    wr_jscan s;
    err = (wr_err){0};
    wr_jscan_init(&s, wr_str_of(text), arena, &err);
    return s;
}

static void test_walk(void **state)
{
    (void)state;
    wr_jscan s = scan(" { \"a\" : [1, -2.5 ,\"x\"] ,\"b\":{}, \"c\":[ ], \"d\":{\"e\":[[],{}]} , \"f\":null } ");
    bool top, list;
    wr_str key, text;
    wr_jnumber n;
    assert_int_equal(wr_jscan_open(&s, '{', &top), 0);
    assert_int_equal(wr_jscan_member(&s, &top, &key), 1);
    assert_true(wr_str_is(key, "a"));
    assert_int_equal(wr_jscan_open(&s, '[', &list), 0);
    assert_int_equal(wr_jscan_item(&s, &list), 1);
    assert_int_equal(wr_jscan_number(&s, &n), 0);
    assert_true(n.whole && n.magnitude == 1 && !n.minus && n.real == 1);
    assert_int_equal(wr_jscan_item(&s, &list), 1);
    assert_int_equal(wr_jscan_number(&s, &n), 0);
    assert_true(!n.whole && n.real == -2.5);
    assert_int_equal(wr_jscan_item(&s, &list), 1);
    assert_int_equal(wr_jscan_str(&s, &text), 0);
    assert_true(wr_str_is(text, "x"));
    assert_int_equal(wr_jscan_item(&s, &list), 0);
    static const char *const rest[] = {"{}", "[ ]", "{\"e\":[[],{}]}", "null"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(wr_jscan_member(&s, &top, &key), 1);
        assert_int_equal(wr_jscan_skip(&s, &text), 0);
        assert_true(wr_str_is(text, rest[i]));
    }
    assert_int_equal(wr_jscan_member(&s, &top, &key), 0);
    assert_int_equal(wr_jscan_end(&s), 0);
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text; /* text NULL: refused */
    } all[] = {{"\"\"", ""},
               {"\"plain\"", "plain"},
               {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz"},
               {"\"\\u00e4\\u20AC\\ud83d\\ude00\"", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
               {"\"\xc3\xa4\"", "\xc3\xa4"},
               {"\"\\ud83d\"", NULL},
               {"\"\\ude00\"", NULL},
               {"\"\\ud83dx\\ude00\"", NULL},
               {"\"\\u12g4\"", NULL},
               {"\"\\u12\"", NULL},
               {"\"\\x\"", NULL},
               {"\"\xff\"", NULL},
               {"\"\\\xff\"", NULL},
               {"\"\n\"", NULL},
               {"\"open", NULL},
               {"\"open\\", NULL},
               {"\"open\\\"", NULL},
               {"x", NULL},
               {"", NULL}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wr_jscan s = scan(all[i].json);
        wr_str text;
        int rc = wr_jscan_str(&s, &text);
        if (rc != (all[i].text ? 0 : WEIR_EPARSE)) fail_msg("%s: %d", all[i].json, rc);
        if (rc == 0 && !wr_str_is(text, all[i].text)) fail_msg("%s: %.*s", all[i].json, WR_STR_FMT(text));
    }
    wr_jscan s = scan("\"\\u0000\"");
    wr_str text;
    assert_int_equal(wr_jscan_str(&s, &text), 0);
    assert_true(text.n == 1 && text.p[0] == 0);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool ok, whole;
        double real;
    } all[] = {{"0]", true, true, 0},
               {"-0]", true, true, 0},
               {"12]", true, true, 12},
               {"-12 ", true, true, -12},
               {"9223372036854775807,", true, true, 0x1p63},
               {"-9223372036854775808,", true, true, -0x1p63},
               {"18446744073709551615]", true, true, 0x1p64},
               {"18446744073709551616]", true, false, 0x1p64},
               {"0.5]", true, false, 0.5},
               {"123456789.125]", true, false, 123456789.125},
               {"0.1]", true, false, 0.1},
               {"9007199254740993.5]", true, false, 9007199254740994.0},
               {"1e3]", true, false, 1000},
               {"1.5E-3]", true, false, 0.0015},
               {"4.9406564584124654e-324]", true, false, 5e-324},
               {"2.2250738585072011e-308]", true, false, 2.2250738585072011e-308},
               {"123456789012345678901234567890]", true, false, 1.2345678901234568e29},
               {"01]", false, false, 0},
               {"-]", false, false, 0},
               {"1.]", false, false, 0},
               {".5]", false, false, 0},
               {"+1]", false, false, 0},
               {"1e]", false, false, 0},
               {"1e+]", false, false, 0},
               {"1.5.2]", false, false, 0},
               {"1-2]", false, false, 0},
               {"1e999]", false, false, 0},
               {"0x1]", true, true, 0}, /* the x is for who comes next */
               {"12", false, false, 0}, /* cut */
               {"NaN]", false, false, 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wr_jscan s = scan(all[i].json);
        wr_jnumber n;
        int rc = wr_jscan_number(&s, &n);
        if (rc != (all[i].ok ? 0 : WEIR_EPARSE)) fail_msg("%s: %d %s", all[i].json, rc, err.msg);
        if (rc == 0 && (n.whole != all[i].whole || n.real != all[i].real)) fail_msg("%s: %.17g", all[i].json, n.real);
    }
}

/* Numbers of any length, near the end of the text and far from it, against strtod. */
static void test_random_numbers(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 7);
    for (int i = 0; i < 200000; i++) {
        char text[120];
        int n = 0, before = 1 + (int)wr_rng_below(&r, i % 5 ? 3 : 21), after = (int)wr_rng_below(&r, 22),
            zeros = (int)wr_rng_below(&r, 12);
        if (wr_rng_below(&r, 2)) text[n++] = '-';
        for (int k = 0; k < before; k++)
            text[n++] = (char)('0' + (k == 0 && before > 1 ? 1 + wr_rng_below(&r, 9) : wr_rng_below(&r, 10)));
        if (after) text[n++] = '.';
        for (int k = 0; k < after; k++) text[n++] = (char)('0' + (k < zeros && i % 3 == 0 ? 0 : wr_rng_below(&r, 10)));
        if (i % 7 == 0) n += snprintf(text + n, 8, "e%d", (int)wr_rng_below(&r, 40) - 20);
        text[n] = 0;
        double want = strtod(text, NULL);
        int length = n;
        n += snprintf(text + n, 40, "%.*s", 1 + (int)wr_rng_below(&r, 12), i % 2 ? "]}]}12345678" : ",0.12345678901");
        wr_jscan s = scan(text);
        const char *from = s.at;
        wr_jnumber got;
        if (wr_jscan_number(&s, &got) < 0) fail_msg("%s: %s", text, err.msg);
        if (got.real != want || s.at - from != length)
            fail_msg("%s: %.17g, %d bytes", text, got.real, (int)(s.at - from));
        if (got.whole && (double)got.magnitude != fabs(want)) fail_msg("%s: whole", text);
    }
}

/* What ends a run of plain bytes, at every place of it. */
static void test_long_strings(void **state)
{
    (void)state;
    static const char *const what[] = {"\"", "\\n", "\xc3\xa4", "\xff", "\x1f", "\x80", "\\\""}, *const is[] = {
                                                                                                     "",         "\n",
                                                                                                     "\xc3\xa4", NULL,
                                                                                                     NULL,       NULL,
                                                                                                     "\""};
    for (size_t k = 0; k < sizeof what / sizeof *what; k++) {
        for (int before = 0; before < 20; before++) {
            for (int after = 0; after < 12; after++) {
                char text[60], want[60];
                snprintf(text, sizeof text, "\"%.*s%s%.*s%s", before, "~ abcdefghijklmnopqrstuvwxyz", what[k], after,
                         "ZYXWVUTSRQPONML", k ? "\"]" : "]");
                snprintf(want, sizeof want, "%.*s%s%.*s", before, "~ abcdefghijklmnopqrstuvwxyz", is[k] ? is[k] : "",
                         k ? after : 0, "ZYXWVUTSRQPONML");
                wr_jscan s = scan(text);
                wr_str got;
                int rc = wr_jscan_str(&s, &got);
                if (rc != (is[k] ? 0 : WEIR_EPARSE)) fail_msg("%s: %d", text, rc);
                if (rc == 0 && !wr_str_is(got, want)) fail_msg("%s: %.*s", text, WR_STR_FMT(got));
            }
        }
    }
}

static void test_errors(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "{",    "[",      "[1",    "[1 2]", "{\"a\"}",    "{\"a\" 1}",     "{a:1}",     "{\"a\":1,}",
        "[1,]",  "[,1]", "[1}",    "{]",    "tru]",  "{\"a\":}",   "[\"a\" \"b\"]", "[nul]",     "[1]]",
        "{} {}", "[+1]", "[-Inf]", "[nan]", "\x01",  "[\"\x01\"]", "[[[1]]",        "{\"a\":[1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wr_jscan s = scan(bad[i]);
        int rc = wr_jscan_skip(&s, NULL);
        if (rc == 0) rc = wr_jscan_end(&s);
        if (rc != WEIR_EPARSE) fail_msg("%s: %d", bad[i], rc);
    }
    wr_jscan s = scan("[1, 2; 3]");
    assert_int_equal(wr_jscan_skip(&s, NULL), WEIR_EPARSE);
    assert_string_equal(err.msg, "JSON at byte 5: expected ',' or ']'");
}

static void test_depth(void **state)
{
    (void)state;
    enum { MOST = 100 };
    char text[2 * MOST + 8];
    for (int n = MOST; n <= MOST + 1; n++) {
        memset(text, '[', (size_t)n);
        memset(text + n, ']', (size_t)n);
        text[2 * n] = 0;
        wr_jscan s = scan(text);
        assert_int_equal(wr_jscan_skip(&s, NULL), n <= MOST ? 0 : WEIR_EPARSE);
    }
    assert_non_null(strstr(err.msg, "JSON nesting depth exceeds maximum allowed limit (100)"));
    char *deep = malloc(500001);
    memset(deep, '[', 500000);
    deep[500000] = 0;
    wr_jscan s = scan(deep);
    assert_int_equal(wr_jscan_skip(&s, NULL), WEIR_EPARSE);
    free(deep);
}

/* The text may end where a page ends: nothing behind it is read. */
static void test_no_reading_beyond(void **state)
{
    (void)state;
    static const char json[] = "{\"a\":[1.5e3,12345678901234567890123,\"\\u00e4\",true,null]}";
    for (size_t n = 0; n < sizeof json - 1; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, json, n);
        wr_jscan s;
        wr_jscan_init(&s, (wr_str){exact, n}, arena, NULL);
        char *fit = realloc(exact, n ? n : 1); /* for the sanitizer */
        wr_jscan_init(&s, (wr_str){fit, n}, arena, NULL);
        assert_int_equal(wr_jscan_skip(&s, NULL), WEIR_EPARSE);
        free(fit);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    wr_arena *small = wr_arena_new(64);
    wr_jscan s;
    wr_str text;
    char json[5000];
    memset(json, 'a', sizeof json);
    memcpy(json, "\"\\n", 3);
    json[sizeof json - 1] = '"';
    wr_jscan_init(&s, (wr_str){json, sizeof json}, small, &err);
    assert_int_equal(wr_jscan_str(&s, &text), WEIR_ENOMEM);
    wr_arena_free(small);
}

static int set_up(void **state)
{
    (void)state;
    arena = wr_arena_new(0);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    wr_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),   cmocka_unit_test(test_strings),           cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_random_numbers),    cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_depth),  cmocka_unit_test(test_no_reading_beyond), cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
