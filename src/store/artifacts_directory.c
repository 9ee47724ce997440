/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_directory.c - artifacts as plain files below one folder.
 *
 * What is being written is in ROOT/.weir-tmp and gets its place by rename; what is deleted goes there first, so that a
 * tree vanishes at once. Links below ROOT are neither followed nor listed: they would lead out of it.
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
#include "codec/http.h"
#include "io/file.h"
#include "store/artifacts_ops.h"

#define TMP ".weir-tmp"
enum { TRIES = 20 };

typedef struct {
    wr_artifacts base;
    char *root, *tmp;
} store;

typedef struct {
    wr_artifact_writer base;
    const store *s;
    char *temp; /* path; NULL once it is in its place */
    char *path; /* relative */
    int fd;
} writer;

/* ---- opening ---- */

static bool takes(wr_str where)
{
    if (wr_str_starts(where, "file:")) return true;
    if (wr_str_is(where, "objects")) return false;
    for (size_t i = 0; i + 2 < where.n; i++) {
        if (memcmp(where.p + i, "://", 3) == 0) return false;
    }
    return where.n > 0;
}

/* The folder that `where` names, in `a`. */
static int root_of(char **out, wr_arena *a, const char *where, const wr_artifacts_opt *opt, wr_err *err)
{
    wr_str s = wr_str_of(where);
    char *path = wr_arena_strdup(a, where);
    if (wr_str_starts(s, "file:")) { /* file:/path, file:///path, file://localhost/path */
        s = wr_str_sub(s, 5, s.n);
        if (wr_str_starts(s, "//localhost/")) s = wr_str_sub(s, 11, s.n);
        else if (wr_str_starts(s, "///")) s = wr_str_sub(s, 2, s.n);
        WR_AUTOBUF wr_buf b;
        wr_buf_init(&b, 4096);
        bool local = s.n > 1 && s.p[0] == '/' && s.p[1] != '/';
        if (!local || !wr_http_decode(&b, s, false))
            return wr_err_set(err, WEIR_EINVAL, "'%.200s' does not name a folder of this machine", where);
        path = wr_arena_strndup(a, wr_buf_cstr(&b), b.n);
    }
    if (path && opt->base) path = wr_path_join(a, opt->base, path);
    if (path) path = wr_path_absolute(a, path);
    if (!path) return wr_err_nomem(err);
    *out = path;
    return 0;
}

static void sweep_tmp(const store *s)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!a || wr_file_list(&names, &n, a, s->tmp, NULL) < 0) return;
    int64_t old = wr_clock_wall_us() - WR_DAY_US;
    for (size_t i = 0; i < n; i++) {
        const char *path = wr_path_join(a, s->tmp, names[i]);
        if (!path || wr_file_mtime_us(path) > old) continue;
        if (unlink(path) < 0)
            (void)wr_file_remove_tree(path, NULL); /* what cannot be removed is tried again next time */
    }
}

static void close_store(wr_artifacts *base)
{
    store *s = (store *)base;
    wr_free(s->root);
    wr_free(s->tmp);
    wr_free(s);
}

static int open_store(wr_artifacts **out, const char *where, const wr_artifacts_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char *root = NULL;
    if (!a) return wr_err_nomem(err);
    WR_TRY(root_of(&root, a, where, opt, err));
    store *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    const char *tmp = wr_path_join(a, root, TMP);
    s->root = wr_strdup(root);
    s->tmp = wr_strdup(tmp);
    int rc = s->root && s->tmp ? wr_file_mkdirs(s->tmp, err) : wr_err_nomem(err);
    if (rc < 0) {
        close_store(&s->base);
        return wr_err_wrap(err, rc, "artifacts");
    }
    sweep_tmp(s);
    *out = &s->base;
    return 0;
}

/* ---- places ---- */

static char *temp_name(const store *s, wr_arena *a)
{
    uint64_t random;
    wr_os_random(&random, sizeof random);
    return wr_arena_printf(a, "%s/%ld-%016llx", s->tmp, (long)getpid(), (unsigned long long)random);
}

/* ROOT/path. Its folders, as far as they exist, are folders: WEIR_EEXIST when one is a file or a link. */
static int place(char **out, wr_arena *a, const store *s, wr_str path, wr_err *err)
{
    wr_str first = path;
    if (wr_str_is(wr_str_cut(&first, '/'), TMP)) return wr_err_set(err, WEIR_EINVAL, "invalid path '%s'", TMP);
    size_t root_n = strlen(s->root);
    char *full = wr_arena_printf(a, "%s/%.*s", s->root, WR_STR_FMT(path));
    if (!full) return wr_err_nomem(err);
    for (size_t i = root_n + 1; full[i]; i++) {
        if (full[i] != '/') continue;
        struct stat st;
        full[i] = 0;
        int sys = lstat(full, &st) < 0 ? errno : 0;
        full[i] = '/';
        if (sys) break; /* the rest does not exist either */
        if (!S_ISDIR(st.st_mode)) return wr_artifact_in_the_way(wr_str_sub(path, 0, i - root_n - 1), "file", err);
    }
    *out = full;
    return 0;
}

