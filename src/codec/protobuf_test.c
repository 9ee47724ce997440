/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_test.c - bytes of the encoding's description, what is refused and where, limits, lists, maps, the writer. */
#include "codec/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/limits.h"

#define BYTES(lit) ((wr_str){"" lit, sizeof(lit) - 1})

/* ---- reading ---- */

static void test_examples(void **state)
{
    (void)state;
    wr_pb r, sub;
    wr_pb_field f;
    wr_pb_init(&r, BYTES("\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01"));
    assert_true(wr_pb_next(&r, &f));
    assert_int_equal(f.number, 1);
    assert_int_equal(wr_pb_u64(&r, &f), 150);
    assert_true(wr_pb_next(&r, &f));
    assert_int_equal(f.number, 2);
    assert_true(wr_str_is(wr_pb_str(&r, &f), "testing"));
    assert_true(wr_pb_next(&r, &f));
    wr_pb_enter(&sub, &r, &f);
    assert_true(wr_pb_next(&sub, &f));
    assert_int_equal(wr_pb_i64(&sub, &f), 150);
    assert_false(wr_pb_next(&sub, &f));
    assert_false(wr_pb_next(&r, &f));
    assert_int_equal(wr_pb_end(&r, "m", NULL), 0);
}

static void test_numbers(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, -1, 127, 128, -128, 300, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        WR_AUTOBUF wr_buf b = {0};
        int64_t v = values[i];
        wr_pbw_i64(&b, 1, v);
        wr_pbw_s64(&b, 2, v);
        wr_pbw_u64(&b, 3, (uint64_t)v);
        wr_pbw_fixed64(&b, 4, (uint64_t)v);
        wr_pbw_fixed32(&b, 5, (uint32_t)v);
        wr_pbw_f64(&b, 6, (double)v);
        wr_pbw_f32(&b, 7, (float)v);
        wr_pbw_bool(&b, 8, v);
        wr_pb r;
        wr_pb_field f[8];
        wr_pb_init(&r, wr_buf_view(&b));
        for (uint32_t k = 0; k < 8; k++) {
            assert_true(wr_pb_next(&r, &f[k]));
            assert_int_equal(f[k].number, k + 1);
        }
        assert_true(wr_pb_i64(&r, &f[0]) == v && wr_pb_s64(&r, &f[1]) == v && wr_pb_u64(&r, &f[2]) == (uint64_t)v);
        assert_true(wr_pb_fixed64(&r, &f[3]) == (uint64_t)v && wr_pb_fixed32(&r, &f[4]) == (uint32_t)v);
        assert_true(wr_pb_f64(&r, &f[5]) == (double)v && wr_pb_f32(&r, &f[6]) == (float)v);
        assert_int_equal(wr_pb_bool(&r, &f[7]), v != 0);
        assert_false(wr_pb_failed(&r));
    }
    assert_int_equal(wr_pb_zigzag(-1), 1); /* of the description: -1 is 1, 1 is 2, -2 is 3 */
    assert_int_equal(wr_pb_zigzag(1), 2);
    assert_int_equal(wr_pb_unzigzag(3), -2);
}

static void test_nan_keeps_its_bits(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_pbw_f64(&b, 1, -NAN);
    wr_pbw_f64(&b, 1, -INFINITY);
    wr_pb r;
    wr_pb_field f;
    wr_pb_init(&r, wr_buf_view(&b));
    assert_true(wr_pb_next(&r, &f));
    double d = wr_pb_f64(&r, &f);
    assert_true(isnan(d) && signbit(d));
    assert_true(wr_pb_next(&r, &f));
    assert_true(wr_pb_f64(&r, &f) == -INFINITY);
}

