/* SPDX-License-Identifier: Apache-2.0 */
/* pit_test.c - the join against a brute-force twin on random events, and its bounds. */
#include "calc/pit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/rng.h"

enum { EVENTS = 1500, ROWS = 700, KEYS = 9 };

typedef struct {
    size_t n, nrows;
    uint32_t key[EVENTS], row_key[ROWS];
    int64_t time[EVENTS], row_time[ROWS];
    double x[2][EVENTS];
} world;

static bool may_see(const world *w, size_t event, size_t row)
{
    return w->key[event] == w->row_key[row] && w->key[event] != UINT32_MAX && w->time[event] <= w->row_time[row];
}

/* 128-bit arithmetic: nothing can overflow here. */
static __int128 age(const world *w, size_t event, size_t row) { return (__int128)w->row_time[row] - w->time[event]; }

static int64_t twin_last(const world *w, size_t row, int64_t ttl)
{
    int64_t best = -1;
    for (size_t i = 0; i < w->n; i++) {
        if (!may_see(w, i, row) || (ttl > 0 && age(w, i, row) > ttl)) continue;
        if (best < 0 || w->time[i] >= w->time[best]) best = (int64_t)i;
    }
    return best;
}

static void twin_window(const world *w, size_t v, size_t row, int64_t window, double *sum, uint32_t *count)
{
    *sum = 0;
    *count = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!may_see(w, i, row) || age(w, i, row) >= window || !isfinite(w->x[v][i])) continue;
        *sum += w->x[v][i];
        ++*count;
    }
}

/* `span`: times lie in 0..span-1 (few = many ties); `order`: events already in time order. */
static void make(world *w, wr_rng *r, size_t n, size_t nrows, uint64_t span, bool order, bool missing)
{
    w->n = n;
    w->nrows = nrows;
    for (size_t i = 0; i < n; i++) {
        uint64_t k = wr_rng_below(r, KEYS + 1);
        w->key[i] = k == KEYS ? UINT32_MAX : (uint32_t)(k * k / KEYS); /* some keys have no event */
        w->time[i] = order ? (int64_t)(i * span / n) : (int64_t)wr_rng_below(r, span);
        w->x[0][i] = (double)wr_rng_below(r, 2000) - 1000;
        w->x[1][i] = missing && wr_rng_below(r, 4) == 0 ? NAN : wr_rng_f64(r);
        if (missing && wr_rng_below(r, 50) == 0) w->x[1][i] = INFINITY;
    }
    for (size_t i = 0; i < nrows; i++) {
        uint64_t k = wr_rng_below(r, KEYS + 3);
        w->row_key[i] = k < KEYS ? (uint32_t)k : k == KEYS ? UINT32_MAX : (uint32_t)(KEYS + k);
        w->row_time[i] = (int64_t)wr_rng_below(r, span + span / 4 + 1) - (int64_t)(span / 8);
    }
}

static wr_pit *index_of(const world *w)
{
    const double *values[] = {w->x[0], w->x[1]};
    wr_pit *p = NULL;
    assert_int_equal(wr_pit_new(&p, w->key, w->time, w->n, KEYS, values, 2, NULL), 0);
    return p;
}

static void compare(const world *w, wr_pool *pool, int64_t reach)
{
    static int64_t last[ROWS];
    static double sum[ROWS];
    static uint32_t count[ROWS];
    wr_pit *p = index_of(w);
    wr_pit_last(p, w->row_key, w->row_time, w->nrows, reach, last, pool);
    for (size_t i = 0; i < w->nrows; i++) assert_int_equal(last[i], twin_last(w, i, reach));
    for (size_t v = 0; v < 2; v++) {
        wr_pit_window(p, v, w->row_key, w->row_time, w->nrows, reach, sum, count, pool);
        for (size_t i = 0; i < w->nrows; i++) {
            double s;
            uint32_t c;
            twin_window(w, v, i, reach, &s, &c);
            assert_int_equal(count[i], c);
            if (v == 0) assert_true(sum[i] == s); /* whole numbers: exact */
            assert_true(fabs(sum[i] - s) <= 1e-9 * (1 + fabs(s)));
        }
    }
    wr_pit_free(p);
}

static void equals_the_twin(void **state)
{
    (void)state;
    static world w;
    const int64_t reaches[] = {0, -5, 1, 2, 37, 1000, INT64_MAX};
    wr_pool *pool = wr_pool_new(2);
    assert_non_null(pool);
    wr_rng r;
    wr_rng_init(&r, 11);
    for (size_t round = 0; round < 24; round++) {
        uint64_t span = round % 3 == 0 ? 7 : round % 3 == 1 ? 900 : UINT64_C(1) << 40;
        size_t n = round == 0 ? 0 : round == 1 ? 1 : 40 + wr_rng_below(&r, 260);
        make(&w, &r, n, round == 2 ? 0 : 50 + wr_rng_below(&r, 50), span, round % 2 == 0, round % 4 < 2);
        for (size_t i = 0; i < sizeof reaches / sizeof *reaches; i++) compare(&w, round % 2 ? pool : NULL, reaches[i]);
    }
    make(&w, &r, EVENTS, ROWS, 400, false, true);
    compare(&w, pool, 55);
    wr_pool_free(pool);
}

