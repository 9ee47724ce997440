/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_parts.c - uploads in parts, for the kinds that have none of their own.
 *
 * SCRATCH/uploads/ID/ holds "path" (the path the upload is for: an id is good for that one) and the parts, files
 * "NNNNN-ETAG". An etag is XXH3-64 of the content and its size; it is compared again while the parts are put together,
 * so that a part which a power cut has torn is not taken. What several writers do to one part: the last to finish
 * counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/os.h"
#include "io/file.h"
#include "store/artifacts_ops.h"

#include <xxhash.h>

enum { ID_DIGITS = 32, STEP = 1 << 20 };
static const int64_t WEEK_US = 7 * WR_DAY_US;

typedef struct {
    wr_artifact_writer base;
    char *dir, *temp;
    int number, fd;
    XXH3_state_t *hash;
} writer;

static int no_upload(const char *id, wr_err *err)
{
    wr_err_set(err, WEIR_ENOTFOUND, "there is no upload '%.64s'", id);
    return wr_err_hint(err, WEIR_ENOTFOUND, "it was completed or aborted, or is older than a week");
}

static bool id_ok(const char *id) { return strlen(id) == ID_DIGITS && strspn(id, "0123456789abcdef") == ID_DIGITS; }

static void etag_of(char out[WR_ARTIFACT_ETAG], uint64_t hash, int64_t size)
{
    if (snprintf(out, WR_ARTIFACT_ETAG, "%016llx-%llx", (unsigned long long)hash, (unsigned long long)size) < 0)
        out[0] = 0;
}

/* The folder of upload `id`, which is for `path`. */
static int upload_dir(char **out, wr_arena *a, wr_artifacts *s, wr_str path, const char *id, wr_err *err)
{
    if (!s->scratch || !id_ok(id)) return no_upload(id, err);
    char *dir = wr_arena_printf(a, "%s/uploads/%s", s->scratch, id), *file = wr_arena_printf(a, "%s/path", dir);
    if (!dir || !file) return wr_err_nomem(err);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    int rc = wr_file_read(&b, file, WR_ARTIFACT_PATH, err);
    if (rc == WEIR_ENOTFOUND || (rc == 0 && !wr_str_eq(wr_buf_view(&b), path))) return no_upload(id, err);
    *out = dir;
    return rc;
}

int wr_parts_create(char id[WR_ARTIFACT_UPLOAD], wr_artifacts *s, wr_str path, wr_err *err)
{
    if (!s->scratch) return wr_err_set(err, WEIR_EUNSUPPORTED, "there is no folder for the parts of uploads");
    unsigned char random[ID_DIGITS / 2];
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_os_random(random, sizeof random);
    wr_hex(id, random, sizeof random);
    char *dir = a ? wr_arena_printf(a, "%s/uploads/%s", s->scratch, id) : NULL;
    char *file = a ? wr_arena_printf(a, "%s/uploads/%s/path", s->scratch, id) : NULL;
    if (!dir || !file) return wr_err_nomem(err);
    int rc = wr_file_mkdirs(dir, err);
    if (rc == 0) rc = wr_file_write(file, path, err);
    if (rc < 0) (void)wr_file_remove_tree(dir, NULL);
    return rc;
}

/* ---- one part ---- */

static void drop(wr_artifact_writer *base)
{
    writer *w = (writer *)base;
    if (w->fd >= 0) close(w->fd);
    if (w->temp) unlink(w->temp);
    XXH3_freeState(w->hash);
    wr_free(w->temp);
    wr_free(w->dir);
    wr_free(w);
}

static int add(wr_artifact_writer *base, wr_str piece, wr_err *err)
{
    writer *w = (writer *)base;
    XXH3_64bits_update(w->hash, piece.p, piece.n);
    return wr_file_write_all(w->fd, piece.p, piece.n, w->temp, err);
}

static bool is_part(const char *name, int number)
{
    char prefix[16];
    int n = snprintf(prefix, sizeof prefix, "%05d-", number);
    return n > 0 && strncmp(name, prefix, (size_t)n) == 0;
}

/* Earlier versions of the part. */
static void drop_others(const writer *w, wr_arena *a, const char *kept)
{
    char **names;
    size_t n;
    if (wr_file_list(&names, &n, a, w->dir, NULL) < 0) return;
    for (size_t i = 0; i < n; i++) {
        if (!is_part(names[i], w->number) || strcmp(names[i], kept) == 0) continue;
        const char *path = wr_path_join(a, w->dir, names[i]);
        if (path) unlink(path);
    }
}

/* Not synced: the etags tell when the parts are put together, and that is synced. */
static int commit(wr_artifact_writer *base, wr_artifact_info *info, wr_err *err)
{
    writer *w = (writer *)base;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    etag_of(info->etag, XXH3_64bits_digest(w->hash), w->base.written);
    info->size = w->base.written;
    info->mtime_us = wr_clock_wall_us();
    char *name = wr_arena_printf(a, "%05d-%s", w->number, info->etag);
    const char *to = name ? wr_path_join(a, w->dir, name) : NULL;
    if (!to) return wr_err_nomem(err);
    int sys = close(w->fd) < 0 ? errno : 0;
    w->fd = -1;
    if (sys) return wr_err_sys(err, sys, "cannot write '%s'", w->temp);
    if (wr_fault_hit(WR_FAULT_RENAME)) sys = EIO;
    else if (rename(w->temp, to) < 0) sys = errno;
    if (sys) return wr_err_sys(err, sys, "cannot keep part %d", w->number);
    wr_free(w->temp);
    w->temp = NULL;
    wr_fault_crash_point();
    drop_others(w, a, name);
    return 0;
}

