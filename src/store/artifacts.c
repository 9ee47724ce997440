/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts.c - the list of kinds, what all of them check, and what they share. */
#include "store/artifacts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"
#include "store/artifacts_ops.h"

/* One line adds a kind. */
static const wr_artifacts_ops *const kinds[] = {&wr_artifacts_objects, &wr_artifacts_directory, &wr_artifacts_s3};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- paths ---- */

static int invalid(wr_str path, const char *why, wr_err *err)
{
    wr_str shown = wr_str_fit(path, 200);
    for (size_t i = 0; i < shown.n; i++) {
        if ((unsigned char)shown.p[i] < 0x20 || shown.p[i] == 0x7f) shown.n = i; /* nothing that a terminal obeys */
    }
    if (!wr_str_utf8(shown)) shown.n = 0;
    wr_err_set(err, WEIR_EINVAL, "invalid path '%.*s'", WR_STR_FMT(shown));
    return wr_err_detail(err, WEIR_EINVAL, "%s", why);
}

static const char *fault_of_segment(wr_str s)
{
    if (s.n == 0) return "a part between slashes is empty";
    if (wr_str_is(s, ".") || wr_str_is(s, "..")) return "'.' and '..' are not followed";
    if (s.n > WR_ARTIFACT_SEGMENT) return "a part between slashes is longer than 255 bytes";
    return NULL;
}

static bool is_drive(wr_str p) /* "C:/": absolute where the client may put it on a disk */
{
    return p.n > 2 && ((p.p[0] | 32) >= 'a' && (p.p[0] | 32) <= 'z') && p.p[1] == ':' && p.p[2] == '/';
}

int wr_artifact_path_check(wr_str path, wr_err *err)
{
    if (path.n == 0) return invalid(path, "it is empty", err);
    if (path.n > WR_ARTIFACT_PATH) return invalid(path, "it is longer than 1024 bytes", err);
    if (path.p[0] == '/' || is_drive(path)) return invalid(path, "it is absolute", err);
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c < 0x20 || c == 0x7f) return invalid(path, "it has a control character", err);
        if (c == '#' || c == '\\') return invalid(path, "'#' and '\\' are not allowed", err);
    }
    if (!wr_str_utf8(path)) return invalid(path, "it is not UTF-8", err);
    wr_str rest = path;
    while (rest.p) {
        const char *fault = fault_of_segment(wr_str_cut(&rest, '/'));
        if (fault) return invalid(path, fault, err);
    }
    return 0;
}

static int check_folder(wr_str path, wr_err *err) { return path.n == 0 ? 0 : wr_artifact_path_check(path, err); }

/* ---- opening ---- */

static int no_kind(const char *where, wr_err *err)
{
    WR_AUTOBUF wr_buf forms;
    wr_buf_init(&forms, 300);
    for (size_t i = 0; i < KINDS; i++) wr_buf_printf(&forms, "%s%s", i ? "; " : "", kinds[i]->forms);
    wr_err_set(err, WEIR_EINVAL, "'%.200s' is no place for artifacts", where);
    return wr_err_hint(err, WEIR_EINVAL, "%s", wr_buf_cstr(&forms));
}

int wr_artifacts_open(wr_artifacts **out, const char *where, const wr_artifacts_opt *opt, wr_err *err)
{
    if (!where || !*where) where = "objects";
    const wr_artifacts_ops *kind = NULL;
    for (size_t i = 0; i < KINDS && !kind; i++) {
        if (kinds[i]->takes(wr_str_of(where))) kind = kinds[i];
    }
    if (!kind) return no_kind(where, err);
    wr_artifacts *s;
    WR_TRY(kind->open(&s, where, opt, err));
    s->ops = kind;
    s->scratch = wr_strdup(opt->scratch);
    if (opt->scratch && !s->scratch) {
        kind->close(s);
        return wr_err_nomem(err);
    }
    *out = s;
    return 0;
}

void wr_artifacts_close(wr_artifacts *s)
{
    if (!s) return;
    wr_free(s->scratch);
    s->ops->close(s);
}

const char *wr_artifacts_kind(const wr_artifacts *s) { return s->ops->kind; }
bool wr_artifacts_remote(const wr_artifacts *s) { return s->ops->remote; }

int wr_artifacts_sweep(wr_artifacts *s, wr_err *err)
{
    if (!s->ops->parts_create) WR_TRY(wr_parts_sweep(s, err));
    return s->ops->sweep ? s->ops->sweep(s, err) : 0;
}

