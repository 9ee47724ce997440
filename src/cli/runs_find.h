/* SPDX-License-Identifier: Apache-2.0 */
/* runs_find.h - what the runs commands share: finding runs by id or by search, naming columns. */
#pragma once
#include "cli/cli.h"
#include "core/run.h"
#include "track/search_run.h"

/* By the first digits of its id (at least 4). Deleted ones too. WEIR_ENOTFOUND hints at a run with this name. */
int wr_runs_row(wr_run_row *out, wr_cli *c, const char *id, wr_err *err);
/* The same with everything loaded. */
int wr_runs_one(wr_track_run *out, wr_cli *c, const char *id, wr_err *err);
/* An experiment by its name or number, deleted ones too, for what cannot be taken back easily: WEIR_EUSAGE when the text is
 * the name of one and the number of another. WEIR_ENOTFOUND with a hint. */
int wr_runs_experiment(wr_experiment *out, wr_cli *c, const char *name, wr_err *err);
/* Runs of all experiments, or of the one named, that fit; newest first unless `order` says otherwise. */
typedef struct {
    const char *experiment, *filter;
    const char **order;
    size_t norder;
    wr_view_type view;
    size_t max;
} wr_runs_query;
int wr_runs_search(wr_track_run **out, size_t *n, wr_cli *c, const wr_runs_query *q, wr_err *err);
/* "metrics.auc", "params.lr", "tags.k", or a bare key looked for in that order: its text in the arena, "" when the run
 * has none. */
const char *wr_runs_cell(wr_cli *c, const wr_track_run *r, const char *column);
void wr_runs_json(wr_jsonw *w, const wr_track_run *r);
const char *wr_runs_status(const wr_track_run *r); /* lower case; "deleted" */
