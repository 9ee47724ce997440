/* SPDX-License-Identifier: Apache-2.0 */
/* track_clients_test.c - clients that break off, in the middle of what they send or before they are answered, that send
 * too much, too slowly or nonsense, beside one that behaves: that one notices nothing, nothing is there by half, and
 * memory and open files stay as they were. With WEIR_KILLS in the environment it goes on for a minute. */
#include "server/load_testing.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"

enum { SLOW = 20, CHAPTERS = 400 };

typedef struct {
    char dir[128];
    program server;
    wr_rng rng;
    wr_buf b;
    chapter *good, *cut; /* of the client that behaves, and of one that does not wait for its answers */
} world;

static int setup(void **state)
{
    char path[160];
    world *w = calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    if (!w) return -1;
    *state = w;
    snprintf(w->dir, sizeof w->dir, "%.90s/weir-cut-XXXXXX", tmp ? tmp : "/tmp");
    w->good = calloc(CHAPTERS, sizeof *w->good);
    w->cut = calloc(CHAPTERS, sizeof *w->cut);
    if (!w->good || !w->cut || !mkdtemp(w->dir)) return -1;
    wr_rng_init(&w->rng, (uint64_t)getpid());
    wr_buf_init(&w->b, 0);
    snprintf(path, sizeof path, "%s/weir.yaml", w->dir);
    if (wr_file_write(path, WR_STR("# empty\n"), NULL) < 0) return -1;
    return program_launch(&w->server, w->dir, "0") ? 0 : -1;
}

static int teardown(void **state)
{
    world *w = *state;
    (void)program_end(&w->server, SIGKILL); /* of a test that failed */
    wr_file_remove_tree(w->dir, NULL);
    wr_buf_fini(&w->b);
    free(w->good);
    free(w->cut);
    free(w);
    return 0;
}

static int dial(const world *w)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atomic_load(&w->server.port))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text) { (void)!send(fd, text, strlen(text), MSG_NOSIGNAL); }

