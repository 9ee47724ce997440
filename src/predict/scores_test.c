/* SPDX-License-Identifier: Apache-2.0 */
/* scores_test.c - what answers of different shapes say of a row. */
#include "predict/scores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>

static wr_tensor tensor(const char *name, wr_tensor_type type, size_t count, void *data)
{
    return (wr_tensor){
        .name = wr_str_of(name), .type = type, .ndims = 1, .shape = {(int64_t)count}, .count = count, .data = data};
}

static void test_outputs(void **state)
{
    double p[] = {0.2, 0.7}, pairs[] = {0.9, 0.1, 0.4, 0.6}, three[] = {0.1, 0.7, 0.2, 0.5, 0.2, 0.3};
    float raw[] = {1.5F, -2};
    int64_t label[] = {4, 5};
    wr_str word[] = {WR_STR("yes"), WR_STR("no")};
    (void)state;
    wr_tensor one[] = {tensor("probability", WR_TENSOR_FP64, 2, p)};
    wr_row_verdict v = wr_row_verdict_of(one, 1, 2, 1, 0.5);
    assert_true(v.score == 0.7 && v.klass == 1);
    assert_true(wr_row_verdict_of(one, 1, 2, 0, 0.5).klass == 0 && wr_row_verdict_of(one, 1, 2, 0, 0.1).klass == 1);
    wr_tensor two[] = {tensor("raw", WR_TENSOR_FP32, 2, raw), tensor("label", WR_TENSOR_INT64, 2, label),
                       tensor("probabilities", WR_TENSOR_FP64, 4, pairs)};
    v = wr_row_verdict_of(two, 3, 2, 1, 0.5);
    assert_true(v.score == 0.6 && v.klass == 5); /* probabilities go before other floats */
    v = wr_row_verdict_of(two, 1, 2, 1, 0.5);
    assert_true(v.score == -2 && v.klass == 0);
    wr_tensor classes[] = {tensor("p", WR_TENSOR_FP64, 6, three)};
    assert_true(wr_row_verdict_of(classes, 1, 2, 0, 0.5).klass == 1 &&
                wr_row_verdict_of(classes, 1, 2, 1, 0.5).klass == 0);
    wr_tensor words[] = {tensor("label", WR_TENSOR_BYTES, 2, word)};
    v = wr_row_verdict_of(words, 1, 2, 0, 0.5);
    assert_true(isnan(v.score) && v.klass != wr_row_verdict_of(words, 1, 2, 1, 0.5).klass);
    assert_true(v.klass == wr_row_verdict_of(words, 1, 2, 0, 0.9).klass);
}

/* What cannot be cut into rows says nothing. */
static void test_nothing(void **state)
{
    double p[] = {0.2, 0.7, 0.1};
    (void)state;
    wr_tensor odd[] = {tensor("p", WR_TENSOR_FP64, 3, p), tensor("h", WR_TENSOR_FP16, 2, p)};
    wr_row_verdict v = wr_row_verdict_of(odd, 2, 2, 0, 0.5);
    assert_true(isnan(v.score) && v.klass == UINT64_MAX);
    v = wr_row_verdict_of(NULL, 0, 2, 0, 0.5);
    assert_true(isnan(v.score) && v.klass == UINT64_MAX);
    v = wr_row_verdict_of(odd, 1, 0, 0, 0.5);
    assert_true(isnan(v.score));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_outputs), cmocka_unit_test(test_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
