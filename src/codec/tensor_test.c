/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/rng.h"
#include "codec/json_scan.h"
#include "codec/tensor.h"

static wr_arena *arena;
static wr_err err;
static size_t used;

static wr_tensor shaped(wr_tensor_type type, int ndims, int64_t a, int64_t b)
{
    wr_tensor t = {.name = WR_STR("x"), .type = type, .ndims = ndims, .shape = {a, b}};
    assert_int_equal(wr_tensor_count(&t, NULL), 0);
    return t;
}

static int read(wr_tensor *t, const char *json)
{
    err = (wr_err){0};
    return wr_tensor_read_json(t, &used, wr_str_of(json), arena, &err);
}

static const char *written(const wr_tensor *t)
{
    static wr_buf b;
    wr_buf_clear(&b);
    wr_tensor_write_json(&b, t);
    assert_false(b.failed);
    return wr_arena_strdup(arena, wr_buf_cstr(&b));
}

static void test_types(void **state)
{
    (void)state;
    for (int t = WR_TENSOR_BOOL; t < WR_TENSOR_TYPES; t++)
        assert_int_equal(wr_tensor_type_parse(wr_str_of(wr_tensor_type_name((wr_tensor_type)t))), t);
    assert_int_equal(wr_tensor_type_parse(WR_STR("FP65")), WR_TENSOR_NONE);
    assert_int_equal(wr_tensor_type_parse(WR_STR("")), WR_TENSOR_NONE);
    assert_string_equal(wr_tensor_type_name(WR_TENSOR_NONE), "");
    assert_int_equal(wr_tensor_type_size(WR_TENSOR_BF16), 2);
    assert_int_equal(wr_tensor_type_size(WR_TENSOR_BYTES), sizeof(wr_str));
}

