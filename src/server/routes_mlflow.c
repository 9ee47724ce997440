/* SPDX-License-Identifier: Apache-2.0 */
/* routes_mlflow.c - MLflow's protocol between HTTP and track/. Where a procedure runs is its mode's matter
 * (wire/mlflow/mlflow.h):
 *
 *   READ, APPEND   here, on the loop; what was appended is committed once by the round (server.c)
 *   QUERY          on a reader thread
 *   WRITE          inside a write of the database, answered after its commit
 *
 * With a database that is a network away (PostgreSQL) nothing waits on the loop: READ goes to a reader thread too. */
#include "base/clock.h"
#include "server/server_inside.h"
#include "wire/mlflow/mlflow.h"

/* A request on its way through other threads; in the request's arena until it is finished. */
typedef struct {
    wr_track_job write;
    wr_mlflow_call call;
    wr_buf out;
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    int64_t start;
    wr_auth_who *who;
} job;

static wr_http_reply_opt reply_opt(const wr_mlflow_call *m)
{
    return (wr_http_reply_opt){.status = m->status, .type = m->type, .headers = m->headers};
}

static void send_content(job *j)
{
    wr_server_loop *l = j->loop;
    int64_t start = j->start;
    if (j->who) wr_auth_done(j->who);
    wr_buf_fini(&j->out);
    int status = wr_server_send_content(j->server, j->req, &j->call);
    wr_server_count(l, WR_KIND_TRACK, status, wr_clock_mono_ns() - start);
}

/* The job's memory goes with the request: nothing of it is touched afterwards. */
static void finish(job *j, int rc, const wr_err *err)
{
    wr_buf out;
    wr_mlflow_end(&j->call, rc, err);
    wr_http_reply_opt opt = reply_opt(&j->call);
    if (j->call.content) {
        send_content(j);
        return;
    }
    wr_server_count(j->loop, WR_KIND_TRACK, opt.status, wr_clock_mono_ns() - j->start);
    out = j->out;
    if (j->call.rpc->mode == WR_MLFLOW_WRITE) wr_auth_touch(j->server->auth); /* users or grants may have changed */
    if (j->who) wr_auth_done(j->who);
    wr_http_finish(j->req, &opt, wr_buf_view(&out));
    wr_buf_fini(&out);
}

/* What the change was made to, for the audit log. */
static wr_str subject_of(const wr_mlflow_call *c)
{
    static const char *const names[] = {"run_id", "experiment_id", "username", "name", "trace_id"};
    if (c->segment[0].p) return c->segment[0];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (wr_mlflow_str(c, names[i]).n) return wr_str_fit(wr_mlflow_str(c, names[i]), 200);
    return WR_STR("");
}

static int in_write(wr_track *t, void *arg, wr_err *err)
{
    job *j = arg;
    WR_TRY(wr_mlflow_handle(&j->call, err));
    if (!j->who || j->call.rpc->mode != WR_MLFLOW_WRITE) return 0;
    return wr_audit_add(t, j->who->access.user->name, wr_str_of(j->call.rpc->path), subject_of(&j->call),
                        wr_str_of(wr_http_req_peer(j->req)), 200, err);
}

static void written(wr_track_job *w, int rc, const wr_err *err) { finish(w->arg, rc, err); }

static void start_write(job *j)
{
    wr_err err = {0};
    j->write = (wr_track_job){.fn = in_write, .done = written, .arg = j};
    int rc = wr_track_write_async(j->call.track, &j->write, &err);
    if (rc < 0) finish(j, rc, &err);
}

static void query(void *ctx, size_t index)
{
    job *j = ctx;
    wr_err err = {0};
    (void)index;
    int rc = wr_mlflow_handle(&j->call, &err);
    if (rc == WR_MLFLOW_IN_WRITE) start_write(j);
    else finish(j, rc, &err);
}

static void no_memory(wr_call *c)
{
    wr_err err = {0};
    wr_err_nomem(&err);
    wr_call_err(c, &err);
}

