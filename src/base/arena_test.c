/* SPDX-License-Identifier: Apache-2.0 */
/* arena_test.c - alignment, growth, cap, reuse, every allocation failing in turn. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/fault.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

static void test_alignment_and_content(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    enum { N = 2000 };
    static unsigned char *p[N];
    for (size_t i = 0; i < N; i++) {
        p[i] = wr_arena_alloc(a, i);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)(i & 255), i);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < i; k++) assert_int_equal(p[i][k], i & 255);
    }
    assert_false(wr_arena_failed(a));
    assert_true(wr_arena_used(a) >= N * (N - 1) / 2);
}

static void test_large_among_small(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char *small = wr_arena_alloc(a, 16), *large = wr_arena_alloc(a, 5 << 20), *next = wr_arena_alloc(a, 16);
    assert_ptr_equal(next, small + 16); /* the large one did not end the current block */
    memset(large, 1, 5 << 20);
    wr_arena_clear(a);
    assert_int_equal(wr_arena_used(a), 0);
    assert_ptr_equal(wr_arena_alloc(a, 16), small); /* the first block is reused */
}

static void test_cap(void **state)
{
    (void)state;
    const size_t caps[] = {1, 100, 1000, 4096, 10000, 1 << 20, 3 << 20};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(caps[i]);
        while (wr_arena_alloc(a, 48)) continue;
        assert_true(wr_arena_failed(a));
        assert_true(wr_arena_used(a) <= caps[i]);
        if (caps[i] >= 1000) assert_true(wr_arena_used(a) >= caps[i] * 85 / 100); /* little is wasted */
        wr_arena_clear(a);
        assert_false(wr_arena_failed(a));
        assert_null(wr_arena_alloc(a, caps[i] + 1));
        assert_true(wr_arena_failed(a));
    }
}

static void test_overflow(void **state)
{
    (void)state;
    volatile size_t huge = SIZE_MAX;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_null(wr_arena_alloc(a, huge));
    assert_null(wr_arena_alloc(a, huge - 15));
    assert_null(wr_arena_alloc(a, huge / 2));
    assert_null(wr_arena_calloc(a, huge / 2, 3));
    assert_true(wr_arena_failed(a));
    assert_non_null(wr_arena_alloc(a, 8)); /* the arena is still usable, the flag stays */
    assert_true(wr_arena_failed(a));
}

static void test_zeroed(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    memset(wr_arena_alloc(a, 1000), 0xFF, 1000);
    wr_arena_clear(a);
    const unsigned char *p = wr_arena_calloc(a, 10, 100);
    for (int i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
    assert_non_null(wr_arena_calloc(a, 0, 5));
}

static void test_text(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_null(wr_arena_strdup(a, NULL));
    assert_null(wr_arena_strndup(a, NULL, 3));
    assert_false(wr_arena_failed(a));
    assert_string_equal(wr_arena_strdup(a, "weir"), "weir");
    assert_string_equal(wr_arena_strdup(a, ""), "");
    assert_string_equal(wr_arena_strndup(a, "weirdo", 4), "weir");
    assert_string_equal(wr_arena_strndup(a, "we", 4), "we");
    wr_str s = wr_arena_str(a, (wr_str){"a\0b", 3});
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b", 4);
    assert_memory_equal(wr_arena_dup(a, "a\0b", 3), "a\0b", 3);
    assert_non_null(wr_arena_dup(a, NULL, 0));
    s = wr_arena_str(a, (wr_str){0});
    assert_non_null(s.p);
    assert_string_equal(s.p, "");
    assert_string_equal(wr_arena_printf(a, "%d-%s", 7, "x"), "7-x");
    char *longer = wr_arena_printf(a, "%*d", 100000, 1);
    assert_int_equal(strlen(longer), 100000);
}

/* A small piece of work over the arena; true when all of it succeeded. */
static bool work(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return false;
    bool all = true;
    for (int i = 0; i < 50; i++) {
        all &= wr_arena_alloc(a, 3000) != NULL;
        all &= wr_arena_strdup(a, "text") != NULL;
        all &= wr_arena_str(a, WR_STR("slice")).p != NULL;
        all &= wr_arena_printf(a, "%d", i) != NULL;
        all &= wr_arena_calloc(a, 100, 9) != NULL;
    }
    assert_int_equal(all, !wr_arena_failed(a));
    return all;
}

static void test_each_allocation_failing(void **state)
{
    (void)state;
    long n = 1;
    for (;; n++) {
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        bool ok = work(), fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(ok, !fired);
        if (!fired) break;
    }
    assert_true(n > 4); /* there was something to fail */
}

static void test_poison(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char *p = wr_arena_alloc(a, 5);
    assert_false(__asan_address_is_poisoned(p + 4));
    assert_true(__asan_address_is_poisoned(p + 5));
    assert_true(__asan_address_is_poisoned(p + 16));
    wr_arena_clear(a);
    assert_true(__asan_address_is_poisoned(p));
#else
    skip();
#endif
}

static void test_null(void **state)
{
    (void)state;
    wr_arena_free(NULL);
    WR_AUTOARENA wr_arena *a = NULL;
    (void)a;
    WR_AUTOARENA wr_arena *fresh = wr_arena_new(0);
    wr_arena_clear(fresh); /* without any block */
    assert_int_equal(wr_arena_used(fresh), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_content),
        cmocka_unit_test(test_large_among_small),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_each_allocation_failing),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
