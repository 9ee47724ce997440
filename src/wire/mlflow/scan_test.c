/* SPDX-License-Identifier: Apache-2.0 */
/* scan_test.c - what the scanner takes it reads as the tree would, bit for bit; what it should not take it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "codec/json.h"
#include "wire/mlflow/scan.h"

static bool scan(wr_mlflow_scan *out, wr_arena *a, bool batch, const char *body)
{
    size_t n = strlen(body);
    char *copy = wr_arena_dup(a, body, n); /* exactly as long: reading past the end shows under the sanitizer */
    return batch ? wr_mlflow_scan_batch(out, a, (wr_str){copy, n}) : wr_mlflow_scan_metric(out, a, (wr_str){copy, n});
}

static void test_metric(void **state)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_mlflow_scan s;
    (void)state;
    assert_true(scan(&s, a, false,
                     " { \"run_uuid\": \"r\", \"run_id\" : \"r1\" ,\"key\":\"loss\", \"value\": -0.25e2, "
                     "\"timestamp\": 17, \"step\": -3 } \n"));
    assert_int_equal(s.n, 1);
    assert_true(wr_str_is(s.run_id, "r1") && wr_str_is(s.points->key, "loss"));
    assert_true(s.points->value == -25 && s.points->time_ms == 17 && s.points->step == -3);
    assert_true(scan(&s, a, false, "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":0}"));
    assert_int_equal(s.points->step, 0);
}

static void test_batch(void **state)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_mlflow_scan s;
    (void)state;
    assert_true(scan(&s, a, true,
                     "{\"run_id\":\"r\",\"metrics\":[{\"key\":\"a\",\"value\":1.5,\"timestamp\":1,\"step\":2},"
                     "{\"step\":3,\"timestamp\":2,\"value\":0,\"key\":\"b/c\"}],\"params\":[],\"tags\":[ ]}"));
    assert_int_equal(s.n, 2);
    assert_true(wr_str_is(s.points[1].key, "b/c") && s.points[1].step == 3 && s.points[0].value == 1.5);
    assert_true(scan(&s, a, true, "{\"metrics\":[],\"run_id\":\"r\"}"));
    assert_int_equal(s.n, 0);
}

static void test_not_taken(void **state)
{
    static const char *const metric[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":0",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":0} x",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1}",
        "{\"run_id\":\"\",\"key\":\"k\",\"value\":1,\"timestamp\":0}",
        "{\"run_id\":\"r\",\"key\":\"\",\"value\":1,\"timestamp\":0}",
        "{\"run_id\":\"r\",\"key\":\"a//b\",\"value\":1,\"timestamp\":0}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":\"1\",\"timestamp\":0}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":-1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":1.5}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":01,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1.,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":.5,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":+1,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":NaN,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1e,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1e5x,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1-2,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\\u0041\",\"value\":1,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"key\":\"l\",\"value\":1,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"run_id\":\"s\",\"key\":\"k\",\"value\":1,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":1,\"model_id\":\"m\"}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":1,}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":9223372036854775808}",
        "{\"run_id\":\"r\",\"key\":\"\xc3\xa9\",\"value\":1,\"timestamp\":1}",
        "{\"run_id\":\"r\",\"key\":\"k\",\"value\":1,\"timestamp\":1"};
    static const char *const batch[] = {"{\"run_id\":\"r\"}",
                                        "{\"metrics\":[]}",
                                        "{\"run_id\":\"-r\",\"metrics\":[]}",
                                        "{\"run_id\":\"r\",\"metrics\":[],\"params\":[{}]}",
                                        "{\"run_id\":\"r\",\"metrics\":[{}]}",
                                        "{\"run_id\":\"r\",\"metrics\":[],\"metrics\":[]}",
                                        "{\"run_id\":\"r\",\"metrics\":{}}",
                                        "{\"run_id\":\"r\",\"metrics\":[{\"key\":\"a\",\"value\":1,\"timestamp\":1},]}",
                                        "{\"run_id\":\"r\",\"metrics\":[{\"key\":\"a\",\"value\":1,\"timestamp\":1}"};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_mlflow_scan s;
    (void)state;
    for (size_t i = 0; i < sizeof metric / sizeof *metric; i++)
        if (scan(&s, a, false, metric[i])) fail_msg("taken: %s", metric[i]);
    for (size_t i = 0; i < sizeof batch / sizeof *batch; i++)
        if (scan(&s, a, true, batch[i])) fail_msg("taken: %s", batch[i]);
}

/* The same double as yyjson's, which is the nearest; texts of many shapes. */
static void test_numbers(void **state)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_rng r;
    char text[64], body[200];
    (void)state;
    wr_rng_init(&r, 7);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = wr_rng_u64(&r);
        double d;
        memcpy(&d, &bits, sizeof d);
        if (!isfinite(d)) continue;
        switch (i % 5) {
        case 0:
            snprintf(text, sizeof text, "%.17g", d);
            break;
        case 1:
            snprintf(text, sizeof text, "%.*f", (int)(bits % 20), (double)(int64_t)bits / 1e12);
            break;
        case 2:
            snprintf(text, sizeof text, "%lld", (long long)(bits >> 3));
            break;
        case 3:
            snprintf(text, sizeof text, "0.%016llu", (unsigned long long)(bits % 10000000000000000ull));
            break;
        default:
            snprintf(text, sizeof text, "%.6g", d);
            break;
        }
        int n = snprintf(body, sizeof body, "{\"run_id\":\"r\",\"key\":\"k\",\"value\":%s,\"timestamp\":1}", text);
        wr_mlflow_scan s;
        WR_AUTOJSON wr_json j = {0};
        assert_int_equal(wr_json_parse(&j, (wr_str){body, (size_t)n}, "body", NULL), 0);
        double want = yyjson_get_num(yyjson_obj_get(j.root, "value"));
        if (!scan(&s, a, false, body)) fail_msg("not taken: %s", text);
        if (memcmp(&s.points->value, &want, sizeof want) != 0)
            fail_msg("%s: %.17g, not %.17g", text, s.points->value, want);
        if (i % 1000 == 0) wr_arena_clear(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_metric), cmocka_unit_test(test_batch),
                                       cmocka_unit_test(test_not_taken), cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
