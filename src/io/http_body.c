/* SPDX-License-Identifier: Apache-2.0 */
/* http_body.c - what both protocols do with a request: choose its route, take its body, run its handler. */
#include "base/log.h"
#include "base/mem.h"
#include "io/http_internal.h"

static void not_found(wr_http_req *r)
{
    wr_http_req_error(r, 404, false);
    r->state = REQ_ANSWERED;
}

void wr_http_req_route(wr_http_req *r)
{
    const wr_http_server_opt *opt = &r->loop->server->opt;
    r->route = (wr_http_route){0};
    opt->route(opt->ctx, r, &r->route);
    if (!r->route.handle) r->route = (wr_http_route){.handle = not_found};
    r->mode = r->route.body ? BODY_STREAM : r->route.body_max ? BODY_BUFFER : BODY_DROP;
}

void wr_http_req_run(wr_http_req *r)
{
    r->state = REQ_RUNNING;
    r->loop->ran = true;
    r->route.handle(r);
    if (r->state != REQ_RUNNING) return; /* it may belong to another thread already */
    wr_log(WR_LOG_ERROR, "no answer was made for '%.*s'", WR_STR_FMT(r->head.path));
    wr_http_req_error(r, 500, false);
    r->state = REQ_ANSWERED;
}

bool wr_http_body_reserve(wr_http_req *r, size_t need)
{
    if (need <= r->body_cap) return true;
    size_t cap = r->body_cap < 4096 ? 4096 : r->body_cap;
    while (cap < need) cap *= 2;
    if (r->head.has_length) cap = (size_t)r->head.length;
    void *block = wr_alloc(cap + 64);
    if (!block) return false;
    char *mem = (char *)(((uintptr_t)block + 63) & ~(uintptr_t)63);
    if (r->body.n) memcpy(mem, r->body.p, r->body.n);
    wr_free(r->body_block);
    r->body_block = block;
    r->body_mem = mem;
    r->body_cap = cap;
    return true;
}

size_t wr_http_body_max(const wr_http_req *r)
{
    if (r->mode == BODY_STREAM) return SIZE_MAX;
    return r->mode == BODY_BUFFER ? r->route.body_max : (size_t)WR_HTTP_DROP_MAX;
}

int wr_http_body_refusal(const wr_http_req *r) { return r->route.handle == not_found ? 404 : 413; }

int wr_http_body_take(wr_http_req *r, uint64_t got, wr_str piece)
{
    if (piece.n > wr_http_body_max(r) - got) return wr_http_body_refusal(r);
    if (r->mode == BODY_STREAM) {
        int rc = r->route.body(r, piece);
        r->paused = rc == WR_HTTP_PAUSE;
        r->paused_at = r->loop->now;
        return rc < 0 ? -rc : 0;
    }
    if (r->mode != BODY_BUFFER) return 0;
    if (!wr_http_body_reserve(r, (size_t)got + piece.n)) return 503;
    memcpy(r->body_mem + got, piece.p, piece.n);
    r->body = (wr_str){r->body_mem, (size_t)got + piece.n};
    return 0;
}

void wr_http_body_abort(wr_http_req *r)
{
    if (r->mode == BODY_STREAM && r->route.abort) r->route.abort(r);
    r->mode = BODY_NONE;
}

int64_t wr_http_body_deadline(const wr_http_server *s, int64_t since, uint64_t got)
{
    const int64_t ns = 1000000000;
    if (got > (uint64_t)1 << 40) got = (uint64_t)1 << 40;
    int64_t whole = (int64_t)(got / WR_LIMIT_HTTP_BODY_MIN_RATE), part = (int64_t)(got % WR_LIMIT_HTTP_BODY_MIN_RATE);
    return since + s->grace_ns + whole * ns + part * ns / WR_LIMIT_HTTP_BODY_MIN_RATE;
}
