/* SPDX-License-Identifier: Apache-2.0 */
/* batching_test.c - requests over the wire that share runs, told by the statistics; each gets its own answer, through
 * rollouts too. */
#include <poll.h>

#include "base/clock.h"
#include "core/event.h"
#include "server/models_testing.h"

static int setup(void **state)
{
    (void)state;
    loops = 1;
    return setup_from(WEIR_SOURCE_DIR);
}

enum { VALUES = 16 };

/* ---- what is asked: the first input is all `value`, the second all ones ---- */

static const char *model = "simple";

static void put_values(wr_buf *b, int value)
{
    for (int i = 0; i < VALUES; i++) wr_buf_printf(b, "%s%d", i ? "," : "", value);
}

static void put_input(wr_buf *b, const char *name, int value)
{
    wr_buf_printf(b, "{\"name\":\"%s\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[", name);
    put_values(b, value);
    wr_buf_str(b, "]}");
}

static void put_post(wr_buf *out, const char *path, const wr_buf *body)
{
    wr_buf_printf(out, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", path, body->n);
    wr_buf_add(out, body->p, body->n);
}

static void put_v2(wr_buf *out, int value)
{
    WR_AUTOBUF wr_buf body = {0};
    char path[100];
    wr_buf_str(&body, "{\"inputs\":[");
    put_input(&body, "INPUT0", value);
    wr_buf_char(&body, ',');
    put_input(&body, "INPUT1", 1);
    wr_buf_printf(&body, "],\"id\":\"%d\"}", value);
    snprintf(path, sizeof path, "/v2/models/%s/infer", model);
    put_post(out, path, &body);
}

/* A row as V1 and MLflow's scoring take it; in `where` the model. */
static void put_row(wr_buf *out, const char *where, const char *form, int value)
{
    WR_AUTOBUF wr_buf body = {0};
    char path[100];
    snprintf(path, sizeof path, where, model);
    wr_buf_printf(&body, "{\"%s\":[{\"INPUT0\":[", form);
    put_values(&body, value);
    wr_buf_str(&body, "],\"INPUT1\":[");
    put_values(&body, 1);
    wr_buf_str(&body, "]}]}");
    put_post(out, path, &body);
}

static void put_v1(wr_buf *out, int value) { put_row(out, "/v1/models/%s:predict", "instances", value); }
static void put_frame(wr_buf *out, int value) { put_row(out, "/endpoints/%s/invocations", "dataframe_records", value); }
static void put_query(wr_buf *out, int value) { put_row(out, "/invocations?endpoint=%s", "instances", value); }

static void (*const forms[])(wr_buf *out, int value) = {put_v2, put_v1, put_frame, put_query};
enum { FORMS = sizeof forms / sizeof *forms };

static void say(int fd, const wr_buf *out) { assert_int_equal(send(fd, out->p, out->n, MSG_NOSIGNAL), out->n); }

static void ask(int fd, int form, int value)
{
    WR_AUTOBUF wr_buf out = {0};
    forms[form](&out, value);
    say(fd, &out);
}

/* ---- what is answered ---- */

static bool readable(int fd, int ms) { return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ms) == 1; }

/* The next answer of a connection, whose bytes are in `in` from *at on: its status and body. */
static int next_answer(wr_str *body, int fd, wr_buf *in, size_t *at)
{
    for (;;) {
        const char *head = in->p + *at, *end = in->n > *at ? memmem(head, in->n - *at, "\r\n\r\n", 4) : NULL;
        const char *length = end ? memmem(head, (size_t)(end - head), "Content-Length: ", 16) : NULL;
        size_t n = length ? strtoul(length + 16, NULL, 10) : 0, from = end ? (size_t)(end + 4 - in->p) : 0;
        if (end) assert_non_null(length);
        if (end && in->n - from >= n) {
            *body = (wr_str){in->p + from, n};
            int status = (int)strtol(head + 9, NULL, 10);
            *at = from + n;
            return status;
        }
        assert_true(readable(fd, 5000));
        assert_true(wr_buf_reserve(in, 64 << 10));
        ssize_t got = recv(fd, in->p + in->n, 64 << 10, 0);
        assert_true(got > 0);
        in->n += (size_t)got;
        in->p[in->n] = 0;
    }
}

