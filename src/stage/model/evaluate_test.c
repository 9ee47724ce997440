/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_test.c - judging: metrics against counting by SQL, slices, other models, gates, and what must not be skipped
 * silently. */
#include "stage/model/model_testing.h"

#include <math.h>

static const wr_evaluate_opt whole = {.model = "delay", .from_us = INT64_MIN, .until_us = INT64_MAX, .threshold = 0.5};

static int evaluate(wr_evaluation *e, place *s, const wr_evaluate_opt *opt)
{
    wr_err end = {0};
    s->err = (wr_err){0};
    wr_run *r = begin(s, "evaluate");
    int rc = wr_evaluate(e, s->a, s->p, opt, NULL, r, &s->err);
    assert_int_equal(wr_run_end(r, rc, &s->err, &end), 0);
    return rc;
}

static double metric(const wr_judged *j, const char *name)
{
    size_t n;
    const wr_metric *m = wr_metrics(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(m[i].name, name) == 0) return j->metric[i];
    return NAN;
}

static void test_metrics(void **state)
{
    place *s = *state;
    wr_evaluation e;
    wr_evaluate_opt opt = whole;
    opt.from_us = wr_time_from_civil(2001, 1, 23);
    opt.until_us = wr_time_from_civil(2001, 1, 26);
    OK(evaluate(&e, s, &opt));
    assert_int_equal(e.rows, 3 * 144); /* from the first moment, without the last */
    assert_int_equal(e.from_us, opt.from_us);
    assert_int_equal(e.until_us, opt.until_us - 600 * WR_US);
    assert_int_equal(
        e.positives,
        number(s, "SELECT count(*) FROM rides_features WHERE t >= '2001-01-23' AND t < '2001-01-26' AND late = 1"));
    assert_true(metric(&e.own, "auc") > 0.9);
    assert_true(e.confusion.tp + e.confusion.fn == (double)e.positives);
    assert_true(e.confusion.tp + e.confusion.fp + e.confusion.tn + e.confusion.fn == (double)e.rows);
    assert_true(fabs(metric(&e.own, "accuracy") - (e.confusion.tp + e.confusion.tn) / (double)e.rows) < 1e-12);
    size_t binned = 0;
    for (int b = 0; b < WR_EVALUATE_BINS; b++) binned += e.calibration[b].n;
    assert_int_equal(binned, e.rows);
    /* without a baseline of the user's: the share of ones, for every row */
    double q = (double)e.positives / (double)e.rows;
    assert_string_equal(e.baseline.ref, "constant");
    assert_true(metric(&e.baseline, "auc") == 0.5);
    assert_true(fabs(metric(&e.baseline, "log_loss") + q * log(q) + (1 - q) * log(1 - q)) < 1e-9);
    assert_true(fabs(metric(&e.baseline, "brier") - q * (1 - q)) < 1e-9);
    assert_true(e.passed && !e.ngate && !e.has_against);
}

static void test_threshold(void **state)
{
    place *s = *state;
    wr_evaluation low, high;
    wr_evaluate_opt opt = whole;
    opt.threshold = 0;
    OK(evaluate(&low, s, &opt));
    assert_true(low.confusion.tn == 0 && low.confusion.fn == 0); /* everything is a yes */
    opt.threshold = 1;
    OK(evaluate(&high, s, &opt));
    assert_true(high.confusion.tp == 0 && high.confusion.fp == 0);
    assert_true(metric(&low.own, "auc") == metric(&high.own, "auc"));
}

static void test_others(void **state)
{
    place *s = *state;
    wr_evaluation e;
    wr_evaluate_opt opt = whole;
    opt.against = "delay@1";
    opt.baseline = "only_minute";
    OK(evaluate(&e, s, &opt));
    assert_true(e.has_against);
    assert_int_equal(e.against.version, 1);
    assert_memory_equal(e.against.metric, e.own.metric, sizeof(double)); /* the same package on the same rows */
    assert_string_equal(e.baseline.ref, "only_minute");
    assert_true(metric(&e.baseline, "auc") < metric(&e.own, "auc") - 0.1);
    opt.against = "delay@champion"; /* there is none yet: said, not failed */
    OK(evaluate(&e, s, &opt));
    assert_false(e.has_against);
    opt.baseline = "nothing"; /* but a baseline is meant to be there */
    FAILS(WEIR_ENOTFOUND, evaluate(&e, s, &opt));
    SAYS("no model \"nothing\"", s->err.msg);
    opt = whole;
    opt.model = "dealy";
    FAILS(WEIR_ENOTFOUND, evaluate(&e, s, &opt));
    SAYS("\"delay\"", s->err.hint);
}

