/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - closed-loop HTTP load for a tracking server that speaks MLflow's protocol: track_load MODE --port N
 * [options].
 *
 * One thread, one epoll, 1 to 1024 connections, each with one request under way. The client is pinned to a processor so
 * that its own cost stays in one place, bodies are templates whose digits are patched, and every answer's status and a
 * word of its body are checked: a server that fails is not fast. Nothing of Weir is linked in, so that both servers are
 * measured by the same foreign hand. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tree.h"

enum {
    CONNECTIONS_MAX = 1024,
    HEAD_MAX = 1024,
    BATCH = 1000,     /* metrics of a log-batch call: the protocol's own limit */
    BATCH_KEYS = 10,  /* series they belong to */
    HISTORY = 10000,  /* points of the series that history reads */
    FILL_METRICS = 5, /* of each run of fill, as in the reference's measurement of 10,000 runs */
    FILL_PARAMS = 5,
    FILL_TAGS = 3,
    PAGE = 1000,
    IDS_MAX = 20000, /* runs that get chooses from */
};

typedef struct {
    char *at;
    size_t n, cap;
} buf;

typedef struct {
    int fd;
    uint32_t waits; /* the epoll events asked for */
    buf out, in;    /* the request under way; what came of its answer */
    size_t sent;
    double started;  /* seconds, monotonic */
    char run[64];    /* the run this connection writes to */
    uint64_t step;   /* counts this connection's requests */
    bool second;     /* fill: the run is made, its values follow */
    char token[512]; /* page: where the next page starts */
    double began;    /* page: when the first page was asked for */
} conn;

typedef struct {
    const char *mode, *host, *filter, *order, *experiment;
    int port, connections, cpu, pid;
    double seconds;
    uint64_t limit; /* stop after so many operations, 0 = by time */
    int limit_page; /* rows of a search */
} options;

typedef struct mode {
    const char *name, *expect; /* what each good answer holds */
    void (*setup)(void);
    void (*request)(conn *);
    bool (*answer)(conn *, const char *body); /* false: the operation goes on with another request */
} mode;

static options opt = {
    .host = "127.0.0.1", .connections = 1, .cpu = -1, .seconds = 5, .order = "metrics.m0 DESC", .limit_page = 100};
