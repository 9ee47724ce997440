/* SPDX-License-Identifier: Apache-2.0 */
/* http_transfer_test.c - large bodies: answers from files, uploads that pause, answers of known length from another
 * thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "io/file.h"
#include "io/http_server.h"

#define HOST "Host: a\r\n"
enum { FILE_SIZE = 24 << 20, STREAM_SIZE = 5 << 20 };

static char dir[256], path[300];
static wr_http_server *server;
static pthread_t thread, helper;
static int port;

/* what the paused upload's helper and the loop share */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static wr_http_req *paused; /* NULL when it was aborted or nothing waits */
static atomic_int pauses, aborts, opened, uploads;
static atomic_bool helping;
static wr_buf got;

static char byte_at(uint64_t i) { return (char)('a' + (i * 2654435761u >> 11) % 26); }

/* ---- handlers ---- */

static void file_of(wr_http_req *r, int64_t offset, int64_t length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    atomic_fetch_add(&opened, 1);
    wr_http_file f = {.fd = fd, .offset = offset, .length = length};
    wr_http_reply(r, &(wr_http_reply_opt){.type = "text/plain", .file = &f}, (wr_str){0});
}

static void whole(wr_http_req *r) { file_of(r, 0, FILE_SIZE); }
static void part(wr_http_req *r) { file_of(r, 1000, 2000); }
static void none(wr_http_req *r) { file_of(r, 0, 0); }
static void too_long(wr_http_req *r) { file_of(r, FILE_SIZE - 10, 20); }
static void hello(wr_http_req *r) { wr_http_reply(r, NULL, WR_STR("hello")); }
static void length(wr_http_req *r)
{
    char text[32];
    pthread_mutex_lock(&lock);
    int n = snprintf(text, sizeof text, "%zu", got.n);
    pthread_mutex_unlock(&lock);
    wr_http_reply(r, NULL, (wr_str){text, (size_t)n});
}

static int take(wr_http_req *r, wr_str piece)
{
    pthread_mutex_lock(&lock);
    wr_buf_slice(&got, piece);
    bool pause = atomic_load(&pauses) < 40;
    if (pause) {
        atomic_fetch_add(&pauses, 1);
        assert_null(paused);
        paused = r;
    }
    pthread_mutex_unlock(&lock);
    return pause ? WR_HTTP_PAUSE : 0;
}

static void gone(wr_http_req *r)
{
    (void)r;
    pthread_mutex_lock(&lock);
    paused = NULL;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&aborts, 1);
}

