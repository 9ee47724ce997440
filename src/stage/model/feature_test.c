/* SPDX-License-Identifier: Apache-2.0 */
/* feature_test.c - the training table against SQL that says what each feature means, and the online state against one
 * fed by hand. */
#include "stage/model/model_testing.h"

#include <math.h>

#include "base/fault.h"
#include "core/noun.h"

static void test_build(void **state)
{
    place *s = *state;
    wr_feature_built b = build(s, "features.yaml", 1);
    static const char *const names[] = {"t", "known_at", "late",    "delay",    "half",    "minute",
                                        "x", "place",    "late_2h", "delay_2h", "rides_2h"};
    static const char *const types[] = {"timestamp", "timestamp", "double", "long",  "double", "float",
                                        "float",     "string",    "float",  "float", "float"};
    wr_table_column *c;
    size_t n;
    assert_int_equal(b.rows, 4000);
    assert_int_equal(b.events, 4000);
    assert_int_equal(b.features, 6);
    assert_int_equal(b.written.rows, 4000);
    assert_int_equal(number(s, "SELECT count(*) FROM rides_features"), 4000);
    OK(wr_tables_describe(engine(s), &c, &n, s->a, "SELECT * FROM rides_features", &s->err));
    assert_int_equal(n, 11);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(c[i].name, names[i]);
        assert_string_equal(c[i].type, types[i]);
    }
    double share = (double)number(s, "SELECT count(*) FROM rides WHERE delay > 22") / 4000;
    assert_true(b.label_share == share && share > 0.2 && share < 0.8);
}

/* Every feature of every row, computed again by a join that cannot see the future. */
static void test_against_sql(void **state)
{
    place *s = *state;
    build(s, "features.yaml", 2);
    assert_int_equal(number(s, "SELECT count(*) FROM rides_features f JOIN rides r ON f.t = r.t"
                               " WHERE f.late = (r.delay > 22)::INTEGER AND f.delay = r.delay AND f.x = r.x::FLOAT"
                               " AND f.place = r.place AND f.minute = hour(r.t) * 60 + minute(r.t)"
                               " AND f.known_at = r.t + INTERVAL 30 MINUTE"),
                     4000);
    assert_int_equal(
        number(s, "WITH e AS (SELECT t + INTERVAL 30 MINUTE AS seen, place, delay FROM rides), w AS ("
                  "SELECT r.t, avg((e.delay > 22)::INTEGER) AS late, count(e.seen) AS n FROM rides r LEFT JOIN e ON"
                  " e.place = r.place AND e.seen <= r.t AND e.seen > r.t - INTERVAL 2 HOUR GROUP BY r.t),"
                  " a AS (SELECT r.t, avg(e.delay) AS delay FROM rides r LEFT JOIN e ON e.seen <= r.t AND"
                  " e.seen > r.t - INTERVAL 2 HOUR GROUP BY r.t)"
                  " SELECT count(*) FROM rides_features f JOIN w USING (t) JOIN a USING (t) WHERE f.rides_2h = w.n"
                  " AND (f.late_2h IS NOT DISTINCT FROM w.late::FLOAT OR abs(f.late_2h - w.late) < 1e-6)"
                  " AND (f.delay_2h IS NOT DISTINCT FROM a.delay::FLOAT OR abs(f.delay_2h - a.delay) < 1e-5)"),
        4000);
}

static void test_same_again(void **state)
{
    place *s = *state;
    wr_feature_built one = build(s, "features.yaml", 1), two = build(s, "features.yaml", 4);
    assert_int_equal(two.written.version, 1);
    assert_string_equal(one.written.hash, two.written.hash); /* any number of threads, any day */
}

static void test_lineage(void **state)
{
    place *s = *state;
    wr_node found;
    wr_lineage_step *step;
    size_t n;
    build(s, "features.yaml", 1);
    OK(wr_lineage_find(&found, s->a, s->p, "dataset", "rides_features", 0, NULL, &s->err));
    OK(wr_lineage_walk(&step, &n, s->a, s->p, found.id, WR_LINEAGE_PARENTS, &s->err));
    bool rides = false, view = false;
    for (size_t i = 0; i < n; i++) {
        rides |= strcmp(step[i].node.kind, "dataset") == 0 && strcmp(step[i].node.name, "rides") == 0;
        view |= strcmp(step[i].node.kind, "view") == 0 &&
                strcmp(step[i].node.hash, load_view(s, "features.yaml")->hash) == 0;
    }
    assert_true(rides && view);
}

static void test_missing_values(void **state)
{
    place *s = *state;
    write_rows(s, "rides", WR_DELTA_OVERWRITE,
               "SELECT * FROM (VALUES (TIMESTAMP '2001-01-01', NULL, NULL::DOUBLE, NULL::BIGINT, NULL::DOUBLE),"
               " (TIMESTAMP '2001-01-02', 'A', 1.5, 30, 2.0)) AS v(t, place, x, delay, half)");
    wr_feature_built b = build(s, "features.yaml", 1);
    assert_true(b.label_share == 1); /* of the rows that have one */
    assert_int_equal(number(s,
                            "SELECT count(*) FROM rides_features WHERE late IS NULL AND delay IS NULL AND place IS NULL"
                            " AND x IS NULL AND late_2h IS NULL AND rides_2h IS NULL"),
                     1);
    /* nothing in the window: no share, but a count */
    assert_int_equal(
        number(s, "SELECT count(*) FROM rides_features WHERE late = 1 AND late_2h IS NULL AND rides_2h = 0"), 1);
}

