/* SPDX-License-Identifier: Apache-2.0 */
/* http_client_test.c - the client against our server, and against a scripted peer that says what servers say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "io/http_client.h"
#include "io/http_server.h"

/* ---- against our server ---- */

static void echo(wr_http_req *r)
{
    const wr_http_head *h = wr_http_req_head(r);
    char text[200];
    wr_str body = wr_http_req_body(r);
    if (body.n > 1000) {
        wr_http_reply(r, NULL, body);
        return;
    }
    int n = snprintf(text, sizeof text, "%.*s %.*s %.*s", WR_STR_FMT(h->method), WR_STR_FMT(h->target),
                     WR_STR_FMT(body));
    wr_http_reply(r, NULL, (wr_str){text, (size_t)n});
}

static void pieces(wr_http_req *r)
{
    wr_http_stream *s = wr_http_stream_open(r, NULL);
    assert_non_null(s);
    for (int i = 0; i < 100; i++) (void)wr_http_stream_write(s, WR_STR("piece,"));
    wr_http_stream_close(s);
}

static void bye(wr_http_req *r) { wr_http_reply(r, &(wr_http_reply_opt){.close = true}, WR_STR("bye")); }

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    wr_str path = wr_http_req_head(r)->path;
    *out = (wr_http_route){.handle = wr_str_is(path, "/pieces") ? pieces : wr_str_is(path, "/bye") ? bye : echo,
                           .body_max = 4 << 20};
}

typedef struct {
    wr_http_server *server;
    pthread_t thread;
    char url[64];
} fixture;

static void *serve(void *arg)
{
    fixture *f = arg;
    (void)wr_http_server_run(f->server, NULL);
    return NULL;
}

static void start(fixture *f, int port, int idle_ms)
{
    wr_http_server_opt opt = {.route = route, .port = port, .idle_ms = idle_ms};
    assert_int_equal(wr_http_server_open(&f->server, &opt, NULL), 0);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d", wr_http_server_port(f->server));
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void stop(fixture *f)
{
    wr_http_server_stop(f->server, 0);
    pthread_join(f->thread, NULL);
    wr_http_server_close(f->server);
}

static wr_http_client *client(const char *url, int timeout_ms)
{
    wr_http_client *c = NULL;
    wr_err err = {0};
    if (wr_http_client_open(&c, url, timeout_ms, &err) < 0) fail_msg("%s", err.msg);
    return c;
}

static void call_is(wr_http_client *c, const char *method, const char *target, wr_str body, const char *want)
{
    wr_err err = {0};
    int status = 0;
    wr_str reply;
    if (wr_http_client_call(c, method, target, body, &status, &reply, &err) < 0) fail_msg("%s %s", err.msg, err.detail);
    assert_int_equal(status, 200);
    if (!wr_str_is(reply, want)) fail_msg("got '%.*s', want '%s'", WR_STR_FMT(reply), want);
}

static void calls(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    wr_http_client *c = client(f.url, 3000);
    call_is(c, "GET", "/a?b=1", (wr_str){0}, "GET /a?b=1 ");
    call_is(c, "POST", "/b", WR_STR("body"), "POST /b body");
    call_is(c, "POST", "/b", (wr_str){0}, "POST /b ");
    call_is(c, "HEAD", "/b", (wr_str){0}, "");
    call_is(c, "GET", "/bye", (wr_str){0}, "bye"); /* the next call opens a new connection */
    call_is(c, "GET", "/c", (wr_str){0}, "GET /c ");
    int status;
    wr_str reply;
    assert_int_equal(wr_http_client_call(c, "GET", "/pieces", (wr_str){0}, &status, &reply, NULL), 0);
    assert_int_equal(reply.n, 600);
    assert_true(wr_str_starts(reply, "piece,piece,"));
    call_is(c, "GET", "/d", (wr_str){0}, "GET /d ");
    assert_int_equal(wr_http_client_send(c, "GET", "/a b", NULL, (wr_str){0}, NULL), WEIR_EINVAL);
    assert_int_equal(wr_http_client_send(c, "GET", "/a\r\nX: y", NULL, (wr_str){0}, NULL), WEIR_EINVAL);
    assert_int_equal(wr_http_client_send(c, "", "/a", NULL, (wr_str){0}, NULL), WEIR_EINVAL);
    assert_int_equal(wr_http_client_recv(c, &status, &reply, NULL), WEIR_EINVAL);
    wr_http_client_close(c);
    stop(&f);
}

static void large_bodies(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    wr_http_client *c = client(f.url, 5000);
    size_t n = 3 << 20;
    char *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) p[i] = (char)(i * 31 % 251);
    int status;
    wr_str reply;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wr_http_client_call(c, "PUT", "/x", (wr_str){p, n}, &status, &reply, NULL), 0);
        assert_int_equal(reply.n, n);
        assert_memory_equal(reply.p, p, n);
    }
    free(p);
    wr_http_client_close(c);
    stop(&f);
}

