/* SPDX-License-Identifier: Apache-2.0 */
/* delta.c - one commit's text applied to a snapshot. Unknown actions and fields are ignored, as the protocol
 * demands; what would make us read wrong rows is refused by name.
 *
 * Removing a file leaves a gap in `files` (path NULL), which wr_delta_finish() closes: files stay in the order of their
 * adds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "store/delta_inside.h"

int wr_delta_begin(wr_delta_snapshot *s, wr_err *err)
{
    if (s->state) return 0;
    s->version = -1;
    if (!s->arena) s->arena = wr_arena_new(0);
    s->state = wr_calloc(1, sizeof *s->state);
    if (!s->arena || !s->state) return wr_err_nomem(err);
    wr_map_init(&s->state->paths);
    wr_map_init(&s->state->txns);
    return 0;
}

void wr_delta_free(wr_delta_snapshot *s)
{
    if (s->state) {
        wr_map_fini(&s->state->paths);
        wr_map_fini(&s->state->txns);
        wr_free(s->state);
    }
    wr_arena_free(s->arena);
    *s = (wr_delta_snapshot){.version = -1};
}

int64_t wr_delta_commit_us(yyjson_val *info)
{
    yyjson_val *ms = yyjson_obj_get(info, "inCommitTimestamp");
    if (!yyjson_is_int(ms)) ms = yyjson_obj_get(info, "timestamp");
    if (!yyjson_is_int(ms)) return -1;
    int64_t us;
    return __builtin_mul_overflow(yyjson_get_sint(ms), 1000, &us) ? -1 : us;
}

int64_t wr_delta_rows(wr_str stats)
{
    WR_AUTOJSON wr_json j = {0};
    int64_t rows;
    if (!stats.n || wr_json_parse(&j, stats, "stats", NULL) < 0 || !yyjson_is_obj(j.root)) return -1;
    return wr_json_i64_or(&rows, j.root, "numRecords", -1, NULL) < 0 || rows < 0 ? -1 : rows;
}

/* -- protocol and metadata */

static int unknown_feature(yyjson_val *list, const char *const *known, wr_str *out)
{
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, max, v)
    {
        wr_str name = {yyjson_get_str(v), yyjson_get_len(v)};
        size_t k = 0;
        while (known[k] && !(yyjson_is_str(v) && wr_str_is(name, known[k]))) k++;
        if (known[k]) continue;
        *out = yyjson_is_str(v) ? name : WR_STR("?");
        return 1;
    }
    return 0;
}

static int refuse(wr_err *err, const char *what, wr_str name)
{
    wr_err_set(err, WEIR_EUNSUPPORTED, "table needs %s \"%.*s\"", what, (int)(name.n < 120 ? name.n : 120), name.p);
    return wr_err_hint(err, WEIR_EUNSUPPORTED,
                       "write it again without that feature, or read it with another tool and ingest the result");
}

static int apply_protocol(wr_delta_snapshot *s, yyjson_val *v, wr_err *err)
{
    static const char *const readable[] = {"timestampNtz", "vacuumProtocolCheck", NULL};
    static const char *const writable[] = {"appendOnly", "invariants", "timestampNtz", "vacuumProtocolCheck", NULL};
    int64_t reader, writer;
    wr_str name;
    WR_TRY(wr_json_i64(&reader, v, "minReaderVersion", err));
    WR_TRY(wr_json_i64(&writer, v, "minWriterVersion", err));
    if (unknown_feature(yyjson_obj_get(v, "readerFeatures"), readable, &name))
        return refuse(err, "reader feature", name);
    if (reader == 2) return refuse(err, "reader feature", WR_STR("columnMapping"));
    if (reader > 3)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "table needs reader version %lld, 1 is implemented",
                          (long long)reader);
    char *why = NULL;
    if (unknown_feature(yyjson_obj_get(v, "writerFeatures"), writable, &name))
        why = wr_arena_printf(s->arena, "it needs writer feature \"%.*s\"", (int)(name.n < 120 ? name.n : 120), name.p);
    else if (writer > 2 && writer != 7)
        why = wr_arena_printf(s->arena, "it needs writer version %lld", (long long)writer);
    s->state->unwritable = why;
    return wr_arena_failed(s->arena) ? wr_err_nomem(err) : 0;
}

