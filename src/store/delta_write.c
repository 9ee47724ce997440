/* SPDX-License-Identifier: Apache-2.0 */
/* delta_write.c - one commit: checked against the newest snapshot, put under the next number if that is free.
 *
 * A blind append that loses the race reads what the winner wrote, checks again, and takes the next number. An overwrite
 * is bound to the version it was based on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/os.h"
#include "io/file.h"
#include "store/delta_inside.h"

#ifndef WEIR_VERSION
#define WEIR_VERSION "0"
#endif

enum { ATTEMPTS = 10000 }; /* each loss is somebody else's progress */

/* -- the caller's part */

static int check_file(const wr_delta_file *f, wr_map *seen, wr_err *err)
{
    if (!f->path || !wr_delta_path_inside(wr_str_of(f->path)))
        return wr_err_set(err, WEIR_EINVAL, "file \"%.200s\" is not a path below the table", f->path ? f->path : "");
    if (wr_map_find(seen, wr_str_of(f->path)) >= 0)
        return wr_err_set(err, WEIR_EINVAL, "file \"%.200s\" is given twice", f->path);
    if (f->size < 0) return wr_err_set(err, WEIR_EINVAL, "file \"%.200s\" has no size", f->path);
    return wr_map_put(seen, wr_str_of(f->path), (void *)f) < 0 ? wr_err_nomem(err) : 0;
}

static int check_commit(const wr_delta_commit *c, wr_map *seen, wr_err *err)
{
    for (size_t i = 0; i < c->nfiles; i++) WR_TRY(check_file(&c->files[i], seen, err));
    WR_TRY(wr_delta_schema_check(c->fields, c->nfields, err));
    if (!c->parameters) return 0;
    WR_AUTOJSON wr_json j = {0};
    WR_TRY(wr_json_parse(&j, wr_str_of(c->parameters), "operation parameters", err));
    return yyjson_is_obj(j.root) ? 0 : wr_err_set(err, WEIR_EINVAL, "operation parameters are not a JSON object");
}

/* -- against the table */

static bool same_schema(const wr_delta_snapshot *s, const wr_delta_commit *c, size_t *first)
{
    size_t n = s->nfields < c->nfields ? s->nfields : c->nfields;
    for (*first = 0; *first < n; (*first)++) {
        const wr_delta_field *a = &s->fields[*first], *b = &c->fields[*first];
        if (strcmp(a->name, b->name) || strcmp(a->type, b->type) || (b->nullable && !a->nullable)) return false;
    }
    return s->nfields == c->nfields;
}

static int other_schema(const wr_delta_snapshot *s, const wr_delta_commit *c, size_t i, int code, wr_err *err)
{
    const wr_delta_field *a = i < s->nfields ? &s->fields[i] : NULL, *b = i < c->nfields ? &c->fields[i] : NULL;
    wr_err_set(err, code, "rows to append have another schema than the table");
    wr_err_detail(err, code, "column %zu: table has %s%.100s%s%.60s, rows have %s%.100s%s%.60s", i + 1, a ? "" : "none",
                  a ? a->name : "", a ? " " : "", a ? a->type : "", b ? "" : "none", b ? b->name : "", b ? " " : "",
                  b ? b->type : "");
    return wr_err_hint(err, code, "cast and order the columns as the table has them, or overwrite it");
}

static int check_append(const wr_delta_snapshot *s, const wr_delta_commit *c, bool rebased, wr_err *err)
{
    size_t i;
    if (c->nfields && !same_schema(s, c, &i)) return other_schema(s, c, i, rebased ? WEIR_ECONFLICT : WEIR_EINVAL, err);
    for (i = 0; i < c->nfiles; i++) {
        if (wr_map_get(&s->state->paths, wr_str_of(c->files[i].path)))
            return wr_err_set(err, WEIR_EINVAL, "file \"%.200s\" is in the table already", c->files[i].path);
    }
    return 0;
}

