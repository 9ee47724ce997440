/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_test.c - the examples of Amazon S3's API reference, "Authenticating Requests". */
#include "io/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

static const wr_sigv4_keys keys = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL,
                                   "us-east-1", "s3"};
#define EMPTY  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BUCKET "examplebucket.s3.amazonaws.com"
#define DAY    1369353600 /* 2013-05-24 */
#define SCOPE  "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "

static void signs(const wr_sigv4_request *r, const char *headers, const char *signature)
{
    WR_AUTOBUF wr_buf b;
    char want[600];
    wr_buf_init(&b, 0);
    wr_sigv4_authorization(&b, &keys, r);
    snprintf(want, sizeof want, SCOPE "SignedHeaders=%s, Signature=%s", headers, signature);
    assert_false(b.failed);
    assert_string_equal(wr_buf_cstr(&b), want);
}

static void published_examples(void **state)
{
    (void)state;
    const wr_sigv4_pair range[] = {{"range", "bytes=0-9"}};
    signs(&(wr_sigv4_request){.method = "GET",
                              .host = BUCKET,
                              .path = "/test.txt",
                              .headers = range,
                              .nheaders = 1,
                              .payload = EMPTY,
                              .time_s = DAY},
          "host;range;x-amz-content-sha256;x-amz-date",
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    const wr_sigv4_pair put[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                 {"date", "Fri, 24 May 2013 00:00:00 GMT"}};
    char hash[WR_SHA256_HEX];
    wr_sha256_of("Welcome to Amazon S3.", 21, hash);
    signs(&(wr_sigv4_request){.method = "PUT",
                              .host = BUCKET,
                              .path = "/test%24file.text",
                              .headers = put,
                              .nheaders = 2,
                              .payload = hash,
                              .time_s = DAY},
          "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    const wr_sigv4_pair lifecycle[] = {{"lifecycle", ""}};
    signs(&(wr_sigv4_request){.method = "GET",
                              .host = BUCKET,
                              .path = "/",
                              .query = lifecycle,
                              .nquery = 1,
                              .payload = EMPTY,
                              .time_s = DAY},
          "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    const wr_sigv4_pair list[] = {{"prefix", "J"}, {"max-keys", "2"}}; /* not in order */
    signs(
        &(wr_sigv4_request){
            .method = "GET", .host = BUCKET, .path = "/", .query = list, .nquery = 2, .payload = EMPTY, .time_s = DAY},
        "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void published_link(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_sigv4_presign(&b, &keys,
                     &(wr_sigv4_request){.method = "GET", .host = BUCKET, .path = "/test.txt", .time_s = DAY}, 86400);
    assert_string_equal(
        wr_buf_cstr(&b),
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%"
        "2F"
        "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void queries_and_limits(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    const wr_sigv4_pair q[] = {{"b", "2"}, {"a-b", "x"}, {"a", "/ +="}, {"a", "!"}, {"\xc3\xa4", "~"}, {"B", ""}};
    wr_sigv4_query(&b, q, 6);
    assert_string_equal(wr_buf_cstr(&b), "%C3%A4=~&B=&a=%21&a=%2F%20%2B%3D&a-b=x&b=2");
    wr_buf_clear(&b);
    wr_sigv4_query(&b, q, 0);
    assert_int_equal(b.n, 0);
    wr_sigv4_pair many[WR_SIGV4_PAIRS + 1];
    for (size_t i = 0; i <= WR_SIGV4_PAIRS; i++) many[i] = q[0];
    wr_sigv4_query(&b, many, WR_SIGV4_PAIRS + 1);
    assert_true(b.failed);
    wr_buf_clear(&b);
    const wr_sigv4_request r = {
        .method = "GET", .host = "h", .path = "/", .headers = many, .nheaders = WR_SIGV4_PAIRS, .payload = EMPTY};
    wr_sigv4_authorization(&b, &keys, &r);
    assert_true(b.failed);
    wr_buf_clear(&b);
    const wr_sigv4_request p = {.method = "GET", .host = "h", .path = "/", .query = many, .nquery = WR_SIGV4_PAIRS - 5};
    wr_sigv4_presign(&b, &keys, &p, 1);
    assert_true(b.failed);
}

/* A token is signed, and named. */
static void tokens(void **state)
{
    (void)state;
    wr_sigv4_keys k = keys;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    k.token = "to/ken+";
    wr_sigv4_authorization(&b, &k, &(wr_sigv4_request){.method = "GET", .host = "h", .path = "/", .payload = EMPTY});
    assert_non_null(
        strstr(wr_buf_cstr(&b), "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
    wr_buf_clear(&b);
    wr_sigv4_presign(&b, &k, &(wr_sigv4_request){.method = "PUT", .host = "h", .path = "/k"}, 9);
    assert_non_null(strstr(wr_buf_cstr(&b), "&X-Amz-Security-Token=to%2Fken%2B&X-Amz-SignedHeaders=host"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_examples), cmocka_unit_test(published_link),
                                       cmocka_unit_test(queries_and_limits), cmocka_unit_test(tokens)};
    return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
