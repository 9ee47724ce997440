/* SPDX-License-Identifier: Apache-2.0 */
/* metric_inside.h - what the metric*.c share. Private to them.
 *
 *   metric.c        the log: opening, appending, committing      metric_store.c    chunks, latest values in the database
 *   metric_drain.c  memory into the database                     metric_read.c     latest, history
 *   metric_table.*  recent points in memory                      metric_sample.c   evenly sampled steps
 *   metric_record.* a record of the log                          metric_runs.*     which runs take points
 *
 *   append: shard lock { active table, buffer of the log }     commit: the log, one fdatasync for all
 *   drain:  1. seal the log: segments up to S have their records
 *           2. shard by shard, active becomes draining. An append holds its shard's lock over both its steps, so what is
 *              in segments up to S is in a draining table by now; what came in between is in one and in segment S + 1
 *           3. writes of a few milliseconds each; the last one notes S as drained
 *           4. segments up to S are dropped, then the draining tables
 *      A crash before 3 has noted S repeats all of it from the log, which changes nothing: a series is a set.
 *   settle: the latest values that are dirty, active and draining; they stay dirty until that is committed
 *
 * Inside, points are wr_series_point; the order of a series is (step, time, value), NaN first. Readers look at memory
 * first and at the database after it: what left memory before the first look was committed by then, so nothing is
 * missed; what is seen twice is one point, as a series is a set. */
#pragma once
#include "base/vec.h"
#include "codec/series.h"
#include "store/applog.h"
#include "track/metric.h"
#include "track/metric_runs.h"
#include "track/metric_table.h"
#include "track/track_inside.h"

typedef WR_VEC(wr_series_point) wr_metric_points;

int wr_metric_by_step(const void *a, const void *b); /* (step, time, value) of wr_series_point; for qsort */
int wr_metric_by_time(const void *a, const void *b); /* (time, step, value) */
/* Sort, unless it is sorted, and drop what is there twice; the number that stays. */
size_t wr_metric_sort(wr_series_point *p, size_t n, int (*by)(const void *, const void *));

/* ---- database ---- */

/* Points of one series, sorted by step, each once. */
typedef struct {
    int64_t key;
    const wr_series_point *points;
    size_t n;
} wr_metric_part;
/* In a write: parts of one run, each key once, into chunks and latest values; without `chunks` the latest values alone.
 * `scratch` holds what is needed on the way. */
int wr_metric_store(wr_track *t, wr_arena *scratch, const wr_metric_run *run, const wr_metric_part *parts, size_t n,
                    bool chunks, wr_err *err);
/* In a write: ids of up to WR_METRIC_KEYS different keys, made where there is none. */
enum { WR_METRIC_KEYS = 64 };
int wr_metric_keys(int64_t *ids, wr_track *t, const wr_str *names, size_t n, wr_err *err);
/* "?,?, ... ?" with n marks, n rounded up so that few texts are prepared; the number of marks. */
size_t wr_metric_marks(wr_buf *sql, size_t n);

/* ---- reading ---- */

int wr_metric_add_chunk(wr_metric_points *out, wr_str chunk, wr_err *err); /* all points of a chunk */
int wr_metric_to_track(wr_track_point **out, wr_arena *a, wr_str key, const wr_series_point *p, size_t n, wr_err *err);

/* ---- memory ---- */

enum { WR_METRIC_SHARDS = 16 };

typedef struct {
    pthread_mutex_t lock; /* rank 4; guards the two and what they hold */
    wr_metric_table *active, *draining; /* NULL = empty */
    char pad[64];                       /* no two shards in one cache line */
} wr_metric_shard;

struct wr_metric_state {
    wr_track *t;
    wr_applog *log; /* NULL: another process may have it; what it held at the first look is in memory */
    atomic_bool peeked;
    char *dir;
    wr_metric_runs runs;
    size_t drain_bytes, memory_max; /* of memory: from here on the thread drains; appending waits */
    wr_metric_shard shards[WR_METRIC_SHARDS];
    _Atomic size_t active_bytes, draining_bytes;
    _Atomic int64_t oldest_ns;         /* of the first append into the active tables, 0 = they are empty */
    atomic_bool stuck;                 /* the last drain failed */
    _Atomic uint64_t appended, settled; /* appends so far; those whose latest values are in the database */

    pthread_mutex_t settle_lock; /* rank 2; one settles; tables stay while it is held */

    pthread_mutex_t drain_lock; /* rank 1; one drains (or peeks); guards what follows */
    bool draining;              /* the tables were swapped and are not yet all in the database */
    uint64_t upto;              /* the segments that they cover */
    WR_VEC(const wr_metric_recent *) items; /* series of the draining tables, by run */
    size_t next, skip;                      /* the first one that is not done, and how many of its points are */

    pthread_mutex_t wake_lock; /* rank 5; guards what follows */
    pthread_cond_t wake, room;
    pthread_t thread; /* drains when memory fills */
    bool started, stop, wanted;
};

/* Before the first look at memory: reads the log of another process, if there is one. */
int wr_metric_peek(wr_metric_state *m, wr_err *err);
wr_metric_shard *wr_metric_shard_of(wr_metric_state *m, int64_t run);
/* What memory has of a series (after `after` by time; NULL = all), behind what is in `out`. */
int wr_metric_recent_points(wr_metric_points *out, wr_track *t, int64_t run, wr_str key, const wr_series_point *after,
                            wr_err *err);
/* Latest points of a run's series in memory; a key may come twice. */
int wr_metric_recent_latest(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_err *err);
void wr_metric_drain_free(wr_metric_state *m); /* at the end, whether drained or not */