/* ---- writing ---- */

int wr_artifacts_write(wr_artifact_writer **out, wr_artifacts *s, wr_str path, int64_t size, wr_err *err)
{
    WR_TRY(wr_artifact_path_check(path, err));
    WR_TRY(s->ops->write(out, s, path, size, err));
    (*out)->declared = size;
    return 0;
}

int wr_artifact_add(wr_artifact_writer *w, wr_str piece, wr_err *err)
{
    w->written += (int64_t)piece.n;
    if (w->declared >= 0 && w->written > w->declared)
        return wr_err_set(err, WEIR_EINVAL, "more than the announced %lld bytes came", (long long)w->declared);
    return piece.n ? w->ops->add(w, piece, err) : 0;
}

int wr_artifact_commit(wr_artifact_writer *w, wr_artifact_info *info, wr_err *err)
{
    wr_artifact_info ignored;
    int rc = 0;
    if (!info) info = &ignored;
    *info = (wr_artifact_info){0};
    if (w->declared >= 0 && w->written != w->declared) {
        rc = wr_err_set(err, WEIR_EINVAL, "%lld of the announced %lld bytes came", (long long)w->written,
                        (long long)w->declared);
    }
    if (rc == 0) rc = w->ops->commit(w, info, err);
    w->ops->drop(w);
    return rc;
}

void wr_artifact_abort(wr_artifact_writer *w)
{
    if (w) w->ops->drop(w);
}

int wr_artifacts_put(wr_artifacts *s, wr_str path, wr_str content, wr_artifact_info *info, wr_err *err)
{
    wr_artifact_writer *w;
    WR_TRY(wr_artifacts_write(&w, s, path, (int64_t)content.n, err));
    int rc = wr_artifact_add(w, content, err);
    if (rc == 0) return wr_artifact_commit(w, info, err);
    wr_artifact_abort(w);
    return rc;
}

/* ---- reading ---- */

int wr_artifacts_read(wr_artifact_reader **out, wr_artifacts *s, wr_str path, wr_err *err)
{
    WR_TRY(wr_artifact_path_check(path, err));
    WR_TRY(s->ops->read(out, s, path, err));
    (*out)->store = s;
    return 0;
}

const wr_artifact_info *wr_artifact_reader_info(const wr_artifact_reader *r) { return &r->info; }
int wr_artifact_reader_fd(const wr_artifact_reader *r) { return r->fd; }

int64_t wr_artifact_get(wr_artifact_reader *r, int64_t offset, void *p, size_t n, wr_err *err)
{
    if (offset < 0) return wr_err_set(err, WEIR_EINVAL, "offset %lld", (long long)offset);
    if (offset >= r->info.size) return 0;
    if ((uint64_t)(r->info.size - offset) < n) n = (size_t)(r->info.size - offset);
    return r->store->ops->get(r, offset, p, n, err);
}

void wr_artifact_reader_close(wr_artifact_reader *r)
{
    if (r) r->store->ops->reader_close(r);
}

int wr_artifacts_stat(wr_artifact_info *out, wr_artifacts *s, wr_str path, wr_err *err)
{
    WR_TRY(check_folder(path, err));
    *out = (wr_artifact_info){.is_dir = path.n == 0};
    return path.n == 0 ? 0 : s->ops->stat(out, s, path, err);
}

int wr_artifacts_list(wr_artifact_entry **out, size_t *n, wr_arena *a, wr_artifacts *s, wr_str path, wr_err *err)
{
    *out = NULL;
    *n = 0;
    WR_TRY(check_folder(path, err));
    return s->ops->list(out, n, a, s, path, err);
}

int wr_artifacts_delete(wr_artifacts *s, wr_str path, wr_err *err)
{
    WR_TRY(wr_artifact_path_check(path, err));
    return s->ops->remove(s, path, err);
}

/* ---- in parts ---- */

int wr_artifacts_parts_create(char id[WR_ARTIFACT_UPLOAD], wr_artifacts *s, wr_str path, wr_err *err)
{
    WR_TRY(wr_artifact_path_check(path, err));
    return s->ops->parts_create ? s->ops->parts_create(id, s, path, err) : wr_parts_create(id, s, path, err);
}

static int check_number(int number, wr_err *err)
{
    if (number >= 1 && number <= WR_ARTIFACT_PARTS_MAX) return 0;
    return wr_err_set(err, WEIR_EINVAL, "part %d: parts have numbers from 1 to %d", number, WR_ARTIFACT_PARTS_MAX);
}

