/* SPDX-License-Identifier: Apache-2.0 */
/* db_conn.c - a SQLite connection: settings, error translation, statement cache, binding and reading of values. */
#include "store/db_conn.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { CACHE_MAX = 128, BUSY_MS = 10000 };

struct wr_stmt {
    sqlite3_stmt *h;
    wr_db_conn *conn;
    uint64_t hash, tick;
    bool in_use, ended; /* ended: stepped to the end or to an error; the next bind starts it anew */
    int rc;             /* first failed bind or read; the next step reports it */
};

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

int wr_db_conn_fail(wr_db_conn *c, int rc, const char *what, wr_err *err)
{
    int sys = c->h ? sqlite3_system_errno(c->h) : 0;
    /* the connection's text belongs to its last call; when that was another one the code's own text is the honest
     * answer */
    bool last = c->h && sqlite3_extended_errcode(c->h) == rc;
    int code = code_of(rc, sys);
    wr_err_set(err, code, "database '%s': cannot %s", c->path, what);
    wr_err_detail(err, code, "%s", last ? sqlite3_errmsg(c->h) : sqlite3_errstr(rc));
    return wr_err_hint(err, code, "%s", hint_of(code));
}

/* --- connection --- */

static int settings(wr_db_conn *c, wr_db_conn_mode mode, wr_err *err)
{
    sqlite3_extended_result_codes(c->h, 1);
    sqlite3_busy_timeout(c->h, BUSY_MS);
    int rc = wr_db_sqlite_functions(c->h);
    if (rc != SQLITE_OK) return wr_db_conn_fail(c, rc, "add functions", err);
    WR_TRY(wr_db_conn_exec(c, "PRAGMA mmap_size=268435456; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", err));
    return mode == WR_DB_CONN_READ ? wr_db_conn_exec(c, "PRAGMA query_only=ON", err) : 0;
}

int wr_db_conn_open(wr_db_conn *c, wr_db *db, const char *path, wr_db_conn_mode mode, wr_err *err)
{
    *c = (wr_db_conn){.db = db, .path = path};
    /* NOMUTEX: one thread at a time is our rule */
    int flags = SQLITE_OPEN_NOMUTEX;
    flags |= mode == WR_DB_CONN_WRITE       ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
             : mode == WR_DB_CONN_READ_ONLY ? SQLITE_OPEN_READONLY
                                            : SQLITE_OPEN_READWRITE;
    int rc = sqlite3_open_v2(path, &c->h, flags, NULL);
    int code = rc == SQLITE_OK ? settings(c, mode, err) : wr_db_conn_fail(c, rc, "open it", err);
    if (code < 0) wr_db_conn_close(c);
    return code;
}

static void stmt_free(wr_stmt *s)
{
    sqlite3_finalize(s->h);
    wr_free(s);
}

void wr_db_conn_close(wr_db_conn *c)
{
    for (size_t i = 0; i < c->cache.n; i++) stmt_free(c->cache.at[i]);
    wr_vec_fini(&c->cache);
    sqlite3_close(c->h);
    c->h = NULL;
}

int wr_db_conn_exec(wr_db_conn *c, const char *sql, wr_err *err)
{
    int rc = sqlite3_exec(c->h, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK) return 0;
    char what[160]; /* long texts (migrations) are cut: the detail has SQLite's reason */
    sqlite3_snprintf((int)sizeof what, what, "run \"%.120s\"", sql);
    return wr_db_conn_fail(c, rc, what, err);
}

