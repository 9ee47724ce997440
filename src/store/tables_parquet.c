/* SPDX-License-Identifier: Apache-2.0 */
/* tables_parquet.c - columns of a query as Delta types, and writing a query's rows as one Parquet file.
 *
 * What wr_tables_describe says and what the file holds are the same by construction: both come from wr_duck_delta_type.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "store/tables_inside.h"

/* `before` and `after` go around the quoted column. Timestamps become instants: INT64 micros, adjusted to UTC. The
 * detour over epoch_us is the same as a cast in the UTC session and skips the calendar. */
static const struct {
    duckdb_type id;
    const char *name, *before, *after;
} types[] = {
    {DUCKDB_TYPE_BOOLEAN, "boolean", "", ""},
    {DUCKDB_TYPE_TINYINT, "byte", "", ""},
    {DUCKDB_TYPE_SMALLINT, "short", "", ""},
    {DUCKDB_TYPE_INTEGER, "integer", "", ""},
    {DUCKDB_TYPE_BIGINT, "long", "", ""},
    {DUCKDB_TYPE_UTINYINT, "short", "CAST(", " AS SMALLINT)"},
    {DUCKDB_TYPE_USMALLINT, "integer", "CAST(", " AS INTEGER)"},
    {DUCKDB_TYPE_UINTEGER, "long", "CAST(", " AS BIGINT)"},
    {DUCKDB_TYPE_UBIGINT, "long", "CAST(", " AS BIGINT)"},
    {DUCKDB_TYPE_HUGEINT, "long", "CAST(", " AS BIGINT)"},
    {DUCKDB_TYPE_UHUGEINT, "long", "CAST(", " AS BIGINT)"},
    {DUCKDB_TYPE_FLOAT, "float", "", ""},
    {DUCKDB_TYPE_DOUBLE, "double", "", ""},
    {DUCKDB_TYPE_DECIMAL, "decimal", "", ""},
    {DUCKDB_TYPE_DATE, "date", "", ""},
    {DUCKDB_TYPE_TIMESTAMP, "timestamp", "make_timestamptz(epoch_us(", "))"},
    {DUCKDB_TYPE_TIMESTAMP_S, "timestamp", "make_timestamptz(epoch_us(", "))"},
    {DUCKDB_TYPE_TIMESTAMP_MS, "timestamp", "make_timestamptz(epoch_us(", "))"},
    {DUCKDB_TYPE_TIMESTAMP_NS, "timestamp", "make_timestamptz(epoch_us(", "))"},
    {DUCKDB_TYPE_TIMESTAMP_TZ, "timestamp", "", ""},
    {DUCKDB_TYPE_VARCHAR, "string", "", ""},
    {DUCKDB_TYPE_ENUM, "string", "CAST(", " AS VARCHAR)"},
    {DUCKDB_TYPE_UUID, "string", "CAST(", " AS VARCHAR)"},
    {DUCKDB_TYPE_BLOB, "binary", "", ""},
};

int wr_duck_delta_type(wr_delta_type *out, const wr_duck *d, duckdb_logical_type type, const char *column, wr_err *err)
{
    duckdb_type id = d->get_type_id(type);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].id != id) continue;
        if (id == DUCKDB_TYPE_DECIMAL)
            (void)snprintf(out->name, sizeof out->name, "decimal(%d,%d)", d->decimal_width(type),
                           d->decimal_scale(type));
        else (void)snprintf(out->name, sizeof out->name, "%s", types[i].name);
        out->before = types[i].before;
        out->after = types[i].after;
        return 0;
    }
    wr_err_set(err, WEIR_ETYPE, "column \"%.120s\" is %s, which a dataset cannot hold", column, wr_duck_type_text(id));
    return wr_err_hint(err, WEIR_ETYPE, "cast it in the query: CAST(\"%.120s\" AS VARCHAR), or take it apart", column);
}

static int column_of(const wr_duck *d, duckdb_prepared_statement st, idx_t i, char **name, wr_delta_type *type,
                     wr_arena *a, wr_err *err)
{
    const char *raw = d->prepared_statement_column_name(st, i);
    *name = wr_arena_strdup(a, raw);
    d->free((void *)raw);
    if (!*name) return wr_err_nomem(err);
    duckdb_logical_type logical = d->prepared_statement_column_logical_type(st, i);
    int rc = wr_duck_delta_type(type, d, logical, *name, err);
    d->destroy_logical_type(&logical);
    return rc;
}

