/* SPDX-License-Identifier: Apache-2.0 */
/* http_conn.c - a socket of the server: bytes in, bytes out, closing. It knows nothing of HTTP; the protocol is c->ops.
 *
 * Bytes are read into the loop's one buffer (http_internal.h) and parsed there; what is not taken is copied to c->held,
 * so an idle connection owns no buffer. Closing after an error lingers: the peer gets our answer and FIN first, and
 * what it still sends is thrown away for a while, because closing over unread bytes would send a reset that may eat the
 * answer.
 *
 * TLS sits between the socket and the loop's buffer. OpenSSL reads ahead, so decrypted bytes may be left when the
 * socket is empty and epoll silent: tls_more says so, and the connection is taken up again in the next round.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/http_internal.h"

static const int64_t MS = 1000000;

/* No request of HTTP/1.1 begins with the preface of HTTP/2, but "P" may become "POST". */
const wr_conn_ops *wr_conn_ops_choose(wr_str first, wr_str alpn)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n";
    size_t n = first.n < sizeof preface - 1 ? first.n : sizeof preface - 1;
    if (wr_str_is(alpn, "h2")) return &wr_http_h2;
    if (memcmp(first.p, preface, n) != 0) return &wr_http_h1;
    return n == sizeof preface - 1 ? &wr_http_h2 : NULL;
}

static void set_events(wr_http_conn *c, uint32_t events)
{
    if (c->events == events) return;
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (epoll_ctl(c->loop->ep, EPOLL_CTL_MOD, c->fd, &ev) < 0) c->broken = true;
    c->events = events;
}

void wr_conn_open(wr_http_loop *l, int fd, const wr_http_addr *addr, const struct sockaddr_storage *sa)
{
    wr_http_conn *c = wr_calloc(1, sizeof *c);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    wr_http_tls *tls = c && l->server->tls ? wr_http_tls_new(l->server->tls, fd) : NULL;
    if (!c || (l->server->tls && !tls) || epoll_ctl(l->ep, EPOLL_CTL_ADD, fd, &ev) < 0) {
        wr_http_tls_free(tls);
        wr_free(c);
        close(fd);
        wr_http_peers_drop(&l->server->peers, addr);
        atomic_fetch_sub(&l->server->nconns, 1);
        return;
    }
    c->loop = l;
    c->tls = tls;
    c->fd = fd;
    c->events = EPOLLIN;
    c->idle_since = l->now;
    c->addr = *addr;
    wr_buf_init(&c->held, 0);
    wr_buf_init(&c->out, 0);
    const void *ip = sa->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)sa)->sin_addr
                                              : (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
    inet_ntop(sa->ss_family, ip, c->peer, sizeof c->peer);
    c->slot = l->nconns;
    l->conns[l->nconns++] = c; /* room was made before accepting */
    if (l->scan_at > l->now + l->server->shortest_ns) l->scan_at = l->now + l->server->shortest_ns;
}

static void drop_file(wr_http_conn *c)
{
    if (c->file.length) close(c->file.fd);
    c->file.length = 0;
}

void wr_conn_close(wr_http_conn *c)
{
    if (c->fd < 0) return;
    wr_http_loop *l = c->loop;
    wr_http_tls_free(c->tls);
    c->tls = NULL;
    close(c->fd);
    c->fd = -1;
    if (c->ops) c->ops->gone(c);
    l->conns[c->slot] = l->conns[--l->nconns];
    l->conns[c->slot]->slot = c->slot;
    wr_http_peers_drop(&l->server->peers, &c->addr);
    atomic_fetch_sub(&l->server->nconns, 1);
    wr_buf_fini(&c->held);
    wr_buf_fini(&c->out);
    drop_file(c);
    c->next_dead = l->dead; /* events of this round may still point to it */
    l->dead = c;
}

void wr_conn_dirty(wr_http_conn *c)
{
    if (c->dirty) return;
    c->dirty = true;
    c->next_dirty = c->loop->dirty;
    c->loop->dirty = c;
}

/* ---- in ---- */

/* Offers bytes to the protocol and holds back what it does not take. `p` may be inside c->held only when `p` is all of
 * it. */
static void feed(wr_http_conn *c, char *p, size_t n)
{
    if (!c->ops) c->ops = wr_conn_ops_choose((wr_str){p, n}, c->tls ? wr_http_tls_protocol(c->tls) : (wr_str){0});
    size_t taken = c->ops ? c->ops->feed(c, p, n) : 0;
    wr_buf_clear(&c->held);
    if (taken < n) wr_buf_add(&c->held, p + taken, n - taken);
    if (c->held.failed) c->broken = true;
    if (taken == n && c->held.cap) wr_buf_fini(&c->held);
    wr_conn_dirty(c);
}

