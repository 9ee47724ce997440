/* SPDX-License-Identifier: Apache-2.0 */
/* rollout_test.c - rollouts over the wire: a bad challenger goes by itself and no request fails for it, a good one is
 * promoted through the registry, keys stay with their arm, a killed server goes on at the same step. */
#include "server/program_testing.h"
#include "server/server_testing.h"

#include <pthread.h>

#include "core/event.h"
#include "server/server.h"
#include "stage/rollout/run.h"

#define INFER   "/v2/models/late/infer"
#define ROLLOUT "/api/weir/1/endpoints/late/rollout"

static const char simple_onnx[] = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx";

typedef struct {
    trips *w;
    wr_server *s;
    pthread_t thread;
    wr_http_client *c;
} up;

static void *run(void *ctx)
{
    OK(wr_server_run(ctx, err));
    return NULL;
}

/* late@1 is the champion, late@2 the challenger. */
static up start(trips *w)
{
    up u = {.w = w};
    wr_server_opt opt = {.loops = 2};
    OK(wr_server_open(&u.s, w->project, &opt, err));
    u.c = client_at(wr_server_port(u.s));
    pthread_create(&u.thread, NULL, run, u.s);
    return u;
}

static void stop(up *u)
{
    wr_http_client_close(u->c);
    wr_server_stop(u->s);
    pthread_join(u->thread, NULL);
    OK(wr_server_close(u->s, err));
}

static int64_t challenger(trips *w, const char *package)
{
    int64_t version;
    trips_promote(w, 0);
    OK(wr_model_register(&version, w->project, "late", package, "", "challenger", err));
    return version;
}

/* One request; its version. `user` goes along as a parameter. */
static int ask(trips *w, wr_http_client *c, const char *user, size_t i, char id[40])
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_str reply = {"", 0};
    const char *body = infer_body(w, &b, id && id[0] ? id : NULL, i % TRIPS, i % TRIPS + 1);
    char *with = wr_arena_printf(w->a, "{\"parameters\":{\"user\":\"%s\"},%s", user, body + 1);
    assert_int_equal(call(c, "POST", INFER, with, &reply), 200);
    OK(wr_json_parse(&j, reply, "answer", err));
    return (int)strtol(yyjson_get_str(yyjson_obj_get(j.root, "model_version")), NULL, 10);
}

static void ask_many(up *u, size_t n, size_t *versions)
{
    for (size_t i = 0; i < n; i++) {
        char user[32];
        snprintf(user, sizeof user, "u%zu", i % 500);
        int v = ask(u->w, u->c, user, i, NULL);
        if (versions && v >= 0 && v < 4) versions[v]++;
    }
}

static int begin(wr_http_client *c, const char *spec, wr_str *reply) { return call(c, "PUT", ROLLOUT, spec, reply); }

static void status(wr_json *out, wr_http_client *c)
{
    wr_str reply = {"", 0};
    assert_int_equal(call(c, "GET", ROLLOUT, "", &reply), 200);
    OK(wr_json_parse(out, reply, "status", err));
}

static bool phase_is(wr_http_client *c, const char *phase)
{
    WR_AUTOJSON wr_json j = {0};
    status(&j, c);
    return strcmp(yyjson_get_str(yyjson_obj_get(j.root, "phase")), phase) == 0;
}

static double number(wr_http_client *c, const char *pointer)
{
    WR_AUTOJSON wr_json j = {0};
    status(&j, c);
    yyjson_val *v = yyjson_ptr_get(j.root, pointer);
    if (!v) fail_msg("no %s in the status", pointer);
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : yyjson_get_num(v);
}

/* Requests until the phase is there; how many. */
static size_t ask_until(up *u, const char *phase, size_t *versions)
{
    size_t n = 0;
    int64_t end = wr_clock_mono_ns() + (int64_t)60 * 1000000000;
    while (!phase_is(u->c, phase)) {
        usleep(20000);
        if (wr_clock_mono_ns() > end) {
            wr_str reply = {"", 0};
            (void)call(u->c, "GET", ROLLOUT, "", &reply);
            fail_msg("still not %s: %.*s", phase, WR_STR_FMT(reply));
        }
        ask_many(u, 50, versions);
        n += 50;
    }
    return n;
}

