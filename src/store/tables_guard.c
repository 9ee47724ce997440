/* SPDX-License-Identifier: Apache-2.0 */
/* tables_guard.c - refuse what the locked configuration still lets through.
 *
 * DuckDB's enable_logging to a file outside the allowed folders ends the whole process (an exception out of a
 * destructor), profiling prints to stdout, and neither is covered by lock_configuration. They can be called from any
 * SELECT, so the text is searched for their names, wherever they stand; ways to run SQL that is not in the text
 * (query('...'), serialized plans, IMPORT DATABASE) are refused too, or the search would prove nothing. Quoting cannot
 * hide a name: DuckDB has no escapes inside identifiers.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "store/tables_inside.h"

/* `next` is what must follow, blanks and comments aside, for the word to be refused; NULL = refused in any case. */
static const struct {
    const char *word, *next;
} refused[] = {
    {"enable_logging", NULL},
    {"enable_profiling", NULL},
    {"enable_profile", NULL},
    {"enable_peg_parser", NULL},
    {"json_execute_serialized_sql", NULL},
    {"import_database", NULL},
    {"import", "database"},
    {"query", "("},
};

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80); }

/* After a block comment, nested ones included; the end of the text when it is not closed. */
static const char *skip_comment(const char *p)
{
    int depth = 0;
    while (*p) {
        if (p[0] == '/' && p[1] == '*') depth++, p += 2;
        else if (p[0] == '*' && p[1] == '/') {
            p += 2;
            if (--depth == 0) return p;
        } else p++;
    }
    return p;
}

static const char *skip_blank(const char *p)
{
    for (;;) {
        if (*p == '"' || isspace((unsigned char)*p)) p++;
        else if (p[0] == '-' && p[1] == '-') p += strcspn(p, "\n\r");
        else if (p[0] == '/' && p[1] == '*') p = skip_comment(p);
        else return p;
    }
}

static bool is_refused(const char *word, size_t n, const char *after)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (strlen(refused[i].word) != n || strncasecmp(word, refused[i].word, n) != 0) continue;
        if (!refused[i].next) return true;
        if (strncasecmp(skip_blank(after), refused[i].next, strlen(refused[i].next)) == 0) return true;
    }
    return false;
}

int wr_guard_text(const char *sql, wr_err *err)
{
    for (const char *p = sql; *p;) {
        if (!is_word(*p)) {
            p++;
            continue;
        }
        const char *word = p;
        while (is_word(*p)) p++;
        if (!is_refused(word, (size_t)(p - word), p)) continue;
        wr_err_set(err, WEIR_EACCESS, "\"%.*s\" is not allowed in a query", (int)(p - word), word);
        return wr_err_hint(err, WEIR_EACCESS, "if it is a name of yours, choose another one");
    }
    return 0;
}

int wr_guard_kind(duckdb_statement_type type, wr_err *err)
{
    static const struct {
        duckdb_statement_type type;
        const char *name;
    } kinds[] = {
        {DUCKDB_STATEMENT_TYPE_PRAGMA, "PRAGMA"},   {DUCKDB_STATEMENT_TYPE_CALL, "CALL"},
        {DUCKDB_STATEMENT_TYPE_SET, "SET"},         {DUCKDB_STATEMENT_TYPE_VARIABLE_SET, "SET"},
        {DUCKDB_STATEMENT_TYPE_LOAD, "LOAD"},       {DUCKDB_STATEMENT_TYPE_EXTENSION, "INSTALL"},
        {DUCKDB_STATEMENT_TYPE_ATTACH, "ATTACH"},   {DUCKDB_STATEMENT_TYPE_DETACH, "DETACH"},
        {DUCKDB_STATEMENT_TYPE_EXPORT, "EXPORT"},   {DUCKDB_STATEMENT_TYPE_PREPARE, "PREPARE"},
        {DUCKDB_STATEMENT_TYPE_EXECUTE, "EXECUTE"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].type == type) return wr_err_set(err, WEIR_EACCESS, "%s is not allowed", kinds[i].name);
    }
    return 0;
}