static void ends_of_time(void **state)
{
    (void)state;
    static world w;
    const int64_t t[] = {INT64_MAX, INT64_MIN, 0, INT64_MIN + 1, INT64_MAX - 1, -1};
    const int64_t reaches[] = {0, 1, 2, INT64_MAX - 1, INT64_MAX};
    memset(&w, 0, sizeof w);
    w.n = w.nrows = sizeof t / sizeof *t;
    for (size_t i = 0; i < w.n; i++) w.time[i] = w.row_time[i] = t[i], w.x[0][i] = 1 << i;
    for (size_t i = 0; i < sizeof reaches / sizeof *reaches; i++) compare(&w, NULL, reaches[i]);
}

static void bounds_are_inclusive_as_documented(void **state)
{
    (void)state;
    const uint32_t key[] = {0, 0, 0}, row_key = 0;
    const int64_t time[] = {100, 200, 200};
    const double x[] = {1, 2, 4};
    const double *values[] = {x};
    wr_pit *p;
    assert_int_equal(wr_pit_new(&p, key, time, 3, 1, values, 1, NULL), 0);
    /* third: the event at 100 is outside (100, 199] but within the ttl */
    const struct { int64_t at, reach, last; double sum; uint32_t count; } t[] = {
        {99, 1000, -1, 0, 0}, {100, 1000, 0, 1, 1}, {199, 99, 0, 0, 0}, {199, 98, -1, 0, 0},
        {200, 1000, 2, 7, 3}, {200, 100, 2, 6, 2},  {300, 100, 2, 0, 0}, {301, 100, -1, 0, 0}, {300, 101, 2, 6, 2},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t last;
        double sum;
        uint32_t count;
        wr_pit_last(p, &row_key, &t[i].at, 1, t[i].reach, &last, NULL);
        wr_pit_window(p, 0, &row_key, &t[i].at, 1, t[i].reach, &sum, &count, NULL);
        assert_int_equal(last, t[i].last);
        assert_int_equal(count, t[i].count);
        assert_true(sum == t[i].sum);
    }
    wr_pit_free(p);
}

/* More rows than one task holds, so that a pool really divides the work. */
static void same_for_any_pool(void **state)
{
    (void)state;
    enum { N = 40000, M = 50000, K = 50 };
    uint32_t *key = wr_alloc(N * 4), *row_key = wr_alloc(M * 4), *count[2];
    int64_t *time = wr_alloc(N * 8), *row_time = wr_alloc(M * 8), *last[2];
    double *x = wr_alloc(N * 8), *sum[2];
    wr_rng r;
    wr_rng_init(&r, 5);
    for (size_t i = 0; i < N; i++) {
        key[i] = i % 3 ? (uint32_t)wr_rng_below(&r, K) : 0; /* one long key: the radix path */
        time[i] = (int64_t)wr_rng_below(&r, 1 << 30);
        x[i] = wr_rng_normal(&r);
    }
    for (size_t i = 0; i < M; i++)
        row_key[i] = (uint32_t)wr_rng_below(&r, K), row_time[i] = (int64_t)wr_rng_below(&r, 1 << 30);
    const double *values[] = {x};
    wr_pit *p;
    assert_int_equal(wr_pit_new(&p, key, time, N, K, values, 1, NULL), 0);
    for (int i = 0; i < 2; i++) {
        wr_pool *pool = i ? wr_pool_new(4) : NULL;
        last[i] = wr_alloc(M * 8), sum[i] = wr_alloc(M * 8), count[i] = wr_alloc(M * 4);
        wr_pit_last(p, row_key, row_time, M, 0, last[i], pool);
        wr_pit_window(p, 0, row_key, row_time, M, 1 << 25, sum[i], count[i], pool);
        wr_pool_free(pool);
    }
    assert_memory_equal(last[0], last[1], M * 8);
    assert_memory_equal(sum[0], sum[1], M * 8);
    assert_memory_equal(count[0], count[1], M * 4);
    for (size_t i = 0; i < M; i += 97) {
        int64_t best = -1;
        for (size_t j = 0; j < N; j++) {
            if (key[j] == row_key[i] && time[j] <= row_time[i] && (best < 0 || time[j] >= time[best]))
                best = (int64_t)j;
        }
        assert_int_equal(last[0][i], best);
    }
    wr_pit_free(p);
    wr_free(key), wr_free(row_key), wr_free(time), wr_free(row_time), wr_free(x);
    for (int i = 0; i < 2; i++) wr_free(last[i]), wr_free(sum[i]), wr_free(count[i]);
}

static void bad_key(void **state)
{
    (void)state;
    const uint32_t key[] = {0, 2, UINT32_MAX};
    const int64_t time[] = {1, 2, 3};
    wr_pit *p = NULL;
    wr_err err = {0};
    assert_int_equal(wr_pit_new(&p, key, time, 3, 2, NULL, 0, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "event 1"));
    assert_int_equal(wr_pit_new(&p, key, time, (size_t)UINT32_MAX, 2, NULL, 0, &err), WEIR_ELIMIT);
    assert_null(p);
    wr_pit_free(NULL);
}

static void memory_runs_out(void **state)
{
    (void)state;
    static world w;
    wr_rng r;
    wr_rng_init(&r, 2);
    make(&w, &r, 50, 0, 100, false, true);
    const double *values[] = {w.x[0], w.x[1]};
    long nth = 1;
    for (;; nth++) {
        wr_pit *p = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_pit_new(&p, w.key, w.time, w.n, KEYS, values, 2, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        wr_pit_free(p);
        if (!fired) break;
        assert_int_equal(rc, WEIR_ENOMEM);
        assert_null(p);
    }
    assert_in_range(nth, 10, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_twin),
        cmocka_unit_test(ends_of_time),
        cmocka_unit_test(bounds_are_inclusive_as_documented),
        cmocka_unit_test(same_for_any_pool),
        cmocka_unit_test(bad_key),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
