/* SPDX-License-Identifier: Apache-2.0 */
/* keep.h - what models without a view answered, kept: into the serving log as the endpoint's `log` says, and to its sinks.
 *
 * Nobody who answers waits: a sampled answer is copied into a queue (queue.h) and a thread brings it into the log, in batches, synced within
 * 100 ms like all predictions. Where the queue is full or the log cannot be written (a full disk) the answer goes out all the same and
 * the record is dropped and counted; an event "log-dropped" tells it once, when it ends "log-resumed" with how many were lost.
 * So of these predictions kill -9 may cost the last few milliseconds; those of packages are in the log before their answer.
 *
 * Samples are spread evenly over the requests of an endpoint: request n is one when n * share steps over a whole number.
 */
#pragma once
#include "stage/deploy/queue.h"
#include "stage/deploy/rows.h"
#include "stage/deploy/sink.h"

enum { WR_KEEP_BYTES = 16 << 20 };

typedef struct wr_keep_opt {
    wr_str id;                      /* of the request, "" = none */
    wr_str arm;                     /* {NULL, 0}: as the model's name says (ENDPOINT:ARM), or none */
    double propensity;              /* NaN = not known */
} wr_keep_opt;
typedef struct { const wr_str *ids; size_t nids; } wr_kept; /* one a row, of what is kept; in the arena */

/* After an answer. Never fails: what cannot be kept is dropped. */
void wr_serve_keep(wr_kept *out, wr_serve *s, const wr_instance *m, const wr_infer_request *q, const wr_infer_answer *ans, const wr_keep_opt *opt,
                   wr_arena *a);
/* After a package's answer, which is in the log already: to the endpoint's sinks alone. */
void wr_serve_tell(wr_serve *s, const wr_served *m, const wr_infer_request *q, const wr_serve_answer *ans, const wr_keep_opt *opt, wr_arena *a);
void wr_serve_sinks(wr_serve *s, void (*fn)(void *ctx, const wr_sink_status *st), void *ctx);
/* What was answered before is in the log when it returns (or dropped). */
void wr_serve_keep_flush(wr_serve *s);
void wr_serve_keep_stats(wr_queue_stats *out, wr_serve *s);
