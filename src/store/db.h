/* SPDX-License-Identifier: Apache-2.0 */
/* db.h - the records: one SQLite file in WAL mode, or a PostgreSQL database that several programs share; any number of
 * reading threads, one writer thread with group commit.
 *
 * Writes are closures: they are queued, the writer thread runs all that are waiting inside one transaction (each in a savepoint, so
 * one that fails is rolled back alone), commits (fsync) and only then reports success to each caller. Several processes may share
 * the records: their write transactions stand in line (BEGIN IMMEDIATE; an advisory lock), for at most 10 s.
 * Migrations are an array of SQL texts; user_version (PostgreSQL: the table weir_schema) says how many were applied; what is
 * missing is applied at open, in one transaction; records of a newer program are refused.
 *
 * The SQL of statements and migrations is the part that SQLite and PostgreSQL have in common:
 *   - parameters are ? or ?1; each is bound as the type of the column it meets (text to TEXT, i64 to INTEGER, ...);
 *   - column types INTEGER (64 bits), REAL, TEXT (ordered by bytes), BLOB; INTEGER PRIMARY KEY counts up by itself;
 *   - INSERT ... ON CONFLICT (columns) DO UPDATE SET x = excluded.x, or ON CONFLICT DO NOTHING; never INSERT OR ...;
 *     in DO UPDATE the old value is written table.x; an INSERT that gives an automatic id moves the counter behind it;
 *   - RETURNING; NULLS FIRST and NULLS LAST; WITH; IS DISTINCT FROM; LIMIT n OFFSET m, never LIMIT -1; a subquery in FROM has
 *     a name; GROUP BY names every column that is not aggregated; no PRAGMA, no rowid;
 *   - words that PostgreSQL reserves are no names (user, order, end, table, limit, offset, ...), nor are INTEGER, REAL, BLOB;
 *   - coalesce, nullif, count, sum, min and max of one column, abs, round, length, lower and upper (ASCII), trim, replace,
 *     substr, instr, group_concat, row_number() and the other window functions, CASE, CAST(x AS INTEGER | REAL | TEXT);
 *   - pattern matching only by the functions wr_like(text, pattern), wr_ilike(text, pattern) (ASCII case folding) and
 *     wr_rlike(text, pattern), which stand where a condition stands; db_match.h says what they take;
 *   - wr_json_i64(text, key): the whole number under a key of a JSON object, NULL if there is none;
 *   - a condition is a condition and no number: WHERE flag = 1, not WHERE flag. One that is selected reads as 1 or 0;
 *   - / of integers cuts off; sum() of integers may be wider than 64 bits on the way; text of a REAL is the engine's own.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct wr_db wr_db;
typedef struct wr_stmt wr_stmt;

/* read_only makes nothing; with n = 0 it reads any database, also another program's (to import from it). */
typedef struct { const char *const *migrations; int n; bool read_only; } wr_db_opt;
/* `path` is a file, or the address of a PostgreSQL database ("postgresql://..." as libpq takes it; the password rather comes from PGPASSWORD
 * or ~/.pgpass). It is never printed with user, password or options. No server, or no libpq: WEIR_EUNAVAILABLE; no such database:
 * WEIR_ENOTFOUND; not let in: WEIR_EACCESS. */
int wr_db_open(wr_db **out, const char *path, const wr_db_opt *opt, wr_err *err);
bool wr_db_is_url(const char *path); /* is it such an address? */
/* Waits for queued writes. No other thread may use the db any more; statements somebody forgot are closed. */
void wr_db_close(wr_db *db);

/* Run `fn` in the writer's transaction and wait until it is durable. fn returns 0 or a negative code (rolled back).
 * Called on the writer thread; must not call wr_db_write itself (WEIR_EINTERNAL). When the COMMIT fails, everybody in the transaction
 * gets the error: nothing of it is visible, but after a failed fsync a power cut may still bring it back, so "error" means "not promised".
 * Codes: a UNIQUE row is there WEIR_EEXIST, a reference to nothing WEIR_ECONFLICT, another constraint WEIR_EINVAL, disk full WEIR_ENOSPC,
 * another process writes for 10 s WEIR_ETIMEOUT, damaged WEIR_ECORRUPT. A server that is away is waited for, up to 30 s; one that goes
 * away in the middle: WEIR_EUNAVAILABLE, and the hint says when it is not known whether the write is there.
 * A statement that failed has ended the write, on either engine: those after it are refused, fn's 0 does not help. What may be there
 * already is written with ON CONFLICT, not tried out. */
