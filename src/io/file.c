/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - read whole files, and write them so that they are either whole or not there.
 *
 * All writers go through a draft: a temporary file ".weir-<16 hex digits>.tmp" in the folder of the target. A crash can
 * leave a draft behind but never a half-written target. The order is always: write, fsync the file, give it its name,
 * fsync the folder.
 */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/os.h"

enum { READ_STEP = 128 << 10 };

/* ---- reading ---- */

static int too_large(const char *path, size_t max, wr_err *err)
{
    return wr_err_set(err, WEIR_ELIMIT, "'%s' is larger than %zu bytes", path, max);
}

/* `size` is what the file said it has: right for most, 0 for /proc, outdated for a file that grows. */
static int read_into(wr_buf *out, int fd, const char *path, size_t size, size_t max, wr_err *err)
{
    size_t cap = out->max ? out->max : WR_BUF_MAX;
    size_t room = cap > out->n ? cap - out->n : 0;
    if (max > room) max = room;
    for (size_t got = 0;;) {
        char probe;
        char *to = &probe; /* at the limit one byte more is asked for: there must be none */
        size_t step = 1;
        if (got < max) {
            step = size > got ? size - got : READ_STEP;
            if (step > max - got) step = max - got;
            if (!wr_buf_reserve(out, step)) return wr_err_nomem(err);
            to = out->p + out->n;
        }
        ssize_t n = read(fd, to, step);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
        if (n == 0) return 0;
        if (got == max) return too_large(path, max, err);
        got += (size_t)n;
        out->n += (size_t)n;
    }
}

static int open_to_read(const char *path, struct stat *st, wr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    int rc = 0;
    if (fstat(fd, st) < 0) rc = wr_err_sys(err, errno, "cannot read '%s'", path);
    else if (S_ISDIR(st->st_mode)) rc = wr_err_set(err, WEIR_EINVAL, "'%s' is a folder, not a file", path);
    if (rc < 0) close(fd);
    return rc < 0 ? rc : fd;
}

int wr_file_read(wr_buf *out, const char *path, size_t max, wr_err *err)
{
    struct stat st;
    int fd = open_to_read(path, &st, err);
    if (fd < 0) return fd;
    size_t before = out->n;
    int rc;
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
        rc = too_large(path, max, err);
        wr_err_detail(err, rc, "it has %lld bytes", (long long)st.st_size);
    } else {
        rc = read_into(out, fd, path, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, max, err);
    }
    if (out->p) {
        if (rc < 0) out->n = before;
        out->p[out->n] = 0;
    }
    close(fd);
    return rc;
}

/* ---- drafts ---- */

typedef struct {
    char *dir;  /* folder of the target */
    char *temp; /* path of the temporary file; NULL once it has no name any more */
    int fd;
} draft;

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return wr_strdup(".");
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    char *dir = wr_alloc(n + 1);
    if (!dir) return NULL;
    memcpy(dir, path, n);
    dir[n] = 0;
    return dir;
}

static int draft_name(draft *d, wr_err *err)
{
    uint64_t r;
    wr_os_random(&r, sizeof r);
    size_t cap = strlen(d->dir) + 40;
    if (!d->temp) d->temp = wr_alloc(cap);
    if (!d->temp) return wr_err_nomem(err);
    int n = snprintf(d->temp, cap, "%s/.weir-%016llx.tmp", d->dir, (unsigned long long)r);
    return n < 0 || (size_t)n >= cap ? wr_err_set(err, WEIR_EINTERNAL, "temporary name in '%s'", d->dir) : 0;
}

static void draft_drop(draft *d)
{
    if (d->fd >= 0) close(d->fd);
    if (d->temp) unlink(d->temp);
    wr_free(d->temp);
    wr_free(d->dir);
    *d = (draft){.fd = -1};
}

