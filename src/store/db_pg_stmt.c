/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_stmt.c - statements on PostgreSQL: binding, running, reading.
 *
 * Values are sent in the protocol's binary form (a double keeps its bits) and come back as text, which PostgreSQL
 * writes so that it reads back exactly. A statement is prepared on the server at its first step, when the types of its
 * parameters are known; a NULL without a type becomes the literal NULL, because "$1 IS NULL" has no type to infer. All
 * rows of a SELECT are held by its statement, so statements can be stepped in turns.
 *
 * An INSERT into a table that counts its ids gets a RETURNING of the id, which is what wr_db_last_id tells. When the
 * caller gives the id, the sequence is moved behind it, as SQLite's counter is.
 */
#include <endian.h>
#include <math.h>
#include <stdlib.h>

#include "store/db_pg.h"

enum {
    VARIANTS_MAX = 4,
    RUNNING_MAX = 128,     /* their answers fit into the sockets' buffers: nobody waits for somebody who waits */
    BYTES_KEPT = 64 << 10, /* of a parameter, for the next use */
};

/* Types of pg_type, which are the same everywhere. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_TEXT = 25,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_NUMERIC = 1700
};

static wr_pg_stmt *own(wr_stmt *s) { return (wr_pg_stmt *)s; }

static const wr_pq *pq_of(wr_stmt *s) { return wr_pg_of(s->conn)->pq; }

/* --- life --- */

int wr_pg_compile(wr_stmt *head, wr_err *err)
{
    wr_pg_stmt *s = own(head);
    WR_TRY(wr_db_pg_sql_parse(&s->sql, head->sql, err));
    if (s->sql.statements != 1) return wr_err_set(err, WEIR_EINVAL, "\"%.120s\" is not one SQL statement", head->sql);
    size_t n = (size_t)s->sql.nparams;
    s->params = wr_calloc(n, sizeof *s->params);
    s->values = wr_calloc(n, sizeof *s->values);
    s->lengths = wr_calloc(n, sizeof *s->lengths);
    s->formats = wr_calloc(n, sizeof *s->formats);
    s->types = wr_calloc(n, sizeof *s->types);
    s->nulls = wr_calloc(n, sizeof *s->nulls);
    if (!s->params || !s->values || !s->lengths || !s->formats || !s->types || !s->nulls) return wr_err_nomem(err);
    wr_pg_reset(head);
    return 0;
}

/* The server shall forget it too; an answer that is still on its way finds nobody. */
static void variant_free(wr_pg_conn *c, wr_pg_variant *v)
{
    for (size_t i = 0; i < c->sent.n; i++) {
        if (c->sent.at[i].variant != v) continue;
        c->sent.at[i] = (wr_pg_sent){WR_PG_QUIET, NULL};
        v->known = WR_PG_READY; /* when the answer is there */
    }
    if (v->known == WR_PG_READY && v->generation == c->generation && !c->lost &&
        wr_vec_push(&c->garbage, v->number) < 0) {}
    wr_free(v->types);
    wr_free(v);
}

static void forget_rows(wr_pg_stmt *s)
{
    if (s->rows) pq_of(&s->head)->clear(s->rows);
    s->rows = NULL;
    s->executed = s->ended = false;
}

void wr_pg_fini(wr_stmt *head)
{
    wr_pg_stmt *s = own(head);
    forget_rows(s);
    for (size_t i = 0; i < s->variants.n; i++) variant_free(wr_pg_of(head->conn), s->variants.at[i]);
    wr_vec_fini(&s->variants);
    for (int i = 0; s->params && i < s->sql.nparams; i++) wr_buf_fini(&s->params[i].bytes);
    wr_free(s->params);
    wr_free(s->values);
    wr_free(s->lengths);
    wr_free(s->formats);
    wr_free(s->types);
    wr_free(s->nulls);
    wr_free(s->decoded);
    wr_db_pg_sql_fini(&s->sql);
}

