/* SPDX-License-Identifier: Apache-2.0 */
/* view_source_test.c - the SQL made from a view: odd names, types, order, what is recorded as input. */
#include "core/core_testing.h"

#include <math.h>

#include "base/clock.h"
#include "core/view_source.h"

static wr_view *view(place *s, const char *text)
{
    wr_yaml *y;
    wr_view *v = NULL;
    OK(wr_yaml_parse(&y, s->a, wr_str_of(wr_arena_strdup(s->a, text)), "v.yaml", &s->err));
    OK(wr_view_parse(&v, s->a, y, &s->err));
    return v;
}

static wr_col *col(place *s, const wr_frame *f, const char *name, wr_type type)
{
    wr_col *c = NULL;
    OK(wr_frame_need(&c, f, name, type, &s->err));
    return c;
}

#define ODD                                                                                                            \
    "name: v\nsource: my.odd-rows\ntime: 'when was it?'\nkeep: [\"it's\", 'key 1']\n"                                  \
    "label: {name: late, of: 'select', above: 15}\nknown_at: \"\\\"when was it?\\\" + INTERVAL 1 HOUR\"\n"             \
    "events:\n  source: my.odd-rows\n  time: \"\\\"when was it?\\\" + INTERVAL 2 HOUR\"\n"                             \
    "  values: {delay: {of: 'select'}}\n"                                                                              \
    "features:\n  - {name: n, op: number, of: 'a-b'}\n  - {name: k, op: category, of: 'key 1'}\n"                      \
    "  - {name: mean, op: mean, of: delay, key: 'key 1', over: 3h}\n"

static void make_odd(place *s)
{
    write_rows(
        s, "my.odd-rows", WR_DELTA_OVERWRITE,
        "SELECT * FROM (VALUES (TIMESTAMP '2001-01-01 02:00:00', 20::BIGINT, 2.5::DECIMAL(9,2), 'B', 1),"
        " (TIMESTAMP '2001-01-01 01:00:00', NULL, 1.5, 'A', 2), (TIMESTAMP '2001-01-01 03:00:00', 10, NULL, NULL, 3))"
        " AS t(\"when was it?\", \"select\", \"a-b\", \"key 1\", \"it's\")");
}

static void test_odd_names(void **state)
{
    place *s = *state;
    make_odd(s);
    wr_view *v = view(s, ODD);
    WR_AUTOFRAME wr_frame *f = NULL, *e = NULL;
    wr_view_rows_opt opt = {.events = true};
    OK(wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err));
    assert_int_equal(f->nrows, 3);
    int64_t one = wr_time_from_civil(2001, 1, 1) + 3600 * WR_US;
    for (int i = 0; i < 3; i++) { /* in time order */
        assert_int_equal(col(s, f, "when was it?", WR_TS)->i64[i], one + i * 3600 * WR_US);
        assert_int_equal(col(s, f, "_known_at", WR_TS)->i64[i], one + (i + 1) * 3600 * WR_US);
        assert_int_equal(col(s, f, "_event_time", WR_TS)->i64[i], one + (i + 2) * 3600 * WR_US);
    }
    wr_col *outcome = col(s, f, "_outcome", WR_F64), *number_ = col(s, f, "a-b", WR_F64),
           *key = col(s, f, "key 1", WR_TEXT);
    assert_true(isnan(outcome->f64[0]) && outcome->f64[1] == 20 && outcome->f64[2] == 10);
    assert_true(number_->f64[0] == 1.5 && number_->f64[1] == 2.5 && isnan(number_->f64[2]));
    assert_true(wr_str_is(wr_col_text(key, 1), "B"));
    assert_true(wr_col_missing(key, 2));
    assert_non_null(wr_frame_col(f, "it's"));
    assert_true(wr_str_is(wr_col_text(col(s, f, "_event.key 1", WR_TEXT), 0), "A"));
    assert_true(col(s, f, "_event.select", WR_F64)->f64[1] == 20);
    OK(wr_view_events(&e, v, s->p, engine(s), "\"a-b\" IS NOT NULL", NULL, &s->err));
    assert_int_equal(e->nrows, 2);
    assert_int_equal(e->ncols, 3); /* _time, key, value */
    assert_int_equal(col(s, e, "_time", WR_TS)->i64[0], one + 2 * 3600 * WR_US);
}

