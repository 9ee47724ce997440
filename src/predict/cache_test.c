/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fault.h"
#include "predict/cache.h"

static wr_tensor one(double *v)
{
    return (wr_tensor){.type = WR_TENSOR_FP64, .ndims = 1, .shape = {1}, .count = 1, .data = v};
}

static wr_cache_key key_of(double v)
{
    wr_cache_key k;
    wr_tensor t = one(&v);
    wr_cache_key_of(&k, 7, &t, 1, NULL, 0);
    return k;
}

static int ask(wr_response_cache *c, double v, wr_arena *a)
{
    wr_tensor t = {.type = WR_TENSOR_FP64};
    wr_cache_key k = key_of(v);
    int rc = wr_response_cache_get(&t, 1, c, &k, a, NULL);
    if (rc == 1) assert_true(*(double *)t.data == v * 2 && t.shape[0] == 1);
    return rc;
}

static void keep(wr_response_cache *c, double v)
{
    double twice = v * 2;
    wr_tensor t = one(&twice);
    wr_cache_key k = key_of(v);
    wr_response_cache_put(c, &k, &t, 1);
}

static void keys_tell_questions_apart(void **state)
{
    (void)state;
    wr_cache_key a, b;
    float f[4] = {1, 2, 3, 4};
    wr_str s[2] = {WR_STR("ab"), WR_STR("c")}, u[2] = {WR_STR("a"), WR_STR("bc")};
    size_t o01[2] = {0, 1}, o10[2] = {1, 0};
    wr_tensor t = {.type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 4}, .count = 4, .data = f}, x = t;
#define DIFFER(p, q)                                                                                                   \
    wr_cache_key_of p;                                                                                                 \
    wr_cache_key_of q;                                                                                                 \
    assert_memory_not_equal(&a, &b, sizeof a)
    x.shape[0] = 4, x.shape[1] = 1;
    DIFFER((&a, 1, &t, 1, NULL, 0), (&b, 1, &x, 1, NULL, 0));
    x = t, x.type = WR_TENSOR_INT32;
    DIFFER((&a, 1, &t, 1, NULL, 0), (&b, 1, &x, 1, NULL, 0));
    DIFFER((&a, 1, &t, 1, NULL, 0), (&b, 2, &t, 1, NULL, 0));
    DIFFER((&a, 1, &t, 1, o01, 2), (&b, 1, &t, 1, o10, 2));
    wr_tensor p = {.type = WR_TENSOR_BYTES, .ndims = 1, .shape = {2}, .count = 2, .data = s}, q = p;
    q.data = u;
    DIFFER((&a, 1, &p, 1, NULL, 0), (&b, 1, &q, 1, NULL, 0));
    wr_tensor none = {.type = WR_TENSOR_NONE}, first[2] = {t, none}, second[2] = {none, t};
    DIFFER((&a, 1, first, 2, NULL, 0), (&b, 1, second, 2, NULL, 0));
    wr_cache_key_of(&b, 1, first, 2, NULL, 0);
    wr_cache_key_of(&a, 1, first, 2, NULL, 0);
    assert_memory_equal(&a, &b, sizeof a);
}

static void memory_is_bounded_and_what_is_asked_for_stays(void **state)
{
    (void)state;
    wr_response_cache *c;
    wr_response_cache_stats s;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    enum { BYTES = 256 << 10 };
    assert_int_equal(wr_response_cache_new(&c, BYTES, NULL), 0);
    int hot = 0;
    for (int i = 0; i < 20000; i++) {
        keep(c, i);
        if (i % 10 == 0) hot += ask(c, 0, a);
        wr_arena_clear(a);
    }
    wr_response_cache_stat(&s, c);
    assert_true(s.bytes <= BYTES && s.entries > 500 && s.evictions > 10000);
    assert_int_equal(hot, 2000); /* every time */
    assert_int_equal(ask(c, 19999, a), 1);
    assert_int_equal(ask(c, 1, a), 0);
    keep(c, 19999); /* again: once */
    wr_response_cache_stats t;
    wr_response_cache_stat(&t, c);
    assert_int_equal(t.entries, s.entries);
    size_t big = BYTES / 16;
    wr_tensor large = {
        .type = WR_TENSOR_UINT8, .ndims = 1, .shape = {(int64_t)big}, .count = big, .data = wr_arena_alloc(a, big)};
    memset(large.data, 0, big);
    wr_cache_key k = key_of(-5);
    wr_response_cache_put(c, &k, &large, 1);
    assert_int_equal(ask(c, -5, a), 0);
    wr_response_cache_free(c);
}

static void without_memory_nothing_is_kept_and_nothing_breaks(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    for (long n = 1; n < 8; n++) {
        wr_response_cache *c;
        assert_int_equal(wr_response_cache_new(&c, 1 << 20, NULL), 0);
        wr_fault_arm(WR_FAULT_ALLOC, n, true);
        keep(c, 1);
        keep(c, 2);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        int got = ask(c, 1, a);
        assert_true(got == 0 || got == 1);
        wr_response_cache_free(c);
    }
}

typedef struct {
    wr_response_cache *c;
    atomic_int found;
} crowd;

static void *works(void *arg)
{
    crowd *w = arg;
    wr_arena *a = wr_arena_new(0);
    for (int i = 0; i < 5000; i++) {
        keep(w->c, i % 700);
        atomic_fetch_add(&w->found, ask(w->c, (i * 7) % 700, a));
        wr_arena_clear(a);
    }
    wr_arena_free(a);
    return NULL;
}

static void many_may_use_it(void **state)
{
    (void)state;
    crowd w = {0};
    pthread_t t[4];
    assert_int_equal(wr_response_cache_new(&w.c, 64 << 10, NULL), 0);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, works, &w), 0);
    for (size_t i = 0; i < 4; i++) pthread_join(t[i], NULL);
    assert_true(atomic_load(&w.found) > 0);
    wr_response_cache_free(w.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_tell_questions_apart),
        cmocka_unit_test(memory_is_bounded_and_what_is_asked_for_stays),
        cmocka_unit_test(without_memory_nothing_is_kept_and_nothing_breaks),
        cmocka_unit_test(many_may_use_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
