/* SPDX-License-Identifier: Apache-2.0 */
/* runner.h - weir run: bring stages up to date, in order, each as a process.
 *
 * A stage that is not up to date is restored from the run cache or run: its outs that are files are removed first
 * (unless `persist`), folders for them are made, then /bin/sh runs the command in its wdir with
 *   WEIR_RUN_ID (the run record it belongs to), WEIR_STAGE, WEIR_ROOT, WEIR_CODE_VERSION; PATH is led by our folder.
 * Its output goes to .weir/logs/<run id>.log. The process is metered; time, CPU and energy go to the ledger.
 *
 * Invariants: 1. only a stage that ended with exit code 0 and made all its outs enters weir.lock and the run cache; 2.
 * the deps that are recorded are those from before the command; 3. outs are kept, then the run cache, then weir.lock: a
 * crash in between costs a rerun, never a wrong answer; 4. one wr_flow_run at a time in a project (.weir/run.lock).
 *
 * Exit code 1 of a command means that a check said no (WEIR_ENO, the stage "refused"); any other is a failure. What
 * needs a stage that did not succeed is not run; what does not need it only with keep_going.
 */
#pragma once
#include <signal.h>
#include "flow/graph.h"

typedef enum {
    WR_STAGE_UP_TO_DATE, WR_STAGE_RAN, WR_STAGE_RESTORED, WR_STAGE_REFUSED, WR_STAGE_FAILED,
    WR_STAGE_NOT_RUN,               /* something it needs did not succeed, or we were stopped */
    /* of a plan */
    WR_STAGE_WOULD_RUN, WR_STAGE_WOULD_RESTORE, WR_STAGE_MAY_RUN /* depends on what is made before */, WR_STAGE_BLOCKED
} wr_stage_status;
const char *wr_stage_status_text(wr_stage_status s); /* "up to date", "ran", ... */

typedef struct {
    const wr_stage *stage;
    wr_stage_status status;
    const char *why;                /* reason to run, or of the failure; "" */
    double seconds, cpu_s, energy_j, gco2e; /* of the process; 0 when none ran */
    int exit_code;
    const char *run_id, *log;       /* NULL when no process was started */
} wr_stage_result;

typedef struct {
    wr_graph_pick pick;
    bool force;                     /* run what is up to date too, and do not look into the run cache */
    bool keep_going;                /* after a failure, run what does not depend on it */
    bool live;                      /* also copy the output to our stderr */
    int jobs;                       /* stages at a time; 0 = 1 */
    int wait_ms;                    /* for another weir run to end */
    const volatile sig_atomic_t *stop; /* not 0: stop the children and return WEIR_ECANCELED; may be NULL */
    /* Told on the way, in the calling thread; each may be NULL. */
    void *ctx;
    void (*waiting)(void *ctx, const char *whom);
    void (*started)(void *ctx, const wr_stage *s, const char *why);
    void (*ended)(void *ctx, const wr_stage_result *r);
    void (*tick)(void *ctx, const char *running); /* some times a second while stages run; names */
} wr_flow_opt;

typedef struct {
    wr_stage_result *stages; size_t n; /* the wanted ones, in the order of the graph */
    double seconds;
} wr_flow_result;

/* `out` is filled as far as it went, also on failure. WEIR_ENO when a stage refused (and none failed),
 * WEIR_EUNAVAILABLE when one failed, WEIR_ECANCELED, WEIR_ETIMEOUT when another run holds the project. Results live
 * in `a`. */
int wr_flow_run(wr_flow_result *out, wr_arena *a, wr_project *p, const wr_pipeline *pl, const wr_flow_opt *opt,
                wr_err *err);
/* What wr_flow_run would do: changes nothing, takes no lock. */
int wr_flow_plan(wr_flow_result *out, wr_arena *a, wr_project *p, const wr_pipeline *pl, const wr_graph_pick *pick,
                 bool force, wr_err *err);
