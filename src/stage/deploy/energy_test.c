/* SPDX-License-Identifier: Apache-2.0 */
/* energy_test.c - joules of a single prediction, and the arm that takes too many: with a machine whose counters the
 * test moves. */
#include "stage/deploy/meter_testing.h"

#include <yyjson.h>

#include "codec/json.h"
#include "stage/deploy/drain.h"
#include "stage/deploy/keep.h"
#include "stage/deploy/rollout_run.h"

static const char forest_json[] = WEIR_SOURCE_DIR "/tests/reference/forests/xgb32_squarederror.json";

enum { COLUMNS = 5, ROWS = 40 };

/* The forest with all its trees `times` times: as many times the work. */
static void multiply_forest(trips *w, const char *name, size_t times)
{
    WR_AUTOBUF wr_buf text = {0};
    char number[32];
    OK(wr_file_read(&text, forest_json, 64 << 20, err));
    yyjson_doc *from = yyjson_read(text.p, text.n, 0);
    yyjson_mut_doc *to = yyjson_doc_mut_copy(from, NULL);
    yyjson_mut_val *model = yyjson_mut_ptr_get(yyjson_mut_doc_get_root(to), "/learner/gradient_booster/model");
    yyjson_mut_val *trees = yyjson_mut_obj_get(model, "trees"), *info = yyjson_mut_obj_get(model, "tree_info");
    size_t n = yyjson_mut_arr_size(trees);
    assert_true(n > 0);
    for (size_t i = n; i < n * times; i++) {
        yyjson_mut_val *tree = yyjson_mut_val_mut_copy(to, yyjson_mut_arr_get(trees, i % n));
        snprintf(number, sizeof number, "%zu", i);
        yyjson_mut_obj_put(tree, yyjson_mut_str(to, "id"), yyjson_mut_uint(to, i));
        assert_true(yyjson_mut_arr_append(trees, tree) && yyjson_mut_arr_add_int(to, info, 0));
    }
    snprintf(number, sizeof number, "%zu", n * times);
    yyjson_mut_val *param = yyjson_mut_obj_get(model, "gbtree_model_param");
    yyjson_mut_obj_put(param, yyjson_mut_str(to, "num_trees"), yyjson_mut_strcpy(to, number));
    yyjson_mut_obj_remove_key(model, "iteration_indptr");
    size_t len;
    char *out = yyjson_mut_write(to, 0, &len);
    assert_non_null(out);
    OK(wr_file_write(trips_path(w, name), (wr_str){out, len}, err));
    free(out);
    yyjson_mut_doc_free(to);
    yyjson_doc_free(from);
}

static wr_serve *start(trips *w, const char *yaml)
{
    wr_serve *s = NULL;
    wr_serve_opt opt = {.meter_root = meter_make(w)};
    trips_write(w, "weir.yaml", yaml);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_serve_open(&s, w->project, &opt, err));
    return s;
}

static void ask(wr_serve *s, wr_round *round, size_t rows, const char *id)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_served *package;
    wr_instance *model;
    wr_serve_reply reply;
    float *x = wr_arena_calloc(a, rows * COLUMNS, sizeof *x);
    for (size_t i = 0; i < rows * COLUMNS; i++) x[i] = (float)(i % 11) / 4;
    wr_tensor in = {.name = WR_STR("input"),
                    .type = WR_TENSOR_FP32,
                    .ndims = 2,
                    .shape = {(int64_t)rows, COLUMNS},
                    .count = rows * COLUMNS,
                    .data = x};
    wr_infer_request q = {.in = &in, .nin = 1, .start_ns = wr_clock_mono_ns()};
    wr_serve_asked asked = {.id = wr_str_of(id)};
    OK(wr_serve_find(&package, &model, s, WR_STR("trees"), (wr_str){NULL, 0}, err));
    assert_null(package);
    OK(wr_serve_answer_to(&reply, round, NULL, model, &q, &asked, a, err));
    OK(wr_serve_round_end(round, err));
    wr_instance_give(model);
}

