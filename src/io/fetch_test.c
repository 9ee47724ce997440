/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_test.c - requests against our own server. Without libcurl they are skipped. */
#include "io/fetch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/http_server.h"

typedef struct {
    wr_http_server *server;
    pthread_t thread;
    wr_fetch *fetch;
    wr_fetch_reply reply;
    wr_err err;
    char url[64];
} place;

/* Says what it was asked: "METHOD target|x-note|body". */
static void echo(wr_http_req *r)
{
    WR_AUTOBUF wr_buf b = {0};
    const wr_http_head *h = wr_http_req_head(r);
    wr_http_reply_opt opt = {.headers = "X-Note: heard\r\n", .type = "text/plain"};
    wr_buf_slice(&b, h->method);
    wr_buf_char(&b, ' ');
    wr_buf_slice(&b, h->path);
    wr_buf_char(&b, '|');
    wr_buf_slice(&b, wr_http_get(h, "x-note"));
    wr_buf_char(&b, '|');
    wr_buf_slice(&b, wr_http_req_body(r));
    if (wr_str_is(h->path, "/moved")) opt = (wr_http_reply_opt){.status = 302, .headers = "Location: /elsewhere\r\n"};
    if (wr_str_is(h->path, "/wrong")) opt.status = 400;
    wr_http_reply(r, &opt, wr_buf_view(&b));
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx, (void)r;
    *out = (wr_http_route){.handle = echo, .body_max = 16 << 20};
}

static void *serve(void *arg)
{
    wr_http_server_run(arg, NULL);
    return NULL;
}

static int setup(void **state)
{
    static place p;
    p = (place){0};
    wr_http_server_opt opt = {.route = route};
    *state = &p;
    if (wr_fetch_open(&p.fetch, &p.err) < 0) return p.err.code == WEIR_EUNAVAILABLE ? 0 : -1;
    assert_int_equal(wr_http_server_open(&p.server, &opt, &p.err), 0);
    snprintf(p.url, sizeof p.url, "http://127.0.0.1:%d", wr_http_server_port(p.server));
    return pthread_create(&p.thread, NULL, serve, p.server);
}

static int teardown(void **state)
{
    place *p = *state;
    if (!p->fetch) return 0;
    wr_fetch_reply_free(&p->reply);
    wr_fetch_close(p->fetch);
    wr_http_server_stop(p->server, 1000);
    pthread_join(p->thread, NULL);
    wr_http_server_close(p->server);
    return 0;
}

static int run(place *p, const char *target, wr_fetch_opt opt)
{
    char url[128];
    snprintf(url, sizeof url, "%s%s", p->url, target);
    opt.url = url;
    p->err = (wr_err){0};
    return wr_fetch_run(&p->reply, p->fetch, &opt, &p->err);
}

#define NEEDS_CURL                                                                                                     \
    place *p = *state;                                                                                                 \
    if (!p->fetch) skip()

static void asks(void **state)
{
    NEEDS_CURL;
    const char *headers[] = {"X-Note: hello", "Content-Type: application/json"};
    assert_int_equal(run(p, "/a?b=c", (wr_fetch_opt){.method = "GET", .headers = headers, .nheaders = 2}), 0);
    assert_int_equal(p->reply.status, 200);
    assert_string_equal(wr_buf_cstr(&p->reply.body), "GET /a|hello|");
    assert_true(wr_str_is(wr_fetch_header(&p->reply, "x-NOTE"), "heard"));
    assert_null(wr_fetch_header(&p->reply, "x-none").p);
    assert_int_equal(
        run(p, "/b", (wr_fetch_opt){.method = "POST", .body = WR_STR("{}"), .headers = headers, .nheaders = 2}), 0);
    assert_string_equal(wr_buf_cstr(&p->reply.body), "POST /b|hello|{}");
    assert_int_equal(run(p, "/c", (wr_fetch_opt){.method = "DELETE"}), 0); /* nothing is left of the one before */
    assert_string_equal(wr_buf_cstr(&p->reply.body), "DELETE /c||");
    assert_int_equal(run(p, "/d", (wr_fetch_opt){.method = "HEAD"}), 0);
    assert_int_equal(p->reply.body.n, 0);
    assert_int_equal(run(p, "/wrong", (wr_fetch_opt){.method = "GET"}), 0); /* an answer is no error */
    assert_int_equal(p->reply.status, 400);
}

/* A redirect is an answer, not an order. */
static void redirects_are_not_followed(void **state)
{
    NEEDS_CURL;
    assert_int_equal(run(p, "/moved", (wr_fetch_opt){.method = "GET"}), 0);
    assert_int_equal(p->reply.status, 302);
    assert_true(wr_str_is(wr_fetch_header(&p->reply, "location"), "/elsewhere"));
}

/* ---- pieces ---- */

typedef struct {
    int64_t left;
    wr_buf got;
    bool stop;
} pieces;

static int64_t give(void *arg, char *to, size_t n)
{
    pieces *x = arg;
    size_t now = (size_t)x->left < n ? (size_t)x->left : n;
    memset(to, 'x', now);
    x->left -= (int64_t)now;
    return x->stop ? -1 : (int64_t)now;
}

static int take(void *arg, wr_str piece)
{
    pieces *x = arg;
    wr_buf_slice(&x->got, piece);
    return x->stop ? -1 : 0;
}

static void in_pieces(void **state)
{
    NEEDS_CURL;
    pieces x = {.left = 3 << 20};
    wr_fetch_opt opt = {.method = "PUT", .read = give, .size = x.left, .write = take, .arg = &x};
    assert_int_equal(run(p, "/big", opt), 0);
    assert_int_equal(x.got.n, strlen("PUT /big||") + (3 << 20));
    assert_int_equal(p->reply.body.n, 0);
    wr_buf_clear(&x.got);
    x.left = 10;
    opt.size = 10;
    opt.max = 8;
    assert_int_equal(run(p, "/wrong", opt), 0); /* what went wrong is told, not taken for the content */
    assert_int_equal(x.got.n, 0);
    assert_string_equal(wr_buf_cstr(&p->reply.body), "PUT /wro");
    x = (pieces){.left = 10, .got = x.got, .stop = true};
    assert_true(run(p, "/big", opt) < 0);
    wr_buf_fini(&x.got);
}

/* ---- refusals ---- */

static void refusals(void **state)
{
    NEEDS_CURL;
    assert_int_equal(run(p, "/a", (wr_fetch_opt){.method = "GET", .public_only = true}), WEIR_EACCESS);
    assert_non_null(strstr(p->err.detail, "not one of the open internet"));
    assert_true(run(p, "/a", (wr_fetch_opt){.method = "GET", .https_only = true}) < 0);
    assert_int_equal(run(p, "/a", (wr_fetch_opt){.method = "GET", .max = 3}), WEIR_ELIMIT);
    wr_fetch_opt nobody = {.method = "GET", .url = "http://127.0.0.1:1/"};
    assert_int_equal(wr_fetch_run(&p->reply, p->fetch, &nobody, &p->err), WEIR_EUNAVAILABLE);
    wr_fetch_opt file = {.method = "GET", .url = "file:///etc/passwd"};
    assert_true(wr_fetch_run(&p->reply, p->fetch, &file, &p->err) < 0);
    assert_int_equal(p->reply.body.n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(asks), T(redirects_are_not_followed), T(in_pieces), T(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