static void pipelines(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    wr_http_client *c = client(f.url, 5000);
    enum { N = 20000 }; /* more than all buffers on the way hold */
    char target[32], want[64];
    for (int i = 0; i < N; i++) {
        (void)snprintf(target, sizeof target, "/n/%d", i);
        assert_int_equal(wr_http_client_send(c, "GET", target, NULL, (wr_str){0}, NULL), 0);
    }
    assert_int_equal(wr_http_client_flush(c, NULL), 0);
    for (int i = 0; i < N; i++) {
        int status;
        wr_str reply;
        assert_int_equal(wr_http_client_recv(c, &status, &reply, NULL), 0);
        (void)snprintf(want, sizeof want, "GET /n/%d ", i);
        if (!wr_str_is(reply, want)) fail_msg("answer %d is '%.*s'", i, WR_STR_FMT(reply));
    }
    wr_http_client_close(c);
    stop(&f);
}

/* Both directions fill up: the server stops reading because we do not read, and we must not wait for it. */
static void pipelines_that_fill_both_directions(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    wr_http_client *c = client(f.url, 5000);
    enum { N = 12000, SIZE = 2000 };
    char body[SIZE];
    memset(body, 'b', sizeof body);
    wr_str b = {body, SIZE};
    for (int i = 0; i < N; i++) assert_int_equal(wr_http_client_send(c, "PUT", "/", NULL, b, NULL), 0);
    for (int i = 0; i < N; i++) {
        int status;
        wr_str reply;
        assert_int_equal(wr_http_client_recv(c, &status, &reply, NULL), 0);
        assert_int_equal(reply.n, SIZE);
    }
    wr_http_client_close(c);
    stop(&f);
}

static void reopens_what_the_server_closed(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 60);
    wr_http_client *c = client(f.url, 3000);
    call_is(c, "GET", "/1", (wr_str){0}, "GET /1 ");
    usleep(250000); /* idle too long */
    call_is(c, "GET", "/2", (wr_str){0}, "GET /2 ");
    int port = wr_http_server_port(f.server);
    stop(&f);
    int status;
    wr_str reply;
    wr_err err = {0};
    assert_int_equal(wr_http_client_call(c, "GET", "/3", (wr_str){0}, &status, &reply, &err), WEIR_EUNAVAILABLE);
    assert_true(err.hint[0] != 0);
    start(&f, port, 0);
    call_is(c, "GET", "/4", (wr_str){0}, "GET /4 ");
    wr_http_client_close(c);
    stop(&f);
}

static void addresses(void **state)
{
    (void)state;
    const char *bad[] = {"", "127.0.0.1:80", "https://127.0.0.1", "http://", "http://:80", "http://example.org:80",
                         "http://127.0.0.1:0", "http://127.0.0.1:70000", "http://127.0.0.1:8x",
                         "http://127.0.0.1:80/path", "http://[::1", "http://[::1]80", "http://127.0.0.1:80:80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wr_http_client *c = NULL;
        if (wr_http_client_open(&c, bad[i], 0, NULL) != WEIR_EINVAL) fail_msg("'%s' was taken", bad[i]);
    }
    const char *good[] = {"http://127.0.0.1", "http://localhost:8080/", "HTTP://[::1]:80", "http://[::1]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) wr_http_client_close(client(good[i], 0));
    wr_http_client_close(NULL);
}

/* ---- against a script ---- */

typedef struct {
    int listener, port;
    const char *says;
    bool stays; /* keeps the connection open until the client closes it */
    pthread_t thread;
} script;

static void *play(void *arg)
{
    const script *s = arg;
    char sink[4096];
    int fd = accept(s->listener, NULL, NULL);
    if (fd < 0) return NULL;
    (void)!recv(fd, sink, sizeof sink, 0);
    for (const char *p = s->says; *p; p++) {
        if (send(fd, p, 1, MSG_NOSIGNAL) < 0) break;
    }
    while (s->stays && recv(fd, sink, sizeof sink, 0) > 0) {}
    close(fd);
    return NULL;
}

static wr_http_client *with_script(script *s, const char *says, bool stays, int timeout_ms)
{
    *s = (script){.says = says, .stays = stays, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof sa;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, play, s), 0);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(sa.sin_port));
    return client(url, timeout_ms);
}

