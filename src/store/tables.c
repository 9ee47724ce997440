/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - the engine: open and lock down, run statements. The chunks of a result go to tables_fill.c.
 *
 * Order of locking down matters: the allowed folders are named while that is still possible, then everything else is
 * shut, then the configuration itself. No statement of a user runs before.
 */
#include "store/tables.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/os.h"
#include "io/file.h"
#include "store/tables_inside.h"

void wr_sql_ident(wr_buf *b, wr_str name)
{
    wr_buf_char(b, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') wr_buf_char(b, '"');
        wr_buf_char(b, name.p[i]);
    }
    wr_buf_char(b, '"');
}

void wr_sql_text(wr_buf *b, wr_str text)
{
    wr_buf_char(b, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'') wr_buf_char(b, '\'');
        wr_buf_char(b, text.p[i]);
    }
    wr_buf_char(b, '\'');
}

static int set_option(const wr_duck *d, duckdb_config c, const char *key, const char *value, wr_err *err)
{
    if (d->set_config(c, key, value) == DuckDBSuccess) return 0;
    return wr_err_set(err, WEIR_EUNAVAILABLE, "table engine refuses its option \"%s\"", key);
}

static uint64_t memory_for(const wr_tables_opt *opt)
{
    const uint64_t most = (uint64_t)4 << 30;
    if (opt->memory) return opt->memory;
    uint64_t quarter = wr_os_memory() / 4;
    return quarter < most ? quarter : most;
}

static int fill_config(wr_tables *t, duckdb_config c, const wr_tables_opt *opt, wr_err *err)
{
    char memory[32], threads[16];
    (void)snprintf(memory, sizeof memory, "%llu B", (unsigned long long)memory_for(opt));
    (void)snprintf(threads, sizeof threads, "%d", opt->threads > 0 ? opt->threads : wr_os_cpus());
    const char *const options[][2] = {
        {"threads", threads},
        {"memory_limit", memory},
        {"temp_directory", t->spill},
        {"preserve_insertion_order", "true"},
        {"autoload_known_extensions", "false"},
        {"autoinstall_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"allow_unsigned_extensions", "false"},
        {"allow_persistent_secrets", "false"},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        WR_TRY(set_option(t->d, c, options[i][0], options[i][1], err));
    return 0;
}

static int open_database(wr_tables *t, const wr_tables_opt *opt, wr_err *err)
{
    duckdb_config c = NULL;
    if (t->d->create_config(&c) != DuckDBSuccess) return wr_err_nomem(err);
    int rc = fill_config(t, c, opt, err);
    char *why = NULL;
    if (rc == 0 && t->d->open_ext(":memory:", &t->db, c, &why) != DuckDBSuccess) rc = wr_duck_fail(err, why);
    t->d->free(why);
    t->d->destroy_config(&c);
    if (rc == 0 && t->d->connect(t->db, &t->con) != DuckDBSuccess) rc = wr_err_nomem(err);
    return rc;
}

/* A list literal of the allowed paths, as given and absolute: DuckDB compares texts. */
static int allow_list(wr_buf *b, const char *const *allow, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    wr_buf_char(b, '[');
    for (size_t i = 0; allow && allow[i]; i++) {
        const char *full = wr_path_absolute(a, allow[i]);
        if (!full) return wr_err_nomem(err);
        if (b->n > 1) wr_buf_char(b, ',');
        wr_sql_text(b, wr_str_of(full));
        if (strcmp(full, allow[i]) == 0) continue;
        wr_buf_char(b, ',');
        wr_sql_text(b, wr_str_of(allow[i]));
    }
    wr_buf_char(b, ']');
    return 0;
}

static int lock_down(wr_tables *t, const wr_tables_opt *opt, wr_err *err)
{
    WR_AUTOBUF wr_buf list, sql;
    wr_buf_init(&list, 0);
    wr_buf_init(&sql, 0);
    WR_TRY(allow_list(&list, opt->allow, err));
    /* A name may be a file or a folder, perhaps not made yet: it is allowed as both. */
    wr_buf_printf(&sql,
                  "SET TimeZone='UTC'; SET enable_progress_bar=true; SET enable_progress_bar_print=false;"
                  "SET progress_bar_time=0; SET streaming_buffer_size='16MB';"
                  "SET allowed_directories=%s; SET allowed_paths=%s;"
                  "SET enable_external_access=false; SET lock_configuration=true;",
                  wr_buf_cstr(&list), wr_buf_cstr(&list));
    if (list.failed || sql.failed) return wr_err_nomem(err);
    return wr_tables_run(t, wr_buf_cstr(&sql), err);
}

/* Folders of processes that were killed more than a day ago. */
static void sweep_spill(const char *spill)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!a || wr_file_list(&names, &n, a, spill, NULL) < 0) return;
    for (size_t i = 0; i < n; i++) {
        if (!wr_str_starts(wr_str_of(names[i]), "tables-")) continue;
        long pid = strtol(names[i] + 7, NULL, 10);
        const char *path = wr_path_join(a, spill, names[i]);
        if (!path || pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH) continue;
        if (wr_clock_wall_us() - wr_file_mtime_us(path) > WR_DAY_US) (void)wr_file_remove_tree(path, NULL);
    }
}

