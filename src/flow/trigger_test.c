/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_testing.h"
#include "flow/trigger.h"

static const char base[] = "vars: {until: '2001-06-16'}\n"
                           "stages: {feedback: {cmd: x, manual: true}, retrain: {cmd: y, manual: true}}\n"
                           "endpoints: {delay: {model: delay@champion}}\n"
                           "triggers:\n";

static int load(wr_trigger **out, size_t *n, place *t, const char *triggers, wr_err *err)
{
    put(t, "weir.yaml", wr_arena_printf(t->a, "%s%s", base, triggers));
    return wr_trigger_list(out, n, t->a, reopen(t), err);
}

static wr_trigger *good(place *t, size_t *n, const char *triggers)
{
    wr_trigger *out;
    wr_err err = {0};
    if (load(&out, n, t, triggers, &err) < 0) fail_msg("%s (%s)", err.msg, err.hint);
    return out;
}

static void test_parse(void **state)
{
    size_t n;
    wr_trigger *t = good(
        *state, &n,
        "  - {on: drift, endpoint: delay, above: 0.9, cooldown: 14d, run: [feedback, retrain], set: {until: "
        "window_end}}\n"
        "  - {on: performance, name: worse, endpoint: delay, metric: log_loss, below: 1, above: 2, run: [retrain]}\n"
        "  - {on: data:flights, run: [retrain]}\n");
    assert_int_equal(n, 3);
    assert_string_equal(t[0].name, "0");
    assert_string_equal(t[0].metric, "value");
    assert_true(t[0].has_above && !t[0].has_below && t[0].above == 0.9);
    assert_int_equal(t[0].cooldown_us, 14 * 86400 * INT64_C(1000000));
    assert_int_equal(t[0].nrun, 2);
    assert_string_equal(t[0].set[0].key, "window_end");
    assert_string_equal(t[1].name, "worse");
    assert_int_equal(t[1].kind, WR_TRIGGER_PERFORMANCE);
    assert_string_equal(t[2].dataset, "flights");
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *msg, *hint;
    } cases[] = {
        {"  - {endpoint: delay, run: [retrain]}", WEIR_EINVAL, "weir.yaml:5:5: a trigger needs \"on\"", NULL},
        {"  - {on: drfit, run: [retrain]}", WEIR_EINVAL, "weir.yaml:5:10: unknown kind of trigger \"drfit\"",
         "did you mean \"drift\"?"},
        {"  - {on: cron, run: [retrain]}", WEIR_EUNSUPPORTED,
         "weir.yaml:5:10: triggers by the clock (cron) are not supported yet", NULL},
        {"  - {cron: 0 3 * * *, run: [retrain]}", WEIR_EUNSUPPORTED,
         "weir.yaml:5:12: triggers by the clock (cron) are not supported yet", NULL},
        {"  - {on: drift, run: [retrain]}", WEIR_EINVAL, "weir.yaml:5:5: the trigger names no endpoint", NULL},
        {"  - {on: drift, endpoint: delai, run: [retrain]}", WEIR_ENOTFOUND,
         "weir.yaml:5:27: no endpoint \"delai\" in weir.yaml", "did you mean \"delay\"?"},
        {"  - {on: drift, endpoint: delay, run: [retrian]}", WEIR_ENOTFOUND,
         "weir.yaml:5:40: there is no stage \"retrian\"", "did you mean \"retrain\"?"},
        {"  - {on: drift, endpoint: delay}", WEIR_EINVAL, "weir.yaml:5:5: a trigger needs \"run\", a list of stages",
         NULL},
        {"  - {on: drift, endpoint: delay, run: [retrain], set: {untill: x}}", WEIR_EINVAL,
         "weir.yaml:5:56: there is no variable \"untill\" to set", "did you mean \"until\"?"},
        {"  - {on: drift, endpoint: delay, run: [retrain], abov: 1}", WEIR_EINVAL,
         "weir.yaml:5:50: unknown key \"abov\" in a trigger", "did you mean \"above\"?"},
        {"  - {on: performance, endpoint: delay, run: [retrain]}", WEIR_EINVAL,
         "weir.yaml:5:5: a trigger on performance needs \"below\" or \"above\"", NULL},
        {"  - {on: data:flights, above: 1, run: [retrain]}", WEIR_EINVAL,
         "weir.yaml:5:31: a trigger on data has no \"above\"", NULL},
        {"  - {on: data:a, name: x, run: [retrain]}\n  - {on: data:b, name: x, run: [retrain]}", WEIR_EINVAL,
         "weir.yaml:6:5: there are two triggers \"x\"", NULL},
        {"  - {on: drift, endpoint: delay, run: [retrain], cooldown: 2001}", 0, NULL, NULL},
        {"  x: y", WEIR_ETYPE, "weir.yaml:5:3: triggers is a list", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_trigger *t;
        size_t n;
        wr_err err = {0};
        int rc = load(&t, &n, *state, cases[i].text, &err);
        if (rc != cases[i].rc) fail_msg("%s: %d %s", cases[i].text, rc, err.msg);
        if (cases[i].msg) assert_string_equal(err.msg, cases[i].msg);
        if (cases[i].hint) assert_string_equal(err.hint, cases[i].hint);
    }
}