/* A champion that cannot be judged must not let its challenger through as if there were no champion. */
static void test_against_that_cannot_be_judged(void **state)
{
    place *s = *state;
    wr_evaluation e;
    wr_evaluate_opt opt = whole;
    int64_t version;
    OK(wr_model_register(&version, s->p, "gone", "0123456789012345678901234567890123456789012345678901234567890123",
                         "r", "champion", &s->err));
    opt.against = "gone@champion";
    s->err = (wr_err){0};
    assert_true(evaluate(&e, s, &opt) < 0);
    opt.against = "other_view"; /* needs a feature that these rows do not have */
    s->err = (wr_err){0};
    assert_true(evaluate(&e, s, &opt) < 0);
    SAYS("\"other_view\" on the rows of \"delay\"", s->err.msg);
}

static const wr_slices *by(wr_evaluation *e, place *s, const char *column, const char *rows)
{
    wr_evaluate_opt opt = whole;
    const char **list = wr_arena_alloc(s->a, sizeof *list);
    list[0] = column;
    opt.by = list;
    opt.nby = 1;
    opt.rows = rows;
    OK(evaluate(e, s, &opt));
    assert_int_equal(e->nby, 1);
    size_t sum = 0;
    double positives = 0;
    for (size_t i = 0; i < e->by[0].n; i++) {
        sum += e->by[0].slices[i].n;
        positives += e->by[0].slices[i].positives;
        assert_true(e->by[0].slices[i].mean_p >= 0 && e->by[0].slices[i].mean_p <= 1);
    }
    assert_int_equal(sum, e->rows); /* every row in one slice */
    assert_true(positives == (double)e->positives);
    return &e->by[0];
}

static void test_slices_by_time(void **state)
{
    place *s = *state;
    wr_evaluation e;
    const wr_slices *d = by(&e, s, "day", NULL), *w, *m;
    assert_int_equal(d->n, 28);
    assert_string_equal(d->slices[0].value, "2001-01-01");
    assert_int_equal(d->slices[0].n, 144);
    assert_string_equal(d->slices[27].value, "2001-01-28"); /* in time order */
    w = by(&e, s, "week", NULL);
    assert_int_equal(w->n, 4);
    assert_string_equal(w->slices[1].value, "2001-01-08"); /* a Monday */
    assert_int_equal(w->slices[0].n, 7 * 144);
    m = by(&e, s, "month", "SELECT * REPLACE (t - INTERVAL 10 DAY AS t) FROM rides_features");
    assert_int_equal(m->n, 2);
    assert_string_equal(m->slices[0].value, "2000-12-01");
    assert_int_equal(m->slices[0].n, 10 * 144);
    m = by(&e, s, "week", "SELECT * REPLACE (t - INTERVAL 60 YEAR AS t) FROM rides_features"); /* before 1970 */
    assert_string_equal(m->slices[0].value, "1940-12-30");
}

static const wr_slice *slice_of(const wr_slices *b, const char *value)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->slices[i].value, value) == 0) return &b->slices[i];
    fail_msg("no slice \"%s\"", value);
    return NULL;
}

