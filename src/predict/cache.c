/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - shards of a chained hash table; entries of a shard stand in an array too, for the hand. */
#define XXH_STATIC_LINKING_ONLY /* the state on the stack */
#include "predict/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

enum { SHARDS = 16, BUCKETS_MIN = 64 };

typedef struct entry {
    wr_cache_key key;
    struct entry *next; /* in its bucket */
    size_t at;          /* in the array */
    size_t size;        /* of this block */
    bool used;          /* since the hand came by */
    size_t n;           /* tensors: n heads, then their bytes */
    unsigned char data[];
} entry;

typedef struct {
    int32_t ndims;
    int64_t shape[WR_TENSOR_DIMS];
    uint64_t count, bytes;
} head;

typedef struct {
    pthread_mutex_t lock; /* rank: a leaf */
    entry **buckets;
    size_t nbuckets, hand, bytes, max;
    WR_VEC(entry *) all;
    uint64_t evictions;
} shard;

struct wr_response_cache {
    shard shards[SHARDS];
};

int wr_response_cache_new(wr_response_cache **out, size_t bytes, wr_err *err)
{
    wr_response_cache *c = wr_calloc(1, sizeof *c);
    if (!c) return wr_err_nomem(err);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&c->shards[i].lock, NULL);
        c->shards[i].max = bytes / SHARDS;
    }
    *out = c;
    return 0;
}

void wr_response_cache_free(wr_response_cache *c)
{
    if (!c) return;
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        for (size_t k = 0; k < s->all.n; k++) wr_free(s->all.at[k]);
        wr_vec_fini(&s->all);
        wr_free(s->buckets);
        pthread_mutex_destroy(&s->lock);
    }
    wr_free(c);
}

/* ---- keys ---- */

static void add_text(XXH3_state_t *h, wr_str s)
{
    uint64_t n = s.p ? s.n : UINT64_MAX; /* a missing text is no empty one */
    XXH3_128bits_update(h, &n, sizeof n);
    if (s.n) XXH3_128bits_update(h, s.p, s.n);
}

static void add_tensor(XXH3_state_t *h, const wr_tensor *t)
{
    int64_t what[2 + WR_TENSOR_DIMS] = {t->type, t->ndims};
    if (t->type == WR_TENSOR_NONE) {
        XXH3_128bits_update(h, what, sizeof *what);
        return;
    }
    memcpy(what + 2, t->shape, (size_t)t->ndims * sizeof *what);
    XXH3_128bits_update(h, what, (2 + (size_t)t->ndims) * sizeof *what);
    if (t->type == WR_TENSOR_BYTES)
        for (size_t i = 0; i < t->count; i++) add_text(h, ((const wr_str *)t->data)[i]);
    else if (t->count) XXH3_128bits_update(h, t->data, t->count * wr_tensor_type_size(t->type));
}

void wr_cache_key_of(wr_cache_key *out, uint64_t salt, const wr_tensor *in, size_t nin, const size_t *outputs,
                     size_t noutputs)
{
    XXH3_state_t h;
    uint64_t first[2] = {salt, noutputs};
    XXH3_128bits_reset_withSeed(&h, wr_hash_seed());
    XXH3_128bits_update(&h, first, sizeof first);
    if (noutputs) XXH3_128bits_update(&h, outputs, noutputs * sizeof *outputs);
    for (size_t i = 0; i < nin; i++) add_tensor(&h, &in[i]);
    XXH128_hash_t sum = XXH3_128bits_digest(&h);
    *out = (wr_cache_key){sum.low64, sum.high64};
}

static shard *shard_of(wr_response_cache *c, const wr_cache_key *k) { return &c->shards[k->b % SHARDS]; }

static entry **find(shard *s, const wr_cache_key *k)
{
    entry **e = &s->buckets[k->a & (s->nbuckets - 1)];
    while (*e && ((*e)->key.a != k->a || (*e)->key.b != k->b)) e = &(*e)->next;
    return e;
}

/* ---- getting ---- */

static int unpack_texts(wr_tensor *t, const unsigned char *p, wr_arena *a)
{
    wr_str *s = wr_arena_alloc(a, t->count * sizeof *s);
    t->data = s;
    if (!s) return WEIR_ENOMEM;
    for (size_t i = 0; i < t->count; i++) {
        uint64_t n;
        memcpy(&n, p, sizeof n);
        s[i] = (wr_str){wr_arena_dup(a, p + sizeof n, n), n};
        if (!s[i].p) return WEIR_ENOMEM;
        p += sizeof n + n;
    }
    return 0;
}

