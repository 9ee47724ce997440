/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - rules that say whether a model may go on.
 *
 *   rules:
 *     - {metric: auc, at_least: 0.745}
 *     - {metric: auc, better_than: baseline, by: 0.03}   # or against: the model in use; skipped when there is none
 *     - {metric: calibration_error, at_most: 0.05}
 */
#pragma once
#include "calc/metrics.h"
#include "codec/json.h"
#include "core/project.h"

typedef enum { WR_GATE_AT_LEAST, WR_GATE_AT_MOST, WR_GATE_BETTER } wr_gate_kind;
typedef struct { const wr_metric *metric; wr_gate_kind kind; bool baseline; /* else against */ double value; /* bound, or `by` */ int line; } wr_gate_rule;
typedef struct { wr_gate_rule *rules; size_t n; const char *path; } wr_gate;

int wr_gate_load(wr_gate *out, wr_arena *a, const char *path, const char *dir, wr_err *err);

typedef enum { WR_GATE_PASSED, WR_GATE_FAILED, WR_GATE_SKIPPED } wr_gate_state;
typedef struct { wr_gate_state state; char text[160]; } wr_gate_result;
/* own, against, baseline: one value per metric of wr_metrics(); against and baseline may be NULL. NaN fails. */
void wr_gate_judge(wr_gate_result *out, const wr_gate_rule *r, const double *own, const double *against, const double *baseline);
