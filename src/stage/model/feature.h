/* SPDX-License-Identifier: Apache-2.0 */
/* feature.h - features in batch: the training table of a view, and the snapshot the server starts its online state from. */
#pragma once
#include "core/dataset.h"
#include "core/run.h"
#include "core/view.h"

typedef struct { wr_dataset_written written; size_t rows, events, features; double label_share; } wr_feature_built;
/* Compute every feature of every row of the source as of its own time and write dataset view->name (a new version):
 * time, known_at, label, kept columns, features. */
int wr_feature_build(wr_feature_built *out, wr_project *p, const wr_view *v, wr_pool *pool, wr_run *run, wr_err *err);

typedef struct {
    size_t events; int64_t newest_us; size_t bytes; const char *path;
    size_t entities, rows;          /* of lookups */
} wr_feature_snapshot;
/* The online state as of `until_us`: events known by then and still inside a window, to .weir/online/VIEW.online; the tables of lookups
 * (core/lookup.h) to .weir/online/VIEW.lookup. lookups_alone: these, and the state stays as it is: a running server takes them up. */
int wr_feature_materialize(wr_feature_snapshot *out, wr_project *p, const wr_view *v, int64_t until_us, bool lookups_alone, wr_run *run, wr_err *err);
