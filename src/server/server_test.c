/* SPDX-License-Identifier: Apache-2.0 */
/* server_test.c - the server over the wire, in this process: predictions, labels, events, looking at it, failures,
 * swaps, replay. */
#include "server/server_testing.h"

#include <math.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/fault.h"
#include "base/limits.h"
#include "codec/protobuf.h"
#include "core/event.h"
#include "server/grpc_testing.h"
#include "server/server.h"
#include "stage/replay/replay.h"

typedef struct {
    wr_server *s;
    pthread_t thread;
    int port;
} up;

static void *run(void *ctx)
{
    OK(wr_server_run(ctx, err));
    return NULL;
}

static up start_with(trips *w, int loops, bool schedule)
{
    up u = {0};
    wr_server_opt opt = {.port = 0, .loops = loops, .schedule = schedule};
    OK(wr_server_open(&u.s, w->project, &opt, err));
    u.port = wr_server_port(u.s);
    pthread_create(&u.thread, NULL, run, u.s);
    return u;
}

static void stop(up *u)
{
    wr_server_stop(u->s);
    pthread_join(u->thread, NULL);
    OK(wr_server_close(u->s, err));
}

#define LABELS "/api/weir/1/endpoints/late/labels"
#define EVENTS "/api/weir/1/views/trips_features/events"
#define INFER  "/v2/models/late/infer"

/* ---- over the wire ---- */

/* Row i over gRPC, what is missing as NaN; false when it lacks a text, which has no such word there. */
static bool ask_grpc(double *score, const trips *w, grpc_client *c, const char *id, size_t i)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_cell cells[8];
    wr_pb r;
    wr_pb_field f;
    trips_request(w, i, cells);
    wr_pbw_str(&b, 1, WR_STR("late"));
    wr_pbw_str(&b, 3, wr_str_of(id));
    for (size_t k = 0; k < w->view->nrequest; k++) {
        wr_type type = w->view->request_type[k];
        if (type == WR_TEXT && cells[k].missing) return false;
        size_t at = wr_pbw_open(&b, 5);
        wr_pbw_str(&b, 1, wr_str_of(w->view->request[k]));
        wr_pbw_str(&b, 2, wr_str_of(type == WR_TEXT ? "BYTES" : type == WR_TS ? "INT64" : "FP64"));
        wr_pbw_i64(&b, 3, 1);
        size_t contents = wr_pbw_open(&b, 5);
        if (type == WR_TEXT) wr_pbw_str(&b, 8, cells[k].text);
        else if (type == WR_TS) wr_pbw_i64(&b, 3, cells[k].ts);
        else wr_pbw_f64(&b, 7, cells[k].missing ? NAN : cells[k].num);
        wr_pbw_close(&b, contents);
        wr_pbw_close(&b, at);
    }
    if (grpc_client_call(c, WR_STR("/inference.GRPCInferenceService/ModelInfer"), wr_buf_view(&b), NULL, NULL) != 0)
        fail_msg("%s", wr_buf_cstr(&c->text));
    *score = -1;
    wr_pb_init(&r, wr_buf_view(&c->reply));
    while (wr_pb_next(&r, &f))
        if (f.number == 6 && *score == -1) memcpy(score, f.bytes.p, sizeof *score);
    assert_non_null(memmem(c->reply.p, c->reply.n, id, strlen(id)));
    return true;
}

