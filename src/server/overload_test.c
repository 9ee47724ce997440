/* SPDX-License-Identifier: Apache-2.0 */
/* overload_test.c - more predictions than the server takes on: the rest is refused at once, what was taken on is
 * answered right, and no more wait than may. By counts: the model stands still behind a gate, so an answer that comes
 * while it is shut waited for nobody. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "codec/protobuf.h"
#include "io/http_grpc.h"
#include "server/grpc_testing.h"
#include "server/models_testing.h"
#include "server/server_inside.h"

enum { PATIENCE_S = 60, LARGE = 20000 /* more than WR_INFER_ON_LOOP_MAX bytes either way */, SMALL = 16 };

/* ---- a model behind a gate: Y = 2 X ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool open;
    int inside, runs, late;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static struct timespec patience(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += PATIENCE_S;
    return t;
}

static int gated_run(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a,
                     wr_err *err)
{
    struct timespec until = patience();
    int rc = 0;
    (void)p, (void)want;
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    pthread_cond_broadcast(&gate.moved);
    while (!gate.open && rc == 0) rc = pthread_cond_timedwait(&gate.moved, &gate.lock, &until);
    gate.inside--;
    gate.runs++;
    gate.late += rc != 0;
    pthread_mutex_unlock(&gate.lock);
    out[0].ndims = 1;
    out[0].shape[0] = in[0].shape[0];
    out[0].count = in[0].count;
    WR_TRY(wr_tensor_alloc(&out[0], a, err));
    for (size_t i = 0; i < in[0].count; i++) ((float *)out[0].data)[i] = 2 * ((const float *)in[0].data)[i];
    return 0;
}

static void gated_free(wr_predictor *p) { (void)p; }

static void put_gated(const char *config)
{
    static const wr_predictor_ops ops = {.run = gated_run, .free = gated_free};
    static const wr_tensor_spec in = {.name = "X", .type = WR_TENSOR_FP32, .ndims = 1, .shape = {-1}},
                                out = {.name = "Y", .type = WR_TENSOR_FP32, .ndims = 1, .shape = {-1}};
    static wr_predictor p = {.ops = &ops, .platform = "gate", .in = &in, .nin = 1, .out = &out, .nout = 1};
    OK(wr_repository_put(wr_serve_repository(server->serve), "slow", "1", &p,
                         config ? wr_str_of(config) : (wr_str){NULL, 0}, err));
}

static void shut(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = false;
    gate.runs = gate.late = 0;
    pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_inside(int n)
{
    struct timespec until = patience();
    pthread_mutex_lock(&gate.lock);
    while (gate.inside < n)
        if (pthread_cond_timedwait(&gate.moved, &gate.lock, &until)) fail_msg("%d are in the model", gate.inside);
    pthread_mutex_unlock(&gate.lock);
}

/* ---- clients ---- */

/* X = first, first + 1, ... */
static void put_rest(wr_buf *b, int first, int n, bool last)
{
    WR_AUTOBUF wr_buf body = {0};
    wr_buf_printf(&body, "{\"inputs\":[{\"name\":\"X\",\"shape\":[%d],\"datatype\":\"FP32\",\"data\":[", n);
    for (int i = 0; i < n; i++) wr_buf_printf(&body, "%s%d", i ? "," : "", first + i);
    wr_buf_str(&body, "]}]}");
    wr_buf_printf(b, "POST /v2/models/slow/infer HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n",
                  last ? "Connection: close\r\n" : "", body.n);
    wr_buf_slice(b, wr_buf_view(&body));
}

static void put_grpc(wr_buf *b, int first, int n)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < n; i++) x[i] = (float)(first + i);
    wr_pbw_str(b, 1, WR_STR("slow"));
    size_t at = wr_pbw_open(b, 5);
    wr_pbw_str(b, 1, WR_STR("X"));
    wr_pbw_str(b, 2, WR_STR("FP32"));
    wr_pbw_i64(b, 3, n);
    wr_pbw_close(b, at);
    wr_pbw_str(b, 7, (wr_str){(char *)x, (size_t)n * sizeof *x});
    free(x);
}

/* A connection that does not wait for ever. */
static int dial_patient(void)
{
    struct timeval tv = {.tv_sec = PATIENCE_S};
    int fd = dial();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    return fd;
}

static void say(int fd, wr_str s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        assert_true(n > 0);
        s = wr_str_sub(s, (size_t)n, s.n);
    }
}

