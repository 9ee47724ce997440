/* SPDX-License-Identifier: Apache-2.0 */
/* metric.h - metric series: points (step, time, value) by run and key; the latest of each series; history.
 *
 *   loops --append--> metric log + memory table --drain--> chunks and latest values in the database
 *                          |                                        |
 *                          +------------- readers see both ---------+
 *
 * A series is a set: a point sent twice is there once. Latest = the greatest by (step, time, value), NaN below every
 * number. Order of history: time, step, value. Values are kept exactly, NaN and infinities too. Invariants: 1. what
 * wr_metric_commit() covered is read back after kill -9 and after a power cut; 2. a drain is one transaction that also
 * moves the mark of the log, so a crash repeats or skips it, never half of it (and repeating is harmless: a set);
 * 3. memory is bounded: beyond a cap appending drains first.
 * Without a log (wr_track_opt.log NULL) wr_metric_append is WEIR_EUNSUPPORTED: use wr_metric_put in a write.
 */
#pragma once
#include "track/track.h"

typedef struct {
    wr_str key;
    double value;
    int64_t step, time_ms;
} wr_track_point;

/* ---- the log ---- */

bool wr_metric_has_log(const wr_track *t);
/* Any thread. Seen by readers at once, durable after wr_metric_commit(). All points or none. WEIR_ENOTFOUND without the
 * run, WEIR_EINVAL when it is deleted; WEIR_EUNAVAILABLE when the log takes no more (disk full). Keys are checked by
 * the caller. */
int wr_metric_append(wr_track *t, wr_str run_uuid, const wr_track_point *points, size_t n, wr_err *err);
/* End of a round: what this thread appended is durable when it returns 0; one fdatasync covers what other threads appended
 * meanwhile. Costs nothing when this thread appended nothing. On failure nothing of it is promised. */
int wr_metric_commit(wr_track *t, wr_err *err);
/* Move the log into the database, if there is enough (bytes, age) or always. */
int wr_metric_drain(wr_track *t, bool always, wr_err *err);
/* Make the latest values that searches look at in the database current; cheap when nothing was appended since. Not in a
 * write. */
int wr_metric_settle(wr_track *t, wr_err *err);
/* In a write: a run was deleted, restored or purged; or its id or experiment changed hands. */
void wr_metric_forget_run(wr_track *t, wr_str run_uuid);

/* ---- the database ---- */

typedef struct {
    int64_t run, experiment, start_ms;
} wr_metric_run; /* of wr_track_run */
/* In a write: points straight into chunks and latest values. */
int wr_metric_put(wr_track *t, const wr_metric_run *run, const wr_track_point *points, size_t n, wr_err *err);
int wr_metric_purge(wr_track *t, int64_t run, wr_err *err); /* in a write */

/* ---- reading ----
 *
 * Not while this thread has a statement open that began before: what was drained since is in neither place then. (Inside
 * a write it does no harm.) */

/* Latest point of each series of a run, sorted by key; names of keys are the store's. Its value is 0 where it was -0:
 * SQLite keeps no -0. */
int wr_metric_latest(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_err *err);
/* The same for n runs at once, each there once: out[i] belongs to runs[i]. */
typedef struct {
    wr_track_point *points;
    size_t n;
} wr_metric_series;
int wr_metric_latest_many(wr_metric_series *out, wr_arena *a, wr_track *t, const int64_t *runs, size_t n, wr_err *err);
/* Points of one series after `after` (NULL = from the start) in order of (time, step, value), at most `max` (0 = all);
 * `key` of the points is `key`. A page's last point is the next page's `after`: stable while points arrive. */
int wr_metric_history(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_str key,
                      const wr_track_point *after, size_t max, wr_err *err);
/* Points whose steps are among the sampled ones: of the distinct steps of all `runs` within [from, to] evenly `max`,
 * the last, and each run's first and last step if within; per run in order of (step, time, value), at most
 * WR_METRIC_SAMPLE of a run. out[i] belongs to runs[i]. MLflow's rule; without a range its clients mean [0, INT64_MAX].
 */
enum { WR_METRIC_SAMPLE = 25000 };
int wr_metric_sample(wr_metric_series *out, wr_arena *a, wr_track *t, const int64_t *runs, size_t nruns, wr_str key,
                     int64_t from, int64_t to, size_t max, wr_err *err);