static int draft_open(draft *d, const char *path, wr_err *err)
{
    *d = (draft){.fd = -1};
    if (!*path || path[strlen(path) - 1] == '/')
        return wr_err_set(err, WEIR_EINVAL, "'%s' is not the name of a file", path);
    d->dir = folder_of(path);
    if (!d->dir) return wr_err_nomem(err);
    int rc = 0, sys = EEXIST;
    for (int attempt = 0; attempt < 8 && sys == EEXIST && rc == 0; attempt++) {
        rc = draft_name(d, err);
        if (rc < 0) break;
        d->fd = open(d->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        sys = d->fd < 0 ? errno : 0;
    }
    if (rc == 0 && sys) {
        wr_free(d->temp); /* it is not ours to remove */
        d->temp = NULL;
        rc = wr_err_sys(err, sys, "cannot create a file in '%s' for '%s'", d->dir, path);
    }
    if (rc < 0) draft_drop(d);
    else wr_fault_crash_point();
    return rc;
}

static int fsync_fd(int fd, const char *path, wr_err *err)
{
    if (wr_fault_hit(WR_FAULT_FSYNC)) return wr_err_sys(err, EIO, "cannot fsync '%s'", path);
    if (fsync(fd) < 0) return wr_err_sys(err, errno, "cannot fsync '%s'", path);
    wr_fault_crash_point();
    return 0;
}

/* Everything of the draft is on disk; only the name is missing. */
static int draft_seal(draft *d, const char *path, wr_err *err)
{
    WR_TRY(fsync_fd(d->fd, path, err));
    int rc = close(d->fd);
    d->fd = -1;
    return rc < 0 ? wr_err_sys(err, errno, "cannot write '%s'", path) : 0;
}

static int rename_over(const char *from, const char *to, wr_err *err)
{
    int sys = wr_fault_hit(WR_FAULT_RENAME) ? EIO : rename(from, to) < 0 ? errno : 0;
    if (sys) {
        int rc = wr_err_sys(err, sys, "cannot rename '%s' to '%s'", from, to);
        return sys == EXDEV ? wr_err_hint(err, rc, "both must be on the same file system") : rc;
    }
    wr_fault_crash_point();
    return 0;
}

static int draft_replace(draft *d, const char *path, wr_err *err)
{
    WR_TRY(draft_seal(d, path, err));
    WR_TRY(rename_over(d->temp, path, err));
    wr_free(d->temp);
    d->temp = NULL;
    return wr_file_fsync_dir(d->dir, err);
}

/* link(2) fails when the name is taken, rename(2) does not; where there are no hard links renameat2 can refuse too. */
static int link_new(const char *temp, const char *path)
{
    if (wr_fault_hit(WR_FAULT_RENAME)) return EIO;
    if (link(temp, path) == 0) return 0;
    int sys = errno;
    if (sys != EPERM && sys != EOPNOTSUPP && sys != ENOSYS && sys != EMLINK) return sys;
    return renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ? 0 : errno == EEXIST ? EEXIST : sys;
}

static int draft_publish_new(draft *d, const char *path, wr_err *err)
{
    WR_TRY(draft_seal(d, path, err));
    int sys = link_new(d->temp, path);
    if (sys == EEXIST) return wr_err_set(err, WEIR_EEXIST, "'%s' already exists", path);
    if (sys) return wr_err_sys(err, sys, "cannot create '%s'", path);
    wr_fault_crash_point();
    unlink(d->temp);
    wr_free(d->temp);
    d->temp = NULL;
    return wr_file_fsync_dir(d->dir, err);
}

/* ---- writing ---- */

int wr_file_write_all(int fd, const void *p, size_t n, const char *path, wr_err *err)
{
    if (wr_fault_hit(WR_FAULT_WRITE)) { /* a full disk takes a part of the bytes first */
        ssize_t part = write(fd, p, n / 2);
        (void)part;
        return wr_err_sys(err, ENOSPC, "cannot write '%s'", path);
    }
    const char *at = p;
    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return wr_err_sys(err, errno, "cannot write '%s'", path);
        at += done;
        n -= (size_t)done;
    }
    wr_fault_crash_point();
    return 0;
}

int wr_file_fdatasync(int fd, const char *path, wr_err *err)
{
    if (wr_fault_hit(WR_FAULT_FSYNC)) return wr_err_sys(err, EIO, "cannot fsync '%s'", path);
    if (fdatasync(fd) < 0) return wr_err_sys(err, errno, "cannot fsync '%s'", path);
    wr_fault_crash_point();
    return 0;
}

