/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h - the past sent to a running server as if it happened now: rows as requests, outcomes as labels and events when they were known.
 *
 * Rows and events come from the datasets of the endpoint's feature view. Event time goes minute by minute: first the feature events and
 * the labels known before the minute ends, one bulk request each, and their acknowledgement; then the minute's predictions, pipelined
 * over `connections`; then the next minute. A window looks back from the row's own time, so an event of later in the same minute changes
 * nothing, and the server computes the same features as the offline join.
 * Events of (from, until) are sent, also those of rows before `from`: the online state is to be materialized until `from`.
 * Ids are ENDPOINT-NUMBER, the number being the row's place in its whole source in time order: replaying another stretch gives other ids.
 *
 * A request fails when its status is not 200 or its connection breaks. Failures are counted and shown, never repeated.
 */
#pragma once
#include "base/arena.h"
#include "core/project.h"
#include "core/run.h"

typedef struct {
    const char *endpoint, *url;
    int64_t from_us, until_us;      /* of the view's time column, until excluded */
    double speed;                   /* event time / wall time; 0 = as fast as it goes */
    double seconds;                 /* or: all of it in so many seconds */
    int connections;                /* 0 = 4 */
    bool label_batch;               /* labels come once a day of event time, at midnight, instead of when they are known */
    double slow;                    /* while the server runs a job the clock goes so many times slower; 0 or 1 = it does not */
    void (*progress)(void *ctx, double fraction, int64_t event_us);
    void *ctx;
} wr_replay_opt;

typedef struct {
    char version[24];               /* as answered */
    uint64_t predictions, labelled;
    double auc;                     /* of those with a label sent; NaN without both classes */
    int64_t first_us, last_us;      /* event time */
} wr_replay_version;

typedef struct {
    uint64_t predictions, labels, events; /* acknowledged */
    uint64_t requests, failed;      /* HTTP requests: one a prediction, one a batch of labels or events */
    char failure[320];              /* what the first failed one said */
    double wall_s, per_s;           /* requests a second */
    double p50_us, p99_us;          /* of predictions */
    double busy_s;                  /* wall time while the server ran jobs, when asked (slow) */
    wr_replay_version *versions; size_t nversions;
} wr_replay_report;

/* Strings and lists of the report are in `a`. WEIR_EUNAVAILABLE when the server does not answer at the start or stops answering. */
int wr_replay(wr_replay_report *out, wr_arena *a, wr_project *p, const wr_replay_opt *opt, wr_run *run, wr_err *err);
