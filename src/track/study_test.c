/* SPDX-License-Identifier: Apache-2.0 */
/* study_test.c - studies and trials: what may change when, what is refused, numbers without gaps, claims, incremental
 * reading. */
#include "track/study.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "track/track_testing.h"

#define FLOAT                                                                                                          \
    "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0, \"high\": 1.0, \"log\": false}}"
#define FLOAT_WIDE                                                                                                     \
    "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": -5.0, \"high\": 9.0, \"log\": "       \
    "false}}"
#define FLOAT_LOG                                                                                                      \
    "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.1, \"high\": 1.0, \"log\": true}}"
#define INT_ONE                                                                                                        \
    "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 1, \"low\": 0, \"high\": 9}}"
#define CHOICES(list) "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [" list "]}}"

static const bool both[] = {false, true};

/* ---- studies ---- */

static void studies(store *s)
{
    int64_t a, b, found;
    wr_study got, *all;
    size_t n;
    OK(wr_study_create(&a, s->t, WR_STR("one \xc3\xa9"), both, 2, &s->err));
    OK(wr_study_create(&b, s->t, WR_STR(""), both + 1, 1, &s->err));
    assert_true(a > 0 && b > a);
    FAILS(WEIR_EEXIST, "a study 'one \xc3\xa9' already exists",
          wr_study_create(&found, s->t, WR_STR("one \xc3\xa9"), both, 1, &s->err));
    FAILS(WEIR_EINVAL, "1 to 64 directions, not '0'", wr_study_create(&found, s->t, WR_STR("x"), both, 0, &s->err));
    FAILS(WEIR_EINVAL, "1 to 64 directions, not '65'", wr_study_create(&found, s->t, WR_STR("x"), both, 65, &s->err));
    FAILS(WEIR_EINVAL, "NUL byte", wr_study_create(&found, s->t, WR_STR("a\0b"), both, 1, &s->err));
    OK(wr_study_find(&found, s->t, WR_STR("one \xc3\xa9"), &s->err));
    assert_int_equal(found, a);
    FAILS(WEIR_ENOTFOUND, "there is no study 'two'", wr_study_find(&found, s->t, WR_STR("two"), &s->err));
    OK(wr_study_set_attr(s->t, a, false, WR_STR("k"), WR_STR("1"), &s->err));
    OK(wr_study_set_attr(s->t, a, false, WR_STR("k"), WR_STR("{\"x\": [NaN, -Infinity]}"), &s->err));
    OK(wr_study_set_attr(s->t, a, true, WR_STR("k"), WR_STR("\"system\""), &s->err));
    FAILS(WEIR_EINVAL, "is not JSON", wr_study_set_attr(s->t, a, true, WR_STR("k"), WR_STR("{"), &s->err));
    FAILS(WEIR_EINVAL, "is not JSON", wr_study_set_attr(s->t, a, true, WR_STR("k"), WR_STR(""), &s->err));
    FAILS(WEIR_ENOTFOUND, "no study with id '99'",
          wr_study_set_attr(s->t, 99, true, WR_STR("k"), WR_STR("1"), &s->err));
    OK(wr_study_get(&got, s->a, s->t, a, &s->err));
    assert_string_equal(got.name.p, "one \xc3\xa9");
    assert_true(got.nobjectives == 2 && !got.maximize[0] && got.maximize[1]);
    assert_true(got.nuser == 1 && wr_str_is(got.user[0].value, "{\"x\": [NaN, -Infinity]}"));
    assert_true(got.nsystem == 1 && wr_str_is(got.system[0].value, "\"system\""));
    OK(wr_study_all(&all, &n, s->a, s->t, &s->err));
    assert_true(n == 2 && all[0].id == a && all[1].id == b && all[0].nuser == 1 && all[1].nuser == 0 &&
                all[1].maximize[0]);
    FAILS(WEIR_ENOTFOUND, "no study with id '99'", wr_study_get(&got, s->a, s->t, 99, &s->err));
    FAILS(WEIR_ENOTFOUND, "no study with id '99'", wr_study_delete(s->t, 99, &s->err));
}

static void test_studies(void **state) { store_write(*state, studies); }

static int rows(store *s, const char *table)
{
    char sql[80];
    wr_stmt *st;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    OK(wr_db_prepare(s->db, &st, sql, &s->err));
    assert_int_equal(wr_step(st, &s->err), 1);
    int n = (int)wr_stmt_i64(st, 0);
    wr_stmt_done(st);
    return n;
}

