/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_test.c - the server over real sockets: what it refuses and with which status, deadlines, limits, order of
 * answers, rounds, streams, stopping. Each test starts a server of its own on a free port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "io/http_server.h"

#define HOST "Host: a\r\n"

/* ---- a server under test ---- */

typedef struct {
    wr_http_server *server;
    pthread_t thread;
    int port, rc;
    atomic_int round_rc, rounds, ticks, aborted, streamed;
    _Atomic(wr_http_stream *) stream;
    pthread_mutex_t lock; /* guards deferred */
    wr_http_req *deferred[128];
    int ndeferred;
    wr_http_req *held[64]; /* the loop's */
    int nheld;
    atomic_int settled, wait_for;
    atomic_long wait_ns;
    int64_t until;
} fixture;

static fixture *fx(const wr_http_req *r) { return wr_http_req_ctx(r); }
static const wr_http_reply_opt TEXT = {.type = "text/plain"};

static void hello(wr_http_req *r) { wr_http_reply(r, &TEXT, WR_STR("hello\n")); }
static void echo(wr_http_req *r) { wr_http_reply(r, &TEXT, wr_http_req_body(r)); }
static void silent(wr_http_req *r) { (void)r; }
static void durable(wr_http_req *r)
{
    const char *own = wr_http_req_head(r)->query.n ? "{\"sorry\":1}" : NULL;
    wr_http_reply(r, &(wr_http_reply_opt){.durable = true, .unkept = own}, WR_STR("stored"));
}
static void slowly(wr_http_req *r)
{
    usleep(1000);
    hello(r);
}
static void empty(wr_http_req *r) { wr_http_reply(r, &(wr_http_reply_opt){.status = 204}, (wr_str){0}); }
static void closing(wr_http_req *r) { wr_http_reply(r, &(wr_http_reply_opt){.close = true}, WR_STR("bye")); }

static void big(wr_http_req *r)
{
    char *p = wr_arena_alloc(wr_http_req_arena(r), 1 << 20);
    assert_non_null(p);
    memset(p, 'b', 1 << 20);
    wr_http_reply(r, &TEXT, (wr_str){p, 1 << 20});
}

static void failing(wr_http_req *r)
{
    wr_err e = {0};
    wr_err_set(&e, WEIR_ENOTFOUND, "run '%s' does not exist", "x\"y");
    wr_err_hint(&e, WEIR_ENOTFOUND, "list them");
    wr_http_reply_err(r, &e);
}

static void later(wr_http_req *r)
{
    fixture *f = fx(r);
    wr_http_defer(r);
    pthread_mutex_lock(&f->lock);
    f->deferred[f->ndeferred++] = r;
    pthread_mutex_unlock(&f->lock);
}

static void hold(wr_http_req *r)
{
    fixture *f = fx(r);
    assert_true(f->nheld < 64);
    wr_http_hold(r);
    f->held[f->nheld++] = r;
}

/* In reverse, which nobody may notice: what was asked and "of" how many. */
static int64_t settle(void *ctx, int loop, bool all)
{
    fixture *f = ctx;
    (void)loop;
    int n = f->nheld;
    if (!all && atomic_load(&f->wait_for) > n) return wr_clock_mono_ns() + 20000000;
    if (!all && f->nheld && atomic_load(&f->wait_ns) && !f->until)
        f->until = wr_clock_mono_ns() + atomic_load(&f->wait_ns);
    if (!all && f->until && wr_clock_mono_ns() < f->until) return f->until;
    f->until = 0;
    while (f->nheld) {
        wr_http_req *r = f->held[--f->nheld];
        char text[2000];
        int size = snprintf(text, sizeof text, "%.*s of %d\n", WR_STR_FMT(wr_str_fit(wr_http_req_body(r), 1500)), n);
        wr_http_reply(r, &(wr_http_reply_opt){.type = "text/plain", .durable = wr_http_req_head(r)->query.n > 0},
                      (wr_str){text, (size_t)size});
    }
    atomic_fetch_add(&f->settled, 1);
    return INT64_MAX;
}

static void events(wr_http_req *r)
{
    wr_http_stream *s = wr_http_stream_open(r, &(wr_http_reply_opt){.type = "text/event-stream"});
    assert_non_null(s);
    int want = wr_str_is(wr_http_req_head(r)->method, "HEAD") ? WEIR_ECANCELED : 0;
    assert_int_equal(wr_http_sse(s, 1, "first", WR_STR("a\nb")), want);
    atomic_store(&fx(r)->stream, s);
}

static int count_body(wr_http_req *r, wr_str piece)
{
    if (piece.n && memchr(piece.p, '!', piece.n)) return -409;
    atomic_fetch_add(&fx(r)->streamed, (int)piece.n);
    return 0;
}
static void count_abort(wr_http_req *r) { atomic_fetch_add(&fx(r)->aborted, 1); }

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    static const struct {
        const char *path;
        wr_http_route route;
    } routes[] = {
        {"/hello", {.handle = hello}},
        {"/echo", {.handle = echo, .body_max = 100000}},
        {"/upload", {.handle = hello, .body = count_body, .abort = count_abort}},
        {"/later", {.handle = later, .body_max = 1000}},
        {"/hold", {.handle = hold, .body_max = 100000}},
        {"/events", {.handle = events}},
        {"/durable", {.handle = durable, .body_max = 1000}},
        {"/silent", {.handle = silent}},
        {"/failing", {.handle = failing}},
        {"/empty", {.handle = empty}},
        {"/slowly", {.handle = slowly}},
        {"/closing", {.handle = closing}},
        {"/big", {.handle = big}},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (wr_str_is(wr_http_req_head(r)->path, routes[i].path)) *out = routes[i].route;
    }
}

static int round_end(void *ctx, int loop)
{
    fixture *f = ctx;
    assert_true(loop >= 0);
    atomic_fetch_add(&f->rounds, 1);
    return atomic_load(&f->round_rc);
}

static void on_tick(void *ctx) { atomic_fetch_add(&((fixture *)ctx)->ticks, 1); }

static void *serve(void *arg)
{
    fixture *f = arg;
    f->rc = wr_http_server_run(f->server, NULL);
    return NULL;
}

