/* SPDX-License-Identifier: Apache-2.0 */
/* s3.c - one bucket. */
#include "io/s3.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/vec.h"
#include "codec/http.h"
#include "codec/xml.h"

enum { TRIES = 5, FIRST_PAUSE_MS = 100, TIMEOUT_MS = 300000 };

struct wr_s3 {
    char *base;    /* "https://host[:port]", no slash at the end */
    char *host;    /* of the header */
    char *in_path; /* "/bucket" or "" */
    char *access, *secret, *token, *region;
    wr_sigv4_keys keys;   /* points to those */
    pthread_mutex_t lock; /* guards idle; a leaf */
    WR_VEC(wr_fetch *) idle;
};

/* ---- where and who ---- */

static const char *setting(const char *const *names)
{
    for (; *names; names++) {
        const char *v = getenv(*names);
        if (v && *v) return v;
    }
    return NULL;
}

static bool bucket_ok(const char *s)
{
    size_t n = strlen(s);
    if (n < 3 || n > 63 || s[0] == '.' || s[0] == '-' || strstr(s, "..")) return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == n;
}

static char *text(const char *fmt, const char *a, const char *b)
{
    size_t n = strlen(fmt) + strlen(a) + strlen(b) + 1;
    char *p = wr_alloc(n);
    if (p && snprintf(p, n, fmt, a, b) < 0) *p = 0;
    return p;
}