static void fill(store *s, int64_t study)
{
    int64_t id;
    bool changed;
    wr_trial_param p = {WR_STR("x"), WR_STR(FLOAT), 0.5};
    OK(wr_trial_create(&id, s->t, study, NULL, &s->err));
    OK(wr_trial_set_param(s->t, id, &p, &s->err));
    OK(wr_trial_set_step(s->t, id, 0, 1, &s->err));
    OK(wr_trial_set_attr(s->t, id, false, WR_STR("k"), WR_STR("1"), &s->err));
    OK(wr_study_set_attr(s->t, study, false, WR_STR("k"), WR_STR("1"), &s->err));
    OK(wr_trial_set_state(&changed, s->t, id, WR_TRIAL_COMPLETE, &(double){1}, 1, &s->err));
}

static void deletes(store *s)
{
    static const char *const tables[] = {"studies",      "study_attrs", "study_trials",     "study_spaces",
                                         "study_params", "study_steps", "study_trial_attrs"};
    int64_t a, b, again;
    OK(wr_study_create(&a, s->t, WR_STR("a"), both, 1, &s->err));
    OK(wr_study_create(&b, s->t, WR_STR("b"), both, 1, &s->err));
    fill(s, a);
    fill(s, b);
    OK(wr_study_delete(s->t, a, &s->err));
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(rows(s, tables[i]), 1); /* nothing stays, nothing of the other goes */
    OK(wr_study_create(&again, s->t, WR_STR("a"), both, 1, &s->err));
    assert_true(again > b); /* an id is never given again */
    OK(wr_study_delete(s->t, b, &s->err));
    OK(wr_study_delete(s->t, again, &s->err));
    for (size_t i = 0; i < 7; i++) assert_int_equal(rows(s, tables[i]), 0);
}

static void test_delete_takes_all(void **state) { store_write(*state, deletes); }

/* ---- trials ---- */

static wr_trial got(store *s, int64_t id)
{
    wr_trial t = {0};
    OK(wr_trial_get(&t, s->a, s->t, id, &s->err));
    return t;
}

static void life(store *s)
{
    int64_t study, id, found;
    bool changed;
    const int64_t before = wr_clock_wall_us();
    OK(wr_study_create(&study, s->t, WR_STR("a"), both, 2, &s->err));
    FAILS(WEIR_ENOTFOUND, "no study with id", wr_trial_create(&id, s->t, study + 9, NULL, &s->err));
    OK(wr_trial_create(&id, s->t, study, NULL, &s->err));
    wr_trial t = got(s, id);
    assert_true(t.id == id && t.number == 0 && t.study == study && t.state == WR_TRIAL_RUNNING &&
                t.end_us == WR_TRIAL_NEVER);
    assert_true(t.start_us >= before && t.start_us <= wr_clock_wall_us());
    assert_true(t.nvalues == 0 && t.nparams == 0 && t.nsteps == 0 && t.nuser == 0 && t.nsystem == 0);
    OK(wr_trial_set_step(s->t, id, 7, NAN, &s->err));
    OK(wr_trial_set_step(s->t, id, -3, INFINITY, &s->err));
    OK(wr_trial_set_step(s->t, id, 7, 0.25, &s->err));
    OK(wr_trial_set_step(s->t, id, INT64_MAX, NAN, &s->err));
    OK(wr_trial_set_attr(s->t, id, false, WR_STR("u"), WR_STR("[1]"), &s->err));
    OK(wr_trial_set_attr(s->t, id, true, WR_STR("u"), WR_STR("2"), &s->err));
    t = got(s, id);
    assert_true(t.nsteps == 3 && t.steps[0].step == -3 && isinf(t.steps[0].value) && t.steps[1].value == 0.25 &&
                isnan(t.steps[2].value));
    assert_true(t.nuser == 1 && wr_str_is(t.user[0].value, "[1]") && t.nsystem == 1 &&
                wr_str_is(t.system[0].value, "2"));
    const double values[] = {0.1, -INFINITY};
    OK(wr_trial_set_state(&changed, s->t, id, WR_TRIAL_COMPLETE, values, 2, &s->err));
    assert_true(changed);
    t = got(s, id);
    assert_true(t.state == WR_TRIAL_COMPLETE && t.nvalues == 2 && t.values[0] == 0.1 && t.values[1] == -INFINITY &&
                t.end_us >= t.start_us);
    OK(wr_trial_find(&found, s->t, study, 0, &s->err));
    assert_int_equal(found, id);
    FAILS(WEIR_ENOTFOUND, "no trial number '1'", wr_trial_find(&found, s->t, study, 1, &s->err));
    FAILS(WEIR_ENOTFOUND, "no trial with id '99'", wr_trial_get(&t, s->a, s->t, 99, &s->err));
}

