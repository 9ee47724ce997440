/* SPDX-License-Identifier: Apache-2.0 */
/* db_sqlite.c - the SQLite engine: settings, error translation, values, transactions, WAL and versions of a file. */
#include "store/db_sqlite.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "base/clock.h"

enum {
    BUSY_MS = 10000,
    OPEN_RETRY_MS = 10000, /* switching a new file to WAL does not wait for other processes by itself */
};

typedef struct {
    wr_stmt head;
    sqlite3_stmt *h;
    bool ended; /* stepped to the end or to an error; the next bind starts it anew */
    int rc;     /* first failed bind or read; the next step reports it */
} sqlite_stmt;

static wr_db_sqlite_conn *of(wr_db_conn *c) { return (wr_db_sqlite_conn *)c; }
static sqlite_stmt *own(wr_stmt *s) { return (sqlite_stmt *)s; }

/* --- errors --- */

static int code_of_constraint(int rc)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return WEIR_EEXIST;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return WEIR_ECONFLICT;
    case SQLITE_CONSTRAINT_DATATYPE:
        return WEIR_ETYPE;
    default:
        return WEIR_EINVAL;
    }
}

static int code_of(int rc, int sys)
{
    if (rc == SQLITE_IOERR_NOMEM) return WEIR_ENOMEM;
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return WEIR_ENOMEM;
    case SQLITE_CONSTRAINT:
        return code_of_constraint(rc);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return WEIR_ETIMEOUT;
    case SQLITE_FULL:
        return WEIR_ENOSPC;
    case SQLITE_IOERR:
        return sys == ENOSPC || sys == EDQUOT ? WEIR_ENOSPC : WEIR_EIO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return WEIR_ECORRUPT;
    case SQLITE_CANTOPEN:
        return sys == ENOENT ? WEIR_ENOTFOUND : WEIR_EACCESS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return WEIR_EACCESS;
    case SQLITE_INTERRUPT:
        return WEIR_ECANCELED;
    case SQLITE_TOOBIG:
        return WEIR_ELIMIT;
    case SQLITE_MISMATCH:
        return WEIR_ETYPE;
    case SQLITE_RANGE:
        return WEIR_EINVAL;
    default:
        return WEIR_EINTERNAL;
    }
}

static const char *hint_of(int code)
{
    switch (code) {
    case WEIR_ENOSPC:
        return "free some space on that file system and try again; nothing was changed";
    case WEIR_ETIMEOUT:
        return "another process has been writing for more than 10 seconds; see `fuser` on the file";
    case WEIR_ECORRUPT:
        return "move the file away and put a backup in its place";
    case WEIR_EACCESS:
        return "the file and its folder must be writable by this user (see `namei -l`)";
    case WEIR_ENOTFOUND:
        return "the folder or the file does not exist";
    default:
        return "";
    }
}

int wr_db_sqlite_fail(const wr_db_sqlite_conn *c, int rc, const char *what, wr_err *err)
{
    int sys = c->h ? sqlite3_system_errno(c->h) : 0;
    /* the connection's text belongs to its last call; when that was another one the code's own text is the honest
     * answer */
    bool last = c->h && sqlite3_extended_errcode(c->h) == rc;
    int code = code_of(rc, sys);
    wr_err_set(err, code, "database '%s': cannot %s", c->head.name, what);
    wr_err_detail(err, code, "%s", last ? sqlite3_errmsg(c->h) : sqlite3_errstr(rc));
    return wr_err_hint(err, code, "%s", hint_of(code));
}

/* --- connection --- */

static int exec(wr_db_conn *c, const char *sql, wr_err *err)
{
    int rc = sqlite3_exec(of(c)->h, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK) return 0;
    char what[160]; /* long texts (migrations) are cut: the detail has SQLite's reason */
    sqlite3_snprintf((int)sizeof what, what, "run \"%.120s\"", sql);
    return wr_db_sqlite_fail(of(c), rc, what, err);
}

static int settings(wr_db_conn *c, wr_db_conn_mode mode, wr_err *err)
{
    sqlite3 *h = of(c)->h;
    sqlite3_extended_result_codes(h, 1);
    sqlite3_busy_timeout(h, BUSY_MS);
    int rc = wr_db_sqlite_functions(h);
    if (rc != SQLITE_OK) return wr_db_sqlite_fail(of(c), rc, "add functions", err);
    WR_TRY(exec(c, "PRAGMA mmap_size=268435456; PRAGMA trusted_schema=OFF", err));
    return mode == WR_DB_CONN_READ ? exec(c, "PRAGMA query_only=ON", err) : 0;
}

static int conn_open(wr_db_conn *c, wr_db_conn_mode mode, wr_err *err)
{
    /* NOMUTEX: one thread at a time is our rule */
    int flags = SQLITE_OPEN_NOMUTEX;
    flags |= mode == WR_DB_CONN_WRITE       ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
             : mode == WR_DB_CONN_READ_ONLY ? SQLITE_OPEN_READONLY
                                            : SQLITE_OPEN_READWRITE;
    int rc = sqlite3_open_v2(c->path, &of(c)->h, flags, NULL);
    return rc == SQLITE_OK ? settings(c, mode, err) : wr_db_sqlite_fail(of(c), rc, "open it", err);
}

