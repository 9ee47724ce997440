/* SPDX-License-Identifier: Apache-2.0 */
/* models_grpc_test.c - a folder of models over gRPC: what Triton's client says, who may, large tensors, deadlines,
 * counters. */
#include "codec/inflate.h"
#include "codec/protobuf.h"
#include "server/grpc_testing.h"
#include "server/models_testing.h"
#include "track/user.h"

static int setup(void **state)
{
    (void)state;
    return setup_from(WEIR_SOURCE_DIR);
}

#define INFERENCE "/inference.GRPCInferenceService/"

static grpc_client client;
static wr_buf message;

static int call_with(const char *method, const char *who, const char *timeout)
{
    char path[100];
    snprintf(path, sizeof path, "%s%s", method[0] == '/' ? "" : INFERENCE, method);
    int status = grpc_client_call(&client, wr_str_of(path), wr_buf_view(&message), who, timeout);
    wr_buf_clear(&message);
    return status;
}
static int ask(const char *method) { return call_with(method, NULL, NULL); }

static void says(const char *text)
{
    if (!strstr(wr_buf_cstr(&client.text), text)) fail_msg("no \"%s\" in: %s", text, wr_buf_cstr(&client.text));
}

/* The nth field of that number. */
static wr_pb_field nth(wr_str text, uint32_t number, int n)
{
    wr_pb r;
    wr_pb_field f;
    wr_pb_init(&r, text);
    while (wr_pb_next(&r, &f))
        if (f.number == number && n-- == 0) return f;
    return (wr_pb_field){0};
}
static wr_str part(uint32_t number, int n) { return nth(wr_buf_view(&client.reply), number, n).bytes; }

static void begin(bool auth)
{
    start(auth);
    grpc_client_open(&client, port);
}

static void end(void)
{
    grpc_client_close(&client);
    stop();
}

/* Two inputs of [rows,16], INT32, raw. */
static void put_simple(const char *model, int64_t rows)
{
    size_t n = (size_t)rows * 16 * sizeof(int32_t);
    int32_t *x = malloc(n);
    assert_non_null(x);
    for (size_t i = 0; i < n / sizeof *x; i++) x[i] = (int32_t)i;
    wr_pbw_str(&message, 1, wr_str_of(model));
    for (int i = 0; i < 2; i++) {
        size_t at = wr_pbw_open(&message, 5);
        wr_pbw_str(&message, 1, i ? WR_STR("INPUT1") : WR_STR("INPUT0"));
        wr_pbw_str(&message, 2, WR_STR("INT32"));
        wr_pbw_i64(&message, 3, rows);
        wr_pbw_i64(&message, 3, 16);
        wr_pbw_close(&message, at);
    }
    for (int i = 0; i < 2; i++) wr_pbw_str(&message, 7, (wr_str){(char *)x, n});
    free(x);
}

static void check_simple(int64_t rows)
{
    size_t n = (size_t)rows * 16;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(part(6, k).n, n * 4);
        for (size_t i = 0; i < n; i++) {
            int32_t v;
            memcpy(&v, part(6, k).p + i * 4, 4);
            assert_int_equal(v, k ? 0 : 2 * i);
        }
    }
}

/* ---- what the real client says ---- */

static wr_str line_of(wr_str *rest, const char *mark)
{
    wr_str line = wr_str_cut(rest, '\n');
    if (!wr_str_starts(line, mark)) fail_msg("the session is out of step: %.*s", WR_STR_FMT(wr_str_fit(line, 100)));
    return wr_str_sub(line, 2, line.n);
}

static void play(const char *name, wr_str rest)
{
    for (int i = 0; rest.n; i++) {
        wr_str head = line_of(&rest, "> "), path = wr_str_cut(&head, ' ');
        size_t n = strtoul(head.p, NULL, 10);
        int status = grpc_client_call(&client, path, wr_str_sub(rest, 0, n), NULL, NULL);
        rest = wr_str_sub(rest, n + 1, rest.n);
        head = line_of(&rest, "< ");
        int want = (int)strtol(wr_str_cut(&head, ' ').p, NULL, 10);
        if (status != want) fail_msg("%s, answer %d: %d %s", name, i, status, wr_buf_cstr(&client.text));
        if (wr_str_is(head, "-")) continue;
        wr_str body = {rest.p, strtoul(head.p, NULL, 10)}, said = wr_buf_view(status ? &client.text : &client.reply);
        rest = wr_str_sub(rest, body.n + 1, rest.n);
        if (!wr_str_eq(body, said))
            fail_msg("%s, answer %d: \"%.*s\" is not \"%.*s\"", name, i, WR_STR_FMT(said), WR_STR_FMT(body));
    }
}

