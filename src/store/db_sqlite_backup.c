/* SPDX-License-Identifier: Apache-2.0 */
/* db_sqlite_backup.c - a copy of the file while it is in use.
 *
 * One step of SQLite's backup copies everything under one read snapshot; in WAL mode readers and the writer go on.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/file.h"
#include "store/db_conn.h"

static int copy(wr_db_conn *from, wr_db_conn *to, wr_err *err)
{
    sqlite3_backup *b = sqlite3_backup_init(to->h, "main", from->h, "main");
    if (!b) return wr_db_conn_fail(to, sqlite3_extended_errcode(to->h), "begin the copy", err);
    int rc = sqlite3_backup_step(b, -1);
    int last = sqlite3_backup_finish(b);
    if (rc == SQLITE_DONE) rc = last;
    return rc == SQLITE_OK ? 0 : wr_db_conn_fail(to, rc, "copy", err);
}

static int copy_into(wr_db_conn *from, const char *temporary, wr_err *err)
{
    wr_db_conn to;
    WR_TRY(wr_db_conn_open(&to, NULL, temporary, WR_DB_CONN_WRITE, err));
    int rc = wr_db_conn_exec(&to, "PRAGMA synchronous=OFF", err); /* publishing it syncs the file once */
    if (rc == 0) rc = copy(from, &to, err);
    wr_db_conn_close(&to);
    return rc;
}

int wr_db_sqlite_backup(const char *path, const char *to_path, wr_err *err)
{
    wr_db_conn from;
    WR_AUTOBUF wr_buf temporary = {0};
    wr_buf_printf(&temporary, "%s.%ld-%llx.tmp", to_path, (long)getpid(), (unsigned long long)wr_clock_mono_ns());
    if (temporary.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_conn_open(&from, NULL, path, WR_DB_CONN_READ, err));
    int rc = copy_into(&from, wr_buf_cstr(&temporary), err);
    wr_db_conn_close(&from);
    if (rc == 0) rc = wr_file_publish(wr_buf_cstr(&temporary), to_path, err);
    if (rc < 0) unlink(wr_buf_cstr(&temporary));
    return rc < 0 ? wr_err_wrap(err, rc, "backup to '%s'", to_path) : 0;
}
