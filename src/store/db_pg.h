/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg.h - the inside of the PostgreSQL engine.
 *
 * A connection is always in libpq's pipeline mode (but while a script runs): commands are sent, and their answers are
 * read when somebody needs one. `sent` says what is on its way, in order; a sync ends each batch, and after an error
 * the server skips to the next sync. So a job's SAVEPOINT travels with its first statement, a reader's BEGIN with its
 * first query, and its COMMIT is never waited for.
 */
#pragma once
#include "store/db_conn.h"
#include "store/db_pg_api.h"
#include "store/db_pg_sql.h"

typedef enum { WR_PG_QUIET, WR_PG_PREPARE, WR_PG_RESULT, WR_PG_SYNC } wr_pg_kind;

typedef enum { WR_PG_UNKNOWN, WR_PG_SENT, WR_PG_READY } wr_pg_known; /* to the server */

/* A statement as the server knows it: its text depends on which parameters are NULL, its types on what is bound. */
typedef struct {
    char *types; /* one of "ifstbn" a parameter: i64, f64, text, blob, null */
    wr_pg_known known;
    uint64_t generation, number, tick; /* number: its name */
} wr_pg_variant;

typedef struct {
    wr_pg_kind kind;
    wr_pg_variant *variant;
} wr_pg_sent;

/* A table's column that counts by itself, as an identifier, and its sequence, as a literal. */
typedef struct {
    char *table, *column, *sequence;
} wr_pg_identity;

typedef struct {
    wr_db_conn head;
    const wr_pq *pq;
    PGconn *h;
    wr_db_conn_mode mode;
    uint64_t generation;      /* counts connections: what the server knew of an earlier one is gone */
    uint64_t names;           /* of prepared statements so far */
    WR_VEC(uint64_t) garbage; /* names to give up at the next BEGIN */
    WR_VEC(wr_pg_sent) sent;
    WR_VEC(wr_pg_identity) identities;
    bool in_transaction;
    bool savepoint_due; /* the writer's: a job is running and has not sent anything yet */
    bool saved;         /* the job's savepoint is there */
    bool gone;          /* the transaction has ended without us */
    bool lost;          /* the connection */
    bool shown;         /* a reader's: rows of its snapshot were given out */
    bool deferrable;    /* there are references that are checked late */
    int running;        /* statements sent by wr_stmt_run since the last answer */
    int64_t lost_ns;    /* since when; 0 = connected */
    int64_t last_id;
} wr_pg_conn;

typedef struct {
    char type;    /* as in wr_pg_variant.types */
    bool null;    /* of its type: NaN */
    uint64_t raw; /* i64, f64: big-endian */
    wr_buf bytes; /* text, blob */
} wr_pg_param;

typedef enum { WR_PG_FINE, WR_PG_RANGE, WR_PG_NUL, WR_PG_NOMEM } wr_pg_bad;

typedef struct {
    wr_stmt head;
    wr_db_pg_sql sql;
    WR_VEC(wr_pg_variant *) variants;
    wr_pg_param *params; /* sql.nparams of each of the following */
    const char **values;
    int *lengths, *formats;
    Oid *types;
    bool *nulls;
    wr_pg_bad bad; /* first failed bind; the next step reports it */
    int bad_at;
    PGresult *rows;
    int row, nrows;
    bool executed, ended;
    int *decoded; /* of the row, a column: bytes of a blob that was decoded in place, -1 for other types */
    int ndecoded;
} wr_pg_stmt;

static inline wr_pg_conn *wr_pg_of(wr_db_conn *c) { return (wr_pg_conn *)c; }

/* --- db_pg.c: the wire --- */

/* Queue a command without parameters whose answer nobody needs. */
int wr_pg_send(wr_pg_conn *c, const char *sql, wr_err *err);
int wr_pg_sent_add(wr_pg_conn *c, wr_pg_kind kind, wr_pg_variant *v, wr_err *err);
/* What must precede a statement: a reader's BEGIN, a job's SAVEPOINT. */
int wr_pg_send_before(wr_pg_conn *c, wr_err *err);
/* End the batch and read all answers; *out (may be NULL) is that of the last WR_PG_RESULT, the caller's to clear. The
 * first error wins; `what` is what could not be done. */
int wr_pg_collect(wr_pg_conn *c, PGresult **out, const char *what, wr_err *err);
/* A query at once, without parameters but for one text (may be NULL). */
int wr_pg_query(wr_pg_conn *c, PGresult **out, const char *sql, const char *one, wr_err *err);
int wr_pg_reopen(wr_pg_conn *c, wr_err *err);
int wr_pg_exec(wr_db_conn *c, const char *sql, wr_err *err);

/* --- db_pg_error.c --- */

/* The error of `r`, or of the connection when `r` is NULL or says nothing. Marks a lost connection. */
int wr_pg_fail(wr_pg_conn *c, const PGresult *r, const char *what, wr_err *err);
int wr_pg_fail_connect(wr_pg_conn *c, wr_err *err);

/* --- db_pg_functions.c --- */

enum { WR_PG_FUNCTIONS_VERSION = 1 };
extern const char wr_pg_functions[]; /* the functions of db.h that PostgreSQL lacks */

/* --- db_pg_stmt.c --- */

int wr_pg_compile(wr_stmt *s, wr_err *err);
void wr_pg_fini(wr_stmt *s);
void wr_pg_reset(wr_stmt *s);
void wr_pg_bind_null(wr_stmt *s, int at);
void wr_pg_bind_i64(wr_stmt *s, int at, int64_t v);
void wr_pg_bind_f64(wr_stmt *s, int at, double v);
void wr_pg_bind_text(wr_stmt *s, int at, wr_str v);
void wr_pg_bind_blob(wr_stmt *s, int at, wr_str v);
int wr_pg_step(wr_stmt *s, wr_err *err);
int wr_pg_run(wr_stmt *s, wr_err *err);
bool wr_pg_is_null(wr_stmt *s, int at);
int64_t wr_pg_i64(wr_stmt *s, int at);
double wr_pg_f64(wr_stmt *s, int at);
wr_str wr_pg_str(wr_stmt *s, int at);
