/* SPDX-License-Identifier: Apache-2.0 */
/* objects.c - blobs under the SHA-256 of their content, and trees of them.
 *
 * What is hashed is what is written: a file is hashed while it is copied into DIR/tmp, so one that changes meanwhile is
 * stored under the name of what was read. Two putters of the same object each publish their own copy; the later rename
 * replaces a file by an equal one. A file of the wrong size under an object's name (a damaged disk) counts as absent,
 * so that putting it heals it.
 */
#include "store/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/os.h"
#include "base/vec.h"
#include "io/file.h"

enum {
    COPY_STEP = 256 << 10,
    TREE_MAX = 256 << 20, /* bytes of one tree's list */
    PATH_LIMIT = 4096,    /* bytes of one path in a tree */
    FRESH_S = 60,         /* an object this young may not be durable yet: its putter may still be in fsync */
};

struct wr_objects {
    char *dir, *tmp;
};

/* --- names --- */

static bool id_ok(const char *id)
{
    size_t n = strspn(id, "0123456789abcdef");
    return n == WR_SHA256_HEX - 1 && id[n] == 0;
}

static int check_id(const char *id, wr_err *err)
{
    if (id_ok(id)) return 0;
    return wr_err_set(err, WEIR_EINVAL, "'%.80s' is not the name of an object (64 digits of SHA-256)", id);
}

static char *joined(const char *dir, const char *sep, const char *name)
{
    size_t cap = strlen(dir) + strlen(sep) + strlen(name) + 1;
    char *p = wr_alloc(cap);
    if (p && snprintf(p, cap, "%s%s%s", dir, sep, name) < 0) *p = 0;
    return p;
}

/* DIR/ab, or with `whole` DIR/ab/cdef... Freed by the caller. */
static char *object_path(const wr_objects *o, const char *id, bool whole)
{
    char name[WR_SHA256_HEX + 1];
    int n = whole ? snprintf(name, sizeof name, "%.2s/%s", id, id + 2) : snprintf(name, sizeof name, "%.2s", id);
    return n < 0 ? NULL : joined(o->dir, "/", name);
}

static int no_such(const char *id, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "there is no object '%s'", id);
}

static int damaged(const char *id, const char *path, wr_err *err)
{
    wr_err_set(err, WEIR_ECORRUPT, "object '%s' is damaged", id);
    wr_err_detail(err, WEIR_ECORRUPT, "'%s' does not have the content its name says", path);
    return wr_err_hint(err, WEIR_ECORRUPT, "remove that file and produce or fetch the object again");
}

/* --- opening --- */

static void sweep(const wr_objects *o)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!a || wr_file_list(&names, &n, a, o->tmp, NULL) < 0) return;
    int64_t old = wr_clock_wall_us() - WR_DAY_US;
    for (size_t i = 0; i < n; i++) {
        const char *path = wr_path_join(a, o->tmp, names[i]);
        if (path && wr_file_mtime_us(path) < old) unlink(path); /* what cannot be removed is tried again next time */
    }
}

int wr_objects_open(wr_objects **out, const char *dir, wr_err *err)
{
    if (!*dir) return wr_err_set(err, WEIR_EINVAL, "the folder of the objects has no name");
    wr_objects *o = wr_calloc(1, sizeof *o);
    if (!o) return wr_err_nomem(err);
    o->dir = wr_strdup(dir);
    o->tmp = joined(dir, "/", "tmp");
    int rc = o->dir && o->tmp ? wr_file_mkdirs(o->tmp, err) : wr_err_nomem(err);
    if (rc < 0) {
        wr_objects_close(o);
        return rc;
    }
    sweep(o);
    *out = o;
    return 0;
}

void wr_objects_close(wr_objects *o)
{
    if (!o) return;
    wr_free(o->tmp);
    wr_free(o->dir);
    wr_free(o);
}

/* --- putting --- */

