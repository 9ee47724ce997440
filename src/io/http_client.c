/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.c - requests out of one buffer, responses into another, over one connection.
 *
 * While it waits to send it also reads: a server that stops reading because we do not read would otherwise wait for us
 * for ever. Responses are parsed in `in`; a body with a length stays there, a chunked one is put together in `body`.
 */
#include "io/http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"

enum { QUEUE_MAX = 64 << 10, READ = 64 << 10, RESPONSE_MAX = 1 << 30 };

struct wr_http_client {
    struct sockaddr_storage addr;
    socklen_t addr_len;
    char host[64];              /* for Host and messages: "127.0.0.1:8080" */
    int fd;                     /* -1 = not connected */
    int timeout_ms;
    bool last;                  /* the peer will close after the response just read */
    bool eof;
    wr_buf out;                 /* queued requests */
    wr_buf in;                  /* received bytes; in_off of them belong to responses already handed out */
    size_t in_off;
    wr_buf body;
    WR_VEC(bool) expects;       /* requests sent or queued, oldest at `answered`: is it a HEAD? */
    size_t answered;
};

static size_t outstanding(const wr_http_client *c) { return c->expects.n - c->answered; }

static void disconnect(wr_http_client *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->last = c->eof = false;
    wr_buf_clear(&c->out);
    wr_buf_clear(&c->in);
    c->in_off = 0;
    c->expects.n = c->answered = 0;
}

/* ---- address ---- */

static int bad_url(const char *url, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "'%s' is not the address of a server", url);
    return wr_err_hint(err, WEIR_EINVAL, "write it like http://127.0.0.1:8080");
}

/* "1.2.3.4:80", "[::1]:80", "localhost" into an address. */
static bool set_address(wr_http_client *c, wr_str at)
{
    bool six = at.n && at.p[0] == '[';
    wr_str rest = six ? wr_str_sub(at, 1, at.n) : at;
    wr_str ip = wr_str_cut(&rest, six ? ']' : ':');
    if (six && (!rest.p || (rest.n && rest.p[0] != ':'))) return false;
    if (six && rest.n) rest = wr_str_sub(rest, 1, rest.n);
    int64_t port = 80;
    if (rest.n && (wr_num_i64(&port, rest, NULL) < 0 || port < 1 || port > 65535)) return false;
    char text[INET6_ADDRSTRLEN];
    int n = wr_str_is(ip, "localhost") ? snprintf(text, sizeof text, "127.0.0.1")
                                       : snprintf(text, sizeof text, "%.*s", WR_STR_FMT(ip));
    if (n < 0 || n >= (int)sizeof text) return false;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&c->addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&c->addr;
    c->addr_len = six ? sizeof *v6 : sizeof *v4;
    c->addr.ss_family = six ? AF_INET6 : AF_INET;
    if (six) v6->sin6_port = htons((uint16_t)port);
    else v4->sin_port = htons((uint16_t)port);
    return inet_pton(c->addr.ss_family, text, six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) == 1;
}

int wr_http_client_open(wr_http_client **out, const char *url, int timeout_ms, wr_err *err)
{
    wr_str at = wr_str_of(url);
    if (at.n < 7 || !wr_str_ieq(wr_str_sub(at, 0, 7), "http://")) return bad_url(url, err);
    at = wr_str_sub(at, 7, at.n);
    if (wr_str_ends(at, "/")) at.n--;
    wr_http_client *c = wr_calloc(1, sizeof *c);
    if (!c) return wr_err_nomem(err);
    c->fd = -1;
    c->timeout_ms = timeout_ms > 0 ? timeout_ms : 30000;
    wr_buf_init(&c->out, 0);
    wr_buf_init(&c->in, RESPONSE_MAX);
    wr_buf_init(&c->body, RESPONSE_MAX);
    int n = snprintf(c->host, sizeof c->host, "%.*s", WR_STR_FMT(at));
    if (n < 0 || n >= (int)sizeof c->host || !set_address(c, at)) {
        wr_http_client_close(c);
        return bad_url(url, err);
    }
    *out = c;
    return 0;
}

void wr_http_client_close(wr_http_client *c)
{
    if (!c) return;
    disconnect(c);
    wr_buf_fini(&c->out);
    wr_buf_fini(&c->in);
    wr_buf_fini(&c->body);
    wr_vec_fini(&c->expects);
    wr_free(c);
}

/* ---- bytes ---- */

static int timed_out(const wr_http_client *c, wr_err *err)
{
    return wr_err_set(err, WEIR_ETIMEOUT, "no answer from '%s' within %d ms", c->host, c->timeout_ms);
}

