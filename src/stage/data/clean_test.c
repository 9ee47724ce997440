/* SPDX-License-Identifier: Apache-2.0 */
/* clean_test.c - no row is lost, order stays, and a failure leaves both datasets as they were. */
#include "stage/data/clean.h"

#include "base/fault.h"
#include "core/core_testing.h"
#include "stage/data/check.h"

static int clean(place *s, wr_clean_report *r, const char *suite_text, bool dry)
{
    wr_suite suite;
    wr_run *run;
    wr_run_opt ro = {"clean", "data-preparation", "d", "test"};
    wr_clean_opt o = {"d", "good", "bad", dry};
    put(s, "c.yaml", suite_text);
    s->err = (wr_err){0};
    int rc = wr_suite_load(&suite, s->a, at(s, "c.yaml"), &s->err);
    if (rc < 0) return rc;
    OK(wr_run_begin(&run, s->p, &ro, &s->err));
    rc = wr_clean(r, s->a, s->p, &o, &suite, run, &s->err);
    OK(wr_run_end(run, rc, &s->err, NULL));
    return rc;
}

static void test_split(void **state)
{
    place *s = *state;
    wr_clean_report r;
    write_rows(s, "d", WR_DELTA_OVERWRITE,
               "SELECT range AS n, range % 1000 AS k, 'x' || range AS t FROM range(300000)");
    OK(clean(s, &r,
             "checks:\n  - {check: between, column: k, min: 3, action: quarantine}\n"
             "  - {check: sql, name: seven, where: n % 7 = 0, action: quarantine}\n"
             "  - {check: row_count, min: 1}\n  - {check: not_in_set, column: k, values: [9]}\n",
             false));
    assert_int_equal(r.rows_in, 300000);
    assert_int_equal(r.rows_out + r.rows_quarantine, 300000);
    assert_int_equal(number(s, "SELECT count(*) FROM good"), r.rows_out);
    assert_int_equal(number(s, "SELECT count(*) FROM bad"), r.rows_quarantine);
    assert_int_equal(number(s, "SELECT count(*) FROM good WHERE k < 3 OR n % 7 = 0"), 0);
    assert_int_equal(number(s, "SELECT sum(n)::BIGINT FROM (SELECT n FROM good UNION ALL SELECT n FROM bad)"),
                     44999850000);
    /* Order: every row after the one before it. */
    assert_int_equal(number(s, "SELECT count(*) FROM (SELECT n, lag(n) OVER () AS p FROM good) WHERE n <= p"), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM (SELECT n, lag(n) OVER () AS p FROM bad) WHERE n <= p"), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM bad WHERE _reason = 'k_between' AND k < 3 AND n % 7 <> 0"), 771);
    assert_int_equal(number(s, "SELECT count(*) FROM bad WHERE _reason = 'k_between,seven' AND k < 3 AND n % 7 = 0"),
                     129);
    assert_int_equal(number(s, "SELECT count(*) FROM bad WHERE _source_version = 0"), r.rows_quarantine);
    assert_int_equal(r.nreason, 2);
    assert_string_equal(r.reason[0].what, "seven");
    assert_int_equal(r.reason[1].rows, 900);
}

static void test_changes(void **state)
{
    place *s = *state;
    wr_clean_report r;
    write_rows(
        s, "d", WR_DELTA_OVERWRITE,
        "SELECT * FROM (VALUES (1, ' Ab ', '10', 'n'), (2, '?', 'x', 'n'), (3, 'c', NULL, 'n'), (3, 'c', '5', 'n'),"
        "(4, '  ', '7', 'n')) AS v(i, t, x, note)");
    OK(clean(s, &r,
             "checks:\n  - {check: matches, column: t, regex: '[a-z]+', action: quarantine}\n"
             "clean:\n  trim: [t]\n  lower: t\n  missing: {columns: [t], values: ['?', '']}\n"
             "  fill: [{column: t, value: unknown}]\n  cast: {x: long, i: double}\n"
             "  dedupe: {columns: [i], keep: last}\n  drop_columns: [note]\n",
             false));
    assert_int_equal(r.rows_out, 3); /* 2: x is no number; 3: the later one stays */
    assert_int_equal(number(s,
                            "SELECT count(*) FROM good WHERE (i = 1 AND t = 'ab' AND x = 10) OR (i = 3 AND x = 5) OR "
                            "(i = 4 AND t = 'unknown')"),
                     3);
    assert_int_equal(number(s, "SELECT count(*) FROM bad WHERE (_reason = 'cast_x' AND t = '?' AND x = 'x') OR "
                               "(_reason = 'dedupe' AND x IS NULL AND note = 'n')"),
                     2); /* as they were */
    wr_delta_snapshot d;
    OK(wr_dataset_read(&d, s->p, "good", &s->err));
    assert_int_equal(d.nfields, 3);
    assert_string_equal(d.fields[0].type, "double");
    assert_string_equal(d.fields[2].type, "long");
    wr_delta_free(&d);
    assert_string_equal(r.change[0].what, "trim");
    assert_int_equal(r.change[0].rows, 2);
    assert_int_equal(r.change[1].rows, 1);
    assert_int_equal(r.change[2].rows, 2);
    assert_int_equal(r.change[3].rows, 2);
}

