/* SPDX-License-Identifier: Apache-2.0 */
/* metric_log_test.c - what was acknowledged is there: after kill -9, after every fault, at every crash point, while
 * threads append, drain, settle and read.
 *
 * Batch i is known from its number: its run, its key, how many points; their steps are i * SPAN + 0, 1, ... So a reader
 * can tell of each point whose it is, and of each batch whether it is there, once and whole. WEIR_METRIC_KILLS=N kills
 * N times instead of 20. */
#include "track/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/rng.h"
#include "io/file.h"
#include "store/db_conn.h"
#include "track/metric_inside.h"
#include "track/schema.h"

enum { RUNS = 5, KEYS = 3, SPAN = 4096, BATCHES = 200000 };
static const char *const keys[KEYS] = {"loss", "acc", "lr"};

static char top[256], file[300], folder[300];
static wr_db *db;
static wr_track *t;
static struct {
    _Atomic int tried, acked; /* batches below; acked ones are promised */
    atomic_bool promised[BATCHES];
} * shared;

static void quiet(void *ctx, wr_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static wr_str uuid_of(int run)
{
    static _Thread_local char text[33];
    snprintf(text, sizeof text, "%032x", 0xabc + run);
    return (wr_str){text, 32};
}

static int make_runs(wr_track *track, void *arg, wr_err *err)
{
    (void)arg;
    for (int i = 0; i < RUNS; i++) {
        int rc =
            wr_track_exec(track, err,
                          "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, artifact_uri)"
                          " VALUES (?, 0, 'x', 'x', 1, 0, 'x') ON CONFLICT DO NOTHING",
                          "s", uuid_of(i));
        if (rc < 0) return rc;
    }
    return 0;
}

static int open_track(wr_err *err)
{
    const wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    int rc = wr_db_open(&db, file, &opt, err);
    if (rc < 0) return rc;
    rc = wr_track_open(&t, db, &(wr_track_opt){.log = folder}, err);
    if (rc < 0) wr_db_close(db);
    return rc;
}

static void close_track(void)
{
    wr_track_close(t);
    wr_db_close(db);
}

static void must_open(void)
{
    wr_err err = {0};
    if (open_track(&err) < 0) fail_msg("%s: %s", err.msg, err.detail);
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(top, sizeof top, "%s/weir-metric-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(top)) return -1;
    snprintf(file, sizeof file, "%s/db.sqlite", top);
    snprintf(folder, sizeof folder, "%s/log", top);
    memset(shared, 0, sizeof *shared);
    wr_log_set_sink(quiet, NULL);
    must_open();
    int rc = wr_track_write(t, make_runs, NULL, NULL);
    close_track();
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    for (int k = 0; k < WR_FAULT_KINDS; k++) wr_fault_arm((wr_fault_kind)k, 0, false);
    wr_log_set_sink(NULL, NULL);
    return wr_file_remove_tree(top, NULL);
}

/* ---- batches ---- */

static size_t size_of(int i) { return i % 37 == 5 ? 1500 : 1 + (size_t)i % 7; }
static int run_of(int i) { return i % RUNS; }
static int key_of(int i) { return i / RUNS % KEYS; }

static size_t batch(wr_track_point *out, int i)
{
    for (size_t j = 0; j < size_of(i); j++) {
        out[j] = (wr_track_point){.key = wr_str_of(keys[key_of(i)]),
                                  .step = (int64_t)i * SPAN + (int64_t)j,
                                  .time_ms = 1000 + i,
                                  .value = (double)i / 7 + (double)j};
    }
    return size_of(i);
}

/* Append and commit the next batch; it is promised when both succeed. */
static int next_batch(wr_err *err)
{
    wr_track_point p[1500];
    int i = atomic_fetch_add(&shared->tried, 1);
    assert_true(i < BATCHES);
    WR_TRY(wr_metric_append(t, uuid_of(run_of(i)), p, batch(p, i), err));
    WR_TRY(wr_metric_commit(t, err));
    atomic_store(&shared->promised[i], true);
    atomic_fetch_add(&shared->acked, 1);
    return 0;
}

static int put_batch(wr_track *track, void *arg, wr_err *err)
{
    wr_track_point p[1500];
    int i = *(int *)arg;
    size_t n = batch(p, i);
    return wr_metric_put(track, &(wr_metric_run){.run = run_of(i) + 1}, p, n, err);
}

static int next_put(wr_err *err)
{
    int i = atomic_fetch_add(&shared->tried, 1);
    WR_TRY(wr_track_write(t, put_batch, &i, err));
    atomic_store(&shared->promised[i], true);
    return 0;
}

static void count_series(uint16_t *count, int run, int key)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_track_point *p;
    size_t n;
    wr_err err = {0};
    if (wr_metric_history(&p, &n, a, t, run + 1, wr_str_of(keys[key]), NULL, 0, &err) < 0) fail_msg("%s", err.msg);
    for (size_t k = 0; k < n; k++) {
        int64_t i = p[k].step / SPAN, j = p[k].step % SPAN;
        assert_true(i >= 0 && i < BATCHES && run_of((int)i) == run && key_of((int)i) == key);
        assert_true(p[k].value == (double)i / 7 + (double)j && p[k].time_ms == 1000 + i);
        count[i]++;
    }
}

/* Each promised batch is there, each other one is there or not, all of them once and whole. */
static void check_batches(void)
{
    static uint16_t count[BATCHES];
    memset(count, 0, sizeof count);
    for (int r = 0; r < RUNS; r++)
        for (int k = 0; k < KEYS; k++) count_series(count, r, k);
    for (int i = 0; i < BATCHES; i++) {
        bool promised = atomic_load(&shared->promised[i]);
        if (count[i] == size_of(i) || (count[i] == 0 && !promised)) continue;
        fail_msg("batch %d of %zu points%s: %d are there", i, size_of(i), promised ? ", promised" : "", count[i]);
    }
}

static void check_latest(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_int_equal(wr_metric_settle(t, NULL), 0);
    for (int r = 0; r < RUNS; r++) {
        wr_track_point *p;
        size_t n, m = 0;
        wr_stmt *s;
        assert_int_equal(wr_metric_latest(&p, &n, a, t, r + 1, NULL), 0);
        assert_int_equal(wr_track_query(&s, t, NULL,
                                        "SELECT m.step FROM track_metrics m JOIN track_keys k ON k.id = m.key WHERE "
                                        "m.run = ? ORDER BY k.name",
                                        "i", (int64_t)r + 1),
                         0);
        while (wr_step(s, NULL) > 0) {
            assert_true(m < n && p[m].step == wr_stmt_i64(s, 0));
            m++;
        }
        assert_int_equal(m, n);
        wr_stmt_done(s);
    }
}

static void check_after(void)
{
    must_open();
    check_batches();
    check_latest();
    wr_err err = {0};
    if (wr_metric_drain(t, true, &err) < 0) fail_msg("%s", err.msg);
    check_batches();
    close_track();
}

/* ---- kill -9 ---- */

/* Never returns. */
static void child(uint64_t seed)
{
    wr_rng r;
    wr_err err = {0};
    wr_rng_init(&r, seed);
    if (open_track(&err) < 0) _exit(3);
    for (;;) {
        uint64_t what = wr_rng_below(&r, 60);
        int rc = what == 0   ? wr_metric_drain(t, true, &err)
                 : what == 1 ? wr_metric_settle(t, &err)
                 : what == 2 ? next_put(&err)
                             : next_batch(&err);
        if (rc < 0) _exit(4);
    }
}

static void killed(void **state)
{
    (void)state;
    const char *text = getenv("WEIR_METRIC_KILLS");
    int kills = text ? (int)strtol(text, NULL, 10) : 20;
    wr_rng r;
    wr_rng_init(&r, 11);
    for (int i = 0; i < kills && atomic_load(&shared->tried) < BATCHES / 2; i++) {
        int before = atomic_load(&shared->acked);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) child((uint64_t)i);
        for (int waited = 0; atomic_load(&shared->acked) < before + 3 && waited < 10000; waited++) usleep(1000);
        usleep((useconds_t)wr_rng_below(&r, 40000));
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSIGNALED(status)) fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
        check_after();
    }
    assert_true(atomic_load(&shared->acked) >= 3 * kills || kills > 100);
}

