/* SPDX-License-Identifier: Apache-2.0 */
/* flow_print.h - what weir run, status and runs show alike: marks, plans, log tails, stages as JSON. */
#pragma once
#include "cli/cli.h"
#include "flow/runner.h"

const char *wr_stage_mark(wr_stage_status s);
void wr_stage_json(wr_jsonw *w, const wr_stage_result *r);
/* Table of a plan, and a line that sums it up. */
void wr_plan_print(wr_cli *c, const wr_flow_result *plan);
/* The last `lines` lines of a log, indented; control characters but tabs are left out. Nothing when there is no log. */
void wr_log_tail(FILE *f, wr_arena *a, const char *path, int lines);
/* Targets, --single and --downstream of the command line. */
int wr_cli_pick(wr_graph_pick *out, wr_cli *c, wr_err *err);