/* 1 = there and durable, 0 = not there. The fsync covers a putter that has renamed but not synced yet when we come. */
static int present(const wr_objects *o, const char *id, uint64_t size, wr_err *err)
{
    struct stat st;
    WR_AUTOFREE char *path = object_path(o, id, true), *bucket = object_path(o, id, false);
    if (!path || !bucket) return wr_err_nomem(err);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) return 0;
    if (st.st_ctim.tv_sec + FRESH_S < wr_clock_wall_us() / WR_US) return 1;
    WR_TRY(wr_file_fsync_dir(bucket, err));
    WR_TRY(wr_file_fsync_dir(o->dir, err));
    return 1;
}

typedef struct {
    char *path; /* in DIR/tmp */
    int fd;
    wr_sha256 hash;
    uint64_t size;
} draft;

static void draft_drop(draft *d)
{
    if (d->fd >= 0) close(d->fd);
    if (d->path) unlink(d->path);
    wr_free(d->path);
}

static int draft_open(draft *d, const wr_objects *o, wr_err *err)
{
    uint64_t random;
    char name[40];
    wr_os_random(&random, sizeof random);
    *d = (draft){.fd = -1};
    wr_sha256_init(&d->hash);
    if (snprintf(name, sizeof name, "%ld-%016llx", (long)getpid(), (unsigned long long)random) < 0) name[0] = 0;
    d->path = joined(o->tmp, "/", name);
    if (!d->path) return wr_err_nomem(err);
    d->fd = open(d->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (d->fd >= 0) return 0;
    int rc = wr_err_sys(err, errno, "cannot create '%s'", d->path);
    wr_free(d->path);
    d->path = NULL;
    return rc;
}

static int draft_add(draft *d, const void *p, size_t n, wr_err *err)
{
    WR_TRY(wr_file_write_all(d->fd, p, n, d->path, err));
    wr_sha256_add(&d->hash, p, n);
    d->size += n;
    return 0;
}

static int draft_publish(draft *d, const wr_objects *o, const char *id, wr_err *err)
{
    if (fchmod(d->fd, 0444) < 0) return wr_err_sys(err, errno, "cannot protect '%s'", d->path);
    int sys = close(d->fd) < 0 ? errno : 0;
    d->fd = -1;
    if (sys) return wr_err_sys(err, sys, "cannot write '%s'", d->path);
    WR_AUTOFREE char *path = object_path(o, id, true), *bucket = object_path(o, id, false);
    if (!path || !bucket) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(bucket, err));
    wr_fault_crash_point();
    return wr_file_publish(d->path, path, err);
}

static int put_bytes(const wr_objects *o, wr_str data, const char *id, wr_err *err)
{
    draft d;
    int rc = draft_open(&d, o, err);
    if (rc == 0) rc = draft_add(&d, data.p, data.n, err);
    if (rc == 0) rc = draft_publish(&d, o, id, err);
    draft_drop(&d);
    return rc;
}

int wr_objects_put(wr_objects *o, wr_str data, char id[WR_SHA256_HEX], wr_err *err)
{
    wr_sha256_of(data.p, data.n, id);
    int rc = present(o, id, data.n, err);
    return rc > 0 ? 0 : rc < 0 ? rc : put_bytes(o, data, id, err);
}

struct wr_objects_writer {
    const wr_objects *o;
    draft draft;
    char id[WR_SHA256_HEX]; /* empty until it is published */
};

int wr_objects_writer_new(wr_objects_writer **out, wr_objects *o, wr_err *err)
{
    wr_objects_writer *w = wr_calloc(1, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->o = o;
    int rc = draft_open(&w->draft, o, err);
    if (rc < 0) wr_free(w);
    else *out = w;
    return rc;
}

int wr_objects_writer_add(wr_objects_writer *w, wr_str piece, wr_err *err)
{
    WR_BUG_IF(w->id[0]);
    return draft_add(&w->draft, piece.p, piece.n, err);
}

/* The draft keeps its own name, so that it can be published again. */
static int publish_link(const wr_objects *o, draft *d, const char *id, wr_err *err)
{
    WR_AUTOFREE char *second = joined(d->path, "", ".2");
    WR_AUTOFREE char *path = object_path(o, id, true), *bucket = object_path(o, id, false);
    if (!second || !path || !bucket) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(bucket, err));
    wr_fault_crash_point();
    if (link(d->path, second) < 0) return wr_err_sys(err, errno, "cannot name '%s'", d->path);
    int rc = wr_file_publish(second, path, err);
    if (unlink(second) < 0 && errno != ENOENT && rc == 0) rc = wr_err_sys(err, errno, "cannot remove '%s'", second);
    return rc;
}

