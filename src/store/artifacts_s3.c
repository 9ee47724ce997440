/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_s3.c - artifacts in a bucket, "s3://BUCKET/PREFIX": the key of a path is PREFIX/PATH.
 *
 * A write gathers a part (8 MiB, more when thousands have gone before). What fits in one is one PUT; else it is a
 * multipart upload, completed at the commit, aborted at a drop. Either way S3 shows the old or the new whole. After a
 * kill -9 the parts stay until a lifecycle rule of the bucket removes them (AbortIncompleteMultipartUpload).
 * A read asks for ranges of READ_AHEAD with If-Match: content that was replaced meanwhile is WEIR_ECONFLICT, not a mix.
 * A folder is what keys have in common up to a slash.
 */
#include <openssl/md5.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "codec/http.h"
#include "codec/xml.h"
#include "io/s3.h"
#include "store/artifacts_ops.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* MD5: S3 wants it with a list of deletions */

enum {
    PART = 8 << 20,
    PARTS_A_SIZE = 2000,     /* then parts are twice as large: 10000 of them are 496 GiB */
    ONE_PART_MAX = 64 << 20, /* of a part that passes through us */
    READ_AHEAD = 4 << 20,
    LIST_MAX = 8 << 20, /* bytes of one page of 1000 keys */
    ERROR_MAX = 64 << 10,
    DELETE_AT_ONCE = 1000,
};

typedef struct {
    wr_artifacts base;
    wr_s3 *s3;
    char *prefix; /* "" or "some/prefix/" */
} store;

typedef struct {
    char etag[WR_ARTIFACT_ETAG];
} part;

typedef struct {
    wr_artifact_writer base;
    store *s;
    char *key, *upload; /* upload: id, NULL as long as all fits in one part */
    wr_buf piece;
    WR_VEC(part) parts;
    int number; /* of the one part that this is, of somebody else's upload; 0 = a file */
} writer;

typedef struct {
    wr_artifact_reader base;
    store *s;
    char *key;
    wr_buf ahead;
    int64_t ahead_at;
} reader;

/* ---- opening, names ---- */

static bool takes(wr_str where) { return wr_str_starts(where, "s3://"); }

static void close_store(wr_artifacts *base)
{
    store *s = (store *)base;
    wr_s3_close(s->s3);
    wr_free(s->prefix);
    wr_free(s);
}

static char *copy_of(wr_str a, const char *b)
{
    size_t n = strlen(b);
    char *p = wr_alloc(a.n + n + 1);
    if (!p) return NULL;
    if (a.n) memcpy(p, a.p, a.n);
    memcpy(p + a.n, b, n + 1);
    return p;
}

