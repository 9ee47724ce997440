/* SPDX-License-Identifier: Apache-2.0 */
/* dataset.c - datasets are Delta tables under .weir/lake; this file joins the log (store/delta) with the engine
 * (store/tables). */
#include "core/dataset.h"

#include <ctype.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/os.h"
#include "io/file.h"

const char *wr_dataset_dir(wr_arena *a, wr_project *p, const char *name)
{
    const char *lake;
    return wr_project_state(&lake, p, "lake", false, NULL) < 0 ? NULL : wr_path_join(a, lake, name);
}

bool wr_dataset_exists(wr_project *p, const char *name)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *dir = a ? wr_dataset_dir(a, p, name) : NULL;
    const char *first = dir ? wr_path_join(a, dir, "_delta_log/00000000000000000000.json") : NULL;
    return first && wr_file_exists(first);
}

int wr_dataset_list(char ***out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    const char *lake;
    char **names;
    size_t all, kept = 0;
    WR_TRY(wr_project_state(&lake, p, "lake", true, err));
    WR_TRY(wr_file_list(&names, &all, a, lake, err));
    for (size_t i = 0; i < all; i++)
        if (wr_dataset_exists(p, names[i])) names[kept++] = names[i];
    *out = names;
    *n = kept;
    return 0;
}

static int unknown_dataset(wr_project *p, wr_str name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_dataset_list(&names, &n, a, p, err));
    int near = wr_str_nearest(name, (const char *const *)names, n);
    wr_err_set(err, WEIR_ENOTFOUND, "no dataset \"%.*s\"", WR_STR_FMT(name));
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, WEIR_ENOTFOUND,
                       n ? "weir data list shows what there is" : "weir data ingest NAME --from FILE makes one");
}

static int bad_name(const char *name, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a dataset name", name);
    return wr_err_hint(err, WEIR_EINVAL, "letters, digits, '_', '-' and '.', first a letter, digit or '_'");
}

/* NAME[@VERSION|@TIME] -> name and version (-1 = newest). */
static int resolve(char **name, int64_t *version, wr_arena *a, wr_project *p, const char *ref, wr_err *err)
{
    wr_str rest = wr_str_of(ref), n = wr_str_cut(&rest, '@');
    int64_t at_us;
    *version = -1;
    *name = wr_arena_strndup(a, n.p, n.n);
    if (!*name) return wr_err_nomem(err);
    if (!wr_name_ok(n)) return bad_name(*name, err);
    if (!wr_dataset_exists(p, *name)) return unknown_dataset(p, n, err);
    if (!rest.p) return 0;
    if (wr_num_i64(version, rest, NULL) == 0)
        return *version < 0 ? wr_err_set(err, WEIR_EINVAL, "version %.*s is negative", WR_STR_FMT(rest)) : 0;
    if (wr_time_parse(&at_us, rest, NULL) < 0) {
        wr_err_set(err, WEIR_EINVAL, "\"%s\": \"%.*s\" is neither a version nor a time", ref, WR_STR_FMT(rest));
        return wr_err_hint(err, WEIR_EINVAL, "for example %s@3 or %s@2026-11-01", *name, *name);
    }
    return wr_delta_version_at(version, wr_dataset_dir(a, p, *name), at_us, err);
}

int wr_dataset_read(wr_delta_snapshot *out, wr_project *p, const char *ref, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char *name;
    int64_t version;
    if (!a) return wr_err_nomem(err);
    WR_TRY(resolve(&name, &version, a, p, ref, err));
    int rc = wr_delta_read(out, wr_dataset_dir(a, p, name), version, err);
    return rc < 0 ? wr_err_wrap(err, rc, "dataset \"%s\"", ref) : 0;
}

int wr_dataset_node(wr_node *out, wr_arena *a, const char *name, const wr_delta_snapshot *s)
{
    const char *at = strchr(name, '@');
    *out = (wr_node){.kind = "dataset",
                     .name = at ? wr_arena_strndup(a, name, (size_t)(at - name)) : wr_arena_strdup(a, name),
                     .hash = wr_arena_strdup(a, s->hash),
                     .version = s->version,
                     .detail = wr_arena_printf(a, "{\"rows\":%lld,\"files\":%zu}", (long long)s->rows, s->nfiles)};
    return out->name && out->hash && out->detail ? 0 : WEIR_ENOMEM;
}

