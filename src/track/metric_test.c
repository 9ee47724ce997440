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
#include "track/schema.h"
#include "track/track_inside.h"

static char top[256], file[300];
static wr_db *db;
static wr_track *t;

static void open_track(const char *log)
{
    const wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    wr_err err = {0};
    if (wr_db_open(&db, file, &opt, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    if (wr_track_open(&t, db, &(wr_track_opt){.log = log}, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
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
    open_track(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (t) close_track();
    return wr_file_remove_tree(top, NULL);
}

/* ---- the twin ---- */

enum { RUNS = 6, KEYS = 5, MOST = 20000 };
static const char *const names[KEYS] = {"loss", "val/acc uracy", "a", "b.c-d_e", "\xc3\xa9t\xc3\xa9"};

typedef struct {
    wr_track_point p[MOST];
    size_t n;
} twin;
static twin twins[RUNS][KEYS]; /* run ids are 1 + index */

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
    static int64_t next[RUNS][KEYS];
    size_t n = 1 + wr_rng_below(r, wr_rng_below(r, 4) ? 5 : max);
    int key = (int)wr_rng_below(r, KEYS);
    for (size_t i = 0; i < n; i++) {
        if (wr_rng_below(r, 4) == 0) key = (int)wr_rng_below(r, KEYS);
        twin *w = &twins[run][key];
        if (w->n + n >= MOST) return 0;
        uint64_t kind = wr_rng_below(r, 20);
        int64_t step = key == 2 ? 0 : key == 3 ? next[run][key] * 7919 * 1000003 : next[run][key];
        p[i] = (wr_track_point){.key = wr_str_of(names[key]),
                                .step = step,
                                .time_ms = 1700000000000 + next[run][key] * 100 + (int64_t)wr_rng_below(r, 10),
                                .value = kind == 0   ? NAN
                                         : kind == 1 ? INFINITY
                                         : kind == 2 ? -0.0
                                                     : (double)wr_rng_below(r, 5)};
        next[run][key]++;
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

static int64_t number(const char *sql)
{
    int64_t v;
    wr_err err = {0};
    if (wr_track_number(&v, -1, t, &err, sql, "") < 0) fail_msg("%s", err.msg);
    return v;
}

/* ---- tests ---- */

static void puts_against_the_twin(void **state)
{
    (void)state;
    static wr_track_point p[3000];
    wr_rng r;
    wr_rng_init(&r, 1);
    memset(twins, 0, sizeof twins);
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
    memset(twins, 0, sizeof twins);
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
    memset(twins, 0, sizeof twins);
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 2, .time_ms = 3};
    put_points(0, &p, 1);
    put_points(1, &p, 1);
    int64_t run = 1;
    assert_int_equal(wr_track_write(t, purge_in_write, &run, NULL), 0);
    memset(&twins[0], 0, sizeof twins[0]);
    check_everything();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(puts_against_the_twin, setup, teardown),
        cmocka_unit_test_setup_teardown(single_points_fill_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(purging, setup, teardown),
    };
    return cmocka_run_group_tests_name("track/metric", tests, NULL, NULL);
}