static void put_output(wr_buf *b, bool v2, int k, int value)
{
    if (v2) wr_buf_printf(b, "{\"name\":\"OUTPUT%d\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[", k);
    else wr_buf_printf(b, "\"OUTPUT%d\":[", k);
    put_values(b, value);
    wr_buf_str(b, v2 ? "]}" : "]");
}

/* The whole body. */
static void check_answer(wr_str body, int form, int value)
{
    WR_AUTOBUF wr_buf want = {0};
    bool v2 = form == 0;
    if (v2)
        wr_buf_printf(&want, "{\"model_name\":\"simple\",\"model_version\":\"1\",\"id\":\"%d\",\"outputs\":[", value);
    else wr_buf_str(&want, "{\"predictions\":[{");
    put_output(&want, v2, 0, value + 1);
    wr_buf_char(&want, ',');
    put_output(&want, v2, 1, value - 1);
    wr_buf_str(&want, v2 ? "]}" : "}]}");
    if (!wr_str_eq(body, wr_buf_view(&want))) fail_msg("%.*s\nnot %s", WR_STR_FMT(body), wr_buf_cstr(&want));
}

/* Answers until `n` are there, and nothing more: to `value`, value + 1, ..., each in the form it was asked in. */
static void hear(int fd, int form, int value, int n)
{
    WR_AUTOBUF wr_buf in = {0};
    wr_str body;
    size_t at = 0;
    for (int k = 0; k < n; k++) {
        int status = next_answer(&body, fd, &in, &at);
        if (status != 200) fail_msg("%d %.*s", status, WR_STR_FMT(body));
        check_answer(body, form < 0 ? k % FORMS : form, value + k);
    }
    assert_int_equal(at, in.n);
}

static void hear_error(int fd, int status, const char *text)
{
    WR_AUTOBUF wr_buf in = {0};
    wr_str body;
    size_t at = 0;
    assert_int_equal(next_answer(&body, fd, &in, &at), status);
    if (!memmem(body.p, body.n, text, strlen(text))) fail_msg("%.*s", WR_STR_FMT(body));
}

