/* SPDX-License-Identifier: Apache-2.0 */
/* feature_service_test.c - a request with keys alone over every protocol: one answer, one error, and the same word of
 * what may be left out. */
#include <pthread.h>

#include "codec/protobuf.h"
#include "server/grpc_testing.h"
#include "server/server.h"

typedef struct {
    wr_server *s;
    pthread_t thread;
    wr_http_client *h;
    grpc_client g;
} up;

static void *run(void *ctx)
{
    OK(wr_server_run(ctx, err));
    return NULL;
}

static void start(up *u, trips *w)
{
    wr_server_opt opt = {.loops = 1};
    *u = (up){0};
    trips_write(w, "features.yaml", trip_view);
    trips_write(w, "weir.yaml",
                "feature_services: {trips: {view: features.yaml, optional: [km]}}\n"
                "endpoints:\n  late: {model: late@champion, features: trips}\n");
    trips_promote(w, 0);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_server_open(&u->s, w->project, &opt, err));
    pthread_create(&u->thread, NULL, run, u->s);
    u->h = client_at(wr_server_port(u->s));
    grpc_client_open(&u->g, wr_server_port(u->s));
}

static void stop(up *u)
{
    wr_http_client_close(u->h);
    grpc_client_close(&u->g);
    wr_server_stop(u->s);
    pthread_join(u->thread, NULL);
    OK(wr_server_close(u->s, err));
}

/* ---- gRPC ---- */

static void put_text(wr_buf *b, const char *name, const char *value)
{
    size_t at = wr_pbw_open(b, 5), contents;
    wr_pbw_str(b, 1, wr_str_of(name));
    wr_pbw_str(b, 2, WR_STR("BYTES"));
    wr_pbw_i64(b, 3, 1);
    contents = wr_pbw_open(b, 5);
    wr_pbw_str(b, 8, wr_str_of(value));
    wr_pbw_close(b, contents);
    wr_pbw_close(b, at);
}

/* Status; *score of the answer. `to` NULL: left out. */
static int ask_grpc(double *score, up *u, const char *to)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_pb r;
    wr_pb_field f;
    wr_pbw_str(&b, 1, WR_STR("late"));
    put_text(&b, "from", "SFO");
    if (to) put_text(&b, "to", to);
    put_text(&b, "at", "2001-06-01T05:00:00Z");
    int status =
        grpc_client_call(&u->g, WR_STR("/inference.GRPCInferenceService/ModelInfer"), wr_buf_view(&b), NULL, NULL);
    wr_pb_init(&r, wr_buf_view(&u->g.reply));
    while (status == 0 && wr_pb_next(&r, &f))
        if (f.number == 6 && f.bytes.n == sizeof *score) {
            memcpy(score, f.bytes.p, sizeof *score);
            break; /* the second is the label */
        }
    return status;
}

/* ---- JSON and CSV ---- */

