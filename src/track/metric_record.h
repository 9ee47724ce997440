/* SPDX-License-Identifier: Apache-2.0 */
/* metric_record.h - the points of one append as a record of the metric log.
 *
 *   varint run | varint n | n points: varint k, zigzag step, zigzag time - time of the point before (0), f64 value
 *   k = 0: a key follows before the step, varint length and bytes, which becomes key 1, 2, ... of this record
 *   k > 0: that key
 *
 * A record is whole by itself. Little-endian. Reading trusts nothing: WEIR_ECORRUPT. */
#pragma once
#include "base/arena.h"
#include "track/metric.h"

enum { WR_METRIC_RECORD = 1 }; /* its type in the log */

/* Check out->failed. */
void wr_metric_record_write(wr_buf *out, int64_t run, const wr_track_point *p, size_t n);
/* Points live in `a`, their keys in the payload. */
int wr_metric_record_read(int64_t *run, wr_track_point **p, size_t *n, wr_arena *a, wr_str payload, wr_err *err);
