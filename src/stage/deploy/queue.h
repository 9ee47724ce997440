/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - messages from those who answer requests to one thread that may take its time: bounded, and nobody who puts ever waits for it.
 *
 *   put:     copies into the front buffer under a lock that is held for copies and swaps alone; full = dropped and counted
 *   thread:  swaps the buffers, hands the full one to `take`, and naps a few milliseconds while there is traffic, so that a put
 *            seldom has to wake it
 *
 * Both buffers are reserved at the start and touched as far as they are used. What take makes of the messages is its own matter: it
 * counts what it loses by itself (wr_queue_lose). Threads: any.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

typedef struct wr_queue wr_queue;

/* `take` gets a batch: messages to be read with wr_queue_next. */
typedef void (*wr_queue_take)(void *ctx, wr_str batch);
int wr_queue_start(wr_queue **out, size_t bytes, wr_queue_take take, void *ctx, wr_err *err);
/* Hands on what is there, then ends. NULL is fine. */
void wr_queue_stop(wr_queue *q);
/* False: it was full. */
bool wr_queue_put(wr_queue *q, wr_str message);
/* Returns when everything that was put before has been taken. */
void wr_queue_flush(wr_queue *q);
void wr_queue_lose(wr_queue *q, size_t n);
typedef struct { uint64_t put, dropped; size_t waiting; /* bytes */ } wr_queue_stats;
void wr_queue_look(wr_queue_stats *out, wr_queue *q);
/* The next message of a batch; false at its end. */
bool wr_queue_next(wr_str *message, wr_str *batch);