static int describe(wr_tables *t, duckdb_prepared_statement st, wr_table_column **out, size_t *n, wr_arena *a,
                    wr_err *err)
{
    *n = t->d->prepared_statement_column_count(st);
    *out = wr_arena_calloc(a, *n, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) {
        wr_delta_type type;
        WR_TRY(column_of(t->d, st, i, &(*out)[i].name, &type, a, err));
        (*out)[i].type = wr_arena_strdup(a, type.name);
        if (!(*out)[i].type) return wr_err_nomem(err);
    }
    return 0;
}

int wr_tables_describe(wr_tables *t, wr_table_column **out, size_t *n, wr_arena *a, const char *sql, wr_err *err)
{
    duckdb_prepared_statement st;
    int rc = wr_tables_prepare(t, &st, sql, err);
    if (rc == 0) rc = describe(t, st, out, n, a, err);
    t->d->destroy_prepare(&st);
    return rc;
}

/* Column names must differ even without regard to case: Delta's rule. */
static int check_names(wr_tables *t, duckdb_prepared_statement st, wr_arena *a, wr_err *err)
{
    size_t n = t->d->prepared_statement_column_count(st);
    WR_AUTOFREE char **names = calloc(n + 1, sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        wr_delta_type type;
        WR_TRY(column_of(t->d, st, i, &names[i], &type, a, err));
        for (size_t j = 0; j < i; j++) {
            if (strcasecmp(names[i], names[j])) continue;
            wr_err_set(err, WEIR_EINVAL,
                       "query gives columns \"%.120s\" and \"%.120s\", which a dataset cannot tell apart", names[j],
                       names[i]);
            return wr_err_hint(err, WEIR_EINVAL, "name one of them otherwise with AS");
        }
    }
    return 0;
}

/* COPY (SELECT <columns as Delta wants them> FROM (<sql>) UNION ALL <nothing>) TO ...
 *
 * DuckDB's parallel writer cuts row groups by the timing of its threads, so equal input gave unequal files. A source
 * that cannot number its batches, weir_none(), makes it take the writer that appends rows in order: same rows, same
 * bytes, whatever the number of threads. Sorts, joins and aggregates below still run in parallel. */
static int copy_sql(wr_buf *b, wr_tables *t, duckdb_prepared_statement st, wr_arena *a, wr_str sql, const char *path,
                    wr_err *err)
{
    size_t n = t->d->prepared_statement_column_count(st);
    wr_buf_str(b, "COPY (SELECT ");
    for (size_t i = 0; i < n; i++) {
        char *name;
        wr_delta_type type;
        WR_TRY(column_of(t->d, st, i, &name, &type, a, err));
        wr_buf_str(b, i ? ", " : "");
        wr_buf_str(b, type.before);
        wr_sql_ident(b, wr_str_of(name));
        wr_buf_str(b, type.after);
        wr_buf_str(b, " AS ");
        wr_sql_ident(b, wr_str_of(name));
    }
    wr_buf_str(b, " FROM (");
    wr_buf_slice(b, sql);
    wr_buf_str(b, "\n) UNION ALL SELECT "); /* the line break ends a comment that `sql` may end with */
    for (size_t i = 0; i < n; i++) wr_buf_str(b, i ? ", NULL" : "NULL");
    wr_buf_str(b, " FROM weir_none()) TO ");
    wr_sql_text(b, wr_str_of(path));
    wr_buf_str(b, " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 122880, RETURN_STATS true)");
    return b->failed ? wr_err_nomem(err) : 0;
}

/* -- the statistics: one row; column_statistics is MAP(column, MAP(statistic, text)) */

static wr_str string_at(const wr_duck *d, duckdb_vector v, size_t i)
{
    const duckdb_string_t *s = (const duckdb_string_t *)d->vector_get_data(v) + i;
    uint32_t n = s->value.inlined.length;
    return (wr_str){n <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr, n};
}

/* A map is a list of (key, value): where row `i` starts and ends. */
static duckdb_list_entry entries(const wr_duck *d, duckdb_vector map, size_t i, duckdb_vector *keys,
                                 duckdb_vector *values)
{
    duckdb_vector pairs = d->list_vector_get_child(map);
    *keys = d->struct_vector_get_child(pairs, 0);
    *values = d->struct_vector_get_child(pairs, 1);
    return ((const duckdb_list_entry *)d->vector_get_data(map))[i];
}

/* DuckDB quotes the parts of a column's path: "a""b" */
static char *unquote(wr_arena *a, wr_str s)
{
    char *out = wr_arena_alloc(a, s.n + 1);
    if (!out) return NULL;
    size_t n = 0;
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    if (quoted) s = wr_str_sub(s, 1, s.n - 1);
    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '"' && i + 1 < s.n && s.p[i + 1] == '"') i++;
        out[n++] = s.p[i];
    }
    out[n] = 0;
    return out;
}

