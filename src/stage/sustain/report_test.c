/* SPDX-License-Identifier: Apache-2.0 */
/* report_test.c - the report's figures are the sums of the ledger's rows, and nothing else. */
#include "stage/sustain/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/mem.h"
#include "io/file.h"
#include "store/pg_testing.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        wr_err e_ = {0};                                                                                               \
        wr_err *err = &e_;                                                                                             \
        if ((call) < 0) fail_msg("%s: %s %s", #call, e_.msg, e_.detail);                                               \
    } while (0)

typedef struct {
    wr_arena *a;
    char *dir;
    wr_project *p;
} world;

static void config(world *w, const char *text)
{
    wr_project_close(w->p);
    w->p = NULL;
    OK(wr_file_write(wr_path_join(w->a, w->dir, "weir.yaml"), wr_str_of(text), err));
    OK(wr_project_open(&w->p, w->dir, err));
}

static int setup(void **state)
{
    world *w = wr_calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    w->a = wr_arena_new(0);
    w->dir = wr_arena_printf(w->a, "%s/weir-sustain-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(wr_pg_testing_project(), 0);
    OK(wr_project_init(w->dir, err));
    config(w, "carbon: {intensity: 360, pue: 2}\n"); /* 1 J = 0.0002 g */
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    wr_project_close(w->p);
    wr_file_remove_tree(w->dir, NULL);
    wr_arena_free(w->a);
    wr_free(w);
    return 0;
}

static void spend(world *w, const char *stage, double joules, double rel, char tier, double units, const char *unit)
{
    wr_footprint f = {.t0_us = 1000,
                      .t1_us = 2000000,
                      .stage = stage,
                      .activity = "training",
                      .run_id = "",
                      .subject = "",
                      .wall_s = 2,
                      .cpu_s = 3,
                      .max_rss = joules,
                      .units = units,
                      .unit = unit,
                      .energy = {.energy_j = joules,
                                 .active_j = joules / 4,
                                 .idle_j = joules * 3 / 4,
                                 .rel_uncertainty = rel,
                                 .tier = tier}};
    snprintf(f.energy.source, sizeof f.energy.source, "meter %c", tier);
    OK(wr_footprint_add(w->p, &f, err));
}

static void make(wr_sustain_report *r, world *w) { OK(wr_sustain_report_make(r, w->a, w->p, INT64_MIN, err)); }

static bool near(double a, double b) { return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b)); }

static void test_empty(void **state)
{
    world *w = *state;
    wr_sustain_report r;
    make(&r, w);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.nsources, 0);
    assert_true(r.total.energy_j == 0 && r.total.runs == 0 && r.predictions == 0);
}

static void test_sums(void **state)
{
    world *w = *state;
    wr_sustain_report r;
    spend(w, "train", 100, 0.3, 'C', 10, "rows");
    spend(w, "evaluate", 10, 0.1, 'A', 0, "");
    spend(w, "train", 300, 0.1, 'A', 30, "rows");
    make(&r, w);
    assert_int_equal(r.n, 2);
    const wr_sustain_stage *t = &r.stages[0];
    assert_string_equal(t->stage, "train"); /* in order of first appearance */
    assert_int_equal(t->runs, 2);
    assert_true(near(t->energy_j, 400) && near(t->wall_s, 4) && near(t->cpu_s, 6) && t->max_rss == 300);
    assert_true(near(t->active_j, 100) && near(t->idle_j, 300));
    assert_true(near(t->energy_lo_j, 70 + 270) && near(t->energy_hi_j, 130 + 330)); /* added linearly */
    assert_true(near(t->gco2e, 0.08) && near(t->gco2e_lo, 0.068) && near(t->gco2e_hi, 0.092));
    assert_true(t->units == 40);
    assert_string_equal(t->unit, "rows");
    assert_int_equal(r.total.runs, 3);
    assert_true(near(r.total.energy_j, 410) && near(r.total.gco2e, 0.082));
    assert_true(r.total.units == 0);
    assert_string_equal(r.total.unit, "");
    assert_int_equal(r.nsources, 2);
    assert_true(near(r.sources[0].energy_j, 100) && near(r.sources[1].energy_j, 310));
    assert_int_equal(r.ngrids, 1);
    assert_true(r.grids[0].g_per_kwh == 360 && near(r.grids[0].energy_j, 410));
}

static void test_units(void **state)
{
    world *w = *state;
    wr_sustain_report r;
    spend(w, "a", 1, 0, 'A', 0, "");
    spend(w, "a", 1, 0, 'A', 5, "rows"); /* the failed run before does not hide the rows */
    spend(w, "a", 1, 0, 'A', 0, "");
    spend(w, "b", 1, 0, 'A', 5, "rows");
    spend(w, "b", 1, 0, 'A', 1, "run");
    spend(w, "b", 1, 0, 'A', 9, "rows");
    make(&r, w);
    assert_true(r.stages[0].units == 5 && !r.stages[0].mixed);
    assert_string_equal(r.stages[0].unit, "rows");
    assert_true(r.stages[1].units == 0 && r.stages[1].mixed);
    assert_string_equal(r.stages[1].unit, "");
}

