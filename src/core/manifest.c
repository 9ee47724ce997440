/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c - the files of a folder with their hashes; comparing two such lists. */
#include "core/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/file.h"

enum { STEP = 256 << 10, DEPTH_MAX = 64 };

const char *const wr_manifest_ignored[WR_MANIFEST_IGNORED] = {
    WR_MANIFEST_SIGNATURE, ".git", ".gitattributes", ".github", ".gitignore", "registered_model_meta"};

/* ---- paths ---- */

/* A slash sorts before every other byte, which is the order of the lists of segments. */
int wr_manifest_path_cmp(const char *a, const char *b)
{
    while (*a && *a == *b) a++, b++;
    unsigned x = *a == '/' ? 1 : *a ? 1 + (unsigned)(unsigned char)*a : 0;
    unsigned y = *b == '/' ? 1 : *b ? 1 + (unsigned)(unsigned char)*b : 0;
    return x < y ? -1 : x > y;
}

bool wr_manifest_ignores(const char *const *list, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = strlen(list[i]);
        while (k && list[i][k - 1] == '/') k--;
        if (k && strncmp(path, list[i], k) == 0 && (!path[k] || path[k] == '/')) return true;
    }
    return false;
}

static int by_path(const void *x, const void *y)
{
    const wr_manifest_file *a = x, *b = y;
    int c = wr_manifest_path_cmp(a->path, b->path);
    return c ? c : a->start < b->start ? -1 : a->start > b->start;
}

/* ---- the root ---- */

static unsigned digit(char c) { return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10); }

static void add_digest(wr_sha256 *h, const char *hex)
{
    unsigned char raw[WR_SHA256_SIZE];
    for (size_t i = 0; i < sizeof raw; i++) raw[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    wr_sha256_add(h, raw, sizeof raw);
}

void wr_manifest_root(char out[WR_SHA256_HEX], const wr_manifest_file *files, size_t n)
{
    wr_sha256 h;
    wr_sha256_init(&h);
    for (size_t i = 0; i < n; i++) add_digest(&h, files[i].digest);
    wr_sha256_hex(&h, out);
}

int wr_manifest_finish(wr_manifest *m, wr_err *err)
{
    if (m->n) qsort(m->files, m->n, sizeof *m->files, by_path);
    for (size_t i = 1; i < m->n; i++)
        if (by_path(&m->files[i - 1], &m->files[i]) == 0)
            return wr_err_set(err, WEIR_EINVAL, "\"%.200s\" is twice in the manifest", m->files[i].path);
    wr_manifest_root(m->root, m->files, m->n);
    return 0;
}

int wr_manifest_of(wr_manifest *out, const char *name, wr_manifest_file *files, size_t n, wr_err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!wr_manifest_ignores(wr_manifest_ignored, WR_MANIFEST_IGNORED, files[i].path)) files[kept++] = files[i];
    *out = (wr_manifest){
        .name = name, .ignore = wr_manifest_ignored, .nignore = WR_MANIFEST_IGNORED, .files = files, .n = kept};
    return wr_manifest_finish(out, err);
}

/* ---- reading a folder ---- */

typedef struct {
    wr_manifest *m;
    wr_arena *arena;
    const char *root;
    WR_VEC(wr_manifest_file) files;
    unsigned char *step;
} reader;

static int read_error(const char *path, wr_err *err) { return wr_err_sys(err, errno, "cannot read \"%s\"", path); }

/* From where the file stands, up to `max` bytes (-1 = to its end). */
static int hash_piece(int64_t *got, char digest[WR_SHA256_HEX], reader *r, int fd, int64_t max, const char *path,
                      wr_err *err)
{
    wr_sha256 h;
    *got = 0;
    wr_sha256_init(&h);
    while (max < 0 || *got < max) {
        size_t want = max >= 0 && max - *got < STEP ? (size_t)(max - *got) : STEP;
        ssize_t n = read(fd, r->step, want);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return read_error(path, err);
        if (n == 0) break;
        wr_sha256_add(&h, r->step, (size_t)n);
        *got += n;
    }
    wr_sha256_hex(&h, digest);
    return 0;
}

static int push(reader *r, const wr_manifest_file *f, wr_err *err)
{
    if (r->files.n >= WR_LIMIT_SIGNATURE_FILES)
        return wr_err_set(err, WEIR_ELIMIT, "\"%s\" has more than %d files", r->root, WR_LIMIT_SIGNATURE_FILES);
    return wr_vec_add(&r->files, *f, err);
}

static int hash_pieces(reader *r, int fd, const char *relative, const char *path, wr_err *err)
{
    int64_t got, at = 0, size = r->m->shard_size;
    do {
        wr_manifest_file f = {.path = relative, .start = at, .end = -1};
        WR_TRY(hash_piece(&got, f.digest, r, fd, size ? size : -1, path, err));
        at += got;
        f.end = size ? at : -1;
        if (!size || got) WR_TRY(push(r, &f, err));
    } while (size && got == size);
    return 0;
}