/* ---- faults ---- */

/* Something of everything; what fails is not promised, and the rest goes on. */
static void scenario(void)
{
    wr_err err;
    if (open_track(&err) < 0) return;
    for (int i = 0; i < 3; i++) (void)next_batch(&err);
    (void)wr_metric_settle(t, &err);
    (void)next_batch(&err);
    (void)wr_metric_drain(t, true, &err);
    for (int i = 0; i < 2; i++) (void)next_batch(&err);
    (void)next_put(&err);
    (void)wr_metric_drain(t, true, &err);
    (void)wr_metric_settle(t, &err);
    (void)next_batch(&err);
    close_track();
}

static void crash_points(void **state)
{
    (void)state;
    int nth = 1;
    for (;; nth++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            wr_fault_arm(WR_FAULT_CRASH, nth, false);
            scenario();
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        check_after();
        if (WEXITSTATUS(status) == 0) break;
        assert_int_equal(WEXITSTATUS(status), 137);
    }
    assert_true(nth > 20);
}

static void fault(wr_fault_kind kind, bool sticky)
{
    int runs = 0;
    for (long nth = 1;; nth += 1 + nth / 12, runs++) {
        wr_fault_arm(kind, nth, sticky);
        scenario();
        bool fired = wr_fault_fired(kind);
        wr_fault_arm(kind, 0, false);
        check_after();
        if (!fired) break;
    }
    assert_true(runs > 2);
}

