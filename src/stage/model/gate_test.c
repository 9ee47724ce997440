/* SPDX-License-Identifier: Apache-2.0 */
/* gate_test.c - gate files and their errors; each kind of rule passed, failed and skipped. */
#include "core/core_testing.h"

#include <math.h>

#include "stage/model/gate.h"

static int load(wr_gate *g, place *s, const char *text)
{
    s->err = (wr_err){0};
    put(s, "gate.yaml", text);
    return wr_gate_load(g, s->a, "gate.yaml", s->dir, &s->err);
}

static void test_load(void **state)
{
    place *s = *state;
    wr_gate g;
    OK(load(&g, s,
            "rules:\n  - {metric: auc, at_least: 0.7}\n  - {metric: log_loss, better_than: against, by: 0.01}\n"
            "  - {metric: brier, at_most: 0.2}\n  - {metric: auc, better_than: baseline}\n"));
    assert_int_equal(g.n, 4);
    assert_string_equal(g.path, "gate.yaml");
    assert_string_equal(g.rules[0].metric->name, "auc");
    assert_true(g.rules[0].kind == WR_GATE_AT_LEAST && g.rules[0].value == 0.7);
    assert_true(g.rules[1].kind == WR_GATE_BETTER && !g.rules[1].baseline && g.rules[1].value == 0.01);
    assert_true(g.rules[2].kind == WR_GATE_AT_MOST && g.rules[2].line == 4);
    assert_true(g.rules[3].baseline && g.rules[3].value == 0);
}

static void test_load_errors(void **state)
{
    place *s = *state;
    static const struct {
        const char *text;
        int code;
        const char *says, *hint;
    } cases[] = {
        {"", WEIR_EINVAL, "a gate has a list of rules", ""},
        {"rules: []\n", WEIR_EINVAL, "a gate has a list of rules", ""},
        {"rules: {metric: auc}\n", WEIR_EINVAL, "a gate has a list of rules", ""},
        {"ruels: []\n", WEIR_EINVAL, "gate.yaml:1:1: unknown key \"ruels\"", "\"rules\""},
        {"rules: [{metric: acu, at_least: 1}]\n", WEIR_EINVAL, "gate.yaml:1:18: unknown metric \"acu\"", "\"auc\""},
        {"rules:\n  - {at_least: 1}\n", WEIR_EINVAL, "gate.yaml:2:5: the rule names no metric", ""},
        {"rules:\n  - {metric: auc}\n", WEIR_EINVAL, "gate.yaml:2:5: a rule has one of", ""},
        {"rules: [{metric: auc, at_least: 0.5, at_most: 1}]\n", WEIR_EINVAL, "a rule has one of", ""},
        {"rules: [{metric: auc, at_leats: 0.5}]\n", WEIR_EINVAL, "gate.yaml:1:23: unknown key", "\"at_least\""},
        {"rules: [{metric: auc, at_least: much}]\n", WEIR_ETYPE, "gate.yaml:1:33:", ""},
        {"rules: [{metric: auc, better_than: others}]\n", WEIR_EINVAL, "better_than is baseline or against", ""},
        {"rules: [{metric: auc, better_than: baseline, by: -1}]\n", WEIR_EINVAL, "gate.yaml:1:50: by is 0 or more", ""},
        {"rules: [{metric: auc, better_than: baseline, by: .nan}]\n", WEIR_EINVAL, "by is 0 or more", ""},
        {"rules: [{metric: auc, at_least: 0.5, by: 0.1}]\n", WEIR_EINVAL, "by goes with better_than", ""},
        {"rules: [auc]\n", WEIR_ETYPE, "gate.yaml:1:9:", ""},
        {"rules: [{metric: [auc], at_least: 1}]\n", WEIR_ETYPE, "gate.yaml:1:18:", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_gate g;
        int rc = load(&g, s, cases[i].text);
        if (rc != cases[i].code) fail_msg("%s gave %d %s", cases[i].text, rc, s->err.msg);
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
    wr_gate g;
    FAILS(WEIR_ENOTFOUND, wr_gate_load(&g, s->a, "none.yaml", s->dir, &s->err));
}

static void test_judge(void **state)
{
    place *s = *state;
    enum { PASS = WR_GATE_PASSED, FAIL = WR_GATE_FAILED, SKIP = WR_GATE_SKIPPED };
    static const struct {
        const char *rule;
        double own, against, baseline; /* -1 = there is none */
        int state;
    } cases[] = {
        {"metric: auc, at_least: 0.7", 0.7, -1, 0.5, PASS},
        {"metric: auc, at_least: 0.7", 0.6999, -1, 0.5, FAIL},
        {"metric: auc, at_least: 0.7", NAN, -1, 0.5, FAIL},
        {"metric: log_loss, at_most: 0.5", 0.5, -1, 0.5, PASS},
        {"metric: log_loss, at_most: 0.5", 0.51, -1, 0.5, FAIL},
        {"metric: log_loss, at_most: 0.5", NAN, -1, 0.5, FAIL},
        {"metric: auc, better_than: baseline, by: 0.125", 0.625, -1, 0.5, PASS},
        {"metric: auc, better_than: baseline, by: 0.125", 0.6249, -1, 0.5, FAIL},
        {"metric: auc, better_than: against", 0.6, 0.6, 0.5, FAIL}, /* equal is not better */
        {"metric: auc, better_than: against", 0.61, 0.6, 0.5, PASS},
        {"metric: auc, better_than: against", 0.61, -1, 0.5, SKIP},
        {"metric: auc, better_than: against", NAN, 0.6, 0.5, FAIL},
        {"metric: auc, better_than: against", 0.6, NAN, 0.5, FAIL},
        {"metric: log_loss, better_than: against, by: 0.25", 0.25, 0.5, 0.5, PASS}, /* smaller is better */
        {"metric: log_loss, better_than: against, by: 0.25", 0.75, 0.5, 0.5, FAIL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        double own[64], against[64], baseline[64];
        wr_gate g;
        wr_gate_result r = {0};
        wr_metrics(&n);
        assert_true(n <= 64);
        for (size_t k = 0; k < n; k++) { /* the others would decide otherwise */
            own[k] = -5;
            against[k] = baseline[k] = 5;
        }
        OK(load(&g, s, wr_arena_printf(s->a, "rules: [{%s}]\n", cases[i].rule)));
        size_t at_ = (size_t)(g.rules[0].metric - wr_metrics(&n));
        own[at_] = cases[i].own;
        against[at_] = cases[i].against;
        baseline[at_] = cases[i].baseline;
        wr_gate_judge(&r, &g.rules[0], own, cases[i].against == -1 ? NULL : against, baseline);
        if ((int)r.state != cases[i].state) fail_msg("case %zu, %s: %d (%s)", i, cases[i].rule, (int)r.state, r.text);
        SAYS(g.rules[0].metric->name, r.text);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_load), T(test_load_errors), T(test_judge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
