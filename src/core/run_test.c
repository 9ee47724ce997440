/* SPDX-License-Identifier: Apache-2.0 */
/* run_test.c - runs: what is written at the start and at the end, failures, runs joined from a pipeline, look-up by
 * prefix. */
#include "core/core_testing.h"

#include <math.h>

#include "base/clock.h"
#include "base/fault.h"
#include "codec/json.h"
#include "core/run.h"

static const wr_run_opt train = {"train", "training", "delay", "weir model train train.yaml"};

static wr_run *begin(place *s, const wr_run_opt *opt)
{
    wr_run *r = NULL;
    OK(wr_run_begin(&r, s->p, opt, &s->err));
    return r;
}

static wr_run_row row_of(place *s, const char *id)
{
    wr_run_row row = {0};
    OK(wr_run_get(&row, s->a, s->p, id, &s->err));
    return row;
}

static void test_finished(void **state)
{
    place *s = *state;
    wr_run *r = begin(s, &train);
    char id[33];
    snprintf(id, sizeof id, "%s", wr_run_id(r));
    assert_int_equal(strlen(id), 32);
    wr_run_row row = row_of(s, id); /* visible from its start: a run that is killed stays "running" */
    assert_string_equal(row.status, "running");
    assert_int_equal(row.ended_us, 0);
    wr_run_param(r, "learner", "trees");
    wr_run_param(r, "learner", "linear"); /* the last one counts */
    wr_run_param(r, "none", NULL);
    wr_run_metric(r, "auc", 0.75);
    wr_run_metric(r, "undefined", NAN);
    wr_run_units(r, 1000, "rows");
    OK(wr_run_end(r, 0, NULL, &s->err));
    reopen(s);
    row = row_of(s, id);
    assert_string_equal(row.status, "finished");
    assert_string_equal(row.kind, "train");
    assert_string_equal(row.name, "delay");
    assert_string_equal(row.command, "weir model train train.yaml");
    assert_string_equal(row.error, "");
    assert_true(row.ended_us >= row.started_us && row.started_us > 0);
    wr_run_item *items;
    size_t n;
    OK(wr_run_params(&items, &n, s->a, s->p, id, &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(items[0].key, "learner");
    assert_string_equal(items[0].value, "linear");
    assert_string_equal(items[1].value, "");
    OK(wr_run_metrics(&items, &n, s->a, s->p, id, &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(items[0].key, "auc");
    assert_true(items[0].number == 0.75);
    assert_true(isnan(items[1].number));
    wr_footprint *f;
    OK(wr_footprint_list(&f, &n, s->a, s->p, "train", &s->err));
    assert_int_equal(n, 1);
    assert_string_equal(f[0].run_id, id);
    assert_string_equal(f[0].activity, "training");
    assert_string_equal(f[0].subject, "delay");
    assert_true(f[0].units == 1000 && strcmp(f[0].unit, "rows") == 0);
    assert_true(f[0].wall_s > 0 && f[0].wall_s < 60 && f[0].max_rss > 1e6);
}

static void test_failed(void **state)
{
    place *s = *state;
    static const struct {
        int rc;
        const char *status;
    } cases[] = {{WEIR_EIO, "failed"}, {WEIR_ENO, "refused"}};
    for (size_t i = 0; i < 2; i++) {
        wr_run *r = begin(s, &train);
        wr_err why = {0};
        char id[33];
        wr_node in = {.kind = "file", .name = "a", .hash = "aaaaaaaa", .version = -1};
        wr_err_set(&why, cases[i].rc, "the disk said \"no\"");
        snprintf(id, sizeof id, "%s", wr_run_id(r));
        wr_run_metric(r, "auc", 0.5);
        wr_run_input(r, &in);
        OK(wr_run_end(r, cases[i].rc, &why, &s->err));
        wr_run_row row = row_of(s, id);
        assert_string_equal(row.status, cases[i].status);
        assert_string_equal(row.error, "the disk said \"no\"");
        assert_true(row.ended_us > 0);
        wr_run_item *items;
        size_t n;
        OK(wr_run_metrics(&items, &n, s->a, s->p, id, &s->err)); /* also after failure */
        assert_int_equal(n, 1);
    }
    wr_footprint *f;
    size_t n;
    OK(wr_footprint_list(&f, &n, s->a, s->p, NULL, &s->err)); /* failed work has cost as well */
    assert_int_equal(n, 2);
}

static void test_lineage_of_a_run(void **state)
{
    place *s = *state;
    wr_run_opt odd = {"train", NULL, "a \"quoted\" name", NULL};
    wr_run *r = begin(s, &odd);
    char id[33];
    wr_node in = {.kind = "dataset", .name = "rows", .hash = "aaaaaaaaaa", .version = 3},
            out = {.kind = "package", .name = "delay", .hash = "bbbbbbbbbb", .version = -1}, found;
    snprintf(id, sizeof id, "%s", wr_run_id(r));
    wr_run_input(r, &in);
    wr_run_output(r, &out);
    OK(wr_run_end(r, 0, NULL, &s->err));
    OK(wr_lineage_find(&found, s->a, s->p, "package", "delay", -1, NULL, &s->err));
    wr_lineage_step *steps;
    size_t n;
    OK(wr_lineage_walk(&steps, &n, s->a, s->p, found.id, WR_LINEAGE_PARENTS, &s->err));
    assert_int_equal(n, 4); /* package, run, and the run's code and rows */
    assert_string_equal(steps[1].node.kind, "run");
    assert_string_equal(steps[1].node.name, id);
    bool code = false, rows = false;
    for (size_t i = 2; i < 4; i++) {
        code |= strcmp(steps[i].node.kind, "code") == 0 && strcmp(steps[i].node.name, "test") == 0;
        rows |= strcmp(steps[i].node.name, "rows") == 0 && steps[i].node.version == 3;
    }
    assert_true(code && rows);
    WR_AUTOJSON wr_json j = {0};
    wr_str name;
    OK(wr_json_parse(&j, wr_str_of(steps[1].node.detail), "detail", &s->err));
    OK(wr_json_str(&name, j.root, "name", &s->err));
    assert_string_equal(name.p, "a \"quoted\" name");
}

static void test_joined(void **state)
{
    place *s = *state;
    char id[33];
    wr_run_row *rows;
    size_t n;
    OK(wr_run_open_stage(id, s->p, "train", "weir model train", &s->err));
    setenv("WEIR_RUN_ID", id, 1);
    wr_run *r = begin(s, &train);
    assert_string_equal(wr_run_id(r), id);
    wr_run_metric(r, "auc", 0.7);
    OK(wr_run_end(r, 0, NULL, &s->err));
    assert_string_equal(row_of(s, id).status, "running"); /* the runner ends it */
    wr_run_usage use = {
        .wall_s = 2, .cpu_s = 1, .max_rss = 3, .read_bytes = 4, .write_bytes = 5, .t0_us = 10, .t1_us = 20};
    use.energy.energy_j = 3.6e6;
    use.energy.tier = 'C';
    OK(wr_run_close_stage(s->p, id, "train", &use, &s->err));
    wr_run_row row = row_of(s, id);
    assert_string_equal(row.status, "finished");
    assert_string_equal(row.kind, "stage");
    OK(wr_run_list(&rows, &n, s->a, s->p, 0, &s->err));
    assert_int_equal(n, 1);
    wr_footprint *f;
    OK(wr_footprint_list(&f, &n, s->a, s->p, NULL, &s->err));
    assert_int_equal(n, 1); /* the process is metered once, by the runner */
    assert_true(f[0].wall_s == 2 && f[0].cpu_s == 1 && f[0].write_bytes == 5 && f[0].t1_us == 20);
    unsetenv("WEIR_RUN_ID");
}

/* The reason a stage's command gives is better than its exit code; without one the exit code has to do. */
static void test_joined_failure(void **state)
{
    place *s = *state;
    static const struct {
        int exit_code;
        bool says_why;
        const char *status, *error;
    } cases[] = {{2, true, "failed", "no such column"},
                 {2, false, "failed", "exit code 2"},
                 {1, false, "refused", "exit code 1"},
                 {0, true, "finished", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char id[33];
        wr_run_usage use = {.exit_code = cases[i].exit_code, .energy = {.tier = 'C'}};
        OK(wr_run_open_stage(id, s->p, "train", "x", &s->err));
        setenv("WEIR_RUN_ID", id, 1);
        if (cases[i].says_why) {
            wr_err why = {0};
            wr_err_set(&why, WEIR_EINVAL, "no such column");
            OK(wr_run_end(begin(s, &train), WEIR_EINVAL, &why, &s->err));
        }
        unsetenv("WEIR_RUN_ID");
        OK(wr_run_close_stage(s->p, id, "train", &use, &s->err));
        assert_string_equal(row_of(s, id).status, cases[i].status);
        assert_string_equal(row_of(s, id).error, cases[i].error);
    }
}

/* An id left over in the environment, or of another project, is not joined. */
static void test_foreign_id(void **state)
{
    place *s = *state;
    static const char *const ids[] = {"0123456789abcdef0123456789abcdef", "short", "", "zz"};
    for (size_t i = 0; i < 4; i++) {
        setenv("WEIR_RUN_ID", ids[i], 1);
        wr_run *r = begin(s, &train);
        assert_string_not_equal(wr_run_id(r), ids[i]);
        wr_run_metric(r, "auc", 0.7);
        OK(wr_run_end(r, 0, NULL, &s->err));
    }
    unsetenv("WEIR_RUN_ID");
}

/* A mistake in weir.yaml is found before the work is done, not when it is to be recorded. */
static void test_bad_config_first(void **state)
{
    place *s = *state;
    wr_run *r;
    wr_run_row *rows;
    size_t n;
    static const char *const texts[] = {"carbon: {region: DEUU}\n", "carbn: {}\n", "carbon: {intensity: -3}\n"};
    for (size_t i = 0; i < 3; i++) {
        put(s, "weir.yaml", texts[i]);
        reopen(s);
        FAILS(WEIR_EINVAL, wr_run_begin(&r, s->p, &train, &s->err));
        SAYS("weir.yaml:1:", s->err.msg);
        OK(wr_run_list(&rows, &n, s->a, s->p, 0, &s->err));
        assert_int_equal(n, 0);
    }
}

static void test_look_up(void **state)
{
    place *s = *state;
    char first[33] = "";
    wr_run_row row, *rows;
    size_t n;
    for (int i = 0; i < 40; i++) {
        wr_run *r = begin(s, &train);
        if (i == 0) snprintf(first, sizeof first, "%s", wr_run_id(r));
        OK(wr_run_end(r, 0, NULL, &s->err));
    }
    char prefix[13];
    snprintf(prefix, sizeof prefix, "%.12s", first);
    OK(wr_run_get(&row, s->a, s->p, prefix, &s->err));
    assert_string_equal(row.id, first);
    int ambiguous = 0;
    for (int d = 0; d < 16; d++) { /* 40 runs, 16 first digits: one of them is shared */
        const char digit[2] = {"0123456789abcdef"[d], 0};
        s->err = (wr_err){0};
        int rc = wr_run_get(&row, s->a, s->p, digit, &s->err);
        if (rc == WEIR_EINVAL) {
            ambiguous++;
            SAYS("more than one run", s->err.msg);
        }
    }
    assert_true(ambiguous > 0);
    FAILS(WEIR_EINVAL, wr_run_get(&row, s->a, s->p, "", &s->err));
    FAILS(WEIR_ENOTFOUND, wr_run_get(&row, s->a, s->p, "nothing' OR 1=1 --", &s->err));
    assert_true(s->err.hint[0]);
    OK(wr_run_list(&rows, &n, s->a, s->p, 7, &s->err));
    assert_int_equal(n, 7);
    for (size_t i = 1; i < n; i++) assert_true(rows[i - 1].started_us >= rows[i].started_us);
}

/* Ending is one transaction: when it fails the run stays "running", without half of its lineage or metrics. */
static void test_end_fails(void **state)
{
    place *s = *state;
    wr_run *r = begin(s, &train);
    char id[33];
    wr_node bad = {.kind = "dataset", .name = NULL, .hash = "x", .version = 1},
            good = {.kind = "file", .name = "a", .hash = "aaaaaa"};
    snprintf(id, sizeof id, "%s", wr_run_id(r));
    wr_run_metric(r, "auc", 1);
    wr_run_output(r, &good);
    wr_run_output(r, &bad); /* no name: the database refuses it */
    s->err = (wr_err){0};
    assert_true(wr_run_end(r, 0, NULL, &s->err) < 0);
    assert_string_equal(row_of(s, id).status, "running");
    wr_node found;
    wr_run_item *items;
    size_t n;
    FAILS(WEIR_ENOTFOUND, wr_lineage_find(&found, s->a, s->p, "file", "a", -1, NULL, &s->err));
    OK(wr_run_metrics(&items, &n, s->a, s->p, id, &s->err));
    assert_int_equal(n, 0);
}

static void test_out_of_memory(void **state)
{
    place *s = *state;
    wr_db *db;
    OK(wr_project_db(&db, s->p, &s->err));
    int failed = 0, nth = 1;
    for (; nth < 400; nth++) {
        wr_run *r = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_run_begin(&r, s->p, &train, NULL);
        if (rc == 0) {
            wr_run_param(r, "a", "b");
            wr_node in = {.kind = "file", .name = "a", .hash = "aaaaaa"};
            wr_run_input(r, &in);
            rc = wr_run_end(r, 0, NULL, NULL);
        }
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        failed += rc < 0;
        if (!fired) break;
    }
    assert_true(failed > 5 && nth < 400);
    OK(wr_run_end(begin(s, &train), 0, NULL, &s->err));
}

static void test_code_version(void **state)
{
    place *s = *state;
    assert_string_equal(wr_run_code_version(s->p), "test");
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_finished),       T(test_failed),        T(test_lineage_of_a_run), T(test_joined),
        T(test_joined_failure), T(test_foreign_id),    T(test_bad_config_first), T(test_look_up),
        T(test_end_fails),      T(test_out_of_memory), T(test_code_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
