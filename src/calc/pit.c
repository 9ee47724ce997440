/* SPDX-License-Identifier: Apache-2.0 */
/* pit.c - point-in-time join over events grouped by key and sorted by time.
 *
 *   start  [ 0      3  4        7 ]      events of key k are start[k] .. start[k+1]-1
 *   time   [ 1 5 9 | 2 | 3 3 8 ]
 *   row    [ 4 0 6 | 2 | 1 5 3 ]         index in the input
 *   sum[v] [ a a+b a+b+c | d | ... ]     running within the key; present[v] likewise, NULL if nothing is missing
 *
 * Rows are answered in batches: every row of a batch takes one step of its binary search before any takes the next,
 * which keeps a dozen cache misses in flight instead of one.
 */
#include "calc/pit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "calc/sort.h"

struct wr_pit {
    size_t n;
    uint32_t nkeys;
    uint32_t *start;            /* nkeys + 1 */
    int64_t *time;
    uint32_t *row;
    size_t nvalues;
    double **sum;
    uint32_t **present;
};

void wr_pit_free(wr_pit *p)
{
    if (!p) return;
    for (size_t v = 0; v < p->nvalues; v++) {
        if (p->sum) wr_free(p->sum[v]);
        if (p->present) wr_free(p->present[v]);
    }
    wr_free(p->sum);
    wr_free(p->present);
    wr_free(p->start);
    wr_free(p->time);
    wr_free(p->row);
    wr_free(p);
}

/* start[k] = first position of key k; the events without a key are left out of n. */
static int count_keys(wr_pit *p, const uint32_t *key, size_t n, wr_err *err)
{
    uint32_t *count = p->start + 1;
    size_t without = 0;
    for (size_t i = 0; i < n; i++) {
        if (key[i] < p->nkeys) {
            count[key[i]]++;
        } else if (key[i] == UINT32_MAX) {
            without++;
        } else {
            return wr_err_set(err, WEIR_EINVAL, "event %zu has key %u of %u keys", i, key[i], p->nkeys);
        }
    }
    for (uint32_t k = 0; k < p->nkeys; k++) p->start[k + 1] += p->start[k];
    p->n = n - without;
    return 0;
}

/* Move events to their key's place, in input order; `sorted` says whether each key's times already rise. */
static int group(wr_pit *p, const uint32_t *key, const int64_t *time_us, size_t n, bool *sorted)
{
    uint32_t *at = wr_calloc((size_t)p->nkeys + 1, sizeof *at);
    if (!at) return WEIR_ENOMEM;
    memcpy(at, p->start, ((size_t)p->nkeys + 1) * sizeof *at);
    int64_t before = INT64_MIN;
    bool rising = true;             /* as a stream of events comes: then every key's times rise too */
    for (size_t i = 0; i < n; i++) {
        if (key[i] == UINT32_MAX) continue;
        rising &= before <= time_us[i];
        before = time_us[i];
        uint32_t to = at[key[i]]++;
        p->time[to] = time_us[i];
        p->row[to] = (uint32_t)i;
    }
    wr_free(at);
    *sorted = true;
    for (uint32_t k = 0; k < p->nkeys && *sorted && !rising; k++) {
        for (uint32_t i = p->start[k] + 1; i < p->start[k + 1]; i++) *sorted &= p->time[i - 1] <= p->time[i];
    }
    return 0;
}

static int sort_times(wr_pit *p)
{
    size_t longest = 0;
    for (uint32_t k = 0; k < p->nkeys; k++) {
        size_t n = p->start[k + 1] - p->start[k];
        if (n > longest) longest = n;
    }
    WR_AUTOFREE uint64_t *time = wr_calloc(longest, sizeof *time);
    WR_AUTOFREE uint64_t *time_scratch = wr_calloc(longest, sizeof *time_scratch);
    WR_AUTOFREE uint32_t *row_scratch = wr_calloc(longest, sizeof *row_scratch);
    if (!time || !time_scratch || !row_scratch) return WEIR_ENOMEM;
    for (uint32_t k = 0; k < p->nkeys; k++) {
        size_t first = p->start[k], n = p->start[k + 1] - first;
        for (size_t i = 0; i < n; i++) time[i] = wr_key_i64(p->time[first + i]);
        wr_sort_u64_u32(time, p->row + first, time_scratch, row_scratch, n);
        for (size_t i = 0; i < n; i++) p->time[first + i] = wr_i64_of_key(time[i]);
    }
    return 0;
}

static bool some_missing(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return true;
    }
    return false;
}

