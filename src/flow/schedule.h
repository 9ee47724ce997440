/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h - the thread that turns the wheel while a server runs: windows are judged, triggers fire, stages run.
 *
 * Every 200 ms, and at once when wr_schedule_busy finds something new: first the oldest job of a trigger (`weir run
 * STAGES -S ...`), else the first monitor whose window is due (flush of the endpoint's log, then `weir monitor ENDPOINT
 * --window-end T --record`). One job at a time, each a process of this program in the project's folder, its output in
 * .weir/logs/job-*.log. A monitor that fails is tried again after 30 s, then ever later up to 10 minutes; a trigger's
 * job is done when its process has ended, whatever it said. When the schedule stops, a running job is ended and comes
 * again at the next start.
 */
#pragma once
#include "codec/json.h"
#include "core/project.h"

typedef struct { char name[256]; int64_t watermark_us; } wr_endpoint_mark; /* newest event time logged */

typedef struct {
    void *ctx;
    /* Fill at most `max`, return how many. Called from the schedule's thread and from that of wr_schedule_busy. */
    size_t (*marks)(void *ctx, wr_endpoint_mark *out, size_t max);
    /* Everything logged for the endpoint is to be readable in the lake. */
    int (*flush)(void *ctx, const char *endpoint, wr_err *err);
    /* kind: "monitor" or "run"; the owner looks for promoted models. In the schedule's thread; may be NULL. */
    void (*job_ended)(void *ctx, const char *kind, int exit_code);
} wr_schedule_ops;

typedef struct wr_schedule wr_schedule;

/* Reads triggers and monitors (their errors come from here); `p` and what `ops` names outlive the schedule. */
int wr_schedule_start(wr_schedule **out, wr_project *p, const wr_schedule_ops *ops, wr_err *err);
void wr_schedule_stop(wr_schedule *s); /* ends a running job, joins, frees; NULL is fine */
/* A list, newest first: id, kind, what, state (running, ended, failed, stopped), started, ended, exit_code, log. */
void wr_schedule_jobs(wr_schedule *s, wr_jsonw *w);
/* Is something running, or is there news that has not been looked at yet? False: all that was logged before the call
 * has been judged, and nothing was due. A monitor that waits for its next try does not count. */
bool wr_schedule_busy(wr_schedule *s);
