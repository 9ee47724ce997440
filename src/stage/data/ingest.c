/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.c - from paths to SQL to a Delta commit. */
#include "stage/data/ingest.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/hash.h"
#include "codec/json.h"
#include "io/file.h"

enum { MAX_FILES = 1000 };
static const char *const formats[] = {"parquet", "csv", "json"};
static const char *const extensions[][5] = {
    {".parquet", ".pq"}, {".csv", ".tsv", ".csv.gz"}, {".json", ".jsonl", ".ndjson", ".json.gz"}};

typedef struct {
    const wr_ingest_opt *opt;
    wr_project *project;
    wr_run *run;
    wr_arena *arena;
    char **path; /* as found, and absolute */
    const char **absolute;
    char (*hash)[WR_SHA256_HEX];
    size_t n;
    uint64_t bytes;
    const char *format;
} job;

static int check_file(const char *path, uint64_t *bytes, wr_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        int rc = wr_err_sys(err, errno, "cannot read \"%s\"", path);
        return rc == WEIR_ENOTFOUND
                   ? wr_err_hint(err, rc,
                                 "paths are relative to the folder you are in; globs are quoted: --from 'data/*.csv'")
                   : rc;
    }
    if (S_ISDIR(st.st_mode)) {
        wr_err_set(err, WEIR_EINVAL, "\"%s\" is a folder", path);
        return wr_err_hint(err, WEIR_EINVAL, "name its files, for example --from '%s/*.parquet'", path);
    }
    if (access(path, R_OK) < 0) return wr_err_sys(err, errno, "cannot read \"%s\"", path);
    if (st.st_size == 0) {
        wr_err_set(err, WEIR_EINVAL, "\"%s\" is empty", path);
        return wr_err_hint(err, WEIR_EINVAL, "was it written completely? a CSV needs at least its header line");
    }
    *bytes += (uint64_t)st.st_size;
    return 0;
}

static int add_path(job *j, const char *path, wr_err *err)
{
    if (j->n == MAX_FILES) return wr_err_set(err, WEIR_ELIMIT, "more than %d files at once", MAX_FILES);
    WR_TRY(check_file(path, &j->bytes, err));
    j->path[j->n] = wr_arena_strdup(j->arena, path);
    j->absolute[j->n] = wr_path_absolute(j->arena, path);
    if (!j->path[j->n] || !j->absolute[j->n]) return wr_err_nomem(err);
    j->n++;
    return 0;
}

static int expand(job *j, const char *pattern, wr_err *err)
{
    glob_t g;
    int rc = 0;
    if (!strpbrk(pattern, "*?[")) return add_path(j, pattern, err);
    if (glob(pattern, 0, NULL, &g) != 0) return wr_err_set(err, WEIR_ENOTFOUND, "no file matches \"%s\"", pattern);
    for (size_t i = 0; rc == 0 && i < g.gl_pathc; i++) rc = add_path(j, g.gl_pathv[i], err);
    globfree(&g);
    return rc;
}

static const char *format_of(const char *path)
{
    for (size_t f = 0; f < 3; f++)
        for (size_t e = 0; e < 5 && extensions[f][e]; e++)
            if (wr_str_ends(wr_str_of(path), extensions[f][e])) return formats[f];
    return NULL;
}

static int choose_format(job *j, wr_err *err)
{
    const char *named = j->opt->format;
    for (size_t f = 0; named && f < 3; f++)
        if (strcmp(named, formats[f]) == 0) j->format = formats[f];
    if (named && !j->format) {
        int near = wr_str_nearest(wr_str_of(named), formats, 3);
        wr_err_set(err, WEIR_EINVAL, "unknown format \"%s\"", named);
        return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", formats[near])
                         : wr_err_hint(err, WEIR_EINVAL, "parquet, csv or json");
    }
    for (size_t i = 0; !named && i < j->n; i++) {
        const char *f = format_of(j->path[i]);
        if (!f || (j->format && f != j->format)) {
            wr_err_set(err, WEIR_EINVAL,
                       f ? "\"%s\" has another format than the files before it"
                         : "the format of \"%s\" cannot be told from its name",
                       j->path[i]);
            return wr_err_hint(err, WEIR_EINVAL,
                               f ? "ingest the files of one format, then the others with --append"
                                 : "say it: --format parquet, csv or json");
        }
        j->format = f;
    }
    return 0;
}

