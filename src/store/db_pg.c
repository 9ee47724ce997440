/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg.c - the PostgreSQL engine: connecting, the wire, transactions, versions of the schema.
 *
 * A write transaction takes one advisory lock first, so writers of all programs stand in line as SQLite's do, and a
 * write fn may read and then write without thinking of others. A reader's transaction is REPEATABLE READ: one snapshot
 * for all statements a thread has open, as in SQLite.
 */
#include "store/db_pg.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define WRITER_LOCK "2003136882" /* the letters "weir" as a number */

enum { AWAY_MS = 30000, PAUSE_MIN_MS = 50, PAUSE_MAX_MS = 1000 };

/* --- connecting --- */

static void ignore_notice(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

/* libpq's own words about an address it cannot parse hold the address, and with it the password. */
static int check_address(const wr_pg_conn *c, wr_err *err)
{
    char *why = NULL;
    PQconninfoOption *parsed = c->pq->parse(c->head.path, &why);
    c->pq->mem_free(why);
    if (parsed) {
        c->pq->options_free(parsed);
        return 0;
    }
    wr_err_set(err, WEIR_EINVAL, "the address of the PostgreSQL database cannot be parsed");
    return wr_err_hint(err, WEIR_EINVAL, "postgresql://USER@HOST:PORT/DATABASE?OPTION=VALUE");
}

/* Earlier keywords are defaults that the address may change, later ones have the last word. */
static PGconn *dial(const wr_pg_conn *c)
{
    static const char *const keys[] = {"connect_timeout",           "keepalives_idle",
                                       "keepalives_interval",       "keepalives_count",
                                       "tcp_user_timeout",          "gssencmode",
                                       "fallback_application_name", "dbname",
                                       "client_encoding",           NULL};
    const char *const values[] = {"10", "30", "10", "3", "30000", "disable", "weir", c->head.path, "UTF8", NULL};
    return c->pq->connect(keys, values, 1);
}

static int unsupported(const wr_pg_conn *c, const char *why, const char *hint, wr_err *err)
{
    wr_err_set(err, WEIR_EUNSUPPORTED, "database '%s' cannot be used", c->head.name);
    wr_err_detail(err, WEIR_EUNSUPPORTED, "%s", why);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "%s", hint);
}

static const char session[] =
    "SET client_min_messages = warning; SET extra_float_digits = 1; SET bytea_output = hex; SET datestyle = ISO;"
    "SET standard_conforming_strings = on; SET lock_timeout = '10s'; SET statement_timeout = 0;"
    "SET idle_in_transaction_session_timeout = 0; SET default_transaction_isolation = 'read committed';"
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';";

static int greet(wr_pg_conn *c, wr_err *err)
{
    const char *encoding = c->pq->parameter(c->h, "server_encoding");
    if (c->pq->server_version(c->h) < 120000)
        return unsupported(c, "the server is older than PostgreSQL 12", "upgrade the server", err);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return unsupported(c, "its encoding is not UTF8", "make another one: createdb -E UTF8 -T template0 NAME", err);
    c->pq->set_notice(c->h, ignore_notice, NULL);
    PGresult *r = c->pq->exec(c->h, session);
    ExecStatusType status = c->pq->result_status(r);
    int rc = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ? 0 : wr_pg_fail(c, r, "set up the session", err);
    c->pq->clear(r);
    if (rc == 0 && !c->pq->pipeline_enter(c->h)) rc = wr_pg_fail(c, NULL, "set up the session", err);
    return rc;
}

static void hang_up(wr_pg_conn *c)
{
    if (c->h) c->pq->finish(c->h);
    c->h = NULL;
    c->sent.n = c->garbage.n = 0;
    c->in_transaction = c->savepoint_due = c->saved = c->shown = false;
    c->running = 0;
}

int wr_pg_reopen(wr_pg_conn *c, wr_err *err)
{
    hang_up(c);
    c->generation++;
    c->h = dial(c);
    int rc = c->h && c->pq->status(c->h) == CONNECTION_OK ? 0 : wr_pg_fail_connect(c, err);
    if (rc == 0) rc = greet(c, err);
    c->lost = rc < 0;
    if (rc == 0) c->lost_ns = 0;
    return rc;
}

