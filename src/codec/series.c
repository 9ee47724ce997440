/* SPDX-License-Identifier: Apache-2.0 */
/* series.c - chunks of metric series, encoded and decoded block by block. */
#include "codec/series.h"

#include <endian.h>
#include <math.h>

#include "base/hash.h"

enum {
    VERSION = 1,
    SEALED = 5, /* version and checksum; the checksum covers what follows */
    EVEN = 1,   /* flags: steps are even and left out */
    NUMBERS = 2,
    SPARSE = 0x80,
    WIDE = 56, /* bits that one unaligned load of 8 bytes always holds */
    EXPONENTS = 18,
    HEAD_ROOM = 64,
    BLOCK_ROOM = 2048, /* the longest block: three columns of at most 20 + 10 + 512 bytes */
    SLACK = 8,         /* bytes that unpack reads beyond the bits */
};
#define BLOCK WR_SERIES_BLOCK

static const double power10[EXPONENTS] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,
                                          1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17};

static uint64_t bits_of(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return v != v ? UINT64_C(0x7ff8000000000000) : u;
}

static double double_of(uint64_t u)
{
    double v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static int64_t unzigzag(uint64_t u) { return (int64_t)(u >> 1 ^ (0 - (u & 1))); }
static unsigned width_of(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }
static uint64_t mask_of(unsigned width) { return width >= 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1; }

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* ---- writing ---- */

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static uint8_t *put_bits(uint8_t *p, const uint64_t *v, size_t n, unsigned width, unsigned below)
{
    uint64_t acc = 0;
    unsigned fill = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = v[i] >> below;
        acc |= x << fill;
        fill += width;
        if (fill >= 64) {
            p = put64(p, acc);
            fill -= 64;
            acc = fill ? x >> (width - fill) : 0;
        }
    }
    for (; fill; fill = fill > 8 ? fill - 8 : 0, acc >>= 8) *p++ = (uint8_t)acc;
    return p;
}

/* Zeros are left out, and named by a bit each, where that is shorter. */
static uint8_t *put_packed(uint8_t *p, const uint64_t *v, size_t n)
{
    uint64_t all = 0, which = 0, some[BLOCK];
    size_t nsome = 0;
    for (size_t i = 0; i < n; i++) all |= v[i];
    if (!all) {
        *p++ = 0;
        return p;
    }
    unsigned below = (unsigned)__builtin_ctzll(all), width = width_of(all) - below;
    for (size_t i = 0; i < n; i++) nsome += v[i] != 0;
    bool sparse = 8 + (nsome * width + 7) / 8 < (n * width + 7) / 8;
    *p++ = (uint8_t)(width | (sparse ? SPARSE : 0));
    *p++ = (uint8_t)below;
    if (!sparse) return put_bits(p, v, n, width, below);
    nsome = 0;
    for (size_t i = 0; i < n; i++) {
        if (!v[i]) continue;
        which |= UINT64_C(1) << i;
        some[nsome++] = v[i];
    }
    return put_bits(put64(p, which), some, nsome, width, below);
}

/* Differences wrap, so every pair of numbers has one. */
static uint8_t *put_ints(uint8_t *p, const int64_t *v, size_t n, int64_t min)
{
    uint64_t delta[BLOCK];
    p = put_varint(p, (uint64_t)v[0] - (uint64_t)min);
    if (n == 1) return p;
    int64_t least = INT64_MAX;
    for (size_t i = 1; i < n; i++) {
        delta[i - 1] = (uint64_t)v[i] - (uint64_t)v[i - 1];
        if ((int64_t)delta[i - 1] < least) least = (int64_t)delta[i - 1];
    }
    for (size_t i = 0; i + 1 < n; i++) delta[i] -= (uint64_t)least;
    return put_packed(put_varint(p, zigzag(least)), delta, n - 1);
}

/* v * 10^e when it is whole and v comes back from it. The bound also turns NaN and infinities away. */
static bool decimal(double v, int e, int64_t *out)
{
    double scaled = v * power10[e];
    if (!(fabs(scaled) < 0x1p51)) return false;
    *out = llrint(scaled);
    return bits_of((double)*out / power10[e]) == bits_of(v);
}