/* Waits for `events`; what happened in *got. */
static int wait_for(wr_http_client *c, short events, int64_t deadline, short *got, wr_err *err)
{
    for (;;) {
        int64_t left = deadline - wr_clock_mono_ns();
        struct pollfd p = {.fd = c->fd, .events = events};
        int n = left > 0 ? poll(&p, 1, (int)(left / 1000000 + 1)) : 0;
        if (n == 0) return timed_out(c, err);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return wr_err_sys(err, errno, "cannot wait for '%s'", c->host);
        *got = p.revents;
        return 0;
    }
}

static int64_t deadline_of(const wr_http_client *c) { return wr_clock_mono_ns() + (int64_t)c->timeout_ms * 1000000; }

static int connected(wr_http_client *c, wr_err *err)
{
    int one = 1, sys = 0;
    socklen_t len = sizeof sys;
    short got;
    c->fd = socket(c->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return wr_err_sys(err, errno, "cannot make a socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&c->addr, c->addr_len) == 0) return 0;
    sys = errno;
    if (sys == EINPROGRESS) {
        int rc = wait_for(c, POLLOUT, deadline_of(c), &got, err);
        if (rc < 0) {
            disconnect(c);
            return rc;
        }
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &sys, &len) == 0 && sys == 0) return 0;
    }
    disconnect(c);
    int rc = wr_err_set(err, WEIR_EUNAVAILABLE, "cannot connect to '%s'", c->host);
    wr_err_detail(err, rc, "%s", strerrordesc_np(sys));
    return wr_err_hint(err, rc, "is the server running there?");
}

/* Reads what is there; c->eof when the peer closed. */
static int fill(wr_http_client *c, wr_err *err)
{
    if (c->in_off && c->in_off == c->in.n) {
        wr_buf_clear(&c->in);
        c->in_off = 0;
    }
    if (!wr_buf_reserve(&c->in, READ)) return wr_err_set(err, WEIR_ELIMIT, "the answer of '%s' is too large", c->host);
    ssize_t n = recv(c->fd, c->in.p + c->in.n, READ, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n <= 0) c->eof = true;
    else c->in.n += (size_t)n;
    return 0;
}

static int closed_by_peer(wr_http_client *c, wr_err *err)
{
    disconnect(c);
    return wr_err_set(err, WEIR_EIO, "'%s' closed the connection", c->host);
}

/* An idle connection that the peer has closed, or on which it said something nobody asked for. */
static bool stale(wr_http_client *c)
{
    char byte;
    if (c->last || c->eof || c->in.n > c->in_off) return true;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

int wr_http_client_flush(wr_http_client *c, wr_err *err)
{
    int64_t deadline = deadline_of(c);
    size_t sent = 0;
    while (sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + sent, c->out.n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) { /* it may have answered and closed: let recv say what it said */
            c->eof = true;
            break;
        }
        short got;
        int rc = wait_for(c, POLLOUT | (c->eof ? 0 : POLLIN), deadline, &got, err);
        if (rc == 0 && (got & POLLIN)) rc = fill(c, err);
        if (rc < 0) {
            disconnect(c);
            return rc;
        }
    }
    if (c->eof && sent < c->out.n) { /* take in what came before the reset */
        int64_t before;
        do {
            before = (int64_t)c->in.n;
            WR_TRY(fill(c, err));
        } while ((int64_t)c->in.n > before);
    }
    wr_buf_clear(&c->out);
    return 0;
}

/* ---- requests ---- */

static bool plain(const char *s)
{
    if (!*s) return false;
    for (; *s; s++) {
        if (*s <= ' ' || *s == 0x7f) return false;
    }
    return true;
}

int wr_http_client_send(wr_http_client *c, const char *method, const char *target, const char *type, wr_str body,
                        wr_err *err)
{
    if (!plain(method) || !plain(target))
        return wr_err_set(err, WEIR_EINVAL, "'%s %s' is not a request", method, target);
    if (c->fd >= 0 && outstanding(c) == 0 && stale(c)) disconnect(c);
    if (c->fd < 0) WR_TRY(connected(c, err));
    wr_buf_printf(&c->out, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, c->host);
    bool may = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    if (body.n || may) wr_buf_printf(&c->out, "Content-Length: %zu\r\n", body.n);
    if (body.n) wr_buf_printf(&c->out, "Content-Type: %s\r\n", type ? type : "application/json");
    wr_buf_str(&c->out, "\r\n");
    wr_buf_slice(&c->out, body);
    if (c->out.failed || wr_vec_push(&c->expects, strcmp(method, "HEAD") == 0) < 0) {
        disconnect(c); /* half a request must not be sent */
        return wr_err_nomem(err);
    }
    return c->out.n >= QUEUE_MAX ? wr_http_client_flush(c, err) : 0;
}