static void describe(wr_artifact_info *info, const struct stat *st)
{
    *info =
        (wr_artifact_info){.size = st->st_size, .mtime_us = st->st_mtim.tv_sec * WR_US + st->st_mtim.tv_nsec / 1000};
    int n = snprintf(info->etag, sizeof info->etag, "%llx-%llx-%llx", (unsigned long long)st->st_ino,
                     (unsigned long long)st->st_mtim.tv_sec * 1000000000ull + (unsigned long long)st->st_mtim.tv_nsec,
                     (unsigned long long)st->st_size);
    if (n < 0) info->etag[0] = 0;
}

/* ---- writing ---- */

static void drop(wr_artifact_writer *base)
{
    writer *w = (writer *)base;
    if (w->fd >= 0) close(w->fd);
    if (w->temp) unlink(w->temp);
    wr_free(w->temp);
    wr_free(w->path);
    wr_free(w);
}

static int add(wr_artifact_writer *base, wr_str piece, wr_err *err)
{
    writer *w = (writer *)base;
    return wr_file_write_all(w->fd, piece.p, piece.n, w->temp, err);
}

/* The folder may be deleted by others between its making and the rename, and after it: then so was what is in it. */
static int into_place(writer *w, wr_arena *a, const char *full, wr_err *err)
{
    const char *dir = wr_path_dir(a, full);
    if (!dir) return wr_err_nomem(err);
    int sys = ENOENT;
    for (int i = 0; i < TRIES && sys == ENOENT; i++) {
        WR_TRY(wr_file_mkdirs(dir, err));
        wr_fault_crash_point();
        sys = wr_fault_hit(WR_FAULT_RENAME) ? EIO : rename(w->temp, full) < 0 ? errno : 0;
    }
    if (sys == EISDIR) return wr_artifact_in_the_way(wr_str_of(w->path), "folder", err);
    if (sys) return wr_err_sys(err, sys, "cannot put an artifact at '%s'", full);
    wr_fault_crash_point();
    int rc = wr_file_fsync_dir(dir, err);
    return rc == WEIR_ENOTFOUND ? 0 : rc;
}

static int commit(wr_artifact_writer *base, wr_artifact_info *info, wr_err *err)
{
    writer *w = (writer *)base;
    struct stat st;
    char *full;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(place(&full, a, w->s, wr_str_of(w->path), err));
    if (lstat(full, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (rmdir(full) < 0)
            return wr_artifact_in_the_way(wr_str_of(w->path), "folder", err); /* an empty one is none */
    }
    WR_TRY(wr_file_fdatasync(w->fd, w->temp, err));
    if (fstat(w->fd, &st) < 0) return wr_err_sys(err, errno, "cannot write '%s'", full);
    int sys = close(w->fd) < 0 ? errno : 0;
    w->fd = -1;
    if (sys) return wr_err_sys(err, sys, "cannot write '%s'", full);
    WR_TRY(into_place(w, a, full, err));
    wr_free(w->temp);
    w->temp = NULL;
    describe(info, &st);
    return 0;
}

static const wr_artifact_writer_ops writer_ops = {.add = add, .commit = commit, .drop = drop};

static int write_to(wr_artifact_writer **out, wr_artifacts *base, wr_str path, int64_t size, wr_err *err)
{
    store *s = (store *)base;
    char *full;
    struct stat st;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(place(&full, a, s, path, err)); /* told now rather than after the whole body */
    if (lstat(full, &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink > 2)
        return wr_artifact_in_the_way(path, "folder", err);
    WR_TRY(wr_artifact_room(s->tmp, size, err));
    writer *w = wr_calloc(1, sizeof *w);
    if (!w) return wr_err_nomem(err);
    *w = (writer){.base.ops = &writer_ops, .s = s, .fd = -1};
    char *temp = temp_name(s, a), *kept = wr_alloc(path.n + 1);
    if (kept) {
        memcpy(kept, path.p, path.n);
        kept[path.n] = 0;
    }
    w->path = kept;
    w->temp = wr_strdup(temp);
    int rc = w->path && w->temp ? 0 : wr_err_nomem(err);
    if (rc == 0) {
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (w->fd < 0) rc = wr_err_sys(err, errno, "cannot create '%s'", w->temp);
    }
    if (rc < 0) drop(&w->base);
    else *out = &w->base;
    return rc;
}

/* ---- reading ---- */

static int find(char **full, struct stat *st, wr_arena *a, const store *s, wr_str path, wr_err *err)
{
    int rc = place(full, a, s, path, err);
    if (rc == WEIR_EEXIST) return wr_artifact_missing(path, err); /* below a file there is nothing */
    if (rc < 0) return rc;
    if (lstat(*full, st) < 0 || S_ISLNK(st->st_mode)) return wr_artifact_missing(path, err);
    return 0;
}

static int read_from(wr_artifact_reader **out, wr_artifacts *base, wr_str path, wr_err *err)
{
    char *full;
    struct stat st;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(find(&full, &st, a, (store *)base, path, err));
    if (S_ISDIR(st.st_mode)) return wr_artifact_is_folder(path, err);
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a pipe would wait for its writer */
    if (fd < 0 && (errno == ENOENT || errno == ELOOP)) return wr_artifact_missing(path, err);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", full);
    wr_artifact_reader *r = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? wr_calloc(1, sizeof *r) : NULL;
    if (!r) {
        close(fd);
        return S_ISREG(st.st_mode) ? wr_err_nomem(err) : wr_artifact_missing(path, err);
    }
    r->fd = fd;
    describe(&r->info, &st);
    *out = r;
    return 0;
}

static int stat_of(wr_artifact_info *out, wr_artifacts *base, wr_str path, wr_err *err)
{
    char *full;
    struct stat st;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(find(&full, &st, a, (store *)base, path, err));
    if (S_ISDIR(st.st_mode)) *out = (wr_artifact_info){.is_dir = true};
    else if (S_ISREG(st.st_mode)) describe(out, &st);
    else return wr_artifact_missing(path, err);
    return 0;
}

/* ---- listing ---- */

typedef WR_VEC(wr_artifact_entry) entries;

static int add_entry(entries *all, wr_arena *a, int dir, const char *name, bool top, wr_err *err)
{
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (top && strcmp(name, TMP) == 0)) return 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return 0; /* deleted meanwhile */
    bool is_dir = S_ISDIR(st.st_mode);
    if (!is_dir && !S_ISREG(st.st_mode)) return 0;
    if (wr_artifact_path_check(wr_str_of(name), NULL) < 0) return 0; /* not ours: it could not be asked for */
    if (all->n >= WR_ARTIFACT_LIST_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "the folder has more than %d artifacts", WR_ARTIFACT_LIST_MAX);
    wr_artifact_entry e = {.name = wr_arena_strdup(a, name), .is_dir = is_dir};
    if (!is_dir) {
        e.size = st.st_size;
        e.mtime_us = st.st_mtim.tv_sec * WR_US + st.st_mtim.tv_nsec / 1000;
    }
    return e.name && wr_vec_push(all, e) == 0 ? 0 : wr_err_nomem(err);
}

static int read_dir(entries *all, wr_arena *a, const char *path, bool top, wr_err *err)
{
    DIR *d = opendir(path);
    if (!d && (errno == ENOENT || errno == ENOTDIR)) return 0;
    if (!d) return wr_err_sys(err, errno, "cannot list '%s'", path);
    int rc = 0;
    errno = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));) rc = add_entry(all, a, dirfd(d), e->d_name, top, err);
    closedir(d);
    return rc;
}

