/* SPDX-License-Identifier: Apache-2.0 */
/* scores.c - one row of an answer as a score and a class. */
#include "predict/scores.h"

#include <math.h>

#include "base/hash.h"

static bool is_float(const wr_tensor *t) { return t->type == WR_TENSOR_FP32 || t->type == WR_TENSOR_FP64; }

/* Values a row; 0 = its rows cannot be told. */
static size_t width(const wr_tensor *t, size_t rows)
{
    return rows && t->count && t->count % rows == 0 ? t->count / rows : 0;
}

static const wr_tensor *score_output(const wr_tensor *out, size_t nout, size_t rows)
{
    static const char *const names[] = {"probability", "probabilities", NULL};
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < nout; i++)
            if (is_float(&out[i]) && width(&out[i], rows) && (!names[k] || wr_str_is(out[i].name, names[k])))
                return &out[i];
    return NULL;
}

static const wr_tensor *class_output(const wr_tensor *out, size_t nout, size_t rows)
{
    for (size_t i = 0; i < nout; i++)
        if (!is_float(&out[i]) && out[i].type != WR_TENSOR_FP16 && out[i].type != WR_TENSOR_NONE &&
            width(&out[i], rows))
            return &out[i];
    return NULL;
}

static uint64_t class_of(const wr_tensor *t, size_t at)
{
    uint64_t v = 0;
    if (t->type == WR_TENSOR_BYTES) {
        wr_str s = ((const wr_str *)t->data)[at];
        return s.p ? wr_hash64(s.p, s.n, 1) : 0;
    }
    size_t n = wr_tensor_type_size(t->type);
    if (n > sizeof v) return 0;
    memcpy(&v, (const char *)t->data + at * n, n);
    return v;
}

static uint64_t greatest(const wr_tensor *t, size_t from, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (wr_tensor_f64(t, from + i) > wr_tensor_f64(t, from + best)) best = i;
    return best;
}

wr_row_verdict wr_row_verdict_of(const wr_tensor *out, size_t nout, size_t rows, size_t row, double threshold)
{
    wr_row_verdict v = {NAN, UINT64_MAX};
    const wr_tensor *score = score_output(out, nout, rows), *klass = class_output(out, nout, rows);
    size_t n = score ? width(score, rows) : 0;
    if (score) v.score = wr_tensor_f64(score, row * n + n - 1);
    if (klass) v.klass = class_of(klass, row * width(klass, rows));
    else if (n > 1) v.klass = greatest(score, row * n, n);
    else if (n == 1) v.klass = v.score >= threshold;
    return v;
}