static int check_overwrite(const wr_delta_snapshot *s, const wr_delta_commit *c, const char *dir, wr_err *err)
{
    if (s->version == c->based_on) {
        if (!s->state->append_only) return 0;
        return wr_err_set(err, WEIR_EUNSUPPORTED, "table '%s' accepts appends only", dir);
    }
    if (c->based_on < 0) return wr_err_set(err, WEIR_ECONFLICT, "table '%s' exists already", dir);
    wr_err_set(err, WEIR_ECONFLICT, "table '%s' is at version %lld, the change was made to version %lld", dir,
               (long long)s->version, (long long)c->based_on);
    return wr_err_hint(err, WEIR_ECONFLICT, "read the newest version and try again");
}

static int check_table(const wr_delta_snapshot *s, const wr_delta_commit *c, const char *dir, bool rebased, wr_err *err)
{
    const char *why = s->state->unwritable ? s->state->unwritable : s->state->metadata_unwritable;
    if (s->version >= 0 && why) return wr_err_set(err, WEIR_EUNSUPPORTED, "cannot write to table '%s': %s", dir, why);
    if (s->version < 0 && !c->nfields) return wr_err_set(err, WEIR_EINVAL, "a new table needs columns");
    if (c->mode == WR_DELTA_OVERWRITE) return check_overwrite(s, c, dir, err);
    return s->version < 0 ? 0 : check_append(s, c, rebased, err);
}

static bool done_before(const wr_delta_snapshot *s, const wr_delta_commit *c)
{
    const int64_t *v = c->txn_app ? wr_map_get(&s->state->txns, wr_str_of(c->txn_app)) : NULL;
    return v && c->txn_version <= *v;
}

/* -- the text: one action a line */

static void action(wr_jsonw *w, wr_buf *out, const char *name)
{
    wr_jsonw_init(w, out, 0);
    wr_jsonw_obj(w);
    wr_jsonw_key(w, name);
    wr_jsonw_obj(w);
}

static void end_action(wr_jsonw *w, wr_buf *out)
{
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_buf_char(out, '\n');
}

static void empty_object(wr_jsonw *w, const char *key)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_end(w);
}

static void put_commit_info(wr_buf *out, const wr_delta_snapshot *s, const wr_delta_commit *c, int64_t now_ms)
{
    wr_jsonw w;
    action(&w, out, "commitInfo");
    wr_jsonw_ki64(&w, "timestamp", now_ms);
    wr_jsonw_kstr(&w, "operation", c->operation ? c->operation : "WRITE");
    wr_jsonw_key(&w, "operationParameters");
    if (c->parameters) {
        wr_jsonw_raw(&w, wr_str_of(c->parameters));
    } else {
        wr_jsonw_obj(&w);
        wr_jsonw_kstr(&w, "mode", c->mode == WR_DELTA_APPEND ? "Append" : "Overwrite");
        wr_jsonw_end(&w);
    }
    if (s->version >= 0) wr_jsonw_ki64(&w, "readVersion", s->version);
    wr_jsonw_kbool(&w, "isBlindAppend", c->mode == WR_DELTA_APPEND);
    wr_jsonw_kstr(&w, "engineInfo", "weir/" WEIR_VERSION);
    if (c->user_metadata) wr_jsonw_kstr(&w, "userMetadata", c->user_metadata);
    end_action(&w, out);
}

static void put_protocol(wr_buf *out)
{
    wr_jsonw w;
    action(&w, out, "protocol");
    wr_jsonw_ki64(&w, "minReaderVersion", 1);
    wr_jsonw_ki64(&w, "minWriterVersion", 2);
    end_action(&w, out);
}

static void put_schema(wr_jsonw *w, const wr_delta_commit *c)
{
    wr_buf schema;
    wr_buf_init(&schema, 0);
    wr_delta_schema_write(&schema, c->fields, c->nfields);
    wr_jsonw_kslice(w, "schemaString", wr_buf_view(&schema));
    if (schema.failed) w->out->failed = true;
    wr_buf_fini(&schema);
}

