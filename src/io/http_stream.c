/* SPDX-License-Identifier: Apache-2.0 */
/* http_stream.c - an answer written piece by piece, from any thread.
 *
 * The writer appends framed bytes to `pending` under the lock and posts one message to the loop; the loop moves them on
 * when the request stands first in its connection's queue. References: one of the writer, one of the request, one while
 * posted.
 */
#include <stdio.h>

#include "base/mem.h"
#include "io/http_internal.h"

void wr_http_stream_unref(wr_http_stream *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1) return;
    wr_buf_fini(&s->pending);
    wr_free(s->trailers);
    pthread_cond_destroy(&s->room);
    pthread_mutex_destroy(&s->lock);
    wr_free(s);
}

/* Tells the loop, once until it has listened; false when there is no loop any more. Called with the lock held; releases
 * it. */
static bool post_and_unlock(wr_http_stream *s)
{
    bool post = !s->posted;
    s->posted = true;
    if (post) atomic_fetch_add(&s->refs, 1);
    pthread_mutex_unlock(&s->lock);
    if (!post || wr_http_loop_post(s->loop, &s->msg)) return true;
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    pthread_mutex_unlock(&s->lock);
    wr_http_stream_unref(s);
    return false;
}

wr_http_stream *wr_http_stream_open(wr_http_req *r, const wr_http_reply_opt *opt)
{
    static const wr_http_reply_opt none;
    if (!opt) opt = &none;
    WR_BUG_IF(r->state != REQ_RUNNING && r->state != REQ_DEFERRED);
    wr_http_stream *s = wr_calloc(1, sizeof *s);
    if (!s) return NULL;
    s->loop = r->loop;
    s->req = r;
    s->msg = (wr_http_msg){.kind = WR_MSG_STREAM, .of = s};
    s->sized = opt->length > 0;
    s->left = opt->length;
    s->chunked = !s->sized && r->head.minor >= 1 && !r->id;
    atomic_init(&s->refs, 2);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->room, NULL);
    wr_buf_init(&s->pending, 0);
    bool stopping = atomic_load(&r->loop->server->stop);
    r->status = opt->status ? opt->status : 200;
    r->close = opt->close || !r->head.keep_alive || !(s->chunked || s->sized || r->id) || stopping;
    r->direct = false;
    int frame = s->sized ? WR_FRAME_LENGTH : s->chunked ? WR_FRAME_CHUNKED : WR_FRAME_CLOSE;
    wr_http_put_head(&s->pending, r, opt, frame, (size_t)opt->length);
    if (s->pending.failed) {
        s->refs = 1;
        wr_http_stream_unref(s);
        return NULL;
    }
    s->ended = s->gone = wr_str_is(r->head.method, "HEAD");
    if (s->gone) s->left = 0;
    r->stream = s;
    bool deferred = r->state == REQ_DEFERRED; /* then the server reference of wr_http_defer becomes the stream's */
    if (!deferred) {
        atomic_fetch_add(&r->loop->server->refs, 1);
        r->state = REQ_STREAMING;
    }
    pthread_mutex_lock(&s->lock);
    if (!post_and_unlock(s) && deferred) { /* the server is closed: nobody else will let go of the request */
        wr_http_req_destroy(r);
        s->req = NULL;
        wr_http_stream_unref(s);
    }
    return s;
}

static void add_chunk(wr_http_stream *s, wr_str piece)
{
    char size[24];
    int n = s->chunked ? snprintf(size, sizeof size, "%zx\r\n", piece.n) : 0;
    wr_buf_add(&s->pending, size, n < 0 ? 0 : (size_t)n);
    wr_buf_slice(&s->pending, piece);
    if (s->chunked) wr_buf_add(&s->pending, "\r\n", 2);
}

int wr_http_stream_write(wr_http_stream *s, wr_str piece)
{
    if (piece.n == 0) return 0;
    pthread_mutex_lock(&s->lock);
    if (s->gone || s->slow) {
        pthread_mutex_unlock(&s->lock);
        return WEIR_ECANCELED;
    }
    if (s->sized && piece.n > s->left) {
        pthread_mutex_unlock(&s->lock);
        return WEIR_EINVAL;
    }
    if (s->sized) s->left -= piece.n;
    if (s->pending.n + atomic_load(&s->unsent) > WR_LIMIT_SSE_BACKLOG) s->slow = true;
    else add_chunk(s, piece);
    if (s->pending.failed) s->slow = true;
    int rc = s->slow ? WEIR_ECANCELED : 0;
    post_and_unlock(s);
    return rc;
}

