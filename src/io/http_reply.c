/* SPDX-License-Identifier: Apache-2.0 */
/* http_reply.c - the request as handlers see it, and how answers are written.
 *
 * Requests are kept in a list of their loop with their arena and buffers: after the first few, a request that is
 * answered at once allocates nothing.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/json.h"
#include "io/http_internal.h"

enum { KEEP_REQS = 256, KEEP_ARENA = 256 << 10 };

/* ---- life ---- */

wr_http_req *wr_http_req_new(wr_http_loop *l)
{
    wr_http_req *r = l->free_reqs;
    if (r) {
        l->free_reqs = r->next;
        l->nfree_reqs--;
    } else {
        r = wr_alloc(sizeof *r);
        if (!r) return NULL;
        memset(r, 0, offsetof(wr_http_req, head)); /* the head is 3 KiB and written by the parser */
        wr_buf_init(&r->resp, 0);
        r->arena = wr_arena_new(0);
        if (!r->arena) {
            wr_free(r);
            return NULL;
        }
    }
    r->next = NULL;
    r->loop = l;
    r->state = REQ_READING;
    return r;
}

static void drop_file(wr_http_req *r)
{
    if (r->has_file) close(r->file.fd);
    r->has_file = false;
}

void wr_http_req_destroy(wr_http_req *r)
{
    drop_file(r);
    wr_arena_free(r->arena);
    wr_buf_fini(&r->resp);
    wr_free(r->body_block);
    wr_free(r);
}

void wr_http_req_free(wr_http_req *r)
{
    wr_http_loop *l = r->loop;
    if (l->nfree_reqs >= KEEP_REQS || wr_arena_used(r->arena) > KEEP_ARENA) {
        wr_http_req_destroy(r);
        return;
    }
    drop_file(r);
    wr_arena *arena = r->arena;
    wr_buf resp = r->resp;
    void *block = r->body_block;
    char *mem = r->body_mem;
    size_t cap = r->body_cap;
    if (wr_arena_used(arena)) wr_arena_clear(arena);
    if (resp.cap > WR_HTTP_KEEP_BUF) wr_buf_fini(&resp);
    else wr_buf_clear(&resp);
    if (cap > WR_HTTP_KEEP_BODY) {
        wr_free(block);
        block = mem = NULL;
        cap = 0;
    }
    memset(r, 0, offsetof(wr_http_req, head));
    r->arena = arena;
    r->resp = resp;
    r->body_block = block;
    r->body_mem = mem;
    r->body_cap = cap;
    r->next = l->free_reqs;
    l->free_reqs = r;
    l->nfree_reqs++;
}

static void rebase(wr_str *s, const char *from, size_t n, const char *to)
{
    if (s->p >= from && s->p <= from + n) s->p = to + (s->p - from); /* "/" of an empty path is not in there */
}

/* The head's slices all lie in its bytes, which end `size` bytes behind their start; the method is at most 2 bytes in.
 * */
bool wr_http_req_secure(wr_http_req *r)
{
    wr_http_head *h = &r->head;
    const char *from = h->method.p;
    if (r->id) { /* everything is in the arena already */
        if (r->conn) r->peer = wr_arena_strdup(r->arena, r->conn->peer);
        return r->peer != NULL;
    }
    char *to = wr_arena_alloc(r->arena, h->size);
    if (!to) return false;
    size_t n = h->size;
    if (h->nheaders) n = (size_t)(h->headers[h->nheaders - 1].value.p + h->headers[h->nheaders - 1].value.n - from);
    else n = (size_t)(h->target.p + h->target.n - from);
    memcpy(to, from, n);
    wr_str *slices[] = {&h->method, &h->target, &h->path, &h->query};
    for (size_t i = 0; i < 4; i++) rebase(slices[i], from, n, to);
    for (size_t i = 0; i < h->nheaders; i++) {
        rebase(&h->headers[i].name, from, n, to);
        rebase(&h->headers[i].value, from, n, to);
    }
    if (r->body.n && r->body.p != r->body_mem) {
        r->body = wr_arena_str(r->arena, r->body);
        if (!r->body.p) return false;
    }
    if (r->conn) r->peer = wr_arena_strdup(r->arena, r->conn->peer);
    return r->peer != NULL;
}

/* ---- what handlers read ---- */

const wr_http_head *wr_http_req_head(const wr_http_req *r) { return &r->head; }
wr_str wr_http_req_body(const wr_http_req *r) { return r->body; }
wr_arena *wr_http_req_arena(wr_http_req *r) { return r->arena; }
void *wr_http_req_arg(const wr_http_req *r) { return r->route.arg; }
void *wr_http_req_ctx(const wr_http_req *r) { return r->loop->server->opt.ctx; }
bool wr_http_req_encrypted(const wr_http_req *r) { return r->encrypted; }
int wr_http_req_loop(const wr_http_req *r) { return r->loop->index; }
int64_t wr_http_req_round(const wr_http_req *r) { return r->loop->now; }
const char *wr_http_req_peer(const wr_http_req *r) { return r->peer; }
void wr_http_req_set_user(wr_http_req *r, void *user) { r->user = user; }
void *wr_http_req_user(const wr_http_req *r) { return r->user; }