static void test_counts(void **state)
{
    (void)state;
    wr_tensor t = {.name = WR_STR("INPUT0"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {16, (1LL << 60) + 2}};
    assert_int_equal(wr_tensor_count(&t, &err), WEIR_ELIMIT);
    assert_string_equal(err.msg,
                        "invalid shape for input 'INPUT0': shape [16,1152921504606846978] causes total element "
                        "count to exceed maximum size of 9223372036854775807");
    t.shape[0] = 4;
    assert_int_equal(wr_tensor_count(&t, &err), WEIR_ELIMIT);
    assert_string_equal(err.msg,
                        "byte size overflow for input 'INPUT0': element count (4611686018427387912) * data type "
                        "size (4) exceeds maximum allowed size (9223372036854775807)");
    t.shape[0] = 1 << 11;
    t.shape[1] = 1 << 20;
    assert_int_equal(wr_tensor_count(&t, &err), WEIR_ELIMIT);
    t.shape[1] = 1 << 19;
    assert_int_equal(wr_tensor_count(&t, &err), 0);
    assert_int_equal(t.count, 1 << 30);
    t.shape[1] = -5;
    assert_int_equal(wr_tensor_count(&t, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "contains one or more invalid dimensions"));
    t = (wr_tensor){.type = WR_TENSOR_FP64, .ndims = 3, .shape = {INT64_MAX, INT64_MAX, 0}};
    assert_int_equal(wr_tensor_count(&t, &err), 0);
    assert_int_equal(t.count, 0);
    t.ndims = 0;
    assert_int_equal(wr_tensor_count(&t, &err), 0);
    assert_int_equal(t.count, 1);
    t.ndims = WR_TENSOR_DIMS + 1;
    assert_int_equal(wr_tensor_count(&t, &err), WEIR_ELIMIT);
}

static void test_nested(void **state)
{
    (void)state;
    static const char *const same[] = {"[1,2,3,4]", "[[1,2],[3,4]]", " [ [1 , 2], [[3]] ,4 ]", "[[],1,[2,[[3],[]]],4]"};
    for (size_t i = 0; i < 4; i++) {
        wr_tensor t = shaped(WR_TENSOR_INT32, 2, 2, 2);
        if (read(&t, same[i]) < 0) fail_msg("%s: %s", same[i], err.msg);
        assert_int_equal(used, strlen(same[i]));
        for (int k = 0; k < 4; k++) assert_int_equal(((int32_t *)t.data)[k], k + 1);
    }
    wr_tensor t = shaped(WR_TENSOR_INT32, 2, 1, 2);
    assert_int_equal(read(&t, "[1,2],\"more\":1}"), 0);
    assert_int_equal(used, 5);
    t = shaped(WR_TENSOR_FP32, 1, 0, 0);
    assert_int_equal(read(&t, "[]"), 0);
    assert_int_equal(read(&t, "[[[]],[]]"), 0);
    t = shaped(WR_TENSOR_FP64, 0, 0, 0);
    assert_int_equal(read(&t, "[2.5]"), 0);
    assert_true(*(double *)t.data == 2.5);
}

static void test_every_type(void **state)
{
    (void)state;
    static const struct {
        wr_tensor_type type;
        const char *in, *out; /* out NULL: refused */
    } all[] = {
        {WR_TENSOR_BOOL, "[true,false]", "[true,false]"},
        {WR_TENSOR_BOOL, "[1,0]", "[true,false]"},
        {WR_TENSOR_BOOL, "[2,0]", NULL},
        {WR_TENSOR_BOOL, "[null,true]", NULL},
        {WR_TENSOR_BOOL, "[yes,true]", NULL},
        {WR_TENSOR_UINT8, "[0,255]", "[0,255]"},
        {WR_TENSOR_UINT8, "[0,256]", NULL},
        {WR_TENSOR_UINT8, "[0,-1]", NULL},
        {WR_TENSOR_UINT8, "[-0,1]", "[0,1]"},
        {WR_TENSOR_UINT16, "[0,65535]", "[0,65535]"},
        {WR_TENSOR_UINT16, "[0,65536]", NULL},
        {WR_TENSOR_UINT32, "[0,4294967295]", "[0,4294967295]"},
        {WR_TENSOR_UINT32, "[0,4294967296]", NULL},
        {WR_TENSOR_UINT64, "[0,18446744073709551615]", "[0,18446744073709551615]"},
        {WR_TENSOR_UINT64, "[0,18446744073709551616]", NULL},
        {WR_TENSOR_INT8, "[-128,127]", "[-128,127]"},
        {WR_TENSOR_INT8, "[-129,127]", NULL},
        {WR_TENSOR_INT8, "[-128,128]", NULL},
        {WR_TENSOR_INT16, "[-32768,32767]", "[-32768,32767]"},
        {WR_TENSOR_INT16, "[-32769,0]", NULL},
        {WR_TENSOR_INT32, "[-2147483648,2147483647]", "[-2147483648,2147483647]"},
        {WR_TENSOR_INT32, "[2147483648,0]", NULL},
        {WR_TENSOR_INT32, "[1.5,0]", NULL},
        {WR_TENSOR_INT32, "[3.0,1e2]", "[3,100]"},
        {WR_TENSOR_INT32, "[\"1\",0]", NULL},
        {WR_TENSOR_INT32, "[true,0]", NULL},
        {WR_TENSOR_INT32, "[NaN,0]", NULL},
        {WR_TENSOR_INT64, "[-9223372036854775808,9223372036854775807]", "[-9223372036854775808,9223372036854775807]"},
        {WR_TENSOR_INT64, "[9223372036854775808,0]", NULL},
        {WR_TENSOR_INT64, "[-9223372036854775809,0]", NULL},
        {WR_TENSOR_FP32, "[0.1,16777217]", "[0.1,16777216]"},
        {WR_TENSOR_FP32, "[-0,0]", "[-0.0,0]"},
        {WR_TENSOR_FP32, "[3.4028235e38,1e-45]", "[3.4028235e+38,1e-45]"},
        {WR_TENSOR_FP32, "[3.5e38,0]", NULL},
        {WR_TENSOR_FP32, "[null,NaN]", "[null,null]"},
        {WR_TENSOR_FP32, "[Infinity,-Infinity]", "[null,null]"},
        {WR_TENSOR_FP64, "[0.1,-1.7976931348623157e308]", "[0.1,-1.7976931348623157e+308]"},
        {WR_TENSOR_FP64, "[-Infinity,null]", "[null,null]"},
        {WR_TENSOR_FP64, "[1e999,0]", NULL},
        {WR_TENSOR_FP64, "[true,0]", NULL},
        {WR_TENSOR_FP64, "[{},0]", NULL},
        {WR_TENSOR_FP64, "[-Inf,0]", NULL},
        {WR_TENSOR_FP64, "[nan,0]", NULL},
        {WR_TENSOR_BYTES, "[\"a\\u00e4\",\"\"]", "[\"a\xc3\xa4\",\"\"]"},
        {WR_TENSOR_BYTES, "[\"a\",1]", NULL},
        {WR_TENSOR_BYTES, "[\"a\",null]", NULL},
        {WR_TENSOR_FP16, "[1,2]", NULL},
        {WR_TENSOR_BF16, "[1,2]", NULL}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wr_tensor t = shaped(all[i].type, 1, 2, 0);
        int rc = read(&t, all[i].in);
        bool good =
            all[i].out ? rc == 0 && strcmp(written(&t), all[i].out) == 0 : rc == WEIR_ETYPE || rc == WEIR_EPARSE;
        if (!good)
            fail_msg("%s %s: %d %s", wr_tensor_type_name(all[i].type), all[i].in, rc, rc ? err.msg : written(&t));
    }
    wr_tensor t = shaped(WR_TENSOR_UINT8, 1, 2, 0);
    assert_int_equal(read(&t, "[7,300]"), WEIR_ETYPE);
    assert_string_equal(err.msg, "element 1 is not UINT8: 300");
}

static void test_wrong_counts(void **state)
{
    (void)state;
    wr_tensor t = shaped(WR_TENSOR_FP32, 1, 3, 0);
    assert_int_equal(read(&t, "[1,2]"), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "Shape does not match true shape of 'data' field"));
    assert_int_equal(read(&t, "[1,2,3,4]"), WEIR_EINVAL);
    assert_int_equal(read(&t, "[]"), WEIR_EINVAL);
    assert_int_equal(read(&t, "5"), WEIR_ETYPE);
    assert_int_equal(read(&t, "\"abc\""), WEIR_ETYPE);
    assert_int_equal(read(&t, "[1,2,3"), WEIR_EPARSE);
    assert_int_equal(read(&t, "[1,2,3}"), WEIR_EPARSE);
    assert_int_equal(read(&t, "[1 2,3]"), WEIR_EPARSE);
    t = shaped(WR_TENSOR_FP64, 2, 1 << 15, 1 << 15); /* a shape that lies allocates nothing */
    assert_int_equal(read(&t, "[1]"), WEIR_EINVAL);
}

