/* SPDX-License-Identifier: Apache-2.0 */
/* limiter_test.c - rates of clients, by counts: time is an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "server/limiter.h"

static const int64_t MS = 1000000;

/* How many of n at once are taken. */
static int taken(wr_limiter *l, const char *client, int n, int64_t now)
{
    int yes = 0;
    for (int i = 0; i < n; i++) yes += wr_limiter_take(l, wr_str_of(client), now) == 0;
    return yes;
}

static void test_burst_then_rate(void **state)
{
    (void)state;
    wr_limiter *l;
    wr_err err;
    assert_int_equal(wr_limiter_new(&l, 10, 5, &err), 0);
    assert_int_equal(taken(l, "a", 20, 1000 * MS), 5);
    assert_int_equal(wr_limiter_take(l, WR_STR("a"), 1000 * MS), 100 * MS); /* until the next one may */
    assert_int_equal(taken(l, "a", 20, 1099 * MS), 0);
    assert_int_equal(taken(l, "a", 20, 1100 * MS), 1);
    assert_int_equal(taken(l, "b", 20, 1100 * MS), 5); /* another client has its own */
    assert_int_equal(taken(l, "a", 20, 1300 * MS), 2);
    assert_int_equal(taken(l, "a", 20, 9000 * MS), 5); /* silence fills the burst and no more */
    int yes = 0;
    for (int64_t t = 10000; t < 20000; t += 7) yes += taken(l, "c", 1, t * MS);
    assert_in_range(yes, 103, 105); /* 10 s of 10 a second, and the burst */
    wr_limiter_free(l);
}

/* More clients than the table holds: one that keeps sending is never taken more than its burst and rate while it stays
 * known, and nobody who sends once is refused. */
static void test_many_clients(void **state)
{
    (void)state;
    wr_limiter *l;
    wr_err err;
    char name[32];
    assert_int_equal(wr_limiter_new(&l, 1, 1, &err), 0);
    for (int i = 0; i < 10 * WR_LIMITER_SETS * WR_LIMITER_WAYS; i++) {
        (void)snprintf(name, sizeof name, "10.0.%d.%d", i / 256, i % 256);
        assert_int_equal(taken(l, name, 1, MS), 1);
    }
    wr_limiter_free(l);
}

static void test_settings(void **state)
{
    (void)state;
    wr_limiter *l;
    wr_err err;
    assert_int_equal(wr_limiter_new(&l, 0, 1, &err), WEIR_EINVAL);
    assert_int_equal(wr_limiter_new(&l, 5, 0, &err), WEIR_EINVAL);
    assert_int_equal(wr_limiter_new(&l, -1, 5, &err), WEIR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_burst_then_rate), cmocka_unit_test(test_many_clients),
                                       cmocka_unit_test(test_settings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