static int make_sql(wr_buf *b, const job *j, wr_err *err)
{
    static const char *const reader[] = {"read_parquet", "read_csv", "read_json"};
    const char *csv =
        j->opt->header == WR_HEADER_NONE ? ", header=false, sample_size=-1" : ", header=true, sample_size=-1";
    size_t f = 0;
    while (f < 2 && j->format != formats[f]) f++;
    wr_buf_printf(b, "SELECT %s FROM %s([", j->opt->select ? j->opt->select : "*", reader[f]);
    for (size_t i = 0; i < j->n; i++) {
        if (i) wr_buf_char(b, ',');
        wr_sql_text(b, wr_str_of(j->absolute[i]));
    }
    wr_buf_printf(b, "]%s)", f == 1 ? csv : "");
    if (j->opt->where) wr_buf_printf(b, " WHERE (%s)", j->opt->where);
    return b->failed ? wr_err_nomem(err) : 0;
}

/* What was ingested, for the history and to see that nothing changed. */
static const char *parameters(job *j)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "mode", j->opt->append ? "Append" : "Overwrite");
    wr_jsonw_kstr(&w, "format", j->format);
    if (j->opt->header == WR_HEADER_NONE) wr_jsonw_kbool(&w, "header", false);
    wr_jsonw_kstr(&w, "select", j->opt->select);
    wr_jsonw_kstr(&w, "where", j->opt->where);
    wr_jsonw_key(&w, "sha256");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < j->n; i++) wr_jsonw_cstr(&w, j->hash[i]);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    return b.failed ? NULL : wr_arena_strdup(j->arena, wr_buf_cstr(&b));
}

/* The parameters are kept with the run that wrote the version. */
static const char *param_key(job *j) { return wr_arena_printf(j->arena, "ingest.%s", j->opt->name); }

static int params_of_run(const char **out, job *j, const char *metadata, wr_err *err)
{
    WR_AUTOJSON wr_json json = {0};
    wr_run_item *items;
    wr_str id;
    size_t n;
    const char *key = param_key(j);
    if (!key) return wr_err_nomem(err);
    if (wr_json_parse(&json, wr_str_of(metadata), "metadata", NULL) < 0) return 0;
    if (wr_json_str(&id, json.root, "run", NULL) < 0) return 0; /* somebody else's commit */
    if (wr_run_params(&items, &n, j->arena, j->project, id.p, NULL) < 0) return 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(items[i].key, key) == 0) *out = items[i].value;
    return 0;
}

/* Are these files, taken this way, the newest version already? Then it is what this run gives. */
static int find_unchanged(wr_ingested *out, job *j, const char *params, wr_err *err)
{
    wr_delta_entry *e;
    wr_delta_snapshot s;
    size_t n;
    const char *before = NULL, *dir = wr_dataset_dir(j->arena, j->project, j->opt->name);
    if (j->opt->append || !wr_dataset_exists(j->project, j->opt->name)) return 0;
    if (!dir) return wr_err_nomem(err);
    WR_TRY(wr_delta_history(&e, &n, j->arena, dir, 1, err));
    if (n && e[0].user_metadata) WR_TRY(params_of_run(&before, j, e[0].user_metadata, err));
    if (!before || strcmp(before, params) != 0) return 0;
    WR_TRY(wr_dataset_read(&s, j->project, j->opt->name, err));
    out->unchanged = s.version == e[0].version;
    out->written = (wr_dataset_written){.version = s.version, .rows = s.rows};
    memcpy(out->written.hash, s.hash, sizeof s.hash);
    for (size_t i = 0; i < s.nfiles; i++) out->written.bytes += s.files[i].size;
    wr_delta_free(&s);
    return 0;
}