static int read_stat(wr_parquet_stat *out, const wr_duck *d, wr_arena *a, duckdb_vector map, size_t row, wr_err *err)
{
    duckdb_vector keys, values;
    duckdb_list_entry e = entries(d, map, row, &keys, &values);
    bool nan = false;
    for (size_t i = e.offset; i < e.offset + e.length; i++) {
        wr_str key = string_at(d, keys, i), value = string_at(d, values, i);
        if (wr_str_is(key, "min")) out->min = wr_arena_strndup(a, value.p, value.n);
        else if (wr_str_is(key, "max")) out->max = wr_arena_strndup(a, value.p, value.n);
        else if (wr_str_is(key, "null_count")) out->nulls = strtoll(wr_arena_strndup(a, value.p, value.n), NULL, 10);
        else if (wr_str_is(key, "has_nan")) nan = wr_str_is(value, "true");
    }
    /* A NaN sorts above every number for some readers and is unordered for others: then no bounds are given. */
    out->has_minmax = out->min && out->max && !nan;
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int read_info(wr_parquet_info *out, const wr_duck *d, wr_arena *a, duckdb_data_chunk chunk, wr_err *err)
{
    enum { COUNT = 1, BYTES = 2, STATISTICS = 4 };
    *out = (wr_parquet_info){0};
    out->rows = ((const int64_t *)d->vector_get_data(d->data_chunk_get_vector(chunk, COUNT)))[0];
    out->bytes = ((const int64_t *)d->vector_get_data(d->data_chunk_get_vector(chunk, BYTES)))[0];
    duckdb_vector keys, values;
    duckdb_list_entry e = entries(d, d->data_chunk_get_vector(chunk, STATISTICS), 0, &keys, &values);
    out->stats = wr_arena_calloc(a, e.length, sizeof *out->stats);
    if (!out->stats) return wr_err_nomem(err);
    out->nstats = e.length;
    for (size_t i = 0; i < e.length; i++) {
        out->stats[i].column = unquote(a, string_at(d, keys, e.offset + i));
        WR_TRY(read_stat(&out->stats[i], d, a, values, e.offset + i, err));
    }
    return 0;
}

static int run_copy(wr_tables *t, wr_parquet_info *out, wr_arena *a, const char *sql, wr_err *err)
{
    const wr_duck *d = t->d;
    duckdb_result r = {0};
    int rc = 0;
    if (d->query(t->con, sql, &r) != DuckDBSuccess) rc = wr_duck_fail(err, d->result_error(&r));
    duckdb_data_chunk chunk = rc == 0 ? d->fetch_chunk(r) : NULL;
    if (rc == 0)
        rc = chunk ? read_info(out, d, a, chunk, err)
                   : wr_err_set(err, WEIR_EINTERNAL, "no statistics of the written file");
    if (chunk) d->destroy_data_chunk(&chunk);
    d->destroy_result(&r);
    return rc;
}

/* Semicolons at the end would end the statement inside the parentheses. */
static wr_str without_end(const char *sql)
{
    wr_str s = wr_str_trim(wr_str_of(sql));
    while (s.n && s.p[s.n - 1] == ';') s = wr_str_trim(wr_str_sub(s, 0, s.n - 1));
    return s;
}

int wr_tables_copy_parquet(wr_tables *t, wr_parquet_info *out, wr_arena *a, const char *sql, const char *path,
                           wr_err *err)
{
    WR_AUTOBUF wr_buf copy;
    wr_buf_init(&copy, 0);
    duckdb_prepared_statement st;
    int rc = wr_tables_prepare(t, &st, sql,
                               err); /* alone it must be one whole query: nothing can close the parenthesis early */
    if (rc == 0 && t->d->prepared_statement_type(st) != DUCKDB_STATEMENT_TYPE_SELECT)
        rc = wr_err_set(err, WEIR_EINVAL, "only the rows of a SELECT can be written");
    if (rc == 0) rc = check_names(t, st, a, err);
    if (rc == 0) rc = copy_sql(&copy, t, st, a, without_end(sql), path, err);
    t->d->destroy_prepare(&st);
    if (rc < 0) return rc;
    rc = run_copy(t, out, a, wr_buf_cstr(&copy), err);
    if (rc < 0) {
        (void)unlink(path); /* half a file is no file */
        return wr_err_wrap(err, rc, "writing \"%s\"", path);
    }
    return 0;
}
