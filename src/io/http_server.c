/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c - the server as a whole: listening, the threads of its loops, stopping. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/http_internal.h"

enum { BACKLOG = 1024, LOOPS_MAX = 256 };

/* ---- listening ---- */

static int address_of(struct sockaddr_storage *out, socklen_t *len, const char *host, int port, wr_err *err)
{
    if (port < 0 || port > 65535) return wr_err_set(err, WEIR_EINVAL, "port '%d' is not between 0 and 65535", port);
    const char *ip = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    *out = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *len = sizeof *v4;
        return 0;
    }
    if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *len = sizeof *v6;
        return 0;
    }
    wr_err_set(err, WEIR_EINVAL, "cannot listen on '%s'", host);
    return wr_err_hint(err, WEIR_EINVAL, "give an IP address: 127.0.0.1 for this machine, 0.0.0.0 for all networks");
}

static int bind_failed(int sys, const char *host, int port, wr_err *err)
{
    if (sys != EADDRINUSE) {
        int rc = wr_err_sys(err, sys, "cannot listen on '%s:%d'", host, port);
        if (sys == EACCES) wr_err_hint(err, rc, "ports below 1024 need privileges; choose a higher one");
        return rc;
    }
    wr_err_set(err, WEIR_EEXIST, "port '%d' is in use", port);
    return wr_err_hint(err, WEIR_EEXIST, "another server listens on it; stop that one or choose another port");
}

static int port_of(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0) return -1;
    return sa.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&sa)->sin_port)
                                   : ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
}

/* A bound socket. SO_REUSEADDR: a restart must not wait for the old connections to be forgotten. TCP_NODELAY is
 * inherited by what it accepts. */
static int bound(const char *host, int port, bool share, wr_err *err)
{
    struct sockaddr_storage sa;
    socklen_t len = 0;
    WR_TRY(address_of(&sa, &len, host, port, err));
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return wr_err_sys(err, errno, "cannot make a socket");
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (share) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&sa, len) < 0) {
        int rc = bind_failed(errno, host, port, err);
        close(fd);
        return rc;
    }
    return fd;
}

static int listener(const char *host, int *port, bool share, wr_err *err)
{
    if (share && *port) { /* another process of ours could share the port unnoticed: ask for it alone first */
        int probe = bound(host, *port, false, err);
        if (probe < 0) return probe;
        close(probe);
    }
    int fd = bound(host, *port, share, err);
    if (fd < 0) return fd;
    if (listen(fd, BACKLOG) < 0) {
        int rc = bind_failed(errno, host, *port, err);
        close(fd);
        return rc;
    }
    *port = port_of(fd);
    return fd;
}

/* ---- life ---- */

static int64_t or_default(int ms, int fallback) { return (int64_t)(ms > 0 ? ms : fallback) * 1000000; }

static void fill_in(wr_http_server *s, const wr_http_server_opt *opt)
{
    s->opt = *opt;
    if (!s->opt.host) s->opt.host = "127.0.0.1";
    if (!s->opt.max_connections) s->opt.max_connections = WR_LIMIT_HTTP_CONNECTIONS;
    if (!s->opt.max_per_ip) s->opt.max_per_ip = WR_LIMIT_HTTP_PER_IP;
    s->port = opt->port;
    s->head_ns = or_default(opt->head_ms, WR_LIMIT_HTTP_HEAD_MS);
    s->idle_ns = or_default(opt->idle_ms, WR_LIMIT_HTTP_IDLE_MS);
    s->write_ns = or_default(opt->write_ms, WR_LIMIT_HTTP_WRITE_MS);
    s->grace_ns = or_default(opt->body_grace_ms, WR_LIMIT_HTTP_BODY_GRACE_MS);
    s->shortest_ns = or_default(WR_HTTP_LINGER_MS, 0);
    const int64_t all[] = {s->head_ns, s->idle_ns, s->write_ns, s->grace_ns};
    for (size_t i = 0; i < 4; i++) {
        if (all[i] < s->shortest_ns) s->shortest_ns = all[i];
    }
}

