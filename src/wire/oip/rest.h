/* SPDX-License-Identifier: Apache-2.0 */
/* rest.h - the REST protocols of serving: a request value in, a response value out. No sockets and no models here: models come through
 * wr_oip_ops (ops.h).
 *
 * Open Inference Protocol V2 (kserve/open-inference-protocol) with Triton's extensions (server/docs/protocol):
 *   GET  /v2, /v2/health/live, /v2/health/ready
 *   GET  /v2/models/M[/versions/V], .../ready, .../config, .../stats; /v2/models/stats
 *   POST /v2/models/M[/versions/V]/infer, .../explain (ours: the same request; one output more, "contributions")
 *   POST /v2/repository/index, /v2/repository/models/M/load, .../unload
 *   GET, POST /v2/logging, /v2/trace/setting, /v2/models/M/trace/setting
 *   GET, POST /v2/systemsharedmemory/...; /v2/cudasharedmemory/... (nothing to register)
 * V1 of KServe and TensorFlow Serving: GET /v1/models, /v1/models/M; POST /v1/models/M:predict, M:explain
 * MLflow's scoring server: POST /invocations, /endpoints/M/invocations; GET /ping
 *
 * Errors are {"error": "..."} in Triton's words, since its clients' tests look at them: 400 for a bad request or a model that is not ready,
 * 404 for an unknown model or path, 405, 503, and 500 where Triton's clients expect it (a negative dimension). MLflow's paths answer
 * {"error_code": "BAD_REQUEST", "message": ...}.
 *
 * Threads: wr_oip_rest from any; a request's memory is the caller's arena and buffer. Caps: base/limits.h.
 */
#pragma once
#include "wire/oip/ops.h"

/* What requests that were answered looked like, so that others like them are read faster (alike.h). For one thread; NULL = out of memory, which is fine. */
typedef struct wr_oip_alike wr_oip_alike;
wr_oip_alike *wr_oip_alike_new(void);
void wr_oip_alike_free(wr_oip_alike *k);

typedef struct {
    wr_str method, path;              /* decoded */
    wr_str query;
    wr_str body;                      /* unpacked */
    /* Headers; p NULL = not there. */
    wr_str header_length;             /* Inference-Header-Content-Length */
    wr_str content_type, accept_encoding;
    wr_str endpoint;                  /* X-Weir-Endpoint: the model of /invocations */
    int64_t start_ns;                 /* wr_clock_mono_ns when it was there; 0 = not known */
    wr_oip_later later;
    wr_oip_alike *alike;              /* NULL: each is read in full */
} wr_oip_request;

typedef struct {
    int status;
    bool waits;                       /* the rest is not there yet: later.done tells */
    bool kept;                        /* as in wr_oip_result */
    const char *type;                 /* Content-Type */
    char headers[160];                /* "Name: value\r\n" lines, "" = none: Inference-Header-Content-Length, Content-Encoding */
    wr_buf *body;
} wr_oip_response;

/* Is this path one of these protocols? (decoded; any method) */
bool wr_oip_knows(wr_str path);
/* The model that a request to `path` asks for predictions, for who refuses it unread: version {NULL, 0} = the default one. False: the path has none. */
bool wr_oip_asked_model(wr_str *model, wr_str *version, wr_str path);
/* Appends the body to out->body, which is empty; it stays empty when out of memory (status 500). */
void wr_oip_rest(wr_oip_response *out, wr_oip *o, const wr_oip_request *in, const wr_oip_ops *ops, wr_arena *a);
