/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - the file of a run. */
#include "client/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static const char magic[8] = "WEIRSPL1";
enum { HEAD = 8 /* length, check */, FIXED = 1 + 8 + 8 + 8 + 2, SENT_MAX = 256 };

struct wr_spool {
    int fd;
    char *path, *sent_path;
    uint64_t size, sent;
    char server_run[72];
};

/* ---- records ---- */

static uint32_t check_of(const void *p, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 16777619u;
    return h;
}

void wr_spool_encode(wr_buf *out, const wr_spool_record *r)
{
    wr_str key = wr_str_sub(r->key, 0, WR_SPOOL_KEY), text = wr_str_fit(r->text, WR_SPOOL_TEXT);
    uint32_t length = (uint32_t)(FIXED + key.n + text.n), check;
    uint16_t nkey = (uint16_t)key.n;
    size_t at = out->n;
    if (!wr_buf_reserve(out, HEAD + length)) return;
    wr_buf_add(out, &length, sizeof length);
    wr_buf_add(out, &length, sizeof length); /* room for the check */
    wr_buf_char(out, r->kind);
    wr_buf_add(out, &r->step, sizeof r->step);
    wr_buf_add(out, &r->time_ms, sizeof r->time_ms);
    wr_buf_add(out, &r->value, sizeof r->value);
    wr_buf_add(out, &nkey, sizeof nkey);
    wr_buf_slice(out, key);
    wr_buf_slice(out, text);
    check = check_of(out->p + at + HEAD, length);
    memcpy(out->p + at + 4, &check, sizeof check);
}

int wr_spool_decode(wr_spool_record *out, wr_str data, size_t *at)
{
    uint32_t length, check;
    uint16_t nkey;
    if (data.n - *at < HEAD) return 0;
    const char *p = data.p + *at;
    memcpy(&length, p, 4);
    memcpy(&check, p + 4, 4);
    if (length < FIXED || length > FIXED + WR_SPOOL_KEY + WR_SPOOL_TEXT) return WEIR_ECORRUPT;
    if (data.n - *at - HEAD < length) return 0;
    p += HEAD;
    if (check_of(p, length) != check) return WEIR_ECORRUPT;
    out->kind = p[0];
    memcpy(&out->step, p + 1, 8);
    memcpy(&out->time_ms, p + 9, 8);
    memcpy(&out->value, p + 17, 8);
    memcpy(&nkey, p + 25, 2);
    if (nkey > length - FIXED) return WEIR_ECORRUPT;
    out->key = (wr_str){p + FIXED, nkey};
    out->text = (wr_str){p + FIXED + nkey, length - FIXED - nkey};
    *at += HEAD + length;
    return 1;
}

/* ---- files ---- */

static char *path_of(const char *dir, const char *run, const char *ending)
{
    size_t n = strlen(dir) + strlen(run) + strlen(ending) + 2;
    char *p = wr_alloc(n);
    if (p) snprintf(p, n, "%s/%s%s", dir, run, ending);
    return p;
}

static int open_file(wr_spool *s, int flags, wr_err *err)
{
    s->fd = open(s->path, flags | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0) return wr_err_sys(err, errno, "cannot open \"%s\"", s->path);
    if (flock(s->fd, LOCK_EX | LOCK_NB) == 0) return 0;
    return wr_err_set(err, WEIR_ECONFLICT, "\"%s\" is being sent already", s->path);
}

static int spool_new(wr_spool **out, const char *dir, const char *run, wr_err *err)
{
    wr_spool *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->fd = -1;
    s->path = path_of(dir, run, ".spool");
    s->sent_path = path_of(dir, run, ".sent");
    if (s->path && s->sent_path) {
        *out = s;
        return 0;
    }
    wr_spool_close(s);
    return wr_err_nomem(err);
}