static void test_slices_by_column(void **state)
{
    place *s = *state;
    wr_evaluation e;
    const wr_slices *b = by(&e, s, "place", NULL);
    assert_int_equal(b->n, 4);
    assert_true(slice_of(b, "A")->positives < slice_of(b, "D")->positives);
    b = by(&e, s, "place",
           "SELECT * REPLACE (CASE WHEN place IN ('A', 'B') THEN NULL ELSE place END AS place) FROM rides_features");
    assert_int_equal(b->n, 3);
    assert_int_equal(slice_of(b, "(missing)")->n, 2000);
    assert_string_equal(b->slices[0].value, "(missing)"); /* most rows first */
    /* numbers: -1 is not missing, -0.5 and 0.5 are not 0 */
    b = by(&e, s, "half", "SELECT * REPLACE (CASE WHEN half = 1 THEN NULL ELSE half END AS half) FROM rides_features");
    assert_int_equal(b->n, 5);
    static const char *const values[] = {"-1", "-0.5", "0", "0.5", "(missing)"};
    for (size_t i = 0; i < 5; i++) assert_int_equal(slice_of(b, values[i])->n, 800);
    b = by(&e, s, "delay", NULL);
    assert_int_equal(b->n, number(s, "SELECT count(DISTINCT delay) FROM rides"));
    b = by(&e, s, "t", "SELECT * FROM rides_features LIMIT 50"); /* the time itself */
    assert_int_equal(b->n, 50);
    assert_string_equal(b->slices[0].value, "2001-01-01T00:00:00Z");
}

static void test_slices_refused(void **state)
{
    place *s = *state;
    wr_evaluation e;
    wr_evaluate_opt opt = whole;
    static const char *const wrong[] = {"palce"}, *const twice[] = {"delay", "half", "delay"}, *const many[] = {"big"};
    opt.by = wrong;
    opt.nby = 1;
    FAILS(WEIR_ENOTFOUND, evaluate(&e, s, &opt));
    SAYS("no column \"palce\"", s->err.msg);
    SAYS("\"place\"", s->err.hint);
    opt.by = twice; /* asked for twice is shown twice */
    opt.nby = 3;
    OK(evaluate(&e, s, &opt));
    assert_int_equal(e.nby, 3);
    assert_int_equal(e.by[0].n, e.by[2].n);
    opt.by = many;
    opt.nby = 1;
    opt.rows = "SELECT f.*, row_number() OVER () AS big FROM rides_features f, range(3)";
    FAILS(WEIR_ELIMIT, evaluate(&e, s, &opt));
    SAYS("\"big\" has 12000 values", s->err.msg);
}

static void test_rows(void **state)
{
    place *s = *state;
    wr_evaluation e;
    wr_evaluate_opt opt = whole;
    opt.rows = "SELECT * REPLACE (CASE WHEN place = 'A' THEN NULL ELSE late END AS late) FROM rides_features";
    OK(evaluate(&e, s, &opt)); /* rows without a label are not judged */
    assert_int_equal(e.rows, 3000);
    opt.rows = "SELECT * REPLACE (CASE WHEN place = 'A' THEN NULL ELSE t END AS t) FROM rides_features";
    OK(evaluate(&e, s, &opt)); /* nor rows without a time */
    assert_int_equal(e.rows, 3000);
    assert_true(e.until_us > wr_time_from_civil(2001, 1, 28));
    opt.rows = "SELECT * REPLACE (NULL AS late) FROM rides_features";
    FAILS(WEIR_EINVAL, evaluate(&e, s, &opt));
    SAYS("has a label yet", s->err.msg);
    opt = whole;
    opt.from_us = opt.until_us = 0;
    FAILS(WEIR_EINVAL, evaluate(&e, s, &opt));
    opt = whole;
    opt.rows = "SELECT * REPLACE (1 AS late) FROM rides_features"; /* one class: no AUC, and no crash */
    OK(evaluate(&e, s, &opt));
    assert_true(isnan(metric(&e.own, "auc")) && !isnan(metric(&e.own, "log_loss")));
}

static void gate_of(wr_gate *g, place *s, const char *rules)
{
    put(s, "gate.yaml", wr_arena_printf(s->a, "rules:\n%s", rules));
    OK(wr_gate_load(g, s->a, "gate.yaml", s->dir, &s->err));
}

