/* SPDX-License-Identifier: Apache-2.0 */
/* tables.h - the log as rows: records of one segment gathered into frames, one for each dataset and version of its view.
 *
 *   predictions.ENDPOINT  prediction_id VARCHAR, model VARCHAR, version BIGINT, served_at, event_time TIMESTAMPTZ, score, joules DOUBLE, then the
 *                         view's request columns and features; a name that is both appears once, as the feature
 *                         of a model without a view: prediction_id, model, version, served_at, latency_us DOUBLE, joules DOUBLE, arm VARCHAR,
 *                         propensity DOUBLE, then its inputs and outputs (layout.h)
 *   labels.ENDPOINT       prediction_id VARCHAR, label DOUBLE, known_at, received_at TIMESTAMPTZ; label_text VARCHAR once a class was told by name
 *   rewards.ENDPOINT      prediction_id VARCHAR, reward DOUBLE, known_at, received_at TIMESTAMPTZ
 *   decisions.ENDPOINT    prediction_id, arm, answered_by VARCHAR, version BIGINT, propensity, seconds DOUBLE, decided_at TIMESTAMPTZ: of rollouts
 *   events.VIEW           _time TIMESTAMPTZ, the view's event columns
 *
 * A view's column that has the name of one of the first columns is kept as NAME_ (wr_drain_column). Who writes the frames into their datasets is
 * the serving process (stage/deploy/drain.h); here nothing is written.
 */
#pragma once
#include "stage/predlog/layout.h"
#include "stage/predlog/predlog.h"

/* How a view's column is called in predictions.ENDPOINT; text in `a`. */
const char *wr_drain_column(wr_arena *a, const char *name);
/* Columns of a record's tensors there, behind the fixed ones. */
int wr_drain_layout(wr_layout *out, wr_arena *a, const wr_predlog_tensors *r, const char *const *features, size_t nfeatures, wr_err *err);

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
