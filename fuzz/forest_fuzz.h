/* SPDX-License-Identifier: Apache-2.0 */
/* forest_fuzz.h - what is true of every model of trees that was accepted: all kernels answer the same bits, and contributions do not crash. */
#pragma once
#include <stdlib.h>
#include <string.h>

#include "calc/forest_internal.h"
#include "predict/forest_predictor.h"

enum { FUZZ_ROWS = 70, FUZZ_CELLS = 70 * 300, FUZZ_NUMBERS = 1 << 16, FUZZ_COLUMN = 9 };

/* A model that names categories takes columns: every value is a code, missing or refused. */
static inline void fuzz_columns(const wr_predictor *p)
{
    static const char *const texts[] = {"", "a", "red", "gr\xc3\xbcn", "k", "\xff", NULL};
    static const double numbers[] = {0, 1, 10, -4, 0.5, __builtin_nan(""), __builtin_inf(), 1e300};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_tensor out = {.type = p->out->type}, *in = wr_arena_calloc(a, p->nin, sizeof *in);
    if (!in) abort();
    for (size_t k = 0; k < p->nin; k++) {
        wr_tensor *t = &in[k];
        *t = (wr_tensor){.type = p->in[k].type, .ndims = 1, .shape = {FUZZ_COLUMN}, .count = FUZZ_COLUMN};
        if (wr_tensor_alloc(t, a, NULL) < 0) abort();
        for (size_t i = 0; i < FUZZ_COLUMN; i++) {
            const char *s = texts[(i + k) % (sizeof texts / sizeof *texts)];
            double x = numbers[(i + k) % (sizeof numbers / sizeof *numbers)];
            if (t->type == WR_TENSOR_BYTES) ((wr_str *)t->data)[i] = (wr_str){s, s ? strlen(s) : 0};
            else if (t->type == WR_TENSOR_INT64) ((int64_t *)t->data)[i] = (int64_t)i - 4;
            else wr_tensor_set_f64(t, i, x);
        }
    }
    wr_err err = {0};
    int rc = p->ops->run(p, &out, NULL, in, a, &err);
    if (rc < 0 ? err.code != rc || !err.msg[0] : out.shape[0] != FUZZ_COLUMN) abort();
}

static inline void fuzz_answers(const wr_predictor *p)
{
    static const float values[] = {0,    -0.0f, -1, 3, 29, 1e9f, __builtin_nanf(""), __builtin_inff(), -__builtin_inff(), 254, 255, 0.5f, 1e-36f,
                                   -0.5f, 1,    2,  7, 16777216.f};
    const wr_forest *f = wr_forest_predictor_forest(p);
    size_t nf = wr_forest_nfeatures(f), nm = wr_forest_nmargins(f);
    if (nf * FUZZ_ROWS > FUZZ_CELLS || nm * (nf + 1) * FUZZ_ROWS > FUZZ_NUMBERS || wr_forest_memory(f) > 1 << 20) return;
    if (p->in->ndims == 1) fuzz_columns(p);
    float *rows = malloc(FUZZ_ROWS * nf * sizeof *rows);
    double *all = malloc(FUZZ_ROWS * nm * sizeof *all), *one = malloc(nm * sizeof *one), *phi = malloc(FUZZ_ROWS * nm * (nf + 1) * sizeof *phi);
    if (!rows || !all || !one || !phi) abort();
    for (size_t k = 0; k < FUZZ_ROWS * nf; k++) rows[k] = values[(k * 7 + k / 5) % (sizeof values / sizeof *values)];
    if (wr_forest_predict(f, rows, FUZZ_ROWS, true, all, NULL, NULL) < 0) abort();
    for (size_t i = 0; i < FUZZ_ROWS; i++) {
        for (int k = WR_FOREST_KERNEL_PLAIN; k <= WR_FOREST_KERNEL_LANES; k++) {
            wr_forest_force = (wr_forest_kernel)k;
            if (wr_forest_predict(f, rows + i * nf, 1, true, one, NULL, NULL) < 0) abort();
            for (size_t o = 0; o < nm; o++) { /* NaN of inf - inf may have any sign */
                if (memcmp(&one[o], &all[i * nm + o], sizeof *one) != 0 && (one[o] == one[o] || all[i * nm + o] == all[i * nm + o])) abort();
            }
        }
        wr_forest_force = WR_FOREST_KERNEL_AUTO;
    }
    (void)wr_forest_predict(f, rows, FUZZ_ROWS, false, all, NULL, NULL);
    (void)wr_forest_shap(f, rows, 3, phi, NULL, NULL);
    free(rows);
    free(all);
    free(one);
    free(phi);
}