void wr_pg_reset(wr_stmt *head)
{
    wr_pg_stmt *s = own(head);
    forget_rows(s);
    s->bad = WR_PG_FINE;
    for (int i = 0; i < s->sql.nparams; i++) {
        s->params[i].type = 'n';
        if (s->params[i].bytes.cap > BYTES_KEPT) wr_buf_fini(&s->params[i].bytes);
    }
}

/* --- binding --- */

static void note(wr_pg_stmt *s, wr_pg_bad bad, int at)
{
    if (s->bad != WR_PG_FINE) return;
    s->bad = bad;
    s->bad_at = at;
}

static wr_pg_param *place(wr_stmt *head, int at, char type)
{
    wr_pg_stmt *s = own(head);
    if (s->executed) forget_rows(s); /* starts anew */
    if (at < 1 || at > s->sql.nparams) {
        note(s, WR_PG_RANGE, at);
        return NULL;
    }
    wr_pg_param *p = &s->params[at - 1];
    p->type = type;
    p->null = false;
    return p;
}

void wr_pg_bind_null(wr_stmt *s, int at) { place(s, at, 'n'); }

void wr_pg_bind_i64(wr_stmt *s, int at, int64_t v)
{
    wr_pg_param *p = place(s, at, 'i');
    if (p) p->raw = htobe64((uint64_t)v);
}

void wr_pg_bind_f64(wr_stmt *s, int at, double v)
{
    wr_pg_param *p = place(s, at, 'f');
    uint64_t bits;
    if (v == 0) v = 0; /* no sign, as in SQLite */
    memcpy(&bits, &v, sizeof bits);
    if (!p) return;
    p->raw = htobe64(bits);
    p->null = isnan(v); /* as in SQLite */
}

static void bind_bytes(wr_stmt *s, int at, char type, wr_str v)
{
    wr_pg_param *p = place(s, at, type);
    if (!p) return;
    wr_buf_clear(&p->bytes);
    wr_buf_slice(&p->bytes, v);
    if (p->bytes.failed) note(own(s), WR_PG_NOMEM, at);
}

void wr_pg_bind_text(wr_stmt *s, int at, wr_str v)
{
    if (memchr(v.p, 0, v.n)) note(own(s), WR_PG_NUL, at);
    else bind_bytes(s, at, 't', v);
}

void wr_pg_bind_blob(wr_stmt *s, int at, wr_str v) { bind_bytes(s, at, 'b', v); }

static int bad_bind(wr_pg_stmt *s, wr_err *err)
{
    wr_pg_bad bad = s->bad;
    s->bad = WR_PG_FINE;
    s->executed = s->ended = true;
    if (bad == WR_PG_NOMEM) return wr_err_nomem(err);
    wr_err_set(err, WEIR_EINVAL, "database '%s': cannot run \"%.120s\"", s->head.conn->name, s->head.sql);
    return wr_err_detail(err, WEIR_EINVAL,
                         bad == WR_PG_RANGE ? "there is no parameter %d"
                                            : "parameter %d is text with a NUL byte, which PostgreSQL cannot keep",
                         s->bad_at);
}

/* --- what the server knows --- */

/* The column of `table` that counts by itself; *out NULL when there is none. Asked once a table and connection. */
static int identity_of(wr_pg_conn *c, const wr_pg_identity **out, wr_str table, wr_err *err)
{
    static const char ask[] =
        "SELECT quote_ident(attname), quote_literal(pg_get_serial_sequence(attrelid::regclass::text, attname))"
        " FROM pg_attribute WHERE attrelid = to_regclass($1) AND attidentity <> '' AND NOT attisdropped";
    char name[256];
    PGresult *r = NULL;
    *out = NULL;
    if (table.n >= sizeof name) return 0;
    (void)snprintf(name, sizeof name, "%.*s", WR_STR_FMT(table));
    for (size_t i = 0; i < c->identities.n && !*out; i++) {
        if (strcmp(c->identities.at[i].table, name) == 0) *out = &c->identities.at[i];
    }
    if (*out) return 0;
    WR_TRY(wr_pg_query(c, &r, ask, name, err));
    if (c->pq->ntuples(r) == 0) {
        c->pq->clear(r);
        return 0;
    }
    wr_pg_identity found = {wr_strdup(name), wr_strdup(c->pq->value(r, 0, 0)), wr_strdup(c->pq->value(r, 0, 1))};
    c->pq->clear(r);
    if (!found.table || !found.column || !found.sequence || wr_vec_push(&c->identities, found) < 0) {
        wr_free(found.table);
        wr_free(found.column);
        wr_free(found.sequence);
        return wr_err_nomem(err);
    }
    *out = &c->identities.at[c->identities.n - 1];
    return 0;
}

