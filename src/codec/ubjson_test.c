/* SPDX-License-Identifier: Apache-2.0 */
/* ubjson_test.c - Universal Binary JSON: what is taken, what is refused with which words, limits, failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/limits.h"
#include "codec/ubjson.h"

#define BYTES(s) ((wr_str){s, sizeof(s) - 1})

static void reads(wr_str bytes, const char *json)
{
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOBUF wr_buf b = {0};
    wr_err err = {0};
    wr_jsonw w;
    int rc = wr_ubjson_parse(&j, bytes, "test", &err);
    if (rc < 0) print_error("%s\n", err.msg);
    assert_int_equal(rc, 0);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_val(&w, j.root);
    assert_string_equal(wr_buf_cstr(&b), json);
}

static void refuses(wr_str bytes, int code, const char *message)
{
    WR_AUTOJSON wr_json j = {0};
    wr_err err = {0};
    assert_int_equal(wr_ubjson_parse(&j, bytes, "test", &err), code);
    assert_string_equal(err.msg, message);
}

static void test_values(void **state)
{
    (void)state;
    reads(BYTES("Z"), "null");
    reads(BYTES("T"), "true");
    reads(BYTES("NNF"), "false");
    reads(BYTES("i\xff"), "-1");
    reads(BYTES("U\xff"), "255");
    reads(BYTES("I\xff\xfe"), "-2");
    reads(BYTES("l\x80\x00\x00\x00"), "-2147483648");
    reads(BYTES("L\x7f\xff\xff\xff\xff\xff\xff\xff"), "9223372036854775807");
    reads(BYTES("d\x3f\xc0\x00\x00"), "1.5");
    reads(BYTES("D\xbf\xe0\x00\x00\x00\x00\x00\x00"), "-0.5");
    reads(BYTES("SU\x03h\xc3\xa9"), "\"h\xc3\xa9\"");
    reads(BYTES("Si\x00"), "\"\"");
    reads(BYTES("Cx"), "\"x\"");
    reads(BYTES("U\x01N"), "1");
}

static void test_containers(void **state)
{
    (void)state;
    reads(BYTES("[]"), "[]");
    reads(BYTES("[U\x01NTSi\x01" "a]"), "[1,true,\"a\"]");
    reads(BYTES("[#U\x02U\x01Z"), "[1,null]");
    reads(BYTES("[#L\x00\x00\x00\x00\x00\x00\x00\x00"), "[]");
    reads(BYTES("[$d#U\x02\x3f\xc0\x00\x00\xbf\x80\x00\x00"), "[1.5,-1]");
    reads(BYTES("[$U#U\x02\x01\xff"), "[1,255]");
    reads(BYTES("[$S#U\x02U\x01" "aU\x02" "bc"), "[\"a\",\"bc\"]");
    reads(BYTES("[$[#U\x02U\x01]]"), "[[1],[]]");
    reads(BYTES("{}"), "{}");
    reads(BYTES("{U\x01" "aU\x07NU\x02" "bb{U\x01" "c[]}}"), "{\"a\":7,\"bb\":{\"c\":[]}}");
    reads(BYTES("{$U#U\x02U\x01" "a\x01U\x01" "b\x02"), "{\"a\":1,\"b\":2}");
}

static void test_refused(void **state)
{
    (void)state;
    refuses(BYTES(""), WEIR_EPARSE, "test: byte 0: ends too early");
    refuses(BYTES("x"), WEIR_EPARSE, "test: byte 1: no value starts so");
    refuses(BYTES("HU\x01" "1"), WEIR_EPARSE, "test: byte 1: numbers of high precision are not taken");
    refuses(BYTES("TT"), WEIR_EPARSE, "test: byte 1: something follows the value");
    refuses(BYTES("l\x00\x00"), WEIR_EPARSE, "test: byte 1: ends too early");
    refuses(BYTES("SU\x05" "ab"), WEIR_EPARSE, "test: byte 3: ends too early");
    refuses(BYTES("Si\xff" "ab"), WEIR_EPARSE, "test: byte 3: a negative length");
    refuses(BYTES("SL\xff\xff\xff\xff\xff\xff\xff\xff"), WEIR_EPARSE, "test: byte 10: a negative length");
    refuses(BYTES("SL\x7f\xff\xff\xff\xff\xff\xff\xff"), WEIR_EPARSE, "test: byte 10: ends too early");
    refuses(BYTES("Sd\x3f\xc0\x00\x00"), WEIR_EPARSE, "test: byte 2: a length is not an integer");
    refuses(BYTES("SU\x01\xff"), WEIR_EPARSE, "test: byte 3: text is not UTF-8");
    refuses(BYTES("C\xff"), WEIR_EPARSE, "test: byte 1: a character beyond ASCII");
    refuses(BYTES("[$Z#L\x00\x00\x00\x00\x0f\xff\xff\xff"), WEIR_EPARSE, "test: byte 3: a type that elements may not have");
    refuses(BYTES("[$U]"), WEIR_EPARSE, "test: byte 3: a type without a count");
    refuses(BYTES("[#L\x00\x00\x00\x00\x0f\xff\xff\xff"), WEIR_EPARSE, "test: byte 11: ends too early");
    refuses(BYTES("[U\x01"), WEIR_EPARSE, "test: byte 3: ends too early");
    refuses(BYTES("[$l#U\x02\x00\x00\x00\x01\x00\x00\x00"), WEIR_EPARSE, "test: byte 10: ends too early");
    refuses(BYTES("{U\x01" "a"), WEIR_EPARSE, "test: byte 4: ends too early");
    refuses(BYTES("{Z}"), WEIR_EPARSE, "test: byte 2: a length is not an integer");
}

static void test_depth(void **state)
{
    (void)state;
    char deep[2 * WR_LIMIT_JSON_DEPTH + 2];
    for (int more = 0; more < 2; more++) {
        size_t n = WR_LIMIT_JSON_DEPTH + (size_t)more;
        memset(deep, '[', n);
        memset(deep + n, ']', n);
        WR_AUTOJSON wr_json j = {0};
        wr_err err = {0};
        assert_int_equal(wr_ubjson_parse(&j, (wr_str){deep, 2 * n}, "test", &err), more ? WEIR_ELIMIT : 0);
        if (more) assert_string_equal(err.msg, "test: byte 65: more than 64 levels");
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    long n = 1;
    for (;; n++) {
        wr_json j = {0};
        wr_err err = {0};
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_ubjson_parse(&j, BYTES("{U\x01" "a[U\x01SU\x02xyZ]}"), "test", &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        wr_json_free(&j);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_containers), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