static const mode *current;
static conn conns[CONNECTIONS_MAX];
static struct sockaddr_in server;
static char experiment[64];
static char (*ids)[33];
static size_t id_count;
static float *latencies; /* milliseconds */
static uint64_t latency_count, latency_cap, reconnects;
static uint64_t lcg = 88172645463325252ULL;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fputs("track_load: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
    exit(2);
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t random64(void)
{
    lcg ^= lcg << 13;
    lcg ^= lcg >> 7;
    lcg ^= lcg << 17;
    return lcg;
}

static void reserve(buf *b, size_t more)
{
    if (b->n + more <= b->cap) return;
    size_t cap = b->cap ? b->cap : 4096;
    while (cap < b->n + more) cap *= 2;
    char *at = realloc(b->at, cap);
    if (!at) die("out of memory");
    b->at = at;
    b->cap = cap;
}

__attribute__((format(printf, 2, 3))) static void add(buf *b, const char *format, ...)
{
    for (;;) {
        va_list list;
        reserve(b, 256);
        size_t room = b->cap - b->n;
        va_start(list, format);
        int n = vsnprintf(b->at + b->n, room, format, list);
        va_end(list);
        if (n < 0) die("a text cannot be formatted");
        if ((size_t)n < room) {
            b->n += (size_t)n;
            return;
        }
        reserve(b, (size_t)n + 1);
    }
}

/* The head in front of the body that `body` bytes of room were left for. */
static void post(conn *c, const char *target, const buf *body)
{
    c->out.n = 0;
    add(&c->out,
        "POST %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: mlflow-python-client/3.17.2\r\nAccept: */*\r\nConnection: "
        "keep-alive\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        target, opt.host, opt.port, body->n);
    reserve(&c->out, body->n);
    memcpy(c->out.at + c->out.n, body->at, body->n);
    c->out.n += body->n;
}

static void get(conn *c, const char *target)
{
    c->out.n = 0;
    add(&c->out,
        "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: mlflow-python-client/3.17.2\r\nAccept: */*\r\nConnection: "
        "keep-alive\r\n\r\n",
        target, opt.host, opt.port);
}

/* ---- the answer ---- */

/* The value of a header in the head of `n` bytes, or NULL. */
static const char *header(const char *head, size_t n, const char *name)
{
    size_t m = strlen(name);
    for (const char *p = memchr(head, '\n', n); p && (size_t)(p + 1 - head) < n;
         p = memchr(p + 1, '\n', n - (size_t)(p + 1 - head))) {
        if (strncasecmp(p + 1, name, m) == 0 && p[1 + m] == ':') {
            p += 2 + m;
            while (*p == ' ') p++;
            return p;
        }
    }
    return NULL;
}

/* Chunks at `at`, joined in place; the bytes they took, or 0 when there are not enough yet. */
static size_t join_chunks(char *at, size_t n, size_t *out)
{
    size_t read = 0, wrote = 0;
    for (;;) {
        char *end = memchr(at + read, '\n', n - read);
        if (!end) return 0;
        size_t size = strtoul(at + read, NULL, 16), data = (size_t)(end + 1 - at);
        if (data + size + 2 > n) return 0;
        if (size == 0) return *out = wrote, data + 2;
        memmove(at + wrote, at + data, size);
        wrote += size;
        read = data + size + 2;
    }
}

/* Whether the answer in c->in is whole. The body ends with a NUL then. Chunked answers are joined only when the end
 * mark is there. */
static bool whole(conn *c, bool ended, char **body, int *status, bool *closes)
{
    reserve(&c->in, 1);
    c->in.at[c->in.n] = 0;
    char *end = memmem(c->in.at, c->in.n, "\r\n\r\n", 4);
    if (!end) return false;
    size_t head = (size_t)(end + 4 - c->in.at), rest = c->in.n - head, size = rest;
    const char *length = header(c->in.at, head, "content-length"),
               *chunked = header(c->in.at, head, "transfer-encoding");
    const char *connection = header(c->in.at, head, "connection");
    if (length) {
        size = strtoul(length, NULL, 10);
        if (rest < size) return false;
        if (rest > size) die("more bytes than the answer has");
    } else if (chunked) {
        if (rest < 5 || memcmp(c->in.at + c->in.n - 5, "0\r\n\r\n", 5) != 0 || join_chunks(end + 4, rest, &size) == 0)
            return false;
    } else if (!ended) {
        return false;
    }
    *status = atoi(c->in.at + 9);
    *closes = ended || (connection && strncasecmp(connection, "close", 5) == 0);
    *body = end + 4;
    (*body)[size] = 0;
    return true;
}

/* The text of the first "key": "value" at or after `at`; false when there is none. */
static bool text_of(const char *at, const char *key, char *out, size_t cap)
{
    char quoted[64];
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *p = strstr(at, quoted);
    if (!p) return false;
    p += strlen(quoted);
    while (*p == ' ' || *p == ':') p++;
    if (*p++ != '"') return false;
    size_t n = strcspn(p, "\"");
    if (n >= cap) die("\"%s\" is longer than %zu", key, cap);
    memcpy(out, p, n);
    out[n] = 0;
    return true;
}

/* ---- sockets ---- */

static int dial(bool nonblocking)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        die("connect to port %d: %s", opt.port, strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval patience = {600, 0};
    if (nonblocking) {
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){1 << 20}, sizeof(int)) < 0)
            die("SO_RCVBUF: %s", strerror(errno));
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    return fd;
}

/* One request of the setup: c->out is sent, the body of the answer comes back in c->in. */
static char *ask(conn *c)
{
    char *body;
    int status;
    bool closes;
    int fd = dial(false);
    for (size_t sent = 0; sent < c->out.n;) {
        ssize_t n = send(fd, c->out.at + sent, c->out.n - sent, MSG_NOSIGNAL);
        if (n <= 0) die("send: %s", strerror(errno));
        sent += (size_t)n;
    }
    c->in.n = 0;
    for (bool ended = false;;) {
        reserve(&c->in, 65536);
        ssize_t n = ended ? 0 : recv(fd, c->in.at + c->in.n, 65535, 0);
        if (n < 0) die("recv: %s", strerror(errno));
        c->in.n += (size_t)n;
        if (whole(c, ended, &body, &status, &closes)) break;
        if (ended) die("the connection ended within an answer");
        ended = n == 0;
    }
    (void)close(fd);
    if (status != 200) die("setup: status %d: %.400s", status, body);
    return body;
}

