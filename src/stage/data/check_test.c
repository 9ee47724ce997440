/* SPDX-License-Identifier: Apache-2.0 */
/* check_test.c - every kind of check against rows whose verdict is known; errors of suites and where they are found. */
#include "stage/data/check.h"

#include <math.h>

#include "core/core_testing.h"

static const char rows[] =
    "SELECT * FROM (VALUES (1, 'ab', 1.5, TIMESTAMP '2001-01-01', true), (2, 'abc', NULL, TIMESTAMP '2001-01-02', "
    "true),"
    "(3, NULL, 'nan'::DOUBLE, TIMESTAMP '2001-01-04', false), (3, 'ABCD', -2.5, TIMESTAMP '2001-01-03', NULL),"
    "(NULL, 'é', 100.0, NULL, true)) AS v(i, t, x, w, b)";

static void load(place *s, wr_suite *suite, const char *checks)
{
    put(s, "c.yaml", checks);
    OK(wr_suite_load(suite, s->a, at(s, "c.yaml"), &s->err));
}

static wr_check_report check(place *s, const char *ref, const char *checks)
{
    wr_suite suite;
    wr_check_report r;
    load(s, &suite, checks);
    OK(wr_check_run(&r, s->a, s->p, ref, &suite, &s->err));
    return r;
}

static void test_rows(void **state)
{
    static const struct {
        const char *check;
        int64_t judged, violating;
    } cases[] = {
        {"not_null, column: i", 5, 1},
        {"not_null, column: x", 5, 2}, /* NaN is missing */
        {"not_null, column: i, where: b", 3, 1},
        {"between, column: i, min: 2, max: 3", 4, 1},
        {"between, column: i, min: 2, max: 3, strict: true", 4, 4},
        {"between, column: i, min: 1.5", 4, 1},
        {"between, column: i, max: 2", 4, 2},
        {"between, column: x, min: -10", 4, 1}, /* NaN is never between */
        {"between, column: x, max: 99", 4, 2},
        {"between, column: w, min: 2001-01-02, max: 2001-01-03T00:00:00Z", 4, 2},
        {"between, column: t, min: a, max: b", 4, 2}, /* by bytes: ABCD before a, e acute after b */
        {"in_set, column: t, values: [ab, abc]", 4, 2},
        {"in_set, column: i, values: [1, 2.5]", 4, 3},
        {"in_set, column: b, values: [true]", 4, 1},
        {"not_in_set, column: i, values: [3]", 4, 2},
        {"not_in_set, column: t, values: [\"it's\"]", 4, 0},
        {"matches, column: t, regex: \"[a-z]+\"", 4, 2},
        {"length_between, column: t, min: 2, max: 3", 4, 2}, /* characters, not bytes */
        {"length_between, column: t, max: 1", 4, 3},
        {"unique, columns: [i]", 5, 1},
        {"unique, columns: [i, t]", 5, 0},
        {"unique, columns: [b]", 5, 2}, /* missing values are equal */
        {"unique, columns: [b], where: b", 3, 2},
        {"increasing, column: w", 4, 1},
        {"increasing, column: i", 4, 0},
        {"increasing, column: i, strict: true", 4, 1},
        {"increasing, column: w, where: i < 3", 2, 0},
        {"sql, where: x > i", 5, 2}, /* 1.5 > 1, NaN > 3; null is no violation */
    };
    place *s = *state;
    write_rows(s, "d", WR_DELTA_OVERWRITE, rows);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_check_report r = check(s, "d", wr_arena_printf(s->a, "checks:\n  - {check: %s}\n", cases[i].check));
        const wr_check_result *x = &r.result[0];
        if (r.n != 1 || x->judged != cases[i].judged || x->violating != cases[i].violating)
            fail_msg("%s: %lld of %lld violate", cases[i].check, (long long)x->violating, (long long)x->judged);
        assert_int_equal(x->success, cases[i].violating == 0);
        assert_int_equal(r.success, cases[i].violating == 0);
        assert_int_equal(x->nexamples > 0, cases[i].violating > 0);
        assert_true(fabs(x->share - (1.0 - (double)x->violating / (double)x->judged)) < 1e-12);
    }
}

