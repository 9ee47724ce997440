/* SPDX-License-Identifier: Apache-2.0 */
/* routes_optuna.c - Optuna's storage between gRPC and track/study.h. Look-ups by key are answered on the loop, what may
 * be many rows on a reader thread, changes inside a write of the database and after its commit. With a database that is
 * a network away nothing waits on the loop. */
#include "base/clock.h"
#include "base/limits.h"
#include "io/http_grpc.h"
#include "server/server_inside.h"
#include "wire/optuna/optuna.h"

/* A call on its way through other threads; in the request's arena until it is answered. */
typedef struct {
    wr_track_job write;
    wr_optuna_call call;
    wr_buf out;
    wr_server_loop *loop;
    wr_http_req *req;
    int64_t start;
} job;

static int http_status(int rc) { return rc == 0 ? 200 : wr_err_http(rc); }

/* The request, and with it the job, is gone afterwards. */
static void finish(job *j, int rc, const wr_err *err)
{
    wr_buf out = j->out;
    wr_server_count(j->loop, WR_KIND_TRACK, http_status(rc), wr_clock_mono_ns() - j->start);
    if (rc == 0) wr_grpc_reply(j->req, false, &out);
    else wr_grpc_fail(j->req, wr_optuna_status(rc), err->msg);
    wr_buf_fini(&out);
}

static int run(wr_optuna_call *c, wr_err *err)
{
    wr_buf_clear(c->out); /* a write may be tried again */
    wr_grpc_begin(c->out);
    return wr_optuna_run(c, err);
}

static int in_write(wr_track *t, void *arg, wr_err *err)
{
    (void)t;
    return run(&((job *)arg)->call, err);
}

static void written(wr_track_job *w, int rc, const wr_err *err) { finish(w->arg, rc, err); }

static void query(void *ctx, size_t index)
{
    job *j = ctx;
    wr_err err = {0};
    (void)index;
    int rc = run(&j->call, &err);
    finish(j, rc, &err);
}

static void hand_over(wr_call *c, const wr_optuna_call *o)
{
    wr_err err = {0};
    job *j = wr_arena_calloc(c->arena, 1, sizeof *j);
    if (!j) {
        wr_grpc_fail(c->req, WR_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *j = (job){.call = *o, .loop = c->loop, .req = c->req, .start = wr_clock_mono_ns()};
    wr_buf_init(&j->out, 0);
    j->call.out = &j->out;
    wr_http_defer(c->req);
    c->deferred = true;
    int rc;
    if (o->mode == WR_OPTUNA_WRITE) {
        j->write = (wr_track_job){.fn = in_write, .done = written, .arg = j};
        rc = wr_track_write_async(o->track, &j->write, &err);
    } else {
        rc = wr_pool_post(c->server->readers, query, j, 0);
        if (rc < 0) wr_err_nomem(&err);
    }
    if (rc < 0) finish(j, rc, &err);
}

void wr_handle_optuna(wr_call *c)
{
    wr_err err = {0};
    wr_str message, method = wr_str_sub(c->path, sizeof WR_OPTUNA_PATH - 1, c->path.n);
    if (!wr_grpc_is(c->req)) {
        wr_err_set(&err, WEIR_EUNSUPPORTED, "this path speaks gRPC");
        wr_err_hint(&err, WEIR_EUNSUPPORTED, "use optuna.storages.GrpcStorageProxy(host=..., port=...)");
        wr_call_err(c, &err);
        return;
    }
    wr_optuna_call o = {.track = c->server->track, .arena = c->arena, .out = &c->loop->body};
    int rc = wr_grpc_unpacked(&message, c->req, WR_LIMIT_HTTP_BODY_INFER, &err);
    if (rc == 0) rc = wr_optuna_begin(&o, method, message, &err);
    bool far = rc == 0 && wr_db_is_shared(wr_track_db(o.track));
    if (rc == 0 && (o.mode != WR_OPTUNA_READ || far)) {
        hand_over(c, &o);
        return;
    }
    if (rc == 0) rc = run(&o, &err);
    c->status = http_status(rc);
    if (rc == 0) wr_grpc_reply(c->req, false, o.out);
    else wr_grpc_fail(c->req, wr_optuna_status(rc), err.msg);
}
