/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_sql.c - weir data sql: queries over datasets by name, read-only. */
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/os.h"
#include "cli/cmd_data_rows.h"
#include "cli/commands.h"
#include "core/dataset.h"
#include "io/file.h"

static const wr_cmd_arg args[] = {
    {"out", 'o', WR_ARG_TEXT, "WHERE", "table, csv or json on stdout, or a file *.csv, *.json, *.parquet", "table"},
    {"limit", 'n', WR_ARG_INT, "N", "at most N rows of a table (0 = all)", "100"},
};

/* Without the semicolon and blanks at the end. */
static const char *trimmed(wr_cli *c, const char *sql)
{
    size_t n = strlen(sql);
    while (n && (isspace((unsigned char)sql[n - 1]) || sql[n - 1] == ';')) n--;
    return wr_arena_strndup(wr_cli_arena(c), sql, n);
}

/* "flights@0" in double quotes names a version: a view of that name. */
static int versions(wr_tables *t, wr_project *p, wr_cli *c, const char *sql, wr_err *err)
{
    for (const char *from = strchr(sql, '"'); from;) {
        const char *to = strchr(from + 1, '"');
        if (!to) return 0;
        char *name = wr_arena_strndup(wr_cli_arena(c), from + 1, (size_t)(to - from - 1));
        if (!name) return wr_err_nomem(err);
        char *at = strchr(name, '@');
        if (at) {
            *at = 0;
            bool known = wr_dataset_exists(p, name);
            *at = '@';
            if (known) WR_TRY(wr_dataset_view(t, p, name, name, err));
        }
        from = strchr(to + 1, '"');
    }
    return 0;
}

/* A FROM that names nothing known: say which dataset may have been meant. */
static int explain(wr_project *p, wr_cli *c, int rc, wr_err *err)
{
    char **names;
    size_t n;
    static const char mark[] = "able with name ";
    const char *at = err ? strstr(err->msg, mark) : NULL;
    if (rc != WEIR_ENOTFOUND || !at || wr_dataset_list(&names, &n, wr_cli_arena(c), p, NULL) < 0) return rc;
    at += sizeof mark - 1;
    int near = wr_str_nearest((wr_str){at, strcspn(at, " ")}, (const char *const *)names, n);
    if (near >= 0) return wr_err_hint(err, rc, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, rc, n ? "weir data list shows the datasets" : "there is no dataset yet");
}

/* Only what can stand in FROM (...) is a query: no COPY, no CREATE. The bare text goes first, for its own error
 * messages. */
static int check_query(wr_tables *t, wr_cli *c, wr_project *p, const char *sql, wr_err *err)
{
    wr_table_column *columns;
    size_t n;
    const char *wrapped = wr_arena_printf(wr_cli_arena(c), "SELECT * FROM (\n%s\n)", sql);
    if (!wrapped) return wr_err_nomem(err);
    int rc = wr_tables_describe(t, &columns, &n, wr_cli_arena(c), sql, err);
    if (rc < 0 && rc != WEIR_ETYPE) return explain(p, c, rc, err);
    rc = wr_tables_describe(t, &columns, &n, wr_cli_arena(c), wrapped, NULL);
    if (rc == 0 || rc == WEIR_ETYPE) return 0;
    wr_err_set(err, WEIR_EACCESS, "this is not a query: \"%.60s\"", sql);
    return wr_err_hint(err, WEIR_EACCESS, "queries only read; --out FILE.parquet keeps a result");
}

static int to_stdout(wr_tables *t, wr_cli *c, const char *sql, const char *out, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    WR_AUTOBUF wr_buf b = {0};
    char rows[WR_NUM_TEXT];
    int64_t limit = wr_cli_int(c, "limit");
    bool table = strcmp(out, "table") == 0 && !wr_cli_json(c);
    wr_buf_init(&b, 0);
    const char *run = table && limit > 0 ? wr_arena_printf(wr_cli_arena(c), "SELECT * FROM (\n%s\n) LIMIT %lld", sql,
                                                           (long long)limit + 1)
                                         : sql;
    if (!run) return wr_err_nomem(err);
    WR_TRY(wr_tables_query(t, &f, run, NULL, 0, err));
    bool cut = table && limit > 0 && f->nrows > (size_t)limit;
    if (cut) WR_TRY(wr_frame_resize(f, (size_t)limit) < 0 ? wr_err_nomem(err) : 0);
    wr_rows_json(wr_cli_jsonw(c), f);
    if (wr_cli_json(c)) return 0;
    if (table) {
        wr_rows_print(c, f);
        if (cut) wr_say(c, "(the first %s rows; --limit 0 shows all)", wr_fmt_count(rows, (double)limit));
        return 0;
    }
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 2);
    if (strcmp(out, "csv") == 0) wr_rows_csv(&b, f);
    else {
        wr_rows_json(&w, f);
        wr_buf_char(&b, '\n');
    }
    if (b.failed) return wr_err_nomem(err);
    fwrite(b.p, 1, b.n, stdout);
    return 0;
}