static void test_where(void **state)
{
    place *s = *state;
    make_odd(s);
    wr_view *v = view(s, ODD);
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_view_rows_opt opt = {.where = "\"select\" = 20 OR \"select\" = 10"};
    OK(wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err));
    assert_int_equal(f->nrows, 2);
    assert_null(wr_frame_col(f, "_event_time"));
    WR_AUTOFRAME wr_frame *none = NULL;
    opt.where = "false";
    OK(wr_view_rows(&none, v, s->p, engine(s), &opt, NULL, &s->err));
    assert_int_equal(none->nrows, 0);
}

static void test_errors(void **state)
{
    place *s = *state;
    wr_view *v = view(s, "name: v\nsource: rows\ntime: t\nfeatures: [{name: x, op: number, of: wrong}]\n");
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_view_rows_opt opt = {0};
    s->err = (wr_err){0};
    assert_true(wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err) < 0); /* no dataset */
    SAYS("rows of view \"v\"", s->err.msg);
    write_rows(s, "rows", WR_DELTA_OVERWRITE, "SELECT TIMESTAMP '2001-01-01' AS t, 'text' AS x");
    s->err = (wr_err){0};
    assert_true(wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err) < 0); /* no column */
    SAYS("rows of view \"v\": dataset \"rows\" has no column \"wrong\"", s->err.msg);
    SAYS("weir data show rows", s->err.hint);
    v = view(s, "name: v\nsource: rwos\ntime: t\nfeatures: [{name: x, op: number, of: x}]\n");
    FAILS(WEIR_ENOTFOUND, wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err));
    SAYS("did you mean \"rows\"?", s->err.hint);
    v = view(s, "name: v\nsource: rows\ntime: t\nevents: {source: rows, time: t, values: {d: {of: xx}}}\n"
                "features: [{name: m, op: mean, of: d, over: 1h}]\n");
    FAILS(WEIR_ENOTFOUND, wr_view_events(&f, v, s->p, engine(s), NULL, NULL, &s->err));
    SAYS("events of view \"v\": dataset \"rows\" has no column \"xx\"", s->err.msg);
    SAYS("did you mean \"x\"?", s->err.hint);
    v = view(s, "name: v\nsource: rows\ntime: t\nfeatures: [{name: x, op: number, of: x}]\n");
    s->err = (wr_err){0};
    assert_true(wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err) < 0); /* no number */
    assert_true(strstr(s->err.msg, "text") || strstr(s->err.detail, "text"));
    FAILS(WEIR_EINVAL, wr_view_events(&f, v, s->p, engine(s), NULL, NULL, &s->err));
    SAYS("has no events", s->err.msg);
    assert_null(f);
}

static void test_inputs(void **state)
{
    place *s = *state;
    wr_run *r;
    wr_node found;
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_view_rows_opt opt = {0};
    wr_run_opt ro = {"test", NULL, "x", "x"};
    make_odd(s);
    write_rows(s, "unused", WR_DELTA_OVERWRITE, "SELECT 1 AS x");
    wr_view *v = view(s, ODD);
    OK(wr_run_begin(&r, s->p, &ro, &s->err));
    OK(wr_view_rows(&f, v, s->p, engine(s), &opt, r, &s->err));
    OK(wr_run_end(r, 0, NULL, &s->err));
    OK(wr_lineage_find(&found, s->a, s->p, "dataset", "my.odd-rows", 0, NULL, &s->err));
    FAILS(WEIR_ENOTFOUND, wr_lineage_find(&found, s->a, s->p, "dataset", "unused", -1, NULL, &s->err));
    wr_node n = wr_view_node(v);
    assert_string_equal(n.kind, "view");
    assert_string_equal(n.hash, v->hash);
}

/* Kept columns that are request columns come once. */
static void test_kept_twice(void **state)
{
    place *s = *state;
    write_rows(s, "rows", WR_DELTA_OVERWRITE, "SELECT TIMESTAMP '2001-01-01' AS t, 'A' AS k, 1.5 AS x");
    wr_view *v = view(s, "name: v\nsource: rows\ntime: t\nkeep: [k, x]\nfeatures: [{name: kk, op: category, of: k}]\n");
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_view_rows_opt opt = {0};
    OK(wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err));
    assert_int_equal(f->ncols, 3);
}

