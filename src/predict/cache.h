/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - answers of models by what was asked, in bounded memory.
 *
 * A key is XXH3-128, seeded per process, over the instance and the input tensors, so a model that was swapped answers nothing of the one
 * before. Shards have a lock, a table and a share of the bytes each; what does not fit makes room by the clock algorithm: a hand goes round
 * and takes the first that nobody asked for since it last came by. Answers larger than a quarter of a shard are not kept.
 * Threads: any.
 */
#pragma once
#include "codec/tensor.h"

typedef struct wr_response_cache wr_response_cache;
typedef struct { uint64_t a, b; } wr_cache_key;

int wr_response_cache_new(wr_response_cache **out, size_t bytes, wr_err *err);
void wr_response_cache_free(wr_response_cache *c);             /* NULL is fine */
/* `salt` tells models and versions of models apart; `outputs` which were asked for, in which order. */
void wr_cache_key_of(wr_cache_key *out, uint64_t salt, const wr_tensor *in, size_t nin, const size_t *outputs, size_t noutputs);
/* 1: there it was; shape, count and data of the n tensors are filled, in `a` (name and type are the caller's). 0: not there. */
int wr_response_cache_get(wr_tensor *out, size_t n, wr_response_cache *c, const wr_cache_key *k, wr_arena *a, wr_err *err);
/* Keeps a copy; no memory for it is no error. */
void wr_response_cache_put(wr_response_cache *c, const wr_cache_key *k, const wr_tensor *out, size_t n);
typedef struct { uint64_t entries, bytes, evictions; } wr_response_cache_stats;
void wr_response_cache_stat(wr_response_cache_stats *out, wr_response_cache *c);
