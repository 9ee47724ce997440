/* SPDX-License-Identifier: Apache-2.0 */
/* tables.h - the table engine: DuckDB, opened with dlopen on first use, locked down.
 *
 * An engine is an in-memory DuckDB with a memory cap, a spill folder, no network, no extension loading, and access to the files under
 * `allow` only; its configuration is locked before any query of a user runs. Results come in chunks of at most 2,048 rows
 * straight into a wr_frame, nothing is materialised twice. Row order of results is the order of the SQL; use ORDER BY for meaning.
 * Threads: one query at a time per engine; several engines may live side by side.
 * Library: env WEIR_DUCKDB, else beside the program or in ../lib/weir, else where the build found it; WEIR_EUNAVAILABLE with a hint otherwise.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "calc/frame.h"

typedef struct wr_tables wr_tables;

typedef struct {
    uint64_t memory;                /* bytes; 0 = a quarter of the machine's, at most 4 GiB */
    int threads;                    /* 0 = wr_os_cpus() */
    const char *spill;              /* folder for temporary files; required */
    const char *const *allow;       /* folders and files it may read and write; NULL-terminated */
} wr_tables_opt;

int wr_tables_open(wr_tables **out, const wr_tables_opt *opt, wr_err *err);
void wr_tables_close(wr_tables *t);
void wr_tables_interrupt(wr_tables *t);                        /* from another thread: the running query ends with WEIR_ECANCELED */

/* Values for `?` in SQL. */
typedef struct { enum { WR_BIND_NULL, WR_BIND_I64, WR_BIND_F64, WR_BIND_TEXT, WR_BIND_TS } kind; int64_t i; double f; wr_str s; } wr_bind;

/* Run and keep the rows. SQL types map: all integers, DECIMAL(.,0) -> I64; FLOAT -> F32; DOUBLE, other DECIMAL -> F64; BOOLEAN -> BOOL;
 * DATE, TIMESTAMP(_S/_MS/_NS/TZ) -> TS; VARCHAR, ENUM, UUID, JSON -> TEXT; anything else: WEIR_ETYPE asking for a cast. */
int wr_tables_query(wr_tables *t, wr_frame **out, const char *sql, const wr_bind *binds, size_t nbinds, wr_err *err);
/* Run, rows not wanted; number of changed rows or -1 in `changed` (may be NULL). */
int wr_tables_exec(wr_tables *t, const char *sql, int64_t *changed, wr_err *err);
/* Single value; WEIR_ENOTFOUND when there is no row. */
int wr_tables_i64(wr_tables *t, int64_t *out, const char *sql, wr_err *err);
/* The columns a query would give, without running it: name and Delta type name ("long", "string", ...), nullable. */
typedef struct { char *name; char *type; } wr_table_column;
int wr_tables_describe(wr_tables *t, wr_table_column **out, size_t *n, wr_arena *a, const char *sql, wr_err *err);
/* Make the rows of a frame queryable as table `name` without copying; the frame must outlive it (drop: f NULL). */
int wr_tables_register(wr_tables *t, const char *name, const wr_frame *f, wr_err *err);
/* Progress of the running query, 0..100, or -1; from another thread. */
double wr_tables_progress(wr_tables *t);

/* Write the result of `sql` as one Parquet file (zstd level 1, row groups of 122,880), atomically published by the caller.
 * Statistics per column as Delta wants them. */
typedef struct { char *column; char *min, *max; int64_t nulls; bool has_minmax; } wr_parquet_stat;
typedef struct { int64_t rows, bytes; wr_parquet_stat *stats; size_t nstats; } wr_parquet_info;
int wr_tables_copy_parquet(wr_tables *t, wr_parquet_info *out, wr_arena *a, const char *sql, const char *path, wr_err *err);

/* SQL text helpers: quoted identifier / literal appended. */
void wr_sql_ident(wr_buf *b, wr_str name);
void wr_sql_text(wr_buf *b, wr_str text);
