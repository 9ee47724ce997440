/* SPDX-License-Identifier: Apache-2.0 */
/* backup.c - copying a project's state in the order that backup.h explains. */
#include "core/backup.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "base/vec.h"
#include "io/file.h"
#include "store/applog.h"

enum { DEPTH = 32 };

/* What a pass takes of a file. */
typedef enum { PASS_SEGMENTS, PASS_CONTENT, PASS_TABLE_LOGS, PASS_TABLE_FILES, PASS_REST, PASS_NEXT } pass_kind;

typedef struct {
    const wr_backup_opt *opt;
    wr_backup_report *report;
    pass_kind pass;
    int64_t seen;
} backup;

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0) return true;
    return false;
}

static const char *const logs[] = {"track", "log", NULL}, *const content[] = {"objects", "artifacts", NULL},
                         *const lake[] = {"lake", NULL};

/* At the top: folders of the other passes, the records, scratch. */
static bool is_rest(const char *name)
{
    static const char *const not [] = {"tmp", "cache", "up.json", NULL};
    return !is_one_of(name, logs) && !is_one_of(name, content) && !is_one_of(name, lake) && !is_one_of(name, not ) &&
           !wr_str_starts(wr_str_of(name), "weir.db");
}

static bool is_lock(const char *name) { return strcmp(name, "lock") == 0 || wr_str_ends(wr_str_of(name), ".lock"); }

/* Temporary files of io/file.h and of others who write a file whole. */
static bool is_draft(const char *name) { return wr_str_ends(wr_str_of(name), ".tmp"); }

static bool takes(const backup *b, const char *name, bool in_delta_log)
{
    if (is_lock(name) || is_draft(name)) return false;
    switch (b->pass) {
    case PASS_SEGMENTS:
        return strcmp(name, "next") != 0;
    case PASS_NEXT:
        return strcmp(name, "next") == 0;
    case PASS_TABLE_LOGS:
        return in_delta_log;
    case PASS_TABLE_FILES:
        return !in_delta_log;
    case PASS_CONTENT:
    case PASS_REST:
        break;
    }
    return true;
}

static bool immutable(const backup *b)
{
    return b->pass == PASS_CONTENT || b->pass == PASS_TABLE_LOGS || b->pass == PASS_TABLE_FILES;
}

/* A segment that was dropped, an object that was retired since the folder was listed: what they held is elsewhere, or
 * deleted. */
static int take_file(backup *b, const char *from, const char *to, wr_err *err)
{
    struct stat st;
    if (immutable(b) && wr_file_exists(to)) return 0;
    if (stat(from, &st) < 0 && errno == ENOENT) return 0;
    bool linked = immutable(b) && !b->opt->copy && link(from, to) == 0;
    if (!linked) {
        int rc = wr_file_copy(from, to, err);
        if (rc == WEIR_ENOTFOUND) return 0;
        if (rc < 0) return rc;
        if (chmod(to, st.st_mode & 0777) < 0)
            return wr_err_sys(err, errno, "cannot set the mode of \"%s\"", to); /* a secret stays one */
        b->report->bytes += st.st_size;
    }
    b->report->files++;
    b->report->linked += linked;
    if (b->opt->progress && ++b->seen % 64 == 0) b->opt->progress(b->opt->arg, "backup", -1);
    return 0;
}

static int take_folder(backup *b, const char *from, const char *to, bool in_delta_log, int depth, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    struct stat st;
    if (!a) return wr_err_nomem(err);
    if (depth > DEPTH) return wr_err_set(err, WEIR_ELIMIT, "folders below \"%s\" are too deep", from);
    WR_TRY(wr_file_list(&names, &n, a, from, err));
    WR_TRY(wr_file_mkdirs(to, err));
    for (size_t i = 0; i < n; i++) {
        const char *source = wr_path_join(a, from, names[i]), *target = wr_path_join(a, to, names[i]);
        if (!source || !target) return wr_err_nomem(err);
        if (lstat(source, &st) < 0) continue; /* gone meanwhile */
        if (S_ISDIR(st.st_mode)) {
            if (b->pass == PASS_CONTENT && depth == 0 && strcmp(names[i], "tmp") == 0) continue;
            WR_TRY(take_folder(b, source, target, in_delta_log || strcmp(names[i], "_delta_log") == 0, depth + 1, err));
        } else if (S_ISREG(st.st_mode) && takes(b, names[i], in_delta_log)) {
            WR_TRY(take_file(b, source, target, err));
        }
    }
    return immutable(b) ? wr_file_fsync_dir(to, err) : 0; /* copies sync it themselves */
}

static int take_all(backup *b, pass_kind pass, const char *const *folders, const char *from, const char *to,
                    wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    b->pass = pass;
    for (; *folders; folders++) {
        const char *source = wr_path_join(a, from, *folders), *target = wr_path_join(a, to, *folders);
        if (!source || !target) return wr_err_nomem(err);
        if (wr_file_exists(source)) WR_TRY(take_folder(b, source, target, false, 0, err));
    }
    return 0;
}