/* The least exponent by which all of them are whole numbers, or -1. */
static int decimal_exponent(const double *v, size_t n, int64_t *d)
{
    int e = 0;
    for (size_t i = 0; i < n; i++) {
        while (!decimal(v[i], e, &d[i])) {
            if (++e == EXPONENTS || !(fabs(v[i] * power10[e]) < 0x1p51)) return -1;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (!decimal(v[i], e, &d[i])) return -1;
    }
    return e;
}

static uint8_t *put_decimals(uint8_t *p, int e, const int64_t *d, size_t n, int64_t least)
{
    uint64_t rest[BLOCK];
    for (size_t i = 0; i < n; i++) rest[i] = (uint64_t)d[i] - (uint64_t)least;
    *p++ = (uint8_t)(1 + e);
    return put_packed(put_varint(p, zigzag(least)), rest, n);
}

static uint8_t *put_values(uint8_t *p, const double *v, size_t n)
{
    uint64_t xor [BLOCK], all = 0;
    int64_t d[BLOCK], least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 1; i < n; i++) all |= xor[i - 1] = bits_of(v[i]) ^ bits_of(v[i - 1]);
    unsigned width = all ? width_of(all) - (unsigned)__builtin_ctzll(all) : 0;
    int e = decimal_exponent(v, n, d);
    for (size_t i = 0; e >= 0 && i < n; i++) {
        if (d[i] < least) least = d[i];
        if (d[i] > most) most = d[i];
    }
    /* the same number of fields but for the first value, which XOR has in full */
    if (e >= 0 && width_of((uint64_t)most - (uint64_t)least) * n <= width * (n - 1) + 64)
        return put_decimals(p, e, d, n, least);
    *p++ = 0;
    p = put64(p, bits_of(v[0]));
    return n > 1 ? put_packed(p, xor, n - 1) : p;
}

static void survey(wr_series_head *h, const wr_series_point *p, size_t n)
{
    *h = (wr_series_head){n, p->step, p->step, p->time_ms, p->time_ms, 0, NAN, NAN};
    uint64_t stride = n > 1 ? (uint64_t)p[1].step - (uint64_t)p[0].step : 0;
    bool even = n == 1 || (p[1].step >= p[0].step && stride <= INT64_MAX);
    double min = INFINITY, max = -INFINITY;
    bool numbers = false;
    for (size_t i = 0; i < n; i++) {
        if (p[i].step < h->min_step) h->min_step = p[i].step;
        if (p[i].step > h->max_step) h->max_step = p[i].step;
        if (p[i].time_ms < h->min_ms) h->min_ms = p[i].time_ms;
        if (p[i].time_ms > h->max_ms) h->max_ms = p[i].time_ms;
        if (p[i].value < min) min = p[i].value;
        if (p[i].value > max) max = p[i].value;
        numbers |= p[i].value == p[i].value;
        if (i) even &= p[i].step >= p[i - 1].step && (uint64_t)p[i].step - (uint64_t)p[i - 1].step == stride;
    }
    h->stride = even ? (int64_t)stride : -1;
    if (numbers) h->min = min, h->max = max;
}

static size_t encode_head(uint8_t *start, const wr_series_head *h)
{
    uint8_t *p = start + SEALED;
    bool numbers = h->min == h->min;
    p = put_varint(p, h->n);
    *p++ = (uint8_t)((h->stride >= 0 ? EVEN : 0) | (numbers ? NUMBERS : 0));
    p = put_varint(put_varint(p, zigzag(h->min_step)), (uint64_t)h->max_step - (uint64_t)h->min_step);
    p = put_varint(put_varint(p, zigzag(h->min_ms)), (uint64_t)h->max_ms - (uint64_t)h->min_ms);
    if (numbers && h->n > 1) p = put64(put64(p, bits_of(h->min)), bits_of(h->max));
    return (size_t)(p - start);
}

static uint8_t *encode_block(uint8_t *out, const wr_series_head *h, const wr_series_point *p, size_t n)
{
    int64_t steps[BLOCK], times[BLOCK];
    double values[BLOCK];
    for (size_t i = 0; i < n; i++) {
        steps[i] = p[i].step;
        times[i] = p[i].time_ms;
        values[i] = p[i].value;
    }
    if (h->stride < 0) out = put_ints(out, steps, n, h->min_step);
    return put_values(put_ints(out, times, n, h->min_ms), values, n);
}