static void test_life_of_a_trial(void **state) { store_write(*state, life); }

static void finished_trials(store *s)
{
    static const wr_trial_state final[] = {WR_TRIAL_COMPLETE, WR_TRIAL_PRUNED, WR_TRIAL_FAIL};
    int64_t study, id;
    bool changed;
    wr_trial_param p = {WR_STR("x"), WR_STR(FLOAT), 0.5};
    OK(wr_study_create(&study, s->t, WR_STR("a"), both, 1, &s->err));
    for (size_t i = 0; i < 3; i++) {
        OK(wr_trial_create(&id, s->t, study, NULL, &s->err));
        OK(wr_trial_set_state(&changed, s->t, id, final[i], NULL, 0, &s->err));
        FAILS(WEIR_ECONFLICT, "has already finished", wr_trial_set_param(s->t, id, &p, &s->err));
        FAILS(WEIR_ECONFLICT, "has already finished", wr_trial_set_step(s->t, id, 1, 1, &s->err));
        FAILS(WEIR_ECONFLICT, "has already finished",
              wr_trial_set_attr(s->t, id, true, WR_STR("k"), WR_STR("1"), &s->err));
        for (int state = 0; state <= WR_TRIAL_WAITING; state++)
            FAILS(WEIR_ECONFLICT, "has already finished",
                  wr_trial_set_state(&changed, s->t, id, (wr_trial_state)state, NULL, 0, &s->err));
        assert_int_equal(got(s, id).state, final[i]);
    }
    FAILS(WEIR_ENOTFOUND, "no trial with id '99'", wr_trial_set_param(s->t, 99, &p, &s->err));
    FAILS(WEIR_ENOTFOUND, "no trial with id '99'", wr_trial_set_step(s->t, 99, 1, 1, &s->err));
    FAILS(WEIR_ENOTFOUND, "no trial with id '99'",
          wr_trial_set_attr(s->t, 99, true, WR_STR("k"), WR_STR("1"), &s->err));
    FAILS(WEIR_ENOTFOUND, "no trial with id '99'",
          wr_trial_set_state(&changed, s->t, 99, WR_TRIAL_FAIL, NULL, 0, &s->err));
}

static void test_finished_trials_stay(void **state) { store_write(*state, finished_trials); }

static void templates(store *s)
{
    int64_t study, id;
    bool changed;
    double values[] = {1.5, NAN};
    wr_trial_param params[] = {{WR_STR("x"), WR_STR(FLOAT), 0.5}, {WR_STR("c"), WR_STR(CHOICES("\"a\", null")), 1}};
    wr_trial_step steps[] = {{1, 2.5}};
    wr_track_item user[] = {{WR_STR("u"), WR_STR("1")}}, system[] = {{WR_STR("s"), WR_STR("2")}};
    const wr_trial like = {.state = WR_TRIAL_COMPLETE,
                           .number = 77,
                           .id = 5,
                           .start_us = 1000000,
                           .end_us = 2000001,
                           .values = values,
                           .nvalues = 2,
                           .params = params,
                           .nparams = 2,
                           .steps = steps,
                           .nsteps = 1,
                           .user = user,
                           .nuser = 1,
                           .system = system,
                           .nsystem = 1};
    OK(wr_study_create(&study, s->t, WR_STR("a"), both, 2, &s->err));
    OK(wr_trial_create(&id, s->t, study, &like, &s->err));
    wr_trial t = got(s, id);
    assert_true(t.number == 0 && t.state == WR_TRIAL_COMPLETE && t.start_us == 1000000 && t.end_us == 2000001);
    assert_true(t.nvalues == 2 && t.values[0] == 1.5 && isnan(t.values[1]));
    assert_true(t.nparams == 2 && wr_str_is(t.params[0].name, "c") && t.params[0].value == 1 &&
                wr_str_is(t.params[1].distribution, FLOAT));
    assert_true(t.nsteps == 1 && t.nuser == 1 && t.nsystem == 1 && wr_str_is(t.system[0].key, "s"));
    const wr_trial queued = {.state = WR_TRIAL_WAITING, .start_us = WR_TRIAL_NEVER, .end_us = WR_TRIAL_NEVER};
    OK(wr_trial_create(&id, s->t, study, &queued, &s->err));
    t = got(s, id);
    assert_true(t.number == 1 && t.state == WR_TRIAL_WAITING && t.start_us == WR_TRIAL_NEVER);
    OK(wr_trial_set_state(&changed, s->t, id, WR_TRIAL_RUNNING, NULL, 0, &s->err));
    assert_true(changed);
    assert_true(got(s, id).start_us > 0);
    OK(wr_trial_set_state(&changed, s->t, id, WR_TRIAL_RUNNING, NULL, 0, &s->err)); /* somebody has it */
    assert_false(changed);
    OK(wr_trial_set_state(&changed, s->t, id, WR_TRIAL_WAITING, NULL, 0, &s->err)); /* given back */
    assert_true(changed);
    OK(wr_trial_set_state(&changed, s->t, id, WR_TRIAL_RUNNING, NULL, 0, &s->err));
    assert_true(changed);
    params[0].distribution = WR_STR(INT_ONE); /* a template is held to the study's distributions too */
    FAILS(WEIR_EINVAL, "different distribution kind", wr_trial_create(&id, s->t, study, &like, &s->err));
}

