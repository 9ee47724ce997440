/* SPDX-License-Identifier: Apache-2.0 */
/* num_shortest.c - the shortest decimal text of a binary number, without a search.
 *
 * R. Giulietti, "The Schubfach way to render doubles" (2020): of the decimals d * 10^k with the largest k for which one
 * must lie in the interval that reads back as v, at most two are candidates; which ones lie inside is decided exactly
 * by one 64x128-bit product for each end of the interval and for v, rounded to odd.
 */
#include <math.h>
#include <stdbool.h>

#include "base/num.h"
#include "base/num_powers.h"

typedef struct {
    uint64_t digits; /* v = digits * 10^exp */
    int exp;
} decimal;

/* floor(log2(10^e)), floor(log10(2^e)), floor(log10(3/4 * 2^e)): exact for all exponents of doubles */
static int log2_pow10(int e) { return (e * 1741647) >> 19; }
static int log10_pow2(int e) { return (e * 1262611) >> 22; }
static int log10_three_quarters_pow2(int e) { return (e * 1262611 - 524031) >> 22; }

/* The upper bits of g * c; the last one is set when any bit below is: comparisons with multiples of 2 are exact. */
static uint64_t round_to_odd(const uint64_t g[2], uint64_t c)
{
    __uint128_t low = (__uint128_t)c * g[1];
    __uint128_t high = (__uint128_t)c * g[0] + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* v = c * 2^q. `closer`: c is a power of two, so the number below is only half as far away as the one above. */
static decimal shortest(uint64_t c, int q, bool closer)
{
    bool odd = c & 1; /* the ends of the interval read back as v only when c is even */
    int k = closer ? log10_three_quarters_pow2(q) : log10_pow2(q);
    int h = q + log2_pow10(-k) + 1;
    const uint64_t *g = wr_powers[-k - WR_POWER_MIN];
    uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
    uint64_t v = round_to_odd(g, (4 * c) << h);
    uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t s = v / 4; /* all in quarters of 10^k */
    if (s >= 10) {      /* one digit less? */
        uint64_t t = s / 10;
        bool down = lower <= 40 * t, up = 40 * t + 40 <= upper;
        if (down != up) return (decimal){t + up, k + 1};
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down != up) return (decimal){s + up, k};
    uint64_t middle = 4 * s + 2;
    return (decimal){s + (v > middle || (v == middle && (s & 1))), k};
}

/* Two digits at a time. */
static size_t put_whole(char *out, uint64_t v)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354"
        "555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    char text[20];
    char *p = text + sizeof text;
    for (; v >= 100; v /= 100) {
        p -= 2;
        memcpy(p, pairs + 2 * (v % 100), 2);
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, pairs + 2 * v, 2);
    } else {
        *--p = (char)('0' + v);
    }
    size_t n = (size_t)(text + sizeof text - p);
    memcpy(out, p, n);
    return n;
}

static size_t put_exponent(char *out, int e)
{
    size_t n = 0;
    out[n++] = 'e';
    out[n++] = e < 0 ? '-' : '+';
    if (e < 0) e = -e;
    if (e < 10) out[n++] = '0';
    return n + put_whole(out + n, (uint64_t)e);
}

/* The digits with their point, or with an exponent where the number is below 1e-4 or from 1e16 on. */
static size_t put(char *out, decimal d)
{
    char digits[20];
    while (d.digits % 10 == 0) d.digits /= 10, d.exp++;
    size_t n = put_whole(digits, d.digits), k = 0;
    int point = (int)n + d.exp; /* digits before it */
    if (point > 16 || point < -3) {
        out[k++] = digits[0];
        if (n > 1) out[k++] = '.';
        memcpy(out + k, digits + 1, n - 1);
        return k + n - 1 + put_exponent(out + k + n - 1, point - 1);
    }
    if (point <= 0) {
        memcpy(out, "0.0000", 6);
        k = 2 + (size_t)-point;
        memcpy(out + k, digits, n);
        return k + n;
    }
    if ((size_t)point >= n) {
        memcpy(out, digits, n);
        memset(out + n, '0', (size_t)point - n);
        return (size_t)point;
    }
    memcpy(out, digits, (size_t)point);
    out[point] = '.';
    memcpy(out + point + 1, digits + point, n - (size_t)point);
    return n + 1;
}

/* bits of the fraction, bias of the exponent including the fraction's bits; `e` raw, not that of infinities */
static decimal of_bits(uint64_t fraction, int e, int bits, int bias)
{
    uint64_t c = e ? fraction | (uint64_t)1 << bits : fraction;
    int q = (e ? e : 1) - bias;
    if (q <= 0 && -q <= bits && !(c & (((uint64_t)1 << -q) - 1))) return (decimal){c >> -q, 0}; /* a whole number */
    return shortest(c, q, !fraction && e > 1);
}

static size_t special(char out[32], double v)
{
    const char *s = isnan(v) ? "nan" : isinf(v) ? (v < 0 ? "-inf" : "inf") : signbit(v) ? "-0.0" : "0";
    size_t n = strlen(s);
    memcpy(out, s, n + 1);
    return n;
}

static size_t finish(char out[32], bool minus, decimal d)
{
    size_t n = 0;
    if (minus) out[n++] = '-';
    n += put(out + n, d);
    out[n] = 0;
    return n;
}

size_t wr_f64_shortest(char out[32], double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    if (!isfinite(v) || v == 0) return special(out, v);
    return finish(out, b >> 63, of_bits(b & (((uint64_t)1 << 52) - 1), (int)(b >> 52 & 2047), 52, 1075));
}

size_t wr_f32_shortest(char out[32], float v)
{
    uint32_t b;
    memcpy(&b, &v, sizeof b);
    if (!isfinite(v) || v == 0) return special(out, (double)v);
    return finish(out, b >> 31, of_bits(b & ((1U << 23) - 1), (int)(b >> 23 & 255), 23, 150));
}