/* A count of the model's statistics. */
static int count(const char *name, const char *what)
{
    WR_AUTOBUF wr_buf b = {0};
    char path[100], key[60];
    snprintf(path, sizeof path, "/v2/models/%s/stats", name);
    snprintf(key, sizeof key, "\"%s\":", what);
    int fd = dial();
    wr_buf_printf(&b, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    say(fd, &b);
    wr_buf_clear(&b);
    for (ssize_t got = 1; got > 0;) {
        assert_true(wr_buf_reserve(&b, 4096));
        got = recv(fd, b.p + b.n, 4096, 0);
        if (got > 0) b.n += (size_t)got;
    }
    close(fd);
    assert_true(wr_buf_reserve(&b, 1));
    b.p[b.n] = 0;
    const char *at = strstr(b.p, key);
    assert_non_null(at);
    return (int)strtol(at + strlen(key), NULL, 10);
}

static void test_what_is_there_shares_runs(void **state)
{
    (void)state;
    enum { N = 64 };
    WR_AUTOBUF wr_buf out = {0};
    start(false);
    int fd = dial(), asked = 0, runs = 0;
    for (int form = -1; form < FORMS; form++) { /* -1: all forms in turn */
        wr_buf_clear(&out);
        for (int i = 0; i < N; i++) forms[form < 0 ? i % FORMS : form](&out, 100 + i);
        say(fd, &out);
        hear(fd, form, 100, N);
        asked += N;
        assert_int_equal(count("simple", "inference_count"), asked);
        int now = count("simple", "execution_count"), ran = now - runs;
        assert_true(ran >= N / 8 && ran < N); /* eight rows a run at most; how much one read brought is the kernel's */
        runs = now;
    }
    close(fd);
    stop();
}

static void delay(const char *name, int rows, int us)
{
    WR_AUTOBUF wr_buf config = {0};
    char path[400];
    snprintf(path, sizeof path, "%s/models/%s/config.pbtxt", dir, name);
    OK(wr_file_read(&config, path, 1 << 20, err));
    wr_buf_printf(&config, "\ndynamic_batching { preferred_batch_size: [ %d ] max_queue_delay_microseconds: %d }\n",
                  rows, us);
    OK(wr_file_write(path, wr_buf_view(&config), err));
}

static void test_a_delay_fills_runs(void **state)
{
    (void)state;
    delay("simple", FORMS, 300000);
    start(false);
    int fd[FORMS];
    for (int i = 0; i < FORMS; i++) fd[i] = dial();
    for (int i = 0; i < FORMS - 1; i++) ask(fd[i], i, 10 * i);
    assert_false(readable(fd[0], 50));
    assert_int_equal(count("simple", "execution_count"), 0);
    ask(fd[FORMS - 1], FORMS - 1, 30);
    for (int i = 0; i < FORMS; i++) hear(fd[i], i, 10 * i, 1);
    assert_int_equal(count("simple", "execution_count"), 1);
    int64_t from = wr_clock_mono_ns();
    ask(fd[0], 1, 7);
    hear(fd[0], 1, 7, 1);
    assert_true(wr_clock_mono_ns() - from >= 300000000);
    assert_int_equal(count("simple", "execution_count"), 2);
    for (int form = 0; form < FORMS; form++) ask(fd[form], form, 8); /* who stops the server waits for nobody */
    for (int form = 0; form < FORMS; form++) hear(fd[form], form, 8, 1);
    ask(fd[0], 2, 9);
    assert_false(readable(fd[0], 20));
    wr_server_stop(server);
    hear(fd[0], 2, 9, 1);
    for (int i = 0; i < FORMS; i++) close(fd[i]);
    stop();
}

/* Who cannot be answered waits for nobody, and who went away while it waited is in nobody's way. */
static void test_others_do_not_matter(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf bad = {0};
    delay("simple", FORMS, 1000000);
    start(false);
    int fd[FORMS], gone = dial(), wrong = dial();
    for (int i = 0; i < FORMS; i++) fd[i] = dial();
    ask(gone, 1, 1000);
    for (int i = 1; i < FORMS - 1; i++) ask(fd[i], i, 10 * i);
    assert_false(readable(gone, 50));
    close(gone);
    wr_buf_str(&bad, "{\"instances\":[{\"INPUT0\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}]}");
    WR_AUTOBUF wr_buf out = {0};
    put_post(&out, "/v1/models/simple:predict", &bad);
    say(wrong, &out);
    hear_error(wrong, 400, "Model is missing inputs ['INPUT1']");
    wr_buf_clear(&out);
    put_post(&out, "/endpoints/simple/invocations", &bad);
    say(wrong, &out);
    hear_error(wrong, 400, "\"error_code\":\"BAD_REQUEST\"");
    assert_int_equal(count("simple", "execution_count"), 0);
    ask(fd[3], 3, 30); /* the fourth of those who wait: one of them is not there to hear it */
    for (int i = 1; i < FORMS; i++) hear(fd[i], i, 10 * i, 1);
    assert_int_equal(count("simple", "execution_count"), 1);
    assert_int_equal(count("simple", "inference_count"), FORMS);
    close(wrong);
    for (int i = 0; i < FORMS; i++) close(fd[i]);
    stop();
}

static void put_texts(wr_buf *out, const char *path, const char *first)
{
    WR_AUTOBUF wr_buf body = {0};
    wr_buf_printf(&body, "{\"instances\":[{\"INPUT0\":[\"%s\"", first);
    for (int i = 1; i < VALUES; i++) wr_buf_str(&body, ",\"1\"");
    wr_buf_str(&body, "],\"INPUT1\":[\"1\"");
    for (int i = 1; i < VALUES; i++) wr_buf_str(&body, ",\"1\"");
    wr_buf_str(&body, "]}]}");
    put_post(out, path, &body);
}

/* The model itself says no to one row of a run: the others are answered all the same. */
static void test_a_run_that_fails(void **state)
{
    (void)state;
    static const char v1[] = "/v1/models/simple_string:predict", scoring[] = "/endpoints/simple_string/invocations";
    WR_AUTOBUF wr_buf in = {0};
    wr_str body;
    delay("simple_string", 4, 1000000);
    start(false);
    int fd[4];
    for (int i = 0; i < 4; i++) {
        WR_AUTOBUF wr_buf out = {0};
        put_texts(&out, i % 2 ? v1 : scoring, i < 2 ? "41" : "no number");
        say(fd[i] = dial(), &out);
    }
    for (int i = 0; i < 2; i++) {
        size_t at = 0;
        wr_buf_clear(&in);
        assert_int_equal(next_answer(&body, fd[i], &in, &at), 200);
        assert_true(wr_str_starts(body, "{\"predictions\":[{\"OUTPUT0\":[\"42\",\"2\","));
    }
    hear_error(fd[2], 400, "\"error_code\":\"BAD_REQUEST\"");
    hear_error(fd[3], 400, "{\"error\":\"");
    assert_int_equal(count("simple_string", "inference_count"), 2);
    for (int i = 0; i < 4; i++) close(fd[i]);
    stop();
}

/* ---- rollouts ---- */

#define ROLLOUT(endpoint) "/api/weir/1/endpoints/" endpoint "/rollout"
#define SPLIT             "mode: split\nguardrails: none\narms: {other: {path: arm.onnx, weight: 50%}}\n"

enum { CLIENTS = 3, TURNS = 40, AT_ONCE = 16, ASKED = CLIENTS * TURNS * AT_ONCE };

static void copy_model(const char *to)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    OK(wr_file_copy(wr_arena_printf(a, "%s/models/simple/1/model.onnx", dir), wr_path_join(a, dir, to), err));
}

