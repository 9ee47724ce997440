/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h - `registry:` of weir.yaml: what must be true before a version gets an alias or goes to a stage.
 *
 *   registry:
 *     policies:
 *       - {alias: champion, requires: [evaluation, feasibility], role: approver}
 *       - {stage: Production, model: delay, requires: [signature]}
 *     target: targets/prod.yaml                             # where it is to run: reports of a study count for this profile alone
 *
 * `require: signature` asks for a signature in all places; signing.h has what one is, and whom to trust. feasibility.h has what a study's report must say.
 * They hold for `weir model register|promote` and for MLflow's clients alike (track/registry_policy.h). */
#pragma once
#include "core/project.h"

/* Reads them and gives them to the store, with the judge of signatures. Mistakes are WEIR_EINVAL or WEIR_ETYPE at their place. */
int wr_policy_config(wr_project *p, wr_track *t, const wr_yaml *config, wr_err *err);
