/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_error.c - PostgreSQL's SQLSTATEs and libpq's sentences as our errors. */
#include <string.h>

#include "base/clock.h"
#include "store/db_pg.h"

/* The longest prefix that fits wins; see PostgreSQL's appendix A. */
static const struct {
    const char *state;
    int code;
    const char *hint;
} states[] = {
    {"08", WEIR_EUNAVAILABLE, ""},
    {"0A", WEIR_EUNSUPPORTED, ""},
    {"2201B", WEIR_EINVAL, ""}, /* regular expression */
    {"22", WEIR_EINVAL, ""},
    {"22P02", WEIR_ETYPE, ""},
    {"22003", WEIR_EINVAL, ""},
    {"23505", WEIR_EEXIST, ""},
    {"23503", WEIR_ECONFLICT, ""},
    {"23", WEIR_EINVAL, ""},
    {"25006", WEIR_EACCESS, "nothing can be written here: not inside a write, or the server is read-only"},
    {"28", WEIR_EACCESS, "give the password by PGPASSWORD or ~/.pgpass, and see the server's pg_hba.conf"},
    {"3D000", WEIR_ENOTFOUND, "make the database with createdb"},
    {"40001", WEIR_ECONFLICT, ""},
    {"40P01", WEIR_ECONFLICT, ""},
    {"42501", WEIR_EACCESS, "the role needs CREATE and USAGE on its schema, and to own the tables that are there"},
    {"42804", WEIR_ETYPE, ""},
    {"53100", WEIR_ENOSPC, "free some space on the database server; nothing was changed"},
    {"53200", WEIR_ENOMEM, ""},
    {"53300", WEIR_EUNAVAILABLE, "raise the server's max_connections, or let fewer programs use it"},
    {"53", WEIR_EUNAVAILABLE, ""},
    {"54", WEIR_ELIMIT, ""},
    {"55P03", WEIR_ETIMEOUT, "another program has been writing for more than 10 seconds; see pg_stat_activity"},
    {"57014", WEIR_ECANCELED, ""},
    {"57P", WEIR_EUNAVAILABLE, ""},
    {"58030", WEIR_EIO, ""},
    {"58P01", WEIR_ECORRUPT, ""},
    {"XX001", WEIR_ECORRUPT, "restore the database from a backup"},
    {"XX002", WEIR_ECORRUPT, "restore the database from a backup"},
};

static size_t find(const char *state)
{
    size_t best = sizeof states / sizeof *states, length = 0;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        size_t n = strlen(states[i].state);
        if (n <= length || strncmp(state, states[i].state, n) != 0) continue;
        best = i;
        length = n;
    }
    return best;
}

static const char away[] = "the server went away; it is asked again at the next use";

static void lose(wr_pg_conn *c)
{
    c->lost = true;
    if (!c->lost_ns) c->lost_ns = wr_clock_mono_ns();
}

/* "ERROR:  text\nDETAIL: ..." without the first word and the line breaks. */
static void detail(wr_err *err, int code, const char *text)
{
    char line[600];
    size_t n = 0;
    for (; *text && n + 1 < sizeof line; text++) {
        if (*text != '\t') line[n++] = *text == '\n' ? ' ' : *text;
    }
    while (n && line[n - 1] == ' ') n--;
    line[n] = 0;
    wr_err_detail(err, code, "%s", line);
}

int wr_pg_fail(wr_pg_conn *c, const PGresult *r, const char *what, wr_err *err)
{
    const char *state = r ? c->pq->result_field(r, PG_DIAG_SQLSTATE) : NULL;
    const char *primary = r ? c->pq->result_field(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *more = r ? c->pq->result_field(r, PG_DIAG_MESSAGE_DETAIL) : NULL;
    if (state && strncmp(state, "23", 2) == 0) more = NULL; /* it quotes the row, which is nobody's business in a log */
    size_t at = state ? find(state) : sizeof states / sizeof *states;
    bool known = at < sizeof states / sizeof *states;
    if (c->pq->status(c->h) == CONNECTION_BAD || (state && strncmp(state, "57P0", 4) == 0)) lose(c);
    int code = known ? states[at].code : c->lost ? WEIR_EUNAVAILABLE : WEIR_EINTERNAL;
    if (c->lost && !state) code = WEIR_EUNAVAILABLE;
    if (c->lost) wr_err_set(err, code, "database '%s' is not available", c->head.name);
    else wr_err_set(err, code, "database '%s': cannot %s", c->head.name, what);
    if (primary && err) {
        char text[600];
        int n = snprintf(text, sizeof text, "%s%s%s", primary, more ? ": " : "", more ? more : "");
        if (n > 0) detail(err, code, text);
    } else if (err) {
        detail(err, code, c->pq->error(c->h));
    }
    return wr_err_hint(err, code, "%s", known && states[at].hint[0] ? states[at].hint : c->lost ? away : "");
}

/* libpq gives no SQLSTATE of a connection that failed, only the server's sentence. */
int wr_pg_fail_connect(wr_pg_conn *c, wr_err *err)
{
    const char *text = c->h ? c->pq->error(c->h) : "no memory";
    int code = WEIR_EUNAVAILABLE;
    const char *hint = "is the server running, and does it listen at this address?";
    if (strstr(text, "database") && strstr(text, "does not exist")) {
        code = WEIR_ENOTFOUND;
        hint = "make the database with createdb";
    } else if (strstr(text, "role") && strstr(text, "does not exist")) {
        code = WEIR_EACCESS;
        hint = "make the role with createuser, or name another one: postgresql://USER@HOST/DATABASE";
    } else if (strstr(text, "password") || strstr(text, "pg_hba.conf") || (c->h && c->pq->needs_password(c->h))) {
        code = WEIR_EACCESS;
        hint = "give the password by PGPASSWORD or ~/.pgpass, and see the server's pg_hba.conf";
    } else if (strstr(text, "too many") || strstr(text, "slots are reserved")) {
        hint = "raise the server's max_connections, or let fewer programs use it";
    }
    wr_err_set(err, code, "cannot open database '%s'", c->head.name);
    if (err) detail(err, code, text);
    return wr_err_hint(err, code, "%s", hint);
}