/* "feedback retrain until=..." of the next job, "" when there is none. */
static const char *next(place *t, const wr_trigger *triggers, size_t n, bool done)
{
    wr_trigger_job job;
    wr_err err = {0};
    const char *s = "";
    int rc = wr_trigger_next(&job, t->a, t->p, triggers, n, &err);
    if (rc < 0) fail_msg("%s", err.msg);
    if (rc == 0) return "";
    for (size_t i = 0; i < job.nrun; i++) s = wr_arena_printf(t->a, "%s%s ", s, job.run[i]);
    for (size_t i = 0; i < job.nset; i++) s = wr_arena_printf(t->a, "%s%s ", s, job.set[i]);
    if (done) assert_int_equal(wr_trigger_done(t->p, &job, NULL), 0);
    return s;
}

static void drift(place *t, const char *subject, const char *payload)
{
    assert_int_equal(wr_event_add(t->p, "drift", subject, payload, NULL, NULL), 0);
}

static void test_drift(void **state)
{
    place *t = *state;
    size_t n;
    wr_trigger *all = good(t, &n,
                           "  - {on: drift, endpoint: delay, above: 0.9, cooldown: 14d, run: [feedback, retrain], set: "
                           "{until: window_end}}\n");
    assert_string_equal(next(t, all, n, true), "");
    drift(t, "endpoint:other", "{\"value\": 5, \"window_end\": \"2001-06-01\"}");
    drift(t, "endpoint:delay", "{\"value\": 0.9, \"window_end\": \"2001-06-02\"}");
    drift(t, "endpoint:delay", "{\"window_end\": \"2001-06-03\"}");
    drift(t, "endpoint:delay", "not json");
    drift(t, "endpoint:delay",
          "{\"value\": 2, \"window_end\": \"2001-06-04; rm -rf x\"}"); /* not into a command line */
    drift(t, "endpoint:delay", "{\"value\": 2}");
    assert_string_equal(next(t, all, n, true), "");
    drift(t, "endpoint:delay", "{\"value\": 1.2, \"window_end\": \"2001-06-15\"}");
    drift(t, "endpoint:delay", "{\"value\": 1.3, \"window_end\": \"2001-06-16\"}"); /* within the cooldown */
    assert_string_equal(next(t, all, n, false), "feedback retrain until=2001-06-15 ");
    assert_string_equal(next(t, all, n, false), "feedback retrain until=2001-06-15 "); /* until it is done */
    assert_int_equal(wr_trigger_list(&all, &n, t->a, reopen(t), NULL), 0);
    assert_string_equal(next(t, all, n, true), "feedback retrain until=2001-06-15 "); /* also after a restart */
    assert_string_equal(next(t, all, n, true), "");
    drift(t, "endpoint:delay", "{\"value\": 9, \"window_end\": \"2001-06-28T23:59:59Z\"}");
    assert_string_equal(next(t, all, n, true), "");
    drift(t, "endpoint:delay", "{\"value\": 9, \"window_end\": \"2001-06-29\"}");
    assert_string_equal(next(t, all, n, true), "feedback retrain until=2001-06-29 ");
    drift(t, "endpoint:delay", "{\"value\": 9, \"window_end\": \"2001-06-10\"}"); /* event time does not go back */
    assert_string_equal(next(t, all, n, true), "");
    wr_event *list;
    assert_int_equal(wr_event_list(&list, &n, t->a, t->p, 0, "triggered", 0, NULL), 0);
    assert_int_equal(n, 2);
}