static void test_empty_source(void **state)
{
    place *s = *state;
    write_rows(s, "rides", WR_DELTA_OVERWRITE, "SELECT * FROM (" RIDES ") WHERE false");
    wr_feature_built b = build(s, "features.yaml", 1);
    assert_int_equal(b.rows, 0);
    assert_true(isnan(b.label_share));
    assert_int_equal(number(s, "SELECT count(late_2h) FROM rides_features"), 0);
}

static int try_build(place *s, const char *view)
{
    wr_feature_built b;
    wr_err end = {0};
    put(s, "other.yaml", view);
    wr_run *r = begin(s, "build");
    s->err = (wr_err){0};
    int rc = wr_feature_build(&b, s->p, load_view(s, "other.yaml"), NULL, r, &s->err);
    assert_int_equal(wr_run_end(r, rc, &s->err, &end), 0);
    return rc;
}

static void test_errors(void **state)
{
    place *s = *state;
    static const char *const views[][2] = {
        {"name: v\nsource: nothing\ntime: t\nfeatures: [{name: x, op: number, of: x}]\n", "nothing"},
        {"name: v\nsource: rides\ntime: when\nfeatures: [{name: x, op: number, of: x}]\n", "when"},
        {"name: v\nsource: rides\ntime: t\nknown_at: t + nonsense\nfeatures: [{name: x, op: number, of: x}]\n",
         "nonsense"},
        {"name: v\nsource: rides\ntime: t\nkeep: [wrong]\nfeatures: [{name: x, op: number, of: x}]\n", "wrong"},
        {"name: v\nsource: rides\ntime: t\nfeatures: [{name: x, op: number, of: place}]\n", "A"},
    };
    size_t before = count_files(s, ".weir/lake");
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        wr_run_row *rows;
        size_t n;
        assert_true(try_build(s, views[i][0]) < 0);
        if (!strstr(s->err.msg, views[i][1]) && !strstr(s->err.detail, views[i][1]))
            fail_msg("%s: %s (%s)", views[i][0], s->err.msg, s->err.detail);
        assert_int_equal(count_files(s, ".weir/lake"), before);
        assert_false(wr_dataset_exists(s->p, "v"));
        OK(wr_run_list(&rows, &n, s->a, s->p, 1, &s->err));
        assert_string_equal(rows[0].status, "failed");
        assert_true(rows[0].error[0]);
    }
}

static void test_faults(void **state)
{
    place *s = *state;
    int failed = 0;
    wr_view *v = load_view(s, "features.yaml");
    write_rows(s, "rides", WR_DELTA_OVERWRITE, "SELECT * FROM (" RIDES ") LIMIT 50");
    build(s, "features.yaml", 1);
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_RENAME; kind++) {
        for (int nth = 1; nth < 20; nth++) {
            wr_feature_built b;
            wr_err end = {0};
            wr_run *r = begin(s, "build");
            wr_fault_arm((wr_fault_kind)kind, nth, false);
            int rc = wr_feature_build(&b, s->p, v, NULL, r, &s->err);
            bool fired = wr_fault_fired((wr_fault_kind)kind);
            wr_fault_arm((wr_fault_kind)kind, 0, false);
            assert_int_equal(wr_run_end(r, rc, &s->err, &end), 0);
            assert_int_equal(number(s, "SELECT count(*) FROM rides_features"), 50);
            failed += rc < 0;
            if (!fired) break;
        }
    }
    assert_true(failed >= 2);
}

/* ---- online state ---- */

static wr_feature_snapshot materialize(place *s, const wr_view *v, int64_t until)
{
    wr_feature_snapshot m;
    wr_run *r = begin(s, "materialize");
    OK(wr_feature_materialize(&m, s->p, v, until, false, r, &s->err));
    OK(wr_run_end(r, 0, NULL, &s->err));
    return m;
}

static wr_online *load_state(place *s, const wr_view *v, const char *path)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_online *o = NULL;
    OK(wr_file_read(&b, path, 1 << 24, &s->err));
    OK(wr_online_load(&o, v, wr_buf_view(&b), &s->err));
    return o;
}

/* What the state says to a request at `us`: minute, x, place, then the three windows. */
static void ask(const wr_online *o, const wr_view *v, int64_t us, const char *where, float *num)
{
    wr_cell cells[8] = {0};
    wr_str text[8];
    for (size_t i = 0; i < v->nrequest; i++) {
        cells[i].ts = us;
        cells[i].text = wr_str_of(where);
        cells[i].num = 0.5;
    }
    wr_online_row(o, cells, num, text);
}

