/* SPDX-License-Identifier: Apache-2.0 */
/* chars_test.c - every code point is what wr_str_utf8() takes; every byte as a digit. */
#include "base/chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void test_utf8(void **state)
{
    (void)state;
    char b[4];
    size_t n;
    assert_true(wr_utf8_put(b, 0x7f) == 1 && b[0] == 0x7f);
    assert_true(wr_utf8_put(b, 0xe9) == 2 && memcmp(b, "\xc3\xa9", 2) == 0);
    assert_true(wr_utf8_put(b, 0x20ac) == 3 && memcmp(b, "\xe2\x82\xac", 3) == 0);
    assert_true(wr_utf8_put(b, 0x1f600) == 4 && memcmp(b, "\xf0\x9f\x98\x80", 4) == 0);
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        bool surrogate = c >= 0xd800 && c < 0xe000;
        n = wr_utf8_put(b, c);
        assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        assert_int_equal(wr_str_utf8((wr_str){b, n}), !surrogate);
    }
    WR_AUTOBUF wr_buf out = {0};
    wr_buf_utf8(&out, 'a');
    wr_buf_utf8(&out, 0x20ac);
    assert_string_equal(wr_buf_cstr(&out), "a\xe2\x82\xac");
}

static void test_hex_digits(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char text[2] = {(char)c, 0};
        char *end;
        long v = strtol(text, &end, 16);
        assert_int_equal(wr_hex_digit((char)c), *end || !c ? -1 : v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_utf8), cmocka_unit_test(test_hex_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
