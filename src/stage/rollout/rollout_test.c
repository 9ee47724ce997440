/* SPDX-License-Identifier: Apache-2.0 */
/* rollout_test.c - sharing requests and judging arms, without a server. */
#include "stage/rollout/rollout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static wr_rollout_spec spec_of(wr_arena *a, const char *text)
{
    wr_rollout_spec s;
    wr_err err = {0};
    if (wr_rollout_spec_parse(&s, a, "/", wr_str_of(text), "test", &err) < 0) fail_msg("%s", err.msg);
    return s;
}

static const bool nobody_out[WR_ROLLOUT_ARMS];
static const wr_moments no_reward[WR_ROLLOUT_ARMS];

static size_t arm_of_user(const wr_route *r, int user)
{
    char key[32];
    snprintf(key, sizeof key, "user-%d", user);
    return wr_route_arm(r, wr_route_point(wr_str_of(key), WR_STR("june")));
}

static double sum_of(const wr_route *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->n; i++) {
        assert_true(r->share[i] >= 0 && r->share[i] <= 1);
        sum += r->share[i];
    }
    return sum;
}

/* As the canary grows, who had it keeps it; shares are what they say. */
static void test_sticky(void **state)
{
    enum { USERS = 20000 };
    static unsigned char had[USERS];
    wr_arena *a = wr_arena_new(0);
    wr_rollout_spec s = spec_of(a, "arms: {canary: {model: m@2}}\nsteps: {}\n");
    (void)state;
    memset(had, 0, sizeof had);
    for (int step = 1; step <= 5; step++) {
        wr_route r;
        int n = 0;
        wr_route_make(&r, &s, nobody_out, step / 10.0, no_reward);
        assert_true(fabs(sum_of(&r) - 1) < 1e-12);
        for (int i = 0; i < USERS; i++) {
            size_t arm = arm_of_user(&r, i);
            assert_true(arm == arm_of_user(&r, i));
            if (had[i]) assert_int_equal(arm, 1);
            had[i] = arm == 1;
            n += arm == 1;
        }
        double share = n / (double)USERS, sd = sqrt(step / 10.0 * (1 - step / 10.0) / USERS);
        assert_true(fabs(share - step / 10.0) < 5 * sd);
    }
    int moved = 0;
    for (int i = 0; i < 1000; i++) { /* another salt deals anew */
        char key[32];
        snprintf(key, sizeof key, "user-%d", i);
        moved += (wr_route_point(wr_str_of(key), WR_STR("june")) < 0.5) !=
                 (wr_route_point(wr_str_of(key), WR_STR("july")) < 0.5);
    }
    assert_in_range(moved, 400, 600);
    wr_arena_free(a);
}

static void test_modes(void **state)
{
    wr_arena *a = wr_arena_new(0);
    wr_route r;
    bool is_out[WR_ROLLOUT_ARMS] = {false, true};
    (void)state;
    wr_rollout_spec s = spec_of(a, "arms: {b: {model: m@2, weight: 20%}, c: {model: m@3, weight: 30%}}\n");
    wr_route_make(&r, &s, nobody_out, 0, no_reward);
    assert_true(r.n == 3 && r.share[1] == 0.2 && r.share[2] == 0.3 && fabs(r.share[0] - 0.5) < 1e-12);
    assert_true(wr_route_arm(&r, 0) == 1 && wr_route_arm(&r, 0.199) == 1 && wr_route_arm(&r, 0.2) == 2 &&
                wr_route_arm(&r, 0.6) == 0);
    wr_route_make(&r, &s, is_out, 0, no_reward);
    assert_true(r.share[1] == 0 && fabs(r.share[0] - 0.7) < 1e-12);
    s = spec_of(a, "mode: shadow\narms: {b: {model: m@2, weight: 20%}}\n");
    wr_route_make(&r, &s, nobody_out, 0, no_reward);
    assert_true(r.share[0] == 1 && wr_route_arm(&r, 0) == 0);
    s = spec_of(a, "mode: switch\nactive: b\narms: {b: {model: m@2}}\n");
    wr_route_make(&r, &s, nobody_out, 0, no_reward);
    assert_true(r.share[1] == 1 && r.share[0] == 0 && wr_route_arm(&r, 0.9999999) == 1);
    s = spec_of(a, "mode: bandit\narms: {b: {model: m@2}, c: {model: m@3}}\nbandit: {floor: 5%}\n");
    wr_moments m[WR_ROLLOUT_ARMS] = {{1000, 0.1, 90}, {1000, 0.2, 160}, {1000, 0.05, 47.5}};
    wr_route_make(&r, &s, nobody_out, 0, m);
    assert_true(fabs(sum_of(&r) - 1) < 1e-12 && r.share[1] > 0.89 && r.share[0] >= 0.05 && r.share[2] >= 0.05);
    wr_route_make(&r, &s, is_out, 0, m);
    assert_true(fabs(sum_of(&r) - 1) < 1e-12 && r.share[1] == 0 && r.share[0] > 0.9);
    wr_arena_free(a);
}