/* Features over HTTP and gRPC, logged and drained, are the offline ones. */
static void test_parity(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    wr_str reply = {"", 0};
    double offline[TRIPS];
    wr_package *k;
    trips_promote(w, 0);
    OK(wr_package_load(&k, w->project, w->package[0], err));
    OK(wr_package_predict(offline, k, w->features, NULL, err));
    wr_package_free(k);
    up u = start_with(w, 2, false);
    wr_http_client *c = client_at(u.port);
    grpc_client g;
    grpc_client_open(&g, u.port);
    size_t sent = 0;
    for (size_t i = 0; i < 60; i++) {
        double score;
        const char *id = wr_arena_printf(w->a, "r%zu", i);
        size_t due = sent;
        while (w->events->cols[0].i64[due] <= w->rows->cols[0].i64[i]) due++;
        if (due > sent) assert_int_equal(call(c, "POST", EVENTS, events_body(w, &b, sent, due, 0), NULL), 200);
        sent = due;
        if (i % 2 == 0 || !ask_grpc(&score, w, &g, id, i)) {
            assert_int_equal(call(c, "POST", INFER, infer_body(w, &b, id, i, i + 1), &reply), 200);
            score = score_of(reply, NULL);
        }
        assert_true(score == offline[i]);
    }
    grpc_client_close(&g);
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", &reply), 200);
    assert_non_null(memmem(reply.p, reply.n, "\"predictions\":60", 16));
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", &reply), 200);
    assert_non_null(memmem(reply.p, reply.n, "\"segments\":0", 12));
    wr_http_client_close(c);
    stop(&u);
    wr_tables *t;
    OK(wr_project_tables(&t, w->project, NULL, err));
    OK(wr_tables_register(t, "offline", w->features, err));
    OK(wr_tables_register(t, "rows", w->rows, err));
    OK(wr_dataset_view(t, w->project, "predictions.late", NULL, err));
    int64_t same = 0;
    OK(wr_tables_i64(t, &same,
                     "SELECT count(*) FROM \"predictions.late\" p JOIN (SELECT row_number() OVER () - 1 AS n, * FROM "
                     "offline) o ON p.prediction_id = 'r' || o.n"
                     " WHERE p.hour = o.hour AND p.km IS NOT DISTINCT FROM o.km AND p.\"from\" = o.\"from\" AND "
                     "p.delay_3h IS NOT DISTINCT FROM o.delay_3h"
                     " AND p.late_3h IS NOT DISTINCT FROM o.late_3h AND p.arrivals_3h = o.arrivals_3h AND "
                     "p.to_delay_3h IS NOT DISTINCT FROM o.to_delay_3h",
                     err));
    wr_tables_close(t);
    assert_int_equal(same, 60);
}

static void test_bad_feedback(void **state)
{
    trips *w = *state;
    trips_promote(w, 0);
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    wr_str reply = {"", 0};
    static const struct {
        const char *target, *body;
        int status;
        const char *text;
    } all[] = {{LABELS,
                "{\"labels\":[{\"id\":\"a\",\"label\":1,\"known_at\":\"2001-06-01T00:00:00Z\"},{\"id\":\"b\",\"label\":"
                "true}]}",
                200, "\"accepted\":2"},
               {LABELS, "{\"labels\":[]}", 200, "\"accepted\":0"},
               {LABELS, "", 400, "no value"},
               {LABELS, "[]", 400, "labels"},
               {LABELS, "{}", 400, "labels"},
               {LABELS, "{\"labels\":[{\"id\":\"a\"}]}", 400, "not a number"},
               {LABELS, "{\"labels\":[{\"label\":1}]}", 400, "id"},
               {LABELS, "{\"labels\":[1]}", 400, "not an object"},
               {LABELS, "{\"labels\":[{\"id\":\"\",\"label\":1}]}", 400, "1 to 128"},
               {LABELS, "{\"labels\":[{\"id\":\"a\",\"label\":1,\"known_at\":\"soon\"}]}", 400, "not a time"},
               {"/api/weir/1/endpoints/lat/labels", "{\"labels\":[]}", 404, "did you mean"},
               {"/api/weir/1/endpoints/l%61te/labels", "{\"labels\":[]}", 200, ""},
               {EVENTS, "{\"events\":[{\"time\":\"2001-06-01\",\"from\":\"SFO\",\"to\":\"JFK\",\"delay\":3}]}", 200,
                "\"accepted\":1"},
               {EVENTS, "{\"events\":[{\"time\":991353600000000,\"delay\":null}]}", 200, ""},
               {EVENTS, "{\"events\":[{\"from\":\"SFO\"}]}", 400, "no \\\"time\\\""},
               {EVENTS, "{\"events\":[{\"time\":\"2001-06-01\",\"form\":\"SFO\"}]}", 400, "did you mean"},
               {EVENTS, "{\"events\":[{\"time\":\"2001-06-01\",\"delay\":\"3\"}]}", 400, "not a number"},
               {EVENTS, "{\"events\":[{\"time\":\"2001-06-01\",\"from\":3}]}", 400, "not text"},
               {EVENTS, "{\"events\":[{\"time\":\"2101-06-01\"}]}", 400, "not come yet"},
               {EVENTS, "{\"events\":[7]}", 400, "not an object"},
               {"/api/weir/1/views/trip_features/events", "{\"events\":[]}", 404, "did you mean"},
               {"/api/weir/1/labels", "{}", 404, "no such path"},
               {"/metrics", "{}", 405, "use GET"},
               {"/api/weir/1/endpoints", "", 405, "use GET"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = call(c, "POST", all[i].target, all[i].body, &reply);
        if (status != all[i].status || !memmem(reply.p, reply.n, all[i].text, strlen(all[i].text)))
            fail_msg("%s %s: %d %.*s", all[i].target, all[i].body, status, WR_STR_FMT(reply));
    }
    assert_int_equal(call(c, "GET", LABELS, "", NULL), 405);
    wr_http_client_close(c);
    stop(&u); /* drains */
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"labels.late\""),
                     2); /* of a request that was refused nothing is kept */
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"events.trips_features\""), 2);
}

