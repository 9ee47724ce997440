/* SPDX-License-Identifier: Apache-2.0 */
/* wrap.h - any command as a run: `weir run -- python train.py`.
 *
 * The run gets, without being asked: command, host, user, git commit and the diff against it (weir/git.diff), what the
 * program ran on (weir/environment.json), seeds named in the environment, SHA-256 of files among the arguments (inputs
 * of the lineage), output (weir/output.log), wall and CPU time, peak memory, joules, grams of CO2e. The command finds
 * the run in WEIR_RUN_ID and MLFLOW_RUN_ID, and in MLFLOW_TRACKING_URI the server of the project when one is up and
 * none was set: what an MLflow client in it logs goes into this run. The command is not held back by a record that
 * cannot be written: that is a warning.
 */
#pragma once
#include <signal.h>
#include "core/project.h"

typedef struct {
    const char *const *argv;     /* NULL-terminated */
    const char *command;         /* as typed, for the record */
    const char *experiment;      /* NULL = "weir" */
    const char *name;            /* of the run; NULL = the program's */
    volatile sig_atomic_t *stop; /* not 0: the command is asked to end */
} wr_wrap_opt;

typedef struct {
    char run_id[33];
    int exit_code;
    double wall_s, cpu_s, energy_j, gco2e;
    const char *log;
} wr_wrap_result;

/* Runs it in the current folder, its output copied to ours. 0 whatever the exit code; WEIR_ENOTFOUND when there is no
 * such program. */
int wr_wrap_run(wr_wrap_result *out, wr_arena *a, wr_project *p, const wr_wrap_opt *opt, wr_err *err);
