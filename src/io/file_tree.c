/* SPDX-License-Identifier: Apache-2.0 */
/* file_tree.c - folders: make, list, remove, and the identity (SHA-256) of a file or a whole tree. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/file.h"

enum { HASH_STEP = 256 << 10, REMOVE_DEPTH = 256 };

/* ---- making ---- */

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* `at` is the path up to the new folder; `parent_n` is the length of its parent's part in it. */
static int make_one(char *at, size_t parent_n, wr_err *err)
{
    if (mkdir(at, 0777) < 0) {
        int sys = errno;
        if (is_dir(at)) return 0;
        if (sys == EEXIST || sys == ENOTDIR) return wr_err_set(err, WEIR_EEXIST, "'%s' is a file, not a folder", at);
        return wr_err_sys(err, sys, "cannot make the folder '%s'", at);
    }
    wr_fault_crash_point();
    /* without this a power cut could take the new folder and every file synced inside it */
    char kept = at[parent_n];
    at[parent_n] = 0;
    int rc = wr_file_fsync_dir(parent_n ? at : at[1] && kept == '/' ? "/" : ".", err);
    at[parent_n] = kept;
    return rc;
}

int wr_file_mkdirs(const char *path, wr_err *err)
{
    if (!*path) return wr_err_set(err, WEIR_EINVAL, "the name of a folder is empty");
    if (is_dir(path)) return 0;
    WR_AUTOFREE char *at = wr_strdup(path);
    if (!at) return wr_err_nomem(err);
    for (char *p = at; *p;) {
        size_t before = (size_t)(p - at);
        while (*p == '/') p++;
        if (!*p) break;
        while (*p && *p != '/') p++;
        char kept = *p;
        *p = 0;
        int rc = is_dir(at) ? 0 : make_one(at, before, err);
        *p = kept;
        WR_TRY(rc);
    }
    return 0;
}

/* ---- listing ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool dots(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

static int collect(DIR *d, char ***out, size_t *n, wr_arena *a, const char *dir, wr_err *err)
{
    WR_VEC(char *) names = {0};
    struct dirent *e;
    int rc = 0;
    while (rc == 0 && (errno = 0, e = readdir(d)) != NULL) {
        if (dots(e->d_name)) continue;
        char *name = wr_arena_strdup(a, e->d_name);
        if (!name || wr_vec_push(&names, name) < 0) rc = wr_err_nomem(err);
    }
    if (rc == 0 && errno) rc = wr_err_sys(err, errno, "cannot list '%s'", dir);
    if (rc == 0 && names.n) {
        qsort(names.at, names.n, sizeof *names.at, by_text);
        *out = wr_arena_alloc(a, names.n * sizeof *names.at);
        if (*out) memcpy(*out, names.at, names.n * sizeof *names.at);
        else rc = wr_err_nomem(err);
    }
    if (rc == 0) *n = names.n;
    wr_vec_fini(&names);
    return rc;
}

int wr_file_list(char ***out, size_t *n, wr_arena *a, const char *dir, wr_err *err)
{
    *out = NULL;
    *n = 0;
    DIR *d = opendir(dir);
    if (!d) return wr_err_sys(err, errno, "cannot list '%s'", dir);
    int rc = collect(d, out, n, a, dir, err);
    closedir(d);
    return rc;
}

/* ---- removing ---- */

static int remove_at(int parent, const char *name, const char *top, int depth, wr_err *err);

static int empty_dir(int fd, const char *top, int depth, wr_err *err)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        int sys = errno;
        close(fd);
        return wr_err_sys(err, sys, "cannot list a folder in '%s'", top);
    }
    struct dirent *e;
    int rc = 0;
    while (rc == 0 && (e = readdir(d)) != NULL) {
        if (!dots(e->d_name)) rc = remove_at(dirfd(d), e->d_name, top, depth + 1, err);
    }
    closedir(d);
    return rc;
}

/* By folder descriptors and O_NOFOLLOW: a link put in while we work cannot lead us out of the tree. */
static int remove_at(int parent, const char *name, const char *top, int depth, wr_err *err)
{
    wr_fault_crash_point();
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    int sys = errno;
    if (sys != EISDIR && sys != EPERM) return wr_err_sys(err, sys, "cannot remove '%s' in '%s'", name, top);
    if (depth > REMOVE_DEPTH)
        return wr_err_set(err, WEIR_ELIMIT, "'%s' is nested more than %d folders deep", top, REMOVE_DEPTH);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno == ENOTDIR ? sys : errno, "cannot remove '%s' in '%s'", name, top);
    WR_TRY(empty_dir(fd, top, depth, err));
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return wr_err_sys(err, errno, "cannot remove the folder '%s' in '%s'", name, top);
    return 0;
}

/* "", "/", "." and "..", and every other spelling of the root. */
static bool never_remove(const char *path)
{
    const char *base = wr_path_base(path);
    struct stat st, root;
    if (!*path || dots(base)) return true;
    return lstat(path, &st) == 0 && stat("/", &root) == 0 && st.st_dev == root.st_dev && st.st_ino == root.st_ino;
}

int wr_file_remove_tree(const char *path, wr_err *err)
{
    WR_AUTOFREE char *clean = wr_strdup(path);
    if (!clean) return wr_err_nomem(err);
    size_t n = strlen(clean);
    while (n > 1 && clean[n - 1] == '/') clean[--n] = 0; /* "link/" would be followed */
    if (never_remove(clean)) return wr_err_set(err, WEIR_EINVAL, "will not remove '%s'", path);
    return remove_at(AT_FDCWD, clean, path, 0, err);
}

