/* SPDX-License-Identifier: Apache-2.0 */
/* serving_full_test.c - the program serving on a file system that is really full, where we may mount one. Predictions
 * of packages and feedback: answered 200 means kept, else 503 and nothing of it is there. Predictions of models without
 * a view: answered whatever happens, and those that could not be logged are counted. With room again all goes on
 * without a restart; after kill -9 all that was acknowledged is there. */
#include "server/program_testing.h"
#include "server/server_testing.h"

#include <sched.h>
#include <sys/mount.h>

static const char simple_onnx[] = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx";

enum { MOST = 4000 };
typedef enum { PACKAGE, PLAIN, FEEDBACK, KINDS } kind;

typedef struct {
    trips *w;
    char top[128]; /* the file system */
    bool mounted;
    program p;
    wr_http_client *c;
    int next;
    struct {
        kind k;
        bool kept; /* it was answered 200 */
    } all[MOST];
    int good[KINDS], refused[KINDS];
} world;

/* Only this process and its children see the mount. */
static int setup(void **state)
{
    world *x = calloc(1, sizeof *x);
    const char *tmp = getenv("TMPDIR");
    if (!x) return -1;
    *state = x;
    snprintf(x->top, sizeof x->top, "%.90s/weir-full-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(x->top)) return -1;
    x->mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                 mount("tmpfs", x->top, "tmpfs", 0, "size=48m") == 0;
    if (!x->mounted) {
        print_message("not tested: no right to mount a small file system (it takes root)\n");
        return 0;
    }
    setenv("TMPDIR", x->top, 1);
    return trips_make((void **)&x->w);
}

static int teardown(void **state)
{
    world *x = *state;
    if (x->c) wr_http_client_close(x->c);
    (void)program_end(&x->p, SIGKILL); /* of a test that failed */
    if (x->mounted) (void)trips_end((void **)&x->w);
    if (x->mounted) umount2(x->top, MNT_DETACH);
    wr_file_remove_tree(x->top, NULL);
    free(x);
    return 0;
}

/* Takes all the room that there is. */
static void fill(const world *x)
{
    static const char block[4096];
    char path[200];
    snprintf(path, sizeof path, "%s/filler", x->top);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0) continue;
    close(fd);
}

static void make_room(const world *x)
{
    char path[200];
    snprintf(path, sizeof path, "%s/filler", x->top);
    assert_int_equal(unlink(path), 0);
}

static void up(world *x)
{
    if (x->c) wr_http_client_close(x->c);
    if (!program_launch(&x->p, x->w->dir, "0")) fail_msg("it does not come up; see %s/up.err", x->w->dir);
    x->c = client_at(x->p.port);
}

/* ---- asking ---- */

static const char *plain_body(wr_buf *b, int number)
{
    wr_buf_clear(b);
    wr_buf_printf(b, "{\"id\":\"%d\",\"inputs\":[", number);
    for (int k = 0; k < 2; k++) {
        wr_buf_printf(b, "%s{\"name\":\"INPUT%d\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[", k ? "," : "", k);
        for (int i = 0; i < 16; i++) wr_buf_printf(b, "%s%d", i ? "," : "", k ? 1 : number + i);
        wr_buf_str(b, "]}");
    }
    wr_buf_str(b, "]}");
    return wr_buf_cstr(b);
}

/* One more of a kind; its status. An answer that is given is right, and a refusal is one that says so. */
static int one(world *x, kind k)
{
    static const char *const target[] = {"/v2/models/late/infer", "/v2/models/sums/infer", "/v2/models/late/feedback"};
    WR_AUTOBUF wr_buf b = {0};
    char text[100], id[16];
    wr_str reply = {"", 0};
    int i = x->next++;
    assert_true(i < MOST);
    snprintf(id, sizeof id, "%d", i);
    snprintf(text, sizeof text, "[{\"id\":\"%d\",\"label\":1}]", i);
    const char *body = k == PACKAGE ? infer_body(x->w, &b, id, (size_t)i % TRIPS, (size_t)i % TRIPS + 1)
                       : k == PLAIN ? plain_body(&b, i)
                                    : text;
    int status = call(x->c, "POST", target[k], body, &reply);
    bool full = status == 503 || status == 507; /* not kept; not kept for want of room */
    if (status != 200 && !full) fail_msg("%s: %d %.*s", target[k], status, WR_STR_FMT(reply));
    x->all[i].k = k;
    x->all[i].kept = status == 200;
    x->good[k] += status == 200;
    x->refused[k] += full;
    if (k != PLAIN) return status;
    assert_int_equal(status, 200); /* whatever the disk does */
    snprintf(text, sizeof text, "\"data\":[%d,%d,", i + 1, i + 2);
    if (!memmem(reply.p, reply.n, text, strlen(text))) fail_msg("no %s in %.*s", text, WR_STR_FMT(reply));
    return status;
}

static void round_of_all(world *x)
{
    for (int k = 0; k < KINDS; k++) (void)one(x, (kind)k);
}

