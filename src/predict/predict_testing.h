/* SPDX-License-Identifier: Apache-2.0 */
/* predict_testing.h - a model for tests of this room: a file "add N" is opened as inputs A and B, FP32 [-1,2], outputs SUM = A + B + N of that
 * shape and NAME, BYTES [-1,1], which says N. A file of anything else does not open. Counts how many there are. */
#pragma once
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "io/file.h"
#include "predict/predictor.h"

typedef struct {
    wr_predictor p;
    double n;
    char text[32];
} toy;

static atomic_int toys;
static atomic_int toy_runs;

static int toy_run(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    const toy *t = (const toy *)p;
    size_t n = in[0].count;
    atomic_fetch_add(&toy_runs, 1);
    if (t->n < 0) return wr_err_set(err, WEIR_EINTERNAL, "the toy is broken");
    for (size_t k = 0; k < 2; k++) {
        if (!want[k]) continue;
        out[k].ndims = 2;
        out[k].shape[0] = in[0].shape[0];
        out[k].shape[1] = k ? 1 : 2;
        out[k].count = k ? (size_t)in[0].shape[0] : n;
        WR_TRY(wr_tensor_alloc(&out[k], a, err));
    }
    for (size_t i = 0; want[0] && i < n; i++)
        ((float *)out[0].data)[i] = ((float *)in[0].data)[i] + ((float *)in[1].data)[i] + (float)t->n;
    for (size_t i = 0; want[1] && i < out[1].count; i++) ((wr_str *)out[1].data)[i] = wr_str_of(t->text);
    return 0;
}

static void toy_free(wr_predictor *p)
{
    atomic_fetch_sub(&toys, 1);
    ((toy *)p)->n = -1e9; /* who still asks it gets another answer */
    free(p);
}

static wr_predictor *toy_new(double n)
{
    static const wr_predictor_ops ops = {.run = toy_run, .free = toy_free};
    static const wr_tensor_spec in[] = {{.name = "A", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, 2}, .lenient = true},
                                        {.name = "B", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, 2}}};
    static const wr_tensor_spec out[] = {{.name = "SUM", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, 2}},
                                         {.name = "NAME", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, 1}}};
    toy *t = calloc(1, sizeof *t);
    t->p = (wr_predictor){.ops = &ops, .platform = "toy", .in = in, .nin = 2, .out = out, .nout = 2, .rows = true, .memory = sizeof *t};
    t->n = n;
    snprintf(t->text, sizeof t->text, "%g", n);
    atomic_fetch_add(&toys, 1);
    return &t->p;
}

static inline int toy_open(wr_predictor **out, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    char file[4096];
    double n;
    snprintf(file, sizeof file, "%s/model.toy", path);
    if (wr_file_exists(path) && !wr_file_exists(file) && !wr_str_ends(wr_str_of(path), ".toy"))
        return wr_err_set(err, WEIR_ENOTFOUND, "'%s' has no model file", path);
    WR_TRY(wr_file_read(&b, wr_file_exists(file) ? file : path, 1000, err));
    wr_str s = wr_str_trim(wr_buf_view(&b));
    if (!wr_str_starts(s, "add ") || wr_num_f64(&n, wr_str_sub(s, 4, s.n), NULL) < 0)
        return wr_err_set(err, WEIR_ECORRUPT, "'%s' is no toy", path);
    *out = toy_new(n);
    return 0;
}
