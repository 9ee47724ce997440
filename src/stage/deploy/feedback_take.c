/* SPDX-License-Identifier: Apache-2.0 */
/* feedback_take.c - items to records, and the memory of what was told last. */
#include "stage/deploy/feedback_take.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "stage/deploy/serve_inside.h"

enum { BUCKETS = 16384, WAYS = 8 };

/* 64 bits of endpoint, id and side; of the value; its time. Two ids of one hash would be one: the seed is the process's
 * own. */
typedef struct {
    uint64_t id, value;
    int64_t known_us;
} entry;

struct wr_feedback_memory {
    pthread_mutex_t lock; /* a leaf */
    uint32_t next[BUCKETS];
    entry at[BUCKETS][WAYS];
};

int wr_feedback_memory_open(struct wr_feedback_memory **out, wr_err *err)
{
    struct wr_feedback_memory *m = wr_calloc(1, sizeof *m);
    if (!m) return wr_err_nomem(err);
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return 0;
}

void wr_feedback_memory_close(struct wr_feedback_memory *m)
{
    if (!m) return;
    pthread_mutex_destroy(&m->lock);
    wr_free(m);
}

static entry entry_of(wr_str endpoint, const wr_feedback_item *i)
{
    uint64_t seed = wr_hash_seed() + i->reward;
    entry e = {.id = wr_hash64(i->id.p, i->id.n, wr_hash64(endpoint.p, endpoint.n, seed)), .known_us = i->known_us};
    e.value = i->text.p ? wr_hash64(i->text.p, i->text.n, seed + 2) : wr_hash64(&i->value, sizeof i->value, seed);
    if (!e.id) e.id = 1; /* 0 is an empty place */
    return e;
}

static entry *find(struct wr_feedback_memory *m, uint64_t id)
{
    entry *bucket = m->at[id % BUCKETS];
    for (int k = 0; k < WAYS; k++)
        if (bucket[k].id == id) return &bucket[k];
    return NULL;
}

static bool is_latest(struct wr_feedback_memory *m, const entry *e)
{
    pthread_mutex_lock(&m->lock);
    entry *was = find(m, e->id);
    bool same = was && was->value == e->value;
    pthread_mutex_unlock(&m->lock);
    return same;
}

static void remember(struct wr_feedback_memory *m, const entry *e)
{
    size_t b = e->id % BUCKETS;
    pthread_mutex_lock(&m->lock);
    entry *was = find(m, e->id);
    if (was && e->known_us >= was->known_us) *was = *e;
    if (!was) m->at[b][m->next[b]++ % WAYS] = *e;
    pthread_mutex_unlock(&m->lock);
}

/* ---- records ---- */

static int add_all(bool *kept, size_t *n_kept, wr_round *r, const wr_serve_endpoint *e, const wr_feedback_item *items,
                   size_t n, wr_err *err)
{
    struct wr_feedback_memory *m = wr_round_serve(r)->feedback;
    wr_str endpoint = wr_str_of(e->name);
    int64_t now = wr_clock_wall_us();
    *n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        entry x = entry_of(endpoint, &items[i]);
        kept[i] = !is_latest(m, &x);
        if (!kept[i]) continue;
        wr_predlog_feedback rec = {.endpoint = endpoint,
                                   .id = items[i].id,
                                   .text = items[i].text,
                                   .reward = items[i].reward,
                                   .value = items[i].value,
                                   .known_us = items[i].known_us,
                                   .received_us = now};
        WR_TRY(wr_serve_log_feedback(r, &rec, err));
        ++*n_kept;
    }
    return 0;
}

/* A reward that is on disk, to the arm that made the prediction. */
static void earn(wr_feedback_taken *out, wr_serve *s, const wr_serve_endpoint *e, const wr_feedback_item *item)
{
    wr_err none;
    int rc = s->rollouts ? s->rollouts->reward(s, wr_str_of(e->name), item->id, item->value, &none) : WEIR_ENOTFOUND;
    if (rc == 1) out->earned++;
    else if (rc == 0) out->repeated++;
    else out->unknown++;
}

static void acknowledged(wr_feedback_taken *out, wr_serve *s, wr_serve_endpoint *e, const wr_feedback_item *items,
                         const bool *kept, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!kept[i]) {
            if (items[i].reward) out->repeated++;
            continue;
        }
        entry x = entry_of(wr_str_of(e->name), &items[i]);
        if (items[i].reward) earn(out, s, e, &items[i]);
        remember(s->feedback, &x);
        atomic_fetch_add_explicit(items[i].reward ? &e->rewards : &e->labels, 1, memory_order_relaxed);
    }
}

int wr_serve_feedback(wr_feedback_taken *out, wr_round *r, wr_str endpoint, const wr_feedback_item *items, size_t n,
                      wr_err *err)
{
    wr_serve *s = wr_round_serve(r);
    wr_serve_endpoint *e = wr_serve_endpoint_named(s, endpoint);
    size_t added;
    *out = (wr_feedback_taken){0};
    if (!e) return wr_serve_no_endpoint(s, endpoint, err);
    WR_AUTOFREE bool *kept = wr_alloc(n + 1);
    if (!kept) return wr_err_nomem(err);
    int rc = add_all(kept, &added, r, e, items, n, err);
    int end = wr_serve_round_end(r, rc == 0 ? err : NULL);
    if (rc < 0 || end < 0) return rc < 0 ? rc : end;
    acknowledged(out, s, e, items, kept, n);
    out->accepted = n;
    out->unchanged = n - added;
    return 0;
}