static void test_gates(void **state)
{
    place *s = *state;
    wr_evaluation e;
    wr_evaluate_opt opt = whole;
    wr_gate g;
    opt.gate = &g;
    gate_of(&g, s,
            "  - {metric: auc, at_least: 0.8}\n  - {metric: auc, better_than: against}\n  - {metric: auc, better_than: "
            "baseline, by: 0.1}\n");
    opt.against = "delay@champion";
    OK(evaluate(&e, s, &opt));
    assert_true(e.passed);
    assert_int_equal(e.ngate, 3);
    assert_int_equal(e.gate[1].state, WR_GATE_SKIPPED);
    SAYS("there is none yet", e.gate[1].text);
    opt.against = "delay@1"; /* equal is not better */
    OK(evaluate(&e, s, &opt));
    assert_false(e.passed);
    assert_int_equal(e.gate[1].state, WR_GATE_FAILED);
    wr_run_row *rows;
    wr_run_item *items;
    size_t n;
    OK(wr_run_list(&rows, &n, s->a, s->p, 1, &s->err));
    OK(wr_run_metrics(&items, &n, s->a, s->p, rows[0].id, &s->err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(items[i].key, "gate_passed") == 0) assert_true(items[i].number == 0);
}

static void test_report(void **state)
{
    place *s = *state;
    wr_evaluation e;
    wr_evaluate_opt opt = whole;
    wr_gate g;
    static const char *const list[] = {"place", "week"};
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_jsonw w;
    yyjson_val *model, *slices, *gate, *rules, *metrics;
    wr_str text;
    int64_t rows;
    double auc;
    bool passed;
    gate_of(&g, s, "  - {metric: auc, at_least: 1.1}\n");
    opt.gate = &g;
    opt.by = list;
    opt.nby = 2;
    opt.baseline = "only_minute";
    OK(evaluate(&e, s, &opt));
    wr_jsonw_init(&w, &b, 2);
    wr_evaluation_json(&w, &e, &opt);
    OK(wr_json_parse(&j, wr_buf_view(&b), "report", &s->err));
    OK(wr_json_i64(&rows, j.root, "rows", &s->err));
    assert_int_equal(rows, 4000);
    OK(wr_json_obj(&model, j.root, "model", &s->err));
    OK(wr_json_str(&text, model, "package", &s->err)); /* what weir model register looks for */
    assert_string_equal(text.p, e.own.package);
    OK(wr_json_obj(&metrics, model, "metrics", &s->err));
    OK(wr_json_f64(&auc, metrics, "auc", &s->err));
    assert_true(auc == metric(&e.own, "auc"));
    OK(wr_json_obj(&slices, j.root, "slices", &s->err));
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(slices, "place")), 4);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(slices, "week")), 4);
    OK(wr_json_obj(&gate, j.root, "gate", &s->err));
    OK(wr_json_bool(&passed, gate, "passed", &s->err));
    assert_false(passed);
    OK(wr_json_arr(&rules, gate, "rules", &s->err));
    OK(wr_json_str(&text, yyjson_arr_get_first(rules), "state", &s->err));
    assert_string_equal(text.p, "failed");
    assert_null(yyjson_obj_get(j.root, "against"));
}

/* Candidates delay (also version 1), only_minute, and other_view with a feature of its own. */
static int make_models(void **state)
{
    if (make_features(state) < 0) return -1;
    place *s = *state;
    wr_trained t;
    int64_t version;
    OK(train(&t, s, TRAIN, 2));
    OK(wr_model_register(&version, s->p, "delay", t.package, "r", NULL, &s->err));
    OK(train(&t, s,
             "model: only_minute\nview: features.yaml\nrows: SELECT * FROM rides_features\nfeatures: [minute]\n"
             "learner: {rounds: 5}\n",
             2));
    put(s, "other.yaml",
        "name: other_rows\nsource: rides\ntime: t\nlabel: {name: late, of: delay, above: 22}\n"
        "features: [{name: halves, op: number, of: half}]\n");
    build(s, "other.yaml", 1);
    OK(train(&t, s, "model: other_view\nview: other.yaml\nrows: SELECT * FROM other_rows\nlearner: {rounds: 5}\n", 2));
    return 0;
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_metrics),        T(test_threshold),        T(test_others),         T(test_against_that_cannot_be_judged),
        T(test_slices_by_time), T(test_slices_by_column), T(test_slices_refused), T(test_rows),
        T(test_gates),          T(test_report),
    };
    return cmocka_run_group_tests(tests, make_models, drop_place);
}
