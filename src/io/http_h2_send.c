/* SPDX-License-Identifier: Apache-2.0 */
/* http_h2_send.c - HTTP/2: what goes out. An answer was written as text of HTTP/1.1 (http_reply.c); its head is taken
 * apart again into fields, its body is handed to nghttp2 as the peer's windows allow.
 */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/http_internal.h"

enum { FIELDS_MAX = 64 };

/* ---- heads ---- */

static nghttp2_nv field(wr_str name, wr_str value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n, value.n,
                        NGHTTP2_NV_FLAG_NONE};
}

static bool of_a_connection(wr_str name)
{
    return wr_str_is(name, "connection") || wr_str_is(name, "transfer-encoding") || wr_str_is(name, "keep-alive");
}

/* "Name: value\r\n" lines, whose names become lower case where they stand. Returns how many fields there are. */
static size_t fields_of(nghttp2_nv *out, size_t max, char *p, const char *end)
{
    size_t n = 0;
    while (p < end && n < max) {
        char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : (char *)(uintptr_t)end;
        char *colon = memchr(p, ':', (size_t)(stop - p));
        if (colon) {
            for (char *at = p; at < colon; at++) *at = *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at;
            wr_str name = {p, (size_t)(colon - p)},
                   value = wr_str_trim((wr_str){colon + 1, (size_t)(stop - colon - 1)});
            if (name.n && !of_a_connection(name)) out[n++] = field(name, value);
        }
        p = stop + 1;
    }
    return n;
}

static bool finished(const wr_http_req *r) { return r->state == REQ_ANSWERED || r->over; }
static size_t of_file(const wr_http_req *r) { return r->has_file ? (size_t)r->file.length : 0; }

bool wr_h2_owes(const wr_http_req *r) { return r->submitted && (finished(r) || r->off < r->resp.n); }

/* ---- bodies ---- */

static void put_trailers(nghttp2_session *s, const wr_http_req *r)
{
    nghttp2_nv nv[FIELDS_MAX];
    char *text = wr_arena_strdup(r->arena, r->trailers);
    size_t n = text ? fields_of(nv, FIELDS_MAX, text, text + strlen(text)) : 0;
    if (n == 0 || nghttp2_submit_trailer(s, r->id, nv, n) != 0)
        nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_INTERNAL_ERROR);
}

/* Bytes for a frame: of `resp`, then of the file. */
static ssize_t give(nghttp2_session *s, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
                    nghttp2_data_source *from, void *arg)
{
    (void)id;
    wr_http_conn *c = arg;
    wr_http_req *r = from->ptr;
    ssize_t n = 0;
    if (r->off < r->resp.n) {
        size_t left = r->resp.n - r->off;
        n = (ssize_t)(left < room ? left : room);
        memcpy(out, r->resp.p + r->off, (size_t)n);
        r->off += (size_t)n;
    } else if (of_file(r)) {
        n = pread(r->file.fd, out, of_file(r) < room ? of_file(r) : room, r->file.offset);
        if (n <= 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* shorter than was promised */
        r->file.offset += n;
        r->file.length -= n;
    }
    if (n) r->since = c->loop->now;
    if (r->off < r->resp.n || of_file(r)) return n;
    if (finished(r)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!r->trailers) return n;
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        put_trailers(s, r);
        return n;
    }
    wr_buf_clear(&r->resp);
    r->off = 0;
    r->waiting = n == 0;
    return n ? n : NGHTTP2_ERR_DEFERRED;
}

static int submit(wr_http_conn *c, wr_http_req *r)
{
    nghttp2_nv nv[FIELDS_MAX];
    char status[] = "000";
    const char *end = r->resp.failed || r->resp.n < 12 ? NULL : memmem(r->resp.p, r->resp.n, "\r\n\r\n", 4);
    if (!end) return NGHTTP2_ERR_NOMEM;
    memcpy(status, r->resp.p + 9, 3); /* "HTTP/1.1 200 OK" */
    nv[0] = field(WR_STR(":status"), (wr_str){status, 3});
    char *line = memchr(r->resp.p, '\n', r->resp.n);
    size_t n = 1 + fields_of(nv + 1, FIELDS_MAX - 1, line + 1, end);
    r->off = (size_t)(end - r->resp.p) + 4;
    bool body = r->state == REQ_STREAMING || r->off < r->resp.n || of_file(r) || r->trailers;
    if (r->state == REQ_STREAMING && r->over && r->off == r->resp.n && !r->trailers) body = false;
    if (r->close && !c->leaving) {
        c->leaving = true;
        nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->h2),
                              NGHTTP2_NO_ERROR, NULL, 0);
    }
    nghttp2_data_provider from = {.source.ptr = r, .read_callback = give};
    r->since = c->loop->now;
    return nghttp2_submit_response(c->h2, r->id, nv, n, body ? &from : NULL);
}

/* What its writer has written since. */
static int pull(wr_http_conn *c, wr_http_req *r)
{
    size_t before = r->resp.n;
    if (r->over) return 0;
    if (r->off == r->resp.n) r->since = c->loop->now; /* nothing was owed until now */
    r->over = wr_http_stream_pull(r->stream, &r->resp);
    if (r->resp.failed || (r->over && wr_http_stream_short(r->stream))) return NGHTTP2_ERR_NOMEM;
    if (r->over && r->stream->trailers) r->trailers = wr_arena_strdup(r->arena, r->stream->trailers);
    if (!r->waiting || (r->resp.n == before && !r->over)) return 0;
    r->waiting = false;
    return nghttp2_session_resume_data(c->h2, r->id);
}

void wr_h2_advance(wr_http_conn *c, wr_http_req *r)
{
    int rc = r->state == REQ_STREAMING ? pull(c, r) : 0;
    if (rc == 0 && !r->submitted && (r->state == REQ_ANSWERED || r->state == REQ_STREAMING)) {
        r->submitted = true;
        rc = submit(c, r);
    }
    if (rc != 0) nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_INTERNAL_ERROR);
}

void wr_h2_pump(wr_http_conn *c)
{
    while (wr_conn_unsent(c) < WR_HTTP_OUT_HIGH) {
        const uint8_t *p = NULL;
        ssize_t n = nghttp2_session_mem_send(c->h2, &p);
        if (n < 0) c->broken = true;
        if (n <= 0) return;
        wr_buf_add(&c->out, p, (size_t)n);
    }
}