/* Called with the lock held, at most once. */
static void add_end(wr_http_stream *s)
{
    if (s->chunked && !s->ended) wr_buf_str(&s->pending, "0\r\n\r\n");
    s->ended = true;
}

void wr_http_stream_close(wr_http_stream *s) { wr_http_stream_close_with(s, NULL); }

void wr_http_stream_close_with(wr_http_stream *s, const char *trailers)
{
    wr_http_server *server = s->loop->server;
    char *copy = trailers ? wr_strdup(trailers) : NULL;
    pthread_mutex_lock(&s->lock);
    s->trailers = copy;
    if (s->gone) {
        pthread_mutex_unlock(&s->lock);
    } else {
        add_end(s);
        post_and_unlock(s);
    }
    wr_http_stream_unref(s);
    wr_http_server_unref(server);
}

int wr_http_stream_wait(wr_http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->waiting = true; /* a peer that takes nothing is cut off by the loop after its write_ms */
    while (!s->gone && !s->slow && s->pending.n + atomic_load(&s->unsent) > WR_LIMIT_SSE_BACKLOG / 2)
        pthread_cond_wait(&s->room, &s->lock);
    s->waiting = false;
    int rc = s->gone || s->slow ? WEIR_ECANCELED : 0;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int wr_http_sse(wr_http_stream *s, int64_t id, const char *event, wr_str data)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    if (id >= 0) wr_buf_printf(&b, "id: %lld\n", (long long)id);
    if (event) wr_buf_printf(&b, "event: %s\n", event);
    size_t from = 0;
    for (size_t i = 0; i <= data.n; i++) { /* CR, LF and CRLF all end a line of an event stream */
        if (i < data.n && data.p[i] != '\n' && data.p[i] != '\r') continue;
        wr_buf_str(&b, "data: ");
        wr_buf_slice(&b, wr_str_sub(data, from, i));
        wr_buf_char(&b, '\n');
        if (i + 1 < data.n && data.p[i] == '\r' && data.p[i + 1] == '\n') i++;
        from = i + 1;
    }
    wr_buf_char(&b, '\n');
    return b.failed ? WEIR_ENOMEM : wr_http_stream_write(s, wr_buf_view(&b));
}

/* ---- the loop's side ---- */

bool wr_http_stream_pull(wr_http_stream *s, wr_buf *out)
{
    pthread_mutex_lock(&s->lock);
    wr_buf_slice(out, wr_buf_view(&s->pending));
    if (s->pending.cap > WR_HTTP_KEEP_BUF) wr_buf_fini(&s->pending);
    else wr_buf_clear(&s->pending);
    bool over = s->ended;
    pthread_mutex_unlock(&s->lock);
    return over;
}

bool wr_http_stream_short(wr_http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    bool cut = s->sized && s->left > 0;
    pthread_mutex_unlock(&s->lock);
    return cut;
}

void wr_http_stream_sent(wr_http_stream *s, size_t unsent)
{
    atomic_store(&s->unsent, unsent);
    pthread_mutex_lock(&s->lock);
    if (s->waiting) pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
}

void wr_http_stream_gone(wr_http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    s->req = NULL;
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
    wr_http_stream_unref(s);
}

void wr_http_stream_end(wr_http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    add_end(s);
    s->gone = true;
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
}

void wr_http_stream_message(wr_http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->posted = false;
    bool slow = s->slow;
    pthread_mutex_unlock(&s->lock);
    wr_http_req *r = s->req;
    if (r && r->state == REQ_DEFERRED) { /* it was opened by another thread */
        r->state = REQ_STREAMING;
        if (!r->conn) {
            wr_http_stream_gone(s);
            wr_http_req_free(r);
            r = NULL;
        }
    }
    if (r && r->conn) {
        if (r->loop->stopping && !s->sized) wr_http_stream_end(s);
        if (slow) r->conn->ops->slow(r->conn, r);
        wr_conn_dirty(r->conn);
    }
    wr_http_stream_unref(s);
}
