/* SPDX-License-Identifier: Apache-2.0 */
/* pit.h - point-in-time join: for each entity row (key, time) only what was known at that time.
 *
 * An index holds events sorted by (key, time), ties in input order, with prefix sums of their values. An event at
 * exactly the row's time counts as known. Complexity: counting sort by key, stable sort by time inside (free when
 * already sorted), binary search a row, a batch of rows in step so that their cache misses overlap. Same results for
 * any pool. Keys are codes 0..nkeys-1; UINT32_MAX matches nothing, neither does a row's key that no event has.
 * Memory: 12 bytes an event, 8 more a value (12 if some are missing). Threads: immutable once made; ask from any.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/pool.h"

typedef struct wr_pit wr_pit;

/* values: nvalues arrays of n (may be 0), NaN or infinite = missing: counted in no sum. Inputs are not kept.
 * WEIR_EINVAL (an event's key is neither below nkeys nor UINT32_MAX), WEIR_ELIMIT (2^32 - 1 events or more),
 * WEIR_ENOMEM. */
int wr_pit_new(wr_pit **out, const uint32_t *key, const int64_t *time_us, size_t n, uint32_t nkeys,
               const double *const *values, size_t nvalues, wr_err *err);
void wr_pit_free(wr_pit *p);

/* ASOF: index (into the input) of the newest event of the row's key with time <= row time and, if ttl_us > 0, time >=
 * row time - ttl_us (inclusive at both ends, as Feast defines it); of events at the same time the last in the input;
 * -1 if there is none. */
void wr_pit_last(const wr_pit *p, const uint32_t *key, const int64_t *time_us, size_t nrows, int64_t ttl_us,
                 int64_t *out, wr_pool *pool);
/* Window aggregate over events with time in (row time - window_us, row time]: sum of value `v` and count of its
 * non-missing. Nothing known, or window_us <= 0: 0 and 0. A sum is a difference of two running sums of the key: exact
 * for whole numbers below 2^53, else to 1e-9 of the largest running sum. v < nvalues. */
void wr_pit_window(const wr_pit *p, size_t v, const uint32_t *key, const int64_t *time_us, size_t nrows,
                   int64_t window_us, double *sum, uint32_t *count, wr_pool *pool);
