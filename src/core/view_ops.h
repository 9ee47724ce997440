/* SPDX-License-Identifier: Apache-2.0 */
/* view_ops.h - what the view_*.c files share: the operations of a feature view.
 *
 * An operation is a plain function over arrays of n rows; training calls it with all rows, serving with n = 1. It never
 * sees a missing row as such: the caller blanks those afterwards. Adding one: one function and one line in view_ops.c.
 */
#pragma once
#include "core/view.h"

typedef enum { WR_VIEW_NUMBER, WR_VIEW_TIME, WR_VIEW_TEXT, WR_VIEW_WINDOW } wr_view_input;

struct wr_view_op {
    const char *name, *summary;
    wr_view_input input;
    void (*number)(float *out, const double *x, size_t n);
    void (*time)(float *out, const int64_t *time_us, size_t n);
    void (*window)(float *out, const double *sum, const uint32_t *count, size_t n);
    bool every; /* aggregate: may go without `of` and then takes every event */
    bool flag;  /* aggregate: its value must be 0 or 1, that is have `above` */
};

extern const wr_view_op wr_view_ops[];
extern const size_t wr_view_ops_count;
const wr_view_op *wr_view_op_find(wr_str name); /* NULL if there is none */

/* Index of a column name in a list, or -1. */
ptrdiff_t wr_view_index(char *const *names, size_t n, const char *name);
/* What an aggregate's slot holds for an event: `x` of the value's column, or 0 (present) when every event counts. */
double wr_view_slot_value(const wr_view *v, int value, double x);
