/* SPDX-License-Identifier: Apache-2.0 */
/* metric_record.c - records of the metric log, written and read. */
#include "track/metric_record.h"

#include <endian.h>
#include <string.h>

#include "base/hash.h"

enum {
    SLOTS = 256, /* keys remembered while writing; with more, a key may be written again */
    LOADED = SLOTS / 2,
    POINT_MAX = 10 + 10 + 10 + 10 + 8,
    POINT_MIN = 1 + 1 + 1 + 8,
};

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static int64_t unzigzag(uint64_t u) { return (int64_t)(u >> 1 ^ (0 - (u & 1))); }

static char *put_varint(char *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) *p++ = (char)(v | 0x80);
    *p++ = (char)v;
    return p;
}

static char *put_value(char *p, double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    u = htole64(u);
    memcpy(p, &u, sizeof u);
    return p + sizeof u;
}

/* Keys of a record by hash: open addressing, number of the key and its first point. */
typedef struct {
    uint16_t number[SLOTS];
    uint32_t point[SLOTS];
    size_t n;
} known;

/* Number of the key of point i, 0 if it is new (and is remembered). */
static uint64_t number_of(known *k, const wr_track_point *p, size_t i, uint64_t *count)
{
    size_t slot = wr_hash64(p[i].key.p, p[i].key.n, 0) % SLOTS;
    for (; k->number[slot]; slot = (slot + 1) % SLOTS) {
        if (wr_str_eq(p[k->point[slot]].key, p[i].key)) return k->number[slot];
    }
    ++*count;
    if (k->n < LOADED) {
        k->number[slot] = (uint16_t)*count;
        k->point[slot] = (uint32_t)i;
        k->n++;
    }
    return 0;
}

void wr_metric_record_write(wr_buf *out, int64_t run, const wr_track_point *p, size_t n)
{
    known keys = {.n = 0};
    uint64_t count = 0, number = 0;
    int64_t before = 0;
    if (n > 1) memset(keys.number, 0, sizeof keys.number);
    if (!wr_buf_reserve(out, 20)) return;
    char *at = put_varint(put_varint(out->p + out->n, (uint64_t)run), n);
    out->n = (size_t)(at - out->p);
    for (size_t i = 0; i < n; i++) {
        if (!i || !wr_str_eq(p[i].key, p[i - 1].key)) number = number_of(&keys, p, i, &count);
        else if (!number) number = count;
        if (!wr_buf_reserve(out, POINT_MAX + (number ? 0 : p[i].key.n))) return;
        at = put_varint(out->p + out->n, number);
        if (!number) {
            at = put_varint(at, p[i].key.n);
            memcpy(at, p[i].key.p, p[i].key.n);
            at += p[i].key.n;
        }
        at = put_varint(at, zigzag(p[i].step));
        at = put_varint(at, zigzag((int64_t)((uint64_t)p[i].time_ms - (uint64_t)before)));
        at = put_value(at, p[i].value);
        before = p[i].time_ms;
        out->n = (size_t)(at - out->p);
    }
}

/* ---- reading ---- */

typedef struct {
    const unsigned char *p, *end;
} source;

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

static bool take_key(source *s, wr_str *out)
{
    uint64_t n;
    if (!take_varint(s, &n) || n > (size_t)(s->end - s->p)) return false;
    *out = (wr_str){(const char *)s->p, (size_t)n};
    s->p += n;
    return true;
}

static bool take_point(source *s, wr_track_point *out, wr_str *keys, size_t *nkeys, int64_t before)
{
    uint64_t number, step, delta, bits;
    if (!take_varint(s, &number) || number > *nkeys) return false;
    if (!number) {
        if (!take_key(s, &keys[*nkeys])) return false;
        number = ++*nkeys;
    }
    out->key = keys[number - 1];
    if (!take_varint(s, &step) || !take_varint(s, &delta) || s->end - s->p < 8) return false;
    memcpy(&bits, s->p, sizeof bits);
    s->p += sizeof bits;
    bits = le64toh(bits);
    out->step = unzigzag(step);
    out->time_ms = (int64_t)((uint64_t)before + (uint64_t)unzigzag(delta));
    memcpy(&out->value, &bits, sizeof bits);
    return true;
}

static int corrupt(wr_err *err) { return wr_err_set(err, WEIR_ECORRUPT, "a record of the metric log makes no sense"); }

int wr_metric_record_read(int64_t *run, wr_track_point **p, size_t *n, wr_arena *a, wr_str payload, wr_err *err)
{
    source s = {(const unsigned char *)payload.p, (const unsigned char *)payload.p + payload.n};
    uint64_t id, count;
    size_t nkeys = 0;
    if (!take_varint(&s, &id) || id > INT64_MAX || !take_varint(&s, &count) ||
        count > (size_t)(s.end - s.p) / POINT_MIN)
        return corrupt(err);
    *run = (int64_t)id;
    *n = (size_t)count;
    *p = wr_arena_alloc(a, *n * sizeof **p);
    wr_str *keys = wr_arena_alloc(a, *n * sizeof *keys);
    if (!*p || !keys) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) {
        if (!take_point(&s, *p + i, keys, &nkeys, i ? (*p)[i - 1].time_ms : 0)) return corrupt(err);
    }
    return s.p == s.end ? 0 : corrupt(err);
}
