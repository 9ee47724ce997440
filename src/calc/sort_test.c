/* SPDX-License-Identifier: Apache-2.0 */
/* sort_test.c - radix sort against qsort, the key maps at their edges. */
#include "calc/sort.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"

static void keys_keep_the_order(void **state)
{
    (void)state;
    const double x[] = {-INFINITY, -DBL_MAX, -1.5, -DBL_MIN, -4.9e-324, 0,  4.9e-324,
                        DBL_MIN,   1,        1.5,  DBL_MAX,  INFINITY,  NAN};
    size_t n = sizeof x / sizeof *x;
    for (size_t i = 0; i + 1 < n; i++) assert_true(wr_key_f64(x[i]) < wr_key_f64(x[i + 1]));
    for (size_t i = 0; i + 1 < n; i++) assert_true(wr_f64_of_key(wr_key_f64(x[i])) == x[i]);
    assert_true(wr_key_f64(-0.0) == wr_key_f64(0.0));
    assert_true(wr_key_f64(-NAN) == wr_key_f64(NAN));
    assert_true(wr_key_i64(INT64_MIN) < wr_key_i64(-1) && wr_key_i64(-1) < wr_key_i64(0));
    assert_true(wr_i64_of_key(wr_key_i64(INT64_MIN)) == INT64_MIN && wr_i64_of_key(wr_key_i64(7)) == 7);
}

static int by_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void fill(uint64_t *a, size_t n, int kind, wr_rng *r)
{
    for (size_t i = 0; i < n; i++) {
        switch (kind) {
        case 0: a[i] = wr_rng_u64(r); break;
        case 1: a[i] = wr_rng_below(r, 5) << 40; break;
        case 2: a[i] = i; break;
        case 3: a[i] = n - i; break;
        default: a[i] = 42; break;
        }
    }
}

static void equals_qsort(void **state)
{
    (void)state;
    enum { MAX = 20000 };
    const size_t sizes[] = {0, 1, 2, 19, 21, 40, 41, 300, 640, 641, 5000, MAX};
    uint64_t *a = wr_alloc(MAX * 8), *b = wr_alloc(MAX * 8), *s = wr_alloc(MAX * 8), *k = wr_alloc(MAX * 8);
    uint32_t *w = wr_alloc(MAX * 4), *ws = wr_alloc(MAX * 4);
    wr_rng r;
    wr_rng_init(&r, 7);
    for (size_t t = 0; t < sizeof sizes / sizeof *sizes; t++) {
        for (int kind = 0; kind < 5; kind++) {
            size_t n = sizes[t];
            fill(a, n, kind, &r);
            for (size_t i = 0; i < n; i++) b[i] = k[i] = a[i], w[i] = (uint32_t)i;
            if (n) qsort(b, n, sizeof *b, by_u64);
            wr_sort_u64_u32(k, w, s, ws, n);
            for (size_t i = 0; i < n; i++) assert_true(k[i] == b[i] && a[w[i]] == k[i]);
            for (size_t i = 1; i < n; i++) assert_true(k[i - 1] < k[i] || w[i - 1] < w[i]); /* stable */
            wr_sort_u64(a, s, n);
            for (size_t i = 0; i < n; i++) assert_true(a[i] == b[i]);
        }
    }
    wr_free(a), wr_free(b), wr_free(s), wr_free(k), wr_free(w), wr_free(ws);
}

static void doubles(void **state)
{
    (void)state;
    enum { N = 3000 };
    double *x = wr_alloc(N * 8), *s = wr_alloc(N * 8), sum = 0, after = 0;
    wr_rng r;
    wr_rng_init(&r, 3);
    for (size_t i = 0; i < N; i++) {
        x[i] = i % 50 == 0 ? -0.0 : floor(wr_rng_normal(&r) * 1000) / 8;
        sum += x[i];
    }
    sum -= x[17] + x[18];
    x[17] = INFINITY, x[18] = -INFINITY;
    wr_sort_f64(x, s, N);
    for (size_t i = 1; i < N; i++) assert_true(x[i - 1] <= x[i]);
    assert_true(x[0] == -INFINITY && x[N - 1] == INFINITY);
    for (size_t i = 1; i + 1 < N; i++) after += x[i];
    assert_true(sum == after); /* eighths add up exactly */
    wr_free(x), wr_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_keep_the_order),
        cmocka_unit_test(equals_qsort),
        cmocka_unit_test(doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