int wr_artifacts_part_write(wr_artifact_writer **out, wr_artifacts *s, wr_str path, const char *id, int number,
                            wr_err *err)
{
    WR_TRY(wr_artifact_path_check(path, err));
    WR_TRY(check_number(number, err));
    WR_TRY(s->ops->part_write ? s->ops->part_write(out, s, path, id, number, err)
                              : wr_parts_write(out, s, path, id, number, err));
    (*out)->declared = -1;
    return 0;
}

int wr_artifacts_parts_complete(wr_artifacts *s, wr_str path, const char *id, const wr_artifact_part *parts, size_t n,
                                wr_artifact_info *info, wr_err *err)
{
    wr_artifact_info ignored;
    if (!info) info = &ignored;
    *info = (wr_artifact_info){0};
    WR_TRY(wr_artifact_path_check(path, err));
    if (n == 0 || n > WR_ARTIFACT_PARTS_MAX)
        return wr_err_set(err, WEIR_EINVAL, "%zu parts: an upload has 1 to %d", n, WR_ARTIFACT_PARTS_MAX);
    for (size_t i = 0; i < n; i++) {
        WR_TRY(check_number(parts[i].number, err));
        if (i && parts[i].number <= parts[i - 1].number)
            return wr_err_set(err, WEIR_EINVAL, "part %d is not in ascending order", parts[i].number);
    }
    return s->ops->parts_complete ? s->ops->parts_complete(s, path, id, parts, n, info, err)
                                  : wr_parts_complete(s, path, id, parts, n, info, err);
}

int wr_artifacts_parts_abort(wr_artifacts *s, wr_str path, const char *id, wr_err *err)
{
    WR_TRY(wr_artifact_path_check(path, err));
    return s->ops->parts_abort ? s->ops->parts_abort(s, path, id, err) : wr_parts_abort(s, path, id, err);
}

int wr_artifacts_presign(wr_buf *url, wr_artifacts *s, const char *method, wr_str path, const char *id, int number,
                         int64_t expires_s, wr_err *err)
{
    WR_TRY(wr_artifact_path_check(path, err));
    if (s->ops->presign) return s->ops->presign(url, s, method, path, id, number, expires_s, err);
    return wr_err_set(err, WEIR_EUNSUPPORTED, "artifacts are kept in %s: it has no URLs of its own", s->ops->kind);
}

/* ---- shared by the kinds ---- */

int wr_artifact_missing(wr_str path, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "there is no artifact '%.*s'", WR_STR_FMT(wr_str_fit(path, 250)));
}

int wr_artifact_is_folder(wr_str path, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL, "artifact '%.*s' is a folder, not a file", WR_STR_FMT(wr_str_fit(path, 250)));
}

int wr_artifact_in_the_way(wr_str path, const char *what, wr_err *err)
{
    wr_err_set(err, WEIR_EEXIST, "artifact '%.*s' is a %s", WR_STR_FMT(wr_str_fit(path, 250)), what);
    return wr_err_detail(err, WEIR_EEXIST, "a path is a file or a folder, not both");
}

int wr_artifact_room(const char *dir, int64_t size, wr_err *err)
{
    struct statvfs st;
    if (size <= 0 || statvfs(dir, &st) < 0) return 0; /* unknown: the write will tell */
    if ((uint64_t)size / st.f_frsize < st.f_bavail) return 0;
    wr_err_set(err, WEIR_ENOSPC, "no room for an artifact of %lld bytes", (long long)size);
    return wr_err_hint(err, WEIR_ENOSPC, "free some space where '%.200s' is", dir);
}

int64_t wr_artifact_pread(wr_artifact_reader *r, int64_t offset, void *p, size_t n, wr_err *err)
{
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(r->fd, (char *)p + got, n - got, (off_t)offset + (off_t)got);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return wr_err_sys(err, errno, "cannot read an artifact");
        if (k == 0) break;
        got += (size_t)k;
    }
    return (int64_t)got;
}

void wr_artifact_reader_drop(wr_artifact_reader *r)
{
    if (r->fd >= 0) close(r->fd);
    wr_free(r);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const wr_artifact_entry *)a)->name, ((const wr_artifact_entry *)b)->name);
}

void wr_artifacts_sort(wr_artifact_entry *list, size_t n)
{
    if (n > 1) qsort(list, n, sizeof *list, by_name);
}
