/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_sign.c - targets of our server that carry their own permission. */
#include "store/artifacts_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/os.h"
#include "io/file.h"

#define EXPIRES   "expires="
#define SIGNATURE "&signature="

/* ---- the secret ---- */

/* A second process that makes it at the same time links its own first or finds ours: link(2) decides. */
static int make(const char *path, wr_err *err)
{
    wr_signer s;
    char temp[4200];
    uint64_t random;
    wr_os_random(s.key, sizeof s.key);
    wr_os_random(&random, sizeof random);
    int n = snprintf(temp, sizeof temp, "%s.%016llx.tmp", path, (unsigned long long)random);
    if (n < 0 || (size_t)n >= sizeof temp) return wr_err_set(err, WEIR_EINVAL, "'%.100s...' is too long", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return wr_err_sys(err, errno, "cannot create '%s'", temp);
    int rc = wr_file_write_all(fd, s.key, sizeof s.key, temp, err);
    if (rc == 0) rc = wr_file_fdatasync(fd, temp, err);
    if (close(fd) < 0 && rc == 0) rc = wr_err_sys(err, errno, "cannot write '%s'", temp);
    if (rc == 0 && link(temp, path) < 0 && errno != EEXIST) rc = wr_err_sys(err, errno, "cannot create '%s'", path);
    unlink(temp);
    return rc;
}

static int load(wr_signer *out, const char *path, wr_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    int rc = fstat(fd, &st) < 0 ? wr_err_sys(err, errno, "cannot read '%s'", path) : 0;
    if (rc == 0 && (st.st_mode & 077)) {
        rc = wr_err_set(err, WEIR_EACCESS, "'%s' can be read by other users", path);
        wr_err_hint(err, rc, "chmod 600 it; if somebody may have read it, delete it: a new one is made");
    } else if (rc == 0 && (st.st_size != sizeof out->key || read(fd, out->key, sizeof out->key) != sizeof out->key)) {
        rc = wr_err_set(err, WEIR_ECORRUPT, "'%s' does not hold a secret of %zu bytes", path, sizeof out->key);
        wr_err_hint(err, rc, "delete it: a new one is made, and links given out before stop working");
    }
    close(fd);
    return rc;
}

int wr_signer_open(wr_signer *out, const char *path, wr_err *err)
{
    int rc = load(out, path, err);
    if (rc != WEIR_ENOTFOUND) return rc;
    WR_TRY(make(path, err));
    return load(out, path, err);
}

/* ---- signatures ---- */

static void signature_of(char out[WR_SHA256_HEX], const wr_signer *s, wr_str method, wr_str signed_target)
{
    unsigned char mac[WR_SHA256_SIZE];
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_slice(&b, wr_str_is(method, "HEAD") ? WR_STR("GET") : method);
    wr_buf_char(&b, '\n');
    wr_buf_slice(&b, signed_target);
    wr_hmac_sha256(mac, (wr_str){(const char *)s->key, sizeof s->key}, wr_buf_view(&b));
    wr_hex(out, mac, sizeof mac);
    if (b.failed) out[0] = 0; /* of nothing that was meant: fits no signature */
}

void wr_sign_target(wr_buf *target, const wr_signer *s, const char *method, int64_t expires_s)
{
    char hex[WR_SHA256_HEX];
    bool query = target->p && memchr(target->p, '?', target->n);
    wr_buf_printf(target, "%c" EXPIRES "%lld", query ? '&' : '?', (long long)expires_s);
    signature_of(hex, s, wr_str_of(method), wr_buf_view(target));
    if (!hex[0]) target->failed = true;
    wr_buf_printf(target, SIGNATURE "%s", hex);
}

static int refused(const char *why, wr_err *err) { return wr_err_set(err, WEIR_EACCESS, "the signed link %s", why); }

int wr_sign_check(const wr_signer *s, wr_str method, wr_str target, int64_t now_s, wr_err *err)
{
    enum { TAIL = sizeof SIGNATURE - 1 + WR_SHA256_HEX - 1 };
    if (target.n < TAIL) return refused("has no signature", err);
    wr_str before = wr_str_sub(target, 0, target.n - TAIL), tail = wr_str_sub(target, target.n - TAIL, target.n);
    if (!wr_str_starts(tail, SIGNATURE)) return refused("has no signature", err);
    char want[WR_SHA256_HEX];
    signature_of(want, s, method, before);
    if (!want[0] || !wr_same_secret(wr_str_of(want), wr_str_sub(tail, sizeof SIGNATURE - 1, tail.n)))
        return refused("has another signature, or is for another request", err);
    size_t at = before.n; /* the time stands last, and is one that we wrote */
    while (at > 0 && before.p[at - 1] >= '0' && before.p[at - 1] <= '9') at--;
    int64_t expires;
    WR_TRY(wr_num_i64(&expires, wr_str_sub(before, at, before.n), err));
    return now_s > expires ? refused("has expired", err) : 0;
}