/* CPU time of this process, so that a window has some. */
static void burn(double seconds)
{
    static volatile double sink;
    for (double end = wr_clock_cpu_s() + seconds; wr_clock_cpu_s() < end;)
        for (int i = 0; i < 10000; i++) sink += i;
}

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
    wr_serve *s = start(w, "endpoints:\n  trees: {path: trees.json, log: all}\n");
    wr_round *round = wr_round_new(s);
    ask(s, round, 1, "before");
    assert_false(wr_serve_energy_method(&e, s));
    wr_serve_energy_tick(s); /* too little to say something: the window goes on */
    ask(s, round, 1, "still");
    burn(0.05);
    meter_set(200, 10);
    wr_serve_energy_tick(s);
    assert_true(wr_serve_energy_method(&e, s));
    assert_true(e.tier == 'B' && e.rel_uncertainty > 0 && strstr(e.source, "rapl package-0"));
    ask(s, round, 1, "one");
    ask(s, round, 4, "four");
    burn(0.05);
    meter_set(200 + 50, 20); /* a quarter of that */
    wr_serve_energy_tick(s);
    ask(s, round, 1, "later");
    burn(0.05);
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
    multiply_forest(w, "trees.json", 20);
    wr_serve *s = start(w, "endpoints:\n  trees: {path: trees.json, log: all}\n");
    wr_round *round = wr_round_new(s);
    double used = 0, cpu = wr_clock_cpu_s();
    for (int window = 0; window < 5; window++) {
        for (int i = 0; i < 200 || wr_clock_cpu_s() - cpu < 0.02; i++) ask(s, round, ROWS, window == 4 ? "last" : "x");
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

/* Rows [from, to) of the trips to the package. */
static void ask_package(trips *w, wr_serve *s, wr_round *round, size_t from, size_t to, const char *id)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_served *package;
    wr_instance *model;
    wr_serve_reply reply;
    size_t n = to - from, nin = w->view->nrequest;
    wr_tensor *in = wr_arena_calloc(a, nin, sizeof *in);
    for (size_t k = 0; k < nin; k++) {
        wr_type type = w->view->request_type[k];
        in[k] = (wr_tensor){.name = wr_str_of(w->view->request[k]),
                            .type = type == WR_TEXT ? WR_TENSOR_BYTES
                                    : type == WR_TS ? WR_TENSOR_INT64
                                                    : WR_TENSOR_FP64,
                            .ndims = 1,
                            .shape = {(int64_t)n},
                            .count = n};
        OK(wr_tensor_alloc(&in[k], a, err));
        for (size_t i = 0; i < n; i++) {
            wr_cell cells[8];
            trips_request(w, from + i, cells);
            if (type == WR_TEXT) ((wr_str *)in[k].data)[i] = cells[k].text;
            else if (type == WR_TS) ((int64_t *)in[k].data)[i] = cells[k].ts;
            else ((double *)in[k].data)[i] = cells[k].num;
        }
    }
    wr_infer_request q = {.in = in, .nin = nin, .start_ns = wr_clock_mono_ns()};
    wr_serve_asked asked = {.id = wr_str_of(id)};
    OK(wr_serve_find(&package, &model, s, WR_STR("late"), (wr_str){NULL, 0}, err));
    OK(wr_serve_answer_to(&reply, round, package, model, &q, &asked, a, err));
    OK(wr_serve_round_end(round, err));
    wr_serve_give(package);
}

/* A package's are in its records as well, which have no time but this. */
static void test_joules_of_a_package(void **state)
{
    trips *w = *state;
    wr_drained d;
    trips_promote(w, 0);
    wr_serve *s = start(w, "endpoints:\n  late: {model: late@champion}\n");
    wr_round *round = wr_round_new(s);
    ask_package(w, s, round, 0, 1, "early");
    burn(0.05);
    meter_set(200, 10);
    wr_serve_energy_tick(s);
    int64_t began = wr_clock_mono_ns();
    ask_package(w, s, round, 10, 60, "fifty");
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

/* ---- the guardrail ---- */

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
        for (int i = 0; i < 24; i++) ask(s, round, ROWS, "x");
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
    multiply_forest(w, "costly.json", 150);
    wr_serve *s = start(w, "endpoints:\n  trees: {path: trees.json}\n");
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
    multiply_forest(w, "trees.json", 20);
    OK(wr_file_copy(trips_path(w, "trees.json"), trips_path(w, "same.json"), err));
    wr_serve *s = start(w, "endpoints:\n  trees: {path: trees.json}\n");
    assert_int_equal(roll(w, s, "same.json", 40), 40);
    assert_true(in_phase(s, "running", NULL));
    assert_true(number(s, "/arms/1/joules_1000") > 0); /* it was judged */
    wr_serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joules_of_a_prediction), cmocka_unit_test(test_never_more_than_there_was),
        cmocka_unit_test(test_joules_of_a_package),    cmocka_unit_test(test_costly_arm_goes),
        cmocka_unit_test(test_frugal_arm_stays),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
