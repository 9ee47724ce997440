/* SPDX-License-Identifier: Apache-2.0 */
/* window_test.c - against wr_pit_window and a brute-force twin on random streams; bounds, snapshots, memory that runs
 * out. */
#include "calc/window.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "calc/pit.h"

enum { EVENTS = 3000, KEYS = 12, HORIZON = 5000 };

typedef struct {
    size_t n;
    uint32_t key[EVENTS];
    int64_t time[EVENTS];
    double x[2][EVENTS];        /* whole numbers; fractions, some missing */
} stream;

static wr_str name_of(uint32_t key)
{
    static char text[16];
    int n = snprintf(text, sizeof text, "card-%u", key);
    return (wr_str){text, (size_t)n};
}

/* A clock that runs on with jitter: about a third of the events come late, some hopelessly. */
static void make(stream *s, wr_rng *r, size_t n)
{
    int64_t now = 1000;
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        now += (int64_t)wr_rng_below(r, 40);
        s->key[i] = (uint32_t)wr_rng_below(r, KEYS);
        s->time[i] = wr_rng_below(r, 3) ? now : now - (int64_t)wr_rng_below(r, wr_rng_below(r, 9) ? 300 : 3 * HORIZON);
        s->x[0][i] = (double)wr_rng_below(r, 2000) - 1000;
        s->x[1][i] = wr_rng_below(r, 5) ? wr_rng_f64(r) * 100 : wr_rng_below(r, 2) ? NAN : INFINITY;
    }
}

static wr_window *new_window(size_t nvalues, int64_t horizon, size_t max_events, size_t max_keys)
{
    wr_window *w = NULL;
    const wr_window_opt opt = {nvalues, horizon, max_events, max_keys};
    assert_int_equal(wr_window_new(&w, &opt, NULL), 0);
    return w;
}

static void add(wr_window *w, const stream *s, size_t i)
{
    const double x[] = {s->x[0][i], s->x[1][i]};
    assert_int_equal(wr_window_add(w, name_of(s->key[i]), s->time[i], x, NULL), 0);
}

static void twin(const stream *s, size_t n, int64_t newest, uint32_t key, int64_t at, int64_t window, size_t v,
                 double *sum, uint32_t *count)
{
    *sum = 0;
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        if (s->key[i] != key || s->time[i] > at || s->time[i] <= at - window || s->time[i] < newest - HORIZON) continue;
        if (!isfinite(s->x[v][i])) continue;
        *sum += s->x[v][i];
        ++*count;
    }
}

static void check(const wr_window *w, const stream *s, size_t n, uint32_t key, int64_t at, int64_t window)
{
    for (size_t v = 0; v < 2; v++) {
        double sum, twin_sum;
        uint32_t count, twin_count;
        wr_window_get(w, name_of(key), at, window, v, &sum, &count);
        twin(s, n, wr_window_newest(w), key, at, window, v, &twin_sum, &twin_count);
        assert_int_equal(count, twin_count);
        if (v == 0) assert_true(sum == twin_sum);
        assert_true(fabs(sum - twin_sum) <= 1e-9 * (1 + fabs(twin_sum)));
    }
}

static void equals_the_twin(void **state)
{
    (void)state;
    static stream s;
    wr_rng r;
    wr_rng_init(&r, 21);
    make(&s, &r, EVENTS);
    wr_window *w = new_window(2, HORIZON, 0, 0);
    assert_true(wr_window_newest(w) == INT64_MIN && wr_window_events(w) == 0);
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < EVENTS; i++) {
        add(w, &s, i);
        if (s.time[i] > newest) newest = s.time[i];
        assert_true(wr_window_newest(w) == newest);
        int64_t at = newest + (int64_t)wr_rng_below(&r, 600) - 300;
        check(w, &s, i + 1, (uint32_t)wr_rng_below(&r, KEYS + 1), at, (int64_t)wr_rng_below(&r, HORIZON + 1));
    }
    assert_true(wr_window_events(w) < EVENTS / 4); /* the horizon holds about 250 */
    check(w, &s, EVENTS, 3, newest, INT64_MAX);
    wr_window_free(w);
}