static bool is_set(yyjson_val *configuration, const char *key)
{
    yyjson_val *v = yyjson_obj_get(configuration, key);
    return yyjson_is_true(v) || (yyjson_is_str(v) && strcmp(yyjson_get_str(v), "true") == 0);
}

static int check_layout(yyjson_val *v, wr_err *err)
{
    yyjson_val *parts = yyjson_obj_get(v, "partitionColumns");
    if (yyjson_arr_size(parts)) {
        const char *first = yyjson_get_str(yyjson_arr_get_first(parts));
        wr_err_set(err, WEIR_EUNSUPPORTED, "table is partitioned by \"%.120s\"", first ? first : "?");
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "write it again without partitions");
    }
    yyjson_val *provider = yyjson_obj_get(yyjson_obj_get(v, "format"), "provider");
    if (provider && !yyjson_equals_str(provider, "parquet"))
        return wr_err_set(err, WEIR_EUNSUPPORTED, "table is not made of Parquet files");
    yyjson_val *mode = yyjson_obj_get(yyjson_obj_get(v, "configuration"), "delta.columnMapping.mode");
    if (mode && !yyjson_equals_str(mode, "none")) return refuse(err, "reader feature", WR_STR("columnMapping"));
    return 0;
}

static int apply_metadata(wr_delta_snapshot *s, yyjson_val *v, wr_err *err)
{
    wr_str id, schema;
    WR_TRY(wr_json_str_or(&id, v, "id", "", err));
    WR_TRY(wr_json_str(&schema, v, "schemaString", err));
    WR_TRY(check_layout(v, err));
    WR_TRY(wr_delta_schema_read(&s->fields, &s->nfields, &s->state->metadata_unwritable, s->arena, schema, err));
    yyjson_val *configuration = yyjson_obj_get(v, "configuration");
    s->state->append_only = is_set(configuration, "delta.appendOnly");
    if (is_set(configuration, "delta.enableChangeDataFeed"))
        s->state->metadata_unwritable = wr_arena_strdup(s->arena, "it keeps a change data feed");
    s->id = wr_arena_strndup(s->arena, id.p, id.n);
    WR_AUTOBUF wr_buf text;
    wr_jsonw w;
    wr_buf_init(&text, 0);
    wr_jsonw_init(&w, &text, 0);
    wr_jsonw_val(&w, v);
    s->state->metadata = text.failed ? NULL : wr_arena_strndup(s->arena, wr_buf_cstr(&text), text.n);
    return !s->state->metadata || wr_arena_failed(s->arena) ? wr_err_nomem(err) : 0;
}

/* -- files */

static wr_delta_file *new_file(wr_delta_snapshot *s)
{
    wr_delta_state *st = s->state;
    if (s->nfiles == st->cap) {
        size_t cap = st->cap ? st->cap * 2 : 8;
        wr_delta_file *files = wr_arena_alloc(s->arena, cap * sizeof *files);
        if (!files) return NULL;
        if (s->nfiles) memcpy(files, s->files, s->nfiles * sizeof *files);
        s->files = files;
        st->cap = cap;
    }
    s->files[s->nfiles] = (wr_delta_file){0};
    return &s->files[s->nfiles++];
}

static void *index_value(size_t index) { return (void *)(uintptr_t)(index + 1); }

static void forget(wr_delta_snapshot *s, wr_str path)
{
    uintptr_t at = (uintptr_t)wr_map_get(&s->state->paths, path);
    if (!at) return;
    s->files[at - 1].path = NULL;
    s->state->removed++;
    (void)wr_map_put(&s->state->paths, path, NULL); /* replaces a value: needs no memory */
}

