/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - threads that block, never spin.
 *
 * wr_pool_for splits 0..n-1 into tasks; the caller works too; it returns when all are done. Which thread runs which
 * index is not defined, so results must not depend on it. A NULL pool runs everything in the caller. wr_pool_post runs
 * one job soon. Threads: all functions may be called from any thread, wr_pool_for not from inside a task of the same
 * pool, posted ones included. Workers take no signals.
 */
#pragma once
#include <stddef.h>

typedef struct wr_pool wr_pool;
typedef void (*wr_task)(void *ctx, size_t index);

wr_pool *wr_pool_new(int threads);      /* workers beside the caller: threads - 1; 0 = wr_os_cpus(); NULL: no memory */
void wr_pool_free(wr_pool *p);          /* runs what was posted, then joins */
int wr_pool_threads(const wr_pool *p);  /* 1 for NULL */
void wr_pool_for(wr_pool *p, size_t n, wr_task task, void *ctx);
/* 0 or WEIR_ENOMEM; runs at once when p is NULL or has no worker. */
int wr_pool_post(wr_pool *p, wr_task task, void *ctx, size_t index);
