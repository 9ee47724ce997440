/* SPDX-License-Identifier: Apache-2.0 */
/* http_h1.c - HTTP/1.1 on a connection: head, body, handler, answers in order.
 *
 *   PHASE_HEAD -> (body still to come) PHASE_BODY -> PHASE_HEAD ...   -> PHASE_OVER after the last request or an error
 *
 * Invariants: (1) the queue holds the requests whose head was read and whose answer is not in `out`, in order of
 * arrival; (2) `reading` is the last of the queue, and not NULL exactly in PHASE_BODY; (3) in PHASE_OVER no byte is
 * looked at. Nothing is parsed after an error: where the next request would begin is then a matter of opinion.
 */
#include "base/log.h"
#include "base/mem.h"
#include "io/http_internal.h"

enum { PLACE_MIN = 4 << 10 }; /* shorter rests of a body are read together with what follows */

/* ---- the queue ---- */

static void push(wr_http_conn *c, wr_http_req *r)
{
    r->next = NULL;
    if (c->last) c->last->next = r;
    else c->first = r;
    c->last = r;
    c->nqueue++;
}

/* Takes the first one out; it goes back to the loop. */
static void pop(wr_http_conn *c)
{
    wr_http_req *r = c->first;
    c->first = r->next;
    if (!c->first) c->last = NULL;
    c->nqueue--;
    if (!r->direct) c->queue_bytes -= r->resp.n;
    wr_http_loop *l = c->loop;
    if (r->status >= 500) WR_COUNT(l->counts.errors_5xx, 1);
    else if (r->status >= 400) WR_COUNT(l->counts.errors_4xx, 1);
    wr_http_req_free(r);
}

/* No more requests on this connection. */
static void over(wr_http_conn *c)
{
    c->phase = PHASE_OVER;
    c->reading = NULL;
    c->head_since = c->body_since = 0;
}

/* An answer in the queue is complete. */
static void answered(wr_http_conn *c, wr_http_req *r)
{
    r->state = REQ_ANSWERED;
    if (!r->direct) c->queue_bytes += r->resp.n;
    if (r->durable) c->ndurable++;
    if (r->close && r == c->last) over(c);
}

static void fail(wr_http_conn *c, wr_http_req *r, int status)
{
    if (r == c->reading) wr_http_body_abort(r);
    over(c);
    c->unread = true;
    wr_http_req_error(r, status < 400 || status > 599 ? 500 : status, true);
    answered(c, r);
}

/* ---- running a handler ---- */

static void run(wr_http_conn *c, wr_http_req *r)
{
    r->direct = r == c->first && c->file.length == 0; /* its answer may go straight to `out` */
    wr_http_req_run(r);
    if (r->state != REQ_ANSWERED) return; /* it may belong to another thread already */
    answered(c, r);
    if (!r->direct) return;
    if (r->close) c->finishing = true;
    pop(c);
}

/* What follows a request that is read to its end. */
static void next_phase(wr_http_conn *c, const wr_http_req *r)
{
    c->reading = NULL;
    c->body_since = 0;
    c->phase = r->head.keep_alive ? PHASE_HEAD : PHASE_OVER;
}

/* ---- bodies ---- */

/* A piece of payload. False when the request failed. */
static bool piece_of(wr_http_conn *c, wr_http_req *r, wr_str piece)
{
    int status = wr_http_body_take(r, c->body_got, piece);
    if (status) {
        fail(c, r, status);
        return false;
    }
    c->body_got += piece.n;
    return true;
}

static void body_done(wr_http_conn *c, wr_http_req *r)
{
    next_phase(c, r);
    r->want_continue = false;
    run(c, r);
}

static size_t take_chunks(wr_http_conn *c, wr_http_req *r, wr_str in)
{
    size_t n = in.n;
    wr_str piece;
    int rc;
    while ((rc = wr_http_chunks_next(&c->chunks, &in, &piece)) == 1) {
        if (!piece_of(c, r, piece)) return n;
        if (r->paused) return n - in.n;
    }
    if (rc < 0) {
        fail(c, r, -rc);
        return n;
    }
    if (c->chunks.done) body_done(c, r);
    return n - in.n;
}

static size_t take_body(wr_http_conn *c, wr_str in)
{
    wr_http_req *r = c->reading;
    if (r->head.chunked) return take_chunks(c, r, in);
    if (in.n > c->body_left) in.n = (size_t)c->body_left;
    if (!piece_of(c, r, in)) return in.n;
    c->body_left -= in.n;
    if (c->body_left == 0 && !r->paused) body_done(c, r);
    return in.n;
}

static void resumed(wr_http_conn *c, wr_http_req *r)
{
    r->paused = false;
    c->body_since += c->loop->now - r->paused_at; /* that time was not the peer's */
    if (!r->head.chunked && c->body_left == 0) body_done(c, r);
    wr_conn_retry(c);
}