static int unpack(wr_tensor *out, const entry *e, wr_arena *a)
{
    const unsigned char *p = e->data + e->n * sizeof(head);
    for (size_t i = 0; i < e->n; i++) {
        head h;
        memcpy(&h, e->data + i * sizeof h, sizeof h);
        out[i].ndims = h.ndims;
        memcpy(out[i].shape, h.shape, sizeof h.shape);
        out[i].count = h.count;
        if (out[i].type == WR_TENSOR_BYTES) WR_TRY(unpack_texts(&out[i], p, a));
        else if (!(out[i].data = wr_arena_dup(a, p, h.bytes))) return WEIR_ENOMEM;
        p += h.bytes;
    }
    return 0;
}

int wr_response_cache_get(wr_tensor *out, size_t n, wr_response_cache *c, const wr_cache_key *k, wr_arena *a,
                          wr_err *err)
{
    shard *s = shard_of(c, k);
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    entry *e = s->nbuckets ? *find(s, k) : NULL;
    if (e && e->n == n) {
        e->used = true;
        rc = unpack(out, e, a) < 0 ? WEIR_ENOMEM : 1;
    }
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? wr_err_nomem(err) : rc;
}

/* ---- putting ---- */

static size_t bytes_of(const wr_tensor *t)
{
    if (t->type != WR_TENSOR_BYTES) return t->count * wr_tensor_type_size(t->type);
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++) n += sizeof(uint64_t) + ((const wr_str *)t->data)[i].n;
    return n;
}

static void pack(unsigned char *to, const wr_tensor *t, size_t bytes)
{
    if (t->type != WR_TENSOR_BYTES) {
        if (bytes) memcpy(to, t->data, bytes);
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        wr_str s = ((const wr_str *)t->data)[i];
        uint64_t n = s.n;
        memcpy(to, &n, sizeof n);
        if (n) memcpy(to + sizeof n, s.p, n);
        to += sizeof n + n;
    }
}

static entry *entry_of(const wr_cache_key *k, const wr_tensor *out, size_t n, size_t size)
{
    entry *e = wr_alloc(size);
    if (!e) return NULL;
    *e = (entry){.key = *k, .size = size, .n = n};
    unsigned char *to = e->data + n * sizeof(head);
    for (size_t i = 0; i < n; i++) {
        head h = {.ndims = out[i].ndims, .count = out[i].count, .bytes = bytes_of(&out[i])};
        memcpy(h.shape, out[i].shape, sizeof h.shape);
        memcpy(e->data + i * sizeof h, &h, sizeof h);
        pack(to, &out[i], h.bytes);
        to += h.bytes;
    }
    return e;
}

static void drop(shard *s, entry *e)
{
    *find(s, &e->key) = e->next;
    s->bytes -= e->size;
    s->all.at[e->at] = s->all.at[--s->all.n];
    s->all.at[e->at]->at = e->at;
    wr_free(e);
}

static void make_room(shard *s, size_t more)
{
    while (s->all.n && s->bytes + more > s->max) {
        if (s->hand >= s->all.n) s->hand = 0;
        entry *e = s->all.at[s->hand];
        if (e->used) {
            e->used = false;
            s->hand++;
            continue;
        }
        drop(s, e);
        s->evictions++;
    }
}

static bool grow(shard *s)
{
    if (s->all.n < s->nbuckets) return true;
    size_t n = s->nbuckets ? s->nbuckets * 2 : BUCKETS_MIN;
    entry **buckets = wr_calloc(n, sizeof(entry *));
    if (!buckets) return s->nbuckets > 0;
    wr_free(s->buckets);
    s->buckets = buckets;
    s->nbuckets = n;
    for (size_t i = 0; i < s->all.n; i++) {
        entry *e = s->all.at[i], **to = &buckets[e->key.a & (n - 1)];
        e->next = *to;
        *to = e;
    }
    return true;
}

void wr_response_cache_put(wr_response_cache *c, const wr_cache_key *k, const wr_tensor *out, size_t n)
{
    shard *s = shard_of(c, k);
    size_t size = sizeof(entry) + n * sizeof(head);
    for (size_t i = 0; i < n; i++) size += bytes_of(&out[i]);
    entry *e = size > s->max / 4 ? NULL : entry_of(k, out, n, size);
    if (!e) return;
    pthread_mutex_lock(&s->lock);
    bool there = s->nbuckets && *find(s, k); /* somebody else was faster */
    if (!there) make_room(s, size);
    if (!there && grow(s) && wr_vec_reserve(&s->all, 1) == 0) {
        e->at = s->all.n;
        s->all.at[s->all.n++] = e;
        entry **to = &s->buckets[k->a & (s->nbuckets - 1)];
        e->next = *to;
        *to = e;
        s->bytes += size;
        e = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    wr_free(e);
}

void wr_response_cache_stat(wr_response_cache_stats *out, wr_response_cache *c)
{
    *out = (wr_response_cache_stats){0};
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];
        pthread_mutex_lock(&s->lock);
        out->entries += s->all.n;
        out->bytes += s->bytes;
        out->evictions += s->evictions;
        pthread_mutex_unlock(&s->lock);
    }
}