static const char *event_of(trips *w, const char *kind)
{
    wr_event *e;
    size_t n;
    OK(wr_event_list(&e, &n, w->a, w->project, 0, kind, 100, err));
    assert_true(n > 0);
    return e[n - 1].payload;
}

static int64_t champion(trips *w)
{
    wr_model_version v;
    OK(wr_model_find(&v, w->a, w->project, "late@champion", err));
    return v.version;
}

static void check_rolled_back(up *u, const char *guard)
{
    size_t versions[4] = {0};
    assert_true(number(u->c, "/arms/0/share") == 1 && number(u->c, "/arms/1/share") == 0 &&
                number(u->c, "/arms/1/out") == 1);
    ask_many(u, 60, versions);
    assert_int_equal(versions[1], 60); /* not one more */
    const char *payload = event_of(u->w, "rollback");
    if (!strstr(payload, guard)) fail_msg("%s is not in %s", guard, payload);
    assert_int_equal(champion(u->w), 1);
}

#define QUICK "min_samples: 60\nmin_time: 0s\nsteps: {interval: 1h, step_weight: 30%}\n"

/* A model that cannot answer at all: its requests are answered by the primary. */
static void test_errors(void **state)
{
    trips *w = *state;
    trips_promote(w, 0);
    up u = start(w);
    assert_int_equal(call(u.c, "GET", ROLLOUT, "", NULL), 404);
    char *spec = wr_arena_printf(w->a, "arms: {canary: {path: \"%s\"}}\n%s", simple_onnx, QUICK);
    assert_int_equal(begin(u.c, spec, NULL), 200);
    assert_true(number(u.c, "/arms/1/ready") == 1 && number(u.c, "/arms/1/share") == 0.3);
    size_t n = ask_until(&u, "rolled_back", NULL);
    assert_true(n >= 100);
    assert_true(number(u.c, "/arms/1/errors") == number(u.c, "/arms/1/requests") && number(u.c, "/arms/0/errors") == 0);
    check_rolled_back(&u, "errors");
    stop(&u);
}

static void test_drift(void **state)
{
    trips *w = *state;
    assert_int_equal(challenger(w, w->package[1]), 2);
    up u = start(w);
    assert_int_equal(
        begin(u.c, "arms: {canary: {model: late@challenger}}\nguardrails: {drift: {max: 0.2}}\n" QUICK, NULL), 200);
    size_t versions[4] = {0};
    (void)ask_until(&u, "rolled_back", versions);
    assert_true(versions[2] >= 40 && versions[1] > versions[2]);
    check_rolled_back(&u, "drift");
    stop(&u);
}

/* As good in all but time: some hundred times the trees. */
static void test_slow(void **state)
{
    trips *w = *state;
    char slow[WR_SHA256_HEX];
    trips_train(w, w->view, 2500, slow);
    assert_int_equal(challenger(w, slow), 2);
    up u = start(w);
    assert_int_equal(
        begin(u.c,
              "arms: {canary: {model: late@2}}\nguardrails: {errors: {worse_by: 1%}, p99: {worse_by: 50%}}\n"
              "min_samples: 60\nmin_time: 0s\nsteps: {interval: 1h, step_weight: 50%}\n",
              NULL),
        200);
    size_t n = ask_until(&u, "rolled_back", NULL);
    assert_true(n >= 100);
    check_rolled_back(&u, "p99");
    stop(&u);
}

/* An interval's own value beyond its limit, as often as the threshold says. */
static void test_failed_checks(void **state)
{
    trips *w = *state;
    assert_int_equal(challenger(w, w->package[1]), 2);
    up u = start(w);
    assert_int_equal(
        begin(u.c,
              "arms: {canary: {model: late@2}}\nguardrails: {p99: {max: 1us}}\nmin_samples: 10\nmin_time: 0s\n"
              "steps: {interval: 1s, threshold: 2, step_weight: 40%}\n",
              NULL),
        200);
    (void)ask_until(&u, "rolled_back", NULL);
    assert_true(number(u.c, "/arms/1/failed_checks") == 2 && number(u.c, "/step") == 0);
    assert_non_null(strstr(event_of(w, "rollback"), "2 failed checks"));
    check_rolled_back(&u, "p99 of the interval is");
    stop(&u);
}

