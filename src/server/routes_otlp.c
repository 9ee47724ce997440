/* SPDX-License-Identifier: Apache-2.0 */
/* routes_otlp.c - POST /v1/traces: a reader thread reads the spans, the writer keeps them, and the answer follows the
 * commit. */
#include "base/clock.h"
#include "server/server_inside.h"
#include "wire/mlflow/otlp.h"

/* In the request's arena until it is finished. */
typedef struct {
    wr_track_job write;
    wr_otlp_call call;
    wr_buf out;
    wr_auth_who *who;
    wr_server_loop *loop;
    wr_http_req *req;
    int64_t start;
} job;

static void finish(job *j)
{
    wr_http_reply_opt opt = {.status = j->call.status, .type = j->call.answer_type};
    wr_buf out = j->out;
    wr_server_count(j->loop, WR_KIND_TRACK, opt.status, wr_clock_mono_ns() - j->start);
    if (j->who) wr_auth_done(j->who);
    wr_http_finish(j->req, &opt, wr_buf_view(&out)); /* the job goes with it */
    wr_buf_fini(&out);
}

static int store(wr_track *t, void *arg, wr_err *err)
{
    (void)t;
    return wr_otlp_store(&((job *)arg)->call, err);
}

static void stored(wr_track_job *w, int rc, const wr_err *err)
{
    job *j = w->arg;
    wr_otlp_end(&j->call, rc, err);
    finish(j);
}

static void read_spans(void *ctx, size_t index)
{
    job *j = ctx;
    wr_err err = {0};
    (void)index;
    if (wr_otlp_begin(&j->call) == 0) {
        j->write = (wr_track_job){.fn = store, .done = stored, .arg = j};
        int rc = wr_track_write_async(j->call.track, &j->write, &err);
        if (rc == 0) return;
        wr_otlp_end(&j->call, rc, &err);
    }
    finish(j);
}

void wr_handle_otlp(wr_call *c)
{
    wr_err err = {0};
    job *j = wr_arena_calloc(c->arena, 1, sizeof *j);
    if (!j) {
        wr_err_nomem(&err);
        wr_call_err(c, &err);
        return;
    }
    wr_call_defer(c);
    const wr_http_head *h = wr_http_req_head(c->req);
    wr_buf_init(&j->out, 0);
    j->loop = c->loop;
    j->req = c->req;
    j->start = wr_clock_mono_ns();
    j->who = c->who;
    c->who = NULL;
    j->call = (wr_otlp_call){.track = c->server->track,
                             .arena = c->arena,
                             .type = wr_http_get(h, "content-type"),
                             .experiment = wr_http_get(h, "x-mlflow-experiment-id"),
                             .run = wr_http_get(h, "x-mlflow-run-id"),
                             .body = c->body,
                             .access = j->who ? &j->who->access : NULL,
                             .out = &j->out};
    if (wr_pool_post(c->server->readers, read_spans, j, 0) == 0) return;
    wr_err_nomem(&err);
    wr_otlp_end(&j->call, WEIR_ENOMEM, &err);
    finish(j);
}
