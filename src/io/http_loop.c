/* SPDX-License-Identifier: Apache-2.0 */
/* http_loop.c - one thread's event loop: epoll, accepting, rounds, messages from other threads, deadlines.
 *
 * Deadlines are found by a scan of all connections, which also yields the time of the next one. Every deadline is at
 * least `shortest_ns` away when it starts to run, so a scan at min(earliest, last scan + shortest) misses none, and a
 * loop whose connections are idle sleeps for seconds.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/http_internal.h"

enum { EVENTS = 256, ACCEPTS = 64 };
static const int64_t MS = 1000000;
#define NEVER INT64_MAX

static _Thread_local const wr_http_loop *current;

/* ---- life ---- */

static bool add_buffer(wr_http_loop *l)
{
    wr_http_buffer *b = l->spare;
    if (b) {
        l->spare = b->next;
    } else {
        b = l->nbuffers < WR_HTTP_BUFFERS ? wr_alloc(sizeof *b) : NULL;
        if (!b) return false;
        l->nbuffers++;
    }
    b->used = b->held = 0;
    l->buffer = b;
    return true;
}

int wr_http_loop_init(wr_http_loop *l, wr_http_server *s, int index, int listener, wr_err *err)
{
    *l = (wr_http_loop){.server = s, .index = index, .ep = -1, .listener = listener, .wake = -1};
    l->last_came = &l->came;
    l->scan_at = l->accept_at = l->tick_at = l->stop_at = l->retire_at = l->settle_at = NEVER;
    pthread_mutex_init(&l->lock, NULL);
    l->forms = wr_http_forms_new();
    if (!l->forms || !add_buffer(l)) return wr_err_nomem(err);
    l->ep = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &l->listener};
    struct epoll_event on_wake = {.events = EPOLLIN, .data.ptr = &l->wake};
    if (l->ep < 0 || l->wake < 0 || epoll_ctl(l->ep, EPOLL_CTL_ADD, listener, &on_listener) < 0 ||
        epoll_ctl(l->ep, EPOLL_CTL_ADD, l->wake, &on_wake) < 0)
        return wr_err_sys(err, errno, "cannot set up an event loop");
    return 0;
}

static void free_dead(wr_http_loop *l, bool all)
{
    wr_http_conn *c = l->dead;
    l->dead = NULL;
    for (wr_http_conn *next; c; c = next) {
        next = c->next_dead;
        if (c->again && !all) { /* the list of the next round still holds it */
            c->next_dead = l->dead;
            l->dead = c;
        } else {
            wr_free(c);
        }
    }
}

void wr_http_loop_fini(wr_http_loop *l)
{
    free_dead(l, true);
    for (wr_http_req *r = l->free_reqs, *next; r; r = next) {
        next = r->next;
        wr_http_req_destroy(r);
    }
    if (l->listener >= 0) close(l->listener);
    if (l->wake >= 0) close(l->wake);
    if (l->ep >= 0) close(l->ep);
    wr_free(l->conns);
    wr_http_forms_free(l->forms);
    wr_free(l->buffer);
    wr_free(l->spare);
    pthread_mutex_destroy(&l->lock);
}

/* ---- messages ---- */

void wr_http_loop_wake(wr_http_loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->wake, &one, sizeof one); /* full means that it is awake already */
    (void)n;
}

bool wr_http_loop_post(wr_http_loop *l, wr_http_msg *m)
{
    m->next = NULL;
    pthread_mutex_lock(&l->lock);
    bool open = !l->closed, first = !l->msgs;
    if (open) {
        if (first) l->msgs = m;
        else l->last_msg->next = m;
        l->last_msg = m;
        /* Woken under the lock: once it is released, the message may be all that kept the loop in existence. */
        if (first && current != l) wr_http_loop_wake(l);
    }
    pthread_mutex_unlock(&l->lock);
    return open;
}

static wr_http_msg *take_messages(wr_http_loop *l)
{
    pthread_mutex_lock(&l->lock);
    wr_http_msg *m = l->msgs;
    l->msgs = NULL;
    pthread_mutex_unlock(&l->lock);
    return m;
}

static bool has_messages(wr_http_loop *l)
{
    pthread_mutex_lock(&l->lock);
    bool some = l->msgs != NULL;
    pthread_mutex_unlock(&l->lock);
    return some;
}

void wr_http_req_finished(wr_http_req *r)
{
    wr_http_conn *c = r->conn;
    if (!c) {
        wr_http_req_free(r);
        return;
    }
    c->ops->finished(c, r);
    wr_conn_dirty(c);
}

static void finished(wr_http_req *r)
{
    wr_http_server *s = r->loop->server;
    wr_http_req_finished(r);
    wr_http_server_unref(s);
}

static void handle_messages(wr_http_loop *l)
{
    for (wr_http_msg *m = take_messages(l), *next; m; m = next) {
        next = m->next;
        if (m->kind == WR_MSG_FINISH) finished(m->of);
        else if (m->kind == WR_MSG_RESUME) wr_http_req_resumed(m->of);
        else wr_http_stream_message(m->of);
    }
}