static int add_sums(wr_pit *p, size_t v, const double *x, size_t n)
{
    double *sum = p->sum[v] = wr_calloc(p->n ? p->n : 1, sizeof *sum);
    if (!sum) return WEIR_ENOMEM;
    uint32_t *present = NULL;
    if (some_missing(x, n)) {
        present = p->present[v] = wr_calloc(p->n ? p->n : 1, sizeof *present);
        if (!present) return WEIR_ENOMEM;
    }
    for (uint32_t k = 0; k < p->nkeys; k++) {
        double run = 0;
        uint32_t seen = 0;
        for (uint32_t i = p->start[k]; i < p->start[k + 1]; i++) {
            double add = x[p->row[i]];
            if (isfinite(add)) {
                run += add;
                seen++;
            }
            sum[i] = run;
            if (present) present[i] = seen;
        }
    }
    return 0;
}

static int build(wr_pit *p, const uint32_t *key, const int64_t *time_us, size_t n, const double *const *values,
                 size_t nvalues)
{
    bool sorted;
    size_t room = p->n ? p->n : 1;
    p->time = wr_alloc(room * sizeof *p->time);
    p->row = wr_alloc(room * sizeof *p->row);
    p->sum = wr_calloc(nvalues ? nvalues : 1, sizeof *p->sum);
    p->present = wr_calloc(nvalues ? nvalues : 1, sizeof *p->present);
    if (!p->time || !p->row || !p->sum || !p->present) return WEIR_ENOMEM;
    p->nvalues = nvalues;
    WR_TRY(group(p, key, time_us, n, &sorted));
    if (!sorted) WR_TRY(sort_times(p));
    for (size_t v = 0; v < nvalues; v++) WR_TRY(add_sums(p, v, values[v], n));
    return 0;
}