/* An empty table with the columns of the schema: what a dataset without files looks like to a query. */
static int empty_select(wr_buf *b, const wr_delta_snapshot *s)
{
    static const struct {
        const char *delta, *sql;
    } types[] = {{"long", "BIGINT"},   {"integer", "INTEGER"}, {"short", "SMALLINT"},  {"byte", "TINYINT"},
                 {"double", "DOUBLE"}, {"float", "FLOAT"},     {"boolean", "BOOLEAN"}, {"timestamp", "TIMESTAMPTZ"},
                 {"date", "DATE"},     {"binary", "BLOB"}};
    wr_buf_str(b, "SELECT ");
    for (size_t i = 0; i < s->nfields; i++) {
        const char *sql = "VARCHAR";
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            if (strcmp(types[t].delta, s->fields[i].type) == 0) sql = types[t].sql;
        wr_buf_printf(b, "%sCAST(NULL AS %s) AS ", i ? ", " : "",
                      strncmp(s->fields[i].type, "decimal", 7) == 0 ? s->fields[i].type : sql);
        wr_sql_ident(b, wr_str_of(s->fields[i].name));
    }
    wr_buf_str(b, " WHERE false");
    return b->failed ? WEIR_ENOMEM : 0;
}

/* Timestamps are instants in the lake and UTC times without a zone to a query, so that comparing them with '2001-06-01'
 * or taking their hour does not depend on a session's zone (and costs no calendar arithmetic). */
static void columns_sql(wr_buf *b, const wr_delta_snapshot *s)
{
    size_t n = 0;
    wr_buf_str(b, "SELECT *");
    for (size_t i = 0; i < s->nfields; i++) {
        if (strcmp(s->fields[i].type, "timestamp") != 0) continue;
        wr_buf_str(b, n++ ? ", make_timestamp(epoch_us(" : " REPLACE (make_timestamp(epoch_us(");
        wr_sql_ident(b, wr_str_of(s->fields[i].name));
        wr_buf_str(b, ")) AS ");
        wr_sql_ident(b, wr_str_of(s->fields[i].name));
    }
    if (n) wr_buf_char(b, ')');
}

static int source_sql(wr_buf *b, wr_arena *a, const char *dir, const wr_delta_snapshot *s, wr_err *err)
{
    columns_sql(b, s);
    wr_buf_str(b, " FROM ");
    if (!s->nfiles) {
        wr_buf_char(b, '(');
        if (empty_select(b, s) < 0) return wr_err_nomem(err);
        wr_buf_char(b, ')');
        return b->failed ? wr_err_nomem(err) : 0;
    }
    wr_buf_str(b, "read_parquet([");
    for (size_t i = 0; i < s->nfiles; i++) {
        const char *path = wr_path_join(a, dir, s->files[i].path);
        if (!path) return wr_err_nomem(err);
        if (i) wr_buf_char(b, ',');
        wr_sql_text(b, wr_str_of(path));
    }
    wr_buf_str(b, "])");
    return b->failed ? wr_err_nomem(err) : 0;
}

static int view_of(wr_tables *t, wr_project *p, const char *ref, const char *as, const wr_delta_snapshot *s,
                   wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf sql;
    wr_buf_init(&sql, 0);
    char *name = a ? wr_arena_strdup(a, ref) : NULL;
    if (!name) return wr_err_nomem(err);
    name[strcspn(name, "@")] = 0;
    wr_buf_str(&sql, "CREATE OR REPLACE TEMP VIEW ");
    wr_sql_ident(&sql, wr_str_of(as ? as : name));
    wr_buf_str(&sql, " AS ");
    WR_TRY(source_sql(&sql, a, wr_dataset_dir(a, p, name), s, err));
    int rc = wr_tables_exec(t, wr_buf_cstr(&sql), NULL, err);
    return rc < 0 ? wr_err_wrap(err, rc, "dataset \"%s\"", ref) : 0;
}

