/* SPDX-License-Identifier: Apache-2.0 */
/* hash_test.c - XXH3 and SHA-256 against published values. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

static void test_sha256_nist(void **state)
{
    (void)state;
    /* FIPS 180-2 appendix B and NIST's example values */
    static const struct {
        const char *text, *sum;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
         "stu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sum[WR_SHA256_HEX];
        wr_sha256_of(cases[i].text, strlen(cases[i].text), sum);
        assert_string_equal(sum, cases[i].sum);
    }
}

static void test_sha256_million(void **state)
{
    (void)state;
    char block[1000], sum[WR_SHA256_HEX];
    memset(block, 'a', sizeof block);
    wr_sha256 h;
    wr_sha256_init(&h);
    for (int i = 0; i < 1000; i++) wr_sha256_add(&h, block, sizeof block);
    wr_sha256_hex(&h, sum);
    assert_string_equal(sum, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void hmac_is(wr_str key, wr_str data, const char *want)
{
    unsigned char mac[WR_SHA256_SIZE];
    char hex[WR_SHA256_HEX];
    wr_hmac_sha256(mac, key, data);
    wr_hex(hex, mac, sizeof mac);
    assert_string_equal(hex, want);
}

static void test_hmac_rfc4231(void **state)
{
    (void)state;
    char aa[131], dd[50], ob[20];
    memset(aa, 0xaa, sizeof aa);
    memset(dd, 0xdd, sizeof dd);
    memset(ob, 0x0b, sizeof ob);
    hmac_is((wr_str){ob, 20}, WR_STR("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_is(WR_STR("Jefe"), WR_STR("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_is((wr_str){aa, 20}, (wr_str){dd, 50}, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    hmac_is((wr_str){aa, 131}, WR_STR("Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_same_secret(void **state)
{
    (void)state;
    assert_true(wr_same_secret(WR_STR("abc"), WR_STR("abc")));
    assert_true(wr_same_secret((wr_str){0}, WR_STR("")));
    assert_false(wr_same_secret(WR_STR("abc"), WR_STR("abd")));
    assert_false(wr_same_secret(WR_STR("abc"), WR_STR("ab")));
}

static void test_sha256_pieces(void **state)
{
    (void)state;
    unsigned char data[200];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7);
    char whole[WR_SHA256_HEX], parts[WR_SHA256_HEX];
    wr_sha256_of(data, sizeof data, whole);
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        wr_sha256 h;
        wr_sha256_init(&h);
        wr_sha256_add(&h, data, cut);
        wr_sha256_add(&h, NULL, 0);
        wr_sha256_add(&h, data + cut, sizeof data - cut);
        wr_sha256_hex(&h, parts);
        assert_string_equal(parts, whole);
    }
}

static void test_xxh3(void **state)
{
    (void)state;
    assert_true(wr_hash64("", 0, 0) == 0x2D06800538D394C2U); /* xxhash's own sanity test */
    assert_true(wr_hash64(NULL, 0, 0) == wr_hash64("", 0, 0));
    assert_true(wr_hash64("abc", 3, 1) != wr_hash64("abc", 3, 2));
    assert_true(wr_hash64("abc", 3, 1) == wr_hash64("abcd", 3, 1));
}

static void *seed_of_thread(void *out)
{
    *(uint64_t *)out = wr_hash_seed();
    return NULL;
}

static void test_seed(void **state)
{
    (void)state;
    uint64_t seeds[4];
    pthread_t t[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, seed_of_thread, &seeds[i]), 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 4; i++) assert_true(seeds[i] == wr_hash_seed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_nist), cmocka_unit_test(test_sha256_million), cmocka_unit_test(test_hmac_rfc4231),
        cmocka_unit_test(test_same_secret), cmocka_unit_test(test_sha256_pieces),  cmocka_unit_test(test_xxh3),
        cmocka_unit_test(test_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