/* ---- identity ---- */

static int hash_fd(wr_sha256 *h, int fd, const char *path, wr_err *err)
{
    WR_AUTOFREE char *piece = wr_alloc(HASH_STEP);
    if (!piece) return wr_err_nomem(err);
    for (;;) {
        ssize_t n = read(fd, piece, HASH_STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
        if (n == 0) return 0;
        wr_sha256_add(h, piece, (size_t)n);
    }
}

int wr_file_sha256(char out[WR_SHA256_HEX], const char *path, wr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    wr_sha256 h;
    wr_sha256_init(&h);
    int rc = hash_fd(&h, fd, path, err);
    close(fd);
    char hex[WR_SHA256_HEX];
    wr_sha256_hex(&h, hex); /* ends the computation, also after a failure */
    if (rc == 0) memcpy(out, hex, sizeof hex);
    return rc;
}

typedef struct {
    wr_arena *a;
    const char *top;
    WR_VEC(char *) dirs;  /* still to be listed, relative to top; "" is top itself */
    WR_VEC(char *) files; /* relative */
} walk;

static int walk_entry(walk *w, char *rel, wr_err *err)
{
    struct stat st;
    char *path = wr_path_join(w->a, w->top, rel);
    if (!path) return wr_err_nomem(err);
    if (lstat(path, &st) < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
    bool link = S_ISLNK(st.st_mode);
    if (S_ISDIR(st.st_mode)) return wr_vec_push(&w->dirs, rel) < 0 ? wr_err_nomem(err) : 0;
    if (!S_ISREG(st.st_mode) && !link)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "'%s' is neither a file nor a folder", path);
    return wr_vec_push(&w->files, rel) < 0 ? wr_err_nomem(err) : 0;
}

static int walk_all(walk *w, wr_err *err)
{
    char *root = wr_arena_strdup(w->a, "");
    if (!root || wr_vec_push(&w->dirs, root) < 0) return wr_err_nomem(err);
    while (w->dirs.n > 0) {
        const char *rel = w->dirs.at[--w->dirs.n];
        const char *dir = wr_path_join(w->a, w->top, rel);
        char **names;
        size_t n;
        if (!dir) return wr_err_nomem(err);
        WR_TRY(wr_file_list(&names, &n, w->a, dir, err));
        for (size_t i = 0; i < n; i++) {
            char *name = wr_path_join(w->a, rel, names[i]);
            if (!name) return wr_err_nomem(err);
            WR_TRY(walk_entry(w, name, err));
        }
    }
    if (w->files.n) qsort(w->files.at, w->files.n, sizeof *w->files.at, by_text);
    return 0;
}

/* A link to a file counts with the file's bytes; one to a folder, or to nothing, with the text of the link (so no
 * cycles). */
static int hash_entry(char hex[WR_SHA256_HEX], const char *path, wr_err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) return wr_file_sha256(hex, path, err);
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target);
    if (n < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
    wr_sha256 h;
    wr_sha256_init(&h);
    wr_sha256_add(&h, "link:", 5);
    wr_sha256_add(&h, target, (size_t)n);
    wr_sha256_hex(&h, hex);
    return 0;
}

/* One line as sha256sum writes it: a name with a line break or a backslash is escaped and its line starts with a
 * backslash, or a file's name could pose as another line of the list. */
static void add_line(wr_sha256 *h, const char *hex, const char *name)
{
    bool escape = strpbrk(name, "\n\\") != NULL;
    if (escape) wr_sha256_add(h, "\\", 1);
    wr_sha256_add(h, hex, strlen(hex));
    wr_sha256_add(h, "  ", 2);
    for (const char *p = name; *p; p++) {
        if (*p == '\n') wr_sha256_add(h, "\\n", 2);
        else if (*p == '\\') wr_sha256_add(h, "\\\\", 2);
        else wr_sha256_add(h, p, 1);
    }
    wr_sha256_add(h, "\n", 1);
}

static int hash_list(wr_sha256 *h, walk *w, wr_err *err)
{
    for (size_t i = 0; i < w->files.n; i++) {
        char hex[WR_SHA256_HEX];
        const char *path = wr_path_join(w->a, w->top, w->files.at[i]);
        if (!path) return wr_err_nomem(err);
        WR_TRY(hash_entry(hex, path, err));
        add_line(h, hex, w->files.at[i]);
    }
    return 0;
}

int wr_file_tree_sha256(char out[WR_SHA256_HEX], const char *path, wr_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
    if (!S_ISDIR(st.st_mode)) return wr_file_sha256(out, path, err);
    walk w = {.a = wr_arena_new(0), .top = path};
    if (!w.a) return wr_err_nomem(err);
    wr_sha256 h;
    wr_sha256_init(&h);
    int rc = walk_all(&w, err);
    if (rc == 0) rc = hash_list(&h, &w, err);
    char hex[WR_SHA256_HEX];
    wr_sha256_hex(&h, hex);
    if (rc == 0) memcpy(out, hex, sizeof hex);
    wr_vec_fini(&w.dirs);
    wr_vec_fini(&w.files);
    wr_arena_free(w.a);
    return rc;
}
