/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h - what the files of this folder share: a call on its way through a protocol. Private to it. */
#pragma once
#include "codec/json.h"
#include "codec/json_scan.h"
#include "wire/oip/rest.h"
#include "wire/oip/service.h"

typedef struct wr_oip_call {
    wr_oip_response *out;
    wr_oip *o;
    const wr_oip_request *in;
    const wr_oip_ops *ops;
    wr_arena *arena;
    wr_jsonw w;                       /* on out->body */
    wr_str model, version;            /* of the path; version {NULL, 0}: none */
    wr_oip_model m;                   /* while a handler of with_model runs */
    bool waits;                       /* the answer comes later; c->m is kept */
    bool scoring;                     /* errors in MLflow's form */
    bool explain;
    wr_err err;                       /* the last member */
} wr_oip_call;

/* ---- rest.c ---- */

/* The answer becomes an error; what was written before is gone. */
void wr_oip_fail(wr_oip_call *c, int status, const wr_err *e);
/* One that waited is answered. */
void wr_oip_over(wr_oip_call *c);
void wr_oip_fail_with(wr_oip_call *c, const wr_err *e);       /* status by the code */
void wr_oip_fail_text(wr_oip_call *c, int status, const char *text, const char *hint);
/* GET also lets HEAD through. False: 405 was answered. */
bool wr_oip_method(wr_oip_call *c, const char *want);
/* Takes c->model, c->version; runs `then` with c->m, or answers why not. */
void wr_oip_with_model(wr_oip_call *c, const char *method, void (*then)(wr_oip_call *c));
/* The next part of a path; p NULL when there is none. */
wr_str wr_oip_segment(wr_str *rest);
/* "[1,-1]" as a member "shape". */
void wr_oip_put_shape(wr_jsonw *w, const int64_t *shape, int ndims);

/* ---- what a request asks for: request.c ---- */

/* Body (JSON of `header` bytes, tensors behind it) into `out`, all in the arena. WEIR_EINTERNAL: answered 500. */
int wr_oip_read_request(wr_oip_asked *out, wr_oip_call *c, size_t header, wr_err *err);
int wr_oip_read_raw(wr_oip_asked *out, wr_oip_call *c, wr_err *err); /* raw.c */
static inline wr_oip_asked wr_oip_asked_by(const wr_oip_call *c)
{
    return (wr_oip_asked){.q.explain = c->explain, .q.start_ns = c->in->start_ns};
}
/* Nulls of a lenient input, as ops.h says. */
int wr_oip_fill_missing(wr_tensor *t, const uint8_t *missing, const wr_tensor_spec *spec, wr_arena *a, wr_err *err);

/* ---- a model is asked: infer.c ---- */

/* In the arena; `put` writes the answer when it is there: at once, or when the run is over that the request shares with others. */
typedef struct wr_oip_inference {
    wr_oip_call *c;
    wr_oip_result result;
    int (*put)(struct wr_oip_inference *f);
} wr_oip_inference;
/* Asks c->m. `q` may be gone then, but not what it points to. An error is the caller's to answer. */
int wr_oip_ask_model(wr_oip_inference *f, wr_oip_infer *q);

/* ---- handlers ---- */

void wr_oip_infer_v2(wr_oip_call *c);                         /* infer.c; with c->m */
/* A member with the ids of what was kept, if anything was. */
void wr_oip_put_ids(wr_oip_call *c, const wr_oip_result *r);
/* Members that say what contributions are: features, base_values (one for each margin) and margins (lists of them, one a row). */
void wr_oip_put_explained(wr_oip_call *c, const wr_tensor *contributions);
/* Of an answer to an explanation: the tensor, or NULL; and the members of V1 and the scoring server for it. */
const wr_tensor *wr_oip_contributions(const wr_oip_call *c, const wr_oip_result *r);
void wr_oip_put_explanations(wr_oip_call *c, const wr_tensor *contributions);
/* WEIR_EUNSUPPORTED when an explanation is asked for and c->m has none. */
int wr_oip_may_explain(const wr_oip_call *c, wr_err *err);
int wr_oip_answer(wr_oip_call *c, const wr_oip_asked *asked, wr_oip_result *r, wr_err *err); /* answer.c */
void wr_oip_models(wr_oip_call *c, wr_str rest);              /* models.c: /v2/models/... */
void wr_oip_all_stats(wr_oip_call *c);
void wr_oip_repository(wr_oip_call *c, wr_str rest);          /* repository.c: /v2/repository/... */
void wr_oip_logging(wr_oip_call *c);                          /* levels.c */
void wr_oip_trace(wr_oip_call *c);
void wr_oip_system_memory(wr_oip_call *c, wr_str rest);       /* regions.c: behind "/v2/systemsharedmemory/" */
void wr_oip_cuda_memory(wr_oip_call *c, wr_str rest);
void wr_oip_v1(wr_oip_call *c, wr_str rest);                  /* v1.c: behind "/v1/models" */
void wr_oip_invocations(wr_oip_call *c);                      /* scoring.c; c->model {NULL, 0}: the only one */
void wr_oip_ping(wr_oip_call *c);