/* ---- modes ---- */

static void new_experiment(void)
{
    buf body = {0};
    if (opt.experiment) return (void)snprintf(experiment, sizeof experiment, "%s", opt.experiment);
    add(&body, "{\"name\": \"bench-%" PRIx64 "-%ld\"}", random64(), (long)getpid());
    post(&conns[0], "/api/2.0/mlflow/experiments/create", &body);
    if (!text_of(ask(&conns[0]), "experiment_id", experiment, sizeof experiment)) die("no experiment_id in the answer");
    free(body.at);
}

static void new_run(conn *c)
{
    buf body = {0};
    add(&body, "{\"experiment_id\": \"%s\", \"user_id\": \"bench\", \"start_time\": %" PRIu64 "}", experiment,
        1700000000000 + random64() % 1000000);
    post(c, "/api/2.0/mlflow/runs/create", &body);
    if (!text_of(ask(c), "run_id", c->run, sizeof c->run)) die("no run_id in the answer");
    free(body.at);
}

static void setup_runs(void)
{
    new_experiment();
    for (int i = 0; i < opt.connections; i++) new_run(&conns[i]);
}

static void request_metric(conn *c)
{
    static buf body;
    body.n = 0;
    add(&body,
        "{\"run_uuid\": \"%s\", \"run_id\": \"%s\", \"key\": \"loss\", \"value\": 0.%06u, \"timestamp\": %" PRIu64
        ", \"step\": %" PRIu64 "}",
        c->run, c->run, (unsigned)(random64() % 1000000), 1700000000000 + c->step, c->step);
    post(c, "/api/2.0/mlflow/runs/log-metric", &body);
}

static void put_digits(char *at, uint64_t value, int width)
{
    while (width-- > 0) at[width] = (char)('0' + value % 10), value /= 10;
}

/* The body is made once for each connection; each call patches value, time and step of its thousand points (fixed
 * widths). */
static void request_batch(conn *c)
{
    static const char item[] =
        "{\"key\": \"m0\", \"value\": 0.100000, \"timestamp\": 1700000000000, \"step\": 100000000}";
    enum { KEY = 10, VALUE = 25, TIME = 46, STEP = 69, WIDTH = sizeof item - 1 };
    if (c->step == 1 || c->out.n == 0) {
        buf body = {0};
        add(&body, "{\"run_id\": \"%s\", \"metrics\": [", c->run);
        for (int i = 0; i < BATCH; i++) add(&body, "%s%s", item, i + 1 < BATCH ? "," : "]}");
        post(c, "/api/2.0/mlflow/runs/log-batch", &body);
        free(body.at);
    }
    char *at = memmem(c->out.at, c->out.n, item, 8);
    for (int i = 0; i < BATCH; i++, at += WIDTH + 1) {
        uint64_t step = c->step * (BATCH / BATCH_KEYS) + (uint64_t)(i / BATCH_KEYS);
        at[KEY - 1] = 'm';
        at[KEY] = (char)('0' + i % BATCH_KEYS);
        put_digits(at + VALUE, random64() % 1000000, 6);
        put_digits(at + TIME, 1700000000000 + step, 13);
        put_digits(at + STEP, 100000000 + step, 9);
    }
}

static void request_create(conn *c)
{
    static buf body;
    body.n = 0;
    add(&body,
        "{\"experiment_id\": \"%s\", \"user_id\": \"bench\", \"run_name\": \"run %" PRIu64
        "\", \"start_time\": %" PRIu64 ", \"tags\": [{\"key\": \"mlflow.user\", \"value\": \"bench\"}, {\"key\": "
        "\"mlflow.source.name\", \"value\": \"train.py\"}]}",
        experiment, c->step, 1700000000000 + random64() % 100000000);
    post(c, "/api/2.0/mlflow/runs/create", &body);
}