static void conn_close(wr_db_conn *c)
{
    sqlite3_close(of(c)->h);
    of(c)->h = NULL;
}

/* --- statements --- */

static int compile(wr_stmt *s, wr_err *err)
{
    const char *tail = "";
    wr_db_sqlite_conn *c = of(s->conn);
    int rc = sqlite3_prepare_v3(c->h, s->sql, -1, SQLITE_PREPARE_PERSISTENT, &own(s)->h, &tail);
    if (rc != SQLITE_OK) {
        char what[160];
        sqlite3_snprintf((int)sizeof what, what, "prepare \"%.120s\"", s->sql);
        return wr_db_sqlite_fail(c, rc, what, err);
    }
    if (own(s)->h && !*tail) return 0;
    return wr_err_set(err, WEIR_EINVAL, "\"%.120s\" is not one SQL statement", s->sql);
}

static void fini(wr_stmt *s) { sqlite3_finalize(own(s)->h); }

static _Thread_local int64_t work;

int64_t wr_db_work(void) { return work; }

static void reset(wr_stmt *s)
{
    work += sqlite3_stmt_status(own(s)->h, SQLITE_STMTSTATUS_VM_STEP, 1);
    sqlite3_reset(own(s)->h);
    sqlite3_clear_bindings(own(s)->h);
    own(s)->ended = false;
    own(s)->rc = SQLITE_OK;
}

static void restart(wr_stmt *s)
{
    if (!own(s)->ended) return;
    sqlite3_reset(own(s)->h);
    own(s)->ended = false;
}

static void note(wr_stmt *s, int rc)
{
    if (rc != SQLITE_OK && own(s)->rc == SQLITE_OK) own(s)->rc = rc;
}

static void bind_null(wr_stmt *s, int at)
{
    restart(s);
    note(s, sqlite3_bind_null(own(s)->h, at));
}

static void bind_i64(wr_stmt *s, int at, int64_t v)
{
    restart(s);
    note(s, sqlite3_bind_int64(own(s)->h, at, v));
}

static void bind_f64(wr_stmt *s, int at, double v)
{
    restart(s);
    note(s, sqlite3_bind_double(own(s)->h, at, v)); /* NaN becomes NULL */
}

static void bind_text(wr_stmt *s, int at, wr_str v)
{
    restart(s);
    note(s, sqlite3_bind_text64(own(s)->h, at, v.p, v.n, SQLITE_TRANSIENT, SQLITE_UTF8));
}

static void bind_blob(wr_stmt *s, int at, wr_str v)
{
    restart(s);
    note(s, sqlite3_bind_blob64(own(s)->h, at, v.p, v.n, SQLITE_TRANSIENT));
}

static int step_failed(wr_stmt *s, int rc, wr_err *err)
{
    char what[160];
    sqlite3_snprintf((int)sizeof what, what, "run \"%.120s\"", s->sql);
    own(s)->ended = true;
    own(s)->rc = SQLITE_OK;
    return wr_db_sqlite_fail(of(s->conn), rc, what, err);
}

static int step(wr_stmt *s, wr_err *err)
{
    if (own(s)->rc != SQLITE_OK) return step_failed(s, own(s)->rc, err);
    if (own(s)->ended) return 0; /* SQLite itself would start again */
    int rc = sqlite3_step(own(s)->h);
    if (rc == SQLITE_ROW) return 1;
    if (rc != SQLITE_DONE) return step_failed(s, rc, err);
    own(s)->ended = true;
    return 0;
}

static int run(wr_stmt *s, wr_err *err)
{
    int rc;
    while ((rc = step(s, err)) > 0) {}
    return rc;
}

static bool is_null(wr_stmt *s, int at) { return sqlite3_column_type(own(s)->h, at) == SQLITE_NULL; }
static int64_t i64(wr_stmt *s, int at) { return sqlite3_column_int64(own(s)->h, at); }
static double f64(wr_stmt *s, int at) { return is_null(s, at) ? (double)NAN : sqlite3_column_double(own(s)->h, at); }

static wr_str str(wr_stmt *s, int at)
{
    sqlite3_stmt *h = own(s)->h;
    int type = sqlite3_column_type(h, at);
    if (type == SQLITE_NULL) return (wr_str){"", 0};
    const void *p = type == SQLITE_BLOB ? sqlite3_column_blob(h, at) : sqlite3_column_text(h, at);
    if (p) return (wr_str){p, (size_t)sqlite3_column_bytes(h, at)};
    if (type != SQLITE_BLOB || sqlite3_column_bytes(h, at)) note(s, SQLITE_NOMEM); /* an empty blob has no address */
    return (wr_str){"", 0};
}

/* --- transactions --- */

static int begin(wr_db_conn *c, wr_err *err) { return exec(c, "BEGIN IMMEDIATE", err); }
static int commit(wr_db_conn *c, wr_err *err) { return exec(c, "COMMIT", err); }

