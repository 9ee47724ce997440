/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h - seeded random numbers: xoshiro256** (Blackman & Vigna 2018) seeded by splitmix64. Same seed, same numbers
 * everywhere. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct { uint64_t s[4]; } wr_rng;

void wr_rng_init(wr_rng *r, uint64_t seed);
void wr_rng_split(wr_rng *out, uint64_t seed, uint64_t stream); /* independent stream, e.g. one per tree or chunk */
uint64_t wr_rng_u64(wr_rng *r);
uint64_t wr_rng_below(wr_rng *r, uint64_t n);                  /* uniform in [0, n), n > 0, no bias */
double wr_rng_f64(wr_rng *r);                                  /* uniform in [0, 1), 53 bits */
double wr_rng_normal(wr_rng *r);                               /* mean 0, variance 1; polar method */
void wr_rng_shuffle(wr_rng *r, uint32_t *a, size_t n);
