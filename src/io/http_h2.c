/* SPDX-License-Identifier: Apache-2.0 */
/* http_h2.c - HTTP/2 on a connection: what comes in. Frames, HPACK, windows and the life of streams are nghttp2's; here
 * a stream becomes a wr_http_req, and what nghttp2 does not count is counted.
 *
 *   HEADERS -> whole_head: route, mode -> DATA: body -> whole_body: handler -> answer (http_h2_send.c) -> stream
 * closed: request freed
 *
 * Invariants: (1) the queue holds the requests whose stream nghttp2 knows, `id` says which; (2) a request leaves it in
 * stream_closed() or gone(), nowhere else; a deferred one then lives on without a connection. (3) nghttp2 is only
 * called from feed, settle, sent, stop and expire: handlers run inside of its callbacks, and what they answer waits in
 * the request for the end of the round.
 *
 * Floods: streams are limited by SETTINGS; frames that make us work and change nothing (PING, SETTINGS, RST_STREAM,
 * PRIORITY, empty DATA) pay from a bucket; a request that is reset after its handler ran pays more.
 */
#include <nghttp2/nghttp2.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/http_internal.h"

enum { RESET_COST = 4, INVALID_COST = 20 };
static const int64_t SECOND = 1000000000;

static wr_http_req *request_of(nghttp2_session *s, int32_t id) { return nghttp2_session_get_stream_user_data(s, id); }

/* ---- the queue ---- */

static void push(wr_http_conn *c, wr_http_req *r)
{
    r->prev = c->last;
    r->next = NULL;
    if (c->last) c->last->next = r;
    else c->first = r;
    c->last = r;
    c->nqueue++;
}

/* Its stream is over. */
static void leave(wr_http_conn *c, wr_http_req *r)
{
    if (r->prev) r->prev->next = r->next;
    else c->first = r->next;
    if (r->next) r->next->prev = r->prev;
    else c->last = r->prev;
    c->nqueue--;
    c->body_bytes -= r->counted;
    wr_buf_fini(&r->backlog);
    r->next = r->prev = NULL;
    r->conn = NULL;
    if (r->state == REQ_HELD) r->peer = ""; /* it was the connection's */
    if (r->state == REQ_DEFERRED || r->state == REQ_HELD)
        return; /* the rest of it is somebody else's; freed when it is finished */
    if (r->state == REQ_READING) {
        wr_http_body_abort(r);
        wr_http_req_leave(r);
        return;
    }
    if (r->durable) c->ndurable--;
    if (r->status >= 500) WR_COUNT(c->loop->counts.errors_5xx, 1);
    else if (r->status >= 400) WR_COUNT(c->loop->counts.errors_4xx, 1);
    if (r->state == REQ_STREAMING) wr_http_stream_gone(r->stream);
    wr_http_req_free(r);
}

/* ---- requests ---- */

static void answered(wr_http_conn *c, wr_http_req *r)
{
    r->state = REQ_ANSWERED;
    r->since = c->loop->now;
    if (r->durable) c->ndurable++;
}

static void fail(wr_http_conn *c, wr_http_req *r, int status)
{
    wr_http_body_abort(r);
    wr_buf_fini(&r->backlog);
    r->paused = false;
    wr_http_req_error(r, status < 400 || status > 599 ? 500 : status, false);
    answered(c, r);
}

static void run(wr_http_conn *c, wr_http_req *r)
{
    r->direct = false;
    wr_http_req_run(r);
    if (r->state == REQ_ANSWERED) answered(c, r); /* else it may belong to another thread already */
}

/* A piece of payload; nghttp2 may open the window again for what was handed on. */
static void take(wr_http_conn *c, wr_http_req *r, wr_str piece)
{
    int status = wr_http_body_take(r, r->got, piece);
    if (r->mode == BODY_BUFFER && r->body_cap > r->counted) {
        c->body_bytes += r->body_cap - r->counted;
        r->counted = r->body_cap;
    }
    if (!status && c->body_bytes > WR_LIMIT_HTTP2_BODIES) status = 503;
    if (status) {
        fail(c, r, status);
        return;
    }
    r->got += piece.n;
}

