/* SPDX-License-Identifier: Apache-2.0 */
/* feedback_test.c - over the wire: answers of a model without a view are kept, what came true of them comes in again; a
 * full disk, kill -9. */
#include "server/program_testing.h"
#include "server/server.h"
#include "server/server_testing.h"

#include <pthread.h>

#include "base/fault.h"
#include "base/limits.h"
#include "codec/http.h"

static const char model[] = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx";

#define SIXTEEN "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define SUMS(id)                                                                                                       \
    "{" id "\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[" SIXTEEN               \
    "]},{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[" SIXTEEN "]}]}"
#define INFER    "/v2/models/sums/infer"
#define FEEDBACK "/v2/models/sums/feedback"
#define NATIVE   "/api/weir/1/endpoints/sums/feedback"

typedef struct {
    wr_server *s;
    pthread_t thread;
    int port;
} up;

static void *run(void *arg)
{
    OK(wr_server_run(arg, err));
    return NULL;
}

static void declare(trips *w)
{
    OK(wr_file_copy(model, trips_path(w, "sums.onnx"), err));
    trips_write(w, "weir.yaml", "endpoints:\n  sums: {path: sums.onnx, log: all}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
}

static up start(trips *w)
{
    up u = {0};
    wr_server_opt opt = {.port = 0, .loops = 2};
    declare(w);
    OK(wr_server_open(&u.s, w->project, &opt, err));
    u.port = wr_server_port(u.s);
    assert_int_equal(pthread_create(&u.thread, NULL, run, u.s), 0);
    return u;
}

static void stop(up *u)
{
    wr_server_stop(u->s);
    pthread_join(u->thread, NULL);
    OK(wr_server_close(u->s, err));
}

static bool says(wr_str reply, const char *text) { return memmem(reply.p, reply.n, text, strlen(text)) != NULL; }

static void says_so(wr_str reply, const char *text)
{
    if (!says(reply, text)) fail_msg("no \"%s\" in: %.*s", text, WR_STR_FMT(reply));
}

static int post(wr_http_client *c, const char *target, const char *type, const char *body, wr_str *reply)
{
    int status = -1;
    OK(wr_http_client_send(c, "POST", target, type, wr_str_of(body), err));
    OK(wr_http_client_flush(c, err));
    OK(wr_http_client_recv(c, &status, reply, err));
    return status;
}

static void test_what_came_true(void **state)
{
    trips *w = *state;
    wr_str r;
    up u = start(w);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "POST", INFER, SUMS("\"id\":\"one\","), &r), 200);
    says_so(r, "\"prediction_ids\":[\"one\"]");
    assert_int_equal(call(c, "POST", INFER, SUMS(""), &r), 200);
    says_so(r, "\"prediction_ids\":[\"");
    /* single, list, both paths; again is no change, another value is history */
    assert_int_equal(call(c, "POST", FEEDBACK, "{\"id\":\"one\",\"label\":1,\"ts\":\"2020-01-01T00:00:00Z\"}", &r),
                     200);
    says_so(r, "{\"accepted\":1,\"unchanged\":0}");
    assert_int_equal(call(c, "POST", NATIVE,
                          "[{\"id\":\"one\",\"label\":1,\"ts\":\"2020-01-01T00:00:00Z\"},"
                          "{\"id\":\"one\",\"reward\":2.5}]",
                          &r),
                     200);
    says_so(r, "{\"accepted\":2,\"unchanged\":1}");
    assert_int_equal(call(c, "POST", NATIVE, "{\"id\":\"one\",\"label\":0,\"ts\":\"2020-01-03T00:00:00Z\"}", &r), 200);
    assert_int_equal(call(c, "POST", NATIVE, "{\"id\":\"one\",\"label\":7,\"ts\":\"2020-01-02T00:00:00Z\"}", &r), 200);
    says_so(r, "{\"accepted\":1,\"unchanged\":0}");
    assert_int_equal(call(c, "POST", NATIVE, "{\"id\":\"one\",\"label\":0}", &r), 200);
    says_so(r, "{\"accepted\":1,\"unchanged\":1}"); /* the one that came between was older */
    assert_int_equal(post(c, FEEDBACK, "text/csv", "id,label\ntwo,cat\nthree,4\n", &r), 200);
    assert_int_equal(post(c, FEEDBACK, "application/cloudevents+json",
                          "{\"specversion\":\"1.0\",\"type\":\"label\",\"source\":\"shop\",\"id\":\"e1\",\"subject\":"
                          "\"four\",\"data\":{\"label\":true}}",
                          &r),
                     200);
    assert_int_equal(call(c, "POST", FEEDBACK, "[{\"id\":\"five\",\"label\":1},{\"id\":\"six\"}]", &r), 400);
    says_so(r, "row 1 has neither");
    assert_int_equal(call(c, "POST", "/v2/models/sumz/feedback", "{\"id\":\"one\",\"label\":1}", &r), 404);
    says_so(r, "did you mean \\\"sums\\\"?");
    assert_int_equal(post(c, FEEDBACK, "text/plain", "x", &r), 501);
    assert_int_equal(call(c, "GET", "/api/weir/1/endpoints", "", &r), 200);
    says_so(r, "\"labels\":6,\"rewards\":1");
    says_so(r, "\"log\":{\"answers\":2,\"dropped\":0");
    assert_int_equal(call(c, "GET", "/metrics", "", &r), 200);
    says_so(r, "weir_rewards_total{endpoint=\"sums\"} 1\n");
    says_so(r, "weir_kept_answers_dropped_total 0\n");
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", &r), 200);
    says_so(r, "\"predictions\":2,\"labels\":7");
    wr_http_client_close(c);
    stop(&u);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"labels.sums\" WHERE prediction_id = 'one'"), 3);
    assert_int_equal(trips_number(w, "SELECT CAST(label AS BIGINT) FROM \"labels.sums\" WHERE prediction_id = 'one'"
                                     " ORDER BY known_at DESC, received_at DESC LIMIT 1"),
                     0);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"labels.sums\" WHERE label_text = 'cat' AND label IS NULL"),
                     1);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"labels.sums\" WHERE prediction_id IN ('five', 'six')"), 0);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"rewards.sums\" WHERE reward = 2.5"), 1);
    assert_int_equal(trips_number(w, "SELECT OUTPUT0_15 FROM \"predictions.sums\" WHERE prediction_id = 'one'"), 30);
}

