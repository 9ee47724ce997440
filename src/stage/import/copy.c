/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - walking a tree of artifacts and copying what is missing. */
#include "stage/import/copy.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/file.h"

enum { PIECE = 256 << 10, DEPTH = 64 };

static int add_piece(void *arg, wr_str piece)
{
    wr_import_copy *c = arg;
    c->report->bytes += (int64_t)piece.n;
    return wr_artifact_add(c->writer, piece, c->err);
}

/* From a store of ours. */
static int read_tree(wr_import_copy *c, wr_str path, wr_err *err)
{
    wr_artifact_reader *r;
    WR_TRY(wr_artifacts_read(&r, c->from, path, err));
    char *piece = wr_alloc(PIECE);
    int64_t at = 0, n = 0;
    int rc = piece ? 0 : wr_err_nomem(err);
    while (rc == 0 && (n = wr_artifact_get(r, at, piece, PIECE, err)) > 0) {
        rc = add_piece(c, (wr_str){piece, (size_t)n});
        at += n;
    }
    wr_free(piece);
    wr_artifact_reader_close(r);
    return rc < 0 ? rc : n < 0 ? (int)n : 0;
}

static int copy_file(wr_import_copy *c, wr_str from, wr_str to, int64_t size, wr_err *err)
{
    WR_TRY(wr_artifacts_write(&c->writer, c->to, to, size, err));
    c->err = err;
    int rc = c->from ? read_tree(c, from, err) : c->source->ops->read(c->source, from, add_piece, c, err);
    if (rc < 0) {
        wr_artifact_abort(c->writer);
        return rc;
    }
    WR_TRY(wr_artifact_commit(c->writer, NULL, err));
    c->report->files_copied++;
    return 0;
}

static bool is_there(wr_import_copy *c, wr_str path, int64_t size)
{
    wr_artifact_info info;
    wr_err none = {0};
    return wr_artifacts_stat(&info, c->to, path, &none) == 0 && !info.is_dir && (size < 0 || info.size == size);
}

/* What the store refuses by its name or what has gone meanwhile is no reason to give up all others. */
static int file(wr_import_copy *c, wr_arena *a, wr_str path, int64_t size, wr_err *err)
{
    wr_err why = {0};
    wr_str to = wr_import_path(c->places, a, path);
    c->report->files++;
    if (c->dry_run) return 0;
    int rc = wr_artifact_path_check(to, &why);
    if (rc == 0 && is_there(c, to, size)) return 0;
    if (rc == 0) rc = copy_file(c, path, to, size, &why);
    if (rc == WEIR_EINVAL || rc == WEIR_ENOTFOUND || rc == WEIR_EEXIST) {
        if (!c->report->skipped++)
            snprintf(c->report->why, sizeof c->report->why, "artifact %.*s: %.150s", WR_STR_FMT(wr_str_fit(path, 80)),
                     why.msg);
        return 0;
    }
    if (rc < 0 && err) *err = why;
    return rc < 0 ? wr_err_wrap(err, rc, "artifact \"%.*s\"", WR_STR_FMT(wr_str_fit(path, 120))) : 0;
}

static int folder(wr_import_copy *c, wr_str path, int depth, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_artifact_entry *at;
    size_t n;
    if (!a) return wr_err_nomem(err);
    if (depth > DEPTH) return wr_err_set(err, WEIR_ELIMIT, "folders of artifacts are more than %d deep", DEPTH);
    WR_TRY(c->from ? wr_artifacts_list(&at, &n, a, c->from, path, err)
                   : c->source->ops->list(&at, &n, c->source, a, path, err));
    for (size_t i = 0; i < n; i++) {
        const char *below = path.n ? wr_arena_printf(a, "%.*s/%s", WR_STR_FMT(path), at[i].name) : at[i].name;
        if (!below) return wr_err_nomem(err);
        WR_TRY(at[i].is_dir ? folder(c, wr_str_of(below), depth + 1, err)
                            : file(c, a, wr_str_of(below), at[i].size, err));
        if (c->progress && i % 16 == 0) c->progress(c->arg, "artifacts", -1);
    }
    return 0;
}

static int open_tree(wr_artifacts **out, const char *where, wr_err *err)
{
    const char *path = where;
    if (strncmp(path, "file:", 5) == 0) path += strncmp(path, "file://", 7) == 0 ? 7 : 5;
    if (!strstr(path, "://") && !wr_file_exists(path))
        return wr_err_set(err, WEIR_ENOTFOUND, "there is no folder \"%s\"", path);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *whole = !a ? NULL : strstr(path, "://") ? path : wr_path_absolute(a, path);
    return whole ? wr_artifacts_open(out, whole, &(wr_artifacts_opt){0}, err) : wr_err_nomem(err);
}

int wr_import_copy_tree(wr_import_copy *c, wr_project *p, const char *where, wr_err *err)
{
    WR_TRY(wr_project_artifacts(&c->to, p, NULL, err));
    WR_TRY(open_tree(&c->from, where, err));
    int rc = folder(c, WR_STR(""), 0, err);
    wr_artifacts_close(c->from);
    return rc;
}

int wr_import_copy_source(wr_import_copy *c, wr_project *p, wr_err *err)
{
    WR_TRY(wr_project_artifacts(&c->to, p, NULL, err));
    return folder(c, WR_STR(""), 0, err);
}