static void test_depth(void **state)
{
    (void)state;
    for (int depth = 99; depth <= 100; depth++) { /* Triton: 100 levels are too many */
        char json[300];
        size_t n = (size_t)depth;
        memset(json, '[', n);
        json[n] = '5';
        memset(json + n + 1, ']', n);
        json[2 * n + 1] = 0;
        wr_tensor t = shaped(WR_TENSOR_INT64, 1, 1, 0);
        assert_int_equal(read(&t, json), depth == 99 ? 0 : WEIR_EINVAL);
    }
    assert_string_equal(err.msg, "JSON nesting depth exceeds maximum allowed limit (100)");
}

static void test_missing(void **state)
{
    (void)state;
    uint8_t *missing;
    wr_tensor t = shaped(WR_TENSOR_INT64, 1, 3, 0);
    assert_int_equal(wr_tensor_read_json_missing(&t, &missing, &used, WR_STR("[1,null,3]"), arena, NULL), 0);
    assert_true(!missing[0] && missing[1] && !missing[2] && ((int64_t *)t.data)[1] == 0);
    assert_int_equal(wr_tensor_read_json_missing(&t, &missing, &used, WR_STR("[1,2,3]"), arena, NULL), 0);
    assert_null(missing);
    t = shaped(WR_TENSOR_BYTES, 1, 2, 0);
    assert_int_equal(wr_tensor_read_json_missing(&t, &missing, &used, WR_STR("[null,\"\"]"), arena, NULL), 0);
    assert_null(((wr_str *)t.data)[0].p);
    assert_non_null(((wr_str *)t.data)[1].p);
    assert_string_equal(written(&t), "[null,\"\"]");
    t = shaped(WR_TENSOR_FP32, 1, 1, 0);
    assert_int_equal(wr_tensor_read_json_missing(&t, &missing, &used, WR_STR("[null]"), arena, NULL), 0);
    assert_true(isnan(*(float *)t.data) && missing[0]);
}

