/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c - zlib: unpacking behind a cap, packing. */
#include "codec/inflate.h"

#include <zlib.h>

#include "base/mem.h"
#include "base/num.h"

enum { PIECE = 64 << 10 };

int wr_coding_parse(wr_coding *out, wr_str header, wr_err *err)
{
    wr_str name = wr_str_trim(header);
    *out = WR_CODING_NONE;
    if (!name.n || wr_str_ieq(name, "identity")) return 0;
    if (wr_str_ieq(name, "gzip") || wr_str_ieq(name, "x-gzip")) *out = WR_CODING_GZIP;
    else if (wr_str_ieq(name, "deflate")) *out = WR_CODING_DEFLATE;
    else {
        wr_err_set(err, WEIR_EINVAL, "Unsupported Content-Encoding: %.*s", WR_STR_FMT(wr_str_fit(name, 60)));
        return wr_err_hint(err, WEIR_EINVAL, "gzip and deflate are understood");
    }
    return 0;
}

static void *take(void *ctx, uInt n, uInt size)
{
    (void)ctx;
    return wr_calloc(n, size);
}
static void give(void *ctx, void *p)
{
    (void)ctx;
    wr_free(p);
}

/* Window bits: 15 with a zlib header, 15 + 16 with a gzip header, -15 bare. */
static int window(wr_coding coding, wr_str in)
{
    if (coding == WR_CODING_GZIP) return 15 + 16;
    const unsigned char *p = (const unsigned char *)in.p;
    bool zlib = in.n >= 2 && (p[0] & 15) == Z_DEFLATED && (p[0] << 8 | p[1]) % 31 == 0;
    return zlib ? 15 : -15;
}

static int wrong(const char *coding, const char *why, wr_err *err)
{
    wr_err_set(err, WEIR_EPARSE, "Failed to decompress %s payload", coding);
    return wr_err_detail(err, WEIR_EPARSE, "%s", why);
}

/* One stream from the front of `in`; what is behind it is left there. */
static int one(z_stream *z, wr_buf *out, size_t start, size_t max, const char *coding, wr_err *err)
{
    for (;;) {
        size_t had = out->n - start, room = max - had < PIECE ? max - had + 1 : PIECE; /* one more than allowed tells */
        if (!wr_buf_reserve(out, room)) return wr_err_nomem(err);
        z->next_out = (unsigned char *)out->p + out->n;
        z->avail_out = (uInt)room;
        int rc = inflate(z, Z_NO_FLUSH);
        out->n += room - z->avail_out;
        out->p[out->n] = 0;
        if (out->n - start > max) return wr_err_set(err, WEIR_ELIMIT, "the body unpacks to more than %zu bytes", max);
        if (rc == Z_STREAM_END) return 0;
        if (rc == Z_MEM_ERROR) return wr_err_nomem(err);
        if (rc == Z_BUF_ERROR || (rc == Z_OK && z->avail_in == 0 && z->avail_out > 0))
            return wrong(coding, "it is cut short", err);
        if (rc != Z_OK) return wrong(coding, z->msg ? z->msg : "it is no such stream", err);
    }
}

int wr_inflate(wr_buf *out, wr_str in, wr_coding coding, size_t max, wr_err *err)
{
    const char *name = coding == WR_CODING_GZIP ? "gzip" : "deflate";
    z_stream z = {.zalloc = take, .zfree = give};
    size_t start = out->n;
    if (coding == WR_CODING_NONE) {
        if (in.n > max) return wr_err_set(err, WEIR_ELIMIT, "the body has more than %zu bytes", max);
        wr_buf_slice(out, in);
        return out->failed ? wr_err_nomem(err) : 0;
    }
    if (in.n > UINT32_MAX) return wr_err_set(err, WEIR_ELIMIT, "the packed body has more than 4 GB");
    if (!in.n) return wrong(name, "it is empty", err);
    if (inflateInit2(&z, window(coding, in)) != Z_OK) return wr_err_nomem(err);
    z.next_in = (unsigned char *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    int rc = one(&z, out, start, max, name, err);
    while (rc == 0 && z.avail_in > 0) {
        if (coding != WR_CODING_GZIP) rc = wrong(name, "there are bytes behind its end", err);
        else if (inflateReset(&z) != Z_OK) rc = wr_err_nomem(err);
        else rc = one(&z, out, start, max, name, err);
    }
    inflateEnd(&z);
    return rc;
}

/* ---- packing ---- */

/* "gzip;q=0.5": its weight, 1 when none is given, 0 when it makes no sense. */
static double weight(wr_str part, wr_str *name)
{
    wr_str rest = part;
    double w = 1;
    *name = wr_str_trim(wr_str_cut(&rest, ';'));
    while (rest.p) {
        wr_str parameter = wr_str_trim(wr_str_cut(&rest, ';')), key = wr_str_trim(wr_str_cut(&parameter, '='));
        if (wr_str_ieq(key, "q") && (!parameter.p || wr_num_f64(&w, wr_str_trim(parameter), NULL) < 0)) return 0;
    }
    return w >= 0 && w <= 1 ? w : 0;
}

wr_coding wr_coding_accepted(wr_str header)
{
    wr_coding best = WR_CODING_NONE;
    double most = 0;
    while (header.p) {
        wr_str name, part = wr_str_cut(&header, ',');
        double w = weight(part, &name);
        bool gzip = wr_str_ieq(name, "gzip"), deflate = wr_str_ieq(name, "deflate");
        if (w <= most || !(gzip || deflate || wr_str_ieq(name, "identity"))) continue;
        most = w;
        best = gzip ? WR_CODING_GZIP : deflate ? WR_CODING_DEFLATE : WR_CODING_NONE;
    }
    return best;
}

int wr_deflate(wr_buf *out, wr_str in, wr_coding coding, wr_err *err)
{
    z_stream z = {.zalloc = take, .zfree = give};
    if (coding == WR_CODING_NONE) {
        wr_buf_slice(out, in);
        return out->failed ? wr_err_nomem(err) : 0;
    }
    if (in.n > UINT32_MAX / 2) return wr_err_set(err, WEIR_ELIMIT, "more than 2 GB to pack");
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, coding == WR_CODING_GZIP ? 15 + 16 : 15, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return wr_err_nomem(err);
    size_t room = deflateBound(&z, in.n);
    int rc = Z_STREAM_END;
    if (wr_buf_reserve(out, room)) {
        z.next_in = (unsigned char *)(uintptr_t)in.p;
        z.avail_in = (uInt)in.n;
        z.next_out = (unsigned char *)out->p + out->n;
        z.avail_out = (uInt)room;
        rc = deflate(&z, Z_FINISH); /* the bound is enough for one call */
        out->n += room - z.avail_out;
        out->p[out->n] = 0;
    }
    deflateEnd(&z);
    return out->failed ? wr_err_nomem(err) : rc == Z_STREAM_END ? 0 : wr_err_set(err, WEIR_EINTERNAL, "packing failed");
}