static void test_performance(void **state)
{
    place *t = *state;
    size_t n;
    wr_trigger *all = good(t, &n,
                           "  - {on: performance, endpoint: delay, metric: auc, below: 0.7, run: [retrain], set: "
                           "{until: window_end_us}}\n");
    static const char *const quiet[] = {"{\"performance\": {\"auc\": 0.71}, \"window_end_us\": 1}",
                                        "{\"performance\": {\"auc\": null}, \"window_end_us\": 2}"};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(wr_event_add(t->p, "window", "endpoint:delay", quiet[i], NULL, NULL), 0);
    assert_string_equal(next(t, all, n, true), "");
    assert_int_equal(wr_event_add(t->p, "window", "endpoint:delay",
                                  "{\"performance\": {\"auc\": 0.6}, \"window_end_us\": 3}", NULL, NULL),
                     0);
    assert_int_equal(
        wr_event_add(t->p, "performance", "endpoint:delay", "{\"auc\": 0.6, \"window_end_us\": 3}", NULL, NULL), 0);
    assert_string_equal(next(t, all, n, true), "retrain until=3 ");
    assert_string_equal(next(t, all, n, true), ""); /* one window, one job */
}

static int forget_acks(wr_db *db, void *arg, wr_err *err)
{
    (void)arg;
    return wr_db_exec(db, "DELETE FROM event_acks", err);
}

/* Whatever is killed when: one job for one drift. */
static void test_crash_anywhere(void **state)
{
    place *t = *state;
    size_t n;
    wr_trigger *all = good(t, &n, "  - {on: drift, endpoint: delay, above: 0.9, run: [retrain]}\n");
    drift(t, "endpoint:delay", "{\"value\": 1, \"window_end\": \"2001-06-15\"}");
    assert_string_equal(next(t, all, n, false), "retrain ");
    /* as if killed between the decision and its acknowledgement: the mark of the trigger is gone */
    wr_db *db;
    assert_int_equal(wr_project_db(&db, t->p, NULL), 0);
    assert_int_equal(wr_db_write(db, forget_acks, NULL, NULL), 0);
    assert_string_equal(next(t, all, n, true), "retrain ");
    assert_string_equal(next(t, all, n, true), "");
}

static void test_two_triggers(void **state)
{
    place *t = *state;
    size_t n;
    wr_trigger *all = good(t, &n,
                           "  - {on: drift, endpoint: delay, name: a, run: [feedback]}\n  - {on: drift, endpoint: "
                           "delay, name: b, above: 1, run: [retrain]}\n");
    drift(t, "endpoint:delay", "{\"value\": 2, \"window_end\": \"2001-06-15\"}");
    assert_string_equal(next(t, all, n, true), "feedback ");
    assert_string_equal(next(t, all, n, true), "retrain ");
    assert_string_equal(next(t, all, n, true), "");
    drift(t, "endpoint:delay", "{\"value\": 0.5, \"window_end\": \"2001-06-16\"}");
    assert_string_equal(next(t, all, n, true), "feedback ");
    assert_string_equal(next(t, all, n, true), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parse, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_refused, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_drift, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_performance, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_crash_anywhere, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_two_triggers, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
