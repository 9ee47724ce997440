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

/* Made by werkzeug.security.generate_password_hash of Werkzeug 3. */
static void test_of_werkzeug(void **state)
{
    static const char *const good[] = {
        "scrypt:32768:8:1$AJumbIkHGRDlujk0$a44d0e0b10c94535149ac7e589c5289366277de939c2af9584cd35fa483126dc89ff25382ecb43c0554ac585b76c3e72df24"
        "ee9f4639f1aa4ee4acca92685eb7",
        "pbkdf2:sha256:1000$1xwaqFqVTA4twkLJ$9d4daa23e0ede96cd0e0832095c7fb76dad4d783a92ab51113dfc699d8dcd23e",
        "pbkdf2:sha1:10$hvspjFbFdpacO9vS$7075c75e6fa66f662af0b591c5bb42dd9257d190"};
    static const char *const bad[] = {
        "scrypt:32768:8$AJumbIkHGRDlujk0$a44d0e0b10c94535149ac7e589c5289366277de939c2af9584cd35fa483126dc",
        "scrypt:32768:8:1:1$AJumbIkHGRDlujk0$a44d0e0b10c94535149ac7e589c5289366277de939c2af9584cd35fa483126dc",
        "scrypt:999999999:8:1$AJumbIkHGRDlujk0$a44d0e0b10c94535149ac7e589c5289366277de939c2af9584cd35fa483126dc",
        "scrypt:32767:8:1$AJumbIkHGRDlujk0$a44d0e0b10c94535149ac7e589c5289366277de939c2af9584cd35fa483126dc",
        "pbkdf2:sha256:0$1xwaqFqVTA4twkLJ$9d4daa23e0ede96cd0e0832095c7fb76dad4d783a92ab51113dfc699d8dcd23e",
        "pbkdf2:md5:10$1xwaqFqVTA4twkLJ$9d4daa23e0ede96cd0e0832095c7fb76dad4d783a92ab51113dfc699d8dcd23e",
        "pbkdf2:sha1:10$hvspjFbFdpacO9vS$",
        "pbkdf2:sha1:10$hvspjFbFdpacO9vS$70",
        "pbkdf2:sha1:10$hvspjFbFdpacO9vS",
        "pbkdf2:sha1:10",
        "pbkdf2:"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(wr_password_ok(WR_STR("correct horse"), good[i]));
        assert_false(wr_password_ok(WR_STR("correct horsf"), good[i]));
        assert_false(wr_password_ok(WR_STR(""), good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(wr_password_ok(WR_STR("correct horse"), bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_known),
                                       cmocka_unit_test(test_of_werkzeug),
                                       cmocka_unit_test(test_not_hashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
