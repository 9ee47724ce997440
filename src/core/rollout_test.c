/* SPDX-License-Identifier: Apache-2.0 */
/* rollout_test.c - what a rollout may say, what it says back, and its record. */
#include "core/core_testing.h"

#include <math.h>

#include "core/endpoint.h"
#include "core/rollout.h"

static int parse(place *s, wr_rollout_spec *r, const char *text)
{
    s->err = (wr_err){0};
    return wr_rollout_spec_parse(r, s->a, "/root", wr_str_of(text), "rollout", &s->err);
}

static const char whole[] =
    "mode: split\narms: {canary: {path: new.onnx, weight: 10%}}\nsticky: {header: x-user}\nsalt: june\n"
    "steps: {interval: 2s, threshold: 2, step_weight: 25%, max_weight: 1}\n"
    "guardrails: {errors: {worse_by: 2%, max: 0.2}, p99: {max: 50ms}, drift: {max: 0.3}, reward: {min: -1},\n"
    "  joules: {worse_by: 50%}}\nconfidence: 0.99\nmin_samples: 50\nmin_time: 1500ms\npromote: false\n";

static void check_whole(const wr_rollout_spec *r)
{
    assert_int_equal(r->mode, WR_ROLLOUT_SPLIT);
    assert_int_equal(r->narms, 2);
    assert_string_equal(r->arms[0].name, "primary");
    assert_string_equal(r->arms[1].name, "canary");
    assert_string_equal(r->arms[1].path, "/root/new.onnx");
    assert_true(r->arms[1].weight == 0.1 && fabs(r->arms[0].weight - 0.9) < 1e-12);
    assert_string_equal(r->header, "x-user");
    assert_null(r->field);
    assert_string_equal(r->salt, "june");
    assert_true(r->steps && r->interval_us == 2000000 && r->threshold == 2 && r->step_weight == 0.25 &&
                r->max_weight == 1);
    assert_true(r->guards[WR_GUARD_ERRORS].worse_by == 0.02 && r->guards[WR_GUARD_ERRORS].limit == 0.2);
    assert_true(isnan(r->guards[WR_GUARD_P99].worse_by) && r->guards[WR_GUARD_P99].limit == 0.05);
    assert_true(r->guards[WR_GUARD_DRIFT].limit == 0.3 && r->guards[WR_GUARD_REWARD].limit == -1);
    assert_true(r->guards[WR_GUARD_JOULES].worse_by == 0.5 && isnan(r->guards[WR_GUARD_JOULES].limit));
    assert_true(r->confidence == 0.99 && r->min_samples == 50 && r->min_time_us == 1500000 && !r->promote);
}

static void test_round_trip(void **state)
{
    place *s = *state;
    wr_rollout_spec r, again;
    OK(parse(s, &r, whole));
    check_whole(&r);
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOBUF wr_buf b2 = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_rollout_spec_write(&w, &r);
    OK(parse(s, &again, wr_buf_cstr(&b)));
    check_whole(&again);
    wr_jsonw_init(&w, &b2, 0);
    wr_rollout_spec_write(&w, &again);
    assert_string_equal(wr_buf_cstr(&b), wr_buf_cstr(&b2));
}

/* What a text cannot hold when the record is read again is refused at once. */
static void test_control_characters(void **state)
{
    place *s = *state;
    wr_rollout_spec r, again;
    static const char *const bad[] = {"\\u0007", "\\t",     "\\u007f", "\\u0085", "\\u009e",
                                      "\\u2028", "\\u2029", "\\ufeff", "\\uffff"};
    static const char *const good[] = {" ",       "\\u00a0", "\\u00e4",          "\\u2027", "\\u202a",
                                       "\\ufefe", "\\ufffd", "\xf0\x9f\x8c\x8a", "\\\\"};
    char text[200];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"arms\":{\"b\":{\"model\":\"m@2\"}},\"salt\":\"a%sz\"}", bad[i]);
        if (parse(s, &r, text) != WEIR_EINVAL) fail_msg("%s: %s", text, s->err.msg);
        assert_non_null(strstr(s->err.msg, "salt has control characters"));
        snprintf(text, sizeof text, "{\"arms\":{\"b\":{\"model\":\"m@2\"}},\"sticky\":{\"field\":\"a%sz\"}}", bad[i]);
        assert_int_equal(parse(s, &r, text), WEIR_EINVAL);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_jsonw w;
        snprintf(text, sizeof text, "{\"arms\":{\"b\":{\"model\":\"m@2\"}},\"salt\":\"a%sz\"}", good[i]);
        OK(parse(s, &r, text));
        wr_jsonw_init(&w, &b, 0);
        wr_rollout_spec_write(&w, &r);
        OK(parse(s, &again, wr_buf_cstr(&b)));
        assert_string_equal(again.salt, r.salt);
    }
}

