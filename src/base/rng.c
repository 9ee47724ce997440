/* SPDX-License-Identifier: Apache-2.0 */
/* rng.c - xoshiro256** 1.0 and splitmix64 after the public-domain reference (prng.di.unimi.it). */
#include "base/rng.h"

#include <math.h>

#include "base/err.h"

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void wr_rng_init(wr_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) r->s[i] = splitmix(&seed);
}

/* All 128 bits of (seed, stream) go into the state, so two pairs do not meet by a birthday in 64 bits. */
void wr_rng_split(wr_rng *out, uint64_t seed, uint64_t stream)
{
    stream ^= 0xd1b54a32d192ed03U; /* so that stream 0 is not the plain generator */
    for (int i = 0; i < 4; i++) {
        uint64_t x = splitmix(&seed) + rotl(splitmix(&stream), 32);
        out->s[i] = splitmix(&x);
    }
    out->s[3] |= (out->s[0] | out->s[1] | out->s[2]) == 0; /* the all-zero state would stay zero */
}

uint64_t wr_rng_u64(wr_rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* Lemire 2019, "Fast random integer generation in an interval". */
uint64_t wr_rng_below(wr_rng *r, uint64_t n)
{
    WR_BUG_IF(n == 0);
    unsigned __int128 m = (unsigned __int128)wr_rng_u64(r) * n;
    if ((uint64_t)m < n) {
        uint64_t least = -n % n; /* 2^64 mod n: below it, some results would be too frequent */
        while ((uint64_t)m < least) m = (unsigned __int128)wr_rng_u64(r) * n;
    }
    return (uint64_t)(m >> 64);
}

double wr_rng_f64(wr_rng *r) { return (double)(wr_rng_u64(r) >> 11) * 0x1p-53; }

/* Marsaglia's polar method. Its second number is dropped: the state stays four words. */
double wr_rng_normal(wr_rng *r)
{
    double u, v, q;
    do {
        u = 2 * wr_rng_f64(r) - 1;
        v = 2 * wr_rng_f64(r) - 1;
        q = u * u + v * v;
    } while (q >= 1 || q == 0);
    return u * sqrt(-2 * log(q) / q);
}

void wr_rng_shuffle(wr_rng *r, uint32_t *a, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)wr_rng_below(r, i);
        uint32_t t = a[i - 1];
        a[i - 1] = a[j];
        a[j] = t;
    }
}
