/* SPDX-License-Identifier: Apache-2.0 */
/* keep_test.c - answers of models without a view: into the log, out of it as columns, sampled, dropped when there is no
 * room. */
#include "core/trips_testing.h"

#include "base/fault.h"
#include "core/event.h"
#include "stage/deploy/drain.h"
#include "stage/deploy/feedback_take.h"
#include "stage/deploy/keep.h"
#include "stage/predlog/feedback.h"

static const char simple_onnx[] = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx";
static const char forest_json[] = WEIR_SOURCE_DIR "/tests/reference/forests/xgb32_squarederror.json";

static wr_serve *start(trips *w, const char *yaml)
{
    wr_serve *s = NULL;
    trips_write(w, "weir.yaml", yaml);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_serve_open(&s, w->project, NULL, err));
    return s;
}

static size_t answer(trips *w, wr_serve *s, const char *name, const wr_tensor *in, size_t nin, const char *id,
                     wr_kept *kept)
{
    wr_served *package;
    wr_instance *m = NULL;
    wr_infer_answer ans;
    wr_infer_request q = {.in = in, .nin = nin, .start_ns = wr_clock_mono_ns()};
    wr_keep_opt opt = {.id = wr_str_of(id), .propensity = NAN};
    OK(wr_serve_find(&package, &m, s, wr_str_of(name), (wr_str){NULL, 0}, err));
    OK(wr_infer(&ans, m, &q, w->a, err));
    wr_serve_keep(kept, s, m, &q, &ans, &opt, w->a);
    wr_instance_give(m);
    return ans.rows;
}

/* Row r of INPUT0 is r*100 + 0..15, INPUT1 ones. */
static void sums(trips *w, wr_serve *s, const char *name, size_t rows, const char *id, wr_kept *kept)
{
    int32_t *a = wr_arena_alloc(w->a, rows * 64), *b = wr_arena_alloc(w->a, rows * 64);
    for (size_t i = 0; i < rows * 16; i++) a[i] = (int32_t)(i / 16 * 100 + i % 16), b[i] = 1;
    wr_tensor in[2] = {{.name = WR_STR("INPUT0"),
                        .type = WR_TENSOR_INT32,
                        .ndims = 2,
                        .shape = {(int64_t)rows, 16},
                        .count = rows * 16,
                        .data = a},
                       {.name = WR_STR("INPUT1"),
                        .type = WR_TENSOR_INT32,
                        .ndims = 2,
                        .shape = {(int64_t)rows, 16},
                        .count = rows * 16,
                        .data = b}};
    assert_int_equal(answer(w, s, name, in, 2, id, kept), rows);
}

static void trees(trips *w, wr_serve *s, const char *name, size_t rows, const char *id, wr_kept *kept)
{
    float *x = wr_arena_alloc(w->a, rows * 20);
    for (size_t i = 0; i < rows * 5; i++) x[i] = i % 7 == 3 ? NAN : (float)i / 4;
    wr_tensor in = {.name = WR_STR("input"),
                    .type = WR_TENSOR_FP32,
                    .ndims = 2,
                    .shape = {(int64_t)rows, 5},
                    .count = rows * 5,
                    .data = x};
    assert_int_equal(answer(w, s, name, &in, 1, id, kept), rows);
}

static wr_drained drain(wr_serve *s)
{
    wr_drained d;
    OK(wr_serve_drain(&d, s, err));
    return d;
}