/* Reads all of it as fields; the message says `why` and byte `at`. */
static void refused(wr_str bytes, size_t at, const char *why)
{
    wr_pb r;
    wr_pb_field f;
    wr_err err = {0};
    char want[160];
    wr_pb_init(&r, bytes);
    while (wr_pb_next(&r, &f)) {}
    assert_int_equal(wr_pb_end(&r, "msg", &err), WEIR_EPARSE);
    assert_true(snprintf(want, sizeof want, "'msg' at byte %zu: %s", at, why) > 0);
    assert_string_equal(err.msg, want);
    assert_int_equal(f.number, 0);
    assert_false(wr_pb_next(&r, &f)); /* sticky */
}

static void test_refused(void **state)
{
    (void)state;
    refused(BYTES("\x08"), 0, "the bytes end inside a number");
    refused(BYTES("\x08\x01\x08\x80"), 2, "the bytes end inside a number");
    refused(BYTES("\x80"), 0, "the bytes end inside a number");
    refused(BYTES("\x09\1\2\3\4\5\6\7"), 0, "the bytes end inside a number");
    refused(BYTES("\x0d\1\2\3"), 0, "the bytes end inside a number");
    refused(BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 0, "a number has more than 64 bits");
    refused(BYTES("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), 0, "a number has more than 64 bits");
    refused(BYTES("\x12\x04"
                  "abc"),
            0, "a length goes beyond the end");
    refused(BYTES("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                  "abc"),
            0, "a length goes beyond the end");
    refused(BYTES("\x08\x01\x0b\x0c"), 2, "groups are not supported");
    refused(BYTES("\x0c"), 0, "groups are not supported");
    refused(BYTES("\x0e\x01"), 0, "an unknown wire type");
    refused(BYTES("\x0f\x01"), 0, "an unknown wire type");
    refused(BYTES("\x00\x01"), 0, "a field number is out of range");
    refused(BYTES("\x80\x80\x80\x80\x10\x01"), 0, "a field number is out of range");
    /* the largest number there is */
    wr_pb r;
    wr_pb_field f;
    wr_pb_init(&r, BYTES("\xf8\xff\xff\xff\x0f\x05"));
    assert_true(wr_pb_next(&r, &f));
    assert_int_equal(f.number, (1 << 29) - 1);
}

static void test_wrong_type_and_text(void **state)
{
    (void)state;
    wr_pb r;
    wr_pb_field f;
    wr_err err = {0};
    wr_pb_init(&r, BYTES("\x0a\x01x\x10\x05"));
    assert_true(wr_pb_next(&r, &f));
    assert_int_equal(wr_pb_u64(&r, &f), 0);
    assert_false(wr_pb_next(&r, &f));
    assert_int_equal(wr_pb_end(&r, "m", &err), WEIR_EPARSE);
    assert_string_equal(err.msg, "'m' at byte 2: a field has another type than expected");

    wr_pb_init(&r, BYTES("\x0a\x02\xc3\x28"));
    assert_true(wr_pb_next(&r, &f));
    assert_int_equal(wr_pb_bytes(&r, &f).n, 2); /* as bytes it is fine */
    assert_int_equal(wr_pb_str(&r, &f).n, 0);
    assert_int_equal(wr_pb_end(&r, "m", &err), WEIR_EPARSE);
    assert_string_equal(err.msg, "'m' at byte 2: a text is not valid UTF-8");

    wr_pb_init(&r, BYTES("\x08\x05"));
    assert_true(wr_pb_next(&r, &f));
    wr_pb_fail(&r, "no such state");
    assert_int_equal(wr_pb_end(&r, "m", &err), WEIR_EPARSE);
    assert_string_equal(err.msg, "'m' at byte 2: no such state");
    assert_int_equal(wr_pb_u64(&r, &f), 0);
}

/* ---- limits ---- */

static int read_nested(wr_pb *r)
{
    wr_pb sub;
    wr_pb_field f;
    int depth = r->depth;
    while (wr_pb_next(r, &f)) {
        wr_pb_enter(&sub, r, &f);
        depth = read_nested(&sub);
    }
    return depth;
}

static int nested(int levels)
{
    WR_AUTOBUF wr_buf b = {0};
    size_t at[WR_LIMIT_PROTOBUF_DEPTH + 1];
    for (int i = 0; i < levels; i++) at[i] = wr_pbw_open(&b, 1);
    for (int i = levels; i-- > 0;) wr_pbw_close(&b, at[i]);
    wr_pb r;
    wr_err err = {0};
    wr_pb_init(&r, wr_buf_view(&b));
    int depth = read_nested(&r), rc = wr_pb_end(&r, "m", &err);
    if (rc < 0) assert_non_null(strstr(err.msg, "nested too deeply"));
    else assert_int_equal(depth, levels + 1);
    return rc;
}

static void test_depth(void **state)
{
    (void)state;
    assert_int_equal(nested(1), 0);
    assert_int_equal(nested(WR_LIMIT_PROTOBUF_DEPTH - 1), 0);
    assert_int_equal(nested(WR_LIMIT_PROTOBUF_DEPTH), WEIR_ELIMIT);
}

static void test_field_count(void **state)
{
    (void)state;
    size_t n = (size_t)WR_LIMIT_PROTOBUF_FIELDS + 1;
    char *bytes = malloc(2 * n + 7);
    assert_non_null(bytes);
    size_t in = 0; /* half of them inside of field 2, which counts itself */
    for (; in < 2 * (n / 2); in += 2) memcpy(bytes + in, "\x08\x01", 2);
    wr_buf b = {0};
    wr_pbw_varint(&b, 2 * (n - n / 2 - 1));
    bytes[in++] = 0x12;
    memcpy(bytes + in, b.p, b.n);
    in += b.n;
    wr_buf_fini(&b);
    for (size_t i = 0; i < n - n / 2 - 1; i++, in += 2) memcpy(bytes + in, "\x08\x01", 2);
    for (int less = 1; less >= 0; less--) {
        wr_pb r, sub;
        wr_pb_field f;
        wr_pb_init(&r, (wr_str){bytes + 2 * less, in - 2 * (size_t)less});
        while (wr_pb_next(&r, &f)) {
            if (f.number != 2) continue;
            wr_pb_enter(&sub, &r, &f);
            while (wr_pb_next(&sub, &f)) {}
        }
        assert_int_equal(wr_pb_end(&r, "m", NULL), less ? 0 : WEIR_ELIMIT);
    }
    free(bytes);
}

/* ---- lists and maps ---- */

static size_t list(wr_str bytes, wr_pb_type type, uint64_t *out, size_t max, int want)
{
    wr_pb r;
    wr_pb_field f;
    size_t n = 0;
    wr_pb_init(&r, bytes);
    while (wr_pb_next(&r, &f)) {
        wr_pb_list l;
        uint64_t v;
        wr_pb_list_of(&l, &r, &f, type);
        while (wr_pb_list_next(&l, &v)) {
            assert_true(n < max);
            out[n++] = v;
        }
    }
    assert_int_equal(wr_pb_end(&r, "m", NULL), want);
    return n;
}

static void test_lists(void **state)
{
    (void)state;
    uint64_t v[8];
    assert_int_equal(list(BYTES("\x22\x06\x03\x8e\x02\x9e\xa7\x05"), WR_PB_VARINT, v, 8, 0),
                     3); /* of the description */
    assert_true(v[0] == 3 && v[1] == 270 && v[2] == 86942);
    assert_int_equal(list(BYTES("\x20\x01\x22\x02\x02\x03\x20\x04\x22\x00"), WR_PB_VARINT, v, 8, 0), 4); /* mixed */
    assert_true(v[0] == 1 && v[1] == 2 && v[2] == 3 && v[3] == 4);
    WR_AUTOBUF wr_buf b = {0};
    size_t at = wr_pbw_open(&b, 1);
    for (int i = 0; i < 3; i++) wr_pbw_raw64(&b, (uint64_t)i << 52);
    wr_pbw_close(&b, at);
    wr_pbw_fixed64(&b, 1, 7);
    assert_int_equal(list(wr_buf_view(&b), WR_PB_I64, v, 8, 0), 4);
    assert_true(v[2] == (uint64_t)2 << 52 && v[3] == 7);
    assert_int_equal(list(BYTES("\x0a\x09"
                                "123456789"),
                          WR_PB_I64, v, 8, WEIR_EPARSE),
                     1);
    assert_int_equal(list(BYTES("\x0a\x04"
                                "1234"),
                          WR_PB_I32, v, 8, 0),
                     1);
    assert_int_equal(list(BYTES("\x0d"
                                "1234"),
                          WR_PB_VARINT, v, 8, WEIR_EPARSE),
                     0);
}

static void test_maps(void **state)
{
    (void)state;
    wr_pb r;
    wr_pb_field f, key, value;
    wr_pb_init(&r, BYTES("\x0a\x05\x0a\x01k\x10\x05"
                         "\x0a\x02\x10\x07"
                         "\x0a\x03\x0a\x01z"));
    assert_true(wr_pb_next(&r, &f));
    wr_pb_entry(&key, &value, &r, &f);
    assert_true(wr_str_is(wr_pb_str(&r, &key), "k"));
    assert_int_equal(wr_pb_i64(&r, &value), 5);
    assert_true(wr_pb_next(&r, &f));
    wr_pb_entry(&key, &value, &r, &f);
    assert_int_equal(key.number, 0);
    assert_int_equal(wr_pb_str(&r, &key).n, 0);
    assert_int_equal(wr_pb_i64(&r, &value), 7);
    assert_true(wr_pb_next(&r, &f));
    wr_pb_entry(&key, &value, &r, &f);
    assert_int_equal(wr_pb_i64(&r, &value), 0);
    assert_false(wr_pb_next(&r, &f));
    assert_int_equal(wr_pb_end(&r, "m", NULL), 0);
}

/* ---- writing ---- */

static void test_nested_lengths(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        WR_AUTOBUF wr_buf b = {0}, plain = {0};
        char *text = malloc(sizes[i] + 1);
        assert_non_null(text);
        for (size_t k = 0; k < sizes[i]; k++) text[k] = (char)('a' + k % 26);
        wr_buf_str(&b, "x");
        size_t outer = wr_pbw_open(&b, 3), inner = wr_pbw_open(&b, 4);
        wr_buf_add(&b, text, sizes[i]);
        wr_pbw_close(&b, inner);
        wr_pbw_u64(&b, 5, 1);
        wr_pbw_close(&b, outer);
        wr_pbw_str(&plain, 4, (wr_str){text, sizes[i]});
        wr_pbw_u64(&plain, 5, 1);
        WR_AUTOBUF wr_buf want = {0};
        wr_buf_str(&want, "x");
        wr_pbw_str(&want, 3, wr_buf_view(&plain));
        assert_true(wr_str_eq(wr_buf_view(&b), wr_buf_view(&want)));
        assert_int_equal(b.p[b.n], 0);
        free(text);
    }
}

static void test_full_buffer(void **state)
{
    (void)state;
    for (size_t max = 1; max < 140; max++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_buf_init(&b, max);
        size_t at = wr_pbw_open(&b, 1);
        for (int i = 0; i < 65; i++) wr_pbw_u64(&b, 2, 5);
        wr_pbw_close(&b, at);
        assert_int_equal(b.failed, max < 133);
    }
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    bool fired = true;
    for (long n = 1; fired; n++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_fault_arm(WR_FAULT_ALLOC, n, true);
        size_t at = wr_pbw_open(&b, 1);
        for (int i = 0; i < 500; i++) wr_pbw_str(&b, 2, WR_STR("text"));
        wr_pbw_close(&b, at);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(b.failed, fired);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_nan_keeps_its_bits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_wrong_type_and_text),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_nested_lengths),
        cmocka_unit_test(test_full_buffer),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
