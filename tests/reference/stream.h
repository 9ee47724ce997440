/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - the test data: splitmix64, the same numbers as stream.py. */
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>

static inline double stream_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static inline void stream_uniforms(double *out, uint64_t seed, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = stream_next(&seed);
}

static inline void stream_bells(double *out, uint64_t seed, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double sum = stream_next(&seed);
        for (int k = 1; k < 4; k++) sum += stream_next(&seed);
        out[i] = sum - 2;
    }
}

/* Equal to `rel` of the larger, both NaN, or the same infinity. */
static inline int stream_near(double a, double b, double rel)
{
    if (a != a || b != b) return a != a && b != b;
    if (a == b) return 1;
    double scale = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    return isfinite(scale) && fabs(a - b) <= rel * scale;
}