/* fill: a run, then its values in one log-batch; two requests an operation. */
static void request_fill(conn *c)
{
    static buf body;
    if (!c->second) return request_create(c);
    body.n = 0;
    add(&body, "{\"run_id\": \"%s\", \"metrics\": [", c->run);
    for (int i = 0; i < FILL_METRICS; i++)
        add(&body, "%s{\"key\": \"m%d\", \"value\": 0.%09u, \"timestamp\": 1700000000000, \"step\": 0}", i ? ", " : "",
            i, (unsigned)(random64() % 1000000000));
    add(&body, "], \"params\": [");
    for (int i = 0; i < FILL_PARAMS; i++)
        add(&body, "%s{\"key\": \"p%d\", \"value\": \"%u\"}", i ? ", " : "", i, (unsigned)(random64() % 100));
    add(&body, "], \"tags\": [");
    for (int i = 0; i < FILL_TAGS; i++)
        add(&body, "%s{\"key\": \"t%d\", \"value\": \"v%u\"}", i ? ", " : "", i, (unsigned)(random64() % 10));
    add(&body, "]}");
    post(c, "/api/2.0/mlflow/runs/log-batch", &body);
}

static bool answer_fill(conn *c, const char *body)
{
    if (!c->second && !text_of(body, "run_id", c->run, sizeof c->run)) die("no run_id in the answer: %.200s", body);
    c->second = !c->second;
    return !c->second;
}

static void add_page(buf *body, const char *token, int rows)
{
    body->n = 0;
    add(body, "{\"experiment_ids\": [\"%s\"], \"max_results\": %d", experiment, rows);
    if (opt.filter) add(body, ", \"filter\": \"%s\"", opt.filter);
    if (*opt.order) add(body, ", \"order_by\": [\"%s\"]", opt.order);
    if (*token) add(body, ", \"page_token\": \"%s\"", token);
    add(body, "}");
}

/* Runs to choose from: pages of the experiment until there are enough. */
static void setup_ids(void)
{
    buf body = {0};
    char token[512] = "";
    new_experiment();
    ids = calloc(IDS_MAX, sizeof *ids);
    if (!ids) die("out of memory");
    opt.order = "";
    do {
        add_page(&body, token, PAGE);
        post(&conns[0], "/api/2.0/mlflow/runs/search", &body);
        char *answer = ask(&conns[0]), id[64];
        for (char *p = answer;
             id_count < IDS_MAX && (p = strstr(p, "\"run_id\"")) && text_of(p, "run_id", id, sizeof id); p++)
            (void)snprintf(ids[id_count++], sizeof *ids, "%.32s", id);
        token[0] = 0;
        (void)text_of(answer, "next_page_token", token, sizeof token);
    } while (*token && id_count < IDS_MAX);
    if (!id_count) die("experiment %s has no runs: fill it first", experiment);
    free(body.at);
}

static void request_get(conn *c)
{
    char target[256];
    const char *id = ids[random64() % id_count];
    (void)snprintf(target, sizeof target, "/api/2.0/mlflow/runs/get?run_uuid=%s&run_id=%s", id, id);
    get(c, target);
}

static void request_search(conn *c)
{
    static buf body;
    add_page(&body, "", opt.limit_page);
    post(c, "/api/2.0/mlflow/runs/search", &body);
}

static void setup_history(void)
{
    opt.connections = opt.connections > 0 ? opt.connections : 1;
    new_experiment();
    new_run(&conns[0]);
    buf body = {0};
    for (int at = 0; at < HISTORY; at += BATCH) {
        body.n = 0;
        add(&body, "{\"run_id\": \"%s\", \"metrics\": [", conns[0].run);
        for (int i = at; i < at + BATCH; i++)
            add(&body, "%s{\"key\": \"loss\", \"value\": 0.%06u, \"timestamp\": %" PRIu64 ", \"step\": %d}",
                i > at ? "," : "", (unsigned)(random64() % 1000000), (uint64_t)1700000000000 + (uint64_t)i, i);
        add(&body, "]}");
        post(&conns[0], "/api/2.0/mlflow/runs/log-batch", &body);
        (void)ask(&conns[0]);
    }
    for (int i = 1; i < opt.connections; i++) memcpy(conns[i].run, conns[0].run, sizeof conns[0].run);
    free(body.at);
}

