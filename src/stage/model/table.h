/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - a training or evaluation table: rows of a view's columns with label and time, in time order. */
#pragma once
#include "core/run.h"
#include "core/view.h"

typedef struct {
    wr_frame *frame;                /* time, label, known_at if there is one, then the features asked for and `extra` columns */
    int64_t *time_us;               /* points into the frame */
    double *label;                  /* 0/1, NaN when not known; points into the frame */
    int64_t *known_us;              /* INT64_MAX where missing; NULL when the rows have no known_at */
} wr_model_table;

typedef struct {
    const char *rows;               /* SQL */
    int64_t from_us, until_us;      /* INT64_MIN, INT64_MAX: open */
    const size_t *use; size_t nuse; /* features; use NULL = all */
    const char *const *extra;       /* more columns, NULL-terminated; may be NULL */
} wr_model_table_opt;
/* Run the SQL; a missing column is named, with the columns there are. Datasets become inputs of `run` (may be NULL). */
int wr_model_table_read(wr_model_table *out, wr_project *p, const wr_view *v, const wr_model_table_opt *opt, wr_run *run, wr_err *err);
void wr_model_table_free(wr_model_table *t);
