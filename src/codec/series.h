/* SPDX-License-Identifier: Apache-2.0 */
/* series.h - a chunk of a metric series: points (step, time, value) in some 0.1 to 8 bytes each.
 *
 *   chunk  = u8 1 | u32 checksum of the rest (XXH3) | varint n | u8 flags | step: zigzag min, varint max - min | time:
 *            the same | f64 min, f64 max of the values (flag NUMBERS; not when n is 1) | blocks of 64 points, the last
 *            one of what remains
 *   block  = steps (not with flag EVEN) | times | values
 *   steps, times = varint first - min of the chunk | zigzag least delta | packed (delta - least delta)    n > 1
 *   values = 0 | f64 first | packed (value XOR value before)               doubles as they come
 *          | 1 + e | zigzag least d | packed (d - least d)                 d = value * 10^e is whole, e at most 17
 *   packed = u8 width | SPARSE; u8 zero bits below, unless width is 0; u64 which ones follow, if SPARSE; bits
 *
 * Delta and frame of reference per block follow Lemire & Boytsov 2015 and Parquet's DELTA_BINARY_PACKED, XOR follows
 * Gorilla (Pelkonen et al. 2015), decimals follow ALP (Afroozeh, Kuffo & Boncz 2023). Blocks instead of bit streams,
 * because a block is packed and unpacked by plain loops, and because each starts anew: a reader that wants few points
 * decodes few blocks (wr_series_pick). Order is kept. Values come back bit by bit, except that every NaN becomes the
 * one quiet NaN. Little-endian. No input is trusted: WEIR_ECORRUPT.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

enum { WR_SERIES_MAX = 4096, WR_SERIES_BLOCK = 64 }; /* points of a chunk, of a block */

typedef struct {
    int64_t step, time_ms;
    double value;
} wr_series_point;

typedef struct {
    size_t n;
    int64_t min_step, max_step, min_ms, max_ms;
    int64_t stride;  /* steps are min_step, + stride, ... in this order (0: all the same); -1: they are not even */
    double min, max; /* of the numbers among the values; NaN when there is none */
} wr_series_head;

/* 1 <= n <= WR_SERIES_MAX. `head` may be NULL. `out` grows; check out->failed. */
void wr_series_encode(wr_buf *out, wr_series_head *head, const wr_series_point *p, size_t n);
int wr_series_read_head(wr_series_head *out, wr_str chunk, wr_err *err);
/* All points; room for WR_SERIES_MAX, or for read_head's n. */
int wr_series_decode(wr_series_point *out, size_t *n, wr_str chunk, wr_err *err);
/* Only points whose step is among `steps` (ascending, each once), in the chunk's order; room as above. A chunk whose
 * stride is not -1 costs a block for each step that is met. */
int wr_series_pick(wr_series_point *out, size_t *n, wr_str chunk, const int64_t *steps, size_t nsteps, wr_err *err);

/* The order of values: NaN, -inf ... -0, 0 ... inf; equal keys are the same value. */
static inline uint64_t wr_series_value_key(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    if (v != v) return 0;
    return u ^ ((uint64_t)((int64_t)u >> 63) | (UINT64_C(1) << 63));
}
