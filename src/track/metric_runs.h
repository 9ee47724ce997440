/* SPDX-License-Identifier: Apache-2.0 */
/* metric_runs.h - which runs take points: uuid -> id, remembered. Any thread.
 *
 * Only active runs are remembered, and only when nothing that may end one was committed between the start of the look
 * into the database and its end: each such commit moves `generation` and empties the memory. The writer says so after
 * its commit and before the caller of the delete hears of it (track.c); an append that overlaps with the delete may
 * still succeed, one that begins after it cannot. Commits of other processes are looked for every 20 ms. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "track/track.h"

typedef struct {
    pthread_mutex_t lock; /* rank 3; guards the table and generation */
    struct wr_metric_known_run {
        uint64_t uuid[2];
        int64_t id; /* 0 = free */
    } *slots;
    size_t n, nslots;
    uint64_t generation;
    _Atomic int64_t look_ns; /* when to ask for commits of other processes again */
    _Atomic int64_t counter; /* of wr_db_changed */
} wr_metric_runs;

void wr_metric_runs_init(wr_metric_runs *r, wr_track *t); /* t NULL: only to be finished */
void wr_metric_runs_fini(wr_metric_runs *r);
/* Id of an active run; WEIR_ENOTFOUND, or WEIR_EINVAL when it is deleted. */
int wr_metric_runs_find(int64_t *id, wr_metric_runs *r, wr_track *t, wr_str uuid, wr_err *err);
void wr_metric_runs_clear(wr_metric_runs *r); /* after a commit that may have ended one */
