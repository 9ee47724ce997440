/* SPDX-License-Identifier: Apache-2.0 */
/* backup.h - a copy of all that a project keeps (.weir/), taken while servers and commands go on writing.
 *
 * The copy is a folder that can stand in the place of .weir/. It holds everything that was acknowledged before the
 * backup began, and of what came meanwhile perhaps some. That follows from the order, since a thing leaves one place
 * only after it is in the next:
 *
 *   1. logs (track/, log/)      points, predictions and labels that are not drained yet; what is drained and dropped
 * before its segment is copied stands in 3 and 4
 *   2. objects, artifacts       content comes before the row that names it
 *   3. the records
 *   4. the lake                 each table's log before its files: a file is there before a commit names it, and stays
 *   5. objects, artifacts again: what the records name that is newer than 2; and all the rest
 *   6. the logs' next numbers   and a new segment each, so that none is written to that the records or the lake call
 * drained
 *
 * Immutable files (objects, tables) are hard links when the copy is on the same file system, unless opt.copy. Left out:
 * scratch (tmp/, cache/), locks, up.json. Until all of it is there and durable the folder is called TO.partial. */
#pragma once
#include "core/project.h"

typedef struct {
    const char *to;  /* must not exist */
    bool copy;       /* never link */
    bool files_only; /* without the records: they are on a server */
    void (*progress)(void *arg, const char *what, double fraction);
    void *arg;
} wr_backup_opt;
typedef struct {
    int64_t files, linked, bytes; /* bytes: of what was copied */
} wr_backup_report;

/* WEIR_EEXIST; WEIR_EUNSUPPORTED for records on a server without files_only. After a failure nothing is left. */
int wr_backup(wr_backup_report *out, wr_project *p, const wr_backup_opt *opt, wr_err *err);

typedef struct {
    bool records; /* there are some */
    int64_t objects, artifacts, tables, table_files, log_records;
    int64_t problems;
} wr_backup_check;

/* Reads all of a backup: records (SQLite's own check), content against its hash, rows against content, tables against
 * their files, logs. `problem` hears of each thing that is wrong. An error only when it cannot be read at all. */
int wr_backup_verify(wr_backup_check *out, const char *dir, void (*problem)(void *arg, const char *text), void *arg,
                     wr_err *err);
