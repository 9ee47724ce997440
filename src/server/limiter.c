/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.c - see limiter.h. An entry is 16 bytes: hash of the name and time of arrival. Two names with the same 64-bit
 * hash share a rate. */
#include "server/limiter.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"

typedef struct {
    uint64_t client; /* 0 = nobody */
    int64_t at;      /* theoretical time of arrival */
} entry;

struct wr_limiter {
    pthread_mutex_t lock; /* guards sets; rank 3: nothing is taken under it */
    int64_t step_ns, ahead_ns;
    entry sets[WR_LIMITER_SETS][WR_LIMITER_WAYS];
};

int wr_limiter_new(wr_limiter **out, double rate, double burst, wr_err *err)
{
    if (!(rate >= 1e-3 && rate <= 1e9) || !(burst >= 1 && burst <= 1e9))
        return wr_err_set(err, WEIR_EINVAL, "a rate of %g requests a second with a burst of %g is out of range", rate,
                          burst);
    wr_limiter *l = wr_calloc(1, sizeof *l);
    if (!l) return wr_err_nomem(err);
    pthread_mutex_init(&l->lock, NULL);
    l->step_ns = (int64_t)(1e9 / rate);
    l->ahead_ns = (int64_t)((burst - 1) / rate * 1e9);
    *out = l;
    return 0;
}

void wr_limiter_free(wr_limiter *l)
{
    if (!l) return;
    pthread_mutex_destroy(&l->lock);
    wr_free(l);
}

/* Its entry, or the one it gets. */
static entry *entry_of(wr_limiter *l, wr_str client)
{
    uint64_t hash = wr_hash64(client.p, client.n, wr_hash_seed());
    entry *set = l->sets[hash % WR_LIMITER_SETS], *least = set;
    if (hash == 0) hash = 1;
    for (int i = 0; i < WR_LIMITER_WAYS; i++) {
        if (set[i].client == hash) return &set[i];
        if (set[i].at < least->at) least = &set[i];
    }
    *least = (entry){.client = hash};
    return least;
}

int64_t wr_limiter_take(wr_limiter *l, wr_str client, int64_t now_ns)
{
    pthread_mutex_lock(&l->lock);
    entry *e = entry_of(l, client);
    if (e->at < now_ns) e->at = now_ns;
    int64_t wait = e->at - now_ns - l->ahead_ns;
    if (wait <= 0) e->at += l->step_ns;
    pthread_mutex_unlock(&l->lock);
    return wait > 0 ? wait : 0;
}
