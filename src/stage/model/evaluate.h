/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.h - how good a model is on rows it has not seen: metrics, calibration, confusion, slices, against others, and a gate. */
#pragma once
#include "base/pool.h"
#include "calc/metrics.h"
#include "codec/json.h"
#include "core/package.h"
#include "core/run.h"
#include "stage/model/gate.h"

typedef struct {
    const char *model;              /* reference of the model judged */
    const char *rows;               /* SQL; NULL = the dataset of the model's view */
    int64_t from_us, until_us;
    const char *against;            /* reference or NULL; a reference that does not exist yet is "none", and said so */
    const char *baseline;           /* reference, or NULL = the constant share of 1 among the rows */
    const char *const *by; size_t nby; /* slices: column names, or "week", "day", "month" of the view's time */
    double threshold;
    const wr_gate *gate;            /* NULL = none */
} wr_evaluate_opt;

enum { WR_EVALUATE_BINS = 10, WR_EVALUATE_METRICS = 32 };
typedef struct { const char *ref; int64_t version; char package[65]; double metric[WR_EVALUATE_METRICS]; } wr_judged;
typedef struct { const char *value; size_t n; double positives, mean_p, auc, log_loss; } wr_slice;
typedef struct { const char *by; wr_slice *slices; size_t n; } wr_slices; /* sorted: time slices by time, others by rows */

typedef struct {
    size_t rows, positives;
    int64_t from_us, until_us;      /* of the rows found */
    wr_judged own, against, baseline;
    bool has_against;
    wr_confusion confusion;
    wr_calibration_bin calibration[WR_EVALUATE_BINS];
    wr_slices *by; size_t nby;
    wr_gate_result *gate; size_t ngate;
    bool passed;                    /* no rule failed */
} wr_evaluation;

/* Results live in `a`. A failed gate is not an error here: see passed. */
int wr_evaluate(wr_evaluation *out, wr_arena *a, wr_project *p, const wr_evaluate_opt *opt, wr_pool *pool, wr_run *run, wr_err *err);
void wr_evaluation_json(wr_jsonw *w, const wr_evaluation *e, const wr_evaluate_opt *opt);
