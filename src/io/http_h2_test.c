/* SPDX-License-Identifier: Apache-2.0 */
/* http_h2_test.c - HTTP/2 over real sockets, with nghttp2 as the client: every way to answer, bodies both ways, rounds,
 * windows, limits, floods, stopping. What nghttp2 would not send is written as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "io/http_server.h"

/* ---- a server ---- */

enum { BIG = 3 << 20, BODY_MAX = 4 << 20 };

static struct {
    wr_http_server *server;
    pthread_t thread;
    int port;
    atomic_int round_rc, rounds, aborted, streamed, handled;
    pthread_mutex_t lock; /* guards what follows */
    wr_http_req *deferred[256], *paused;
    int ndeferred;
    wr_http_stream *stream;
} sv;

static const wr_http_reply_opt TEXT = {.type = "text/plain", .headers = "X-Upper: Yes\r\nConnection: close\r\n"};

static void hello(wr_http_req *r)
{
    atomic_fetch_add(&sv.handled, 1);
    wr_http_reply(r, &TEXT, WR_STR("hello\n"));
}
static void echo(wr_http_req *r) { wr_http_reply(r, &TEXT, wr_http_req_body(r)); }
static void nothing(wr_http_req *r) { wr_http_reply(r, &(wr_http_reply_opt){.status = 204}, (wr_str){0}); }
static void durable(wr_http_req *r) { wr_http_reply(r, &(wr_http_reply_opt){.durable = true}, WR_STR("stored")); }
static void closing(wr_http_req *r) { wr_http_reply(r, &(wr_http_reply_opt){.close = true}, WR_STR("bye")); }
static void silent(wr_http_req *r) { (void)r; }

static void big(wr_http_req *r)
{
    char *p = wr_arena_alloc(wr_http_req_arena(r), BIG);
    assert_non_null(p);
    for (size_t i = 0; i < BIG; i++) p[i] = (char)(i * 2654435761u >> 13);
    wr_http_reply(r, &TEXT, (wr_str){p, BIG});
}

static void part_of_file(wr_http_req *r)
{
    wr_http_file file = {.fd = memfd_create("part", MFD_CLOEXEC), .offset = 5, .length = BIG};
    bool cut = wr_str_is(wr_http_req_head(r)->query, "cut");
    assert_int_equal(ftruncate(file.fd, cut ? BIG / 2 : BIG + 5), 0);
    assert_int_equal(pwrite(file.fd, "0123456789", 10, 0), 10);
    wr_http_reply(r, &(wr_http_reply_opt){.type = "text/plain", .file = &file}, (wr_str){0});
}

static void with_trailers(wr_http_req *r)
{
    bool body = wr_str_is(wr_http_req_head(r)->query, "body");
    wr_http_reply_opt opt = {.type = "text/plain", .trailers = "Grpc-Status: 0\r\ngrpc-message: fine: and so\r\n"};
    wr_http_reply(r, &opt, body ? WR_STR("body") : WR_STR(""));
}

static void show_head(wr_http_req *r)
{
    WR_AUTOBUF wr_buf b = {0};
    const wr_http_head *h = wr_http_req_head(r);
    wr_buf_printf(&b, "%.*s %.*s %.*s", WR_STR_FMT(h->method), WR_STR_FMT(h->path), WR_STR_FMT(h->query));
    for (size_t i = 0; i < h->nheaders; i++)
        wr_buf_printf(&b, "\n%.*s=%.*s", WR_STR_FMT(h->headers[i].name), WR_STR_FMT(h->headers[i].value));
    wr_http_reply(r, &TEXT, wr_buf_view(&b));
}

static void later(wr_http_req *r)
{
    wr_http_defer(r);
    pthread_mutex_lock(&sv.lock);
    sv.deferred[sv.ndeferred++] = r;
    pthread_mutex_unlock(&sv.lock);
}

static void events(wr_http_req *r)
{
    wr_http_stream *s = wr_http_stream_open(r, &(wr_http_reply_opt){.type = "text/event-stream"});
    assert_non_null(s);
    wr_http_sse(s, 1, "first", WR_STR("a"));
    pthread_mutex_lock(&sv.lock);
    sv.stream = s;
    pthread_mutex_unlock(&sv.lock);
}

/* Promises 10 bytes and writes as many as the query says. */
static void sized(wr_http_req *r)
{
    size_t n = wr_http_req_head(r)->query.n;
    wr_http_stream *s = wr_http_stream_open(r, &(wr_http_reply_opt){.length = 10});
    assert_non_null(s);
    assert_int_equal(wr_http_stream_write(s, wr_str_sub(WR_STR("0123456789"), 0, n)), 0);
    wr_http_stream_close(s);
}

