/* SPDX-License-Identifier: Apache-2.0 */
/* models_test.c - a folder of models over HTTP, as clients of Triton and MLflow ask: JSON and binary tensors, index,
 * load, unload, statistics, metrics; who may; loads under fire. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "server/models_testing.h"
#include "track/user.h"

static int setup(void **state)
{
    (void)state;
    return setup_from(WEIR_SOURCE_DIR);
}

/* ---- a client that says what it likes ---- */

static struct {
    wr_buf in;
    int status;
    wr_str head, body;
} got;

static const char *told; /* the path of the last request */

static void receive(int fd)
{
    ssize_t n;
    wr_buf_clear(&got.in);
    do {
        assert_true(wr_buf_reserve(&got.in, 64 << 10));
        n = recv(fd, got.in.p + got.in.n, 64 << 10, 0);
        if (n > 0) got.in.n += (size_t)n;
    } while (n > 0);
    got.in.p[got.in.n] = 0;
    char *end = memmem(got.in.p, got.in.n, "\r\n\r\n", 4);
    if (!end) fail_msg("%s: no answer: %zu bytes, %s", told, got.in.n, n < 0 ? strerror(errno) : "end");
    got.status = (int)strtol(got.in.p + 9, NULL, 10);
    got.head = (wr_str){got.in.p, (size_t)(end - got.in.p)};
    got.body = (wr_str){end + 4, got.in.n - got.head.n - 4};
}

