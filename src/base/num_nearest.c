/* SPDX-License-Identifier: Apache-2.0 */
/* num_nearest.c - digits * 10^exp as the nearest double, by one multiplication.
 *
 * D. Lemire, "Number parsing at a gigabyte per second" (2021), with a plainer test: 10^exp is known as g, at most one
 * unit of 128 bits too large, so the product with 64 bits of digits is too large by less than one unit of its upper 128
 * bits. Only when these say "half way, or hardly more" between two doubles does that matter; then, and for numbers that
 * are not normal, somebody slower is asked.
 */
#include "base/num.h"
#include "base/num_powers.h"

bool wr_f64_nearest(double *out, uint64_t digits, int exp)
{
    enum { FRACTION = 52, BELOW = 11 }; /* bits of 64 under the 53 that stay */
    if (exp < WR_POWER_MIN || exp > WR_POWER_MAX || !digits) return false;
    int zeros = __builtin_clzll(digits);
    uint64_t w = digits << zeros;
    const uint64_t *g = wr_powers[exp - WR_POWER_MIN];
    __uint128_t low = (__uint128_t)w * g[1], high = (__uint128_t)w * g[0] + (uint64_t)(low >> 64);
    int e = 64 + ((exp * 1741647) >> 19) - zeros; /* of the upper bit of `high` when that is set: floor(log2(value)) */
    if (!(high >> 127)) {
        high <<= 1; /* the bit that comes in from below is one of those that do not matter */
        e--;
    }
    uint64_t top = (uint64_t)(high >> 64), rest = top & (((uint64_t)1 << BELOW) - 1), half = (uint64_t)1 << (BELOW - 1);
    if (rest == half && (uint64_t)high <= 8) return false;
    uint64_t m = (top >> BELOW) + (rest >= half);
    if (m >> (FRACTION + 1)) {
        m >>= 1;
        e++;
    }
    if (e < -1022 || e > 1023) return false;
    uint64_t bits = (uint64_t)(e + 1023) << FRACTION | (m & (((uint64_t)1 << FRACTION) - 1));
    memcpy(out, &bits, sizeof bits);
    return true;
}
