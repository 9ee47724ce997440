/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"
#include "predict/batch.h"
#include "predict/predict_testing.h"

typedef struct {
    wr_arena *a;
    wr_repository *r;
    wr_batch *b;
    wr_instance *m;
    int order; /* of answers */
} room;

/* One request. */
typedef struct {
    room *r;
    wr_tensor in[2];
    wr_infer_request q;
    wr_infer_answer out;
    wr_err err;
    int rc, place; /* rc 1: nobody said anything yet */
    bool once_more;
    float sum, first; /* of the answer, read while it is there */
} one;

static int setup(void **state)
{
    room *r = calloc(1, sizeof *r);
    r->a = wr_arena_new(0);
    r->b = wr_batch_new();
    wr_repository_opt opt = {0};
    assert_int_equal(wr_repository_open(&r->r, &opt, NULL), 0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    room *r = *state;
    assert_int_equal(wr_batch_waiting(r->b), 0);
    wr_batch_free(r->b);
    wr_instance_give(r->m);
    wr_repository_close(r->r);
    assert_int_equal(atomic_load(&toys), 0);
    wr_arena_free(r->a);
    free(r);
    return 0;
}

static void serve(room *r, double n, bool steady, const char *config)
{
    wr_err err = {0};
    wr_predictor *p = toy_new(n);
    p->steady = steady;
    wr_instance_give(r->m);
    r->m = NULL;
    if (wr_repository_put(r->r, "toy", "1", p, wr_str_of(config), &err) < 0) fail_msg("%s", err.msg);
    assert_int_equal(wr_repository_take(&r->m, r->r, WR_STR("toy"), (wr_str){NULL, 0}, NULL), 0);
}

static wr_tensor floats(room *r, const char *name, int64_t rows, float from)
{
    wr_tensor t = {.name = wr_str_of(name), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {rows, 2}};
    assert_int_equal(wr_tensor_count(&t, NULL), 0);
    assert_int_equal(wr_tensor_alloc(&t, r->a, NULL), 0);
    for (size_t i = 0; i < t.count; i++) ((float *)t.data)[i] = from + (float)i;
    return t;
}

static void ask(one *o, room *r, int64_t rows, float from);

static void done(void *arg, int rc)
{
    one *o = arg;
    o->rc = rc;
    o->place = o->r->order++;
    if (rc == 0) {
        const float *x = o->out.out[0].data;
        assert_true(wr_str_is(o->out.out[0].name, "SUM"));
        for (size_t i = 0; i < o->out.out[0].count; i++) o->sum += x[i];
        o->first = x[0];
    }
    if (o->once_more) ask(o + 1, o->r, 1, 50);
}

static void ask(one *o, room *r, int64_t rows, float from)
{
    o->r = r;
    o->in[0] = floats(r, "A", rows, from);
    o->in[1] = floats(r, "B", rows, 100);
    o->q.in = o->in;
    o->q.nin = 2;
    o->place = -1;
    o->rc = wr_batch_infer(&o->out, r->b, r->m, &o->q, done, o, r->a, &o->err);
}

/* A = from, from + 1, ...; B = 100, 101, ...; the model adds n. */
static void check(const one *o, int64_t rows, float from, float n, int place)
{
    float count = (float)(2 * rows);
    assert_int_equal(o->rc, 0);
    assert_int_equal(o->place, place);
    assert_int_equal(o->out.rows, rows);
    assert_true(o->out.busy_ns > 0);
    assert_true(o->out.out[0].shape[0] == rows && o->out.out[0].count == (size_t)(2 * rows));
    assert_true(o->first == from + 100 + n);
    assert_true(o->sum == count * (from + 100 + n) + count * (count - 1));
}

static void who_waits_shares_a_run(void **state)
{
    room *r = *state;
    one o[3] = {0};
    serve(r, 7, true, "{}");
    int runs = atomic_load(&toy_runs);
    for (int i = 0; i < 3; i++) {
        ask(&o[i], r, i + 1, (float)(10 * i));
        assert_int_equal(o[i].rc, 1);
    }
    assert_int_equal(wr_batch_waiting(r->b), 3);
    assert_int_equal(atomic_load(&r->m->stats->pending), 3);
    assert_int_equal(atomic_load(&toy_runs), runs);
    wr_batch_run(r->b, false);
    assert_int_equal(atomic_load(&toy_runs), runs + 1);
    for (int i = 0; i < 3; i++) check(&o[i], i + 1, (float)(10 * i), 7, i);
    const wr_model_stats *s = r->m->stats;
    assert_int_equal(atomic_load(&s->success.n), 3);
    assert_int_equal(atomic_load(&s->inferences), 6);
    assert_int_equal(atomic_load(&s->executions), 1);
    assert_int_equal(atomic_load(&s->infer.n), 3);
    assert_int_equal(atomic_load(&s->pending), 0);
    wr_batch_run(r->b, false); /* nobody waits */
    assert_int_equal(atomic_load(&toy_runs), runs + 1);
}

static void only_what_fits_together_runs_together(void **state)
{
    room *r = *state;
    one o[4] = {0};
    const wr_str sum = WR_STR("SUM");
    serve(r, 1, true, "{\"max_batch_size\": 4}");
    int runs = atomic_load(&toy_runs);
    for (int i = 0; i < 4; i++) {
        o[i].q.outputs = &sum;
        o[i].q.noutputs = i == 1; /* the second does not want the name */
        ask(&o[i], r, 2, (float)i);
    }
    wr_batch_run(r->b, false); /* 0 and 2 are four rows; 1; 3 */
    assert_int_equal(atomic_load(&toy_runs), runs + 3);
    for (int i = 0; i < 4; i++) check(&o[i], 2, (float)i, 1, i);
    assert_int_equal(o[0].out.nout, 2);
    assert_int_equal(o[1].out.nout, 1);
    assert_int_equal(atomic_load(&r->m->stats->executions), 3);
}

static void who_is_answered_at_once(void **state)
{
    room *r = *state;
    one o[4] = {0};
    serve(r, 1, false, "{}"); /* its last digits may move with the company it keeps */
    ask(&o[0], r, 1, 0);
    assert_int_equal(o[0].rc, 0);
    serve(r, 1, false, "{\"dynamic_batching\": {}}"); /* which is what the configuration wants */
    ask(&o[1], r, 1, 0);
    assert_int_equal(o[1].rc, 1);
    wr_batch_run(r->b, false);
    check(&o[1], 1, 0, 1, 0);
    serve(r, 1, true, "{\"response_cache\": {\"enable\": true}}");
    ask(&o[2], r, 1, 3);
    assert_int_equal(o[2].rc, 1);
    wr_batch_run(r->b, false);
    ask(&o[3], r, 1, 3);
    assert_int_equal(o[3].rc, 0);
    assert_true(o[3].out.cached);
    assert_int_equal(atomic_load(&r->m->stats->cache_hit.n), 1);
}

static void a_failing_run_is_made_again_one_by_one(void **state)
{
    room *r = *state;
    one o[2] = {0};
    serve(r, -1, true, "{}");
    int runs = atomic_load(&toy_runs);
    for (int i = 0; i < 2; i++) ask(&o[i], r, 1, 0);
    wr_batch_run(r->b, false);
    assert_int_equal(atomic_load(&toy_runs), runs + 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(o[i].rc, WEIR_EINTERNAL);
        assert_string_equal(o[i].err.msg, "the toy is broken");
    }
    assert_int_equal(atomic_load(&r->m->stats->failures[WR_FAIL_BACKEND]), 2);
    assert_int_equal(atomic_load(&r->m->stats->executions), 0);
}

static void the_queue_has_its_cap(void **state)
{
    room *r = *state;
    one o[4] = {0};
    serve(r, 1, true, "{\"dynamic_batching\": {\"default_queue_policy\": {\"max_queue_size\": 2}}}");
    for (int i = 0; i < 4; i++) ask(&o[i], r, 1, 0); /* one runs, so to speak, and two wait */
    assert_int_equal(o[3].rc, WEIR_EUNAVAILABLE);
    assert_string_equal(o[3].err.msg, "Exceeds maximum queue size");
    wr_batch_run(r->b, false);
    for (int i = 0; i < 3; i++) check(&o[i], 1, 0, 1, i);
    assert_int_equal(atomic_load(&r->m->stats->failures[WR_FAIL_REJECTED]), 1);
    assert_int_equal(atomic_load(&r->m->stats->pending), 0);
}

static void a_run_waits_to_be_full(void **state)
{
    room *r = *state;
    one o[6] = {0};
    serve(r, 1, true,
          "{\"max_batch_size\": 8, \"dynamic_batching\": {\"preferred_batch_size\": [6, 4], \"max_queue_delay_microseconds\": 500000}}");
    for (int i = 0; i < 3; i++) ask(&o[i], r, 1, (float)i);
    int64_t before = wr_clock_mono_ns(), next = wr_batch_run(r->b, false);
    assert_true(next <= before + 500000000 && next > before - 500000000);
    assert_int_equal(wr_batch_waiting(r->b), 3);
    ask(&o[3], r, 1, 3);
    assert_true(wr_batch_run(r->b, false) == INT64_MAX);
    for (int i = 0; i < 4; i++) check(&o[i], 1, (float)i, 1, i);
    assert_int_equal(atomic_load(&r->m->stats->executions), 1);
    assert_true(atomic_load(&r->m->stats->queue.ns) > 0);
    o[4].q.timeout_us = 1; /* half a microsecond is over */
    ask(&o[4], r, 1, 4);
    usleep(10);
    assert_true(wr_batch_run(r->b, false) == INT64_MAX);
    check(&o[4], 1, 4, 1, 4);
    ask(&o[5], r, 1, 5);
    assert_true(wr_batch_run(r->b, false) < INT64_MAX);
    assert_true(wr_batch_run(r->b, true) == INT64_MAX); /* the server ends */
    check(&o[5], 1, 5, 1, 5);
}

/* While they wait for company nothing runs: the cap is of those alone. */
static void who_waits_for_company_is_in_the_queue(void **state)
{
    room *r = *state;
    one o[4] = {0};
    serve(r, 1, true,
          "{\"max_batch_size\": 8, \"dynamic_batching\": {\"max_queue_delay_microseconds\": 500000, \"default_queue_policy\": "
          "{\"max_queue_size\": 2}}}");
    for (int i = 0; i < 3; i++) ask(&o[i], r, 1, (float)i);
    assert_true(o[0].rc == 1 && o[1].rc == 1);
    assert_int_equal(o[2].rc, WEIR_EUNAVAILABLE);
    assert_string_equal(o[2].err.msg, "Exceeds maximum queue size");
    assert_int_equal(atomic_load(&r->m->stats->held), 2);
    assert_true(wr_batch_run(r->b, true) == INT64_MAX);
    for (int i = 0; i < 2; i++) check(&o[i], 1, (float)i, 1, i);
    assert_int_equal(atomic_load(&r->m->stats->held), 0);
    ask(&o[3], r, 1, 3);
    assert_int_equal(o[3].rc, 1);
    assert_true(wr_batch_run(r->b, true) == INT64_MAX);
    check(&o[3], 1, 3, 1, 2);
}

static void who_fits_nobody_waits_alone(void **state)
{
    room *r = *state;
    one o[5] = {0};
    const wr_str sum = WR_STR("SUM");
    serve(r, 1, true, "{\"max_batch_size\": 4, \"dynamic_batching\": {\"max_queue_delay_microseconds\": 500000}}");
    for (int i = 0; i < 5; i++) {
        o[i].q.outputs = &sum;
        o[i].q.noutputs = i == 1;
        ask(&o[i], r, 1, (float)i);
    }
    assert_true(wr_batch_run(r->b, false) < INT64_MAX);
    assert_int_equal(wr_batch_waiting(r->b), 1); /* 0, 2, 3 and 4 fill a batch */
    assert_int_equal(o[1].rc, 1);
    usleep(50000);
    assert_true(wr_batch_run(r->b, true) == INT64_MAX);
    check(&o[1], 1, 1, 1, 4);
    assert_true(o[1].out.busy_ns < 40000000); /* waiting is no work, also of one that ran alone in the end */
}

static void more_may_come_meanwhile(void **state)
{
    room *r = *state;
    one o[2] = {0};
    serve(r, 1, true, "{}");
    o[0].once_more = true;
    ask(&o[0], r, 1, 0);
    wr_batch_run(r->b, false);
    check(&o[0], 1, 0, 1, 0);
    check(&o[1], 1, 50, 1, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(who_waits_shares_a_run),  T(only_what_fits_together_runs_together),
        T(who_is_answered_at_once), T(a_failing_run_is_made_again_one_by_one),
        T(the_queue_has_its_cap),   T(more_may_come_meanwhile),
        T(a_run_waits_to_be_full), T(who_fits_nobody_waits_alone),
        T(who_waits_for_company_is_in_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
