/* SPDX-License-Identifier: Apache-2.0 */
/* metric_test.c - metric series against a slow and obvious twin: a list of points per run and key, kept as a set. */
#include "track/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "codec/series.h"
#include "io/file.h"
#include "store/pg_testing.h"
#include "track/metric_inside.h"
#include "track/schema.h"
#include "track/track_inside.h"

static char top[256], file[300], folder[300];
static wr_db *db;
static wr_track *t;

/* ---- the twin ---- */

enum { RUNS = 6, KEYS = 5, MOST = 20000 };
static const char *const names[KEYS] = {"loss", "val/acc uracy", "a", "b.c-d_e", "\xc3\xa9t\xc3\xa9"};

typedef struct {
    wr_track_point p[MOST];
    size_t n;
} twin;
static twin twins[RUNS][KEYS]; /* run ids are 1 + index */
static int64_t next_step[RUNS][KEYS];

static int64_t number(const char *sql)
{
    int64_t v;
    wr_err err = {0};
    if (wr_track_number(&v, -1, t, &err, sql, "") < 0) fail_msg("%s", err.msg);
    return v;
}

static wr_str uuid_of(int run)
{
    static char text[RUNS + 1][33];
    snprintf(text[run], sizeof text[run], "%032x", 0xabc + run);
    return (wr_str){text[run], 32};
}

static int make_runs_in_write(wr_track *track, void *arg, wr_err *err)
{
    (void)arg;
    for (int i = 0; i < RUNS; i++) {
        int rc =
            wr_track_exec(track, err,
                          "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, artifact_uri)"
                          " VALUES (?, 0, 'x', 'x', 1, ?, 'x')",
                          "si", uuid_of(i), (int64_t)1000 + i);
        if (rc < 0) return rc;
    }
    return 0;
}

static void make_runs(void)
{
    wr_err err = {0};
    if (wr_track_write(t, make_runs_in_write, NULL, &err) < 0) fail_msg("%s", err.msg);
    assert_int_equal(number("SELECT max(id) FROM track_runs"), RUNS);
}

static int try_open(const char *log, wr_err *err)
{
    const wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    int rc = wr_db_open(&db, file, &opt, err);
    if (rc < 0) return rc;
    rc = wr_track_open(&t, db, &(wr_track_opt){.log = log}, err);
    if (rc < 0) wr_db_close(db);
    return rc;
}