int wr_dataset_view(wr_tables *t, wr_project *p, const char *ref, const char *as, wr_err *err)
{
    wr_delta_snapshot s;
    WR_TRY(wr_dataset_read(&s, p, ref, err));
    int rc = view_of(t, p, ref, as, &s, err);
    wr_delta_free(&s);
    return rc;
}

static bool word_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Does `name` occur as an identifier: a whole word, or in double quotes? */
static bool mentions(const char *sql, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = strcasestr(sql, name); at; at = strcasestr(at + 1, name)) {
        char before = at > sql ? at[-1] : ' ', after = at[n];
        if (before == '"' && after == '"') return true;
        if (!word_char(before) && before != '.' && !word_char(after) && after != '.' && !strchr(name, '.')) return true;
    }
    return false;
}

int wr_dataset_views_for(wr_tables *t, wr_project *p, const char *sql, wr_node **used, size_t *nused, wr_arena *a,
                         wr_err *err)
{
    char **names;
    size_t n, found = 0;
    WR_TRY(wr_dataset_list(&names, &n, a, p, err));
    wr_node *nodes = wr_arena_alloc(a, (n + 1) * sizeof *nodes);
    if (!nodes) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        wr_delta_snapshot s;
        if (!mentions(sql, names[i])) continue;
        WR_TRY(wr_dataset_read(&s, p, names[i], err));
        int rc = view_of(t, p, names[i], NULL, &s, err);
        if (rc == 0 && wr_dataset_node(&nodes[found++], a, names[i], &s) < 0) rc = wr_err_nomem(err);
        wr_delta_free(&s);
        WR_TRY(rc);
    }
    if (used) *used = nodes;
    if (nused) *nused = found;
    return 0;
}

int wr_dataset_explain(wr_project *p, int rc, wr_err *err)
{
    static const char mark[] = "able with name "; /* the engine's words */
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    const char *at = err && rc == WEIR_ENOTFOUND ? strstr(err->msg, mark) : NULL;
    if (!at || !a || wr_dataset_list(&names, &n, a, p, NULL) < 0) return rc;
    at += sizeof mark - 1;
    int near = wr_str_nearest((wr_str){at, strcspn(at, " ")}, (const char *const *)names, n);
    err->detail[0] = 0; /* it would name tables of the engine's own */
    return near >= 0 ? wr_err_hint(err, rc, "did you mean \"%s\"?", names[near])
                     : wr_err_hint(err, rc, "weir data list shows the datasets there are");
}

/* ---- writing ---- */

/* Column names go into SQL and JSON; Delta wants them unique without regard to case. */
static int check_columns(const wr_table_column *c, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        for (const char *s = c[i].name; *s; s++)
            if ((unsigned char)*s < 0x20 || *s == '"' || *s == '\\')
                return wr_err_set(err, WEIR_EINVAL, "column \"%s\" has a quote or control character in its name",
                                  c[i].name);
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(c[i].name, c[j].name) == 0)
                return wr_err_set(err, WEIR_EINVAL, "columns \"%s\" and \"%s\" differ by case at most", c[j].name,
                                  c[i].name);
    }
    return 0;
}

static int schema_of(wr_delta_field **out, size_t *n, wr_arena *a, wr_tables *t, const char *sql, wr_err *err)
{
    wr_table_column *c;
    WR_TRY(wr_tables_describe(t, &c, n, a, sql, err));
    WR_TRY(check_columns(c, *n, err));
    wr_delta_field *f = wr_arena_calloc(a, *n + 1, sizeof *f);
    if (!f) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) f[i] = (wr_delta_field){c[i].name, c[i].type, true};
    *out = f;
    return 0;
}

/* Newest version of the table, -1 if there is none. */
static int newest(int64_t *version, wr_project *p, const char *name, const char *dir, wr_err *err)
{
    wr_delta_snapshot s;
    *version = -1;
    if (!wr_dataset_exists(p, name)) return 0;
    WR_TRY(wr_delta_read(&s, dir, -1, err));
    *version = s.version;
    wr_delta_free(&s);
    return 0;
}