/* ---- writing answers ---- */

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" (RFC 9110 5.6.7), made once a second and thread. */
enum { DATE_SIZE = 37 };
static const char *date_line(void)
{
    static _Thread_local char text[DATE_SIZE + 1];
    static _Thread_local time_t of;
    static const char days[] = "MonTueWedThuFriSatSun", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    if (now == of) return text;
    wr_civil c;
    wr_time_civil(&c, (int64_t)now * WR_US);
    unsigned day = (unsigned)c.day % 100, year = (unsigned)c.year % 10000;
    unsigned hour = (unsigned)c.hour % 100, minute = (unsigned)c.minute % 100, second = (unsigned)c.second % 100;
    int n = snprintf(text, sizeof text, "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n", days + 3 * c.weekday, day,
                     months + 3 * (c.month - 1), year, hour, minute, second);
    WR_BUG_IF(n != DATE_SIZE);
    of = now;
    return text;
}

static char *put(char *p, const char *s, size_t n)
{
    memcpy(p, s, n);
    return p + n;
}

#define PUT(p, lit) put(p, "" lit, sizeof(lit) - 1)

static char *put_number(char *p, size_t v)
{
    char digits[24], *d = digits + sizeof digits;
    do *--d = (char)('0' + v % 10);
    while (v /= 10);
    return put(p, d, (size_t)(digits + sizeof digits - d));
}

static char *put_status(char *p, int status)
{
    if (status == 200) return PUT(p, "HTTP/1.1 200 OK\r\n");
    const char *reason = wr_http_reason(status);
    p = PUT(p, "HTTP/1.1 ");
    p = put_number(p, (size_t)status);
    *p++ = ' ';
    p = put(p, reason, strlen(reason));
    return PUT(p, "\r\n");
}

/* Plain copies: this runs for every answer. */
void wr_http_put_head(wr_buf *b, wr_http_req *r, const wr_http_reply_opt *opt, int frame, size_t length)
{
    const char *type = opt->type ? opt->type : "application/json";
    size_t ntype = strlen(type), nmore = opt->headers ? strlen(opt->headers) : 0;
    bool bodiless = r->status == 204 || r->status == 304;
    bool body = length > 0 || frame != WR_FRAME_LENGTH;
    if (!wr_buf_reserve(b, 320 + ntype + nmore)) return;
    char *p = put_status(b->p + b->n, r->status);
    if (!bodiless && (body || opt->type)) {
        p = PUT(p, "Content-Type: ");
        p = put(p, type, ntype);
        p = PUT(p, "\r\n");
    }
    if (frame == WR_FRAME_CHUNKED) {
        p = PUT(p, "Transfer-Encoding: chunked\r\n");
    } else if (frame == WR_FRAME_LENGTH && !bodiless) {
        p = PUT(p, "Content-Length: ");
        p = put_number(p, length);
        p = PUT(p, "\r\n");
    }
    p = put(p, date_line(), DATE_SIZE);
    if (r->close) p = PUT(p, "Connection: close\r\n");
    else if (r->head.minor == 0) p = PUT(p, "Connection: keep-alive\r\n");
    if (nmore) p = put(p, opt->headers, nmore);
    p = PUT(p, "\r\n");
    b->n = (size_t)(p - b->p);
    b->p[b->n] = 0;
}

void wr_http_req_answer(wr_http_req *r, const wr_http_reply_opt *opt, wr_str body)
{
    static const wr_http_reply_opt none;
    if (!opt) opt = &none;
    const wr_http_server *s = r->loop->server;
    if (opt->status >= 400 && wr_http_req_grpc(r)) { /* the answer of a handler that does not know of gRPC */
        wr_http_grpc_error(r, opt->status, body);
        return;
    }
    r->status = opt->status >= 200 && opt->status <= 999 ? opt->status : opt->status ? 500 : 200;
    r->close = opt->close || !r->head.keep_alive || atomic_load_explicit(&s->stop, memory_order_relaxed);
    r->durable = opt->durable && s->opt.round_end;
    r->unkept = opt->unkept;
    if (r->durable || opt->file) r->direct = false;
    r->trailers = opt->trailers && r->id ? wr_arena_strdup(r->arena, opt->trailers) : NULL;
    wr_buf *out = r->direct ? &r->conn->out : &r->resp;
    if (!r->direct) wr_buf_clear(out);
    drop_file(r); /* of an answer that is replaced by an error */
    bool bodiless = r->status == 204 || r->status == 304 || wr_str_is(r->head.method, "HEAD");
    if (opt->file) {
        r->file = *opt->file;
        r->has_file = true;
        wr_http_put_head(out, r, opt, WR_FRAME_LENGTH, (size_t)r->file.length);
        if (bodiless || r->file.length <= 0) drop_file(r);
        return;
    }
    wr_buf_reserve(out, 512 + body.n); /* one reservation for most */
    wr_http_put_head(out, r, opt, WR_FRAME_LENGTH, body.n);
    if (!bodiless) wr_buf_slice(out, body);
}

