/* SPDX-License-Identifier: Apache-2.0 */
/* delta_read.c - the folder _delta_log: which versions there are, replaying them, time travel, history. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/file.h"
#include "store/delta_inside.h"

enum { DIGITS = 20 };
#define COMMIT_MAX ((size_t)64 * WR_LIMIT_DELTA_LINE)

char *wr_delta_commit_path(wr_arena *a, const char *dir, int64_t version)
{
    return wr_arena_printf(a, "%s/_delta_log/%020lld.json", dir, (long long)version);
}

/* "00000000000000000007.json" -> 7; -1 when the name is another one. */
static int64_t version_of(const char *name)
{
    int64_t v = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (!isdigit((unsigned char)name[i])) return -1;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, name[i] - '0', &v)) return -1;
    }
    return strcmp(name + DIGITS, ".json") == 0 ? v : -1;
}

static int gap(const char *dir, int64_t version, wr_err *err)
{
    wr_err_set(err, WEIR_ECORRUPT, "version %lld of table '%s' is missing from its log", (long long)version, dir);
    return wr_err_hint(err, WEIR_ECORRUPT, "restore _delta_log/%020lld.json from a copy", (long long)version);
}

int wr_delta_list(wr_delta_log *out, const char *dir, wr_err *err)
{
    *out = (wr_delta_log){-1, -1, false};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *log = a ? wr_path_join(a, dir, "_delta_log") : NULL;
    if (!log) return wr_err_nomem(err);
    if (!wr_file_exists(log)) return 0;
    char **names;
    size_t n;
    WR_TRY(wr_file_list(&names, &n, a, log, err));
    for (size_t i = 0; i < n; i++) {
        if (strstr(names[i], ".checkpoint.")) out->checkpoint = true;
        int64_t v = version_of(names[i]);
        if (v < 0) continue;
        if (out->first < 0) out->first = v;
        else if (v != out->last + 1) return gap(dir, out->last + 1, err); /* names are sorted */
        out->last = v;
    }
    return 0;
}

static int starts_late(const char *dir, const wr_delta_log *log, wr_err *err)
{
    if (!log->checkpoint) return gap(dir, 0, err);
    wr_err_set(err, WEIR_EUNSUPPORTED, "the log of table '%s' starts with a checkpoint", dir);
    if (log->first > 0)
        wr_err_detail(err, WEIR_EUNSUPPORTED, "the commits before version %lld are gone", (long long)log->first);
    return wr_err_hint(err, WEIR_EUNSUPPORTED,
                       "checkpoints are not read yet: write the table again, or ingest its files");
}

static int no_version(const char *dir, int64_t version, const wr_delta_log *log, wr_err *err)
{
    if (log->last < 0) return wr_err_set(err, WEIR_ENOTFOUND, "there is no table in '%s'", dir);
    wr_err_set(err, WEIR_ENOTFOUND, "table '%s' has no version %lld", dir, (long long)version);
    return wr_err_hint(err, WEIR_ENOTFOUND, "versions 0 to %lld exist", (long long)log->last);
}

static int read_commit(wr_buf *out, int64_t *mtime_us, const char *dir, int64_t version, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *path = a ? wr_delta_commit_path(a, dir, version) : NULL;
    if (!path) return wr_err_nomem(err);
    wr_buf_clear(out);
    WR_TRY(wr_file_read(out, path, COMMIT_MAX, err));
    *mtime_us = wr_file_mtime_us(path);
    return 0;
}

int wr_delta_advance(wr_delta_snapshot *s, const char *dir, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    int64_t mtime = -1;
    WR_TRY(read_commit(&text, &mtime, dir, s->version + 1, err));
    int rc = wr_delta_replay(s, wr_buf_view(&text), s->version + 1, mtime, err);
    return rc < 0 ? wr_err_wrap(err, rc, "table '%s'", dir) : 0;
}

static int read_log(wr_delta_snapshot *s, const char *dir, int64_t version, wr_err *err)
{
    wr_delta_log log;
    WR_TRY(wr_delta_begin(s, err));
    WR_TRY(wr_delta_list(&log, dir, err));
    if (log.first > 0 || (log.last < 0 && log.checkpoint)) return starts_late(dir, &log, err);
    if (version > log.last || version < -1) return no_version(dir, version, &log, err);
    int64_t to = version < 0 ? log.last : version;
    while (s->version < to) WR_TRY(wr_delta_advance(s, dir, err));
    if (to >= 0 && !s->state->metadata)
        return wr_err_set(err, WEIR_ECORRUPT, "table '%s' has no schema in its log", dir);
    return wr_delta_finish(s, err);
}

int wr_delta_read(wr_delta_snapshot *out, const char *dir, int64_t version, wr_err *err)
{
    *out = (wr_delta_snapshot){.version = -1};
    int rc = read_log(out, dir, version, err);
    if (rc < 0) wr_delta_free(out);
    return rc;
}