static int take_piece(wr_http_req *r, wr_str piece)
{
    if (piece.n && memchr(piece.p, '!', piece.n)) return -409;
    atomic_fetch_add(&sv.streamed, (int)piece.n);
    if (!wr_str_is(wr_http_req_head(r)->query, "pause")) return 0;
    pthread_mutex_lock(&sv.lock);
    sv.paused = r;
    pthread_mutex_unlock(&sv.lock);
    return WR_HTTP_PAUSE;
}

static void count_abort(wr_http_req *r)
{
    (void)r;
    pthread_mutex_lock(&sv.lock);
    sv.paused = NULL;
    pthread_mutex_unlock(&sv.lock);
    atomic_fetch_add(&sv.aborted, 1);
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    static const struct {
        const char *path;
        wr_http_route route;
    } routes[] = {
        {"/hello", {.handle = hello}},
        {"/echo", {.handle = echo, .body_max = BODY_MAX}},
        {"/upload", {.handle = hello, .body = take_piece, .abort = count_abort}},
        {"/later", {.handle = later, .body_max = 1000}},
        {"/events", {.handle = events}},
        {"/sized", {.handle = sized}},
        {"/durable", {.handle = durable}},
        {"/silent", {.handle = silent}},
        {"/nothing", {.handle = nothing}},
        {"/closing", {.handle = closing}},
        {"/big", {.handle = big}},
        {"/file", {.handle = part_of_file}},
        {"/trailers", {.handle = with_trailers}},
        {"/head", {.handle = show_head}},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (wr_str_is(wr_http_req_head(r)->path, routes[i].path)) *out = routes[i].route;
    }
}

static int round_end(void *ctx, int loop)
{
    (void)ctx, (void)loop;
    atomic_fetch_add(&sv.rounds, 1);
    return atomic_load(&sv.round_rc);
}

static void *serve(void *arg)
{
    assert_int_equal(wr_http_server_run(sv.server, NULL), 0);
    return arg;
}

static void start(wr_http_server_opt opt)
{
    memset(&sv, 0, sizeof sv);
    pthread_mutex_init(&sv.lock, NULL);
    opt.route = route;
    opt.round_end = round_end;
    assert_int_equal(wr_http_server_open(&sv.server, &opt, NULL), 0);
    sv.port = wr_http_server_port(sv.server);
    assert_int_equal(pthread_create(&sv.thread, NULL, serve, NULL), 0);
}

static void stop(void)
{
    wr_http_server_stop(sv.server, 2000);
    pthread_join(sv.thread, NULL);
    wr_http_server_close(sv.server);
    pthread_mutex_destroy(&sv.lock);
}

static wr_http_req *wait_deferred(int n)
{
    wr_http_req *last = NULL;
    for (int i = 0; i < 1000 && !last; i++) {
        pthread_mutex_lock(&sv.lock);
        if (sv.ndeferred >= n) last = sv.deferred[n - 1];
        pthread_mutex_unlock(&sv.lock);
        usleep(5000);
    }
    assert_non_null(last);
    return last;
}

/* ---- a client ---- */

enum { ANSWERS = 400 };

typedef struct {
    int32_t id;
    int status;
    wr_buf headers, body, trailers;
    bool closed;
    uint32_t error;
    wr_str to_send;
    bool hold; /* do not end the request's body */
} answer;

typedef struct {
    int fd;
    nghttp2_session *s;
    answer at[ANSWERS];
    int n;
    bool eof, continued;
    int goaway; /* its error code, -1 = none came */
} client;

static answer *answer_of(client *c, int32_t id)
{
    for (int i = 0; i < c->n; i++) {
        if (c->at[i].id == id) return &c->at[i];
    }
    return NULL;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t nname,
                     const uint8_t *value, size_t nvalue, uint8_t flags, void *arg)
{
    (void)s, (void)flags;
    client *c = arg;
    answer *a = answer_of(c, f->hd.stream_id);
    if (!a) return 0;
    wr_str n = {(const char *)name, nname}, v = {(const char *)value, nvalue};
    if (wr_str_is(n, ":status")) {
        a->status = (int)strtol(v.p, NULL, 10);
        if (a->status == 100) c->continued = true;
        return 0;
    }
    wr_buf *b = f->headers.cat == NGHTTP2_HCAT_HEADERS && a->status != 100 && a->headers.n ? &a->trailers : &a->headers;
    wr_buf_printf(b, "%.*s=%.*s\n", WR_STR_FMT(n), WR_STR_FMT(v));
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    (void)s, (void)flags;
    answer *a = answer_of(arg, id);
    if (a) wr_buf_add(&a->body, p, n);
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t error, void *arg)
{
    (void)s;
    answer *a = answer_of(arg, id);
    if (a) {
        a->closed = true;
        a->error = error;
    }
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
    (void)s;
    if (f->hd.type == NGHTTP2_GOAWAY) ((client *)arg)->goaway = (int)f->goaway.error_code;
    return 0;
}

