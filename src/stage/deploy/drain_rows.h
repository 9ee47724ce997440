/* SPDX-License-Identifier: Apache-2.0 */
/* drain_rows.h - records of one segment gathered into frames, one for each dataset and version of its view. Private to this folder. */
#pragma once
#include "stage/deploy/drain.h"
#include "stage/deploy/layout.h"

typedef struct {
    uint32_t type;                  /* wr_predlog_type */
    const char *dataset;            /* "predictions.delay" */
    char *name;                     /* endpoint or view */
    uint64_t view_id;               /* or of the layout; of feedback 1 = rewards */
    const wr_view *view;            /* NULL for labels, feedback, decisions and tensors */
    int *request_at, *feature_at;   /* columns of the view's cells, -1 = not kept */
    wr_layout layout;               /* of tensors */
    wr_frame *frame;
} wr_drain_table;

typedef struct {
    wr_arena *arena, *scratch;
    const char *log_dir;
    wr_drain_table *tables;
    size_t n, cap;
    wr_err err;                     /* of a record that failed */
    struct { char model[256]; int64_t version; } served[64]; /* models that made the predictions */
    size_t nserved;
} wr_drain_rows;

/* Every record of the segment. Free with fini, also after failure. */
int wr_drain_rows_read(wr_drain_rows *out, const char *log_dir, uint64_t segment, wr_err *err);
void wr_drain_rows_fini(wr_drain_rows *r);
