/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_rollout.h - a rollout's state as the server tells it, shown. */
#pragma once
#include "cli/deploy_server.h"
#include "core/rollout.h"

/* A picture of the shares, a table of arms, what guardrails say; with --json as it is. */
int wr_rollout_print(wr_cli *c, yyjson_val *status, wr_err *err);