static void test_uncertainty_beyond_everything(void **state)
{
    world *w = *state;
    wr_sustain_report r;
    spend(w, "a", 10, 1.5, 'C', 0, "");
    make(&r, w);
    assert_true(r.total.energy_lo_j == 0 && r.total.gco2e_lo == 0 && near(r.total.energy_hi_j, 25));
    assert_true(r.sources[0].rel_uncertainty == 1.5);
}

static void test_serving(void **state)
{
    world *w = *state;
    wr_sustain_report r;
    WR_AUTOBUF wr_buf b;
    WR_AUTOJSON wr_json j = {0};
    wr_jsonw jw;
    wr_buf_init(&b, 0);
    spend(w, "train", 5000, 0.3, 'C', 1, "run");
    spend(w, "serve", 40, 0.3, 'C', 3000, "predictions");
    spend(w, "serve", 20, 0.3, 'C', 1000, "predictions");
    make(&r, w);
    assert_true(r.predictions == 4000 && near(r.serve_j, 60) && near(r.serve_active_j, 15) && near(r.serve_idle_j, 45));
    wr_jsonw_init(&jw, &b, 2);
    wr_sustain_report_json(&jw, &r);
    OK(wr_json_parse(&j, wr_buf_view(&b), "report", err));
    yyjson_val *s = yyjson_obj_get(j.root, "serving"), *sci = yyjson_obj_get(s, "sci");
    double v;
    OK(wr_json_f64(&v, s, "energy_j_per_1000", err));
    assert_true(near(v, 15));
    OK(wr_json_f64(&v, s, "idle_j_per_1000", err));
    assert_true(near(v, 11.25));
    OK(wr_json_f64(&v, sci, "gco2e", err));
    assert_true(near(v, 0.003));
    OK(wr_json_f64(&v, sci, "gco2e_lo", err));
    assert_true(near(v, 0.0021));
    assert_false(yyjson_get_bool(yyjson_obj_get(sci, "embodied_included")));
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(j.root, "stages")), 2);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(j.root, "not_included")), 2);
    yyjson_val *serve = yyjson_arr_get(yyjson_obj_get(j.root, "stages"), 1);
    OK(wr_json_f64(&v, serve, "energy_j_per_unit", err));
    assert_true(near(v, 0.015));
}

/* A row keeps the grid it was counted with. */
static void test_two_grids(void **state)
{
    world *w = *state;
    wr_sustain_report r;
    spend(w, "a", 100, 0, 'A', 0, "");
    config(w, "carbon: {intensity: 36}\n");
    spend(w, "a", 100, 0, 'A', 0, "");
    make(&r, w);
    assert_int_equal(r.ngrids, 2);
    assert_true(near(r.total.gco2e, 0.02 + 0.001));
    assert_true(r.carbon.g_per_kwh == 36);
}

static void test_since(void **state)
{
    world *w = *state;
    wr_sustain_report r;
    spend(w, "a", 100, 0, 'A', 0, "");
    OK(wr_sustain_report_make(&r, w->a, w->p, 2000000, err));
    assert_int_equal(r.n, 1); /* ended at that moment */
    OK(wr_sustain_report_make(&r, w->a, w->p, 2000001, err));
    assert_int_equal(r.n, 0);
}

static void test_csv(void **state)
{
    world *w = *state;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    spend(w, "a,\"b\"\n", 3.6e6, 0, 'A', 0, "");
    spend(w, "c", 0, 0, 'A', 0, "");
    OK(wr_sustain_csv(&b, w->p, err));
    wr_str rest = wr_buf_view(&b), head = wr_str_cut(&rest, '\n');
    assert_true(wr_str_starts(head, "timestamp,project_name,run_id,"));
    assert_true(wr_str_starts(rest, "1970-01-01T00:00:02Z,\"a,\"\"b\"\"\n\",,training,2,0.72,0.36,1,0,1,"));
    assert_non_null(strstr(rest.p, ",process,2\n"));
    wr_str last = rest;
    size_t commas = 0, columns = 0;
    for (wr_str line = rest; line.p; line = wr_str_cut(&rest, '\n'))
        if (line.n) last = line;
    for (size_t i = 0; i < last.n; i++) commas += last.p[i] == ',';
    for (size_t i = 0; i < head.n; i++) columns += head.p[i] == ',';
    assert_int_equal(commas, columns);
}

static void test_faults(void **state)
{
    world *w = *state;
    for (int i = 0; i < 5; i++) spend(w, "a", 1, 0, 'A', 0, "");
    for (long nth = 1; nth < 500; nth++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        WR_AUTOBUF wr_buf b;
        wr_sustain_report r;
        wr_buf_init(&b, 0);
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_sustain_report_make(&r, a, w->p, INT64_MIN, NULL);
        if (rc == 0) rc = wr_sustain_csv(&b, w->p, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (rc < 0) assert_int_equal(rc, WEIR_ENOMEM);
        if (!fired) return;
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_units, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uncertainty_beyond_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_serving, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_grids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_since, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
