/* SPDX-License-Identifier: Apache-2.0 */
/* feedback_take.h - labels and rewards that came in, into the log.
 *
 * Of one id the value with the latest `ts` counts; others are kept beside it, as history: datasets labels.ENDPOINT and rewards.ENDPOINT have every value
 * that was told. Telling a value again that is the latest changes nothing and is not kept again, as far as it is remembered: the last hundred
 * thousand or so ids, not over a restart (then it stands there twice, which counts the same).
 * Rewards go to the endpoint's rollout too (stage/rollout/run.h), which may not know the id any more: however a reward of a prediction comes, it comes
 * through here, so that the log has what arms earned.
 * Acknowledged means on disk, as for labels. Any thread.
 */
#pragma once
#include "stage/deploy/serve.h"
#include "stage/predlog/feedback_body.h"

typedef struct {
    size_t accepted, unchanged;
    size_t earned, repeated, unknown; /* rewards: counted for an arm; the prediction had one, or this one is unchanged; no arm is remembered for it */
} wr_feedback_taken;
/* Commits the round. Either all items are kept or none is acknowledged. WEIR_ENOTFOUND without such an endpoint. */
int wr_serve_feedback(wr_feedback_taken *out, wr_round *r, wr_str endpoint, const wr_feedback_item *items, size_t n, wr_err *err);
