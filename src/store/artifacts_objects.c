/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_objects.c - artifacts by content: bytes in an object store, the index of paths in the database.
 *
 * A path is a row; the same bytes under many paths are one object. An object is removed when no row names it any more:
 *   a write that takes a row away notes its object in artifact_orphans, in the same transaction;
 *   afterwards purge() looks, inside a write, whether a row names a noted object, and if none does, moves it away.
 * Writes are one after the other, so a row cannot come in between; and whoever adds a row looks in the same write
 * whether the object is still there, else publishes it again. A crash at any point leaves at most objects without a
 * row, which wr_artifacts_sweep() finds, never a row without its object.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/vec.h"
#include "io/file.h"
#include "store/artifacts_ops.h"

const char wr_artifacts_schema[] =
    "CREATE TABLE artifacts (path TEXT PRIMARY KEY, object TEXT NOT NULL, size INTEGER NOT NULL, mtime_us INTEGER NOT "
    "NULL) WITHOUT ROWID;"
    "CREATE INDEX artifacts_object ON artifacts (object);"
    "CREATE TABLE artifact_orphans (object TEXT PRIMARY KEY, mark INTEGER NOT NULL) WITHOUT ROWID;";

enum { PURGE_STEP = 200, TRIES = 5 };

typedef struct {
    wr_artifacts base;
    wr_objects *objects;
    wr_db *db;
} store;

typedef struct {
    wr_artifact_writer base;
    store *s;
    wr_objects_writer *content;
    wr_buf path;
} writer;

static bool takes(wr_str where) { return wr_str_is(where, "objects"); }

static void close_store(wr_artifacts *base) { wr_free(base); }

static int open_store(wr_artifacts **out, const char *where, const wr_artifacts_opt *opt, wr_err *err)
{
    (void)where;
    if (!opt->objects || !opt->db) return wr_err_set(err, WEIR_EINVAL, "artifacts as objects need a project");
    store *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->objects = opt->objects;
    s->db = opt->db;
    *out = &s->base;
    return 0;
}

/* ---- statements ---- */

/* Prepares `sql` with one or two texts bound. */
static int query(wr_stmt **out, wr_db *db, const char *sql, wr_str a, wr_str b, wr_err *err)
{
    WR_TRY(wr_db_prepare(db, out, sql, err));
    wr_bind_str(*out, 1, a);
    if (b.p) wr_bind_str(*out, 2, b);
    return 0;
}

/* Is there a row? 1, 0 or an error. */
static int any(wr_db *db, const char *sql, wr_str a, wr_str b, wr_err *err)
{
    wr_stmt *st;
    WR_TRY(query(&st, db, sql, a, b, err));
    int rc = wr_step(st, err);
    wr_stmt_done(st);
    return rc;
}

static int run(wr_db *db, const char *sql, wr_str a, wr_str b, wr_err *err)
{
    int rc = any(db, sql, a, b, err);
    return rc < 0 ? rc : 0;
}

/* What lies below a folder are the paths from "folder/" up to before "folder0": '0' follows '/'. */
typedef struct {
    wr_buf from, to;
} range;

static int range_of(range *r, wr_str folder, wr_err *err)
{
    wr_buf_init(&r->from, WR_ARTIFACT_PATH + 8);
    wr_buf_init(&r->to, WR_ARTIFACT_PATH + 8);
    wr_buf_slice(&r->from, folder);
    wr_buf_slice(&r->to, folder);
    wr_buf_char(&r->from, '/');
    wr_buf_char(&r->to, '0');
    return r->from.failed || r->to.failed ? wr_err_nomem(err) : 0;
}

static void range_fini(range *r)
{
    wr_buf_fini(&r->from);
    wr_buf_fini(&r->to);
}

/* 1: something lies below the path. */
static int has_below(wr_db *db, wr_str path, wr_err *err)
{
    range r;
    int rc = range_of(&r, path, err);
    if (rc == 0)
        rc = any(db, "SELECT 1 FROM artifacts WHERE path >= ? AND path < ? LIMIT 1", wr_buf_view(&r.from),
                 wr_buf_view(&r.to), err);
    range_fini(&r);
    return rc;
}

/* ---- writing ---- */

static void drop(wr_artifact_writer *base)
{
    writer *w = (writer *)base;
    wr_objects_writer_free(w->content);
    wr_buf_fini(&w->path);
    wr_free(w);
}

static int add(wr_artifact_writer *base, wr_str piece, wr_err *err)
{
    return wr_objects_writer_add(((writer *)base)->content, piece, err);
}