static int dial(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)sv.port)};
    inet_pton(AF_INET, "127.0.0.1", &sa.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static void flush(client *c)
{
    const uint8_t *p;
    for (ssize_t n; (n = nghttp2_session_mem_send(c->s, &p)) > 0;) {
        for (ssize_t done = 0, w; done < n; done += w) {
            w = send(c->fd, p + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (w <= 0) {
                c->eof = true;
                return;
            }
        }
    }
}

/* `window`: of a stream; 0 = the default. */
static client *connected(int32_t window)
{
    client *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->goaway = -1;
    c->fd = dial();
    nghttp2_session_callbacks *cb;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_option *opt;
    nghttp2_option_new(&opt);
    nghttp2_option_set_no_http_messaging(opt, 1);
    nghttp2_option_set_peer_max_concurrent_streams(opt, 1000); /* before SETTINGS come: as a hasty one */
    if (window) nghttp2_option_set_no_auto_window_update(opt, 1);
    assert_int_equal(nghttp2_session_client_new2(&c->s, cb, c, opt), 0);
    nghttp2_option_del(opt);
    nghttp2_session_callbacks_del(cb);
    nghttp2_settings_entry ours = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)window};
    nghttp2_submit_settings(c->s, NGHTTP2_FLAG_NONE, &ours, window ? 1 : 0);
    flush(c);
    return c;
}

static void hang_up(client *c)
{
    for (int i = 0; i < c->n; i++) {
        wr_buf_fini(&c->at[i].headers);
        wr_buf_fini(&c->at[i].body);
        wr_buf_fini(&c->at[i].trailers);
    }
    nghttp2_session_del(c->s);
    close(c->fd);
    free(c);
}

/* One read within so many ms; false when nothing came or the connection ended. */
static bool hear(client *c, int ms)
{
    static _Thread_local uint8_t in[1 << 16];
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (c->eof || poll(&p, 1, ms) <= 0) return false;
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n <= 0) c->eof = true;
    else if (nghttp2_session_mem_recv(c->s, in, (size_t)n) < 0) c->eof = true;
    flush(c);
    return n > 0;
}

/* Until the answer is complete. */
static answer *wait_for(client *c, answer *a)
{
    for (int64_t until = wr_clock_mono_ns() + 10000000000; !a->closed && !c->eof && wr_clock_mono_ns() < until;)
        hear(c, 100);
    return a;
}

static ssize_t give(nghttp2_session *s, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
                    nghttp2_data_source *from, void *arg)
{
    (void)s, (void)id, (void)arg;
    answer *a = from->ptr;
    size_t n = a->to_send.n < room ? a->to_send.n : room;
    memcpy(out, a->to_send.p, n);
    a->to_send = wr_str_sub(a->to_send, n, a->to_send.n);
    if (a->to_send.n) return (ssize_t)n;
    if (!a->hold) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return n || !a->hold ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0};
}

static answer *request(client *c, const char *method, const char *path, const nghttp2_nv *more, size_t nmore,
                       const wr_str *body, bool hold)
{
    nghttp2_nv fields[200] = {nv(":method", method), nv(":scheme", "http"), nv(":authority", "a"), nv(":path", path)};
    for (size_t i = 0; i < nmore; i++) fields[4 + i] = more[i];
    assert_true(c->n < ANSWERS);
    answer *a = &c->at[c->n++];
    a->hold = hold;
    if (body) a->to_send = *body;
    nghttp2_data_provider from = {.source.ptr = a, .read_callback = give};
    a->id = nghttp2_submit_request(c->s, NULL, fields, 4 + nmore, body ? &from : NULL, a);
    assert_true(a->id > 0);
    flush(c);
    return a;
}

static answer *get(client *c, const char *path) { return request(c, "GET", path, NULL, 0, NULL, false); }
static answer *post(client *c, const char *path, wr_str body)
{
    return request(c, "POST", path, NULL, 0, &body, false);
}

static void has(const answer *a, int status, const char *body)
{
    assert_true(a->closed);
    assert_int_equal(a->error, NGHTTP2_NO_ERROR);
    assert_int_equal(a->status, status);
    if (body) assert_string_equal(wr_buf_cstr(&a->body), body);
}

/* ---- requests and answers ---- */

