/* SPDX-License-Identifier: Apache-2.0 */
/* reward_map_test.c - found once, taken once, forgotten in time; many at once. */
#include "stage/rollout/reward_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

static wr_str name(char out[32], size_t i) { return (wr_str){out, (size_t)snprintf(out, 32, "id-%zu", i)}; }

static void test_take(void **state)
{
    wr_reward_map *m = wr_reward_map_new();
    unsigned arm = 9;
    double p = 0;
    (void)state;
    assert_non_null(m);
    assert_int_equal(wr_reward_map_take(&arm, &p, m, WR_STR("a"), 100), -1);
    wr_reward_map_put(m, WR_STR("a"), 3, 0.25, 100);
    wr_reward_map_put(m, WR_STR("a"), 1, 0.5, 101); /* the first counts */
    wr_reward_map_put(m, WR_STR(""), 7, 1, 101);
    assert_int_equal(wr_reward_map_take(&arm, &p, m, WR_STR("a"), 150), 1);
    assert_true(arm == 3 && p == 0.25);
    assert_int_equal(wr_reward_map_take(&arm, &p, m, WR_STR("a"), 151), 0);
    assert_int_equal(wr_reward_map_take(&arm, &p, m, WR_STR(""), 151), 1);
    assert_int_equal(arm, 7);
    wr_reward_map_put(m, WR_STR("late"), 2, 0.5, 200);
    assert_int_equal(wr_reward_map_take(&arm, &p, m, WR_STR("late"), 200 + WR_REWARD_TTL_S + 1), -1);
    assert_int_equal(wr_reward_map_take(&arm, &p, m, WR_STR("late"), 200 + WR_REWARD_TTL_S), 1);
    wr_reward_map_free(m);
}

/* More than fits: the last tens of thousands are there, and none with another's arm. */
static void test_forgets(void **state)
{
    enum { N = 400000, LAST = 40000 };
    wr_reward_map *m = wr_reward_map_new();
    size_t kept = 0, old = 0;
    (void)state;
    for (size_t i = 0; i < N; i++) {
        char text[32];
        wr_reward_map_put(m, name(text, i), i % 8, 0.5, (int64_t)(1000 + i / 1000));
    }
    for (size_t i = 0; i < N; i++) {
        char text[32];
        unsigned arm;
        double p;
        if (wr_reward_map_take(&arm, &p, m, name(text, i), 2000) != 1) continue;
        assert_int_equal(arm, i % 8);
        if (i >= N - LAST) kept++;
        else old++;
    }
    assert_true(kept > LAST * 99 / 100 && old > 0);
    wr_reward_map_free(m);
}

typedef struct {
    wr_reward_map *m;
    size_t from, taken;
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;
    for (size_t i = 0; i < 5000; i++) {
        char text[32];
        unsigned arm;
        double p;
        wr_reward_map_put(w->m, name(text, w->from + i), 1, 0.5, 10);
        w->taken += wr_reward_map_take(&arm, &p, w->m, name(text, i), 10) == 1; /* all go for the first worker's */
    }
    return NULL;
}

static void test_threads(void **state)
{
    worker w[4];
    pthread_t t[4];
    size_t taken = 0;
    wr_reward_map *m = wr_reward_map_new();
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        w[i] = (worker){m, i * 5000, 0};
        pthread_create(&t[i], NULL, work, &w[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        taken += w[i].taken;
    }
    assert_in_range(taken, 4900, 5000); /* each once at most, whoever came first */
    wr_reward_map_free(m);
}

static void test_kept(void **state)
{
    enum { N = 20000 };
    wr_reward_map *m = wr_reward_map_new(), *again = wr_reward_map_new(), *none = wr_reward_map_new();
    WR_AUTOBUF wr_buf b = {0};
    char text[32];
    unsigned arm;
    double p;
    (void)state;
    for (size_t i = 0; i < N; i++)
        wr_reward_map_put(m, name(text, i), (unsigned)(i % 5), 0.25, (int64_t)1800000000 + (int64_t)i);
    for (size_t i = 0; i < N; i += 2) (void)wr_reward_map_take(&arm, &p, m, name(text, i), 1800000000);
    wr_reward_map_save(&b, m);
    assert_true(wr_reward_map_load(again, wr_buf_view(&b)));
    for (size_t i = 0; i < N; i++) {
        unsigned then = 9;
        double q = 0;
        int was = wr_reward_map_take(&arm, &p, m, name(text, i), 1800000000 + N);
        assert_int_equal(wr_reward_map_take(&then, &q, again, name(text, i), 1800000000 + N), was);
        if (was >= 0) assert_true(then == arm && q == p);
    }
    assert_false(wr_reward_map_load(none, WR_STR("short")));
    assert_false(wr_reward_map_load(none, wr_str_sub(wr_buf_view(&b), 0, b.n - 1)));
    assert_int_equal(wr_reward_map_take(&arm, &p, none, name(text, 1), 1800000000), -1);
    for (size_t i = 0; i < b.n; i++) b.p[i] = (char)(i * 37); /* whatever is in it */
    assert_true(wr_reward_map_load(none, wr_buf_view(&b)));
    wr_reward_map_free(m);
    wr_reward_map_free(again);
    wr_reward_map_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_take), cmocka_unit_test(test_forgets),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