/* The body comes with later reads: keep the head, make room. */
static void start_body(wr_http_conn *c, wr_http_req *r, bool some_came)
{
    c->phase = PHASE_BODY;
    c->reading = r;
    c->body_since = c->loop->now;
    c->body_left = r->head.length;
    c->body_got = 0;
    wr_http_chunks_init(&c->chunks);
    r->want_continue = r->head.expect_continue && !some_came;
    bool room = wr_http_req_secure(r);
    if (room && r->mode == BODY_BUFFER && r->head.has_length) room = wr_http_body_reserve(r, (size_t)r->head.length);
    if (!room) fail(c, r, 503);
}

/* ---- heads ---- */

/* A head is read. Returns how much of `rest`, the bytes behind it, was its body. */
static size_t begin(wr_http_conn *c, wr_http_req *r, wr_str rest)
{
    const wr_http_head *h = &r->head;
    WR_COUNT(c->loop->counts.requests, 1);
    r->peer = c->peer;
    r->encrypted = c->tls != NULL;
    wr_http_req_route(r);
    if (!h->chunked && h->length == 0) {
        next_phase(c, r);
        run(c, r);
        return 0;
    }
    if (h->length > wr_http_body_max(r)) {
        fail(c, r, wr_http_body_refusal(r));
        return rest.n;
    }
    if (r->mode == BODY_BUFFER && !h->chunked && rest.n >= h->length) { /* all is there: no copy */
        r->body = (wr_str){rest.p, (size_t)h->length};
        next_phase(c, r);
        run(c, r);
        return (size_t)h->length;
    }
    start_body(c, r, rest.n > 0);
    return 0;
}

static size_t take_head(wr_http_conn *c, wr_str in)
{
    wr_http_req *r = wr_http_req_new(c->loop);
    if (!r) {
        c->broken = true;
        over(c);
        return in.n;
    }
    wr_http_forms *forms = c->loop->forms;
    bool alike = wr_http_forms_read(&r->head, forms, &c->form, in);
    int rc = alike ? 1 : wr_http_parse_request(&r->head, in, &c->scanned);
    if (rc == 1 && !alike) wr_http_forms_keep(forms, &c->form, &r->head, in);
    if (rc == 0) {
        if (!c->head_since) c->head_since = c->loop->now;
        wr_http_req_free(r);
        return 0;
    }
    c->scanned = 0;
    c->head_since = 0;
    r->conn = c;
    push(c, r);
    if (rc < 0) {
        r->head = (wr_http_head){0}; /* it may hold slices of the request that `r` was before */
        fail(c, r, -rc);
        return in.n;
    }
    return r->head.size + begin(c, r, wr_str_sub(in, r->head.size, in.n));
}

/* ---- struct wr_conn_ops ---- */

static bool ready(const wr_http_conn *c)
{
    if (c->phase == PHASE_BODY) return !c->reading->paused;
    if (c->phase == PHASE_OVER) return c->first && c->first->state == REQ_STREAMING; /* only to see it go away */
    return !c->loop->stopping && c->nqueue < WR_LIMIT_HTTP_PIPELINE &&
           wr_conn_unsent(c) + c->queue_bytes < WR_HTTP_OUT_HIGH;
}

static size_t feed(wr_http_conn *c, char *p, size_t n)
{
    size_t at = 0;
    while (at < n) {
        wr_str in = {p + at, n - at};
        if (c->phase == PHASE_OVER) {
            c->unread = true;
            return n;
        }
        if (!ready(c)) break;
        size_t took = c->phase == PHASE_BODY ? take_body(c, in) : take_head(c, in);
        if (took == 0) break;
        at += took;
    }
    return at;
}

static char *place(wr_http_conn *c, size_t *n)
{
    const wr_http_req *r = c->reading;
    if (!r || r->mode != BODY_BUFFER || r->head.chunked || c->body_left < PLACE_MIN) return NULL;
    *n = (size_t)c->body_left;
    return r->body_mem + c->body_got;
}

static void placed(wr_http_conn *c, size_t n)
{
    wr_http_req *r = c->reading;
    c->body_got += n;
    c->body_left -= n;
    r->body = (wr_str){r->body_mem, (size_t)c->body_got};
    if (c->body_left == 0) body_done(c, r);
}

static bool busy(const wr_http_conn *c) { return c->first != NULL; }

static void finished(wr_http_conn *c, wr_http_req *r)
{
    if (r->durable) c->loop->ran = true; /* its commit is this round's */
    answered(c, r);
}

static void slow(wr_http_conn *c, wr_http_req *r)
{
    (void)r;
    c->broken = true;
}

/* The round's commit is decided for every durable answer made in it. */
static void decide(wr_http_conn *c, bool failed)
{
    for (wr_http_req *r = c->first; r && c->ndurable; r = r->next) {
        if (r->state != REQ_ANSWERED || !r->durable) continue;
        if (failed) {
            c->queue_bytes -= r->resp.n;
            wr_http_req_unkept(r, r->close);
            c->queue_bytes += r->resp.n;
        }
        r->durable = false;
        c->ndurable--;
    }
}