static int conn_open(wr_db_conn *head, wr_db_conn_mode mode, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(head);
    c->mode = mode;
    WR_TRY(wr_pq_load(&c->pq, err));
    WR_TRY(check_address(c, err));
    return wr_pg_reopen(c, err);
}

static void conn_close(wr_db_conn *head)
{
    wr_pg_conn *c = wr_pg_of(head);
    if (c->pq) hang_up(c);
    for (size_t i = 0; i < c->identities.n; i++) {
        wr_free(c->identities.at[i].table);
        wr_free(c->identities.at[i].column);
        wr_free(c->identities.at[i].sequence);
    }
    wr_vec_fini(&c->identities);
    wr_vec_fini(&c->sent);
    wr_vec_fini(&c->garbage);
}

/* --- the wire --- */

int wr_pg_sent_add(wr_pg_conn *c, wr_pg_kind kind, wr_pg_variant *v, wr_err *err)
{
    if (wr_vec_push(&c->sent, ((wr_pg_sent){kind, v})) < 0) {
        c->lost = true; /* an answer without its question would shift all others */
        return wr_err_nomem(err);
    }
    return 0;
}

static int send(wr_pg_conn *c, wr_pg_kind kind, const char *sql, const char *one, wr_err *err)
{
    const Oid text = 25;
    int n = one ? 1 : 0;
    if (!c->pq->send_params(c->h, sql, n, &text, &one, NULL, NULL, 0)) return wr_pg_fail(c, NULL, sql, err);
    return wr_pg_sent_add(c, kind, NULL, err);
}

int wr_pg_send(wr_pg_conn *c, const char *sql, wr_err *err) { return send(c, WR_PG_QUIET, sql, NULL, err); }

static int begin_reading(wr_pg_conn *c, wr_err *err)
{
    if (c->in_transaction && c->sent.n == 0 && c->pq->transaction(c->h) == PQTRANS_INERROR) {
        WR_TRY(wr_pg_send(c, "ROLLBACK", err)); /* a statement failed; SQLite's readers do not mind either */
        c->in_transaction = c->shown = false;
    }
    if (c->in_transaction) return 0;
    WR_TRY(wr_pg_send(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err));
    c->in_transaction = true;
    return 0;
}

int wr_pg_send_before(wr_pg_conn *c, wr_err *err)
{
    if (c->mode != WR_DB_CONN_WRITE) return begin_reading(c, err);
    if (!c->savepoint_due) return 0;
    WR_TRY(wr_pg_send(c, "SAVEPOINT job", err));
    c->savepoint_due = false;
    c->saved = true;
    return 0;
}

static int end_batch(wr_pg_conn *c, const char *what, wr_err *err)
{
    if (c->sent.n == 0 || c->sent.at[c->sent.n - 1].kind == WR_PG_SYNC) return 0;
    if (!c->pq->pipeline_sync(c->h)) return wr_pg_fail(c, NULL, what, err);
    return wr_pg_sent_add(c, WR_PG_SYNC, NULL, err);
}

/* The answer to one command. An answer that is wanted replaces the one before. */
static int answer(wr_pg_conn *c, wr_pg_sent s, PGresult **out, const char *what, wr_err *err)
{
    PGresult *r = c->pq->result(c->h);
    if (!r) { /* questions and answers do not match any more */
        c->lost = true;
        return wr_pg_fail(c, NULL, what, err);
    }
    ExecStatusType status = c->pq->result_status(r);
    bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_PIPELINE_SYNC ||
                status == PGRES_EMPTY_QUERY;
    int rc = fine || status == PGRES_PIPELINE_ABORTED ? 0 : wr_pg_fail(c, r, what, err);
    if (s.kind == WR_PG_PREPARE) s.variant->known = fine ? WR_PG_READY : WR_PG_UNKNOWN;
    if (s.kind == WR_PG_RESULT && fine && out) {
        c->pq->clear(*out);
        *out = r;
    } else {
        c->pq->clear(r);
    }
    if (s.kind == WR_PG_SYNC) return rc;
    while ((r = c->pq->result(c->h))) c->pq->clear(r); /* the NULL behind it */
    return rc;
}

