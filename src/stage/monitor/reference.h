/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h - inside the room: the reference of a monitor, scored by one model version and digested for comparison. */
#pragma once
#include "core/package.h"
#include "stage/monitor/monitor.h"

typedef struct {
    char package[65];
    wr_frame *frame;                /* watched columns and the score, rows of the reference */
    wr_drift_ref **digest;          /* one a column of the monitor */
    const wr_drift_stat **stat;     /* the statistic that judges it, by its kind */
    double *threshold;
} wr_reference;

/* Run the monitor's SQL (datasets are made visible in `t`; their nodes go to `run`), score it with `package`. Slow the first time: the
 * result is kept as .weir/cache/monitor-ENDPOINT-KEY.parquet, KEY from the SQL, the datasets' hashes, the package and the columns; SQL
 * that reads anything else than datasets, or depends on the moment, is not kept. Memory in `a`; free with wr_reference_fini. */
int wr_reference_load(wr_reference *out, wr_arena *a, wr_project *p, wr_tables *t, const wr_monitor *m, const char *package, wr_pool *pool,
                      wr_run *run, wr_err *err);
void wr_reference_fini(wr_reference *r, size_t ncolumns);
/* Compare the current rows' column with reference column `i`; `out` is complete whatever it finds. */
int wr_reference_compare(wr_monitor_drift *out, const wr_reference *r, const wr_monitor *m, size_t i, const wr_col *current, wr_err *err);
/* "NAME" quoted into `b`; WEIR_ENOTFOUND with did-you-mean when it is not among the columns. `what` names the rows. */
int wr_reference_column(wr_buf *b, const char *name, const wr_table_column *have, size_t n, const char *what, wr_arena *a, wr_err *err);
