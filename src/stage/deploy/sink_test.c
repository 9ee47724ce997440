/* SPDX-License-Identifier: Apache-2.0 */
/* sink_test.c - CloudEvents to a receiver that takes them, refuses them, or is silent. Without libcurl it is skipped.
 */
#include "core/trips_testing.h"

#include <pthread.h>

#include "io/fetch.h"
#include "io/http_server.h"
#include "stage/deploy/keep.h"

static const char simple_onnx[] = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx";

enum { KEPT = 8 };
typedef struct {
    char id[64], type[80], source[80], service[64], space[64], component[64], endpoint[64], time[40], recorded[40],
        version[8], body[2048];
} event;

static struct {
    wr_http_server *server;
    pthread_t thread;
    int port;
    pthread_mutex_t lock;
    event at[KEPT];
    int n, asked, busy; /* busy: how many are answered 503 first */
    atomic_bool silent;
    wr_http_req *held;
} there;

static void keep(char *out, size_t size, wr_str v) { snprintf(out, size, "%.*s", WR_STR_FMT(v)); }

static void receive(wr_http_req *r)
{
    const wr_http_head *h = wr_http_req_head(r);
    if (atomic_load(&there.silent)) {
        wr_http_defer(r);
        pthread_mutex_lock(&there.lock);
        there.held = r;
        pthread_mutex_unlock(&there.lock);
        return;
    }
    pthread_mutex_lock(&there.lock);
    bool busy = there.asked++ < there.busy;
    if (!busy && there.n < KEPT) {
        event *e = &there.at[there.n++];
        keep(e->id, sizeof e->id, wr_http_get(h, "ce-id"));
        keep(e->type, sizeof e->type, wr_http_get(h, "ce-type"));
        keep(e->source, sizeof e->source, wr_http_get(h, "ce-source"));
        keep(e->service, sizeof e->service, wr_http_get(h, "ce-inferenceservicename"));
        keep(e->space, sizeof e->space, wr_http_get(h, "ce-namespace"));
        keep(e->component, sizeof e->component, wr_http_get(h, "ce-component"));
        keep(e->endpoint, sizeof e->endpoint, wr_http_get(h, "ce-endpoint"));
        keep(e->time, sizeof e->time, wr_http_get(h, "ce-time"));
        keep(e->recorded, sizeof e->recorded, wr_http_get(h, "ce-recordedtime"));
        keep(e->version, sizeof e->version, wr_http_get(h, "ce-specversion"));
        keep(e->body, sizeof e->body, wr_http_req_body(r));
    }
    pthread_mutex_unlock(&there.lock);
    wr_http_reply(r, &(wr_http_reply_opt){.status = busy ? 503 : 200}, WR_STR(""));
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx, (void)r;
    *out = (wr_http_route){.handle = receive, .body_max = 1 << 20};
}

static void *run(void *arg)
{
    wr_http_server_run(arg, NULL);
    return NULL;
}

static void open_receiver(int busy, bool silent)
{
    wr_http_server_opt opt = {.route = route};
    memset(&there, 0, sizeof there);
    pthread_mutex_init(&there.lock, NULL);
    there.busy = busy;
    atomic_store(&there.silent, silent);
    OK(wr_http_server_open(&there.server, &opt, err));
    there.port = wr_http_server_port(there.server);
    assert_int_equal(pthread_create(&there.thread, NULL, run, there.server), 0);
}

static void close_receiver(void)
{
    pthread_mutex_lock(&there.lock);
    if (there.held) wr_http_finish(there.held, &(wr_http_reply_opt){.status = 200}, WR_STR(""));
    pthread_mutex_unlock(&there.lock);
    wr_http_server_stop(there.server, 0);
    pthread_join(there.thread, NULL);
    wr_http_server_close(there.server);
}

static int received(void)
{
    pthread_mutex_lock(&there.lock);
    int n = there.n;
    pthread_mutex_unlock(&there.lock);
    return n;
}

static wr_serve *start(trips *w, const char *yaml)
{
    wr_serve *s = NULL;
    OK(wr_file_copy(simple_onnx, trips_path(w, "a.onnx"), err));
    trips_write(w, "weir.yaml", yaml);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_serve_open(&s, w->project, NULL, err));
    return s;
}

static void answer(wr_arena *a, wr_serve *s, const char *id)
{
    wr_served *package;
    wr_instance *m = NULL;
    wr_infer_answer ans;
    wr_kept kept;
    int32_t x[16], y[16];
    for (int i = 0; i < 16; i++) x[i] = i, y[i] = 1;
    wr_tensor in[2] = {
        {.name = WR_STR("INPUT0"), .type = WR_TENSOR_INT32, .ndims = 2, .shape = {1, 16}, .count = 16, .data = x},
        {.name = WR_STR("INPUT1"), .type = WR_TENSOR_INT32, .ndims = 2, .shape = {1, 16}, .count = 16, .data = y}};
    wr_infer_request q = {.in = in, .nin = 2, .start_ns = wr_clock_mono_ns()};
    wr_keep_opt opt = {.id = wr_str_of(id), .propensity = NAN};
    OK(wr_serve_find(&package, &m, s, WR_STR("sums"), (wr_str){NULL, 0}, err));
    OK(wr_infer(&ans, m, &q, a, err));
    wr_serve_keep(&kept, s, m, &q, &ans, &opt, a);
    assert_int_equal(kept.nids, 1);
    wr_instance_give(m);
}

