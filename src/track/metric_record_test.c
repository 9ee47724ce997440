/* SPDX-License-Identifier: Apache-2.0 */
/* metric_record_test.c - records of the metric log and the memory table: what goes in comes out, what is damaged is
 * refused, what is undone was never there. */
#include "track/metric_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/rng.h"
#include "track/metric_table.h"

enum { MOST = 1000 };
static char names[MOST][300];

/* `nkeys` different keys, in turns or at random. */
static size_t any_points(wr_rng *r, wr_track_point *p, size_t n, size_t nkeys)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = wr_rng_below(r, 2) ? i % nkeys : wr_rng_below(r, nkeys);
        snprintf(names[k], sizeof names[k], "key%zu", k);
        p[i] = (wr_track_point){.key = wr_str_of(names[k]),
                                .step = (int64_t)(wr_rng_u64(r) >> wr_rng_below(r, 64)) - 5,
                                .time_ms = (int64_t)(wr_rng_u64(r) >> wr_rng_below(r, 64)),
                                .value = wr_rng_below(r, 9) ? wr_rng_f64(r) : NAN};
    }
    return n;
}

static void records_come_back(void **state)
{
    (void)state;
    static wr_track_point p[MOST];
    for (uint64_t seed = 0; seed < 500; seed++) {
        wr_rng r;
        wr_rng_init(&r, seed);
        WR_AUTOBUF wr_buf b = {0};
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        size_t n = any_points(&r, p, 1 + wr_rng_below(&r, seed % 10 ? 20 : MOST), 1 + wr_rng_below(&r, MOST)), got;
        int64_t run;
        wr_track_point *back;
        wr_metric_record_write(&b, (int64_t)seed * 1000000007, p, n);
        assert_int_equal(wr_metric_record_read(&run, &back, &got, a, wr_buf_view(&b), NULL), 0);
        assert_int_equal(run, (int64_t)seed * 1000000007);
        assert_int_equal(got, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(wr_str_eq(back[i].key, p[i].key) && back[i].step == p[i].step &&
                        back[i].time_ms == p[i].time_ms);
            assert_true(wr_series_value_key(back[i].value) == wr_series_value_key(p[i].value));
        }
    }
}

/* A thousand points of the longest keys are one record. */
static void the_longest_batch_fits(void **state)
{
    (void)state;
    static wr_track_point p[1000];
    static char keys[1000][1001];
    for (int i = 0; i < 1000; i++) {
        snprintf(keys[i], sizeof keys[i], "%0*d", 1000, i); /* 250 characters of 4 bytes */
        p[i] =
            (wr_track_point){wr_str_of(keys[i]), 1.0 / 3, i % 2 ? INT64_MIN : INT64_MAX, i % 2 ? INT64_MIN : INT64_MAX};
    }
    WR_AUTOBUF wr_buf b = {0};
    wr_metric_record_write(&b, INT64_MAX, p, 1000);
    assert_true(!b.failed && b.n <= WR_LIMIT_RECORD);
}

static void damaged_records(void **state)
{
    (void)state;
    wr_track_point p[] = {{WR_STR("a"), 1, 2, 3}, {WR_STR("b"), 1, 2, 3}, {WR_STR("a"), 5, 6, 7}}, *back;
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    int64_t run;
    size_t n;
    wr_metric_record_write(&b, 7, p, 3);
    for (size_t cut = 0; cut < b.n; cut++)
        assert_int_equal(wr_metric_record_read(&run, &back, &n, a, (wr_str){b.p, cut}, NULL), WEIR_ECORRUPT);
    wr_buf_char(&b, 0);
    assert_int_equal(wr_metric_record_read(&run, &back, &n, a, wr_buf_view(&b), NULL), WEIR_ECORRUPT);
    assert_int_equal(wr_metric_record_read(&run, &back, &n, a, WR_STR("\1\xff\xff\xff\xff\1"), NULL), WEIR_ECORRUPT);
}

/* ---- the table ---- */

static size_t points_of(const wr_metric_table *m, int64_t run)
{
    size_t n = 0;
    for (const wr_metric_recent *s = NULL; (s = wr_metric_table_next(m, run, s));) {
        size_t here = 0;
        for (const wr_metric_block *b = s->first; b; b = b->next) here += b->n;
        assert_int_equal(here, s->n);
        assert_true(!s->n || wr_metric_table_find(m, run, s->key) == s);
        n += s->n;
    }
    return n;
}

static void undone_is_as_before(void **state)
{
    (void)state;
    static wr_track_point p[MOST];
    wr_rng r;
    wr_rng_init(&r, 5);
    wr_metric_table *m = wr_metric_table_new();
    assert_non_null(m);
    size_t total[50] = {0};
    for (int i = 0; i < 400; i++) {
        int64_t run = (int64_t)wr_rng_below(&r, 50);
        size_t n = any_points(&r, p, 1 + wr_rng_below(&r, 60), 5);
        const wr_metric_recent *s = wr_metric_table_find(m, run, WR_STR("key1"));
        wr_series_point latest = s ? s->latest : (wr_series_point){0};
        assert_int_equal(wr_metric_table_add(m, run, p, n), 0);
        if (wr_rng_below(&r, 2)) {
            wr_metric_table_undo(m, run, p, n);
            const wr_metric_recent *after = wr_metric_table_find(m, run, WR_STR("key1"));
            assert_true((s != NULL) == (after != NULL));
            if (s) assert_true(after->latest.step == latest.step && after->latest.time_ms == latest.time_ms);
        } else {
            total[run] += n;
        }
        assert_int_equal(points_of(m, run), total[run]);
    }
    assert_true(wr_metric_table_bytes(m) > 0);
    wr_metric_table_drop(m);
    wr_metric_table_drop(NULL);
}

/* Every allocation fails in turn: all or none. */
static void all_or_none(void **state)
{
    (void)state;
    static wr_track_point p[MOST];
    wr_rng r;
    wr_rng_init(&r, 6);
    size_t n = any_points(&r, p, MOST, MOST / 2);
    for (int nth = 1;; nth++) {
        wr_metric_table *m = wr_metric_table_new();
        assert_non_null(m);
        assert_int_equal(wr_metric_table_add(m, 1, p, 10), 0);
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_metric_table_add(m, 1, p, n);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        assert_int_equal(points_of(m, 1), fired ? 10 : 10 + n);
        assert_int_equal(wr_metric_table_add(m, 1, p, n), 0);
        assert_int_equal(points_of(m, 1), fired ? 10 + n : 10 + 2 * n);
        wr_metric_table_drop(m);
        if (!fired) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back), cmocka_unit_test(the_longest_batch_fits),
        cmocka_unit_test(damaged_records),   cmocka_unit_test(undone_is_as_before),
        cmocka_unit_test(all_or_none),
    };
    return cmocka_run_group_tests_name("track/metric_record", tests, NULL, NULL);
}
