/* SPDX-License-Identifier: Apache-2.0 */
/* metric_runs.c - the runs that take points. */
#include "track/metric_runs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "track/run.h"

enum { FIRST = 256, MOST = 1 << 16, LOOK_NS = 20 * 1000 * 1000 };

void wr_metric_runs_init(wr_metric_runs *r, wr_track *t)
{
    int64_t counter = 0;
    pthread_mutex_init(&r->lock, NULL);
    if (t) (void)wr_db_changed(wr_track_db(t), &counter, NULL); /* starts the watch */
    atomic_store(&r->counter, counter);
}

void wr_metric_runs_fini(wr_metric_runs *r)
{
    pthread_mutex_destroy(&r->lock);
    wr_free(r->slots);
}

/* The usual uuid, 32 lower-case hexadecimal digits, as two numbers; others are not remembered. */
static bool pack(uint64_t out[2], wr_str uuid)
{
    if (uuid.n != 32) return false;
    out[0] = out[1] = 0;
    for (size_t i = 0; i < 32; i++) {
        char c = uuid.p[i];
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a') + 10
                                                : 16;
        if (digit == 16) return false;
        out[i / 16] = out[i / 16] << 4 | digit;
    }
    return true;
}

/* Uuids are random; but clients may choose them, so the slot is mixed. */
static struct wr_metric_known_run *slot_of(const wr_metric_runs *r, const uint64_t uuid[2])
{
    uint64_t h = (uuid[0] ^ uuid[1] << 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (h ^ h >> 32) & (r->nslots - 1);
    while (r->slots[at].id && (r->slots[at].uuid[0] != uuid[0] || r->slots[at].uuid[1] != uuid[1]))
        at = (at + 1) & (r->nslots - 1);
    return &r->slots[at];
}

/* With the lock. Full: everything is forgotten, those in use come back. */
static bool room(wr_metric_runs *r)
{
    if (r->n * 2 < r->nslots) return true;
    struct wr_metric_known_run *old = r->slots;
    size_t n = r->nslots, grown = !n ? FIRST : n < 2 * MOST ? 2 * n : n;
    r->slots = wr_calloc(grown, sizeof *r->slots);
    if (!r->slots) {
        r->slots = old;
        return false;
    }
    r->nslots = grown;
    if (grown == n) r->n = 0;
    for (size_t i = 0; i < n && grown > n; i++) {
        if (old[i].id) *slot_of(r, old[i].uuid) = old[i];
    }
    wr_free(old);
    return true;
}

static void clear(wr_metric_runs *r)
{
    for (size_t i = 0; r->n && i < r->nslots; i++) r->slots[i].id = 0;
    r->n = 0;
    r->generation++;
}

void wr_metric_runs_clear(wr_metric_runs *r)
{
    pthread_mutex_lock(&r->lock);
    clear(r);
    pthread_mutex_unlock(&r->lock);
}

/* One thread in 20 ms asks. */
static int look_for_others(wr_metric_runs *r, wr_track *t, wr_err *err)
{
    int64_t now = wr_clock_mono_ns(), due = atomic_load(&r->look_ns), counter = 0;
    if (now < due || !atomic_compare_exchange_strong(&r->look_ns, &due, now + LOOK_NS)) return 0;
    int rc = wr_db_changed_soon(wr_track_db(t), &counter, err);
    if (rc < 0) atomic_store(&r->look_ns, 0);
    else if (atomic_exchange(&r->counter, counter) != counter) wr_metric_runs_clear(r);
    return rc;
}

int wr_metric_runs_find(int64_t *id, wr_metric_runs *r, wr_track *t, wr_str uuid, wr_err *err)
{
    uint64_t packed[2];
    bool usual = pack(packed, uuid);
    WR_TRY(look_for_others(r, t, err));
    pthread_mutex_lock(&r->lock);
    *id = usual && r->n ? slot_of(r, packed)->id : 0;
    uint64_t generation = r->generation;
    pthread_mutex_unlock(&r->lock);
    if (*id) return 0;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_track_run run;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_track_run_active(&run, a, t, uuid, err));
    *id = run.id;
    if (!usual) return 0;
    pthread_mutex_lock(&r->lock);
    if (r->generation == generation && room(r)) {
        struct wr_metric_known_run *slot = slot_of(r, packed);
        if (!slot->id) r->n++;
        *slot = (struct wr_metric_known_run){{packed[0], packed[1]}, run.id};
    }
    pthread_mutex_unlock(&r->lock);
    return 0;
}