int wr_pg_collect(wr_pg_conn *c, PGresult **out, const char *what, wr_err *err)
{
    PGresult *wanted = NULL;
    int rc = c->lost ? wr_pg_fail(c, NULL, what, err) : end_batch(c, what, err);
    for (size_t i = 0; i < c->sent.n; i++) {
        wr_err later;
        if (c->lost && c->sent.at[i].variant) c->sent.at[i].variant->known = WR_PG_UNKNOWN;
        if (c->lost) continue;
        int one = answer(c, c->sent.at[i], &wanted, what, rc < 0 ? &later : err);
        if (rc == 0) rc = one;
    }
    c->sent.n = 0;
    c->running = 0;
    if (c->in_transaction && !c->lost && c->pq->transaction(c->h) == PQTRANS_IDLE) c->gone = true;
    if (rc == 0 && out) *out = wanted;
    else c->pq->clear(wanted);
    return rc;
}

int wr_pg_query(wr_pg_conn *c, PGresult **out, const char *sql, const char *one, wr_err *err)
{
    WR_TRY(send(c, WR_PG_RESULT, sql, one, err));
    return wr_pg_collect(c, out, sql, err);
}

/* First column of the first row; `none` when there is no row. */
static int scalar(wr_pg_conn *c, int64_t *out, const char *sql, int64_t none, wr_err *err)
{
    PGresult *r = NULL;
    WR_TRY(wr_pg_query(c, &r, sql, NULL, err));
    *out = c->pq->ntuples(r) ? strtoll(c->pq->value(r, 0, 0), NULL, 10) : none;
    c->pq->clear(r);
    return 0;
}

/* A script cannot go through a pipeline. */
static int script(wr_pg_conn *c, const char *sql, const char *what, wr_err *err)
{
    WR_TRY(wr_pg_send_before(c, err));
    WR_TRY(wr_pg_collect(c, NULL, what, err));
    if (!c->pq->pipeline_exit(c->h)) return wr_pg_fail(c, NULL, what, err);
    PGresult *r = c->pq->exec(c->h, sql);
    ExecStatusType status = c->pq->result_status(r);
    bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
    int rc = fine ? 0 : wr_pg_fail(c, r, what, err);
    c->pq->clear(r);
    if (!c->pq->pipeline_enter(c->h) && rc == 0) rc = wr_pg_fail(c, NULL, what, err);
    if (c->in_transaction && !c->lost && c->pq->transaction(c->h) == PQTRANS_IDLE) c->gone = true;
    return rc;
}

int wr_pg_exec(wr_db_conn *head, const char *sql, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    char what[160];
    wr_db_pg_sql parsed = {0};
    int rc = wr_db_pg_sql_parse(&parsed, sql, err);
    if (rc == 0) wr_db_pg_sql_text(&text, &parsed, NULL);
    wr_db_pg_sql_fini(&parsed);
    if (rc == 0 && text.failed) rc = wr_err_nomem(err);
    (void)snprintf(what, sizeof what, "run \"%.120s\"", sql);
    return rc < 0 ? rc : script(wr_pg_of(head), wr_buf_cstr(&text), what, err);
}

/* --- write transactions --- */

/* Statements that were dropped from the cache are dropped from the server. */
static int sweep(wr_pg_conn *c, wr_err *err)
{
    char sql[64];
    for (size_t i = 0; i < c->garbage.n; i++) {
        (void)snprintf(sql, sizeof sql, "DEALLOCATE w%llu", (unsigned long long)c->garbage.at[i]);
        WR_TRY(wr_pg_send(c, sql, err));
    }
    c->garbage.n = 0;
    return 0;
}

static int try_begin(wr_pg_conn *c, wr_err *err)
{
    c->gone = c->saved = c->savepoint_due = false;
    WR_TRY(sweep(c, err));
    WR_TRY(wr_pg_send(c, "BEGIN", err));
    WR_TRY(wr_pg_send(c, "SELECT pg_advisory_xact_lock(" WRITER_LOCK ")", err));
    int rc = wr_pg_collect(c, NULL, "begin to write", err);
    c->in_transaction = true; /* also after a lock that timed out: the caller rolls back */
    return rc;
}

