/* SPDX-License-Identifier: Apache-2.0 */
/* json_floats.c - numbers of a list as floats or doubles, the way most tensors come. A window of 32 bytes holds a
 * number; its first 16 digits are converted at once, without a branch on how many there are or where the point stands:
 * they differ from one number to the next, and a loop over them is mispredicted once or twice a number, which costs
 * more than all else here.
 *
 *     -0.7744140625, 0.5, 12       bytes of the window
 *     0077441406250000             16 digits v: the sign is a 0, the point is squeezed out, what comes behind is 0;
 *                                  before the point stood i = 2, so the value is v * 10^(i - 16)
 *
 * That product is wrong by a few units of a double's last place. The float nearest to it is the one nearest to the text
 * all the same, unless the middle between two floats is close by. A double comes from all digits, exactly. Wherever
 * that is not enough or a number has another form, one digit is taken after the other: results are the same with and
 * without.
 */
#include "codec/json_scan.h"

#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/num.h"
#include "codec/json_scan_inside.h"

bool wr_jscan_plain;

/* Bits of a double's fraction that a float has no place for: 1000...; and floats below 2^-126 have fewer still. */
bool wr_jscan_between_floats(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits & 0x1fffffff) == 0x10000000 || (fabs(v) < 0x1p-126 && v != 0);
}

#if defined(__SSE2__)

enum {
    WINDOW = 32,       /* bytes of a number and one behind it */
    ROOM = WINDOW + 2, /* and a space, and where the next one begins */
    DIGITS = 16,
    CUT_FROM = 10000, /* the first 8 of 16 digits, at least, where more digits were cut off: that is less than 10^-12 */
    CLOSE = 1 << 14,  /* units of the last place of a double: no product is wrong by more, 10^-12 being 9007 at most */
    HALF_FLOAT = 1 << 28, /* the same between a float and the middle to the next one */
};

#define ONES8 255, 255, 255, 255, 255, 255, 255, 255
#define CUT7  CUT_FROM, CUT_FROM, CUT_FROM, CUT_FROM, CUT_FROM, CUT_FROM, CUT_FROM
static const struct {
    double weights[ROOM];          /* by the bytes before the point, what the last of 16 digits is worth */
    unsigned char ones[ROOM + 16]; /* of 16 from [ROOM - n] on the first n are ones */
    unsigned char following[256];  /* by the first digit, how many may follow it before the point */
    uint32_t least[ROOM]; /* by the number of digits, what the first eight must be; MAX: the window may have ended */
} of = {
    .weights = {1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5,
                1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,  1e4,  1e5,  1e6,  1e7,
                1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15, 1e16, 1e17},
    .ones = {ONES8, ONES8, ONES8, ONES8, 255, 255},
    .following = {['1'] = ROOM, ROOM, ROOM, ROOM, ROOM, ROOM, ROOM, ROOM, ROOM},
    .least = {[DIGITS + 1] = CUT7, CUT7, UINT32_MAX, UINT32_MAX, UINT32_MAX},
};
#undef CUT7
#undef ONES8