/* Engines must not share a spill folder: DuckDB's file names there are fixed. */
static int own_spill(wr_tables *t, const char *spill, wr_err *err)
{
    sweep_spill(spill);
    char id[37];
    wr_os_uuid(id);
    wr_buf path;
    wr_buf_init(&path, 0);
    wr_buf_printf(&path, "%s/tables-%ld-%.8s", spill, (long)getpid(), id);
    t->spill = path.failed ? NULL : wr_strdup(wr_buf_cstr(&path));
    wr_buf_fini(&path);
    if (!t->spill) return wr_err_nomem(err);
    return wr_file_mkdirs(t->spill, err);
}

static int start(wr_tables *t, const wr_tables_opt *opt, wr_err *err)
{
    if (!opt->spill || !*opt->spill)
        return wr_err_set(err, WEIR_EINVAL, "table engine needs a folder for temporary files");
    WR_TRY(wr_duck_load(&t->d, err));
    WR_TRY(own_spill(t, opt->spill, err));
    WR_TRY(open_database(t, opt, err));
    WR_TRY(wr_scan_install(t, err));
    return lock_down(t, opt, err);
}

int wr_tables_open(wr_tables **out, const wr_tables_opt *opt, wr_err *err)
{
    wr_tables *t = wr_calloc(1, sizeof *t);
    if (!t) return wr_err_nomem(err);
    int rc = start(t, opt, err);
    if (rc < 0) {
        wr_tables_close(t);
        return wr_err_wrap(err, rc, "opening the table engine");
    }
    *out = t;
    return 0;
}

void wr_tables_close(wr_tables *t)
{
    if (!t) return;
    if (t->con) t->d->disconnect(&t->con);
    if (t->db) t->d->close(&t->db);
    wr_scan_free(t);
    if (t->spill) (void)wr_file_remove_tree(t->spill, NULL);
    wr_free(t->spill);
    wr_free(t);
}

void wr_tables_interrupt(wr_tables *t)
{
    atomic_store(&t->interrupted, true);
    t->d->interrupt(t->con);
}

double wr_tables_progress(wr_tables *t) { return t->d->query_progress(t->con).percentage; }

int wr_tables_prepare(wr_tables *t, duckdb_prepared_statement *out, const char *sql, wr_err *err)
{
    const wr_duck *d = t->d;
    atomic_store(&t->interrupted, false);
    *out = NULL;
    WR_TRY(wr_guard_text(sql, err));
    if (d->prepare(t->con, sql, out) != DuckDBSuccess) return wr_duck_fail(err, *out ? d->prepare_error(*out) : NULL);
    return wr_guard_kind(d->prepared_statement_type(*out), err);
}

static duckdb_state bind_one(const wr_duck *d, duckdb_prepared_statement st, idx_t i, const wr_bind *b)
{
    switch (b->kind) {
    case WR_BIND_NULL:
        return d->bind_null(st, i);
    case WR_BIND_I64:
        return d->bind_int64(st, i, b->i);
    case WR_BIND_F64:
        return d->bind_double(st, i, b->f);
    case WR_BIND_TEXT:
        return d->bind_varchar_length(st, i, b->s.p ? b->s.p : "", b->s.n);
    case WR_BIND_TS:
        return d->bind_timestamp(st, i, (duckdb_timestamp){b->i});
    }
    return DuckDBError;
}

static int bind_all(wr_tables *t, duckdb_prepared_statement st, const wr_bind *binds, size_t n, wr_err *err)
{
    size_t want = t->d->nparams(st);
    if (want != n) return wr_err_set(err, WEIR_EINVAL, "query has %zu parameters, %zu values were given", want, n);
    for (size_t i = 0; i < n; i++) {
        if (bind_one(t->d, st, i + 1, &binds[i]) == DuckDBSuccess) continue;
        return wr_err_set(err, WEIR_EINVAL, "value %zu of the query is not acceptable (text must be UTF-8)", i + 1);
    }
    return 0;
}

