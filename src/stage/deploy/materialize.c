/* SPDX-License-Identifier: Apache-2.0 */
/* materialize.c - files from artifacts to disk. */
#include "stage/deploy/materialize.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/os.h"
#include "base/vec.h"
#include "io/file.h"
#include "store/artifacts.h"
#include "track/track.h"

enum { FILES_MAX = 10000, DEPTH_MAX = 16, PIECE = 1 << 20 };
static const int64_t bytes_max = (int64_t)16 << 30;

typedef struct {
    char *path, *name; /* in the store; below the model's folder */
    int64_t size;
    char etag[WR_ARTIFACT_ETAG];
} file;

typedef struct {
    wr_artifacts *store;
    wr_arena *a;
    WR_VEC(file) files;
    int64_t bytes;
    wr_err *err;
} model;

/* ---- what there is ---- */

static int add_file(model *m, const char *path, const char *name)
{
    wr_artifact_info info;
    file f = {.path = wr_arena_strdup(m->a, path), .name = wr_arena_strdup(m->a, name)};
    WR_TRY(wr_artifacts_stat(&info, m->store, wr_str_of(path), m->err));
    f.size = info.size;
    memcpy(f.etag, info.etag, sizeof f.etag);
    m->bytes += info.size;
    if (m->files.n == FILES_MAX) return wr_err_set(m->err, WEIR_ELIMIT, "a model has more than %d files", FILES_MAX);
    if (m->bytes > bytes_max)
        return wr_err_set(m->err, WEIR_ELIMIT, "a model has more than %lld bytes", (long long)bytes_max);
    return !f.path || !f.name || wr_vec_push(&m->files, f) < 0 ? wr_err_nomem(m->err) : 0;
}

static int add_folder(model *m, const char *path, const char *name, int depth)
{
    wr_artifact_entry *e;
    size_t n;
    if (depth > DEPTH_MAX) return wr_err_set(m->err, WEIR_ELIMIT, "folders of a model are deeper than %d", DEPTH_MAX);
    WR_TRY(wr_artifacts_list(&e, &n, m->a, m->store, wr_str_of(path), m->err));
    for (size_t i = 0; i < n; i++) {
        char *p = wr_arena_printf(m->a, "%s/%s", path, e[i].name);
        char *q = wr_arena_printf(m->a, "%s%s%s", name, name[0] ? "/" : "", e[i].name);
        if (!p || !q) return wr_err_nomem(m->err);
        WR_TRY(e[i].is_dir ? add_folder(m, p, q, depth + 1) : add_file(m, p, q));
    }
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(((const file *)a)->name, ((const file *)b)->name); }

static void name_of(char folder[WR_SHA256_HEX], const model *m)
{
    wr_sha256 h;
    char text[64];
    wr_sha256_init(&h);
    for (size_t i = 0; i < m->files.n; i++) {
        const file *f = &m->files.at[i];
        wr_sha256_add(&h, f->name, strlen(f->name) + 1);
        wr_sha256_add(&h, f->etag, strlen(f->etag) + 1);
        int n = snprintf(text, sizeof text, "%lld", (long long)f->size);
        wr_sha256_add(&h, text, (size_t)n + 1);
    }
    wr_sha256_hex(&h, folder);
}

/* ---- copying ---- */

static int copy_bytes(int fd, wr_artifact_reader *r, const char *to, wr_err *err)
{
    WR_AUTOFREE char *piece = wr_alloc(PIECE);
    int64_t at = 0, n;
    if (!piece) return wr_err_nomem(err);
    while ((n = wr_artifact_get(r, at, piece, PIECE, err)) > 0) {
        WR_TRY(wr_file_write_all(fd, piece, (size_t)n, to, err));
        at += n;
    }
    return n < 0 ? (int)n : 0;
}

static int copy_file(model *m, const file *f, const char *dir)
{
    wr_artifact_reader *r;
    char *to = wr_path_join(m->a, dir, f->name), *parent = to ? wr_path_dir(m->a, to) : NULL;
    if (!parent) return wr_err_nomem(m->err);
    WR_TRY(wr_file_mkdirs(parent, m->err));
    WR_TRY(wr_artifacts_read(&r, m->store, wr_str_of(f->path), m->err));
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    int rc = fd < 0 ? wr_err_set(m->err, WEIR_EIO, "cannot write '%s'", to) : copy_bytes(fd, r, to, m->err);
    if (fd >= 0) close(fd);
    wr_artifact_reader_close(r);
    return rc;
}