static void rollback(wr_db_conn *c)
{
    if (!sqlite3_get_autocommit(of(c)->h)) sqlite3_exec(of(c)->h, "ROLLBACK", NULL, NULL, NULL);
}

static int job_begin(wr_db_conn *c, wr_err *err) { return exec(c, "SAVEPOINT job", err); }

/* A deferred foreign key that this job leaves open would fail everybody's COMMIT. */
static int open_references(wr_db_conn *c, wr_err *err)
{
    int open = 0, high;
    sqlite3_db_status(of(c)->h, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &high, 0);
    if (!open) return 0;
    return wr_err_set(err, WEIR_ECONFLICT, "database '%s': a row refers to a row that is not there", c->name);
}

static bool job_end(wr_db_conn *c, int *rc, wr_err *err)
{
    bool alive = !sqlite3_get_autocommit(of(c)->h);
    if (alive && *rc == 0) *rc = open_references(c, err);
    if (alive && *rc < 0) alive = exec(c, "ROLLBACK TO job", NULL) == 0;
    return alive && exec(c, "RELEASE job", NULL) == 0;
}

static int64_t last_id(wr_db_conn *c) { return sqlite3_last_insert_rowid(of(c)->h); }

/* --- the file --- */

static int journal_is_wal(wr_db_conn *c, bool *out, wr_err *err)
{
    sqlite3_stmt *h = NULL;
    int rc = sqlite3_prepare_v2(of(c)->h, "PRAGMA journal_mode=WAL", -1, &h, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(h);
    const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(h, 0) : NULL;
    *out = mode && strcmp(mode, "wal") == 0;
    int code = rc == SQLITE_ROW ? 0 : wr_db_sqlite_fail(of(c), rc, "switch to write-ahead logging", err);
    sqlite3_finalize(h);
    return code;
}

/* Two processes that create the file together get in each other's way here, and SQLite answers "busy" at once. */
static int switch_to_wal(wr_db_conn *c, wr_err *err)
{
    int64_t until = wr_clock_mono_ns() + OPEN_RETRY_MS * 1000000LL;
    bool wal = false;
    int rc;
    while ((rc = journal_is_wal(c, &wal, err)) == WEIR_ETIMEOUT && wr_clock_mono_ns() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    }
    if (rc < 0 || wal) return rc;
    wr_err_set(err, WEIR_EUNSUPPORTED, "database '%s': no write-ahead logging here", c->name);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "put the project on a local file system that is writable");
}

static int prepare(wr_db_conn *c, wr_err *err)
{
    WR_TRY(switch_to_wal(c, err));
    return exec(c, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-8192", err);
}

static int version(wr_db_conn *c, int64_t *out, bool make, wr_err *err)
{
    (void)make;
    wr_err why = {0};
    int rc = wr_db_conn_int(c, out, "PRAGMA user_version", &why);
    if (rc >= 0) return rc;
    wr_err_set(err, rc, "database '%s': cannot read it", c->name);
    if (why.detail[0]) wr_err_detail(err, rc, "%s", why.detail);
    return why.hint[0] ? wr_err_hint(err, rc, "%s", why.hint) : rc;
}

static int set_version(wr_db_conn *c, int64_t v, wr_err *err)
{
    char sql[64];
    sqlite3_snprintf((int)sizeof sql, sql, "PRAGMA user_version=%lld", (long long)v);
    return exec(c, sql, err);
}

/* Foreign keys are off while migrations rebuild tables; what they leave behind is checked instead. */
static int check(wr_db_conn *c, wr_err *err)
{
    int64_t ignored;
    int rc = wr_db_conn_int(c, &ignored, "SELECT 1 FROM pragma_foreign_key_check LIMIT 1", err);
    if (rc == WEIR_ENOTFOUND) return 0;
    return rc < 0 ? rc : wr_err_set(err, WEIR_ECONFLICT, "rows refer to rows that are not there");
}

static int finish(wr_db_conn *c, wr_err *err) { return exec(c, "PRAGMA foreign_keys=ON", err); }

static int changed(wr_db_conn *c, int64_t *out, wr_err *err)
{
    return wr_db_conn_int(c, out, "PRAGMA data_version", err);
}

const wr_db_engine wr_db_sqlite = {
    .conn_size = sizeof(wr_db_sqlite_conn),
    .stmt_size = sizeof(sqlite_stmt),
    .open = conn_open,
    .close = conn_close,
    .exec = exec,
    .compile = compile,
    .fini = fini,
    .reset = reset,
    .bind_null = bind_null,
    .bind_i64 = bind_i64,
    .bind_f64 = bind_f64,
    .bind_text = bind_text,
    .bind_blob = bind_blob,
    .step = step,
    .run = run,
    .is_null = is_null,
    .i64 = i64,
    .f64 = f64,
    .str = str,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .job_begin = job_begin,
    .job_end = job_end,
    .last_id = last_id,
    .prepare = prepare,
    .version = version,
    .set_version = set_version,
    .check = check,
    .finish = finish,
    .changed = changed,
    .backup = wr_db_sqlite_backup,
};