static int setup_arms(void **state)
{
    char path[400];
    int rc = setup(state);
    copy_model("own.onnx");
    copy_model("arm.onnx");
    snprintf(path, sizeof path, "%s/weir.yaml", dir);
    OK(wr_file_write(path,
                     WR_STR("endpoints:\n  both: {path: own.onnx, config: {max_batch_size: 8}}\n"
                            "  aside: {path: own.onnx}\n"),
                     err));
    loops = 2;
    model = "both";
    return rc;
}

static int teardown_arms(void **state)
{
    model = "simple";
    loops = 1;
    return teardown(state);
}

/* The answer of either arm, in any form, with the ids of what was kept. */
static void check_arm(wr_str body, int form, int value)
{
    for (int k = 0; k < 2; k++) {
        WR_AUTOBUF wr_buf want = {0};
        put_output(&want, form == 0, k, k ? value - 1 : value + 1);
        if (!memmem(body.p, body.n, want.p, want.n)) fail_msg("%.*s\nlacks %s", WR_STR_FMT(body), wr_buf_cstr(&want));
    }
    if (!memmem(body.p, body.n, "prediction_ids", 14)) fail_msg("%.*s", WR_STR_FMT(body));
}

static void *keep_asking(void *arg)
{
    int client = *(int *)arg, fd = dial();
    for (int turn = 0; turn < TURNS; turn++) {
        WR_AUTOBUF wr_buf out = {0};
        WR_AUTOBUF wr_buf in = {0};
        wr_str body;
        size_t at = 0;
        int value = (client * TURNS + turn) * AT_ONCE;
        for (int i = 0; i < AT_ONCE; i++) forms[i % FORMS](&out, value + i);
        say(fd, &out);
        for (int i = 0; i < AT_ONCE; i++) {
            int status = next_answer(&body, fd, &in, &at);
            if (status != 200) fail_msg("%d %.*s", status, WR_STR_FMT(body));
            check_arm(body, i % FORMS, value + i);
        }
        assert_int_equal(at, in.n);
        usleep(5000); /* so that what changes meanwhile has its turn */
    }
    close(fd);
    return arg;
}

static double number(wr_http_client *c, const char *pointer)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str reply = {"", 0};
    assert_int_equal(call(c, "GET", ROLLOUT("both"), "", &reply), 200);
    OK(wr_json_parse(&j, reply, "status", err));
    return yyjson_get_num(yyjson_ptr_get(j.root, pointer));
}