static void at_eof(wr_http_conn *c)
{
    c->eof = true;
    if (c->ops) c->ops->eof(c);
    wr_conn_dirty(c);
}

enum { READ_WAIT = -1, READ_DEAD = -2 }; /* or bytes, 0 at the end */

/* recv() and send() of the C library are places where a thread may be cancelled: where there are threads that costs each
 * call two locked instructions and more. No thread is cancelled here. */
static ssize_t receive(int fd, void *p, size_t n) { return syscall(SYS_recvfrom, fd, p, n, MSG_DONTWAIT, NULL, NULL); }

static ssize_t transmit(int fd, const void *p, size_t n, int flags)
{
    return syscall(SYS_sendto, fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT | flags, NULL, 0);
}

static long read_plain(wr_http_conn *c, char *p, size_t room)
{
    ssize_t n = receive(c->fd, p, room);
    if (n >= 0) return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? READ_WAIT : READ_DEAD;
}

/* Records hold 16 KiB at most: several may be there. What else came with them counts for the next read. */
static long read_tls(wr_http_conn *c, char *p, size_t room)
{
    size_t got = 0;
    long n = 0;
    while (got < room && (n = wr_http_tls_read(c->tls, p + got, room - got)) > 0) got += (size_t)n;
    c->tls_more = got == room || (got && n != WR_TLS_WAIT);
    if (wr_http_tls_wants_write(c->tls)) wr_conn_dirty(c);
    if (got) return (long)got;
    return n == WR_TLS_WAIT ? READ_WAIT : n == 0 ? 0 : READ_DEAD;
}

/* Whoever speaks HTTP to a port of TLS learns why it does not work. A handshake begins with 22, a request with a
 * letter. */
static bool refuse_plain(wr_http_conn *c)
{
    char first;
    if (wr_http_tls_shaken(c->tls) || recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1) return false;
    if (first < 'A' || first > 'Z') return false;
    wr_http_tls_free(c->tls);
    c->tls = NULL;
    static const char body[] = "{\"error\":\"this port speaks TLS\",\"hint\":\"use https://\"}\n";
    wr_buf_printf(&c->out,
                  "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
                  "close\r\n\r\n%s",
                  sizeof body - 1, body);
    c->finishing = c->unread = true;
    WR_COUNT(c->loop->counts.errors_4xx, 1);
    wr_conn_dirty(c);
    return true;
}

/* One read, to be parsed with the others of the round: epoll is level-triggered and says so if there is more. */
static void read_some(wr_http_conn *c)
{
    wr_http_loop *l = c->loop;
    size_t held = c->held.n, room = WR_HTTP_RBUF - held;
    char *place = c->ops && held == 0 && !c->lingering ? c->ops->place(c, &room) : NULL;
    if (room == 0 || (c->tls && !c->lingering && refuse_plain(c))) return;
    char *space = place ? NULL : wr_http_loop_room(l), *to = place ? place : space + held;
    long n = c->tls && !c->lingering ? read_tls(c, to, room) : read_plain(c, to, room);
    if (n == READ_DEAD) wr_conn_close(c);
    if (n < 0) return;
    if (n == 0) {
        at_eof(c);
        return;
    }
    WR_COUNT(l->counts.bytes_in, (uint64_t)n);
    if (c->lingering) return;
    if (place) {
        c->ops->placed(c, (size_t)n);
        wr_conn_dirty(c);
    } else {
        if (held) memcpy(space, c->held.p, held);
        c->came = (wr_str){space, held + (size_t)n};
        c->next_came = NULL;
        *l->last_came = c;
        l->last_came = &c->next_came;
        wr_http_loop_used(l, c->came.n);
    }
}

void wr_conn_take(wr_http_conn *c)
{
    wr_str came = c->came;
    c->came = (wr_str){0};
    if (c->fd >= 0) feed(c, (char *)came.p, came.n);
}

