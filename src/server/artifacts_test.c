/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_test.c - files of runs and models over the wire: up, down in ranges, in parts by signed links, and who may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/http.h"
#include "codec/json.h"
#include "io/file.h"
#include "io/s3.h"
#include "io/http_client.h"
#include "server/server.h"
#include "store/pg_testing.h"

static char dir[256];
static wr_project *project;
static wr_server *server;
static pthread_t thread;
static int port;
static wr_err failure;

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) < 0) fail_msg("%s: %s: %s", #call, failure.msg, failure.detail);                                    \
    } while (0)

static void *run(void *arg)
{
    (void)arg;
    OK(wr_server_run(server, &failure));
    return NULL;
}

static void start(const char *where, bool auth)
{
    wr_server_opt opt = {.loops = 1, .artifacts = where, .auth = auth};
    OK(wr_project_open(&project, dir, &failure));
    OK(wr_server_open(&server, project, &opt, &failure));
    port = wr_server_port(server);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
}

static void stop(void)
{
    wr_server_stop(server);
    pthread_join(thread, NULL);
    OK(wr_server_close(server, &failure));
    wr_project_close(project);
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/weir-files-XXXXXX", tmp ? tmp : "/tmp");
    char url[WR_PG_TESTING_URL] = "";
    if (wr_pg_testing_wanted(url, sizeof url) < 0) return -1;
    if (url[0]) setenv("WEIR_DATABASE", url, 1); /* then the index is a network away, and uploads wait in a queue */
    return mkdtemp(dir) && wr_project_init(dir, &failure) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return wr_file_remove_tree(dir, NULL);
}

static void make_bucket(void)
{
    const char *where = getenv("WEIR_TEST_S3");
    char name[64];
    wr_s3 *s3;
    wr_fetch_reply a = {0};
    if (!where || !getenv("WEIR_TEST_S3_CREATE")) return;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(where + 5, "/"), where + 5);
    OK(wr_s3_open(&s3, name, &failure));
    int rc = wr_s3_call(&a, s3, &(wr_s3_request){.method = "PUT", .key = ""}, &failure);
    if (rc < 0 && rc != WEIR_ECONFLICT) fail_msg("%s: %s", failure.msg, failure.detail); /* conflict: it is there */
    wr_fetch_reply_free(&a);
    wr_s3_close(s3);
}

/* ---- a client ---- */

static struct {
    wr_buf in;
    wr_http_head head;
    wr_str body;
} got;

static void send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) return; /* refused in the middle: the answer says why */
        p += k;
        n -= (size_t)k;
    }
}

/* One request on a connection of its own; the status, and the answer in `got`. `length` is what is announced. */
static int ask_n(const char *method, const char *target, const char *headers, wr_str body, size_t length)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    wr_buf_printf(&b, "%s %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
                  method, target, port, headers ? headers : "", length);
    send_all(fd, b.p, b.n);
    send_all(fd, body.p, body.n);
    if (body.n < length) shutdown(fd, SHUT_WR);
    wr_buf_clear(&got.in);
    for (;;) {
        assert_true(wr_buf_reserve(&got.in, 65536));
        ssize_t n = recv(fd, got.in.p + got.in.n, 65536, 0);
        if (n <= 0) break;
        got.in.n += (size_t)n;
    }
    close(fd);
    size_t scanned = 0;
    if (wr_http_parse_response(&got.head, wr_buf_view(&got.in), &scanned) != 1) return 0;
    got.body = wr_str_sub(wr_buf_view(&got.in), got.head.size, got.in.n);
    if (strcmp(method, "HEAD") != 0 && got.head.status != 304) assert_int_equal(got.body.n, got.head.length);
    return got.head.status;
}

static int ask(const char *method, const char *target, const char *headers, wr_str body)
{
    return ask_n(method, target, headers, body, body.n);
}

#define JSON "Content-Type: application/json\r\n"
#define API  "/api/2.0/mlflow-artifacts/"
static const wr_str none = {NULL, 0};

static bool says(const char *part) { return memmem(got.body.p, got.body.n, part, strlen(part)) != NULL; }
static const char *header(const char *name)
{
    static char text[4][300];
    static int next;
    wr_str v = wr_http_get(&got.head, name);
    char *to = text[next++ % 4];
    snprintf(to, sizeof text[0], "%.*s", WR_STR_FMT(v));
    return to;
}

