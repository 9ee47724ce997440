/* SPDX-License-Identifier: Apache-2.0 */
/* forest_fuzz.h - what is true of every model of trees that was accepted: all kernels answer the same bits, and contributions do not crash. */
#pragma once
#include <stdlib.h>
#include <string.h>

#include "calc/forest_internal.h"
#include "predict/forest_predictor.h"

enum { FUZZ_ROWS = 70, FUZZ_CELLS = 70 * 300, FUZZ_NUMBERS = 1 << 16 };

static inline void fuzz_answers(const wr_predictor *p)
{
    static const float values[] = {0,    -0.0f, -1, 3, 29, 1e9f, __builtin_nanf(""), __builtin_inff(), -__builtin_inff(), 254, 255, 0.5f, 1e-36f,
                                   -0.5f, 1,    2,  7, 16777216.f};
    const wr_forest *f = wr_forest_predictor_forest(p);
    size_t nf = wr_forest_nfeatures(f), nm = wr_forest_nmargins(f);
    if (nf * FUZZ_ROWS > FUZZ_CELLS || nm * (nf + 1) * FUZZ_ROWS > FUZZ_NUMBERS || wr_forest_memory(f) > 1 << 20) return;
    float *rows = malloc(FUZZ_ROWS * nf * sizeof *rows);
    double *all = malloc(FUZZ_ROWS * nm * sizeof *all), *one = malloc(nm * sizeof *one), *phi = malloc(FUZZ_ROWS * nm * (nf + 1) * sizeof *phi);
    if (!rows || !all || !one || !phi) abort();
    for (size_t k = 0; k < FUZZ_ROWS * nf; k++) rows[k] = values[(k * 7 + k / 5) % (sizeof values / sizeof *values)];
    if (wr_forest_predict(f, rows, FUZZ_ROWS, true, all, NULL, NULL) < 0) abort();
    for (size_t i = 0; i < FUZZ_ROWS; i++) {
        for (int k = WR_FOREST_KERNEL_PLAIN; k <= WR_FOREST_KERNEL_ROW; k++) {
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
