/* SPDX-License-Identifier: Apache-2.0 */
/* db_conn.h - the inside of db.h: a connection with its statements, and what an engine (SQLite, PostgreSQL) has to do.
 *
 * A connection is used by one thread at a time; whoever hands it to another thread does so under a mutex. Statements
 * are kept by their SQL text and reused; a text that is in use already gets a second statement. At most CACHE_MAX idle
 * ones are kept. An engine's own connection and statement begin with the structs here.
 *
 * db.c has the queue, the groups and the leases; db_conn.c the cache and the calls of db.h on statements; db_sqlite*.c
 * and db_pg*.c are the engines.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "store/db.h"

typedef struct wr_db_engine wr_db_engine;

typedef struct wr_db_conn {
    const wr_db_engine *engine;
    const char *path, *name; /* the db's: what to open, and what messages call it (no passwords) */
    wr_db *db;
    WR_VEC(wr_stmt *) cache;
    uint64_t tick;  /* of the last prepare, for eviction */
    bool is_open;   /* the engine has opened it */
    bool in_job;    /* the writer's: a write fn is running */
    wr_err job_err; /* its first failed statement */
    /* a reader's lease, guarded by the db's readers_lock */
    pthread_t owner;
    int open; /* statements the owner has; 0 = free */
} wr_db_conn;

struct wr_stmt {
    wr_db_conn *conn;
    char *sql;
    uint64_t hash, tick;
    bool in_use;
};

/* READ may create the -shm file of SQLite, but never changes data. */
typedef enum { WR_DB_CONN_WRITE, WR_DB_CONN_READ, WR_DB_CONN_READ_ONLY } wr_db_conn_mode;

struct wr_db_engine {
    size_t conn_size, stmt_size;
    bool shared;

    /* c->path, c->name and c->engine are set, the rest is zero. close() is called whatever open() returned. */
    int (*open)(wr_db_conn *c, wr_db_conn_mode mode, wr_err *err);
    void (*close)(wr_db_conn *c);
    int (*exec)(wr_db_conn *c, const char *sql, wr_err *err); /* any number of statements, rows are ignored */

    /* s->conn and s->sql are set, the rest is zero. fini() is called whatever compile() returned. */
    int (*compile)(wr_stmt *s, wr_err *err);
    void (*fini)(wr_stmt *s);
    void (*reset)(wr_stmt *s); /* and unbind everything */
    void (*bind_null)(wr_stmt *s, int at);
    void (*bind_i64)(wr_stmt *s, int at, int64_t v);
    void (*bind_f64)(wr_stmt *s, int at, double v);
    void (*bind_text)(wr_stmt *s, int at, wr_str v);
    void (*bind_blob)(wr_stmt *s, int at, wr_str v);
    int (*step)(wr_stmt *s, wr_err *err);
    int (*run)(wr_stmt *s, wr_err *err); /* as wr_stmt_run */
    bool (*is_null)(wr_stmt *s, int at);
    int64_t (*i64)(wr_stmt *s, int at);
    double (*f64)(wr_stmt *s, int at);
    wr_str (*str)(wr_stmt *s, int at);

    /* A write transaction that excludes every other one. begin() waits for them, and for a server that is away. */
    int (*begin)(wr_db_conn *c, wr_err *err);
    int (*commit)(wr_db_conn *c, wr_err *err);
    void (*rollback)(wr_db_conn *c); /* also when there is no transaction */
    /* One job of it: everything between is undone when *rc < 0 at its end, or the job leaves a reference open (then *rc
     * and *err say so). False: the whole transaction is gone. */
    int (*job_begin)(wr_db_conn *c, wr_err *err);
    bool (*job_end)(wr_db_conn *c, int *rc, wr_err *err);
    int64_t (*last_id)(wr_db_conn *c);

    /* A reader is leased (it may have been idle for long) and given back. NULL: nothing to do. */
    int (*lease)(wr_db_conn *c, wr_err *err);
    void (*give_back)(wr_db_conn *c);

    /* Of migrations. prepare: before the first transaction. version: with `make`, inside a write transaction, makes
     * what is needed to keep one. check: what a migration left behind. finish: after the last one. */
    int (*prepare)(wr_db_conn *c, wr_err *err);
    int (*version)(wr_db_conn *c, int64_t *out, bool make, wr_err *err);
    int (*set_version)(wr_db_conn *c, int64_t version, wr_err *err);
    int (*check)(wr_db_conn *c, wr_err *err);
    int (*finish)(wr_db_conn *c, wr_err *err);

    /* A number that moves when another connection has committed. NULL: nobody knows. */
    int (*changed)(wr_db_conn *c, int64_t *out, wr_err *err);
    int (*backup)(const char *path, const char *name, const char *to_path, wr_err *err);
};

extern const wr_db_engine wr_db_sqlite, wr_db_pg;

/* A connection that is not open yet; `path` and `name` must outlive it. NULL: no memory. */
wr_db_conn *wr_db_conn_new(const wr_db_engine *e, wr_db *db, const char *path, const char *name);
int wr_db_conn_open(wr_db_conn *c, wr_db_conn_mode mode, wr_err *err); /* after a failure it may be tried again */
void wr_db_conn_free(wr_db_conn *c);
int wr_db_conn_prepare(wr_db_conn *c, wr_stmt **out, const char *sql, wr_err *err);
void wr_db_conn_done(wr_stmt *s);
void wr_db_conn_done_all(wr_db_conn *c); /* statements somebody forgot */
int wr_db_conn_exec(wr_db_conn *c, const char *sql, wr_err *err);
/* First column of the first row; WEIR_ENOTFOUND without one. */
int wr_db_conn_int(wr_db_conn *c, int64_t *out, const char *sql, wr_err *err);

/* Tests: from now on SQLite's allocations, writes and syncs pass through the fault points. Call it before the first
 * wr_db_open. */
int wr_db_fault_install(wr_err *err);
