/* SPDX-License-Identifier: Apache-2.0 */
/* track_full_test.c - the tracking server on a file system that is really full, where we may mount one: what cannot be
 * kept is refused with an answer that says so, nothing is there by half, what was acknowledged stays, and when there is
 * room again all goes on without a restart. */
#include "server/load_testing.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

typedef struct {
    char dir[128];
    program server;
    load load;
    chapter *chapters;
    bool mounted;
} world;

/* Only this process and its children see the mounts. */
static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    if (!w) return -1;
    *state = w;
    snprintf(w->dir, sizeof w->dir, "%.90s/weir-full-XXXXXX", tmp ? tmp : "/tmp");
    w->chapters = calloc(WRITERS, sizeof *w->chapters);
    if (!w->chapters || !mkdtemp(w->dir)) return -1;
    w->load = (load){.servers = &w->server, .nservers = 1};
    wr_rng_init(&w->load.rng, (uint64_t)getpid());
    w->mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                 mount("tmpfs", w->dir, "tmpfs", 0, "size=16m") == 0;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    (void)program_end(&w->server, SIGKILL); /* of a test that failed */
    if (w->mounted) umount2(w->dir, MNT_DETACH);
    wr_file_remove_tree(w->dir, NULL);
    free(w->chapters);
    free(w);
    return 0;
}

static const char *in(const world *w, const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    return path;
}

static void up(world *w)
{
    OK(wr_file_write(in(w, "weir.yaml"), WR_STR("# empty\n"), err));
    if (!program_launch(&w->server, w->dir, "0")) fail_msg("it does not come up; see %s/up.err", w->dir);
}

