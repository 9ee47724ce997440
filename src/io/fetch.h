/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - requests to other servers, http and https, through libcurl, which is loaded on first use.
 *
 *   wr_fetch *f; WR_TRY(wr_fetch_open(&f, err));
 *   wr_fetch_reply r = {0};
 *   int rc = wr_fetch_run(&r, f, &(wr_fetch_opt){.method = "GET", .url = url, .max = 1 << 20}, err);
 *   ... r.status, wr_buf_view(&r.body), wr_fetch_header(&r, "etag") ...
 *   wr_fetch_reply_free(&r);
 *
 * Redirects are never followed: a redirect is an answer like others. Certificates are always checked; $SSL_CERT_FILE
 * names other roots. Connections are kept and used again. A wr_fetch is of one thread at a time.
 * Errors: WEIR_EUNAVAILABLE (no libcurl; the name is not found; nobody answers), WEIR_ETIMEOUT, WEIR_EACCESS (an
 * address that is not public), WEIR_ELIMIT (the answer is too long), WEIR_EIO. An answer of whatever status is no
 * error.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

typedef struct wr_fetch wr_fetch;

typedef struct {
    const char *method, *url;
    const char *const *headers; /* "Name: value" */
    size_t nheaders;
    wr_str body; /* sent whole, or in pieces: */
    /* Up to n bytes into p; 0 = end, negative = give up. `size` bytes in all. */
    int64_t (*read)(void *arg, char *p, size_t n);
    int64_t size;
    /* The answer's body in pieces instead of reply.body; negative = give up. Of answers from 300 on the body goes into
     * reply.body nevertheless, its first `max` bytes. */
    int (*write)(void *arg, wr_str piece);
    void *arg;
    size_t max;       /* bytes of reply.body; 0 = 1 MiB */
    int timeout_ms;   /* of all; 0 = none, but 60 s without a byte end it */
    int connect_ms;   /* 0 = 10 s */
    bool public_only; /* connect to addresses of the open internet alone, without a proxy (io/address.h) */
    bool https_only;
    const atomic_bool *cancel; /* becomes true: the request ends within a second, WEIR_ECANCELED; NULL = never */
} wr_fetch_opt;

typedef struct {
    int status;
    wr_buf body, head; /* head: "name: value\r\n" lines */
} wr_fetch_reply;

/* Loads libcurl: $WEIR_LIBCURL, else libcurl.so.4 or libcurl-gnutls.so.4 as the system finds them. */
int wr_fetch_open(wr_fetch **out, wr_err *err);
void wr_fetch_close(wr_fetch *f);
/* `out` is zeroed or was used before. */
int wr_fetch_run(wr_fetch_reply *out, wr_fetch *f, const wr_fetch_opt *opt, wr_err *err);
void wr_fetch_reply_free(wr_fetch_reply *r);
wr_str wr_fetch_header(const wr_fetch_reply *r, const char *name); /* {NULL,0} without it */
