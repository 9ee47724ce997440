/* SPDX-License-Identifier: Apache-2.0 */
/* compare_inside.h - pairs of answers and what they say; between compare.c and judge.c. Private to this folder. */
#pragma once
#include "predict/scores.h"
#include "stage/replay/compare.h"

typedef struct {
    wr_row_verdict *logged, *candidate;
    double *label;                  /* NaN = none, or a class by name */
    uint64_t *klass;                /* of the label, as wr_row_verdict has it; UINT64_MAX = none */
    size_t n;
    bool class_labels;              /* there may be classes by name */
} wr_compare_pairs;

int wr_compare_pairs_new(wr_compare_pairs *out, wr_arena *a, size_t n, wr_err *err); /* room for n; class_labels stays */
int wr_compare_pairs_judge(wr_compare_report *out, const wr_compare_pairs *p, uint64_t seed, wr_arena *a, wr_err *err);
/* Median and p99; sorts x. NaN without values. */
void wr_compare_quantiles(double *median, double *p99, double *x, size_t n);