/* ---- a good one ---- */

static void test_promoted(void **state)
{
    trips *w = *state;
    assert_int_equal(challenger(w, w->package[1]), 2);
    up u = start(w);
    const char spec[] = "arms: {canary: {model: late@challenger}}\nguardrails: {errors: {worse_by: 5%}}\nmin_samples: "
                        "20\nmin_time: 0s\n"
                        "steps: {interval: 1s, step_weight: 40%, max_weight: 80%}\n";
    assert_int_equal(begin(u.c, spec, NULL), 200);
    size_t versions[4] = {0};
    (void)ask_until(&u, "promoted", versions);
    assert_int_equal(champion(w), 2);
    assert_true(versions[1] > 20 && versions[2] > 40);
    assert_true(number(u.c, "/step") == 1);
    memset(versions, 0, sizeof versions);
    ask_many(&u, 50, versions);
    assert_int_equal(versions[2], 50);
    (void)event_of(w, "promoted");
    (void)event_of(w, "step");
    wr_str reply = {"", 0};
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"action\":\"promote\"}", &reply), 409);
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"action\":\"rollback\"}", &reply), 409);
    assert_non_null(strstr(reply.p, "weir model rollback"));
    stop(&u);
}

/* A policy says no: the weights stay, and it is told; a rollback ends it. */
static void test_held(void **state)
{
    trips *w = *state;
    assert_int_equal(challenger(w, w->package[1]), 2);
    wr_project_close(w->project);
    trips_write(w, "weir.yaml",
                "endpoints:\n  late: {model: late@champion}\nregistry:\n  policies:\n    - {alias: champion, requires: "
                "[evaluation]}\n");
    OK(wr_project_open(&w->project, w->dir, err));
    up u = start(w);
    assert_int_equal(begin(u.c,
                           "arms: {canary: {model: late@2}}\nguardrails: none\nmin_samples: 5\nmin_time: 0s\n"
                           "steps: {interval: 1s, step_weight: 60%, max_weight: 60%}\n",
                           NULL),
                     200);
    (void)ask_until(&u, "held", NULL);
    assert_true(number(u.c, "/arms/1/share") == 0.6);
    assert_int_equal(champion(w), 1);
    assert_non_null(strstr(event_of(w, "gate"), "evaluation"));
    wr_str reply = {"", 0};
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"action\":\"promote\"}", &reply), 422);
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"action\":\"rollback\"}", &reply), 200);
    assert_true(phase_is(u.c, "rolled_back"));
    stop(&u);
}

/* ---- keys, and a killed server ---- */

enum { USERS = 60 };

static void arms_of_users(trips *w, wr_http_client *c, int *version)
{
    for (size_t i = 0; i < USERS; i++) {
        char user[32];
        snprintf(user, sizeof user, "user-%zu", i);
        version[i] = ask(w, c, user, i, NULL);
    }
}

static const char sticky[] =
    "arms: {canary: {model: late@2}}\nsticky: {field: user}\nsalt: june\nguardrails: none\nmin_samples: 10\n"
    "min_time: 0s\nsteps: {interval: 1s, step_weight: 20%, max_weight: 40%}\npromote: false\n";