/* Is `word` one of "(a, b, c)"? */
static bool in_list(wr_str list, const char *word)
{
    wr_str rest = list.n > 2 ? wr_str_sub(list, 1, list.n - 1) : (wr_str){NULL, 0};
    while (rest.p) {
        if (wr_str_ieq(wr_str_trim(wr_str_cut(&rest, ',')), word)) return true;
    }
    return false;
}

static int add_returning(wr_pg_stmt *s, wr_buf *text, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(s->head.conn);
    const wr_pg_identity *id;
    const wr_db_pg_sql *q = &s->sql;
    wr_str all = wr_buf_view(&q->text);
    if (!q->into_n || q->returning || c->mode != WR_DB_CONN_WRITE) return 0;
    WR_TRY(identity_of(c, &id, wr_str_sub(all, q->into, q->into + q->into_n), err));
    if (!id) return 0;
    while (text->n && (text->p[text->n - 1] == ';' || text->p[text->n - 1] == ' ')) text->n--;
    wr_buf_printf(text, " RETURNING %s", id->column);
    if (!q->columns_n || in_list(wr_str_sub(all, q->columns, q->columns + q->columns_n), id->column))
        wr_buf_printf(text, ", setval(%s, greatest(%s, nextval(%s)))", id->sequence, id->column, id->sequence);
    return 0;
}

static int variant_new(wr_pg_stmt *s, wr_pg_variant **out, const char *types, wr_err *err)
{
    wr_pg_variant *v = wr_calloc(1, sizeof *v);
    if (v) v->types = wr_strdup(types);
    if (!v || !v->types || wr_vec_push(&s->variants, v) < 0) {
        if (v) wr_free(v->types);
        wr_free(v);
        return wr_err_nomem(err);
    }
    *out = v;
    return 0;
}

static void drop_oldest(wr_pg_stmt *s)
{
    size_t oldest = 0;
    if (s->variants.n < VARIANTS_MAX) return;
    for (size_t i = 1; i < s->variants.n; i++) {
        if (s->variants.at[i]->tick < s->variants.at[oldest]->tick) oldest = i;
    }
    variant_free(wr_pg_of(s->head.conn), s->variants.at[oldest]);
    s->variants.at[oldest] = s->variants.at[--s->variants.n];
}

static int variant_of(wr_pg_stmt *s, wr_pg_variant **out, wr_err *err)
{
    WR_AUTOBUF wr_buf types = {0};
    *out = NULL;
    for (int i = 0; i < s->sql.nparams; i++) wr_buf_char(&types, s->params[i].type);
    if (types.failed) return wr_err_nomem(err);
    for (size_t i = 0; i < s->variants.n && !*out; i++) {
        if (strcmp(s->variants.at[i]->types, wr_buf_cstr(&types)) == 0) *out = s->variants.at[i];
    }
    if (!*out) {
        drop_oldest(s);
        WR_TRY(variant_new(s, out, wr_buf_cstr(&types), err));
    }
    (*out)->tick = ++s->head.conn->tick;
    return 0;
}

static Oid oid_of(char type)
{
    return type == 'i' ? OID_INT8 : type == 'f' ? OID_FLOAT8 : type == 'b' ? OID_BYTEA : OID_TEXT;
}