static void end_script(script *s, wr_http_client *c)
{
    wr_http_client_close(c);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static void what_servers_say(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        bool stays;
        int rc, status;
        const char *body;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, 0, 200, "ok"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 0\r\n\r\n", true, 0, 201, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n", true,
         0, 200, "abc"},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", false, 0, 200, "until the end"},
        {"HTTP/1.1 204 No Content\r\n\r\n", true, 0, 204, ""},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", true, 0, 304, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", false, WEIR_EIO, 0, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false, WEIR_EIO, 0, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", true, WEIR_EPARSE, 0, ""},
        {"HTTP/1.1 20", false, WEIR_EIO, 0, ""},
        {"", false, WEIR_EIO, 0, ""},
        {"SSH-2.0-x\r\n\r\n", true, WEIR_EPARSE, 0, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", true, WEIR_EPARSE, 0, ""},
        {"HTTP/1.1 200 OK\r\n", true, WEIR_ETIMEOUT, 0, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true, WEIR_ETIMEOUT, 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        script s;
        wr_http_client *c = with_script(&s, rows[i].says, rows[i].stays, rows[i].rc == WEIR_ETIMEOUT ? 100 : 3000);
        int status = 0;
        wr_str body = {0};
        wr_err err = {0};
        int rc = wr_http_client_call(c, "GET", "/", (wr_str){0}, &status, &body, &err);
        if (rc != rows[i].rc) fail_msg("row %zu: got %d (%s), want %d", i, rc, err.msg, rows[i].rc);
        if (rc == 0 && status != rows[i].status) fail_msg("row %zu: status %d", i, status);
        if (rc == 0 && !wr_str_is(body, rows[i].body)) fail_msg("row %zu: body '%.*s'", i, WR_STR_FMT(body));
        end_script(&s, c);
    }
}

static void answers_that_will_not_come(void **state)
{
    (void)state;
    script s;
    const char *says = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na";
    wr_http_client *c = with_script(&s, says, false, 3000);
    int status;
    wr_str body;
    for (int i = 0; i < 2; i++) assert_int_equal(wr_http_client_send(c, "GET", "/", NULL, (wr_str){0}, NULL), 0);
    assert_int_equal(wr_http_client_recv(c, &status, &body, NULL), 0); /* sends what is queued */
    assert_int_equal(wr_http_client_recv(c, &status, &body, NULL), WEIR_EIO);
    assert_int_equal(wr_http_client_recv(c, &status, &body, NULL), WEIR_EINVAL); /* nothing is outstanding now */
    end_script(&s, c);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    bool fired = true;
    for (int n = 1; fired && n < 50; n++) {
        script s;
        const char *says = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        wr_http_client *c = with_script(&s, says, false, 3000);
        int status;
        wr_str body;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_http_client_call(c, "GET", "/", (wr_str){0}, &status, &body, NULL);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc < 0, fired);
        shutdown(s.listener, SHUT_RDWR); /* it may not have been called */
        end_script(&s, c);
    }
    assert_false(fired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(pipelines),
        cmocka_unit_test(pipelines_that_fill_both_directions),
        cmocka_unit_test(reopens_what_the_server_closed),
        cmocka_unit_test(addresses),
        cmocka_unit_test(what_servers_say),
        cmocka_unit_test(answers_that_will_not_come),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