void wr_http_loop_seal(wr_http_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->closed = true;
    pthread_mutex_unlock(&l->lock);
    handle_messages(l);
}

/* ---- buffers, and what is held ---- */

static void free_buffer(wr_http_loop *l, wr_http_buffer *b)
{
    if (l->spare) { /* one is enough */
        wr_free(b);
        l->nbuffers--;
    } else {
        b->next = NULL;
        l->spare = b;
    }
}

void wr_http_loop_release(wr_http_loop *l, wr_http_req *r)
{
    l->nheld--;
    if (--r->in->held == 0 && r->in != l->buffer) free_buffer(l, r->in);
    r->in = NULL;
}

static void take_what_came(wr_http_loop *l)
{
    wr_http_conn *c = l->came;
    l->came = NULL;
    l->last_came = &l->came;
    for (wr_http_conn *next; c; c = next) {
        next = c->next_came;
        wr_conn_take(c);
    }
}

void wr_http_loop_settle(wr_http_loop *l, bool all)
{
    const wr_http_server_opt *opt = &l->server->opt;
    if (l->came) take_what_came(l);
    l->settle_at = l->nheld ? opt->settle(opt->ctx, l->index, all) : NEVER;
    WR_BUG_IF(all && l->nheld);
    if (l->buffer->held == 0) l->buffer->used = 0;
}

static bool is_full(const wr_http_loop *l) { return l->buffer->used > sizeof l->buffer->at - WR_HTTP_RBUF; }

char *wr_http_loop_room(wr_http_loop *l)
{
    if (is_full(l)) wr_http_loop_settle(l, false);
    if (is_full(l) && !add_buffer(l)) wr_http_loop_settle(l, true);
    return l->buffer->at + l->buffer->used;
}

void wr_http_loop_used(wr_http_loop *l, size_t n) { l->buffer->used += (n + 63) & ~(size_t)63; }

/* ---- accepting ---- */

static void refuse(int fd, int status)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    static const char many[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    const char *text = status == 429 ? many : busy;
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
    shutdown(fd, SHUT_WR);
    close(fd);
}

static bool room_for_one(wr_http_loop *l)
{
    if (l->nconns < l->cap_conns) return true;
    size_t cap = l->cap_conns ? l->cap_conns * 2 : 64;
    wr_http_conn **more = wr_realloc(l->conns, cap * sizeof *more);
    if (!more) return false;
    l->conns = more;
    l->cap_conns = cap;
    return true;
}

static void admit(wr_http_loop *l, int fd, const struct sockaddr_storage *sa)
{
    wr_http_server *s = l->server;
    wr_http_addr addr;
    wr_http_addr_of(&addr, sa);
    WR_COUNT(l->counts.accepted, 1);
    if (atomic_fetch_add(&s->nconns, 1) >= s->opt.max_connections || !room_for_one(l)) {
        atomic_fetch_sub(&s->nconns, 1);
        refuse(fd, 503);
        return;
    }
    if (!wr_http_peers_add(&s->peers, &addr, s->opt.max_per_ip)) {
        atomic_fetch_sub(&s->nconns, 1);
        refuse(fd, 429);
        return;
    }
    wr_conn_open(l, fd, &addr, sa);
}

static void listen_for(wr_http_loop *l, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = &l->listener};
    epoll_ctl(l->ep, EPOLL_CTL_MOD, l->listener, &ev);
}

static void accept_some(wr_http_loop *l)
{
    for (int i = 0; i < ACCEPTS && l->listener >= 0; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        int fd = accept4(l->listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(l, fd, &sa);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The listener stays readable: without a pause this would spin until a descriptor is free. */
            wr_warn("cannot accept connections: %s", strerrordesc_np(errno));
            listen_for(l, 0);
            l->accept_at = l->now + 100 * MS;
            return;
        } else if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO) {
            return;
        }
    }
}

static void resume_accepting(wr_http_loop *l)
{
    if (l->accept_at > l->now) return;
    l->accept_at = NEVER;
    if (l->stopping || l->retire_at != NEVER) return;
    listen_for(l, EPOLLIN);
    accept_some(l);
}

/* ---- time ---- */

static void scan(wr_http_loop *l)
{
    if (l->now < l->scan_at) return;
    int64_t shortest = l->server->shortest_ns, soonest = NEVER;
    for (size_t i = l->nconns; i-- > 0;) { /* backwards: closing one moves the last into its place */
        wr_http_conn *c = l->conns[i];
        int64_t at = wr_conn_deadline(c);
        if (at <= l->now) wr_conn_expire(c);
        else if (at < soonest) soonest = at;
    }
    int64_t grain = shortest / 4 < 100 * MS ? shortest / 4 : 100 * MS;
    if (soonest > l->now + shortest) soonest = l->now + shortest;
    l->scan_at = l->nconns == 0 ? NEVER : soonest < l->now + grain ? l->now + grain : soonest;
}