/* Without fsync: what a crash spoils is a cache. Its name says what it should hold, and sizes are compared when it is
 * found. */
static int fill(model *m, const char *cache, const char *dir)
{
    char part[64];
    unsigned char random[8];
    wr_os_random(random, sizeof random);
    memcpy(part, ".tmp-", 5);
    wr_hex(part + 5, random, sizeof random);
    char *temporary = wr_path_join(m->a, cache, part);
    if (!temporary) return wr_err_nomem(m->err);
    int rc = wr_file_mkdirs(temporary, m->err);
    for (size_t i = 0; rc == 0 && i < m->files.n; i++) rc = copy_file(m, &m->files.at[i], temporary);
    if (rc == 0 && rename(temporary, dir) < 0 && !wr_file_exists(dir))
        rc = wr_err_set(m->err, WEIR_EIO, "cannot move '%s' to its place", temporary);
    if (wr_file_exists(temporary)) (void)wr_file_remove_tree(temporary, NULL);
    return rc;
}

static bool complete(model *m, const char *dir)
{
    for (size_t i = 0; i < m->files.n; i++) {
        char *path = wr_path_join(m->a, dir, m->files.at[i].name);
        if (!path || wr_file_size(path) != m->files.at[i].size) return false;
    }
    return true;
}

static int own_path(wr_str *out, wr_str location, wr_err *err)
{
    if (wr_track_artifact_path(out, location) && out->n) return 0;
    wr_err_set(err, WEIR_EUNSUPPORTED, "its files are at \"%.*s\", which is not this server's store",
               (int)(location.n < 150 ? location.n : 150), location.p);
    return wr_err_hint(err, WEIR_EUNSUPPORTED,
                       "log the model with this server as tracking server, or serve the files by `path:`");
}

static int materialize(char **path, char folder[WR_SHA256_HEX], model *m, wr_project *p, const char *from)
{
    const char *cache;
    wr_artifact_info info;
    WR_TRY(wr_artifacts_stat(&info, m->store, wr_str_of(from), m->err));
    WR_TRY(info.is_dir ? add_folder(m, from, "", 0) : add_file(m, from, wr_path_base(from)));
    if (!m->files.n) return wr_err_set(m->err, WEIR_ENOTFOUND, "\"%s\" has no files", from);
    qsort(m->files.at, m->files.n, sizeof *m->files.at, by_name);
    name_of(folder, m);
    WR_TRY(wr_project_state(&cache, p, "cache/serving", true, m->err));
    char *dir = wr_path_join(m->a, cache, folder);
    if (!dir) return wr_err_nomem(m->err);
    if (wr_file_exists(dir) && !complete(m, dir)) WR_TRY(wr_file_remove_tree(dir, m->err));
    if (!wr_file_exists(dir)) WR_TRY(fill(m, cache, dir));
    *path = info.is_dir ? dir : wr_path_join(m->a, dir, m->files.at[0].name);
    return *path ? 0 : wr_err_nomem(m->err);
}

int wr_materialize(char **path, char folder[WR_SHA256_HEX], wr_arena *a, wr_project *p, wr_str location, wr_err *err)
{
    model m = {.a = a, .err = err};
    wr_str from;
    WR_TRY(own_path(&from, location, err));
    WR_TRY(wr_artifact_path_check(from, err));
    from = wr_arena_str(a, from);
    if (!from.p) return wr_err_nomem(err);
    WR_TRY(wr_project_artifacts(&m.store, p, NULL, err));
    int rc = materialize(path, folder, &m, p, from.p);
    wr_vec_fini(&m.files);
    return rc;
}

void wr_materialize_sweep(wr_project *p, const char *const *folders, size_t n)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *cache;
    char **names;
    size_t nnames;
    if (!a || wr_project_state(&cache, p, "cache/serving", false, NULL) < 0 || !wr_file_exists(cache)) return;
    if (wr_file_list(&names, &nnames, a, cache, NULL) < 0) return;
    for (size_t i = 0; i < nnames; i++) {
        bool used = false;
        for (size_t k = 0; k < n && !used; k++) used = strcmp(folders[k], names[i]) == 0;
        char *path = wr_path_join(a, cache, names[i]);
        if (!used && path) (void)wr_file_remove_tree(path, NULL);
    }
}