static void open_track(const char *log)
{
    wr_err err = {0};
    if (try_open(log, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
}

static void close_track(void)
{
    wr_track_close(t);
    wr_db_close(db);
    t = NULL;
    db = NULL;
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(top, sizeof top, "%s/weir-metric-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(top)) return -1;
    snprintf(file, sizeof file, "%s/db.sqlite", top);
    if (wr_pg_testing_wanted(file, sizeof file) < 0) return -1;
    snprintf(folder, sizeof folder, "%s/log", top);
    memset(twins, 0, sizeof twins);
    memset(next_step, 0, sizeof next_step);
    open_track(NULL);
    make_runs();
    return 0;
}

/* The same with a log. */
static int setup_log(void **state)
{
    if (setup(state) < 0) return -1;
    close_track();
    open_track(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (t) close_track();
    return wr_file_remove_tree(top, NULL);
}

/* ---- comparing ---- */

static int order(const wr_track_point *a, const wr_track_point *b, bool by_time)
{
    const int64_t x[] = {by_time ? a->time_ms : a->step, by_time ? a->step : a->time_ms};
    const int64_t y[] = {by_time ? b->time_ms : b->step, by_time ? b->step : b->time_ms};
    for (int i = 0; i < 2; i++) {
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    }
    if (isnan(a->value) || isnan(b->value)) return (int)isnan(b->value) - (int)isnan(a->value);
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return (int)(signbit(b->value) != 0) - (int)(signbit(a->value) != 0);
}
static int by_time(const void *a, const void *b) { return order(a, b, true); }
static int by_step(const void *a, const void *b) { return order(a, b, false); }

static void twin_add(twin *w, const wr_track_point *p)
{
    for (size_t i = 0; i < w->n; i++) {
        if (order(&w->p[i], p, true) == 0) return;
    }
    assert_true(w->n < MOST);
    w->p[w->n++] = *p;
}

static void same_points(const wr_track_point *a, const wr_track_point *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (order(&a[i], &b[i], true) != 0 || !wr_str_eq(a[i].key, b[i].key))
            fail_msg("point %zu of %zu: (%lld, %lld, %a), not (%lld, %lld, %a)", i, n, (long long)a[i].step,
                     (long long)a[i].time_ms, a[i].value, (long long)b[i].step, (long long)b[i].time_ms, b[i].value);
    }
}

/* Pages of `size` are the whole history. */
static void check_history(wr_arena *a, int run, int key, size_t size)
{
    twin *w = &twins[run][key];
    qsort(w->p, w->n, sizeof *w->p, by_time);
    const wr_track_point *after = NULL;
    for (size_t at = 0;;) {
        wr_track_point *p;
        size_t n;
        wr_err err = {0};
        if (wr_metric_history(&p, &n, a, t, run + 1, wr_str_of(names[key]), after, size, &err) < 0)
            fail_msg("%s", err.msg);
        size_t expect = size && w->n - at > size ? size : w->n - at;
        assert_int_equal(n, expect);
        same_points(p, w->p + at, n);
        at += n;
        if (!n || !size) break;
        after = &p[n - 1];
    }
}

static void check_latest(wr_arena *a, int run)
{
    wr_track_point *p, expect[KEYS];
    size_t n, m = 0;
    assert_int_equal(wr_metric_latest(&p, &n, a, t, run + 1, NULL), 0);
    static const int sorted[KEYS] = {2, 3, 0, 1, 4};
    for (int k = 0; k < KEYS; k++) {
        twin *w = &twins[run][sorted[k]];
        if (!w->n) continue;
        qsort(w->p, w->n, sizeof *w->p, by_step);
        expect[m] = w->p[w->n - 1];
        expect[m++].value += 0.0; /* as the header says */
    }
    assert_int_equal(n, m);
    same_points(p, expect, m);
}

/* MLflow's rule, literally. */
static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static size_t unique(int64_t *v, size_t n)
{
    size_t kept = 0;
    qsort(v, n, sizeof *v, by_number);
    for (size_t i = 0; i < n; i++) {
        if (!kept || v[kept - 1] != v[i]) v[kept++] = v[i];
    }
    return kept;
}

static size_t rule(int64_t *out, int key, const int64_t *runs, size_t nruns, int64_t from, int64_t to, size_t max)
{
    static int64_t all[RUNS * MOST];
    size_t n = 0, m = 0, start = 0, end = 0;
    for (size_t r = 0; r < nruns; r++) {
        const twin *w = &twins[runs[r] - 1][key];
        int64_t lo = INT64_MAX, hi = INT64_MIN;
        for (size_t i = 0; i < w->n; i++) {
            all[n++] = w->p[i].step;
            if (w->p[i].step < lo) lo = w->p[i].step;
            if (w->p[i].step > hi) hi = w->p[i].step;
        }
        if (w->n && lo >= from && lo <= to) out[m++] = lo;
        if (w->n && hi >= from && hi <= to) out[m++] = hi;
    }
    n = unique(all, n);
    while (start < n && all[start] < from) start++;
    for (end = start; end < n && all[end] <= to;) end++;
    if (end - start <= max) {
        for (size_t i = start; i < end; i++) out[m++] = all[i];
    } else {
        double interval = (double)(end - start) / (double)max;
        for (size_t i = 0; i < max; i++) {
            size_t at = start + (size_t)((double)i * interval);
            if (at < end) out[m++] = all[at];
        }
        out[m++] = all[end - 1];
    }
    return unique(out, m);
}

static void check_sample(wr_arena *a, int key, const int64_t *runs, size_t nruns, int64_t from, int64_t to, size_t max)
{
    static int64_t steps[RUNS * MOST];
    static wr_track_point expect[MOST];
    wr_metric_series got[RUNS];
    wr_err err = {0};
    size_t nsteps = rule(steps, key, runs, nruns, from, to, max);
    if (wr_metric_sample(got, a, t, runs, nruns, wr_str_of(names[key]), from, to, max, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    for (size_t r = 0; r < nruns; r++) {
        twin *w = &twins[runs[r] - 1][key];
        size_t m = 0;
        qsort(w->p, w->n, sizeof *w->p, by_step);
        for (size_t i = 0; i < w->n; i++) {
            if (bsearch(&w->p[i].step, steps, nsteps, sizeof *steps, by_number)) expect[m++] = w->p[i];
        }
        assert_int_equal(got[r].n, m);
        same_points(got[r].points, expect, m);
    }
}

static void check_some(wr_rng *r)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    int64_t runs[RUNS];
    size_t nruns = 0;
    int key = (int)wr_rng_below(r, KEYS);
    check_history(a, (int)wr_rng_below(r, RUNS), key, wr_rng_below(r, 3) ? 1 + wr_rng_below(r, 3000) : 0);
    check_latest(a, (int)wr_rng_below(r, RUNS));
    for (int i = RUNS; i > 0; i--) {
        if (wr_rng_below(r, 2)) runs[nruns++] = i;
    }
    int64_t from = wr_rng_below(r, 2) ? INT64_MIN : (int64_t)wr_rng_below(r, 5000) - 100;
    int64_t to = wr_rng_below(r, 2) ? INT64_MAX : from / 2 + (int64_t)wr_rng_below(r, 5000);
    check_sample(a, key, runs, nruns, from, to, 1 + wr_rng_below(r, wr_rng_below(r, 2) ? 10 : 2000));
}

static void check_everything(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    int64_t runs[RUNS];
    wr_metric_series many[RUNS];
    for (int r = 0; r < RUNS; r++) {
        check_latest(a, r);
        for (int k = 0; k < KEYS; k++) check_history(a, r, k, 0);
        runs[r] = RUNS - r;
    }
    assert_int_equal(wr_metric_latest_many(many, a, t, runs, RUNS, NULL), 0);
    for (int r = 0; r < RUNS; r++) {
        wr_track_point *p;
        size_t n;
        assert_int_equal(wr_metric_latest(&p, &n, a, t, runs[r], NULL), 0);
        assert_int_equal(many[r].n, n);
        same_points(many[r].points, p, n);
    }
    for (int k = 0; k < KEYS; k++) check_sample(a, k, runs, RUNS, 0, INT64_MAX, 320);
}

/* ---- points ---- */

/* Some points of one run: curves that go on, points that come late or twice, odd values. */
static size_t any_points(wr_rng *r, wr_track_point *p, int run, size_t max)
{
    size_t n = 1 + wr_rng_below(r, wr_rng_below(r, 4) ? 5 : max);
    int key = (int)wr_rng_below(r, KEYS);
    for (size_t i = 0; i < n; i++) {
        if (wr_rng_below(r, 4) == 0) key = (int)wr_rng_below(r, KEYS);
        twin *w = &twins[run][key];
        if (w->n + n >= MOST) return 0;
        uint64_t kind = wr_rng_below(r, 20);
        int64_t step = key == 2 ? 0 : key == 3 ? next_step[run][key] * 7919 * 1000003 : next_step[run][key];
        p[i] = (wr_track_point){.key = wr_str_of(names[key]),
                                .step = step,
                                .time_ms = 1700000000000 + next_step[run][key] * 100 + (int64_t)wr_rng_below(r, 10),
                                .value = kind == 0   ? NAN
                                         : kind == 1 ? INFINITY
                                         : kind == 2 ? -0.0
                                                     : (double)wr_rng_below(r, 5)};
        next_step[run][key]++;
        if (kind == 3 && w->n) p[i] = w->p[wr_rng_below(r, w->n)];
        if (kind == 4) p[i].step = (int64_t)wr_rng_below(r, 3000) - 10;
        if (kind == 5) p[i].time_ms -= (int64_t)wr_rng_below(r, 100000);
        if (kind == 6 && wr_rng_below(r, 50) == 0) p[i].step = wr_rng_below(r, 2) ? INT64_MAX : INT64_MIN;
    }
    return n;
}

static void twin_add_all(int run, const wr_track_point *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < KEYS; k++) {
            if (wr_str_is(p[i].key, names[k])) twin_add(&twins[run][k], &p[i]);
        }
    }
}

typedef struct {
    int run;
    const wr_track_point *p;
    size_t n;
} put;

static int put_in_write(wr_track *track, void *arg, wr_err *err)
{
    const put *x = arg;
    const wr_metric_run run = {.run = x->run + 1, .experiment = 0, .start_ms = 1000 + x->run};
    return wr_metric_put(track, &run, x->p, x->n, err);
}

static void put_points(int run, const wr_track_point *p, size_t n)
{
    wr_err err = {0};
    put x = {run, p, n};
    if (wr_track_write(t, put_in_write, &x, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    twin_add_all(run, p, n);
}

static int append(int run, const wr_track_point *p, size_t n, wr_err *err)
{
    return wr_metric_append(t, uuid_of(run), p, n, err);
}

static void append_points(int run, const wr_track_point *p, size_t n)
{
    wr_err err = {0};
    if (append(run, p, n, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    twin_add_all(run, p, n);
}

static void commit(void)
{
    wr_err err = {0};
    if (wr_metric_commit(t, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
}

static void drain(void)
{
    wr_err err = {0};
    if (wr_metric_drain(t, true, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
}

/* ---- tests ---- */

static void puts_against_the_twin(void **state)
{
    (void)state;
    static wr_track_point p[3000];
    wr_rng r;
    wr_rng_init(&r, 1);
    check_everything();
    for (int i = 0; i < 400; i++) {
        int run = (int)wr_rng_below(&r, RUNS);
        size_t n = any_points(&r, p, run, i % 50 == 0 ? 3000 : 100);
        put_points(run, p, n);
        check_some(&r);
    }
    check_everything();
    assert_int_equal(number("SELECT count(*) FROM track_chunks WHERE n > 1024 OR n < 1"), 0);
    assert_int_equal(
        number("SELECT count(*) FROM track_metrics m WHERE tail <> (SELECT max(c.seq) FROM track_chunks c WHERE "
               "c.run = m.run AND c.key = m.key)"),
        0);
}

/* One point a put: chunks do not become many, and none is written over and over at full length. */
static void single_points_fill_chunks(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        wr_track_point p = {.key = WR_STR("loss"), .value = i, .step = i, .time_ms = i};
        put_points(0, &p, 1);
    }
    check_everything();
    int64_t chunks = number("SELECT count(*) FROM track_chunks");
    if (chunks < 2 || chunks > 5) fail_msg("%lld chunks", (long long)chunks);
}

static int purge_in_write(wr_track *track, void *arg, wr_err *err)
{
    return wr_metric_purge(track, *(int64_t *)arg, err);
}

static void purging(void **state)
{
    (void)state;
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 2, .time_ms = 3};
    put_points(0, &p, 1);
    put_points(1, &p, 1);
    int64_t run = 1;
    assert_int_equal(wr_track_write(t, purge_in_write, &run, NULL), 0);
    memset(&twins[0], 0, sizeof twins[0]);
    check_everything();
}

/* ---- the log ---- */

/* The table that searches look at has the twin's latest values. */
static void check_settled(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_err err = {0};
    if (wr_metric_settle(t, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    int64_t series = 0;
    for (int r = 0; r < RUNS; r++) {
        for (int k = 0; k < KEYS; k++) {
            twin *w = &twins[r][k];
            wr_stmt *s;
            if (!w->n) continue;
            series++;
            qsort(w->p, w->n, sizeof *w->p, by_step);
            wr_track_point last = w->p[w->n - 1];
            last.value += 0.0;
            assert_int_equal(wr_track_query(&s, t, NULL,
                                            "SELECT m.step, m.time_ms, m.value, m.start_ms FROM track_metrics m JOIN "
                                            "track_keys k ON k.id = m.key WHERE m.run = ? AND k.name = ?",
                                            "is", (int64_t)r + 1, wr_str_of(names[k])),
                             0);
            assert_int_equal(wr_step(s, NULL), 1);
            wr_track_point got = {last.key, wr_stmt_f64(s, 2), wr_stmt_i64(s, 0), wr_stmt_i64(s, 1)};
            same_points(&got, &last, 1);
            assert_int_equal(wr_stmt_i64(s, 3), 1000 + r);
            wr_stmt_done(s);
        }
    }
    assert_int_equal(number("SELECT count(*) FROM track_metrics"), series);
}

static void everything_against_the_twin(void **state)
{
    (void)state;
    static wr_track_point p[3000];
    for (uint64_t seed = 0; seed < 6; seed++) {
        wr_rng r;
        wr_rng_init(&r, seed);
        for (int i = 0; i < 150; i++) {
            int run = (int)wr_rng_below(&r, RUNS);
            uint64_t what = wr_rng_below(&r, 20);
            if (what < 12) append_points(run, p, any_points(&r, p, run, i % 50 == 0 ? 3000 : 100));
            else if (what == 12) put_points(run, p, any_points(&r, p, run, 100));
            else if (what == 13) drain();
            else if (what < 16) check_settled();
            else if (what < 19) commit();
            else {
                commit();
                close_track();
                open_track(folder);
            }
            check_some(&r);
        }
        check_everything();
        check_settled();
    }
    close_track();
    open_track(NULL); /* closing moved everything */
    check_everything();
    assert_int_equal(number("SELECT count(*) FROM track_chunks WHERE n > 1024 OR n < 1"), 0);
}

static size_t count_of(int run, const char *key)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_track_point *p;
    size_t n;
    assert_int_equal(wr_metric_history(&p, &n, a, t, run + 1, wr_str_of(key), NULL, 0, NULL), 0);
    return n;
}

/* What is in memory alone is read by somebody who looks at the log, and not by one who does not. */
static void peeking(void **state)
{
    (void)state;
    wr_track_point p[] = {{.key = WR_STR("loss"), .value = 1, .step = 1, .time_ms = 1},
                          {.key = WR_STR("loss"), .value = 2, .step = 2, .time_ms = 2}};
    wr_err err = {0};
    append_points(0, p, 1);
    commit();
    drain();
    append_points(0, p + 1, 1);
    commit();
    wr_track *mine = t, *other;
    assert_int_equal(wr_track_open(&other, db, &(wr_track_opt){.log = folder}, &err), WEIR_ECONFLICT);
    assert_int_equal(wr_track_open(&t, db, &(wr_track_opt){.log = NULL}, &err), 0);
    assert_int_equal(count_of(0, "loss"), 1);
    assert_false(wr_metric_has_log(t));
    assert_int_equal(append(0, p, 1, &err), WEIR_EUNSUPPORTED);
    wr_track_close(t);
    assert_int_equal(wr_track_open(&t, db, &(wr_track_opt){.peek = folder}, &err), 0);
    check_everything();
    assert_false(wr_metric_has_log(t));
    assert_int_equal(append(0, p, 1, &err), WEIR_EUNSUPPORTED);
    assert_int_equal(wr_metric_drain(t, true, &err), 0);
    check_settled();
    wr_track_close(t);
    char none[400];
    snprintf(none, sizeof none, "%s/none", top);
    assert_int_equal(wr_track_open(&t, db, &(wr_track_opt){.peek = none}, &err), 0);
    assert_int_equal(wr_metric_settle(t, &err), 0);
    (void)count_of(0, "loss");
    wr_track_close(t);
    t = mine;
}

static int change_in_write(wr_track *track, void *arg, wr_err *err)
{
    const char *what = arg; /* of run 1 */
    int rc;
    if (strcmp(what, "purge") == 0) {
        rc = wr_track_exec(track, err, "DELETE FROM track_runs WHERE id = 1", "");
        if (rc >= 0) rc = wr_metric_purge(track, 1, err);
    } else {
        rc = wr_track_exec(track, err, "UPDATE track_runs SET deleted_ms = ? WHERE id = 1", "i",
                           (int64_t)(strcmp(what, "delete") == 0));
        if (rc >= 0 && strcmp(what, "restore") == 0)
            rc = wr_track_exec(track, err, "UPDATE track_runs SET deleted_ms = NULL WHERE id = 1", "");
    }
    wr_metric_forget_run(track, uuid_of(0));
    return rc < 0 ? rc : 0;
}

static void change(const char *what)
{
    wr_err err = {0};
    if (wr_track_write(t, change_in_write, (void *)(uintptr_t)what, &err) < 0) fail_msg("%s", err.msg);
}

static void deleted_runs_take_no_points(void **state)
{
    (void)state;
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 1, .time_ms = 1}, q = p;
    wr_err err = {0};
    q.step = 2;
    assert_int_equal(wr_metric_append(t, WR_STR("0123456789abcdef0123456789abcdef"), &p, 1, &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_metric_append(t, WR_STR("no uuid"), &p, 1, &err), WEIR_ENOTFOUND);
    append_points(0, &p, 1);
    change("delete");
    assert_int_equal(append(0, &q, 1, &err), WEIR_EINVAL);
    assert_int_equal(append(0, &q, 0, &err), WEIR_EINVAL);
    check_everything(); /* what it had stays */
    drain();
    check_everything();
    assert_int_equal(append(0, &q, 1, &err), WEIR_EINVAL);
    change("restore");
    append_points(0, &q, 1);
    check_settled();
    change("delete");
    change("purge");
    memset(twins[0], 0, sizeof twins[0]);
    assert_int_equal(append(0, &q, 1, &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_metric_settle(t, &err), 0);
    drain(); /* memory had points of it */
    check_everything();
    assert_int_equal(number("SELECT count(*) FROM track_metrics"), 0);
    assert_int_equal(number("SELECT count(*) FROM track_chunks"), 0);
    append_points(1, &p, 1);
    commit();
    check_everything();
}

/* Another process deletes the run: this one hears of it soon. */
static void deleted_by_another_process(void **state)
{
    (void)state;
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 1, .time_ms = 1};
    append_points(0, &p, 1);
    wr_err err = {0};
    const wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    wr_track *mine = t, *other;
    wr_db *db2;
    assert_int_equal(wr_db_open(&db2, file, &opt, &err), 0);
    assert_int_equal(wr_track_open(&other, db2, &(wr_track_opt){.log = NULL}, &err), 0);
    t = other;
    change("delete");
    t = mine;
    wr_track_close(other);
    wr_db_close(db2);
    usleep(30 * 1000);
    assert_int_equal(append(0, &p, 1, &err), WEIR_EINVAL);
}

/* Somebody removed the log's folder: its numbers start again, and the mark of the old log must not hide them. */
static void another_log(void **state)
{
    (void)state;
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 1, .time_ms = 1};
    for (int i = 0; i < 3; i++) {
        p.step++;
        append_points(0, &p, 1);
        commit();
        drain();
    }
    close_track();
    assert_int_equal(wr_file_remove_tree(folder, NULL), 0);
    open_track(folder);
    p.step++;
    append_points(0, &p, 1);
    commit();
    check_everything();
    close_track();
    open_track(folder);
    check_everything();
}

static void copy_folder(const char *to, const char *from)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **found;
    size_t n;
    assert_int_equal(wr_file_mkdirs(to, NULL), 0);
    assert_int_equal(wr_file_list(&found, &n, a, from, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        WR_AUTOBUF wr_buf b = {0};
        assert_int_equal(wr_file_read(&b, wr_path_join(a, from, found[i]), 1 << 20, NULL), 0);
        assert_int_equal(wr_file_write(wr_path_join(a, to, found[i]), wr_buf_view(&b), NULL), 0);
    }
}

/* The database is gone and its log is not: its points are not given to runs that have the same ids. */
static void a_log_of_another_database(void **state)
{
    (void)state;
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 1, .time_ms = 1};
    wr_err err = {0};
    char aside[400], empty[400], other[300];
    snprintf(aside, sizeof aside, "%s/aside", top);
    snprintf(empty, sizeof empty, "%s/empty", top);
    snprintf(other, sizeof other, "%.250s/other.sqlite", top);
    close_track();
    assert_int_equal(rename(folder, aside), 0);
    open_track(folder); /* the name of the folder's log is new, its numbers too */
    append_points(0, &p, 1);
    commit();
    copy_folder(empty, folder); /* as it would be after kill -9 */
    close_track();
    char mine[300];
    snprintf(mine, sizeof mine, "%s", file);
    snprintf(file, sizeof file, "%s", other);
    open_track(NULL);
    make_runs();
    close_track();
    assert_int_equal(try_open(empty, &err), WEIR_ECONFLICT);
    assert_true(err.hint[0] != 0);
    const wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    assert_int_equal(wr_db_open(&db, file, &opt, &err), 0);
    assert_int_equal(wr_track_open(&t, db, &(wr_track_opt){.peek = empty}, &err), 0);
    assert_int_equal(count_of(0, "loss"), 0);
    close_track();
    open_track(folder); /* that one was drained: it is empty and may change hands */
    assert_int_equal(count_of(0, "loss"), 0);
    close_track();
    snprintf(file, sizeof file, "%s", mine);
    open_track(aside);
    check_everything();
}

/* More comes in than memory takes: it stays within its bounds, and nothing is lost. */
static void memory_is_bounded(void **state)
{
    (void)state;
    static wr_track_point p[1000];
    wr_metric_state *m = t->metric;
    size_t most = 0, sent = 0;
    m->drain_bytes = 1 << 20;
    m->memory_max = 3 << 20;
    for (int i = 0; i < 400; i++) {
        wr_err err = {0};
        for (int k = 0; k < 1000; k++) {
            p[k] = (wr_track_point){
                .key = wr_str_of(names[k % KEYS]), .value = k, .step = (int64_t)i * 1000 + k, .time_ms = i};
        }
        int rc = append(i % RUNS, p, 1000, &err);
        if (rc < 0 && rc != WEIR_EUNAVAILABLE) fail_msg("%s", err.msg);
        if (rc == 0) sent += 1000;
        if (i % 8 == 7) commit();
        size_t now = atomic_load(&m->active_bytes) + atomic_load(&m->draining_bytes);
        if (now > most) most = now;
    }
    commit();
    if (most < 1 << 20 || most > 4 << 20) fail_msg("%zu bytes in memory", most);
    assert_true(number("SELECT count(*) FROM track_chunks") > 0); /* the thread drained */
    drain();
    assert_int_equal(number("SELECT sum(n) FROM track_chunks"), sent);
    assert_true(sent > 100000);
    assert_int_equal(atomic_load(&m->active_bytes) + atomic_load(&m->draining_bytes), 0);
}

/* The keeper's call: nothing while there is little and it is young. */
static void draining_waits_until_it_is_worth_it(void **state)
{
    (void)state;
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 1, .time_ms = 1};
    append_points(0, &p, 1);
    commit();
    assert_int_equal(wr_metric_drain(t, false, NULL), 0);
    assert_int_equal(number("SELECT count(*) FROM track_chunks"), 0);
    atomic_fetch_sub(&t->metric->oldest_ns, 20 * INT64_C(1000000000));
    assert_int_equal(wr_metric_drain(t, false, NULL), 0);
    assert_int_equal(number("SELECT count(*) FROM track_chunks"), 1);
    check_everything();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(puts_against_the_twin, setup, teardown),
        cmocka_unit_test_setup_teardown(single_points_fill_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(purging, setup, teardown),
        cmocka_unit_test_setup_teardown(everything_against_the_twin, setup_log, teardown),
        cmocka_unit_test_setup_teardown(peeking, setup_log, teardown),
        cmocka_unit_test_setup_teardown(deleted_runs_take_no_points, setup_log, teardown),
        cmocka_unit_test_setup_teardown(deleted_by_another_process, setup_log, teardown),
        cmocka_unit_test_setup_teardown(another_log, setup_log, teardown),
        cmocka_unit_test_setup_teardown(a_log_of_another_database, setup_log, teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded, setup_log, teardown),
        cmocka_unit_test_setup_teardown(draining_waits_until_it_is_worth_it, setup_log, teardown),
    };
    return cmocka_run_group_tests_name("track/metric", tests, NULL, NULL);
}