static void test_answers(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    answer *a = wait_for(c, get(c, "/hello"));
    has(a, 200, "hello\n");
    assert_non_null(strstr(a->headers.p, "content-type=text/plain\n"));
    assert_non_null(strstr(a->headers.p, "content-length=6\n"));
    assert_non_null(strstr(a->headers.p, "x-upper=Yes\n"));
    assert_non_null(strstr(a->headers.p, "date="));
    assert_null(strstr(a->headers.p, "connection"));
    has(wait_for(c, get(c, "/nope")), 404, NULL);
    has(wait_for(c, get(c, "/nothing")), 204, "");
    has(wait_for(c, get(c, "/silent")), 500, NULL);
    a = wait_for(c, request(c, "HEAD", "/hello", NULL, 0, NULL, false));
    has(a, 200, "");
    assert_non_null(strstr(a->headers.p, "content-length=6\n"));
    has(wait_for(c, post(c, "/echo", WR_STR("some bytes"))), 200, "some bytes");
    has(wait_for(c, post(c, "/echo", WR_STR(""))), 200, "");
    nghttp2_nv more[] = {nv("x-one", "1"), nv("cookie", "a=b"), nv("host", "A")};
    nghttp2_nv other = nv("host", "other");
    has(wait_for(c, request(c, "GET", "/head", &other, 1, NULL, false)), 400, NULL);
    a = wait_for(c, request(c, "OPTIONS", "/head?q=%20x&y", more, 3, NULL, false));
    has(a, 200, "OPTIONS /head q=%20x&y\nhost=a\nx-one=1\ncookie=a=b");
    hang_up(c);
    stop();
}

static void test_many_at_once(void **state)
{
    (void)state;
    start((wr_http_server_opt){.loops = 2});
    client *c = connected(0);
    hear(c, 1000); /* SETTINGS */
    answer *all[WR_LIMIT_HTTP2_STREAMS];
    char path[32];
    for (int i = 0; i < WR_LIMIT_HTTP2_STREAMS; i++) {
        snprintf(path, sizeof path, "/head?%d", i);
        all[i] = get(c, path);
    }
    for (int i = 0; i < WR_LIMIT_HTTP2_STREAMS; i++) {
        snprintf(path, sizeof path, "GET /head %d", i);
        wait_for(c, all[i]);
        has(all[i], 200, NULL);
        assert_memory_equal(all[i]->body.p, path, strlen(path));
    }
    hang_up(c);
    stop();
}

/* More streams at once than SETTINGS allow, before the client has read them. */
static void test_too_many_streams(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    for (int i = 0; i < WR_LIMIT_HTTP2_STREAMS + 20; i++) get(c, "/later");
    for (int i = 0; i < 20; i++) hear(c, 50);
    int refused = 0;
    for (int i = 0; i < c->n; i++) refused += c->at[i].closed && c->at[i].error == NGHTTP2_REFUSED_STREAM;
    assert_int_equal(refused, 20);
    for (int i = 1; i <= WR_LIMIT_HTTP2_STREAMS; i++) wr_http_finish(wait_deferred(i), &TEXT, WR_STR("late"));
    for (int i = 0; i < WR_LIMIT_HTTP2_STREAMS; i++) has(wait_for(c, &c->at[i]), 200, "late");
    hang_up(c);
    stop();
}

static void test_deferred_out_of_order(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    answer *a = get(c, "/later"), *b = post(c, "/later", WR_STR("abc"));
    wait_deferred(2);
    wr_http_finish(sv.deferred[1], &TEXT, WR_STR("second"));
    has(wait_for(c, b), 200, "second");
    assert_false(a->closed);
    wr_http_finish(sv.deferred[0], &TEXT, WR_STR("first"));
    has(wait_for(c, a), 200, "first");
    hang_up(c);
    stop();
}

/* The stream, then the connection, is gone before the answer is there. */
static void test_deferred_and_gone(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    answer *a = get(c, "/later");
    get(c, "/later");
    wait_deferred(2);
    nghttp2_submit_rst_stream(c->s, NGHTTP2_FLAG_NONE, a->id, NGHTTP2_CANCEL);
    flush(c);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    wr_http_finish(sv.deferred[0], &TEXT, WR_STR("nobody hears it"));
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    hang_up(c);
    usleep(50000);
    wr_http_finish(sv.deferred[1], &TEXT, WR_STR("nobody hears it"));
    stop();
}

static void test_rounds(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    has(wait_for(c, get(c, "/durable")), 200, "stored");
    assert_true(atomic_load(&sv.rounds) > 0);
    atomic_store(&sv.round_rc, WEIR_EIO);
    answer *a = get(c, "/durable"), *b = get(c, "/hello");
    has(wait_for(c, a), 503, NULL);
    assert_null(strstr(a->body.p, "stored"));
    has(wait_for(c, b), 200, "hello\n");
    get(c, "/later");
    answer *last = &c->at[c->n - 1];
    wr_http_finish(wait_deferred(1), &(wr_http_reply_opt){.durable = true}, WR_STR("stored"));
    has(wait_for(c, last), 503, NULL);
    atomic_store(&sv.round_rc, 0);
    has(wait_for(c, get(c, "/durable")), 200, "stored");
    hang_up(c);
    stop();
}

