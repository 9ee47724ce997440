/* SPDX-License-Identifier: Apache-2.0 */
/* sort.h - sorting by 64-bit keys, and the order-preserving maps from doubles and signed integers to such keys.
 *
 * Radix sort, least significant digit first; digits that are equal in all keys cost nothing (times of one year, whole
 * numbers). Short arrays are sorted by insertion. Stable. Scratch is the caller's. Same result everywhere; no errors.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* -0 and +0 become one key; every NaN sorts after +inf. */
static inline uint64_t wr_key_f64(double x)
{
    uint64_t u;
    x += 0.0;
    memcpy(&u, &x, sizeof u);
    if (x != x) u = 0x7ff8000000000000;
    return u ^ ((uint64_t)((int64_t)u >> 63) | (UINT64_C(1) << 63));
}

static inline double wr_f64_of_key(uint64_t k)
{
    double x;
    k ^= ((k >> 63) - 1) | (UINT64_C(1) << 63);
    memcpy(&x, &k, sizeof x);
    return x;
}

static inline uint64_t wr_key_i64(int64_t x) { return (uint64_t)x ^ (UINT64_C(1) << 63); }
static inline int64_t wr_i64_of_key(uint64_t k) { return (int64_t)(k ^ (UINT64_C(1) << 63)); }

void wr_sort_u64(uint64_t *key, uint64_t *scratch, size_t n);
/* `with` moves with its key; equal keys keep their order. */
void wr_sort_u64_u32(uint64_t *key, uint32_t *with, uint64_t *key_scratch, uint32_t *with_scratch, size_t n);
/* x must hold no NaN; -0 becomes +0. scratch: n doubles. */
void wr_sort_f64(double *x, double *scratch, size_t n);
/* First position in sorted x with x >= v; n when there is none. */
size_t wr_sorted_lower(const double *x, size_t n, double v);
