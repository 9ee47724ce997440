/* SPDX-License-Identifier: Apache-2.0 */
/* energy_test.c - the arm that takes too many joules, with a machine whose counters the test moves. */
#include "stage/deploy/meter_testing.h"

#include "codec/json.h"
#include "stage/rollout/run.h"

static const char forest_json[] = WEIR_SOURCE_DIR "/tests/reference/forests/xgb32_squarederror.json";

static bool in_phase(wr_serve *s, const char *phase, const char *why)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    OK(wr_rollout_status(&b, s, WR_STR("trees"), err));
    OK(wr_json_parse(&j, wr_buf_view(&b), "status", err));
    return strcmp(yyjson_get_str(yyjson_obj_get(j.root, "phase")), phase) == 0 &&
           (!why || strstr(yyjson_get_str(yyjson_obj_get(j.root, "why")), why));
}

static double number(wr_serve *s, const char *pointer)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    OK(wr_rollout_status(&b, s, WR_STR("trees"), err));
    OK(wr_json_parse(&j, wr_buf_view(&b), "status", err));
    return yyjson_get_num(yyjson_ptr_get(j.root, pointer));
}

/* Half of the requests go to `other`; seconds are the test's, each of 100 J. Returns after how many of at most
 * `seconds` it is back. */
static int roll(trips *w, wr_serve *s, const char *other, int seconds)
{
    char *spec = wr_arena_printf(w->a,
                                 "arms: {other: {path: \"%s\"}}\nguardrails: {joules: {worse_by: 300%%}}\n"
                                 "min_samples: 60\nmin_time: 0s\nsteps: {interval: 1h, step_weight: 50%%}\n",
                                 trips_path(w, other));
    wr_round *round = wr_round_new(s);
    int n = 0;
    OK(wr_rollout_begin(s, WR_STR("trees"), wr_str_of(spec), err));
    wr_rollout_tick(s); /* what came before is not the arms' */
    while (n < seconds && in_phase(s, "running", NULL)) {
        for (int i = 0; i < 24; i++) meter_ask(s, round, FOREST_ROWS, "x");
        n++;
        meter_set(100 * n, 10 * n);
        wr_rollout_tick(s);
    }
    wr_round_free(round);
    return n;
}

static void test_costly_arm_goes(void **state)
{
    trips *w = *state;
    OK(wr_file_copy(forest_json, trips_path(w, "trees.json"), err));
    multiply_forest(w, forest_json, "costly.json", 150);
    wr_serve *s = meter_start(w, "endpoints:\n  trees: {path: trees.json}\n", &wr_rollouts);
    int n = roll(w, s, "costly.json", 60);
    assert_in_range(n, 10, 59); /* not before ten seconds have been compared */
    assert_true(in_phase(s, "rolled_back", "joules"));
    assert_true(number(s, "/arms/0/share") == 1 && number(s, "/arms/1/share") == 0);
    assert_true(number(s, "/arms/1/joules_1000") > 4 * number(s, "/arms/0/joules_1000"));
    assert_true(number(s, "/arms/1/errors") == 0);
    wr_serve_close(s);
}

static void test_frugal_arm_stays(void **state)
{
    trips *w = *state;
    multiply_forest(w, forest_json, "trees.json", 20);
    OK(wr_file_copy(trips_path(w, "trees.json"), trips_path(w, "same.json"), err));
    wr_serve *s = meter_start(w, "endpoints:\n  trees: {path: trees.json}\n", &wr_rollouts);
    assert_int_equal(roll(w, s, "same.json", 40), 40);
    assert_true(in_phase(s, "running", NULL));
    assert_true(number(s, "/arms/1/joules_1000") > 0); /* it was judged */
    wr_serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_costly_arm_goes), cmocka_unit_test(test_frugal_arm_stays)};
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
