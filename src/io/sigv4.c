/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4.c - a request is written in one canonical way and signed with a key that is derived for the day. */
#include "io/sigv4.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "codec/http.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

void wr_sigv4_date(char out[WR_SIGV4_DATE], int64_t time_s)
{
    wr_civil c;
    wr_time_civil(&c, time_s * WR_US);
    int n =
        snprintf(out, WR_SIGV4_DATE, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)c.year % 10000, (unsigned)c.month % 100,
                 (unsigned)c.day % 100, (unsigned)c.hour % 100, (unsigned)c.minute % 100, (unsigned)c.second % 100);
    WR_BUG_IF(n != WR_SIGV4_DATE - 1);
}

/* ---- the query ---- */

/* Sorted are the encoded names, then the encoded values: one text each, '\1' (below every encoded byte) between. */
static int by_text(const void *a, const void *b)
{
    const wr_buf *x = a, *y = b;
    return strcmp(wr_buf_cstr(x), wr_buf_cstr(y));
}

void wr_sigv4_query(wr_buf *out, const wr_sigv4_pair *query, size_t n)
{
    wr_buf all[WR_SIGV4_PAIRS];
    if (n > WR_SIGV4_PAIRS) out->failed = true;
    if (n == 0 || n > WR_SIGV4_PAIRS) return;
    for (size_t i = 0; i < n; i++) {
        wr_buf_init(&all[i], 0);
        wr_http_encode(&all[i], wr_str_of(query[i].name), false);
        wr_buf_char(&all[i], '\1');
        wr_http_encode(&all[i], wr_str_of(query[i].value), false);
        if (all[i].failed) out->failed = true;
    }
    qsort(all, n, sizeof *all, by_text);
    for (size_t i = 0; i < n; i++) {
        wr_str value = wr_buf_view(&all[i]), name = wr_str_cut(&value, '\1');
        if (i) wr_buf_char(out, '&');
        wr_buf_slice(out, name);
        wr_buf_char(out, '='); /* also behind a name alone: "uploads=" */
        wr_buf_slice(out, value);
        wr_buf_fini(&all[i]);
    }
}

/* ---- the headers ---- */

typedef struct {
    wr_sigv4_pair at[WR_SIGV4_PAIRS];
    size_t n;
} headers;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const wr_sigv4_pair *)a)->name, ((const wr_sigv4_pair *)b)->name);
}

static bool add(headers *h, const char *name, const char *value)
{
    if (h->n == WR_SIGV4_PAIRS) return false;
    h->at[h->n++] = (wr_sigv4_pair){name, value};
    return true;
}

static void put_names(wr_buf *out, const headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        if (i) wr_buf_char(out, ';');
        wr_buf_str(out, h->at[i].name);
    }
}

/* ---- the signature ---- */

typedef struct {
    char date[WR_SIGV4_DATE], scope[160];
} when;

static void scope_of(when *w, const wr_sigv4_keys *k, int64_t time_s)
{
    wr_sigv4_date(w->date, time_s);
    int n = snprintf(w->scope, sizeof w->scope, "%.8s/%.64s/%.64s/aws4_request", w->date, k->region, k->service);
    WR_BUG_IF(n < 0);
}

static wr_str raw(const unsigned char mac[WR_SHA256_SIZE]) { return (wr_str){(const char *)mac, WR_SHA256_SIZE}; }

static void sign(char out[WR_SHA256_HEX], const wr_sigv4_keys *k, const when *w, wr_str canonical)
{
    unsigned char key[WR_SHA256_SIZE], next[WR_SHA256_SIZE];
    char hash[WR_SHA256_HEX];
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    wr_buf_printf(&text, "AWS4%s", k->secret_key);
    wr_hmac_sha256(key, wr_buf_view(&text), (wr_str){w->date, 8});
    wr_hmac_sha256(next, raw(key), wr_str_of(k->region));
    wr_hmac_sha256(key, raw(next), wr_str_of(k->service));
    wr_hmac_sha256(next, raw(key), WR_STR("aws4_request"));
    wr_sha256_of(canonical.p, canonical.n, hash);
    wr_buf_clear(&text);
    wr_buf_printf(&text, ALGORITHM "\n%s\n%s\n%s", w->date, w->scope, hash);
    wr_hmac_sha256(key, raw(next), wr_buf_view(&text));
    wr_hex(out, key, sizeof key);
    if (text.failed) out[0] = 0;
}