/* Takes all the room that there is, but for `leave` bytes. */
static void fill(const world *w, off_t leave)
{
    static const char block[4096];
    int fd = open(in(w, "filler"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t n = 0;
    assert_true(fd >= 0);
    for (ssize_t got; (got = write(fd, block, sizeof block)) > 0;) n += got;
    assert_int_equal(ftruncate(fd, n > leave ? n - leave : 0), 0);
    close(fd);
}

static int refused(const world *w)
{
    int n = 0;
    for (int i = 0; i < WRITERS; i++) n += w->chapters[i].nrefused;
    return n;
}

static void full_and_not_full(void **state)
{
    world *w = *state;
    if (!w->mounted) skip();
    up(w);
    load_start(&w->load, w->chapters, 0);
    for (int round = 0; round < 3; round++) {
        load_await(&w->load, 1500, 2000);
        fill(w, round * 20000); /* first for nobody, then for small things only */
        load_await(&w->load, 2000, 1500);
        assert_int_equal(unlink(in(w, "filler")), 0);
    }
    load_await(&w->load, WRITERS * 10, 20000);
    load_end(&w->load, true);
    for (int i = 0; i < WRITERS; i++)
        if (!w->chapters[i].well) fail_msg("writer %d is refused although there is room", i);
    int acked = load_check(&w->load, w->chapters, WRITERS, 1);
    print_message("%d acknowledged operations, all there; %d refused\n", acked, refused(w));
    assert_true(refused(w) > WRITERS && acked > WRITERS);
    assert_int_equal(program_end(&w->server, SIGKILL), 128 + SIGKILL);
    up(w);
    (void)load_check(&w->load, w->chapters, WRITERS, 1);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
}

static void ended_when_full(world *w, int sig)
{
    if (!w->mounted) skip();
    up(w);
    load_start(&w->load, w->chapters, 0);
    load_await(&w->load, 1500, 2000);
    fill(w, 0);
    load_await(&w->load, 1000, 1000);
    int code = program_end(&w->server, sig);
    load_end(&w->load, true);
    if (sig == SIGKILL) assert_int_equal(code, 128 + SIGKILL);
    else assert_in_range(code, 0, 2); /* what did not go into the database stays in the log */
    assert_int_equal(unlink(in(w, "filler")), 0);
    up(w);
    assert_true(load_check(&w->load, w->chapters, WRITERS, 1) > WRITERS);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
}

static void killed_when_full(void **state) { ended_when_full(*state, SIGKILL); }
static void stopped_when_full(void **state) { ended_when_full(*state, SIGTERM); }

/* ---- the log has room, the database has not ---- */

enum { BATCH = 1000, BATCHES_A_KEY = 20, MOST = 8000 };

/* Each batch of a thousand points is the next one of its key. */
static int log_batch(wr_http_client *h, const char *run, int number, wr_buf *b, wr_str *reply)
{
    wr_buf_clear(b);
    wr_buf_printf(b, "{\"run_id\":\"%s\",\"metrics\":[", run);
    for (int i = 0; i < BATCH; i++)
        wr_buf_printf(b, "%s{\"key\":\"k%d\",\"value\":%d.5,\"timestamp\":%d,\"step\":%d}", i ? "," : "",
                      number / BATCHES_A_KEY, i, number, number % BATCHES_A_KEY * BATCH + i);
    wr_buf_str(b, "]}");
    return call(h, "POST", "/api/2.0/mlflow/runs/log-batch", wr_buf_cstr(b), reply);
}

static size_t points_of(wr_http_client *h, const char *run, int key)
{
    char target[200];
    wr_str reply;
    WR_AUTOJSON wr_json j = {0};
    snprintf(target, sizeof target, "/api/2.0/mlflow/metrics/get-history?run_id=%s&metric_key=k%d&max_results=25000",
             run, key);
    assert_int_equal(call(h, "GET", target, "", &reply), 200);
    OK(wr_json_parse(&j, reply, "history", err));
    return yyjson_arr_size(yyjson_obj_get(j.root, "metrics"));
}

static void up_with_log_elsewhere(world *w, char run[40])
{
    wr_str reply;
    up(w); /* makes the folders */
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
    assert_int_equal(mount("tmpfs", in(w, ".weir/track"), "tmpfs", 0, "size=600m"), 0);
    up(w);
    wr_http_client *h = reach(&w->server);
    assert_int_equal(call(h, "POST", "/api/2.0/mlflow/runs/create", "{\"experiment_id\":\"0\"}", &reply), 200);
    take_text(run, 40, reply, "/run/info/run_id");
    wr_http_client_close(h);
}

/* Points that cannot be moved on are kept up to a limit, then refused; and when they can be, all of them are. */
static void a_log_that_cannot_be_drained(void **state)
{
    world *w = *state;
    char run[40];
    WR_AUTOBUF wr_buf b = {0};
    wr_str reply = {"", 0};
    int n = 0, status = 200, again = 0;
    if (!w->mounted || !getenv("WEIR_KILLS")) skip();
    up_with_log_elsewhere(w, run);
    fill(w, 0);
    wr_http_client *h = reach(&w->server);
    while (n < MOST && (status = log_batch(h, run, n, &b, &reply)) == 200) n++;
    int64_t kb = program_resident_kb(&w->server);
    print_message("%d batches of %d points, then %d: %.*s; %lld kB resident\n", n, BATCH, status,
                  WR_STR_FMT(wr_str_fit(reply, 200)), (long long)kb);
    assert_int_equal(status, 503);
    assert_non_null(strstr(reply.p, "is its disk full?"));
    assert_in_range(kb, 1, 300 << 10);
    for (int i = 0; i < 200; i++) assert_int_equal(log_batch(h, run, n, &b, &reply), 503);
    assert_true(program_resident_kb(&w->server) < kb + (20 << 10));
    assert_int_equal(unlink(in(w, "filler")), 0);
    assert_int_equal(mount("tmpfs", w->dir, "tmpfs", MS_REMOUNT, "size=600m"), 0);
    while (again++ < 300 && log_batch(h, run, n, &b, &reply) != 200) usleep(100000);
    assert_int_equal(log_batch(h, run, n, &b, &reply), 200);
    wr_http_client_close(h);
    assert_int_equal(program_end(&w->server, SIGKILL), 128 + SIGKILL);
    up(w);
    h = reach(&w->server);
    for (int k = 0; k < n / BATCHES_A_KEY; k++) assert_int_equal(points_of(h, run, k), BATCH * BATCHES_A_KEY);
    wr_http_client_close(h);
    assert_int_equal(program_end(&w->server, SIGTERM), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    unsetenv("WEIR_DATABASE");
    const struct CMUnitTest tests[] = {TEST(full_and_not_full), TEST(killed_when_full), TEST(stopped_when_full),
                                       TEST(a_log_that_cannot_be_drained)};
    return cmocka_run_group_tests_name("track_full", tests, NULL, NULL);
}