static void test_repeats_and_order(void **state)
{
    place *s = *state;
    wr_clean_report r;
    wr_check_report c;
    wr_suite suite;
    static const char text[] = "checks:\n  - {check: unique, columns: [k], action: quarantine}\n"
                               "  - {check: increasing, column: w, action: quarantine, where: k > 0}\n"
                               "  - {check: increasing, column: k}\n";
    write_rows(
        s, "d", WR_DELTA_OVERWRITE,
        "SELECT * FROM (VALUES (1, 10), (2, 30), (2, 31), (3, 20), (0, 5), (4, 32), (NULL, 1), (NULL, 2)) AS v(k, w)");
    OK(clean(s, &r, text, false));
    assert_int_equal(r.rows_quarantine, 3);
    assert_int_equal(
        number(
            s,
            "SELECT count(*) FROM bad WHERE (k = 2 AND w = 31) OR (k = 3 AND w = 20 AND _reason = 'w_increasing') OR "
            "(k IS NULL AND w = 2)"),
        3);
    OK(wr_suite_load(&suite, s->a, at(s, "c.yaml"), &s->err));
    OK(wr_check_run(&c, s->a, s->p, "good", &suite, &s->err));
    assert_true(c.result[0].success);
}

static void test_nothing_to_do(void **state)
{
    place *s = *state;
    wr_clean_report r;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT range AS n FROM range(10)");
    OK(clean(s, &r, "checks:\n  - {check: not_null, column: n, action: quarantine}\n", false));
    assert_int_equal(r.rows_out, 10);
    assert_int_equal(number(s, "SELECT count(*) FROM bad"), 0);
    OK(clean(s, &r, "checks:\n  - {check: sql, where: 'true', action: quarantine}\n", false));
    assert_int_equal(r.rows_out, 0);
    assert_int_equal(number(s, "SELECT count(*) FROM good"), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM bad"), 10);
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS n WHERE false");
    OK(clean(s, &r, "checks:\n  - {check: unique, columns: [n], action: quarantine}\nclean: {dedupe: {columns: n}}\n",
             false));
    assert_int_equal(r.rows_in, 0);
}

static void test_dry_run(void **state)
{
    place *s = *state;
    wr_clean_report r;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT range AS n FROM range(10)");
    OK(clean(s, &r, "checks:\n  - {check: between, column: n, max: 6, action: quarantine}\n", true));
    assert_int_equal(r.rows_quarantine, 3);
    assert_false(wr_dataset_exists(s->p, "good"));
    assert_false(wr_dataset_exists(s->p, "bad"));
}

static void test_lineage(void **state)
{
    place *s = *state;
    wr_clean_report r;
    wr_node node;
    wr_lineage_step *steps;
    size_t n, seen = 0;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT range AS n FROM range(10)");
    OK(clean(s, &r, "checks:\n  - {check: between, column: n, max: 6, action: quarantine}\n", false));
    OK(wr_lineage_find(&node, s->a, s->p, "dataset", "bad", -1, NULL, &s->err));
    OK(wr_lineage_walk(&steps, &n, s->a, s->p, node.id, WR_LINEAGE_PARENTS, &s->err));
    for (size_t i = 0; i < n; i++)
        seen += (strcmp(steps[i].node.kind, "dataset") == 0 && strcmp(steps[i].node.name, "d") == 0) ||
                strcmp(steps[i].node.kind, "file") == 0;
    assert_int_equal(seen, 2);
}

static void test_bad_sections(void **state)
{
    static const struct {
        const char *clean;
        int code;
        const char *says, *hint;
    } cases[] = {
        {"{trm: [t]}", WEIR_EINVAL, "unknown key \"trm\"", "\"trim\""},
        {"{trim: [n]}", WEIR_ETYPE, "needs a string column", ""},
        {"{lower: tt}", WEIR_ENOTFOUND, "no column \"tt\"", "\"t\""},
        {"{fill: {column: n, value: x}}", WEIR_ETYPE, "must be a number", ""},
        {"{fill: {value: 1}}", WEIR_EINVAL, "needs a column", ""},
        {"{cast: {n: duble}}", WEIR_EINVAL, "cannot cast to \"duble\"", "\"double\""},
        {"{cast: [n]}", WEIR_ETYPE, "must be a map", ""},
        {"{dedupe: {columns: [n], keep: both}}", WEIR_EINVAL, "first or last", ""},
        {"{dedupe: {}}", WEIR_EINVAL, "columns", ""},
        {"{drop_columns: [n, t]}", WEIR_EINVAL, "no column would be left", ""},
        {"{missing: {columns: [t]}}", WEIR_EINVAL, "list of values", ""},
        {"[trim]", WEIR_ETYPE, "must be a map", ""},
    };
    place *s = *state;
    wr_clean_report r;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS n, 'x' AS t");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = clean(s, &r, wr_arena_printf(s->a, "clean: %s\n", cases[i].clean), true);
        if (rc != cases[i].code) fail_msg("%s: %d %s", cases[i].clean, rc, s->err.msg);
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS n, 'x' AS _Reason");
    FAILS(WEIR_EINVAL, clean(s, &r, "clean: {dedupe: {columns: n}}\n", true));
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS n");
    assert_true(clean(s, &r, "checks:\n  - {check: sql, name: broken, where: m = 1, action: quarantine}\n", false) < 0);
    SAYS("c.yaml:2:5: check \"broken\"", s->err.msg);
    assert_false(wr_dataset_exists(s->p, "bad"));
}

/* Whatever step fails: the output is as before or complete, and then the quarantine is the one that belongs to it. */
static void test_faults(void **state)
{
    static const wr_fault_kind kinds[] = {WR_FAULT_WRITE, WR_FAULT_FSYNC, WR_FAULT_RENAME};
    static const char text[] = "checks:\n  - {check: between, column: n, max: 6, action: quarantine}\n";
    place *s = *state;
    wr_clean_report r;
    size_t failed = 0;
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT range AS n FROM range(10)");
    OK(clean(s, &r, text, false));
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT range AS n FROM range(20)");
    for (size_t k = 0; k < 3; k++) {
        for (long nth = 1; nth < 30; nth++) {
            wr_suite suite;
            wr_run *run;
            wr_run_opt ro = {"clean", "data-preparation", "d", "test"};
            wr_clean_opt o = {"d", "good", "bad", false};
            OK(wr_suite_load(&suite, s->a, at(s, "c.yaml"), &s->err));
            OK(wr_run_begin(&run, s->p, &ro, &s->err));
            wr_fault_arm(kinds[k], nth, false);
            int rc = wr_clean(&r, s->a, s->p, &o, &suite, run, &s->err);
            bool fired = wr_fault_fired(kinds[k]);
            wr_fault_arm(kinds[k], 0, false);
            OK(wr_run_end(run, rc, &s->err, NULL));
            int64_t good = number(s, "SELECT count(*) FROM good"), bad = number(s, "SELECT count(*) FROM bad");
            failed += rc < 0;
            assert_int_equal(good, 7);
            if (rc == 0) assert_int_equal(bad, 13);
            else assert_true(bad == 3 || bad == 13); /* 13: the commit stands although its fsync failed */
            if (!fired) break;
            wr_dataset_written back;
            OK(wr_dataset_restore(&back, s->p, "bad", 0, &s->err));
        }
    }
    assert_true(failed >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_split, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_changes, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_repeats_and_order, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_nothing_to_do, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_dry_run, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_lineage, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_bad_sections, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_faults, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
