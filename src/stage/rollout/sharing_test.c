/* SPDX-License-Identifier: Apache-2.0 */
/* sharing_test.c - requests of a rollout that wait for others: which arm answers is settled when they come, what is
 * counted, logged and remembered when they are answered, whatever becomes of the rollout meanwhile. */
#include "stage/deploy/meter_testing.h"

#include "codec/json.h"
#include "predict/predict_testing.h"
#include "stage/rollout/rollout_inside.h"

static const char forest_json[] = WEIR_SOURCE_DIR "/tests/reference/forests/xgb32_squarederror.json";

enum { MANY = 40, OWN = 1, OTHER = 2, BROKEN = -1 /* what the toys add */ };

typedef struct {
    trips *w;
    wr_serve *s;
    wr_round *round;
    wr_batch *batch;
} room;

typedef struct {
    wr_arena *a;
    wr_instance *model;
    wr_serve_reply reply;
    wr_err err;
    int value, rc; /* rc 1: it waits */
    float sum;     /* of the answer, read while it is there */
    char id[160];
} one;

static room set_up(trips *w)
{
    room r = {.w = w};
    OK(wr_file_copy(forest_json, trips_path(w, "trees.json"), err));
    OK(wr_file_copy(forest_json, trips_path(w, "other.json"), err));
    r.s = meter_start(w, "endpoints:\n  trees: {path: trees.json}\n", &wr_rollouts);
    r.round = wr_round_new(r.s);
    r.batch = wr_batch_new();
    return r;
}

static void end(room *r)
{
    assert_int_equal(wr_batch_waiting(r->batch), 0);
    wr_batch_free(r->batch);
    wr_round_free(r->round);
    wr_serve_close(r->s);
    assert_int_equal(atomic_load(&toys), 0); /* nobody holds one any more */
}

/* A toy takes the place of the model that was loaded. */
static void put(room *r, const char *name, const char *version, int n)
{
    wr_predictor *p = toy_new(n);
    p->steady = true;
    OK(wr_repository_put(wr_serve_repository(r->s), name, version, p, WR_STR("{\"max_batch_size\":64}"), err));
}

/* `text` is the rest of the specification. */
static void begin(room *r, const char *text, int own, int other)
{
    char *spec = wr_arena_printf(r->w->a, "%s\narms: {other: {path: \"%s\", weight: 50%%}}\n", text,
                                 trips_path(r->w, "other.json"));
    OK(wr_rollout_begin(r->s, WR_STR("trees"), wr_str_of(spec), err));
    put(r, "trees", "1", own);
    put(r, "trees:other", "other", other);
}

static double number(room *r, const char *pointer)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    OK(wr_rollout_status(&b, r->s, WR_STR("trees"), err));
    OK(wr_json_parse(&j, wr_buf_view(&b), "status", err));
    yyjson_val *v = yyjson_ptr_get(j.root, pointer);
    if (!v) fail_msg("no %s", pointer);
    return yyjson_get_num(v);
}

static double busy_s(room *r)
{
    wr_rollout *at = wr_rollout_hold(wr_serve_endpoint_named(r->s, WR_STR("trees")));
    double s = 0;
    for (int i = 0; i < 2; i++) s += (double)atomic_load(&at->arms[i].busy_ns) / 1e9;
    wr_rollout_drop(at);
    return s;
}

static void expect(room *r, int arm, int requests, int errors)
{
    char path[60];
    snprintf(path, sizeof path, "/arms/%d/requests", arm);
    assert_int_equal(number(r, path), requests);
    snprintf(path, sizeof path, "/arms/%d/errors", arm);
    assert_int_equal(number(r, path), errors);
    snprintf(path, sizeof path, "/arms/%d/predictions", arm);
    assert_int_equal(number(r, path), requests - errors);
}

static void answered(one *o, int rc)
{
    o->rc = rc;
    wr_instance_give(o->model);
    if (rc < 0) return;
    assert_int_equal(o->reply.nout, 2);
    o->sum = ((const float *)o->reply.out[0].data)[0];
    assert_true(wr_str_is(o->reply.out[0].name, "SUM"));
    wr_serve_reply_end(&o->reply);
    if (o->reply.nids) snprintf(o->id, sizeof o->id, "%.*s", WR_STR_FMT(o->reply.ids[0]));
}

static void done(void *arg, int rc)
{
    one *o = arg;
    assert_int_equal(o->rc, 1);
    answered(o, rc);
}

static void tensor(wr_tensor *t, const char *name, float value, wr_arena *a)
{
    *t = (wr_tensor){.name = wr_str_of(name), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 2}, .count = 2};
    OK(wr_tensor_alloc(t, a, err));
    for (int i = 0; i < 2; i++) ((float *)t->data)[i] = value;
}

