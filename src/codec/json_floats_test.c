/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rng.h"
#include "codec/json_scan.h"
#include "codec/tensor.h"

enum { MOST = 64 };

static wr_arena *arena;

typedef struct {
    int rc;
    wr_err err;
    size_t used;
    union {
        uint32_t bits[MOST]; /* of floats */
        uint64_t wide[MOST]; /* of doubles */
    };
} outcome;

/* The text in a block of its very size: the sanitizer sees every byte read that is not there. */
static char *exact(const char *text, size_t n)
{
    char *block = malloc(n ? n : 1);
    if (!block) abort();
    memcpy(block, text, n);
    return block;
}

static outcome list(const char *text, size_t n, size_t count, wr_tensor_type type, bool plain)
{
    outcome o = {.used = 0};
    wr_tensor t = {.type = type, .ndims = 1, .shape = {(int64_t)count}};
    char *block = exact(text, n);
    assert_int_equal(wr_tensor_count(&t, NULL), 0);
    wr_jscan_plain = plain;
    o.rc = wr_tensor_read_json(&t, &o.used, (wr_str){block, n}, arena, &o.err);
    wr_jscan_plain = false;
    if (o.rc == 0 && count) memcpy(o.bits, t.data, count * wr_tensor_type_size(type));
    free(block);
    return o;
}

/* The same with and without the quick way: values to the bit, errors to the letter. */
static outcome both(const char *text, size_t n, size_t count, wr_tensor_type type)
{
    outcome quick = list(text, n, count, type, false), plain = list(text, n, count, type, true);
    if (quick.rc != plain.rc || quick.used != plain.used || strcmp(quick.err.msg, plain.err.msg) != 0)
        fail_msg("%.*s: %d \"%s\", plain %d \"%s\"", (int)n, text, quick.rc, quick.err.msg, plain.rc, plain.err.msg);
    for (size_t i = 0; i < MOST; i++) {
        if (quick.wide[i] != plain.wide[i]) fail_msg("%.*s: element %zu or the next", (int)n, text, i);
    }
    return quick;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static uint64_t wide_of(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static size_t put_digits(char *to, wr_rng *r, int n, bool zero_first)
{
    for (int i = 0; i < n; i++) to[i] = (char)('0' + (i || zero_first ? wr_rng_below(r, 10) : 1 + wr_rng_below(r, 9)));
    return (size_t)n;
}

/* Digits of any number before and behind the point, far from the text's end and next to it. */
static void test_every_length(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "]", ",7]", ", 7]", " , 7 ]", "\n]", ",\t7.5, 8.25, 9.125, 123456789.5, 1]", "]}]}12345678"};
    wr_rng r;
    wr_rng_init(&r, 3);
    for (int before = 1; before <= 38; before++) { /* floats end there */
        for (int after = 0; after <= 40; after++) {
            for (size_t k = 0; k < 2 * sizeof ends / sizeof *ends; k++) {
                char text[200] = "[-";
                const char *end = ends[k / 2], *item = text + 1 + k % 2; /* with the sign, without */
                size_t n = 2 + put_digits(text + 2, &r, before, before == 1), count = 1;
                if (after) text[n++] = '.';
                n += put_digits(text + n, &r, after, true);
                float want = strtof(item, NULL);
                double wide = strtod(item, NULL);
                memcpy(text + n, end, strlen(end) + 1);
                for (const char *p = end; *p; p++) count += *p == ',';
                memmove(text + 1, item, strlen(item) + 1);
                outcome o = both(text, strlen(text), count, WR_TENSOR_FP64);
                if (o.rc < 0 || o.wide[0] != wide_of(wide)) fail_msg("%s: %s", text, o.err.msg);
                o = both(text, strlen(text), count, WR_TENSOR_FP32);
                if (o.rc < 0 || o.bits[0] != bits_of(want)) fail_msg("%s: %s", text, o.err.msg);
                if (count > 1 && o.bits[1] != bits_of(end[1] == '\t' ? 7.5F : 7)) fail_msg("%s: second", text);
            }
        }
    }
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.",
                                      ".5",
                                      "01",
                                      "-01.5",
                                      "1e",
                                      "1e+",
                                      "-",
                                      "1.2.3",
                                      "1 2",
                                      "1..2",
                                      "1./5",
                                      "1/5",
                                      "-.5",
                                      "--1",
                                      "+1",
                                      "1-2",
                                      "1.5-",
                                      "1.5e",
                                      "-.",
                                      ".",
                                      "",
                                      " ",
                                      "0x1",
                                      "00",
                                      "0.5.",
                                      "1:2",
                                      "1,,2",
                                      "1;2",
                                      "1.5+",
                                      "nan",
                                      "-Inf",
                                      "1'",
                                      "5\"",
                                      "1.-5",
                                      "1.e5",
                                      "\x01",
                                      "\xb1",
                                      "1\xb1",
                                      "1.\xb1",
                                      "0.12345678901234567890.1",
                                      "123456789012345.6.7",
                                      "1234567890123456.7.8",
                                      "1234567890123456789012345678901234567890.5.5",
                                      "01234567890123456789.5",
                                      "0.1234567890123456789012345e"};
    static const char *const frames[] = {
        "[%s]", "[%s,1]", "[1,%s]", "[1, %s, 0.5, 0.25, 0.125, 0.0625, 0.03125, 12345, 1]", "[%s}", "[%s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (size_t k = 0; k < sizeof frames / sizeof *frames; k++) {
            char text[200];
            int n = snprintf(text, sizeof text, frames[k], bad[i]);
            size_t count = 1;
            for (const char *p = text; *p; p++) count += *p == ',';
            for (int wide = 0; wide < 2; wide++) {
                outcome o = both(text, (size_t)n, count, wide ? WR_TENSOR_FP64 : WR_TENSOR_FP32);
                if (o.rc == 0) fail_msg("%s: taken", text);
            }
        }
    }
    assert_int_equal(both("[0.5, 1.5.5, 2]", 15, 3, WR_TENSOR_FP32).rc, WEIR_EPARSE);
    assert_string_equal(both("[0.5, 1.5 2.5]", 14, 2, WR_TENSOR_FP32).err.msg, "JSON at byte 10: expected ',' or ']'");
    assert_string_equal(both("[0.5, 0.25, \"a\"]", 16, 3, WR_TENSOR_FP32).err.msg, "element 2 is not FP32: \"a\"");
}