static void start(fixture *f, wr_http_server_opt opt)
{
    wr_err err = {0};
    *f = (fixture){0};
    pthread_mutex_init(&f->lock, NULL);
    opt.route = route;
    opt.settle = settle;
    opt.round_end = round_end;
    opt.tick = on_tick;
    opt.ctx = f;
    if (wr_http_server_open(&f->server, &opt, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    f->port = wr_http_server_port(f->server);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void stop(fixture *f, int drain_ms)
{
    wr_http_server_stop(f->server, drain_ms);
    pthread_join(f->thread, NULL);
    assert_int_equal(f->rc, 0);
    wr_http_server_close(f->server);
    pthread_mutex_destroy(&f->lock);
}

/* ---- a client that says exactly what it is told ---- */

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static void say_n(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k < 0) return; /* the server may have hung up; what it said first is what counts */
        p += k;
        n -= (size_t)k;
    }
}
static void say(int fd, const char *text) { say_n(fd, text, strlen(text)); }

static bool readable(int fd, int ms) { return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ms) == 1; }

static double now_ms(void) { return (double)wr_clock_mono_ns() / 1e6; }

typedef struct {
    int fd;
    bool reset; /* it did not end cleanly: the answer might have been lost */
    wr_buf in;
    size_t off;
    wr_http_head head;
    wr_buf body;
} ear;

static void ear_open(ear *e, int fd)
{
    *e = (ear){.fd = fd};
    wr_buf_init(&e->in, 0);
    wr_buf_init(&e->body, 0);
}

static void ear_close(ear *e)
{
    close(e->fd);
    wr_buf_fini(&e->in);
    wr_buf_fini(&e->body);
}

/* Reads on; false at the end of the connection. */
static bool hear(ear *e)
{
    if (!readable(e->fd, 4000)) fail_msg("no answer within 4 s");
    assert_true(wr_buf_reserve(&e->in, 65536));
    ssize_t n = recv(e->fd, e->in.p + e->in.n, 65536, 0);
    if (n > 0) e->in.n += (size_t)n;
    if (n < 0) e->reset = true;
    return n > 0;
}

static bool is_over(ear *e) { return e->off == e->in.n && !hear(e); }

/* Reads the head at `at`, whose slices have moved with the buffer. */
static int reread(ear *e, size_t at)
{
    size_t scanned = 0;
    assert_int_equal(wr_http_parse_response(&e->head, wr_str_sub(wr_buf_view(&e->in), at, e->in.n), &scanned), 1);
    return e->head.status;
}

/* The next response's status, 0 when the connection ended instead. `head_only`: it answers HEAD. */
static int answer_to(ear *e, bool head_only)
{
    size_t scanned = 0;
    int rc;
    wr_buf_clear(&e->body);
    while ((rc = wr_http_parse_response(&e->head, wr_str_sub(wr_buf_view(&e->in), e->off, e->in.n), &scanned)) == 0) {
        if (!hear(e)) return 0;
    }
    assert_int_equal(rc, 1);
    size_t at = e->off;
    e->off += e->head.size;
    bool none = head_only || e->head.status == 204 || e->head.status < 200;
    if (e->head.chunked && !none) {
        wr_http_chunks c;
        wr_http_chunks_init(&c);
        for (;;) {
            wr_str in = wr_str_sub(wr_buf_view(&e->in), e->off, e->in.n), piece;
            size_t n = in.n;
            while ((rc = wr_http_chunks_next(&c, &in, &piece)) == 1) wr_buf_slice(&e->body, piece);
            e->off += n - in.n;
            assert_int_equal(rc, 0);
            if (c.done) return reread(e, at);
            if (!hear(e)) return -1;
        }
    }
    size_t want = none ? 0 : (size_t)e->head.length;
    while (e->in.n - e->off < want) assert_true(hear(e));
    wr_buf_slice(&e->body, wr_str_sub(wr_buf_view(&e->in), e->off, e->off + want));
    e->off += want;
    return reread(e, at);
}

static int answer(ear *e) { return answer_to(e, false); }

static void body_is(ear *e, const char *want) { assert_string_equal(wr_buf_cstr(&e->body), want); }

/* Says `text` on a connection of its own: the first status, and that the connection is (not) closed after it. */
static int status_of(fixture *f, const char *text, bool closed)
{
    ear e;
    ear_open(&e, dial(f->port));
    say(e.fd, text);
    int status = answer(&e);
    if (closed) assert_true(is_over(&e) && !e.reset);
    else assert_false(readable(e.fd, 20));
    ear_close(&e);
    return status;
}

/* ---- table of reference/serving-and-scale.md 1.5: one test a row ---- */

#define REFUSES(test, status, text)                                                                                    \
    static void test(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        fixture f;                                                                                                     \
        start(&f, (wr_http_server_opt){0});                                                                            \
        /* whatever follows must not be taken for a request */                                                         \
        assert_int_equal(status_of(&f, text "GET /hello HTTP/1.1\r\n" HOST "\r\n", true), status);                     \
        wr_http_stats st;                                                                                              \
        wr_http_server_stats(f.server, &st);                                                                           \
        assert_int_equal(st.requests, 0);                                                                              \
        stop(&f, 0);                                                                                                   \
    }

