/* SPDX-License-Identifier: Apache-2.0 */
/* pit_asof_test.c - calc/pit.h against DuckDB's ASOF JOIN and its SQL for window sums, on the same frames. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "calc/frame.h"
#include "calc/pit.h"
#include "io/file.h"
#include "store/tables.h"

enum { EVENTS = 20000, ROWS = 5000, KEYS = 120, SPAN = 1 << 22, TTL = 50000, WINDOW = 300000 };

static char spill[256];
static wr_tables *t;
static wr_frame *events, *rows;
static uint32_t *event_key, *row_key;
static wr_pit *pit;

static int64_t *ints(wr_frame *f, const char *name)
{
    return wr_frame_add(f, name, WR_I64)->i64;
}

/* Times are shuffled and never twice the same: which of two equals ASOF takes is not defined. Keys beyond KEYS - 10
 * have no event; every ninth value is missing. */
static void fill(void)
{
    wr_rng r;
    wr_rng_init(&r, 31);
    int64_t *key = ints(events, "key"), *at = ints(events, "at"), *id = ints(events, "id");
    wr_col *x = wr_frame_add(events, "x", WR_F64);
    for (size_t i = 0; i < EVENTS; i++) {
        event_key[i] = (uint32_t)wr_rng_below(&r, KEYS - 10);
        key[i] = event_key[i];
        at[i] = (int64_t)(i * 7919 % EVENTS) * (SPAN / EVENTS);
        id[i] = (int64_t)i;
        x->f64[i] = (double)wr_rng_below(&r, 1000) - 300;
        if (i % 9 == 0) assert_int_equal(wr_col_set_missing(x, i), 0);
    }
    key = ints(rows, "key"), at = ints(rows, "at"), id = ints(rows, "id");
    for (size_t i = 0; i < ROWS; i++) {
        row_key[i] = (uint32_t)wr_rng_below(&r, KEYS);
        key[i] = row_key[i];
        at[i] = i % 4 ? (int64_t)wr_rng_below(&r, SPAN) : (int64_t)wr_rng_below(&r, EVENTS) * (SPAN / EVENTS);
        id[i] = (int64_t)i;
    }
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(spill, sizeof spill, "%s/weir-asof-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(spill)) return 1;
    const char *allow[] = {NULL};
    const wr_tables_opt opt = {.memory = 512 << 20, .threads = 2, .spill = spill, .allow = allow};
    events = wr_frame_new(), rows = wr_frame_new();
    event_key = wr_calloc(EVENTS, 4), row_key = wr_calloc(ROWS, 4);
    if (!events || !rows || !event_key || !row_key) return 1;
    if (wr_frame_resize(events, EVENTS) < 0 || wr_frame_resize(rows, ROWS) < 0) return 1;
    fill();
    const double *values[] = {wr_frame_col(events, "x")->f64};
    if (wr_pit_new(&pit, event_key, wr_frame_col(events, "at")->i64, EVENTS, KEYS, values, 1, NULL) < 0) return 1;
    if (wr_tables_open(&t, &opt, NULL) < 0) return 1;
    return wr_tables_register(t, "events", events, NULL) || wr_tables_register(t, "rows", rows, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    wr_tables_close(t);
    wr_pit_free(pit);
    wr_frame_free(events), wr_frame_free(rows);
    wr_free(event_key), wr_free(row_key);
    return wr_file_remove_tree(spill, NULL);
}

static wr_frame *query(const char *sql)
{
    wr_frame *f = NULL;
    wr_err err = {0};
    if (wr_tables_query(t, &f, sql, NULL, 0, &err)) fail_msg("%s: %s", err.msg, err.detail);
    assert_int_equal(f->nrows, ROWS);
    return f;
}

static void compare_last(const char *sql, int64_t ttl)
{
    WR_AUTOFRAME wr_frame *f = query(sql);
    WR_AUTOFREE int64_t *last = wr_calloc(ROWS, sizeof *last);
    const wr_col *id = wr_frame_col(f, "id");
    size_t found = 0;
    wr_pit_last(pit, row_key, wr_frame_col(rows, "at")->i64, ROWS, ttl, last, NULL);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(last[i], wr_col_missing(id, i) ? -1 : id->i64[i]);
        found += last[i] >= 0;
    }
    assert_in_range(found, ROWS / 10, ROWS - 100); /* the comparison saw both outcomes */
}

static void last_equals_asof_join(void **state)
{
    (void)state;
    compare_last("SELECT e.id FROM rows r ASOF LEFT JOIN events e ON r.key = e.key AND r.at >= e.at ORDER BY r.id", 0);
}

static void ttl_equals_asof_join(void **state)
{
    (void)state;
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT CASE WHEN e.at >= r.at - %d THEN e.id END AS id FROM rows r "
                   "ASOF LEFT JOIN events e ON r.key = e.key AND r.at >= e.at ORDER BY r.id", TTL);
    compare_last(sql, TTL);
}

static void window_equals_sql(void **state)
{
    (void)state;
    char sql[320];
    (void)snprintf(sql, sizeof sql,
                   "SELECT coalesce(sum(e.x), 0) AS s, count(e.x) AS n FROM rows r LEFT JOIN events e "
                   "ON r.key = e.key AND e.at <= r.at AND e.at > r.at - %d GROUP BY r.id ORDER BY r.id", WINDOW);
    WR_AUTOFRAME wr_frame *f = query(sql);
    WR_AUTOFREE double *sum = wr_calloc(ROWS, sizeof *sum);
    WR_AUTOFREE uint32_t *count = wr_calloc(ROWS, sizeof *count);
    wr_pit_window(pit, 0, row_key, wr_frame_col(rows, "at")->i64, ROWS, WINDOW, sum, count, NULL);
    double all = 0;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(count[i], wr_frame_col(f, "n")->i64[i]);
        assert_true(sum[i] == wr_frame_col(f, "s")->f64[i]); /* whole numbers */
        all += fabs(sum[i]);
    }
    assert_true(all > ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_equals_asof_join),
        cmocka_unit_test(ttl_equals_asof_join),
        cmocka_unit_test(window_equals_sql),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
