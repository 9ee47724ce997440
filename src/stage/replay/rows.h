/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - what is to be replayed, read and put in order. Private to this folder. */
#pragma once
#include "core/package.h"
#include "stage/replay/replay.h"

typedef struct { int64_t due_us; uint32_t row; } wr_replay_label;

typedef struct {
    wr_package *package;
    const wr_view *view;
    wr_frame *rows, *events;        /* events NULL when the view has none */
    const int64_t *time_us, *event_us;
    wr_col **request, **cells;      /* of rows by request column; of events by event column */
    double *label;                  /* by row, NaN = none */
    int64_t *known_us;
    wr_replay_label *labels; size_t nlabels; /* by due time */
    int64_t first_number;           /* of row 0 */
} wr_replay_rows;

int wr_replay_rows_read(wr_replay_rows *out, wr_arena *a, wr_project *p, const wr_replay_opt *opt, wr_run *run, wr_err *err);
void wr_replay_rows_fini(wr_replay_rows *r);

/* Request bodies, appended to `b`. */
void wr_replay_put_prediction(wr_buf *b, const wr_replay_rows *r, const char *endpoint, size_t row);
void wr_replay_put_events(wr_buf *b, const wr_replay_rows *r, size_t from, size_t to);
void wr_replay_put_labels(wr_buf *b, const wr_replay_rows *r, const char *endpoint, size_t from, size_t to);
