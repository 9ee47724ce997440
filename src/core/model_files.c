/* SPDX-License-Identifier: Apache-2.0 */
/* model_files.c - the files of a version, from the objects or from the artifact store. */
#include "core/model_files.h"

#include "base/num.h"
#include "base/vec.h"
#include "io/file.h"
#include "track/registry_policy.h"

enum { TREE_MAX = 1 << 20, PIECE = 1 << 16 };

typedef struct {
    wr_project *project;
    wr_arena *arena;
    wr_artifacts *artifacts;
    wr_files_how how;
    WR_VEC(wr_model_file) files;
} reader;

static int add(reader *r, const wr_model_file *f, wr_err *err)
{
    if (r->files.n >= WR_MODEL_FILES_MAX) return wr_err_set(err, WEIR_ELIMIT, "more than %d files", WR_MODEL_FILES_MAX);
    return wr_vec_add(&r->files, *f, err);
}

static const char *hex_of(reader *r, wr_sha256 *h)
{
    char hex[WR_SHA256_HEX];
    wr_sha256_hex(h, hex);
    return wr_arena_strdup(r->arena, hex);
}

/* ---- a package ---- */

static int hash_object(const char **out, reader *r, wr_objects *o, const char *id, wr_err *err)
{
    char hex[WR_SHA256_HEX];
    const char *path = wr_objects_path(o, r->arena, id);
    if (!path) return wr_err_set(err, WEIR_ECORRUPT, "\"%.80s\" is not the name of an object", id);
    WR_TRY(wr_file_sha256(hex, path, err));
    *out = wr_arena_strdup(r->arena, hex);
    return *out ? 0 : wr_err_nomem(err);
}

static int read_package(reader *r, const char *package, wr_err *err)
{
    WR_AUTOBUF wr_buf tree;
    wr_objects *o;
    wr_buf_init(&tree, TREE_MAX);
    WR_TRY(wr_project_objects(&o, r->project, err));
    WR_TRY(wr_objects_get(o, package, &tree, TREE_MAX, err));
    for (wr_str rest = wr_buf_view(&tree); rest.n;) { /* "sha256 size path" */
        wr_model_file file = {0};
        wr_str line = wr_str_cut(&rest, '\n'), id = wr_str_cut(&line, ' '), size = wr_str_cut(&line, ' ');
        if (!line.p || wr_num_i64(&file.size, size, NULL) < 0)
            return wr_err_set(err, WEIR_ECORRUPT, "object %.12s is not a package", package);
        file.path = wr_arena_str(r->arena, line).p;
        file.hash = wr_arena_str(r->arena, id).p;
        if (!file.path || !file.hash) return wr_err_nomem(err);
        if (r->how == WR_FILES_READ) WR_TRY(hash_object(&file.hash, r, o, file.hash, err));
        WR_TRY(add(r, &file, err));
    }
    return 0;
}

/* ---- artifacts ---- */

static int hash_artifact(const char **out, reader *r, wr_str path, wr_err *err)
{
    unsigned char piece[PIECE];
    wr_artifact_reader *in;
    wr_sha256 h;
    int64_t n, at = 0;
    WR_TRY(wr_artifacts_read(&in, r->artifacts, path, err));
    const char *etag = wr_artifact_reader_info(in)->etag;
    bool known = wr_registered_is_sha256(wr_str_of(etag)) || wr_artifacts_remote(r->artifacts);
    if (known && r->how == WR_FILES_KNOWN) {
        *out = wr_arena_strdup(r->arena, etag);
        wr_artifact_reader_close(in);
        return *out ? 0 : wr_err_nomem(err);
    }
    wr_sha256_init(&h);
    while ((n = wr_artifact_get(in, at, piece, sizeof piece, err)) > 0) {
        wr_sha256_add(&h, piece, (size_t)n);
        at += n;
    }
    wr_artifact_reader_close(in);
    *out = hex_of(r, &h);
    return n < 0 ? (int)n : *out ? 0 : wr_err_nomem(err);
}

