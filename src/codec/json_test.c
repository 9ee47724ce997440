/* SPDX-License-Identifier: Apache-2.0 */
/* json_test.c - reading (limits, positions, strictness), getters, the writer, and every allocation failing in turn. */
#include "codec/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/limits.h"

/* ---- reading ---- */

static void parses(const char *text)
{
    wr_json j;
    wr_err err = {0};
    int rc = wr_json_parse(&j, wr_str_of(text), "x", &err);
    if (rc < 0) fail_msg("'%s': %s", text, err.msg);
    assert_non_null(j.root);
    wr_json_free(&j);
    assert_null(j.doc);
}

static void refused(const char *text, const char *where)
{
    wr_json j;
    wr_err err = {0};
    assert_int_equal(wr_json_parse(&j, wr_str_of(text), "conf.json", &err), WEIR_EPARSE);
    if (!strstr(err.msg, where)) fail_msg("'%s': '%s' has no '%s'", text, err.msg, where);
    assert_null(j.doc);
    wr_json_free(&j); /* fine after failure, and twice */
    wr_json_free(&j);
}

static void test_valid(void **state)
{
    (void)state;
    parses("1");
    parses("\"\"");
    parses("null");
    parses(" \t\r\n[ ] \n");
    parses("{\"a\":[1,2,{\"b\":null}]}");
    parses("\"\\u0000\"");
    parses("[18446744073709551615,-9223372036854775808,1e308]");
}

static void test_errors_name_the_place(void **state)
{
    (void)state;
    refused("", "conf.json: line 1, column 1:");
    refused(" \n ", "no value");
    refused("{\"a\": 1,}", "line 1, column 8: trailing comma");
    refused("{\n  \"a\": 1,\n  b: 2\n}", "line 3, column 3:");
    refused("[1, 2", "line 1, column 6: the text ends");
    refused("{\"\xc3\xa9\": x}", "line 1, column 7:"); /* characters, not bytes */
    refused("[\n\n\"abc", "line 3, column 5:");
}

static void test_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {"NaN",         "[Infinity]", "[-Infinity]",   "'a'",    "[01]",      "[1.]",
                                      "[.5]",        "[+1]",       "[1e]",          "[0x10]", "[1,]",      "{,}",
                                      "// c\n1",     "/* c */ 1",  "1 2",           "[1] ]",  "\"\t\"",    "\"\\x\"",
                                      "\"\\ud800\"", "\"\xff\"",   "tru",           "TRUE",   "{\"a\" 1}", "{1:2}",
                                      "[1e9999]",    "[\x01]",     "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refused(bad[i], "line 1");
    wr_json j;
    assert_int_equal(wr_json_parse(&j, WR_STR("1\0"), "x", NULL), WEIR_EPARSE); /* NUL is not white space */
    assert_int_equal(wr_json_parse(&j, WR_STR("[\"\0\"]"), "x", NULL), WEIR_EPARSE);
}

static int parse_nested(int depth, const char *open, const char *middle, const char *close)
{
    wr_buf b;
    wr_json j;
    wr_err err = {0};
    wr_buf_init(&b, 0);
    for (int i = 0; i < depth; i++) wr_buf_str(&b, open);
    wr_buf_str(&b, middle);
    for (int i = 0; i < depth; i++) wr_buf_str(&b, close);
    int rc = wr_json_parse(&j, wr_buf_view(&b), "x", &err);
    if (rc == WEIR_ELIMIT) assert_non_null(strstr(err.msg, "line 1, column "));
    wr_json_free(&j);
    wr_buf_fini(&b);
    return rc;
}

