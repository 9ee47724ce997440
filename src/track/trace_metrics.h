/* SPDX-License-Identifier: Apache-2.0 */
/* trace_metrics.h - counts, sums, means and percentiles over traces, their spans or their assessments, by time and by
 * what they have. */
#pragma once
#include "track/trace.h"

typedef enum { WR_TRACE_VIEW_TRACES = 1, WR_TRACE_VIEW_SPANS, WR_TRACE_VIEW_ASSESSMENTS } wr_trace_view;
typedef enum {
    WR_AGG_COUNT = 1,
    WR_AGG_SUM,
    WR_AGG_AVG,
    WR_AGG_PERCENTILE,
    WR_AGG_MIN,
    WR_AGG_MAX,
    WR_AGGS
} wr_trace_agg_kind;
extern const char *const wr_trace_agg_names[WR_AGGS]; /* "COUNT" at its number */

typedef struct {
    wr_trace_agg_kind kind;
    double percentile; /* 0 to 100, between two values by their distance */
} wr_trace_agg;

enum { WR_TRACE_AGGS = 16, WR_TRACE_DIMENSIONS = 4, WR_TRACE_FILTERS = 32 };

typedef struct {
    const int64_t *experiments;
    size_t nexperiments;
    wr_trace_view view;
    wr_str metric; /* "trace_count", "latency", "input_tokens", ... as MLflow has them */
    const wr_trace_agg *aggs;
    const wr_str *dimensions, *filters; /* filters: one clause each, "trace.tag.env = 'prod'" */
    size_t naggs, ndimensions, nfilters, max;
    int64_t interval_s;     /* 0: all times together */
    int64_t from_ms, to_ms; /* both ends count; WR_TRACE_NONE: open */
} wr_trace_metric_opt;

typedef struct {
    int64_t bucket_ms;                      /* begin of its interval; WR_TRACE_NONE without one */
    wr_str dimensions[WR_TRACE_DIMENSIONS]; /* in order of the request */
    double values[WR_TRACE_AGGS];           /* NaN: nothing to say */
} wr_trace_point;

/* In order of time, then of the dimensions. WEIR_EINVAL as MLflow says it. */
int wr_trace_metrics(wr_trace_point **out, size_t *n, wr_arena *a, wr_track *t, const wr_trace_metric_opt *opt,
                     wr_err *err);