static void request_history(conn *c)
{
    char target[256];
    (void)snprintf(target, sizeof target,
                   "/api/2.0/mlflow/metrics/get-history?run_uuid=%s&run_id=%s&metric_key=loss&max_results=25000",
                   c->run, c->run);
    get(c, target);
}

/* page: all runs of the experiment, a page after the other; the operation ends with the last page. */
static void request_page(conn *c)
{
    static buf body;
    if (!*c->token) c->began = now();
    add_page(&body, c->token, PAGE);
    post(c, "/api/2.0/mlflow/runs/search", &body);
}

static bool answer_page(conn *c, const char *body)
{
    c->token[0] = 0;
    (void)text_of(body, "next_page_token", c->token, sizeof c->token);
    if (*c->token) return false;
    c->started = c->began;
    return true;
}

static const mode MODES[] = {
    {"log-metric", "{", setup_runs, request_metric, NULL},
    {"log-batch", "{", setup_runs, request_batch, NULL},
    {"create", "\"run_id\"", new_experiment, request_create, NULL},
    {"fill", "{", new_experiment, request_fill, answer_fill},
    {"get", "\"run_id\"", setup_ids, request_get, NULL},
    {"search", "\"runs\"", new_experiment, request_search, NULL},
    {"history", "\"metrics\"", setup_history, request_history, NULL},
    {"page", "\"runs\"", new_experiment, request_page, answer_page},
};

/* ---- the loop ---- */

static void record(double seconds)
{
    if (latency_count == latency_cap) {
        latency_cap = latency_cap ? 2 * latency_cap : 1 << 16;
        float *at = realloc(latencies, latency_cap * sizeof *at);
        if (!at) die("out of memory");
        latencies = at;
    }
    latencies[latency_count++] = (float)(seconds * 1e3);
}

static void send_more(conn *c, int epoll)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.at + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n < 0) die("send: %s", strerror(errno));
        c->sent += (size_t)n;
    }
    struct epoll_event e = {.events = EPOLLIN | (c->sent < c->out.n ? EPOLLOUT : 0), .data.ptr = c};
    if (c->waits == e.events) return;
    c->waits = e.events;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) < 0) die("epoll_ctl: %s", strerror(errno));
}

static void next_request(conn *c, int epoll)
{
    c->step++;
    c->started = now();
    current->request(c);
    c->sent = c->in.n = 0;
    send_more(c, epoll);
}

static void open_connection(conn *c, int epoll)
{
    c->fd = dial(true);
    c->waits = EPOLLIN | EPOLLOUT;
    struct epoll_event e = {.events = c->waits, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) < 0) die("epoll_ctl: %s", strerror(errno));
}

/* What has come. True when an operation is done. */
static bool receive(conn *c, int epoll)
{
    char *body;
    int status;
    bool closes, ended = false;
    for (;;) {
        reserve(&c->in, 65536);
        ssize_t n = recv(c->fd, c->in.at + c->in.n, c->in.cap - c->in.n - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n < 0) die("recv: %s", strerror(errno));
        if (n == 0) {
            ended = true;
            break;
        }
        c->in.n += (size_t)n;
        if (c->in.n < c->in.cap - 1) break; /* less than there was room for: nothing more is there */
    }
    if (!whole(c, ended, &body, &status, &closes)) {
        if (!ended) return false;
        if (c->in.n) die("the connection ended within an answer");
        (void)close(c->fd); /* closed while idle: the request is sent again on a new one */
        reconnects++;
        open_connection(c, epoll);
        c->sent = 0;
        return send_more(c, epoll), false;
    }
    if (status != 200 || !strstr(body, current->expect)) die("%s: status %d: %.400s", current->name, status, body);
    bool done = !current->answer || current->answer(c, body);
    if (closes) {
        (void)close(c->fd);
        reconnects++;
        open_connection(c, epoll);
    }
    if (!done) return next_request(c, epoll), false;
    return true;
}