/* Written beside the place, then moved there. */
static int to_file(wr_tables *t, wr_cli *c, const char *sql, const char *path, const char *hidden, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    int64_t rows = 0;
    char count[WR_NUM_TEXT], bytes[WR_NUM_TEXT];
    wr_str name = wr_str_of(path);
    wr_buf_init(&b, 0);
    wr_buf_printf(&b, "COPY (\n%s\n) TO ", sql);
    wr_sql_text(&b, wr_str_of(hidden));
    wr_buf_str(&b, wr_str_ends(name, ".parquet") ? " (FORMAT parquet, COMPRESSION zstd)"
                   : wr_str_ends(name, ".csv")   ? " (FORMAT csv, HEADER)"
                                                 : " (FORMAT json, ARRAY true)");
    if (b.failed) return wr_err_nomem(err);
    int rc = wr_tables_exec(t, wr_buf_cstr(&b), &rows, err);
    if (rc == 0) rc = wr_file_publish(hidden, path, err);
    if (rc < 0) {
        (void)wr_file_remove(hidden, NULL);
        return rc;
    }
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "file", path);
    wr_jsonw_ki64(w, "rows", rows);
    wr_jsonw_ki64(w, "bytes", wr_file_size(path));
    wr_jsonw_end(w);
    wr_say(c, "%s: %s rows, %s", path, wr_fmt_count(count, (double)rows),
           wr_fmt_bytes(bytes, (double)wr_file_size(path)));
    return 0;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_tables *t;
    char uuid[37];
    const char *sql = trimmed(c, wr_cli_arg(c, 0)), *out = wr_cli_text(c, "out");
    wr_str o = wr_str_of(out);
    bool file = wr_str_ends(o, ".parquet") || wr_str_ends(o, ".csv") || wr_str_ends(o, ".json");
    if (!sql) return wr_err_nomem(err);
    if (!*sql) return wr_err_set(err, WEIR_EUSAGE, "weir data sql: the query is empty");
    if (!file && strcmp(out, "table") != 0 && strcmp(out, "csv") != 0 && strcmp(out, "json") != 0) {
        wr_err_set(err, WEIR_EUSAGE, "cannot tell what \"%s\" is to be", out);
        return wr_err_hint(err, WEIR_EUSAGE, "table, csv, json, or a file that ends in .csv, .json or .parquet");
    }
    WR_TRY(wr_cli_project(c, &p, err));
    wr_arena *a = wr_cli_arena(c);
    wr_os_uuid(uuid);
    const char *path = file ? wr_path_absolute(a, out) : NULL;
    const char *dir = path ? wr_path_dir(a, path) : NULL;
    const char *hidden = dir ? wr_arena_printf(a, "%s/.weir-%.8s.tmp", dir, uuid) : NULL;
    if (file && !hidden) return wr_err_nomem(err);
    if (file && !wr_file_exists(dir)) return wr_err_set(err, WEIR_ENOTFOUND, "no folder \"%s\"", dir);
    WR_TRY(wr_project_tables(&t, p, (const char *const[]){hidden, NULL}, err));
    wr_progress(c, "asking", -1);
    int rc = wr_dataset_views_for(t, p, sql, NULL, NULL, a, err);
    if (rc == 0) rc = versions(t, p, c, sql, err);
    if (rc == 0) rc = check_query(t, c, p, sql, err);
    if (rc == 0) rc = file ? to_file(t, c, sql, path, hidden, err) : to_stdout(t, c, sql, out, err);
    wr_tables_close(t);
    return rc;
}

const wr_cmd wr_cmd_data_sql = {
    "data sql",
    "ask datasets by name in SQL",
    "'SELECT ...'",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "DuckDB's SQL over datasets by their names; an older version is \"NAME@VERSION\" in double\n"
    "quotes, and a name with a dot needs them too. Files of the project can be read with\n"
    "read_csv('data/x.csv') and the like. Queries cannot change anything.",
    "  # the worst airports\n  weir data sql 'SELECT origin, avg(delay) d FROM flights GROUP BY 1 ORDER BY 2 DESC "
    "LIMIT 5'\n"
    "  # keep the result\n  weir data sql 'SELECT * FROM flights WHERE delay > 1000' --out late.parquet",
    run};
