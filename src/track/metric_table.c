/* SPDX-License-Identifier: Apache-2.0 */
/* metric_table.c - the memory table of metric points. */
#include "track/metric_table.h"

#include <string.h>

#include "base/hash.h"
#include "track/metric_inside.h"

enum { FIRST_SLOTS = 64, FIRST_BLOCK = 4, BLOCK_MAX = 512, SERIES_MAX = 1 << 30 };

wr_metric_table *wr_metric_table_new(void)
{
    wr_metric_table *m = wr_calloc(1, sizeof *m);
    if (!m) return NULL;
    atomic_store(&m->kept, 1);
    m->nslots = m->run_slots = FIRST_SLOTS;
    m->memory = wr_arena_new(0);
    m->slots = wr_calloc(m->nslots, sizeof *m->slots);
    m->runs = wr_calloc(m->run_slots, sizeof *m->runs);
    if (m->memory && m->slots && m->runs) return m;
    wr_metric_table_drop(m);
    return NULL;
}

void wr_metric_table_keep(wr_metric_table *m) { atomic_fetch_add(&m->kept, 1); }

void wr_metric_table_drop(wr_metric_table *m)
{
    if (!m || atomic_fetch_sub(&m->kept, 1) > 1) return;
    wr_arena_free(m->memory);
    wr_vec_fini(&m->series);
    wr_vec_fini(&m->dirty);
    wr_free(m->slots);
    wr_free(m->runs);
    wr_free(m);
}

size_t wr_metric_table_bytes(const wr_metric_table *m)
{
    return wr_arena_used(m->memory) + m->series.cap * sizeof *m->series.at + m->nslots * sizeof *m->slots +
           m->run_slots * sizeof *m->runs;
}

/* ---- finding ---- */

