/* SPDX-License-Identifier: Apache-2.0 */
/* clean.h - a dataset split in two: the rows a suite accepts, and the rows it quarantines with the reasons.
 *
 * First the `clean:` section changes values, in this order: trim, lower, missing (values that mean there is none), fill, cast. Then rows that violate a
 * check with action: quarantine, and rows whose value cannot be cast, are flagged; of the others, dedupe flags repeated ones.
 * Flagged rows go to the quarantine as they were before any change, with _reason (names joined by commas) and _source_version; the
 * rest, without drop_columns, goes to the output. Order is kept. Invariant: rows(out) + rows(quarantine) = rows(in), verified before
 * anything is written. The quarantine is written first; when the output then fails, the quarantine is put back.
 *
 *   clean:
 *     trim: [origin]               lower: [origin]
 *     missing: {columns: [job], values: ["?"]}
 *     fill: {column: delay, value: 0}        (or a list of these)
 *     cast: {distance: double}
 *     dedupe: {columns: [date, origin], keep: first}
 *     drop_columns: [note]
 */
#pragma once
#include "core/dataset.h"
#include "core/run.h"
#include "stage/data/suite.h"

typedef struct {
    const char *name;               /* reference of the input */
    const char *out, *quarantine;   /* datasets */
    bool dry_run;                   /* count only */
} wr_clean_opt;

typedef struct { const char *what, *column; int64_t rows; } wr_clean_count;
typedef struct {
    wr_node in;
    int64_t rows_in, rows_out, rows_quarantine;
    wr_dataset_written out, quarantine; /* zero after a dry run */
    wr_clean_count *change; size_t nchange; /* operation, column, rows changed */
    wr_clean_count *reason; size_t nreason; /* name, NULL, rows; a row may have several reasons */
} wr_clean_report;

/* `run` may be NULL for a dry run. WEIR_EINVAL for a suite that does not fit, WEIR_EINTERNAL if rows would be lost. */
int wr_clean(wr_clean_report *report, wr_arena *a, wr_project *p, const wr_clean_opt *opt, wr_suite *suite, wr_run *run, wr_err *err);