static void test_bulk(void **state)
{
    trips *w = *state;
    wr_str r;
    WR_AUTOBUF wr_buf b = {0};
    up u = start(w);
    wr_http_client *c = client_at(u.port);
    for (int i = 0; i < WR_LIMIT_LABELS; i++)
        wr_buf_printf(&b, "%s{\"id\":\"b%d\",\"label\":%d}", i ? "," : "[", i, i % 3);
    wr_buf_char(&b, ']');
    for (int again = 0; again < 2; again++) {
        assert_int_equal(call(c, "POST", FEEDBACK, wr_buf_cstr(&b), &r), 200);
        says_so(r, "{\"accepted\":100000,");
    }
    wr_http_client_close(c);
    stop(&u);
    assert_int_equal(
        trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"labels.sums\" WHERE prediction_id LIKE 'b%'"),
        WR_LIMIT_LABELS);
}

/* Predictions are answered and dropped; feedback, which is acknowledged, is refused; both go on when there is room. */
static void test_full_disk(void **state)
{
    trips *w = *state;
    wr_str r;
    up u = start(w);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "POST", INFER, SUMS("\"id\":\"before\","), &r), 200);
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", &r), 200);
    wr_fault_arm(WR_FAULT_WRITE, 1, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call(c, "POST", INFER, SUMS("\"id\":\"lost\","), &r), 200);
        says_so(r, "\"data\":[0,2,4,");
        assert_in_range(call(c, "POST", FEEDBACK, "{\"id\":\"lost\",\"label\":1}", &r), 503, 507);
    }
    usleep(50000);
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    assert_int_equal(call(c, "POST", FEEDBACK, "{\"id\":\"lost\",\"label\":1}", &r), 200);
    says_so(r, "\"unchanged\":0"); /* what was refused was not remembered */
    assert_int_equal(call(c, "POST", INFER, SUMS("\"id\":\"after\","), &r), 200);
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", &r), 200);
    assert_int_equal(call(c, "GET", "/metrics", "", &r), 200);
    says_so(r, "weir_kept_answers_dropped_total 3\n");
    wr_http_client_close(c);
    stop(&u);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.sums\" WHERE prediction_id IN ('before', 'after')"), 2);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.sums\" WHERE prediction_id = 'lost'"), 0);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"labels.sums\" WHERE prediction_id = 'lost'"), 1);
}

static void test_acknowledged_survives_kill(void **state)
{
    trips *w = *state;
    char body[80];
    int acknowledged = 0;
    program p;
    declare(w);
    for (int life = 0; life < 3; life++) {
        assert_true(program_launch(&p, w->dir, "0"));
        wr_http_client *c = client_at(p.port);
        for (int i = 0; i < 20; i++, acknowledged++) {
            snprintf(body, sizeof body, "{\"id\":\"k%d\",\"label\":%d,\"reward\":1}", acknowledged, life);
            assert_int_equal(call(c, "POST", FEEDBACK, body, NULL), 200);
            assert_int_equal(call(c, "POST", INFER, SUMS(""), NULL), 200);
        }
        kill(p.pid, SIGKILL);
        assert_int_equal(program_wait(&p), 128 + SIGKILL);
        wr_http_client_close(c);
    }
    assert_true(program_launch(&p, w->dir, "0"));
    assert_int_equal(program_end(&p, SIGTERM), 0); /* drains */
    assert_int_equal(
        trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"labels.sums\" WHERE prediction_id LIKE 'k%'"),
        acknowledged);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"rewards.sums\" WHERE prediction_id LIKE 'k%'"),
                     acknowledged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_came_true),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_acknowledged_survives_kill),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