static void test_large_batch(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_str reply = {"", 0};
    trips_promote(w, 0);
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "POST", INFER, infer_body(w, &b, "big", 0, 5000), &reply), 200); /* by the worker */
    assert_true(b.n > (64 << 10));
    OK(wr_json_parse(&j, reply, "answer", err));
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(j.root, "/outputs/0/data")), 5000);
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(j.root, "/parameters/prediction_ids/4999")), "big/4999");
    double many = yyjson_get_num(yyjson_ptr_get(j.root, "/outputs/0/data/7"));
    assert_int_equal(call(c, "POST", INFER, infer_body(w, &b, NULL, 7, 8), &reply), 200);
    assert_true(score_of(reply, NULL) == many);
    wr_http_client_close(c);
    stop(&u);
    assert_int_equal(trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"predictions.late\""), 5001);
}

/* By both protocols; a reading: no prediction is kept. */
static void test_explain(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOJSON wr_json v1 = {0};
    wr_str r = {"", 0};
    double sum = 0;
    trips_promote(w, 0);
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "POST", EVENTS, events_body(w, &b, 0, 20, 0), NULL), 200);
    assert_int_equal(call(c, "POST", "/v2/models/late/explain", infer_body(w, &b, "why", 12, 14), &r), 200);
    OK(wr_json_parse(&j, r, "answer", err));
    assert_null(yyjson_ptr_get(j.root, "/parameters"));
    yyjson_val *phi = yyjson_ptr_get(j.root, "/outputs/2"), *told = yyjson_obj_get(phi, "parameters");
    size_t n = w->view->nfeatures;
    assert_string_equal(yyjson_get_str(yyjson_obj_get(phi, "name")), "contributions");
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(phi, "data")), 2 * (n + 1));
    for (size_t k = 0; k < n; k++)
        assert_string_equal(yyjson_get_str(yyjson_arr_get(yyjson_obj_get(told, "features"), k)),
                            w->view->features[k].name);
    for (size_t k = 0; k <= n; k++) sum += yyjson_get_num(yyjson_arr_get(yyjson_obj_get(phi, "data"), n + 1 + k));
    double p = yyjson_get_num(yyjson_ptr_get(j.root, "/outputs/0/data/1"));
    assert_true(fabs(sum - log(p / (1 - p))) < 1e-9);
    assert_true(fabs(yyjson_get_num(yyjson_ptr_get(told, "/margins/1/0")) - sum) < 1e-12);
    assert_true(yyjson_get_num(yyjson_ptr_get(told, "/base_values/0")) ==
                yyjson_get_num(yyjson_arr_get(yyjson_obj_get(phi, "data"), n)));
    static const char instances[] = "{\"instances\":[{\"at\":\"2001-06-01T01:24:00Z\",\"km\":10,\"from\":\"SFO\","
                                    "\"to\":\"JFK\"}]}";
    assert_int_equal(call(c, "POST", "/v1/models/late:explain", instances, &r), 200);
    OK(wr_json_parse(&v1, r, "answer", err));
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(v1.root, "/explanations/0/0")), n + 1);
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(v1.root, "/features/3")), "delay_3h");
    assert_true(yyjson_is_num(yyjson_ptr_get(v1.root, "/margins/0/0")));
    assert_null(yyjson_obj_get(v1.root, "prediction_ids"));
    assert_int_equal(call(c, "POST", "/v1/models/late:explain", "{\"instances\":[{\"at\":null}]}", &r), 400);
    assert_int_equal(call(c, "POST", INFER, infer_body(w, &b, "told", 12, 13), NULL), 200);
    assert_int_equal(call(c, "GET", "/api/weir/1/endpoints", "", &r), 200);
    assert_non_null(memmem(r.p, r.n, "\"predictions\":1,", 16));
    wr_http_client_close(c);
    stop(&u);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\""), 1);
}