static void test_kill(void **state)
{
    trips *w = *state;
    int first[USERS], grown[USERS], after[USERS], canary = 0;
    program p;
    assert_int_equal(challenger(w, w->package[1]), 2);
    assert_true(program_launch(&p, w->dir, "0"));
    wr_http_client *c = client_at(p.port);
    assert_int_equal(begin(c, sticky, NULL), 200);
    arms_of_users(w, c, first);
    for (int i = 0; i < 400 && number(c, "/step") < 1; i++) arms_of_users(w, c, grown);
    assert_true(number(c, "/arms/1/share") == 0.4 && number(c, "/step") == 1);
    arms_of_users(w, c, grown);
    double before = number(c, "/arms/1/requests");
    assert_int_equal(program_end(&p, SIGKILL), 128 + SIGKILL);
    wr_http_client_close(c);
    assert_true(program_launch(&p, w->dir, "0"));
    c = client_at(p.port);
    assert_true(number(c, "/step") == 1 && number(c, "/arms/1/share") == 0.4);
    assert_true(number(c, "/arms/1/requests") > 0 && number(c, "/arms/1/requests") <= before);
    arms_of_users(w, c, after);
    for (int i = 0; i < USERS; i++) {
        if (first[i] == 2) assert_int_equal(grown[i], 2); /* who had the canary keeps it */
        assert_int_equal(grown[i], after[i]);             /* the salt is kept, so a key is where it was */
        canary += after[i] == 2;
    }
    assert_in_range(canary, USERS / 5, USERS * 3 / 5);
    assert_int_equal(call(c, "POST", ROLLOUT, "{\"action\":\"rollback\"}", NULL), 200);
    assert_int_equal(program_end(&p, SIGKILL), 128 + SIGKILL); /* it was durable when it was answered */
    wr_http_client_close(c);
    assert_true(program_launch(&p, w->dir, "0"));
    c = client_at(p.port);
    assert_true(phase_is(c, "rolled_back"));
    assert_int_equal(ask(w, c, "user-1", 1, NULL), 1);
    wr_http_client_close(c);
    assert_int_equal(program_end(&p, SIGTERM), 0);
}

/* ---- rewards over a restart ---- */

enum { TOLD = 40 };

/* Predictions PREFIX-0 ...; how many the other arm made. */
static int predict(trips *w, wr_http_client *c, const char *prefix, bool other[TOLD])
{
    int n = 0;
    for (size_t i = 0; i < TOLD; i++) {
        char id[40];
        snprintf(id, sizeof id, "%s-%zu", prefix, i);
        other[i] = ask(w, c, "x", i, id) == 2;
        n += other[i];
    }
    return n;
}

/* Rewards of predictions [from, to): 1 for the other arm's, 0.25 for the primary's. Those of "drained" come as feedback,
 * those of "logged" to the rollout. */
static void reward(wr_http_client *c, const char *prefix, const bool *other, int from, int to)
{
    WR_AUTOBUF wr_buf b = {0};
    bool rollout = strcmp(prefix, "logged") == 0;
    if (rollout) wr_buf_str(&b, "{\"rewards\":");
    for (int i = from; i < to; i++)
        wr_buf_printf(&b, "%s{\"id\":\"%s-%d\",\"reward\":%s}", i > from ? "," : "[", prefix, i,
                      other[i] ? "1" : "0.25");
    wr_buf_str(&b, rollout ? "]}" : "]");
    assert_int_equal(call(c, "POST", rollout ? ROLLOUT : "/v2/models/late/feedback", wr_buf_cstr(&b), NULL), 200);
}

static void earned(wr_http_client *c, int primary, int other)
{
    if (number(c, "/arms/0/rewards") != primary || number(c, "/arms/1/rewards") != other)
        fail_msg("%g and %g rewards, not %d and %d", number(c, "/arms/0/rewards"), number(c, "/arms/1/rewards"),
                 primary, other);
    if (primary) assert_true(number(c, "/arms/0/reward") == 0.25); /* each went to the arm that answered */
    if (other) assert_true(number(c, "/arms/1/reward") == 1);
}

static wr_http_client *again(trips *w, program *p, wr_http_client *c)
{
    assert_int_equal(program_end(p, SIGKILL), 128 + SIGKILL);
    wr_http_client_close(c);
    assert_true(program_launch(p, w->dir, "0"));
    return client_at(p->port);
}