static void test_depth(void **state)
{
    (void)state;
    assert_int_equal(parse_nested(WR_LIMIT_JSON_DEPTH, "[", "1", "]"), 0);
    assert_int_equal(parse_nested(WR_LIMIT_JSON_DEPTH + 1, "[", "1", "]"), WEIR_ELIMIT);
    assert_int_equal(parse_nested(WR_LIMIT_JSON_DEPTH / 2 + 1, "[{\"a\":", "1", "}]"), WEIR_ELIMIT);
    assert_int_equal(parse_nested(1000000, "[", "", ""), WEIR_ELIMIT);
    assert_int_equal(
        parse_nested(1, "[", "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"",
                     "]"),
        0);
    /* width is not depth */
    wr_buf b;
    wr_json j;
    wr_buf_init(&b, 0);
    wr_buf_char(&b, '[');
    for (int i = 0; i < 5000; i++) wr_buf_str(&b, "[],");
    wr_buf_str(&b, "{}]");
    assert_int_equal(wr_json_parse(&j, wr_buf_view(&b), "x", NULL), 0);
    assert_int_equal(yyjson_arr_size(j.root), 5001);
    wr_json_free(&j);
    wr_buf_fini(&b);
}

/* ---- getters ---- */

static void test_getters(void **state)
{
    (void)state;
    WR_AUTOJSON wr_json j;
    wr_err err = {0};
    static const char text[] =
        "{\"s\":\"x\",\"i\":-7,\"u\":9223372036854775807,\"d\":2.5,\"w\":3.0,\"b\":true,\"n\":null,\"a\":[1],"
        "\"o\":{},\"big\":9223372036854775808,\"s\":\"second\",\"e\":1e17}";
    assert_int_equal(wr_json_parse(&j, wr_str_of(text), "x", &err), 0);
    wr_str s;
    int64_t i;
    double d;
    bool b;
    yyjson_val *v;
    assert_int_equal(wr_json_str(&s, j.root, "s", &err), 0);
    assert_true(wr_str_is(s, "x")); /* the first of two */
    assert_int_equal(wr_json_i64(&i, j.root, "i", &err), 0);
    assert_int_equal(i, -7);
    assert_int_equal(wr_json_i64(&i, j.root, "u", &err), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(wr_json_i64(&i, j.root, "w", &err), 0);
    assert_int_equal(i, 3);
    assert_int_equal(wr_json_f64(&d, j.root, "i", &err), 0);
    assert_true(d == -7);
    assert_int_equal(wr_json_bool(&b, j.root, "b", &err), 0);
    assert_true(b);
    assert_int_equal(wr_json_arr(&v, j.root, "a", &err), 0);
    assert_int_equal(wr_json_obj(&v, j.root, "o", &err), 0);
    assert_int_equal(err.code, 0); /* untouched by success */

    assert_int_equal(wr_json_i64(&i, j.root, "d", &err), WEIR_ETYPE);
    assert_int_equal(wr_json_i64(&i, j.root, "e", &err), WEIR_ETYPE);
    assert_int_equal(wr_json_i64(&i, j.root, "big", &err), WEIR_EINVAL);
    assert_int_equal(wr_json_str(&s, j.root, "missing", &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "'missing' is missing");
    assert_int_equal(wr_json_str(&s, j.root, "i", &err), WEIR_ETYPE);
    assert_string_equal(err.msg, "'i' must be a string, not a number");
    assert_int_equal(wr_json_str(&s, j.root, "n", &err), WEIR_ETYPE);
    assert_int_equal(wr_json_bool(&b, j.root, "s", &err), WEIR_ETYPE);
    assert_int_equal(wr_json_arr(&v, j.root, "o", &err), WEIR_ETYPE);
    assert_int_equal(wr_json_obj(&v, j.root, "a", &err), WEIR_ETYPE);
    assert_int_equal(wr_json_str(&s, yyjson_obj_get(j.root, "a"), "x", &err), WEIR_ETYPE);
    assert_int_equal(wr_json_str(&s, NULL, "x", NULL), WEIR_EINVAL);
}

static void test_optional_getters(void **state)
{
    (void)state;
    WR_AUTOJSON wr_json j;
    wr_err err = {0};
    assert_int_equal(wr_json_parse(&j, WR_STR("{\"s\":\"x\",\"i\":1,\"n\":null}"), "x", &err), 0);
    wr_str s;
    int64_t i;
    double d;
    bool b;
    assert_int_equal(wr_json_str_or(&s, j.root, "s", "f", &err), 0);
    assert_true(wr_str_is(s, "x"));
    assert_int_equal(wr_json_str_or(&s, j.root, "n", "f", &err), 0);
    assert_true(wr_str_is(s, "f"));
    assert_int_equal(wr_json_str_or(&s, NULL, "q", NULL, &err), 0);
    assert_true(s.p == NULL && s.n == 0);
    assert_int_equal(wr_json_i64_or(&i, j.root, "q", 5, &err), 0);
    assert_int_equal(i, 5);
    assert_int_equal(wr_json_f64_or(&d, j.root, "i", 5, &err), 0);
    assert_true(d == 1);
    assert_int_equal(wr_json_bool_or(&b, j.root, "n", true, &err), 0);
    assert_true(b);
    assert_int_equal(wr_json_bool_or(&b, j.root, "i", true, &err),
                     WEIR_ETYPE); /* a default does not excuse the wrong type */
    assert_int_equal(wr_json_i64_or(&i, j.root, "s", 5, &err), WEIR_ETYPE);
}

/* ---- the writer ---- */

static void write_sample(wr_jsonw *w)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "s", "a\"b");
    wr_jsonw_kstr(w, "z", NULL);
    wr_jsonw_kslice(w, "slice", WR_STR("x\0y"));
    wr_jsonw_ki64(w, "i", INT64_MIN);
    wr_jsonw_key(w, "u");
    wr_jsonw_u64(w, UINT64_MAX);
    wr_jsonw_kf64(w, "d", 0.1);
    wr_jsonw_kbool(w, "b", false);
    wr_jsonw_key(w, "a");
    wr_jsonw_arr(w);
    wr_jsonw_i64(w, 1);
    wr_jsonw_obj(w);
    wr_jsonw_end(w);
    wr_jsonw_arr(w);
    wr_jsonw_end(w);
    wr_jsonw_null(w);
    wr_jsonw_raw(w, WR_STR("{\"r\":1}"));
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void test_writer(void **state)
{
    (void)state;
    wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    write_sample(&w);
    assert_string_equal(
        b.p,
        "{\"s\":\"a\\\"b\",\"z\":null,\"slice\":\"x\\u0000y\",\"i\":-9223372036854775808,\"u\":18446744073709551615,"
        "\"d\":0.1,\"b\":false,\"a\":[1,{},[],null,{\"r\":1}]}");
    wr_buf_clear(&b);
    wr_jsonw_init(&w, &b, 2);
    wr_jsonw_obj(&w);
    wr_jsonw_ki64(&w, "a", 1);
    wr_jsonw_key(&w, "b");
    wr_jsonw_arr(&w);
    wr_jsonw_bool(&w, true);
    wr_jsonw_obj(&w);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    assert_string_equal(b.p, "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {}\n  ]\n}");
    wr_buf_fini(&b);
}

static void writes_string(wr_str in, const char *expected)
{
    wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_str(&w, in);
    assert_string_equal(b.p, expected);
    wr_buf_fini(&b);
}

static void test_strings(void **state)
{
    (void)state;
    writes_string(WR_STR(""), "\"\"");
    writes_string((wr_str){NULL, 0}, "\"\"");
    writes_string(WR_STR("\"\\/\b\f\n\r\t\x01\x1f\x7f"), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    writes_string(WR_STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    writes_string(WR_STR("a\xff"
                         "b\xc3"),
                  "\"a\xef\xbf\xbd"
                  "b\xef\xbf\xbd\"");
    writes_string(WR_STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* a surrogate */
    writes_string(WR_STR("\xc0\x80x"), "\"\xef\xbf\xbd\xef\xbf\xbdx\"");               /* overlong */
    writes_string(WR_STR("\xf0\x9f\x98"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* cut off */
}

static void writes_number(double v, const char *expected)
{
    wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_f64(&w, v);
    assert_string_equal(b.p, expected);
    wr_buf_fini(&b);
}

static void test_numbers(void **state)
{
    (void)state;
    writes_number(NAN, "null");
    writes_number(INFINITY, "null");
    writes_number(-INFINITY, "null");
    writes_number(0.0, "0");
    writes_number(-0.0, "-0.0");
    writes_number(3.0, "3");
    writes_number(0.1 + 0.2, "0.30000000000000004");
    static const double odd[] = {1e300,   5e-324,  1.7976931348623157e308, -123456789.125, 1e15, 1e16, 1e21,
                                 1.0 / 3, 4.9e-310};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) { /* whatever the text is, JSON reads the same number */
        wr_buf b;
        wr_jsonw w;
        WR_AUTOJSON wr_json j;
        wr_buf_init(&b, 0);
        wr_jsonw_init(&w, &b, 0);
        wr_jsonw_f64(&w, odd[i]);
        assert_int_equal(wr_json_parse(&j, wr_buf_view(&b), "x", NULL), 0);
        assert_true(yyjson_get_num(j.root) == odd[i]);
        wr_buf_fini(&b);
    }
}

static void test_writer_depth(void **state)
{
    (void)state;
    wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    for (int i = 0; i < WR_LIMIT_JSON_DEPTH; i++) i % 2 ? wr_jsonw_arr(&w) : (wr_jsonw_obj(&w), wr_jsonw_key(&w, "a"));
    for (int i = 0; i < WR_LIMIT_JSON_DEPTH; i++) wr_jsonw_end(&w);
    assert_false(b.failed);
    assert_int_equal(w.depth, 0);
    wr_buf_clear(&b);
    wr_jsonw_init(&w, &b, 0);
    for (int i = 0; i < WR_LIMIT_JSON_DEPTH + 9; i++) wr_jsonw_arr(&w);
    wr_jsonw_key(&w, "harmless after a failure");
    for (int i = 0; i < WR_LIMIT_JSON_DEPTH + 9; i++) wr_jsonw_end(&w);
    assert_true(b.failed);
    wr_buf_fini(&b);
}

static void test_copies_values(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1,-2,2.5,\"x\\u0000y\",true,null,{\"k\\u0000\":[]}],\"u\":18446744073709551615}";
    WR_AUTOJSON wr_json j;
    wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_json_parse(&j, wr_str_of(text), "x", NULL), 0);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_val(&w, j.root);
    assert_string_equal(b.p, text);
    /* inside something else the copy may pass the limit: that is a failure of the buffer, not of the stack */
    wr_buf_clear(&b);
    wr_jsonw_init(&w, &b, 0);
    for (int i = 0; i < WR_LIMIT_JSON_DEPTH - 2; i++) wr_jsonw_arr(&w);
    wr_jsonw_val(&w, j.root);
    assert_true(b.failed);
    wr_buf_fini(&b);
}

static void test_full_buffer(void **state)
{
    (void)state;
    wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 20);
    wr_jsonw_init(&w, &b, 0);
    write_sample(&w);
    assert_true(b.failed && b.n <= 20);
    wr_buf_fini(&b);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    long n = 0;
    for (bool fired = true; fired;) {
        wr_json j;
        wr_err err = {0};
        wr_fault_arm(WR_FAULT_ALLOC, ++n, false);
        int rc = wr_json_parse(&j, WR_STR("{\"a\":[1,2,3,4,5,6,7,8,9,[[],[],[],[]],{}]}"), "x", &err);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (fired) assert_int_equal(rc, WEIR_ENOMEM);
        else assert_int_equal(rc, 0);
        wr_json_free(&j);
    }
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_errors_name_the_place),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_optional_getters),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_writer_depth),
        cmocka_unit_test(test_copies_values),
        cmocka_unit_test(test_full_buffer),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