/* A number as programs print them, or as nobody does. Returns its length. */
static size_t any_number(char *to, wr_rng *r)
{
    uint64_t raw = wr_rng_u64(r);
    double d = (double)(int64_t)raw * 0x1p-63 * pow(10, (double)wr_rng_below(r, 7) - 2);
    float f = (float)d;
    switch (wr_rng_below(r, 9)) {
    case 0:
        return (size_t)sprintf(to, "%.17g", d);
    case 1:
        return (size_t)sprintf(to, "%.9g", (double)f);
    case 2:
        return (size_t)sprintf(to, "%.*f", 1 + (int)wr_rng_below(r, 20), d);
    case 3:
        return (size_t)sprintf(to, "%.10f", (double)((int)wr_rng_below(r, 2049) - 1024) / 1024);
    case 4:
        return (size_t)sprintf(to, "%d", (int)(raw % 2001) - 1000);
    case 5:
        return (size_t)sprintf(to, "%.20f", (double)f + (double)(nextafterf(f, INFINITY) - f) / 2); /* a middle */
    case 6:
        return (size_t)sprintf(to, "%s%llu", raw & 1 ? "-" : "", (unsigned long long)(raw >> wr_rng_below(r, 60)));
    case 7:
        return (size_t)sprintf(to, "%s0.%0*d", raw & 1 ? "-" : "", 1 + (int)wr_rng_below(r, 28),
                               (int)wr_rng_below(r, 3000));
    default:
        return (size_t)sprintf(to, "%.*e", (int)wr_rng_below(r, 18), d);
    }
}

static const char *separator(wr_rng *r, uint64_t style)
{
    static const char *const all[] = {", ", ",", ",\n    ", " ,", "\t,\r\n", ",  "};
    return all[style < 6 ? style : wr_rng_below(r, 6)];
}

/* Lists of random numbers against strtof and strtod. */
static void test_random_lists(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 11);
    for (int i = 0; i < 20000; i++) {
        char text[MOST * 64] = "[";
        size_t n = 1, count = 1 + wr_rng_below(&r, i % 8 ? 30 : 6), at[MOST];
        uint64_t style = wr_rng_below(&r, 8);
        for (size_t k = 0; k < count; k++) {
            if (k) n += (size_t)sprintf(text + n, "%s", separator(&r, style));
            at[k] = n;
            n += any_number(text + n, &r);
        }
        n += (size_t)sprintf(text + n, "%.*s", 1 + (int)wr_rng_below(&r, 4), "]}]}");
        outcome o = both(text, n, count, WR_TENSOR_FP32), wide = both(text, n, count, WR_TENSOR_FP64);
        if (o.rc < 0 || wide.rc < 0) fail_msg("%s: %s%s", text, o.err.msg, wide.err.msg);
        for (size_t k = 0; k < count; k++) {
            if (o.bits[k] != bits_of(strtof(text + at[k], NULL))) fail_msg("%.40s: %x", text + at[k], o.bits[k]);
            if (wide.wide[k] != wide_of(strtod(text + at[k], NULL))) fail_msg("%.40s: double", text + at[k]);
        }
        if (i % 64 == 0) wr_arena_clear(arena);
    }
}

