/* SPDX-License-Identifier: Apache-2.0 */
/* delta.h - Delta Lake's transaction log (delta-io/delta PROTOCOL.md): reader version 1, writer version 2.
 *
 * A table is DIR with Parquet files and DIR/_delta_log/%020d.json, one JSON action a line. A commit is put-if-absent: temporary file,
 * fsync, link(2) to the numbered name, fsync of the folder; EEXIST means somebody else was first: a blind append is rebased and
 * retried, a replace fails with WEIR_ECONFLICT. Every 10th version a classic checkpoint is not needed for readers and is left to the
 * lake issue; tables whose log starts with a checkpoint, or that need an unknown reader feature, are refused by name.
 * Refused too: partitioned tables (their files lack columns), paths that leave the table's folder, and writing to a table whose rules
 * (writer features, invariants, generated columns) are not implemented here.
 * Time of a commit: inCommitTimestamp, else the timestamp of commitInfo (it survives copying), else the file's time; made increasing.
 * Each add carries tags {"weir.sha256"}; the identity of a snapshot is the SHA-256 over schema and sorted file hashes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "store/tables.h"

/* type: Delta's name, "long", "string", ...; of a nested type its JSON object as text */
typedef struct { char *name, *type; bool nullable; } wr_delta_field;

typedef struct {
    char *path;                     /* relative, decoded */
    int64_t size, mtime_ms, rows;   /* rows -1 when the add has no statistics */
    char *sha256;                   /* or "" when another writer made it */
    char *stats;                    /* JSON text or NULL */
} wr_delta_file;

typedef struct {
    int64_t version;                /* -1: the table does not exist */
    int64_t timestamp_us;           /* of the last commit */
    char *id;                       /* table uuid */
    wr_delta_field *fields; size_t nfields;
    wr_delta_file *files; size_t nfiles;
    int64_t rows;                   /* sum, -1 if unknown */
    char hash[WR_SHA256_HEX];       /* identity of the content */
    wr_arena *arena;
    struct wr_delta_state *state;   /* private */
} wr_delta_snapshot;

/* Read the log up to `version` (-1 = newest). A table that does not exist reads as version -1 without files when the newest is asked
 * for; else WEIR_ENOTFOUND names the versions there are. Free with wr_delta_free; after a failure there is nothing to free. */
int wr_delta_read(wr_delta_snapshot *out, const char *dir, int64_t version, wr_err *err);
void wr_delta_free(wr_delta_snapshot *s);
/* Newest version whose commit is not younger than `time_us`. */
int wr_delta_version_at(int64_t *out, const char *dir, int64_t time_us, wr_err *err);
/* Last `version` committed for txn appId, -1 if none. */
int wr_delta_txn(int64_t *out, const char *dir, const char *app_id, wr_err *err);

typedef enum { WR_DELTA_APPEND, WR_DELTA_OVERWRITE } wr_delta_mode; /* overwrite removes all files of the snapshot it was based on */
typedef struct {
    wr_delta_mode mode;
    const char *operation;          /* "WRITE", "CREATE TABLE AS SELECT", "RESTORE", ... */
    const char *parameters;         /* JSON object for commitInfo.operationParameters, or NULL */
    const char *user_metadata;      /* free text for commitInfo.userMetadata (lineage), or NULL */
    const wr_delta_field *fields; size_t nfields; /* schema; must equal the table's for append */
    const wr_delta_file *files; size_t nfiles;    /* to add; already in place and durable under DIR */
    const char *txn_app; int64_t txn_version;     /* NULL = none; a commit whose txn is not newer is skipped: returns 1 */
    int64_t based_on;               /* version read before (overwrite); -1 = must not exist yet; ignored for append */
} wr_delta_commit;
/* 0 and the new version, 1 when the txn was there already, WEIR_ECONFLICT, WEIR_EINVAL (schema). */
int wr_delta_write(int64_t *version, const char *dir, const wr_delta_commit *c, wr_err *err);

typedef struct { int64_t version, timestamp_us, rows_added, files_added, files_removed, bytes_added; char *operation, *user_metadata; } wr_delta_entry;
/* Newest first, at most `limit` (0 = all). */
int wr_delta_history(wr_delta_entry **out, size_t *n, wr_arena *a, const char *dir, size_t limit, wr_err *err);
/* Parse one log file's text into actions (fuzz entry): applies them to the snapshot, which is zero before the first. */
int wr_delta_apply(wr_delta_snapshot *s, wr_str text, int64_t version, wr_err *err);

/* The statistics of a written Parquet file as the JSON text for wr_delta_file.stats: numRecords, and for the first 32 columns
 * minValues, maxValues, nullCount. Strings are cut to 32 characters, the maximum raised above what was cut off; timestamps are
 * rounded outwards to milliseconds; a column with a NaN has no bounds. */
int wr_delta_stats(char **out, wr_arena *a, const wr_parquet_info *info, const wr_delta_field *fields, size_t nfields, wr_err *err);