static void test_rows_become_columns(void **state)
{
    trips *w = *state;
    wr_kept kept;
    OK(wr_file_copy(simple_onnx, trips_path(w, "a.onnx"), err));
    OK(wr_file_copy(forest_json, trips_path(w, "b.json"), err));
    wr_serve *s = start(
        w,
        "endpoints:\n  sums: {path: a.onnx, log: all}\n  trees: {path: b.json, log: all}\n  quiet: {path: b.json}\n");
    sums(w, s, "sums", 1, "one", &kept);
    assert_int_equal(kept.nids, 1);
    assert_true(wr_str_is(kept.ids[0], "one"));
    sums(w, s, "sums", 3, "three", &kept);
    assert_int_equal(kept.nids, 3);
    assert_true(wr_str_is(kept.ids[2], "three/2"));
    sums(w, s, "sums", 1, "", &kept);
    assert_true(kept.nids == 1 && kept.ids[0].n > 16);
    trees(w, s, "trees", 4, "t", &kept);
    trees(w, s, "quiet", 4, "t", &kept);
    assert_int_equal(kept.nids, 0);
    assert_int_equal(drain(s).predictions, 9);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.sums\""), 5);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.sums\" WHERE prediction_id = 'three/2' AND INPUT0_15 = 215"
                        " AND INPUT1_0 = 1 AND OUTPUT0_15 = 216 AND OUTPUT1_0 = 199 AND latency_us > 0 AND arm IS NULL"
                        " AND served_at > TIMESTAMPTZ '2020-01-01'"),
        1);
    /* columns by the model's own names, as hostile as they are; missing values stay missing */
    assert_int_equal(
        trips_number(
            w, "SELECT count(*) FROM \"predictions.trees\" WHERE prediction_id = 't/1' AND a = 1.25 AND \"c d\" = 1.75"
               " AND \"e_\" = 2 AND \"\xc3\xa9\" = 2.25 AND output IS NOT NULL"),
        1);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.trees\" WHERE prediction_id = 't/0' AND \"e_\" IS NULL"),
        1);
    /* the rows again: appended, nothing is written anew */
    sums(w, s, "sums", 2, "four", &kept);
    assert_int_equal(drain(s).predictions, 2);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.sums\""), 7);
    wr_serve_close(s);
}

/* Another model behind the same name brings other columns; both kinds of rows go on to be there, in whatever order they
 * come. */
static void test_another_model_adds_columns(void **state)
{
    trips *w = *state;
    wr_kept kept;
    OK(wr_file_copy(simple_onnx, trips_path(w, "m.onnx"), err));
    wr_serve *s = start(w, "endpoints:\n  moves: {path: m.onnx, log: all}\n");
    sums(w, s, "moves", 1, "old", &kept);
    drain(s);
    wr_serve_close(s);
    OK(wr_file_copy(forest_json, trips_path(w, "m.json"), err));
    s = start(w, "endpoints:\n  moves: {path: m.json, log: all}\n");
    trees(w, s, "moves", 2, "new", &kept);
    drain(s);
    wr_serve_close(s);
    s = start(w, "endpoints:\n  moves: {path: m.onnx, log: all}\n");
    sums(w, s, "moves", 1, "again", &kept);
    drain(s);
    wr_serve_close(s);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.moves\""), 4);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.moves\" WHERE INPUT0_3 = 3 AND \"c d\" IS NULL"), 2);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.moves\" WHERE output IS NOT NULL AND INPUT0_3 IS NULL"), 2);
}

static void test_samples(void **state)
{
    trips *w = *state;
    wr_kept kept;
    size_t with_id = 0;
    OK(wr_file_copy(simple_onnx, trips_path(w, "a.onnx"), err));
    wr_serve *s =
        start(w, "endpoints:\n  some: {path: a.onnx, log: {sample: 0.25}}\n  off: {path: a.onnx, log: off}\n");
    for (int i = 0; i < 100; i++) {
        sums(w, s, "some", 1, "", &kept);
        with_id += kept.nids;
        sums(w, s, "off", 1, "", &kept);
        assert_int_equal(kept.nids, 0);
    }
    assert_int_equal(with_id, 25);
    assert_int_equal(drain(s).predictions, 25);
    wr_serve_close(s);
}

static int said(trips *w, const char *kind)
{
    wr_event *e;
    size_t n;
    OK(wr_event_list(&e, &n, w->a, w->project, 0, kind, 1000, err));
    return (int)n;
}