static int add_file(reader *r, const char *relative, const char *path, wr_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (r->m->links ? 0 : O_NOFOLLOW));
    if (fd < 0) return read_error(path, err);
    int rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
                 ? hash_pieces(r, fd, relative, path, err)
                 : wr_err_set(err, WEIR_EINVAL, "\"%s\" is no ordinary file", path);
    close(fd);
    return rc;
}

static int add_folder(reader *r, const char *relative, const char *path, int depth, wr_err *err);

static int add_entry(reader *r, const char *relative, const char *path, int depth, wr_err *err)
{
    struct stat st;
    if (wr_manifest_ignores(r->m->ignore, r->m->nignore, relative)) return 0;
    if (lstat(path, &st) < 0) return read_error(path, err);
    bool link = S_ISLNK(st.st_mode);
    if (link && !r->m->links) {
        wr_err_set(err, WEIR_EINVAL, "\"%s\" is a symbolic link", path);
        return wr_err_hint(err, WEIR_EINVAL, "put the file itself there: a link can be turned after the signature");
    }
    if (link && stat(path, &st) < 0) return read_error(path, err);
    if (link && S_ISDIR(st.st_mode)) return wr_err_set(err, WEIR_EINVAL, "\"%s\" is a link to a folder", path);
    if (!wr_str_utf8(wr_str_of(relative)))
        return wr_err_set(err, WEIR_EINVAL, "the name of \"%.200s\" is not UTF-8", relative);
    return S_ISDIR(st.st_mode) ? add_folder(r, relative, path, depth + 1, err) : add_file(r, relative, path, err);
}

static int add_folder(reader *r, const char *relative, const char *path, int depth, wr_err *err)
{
    char **names;
    size_t n;
    if (depth > DEPTH_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "\"%s\" is nested more than %d folders deep", r->root, DEPTH_MAX);
    WR_TRY(wr_file_list(&names, &n, r->arena, path, err));
    for (size_t i = 0; i < n; i++) {
        char *below = wr_arena_printf(r->arena, "%s%s%s", relative, *relative ? "/" : "", names[i]);
        char *full = wr_arena_printf(r->arena, "%s/%s", path, names[i]);
        if (!below || !full) return wr_err_nomem(err);
        WR_TRY(add_entry(r, below, full, depth, err));
    }
    return 0;
}

static int read_all(reader *r, wr_err *err)
{
    struct stat st;
    if (stat(r->root, &st) < 0) return read_error(r->root, err);
    int rc = S_ISDIR(st.st_mode) ? add_folder(r, "", r->root, 0, err) : add_file(r, ".", r->root, err);
    WR_TRY(wr_vec_keep(&r->m->files, &r->m->n, r->arena, &r->files, rc, err));
    return wr_manifest_finish(r->m, err);
}

/* The last segment of the path, also of "." and "a/". */
static const char *name_of(wr_arena *a, const char *path)
{
    char *full = wr_path_absolute(a, path);
    return full ? wr_path_base(full) : NULL;
}

int wr_manifest_read(wr_manifest *out, wr_arena *a, const char *path, const wr_manifest *like, wr_err *err)
{
    *out = (wr_manifest){.name = name_of(a, path), .ignore = wr_manifest_ignored, .nignore = WR_MANIFEST_IGNORED};
    if (like) {
        out->shard_size = like->shard_size;
        out->links = like->links;
        out->ignore = like->ignore;
        out->nignore = like->nignore;
    }
    reader r = {.m = out, .arena = a, .root = path, .step = wr_alloc(STEP)};
    int rc = r.step && out->name ? read_all(&r, err) : wr_err_nomem(err);
    wr_free(r.step);
    wr_vec_fini(&r.files);
    return rc;
}

/* ---- comparing ---- */

typedef struct {
    size_t changed, missing, added;
    const char *first, *what;
} difference;

static void note(difference *d, size_t *count, const char *path, const char *what)
{
    if (!d->first) {
        d->first = path;
        d->what = what;
    }
    ++*count;
}

/* Both are sorted: one walk. */
int wr_manifest_compare(const wr_manifest *found, const wr_manifest *expected, wr_err *err)
{
    difference d = {0};
    for (size_t i = 0, k = 0; i < found->n || k < expected->n;) {
        const wr_manifest_file *f = i < found->n ? &found->files[i] : NULL;
        const wr_manifest_file *e = k < expected->n ? &expected->files[k] : NULL;
        int c = !f ? 1 : !e ? -1 : by_path(f, e);
        if (c < 0) note(&d, &d.added, f->path, "is not in the signature");
        else if (c > 0) note(&d, &d.missing, e->path, "is missing");
        else if (f->end != e->end || strcmp(f->digest, e->digest) != 0)
            note(&d, &d.changed, f->path, "is not what was signed");
        i += c <= 0;
        k += c >= 0;
    }
    if (!d.first) return 0;
    wr_err_set(err, WEIR_ENO, "\"%.200s\" %s", d.first, d.what);
    return wr_err_detail(err, WEIR_ENO, "%zu changed, %zu missing, %zu added", d.changed, d.missing, d.added);
}
