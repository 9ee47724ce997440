/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - HTTP/1.1 load for model servers: serve_load --port N [options]. One thread, one epoll, each connection with
 * one request under way.
 *
 *   --method M --path P --header "Name: value"   the request; --bodies DIR: bodies N.body taken in turns, N from 0
 *   --connections C --seconds S --cpu K          K: the processor the client stays on
 *   --rate R                                     open loop: one request each 1/R seconds whether or not the last was
 * answered; what waits for a connection counts from when it was due. Without it a connection asks as soon as it was
 * answered.
 *   --warm S                                     seconds before the measurement
 *   --pid P                                      CPU time of that process and its children
 *
 * An answer counts when its status is 200 and its body holds the bytes of N.want (any body without --bodies): a server
 * that answers wrongly is not fast. Nothing of Weir is linked in. Prints one JSON object; ends with 1 when an answer
 * was wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../track/tree.h"

enum { CONNECTIONS_MAX = 1024, BODIES_MAX = 256, ANSWER_MAX = 64 << 20, EVENTS = 256, LATENCIES_MAX = 1 << 23 };

typedef struct {
    char *at;
    size_t n;
} text;

typedef struct {
    int fd;
    size_t which, sent; /* the request under way and how much of it is out */
    char *in;
    size_t got, cap, need; /* bytes of the answer; need = 0 until its head is read */
    int64_t due;           /* when it was to be sent; 0 = idle */
    bool writing;          /* epoll is asked for EPOLLOUT */
} conn;

typedef struct {
    const char *method, *path, *headers[16], *bodies;
    size_t nheaders;
    int port, connections, cpu, pid;
    double seconds, warm, rate;
} options;

static options opt = {.method = "GET", .path = "/", .connections = 1, .cpu = -1, .seconds = 3, .warm = 0.3};
static conn conns[CONNECTIONS_MAX];
static text requests[BODIES_MAX], wants[BODIES_MAX];
static size_t nrequests, next_request;
static int ep;
static float *latencies; /* microseconds */
static uint64_t nlatencies, answers, wrong, bytes_in, bytes_out;
static bool counting;
static char first_wrong[400];

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fputs("serve_load: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
    exit(2);
}

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- requests ---- */

static bool slurp(text *out, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    (void)fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    out->at = n < 0 ? NULL : malloc((size_t)n + 1);
    if (!out->at || fread(out->at, 1, (size_t)n, f) != (size_t)n) die("cannot read '%s'", path);
    out->n = (size_t)n;
    (void)fclose(f);
    return true;
}

static void make_request(text *out, const text *body)
{
    size_t room = 4096 + body->n;
    for (size_t i = 0; i < opt.nheaders; i++) room += strlen(opt.headers[i]) + 2;
    char *p = out->at = malloc(room);
    if (!p) die("out of memory");
    p += snprintf(p, 2048, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", opt.method, opt.path, opt.port);
    for (size_t i = 0; i < opt.nheaders; i++) p += sprintf(p, "%s\r\n", opt.headers[i]);
    if (body->n) p += sprintf(p, "Content-Length: %zu\r\n", body->n);
    p += sprintf(p, "\r\n");
    if (body->n) memcpy(p, body->at, body->n);
    out->n = (size_t)(p - out->at) + body->n;
}

static void make_requests(void)
{
    char path[4096];
    if (!opt.bodies) {
        make_request(&requests[nrequests++], &(text){0});
        return;
    }
    for (; nrequests < BODIES_MAX; nrequests++) {
        text body;
        (void)snprintf(path, sizeof path, "%s/%zu.body", opt.bodies, nrequests);
        if (!slurp(&body, path)) break;
        (void)snprintf(path, sizeof path, "%s/%zu.want", opt.bodies, nrequests);
        if (!slurp(&wants[nrequests], path)) die("there is no '%s'", path);
        make_request(&requests[nrequests], &body);
        free(body.at);
    }
    if (!nrequests) die("no bodies in '%s'", opt.bodies);
}

/* ---- a connection ---- */

static void watch(conn *c, bool writing)
{
    if (c->writing == writing) return;
    struct epoll_event ev = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = c};
    if (epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) < 0) die("epoll: %s", strerror(errno));
    c->writing = writing;
}