static double run_load(double seconds, uint64_t limit)
{
    struct epoll_event events[256];
    uint64_t done = 0;
    int busy = opt.connections, epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1: %s", strerror(errno));
    double start = now(), end = start + seconds;
    for (int i = 0; i < opt.connections; i++) {
        conns[i].out.n = 0;
        open_connection(&conns[i], epoll);
        next_request(&conns[i], epoll);
    }
    while (busy > 0) {
        int n = epoll_wait(epoll, events, 256, 60000);
        if (n < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
        if (n == 0) die("no answer for a minute");
        for (int i = 0; i < n; i++) {
            conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) send_more(c, epoll);
            if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !receive(c, epoll)) continue;
            double t = now();
            record(t - c->started);
            done++;
            if (limit ? done + (uint64_t)busy <= limit : t < end) {
                next_request(c, epoll);
            } else {
                (void)close(c->fd);
                busy--;
            }
        }
    }
    (void)close(epoll);
    return now() - start;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(double q)
{
    if (!latency_count) return 0;
    uint64_t at = (uint64_t)ceil(q * (double)latency_count);
    return (double)latencies[at ? at - 1 : 0];
}

static void parse(int argc, char **argv)
{
    if (argc < 2)
        die("usage: track_load MODE --port N [-c CONNECTIONS] [--seconds S] [--count N] [--pid SERVER] [--cpu N] "
            "[--experiment ID] [--order O] [--filter F] "
            "[--rows N]");
    opt.mode = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--port") == 0) opt.port = atoi(value);
        else if (strcmp(name, "-c") == 0) opt.connections = atoi(value);
        else if (strcmp(name, "--seconds") == 0) opt.seconds = atof(value);
        else if (strcmp(name, "--count") == 0) opt.limit = strtoull(value, NULL, 10);
        else if (strcmp(name, "--pid") == 0) opt.pid = atoi(value);
        else if (strcmp(name, "--cpu") == 0) opt.cpu = atoi(value);
        else if (strcmp(name, "--experiment") == 0) opt.experiment = value;
        else if (strcmp(name, "--order") == 0) opt.order = value;
        else if (strcmp(name, "--filter") == 0) opt.filter = value;
        else if (strcmp(name, "--rows") == 0) opt.limit_page = atoi(value);
        else die("unknown option \"%s\"", name);
    }
    if (opt.connections < 1 || opt.connections > CONNECTIONS_MAX) die("-c is 1 to %d", CONNECTIONS_MAX);
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++)
        if (strcmp(MODES[i].name, opt.mode) == 0) current = &MODES[i];
    if (!current) die("unknown mode \"%s\"", opt.mode);
}

static double used_us(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static void report(double seconds, const wr_tree *before, const wr_tree *after, double mine)
{
    qsort(latencies, latency_count, sizeof *latencies, by_value);
    double n = (double)latency_count;
    (void)printf("{\"mode\": \"%s\", \"connections\": %d, \"operations\": %" PRIu64
                 ", \"seconds\": %.3f, \"rate\": %.1f, \"p50_ms\": %.3f, \"p95_ms\": %.3f, "
                 "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"server_cpu_us\": %.2f, \"client_cpu_us\": %.2f, \"rss_mib\": "
                 "%.1f, \"peak_mib\": %.1f, "
                 "\"reconnects\": %" PRIu64 ", \"experiment\": \"%s\"}\n",
                 current->name, opt.connections, latency_count, seconds, n / seconds, quantile(0.5), quantile(0.95),
                 quantile(0.99), quantile(1), (after->cpu_us - before->cpu_us) / n, mine / n, after->rss_mib,
                 after->peak_mib, reconnects, experiment);
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    if (inet_pton(AF_INET, opt.host, &server.sin_addr) != 1) die("no address \"%s\"", opt.host);
    if (opt.cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)opt.cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) < 0) die("processor %d: %s", opt.cpu, strerror(errno));
    }
    current->setup();
    wr_tree before = {0}, after = {0};
    if (opt.pid) wr_tree_reset_peak(opt.pid), wr_tree_read(&before, opt.pid);
    struct rusage mine0, mine1;
    (void)getrusage(RUSAGE_SELF, &mine0);
    double seconds = run_load(opt.seconds, opt.limit);
    (void)getrusage(RUSAGE_SELF, &mine1);
    if (opt.pid) wr_tree_read(&after, opt.pid);
    report(seconds, &before, &after, used_us(&mine1) - used_us(&mine0));
    return 0;
}