/* A path is a file or a folder: none of its folders is a file, and nothing lies below it. */
static int check_place(wr_db *db, wr_str path, wr_err *err)
{
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] != '/') continue;
        wr_str above = wr_str_sub(path, 0, i);
        int rc = any(db, "SELECT 1 FROM artifacts WHERE path = ?", above, (wr_str){0}, err);
        if (rc != 0) return rc < 0 ? rc : wr_artifact_in_the_way(above, "file", err);
    }
    int rc = has_below(db, path, err);
    return rc > 0 ? wr_artifact_in_the_way(path, "folder", err) : rc;
}

typedef struct {
    writer *w;
    char id[WR_SHA256_HEX];
    uint64_t size;
    int64_t mtime_us;
    bool vanished, replaced;
} put;

static const char note_path[] =
    "INSERT INTO artifact_orphans (object, mark) SELECT object, CAST(? AS INTEGER) FROM artifacts "
    "WHERE path = ? ON CONFLICT (object) DO UPDATE SET mark = excluded.mark";
static const char note_below[] =
    "INSERT INTO artifact_orphans (object, mark) SELECT DISTINCT object, CAST(? AS INTEGER) FROM artifacts "
    "WHERE path >= ? AND path < ? ON CONFLICT (object) DO UPDATE SET mark = excluded.mark";
static const char note_object[] = "INSERT INTO artifact_orphans (mark, object) VALUES (?, ?) "
                                  "ON CONFLICT (object) DO UPDATE SET mark = excluded.mark";