static void test_templates(void **state) { store_write(*state, templates); }

static void distributions(store *s)
{
    int64_t study, other, a, b;
    OK(wr_study_create(&study, s->t, WR_STR("a"), both, 1, &s->err));
    OK(wr_study_create(&other, s->t, WR_STR("b"), both, 1, &s->err));
    OK(wr_trial_create(&a, s->t, study, NULL, &s->err));
    OK(wr_trial_create(&b, s->t, other, NULL, &s->err));
#define SET(name, json) wr_trial_set_param(s->t, a, &(wr_trial_param){WR_STR(name), WR_STR(json), 0.5}, &s->err)
    OK(SET("x", FLOAT));
    OK(SET("x", FLOAT_WIDE)); /* ranges may move */
    FAILS(WEIR_EINVAL, "different log", SET("x", FLOAT_LOG));
    FAILS(WEIR_EINVAL, "different distribution kind", SET("x", INT_ONE));
    OK(SET("c", CHOICES("1, \"a\", null, NaN, true")));
    OK(SET("c", CHOICES("1.0,\"a\",null,NaN,1"))); /* equal to Python */
    FAILS(WEIR_EINVAL, "dynamic value space", SET("c", CHOICES("1, \"a\", null, NaN")));
    FAILS(WEIR_EINVAL, "dynamic value space", SET("c", CHOICES("1, \"a\", null, NaN, 2")));
    FAILS(WEIR_EINVAL, "dynamic value space", SET("c", CHOICES("\"1\", \"a\", null, NaN, true")));
    FAILS(WEIR_EINVAL, "different distribution kind", SET("c", FLOAT));
    OK(SET("short", "{\"type\": \"float\", \"low\": 0, \"high\": 1}"));
    OK(SET("short", FLOAT));
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "1",
        "{\"name\": \"Other\", \"attributes\": {}}",
        "{\"name\": \"FloatDistribution\"}",
        "{\"name\": \"FloatDistribution\", \"attributes\": {\"low\": \"0\", \"high\": 1}}",
        CHOICES(""),
        "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": 1}}",
        "{\"type\": \"complex\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(WEIR_EINVAL, "is not a distribution",
              wr_trial_set_param(s->t, a, &(wr_trial_param){WR_STR("bad"), wr_str_of(bad[i]), 0.5}, &s->err));
    OK(wr_trial_set_param(s->t, b, &(wr_trial_param){WR_STR("x"), WR_STR(INT_ONE), 3},
                          &s->err)); /* another study's own matter */
    wr_trial t = got(s, a);
    assert_true(t.nparams == 3 && wr_str_is(t.params[2].distribution, FLOAT_WIDE)); /* refused ones left nothing */
}

static void test_distributions(void **state) { store_write(*state, distributions); }

/* ---- reading what is new ---- */

static void expect_ids(store *s, int64_t study, int64_t after, const int64_t *also, size_t nalso, const int64_t *want,
                       size_t nwant)
{
    wr_trial *all;
    size_t n;
    OK(wr_study_trials(&all, &n, s->a, s->t, study, after, also, nalso, &s->err));
    assert_int_equal(n, nwant);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(all[i].id, want[i]);
        assert_int_equal(all[i].nparams, 1);
        assert_true(all[i].params[0].value == (double)all[i].number); /* parts belong to their trial */
        assert_int_equal(all[i].nsteps, (size_t)(all[i].number % 3));
        assert_int_equal(all[i].nuser, (size_t)(all[i].number % 2));
    }
}