static void test_defaults(void **state)
{
    place *s = *state;
    wr_rollout_spec r;
    OK(parse(s, &r, "arms: {canary: {model: m@challenger}}\nsteps: {}\n"));
    assert_true(r.mode == WR_ROLLOUT_SPLIT && r.steps && r.promote && r.interval_us == 60000000 && r.threshold == 5);
    assert_true(r.step_weight == 0.1 && r.max_weight == 0.5 && r.arms[0].weight == 1);
    assert_true(r.guards[WR_GUARD_ERRORS].on && r.guards[WR_GUARD_P99].on && !r.guards[WR_GUARD_DRIFT].on);
    OK(parse(s, &r,
             "mode: bandit\narms: {b: {model: m@2}, c: {model: m@3}}\nguardrails: none\nbandit: {policy: epsilon, "
             "reward: gaussian}\n"));
    assert_true(r.mode == WR_ROLLOUT_BANDIT && r.narms == 3 && !r.bandit.binary &&
                r.bandit.policy == WR_BANDIT_EPSILON);
    assert_true(!r.guards[WR_GUARD_ERRORS].on && !r.steps);
    OK(parse(s, &r, "mode: switch\nactive: b\narms: {b: {model: m@2}}\n"));
    assert_int_equal(r.active, 1);
}