static void failing_writes(void **state)
{
    (void)state;
    fault(WR_FAULT_WRITE, false);
    fault(WR_FAULT_WRITE, true);
}

static void failing_syncs(void **state)
{
    (void)state;
    fault(WR_FAULT_FSYNC, false);
    fault(WR_FAULT_FSYNC, true);
}

static void failing_renames(void **state)
{
    (void)state;
    fault(WR_FAULT_RENAME, false);
}

static void failing_allocations(void **state)
{
    (void)state;
    fault(WR_FAULT_ALLOC, false);
    fault(WR_FAULT_ALLOC, true);
}

/* A disk that is full for a while: nothing is promised meanwhile, nothing promised is lost, and it goes on. */
static void full_for_a_while(void **state)
{
    (void)state;
    wr_err err;
    must_open();
    for (int i = 0; i < 3; i++) assert_int_equal(next_batch(&err), 0);
    wr_fault_arm(WR_FAULT_WRITE, 1, true);
    for (int i = 0; i < 3; i++) assert_true(next_batch(&err) < 0);
    assert_true(wr_metric_drain(t, true, &err) < 0);
    assert_true(wr_metric_drain(t, false, &err) <= 0);
    check_batches();
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    for (int i = 0; i < 3; i++) assert_int_equal(next_batch(&err), 0);
    assert_int_equal(wr_metric_drain(t, true, &err), 0);
    check_batches();
    close_track();
    check_after();
}

/* And when it stays full, appending says no at once: an event loop does not wait for a disk that does not come. */
static void full_for_good(void **state)
{
    (void)state;
    wr_err err = {0};
    must_open();
    t->metric->memory_max = 1 << 20;
    wr_fault_arm(WR_FAULT_WRITE, 1, true);
    int rc = 0, accepted = 0;
    while (accepted < 2000 && (rc = next_batch(&err)) != WEIR_EUNAVAILABLE) accepted++;
    assert_int_equal(rc, WEIR_EUNAVAILABLE);
    assert_true(wr_metric_drain(t, true, &err) < 0);
    int64_t begin = wr_clock_mono_ns();
    for (int i = 0; i < 20; i++) assert_int_equal(next_batch(&err), WEIR_EUNAVAILABLE);
    assert_true(wr_clock_mono_ns() - begin < 1000 * INT64_C(1000000));
    check_batches();
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    assert_int_equal(wr_metric_drain(t, true, &err), 0);
    assert_int_equal(next_batch(&err), 0);
    close_track();
    check_after();
}

/* ---- threads ---- */

static atomic_bool over;

static void *appender(void *arg)
{
    (void)arg;
    wr_err err = {0};
    while (!atomic_load(&over)) {
        if (next_batch(&err) < 0) fail_msg("%s", err.msg);
    }
    return NULL;
}

static void *mover(void *arg)
{
    (void)arg;
    wr_err err = {0};
    for (int i = 0; !atomic_load(&over); i++) {
        int rc = i % 3 ? wr_metric_settle(t, &err) : wr_metric_drain(t, true, &err);
        if (rc < 0) fail_msg("%s", err.msg);
        usleep(500);
    }
    return NULL;
}

