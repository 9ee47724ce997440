/* SPDX-License-Identifier: Apache-2.0 */
/* reward_map.c - a table that forgets. */
#include "stage/rollout/reward_map.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/os.h"

enum { BUCKETS = 1 << 14, WAYS = 8, STRIPES = 64 };

typedef struct {
    uint64_t hash; /* 0 = empty */
    float propensity;
    uint32_t at_s; /* of wall time, to 2106 */
    uint8_t arm;
    bool taken;
} entry;

struct wr_reward_map {
    pthread_mutex_t lock[STRIPES];
    uint64_t seed;
    entry at[BUCKETS][WAYS];
};

wr_reward_map *wr_reward_map_new(void)
{
    wr_reward_map *m = wr_calloc(1, sizeof *m);
    if (!m) return NULL;
    for (int i = 0; i < STRIPES; i++) pthread_mutex_init(&m->lock[i], NULL);
    wr_os_random(&m->seed, sizeof m->seed);
    return m;
}

void wr_reward_map_free(wr_reward_map *m)
{
    if (!m) return;
    for (int i = 0; i < STRIPES; i++) pthread_mutex_destroy(&m->lock[i]);
    wr_free(m);
}

static uint64_t hash_of(const wr_reward_map *m, wr_str id)
{
    uint64_t h = wr_hash64(id.p, id.n, m->seed);
    return h ? h : 1;
}

static uint32_t second(int64_t now_s) { return (uint32_t)(now_s < 0 ? 0 : now_s > UINT32_MAX ? UINT32_MAX : now_s); }

void wr_reward_map_put(wr_reward_map *m, wr_str id, unsigned arm, double propensity, int64_t now_s)
{
    uint64_t h = hash_of(m, id);
    size_t b = h % BUCKETS, oldest = 0;
    uint32_t at = second(now_s);
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
        e[oldest] = (entry){.hash = h, .propensity = (float)propensity, .at_s = at, .arm = (uint8_t)arm};
    pthread_mutex_unlock(&m->lock[b % STRIPES]);
}

int wr_reward_map_take(unsigned *arm, double *propensity, wr_reward_map *m, wr_str id, int64_t now_s)
{
    uint64_t h = hash_of(m, id);
    size_t b = h % BUCKETS;
    uint32_t now = second(now_s);
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

/* ---- kept ---- */

enum { ENTRY_BYTES = 18 };

void wr_reward_map_save(wr_buf *out, wr_reward_map *m)
{
    wr_buf_add(out, &m->seed, sizeof m->seed);
    for (size_t b = 0; b < BUCKETS; b++) {
        entry copy[WAYS];
        pthread_mutex_lock(&m->lock[b % STRIPES]);
        memcpy(copy, m->at[b], sizeof copy);
        pthread_mutex_unlock(&m->lock[b % STRIPES]);
        for (size_t i = 0; i < WAYS; i++) {
            const entry *e = &copy[i];
            uint8_t rest[2] = {e->arm, e->taken};
            if (!e->hash) continue;
            wr_buf_add(out, &e->hash, 8);
            wr_buf_add(out, &e->at_s, 4);
            wr_buf_add(out, &e->propensity, 4);
            wr_buf_add(out, rest, sizeof rest);
        }
    }
}

bool wr_reward_map_load(wr_reward_map *m, wr_str bytes)
{
    if (bytes.n < sizeof m->seed || (bytes.n - sizeof m->seed) % ENTRY_BYTES) return false;
    memcpy(&m->seed, bytes.p, sizeof m->seed);
    for (const char *p = bytes.p + sizeof m->seed, *end = bytes.p + bytes.n; p < end; p += ENTRY_BYTES) {
        entry e = {.arm = (uint8_t)p[16], .taken = p[17] != 0};
        memcpy(&e.hash, p, 8);
        memcpy(&e.at_s, p + 8, 4);
        memcpy(&e.propensity, p + 12, 4);
        entry *to = m->at[e.hash % BUCKETS];
        size_t i = 0;
        while (i < WAYS && to[i].hash) i++;
        if (i < WAYS && e.hash) to[i] = e;
    }
    return true;
}