/* Fetch every chunk of a streaming result. */
static int drain(wr_tables *t, wr_frame **out, duckdb_result *r, wr_err *err)
{
    const wr_duck *d = t->d;
    wr_fill *fill = NULL;
    int rc = wr_fill_new(&fill, d, r, err);
    while (rc == 0) {
        if (atomic_load(&t->interrupted)) rc = wr_err_set(err, WEIR_ECANCELED, "query was interrupted");
        duckdb_data_chunk chunk = rc == 0 ? d->fetch_chunk(*r) : NULL;
        if (!chunk) break;
        bool last = d->data_chunk_get_size(chunk) == 0;
        rc = wr_fill_chunk(fill, chunk, err);
        d->destroy_data_chunk(&chunk);
        if (last) break;
    }
    const char *why = rc == 0 ? d->result_error(r) : NULL;
    if (why) rc = wr_duck_fail(err, why);
    if (rc == 0) *out = wr_fill_take(fill);
    wr_fill_free(fill);
    return rc;
}

static int run_streaming(wr_tables *t, wr_frame **out, duckdb_prepared_statement st, wr_err *err)
{
    const wr_duck *d = t->d;
    duckdb_pending_result pending = NULL;
    duckdb_result r = {0};
    int rc = 0;
    if (d->pending_prepared_streaming(st, &pending) != DuckDBSuccess) rc = wr_duck_fail(err, d->pending_error(pending));
    if (rc == 0 && d->execute_pending(pending, &r) != DuckDBSuccess) rc = wr_duck_fail(err, d->result_error(&r));
    if (rc == 0) rc = drain(t, out, &r, err);
    d->destroy_result(&r);
    d->destroy_pending(&pending);
    return rc;
}

int wr_tables_query(wr_tables *t, wr_frame **out, const char *sql, const wr_bind *binds, size_t nbinds, wr_err *err)
{
    duckdb_prepared_statement st;
    int rc = wr_tables_prepare(t, &st, sql, err);
    if (rc == 0) rc = bind_all(t, st, binds, nbinds, err);
    if (rc == 0) rc = run_streaming(t, out, st, err);
    t->d->destroy_prepare(&st);
    return rc;
}

int wr_tables_run(wr_tables *t, const char *sql, wr_err *err)
{
    duckdb_result r = {0};
    int rc = t->d->query(t->con, sql, &r) == DuckDBSuccess ? 0 : wr_duck_fail(err, t->d->result_error(&r));
    t->d->destroy_result(&r);
    return rc;
}

/* Prepared one after the other: a statement may need what the one before made. */
static int exec_one(wr_tables *t, duckdb_extracted_statements all, idx_t i, int64_t *changed, wr_err *err)
{
    const wr_duck *d = t->d;
    duckdb_prepared_statement st = NULL;
    duckdb_result r = {0};
    int rc = 0;
    if (d->prepare_extracted_statement(t->con, all, i, &st) != DuckDBSuccess)
        rc = wr_duck_fail(err, st ? d->prepare_error(st) : NULL);
    if (rc == 0) rc = wr_guard_kind(d->prepared_statement_type(st), err);
    if (rc == 0 && d->execute_prepared(st, &r) != DuckDBSuccess) rc = wr_duck_fail(err, d->result_error(&r));
    if (rc == 0)
        *changed = d->result_return_type(r) == DUCKDB_RESULT_TYPE_CHANGED_ROWS ? (int64_t)d->rows_changed(&r) : -1;
    d->destroy_result(&r);
    d->destroy_prepare(&st);
    return rc;
}

int wr_tables_exec(wr_tables *t, const char *sql, int64_t *changed, wr_err *err)
{
    const wr_duck *d = t->d;
    atomic_store(&t->interrupted, false);
    WR_TRY(wr_guard_text(sql, err));
    duckdb_extracted_statements all = NULL;
    idx_t n = d->extract_statements(t->con, sql, &all);
    const char *why = n ? NULL : d->extract_statements_error(all);
    int64_t last = -1;
    int rc = why ? wr_duck_fail(err, why) : 0;
    for (idx_t i = 0; rc == 0 && i < n; i++) {
        if (atomic_load(&t->interrupted)) rc = wr_err_set(err, WEIR_ECANCELED, "query was interrupted");
        else rc = exec_one(t, all, i, &last, err);
    }
    d->destroy_extracted(&all);
    if (rc == 0 && changed) *changed = last;
    return rc;
}

int wr_tables_i64(wr_tables *t, int64_t *out, const char *sql, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    WR_TRY(wr_tables_query(t, &f, sql, NULL, 0, err));
    if (f->nrows == 0 || f->ncols == 0) return wr_err_set(err, WEIR_ENOTFOUND, "query gave no row");
    const wr_col *c = &f->cols[0];
    if (wr_col_missing(c, 0)) return wr_err_set(err, WEIR_ENOTFOUND, "query gave a missing value");
    if (c->type == WR_I64 || c->type == WR_TS) *out = c->i64[0];
    else if (c->type == WR_BOOL) *out = c->b[0];
    else return wr_err_set(err, WEIR_ETYPE, "query gave a %s, not a whole number", wr_type_name(c->type));
    return 0;
}
