/* SPDX-License-Identifier: Apache-2.0 */
/* view_source.h - the rows and the events of a feature view, read from its datasets as frames ready for wr_view_compute.
 *
 * Rows:   the request columns (TS, F64, TEXT), then `_known_at` (TS) and `_outcome` (F64, the column the label is made of) when the view
 *         has them, then the columns to keep, then the event columns as "_event.NAME" when asked for (replay).
 *         Request columns that are looked up come from their own datasets, as known at the row's time, also when `source` has such columns.
 * Events: `_time` (TS) and the event columns (TEXT keys, F64 values).
 * Both in time order (stable). `where` is SQL over the source's columns, or NULL. Datasets used are added as inputs of `run` (may be NULL).
 */
#pragma once
#include "core/run.h"
#include "core/view.h"

typedef struct { const char *where; bool events; /* add the event columns and `_event_time` */ } wr_view_rows_opt;
int wr_view_rows(wr_frame **out, const wr_view *v, wr_project *p, wr_tables *t, const wr_view_rows_opt *opt, wr_run *run, wr_err *err);
int wr_view_events(wr_frame **out, const wr_view *v, wr_project *p, wr_tables *t, const char *where, wr_run *run, wr_err *err);
/* The rows of lookup `i`, as wr_lookup_make takes them: `_time` (TS), its keys (TEXT), its columns (as the request has them). */
int wr_view_lookup_rows(wr_frame **out, const wr_view *v, size_t i, wr_project *p, wr_tables *t, wr_run *run, wr_err *err);
/* The view's node for lineage (hash = view's hash). */
wr_node wr_view_node(const wr_view *v);
/* Run `sql` over datasets by name and record the datasets as inputs of `run`. */
int wr_query_datasets(wr_frame **out, wr_project *p, wr_tables *t, const char *sql, wr_run *run, wr_err *err);
