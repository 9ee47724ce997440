/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_s3_test.c - what a real server is seldom made to do: it fails, forgets, contradicts itself. A small server
 * plays recorded answers (of radosgw 16.2) in order and notes what it was asked. The contract against a real one:
 * artifacts_test.c, tests/s3. */
#include "store/artifacts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/fetch.h"
#include "io/http_server.h"

typedef struct {
    int status;
    const char *headers, *body;
} reply;

static wr_http_server *server;
static pthread_t thread;
static wr_artifacts *s;
static wr_err err;
static const reply *script; /* ends with status 0 */
static int at;
static char asked[64][400];
static bool no_curl;

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"

static void handle(wr_http_req *r)
{
    const wr_http_head *h = wr_http_req_head(r);
    assert_true(at < 64);
    snprintf(asked[at], sizeof asked[0], "%.*s %.*s", WR_STR_FMT(h->method), WR_STR_FMT(wr_str_fit(h->target, 380)));
    assert_true(wr_str_starts(wr_http_get(h, "authorization"), "AWS4-HMAC-SHA256 Credential=KEY/"));
    assert_true(wr_http_get(h, "x-amz-content-sha256").n == 64);
    reply a = script[at].status ? script[at++] : (reply){500, NULL, "nothing more was expected"};
    wr_http_reply(r, &(wr_http_reply_opt){.status = a.status, .headers = a.headers, .type = "application/xml"},
                  wr_str_of(a.body));
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx, (void)r;
    *out = (wr_http_route){.handle = handle, .body_max = 64 << 20};
}

static void *serve(void *arg)
{
    wr_http_server_run(arg, NULL);
    return NULL;
}

static void environment(const char *endpoint)
{
    static const char *const names[] = {"AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
                                        "AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    setenv("AWS_ACCESS_KEY_ID", "KEY", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_REGION", "eu-west-1", 1);
    if (endpoint) setenv("AWS_ENDPOINT_URL", endpoint, 1);
}

static int setup(void **state)
{
    (void)state;
    char url[64];
    wr_http_server_opt opt = {.route = route};
    wr_fetch *f;
    no_curl = wr_fetch_open(&f, &err) < 0;
    if (no_curl) return 0;
    wr_fetch_close(f);
    if (wr_http_server_open(&server, &opt, &err) < 0) return -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", wr_http_server_port(server));
    environment(url);
    if (wr_artifacts_open(&s, "s3://bkt/pre fix", &(wr_artifacts_opt){0}, &err) < 0) return -1;
    at = 0;
    return pthread_create(&thread, NULL, serve, server);
}

static int teardown(void **state)
{
    (void)state;
    if (no_curl) return 0;
    wr_artifacts_close(s);
    wr_http_server_stop(server, 0);
    pthread_join(thread, NULL);
    wr_http_server_close(server);
    return 0;
}

#define PLAYS(...)                                                                                                     \
    static const reply answers_[] = {__VA_ARGS__, {0, NULL, NULL}};                                                    \
    if (no_curl) skip();                                                                                               \
    script = answers_;                                                                                                 \
    (void)state

static void was_asked(int i, const char *what)
{
    if (i >= at) fail_msg("only %d requests came", at);
    assert_string_equal(asked[i], what);
}

/* ---- lists ---- */