/* A prediction's reward finds its arm whatever was killed in between, drained or not, and counts once. */
static void test_rewards_over_a_kill(void **state)
{
    trips *w = *state;
    bool drained[TOLD], logged[TOLD];
    program p;
    assert_int_equal(challenger(w, w->package[1]), 2);
    assert_true(program_launch(&p, w->dir, "0"));
    wr_http_client *c = client_at(p.port);
    assert_int_equal(
        begin(c, "mode: split\narms: {other: {model: late@2, weight: 50%}}\nguardrails: none\n", NULL), 200);
    int other = predict(w, c, "drained", drained), seen = 0, all = 0;
    assert_in_range(other, 1, TOLD - 1);
    reward(c, "drained", drained, 0, 10); /* acknowledged, then drained */
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", NULL), 200);
    all = other + predict(w, c, "logged", logged);
    reward(c, "logged", logged, 0, 10); /* acknowledged, then killed before anything is saved */
    c = again(w, &p, c);
    for (int i = 0; i < 10; i++) seen += drained[i] + logged[i];
    earned(c, 20 - seen, seen);
    reward(c, "drained", drained, 0, 20); /* the first ten have theirs */
    reward(c, "logged", logged, 0, 20);
    for (int i = 10; i < 20; i++) seen += drained[i] + logged[i];
    earned(c, 40 - seen, seen);
    c = again(w, &p, c); /* and once more, with what was told after the first time */
    earned(c, 40 - seen, seen);
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", NULL), 200);
    c = again(w, &p, c);
    reward(c, "drained", drained, 0, TOLD);
    reward(c, "logged", logged, 0, TOLD);
    earned(c, 2 * TOLD - all, all);
    assert_int_equal(program_end(&p, SIGTERM), 0);
    wr_http_client_close(c);
    assert_true(program_launch(&p, w->dir, "0")); /* ended well: the same */
    c = client_at(p.port);
    earned(c, 2 * TOLD - all, all);
    reward(c, "drained", drained, 0, TOLD);
    earned(c, 2 * TOLD - all, all);
    wr_http_client_close(c);
    assert_int_equal(program_end(&p, SIGTERM), 0);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"decisions.late\""), 2 * TOLD);
    const char *kept = trips_path(w, ".weir/log/arms/late"); /* damaged: it is passed over, and all else is as before */
    for (size_t cut = 0; cut < 3; cut++) {
        WR_AUTOBUF wr_buf b = {0};
        OK(wr_file_read(&b, kept, 64 << 20, err));
        if (cut == 0) b.p[b.n - 1] ^= 1;
        else b.n = cut == 1 ? b.n / 2 : 3;
        OK(wr_file_write(kept, wr_buf_view(&b), err));
        assert_true(program_launch(&p, w->dir, "0"));
        c = client_at(p.port);
        earned(c, 2 * TOLD - all, all);
        reward(c, "drained", drained, 0, TOLD); /* kept as feedback, unknown to the rollout */
        earned(c, 2 * TOLD - all, all);
        wr_http_client_close(c);
        assert_int_equal(program_end(&p, SIGTERM), 0);
    }
}

/* ---- shadow ---- */

static void test_shadow(void **state)
{
    trips *w = *state;
    assert_int_equal(challenger(w, w->package[1]), 2);
    up u = start(w);
    size_t versions[4] = {0};
    assert_int_equal(begin(u.c, "mode: shadow\narms: {next: {model: late@2}}\nguardrails: none\n", NULL), 200);
    ask_many(&u, 200, versions);
    assert_int_equal(versions[1], 200);
    for (int i = 0; i < 500 && number(u.c, "/arms/1/shadow/pairs") + number(u.c, "/arms/1/shadow/dropped") < 200; i++)
        usleep(10000);
    double pairs = number(u.c, "/arms/1/shadow/pairs"), agree = number(u.c, "/arms/1/shadow/agree");
    assert_true(pairs > 0 && pairs + number(u.c, "/arms/1/shadow/dropped") == 200);
    assert_true(agree > 0.3 && agree <= 1 && number(u.c, "/arms/1/shadow/most_apart") > 0);
    assert_true(number(u.c, "/arms/1/errors") == 0 && number(u.c, "/arms/1/share") == 0);
    assert_int_equal(call(u.c, "POST", "/api/weir/1/flush", "", NULL), 200);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\""), 200); /* copies are no predictions */
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\" WHERE version = 2"), 0);
    assert_int_equal(begin(u.c, "mode: switch\nactive: next\narms: {next: {model: late@2}}\n", NULL), 200);
    memset(versions, 0, sizeof versions);
    ask_many(&u, 20, versions);
    assert_int_equal(versions[2], 20);
    stop(&u);
}

/* ---- bandit ---- */

