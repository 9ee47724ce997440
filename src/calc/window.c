/* SPDX-License-Identifier: Apache-2.0 */
/* window.c - sliding-window sums by key.
 *
 * One key's events, in one allocation:
 *
 *   time   [ dropped ... | - | t t t t t | free ]      live events are head .. end-1, head >= 1
 *   sum    [ dropped ... | s | s s s s s | free ]      nvalues running sums a slot; slot head-1: before the first
 *   count  likewise, of non-missing values
 *
 * Dropping moves head; when the array is full, the live part slides to the front (if that frees half) or the array
 * doubles, and the sums are counted from zero again, so they do not grow with the age of the key. A key without live
 * events has no array; `nempty` counts such keys, and rebuild() removes them.
 */
#include "calc/window.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    CAP_MIN = 4,
    DEFAULT_MAX = 1000000,
    OPTION_MAX = 1 << 29,
    SWEEP = 2,                  /* keys looked at with an add: more than the one key it may bring */
    SWEEP_WHEN_FULL = 64,
    REBUILD_MIN = 1024,
};

typedef struct {
    int64_t *time;              /* NULL when cap is 0; sums and counts follow */
    uint32_t head, end, cap;
} series;

struct wr_window {
    wr_window_opt opt;
    wr_map keys;                /* value: series */
    size_t nempty, nevents, sweep;
    int64_t newest;
};

static double *sums(const wr_window *w, const series *s, size_t slot)
{
    return (double *)(void *)(s->time + s->cap) + slot * w->opt.nvalues;
}

static uint32_t *counts(const wr_window *w, const series *s, size_t slot)
{
    return (uint32_t *)(void *)sums(w, s, s->cap) + slot * w->opt.nvalues;
}

static size_t slot_bytes(const wr_window *w)
{
    return sizeof(int64_t) + w->opt.nvalues * (sizeof(double) + sizeof(uint32_t));
}