/* A + B + n = value + n. */
static void ask(room *r, one *o, int value)
{
    wr_served *package;
    o->a = wr_arena_new(0);
    o->value = value;
    wr_tensor *in = wr_arena_alloc(o->a, 2 * sizeof *in);
    tensor(&in[0], "A", (float)value, o->a);
    tensor(&in[1], "B", 0, o->a);
    wr_infer_request q = {.in = in, .nin = 2, .start_ns = wr_clock_mono_ns()};
    wr_serve_asked asked = {
        .id = wr_str_of(wr_arena_printf(o->a, "id-%d", value)), .batch = r->batch, .done = done, .arg = o};
    OK(wr_serve_find(&package, &o->model, r->s, WR_STR("trees"), (wr_str){NULL, 0}, err));
    assert_null(package);
    o->rc = wr_serve_answer_to(&o->reply, r->round, NULL, o->model, &q, &asked, o->a, &o->err);
    if (o->rc != 1) answered(o, o->rc);
}

static void ask_many(room *r, one *o, int n, int rc)
{
    memset(o, 0, (size_t)n * sizeof *o);
    for (int i = 0; i < n; i++) {
        ask(r, &o[i], 100 + i);
        assert_int_equal(o[i].rc, rc);
    }
    assert_int_equal(wr_batch_waiting(r->batch), rc == 1 ? n : 0);
}

static void settle(room *r)
{
    (void)wr_batch_run(r->batch, true);
    OK(wr_serve_round_end(r->round, err));
}

static void forget(one *o, int n)
{
    for (int i = 0; i < n; i++) wr_arena_free(o[i].a);
}

/* Did the other arm answer? And as it says. */
static bool by_other(const one *o)
{
    bool other = o->reply.version.p != NULL;
    if (other) assert_true(wr_str_is(o->reply.version, "other"));
    assert_true(o->sum == (float)(o->value + (other ? OTHER : OWN)));
    return other;
}

/* ---- */

static void test_arms_share_runs(void **state)
{
    room r = set_up(*state);
    one o[MANY];
    int other = 0;
    begin(&r, "mode: split\nguardrails: none", OWN, OTHER);
    int runs = atomic_load(&toy_runs);
    ask_many(&r, o, MANY, 1);
    assert_int_equal(atomic_load(&toy_runs), runs);
    expect(&r, 0, 0, 0);
    expect(&r, 1, 0, 0);
    usleep(50000);
    settle(&r);
    assert_int_equal(atomic_load(&toy_runs), runs + 2); /* one an arm */
    for (int i = 0; i < MANY; i++) {
        char id[20];
        snprintf(id, sizeof id, "id-%d", o[i].value);
        assert_int_equal(o[i].rc, 0);
        assert_true(o[i].reply.kept); /* the decision is in the log, and goes out with its commit */
        assert_string_equal(o[i].id, id);
        other += by_other(&o[i]);
    }
    assert_in_range(other, 1, MANY - 1);
    expect(&r, 0, MANY - other, 0);
    expect(&r, 1, other, 0);
    for (int i = 0; i < MANY; i++) /* each id is remembered for the arm that answered */
        assert_int_equal(wr_rollout_reward(r.s, WR_STR("trees"), wr_str_of(o[i].id), by_other(&o[i]) ? 1 : 0.25, NULL),
                         1);
    assert_int_equal(number(&r, "/arms/0/rewards"), MANY - other);
    assert_int_equal(number(&r, "/arms/1/rewards"), other);
    assert_true(number(&r, "/arms/0/reward") == 0.25 && number(&r, "/arms/1/reward") == 1);
    assert_true(busy_s(&r) > 0 && busy_s(&r) < 0.04);                                    /* who waits does not work */
    assert_true(number(&r, "/arms/0/p50_ms") > 40 && number(&r, "/arms/1/p50_ms") > 40); /* but it takes that long */
    forget(o, MANY);
    end(&r);
}

/* The primary answers for an arm that fails, together again; when it cannot either, the arm is not to blame. */
static void test_arm_that_fails(void **state)
{
    room r = set_up(*state);
    one o[MANY];
    begin(&r, "mode: switch\nactive: other\nguardrails: none", OWN, BROKEN);
    int runs = atomic_load(&toy_runs);
    ask_many(&r, o, MANY, 1);
    settle(&r);
    /* one together, then each alone: nobody fails for somebody else; the primary's is one */
    assert_int_equal(atomic_load(&toy_runs), runs + 1 + MANY + 1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(o[i].rc, 0);
        assert_false(by_other(&o[i]));
        assert_int_equal(o[i].reply.nids, 1);
    }
    expect(&r, 1, MANY, MANY);
    expect(&r, 0, MANY, 0);
    forget(o, MANY);
    put(&r, "trees", "1", BROKEN);
    ask_many(&r, o, MANY, 1);
    settle(&r);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(o[i].rc, WEIR_EINTERNAL);
        assert_string_equal(o[i].err.msg, "the toy is broken");
    }
    expect(&r, 1, MANY, MANY);
    expect(&r, 0, 2 * MANY, MANY);
    forget(o, MANY);
    end(&r);
}

