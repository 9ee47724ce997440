/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h - natural batching: requests that are there at the same time share a run of their model.
 *
 * One wr_batch belongs to one thread, which adds requests as they come and then says "run". What was added is put together by model
 * and by what has to be equal (outputs asked for, dimensions behind the first), up to the model's max_batch_size rows a run; answers are told in
 * the order in which requests came. A run that fails is made again one request at a time, so that nobody fails for somebody else's input.
 *
 * Dynamic batching with a delay (dynamic_batching.max_queue_delay_microseconds): a run waits until it has the rows of a preferred_batch_size, or of
 * max_batch_size where none is preferred, or until the first of its requests has waited so long, or half of the timeout that its client gave it.
 *
 * Which models: those that answer each row on its own to the same bit whatever stands beside it (wr_predictor.steady), and those whose configuration
 * asks for dynamic_batching. Everything else, and explanations, is answered at once.
 */
#pragma once
#include "predict/infer.h"

typedef struct wr_batch wr_batch;
wr_batch *wr_batch_new(void); /* NULL when out of memory */
void wr_batch_free(wr_batch *b); /* nothing may wait */

/* rc: as of wr_infer. The thread is that of wr_batch_run; more may be added. */
typedef void (*wr_batch_done)(void *arg, int rc);
/* As wr_infer, or 1: `done` will be called. Then everything that was given lasts until that, and what the answer holds until wr_batch_run returns. */
int wr_batch_infer(wr_infer_answer *out, wr_batch *b, const wr_instance *m, const wr_infer_request *q, wr_batch_done done, void *arg, wr_arena *a,
                   wr_err *err);
size_t wr_batch_waiting(const wr_batch *b);
/* Runs what may not or need not wait, or all. When the next has to be run: wr_clock_mono_ns, INT64_MAX = nothing waits. */
int64_t wr_batch_run(wr_batch *b, bool all);