static void pages(void **state)
{
    PLAYS({200, NULL,
           XML "<ListBucketResult "
               "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType><Name>bkt</"
               "Name><Prefix>pre%20fix/</Prefix>"
               "<MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</"
               "IsTruncated><CommonPrefixes><Prefix>pre%20fix/sub/</Prefix></CommonPrefixes>"
               "<Contents><Key>pre%20fix/a%20b%2Bc%3Dd%26e%3Cf%3E.txt</Key><LastModified>2026-11-28T04:35:33.470Z</"
               "LastModified>"
               "<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><Size>5</Size></"
               "Contents><Contents><Key>pre%20fix/</Key><Size>0</Size></Contents>"
               "<NextContinuationToken>pre fix/&lt;1&gt;</NextContinuationToken></ListBucketResult>"},
          {200, NULL,
           XML "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>pre+fix/0</"
               "Key><LastModified>2026-11-28T04:35:34Z</LastModified>"
               "<Size>7</Size></Contents><KeyCount>1</KeyCount></ListBucketResult>"});
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_artifact_entry *list;
    size_t n;
    assert_int_equal(wr_artifacts_list(&list, &n, a, s, WR_STR(""), &err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(list[0].name, "0");
    assert_string_equal(list[1].name, "a b+c=d&e<f>.txt");
    assert_int_equal(list[1].size, 5);
    assert_int_equal(list[1].mtime_us, 1795840533470000);
    assert_string_equal(list[2].name, "sub");
    assert_true(list[2].is_dir);
    was_asked(0, "GET /bkt/?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=pre%20fix%2F");
    was_asked(1, "GET "
                 "/bkt/"
                 "?continuation-token=pre%20fix%2F%3C1%3E&delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&"
                 "prefix=pre%20fix%2F");
}

static int list_rc(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_artifact_entry *list;
    size_t n;
    return wr_artifacts_list(&list, &n, a, s, WR_STR("x"), &err);
}

static void broken_lists(void **state)
{
    PLAYS({200, NULL,
           "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"}, /* no token: it would not end */
          {200, NULL, "<ListBucketResult><Contents><Key>other/place</Key></Contents></ListBucketResult>"},
          {200, NULL, "<ListBucketResult><Contents><Key>%zz</Key></Contents></ListBucketResult>"},
          {200, NULL,
           "<ListBucketResult><Contents><Key>pre%20fix/x/..</Key></Contents><Contents><Key>pre%20fix/x/%2Fetc</Key></"
           "Contents></ListBucketResult>"},
          {404, NULL, XML "<Error><Code>NoSuchBucket</Code><Message></Message><BucketName>bkt</BucketName></Error>"});
    assert_int_equal(list_rc(), WEIR_EUNAVAILABLE);
    assert_int_equal(list_rc(), 0); /* names nothing below the folder that could be asked for */
    assert_int_equal(list_rc(), WEIR_EUNAVAILABLE);
    assert_int_equal(list_rc(), 0);
    assert_int_equal(list_rc(), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.detail, "NoSuchBucket"));
    assert_non_null(strstr(err.hint, "make the bucket first"));
}

/* ---- again, and giving up ---- */

static void tries_again(void **state)
{
    PLAYS({503, NULL, XML "<Error><Code>SlowDown</Code></Error>"}, {500, NULL, ""}, {200, "ETag: \"e1\"\r\n", ""},
          {403, NULL, XML "<Error><Code>SignatureDoesNotMatch</Code><Message>a &amp; b</Message></Error>"});
    wr_artifact_info info;
    assert_int_equal(wr_artifacts_put(s, WR_STR("d/a=b"), WR_STR("hello"), &info, &err), 0);
    assert_string_equal(info.etag, "e1");
    assert_int_equal(at, 3);
    was_asked(2, "PUT /bkt/pre%20fix/d/a%3Db");
    assert_int_equal(wr_artifacts_put(s, WR_STR("d/a"), WR_STR("hello"), &info, &err),
                     WEIR_EACCESS); /* that will not get better */
    assert_string_equal(err.detail, "SignatureDoesNotMatch: a & b");
    assert_int_equal(at, 4);
}

static void gives_up(void **state)
{
    PLAYS({502, NULL, ""}, {503, NULL, ""}, {504, NULL, ""}, {429, NULL, ""},
          {500, NULL, XML "<Error><Code>InternalError</Code></Error>"});
    assert_int_equal(wr_artifacts_put(s, WR_STR("a"), WR_STR("hello"), NULL, &err), WEIR_EUNAVAILABLE);
    assert_int_equal(at, 5);
    assert_non_null(strstr(err.detail, "InternalError"));
}

/* ---- large ones ---- */

static int put_large(size_t n)
{
    wr_artifact_writer *w;
    static char piece[1 << 20];
    assert_int_equal(wr_artifacts_write(&w, s, WR_STR("big"), (int64_t)n << 20, &err), 0);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) rc = wr_artifact_add(w, (wr_str){piece, sizeof piece}, &err);
    if (rc == 0) return wr_artifact_commit(w, NULL, &err);
    wr_artifact_abort(w);
    return rc;
}

