/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h - POST /v1/traces: spans by OTLP over HTTP, in protobuf or JSON, as MLflow's server takes them. Reading is one
 * step, for any thread; keeping is a second one, in a write; so that the writer of the database has little to do.
 *
 *   begin   headers and body -> a batch of spans, or an answer that says what is wrong (c->status set)
 *   store   in a write of track
 *   end     the answer of what store (or the commit behind it) returned, complete in c->out
 * The answer is in the form of the request. Errors of a request are {"detail": ...} as MLflow's, errors of the store
 * are MLflow's bodies. */
#pragma once
#include "base/arena.h"
#include "track/trace.h"

typedef struct {
    wr_track *track;
    wr_arena *arena;                       /* of the request */
    wr_str type, experiment, run, body;    /* Content-Type, x-mlflow-experiment-id, x-mlflow-run-id; p NULL: not sent */
    const struct wr_mlflow_access *access; /* who asks (access.h); NULL without authentication */
    wr_buf *out;
    /* filled */
    bool json;
    int64_t experiment_id;
    wr_span_batch batch;
    int status;
    const char *answer_type;
} wr_otlp_call;

int wr_otlp_begin(wr_otlp_call *c); /* < 0: the answer is there */
int wr_otlp_store(wr_otlp_call *c, wr_err *err);
void wr_otlp_end(wr_otlp_call *c, int rc, const wr_err *err);
void wr_otlp_run(wr_otlp_call *c); /* all of it, waiting for the write */