int wr_file_fsync_dir(const char *dir, wr_err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open the folder '%s'", dir);
    int sys = wr_fault_hit(WR_FAULT_FSYNC) ? EIO : fsync(fd) < 0 ? errno : 0;
    close(fd);
    /* some network file systems cannot sync a folder and say EINVAL; there is nothing more to be done on them */
    if (sys && sys != EINVAL) return wr_err_sys(err, sys, "cannot fsync the folder '%s'", dir);
    wr_fault_crash_point();
    return 0;
}

int wr_file_write(const char *path, wr_str data, wr_err *err)
{
    draft d;
    WR_TRY(draft_open(&d, path, err));
    int rc = wr_file_write_all(d.fd, data.p, data.n, path, err);
    if (rc == 0) rc = draft_replace(&d, path, err);
    draft_drop(&d);
    return rc;
}

int wr_file_create(const char *path, wr_str data, wr_err *err)
{
    draft d;
    if (wr_file_exists(path)) return wr_err_set(err, WEIR_EEXIST, "'%s' already exists", path); /* spare the work */
    WR_TRY(draft_open(&d, path, err));
    int rc = wr_file_write_all(d.fd, data.p, data.n, path, err);
    if (rc == 0) rc = draft_publish_new(&d, path, err);
    draft_drop(&d);
    return rc;
}

int wr_file_publish(const char *temporary, const char *path, wr_err *err)
{
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", temporary);
    int rc = fsync_fd(fd, temporary, err);
    close(fd);
    if (rc < 0) return rc;
    WR_AUTOFREE char *dir = folder_of(path);
    if (!dir) return wr_err_nomem(err);
    WR_TRY(rename_over(temporary, path, err));
    return wr_file_fsync_dir(dir, err);
}

/* ---- copying ---- */

static int copy_rest(int from, int to, const char *from_path, const char *to_path, wr_err *err)
{
    WR_AUTOFREE char *piece = wr_alloc(READ_STEP);
    if (!piece) return wr_err_nomem(err);
    for (;;) {
        ssize_t n = read(from, piece, READ_STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return wr_err_sys(err, errno, "cannot read '%s'", from_path);
        if (n == 0) return 0;
        WR_TRY(wr_file_write_all(to, piece, (size_t)n, to_path, err));
    }
}

/* Shares the blocks where the file system can, else lets the kernel copy. What the kernel did not do (another file
 * system, /proc) is left to copy_rest, which goes on from where the file offsets are now. */
static int copy_in_kernel(int from, int to, const char *to_path, wr_err *err)
{
    if (wr_fault_hit(WR_FAULT_WRITE)) return wr_err_sys(err, ENOSPC, "cannot write '%s'", to_path);
    if (ioctl(to, FICLONE, from) == 0)
        return lseek(from, 0, SEEK_END) < 0 ? wr_err_sys(err, errno, "cannot write '%s'", to_path) : 0;
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
        if (n > 0 || (n < 0 && errno == EINTR)) continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
            return wr_err_sys(err, errno, "cannot write '%s'", to_path);
        return 0;
    }
}

int wr_file_copy(const char *from, const char *to, wr_err *err)
{
    struct stat st;
    int in = open_to_read(from, &st, err);
    if (in < 0) return in;
    draft d;
    int rc = draft_open(&d, to, err);
    if (rc < 0) {
        close(in);
        return rc;
    }
    rc = copy_in_kernel(in, d.fd, to, err);
    if (rc == 0) rc = copy_rest(in, d.fd, from, to, err);
    if (rc == 0 && (st.st_mode & 0111) && fchmod(d.fd, st.st_mode & 0777) < 0) /* a program stays one */
        rc = wr_err_sys(err, errno, "cannot set the mode of '%s'", to);
    if (rc == 0) rc = draft_replace(&d, to, err);
    draft_drop(&d);
    close(in);
    return rc;
}

/* ---- facts and removal ---- */

bool wr_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int64_t wr_file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? -1 : (int64_t)st.st_size;
}

int64_t wr_file_mtime_us(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? -1 : st.st_mtim.tv_sec * WR_US + st.st_mtim.tv_nsec / 1000;
}

int wr_file_remove(const char *path, wr_err *err)
{
    wr_fault_crash_point();
    if (unlink(path) == 0 || errno == ENOENT) return 0;
    return wr_err_sys(err, errno, "cannot remove '%s'", path);
}
