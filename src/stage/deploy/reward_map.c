/* SPDX-License-Identifier: Apache-2.0 */
/* reward_map.c - a table that forgets. */
#include "stage/deploy/reward_map.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"

enum { BUCKETS = 1 << 14, WAYS = 8, STRIPES = 64 };

typedef struct {
    uint64_t hash; /* 0 = empty */
    float propensity;
    uint32_t at_s : 30, arm : 4; /* seconds since the table was made: 34 years */
    bool taken;
} entry;

struct wr_reward_map {
    pthread_mutex_t lock[STRIPES];
    int64_t start_s;
    entry at[BUCKETS][WAYS];
};

wr_reward_map *wr_reward_map_new(void)
{
    wr_reward_map *m = wr_calloc(1, sizeof *m);
    if (!m) return NULL;
    for (int i = 0; i < STRIPES; i++) pthread_mutex_init(&m->lock[i], NULL);
    m->start_s = -1;
    return m;
}

void wr_reward_map_free(wr_reward_map *m)
{
    if (!m) return;
    for (int i = 0; i < STRIPES; i++) pthread_mutex_destroy(&m->lock[i]);
    wr_free(m);
}

static uint64_t hash_of(wr_str id)
{
    uint64_t h = wr_hash64(id.p, id.n, wr_hash_seed());
    return h ? h : 1;
}

static uint32_t second(wr_reward_map *m, int64_t now_s)
{
    int64_t none = -1;
    (void)__atomic_compare_exchange_n(&m->start_s, &none, now_s, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    int64_t d = now_s - __atomic_load_n(&m->start_s, __ATOMIC_RELAXED);
    return (uint32_t)(d < 0 ? 0 : d > (1 << 30) - 1 ? (1 << 30) - 1 : d);
}

void wr_reward_map_put(wr_reward_map *m, wr_str id, unsigned arm, double propensity, int64_t now_s)
{
    uint64_t h = hash_of(id);
    size_t b = h % BUCKETS, oldest = 0;
    uint32_t at = second(m, now_s);
    pthread_mutex_lock(&m->lock[b % STRIPES]);
    entry *e = m->at[b];
    for (size_t i = 0; i < WAYS; i++) {
        if (e[i].hash == h || !e[i].hash) {
            oldest = i;
            break;
        }
        if (e[i].at_s < e[oldest].at_s) oldest = i;
    }
    if (e[oldest].hash != h) /* of an id that is used twice the first counts, as of predictions */
        e[oldest] = (entry){.hash = h, .propensity = (float)propensity, .at_s = at & 0x3FFFFFFF, .arm = arm & 15};
    pthread_mutex_unlock(&m->lock[b % STRIPES]);
}

int wr_reward_map_take(unsigned *arm, double *propensity, wr_reward_map *m, wr_str id, int64_t now_s)
{
    uint64_t h = hash_of(id);
    size_t b = h % BUCKETS;
    uint32_t now = second(m, now_s);
    int rc = -1;
    pthread_mutex_lock(&m->lock[b % STRIPES]);
    for (size_t i = 0; i < WAYS && rc < 0; i++) {
        entry *e = &m->at[b][i];
        if (e->hash != h || (int64_t)now - e->at_s > WR_REWARD_TTL_S) continue;
        rc = !e->taken;
        e->taken = true;
        *arm = e->arm;
        *propensity = (double)e->propensity;
    }
    pthread_mutex_unlock(&m->lock[b % STRIPES]);
    return rc;
}