static void put_canonical(wr_buf *out, const wr_sigv4_request *r, wr_str query, const headers *h, const char *payload)
{
    wr_buf_printf(out, "%s\n%s\n", r->method, r->path);
    wr_buf_slice(out, query);
    wr_buf_char(out, '\n');
    for (size_t i = 0; i < h->n; i++)
        wr_buf_printf(out, "%s:%.*s\n", h->at[i].name, WR_STR_FMT(wr_str_trim(wr_str_of(h->at[i].value))));
    wr_buf_char(out, '\n');
    put_names(out, h);
    wr_buf_printf(out, "\n%s", payload);
}

void wr_sigv4_authorization(wr_buf *out, const wr_sigv4_keys *k, const wr_sigv4_request *r)
{
    when w;
    headers h = {.n = 0};
    char signature[WR_SHA256_HEX];
    WR_AUTOBUF wr_buf canonical, query;
    wr_buf_init(&canonical, 0);
    wr_buf_init(&query, 0);
    scope_of(&w, k, r->time_s);
    bool room =
        add(&h, "host", r->host) && add(&h, "x-amz-content-sha256", r->payload) && add(&h, "x-amz-date", w.date);
    if (k->token) room = room && add(&h, "x-amz-security-token", k->token);
    for (size_t i = 0; i < r->nheaders; i++) room = room && add(&h, r->headers[i].name, r->headers[i].value);
    qsort(h.at, h.n, sizeof *h.at, by_name);
    wr_sigv4_query(&query, r->query, r->nquery);
    put_canonical(&canonical, r, wr_buf_view(&query), &h, r->payload);
    sign(signature, k, &w, wr_buf_view(&canonical));
    if (!room || canonical.failed || query.failed || !signature[0]) out->failed = true;
    wr_buf_printf(out, ALGORITHM " Credential=%s/%s, SignedHeaders=", k->access_key, w.scope);
    put_names(out, &h);
    wr_buf_printf(out, ", Signature=%s", signature);
}

void wr_sigv4_presign(wr_buf *out, const wr_sigv4_keys *k, const wr_sigv4_request *r, int64_t expires_s)
{
    when w;
    headers h = {.n = 0};
    char signature[WR_SHA256_HEX], credential[300], expires[24];
    wr_sigv4_pair all[WR_SIGV4_PAIRS];
    size_t n = 0;
    WR_AUTOBUF wr_buf canonical, query;
    wr_buf_init(&canonical, 0);
    wr_buf_init(&query, 0);
    scope_of(&w, k, r->time_s);
    add(&h, "host", r->host);
    bool room = r->nquery + 6 <= WR_SIGV4_PAIRS;
    for (size_t i = 0; room && i < r->nquery; i++) all[n++] = r->query[i];
    int fits = snprintf(credential, sizeof credential, "%s/%s", k->access_key, w.scope);
    room = room && fits > 0 && (size_t)fits < sizeof credential &&
           snprintf(expires, sizeof expires, "%lld", (long long)expires_s) > 0;
    if (room) {
        all[n++] = (wr_sigv4_pair){"X-Amz-Algorithm", ALGORITHM};
        all[n++] = (wr_sigv4_pair){"X-Amz-Credential", credential};
        all[n++] = (wr_sigv4_pair){"X-Amz-Date", w.date};
        all[n++] = (wr_sigv4_pair){"X-Amz-Expires", expires};
        all[n++] = (wr_sigv4_pair){"X-Amz-SignedHeaders", "host"};
        if (k->token) all[n++] = (wr_sigv4_pair){"X-Amz-Security-Token", k->token};
    }
    wr_sigv4_query(&query, all, n);
    put_canonical(&canonical, r, wr_buf_view(&query), &h, WR_SIGV4_UNSIGNED);
    sign(signature, k, &w, wr_buf_view(&canonical));
    if (!room || canonical.failed || query.failed || !signature[0]) out->failed = true;
    wr_buf_printf(out, "%s?%.*s&X-Amz-Signature=%s", r->path, WR_STR_FMT(wr_buf_view(&query)), signature);
}
