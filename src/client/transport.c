/* SPDX-License-Identifier: Apache-2.0 */
/* transport.c - one of two clients behind one call. */
#include "client/transport.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/mem.h"
#include "io/fetch.h"
#include "io/http_client.h"

enum { TIMEOUT_MS = 30000, CONNECT_MS = 5000, HEADER_MAX = 8192, URL_MAX = 2048 };

struct wr_transport {
    char *url, *header;
    wr_http_client *own;
    wr_fetch *curl;
    bool plain;
};

static bool is_plain(const char *url)
{
    char host[64];
    unsigned char a[16];
    if (strncmp(url, "http://", 7) != 0) return false;
    size_t n = strcspn(url + 7, ":/");
    if (url[7 + n] == '/' && url[8 + n]) return false; /* a path in front */
    if (n >= sizeof host) return false;
    memcpy(host, url + 7, n);
    host[n] = 0;
    return strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, a) == 1;
}

int wr_transport_open(wr_transport **out, const char *url, const char *token, wr_err *err)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        wr_err_set(err, WEIR_EINVAL, "\"%s\" is not the address of a server", url);
        return wr_err_hint(err, WEIR_EINVAL, "http://HOST:PORT");
    }
    wr_transport *t = wr_calloc(1, sizeof *t);
    if (!t) return wr_err_nomem(err);
    t->url = wr_strdup(url);
    t->plain = !(token && token[0]) && is_plain(url);
    if (token && token[0]) {
        t->header = wr_alloc(HEADER_MAX);
        if (t->header) snprintf(t->header, HEADER_MAX, "Authorization: Bearer %s", token);
    }
    if (!t->url || (token && token[0] && !t->header)) {
        wr_transport_close(t);
        return wr_err_nomem(err);
    }
    for (size_t n = strlen(t->url); n && t->url[n - 1] == '/'; n--) t->url[n - 1] = 0;
    *out = t;
    return 0;
}

void wr_transport_close(wr_transport *t)
{
    if (!t) return;
    wr_http_client_close(t->own);
    wr_fetch_close(t->curl);
    wr_free(t->url);
    wr_free(t->header);
    wr_free(t);
}

/* A connection that broke is given up: the next call makes another. */
static int call_own(wr_transport *t, const char *path, wr_str body, int *status, wr_buf *reply, wr_err *err)
{
    wr_str answer;
    if (!t->own) WR_TRY(wr_http_client_open(&t->own, t->url, TIMEOUT_MS, err));
    int rc = wr_http_client_send(t->own, body.p ? "POST" : "GET", path, body.p ? "application/json" : NULL,
                                 body.p ? body : (wr_str){"", 0}, err);
    if (rc == 0) rc = wr_http_client_flush(t->own, err);
    if (rc == 0) rc = wr_http_client_recv(t->own, status, &answer, err);
    if (rc == 0) {
        wr_buf_slice(reply, answer);
        return 0;
    }
    wr_http_client_close(t->own);
    t->own = NULL;
    return rc;
}

static int call_curl(wr_transport *t, const char *path, wr_str body, int *status, wr_buf *reply, wr_err *err)
{
    char url[URL_MAX];
    const char *headers[2] = {"Content-Type: application/json", t->header};
    wr_fetch_reply r = {0};
    if (!t->curl) WR_TRY(wr_fetch_open(&t->curl, err));
    if (snprintf(url, sizeof url, "%s%s", t->url, path) >= (int)sizeof url)
        return wr_err_set(err, WEIR_EINVAL, "the address is too long");
    wr_fetch_opt opt = {.method = body.p ? "POST" : "GET",
                        .url = url,
                        .headers = headers,
                        .nheaders = t->header ? 2 : 1,
                        .body = body,
                        .timeout_ms = TIMEOUT_MS,
                        .connect_ms = CONNECT_MS};
    int rc = wr_fetch_run(&r, t->curl, &opt, err);
    if (rc == 0) {
        *status = r.status;
        wr_buf_slice(reply, wr_buf_view(&r.body));
    }
    wr_fetch_reply_free(&r);
    return rc;
}

int wr_transport_call(wr_transport *t, const char *path, wr_str body, int *status, wr_buf *reply, wr_err *err)
{
    wr_buf_clear(reply);
    int rc = t->plain ? call_own(t, path, body, status, reply, err) : call_curl(t, path, body, status, reply, err);
    return rc == 0 && reply->failed ? wr_err_nomem(err) : rc;
}