int wr_objects_writer_publish(wr_objects_writer *w, char id[WR_SHA256_HEX], uint64_t *size, wr_err *err)
{
    if (!w->id[0]) {
        wr_sha256_hex(&w->draft.hash, w->id);
        if (fchmod(w->draft.fd, 0444) < 0) return wr_err_sys(err, errno, "cannot protect '%s'", w->draft.path);
    }
    int rc = present(w->o, w->id, w->draft.size, err);
    if (rc == 0) rc = publish_link(w->o, &w->draft, w->id, err);
    if (rc < 0) return rc;
    memcpy(id, w->id, sizeof w->id);
    *size = w->draft.size;
    return 0;
}

void wr_objects_writer_free(wr_objects_writer *w)
{
    if (!w) return;
    draft_drop(&w->draft);
    wr_free(w);
}

#define RETIRED ".gone"

int wr_objects_retire(wr_objects *o, const char *id, wr_err *err)
{
    WR_TRY(check_id(id, err));
    char name[100];
    uint64_t random;
    wr_os_random(&random, sizeof random);
    int n = snprintf(name, sizeof name, "%s-%016llx" RETIRED, id, (unsigned long long)random);
    WR_AUTOFREE char *path = object_path(o, id, true);
    WR_AUTOFREE char *to = n < 0 ? NULL : joined(o->tmp, "/", name);
    if (!path || !to) return wr_err_nomem(err);
    wr_fault_crash_point();
    int sys = wr_fault_hit(WR_FAULT_RENAME) ? EIO : rename(path, to) < 0 ? errno : 0;
    return sys == 0 || sys == ENOENT ? 0 : wr_err_sys(err, sys, "cannot take away '%s'", path);
}

void wr_objects_empty(wr_objects *o)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!a || wr_file_list(&names, &n, a, o->tmp, NULL) < 0) return;
    for (size_t i = 0; i < n; i++) {
        const char *path = wr_str_ends(wr_str_of(names[i]), RETIRED) ? wr_path_join(a, o->tmp, names[i]) : NULL;
        if (path) unlink(path);
    }
}

const char *wr_objects_dir(const wr_objects *o) { return o->dir; }

static int each_in(wr_objects *o, wr_arena *a, const char *bucket,
                   int (*fn)(void *ctx, const char *id, int64_t mtime_us, wr_err *err), void *ctx, wr_err *err)
{
    char **names;
    size_t n;
    const char *dir = wr_path_join(a, o->dir, bucket);
    if (!dir) return wr_err_nomem(err);
    WR_TRY(wr_file_list(&names, &n, a, dir, err));
    for (size_t i = 0; i < n; i++) {
        const char *path = wr_path_join(a, dir, names[i]);
        char *id = wr_arena_printf(a, "%s%s", bucket, names[i]);
        if (!path || !id) return wr_err_nomem(err);
        if (id_ok(id)) WR_TRY(fn(ctx, id, wr_file_mtime_us(path), err));
    }
    return 0;
}

int wr_objects_each(wr_objects *o, int (*fn)(void *ctx, const char *id, int64_t mtime_us, wr_err *err), void *ctx,
                    wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOARENA wr_arena *of_bucket = wr_arena_new(0);
    char **buckets;
    size_t n;
    if (!a || !of_bucket) return wr_err_nomem(err);
    WR_TRY(wr_file_list(&buckets, &n, a, o->dir, err));
    for (size_t i = 0; i < n; i++) {
        wr_arena_clear(of_bucket);
        if (strlen(buckets[i]) == 2) WR_TRY(each_in(o, of_bucket, buckets[i], fn, ctx, err));
    }
    return 0;
}