/* What was told to the rollout is in the log as if it had come as feedback: once, however it comes again. */
static void rewards_are_feedback(up *u)
{
    wr_str reply = {"", 0};
    char id[40] = "both";
    (void)ask(u->w, u->c, "x", 5, id);
    assert_int_equal(call(u->c, "POST", ROLLOUT,
                          "{\"rewards\":[{\"id\":\"both\",\"reward\":0.5},{\"arm\":\"other\",\"reward\":1}]}", &reply),
                     200);
    assert_non_null(strstr(reply.p, "\"accepted\":2,\"repeated\":0,\"unknown\":0"));
    double before = number(u->c, "/arms/0/rewards") + number(u->c, "/arms/1/rewards");
    assert_int_equal(call(u->c, "POST", "/v2/models/late/feedback", "{\"id\":\"both\",\"reward\":0.5}", &reply), 200);
    assert_non_null(strstr(reply.p, "\"accepted\":1,\"unchanged\":1"));
    assert_int_equal(call(u->c, "POST", ROLLOUT, "{\"rewards\":[{\"id\":\"both\",\"reward\":0.5}]}", &reply), 200);
    assert_non_null(strstr(reply.p, "\"accepted\":0,\"repeated\":1"));
    assert_int_equal(call(u->c, "POST", ROLLOUT, "{\"rewards\":[{\"id\":\"told\",\"reward\":1}]}", &reply),
                     200); /* as feedback before */
    assert_non_null(strstr(reply.p, "\"accepted\":0,\"repeated\":1"));
    assert_true(number(u->c, "/arms/0/rewards") + number(u->c, "/arms/1/rewards") == before);
    assert_int_equal(call(u->c, "POST", "/api/weir/1/flush", "", NULL), 200);
    assert_int_equal(
        trips_number(u->w, "SELECT count(*) FROM \"rewards.late\" WHERE prediction_id = 'both' AND reward = 0.5"), 1);
    assert_int_equal(
        trips_number(u->w, "SELECT count(*) FROM \"rewards.late\" WHERE prediction_id IN ('told', 'never')"), 2);
    assert_int_equal(trips_number(u->w, "SELECT count(*) - count(DISTINCT prediction_id) FROM \"rewards.late\""), 0);
    /* a request that is refused leaves nothing behind */
    assert_int_equal(
        call(u->c, "POST", ROLLOUT, "{\"rewards\":[{\"id\":\"half\",\"reward\":1},{\"id\":\"x\"}]}", &reply), 400);
    assert_int_equal(call(u->c, "POST", "/api/weir/1/flush", "", NULL), 200);
    assert_int_equal(trips_number(u->w, "SELECT count(*) FROM \"rewards.late\" WHERE prediction_id = 'half'"), 0);
}