static int ask_with(const char *method, const char *path, const char *headers, wr_str body)
{
    WR_AUTOBUF wr_buf out = {0};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    wr_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
                  method, path, headers, body.n);
    wr_buf_slice(&out, body);
    for (size_t at = 0; at < out.n;) {
        ssize_t n = send(fd, out.p + at, out.n - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
    told = path;
    receive(fd);
    close(fd);
    return got.status;
}

static int ask(const char *method, const char *path, const char *body)
{
    return ask_with(method, path, "", wr_str_of(body));
}

static void says(const char *text)
{
    if (!memmem(got.body.p, got.body.n, text, strlen(text))) fail_msg("no \"%s\" in: %.*s", text, WR_STR_FMT(got.body));
}

#define SIMPLE(dtype, list)                                                                                            \
    "{\"id\":\"7\",\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"" dtype "\",\"data\":[" list       \
    "]},{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"" dtype "\",\"data\":[" list "]}]}"
#define COUNT "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"

static void test_a_folder_is_served(void **state)
{
    (void)state;
    start(false);
    assert_int_equal(ask("GET", "/v2", ""), 200);
    says("\"name\":\"weir\"");
    says("\"model_repository\"");
    assert_int_equal(ask("GET", "/v2/health/ready", ""), 200);
    assert_int_equal(ask("POST", "/v2/repository/index", "{}"), 200);
    says("{\"name\":\"simple\",\"version\":\"1\",\"state\":\"READY\"}");
    says("\"simple_identity\"");
    assert_int_equal(ask("GET", "/v2/models/simple", ""), 200);
    says("\"inputs\":[{\"name\":\"INPUT0\",\"datatype\":\"INT32\",\"shape\":[-1,16]}");
    assert_int_equal(ask("GET", "/v2/models/simple/versions/1/config", ""), 200);
    says("\"max_batch_size\":8");
    assert_int_equal(ask("GET", "/v2/models/simple/versions/2", ""), 404);
    says("Request for unknown model: 'simple' version 2 is not found");
    assert_int_equal(ask("GET", "/v2/models/wrong", ""), 404);
    says("Request for unknown model: 'wrong' is not found");
    assert_int_equal(ask("POST", "/v2/models/simple/infer", SIMPLE("INT32", COUNT)), 200);
    says("\"data\":[0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30]");
    says("\"id\":\"7\"");
    assert_int_equal(ask("POST", "/v2/models/simple/infer", SIMPLE("FP32", COUNT)), 400);
    says("inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'");
    assert_int_equal(ask("POST", "/v2/models/simple/explain", SIMPLE("INT32", COUNT)), 501);
    says("model 'simple' does not explain its predictions: an ONNX file does not say how many rows");
    assert_int_equal(ask("GET", "/v2/models/simple/stats", ""), 200);
    says("\"inference_count\":1");
    says("\"fail\":{\"count\":1,");
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    says("nv_inference_request_success{model=\"simple\",version=\"1\"} 1\n");
    says("nv_inference_request_failure{model=\"simple\",version=\"1\",reason=\"OTHER\"} 1\n");
    says("nv_inference_count{model=\"simple_string\",version=\"1\"} 0\n");
    stop();
}

static void test_binary_tensors(void **state)
{
    (void)state;
    static const char json[] =
        "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{\"binary_data_"
        "size\":64}},"
        "{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{\"binary_data_size\":64}}],"
        "\"outputs\":[{\"name\":\"OUTPUT1\",\"parameters\":{\"binary_data\":true}}]}";
    char body[sizeof json - 1 + 128], header[80];
    int32_t a[16], b[16], c[16];
    for (int i = 0; i < 16; i++) a[i] = i * 100, b[i] = i;
    memcpy(body, json, sizeof json - 1);
    memcpy(body + sizeof json - 1, a, 64);
    memcpy(body + sizeof json - 1 + 64, b, 64);
    snprintf(header, sizeof header, "Inference-Header-Content-Length: %zu\r\n", sizeof json - 1);
    start(false);
    assert_int_equal(ask_with("POST", "/v2/models/simple/infer", header, (wr_str){body, sizeof body}), 200);
    assert_true(got.body.n > 64);
    memcpy(c, got.body.p + got.body.n - 64, 64);
    for (int i = 0; i < 16; i++) assert_int_equal(c[i], i * 99);
    assert_non_null(memmem(got.head.p, got.head.n, "nference-", 9));
    assert_int_equal(ask_with("POST", "/v2/models/simple/infer", "Inference-Header-Content-Length: 99999\r\n",
                              (wr_str){body, sizeof body}),
                     400);
    stop();
}

static void test_models_come_and_go(void **state)
{
    (void)state;
    char path[400];
    start(false);
    assert_int_equal(ask("POST", "/v2/repository/models/simple/unload", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/simple/ready", ""), 400);
    assert_int_equal(ask("POST", "/v2/models/simple/infer", SIMPLE("INT32", COUNT)), 503);
    assert_int_equal(ask("POST", "/v2/repository/models/simple/load", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/simple/ready", ""), 200);
    assert_int_equal(ask("POST", "/v2/repository/models/simple/load",
                         "{\"parameters\":{\"config\":\"{\\\"max_batch_size\\\":\\\"16\\\"}\"}}"),
                     200);
    assert_int_equal(ask("GET", "/v2/models/simple/config", ""), 200);
    says("\"max_batch_size\":16");
    assert_int_equal(ask("POST", "/v2/repository/models/simple/load", "{\"parameters\":{\"config\":\"{{\"}}"), 400);
    says("failed to load");
    assert_int_equal(ask("POST", "/v2/repository/models/wrong/load", ""), 404);
    says("failed to load 'wrong', failed to poll from model repository");
    assert_int_equal(ask("POST", "/v2/repository/models/..%2f..%2fetc/load", ""), 404);
    /* a version comes by itself, a bad one never takes a good one's place */
    copy("simple", "simple", "2");
    for (int i = 0; i < 500 && ask("GET", "/v2/models/simple/versions/2/ready", "") != 200; i++) usleep(20000);
    assert_int_equal(ask("GET", "/v2/models/simple/versions/2/ready", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/simple/versions/1/ready", ""), 400);
    snprintf(path, sizeof path, "%s/models/simple/3", dir);
    OK(wr_file_mkdirs(path, err));
    snprintf(path, sizeof path, "%s/models/simple/3/model.onnx", dir);
    OK(wr_file_write(path, WR_STR("\x08\x07nonsense"), err));
    for (int i = 0; i < 500; i++, usleep(20000)) {
        assert_int_equal(ask("POST", "/v2/models/simple/infer", SIMPLE("INT32", COUNT)), 200);
        says("\"model_version\":\"2\"");
        assert_int_equal(ask("POST", "/v2/repository/index", ""), 200);
        if (memmem(got.body.p, got.body.n, "\"version\":\"3\",\"state\":\"UNAVAILABLE\",\"reason\":\"", 46)) break;
    }
    says("{\"name\":\"simple\",\"version\":\"2\",\"state\":\"READY\"}");
    says("\"version\":\"3\",\"state\":\"UNAVAILABLE\",\"reason\":\"");
    stop();
}

/* What a loop knows of requests goes with the model: another one under its name has other inputs. */
static void test_forms_go_with_the_model(void **state)
{
    (void)state;
    static const char path[] = "/v2/models/swap/infer";
    static const char pair[] = "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[" COUNT
                               "]},{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[" COUNT "]}]}";
    copy("simple", "swap", "1");
    start(false);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask("POST", path, pair), 200);
        says("\"data\":[0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30]");
    }
    copy("simple_identity", "swap", "2");
    for (int i = 0; i < 500 && ask("GET", "/v2/models/swap/versions/2/ready", "") != 200; i++) usleep(20000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask("POST", path, pair), 400);
        says("unexpected inference input 'INPUT1' for model 'swap'");
    }
    stop();
}

static void test_other_protocols(void **state)
{
    (void)state;
    start(false);
    assert_int_equal(ask("GET", "/ping", ""), 200);
    assert_int_equal(ask("GET", "/v1/models/simple", ""), 200);
    assert_int_equal(ask("POST", "/v1/models/simple_identity:predict", "{\"instances\":[[\"a\"],[\"b\"]]}"), 200);
    says("\"predictions\":[");
    assert_int_equal(ask_with("POST", "/endpoints/simple_identity/invocations", "Content-Type: application/json\r\n",
                              WR_STR("{\"instances\":[[\"a\"],[\"b\"]]}")),
                     200);
    says("\"predictions\"");
    stop();
}

/* ---- what the real client says ---- */

/* One answer of a connection that stays open, into `got`. */
static void receive_one(int fd)
{
    wr_buf_clear(&got.in);
    got.body = (wr_str){"", 0};
    for (size_t want = 1; got.in.n < want;) {
        assert_true(wr_buf_reserve(&got.in, 64 << 10));
        ssize_t n = recv(fd, got.in.p + got.in.n, 64 << 10, 0);
        if (n <= 0) fail_msg("the connection ends after %zu bytes: %.*s", got.in.n, (int)got.in.n, got.in.p);
        got.in.n += (size_t)n;
        got.in.p[got.in.n] = 0;
        char *end = memmem(got.in.p, got.in.n, "\r\n\r\n", 4), *length = strcasestr(got.in.p, "\r\ncontent-length:");
        want = !end ? got.in.n + 1
                    : (size_t)(end - got.in.p) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        if (end) got.body = (wr_str){end + 4, want - (size_t)(end - got.in.p) - 4};
    }
    got.status = (int)strtol(got.in.p + 9, NULL, 10);
}

/* "> BYTES\n..." */
static wr_str line_of(wr_str *rest, const char *mark)
{
    wr_str line = wr_str_cut(rest, '\n');
    if (!wr_str_starts(line, mark)) fail_msg("the session is out of step: %.*s", WR_STR_FMT(wr_str_fit(line, 100)));
    return wr_str_sub(line, 2, line.n);
}

static void play(const char *name, wr_str rest)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    for (int i = 0; rest.n; i++) {
        size_t n = strtoul(line_of(&rest, "> ").p, NULL, 10);
        assert_int_equal(send(fd, rest.p, n, MSG_NOSIGNAL), (ssize_t)n);
        rest = wr_str_sub(rest, n + 1, rest.n);
        wr_str head = line_of(&rest, "< "), status = wr_str_cut(&head, ' ');
        receive_one(fd);
        if (got.status != (int)strtol(status.p, NULL, 10))
            fail_msg("%s, answer %d: %d %.*s", name, i, got.status, WR_STR_FMT(got.body));
        if (wr_str_is(head, "-")) continue;
        wr_str body = {rest.p, strtoul(head.p, NULL, 10)};
        rest = wr_str_sub(rest, body.n + 1, rest.n);
        if (!wr_str_eq(body, got.body))
            fail_msg("%s, answer %d: \"%.*s\" is not \"%.*s\"", name, i, WR_STR_FMT(got.body), WR_STR_FMT(body));
    }
    close(fd);
}

/* Sessions of Triton's example programs (tests/triton/sessions.py). */
static void test_recorded_sessions(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const char folder[] = WEIR_SOURCE_DIR "/tests/triton/recorded";
    char **names;
    size_t n;
    copy("simple_int8", "simple_int8", "1");
    for (int i = 1; i <= 3; i++) copy("simple", wr_arena_printf(a, "copy%d", i), "1"); /* model_control counts seven */
    OK(wr_file_write(wr_arena_printf(a, "%s/weir.yaml", dir), WR_STR("serving: {name: triton}\n"), err));
    OK(wr_file_list(&names, &n, a, folder, err));
    assert_true(n >= 7);
    for (size_t i = 0; i < n; i++) {
        WR_AUTOBUF wr_buf b = {0};
        OK(wr_file_read(&b, wr_path_join(a, folder, names[i]), 1 << 20, err));
        start(false);
        play(names[i], wr_buf_view(&b));
        stop();
    }
}

/* ---- large requests, many requests ---- */

static void test_large_requests_leave_the_loop(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    enum { ROWS = 20000 };
    copy("simple", "wide", "1"); /* without a configuration: as many rows as the server takes */
    start(false);
    wr_buf_printf(&b, "{\"outputs\":[{\"name\":\"OUTPUT0\"}],\"inputs\":[");
    for (int k = 0; k < 2; k++) {
        wr_buf_printf(&b, "%s{\"name\":\"INPUT%d\",\"shape\":[%d,16],\"datatype\":\"INT32\",\"data\":[", k ? "," : "",
                      k, ROWS);
        for (int i = 0; i < ROWS * 16; i++) wr_buf_printf(&b, "%s%d", i ? "," : "", i);
        wr_buf_str(&b, "]}");
    }
    wr_buf_str(&b, "]}");
    assert_int_equal(ask_with("POST", "/v2/models/wide/infer", "", wr_buf_view(&b)), 200);
    WR_AUTOJSON wr_json j = {0};
    OK(wr_json_parse(&j, got.body, "answer", err));
    yyjson_val *data = yyjson_ptr_get(j.root, "/outputs/0/data"), *v;
    assert_int_equal(yyjson_arr_size(data), ROWS * 16);
    size_t i, max;
    yyjson_arr_foreach(data, i, max, v) assert_int_equal(yyjson_get_int(v), (int)i * 2);
    stop();
}

typedef struct {
    atomic_bool stop;
    atomic_int asked, failed;
} crowd;

static void *asks(void *arg)
{
    crowd *c = arg;
    wr_http_client *h = client_at(port);
    while (!atomic_load(&c->stop)) {
        wr_str reply = {"", 0};
        int status = call(h, "POST", "/v2/models/simple/infer", SIMPLE("INT32", COUNT), &reply);
        bool right = status == 200 && memmem(reply.p, reply.n, "[0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30]", 44);
        if (!right) atomic_fetch_add(&c->failed, 1);
        atomic_fetch_add(&c->asked, 1);
    }
    wr_http_client_close(h);
    return NULL;
}

static void test_loads_fail_no_request(void **state)
{
    (void)state;
    crowd c = {0};
    pthread_t t[3];
    start(false);
    for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_create(&t[i], NULL, asks, &c), 0);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(ask("POST", "/v2/repository/models/simple/load", ""), 200);
        if (i % 10 == 5)
            assert_int_equal(ask("POST", "/v2/repository/models/simple/load",
                                 "{\"parameters\":{\"config\":\"{\\\"input\\\":[{\\\"name\\\":\\\"X\\\"}]}\"}}"),
                             400);
    }
    atomic_store(&c.stop, true);
    for (size_t i = 0; i < 3; i++) pthread_join(t[i], NULL);
    assert_true(atomic_load(&c.asked) > 100);
    assert_int_equal(atomic_load(&c.failed), 0);
    stop();
}

/* ---- who may ---- */

static int make_users(wr_track *t, void *arg, wr_err *err)
{
    int64_t id;
    (void)arg;
    WR_TRY(wr_user_create(&id, t, WR_STR("ada"), WR_STR("correct horse ada"), false, err));
    WR_TRY(wr_user_create(&id, t, WR_STR("ops"), WR_STR("correct horse ops"), false, err));
    WR_TRY(wr_user_create(&id, t, WR_STR("eve"), WR_STR("correct horse eve"), false, err));
    WR_TRY(wr_grant_set(t, WR_STR("ops"), WR_STR("endpoint"), WR_STR("simple"), WR_CAN_MANAGE, err));
    return wr_grant_set(t, WR_STR("eve"), WR_STR("endpoint"), WR_STR("simple"), WR_NO_PERMISSIONS, err);
}

static void test_who_may(void **state)
{
    (void)state;
    static const char admin[] =
        "Authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n";               /* admin:correct horse battery */
    static const char ada[] = "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2UgYWRh\r\n"; /* ada:correct horse ada */
    static const char ops[] = "Authorization: Basic b3BzOmNvcnJlY3QgaG9yc2Ugb3Bz\r\n"; /* ops:correct horse ops */
    static const char eve[] = "Authorization: Basic ZXZlOmNvcnJlY3QgaG9yc2UgZXZl\r\n"; /* eve:correct horse eve */
    wr_track *t;
    setenv("WEIR_ADMIN_PASSWORD", "correct horse battery", 1);
    start(true);
    OK(wr_project_track(&t, project, err));
    OK(wr_track_write(t, make_users, NULL, err));
    stop();
    start(true);
    wr_str infer = WR_STR(SIMPLE("INT32", COUNT)), none = WR_STR("");
    const struct {
        const char *who, *method, *path;
        wr_str body;
        int status;
    } all[] = {
        {"", "GET", "/v2/health/ready", none, 200},
        {"", "GET", "/v2/health/live", none, 200},
        {"", "GET", "/v2/models/simple", none, 401},
        {"", "POST", "/v2/models/simple/infer", infer, 401},
        {"", "POST", "/v2/repository/models/simple/unload", none, 401},
        {ada, "GET", "/v2/models/simple", none, 200},
        {ada, "POST", "/v2/repository/index", none, 200},
        {ada, "POST", "/v2/models/simple/infer", infer, 200},
        {ada, "POST", "/v2/repository/models/simple/load", none, 403},
        {ada, "POST", "/v2/repository/models/simple/unload", none, 403},
        {ada, "POST", "/v2/logging", WR_STR("{\"log_verbose_level\":1}"), 403},
        {ada, "GET", "/v2/logging", none, 200},
        {ops, "POST", "/v2/repository/models/simple/load", none, 200},
        {ops, "POST", "/v2/repository/models/simple_string/load", none, 403},
        {ops, "POST", "/v2/logging", WR_STR("{\"log_verbose_level\":1}"), 403},
        {eve, "GET", "/v2/models/simple", none, 200},
        {eve, "POST", "/v2/models/simple/infer", infer, 403},
        {eve, "POST", "/v2/repository/models/simple/unload", none, 403},
        {admin, "POST", "/v2/repository/models/simple/unload", none, 200},
        {admin, "POST", "/v2/repository/models/simple/load", none, 200},
        {admin, "POST", "/v2/models/simple/infer", infer, 200},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (ask_with(all[i].method, all[i].path, all[i].who, all[i].body) != all[i].status)
            fail_msg("line %zu, %s %s: %d %.*s", i, all[i].method, all[i].path, got.status, WR_STR_FMT(got.body));
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_audit_row *rows;
    size_t n;
    OK(wr_project_track(&t, project, err));
    OK(wr_audit_list(&rows, &n, a, t, 0, 100, err));
    assert_int_equal(n, 3); /* what was refused changed nothing */
    assert_true(wr_str_is(rows[0].user, "ops") && wr_str_is(rows[0].subject, "simple"));
    assert_true(wr_str_is(rows[1].user, "admin") && wr_str_is(rows[1].action, "/v2/repository/models/simple/unload"));
    stop();
    unsetenv("WEIR_ADMIN_PASSWORD");
}

static int end(void **state)
{
    (void)state;
    wr_buf_fini(&got.in);
    return 0;
}

/* ---- the response cache ---- */

static void counts(const char *metric, int n)
{
    char line[200];
    snprintf(line, sizeof line, "\n%s{model=\"simple\",version=\"1\"} %d\n", metric, n);
    says(line);
}

/* Asked for in the configuration; hits and misses by the names that Triton's dashboards have. */
static void test_cache_counts(void **state)
{
    static const char body[] = "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[%d,"
                               "1,2,3,4,5,6,7,8,9,10,11,"
                               "12,13,14,15]},{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[0,"
                               "0,0,0,0,0,0,0,0,0,0,0,0,0,"
                               "0,0]}],\"outputs\":[{\"name\":\"OUTPUT0\"}]}";
    WR_AUTOBUF wr_buf config = {0};
    char path[400], text[600], want[32];
    (void)state;
    snprintf(path, sizeof path, "%s/models/simple/config.pbtxt", dir);
    OK(wr_file_read(&config, path, 1 << 20, err));
    wr_buf_str(&config, "\nresponse_cache { enable: true }\n");
    OK(wr_file_write(path, wr_buf_view(&config), err));
    start(false);
    for (int i = 0; i < 12; i++) { /* 0 1 2 0 1 2 ... */
        snprintf(text, sizeof text, body, i % 3 + 70);
        snprintf(want, sizeof want, "\"data\":[%d,", i % 3 + 70);
        assert_int_equal(ask("POST", "/v2/models/simple/infer", text), 200);
        says(want);
    }
    assert_int_equal(ask("GET", "/metrics", ""), 200);
    counts("nv_cache_num_hits_per_model", 9);
    counts("nv_cache_num_misses_per_model", 3);
    counts("nv_inference_request_success", 12);
    counts("nv_inference_exec_count", 3);
    counts("nv_inference_count", 3); /* without those that the cache answered */
    stop();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_folder_is_served),    T(test_binary_tensors),    T(test_models_come_and_go),
        T(test_other_protocols),       T(test_recorded_sessions), T(test_large_requests_leave_the_loop),
        T(test_loads_fail_no_request), T(test_who_may),           T(test_cache_counts),
        T(test_forms_go_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