/* ---- looking at it ---- */

static void test_looking(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    wr_str r = {"", 0};
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "GET", "/v2/health/ready", "", NULL), 400); /* no model yet */
    assert_int_equal(call(c, "POST", INFER, infer_body(w, &b, NULL, 0, 1), &r), 503);
    assert_int_equal(call(c, "GET", "/api/weir/1/endpoints", "", &r), 200);
    assert_non_null(memmem(r.p, r.n, "\"ready\":false", 13));
    trips_promote(w, 0);
    for (int i = 0; i < 300 && call(c, "GET", "/v2/health/ready", "", NULL) != 200; i++)
        usleep(20000); /* taken up within a second or so */
    assert_int_equal(call(c, "GET", "/v2/health/ready", "", NULL), 200);
    assert_int_equal(call(c, "POST", INFER, infer_body(w, &b, NULL, 0, 1), NULL), 200);
    assert_int_equal(call(c, "GET", "/api/weir/1/endpoints?x=1", "", &r), 200);
    assert_non_null(memmem(r.p, r.n, "\"predictions\":1", 15));
    assert_int_equal(call(c, "GET", "/api/weir/1/jobs", "", &r), 200);
    assert_true(wr_str_is(r, "{\"busy\":false,\"jobs\":[]}"));
    for (int i = 0; i < 300; i++) { /* told right after it is so */
        assert_int_equal(call(c, "GET", "/api/weir/1/events?kind=served", "", &r), 200);
        if (memmem(r.p, r.n, "endpoint:late", 13)) break;
        usleep(20000);
    }
    assert_non_null(memmem(r.p, r.n, "endpoint:late", 13));
    assert_int_equal(call(c, "GET", "/api/weir/1/events?after=999", "", &r), 200);
    assert_true(wr_str_is(r, "{\"events\":[]}"));
    assert_int_equal(call(c, "GET", "/api/weir/1/events?limit=0", "", NULL), 400);
    assert_int_equal(call(c, "GET", "/api/weir/1/events?after=x", "", NULL), 400);
    assert_int_equal(call(c, "GET", "/metrics", "", &r), 200);
    static const char *const metrics[] = {"weir_predictions_total{endpoint=\"late\",version=\"1\"} 1\n",
                                          "weir_http_requests_total{kind=\"infer\",code=\"2xx\"}",
                                          "le=\"+Inf\"} ",
                                          "weir_energy_joules_total ",
                                          "weir_log_bytes ",
                                          "process_resident_memory_bytes ",
                                          "weir_endpoint_ready{endpoint=\"late\"} 1\n"};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (!memmem(r.p, r.n, metrics[i], strlen(metrics[i]))) fail_msg("no %s", metrics[i]);
    assert_int_equal(call(c, "GET", "/", "", &r), 200);
    assert_non_null(memmem(r.p, r.n, "<strong>late</strong>", 21));
    static const char *const shown[] = {"Models in service", "&#9679; ready", "endpoint of late@champion", "Rollouts",
                                        "Answers logged",    "role=img",      "how long answers took"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (!memmem(r.p, r.n, shown[i], strlen(shown[i]))) fail_msg("no %s on the page", shown[i]);
    wr_http_client_close(c);
    stop(&u);
}

/* Text that somebody else chose is shown as text. */
static void test_page_escapes(void **state)
{
    trips *w = *state;
    wr_str r = {"", 0};
    OK(wr_event_add(w->project, "<b>kind", "<script>alert(1)</script>", "{\"a\":\"<i>&\"}", NULL, err));
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "GET", "/", "", &r), 200);
    assert_null(memmem(r.p, r.n, "<script>alert", 13));
    assert_null(memmem(r.p, r.n, "<i>", 3));
    assert_non_null(memmem(r.p, r.n, "&lt;script>", 11));
    wr_http_client_close(c);
    stop(&u);
}