/* Nothing of the transaction has run yet, so a server that is away is waited for. Whoever comes when it has been away
 * for long does not wait again. */
static int begin(wr_db_conn *head, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(head);
    for (int pause_ms = PAUSE_MIN_MS;; pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS) {
        int rc = c->lost ? wr_pg_reopen(c, err) : 0;
        if (rc == 0) rc = try_begin(c, err);
        if (rc == 0 || !c->lost || (rc != WEIR_EUNAVAILABLE && rc != WEIR_ENOMEM)) return rc;
        if (!c->lost_ns) c->lost_ns = wr_clock_mono_ns();
        if (wr_clock_mono_ns() - c->lost_ns > AWAY_MS * 1000000LL)
            return wr_err_hint(err, rc, "nothing was written; the server is asked again at the next write");
        nanosleep(&(struct timespec){pause_ms / 1000, pause_ms % 1000 * 1000000L}, NULL);
    }
}

static int commit(wr_db_conn *head, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(head);
    PGresult *r = NULL;
    int rc = wr_pg_query(c, &r, "COMMIT", NULL, err);
    c->in_transaction = false;
    if (rc == 0 && strcmp(c->pq->tag(r), "COMMIT") != 0)
        rc = wr_err_set(err, WEIR_EIO, "database '%s': the transaction was given up", head->name);
    c->pq->clear(r);
    if (rc < 0 && c->lost) {
        wr_err_set(err, rc, "database '%s': the connection broke during the commit", head->name);
        wr_err_hint(err, rc, "it is not known whether the records were written: look before you write them again");
    }
    return rc;
}

static void rollback(wr_db_conn *head)
{
    wr_pg_conn *c = wr_pg_of(head);
    if (!c->lost) wr_pg_collect(c, NULL, "roll back", NULL);
    if (!c->lost && c->pq->transaction(c->h) != PQTRANS_IDLE && wr_pg_send(c, "ROLLBACK", NULL) == 0)
        wr_pg_collect(c, NULL, "roll back", NULL);
    c->in_transaction = c->saved = c->savepoint_due = false;
}

/* The savepoint is sent with the job's first statement; a job without one needs none. */
static int job_begin(wr_db_conn *head, wr_err *err)
{
    (void)err;
    wr_pg_of(head)->savepoint_due = true;
    return 0;
}

static int references(wr_pg_conn *c, wr_err *err)
{
    WR_TRY(wr_pg_send(c, "SET CONSTRAINTS ALL IMMEDIATE", err));
    return wr_pg_collect(c, NULL, "finish the write", err);
}

static int undo(wr_pg_conn *c)
{
    WR_TRY(wr_pg_send(c, "ROLLBACK TO job", NULL));
    WR_TRY(wr_pg_send(c, "RELEASE job", NULL));
    return wr_pg_collect(c, NULL, "roll back", NULL);
}

static bool given_up(wr_pg_conn *c, int *rc, wr_err *err)
{
    if (c->lost && *rc != WEIR_EUNAVAILABLE) { /* what everybody in the transaction is told */
        *rc = wr_err_set(err, WEIR_EUNAVAILABLE, "database '%s': the connection broke during a write", c->head.name);
        wr_err_hint(err, *rc, "nothing was written");
    }
    return c->lost || c->gone;
}

static bool job_end(wr_db_conn *head, int *rc, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(head);
    c->savepoint_due = false;
    int late = c->running && !c->lost ? wr_pg_collect(c, NULL, "write", *rc < 0 ? NULL : err) : 0;
    if (*rc == 0) *rc = late;
    if (given_up(c, rc, err)) return false;
    if (!c->saved) return true;
    c->saved = false;
    if (*rc == 0 && c->deferrable) *rc = references(c, err);
    if (*rc < 0) return !c->lost && undo(c) == 0;
    if (wr_pg_send(c, "RELEASE job", err) < 0) return false;
    return !c->deferrable || wr_pg_send(c, "SET CONSTRAINTS ALL DEFERRED", err) == 0;
}

static int64_t last_id(wr_db_conn *c) { return wr_pg_of(c)->last_id; }

/* --- leases of readers --- */

