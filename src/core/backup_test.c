/* SPDX-License-Identifier: Apache-2.0 */
/* backup_test.c - backups while points are appended, drained and dropped as fast as it goes; what is restored goes on
 * after a kill. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/backup.h"
#include "core/core_testing.h"
#include "track/experiment.h"
#include "track/metric.h"
#include "track/run.h"

enum { WRITERS = 3, BACKUPS = 6, PIECE = 16 };

typedef struct {
    place *s;
    wr_track *t;
    atomic_bool stop;
    char runs[WRITERS][40];
    _Atomic int64_t acked[WRITERS]; /* points */
    atomic_int number;
    atomic_int drains;
} load;

static int make_runs(wr_track *t, void *arg, wr_err *err)
{
    load *l = arg;
    for (int i = 0; i < WRITERS; i++) {
        wr_track_run r;
        WR_TRY(wr_track_run_create(
            &r, l->s->a, t, &(wr_track_run_new){.user = WR_STR("me"), .name = WR_STR("run"), .start_ms = 1}, err));
        snprintf(l->runs[i], sizeof l->runs[i], "%.*s", WR_STR_FMT(r.uuid));
    }
    return 0;
}

static int append(wr_track *t, const char *run, int64_t from, wr_err *err)
{
    wr_track_point p[PIECE];
    for (int i = 0; i < PIECE; i++) p[i] = (wr_track_point){WR_STR("m"), (double)(from + i), from + i, from + i};
    WR_TRY(wr_metric_append(t, wr_str_of(run), p, PIECE, err));
    return wr_metric_commit(t, err);
}

static void *write_points(void *arg)
{
    load *l = arg;
    wr_err err;
    int me = atomic_fetch_add(&l->number, 1);
    while (!atomic_load(&l->stop)) {
        if (append(l->t, l->runs[me], atomic_load(&l->acked[me]), &err) < 0) break;
        atomic_fetch_add(&l->acked[me], PIECE);
    }
    return NULL;
}

static void *drain(void *arg)
{
    load *l = arg;
    wr_err err;
    while (!atomic_load(&l->stop))
        if (wr_metric_drain(l->t, true, &err) == 0) atomic_fetch_add(&l->drains, 1);
    return NULL;
}

/* Points of the series, which must be 0, 1, 2, ... without a hole. */
static int64_t points(place *s, wr_project *p, const char *run)
{
    wr_track *t;
    wr_track_run r;
    wr_track_point *at;
    size_t n;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    OK(wr_project_track_log(&t, p, &s->err));
    OK(wr_track_run_get(&r, a, t, wr_str_of(run), &s->err));
    OK(wr_metric_history(&at, &n, a, t, r.id, WR_STR("m"), NULL, SIZE_MAX / 64, &s->err));
    for (size_t i = 0; i < n; i++) assert_int_equal(at[i].step, i);
    return (int64_t)n;
}

/* In a process that is killed before it can drain. */
static void append_and_die(const char *dir, const char *run, int64_t from)
{
    wr_project *p;
    wr_track *t;
    wr_err err = {0};
    int rc = wr_project_open(&p, dir, &err);
    if (rc == 0) rc = wr_project_track_log(&t, p, &err);
    if (rc == 0) rc = append(t, run, from, &err);
    _exit(rc == 0 ? 0 : 1);
}

static void check_restored(place *s, load *l, const char *dir, const int64_t *acked)
{
    wr_project *p;
    wr_backup_check k;
    OK(wr_backup_verify(&k, wr_path_join(s->a, dir, ".weir"), NULL, NULL, &s->err));
    assert_int_equal(k.problems, 0);
    assert_true(k.records);
    for (int i = 0; i < WRITERS; i++) {
        OK(wr_project_open(&p, dir, &s->err));
        int64_t n = points(s, p, l->runs[i]);
        assert_true(n >= acked[i]);
        wr_project_close(p);
        int status;
        pid_t child = fork();
        if (child == 0) append_and_die(dir, l->runs[i], n);
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
        OK(wr_project_open(&p, dir, &s->err));
        assert_int_equal(points(s, p, l->runs[i]), n + PIECE);
        wr_project_close(p);
    }
}

/* Everybody has done something since the last time: on a busy machine that takes its time. */
static void all_have_moved(load *l, int64_t drains)
{
    for (int waited = 0; waited < 60000; waited++) {
        bool all = atomic_load(&l->drains) > drains;
        for (int i = 0; i < WRITERS; i++) all = all && atomic_load(&l->acked[i]) > 0;
        if (all) return;
        usleep(1000);
    }
    fail_msg("a writer or the drain stands still");
}

static void under_load(void **state)
{
    place *s = *state;
    load l = {.s = s};
    pthread_t threads[WRITERS + 1];
    int64_t acked[BACKUPS][WRITERS];
    OK(wr_project_track_log(&l.t, s->p, &s->err));
    OK(wr_track_write(l.t, make_runs, &l, &s->err));
    for (int i = 0; i <= WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? write_points : drain, &l), 0);
    for (int b = 0; b < BACKUPS; b++) {
        usleep(30000);
        all_have_moved(&l, b);
        for (int i = 0; i < WRITERS; i++) acked[b][i] = atomic_load(&l.acked[i]);
        const char *dir = at(s, wr_arena_printf(s->a, "restored%d", b));
        wr_backup_report r;
        OK(wr_backup(&r, s->p, &(wr_backup_opt){.to = wr_path_join(s->a, dir, ".weir")}, &s->err));
        put(s, wr_arena_printf(s->a, "restored%d/weir.yaml", b), "");
    }
    atomic_store(&l.stop, true);
    for (int i = 0; i <= WRITERS; i++) pthread_join(threads[i], NULL);
    assert_true(atomic_load(&l.drains) > BACKUPS);
    wr_project_close(s->p);
    s->p = NULL;
    for (int b = 0; b < BACKUPS; b++) {
        for (int i = 0; i < WRITERS; i++) assert_true(acked[b][i] > 0);
        check_restored(s, &l, at(s, wr_arena_printf(s->a, "restored%d", b)), acked[b]);
    }
}

static void modes_and_refusals(void **state)
{
    place *s = *state;
    const char *secret;
    wr_backup_report r;
    wr_backup_check k;
    struct stat st;
    OK(wr_project_state(&secret, s->p, "secret", false, &s->err));
    put(s, ".weir/secret", "x");
    put(s, ".weir/up.json", "{}");
    put(s, ".weir/tmp/scratch", "x");
    assert_int_equal(chmod(secret, 0600), 0);
    OK(wr_backup(&r, s->p, &(wr_backup_opt){.to = at(s, "b1")}, &s->err));
    assert_int_equal(stat(at(s, "b1/secret"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(at(s, "b1"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_false(wr_file_exists(at(s, "b1/up.json")));
    assert_false(wr_file_exists(at(s, "b1/tmp")));
    FAILS(WEIR_EEXIST, wr_backup(&r, s->p, &(wr_backup_opt){.to = at(s, "b1")}, &s->err));
    FAILS(WEIR_ENOTFOUND, wr_backup_verify(&k, at(s, "nowhere"), NULL, NULL, &s->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(under_load, make_place, drop_place),
                                       cmocka_unit_test_setup_teardown(modes_and_refusals, make_place, drop_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