/* The bytes a listener gets until `want` is among them. */
static void listen_for(int port, const char *path, const char *headers, const char *want)
{
    char request[300], got[16384];
    size_t n = 0;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s\r\n", path, headers);
    assert_int_equal(send(fd, request, (size_t)len, 0), len);
    got[0] = 0;
    while (!strstr(got, want)) {
        ssize_t k = recv(fd, got + n, sizeof got - 1 - n, 0);
        if (k <= 0) fail_msg("no \"%s\" in: %s", want, got);
        n += (size_t)k;
        got[n] = 0;
    }
    assert_non_null(strstr(got, "text/event-stream"));
    if (headers[0]) assert_null(strstr(got, "\"n\":1}"));
    close(fd);
}

static void test_event_stream(void **state)
{
    trips *w = *state;
    int64_t first;
    char headers[64];
    OK(wr_event_add(w->project, "drift", "endpoint:late", "{\"n\":1}", &first, err));
    OK(wr_event_add(w->project, "drift", "endpoint:late", "{\"n\":2}", NULL, err));
    up u = start_with(w, 1, false);
    listen_for(u.port, "/api/weir/1/events", "", "\"n\":1}");
    snprintf(headers, sizeof headers, "Last-Event-ID: %lld\r\n", (long long)first);
    listen_for(u.port, "/api/weir/1/events", headers, "\"n\":2}");
    stop(&u);
}

/* ---- runs as they go ---- */

typedef struct {
    int port;
    const char *path, *want;
} watching;

static void *watch(void *ctx)
{
    watching *w = ctx;
    listen_for(w->port, w->path, "", w->want);
    return NULL;
}

static const char *track(trips *w, wr_http_client *c, const char *rpc, const char *body)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str reply;
    int status;
    wr_http_client_send(c, "POST", wr_arena_printf(w->a, "/api/2.0/mlflow/%s", rpc), "application/json",
                        wr_str_of(body), NULL);
    wr_http_client_flush(c, NULL);
    OK(wr_http_client_recv(c, &status, &reply, err));
    assert_int_equal(status, 200);
    OK(wr_json_parse(&j, reply, "answer", err));
    const char *id = yyjson_get_str(yyjson_ptr_get(j.root, "/run/info/run_id"));
    return id ? wr_arena_strdup(w->a, id) : NULL;
}

static void test_watch_runs(void **state)
{
    trips *w = *state;
    pthread_t threads[2];
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    const char *run = track(w, c, "runs/create", "{\"experiment_id\":\"0\",\"run_name\":\"seen\"}");
    const char *path = wr_arena_printf(w->a, "/api/weir/1/runs/%s/events", run);
    listen_for(u.port, path, "", "\"status\":\"RUNNING\"");
    track(w, c, "runs/log-metric",
          wr_arena_printf(w->a, "{\"run_id\":\"%s\",\"key\":\"loss\",\"value\":\"NaN\",\"timestamp\":1,\"step\":7}",
                          run));
    listen_for(u.port, path, "",
               "{\"key\":\"loss\",\"value\":\"NaN\",\"step\":7,\"timestamp\":1}"); /* the state as it is */
    watching ends[] = {{u.port, path, "\"status\":\"KILLED\""},
                       {u.port, "/api/weir/1/experiments/0/events", "\"status\":\"KILLED\""}};
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, watch, &ends[i]), 0);
    usleep(1500000); /* the listeners know the run as running */
    track(w, c, "runs/update", wr_arena_printf(w->a, "{\"run_id\":\"%s\",\"status\":\"KILLED\",\"end_time\":5}", run));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(call(c, "GET", "/api/weir/1/runs/none/events", "", NULL), 404);
    assert_int_equal(call(c, "GET", "/api/weir/1/experiments/77/events", "", NULL), 404);
    wr_http_client_close(c);
    stop(&u);
}

/* ---- refusals and failures ---- */

static void test_refusals(void **state)
{
    trips *w = *state;
    wr_server *second;
    wr_err why = {0};
    up u = start_with(w, 1, false);
    wr_server_opt opt = {.port = u.port, .loops = 1};
    assert_int_equal(wr_server_open(&second, w->project, &opt, &why), WEIR_EEXIST);
    assert_true(why.hint[0]);
    opt.port = 0;
    assert_int_equal(wr_server_open(&second, w->project, &opt, &why), WEIR_ECONFLICT);
    assert_true(why.hint[0]);
    opt.host = "not an address";
    assert_int_equal(wr_server_open(&second, w->project, &opt, &why), WEIR_EINVAL);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "GET", "/v2", "", NULL), 200); /* the first one did not notice */
    wr_http_client_close(c);
    stop(&u);
}