static int write_at(wr_spool *s, const char *p, size_t n, uint64_t at, wr_err *err)
{
    while (n) {
        ssize_t k = pwrite(s->fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return wr_err_sys(err, k < 0 ? errno : EIO, "cannot write \"%s\"", s->path);
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return 0;
}

int wr_spool_create(wr_spool **out, const char *dir, const char *run, wr_err *err)
{
    wr_spool *s;
    WR_TRY(spool_new(&s, dir, run, err));
    int rc = open_file(s, O_CREAT | O_EXCL, err);
    if (rc == 0) rc = write_at(s, magic, sizeof magic, 0, err);
    if (rc < 0) {
        wr_spool_close(s);
        return rc;
    }
    s->size = s->sent = sizeof magic;
    *out = s;
    return 0;
}

static void read_sent(wr_spool *s)
{
    char text[SENT_MAX] = "";
    unsigned long long sent = 0;
    int fd = open(s->sent_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n > 0 && sscanf(text, "%llu %64s", &sent, s->server_run) >= 1 && sent >= sizeof magic && sent <= s->size)
        s->sent = sent;
}

/* Cuts what is torn: whole records up to the end of the file. */
static int find_end(wr_spool *s, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    struct stat st;
    wr_spool_record r;
    wr_buf_init(&b, 0);
    if (fstat(s->fd, &st) < 0) return wr_err_sys(err, errno, "cannot read \"%s\"", s->path);
    s->size = (uint64_t)st.st_size;
    if (s->size < sizeof magic) return wr_err_set(err, WEIR_ECORRUPT, "\"%s\" is no spool", s->path);
    uint64_t at = sizeof magic;
    for (;;) {
        size_t used = 0;
        wr_buf_clear(&b);
        WR_TRY(wr_spool_read(&b, s, at, FIXED + HEAD + WR_SPOOL_KEY + WR_SPOOL_TEXT, err));
        while (wr_spool_decode(&r, wr_buf_view(&b), &used) == 1) continue;
        if (!used) break;
        at += used;
    }
    if (at < s->size && ftruncate(s->fd, (off_t)at) < 0) return wr_err_sys(err, errno, "cannot cut \"%s\"", s->path);
    s->size = at;
    return 0;
}

int wr_spool_open(wr_spool **out, const char *dir, const char *run, wr_err *err)
{
    char head[sizeof magic];
    wr_spool *s;
    WR_TRY(spool_new(&s, dir, run, err));
    int rc = open_file(s, 0, err);
    if (rc == 0 && (pread(s->fd, head, sizeof head, 0) != sizeof head || memcmp(head, magic, sizeof head) != 0))
        rc = wr_err_set(err, WEIR_ECORRUPT, "\"%s\" is no spool", s->path);
    if (rc == 0) rc = find_end(s, err);
    if (rc < 0) {
        wr_spool_close(s);
        return rc;
    }
    s->sent = sizeof magic;
    read_sent(s);
    *out = s;
    return 0;
}

void wr_spool_close(wr_spool *s)
{
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    wr_free(s->path);
    wr_free(s->sent_path);
    wr_free(s);
}

void wr_spool_remove(wr_spool *s)
{
    if (!s) return;
    unlink(s->path);
    unlink(s->sent_path);
    wr_spool_close(s);
}

int wr_spool_append(wr_spool *s, wr_str records, wr_err *err)
{
    WR_TRY(write_at(s, records.p, records.n, s->size, err));
    s->size += records.n;
    return 0;
}

int wr_spool_read(wr_buf *out, wr_spool *s, uint64_t from, size_t max, wr_err *err)
{
    size_t want = from < s->size ? (size_t)(s->size - from < max ? s->size - from : max) : 0;
    if (!wr_buf_reserve(out, want)) return wr_err_nomem(err);
    while (want) {
        ssize_t k = pread(s->fd, out->p + out->n, want, (off_t)from);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return wr_err_sys(err, errno, "cannot read \"%s\"", s->path);
        if (k == 0) break;
        out->n += (size_t)k;
        from += (uint64_t)k;
        want -= (size_t)k;
    }
    return 0;
}

uint64_t wr_spool_size(const wr_spool *s) { return s->size; }
uint64_t wr_spool_sent(const wr_spool *s) { return s->sent; }
const char *wr_spool_server_run(const wr_spool *s) { return s->server_run; }

/* A note that is lost, or torn, costs sending some again. */
int wr_spool_note(wr_spool *s, uint64_t sent, const char *server_run, wr_err *err)
{
    char text[SENT_MAX];
    int n = snprintf(text, sizeof text, "%llu %s\n", (unsigned long long)sent, server_run);
    int fd = open(s->sent_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, (size_t)n) != n) {
        int sys = errno;
        if (fd >= 0) close(fd);
        return wr_err_sys(err, sys, "cannot write \"%s\"", s->sent_path);
    }
    close(fd);
    s->sent = sent;
    if (server_run != s->server_run) snprintf(s->server_run, sizeof s->server_run, "%s", server_run);
    return 0;
}