static int draft_fill(draft *d, int from, const char *path, wr_err *err)
{
    WR_AUTOFREE char *piece = wr_alloc(COPY_STEP);
    if (!piece) return wr_err_nomem(err);
    for (;;) {
        ssize_t n = read(from, piece, COPY_STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
        if (n == 0) return 0;
        WR_TRY(draft_add(d, piece, (size_t)n, err));
    }
}

static int put_new_file(const wr_objects *o, const char *path, char id[WR_SHA256_HEX], uint64_t *size, wr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    draft d;
    int rc = draft_open(&d, o, err);
    if (rc == 0) rc = draft_fill(&d, fd, path, err);
    close(fd);
    char hex[WR_SHA256_HEX];
    wr_sha256_hex(&d.hash, hex); /* ends the computation, also after a failure */
    if (rc == 0) rc = draft_publish(&d, o, hex, err);
    if (rc == 0) {
        memcpy(id, hex, sizeof hex);
        *size = d.size;
    }
    draft_drop(&d);
    return rc;
}

/* Reads first and copies only what is not there yet: putting the same file again is the common case. */
static int put_file(const wr_objects *o, const char *path, char id[WR_SHA256_HEX], uint64_t *size, wr_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
    if (!S_ISREG(st.st_mode)) return wr_err_set(err, WEIR_EINVAL, "'%s' is not a file", path);
    WR_TRY(wr_file_sha256(id, path, err));
    *size = (uint64_t)st.st_size;
    int rc = present(o, id, *size, err);
    return rc > 0 ? 0 : rc < 0 ? rc : put_new_file(o, path, id, size, err);
}

int wr_objects_put_file(wr_objects *o, const char *path, char id[WR_SHA256_HEX], wr_err *err)
{
    uint64_t size;
    return put_file(o, path, id, &size, err);
}

/* --- trees --- */

/* What may stand in a tree: a relative path without "..", "." and empty parts, of bytes other than NUL and newline. */
static bool path_ok(wr_str path)
{
    if (path.n == 0 || path.n >= PATH_LIMIT || memchr(path.p, 0, path.n) || memchr(path.p, '\n', path.n)) return false;
    wr_str rest = path;
    while (rest.p) {
        wr_str part = wr_str_cut(&rest, '/');
        if (part.n == 0 || wr_str_is(part, ".") || wr_str_is(part, "..")) return false;
    }
    return true;
}

typedef struct {
    wr_arena *a;
    const char *top;
    WR_VEC(char *) dirs;  /* to be listed, relative to top; "" is top itself */
    WR_VEC(char *) files; /* relative */
} walk;

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Links to files count as files. Links to folders could lead out of the tree or round in circles: refused, as is every
 * other thing. */
static int walk_entry(walk *w, char *rel, wr_err *err)
{
    struct stat link, st;
    const char *path = wr_path_join(w->a, w->top, rel);
    if (!path) return wr_err_nomem(err);
    if (!path_ok(wr_str_of(rel)))
        return wr_err_set(err, WEIR_EINVAL, "'%s' cannot be kept: its name is too long or has a line break", path);
    if (lstat(path, &link) < 0 || stat(path, &st) < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
    if (S_ISREG(st.st_mode)) return wr_vec_push(&w->files, rel) < 0 ? wr_err_nomem(err) : 0;
    if (S_ISDIR(link.st_mode)) return wr_vec_push(&w->dirs, rel) < 0 ? wr_err_nomem(err) : 0;
    wr_err_set(err, WEIR_EUNSUPPORTED, "'%s' cannot be kept", path);
    return wr_err_detail(err, WEIR_EUNSUPPORTED, "it is %s",
                         S_ISDIR(st.st_mode) ? "a link to a folder" : "neither a file nor a folder");
}

static int walk_all(walk *w, wr_err *err)
{
    char *root = wr_arena_strdup(w->a, "");
    if (!root || wr_vec_push(&w->dirs, root) < 0) return wr_err_nomem(err);
    while (w->dirs.n > 0) {
        const char *rel = w->dirs.at[--w->dirs.n];
        const char *dir = *rel ? wr_path_join(w->a, w->top, rel) : w->top;
        char **names;
        size_t n;
        if (!dir) return wr_err_nomem(err);
        WR_TRY(wr_file_list(&names, &n, w->a, dir, err));
        for (size_t i = 0; i < n; i++) {
            char *name = *rel ? wr_arena_printf(w->a, "%s/%s", rel, names[i]) : names[i];
            if (!name) return wr_err_nomem(err);
            WR_TRY(walk_entry(w, name, err));
        }
    }
    if (w->files.n) qsort(w->files.at, w->files.n, sizeof *w->files.at, by_text);
    return 0;
}

static int put_walked(const wr_objects *o, walk *w, wr_buf *list, wr_err *err)
{
    for (size_t i = 0; i < w->files.n; i++) {
        char id[WR_SHA256_HEX];
        uint64_t size;
        const char *path = wr_path_join(w->a, w->top, w->files.at[i]);
        if (!path) return wr_err_nomem(err);
        WR_TRY(put_file(o, path, id, &size, err));
        wr_buf_printf(list, "%s %llu %s\n", id, (unsigned long long)size, w->files.at[i]);
    }
    if (!list->failed) return 0;
    return wr_err_set(err, WEIR_ELIMIT, "'%s' has too many files (%zu) for one tree", w->top, w->files.n);
}

int wr_objects_put_tree(wr_objects *o, const char *dir, char id[WR_SHA256_HEX], wr_err *err)
{
    walk w = {.a = wr_arena_new(0), .top = dir};
    if (!w.a) return wr_err_nomem(err);
    wr_buf list;
    wr_buf_init(&list, TREE_MAX);
    int rc = walk_all(&w, err);
    if (rc == 0) rc = put_walked(o, &w, &list, err);
    if (rc == 0) rc = wr_objects_put(o, wr_buf_view(&list), id, err); /* last: a tree that is there has all its files */
    wr_buf_fini(&list);
    wr_vec_fini(&w.dirs);
    wr_vec_fini(&w.files);
    wr_arena_free(w.a);
    return rc;
}

/* --- getting --- */

int wr_objects_get(wr_objects *o, const char *id, wr_buf *out, size_t max, wr_err *err)
{
    WR_TRY(check_id(id, err));
    WR_AUTOFREE char *path = object_path(o, id, true);
    if (!path) return wr_err_nomem(err);
    size_t before = out->n;
    int rc = wr_file_read(out, path, max, err);
    if (rc == WEIR_ENOTFOUND) return no_such(id, err);
    if (rc < 0) return rc;
    char hex[WR_SHA256_HEX];
    wr_sha256_of(out->p ? out->p + before : "", out->n - before, hex);
    if (strcmp(hex, id) == 0) return 0;
    out->n = before;
    if (out->p) out->p[before] = 0;
    return damaged(id, path, err);
}

/* Is `path` a plain file with this content already? Whatever cannot be read is not. */
static bool same_content(const char *path, const char *id, int64_t size)
{
    struct stat st;
    char hex[WR_SHA256_HEX];
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != size) return false;
    return wr_file_sha256(hex, path, NULL) == 0 && strcmp(hex, id) == 0;
}

static int checkout_verified(const char *object, const char *id, const char *path, wr_err *err)
{
    char hex[WR_SHA256_HEX];
    WR_TRY(wr_file_sha256(hex, object, err));
    if (strcmp(hex, id) != 0) return damaged(id, object, err);
    return wr_file_copy(object, path, err);
}

int wr_objects_checkout_file(wr_objects *o, const char *id, const char *path, wr_err *err)
{
    WR_TRY(check_id(id, err));
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *object = a ? wr_objects_path(o, a, id) : NULL;
    const char *dir = a ? wr_path_dir(a, path) : NULL;
    if (!object || !dir) return wr_err_nomem(err);
    int64_t size = wr_file_size(object);
    if (size < 0) return no_such(id, err);
    if (same_content(path, id, size)) return 0;
    WR_TRY(wr_file_mkdirs(dir, err));
    return checkout_verified(object, id, path, err);
}

typedef struct {
    char id[WR_SHA256_HEX];
    int64_t size;
    wr_str path;
} entry;

static int bad_tree(const char *id, size_t line, wr_err *err)
{
    wr_err_set(err, WEIR_EPARSE, "object '%s' is not a tree", id);
    return wr_err_detail(err, WEIR_EPARSE, "line %zu is not \"sha256 size path\" in order of the paths", line);
}

static bool read_entry(entry *out, wr_str line)
{
    wr_str id = wr_str_cut(&line, ' ');
    wr_str size = line.p ? wr_str_cut(&line, ' ') : (wr_str){0};
    if (!line.p || id.n != WR_SHA256_HEX - 1) return false;
    memcpy(out->id, id.p, id.n);
    out->id[id.n] = 0;
    for (size_t i = 0; i < size.n; i++) {
        if (size.p[i] < '0' || size.p[i] > '9') return false;
    }
    out->path = line;
    if (size.n == 0 || (size.n > 1 && size.p[0] == '0'))
        return false; /* one way to write a number: one identity of a tree */
    return id_ok(out->id) && wr_num_i64(&out->size, size, NULL) == 0 && path_ok(line);
}

/* Everything is read and checked before the first file is written. */
static int read_tree(entry **out, size_t *n, wr_arena *a, const char *id, wr_str text, wr_err *err)
{
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++) lines += text.p[i] == '\n';
    if (text.n && text.p[text.n - 1] != '\n') return bad_tree(id, lines + 1, err);
    entry *list = wr_arena_calloc(a, lines ? lines : 1, sizeof *list);
    if (!list) return wr_err_nomem(err);
    wr_str rest = text;
    for (size_t i = 0; i < lines; i++) {
        if (!read_entry(&list[i], wr_str_cut(&rest, '\n'))) return bad_tree(id, i + 1, err);
        if (i && wr_str_cmp(list[i - 1].path, list[i].path) >= 0) return bad_tree(id, i + 1, err);
    }
    *out = list;
    *n = lines;
    return 0;
}