/* A full disk: what cannot be kept is answered 503 or 507, and when there is room again all goes on; nothing that was
 * refused is kept. */
static void test_full_disk(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    trips_promote(w, 0);
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    assert_int_equal(call(c, "POST", INFER, infer_body(w, &b, "before", 0, 1), NULL), 200);
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_FSYNC; kind++) {
        wr_fault_arm((wr_fault_kind)kind, 1, true);
        for (int i = 0; i < 3; i++) {
            if (kind == WR_FAULT_WRITE)
                assert_in_range(call(c, "POST", INFER, infer_body(w, &b, "lost", 0, 1), NULL), 503, 507);
            assert_in_range(call(c, "POST", LABELS, "{\"labels\":[{\"id\":\"lost\",\"label\":1}]}", NULL), 503, 507);
            assert_in_range(call(c, "POST", EVENTS, events_body(w, &b, 0, 2, 0), NULL), 503, 507);
        }
        assert_int_equal(call(c, "GET", "/v2/health/live", "", NULL), 200);
        wr_fault_arm((wr_fault_kind)kind, 0, false);
        assert_int_equal(
            call(c, "POST", INFER, infer_body(w, &b, kind == WR_FAULT_WRITE ? "after1" : "after2", 0, 1), NULL), 200);
        assert_int_equal(call(c, "POST", LABELS, "{\"labels\":[{\"id\":\"before\",\"label\":1}]}", NULL), 200);
        assert_int_equal(call(c, "POST", EVENTS, events_body(w, &b, (size_t)kind, (size_t)kind + 1, 0), NULL), 200);
    }
    wr_http_client_close(c);
    stop(&u);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\""), 3);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\" WHERE prediction_id = 'lost'"), 0);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"labels.late\" WHERE prediction_id = 'before'"), 2);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"events.trips_features\""), 2);
}

/* ---- swaps ---- */

typedef struct {
    trips *w;
    int port;
    atomic_bool stop;
    atomic_int answered, failed, versions[4];
} load;

static void *ask_on(void *ctx)
{
    load *x = ctx;
    WR_AUTOBUF wr_buf b = {0};
    char version[24];
    wr_str reply = {"", 0};
    wr_http_client *c = client_at(x->port);
    const char *body = infer_body(x->w, &b, NULL, 1, 2);
    while (!atomic_load(&x->stop)) {
        if (call(c, "POST", INFER, body, &reply) != 200) {
            atomic_fetch_add(&x->failed, 1);
            continue;
        }
        double p = score_of(reply, version);
        (void)p;
        atomic_fetch_add(&x->versions[version[0] & 3], 1);
        atomic_fetch_add(&x->answered, 1);
    }
    wr_http_client_close(c);
    return NULL;
}

static void test_swap_under_load(void **state)
{
    trips *w = *state;
    trips_promote(w, 0);
    up u = start_with(w, 2, false);
    load x = {.w = w, .port = u.port};
    pthread_t t[2];
    for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, ask_on, &x);
    for (int k = 1; k >= 0; k--) { /* to the second model, and back */
        int want = k + 1;
        trips_promote(w, k);
        int had = atomic_load(&x.versions[want]);
        for (int i = 0; i < 400 && atomic_load(&x.versions[want]) < had + 20; i++) usleep(10000);
        assert_true(atomic_load(&x.versions[want]) >= had + 20);
    }
    atomic_store(&x.stop, true);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&x.failed), 0);
    assert_true(atomic_load(&x.answered) >= 40);
    stop(&u);
}

/* Version that answers, once it is `want` or ten seconds have passed. */
static int await_version(wr_http_client *c, const char *body, int want)
{
    char version[24] = "0";
    wr_str reply;
    for (int i = 0; i < 1000 && (version[0] - '0') != want; i++) {
        assert_int_equal(call(c, "POST", INFER, body, &reply), 200);
        (void)score_of(reply, version);
        if ((version[0] - '0') != want) usleep(10000);
    }
    return (version[0] - '0');
}

