/* SPDX-License-Identifier: Apache-2.0 */
/* oip.h - (ops.h and rest.h take its place) Open Inference Protocol V2 over REST (kserve/open-inference-protocol): a request value in, a response value out.
 *
 *   GET  /v2                                  server metadata
 *   GET  /v2/health/live, /v2/health/ready
 *   GET  /v2/models/M[/versions/V]            model metadata
 *   GET  /v2/models/M[/versions/V]/ready
 *   POST /v2/models/M[/versions/V]/infer
 *
 * No sockets and no models here: both come through wr_oip_ops. Model M is an endpoint; V is the registered version it serves now.
 *
 * Infer: every request column of the model is one input, by name, in any order, all of the same n rows: shape [n] or [n,1], data flat or
 * nested. A text column takes BYTES; a number any of BOOL, [U]INT8..64, FP32, FP64; a time BYTES (ISO 8601) or INT64 (microseconds since
 * 1970 UTC). null is a missing value. Outputs: "probability" FP64 [n] and "label" INT64 [n] (1 from the endpoint's threshold on), or
 * those that `outputs` names. The id is echoed and kept with the prediction; of several rows row i is kept as ID/i. Kept ids are in
 * parameters.prediction_ids. Parameters of the request are tolerated. Binary tensors are refused (400).
 * Errors are {"error": "..."}: 400 for a bad request or a model that is not ready, 404 for an unknown model or path, 405, 503.
 *
 * Threads: none; everything is in the caller's arena and buffer. Caps: base/limits.h.
 */
#pragma once
#include "base/arena.h"
#include "base/str.h"
#include "core/view.h"

typedef struct {
    wr_str name, version;           /* version "" when it has none */
    size_t ninputs;
    char *const *inputs;
    const wr_type *types;           /* TS, F64 or TEXT */
    double threshold;
    void *handle;                   /* for predict and release */
} wr_oip_model;

typedef struct {
    void *ctx;
    const char *server_version;
    bool (*ready)(void *ctx);
    /* WEIR_ENOTFOUND, WEIR_EUNAVAILABLE (not ready). Strings in `a` or as long as the handle is held. */
    int (*model)(void *ctx, wr_oip_model *out, wr_str name, wr_arena *a, wr_err *err);
    void (*release)(void *ctx, wr_oip_model *m);
    /* n rows of m->ninputs cells -> n scores, and the ids the predictions are kept under (p NULL in `ids` = make one). */
    int (*predict)(void *ctx, const wr_oip_model *m, const wr_cell *cells, size_t n, double *scores, wr_str *ids, wr_arena *a, wr_err *err);
} wr_oip_ops;

typedef struct { wr_str method, path /* decoded, "/v2/..." */, body; bool binary; /* Inference-Header-Content-Length is there */ } wr_oip_request;
typedef struct { int status; bool predicted; /* rows were predicted: the answer waits for their log */ wr_buf *body; } wr_oip_response;

/* Appends the body to out->body; empty when out of memory (status 500). */
void wr_oip_handle(wr_oip_response *out, const wr_oip_request *in, const wr_oip_ops *ops, wr_arena *a);
