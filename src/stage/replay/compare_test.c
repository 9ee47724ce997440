/* SPDX-License-Identifier: Apache-2.0 */
/* compare_test.c - a candidate over what was logged: the same model agrees to the bit, another one is measured, labels
 * tell which is better. */
#include "core/trips_testing.h"

#include "predict/predictor.h"
#include "stage/deploy/drain.h"
#include "stage/deploy/feedback_take.h"
#include "stage/deploy/keep.h"
#include "stage/replay/compare.h"

#define FORESTS WEIR_SOURCE_DIR "/tests/reference/forests/"
static const char served[] = FORESTS "xgb32_logistic.json", other[] = FORESTS "xgb32_dart.json",
                  raw[] = FORESTS "xgb32_squarederror.json";

enum { ROWS = 400 };

static float rows[ROWS][5];

/* Endpoint `name` answers ROWS rows, all logged, and drains. */
static void serve(trips *w, const char *name, const char *model, bool labels)
{
    wr_serve *s = NULL;
    wr_rng rng;
    wr_rng_init(&rng, 11);
    trips_write(w, "weir.yaml", wr_arena_printf(w->a, "endpoints:\n  %s: {path: m.json, log: all}\n", name));
    OK(wr_file_copy(model, trips_path(w, "m.json"), err));
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_serve_open(&s, w->project, NULL, err));
    wr_feedback_item items[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        wr_served *package;
        wr_instance *m = NULL;
        wr_infer_answer ans;
        wr_kept kept;
        char *id = wr_arena_printf(w->a, "%s-%zu", name, i);
        for (int k = 0; k < 5; k++) rows[i][k] = wr_rng_below(&rng, 9) == 0 ? NAN : (float)wr_rng_normal(&rng);
        wr_tensor in = {
            .name = WR_STR("input"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 5}, .count = 5, .data = rows[i]};
        wr_infer_request q = {.in = &in, .nin = 1, .start_ns = wr_clock_mono_ns()};
        wr_keep_opt opt = {.id = wr_str_of(id), .propensity = NAN};
        OK(wr_serve_find(&package, &m, s, wr_str_of(name), (wr_str){NULL, 0}, err));
        OK(wr_infer(&ans, m, &q, w->a, err));
        wr_serve_keep(&kept, s, m, &q, &ans, &opt, w->a);
        wr_instance_give(m);
        double p = (double)((float *)ans.out[0].data)[0];
        items[i] = (wr_feedback_item){.id = wr_str_of(id), .value = wr_rng_f64(&rng) < p, .known_us = 1000};
    }
    if (labels) { /* drawn with the served model's own probabilities: nobody can be better */
        wr_round *r = wr_round_new(s);
        wr_feedback_taken taken;
        OK(wr_serve_feedback(&taken, r, wr_str_of(name), items, ROWS, err));
        assert_int_equal(taken.accepted, ROWS);
        wr_round_free(r);
    }
    wr_drained d;
    OK(wr_serve_drain(&d, s, err));
    assert_int_equal(d.predictions, ROWS);
    wr_serve_close(s);
}

static wr_compare_report compare(trips *w, const char *endpoint, const char *candidate)
{
    wr_compare_report r;
    wr_compare_opt o = {.endpoint = endpoint, .candidate = candidate, .seed = 3, .threshold = 0.5};
    OK(wr_compare(&r, w->a, w->project, &o, err));
    return r;
}

static void test_the_same_model_agrees(void **state)
{
    trips *w = *state;
    serve(w, "same", served, true);
    wr_compare_report r = compare(w, "same", served);
    assert_int_equal(r.rows, ROWS);
    assert_int_equal(r.skipped, 0);
    assert_int_equal(r.labelled, ROWS);
    assert_true(r.agreement == 1 && r.max_delta == 0 && r.mean_delta == 0 && r.psi == 0);
    assert_int_equal(r.nmetrics, 3);
    assert_string_equal(r.metrics[0].name, "auc");
    assert_true(r.metrics[0].logged > 0.55 && r.metrics[0].logged == r.metrics[0].candidate);
    assert_true(r.metrics[0].low == 0 && r.metrics[0].high == 0);
    assert_true(r.candidate_us > 0 && r.candidate_p99_us >= r.candidate_us && r.logged_us > 0);
}

