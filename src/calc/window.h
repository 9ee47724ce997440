/* SPDX-License-Identifier: Apache-2.0 */
/* window.h - the online twin of pit.h: sliding-window sums by key, fed event by event, asked at any time.
 *
 * Per key a ring of events in time order with prefix sums: add is O(1) when events come in order (else O(late part)), a query is a
 * binary search. Events older than newest - horizon_us are dropped. The same events give the same sums and counts as wr_pit_window
 * (exactly for integer values below 2^53, else to 1e-9). Bounded by max_events (oldest of the key dropped) and max_keys.
 * Threads: none inside; the owner locks.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

typedef struct wr_window wr_window;
typedef struct { size_t nvalues; int64_t horizon_us; size_t max_events; /* per key, 0 = 1M */ size_t max_keys; /* 0 = 1M */ } wr_window_opt;

int wr_window_new(wr_window **out, const wr_window_opt *opt, wr_err *err);
void wr_window_free(wr_window *w);
int wr_window_add(wr_window *w, wr_str key, int64_t time_us, const double *values, wr_err *err); /* NaN = missing value */
/* Sum and count of value `v` over (time_us - window_us, time_us]; count 0 when nothing is known. window_us <= horizon. */
void wr_window_get(const wr_window *w, wr_str key, int64_t time_us, int64_t window_us, size_t v, double *sum, uint32_t *count);
int64_t wr_window_newest(const wr_window *w);                  /* time of the newest event, INT64_MIN if none */
size_t wr_window_events(const wr_window *w);
/* Snapshot: bytes "WEIRWNDW" 1; load validates (WEIR_ECORRUPT). */
int wr_window_save(const wr_window *w, wr_buf *out, wr_err *err);
int wr_window_load(wr_window **out, wr_str bytes, wr_err *err);
