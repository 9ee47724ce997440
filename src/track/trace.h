/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - a trace: one request to an application, made of spans, with tags, metadata and assessments.
 *
 *   OTLP --codec/otlp.h--> spans --trace_span.h (any thread)--> batch --wr_trace_log_spans (in a write)--+
 *   StartTrace ------------------------------------------------ wr_trace_start (in a write) -------------+--> trace
 *
 * Spans and the start of a trace come in any order, in any number of pieces: what comes first makes the trace, the rest
 * is merged. Times, state and sums of tokens are taken from the spans until a start says them; from then on they stand
 * ("finalized"). A trace's tags are what users change, its metadata what they do not. Three of each are not kept as
 * such but stand in columns or follow from others: mlflow.traceName, mlflow.artifactLocation,
 * mlflow.trace.spansLocation; mlflow.trace.session, tokenUsage and cost. Ids are the client's ("tr-" and 32 digits).
 * Results are in the caller's arena.
 */
#pragma once
#include "track/track.h"
#include "track/trace_assessment.h"
#include "track/trace_span.h"

typedef enum { WR_TRACE_UNSPECIFIED, WR_TRACE_OK, WR_TRACE_ERROR, WR_TRACE_IN_PROGRESS } wr_trace_state;
const char *wr_trace_state_name(int state); /* "STATE_UNSPECIFIED", "OK", ...; NULL for another number */
int wr_trace_state_parse(wr_str name);      /* -1 when it is none; MLflow 2's "TRACE_STATUS_UNSPECIFIED" too */

#define WR_TRACE_NONE     INT64_MIN /* a number that is not there */
#define WR_TRACE_IN_STORE "TRACKING_STORE"
enum {
    WR_TRACE_UUID = 50,
    WR_TRACE_TAG_VALUE = 8000,
    WR_TRACE_KEY = 250,
    WR_TRACE_PREVIEW = 1000,
    WR_TRACE_LINKS = 100
};

typedef struct {
    int64_t id, experiment;
    wr_str uuid;
    int64_t time_ms, duration_ms; /* duration may be WR_TRACE_NONE */
    int state;
    wr_str client_request_id, request_preview, response_preview, name, session; /* p NULL: none */
    wr_str spans;   /* where spans are: WR_TRACE_IN_STORE, "ARTIFACT_REPO"; p NULL: not said */
    bool finalized; /* started by StartTrace */
    int64_t tokens[WR_TOKENS];
    double costs[WR_COSTS]; /* NaN: none */
    /* filled by wr_trace_load, sorted by key; assessments by time */
    wr_track_item *tags, *metadata;
    wr_assessment *assessments;
    size_t ntags, nmetadata, nassessments;
} wr_trace;

/* ---- reading ---- */

/* WEIR_ENOTFOUND. Without tags and the like. */
int wr_trace_get(wr_trace *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err);
int wr_trace_load(wr_trace *traces, size_t n, wr_arena *a, wr_track *t, wr_err *err);
/* The spans of a trace as they are kept (trace_span.h), the root first, then by start. */
int wr_trace_spans(wr_str **out, size_t *n, wr_arena *a, wr_track *t, const wr_trace *trace, wr_err *err);
/* Are all spans there that the trace's size statistics promise? Loaded traces only. */
bool wr_trace_complete(const wr_trace *trace, size_t nspans);
/* May it be the id of a trace? Letters, digits and _ . : - and at most WR_TRACE_UUID of them: ids stand in paths. */
bool wr_trace_uuid_ok(wr_str uuid);
wr_str wr_trace_meta(const wr_trace *trace, const char *key); /* of a loaded trace; {NULL,0} */

/* ---- writing: all in a write ---- */

/* Makes the trace, or merges into the one there is. Of `in`: uuid, experiment, time, duration, state,
 * client_request_id, previews, tags, metadata, assessments (without ids they get some). `out` is loaded. WEIR_ENOTFOUND
 * without the experiment, WEIR_EINVAL when it is deleted, WEIR_ECONFLICT when the spans are kept elsewhere. */
int wr_trace_start(wr_trace *out, wr_arena *a, wr_track *t, const wr_trace *in, wr_err *err);
/* MLflow 2's two steps: begin makes it in progress under a new id, end says state and end and adds tags and metadata.
 */
int wr_trace_begin(wr_trace *out, wr_arena *a, wr_track *t, const wr_trace *in, wr_err *err);
int wr_trace_end(wr_trace *out, wr_arena *a, wr_track *t, wr_str uuid, int64_t end_ms, int state, const wr_trace *in,
                 wr_err *err);
/* Traces without one are made in `experiment`. */
int wr_trace_log_spans(wr_track *t, wr_arena *a, int64_t experiment, const wr_span_batch *batch, wr_err *err);

int wr_trace_set_tag(wr_track *t, wr_arena *a, wr_str uuid, wr_str key, wr_str value, wr_err *err);
int wr_trace_delete_tag(wr_track *t, wr_arena *a, wr_str uuid, wr_str key, wr_err *err); /* WEIR_ENOTFOUND without it */
/* Ties traces, which need not be there yet, to a run; again: nothing happens. */
int wr_trace_link_run(wr_track *t, const wr_str *uuids, size_t n, wr_str run, wr_err *err);
int wr_trace_link_prompt(wr_track *t, wr_str uuid, wr_str name, wr_str version, wr_err *err);

/* Those of `experiment` with one of the ids; or, without ids, not after `until_ms`, the oldest first, at most `max`
 * (WR_TRACE_NONE = all). `deleted` counts. */
int wr_trace_delete(int64_t *deleted, wr_track *t, wr_arena *a, int64_t experiment, const wr_str *uuids, size_t n,
                    int64_t until_ms, int64_t max, wr_err *err);
int wr_trace_purge_experiment(wr_track *t, int64_t experiment, wr_err *err);