static void test_trailers(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    answer *a = wait_for(c, get(c, "/trailers?body"));
    has(a, 200, "body");
    assert_string_equal(wr_buf_cstr(&a->trailers), "grpc-status=0\ngrpc-message=fine: and so\n");
    a = wait_for(c, get(c, "/trailers"));
    has(a, 200, "");
    assert_string_equal(wr_buf_cstr(&a->trailers), "grpc-status=0\ngrpc-message=fine: and so\n");
    hang_up(c);
    stop();
}

static void test_streams(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    answer *a = get(c, "/events");
    for (int i = 0; i < 100 && !a->body.n; i++) hear(c, 100);
    assert_string_equal(wr_buf_cstr(&a->body), "id: 1\nevent: first\ndata: a\n\n");
    assert_false(a->closed);
    assert_int_equal(wr_http_sse(sv.stream, 2, NULL, WR_STR("b")), 0);
    for (int i = 0; i < 100 && !strstr(wr_buf_cstr(&a->body), "data: b"); i++) hear(c, 100);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n"); /* beside it */
    wr_http_stream_close_with(sv.stream, "grpc-status: 3\r\n");
    has(wait_for(c, a), 200, "id: 1\nevent: first\ndata: a\n\nid: 2\ndata: b\n\n");
    assert_string_equal(wr_buf_cstr(&a->trailers), "grpc-status=3\n");
    has(wait_for(c, get(c, "/sized?0123456789")), 200, "0123456789");
    a = wait_for(c, get(c, "/sized?01234"));
    assert_int_equal(a->error, NGHTTP2_INTERNAL_ERROR);
    a = wait_for(c, request(c, "HEAD", "/events", NULL, 0, NULL, false));
    has(a, 200, "");
    wr_http_stream_close(sv.stream);
    a = get(c, "/events"); /* its reader leaves: the writer hears of it */
    for (int i = 0; i < 100 && !a->body.n; i++) hear(c, 100);
    nghttp2_submit_rst_stream(c->s, NGHTTP2_FLAG_NONE, a->id, NGHTTP2_CANCEL);
    flush(c);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    assert_int_equal(wr_http_stream_write(sv.stream, WR_STR("x")), WEIR_ECANCELED);
    wr_http_stream_close(sv.stream);
    hang_up(c);
    stop();
}

/* A reader that takes nothing: only its stream suffers. */
static void test_slow_reader_of_a_stream(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(100);
    answer *a = get(c, "/events");
    for (int i = 0; i < 100 && !a->body.n; i++) hear(c, 100);
    static char piece[64 << 10];
    memset(piece, 'x', sizeof piece);
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++) {
        rc = wr_http_stream_write(sv.stream, (wr_str){piece, sizeof piece});
        usleep(1000);
    }
    assert_int_equal(rc, WEIR_ECANCELED);
    wr_http_stream_close(sv.stream);
    assert_int_equal(wait_for(c, a)->error, NGHTTP2_CANCEL);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    hang_up(c);
    stop();
}

/* ---- bodies ---- */

static void test_large_bodies(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    char *body = malloc(BODY_MAX + 1);
    assert_non_null(body);
    for (size_t i = 0; i <= BODY_MAX; i++) body[i] = (char)(i * 2654435761u >> 13);
    answer *a = post(c, "/echo", (wr_str){body, BODY_MAX}), *b = get(c, "/big"), *f = get(c, "/file");
    has(wait_for(c, a), 200, NULL);
    assert_int_equal(a->body.n, BODY_MAX);
    assert_memory_equal(a->body.p, body, BODY_MAX);
    has(wait_for(c, b), 200, NULL);
    assert_int_equal(b->body.n, BIG);
    assert_memory_equal(b->body.p, body, BIG);
    has(wait_for(c, f), 200, NULL);
    assert_int_equal(f->body.n, BIG);
    assert_memory_equal(f->body.p, "56789\0\0", 7);
    assert_int_equal(wait_for(c, get(c, "/file?cut"))->error, NGHTTP2_INTERNAL_ERROR);
    a = wait_for(c, post(c, "/echo", (wr_str){body, BODY_MAX + 1}));
    assert_int_equal(a->status, 413);
    nghttp2_nv length = nv("content-length", "4194305"); /* refused before the body is sent */
    a = wait_for(c, request(c, "POST", "/echo", &length, 1, &(wr_str){body, 10}, true));
    has(a, 413, NULL);
    a = wait_for(c, post(c, "/hello", (wr_str){body, 100000}));
    assert_int_equal(a->status, 413);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    hang_up(c);
    stop();
    free(body);
}