static inline __m128i bytes_at(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

static inline __m128i digits_of(__m128i x)
{
    return _mm_cmpgt_epi8(_mm_add_epi8(x, _mm_set1_epi8(127 - '9')), _mm_set1_epi8(127 - 10));
}

static inline uint32_t bits_of(__m128i x) { return (uint32_t)_mm_movemask_epi8(x); }

/* Digits as bytes to two numbers of eight: neighbours are put together three times over. */
static inline __m128i eights(__m128i x)
{
    __m128i both = _mm_set1_epi16(10 << 8 | 1);
    __asm__("" : "+x"(both)); /* one multiplication: gcc would rather shift and add five times */
    x = _mm_srli_epi16(_mm_mullo_epi16(x, both), 8);
    x = _mm_madd_epi16(x, _mm_set1_epi32(1 << 16 | 100));
    return _mm_madd_epi16(_mm_packs_epi32(x, x), _mm_set1_epi32(1 << 16 | 10000));
}

typedef struct {
    uint32_t minus, whole, n, to; /* a sign; bytes with it before the point; digits, the sign counted; bytes in all */
    __m128i eights;               /* the first 16 digits */
} number;

/* The number at p, of which ROOM bytes are there; false if it is not of the usual form. */
static inline bool look(number *out, const char *p)
{
    /* Not ==, whose byte may go into a register that waits for the number before. */
    uint32_t minus = (((unsigned char)*p ^ (uint32_t)'-') - 1) >> 31;
    __m128i low = bytes_at(p), dots = _mm_cmpeq_epi8(low, _mm_set1_epi8('.'));
    uint32_t inside = bits_of(_mm_or_si128(digits_of(low), dots)) | bits_of(digits_of(bytes_at(p + 16))) << 16;
    uint64_t others = ~(uint64_t)inside - minus, points = bits_of(dots) & (others ^ (others - 1));
    uint32_t to = (uint32_t)__builtin_ctzll(others), whole = (uint32_t)__builtin_ctzll(others | points);
    uint32_t point = (whole - to) >> 31, n = to - point;
    if (whole - minus - 1 > of.following[(unsigned char)p[minus]]) return false;
    if (n < whole + point || points >> whole > 1) return false;

    __m128i before = bytes_at(of.ones + ROOM - whole);
    __m128i x = _mm_or_si128(_mm_and_si128(before, low), _mm_andnot_si128(before, bytes_at(p + 1)));
    x = eights(_mm_and_si128(_mm_subs_epu8(x, _mm_set1_epi8('0')), bytes_at(of.ones + ROOM - n)));
    *out = (number){minus, whole, n, to, x};
    return true;
}

static inline bool as_float(float *out, const number *v)
{
    __m128d d = _mm_mul_pd(_mm_cvtepi32_pd(v->eights), _mm_set_pd(1, 1e8));
    d = _mm_mul_sd(_mm_add_sd(d, _mm_unpackhi_pd(d, d)), _mm_load_sd(&of.weights[v->whole]));
    uint32_t low_bits = (uint32_t)_mm_cvtsi128_si32(_mm_castpd_si128(d)), bits;
    if (((low_bits + CLOSE - HALF_FLOAT) & (2 * HALF_FLOAT - 1)) < 2 * CLOSE) return false;
    if ((uint32_t)_mm_cvtsi128_si32(v->eights) < of.least[v->n]) return false;
    float f = (float)_mm_cvtsd_f64(d);
    memcpy(&bits, &f, sizeof bits);
    bits |= v->minus << 31;
    memcpy(out, &bits, sizeof bits);
    return true;
}

/* `more` digits at p, behind the first 16: all of them, if they fit 64 bits, the long way of base/num. */
__attribute__((noinline)) static bool many_digits(double *out, uint64_t digits, const char *p, uint32_t more, int exp)
{
    static const uint64_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint64_t x;
    if (more > 8 || (more > 3 && digits >= tens[8] * tens[11 - more])) return false; /* 10^19 is fine */
    memcpy(&x, p, sizeof x);
    digits = digits * tens[more] + eight_digits((x ^ 0x3030303030303030u) << (64 - 8 * more));
    return wr_f64_nearest(out, digits, exp);
}

/* Digits and power are exact, so their quotient is the nearest double. */
static inline bool as_double(double *out, const number *v, const char *p)
{
    static const double tens[] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                  1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
    uint64_t both = (uint64_t)_mm_cvtsi128_si64(v->eights), bits;
    uint64_t digits = (uint32_t)both * (uint64_t)100000000 + (both >> 32);
    double d;
    if (v->n <= DIGITS) {
        if (digits > (uint64_t)1 << 53) return false;
        d = (double)(int64_t)digits / tens[DIGITS - v->whole];
    } else {
        double slow; /* d stays in a register */
        const char *rest = p + DIGITS + (v->to - v->n);
        if (!many_digits(&slow, digits, rest, v->n - DIGITS, (int)v->whole - (int)v->n)) return false;
        d = slow;
    }
    memcpy(&bits, &d, sizeof bits);
    bits |= (uint64_t)v->minus << 63;
    memcpy(out, &bits, sizeof bits);
    return true;
}

/* Usual numbers from *value on, with commas between them, as long as they begin before `last`. *behind is moved behind
 * each; *value stands at the one that is not usual or too far, or is NULL when no comma follows. */
__attribute__((always_inline)) static inline size_t run(void *out, bool wide, size_t n, const char **value,
                                                        const char **behind, const char *last)
{
    const char *p = *value, *q;
    number v;
    size_t i = 0;
    for (; i < n && p < last && look(&v, p); p = q) {
        if (wide ? !as_double((double *)out + i, &v, p) : !as_float((float *)out + i, &v)) break;
        q = p + v.to;
        if (*q != ',') {
            if (of_number(*q)) break;
            *behind = q;
            *value = NULL;
            return i + 1;
        }
        i++;
        *behind = q++;
        if (*q == ' ') q++;
        if ((unsigned char)*q <= ' ') {
            while (q < last && white(*q)) q++;
        }
    }
    *value = p;
    return i;
}

typedef size_t runner(void *out, size_t n, const char **value, const char **behind, const char *last);

static size_t run_floats(void *out, size_t n, const char **value, const char **behind, const char *last)
{
    return run(out, false, n, value, behind, last);
}

static size_t run_doubles(void *out, size_t n, const char **value, const char **behind, const char *last)
{
    return run(out, true, n, value, behind, last);
}

/* The last ones, whose window would reach beyond the text: in a copy of its end. */
static size_t run_tail(runner *r, void *out, size_t n, const char **value, wr_jscan *s)
{
    char text[2 * ROOM] = {0}, *end = text + ROOM;
    size_t left = (size_t)(s->end - *value);
    if (s->end - s->text >= ROOM) memcpy(text, s->end - ROOM, ROOM); /* of a size that is known */
    else memcpy(end - left, *value, left);
    const char *p = end - left, *behind = NULL;
    while (p < end && white(*p)) p++; /* where the other run had to stop */
    size_t i = r(out, n, &p, &behind, end);
    if (behind) s->at = s->end - (end - behind);
    *value = p && p < end ? s->end - (end - p) : NULL;
    return i;
}

static size_t usual_ones(void *out, bool wide, size_t n, const char **value, wr_jscan *s)
{
    runner *r = wide ? run_doubles : run_floats;
    size_t i = 0, size = wide ? sizeof(double) : sizeof(float);
    if (wr_jscan_plain) return 0;
    if (s->end - *value >= ROOM) i = r(out, n, value, &s->at, s->end - ROOM + 1);
    if (i < n && *value && s->end - *value < ROOM) i += run_tail(r, (char *)out + i * size, n - i, value, s);
    return i;
}

#else

static size_t usual_ones(void *out, bool wide, size_t n, const char **value, wr_jscan *s)
{
    (void)out, (void)wide, (void)n, (void)value, (void)s;
    return 0;
}

#endif

/* Where the next number begins, if a comma says that there is one. */
static inline const char *next_one(const char *p, const char *end)
{
    if (p == end || *p++ != ',') return NULL;
    while (p < end && white(*p)) p++;
    return p < end ? p : NULL;
}

/* The exact way for one; false: not even this one. */
static inline bool exact_one(void *out, bool wide, size_t i, const char **at, const char *end)
{
    double v;
    const char *p = *at;
    if (!wr_jscan_quick_real(&v, &p, end)) return false;
    if (!wide && (wr_jscan_between_floats(v) || fabs(v) >= 0x1p127)) return false;
    if (wide) ((double *)out)[i] = v;
    else ((float *)out)[i] = (float)v;
    *at = p;
    return true;
}

static inline size_t take(wr_jscan *s, void *out, bool wide, size_t n)
{
    enum { MANY = 16 };
    const char *value = s->at;
    size_t i = 0, exact = 1, size = wide ? sizeof(double) : sizeof(float);
    while (i < n && value) {
        size_t k = usual_ones((char *)out + i * size, wide, n - i, &value, s);
        i += k;
        exact = k ? 1 : exact * 2 > MANY ? MANY : exact * 2; /* after one that is not usual there may be more of them */
        for (size_t j = 0; j < exact && i < n && value; j++) {
            if (!exact_one(out, wide, i, &value, s->end)) return i;
            i++;
            s->at = value;
            value = next_one(value, s->end);
        }
    }
    return i;
}

size_t wr_jscan_floats(wr_jscan *s, float *out, size_t n) { return take(s, out, false, n); }
size_t wr_jscan_doubles(wr_jscan *s, double *out, size_t n) { return take(s, out, true, n); }