/* `endpoint` NULL: Amazon's. */
static int set_place(wr_s3 *s, const char *bucket, const char *endpoint, wr_err *err)
{
    bool in_host = !endpoint && !strchr(bucket, '.') && !strchr(bucket, '_');
    if (!endpoint) {
        s->host = text("%s.s3.%s.amazonaws.com", bucket, s->region);
        if (!in_host && s->host) {
            wr_free(s->host);
            s->host = text("s3.%s%s.amazonaws.com", s->region, "");
        }
        s->base = s->host ? text("https://%s%s", s->host, "") : NULL;
    } else {
        wr_str rest = wr_str_of(endpoint);
        bool tls = wr_str_starts(rest, "https://");
        if (!tls && !wr_str_starts(rest, "http://"))
            return wr_err_set(err, WEIR_EINVAL, "the endpoint '%.200s' of S3 is no http or https address", endpoint);
        rest = wr_str_sub(rest, tls ? 8 : 7, rest.n);
        while (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
        if (rest.n == 0 || memchr(rest.p, '/', rest.n) || memchr(rest.p, '@', rest.n))
            return wr_err_set(err, WEIR_EINVAL, "the endpoint '%.200s' of S3 is more than a host and a port", endpoint);
        if (tls && wr_str_ends(rest, ":443")) rest.n -= 4; /* not in the header, so not in what is signed */
        if (!tls && wr_str_ends(rest, ":80")) rest.n -= 3;
        s->host = wr_alloc(rest.n + 1);
        if (s->host) memcpy(s->host, rest.p, rest.n);
        if (s->host) s->host[rest.n] = 0;
        s->base = s->host ? text(tls ? "https://%s%s" : "http://%s%s", s->host, "") : NULL;
    }
    s->in_path = in_host ? wr_strdup("") : text("/%s%s", bucket, "");
    return s->base && s->in_path ? 0 : wr_err_nomem(err);
}

static int set_keys(wr_s3 *s, wr_err *err)
{
    static const char *const access[] = {"AWS_ACCESS_KEY_ID", NULL}, *const secret[] = {"AWS_SECRET_ACCESS_KEY", NULL},
                             *const token[] = {"AWS_SESSION_TOKEN", NULL},
                             *const region[] = {"AWS_REGION", "AWS_DEFAULT_REGION", NULL};
    const char *a = setting(access), *b = setting(secret), *t = setting(token), *r = setting(region);
    if (!a || !b) {
        wr_err_set(err, WEIR_EINVAL, "there are no keys for S3");
        return wr_err_hint(err, WEIR_EINVAL, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
    s->access = wr_strdup(a);
    s->secret = wr_strdup(b);
    s->token = wr_strdup(t);
    s->region = wr_strdup(r ? r : "us-east-1");
    s->keys = (wr_sigv4_keys){s->access, s->secret, s->token, s->region, "s3"};
    return s->access && s->secret && s->region && (!t || s->token) ? 0 : wr_err_nomem(err);
}

int wr_s3_open(wr_s3 **out, const char *bucket, wr_err *err)
{
    static const char *const endpoint[] = {"MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL};
    if (!bucket_ok(bucket)) return wr_err_set(err, WEIR_EINVAL, "'%.80s' is no name of a bucket", bucket);
    wr_s3 *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    pthread_mutex_init(&s->lock, NULL);
    int rc = set_keys(s, err);
    if (rc == 0) rc = set_place(s, bucket, setting(endpoint), err);
    if (rc < 0) wr_s3_close(s);
    else *out = s;
    return rc;
}

void wr_s3_close(wr_s3 *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->idle.n; i++) wr_fetch_close(s->idle.at[i]);
    wr_vec_fini(&s->idle);
    pthread_mutex_destroy(&s->lock);
    char *all[] = {s->base, s->host, s->in_path, s->access, s->secret, s->token, s->region};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) wr_free(all[i]);
    wr_free(s);
}

/* ---- connections ---- */

static int take(wr_fetch **out, wr_s3 *s, wr_err *err)
{
    pthread_mutex_lock(&s->lock);
    *out = s->idle.n ? s->idle.at[--s->idle.n] : NULL;
    pthread_mutex_unlock(&s->lock);
    return *out ? 0 : wr_fetch_open(out, err);
}

static void give_back(wr_s3 *s, wr_fetch *f)
{
    pthread_mutex_lock(&s->lock);
    int rc = wr_vec_push(&s->idle, f);
    pthread_mutex_unlock(&s->lock);
    if (rc < 0) wr_fetch_close(f);
}

/* ---- requests ---- */

static void put_path(wr_buf *path, const wr_s3 *s, const char *key)
{
    wr_buf_str(path, s->in_path);
    wr_buf_char(path, '/');
    wr_http_encode(path, wr_str_of(key), true);
}

typedef struct {
    wr_buf url, authorization;
    char date[WR_SIGV4_DATE + 16], hash[WR_SHA256_HEX + 24];
    wr_buf lines[WR_SIGV4_PAIRS];
    const char *headers[WR_SIGV4_PAIRS];
    size_t n;
} signed_request;

static void fini(signed_request *q)
{
    wr_buf_fini(&q->url);
    wr_buf_fini(&q->authorization);
    for (size_t i = 0; i < q->n; i++) wr_buf_fini(&q->lines[i]);
}

static void put_header(signed_request *q, const char *name, const char *value)
{
    wr_buf *b = &q->lines[q->n];
    wr_buf_init(b, 0);
    wr_buf_printf(b, "%s: %s", name, value);
    q->headers[q->n++] = wr_buf_cstr(b);
    if (b->failed) q->url.failed = true;
}

/* Signed anew for each try: the time counts. */
static int prepare(signed_request *q, wr_s3 *s, const wr_s3_request *r, const char *payload, wr_err *err)
{
    char date[WR_SIGV4_DATE];
    WR_AUTOBUF wr_buf path;
    *q = (signed_request){.n = 0};
    wr_buf_init(&path, 0);
    wr_buf_init(&q->url, 0);
    wr_buf_init(&q->authorization, 0);
    put_path(&path, s, r->key);
    wr_sigv4_request sr = {.method = r->method,
                           .host = s->host,
                           .path = wr_buf_cstr(&path),
                           .query = r->query,
                           .nquery = r->nquery,
                           .headers = r->headers,
                           .nheaders = r->nheaders,
                           .payload = payload,
                           .time_s = wr_clock_wall_us() / WR_US};
    wr_sigv4_authorization(&q->authorization, &s->keys, &sr);
    wr_sigv4_date(date, sr.time_s);
    wr_buf_printf(&q->url, "%s%s", s->base, wr_buf_cstr(&path));
    if (r->nquery) wr_buf_char(&q->url, '?');
    wr_sigv4_query(&q->url, r->query, r->nquery);
    if (r->nheaders + 6 > WR_SIGV4_PAIRS) return wr_err_set(err, WEIR_ELIMIT, "%zu headers", r->nheaders);
    put_header(q, "Authorization", wr_buf_cstr(&q->authorization));
    put_header(q, "x-amz-date", date);
    put_header(q, "x-amz-content-sha256", payload);
    if (s->token) put_header(q, "x-amz-security-token", s->token);
    if (r->body.p) put_header(q, "Content-Type", "application/octet-stream");
    for (size_t i = 0; i < r->nheaders; i++) put_header(q, r->headers[i].name, r->headers[i].value);
    return q->url.failed || q->authorization.failed || path.failed ? wr_err_nomem(err) : 0;
}

static int send_once(wr_fetch_reply *out, wr_s3 *s, const wr_s3_request *r, const char *payload, wr_err *err)
{
    wr_fetch *f;
    signed_request q;
    WR_TRY(take(&f, s, err));
    int rc = prepare(&q, s, r, payload, err);
    wr_fetch_opt opt = {.method = r->method,
                        .url = wr_buf_cstr(&q.url),
                        .headers = q.headers,
                        .nheaders = q.n,
                        .body = r->body,
                        .max = r->max,
                        .timeout_ms = TIMEOUT_MS};
    if (rc == 0) rc = wr_fetch_run(out, f, &opt, err);
    fini(&q);
    give_back(s, f);
    return rc;
}

static bool passing(int status)
{
    return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

static int code_of(int status)
{
    switch (status) {
    case 404:
        return WEIR_ENOTFOUND;
    case 401:
    case 403:
        return WEIR_EACCESS;
    case 409:
    case 412:
        return WEIR_ECONFLICT;
    case 507:
        return WEIR_ENOSPC;
    default:
        return status >= 500 || status == 429 ? WEIR_EUNAVAILABLE : WEIR_EINVAL;
    }
}

static int refused(const wr_fetch_reply *a, const wr_s3 *s, const wr_s3_request *r, wr_err *err)
{
    int rc = code_of(a->status);
    wr_str xml = wr_buf_view(&a->body), code = wr_xml_first(xml, "Code");
    WR_AUTOBUF wr_buf message;
    wr_buf_init(&message, 1000);
    (void)wr_xml_text(&message, wr_str_fit(wr_xml_first(xml, "Message"), 300));
    wr_err_set(err, rc, "S3 answers %d to %s '%.150s'", a->status, r->method, r->key);
    if (code.p) wr_err_detail(err, rc, "%.*s: %s", WR_STR_FMT(wr_str_fit(code, 100)), wr_buf_cstr(&message));
    if (rc == WEIR_EACCESS)
        return wr_err_hint(err, rc, "check the keys, the bucket's policy, AWS_REGION and this machine's clock");
    if (wr_str_is(code, "NoSuchBucket"))
        return wr_err_hint(err, rc, "make the bucket first; it is looked for at %s", s->base);
    return rc;
}

static void pause_ms(int ms)
{
    uint16_t random;
    wr_os_random(&random, sizeof random);
    ms = ms / 2 + (int)(random % (unsigned)(ms / 2 + 1)); /* so that many who failed together do not come together */
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

int wr_s3_call(wr_fetch_reply *out, wr_s3 *s, const wr_s3_request *r, wr_err *err)
{
    char payload[WR_SHA256_HEX];
    wr_s3_request whole = *r;
    bool body = strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0;
    if (body && !whole.body.p) whole.body = WR_STR(""); /* said as Content-Length: 0 */
    wr_sha256_of(whole.body.p, whole.body.n, payload);
    for (int i = 0, ms = FIRST_PAUSE_MS;; i++, ms *= 3) {
        int rc = send_once(out, s, &whole, payload, err);
        bool lost = rc == WEIR_EIO || rc == WEIR_ETIMEOUT, again = rc == WEIR_EUNAVAILABLE || (lost && !r->once);
        if (rc == 0 && out->status < 300) return 0;
        if (rc == 0) again = passing(out->status);
        if (again && i + 1 < TRIES) {
            pause_ms(ms);
            continue;
        }
        if (rc == 0) return refused(out, s, r, err);
        return wr_err_wrap(err, rc == WEIR_EIO || rc == WEIR_ETIMEOUT ? WEIR_EUNAVAILABLE : rc, "S3");
    }
}

int wr_s3_presign(wr_buf *url, wr_s3 *s, const wr_s3_request *r, int64_t expires_s, wr_err *err)
{
    WR_AUTOBUF wr_buf path;
    wr_buf_init(&path, 0);
    put_path(&path, s, r->key);
    wr_sigv4_request sr = {.method = r->method,
                           .host = s->host,
                           .path = wr_buf_cstr(&path),
                           .query = r->query,
                           .nquery = r->nquery,
                           .time_s = wr_clock_wall_us() / WR_US};
    wr_buf_str(url, s->base);
    wr_sigv4_presign(url, &s->keys, &sr, expires_s);
    return url->failed || path.failed ? wr_err_nomem(err) : 0;
}
