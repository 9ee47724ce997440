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
        cmocka_unit_test(test_sha256_nist), cmocka_unit_test(test_sha256_million), cmocka_unit_test(test_sha256_pieces),
        cmocka_unit_test(test_xxh3),        cmocka_unit_test(test_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