static void *help(void *arg)
{
    (void)arg;
    while (atomic_load(&helping)) {
        usleep(1000);
        pthread_mutex_lock(&lock);
        wr_http_req *r = paused;
        paused = NULL;
        if (r) wr_http_resume(r);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static atomic_int stream_rc;
static atomic_size_t stream_written;

static void *writer(void *arg)
{
    size_t cut = wr_str_is(wr_http_req_head(arg)->path, "/short") ? STREAM_SIZE / 2 : STREAM_SIZE;
    wr_http_stream *s = wr_http_stream_open(arg, &(wr_http_reply_opt){.length = STREAM_SIZE});
    assert_non_null(s);
    char piece[50000];
    size_t at = 0;
    int rc = 0;
    while (at < cut && rc == 0) {
        size_t n = cut - at < sizeof piece ? cut - at : sizeof piece;
        for (size_t i = 0; i < n; i++) piece[i] = byte_at(at + i);
        rc = wr_http_stream_wait(s);
        if (rc == 0) rc = wr_http_stream_write(s, (wr_str){piece, n});
        if (rc == 0) at += n;
        atomic_store(&stream_written, at);
    }
    if (rc == 0 && at == STREAM_SIZE) assert_int_equal(wr_http_stream_write(s, WR_STR("more")), WEIR_EINVAL);
    wr_http_stream_close(s);
    atomic_store(&stream_rc, rc);
    atomic_store(&helping, false);
    return NULL;
}

static void streamed(wr_http_req *r)
{
    wr_http_defer(r);
    atomic_store(&helping, true);
    atomic_store(&stream_rc, 1);
    assert_int_equal(pthread_create(&helper, NULL, writer, r), 0);
    pthread_detach(helper);
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    static const struct {
        const char *path;
        wr_http_route route;
    } routes[] = {{"/whole", {.handle = whole}},    {"/part", {.handle = part}},
                  {"/none", {.handle = none}},      {"/long", {.handle = too_long}},
                  {"/hello", {.handle = hello}},    {"/streamed", {.handle = streamed}},
                  {"/short", {.handle = streamed}}, {"/up", {.handle = length, .body = take, .abort = gone}}};
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (wr_str_is(wr_http_req_head(r)->path, routes[i].path)) *out = routes[i].route;
    }
    atomic_fetch_add(&uploads, out->body != NULL);
}

/* ---- scene ---- */

static void *serve(void *arg)
{
    (void)arg;
    assert_int_equal(wr_http_server_run(server, NULL), 0);
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/weir-transfer-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/f", dir);
    char *p = malloc(FILE_SIZE);
    for (size_t i = 0; i < FILE_SIZE; i++) p[i] = byte_at(i);
    int rc = wr_file_write(path, (wr_str){p, FILE_SIZE}, NULL);
    free(p);
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    return wr_file_remove_tree(dir, NULL);
}

static int start(void **state)
{
    (void)state;
    wr_http_server_opt opt = {.route = route, .body_grace_ms = 150, .write_ms = 400};
    atomic_store(&pauses, 0);
    atomic_store(&aborts, 0);
    atomic_store(&uploads, 0);
    paused = NULL;
    wr_buf_init(&got, 0);
    if (wr_http_server_open(&server, &opt, NULL) < 0) return -1;
    port = wr_http_server_port(server);
    return pthread_create(&thread, NULL, serve, NULL);
}

static int stop(void **state)
{
    (void)state;
    wr_http_server_stop(server, 0);
    pthread_join(thread, NULL);
    wr_http_server_close(server);
    wr_buf_fini(&got);
    return 0;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Everything until the end of the connection. */
static void hear_all(wr_buf *b, int fd)
{
    wr_buf_init(b, 0);
    for (;;) {
        assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000), 1);
        assert_true(wr_buf_reserve(b, 65536));
        ssize_t n = recv(fd, b->p + b->n, 65536, 0);
        if (n <= 0) break;
        b->n += (size_t)n;
    }
    close(fd);
}

/* The next answer in `in`: its status; the body, and `in` behind it. */
static int next(wr_str *in, wr_str *body, bool head_only)
{
    wr_http_head h;
    size_t scanned = 0;
    if (wr_http_parse_response(&h, *in, &scanned) != 1) return 0;
    size_t n = head_only ? 0 : (size_t)h.length;
    *body = wr_str_sub(*in, h.size, h.size + n);
    if (body->n < n) return -h.status;
    *in = wr_str_sub(*in, h.size + n, in->n);
    return h.status;
}

static bool right(wr_str body, uint64_t from)
{
    for (size_t i = 0; i < body.n; i++) {
        if (body.p[i] != byte_at(from + i)) return false;
    }
    return true;
}

static int descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- tests ---- */