static void test_materialize(void **state)
{
    place *s = *state;
    wr_view *v = load_view(s, "features.yaml");
    int64_t until = wr_time_from_civil(2001, 1, 10) + 7 * WR_US + 500000; /* between two events */
    wr_feature_snapshot m = materialize(s, v, until);
    assert_string_equal(m.path, at(s, ".weir/online/rides_features.online"));
    assert_int_equal(m.newest_us, wr_time_from_civil(2001, 1, 10));
    assert_int_equal(m.events, 18); /* two hours of the window and the hour besides */
    assert_true(m.bytes > 0 && wr_file_size(m.path) == (int64_t)m.bytes);

    wr_online *hand, *state_read = load_state(s, v, m.path);
    WR_AUTOFRAME wr_frame *rows = NULL;
    OK(wr_dataset_views_for(engine(s), s->p, "rides", NULL, NULL, s->a, &s->err));
    OK(wr_tables_query(engine(s), &rows,
                       "SELECT t + INTERVAL 30 MINUTE AS seen, place, delay::DOUBLE AS delay FROM rides ORDER BY t",
                       NULL, 0, &s->err));
    OK(wr_online_new(&hand, v, &s->err));
    assert_int_equal(v->nevent_columns, 2);
    for (size_t i = 0; i < rows->nrows && rows->cols[0].i64[i] <= until; i++) {
        wr_cell cells[2] = {{.text = wr_col_text(&rows->cols[1], i)}, {.num = rows->cols[2].f64[i]}};
        OK(wr_online_add(hand, rows->cols[0].i64[i], cells, &s->err));
    }
    for (int k = 0; k < 5; k++) {
        static const char *const places[] = {"A", "B", "C", "D", "nowhere"};
        float a[8], b[8];
        for (int minutes = 0; minutes < 150; minutes += 7) {
            ask(hand, v, until + minutes * 60 * WR_US, places[k], a);
            ask(state_read, v, until + minutes * 60 * WR_US, places[k], b);
            for (size_t f = 0; f < v->nfeatures; f++)
                if (!v->features[f].category && a[f] != b[f] && !(isnan(a[f]) && isnan(b[f])))
                    fail_msg("%s, feature %zu: %g by hand, %g", places[k], f, (double)a[f], (double)b[f]);
        }
    }
    wr_online_free(hand);
    wr_online_free(state_read);
}

/* An event at the very moment is known; one a microsecond later is not. */
static void test_materialize_edge(void **state)
{
    place *s = *state;
    wr_view *v = load_view(s, "features.yaml");
    write_rows(
        s, "rides", WR_DELTA_OVERWRITE,
        "SELECT TIMESTAMP '2001-01-01 00:00:00.250001' AS t, 'A' AS place, 1.0::DOUBLE AS x, 30 AS delay, 0.5 AS half");
    int64_t event = wr_time_from_civil(2001, 1, 1) + 1800 * WR_US + 250001;
    assert_int_equal(materialize(s, v, event).events, 1);
    assert_int_equal(materialize(s, v, event - 1).events, 0);
    assert_int_equal(materialize(s, v, event + 3 * 3600 * WR_US).events, 0); /* outside of every window */
    char hash[WR_SHA256_HEX];
    OK(wr_noun_hash(hash, NULL, s->p, "feature:rides_features", &s->err));
    assert_int_equal(strlen(hash), 64);
}

static void test_materialize_without_events(void **state)
{
    place *s = *state;
    put(s, "plain.yaml", "name: plain\nsource: rides\ntime: t\nfeatures: [{name: x, op: number, of: x}]\n");
    wr_view *v = load_view(s, "plain.yaml");
    wr_feature_snapshot m = materialize(s, v, wr_time_from_civil(2001, 1, 10));
    assert_int_equal(m.events, 0);
    wr_online_free(load_state(s, v, m.path));
}

static void test_materialize_failure(void **state)
{
    place *s = *state;
    wr_view *v = load_view(s, "features.yaml");
    wr_feature_snapshot m = materialize(s, v, wr_time_from_civil(2001, 1, 10));
    char before[WR_SHA256_HEX], after[WR_SHA256_HEX];
    OK(wr_file_sha256(before, m.path, &s->err));
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_RENAME; kind++) {
        wr_err end = {0};
        wr_run *r = begin(s, "materialize");
        wr_fault_arm((wr_fault_kind)kind, 1, false);
        int rc = wr_feature_materialize(&m, s->p, v, wr_time_from_civil(2001, 1, 5), false, r, &s->err);
        wr_fault_arm((wr_fault_kind)kind, 0, false);
        assert_true(rc < 0);
        assert_int_equal(wr_run_end(r, rc, &s->err, &end), 0);
        OK(wr_file_sha256(after, at(s, ".weir/online/rides_features.online"), &s->err));
        assert_string_equal(before, after);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_rides, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_build),
        T(test_against_sql),
        T(test_same_again),
        T(test_lineage),
        T(test_missing_values),
        T(test_empty_source),
        T(test_errors),
        T(test_faults),
        T(test_materialize),
        T(test_materialize_edge),
        T(test_materialize_without_events),
        T(test_materialize_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
