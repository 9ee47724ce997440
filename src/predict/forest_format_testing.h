/* SPDX-License-Identifier: Apache-2.0 */
/* forest_format_testing.h - models and what their own library answered (tests/reference/forest_values.py), compared with ours. */
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/file.h"
#include "predict/forest_predictor.h"

#ifdef WEIR_SOURCE_DIR
#define FORESTS WEIR_SOURCE_DIR "/tests/reference/forests/"
#else
#define FORESTS "tests/reference/forests/"
#endif

typedef struct {
    size_t rows, features, margins, outputs, contributions;
    double *numbers; /* rows x (all of them) */
} expected;

static inline expected expected_of(const char *name)
{
    expected e;
    char path[512];
    (void)snprintf(path, sizeof path, FORESTS "%s.values", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu %zu %zu %zu", &e.rows, &e.features, &e.margins, &e.outputs, &e.contributions), 5);
    size_t n = e.rows * (e.features + e.margins + e.outputs + e.contributions);
    e.numbers = malloc(n * sizeof *e.numbers);
    for (size_t i = 0; i < n; i++) assert_int_equal(fscanf(f, "%la", &e.numbers[i]), 1);
    (void)fclose(f);
    return e;
}

static inline const double *expected_row(const expected *e, size_t i)
{
    return e->numbers + i * (e->features + e->margins + e->outputs + e->contributions);
}

static inline void file_read(wr_buf *out, const char *file)
{
    char path[512];
    wr_err err = {0};
    (void)snprintf(path, sizeof path, FORESTS "%s", file);
    assert_int_equal(wr_file_read(out, path, 1 << 26, &err), 0);
}

static inline bool close_to(double a, double b, double tolerance)
{
    return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= tolerance * (1 + fabs(b));
}

/* What differs: fails with its name. */
static inline void check_number(const char *name, const char *what, size_t row, size_t k, double ours, double theirs, double tolerance)
{
    if (close_to(ours, theirs, tolerance)) return;
    fail_msg("%s: %s %zu of row %zu: %.17g, not %.17g", name, what, k, row, ours, theirs);
}

/* Margins bit by bit, answers and contributions to their tolerance; all rows at once and one by one. */
static inline void check_model(const char *name, wr_predictor *p, double answers, double contributions)
{
    expected e = expected_of(name);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    float *rows = malloc(e.rows * e.features * sizeof *rows);
    double *margins = malloc((e.rows * e.margins + 1) * sizeof *margins);
    wr_err err = {0};
    assert_int_equal(p->in[0].shape[1], e.features);
    for (size_t i = 0; i < e.rows; i++) {
        for (size_t j = 0; j < e.features; j++) rows[i * e.features + j] = (float)expected_row(&e, i)[j];
    }
    for (size_t step = e.rows; step; step = step > 1 ? 1 : 0) {
        for (size_t from = 0; from < e.rows; from += step) {
            wr_tensor in = {.type = WR_TENSOR_FP32, .ndims = 2, .shape = {(int64_t)step, (int64_t)e.features}, .data = rows + from * e.features};
            wr_tensor out = {.type = p->out[0].type}, phi = {0};
            assert_int_equal(p->ops->run(p, &out, NULL, &in, a, &err), 0);
            assert_int_equal(out.count, step * e.outputs);
            assert_int_equal(out.ndims, p->out[0].ndims);
            assert_int_equal(wr_forest_predictor_margins(p, in.data, step, margins, &err), 0);
            if (e.contributions) {
                assert_non_null(p->ops->explain);
                assert_int_equal(p->ops->explain(p, &phi, &in, a, &err), 0);
                assert_int_equal(phi.count, step * e.contributions);
            }
            for (size_t i = 0; i < step; i++) {
                const double *want = expected_row(&e, from + i) + e.features;
                for (size_t k = 0; k < e.margins; k++) check_number(name, "margin", from + i, k, margins[i * e.margins + k], want[k], 0);
                want += e.margins;
                for (size_t k = 0; k < e.outputs; k++) {
                    size_t at = i * e.outputs + k;
                    double got = out.type == WR_TENSOR_FP64 ? ((double *)out.data)[at] : (double)((float *)out.data)[at];
                    check_number(name, "answer", from + i, k, got, want[k], answers);
                }
                want += e.outputs;
                for (size_t k = 0; k < e.contributions; k++) {
                    check_number(name, "contribution", from + i, k, ((double *)phi.data)[i * e.contributions + k], want[k], contributions);
                }
            }
        }
    }
    free(margins);
    free(rows);
    free(e.numbers);
}