static int take_rest(backup *b, const char *from, const char *to, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    struct stat st;
    if (!a) return wr_err_nomem(err);
    b->pass = PASS_REST;
    WR_TRY(wr_file_list(&names, &n, a, from, err));
    for (size_t i = 0; i < n; i++) {
        const char *source = wr_path_join(a, from, names[i]), *target = wr_path_join(a, to, names[i]);
        if (!source || !target) return wr_err_nomem(err);
        if (!is_rest(names[i]) || lstat(source, &st) < 0) continue;
        if (S_ISDIR(st.st_mode)) WR_TRY(take_folder(b, source, target, false, 0, err));
        else if (S_ISREG(st.st_mode) && takes(b, names[i], false)) WR_TRY(take_file(b, source, target, err));
    }
    return 0;
}

static int take_records(backup *b, wr_project *p, const char *to, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_db *db;
    const char *path = a ? wr_path_join(a, to, "weir.db") : NULL;
    if (!path) return wr_err_nomem(err);
    if (b->opt->files_only) return 0;
    WR_TRY(wr_project_db(&db, p, err));
    if (wr_db_is_shared(db)) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "the records are in a PostgreSQL database");
        return wr_err_hint(err, WEIR_EUNSUPPORTED,
                           "--files-only copies all the rest; pg_dump after it copies the records");
    }
    WR_TRY(wr_db_backup(db, path, err));
    b->report->files++;
    b->report->bytes += wr_file_size(path);
    return 0;
}

/* A segment of the copy may be one that the copied records or lake, which are younger, call drained: nothing may be
 * added to it. */
static int renew_logs(const char *to, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    for (const char *const *name = logs; a && *name; name++) {
        const char *dir = wr_path_join(a, to, *name), *next = dir ? wr_path_join(a, dir, "next") : NULL;
        if (!next) return wr_err_nomem(err);
        if (wr_file_exists(next)) WR_TRY(wr_applog_renew(dir, err));
    }
    return a ? 0 : wr_err_nomem(err);
}

static int take(backup *b, wr_project *p, const char *from, const char *to, wr_err *err)
{
    if (mkdir(to, 0700) < 0)
        return wr_err_sys(err, errno, "cannot make the folder \"%s\"", to); /* it will have secrets */
    WR_TRY(take_all(b, PASS_SEGMENTS, logs, from, to, err));
    WR_TRY(take_all(b, PASS_CONTENT, content, from, to, err));
    WR_TRY(take_records(b, p, to, err));
    WR_TRY(take_all(b, PASS_TABLE_LOGS, lake, from, to, err));
    WR_TRY(take_all(b, PASS_TABLE_FILES, lake, from, to, err));
    WR_TRY(take_all(b, PASS_CONTENT, content, from, to, err));
    WR_TRY(take_rest(b, from, to, err));
    WR_TRY(take_all(b, PASS_NEXT, logs, from, to, err));
    WR_TRY(renew_logs(to, err));
    return wr_file_fsync_dir(to, err);
}

int wr_backup(wr_backup_report *out, wr_project *p, const wr_backup_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    backup b = {.opt = opt, .report = out};
    *out = (wr_backup_report){0};
    if (!a) return wr_err_nomem(err);
    const char *from, *to = wr_path_absolute(a, opt->to);
    const char *partial = to ? wr_arena_printf(a, "%s.partial", to) : NULL, *above = to ? wr_path_dir(a, to) : NULL;
    if (!partial || !above) return wr_err_nomem(err);
    WR_TRY(wr_project_state(&from, p, "", false, err));
    size_t n = strlen(from);
    if (n && from[n - 1] == '/') n--;
    if (strncmp(to, from, n) == 0 && to[n] == '/') {
        wr_err_set(err, WEIR_EINVAL, "\"%s\" is inside what is copied", to);
        return wr_err_hint(err, WEIR_EINVAL, "choose a folder outside of \"%s\"", from);
    }
    if (wr_file_exists(to) || wr_file_exists(partial)) {
        wr_err_set(err, WEIR_EEXIST, "\"%s\" is there already", wr_file_exists(to) ? to : partial);
        return wr_err_hint(err, WEIR_EEXIST, "each backup is a folder of its own, such as backups/2026-01-31");
    }
    WR_TRY(wr_file_mkdirs(above, err));
    int rc = take(&b, p, from, partial, err);
    if (rc == 0 && rename(partial, to) < 0) rc = wr_err_sys(err, errno, "cannot name the backup \"%s\"", to);
    if (rc == 0) rc = wr_file_fsync_dir(above, err);
    if (rc < 0) wr_file_remove_tree(partial, NULL);
    return rc;
}