static int send_prepare(wr_pg_stmt *s, wr_pg_variant *v, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(s->head.conn);
    WR_AUTOBUF wr_buf text = {0};
    char name[32];
    for (int i = 0; i < s->sql.nparams; i++) {
        s->nulls[i] = v->types[i] == 'n';
        s->types[i] = oid_of(v->types[i]);
    }
    wr_db_pg_sql_text(&text, &s->sql, s->nulls);
    WR_TRY(add_returning(s, &text, err));
    if (text.failed) return wr_err_nomem(err);
    v->number = ++c->names;
    v->generation = c->generation;
    (void)snprintf(name, sizeof name, "w%llu", (unsigned long long)v->number);
    if (!c->pq->send_prepare(c->h, name, wr_buf_cstr(&text), s->sql.nparams, s->types))
        return wr_pg_fail(c, NULL, "prepare a statement", err);
    v->known = WR_PG_SENT;
    return wr_pg_sent_add(c, WR_PG_PREPARE, v, err);
}

static void fill(wr_pg_stmt *s)
{
    for (int i = 0; i < s->sql.nparams; i++) {
        const wr_pg_param *p = &s->params[i];
        bool number = p->type == 'i' || p->type == 'f';
        s->formats[i] = 1;
        s->values[i] = p->type == 'n' || p->null ? NULL : number ? (const char *)&p->raw : wr_buf_cstr(&p->bytes);
        s->lengths[i] = number ? (int)sizeof p->raw : (int)p->bytes.n;
    }
}

static int send_statement(wr_pg_stmt *s, wr_pg_kind kind, wr_pg_variant **used, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(s->head.conn);
    wr_pg_variant *v;
    char name[32];
    WR_TRY(wr_pg_send_before(c, err));
    WR_TRY(variant_of(s, &v, err));
    if (v->known == WR_PG_UNKNOWN || v->generation != c->generation) WR_TRY(send_prepare(s, v, err));
    fill(s);
    (void)snprintf(name, sizeof name, "w%llu", (unsigned long long)v->number);
    if (!c->pq->send_prepared(c->h, name, s->sql.nparams, s->values, s->lengths, s->formats, 0))
        return wr_pg_fail(c, NULL, "send a statement", err);
    *used = v;
    return wr_pg_sent_add(c, kind, NULL, err);
}

/* --- running --- */

static int execute_once(wr_pg_stmt *s, PGresult **out, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(s->head.conn);
    wr_pg_variant *v;
    char what[160];
    (void)snprintf(what, sizeof what, "run \"%.120s\"", s->head.sql);
    WR_TRY(send_statement(s, WR_PG_RESULT, &v, err));
    int rc = wr_pg_collect(c, out, what, err);
    /* "cached plan must not change result type" after somebody's migration, a name that a pooler lost */
    if (rc == WEIR_EUNSUPPORTED || rc == WEIR_EINTERNAL) v->known = WR_PG_UNKNOWN;
    return rc;
}

/* A reader that has shown nothing of its snapshot yet may take another one, on a new connection. */
static int execute(wr_pg_stmt *s, PGresult **out, wr_err *err)
{
    wr_pg_conn *c = wr_pg_of(s->head.conn);
    int rc = execute_once(s, out, err);
    if (rc < 0 && c->lost && c->mode != WR_DB_CONN_WRITE && !c->shown) {
        rc = wr_pg_reopen(c, err);
        if (rc == 0) rc = execute_once(s, out, err);
    }
    if (rc == 0) c->shown = true;
    return rc;
}

/* The RETURNING that we have added: its rows are not the caller's. */
static bool take_id(wr_pg_stmt *s, PGresult *r)
{
    wr_pg_conn *c = wr_pg_of(s->head.conn);
    if (!s->sql.into_n || s->sql.returning) return false;
    int n = c->pq->ntuples(r);
    if (n > 0) c->last_id = strtoll(c->pq->value(r, n - 1, 0), NULL, 10);
    c->pq->clear(r);
    return true;
}

static int start(wr_pg_stmt *s, wr_err *err)
{
    const wr_pq *pq = pq_of(&s->head);
    PGresult *r = NULL;
    s->executed = s->ended = true;
    s->row = -1;
    s->nrows = 0;
    WR_TRY(execute(s, &r, err));
    s->ended = false;
    if (take_id(s, r)) return 0;
    s->rows = r;
    s->nrows = pq->ntuples(r);
    int columns = pq->nfields(r);
    if (columns <= s->ndecoded) return 0;
    int *more = wr_realloc(s->decoded, (size_t)columns * sizeof *more);
    if (!more) return wr_err_nomem(err);
    s->decoded = more;
    s->ndecoded = columns;
    return 0;
}