/* Differences against a loop of its own; the interval holds the difference and is the same again. */
static void test_another_model_is_measured(void **state)
{
    trips *w = *state;
    serve(w, "meets", served, true);
    wr_predictor *a, *b;
    double sum = 0, most = 0;
    size_t same = 0;
    OK(wr_predictor_open(&a, served, err));
    OK(wr_predictor_open(&b, other, err));
    for (size_t i = 0; i < ROWS; i++) {
        wr_tensor in = {
            .name = WR_STR("input"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 5}, .count = 5, .data = rows[i]};
        wr_tensor x = {.name = WR_STR("output"), .type = WR_TENSOR_FP32}, y = x;
        bool want = true;
        OK(a->ops->run(a, &x, &want, &in, w->a, err));
        OK(b->ops->run(b, &y, &want, &in, w->a, err));
        double p = (double)*(float *)x.data, q = (double)*(float *)y.data;
        sum += fabs(p - q);
        if (fabs(p - q) > most) most = fabs(p - q);
        same += (p >= 0.5) == (q >= 0.5);
    }
    wr_predictor_free(a);
    wr_predictor_free(b);
    wr_compare_report r = compare(w, "meets", other), again = compare(w, "meets", other);
    assert_true(most > 0 && fabs(r.max_delta - most) < 1e-12 && fabs(r.mean_delta - sum / ROWS) < 1e-12);
    assert_true(r.agreement == (double)same / ROWS && r.psi > 0);
    for (size_t i = 0; i < r.nmetrics; i++) {
        const wr_compare_metric *m = &r.metrics[i];
        double d = m->candidate - m->logged;
        assert_true(m->low <= d && d <= m->high && m->low < m->high);
        assert_true(m->low == again.metrics[i].low && m->high == again.metrics[i].high);
    }
    /* labels come from the served model's probabilities: the other one has the greater log loss */
    assert_string_equal(r.metrics[1].name, "log_loss");
    assert_true(r.metrics[1].candidate > r.metrics[1].logged);
}

static void test_numbers_are_judged_by_their_error(void **state)
{
    trips *w = *state;
    serve(w, "numbers", raw, true);
    wr_compare_report r = compare(w, "numbers", raw);
    assert_int_equal(r.nmetrics, 1);
    assert_string_equal(r.metrics[0].name, "rmse");
    assert_true(r.metrics[0].logged > 0 && r.metrics[0].candidate == r.metrics[0].logged);
}

static void test_what_cannot_be_compared(void **state)
{
    trips *w = *state;
    wr_err why = {0};
    wr_compare_report r;
    wr_compare_opt o = {.endpoint = "same", .candidate = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx"};
    trips_write(w, "weir.yaml", "endpoints:\n  same: {path: m.json, log: all}\n  fresh: {path: m.json}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    assert_int_equal(wr_compare(&r, w->a, w->project, &o, &why), WEIR_ENOTFOUND);
    assert_non_null(strstr(why.msg, "the candidate needs \"INPUT0_0\""));
    o = (wr_compare_opt){.endpoint = "fresh", .candidate = served};
    assert_int_equal(wr_compare(&r, w->a, w->project, &o, &why), WEIR_ENOTFOUND);
    assert_non_null(strstr(why.hint, "log: all"));
    o = (wr_compare_opt){.endpoint = "sam", .candidate = served};
    assert_int_equal(wr_compare(&r, w->a, w->project, &o, &why), WEIR_ENOTFOUND);
    o = (wr_compare_opt){.endpoint = "same", .candidate = "nobody@1"};
    assert_true(wr_compare(&r, w->a, w->project, &o, &why) < 0);
    o = (wr_compare_opt){.endpoint = "same", .candidate = served, .score = "scoer"};
    assert_int_equal(wr_compare(&r, w->a, w->project, &o, &why), WEIR_ENOTFOUND);
    o = (wr_compare_opt){.endpoint = "same", .candidate = served, .score = "output", .rows = 100, .threshold = 0.5};
    OK(wr_compare(&r, w->a, w->project, &o, err));
    assert_true(r.rows == 100 && r.max_delta == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_model_agrees),
        cmocka_unit_test(test_another_model_is_measured),
        cmocka_unit_test(test_numbers_are_judged_by_their_error),
        cmocka_unit_test(test_what_cannot_be_compared),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