typedef int (*wr_db_fn)(wr_db *db, void *arg, wr_err *err);
int wr_db_write(wr_db *db, wr_db_fn fn, void *arg, wr_err *err);
/* The same without waiting; `done` is called on the writer thread after the commit (or failure).
 * WEIR_EUNAVAILABLE when 65536 writes are waiting; then, and for every other error returned here, `done` is not called. */
int wr_db_write_async(wr_db *db, wr_db_fn fn, void *arg, void (*done)(void *arg, int rc, const wr_err *err), wr_err *err);
/* Waits until no write is queued or on its way to its answer: what `done` of earlier calls uses may go after it. Not in a write. */
void wr_db_await(wr_db *db);

/* Statements: cached by SQL text; of one thread until wr_stmt_done. A bind after the last step starts the statement anew.
 * A bind that fails is reported by the next step; so is text with a NUL byte on PostgreSQL (WEIR_EINVAL), and there also SQL that is
 * wrong. PostgreSQL hands over all rows at the first step: page through large results (WHERE key > ? ORDER BY key LIMIT n).
 * A statement left open keeps a snapshot, and with it the WAL from being reused.
 * Inside a write fn they run on the writer's connection, elsewhere on a reader's, which cannot write.
 *   wr_stmt *s; WR_TRY(wr_db_prepare(db, &s, "SELECT id FROM runs WHERE name = ?", err));
 *   wr_bind_cstr(s, 1, name); while ((rc = wr_step(s, err)) > 0) { ... wr_stmt_str(s, 0) ... } wr_stmt_done(s); */
int wr_db_prepare(wr_db *db, wr_stmt **out, const char *sql, wr_err *err);
void wr_bind_i64(wr_stmt *s, int at, int64_t v);
/* Every value comes back as it was, but NaN as NULL and -0.0 as 0.0 (SQLite has neither). */
void wr_bind_f64(wr_stmt *s, int at, double v);
void wr_bind_str(wr_stmt *s, int at, wr_str v);                /* text is copied */
void wr_bind_cstr(wr_stmt *s, int at, const char *v);          /* NULL binds NULL */
void wr_bind_blob(wr_stmt *s, int at, const void *p, size_t n); /* bytes are copied; n 0 is an empty blob, not NULL */
int wr_step(wr_stmt *s, wr_err *err);                          /* 1 = a row, 0 = end, < 0 error */
int64_t wr_stmt_i64(wr_stmt *s, int at);
double wr_stmt_f64(wr_stmt *s, int at);                        /* NaN for NULL */
/* A step of a statement without rows whose answer may come later, which saves a round trip to a server: inside a write fn only.
 * When it fails, this or a later call says so, at the latest the write itself, and all of the write is undone. wr_db_last_id does not tell its id. */
int wr_stmt_run(wr_stmt *s, wr_err *err);
wr_str wr_stmt_str(wr_stmt *s, int at);                        /* text or bytes; valid until the next step */
wr_str wr_stmt_text(wr_arena *a, wr_stmt *s, int at);          /* the same, a copy in the arena; {NULL,0} for NULL */
bool wr_stmt_null(wr_stmt *s, int at);
void wr_stmt_done(wr_stmt *s);                                 /* reset and give back */
/* What the statements of this thread have cost so far, in steps of SQLite's machine (some twenty for a row that is looked at), counted
 * at wr_stmt_done: for tests that a query does not visit more than it should, whatever the clock says. PostgreSQL's are not counted. */
int64_t wr_db_work(void);
/* One statement without rows: formats are for table names only, never for values. */
int wr_db_exec(wr_db *db, const char *sql, wr_err *err);
int64_t wr_db_last_id(wr_db *db);                              /* inside a write fn */

/* Do others write the same records over a network (PostgreSQL)? False for a file. */
bool wr_db_is_shared(const wr_db *db);
/* Has another process changed the records? The counter moves when one has committed since the last call, and stands still while
 * only this db writes; a call that says so costs a few microseconds. It may move once too often, never too seldom. The first call only
 * starts the watch. Where the records are shared it moves at every call: "assume so". From any thread. */
int wr_db_changed(wr_db *db, int64_t *counter, wr_err *err);
/* The same for a thread that must not wait: while this db itself is committing (and checkpointing) the counter stands still, a later call
 * tells. */
int wr_db_changed_soon(wr_db *db, int64_t *counter, wr_err *err);
/* Copy the records as they are now into the file `to_path`, which is whole or not there (an old one is replaced), while everybody goes on
 * reading and writing. WEIR_EUNSUPPORTED where the records are not a file of ours, with the hint what to use. From any thread. */
int wr_db_backup(wr_db *db, const char *to_path, wr_err *err);
