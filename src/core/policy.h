/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h - `registry:` of weir.yaml: what must be true before a version gets an alias or goes to a stage.
 *
 *   registry:
 *     policies:
 *       - {alias: champion, requires: [evaluation, feasibility], role: approver}
 *       - {stage: Production, model: delay, requires: [signature]}
 *
 * They hold for `weir model register|promote` and for MLflow's clients alike (track/registry_policy.h). */
#pragma once
#include "codec/yaml.h"
#include "track/track.h"

/* Reads them and gives them to the store. Mistakes are WEIR_EINVAL or WEIR_ETYPE at their place. */
int wr_policy_config(wr_track *t, const wr_yaml *config, wr_err *err);