/* What waited behind a pause, then the handler if that was all. */
static void go_on(wr_http_conn *c, wr_http_req *r)
{
    while (r->state == REQ_READING && !r->paused && r->backlog.n) {
        wr_buf piece = r->backlog;
        r->backlog = (wr_buf){0};
        take(c, r, wr_buf_view(&piece));
        nghttp2_session_consume(c->h2, r->id, piece.n);
        wr_buf_fini(&piece);
    }
    if (r->state == REQ_READING && !r->paused && r->whole_body) run(c, r);
}

static void resumed(wr_http_conn *c, wr_http_req *r)
{
    r->paused = false;
    r->since += c->loop->now - r->paused_at; /* that time was not the peer's */
    go_on(c, r);
}

static int send_continue(wr_http_conn *c, const wr_http_req *r)
{
    static uint8_t name[] = ":status", value[] = "100";
    nghttp2_nv nv = {name, value, sizeof name - 1, sizeof value - 1, NGHTTP2_NV_FLAG_NONE};
    return nghttp2_submit_headers(c->h2, NGHTTP2_FLAG_NONE, r->id, NULL, &nv, 1, NULL);
}

/* The head is read. */
static void begin(wr_http_conn *c, wr_http_req *r, bool whole_body)
{
    r->whole_head = true;
    r->whole_body = whole_body;
    r->since = c->loop->now;
    r->peer = c->peer;
    r->encrypted = c->tls != NULL;
    WR_COUNT(c->loop->counts.requests, 1);
    if (!r->refused) r->refused = -wr_http_fields_end(&r->head);
    if (r->refused) {
        r->head.nheaders = 0;
        fail(c, r, r->refused);
        return;
    }
    wr_http_req_route(r);
    if (whole_body) {
        run(c, r);
    } else if (r->head.length > wr_http_body_max(r)) {
        fail(c, r, wr_http_body_refusal(r));
    } else if (r->head.expect_continue) {
        send_continue(c, r);
    }
}

/* ---- what nghttp2 tells ---- */

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
    wr_http_conn *c = arg;
    if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    wr_http_req *r = wr_http_req_new(c->loop);
    if (!r) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    r->conn = c;
    r->id = f->hd.stream_id;
    r->since = c->loop->now;
    wr_http_fields_start(&r->head);
    if (nghttp2_session_set_stream_user_data(s, r->id, r) < 0) {
        wr_http_req_free(r);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    push(c, r);
    return 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t nname,
                     const uint8_t *value, size_t nvalue, uint8_t flags, void *arg)
{
    (void)flags, (void)arg;
    wr_http_req *r = request_of(s, f->hd.stream_id);
    if (!r || r->refused || f->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers of a request are not looked at */
    char *p = wr_arena_alloc(r->arena, nname + nvalue + 1);
    if (!p) {
        r->refused = 503;
        return 0;
    }
    memcpy(p, name, nname);
    memcpy(p + nname, value, nvalue);
    r->refused = -wr_http_fields_add(&r->head, (wr_str){p, nname}, (wr_str){p + nname, nvalue});
    return 0;
}

/* What nghttp2 would leave out in silence. */
static int on_invalid_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t nname,
                             const uint8_t *value, size_t nvalue, uint8_t flags, void *arg)
{
    (void)name, (void)nname, (void)value, (void)nvalue, (void)flags, (void)arg;
    wr_http_req *r = request_of(s, f->hd.stream_id);
    if (r && !r->refused) r->refused = 400;
    return 0;
}

