/* SPDX-License-Identifier: Apache-2.0 */
/* tables_inside.h - what the tables_*.c files share. */
#pragma once
#include "base/vec.h"
#include "store/duck_api.h"
#include "store/tables.h"
#include <stdatomic.h>

typedef struct wr_scan_frame wr_scan_frame; /* a registered frame, tables_scan.c */

struct wr_tables {
    const wr_duck *d;
    duckdb_database db;
    duckdb_connection con;
    char *spill;                    /* this engine's own folder under opt.spill */
    atomic_bool interrupted;        /* since the running query began */
    WR_VEC(wr_scan_frame *) frames; /* slot i is weir_frame(i); NULL when dropped */
};

/* One statement that a user may run, with its names resolved. Destroy also after failure. */
int wr_tables_prepare(wr_tables *t, duckdb_prepared_statement *out, const char *sql, wr_err *err);
/* Run the program's own SQL, several statements if need be, unguarded. */
int wr_tables_run(wr_tables *t, const char *sql, wr_err *err);

/* tables_guard.c: what the configuration cannot forbid. The first looks at the text, the second at the kind of a parsed
 * statement. */
int wr_guard_text(const char *sql, wr_err *err);
int wr_guard_kind(duckdb_statement_type type, wr_err *err);

/* tables_fill.c: a result's columns, then its chunks, into a frame. */
typedef struct wr_fill wr_fill;
int wr_fill_new(wr_fill **out, const wr_duck *d, duckdb_result *r, wr_err *err);
int wr_fill_chunk(wr_fill *f, duckdb_data_chunk chunk, wr_err *err);
wr_frame *wr_fill_take(wr_fill *f); /* the frame, now the caller's */
void wr_fill_free(wr_fill *f);

/* tables_scan.c: frames as tables. */
int wr_scan_install(wr_tables *t, wr_err *err);
void wr_scan_free(wr_tables *t);

/* tables_parquet.c: Delta's name of a column type, and the SQL to put around the column so that its Parquet form is the
 * one Delta wants ("" when it is already). WEIR_ETYPE asking for a cast when Delta has no such type. */
typedef struct {
    char name[32];
    const char *before, *after;
} wr_delta_type;
int wr_duck_delta_type(wr_delta_type *out, const wr_duck *d, duckdb_logical_type type, const char *column, wr_err *err);
const char *wr_duck_type_text(duckdb_type id); /* "TIME", for messages */
