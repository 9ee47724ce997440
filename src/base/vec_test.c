/* SPDX-License-Identifier: Apache-2.0 */
/* vec_test.c - growth, overflow, failure. */
#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/fault.h"

typedef struct {
    double a;
    char b[24];
} wide;

static void test_push(void **state)
{
    (void)state;
    WR_VEC(int) v = {0};
    for (int i = 0; i < 100000; i++) assert_int_equal(wr_vec_push(&v, i), 0);
    assert_int_equal(v.n, 100000);
    for (int i = 0; i < 100000; i++) assert_int_equal(v.at[i], i);
    wr_vec_fini(&v);
    assert_null(v.at);
    assert_int_equal(v.n + v.cap, 0);
    assert_int_equal(wr_vec_push(&v, 7), 0); /* usable again */
    assert_int_equal(v.at[0], 7);
    wr_vec_fini(&v);
}

static void test_wide_elements(void **state)
{
    (void)state;
    WR_VEC(wide) v = {0};
    for (int i = 0; i < 1000; i++) assert_int_equal(wr_vec_push(&v, ((wide){.a = i})), 0);
    for (int i = 0; i < 1000; i++) assert_true(v.at[i].a == i);
    wr_vec_fini(&v);
}

static void test_reserve(void **state)
{
    (void)state;
    WR_VEC(int) v = {0};
    assert_int_equal(wr_vec_reserve(&v, 0), 0);
    assert_null(v.at);
    assert_int_equal(wr_vec_reserve(&v, 1000), 0);
    assert_true(v.cap >= 1000);
    int *before = v.at;
    for (int i = 0; i < 1000; i++) wr_vec_push(&v, i);
    assert_ptr_equal(v.at, before);
    wr_vec_fini(&v);
}

static void test_overflow(void **state)
{
    (void)state;
    WR_VEC(wide) v = {0};
    wr_vec_push(&v, ((wide){.a = 1}));
    assert_int_equal(wr_vec_reserve(&v, SIZE_MAX), WEIR_ENOMEM);
    assert_int_equal(wr_vec_reserve(&v, SIZE_MAX / sizeof(wide)), WEIR_ENOMEM);
    assert_int_equal(wr_vec_reserve(&v, SIZE_MAX / sizeof(wide) / 2), WEIR_ENOMEM);
    assert_int_equal(v.n, 1);
    assert_true(v.at[0].a == 1);
    wr_vec_fini(&v);
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    bool fired = true;
    for (long n = 1; fired; n++) {
        WR_VEC(int) v = {0};
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int pushed = 0;
        while (pushed < 1000 && wr_vec_push(&v, pushed) == 0) pushed++;
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(pushed == 1000, !fired);
        assert_int_equal(v.n, pushed); /* what was there stays */
        for (int i = 0; i < pushed; i++) assert_int_equal(v.at[i], i);
        assert_int_equal(wr_vec_push(&v, 5), 0);
        wr_vec_fini(&v);
    }
}

static void test_kept_in_an_arena(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(4096);
    WR_VEC(int) v = {0};
    wr_err err = {0};
    int *list;
    size_t n;
    for (int i = 0; i < 100; i++) assert_int_equal(wr_vec_add(&v, i, &err), 0);
    assert_int_equal(wr_vec_keep(&list, &n, a, &v, 0, &err), 0);
    assert_int_equal(n, 100);
    for (int i = 0; i < 100; i++) assert_int_equal(list[i], i);
    assert_true(!v.at && !v.n && !v.cap);
    assert_int_equal(wr_vec_keep(&list, &n, a, &v, 1, &err), 0); /* a loop that was left before its end */
    assert_true(list && n == 0);
    assert_int_equal(wr_vec_add(&v, 1, &err), 0);
    assert_int_equal(wr_vec_keep(&list, &n, a, &v, WEIR_ELIMIT, &err), WEIR_ELIMIT);
    assert_true(!list && !n && !v.at);
    for (int i = 0; i < 2000; i++) assert_int_equal(wr_vec_add(&v, i, &err), 0);
    assert_int_equal(wr_vec_keep(&list, &n, a, &v, 0, &err), WEIR_ENOMEM);
    assert_true(!list && !n && !v.at && err.code == WEIR_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push),          cmocka_unit_test(test_kept_in_an_arena),
        cmocka_unit_test(test_wide_elements), cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_overflow),      cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