static void test_streamed_uploads(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    char *body = calloc(1, BODY_MAX);
    assert_non_null(body);
    has(wait_for(c, post(c, "/upload", (wr_str){body, BODY_MAX})), 200, "hello\n");
    assert_int_equal(atomic_load(&sv.streamed), BODY_MAX);
    has(wait_for(c, post(c, "/upload", WR_STR("a!"))), 409, NULL);
    assert_int_equal(atomic_load(&sv.aborted), 1);
    answer *a = request(c, "POST", "/upload", NULL, 0, &WR_STR("half"), true);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    nghttp2_submit_rst_stream(c->s, NGHTTP2_FLAG_NONE, a->id, NGHTTP2_CANCEL);
    flush(c);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    assert_int_equal(atomic_load(&sv.aborted), 2);
    request(c, "POST", "/upload", NULL, 0, &WR_STR("half"), true);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    hang_up(c);
    for (int i = 0; i < 400 && atomic_load(&sv.aborted) < 3; i++) usleep(5000);
    assert_int_equal(atomic_load(&sv.aborted), 3);
    stop();
    free(body);
}

static wr_http_req *take_paused(void)
{
    pthread_mutex_lock(&sv.lock);
    wr_http_req *r = sv.paused;
    sv.paused = NULL;
    if (r) wr_http_resume(r);
    pthread_mutex_unlock(&sv.lock);
    return r;
}

/* A paused upload takes no more than its window, and others go on; it all arrives. */
static void test_paused_uploads(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    char *body = calloc(1, BODY_MAX);
    assert_non_null(body);
    answer *a = post(c, "/upload?pause", (wr_str){body, BODY_MAX});
    for (int i = 0; i < 20; i++) hear(c, 10);
    int before = atomic_load(&sv.streamed);
    assert_true(before > 0 && before <= WR_LIMIT_HTTP2_WINDOW);
    assert_true(a->to_send.n >= (size_t)BODY_MAX - (size_t)WR_LIMIT_HTTP2_WINDOW - 16384);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    assert_int_equal(atomic_load(&sv.streamed), before);
    for (int i = 0; i < 5000 && !a->closed; i++) {
        take_paused();
        hear(c, 2);
    }
    has(a, 200, "hello\n");
    assert_int_equal(atomic_load(&sv.streamed), BODY_MAX);
    a = post(c, "/upload?pause", (wr_str){body, 100000}); /* reset while it is paused */
    for (int i = 0; i < 20; i++) hear(c, 10);
    nghttp2_submit_rst_stream(c->s, NGHTTP2_FLAG_NONE, a->id, NGHTTP2_CANCEL);
    flush(c);
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    assert_int_equal(atomic_load(&sv.aborted), 1);
    assert_null(take_paused());
    hang_up(c);
    stop();
    free(body);
}

static void test_expect_continue(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    nghttp2_nv more = nv("expect", "100-continue");
    has(wait_for(c, request(c, "POST", "/echo", &more, 1, &WR_STR("later"), false)), 200, "later");
    assert_true(c->continued);
    hang_up(c);
    stop();
}

/* ---- refusals ---- */

static void test_refused_heads(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    static const char *const paths[] = {"http://a/hello", "/a b", "/a\"", "*", "hello", ""};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) { /* by nghttp2 or by us */
        answer *a = wait_for(c, get(c, paths[i]));
        assert_true(a->closed && (a->status == 400 || a->status == 404 || a->error == NGHTTP2_PROTOCOL_ERROR));
    }
    assert_int_equal(atomic_load(&sv.handled), 0);
    char *path = malloc(WR_LIMIT_HTTP_TARGET + 2);
    assert_non_null(path);
    memset(path, 'a', WR_LIMIT_HTTP_TARGET + 1);
    path[0] = '/';
    path[WR_LIMIT_HTTP_TARGET + 1] = 0;
    has(wait_for(c, get(c, path)), 414, NULL);
    free(path);
    nghttp2_nv many[180];
    char names[180][16];
    for (int i = 0; i < 180; i++) {
        snprintf(names[i], sizeof names[i], "x-%d", i);
        many[i] = nv(names[i], "v");
    }
    has(wait_for(c, request(c, "GET", "/hello", many, WR_LIMIT_HTTP_HEADERS - 1, NULL, false)), 200, "hello\n");
    has(wait_for(c, request(c, "GET", "/hello", many, WR_LIMIT_HTTP_HEADERS, NULL, false)), 431, NULL);
    enum { HALF = WR_LIMIT_HTTP_HEAD / 2 }; /* with what every field costs, two are too much */
    char *value = malloc(HALF + 1);
    assert_non_null(value);
    memset(value, 'v', HALF);
    value[HALF] = 0;
    nghttp2_nv large[] = {nv("x-a", value), nv("x-b", value)};
    has(wait_for(c, request(c, "GET", "/hello", large, 1, NULL, false)), 200, "hello\n");
    has(wait_for(c, request(c, "GET", "/hello", large, 2, NULL, false)), 431, NULL);
    free(value);
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"connection", "close"}, {"transfer-encoding", "chunked"}, {"te", "gzip"}, {"x", "a\nb"}, {":path", "/"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) { /* RFC 9113 8.1.1: malformed */
        nghttp2_nv one = nv(bad[i].name, bad[i].value);
        answer *a = wait_for(c, request(c, "GET", "/hello", &one, 1, NULL, false));
        if (!(a->closed && (a->error == NGHTTP2_PROTOCOL_ERROR || a->status == 400)))
            fail_msg("%s: %s: closed %d error %u status %d goaway %d", bad[i].name, bad[i].value, a->closed, a->error,
                     a->status, c->goaway);
    }
    has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    hang_up(c);
    stop();
}