/* The data file: written under a hidden name, synced, renamed to its final one. */
static int write_file(wr_delta_file *out, wr_arena *a, wr_tables *t, const char *dir, const char *sql,
                      const wr_delta_field *fields, size_t nfields, wr_err *err)
{
    char uuid[37], hash[WR_SHA256_HEX], *stats = NULL;
    wr_parquet_info info;
    wr_os_uuid(uuid);
    char *name = wr_arena_printf(a, "part-00000-%s.zstd.parquet", uuid),
         *hidden = wr_arena_printf(a, "%s/.%s", dir, uuid);
    const char *path = name ? wr_path_join(a, dir, name) : NULL;
    if (!path || !hidden) return wr_err_nomem(err);
    int rc = wr_tables_copy_parquet(t, &info, a, sql, hidden, err);
    if (rc == 0) rc = wr_file_sha256(hash, hidden, err);
    if (rc == 0) rc = wr_delta_stats(&stats, a, &info, fields, nfields, err);
    if (rc == 0) {
        *out = (wr_delta_file){.path = name, .rows = info.rows, .sha256 = wr_arena_strdup(a, hash), .stats = stats};
        rc = out->sha256 ? wr_file_publish(hidden, path, err) : wr_err_nomem(err);
    }
    if (rc < 0) {
        wr_file_remove(hidden, NULL);
        wr_file_remove(path, NULL);
        return rc;
    }
    out->size = wr_file_size(path);
    out->mtime_ms = wr_file_mtime_us(path) / 1000;
    return 0;
}

static int commit(wr_dataset_written *out, const char *name, const char *dir, wr_delta_commit *c, wr_err *err)
{
    int64_t version;
    wr_delta_snapshot s;
    int rc = wr_delta_write(&version, dir, c, err);
    if (rc < 0) return wr_err_wrap(err, rc, "dataset \"%s\"", name);
    out->skipped = rc == 1;
    WR_TRY(wr_delta_read(&s, dir, out->skipped ? -1 : version, err));
    out->version = s.version;
    memcpy(out->hash, s.hash, sizeof out->hash);
    wr_delta_free(&s);
    return 0;
}

/* Does any version from `from` on use the file? Also when that cannot be told: a commit that reported an error (a
 * failed fsync of the folder) may be there all the same, and a file the log names must stay. */
static bool is_used(const char *dir, int64_t from, const char *path)
{
    wr_delta_snapshot s;
    int64_t last = from;
    for (int64_t v = -1; v < 0 || v <= last; v = v < 0 ? from : v + 1) { /* the newest first: most often it decides */
        if (wr_delta_read(&s, dir, v, NULL) < 0) return true;
        bool found = false;
        if (v < 0) last = s.version;
        for (size_t i = 0; !found && i < s.nfiles; i++) found = strcmp(s.files[i].path, path) == 0;
        wr_delta_free(&s);
        if (found) return true;
        if (v < 0 && last < from) return false;
    }
    return false;
}

/* What a write that came to nothing left behind; of a dataset that is still none also its (then empty) folders. */
static void clean_up(const char *dir, const wr_delta_file *file, const wr_delta_commit *c, wr_arena *a)
{
    const char *path = file->path ? wr_path_join(a, dir, file->path) : NULL, *log = wr_path_join(a, dir, "_delta_log");
    if (path && !is_used(dir, c->based_on + 1, file->path)) wr_file_remove(path, NULL);
    if (c->based_on >= 0 || !log) return;
    rmdir(log);
    rmdir(dir);
}

/* SQL does not tell "Trips" from "trips", so neither may two datasets differ by case only. */
static int check_name(wr_project *p, const char *name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!a) return wr_err_nomem(err);
    if (!wr_name_ok(wr_str_of(name))) return bad_name(name, err);
    if (wr_dataset_exists(p, name)) return 0;
    WR_TRY(wr_dataset_list(&names, &n, a, p, err));
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i], name) != 0) continue;
        wr_err_set(err, WEIR_EEXIST, "dataset \"%s\" would differ from \"%s\" by case only", name, names[i]);
        return wr_err_hint(err, WEIR_EEXIST, "SQL cannot tell them apart: choose another name");
    }
    return 0;
}