/* ---- guardrails ---- */

typedef struct {
    wr_arm_totals primary, arm, none;
    wr_verdict verdicts[WR_GUARDS];
    wr_look looks[WR_GUARDS];
    wr_rollout_spec spec;
    wr_guard_case c;
    wr_rng rng;
} judged;

static judged *begin(wr_arena *a, const char *guards)
{
    judged *j = wr_arena_calloc(a, 1, sizeof *j);
    j->spec = spec_of(a, wr_arena_printf(a, "arms: {b: {model: m@2}}\nguardrails: %s\n", guards));
    j->c = (wr_guard_case){.spec = &j->spec,
                           .primary = &j->primary,
                           .arm = &j->arm,
                           .primary_then = &j->none,
                           .arm_then = &j->none,
                           .baseline = j->primary.score};
    wr_rng_init(&j->rng, 11);
    return j;
}

static void serve(judged *j, wr_arm_totals *t, int n, double errors, double ms, double score, double reward)
{
    for (int i = 0; i < n; i++) {
        t->requests++;
        if (wr_rng_f64(&j->rng) < errors) {
            t->errors++;
            continue;
        }
        t->rows++;
        t->joules += 0.001;
        t->latency[wr_duration_bin((uint64_t)(ms * 1e6 * (0.5 - log(1 - wr_rng_f64(&j->rng)))))]++;
        t->score[wr_value_bin(1 / (1 + exp(score + wr_rng_normal(&j->rng))))]++;
        wr_moments_add(&t->reward, wr_rng_f64(&j->rng) < reward);
    }
}

/* Watched after each ten answers an arm, up to n: when it was certain (0 = never), and by which guardrail. */
static int watch(judged *j, int n, double errors, double ms, double score, double reward, int *which)
{
    for (int i = 10; i <= n; i += 10) {
        serve(j, &j->primary, 30, 0.005, 1, 0, 0.3);
        serve(j, &j->arm, 10, errors, ms, score, reward);
        if (!wr_guards_watch(j->verdicts, j->looks, &j->c)) continue;
        for (int k = 0; k < WR_GUARDS; k++)
            if (j->verdicts[k].kind == WR_VERDICT_CERTAIN) *which = k;
        return i;
    }
    return 0;
}

static const char all_guards[] =
    "{errors: {worse_by: 2%}, p99: {worse_by: 50%}, drift: {max: 0.2}, reward: {worse_by: 0.02}}";