static void look(void *ctx, const wr_sink_status *st) { *(wr_sink_status *)ctx = *st; }

static wr_sink_status status(wr_serve *s)
{
    wr_sink_status st = {0};
    wr_serve_sinks(s, look, &st);
    return st;
}

static void without_libcurl_skip(void)
{
    wr_fetch *f;
    wr_err err;
    if (wr_fetch_open(&f, &err) < 0) skip();
    wr_fetch_close(f);
}

static void test_as_kserve_tells_them(void **state)
{
    trips *w = *state;
    without_libcurl_skip();
    open_receiver(2, false); /* busy at first: told again */
    wr_serve *s = start(
        w, wr_arena_printf(
               w->a, "endpoints:\n  sums: {path: a.onnx, sinks: [{url: \"http://127.0.0.1:%d/\", namespace: shop}]}\n",
               there.port));
    answer(w->a, s, "one\r\nX-Evil: 1");
    for (int i = 0; i < 500 && received() < 2; i++) usleep(10000);
    assert_int_equal(received(), 2);
    const event *q = &there.at[0], *a = &there.at[1];
    assert_string_equal(q->id, "one%0D%0AX-Evil:%201"); /* no header of the client's making */
    assert_string_equal(a->id, q->id);
    assert_string_equal(q->type, "org.kubeflow.serving.inference.request");
    assert_string_equal(a->type, "org.kubeflow.serving.inference.response");
    assert_string_equal(q->version, "1.0");
    assert_string_equal(q->source, "/v2/models/sums");
    assert_string_equal(q->service, "sums");
    assert_string_equal(q->space, "shop");
    assert_string_equal(q->component, "predictor");
    assert_string_equal(q->endpoint, "default");
    assert_true(strlen(q->time) >= 20 && strlen(q->recorded) >= 20);
    assert_non_null(strstr(
        q->body, "\"inputs\":[{\"name\":\"INPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[0,1,2,3,4"));
    assert_non_null(strstr(a->body, "\"model_name\":\"sums\""));
    assert_non_null(strstr(
        a->body, "\"outputs\":[{\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[1,2,3,4"));
    assert_int_equal(status(s).dropped, 0);
    wr_serve_close(s);
    close_receiver();
}

/* Nobody takes them: whoever asks is answered at once, the queue fills, and stopping does not wait for it. */
static void test_a_silent_sink_holds_nobody_up(void **state)
{
    trips *w = *state;
    enum { N = 20000 };
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    without_libcurl_skip();
    open_receiver(0, true);
    wr_serve *s = start(
        w, wr_arena_printf(
               w->a, "endpoints:\n  sums: {path: a.onnx, sinks: [{url: \"http://127.0.0.1:%d/\", mode: response}]}\n",
               there.port));
    int64_t from = wr_clock_mono_ns();
    for (int i = 0; i < N; i++) {
        answer(a, s, "x");
        wr_arena_clear(a);
    }
    assert_true(wr_clock_mono_ns() - from < (int64_t)8 * 1000000000);
    wr_sink_status st = status(s);
    assert_true(st.dropped > 100 && st.waiting > 0 && st.sent == 0);
    close_receiver();
    from = wr_clock_mono_ns();
    wr_serve_close(s);
    assert_true(wr_clock_mono_ns() - from < (int64_t)8 * 1000000000);
}

static void test_samples_and_refusals(void **state)
{
    trips *w = *state;
    wr_endpoint *list;
    size_t n;
    wr_err why = {0};
    static const char *const wrong[] = {"{url: \"ftp://x\"}", "{url: \"http://x\", mode: some}",
                                        "{url: \"http://x\", sample: 2}", "{mode: all}", "x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        trips_write(w, "weir.yaml",
                    wr_arena_printf(w->a, "endpoints:\n  sums: {path: a.onnx, sinks: [%s]}\n", wrong[i]));
        wr_project_close(w->project);
        OK(wr_project_open(&w->project, w->dir, err));
        assert_true(wr_endpoint_list(&list, &n, w->a, w->project, &why) < 0);
    }
    without_libcurl_skip();
    open_receiver(0, false);
    wr_serve *s = start(
        w,
        wr_arena_printf(
            w->a,
            "endpoints:\n  sums: {path: a.onnx, sinks: [{url: \"http://127.0.0.1:%d/\", mode: request, sample: 1}]}\n",
            there.port));
    for (int i = 0; i < 4; i++) answer(w->a, s, "x");
    for (int i = 0; i < 500 && received() < 4; i++) usleep(10000);
    wr_serve_close(s);
    assert_int_equal(received(), 4);
    close_receiver();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_kserve_tells_them),
        cmocka_unit_test(test_samples_and_refusals),
        cmocka_unit_test(test_a_silent_sink_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
