/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks_send_test.c - the sender against a receiver that is slow, rude or away. Without libcurl it is skipped. */
#include "server/webhooks_send.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <time.h>

#include "base/clock.h"
#include "io/fetch.h"
#include "io/http_server.h"
#include "track/registry.h"
#include "track/track_testing.h"

typedef struct {
    wr_http_server *server;
    pthread_t thread;
    atomic_int asked, busy;    /* requests; how many are answered 503 first */
    atomic_bool silent;        /* takes requests and answers none */
    wr_http_req *_Atomic held; /* the silent one */
    char body[1024], signature[80], id[64], stamp[32];
} receiver;

static receiver *there;

static void keep(char *out, size_t size, wr_str v) { snprintf(out, size, "%.*s", WR_STR_FMT(v)); }

static void receive(wr_http_req *r)
{
    const wr_http_head *h = wr_http_req_head(r);
    bool silent = atomic_load(&there->silent);
    keep(there->body, sizeof there->body, wr_http_req_body(r));
    keep(there->signature, sizeof there->signature, wr_http_get(h, "x-mlflow-signature"));
    keep(there->id, sizeof there->id, wr_http_get(h, "x-mlflow-delivery-id"));
    keep(there->stamp, sizeof there->stamp, wr_http_get(h, "x-mlflow-timestamp"));
    int before = atomic_fetch_add(&there->asked, 1);
    if (silent) {
        wr_http_defer(r);
        atomic_store(&there->held, r);
        return;
    }
    wr_http_reply(r, &(wr_http_reply_opt){.status = before < atomic_load(&there->busy) ? 503 : 204}, WR_STR(""));
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx, (void)r;
    *out = (wr_http_route){.handle = receive, .body_max = 1 << 20};
}

static void *serve(void *arg)
{
    wr_http_server_run(arg, NULL);
    return NULL;
}

static void open_receiver(store *s, receiver *r)
{
    wr_http_server_opt opt = {.route = route};
    *r = (receiver){0};
    there = r;
    OK(wr_http_server_open(&r->server, &opt, &s->err));
    assert_int_equal(pthread_create(&r->thread, NULL, serve, r->server), 0);
}

static void close_receiver(receiver *r)
{
    wr_http_req *held = atomic_load(&r->held);
    if (held) wr_http_finish(held, &(wr_http_reply_opt){.status = 200}, WR_STR(""));
    wr_http_server_stop(r->server, 0);
    pthread_join(r->thread, NULL);
    wr_http_server_close(r->server);
}

static void without_libcurl_skip(store *s)
{
    wr_fetch *f;
    if (wr_fetch_open(&f, &s->err) < 0) skip();
    wr_fetch_close(f);
}

static void one_hook(store *s)
{
    wr_webhook w;
    int event;
    char *url = wr_arena_printf(s->a, "http://127.0.0.1:%d/hook", wr_http_server_port(there->server));
    OK(wr_webhook_event_find(&event, WR_STR("registered_model"), WR_STR("created"), &s->err));
    wr_webhook_set set = {
        .name = WR_STR("hook"), .url = wr_str_of(url), .secret = WR_STR("key"), .events = &event, .nevents = 1};
    wr_webhook_allow(s->t, WR_WEBHOOK_HTTP | WR_WEBHOOK_PRIVATE);
    OK(wr_webhook_create(&w, s->a, s->t, &set, &s->err));
}

static void one_model(store *s)
{
    static int n;
    wr_registered_model m;
    OK(wr_registered_model_create(&m, s->a, s->t, wr_str_of(wr_arena_printf(s->a, "m%d", n++)), WR_STR(""), NULL, 0,
                                  &s->err));
}

static int64_t waiting(store *s)
{
    wr_stmt *q;
    OK(wr_db_prepare(s->db, &q, "SELECT count(*) FROM webhook_outbox", &s->err));
    int64_t n = wr_step(q, NULL) > 0 ? wr_stmt_i64(q, 0) : -1;
    wr_stmt_done(q);
    return n;
}

/* Until it was asked so often, ten seconds at most. */
static void await_asked(receiver *r, int n)
{
    for (int i = 0; i < 1000 && atomic_load(&r->asked) < n; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(atomic_load(&r->asked), n);
}

static void await_empty(store *s)
{
    for (int i = 0; i < 1000 && waiting(s); i++) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(waiting(s), 0);
}

static void delivers(void **state)
{
    store *s = *state;
    receiver r;
    wr_sender *sender;
    WR_AUTOBUF wr_buf signature = {0};
    without_libcurl_skip(s);
    open_receiver(s, &r);
    atomic_store(&r.busy, 1);
    store_write(s, one_hook);
    OK(wr_sender_start(&sender, s->t, &s->err));
    store_write(s, one_model);
    await_asked(&r, 2); /* 503, and again a second later */
    await_empty(s);
    wr_webhook_sign(&signature, WR_STR("key"), wr_str_of(r.id), wr_str_of(r.stamp), wr_str_of(r.body));
    assert_string_equal(r.signature, wr_buf_cstr(&signature));
    assert_non_null(strstr(r.body, "\"entity\":\"registered_model\",\"action\":\"created\""));
    wr_sender_stop(sender);
    close_receiver(&r);
}

/* A receiver that says nothing holds up nobody who wants to stop, and the message is not lost. */
static void stops(void **state)
{
    store *s = *state;
    receiver r;
    wr_sender *sender;
    without_libcurl_skip(s);
    open_receiver(s, &r);
    atomic_store(&r.silent, true);
    store_write(s, one_hook);
    store_write(s, one_model);
    OK(wr_sender_start(&sender, s->t, &s->err));
    await_asked(&r, 1);
    int64_t before = wr_clock_mono_ns();
    wr_sender_stop(sender);
    assert_true(wr_clock_mono_ns() - before < 5000000000);
    assert_int_equal(waiting(s), 1);
    atomic_store(&r.silent, false);
    store_sql(s, "UPDATE webhook_outbox SET next_ms = 0");
    OK(wr_sender_start(&sender, s->t, &s->err));
    await_asked(&r, 2);
    await_empty(s);
    wr_sender_stop(sender);
    close_receiver(&r);
}

/* A process that is killed while it sends: what it had written is sent by the next one, with the same id. */
static void killed(void **state)
{
    store *s = *state;
    receiver r;
    wr_sender *sender;
    char id[64];
    without_libcurl_skip(s);
    open_receiver(s, &r);
    atomic_store(&r.silent, true);
    store_write(s, one_hook);
    store_close(s);
    pid_t pid = fork();
    if (pid == 0) {
        store_open(s);
        wr_webhook_allow(s->t, WR_WEBHOOK_HTTP | WR_WEBHOOK_PRIVATE);
        store_write(s, one_model);
        OK(wr_sender_start(&sender, s->t, &s->err));
        for (;;) pause();
    }
    await_asked(&r, 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    snprintf(id, sizeof id, "%s", r.id);
    atomic_store(&r.silent, false);
    store_open(s);
    wr_webhook_allow(s->t, WR_WEBHOOK_HTTP | WR_WEBHOOK_PRIVATE);
    assert_int_equal(waiting(s), 1);
    store_sql(s, "UPDATE webhook_outbox SET next_ms = 0"); /* the lease of the dead */
    OK(wr_sender_start(&sender, s->t, &s->err));
    await_asked(&r, 2);
    await_empty(s);
    assert_string_equal(r.id, id);
    wr_sender_stop(sender);
    close_receiver(&r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(delivers), T(stops), T(killed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