#define STARTED                                                                                                        \
    {                                                                                                                  \
        200, NULL,                                                                                                     \
            XML "<InitiateMultipartUploadResult "                                                                      \
                "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>bkt</Bucket><Key>up</Key>"                  \
                "<UploadId>2~LsLWA8mGkdXnXf9YQcTcsjFJ5r8-tuv</UploadId></InitiateMultipartUploadResult>"               \
    }

static void parts(void **state)
{
    PLAYS(STARTED, {200, "ETag: \"p1\"\r\n", ""}, {200, "ETag: \"p2\"\r\n", ""}, {200, "ETag: \"p3\"\r\n", ""},
          {200, NULL,
           XML "<CompleteMultipartUploadResult><Bucket>bkt</Bucket><Key>up</Key><ETag></ETag></"
               "CompleteMultipartUploadResult>"},
          {200, "ETag: \"whole-3\"\r\nLast-Modified: Sat, 28 Nov 2026 04:35:33 GMT\r\n", ""});
    assert_int_equal(put_large(17), 0);
    assert_int_equal(at, 6);
    was_asked(0, "POST /bkt/pre%20fix/big?uploads=");
    was_asked(1, "PUT /bkt/pre%20fix/big?partNumber=1&uploadId=2~LsLWA8mGkdXnXf9YQcTcsjFJ5r8-tuv");
    was_asked(3, "PUT /bkt/pre%20fix/big?partNumber=3&uploadId=2~LsLWA8mGkdXnXf9YQcTcsjFJ5r8-tuv");
    was_asked(4, "POST /bkt/pre%20fix/big?uploadId=2~LsLWA8mGkdXnXf9YQcTcsjFJ5r8-tuv");
    was_asked(5, "HEAD /bkt/pre%20fix/big");
}

static void exactly_one_part(void **state)
{
    PLAYS({200, "ETag: \"e\"\r\n", ""});
    assert_int_equal(put_large(8), 0);
    was_asked(0, "PUT /bkt/pre%20fix/big");
    assert_int_equal(at, 1);
}

#define ABORT "DELETE /bkt/pre%20fix/big?uploadId=2~LsLWA8mGkdXnXf9YQcTcsjFJ5r8-tuv"

static void failed_parts_are_aborted(void **state)
{
    PLAYS(STARTED, {400, NULL, XML "<Error><Code>EntityTooSmall</Code></Error>"}, {204, NULL, ""});
    assert_int_equal(put_large(17), WEIR_EINVAL);
    was_asked(2, ABORT);
}

static void errors_behind_a_200(void **state)
{
    PLAYS(STARTED, {200, "ETag: \"p1\"\r\n", ""}, {200, "ETag: \"p2\"\r\n", ""},
          {200, NULL, XML "\n\n<Error><Code>InternalError</Code></Error>"}, {204, NULL, ""});
    assert_int_equal(put_large(9), WEIR_EUNAVAILABLE);
    was_asked(4, ABORT);
    assert_non_null(strstr(err.detail, "InternalError"));
}

static void uploads_without_an_id(void **state)
{
    PLAYS({200, NULL, XML "<InitiateMultipartUploadResult></InitiateMultipartUploadResult>"});
    assert_int_equal(put_large(9), WEIR_EUNAVAILABLE);
    assert_int_equal(at, 1);
}

/* ---- reading ---- */

