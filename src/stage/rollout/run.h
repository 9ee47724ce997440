/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - rollouts of a serving process: which arm answers a request, what becomes of it, when it ends.
 *
 * The endpoint's own model is the primary and is served as ever. The other arms are models beside it, named ENDPOINT:ARM among the models,
 * loaded, checked, warmed up and swapped as endpoints are (stage/deploy/serve.h). An arm that is not ready, or that fails, never fails a request: the
 * primary answers, and when the primary can, the failure is the arm's. A request that asks for a version is no part of it.
 *
 * Once a second (wr_rollout_tick) arms are judged (rollout.h). Certain evidence, or `threshold` failed checks, take the arm out: its share is 0
 * in the next table, which the next request already sees; an event "rollback" tells with what evidence. A plan's canary that passes an interval's check
 * gets step_weight more; after an interval at max_weight it is promoted: the alias of the primary's reference moves to its version, under
 * the policies of the registry (a refusal: "held"), and when the endpoint has taken that version up the rollout is over. A primary without
 * alias, or a canary of another model: the canary keeps all requests and the rollout stays "promoted".
 *
 * Requests that are there together share runs (predict/batch.h), each with those of its arm, and are counted when they are answered; not while
 * guardrails p99 or joules compare arms.
 *
 * Phases: running, held (a policy said no; weights stay), promoting, promoted, rolled_back. All of it is kept in the records (core/rollout.h), at every
 * change of phase, step or arms before anything else happens and every few seconds besides; so a restart goes on at the same step.
 * What weir.yaml declares begins when its text is another than what was declared last; a command's rollout lasts until then.
 *
 * Decisions of split and bandit are logged with their propensity: dataset decisions.ENDPOINT. Rewards come by prediction id, when they are in the log
 * (stage/deploy/feedback_take.h); of each id the first
 * counts; ids are remembered for a day, the last hundred thousand or so, over restarts and crashes too (memory.c).
 * Shadows: shadow.c. Threads: any, but wr_rollout_tick one at a time. Locks, after refresh and before an endpoint's: a rollout's judge; after an endpoint's:
 * its table, then the stripes of its ids.
 */
#pragma once
#include "stage/deploy/serve.h"
#include "stage/rollout/rollout.h"

/* ---- commands; WEIR_ENOTFOUND without such an endpoint, or without a rollout ---- */

/* Takes the place of the one before. `text`: YAML or JSON; loads the arms, and so takes its time; one that does not load is tried again. */
int wr_rollout_begin(wr_serve *s, wr_str endpoint, wr_str text, wr_err *err);
/* Now, whatever the plan says. arm {NULL, 0}: the only one. WEIR_ENO from a policy (nothing changed then), WEIR_ECONFLICT when it is over. */
int wr_rollout_promote(wr_serve *s, wr_str endpoint, wr_str arm, wr_err *err);
/* All requests to the primary, in microseconds. */
int wr_rollout_back(wr_serve *s, wr_str endpoint, wr_err *err);
/* An arm as metrics show it; false: the endpoint (number `i` of wr_serve_count) has no rollout, or no arm of this number. */
typedef struct { char name[64]; double share; uint64_t requests, errors, dropped; bool out; } wr_rollout_look;
bool wr_rollout_look_at(wr_rollout_look *out, wr_serve *s, size_t i, size_t arm);
/* JSON for people and programs: phase, shares, counts, verdicts. */
int wr_rollout_status(wr_buf *out, wr_serve *s, wr_str endpoint, wr_err *err);

/* Of an arm as such: no prediction's, so the log does not have it. Rewards of predictions come as feedback (stage/deploy/feedback_take.h). */
int wr_rollout_reward_arm(wr_serve *s, wr_str endpoint, wr_str arm, double reward, wr_err *err);

void wr_rollout_tick(wr_serve *s);

/* For wr_serve_opt: who opens a serving process without it has no rollouts, and forgets what arms answered when it drains. */
extern const struct wr_serve_rollouts wr_rollouts;