static void test_watch(void **state)
{
    wr_arena *a = wr_arena_new(0);
    int which = -1;
    (void)state;
    assert_int_equal(watch(begin(a, all_guards), 3000, 0.005, 1, 0, 0.3, &which), 0);
    int at = watch(begin(a, all_guards), 3000, 0.2, 1, 0, 0.3, &which);
    assert_true(at >= 200 && at <= 260 && which == WR_GUARD_ERRORS); /* min_samples, then at once */
    at = watch(begin(a, all_guards), 3000, 0.005, 5, 0, 0.3, &which);
    assert_true(at >= 200 && at <= 2000 && which == WR_GUARD_P99);
    at = watch(begin(a, all_guards), 3000, 0.005, 1, 1.5, 0.3, &which);
    assert_true(at >= 200 && at <= 400 && which == WR_GUARD_DRIFT);
    at = watch(begin(a, all_guards), 3000, 0.005, 1, 0, 0.1, &which);
    assert_true(at >= 200 && at <= 2500 && which == WR_GUARD_REWARD);
    judged *j = begin(a, "{errors: {worse_by: 2%}}");
    (void)watch(j, 190, 1, 1, 0, 0, &which);
    assert_int_equal(j->verdicts[WR_GUARD_ERRORS].kind, WR_VERDICT_WAITS);
    assert_int_equal(j->verdicts[WR_GUARD_P99].kind, WR_VERDICT_OFF);
    assert_true(watch(begin(a, "none"), 1000, 1, 9, 3, 0, &which) == 0);
    wr_arena_free(a);
}

static void test_joules(void **state)
{
    wr_arena *a = wr_arena_new(0);
    (void)state;
    for (int worse = 0; worse < 2; worse++) {
        judged *j = begin(a, "{joules: {worse_by: 30%}}");
        bool said = false;
        serve(j, &j->primary, 1000, 0, 1, 0, 0);
        serve(j, &j->arm, 1000, 0, 1, 0, 0);
        for (int s = 0; s < 300; s++) {
            wr_moments_add(&j->arm.joule_ratio, (worse ? log(2) : 0) + 0.3 * wr_rng_normal(&j->rng));
            said |= wr_guards_watch(j->verdicts, j->looks, &j->c);
        }
        assert_int_equal(said, worse);
    }
    wr_arena_free(a);
}

static void test_check(void **state)
{
    wr_arena *a = wr_arena_new(0);
    judged *j = begin(a, "{errors: {max: 5%}, p99: {max: 20ms}, reward: {min: 0.2}, joules: {max: 2}}");
    (void)state;
    serve(j, &j->arm, 100, 0, 1, 0, 0.5);
    assert_int_equal(wr_guards_check(j->verdicts, &j->c), -1);
    serve(j, &j->arm, 900, 0, 1, 0, 0.5);
    assert_int_equal(wr_guards_check(j->verdicts, &j->c), 0);
    wr_arm_totals *then = wr_arena_dup(a, &j->arm, sizeof j->arm);
    j->c.arm_then = then;
    serve(j, &j->arm, 400, 0.2, 30, 0, 0.05); /* bad in this interval, fine on the whole */
    j->arm.joules += 400;
    assert_int_equal(wr_guards_check(j->verdicts, &j->c), 4);
    assert_int_equal(j->verdicts[WR_GUARD_P99].kind, WR_VERDICT_FAILED);
    assert_true(j->verdicts[WR_GUARD_P99].arm > 0.03 && strstr(j->verdicts[WR_GUARD_P99].why, "interval"));
    (void)wr_guards_watch(j->verdicts, j->looks, &j->c);
    assert_int_equal(j->verdicts[WR_GUARD_P99].kind, WR_VERDICT_FAILED);
    j->c.arm_then = wr_arena_dup(a, &j->arm, sizeof j->arm);
    serve(j, &j->arm, 400, 0, 1, 0, 0.5);
    assert_int_equal(wr_guards_check(j->verdicts, &j->c), 0);
    assert_int_equal(j->verdicts[WR_GUARD_P99].kind, WR_VERDICT_FINE);
    wr_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sticky), cmocka_unit_test(test_modes),
                                       cmocka_unit_test(test_watch), cmocka_unit_test(test_joules),
                                       cmocka_unit_test(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
