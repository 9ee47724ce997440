/* SPDX-License-Identifier: Apache-2.0 */
/* bandit_test.c - shares against scipy's quadrature; learning and off-policy estimates by simulation with seeds. */
#include "calc/bandit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>

#include "../../tests/reference/sequential_values.h"
#include "../../tests/reference/stream.h"
#include "base/rng.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static double sum_of(const double *p, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(p[i] >= 0 && p[i] <= 1);
        sum += p[i];
    }
    return sum;
}

static wr_moments coins(double n, double sum)
{
    double mean = n > 0 ? sum / n : 0;
    return (wr_moments){.n = n, .mean = mean, .m2 = n * mean * (1 - mean)};
}

static void test_best(void **state)
{
    (void)state;
    double p[WR_BANDIT_ARMS];
    wr_moments m[4];
    for (size_t i = 0; i < COUNT(beta_best_values); i++) {
        size_t arms = (size_t)beta_best_values[i].arms;
        for (size_t k = 0; k < arms; k++) m[k] = coins(beta_best_values[i].n[k], beta_best_values[i].sum[k]);
        wr_bandit_best(p, m, arms, &(wr_bandit_opt){.binary = true});
        assert_true(fabs(sum_of(p, arms) - 1) < 1e-12);
        for (size_t k = 0; k < arms; k++)
            if (fabs(p[k] - beta_best_values[i].p[k]) > 1e-6)
                fail_msg("case %zu, arm %zu: %.9g, not %.9g", i, k, p[k], beta_best_values[i].p[k]);
    }
    for (size_t i = 0; i < COUNT(normal_best_values); i++) {
        size_t arms = (size_t)normal_best_values[i].arms;
        for (size_t k = 0; k < arms; k++)
            m[k] = (wr_moments){normal_best_values[i].n[k], normal_best_values[i].mean[k], normal_best_values[i].m2[k]};
        wr_bandit_best(p, m, arms, &(wr_bandit_opt){0});
        for (size_t k = 0; k < arms; k++)
            if (fabs(p[k] - normal_best_values[i].p[k]) > 1e-6)
                fail_msg("normal case %zu, arm %zu: %.9g, not %.9g", i, k, p[k], normal_best_values[i].p[k]);
    }
}

static void test_shares(void **state)
{
    (void)state;
    double p[WR_BANDIT_ARMS];
    wr_moments m[WR_BANDIT_ARMS] = {coins(100000, 90000), coins(100000, 1000), coins(100000, 1000)};
    wr_bandit_opt opt = {.binary = true, .floor = 0.1};
    wr_bandit_shares(p, m, 3, &opt);
    assert_true(fabs(p[0] - 0.8) < 1e-9 && fabs(p[1] - 0.1) < 1e-9 && fabs(sum_of(p, 3) - 1) < 1e-12);
    opt = (wr_bandit_opt){.policy = WR_BANDIT_EPSILON, .epsilon = 0.3};
    wr_bandit_shares(p, m, 3, &opt);
    assert_true(fabs(p[0] - 0.8) < 1e-12 && fabs(p[2] - 0.1) < 1e-12);
    m[2] = (wr_moments){0}; /* not tried yet: tried first */
    wr_bandit_shares(p, m, 3, &opt);
    assert_true(fabs(p[2] - 0.8) < 1e-12);
    m[1] = m[0];
    m[2] = coins(10, 0);
    wr_bandit_shares(p, m, 3, &opt);
    assert_true(fabs(p[0] - 0.45) < 1e-12 && fabs(p[1] - 0.45) < 1e-12);
    opt.floor = 1; /* more than there is: alike */
    wr_bandit_shares(p, m, 3, &opt);
    assert_true(fabs(p[0] - 1.0 / 3) < 1e-12);
    for (int k = 0; k < WR_BANDIT_ARMS; k++) m[k] = coins(50 + k, k);
    wr_bandit_shares(p, m, WR_BANDIT_ARMS, &(wr_bandit_opt){.binary = true});
    assert_true(fabs(sum_of(p, WR_BANDIT_ARMS) - 1) < 1e-12 && p[WR_BANDIT_ARMS - 1] > p[0]);
    assert_true(wr_bandit_regret((wr_moments[]){coins(100, 50), coins(40, 4), coins(0, 0)}, 3) == 16);
}