/* Sessions of Triton's example programs (tests/triton/sessions_grpc.py). */
static void test_recorded_sessions(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    static const char folder[] = WEIR_SOURCE_DIR "/tests/triton/recorded_grpc";
    char **names;
    size_t n;
    copy("simple_int8", "simple_int8", "1");
    for (int i = 1; i <= 4; i++) copy("simple", wr_arena_printf(a, "copy%d", i), "1"); /* model_control counts eight */
    OK(wr_file_write(wr_arena_printf(a, "%s/weir.yaml", dir), WR_STR("serving: {name: triton}\n"), err));
    OK(wr_file_list(&names, &n, a, folder, err));
    assert_true(n >= 11);
    for (size_t i = 0; i < n; i++) {
        WR_AUTOBUF wr_buf b = {0};
        OK(wr_file_read(&b, wr_path_join(a, folder, names[i]), 1 << 20, err));
        begin(false);
        play(names[i], wr_buf_view(&b));
        end();
    }
}

/* ---- sizes, deadlines, counters ---- */

static void test_large_calls(void **state)
{
    (void)state;
    copy("simple", "wide", "1"); /* without a configuration: as many rows as the server takes */
    begin(false);
    static const int64_t rows[] = {1, 511, 513, 50000}; /* around what leaves the loop, and 6 MB */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_simple("wide", rows[i]);
        assert_int_equal(ask("ModelInfer"), 0);
        check_simple(rows[i]);
    }
    put_simple("simple", 9);
    assert_int_equal(ask("ModelInfer"), 3);
    says("batch-size must be <= 8 for 'simple'");
    char *large = calloc(1, 65 << 20); /* above the limit of a body */
    assert_non_null(large);
    wr_pbw_str(&message, 7, (wr_str){large, 65 << 20});
    free(large);
    assert_int_equal(ask("ModelInfer"), 8);
    end();
}

static void test_packed_messages(void **state)
{
    (void)state;
    static const struct {
        const char *coding;
        wr_coding as;
        int status;
    } all[] = {{"gzip", WR_CODING_GZIP, 0},    {"deflate", WR_CODING_DEFLATE, 0}, {"gzip", WR_CODING_DEFLATE, 3},
               {"snappy", WR_CODING_GZIP, 12}, {"identity", WR_CODING_GZIP, 12},  {NULL, WR_CODING_GZIP, 12}};
    copy("simple", "wide", "1");
    begin(false);
    for (int64_t rows = 1; rows < 3000; rows += 2000) /* on the loop, off it */
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            WR_AUTOBUF wr_buf packed = {0};
            put_simple("wide", rows);
            OK(wr_deflate(&packed, wr_buf_view(&message), all[i].as, err));
            wr_buf_clear(&message);
            wr_buf_slice(&message, wr_buf_view(&packed));
            client.coding = all[i].coding;
            client.packed = true;
            assert_int_equal(ask("ModelInfer"), all[i].status);
            if (!client.status) check_simple(rows);
        }
    WR_AUTOBUF wr_buf packed = {0}, large = {0}; /* small on the wire */
    assert_true(wr_buf_reserve(&large, 65 << 20));
    memset(large.p, 0, 65 << 20);
    OK(wr_deflate(&packed, (wr_str){large.p, 65 << 20}, WR_CODING_GZIP, err));
    wr_buf_slice(&message, wr_buf_view(&packed));
    client.coding = "gzip";
    assert_int_equal(ask("ModelInfer"), 8);
    end();
}

static void test_deadline(void **state)
{
    (void)state;
    begin(false);
    put_simple("simple", 1);
    assert_int_equal(call_with("ModelInfer", NULL, "1n"), 4);
    put_simple("simple", 1);
    assert_int_equal(call_with("ModelInfer", NULL, "60S"), 0);
    check_simple(1);
    end();
}

static void test_counters(void **state)
{
    (void)state;
    wr_str reply;
    begin(false);
    put_simple("simple", 3);
    assert_int_equal(ask("ModelInfer"), 0);
    put_simple("none", 1);
    assert_int_equal(ask("ModelInfer"), 5);
    wr_http_client *h = client_at(port);
    assert_int_equal(call(h, "GET", "/metrics", "", &reply), 200);
    assert_non_null(strstr(reply.p, "nv_inference_request_success{model=\"simple\",version=\"1\"} 1\n"));
    assert_non_null(strstr(reply.p, "nv_inference_count{model=\"simple\",version=\"1\"} 3\n"));
    assert_non_null(strstr(reply.p, "weir_http_requests_total{kind=\"infer\",code=\"2xx\"} 1\n"));
    assert_non_null(strstr(reply.p, "weir_http_requests_total{kind=\"infer\",code=\"4xx\"} 1\n"));
    assert_int_equal(call(h, "POST", INFERENCE "ServerLive", "", &reply), 501); /* not by HTTP/1.1 */
    wr_http_client_close(h);
    end();
}

/* ---- models come and go ---- */

