/* SPDX-License-Identifier: Apache-2.0 */
/* window.h - the online twin of pit.h: sliding-window sums by key, fed event by event, asked at any time.
 *
 * Per key an array of events in time order with prefix sums, sliding forward: add is O(1) when events come in order
 * (else O(late part)), a query is a binary search. Events older than newest - horizon_us are dropped, late ones that
 * old are ignored; `newest` is the newest time of any key, so the caller keeps clocks that run ahead out. The same
 * events give the same sums and counts as wr_pit_window at any time >= newest (exactly for integer values below 2^53,
 * else to 1e-9 of the largest running sum). Bounded by max_events (oldest of the key dropped) and max_keys: keys
 * whose events have all been dropped make room, a few looked at with every add. Threads: none inside; the owner
 * locks.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

enum { WR_WINDOW_VALUES = 256, WR_WINDOW_KEY = 1024 };          /* values of an event, bytes of a key, at most */

typedef struct wr_window wr_window;
typedef struct {
    size_t nvalues;                 /* 1..WR_WINDOW_VALUES */
    int64_t horizon_us;             /* > 0 */
    size_t max_events;              /* per key, 0 = 1M; at most 2^29 */
    size_t max_keys;                /* 0 = 1M; at most 2^29 */
} wr_window_opt;

int wr_window_new(wr_window **out, const wr_window_opt *opt, wr_err *err); /* WEIR_EINVAL names the option */
void wr_window_free(wr_window *w);
/* NaN or infinite = missing value. WEIR_EINVAL (key too long), WEIR_ELIMIT (max_keys live keys), WEIR_ENOMEM: the
 * event is not taken, its time may still have advanced `newest`. */
int wr_window_add(wr_window *w, wr_str key, int64_t time_us, const double *values, wr_err *err);
/* Sum and count of value `v` over (time_us - window_us, time_us]; 0 and 0 when nothing is known. window_us <= horizon.
 * A query before `newest` sees what is left within the horizon. */
void wr_window_get(const wr_window *w, wr_str key, int64_t time_us, int64_t window_us, size_t v, double *sum,
                   uint32_t *count);
int64_t wr_window_newest(const wr_window *w);                  /* time of the newest event, INT64_MIN if none */
size_t wr_window_events(const wr_window *w);                   /* held in memory, some perhaps older than the horizon */
/* Snapshot: bytes "WEIRWNDW" 1, appended to `out` (WEIR_ELIMIT if they pass its max). The loaded window answers with
 * the same bits. load validates everything (WEIR_ECORRUPT) and allocates no more than the bytes justify. */
int wr_window_save(const wr_window *w, wr_buf *out, wr_err *err);
int wr_window_load(wr_window **out, wr_str bytes, wr_err *err);