int wr_pit_new(wr_pit **out, const uint32_t *key, const int64_t *time_us, size_t n, uint32_t nkeys,
               const double *const *values, size_t nvalues, wr_err *err)
{
    if (n >= UINT32_MAX) return wr_err_set(err, WEIR_ELIMIT, "%zu events in one join", n);
    wr_pit *p = wr_calloc(1, sizeof *p);
    if (!p) return wr_err_nomem(err);
    p->nkeys = nkeys;
    p->start = wr_calloc((size_t)nkeys + 1, sizeof *p->start);
    int rc = p->start ? count_keys(p, key, n, err) : wr_err_nomem(err);
    if (rc == 0 && build(p, key, time_us, n, values, nvalues) < 0) rc = wr_err_nomem(err);
    if (rc < 0) {
        wr_pit_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

enum { BATCH = 16, CHUNK = 1 << 14 };

typedef struct {
    const wr_pit *p;
    const uint32_t *key;
    const int64_t *time_us;
    size_t nrows;
    int64_t ttl_us, window_us;
    size_t v;
    int64_t *out;
    double *sum;
    uint32_t *count;
} question;

/* Events of the rows' keys: positions first[j] .. last[j]-1. */
static void ranges(const wr_pit *p, const uint32_t *key, size_t n, uint32_t *first, uint32_t *last)
{
    for (size_t j = 0; j < n; j++) {
        first[j] = key[j] < p->nkeys ? p->start[key[j]] : 0;
        last[j] = key[j] < p->nkeys ? p->start[key[j] + 1] : 0;
    }
}

/* For each row of the batch: position after the last event in [from, to) with time <= t. */
static void upper(const wr_pit *p, size_t n, const uint32_t *from, const uint32_t *to, const int64_t *t, uint32_t *end)
{
    uint32_t len[BATCH], longest = 0;
    for (size_t j = 0; j < n; j++) {
        end[j] = from[j];
        len[j] = to[j] - from[j];
        if (len[j] > longest) longest = len[j];
    }
    while (longest > 0) {
        longest /= 2;               /* halving the longest halves all */
        for (size_t j = 0; j < n; j++) {
            if (len[j] == 0) continue;
            uint32_t half = len[j] / 2;
            bool right = p->time[end[j] + half] <= t[j];
            end[j] = right ? end[j] + half + 1 : end[j];
            len[j] = right ? len[j] - half - 1 : half;
        }
    }
}

static void last_batch(const question *q, size_t i, size_t n)
{
    const wr_pit *p = q->p;
    uint32_t first[BATCH], last[BATCH], end[BATCH];
    ranges(p, q->key + i, n, first, last);
    upper(p, n, first, last, q->time_us + i, end);
    for (size_t j = 0; j < n; j++) {
        int64_t oldest;
        bool found = end[j] > first[j];
        if (found && q->ttl_us > 0 && !__builtin_sub_overflow(q->time_us[i + j], q->ttl_us, &oldest))
            found = p->time[end[j] - 1] >= oldest;
        q->out[i + j] = found ? (int64_t)p->row[end[j] - 1] : -1;
    }
}

/* Sum and count of the events begin .. end-1 of a key whose first event is `first`. */
static void answer(const question *q, size_t row, uint32_t first, uint32_t begin, uint32_t end)
{
    const double *sum = q->p->sum[q->v];
    const uint32_t *present = q->p->present[q->v];
    bool some = end > begin, head = begin > first;
    uint32_t before = begin - 1;
    q->sum[row] = some ? sum[end - 1] - (head ? sum[before] : 0) : 0;
    q->count[row] = !some ? 0 : present ? present[end - 1] - (head ? present[before] : 0) : end - begin;
}

static void window_batch(const question *q, size_t i, size_t n)
{
    const wr_pit *p = q->p;
    uint32_t first[BATCH], last[BATCH], end[BATCH], begin[BATCH];
    int64_t after[BATCH] = {0};
    ranges(p, q->key + i, n, first, last);
    upper(p, n, first, last, q->time_us + i, end);
    for (size_t j = 0; j < n; j++) {
        if (q->window_us <= 0) last[j] = end[j] = first[j];
        /* A window that reaches before the beginning of time holds all: search an empty range. */
        last[j] = __builtin_sub_overflow(q->time_us[i + j], q->window_us, &after[j]) ? first[j] : end[j];
    }
    upper(p, n, first, last, after, begin);
    for (size_t j = 0; j < n; j++) answer(q, i + j, first[j], begin[j], end[j]);
}

/* Rows in time order: the window of a key only moves forward, so two positions a key replace the searches. */
static bool in_order(const int64_t *t, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (t[i] < t[i - 1]) return false;
    return true;
}

static uint32_t forward(const wr_pit *p, uint32_t at, uint32_t last, int64_t t)
{
    while (at < last && p->time[at] <= t) at++;
    return at;
}

/* Answers rows i..to-1; false if they are not in order or the keys are too many for it to pay. */
static bool window_walk(const question *q, size_t i, size_t to)
{
    const wr_pit *p = q->p;
    if (q->window_us <= 0 || p->nkeys > CHUNK || !in_order(q->time_us + i, to - i)) return false;
    typedef struct { uint32_t begin, end; bool known; } place;
    WR_AUTOFREE place *at = wr_calloc(p->nkeys ? p->nkeys : 1, sizeof *at);
    if (!at) return false;
    for (; i < to; i++) {
        uint32_t key = q->key[i], first, last;
        int64_t after;
        ranges(p, &key, 1, &first, &last);
        if (first == last) {
            answer(q, i, first, first, first);
            continue;
        }
        place *k = &at[key];
        bool whole = __builtin_sub_overflow(q->time_us[i], q->window_us, &after);
        if (!k->known) {
            upper(p, 1, &first, &last, &q->time_us[i], &k->end);
            if (!whole) upper(p, 1, &first, &k->end, &after, &k->begin);
            else k->begin = first;
            k->known = true;
        }
        k->end = forward(p, k->end, last, q->time_us[i]);
        if (!whole) k->begin = forward(p, k->begin, k->end, after);
        answer(q, i, first, k->begin, k->end);
    }
    return true;
}

static void ask_chunk(void *ctx, size_t index)
{
    const question *q = ctx;
    size_t end = (index + 1) * CHUNK < q->nrows ? (index + 1) * CHUNK : q->nrows;
    if (!q->out && window_walk(q, index * CHUNK, end)) return;
    for (size_t i = index * CHUNK; i < end; i += BATCH) {
        size_t n = end - i < BATCH ? end - i : BATCH;
        if (q->out) {
            last_batch(q, i, n);
        } else {
            window_batch(q, i, n);
        }
    }
}

void wr_pit_last(const wr_pit *p, const uint32_t *key, const int64_t *time_us, size_t nrows, int64_t ttl_us,
                 int64_t *out, wr_pool *pool)
{
    question q = {.p = p, .key = key, .time_us = time_us, .nrows = nrows, .ttl_us = ttl_us, .out = out};
    wr_pool_for(pool, (nrows + CHUNK - 1) / CHUNK, ask_chunk, &q);
}

void wr_pit_window(const wr_pit *p, size_t v, const uint32_t *key, const int64_t *time_us, size_t nrows,
                   int64_t window_us, double *sum, uint32_t *count, wr_pool *pool)
{
    question q = {.p = p, .key = key, .time_us = time_us, .nrows = nrows, .window_us = window_us,
                  .v = v, .sum = sum, .count = count};
    wr_pool_for(pool, (nrows + CHUNK - 1) / CHUNK, ask_chunk, &q);
}