void wr_series_encode(wr_buf *out, wr_series_head *head, const wr_series_point *p, size_t n)
{
    wr_series_head h;
    size_t at = out->n;
    WR_BUG_IF(n < 1 || n > WR_SERIES_MAX);
    survey(&h, p, n);
    if (head) *head = h;
    if (!wr_buf_reserve(out, HEAD_ROOM)) return;
    out->n += encode_head((uint8_t *)out->p + at, &h);
    for (size_t i = 0; i < n; i += BLOCK) {
        if (!wr_buf_reserve(out, BLOCK_ROOM)) return;
        uint8_t *from = (uint8_t *)out->p + out->n;
        out->n += (size_t)(encode_block(from, &h, p + i, n - i < BLOCK ? n - i : BLOCK) - from);
    }
    out->p[out->n] = 0;
    uint32_t sum = htole32((uint32_t)wr_hash64(out->p + at + SEALED, out->n - at - SEALED, VERSION));
    out->p[at] = VERSION;
    memcpy(out->p + at + 1, &sum, sizeof sum);
}

/* ---- reading ---- */

typedef struct {
    const uint8_t *p, *end;
} source;

static bool take_byte(source *s, uint8_t *out)
{
    if (s->p == s->end) return false;
    *out = *s->p++;
    return true;
}

static bool take64(source *s, uint64_t *out)
{
    if (s->end - s->p < 8) return false;
    *out = load64(s->p);
    s->p += 8;
    return true;
}

static bool take_varint(source *s, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && s->p < s->end; shift += 7) {
        uint64_t b = *s->p++;
        if (shift == 63 && b > 1) return false;
        *out |= (b & 0x7f) << shift;
        if (b < 0x80) return true;
    }
    return false;
}

/* What stands before the bits of a packed list of n. */
typedef struct {
    unsigned width, below;
    bool sparse;
    uint64_t which;
    size_t bytes;
} packed;

static bool take_packed(source *s, packed *out, size_t n)
{
    uint8_t width, below = 0;
    *out = (packed){0};
    if (!take_byte(s, &width)) return false;
    out->sparse = width & SPARSE;
    out->width = width & ~SPARSE;
    if (!width) return true;
    if (!out->width || !take_byte(s, &below) || out->width + below > 64) return false;
    out->below = below;
    if (out->sparse) {
        if (!take64(s, &out->which) || out->which & ~mask_of((unsigned)n)) return false;
        n = (size_t)__builtin_popcountll(out->which);
    }
    out->bytes = (n * out->width + 7) / 8;
    return (size_t)(s->end - s->p) >= out->bytes;
}

static void unpack_bits(uint64_t *out, const uint8_t *p, size_t n, unsigned width, unsigned below)
{
    uint64_t mask = mask_of(width);
    size_t bit = 0;
    if (width <= WIDE) {
        for (size_t i = 0; i < n; i++, bit += width) out[i] = (load64(p + bit / 8) >> bit % 8 & mask) << below;
        return;
    }
    for (size_t i = 0; i < n; i++, bit += width) {
        unsigned shift = bit % 8;
        uint64_t v = load64(p + bit / 8) >> shift;
        if (shift) v |= (uint64_t)p[bit / 8 + 8] << (64 - shift);
        out[i] = (v & mask) << below;
    }
}

static bool unpack(source *s, uint64_t *out, size_t n)
{
    packed k;
    uint8_t room[BLOCK * 8 + SLACK + 1];
    if (!take_packed(s, &k, n)) return false;
    if (!k.width) {
        memset(out, 0, n * sizeof *out);
        return true;
    }
    const uint8_t *p = s->p;
    if ((size_t)(s->end - s->p) < k.bytes + SLACK + 1) {
        memset(room + k.bytes, 0, SLACK + 1);
        p = memcpy(room, s->p, k.bytes);
    }
    s->p += k.bytes;
    if (!k.sparse) {
        unpack_bits(out, p, n, k.width, k.below);
        return true;
    }
    uint64_t some[BLOCK];
    unpack_bits(some, p, (size_t)__builtin_popcountll(k.which), k.width, k.below);
    for (size_t i = 0, at = 0; i < n; i++) out[i] = k.which >> i & 1 ? some[at++] : 0;
    return true;
}

static bool skip_packed(source *s, size_t n)
{
    packed k;
    if (!take_packed(s, &k, n)) return false;
    s->p += k.bytes;
    return true;
}

