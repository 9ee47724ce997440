/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "predict/infer.h"
#include "predict/predict_testing.h"

typedef struct {
    wr_arena *a;
    wr_repository *r;
    wr_pool *pool;
    wr_instance *m;
    int told;
    size_t told_rows;
} room;

static void told(void *ctx, const wr_instance *m, const wr_infer_request *q, const wr_infer_answer *a)
{
    room *r = ctx;
    assert_string_equal(m->name, "toy");
    assert_true(q->nin == 2 && a->nout >= 1);
    r->told++;
    r->told_rows = a->rows;
}

static int setup(void **state)
{
    room *r = calloc(1, sizeof *r);
    r->a = wr_arena_new(0);
    r->pool = wr_pool_new(3);
    wr_repository_opt opt = {.pool = r->pool, .answered = told, .ctx = r};
    assert_int_equal(wr_repository_open(&r->r, &opt, NULL), 0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    room *r = *state;
    wr_instance_give(r->m);
    wr_repository_close(r->r);
    assert_int_equal(atomic_load(&toys), 0);
    wr_pool_free(r->pool);
    wr_arena_free(r->a);
    free(r);
    return 0;
}

static void serve(room *r, double n, const char *config)
{
    wr_err err = {0};
    wr_instance_give(r->m);
    r->m = NULL;
    if (wr_repository_put(r->r, "toy", "1", toy_new(n), wr_str_of(config), &err) < 0) fail_msg("%s", err.msg);
    assert_int_equal(wr_repository_take(&r->m, r->r, WR_STR("toy"), (wr_str){NULL, 0}, NULL), 0);
}

static wr_tensor floats(room *r, const char *name, int64_t rows, int64_t columns, float from)
{
    wr_tensor t = {.name = wr_str_of(name), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {rows, columns}};
    assert_int_equal(wr_tensor_count(&t, NULL), 0);
    assert_int_equal(wr_tensor_alloc(&t, r->a, NULL), 0);
    for (size_t i = 0; i < t.count; i++) ((float *)t.data)[i] = from + (float)i;
    return t;
}

static int infer(room *r, wr_infer_answer *out, wr_tensor *in, size_t nin, const char *outputs, wr_err *err)
{
    wr_str names[8], rest = wr_str_of(outputs);
    size_t n = 0;
    while (rest.n) names[n++] = wr_str_cut(&rest, ',');
    wr_infer_request q = {.in = in, .nin = nin, .outputs = names, .noutputs = n};
    return wr_infer(out, r->m, &q, r->a, err);
}

static void refuses(room *r, wr_tensor *in, size_t nin, const char *outputs, int code, const char *msg)
{
    wr_infer_answer out;
    wr_err err = {0};
    assert_int_equal(infer(r, &out, in, nin, outputs, &err), code);
    if (strcmp(err.msg, msg) != 0) fail_msg("\"%s\" is not \"%s\"", err.msg, msg);
}

static void inputs_are_found_by_name_and_outputs_chosen(void **state)
{
    room *r = *state;
    wr_infer_answer out;
    serve(r, 100, "{}");
    wr_tensor ab[2] = {floats(r, "A", 2, 2, 1), floats(r, "B", 2, 2, 10)}, ba[2] = {ab[1], ab[0]};
    assert_int_equal(infer(r, &out, ab, 2, "", NULL), 0);
    assert_int_equal(out.nout, 2);
    assert_int_equal(out.rows, 2);
    assert_true(((float *)out.out[0].data)[3] == 4 + 13 + 100);
    assert_true(wr_str_is(((wr_str *)out.out[1].data)[1], "100"));
    assert_int_equal(infer(r, &out, ba, 2, "NAME,SUM", NULL), 0);
    assert_true(wr_str_is(out.out[0].name, "NAME") && wr_str_is(out.out[1].name, "SUM"));
    assert_true(((float *)out.out[1].data)[0] == 111);
    assert_int_equal(infer(r, &out, ba, 2, "NAME", NULL), 0);
    assert_int_equal(out.nout, 1);
    assert_int_equal(r->told, 3);
    assert_int_equal(r->told_rows, 2);
}

static void what_does_not_fit_is_refused_in_tritons_words(void **state)
{
    room *r = *state;
    serve(r, 0, "{\"max_batch_size\": 8}");
    wr_tensor a = floats(r, "A", 1, 2, 0), b = floats(r, "B", 1, 2, 0), c = floats(r, "C", 1, 2, 0),
              wide = floats(r, "B", 1, 3, 0), rows = floats(r, "B", 2, 2, 0), many_a = floats(r, "A", 9, 2, 0),
              many_b = floats(r, "B", 9, 2, 0), flat = floats(r, "B", 2, 1, 0), scalar = b, ints = b, text = a;
    flat.ndims = 1;
    scalar.ndims = 0;
    scalar.count = 1;
    ints.type = WR_TENSOR_INT32;
    text.type = WR_TENSOR_BYTES;
    wr_str words[2] = {WR_STR("x"), WR_STR("y")};
    text.data = words;
    refuses(r, (wr_tensor[]){a}, 1, "", WEIR_EINVAL,
            "expected 2 inputs but got 1 inputs for model 'toy'. Got input(s) ['A'], but missing required input(s) "
            "['B']. Please provide all required input(s).");
    refuses(r, (wr_tensor[]){a, c}, 2, "", WEIR_EINVAL, "unexpected inference input 'C' for model 'toy'");
    refuses(r, (wr_tensor[]){a, a}, 2, "", WEIR_EINVAL, "input 'A' already exists in request");
    refuses(r, (wr_tensor[]){a, wide}, 2, "", WEIR_EINVAL,
            "unexpected shape for input 'B' for model 'toy'. Expected [-1,2], got [1,3]");
    refuses(r, (wr_tensor[]){a, rows}, 2, "", WEIR_EINVAL,
            "input 'B' batch size does not match other inputs for 'toy'");
    refuses(r, (wr_tensor[]){b, flat}, 2, "", WEIR_EINVAL, "input 'B' already exists in request");
    refuses(r, (wr_tensor[]){floats(r, "A", 2, 2, 0), flat}, 2, "", WEIR_EINVAL,
            "unexpected shape for input 'B' for model 'toy'. Expected [-1,2], got [2]");
    refuses(r, (wr_tensor[]){a, scalar}, 2, "", WEIR_EINVAL,
            "input 'B' has no shape but model requires batch dimension for 'toy'");
    refuses(r, (wr_tensor[]){many_a, many_b}, 2, "", WEIR_EINVAL,
            "inference request batch-size must be <= 8 for 'toy'");
    refuses(r, (wr_tensor[]){a, ints}, 2, "", WEIR_EINVAL,
            "inference input 'B' data-type is 'INT32', but model 'toy' expects 'FP32'");
    refuses(r, (wr_tensor[]){a, b}, 2, "DIFF", WEIR_EINVAL, "unexpected inference output 'DIFF' for model 'toy'");
    refuses(r, (wr_tensor[]){a, b}, 2, "SUM,SUM", WEIR_EINVAL, "output 'SUM' already exists in request");
    wr_infer_answer out;
    wr_err err = {0};
    assert_int_equal(infer(r, &out, (wr_tensor[]){text, b}, 2, "", &err), WEIR_ETYPE);
    assert_non_null(strstr(err.msg, "input 'A'"));
    assert_int_equal(atomic_load(&r->m->stats->failures[WR_FAIL_OTHER]), 13);
    assert_int_equal(atomic_load(&r->m->stats->fail.n), 13);
    assert_int_equal(r->told, 0);
}

static void a_lenient_input_takes_other_numbers(void **state)
{
    room *r = *state;
    wr_infer_answer out;
    serve(r, 1, "{}");
    int64_t whole[2] = {5, -7};
    wr_tensor a = {
        .name = WR_STR("A"), .type = WR_TENSOR_INT64, .ndims = 2, .shape = {1, 2}, .count = 2, .data = whole};
    wr_tensor in[2] = {a, floats(r, "B", 1, 2, 0)};
    assert_int_equal(infer(r, &out, in, 2, "SUM", NULL), 0);
    assert_true(((float *)out.out[0].data)[0] == 6 && ((float *)out.out[0].data)[1] == -5);
}

static void shapes_of_the_configuration_are_the_clients(void **state)
{
    room *r = *state;
    wr_infer_answer out;
    serve(r, 1,
          "{\"max_batch_size\": 4, \"input\": [{\"name\": \"A\", \"dims\": [2,1], \"reshape\": {\"shape\": [2]}}, "
          "{\"name\": \"B\", \"dims\": [2]}],"
          "\"output\": [{\"name\": \"SUM\", \"dims\": [1,2,1], \"reshape\": {\"shape\": [2]}}]}");
    wr_tensor in[2] = {floats(r, "A", 3, 2, 0), floats(r, "B", 3, 2, 0)};
    in[0].ndims = 3;
    in[0].shape[2] = 1;
    assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    assert_int_equal(out.nout, 1); /* NAME is not in the configuration */
    assert_int_equal(out.out[0].ndims, 4);
    assert_int_equal(out.out[0].shape[0], 3);
    assert_int_equal(out.out[0].shape[2], 2);
    refuses(r, in, 2, "NAME", WEIR_EINVAL, "unexpected inference output 'NAME' for model 'toy'");
}

static void requests_are_counted(void **state)
{
    room *r = *state;
    wr_infer_answer out;
    serve(r, 1, "{}");
    wr_tensor in[2] = {floats(r, "A", 3, 2, 0), floats(r, "B", 3, 2, 0)};
    for (int i = 0; i < 4; i++) assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    wr_model_stats *s = r->m->stats;
    assert_int_equal(atomic_load(&s->success.n), 4);
    assert_int_equal(atomic_load(&s->inferences), 12);
    assert_int_equal(atomic_load(&s->executions), 4);
    assert_int_equal(atomic_load(&s->infer.n), 4);
    assert_int_equal(atomic_load(&s->pending), 0);
    assert_true(atomic_load(&s->success.ns) >= atomic_load(&s->infer.ns));
    assert_true(atomic_load(&s->last_ms) > 0);
    serve(r, 2, "{}"); /* they outlive the instance */
    assert_ptr_equal(r->m->stats, s);
    assert_int_equal(atomic_load(&s->success.n), 4);
    serve(r, -1, "{}");
    refuses(r, in, 2, "", WEIR_EINTERNAL, "the toy is broken");
    assert_int_equal(atomic_load(&s->failures[WR_FAIL_BACKEND]), 1);
}

static void a_full_queue_is_said_at_once(void **state)
{
    room *r = *state;
    serve(r, 1, "{\"dynamic_batching\": {\"default_queue_policy\": {\"max_queue_size\": 2}}}");
    wr_tensor in[2] = {floats(r, "A", 1, 2, 0), floats(r, "B", 1, 2, 0)};
    wr_infer_answer out;
    atomic_fetch_add(&r->m->stats->pending, 2);
    assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    atomic_fetch_add(&r->m->stats->pending, 1);
    refuses(r, in, 2, "", WEIR_EUNAVAILABLE, "Exceeds maximum queue size");
    assert_int_equal(atomic_load(&r->m->stats->failures[WR_FAIL_REJECTED]), 1);
    assert_int_equal(atomic_load(&r->m->stats->pending), 3);
}

static void the_cache_answers_what_was_asked_before(void **state)
{
    room *r = *state;
    wr_infer_answer out;
    serve(r, 1, "{\"response_cache\": {\"enable\": true}}");
    wr_tensor in[2] = {floats(r, "A", 2, 2, 0), floats(r, "B", 2, 2, 0)}, other[2] = {floats(r, "A", 2, 2, 5), in[1]},
              swapped[2] = {in[1], in[0]};
    int runs = atomic_load(&toy_runs);
    assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    assert_false(out.cached);
    assert_int_equal(infer(r, &out, swapped, 2, "", NULL), 0); /* the order of inputs is none of the question's */
    assert_true(out.cached);
    assert_int_equal(atomic_load(&toy_runs), runs + 1);
    assert_true(wr_str_is(out.out[0].name, "SUM") && out.out[0].ndims == 2 && out.out[0].shape[0] == 2 &&
                out.out[0].count == 4);
    assert_true(((float *)out.out[0].data)[3] == 3 + 3 + 1);
    assert_true(wr_str_is(((wr_str *)out.out[1].data)[1], "1"));
    assert_int_equal(out.rows, 2);
    assert_int_equal(infer(r, &out, in, 2, "NAME,SUM", NULL), 0); /* that of outputs is */
    assert_false(out.cached);
    assert_int_equal(infer(r, &out, other, 2, "", NULL), 0);
    assert_false(out.cached);
    wr_model_stats *s = r->m->stats;
    assert_int_equal(atomic_load(&s->cache_hit.n), 1);
    assert_int_equal(atomic_load(&s->cache_miss.n), 3);
    assert_int_equal(atomic_load(&s->success.n), 4);
    assert_int_equal(atomic_load(&s->executions), 3);
    serve(r, 50, "{\"response_cache\": {\"enable\": true}}"); /* another model of the name and version */
    assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    assert_false(out.cached);
    assert_true(((float *)out.out[0].data)[0] == 50);
    serve(r, 51, "{}"); /* off unless the configuration says so */
    assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    assert_false(out.cached);
}

static void large_batches_give_the_same_in_parts(void **state)
{
    room *r = *state;
    wr_infer_answer out, slow;
    serve(r, 1, "{}");
    wr_tensor in[2] = {floats(r, "A", 10001, 2, 0), floats(r, "B", 10001, 2, 3)};
    int runs = atomic_load(&toy_runs);
    assert_int_equal(infer(r, &out, in, 2, "", NULL), 0);
    assert_true(atomic_load(&toy_runs) > runs + 1);
    assert_int_equal(atomic_load(&r->m->stats->executions), 1);
    const bool want[2] = {true, true};
    slow.out = (wr_tensor[2]){{.type = WR_TENSOR_FP32}, {.type = WR_TENSOR_BYTES}};
    assert_int_equal(toy_run(r->m->predictor, slow.out, want, in, r->a, NULL), 0);
    assert_int_equal(out.out[0].count, 20002);
    assert_int_equal(out.out[0].shape[0], 10001);
    assert_memory_equal(out.out[0].data, slow.out[0].data, 20002 * sizeof(float));
    for (size_t i = 0; i < 10001; i++) assert_true(wr_str_is(((wr_str *)out.out[1].data)[i], "1"));
    serve(r, -1, "{}");
    refuses(r, in, 2, "", WEIR_EINTERNAL, "the toy is broken");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(inputs_are_found_by_name_and_outputs_chosen),
        T(what_does_not_fit_is_refused_in_tritons_words),
        T(a_lenient_input_takes_other_numbers),
        T(shapes_of_the_configuration_are_the_clients),
        T(requests_are_counted),
        T(a_full_queue_is_said_at_once),
        T(the_cache_answers_what_was_asked_before),
        T(large_batches_give_the_same_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
