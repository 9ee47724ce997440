/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../fuzz/pbtxt_fuzz.c"
#include "base/mem.h"
#include "io/file.h"

static void becomes(const char *text, const char *json)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_err err = {0};
    if (wr_pbtxt_to_json(&b, wr_str_of(text), "c", &err) < 0) fail_msg("%s", err.msg);
    assert_string_equal(wr_buf_cstr(&b), json);
}

static void refused(const char *text, int code, const char *msg)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_err err = {0};
    assert_int_equal(wr_pbtxt_to_json(&b, wr_str_of(text), "c", &err), code);
    if (strcmp(err.msg, msg) != 0) fail_msg("\"%s\" is not \"%s\"", err.msg, msg);
}

static void text_becomes_json(void **state)
{
    (void)state;
    becomes("", "{}");
    becomes(" # nothing\n", "{}");
    becomes("name: \"simple\"\nmax_batch_size: 8", "{\"name\":\"simple\",\"max_batch_size\":8}");
    becomes(
        "input [ { name: 'A' data_type: TYPE_INT32 dims: [ 16 ] }, { name: \"B\" dims: [1, -1] } ]",
        "{\"input\":[{\"name\":\"A\",\"data_type\":\"TYPE_INT32\",\"dims\":[16]},{\"name\":\"B\",\"dims\":[1,-1]}]}");
    becomes("input { name: \"A\" dims: 1 dims: 2 }; output < name: \"O\" > input { name: \"B\" },",
            "{\"input\":[{\"name\":\"A\",\"dims\":[1,2]},{\"name\":\"B\"}],\"output\":[{\"name\":\"O\"}]}");
    becomes("parameters { key: \"k\" value: { string_value: \"v\" } } parameters: [ { key: 'l' value { string_value: "
            "'' } } ]",
            "{\"parameters\":{\"k\":{\"string_value\":\"v\"},\"l\":{\"string_value\":\"\"}}}");
    becomes("version_policy: { all { }}", "{\"version_policy\":{\"all\":{}}}");
    becomes("version_policy { specific { versions: [] } }", "{\"version_policy\":{\"specific\":{}}}");
    becomes("a: true b: false c: inf d: -inf", "{\"a\":true,\"b\":false,\"c\":\"inf\",\"d\":\"-inf\"}");
    becomes("a: 0x1F b: 017 c: -9223372036854775808 d: 18446744073709551615 e: 1.5e3 f: .5f g: 3f h: -2.5",
            "{\"a\":31,\"b\":15,\"c\":-9223372036854775808,\"d\":18446744073709551615,\"e\":1500,\"f\":0.5,\"g\":3,"
            "\"h\":-2.5}");
    becomes("s: \"a\" 'b'\n\"c\\n\\x41\\101\\u00e9\\\"\"", "{\"s\":\"abc\\nAA\xc3\xa9\\\"\"}");
    becomes("priority_queue_policy { key: 2 value { max_queue_size: 5 } }",
            "{\"priority_queue_policy\":{\"2\":{\"max_queue_size\":5}}}");
}

static void what_is_none_is_refused_where_it_stands(void **state)
{
    (void)state;
    refused("name \"x\"", WEIR_EPARSE, "c:1:6: a ':' is missing");
    refused("name:", WEIR_EPARSE, "c:1:6: a value is missing");
    refused("a: 1\n  : 2", WEIR_EPARSE, "c:2:3: the name of a field is missing");
    refused("a { b: 1", WEIR_EPARSE, "c:1:9: a message does not end");
    refused("a { b: 1 >", WEIR_EPARSE, "c:1:10: the name of a field is missing");
    refused("dims: [1, 2", WEIR_EPARSE, "c:1:12: a list does not end");
    refused("dims: [1,]", WEIR_EPARSE, "c:1:10: a value is missing");
    refused("a: \"x", WEIR_EPARSE, "c:1:6: a string does not end");
    refused("a: \"x\ny\"", WEIR_EPARSE, "c:2:1: a string does not end on its line");
    refused("a: \"\\q\"", WEIR_EPARSE, "c:1:7: an escape that nobody knows");
    refused("a: \"\\ud800\"", WEIR_EPARSE, "c:1:11: an escape is no character");
    refused("a: \"\\777\"", WEIR_EPARSE, "c:1:9: an octal escape is larger than a byte");
    refused("a: 12x", WEIR_EPARSE, "c:1:4: this is no number");
    refused("a: 99999999999999999999999x", WEIR_EPARSE, "c:1:4: this is no number");
    refused("a: -true", WEIR_EPARSE, "c:1:9: a minus before what is no number");
    refused("[type.googleapis.com/x] { }", WEIR_EUNSUPPORTED, "c:1:1: extensions have no place here");
    refused("name: \"a\" name: \"b\"", WEIR_EPARSE, "c: field \"name\" comes twice");
    refused("parameters { value { string_value: \"v\" } }", WEIR_EPARSE, "c: an entry of \"parameters\" has no key");
    refused("parameters: 5", WEIR_EPARSE, "c: an entry of \"parameters\" has no key");
}

static void every_limit_holds_on_both_sides(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf text = {0}, json = {0};
    wr_err err;
    for (int i = 0; i < WR_LIMIT_PBTXT_DEPTH - 1; i++) wr_buf_str(&text, "a {");
    for (int i = 0; i < WR_LIMIT_PBTXT_DEPTH - 1; i++) wr_buf_str(&text, "}");
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), 0);
    wr_buf_clear(&text);
    for (int i = 0; i < WR_LIMIT_PBTXT_DEPTH; i++) wr_buf_str(&text, "input [ {");
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), WEIR_ELIMIT);
    wr_buf_clear(&text);
    wr_buf_str(&text, "dims: [0");
    for (int i = 1; i < WR_LIMIT_PBTXT_FIELDS; i++) wr_buf_str(&text, ",1");
    wr_buf_str(&text, "]");
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), 0);
    wr_buf_str(&text, "a: 1");
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), WEIR_ELIMIT);
    wr_buf_clear(&text);
    for (int i = 0; i < WR_LIMIT_PBTXT_NAMES; i++) wr_buf_printf(&text, "f%d: 1 ", i);
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), 0);
    wr_buf_str(&text, "g: 1");
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), WEIR_ELIMIT);
    wr_buf_clear(&text);
    wr_buf_reserve(&text, WR_LIMIT_PBTXT + 1);
    for (int i = 0; i < WR_LIMIT_PBTXT; i++) wr_buf_char(&text, ' ');
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), 0);
    wr_buf_char(&text, ' ');
    assert_int_equal(wr_pbtxt_to_json(&json, wr_buf_view(&text), "c", &err), WEIR_ELIMIT);
}

static void the_corpus_is_replayed(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const char dir[] = WEIR_SOURCE_DIR "/fuzz/corpus/pbtxt";
    char **names;
    size_t n;
    assert_int_equal(wr_file_list(&names, &n, a, dir, NULL), 0);
    assert_true(n >= 10);
    for (size_t i = 0; i < n; i++) {
        WR_AUTOBUF wr_buf b = {0};
        assert_int_equal(wr_file_read(&b, wr_path_join(a, dir, names[i]), 1 << 20, NULL), 0);
        LLVMFuzzerTestOneInput((const uint8_t *)wr_buf_cstr(&b), b.n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_json),
        cmocka_unit_test(what_is_none_is_refused_where_it_stands),
        cmocka_unit_test(every_limit_holds_on_both_sides),
        cmocka_unit_test(the_corpus_is_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
