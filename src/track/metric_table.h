/* SPDX-License-Identifier: Apache-2.0 */
/* metric_table.h - recent points in memory, by run and key. Of one thread, or under its owner's lock.
 *
 *   runs    hash: run id -> its newest series --next--> ... (0 ends)
 *   slots   hash: run id, key -> series
 *   series  latest point; blocks of points in order of arrival: 4, 8, ... 512, never moved
 *
 * What stands in a block is never changed, so a reader that took `first` and `n` under the lock may read n points
 * without it, as long as the table lives (wr_metric_table_keep). Memory is one arena and three arrays; a point costs no
 * allocation. */
#pragma once
#include <stdatomic.h>

#include "base/arena.h"
#include "base/vec.h"
#include "codec/series.h"
#include "track/metric.h"

typedef struct wr_metric_block {
    struct wr_metric_block *next;
    uint32_t n, cap;
    wr_series_point p[];
} wr_metric_block;

typedef struct {
    int64_t run;
    uint64_t hash;
    wr_str key;
    uint32_t next; /* 1 + number of the next series of the run, 0 = last */
    bool dirty;    /* the latest value is not in the database */
    size_t n;
    wr_metric_block *first, *last;
    wr_series_point latest;
} wr_metric_recent;

typedef struct wr_metric_table {
    wr_arena *memory;
    WR_VEC(wr_metric_recent) series;
    WR_VEC(uint32_t) dirty; /* numbers of series, each once; has room for all */
    uint32_t *slots;        /* 1 + number of the series, 0 = free */
    size_t nslots;
    struct wr_metric_table_run {
        int64_t run;
        uint32_t first; /* 1 + number of a series, 0 = free slot */
    } *runs;
    size_t nruns, run_slots;
    atomic_int kept; /* who may still read it; 0: freed */
} wr_metric_table;

wr_metric_table *wr_metric_table_new(void); /* kept once; NULL: no memory */
void wr_metric_table_keep(wr_metric_table *m);
void wr_metric_table_drop(wr_metric_table *m); /* any thread; NULL is fine; the last one frees */
/* All or none (WEIR_ENOMEM). */
int wr_metric_table_add(wr_metric_table *m, int64_t run, const wr_track_point *p, size_t n);
/* Take back the last n points, which were these. */
void wr_metric_table_undo(wr_metric_table *m, int64_t run, const wr_track_point *p, size_t n);
/* NULL if it has no points of it. */
const wr_metric_recent *wr_metric_table_find(const wr_metric_table *m, int64_t run, wr_str key);
/* The series of a run, one after the other: start with NULL; NULL ends. Some may have no points. */
const wr_metric_recent *wr_metric_table_next(const wr_metric_table *m, int64_t run, const wr_metric_recent *before);
size_t wr_metric_table_bytes(const wr_metric_table *m);