static void test_numbers(void **state)
{
    static const struct {
        const char *check;
        bool passes;
        double value;
    } cases[] = {
        {"row_count, min: 5, max: 5", true, 5},
        {"row_count, min: 6", false, 5},
        {"row_count, max: 3, where: b", true, 3},
        {"distinct_count, column: i, min: 3, max: 3", true, 3},
        {"distinct_count, column: t, max: 3", false, 4},
        {"mean_between, column: i, min: 2.25, max: 2.25", true, 2.25},
        {"mean_between, column: i, min: 3", false, 2.25},
        {"std_between, column: i, min: 0.9574, max: 0.9575", true, 0.9574271077563381},
        {"quantile_between, column: i, q: 0.5, min: 2.5, max: 2.5", true, 2.5},
        {"null_share, column: t, max: 0.2", true, 0.2},
        {"null_share, column: t, max: 0.1", false, 0.2},
        {"freshness, column: w, not_before: 2001-01-04", true, 978566400e6},
        {"freshness, column: w, not_before: 2001-01-05", false, 978566400e6},
        {"freshness, column: w, max_age: 1d", false, 978566400e6},
        {"sql, select: SELECT count(*) FROM this WHERE b, min: 3, max: 3", true, 3},
        {"sql, select: 'SELECT count(*) FROM this, other', max: 9", false, 10},
        {"mean_between, column: i, min: 0, where: i > 7", false, NAN},
    };
    place *s = *state;
    write_rows(s, "d", WR_DELTA_OVERWRITE, rows);
    write_rows(s, "other", WR_DELTA_OVERWRITE, "SELECT range AS n FROM range(2)");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_check_report r = check(s, "d", wr_arena_printf(s->a, "checks:\n  - {check: %s}\n", cases[i].check));
        if (r.result[0].success != cases[i].passes) fail_msg("%s: %s", cases[i].check, r.result[0].message);
        if (isnan(cases[i].value)) assert_true(isnan(r.result[0].value));
        else assert_true(fabs(r.result[0].value - cases[i].value) < 1e-9);
    }
}

static void test_schema(void **state)
{
    static const struct {
        const char *check;
        bool passes;
        const char *says;
    } cases[] = {
        {"type, column: w, is: timestamp", true, "timestamp"},
        {"type, column: x, is: long", false, "is double, expected long"},
        {"type, column: x, is: number", true, "number"},
        {"type, columns: [i], is: integer", true, "integer"},
        {"columns, exact: [i, t, x, w, b]", true, "exactly"},
        {"columns, exact: [t, i, x, w, b]", false, "another order"},
        {"columns, exact: [i, t, x, w]", false, "unexpected column \"b\""},
        {"columns, required: [b, i]", true, "required"},
        {"columns, required: [b, k]", false, "no column \"k\""},
    };
    place *s = *state;
    write_rows(s, "d", WR_DELTA_OVERWRITE, rows);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_check_report r = check(s, "d", wr_arena_printf(s->a, "checks:\n  - {check: %s}\n", cases[i].check));
        if (r.result[0].success != cases[i].passes) fail_msg("%s: %s", cases[i].check, r.result[0].message);
        SAYS(cases[i].says, r.result[0].message);
    }
}

static void test_severity_mostly_names(void **state)
{
    place *s = *state;
    write_rows(s, "d", WR_DELTA_OVERWRITE, rows);
    wr_check_report r = check(s, "d",
                              "suite: d\nchecks:\n"
                              "  - {check: not_null, columns: [i, t], severity: warn}\n"
                              "  - {check: not_null, column: i, mostly: 0.8}\n"
                              "  - {check: not_null, column: i, mostly: 0.81, name: many, severity: warn}\n"
                              "  - {check: not_null, column: b}\n");
    assert_int_equal(r.n, 5);
    assert_string_equal(r.result[0].check->name, "i_not_null");
    assert_string_equal(r.result[1].check->name, "t_not_null");
    assert_string_equal(r.result[2].check->name, "i_not_null_2");
    assert_string_equal(r.result[3].check->name, "many");
    assert_int_equal(r.passed, 1);
    assert_int_equal(r.warned, 3);
    assert_int_equal(r.failed, 1);
    assert_false(r.success);
}