/* Until the peer's kernel has all of it. */
static void delivered(int fd)
{
    int left = 1;
    for (int ms = 0; left && ms < PATIENCE_S * 1000; ms++) {
        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
        if (left) usleep(1000);
    }
    assert_int_equal(left, 0);
}

typedef enum { FINE, BUSY, OTHER } outcome;
typedef struct {
    int fine, busy, other, wrong, silent; /* silent: refused without a word when to come back */
} counts;

/* All that comes until the peer closes, judged. */
static outcome hear(int fd, int first, int n, counts *c)
{
    WR_AUTOBUF wr_buf in = {0};
    for (ssize_t got = 1; got > 0; in.n += got > 0 ? (size_t)got : 0) {
        assert_true(wr_buf_reserve(&in, 64 << 10));
        got = recv(fd, in.p + in.n, 64 << 10, 0);
    }
    close(fd);
    const char *text = wr_buf_cstr(&in), *data = strstr(text, "\"data\":[");
    long status = in.n > 12 ? strtol(text + 9, NULL, 10) : 0;
    if (status == 503) {
        c->silent += !strstr(text, "Retry-After: 1\r\n");
        return BUSY;
    }
    if (status != 200) return OTHER;
    char *p = data ? (char *)(uintptr_t)data + 7 : NULL;
    for (int i = 0; p && i < n; i++) /* "[" or "," before each */
        if (strtod(p + 1, &p) != 2.0 * (first + i)) p = NULL;
    c->wrong += !p || *p != ']';
    return FINE;
}

static outcome judge_grpc(grpc_client *c, int first, int n, counts *sum)
{
    wr_pb r;
    wr_pb_field f;
    wr_str raw = {NULL, 0};
    if (c->status == WR_GRPC_UNAVAILABLE) return BUSY;
    if (c->status != WR_GRPC_OK) return OTHER;
    wr_pb_init(&r, wr_buf_view(&c->reply));
    while (wr_pb_next(&r, &f))
        if (f.number == 6) raw = f.bytes;
    bool right = raw.n == (size_t)n * sizeof(float);
    for (int i = 0; right && i < n; i++) {
        float y;
        memcpy(&y, raw.p + (size_t)i * sizeof y, sizeof y);
        right = y == 2 * (float)(first + i);
    }
    sum->wrong += !right;
    return FINE;
}

static void add(counts *c, outcome o)
{
    c->fine += o == FINE;
    c->busy += o == BUSY;
    c->other += o == OTHER;
}

/* ---- what the metrics say ---- */

