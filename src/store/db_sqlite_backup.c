/* SPDX-License-Identifier: Apache-2.0 */
/* db_sqlite_backup.c - a copy of the file while it is in use.
 *
 * One step of SQLite's backup copies everything under one read snapshot; in WAL mode readers and the writer go on.
 */
#include <unistd.h>

#include "base/clock.h"
#include "io/file.h"
#include "store/db_sqlite.h"

static wr_db_sqlite_conn *of(wr_db_conn *c) { return (wr_db_sqlite_conn *)c; }

static int copy(wr_db_conn *from, wr_db_conn *to, wr_err *err)
{
    sqlite3 *h = of(to)->h;
    sqlite3_backup *b = sqlite3_backup_init(h, "main", of(from)->h, "main");
    if (!b) return wr_db_sqlite_fail(of(to), sqlite3_extended_errcode(h), "begin the copy", err);
    int rc = sqlite3_backup_step(b, -1);
    int last = sqlite3_backup_finish(b);
    if (rc == SQLITE_DONE) rc = last;
    return rc == SQLITE_OK ? 0 : wr_db_sqlite_fail(of(to), rc, "copy", err);
}

static int copy_all(wr_db_conn *from, wr_db_conn *to, wr_err *err)
{
    if (!from || !to) return wr_err_nomem(err);
    WR_TRY(wr_db_conn_open(from, WR_DB_CONN_READ, err));
    WR_TRY(wr_db_conn_open(to, WR_DB_CONN_WRITE, err));
    WR_TRY(wr_db_conn_exec(to, "PRAGMA synchronous=OFF", err)); /* publishing it syncs the file once */
    return copy(from, to, err);
}

int wr_db_sqlite_backup(const char *path, const char *name, const char *to_path, wr_err *err)
{
    WR_AUTOBUF wr_buf temporary = {0};
    wr_buf_printf(&temporary, "%s.%ld-%llx.tmp", to_path, (long)getpid(), (unsigned long long)wr_clock_mono_ns());
    if (temporary.failed) return wr_err_nomem(err);
    const char *draft = wr_buf_cstr(&temporary);
    wr_db_conn *from = wr_db_conn_new(&wr_db_sqlite, NULL, path, name);
    wr_db_conn *to = wr_db_conn_new(&wr_db_sqlite, NULL, draft, draft);
    int rc = copy_all(from, to, err);
    wr_db_conn_free(to);
    wr_db_conn_free(from);
    if (rc == 0) rc = wr_file_publish(draft, to_path, err);
    if (rc < 0) unlink(draft);
    return rc < 0 ? wr_err_wrap(err, rc, "backup to '%s'", to_path) : 0;
}