/* The listening socket of loop i: one that was handed over, or a new one. */
static int listener_of(wr_http_server *s, int i, int loops, wr_err *err)
{
    if (s->opt.nlisteners) {
        int fd = s->opt.listeners[i];
        if (i == 0) s->port = port_of(fd);
        if (s->port < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return wr_err_sys(err, errno, "descriptor %d is no listening socket", fd);
        return fd;
    }
    if (i == 0) return listener(s->opt.host, &s->port, loops > 1, err);
    int fd = bound(s->opt.host, s->port, true, err);
    if (fd >= 0 && listen(fd, BACKLOG) < 0) {
        int rc = bind_failed(errno, s->opt.host, s->port, err);
        close(fd);
        return rc;
    }
    return fd;
}

static int open_loops(wr_http_server *s, int loops, wr_err *err)
{
    s->loops = wr_calloc((size_t)loops, sizeof *s->loops);
    if (!s->loops || wr_http_peers_init(&s->peers, s->opt.max_connections) < 0) return wr_err_nomem(err);
    if (s->opt.cert || s->opt.key) WR_TRY(wr_http_tls_open(&s->tls, s->opt.cert, s->opt.key, err));
    for (int i = 0; i < loops; i++) {
        int fd = listener_of(s, i, loops, err);
        if (fd < 0) return fd;
        s->nloops = i + 1; /* the loop owns fd from here, even if its init fails */
        WR_TRY(wr_http_loop_init(&s->loops[i], s, i, fd, err));
    }
    return 0;
}

int wr_http_server_open(wr_http_server **out, const wr_http_server_opt *opt, wr_err *err)
{
    int loops = opt->nlisteners ? opt->nlisteners : opt->loops > 0 ? opt->loops : 1;
    if (loops > LOOPS_MAX) return wr_err_set(err, WEIR_ELIMIT, "'%d' loops are more than %d", loops, LOOPS_MAX);
    wr_http_server *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    atomic_init(&s->refs, 1);
    fill_in(s, opt);
    int rc = open_loops(s, loops, err);
    if (rc < 0) {
        for (int i = s->nloops; i < opt->nlisteners; i++) close(opt->listeners[i]);
        wr_http_server_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int wr_http_server_port(const wr_http_server *s) { return s->port; }

static void *thread_main(void *arg)
{
    wr_http_loop_run(arg);
    return NULL;
}

/* The loops' threads take no signals: these are for the thread that called run(). */
static int start_threads(wr_http_server *s, int *started)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = 0;
    for (int i = 1; i < s->nloops && sys == 0; i++) {
        sys = pthread_create(&s->loops[i].thread, NULL, thread_main, &s->loops[i]);
        if (sys == 0) *started = i;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return sys;
}

int wr_http_server_run(wr_http_server *s, wr_err *err)
{
    int started = 0, sys = start_threads(s, &started);
    if (sys == 0) wr_http_loop_run(&s->loops[0]);
    else wr_http_server_stop(s, 0);
    for (int i = 1; i <= started; i++) pthread_join(s->loops[i].thread, NULL);
    return sys ? wr_err_sys(err, sys, "cannot start a thread of the server") : 0;
}

void wr_http_server_stop(wr_http_server *s, int drain_ms)
{
    atomic_store(&s->drain_ms, drain_ms);
    atomic_store_explicit(&s->stop, true, memory_order_release);
    for (int i = 0; i < s->nloops; i++) wr_http_loop_wake(&s->loops[i]);
}

void wr_http_server_hand_over(wr_http_server *s, int drain_ms)
{
    atomic_store(&s->keep, true);
    wr_http_server_stop(s, drain_ms);
}

int wr_http_server_listeners(wr_http_server *s, int *out, int max)
{
    int n = 0;
    for (int i = 0; i < s->nloops && n < max; i++) {
        if (s->loops[i].listener < 0) continue;
        out[n++] = s->loops[i].listener;
        s->loops[i].listener = -1;
    }
    return n;
}

void wr_http_server_unref(wr_http_server *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1) return;
    for (int i = 0; i < s->nloops; i++) wr_http_loop_fini(&s->loops[i]);
    wr_http_peers_fini(&s->peers);
    wr_http_tls_close(s->tls);
    wr_free(s->loops);
    wr_free(s);
}

void wr_http_server_close(wr_http_server *s)
{
    if (!s) return;
    for (int i = 0; i < s->nloops; i++) {
        wr_http_loop_seal(&s->loops[i]);
        if (s->loops[i].listener >= 0) close(s->loops[i].listener); /* the rest may wait for deferred requests */
        s->loops[i].listener = -1;
    }
    wr_http_server_unref(s);
}

void wr_http_server_stats(const wr_http_server *s, wr_http_stats *out)
{
    *out = (wr_http_stats){.connections = atomic_load_explicit(&s->nconns, memory_order_relaxed)};
    for (int i = 0; i < s->nloops; i++) {
        const wr_http_counts *c = &s->loops[i].counts;
        out->accepted += atomic_load_explicit(&c->accepted, memory_order_relaxed);
        out->requests += atomic_load_explicit(&c->requests, memory_order_relaxed);
        out->errors_4xx += atomic_load_explicit(&c->errors_4xx, memory_order_relaxed);
        out->errors_5xx += atomic_load_explicit(&c->errors_5xx, memory_order_relaxed);
        out->bytes_in += atomic_load_explicit(&c->bytes_in, memory_order_relaxed);
        out->bytes_out += atomic_load_explicit(&c->bytes_out, memory_order_relaxed);
        out->rounds += atomic_load_explicit(&c->rounds, memory_order_relaxed);
    }
}