static void incremental(store *s)
{
    enum { N = 200 };
    int64_t study[2], ids[2][N], also[N + 3];
    OK(wr_study_create(&study[0], s->t, WR_STR("a"), both, 1, &s->err));
    OK(wr_study_create(&study[1], s->t, WR_STR("b"), both, 1, &s->err));
    for (int i = 0; i < 2 * N; i++) { /* the ids of both are mixed */
        int64_t *id = &ids[i % 2][i / 2];
        OK(wr_trial_create(id, s->t, study[i % 2], NULL, &s->err));
        OK(wr_trial_set_param(s->t, *id, &(wr_trial_param){WR_STR("x"), WR_STR(FLOAT), i / 2}, &s->err));
        for (int k = 0; k < i / 2 % 3; k++) OK(wr_trial_set_step(s->t, *id, k, k, &s->err));
        if (i / 2 % 2) OK(wr_trial_set_attr(s->t, *id, false, WR_STR("k"), WR_STR("1"), &s->err));
    }
    for (int w = 0; w < 2; w++) {
        expect_ids(s, study[w], -1, NULL, 0, ids[w], N);
        expect_ids(s, study[w], ids[w][N - 1], NULL, 0, NULL, 0);
        expect_ids(s, study[w], ids[w][49], NULL, 0, ids[w] + 50, N - 50);
        expect_ids(s, study[w], INT64_MAX, NULL, 0, NULL, 0);
    }
    /* some that are named: before the mark, after it, twice, of the other study, of nobody */
    const int64_t some[] = {ids[0][7], ids[0][3], ids[0][60], ids[0][7], ids[1][5], 1 << 30},
                  want[] = {ids[0][3], ids[0][7], ids[0][198], ids[0][199]};
    expect_ids(s, study[0], ids[0][197], some, 1, (int64_t[]){ids[0][7], ids[0][198], ids[0][199]}, 3);
    expect_ids(s, study[0], ids[0][197], some, 2, want, 4);
    expect_ids(s, study[0], ids[0][197], some, 6,
               (int64_t[]){ids[0][3], ids[0][7], ids[0][60], ids[0][198], ids[0][199]}, 5);
    for (int i = 0; i < N; i++) also[i] = ids[0][N - 1 - i]; /* many */
    also[N] = 1 << 30;
    also[N + 1] = ids[1][0];
    also[N + 2] = -5;
    expect_ids(s, study[0], ids[0][150], also, N + 3, ids[0], N);
    expect_ids(s, study[0], INT64_MAX, also, N + 3, ids[0], N);
    expect_ids(s, study[0], -1, also, N + 3, ids[0], N);
    wr_trial *all;
    size_t n;
    FAILS(WEIR_ENOTFOUND, "no study with id '99'", wr_study_trials(&all, &n, s->a, s->t, 99, -1, NULL, 0, &s->err));
}

static void test_incremental(void **state) { store_write(*state, incremental); }

/* ---- many workers ---- */

enum { WORKERS = 8, EACH = 25 };
static int64_t shared_study, waiting[EACH];
static atomic_int claims[EACH];

static int one_trial(wr_track *t, void *arg, wr_err *err)
{
    int64_t id;
    (void)arg;
    return wr_trial_create(&id, t, shared_study, NULL, err);
}

static int one_claim(wr_track *t, void *arg, wr_err *err)
{
    struct {
        int64_t id;
        bool changed;
    } *c = arg;
    return wr_trial_set_state(&c->changed, t, c->id, WR_TRIAL_RUNNING, NULL, 0, err);
}

static void *work(void *arg)
{
    wr_track *t = arg;
    wr_err err = {0};
    for (int i = 0; i < EACH; i++) {
        assert_int_equal(wr_track_write(t, one_trial, NULL, &err), 0);
        struct {
            int64_t id;
            bool changed;
        } c = {waiting[i], false};
        assert_int_equal(wr_track_write(t, one_claim, &c, &err), 0);
        if (c.changed) atomic_fetch_add(&claims[i], 1);
    }
    return NULL;
}

static void make_waiting(store *s)
{
    const wr_trial queued = {.state = WR_TRIAL_WAITING, .start_us = WR_TRIAL_NEVER, .end_us = WR_TRIAL_NEVER};
    OK(wr_study_create(&shared_study, s->t, WR_STR("a"), both, 1, &s->err));
    for (int i = 0; i < EACH; i++) OK(wr_trial_create(&waiting[i], s->t, shared_study, &queued, &s->err));
}