int wr_db_conn_int(wr_db_conn *c, int64_t *out, const char *sql, wr_err *err)
{
    sqlite3_stmt *h = NULL;
    int rc = sqlite3_prepare_v2(c->h, sql, -1, &h, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(h);
    if (rc == SQLITE_ROW) *out = sqlite3_column_int64(h, 0);
    int code = rc == SQLITE_ROW    ? 0
               : rc == SQLITE_DONE ? wr_err_set(err, WEIR_ENOTFOUND, "database '%s': no row for \"%s\"", c->path, sql)
                                   : wr_db_conn_fail(c, rc, "read it", err);
    sqlite3_finalize(h);
    return code;
}

/* --- statements --- */

static wr_stmt *cached(wr_db_conn *c, uint64_t hash, const char *sql)
{
    for (size_t i = 0; i < c->cache.n; i++) {
        wr_stmt *s = c->cache.at[i];
        if (s->hash == hash && !s->in_use && strcmp(sqlite3_sql(s->h), sql) == 0) return s;
    }
    return NULL;
}

/* Drop the idle statement that was used longest ago, if there are too many. */
static void evict(wr_db_conn *c)
{
    if (c->cache.n < CACHE_MAX) return;
    size_t oldest = c->cache.n;
    for (size_t i = 0; i < c->cache.n; i++) {
        wr_stmt *s = c->cache.at[i];
        if (!s->in_use && (oldest == c->cache.n || s->tick < c->cache.at[oldest]->tick)) oldest = i;
    }
    if (oldest == c->cache.n) return;
    stmt_free(c->cache.at[oldest]);
    c->cache.at[oldest] = c->cache.at[--c->cache.n];
}

static int compile(wr_db_conn *c, wr_stmt *s, const char *sql, wr_err *err)
{
    const char *tail = "";
    int rc = sqlite3_prepare_v3(c->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->h, &tail);
    if (rc != SQLITE_OK) {
        char what[160];
        sqlite3_snprintf((int)sizeof what, what, "prepare \"%.120s\"", sql);
        return wr_db_conn_fail(c, rc, what, err);
    }
    if (s->h && !*tail) return 0;
    return wr_err_set(err, WEIR_EINVAL, "\"%.120s\" is not one SQL statement", sql);
}

static int stmt_new(wr_db_conn *c, wr_stmt **out, uint64_t hash, const char *sql, wr_err *err)
{
    wr_stmt *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    *s = (wr_stmt){.conn = c, .hash = hash};
    int rc = compile(c, s, sql, err);
    if (rc == 0 && wr_vec_push(&c->cache, s) < 0) rc = wr_err_nomem(err);
    if (rc < 0) {
        stmt_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

int wr_db_conn_prepare(wr_db_conn *c, wr_stmt **out, const char *sql, wr_err *err)
{
    uint64_t hash = wr_hash64(sql, strlen(sql), 0);
    wr_stmt *s = cached(c, hash, sql);
    if (!s) {
        evict(c);
        WR_TRY(stmt_new(c, &s, hash, sql, err));
    }
    s->in_use = true;
    s->ended = false;
    s->rc = SQLITE_OK;
    s->tick = ++c->tick;
    *out = s;
    return 0;
}

void wr_db_conn_done(wr_stmt *s)
{
    sqlite3_reset(s->h);
    sqlite3_clear_bindings(s->h);
    s->in_use = false;
}

void wr_db_conn_done_all(wr_db_conn *c)
{
    for (size_t i = 0; i < c->cache.n; i++) {
        if (c->cache.at[i]->in_use) wr_db_conn_done(c->cache.at[i]);
    }
}

wr_db_conn *wr_db_conn_of(wr_stmt *s) { return s->conn; }

static void restart(wr_stmt *s)
{
    if (!s->ended) return;
    sqlite3_reset(s->h);
    s->ended = false;
}

static void note(wr_stmt *s, int rc)
{
    if (rc != SQLITE_OK && s->rc == SQLITE_OK) s->rc = rc;
}

void wr_bind_i64(wr_stmt *s, int at, int64_t v)
{
    restart(s);
    note(s, sqlite3_bind_int64(s->h, at, v));
}

void wr_bind_f64(wr_stmt *s, int at, double v)
{
    restart(s);
    note(s, sqlite3_bind_double(s->h, at, v)); /* NaN becomes NULL */
}

void wr_bind_str(wr_stmt *s, int at, wr_str v)
{
    restart(s);
    note(s, sqlite3_bind_text64(s->h, at, v.p ? v.p : "", v.n, SQLITE_TRANSIENT, SQLITE_UTF8));
}

void wr_bind_cstr(wr_stmt *s, int at, const char *v)
{
    restart(s);
    note(s,
         v ? sqlite3_bind_text64(s->h, at, v, strlen(v), SQLITE_TRANSIENT, SQLITE_UTF8) : sqlite3_bind_null(s->h, at));
}

void wr_bind_blob(wr_stmt *s, int at, const void *p, size_t n)
{
    restart(s);
    note(s, sqlite3_bind_blob64(s->h, at, p ? p : "", n, SQLITE_TRANSIENT)); /* a null pointer would be NULL */
}

static int step_failed(wr_stmt *s, int rc, wr_err *err)
{
    char what[160];
    sqlite3_snprintf((int)sizeof what, what, "run \"%.120s\"", sqlite3_sql(s->h));
    s->ended = true;
    s->rc = SQLITE_OK;
    return wr_db_conn_fail(s->conn, rc, what, err);
}

int wr_step(wr_stmt *s, wr_err *err)
{
    if (s->rc != SQLITE_OK) return step_failed(s, s->rc, err);
    if (s->ended) return 0; /* SQLite itself would start again */
    int rc = sqlite3_step(s->h);
    if (rc == SQLITE_ROW) return 1;
    if (rc != SQLITE_DONE) return step_failed(s, rc, err);
    s->ended = true;
    return 0;
}

int64_t wr_stmt_i64(wr_stmt *s, int at) { return sqlite3_column_int64(s->h, at); }

double wr_stmt_f64(wr_stmt *s, int at) { return wr_stmt_null(s, at) ? (double)NAN : sqlite3_column_double(s->h, at); }

wr_str wr_stmt_str(wr_stmt *s, int at)
{
    if (wr_stmt_null(s, at)) return (wr_str){"", 0};
    const void *p =
        sqlite3_column_type(s->h, at) == SQLITE_BLOB ? sqlite3_column_blob(s->h, at) : sqlite3_column_text(s->h, at);
    if (!p && sqlite3_column_bytes(s->h, at) == 0 && sqlite3_errcode(s->conn->h) != SQLITE_NOMEM) p = "";
    if (!p) { /* no memory for the conversion */
        note(s, SQLITE_NOMEM);
        return (wr_str){"", 0};
    }
    return (wr_str){p, (size_t)sqlite3_column_bytes(s->h, at)};
}

bool wr_stmt_null(wr_stmt *s, int at) { return sqlite3_column_type(s->h, at) == SQLITE_NULL; }
