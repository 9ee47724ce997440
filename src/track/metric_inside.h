/* SPDX-License-Identifier: Apache-2.0 */
/* metric_inside.h - what the metric*.c share. Private to them.
 *
 *   metric_store.c   chunks and latest values in the database      metric_read.c    latest, history
 *   metric_table.*   the memory table                              metric_sample.c  evenly sampled steps
 *   metric_log.c     the log, draining, settling                   metric_runs.*    which runs take points
 *
 * Inside, points are wr_series_point; the order of a series is (step, time, value), NaN first. Readers look at memory
 * first and at the database after it: what left memory before the first look was committed by then, so nothing is
 * missed; what is seen twice is one point, as a series is a set. */
#pragma once
#include "base/vec.h"
#include "codec/series.h"
#include "track/metric.h"
#include "track/track_inside.h"

typedef WR_VEC(wr_series_point) wr_metric_points;

int wr_metric_by_step(const void *a, const void *b); /* (step, time, value) of wr_series_point; for qsort */
int wr_metric_by_time(const void *a, const void *b); /* (time, step, value) */
/* Sort, unless it is sorted, and drop what is there twice; the number that stays. */
size_t wr_metric_sort(wr_series_point *p, size_t n, int (*by)(const void *, const void *));

/* ---- database ---- */

/* Points of one series, sorted by step, each once. With n_chunked 0 only the latest value is stored. */
typedef struct {
    int64_t key;
    const wr_series_point *points;
    size_t n;
} wr_metric_part;
/* In a write: parts of one run, each key once, into chunks and latest values; without `chunks` the latest values alone.
 * `scratch` holds what is needed on the way. */
int wr_metric_store(wr_track *t, wr_arena *scratch, const wr_metric_run *run, const wr_metric_part *parts, size_t n,
                    bool chunks, wr_err *err);
/* "?,?, ... ?" with n marks, n rounded up so that few texts are prepared; the number of marks. */
size_t wr_metric_marks(wr_buf *sql, size_t n);

/* ---- reading ---- */

int wr_metric_add_chunk(wr_metric_points *out, wr_str chunk, wr_err *err); /* all points of a chunk */
int wr_metric_to_track(wr_track_point **out, wr_arena *a, wr_str key, const wr_series_point *p, size_t n, wr_err *err);