static uint64_t mix(int64_t run)
{
    uint64_t h = (uint64_t)run * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t hash_of(int64_t run, wr_str key) { return wr_hash64(key.p, key.n, wr_hash_seed()) ^ mix(run); }

static uint32_t *slot_of(const wr_metric_table *m, int64_t run, wr_str key, uint64_t hash)
{
    size_t at = hash & (m->nslots - 1);
    for (; m->slots[at]; at = (at + 1) & (m->nslots - 1)) {
        const wr_metric_recent *s = &m->series.at[m->slots[at] - 1];
        if (s->hash == hash && s->run == run && wr_str_eq(s->key, key)) break;
    }
    return &m->slots[at];
}

static struct wr_metric_table_run *run_of(const wr_metric_table *m, int64_t run)
{
    size_t at = mix(run) & (m->run_slots - 1);
    while (m->runs[at].first && m->runs[at].run != run) at = (at + 1) & (m->run_slots - 1);
    return &m->runs[at];
}

const wr_metric_recent *wr_metric_table_find(const wr_metric_table *m, int64_t run, wr_str key)
{
    uint32_t number = *slot_of(m, run, key, hash_of(run, key));
    return number && m->series.at[number - 1].n ? &m->series.at[number - 1] : NULL;
}

const wr_metric_recent *wr_metric_table_next(const wr_metric_table *m, int64_t run, const wr_metric_recent *before)
{
    uint32_t number = before ? before->next : run_of(m, run)->first;
    return number ? &m->series.at[number - 1] : NULL;
}

/* ---- growing ---- */

static int grow_slots(wr_metric_table *m)
{
    if ((m->series.n + 1) * 2 <= m->nslots) return 0;
    size_t n = m->nslots * 2;
    uint32_t *slots = wr_calloc(n, sizeof *slots);
    if (!slots) return WEIR_ENOMEM;
    for (size_t i = 0; i < m->series.n; i++) {
        size_t at = m->series.at[i].hash & (n - 1);
        while (slots[at]) at = (at + 1) & (n - 1);
        slots[at] = (uint32_t)i + 1;
    }
    wr_free(m->slots);
    m->slots = slots;
    m->nslots = n;
    return 0;
}

static int grow_runs(wr_metric_table *m)
{
    if ((m->nruns + 1) * 2 <= m->run_slots) return 0;
    struct wr_metric_table_run *old = m->runs;
    size_t n = m->run_slots;
    m->runs = wr_calloc(n * 2, sizeof *m->runs);
    if (!m->runs) {
        m->runs = old;
        return WEIR_ENOMEM;
    }
    m->run_slots = n * 2;
    for (size_t i = 0; i < n; i++) {
        if (old[i].first) *run_of(m, old[i].run) = old[i];
    }
    wr_free(old);
    return 0;
}

/* Everything that can fail comes before the first change. */
static wr_metric_recent *new_series(wr_metric_table *m, int64_t run, wr_str key, uint64_t hash)
{
    if (m->series.n >= SERIES_MAX || grow_slots(m) < 0 || grow_runs(m) < 0) return NULL;
    if (wr_vec_reserve(&m->series, 1) < 0 || wr_vec_reserve(&m->dirty, m->series.n + 1 - m->dirty.n) < 0) return NULL;
    wr_str kept = wr_arena_str(m->memory, key);
    if (!kept.p) return NULL;
    struct wr_metric_table_run *r = run_of(m, run);
    if (!r->first) m->nruns++;
    m->series.at[m->series.n++] = (wr_metric_recent){.run = run, .hash = hash, .key = kept, .next = r->first};
    *r = (struct wr_metric_table_run){run, (uint32_t)m->series.n};
    *slot_of(m, run, key, hash) = (uint32_t)m->series.n;
    return &m->series.at[m->series.n - 1];
}

static wr_metric_recent *series_of(wr_metric_table *m, int64_t run, wr_str key)
{
    uint64_t hash = hash_of(run, key);
    uint32_t number = *slot_of(m, run, key, hash);
    return number ? &m->series.at[number - 1] : new_series(m, run, key, hash);
}

static bool grow_blocks(wr_metric_table *m, wr_metric_recent *s)
{
    uint32_t cap = !s->last ? FIRST_BLOCK : s->last->cap < BLOCK_MAX ? 2 * s->last->cap : BLOCK_MAX;
    wr_metric_block *b = wr_arena_alloc(m->memory, sizeof *b + cap * sizeof *b->p);
    if (!b) return false;
    *b = (wr_metric_block){.cap = cap};
    if (s->last) s->last->next = b;
    else s->first = b;
    s->last = b;
    return true;
}

/* ---- adding ---- */

static bool add_point(wr_metric_table *m, wr_metric_recent *s, const wr_track_point *p)
{
    wr_series_point x = {p->step, p->time_ms, p->value};
    if ((!s->last || s->last->n == s->last->cap) && !grow_blocks(m, s)) return false;
    s->last->p[s->last->n++] = x;
    if (!s->n++ || wr_metric_by_step(&x, &s->latest) > 0) {
        s->latest = x;
        if (!s->dirty) m->dirty.at[m->dirty.n++] = (uint32_t)(s - m->series.at);
        s->dirty = true;
    }
    return true;
}

int wr_metric_table_add(wr_metric_table *m, int64_t run, const wr_track_point *p, size_t n)
{
    wr_metric_recent *s = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!s || !wr_str_eq(s->key, p[i].key)) s = series_of(m, run, p[i].key);
        if (s && add_point(m, s, &p[i])) continue;
        wr_metric_table_undo(m, run, p, i);
        return WEIR_ENOMEM;
    }
    return 0;
}

static void find_latest(wr_metric_recent *s)
{
    bool any = false;
    for (const wr_metric_block *b = s->first; b; b = b->next) {
        for (uint32_t i = 0; i < b->n; i++) {
            if (!any || wr_metric_by_step(&b->p[i], &s->latest) > 0) s->latest = b->p[i];
            any = true;
        }
    }
}

/* The block before the last, for the rare undo. */
static void pop_block(wr_metric_recent *s)
{
    wr_metric_block *b = s->first, *before = NULL;
    for (; b != s->last; b = b->next) before = b;
    if (before) before->next = NULL;
    else s->first = NULL;
    s->last = before;
}

void wr_metric_table_undo(wr_metric_table *m, int64_t run, const wr_track_point *p, size_t n)
{
    for (size_t i = n; i > 0; i--) {
        wr_str key = p[i - 1].key;
        uint32_t number = *slot_of(m, run, key, hash_of(run, key));
        WR_BUG_IF(!number);
        wr_metric_recent *s = &m->series.at[number - 1];
        while (s->last && !s->last->n) pop_block(s);
        WR_BUG_IF(!s->last);
        s->last->n--;
        s->n--;
    }
    for (size_t i = 0; i < n; i++) {
        if (i && wr_str_eq(p[i].key, p[i - 1].key)) continue;
        find_latest(&m->series.at[*slot_of(m, run, p[i].key, hash_of(run, p[i].key)) - 1]);
    }
}