/* A member of the answer, in memory that lasts for some calls. */
static const char *member(const char *pointer)
{
    static char text[4][2000];
    static int next;
    char *to = text[next++ % 4];
    wr_json j = {0};
    OK(wr_json_parse(&j, got.body, "answer", &failure));
    const char *v = yyjson_get_str(yyjson_ptr_get(j.root, pointer));
    if (!v) fail_msg("no %s in %.*s", pointer, WR_STR_FMT(got.body));
    snprintf(to, sizeof text[0], "%s", v);
    wr_json_free(&j);
    return to;
}

static const char *new_run(void)
{
    assert_int_equal(ask("POST", "/api/2.0/mlflow/runs/create", JSON, WR_STR("{\"experiment_id\": \"0\"}")), 200);
    return member("/run/info/run_id");
}

/* ---- tests, over both kinds ---- */

static void up_and_down(void)
{
    assert_int_equal(ask("PUT", API "artifacts/0/r/artifacts/a%20b.txt", NULL, WR_STR("0123456789")), 200);
    assert_true(wr_str_is(got.body, "{}"));
    assert_int_equal(ask("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/d/x.png", NULL, WR_STR("png")),
                     200);
    assert_int_equal(ask("PUT", API "artifacts/0/r/artifacts/d/empty", NULL, none), 200);
    assert_int_equal(ask("GET", API "artifacts?path=0/r/artifacts", NULL, none), 200);
    assert_true(wr_str_is(got.body, "{\"files\":[{\"path\":\"a b.txt\",\"is_dir\":false,\"file_size\":10},"
                                    "{\"path\":\"d\",\"is_dir\":true}]}"));
    assert_int_equal(ask("GET", API "artifacts?path=0%2Fr%2Fartifacts%2Fd%2F", NULL, none), 200);
    assert_true(says("x.png") && says("\"file_size\":0"));
    assert_int_equal(ask("GET", API "artifacts", NULL, none), 200);
    assert_true(wr_str_is(got.body, "{\"files\":[{\"path\":\"0\",\"is_dir\":true}]}"));

    assert_int_equal(ask("GET", API "artifacts/0/r/artifacts/a%20b.txt", NULL, none), 200);
    assert_true(wr_str_is(got.body, "0123456789"));
    assert_string_equal(header("content-type"), "text/plain");
    assert_string_equal(header("x-content-type-options"), "nosniff");
    assert_string_equal(header("content-disposition"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
    assert_string_equal(header("accept-ranges"), "bytes");
    assert_int_equal(ask("GET", API "artifacts/0/r/artifacts/d/x.png", NULL, none), 200);
    assert_string_equal(header("content-type"), "image/png");
    assert_string_equal(header("content-disposition"), "attachment; filename=x.png");
    assert_int_equal(ask("GET", API "artifacts/0/r/artifacts/d/empty", NULL, none), 200);
    assert_int_equal(got.body.n, 0);
    assert_int_equal(ask("GET", API "artifacts/0/r/artifacts/none", NULL, none), 404);
    assert_string_equal(member("/error_code"), "RESOURCE_DOES_NOT_EXIST");
    assert_int_equal(ask("GET", API "artifacts/0/r/artifacts/d", NULL, none), 400); /* a folder */

    assert_int_equal(ask("DELETE", API "artifacts/0/r/artifacts/d", NULL, none), 200);
    assert_true(wr_str_is(got.body, "{}"));
    assert_int_equal(ask("DELETE", API "artifacts/0/r/artifacts/", NULL, none), 200);
    assert_int_equal(ask("GET", API "artifacts", NULL, none), 200);
    assert_true(wr_str_is(got.body, "{}"));
}

static int with_range(const char *range)
{
    char h[200];
    snprintf(h, sizeof h, "Range: %s\r\n", range);
    return ask("GET", API "artifacts/0/f", h, none);
}

static void ranges(void)
{
    char h[300];
    assert_int_equal(ask("PUT", API "artifacts/0/f", NULL, WR_STR("0123456789")), 200);
    static const struct {
        const char *range, *body, *content;
    } good[] = {{"bytes=2-4", "234", "bytes 2-4/10"},     {"bytes=7-", "789", "bytes 7-9/10"},
                {"bytes=-3", "789", "bytes 7-9/10"},      {"bytes=0-0", "0", "bytes 0-0/10"},
                {"bytes=5-500", "56789", "bytes 5-9/10"}, {"bytes=-500", "0123456789", "bytes 0-9/10"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(with_range(good[i].range), 206);
        assert_true(wr_str_is(got.body, good[i].body));
        assert_string_equal(header("content-range"), good[i].content);
    }
    static const char *const ignored[] = {"bytes=4-2", "bytes=1-2,4-5", "lines=1-2", "bytes=",
                                          "bytes=a-b", "bytes=--1",     "bytes=1",   "bytes=99999999999999999999-"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        assert_int_equal(with_range(ignored[i]), 200);
        assert_int_equal(got.body.n, 10);
    }
    assert_int_equal(with_range("bytes=10-"), 416);
    assert_string_equal(header("content-range"), "bytes */10");
    assert_int_equal(with_range("bytes=-0"), 416);

    assert_int_equal(ask("HEAD", API "artifacts/0/f", NULL, none), 200);
    assert_int_equal(got.body.n, 0);
    assert_string_equal(header("content-length"), "10");
    char etag[200];
    snprintf(etag, sizeof etag, "%s", header("etag"));
    assert_true(etag[0] == '"');
    snprintf(h, sizeof h, "If-None-Match: \"x\", W/%s\r\n", etag);
    assert_int_equal(ask("GET", API "artifacts/0/f", h, none), 304);
    assert_string_equal(header("etag"), etag);
    assert_int_equal(ask("GET", API "artifacts/0/f", "If-None-Match: *\r\n", none), 304);
    assert_int_equal(ask("GET", API "artifacts/0/f", "If-None-Match: \"other\"\r\n", none), 200);
    snprintf(h, sizeof h, "Range: bytes=1-2\r\nIf-Range: %s\r\n", etag);
    assert_int_equal(ask("GET", API "artifacts/0/f", h, none), 206);
    assert_int_equal(ask("GET", API "artifacts/0/f", "Range: bytes=1-2\r\nIf-Range: \"old\"\r\n", none), 200);
    assert_int_equal(ask("PUT", API "artifacts/0/f", NULL, WR_STR("another")), 200);
    assert_string_not_equal(header("etag"), etag);
    assert_int_equal(ask("DELETE", API "artifacts/0/f", NULL, none), 200);
}

static void bad_requests(void)
{
    static const char *const bad[] = {
        "../x",    "0/../../x", "0/%2e%2e/x", "0/%252e%252e/x",     "%2Fetc/passwd", "0//x", "0/a%23b",
        "0/a%5Cb", "0/a%0Ab",   "C:/x",       "0/%25252e%25252e/x", "0/a%ff",        "./x"};
    char target[300];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(target, sizeof target, API "artifacts/%s", bad[i]);
        if (ask("PUT", target, NULL, WR_STR("x")) != 400 || !says("Invalid path"))
            fail_msg("PUT %s: %d %.*s", bad[i], got.head.status, WR_STR_FMT(got.body));
        assert_int_equal(ask("GET", target, NULL, none), 400);
        assert_true(says("Invalid path"));
        assert_int_equal(ask("DELETE", target, NULL, none), 400);
    }
    assert_int_equal(ask("PUT", API "artifacts/0/a%zz", NULL, WR_STR("x")), 400);
    assert_int_equal(ask("PUT", API "artifacts/", NULL, WR_STR("x")), 400);
    assert_int_equal(ask("PUT", API "artifacts", NULL, WR_STR("x")), 405);
    assert_int_equal(ask("DELETE", API "artifacts", NULL, none), 405);
    assert_int_equal(ask("GET", API "artifacts?path=..%2F", NULL, none), 400);
    assert_int_equal(ask("PUT", API "artifacts/0/f", NULL, WR_STR("file")), 200);
    assert_int_equal(ask("PUT", API "artifacts/0/f/below", NULL, WR_STR("x")), 400);
    assert_int_equal(ask_n("PUT", API "artifacts/0/cut", NULL, WR_STR("half"), 8), 0); /* the peer went away */
    assert_int_equal(ask("GET", API "artifacts/0/cut", NULL, none), 404);
    if (!getenv("WEIR_DATABASE")) /* else a thread looks, and says so at the next piece */
        assert_int_equal(ask_n("PUT", API "artifacts/0/huge", NULL, WR_STR("x"), (size_t)1 << 55), 507);
    assert_int_equal(ask("GET", API "artifacts?path=0", NULL, none), 200);
    assert_true(wr_str_is(got.body, "{\"files\":[{\"path\":\"f\",\"is_dir\":false,\"file_size\":4}]}"));
    assert_int_equal(ask("DELETE", API "artifacts/0", NULL, none), 200);
}

static void of_runs(void)
{
    char target[600], run_id[64];
    snprintf(run_id, sizeof run_id, "%s", new_run());
    snprintf(target, sizeof target, "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=%s&path=plots/p.html", run_id);
    assert_int_equal(ask("POST", target, "Content-Type: text/html\r\n", WR_STR("<b>hi</b>")), 200);
    assert_int_equal(ask("POST", target, NULL, none), 400);
    assert_true(says("must specify data"));
    char *much = calloc(1, (10 << 20) + 1);
    assert_int_equal(ask("POST", target, NULL, (wr_str){much, (10 << 20) + 1}), 400);
    assert_true(says("too large"));
    free(much);
    assert_int_equal(ask("POST", "/ajax-api/2.0/mlflow/upload-artifact?path=a", NULL, WR_STR("x")), 400);
    assert_true(says("run_uuid"));
    assert_int_equal(ask("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=none&path=a", NULL, WR_STR("x")), 404);
    snprintf(target, sizeof target, "/api/2.0/mlflow/artifacts/list?run_id=%s", run_id);
    assert_int_equal(ask("GET", target, NULL, none), 200);
    assert_true(says("{\"path\":\"plots\",\"is_dir\":true}"));
    snprintf(target, sizeof target, "mlflow-artifacts:/0/%s/artifacts", run_id);
    assert_string_equal(member("/root_uri"), target);
    snprintf(target, sizeof target, "/ajax-api/2.0/mlflow/artifacts/list?run_uuid=%s&path=plots", run_id);
    assert_int_equal(ask("GET", target, NULL, none), 200);
    assert_true(says("{\"path\":\"plots/p.html\",\"is_dir\":false,\"file_size\":9}"));
    snprintf(target, sizeof target, "/get-artifact?run_id=%s&path=plots%%2Fp.html", run_id);
    assert_int_equal(ask("GET", target, NULL, none), 200);
    assert_true(wr_str_is(got.body, "<b>hi</b>"));
    assert_string_equal(header("content-type"), "text/html");
    assert_non_null(strstr(header("content-disposition"), "attachment"));
    snprintf(target, sizeof target, "/get-artifact?run_id=%s&path=../../x", run_id);
    assert_int_equal(ask("GET", target, NULL, none), 400);
    assert_int_equal(ask("GET", "/get-artifact?run_id=none&path=x", NULL, none), 404);
    assert_int_equal(ask("GET", "/get-artifact?path=x", NULL, none), 400);
    snprintf(target, sizeof target, "{\"run_id\": \"%s\", \"path\": \"x\"}", run_id);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", JSON, wr_str_of(target)), 400);
    assert_true(says("proxied artifact storage"));

    assert_int_equal(ask("POST", "/api/2.0/mlflow/registered-models/create", JSON, WR_STR("{\"name\": \"m\"}")), 200);
    snprintf(target, sizeof target,
             "{\"name\": \"m\", \"source\": \"mlflow-artifacts:/0/%s/artifacts/plots\", \"run_id\": \"%s\"}", run_id,
             run_id);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/model-versions/create", JSON, wr_str_of(target)), 200);
    assert_int_equal(ask("GET", "/model-versions/get-artifact?name=m&version=1&path=p.html", NULL, none), 200);
    assert_true(wr_str_is(got.body, "<b>hi</b>"));
    assert_int_equal(ask("GET", "//model-versions//get-artifact?name=m&version=1&path=p.html", NULL, none), 308);
    assert_string_equal(header("location"), "/model-versions/get-artifact?name=m&version=1&path=p.html");
    assert_int_equal(ask("GET", "//nowhere", NULL, none), 404);
    assert_int_equal(ask("GET", "/model-versions/get-artifact?name=none&version=1&path=../x", NULL, none), 400);
    assert_true(says("\"message\":\"Invalid path\""));
    assert_int_equal(ask("GET", "/model-versions/get-artifact?name=m&version=2&path=p.html", NULL, none), 404);

    assert_int_equal(
        ask("POST", "/api/2.0/mlflow/logged-models", JSON, WR_STR("{\"experiment_id\": \"0\", \"name\": \"lm\"}")),
        200);
    const char *model = member("/model/info/model_id"), *uri = member("/model/info/artifact_uri");
    snprintf(target, sizeof target, API "artifacts%s/sub/MLmodel", strchr(uri, '/'));
    assert_int_equal(ask("PUT", target, NULL, WR_STR("flavors: {}")), 200);
    snprintf(target, sizeof target,
             "/api/2.0/mlflow/logged-models/%s/artifacts/directories?artifact_directory_path=sub", model);
    assert_int_equal(ask("GET", target, NULL, none), 200);
    assert_true(says("\"path\":\"sub/MLmodel\""));
    snprintf(target, sizeof target,
             "/ajax-api/2.0/mlflow/logged-models/%s/artifacts/files?artifact_file_path=sub/MLmodel", model);
    assert_int_equal(ask("GET", target, NULL, none), 200);
    assert_string_equal(header("content-type"), "text/plain");
    assert_int_equal(ask("DELETE", API "artifacts/0", NULL, none), 200);
}

static const char *path_of(const char *url)
{
    char base[64];
    snprintf(base, sizeof base, "http://localhost:%d/", port);
    assert_memory_equal(url, base, strlen(base));
    return url + strlen(base) - 1;
}

static void in_parts(void)
{
    char links[2][2000], id[300], body[3000], etags[2][200];
    assert_int_equal(ask("POST", API "mpu/create/0/r/artifacts", JSON,
                         WR_STR("{\"path\": \"/home/me/big file.bin\", \"num_parts\": 2}")),
                     200);
    snprintf(id, sizeof id, "%s", member("/upload_id"));
    snprintf(links[0], sizeof links[0], "%s", path_of(member("/credentials/0/url")));
    snprintf(links[1], sizeof links[1], "%s", path_of(member("/credentials/1/url")));
    for (int i = 1; i >= 0; i--) {
        assert_int_equal(ask("PUT", links[i], NULL, i ? WR_STR("world") : WR_STR("hello ")), 200);
        snprintf(etags[i], sizeof etags[i], "%s", header("etag"));
    }
    char *changed = strstr(links[0], "part=1");
    changed[5] = '2';
    assert_int_equal(ask("PUT", links[0], NULL, WR_STR("evil")), 403);
    changed[5] = '1';
    assert_int_equal(ask("GET", links[0], NULL, none), 403); /* signed for PUT */
    assert_int_equal(ask("PUT", API "part/0/r/artifacts/x?upload=1&part=1", NULL, WR_STR("evil")), 403);
    snprintf(body, sizeof body,
             "{\"path\": \"big file.bin\", \"upload_id\": \"%s\", \"parts\": [{\"part_number\": 1, \"etag\": "
             "\"\\%.*s\\\"\"}, "
             "{\"part_number\": 2, \"etag\": \"wrong\"}]}",
             id, (int)strlen(etags[0]) - 1, etags[0]);
    assert_int_equal(ask("POST", API "mpu/complete/0/r/artifacts", JSON, wr_str_of(body)), 400);
    snprintf(body, sizeof body,
             "{\"path\": \"big file.bin\", \"upload_id\": \"%s\", \"parts\": [{\"part_number\": 1, \"etag\": "
             "\"\\%.*s\\\"\"}, "
             "{\"part_number\": 2}]}",
             id, (int)strlen(etags[0]) - 1, etags[0]);
    assert_int_equal(ask("POST", API "mpu/complete/0/r/artifacts", JSON, wr_str_of(body)), 200);
    assert_int_equal(ask("GET", API "artifacts/0/r/artifacts/big%20file.bin", NULL, none), 200);
    assert_true(wr_str_is(got.body, "hello world"));
    assert_int_equal(ask("PUT", links[0], NULL, WR_STR("late")), 404); /* the upload is over */

    assert_int_equal(ask("GET", API "presigned/0/r/artifacts/big%20file.bin", NULL, none), 200);
    assert_true(says("\"file_size\":11"));
    snprintf(links[0], sizeof links[0], "%s", path_of(member("/url")));
    assert_int_equal(ask("GET", links[0], "Range: bytes=6-10\r\n", none), 206);
    assert_true(wr_str_is(got.body, "world"));
    assert_int_equal(ask("HEAD", links[0], NULL, none), 200);
    assert_int_equal(ask("GET", API "signed/0/r/artifacts/big%20file.bin", NULL, none), 403);
    assert_int_equal(ask("GET", API "presigned/0/r/artifacts/none", NULL, none), 404);

    assert_int_equal(ask("POST", API "mpu/create/0", JSON, WR_STR("{\"path\": \"x\"}")), 200);
    snprintf(body, sizeof body, "{\"path\": \"x\", \"upload_id\": \"%s\"}", member("/upload_id"));
    assert_int_equal(ask("POST", API "mpu/abort/0", JSON, wr_str_of(body)), 200);
    assert_int_equal(ask("POST", API "mpu/abort/0", JSON, wr_str_of(body)), 404);
    assert_int_equal(ask("POST", API "mpu/create/0", JSON, WR_STR("{\"path\": \"..\"}")), 400);
    assert_int_equal(ask("POST", API "mpu/create/0", JSON, WR_STR("{\"path\": \"x\", \"num_parts\": 10001}")), 400);
    assert_int_equal(ask("DELETE", API "artifacts/0", NULL, none), 200);
}

static void large(void)
{
    size_t n = (size_t)20 << 20;
    char *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) p[i] = (char)(i * 2654435761u >> 11);
    assert_int_equal(ask("PUT", API "artifacts/0/big", NULL, (wr_str){p, n}), 200);
    assert_int_equal(ask("GET", API "artifacts/0/big", NULL, none), 200);
    assert_true(wr_str_eq(got.body, (wr_str){p, n}));
    assert_int_equal(ask("GET", API "artifacts/0/big", "Range: bytes=20971510-\r\n", none), 206);
    assert_memory_equal(got.body.p, p + n - 10, 10);
    free(p);
    assert_int_equal(ask("DELETE", API "artifacts/0", NULL, none), 200);
}

/* Requests that are answered by other threads stand in one buffer, which goes on being read: paths of different
 * lengths, many connections at once. */
static void *many_gets(void *arg)
{
    static const char *const names[] = {"a", "a-longer-name.txt", "b", "the-longest-name-of-them-all.bin"};
    wr_http_client *c = NULL;
    char url[64], target[128];
    size_t wrong = 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    if (wr_http_client_open(&c, url, 20000, NULL) < 0) return (void *)(uintptr_t)1;
    for (size_t i = 0; i < 100; i++) {
        snprintf(target, sizeof target, API "artifacts/7/r/artifacts/%s", names[(i + (size_t)(uintptr_t)arg) % 4]);
        (void)wr_http_client_send(c, "GET", target, NULL, none, NULL);
    }
    (void)wr_http_client_flush(c, NULL);
    for (size_t i = 0; i < 100; i++) {
        const char *name = names[(i + (size_t)(uintptr_t)arg) % 4];
        int status = 0;
        wr_str body = none;
        (void)wr_http_client_recv(c, &status, &body, NULL);
        wrong += status != 200 || !wr_str_is(body, name);
    }
    wr_http_client_close(c);
    return (void *)(uintptr_t)wrong;
}

static void paths_outlive_the_read_buffer(void)
{
    static const char *const names[] = {"a", "a-longer-name.txt", "b", "the-longest-name-of-them-all.bin"};
    pthread_t threads[6];
    char target[128];
    for (size_t i = 0; i < 4; i++) {
        snprintf(target, sizeof target, API "artifacts/7/r/artifacts/%s", names[i]);
        assert_int_equal(ask("PUT", target, NULL, wr_str_of(names[i])), 200);
    }
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_gets, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < 6; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        assert_int_equal((size_t)(uintptr_t)wrong, 0);
    }
    assert_int_equal(ask("DELETE", API "artifacts/7", NULL, none), 200);
}

