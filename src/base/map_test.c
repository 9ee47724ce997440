/* SPDX-License-Identifier: Apache-2.0 */
/* map_test.c - order, replacement, odd keys, every allocation failing in turn. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/fault.h"

static void test_empty(void **state)
{
    (void)state;
    wr_map m = {0};
    assert_null(wr_map_get(&m, WR_STR("a")));
    assert_int_equal(wr_map_find(&m, WR_STR("")), -1);
    wr_map_fini(&m);
    wr_map_init(&m);
    wr_map_fini(&m);
}

static void test_many(void **state)
{
    (void)state;
    enum { N = 20000 };
    static int values[N];
    wr_map m;
    wr_map_init(&m);
    char key[32];
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(wr_map_put(&m, wr_str_of(key), &values[i]), i);
        memset(key, 'x', sizeof key); /* the map has its own copy */
    }
    assert_int_equal(m.n, N);
    assert_true(m.nslots >= 2 * m.n && (m.nslots & (m.nslots - 1)) == 0);
    for (int i = 0; i < N; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        assert_ptr_equal(wr_map_get(&m, wr_str_of(key)), &values[i]);
        assert_true(wr_str_is(m.at[i].key, key)); /* insertion order */
        assert_int_equal(m.at[i].key.p[n], 0);
        snprintf(key, sizeof key, "nokey-%d", i);
        assert_int_equal(wr_map_find(&m, wr_str_of(key)), -1);
    }
    wr_map_fini(&m);
}

static void test_replace(void **state)
{
    (void)state;
    int a, b;
    wr_map m = {0};
    assert_int_equal(wr_map_put(&m, WR_STR("x"), &a), 0);
    assert_int_equal(wr_map_put(&m, WR_STR("y"), &a), 1);
    assert_int_equal(wr_map_put(&m, WR_STR("x"), &b), 0);
    assert_int_equal(m.n, 2);
    assert_ptr_equal(wr_map_get(&m, WR_STR("x")), &b);
    assert_int_equal(wr_map_put(&m, WR_STR("z"), NULL), 2);
    assert_null(wr_map_get(&m, WR_STR("z")));
    assert_int_equal(wr_map_find(&m, WR_STR("z")), 2);
    wr_map_fini(&m);
}

static void test_odd_keys(void **state)
{
    (void)state;
    int v[5];
    const wr_str keys[] = {{"", 0}, {"\0", 1}, {"\0\0", 2}, {"a\0b", 3}, {"a\0c", 3}};
    wr_map m = {0};
    for (int i = 0; i < 5; i++) assert_int_equal(wr_map_put(&m, keys[i], &v[i]), i);
    for (int i = 0; i < 5; i++) assert_ptr_equal(wr_map_get(&m, keys[i]), &v[i]);
    assert_ptr_equal(wr_map_get(&m, (wr_str){0}), &v[0]); /* NULL, 0 is the empty key */
    wr_map_fini(&m);
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    bool fired = true;
    long n = 1;
    for (; fired; n++) {
        wr_map m = {0};
        int values[100], put = 0;
        char key[16];
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        for (; put < 100; put++) {
            snprintf(key, sizeof key, "%d", put);
            ptrdiff_t at = wr_map_put(&m, wr_str_of(key), &values[put]);
            if (at < 0) break;
            assert_int_equal(at, put);
        }
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(put == 100, !fired);
        assert_int_equal(m.n, put); /* as it was before the put that failed */
        for (int i = 0; i <= put && i < 100; i++) {
            snprintf(key, sizeof key, "%d", i);
            assert_ptr_equal(wr_map_get(&m, wr_str_of(key)), i < put ? &values[i] : NULL);
        }
        assert_true(wr_map_put(&m, WR_STR("later"), &m) >= 0);
        assert_ptr_equal(wr_map_get(&m, WR_STR("later")), &m);
        wr_map_fini(&m);
    }
    assert_true(n > 100); /* one copy of a key each, and the growing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_odd_keys),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