static void open_conn(conn *c)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("cannot connect to port %d: %s", opt.port, strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) < 0) die("epoll: %s", strerror(errno));
    c->writing = false;
    c->cap = 16 << 10;
    if (!c->in && !(c->in = malloc(c->cap + 1))) die("out of memory");
}

static void push_out(conn *c)
{
    const text *r = &requests[c->which];
    while (c->sent < r->n) {
        ssize_t n = send(c->fd, r->at + c->sent, r->n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n < 0) die("sending: %s", strerror(errno));
        c->sent += (size_t)n;
    }
    watch(c, c->sent < r->n);
}

static void ask(conn *c, int64_t due)
{
    c->which = next_request++ % nrequests;
    c->sent = c->got = c->need = 0;
    c->due = due;
    push_out(c);
}

/* Length of the whole answer once its head is there. */
static void read_head(conn *c)
{
    c->in[c->got] = 0;
    const char *end = strstr(c->in, "\r\n\r\n");
    if (!end) return;
    size_t head = (size_t)(end - c->in) + 4, length = 0;
    for (const char *line = c->in; line < end; line = strchr(line, '\n') + 1)
        if (strncasecmp(line, "Content-Length:", 15) == 0) length = strtoul(line + 15, NULL, 10);
    if (length > ANSWER_MAX) die("an answer of %zu bytes", length);
    c->need = head + length;
    if (c->need <= c->cap) return;
    c->cap = c->need;
    if (!(c->in = realloc(c->in, c->cap + 1))) die("out of memory");
}

static void answered(conn *c, int64_t now)
{
    const text *want = &wants[c->which];
    bool right = memcmp(c->in, "HTTP/1.1 200", 12) == 0 && (!want->n || memmem(c->in, c->need, want->at, want->n));
    if (!right && !wrong++)
        (void)snprintf(first_wrong, sizeof first_wrong, "%.*s", (int)(c->need < 390 ? c->need : 390), c->in);
    if (counting) {
        answers++;
        bytes_in += c->need;
        bytes_out += requests[c->which].n;
        if (nlatencies < LATENCIES_MAX) latencies[nlatencies++] = (float)(now - c->due) / 1e3f;
    }
    c->due = 0;
}

/* True when an answer is complete. */
static bool pull_in(conn *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->in + c->got, c->cap - c->got, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        if (n <= 0) die("the server closed a connection: %s", n ? strerror(errno) : "end");
        c->got += (size_t)n;
        if (!c->need) read_head(c);
        if (c->need && c->got >= c->need) return true;
        if (!c->need && c->got == c->cap) die("an answer without an end of its head");
    }
}

/* ---- the loop ---- */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(double q)
{
    if (!nlatencies) return 0;
    uint64_t i = (uint64_t)(q * (double)nlatencies);
    return (double)latencies[i < nlatencies ? i : nlatencies - 1];
}

/* Hands what is due to connections that are idle; returns when the next one is due. */
static int64_t send_due(int64_t *due, int64_t step, int64_t now)
{
    static int at;
    for (int tried = 0; *due <= now && tried < opt.connections; tried++) {
        conn *c = &conns[at++ % opt.connections];
        if (c->due) continue;
        ask(c, *due);
        *due += step;
        tried = -1;
    }
    return *due;
}

