/* SPDX-License-Identifier: Apache-2.0 */
/* series_test.c - every chunk comes back bit by bit, small where it should be; damaged ones are refused; picking is
 * decoding and filtering. */
#include "codec/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/rng.h"

static wr_series_point in[WR_SERIES_MAX], back[WR_SERIES_MAX];
static wr_buf chunk;

static int setup(void **state)
{
    (void)state;
    wr_buf_init(&chunk, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wr_buf_fini(&chunk);
    return 0;
}

static bool same(const wr_series_point *a, const wr_series_point *b)
{
    return a->step == b->step && a->time_ms == b->time_ms &&
           wr_series_value_key(a->value) == wr_series_value_key(b->value);
}

/* Bytes of the chunk of the first n points of `in`, after reading it back. */
static size_t round_trip(size_t n)
{
    wr_series_head h, read;
    size_t got;
    wr_err err = {0};
    wr_buf_clear(&chunk);
    wr_series_encode(&chunk, &h, in, n);
    assert_false(chunk.failed);
    if (wr_series_decode(back, &got, wr_buf_view(&chunk), &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    assert_int_equal(got, n);
    for (size_t i = 0; i < n; i++) {
        if (!same(&in[i], &back[i])) fail_msg("point %zu of %zu: %a became %a", i, n, in[i].value, back[i].value);
    }
    assert_int_equal(wr_series_read_head(&read, wr_buf_view(&chunk), NULL), 0);
    assert_int_equal(read.n, n);
    assert_true(read.min_step == h.min_step && read.max_step == h.max_step && read.stride == h.stride);
    assert_true(read.min_ms == h.min_ms && read.max_ms == h.max_ms);
    assert_true(wr_series_value_key(read.min) == wr_series_value_key(h.min));
    assert_true(wr_series_value_key(read.max) == wr_series_value_key(h.max));
    return chunk.n;
}

/* A number of any size: most are small. */
static int64_t any_int(wr_rng *r)
{
    uint64_t u = wr_rng_u64(r) >> wr_rng_below(r, 64);
    return (int64_t)(wr_rng_below(r, 2) ? u : 0 - u);
}

static double any_value(wr_rng *r)
{
    static const double odd[] = {0,
                                 -0.0,
                                 NAN,
                                 INFINITY,
                                 -INFINITY,
                                 0x1p-1074,
                                 -0x1p-1074,
                                 0x1p-1022,
                                 0x1.fffffffffffffp1023,
                                 -0x1.fffffffffffffp1023,
                                 1,
                                 -1,
                                 0.1,
                                 1e17,
                                 1e-17};
    switch (wr_rng_below(r, 6)) {
    case 0:
        return odd[wr_rng_below(r, sizeof odd / sizeof *odd)];
    case 1:
        return (double)any_int(r);
    case 2:
        return (double)(float)wr_rng_f64(r);
    case 3:
        return (double)(int64_t)wr_rng_below(r, 100000) / 1e4;
    case 4: {
        uint64_t u = wr_rng_u64(r);
        double v;
        memcpy(&v, &u, sizeof v);
        return v;
    }
    default:
        return wr_rng_f64(r);
    }
}

static void random_chunks(void **state)
{
    (void)state;
    wr_rng r;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        wr_rng_init(&r, seed);
        size_t n = 1 + wr_rng_below(&r, wr_rng_below(&r, 10) ? 200 : WR_SERIES_MAX);
        uint64_t step_kind = wr_rng_below(&r, 4), time_kind = wr_rng_below(&r, 3), value_kind = wr_rng_below(&r, 4);
        double v = any_value(&r);
        for (size_t i = 0; i < n; i++) {
            in[i].step = step_kind == 0   ? any_int(&r)
                         : step_kind == 1 ? (int64_t)i * 10 - 5
                         : step_kind == 2 ? 3
                                          : (int64_t)wr_rng_below(&r, 100);
            in[i].time_ms = time_kind == 0 ? any_int(&r) : (int64_t)(1700000000000 + i * 250 + wr_rng_below(&r, 9));
            if (value_kind < 2 || wr_rng_below(&r, 20) == 0) v = any_value(&r);
            in[i].value = v;
        }
        round_trip(n);
    }
}

/* The head says what is there. */
static void heads(void **state)
{
    (void)state;
    wr_series_head h;
    const wr_series_point p[] = {{10, 7, 2}, {20, 5, NAN}, {30, 6, -1}};
    wr_series_encode(&chunk, &h, p, 3);
    assert_true(h.n == 3 && h.min_step == 10 && h.max_step == 30 && h.stride == 10 && h.min_ms == 5 && h.max_ms == 7);
    assert_true(h.min == -1 && h.max == 2);
    wr_series_encode(&chunk, &h, p + 1, 1);
    assert_true(h.n == 1 && h.stride == 0 && isnan(h.min) && isnan(h.max));
    const wr_series_point same_step[] = {{4, 1, 1}, {4, 2, 1}, {4, 3, 1}};
    wr_series_encode(&chunk, &h, same_step, 3);
    assert_true(h.stride == 0);
    const wr_series_point down[] = {{4, 1, 1}, {3, 2, 1}, {2, 3, 1}};
    wr_series_encode(&chunk, &h, down, 3);
    assert_true(h.stride == -1 && h.min_step == 2 && h.max_step == 4);
    const wr_series_point wide[] = {{INT64_MIN, INT64_MAX, 1}, {INT64_MAX, INT64_MIN, 1}};
    wr_series_encode(&chunk, &h, wide, 2);
    assert_true(h.stride == -1);
}

static void edges(void **state)
{
    (void)state;
    const int64_t ends[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 1};
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 6; k++)
            for (size_t l = 0; l < 6; l++) {
                in[0] = (wr_series_point){ends[i], ends[k], 1};
                in[1] = (wr_series_point){ends[k], ends[l], 2};
                in[2] = (wr_series_point){ends[l], ends[i], -0.0};
                for (size_t n = 1; n <= 3; n++) round_trip(n);
            }
}

/* A loss curve of float32, one of doubles with noise in every bit, accuracies of four digits, a constant. */
static void sizes(void **state)
{
    (void)state;
    enum { N = 1024 };
    wr_rng r;
    wr_rng_init(&r, 7);
    for (int kind = 0; kind < 5; kind++) {
        int64_t t = 1700000000000;
        for (size_t i = 0; i < N; i++) {
            double loss = 2.0 / (1 + (double)i / 100) + 0.05 * wr_rng_normal(&r);
            t += 100 + (int64_t)wr_rng_below(&r, 12);
            in[i].step = kind == 4 ? (int64_t)(i * i) : (int64_t)i;
            in[i].time_ms = t;
            in[i].value = kind == 0   ? (double)(float)loss
                          : kind == 1 ? loss
                          : kind == 2 ? round(loss * 1e4) / 1e4
                                      : 0.001;
        }
        double each = (double)round_trip(N) / N;
        const double most[] = {4.6, 7.9, 2.6, 0.9, 2.1};
        print_message("          %.2f bytes a point\n", each);
        if (each > most[kind]) fail_msg("kind %d: %.2f bytes a point", kind, each);
    }
    in[0] = (wr_series_point){0, 1700000000000, 0.25};
    assert_true(round_trip(1) <= 20);
}

static void picking_is_filtering(void **state)
{
    (void)state;
    wr_rng r;
    static wr_series_point picked[WR_SERIES_MAX];
    for (uint64_t seed = 0; seed < 2000; seed++) {
        wr_rng_init(&r, seed);
        size_t n = 1 + wr_rng_below(&r, 500), nsteps = 0, got, expect = 0;
        int64_t steps[300], at = -50, stride = (int64_t)wr_rng_below(&r, 4);
        bool even = wr_rng_below(&r, 2);
        for (size_t i = 0; i < n; i++) {
            in[i].step = even ? (int64_t)i * stride - 20 : (int64_t)wr_rng_below(&r, 300) - 20;
            in[i].time_ms = (int64_t)i;
            in[i].value = wr_rng_f64(&r);
        }
        for (uint64_t want = wr_rng_below(&r, 300); nsteps < want; nsteps++)
            steps[nsteps] = at += 1 + (int64_t)wr_rng_below(&r, 1 + seed % 40);
        round_trip(n);
        assert_int_equal(wr_series_pick(picked, &got, wr_buf_view(&chunk), steps, nsteps, NULL), 0);
        for (size_t i = 0; i < n; i++) {
            bool in_steps = false;
            for (size_t k = 0; k < nsteps; k++) in_steps |= steps[k] == in[i].step;
            if (!in_steps) continue;
            assert_true(expect < got);
            assert_true(same(&picked[expect++], &in[i]));
        }
        assert_int_equal(expect, got);
    }
}

/* Every single bit is covered by the checksum, every length is checked. */
static void damaged(void **state)
{
    (void)state;
    wr_series_head h;
    size_t got;
    wr_err err = {0};
    for (size_t i = 0; i < 100; i++) in[i] = (wr_series_point){(int64_t)(i * i), (int64_t)i * 7, sqrt((double)i)};
    round_trip(100);
    for (size_t cut = 0; cut < chunk.n; cut++) {
        char *exact = malloc(cut ? cut : 1); /* so that a sanitizer sees what is read behind it */
        assert_non_null(exact);
        memcpy(exact, chunk.p, cut);
        assert_int_equal(wr_series_decode(back, &got, (wr_str){exact, cut}, &err), WEIR_ECORRUPT);
        assert_int_equal(wr_series_read_head(&h, (wr_str){exact, cut}, &err), WEIR_ECORRUPT);
        assert_int_equal(wr_series_pick(back, &got, (wr_str){exact, cut}, (int64_t[]){1}, 1, &err), WEIR_ECORRUPT);
        free(exact);
    }
    for (size_t at = 0; at < chunk.n; at++) {
        for (int bit = 0; bit < 8; bit++) {
            chunk.p[at] ^= (char)(1 << bit);
            assert_int_equal(wr_series_decode(back, &got, wr_buf_view(&chunk), &err), WEIR_ECORRUPT);
            chunk.p[at] ^= (char)(1 << bit);
        }
    }
    assert_true(err.detail[0] != 0);
}

static void no_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1000; i++) in[i] = (wr_series_point){(int64_t)i, (int64_t)i, sin((double)i)};
    for (int nth = 1;; nth++) {
        wr_buf b;
        wr_buf_init(&b, 0);
        wr_fault_arm(WR_FAULT_ALLOC, nth, true);
        wr_series_encode(&b, NULL, in, 1000);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_true(b.failed == fired);
        wr_buf_fini(&b);
        if (!fired) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(heads, setup, teardown),
        cmocka_unit_test_setup_teardown(edges, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(picking_is_filtering, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
    };
    return cmocka_run_group_tests_name("codec/series", tests, NULL, NULL);
}