static void test_bandit(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    wr_str reply = {"", 0};
    assert_int_equal(challenger(w, w->package[1]), 2);
    up u = start(w);
    assert_int_equal(
        begin(u.c, "mode: bandit\narms: {other: {model: late@2}}\nbandit: {floor: 10%}\nguardrails: none\n", NULL),
        200);
    for (int round = 0; round < 60 && number(u.c, "/arms/1/share") < 0.85; round++) {
        wr_buf_clear(&b);
        wr_buf_str(&b, "{\"rewards\":[");
        for (size_t i = 0; i < 20; i++) {
            char id[40];
            snprintf(id, sizeof id, "r%d-%zu", round, i);
            int v = ask(w, u.c, "x", i, id);
            wr_buf_printf(&b, "%s{\"id\":\"%s\",\"reward\":%d}", i ? "," : "", id, v == 2 ? i % 4 != 0 : i % 4 == 0);
        }
        wr_buf_str(&b, "]}");
        assert_int_equal(call(u.c, "POST", ROLLOUT, wr_buf_cstr(&b), &reply), 200);
        assert_non_null(strstr(reply.p, "\"accepted\":20"));
        assert_int_equal(call(u.c, "POST", ROLLOUT, wr_buf_cstr(&b), &reply), 200);
        assert_non_null(strstr(reply.p, "\"accepted\":0,\"repeated\":20"));
        usleep(100000);
    }
    char id[40] = "told"; /* what comes as feedback is a reward, too */
    double before = number(u.c, "/arms/0/rewards") + number(u.c, "/arms/1/rewards");
    (void)ask(w, u.c, "x", 3, id);
    assert_int_equal(call(u.c, "POST", "/v2/models/late/feedback", "[{\"id\":\"told\",\"reward\":1}]", &reply), 200);
    assert_true(number(u.c, "/arms/0/rewards") + number(u.c, "/arms/1/rewards") == before + 1);
    double p = number(u.c, "/arms/0/share"), q = number(u.c, "/arms/1/share");
    assert_true(q >= 0.85 && q <= 0.9 + 1e-9 && fabs(p + q - 1) < 1e-9);
    assert_true(fabs(number(u.c, "/arms/1/value/at") - 0.75) < 0.15 && number(u.c, "/regret") >= 0);
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"rewards\":[{\"id\":\"never\",\"reward\":1}]}", &reply), 200);
    assert_non_null(strstr(reply.p, "\"unknown\":1"));
    rewards_are_feedback(&u);
    assert_int_equal(call(u.c, "POST", "/api/weir/1/flush", "", NULL), 200);
    assert_int_equal(trips_number(w, "SELECT count(*) - count(DISTINCT prediction_id) FROM \"decisions.late\""), 0);
    assert_int_equal(
        trips_number(
            w, "SELECT count(*) FROM \"decisions.late\" d FULL JOIN \"predictions.late\" p USING (prediction_id)"
               " WHERE d.version IS DISTINCT FROM p.version OR NOT (d.propensity >= 0.1 - 1e-9 AND d.propensity <= 1)"),
        0);
    assert_true(
        trips_number(w, "SELECT count(*) FROM \"decisions.late\" WHERE arm = 'other' AND answered_by = 'other'") > 10);
    stop(&u);
}

/* ---- what is refused; what weir.yaml says ---- */

static void test_refusals(void **state)
{
    trips *w = *state;
    wr_str reply = {"", 0};
    trips_promote(w, 0);
    up u = start(w);
    assert_int_equal(begin(u.c, "arms: {canary: {modle: late@2}}", &reply), 400);
    assert_non_null(strstr(reply.p, "rollout:1:17: unknown key"));
    assert_int_equal(call(u.c, "PUT", "/api/weir/1/endpoints/lat/rollout", "arms: {c: {model: late@1}}", &reply), 404);
    assert_non_null(strstr(reply.p, "did you mean \\\"late\\\"?"));
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"action\":\"rollback\"}", &reply), 404);
    trips_write(w, "broken.onnx", "no model at all");
    assert_int_equal(
        begin(u.c, wr_arena_printf(w->a, "arms: {c: {path: %s/broken.onnx, weight: 50%%}}", w->dir), &reply), 200);
    assert_non_null(strstr(reply.p, "\"error\":"));
    assert_int_equal(call(u.c, "GET", "/v2/health/ready", "", NULL), 200); /* the endpoint is, whatever its arms are */
    assert_int_equal(call(u.c, "GET", "/metrics", "", &reply), 200);
    assert_non_null(strstr(reply.p, "weir_rollout_share{endpoint=\"late\",arm=\"c\"} 0.5\n"));
    ask_many(&u, 20, NULL);
    assert_true(number(u.c, "/arms/1/not_ready") + number(u.c, "/arms/0/requests") >= 20 &&
                number(u.c, "/arms/1/errors") == 0);
    assert_int_equal(begin(u.c, "arms: {c: {model: late@77}}", &reply), 200); /* it may come yet */
    assert_true(number(u.c, "/arms/1/ready") == 0);
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"action\":\"prmote\"}", &reply), 400);
    assert_non_null(strstr(reply.p, "did you mean \\\"promote\\\"?"));
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"rewards\":[{\"reward\":1}]}", &reply), 400);
    assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"rewards\":[{\"arm\":\"d\",\"reward\":1}]}", &reply), 404);
    assert_int_equal(call(u.c, "POST", ROLLOUT, "[]", &reply), 400);
    size_t versions[4] = {0};
    ask_many(&u, 20, versions);
    assert_int_equal(versions[1], 20);
    stop(&u);
}