void wr_conn_again(wr_http_conn *c)
{
    c->again = false;
    if (c->fd < 0) return;
    if (c->held.n) {
        char *space = wr_http_loop_room(c->loop);
        size_t n = c->held.n, nheld = c->loop->nheld;
        memcpy(space, c->held.p, n);
        feed(c, space, n);
        if (c->loop->nheld > nheld) wr_http_loop_used(c->loop, n);
        if (c->eof && c->held.n == n) wr_buf_fini(&c->held); /* what is left is half a request */
    }
    bool reading = (c->events & EPOLLIN) != 0;
    if (c->tls_more && reading && c->fd >= 0 && !c->eof) read_some(c);
}

void wr_conn_event(wr_http_conn *c, uint32_t events)
{
    if (c->fd < 0) return;
    bool reading = (c->events & EPOLLIN) != 0;
    if ((events & EPOLLERR) || ((events & EPOLLHUP) && !reading)) {
        wr_conn_close(c);
        return;
    }
    bool stuck = (events & EPOLLOUT) && c->tls && wr_http_tls_wants_write(c->tls); /* a read goes on with it */
    if (reading && (stuck || (events & (EPOLLIN | EPOLLHUP)))) read_some(c);
    if (c->fd >= 0 && (events & EPOLLOUT)) wr_conn_dirty(c);
}

/* ---- out ---- */