static void test_examples_and_json(void **state)
{
    place *s = *state;
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_jsonw w;
    wr_suite suite;
    wr_check_report r;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT range AS n, range % 3 AS k, '\"' || range AS t FROM range(100)");
    load(s, &suite, "suite: x\nchecks:\n  - {check: between, column: n, max: 49}\n  - {check: unique, columns: [k]}\n");
    OK(wr_check_run(&r, s->a, s->p, "d@0", &suite, &s->err));
    assert_int_equal(r.result[0].nexamples, WR_CHECK_EXAMPLES);
    assert_string_equal(r.result[0].examples[0], "{\"n\":99,\"k\":0,\"t\":\"\\\"99\"}"); /* the worst first */
    assert_string_equal(r.result[1].examples[0], "{\"k\":0,\"rows\":34}");
    wr_jsonw_init(&w, &b, 0);
    wr_check_json(&w, &r, &suite);
    OK(wr_json_parse(&j, wr_buf_view(&b), "report", &s->err));
    yyjson_val *stats, *results;
    bool success;
    int64_t n;
    OK(wr_json_bool(&success, j.root, "success", &s->err));
    assert_false(success);
    OK(wr_json_obj(&stats, j.root, "statistics", &s->err));
    OK(wr_json_i64(&n, stats, "unsuccessful", &s->err));
    assert_int_equal(n, 2);
    OK(wr_json_arr(&results, j.root, "results", &s->err));
    OK(wr_json_i64(&n, yyjson_arr_get(results, 0), "violating", &s->err));
    assert_int_equal(n, 50);
}

static void test_empty_dataset(void **state)
{
    place *s = *state;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS i, TIMESTAMP '2001-01-01' AS w WHERE false");
    wr_check_report r = check(s, "d",
                              "checks:\n  - {check: not_null, column: i}\n  - {check: unique, columns: [i]}\n"
                              "  - {check: between, column: w, min: 2001-01-01}\n  - {check: increasing, column: w}\n"
                              "  - {check: row_count, max: 0}\n  - {check: null_share, column: i, max: 0}\n");
    assert_int_equal(r.passed, 5);
    assert_int_equal(r.failed, 1); /* there is no share of nothing */
}

static void test_odd_column_names(void **state)
{
    place *s = *state;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS \"a b,c\", 2 AS \"it's\", 3 AS \"select\", 4 AS \"ü\"");
    wr_check_report r =
        check(s, "d",
              "checks:\n  - {check: not_null, columns: [\"a b,c\", \"it's\", select, ü]}\n"
              "  - {check: unique, columns: [\"a b,c\", select]}\n  - {check: increasing, column: \"it's\"}\n");
    assert_true(r.success);
    assert_string_equal(r.result[0].check->name, "a_b_c_not_null"); /* no comma: reasons are joined by them */
}

