/* SPDX-License-Identifier: Apache-2.0 */
/* energy_test.c - the arm that takes too many joules; whose the joules are, with a machine whose counters the test
 * moves. */
#include "stage/deploy/meter_testing.h"

#include "codec/json.h"
#include "core/card.h"
#include "core/footprint.h"
#include "stage/deploy/drain.h"
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
    multiply_forest(w, forest_json, "costly.json", 2000); /* hundreds of times the work, whatever the kernel */
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

/* ---- the ledger ---- */

typedef struct {
    double units, joules;
} answered;

/* What the ledger has of who answered at the endpoint. */
static answered answered_by(trips *w, const char *endpoint, const char *by)
{
    wr_footprint *f;
    size_t n;
    answered sum = {0};
    char *subject = wr_arena_printf(w->a, "endpoint:%s", endpoint);
    OK(wr_footprint_list(&f, &n, w->a, w->project, "serve", err));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(f[i].subject, subject) != 0 || strcmp(f[i].answered_by, by) != 0) continue;
        sum.units += f[i].units;
        sum.joules += f[i].energy.energy_j;
    }
    return sum;
}

/* Energy is that of the version that answered: of packages, of files, of an arm that is another model later. */
static void test_energy_of_arms(void **state)
{
    trips *w = *state;
    int64_t version;
    trips_promote(w, 0);
    OK(wr_model_register(&version, w->project, "late", w->package[1], "", "challenger", err));
    assert_int_equal(version, 2);
    OK(wr_file_copy(forest_json, trips_path(w, "trees.json"), err));
    OK(wr_file_copy(forest_json, trips_path(w, "b.json"), err));
    OK(wr_file_copy(forest_json, trips_path(w, "c.json"), err));
    wr_serve *s =
        meter_start(w, "endpoints:\n  late: {model: late@champion}\n  trees: {path: trees.json}\n", &wr_rollouts);
    wr_round *round = wr_round_new(s);
    meter_ask_package(w, s, round, 0, 10, "own"); /* no rollout yet */
    OK(wr_rollout_begin(s, WR_STR("late"), WR_STR("mode: switch\nactive: next\narms: {next: {model: late@2}}\n"), err));
    meter_ask_package(w, s, round, 10, 40, "arm");
    const char *spec = "mode: switch\nactive: x\narms: {x: {path: \"%s\"}}\n";
    for (int k = 0; k < 3; k++) { /* b, c, and b again: one name and one version of the arm */
        const char *path = trips_path(w, k == 1 ? "c.json" : "b.json");
        OK(wr_rollout_begin(s, WR_STR("trees"), wr_str_of(wr_arena_printf(w->a, spec, path)), err));
        meter_ask(s, round, 5 << k, "x");
    }
    OK(wr_rollout_back(s, WR_STR("trees"), err));
    meter_ask(s, round, 40, "own");
    meter_burn(0.02);
    meter_set(200, 10);
    OK(wr_serve_footprint(s, false, err));
    answered one = answered_by(w, "late", "model:late@1"), two = answered_by(w, "late", "model:late@2"),
             b = answered_by(w, "trees", trips_path(w, "b.json")), c = answered_by(w, "trees", trips_path(w, "c.json")),
             own = answered_by(w, "trees", trips_path(w, "trees.json"));
    assert_true(one.units == 10 && two.units == 30);
    assert_true(b.units == 25 && c.units == 10 && own.units == 40);
    assert_true(one.joules > 0 && fabs(two.joules - 3 * one.joules) < 1e-9 * two.joules);
    wr_card first = {.model = "late", .version = 1}, second = {.model = "late", .version = 2};
    OK(wr_card_read_serving(&first, w->a, w->project, err));
    OK(wr_card_read_serving(&second, w->a, w->project, err));
    assert_true(first.nenergy == 1 && first.energy[0].units == 10 && first.energy[0].energy_j == one.joules);
    assert_true(second.nenergy == 1 && second.energy[0].units == 30 && second.energy[0].energy_j == two.joules);
    meter_ask_package(w, s, round, 40, 45, "later");
    OK(wr_serve_footprint(s, false, err)); /* what was written once is not again */
    assert_true(answered_by(w, "late", "model:late@2").units == 35 &&
                answered_by(w, "late", "model:late@1").units == 10);
    wr_round_free(round);
    wr_serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_costly_arm_goes), cmocka_unit_test(test_frugal_arm_stays),
                                       cmocka_unit_test(test_energy_of_arms)};
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