static const wr_artifact_writer_ops writer_ops = {.add = add, .commit = commit, .drop = drop};

int wr_parts_write(wr_artifact_writer **out, wr_artifacts *s, wr_str path, const char *id, int number, wr_err *err)
{
    char *dir;
    uint64_t random;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(upload_dir(&dir, a, s, path, id, err));
    wr_os_random(&random, sizeof random);
    const char *temp = wr_arena_printf(a, "%s/tmp-%d-%016llx", dir, number, (unsigned long long)random);
    writer *w = wr_calloc(1, sizeof *w);
    if (!w) return wr_err_nomem(err);
    *w = (writer){.base.ops = &writer_ops, .number = number, .fd = -1};
    w->dir = wr_strdup(dir);
    w->temp = wr_strdup(temp);
    w->hash = XXH3_createState();
    int rc = w->dir && w->temp && w->hash ? 0 : wr_err_nomem(err);
    if (rc == 0) {
        XXH3_64bits_reset(w->hash);
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (w->fd < 0) rc = wr_err_sys(err, errno, "cannot create '%s'", w->temp);
    }
    if (rc < 0) drop(&w->base);
    else *out = &w->base;
    return rc;
}

/* ---- putting them together ---- */

static int wrong_part(const wr_artifact_part *p, const char *why, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "part %d %s", p->number, why);
    return wr_err_hint(err, WEIR_EINVAL, "send that part again, then complete again with its new etag");
}

/* File of a part, and its etag from the name; WEIR_EINVAL when it is not there or another one. */
static int part_file(const char **path, const char **etag, wr_arena *a, const char *dir, char **names, size_t n,
                     const wr_artifact_part *p, wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_part(names[i], p->number)) continue;
        *etag = strchr(names[i], '-') + 1;
        if (p->etag[0] && strcmp(p->etag, *etag) != 0) continue;
        *path = wr_path_join(a, dir, names[i]);
        return *path ? 0 : wr_err_nomem(err);
    }
    return wrong_part(p, "is missing or has another etag", err);
}

static int copy_part(wr_artifact_writer *to, const wr_artifact_part *p, const char *path, const char *etag, char *step,
                     wr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open part %d", p->number);
    XXH3_state_t *hash = XXH3_createState();
    int rc = hash ? 0 : wr_err_nomem(err);
    if (hash) XXH3_64bits_reset(hash);
    int64_t size = 0;
    while (rc == 0) {
        ssize_t n = read(fd, step, STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = wr_err_sys(err, errno, "cannot read part %d", p->number);
        if (n <= 0) break;
        XXH3_64bits_update(hash, step, (size_t)n);
        size += n;
        rc = wr_artifact_add(to, (wr_str){step, (size_t)n}, err);
    }
    close(fd);
    char is[WR_ARTIFACT_ETAG];
    if (rc == 0) etag_of(is, XXH3_64bits_digest(hash), size);
    if (rc == 0 && strcmp(is, etag) != 0) rc = wrong_part(p, "is damaged", err);
    XXH3_freeState(hash);
    return rc;
}

static int put_together(wr_artifact_writer *to, wr_arena *a, const char *dir, const wr_artifact_part *parts, size_t n,
                        wr_err *err)
{
    char **names;
    size_t have;
    const char *path, *etag;
    char *step = wr_arena_alloc(a, STEP);
    if (!step) return wr_err_nomem(err);
    WR_TRY(wr_file_list(&names, &have, a, dir, err));
    for (size_t i = 0; i < n; i++)
        WR_TRY(part_file(&path, &etag, a, dir, names, have, &parts[i], err)); /* all, first */
    for (size_t i = 0; i < n; i++) {
        WR_TRY(part_file(&path, &etag, a, dir, names, have, &parts[i], err));
        WR_TRY(copy_part(to, &parts[i], path, etag, step, err));
    }
    return 0;
}

int wr_parts_complete(wr_artifacts *s, wr_str path, const char *id, const wr_artifact_part *parts, size_t n,
                      wr_artifact_info *info, wr_err *err)
{
    char *dir;
    wr_artifact_writer *w;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(upload_dir(&dir, a, s, path, id, err));
    WR_TRY(wr_artifacts_write(&w, s, path, -1, err));
    int rc = put_together(w, a, dir, parts, n, err);
    if (rc < 0) {
        wr_artifact_abort(w);
        return rc;
    }
    WR_TRY(wr_artifact_commit(w, info, err));
    wr_fault_crash_point();
    (void)wr_file_remove_tree(dir, NULL); /* what stays is swept */
    return 0;
}

int wr_parts_abort(wr_artifacts *s, wr_str path, const char *id, wr_err *err)
{
    char *dir;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(upload_dir(&dir, a, s, path, id, err));
    return wr_file_remove_tree(dir, err);
}

int wr_parts_sweep(wr_artifacts *s, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!s->scratch) return 0;
    const char *dir = a ? wr_path_join(a, s->scratch, "uploads") : NULL;
    if (!dir) return wr_err_nomem(err);
    int rc = wr_file_list(&names, &n, a, dir, err);
    if (rc < 0) return rc == WEIR_ENOTFOUND ? 0 : rc;
    for (size_t i = 0; i < n; i++) {
        const char *path = wr_path_join(a, dir, names[i]);
        if (!path) return wr_err_nomem(err);
        if (id_ok(names[i]) && wr_file_mtime_us(path) < wr_clock_wall_us() - WEEK_US)
            WR_TRY(wr_file_remove_tree(path, err));
    }
    return 0;
}