static int record(job *j, const wr_dataset_written *w, const char *params, wr_err *err)
{
    for (size_t i = 0; i < j->n; i++) {
        wr_node file = {.kind = "file", .name = j->path[i], .hash = j->hash[i], .version = -1};
        file.detail = wr_arena_printf(j->arena, "{\"bytes\":%lld}", (long long)wr_file_size(j->path[i]));
        if (!file.detail) return wr_err_nomem(err);
        wr_run_input(j->run, &file);
    }
    wr_node node = {.kind = "dataset", .name = j->opt->name, .hash = w->hash, .version = w->version};
    wr_run_output(j->run, &node);
    const char *key = param_key(j);
    if (!key) return wr_err_nomem(err);
    wr_run_param(j->run, key, params);
    wr_run_metric(j->run, "rows", (double)w->rows);
    wr_run_units(j->run, (double)w->rows, "rows");
    return 0;
}

/* ---- what the engine may read ---- */

enum { MOST_PATHS = 15 /* wr_project_tables takes no more */ };

static bool has(const char **list, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], path) == 0) return true;
    return false;
}

/* The deepest folder all files are in. */
static char *common_folder(job *j)
{
    char *dir = wr_path_dir(j->arena, j->absolute[0]);
    for (size_t i = 1; dir && i < j->n; i++) {
        size_t k = strlen(dir);
        while (k > 1 && (strncmp(dir, j->absolute[i], k) != 0 || j->absolute[i][k] != '/')) {
            dir[k] = 0;
            dir = wr_path_dir(j->arena, dir);
            if (!dir) return NULL;
            k = strlen(dir);
        }
    }
    return dir;
}

/* The files; where they are too many, their folders; where those are, the folder around them. */
static int allowed(const char ***out, job *j, wr_err *err)
{
    const char **list = wr_arena_calloc(j->arena, MOST_PATHS + 1, sizeof *list);
    size_t n = 0;
    *out = list;
    if (!list) return wr_err_nomem(err);
    for (size_t i = 0; i < j->n; i++) {
        const char *path = j->n <= MOST_PATHS ? j->absolute[i] : wr_path_dir(j->arena, j->absolute[i]);
        if (!path) return wr_err_nomem(err);
        if (has(list, n, path)) continue;
        if (n < MOST_PATHS) {
            list[n++] = path;
            continue;
        }
        list[0] = common_folder(j);
        list[1] = NULL;
        return list[0] ? 0 : wr_err_nomem(err);
    }
    return 0;
}

/* ---- reading and writing ---- */

static bool starts_with_number(const char *name)
{
    char *end;
    (void)strtod(name, &end);
    return end != name;
}

/* A file whose lines differ in length is taken for one column of whole lines, and first lines are taken for names:
 * better an error. */
/* Does the file begin with this column's name? The sniffer passes over lines that do not fit, a ragged file would lose
 * them. */
