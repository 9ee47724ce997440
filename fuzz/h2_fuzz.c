/* SPDX-License-Identifier: Apache-2.0 */
/* h2_fuzz.c - any bytes from an HTTP/2 client, in pieces, on a connection without a socket. Handlers answer at once,
 * take bodies whole or piece by piece, pause, fail. What is queued stays within its limits, and when the connection
 * goes nothing of it is left.
 *
 * The first byte of the input is the size of the pieces; the preface is sent before the rest. */
#include <stdint.h>
#include <stdlib.h>

#include "io/http_grpc.h"
#include "io/http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static wr_http_server h2_server;
static wr_http_loop h2_loop;
static wr_http_req *h2_paused;
static size_t h2_uploads; /* bodies that were begun and neither finished nor aborted */

static void h2_require(bool ok)
{
    if (!ok) abort();
}

static void h2_echo(wr_http_req *r)
{
    wr_http_reply(r, &(wr_http_reply_opt){.type = "text/plain", .trailers = "x: y\r\n"}, wr_http_req_body(r));
}

static void h2_grpc(wr_http_req *r)
{
    wr_str message;
    wr_err err = {0};
    WR_AUTOBUF wr_buf b = {0};
    if (wr_grpc_message(&message, wr_http_req_body(r), &err) < 0) {
        wr_grpc_fail_err(r, &err);
        return;
    }
    wr_grpc_begin(&b);
    wr_buf_slice(&b, message);
    wr_grpc_reply(r, true, &b);
}

static int h2_piece(wr_http_req *r, wr_str piece)
{
    h2_require(piece.n > 0);
    if (!wr_http_req_user(r)) {
        wr_http_req_set_user(r, &h2_uploads);
        h2_uploads++;
    }
    if (piece.p[0] == '!') return -409;
    if (piece.p[0] != '?' || h2_paused) return 0;
    h2_paused = r;
    return WR_HTTP_PAUSE;
}

static void h2_ended(wr_http_req *r)
{
    if (wr_http_req_user(r)) h2_uploads--;
    wr_http_req_set_user(r, NULL);
    if (h2_paused == r) h2_paused = NULL;
}

static void h2_uploaded(wr_http_req *r)
{
    h2_ended(r);
    wr_http_reply(r, &(wr_http_reply_opt){.status = 201, .close = wr_http_req_head(r)->query.n > 0}, (wr_str){0});
}

static void h2_route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    const wr_http_head *h = wr_http_req_head(r);
    h2_require(h->method.n && h->path.n && h->nheaders <= WR_LIMIT_HTTP_HEADERS);
    if (wr_grpc_is(r)) *out = (wr_http_route){.handle = h2_grpc, .body_max = 4096};
    else if (wr_str_is(h->method, "PUT"))
        *out = (wr_http_route){.handle = h2_uploaded, .body = h2_piece, .abort = h2_ended};
    else if (wr_str_is(h->path, "/")) *out = (wr_http_route){.handle = h2_echo, .body_max = 4096};
}

static int h2_round(void *ctx, int loop) { return ((void)ctx, (void)loop, 0); }

static void h2_setup(void)
{
    static wr_http_conn *none[1];
    h2_server.opt.route = h2_route;
    h2_server.opt.round_end = h2_round;
    h2_server.head_ns = h2_server.grace_ns = h2_server.write_ns = 1000000000;
    h2_loop.server = &h2_server;
    h2_loop.conns = none;
}

/* What a round does after reading; time passes. */
static void h2_settle(wr_http_conn *c)
{
    size_t n = 0;
    for (wr_http_req *r = c->first; r; r = r->next) n++;
    h2_require(n == c->nqueue && n <= WR_LIMIT_HTTP2_STREAMS && c->body_bytes <= WR_LIMIT_HTTP2_BODIES + (1 << 20));
    h2_loop.now += 30000000;
    if (c->ops->deadline(c) <= h2_loop.now) c->ops->expire(c);
    c->ops->settle(c, h2_loop.now % 7 == 0);
    wr_buf_clear(&c->out);
    c->out_off = 0;
    if (!c->broken) c->ops->sent(c);
    wr_buf_clear(&c->out);
    wr_http_req *r = h2_paused;
    if (r && h2_loop.now % 2 == 0) {
        h2_paused = NULL;
        c->ops->resumed(c, r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (size == 0) return 0;
    if (!h2_loop.server) h2_setup();
    h2_loop.now = 1;
    wr_http_conn *c = calloc(1, sizeof *c);
    h2_require(c != NULL);
    *c = (wr_http_conn){.loop = &h2_loop, .fd = -1, .ops = &wr_http_h2};
    WR_AUTOBUF wr_buf all = {0};
    wr_buf_str(&all, preface);
    wr_buf_add(&all, data + 1, size - 1);
    size_t step = 1 + (size_t)data[0] * 4;
    for (size_t at = 0; at < all.n && !c->broken && !c->finishing; at += step) {
        size_t n = all.n - at < step ? all.n - at : step;
        h2_require(c->ops->feed(c, all.p + at, n) == n);
        if (!c->broken) h2_settle(c);
    }
    if (size % 2 && !c->broken) {
        c->ops->stop(c);
        h2_settle(c);
    }
    c->ops->gone(c);
    h2_require(!c->first && !c->last && c->nqueue == 0 && c->ndurable == 0 && c->body_bytes == 0 && !c->h2);
    h2_require(h2_uploads == 0 && !h2_paused);
    wr_buf_fini(&c->out);
    free(c);
    return 0;
}
