/* SPDX-License-Identifier: Apache-2.0 */
/* db_conn.c - a connection's statements, kept by their text, and the calls of db.h on them. */
#include "store/db_conn.h"

#include "base/hash.h"

enum { CACHE_MAX = 128 };

/* --- connection --- */

wr_db_conn *wr_db_conn_new(const wr_db_engine *e, wr_db *db, const char *path, const char *name)
{
    wr_db_conn *c = wr_calloc(1, e->conn_size);
    if (!c) return NULL;
    c->engine = e;
    c->db = db;
    c->path = path;
    c->name = name;
    return c;
}

int wr_db_conn_open(wr_db_conn *c, wr_db_conn_mode mode, wr_err *err)
{
    int rc = c->engine->open(c, mode, err);
    if (rc < 0) c->engine->close(c);
    c->is_open = rc == 0;
    return rc;
}

static void stmt_free(wr_stmt *s)
{
    s->conn->engine->fini(s);
    wr_free(s->sql);
    wr_free(s);
}

void wr_db_conn_free(wr_db_conn *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->cache.n; i++) stmt_free(c->cache.at[i]);
    wr_vec_fini(&c->cache);
    if (c->is_open) c->engine->close(c);
    wr_free(c);
}

/* What fails in a write fn ends it: PostgreSQL runs nothing more in its savepoint, so neither does SQLite. */
static int noted(wr_db_conn *c, int rc, const wr_err *why, wr_err *err)
{
    if (rc >= 0) return rc;
    if (c->in_job && c->job_err.code == 0) c->job_err = *why;
    if (err) *err = *why;
    return rc;
}

static int refused(const wr_db_conn *c, wr_err *err)
{
    if (!c->in_job || c->job_err.code == 0) return 0;
    if (err) *err = c->job_err;
    return c->job_err.code;
}

int wr_db_conn_exec(wr_db_conn *c, const char *sql, wr_err *err)
{
    wr_err why = {0};
    WR_TRY(refused(c, err));
    return noted(c, c->engine->exec(c, sql, &why), &why, err);
}

int wr_db_conn_int(wr_db_conn *c, int64_t *out, const char *sql, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_conn_prepare(c, &s, sql, err));
    int rc = wr_step(s, err);
    if (rc > 0) *out = wr_stmt_i64(s, 0);
    wr_db_conn_done(s);
    if (rc == 0) return wr_err_set(err, WEIR_ENOTFOUND, "database '%s': no row for \"%s\"", c->name, sql);
    return rc < 0 ? rc : 0;
}

/* --- statements --- */

static wr_stmt *cached(wr_db_conn *c, uint64_t hash, const char *sql)
{
    for (size_t i = 0; i < c->cache.n; i++) {
        wr_stmt *s = c->cache.at[i];
        if (s->hash == hash && !s->in_use && strcmp(s->sql, sql) == 0) return s;
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

static int stmt_new(wr_db_conn *c, wr_stmt **out, uint64_t hash, const char *sql, wr_err *err)
{
    wr_stmt *s = wr_calloc(1, c->engine->stmt_size);
    if (!s) return wr_err_nomem(err);
    s->conn = c;
    s->hash = hash;
    s->sql = wr_strdup(sql);
    int rc = s->sql ? c->engine->compile(s, err) : wr_err_nomem(err);
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
    WR_TRY(refused(c, err));
    wr_stmt *s = cached(c, hash, sql);
    if (!s) {
        wr_err why = {0};
        evict(c);
        WR_TRY(noted(c, stmt_new(c, &s, hash, sql, &why), &why, err));
    }
    s->in_use = true;
    s->tick = ++c->tick;
    *out = s;
    return 0;
}

void wr_db_conn_done(wr_stmt *s)
{
    s->conn->engine->reset(s);
    s->in_use = false;
}

void wr_db_conn_done_all(wr_db_conn *c)
{
    for (size_t i = 0; i < c->cache.n; i++) {
        if (c->cache.at[i]->in_use) wr_db_conn_done(c->cache.at[i]);
    }
}

/* --- db.h --- */

void wr_bind_i64(wr_stmt *s, int at, int64_t v) { s->conn->engine->bind_i64(s, at, v); }
void wr_bind_f64(wr_stmt *s, int at, double v) { s->conn->engine->bind_f64(s, at, v); }
void wr_bind_str(wr_stmt *s, int at, wr_str v) { s->conn->engine->bind_text(s, at, v.p ? v : WR_STR("")); }

void wr_bind_cstr(wr_stmt *s, int at, const char *v)
{
    if (v) s->conn->engine->bind_text(s, at, wr_str_of(v));
    else s->conn->engine->bind_null(s, at);
}

void wr_bind_blob(wr_stmt *s, int at, const void *p, size_t n)
{
    s->conn->engine->bind_blob(s, at, p ? (wr_str){p, n} : WR_STR(""));
}

int wr_step(wr_stmt *s, wr_err *err)
{
    wr_err why = {0};
    WR_TRY(refused(s->conn, err));
    return noted(s->conn, s->conn->engine->step(s, &why), &why, err);
}

int wr_stmt_run(wr_stmt *s, wr_err *err)
{
    wr_err why = {0};
    WR_TRY(refused(s->conn, err));
    return noted(s->conn, s->conn->engine->run(s, &why), &why, err);
}

bool wr_stmt_null(wr_stmt *s, int at) { return s->conn->engine->is_null(s, at); }
int64_t wr_stmt_i64(wr_stmt *s, int at) { return s->conn->engine->i64(s, at); }
double wr_stmt_f64(wr_stmt *s, int at) { return s->conn->engine->f64(s, at); }
wr_str wr_stmt_str(wr_stmt *s, int at) { return s->conn->engine->str(s, at); }

wr_str wr_stmt_text(wr_arena *a, wr_stmt *s, int at)
{
    return wr_stmt_null(s, at) ? (wr_str){NULL, 0} : wr_arena_str(a, wr_stmt_str(s, at));
}