typedef struct {
    const char *path, *with, *without, *at;
    bool csv;
} way;
static const way ways[] = {
    {"/v2/models/late/infer",
     "{\"inputs\":[{\"name\":\"to\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"JFK\"]},"
     "{\"name\":\"from\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"SFO\"]},"
     "{\"name\":\"at\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"2001-06-01T05:00:00Z\"]}]}",
     "{\"inputs\":[{\"name\":\"from\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"SFO\"]}]}", "/outputs/0/data/0",
     false},
    {"/v1/models/late:predict", "{\"instances\":[{\"from\":\"SFO\",\"to\":\"JFK\",\"at\":\"2001-06-01T05:00:00Z\"}]}",
     "{\"instances\":[{\"from\":\"SFO\"}]}", "/predictions/0/probability", false},
    {"/v1/models/late:predict",
     "{\"instances\":[{\"from\":\"SFO\",\"to\":\"JFK\",\"km\":null,\"at\":\"2001-06-01T05:00:00Z\"}]}",
     "{\"instances\":[{\"km\":2,\"from\":\"SFO\"}]}", "/predictions/0/probability", false},
    {"/endpoints/late/invocations",
     "{\"dataframe_records\":[{\"from\":\"SFO\",\"to\":\"JFK\",\"at\":\"2001-06-01T05:00:00Z\"}]}",
     "{\"dataframe_records\":[{\"from\":\"SFO\"}]}", "/predictions/0/probability", false},
    {"/endpoints/late/invocations",
     "{\"dataframe_split\":{\"columns\":[\"from\",\"at\",\"to\"],\"data\":[[\"SFO\",\"2001-06-01T05:00:00Z\",\"JFK\"]]}"
     "}",
     "{\"dataframe_split\":{\"columns\":[\"from\"],\"data\":[[\"SFO\"]]}}", "/predictions/0/probability", false},
    {"/invocations", "to,from,at\nJFK,SFO,2001-06-01T05:00:00Z\n", "from,km\nSFO,3\n", "/predictions/0/probability",
     true},
};

static int post(wr_str *reply, up *u, const way *x, const char *body)
{
    int status = -1;
    OK(wr_http_client_send(u->h, "POST", x->path, x->csv ? "text/csv" : "application/json", wr_str_of(body), err));
    OK(wr_http_client_flush(u->h, err));
    OK(wr_http_client_recv(u->h, &status, reply, err));
    return status;
}

static void test_every_protocol(void **state)
{
    trips *w = *state;
    up u;
    double want = 0, score;
    wr_str reply;
    start(&u, w);
    assert_int_equal(ask_grpc(&want, &u, "JFK"), 0);
    assert_true(want > 0 && want < 1);
    assert_int_equal(ask_grpc(&score, &u, NULL), 3);
    assert_non_null(strstr(wr_buf_cstr(&u.g.text), "'to' is missing"));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        WR_AUTOJSON wr_json j = {0};
        int status = post(&reply, &u, &ways[i], ways[i].with);
        if (status != 200) fail_msg("%s: %d %.*s", ways[i].path, status, WR_STR_FMT(reply));
        OK(wr_json_parse(&j, reply, "answer", err));
        score = yyjson_get_num(yyjson_ptr_get(j.root, ways[i].at));
        assert_memory_equal(&score, &want, sizeof want);
        assert_int_equal(post(&reply, &u, &ways[i], ways[i].without), 400);
        if (!memmem(reply.p, reply.n, "'to'", 4)) fail_msg("%s: %.*s", ways[i].path, WR_STR_FMT(reply));
    }
    stop(&u);
}

/* at and km may be left out, the keys not: in the metadata and in the configuration. */
static void test_what_may_be_left_out(void **state)
{
    trips *w = *state;
    up u;
    wr_str reply;
    static const char *const paths[] = {"/v2/models/late", "/v2/models/late/config"}, *const lists[] = {"inputs",
                                                                                                        "input"};
    start(&u, w);
    for (int i = 0; i < 2; i++) {
        WR_AUTOJSON wr_json j = {0};
        size_t k, n;
        yyjson_val *in;
        assert_int_equal(call(u.h, "GET", paths[i], "", &reply), 200);
        OK(wr_json_parse(&j, reply, "answer", err));
        yyjson_val *list = yyjson_obj_get(j.root, lists[i]);
        assert_int_equal(yyjson_arr_size(list), 4);
        yyjson_arr_foreach(list, k, n, in)
        {
            const char *name = yyjson_get_str(yyjson_obj_get(in, "name"));
            bool optional = strcmp(name, "at") == 0 || strcmp(name, "km") == 0;
            assert_int_equal(yyjson_get_bool(yyjson_obj_get(in, "optional")), optional);
        }
    }
    stop(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_protocol, trips_make, trips_end),
        cmocka_unit_test_setup_teardown(test_what_may_be_left_out, trips_make, trips_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