static void put_new_metadata(wr_buf *out, const wr_delta_commit *c, int64_t now_ms)
{
    wr_jsonw w;
    char id[37];
    wr_os_uuid(id);
    action(&w, out, "metaData");
    wr_jsonw_kstr(&w, "id", id);
    wr_jsonw_key(&w, "format");
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "provider", "parquet");
    empty_object(&w, "options");
    wr_jsonw_end(&w);
    put_schema(&w, c);
    wr_jsonw_key(&w, "partitionColumns");
    wr_jsonw_arr(&w);
    wr_jsonw_end(&w);
    empty_object(&w, "configuration");
    wr_jsonw_ki64(&w, "createdTime", now_ms);
    end_action(&w, out);
}

/* The table's own metadata, all of it, with another schema. */
static int put_changed_metadata(wr_buf *out, const wr_delta_snapshot *s, const wr_delta_commit *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    WR_TRY(wr_json_parse(&j, wr_str_of(s->state->metadata), "metaData", err));
    wr_jsonw w;
    size_t i, max;
    yyjson_val *key, *v;
    action(&w, out, "metaData");
    yyjson_obj_foreach(j.root, i, max, key, v)
    {
        if (yyjson_equals_str(key, "schemaString")) {
            put_schema(&w, c);
            continue;
        }
        wr_jsonw_key(&w, yyjson_get_str(key));
        wr_jsonw_val(&w, v);
    }
    end_action(&w, out);
    return 0;
}

static void put_path(wr_jsonw *w, const char *path)
{
    wr_buf url;
    wr_buf_init(&url, 0);
    wr_delta_path_encode(&url, wr_str_of(path));
    wr_jsonw_kslice(w, "path", wr_buf_view(&url));
    if (url.failed) w->out->failed = true;
    wr_buf_fini(&url);
}

static void put_add(wr_buf *out, const wr_delta_file *f)
{
    wr_jsonw w;
    action(&w, out, "add");
    put_path(&w, f->path);
    empty_object(&w, "partitionValues");
    wr_jsonw_ki64(&w, "size", f->size);
    wr_jsonw_ki64(&w, "modificationTime", f->mtime_ms);
    wr_jsonw_kbool(&w, "dataChange", true);
    if (f->stats) wr_jsonw_kstr(&w, "stats", f->stats);
    if (f->sha256 && f->sha256[0]) {
        wr_jsonw_key(&w, "tags");
        wr_jsonw_obj(&w);
        wr_jsonw_kstr(&w, "weir.sha256", f->sha256);
        wr_jsonw_end(&w);
    }
    end_action(&w, out);
}

static void put_remove(wr_buf *out, const wr_delta_file *f, int64_t now_ms)
{
    wr_jsonw w;
    action(&w, out, "remove");
    put_path(&w, f->path);
    wr_jsonw_ki64(&w, "deletionTimestamp", now_ms);
    wr_jsonw_kbool(&w, "dataChange", true);
    wr_jsonw_kbool(&w, "extendedFileMetadata", true);
    empty_object(&w, "partitionValues");
    wr_jsonw_ki64(&w, "size", f->size);
    end_action(&w, out);
}

static void put_txn(wr_buf *out, const wr_delta_commit *c, int64_t now_ms)
{
    wr_jsonw w;
    action(&w, out, "txn");
    wr_jsonw_kstr(&w, "appId", c->txn_app);
    wr_jsonw_ki64(&w, "version", c->txn_version);
    wr_jsonw_ki64(&w, "lastUpdated", now_ms);
    end_action(&w, out);
}

/* A file that stays gets no action: the protocol allows one action a path. */
static void put_files(wr_buf *out, const wr_delta_snapshot *s, const wr_delta_commit *c, const wr_map *given,
                      int64_t now_ms)
{
    bool replaces = c->mode == WR_DELTA_OVERWRITE && s->version >= 0;
    for (size_t i = 0; replaces && i < s->nfiles; i++) {
        if (s->files[i].path && wr_map_find(given, wr_str_of(s->files[i].path)) < 0)
            put_remove(out, &s->files[i], now_ms);
    }
    for (size_t i = 0; i < c->nfiles; i++) {
        if (!replaces || !wr_map_get(&s->state->paths, wr_str_of(c->files[i].path))) put_add(out, &c->files[i]);
    }
}