static void put_control(const char *model, const char *config)
{
    wr_pbw_str(&message, 2, wr_str_of(model));
    if (!config) return;
    size_t entry = wr_pbw_open(&message, 3);
    wr_pbw_str(&message, 1, WR_STR("config"));
    size_t value = wr_pbw_open(&message, 2);
    wr_pbw_str(&message, 3, wr_str_of(config));
    wr_pbw_close(&message, value);
    wr_pbw_close(&message, entry);
}

static void test_control(void **state)
{
    (void)state;
    begin(false);
    put_control("simple", NULL);
    assert_int_equal(ask("RepositoryModelUnload"), 0);
    put_simple("simple", 1);
    assert_int_equal(ask("ModelInfer"), 14);
    says("Request for unknown model: 'simple' is not at ready state");
    put_control("simple", "{\"max_batch_size\":4}");
    assert_int_equal(ask("RepositoryModelLoad"), 0);
    put_simple("simple", 5);
    assert_int_equal(ask("ModelInfer"), 3);
    put_simple("simple", 4);
    assert_int_equal(ask("ModelInfer"), 0);
    put_control("none", NULL);
    assert_int_equal(ask("RepositoryModelLoad"), 5);
    says("failed to load 'none'");
    end();
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

typedef enum { NOTHING, INFER, NAME, CONTROL, SETTING } content;

static void put(content c)
{
    if (c == INFER) put_simple("simple", 1);
    if (c == NAME) wr_pbw_str(&message, 1, WR_STR("simple"));
    if (c == CONTROL) put_control("simple", NULL);
    if (c != SETTING) return;
    size_t entry = wr_pbw_open(&message, 1);
    wr_pbw_str(&message, 1, WR_STR("log_info"));
    size_t value = wr_pbw_open(&message, 2);
    wr_pbw_bool(&message, 1, true);
    wr_pbw_close(&message, value);
    wr_pbw_close(&message, entry);
}

static void test_who_may(void **state)
{
    (void)state;
    static const char ada[] = "Basic YWRhOmNvcnJlY3QgaG9yc2UgYWRh"; /* ada:correct horse ada */
    static const char ops[] = "Basic b3BzOmNvcnJlY3QgaG9yc2Ugb3Bz"; /* ops:correct horse ops */
    static const char eve[] = "Basic ZXZlOmNvcnJlY3QgaG9yc2UgZXZl"; /* eve:correct horse eve */
    static const char bad[] = "Basic ZXZlOmNvcnJlY3QgaG9yc2UgZXZm";
    wr_track *t;
    setenv("WEIR_ADMIN_PASSWORD", "correct horse battery", 1);
    start(true);
    OK(wr_project_track(&t, project, err));
    OK(wr_track_write(t, make_users, NULL, err));
    stop();
    begin(true);
    static const struct {
        const char *who, *method;
        content has;
        int status;
    } all[] = {{NULL, "ServerLive", NOTHING, 0},
               {NULL, "ServerReady", NOTHING, 0},
               {NULL, "/grpc.health.v1.Health/Check", NOTHING, 0},
               {NULL, "ServerMetadata", NOTHING, 16},
               {NULL, "ModelInfer", INFER, 16},
               {NULL, "RepositoryModelUnload", CONTROL, 16},
               {bad, "ModelInfer", INFER, 16},
               {ada, "ModelMetadata", NAME, 0},
               {ada, "ModelInfer", INFER, 0},
               {ada, "RepositoryIndex", NOTHING, 0},
               {ada, "RepositoryModelLoad", CONTROL, 7},
               {ada, "RepositoryModelUnload", CONTROL, 7},
               {ada, "LogSettings", SETTING, 7},
               {ada, "LogSettings", NOTHING, 0},
               {ops, "RepositoryModelUnload", CONTROL, 0},
               {ops, "RepositoryModelLoad", CONTROL, 0},
               {ops, "LogSettings", SETTING, 7},
               {eve, "ModelMetadata", NAME, 0},
               {eve, "ModelInfer", INFER, 7}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        put(all[i].has);
        if (call_with(all[i].method, all[i].who, NULL) != all[i].status)
            fail_msg("line %zu, %s: %d %s", i, all[i].method, client.status, wr_buf_cstr(&client.text));
    }
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_audit_row *rows;
    size_t n;
    OK(wr_project_track(&t, project, err));
    OK(wr_audit_list(&rows, &n, a, t, 0, 100, err));
    assert_int_equal(n, 2); /* what was refused changed nothing */
    assert_true(wr_str_is(rows[0].user, "ops") && wr_str_is(rows[0].subject, "simple"));
    assert_true(wr_str_is(rows[1].action, INFERENCE "RepositoryModelLoad"));
    end();
    unsetenv("WEIR_ADMIN_PASSWORD");
}

static int done(void **state)
{
    (void)state;
    wr_buf_fini(&message);
    return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_recorded_sessions), T(test_large_calls), T(test_packed_messages), T(test_deadline),
        T(test_counters),          T(test_control),     T(test_who_may)};
    return cmocka_run_group_tests(tests, NULL, done);
}
