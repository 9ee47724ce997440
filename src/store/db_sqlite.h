/* SPDX-License-Identifier: Apache-2.0 */
/* db_sqlite.h - the inside of the SQLite engine. */
#pragma once
#include <sqlite3.h>

#include "store/db_conn.h"

typedef struct {
    wr_db_conn head;
    sqlite3 *h;
} wr_db_sqlite_conn;

/* Turn result code `rc` of the last call into an error: "database 'path': cannot WHAT". */
int wr_db_sqlite_fail(const wr_db_sqlite_conn *c, int rc, const char *what, wr_err *err);
/* The file `path` into the file `to_path`, atomically. */
int wr_db_sqlite_backup(const char *path, const char *name, const char *to_path, wr_err *err);
/* wr_like and the others of db.h; a SQLite result code. */
int wr_db_sqlite_functions(sqlite3 *h);