static void move_answer(wr_http_conn *c, wr_http_req *r)
{
    if (r->resp.failed) c->broken = true;
    if (c->out.n == 0 && r->resp.n > c->out.cap) { /* a large one changes hands instead of being copied */
        wr_buf t = c->out;
        c->out = r->resp;
        r->resp = t;
        c->queue_bytes -= c->out.n;
        c->queue_bytes += r->resp.n;
        return;
    }
    wr_buf_slice(&c->out, wr_buf_view(&r->resp));
}

/* Deals with the first of the queue; false when it has to wait. */
static bool settle_first(wr_http_conn *c, wr_http_req *r)
{
    if (r->state == REQ_READING && r->want_continue) {
        wr_buf_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        r->want_continue = false;
    }
    if (r->state == REQ_STREAMING) {
        if (!wr_http_stream_pull(r->stream, &c->out)) return false;
        if (wr_http_stream_short(r->stream)) c->broken = true;
        wr_http_stream_gone(r->stream);
    } else if (r->state == REQ_ANSWERED) {
        move_answer(c, r);
        if (r->has_file) c->file = r->file;
        r->has_file = false;
    } else {
        return false;
    }
    if (r->close) c->finishing = true;
    pop(c);
    return true;
}

/* A stream's writer is told how much of it is still here. */
static void sent(wr_http_conn *c)
{
    if (c->first && c->first->state == REQ_STREAMING) wr_http_stream_sent(c->first->stream, wr_conn_unsent(c));
}

static void settle(wr_http_conn *c, bool commit_failed)
{
    if (c->ndurable) decide(c, commit_failed);
    while (c->first && !c->finishing && c->file.length == 0 && settle_first(c, c->first)) {}
    if (c->finishing) over(c);
}

/* From here on the body came slower than the rate; or the head's absolute deadline. */
static int64_t deadline(const wr_http_conn *c)
{
    const wr_http_server *s = c->loop->server;
    if (c->eof) return INT64_MAX;
    if (c->head_since) return c->head_since + s->head_ns;
    if (!c->body_since || (c->reading && c->reading->paused)) return INT64_MAX;
    return wr_http_body_deadline(s, c->body_since, c->body_got);
}

static void expire(wr_http_conn *c)
{
    wr_http_req *r = c->reading;
    if (!r) {
        r = wr_http_req_new(c->loop);
        if (!r) {
            c->broken = true;
            return;
        }
        r->conn = c;
        r->head.nheaders = 0;
        r->head.keep_alive = false;
        push(c, r);
    }
    wr_buf_clear(&c->held);
    fail(c, r, 408);
}

/* The last of the queue will not be answered any more. */
static void drop_reading(wr_http_conn *c)
{
    wr_http_req *r = c->reading, **at = &c->first;
    wr_http_req *before = NULL;
    while (*at != r) {
        before = *at;
        at = &before->next;
    }
    *at = NULL;
    c->last = before;
    c->nqueue--;
    wr_http_body_abort(r);
    wr_http_req_leave(r);
    over(c);
}

static void at_eof(wr_http_conn *c)
{
    c->head_since = 0;
    if (c->reading) drop_reading(c);
    bool events = c->first && c->first->state == REQ_STREAMING && !c->first->stream->sized;
    if (events) c->broken = true; /* nobody reads events after closing */
}

static void stop(wr_http_conn *c)
{
    if (c->phase == PHASE_HEAD) over(c);
    for (wr_http_req *r = c->first; r; r = r->next) {
        if (r->state == REQ_STREAMING && !r->stream->sized)
            wr_http_stream_end(r->stream); /* a sized one has its own end */
    }
}

static void gone(wr_http_conn *c)
{
    if (c->reading) drop_reading(c);
    for (wr_http_req *r = c->first, *next; r; r = next) {
        next = r->next;
        r->conn = NULL;
        if (r->state == REQ_HELD) r->peer = ""; /* it was the connection's */
        if (r->state == REQ_STREAMING) wr_http_stream_gone(r->stream);
        if (r->state != REQ_DEFERRED && r->state != REQ_HELD) wr_http_req_free(r); /* those when they are finished */
    }
    c->first = c->last = NULL;
    c->nqueue = c->ndurable = 0;
}

const wr_conn_ops wr_http_h1 = {
    .name = "http/1.1",
    .feed = feed,
    .place = place,
    .placed = placed,
    .ready = ready,
    .busy = busy,
    .finished = finished,
    .slow = slow,
    .resumed = resumed,
    .settle = settle,
    .sent = sent,
    .deadline = deadline,
    .expire = expire,
    .eof = at_eof,
    .stop = stop,
    .gone = gone,
};
