/* SPDX-License-Identifier: Apache-2.0 */
/* http_peers.c - how many connections an address has: chains in a fixed block of nodes, so that a flood allocates
 * nothing. */
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/http_internal.h"

struct wr_http_peer {
    wr_http_addr addr;
    uint32_t count, next; /* next: index + 1 of the chain or of the free list */
};

int wr_http_peers_init(wr_http_peers *p, size_t cap)
{
    *p = (wr_http_peers){.cap = (uint32_t)cap, .nslots = 16};
    while (p->nslots < cap) p->nslots *= 2;
    p->nodes = wr_calloc(cap, sizeof *p->nodes);
    p->slots = wr_calloc(p->nslots, sizeof *p->slots);
    if (!p->nodes || !p->slots) {
        wr_free(p->nodes);
        wr_free(p->slots);
        p->nodes = NULL;
        p->slots = NULL;
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < p->cap; i++) p->nodes[i].next = i + 1 < p->cap ? i + 2 : 0;
    p->free = 1;
    pthread_mutex_init(&p->lock, NULL);
    return 0;
}

void wr_http_peers_fini(wr_http_peers *p)
{
    if (!p->nodes) return;
    wr_free(p->nodes);
    wr_free(p->slots);
    pthread_mutex_destroy(&p->lock);
    p->nodes = NULL;
}

/* The link that points to the node of `a`, or to the end of its chain. */
static uint32_t *link_to(wr_http_peers *p, const wr_http_addr *a)
{
    uint32_t *link = &p->slots[wr_hash64(a, sizeof *a, wr_hash_seed()) & (p->nslots - 1)];
    while (*link && memcmp(&p->nodes[*link - 1].addr, a, sizeof *a) != 0) link = &p->nodes[*link - 1].next;
    return link;
}

bool wr_http_peers_add(wr_http_peers *p, const wr_http_addr *a, size_t max)
{
    pthread_mutex_lock(&p->lock);
    uint32_t *link = link_to(p, a);
    bool ok = true;
    if (*link) {
        struct wr_http_peer *node = &p->nodes[*link - 1];
        ok = node->count < max;
        node->count += ok;
    } else if (p->free) {
        uint32_t i = p->free;
        p->free = p->nodes[i - 1].next;
        p->nodes[i - 1] = (struct wr_http_peer){.addr = *a, .count = 1};
        *link = i;
    } else {
        ok = false;
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}

void wr_http_peers_drop(wr_http_peers *p, const wr_http_addr *a)
{
    pthread_mutex_lock(&p->lock);
    uint32_t *link = link_to(p, a), i = *link;
    WR_BUG_IF(i == 0);
    struct wr_http_peer *node = &p->nodes[i - 1];
    if (--node->count == 0) {
        *link = node->next;
        node->next = p->free;
        p->free = i;
    }
    pthread_mutex_unlock(&p->lock);
}

void wr_http_addr_of(wr_http_addr *out, const struct sockaddr_storage *sa)
{
    *out = (wr_http_addr){{0}};
    if (sa->ss_family == AF_INET) {
        out->at[10] = out->at[11] = 0xff;
        memcpy(out->at + 12, &((const struct sockaddr_in *)sa)->sin_addr, 4);
        return;
    }
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;
    bool mapped = IN6_IS_ADDR_V4MAPPED(v6);
    memcpy(out->at, v6, mapped ? 16 : 8);
}