int wr_delta_txn(int64_t *out, const char *dir, const char *app_id, wr_err *err)
{
    wr_delta_snapshot s;
    int rc = wr_delta_read(&s, dir, -1, err);
    const int64_t *v = rc == 0 ? wr_map_get(&s.state->txns, wr_str_of(app_id)) : NULL;
    if (rc == 0) *out = v ? *v : -1;
    wr_delta_free(&s);
    return rc;
}

/* -- commits one by one, without the snapshot */

static void count_action(wr_delta_entry *e, wr_arena *a, yyjson_val *action)
{
    yyjson_val *add = yyjson_obj_get(action, "add"), *info = yyjson_obj_get(action, "commitInfo");
    if (yyjson_is_obj(add)) {
        yyjson_val *stats = yyjson_obj_get(add, "stats");
        int64_t rows = wr_delta_rows((wr_str){yyjson_get_str(stats), yyjson_get_len(stats)});
        e->files_added++;
        if (rows > 0 && __builtin_add_overflow(e->rows_added, rows, &e->rows_added)) e->rows_added = INT64_MAX;
        int64_t size = yyjson_get_sint(yyjson_obj_get(add, "size"));
        if (size > 0 && __builtin_add_overflow(e->bytes_added, size, &e->bytes_added)) e->bytes_added = INT64_MAX;
    }
    if (yyjson_is_obj(yyjson_obj_get(action, "remove"))) e->files_removed++;
    if (yyjson_is_obj(info)) {
        e->timestamp_us = wr_delta_commit_us(info);
        e->operation = wr_arena_strdup(a, yyjson_get_str(yyjson_obj_get(info, "operation")));
        e->user_metadata = wr_arena_strdup(a, yyjson_get_str(yyjson_obj_get(info, "userMetadata")));
    }
}

static int read_entry(wr_delta_entry *e, wr_arena *a, const char *dir, int64_t version, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    int64_t mtime = -1;
    WR_TRY(read_commit(&text, &mtime, dir, version, err));
    *e = (wr_delta_entry){.version = version, .timestamp_us = -1};
    for (wr_str rest = wr_buf_view(&text); rest.p;) {
        wr_str line = wr_str_trim(wr_str_cut(&rest, '\n'));
        WR_AUTOJSON wr_json j = {0};
        if (!line.n) continue;
        int rc = wr_json_parse(&j, line, "action", err);
        if (rc < 0) return wr_err_wrap(err, rc, "table '%s', version %lld", dir, (long long)version);
        count_action(e, a, j.root);
    }
    if (e->timestamp_us < 0) e->timestamp_us = mtime;
    if (!e->operation) e->operation = wr_arena_strdup(a, "");
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int list_table(wr_delta_log *log, const char *dir, wr_err *err)
{
    WR_TRY(wr_delta_list(log, dir, err));
    if (log->first > 0 || (log->last < 0 && log->checkpoint)) return starts_late(dir, log, err);
    return log->last < 0 ? no_version(dir, 0, log, err) : 0;
}

int wr_delta_version_at(int64_t *out, const char *dir, int64_t time_us, wr_err *err)
{
    wr_delta_log log;
    WR_TRY(list_table(&log, dir, err));
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    int64_t found = -1, before = INT64_MIN, earliest = 0;
    for (int64_t v = 0; v <= log.last; v++) {
        wr_delta_entry e;
        WR_TRY(read_entry(&e, a, dir, v, err));
        int64_t us = v > 0 && e.timestamp_us <= before ? before + 1000 : e.timestamp_us;
        before = us;
        if (v == 0) earliest = us;
        if (us > time_us) break;
        found = v;
    }
    if (found < 0) {
        char text[WR_TIME_TEXT];
        wr_time_format(text, earliest);
        wr_err_set(err, WEIR_ENOTFOUND, "table '%s' did not exist at that time", dir);
        return wr_err_hint(err, WEIR_ENOTFOUND, "its first version is of %s", text);
    }
    *out = found;
    return 0;
}

int wr_delta_history(wr_delta_entry **out, size_t *n, wr_arena *a, const char *dir, size_t limit, wr_err *err)
{
    wr_delta_log log;
    WR_TRY(list_table(&log, dir, err));
    size_t count = (size_t)log.last + 1;
    if (limit && limit < count) count = limit;
    wr_delta_entry *list = wr_arena_calloc(a, count, sizeof *list);
    if (!list) return wr_err_nomem(err);
    for (size_t i = count; i-- > 0;) {
        WR_TRY(read_entry(&list[i], a, dir, log.last - (int64_t)i, err));
        if (i + 1 < count && list[i].timestamp_us <= list[i + 1].timestamp_us)
            list[i].timestamp_us = list[i + 1].timestamp_us + 1000;
    }
    *out = list;
    *n = count;
    return 0;
}
