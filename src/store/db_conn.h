/* SPDX-License-Identifier: Apache-2.0 */
/* db_conn.h - one SQLite connection with its statements; the inside of db.h.
 *
 * A connection is used by one thread at a time; whoever hands it to another thread does so under a mutex. Statements
 * are kept by their SQL text and reused; a text that is in use already gets a second statement. At most CACHE_MAX idle
 * ones are kept.
 */
#pragma once
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "store/db.h"

typedef struct wr_db_conn {
    sqlite3 *h;
    const char *path; /* the db's, for messages */
    wr_db *db;
    WR_VEC(wr_stmt *) cache;
    uint64_t tick; /* of the last prepare, for eviction */
    /* a reader's lease, guarded by the db's readers_lock */
    pthread_t owner;
    int open; /* statements the owner has; 0 = free */
} wr_db_conn;

/* READ may create the -shm file, but never changes data. */
typedef enum { WR_DB_CONN_WRITE, WR_DB_CONN_READ, WR_DB_CONN_READ_ONLY } wr_db_conn_mode;

/* `path` must outlive the connection. On failure nothing is left open. */
int wr_db_conn_open(wr_db_conn *c, wr_db *db, const char *path, wr_db_conn_mode mode, wr_err *err);
void wr_db_conn_close(wr_db_conn *c);
int wr_db_conn_prepare(wr_db_conn *c, wr_stmt **out, const char *sql, wr_err *err);
void wr_db_conn_done(wr_stmt *s);
void wr_db_conn_done_all(wr_db_conn *c); /* statements somebody forgot */
wr_db_conn *wr_db_conn_of(wr_stmt *s);
int wr_db_conn_exec(wr_db_conn *c, const char *sql, wr_err *err); /* any number of statements, rows are ignored */
/* First column of the first row; WEIR_ENOTFOUND without one. */
int wr_db_conn_int(wr_db_conn *c, int64_t *out, const char *sql, wr_err *err);
/* Turn result code `rc` of the last call into an error: "database 'path': cannot WHAT". */
int wr_db_conn_fail(wr_db_conn *c, int rc, const char *what, wr_err *err);
/* The file `path` into the file `to_path`, atomically. */
int wr_db_sqlite_backup(const char *path, const char *to_path, wr_err *err);
/* wr_like, wr_ilike and wr_rlike; a SQLite result code. */
int wr_db_sqlite_functions(sqlite3 *h);

/* Tests: from now on SQLite's allocations, writes and syncs pass through the fault points. Call it before the first
 * wr_db_open. */
int wr_db_fault_install(wr_err *err);