/* Lists with some bytes changed: whatever that is, it is the same both ways. */
static void test_damaged_lists(void **state)
{
    (void)state;
    static const char bytes[] = "0123456789.,- eE+]}[\"n\n/:\x80";
    wr_rng r;
    wr_rng_init(&r, 12);
    int taken = 0;
    for (int i = 0; i < 60000; i++) {
        char text[12 * 64] = "[";
        size_t n = 1, count = 1 + wr_rng_below(&r, 10);
        for (size_t k = 0; k < count; k++) {
            if (k) n += (size_t)sprintf(text + n, ", ");
            n += any_number(text + n, &r);
        }
        text[n++] = ']';
        for (uint64_t k = 1 + wr_rng_below(&r, 2); k; k--)
            text[wr_rng_below(&r, n)] = bytes[wr_rng_below(&r, sizeof bytes - 1)];
        taken +=
            both(text, wr_rng_below(&r, 4) ? n : wr_rng_below(&r, n), count, i % 2 ? WR_TENSOR_FP32 : WR_TENSOR_FP64)
                .rc == 0;
        if (i % 64 == 0) wr_arena_clear(arena);
    }
    assert_in_range(taken, 1000, 59000); /* of both kinds there were many */
}

/* Where it stands afterwards, how many it took, and that the quick way is one. */
static void test_verb(void **state)
{
    (void)state;
    float out[4];
    wr_err err;
    wr_jscan s;
    static const char text[] = "1.5, -0.25,\n3 , null]                                        ";
    for (int plain = 0; plain < 2; plain++) {
        wr_jscan_plain = plain;
        wr_jscan_init(&s, (wr_str){text, sizeof text - 1}, arena, &err);
        assert_int_equal(wr_jscan_floats(&s, out, 0), 0);
        assert_true(s.at == text);
        assert_int_equal(wr_jscan_floats(&s, out, 1), 1);
        assert_true(s.at == text + 3 && out[0] == 1.5F);
        wr_jscan_init(&s, (wr_str){text, sizeof text - 1}, arena, &err);
        assert_int_equal(wr_jscan_floats(&s, out, 4), 3);
        assert_true(s.at == text + 13 && out[0] == 1.5F && out[1] == -0.25F && out[2] == 3);
        s.at = text + 16;
        assert_int_equal(wr_jscan_floats(&s, out, 4), 0);
        assert_true(s.at == text + 16);
        wr_jscan_init(&s, WR_STR("1,"), arena, &err);
        assert_int_equal(wr_jscan_floats(&s, out, 4), 1);
        assert_int_equal(s.end - s.at, 1);
        wr_jscan_init(&s, WR_STR("-0,0,-0.0,0.0]"), arena, &err);
        assert_int_equal(wr_jscan_floats(&s, out, 4), 4);
        assert_true(signbit(out[0]) && !signbit(out[1]) && signbit(out[2]) && !signbit(out[3]));
        wr_jscan_init(&s, WR_STR("0.00000000000000000000000000001 ]"), arena, &err);
        if (wr_jscan_floats(&s, out, 1)) assert_true(out[0] == 1e-29F);
        wr_jscan_init(&s, WR_STR("1.00000005960464477539062, 1]                  "), arena, &err);
        assert_int_equal(wr_jscan_floats(&s, out, 2), 0); /* next to a middle */
        double wide[4];
        wr_jscan_init(&s, (wr_str){text, sizeof text - 1}, arena, &err);
        assert_int_equal(wr_jscan_doubles(&s, wide, 2), 2);
        assert_true(s.at == text + 10 && wide[0] == 1.5 && wide[1] == -0.25);
        wr_jscan_init(&s, WR_STR("-0,0,-0.0,0.1]"), arena, &err);
        assert_int_equal(wr_jscan_doubles(&s, wide, 4), 4);
        assert_true(signbit(wide[0]) && !signbit(wide[1]) && signbit(wide[2]) && wide[3] == 0.1);
    }
    wr_jscan_plain = false;
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_length), cmocka_unit_test(test_malformed),
                                       cmocka_unit_test(test_random_lists), cmocka_unit_test(test_damaged_lists),
                                       cmocka_unit_test(test_verb)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