static void test_parts(void **state)
{
    (void)state;
    wr_tensor t = shaped(WR_TENSOR_FP32, 2, 2, 3);
    uint8_t missing[6] = {0};
    wr_jscan s;
    wr_jscan_init(&s, WR_STR("[[1,2],[3]] 4 null [7] {}"), arena, &err);
    assert_int_equal(wr_tensor_alloc(&t, arena, NULL), 0);
    assert_int_equal(wr_tensor_read_json_part(&t, 3, 3, missing, &s), 0);
    assert_int_equal(wr_tensor_read_json_part(&t, 0, 1, missing, &s), 0);
    assert_int_equal(wr_tensor_read_json_part(&t, 1, 1, missing, &s), 0);
    assert_int_equal(wr_tensor_read_json_part(&t, 2, 1, NULL, &s), 0);
    assert_string_equal(written(&t), "[4,null,7,1,2,3]");
    assert_true(missing[1] && !missing[0]);
    assert_int_equal(wr_tensor_read_json_part(&t, 0, 1, missing, &s), WEIR_ETYPE);
    wr_jscan_init(&s, WR_STR("[1,2] "), arena, &err);
    assert_int_equal(wr_tensor_read_json_part(&t, 0, 3, missing, &s), WEIR_EINVAL);
    wr_jscan_init(&s, WR_STR("[1,2] "), arena, &err);
    assert_int_equal(wr_tensor_read_json_part(&t, 0, 1, missing, &s), WEIR_EINVAL);
    wr_jscan_init(&s, WR_STR("5 "), arena, &err);
    assert_int_equal(wr_tensor_read_json_part(&t, 0, 2, missing, &s), WEIR_EINVAL);
    WR_AUTOBUF wr_buf b = {0};
    ((float *)t.data)[0] = -INFINITY;
    ((float *)t.data)[1] = NAN;
    for (size_t i = 0; i < 3; i++) wr_tensor_write_json_element(&b, &t, i, i < 2);
    assert_string_equal(wr_buf_cstr(&b), "-InfinityNaN7");
}

/* Each float's own text, and texts close to the middle between two floats, which a detour over double would round
 * twice. */
static void test_floats_are_nearest(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 7);
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)wr_rng_u64(&r);
        float f;
        memcpy(&f, &bits, sizeof f);
        if (!isfinite(f) || !isfinite(nextafterf(f, INFINITY))) continue;
        double middle = ((double)f + (double)nextafterf(f, INFINITY)) / 2;
        char json[200], above[64]; /* a little above the middle: one digit more */
        snprintf(above, sizeof above, "%.25g", middle);
        size_t n = strcspn(above, "e");
        snprintf(json, sizeof json, "[%s, %.*s%s1%s, %.9g]", above, (int)n, above, memchr(above, '.', n) ? "" : ".",
                 above + n, (double)f);
        wr_tensor t = shaped(WR_TENSOR_FP32, 1, 3, 0);
        wr_jscan_plain = i % 2;
        if (read(&t, json) < 0) fail_msg("%s: %s", json, err.msg);
        char *rest = json;
        for (int k = 0; k < 3; k++) {
            float want = strtof(rest + 1, &rest);
            if (((float *)t.data)[k] != want) fail_msg("%s: %.9g", json, (double)((float *)t.data)[k]);
        }
    }
    wr_jscan_plain = false;
}

