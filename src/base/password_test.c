/* SPDX-License-Identifier: Apache-2.0 */
/* password_test.c - hashes of passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/password.h"

static void test_round_trip(void **state)
{
    char a[WR_PASSWORD_TEXT], b[WR_PASSWORD_TEXT];
    wr_err err = {0};
    (void)state;
    assert_int_equal(wr_password_hash(a, WR_STR("correct horse"), &err), 0);
    assert_int_equal(wr_password_hash(b, WR_STR("correct horse"), &err), 0);
    assert_string_not_equal(a, b); /* salted */
    assert_true(wr_password_ok(WR_STR("correct horse"), a));
    assert_true(wr_password_ok(WR_STR("correct horse"), b));
    assert_false(wr_password_ok(WR_STR("correct horsf"), a));
    assert_false(wr_password_ok(WR_STR(""), a));
}

/* Made by: python3 -c "import hashlib; print(hashlib.scrypt(b'pass', salt=bytes(range(16)), n=1<<14, r=8, p=1,
 * dklen=32).hex())" */
static void test_known(void **state)
{
    static const char known[] = "scrypt$14$8$1$000102030405060708090a0b0c0d0e0f$"
                                "5f8744b57e6622f2a86d20675a1a93c9042a143b4232911dddedb74f0e57b5e8";
    (void)state;
    assert_true(wr_password_ok(WR_STR("pass"), known));
}

static void test_not_hashes(void **state)
{
    static const char *const bad[] = {"",
                                      "scrypt",
                                      "scrypt$14$8$1$",
                                      "scrypt$14$8$1$zz",
                                      "scrypt$10$8$1$000102030405060708090a0b0c0d0e0f$00",
                                      "scrypt$14$8$1$000102030405060708090a0b0c0d0e0f",
                                      "plain"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(wr_password_ok(WR_STR("pass"), bad[i]));
    assert_false(wr_password_ok(WR_STR("pass"), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_known),
                                       cmocka_unit_test(test_not_hashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