static int open_store(wr_artifacts **out, const char *where, const wr_artifacts_opt *opt, wr_err *err)
{
    (void)opt;
    wr_str rest = wr_str_sub(wr_str_of(where), 5, strlen(where)), bucket = wr_str_cut(&rest, '/');
    while (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
    if (rest.n) WR_TRY(wr_artifact_path_check(rest, err));
    store *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    WR_AUTOFREE char *name = copy_of(bucket, "");
    s->prefix = copy_of(rest.n ? rest : WR_STR(""), rest.n ? "/" : "");
    int rc = name && s->prefix ? wr_s3_open(&s->s3, name, err) : wr_err_nomem(err);
    if (rc < 0) close_store(&s->base);
    else *out = &s->base;
    return rc;
}

static int key_of(char **out, const store *s, wr_str path, const char *end, wr_err *err)
{
    if (strlen(s->prefix) + path.n > WR_ARTIFACT_PATH)
        return wr_err_set(err, WEIR_EINVAL, "invalid path: with its prefix it is longer than %d bytes",
                          WR_ARTIFACT_PATH);
    WR_AUTOFREE char *whole = copy_of(wr_str_of(s->prefix), "");
    char *tail = copy_of(path, end), *key = whole && tail ? copy_of(wr_str_of(whole), tail) : NULL;
    wr_free(tail);
    *out = key;
    return key ? 0 : wr_err_nomem(err);
}

static void put_etag(char out[WR_ARTIFACT_ETAG], wr_str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') s = wr_str_sub(s, 1, s.n - 1);
    s = wr_str_fit(s, WR_ARTIFACT_ETAG - 1);
    memcpy(out, s.p ? s.p : "", s.n);
    out[s.n] = 0;
}

/* ---- multipart uploads ---- */

static int start_upload(char **id, store *s, const char *key, wr_err *err)
{
    const wr_sigv4_pair query[] = {{"uploads", ""}};
    wr_fetch_reply a = {0};
    int rc = wr_s3_call(&a, s->s3, &(wr_s3_request){.method = "POST", .key = key, .query = query, .nquery = 1}, err);
    if (rc == 0) {
        WR_AUTOBUF wr_buf text;
        wr_buf_init(&text, 0);
        wr_str said = wr_xml_first(wr_buf_view(&a.body), "UploadId");
        if (!said.n || !wr_xml_text(&text, said) || text.n >= WR_ARTIFACT_UPLOAD)
            rc = wr_err_set(err, WEIR_EUNAVAILABLE, "S3 gives no id for an upload");
        else *id = copy_of(wr_buf_view(&text), "");
        if (rc == 0 && !*id) rc = wr_err_nomem(err);
    }
    wr_fetch_reply_free(&a);
    return rc;
}

static int send_part(char etag[WR_ARTIFACT_ETAG], store *s, const char *key, const char *id, int number, wr_str body,
                     wr_err *err)
{
    char text[16];
    if (snprintf(text, sizeof text, "%d", number) < 0) text[0] = 0;
    const wr_sigv4_pair query[] = {{"partNumber", text}, {"uploadId", id}};
    wr_fetch_reply a = {0};
    int rc = wr_s3_call(&a, s->s3,
                        &(wr_s3_request){.method = "PUT", .key = key, .query = query, .nquery = 2, .body = body}, err);
    if (rc == 0) put_etag(etag, wr_fetch_header(&a, "etag"));
    wr_fetch_reply_free(&a);
    return rc;
}

static int abort_upload(store *s, const char *key, const char *id, wr_err *err)
{
    const wr_sigv4_pair query[] = {{"uploadId", id}};
    wr_fetch_reply a = {0};
    int rc = wr_s3_call(&a, s->s3, &(wr_s3_request){.method = "DELETE", .key = key, .query = query, .nquery = 1}, err);
    wr_fetch_reply_free(&a);
    return rc;
}

/* S3 may find an error after it has said 200: then it is in the body. */
static int complete_upload(char etag[WR_ARTIFACT_ETAG], store *s, const char *key, const char *id, wr_str list,
                           wr_err *err)
{
    const wr_sigv4_pair query[] = {{"uploadId", id}};
    wr_fetch_reply a = {0};
    int rc = wr_s3_call(
        &a, s->s3,
        &(wr_s3_request){.method = "POST", .key = key, .query = query, .nquery = 1, .body = list, .once = true}, err);
    wr_str xml = wr_buf_view(&a.body);
    if (rc == 0 && wr_xml_first(xml, "Error").p) {
        rc = wr_err_set(err, WEIR_EUNAVAILABLE, "S3 could not complete '%.200s'", key);
        wr_err_detail(err, rc, "%.*s", WR_STR_FMT(wr_str_fit(wr_xml_first(xml, "Code"), 100)));
    }
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    if (rc == 0 && wr_xml_text(&text, wr_xml_first(xml, "ETag"))) put_etag(etag, wr_buf_view(&text));
    wr_fetch_reply_free(&a);
    return rc;
}

static void put_part(wr_buf *list, int number, const char *etag)
{
    wr_buf_printf(list, "<Part><PartNumber>%d</PartNumber><ETag>", number);
    wr_buf_str(list, "&quot;");
    wr_xml_escape(list, wr_str_of(etag));
    wr_buf_str(list, "&quot;</ETag></Part>");
}

#define LIST_OPEN  "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define LIST_CLOSE "</CompleteMultipartUpload>"

/* ---- looking ---- */

/* "Sat, 28 Nov 2026 04:22:15 GMT" */
static int64_t http_date(wr_str s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[40];
    int64_t us = 0;
    if (s.n != 29) return 0;
    for (int m = 0; m < 12; m++) {
        if (memcmp(s.p + 8, months + 3 * m, 3) != 0) continue;
        int n = snprintf(text, sizeof text, "%.4s-%02d-%.2sT%.8sZ", s.p + 12, m + 1, s.p + 5, s.p + 17);
        if (n > 0 && wr_time_parse(&us, (wr_str){text, (size_t)n}, NULL) < 0) us = 0;
    }
    return us;
}

static int head(wr_artifact_info *out, store *s, const char *key, wr_err *err)
{
    wr_fetch_reply a = {0};
    int rc = wr_s3_call(&a, s->s3, &(wr_s3_request){.method = "HEAD", .key = key}, err);
    *out = (wr_artifact_info){0};
    if (rc == 0) {
        put_etag(out->etag, wr_fetch_header(&a, "etag"));
        out->mtime_us = http_date(wr_fetch_header(&a, "last-modified"));
        if (wr_num_i64(&out->size, wr_fetch_header(&a, "content-length"), NULL) < 0 || out->size < 0)
            rc = wr_err_set(err, WEIR_EUNAVAILABLE, "S3 does not say how long '%.200s' is", key);
    }
    wr_fetch_reply_free(&a);
    return rc;
}

/* ---- writing ---- */

static void drop(wr_artifact_writer *base)
{
    writer *w = (writer *)base;
    if (w->upload && !w->number)
        (void)abort_upload(w->s, w->key, w->upload, NULL); /* what stays is the bucket's to remove */
    wr_buf_fini(&w->piece);
    wr_vec_fini(&w->parts);
    wr_free(w->upload);
    wr_free(w->key);
    wr_free(w);
}

static size_t part_size(const writer *w) { return (size_t)PART << (w->parts.n / PARTS_A_SIZE); }

static int flush(writer *w, wr_err *err)
{
    part p;
    if (!w->upload) WR_TRY(start_upload(&w->upload, w->s, w->key, err));
    if (w->parts.n == WR_ARTIFACT_PARTS_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "'%.200s' is too large for S3", w->key);
    WR_TRY(send_part(p.etag, w->s, w->key, w->upload, (int)w->parts.n + 1, wr_buf_view(&w->piece), err));
    if (wr_vec_push(&w->parts, p) < 0) return wr_err_nomem(err);
    wr_buf_clear(&w->piece);
    return 0;
}

static int add(wr_artifact_writer *base, wr_str data, wr_err *err)
{
    writer *w = (writer *)base;
    if (w->number && w->piece.n + data.n > ONE_PART_MAX) {
        wr_err_set(err, WEIR_ELIMIT, "a part of more than %d MiB cannot pass through here", ONE_PART_MAX >> 20);
        return wr_err_hint(err, WEIR_ELIMIT, "smaller parts, or the URLs that were given out");
    }
    while (data.n) { /* a full part is sent when more comes: the last one may be short, but not empty */
        size_t size = w->number ? ONE_PART_MAX : part_size(w), n = size - w->piece.n;
        if (n == 0) {
            WR_TRY(flush(w, err));
            continue;
        }
        if (n > data.n) n = data.n;
        wr_buf_add(&w->piece, data.p, n);
        if (w->piece.failed) return wr_err_nomem(err);
        data = wr_str_sub(data, n, data.n);
    }
    return 0;
}

static int put_whole(writer *w, wr_artifact_info *info, wr_err *err)
{
    wr_fetch_reply a = {0};
    int rc =
        wr_s3_call(&a, w->s->s3, &(wr_s3_request){.method = "PUT", .key = w->key, .body = wr_buf_view(&w->piece)}, err);
    if (rc == 0) put_etag(info->etag, wr_fetch_header(&a, "etag"));
    wr_fetch_reply_free(&a);
    return rc;
}

static int put_parts(writer *w, wr_artifact_info *info, wr_err *err)
{
    WR_AUTOBUF wr_buf list;
    wr_buf_init(&list, 0);
    if (w->piece.n) WR_TRY(flush(w, err));
    wr_buf_str(&list, LIST_OPEN);
    for (size_t i = 0; i < w->parts.n; i++) put_part(&list, (int)i + 1, w->parts.at[i].etag);
    wr_buf_str(&list, LIST_CLOSE);
    if (list.failed) return wr_err_nomem(err);
    WR_TRY(complete_upload(info->etag, w->s, w->key, w->upload, wr_buf_view(&list), err));
    wr_free(w->upload);
    w->upload = NULL;
    return info->etag[0] ? 0 : head(info, w->s, w->key, err); /* radosgw 16 does not say it */
}

static int commit(wr_artifact_writer *base, wr_artifact_info *info, wr_err *err)
{
    writer *w = (writer *)base;
    info->size = base->written;
    info->mtime_us = wr_clock_wall_us();
    if (w->number) return send_part(info->etag, w->s, w->key, w->upload, w->number, wr_buf_view(&w->piece), err);
    return w->upload ? put_parts(w, info, err) : put_whole(w, info, err);
}

static const wr_artifact_writer_ops writer_ops = {.add = add, .commit = commit, .drop = drop};

static int writer_new(writer **out, store *s, wr_str path, wr_err *err)
{
    writer *w = wr_calloc(1, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->base.ops = &writer_ops;
    w->s = s;
    wr_buf_init(&w->piece, 0);
    int rc = key_of(&w->key, s, path, "", err);
    if (rc < 0) drop(&w->base);
    else *out = w;
    return rc;
}

static int write_to(wr_artifact_writer **out, wr_artifacts *base, wr_str path, int64_t size, wr_err *err)
{
    writer *w;
    (void)size;
    WR_TRY(writer_new(&w, (store *)base, path, err));
    *out = &w->base;
    return 0;
}

/* ---- folders ---- */

/* One page of a list. `next`: where to go on, empty at the end; the first time it is empty too. */
static int list_page(wr_fetch_reply *a, wr_buf *next, store *s, const char *prefix, bool folders, const char *most,
                     wr_err *err)
{
    wr_sigv4_pair query[6] = {{"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", most}, {"prefix", prefix}};
    size_t n = 4;
    if (folders) query[n++] = (wr_sigv4_pair){"delimiter", "/"};
    if (next->n) query[n++] = (wr_sigv4_pair){"continuation-token", wr_buf_cstr(next)};
    WR_TRY(wr_s3_call(a, s->s3,
                      &(wr_s3_request){.method = "GET", .key = "", .query = query, .nquery = n, .max = LIST_MAX}, err));
    wr_str xml = wr_buf_view(&a->body);
    wr_buf_clear(next);
    if (!wr_str_is(wr_xml_first(xml, "IsTruncated"), "true")) return 0;
    if (!wr_xml_text(next, wr_xml_first(xml, "NextContinuationToken")) || !next->n)
        return wr_err_set(err, WEIR_EUNAVAILABLE, "S3 ends a list in the middle");
    return 0;
}

/* Is there a key below "path/"? */
static int has_below(bool *out, store *s, wr_str path, wr_err *err)
{
    wr_fetch_reply a = {0};
    WR_AUTOFREE char *prefix = NULL;
    WR_AUTOBUF wr_buf next;
    wr_buf_init(&next, 0);
    WR_TRY(key_of(&prefix, s, path, "/", err));
    int rc = list_page(&a, &next, s, prefix, false, "1", err);
    if (rc == 0) *out = wr_xml_first(wr_buf_view(&a.body), "Contents").p != NULL;
    wr_fetch_reply_free(&a);
    return rc;
}

static int stat_of(wr_artifact_info *out, wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    WR_AUTOFREE char *key = NULL;
    bool folder = false;
    WR_TRY(key_of(&key, s, path, "", err));
    int rc = head(out, s, key, err);
    if (rc != WEIR_ENOTFOUND) return rc;
    WR_TRY(has_below(&folder, s, path, err));
    *out = (wr_artifact_info){.is_dir = folder};
    return folder ? 0 : wr_artifact_missing(path, err);
}

/* ---- reading ---- */

static void reader_close(wr_artifact_reader *base)
{
    reader *r = (reader *)base;
    wr_buf_fini(&r->ahead);
    wr_free(r->key);
    wr_free(r);
}

static int read_from(wr_artifact_reader **out, wr_artifacts *base, wr_str path, wr_err *err)
{
    wr_artifact_info info;
    WR_TRY(stat_of(&info, base, path, err));
    if (info.is_dir) return wr_artifact_is_folder(path, err);
    reader *r = wr_calloc(1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    r->base.fd = -1;
    r->base.info = info;
    r->s = (store *)base;
    wr_buf_init(&r->ahead, 0);
    int rc = key_of(&r->key, r->s, path, "", err);
    if (rc < 0) reader_close(&r->base);
    else *out = &r->base;
    return rc;
}

/* Fills `ahead` from `offset` on. */
static int fetch(reader *r, int64_t offset, int64_t n, wr_err *err)
{
    char range[64], match[WR_ARTIFACT_ETAG + 4];
    int64_t last = offset + n < r->base.info.size ? offset + n - 1 : r->base.info.size - 1;
    if (snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)offset, (long long)last) < 0) range[0] = 0;
    if (snprintf(match, sizeof match, "\"%s\"", r->base.info.etag) < 0) match[0] = 0;
    const wr_sigv4_pair headers[] = {{"if-match", match}, {"range", range}};
    wr_fetch_reply a = {0};
    int rc = wr_s3_call(&a, r->s->s3,
                        &(wr_s3_request){.method = "GET",
                                         .key = r->key,
                                         .headers = headers,
                                         .nheaders = 2,
                                         .max = (size_t)(last - offset + 1) + ERROR_MAX},
                        err);
    if (rc == 0 && (int64_t)a.body.n != last - offset + 1)
        rc = wr_err_set(err, WEIR_EUNAVAILABLE, "S3 sent %zu bytes of '%.200s', not %lld", a.body.n, r->key,
                        (long long)(last - offset + 1));
    if (rc == 0) {
        wr_buf t = r->ahead;
        r->ahead = a.body;
        a.body = t;
        r->ahead_at = offset;
    }
    wr_fetch_reply_free(&a);
    return rc;
}

static int64_t get(wr_artifact_reader *base, int64_t offset, void *p, size_t n, wr_err *err)
{
    reader *r = (reader *)base;
    size_t got = 0;
    while (got < n) {
        int64_t at = offset + (int64_t)got, in = at - r->ahead_at;
        if (in < 0 || in >= (int64_t)r->ahead.n) {
            WR_TRY(fetch(r, at, READ_AHEAD, err));
            in = 0;
        }
        size_t have = r->ahead.n - (size_t)in, take = n - got < have ? n - got : have;
        memcpy((char *)p + got, r->ahead.p + in, take);
        got += take;
    }
    return (int64_t)got;
}

/* ---- listing ---- */

typedef WR_VEC(wr_artifact_entry) entries;

/* The name behind `skip` bytes of an encoded key; empty for the folder's own marker. */
static int name_of(wr_buf *out, wr_str encoded, size_t skip, bool folder, wr_err *err)
{
    wr_buf_clear(out);
    if (!wr_http_decode(out, encoded, true) || out->n < skip)
        return wr_err_set(err, WEIR_EUNAVAILABLE, "S3 lists a key that cannot be read");
    wr_buf_consume(out, skip);
    if (folder && out->n && out->p[out->n - 1] == '/') out->p[--out->n] = 0;
    return 0;
}

static int add_entry(entries *all, wr_arena *a, const wr_buf *name, wr_str content, bool folder, wr_err *err)
{
    wr_artifact_entry e = {.is_dir = folder};
    if (name->n == 0 || wr_artifact_path_check(wr_buf_view(name), NULL) < 0)
        return 0; /* not ours: it could not be asked for */
    if (all->n >= WR_ARTIFACT_LIST_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "the folder has more than %d artifacts", WR_ARTIFACT_LIST_MAX);
    if (!folder) {
        (void)wr_num_i64(&e.size, wr_xml_first(content, "Size"), NULL);
        (void)wr_time_parse(&e.mtime_us, wr_xml_first(content, "LastModified"), NULL);
    }
    e.name = wr_arena_strndup(a, name->p, name->n);
    return e.name && wr_vec_push(all, e) == 0 ? 0 : wr_err_nomem(err);
}

static int add_page(entries *all, wr_arena *a, wr_str xml, size_t skip, wr_err *err)
{
    wr_str rest = xml, content;
    WR_AUTOBUF wr_buf name;
    wr_buf_init(&name, 0);
    while (wr_xml_next(&rest, "Contents", &content)) {
        WR_TRY(name_of(&name, wr_xml_first(content, "Key"), skip, false, err));
        WR_TRY(add_entry(all, a, &name, content, false, err));
    }
    rest = xml;
    while (wr_xml_next(&rest, "CommonPrefixes", &content)) {
        WR_TRY(name_of(&name, wr_xml_first(content, "Prefix"), skip, true, err));
        WR_TRY(add_entry(all, a, &name, content, true, err));
    }
    return 0;
}

static int list(wr_artifact_entry **out, size_t *n, wr_arena *a, wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    entries all = {0};
    wr_fetch_reply page = {0};
    WR_AUTOFREE char *prefix = NULL;
    WR_AUTOBUF wr_buf next;
    wr_buf_init(&next, 0);
    WR_TRY(key_of(&prefix, s, path, path.n ? "/" : "", err));
    int rc;
    do {
        rc = list_page(&page, &next, s, prefix, true, "1000", err);
        if (rc == 0) rc = add_page(&all, a, wr_buf_view(&page.body), strlen(prefix), err);
    } while (rc == 0 && next.n);
    wr_fetch_reply_free(&page);
    if (rc == 0) wr_artifacts_sort(all.at, all.n);
    return wr_vec_keep(out, n, a, &all, rc, err);
}

/* ---- deleting ---- */

static int delete_list(store *s, wr_str xml, wr_err *err)
{
    unsigned char md5[MD5_DIGEST_LENGTH];
    WR_AUTOBUF wr_buf sum;
    wr_buf_init(&sum, 0);
    MD5((const unsigned char *)xml.p, xml.n, md5);
    wr_base64_encode(&sum, (wr_str){(const char *)md5, sizeof md5}, false);
    const wr_sigv4_pair query[] = {{"delete", ""}}, headers[] = {{"content-md5", wr_buf_cstr(&sum)}};
    wr_fetch_reply a = {0};
    int rc = wr_s3_call(
        &a, s->s3,
        &(wr_s3_request){
            .method = "POST", .key = "", .query = query, .nquery = 1, .headers = headers, .nheaders = 1, .body = xml},
        err);
    wr_str error = rc == 0 ? wr_xml_first(wr_buf_view(&a.body), "Error") : (wr_str){NULL, 0};
    if (error.p) {
        rc = wr_err_set(err, WEIR_EUNAVAILABLE, "S3 could not delete everything");
        wr_err_detail(err, rc, "%.*s: %.*s", WR_STR_FMT(wr_str_fit(wr_xml_first(error, "Key"), 200)),
                      WR_STR_FMT(wr_str_fit(wr_xml_first(error, "Code"), 100)));
    }
    wr_fetch_reply_free(&a);
    return rc;
}

/* The keys of a page, as a list of deletions. */
static int delete_page(store *s, wr_str xml, wr_err *err)
{
    WR_AUTOBUF wr_buf list_of, key;
    wr_buf_init(&list_of, 0);
    wr_buf_init(&key, 0);
    size_t n = 0;
    wr_str content;
    wr_buf_str(&list_of, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    while (n < DELETE_AT_ONCE && wr_xml_next(&xml, "Contents", &content)) {
        WR_TRY(name_of(&key, wr_xml_first(content, "Key"), 0, false, err));
        wr_buf_str(&list_of, "<Object><Key>");
        wr_xml_escape(&list_of, wr_buf_view(&key));
        wr_buf_str(&list_of, "</Key></Object>");
        n++;
    }
    wr_buf_str(&list_of, "</Delete>");
    if (list_of.failed) return wr_err_nomem(err);
    return n ? delete_list(s, wr_buf_view(&list_of), err) : 0;
}

static int remove_at(wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    wr_fetch_reply a = {0};
    WR_AUTOFREE char *key = NULL, *prefix = NULL;
    WR_AUTOBUF wr_buf next;
    wr_buf_init(&next, 0);
    WR_TRY(key_of(&key, s, path, "", err));
    WR_TRY(key_of(&prefix, s, path, "/", err));
    int rc = wr_s3_call(&a, s->s3, &(wr_s3_request){.method = "DELETE", .key = key}, err);
    if (rc == WEIR_ENOTFOUND) rc = 0;
    do {
        if (rc == 0) rc = list_page(&a, &next, s, prefix, false, "1000", err);
        if (rc == 0) rc = delete_page(s, wr_buf_view(&a.body), err);
    } while (rc == 0 && next.n);
    wr_fetch_reply_free(&a);
    return rc;
}

/* ---- in parts ---- */

static int parts_create(char id[WR_ARTIFACT_UPLOAD], wr_artifacts *base, wr_str path, wr_err *err)
{
    store *s = (store *)base;
    WR_AUTOFREE char *key = NULL, *made = NULL;
    WR_TRY(key_of(&key, s, path, "", err));
    WR_TRY(start_upload(&made, s, key, err));
    memcpy(id, made, strlen(made) + 1);
    return 0;
}

static int part_write(wr_artifact_writer **out, wr_artifacts *base, wr_str path, const char *id, int number,
                      wr_err *err)
{
    writer *w;
    WR_TRY(writer_new(&w, (store *)base, path, err));
    w->number = number; /* an upload of somebody else's: drop() leaves it */
    w->upload = wr_strdup(id);
    if (!w->upload) {
        drop(&w->base);
        return wr_err_nomem(err);
    }
    *out = &w->base;
    return 0;
}

static int parts_complete(wr_artifacts *base, wr_str path, const char *id, const wr_artifact_part *parts, size_t n,
                          wr_artifact_info *info, wr_err *err)
{
    store *s = (store *)base;
    WR_AUTOFREE char *key = NULL;
    WR_AUTOBUF wr_buf list_of;
    wr_buf_init(&list_of, 0);
    WR_TRY(key_of(&key, s, path, "", err));
    wr_buf_str(&list_of, LIST_OPEN);
    for (size_t i = 0; i < n; i++) {
        if (!parts[i].etag[0]) return wr_err_set(err, WEIR_EINVAL, "part %d has no etag", parts[i].number);
        put_part(&list_of, parts[i].number, parts[i].etag);
    }
    wr_buf_str(&list_of, LIST_CLOSE);
    if (list_of.failed) return wr_err_nomem(err);
    WR_TRY(complete_upload(info->etag, s, key, id, wr_buf_view(&list_of), err));
    return head(info, s, key, err);
}

static int parts_abort(wr_artifacts *base, wr_str path, const char *id, wr_err *err)
{
    WR_AUTOFREE char *key = NULL;
    WR_TRY(key_of(&key, (store *)base, path, "", err));
    return abort_upload((store *)base, key, id, err);
}

static int presign(wr_buf *url, wr_artifacts *base, const char *method, wr_str path, const char *id, int number,
                   int64_t expires_s, wr_err *err)
{
    store *s = (store *)base;
    char text[16];
    WR_AUTOFREE char *key = NULL;
    if (snprintf(text, sizeof text, "%d", number) < 0) text[0] = 0;
    const wr_sigv4_pair query[] = {{"partNumber", text}, {"uploadId", id}};
    WR_TRY(key_of(&key, s, path, "", err));
    return wr_s3_presign(url, s->s3,
                         &(wr_s3_request){.method = method, .key = key, .query = query, .nquery = id ? 2 : 0},
                         expires_s, err);
}

const wr_artifacts_ops wr_artifacts_s3 = {
    .kind = "s3",
    .forms = "\"s3://bucket/prefix\"",
    .remote = true,
    .takes = takes,
    .open = open_store,
    .close = close_store,
    .write = write_to,
    .read = read_from,
    .get = get,
    .reader_close = reader_close,
    .stat = stat_of,
    .list = list,
    .remove = remove_at,
    .parts_create = parts_create,
    .part_write = part_write,
    .parts_complete = parts_complete,
    .parts_abort = parts_abort,
    .presign = presign,
};