static void all(const char *where, bool remote)
{
    start(where, false);
    up_and_down();
    ranges();
    if (!remote) bad_requests();
    of_runs();
    if (!remote) in_parts(); /* S3 gives out its own links */
    large();
    paths_outlive_the_read_buffer();
    stop();
    wr_buf_fini(&got.in);
}

static void as_objects(void **state)
{
    (void)state;
    all(NULL, false);
}

static void in_a_directory(void **state)
{
    (void)state;
    all("files", false);
    char path[400];
    snprintf(path, sizeof path, "%s/files", dir);
    assert_true(wr_file_exists(path));
}

/* Needs a server: tests/s3/run. Uploads wait for it, downloads stream from it; the peer that goes away in the middle
 * leaves nothing. */
static void in_s3(void **state)
{
    (void)state;
    if (!getenv("WEIR_TEST_S3")) skip();
    char where[600];
    snprintf(where, sizeof where, "%s%s", getenv("WEIR_TEST_S3"), strrchr(dir, '/'));
    all(where, true);
    start(where, false);
    size_t n = (size_t)20 << 20;
    char *p = calloc(1, n);
    assert_int_equal(ask_n("PUT", API "artifacts/0/cut", NULL, (wr_str){p, n - 1}, n), 0);
    free(p);
    assert_int_equal(ask("GET", API "artifacts/0/cut", NULL, none), 404);
    assert_int_equal(ask("POST", API "mpu/create/0/r", JSON, WR_STR("{\"path\": \"big\", \"num_parts\": 2}")), 200);
    assert_non_null(strstr(member("/credentials/1/url"), "X-Amz-Signature="));
    char body[700];
    snprintf(body, sizeof body, "{\"path\": \"big\", \"upload_id\": \"%s\"}", member("/upload_id"));
    assert_int_equal(ask("POST", API "mpu/abort/0/r", JSON, wr_str_of(body)), 200);
    stop();
    wr_buf_fini(&got.in);
}