static void reading(void **state)
{
#define FOUND {200, "ETag: \"e1\"\r\nLast-Modified: Sat, 28 Nov 2026 04:35:33 GMT\r\n", "hello"}
    PLAYS(FOUND, {206, "Content-Range: bytes 0-4/5\r\n", "hello"}, FOUND, {206, NULL, "hell"}, FOUND,
          {412, NULL, XML "<Error><Code>PreconditionFailed</Code></Error>"}, FOUND,
          {200, NULL, "all of it, whatever was asked for"}, {404, NULL, ""},
          {200, NULL, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"});
    static const int want[] = {5, WEIR_EUNAVAILABLE, WEIR_ECONFLICT, WEIR_EUNAVAILABLE};
    char got[10];
    wr_artifact_reader *r;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(wr_artifacts_read(&r, s, WR_STR("f"), &err), 0);
        assert_int_equal(wr_artifact_reader_info(r)->size, 5);
        assert_int_equal(wr_artifact_reader_info(r)->mtime_us, 1795840533000000);
        assert_int_equal(wr_artifact_get(r, 0, got, sizeof got, &err), want[i]);
        if (i == 0)
            assert_int_equal(wr_artifact_get(r, 2, got, 2, &err), 2); /* of what was read ahead: nobody is asked */
        wr_artifact_reader_close(r);
    }
    assert_int_equal(wr_artifacts_read(&r, s, WR_STR("f"), &err), WEIR_ENOTFOUND);
    was_asked(0, "HEAD /bkt/pre%20fix/f");
    was_asked(1, "GET /bkt/pre%20fix/f");
    was_asked(9, "GET /bkt/?encoding-type=url&list-type=2&max-keys=1&prefix=pre%20fix%2Ff%2F");
}

static void deleting_in_part(void **state)
{
    PLAYS(
        {204, NULL, ""},
        {200, NULL, "<ListBucketResult><Contents><Key>pre%20fix/d/x</Key></Contents></ListBucketResult>"},
        {200, NULL, XML "<DeleteResult><Error><Key>pre fix/d/x</Key><Code>AccessDenied</Code></Error></DeleteResult>"});
    assert_int_equal(wr_artifacts_delete(s, WR_STR("d"), &err), WEIR_EUNAVAILABLE);
    assert_non_null(strstr(err.detail, "AccessDenied"));
    was_asked(2, "POST /bkt/?delete=");
}

/* ---- where and who ---- */

static void presigned_at(const char *where, const char *endpoint, const char *start)
{
    wr_artifacts *a;
    WR_AUTOBUF wr_buf url;
    wr_buf_init(&url, 0);
    environment(endpoint);
    assert_int_equal(wr_artifacts_open(&a, where, &(wr_artifacts_opt){0}, &err), 0);
    assert_int_equal(wr_artifacts_presign(&url, a, "GET", WR_STR("k y"), NULL, 0, 60, &err), 0);
    if (!wr_str_starts(wr_buf_view(&url), start)) fail_msg("%s", wr_buf_cstr(&url));
    wr_artifacts_close(a);
}

static void places(void **state)
{
    (void)state;
    presigned_at("s3://bucket", NULL, "https://bucket.s3.eu-west-1.amazonaws.com/k%20y?X-Amz-Algorithm=");
    presigned_at("s3://bucket/p/q/", NULL, "https://bucket.s3.eu-west-1.amazonaws.com/p/q/k%20y?");
    presigned_at("s3://with.dots/p", NULL, "https://s3.eu-west-1.amazonaws.com/with.dots/p/k%20y?");
    presigned_at("s3://bucket", "https://minio:9000/", "https://minio:9000/bucket/k%20y?");
    presigned_at("s3://bucket", "https://s3.example:443", "https://s3.example/bucket/k%20y?");
    wr_artifacts *a;
    static const char *const bad[] = {"s3://",          "s3://x",     "s3://bucket/../x", "s3://buc ket/x",
                                      "s3://bucket//x", "s3://bu/ck", "s3://..x"};
    environment(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (wr_artifacts_open(&a, bad[i], &(wr_artifacts_opt){0}, &err) != WEIR_EINVAL) fail_msg("%s", bad[i]);
    static const char *const endpoints[] = {"minio:9000", "http://", "http://host/path", "http://user@host", "ftp://x"};
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        environment(endpoints[i]);
        if (wr_artifacts_open(&a, "s3://bucket", &(wr_artifacts_opt){0}, &err) != WEIR_EINVAL)
            fail_msg("%s", endpoints[i]);
    }
    environment(NULL);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_int_equal(wr_artifacts_open(&a, "s3://bucket", &(wr_artifacts_opt){0}, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.hint, "AWS_SECRET_ACCESS_KEY"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(pages),
        T(broken_lists),
        T(tries_again),
        T(gives_up),
        T(parts),
        T(exactly_one_part),
        T(failed_parts_are_aborted),
        T(errors_behind_a_200),
        T(uploads_without_an_id),
        T(reading),
        T(deleting_in_part),
        cmocka_unit_test(places),
    };
#undef T
    return cmocka_run_group_tests_name("artifacts in S3", tests, NULL, NULL);
}