/* First live slot with time > t. */
static uint32_t after(const series *s, int64_t t)
{
    uint32_t lo = s->head, n = s->end - s->head;
    while (n > 0) {
        uint32_t half = n / 2;
        if (s->time[lo + half] <= t) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}

/* First live slot that is within the horizon. */
static uint32_t first_kept(const wr_window *w, const series *s)
{
    int64_t dropped;
    return __builtin_sub_overflow(w->newest, w->opt.horizon_us, &dropped) || dropped == INT64_MIN
               ? s->head
               : after(s, dropped - 1);
}

static int check_option(const wr_window_opt *o, wr_err *err)
{
    if (o->nvalues < 1 || o->nvalues > WR_WINDOW_VALUES)
        return wr_err_set(err, WEIR_EINVAL, "\"nvalues\" is %zu, not 1 to %d", o->nvalues, WR_WINDOW_VALUES);
    if (o->horizon_us <= 0) return wr_err_set(err, WEIR_EINVAL, "\"horizon_us\" is not positive");
    if (o->max_events > OPTION_MAX)
        return wr_err_set(err, WEIR_EINVAL, "\"max_events\" is %zu, above %d", o->max_events, OPTION_MAX);
    if (o->max_keys > OPTION_MAX)
        return wr_err_set(err, WEIR_EINVAL, "\"max_keys\" is %zu, above %d", o->max_keys, OPTION_MAX);
    return 0;
}

int wr_window_new(wr_window **out, const wr_window_opt *opt, wr_err *err)
{
    WR_TRY(check_option(opt, err));
    wr_window *w = wr_calloc(1, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->opt = *opt;
    if (!w->opt.max_events) w->opt.max_events = DEFAULT_MAX;
    if (!w->opt.max_keys) w->opt.max_keys = DEFAULT_MAX;
    w->newest = INT64_MIN;
    wr_map_init(&w->keys);
    *out = w;
    return 0;
}

static void series_free(series *s)
{
    wr_free(s->time);
    wr_free(s);
}

void wr_window_free(wr_window *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->keys.n; i++) series_free(w->keys.at[i].value);
    wr_map_fini(&w->keys);
    wr_free(w);
}

/* Live events of `from` to the front of `to` (maybe the same array), sums counted from zero. */
static void slide(const wr_window *w, series *to, const series *from)
{
    size_t nv = w->opt.nvalues, n = from->end - from->head;
    const double *base_sum = sums(w, from, from->head - 1);
    const uint32_t *base_count = counts(w, from, from->head - 1);
    memmove(to->time + 1, from->time + from->head, n * sizeof *to->time);
    for (size_t i = 1; i <= n; i++) {
        for (size_t v = 0; v < nv; v++) {
            sums(w, to, i)[v] = sums(w, from, from->head - 1 + i)[v] - base_sum[v];
            counts(w, to, i)[v] = counts(w, from, from->head - 1 + i)[v] - base_count[v];
        }
    }
    memset(sums(w, to, 0), 0, nv * sizeof(double));
    memset(counts(w, to, 0), 0, nv * sizeof(uint32_t));
    to->end = (uint32_t)(n + 1);
    to->head = 1;
}

/* An array of `cap` slots for `s`, live events kept. */
static int resize(const wr_window *w, series *s, uint32_t cap)
{
    series big = {.head = 1, .end = 1, .cap = cap};
    big.time = wr_calloc(cap, slot_bytes(w));
    if (!big.time) return WEIR_ENOMEM;
    if (s->time) slide(w, &big, s);
    wr_free(s->time);
    *s = big;
    return 0;
}

static int make_room(const wr_window *w, series *s)
{
    if (s->end < s->cap) return 0;
    if (s->cap && s->head - 1 >= s->cap / 2) {
        slide(w, s, s);
        return 0;
    }
    return resize(w, s, s->cap ? s->cap * 2 : CAP_MIN);
}

/* Drop what is older than the horizon; give back memory that is mostly free. */
static void trim(wr_window *w, series *s)
{
    if (!s->time) return;
    uint32_t keep = first_kept(w, s);
    w->nevents -= keep - s->head;
    s->head = keep;
    uint32_t live = s->end - s->head;
    if (live == 0) {
        wr_free(s->time);
        *s = (series){0};
        w->nempty++;
    } else if (s->cap > 4 * CAP_MIN && live < s->cap / 8) {
        resize(w, s, 2 * live + CAP_MIN); /* without memory it stays as large as it was */
    }
}

static void sweep(wr_window *w, size_t steps)
{
    for (; steps > 0 && w->keys.n > 0; steps--) {
        if (w->sweep >= w->keys.n) w->sweep = 0;
        trim(w, w->keys.at[w->sweep++].value);
    }
}

/* A new map of the keys that have events. */
static int rebuild(wr_window *w)
{
    wr_map live;
    wr_map_init(&live);
    for (size_t i = 0; i < w->keys.n; i++) {
        series *s = w->keys.at[i].value;
        if (s->time && wr_map_put(&live, w->keys.at[i].key, s) < 0) {
            wr_map_fini(&live);
            return WEIR_ENOMEM;
        }
    }
    for (size_t i = 0; i < w->keys.n; i++) {
        series *s = w->keys.at[i].value;
        if (!s->time) series_free(s);
    }
    wr_map_fini(&w->keys);
    w->keys = live;
    w->nempty = w->sweep = 0;
    return 0;
}

/* Room in the map for one more key. A rebuild costs all keys, so it waits until it frees a fair share of them. */
static int key_room(wr_window *w, wr_err *err)
{
    bool full = w->keys.n >= w->opt.max_keys;
    if (full) sweep(w, SWEEP_WHEN_FULL);
    bool worth = full ? w->nempty > 0 && w->nempty >= w->opt.max_keys / 16
                      : w->keys.n >= REBUILD_MIN && w->nempty > w->keys.n / 2;
    if (worth && rebuild(w) < 0 && full) return wr_err_nomem(err);
    if (w->keys.n >= w->opt.max_keys) return wr_err_set(err, WEIR_ELIMIT, "window already holds %zu keys", w->keys.n);
    return 0;
}

static int series_of(wr_window *w, series **out, wr_str key, wr_err *err)
{
    *out = wr_map_get(&w->keys, key);
    if (*out) return 0;
    WR_TRY(key_room(w, err));
    series *s = wr_calloc(1, sizeof *s);
    if (!s || wr_map_put(&w->keys, key, s) < 0) {
        wr_free(s);
        return wr_err_nomem(err);
    }
    w->nempty++;
    *out = s;
    return 0;
}

static void shift(const wr_window *w, series *s, uint32_t at)
{
    size_t nv = w->opt.nvalues, n = s->end - at;
    memmove(s->time + at + 1, s->time + at, n * sizeof *s->time);
    memmove(sums(w, s, at + 1), sums(w, s, at), n * nv * sizeof(double));
    memmove(counts(w, s, at + 1), counts(w, s, at), n * nv * sizeof(uint32_t));
    s->end++;
}

/* Put an event behind those of its time or before; later running sums grow by it. */
static void insert(const wr_window *w, series *s, int64_t time_us, const double *values)
{
    size_t nv = w->opt.nvalues;
    uint32_t at = after(s, time_us);
    shift(w, s, at);
    s->time[at] = time_us;
    memcpy(sums(w, s, at), sums(w, s, at - 1), nv * sizeof(double));
    memcpy(counts(w, s, at), counts(w, s, at - 1), nv * sizeof(uint32_t));
    for (size_t v = 0; v < nv; v++) {
        if (!isfinite(values[v])) continue;
        for (uint32_t i = at; i < s->end; i++) {
            sums(w, s, i)[v] += values[v];
            counts(w, s, i)[v]++;
        }
    }
}

/* True when the event at time t would be dropped at once. */
static bool too_old(const wr_window *w, int64_t t)
{
    int64_t oldest;
    return !__builtin_sub_overflow(w->newest, w->opt.horizon_us, &oldest) && t < oldest;
}

int wr_window_add(wr_window *w, wr_str key, int64_t time_us, const double *values, wr_err *err)
{
    series *s;
    if (key.n > WR_WINDOW_KEY)
        return wr_err_set(err, WEIR_EINVAL, "key of %zu bytes, longer than %d", key.n, WR_WINDOW_KEY);
    if (time_us > w->newest) w->newest = time_us;
    sweep(w, SWEEP);
    if (too_old(w, time_us)) return 0;
    WR_TRY(series_of(w, &s, key, err));
    trim(w, s);
    uint32_t live = s->end - s->head;
    if (live >= w->opt.max_events) {
        if (time_us < s->time[s->head]) return 0;
        s->head++;
        w->nevents--;
    }
    bool empty = !s->time;
    if (make_room(w, s) < 0) return wr_err_nomem(err);
    insert(w, s, time_us, values);
    w->nempty -= empty;
    w->nevents++;
    return 0;
}

void wr_window_get(const wr_window *w, wr_str key, int64_t time_us, int64_t window_us, size_t v, double *sum,
                   uint32_t *count)
{
    *sum = 0;
    *count = 0;
    const series *s = wr_map_get(&w->keys, key);
    if (!s || !s->time || window_us <= 0) return;
    uint32_t begin = first_kept(w, s), end = after(s, time_us);
    int64_t from;
    if (!__builtin_sub_overflow(time_us, window_us, &from)) {
        uint32_t inside = after(s, from);
        if (inside > begin) begin = inside;
    }
    if (begin >= end) return;
    *sum = sums(w, s, end - 1)[v] - sums(w, s, begin - 1)[v];
    *count = counts(w, s, end - 1)[v] - counts(w, s, begin - 1)[v];
}

int64_t wr_window_newest(const wr_window *w) { return w->newest; }
size_t wr_window_events(const wr_window *w) { return w->nevents; }

/* The snapshot, little-endian as the machine is:
 *
 *   "WEIRWNDW" u32 version, u32 nvalues, i64 horizon_us, u64 max_events, u64 max_keys, i64 newest, u64 keys, u64 events
 *   key: u32 bytes, u32 n, the bytes, i64 time[n], f64 sum[n + 1][nvalues], u32 count[n + 1][nvalues]
 *   u64 XXH3 of all before
 *
 * Slot 0 of sum and count is what was before the first event. Events past the horizon and keys without events are
 * left out.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the snapshot is written as the machine keeps it");

typedef struct {
    char magic[8];
    uint32_t version, nvalues;
    int64_t horizon_us;
    uint64_t max_events, max_keys;
    int64_t newest;
    uint64_t keys, events;
} head;
_Static_assert(sizeof(head) == 64, "no padding in the file");

static const char magic[8] = {'W', 'E', 'I', 'R', 'W', 'N', 'D', 'W'};

static size_t series_bytes(const wr_window *w, size_t key, size_t n)
{
    return 8 + key + (n + 1) * slot_bytes(w) - sizeof(int64_t);
}

/* Live events of entry i within the horizon; `first` is their first slot. */
static uint32_t kept(const wr_window *w, size_t i, uint32_t *first)
{
    const series *s = w->keys.at[i].value;
    if (!s->time) return 0;
    *first = first_kept(w, s);
    return s->end - *first;
}

static void save_series(const wr_window *w, wr_buf *out, size_t i, uint32_t first, uint32_t n)
{
    const series *s = w->keys.at[i].value;
    wr_str key = w->keys.at[i].key;
    uint32_t len = (uint32_t)key.n;
    size_t nv = w->opt.nvalues;
    wr_buf_add(out, &len, sizeof len);
    wr_buf_add(out, &n, sizeof n);
    wr_buf_slice(out, key);
    wr_buf_add(out, s->time + first, n * sizeof *s->time);
    wr_buf_add(out, sums(w, s, first - 1), (n + (size_t)1) * nv * sizeof(double));
    wr_buf_add(out, counts(w, s, first - 1), (n + (size_t)1) * nv * sizeof(uint32_t));
}

int wr_window_save(const wr_window *w, wr_buf *out, wr_err *err)
{
    head h = {.version = 1, .nvalues = (uint32_t)w->opt.nvalues, .horizon_us = w->opt.horizon_us,
              .max_events = w->opt.max_events, .max_keys = w->opt.max_keys, .newest = w->newest};
    memcpy(h.magic, magic, sizeof magic);
    size_t bytes = sizeof h + sizeof(uint64_t), start = out->n;
    uint32_t first, n;
    for (size_t i = 0; i < w->keys.n; i++) {
        if ((n = kept(w, i, &first)) == 0) continue;
        h.keys++;
        h.events += n;
        bytes += series_bytes(w, w->keys.at[i].key.n, n);
    }
    size_t max = out->max ? out->max : WR_BUF_MAX;
    if (bytes >= max - start)
        return wr_err_set(err, WEIR_ELIMIT, "snapshot of %zu bytes, more than %zu", bytes, max - start);
    if (!wr_buf_reserve(out, bytes)) return wr_err_nomem(err);
    wr_buf_add(out, &h, sizeof h);
    for (size_t i = 0; i < w->keys.n; i++) {
        if ((n = kept(w, i, &first)) > 0) save_series(w, out, i, first, n);
    }
    uint64_t sum = wr_hash64(out->p + start, out->n - start, 0);
    wr_buf_add(out, &sum, sizeof sum);
    return 0;
}

static bool take(wr_str *rest, void *to, size_t n)
{
    if (rest->n < n) return false;
    if (n) memcpy(to, rest->p, n);
    rest->p += n;
    rest->n -= n;
    return true;
}

/* Are times in order and within the horizon, and does each count step by 0 (with an unchanged sum) or 1? */
static bool series_sound(const wr_window *w, const series *s)
{
    size_t nv = w->opt.nvalues;
    if (s->time[s->end - 1] > w->newest || too_old(w, s->time[s->head])) return false;
    for (uint32_t i = s->head; i < s->end; i++) {
        if (i > s->head && s->time[i] < s->time[i - 1]) return false;
        for (size_t v = 0; v < nv; v++) {
            uint32_t step = counts(w, s, i)[v] - counts(w, s, i - 1)[v];
            if (step > 1 || (step == 0 && memcmp(&sums(w, s, i)[v], &sums(w, s, i - 1)[v], sizeof(double)) != 0))
                return false;
        }
    }
    return true;
}

static int corrupt(wr_err *err, const char *what)
{
    wr_err_set(err, WEIR_ECORRUPT, "window snapshot cannot be used");
    return wr_err_detail(err, WEIR_ECORRUPT, "%s", what);
}

static int load_series(wr_window *w, wr_str *rest, wr_err *err)
{
    uint32_t len, n;
    if (!take(rest, &len, sizeof len) || !take(rest, &n, sizeof n)) return corrupt(err, "cut short");
    if (len > WR_WINDOW_KEY || n == 0 || n > w->opt.max_events) return corrupt(err, "a key's lengths are out of range");
    if (rest->n < series_bytes(w, len, n) - 8) return corrupt(err, "cut short");
    wr_str key = {rest->p, len};
    rest->p += len;
    rest->n -= len;
    if (wr_map_find(&w->keys, key) >= 0) return corrupt(err, "a key stands twice");
    series *s = wr_calloc(1, sizeof *s);
    if (!s || wr_map_put(&w->keys, key, s) < 0) {
        wr_free(s);
        return wr_err_nomem(err);
    }
    if (resize(w, s, n + 1) < 0) return wr_err_nomem(err);
    size_t nv = w->opt.nvalues;
    take(rest, s->time + 1, n * sizeof *s->time);
    take(rest, sums(w, s, 0), (n + (size_t)1) * nv * sizeof(double));
    take(rest, counts(w, s, 0), (n + (size_t)1) * nv * sizeof(uint32_t));
    s->end = n + 1;
    w->nevents += n;
    return series_sound(w, s) ? 0 : corrupt(err, "a key's events contradict each other");
}

static int load_head(head *h, wr_window_opt *o, wr_str *rest, wr_err *err)
{
    if (rest->n < sizeof *h + sizeof(uint64_t)) return corrupt(err, "cut short");
    uint64_t sum;
    memcpy(&sum, rest->p + rest->n - sizeof sum, sizeof sum);
    rest->n -= sizeof sum;
    bool same = wr_hash64(rest->p, rest->n, 0) == sum;
    take(rest, h, sizeof *h);
    if (memcmp(h->magic, magic, sizeof magic) != 0) return corrupt(err, "not a window snapshot");
    if (h->version != 1) return corrupt(err, "made by a newer version");
    if (!same) return corrupt(err, "checksum does not match");
    *o = (wr_window_opt){h->nvalues, h->horizon_us, h->max_events, h->max_keys};
    if (check_option(o, NULL) < 0 || !o->max_events || !o->max_keys) return corrupt(err, "an option is out of range");
    if (h->keys > h->max_keys || h->keys > rest->n) return corrupt(err, "number of keys out of range");
    return 0;
}

int wr_window_load(wr_window **out, wr_str bytes, wr_err *err)
{
    head h;
    wr_window_opt opt;
    wr_window *w = NULL;
    WR_TRY(load_head(&h, &opt, &bytes, err));
    WR_TRY(wr_window_new(&w, &opt, err));
    w->newest = h.newest;
    int rc = 0;
    for (uint64_t i = 0; i < h.keys && rc == 0; i++) rc = load_series(w, &bytes, err);
    if (rc == 0 && (bytes.n != 0 || w->nevents != h.events)) rc = corrupt(err, "lengths do not add up");
    if (rc < 0) {
        wr_window_free(w);
        return rc;
    }
    *out = w;
    return 0;
}
