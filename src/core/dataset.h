/* SPDX-License-Identifier: Apache-2.0 */
/* dataset.h - a named, versioned table: the Delta table .weir/lake/NAME.
 *
 * A reference is NAME, NAME@VERSION or NAME@TIME ("flights@3", "flights@2026-11-01"). Every write is one Delta commit: the data file is
 * written under its final random name, synced, then the log entry makes it visible; a crash before that leaves an orphan file only.
 */
#pragma once
#include "core/lineage.h"
#include "core/project.h"
#include "store/delta.h"

bool wr_dataset_exists(wr_project *p, const char *name);
const char *wr_dataset_dir(wr_arena *a, wr_project *p, const char *name);
/* Names of all datasets, sorted. */
int wr_dataset_list(char ***out, size_t *n, wr_arena *a, wr_project *p, wr_err *err);
/* Resolve a reference and read its snapshot (free with wr_delta_free). Unknown name: WEIR_ENOTFOUND with did-you-mean. */
int wr_dataset_read(wr_delta_snapshot *out, wr_project *p, const char *ref, wr_err *err);
/* Lineage node of a snapshot; strings in `a`. */
int wr_dataset_node(wr_node *out, wr_arena *a, const char *name, const wr_delta_snapshot *s);
/* Make the snapshot queryable in `t` as view `as` (NULL = the name without version). Dots in names are quoted: "predictions.delay". */
int wr_dataset_view(wr_tables *t, wr_project *p, const char *ref, const char *as, wr_err *err);
/* Views for every dataset whose name occurs in `sql` as a word (or quoted); the nodes used are appended to `used` (arena `a`). */
int wr_dataset_views_for(wr_tables *t, wr_project *p, const char *sql, wr_node **used, size_t *nused, wr_arena *a, wr_err *err);

/* After a query that failed with `rc`: when it named a table that is not there, the hint becomes the nearest dataset. Returns rc. */
int wr_dataset_explain(wr_project *p, int rc, wr_err *err);

typedef struct {
    wr_delta_mode mode;
    const char *operation;          /* NULL: "WRITE" */
    const char *parameters;         /* JSON for the history, or NULL */
    const char *run_id;             /* kept as userMetadata {"run": ...} */
    const char *txn_app; int64_t txn_version;
} wr_dataset_write_opt;
typedef struct { int64_t version, rows, bytes; char hash[WR_SHA256_HEX]; bool skipped; /* txn was there */ } wr_dataset_written;
/* Write the rows of `sql` as the next version. */
int wr_dataset_write(wr_dataset_written *out, wr_tables *t, wr_project *p, const char *name, const char *sql, const wr_dataset_write_opt *opt, wr_err *err);
/* The next version becomes what `version` was (RESTORE); -1: becomes empty (all versions before stay readable). */
int wr_dataset_restore(wr_dataset_written *out, wr_project *p, const char *name, int64_t version, wr_err *err);
/* Identity of the newest version: 64 hex digits, "" when the dataset does not exist. Find the newest version with that identity. */
int wr_dataset_hash(char out[WR_SHA256_HEX], int64_t *version, wr_project *p, const char *name, wr_err *err);
int wr_dataset_version_of(int64_t *out, wr_project *p, const char *name, const char *hash, wr_err *err);
