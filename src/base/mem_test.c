/* SPDX-License-Identifier: Apache-2.0 */
/* mem_test.c - sizes at the edges, injected failures. */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include <string.h>

static volatile size_t huge = SIZE_MAX; /* volatile: keeps the compiler from warning about the size */

static void test_zero_sizes(void **state)
{
    (void)state;
    void *a = wr_alloc(0), *b = wr_calloc(0, 8), *c = wr_calloc(8, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    a = wr_realloc(a, 0); /* not a free */
    assert_non_null(a);
    wr_free(a);
    wr_free(b);
    wr_free(c);
    wr_free(NULL);
}

static void test_overflow(void **state)
{
    (void)state;
    assert_null(wr_alloc(huge));
    assert_null(wr_alloc(huge / 2 + 1));
    assert_null(wr_calloc(huge / 2, 3));
    assert_null(wr_calloc(huge, huge));
    char *p = wr_alloc(4);
    memcpy(p, "abc", 4);
    assert_null(wr_realloc(p, huge));
    assert_string_equal(p, "abc"); /* still ours */
    wr_free(p);
}

static void test_calloc_zeroes(void **state)
{
    (void)state;
    unsigned char *p = wr_calloc(100, 3);
    for (int i = 0; i < 300; i++) assert_int_equal(p[i], 0);
    wr_free(p);
}

static void test_strdup(void **state)
{
    (void)state;
    assert_null(wr_strdup(NULL));
    WR_AUTOFREE char *s = wr_strdup("weir");
    assert_string_equal(s, "weir");
    WR_AUTOFREE char *empty = wr_strdup("");
    assert_string_equal(empty, "");
    WR_AUTOFREE char *nothing = NULL;
    assert_null(nothing);
}

static void test_faults(void **state)
{
    (void)state;
    wr_fault_arm(WR_FAULT_ALLOC, 1, true);
    assert_null(wr_alloc(1));
    assert_null(wr_calloc(1, 1));
    assert_null(wr_strdup("x"));
    assert_null(wr_realloc(NULL, 1));
    wr_fault_arm(WR_FAULT_ALLOC, 0, false);
    WR_AUTOFREE char *p = wr_alloc(1);
    assert_non_null(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_sizes), cmocka_unit_test(test_overflow), cmocka_unit_test(test_calloc_zeroes),
        cmocka_unit_test(test_strdup),     cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