/* A link in the place of one of the tree's folders would take the files somewhere else. */
static int refuse_links(wr_arena *a, const char *dir, wr_str path, wr_err *err)
{
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] != '/') continue;
        struct stat st;
        const char *above = wr_arena_printf(a, "%s/%.*s", dir, (int)i, path.p);
        if (!above) return wr_err_nomem(err);
        if (lstat(above, &st) == 0 && !S_ISDIR(st.st_mode)) {
            return wr_err_set(err, WEIR_EEXIST, "'%s' is in the way: a folder of that name is needed", above);
        }
    }
    return 0;
}

static int checkout_entries(wr_objects *o, const entry *list, size_t n, const char *dir, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(dir, err));
    for (size_t i = 0; i < n; i++) {
        wr_arena_clear(a);
        const char *path = wr_arena_printf(a, "%s/%.*s", dir, WR_STR_FMT(list[i].path));
        if (!path) return wr_err_nomem(err);
        WR_TRY(refuse_links(a, dir, list[i].path, err));
        WR_TRY(wr_objects_checkout_file(o, list[i].id, path, err));
    }
    return 0;
}

int wr_objects_checkout_tree(wr_objects *o, const char *id, const char *dir, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    wr_buf text;
    wr_buf_init(&text, TREE_MAX);
    entry *list = NULL;
    size_t n = 0;
    int rc = wr_objects_get(o, id, &text, TREE_MAX, err);
    if (rc == 0) rc = read_tree(&list, &n, a, id, wr_buf_view(&text), err);
    if (rc == 0) rc = checkout_entries(o, list, n, dir, err);
    wr_buf_fini(&text);
    return rc;
}

bool wr_objects_has(wr_objects *o, const char *id)
{
    struct stat st;
    if (!id_ok(id)) return false;
    WR_AUTOFREE char *path = object_path(o, id, true);
    return path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *wr_objects_path(wr_objects *o, wr_arena *a, const char *id)
{
    return id_ok(id) ? wr_arena_printf(a, "%s/%.2s/%s", o->dir, id, id + 2) : NULL;
}