static bool take_ints(source *s, int64_t *out, size_t n, int64_t min)
{
    uint64_t first, least, delta[BLOCK];
    if (!take_varint(s, &first)) return false;
    out[0] = (int64_t)((uint64_t)min + first);
    if (n == 1) return true;
    if (!take_varint(s, &least) || !unpack(s, delta, n - 1)) return false;
    uint64_t at = (uint64_t)out[0], step = (uint64_t)unzigzag(least);
    for (size_t i = 1; i < n; i++) out[i] = (int64_t)(at += step + delta[i - 1]);
    return true;
}

static bool skip_ints(source *s, size_t n)
{
    uint64_t v;
    return take_varint(s, &v) && (n == 1 || (take_varint(s, &v) && skip_packed(s, n - 1)));
}

static bool take_xors(source *s, double *out, size_t n)
{
    uint64_t at, xor[BLOCK];
    if (!take64(s, &at) || (n > 1 && !unpack(s, xor, n - 1))) return false;
    out[0] = double_of(at);
    for (size_t i = 1; i < n; i++) out[i] = double_of(at ^= xor[i - 1]);
    return true;
}

static bool take_decimals(source *s, double *out, size_t n, int e)
{
    uint64_t least, rest[BLOCK];
    if (e >= EXPONENTS || !take_varint(s, &least) || !unpack(s, rest, n)) return false;
    uint64_t from = (uint64_t)unzigzag(least);
    for (size_t i = 0; i < n; i++) out[i] = (double)(int64_t)(from + rest[i]) / power10[e];
    return true;
}

static bool take_values(source *s, double *out, size_t n)
{
    uint8_t mode;
    if (!take_byte(s, &mode)) return false;
    return mode ? take_decimals(s, out, n, mode - 1) : take_xors(s, out, n);
}

static bool skip_values(source *s, size_t n)
{
    uint8_t mode;
    uint64_t v;
    if (!take_byte(s, &mode)) return false;
    if (mode) return take_varint(s, &v) && skip_packed(s, n);
    return take64(s, &v) && (n == 1 || skip_packed(s, n - 1));
}

static bool take_range(source *s, int64_t *min, int64_t *max)
{
    uint64_t from, span;
    if (!take_varint(s, &from) || !take_varint(s, &span)) return false;
    *min = unzigzag(from);
    *max = (int64_t)((uint64_t)*min + span);
    return span <= (uint64_t)INT64_MAX - (uint64_t)*min; /* from min on there is room up to the greatest */
}

static bool take_head(source *s, wr_series_head *h)
{
    uint64_t n, min, max;
    uint8_t flags;
    if (!take_varint(s, &n) || n < 1 || n > WR_SERIES_MAX || !take_byte(s, &flags) || flags & ~(EVEN | NUMBERS))
        return false;
    *h = (wr_series_head){.n = (size_t)n, .stride = -1, .min = NAN, .max = NAN};
    if (!take_range(s, &h->min_step, &h->max_step) || !take_range(s, &h->min_ms, &h->max_ms)) return false;
    if (flags & EVEN) {
        uint64_t span = (uint64_t)h->max_step - (uint64_t)h->min_step, gaps = n - 1;
        if (gaps ? span % gaps : span) return false;
        span = gaps ? span / gaps : 0;
        if (span > INT64_MAX) return false;
        h->stride = (int64_t)span;
    }
    if (!(flags & NUMBERS) || n == 1) return true;
    if (!take64(s, &min) || !take64(s, &max)) return false;
    h->min = double_of(min);
    h->max = double_of(max);
    return h->min <= h->max;
}

static int corrupt(wr_err *err, const char *why)
{
    wr_err_set(err, WEIR_ECORRUPT, "a chunk of metric points is damaged");
    return wr_err_detail(err, WEIR_ECORRUPT, "%s", why);
}

static int open_chunk(source *s, wr_series_head *h, wr_str chunk, wr_err *err)
{
    uint32_t sum;
    *s = (source){(const uint8_t *)chunk.p, (const uint8_t *)chunk.p + chunk.n};
    if (chunk.n < SEALED) return corrupt(err, "it is too short");
    if (s->p[0] != VERSION) return corrupt(err, "its version is unknown");
    memcpy(&sum, s->p + 1, sizeof sum);
    if (le32toh(sum) != (uint32_t)wr_hash64(s->p + SEALED, chunk.n - SEALED, VERSION))
        return corrupt(err, "its checksum is wrong");
    s->p += SEALED;
    return take_head(s, h) ? 0 : corrupt(err, "its head makes no sense");
}