static void equals_the_join(void **state)
{
    (void)state;
    static stream s;
    wr_rng r;
    wr_rng_init(&r, 22);
    make(&s, &r, EVENTS);
    wr_window *w = new_window(2, HORIZON, 0, 0);
    for (size_t i = 0; i < EVENTS; i++) {
        add(w, &s, i);
        if (i % 50) continue;
        const double *values[] = {s.x[0], s.x[1]};
        wr_pit *p;
        assert_int_equal(wr_pit_new(&p, s.key, s.time, i + 1, KEYS, values, 2, NULL), 0);
        for (uint32_t k = 0; k < KEYS; k++) {
            int64_t at = wr_window_newest(w) + (int64_t)wr_rng_below(&r, 2) * 77;
            int64_t window = (int64_t)wr_rng_below(&r, HORIZON) + 1;
            for (size_t v = 0; v < 2; v++) {
                double sum, joined;
                uint32_t count, joined_count;
                wr_window_get(w, name_of(k), at, window, v, &sum, &count);
                wr_pit_window(p, v, &k, &at, 1, window, &joined, &joined_count, NULL);
                assert_int_equal(count, joined_count);
                assert_true(v == 0 ? sum == joined : fabs(sum - joined) <= 1e-9 * (1 + fabs(joined)));
            }
        }
        wr_pit_free(p);
    }
    wr_window_free(w);
}

static void max_events_drops_the_oldest(void **state)
{
    (void)state;
    wr_window *w = new_window(1, 1000, 3, 0);
    const int64_t times[] = {10, 20, 30, 40, 15, 35, 5, 25};
    const double late = 1;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(wr_window_add(w, WR_STR("k"), times[i], i < 4 ? &(double){(double)times[i]} : &late, NULL), 0);
    /* 20 30 40, then 15 comes too late, 35 pushes 20 out, 5 and 25 come too late */
    double sum;
    uint32_t count;
    wr_window_get(w, WR_STR("k"), 40, 1000, 0, &sum, &count);
    assert_true(count == 3 && sum == 71 && wr_window_events(w) == 3);
    wr_window_get(w, WR_STR("k"), 34, 1000, 0, &sum, &count);
    assert_true(count == 1 && sum == 30);
    wr_window_free(w);
    w = new_window(1, 1000, 1, 0);
    for (int64_t t = 0; t < 50; t++) assert_int_equal(wr_window_add(w, WR_STR(""), t, &late, NULL), 0);
    wr_window_get(w, WR_STR(""), 49, 1000, 0, &sum, &count);
    assert_true(count == 1 && wr_window_events(w) == 1);
    wr_window_free(w);
}

static void keys_make_room(void **state)
{
    (void)state;
    wr_window *w = new_window(1, 100, 0, 40);
    const double one = 1;
    wr_err err = {0};
    for (uint32_t k = 0; k < 40; k++) assert_int_equal(wr_window_add(w, name_of(k), k, &one, NULL), 0);
    assert_int_equal(wr_window_add(w, name_of(40), 41, &one, &err), WEIR_ELIMIT);
    assert_non_null(strstr(err.msg, "40 keys"));
    assert_int_equal(wr_window_add(w, name_of(7), 42, &one, NULL), 0); /* known keys go on */
    /* Time passes: the new keys take the place of those that fell silent. */
    for (uint32_t k = 1000; k < 3000; k++) {
        double sum;
        uint32_t count;
        assert_int_equal(wr_window_add(w, name_of(k), 200 + (int64_t)k * 4, &one, NULL), 0);
        wr_window_get(w, name_of(k - 24), 200 + (int64_t)k * 4, 100, 0, &sum, &count);
        assert_int_equal(count, k - 24 >= 1000);
        wr_window_get(w, name_of(k - 25), 200 + (int64_t)k * 4, 100, 0, &sum, &count);
        assert_int_equal(count, 0);
    }
    assert_true(wr_window_events(w) <= 40);
    wr_window_free(w);
}

/* Many keys that speak once each: what is held follows the horizon, not the age of the stream. */
static void silent_keys_are_swept(void **state)
{
    (void)state;
    wr_window *w = new_window(1, 1000, 0, 0);
    const double one = 1;
    for (uint32_t k = 0; k < 20000; k++) assert_int_equal(wr_window_add(w, name_of(k), k, &one, NULL), 0);
    assert_true(wr_window_events(w) < 5000);
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_window_save(w, &b, NULL), 0);
    uint64_t keys, events;
    memcpy(&keys, b.p + 48, 8);
    memcpy(&events, b.p + 56, 8);
    assert_true(keys == 1001 && events == 1001);
    wr_buf_fini(&b);
    wr_window_free(w);
}