static void test_binary(void **state)
{
    (void)state;
    wr_tensor t = shaped(WR_TENSOR_FP32, 1, 2, 0);
    float two[3] = {1.5F, -2, 0};
    assert_int_equal(wr_tensor_read_binary(&t, (wr_str){(char *)two, 8}, arena, &err), 0);
    assert_ptr_equal(t.data, two); /* not copied */
    char shifted[16];
    memcpy(shifted + 1, two, 8);
    wr_str odd = {shifted + 1 + ((uintptr_t)shifted & 1), 8};
    memmove(shifted + 1 + ((uintptr_t)shifted & 1), two, 8);
    assert_int_equal(wr_tensor_read_binary(&t, odd, arena, &err), 0);
    assert_true(((float *)t.data)[0] == 1.5F && ((uintptr_t)t.data & 3) == 0);
    assert_int_equal(wr_tensor_read_binary(&t, (wr_str){(char *)two, 12}, arena, &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "input byte size mismatch for input 'x'. Expected 8, got 12");
    assert_int_equal(wr_tensor_read_binary(&t, (wr_str){(char *)two, 7}, arena, &err), WEIR_EINVAL);
    t = shaped(WR_TENSOR_BOOL, 1, 3, 0);
    assert_int_equal(wr_tensor_read_binary(&t, WR_STR("\0\1\7"), arena, &err), 0);
    assert_string_equal(written(&t), "[false,true,true]");
    t = shaped(WR_TENSOR_FP64, 1, 0, 0);
    assert_int_equal(wr_tensor_read_binary(&t, (wr_str){NULL, 0}, arena, &err), 0);
    assert_int_equal(wr_tensor_binary_size(&t), 0);
}

static void test_binary_strings(void **state)
{
    (void)state;
    static const struct {
        wr_str bytes;
        const char *error;
    } bad[] = {{WR_STR("\1\0\0\0a"), "hold fewer"},
               {WR_STR("\5\0\0\0abcde"), "expected 2 string elements for inference input 'x', got 1"},
               {WR_STR("\0\0\0\0\0\0\0\0\0\0\0\0"), "unexpected number of string elements 3"},
               {WR_STR("\1\0\0\0a\0\0\0"), "incomplete string length indicator"},
               {WR_STR("\1\0\0\0a\2\0\0\0b"), "incomplete string data"},
               {WR_STR("\xff\xff\xff\xff"
                       "aaaa"),
                "incomplete string data"}};
    wr_tensor t = shaped(WR_TENSOR_BYTES, 1, 2, 0);
    assert_int_equal(wr_tensor_read_binary(&t, WR_STR("\3\0\0\0abc\0\0\0\0"), arena, &err), 0);
    assert_true(wr_str_is(((wr_str *)t.data)[0], "abc") && ((wr_str *)t.data)[1].n == 0);
    assert_int_equal(wr_tensor_binary_size(&t), 11);
    WR_AUTOBUF wr_buf b = {0};
    wr_tensor_write_binary(&b, &t);
    assert_true(wr_str_eq(wr_buf_view(&b), WR_STR("\3\0\0\0abc\0\0\0\0")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wr_tensor_read_binary(&t, bad[i].bytes, arena, &err), WEIR_EINVAL);
        if (!strstr(err.msg, bad[i].error)) fail_msg("%zu: %s", i, err.msg);
    }
}

/* Every half there is, back and forth; floats against the definition: no other half is nearer. */
static void test_small_floats(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float x = wr_half_to_float((uint16_t)h), y = wr_bf16_to_float((uint16_t)h);
        if (!isnan(x)) assert_int_equal(wr_float_to_half(x), h);
        else assert_true(isnan(wr_half_to_float(wr_float_to_half(x))));
        if (!isnan(y)) assert_int_equal(wr_float_to_bf16(y), h);
        else assert_true(isnan(wr_bf16_to_float(wr_float_to_bf16(y))));
    }
    for (uint16_t h = 0; h < 0x7bff; h++) { /* the middle goes to the even one, its neighbours to theirs */
        float middle = (wr_half_to_float(h) + wr_half_to_float(h + 1)) / 2;
        assert_int_equal(wr_float_to_half(middle), h + (h & 1));
        assert_int_equal(wr_float_to_half(nextafterf(middle, 0)), h);
        assert_int_equal(wr_float_to_half(-nextafterf(middle, INFINITY)), (h + 1) | 0x8000);
    }
    assert_int_equal(wr_float_to_half(65519.99F), 0x7bff);
    assert_int_equal(wr_float_to_half(65520), 0x7c00);
    assert_int_equal(wr_float_to_half(FLT_MAX), 0x7c00);
    assert_true(wr_half_to_float(0x3c00) == 1 && wr_half_to_float(0xc000) == -2 && wr_half_to_float(1) == 0x1p-24F);
    assert_true(wr_bf16_to_float(0x3f80) == 1);
    assert_int_equal(wr_float_to_bf16(1.00390625F), 0x3f80); /* a tie, to even */
    assert_int_equal(wr_float_to_bf16(1.01171875F), 0x3f82);
}