/* Rewards arrive in batches, as they do in service. Returns the share of pulls of the best arm in the last tenth. */
static double learn(const wr_bandit_opt *opt, uint64_t seed, bool normal, double *regret)
{
    enum { BATCHES = 60, BATCH = 100, ARMS = 3 };
    static const double rate[ARMS] = {0.1, 0.16, 0.05};
    wr_moments m[ARMS] = {0};
    wr_rng r;
    double late = 0;
    wr_rng_init(&r, seed);
    for (int b = 0; b < BATCHES; b++) {
        double p[ARMS];
        wr_bandit_shares(p, m, ARMS, opt);
        for (int i = 0; i < BATCH; i++) {
            double u = wr_rng_f64(&r);
            size_t arm = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
            wr_moments_add(&m[arm], normal ? 10 * rate[arm] + 0.5 * wr_rng_normal(&r) : wr_rng_f64(&r) < rate[arm]);
            late += b >= BATCHES * 9 / 10 && arm == 1;
        }
    }
    *regret = wr_bandit_regret(m, ARMS);
    return late / (BATCHES / 10 * BATCH);
}

static void test_learning(void **state)
{
    (void)state;
    double regret, share = 0, greedy = 0, total = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        share += learn(&(wr_bandit_opt){.binary = true}, seed, false, &regret) / 10;
        total += regret / 10;
        greedy += learn(&(wr_bandit_opt){.policy = WR_BANDIT_EPSILON, .epsilon = 0.15}, seed, false, &regret) / 10;
    }
    if (share < 0.85 || greedy < 0.7) fail_msg("the best arm got %g and %g of the last requests", share, greedy);
    assert_true(total > 0 && total < 120); /* alike for all arms would cost 6000 * 0.0567 = 340 */
    assert_true(learn(&(wr_bandit_opt){0}, 3, true, &regret) > 0.99);
}

/* Logged by one policy, asked about another: the estimates find what that one earns; the plain average does not. */
static void test_off_policy(void **state)
{
    (void)state;
    enum { N = 4000, TIMES = 60 };
    static const double rate[2] = {0.3, 0.6}, logging[2] = {0.8, 0.2}, target[2] = {0.1, 0.9};
    double truth = target[0] * rate[0] + target[1] * rate[1];
    int inside[3] = {0};
    double error[3] = {0};
    wr_rng r;
    wr_rng_init(&r, 9);
    for (int t = 0; t < TIMES; t++) {
        wr_offpolicy o = {0};
        for (int i = 0; i < N; i++) {
            size_t arm = wr_rng_f64(&r) < logging[0] ? 0 : 1;
            double guess[2] = {0.35, 0.5}; /* a model of the reward that is a bit off */
            wr_offpolicy_add(&o, wr_rng_f64(&r) < rate[arm], logging[arm], target[arm], guess[arm],
                             target[0] * guess[0] + target[1] * guess[1], 0);
        }
        wr_offpolicy_result v = wr_offpolicy_of(&o, 0.05);
        wr_interval all[3] = {v.ips, v.snips, v.dr};
        for (int k = 0; k < 3; k++) {
            inside[k] += all[k].lo <= truth && truth <= all[k].hi;
            error[k] += (all[k].at - truth) * (all[k].at - truth) / TIMES;
        }
        assert_true(v.n == N && v.effective > 800 && v.effective < 2000);
    }
    for (int k = 0; k < 3; k++) {
        assert_in_range(inside[k], TIMES * 85 / 100, TIMES);
        assert_true(sqrt(error[k]) < 0.03);
    }
    assert_true(error[2] < error[0] && error[1] < error[0]); /* what they are for */
    wr_offpolicy o = {0};
    wr_offpolicy_add(&o, 1, 0, 1, 0, 0, 0);
    wr_offpolicy_add(&o, NAN, 1, 1, 0, 0, 0);
    assert_true(o.n == 0 && isnan(wr_offpolicy_of(&o, 0.05).snips.at));
    wr_offpolicy_add(&o, 1, 0.001, 1, 0, 0, 10);
    assert_true(o.w == 10);
    wr_interval z = {0};
    wr_offpolicy wide = {0};
    wr_offpolicy_add(&wide, 1, 1, 1, 0, 0, 0);
    wr_offpolicy_add(&wide, 0, 1, 1, 0, 0, 0);
    z = wr_offpolicy_of(&wide, 0.05).ips;
    assert_true(fabs((z.hi - z.at) - 1.959963984540054 * 0.5) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_best), cmocka_unit_test(test_shares),
                                       cmocka_unit_test(test_learning), cmocka_unit_test(test_off_policy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