static void test_content_length_must_be_true(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    nghttp2_nv length = nv("content-length", "5");
    answer *a = wait_for(c, request(c, "POST", "/echo", &length, 1, &WR_STR("four"), false));
    assert_int_equal(a->error, NGHTTP2_PROTOCOL_ERROR);
    a = wait_for(c, request(c, "POST", "/echo", &length, 1, &WR_STR("sixsix"), false));
    assert_int_equal(a->error, NGHTTP2_PROTOCOL_ERROR);
    has(wait_for(c, request(c, "POST", "/echo", &length, 1, &WR_STR("fives"), false)), 200, "fives");
    hang_up(c);
    stop();
}

/* ---- floods ---- */

/* What is sent over and over until the server has had enough: it says why and closes. */
static void flood(int kind, int times, bool tolerated)
{
    client *c = connected(0);
    for (int i = 0; i < times && !c->eof; i++) {
        if (kind == 0) nghttp2_submit_ping(c->s, NGHTTP2_FLAG_NONE, NULL);
        if (kind == 1) nghttp2_submit_settings(c->s, NGHTTP2_FLAG_NONE, NULL, 0);
        if (kind == 2) {
            nghttp2_priority_spec spec;
            nghttp2_priority_spec_init(&spec, 0, 10, 0);
            nghttp2_submit_priority(c->s, NGHTTP2_FLAG_NONE, 1 + 2 * i, &spec);
        }
        flush(c);
        hear(c, 0);
    }
    while (hear(c, tolerated ? 100 : 3000)) {}
    if (tolerated) {
        assert_false(c->eof);
        has(wait_for(c, get(c, "/hello")), 200, "hello\n");
    } else {
        assert_true(c->eof);
        assert_int_equal(c->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    hang_up(c);
}

static void test_floods(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    flood(0, 500, true);
    flood(0, 20000, false);
    flood(1, 100, true);
    flood(1, 20000, false);
    flood(2, 20000, false);
    stop();
}

/* "Rapid reset": streams are opened and reset at once, so that SETTINGS never limit them. */
static void test_reset_flood(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    nghttp2_nv fields[] = {nv(":method", "GET"), nv(":scheme", "http"), nv(":authority", "a"), nv(":path", "/hello")};
    int sent = 0;
    for (; sent < 20000 && !c->eof; sent++) {
        int32_t id = nghttp2_submit_request(c->s, NULL, fields, 4, NULL, NULL);
        if (id < 0) break;
        flush(c);
        nghttp2_submit_rst_stream(c->s, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        flush(c);
        if (sent % 50 == 49) hear(c, 0);
    }
    while (hear(c, 3000)) {}
    assert_true(c->eof);
    assert_true(atomic_load(&sv.handled) < 5000);
    hang_up(c);
    client *other = connected(0);
    has(wait_for(other, get(other, "/hello")), 200, "hello\n");
    hang_up(other);
    stop();
}

static void put_frame(wr_buf *b, size_t n, int type, int flags, uint32_t id, const char *payload)
{
    const char head[9] = {(char)(n >> 16),  (char)(n >> 8),   (char)n,         (char)type, (char)flags,
                          (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    wr_buf_add(b, head, 9);
    wr_buf_add(b, payload, n);
}

/* Sends bytes behind preface and SETTINGS; true when the server ends the connection within some seconds. */
static bool raw(const wr_buf *b, bool preface)
{
    WR_AUTOBUF wr_buf all = {0};
    if (preface) {
        wr_buf_str(&all, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        put_frame(&all, 0, NGHTTP2_SETTINGS, 0, 0, "");
    }
    wr_buf_slice(&all, wr_buf_view(b));
    int fd = dial();
    struct timeval tv = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    for (size_t done = 0; done < all.n;) {
        ssize_t w = send(fd, all.p + done, all.n - done, MSG_NOSIGNAL);
        if (w <= 0) break;
        done += (size_t)w;
    }
    char in[4096];
    ssize_t n;
    while ((n = recv(fd, in, sizeof in, 0)) > 0) {}
    bool ended = n == 0 || errno == ECONNRESET;
    close(fd);
    return ended;
}

static void test_broken_frames(void **state)
{
    (void)state;
    start((wr_http_server_opt){.head_ms = 300});
    static const char head[] = "\x82\x84\x86\x41\x01"
                               "a"; /* GET / http a, by HPACK's static table */
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(&b, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"); /* not the preface after all */
    assert_true(raw(&b, false));
    wr_buf_clear(&b);
    wr_buf_str(&b, "PRI * HT"); /* and half of it: the deadline of a head */
    assert_true(raw(&b, false));
    wr_buf_clear(&b);
    put_frame(&b, 6, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, head); /* END_HEADERS never comes */
    assert_true(raw(&b, true));
    wr_buf_clear(&b);
    put_frame(&b, 6, NGHTTP2_HEADERS, 0, 1, head);
    for (int i = 0; i < 5000; i++) put_frame(&b, 0, NGHTTP2_CONTINUATION, 0, 1, "");
    assert_true(raw(&b, true));
    wr_buf_clear(&b);
    put_frame(&b, 6, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head);
    for (int i = 0; i < 5000; i++) put_frame(&b, 0, NGHTTP2_DATA, 0, 1, "");
    assert_true(raw(&b, true));
    wr_buf_clear(&b);
    put_frame(&b, 4, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\0");
    assert_true(raw(&b, true));
    wr_buf_clear(&b);
    put_frame(&b, 6, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2, head); /* an even number */
    assert_true(raw(&b, true));
    wr_buf_clear(&b);
    static char much[20000];
    put_frame(&b, sizeof much, NGHTTP2_DATA, 0, 1, much); /* larger than a frame may be */
    assert_true(raw(&b, true));
    wr_buf_clear(&b);
    put_frame(&b, 4, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\xff\xff\xff\xff"); /* not HPACK */
    assert_true(raw(&b, true));
    stop();
}

/* ---- time ---- */

static void test_deadlines(void **state)
{
    (void)state;
    start((wr_http_server_opt){.body_grace_ms = 200, .write_ms = 400, .idle_ms = 300});
    client *c = connected(0);
    answer *a = request(c, "POST", "/echo", NULL, 0, &WR_STR("slow"), true);
    has(wait_for(c, a), 408, NULL);
    hang_up(c);
    c = connected(1000); /* a window that stays shut */
    a = get(c, "/big");
    wait_for(c, a);
    assert_int_equal(a->error, NGHTTP2_CANCEL);
    assert_int_equal(a->body.n, 1000);
    int64_t from = wr_clock_mono_ns();
    while (!c->eof && wr_clock_mono_ns() - from < 5000000000) hear(c, 100); /* then it is idle */
    assert_true(c->eof);
    hang_up(c);
    stop();
}

static void test_stop_and_close(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    client *c = connected(0);
    answer *a = get(c, "/closing");
    has(wait_for(c, a), 200, "bye");
    while (!c->eof && hear(c, 2000)) {}
    assert_true(c->eof);
    assert_int_equal(c->goaway, NGHTTP2_NO_ERROR);
    hang_up(c);
    c = connected(0);
    client *idle = connected(0);
    hear(idle, 500);
    a = get(c, "/later");
    answer *b = get(c, "/events");
    wait_deferred(1);
    for (int i = 0; i < 100 && !b->body.n; i++) hear(c, 100);
    wr_http_server_stop(sv.server, 5000);
    has(wait_for(c, b), 200, "id: 1\nevent: first\ndata: a\n\n");
    assert_int_equal(wr_http_stream_write(sv.stream, WR_STR("x")), WEIR_ECANCELED);
    wr_http_stream_close(sv.stream);
    assert_int_equal(c->goaway, NGHTTP2_NO_ERROR);
    wr_http_finish(sv.deferred[0], &TEXT, WR_STR("still answered"));
    has(wait_for(c, a), 200, "still answered");
    while (!idle->eof && hear(idle, 2000)) {}
    assert_int_equal(idle->goaway, NGHTTP2_NO_ERROR);
    pthread_join(sv.thread, NULL);
    wr_http_server_close(sv.server);
    hang_up(c);
    hang_up(idle);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    start((wr_http_server_opt){0});
    for (long n = 1; n < 60; n++) {
        client *c = connected(0);
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        answer *a = post(c, "/echo", WR_STR("bytes")), *b = get(c, "/trailers?body");
        for (int i = 0; i < 4 && !(a->closed && b->closed); i++) hear(c, 100);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (a->closed && a->error == 0 && a->status == 200 && !a->body.failed)
            assert_string_equal(wr_buf_cstr(&a->body), "bytes");
        hang_up(c);
    }
    client *c = connected(0);
    has(wait_for(c, post(c, "/echo", WR_STR("bytes"))), 200, "bytes");
    hang_up(c);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_too_many_streams),
        cmocka_unit_test(test_deferred_out_of_order),
        cmocka_unit_test(test_deferred_and_gone),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_slow_reader_of_a_stream),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_streamed_uploads),
        cmocka_unit_test(test_paused_uploads),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_refused_heads),
        cmocka_unit_test(test_content_length_must_be_true),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_reset_flood),
        cmocka_unit_test(test_broken_frames),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_stop_and_close),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
