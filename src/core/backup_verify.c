/* SPDX-License-Identifier: Apache-2.0 */
/* backup_verify.c - is a backup whole? Everything is read. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/num.h"
#include "core/backup.h"
#include "core/schema.h"
#include "io/file.h"
#include "store/applog.h"
#include "store/delta.h"

enum { TREE_MAX = 256 << 20 /* bytes, as store/objects has it */ };

typedef struct {
    wr_backup_check *out;
    const char *dir;
    void (*problem)(void *arg, const char *text);
    void *arg;
} check;

static void wrong(check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void wrong(check *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->out->problems++;
    if (c->problem) c->problem(c->arg, text);
}

/* ---- content ---- */

static int check_bucket(check *c, const char *dir, const char *bucket, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names, hash[WR_SHA256_HEX];
    size_t n;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_file_list(&names, &n, a, dir, err));
    for (size_t i = 0; i < n; i++) {
        const char *path = wr_path_join(a, dir, names[i]);
        if (!path) return wr_err_nomem(err);
        WR_TRY(wr_file_sha256(hash, path, err));
        c->out->objects++;
        if (strncmp(hash, bucket, 2) != 0 || strcmp(hash + 2, names[i]) != 0)
            wrong(c, "%s does not have the content that its name says", path);
    }
    return 0;
}

static int check_objects(check *c, const char *name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **buckets;
    size_t n;
    const char *dir = a ? wr_path_join(a, c->dir, name) : NULL;
    if (!dir) return wr_err_nomem(err);
    if (!wr_file_exists(dir)) return 0;
    WR_TRY(wr_file_list(&buckets, &n, a, dir, err));
    for (size_t i = 0; i < n; i++) {
        if (strlen(buckets[i]) != 2) continue;
        const char *bucket = wr_path_join(a, dir, buckets[i]);
        if (!bucket) return wr_err_nomem(err);
        WR_TRY(check_bucket(c, bucket, buckets[i], err));
    }
    return 0;
}

/* ---- records ---- */

static const char *object_path(const check *c, wr_arena *a, const char *folder, wr_str id)
{
    return wr_arena_printf(a, "%s/%s/%.2s/%.*s", c->dir, folder, id.n ? id.p : "", (int)(id.n > 2 ? id.n - 2 : 0),
                           id.n > 2 ? id.p + 2 : "");
}

static int check_artifacts(check *c, wr_db *db, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_stmt *s;
    int rc;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(db, &s, "SELECT path, object, size FROM artifacts", err));
    while ((rc = wr_step(s, err)) > 0) {
        wr_str object = wr_stmt_str(s, 1);
        wr_arena_clear(a);
        const char *path = object_path(c, a, "artifacts", object);
        int64_t size = path ? wr_file_size(path) : -1;
        c->out->artifacts++;
        if (size != wr_stmt_i64(s, 2))
            wrong(c, "the content of artifact %.*s is %s", WR_STR_FMT(wr_str_fit(wr_stmt_str(s, 0), 300)),
                  size < 0 ? "missing" : "of another size");
    }
    wr_stmt_done(s);
    return rc;
}

/* One of a package's files: "sha256 size path". */
static void check_package_file(check *c, wr_arena *a, wr_str line, const char *version)
{
    int64_t size = -1;
    wr_str hash = wr_str_cut(&line, ' '), number = wr_str_cut(&line, ' ');
    const char *path = object_path(c, a, "objects", hash);
    if (!path || wr_num_i64(&size, number, NULL) < 0 || wr_file_size(path) != size)
        wrong(c, "the file %.*s of %s is %s", WR_STR_FMT(wr_str_fit(line, 200)), version,
              path && wr_file_exists(path) ? "of another size" : "missing");
}

/* What registered versions are made of: trees of objects. */
static int check_packages(check *c, wr_db *db, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_stmt *s;
    int rc;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(db, &s,
                         "SELECT m.name, v.version, v.package FROM registered_versions v JOIN registered_models m ON "
                         "m.id = v.model WHERE length(v.package) > 2",
                         err));
    while ((rc = wr_step(s, err)) > 0) {
        WR_AUTOBUF wr_buf tree = {0};
        wr_str rest;
        wr_arena_clear(a);
        const char *path = object_path(c, a, "objects", wr_stmt_str(s, 2));
        const char *version = wr_arena_printf(a, "%.*s@%lld", WR_STR_FMT(wr_str_fit(wr_stmt_str(s, 0), 200)),
                                              (long long)wr_stmt_i64(s, 1));
        if (!path || !version) rc = wr_err_nomem(err);
        else if (wr_file_read(&tree, path, TREE_MAX, NULL) < 0) wrong(c, "the package of %s is missing", version);
        for (rest = wr_buf_view(&tree); rest.n && version;) check_package_file(c, a, wr_str_cut(&rest, '\n'), version);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return rc;
}