/* An alias that an MLflow client moves moves the endpoint; what it registers and Weir cannot load does not. */
static void test_client_moves_alias(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    int64_t version;
    wr_str reply;
    trips_promote(w, 0);
    OK(wr_model_register(&version, w->project, "late", w->package[1], "", NULL, err));
    up u = start_with(w, 1, false);
    wr_http_client *c = client_at(u.port);
    const char *body = infer_body(w, &b, NULL, 1, 2);
    assert_int_equal(await_version(c, body, 1), 1);
    assert_int_equal(call(c, "GET", "/api/2.0/mlflow/registered-models/get?name=late", "", &reply), 200);
    assert_non_null(strstr(reply.p, "{\"alias\":\"champion\",\"version\":\"1\"}"));
    assert_int_equal(call(c, "POST", "/api/2.0/mlflow/registered-models/alias",
                          "{\"name\":\"late\",\"alias\":\"champion\",\"version\":\"2\"}", NULL),
                     200);
    assert_int_equal(await_version(c, body, 2), 2);
    assert_int_equal(call(c, "POST", "/api/2.0/mlflow/model-versions/create",
                          "{\"name\":\"late\",\"source\":\"s3://bucket/model\"}", NULL),
                     200);
    assert_int_equal(call(c, "POST", "/api/2.0/mlflow/registered-models/alias",
                          "{\"name\":\"late\",\"alias\":\"champion\",\"version\":\"3\"}", NULL),
                     200);
    usleep(1500000);
    assert_int_equal(await_version(c, body, 2), 2);
    assert_int_equal(call(c, "GET", "/api/weir/1/endpoints", "", &reply), 200);
    assert_non_null(strstr(reply.p, "which is not this server's store"));
    wr_http_client_close(c);
    stop(&u);
}

/* ---- replay ---- */

static void test_replay(void **state)
{
    trips *w = *state;
    char url[64];
    wr_run *run_record;
    wr_replay_report r;
    wr_run_opt ro = {"replay", "other", "late", "weir deploy replay"};
    trips_promote(w, 0);
    trips_dataset(w);
    OK(wr_run_begin(&run_record, w->project, &ro, err));
    wr_replay_opt opt = {.endpoint = "late",
                         .url = url,
                         .from_us = TRIPS_FROM_US + 40 * TRIP_US,
                         .until_us = TRIPS_FROM_US + 140 * TRIP_US,
                         .connections = 3};
    snprintf(url, sizeof url, "http://127.0.0.1:1");
    assert_int_equal(wr_replay(&r, w->a, w->project, &opt, run_record, NULL), WEIR_EUNAVAILABLE);
    up u = start_with(w, 2, false);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", u.port);
    opt.from_us = opt.until_us;
    assert_int_equal(wr_replay(&r, w->a, w->project, &opt, run_record, NULL), WEIR_EINVAL);
    opt.from_us = TRIPS_FROM_US + 40 * TRIP_US;
    opt.seconds = 0.3;
    opt.slow = 2;
    OK(wr_replay(&r, w->a, w->project, &opt, run_record, err));
    assert_int_equal(r.failed, 0);
    assert_int_equal(r.predictions, 100);
    assert_int_equal(r.nversions, 1);
    assert_string_equal(r.versions[0].version, "1");
    assert_int_equal(r.versions[0].predictions, 100);
    assert_true(r.labels > 80 && r.labels < 100 && r.labels == r.versions[0].labelled);
    assert_true(r.events > 90 && r.wall_s >= 0.25 && r.p99_us >= r.p50_us && r.p50_us > 0);
    assert_true(r.versions[0].auc > 0.6);
    stop(&u);
    OK(wr_run_end(run_record, 0, NULL, err));
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\" p JOIN trips t ON p.\"at\" = t.\"at\" "
                                     "AND p.prediction_id = 'late-' || "
                                     "(1 + (SELECT count(*) FROM trips u WHERE u.\"at\" < t.\"at\"))"),
                     100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trips_make, trips_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_parity),       TEST(test_bad_feedback),    TEST(test_large_batch),        TEST(test_looking),
        TEST(test_page_escapes), TEST(test_event_stream),    TEST(test_watch_runs),         TEST(test_refusals),
        TEST(test_full_disk),    TEST(test_swap_under_load), TEST(test_client_moves_alias), TEST(test_replay),
        TEST(test_explain)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