static void test_convert(void **state)
{
    (void)state;
    static const struct {
        wr_tensor_type from;
        const char *json;
        wr_tensor_type to;
        const char *out; /* NULL: refused */
    } all[] = {{WR_TENSOR_INT64, "[1,-2]", WR_TENSOR_FP64, "[1,-2]"},
               {WR_TENSOR_INT64, "[1,-2]", WR_TENSOR_FP32, "[1,-2]"},
               {WR_TENSOR_INT32, "[1,-2]", WR_TENSOR_FP32, "[1,-2]"},
               {WR_TENSOR_INT32, "[1,-2]", WR_TENSOR_FP64, "[1,-2]"},
               {WR_TENSOR_FP32, "[0.5,-2]", WR_TENSOR_FP64, "[0.5,-2]"},
               {WR_TENSOR_FP64, "[0.1,1e30]", WR_TENSOR_FP32, "[0.1,1e+30]"},
               {WR_TENSOR_FP64, "[0.1,1e39]", WR_TENSOR_FP32, NULL},
               {WR_TENSOR_FP64, "[null,-Infinity]", WR_TENSOR_FP32, "[null,null]"},
               {WR_TENSOR_FP64, "[1,2.5]", WR_TENSOR_INT32, NULL},
               {WR_TENSOR_FP64, "[1,-2147483648]", WR_TENSOR_INT32, "[1,-2147483648]"},
               {WR_TENSOR_FP64, "[1,2147483648]", WR_TENSOR_INT32, NULL},
               {WR_TENSOR_FP64, "[null,1]", WR_TENSOR_INT64, NULL},
               {WR_TENSOR_FP64, "[1e19,1]", WR_TENSOR_UINT64, "[10000000000000000000,1]"},
               {WR_TENSOR_FP64, "[-1,1]", WR_TENSOR_UINT64, NULL},
               {WR_TENSOR_UINT64, "[18446744073709551615,1]", WR_TENSOR_INT64, NULL},
               {WR_TENSOR_INT64, "[-1,1]", WR_TENSOR_UINT8, NULL},
               {WR_TENSOR_INT8, "[-1,1]", WR_TENSOR_INT64, "[-1,1]"},
               {WR_TENSOR_BOOL, "[true,false]", WR_TENSOR_FP64, "[1,0]"},
               {WR_TENSOR_UINT16, "[1,0]", WR_TENSOR_BOOL, "[true,false]"},
               {WR_TENSOR_UINT32, "[2,0]", WR_TENSOR_BOOL, NULL},
               {WR_TENSOR_FP64, "[0.5,65504]", WR_TENSOR_FP16, "[0.5,65504]"},
               {WR_TENSOR_FP64, "[0.5,65536]", WR_TENSOR_FP16, NULL},
               {WR_TENSOR_INT16, "[3,-4]", WR_TENSOR_BF16, "[3,-4]"},
               {WR_TENSOR_BYTES, "[\"1\",\"2\"]", WR_TENSOR_FP64, NULL},
               {WR_TENSOR_INT32, "[1,2]", WR_TENSOR_BYTES, NULL}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wr_tensor t = shaped(all[i].from, 1, 2, 0), out = {0};
        assert_int_equal(read(&t, all[i].json), 0);
        int rc = wr_tensor_convert(&out, &t, all[i].to, arena, &err);
        bool good =
            all[i].out ? rc == 0 && out.type == all[i].to && strcmp(written(&out), all[i].out) == 0 : rc == WEIR_ETYPE;
        if (!good) fail_msg("%zu: %d %s", i, rc, rc ? err.msg : written(&out));
    }
    wr_tensor half = shaped(WR_TENSOR_FP16, 1, 1, 0), out;
    uint16_t bits = 0x3800;
    half.data = &bits;
    assert_int_equal(wr_tensor_convert(&out, &half, WR_TENSOR_FP32, arena, &err), 0);
    assert_true(*(float *)out.data == 0.5F);
    assert_int_equal(wr_tensor_convert(&out, &half, WR_TENSOR_FP16, arena, &err), 0);
    assert_ptr_equal(out.data, &bits); /* nothing to do */
}

static void test_no_memory(void **state)
{
    (void)state;
    wr_arena *small = wr_arena_new(100);
    wr_tensor t = shaped(WR_TENSOR_FP64, 1, 50, 0);
    char json[200] = "[";
    for (int i = 0; i < 50; i++) strncat(json, i ? ",1" : "1", 3);
    strncat(json, "]", 2);
    assert_int_equal(wr_tensor_read_json(&t, &used, wr_str_of(json), small, &err), WEIR_ENOMEM);
    assert_int_equal(read(&t, json), 0);
    wr_tensor out;
    assert_int_equal(wr_tensor_convert(&out, &t, WR_TENSOR_FP32, small, &err), WEIR_ENOMEM);
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 20);
    wr_tensor_write_json(&b, &t);
    assert_true(b.failed);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_types),
                                       cmocka_unit_test(test_counts),
                                       cmocka_unit_test(test_nested),
                                       cmocka_unit_test(test_every_type),
                                       cmocka_unit_test(test_wrong_counts),
                                       cmocka_unit_test(test_depth),
                                       cmocka_unit_test(test_missing),
                                       cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_floats_are_nearest),
                                       cmocka_unit_test(test_binary),
                                       cmocka_unit_test(test_binary_strings),
                                       cmocka_unit_test(test_small_floats),
                                       cmocka_unit_test(test_convert),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