/* One of the three above. */
static int note(wr_db *db, const char *sql, wr_str a, wr_str b, wr_err *err)
{
    wr_stmt *st;
    uint64_t mark;
    wr_os_random(&mark, sizeof mark);
    WR_TRY(wr_db_prepare(db, &st, sql, err));
    wr_bind_i64(st, 1, (int64_t)(mark >> 1));
    wr_bind_str(st, 2, a);
    if (b.p) wr_bind_str(st, 3, b);
    int rc = wr_step(st, err);
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* The object of a path that gets another one may be nobody's then. */
static int note_old(put *p, wr_db *db, wr_err *err)
{
    wr_str path = wr_buf_view(&p->w->path), id = wr_str_of(p->id);
    int rc = any(db, "SELECT 1 FROM artifacts WHERE path = ? AND object <> ?", path, id, err);
    if (rc > 0) rc = note(db, note_path, path, (wr_str){0}, err);
    else return rc;
    p->replaced = true;
    return rc;
}

static int put_row(wr_db *db, void *arg, wr_err *err)
{
    put *p = arg;
    store *s = p->w->s;
    wr_stmt *st;
    p->replaced = false;
    WR_TRY(check_place(db, wr_buf_view(&p->w->path), err));
    p->vanished = !wr_objects_has(s->objects, p->id);
    if (p->vanished) return wr_err_set(err, WEIR_ECONFLICT, "object '%s' was removed meanwhile", p->id);
    WR_TRY(note_old(p, db, err));
    WR_TRY(run(db, "DELETE FROM artifact_orphans WHERE object = ?", wr_str_of(p->id), (wr_str){0}, err));
    WR_TRY(wr_db_prepare(db, &st,
                         "INSERT INTO artifacts (path, object, size, mtime_us) VALUES (?, ?, ?, ?) ON CONFLICT (path) "
                         "DO UPDATE SET object = excluded.object, size = excluded.size, mtime_us = excluded.mtime_us",
                         err));
    wr_bind_str(st, 1, wr_buf_view(&p->w->path));
    wr_bind_cstr(st, 2, p->id);
    wr_bind_i64(st, 3, (int64_t)p->size);
    wr_bind_i64(st, 4, p->mtime_us);
    int rc = wr_step(st, err);
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* ---- objects that nothing names ---- */

typedef struct {
    char id[WR_SHA256_HEX];
    int64_t mark;
} noted;

typedef struct {
    store *s;
    noted at[PURGE_STEP];
    int n;
} purge_step;

/* Notes of objects that no committed row names. */
static int pick(purge_step *p, wr_err *err)
{
    wr_stmt *st;
    p->n = 0;
    WR_TRY(wr_db_prepare(p->s->db, &st,
                         "SELECT object, mark FROM artifact_orphans AS o WHERE NOT EXISTS "
                         "(SELECT 1 FROM artifacts AS a WHERE a.object = o.object) ORDER BY object LIMIT 200",
                         err));
    int rc;
    while ((rc = wr_step(st, err)) > 0 && p->n < PURGE_STEP) {
        wr_str id = wr_stmt_str(st, 0);
        if (id.n != WR_SHA256_HEX - 1) continue;
        memcpy(p->at[p->n].id, id.p, id.n);
        p->at[p->n].id[id.n] = 0;
        p->at[p->n++].mark = wr_stmt_i64(st, 1);
    }
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* Is the note the one that was picked? Then it is taken away. */
static int claim(wr_db *db, const noted *o, wr_err *err)
{
    wr_stmt *st;
    WR_TRY(wr_db_prepare(db, &st, "DELETE FROM artifact_orphans WHERE object = ? AND mark = ? RETURNING 1", err));
    wr_bind_cstr(st, 1, o->id);
    wr_bind_i64(st, 2, o->mark);
    int rc = wr_step(st, err);
    int more = rc > 0 ? wr_step(st, err) : 0;
    wr_stmt_done(st);
    return more < 0 ? more : rc;
}

static int purge_some(wr_db *db, void *arg, wr_err *err)
{
    purge_step *p = arg;
    int rc = 0;
    for (int i = 0; i < p->n && rc >= 0; i++) {
        rc = claim(db, &p->at[i], err);
        if (rc > 0) rc = wr_objects_retire(p->s->objects, p->at[i].id, err);
    }
    return rc < 0 ? rc : 0;
}

/* What fails here stays noted and is tried again the next time: nobody has to be told. */
static void purge(store *s)
{
    purge_step p = {.s = s, .n = PURGE_STEP};
    while (p.n == PURGE_STEP) {
        if (pick(&p, NULL) < 0 || p.n == 0 || wr_db_write(s->db, purge_some, &p, NULL) < 0) break;
    }
    wr_objects_empty(s->objects);
}

/* An upload that failed after its object was published, most likely because the disk is full: nothing can be noted, and
 * the object goes unless a row names it. */
static int forget(wr_db *db, void *arg, wr_err *err)
{
    put *p = arg;
    int rc = any(db, "SELECT 1 FROM artifacts WHERE object = ? LIMIT 1", wr_str_of(p->id), (wr_str){0}, err);
    return rc ? (rc < 0 ? rc : 0) : wr_objects_retire(p->w->s->objects, p->id, err);
}

static void take_back(put *p)
{
    store *s = p->w->s;
    int named = any(s->db, "SELECT 1 FROM artifacts WHERE object = ? LIMIT 1", wr_str_of(p->id), (wr_str){0}, NULL);
    if (named == 0 && wr_db_write(s->db, forget, p, NULL) == 0) wr_objects_empty(s->objects);
}

static int commit(wr_artifact_writer *base, wr_artifact_info *info, wr_err *err)
{
    writer *w = (writer *)base;
    put p = {.w = w};
    int rc = WEIR_ECONFLICT;
    p.vanished = true;
    for (int i = 0; i < TRIES && rc == WEIR_ECONFLICT && p.vanished; i++) {
        p.vanished = false;
        WR_TRY(wr_objects_writer_publish(w->content, p.id, &p.size, err));
        wr_fault_crash_point();
        p.mtime_us = wr_clock_wall_us();
        rc = wr_db_write(w->s->db, put_row, &p, err);
    }
    if (rc < 0) {
        if (rc != WEIR_EIO) take_back(&p); /* after a failed sync the row may come back, and needs its object */
        return rc;
    }
    if (p.replaced) purge(w->s);
    *info = (wr_artifact_info){.size = (int64_t)p.size, .mtime_us = p.mtime_us};
    memcpy(info->etag, p.id, sizeof p.id);
    return 0;
}

static const wr_artifact_writer_ops writer_ops = {.add = add, .commit = commit, .drop = drop};

static int write_to(wr_artifact_writer **out, wr_artifacts *base, wr_str path, int64_t size, wr_err *err)
{
    store *s = (store *)base;
    WR_TRY(check_place(s->db, path, err)); /* told now rather than after the whole body */
    WR_TRY(wr_artifact_room(wr_objects_dir(s->objects), size, err));
    writer *w = wr_calloc(1, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->base.ops = &writer_ops;
    w->s = s;
    wr_buf_init(&w->path, WR_ARTIFACT_PATH + 1);
    wr_buf_slice(&w->path, path);
    int rc = w->path.failed ? wr_err_nomem(err) : wr_objects_writer_new(&w->content, s->objects, err);
    if (rc < 0) drop(&w->base);
    else *out = &w->base;
    return rc;
}

/* ---- reading ---- */

typedef struct {
    char id[WR_SHA256_HEX];
    int64_t size, mtime_us;
} row;

/* 1: found. */
static int find(row *out, wr_db *db, wr_str path, wr_err *err)
{
    wr_stmt *st;
    WR_TRY(query(&st, db, "SELECT object, size, mtime_us FROM artifacts WHERE path = ?", path, (wr_str){0}, err));
    int rc = wr_step(st, err);
    if (rc > 0) {
        wr_str id = wr_stmt_str(st, 0);
        out->size = wr_stmt_i64(st, 1);
        out->mtime_us = wr_stmt_i64(st, 2);
        if (id.n == WR_SHA256_HEX - 1) memcpy(out->id, id.p, id.n);
        out->id[id.n == WR_SHA256_HEX - 1 ? id.n : 0] = 0;
    }
    wr_stmt_done(st);
    return rc;
}

static void describe(wr_artifact_info *info, const row *r)
{
    *info = (wr_artifact_info){.size = r->size, .mtime_us = r->mtime_us};
    memcpy(info->etag, r->id, sizeof r->id);
}

static int damaged(wr_str path, const char *id, wr_err *err)
{
    wr_err_set(err, WEIR_ECORRUPT, "the content of artifact '%.*s' is missing", WR_STR_FMT(wr_str_fit(path, 200)));
    return wr_err_detail(err, WEIR_ECORRUPT, "object '%s' is not there or has another size", id);
}

static int open_object(int *fd, store *s, const row *r, wr_err *err)
{
    struct stat st;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *path = a ? wr_objects_path(s->objects, a, r->id) : NULL;
    *fd = -1;
    if (!path) return a ? 0 : wr_err_nomem(err);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return errno == ENOENT ? 0 : wr_err_sys(err, errno, "cannot open '%s'", path);
    if (fstat(*fd, &st) == 0 && st.st_size == r->size) return 0;
    close(*fd);
    *fd = -1;
    return 0;
}

static int read_from(wr_artifact_reader **out, wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    row r = {0};
    int fd = -1;
    for (int i = 0; i < TRIES && fd < 0; i++) { /* a replaced object may go between the look and the opening */
        int rc = find(&r, s->db, path, err);
        if (rc == 0) {
            rc = has_below(s->db, path, err);
            if (rc >= 0) rc = rc ? wr_artifact_is_folder(path, err) : wr_artifact_missing(path, err);
        }
        if (rc < 0) return rc;
        WR_TRY(open_object(&fd, s, &r, err));
    }
    if (fd < 0) return damaged(path, r.id, err);
    wr_artifact_reader *reader = wr_calloc(1, sizeof *reader);
    if (!reader) {
        close(fd);
        return wr_err_nomem(err);
    }
    reader->fd = fd;
    describe(&reader->info, &r);
    *out = reader;
    return 0;
}

static int stat_of(wr_artifact_info *out, wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    row r = {0};
    int rc = find(&r, s->db, path, err);
    if (rc > 0) {
        describe(out, &r);
        return 0;
    }
    if (rc == 0) rc = has_below(s->db, path, err);
    if (rc <= 0) return rc < 0 ? rc : wr_artifact_missing(path, err);
    *out = (wr_artifact_info){.is_dir = true};
    return 0;
}

/* ---- listing ---- */

typedef WR_VEC(wr_artifact_entry) entries;

/* One entry from a row; of a folder's many rows only the first is looked at: `next` is where to go on. */
static int add_row(entries *all, wr_arena *a, wr_stmt *st, size_t skip, wr_buf *next, wr_err *err)
{
    wr_str path = wr_stmt_str(st, 0), name = wr_str_sub(path, skip, path.n);
    const char *slash = memchr(name.p, '/', name.n);
    wr_artifact_entry e = {.is_dir = slash != NULL};
    if (slash) name.n = (size_t)(slash - name.p);
    else e.size = wr_stmt_i64(st, 1);
    if (!slash) e.mtime_us = wr_stmt_i64(st, 2);
    wr_buf_clear(next);
    if (slash) {
        wr_buf_slice(next, wr_str_sub(path, 0, skip + name.n));
        wr_buf_char(next, '0');
    }
    if (all->n >= WR_ARTIFACT_LIST_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "the folder has more than %d artifacts", WR_ARTIFACT_LIST_MAX);
    e.name = wr_arena_strndup(a, name.p, name.n);
    return e.name && !next->failed && wr_vec_push(all, e) == 0 ? 0 : wr_err_nomem(err);
}

/* The first row at or behind `from` and before `to` (nothing: no end), and on, up to a folder: `next` is what lies
 * behind it, empty at the end. */
static int walk_some(entries *all, wr_arena *a, wr_db *db, wr_str from, wr_str to, size_t skip, wr_buf *next,
                     wr_err *err)
{
    static const char all_paths[] = "SELECT path, size, mtime_us FROM artifacts WHERE path >= ? ORDER BY path";
    static const char below[] = "SELECT path, size, mtime_us FROM artifacts WHERE path >= ? AND path < ? ORDER BY path";
    wr_stmt *st;
    WR_TRY(query(&st, db, to.n ? below : all_paths, from, to, err));
    wr_buf_clear(next); /* `from` was bound, which copies it */
    int rc;
    while ((rc = wr_step(st, err)) > 0) {
        rc = add_row(all, a, st, skip, next, err);
        if (rc < 0 || next->n) break;
    }
    wr_stmt_done(st);
    return rc;
}

static int walk(entries *all, wr_arena *a, wr_db *db, wr_str folder, wr_err *err)
{
    range r;
    WR_AUTOBUF wr_buf next;
    wr_buf_init(&next, WR_ARTIFACT_PATH + 8);
    int rc = range_of(&r, folder, err);
    wr_str from = folder.n ? wr_buf_view(&r.from) : WR_STR(""), to = folder.n ? wr_buf_view(&r.to) : (wr_str){0};
    size_t skip = folder.n ? folder.n + 1 : 0;
    if (rc == 0) rc = walk_some(all, a, db, from, to, skip, &next, err);
    while (rc >= 0 && next.n) rc = walk_some(all, a, db, wr_buf_view(&next), to, skip, &next, err);
    range_fini(&r);
    return rc;
}

static int list(wr_artifact_entry **out, size_t *n, wr_arena *a, wr_artifacts *base, wr_str path, wr_err *err)
{
    entries all = {0};
    int rc = walk(&all, a, ((store *)base)->db, path, err);
    if (rc >= 0) wr_artifacts_sort(all.at, all.n);
    return wr_vec_keep(out, n, a, &all, rc, err);
}

/* ---- deleting ---- */

typedef struct {
    wr_str path;
    range below;
} removal;

static int remove_rows(wr_db *db, void *arg, wr_err *err)
{
    removal *r = arg;
    wr_str from = wr_buf_view(&r->below.from), to = wr_buf_view(&r->below.to);
    WR_TRY(note(db, note_path, r->path, (wr_str){0}, err));
    WR_TRY(note(db, note_below, from, to, err));
    WR_TRY(run(db, "DELETE FROM artifacts WHERE path = ?", r->path, (wr_str){0}, err));
    return run(db, "DELETE FROM artifacts WHERE path >= ? AND path < ?", from, to, err);
}

static int remove_at(wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    removal r = {.path = path};
    int rc = range_of(&r.below, path, err);
    if (rc == 0) rc = wr_db_write(s->db, remove_rows, &r, err);
    range_fini(&r.below);
    if (rc == 0) purge(s);
    return rc;
}

/* ---- sweeping ---- */

static int note_unnamed(wr_db *db, void *arg, wr_err *err)
{
    wr_str id = wr_str_of(arg);
    int rc = any(db, "SELECT 1 FROM artifacts WHERE object = ? LIMIT 1", id, (wr_str){0}, err);
    return rc ? (rc < 0 ? rc : 0) : note(db, note_object, id, (wr_str){0}, err);
}

/* An object younger than a day may be one whose row is about to come. */
static int look_at(void *ctx, const char *id, int64_t mtime_us, wr_err *err)
{
    store *s = ctx;
    if (mtime_us > wr_clock_wall_us() - WR_DAY_US) return 0;
    int rc = any(s->db, "SELECT 1 FROM artifacts WHERE object = ? LIMIT 1", wr_str_of(id), (wr_str){0}, err);
    return rc ? (rc < 0 ? rc : 0) : wr_db_write(s->db, note_unnamed, (void *)id, err);
}

static int sweep(wr_artifacts *base, wr_err *err)
{
    store *s = (store *)base;
    WR_TRY(wr_objects_each(s->objects, look_at, s, err));
    purge(s);
    return 0;
}

const wr_artifacts_ops wr_artifacts_objects = {
    .kind = "objects",
    .forms = "\"objects\": the project's own store, each content once",
    .takes = takes,
    .open = open_store,
    .close = close_store,
    .write = write_to,
    .read = read_from,
    .get = wr_artifact_pread,
    .reader_close = wr_artifact_reader_drop,
    .stat = stat_of,
    .list = list,
    .remove = remove_at,
    .sweep = sweep,
};
