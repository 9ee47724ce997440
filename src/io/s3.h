/* SPDX-License-Identifier: Apache-2.0 */
/* s3.h - requests to one bucket of S3 or of what speaks like it; signed (sigv4.h), sent by libcurl (fetch.h), tried again.
 *
 * Where and who is read from the environment, as MLflow's client and Amazon's do:
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   AWS_REGION, AWS_DEFAULT_REGION                                            default us-east-1
 *   MLFLOW_S3_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL             default Amazon's of the region
 * Behind an endpoint of one's own, and for buckets with dots, the bucket stands in the path, else in the host's name.
 * Bodies are signed with their hash. Answers 429, 500, 502, 503, 504 and broken connections are tried again, with growing pauses.
 * Errors: 404 WEIR_ENOTFOUND, 403 WEIR_EACCESS, 412 WEIR_ECONFLICT, other 4xx WEIR_EINVAL, 5xx and no answer WEIR_EUNAVAILABLE; the detail has
 * S3's code and message. Threads: any number at once.
 */
#pragma once
#include "base/err.h"
#include "io/fetch.h"
#include "io/sigv4.h"

typedef struct wr_s3 wr_s3;

int wr_s3_open(wr_s3 **out, const char *bucket, wr_err *err);  /* asks nobody; WEIR_EINVAL without keys, or for a bad name */
void wr_s3_close(wr_s3 *s);

typedef struct {
    const char *method, *key;       /* key: not encoded; "" = the bucket itself */
    const wr_sigv4_pair *query, *headers; /* headers in lower case */
    size_t nquery, nheaders;
    wr_str body;
    size_t max;                     /* bytes of the answer; 0 = 1 MiB */
    bool once;                      /* not to be repeated when the answer got lost: it would not be the same again */
} wr_s3_request;
/* 0 with an answer below 300. `out` is zeroed or was used before; the caller frees it. */
int wr_s3_call(wr_fetch_reply *out, wr_s3 *s, const wr_s3_request *r, wr_err *err);
/* A URL that is good for one such request for a while. */
int wr_s3_presign(wr_buf *url, wr_s3 *s, const wr_s3_request *r, int64_t expires_s, wr_err *err);