static int lease(wr_db_conn *head, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(head);
    if (!c->lost && c->pq->status(c->h) == CONNECTION_OK) return 0;
    return wr_pg_reopen(c, err);
}

/* Nobody waits for the answer: it is read with that to the next query. */
static void give_back(wr_db_conn *head)
{
    wr_pg_conn *c = wr_pg_of(head);
    bool open = c->in_transaction && !c->lost;
    c->in_transaction = c->shown = false;
    if (!open || wr_pg_send(c, "COMMIT", NULL) < 0 || sweep(c, NULL) < 0) return; /* of a failed one: a rollback */
    end_batch(c, "end reading", NULL);
}

/* --- versions --- */

static int prepare(wr_db_conn *c, wr_err *err)
{
    (void)c;
    (void)err;
    return 0;
}

static int make_schema(wr_pg_conn *c, wr_err *err)
{
    int64_t functions;
    static const char table[] =
        "CREATE TABLE IF NOT EXISTS weir_schema (version BIGINT NOT NULL, functions BIGINT NOT NULL);"
        "INSERT INTO weir_schema SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM weir_schema);";
    WR_TRY(script(c, table, "make the table weir_schema", err));
    WR_TRY(scalar(c, &functions, "SELECT functions FROM weir_schema", 0, err));
    if (functions >= WR_PG_FUNCTIONS_VERSION) return 0;
    char note[80];
    (void)snprintf(note, sizeof note, "UPDATE weir_schema SET functions = %d", WR_PG_FUNCTIONS_VERSION);
    WR_TRY(script(c, wr_pg_functions, "make the functions", err));
    return script(c, note, "make the functions", err);
}

static int version(wr_db_conn *head, int64_t *out, bool make, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(head);
    int64_t there = 1;
    if (make) WR_TRY(make_schema(c, err));
    else WR_TRY(scalar(c, &there, "SELECT count(to_regclass('weir_schema'))", 0, err));
    *out = 0;
    return there ? scalar(c, out, "SELECT version FROM weir_schema", 0, err) : 0;
}

static int set_version(wr_db_conn *c, int64_t v, wr_err *err)
{
    char sql[80];
    (void)snprintf(sql, sizeof sql, "UPDATE weir_schema SET version = %lld", (long long)v);
    return script(wr_pg_of(c), sql, sql, err);
}

static int check(wr_db_conn *c, wr_err *err)
{
    int rc = references(wr_pg_of(c), err);
    return rc == WEIR_ECONFLICT ? wr_err_set(err, rc, "rows refer to rows that are not there") : rc;
}

static int finish(wr_db_conn *head, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(head);
    int64_t n;
    WR_TRY(scalar(c, &n, "SELECT count(*) FROM pg_constraint WHERE condeferrable", 0, err));
    c->deferrable = n > 0;
    return 0;
}

static int backup(const char *path, const char *name, const char *to_path, wr_err *err)
{
    (void)path;
    wr_err_set(err, WEIR_EUNSUPPORTED, "database '%s' cannot be copied to '%s'", name, to_path);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "PostgreSQL's own program does it while it runs: pg_dump -Fc");
}

const wr_db_engine wr_db_pg = {
    .conn_size = sizeof(wr_pg_conn),
    .stmt_size = sizeof(wr_pg_stmt),
    .shared = true,
    .open = conn_open,
    .close = conn_close,
    .exec = wr_pg_exec,
    .compile = wr_pg_compile,
    .fini = wr_pg_fini,
    .reset = wr_pg_reset,
    .bind_null = wr_pg_bind_null,
    .bind_i64 = wr_pg_bind_i64,
    .bind_f64 = wr_pg_bind_f64,
    .bind_text = wr_pg_bind_text,
    .bind_blob = wr_pg_bind_blob,
    .step = wr_pg_step,
    .run = wr_pg_run,
    .is_null = wr_pg_is_null,
    .i64 = wr_pg_i64,
    .f64 = wr_pg_f64,
    .str = wr_pg_str,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .job_begin = job_begin,
    .job_end = job_end,
    .last_id = last_id,
    .lease = lease,
    .give_back = give_back,
    .prepare = prepare,
    .version = version,
    .set_version = set_version,
    .check = check,
    .finish = finish,
    .backup = backup,
};