static int walk(reader *r, wr_str root, const char *below, int depth, wr_err *err)
{
    wr_arena *a = r->arena;
    wr_artifact_entry *entry;
    size_t n;
    char *folder = wr_arena_printf(a, "%.*s%s%s", WR_STR_FMT(root), below[0] ? "/" : "", below);
    if (!folder) return wr_err_nomem(err);
    if (depth > WR_MODEL_FILES_DEPTH)
        return wr_err_set(err, WEIR_ELIMIT, "folders in \"%.*s\" are too deep", WR_STR_FMT(root));
    WR_TRY(wr_artifacts_list(&entry, &n, a, r->artifacts, wr_str_of(folder), err));
    for (size_t i = 0; i < n; i++) {
        char *path = wr_arena_printf(a, "%s%s%s", below, below[0] ? "/" : "", entry[i].name);
        char *full = path ? wr_arena_printf(a, "%s/%s", folder, entry[i].name) : NULL;
        wr_model_file file = {.path = path, .size = entry[i].size};
        if (!full) return wr_err_nomem(err);
        if (entry[i].is_dir) {
            WR_TRY(walk(r, root, path, depth + 1, err));
            continue;
        }
        WR_TRY(hash_artifact(&file.hash, r, wr_str_of(full), err));
        WR_TRY(add(r, &file, err));
    }
    return 0;
}

bool wr_model_files_root(wr_str *out, const wr_registered_version *v)
{
    wr_str where = wr_registered_version_location(v);
    return where.n && wr_track_artifact_path(out, where) && out->n;
}

static int read_artifacts(reader *r, const wr_registered_version *v, wr_err *err)
{
    wr_str root;
    if (!wr_model_files_root(&root, v))
        return wr_err_set(err, WEIR_ENOTFOUND, "not among the artifacts of this project");
    wr_artifact_info info;
    WR_TRY(wr_project_artifacts(&r->artifacts, r->project, NULL, err));
    if (wr_artifacts_stat(&info, r->artifacts, root, NULL) == 0 && !info.is_dir) {
        wr_model_file file = {.path = ".", .size = info.size};
        WR_TRY(hash_artifact(&file.hash, r, root, err));
        return add(r, &file, err);
    }
    WR_TRY(walk(r, root, "", 0, err));
    return r->files.n ? 0 : wr_err_set(err, WEIR_ENOTFOUND, "there are none at its source");
}

/* ---- both ---- */

int wr_model_files(wr_model_file **out, size_t *n, wr_arena *a, wr_project *p, const wr_registered_version *v,
                   wr_files_how how, wr_err *err)
{
    reader r = {.project = p, .arena = a, .how = how};
    int rc = v->package.n ? read_package(&r, v->package.p, err) : read_artifacts(&r, v, err);
    return wr_vec_keep(out, n, a, &r.files, rc, err);
}

static int read_artifact(wr_buf *out, wr_project *p, wr_arena *a, wr_str root, const wr_model_file *file, wr_err *err)
{
    wr_artifacts *artifacts;
    wr_artifact_reader *in;
    bool alone = strcmp(file->path, ".") == 0;
    char *path = wr_arena_printf(a, "%.*s%s%s", WR_STR_FMT(root), alone ? "" : "/", alone ? "" : file->path);
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_project_artifacts(&artifacts, p, NULL, err));
    WR_TRY(wr_artifacts_read(&in, artifacts, wr_str_of(path), err));
    size_t size = (size_t)file->size;
    bool room = wr_buf_reserve(out, size + 1);
    int64_t n = room ? wr_artifact_get(in, 0, out->p + out->n, size, err) : wr_err_nomem(err);
    wr_artifact_reader_close(in);
    if (n < 0) return (int)n;
    out->n += (size_t)n;
    out->p[out->n] = 0;
    return 0;
}

int wr_model_file_read(wr_buf *out, wr_project *p, const wr_registered_version *v, const wr_model_file *file,
                       size_t max, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_objects *o;
    wr_str root;
    if (!a) return wr_err_nomem(err);
    if (file->size < 0 || (uint64_t)file->size > max)
        return wr_err_set(err, WEIR_ELIMIT, "\"%s\" is larger than %zu bytes", file->path, max);
    if (!v->package.n) {
        if (!wr_model_files_root(&root, v))
            return wr_err_set(err, WEIR_ENOTFOUND, "not among the artifacts of this project");
        return read_artifact(out, p, a, root, file, err);
    }
    WR_TRY(wr_project_objects(&o, p, err));
    return wr_objects_get(o, file->hash, out, max, err);
}
