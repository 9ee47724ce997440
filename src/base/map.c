/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - entries in an array, found through a table of indices with linear probing.
 *
 *   slots  [ 0 | 2 | 0 | 1 | 3 | ... ]     1 + index into at, 0 = free
 *   at     [ {"b", v} , {"a", v} , {"c", v} ]   insertion order
 *
 * A put that fails leaves the map as it was (perhaps with more room).
 */
#include "base/map.h"

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

enum { SLOTS_MIN = 16 };

void wr_map_init(wr_map *m) { *m = (wr_map){0}; }

void wr_map_fini(wr_map *m)
{
    for (size_t i = 0; i < m->n; i++) wr_free((char *)m->at[i].key.p);
    wr_free(m->at);
    wr_free(m->slots);
    *m = (wr_map){0};
}

/* The slot that holds `key`, or the free slot where it belongs. */
static size_t probe(const wr_map *m, wr_str key)
{
    size_t mask = m->nslots - 1;
    size_t i = (size_t)wr_hash64(key.p, key.n, wr_hash_seed()) & mask;
    while (m->slots[i] && !wr_str_eq(m->at[m->slots[i] - 1].key, key)) i = (i + 1) & mask;
    return i;
}

ptrdiff_t wr_map_find(const wr_map *m, wr_str key) { return m->nslots ? (ptrdiff_t)m->slots[probe(m, key)] - 1 : -1; }

void *wr_map_get(const wr_map *m, wr_str key)
{
    ptrdiff_t i = wr_map_find(m, key);
    return i < 0 ? NULL : m->at[i].value;
}

/* Room in the table for one more entry. */
static int grow_slots(wr_map *m)
{
    if ((m->n + 1) * 2 <= m->nslots) return 0;
    if (m->n >= UINT32_MAX / 2) return WEIR_ENOMEM;
    size_t nslots = m->nslots ? m->nslots * 2 : SLOTS_MIN;
    uint32_t *slots = wr_calloc(nslots, sizeof *slots);
    if (!slots) return WEIR_ENOMEM;
    wr_free(m->slots);
    m->slots = slots;
    m->nslots = nslots;
    for (size_t i = 0; i < m->n; i++) m->slots[probe(m, m->at[i].key)] = (uint32_t)(i + 1);
    return 0;
}

static char *copy_key(wr_str key)
{
    char *p = wr_alloc(key.n + 1);
    if (!p) return NULL;
    if (key.n) memcpy(p, key.p, key.n);
    p[key.n] = 0;
    return p;
}

ptrdiff_t wr_map_put(wr_map *m, wr_str key, void *value)
{
    ptrdiff_t found = wr_map_find(m, key);
    if (found >= 0) {
        m->at[found].value = value;
        return found;
    }
    if (wr_vec_reserve(m, 1) < 0 || grow_slots(m) < 0) return WEIR_ENOMEM;
    char *copy = copy_key(key);
    if (!copy) return WEIR_ENOMEM;
    m->slots[probe(m, key)] = (uint32_t)(m->n + 1);
    m->at[m->n] = (wr_map_entry){{copy, key.n}, value};
    return (ptrdiff_t)m->n++;
}