static int check_integrity(check *c, wr_db *db, wr_err *err)
{
    wr_stmt *s;
    int rc;
    WR_TRY(wr_db_prepare(db, &s, "PRAGMA integrity_check(20)", err));
    while ((rc = wr_step(s, err)) > 0)
        if (!wr_str_is(wr_stmt_str(s, 0), "ok"))
            wrong(c, "records: %.*s", WR_STR_FMT(wr_str_fit(wr_stmt_str(s, 0), 300)));
    wr_stmt_done(s);
    return rc;
}

/* How many migrations it has, from SQLite's header: an older backup is as good. -1: it is none. */
static int migrations_of(const char *path)
{
    unsigned char head[64];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    if (n < sizeof head || memcmp(head, "SQLite format 3", 16) != 0) return -1;
    return (int)((uint32_t)head[60] << 24 | (uint32_t)head[61] << 16 | (uint32_t)head[62] << 8 | head[63]);
}

static int check_records(check *c, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_err why = {0};
    wr_db *db = NULL;
    wr_db_opt opt = {.migrations = wr_schema_migrations, .read_only = true};
    const char *path = a ? wr_path_join(a, c->dir, "weir.db") : NULL;
    if (!path) return wr_err_nomem(err);
    c->out->records = wr_file_exists(path);
    if (!c->out->records) return 0;
    opt.n = migrations_of(path);
    if (opt.n < 0 || opt.n > wr_schema_count) {
        wrong(c, opt.n < 0 ? "records: %s is no database" : "records: %s is of a newer weir", path);
        return 0;
    }
    int rc = wr_db_open(&db, path, &opt, &why);
    if (rc == 0) rc = check_integrity(c, db, &why);
    if (rc == 0) rc = check_artifacts(c, db, &why);
    if (rc == 0) rc = check_packages(c, db, &why);
    if (db) wr_db_close(db);
    if (rc < 0) wrong(c, "records: %s %s", why.msg, why.detail);
    return 0;
}

/* ---- lake and logs ---- */

static int check_table(check *c, const char *dir, wr_err *err)
{
    wr_delta_snapshot t;
    wr_err why = {0};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    int rc = wr_delta_read(&t, dir, -1, &why);
    c->out->tables++;
    if (rc < 0) {
        wrong(c, "%s: %s", dir, why.msg);
        return 0;
    }
    for (size_t i = 0; i < t.nfiles; i++) {
        const char *path = wr_path_join(a, dir, t.files[i].path);
        if (!path) break;
        c->out->table_files++;
        if (wr_file_size(path) != t.files[i].size)
            wrong(c, "%s is %s", path, wr_file_exists(path) ? "of another size" : "missing");
    }
    wr_delta_free(&t);
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int check_lake(check *c, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    const char *dir = a ? wr_path_join(a, c->dir, "lake") : NULL;
    if (!dir) return wr_err_nomem(err);
    if (!wr_file_exists(dir)) return 0;
    WR_TRY(wr_file_list(&names, &n, a, dir, err));
    for (size_t i = 0; i < n; i++) {
        const char *table = wr_path_join(a, dir, names[i]), *log = table ? wr_path_join(a, table, "_delta_log") : NULL;
        if (!log) return wr_err_nomem(err);
        if (wr_file_exists(log)) WR_TRY(check_table(c, table, err));
    }
    return 0;
}

static int count_record(void *ctx, uint32_t type, wr_str payload)
{
    check *c = ctx;
    (void)type;
    (void)payload;
    c->out->log_records++;
    return 0;
}

/* A record that was being written when its segment was copied is cut off, as after a crash: it was not acknowledged. */
static int check_log(check *c, const char *name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    uint64_t *numbers;
    size_t n;
    wr_err why = {0};
    const char *dir = a ? wr_path_join(a, c->dir, name) : NULL;
    if (!dir) return wr_err_nomem(err);
    if (!wr_file_exists(dir)) return 0;
    WR_TRY(wr_applog_list(&numbers, &n, a, dir, err));
    for (size_t i = 0; i < n; i++)
        if (wr_applog_read(dir, numbers[i], count_record, c, &why) < 0)
            wrong(c, "%s, segment %llu: %s", dir, (unsigned long long)numbers[i], why.msg);
    return 0;
}

int wr_backup_verify(wr_backup_check *out, const char *dir, void (*problem)(void *arg, const char *text), void *arg,
                     wr_err *err)
{
    struct stat st;
    check c = {out, dir, problem, arg};
    *out = (wr_backup_check){0};
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return wr_err_set(err, WEIR_ENOTFOUND, "there is no folder \"%s\"", dir);
    WR_TRY(check_records(&c, err));
    WR_TRY(check_objects(&c, "objects", err));
    WR_TRY(check_objects(&c, "artifacts", err));
    WR_TRY(check_lake(&c, err));
    WR_TRY(check_log(&c, "track", err));
    WR_TRY(check_log(&c, "log", err));
    if (!out->records && !out->objects && !out->tables && !out->log_records)
        wrong(&c, "%s holds nothing of a project", dir);
    return 0;
}