static void loop_until(int64_t end, int64_t step)
{
    struct epoll_event ev[EVENTS];
    int64_t now = now_ns(), due = now;
    for (int i = 0; i < opt.connections && !step; i++)
        if (!conns[i].due) ask(&conns[i], now);
    while (now < end) {
        int64_t until = step ? send_due(&due, step, now) : end;
        int64_t wait = until > now ? until - now : 200000; /* late: a connection has to become free first */
        if (wait > 100000000) wait = 100000000;
        struct timespec t = {.tv_nsec = wait};
        int n = epoll_pwait2(ep, ev, EVENTS, &t, NULL);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            conn *c = ev[i].data.ptr;
            if (ev[i].events & EPOLLOUT) push_out(c);
            if (!(ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !pull_in(c)) continue;
            answered(c, now);
            if (!step) ask(c, now);
        }
    }
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *k = argv[i], *v = argv[i + 1];
        if (!strcmp(k, "--port")) opt.port = atoi(v);
        else if (!strcmp(k, "--method")) opt.method = v;
        else if (!strcmp(k, "--path")) opt.path = v;
        else if (!strcmp(k, "--header") && opt.nheaders < 16) opt.headers[opt.nheaders++] = v;
        else if (!strcmp(k, "--bodies")) opt.bodies = v;
        else if (!strcmp(k, "--connections")) opt.connections = atoi(v);
        else if (!strcmp(k, "--cpu")) opt.cpu = atoi(v);
        else if (!strcmp(k, "--pid")) opt.pid = atoi(v);
        else if (!strcmp(k, "--seconds")) opt.seconds = atof(v);
        else if (!strcmp(k, "--warm")) opt.warm = atof(v);
        else if (!strcmp(k, "--rate")) opt.rate = atof(v);
        else die("'%s' is no option", k);
    }
    if (opt.port <= 0 || opt.port > 65535 || opt.connections < 1 || opt.connections > CONNECTIONS_MAX ||
        strlen(opt.path) > 1500 || opt.rate < 0)
        die("--port, --connections, --path or --rate is missing or out of range");
}

static void report(double seconds, const wr_tree *before, const wr_tree *after)
{
    qsort(latencies, nlatencies, sizeof *latencies, by_size);
    double per = answers ? (after->cpu_us - before->cpu_us) / (double)answers : 0;
    printf("{\"answers\": %" PRIu64 ", \"wrong\": %" PRIu64
           ", \"seconds\": %.3f, \"rate\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, "
           "\"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"mb_in\": %.3f, \"mb_out\": %.3f, "
           "\"server_cpu_us\": %.3f, "
           "\"server_busy\": %.4f, \"server_rss_mib\": %.1f}\n",
           answers, wrong, seconds, (double)answers / seconds, quantile(0.5), quantile(0.9), quantile(0.99),
           quantile(0.999), quantile(1), (double)bytes_in / 1e6, (double)bytes_out / 1e6, per,
           (after->cpu_us - before->cpu_us) / 1e6 / seconds, after->rss_mib);
    if (wrong) (void)fprintf(stderr, "serve_load: a wrong answer:\n%s\n", first_wrong);
}

int main(int argc, char **argv)
{
    wr_tree before = {0}, after = {0};
    parse(argc, argv);
    cpu_set_t set;
    CPU_ZERO(&set);
    if (opt.cpu >= 0) CPU_SET(opt.cpu, &set);
    if (opt.cpu >= 0 && sched_setaffinity(0, sizeof set, &set) < 0) die("cannot stay on processor %d", opt.cpu);
    (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
    ep = epoll_create1(EPOLL_CLOEXEC);
    latencies = malloc(LATENCIES_MAX * sizeof *latencies);
    if (ep < 0 || !latencies) die("out of memory");
    make_requests();
    for (int i = 0; i < opt.connections; i++) open_conn(&conns[i]);
    int64_t step = opt.rate > 0 ? (int64_t)(1e9 / opt.rate) : 0;
    loop_until(now_ns() + (int64_t)(opt.warm * 1e9), step);
    if (opt.pid) wr_tree_read(&before, opt.pid);
    counting = true;
    int64_t start = now_ns();
    loop_until(start + (int64_t)(opt.seconds * 1e9), step);
    double seconds = (double)(now_ns() - start) / 1e9;
    if (opt.pid) wr_tree_read(&after, opt.pid);
    report(seconds, &before, &after);
    return wrong > 0;
}