/* What was promised before the look is seen by it, latest values too. */
static void *reader(void *arg)
{
    uint16_t *count = calloc(BATCHES, sizeof *count);
    int run = *(int *)arg;
    assert_non_null(count);
    while (!atomic_load(&over)) {
        int tried = atomic_load(&shared->tried), last[KEYS] = {-1, -1, -1};
        bool *promised = calloc((size_t)tried + 1, sizeof *promised);
        assert_non_null(promised);
        for (int i = 0; i < tried; i++) {
            promised[i] = atomic_load(&shared->promised[i]);
            if (promised[i] && run_of(i) == run) last[key_of(i)] = i;
        }
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_track_point *p;
        size_t n;
        assert_int_equal(wr_metric_latest(&p, &n, a, t, run + 1, NULL), 0);
        memset(count, 0, BATCHES * sizeof *count);
        for (int k = 0; k < KEYS; k++) {
            bool found = last[k] < 0;
            for (size_t i = 0; i < n; i++) found |= wr_str_is(p[i].key, keys[k]) && p[i].step / SPAN >= last[k];
            assert_true(found);
            count_series(count, run, k);
        }
        for (int i = 0; i < tried; i++) {
            if (run_of(i) != run || !promised[i] || count[i] == size_of(i)) continue;
            fail_msg("batch %d: %d of %zu are there", i, count[i], size_of(i));
        }
        free(promised);
    }
    free(count);
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    pthread_t all[6];
    int runs[2] = {0, 3};
    must_open();
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&all[i], NULL, appender, NULL), 0);
    for (int i = 2; i < 4; i++) assert_int_equal(pthread_create(&all[i], NULL, mover, NULL), 0);
    for (int i = 4; i < 6; i++) assert_int_equal(pthread_create(&all[i], NULL, reader, &runs[i - 4]), 0);
    for (int i = 0; i < 15 && atomic_load(&shared->tried) < BATCHES / 4; i++) usleep(100 * 1000);
    atomic_store(&over, true);
    for (int i = 0; i < 6; i++) pthread_join(all[i], NULL);
    check_batches();
    close_track();
    check_after();
    assert_true(atomic_load(&shared->acked) > 20);
}

/* ---- deletes and appends at the same time ---- */

static _Atomic int epoch; /* odd: the run is deleted, and whoever did it knows */

static int set_deleted(wr_track *track, void *arg, wr_err *err)
{
    int rc = wr_track_exec(track, err,
                           *(bool *)arg ? "UPDATE track_runs SET deleted_ms = 1 WHERE id = 1"
                                        : "UPDATE track_runs SET deleted_ms = NULL WHERE id = 1",
                           "");
    wr_metric_forget_run(track, uuid_of(0));
    usleep(200); /* between this and the commit somebody looks the run up */
    return rc < 0 ? rc : 0;
}

static void *late_appender(void *arg)
{
    _Atomic int *taken = arg;
    const wr_track_point p = {.key = WR_STR("late"), .value = 1, .step = 1, .time_ms = 1};
    while (!atomic_load(&over)) {
        int before = atomic_load(&epoch);
        int rc = wr_metric_append(t, uuid_of(0), &p, 1, NULL);
        if (rc == 0) atomic_fetch_add(taken, 1);
        if (rc == 0 && before % 2 && atomic_load(&epoch) == before) atomic_store(taken, -1000000000);
        assert_true(rc == 0 || rc == WEIR_EINVAL || rc == WEIR_EUNAVAILABLE);
        if (atomic_load(taken) % 1000 == 0) (void)wr_metric_commit(t, NULL);
    }
    return NULL;
}

static void no_append_after_a_delete(void **state)
{
    (void)state;
    pthread_t all[2];
    _Atomic int taken = 0;
    must_open();
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&all[i], NULL, late_appender, &taken), 0);
    for (int i = 0; i < 150; i++) {
        bool deleted = true;
        assert_int_equal(wr_track_write(t, set_deleted, &deleted, NULL), 0);
        atomic_fetch_add(&epoch, 1);
        usleep(300);
        atomic_fetch_add(&epoch, 1);
        deleted = false;
        assert_int_equal(wr_track_write(t, set_deleted, &deleted, NULL), 0);
        usleep(300);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++) pthread_join(all[i], NULL);
    if (atomic_load(&taken) <= 0) fail_msg("an append succeeded that began after the delete had returned");
    close_track();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed, setup, teardown),
        cmocka_unit_test_setup_teardown(crash_points, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_syncs, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_renames, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations, setup, teardown),
        cmocka_unit_test_setup_teardown(full_for_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(full_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(threads, setup, teardown),
        cmocka_unit_test_setup_teardown(no_append_after_a_delete, setup, teardown),
    };
    wr_err err;
    if (wr_db_fault_install(&err) < 0) return 1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return 1;
    return cmocka_run_group_tests_name("track/metric_log", tests, NULL, NULL);
}