static bool begins_with(const char *path, const char *name)
{
    char text[WR_LIMIT_NAME + 8] = {0};
    size_t want = strlen(name);
    if (want > WR_LIMIT_NAME || wr_str_starts(wr_str_of(name), "column")) return true; /* made up for an empty one */
    FILE *f = fopen(path, "re");
    if (!f) return true;
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    const char *at = text, *end = text + n;
    if (n >= 2 && (unsigned char)at[0] == 0x1f && (unsigned char)at[1] == 0x8b) return true; /* gzip */
    if (n >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3;
    if ((size_t)(end - at) >= want && memcmp(at, name, want) == 0) return true;
    while (at < end && (*at == ' ' || *at == '"' || *at == '\'')) at++;
    return (size_t)(end - at) >= want && memcmp(at, name, want) == 0;
}

static int check_csv(job *j, wr_tables *t, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_table_column *c;
    size_t n, numbers = 0;
    job all = *j;
    wr_ingest_opt whole = *j->opt;
    if (j->format != formats[1]) return 0;
    whole.select = whole.where = NULL;
    all.opt = &whole;
    WR_TRY(make_sql(&sql, &all, err));
    WR_TRY(wr_tables_describe(t, &c, &n, j->arena, wr_buf_cstr(&sql), err));
    for (size_t i = 0; i < n; i++) numbers += starts_with_number(c[i].name);
    if (numbers == n && j->opt->header == WR_HEADER_EXPECTED) {
        wr_err_set(err, WEIR_EINVAL, "\"%s\" seems to have no header: its first line has numbers for names",
                   j->path[0]);
        return wr_err_hint(err, WEIR_EINVAL,
                           "--no-header names the columns column0 and so on; --header if these are names");
    }
    if (n && j->opt->header != WR_HEADER_NONE && !begins_with(j->absolute[0], c[0].name)) {
        wr_err_set(err, WEIR_ECORRUPT, "\"%s\" does not begin with its header (\"%.60s\" was taken for it)", j->path[0],
                   c[0].name);
        return wr_err_hint(
            err, WEIR_ECORRUPT,
            "its lines may have different numbers of columns, or there is text above the header: mend the file");
    }
    if (n != 1 || j->opt->select || !strpbrk(c[0].name, ",;\t|")) return 0;
    wr_err_set(err, WEIR_ECORRUPT, "\"%s\" has lines with another number of columns than its header", j->path[0]);
    return wr_err_hint(err, WEIR_ECORRUPT,
                       "mend the file; if it is one column on purpose, name it: --select '\"%.60s\" AS x'", c[0].name);
}

/* Without the user's SQL the engine's own query only confuses: keep the first line that says something. */
static void plain_error(const job *j, wr_err *err)
{
    if (!err || j->opt->select || j->opt->where) return;
    if (strncmp(err->detail, "LINE ", 5) == 0) err->detail[0] = 0;
    err->detail[strcspn(err->detail, "\n")] = 0;
}

static int write_version(wr_ingested *out, job *j, const char *params, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_tables *t;
    const char **extra;
    wr_dataset_write_opt opt = {.mode = j->opt->append ? WR_DELTA_APPEND : WR_DELTA_OVERWRITE,
                                .parameters = params,
                                .run_id = wr_run_id(j->run)};
    wr_buf_init(&sql, 0);
    WR_TRY(allowed(&extra, j, err));
    WR_TRY(make_sql(&sql, j, err));
    WR_TRY(wr_project_tables(&t, j->project, extra, err));
    int rc = check_csv(j, t, err);
    if (rc == 0) rc = wr_dataset_write(&out->written, t, j->project, j->opt->name, wr_buf_cstr(&sql), &opt, err);
    wr_tables_close(t);
    if (rc < 0 && !j->opt->append) plain_error(j, err);
    return rc < 0 ? rc : record(j, &out->written, params, err);
}

static int ingest(wr_ingested *out, job *j, wr_err *err)
{
    for (size_t i = 0; i < j->opt->nfrom; i++) WR_TRY(expand(j, j->opt->from[i], err));
    WR_TRY(choose_format(j, err));
    for (size_t i = 0; i < j->n; i++) WR_TRY(wr_file_sha256(j->hash[i], j->absolute[i], err));
    const char *params = parameters(j);
    if (!params) return wr_err_nomem(err);
    out->files = j->n;
    out->source_bytes = j->bytes;
    WR_TRY(find_unchanged(out, j, params, err));
    return out->unchanged ? record(j, &out->written, params, err) : write_version(out, j, params, err);
}

int wr_ingest(wr_ingested *out, wr_project *p, const wr_ingest_opt *opt, wr_run *run, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    job j = {.opt = opt, .project = p, .run = run, .arena = a};
    memset(out, 0, sizeof *out);
    if (!a) return wr_err_nomem(err);
    if (!wr_name_ok(wr_str_of(opt->name)))
        return wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a dataset name", opt->name);
    j.path = wr_arena_calloc(a, MAX_FILES, sizeof *j.path);
    j.absolute = wr_arena_calloc(a, MAX_FILES, sizeof *j.absolute);
    j.hash = wr_arena_calloc(a, MAX_FILES, sizeof *j.hash);
    if (!j.path || !j.absolute || !j.hash) return wr_err_nomem(err);
    return ingest(out, &j, err);
}