/* ---- responses ---- */

static int more(wr_http_client *c, int64_t deadline, wr_err *err)
{
    short got;
    if (c->eof) return closed_by_peer(c, err);
    int rc = wait_for(c, POLLIN, deadline, &got, err);
    if (rc == 0) rc = fill(c, err);
    if (rc < 0) disconnect(c);
    return rc;
}

static wr_str unread(const wr_http_client *c) { return wr_str_sub(wr_buf_view(&c->in), c->in_off, c->in.n); }

static int malformed(wr_http_client *c, wr_err *err)
{
    disconnect(c);
    return wr_err_set(err, WEIR_EPARSE, "'%s' did not answer in HTTP/1.1", c->host);
}

/* The next final head; interim ones (1xx) are skipped. */
static int read_head(wr_http_client *c, wr_http_head *h, int64_t deadline, wr_err *err)
{
    size_t scanned = 0;
    for (;;) {
        int rc = wr_http_parse_response(h, unread(c), &scanned);
        if (rc < 0) return malformed(c, err);
        if (rc == 0) {
            WR_TRY(more(c, deadline, err));
            continue;
        }
        c->in_off += h->size;
        scanned = 0;
        if (h->status >= 200) return 0;
    }
}

static int read_chunked(wr_http_client *c, int64_t deadline, wr_err *err)
{
    wr_http_chunks chunks;
    wr_http_chunks_init(&chunks);
    wr_buf_clear(&c->body);
    for (;;) {
        wr_str in = unread(c), piece;
        size_t n = in.n;
        int rc;
        while ((rc = wr_http_chunks_next(&chunks, &in, &piece)) == 1) wr_buf_slice(&c->body, piece);
        c->in_off += n - in.n;
        if (rc < 0) return malformed(c, err);
        if (c->body.failed) {
            disconnect(c);
            return wr_err_set(err, WEIR_ELIMIT, "the answer of '%s' is too large", c->host);
        }
        if (chunks.done) return 0;
        WR_TRY(more(c, deadline, err));
    }
}

static int read_body(wr_http_client *c, const wr_http_head *h, bool head_only, wr_str *body, int64_t deadline,
                     wr_err *err)
{
    *body = (wr_str){"", 0};
    if (head_only || h->status == 204 || h->status == 304) return 0;
    if (h->chunked) {
        WR_TRY(read_chunked(c, deadline, err));
        *body = wr_buf_view(&c->body);
        return 0;
    }
    if (!h->has_length) {
        c->last = true;
        while (!c->eof) WR_TRY(more(c, deadline, err));
        *body = unread(c);
    } else {
        while (c->in.n - c->in_off < h->length) WR_TRY(more(c, deadline, err));
        *body = wr_str_sub(unread(c), 0, (size_t)h->length);
    }
    c->in_off += body->n;
    return 0;
}

int wr_http_client_recv(wr_http_client *c, int *status, wr_str *body, wr_err *err)
{
    if (outstanding(c) == 0) return wr_err_set(err, WEIR_EINVAL, "nothing was asked of '%s'", c->host);
    if (c->out.n) WR_TRY(wr_http_client_flush(c, err));
    if (c->last) return closed_by_peer(c, err);
    wr_http_head h;
    int64_t deadline = deadline_of(c);
    if (c->in_off > READ && c->in_off > c->in.n / 2) { /* not at every answer of a long backlog */
        wr_buf_consume(&c->in, c->in_off);
        c->in_off = 0;
    }
    WR_TRY(read_head(c, &h, deadline, err));
    bool keep = h.keep_alive, head_only = c->expects.at[c->answered];
    *status = h.status;
    WR_TRY(read_body(c, &h, head_only, body, deadline, err));
    if (!keep) c->last = true;
    c->answered++;
    if (c->answered == c->expects.n || c->answered == 4096) {
        memmove(c->expects.at, c->expects.at + c->answered, outstanding(c) * sizeof *c->expects.at);
        c->expects.n -= c->answered;
        c->answered = 0;
    }
    return 0;
}

int wr_http_client_call(wr_http_client *c, const char *method, const char *target, wr_str body, int *status,
                        wr_str *reply, wr_err *err)
{
    WR_TRY(wr_http_client_send(c, method, target, NULL, body, err));
    WR_TRY(wr_http_client_flush(c, err));
    return wr_http_client_recv(c, status, reply, err);
}