static void only_for_those_who_may(void **state)
{
    (void)state;
    static const char admin[] =
        "Authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n"; /* admin:correct horse battery */
    setenv("WEIR_ADMIN_PASSWORD", "correct horse battery", 1);
    start(NULL, true);
    assert_int_equal(ask("PUT", API "artifacts/0/x", NULL, WR_STR("x")), 401);
    assert_string_equal(header("www-authenticate"), "Basic realm=\"mlflow\"");
    assert_int_equal(ask_n("PUT", API "artifacts/0/x", NULL, WR_STR("x"), (size_t)1 << 30), 401); /* before the body */
    assert_int_equal(ask("PUT", API "artifacts/0/x", admin, WR_STR("x")), 200);
    assert_int_equal(ask("GET", API "artifacts/0/x", NULL, none), 401);
    assert_int_equal(ask("GET", API "artifacts/0/x", admin, none), 200);
    assert_int_equal(ask("GET", API "presigned/0/x", NULL, none), 401);
    assert_int_equal(ask("GET", API "presigned/0/x", admin, none), 200);
    const char *link = path_of(member("/url"));
    assert_int_equal(ask("GET", link, NULL, none), 200); /* the link is the permission */
    assert_true(wr_str_is(got.body, "x"));
    assert_int_equal(ask("DELETE", API "artifacts/0/x", NULL, none), 401);
    char text[300];
    snprintf(text, sizeof text, "%sContent-Type: application/json\r\n", admin);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/users/create", text,
                         WR_STR("{\"username\": \"ann\", \"password\": \"long enough pass\"}")),
                     200);
    static const char ann[] = "Authorization: Basic YW5uOmxvbmcgZW5vdWdoIHBhc3M=\r\n";
    assert_int_equal(ask("GET", API "artifacts/0/x", ann, none), 200); /* the default is to read */
    assert_int_equal(ask("PUT", API "artifacts/0/y", ann, WR_STR("y")), 403);
    assert_int_equal(ask("DELETE", API "artifacts/0/x", ann, none), 403);
    assert_int_equal(ask("POST", API "mpu/create/0",
                         "Content-Type: application/json\r\nAuthorization: Basic YW5uOmxvbmcgZW5vdWdoIHBhc3M=\r\n",
                         WR_STR("{\"path\": \"x\"}")),
                     403);
    stop();
    wr_buf_fini(&got.in);
}

int main(void)
{
    make_bucket();
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(as_objects), T(in_a_directory), T(in_s3), T(only_for_those_who_may)};
#undef T
    return cmocka_run_group_tests_name("artifacts over HTTP", tests, NULL, NULL);
}