/* Workers of two servers over one database: numbers without gaps that grow with the ids, each waiting trial claimed
 * once. */
static void test_many_workers(void **state)
{
    store *s = *state;
    pthread_t threads[WORKERS];
    wr_trial *all;
    size_t n;
    wr_db *db;
    wr_track *second;
    wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    memset(claims, 0, sizeof claims);
    store_write(s, make_waiting);
    OK(wr_db_open(&db, s->path, &opt, &s->err));
    OK(wr_track_open(&second, db, &(wr_track_opt){0}, &s->err));
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, i % 2 ? second : s->t), 0);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    wr_track_close(second);
    wr_db_close(db);
    OK(wr_study_trials(&all, &n, s->a, s->t, shared_study, -1, NULL, 0, &s->err)); /* by id */
    assert_int_equal(n, EACH + WORKERS * EACH);
    for (size_t i = 0; i < n; i++) assert_int_equal(all[i].number, i);
    for (int i = 0; i < EACH; i++) assert_int_equal(atomic_load(&claims[i]), 1);
}

/* ---- times ---- */

static void test_local_times(void **state)
{
    (void)state;
    static const char *const zones[] = {"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata"};
    static const char *const texts[] = {"2026-01-31 13:05:07.250000", "2026-07-01 00:00:00.000001",
                                        "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00.000000",
                                        "2038-02-01 12:00:00.500000"};
    for (size_t z = 0; z < 4; z++) {
        setenv("TZ", zones[z], 1);
        tzset();
        for (size_t i = 0; i < 5; i++) {
            int64_t us;
            char back[WR_STUDY_TIME_TEXT];
            assert_int_equal(wr_study_local_parse(&us, wr_str_of(texts[i]), NULL), 0);
            wr_study_local_text(back, us);
            assert_string_equal(back, texts[i]);
        }
    }
    setenv("TZ", "Asia/Kolkata", 1); /* 5:30 ahead of UTC */
    tzset();
    int64_t us;
    assert_int_equal(wr_study_local_parse(&us, WR_STR("1970-01-01T05:30:00.000002"), NULL), 0);
    assert_int_equal(us, 2);
    assert_int_equal(wr_study_local_parse(&us, WR_STR("yesterday"), NULL), WEIR_EPARSE);
    unsetenv("TZ");
    tzset();
}

/* ---- failing allocations ---- */

static int everything(wr_track *t, void *arg, wr_err *err)
{
    store *s = arg;
    int64_t study, id;
    wr_trial_param p = {WR_STR("x"), WR_STR(FLOAT), 0.5};
    double values[] = {1, 2};
    bool changed;
    wr_trial *all;
    size_t n;
    WR_TRY(wr_study_create(&study, t, WR_STR("all"), both, 2, err));
    WR_TRY(wr_trial_create(&id, t, study, NULL, err));
    WR_TRY(wr_trial_set_param(t, id, &p, err));
    WR_TRY(wr_trial_set_step(t, id, 1, 1, err));
    WR_TRY(wr_trial_set_attr(t, id, false, WR_STR("k"), WR_STR("1"), err));
    WR_TRY(wr_trial_set_state(&changed, t, id, WR_TRIAL_COMPLETE, values, 2, err));
    WR_TRY(wr_study_trials(&all, &n, s->a, t, study, -1, &id, 1, err));
    assert_true(n == 1 && all[0].nvalues == 2 && all[0].nparams == 1 && all[0].nsteps == 1 && all[0].nuser == 1);
    return wr_study_delete(t, study, err);
}

static void test_every_allocation_fails(void **state)
{
    store *s = *state;
    bool fired = true;
    long n = 0;
    while (fired) {
        wr_arena_clear(s->a);
        wr_fault_arm(WR_FAULT_ALLOC, ++n, false);
        int rc = wr_track_write(s->t, everything, s, &s->err);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (!fired) assert_int_equal(rc, 0);
        assert_int_equal(rows(s, "studies"), 0); /* whole or not there; and deleted again when whole */
        assert_true(n < 2000);
    }
    assert_true(n > 5);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {
        T(test_studies),
        T(test_delete_takes_all),
        T(test_life_of_a_trial),
        T(test_finished_trials_stay),
        T(test_templates),
        T(test_distributions),
        T(test_incremental),
        T(test_many_workers),
        cmocka_unit_test(test_local_times),
        T(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
