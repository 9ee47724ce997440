/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - watching an endpoint: windows of its predictions against a reference, and against the labels that came.
 *
 *   monitors:
 *     delay:
 *       endpoint: delay                # default: the monitor's name; one monitor an endpoint
 *       from: 2001-06-01               # first window starts here, in event time
 *       window: 7d                     # length (default 7d)
 *       every: 1d                      # a new window that often (default: the length)
 *       label_lag: 12h                 # wait this long (event time) for labels before judging a window (default 0)
 *       reference: SELECT ...          # rows with the features of the model, over datasets
 *       columns: [a, b]                # request columns or features; the score is always watched, as "score"
 *       statistic: wasserstein         # of calc/drift.h (default psi)
 *       threshold: 0.9                 # default: the statistic's own
 *       thresholds: {b: 0.5}           # for single columns, "score" included
 *
 * Window k is [from + k every, from + k every + window) of event time. Its rows are those of dataset predictions.ENDPOINT;
 * labels are those of labels.ENDPOINT, of several for an id the one known last counts. A label that comes late changes the figures of
 * the window its prediction is in, and of no other. Reference scores come from the newest model version in the window.
 *
 * A column of text is judged by a statistic for categories: if the one chosen is for numbers only, by the first of calc/drift
 * that fits and is no p-value, with its own threshold; the same for numbers. A column that has no value at all in a window
 * with rows drifts (its value is NaN). Nothing is invented: without rows or labels the figures are NaN.
 */
#pragma once
#include "base/pool.h"
#include "calc/drift.h"
#include "calc/metrics.h"
#include "codec/json.h"
#include "core/project.h"
#include "core/run.h"

#define WR_MONITOR_SCORE "score"

typedef struct { const char *name; bool has_threshold; double threshold; } wr_monitor_column;
typedef struct {
    const char *name, *endpoint, *reference;
    int64_t from_us, window_us, every_us, label_lag_us;
    wr_monitor_column *columns; size_t ncolumns; /* the last is the score */
    const wr_drift_stat *stat;
    double threshold;
} wr_monitor;

/* The section, checked: errors at file:line:column, with did-you-mean. Strings live in the project and in `a`. */
int wr_monitor_list(wr_monitor **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err);
int wr_monitor_find(wr_monitor *out, wr_arena *a, wr_project *p, const char *endpoint, wr_err *err); /* WEIR_ENOTFOUND */
/* Endpoints that have a monitor, in file order. */
int wr_monitor_names(char ***endpoints, size_t *n, wr_arena *a, wr_project *p, wr_err *err);

/* 1 = a window is complete (end + label_lag <= watermark) and later than the last one recorded: the newest such; 0 = none.
 * Cheap: weir.yaml in memory and one query of the records. The watermark is the newest event time served; INT64_MIN = none. */
int wr_monitor_due(int64_t *window_end_us, wr_project *p, const char *endpoint, int64_t watermark_us, wr_err *err);
/* The newest complete window by the monitor's times alone; 0 = none. */
int wr_monitor_newest(int64_t *window_end_us, const wr_monitor *m, int64_t watermark_us);

typedef struct {
    const char *column;
    const wr_drift_stat *stat;
    double threshold, value;        /* value NaN: could not be judged, or no value in the window */
    double severity;                /* value / threshold, for p-values threshold / value: drifts from 1 on; NaN as value */
    bool drifts, category;
    wr_drift_result all;
} wr_monitor_drift;

enum { WR_MONITOR_BINS = 10 };
typedef struct {
    const char *model; int64_t version; /* NULL, -1: all versions together */
    size_t rows, labelled, positives;
    double mean_score;              /* of all rows */
    double mean_score_labelled, label_share, auc, log_loss, brier, calibration_error; /* of the labelled */
} wr_monitor_performance;

typedef struct {
    const char *endpoint;
    int64_t start_us, end_us;
    bool complete;                  /* data reach its end */
    wr_monitor_drift *drift; size_t ndrift; /* as in the monitor; none when the window has no rows */
    size_t worst;                   /* index of the most severe */
    bool drifts;
    wr_monitor_performance all;
    wr_monitor_performance *versions; size_t nversions; /* by version */
    wr_calibration_bin calibration[WR_MONITOR_BINS];
} wr_monitor_result;

/* A session keeps the table engine and the digests of the reference for many windows. `run` may be NULL (datasets become inputs). */
typedef struct wr_monitor_session wr_monitor_session;
int wr_monitor_open(wr_monitor_session **out, wr_project *p, const wr_monitor *m, wr_pool *pool, wr_run *run, wr_err *err);
void wr_monitor_close(wr_monitor_session *s);
int64_t wr_monitor_watermark(const wr_monitor_session *s); /* newest event time among the predictions; INT64_MIN = none */
/* Ends of the windows from + k window (not overlapping) that have rows, in order, at most the newest 1,000. */
int wr_monitor_ends(int64_t **out, size_t *n, wr_arena *a, wr_monitor_session *s, wr_err *err);
/* The newest event time among what had been served by the moment `wall_us`: the place of that moment in the time of the data;
 * INT64_MIN = nothing had. */
int wr_monitor_event_time(int64_t *out, wr_monitor_session *s, int64_t wall_us, wr_err *err);
/* Judge [end - window, end). Results live in `a`. */
int wr_monitor_window(wr_monitor_result *out, wr_arena *a, wr_monitor_session *s, int64_t window_end_us, wr_err *err);
/* All three in one. */
int wr_monitor_run(wr_monitor_result *out, wr_arena *a, wr_project *p, const wr_monitor *m, int64_t window_end_us, wr_pool *pool, wr_run *run, wr_err *err);

/* Write what was found as events: "drift" first when a column drifts, then always "window" (all numbers), so that a crash in
 * between judges the window again rather than losing the drift. */
int wr_monitor_record(wr_project *p, const wr_monitor_result *r, wr_err *err);
void wr_monitor_json(wr_jsonw *w, const wr_monitor_result *r);
/* "2001-06-15" at midnight, else "2001-06-15T13:00:00Z", into out[WR_TIME_TEXT]. */
void wr_monitor_time(char *out, int64_t us);