/* Ends a connection; by a reset, or as usual. */
static void hang_up(int fd, bool reset)
{
    struct linger now = {1, 0};
    if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* Status of the next answer on the socket; 0 when there is none. */
static int status_of(int fd)
{
    char head[200];
    size_t n = 0;
    int status = 0;
    for (ssize_t got; n < 12 && (got = recv(fd, head + n, sizeof head - 1 - n, 0)) > 0;) n += (size_t)got;
    head[n] = 0;
    return sscanf(head, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

/* ---- one after another ---- */

/* The next operation of a chapter, asked for on a connection of its own; answered if `wait`. */
static void ask_once(world *w, chapter *c, bool wait)
{
    int status;
    wr_str reply;
    wr_http_client *h = reach(&w->server);
    int number = chapter_next(c, &w->rng, false);
    assert_non_null(h);
    if (number >= 0 && chapter_send(c, h, &w->b, number) && wr_http_client_flush(h, NULL) == 0 && wait &&
        wr_http_client_recv(h, &status, &reply, NULL) == 0)
        chapter_told(c, number, status, reply);
    wr_http_client_close(h);
}

#define HEAD(method, path) method " " path " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
#define HALF_MADE          "Content-Length: 100\r\n\r\n{\"name\":\"half\""

static const char *const broken[] = {
    "POST /api/2.0/mlflow/experi",
    HEAD("POST", "/api/2.0/mlflow/experiments/create"),
    HEAD("POST", "/api/2.0/mlflow/experiments/create") HALF_MADE,
    HEAD("POST", "/api/2.0/mlflow/registered-models/create") HALF_MADE,
    HEAD("POST", "/api/2.0/mlflow/experiments/create") "Transfer-Encoding: chunked\r\n\r\nf\r\n{\"name\":\"half\"}\r\n",
    HEAD("POST", "/v1/traces") "X-Mlflow-Experiment-Id: 0\r\nContent-Length: 100000\r\n\r\n{\"resourceSpans\":[{",
    HEAD("PUT", "/api/2.0/mlflow-artifacts/artifacts/half") "Content-Length: 100000\r\n\r\nhalf of it",
    HEAD("PUT", "/api/2.0/mlflow-artifacts/artifacts/half") "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
};

/* What is answered without a look at the rest. */
static const struct {
    const char *text;
    int status;
} refused[] = {
    {HEAD("POST", "/api/2.0/mlflow/runs/log-batch") "Content-Length: 90000000\r\n\r\n{\"run_id\":", 413},
    {HEAD("POST", "/api/2.0/mlflow/experiments/create") "Content-Length: 3\r\n\r\n{\"a", 400},
    {HEAD("POST", "/api/2.0/mlflow/runs/log-metric") "Content-Length: 2\r\n\r\n[]", 400},
    {HEAD("POST", "/api/2.0/mlflow/runs/create") "Content-Length: x\r\n\r\n", 400},
};

static void misbehave(world *w, chapter *cut)
{
    size_t i = wr_rng_below(&w->rng, sizeof broken / sizeof *broken + 3);
    if (i >= sizeof broken / sizeof *broken) {
        ask_once(w, cut, cut->model == NOTHING);
        return;
    }
    int fd = dial(w);
    say(fd, broken[i]);
    if (wr_rng_below(&w->rng, 4) == 0) usleep(1000); /* it has read that */
    hang_up(fd, wr_rng_below(&w->rng, 2));
    i = wr_rng_below(&w->rng, sizeof refused / sizeof *refused);
    fd = dial(w);
    say(fd, refused[i].text);
    assert_int_equal(status_of(fd), refused[i].status);
    hang_up(fd, true);
}

static int open_files(const world *w)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", w->server.pid);
    DIR *d = opendir(path);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

static void nothing_by_half(world *w)
{
    wr_http_client *h = reach(&w->server);
    assert_int_equal(call(h, "GET", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=half", "", NULL), 404);
    assert_int_equal(call(h, "GET", "/api/2.0/mlflow/registered-models/get?name=half", "", NULL), 404);
    assert_int_equal(call(h, "GET", "/api/2.0/mlflow-artifacts/artifacts/half", "", NULL), 404);
    wr_http_client_close(h);
}

static void check(world *w, chapter *c, int n)
{
    wr_http_client *h = reach(&w->server);
    for (int i = 0; i < n; i++) {
        chapter_check(&c[i], h, &w->b);
        if (c[i].trouble[0]) fail_msg("%s client, life %d: %s", c == w->cut ? "cut" : "good", c[i].life, c[i].trouble);
    }
    wr_http_client_close(h);
}

static void broken_clients(void **state)
{
    world *w = *state;
    int slow[SLOW], n = 1, files = 0;
    int64_t kb = 0, start = wr_clock_mono_ns(), seconds = getenv("WEIR_KILLS") ? 60 : 3;
    chapter_init(&w->good[0], 0, 0);
    chapter_init(&w->cut[0], 1, 0);
    for (int i = 0; i < SLOW; i++) say(slow[i] = dial(w), broken[(size_t)i % (sizeof broken / sizeof *broken)]);
    for (int64_t now = start; now - start < seconds * 1000000000; now = wr_clock_mono_ns()) {
        chapter *good = &w->good[n - 1], *cut = &w->cut[n - 1];
        if ((good->nops > 200 || cut->nops > 200) && n < CHAPTERS) {
            chapter_init(good = &w->good[n], 0, n);
            chapter_init(cut = &w->cut[n], 1, n);
            n++;
        }
        misbehave(w, cut);
        if (good->nops < OPS_MAX) ask_once(w, good, true);
        if (kb || now - start < seconds * 300000000) continue;
        kb = program_resident_kb(&w->server); /* of a server that has seen all of it */
        files = open_files(w);
    }
    int64_t after = program_resident_kb(&w->server);
    print_message("%d chapters; %lld kB resident, then %lld\n", n, (long long)kb, (long long)after);
#ifndef __SANITIZE_ADDRESS__
    assert_true(after < kb + (12 << 10));
#endif
    assert_true(files > 0 && open_files(w) < files + 20);
    for (int i = 0; i < SLOW; i++) close(slow[i]);
    nothing_by_half(w);
    check(w, w->good, n);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
    assert_true(program_launch(&w->server, w->dir, "0"));
    nothing_by_half(w);
    check(w, w->good, n);
    check(w, w->cut, n); /* now, when nothing of it is on its way any more */
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
}

/* ---- all at once ---- */

/* More than may be in flight on one connection; answered all, in order. */
static void many_writes_on_one_connection(void **state)
{
    enum { MANY = 300 };
    world *w = *state;
    chapter *c = w->good;
    int asked[MANY], status;
    wr_str reply;
    chapter_init(c, 0, 0);
    while (c->model == NOTHING || !certain(&c->deleted, false)) ask_once(w, c, true);
    for (int round = 0; round < 2; round++) { /* the second time nobody waits for the answers */
        wr_http_client *h = reach(&w->server);
        int n = 0, most = round ? 64 : MANY;
        while (n < most && (asked[n] = chapter_next(c, &w->rng, true)) >= 0)
            assert_true(chapter_send(c, h, &w->b, asked[n++]));
        assert_int_equal(wr_http_client_flush(h, NULL), 0);
        for (int i = 0; i < n && !round; i++) {
            OK(wr_http_client_recv(h, &status, &reply, err));
            assert_int_equal(status, 200);
            chapter_told(c, asked[i], status, reply);
        }
        wr_http_client_close(h);
    }
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
    assert_true(program_launch(&w->server, w->dir, "0"));
    check(w, c, 1);
    assert_true(c->nacked > MANY);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
}

/* Writes whose clients are gone are nobody's connection; a server that stops waits for them all the same. */
static void stopped_with_writes_of_those_who_left(void **state)
{
    world *w = *state;
    chapter *c = w->cut;
    wr_http_client *h[WRITERS];
    for (int life = 0; life < 5; life++, c++) {
        chapter_init(c, 1, life);
        while (c->model == NOTHING || !certain(&c->deleted, false)) ask_once(w, c, true);
        for (int i = 0; i < WRITERS; i++) {
            h[i] = reach(&w->server);
            assert_true(chapter_send(c, h[i], &w->b, chapter_next(c, &w->rng, true)));
            assert_int_equal(wr_http_client_flush(h[i], NULL), 0);
        }
        for (int i = 0; i < WRITERS; i++) wr_http_client_close(h[i]);
        assert_int_equal(program_end(&w->server, SIGTERM), 0);
        assert_true(program_launch(&w->server, w->dir, "0"));
    }
    check(w, w->cut, 5);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
}

/* Told to stop while writes are on their way: those that were acknowledged stay, and it ends well. */
static void stopped_with_writes_in_flight(void **state)
{
    world *w = *state;
    load l = {.servers = &w->server, .nservers = 1};
    wr_rng_init(&l.rng, (uint64_t)getpid());
    load_start(&l, w->good, 0);
    load_await(&l, 1000, 1000);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
    load_end(&l, false);
    assert_true(program_launch(&w->server, w->dir, "0"));
    assert_true(load_check(&l, w->good, WRITERS, 1) > 100);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    unsetenv("WEIR_DATABASE");
    const struct CMUnitTest tests[] = {TEST(broken_clients), TEST(many_writes_on_one_connection),
                                       TEST(stopped_with_writes_in_flight),
                                       TEST(stopped_with_writes_of_those_who_left)};
    return cmocka_run_group_tests_name("track_clients", tests, NULL, NULL);
}