static double metric(const char *name)
{
    WR_AUTOBUF wr_buf b = {0};
    int fd = dial_patient();
    say(fd, WR_STR("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    for (ssize_t got = 1; got > 0; b.n += got > 0 ? (size_t)got : 0) {
        assert_true(wr_buf_reserve(&b, 64 << 10));
        got = recv(fd, b.p + b.n, 64 << 10, 0);
    }
    close(fd);
    const char *at = strstr(wr_buf_cstr(&b), name);
    if (!at) fail_msg("no %s in the metrics", name);
    return strtod(at + strlen(name), NULL);
}

#define REJECTED "\nnv_inference_request_failure{model=\"slow\",version=\"1\",reason=\"REJECTED\"} "
#define SUCCESS  "\nnv_inference_request_success{model=\"slow\",version=\"1\"} "
#define REFUSED  "\nweir_refused_total{reason=\"queue\"} "
#define WAITING  "\nweir_infer_waiting "

static int setup(void **state)
{
    (void)state;
    return setup_from(WEIR_SOURCE_DIR);
}

static void begin(int nloops, const char *serving, const char *config)
{
    WR_AUTOBUF wr_buf text = {0};
    char path[400];
    snprintf(path, sizeof path, "%s/weir.yaml", dir);
    OK(wr_file_read(&text, path, 1 << 20, err));
    wr_buf_str(&text, serving);
    OK(wr_file_write(path, wr_buf_view(&text), err));
    loops = nloops;
    start(false);
    open_gate(); /* a model is warmed up as it comes */
    put_gated(config);
    shut();
}

/* ---- large ones: on threads of their own ---- */

typedef struct {
    int number;
    bool grpc;
    pthread_t thread;
    outcome got;
    counts sum;
} asker;

static atomic_int answered; /* askers that have an answer */

static void *ask_large(void *arg)
{
    asker *k = arg;
    WR_AUTOBUF wr_buf b = {0};
    if (k->grpc) {
        grpc_client c;
        grpc_client_open(&c, port);
        put_grpc(&b, k->number, LARGE);
        grpc_client_call(&c, WR_STR("/inference.GRPCInferenceService/ModelInfer"), wr_buf_view(&b), NULL, NULL);
        k->got = judge_grpc(&c, k->number, LARGE, &k->sum);
        grpc_client_close(&c);
    } else {
        int fd = dial_patient();
        put_rest(&b, k->number, LARGE, true);
        say(fd, wr_buf_view(&b));
        k->got = hear(fd, k->number, LARGE, &k->sum);
    }
    atomic_fetch_add(&answered, 1);
    return NULL;
}

/* 40 large ones at a standing model, 8 may wait: 32 are refused while nothing moves. */
static void check_large(bool grpc)
{
    enum { N = 40, MOST = 8 };
    asker all[N] = {0};
    counts sum = {0};
    begin(2, "serving: {queue: 8}\n", NULL);
    atomic_store(&answered, 0);
    for (int i = 0; i < N; i++) {
        all[i].number = i;
        all[i].grpc = grpc;
        assert_int_equal(pthread_create(&all[i].thread, NULL, ask_large, &all[i]), 0);
    }
    for (int ms = 0; atomic_load(&answered) < N - MOST && ms < PATIENCE_S * 1000; ms++) usleep(1000);
    assert_int_equal(atomic_load(&answered), N - MOST);
    assert_true(metric(REJECTED) == N - MOST); /* asked while the model stands: others are served meanwhile */
    assert_true(metric(REFUSED) == N - MOST);
    assert_true(metric(WAITING) == MOST);
    assert_true(metric(SUCCESS) == 0);
    open_gate();
    for (int i = 0; i < N; i++) {
        pthread_join(all[i].thread, NULL);
        add(&sum, all[i].got);
        sum.wrong += all[i].sum.wrong;
        sum.silent += all[i].sum.silent;
    }
    assert_int_equal(sum.fine, MOST);
    assert_int_equal(sum.busy, N - MOST);
    assert_int_equal(sum.wrong + sum.silent + gate.late, 0);
    assert_int_equal(gate.runs, MOST); /* nothing of what was refused was done */
    assert_true(metric(SUCCESS) == MOST);
    assert_true(metric(WAITING) == 0);
    asker after = {.number = 7, .grpc = grpc};
    ask_large(&after); /* there is room again */
    assert_int_equal(after.got, FINE);
    assert_int_equal(after.sum.wrong, 0);
    stop();
}

static void test_large_rest(void **state)
{
    (void)state;
    check_large(false);
}

static void test_large_grpc(void **state)
{
    (void)state;
    check_large(true);
}

/* ---- small ones: on the loop ---- */

/* The loop stands in a first one while 39 more arrive: when it moves on, it takes 8 of them and refuses the others. */
static void test_small_rest(void **state)
{
    enum { N = 39, MOST = 8 };
    WR_AUTOBUF wr_buf b = {0};
    counts sum = {0};
    int first, fd[N];
    (void)state;
    begin(1, "serving: {queue: 8}\n", NULL);
    first = dial_patient();
    for (int i = 0; i < N; i++) { /* accepted before the loop stands */
        char piece[4096];
        fd[i] = dial_patient();
        say(fd[i], WR_STR("GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_true(recv(fd[i], piece, sizeof piece, 0) > 0);
    }
    put_rest(&b, 100, SMALL, true);
    say(first, wr_buf_view(&b));
    wait_inside(1);
    for (int i = 0; i < N; i++) {
        wr_buf_clear(&b);
        put_rest(&b, i, SMALL, true);
        say(fd[i], wr_buf_view(&b));
    }
    for (int i = 0; i < N; i++) delivered(fd[i]);
    open_gate();
    assert_int_equal(hear(first, 100, SMALL, &sum), FINE);
    for (int i = 0; i < N; i++) add(&sum, hear(fd[i], i, SMALL, &sum));
    assert_int_equal(sum.fine, MOST);
    assert_int_equal(sum.busy, N - MOST);
    assert_int_equal(sum.wrong + sum.silent + gate.late, 0);
    assert_int_equal(gate.runs, 1 + MOST);
    assert_true(metric(REJECTED) == N - MOST);
    assert_true(metric(REFUSED) == N - MOST);
    stop();
}

static void test_small_grpc(void **state)
{
    enum { N = 39, MOST = 8 };
    static const wr_str infer = {"/inference.GRPCInferenceService/ModelInfer", 42};
    static const wr_str live = {"/inference.GRPCInferenceService/ServerLive", 42};
    WR_AUTOBUF wr_buf b = {0};
    counts sum = {0};
    grpc_client first, all[N];
    (void)state;
    begin(1, "serving: {queue: 8}\n", NULL);
    grpc_client_open(&first, port);
    for (int i = 0; i < N; i++) {
        grpc_client_open(&all[i], port);
        for (int k = 0; k < 2; k++) /* the second one takes what HTTP/2 has to say of its own along */
            assert_int_equal(grpc_client_call(&all[i], live, WR_STR(""), NULL, NULL), WR_GRPC_OK);
    }
    put_grpc(&b, 100, SMALL);
    grpc_client_begin(&first, infer, wr_buf_view(&b), NULL, NULL);
    wait_inside(1);
    for (int i = 0; i < N; i++) {
        wr_buf_clear(&b);
        put_grpc(&b, i, SMALL);
        grpc_client_begin(&all[i], infer, wr_buf_view(&b), NULL, NULL);
    }
    for (int i = 0; i < N; i++) delivered(all[i].fd);
    open_gate();
    grpc_client_end(&first);
    assert_int_equal(judge_grpc(&first, 100, SMALL, &sum), FINE);
    grpc_client_close(&first);
    for (int i = 0; i < N; i++) {
        grpc_client_end(&all[i]);
        outcome o = judge_grpc(&all[i], i, SMALL, &sum);
        if (o == BUSY) assert_non_null(strstr(wr_buf_cstr(&all[i].text), wr_infer_queue_full));
        add(&sum, o);
        grpc_client_close(&all[i]);
    }
    assert_int_equal(sum.fine, MOST);
    assert_int_equal(sum.busy, N - MOST);
    assert_int_equal(sum.wrong + gate.late, 0);
    assert_int_equal(gate.runs, 1 + MOST);
    assert_true(metric(REJECTED) == N - MOST);
    stop();
}

/* ---- a cap of the model's own ---- */

/* max_queue_size 1 and one instance: two in it, whoever comes then is told so at once, by both protocols. */
static void test_model_cap(void **state)
{
    static const char config[] = "{\"dynamic_batching\":{\"default_queue_policy\":{\"max_queue_size\":1}}}";
    WR_AUTOBUF wr_buf b = {0};
    asker in[2] = {{.number = 3}, {.number = 4, .grpc = true}};
    counts sum = {0};
    grpc_client c;
    (void)state;
    begin(2, "", config);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&in[i].thread, NULL, ask_large, &in[i]), 0);
        wait_inside(i + 1);
    }
    for (int i = 0; i < 5; i++) {
        int fd = dial_patient();
        wr_buf_clear(&b);
        put_rest(&b, i, SMALL, true);
        say(fd, wr_buf_view(&b));
        assert_int_equal(hear(fd, i, SMALL, &sum), BUSY);
    }
    grpc_client_open(&c, port);
    wr_buf_clear(&b);
    put_grpc(&b, 0, SMALL);
    for (int i = 0; i < 5; i++) {
        int status =
            grpc_client_call(&c, WR_STR("/inference.GRPCInferenceService/ModelInfer"), wr_buf_view(&b), NULL, NULL);
        assert_int_equal(status, WR_GRPC_UNAVAILABLE);
        assert_non_null(strstr(wr_buf_cstr(&c.text), "Exceeds maximum queue size"));
    }
    assert_int_equal(sum.silent, 0);
    assert_true(metric(REJECTED) == 10);
    open_gate();
    for (int i = 0; i < 2; i++) {
        pthread_join(in[i].thread, NULL);
        assert_int_equal(in[i].got, FINE);
        assert_int_equal(in[i].sum.wrong, 0);
    }
    assert_int_equal(
        grpc_client_call(&c, WR_STR("/inference.GRPCInferenceService/ModelInfer"), wr_buf_view(&b), NULL, NULL),
        WR_GRPC_OK);
    grpc_client_close(&c);
    assert_int_equal(gate.runs, 3);
    assert_true(metric(REJECTED) == 10);
    stop();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_large_rest), T(test_large_grpc), T(test_small_rest), T(test_small_grpc),
                                       T(test_model_cap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
