/* SPDX-License-Identifier: Apache-2.0 */
/* run_record.h - how a run of the program stands in the tracking store: an MLflow run of the experiment "weir". Private
 * to run*.c.
 *
 *   kind, name         tags weir.kind, weir.name; the run's name is "KIND NAME"
 *   command            mlflow.source.name          code        weir.code, mlflow.source.git.commit
 *   host, user         weir.host, mlflow.user      error       weir.error
 *   status             RUNNING, FINISHED, FAILED; "refused" (the check said no) is FAILED with weir.refused = true
 */
#pragma once
#include "core/run.h"
#include "track/run.h"

/* experiment NULL = "weir" */
int wr_run_record_start(char id[33], wr_project *p, const char *experiment, const char *kind, const char *name,
                        const char *command, wr_err *err);

/* In a write. Keys of the program's own params may hold characters that the store's may not: they become '_'. */
wr_str wr_run_record_key(wr_arena *a, const char *key);
int wr_run_record_param(wr_track *t, const wr_track_run *r, const char *key, const char *value,
                        wr_err *err); /* replaces */
int wr_run_record_status(wr_track *t, wr_track_run *r, const char *status, wr_err *err);
int wr_run_record_error(wr_track *t, wr_track_run *r, const char *error, wr_err *err);
/* The error of a process whose exit code says `why` (NULL: there is none, and what it said is no error). */
int wr_run_record_exit(wr_track *t, wr_track_run *r, const char *why, wr_err *err);