#define RETRY "Retry-After: 1\r\n"

/* In Triton's words, since who raised its limit has to know that there is one here. */
static int too_large(char *out, size_t size, const wr_http_req *r)
{
    char of[40] = "";
    if (r->head.length) snprintf(of, sizeof of, " of %llu bytes", (unsigned long long)r->head.length);
    return snprintf(out, size, "{\"error\":\"request size%s exceeds the maximum allowed input size of %zu bytes\"}\n",
                    of, r->route.body_max);
}

void wr_http_req_error(wr_http_req *r, int status, bool close)
{
    if (wr_http_req_grpc(r)) {
        wr_http_grpc_error(r, status, (wr_str){0});
        return;
    }
    char body[160];
    int n = snprintf(body, sizeof body, "{\"error\":\"%s\"}\n", wr_http_reason(status));
    if (status == 413 && r->mode == BODY_BUFFER) n = too_large(body, sizeof body, r);
    const char *more = status == 503 ? RETRY : NULL;
    wr_http_reply_opt opt = {.status = status, .close = close, .headers = more};
    wr_http_req_answer(r, &opt, (wr_str){body, n < 0 ? 0 : (size_t)n});
}

void wr_http_req_unkept(wr_http_req *r, bool close)
{
    wr_http_reply_opt opt = {.status = 503, .close = close, .headers = RETRY};
    if (!r->unkept || wr_http_req_grpc(r)) wr_http_req_error(r, 503, close);
    else wr_http_req_answer(r, &opt, wr_str_of(r->unkept));
}

/* ---- how handlers answer ---- */

void wr_http_reply(wr_http_req *r, const wr_http_reply_opt *opt, wr_str body)
{
    bool held = r->state == REQ_HELD;
    WR_BUG_IF(r->state != REQ_RUNNING && !held);
    wr_http_req_answer(r, opt, body);
    r->state = REQ_ANSWERED;
    if (!held) return;
    wr_http_loop_release(r->loop, r);
    wr_http_req_finished(r);
}

void wr_http_hold(wr_http_req *r)
{
    WR_BUG_IF(r->state != REQ_RUNNING);
    r->state = REQ_HELD;
    r->direct = false;
    r->in = r->loop->buffer;
    r->in->held++;
    r->loop->nheld++;
}

void wr_http_reply_err(wr_http_req *r, const wr_err *e)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "error", e->msg[0] ? e->msg : wr_err_text(e->code));
    if (e->detail[0]) wr_jsonw_kstr(&w, "detail", e->detail);
    if (e->hint[0]) wr_jsonw_kstr(&w, "hint", e->hint);
    wr_jsonw_end(&w);
    wr_buf_char(&b, '\n');
    wr_str body = b.failed ? WR_STR("{\"error\":\"out of memory\"}\n") : wr_buf_view(&b);
    wr_http_reply(r, &(wr_http_reply_opt){.status = wr_err_http(e->code)}, body);
}

void wr_http_defer(wr_http_req *r)
{
    WR_BUG_IF(r->state != REQ_RUNNING);
    r->direct = false;
    if (!wr_http_req_secure(r)) { /* keep the promise that `r` may be used: nothing in it points anywhere */
        r->head.nheaders = 0;
        r->head.method = r->head.target = r->head.path = r->head.query = r->body = (wr_str){0};
        r->peer = "";
    }
    r->state = REQ_DEFERRED;
    atomic_fetch_add(&r->loop->server->refs, 1);
}

void wr_http_resume(wr_http_req *r)
{
    wr_http_loop *l = r->loop;
    atomic_store(&r->resumed, true);
    r->msg = (wr_http_msg){.kind = WR_MSG_RESUME, .of = r};
    wr_http_loop_post(l, &r->msg); /* a loop that has ended has aborted its bodies: then nobody calls this */
}

void wr_http_req_resumed(wr_http_req *r)
{
    atomic_store(&r->resumed, false);
    wr_http_conn *c = r->conn;
    if (!c) {
        wr_http_req_free(r);
        return;
    }
    c->ops->resumed(c, r); /* which may answer it */
    wr_conn_dirty(c);
}

void wr_http_req_leave(wr_http_req *r)
{
    r->conn = NULL;
    if (!atomic_load(&r->resumed)) wr_http_req_free(r);
}

void wr_http_finish(wr_http_req *r, const wr_http_reply_opt *opt, wr_str body)
{
    wr_http_loop *l = r->loop;
    wr_http_server *s = l->server;
    wr_http_req_answer(r, opt, body);
    r->msg = (wr_http_msg){.kind = WR_MSG_FINISH, .of = r};
    if (wr_http_loop_post(l, &r->msg)) return;
    wr_http_req_destroy(r);
    wr_http_server_unref(s);
}