static void bad_arguments(void **state)
{
    (void)state;
    wr_window *w = NULL;
    wr_err err = {0};
    const wr_window_opt bad[] = {{0, 1, 0, 0},  {257, 1, 0, 0},      {1, 0, 0, 0},
                                 {1, -1, 0, 0}, {1, 1, SIZE_MAX, 0}, {1, 1, 0, SIZE_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(wr_window_new(&w, &bad[i], &err), WEIR_EINVAL);
    assert_null(w);
    w = new_window(1, INT64_MAX, 0, 0);
    char *key = wr_calloc(1, WR_WINDOW_KEY + 1);
    const double x = 1;
    assert_int_equal(wr_window_add(w, (wr_str){key, WR_WINDOW_KEY}, 1, &x, &err), 0);
    assert_int_equal(wr_window_add(w, (wr_str){key, WR_WINDOW_KEY + 1}, 1, &x, &err), WEIR_EINVAL);
    /* the ends of time */
    assert_int_equal(wr_window_add(w, WR_STR("k"), INT64_MIN, &x, &err), 0);
    assert_int_equal(wr_window_add(w, WR_STR("k"), INT64_MAX, &x, &err), 0);
    assert_int_equal(wr_window_add(w, WR_STR("k"), 0, &x, &err), 0);
    double sum;
    uint32_t count;
    wr_window_get(w, WR_STR("k"), INT64_MAX, INT64_MAX, 0, &sum, &count);
    assert_int_equal(count, 1);
    wr_window_get(w, WR_STR("k"), INT64_MIN, INT64_MAX, 0, &sum, &count);
    assert_int_equal(count, 0);
    wr_window_get(w, WR_STR("k"), INT64_MAX, 0, 0, &sum, &count);
    assert_int_equal(count, 0);
    wr_free(key);
    wr_window_free(w);
    wr_window_free(NULL);
}

static void snapshots_go_round(void **state)
{
    (void)state;
    static stream s;
    wr_rng r;
    wr_rng_init(&r, 23);
    make(&s, &r, EVENTS);
    wr_window *w = new_window(2, HORIZON, 0, 0);
    for (size_t i = 0; i < EVENTS / 2; i++) add(w, &s, i);
    wr_buf a, b;
    wr_buf_init(&a, 0), wr_buf_init(&b, 0);
    wr_buf_str(&a, "before"); /* appended, and loaded from an odd address */
    assert_int_equal(wr_window_save(w, &a, NULL), 0);
    wr_window *copy = NULL;
    assert_int_equal(wr_window_load(&copy, (wr_str){a.p + 6, a.n - 6}, NULL), 0);
    for (size_t i = EVENTS / 2; i < EVENTS; i++) {
        for (uint32_t k = 0; k < KEYS; k++) {
            double x, y;
            uint32_t m, n;
            int64_t window = (int64_t)wr_rng_below(&r, HORIZON);
            wr_window_get(w, name_of(k), wr_window_newest(w), window, i % 2, &x, &m);
            wr_window_get(copy, name_of(k), wr_window_newest(w), window, i % 2, &y, &n);
            assert_true(m == n && (x == y || (i % 2 && fabs(x - y) <= 1e-9 * (1 + fabs(x)))));
            if (i == EVENTS / 2) assert_true(x == y);
        }
        add(w, &s, i);
        add(copy, &s, i);
    }
    assert_int_equal(wr_window_save(copy, &b, NULL), 0);
    wr_window_free(copy);
    assert_int_equal(wr_window_load(&copy, wr_buf_view(&b), NULL), 0);
    wr_buf_clear(&a);
    assert_int_equal(wr_window_save(copy, &a, NULL), 0);
    assert_true(wr_str_eq(wr_buf_view(&a), wr_buf_view(&b)));
    wr_buf small;
    wr_buf_init(&small, 100);
    assert_int_equal(wr_window_save(w, &small, NULL), WEIR_ELIMIT);
    assert_int_equal(small.n, 0);
    wr_buf_fini(&a), wr_buf_fini(&b), wr_buf_fini(&small);
    wr_window_free(w), wr_window_free(copy);
}

static void put_checksum(wr_buf *b)
{
    uint64_t sum = wr_hash64(b->p, b->n - 8, 0);
    memcpy(b->p + b->n - 8, &sum, 8);
}

static int load_code(wr_str bytes)
{
    wr_window *w = NULL;
    int rc = wr_window_load(&w, bytes, NULL);
    wr_window_free(w);
    return rc;
}

static void damaged_snapshots(void **state)
{
    (void)state;
    wr_window *w = new_window(2, 1000, 0, 0);
    for (uint32_t i = 0; i < 6; i++) {
        const double x[] = {i, i % 2 ? NAN : 1.5};
        assert_int_equal(wr_window_add(w, name_of(i % 2), i, x, NULL), 0);
    }
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_window_save(w, &b, NULL), 0);
    for (size_t n = 0; n < b.n; n++) assert_int_equal(load_code((wr_str){b.p, n}), WEIR_ECORRUPT);
    for (size_t i = 0; i < b.n * 8; i++) {
        b.p[i / 8] = (char)(b.p[i / 8] ^ 1 << i % 8);
        assert_int_equal(load_code(wr_buf_view(&b)), WEIR_ECORRUPT);
        /* With the checksum made good, damage to values may pass; it must not do harm. */
        if (i / 8 < b.n - 8) {
            put_checksum(&b);
            int rc = load_code(wr_buf_view(&b));
            assert_true(rc == 0 || rc == WEIR_ECORRUPT);
            b.p[i / 8] = (char)(b.p[i / 8] ^ 1 << i % 8);
            put_checksum(&b);
        } else {
            b.p[i / 8] = (char)(b.p[i / 8] ^ 1 << i % 8);
        }
    }
    assert_int_equal(load_code(wr_buf_view(&b)), 0);
    /* Lies with a good checksum: version, values, keys, events, newest before the events, and a byte too many. */
    const struct { size_t at; char value; } lies[] = {{8, 2}, {12, 0}, {48, 3}, {48, 1}, {56, 7}, {40, 2}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char was = b.p[lies[i].at];
        b.p[lies[i].at] = lies[i].value;
        put_checksum(&b);
        assert_int_equal(load_code(wr_buf_view(&b)), WEIR_ECORRUPT);
        b.p[lies[i].at] = was;
    }
    wr_buf_char(&b, 'x');
    put_checksum(&b);
    assert_int_equal(load_code(wr_buf_view(&b)), WEIR_ECORRUPT);
    wr_buf_fini(&b);
    wr_window_free(w);
}

/* Each allocation fails in turn; the window stays as it was and goes on afterwards. */
static void memory_runs_out(void **state)
{
    (void)state;
    static stream s;
    wr_rng r;
    wr_rng_init(&r, 24);
    make(&s, &r, 300);
    for (long nth = 1; nth < 60; nth++) {
        wr_window *w = new_window(2, HORIZON, 0, 0), *copy = NULL;
        wr_buf b;
        wr_buf_init(&b, 0);
        for (size_t i = 0; i < 300; i++) {
            const double x[] = {s.x[0][i], s.x[1][i]};
            wr_fault_arm(WR_FAULT_ALLOC, nth % 7 + 1, false);
            int rc = i % 10 == (size_t)nth % 10 ? wr_window_add(w, name_of(s.key[i]), s.time[i], x, NULL) : WEIR_ENOMEM;
            wr_fault_arm(WR_FAULT_ALLOC, 0, false);
            if (rc < 0) add(w, &s, i);
        }
        for (uint32_t k = 0; k < KEYS; k++) check(w, &s, 300, k, wr_window_newest(w), HORIZON);
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_window_save(w, &b, NULL);
        if (rc == 0) rc = wr_window_load(&copy, wr_buf_view(&b), NULL);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_true(rc == 0 || rc == WEIR_ENOMEM);
        assert_true((rc == 0) == (copy != NULL));
        wr_window_free(copy);
        wr_buf_fini(&b);
        wr_window_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_twin),       cmocka_unit_test(equals_the_join),
        cmocka_unit_test(max_events_drops_the_oldest), cmocka_unit_test(keys_make_room),
        cmocka_unit_test(silent_keys_are_swept), cmocka_unit_test(bad_arguments),
        cmocka_unit_test(snapshots_go_round),    cmocka_unit_test(damaged_snapshots),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
