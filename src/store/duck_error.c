/* SPDX-License-Identifier: Apache-2.0 */
/* duck_error.c - DuckDB's error texts as codes and hints. Unknown phrases fall back to the kind in front of the text.
 */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "store/duck_api.h"

/* The part before " Error: ". */
static const struct {
    const char *kind;
    int code;
} kinds[] = {
    {"Parser", WEIR_EPARSE},
    {"Syntax", WEIR_EPARSE},
    {"IO", WEIR_EIO},
    {"Permission", WEIR_EACCESS},
    {"Out of Memory", WEIR_ENOMEM},
    {"Not implemented", WEIR_EUNSUPPORTED},
    {"Missing Extension", WEIR_EUNSUPPORTED},
    {"Serialization", WEIR_ECORRUPT},
    {"Constraint", WEIR_ECONFLICT},
    {"Dependency", WEIR_ECONFLICT},
    {"TransactionContext", WEIR_ECONFLICT},
    {"INTERRUPT", WEIR_ECANCELED},
    {"INTERNAL", WEIR_EINTERNAL},
    {"FATAL", WEIR_EINTERNAL},
};

/* First match wins; `kind` NULL means any. */
static const struct {
    const char *phrase, *kind;
    int code;
    const char *hint;
} phrases[] = {
    {"No space left on device", NULL, WEIR_ENOSPC, "free some space on the disk"},
    {"ermission denied", "IO", WEIR_EACCESS, "check the owner and mode of the file and its folder"},
    {"No magic bytes found", NULL, WEIR_ECORRUPT, "the file is not Parquet or was cut short; write or fetch it again"},
    {"too small to be a Parquet file", NULL, WEIR_ECORRUPT,
     "the file is not Parquet or was cut short; write or fetch it again"},
    {"Footer length", NULL, WEIR_ECORRUPT, "the Parquet file is damaged; write or fetch it again"},
    {"TProtocolException", NULL, WEIR_ECORRUPT, "the Parquet file is damaged; write or fetch it again"},
    {"Failed to decompress", NULL, WEIR_ECORRUPT, "the file is damaged; write or fetch it again"},
    {"ZSTD Decompression failure", NULL, WEIR_ECORRUPT, "the file is damaged; write or fetch it again"},
    {"Parquet file is corrupt", NULL, WEIR_ECORRUPT, "the Parquet file is damaged; write or fetch it again"},
    {"No files found that match the pattern", NULL, WEIR_ENOTFOUND,
     "check the path; relative paths start at the current folder"},
    {"No such file or directory", "IO", WEIR_ENOTFOUND, "check the path; relative paths start at the current folder"},
    {"configuration has been locked", NULL, WEIR_EACCESS, "settings are fixed before any query runs"},
    {"disabled by configuration", NULL, WEIR_EACCESS, "queries reach only the files of the project"},
    {"disabled through configuration", NULL, WEIR_EACCESS, "queries reach only the files of the project"},
    {"Cannot access file", NULL, WEIR_EACCESS, "queries reach only the files of the project"},
    {"failed to allocate data", NULL, WEIR_ENOMEM,
     "give the table engine more memory, or select fewer columns or rows"},
    {"Cannot prepare multiple statements", NULL, WEIR_EINVAL, "give one statement at a time"},
    {"syntax error", "Parser", WEIR_EPARSE,
     "a name that is an SQL keyword, or has other characters than letters, digits and _, goes in double quotes"},
    {"already exists", "Catalog", WEIR_EEXIST, NULL},
    {"does not exist", "Catalog", WEIR_ENOTFOUND, NULL},
    {"Referenced column", "Binder", WEIR_ENOTFOUND, NULL},
    {"Referenced table", "Binder", WEIR_ENOTFOUND, NULL},
    {"does not have a column named", "Binder", WEIR_ENOTFOUND, NULL},
};

static int code_of(wr_str kind, const char *text, const char **hint)
{
    *hint = NULL;
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (phrases[i].kind && !wr_str_is(kind, phrases[i].kind)) continue;
        if (!strstr(text, phrases[i].phrase)) continue;
        *hint = phrases[i].hint;
        return phrases[i].code;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (wr_str_is(kind, kinds[i].kind)) return kinds[i].code;
    }
    return WEIR_EINVAL;
}

/* "Binder Error: x" into "Binder" and "x". */
static wr_str cut_kind(wr_str *text)
{
    static const char mark[] = " Error: ";
    const char *at = memmem(text->p, text->n, mark, sizeof mark - 1);
    const char *line = memchr(text->p, '\n', text->n);
    if (!at || (line && line < at)) return (wr_str){"", 0};
    wr_str kind = {text->p, (size_t)(at - text->p)};
    *text = wr_str_sub(*text, kind.n + sizeof mark - 1, text->n);
    return kind;
}

/* DuckDB's own suggestion in the lines after the first. */
static wr_str suggestion(wr_str rest)
{
    while (rest.p) {
        wr_str line = wr_str_trim(wr_str_cut(&rest, '\n'));
        if (memmem(line.p, line.n, "sqlite_master", 13) || memmem(line.p, line.n, "duckdb_", 7))
            continue; /* the engine's own */
        if (wr_str_starts(line, "Candidate") || wr_str_starts(line, "Did you mean")) return line;
    }
    return (wr_str){NULL, 0};
}

static char lower_first(wr_str s)
{
    bool word = s.n > 1 && isupper((unsigned char)s.p[0]) && islower((unsigned char)s.p[1]);
    return (char)(word ? tolower((unsigned char)s.p[0]) : s.p[0]);
}

int wr_duck_fail(wr_err *err, const char *text)
{
    if (!text || !*text) return wr_err_set(err, WEIR_EINTERNAL, "the table engine failed without saying why");
    wr_str rest = wr_str_of(text);
    wr_str kind = cut_kind(&rest);
    const char *hint;
    int code = code_of(kind, text, &hint);
    wr_str first = wr_str_trim(wr_str_cut(&rest, '\n'));
    if (!first.n) first = WR_STR("query failed");
    if (first.n > 1 && first.p[first.n - 1] == '!') first.n--;
    wr_err_set(err, code, "%c%.*s", lower_first(first), (int)first.n - 1, first.p + 1);
    rest = wr_str_trim(rest);
    if (rest.n) wr_err_detail(err, code, "%.*s", WR_STR_FMT(rest));
    wr_str said = suggestion(rest);
    if (hint) wr_err_hint(err, code, "%s", hint);
    else if (said.p) wr_err_hint(err, code, "%c%.*s", lower_first(said), (int)said.n - 1, said.p + 1);
    else if (code == WEIR_ENOTFOUND && wr_str_is(kind, "Catalog"))
        wr_err_hint(err, code, "weir data list shows the datasets there are");
    return code;
}