/* The file and its commit; `file` and `c` say how far it came. */
static int write_version(wr_dataset_written *out, wr_delta_file *file, wr_delta_commit *c, wr_arena *a, wr_tables *t,
                         const char *name, const char *dir, const char *sql, wr_err *err)
{
    WR_TRY(wr_file_mkdirs(dir, err));
    WR_TRY(write_file(file, a, t, dir, sql, c->fields, c->nfields, err));
    c->files = file;
    c->nfiles = file->rows > 0 ? 1 : 0; /* an empty result is a version without files */
    out->rows = file->rows;
    out->bytes = file->size;
    return commit(out, name, dir, c, err);
}

int wr_dataset_write(wr_dataset_written *out, wr_tables *t, wr_project *p, const char *name, const char *sql,
                     const wr_dataset_write_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *dir = a ? wr_dataset_dir(a, p, name) : NULL;
    wr_delta_file file = {0};
    wr_delta_field *fields = NULL;
    if (!dir) return wr_err_nomem(err);
    WR_TRY(check_name(p, name, err));
    wr_delta_commit c = {.mode = opt->mode,
                         .operation = opt->operation ? opt->operation : "WRITE",
                         .parameters = opt->parameters,
                         .txn_app = opt->txn_app,
                         .txn_version = opt->txn_version};
    memset(out, 0, sizeof *out);
    WR_TRY(newest(&c.based_on, p, name, dir, err));
    WR_TRY(schema_of(&fields, &c.nfields, a, t, sql, err));
    c.fields = fields;
    if (opt->run_id) c.user_metadata = wr_arena_printf(a, "{\"run\":\"%s\"}", opt->run_id);
    if (opt->run_id && !c.user_metadata) return wr_err_nomem(err);
    int rc = write_version(out, &file, &c, a, t, name, dir, sql, err);
    if (rc < 0 || out->skipped || !c.nfiles) clean_up(dir, &file, &c, a);
    return rc;
}

int wr_dataset_restore(wr_dataset_written *out, wr_project *p, const char *name, int64_t version, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *dir = a ? wr_dataset_dir(a, p, name) : NULL;
    wr_delta_snapshot now, then;
    if (!dir) return wr_err_nomem(err);
    WR_TRY(wr_dataset_read(&now, p, name, err));
    wr_delta_commit c = {.mode = WR_DELTA_OVERWRITE,
                         .operation = "RESTORE",
                         .based_on = now.version,
                         .fields = now.fields,
                         .nfields = now.nfields};
    c.parameters = wr_arena_printf(a, "{\"version\":%lld}", (long long)version);
    int rc = version < 0 ? 0 : wr_delta_read(&then, dir, version, err);
    if (rc == 0) {
        if (version >= 0) {
            c.fields = then.fields;
            c.nfields = then.nfields;
            c.files = then.files;
            c.nfiles = then.nfiles;
        }
        out->rows = version < 0 ? 0 : then.rows;
        out->bytes = 0;
        rc = commit(out, name, dir, &c, err);
        if (version >= 0) wr_delta_free(&then);
    }
    wr_delta_free(&now);
    return rc;
}

int wr_dataset_hash(char out[WR_SHA256_HEX], int64_t *version, wr_project *p, const char *name, wr_err *err)
{
    wr_delta_snapshot s;
    out[0] = 0;
    if (version) *version = -1;
    if (!wr_dataset_exists(p, name)) return 0;
    WR_TRY(wr_dataset_read(&s, p, name, err));
    memcpy(out, s.hash, sizeof s.hash);
    if (version) *version = s.version;
    wr_delta_free(&s);
    return 0;
}

int wr_dataset_version_of(int64_t *out, wr_project *p, const char *name, const char *hash, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char found[WR_SHA256_HEX];
    if (!a) return wr_err_nomem(err);
    const char *dir = wr_dataset_dir(a, p, name);
    WR_TRY(wr_dataset_hash(found, out, p, name, err));
    for (int64_t v = *out; v >= 0; v--) {
        wr_delta_snapshot s;
        WR_TRY(wr_delta_read(&s, dir, v, err));
        bool same = strcmp(s.hash, hash) == 0;
        wr_delta_free(&s);
        if (!same) continue;
        *out = v;
        return 0;
    }
    return wr_err_set(err, WEIR_ENOTFOUND, "no version of dataset \"%s\" has content %.12s", name, hash);
}
