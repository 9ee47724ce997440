/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_db.h - what the mlflow_db*.c files share. Private to them.
 *
 * Each table is walked in the order of its key, one row a question, so that nothing is kept open and nothing piles up
 * whatever the engine does. MLflow's tables have grown over the years: columns that came later are asked for only where
 * they are. */
#pragma once
#include "stage/import/source.h"

typedef struct {
    wr_import_source source;
    wr_db *db, *auth;
    bool file; /* SQLite */
    /* what this version of MLflow has */
    bool logged, input_step, trace_columns, trace_name, spans, assessments, associations, roles, grants;
    /* the place: key of the last row of the kind under way */
    bool started;
    int64_t last_i;
    wr_buf last_s;
} wr_mlflowdb;

/* Prepared and bound: 's' wr_str, 'i' int64_t, 'f' double. */
int wr_mlflowdb_query(wr_stmt **out, wr_db *db, wr_err *err, const char *sql, const char *kinds, ...);
/* The one row: 1, or 0. Done with either way unless it returns 1. */
int wr_mlflowdb_first(wr_stmt **out, wr_db *db, wr_err *err, const char *sql, const char *kinds, ...);
/* Rows (key, value), a NULL value as an empty text. */
int wr_mlflowdb_items(wr_track_item **out, size_t *n, wr_arena *a, wr_db *db, const char *sql, wr_str owner,
                      wr_err *err);
wr_str wr_mlflowdb_word(wr_arena *a, wr_stmt *s, int at);     /* NULL: "" */
int64_t wr_mlflowdb_number(wr_stmt *s, int at, int64_t none); /* NULL: none */

/* mlflow_db_registry.c, mlflow_db_trace.c: next of these kinds. */
int wr_mlflowdb_next_model(wr_mlflowdb *m, wr_arena *a, wr_registered_model *out, wr_err *err);
int wr_mlflowdb_next_version(wr_mlflowdb *m, wr_arena *a, wr_registered_version *out, wr_err *err);
int wr_mlflowdb_next_logged(wr_mlflowdb *m, wr_arena *a, wr_logged_model *out, wr_err *err);
int wr_mlflowdb_next_user(wr_mlflowdb *m, wr_arena *a, wr_import_user_row *out, wr_err *err);
int wr_mlflowdb_next_grant(wr_mlflowdb *m, wr_arena *a, wr_import_grant_row *out, wr_err *err);
int wr_mlflowdb_next_trace(wr_mlflowdb *m, wr_arena *a, wr_import_trace_row *out, wr_err *err);
