/* SPDX-License-Identifier: Apache-2.0 */
/* trace_print.h - the tree of a trace, as weir trace and weir model trace show it. */
#pragma once
#include "cli/cli.h"
#include "stage/sustain/trace.h"

/* The table, and the sum of the runs' energy below it. Nothing when --json. */
void wr_trace_print(wr_cli *c, const wr_trace *t);