static void files_in_a_pipeline(void **state)
{
    (void)state;
    int before = descriptors(), fd = dial();
    say(fd, "GET /part HTTP/1.1\r\n" HOST "\r\n"
            "GET /hello HTTP/1.1\r\n" HOST "\r\n"
            "HEAD /whole HTTP/1.1\r\n" HOST "\r\n"
            "GET /none HTTP/1.1\r\n" HOST "\r\n"
            "GET /whole HTTP/1.1\r\n" HOST "\r\n"
            "GET /part HTTP/1.1\r\n" HOST "\r\n"
            "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    wr_buf all;
    hear_all(&all, fd);
    wr_str in = wr_buf_view(&all), body;
    assert_int_equal(next(&in, &body, false), 200);
    assert_int_equal(body.n, 2000);
    assert_true(right(body, 1000));
    assert_int_equal(next(&in, &body, false), 200);
    assert_true(wr_str_is(body, "hello"));
    assert_int_equal(next(&in, &body, true), 200); /* HEAD: length only */
    assert_int_equal(next(&in, &body, false), 200);
    assert_int_equal(body.n, 0);
    assert_int_equal(next(&in, &body, false), 200);
    assert_int_equal(body.n, FILE_SIZE);
    assert_true(right(body, 0));
    assert_int_equal(next(&in, &body, false), 200);
    assert_true(body.n == 2000 && right(body, 1000));
    assert_int_equal(next(&in, &body, false), 200);
    assert_true(wr_str_is(body, "hello"));
    assert_int_equal(in.n, 0);
    wr_buf_fini(&all);
    for (int i = 0; i < 200 && descriptors() != before; i++) usleep(10000);
    assert_int_equal(descriptors(), before);
}

static void a_file_that_shrank_breaks_the_connection(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "GET /long HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    wr_buf all;
    hear_all(&all, fd);
    wr_str in = wr_buf_view(&all), body;
    assert_int_equal(next(&in, &body, false), -200); /* cut: what follows is no answer */
    assert_true(body.n <= 10);
    wr_buf_fini(&all);
}

static void a_reader_that_stops_is_cut_off(void **state)
{
    (void)state;
    int before = descriptors(), fd = dial();
    say(fd, "GET /whole HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 300 && descriptors() < before + 3; i++) usleep(1000);
    for (int i = 0; i < 300 && descriptors() > before + 1; i++) usleep(10000);
    assert_int_equal(descriptors(), before + 1); /* ours: socket and file of the server are closed */
    close(fd);
    fd = dial(); /* and one that leaves */
    say(fd, "GET /whole HTTP/1.1\r\n" HOST "\r\n");
    usleep(20000);
    close(fd);
    for (int i = 0; i < 300 && descriptors() > before; i++) usleep(10000);
    assert_int_equal(descriptors(), before);
}

static void upload(size_t n, bool chunked)
{
    wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_printf(&b,
                  chunked ? "PUT /up HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%zx\r\n"
                          : "PUT /up HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                  n);
    for (size_t i = 0; i < n; i++) wr_buf_char(&b, byte_at(i));
    if (chunked) wr_buf_str(&b, "\r\n0\r\n\r\n");
    wr_buf_str(&b, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    int fd = dial();
    size_t at = 0;
    while (at < b.n) {
        ssize_t k = send(fd, b.p + at, b.n - at, MSG_NOSIGNAL);
        assert_true(k > 0);
        at += (size_t)k;
    }
    wr_buf_fini(&b);
    hear_all(&b, fd);
    char want[32];
    snprintf(want, sizeof want, "%zu", n);
    wr_str in = wr_buf_view(&b), body;
    assert_int_equal(next(&in, &body, false), 200);
    assert_true(wr_str_is(body, want));
    assert_int_equal(next(&in, &body, false), 200);
    assert_true(right(wr_buf_view(&got), 0));
    wr_buf_fini(&b);
    wr_buf_clear(&got);
    atomic_store(&pauses, 0);
}

static void uploads_pause(void **state)
{
    (void)state;
    atomic_store(&helping, true);
    assert_int_equal(pthread_create(&helper, NULL, help, NULL), 0);
    upload(3 << 20, false);
    assert_true(atomic_load(&pauses) == 0);
    upload(3 << 20, true);
    upload(10, false); /* paused on its only piece: the handler waits too */
    upload(10, true);
    atomic_store(&helping, false);
    pthread_join(helper, NULL);
    assert_int_equal(atomic_load(&aborts), 0);
}

/* Nobody resumes for longer than the grace of a slow body: that is not the peer's fault. */
static void a_pause_does_not_count_as_slowness(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "PUT /up HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n01234");
    usleep(400000);
    say(fd, "56789");
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 50), 0);
    atomic_store(&helping, true);
    assert_int_equal(pthread_create(&helper, NULL, help, NULL), 0);
    char text[1000] = "";
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 3000), 1);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "\r\n\r\n10"));
    atomic_store(&helping, false);
    pthread_join(helper, NULL);
    close(fd);
}

