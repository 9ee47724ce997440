/* SPDX-License-Identifier: Apache-2.0 */
/* layout_test.c - tensors as columns, when there are too many. Through the log and into datasets:
 * stage/deploy/keep_test.c. */
#include "core/trips_testing.h"
#include "stage/predlog/layout.h"

/* A tensor of more values than there may be columns is a list; more columns than the lake takes are not kept, so that
 * nothing stops. */
static void test_wide_tensors(void **state)
{
    trips *w = *state;
    static float x[6000];
    wr_layout l;
    wr_tensor in = {
        .name = WR_STR("x"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {2, 3000}, .count = 6000, .data = x};
    wr_tensor out = {
        .name = WR_STR("X"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {2, 512}, .count = 1024, .data = x};
    for (int i = 0; i < 6000; i++) x[i] = (float)i / 8;
    OK(wr_layout_make(&l, w->a, &in, 1, &out, 1, true, NULL, 0, NULL, 0, err));
    assert_int_equal(l.n, 513);
    assert_int_equal(wr_layout_count(&in, 1, &out, 1, true, 0), 513);
    assert_true(l.columns[0].list && l.columns[0].type == WR_TEXT);
    assert_string_equal(l.columns[512].name, "X_511");
    wr_frame *f = wr_frame_new();
    assert_int_equal(wr_frame_resize(f, 1), 0);
    OK(wr_layout_put(wr_frame_add(f, "x", WR_TEXT), 0, &l.columns[0], &in, 1, true, err));
    wr_str list = wr_col_text(&f->cols[0], 0);
    assert_true(wr_str_starts(list, "[375,375.125,") && wr_str_ends(list, ",749.875]"));
    wr_frame_free(f);
    const char **names = wr_arena_calloc(w->a, 3000, sizeof *names);
    for (int i = 0; i < 3000; i++) names[i] = wr_arena_printf(w->a, "n%d", i);
    OK(wr_layout_make(&l, w->a, &in, 1, &out, 1, true, names, 3000, NULL, 0, err));
    assert_int_equal(l.n, 3512);
    assert_string_equal(l.columns[2999].name, "n2999");
    wr_tensor many[25];
    wr_err why = {0};
    for (int i = 0; i < 25; i++) many[i] = out;
    assert_int_equal(wr_layout_count(many, 25, NULL, 0, true, 0), 25 * 512);
    assert_int_equal(wr_layout_make(&l, w->a, many, 25, NULL, 0, true, NULL, 0, NULL, 0, &why), WEIR_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wide_tensors)};
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