#define POST "POST /echo HTTP/1.1\r\n" HOST
REFUSES(refuses_length_and_coding, 400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
REFUSES(refuses_two_lengths, 400, POST "Content-Length: 0\r\nContent-Length: 5\r\n\r\n")
REFUSES(refuses_equal_lengths, 400, POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n")
REFUSES(refuses_length_list, 400, POST "Content-Length: 0, 5\r\n\r\n")
REFUSES(refuses_length_with_plus, 400, POST "Content-Length: +5\r\n\r\nhello")
REFUSES(refuses_missing_host, 400, "GET /hello HTTP/1.1\r\n\r\n")
REFUSES(refuses_two_hosts, 400, "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
REFUSES(refuses_space_before_colon, 400, POST "Content-Length : 5\r\n\r\nhello")
REFUSES(refuses_folding, 400, "GET /hello HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n")
REFUSES(refuses_unknown_coding, 501, POST "Transfer-Encoding: gzip\r\n\r\nhello")
REFUSES(refuses_coding_list, 501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
REFUSES(refuses_bare_lf, 400, "GET /hello HTTP/1.1\nHost: a\n\n")
REFUSES(refuses_control_byte, 400, "GET /hello HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n")
REFUSES(refuses_other_version, 505, "GET / HTTP/1.2\r\n" HOST "\r\n")
REFUSES(refuses_unknown_expectation, 417, POST "Content-Length: 1\r\nExpect: tea\r\n\r\n")

static void refuses_bad_chunks(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    assert_int_equal(status_of(&f, POST "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", true), 400);
    assert_int_equal(status_of(&f, POST "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", true), 400);
    assert_int_equal(status_of(&f, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX", true), 400);
    stop(&f, 0);
}

/* `text`, then n times `fill`, then `end`, on one connection; the status and that it is closed. */
static int big_status(fixture *f, const char *text, char fill, size_t n, const char *end)
{
    wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, text);
    for (size_t i = 0; i < n; i++) wr_buf_char(&b, fill);
    wr_buf_str(&b, end);
    int status = status_of(f, wr_buf_cstr(&b), true);
    wr_buf_fini(&b);
    return status;
}

static void refuses_large_header(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    assert_int_equal(big_status(&f, "GET /hello HTTP/1.1\r\n" HOST "X: ", 'x', 100 << 10, "\r\n\r\n"), 431);
    stop(&f, 0);
}

static void refuses_long_uri(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    assert_int_equal(big_status(&f, "GET /", 'u', WR_LIMIT_HTTP_TARGET + 1024, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    assert_int_equal(big_status(&f, "GET /", 'u', 100 << 10, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    stop(&f, 0);
}

static void refuses_large_body(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    assert_int_equal(status_of(&f, POST "Content-Length: 100001\r\n\r\nabc", true), 413);
    assert_int_equal(big_status(&f, POST "Transfer-Encoding: chunked\r\n\r\n186a1\r\n", 'c', 100001, "\r\n"), 413);
    assert_int_equal(status_of(&f, "GET /none HTTP/1.1\r\n" HOST "Content-Length: 999999999\r\n\r\n", true), 404);
    assert_int_equal(status_of(&f, "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 999999999\r\n\r\n", true), 413);
    stop(&f, 0);
}

/* Says one byte of `text` every 20 ms until the connection is answered or ended; milliseconds until then. */
static double drip(ear *e, const char *text)
{
    double from = now_ms();
    while (!readable(e->fd, 20)) {
        if (*text) say_n(e->fd, text++, 1);
        if (now_ms() - from > 4000) fail_msg("still open after 4 s");
    }
    return now_ms() - from;
}

static void slow_header_is_cut_off(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.head_ms = 200});
    ear e;
    ear_open(&e, dial(f.port));
    double ms = drip(&e, "GET /hello HTTP/1.1\r\n" HOST "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_true(ms > 150 && ms < 1500);
    assert_int_equal(answer(&e), 408);
    assert_true(is_over(&e));
    ear_close(&e);
    stop(&f, 0);
}

static void slow_body_is_cut_off(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.body_grace_ms = 200});
    const char *heads[] = {POST "Content-Length: 1000\r\n\r\n", POST "Transfer-Encoding: chunked\r\n\r\nff\r\n",
                           "PUT /upload HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n"};
    for (size_t i = 0; i < 3; i++) {
        ear e;
        ear_open(&e, dial(f.port));
        say(e.fd, heads[i]);
        double ms = drip(&e, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert_true(ms > 150 && ms < 1500);
        assert_int_equal(answer(&e), 408);
        assert_true(is_over(&e));
        ear_close(&e);
    }
    assert_int_equal(atomic_load(&f.aborted), 1);
    stop(&f, 0);
}

static void idle_is_closed(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.idle_ms = 150});
    ear e, mute;
    ear_open(&mute, dial(f.port));
    ear_open(&e, dial(f.port));
    for (int i = 0; i < 4; i++) { /* use keeps it alive past the timeout */
        usleep(70000);
        say(e.fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(answer(&e), 200);
    }
    double from = now_ms();
    assert_true(is_over(&e));
    double ms = now_ms() - from;
    assert_true(ms > 80 && ms < 1500);
    assert_true(is_over(&mute));
    ear_close(&e);
    ear_close(&mute);
    stop(&f, 0);
}

static void unread_answer_is_cut_off(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.write_ms = 200});
    int fd = dial(f.port);
    for (int i = 0; i < 40; i++) say(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    wr_http_stats st = {0};
    double from = now_ms();
    do {
        usleep(20000);
        wr_http_server_stats(f.server, &st);
    } while (now_ms() - from < 4000 && (st.accepted == 0 || st.connections > 0));
    assert_int_equal(st.connections, 0);
    assert_true(st.requests < 20); /* it did not go on making answers nobody reads */
    close(fd);
    stop(&f, 0);
}

static void *asks_slowly(void *arg)
{
    fixture *f = arg;
    size_t unanswered = 0;
    for (int i = 0; i < 100; i++) {
        char text[200];
        int fd = dial(f->port);
        say(fd, "GET /slowly HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        ssize_t n = recv(fd, text, sizeof text, MSG_WAITALL);
        unanswered += n < 12 || memcmp(text, "HTTP/1.1 200", 12) != 0;
        close(fd);
    }
    return (void *)unanswered;
}

/* An answer that waits for the end of its round is not one that the peer does not read: deadlines were looked at in
 * between, and the first request of a connection had nothing to measure its own by. */
static void first_answers_survive_a_look_at_deadlines(void **state)
{
    (void)state;
    fixture f;
    pthread_t t[4];
    start(&f, (wr_http_server_opt){.write_ms = 20});
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, asks_slowly, &f), 0);
    for (size_t i = 0; i < 4; i++) {
        void *unanswered;
        pthread_join(t[i], &unanswered);
        assert_null(unanswered);
    }
    stop(&f, 0);
}

static void wait_for_connections(fixture *f, uint64_t n)
{
    wr_http_stats st;
    double from = now_ms();
    do {
        usleep(2000);
        wr_http_server_stats(f->server, &st);
    } while (st.connections != n && now_ms() - from < 4000);
    assert_int_equal(st.connections, n);
}

static void limits_connections(wr_http_server_opt opt, int max, int status)
{
    fixture f;
    start(&f, opt);
    ear e[4], extra;
    for (int i = 0; i < max; i++) {
        ear_open(&e[i], dial(f.port));
        say(e[i].fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(answer(&e[i]), 200);
    }
    ear_open(&extra, dial(f.port));
    assert_int_equal(answer(&extra), status);
    assert_true(is_over(&extra));
    ear_close(&extra);
    ear_close(&e[0]);
    wait_for_connections(&f, (uint64_t)max - 1);
    assert_int_equal(status_of(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n", false), 200); /* a place is free again */
    for (int i = 1; i < max; i++) ear_close(&e[i]);
    stop(&f, 0);
}

static void limits_connections_in_all(void **state)
{
    (void)state;
    limits_connections((wr_http_server_opt){.max_connections = 3}, 3, 503);
}

static void limits_connections_of_an_address(void **state)
{
    (void)state;
    limits_connections((wr_http_server_opt){.max_per_ip = 2}, 2, 429);
}

static void restarts_at_once(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    int port = f.port, fds[3];
    for (int i = 0; i < 3; i++) {
        ear e;
        ear_open(&e, dial(port));
        say(e.fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(answer(&e), 200);
        fds[i] = dup(e.fd);
        ear_close(&e);
    }
    stop(&f, 0); /* it closes first: its side of the connections lingers in the kernel */
    for (int loops = 1; loops <= 2; loops++) {
        start(&f, (wr_http_server_opt){.port = port, .loops = loops});
        assert_int_equal(status_of(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n", false), 200);
        stop(&f, 0);
    }
    for (int i = 0; i < 3; i++) close(fds[i]);
}

static void port_in_use(void **state)
{
    (void)state;
    for (int loops = 1; loops <= 2; loops++) {
        fixture f;
        start(&f, (wr_http_server_opt){.loops = loops});
        for (int second = 1; second <= 2; second++) {
            wr_err err = {0};
            wr_http_server *other = NULL;
            wr_http_server_opt opt = {.port = f.port, .loops = second, .route = route};
            assert_int_equal(wr_http_server_open(&other, &opt, &err), WEIR_EEXIST);
            assert_true(err.hint[0] != 0);
        }
        stop(&f, 0);
    }
    wr_err err = {0};
    wr_http_server *s = NULL;
    wr_http_server_opt opt = {.host = "example.org", .route = route};
    assert_int_equal(wr_http_server_open(&s, &opt, &err), WEIR_EINVAL);
    opt = (wr_http_server_opt){.port = 70000, .route = route};
    assert_int_equal(wr_http_server_open(&s, &opt, &err), WEIR_EINVAL);
}

static void survives_running_out_of_descriptors(void **state)
{
    (void)state;
    fixture f;
    wr_log_set_level(WR_LOG_ERROR);
    start(&f, (wr_http_server_opt){0});
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    int fd = socket(AF_INET, SOCK_STREAM, 0), fillers[64], n = 0; /* the client's, made while there are some */
    low = before;
    low.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < 64 && (fillers[n] = dup(0)) >= 0) n++; /* now every number below the limit is taken */
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f.port)};
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    ear e;
    ear_open(&e, fd);
    say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    double cpu = wr_clock_cpu_s();
    bool answered = readable(fd, 250);
    cpu = wr_clock_cpu_s() - cpu;
    setrlimit(RLIMIT_NOFILE, &before);
    while (n) close(fillers[--n]);
    assert_false(answered);
    assert_true(cpu < 0.1); /* it waits instead of spinning */
    assert_int_equal(answer(&e), 200);
    ear_close(&e);
    stop(&f, 0);
    wr_log_set_level(WR_LOG_WARN);
}

/* ---- answering ---- */

static void keeps_alive_and_closes(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    assert_int_equal(status_of(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n", false), 200);
    assert_int_equal(status_of(&f, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", true), 200);
    assert_int_equal(status_of(&f, "GET /hello HTTP/1.0\r\n\r\n", true), 200);
    assert_int_equal(status_of(&f, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false), 200);
    assert_int_equal(status_of(&f, "GET /none HTTP/1.1\r\n" HOST "\r\n", false), 404);
    assert_int_equal(status_of(&f, "GET /closing HTTP/1.1\r\n" HOST "\r\n", true), 200);
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "hello\n");
    assert_true(wr_str_is(wr_http_get(&e.head, "content-type"), "text/plain"));
    wr_str date = wr_http_get(&e.head, "date");
    assert_int_equal(date.n, 29);
    assert_true(wr_str_ends(date, " GMT"));
    say(e.fd, "HEAD /big HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer_to(&e, true), 200);
    assert_int_equal(e.head.length, 1 << 20);
    say(e.fd, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 204);
    assert_false(e.head.has_length);
    say(e.fd, "GET /failing HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 404);
    body_is(&e, "{\"error\":\"run 'x\\\"y' does not exist\",\"hint\":\"list them\"}\n");
    say(e.fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 200);
    assert_int_equal(e.body.n, 1 << 20);
    ear_close(&e);
    stop(&f, 0);
}

static void no_sink(void *ctx, wr_log_level level, const char *line) { (void)ctx, (void)level, (void)line; }

static void a_handler_that_says_nothing(void **state)
{
    (void)state;
    fixture f;
    wr_log_set_sink(no_sink, NULL);
    start(&f, (wr_http_server_opt){0});
    assert_int_equal(status_of(&f, "GET /silent HTTP/1.1\r\n" HOST "\r\n", false), 500);
    stop(&f, 0);
    wr_log_set_sink(NULL, NULL);
}

static void bodies(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, POST "Content-Length: 5\r\n\r\nhello" POST
                   "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(answer(&e), 200);
        body_is(&e, "hello");
    }
    /* every way to cut it gives the same */
    const char *text =
        POST "Content-Length: 5\r\n\r\nhello" POST "Transfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n";
    for (size_t cut = 1; cut < strlen(text); cut += 3) {
        say_n(e.fd, text, cut);
        usleep(300);
        say(e.fd, text + cut);
        assert_int_equal(answer(&e), 200);
        body_is(&e, "hello");
        assert_int_equal(answer(&e), 200);
        body_is(&e, "world");
    }
    /* a large one is read in place */
    wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, POST "Content-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100000; i++) wr_buf_char(&b, (char)('a' + i % 26));
    say_n(e.fd, b.p, 60);
    usleep(2000);
    say_n(e.fd, b.p + 60, b.n - 60);
    assert_int_equal(answer(&e), 200);
    assert_int_equal(e.body.n, 100000);
    assert_memory_equal(e.body.p, b.p + b.n - 100000, 100000);
    /* one nobody wants is dropped, and what follows is found */
    say(e.fd, "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /none HTTP/1.1\r\n" HOST
              "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 200);
    assert_int_equal(answer(&e), 404);
    assert_int_equal(answer(&e), 200);
    wr_buf_fini(&b);
    ear_close(&e);
    stop(&f, 0);
}

static void streamed_uploads(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "PUT /upload HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
    char block[30000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 10; i++) say_n(e.fd, block, sizeof block);
    assert_int_equal(answer(&e), 200);
    assert_int_equal(atomic_load(&f.streamed), 300000);
    assert_int_equal(atomic_load(&f.aborted), 0);
    say(e.fd, "PUT /upload HTTP/1.1\r\n" HOST "Content-Length: 3000\r\n\r\nab!c");
    assert_int_equal(answer(&e), 409);
    assert_true(is_over(&e));
    assert_int_equal(atomic_load(&f.aborted), 1);
    ear_close(&e);
    int fd = dial(f.port); /* the peer goes away in the middle */
    say(fd, "PUT /upload HTTP/1.1\r\n" HOST "Content-Length: 3000\r\n\r\nabc");
    usleep(20000);
    close(fd);
    wait_for_connections(&f, 0);
    assert_int_equal(atomic_load(&f.aborted), 2);
    stop(&f, 0);
}

static void expects_100_continue(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(answer(&e), 100);
    assert_false(readable(e.fd, 20));
    say(e.fd, "hello");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "hello");
    say(e.fd, POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"); /* did not wait: no need to tell */
    assert_int_equal(answer(&e), 200);
    say(e.fd, POST "Content-Length: 500000\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(answer(&e), 413);
    assert_true(is_over(&e));
    ear_close(&e);
    stop(&f, 0);
}

/* ---- order, deferring, rounds ---- */

static wr_http_req *deferred(fixture *f, int i)
{
    double from = now_ms();
    for (;;) {
        pthread_mutex_lock(&f->lock);
        wr_http_req *r = i < f->ndeferred ? f->deferred[i] : NULL;
        pthread_mutex_unlock(&f->lock);
        if (r) return r;
        if (now_ms() - from > 4000) fail_msg("request %d did not come", i);
        usleep(500);
    }
}

static void answers_stay_in_order(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "POST /later?1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\none"
              "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /later?2 HTTP/1.1\r\n" HOST "X-Tag: t\r\n\r\n"
              "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    wr_http_req *one = deferred(&f, 0), *two = deferred(&f, 1);
    assert_int_equal(big_status(&f, "GET /", 'u', WR_LIMIT_HTTP_TARGET + 1024, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    assert_true(wr_str_is(wr_http_req_body(one), "one")); /* kept, though the read buffer was used again */
    assert_true(wr_str_is(wr_http_req_head(one)->method, "POST") && wr_str_is(wr_http_req_head(one)->path, "/later"));
    assert_true(wr_str_is(wr_http_req_head(two)->query, "2"));
    assert_true(wr_str_is(wr_http_get(wr_http_req_head(two), "x-tag"), "t"));
    assert_string_equal(wr_http_req_peer(two), "127.0.0.1");
    wr_http_finish(two, &TEXT, WR_STR("second"));
    assert_false(readable(e.fd, 30));
    wr_http_finish(one, &TEXT, WR_STR("first"));
    assert_int_equal(answer(&e), 200);
    body_is(&e, "first");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "hello\n");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "second");
    assert_int_equal(answer(&e), 204);
    ear_close(&e);
    stop(&f, 0);
}

/* A request that could not be read kept the method of the one whose memory it got: a 431 without its body. */
static void a_bad_request_after_a_deferred_head(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "HEAD /later HTTP/1.1\r\n" HOST "\r\n");
    wr_http_finish(deferred(&f, 0), &TEXT, WR_STR("x"));
    assert_int_equal(answer_to(&e, true), 200);
    ear_close(&e);
    ear_open(&e, dial(f.port));
    wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "GET /hello HTTP/1.1\r\nX: ");
    while (b.n < WR_LIMIT_HTTP_HEAD + 1024) wr_buf_char(&b, 'x');
    say(e.fd, wr_buf_cstr(&b));
    wr_buf_fini(&b);
    assert_int_equal(answer(&e), 431);
    assert_true(e.body.n > 0);
    ear_close(&e);
    stop(&f, 0);
}

static void what_is_held_is_answered_in_its_round(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd,
        "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na"
        "GET /hello HTTP/1.1\r\n" HOST "\r\nPOST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nb"
        "POST /hold HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nc\r\n0\r\n\r\n");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "a of 3\n");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "hello\n");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "b of 3\n");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "c of 3\n");
    assert_true(is_over(&e));
    ear_close(&e);
    atomic_store(&f.round_rc, WEIR_EIO);
    ear_open(&e, dial(f.port));
    say(e.fd, "POST /hold?durable HTTP/1.1\r\n" HOST "\r\nPOST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nd");
    assert_int_equal(answer(&e), 503);
    assert_int_equal(answer(&e), 200);
    body_is(&e, "d of 2\n");
    ear_close(&e);
    stop(&f, 0);
}

/* Over rounds, while other requests come and go, and a connection does. */
static void what_is_held_may_wait(void **state)
{
    (void)state;
    fixture f;
    ear e, other;
    start(&f, (wr_http_server_opt){0});
    atomic_store(&f.wait_for, 3);
    ear_open(&e, dial(f.port));
    ear_open(&other, dial(f.port));
    say(e.fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na");
    assert_false(readable(e.fd, 30));
    for (int i = 0; i < 300; i++) { /* more than the buffers that are read into */
        static char big_one[2000];
        memset(big_one, 'x', sizeof big_one);
        say(other.fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2000\r\n\r\n");
        say_n(other.fd, big_one, sizeof big_one);
        assert_int_equal(answer(&other), 200);
        assert_true(other.body.n == 2000 && other.body.p[1999] == 'x');
    }
    int gone = dial(f.port);
    say(gone, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nb");
    usleep(20000);
    setsockopt(gone, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(gone);
    assert_false(readable(e.fd, 50));
    say(other.fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nc");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "a of 3\n");
    assert_int_equal(answer(&other), 200);
    body_is(&other, "c of 3\n");
    atomic_store(&f.wait_for, 0);
    atomic_store(&f.wait_ns, 3000000); /* until a time that no event tells */
    double from = now_ms();
    say(e.fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nd");
    assert_int_equal(answer(&e), 200);
    assert_true(now_ms() - from >= 3);
    body_is(&e, "d of 1\n");
    atomic_store(&f.wait_for, 2); /* whoever stops the server does not wait for the other one */
    say(e.fd, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\ne");
    assert_false(readable(e.fd, 30));
    wr_http_server_stop(f.server, 2000);
    assert_int_equal(answer(&e), 200);
    body_is(&e, "e of 1\n");
    ear_close(&e);
    ear_close(&other);
    stop(&f, 0);
}

/* More than the loop's buffer takes: what is held is settled before the buffer is used again. */
static void much_may_be_held(void **state)
{
    (void)state;
    enum { CONNECTIONS = 24, SIZE = 40000 };
    fixture f;
    ear e[CONNECTIONS];
    char want[SIZE], rest[40];
    start(&f, (wr_http_server_opt){0});
    for (int i = 0; i < CONNECTIONS; i++) ear_open(&e[i], dial(f.port));
    for (int round = 0; round < 5; round++) {
        say(e[0].fd, "GET /slowly HTTP/1.1\r\n" HOST "\r\n"); /* so that the others are there together */
        for (int i = 0; i < CONNECTIONS; i++) {
            int n = snprintf(want, sizeof want, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", SIZE);
            say_n(e[i].fd, want, (size_t)n);
            memset(want, 'a' + i, sizeof want);
            say_n(e[i].fd, want, sizeof want);
        }
        assert_int_equal(answer(&e[0]), 200);
        for (int i = 0; i < CONNECTIONS; i++) {
            int of;
            assert_int_equal(answer(&e[i]), 200);
            assert_true(e[i].body.n > 1500 && e[i].body.n < 1530);
            memset(want, 'a' + i, 1500);
            assert_memory_equal(e[i].body.p, want, 1500);
            snprintf(rest, sizeof rest, "%.*s", (int)(e[i].body.n - 1500), e[i].body.p + 1500);
            assert_int_equal(sscanf(rest, " of %d", &of), 1);
            assert_true(of >= 1 && of <= CONNECTIONS);
        }
    }
    for (int i = 0; i < CONNECTIONS; i++) ear_close(&e[i]);
    stop(&f, 0);
}

static void stops_reading_at_the_pipeline_cap(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    for (int i = 0; i < WR_LIMIT_HTTP_PIPELINE + 20; i++) say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    deferred(&f, WR_LIMIT_HTTP_PIPELINE - 1);
    usleep(20000);
    wr_http_stats st;
    wr_http_server_stats(f.server, &st);
    assert_int_equal(st.requests, WR_LIMIT_HTTP_PIPELINE);
    for (int i = 0; i < WR_LIMIT_HTTP_PIPELINE + 20; i++) wr_http_finish(deferred(&f, i), &TEXT, WR_STR("x"));
    for (int i = 0; i < WR_LIMIT_HTTP_PIPELINE + 20; i++) assert_int_equal(answer(&e), 200);
    ear_close(&e);
    stop(&f, 0);
}

static void a_long_pipeline_of_quick_answers(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    wr_buf b;
    wr_buf_init(&b, 0);
    enum { N = 3000 };
    for (int i = 0; i < N; i++) wr_buf_printf(&b, "GET /%s HTTP/1.1\r\n" HOST "\r\n", i % 7 ? "hello" : "durable");
    say_n(e.fd, b.p, b.n);
    for (int i = 0; i < N; i++) {
        assert_int_equal(answer(&e), 200);
        body_is(&e, i % 7 ? "hello\n" : "stored");
    }
    wr_buf_fini(&b);
    ear_close(&e);
    stop(&f, 0);
}

/* Protocols have their own words for it. */
static void an_answer_that_cannot_be_kept_says_so(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    atomic_store(&f.round_rc, WEIR_ENOSPC);
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /durable HTTP/1.1\r\n" HOST "\r\nGET /durable?own HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 503);
    body_is(&e, "{\"error\":\"Service Unavailable\"}\n");
    assert_int_equal(answer(&e), 503);
    assert_true(wr_str_is(wr_http_get(&e.head, "retry-after"), "1"));
    body_is(&e, "{\"sorry\":1}");
    ear_close(&e);
    stop(&f, 0);
}

static void a_round_that_fails_stores_nothing(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    atomic_store(&f.round_rc, WEIR_ENOSPC);
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /durable HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n"
              "GET /durable HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 503);
    assert_true(wr_str_is(wr_http_get(&e.head, "retry-after"), "1"));
    assert_int_equal(answer(&e), 200);
    assert_int_equal(answer(&e), 503);
    say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    wr_http_finish(deferred(&f, 0), &(wr_http_reply_opt){.durable = true}, WR_STR("stored"));
    assert_int_equal(answer(&e), 503);
    atomic_store(&f.round_rc, 0);
    int rounds = atomic_load(&f.rounds);
    say(e.fd, "GET /durable HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer(&e), 200);
    body_is(&e, "stored");
    assert_int_equal(atomic_load(&f.rounds), rounds + 1);
    ear_close(&e);
    stop(&f, 0);
}

/* A durable answer whose round was committed waits behind a deferred one: a later failure must not take it back. */
static void a_committed_answer_stays_committed(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /durable HTTP/1.1\r\n" HOST "\r\n");
    wr_http_req *r = deferred(&f, 0);
    while (atomic_load(&f.rounds) == 0) usleep(500);
    usleep(5000);
    atomic_store(&f.round_rc, WEIR_EIO);
    wr_http_finish(r, &(wr_http_reply_opt){.durable = true}, WR_STR("late"));
    assert_int_equal(answer(&e), 503);
    assert_int_equal(answer(&e), 200);
    ear_close(&e);
    stop(&f, 0);
}

static void peers_that_leave_before_the_answer(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    int fd = dial(f.port);
    say(fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    wr_http_req *r = deferred(&f, 0);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    wait_for_connections(&f, 0);
    wr_http_finish(r, &TEXT, WR_STR("too late"));
    /* one that only ended its sending half still gets everything */
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\nGET /ha");
    r = deferred(&f, 1);
    shutdown(e.fd, SHUT_WR);
    usleep(10000);
    wr_http_finish(r, &TEXT, WR_STR("there"));
    assert_int_equal(answer(&e), 200);
    assert_int_equal(answer(&e), 200);
    assert_true(is_over(&e));
    ear_close(&e);
    stop(&f, 0);
}

static void allocates_nothing_when_warm(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    assert_true(wr_buf_reserve(&e.in, 1 << 20));
    assert_true(wr_buf_reserve(&e.body, 1 << 10));
    const char *text = "GET /hello HTTP/1.1\r\n" HOST "\r\n" POST "Content-Length: 5\r\n\r\nhello"
                       "POST /durable HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n";
    bool fired = false;
    for (int i = 0; i < 40; i++) {
        if (i == 10) wr_fault_arm(WR_FAULT_ALLOC, 1, true);
        say(e.fd, text);
        int a = answer(&e), b = answer(&e), c = answer(&e);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        if (fired) wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(a, 200);
        assert_int_equal(b, 200);
        assert_int_equal(c, 200);
        assert_false(fired);
        wr_buf_clear(&e.in);
        e.off = 0;
    }
    wr_fault_arm(WR_FAULT_ALLOC, 0, false);
    ear_close(&e);
    stop(&f, 0);
}

/* Whatever allocation fails, the server answers or hangs up, and serves the next one. */
static void survives_failing_allocations(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    bool fired = true;
    for (int n = 1; fired && n < 100; n++) {
        int fd = dial(f.port);
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        usleep(500);
        say(fd, POST "Content-Length: 5000\r\n\r\n");
        char block[5000];
        memset(block, 'x', sizeof block);
        say_n(fd, block, sizeof block);
        say(fd, "GET /failing HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        char sink[4096];
        while (readable(fd, 4000) && recv(fd, sink, sizeof sink, 0) > 0) {}
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        close(fd);
        assert_int_equal(status_of(&f, "GET /hello HTTP/1.1\r\n" HOST "\r\n", false), 200);
    }
    assert_false(fired);
    stop(&f, 0);
}

/* ---- streams ---- */

static wr_http_stream *stream_of(fixture *f)
{
    double from = now_ms();
    wr_http_stream *s;
    while (!(s = atomic_exchange(&f->stream, NULL))) {
        if (now_ms() - from > 4000) fail_msg("no stream was opened");
        usleep(500);
    }
    return s;
}

static void server_sent_events(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /events HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    wr_http_stream *s = stream_of(&f);
    assert_int_equal(wr_http_sse(s, -1, NULL, WR_STR("x\r\ny")), 0);
    assert_int_equal(wr_http_stream_write(s, (wr_str){0}), 0);
    usleep(10000);
    assert_int_equal(wr_http_sse(s, 3, "last", (wr_str){0}), 0);
    wr_http_stream_close(s);
    assert_int_equal(answer(&e), 200);
    assert_true(wr_str_is(wr_http_get(&e.head, "content-type"), "text/event-stream"));
    body_is(&e, "id: 1\nevent: first\ndata: a\ndata: b\n\ndata: x\ndata: y\n\nid: 3\nevent: last\ndata: \n\n");
    assert_int_equal(answer(&e), 200); /* the one behind it */
    body_is(&e, "hello\n");
    say(e.fd, "HEAD /events HTTP/1.1\r\n" HOST "\r\n");
    s = stream_of(&f);
    assert_int_equal(answer_to(&e, true), 200);
    assert_int_equal(wr_http_stream_write(s, WR_STR("x")), WEIR_ECANCELED);
    wr_http_stream_close(s);
    ear_close(&e);
    stop(&f, 0);
}

static void streams_of_old_clients(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /events HTTP/1.0\r\n\r\n");
    wr_http_stream_close(stream_of(&f));
    while (hear(&e)) {}
    assert_true(wr_str_ends(wr_buf_view(&e.in), "\r\n\r\nid: 1\nevent: first\ndata: a\ndata: b\n\n"));
    ear_close(&e);
    stop(&f, 0);
}

/* Writes until it is told to stop. */
static void write_until_cancelled(wr_http_stream *s, wr_str piece, int pause_us)
{
    double from = now_ms();
    while (wr_http_stream_write(s, piece) == 0) {
        if (pause_us) usleep((useconds_t)pause_us);
        if (now_ms() - from > 4000) fail_msg("the writer was never told");
    }
    assert_int_equal(wr_http_stream_write(s, piece), WEIR_ECANCELED);
    wr_http_stream_close(s);
}

static void streams_end_with_their_reader(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    int fd = dial(f.port);
    say(fd, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    wr_http_stream *s = stream_of(&f);
    close(fd); /* goes away */
    write_until_cancelled(s, WR_STR("x"), 1000);
    wait_for_connections(&f, 0);
    fd = dial(f.port);
    say(fd, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    s = stream_of(&f);
    shutdown(fd, SHUT_WR); /* says goodbye while nothing is written */
    wait_for_connections(&f, 0);
    assert_int_equal(wr_http_stream_write(s, WR_STR("x")), WEIR_ECANCELED);
    wr_http_stream_close(s);
    close(fd);
    fd = dial(f.port);
    say(fd, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    char *block = calloc(1, 60000);
    write_until_cancelled(stream_of(&f), (wr_str){block, 60000}, 2000); /* reads nothing */
    free(block);
    wait_for_connections(&f, 0);
    close(fd);
    stop(&f, 0);
}

/* The backlog counts what is unsent, not what was sent: a reader that keeps up may get any amount. */
static void streams_to_a_quick_reader_go_on(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    wr_http_stream *s = stream_of(&f);
    size_t n = WR_LIMIT_SSE_BACKLOG + 1000;
    char *block = calloc(1, n);
    for (int i = 0; i < 4; i++) {
        size_t want = e.in.n + n;
        assert_int_equal(wr_http_stream_write(s, (wr_str){block, n}), 0);
        while (e.in.n < want) assert_true(hear(&e));
        usleep(5000); /* the loop notes that it is sent */
    }
    free(block);
    wr_http_stream_close(s);
    assert_int_equal(answer(&e), 200);
    assert_true(e.body.n > 4 * n);
    ear_close(&e);
    stop(&f, 0);
}

static void streams_of_deferred_requests(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    wr_http_stream *s = wr_http_stream_open(deferred(&f, 0), NULL);
    assert_int_equal(wr_http_stream_write(s, WR_STR("[1,")), 0);
    assert_int_equal(wr_http_stream_write(s, WR_STR("2]")), 0);
    wr_http_stream_close(s);
    assert_int_equal(answer(&e), 200);
    body_is(&e, "[1,2]");
    say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    wr_http_req *r = deferred(&f, 1);
    struct linger reset = {.l_onoff = 1};
    setsockopt(e.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    ear_close(&e);
    wait_for_connections(&f, 0);
    s = wr_http_stream_open(r, NULL); /* nobody is there any more */
    assert_non_null(s);
    write_until_cancelled(s, WR_STR("x"), 500);
    stop(&f, 0);
}

/* ---- stopping ---- */

static void *finish_after_a_while(void *arg)
{
    usleep(60000);
    wr_http_finish(arg, &TEXT, WR_STR("done"));
    return NULL;
}

static void stop_waits_for_answers(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.loops = 2});
    ear e, idle, sse;
    ear_open(&idle, dial(f.port));
    ear_open(&e, dial(f.port));
    ear_open(&sse, dial(f.port));
    say(sse.fd, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    wr_http_stream *s = stream_of(&f);
    say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, finish_after_a_while, deferred(&f, 0)), 0);
    double from = now_ms();
    wr_http_server_stop(f.server, 3000);
    assert_true(is_over(&idle));
    assert_int_equal(answer(&sse), 200); /* ended cleanly, so that the reader comes back */
    assert_int_equal(wr_http_stream_write(s, WR_STR("x")), WEIR_ECANCELED);
    wr_http_stream_close(s);
    assert_int_equal(answer(&e), 200);
    body_is(&e, "done");
    assert_false(e.head.keep_alive);
    assert_true(is_over(&e));
    pthread_join(t, NULL);
    stop(&f, 3000);
    assert_true(now_ms() - from < 1500);
    ear_close(&e);
    ear_close(&idle);
    ear_close(&sse);
}

static void stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    ear e;
    ear_open(&e, dial(f.port));
    say(e.fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /later HTTP/1.1\r\n" HOST "\r\n");
    wr_http_req *one = deferred(&f, 0), *two = deferred(&f, 1);
    double from = now_ms();
    stop(&f, 100); /* closes the server too */
    double ms = now_ms() - from;
    assert_true(ms > 80 && ms < 1500);
    assert_true(is_over(&e));
    ear_close(&e);
    wr_http_finish(one, &TEXT, WR_STR("nobody hears it")); /* and is still safe */
    wr_http_stream *s = wr_http_stream_open(two, NULL);
    assert_non_null(s);
    assert_int_equal(wr_http_stream_write(s, WR_STR("x")), WEIR_ECANCELED);
    wr_http_stream_close(s);
}

static void *client_of_many(void *arg)
{
    const fixture *f = arg;
    ear e;
    ear_open(&e, dial(f->port));
    for (int i = 0; i < 100; i++) {
        say(e.fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n" POST "Content-Length: 2\r\n\r\nok");
        assert_int_equal(answer(&e), 200);
        assert_int_equal(answer(&e), 200);
    }
    ear_close(&e);
    return NULL;
}

static void several_loops(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.loops = 3});
    pthread_t t[8];
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&t[i], NULL, client_of_many, &f), 0);
    for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
    wait_for_connections(&f, 0);
    wr_http_stats st;
    wr_http_server_stats(f.server, &st);
    assert_int_equal(st.requests, 1600);
    assert_int_equal(st.accepted, 8);
    assert_int_equal(st.errors_4xx + st.errors_5xx, 0);
    assert_true(st.bytes_in > 1600 * 30 && st.bytes_out > 1600 * 80 && st.rounds > 0);
    assert_true(atomic_load(&f.ticks) >= 1);
    stop(&f, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_length_and_coding),
        cmocka_unit_test(refuses_two_lengths),
        cmocka_unit_test(refuses_equal_lengths),
        cmocka_unit_test(refuses_length_list),
        cmocka_unit_test(refuses_length_with_plus),
        cmocka_unit_test(refuses_missing_host),
        cmocka_unit_test(refuses_two_hosts),
        cmocka_unit_test(refuses_space_before_colon),
        cmocka_unit_test(refuses_folding),
        cmocka_unit_test(refuses_unknown_coding),
        cmocka_unit_test(refuses_coding_list),
        cmocka_unit_test(refuses_bare_lf),
        cmocka_unit_test(refuses_control_byte),
        cmocka_unit_test(refuses_other_version),
        cmocka_unit_test(refuses_unknown_expectation),
        cmocka_unit_test(refuses_bad_chunks),
        cmocka_unit_test(refuses_large_header),
        cmocka_unit_test(refuses_long_uri),
        cmocka_unit_test(refuses_large_body),
        cmocka_unit_test(slow_header_is_cut_off),
        cmocka_unit_test(slow_body_is_cut_off),
        cmocka_unit_test(idle_is_closed),
        cmocka_unit_test(first_answers_survive_a_look_at_deadlines),
        cmocka_unit_test(unread_answer_is_cut_off),
        cmocka_unit_test(limits_connections_in_all),
        cmocka_unit_test(limits_connections_of_an_address),
        cmocka_unit_test(restarts_at_once),
        cmocka_unit_test(port_in_use),
        cmocka_unit_test(survives_running_out_of_descriptors),
        cmocka_unit_test(keeps_alive_and_closes),
        cmocka_unit_test(a_handler_that_says_nothing),
        cmocka_unit_test(bodies),
        cmocka_unit_test(streamed_uploads),
        cmocka_unit_test(expects_100_continue),
        cmocka_unit_test(answers_stay_in_order),
        cmocka_unit_test(a_bad_request_after_a_deferred_head),
        cmocka_unit_test(what_is_held_is_answered_in_its_round),
        cmocka_unit_test(what_is_held_may_wait),
        cmocka_unit_test(much_may_be_held),
        cmocka_unit_test(stops_reading_at_the_pipeline_cap),
        cmocka_unit_test(a_long_pipeline_of_quick_answers),
        cmocka_unit_test(a_round_that_fails_stores_nothing),
        cmocka_unit_test(an_answer_that_cannot_be_kept_says_so),
        cmocka_unit_test(a_committed_answer_stays_committed),
        cmocka_unit_test(peers_that_leave_before_the_answer),
        cmocka_unit_test(allocates_nothing_when_warm),
        cmocka_unit_test(survives_failing_allocations),
        cmocka_unit_test(server_sent_events),
        cmocka_unit_test(streams_of_old_clients),
        cmocka_unit_test(streams_end_with_their_reader),
        cmocka_unit_test(streams_to_a_quick_reader_go_on),
        cmocka_unit_test(streams_of_deferred_requests),
        cmocka_unit_test(stop_waits_for_answers),
        cmocka_unit_test(stop_does_not_wait_for_ever),
        cmocka_unit_test(several_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