static int apply_add(wr_delta_snapshot *s, yyjson_val *v, wr_err *err)
{
    wr_str url, stats, hash;
    wr_delta_file f = {0};
    WR_TRY(wr_json_str(&url, v, "path", err));
    WR_TRY(wr_json_i64(&f.size, v, "size", err));
    WR_TRY(wr_json_i64_or(&f.mtime_ms, v, "modificationTime", 0, err));
    WR_TRY(wr_json_str_or(&stats, v, "stats", "", err));
    yyjson_val *vector = yyjson_obj_get(v, "deletionVector");
    if (vector && !yyjson_is_null(vector)) return refuse(err, "reader feature", WR_STR("deletionVectors"));
    WR_TRY(wr_delta_path_decode(&f.path, s->arena, url, err));
    yyjson_val *tag = yyjson_obj_get(yyjson_obj_get(v, "tags"), "weir.sha256");
    hash = (wr_str){yyjson_get_str(tag), yyjson_get_len(tag)};
    f.sha256 = hash.p ? wr_arena_strndup(s->arena, hash.p, hash.n) : wr_arena_strdup(s->arena, "");
    f.stats = stats.n ? wr_arena_strndup(s->arena, stats.p, stats.n) : NULL;
    f.rows = wr_delta_rows(stats);
    wr_str path = wr_str_of(f.path);
    forget(s, path); /* an add of a known file replaces what was known */
    if (wr_map_put(&s->state->paths, path, index_value(s->nfiles)) < 0) return wr_err_nomem(err);
    wr_delta_file *slot = new_file(s);
    if (!slot) {
        (void)wr_map_put(&s->state->paths, path, NULL);
        return wr_err_nomem(err);
    }
    *slot = f;
    return wr_arena_failed(s->arena) ? wr_err_nomem(err) : 0;
}

static int apply_remove(wr_delta_snapshot *s, yyjson_val *v, wr_err *err)
{
    wr_str url;
    char *path;
    WR_TRY(wr_json_str(&url, v, "path", err));
    WR_TRY(wr_delta_path_decode(&path, s->arena, url, err));
    forget(s, wr_str_of(path));
    return 0;
}

static int apply_txn(wr_delta_snapshot *s, yyjson_val *v, wr_err *err)
{
    wr_str app;
    int64_t version;
    WR_TRY(wr_json_str(&app, v, "appId", err));
    WR_TRY(wr_json_i64(&version, v, "version", err));
    int64_t *kept = wr_arena_alloc(s->arena, sizeof *kept);
    if (!kept) return wr_err_nomem(err);
    *kept = version;
    return wr_map_put(&s->state->txns, app, kept) < 0 ? wr_err_nomem(err) : 0;
}

static int apply_commit_info(wr_delta_snapshot *s, yyjson_val *v, wr_err *err)
{
    (void)err;
    s->state->commit_us = wr_delta_commit_us(v);
    return 0;
}

/* -- lines */

static const struct {
    const char *name;
    int (*apply)(wr_delta_snapshot *, yyjson_val *, wr_err *);
} actions[] = {
    {"protocol", apply_protocol}, {"metaData", apply_metadata}, {"add", apply_add},
    {"remove", apply_remove},     {"txn", apply_txn},           {"commitInfo", apply_commit_info},
};

static int apply_line(wr_delta_snapshot *s, wr_str line, wr_err *err)
{
    if (line.n > WR_LIMIT_DELTA_LINE)
        return wr_err_set(err, WEIR_ELIMIT, "an action has %zu bytes, at most %d are read", line.n,
                          WR_LIMIT_DELTA_LINE);
    WR_AUTOJSON wr_json j = {0};
    WR_TRY(wr_json_parse(&j, line, "action", err));
    if (!yyjson_is_obj(j.root)) return wr_err_set(err, WEIR_ECORRUPT, "an action is not an object");
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        yyjson_val *v = yyjson_obj_get(j.root, actions[i].name);
        if (!v || yyjson_is_null(v)) continue;
        if (!yyjson_is_obj(v)) return wr_err_set(err, WEIR_ECORRUPT, "action \"%s\" is not an object", actions[i].name);
        WR_TRY(actions[i].apply(s, v, err));
    }
    return 0;
}

