/* SPDX-License-Identifier: Apache-2.0 */
/* metric_sample.c - evenly sampled steps of many runs.
 *
 *   1. what memory has of each run
 *   2. heads of all chunks: an even chunk tells its steps without being read; the others are decoded for them
 *   3. the set of distinct steps within the range: a bit for each step, or a sorted list where steps lie far apart
 *   4. the sampled ones; of each run the blocks of those chunks that meet one of them */
#include <stdlib.h>
#include <string.h>

#include "calc/sort.h"
#include "track/metric_inside.h"

enum {
    MARKS = 256,        /* runs asked for in one query */
    BITS_MAX = 1 << 27, /* steps from first to last in a set of bits */
    LIST_MAX = 1 << 26, /* steps in a list */
};

typedef struct {
    int64_t run, seq, min, max, stride;
} head;

typedef WR_VEC(int64_t) steps;

typedef struct {
    int64_t lo;     /* of bit 0 */
    uint64_t *bits; /* NULL: the list is used */
    size_t words;
    WR_VEC(uint64_t) list; /* as sorting keys */
} set;

typedef struct {
    wr_track *t;
    const int64_t *runs;
    size_t n;
    wr_str key;
    int64_t key_id, from, to;
    wr_metric_points *memory; /* of each run */
    WR_VEC(head) heads;       /* by run, seq */
    set set;
    steps sampled; /* ascending */
} work;

/* ---- heads ---- */

static int read_heads(work *w, wr_stmt *s, wr_err *err)
{
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        head h = {.run = wr_stmt_i64(s, 0),
                  .seq = wr_stmt_i64(s, 1),
                  .min = wr_stmt_i64(s, 2),
                  .max = wr_stmt_i64(s, 3),
                  .stride = wr_stmt_i64(s, 4)};
        if (wr_vec_push(&w->heads, h) < 0) return wr_err_nomem(err);
    }
    return rc;
}

static int query_heads(work *w, size_t from, size_t to, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_stmt *s;
    wr_buf_str(&sql, "SELECT run, seq, min_step, max_step, stride FROM track_chunks WHERE key = ? AND run IN (");
    size_t marks = wr_metric_marks(&sql, to - from);
    wr_buf_char(&sql, ')');
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(w->t->db, &s, wr_buf_cstr(&sql), err));
    wr_bind_i64(s, 1, w->key_id);
    for (size_t i = 0; i < marks; i++) wr_bind_i64(s, (int)i + 2, w->runs[from + i < to ? from + i : to - 1]);
    int rc = read_heads(w, s, err);
    wr_stmt_done(s);
    return rc;
}