/* A frame that changes nothing has come; who sends too many is shown the door. */
static void pay(wr_http_conn *c, int cost)
{
    int64_t gone = c->loop->now - c->control_at;
    if (gone >= SECOND / 10) {
        int64_t more = c->control_left + gone / (SECOND / WR_LIMIT_HTTP2_CONTROL_RATE);
        c->control_left = more > WR_LIMIT_HTTP2_CONTROL ? WR_LIMIT_HTTP2_CONTROL : (int)more;
        c->control_at = c->loop->now;
    }
    c->control_left -= cost;
    if (c->control_left >= 0 || c->leaving) return;
    c->leaving = true;
    nghttp2_session_terminate_session(c->h2, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void end_of_body(wr_http_conn *c, wr_http_req *r)
{
    if (!r || r->whole_body) return;
    r->whole_body = true;
    if (r->whole_head) go_on(c, r);
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
    wr_http_conn *c = arg;
    wr_http_req *r = f->hd.stream_id ? request_of(s, f->hd.stream_id) : NULL;
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (f->hd.type) {
    case NGHTTP2_HEADERS:
        if (r && !r->whole_head) begin(c, r, end);
        else if (end) end_of_body(c, r);
        break;
    case NGHTTP2_DATA:
        if (end) end_of_body(c, r);
        else if (f->hd.length == 0) pay(c, 1);
        break;
    case NGHTTP2_RST_STREAM:
        pay(c, r && r->state != REQ_READING ? RESET_COST : 1);
        break;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PRIORITY:
        if (!(f->hd.flags & NGHTTP2_FLAG_ACK)) pay(c, 1);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    (void)flags;
    wr_http_conn *c = arg;
    wr_http_req *r = request_of(s, id);
    if (r && r->state == REQ_READING && (r->paused || r->backlog.n)) { /* at most a window of it */
        wr_buf_add(&r->backlog, p, n);
        if (!r->backlog.failed) return 0;
        fail(c, r, 503);
    } else if (r && r->state == REQ_READING) {
        take(c, r, (wr_str){(const char *)p, n});
    }
    nghttp2_session_consume(s, id, n);
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
    (void)code;
    wr_http_req *r = request_of(s, id);
    if (r) leave(arg, r);
    return 0;
}

static int on_invalid(nghttp2_session *s, const nghttp2_frame *f, int code, void *arg)
{
    (void)s, (void)f, (void)code;
    pay(arg, INVALID_COST);
    return 0;
}

/* We have said all, the peer has not: what is still to come of its body is of no use (RFC 9113 8.1). */
static int on_sent(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
    (void)arg;
    bool last =
        (f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA) && (f->hd.flags & NGHTTP2_FLAG_END_STREAM);
    const wr_http_req *r = last ? request_of(s, f->hd.stream_id) : NULL;
    if (r && !r->whole_body) nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- the session ---- */

static int new_session(nghttp2_session **out, wr_http_conn *c)
{
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *opt = NULL;
    int rc = nghttp2_session_callbacks_new(&cb);
    if (rc == 0) rc = nghttp2_option_new(&opt);
    if (rc == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
        nghttp2_option_set_no_auto_window_update(opt, 1);
        nghttp2_option_set_no_closed_streams(opt, 1);
        nghttp2_option_set_max_outbound_ack(
            opt, 2 * WR_LIMIT_HTTP2_CONTROL); /* the bucket is asked first, and says goodbye */
        rc = nghttp2_session_server_new2(out, cb, c, opt);
    }
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(opt);
    return rc;
}

static bool open_session(wr_http_conn *c)
{
    static const nghttp2_settings_entry ours[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, WR_LIMIT_HTTP2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WR_LIMIT_HTTP2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, WR_LIMIT_HTTP_HEAD},
    };
    if (new_session(&c->h2, c) != 0) return false;
    c->control_at = c->loop->now;
    c->control_left = WR_LIMIT_HTTP2_CONTROL;
    return nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, ours, sizeof ours / sizeof *ours) == 0 &&
           nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, WR_LIMIT_HTTP2_CONN_WINDOW) == 0;
}

/* ---- struct wr_conn_ops ---- */

static size_t feed(wr_http_conn *c, char *p, size_t n)
{
    if (!c->h2 && !open_session(c)) c->broken = true;
    if (!c->broken && nghttp2_session_mem_recv(c->h2, (const uint8_t *)p, n) < 0) c->broken = true;
    return n;
}

static char *place(wr_http_conn *c, size_t *n)
{
    (void)c, (void)n;
    return NULL;
}

static void placed(wr_http_conn *c, size_t n) { (void)c, (void)n; }

static bool ready(const wr_http_conn *c) { return wr_conn_unsent(c) < WR_HTTP_OUT_HIGH; }
static bool busy(const wr_http_conn *c) { return c->first || (c->h2 && nghttp2_session_want_write(c->h2)); }

static void finished(wr_http_conn *c, wr_http_req *r)
{
    if (r->durable) c->loop->ran = true; /* its commit is this round's */
    answered(c, r);
}

static void slow(wr_http_conn *c, wr_http_req *r)
{
    nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_CANCEL);
}

