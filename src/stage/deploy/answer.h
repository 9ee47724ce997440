/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - a request to an endpoint, answered: by the arm that its rollout picks, by the package or the model that was found, alone or together
 * with others; then kept and told as the endpoint says. */
#pragma once
#include "predict/batch.h"
#include "stage/deploy/serve.h"

typedef struct {
    wr_str id;                      /* of the request, "" = none */
    bool pinned;                    /* a version was asked for: no rollout */
    /* A header, or a parameter of the request, as text; {NULL, 0} when it is not there. NULL = there are none. */
    wr_str (*lookup)(void *ctx, bool header, const char *name);
    void *ctx;
    /* NULL: answered at once. Else a model without a view may share its run with others that wait there. */
    wr_batch *batch;
    wr_batch_done done;
    void *arg;
} wr_serve_asked;
typedef struct {
    wr_tensor *out;
    size_t nout;
    wr_str version;                 /* that answered, when it is another than the one held; {NULL, 0} */
    const wr_str *ids;              /* one a row; nids 0 = none */
    size_t nids;
    bool kept;                      /* the log waits for the round's end */
    wr_served *package;             /* whose texts are in there, when it is another than the one held: */
    wr_instance *model;             /* wr_serve_reply_end() gives it back */
} wr_serve_reply;
/* Answers a request to what wr_serve_find gave (one of both), with the arm that its rollout picks (stage/rollout/run.h). Explanations are no part of a
 * rollout: what was found explains, and nothing is kept. 1: it waits in asked->batch, and `done` is called when it is answered; reply, error and
 * what tensors and texts point to last until then. After a success wr_serve_reply_end() has to follow, when the reply was read. */
int wr_serve_answer_to(wr_serve_reply *out, wr_round *r, wr_served *package, wr_instance *model, const wr_infer_request *q,
                       const wr_serve_asked *asked, wr_arena *a, wr_err *err);
void wr_serve_reply_end(wr_serve_reply *r);