static int list(wr_artifact_entry **out, size_t *n, wr_arena *a, wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    char *full = s->root;
    struct stat st;
    if (path.n) {
        int rc = find(&full, &st, a, s, path, err);
        if (rc == WEIR_ENOTFOUND) return 0;
        if (rc < 0) return rc;
        if (!S_ISDIR(st.st_mode)) return 0;
    }
    entries all = {0};
    int rc = read_dir(&all, a, full, path.n == 0, err);
    if (rc == 0) wr_artifacts_sort(all.at, all.n);
    return wr_vec_keep(out, n, a, &all, rc, err);
}

/* ---- deleting ---- */

/* Folders that have become empty, upwards; the root stays. */
static void prune(const store *s, char *full)
{
    size_t root_n = strlen(s->root);
    for (;;) {
        char *slash = strrchr(full, '/');
        if (!slash || (size_t)(slash - full) <= root_n) return;
        *slash = 0;
        if (rmdir(full) < 0) return;
    }
}

static int remove_at(wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    char *full;
    struct stat st;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    int rc = find(&full, &st, a, s, path, err);
    if (rc == WEIR_ENOTFOUND) return 0;
    if (rc < 0) return rc;
    char *temp = temp_name(s, a);
    const char *dir = wr_path_dir(a, full);
    if (!temp || !dir) return wr_err_nomem(err);
    wr_fault_crash_point();
    int sys = wr_fault_hit(WR_FAULT_RENAME) ? EIO : rename(full, temp) < 0 ? errno : 0;
    if (sys == ENOENT) return 0;
    if (sys) return wr_err_sys(err, sys, "cannot delete '%s'", full);
    wr_fault_crash_point();
    rc = wr_file_fsync_dir(dir, err);
    /* It is gone from its place; what stays in TMP is swept later. A rename that was under way can still put a file
     * into the folder while it is emptied: hence again. */
    int left = WEIR_EIO;
    for (int i = 0; i < TRIES && left < 0; i++)
        left = S_ISDIR(st.st_mode) ? wr_file_remove_tree(temp, NULL) : wr_file_remove(temp, NULL);
    prune(s, full);
    return rc;
}

const wr_artifacts_ops wr_artifacts_directory = {
    .kind = "directory",
    .forms = "a folder: \"/path\", \"path\" or \"file:///path\"",
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
};
