/* SPDX-License-Identifier: Apache-2.0 */
/* purge.h - what was deleted goes for good: its files first, then its records.
 *
 * A record without files can be purged again, files without a record would not be found any more. So a purge that was
 * cut off anywhere (kill -9, the disk, a server away) is finished by doing it again. Of an experiment the runs, logged
 * models and traces go first, in pieces: some records and their files at a time, each write a few milliseconds and a
 * rest behind it, so that a server beside goes on meanwhile; then what is left in its folder; its own record goes last,
 * and with it its name.
 *
 * Only files of the server's own store ("mlflow-artifacts:") are removed: what clients keep elsewhere stays. The folder
 * of an experiment goes as a whole when it is the one that the server gave it and no other experiment's lies in it.
 * Points that the metric log still has of a run that is gone are dropped by the drain. What is restored while a purge
 * goes on stays as far as it is there. None of it in a write.
 */
#pragma once
#include "store/artifacts.h"
#include "track/experiment.h"

typedef struct {
    wr_artifacts *files;                   /* what stands behind "mlflow-artifacts:" */
    void (*step)(void *arg, int64_t done); /* runs, models and traces that are gone by now; may be NULL */
    void *arg;
} wr_purge_opt;

/* ---- experiments ---- */

typedef struct {
    wr_experiment experiment; /* without tags */
    int64_t runs, models, traces;
    int64_t active;   /* those of the runs that are not deleted: restored after the experiment was deleted */
    int64_t versions; /* registered versions that came from one of the runs or models: they stay, their files do not */
} wr_purge_experiment_facts;

/* Any experiment, deleted or not. WEIR_ENOTFOUND. */
int wr_purge_look(wr_purge_experiment_facts *out, wr_arena *a, wr_track *t, int64_t id, wr_err *err);
/* May it be purged? WEIR_ECONFLICT, and why, unless it is deleted with all its runs; 0, "Default", may not. */
int wr_purge_may(const wr_purge_experiment_facts *f, wr_err *err);
/* Experiments deleted not after `until_ms`, by id; never 0, "Default", which stays. */
int wr_purge_find_experiments(int64_t **out, size_t *n, wr_arena *a, wr_track *t, int64_t until_ms, wr_err *err);
/* With all that belongs to it. WEIR_ENOTFOUND; WEIR_ECONFLICT as wr_purge_may, and when it is restored meanwhile. */
int wr_purge_experiment(wr_track *t, int64_t id, const wr_purge_opt *opt, wr_err *err);

/* ---- runs ---- */

typedef struct {
    wr_str uuid, name, artifact_uri;
    int64_t experiment;
} wr_purge_run;

/* Runs deleted not after `until_ms`, the newest first; of one experiment, or of all (-1). */
int wr_purge_find_runs(wr_purge_run **out, size_t *n, wr_arena *a, wr_track *t, int64_t experiment, int64_t until_ms,
                       wr_err *err);
/* Those that were restored or purged meanwhile are passed over; `purged[i]` (n of them, false before) says which went.
 */
int wr_purge_runs(bool *purged, wr_track *t, const wr_purge_run *runs, size_t n, const wr_purge_opt *opt, wr_err *err);
