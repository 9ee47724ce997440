/* SPDX-License-Identifier: Apache-2.0 */
/* jwt_test.c - tokens of another implementation pass, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../tests/reference/jwt_values.h"
#include "codec/base64.h"
#include "codec/jwt.h"

static const wr_jwt_opt good = {.issuer = "https://issuer.example", .audience = "weir", .now_s = 1800000000};

static wr_jwks *keys(void)
{
    wr_jwks *k = NULL;
    wr_err err = {0};
    if (wr_jwks_parse(&k, wr_str_of(jwks_text), &err) < 0) fail_msg("%s", err.msg);
    return k;
}

static int check(const wr_jwks *k, wr_str token, const wr_jwt_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_str claims;
    int rc = wr_jwt_check(&claims, a, token, k, opt, err);
    if (rc == 0) assert_non_null(memmem(claims.p, claims.n, "\"ada\"", 5));
    return rc;
}

static void test_every_algorithm(void **state)
{
    wr_jwks *k = keys();
    (void)state;
    assert_int_equal(wr_jwks_count(k), 4); /* the symmetric one is passed over */
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        wr_err err = {0};
        if (check(k, wr_str_of(tokens[i].token), &good, &err) < 0) fail_msg("%s: %s", tokens[i].alg, err.msg);
    }
    wr_jwks_free(k);
}

/* Another letter anywhere is another token; at the very end two letters may mean the same bytes, which the decoder
 * refuses. */
static void test_every_letter_counts(void **state)
{
    wr_jwks *k = keys();
    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        char text[2048];
        size_t n = strlen(tokens[i].token);
        for (size_t at = 0; at < n; at += 7) {
            memcpy(text, tokens[i].token, n + 1);
            text[at] = text[at] == 'A' ? 'B' : 'A';
            wr_err err = {0};
            assert_int_equal(check(k, (wr_str){text, n}, &good, &err), WEIR_EACCESS);
        }
    }
    wr_jwks_free(k);
}

static void says(const wr_jwks *k, wr_str token, wr_jwt_opt opt, const char *what)
{
    wr_err err = {0};
    assert_int_equal(check(k, token, &opt, &err), WEIR_EACCESS);
    if (!strstr(err.msg, what)) fail_msg("\"%s\" does not say \"%s\"", err.msg, what);
}

static void test_claims(void **state)
{
    wr_jwks *k = keys();
    wr_str t = wr_str_of(tokens[0].token);
    wr_jwt_opt o = good;
    (void)state;
    o.now_s = 4102444800 + 61;
    says(k, t, o, "expired");
    o.now_s = 4102444800 + 59;
    assert_int_equal(check(k, t, &o, NULL), 0);
    o.now_s = 1700000000 - 61;
    says(k, t, o, "not valid yet");
    o = good;
    o.issuer = "https://issuer.example/";
    says(k, t, o, "issuer");
    o = good;
    o.audience = "wei";
    says(k, t, o, "audience");
    wr_jwks_free(k);
}

static wr_str made(wr_buf *b, const char *head, const char *payload)
{
    wr_buf_clear(b);
    wr_base64_encode(b, wr_str_of(head), true);
    wr_buf_char(b, '.');
    wr_base64_encode(b, wr_str_of(payload), true);
    wr_buf_char(b, '.');
    return wr_buf_view(b);
}

static void test_forged(void **state)
{
    wr_jwks *k = keys();
    WR_AUTOBUF wr_buf b = {0};
    (void)state;
    says(k, made(&b, "{\"alg\":\"none\"}", "{\"exp\":4102444800}"), good, "not one to trust");
    says(k, made(&b, "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", "{\"exp\":4102444800}"), good, "not one to trust");
    says(k, made(&b, "{\"alg\":\"RS256\",\"kid\":\"ed\"}", "{\"exp\":4102444800}"), good, "not signed");
    says(k, made(&b, "[]", "{}"), good, "header");
    says(k, WR_STR("a.b"), good, "not a signed token");
    says(k, WR_STR(""), good, "not a signed token");
    says(k, WR_STR("..."), good, "not a signed token");
    wr_jwks_free(k);
}

static void test_bad_sets(void **state)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"keys\":[]}",
                                      "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
                                      "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
                                      "{\"keys\":[1,null,\"a\"]}"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wr_jwks *k = NULL;
        wr_err err = {0};
        assert_true(wr_jwks_parse(&k, wr_str_of(bad[i]), &err) < 0);
        assert_true(err.msg[0] != 0);
    }
}

static void test_base64(void **state)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {{"", ""},        {"f", "Zg=="},          {"fo", "Zm8="},
                 {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe?", "//4/"}};
    static const char *const bad[] = {"Z", "Zg=", "Zh==", "Zm9v=", "Zm 9", "=", "Zg==Zg=="};
    WR_AUTOBUF wr_buf b = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_buf_clear(&b);
        wr_base64_encode(&b, wr_str_of(cases[i].plain), false);
        assert_string_equal(wr_buf_cstr(&b), cases[i].text);
        wr_buf_clear(&b);
        assert_true(wr_base64_decode(&b, wr_str_of(cases[i].text)));
        assert_string_equal(wr_buf_cstr(&b), cases[i].plain);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wr_buf_clear(&b);
        assert_false(wr_base64_decode(&b, wr_str_of(bad[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_algorithm), cmocka_unit_test(test_every_letter_counts),
        cmocka_unit_test(test_claims),          cmocka_unit_test(test_forged),
        cmocka_unit_test(test_bad_sets),        cmocka_unit_test(test_base64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