/* A log that cannot be understood is corrupt, whatever the reader of a single value called it. */
static int line_failed(int rc, int64_t version, size_t line, wr_err *err)
{
    if (rc == WEIR_EPARSE || rc == WEIR_EINVAL || rc == WEIR_ETYPE) rc = WEIR_ECORRUPT;
    if (err) err->code = rc;
    if (rc == WEIR_ENOMEM || rc == WEIR_EUNSUPPORTED) return rc;
    return wr_err_wrap(err, rc, "version %lld, line %zu", (long long)version, line);
}

int wr_delta_replay(wr_delta_snapshot *s, wr_str text, int64_t version, int64_t mtime_us, wr_err *err)
{
    WR_TRY(wr_delta_begin(s, err));
    s->state->commit_us = -1;
    size_t number = 0;
    for (wr_str rest = text; rest.p;) {
        wr_str line = wr_str_trim(wr_str_cut(&rest, '\n'));
        number++;
        int rc = line.n ? apply_line(s, line, err) : 0;
        if (rc < 0) return line_failed(rc, version, number, err);
    }
    int64_t us = s->state->commit_us >= 0 ? s->state->commit_us : mtime_us;
    if (s->version >= 0 && us <= s->timestamp_us) us = s->timestamp_us + 1000; /* clocks go back, versions do not */
    s->timestamp_us = us;
    s->version = version;
    return 0;
}

/* -- the sum of it */

static int close_gaps(wr_delta_snapshot *s, wr_err *err)
{
    if (!s->state->removed) return 0;
    size_t n = 0;
    for (size_t i = 0; i < s->nfiles; i++) {
        if (!s->files[i].path) continue;
        s->files[n] = s->files[i];
        if (wr_map_put(&s->state->paths, wr_str_of(s->files[n].path), index_value(n)) < 0) return wr_err_nomem(err);
        n++;
    }
    s->nfiles = n;
    s->state->removed = 0;
    return 0;
}

static int compare_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* SHA-256 over the schema and the sorted hashes of the files; a file of another writer counts by its unique name. */
static int identify(wr_delta_snapshot *s, wr_err *err)
{
    WR_AUTOFREE char **lines = wr_calloc(s->nfiles, sizeof *lines);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf schema;
    wr_buf_init(&schema, 0);
    wr_delta_schema_write(&schema, s->fields, s->nfields);
    if (!lines || !a || schema.failed) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nfiles; i++) {
        const wr_delta_file *f = &s->files[i];
        lines[i] = f->sha256[0] ? f->sha256 : wr_arena_printf(a, "%s %lld", f->path, (long long)f->size);
        if (!lines[i]) return wr_err_nomem(err);
    }
    qsort(lines, s->nfiles, sizeof *lines, compare_text);
    wr_sha256 h;
    wr_sha256_init(&h);
    wr_sha256_add(&h, schema.p, schema.n);
    for (size_t i = 0; i < s->nfiles; i++) {
        wr_sha256_add(&h, "\n", 1);
        wr_sha256_add(&h, lines[i], strlen(lines[i]));
    }
    wr_sha256_hex(&h, s->hash);
    return 0;
}

int wr_delta_finish(wr_delta_snapshot *s, wr_err *err)
{
    WR_TRY(close_gaps(s, err));
    s->rows = 0;
    for (size_t i = 0; i < s->nfiles && s->rows >= 0; i++) {
        if (s->files[i].rows < 0 || __builtin_add_overflow(s->rows, s->files[i].rows, &s->rows)) s->rows = -1;
    }
    return identify(s, err);
}

int wr_delta_apply(wr_delta_snapshot *s, wr_str text, int64_t version, wr_err *err)
{
    WR_TRY(wr_delta_replay(s, text, version, 0, err));
    return wr_delta_finish(s, err);
}