/* The connection breaks while the message of the resume is on its way, or not: nothing is used after it is freed. */
static void peers_that_leave_in_a_pause(void **state)
{
    (void)state;
    atomic_store(&helping, true);
    assert_int_equal(pthread_create(&helper, NULL, help, NULL), 0);
    for (int i = 0; i < 60; i++) {
        int fd = dial();
        say(fd, "PUT /up HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n01234");
        usleep((useconds_t)(i * 37 % 2000));
        struct linger hard = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* a reset is seen in a pause too */
        close(fd);
        atomic_store(&pauses, 0);
    }
    int begun = atomic_load(&uploads); /* some resets come before the head is read, more of them on a busy machine */
    for (int i = 0; i < 300 && (atomic_load(&aborts) < begun || begun < 60); i++) {
        usleep(10000);
        begun = atomic_load(&uploads);
    }
    assert_true(begun > 0);
    assert_int_equal(atomic_load(&aborts), begun);
    atomic_store(&helping, false);
    pthread_join(helper, NULL);
}

static void streams_of_known_length(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "GET /streamed HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    usleep(100000); /* nobody reads: the writer waits, and memory is bounded */
    assert_true(atomic_load(&stream_written) < STREAM_SIZE);
    wr_buf all;
    hear_all(&all, fd);
    wr_str in = wr_buf_view(&all), body;
    assert_int_equal(next(&in, &body, false), 200);
    assert_int_equal(body.n, STREAM_SIZE);
    assert_true(right(body, 0));
    assert_int_equal(next(&in, &body, false), 200);
    wr_buf_fini(&all);
    while (atomic_load(&helping)) usleep(1000);
    assert_int_equal(atomic_load(&stream_rc), 0);
}

static void streams_that_end_too_soon(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, "GET /short HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    wr_buf all;
    hear_all(&all, fd);
    wr_str in = wr_buf_view(&all), body;
    assert_int_equal(next(&in, &body, false), -200);
    assert_true(body.n <= STREAM_SIZE / 2);
    wr_buf_fini(&all);
    while (atomic_load(&helping)) usleep(1000); /* else that writer's last word would be taken for the next one's */
    fd = dial(); /* and a reader that leaves: the waiting writer hears of it */
    say(fd, "GET /streamed HTTP/1.1\r\n" HOST "\r\n");
    usleep(50000);
    close(fd);
    for (int i = 0; i < 300 && atomic_load(&stream_rc) == 1; i++) usleep(10000);
    assert_int_equal(atomic_load(&stream_rc), WEIR_ECANCELED);
    fd = dial();
    say(fd, "HEAD /streamed HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    hear_all(&all, fd);
    in = wr_buf_view(&all);
    assert_int_equal(next(&in, &body, true), 200);
    assert_int_equal(next(&in, &body, false), 200);
    wr_buf_fini(&all);
    while (atomic_load(&helping)) usleep(1000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(files_in_a_pipeline),
        T(a_file_that_shrank_breaks_the_connection),
        T(a_reader_that_stops_is_cut_off),
        T(uploads_pause),
        T(a_pause_does_not_count_as_slowness),
        T(peers_that_leave_in_a_pause),
        T(streams_of_known_length),
        T(streams_that_end_too_soon),
    };
#undef T
    return cmocka_run_group_tests_name("http_transfer", tests, setup, teardown);
}
