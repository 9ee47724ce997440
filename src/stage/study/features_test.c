/* SPDX-License-Identifier: Apache-2.0 */
/* features_test.c - what a study says of where a server finds features: tables and online state behind a feature
 * service that are missing, empty, of another view, or too old. */
#include "stage/deploy/looking_testing.h"

#include "stage/study/study_inside.h"

/* A check of the study of a model: its state, and what it says. */
static void checked(trips *w, wr_feasibility_fn *check, const char *model, const char *target, wr_check_state state,
                    const char *part)
{
    wr_feasibility_target t;
    wr_feasibility_report report = {.model = model};
    wr_feasibility_opt opt = {.model = model, .target = &t, .seconds = 0.1, .seed = 1};
    wr_feasibility_work k = {.a = w->a, .p = w->project, .opt = &opt, .t = &t, .report = &report};
    wr_feasibility_result *r = &report.results[1];
    OK(wr_feasibility_target_parse(&t, w->a, wr_str_of(target), "target.yaml", err));
    OK(wr_feasibility_open(&k, err));
    OK(wr_feasibility_rows(&k, err));
    OK(check(&k, r, err));
    wr_feasibility_close(&k);
    if (r->state != state || !strstr(r->measured, part))
        fail_msg("%s is %s: %s, not %s: %s", model, wr_check_states[r->state], r->measured, wr_check_states[state],
                 part);
}

static void studied(trips *w, const char *model, const char *target, wr_check_state state, const char *part)
{
    checked(w, wr_check_missing, model, target, state, part);
}

static void write_state(trips *w)
{
    wr_online *o;
    const char *path;
    wr_cell cells[4];
    WR_AUTOBUF wr_buf b = {0};
    OK(wr_online_new(&o, w->view, err));
    for (size_t i = 0; i < w->events->nrows; i++) {
        trips_event(w, i, cells);
        OK(wr_online_add(o, w->events->cols[0].i64[i], cells, err));
    }
    OK(wr_online_save(o, &b, err));
    wr_online_free(o);
    OK(wr_noun_online_path(&path, w->project, "looking", err));
    OK(wr_file_write(path, wr_buf_view(&b), err));
}

static void test_study(void **state)
{
    trips *w = *state;
    const char *model = trips_path(w, "m.json"), *path;
    int64_t last = TRIPS_FROM_US + (TRIPS - 1) * TRIP_US;
    reopen(w, services);
    studied(w, model, "", WR_CHECK_FAIL, "2 lookups of view \"looking\" have no tables");
    studied(w, "late@champion", "", WR_CHECK_FAIL, "2 lookups of view \"looking\" have no tables");
    write_tables(w, 0); /* of a time when nothing was known */
    studied(w, model, "", WR_CHECK_FAIL, "are empty");
    write_tables(w, last);
    studied(w, model, "", WR_CHECK_WARN, "its windows fill as events come");
    write_state(w);
    checked(w, wr_check_degraded, "late@champion", "", WR_CHECK_PASS, ""); /* the input it leaves out is a needed one */
    studied(w, model, "", WR_CHECK_PASS, "features of view \"looking\" for every input");
    trips_write(
        w, "weir.yaml",
        "feature_services: {split: {views: [a.yaml, b.yaml]}}\nendpoints:\n  two: {path: m.json, features: split}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    studied(w, model, "", WR_CHECK_WARN, "\"looking_a\" is empty");
    trips_write(w, "weir.yaml", services);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    studied(w, "late@champion", "", WR_CHECK_WARN, "nulls not compared"); /* nobody wrote the training table */
    studied(w, model, "features: {max_age: 1d}\n", WR_CHECK_FAIL, "the lookup tables are"); /* of 2001 */
    studied(w, "late@champion", "features: {max_age: 1d}\n", WR_CHECK_WARN,
            "nulls not compared"); /* as the newest row sees it */
    write_tables(w, wr_clock_wall_us());
    studied(w, model, "features: {max_age: 1d}\n", WR_CHECK_FAIL, "the newest event of the online state is");
    OK(wr_noun_online_path(&path, w->project, "looking", err));
    trips_write(w, "features.yaml",
                wr_arena_printf(w->a, "%s", trip_view)); /* tax, size, opened are no features of this one */
    studied(w, model, "", WR_CHECK_FAIL, "view \"trips_features\" has no feature \"tax\", and others");
    trips_write(w, "features.yaml", view_text);
}

static int make(void **state) { return looking_make(state, WEIR_SOURCE_DIR); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_study),
    };
    return cmocka_run_group_tests(tests, make, looking_end);
}