static void test_errors_have_a_place(void **state)
{
    static const struct {
        const char *suite;
        int code;
        const char *says, *hint;
    } cases[] = {
        {"checks:\n  - {check: betwen, column: i}\n", WEIR_EINVAL, "c.yaml:2:13: unknown check \"betwen\"", "between"},
        {"checks:\n  - {check: between, column: ii, min: 1}\n", WEIR_ENOTFOUND, "c.yaml:2:30: no column \"ii\"",
         "\"i\""},
        {"checks:\n  - {check: between, column: i, mni: 1}\n", WEIR_EINVAL, "c.yaml:2:33: unknown key \"mni\"",
         "\"min\""},
        {"checks:\n  - {check: between, column: i}\n", WEIR_EINVAL, "c.yaml:2:5: ", ""},
        {"checks:\n  - {check: between, column: i, min: a}\n", WEIR_ETYPE, "c.yaml:2:38: ", ""},
        {"checks:\n  - {check: between, column: i, min: 3, max: 2}\n", WEIR_EINVAL, "min is greater", ""},
        {"checks:\n  - {check: between, column: w, min: soon}\n", WEIR_ETYPE, "must be a time", "2001"},
        {"checks:\n  - {check: matches, column: i, regex: a}\n", WEIR_ETYPE, "needs a string column", ""},
        {"checks:\n  - {check: not_null, column: i}\n  - {check: matches, column: t, regex: \"[\"}\n", WEIR_EINVAL,
         "c.yaml:3:5: check \"t_matches\"", ""},
        {"checks:\n  - {check: not_null, column: i}\n  - {check: sql, where: ii > 3}\n", WEIR_ENOTFOUND,
         "c.yaml:3:5: check \"sql\"", ""},
        {"checks:\n  - {check: sql, where: \"i >\"}\n", 0, "c.yaml:2:5: check \"sql\"", ""},
        {"checks:\n  - {check: sql, select: SELECT 1 FROM nowhere, min: 1}\n", WEIR_ENOTFOUND,
         "c.yaml:2:5: check \"sql\"", ""},
        {"checks:\n  - {check: sql, select: SELECT i FROM this, min: 1}\n", WEIR_EINVAL, "one number", ""},
        {"checks:\n  - {check: sql, min: 1}\n", WEIR_EINVAL, "needs where", ""},
        {"checks:\n  - {check: row_count, min: 1, mostly: 0.5}\n", WEIR_EINVAL, "unknown key \"mostly\"", ""},
        {"checks:\n  - {check: not_null, column: i, mostly: 2}\n", WEIR_EINVAL, "c.yaml:2:42: ", ""},
        {"checks:\n  - {check: not_null, column: i, severity: eror}\n", WEIR_EINVAL, "severity", "\"error\""},
        {"checks:\n  - {check: not_null, column: i, columns: [t]}\n", WEIR_EINVAL, "only one", ""},
        {"checks:\n  - {check: unique, columns: [i, i]}\n", WEIR_EINVAL, "twice", ""},
        {"checks:\n  - {check: not_null, column: i, name: a}\n  - {check: not_null, column: t, name: a}\n", WEIR_EINVAL,
         "two checks", ""},
        {"checks:\n  - {check: not_null, column: i, name: \"a,b\"}\n", WEIR_EINVAL, "not a name", ""},
        {"checks:\n  - {check: type, column: i, is: lnog}\n", WEIR_EINVAL, "unknown type", "\"long\""},
        {"checks:\n  - {check: quantile_between, column: i, q: 2, min: 1}\n", WEIR_EINVAL, "between 0 and 1", ""},
        {"check:\n  - {check: not_null}\n", WEIR_EINVAL, "c.yaml:1:1: unknown key", "\"checks\""},
        {"checks: 3\n", WEIR_ETYPE, "must be a list", ""},
        {"checks:\n  - not_null\n", WEIR_EINVAL, "c.yaml:2:5: ", ""},
        {"", WEIR_EINVAL, "no checks", "not_null"},
        {"checks: [\n", WEIR_EPARSE, "c.yaml:", ""},
    };
    place *s = *state;
    write_rows(s, "d", WR_DELTA_OVERWRITE, rows);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_suite suite;
        wr_check_report r;
        put(s, "c.yaml", cases[i].suite);
        s->err = (wr_err){0};
        int rc = wr_suite_load(&suite, s->a, at(s, "c.yaml"), &s->err);
        if (rc == 0) rc = wr_check_run(&r, s->a, s->p, "d", &suite, &s->err);
        if (rc >= 0 || (cases[i].code && rc != cases[i].code)) fail_msg("%s: %d %s", cases[i].suite, rc, s->err.msg);
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
}

static void test_no_escape(void **state)
{
    place *s = *state;
    wr_suite suite;
    wr_check_report r;
    write_rows(s, "d", WR_DELTA_OVERWRITE, rows);
    load(s, &suite, "checks:\n  - {check: sql, where: \"1) FROM this; COPY (SELECT 1) TO 'x.csv'; --\"}\n");
    assert_true(wr_check_run(&r, s->a, s->p, "d", &suite, &s->err) < 0);
    load(s, &suite, "checks:\n  - {check: in_set, column: t, values: [\"') OR true --\"]}\n");
    OK(wr_check_run(&r, s->a, s->p, "d", &suite, &s->err));
    assert_int_equal(r.result[0].violating, 4);
    assert_false(wr_file_exists(at(s, "x.csv")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_numbers, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_schema, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_severity_mostly_names, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_examples_and_json, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_empty_dataset, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_odd_column_names, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_errors_have_a_place, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_no_escape, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