static int digit(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

/* "\x00ff" in the row's own memory becomes the bytes. */
static void decode_row(wr_pg_stmt *s)
{
    const wr_pq *pq = pq_of(&s->head);
    int columns = pq->nfields(s->rows);
    for (int i = 0; i < columns; i++) {
        s->decoded[i] = -1;
        if (pq->type(s->rows, i) != OID_BYTEA || pq->is_null(s->rows, s->row, i)) continue;
        char *p = pq->value(s->rows, s->row, i);
        int n = (pq->length(s->rows, s->row, i) - 2) / 2;
        for (int k = 0; k < n; k++) p[k] = (char)(digit(p[2 + 2 * k]) << 4 | digit(p[3 + 2 * k]));
        s->decoded[i] = n < 0 ? 0 : n;
    }
}

int wr_pg_step(wr_stmt *head, wr_err *err)
{
    wr_pg_stmt *s = own(head);
    if (s->bad != WR_PG_FINE) return bad_bind(s, err);
    if (!s->executed) WR_TRY(start(s, err));
    if (s->ended || ++s->row >= s->nrows) {
        s->ended = true;
        return 0;
    }
    decode_row(s);
    return 1;
}

int wr_pg_run(wr_stmt *head, wr_err *err)
{
    wr_pg_stmt *s = own(head);
    wr_pg_conn *c = wr_pg_of(head->conn);
    wr_pg_variant *v;
    if (s->bad != WR_PG_FINE) return bad_bind(s, err);
    forget_rows(s);
    s->executed = s->ended = true;
    WR_TRY(send_statement(s, WR_PG_QUIET, &v, err));
    c->running++;
    return c->running < RUNNING_MAX && head->conn->in_job ? 0 : wr_pg_collect(c, NULL, "write", err);
}

/* --- reading --- */

static bool absent(wr_pg_stmt *s, int at)
{
    return !s->rows || s->ended || s->row < 0 || pq_of(&s->head)->is_null(s->rows, s->row, at);
}

bool wr_pg_is_null(wr_stmt *s, int at) { return absent(own(s), at); }

static int64_t whole(double v) { return v >= 0x1p63 ? INT64_MAX : v >= -0x1p63 ? (int64_t)v : INT64_MIN; }

int64_t wr_pg_i64(wr_stmt *head, int at)
{
    wr_pg_stmt *s = own(head);
    const wr_pq *pq = pq_of(head);
    if (absent(s, at)) return 0;
    const char *text = pq->value(s->rows, s->row, at);
    Oid type = pq->type(s->rows, at);
    if (type == OID_BOOL) return text[0] == 't';
    return type == OID_FLOAT8 || type == OID_FLOAT4 ? whole(strtod(text, NULL)) : strtoll(text, NULL, 10);
}

double wr_pg_f64(wr_stmt *head, int at)
{
    wr_pg_stmt *s = own(head);
    if (absent(s, at)) return (double)NAN;
    const char *text = pq_of(head)->value(s->rows, s->row, at);
    return pq_of(head)->type(s->rows, at) == OID_BOOL ? text[0] == 't' : strtod(text, NULL); /* knows "Infinity" */
}

wr_str wr_pg_str(wr_stmt *head, int at)
{
    wr_pg_stmt *s = own(head);
    const wr_pq *pq = pq_of(head);
    if (absent(s, at)) return (wr_str){"", 0};
    const char *text = pq->value(s->rows, s->row, at);
    if (s->decoded[at] >= 0) return (wr_str){text, (size_t)s->decoded[at]};
    if (pq->type(s->rows, at) == OID_BOOL) return text[0] == 't' ? WR_STR("1") : WR_STR("0");
    return (wr_str){text, (size_t)pq->length(s->rows, s->row, at)};
}