/* Rollouts that come while requests wait: those are answered by the models they were meant for, and are none of the new
 * one's. */
static void test_replaced_meanwhile(void **state)
{
    room r = set_up(*state);
    one o[3][MANY];
    int other = 0;
    begin(&r, "mode: switch\nactive: other\nguardrails: none", OWN, OTHER);
    ask_many(&r, o[0], MANY, 1);
    begin(&r, "mode: bandit\nguardrails: none", 100, 200); /* arms of other models, by the same names */
    memset(o[1], 0, sizeof o[1]);
    for (int i = 0; i < MANY; i++) ask(&r, &o[1][i], i);
    OK(wr_rollout_back(r.s, WR_STR("trees"), err));
    begin(&r, "mode: split\nguardrails: none", OWN, OTHER);
    memset(o[2], 0, sizeof o[2]);
    for (int i = 0; i < MANY; i++) ask(&r, &o[2][i], i);
    assert_int_equal(wr_batch_waiting(r.batch), 3 * MANY);
    settle(&r);
    for (int i = 0; i < MANY; i++) {
        assert_true(o[0][i].rc == 0 && o[1][i].rc == 0 && o[2][i].rc == 0);
        assert_true(by_other(&o[0][i]));
        assert_true(o[1][i].sum == (float)(i + (o[1][i].reply.version.p ? 200 : 100)));
        other += by_other(&o[2][i]);
    }
    expect(&r, 0, MANY - other, 0);
    expect(&r, 1, other, 0);
    for (int k = 0; k < 3; k++) forget(o[k], MANY);
    end(&r);
}

/* Where durations or joules are compared nobody waits, until the rollout is over. */
static void test_who_is_compared_waits_for_nobody(void **state)
{
    static const struct {
        const char *spec;
        int rc;
    } all[] = {{"mode: split", 0}, /* by default p99 is compared */
               {"mode: split\nguardrails: {p99: {max: 50ms}}", 0},
               {"mode: split\nguardrails: {joules: {worse_by: 50%}}", 0},
               {"mode: split\nguardrails: {errors: {worse_by: 1%}, drift: {max: 0.25}, reward: {worse_by: 0.1}}", 1},
               {"mode: shadow", 1},
               {"mode: shadow\nguardrails: {joules: {worse_by: 50%}}", 0}};
    room r = set_up(*state);
    one o[MANY];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        begin(&r, all[i].spec, OWN, OTHER);
        ask_many(&r, o, MANY, all[i].rc);
        settle(&r);
        for (int k = 0; k < MANY; k++) (void)by_other(&o[k]);
        forget(o, MANY);
        OK(wr_rollout_back(r.s, WR_STR("trees"), err));
        ask_many(&r, o, MANY, 1);
        settle(&r);
        for (int k = 0; k < MANY; k++) assert_false(by_other(&o[k]));
        forget(o, MANY);
    }
    end(&r);
}

/* Copies are made of what was answered, and compared with it. */
static void test_shadows(void **state)
{
    room r = set_up(*state);
    one o[MANY];
    begin(&r, "mode: shadow\nguardrails: none", OWN, OTHER);
    ask_many(&r, o, MANY, 1);
    assert_true(number(&r, "/arms/1/shadow/pairs") == 0 && number(&r, "/arms/1/shadow/dropped") == 0);
    settle(&r);
    for (int i = 0; i < MANY; i++) assert_false(by_other(&o[i]));
    for (int i = 0; i < 1000 && number(&r, "/arms/1/shadow/pairs") + number(&r, "/arms/1/shadow/dropped") < MANY; i++)
        usleep(10000);
    assert_int_equal(number(&r, "/arms/1/shadow/pairs"), MANY);
    assert_true(number(&r, "/arms/1/shadow/most_apart") == OTHER - OWN);
    expect(&r, 0, MANY, 0);
    forget(o, MANY);
    end(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trips_make, trips_end)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_arms_share_runs), TEST(test_arm_that_fails),
                                       TEST(test_replaced_meanwhile), TEST(test_who_is_compared_waits_for_nobody),
                                       TEST(test_shadows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
