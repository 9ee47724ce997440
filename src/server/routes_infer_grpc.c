/* SPDX-License-Identifier: Apache-2.0 */
/* routes_infer_grpc.c - the protocol of serving over gRPC. What is answered where, and who may what, is as over REST
 * (routes_infer.c). */
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "io/http_grpc.h"
#include "server/server_inside.h"
#include "wire/oip/grpc.h"

/* A call off the loop. */
typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_auth_who *who; /* to be given back; NULL = nobody was asked */
    wr_str path, message;
    wr_str control; /* of loads, unloads and settings: the model, or "*"; else empty */
    int64_t start, deadline;
    bool admitted; /* among the large ones */
} job;

/* A call while it is answered. */
typedef struct {
    job j;
    wr_asker from;
    wr_oip_ops ops;
    wr_oip_grpc_request in;
    wr_oip_grpc_response out;
} answering;

/* later: {0}, or who will be told when the answer waits for others. */
static void run(answering *x, wr_buf *body, wr_oip_later later)
{
    const job *j = &x->j;
    x->from.head = wr_http_req_head(j->req); /* metadata are headers: rollouts may stick to one */
    x->from.all_versions = wr_str_ends(j->path, "/ModelMetadata");
    x->ops = wr_asker_ops(&x->from);
    x->in = (wr_oip_grpc_request){
        .path = j->path, .message = j->message, .start_ns = j->start, .deadline_ns = j->deadline, .later = later};
    x->out.body = body;
    wr_grpc_begin(body);
    wr_oip_grpc(&x->out, j->server->oip, &x->in, &x->ops, wr_http_req_arena(j->req));
}

/* ---- off the loop ---- */

/* The request is gone afterwards; its body with it. */
static void finish(job *j, wr_grpc_status status, const char *text, wr_buf *body)
{
    if (j->admitted) wr_infer_done(j->server);
    wr_server_count(j->loop, WR_KIND_INFER, wr_grpc_http(status), wr_clock_mono_ns() - j->start);
    if (j->who) wr_auth_done(j->who);
    if (status) wr_grpc_fail(j->req, status, text);
    else wr_grpc_reply(j->req, false, body);
    wr_free(j);
}

static void run_job(void *ctx, size_t index)
{
    job *j = ctx;
    answering x = {.j = *j,
                   .from = {.server = j->server,
                            .round = wr_round_new(j->server->serve),
                            .access = j->who ? &j->who->access : NULL}};
    WR_AUTOBUF wr_buf body = {0};
    wr_err err = {0};
    (void)index;
    if (!x.from.round) {
        finish(j, WR_GRPC_RESOURCE_EXHAUSTED, "out of memory", NULL);
        return;
    }
    run(&x, &body, (wr_oip_later){0});
    if (x.out.status == WR_GRPC_OK) wr_asker_audit(j->server, j->who, j->req, j->path, j->control);
    int rc = wr_serve_round_end(x.from.round, &err);
    wr_round_free(x.from.round);
    if (rc < 0) finish(j, WR_GRPC_UNAVAILABLE, "the predictions could not be kept", NULL);
    else finish(j, x.out.status, x.out.text, &body);
}

static bool within(wr_str body, wr_str message) { return message.p >= body.p && message.p <= body.p + body.n; }

static bool hand_over(wr_call *c, const job *j, wr_pool *pool)
{
    job *own = wr_alloc(sizeof *own);
    wr_err err;
    if (!own) return false;
    *own = *j;
    own->path = wr_arena_str(c->arena, j->path); /* what the head and the body say now is gone afterwards */
    own->control = wr_arena_str(c->arena, j->control);
    if (!own->path.p || !own->control.p) {
        wr_free(own);
        return false;
    }
    bool sent = within(wr_http_req_body(c->req), j->message); /* else it was unpacked, and stays */
    wr_call_defer(c);
    own->who = c->who;
    c->who = NULL;
    if ((sent && wr_grpc_message(&own->message, wr_http_req_body(c->req), &err) < 0) ||
        wr_pool_post(pool, run_job, own, 0) < 0)
        finish(own, WR_GRPC_RESOURCE_EXHAUSTED, "out of memory", NULL);
    return true;
}

/* ---- on the loop ---- */

static void fail(wr_call *c, const wr_err *e)
{
    wr_grpc_fail_err(c->req, e);
    c->status = wr_err_http(e->code);
}

static void reply(wr_http_req *r, const wr_oip_grpc_response *out)
{
    if (out->status) wr_grpc_fail(r, out->status, out->text);
    else wr_grpc_reply(r, out->kept, out->body);
}

static void begin(void *arg)
{
    wr_buf *body = &((answering *)arg)->j.loop->body;
    wr_buf_clear(body);
    wr_grpc_begin(body);
}

static void done(void *arg)
{
    answering *x = arg;
    job *j = &x->j;
    wr_server_count(j->loop, WR_KIND_INFER, wr_grpc_http(x->out.status), wr_clock_mono_ns() - j->start);
    if (j->who) wr_auth_done(j->who);
    reply(j->req, &x->out); /* `x` is gone now */
}

static void answer(wr_call *c, const job *j)
{
    answering *x = wr_arena_alloc(c->arena, sizeof *x);
    if (!x) {
        wr_err e = {0};
        wr_err_nomem(&e);
        fail(c, &e);
        return;
    }
    x->j = *j;
    x->from = (wr_asker){.server = c->server,
                         .round = c->loop->round,
                         .batch = c->loop->batch,
                         .access = c->who ? &c->who->access : NULL};
    run(x, &c->loop->body, (wr_oip_later){begin, done, x});
    if (x->out.waits) {
        x->j.who = c->who;
        wr_call_hold(c);
        return;
    }
    int status = wr_grpc_http(x->out.status);
    reply(c->req, &x->out);
    c->status = status;
}

void wr_handle_infer_grpc(wr_call *c)
{
    wr_str name;
    wr_err err;
    job j = {.server = c->server, .loop = c->loop, .req = c->req, .path = c->path, .start = c->start};
    wr_err_clear(&err);
    if (!wr_grpc_is(c->req)) {
        wr_err_set(&err, WEIR_EUNSUPPORTED, "this path speaks gRPC");
        wr_err_hint(&err, WEIR_EUNSUPPORTED, "over HTTP/2, with content type application/grpc; JSON is at /v2");
        wr_call_err(c, &err);
        return;
    }
    int64_t left = wr_grpc_timeout_ns(c->req);
    if (left) j.deadline = j.start + left;
    bool control = false;
    int rc = wr_grpc_unpacked(&j.message, c->req, c->server->body_max, &err);
    if (rc == 0) control = wr_oip_grpc_controls(&name, j.path, j.message);
    if (control) j.control = name;
    if (control) rc = wr_asker_may(c->who ? &c->who->access : NULL, name, WR_CAN_MANAGE, &err);
    if (rc < 0) {
        fail(c, &err);
        return;
    }
    bool predicts = wr_str_ends(j.path, "/ModelInfer"), large = j.message.n > WR_INFER_ON_LOOP_MAX;
    if (predicts && !wr_infer_admit(c, large)) {
        wr_str version;
        wr_oip_grpc_asked_model(&name, &version, j.message);
        wr_infer_refused(c->server, name, version);
        wr_err_set(&err, WEIR_EUNAVAILABLE, "%s", wr_infer_queue_full);
        fail(c, &err);
        return;
    }
    j.admitted = predicts && large;
    if (control && hand_over(c, &j, c->server->loader)) return;
    if (large && hand_over(c, &j, c->server->heavy)) return;
    if (j.admitted) wr_infer_done(c->server);
    answer(c, &j);
}