static int by_run(const void *a, const void *b)
{
    const head *x = a, *y = b;
    if (x->run != y->run) return x->run < y->run ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* ---- the set ---- */

static void set_bit(set *s, int64_t step)
{
    uint64_t at = (uint64_t)step - (uint64_t)s->lo;
    s->bits[at / 64] |= UINT64_C(1) << at % 64;
}

/* All bits from `at` to `to`, both in. */
static void set_bits(set *s, uint64_t at, uint64_t to)
{
    uint64_t first = UINT64_MAX << at % 64, last = UINT64_MAX >> (63 - to % 64);
    if (at / 64 == to / 64) {
        s->bits[at / 64] |= first & last;
        return;
    }
    s->bits[at / 64] |= first;
    for (uint64_t i = at / 64 + 1; i < to / 64; i++) s->bits[i] = UINT64_MAX;
    s->bits[to / 64] |= last;
}

static int add_step(work *w, int64_t step, wr_err *err)
{
    set *s = &w->set;
    if (step < w->from || step > w->to) return 0;
    if (s->bits) {
        /* a chunk may have got points since its head was read */
        if (step >= s->lo && ((uint64_t)step - (uint64_t)s->lo) / 64 < s->words) set_bit(s, step);
        return 0;
    }
    if (s->list.n >= LIST_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "the metric '%.*s' has too many steps", WR_STR_FMT(w->key));
    return wr_vec_push(&s->list, wr_key_i64(step)) < 0 ? wr_err_nomem(err) : 0;
}

/* The steps of an even chunk that are within the range. */
static int add_even(work *w, const head *h, wr_err *err)
{
    uint64_t stride = (uint64_t)h->stride, skip = 0;
    if (h->max < w->from || h->min > w->to) return 0;
    if (!stride) return add_step(w, h->min, err);
    if (h->min < w->from) {
        uint64_t gap = (uint64_t)w->from - (uint64_t)h->min;
        skip = gap / stride + (gap % stride != 0);
        if (skip > ((uint64_t)h->max - (uint64_t)h->min) / stride) return 0;
    }
    int64_t to = h->max < w->to ? h->max : w->to;
    uint64_t at = (uint64_t)h->min + skip * stride;
    if ((int64_t)at > to) return 0;
    uint64_t more = ((uint64_t)to - at) / stride;
    if (w->set.bits && stride == 1) {
        set_bits(&w->set, at - (uint64_t)w->set.lo, at + more - (uint64_t)w->set.lo);
        return 0;
    }
    for (uint64_t i = 0; i <= more; i++) WR_TRY(add_step(w, (int64_t)(at + i * stride), err));
    return 0;
}

/* The steps of a run's chunks that are not even. */
static int add_uneven(work *w, int64_t run, wr_metric_points *room, wr_err *err)
{
    wr_stmt *s;
    int rc;
    WR_TRY(
        wr_track_query(&s, w->t, err,
                       "SELECT data FROM track_chunks WHERE run = ? AND key = ? AND stride = -1 AND max_step >= ? AND "
                       "min_step <= ?",
                       "iiii", run, w->key_id, w->from, w->to));
    while ((rc = wr_step(s, err)) > 0) {
        room->n = 0;
        rc = wr_metric_add_chunk(room, wr_stmt_str(s, 0), err);
        for (size_t i = 0; i < room->n && rc >= 0; i++) rc = add_step(w, room->at[i].step, err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return rc;
}

/* First and last step of everything; false without a point. */
static bool bounds(const work *w, int64_t *lo, int64_t *hi)
{
    bool any = false;
    *lo = INT64_MAX;
    *hi = INT64_MIN;
    for (size_t i = 0; i < w->heads.n; i++) {
        const head *h = &w->heads.at[i];
        if (h->min < *lo) *lo = h->min;
        if (h->max > *hi) *hi = h->max;
        any = true;
    }
    for (size_t r = 0; r < w->n; r++) {
        for (size_t i = 0; i < w->memory[r].n; i++) {
            int64_t step = w->memory[r].at[i].step;
            if (step < *lo) *lo = step;
            if (step > *hi) *hi = step;
            any = true;
        }
    }
    return any;
}

static int start_set(work *w, int64_t lo, int64_t hi, wr_err *err)
{
    if (lo < w->from) lo = w->from;
    if (hi > w->to) hi = w->to;
    uint64_t span = (uint64_t)hi - (uint64_t)lo;
    if (lo > hi || span >= BITS_MAX) return 0;
    w->set.lo = lo;
    w->set.words = (size_t)span / 64 + 1;
    w->set.bits = wr_calloc(w->set.words, sizeof *w->set.bits);
    return w->set.bits ? 0 : wr_err_nomem(err);
}

static int finish_list(set *s, wr_err *err)
{
    size_t n = s->list.n, kept = 0;
    WR_AUTOFREE uint64_t *scratch = wr_alloc(n * sizeof *scratch);
    if (!scratch) return wr_err_nomem(err);
    wr_sort_u64(s->list.at, scratch, n);
    for (size_t i = 0; i < n; i++) {
        if (!kept || s->list.at[kept - 1] != s->list.at[i]) s->list.at[kept++] = s->list.at[i];
    }
    s->list.n = kept;
    return 0;
}

static int fill_set(work *w, wr_err *err)
{
    wr_metric_points room = {0};
    int64_t uneven = 0; /* ids of runs start at 1 */
    int rc = 0;
    for (size_t i = 0; i < w->heads.n && rc >= 0; i++) {
        const head *h = &w->heads.at[i];
        if (h->stride >= 0) {
            rc = add_even(w, h, err);
        } else if (uneven != h->run) { /* all of the run at once */
            uneven = h->run;
            rc = add_uneven(w, h->run, &room, err);
        }
    }
    wr_vec_fini(&room);
    for (size_t r = 0; r < w->n; r++) {
        for (size_t i = 0; i < w->memory[r].n && rc >= 0; i++) rc = add_step(w, w->memory[r].at[i].step, err);
    }
    if (rc >= 0 && !w->set.bits) rc = finish_list(&w->set, err);
    return rc < 0 ? rc : 0;
}

static size_t set_count(const set *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->words; i++) n += (size_t)__builtin_popcountll(s->bits[i]);
    return s->bits ? n : s->list.n;
}

/* A walk over the set: step number `nth`, which must not go down from call to call. */
typedef struct {
    size_t word, before; /* members in the words before it */
} walk;

static int64_t set_at(const set *s, walk *k, size_t nth)
{
    if (!s->bits) return wr_i64_of_key(s->list.at[nth]);
    for (size_t here; k->before + (here = (size_t)__builtin_popcountll(s->bits[k->word])) <= nth; k->word++)
        k->before += here;
    uint64_t bits = s->bits[k->word];
    for (size_t skip = nth - k->before; skip; skip--) bits &= bits - 1;
    return (int64_t)((uint64_t)s->lo + k->word * 64 + (uint64_t)__builtin_ctzll(bits));
}

/* ---- choosing ---- */

static int choose_even(work *w, size_t max, wr_err *err)
{
    size_t n = set_count(&w->set), count = n <= max ? n : max;
    double interval = n <= max ? 1 : (double)n / (double)max;
    walk k = {0};
    if (wr_vec_reserve(&w->sampled, count + 1 + 2 * w->n) < 0) return wr_err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        size_t nth = (size_t)((double)i * interval);
        if (nth < n) w->sampled.at[w->sampled.n++] = set_at(&w->set, &k, nth);
    }
    if (n) w->sampled.at[w->sampled.n++] = set_at(&w->set, &k, n - 1);
    return 0;
}

static void choose_ends(work *w, int64_t lo, int64_t hi)
{
    if (lo > hi) return;
    if (lo >= w->from && lo <= w->to) w->sampled.at[w->sampled.n++] = lo;
    if (hi >= w->from && hi <= w->to) w->sampled.at[w->sampled.n++] = hi;
}

static head *heads_of(work *w, int64_t run, size_t *n)
{
    size_t at = 0, left = w->heads.n;
    while (left) {
        size_t half = left / 2;
        if (w->heads.at[at + half].run < run) at += half + 1, left -= half + 1;
        else left = half;
    }
    for (*n = 0; at + *n < w->heads.n && w->heads.at[at + *n].run == run;) ++*n;
    return w->heads.at + at;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int choose(work *w, size_t max, wr_err *err)
{
    WR_TRY(choose_even(w, max, err));
    for (size_t r = 0; r < w->n; r++) {
        size_t n;
        const head *h = heads_of(w, w->runs[r], &n);
        int64_t lo = INT64_MAX, hi = INT64_MIN;
        for (size_t i = 0; i < n; i++) {
            if (h[i].min < lo) lo = h[i].min;
            if (h[i].max > hi) hi = h[i].max;
        }
        for (size_t i = 0; i < w->memory[r].n; i++) {
            int64_t step = w->memory[r].at[i].step;
            if (step < lo) lo = step;
            if (step > hi) hi = step;
        }
        choose_ends(w, lo, hi);
    }
    size_t kept = 0;
    qsort(w->sampled.at, w->sampled.n, sizeof *w->sampled.at, by_value);
    for (size_t i = 0; i < w->sampled.n; i++) {
        if (!kept || w->sampled.at[kept - 1] != w->sampled.at[i]) w->sampled.at[kept++] = w->sampled.at[i];
    }
    w->sampled.n = kept;
    return 0;
}

/* ---- picking ---- */

static size_t lower_bound(const steps *s, int64_t v)
{
    size_t from = 0, n = s->n;
    while (n) {
        size_t half = n / 2;
        if (s->at[from + half] < v) from += half + 1, n -= half + 1;
        else n = half;
    }
    return from;
}

/* May a chunk of these steps have one of the sampled ones? */
static bool meets(const steps *s, int64_t min, int64_t max, int64_t stride)
{
    for (size_t i = lower_bound(s, min); i < s->n && s->at[i] <= max; i++) {
        if (stride <= 0 || ((uint64_t)s->at[i] - (uint64_t)min) % (uint64_t)stride == 0) return true;
    }
    return false;
}

static int pick(wr_metric_points *out, const work *w, wr_stmt *s, wr_err *err)
{
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        size_t got;
        if (!meets(&w->sampled, wr_stmt_i64(s, 0), wr_stmt_i64(s, 1), wr_stmt_i64(s, 2))) continue;
        wr_str data = wr_stmt_str(s, 3);
        if (wr_vec_reserve(out, WR_SERIES_MAX) < 0) return wr_err_nomem(err);
        WR_TRY(wr_series_pick(out->at + out->n, &got, data, w->sampled.at, w->sampled.n, err));
        out->n += got;
    }
    return rc;
}

static int pick_run(wr_metric_points *out, const work *w, size_t r, wr_err *err)
{
    wr_stmt *s;
    for (size_t i = 0; i < w->memory[r].n; i++) {
        const wr_series_point *p = &w->memory[r].at[i];
        size_t at = lower_bound(&w->sampled, p->step);
        if (at == w->sampled.n || w->sampled.at[at] != p->step) continue;
        if (wr_vec_push(out, *p) < 0) return wr_err_nomem(err);
    }
    if (!w->key_id || !w->sampled.n) return 0;
    WR_TRY(wr_track_query(&s, w->t, err,
                          "SELECT min_step, max_step, stride, data FROM track_chunks WHERE run = ? AND key = ?"
                          " AND max_step >= ? AND min_step <= ?",
                          "iiii", w->runs[r], w->key_id, w->sampled.at[0], w->sampled.at[w->sampled.n - 1]));
    int rc = pick(out, w, s, err);
    wr_stmt_done(s);
    return rc;
}

static int sample(wr_metric_series *out, wr_arena *a, work *w, size_t max, wr_err *err)
{
    int64_t lo, hi;
    for (size_t r = 0; r < w->n; r++)
        WR_TRY(wr_metric_recent_points(&w->memory[r], w->t, w->runs[r], w->key, NULL, err));
    WR_TRY(wr_track_key_find(&w->key_id, w->t, w->key, err));
    for (size_t i = 0; w->key_id && i < w->n; i += MARKS)
        WR_TRY(query_heads(w, i, i + MARKS < w->n ? i + MARKS : w->n, err));
    if (w->heads.n) qsort(w->heads.at, w->heads.n, sizeof *w->heads.at, by_run);
    if (!bounds(w, &lo, &hi)) return 0;
    WR_TRY(start_set(w, lo, hi, err));
    WR_TRY(fill_set(w, err));
    WR_TRY(choose(w, max, err));
    wr_metric_points p = {0};
    int rc = 0;
    for (size_t r = 0; r < w->n && rc == 0; r++) {
        p.n = 0;
        rc = pick_run(&p, w, r, err);
        size_t n = p.n && rc == 0 ? wr_metric_sort(p.at, p.n, wr_metric_by_step) : 0;
        out[r].n = n < WR_METRIC_SAMPLE ? n : WR_METRIC_SAMPLE;
        if (rc == 0) rc = wr_metric_to_track(&out[r].points, a, w->key, p.at, out[r].n, err);
    }
    wr_vec_fini(&p);
    return rc;
}

int wr_metric_sample(wr_metric_series *out, wr_arena *a, wr_track *t, const int64_t *runs, size_t nruns, wr_str key,
                     int64_t from, int64_t to, size_t max, wr_err *err)
{
    work w = {.t = t, .runs = runs, .n = nruns, .key = key, .from = from, .to = to};
    for (size_t r = 0; r < nruns; r++) out[r] = (wr_metric_series){0};
    if (!nruns) return 0;
    w.memory = wr_calloc(nruns, sizeof *w.memory);
    if (!w.memory) return wr_err_nomem(err);
    int rc = sample(out, a, &w, max ? max : 1, err);
    for (size_t r = 0; r < nruns; r++) wr_vec_fini(&w.memory[r]);
    wr_free(w.memory);
    wr_free(w.set.bits);
    wr_vec_fini(&w.set.list);
    wr_vec_fini(&w.heads);
    wr_vec_fini(&w.sampled);
    return rc;
}
