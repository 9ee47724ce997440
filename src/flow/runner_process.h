/* SPDX-License-Identifier: Apache-2.0 */
/* runner_process.h - one stage as a process: environment, log, run record, meter. For runner.c. */
#pragma once
#include "core/footprint.h"
#include "flow/runner.h"
#include "io/meter.h"
#include "io/proc.h"

/* What all processes of one weir run share; opened with the first process. A zeroed host with p and a is valid. */
typedef struct {
    wr_project *p;
    wr_arena *a;
    bool live, ready;
    wr_meter *meter;
    wr_carbon carbon;
    const char *path_env, *code_env, *root_env;
} wr_stage_host;
void wr_stage_host_fini(wr_stage_host *h);

typedef struct wr_stage_process wr_stage_process;

/* Removes and prepares outs, opens the run record and starts the command; r->run_id and r->log are set. */
int wr_stage_begin(wr_stage_process **out, wr_stage_host *h, const wr_stage *s, wr_stage_result *r, wr_err *err);
/* 1 = ended: figures in `r`, run record closed, object freed. 0 = still running. Negative: freed too. */
int wr_stage_wait(wr_stage_process *sp, wr_stage_result *r, int timeout_ms, wr_err *err);
/* Ends the process (SIGTERM, after grace_ms SIGKILL) and closes the record as failed. */
void wr_stage_stop(wr_stage_process *sp, int grace_ms, wr_stage_result *r);
