/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - string keys to pointers, in insertion order; open addressing, hash seeded per process.
 *
 * Keys are copied into the map. Values belong to the caller. Not thread-safe. No removal: maps here are built, then
 * read. A zeroed wr_map is valid.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

typedef struct { wr_str key; void *value; } wr_map_entry;
typedef struct wr_map {
    wr_map_entry *at;      /* entries 0..n-1, insertion order */
    size_t n, cap;
    uint32_t *slots;       /* 1 + index into at, 0 = free; nslots is a power of two, load <= 1/2 */
    size_t nslots;
} wr_map;

void wr_map_init(wr_map *m);
void wr_map_fini(wr_map *m);
/* Existing value or NULL. */
void *wr_map_get(const wr_map *m, wr_str key);
/* Index of key or -1. */
ptrdiff_t wr_map_find(const wr_map *m, wr_str key);
/* Insert or replace; index of the entry or WEIR_ENOMEM. */
ptrdiff_t wr_map_put(wr_map *m, wr_str key, void *value);