/* All clients ask while `change` is called again and again. */
static int under_fire(void (*change)(wr_http_client *c, int n), wr_http_client *c)
{
    pthread_t t[CLIENTS];
    int client[CLIENTS], n = 0;
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = i;
        assert_int_equal(pthread_create(&t[i], NULL, keep_asking, &client[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        while (pthread_tryjoin_np(t[i], NULL) != 0) change(c, n++);
    return n;
}

/* The arm's model anew: it is taken up at the second look that sees the same. */
static void reload(wr_http_client *c, int n)
{
    if (n % 3 == 0) copy_model("arm.onnx");
    assert_int_equal(call(c, "PUT", ROLLOUT("aside"), SPLIT, NULL), 200); /* looks for models of all arms */
}

static void replace(wr_http_client *c, int n)
{
    static const char *const specs[] = {
        SPLIT, "mode: bandit\nguardrails: none\narms: {a: {path: arm.onnx}, b: {path: own.onnx}}\n",
        "mode: bandit\nguardrails: none\narms: {other: {path: models/simple_string/1/model.onnx}}\n", SPLIT};
    assert_int_equal(call(c, "PUT", ROLLOUT("both"), specs[n % 4], NULL), 200);
    usleep(10000);
}

static int times_served(trips *w, const char *subject)
{
    wr_event *e;
    size_t n;
    int times = 0;
    OK(wr_event_list(&e, &n, w->a, w->project, 0, "served", 1000, err));
    for (size_t i = 0; i < n; i++) times += strcmp(e[i].subject, subject) == 0;
    return times;
}

/* What the rollout counts is what was answered, each once, whatever instance of a model it was meant for; and so it is
 * in the log. */
static void test_arms_under_reloads(void **state)
{
    (void)state;
    start(false);
    wr_http_client *c = client_at(port);
    assert_int_equal(call(c, "PUT", ROLLOUT("both"), SPLIT, NULL), 200);
    (void)under_fire(reload, c);
    double own = number(c, "/arms/0/requests"), other = number(c, "/arms/1/requests");
    assert_true(own > ASKED / 4 && other > ASKED / 4 && own + other == ASKED);
    assert_true(number(c, "/arms/0/predictions") == own && number(c, "/arms/1/predictions") == other);
    assert_true(number(c, "/arms/0/errors") + number(c, "/arms/1/errors") + number(c, "/arms/1/not_ready") == 0);
    assert_int_equal(count("both", "inference_count"), own);
    assert_true(count("both", "execution_count") < own);
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", NULL), 200);
    trips w = {.project = project, .a = wr_arena_new(0)};
    assert_int_equal(trips_number(&w, "SELECT count(DISTINCT prediction_id) FROM \"decisions.both\""), ASKED);
    assert_int_equal(trips_number(&w, "SELECT count(*) FROM \"decisions.both\" WHERE arm = answered_by AND "
                                      "propensity = 0.5 AND seconds > 0"),
                     ASKED);
    assert_int_equal(trips_number(&w, "SELECT count(*) FROM \"decisions.both\" WHERE arm = 'other'"), other);
    assert_true(times_served(&w, "endpoint:both:other") > 3);
    wr_arena_free(w.a);
    wr_http_client_close(c);
    stop();
}

/* Rollouts come and go while their requests wait: none fails, and the next one begins with nothing. */
static void test_rollouts_come_and_go(void **state)
{
    (void)state;
    start(false);
    wr_http_client *c = client_at(port);
    assert_int_equal(call(c, "PUT", ROLLOUT("both"), SPLIT, NULL), 200);
    assert_true(under_fire(replace, c) > 6);
    assert_int_equal(call(c, "PUT", ROLLOUT("both"), SPLIT, NULL), 200);
    keep_asking(&(int){CLIENTS});
    assert_true(number(c, "/arms/0/requests") + number(c, "/arms/1/requests") == TURNS * AT_ONCE);
    wr_http_client_close(c);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_there_shares_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_delay_fills_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_run_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arms_under_reloads, setup_arms, teardown_arms),
        cmocka_unit_test_setup_teardown(test_rollouts_come_and_go, setup_arms, teardown_arms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