static void test_errors(void **state)
{
    place *s = *state;
    static const struct {
        const char *text, *says, *hint;
    } cases[] = {
        {"[]", "rollout:1:1: a rollout is a map", ""},
        {"mode: splt\narms: {a: {model: m@1}}\n", "rollout:1:7: unknown mode \"splt\"", "split"},
        {"mode: split\n", "rollout:1:1: a rollout has arms", ""},
        {"arms: {}\n", "a rollout has arms", ""},
        {"arms: {primary: {model: m@1}}\n", "\"primary\" is not the name of an arm", ""},
        {"arms:\n  a: {modle: m@1}\n", "rollout:2:7: unknown key \"modle\"", "model"},
        {"arms:\n  a: {weight: 10%}\n", "rollout:2:6: arm \"a\" names no model", ""},
        {"arms:\n  a: {model: m@1, path: x}\n", "names a model and a path", ""},
        {"arms:\n  a: {model: m@1, weight: 110%}\n", "rollout:2:27: weight is between 0 and 1", ""},
        {"arms:\n  a: {model: m@1, weight: ten}\n", "weight is a number", ""},
        {"arms: {a: {model: m@1, weight: 60%}, b: {model: m@2, weight: 60%}}\n", "more than 100%", ""},
        {"arms: {a: {model: m}, b: {model: m}, c: {model: m}, d: {model: m}, e: {model: m}, f: {model: m}, g: {model: "
         "m}, h: {model: m}}\n",
         "at most 7 arms", ""},
        {"arms: {a: {model: m}}\nsticky: {}\n", "rollout:2:9: sticky names a header or a field", ""},
        {"arms: {a: {model: m}}\nsticky: {header: a, field: b}\n", "sticky names a header or a field", ""},
        {"arms: {a: {model: m}}\nguardrails: {eror: {max: 1}}\n", "unknown key \"eror\"", "errors"},
        {"arms: {a: {model: m}}\nguardrails: {errors: {}}\n", "guardrail errors says nothing", ""},
        {"arms: {a: {model: m}}\nguardrails: {errors: {max: 3}}\n", "max is between 0 and 1", ""},
        {"arms: {a: {model: m}}\nguardrails: {reward: {max: 3}}\n", "unknown key \"max\"", ""},
        {"arms: {a: {model: m}}\nguardrails: {p99: {max: -1ms}}\n", "max", ""},
        {"arms: {a: {model: m}, b: {model: n}}\nsteps: {}\n", "steps are for mode split with one arm", ""},
        {"mode: shadow\narms: {a: {model: m}}\nsteps: {}\n", "steps are for mode split", ""},
        {"arms: {a: {model: m}}\nsteps: {step_weight: 50%, max_weight: 10%}\n", "max_weight is below step_weight", ""},
        {"arms: {a: {model: m}}\nsteps: {interval: 1ms}\n", "interval is at least a second", ""},
        {"arms: {a: {model: m}}\nsteps: {threshold: 0}\n", "threshold is at least 1", ""},
        {"arms: {a: {model: m}}\nbandit: {}\n", "bandit is for mode bandit", ""},
        {"mode: bandit\narms: {a: {model: m}}\nbandit: {floor: 60%}\n", "floor is between 0 and 0.5", ""},
        {"mode: switch\narms: {a: {model: m}}\nactive: aa\n", "unknown active \"aa\"", "\"a\""},
        {"arms: {a: {model: m}}\nactive: a\n", "active is for mode switch", ""},
        {"arms: {a: {model: m}}\nmin_samples: 0\n", "min_samples is at least 1", ""},
        {"arms: {a: {model: m}}\nconfidence: 1\n", "confidence is between", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_rollout_spec r;
        if (parse(s, &r, cases[i].text) >= 0) fail_msg("case %zu is taken: %s", i, cases[i].text);
        if (!strstr(s->err.msg, cases[i].says)) fail_msg("case %zu says: %s", i, s->err.msg);
        if (!strstr(s->err.hint, cases[i].hint)) fail_msg("case %zu hints: %s", i, s->err.hint);
    }
}

static void test_declared(void **state)
{
    place *s = *state;
    wr_endpoint *e;
    size_t n;
    put(s, "weir.yaml",
        "endpoints:\n  d: {model: d@champion, rollout: {arms: {b: {model: d@2}}}}\n  plain: {model: d@1}\n");
    reopen(s);
    OK(wr_endpoint_list(&e, &n, s->a, s->p, &s->err));
    assert_non_null(e[0].rollout);
    assert_null(e[1].rollout);
    put(s, "weir.yaml", "endpoints:\n  d:\n    model: d@champion\n    rollout: {arm: {}}\n");
    reopen(s);
    assert_int_equal(wr_endpoint_list(&e, &n, s->a, s->p, &s->err), WEIR_EINVAL);
    assert_non_null(strstr(s->err.msg, "weir.yaml:4:15: unknown key \"arm\""));
}

static void test_record(void **state)
{
    place *s = *state;
    wr_rollout_record r;
    put(s, "weir.yaml", "");
    reopen(s);
    assert_int_equal(wr_rollout_record_get(&r, s->a, s->p, "delay", &s->err), WEIR_ENOTFOUND);
    wr_rollout_record in = {.spec = WR_STR("{}"), .state = WR_STR(""), .declared = WR_STR("")};
    OK(wr_rollout_record_put(s->p, "delay", &in, &s->err));
    in.state = WR_STR("{\"phase\":\"running\"}");
    OK(wr_rollout_record_put(s->p, "delay", &in, &s->err));
    reopen(s);
    OK(wr_rollout_record_get(&r, s->a, s->p, "delay", &s->err));
    assert_true(wr_str_is(r.spec, "{}") && wr_str_is(r.state, "{\"phase\":\"running\"}") && r.updated_us > 0);
    assert_true(r.declared.n == 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_round_trip), T(test_control_characters), T(test_defaults),
                                       T(test_errors),     T(test_declared),           T(test_record)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