/* Who asks is answered whatever becomes of the log; it is told once, and it mends by itself. */
static void test_full_disk(void **state)
{
    trips *w = *state;
    wr_kept kept;
    wr_queue_stats st;
    OK(wr_file_copy(simple_onnx, trips_path(w, "a.onnx"), err));
    wr_serve *s = start(w, "endpoints:\n  full: {path: a.onnx, log: all}\n");
    sums(w, s, "full", 1, "before", &kept);
    wr_serve_keep_flush(s);
    wr_fault_arm(WR_FAULT_WRITE, 1, true);
    for (int i = 0; i < 5; i++) {
        sums(w, s, "full", 1, "lost", &kept);
        wr_serve_keep_flush(s);
    }
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    wr_serve_keep_stats(&st, s);
    assert_int_equal(st.dropped, 5);
    sums(w, s, "full", 1, "after", &kept);
    wr_serve_keep_flush(s);
    wr_serve_keep_stats(&st, s);
    assert_int_equal(st.dropped, 5);
    assert_int_equal(drain(s).predictions, 2);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM \"predictions.full\" WHERE prediction_id IN ('before', 'after')"), 2);
    assert_int_equal(said(w, "log-dropped"), 1);
    assert_int_equal(said(w, "log-resumed"), 1);
    wr_serve_close(s);
}

/* A batch beyond the size of a record is several records, and whole again as rows. */
static void test_large_batches(void **state)
{
    trips *w = *state;
    wr_kept kept;
    OK(wr_file_copy(simple_onnx, trips_path(w, "a.onnx"), err));
    wr_serve *s = start(w, "endpoints:\n  large: {path: a.onnx, log: all}\n");
    sums(w, s, "large", 30000, "big", &kept);
    assert_int_equal(kept.nids, 30000);
    assert_int_equal(drain(s).predictions, 30000);
    assert_int_equal(trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"predictions.large\""), 30000);
    assert_int_equal(trips_number(w, "SELECT INPUT0_7 FROM \"predictions.large\" WHERE prediction_id = 'big/29999'"),
                     2999907);
    wr_serve_close(s);
}

static wr_feedback_made join(trips *w, const char *out)
{
    wr_run *run;
    wr_feedback_made made;
    wr_feedback_opt opt = {.endpoint = "true", .out = out};
    wr_run_opt ro = {"feedback", "data-collection", "true", "weir deploy feedback"};
    OK(wr_run_begin(&run, w->project, &ro, err));
    OK(wr_feedback(&made, w->project, &opt, run, err));
    OK(wr_run_end(run, 0, NULL, err));
    return made;
}

/* Training data of a model without a view; what comes later than the endpoint's patience is left out. */
static void test_what_came_true_joins(void **state)
{
    trips *w = *state;
    wr_kept kept;
    wr_feedback_taken taken;
    const wr_feedback_item items[] = {{.id = WR_STR("a"), .value = 1, .known_us = 5},
                                      {.id = WR_STR("a"), .value = 2, .known_us = 4},
                                      {.id = WR_STR("b"), .text = WR_STR("cat"), .known_us = 5},
                                      {.id = WR_STR("c"), .value = 0.5, .reward = true, .known_us = 6}};
    OK(wr_file_copy(simple_onnx, trips_path(w, "a.onnx"), err));
    wr_serve *s = start(w, "endpoints:\n  true: {path: a.onnx, log: all}\n");
    const char *const ids[] = {"a", "b", "c", "nothing"};
    for (int i = 0; i < 4; i++) sums(w, s, "true", 1, ids[i], &kept);
    wr_round *r = wr_round_new(s);
    OK(wr_serve_feedback(&taken, r, WR_STR("true"), items, 4, err));
    wr_round_free(r);
    drain(s);
    wr_serve_close(s);
    assert_int_equal(join(w, "joined").written.rows, 3);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM joined WHERE prediction_id = 'a' AND label = 1 AND OUTPUT0_3 = 4"), 1);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM joined WHERE prediction_id = 'b' AND label_text = 'cat'"),
                     1);
    assert_int_equal(
        trips_number(w, "SELECT count(*) FROM joined WHERE prediction_id = 'c' AND reward = 0.5 AND label IS NULL"), 1);
    trips_write(w, "weir.yaml", "endpoints:\n  true: {path: a.onnx, log: all, feedback_ttl: 0s}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    assert_int_equal(join(w, "late").written.rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_become_columns),
        cmocka_unit_test(test_another_model_adds_columns),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_large_batches),
        cmocka_unit_test(test_what_came_true_joins),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