/* Looked-up columns against the engine's own join: by the row's time, with names of their own, one lookup after the
 * other. */
static void test_lookup(void **state)
{
    place *s = *state;
    write_rows(s, "rides", WR_DELTA_OVERWRITE,
               "SELECT TIMESTAMP '2001-01-01' + to_minutes(CAST(i * 7 AS BIGINT)) AS t, CASE WHEN i % 11 = 0 THEN NULL "
               "ELSE 'B' || (i * 31 % 5) END AS "
               "bike, i AS n, 'own' AS maker FROM range(300) r(i)");
    write_rows(s, "bikes", WR_DELTA_OVERWRITE,
               "SELECT TIMESTAMP '2000-12-31' + to_minutes(CAST(i * 53 AS BIGINT)) AS since, 'B' || (i * 17 % 6) AS "
               "id, CASE WHEN i % 9 = 0 THEN NULL ELSE "
               "i / 4.0 END AS weight, 'M' || (i % 3) AS made FROM range(60) r(i)");
    write_rows(
        s, "makers", WR_DELTA_OVERWRITE,
        "SELECT * FROM (VALUES (TIMESTAMP '1999-01-01', 'M0', 'x'), (TIMESTAMP '2001-01-01 12:00:00', 'M0', 'y'),"
        " (TIMESTAMP '1999-01-01', 'M1', 'z')) AS m(since, maker, land)");
    wr_view *v =
        view(s, "name: v\nsource: rides\ntime: t\nkeep: [n, maker]\nfeatures:\n  - {name: w, op: number, of: weight}\n"
                "  - {name: m, op: category, of: maker}\n  - {name: l, op: category, of: land}\nlookup:\n"
                "  - {source: bikes, time: since + INTERVAL 10 MINUTE, key: bike, source_key: id, columns: {weight: "
                "weight, maker: made}, ttl: 5h}\n"
                "  - {source: makers, time: since, key: maker, columns: [land]}\n");
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_view_rows_opt opt = {0};
    OK(wr_view_rows(&f, v, s->p, engine(s), &opt, NULL, &s->err));
    assert_int_equal(f->nrows, 300);
    OK(wr_tables_register(engine(s), "got", f, &s->err));
    int64_t same = -1, found = -1;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *sql = "WITH b AS (SELECT *, since + INTERVAL 10 MINUTE AS k FROM bikes), j AS (SELECT r.n, CASE WHEN "
                      "r.t - b.k <= INTERVAL 5 HOUR THEN "
                      "b.weight END AS w, CASE WHEN r.t - b.k <= INTERVAL 5 HOUR THEN b.made END AS m, r.t FROM rides "
                      "r ASOF LEFT JOIN b ON "
                      "r.bike = b.id AND r.t >= b.k), k AS (SELECT j.*, m.land FROM j ASOF LEFT JOIN makers m ON j.m = "
                      "m.maker AND j.t >= m.since) "
                      "SELECT count(*) FROM got g JOIN k USING (n) WHERE g.weight IS NOT DISTINCT FROM k.w AND g.maker "
                      "IS NOT DISTINCT FROM k.m AND "
                      "g.land IS NOT DISTINCT FROM k.land";
    OK(wr_dataset_views_for(engine(s), s->p, sql, NULL, NULL, a, &s->err));
    OK(wr_tables_i64(engine(s), &same, sql, &s->err));
    assert_int_equal(same, 300);
    OK(wr_tables_i64(engine(s), &found, "SELECT count(*) FROM got WHERE land IS NOT NULL AND weight IS NOT NULL",
                     &s->err));
    assert_true(found > 50 && found < 290);
    v = view(s, "name: v\nsource: rides\ntime: t\nfeatures: [{name: w, op: number, of: weight}]\n"
                "lookup: [{source: bikes, time: since, key: bike, columns: [weight]}]\n");
    WR_AUTOFRAME wr_frame *none = NULL;
    FAILS(WEIR_ENOTFOUND, wr_view_rows(&none, v, s->p, engine(s), &opt, NULL, &s->err));
    SAYS("lookup of view \"v\" in dataset \"bikes\": dataset \"bikes\" has no column \"bike\"", s->err.msg);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_odd_names), T(test_where),      T(test_errors),
                                       T(test_inputs),    T(test_kept_twice), T(test_lookup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
