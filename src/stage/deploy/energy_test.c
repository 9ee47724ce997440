/* SPDX-License-Identifier: Apache-2.0 */
/* energy_test.c - joules of a single prediction, with a machine whose counters the test moves. */
#include "stage/deploy/meter_testing.h"

#include "stage/deploy/drain.h"
#include "stage/deploy/keep.h"

static const char forest_json[] = WEIR_SOURCE_DIR "/tests/reference/forests/xgb32_squarederror.json";

static double query(trips *w, const char *what, const char *where)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_buf_printf(&sql, "SELECT CAST(round(1e6 * (%s)) AS BIGINT) FROM \"predictions.trees\" WHERE %s", what, where);
    return (double)trips_number(w, wr_buf_cstr(&sql)) / 1e6;
}

/* 200 J while the processor was busy for 10 s: a second of work took 20 J, if this process had it to itself. */
static void test_joules_of_a_prediction(void **state)
{
    trips *w = *state;
    wr_drained d;
    wr_energy e;
    OK(wr_file_copy(forest_json, trips_path(w, "trees.json"), err));
    wr_serve *s = meter_start(w, "endpoints:\n  trees: {path: trees.json, log: all}\n", NULL);
    wr_round *round = wr_round_new(s);
    meter_ask(s, round, 1, "before");
    assert_false(wr_serve_energy_method(&e, s));
    wr_serve_energy_tick(s); /* too little to say something: the window goes on */
    meter_ask(s, round, 1, "still");
    meter_burn(0.05);
    meter_set(200, 10);
    wr_serve_energy_tick(s);
    assert_true(wr_serve_energy_method(&e, s));
    assert_true(e.tier == 'B' && e.rel_uncertainty > 0 && strstr(e.source, "rapl package-0"));
    meter_ask(s, round, 1, "one");
    meter_ask(s, round, 4, "four");
    meter_burn(0.05);
    meter_set(200 + 50, 20); /* a quarter of that */
    wr_serve_energy_tick(s);
    meter_ask(s, round, 1, "later");
    meter_burn(0.05);
    wr_serve_energy_tick(s); /* the counter stands: there is no telling what the work took */
    OK(wr_serve_drain(&d, s, err));
    assert_int_equal(d.predictions, 8);
    assert_true(query(w, "count(*)", "joules IS NULL AND prediction_id IN ('before', 'still')") == 2);
    /* joules a second of latency, of which a request is worked on for a part; rows of one request have the same. A
     * process that is stopped in between may take longer than it works. */
    double one = query(w, "any_value(joules / latency_us * 1e6)", "prediction_id = 'one'");
    double four = query(w, "sum(joules) / max(latency_us) * 1e6", "prediction_id LIKE 'four/%'");
    double later = query(w, "any_value(joules / latency_us * 1e6)", "prediction_id = 'later'");
    if (!(one > 0 && one <= 20.01)) fail_msg("%g J a second", one);
    if (!(four > 0 && four <= 20.01)) fail_msg("%g J a second", four);
    assert_true(query(w, "1e9 * (max(joules) - min(joules))", "prediction_id LIKE 'four/%'") == 0);
    if (!(later > 0 && later <= 5.01)) fail_msg("%g J a second", later);
    wr_round_free(round);
    wr_serve_close(s);
}

/* What the predictions of a window are given is never more than what the process used in it. */
static void test_never_more_than_there_was(void **state)
{
    trips *w = *state;
    wr_drained d;
    multiply_forest(w, forest_json, "trees.json", 20);
    wr_serve *s = meter_start(w, "endpoints:\n  trees: {path: trees.json, log: all}\n", NULL);
    wr_round *round = wr_round_new(s);
    double used = 0, cpu = wr_clock_cpu_s();
    for (int window = 0; window < 5; window++) {
        for (int i = 0; i < 200 || wr_clock_cpu_s() - cpu < 0.02; i++)
            meter_ask(s, round, FOREST_ROWS, window == 4 ? "last" : "x");
        if (window == 4) break;
        used = wr_clock_cpu_s() - cpu;
        cpu += used;
        meter_set(100 * (window + 1), 10 * (window + 1));
        wr_serve_energy_tick(s);
    }
    OK(wr_serve_drain(&d, s, err));
    double given = query(w, "sum(joules)", "prediction_id LIKE 'last/%'"),
           took = query(w, "sum(latency_us) / 1e6 / max(40)", "prediction_id LIKE 'last/%'");
    assert_true(used > 0 && given > 0);
    assert_true(given <= 10.01 * took); /* 10 J a second of the processor, all of it ours at most */
    wr_round_free(round);
    wr_serve_close(s);
}

/* A package's are in its records as well, which have no time but this. */
static void test_joules_of_a_package(void **state)
{
    trips *w = *state;
    wr_drained d;
    trips_promote(w, 0);
    wr_serve *s = meter_start(w, "endpoints:\n  late: {model: late@champion}\n", NULL);
    wr_round *round = wr_round_new(s);
    meter_ask_package(w, s, round, 0, 1, "early");
    meter_burn(0.05);
    meter_set(200, 10);
    wr_serve_energy_tick(s);
    int64_t began = wr_clock_mono_ns();
    meter_ask_package(w, s, round, 10, 60, "fifty");
    double took = (double)(wr_clock_mono_ns() - began) / 1e9;
    OK(wr_serve_drain(&d, s, err));
    assert_int_equal(d.predictions, 51);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.late\" WHERE prediction_id = 'early' AND joules IS NULL"),
        1);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.late\" WHERE prediction_id LIKE 'fifty/%' AND joules > 0"),
        50);
    int64_t nano = trips_number(
        w, "SELECT CAST(sum(joules) * 1e9 AS BIGINT) FROM \"predictions.late\" WHERE prediction_id LIKE 'fifty/%'");
    assert_true(nano > 0 && (double)nano / 1e9 <= 20.01 * took); /* at most 20 J a second of the time they took */
    wr_round_free(round);
    wr_serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joules_of_a_prediction),
        cmocka_unit_test(test_never_more_than_there_was),
        cmocka_unit_test(test_joules_of_a_package),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