static double metric(world *x, const char *name)
{
    wr_str reply = {"", 0};
    char key[100];
    assert_int_equal(call(x->c, "GET", "/metrics", "", &reply), 200);
    snprintf(key, sizeof key, "\n%s ", name);
    const char *at = memmem(reply.p, reply.n, key, strlen(key));
    if (!at) fail_msg("no %s", name);
    return strtod(at + strlen(key), NULL);
}

#define DROPPED "weir_kept_answers_dropped_total"

/* Until the thread that logs has nothing left. */
static void settle(world *x)
{
    for (int ms = 0; ms < 30000 && metric(x, "weir_kept_answers_waiting_bytes") > 0; ms += 10) usleep(10000);
    usleep(200000);
    assert_true(metric(x, "weir_kept_answers_waiting_bytes") == 0);
}

/* ---- what is there ---- */

static int64_t there(world *x, const char *dataset, const char *where)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_buf_printf(&sql, "SELECT count(*) FROM \"%s\"%s%s", dataset, where[0] ? " WHERE " : "", where);
    return trips_number(x->w, wr_buf_cstr(&sql));
}

/* The ids of a kind that were (or were not) kept, as a list for SQL. */
static int ids(wr_buf *out, const world *x, kind k, bool kept)
{
    int n = 0;
    wr_buf_clear(out);
    wr_buf_str(out, "prediction_id IN ('-'");
    for (int i = 0; i < x->next; i++) {
        if (x->all[i].k != k || x->all[i].kept != kept) continue;
        wr_buf_printf(out, ",'%d'", i);
        n++;
    }
    wr_buf_char(out, ')');
    return n;
}

static void check(world *x, double dropped)
{
    static const char *const dataset[] = {"predictions.late", "predictions.sums", "labels.late"};
    WR_AUTOBUF wr_buf b = {0};
    for (int k = 0; k < KINDS; k++) {
        assert_int_equal(
            there(x, dataset[k], "") -
                trips_number(x->w,
                             wr_arena_printf(x->w->a, "SELECT count(DISTINCT prediction_id) FROM \"%s\"", dataset[k])),
            0);
        if (k == PLAIN) continue;
        int n = ids(&b, x, (kind)k, true);
        assert_int_equal(there(x, dataset[k], wr_buf_cstr(&b)), n); /* all that was acknowledged */
        (void)ids(&b, x, (kind)k, false);
        assert_int_equal(there(x, dataset[k], wr_buf_cstr(&b)), 0); /* nothing that was refused */
    }
    assert_int_equal(there(x, dataset[PLAIN], ""), x->good[PLAIN] - (int)dropped); /* each is logged or counted */
}

/* Until there is room for one of each again. */
static void recover(world *x)
{
    int well = 0;
    for (int tries = 0; well < KINDS && tries < 300; tries++) {
        well = 0;
        for (int k = 0; k < KINDS; k++) well += one(x, (kind)k) == 200;
        if (well < KINDS) usleep(20000);
    }
    assert_int_equal(well, KINDS);
}

static void full_and_not_full(void **state)
{
    world *x = *state;
    double dropped = 0;
    if (!x->mounted) skip();
    trips_promote(x->w, 0);
    OK(wr_file_copy(simple_onnx, trips_path(x->w, "sums.onnx"), err));
    trips_write(x->w, "weir.yaml",
                "endpoints:\n  late: {model: late@champion, threshold: 0.4}\n  sums: {path: sums.onnx, log: all}\n");
    up(x);
    for (int i = 0; i < 50; i++) round_of_all(x);
    assert_int_equal(x->good[PACKAGE] + x->good[FEEDBACK], 100);
    for (int turn = 0; turn < 3; turn++) {
        settle(x);
        assert_true(metric(x, DROPPED) == dropped);
        int before = x->refused[PACKAGE] + x->refused[FEEDBACK];
        for (int i = 0; i < 60; i++) {
            fill(x); /* what was given back when a write failed is taken again */
            round_of_all(x);
        }
        if (turn == 1) assert_true(call(x->c, "POST", "/api/weir/1/flush", "", NULL) >= 500); /* nowhere to go */
        assert_true(x->refused[PACKAGE] + x->refused[FEEDBACK] > before + 60);
        settle(x);
        assert_true(metric(x, DROPPED) > dropped);
        make_room(x);
        recover(x);
        settle(x);
        dropped = metric(x, DROPPED);
        for (int i = 0; i < 20; i++) round_of_all(x);
        settle(x);
        assert_true(metric(x, DROPPED) == dropped); /* and not one more */
    }
    print_message("%d predictions and %d labels acknowledged, %d and %d refused; %d answers, %.0f not logged\n",
                  x->good[PACKAGE], x->good[FEEDBACK], x->refused[PACKAGE], x->refused[FEEDBACK], x->good[PLAIN],
                  dropped);
    assert_int_equal(program_end(&x->p, SIGKILL), 128 + SIGKILL);
    up(x);
    assert_int_equal(call(x->c, "POST", "/api/weir/1/flush", "", NULL), 200);
    check(x, dropped);
    assert_int_equal(program_end(&x->p, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(full_and_not_full, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