static void tick(wr_http_loop *l)
{
    if (l->now < l->tick_at) return;
    l->tick_at = l->now + 1000 * MS;
    l->server->opt.tick(l->server->opt.ctx);
}

/* When to look next whatever comes; 0 = at once. */
static int64_t next_look(wr_http_loop *l)
{
    if (l->again || has_messages(l)) return 0;
    int64_t at = l->scan_at;
    if (l->accept_at < at) at = l->accept_at;
    if (l->tick_at < at) at = l->tick_at;
    if (l->stop_at < at) at = l->stop_at;
    if (!l->stopping && l->retire_at < at) at = l->retire_at;
    return at;
}

/* To the millisecond, as deadlines are; to the nanosecond when something is held, where the kernel can (5.11). */
static int wait_for_events(wr_http_loop *l, struct epoll_event *ev)
{
    int64_t at = next_look(l), soon = l->settle_at < at ? l->settle_at : at;
    if (soon == NEVER) return epoll_wait(l->ep, ev, EVENTS, -1);
    int64_t left = soon ? soon - wr_clock_mono_ns() : 0;
    if (left < 0) left = 0;
    if (soon == l->settle_at && left > 0) {
        int n = epoll_pwait2(l->ep, ev, EVENTS,
                             &(struct timespec){.tv_sec = left / (1000 * MS), .tv_nsec = left % (1000 * MS)}, NULL);
        if (n >= 0 || errno != ENOSYS) return n;
    }
    return epoll_wait(l->ep, ev, EVENTS, (int)((left + MS - 1) / MS));
}

static void begin_stop(wr_http_loop *l)
{
    l->stopping = true;
    l->stop_at = l->now + atomic_load(&l->server->drain_ms) * MS;
    if (l->retire_at == NEVER) {
        close(l->listener); /* epoll forgets it */
        l->listener = -1;
    }
    for (size_t i = l->nconns; i-- > 0;) wr_conn_stop(l->conns[i]);
}

/* Sockets that are handed over: first nothing more is accepted, and what was accepted is answered as ever, with
 * "Connection: close". A connection whose request is on its way is not closed under it. */
static void stop_if_asked(wr_http_loop *l)
{
    if (l->stopping || !atomic_load_explicit(&l->server->stop, memory_order_acquire)) return;
    if (atomic_load(&l->server->keep)) {
        if (l->retire_at == NEVER) {
            epoll_ctl(l->ep, EPOLL_CTL_DEL, l->listener, NULL);
            l->retire_at = l->now + WR_HTTP_RETIRE_MS * MS;
        }
        if (l->now < l->retire_at && l->nconns) return;
    }
    begin_stop(l);
}

/* ---- the round ---- */

static void handle_events(wr_http_loop *l, const struct epoll_event *ev, int n)
{
    for (int i = 0; i < n; i++) {
        if (ev[i].data.ptr == &l->listener) {
            accept_some(l);
        } else if (ev[i].data.ptr == &l->wake) {
            uint64_t count;
            ssize_t got = read(l->wake, &count, sizeof count);
            (void)got;
        } else {
            wr_conn_event(ev[i].data.ptr, ev[i].events);
        }
    }
}

static void take_up_again(wr_http_loop *l)
{
    wr_http_conn *c = l->again;
    l->again = NULL;
    for (wr_http_conn *next; c; c = next) {
        next = c->next_again;
        wr_conn_again(c);
    }
}

static void end_round(wr_http_loop *l)
{
    const wr_http_server_opt *opt = &l->server->opt;
    bool failed = l->ran && opt->round_end && opt->round_end(opt->ctx, l->index) < 0;
    if (l->ran) WR_COUNT(l->counts.rounds, 1);
    l->ran = false;
    wr_http_conn *c = l->dirty;
    l->dirty = NULL;
    for (wr_http_conn *next; c; c = next) {
        next = c->next_dirty;
        wr_conn_flush(c, failed);
    }
    free_dead(l, false);
}

static bool over(const wr_http_loop *l) { return l->stopping && (l->nconns == 0 || l->now >= l->stop_at); }

void wr_http_loop_run(wr_http_loop *l)
{
    struct epoll_event ev[EVENTS];
    current = l;
    l->now = wr_clock_mono_ns();
    if (l->index == 0 && l->server->opt.tick) l->tick_at = l->now;
    while (!over(l)) {
        int n = wait_for_events(l, ev);
        l->now = wr_clock_mono_ns();
        handle_events(l, ev, n);
        if (l->came) take_what_came(l);
        take_up_again(l);
        wr_http_loop_settle(l, l->stopping);
        resume_accepting(l);
        scan(l);
        tick(l);
        handle_messages(l);
        wr_http_loop_settle(l, l->stopping); /* a body that went on may have run its handler */
        stop_if_asked(l);
        end_round(l);
    }
    wr_http_loop_settle(l, true);
    while (l->nconns) wr_conn_close(l->conns[0]);
    free_dead(l, false);
    current = NULL;
}