static int put_commit(wr_buf *out, const wr_delta_snapshot *s, const wr_delta_commit *c, const wr_map *given,
                      wr_err *err)
{
    int64_t now_ms = wr_clock_wall_us() / 1000;
    if (s->version >= 0 && now_ms * 1000 <= s->timestamp_us)
        now_ms = s->timestamp_us / 1000 + 1; /* order over a clock that went back */
    size_t i;
    put_commit_info(out, s, c, now_ms);
    if (s->version < 0) {
        put_protocol(out);
        put_new_metadata(out, c, now_ms);
    } else if (c->mode == WR_DELTA_OVERWRITE && c->nfields && !same_schema(s, c, &i)) {
        WR_TRY(put_changed_metadata(out, s, c, err));
    }
    if (c->txn_app) put_txn(out, c, now_ms);
    put_files(out, s, c, given, now_ms);
    return out->failed ? wr_err_nomem(err) : 0;
}

/* -- putting it there */

static int make_log_folder(const char *dir, wr_arena *a, wr_err *err)
{
    const char *log = wr_path_join(a, dir, "_delta_log");
    if (!log) return wr_err_nomem(err);
    if (wr_file_exists(log)) return 0;
    WR_TRY(wr_file_mkdirs(log, err));
    return wr_file_fsync_dir(dir, err);
}

/* When the last step fails (the fsync of the folder) the name is there all the same: then it is our commit and stays
 * one. */
static bool is_ours(const char *path, wr_str text)
{
    WR_AUTOBUF wr_buf there;
    wr_buf_init(&there, 0);
    return wr_file_read(&there, path, text.n, NULL) == 0 && wr_str_eq(wr_buf_view(&there), text);
}

static int put(const char *dir, int64_t version, wr_str text, wr_arena *a, wr_err *err)
{
    const char *path = wr_delta_commit_path(a, dir, version), *log = wr_path_join(a, dir, "_delta_log");
    if (!path || !log) return wr_err_nomem(err);
    int rc = wr_file_create(path, text, err);
    if (rc == 0 || rc == WEIR_EEXIST || !is_ours(path, text)) return rc;
    return wr_file_fsync_dir(log, err);
}

static int try_commit(int64_t *version, wr_delta_snapshot *s, const char *dir, const wr_delta_commit *c,
                      const wr_map *given, bool rebased, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    if (!a) return wr_err_nomem(err);
    *version = s->version;
    if (done_before(s, c)) return 1;
    WR_TRY(check_table(s, c, dir, rebased, err));
    if (s->version < 0) WR_TRY(make_log_folder(dir, a, err));
    WR_TRY(put_commit(&text, s, c, given, err));
    WR_TRY(put(dir, s->version + 1, wr_buf_view(&text), a, err));
    *version = s->version + 1;
    return 0;
}

static int commit(int64_t *version, wr_delta_snapshot *s, const char *dir, const wr_delta_commit *c,
                  const wr_map *given, wr_err *err)
{
    WR_TRY(wr_delta_read(s, dir, -1, err));
    for (int i = 0; i < ATTEMPTS; i++) {
        int rc = try_commit(version, s, dir, c, given, i > 0, err);
        if (rc != WEIR_EEXIST) return rc;
        WR_TRY(wr_delta_advance(s, dir, err)); /* what the winner wrote; the checks are made again */
    }
    return wr_err_set(err, WEIR_ECONFLICT, "table '%s' changes too fast to commit to it", dir);
}

int wr_delta_write(int64_t *version, const char *dir, const wr_delta_commit *c, wr_err *err)
{
    wr_delta_snapshot s = {.version = -1};
    wr_map given;
    wr_map_init(&given);
    int rc = check_commit(c, &given, err);
    if (rc == 0) rc = commit(version, &s, dir, c, &given, err);
    wr_delta_free(&s);
    wr_map_fini(&given);
    return rc;
}
