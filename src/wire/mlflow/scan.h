/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h - the bodies of runs/log-metric and runs/log-batch read straight into points, without a tree of values: what
 * training loops send all day. Only the plain form is taken (no escapes, ASCII, no params or tags, every field of its
 * type); for everything else the scanner says false, and the request takes the usual way, which also words the errors.
 * A scanner that takes less is slower, never wrong. Slices point into the body. */
#pragma once
#include "track/metric.h"

typedef struct {
    wr_str run_id;
    wr_track_point *points;
    size_t n;
} wr_mlflow_scan;

/* By the procedure's path. */
bool wr_mlflow_scan_body(wr_mlflow_scan *out, wr_arena *a, const char *path, wr_str body);
bool wr_mlflow_scan_metric(wr_mlflow_scan *out, wr_arena *a, wr_str body);
bool wr_mlflow_scan_batch(wr_mlflow_scan *out, wr_arena *a, wr_str body); /* at most 1000 points */
