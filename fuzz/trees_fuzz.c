/* SPDX-License-Identifier: Apache-2.0 */
/* trees_fuzz.c - model files of hostile origin: load never trusts them, and what loads predicts without leaving its
 * memory and the same by every path.
 *
 * Checksums stop a fuzzer, so the input is also tried with the right one put in place.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "calc/trees.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 70, FEATURES = 600 };

static void predict(const wr_trees *t)
{
    static const float values[] = {
        0, -0.0f, -1, 3, 29, 1e9f, __builtin_nanf(""), __builtin_inff(), -__builtin_inff(), 254, 255, 0.5f};
    size_t nf = wr_trees_nfeatures(t);
    if (nf > FEATURES) return;
    float *rows = malloc(ROWS * nf * sizeof *rows);
    double all[ROWS], one, gain[FEATURES];
    if (!rows) return;
    for (size_t k = 0; k < ROWS * nf; k++) rows[k] = values[(k * 7 + k / 5) % (sizeof values / sizeof *values)];
    wr_trees_predict(t, rows, ROWS, all, NULL);
    for (size_t i = 0; i < ROWS; i++) {
        wr_trees_predict(t, rows + i * nf, 1, &one, NULL);
        if (memcmp(&one, &all[i], sizeof one) != 0) abort();
    }
    wr_trees_gain(t, gain);
    free(rows);
}

static void load(const char *p, size_t n)
{
    wr_trees *t = NULL;
    wr_err err;
    if (wr_trees_load(&t, (wr_str){p, n}, &err) < 0) return;
    predict(t);
    wr_buf b; /* what was accepted is written as it was read */
    wr_buf_init(&b, 0);
    if (wr_trees_save(t, &b, &err) == 0 && (b.n != n || memcmp(b.p, p, n) != 0)) abort();
    wr_buf_fini(&b);
    wr_trees_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    load((const char *)data, size);
    if (size < 8) return 0;
    char *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data, size);
    uint64_t sum = wr_hash64(copy, size - 8, 0);
    for (int k = 0; k < 8; k++) copy[size - 8 + (size_t)k] = (char)(sum >> (8 * k));
    load(copy, size);
    free(copy);
    return 0;
}