/* From here on the request belongs to another thread. */
static void hand_over(wr_call *c, const wr_mlflow_call *m, bool write)
{
    job *j = wr_arena_calloc(c->arena, 1, sizeof *j);
    if (!j) {
        no_memory(c);
        return;
    }
    j->call = *m;
    wr_buf_init(&j->out, 0);
    j->call.out = &j->out;
    j->server = c->server;
    j->loop = c->loop;
    j->req = c->req;
    j->start = wr_clock_mono_ns();
    j->who = c->who;
    c->who = NULL;
    wr_http_defer(c->req);
    c->deferred = true;
    if (write) {
        start_write(j);
        return;
    }
    wr_err err = {0};
    if (wr_pool_post(c->server->readers, query, j, 0) < 0) finish(j, wr_err_nomem(&err), &err);
}

static void answer(wr_call *c, wr_mlflow_call *m, bool durable)
{
    wr_http_reply_opt opt = reply_opt(m);
    opt.durable = durable;
    opt.unkept =
        "{\"error_code\":\"TEMPORARILY_UNAVAILABLE\",\"message\":\"what was sent could not be kept; the log of "
        "the server says why (hint: is its disk full? try again when there is room)\"}";
    wr_http_reply(c->req, &opt, wr_buf_view(m->out));
    c->status = m->status;
}

/* How the client names us, for links: it reached us so. A proxy in front that speaks TLS says so. */
static const char *base_of(wr_call *c, const wr_http_head *h)
{
    bool tls = wr_http_req_encrypted(c->req) || wr_str_ieq(wr_http_get(h, "x-forwarded-proto"), "https");
    return wr_arena_printf(c->arena, "%s://%.*s", tls ? "https" : "http", WR_STR_FMT(wr_http_get(h, "host")));
}

void wr_handle_mlflow(wr_call *c)
{
    const wr_http_head *h = wr_http_req_head(c->req);
    wr_err err = {0};
    wr_mlflow_call m = {.track = c->server->track, .arena = c->arena, .out = &c->loop->body};
    m.artifacts = c->server->artifacts;
    m.signer = &c->server->signer;
    if (memmem(h->path.p, h->path.n, "/mlflow-artifacts/", 18)) m.base = base_of(c, h);
    if (c->who) {
        m.access = &c->who->access;
        m.user = c->who->access.user->name.p;
    }
    wr_mlflow_request in = {.method = h->method,
                            .path = h->path,
                            .query = h->query,
                            .type = wr_http_get(h, "content-type"),
                            .body = c->body};
    if (wr_mlflow_begin(&m, &in) < 0) {
        answer(c, &m, false);
        return;
    }
    wr_mlflow_mode mode = m.rpc->mode;
    if (mode == WR_MLFLOW_READ && wr_db_is_shared(wr_track_db(m.track))) mode = WR_MLFLOW_QUERY;
    if (mode == WR_MLFLOW_WRITE || mode == WR_MLFLOW_QUERY) {
        hand_over(c, &m, mode == WR_MLFLOW_WRITE);
        return;
    }
    int rc = wr_mlflow_handle(&m, &err);
    if (rc == WR_MLFLOW_IN_WRITE) {
        hand_over(c, &m, true);
        return;
    }
    wr_mlflow_end(&m, rc, &err);
    answer(c, &m, mode == WR_MLFLOW_APPEND);
}

/* ---- what clients ask before anything else ---- */

static void say(wr_call *c, const char *type, const char *text)
{
    wr_http_reply_opt opt = {.status = 200, .type = type};
    wr_http_reply(c->req, &opt, wr_str_of(text));
    c->status = 200;
}

static void plain(wr_call *c, const char *text) { say(c, "text/plain; charset=utf-8", text); }

void wr_handle_health(wr_call *c) { plain(c, "OK"); }

/* A number of the 3.x line: clients choose their endpoints by it. */
void wr_handle_version(wr_call *c) { plain(c, WR_MLFLOW_VERSION); }

/* What MLflow 3 could have and this server has not. */
void wr_handle_server_info(wr_call *c)
{
    say(c, "application/json",
        "{\"store_type\": \"SqlStore\", \"workspaces_enabled\": false, \"trace_archival_enabled\": false, "
        "\"features_enabled\": {\"gateway\": false}}");
}