static bool blocked(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

enum { TLS_WRITES = 32 }; /* records in one round */

static ssize_t send_tls(wr_http_conn *c, const char *p, size_t left)
{
    size_t done = 0;
    long n = 0;
    for (int i = 0; i < TLS_WRITES && done < left; i++) {
        n = wr_http_tls_write(c->tls, p + done, left - done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    return done ? (ssize_t)done : n == WR_TLS_WAIT ? 0 : -1;
}

/* What is due of `out`; bytes that went, < 0 on errors. */
static ssize_t send_bytes(wr_http_conn *c)
{
    size_t left = c->out.n - c->out_off;
    if (left == 0) return 0;
    const char *p = c->out.p + c->out_off;
    int more = c->file.length ? MSG_MORE : 0; /* head and first bytes of a file in one packet */
    ssize_t n = c->tls ? send_tls(c, p, left) : transmit(c->fd, p, left, more);
    if (n < 0) return !c->tls && blocked() ? 0 : -1;
    c->out_off += (size_t)n;
    return n;
}

static void file_sent(wr_http_conn *c, ssize_t n)
{
    c->file.offset += n;
    c->file.length -= n;
    if (c->file.length == 0) close(c->file.fd);
}

/* Part of the file that follows; the socket does not block. */
static ssize_t send_file(wr_http_conn *c)
{
    if (c->file.length == 0 || c->out_off < c->out.n) return 0;
    size_t step = c->file.length < WR_HTTP_FILE_STEP ? (size_t)c->file.length : WR_HTTP_FILE_STEP;
    off_t at = c->file.offset;
    ssize_t n = sendfile(c->fd, c->file.fd, &at, step);
    if (n < 0) return blocked() ? 0 : -1;
    if (n == 0) return -1; /* shorter than was promised: only the end of the connection can say so */
    file_sent(c, n);
    return n;
}

/* The same through TLS: the file's bytes have to be encrypted here, so they pass through `out`. */
static ssize_t send_file_tls(wr_http_conn *c)
{
    if (c->file.length == 0 || c->out_off < c->out.n) return 0;
    size_t step = c->file.length < WR_HTTP_OUT_HIGH ? (size_t)c->file.length : WR_HTTP_OUT_HIGH;
    wr_buf_clear(&c->out);
    c->out_off = 0;
    if (!wr_buf_reserve(&c->out, step)) return -1;
    ssize_t n = pread(c->file.fd, c->out.p, step, c->file.offset);
    if (n <= 0) return -1;
    c->out.n = (size_t)n;
    file_sent(c, n);
    return send_bytes(c);
}

/* Sends what is due. False when the connection is gone. */
static bool send_out(wr_http_conn *c)
{
    if (wr_conn_unsent(c) == 0) return true;
    ssize_t n = send_bytes(c), of_file = n < 0 ? n : c->tls ? send_file_tls(c) : send_file(c);
    if (of_file < 0) {
        wr_conn_close(c);
        return false;
    }
    n += of_file;
    if (n > 0) WR_COUNT(c->loop->counts.bytes_out, (uint64_t)n);
    if (n > 0 || !(c->events & EPOLLOUT)) c->blocked_since = c->loop->now;
    if (c->out.n == c->out_off) {
        c->out_off = 0;
        if (c->out.cap > WR_HTTP_KEEP_BUF) wr_buf_fini(&c->out);
        else wr_buf_clear(&c->out);
    } else if (c->out_off > WR_HTTP_OUT_HIGH) {
        wr_buf_consume(&c->out, c->out_off);
        c->out_off = 0;
    }
    return true;
}

/* The last answer is out. */
static void end(wr_http_conn *c)
{
    if (c->tls) wr_http_tls_goodbye(c->tls);
    if (c->eof || !(c->unread || c->held.n) || c->loop->stopping || shutdown(c->fd, SHUT_WR) < 0) {
        wr_conn_close(c);
        return;
    }
    c->lingering = true;
    c->linger_until = c->loop->now + WR_HTTP_LINGER_MS * MS;
    wr_buf_fini(&c->held);
    wr_buf_fini(&c->out);
    set_events(c, EPOLLIN);
}

void wr_conn_retry(wr_http_conn *c)
{
    if (c->again || (c->held.n == 0 && !c->tls_more)) return;
    c->again = true;
    c->next_again = c->loop->again;
    c->loop->again = c;
}

/* Everything is sent: what is the connection waiting for now? False when it was closed. */
static bool rest(wr_http_conn *c)
{
    bool busy = c->ops && c->ops->busy(c);
    if (c->finishing) {
        end(c);
        return false;
    }
    if (!busy && (c->loop->stopping || (c->eof && c->held.n == 0))) {
        wr_conn_close(c);
        return false;
    }
    if (!busy) c->idle_since = c->loop->now;
    return true;
}

/* Answers that are due move to `out` and go; behind a file that is sent to its end the next ones are due. */
static bool send_answers(wr_http_conn *c, bool commit_failed)
{
    for (;;) {
        if (c->ops) c->ops->settle(c, commit_failed);
        if (c->broken || c->out.failed) {
            wr_conn_close(c);
            return false;
        }
        bool file = c->file.length > 0;
        if (!send_out(c)) return false;
        if (!file || c->file.length > 0) return true;
    }
}

void wr_conn_flush(wr_http_conn *c, bool commit_failed)
{
    c->dirty = false;
    if (c->fd < 0) return;
    if (c->lingering) {
        if (c->eof) wr_conn_close(c);
        return;
    }
    bool paused = c->held.n > 0 && c->ops && !c->ops->ready(c);
    if (!send_answers(c, commit_failed)) return;
    if (c->ops) c->ops->sent(c);
    if (wr_conn_unsent(c) == 0 && !rest(c)) return;
    bool ready = !c->ops || c->ops->ready(c);
    if (ready && !c->finishing && ((c->held.n && (paused || c->eof)) || (c->tls_more && !c->eof))) wr_conn_retry(c);
    bool writes = wr_conn_unsent(c) || (c->tls && wr_http_tls_wants_write(c->tls));
    set_events(c, (!c->eof && ready && !c->finishing ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u));
    if (c->broken) wr_conn_close(c);
}

/* ---- time ---- */

void wr_conn_stop(wr_http_conn *c)
{
    if (c->ops && !c->lingering) c->ops->stop(c);
    if (c->lingering || (wr_conn_unsent(c) == 0 && !(c->ops && c->ops->busy(c)))) wr_conn_close(c);
    else wr_conn_dirty(c);
}

/* Does it wait for the peer to take what is unsent? Not as long as nobody tried: an answer of this round is sent at its
 * end. */
static bool is_blocked(const wr_http_conn *c) { return wr_conn_unsent(c) && (c->events & EPOLLOUT); }

int64_t wr_conn_deadline(const wr_http_conn *c)
{
    const wr_http_server *s = c->loop->server;
    if (c->lingering) return c->linger_until;
    int64_t at = c->ops ? c->ops->deadline(c) : INT64_MAX;
    if (is_blocked(c)) {
        int64_t out = c->blocked_since + s->write_ns;
        return out < at ? out : at;
    }
    bool idle = at == INT64_MAX && !(c->ops && c->ops->busy(c));
    if (idle && (c->held.n || (c->tls && !wr_http_tls_shaken(c->tls)))) return c->idle_since + s->head_ns;
    return idle ? c->idle_since + s->idle_ns : at;
}

void wr_conn_expire(wr_http_conn *c)
{
    bool owes = c->ops && !c->lingering && c->ops->deadline(c) <= c->loop->now;
    bool stuck = is_blocked(c) && c->blocked_since + c->loop->server->write_ns <= c->loop->now;
    if (!owes || stuck) {
        wr_conn_close(c);
        return;
    }
    c->ops->expire(c);
    wr_conn_dirty(c);
}
