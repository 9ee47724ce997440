/* SPDX-License-Identifier: Apache-2.0 */
/* trigger.h - "when this is seen, run those stages": the `triggers:` section of weir.yaml.
 *
 *   triggers:
 *     - on: drift                    # a "drift" event of the endpoint; its number is "value"
 *       endpoint: delay
 *       above: 0.9                   # or below:; without either every such event fires
 *       cooldown: 14d                # in event time: the windows' ends, not the clock
 *       run: [feedback, retrain]     # stages, named, so manual ones run too
 *       set: {until: window_end}     # -S until=<that member of the event's payload>
 *       name: retrain_on_drift       # default: its place in the list, from 0
 *     - {on: performance, endpoint: delay, metric: auc, below: 0.7, run: [retrain]}   # "window" events
 *     - {on: data:flights, run: [train]}                                              # a new version of a dataset
 *   `on: cron` is refused: not supported yet.
 *
 * Exactly once: the decision to fire is an event itself ("triggered", with trigger, cause and job), written before the
 * cause is acknowledged (consumer "trigger:NAME"); a cause that has one already is only acknowledged. A job is done
 * when consumer "trigger-jobs" has acknowledged its event: killed before, it is found again at the next start. Event
 * time never goes back: an event that is not later than the last one that fired, or within the cooldown after it, does
 * not fire.
 *
 * What set: puts into a command line is letters, digits and _.:+@/- only; an event with anything else is
 * passed over.
 */
#pragma once
#include "core/event.h"
#include "core/project.h"

typedef enum { WR_TRIGGER_DRIFT, WR_TRIGGER_PERFORMANCE, WR_TRIGGER_DATA } wr_trigger_kind;
typedef struct { const char *var, *key; } wr_trigger_set;

typedef struct {
    const char *name;
    wr_trigger_kind kind;
    const char *endpoint, *dataset; /* as the kind has it, else NULL */
    const char *metric;             /* member of the payload that is compared */
    bool has_above, has_below;
    double above, below;
    int64_t cooldown_us;
    const char **run; size_t nrun;
    wr_trigger_set *set; size_t nset;
} wr_trigger;

/* The section, checked against stages, variables and endpoints; errors at file:line:column. Strings live in `a` and in
 * `p`. */
int wr_trigger_list(wr_trigger **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err);

typedef struct {
    int64_t id;                     /* number of its "triggered" event */
    const char *trigger, *cause;    /* name; "endpoint:delay", "data:flights" */
    const char **run; size_t nrun;
    const char **set; size_t nset;  /* "until=2001-06-15" */
} wr_trigger_job;

/* The next job to be done: 1 and `out` (in `a`), or 0. The same job until wr_trigger_done. */
int wr_trigger_next(wr_trigger_job *out, wr_arena *a, wr_project *p, const wr_trigger *triggers, size_t n, wr_err *err);
int wr_trigger_done(wr_project *p, const wr_trigger_job *job, wr_err *err);
