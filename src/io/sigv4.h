/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4.h - AWS Signature Version 4, for headers and for URLs that are good for a while.
 *
 * Our own, because libcurl's differs between its versions and fails on keys with '=', ':' or '@' and on queries that are not sorted. Values
 * to check against: the examples of "Authenticating Requests (AWS Signature Version 4)" of Amazon S3's API reference.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/hash.h"
#include "base/str.h"

typedef struct {
    const char *access_key, *secret_key, *token /* NULL = none */, *region, *service;
} wr_sigv4_keys;

typedef struct { const char *name, *value; } wr_sigv4_pair;

#define WR_SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
typedef struct {
    const char *method, *host;      /* host as in the header, with a port that is not the usual one */
    const char *path;               /* encoded, from '/' on */
    const wr_sigv4_pair *query;     /* not encoded, in any order */
    size_t nquery;
    const wr_sigv4_pair *headers;   /* to be signed beside host and x-amz-*; names in lower case */
    size_t nheaders;
    const char *payload;            /* SHA-256 of the body in hex, or WR_SIGV4_UNSIGNED */
    int64_t time_s;                 /* since 1970 */
} wr_sigv4_request;

enum { WR_SIGV4_PAIRS = 24 };       /* most headers, and most of a query, ours included */
#define WR_SIGV4_DATE 17
void wr_sigv4_date(char out[WR_SIGV4_DATE], int64_t time_s); /* "20130524T000000Z", of x-amz-date */
/* The query, encoded and sorted: of the URL too. */
void wr_sigv4_query(wr_buf *out, const wr_sigv4_pair *query, size_t n);
/* Value of the header Authorization. Signed are host, x-amz-date, x-amz-content-sha256 (= payload), x-amz-security-token (with a token) and
 * `headers`: they all have to be sent. A failed buffer: no memory, or too many pairs. */
void wr_sigv4_authorization(wr_buf *out, const wr_sigv4_keys *k, const wr_sigv4_request *r);
/* Appends "PATH?QUERY" with a signature that is good for `expires_s` seconds; `payload` does not count. */
void wr_sigv4_presign(wr_buf *out, const wr_sigv4_keys *k, const wr_sigv4_request *r, int64_t expires_s);
