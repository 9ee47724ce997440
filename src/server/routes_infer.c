/* SPDX-License-Identifier: Apache-2.0 */
/* routes_infer.c - the Open Inference Protocol between HTTP and the endpoints. Large requests go to the worker. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/server_inside.h"
#include "wire/oip/oip.h"

enum { ON_LOOP_MAX = 64 << 10 }; /* bytes of a body */

typedef struct {
    wr_server *server;
    wr_round *round;
} source;

static bool ready(void *ctx) { return wr_serve_ready(((source *)ctx)->server->serve); }

static int model(void *ctx, wr_oip_model *out, wr_str name, wr_arena *a, wr_err *err)
{
    wr_served *m;
    WR_TRY(wr_serve_take(&m, ((source *)ctx)->server->serve, name, err));
    char *version = wr_arena_alloc(a, 24);
    if (!version) {
        wr_serve_give(m);
        return wr_err_nomem(err);
    }
    int n = m->version ? snprintf(version, 24, "%lld", (long long)m->version) : 0;
    *out = (wr_oip_model){.name = wr_str_of(m->endpoint),
                          .version = {version, (size_t)n},
                          .ninputs = m->view->nrequest,
                          .inputs = m->view->request,
                          .types = m->view->request_type,
                          .threshold = m->threshold,
                          .handle = m};
    return 0;
}

static void release(void *ctx, wr_oip_model *m)
{
    (void)ctx;
    wr_serve_give(m->handle);
}

static int predict(void *ctx, const wr_oip_model *m, const wr_cell *cells, size_t n, double *scores, wr_str *ids,
                   wr_arena *a, wr_err *err)
{
    source *s = ctx;
    for (size_t i = 0; i < n; i++) {
        if (!ids[i].p) {
            char *id = wr_arena_alloc(a, WR_SERVE_ID);
            if (!id) return wr_err_nomem(err);
            ids[i] = (wr_str){id, wr_serve_id(s->server->serve, id)};
        }
        int rc = wr_serve_predict(&scores[i], s->round, m->handle, cells + i * m->ninputs, ids[i], err);
        if (rc < 0) return n > 1 ? wr_err_wrap(err, rc, "row %zu", i) : rc;
    }
    return 0;
}

static void answer(wr_oip_response *out, source *s, wr_http_req *r, wr_str sent, wr_buf *body)
{
    const wr_http_head *h = wr_http_req_head(r);
    wr_oip_ops ops = {.ctx = s,
                      .server_version = WEIR_VERSION,
                      .ready = ready,
                      .model = model,
                      .release = release,
                      .predict = predict};
    wr_oip_request in = {.method = h->method,
                         .path = h->path,
                         .body = sent,
                         .binary = wr_http_get(h, "inference-header-content-length").p != NULL};
    out->body = body;
    wr_oip_handle(out, &in, &ops, wr_http_req_arena(r));
}

/* ---- on the worker ---- */

typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_str body; /* of the request, or in its arena */
    int64_t start;
} big;

static void finish(big *b, int status, wr_str body)
{
    wr_http_reply_opt opt = {.status = status};
    wr_server_count(b->loop, WR_KIND_INFER, status, wr_clock_mono_ns() - b->start);
    wr_http_finish(b->req, &opt, body);
}

static void big_task(void *ctx, size_t index)
{
    big *b = ctx;
    source s = {b->server, wr_round_new(b->server->serve)};
    wr_oip_response out = {0};
    WR_AUTOBUF wr_buf body;
    (void)index;
    wr_buf_init(&body, 0);
    if (s.round) answer(&out, &s, b->req, b->body, &body);
    else out.status = 500;
    wr_err err = {0};
    int rc = s.round ? wr_serve_round_end(s.round, &err) : 0;
    if (rc < 0) finish(b, 503, WR_STR("{\"error\":\"the predictions could not be kept\"}"));
    else finish(b, out.status, wr_buf_view(&body));
    wr_round_free(s.round);
    wr_free(b);
}

static bool hand_over(wr_call *c)
{
    big *b = wr_alloc(sizeof *b);
    if (!b) return false;
    wr_call_defer(c);
    *b = (big){c->server, c->loop, c->req, c->body, wr_clock_mono_ns()};
    if (wr_pool_post(c->server->worker, big_task, b, 0) == 0) return true;
    finish(b, 503, WR_STR("{\"error\":\"out of memory\"}"));
    wr_free(b);
    return true;
}

void wr_handle_infer(wr_call *c)
{
    source s = {c->server, c->loop->round};
    wr_oip_response out;
    if (c->body.n > ON_LOOP_MAX && hand_over(c)) return;
    answer(&out, &s, c->req, c->body, &c->loop->body);
    wr_http_reply_opt opt = {.status = out.status, .durable = out.predicted};
    wr_http_reply(c->req, &opt, wr_buf_view(&c->loop->body));
    c->status = out.status;
}
