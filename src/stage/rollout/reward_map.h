/* SPDX-License-Identifier: Apache-2.0 */
/* reward_map.h - which arm answered which prediction, for as long as it is worth knowing: a hash table of fixed size that forgets.
 *
 * 16384 buckets of 8 entries, an entry the hash of an id, arm, propensity and second; a full bucket forgets its oldest. So at least the last
 * few tens of thousands of predictions are there, whatever their ids; older than WR_REWARD_TTL_S they do not count. Two ids of one hash (64
 * bits, seeded for each table) would be one. Threads: any; a lock for each of 64 stripes.
 *
 * As bytes, to be kept: u64 seed, then of each entry u64 hash, u32 second, f32 propensity, u8 arm, u8 taken. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

enum { WR_REWARD_TTL_S = 86400 };
typedef struct wr_reward_map wr_reward_map;

wr_reward_map *wr_reward_map_new(void); /* NULL when out of memory */
void wr_reward_map_free(wr_reward_map *m);
void wr_reward_map_put(wr_reward_map *m, wr_str id, unsigned arm, double propensity, int64_t now_s);
/* 1 = there, and now taken; 0 = it was taken before; -1 = unknown. */
int wr_reward_map_take(unsigned *arm, double *propensity, wr_reward_map *m, wr_str id, int64_t now_s);
/* Appends all entries; check out->failed. What comes while it goes on may be in it or not. */
void wr_reward_map_save(wr_buf *out, wr_reward_map *m);
/* Into a table that is empty still. False: those are no such bytes, and it stays empty. */
bool wr_reward_map_load(wr_reward_map *m, wr_str bytes);
