/* SPDX-License-Identifier: Apache-2.0 */
/* metric_drain.c - memory into the database: draining moves everything and lets go of the log, settling writes the
 * latest values alone. metric_inside.h says how they keep out of each other's way. */
#include <malloc.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "track/metric_inside.h"

enum {
    SLICE_NS = 8 * 1000 * 1000, /* a write goes on no longer than this when others wait */
    SLICE_POINTS = 1 << 16,     /* of one run before the clock is looked at */
    SLICE_SERIES = WR_METRIC_KEYS,
    SETTLE_SERIES = 4096, /* latest values in one write */
    TRIM_BYTES = 4 << 20,
};
#define FULL_AGE_NS (15 * INT64_C(1000000000))

/* ---- the run of a series ---- */

/* False: it was purged. */
static int find_run(bool *there, wr_metric_run *out, wr_track *t, int64_t run, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT experiment, start_ms FROM track_runs WHERE id = ?", "i", run));
    int rc = wr_step(s, err);
    *there = rc > 0;
    if (rc > 0) *out = (wr_metric_run){run, wr_stmt_i64(s, 0), wr_stmt_i64(s, 1)};
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int store(wr_track *t, wr_arena *a, const wr_metric_run *run, wr_metric_part *parts, const wr_str *names,
                 size_t n, bool chunks, wr_err *err)
{
    int64_t ids[SLICE_SERIES];
    WR_TRY(wr_metric_keys(ids, t, names, n, err));
    for (size_t i = 0; i < n; i++) parts[i].key = ids[i];
    return wr_metric_store(t, a, run, parts, n, chunks, err);
}

/* ---- draining: one write ---- */

typedef struct {
    wr_metric_state *m;
    size_t next, skip; /* where it starts, then where the next one does */
} slice;

/* Up to `most` points of a series, from number `skip` on, sorted. */
static int gather(wr_metric_part *out, size_t *taken, wr_arena *a, const wr_metric_recent *s, size_t skip, size_t most,
                  wr_err *err)
{
    size_t left = s->n - skip < most ? s->n - skip : most;
    wr_series_point *p = wr_arena_alloc(a, left * sizeof *p);
    if (!p) return wr_err_nomem(err);
    *taken = left;
    out->points = p;
    for (const wr_metric_block *b = s->first; left; b = b->next) {
        if (skip >= b->n) {
            skip -= b->n;
            continue;
        }
        size_t n = b->n - skip < left ? b->n - skip : left;
        memcpy(p, b->p + skip, n * sizeof *p);
        p += n;
        left -= n;
        skip = 0;
    }
    out->n = wr_metric_sort((wr_series_point *)out->points, *taken, wr_metric_by_step);
    return 0;
}

/* The next series of one run, as many as a slice takes. */
static int drain_some(slice *x, wr_track *t, wr_arena *a, wr_err *err)
{
    wr_metric_state *m = x->m;
    wr_metric_part parts[SLICE_SERIES];
    wr_str names[SLICE_SERIES];
    size_t n = 0, points = 0, taken = 0;
    wr_metric_run run;
    bool there;
    const int64_t id = m->items.at[x->next]->run;
    WR_TRY(find_run(&there, &run, t, id, err));
    while (x->next < m->items.n && m->items.at[x->next]->run == id && n < SLICE_SERIES && points < SLICE_POINTS) {
        const wr_metric_recent *s = m->items.at[x->next];
        if (there) {
            names[n] = s->key;
            WR_TRY(gather(&parts[n], &taken, a, s, x->skip, SLICE_POINTS - points, err));
            n++;
            points += taken;
            x->skip += taken;
        }
        if (there && x->skip < s->n) break;
        x->skip = 0;
        x->next++;
    }
    return store(t, a, &run, parts, names, n, true, err);
}

static int drain_slice(wr_track *t, void *arg, wr_err *err)
{
    slice *x = arg;
    int64_t until = wr_clock_mono_ns() + SLICE_NS;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    while (x->next < x->m->items.n && wr_clock_mono_ns() < until) {
        wr_arena_clear(a);
        WR_TRY(drain_some(x, t, a, err));
    }
    if (x->next < x->m->items.n) return 0;
    int rc = wr_track_exec(t, err, "UPDATE track_log SET drained = ? WHERE id = 1", "i", (int64_t)x->m->upto);
    return rc < 0 ? rc : 0;
}

/* ---- draining: the whole ---- */

static int by_run(const void *a, const void *b)
{
    const wr_metric_recent *x = *(const wr_metric_recent *const *)a, *y = *(const wr_metric_recent *const *)b;
    if (x->run != y->run) return x->run < y->run ? -1 : 1;
    return wr_str_cmp(x->key, y->key);
}

static int list_items(wr_metric_state *m, wr_err *err)
{
    m->items.n = m->next = m->skip = 0;
    for (int i = 0; i < WR_METRIC_SHARDS; i++) {
        const wr_metric_table *d = m->shards[i].draining;
        if (!d) continue;
        if (wr_vec_reserve(&m->items, d->series.n) < 0) return wr_err_nomem(err);
        for (size_t k = 0; k < d->series.n; k++) {
            if (d->series.at[k].n) m->items.at[m->items.n++] = &d->series.at[k];
        }
    }
    if (m->items.n) qsort(m->items.at, m->items.n, sizeof *m->items.at, by_run);
    return 0;
}

/* Active becomes draining; what is draining is not changed any more but for its dirty marks. */
static void swap_tables(wr_metric_state *m)
{
    pthread_mutex_lock(&m->settle_lock);
    atomic_store(&m->oldest_ns, 0);
    for (int i = 0; i < WR_METRIC_SHARDS; i++) {
        wr_metric_shard *s = &m->shards[i];
        pthread_mutex_lock(&s->lock);
        s->draining = s->active;
        s->active = NULL;
        if (s->draining) {
            size_t bytes = wr_metric_table_bytes(s->draining);
            atomic_fetch_add(&m->draining_bytes, bytes);
            atomic_fetch_sub(&m->active_bytes, bytes);
        }
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&m->settle_lock);
}

void wr_metric_drain_free(wr_metric_state *m)
{
    pthread_mutex_lock(&m->settle_lock);
    for (int i = 0; i < WR_METRIC_SHARDS; i++) {
        wr_metric_shard *s = &m->shards[i];
        pthread_mutex_lock(&s->lock);
        wr_metric_table *d = s->draining;
        s->draining = NULL;
        pthread_mutex_unlock(&s->lock);
        wr_metric_table_drop(d);
    }
    atomic_store(&m->draining_bytes, 0);
    pthread_mutex_unlock(&m->settle_lock);
    wr_vec_fini(&m->items);
}

/* Keys that the slice made are known from now on without asking. */
static int learn_keys(wr_metric_state *m, size_t from, size_t to, wr_err *err)
{
    int64_t id;
    for (size_t i = from; i < to; i++) WR_TRY(wr_track_key_find(&id, m->t, m->items.at[i]->key, err));
    return 0;
}

static int begin(wr_metric_state *m, wr_err *err)
{
    uint64_t sealed;
    WR_TRY(wr_applog_seal(m->log, &sealed, err));
    m->upto = wr_applog_newest(m->log) - 1;
    wr_fault_crash_point();
    swap_tables(m);
    m->draining = true;
    m->next = m->skip = 0;
    m->items.n = 0;
    return 0;
}

/* With the drain lock. What failed is taken up again where it stopped. */
static int drain(wr_metric_state *m, wr_err *err)
{
    if (!m->draining) WR_TRY(begin(m, err));
    if (!m->items.n) WR_TRY(list_items(m, err));
    do {
        slice x = {m, m->next, m->skip};
        WR_TRY(wr_track_write(m->t, drain_slice, &x, err));
        wr_fault_crash_point();
        (void)learn_keys(m, m->next, x.next, NULL);
        m->next = x.next;
        m->skip = x.skip;
    } while (m->next < m->items.n);
    m->draining = false;
    size_t freed = atomic_load(&m->draining_bytes);
    wr_metric_drain_free(m);
    if (freed >= TRIM_BYTES) malloc_trim(0); /* after a burst, the system has its memory back */
    wr_err late;
    if (wr_applog_drop(m->log, m->upto, &late) < 0) /* it says drained: the next drop takes them along */
        wr_warn("old segments of the log '%s' stay for now: %s", m->dir, late.msg);
    return 0;
}

static bool due(wr_metric_state *m)
{
    int64_t oldest = atomic_load(&m->oldest_ns);
    return m->draining || atomic_load(&m->active_bytes) >= m->drain_bytes ||
           (oldest && wr_clock_mono_ns() - oldest >= FULL_AGE_NS);
}

int wr_metric_drain(wr_track *t, bool always, wr_err *err)
{
    wr_metric_state *m = t->metric;
    int rc = 0;
    if (!m || !m->log) return 0;
    if (always) pthread_mutex_lock(&m->drain_lock);
    else if (pthread_mutex_trylock(&m->drain_lock) != 0) return 0; /* somebody is at it */
    if (always ? m->draining || atomic_load(&m->active_bytes) : due(m)) {
        rc = drain(m, err);
        atomic_store(&m->stuck, rc < 0);
    }
    pthread_mutex_unlock(&m->drain_lock);
    return rc;
}

/* ---- settling ---- */

typedef struct {
    wr_metric_shard *shard;
    wr_metric_table *table;
    uint32_t number; /* of the series in it */
    int64_t run;
    wr_str key; /* of the table's memory */
    wr_series_point latest;
} dirty;

typedef struct {
    wr_metric_state *m;
    WR_VEC(dirty) all; /* by run */
    size_t from, to;
} settling;

/* With the shard's lock. */
static int list_dirty(settling *x, wr_metric_shard *s, wr_metric_table *m)
{
    if (!m) return 0;
    if (wr_vec_reserve(&x->all, m->dirty.n) < 0) return WEIR_ENOMEM;
    for (size_t i = 0; i < m->dirty.n; i++) {
        const wr_metric_recent *r = &m->series.at[m->dirty.at[i]];
        if (r->n) x->all.at[x->all.n++] = (dirty){s, m, m->dirty.at[i], r->run, r->key, r->latest};
    }
    return 0;
}

/* A series may be there twice, draining and active. */
static int by_series(const void *a, const void *b)
{
    const dirty *x = a, *y = b;
    if (x->run != y->run) return x->run < y->run ? -1 : 1;
    int c = wr_str_cmp(x->key, y->key);
    return c ? c : wr_metric_by_step(&y->latest, &x->latest);
}

static int settle_run(settling *x, wr_track *t, wr_arena *a, size_t *at, wr_err *err)
{
    wr_metric_part parts[SLICE_SERIES];
    wr_str names[SLICE_SERIES];
    size_t n = 0;
    wr_metric_run run;
    bool there;
    const dirty *d = x->all.at;
    const int64_t id = d[*at].run;
    WR_TRY(find_run(&there, &run, t, id, err));
    for (; *at < x->to && d[*at].run == id && n < SLICE_SERIES; ++*at) {
        if (!there || (*at && d[*at - 1].run == id && wr_str_eq(d[*at - 1].key, d[*at].key))) continue;
        names[n] = d[*at].key;
        parts[n].points = &d[*at].latest;
        parts[n++].n = 1;
    }
    return store(t, a, &run, parts, names, n, false, err);
}

static int settle_write(wr_track *t, void *arg, wr_err *err)
{
    settling *x = arg;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    for (size_t at = x->from; at < x->to;) {
        wr_arena_clear(a);
        WR_TRY(settle_run(x, t, a, &at, err));
    }
    return 0;
}

/* Those that were written and have not moved on since are clean. */
static void mark_clean(settling *x)
{
    for (size_t i = 0; i < x->all.n; i++) {
        const dirty *d = &x->all.at[i];
        pthread_mutex_lock(&d->shard->lock);
        wr_metric_recent *r = &d->table->series.at[d->number];
        if (wr_metric_by_step(&r->latest, &d->latest) == 0) r->dirty = false;
        pthread_mutex_unlock(&d->shard->lock);
    }
    for (int i = 0; i < 2 * WR_METRIC_SHARDS; i++) {
        wr_metric_shard *s = &x->m->shards[i / 2];
        pthread_mutex_lock(&s->lock);
        wr_metric_table *m = i % 2 ? s->draining : s->active;
        size_t kept = 0;
        for (size_t k = 0; m && k < m->dirty.n; k++) {
            if (m->series.at[m->dirty.at[k]].dirty) m->dirty.at[kept++] = m->dirty.at[k];
        }
        if (m) m->dirty.n = kept;
        pthread_mutex_unlock(&s->lock);
    }
}

/* With the settle lock: the tables stay. */
static int settle(settling *x, wr_err *err)
{
    wr_metric_state *m = x->m;
    int rc = 0;
    for (int i = 0; i < WR_METRIC_SHARDS && rc == 0; i++) {
        wr_metric_shard *s = &m->shards[i];
        pthread_mutex_lock(&s->lock);
        rc = list_dirty(x, s, s->draining);
        if (rc == 0) rc = list_dirty(x, s, s->active);
        pthread_mutex_unlock(&s->lock);
    }
    if (rc < 0) return wr_err_nomem(err);
    if (!x->all.n) return 0;
    qsort(x->all.at, x->all.n, sizeof *x->all.at, by_series);
    for (; x->from < x->all.n; x->from = x->to) {
        x->to = x->all.n - x->from < SETTLE_SERIES ? x->all.n : x->from + SETTLE_SERIES;
        WR_TRY(wr_track_write(m->t, settle_write, x, err));
    }
    mark_clean(x);
    return 0;
}

int wr_metric_settle(wr_track *t, wr_err *err)
{
    wr_metric_state *m = t->metric;
    if (!m) return 0;
    WR_TRY(wr_metric_peek(m, err));
    uint64_t asked = atomic_load(&m->appended);
    if (atomic_load(&m->settled) >= asked) return 0;
    settling x = {.m = m};
    int rc = 0;
    pthread_mutex_lock(&m->settle_lock);
    if (atomic_load(&m->settled) < asked) {
        asked = atomic_load(&m->appended); /* of those who wait for the lock too */
        rc = settle(&x, err);
        if (rc == 0) atomic_store(&m->settled, asked);
    }
    pthread_mutex_unlock(&m->settle_lock);
    wr_vec_fini(&x.all);
    /* a log that is only looked at beside records that are only read: the search shows what the records have */
    return rc == WEIR_EACCESS && !m->log ? 0 : rc;
}