static void test_declared(void **state)
{
    trips *w = *state;
    assert_int_equal(challenger(w, w->package[1]), 2);
    wr_project_close(w->project);
    trips_write(
        w, "weir.yaml",
        "endpoints:\n  late:\n    model: late@champion\n    rollout: {arms: {b: {model: late@2, weight: 50%}}}\n");
    OK(wr_project_open(&w->project, w->dir, err));
    up u = start(w);
    size_t versions[4] = {0};
    ask_many(&u, 100, versions);
    assert_true(versions[1] > 20 && versions[2] > 20);
    assert_int_equal(begin(u.c, "mode: switch\nactive: b\narms: {b: {model: late@2}}\n", NULL), 200);
    stop(&u);
    u = start(w); /* what a command said lasts until weir.yaml says something else */
    memset(versions, 0, sizeof versions);
    ask_many(&u, 20, versions);
    assert_int_equal(versions[2], 20);
    stop(&u);
    wr_project_close(w->project);
    trips_write(
        w, "weir.yaml",
        "endpoints:\n  late:\n    model: late@champion\n    rollout: {arms: {b: {model: late@2, weight: 0}}}\n");
    OK(wr_project_open(&w->project, w->dir, err));
    u = start(w);
    memset(versions, 0, sizeof versions);
    ask_many(&u, 20, versions);
    assert_int_equal(versions[1], 20);
    stop(&u);
}

/* ---- changes under load ---- */

typedef struct {
    trips *w;
    int port;
    atomic_bool stop;
    atomic_int answered, failed;
} load;

static void *send_on(void *ctx)
{
    load *l = ctx;
    WR_AUTOBUF wr_buf b = {0};
    wr_http_client *c = client_at(l->port);
    const char *body = infer_body(l->w, &b, NULL, 5, 8);
    while (!atomic_load(&l->stop)) {
        int status = call(c, "POST", INFER, body, NULL);
        atomic_fetch_add(status == 200 ? &l->answered : &l->failed, 1);
    }
    wr_http_client_close(c);
    return NULL;
}

/* Rollouts come, change and go while requests are on their way: none fails, whatever the arms are. */
static void test_changes_under_load(void **state)
{
    trips *w = *state;
    pthread_t t[3];
    assert_int_equal(challenger(w, w->package[1]), 2);
    up u = start(w);
    load l = {.w = w, .port = wr_server_port(u.s)};
    const char *specs[] = {
        "arms: {a: {model: late@2, weight: 50%}}\nguardrails: none\n",
        wr_arena_printf(w->a,
                        "arms: {a: {path: \"%s\", weight: 40%%}, b: {model: late@2, weight: 40%%}}\nguardrails: none\n",
                        simple_onnx),
        "mode: shadow\narms: {a: {model: late@2}}\nguardrails: none\n",
        wr_arena_printf(w->a, "mode: shadow\narms: {a: {path: \"%s\"}}\nguardrails: none\n", simple_onnx),
        "mode: bandit\narms: {a: {model: late@2}, b: {model: late@9}}\nguardrails: none\n",
        "mode: switch\nactive: a\narms: {a: {model: late@2}}\nguardrails: none\n",
    };
    for (size_t i = 0; i < 3; i++) pthread_create(&t[i], NULL, send_on, &l);
    for (int round = 0; round < 24; round++) {
        assert_int_equal(begin(u.c, specs[round % 6], NULL), 200);
        usleep(30000);
        if (round % 3 == 1) assert_int_equal(call(u.c, "POST", ROLLOUT, "{\"action\":\"rollback\"}", NULL), 200);
        if (round % 6 == 5) trips_promote(w, (round / 6) % 2);
    }
    atomic_store(&l.stop, true);
    for (size_t i = 0; i < 3; i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&l.failed), 0);
    assert_true(atomic_load(&l.answered) > 100);
    stop(&u);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trips_make, trips_end)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_errors),   TEST(test_drift),
                                       TEST(test_slow),     TEST(test_failed_checks),
                                       TEST(test_promoted), TEST(test_held),
                                       TEST(test_kill),     TEST(test_shadow),
                                       TEST(test_bandit),   TEST(test_changes_under_load),
                                       TEST(test_refusals), TEST(test_declared),
                                       TEST(test_rewards_over_a_kill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