/* The round's commit is decided for every durable answer made in it. */
static void decide(wr_http_conn *c, bool failed)
{
    for (wr_http_req *r = c->first; r && c->ndurable; r = r->next) {
        if (r->state != REQ_ANSWERED || !r->durable) continue;
        if (failed) wr_http_req_unkept(r, false);
        r->durable = false;
        c->ndurable--;
    }
}

static void settle(wr_http_conn *c, bool commit_failed)
{
    if (!c->h2) return;
    if (c->ndurable) decide(c, commit_failed);
    for (wr_http_req *r = c->first; r; r = r->next) wr_h2_advance(c, r);
    wr_h2_pump(c);
    if (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2)) c->finishing = c->unread = true;
}

/* `out` has room: frames that are due follow at once, else nothing would wake the connection. */
static void sent(wr_http_conn *c)
{
    if (!c->h2) return;
    wr_h2_pump(c);
    for (wr_http_req *r = c->first; r; r = r->next) {
        if (r->state == REQ_STREAMING) wr_http_stream_sent(r->stream, r->resp.n - r->off);
    }
}

/* When `r` will have waited too long for its peer. */
static int64_t deadline_of(const wr_http_conn *c, const wr_http_req *r)
{
    const wr_http_server *s = c->loop->server;
    if (r->state == REQ_READING) {
        if (r->paused) return INT64_MAX;
        return r->whole_head ? wr_http_body_deadline(s, r->since, r->got) : r->since + s->head_ns;
    }
    return wr_h2_owes(r) ? r->since + s->write_ns : INT64_MAX;
}

static int64_t deadline(const wr_http_conn *c)
{
    int64_t at = INT64_MAX;
    if (c->eof) return at;
    for (const wr_http_req *r = c->first; r; r = r->next) {
        int64_t its = deadline_of(c, r);
        if (its < at) at = its;
    }
    return at;
}

static void expire(wr_http_conn *c)
{
    for (wr_http_req *r = c->first; r; r = r->next) {
        if (deadline_of(c, r) > c->loop->now) continue;
        if (r->state == REQ_READING && !r->whole_head)
            nghttp2_session_terminate_session(c->h2, NGHTTP2_PROTOCOL_ERROR); /* it blocks all */
        else if (r->state == REQ_READING) fail(c, r, 408);
        else nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_CANCEL);
        r->since = c->loop->now;
    }
}

static void at_eof(wr_http_conn *c) { c->broken = true; } /* a peer that is gone reads nothing either */

static void stop(wr_http_conn *c)
{
    if (!c->h2) return;
    if (!c->leaving)
        nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->h2),
                              NGHTTP2_NO_ERROR, NULL, 0);
    c->leaving = true;
    for (wr_http_req *r = c->first; r; r = r->next) {
        if (r->state == REQ_STREAMING && !r->stream->sized) wr_http_stream_end(r->stream);
    }
}

static void gone(wr_http_conn *c)
{
    while (c->first) leave(c, c->first);
    nghttp2_session_del(c->h2);
    c->h2 = NULL;
}

const wr_conn_ops wr_http_h2 = {
    .name = "h2",
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