/* `first`: number of the block's first point in the chunk. */
static bool decode_block(source *s, const wr_series_head *h, size_t first, wr_series_point *out, size_t n)
{
    int64_t steps[BLOCK], times[BLOCK];
    double values[BLOCK];
    if (h->stride < 0 && !take_ints(s, steps, n, h->min_step)) return false;
    if (!take_ints(s, times, n, h->min_ms) || !take_values(s, values, n)) return false;
    uint64_t stride = (uint64_t)h->stride, from = (uint64_t)h->min_step + stride * first;
    for (size_t i = 0; i < n; i++) {
        out[i] = (wr_series_point){h->stride < 0 ? steps[i] : (int64_t)(from + stride * i), times[i], values[i]};
    }
    return true;
}

static bool skip_block(source *s, const wr_series_head *h, size_t n)
{
    return (h->stride >= 0 || skip_ints(s, n)) && skip_ints(s, n) && skip_values(s, n);
}

int wr_series_read_head(wr_series_head *out, wr_str chunk, wr_err *err)
{
    source s;
    wr_series_point only;
    WR_TRY(open_chunk(&s, out, chunk, err));
    if (out->n > 1) return 0;
    if (!decode_block(&s, out, 0, &only, 1)) return corrupt(err, "it ends early");
    out->min = out->max = only.value;
    return 0;
}

int wr_series_decode(wr_series_point *out, size_t *n, wr_str chunk, wr_err *err)
{
    source s;
    wr_series_head h;
    *n = 0;
    WR_TRY(open_chunk(&s, &h, chunk, err));
    for (size_t i = 0; i < h.n; i += BLOCK) {
        if (!decode_block(&s, &h, i, out + i, h.n - i < BLOCK ? h.n - i : BLOCK))
            return corrupt(err, "a block makes no sense");
    }
    if (s.p != s.end) return corrupt(err, "something follows its last block");
    *n = h.n;
    return 0;
}

/* ---- picking ---- */

/* The first of the ascending `steps` that is >= v. */
static size_t lower_bound(const int64_t *steps, size_t n, int64_t v)
{
    size_t from = 0;
    while (n) {
        size_t half = n / 2;
        if (steps[from + half] < v) from += half + 1, n -= half + 1;
        else n = half;
    }
    return from;
}

/* Has the even block of n points from number `first` on one of the steps? `at`: the first step not passed yet. */
static bool block_meets(const wr_series_head *h, size_t first, size_t n, const int64_t *steps, size_t nsteps,
                        size_t *at)
{
    uint64_t stride = (uint64_t)h->stride;
    int64_t from = (int64_t)((uint64_t)h->min_step + stride * first), to = (int64_t)((uint64_t)from + stride * (n - 1));
    while (*at < nsteps && steps[*at] < from) ++*at;
    for (size_t i = *at; i < nsteps && steps[i] <= to; i++) {
        if (!stride || ((uint64_t)steps[i] - (uint64_t)from) % stride == 0) return true;
    }
    return false;
}

int wr_series_pick(wr_series_point *out, size_t *n, wr_str chunk, const int64_t *steps, size_t nsteps, wr_err *err)
{
    source s;
    wr_series_head h;
    wr_series_point block[BLOCK];
    *n = 0;
    WR_TRY(open_chunk(&s, &h, chunk, err));
    size_t from = lower_bound(steps, nsteps, h.min_step), at = 0;
    for (steps += from, nsteps -= from; nsteps && steps[nsteps - 1] > h.max_step;) nsteps--;
    for (size_t i = 0; i < h.n && nsteps; i += BLOCK) {
        size_t size = h.n - i < BLOCK ? h.n - i : BLOCK;
        if (h.stride >= 0 && !block_meets(&h, i, size, steps, nsteps, &at)) {
            if (!skip_block(&s, &h, size)) return corrupt(err, "a block makes no sense");
            continue;
        }
        if (!decode_block(&s, &h, i, block, size)) return corrupt(err, "a block makes no sense");
        for (size_t k = 0; k < size; k++) {
            size_t found = lower_bound(steps, nsteps, block[k].step);
            if (found < nsteps && steps[found] == block[k].step) out[(*n)++] = block[k];
        }
    }
    return 0;
}
