/* SPDX-License-Identifier: Apache-2.0 */
/* routes_infer.c - the protocols of serving between HTTP and the models: endpoints first, then those of the repository.
 *
 * Most requests are answered on the loop. Large bodies go to threads of their own, loads and unloads to another one, so
 * that neither waits for the other and no loop waits at all. With authentication: who is known may ask what there is
 * and predict, unless a grant on the endpoint says less than USE (or nothing is granted by default); loading, unloading
 * and settings take MANAGE on the endpoint ("*" for settings), which administrators have. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/server_inside.h"
#include "stage/deploy/answer.h"
#include "stage/deploy/features.h"

typedef wr_asker source;

/* What a request holds on to. */
typedef struct {
    wr_served *package; /* or */
    wr_instance *model;
    bool pinned;           /* a version was asked for */
    wr_serve_reply *reply; /* that is read; NULL = none is */
} held;

/* ---- who may ---- */

static int allowed(const wr_mlflow_access *access, wr_str name, wr_permission needs, wr_err *err)
{
    if (!access) return 0;
    wr_permission otherwise =
        access->otherwise > WR_NO_PERMISSIONS && needs < WR_CAN_EDIT ? WR_CAN_USE : WR_NO_PERMISSIONS;
    if (access->user->admin || wr_users_check(access->user, WR_STR("endpoint"), name, otherwise) >= needs) return 0;
    wr_err_set(err, WEIR_EACCESS, "user '%.*s' may not do this with '%.*s'", WR_STR_FMT(access->user->name),
               WR_STR_FMT(wr_str_fit(name, 100)));
    return wr_err_hint(err, WEIR_EACCESS, "weir user grant USER endpoint NAME %s", wr_permission_name(needs));
}

int wr_asker_may(const wr_mlflow_access *access, wr_str name, wr_permission needs, wr_err *err)
{
    return allowed(access, name, needs, err);
}

/* ---- what there is ---- */

static bool ready(void *ctx) { return wr_serve_ready(((source *)ctx)->server->serve); }

static int package_model(wr_oip_model *out, const wr_served *m, wr_arena *a, wr_err *err)
{
    char *version = wr_arena_alloc(a, 24);
    if (!version) return wr_err_nomem(err);
    int n = m->version ? snprintf(version, 24, "%lld", (long long)m->version) : 0;
    out->name = wr_str_of(m->endpoint);
    out->version = (wr_str){version, (size_t)n};
    out->platform = "weir";
    out->in = m->in;
    out->nin = m->nin;
    out->out = m->out;
    out->nout = m->nout;
    out->rows = true;
    out->explains = true;
    out->explained = m->explained;
    out->nexplained = m->nexplained;
    return 0;
}

static int plain_model(wr_oip_model *out, source *s, const wr_instance *m, wr_arena *a, wr_err *err)
{
    wr_str *versions;
    out->name = wr_str_of(m->name);
    out->version = wr_str_of(m->version);
    out->platform = m->platform;
    out->in = m->in;
    out->nin = m->nin;
    out->out = m->out;
    out->nout = m->nout;
    out->rows = m->rows;
    out->generation = m->generation;
    out->explains = m->predictor->ops->explain != NULL;
    out->no_explain = m->predictor->no_explain;
    out->explained = out->features = m->predictor->features;
    out->nexplained = m->predictor->features ? m->predictor->nfeatures : 0;
    out->nfeatures = m->predictor->nfeatures;
    if (wr_serve_feature_specs(&out->in, &out->nin, s->server->serve, m->name))
        out->features = NULL, out->nfeatures = 0, out->generation = 0;
    if (!s->all_versions) return 0;
    int rc =
        wr_repository_versions(&versions, &out->nversions, wr_serve_repository(s->server->serve), out->name, a, err);
    if (rc == 0) out->versions = versions;
    return rc;
}

static void give(held *h)
{
    if (h->reply) wr_serve_reply_end(h->reply);
    if (h->package) wr_serve_give(h->package);
    if (h->model) wr_instance_give(h->model);
}

static int model(void *ctx, wr_oip_model *out, wr_str name, wr_str version, wr_arena *a, wr_err *err)
{
    source *s = ctx;
    held *h = wr_arena_alloc(a, sizeof *h);
    *out = (wr_oip_model){.handle = h};
    if (!h) return wr_err_nomem(err);
    h->pinned = version.n > 0;
    h->reply = NULL;
    WR_TRY(wr_serve_find(&h->package, &h->model, s->server->serve, name, version, err));
    int rc = h->package ? package_model(out, h->package, a, err) : plain_model(out, s, h->model, a, err);
    if (rc < 0) give(h);
    return rc;
}

static void release(void *ctx, wr_oip_model *m)
{
    (void)ctx;
    give(m->handle);
}

/* ---- predicting ---- */

typedef struct {
    const source *from;
    const wr_oip_infer *q;
    wr_arena *a;
} asked_of;

/* A header, or a parameter as text: for rollouts that stick to one. */
static wr_str look_up(void *ctx, bool header, const char *name)
{
    const asked_of *k = ctx;
    if (header) return k->from->head ? wr_http_get(k->from->head, name) : (wr_str){NULL, 0};
    for (size_t i = 0; i < k->q->nparams; i++) {
        const wr_oip_param *p = &k->q->params[i];
        if (!wr_str_is(p->name, name)) continue;
        if (p->kind == WR_OIP_STR) return p->str;
        return wr_str_of(p->kind == WR_OIP_I64   ? wr_arena_printf(k->a, "%lld", (long long)p->i64)
                         : p->kind == WR_OIP_F64 ? wr_arena_printf(k->a, "%.17g", p->f64)
                         : p->b                  ? "true"
                                                 : "false");
    }
    return (wr_str){NULL, 0};
}

static void tell(wr_oip_result *out, held *h, wr_serve_reply *reply)
{
    h->reply = reply;
    *out = (wr_oip_result){.out = reply->out,
                           .nout = reply->nout,
                           .version = reply->version,
                           .ids = reply->ids,
                           .nids = reply->nids,
                           .kept = reply->kept};
}

/* One that waits. */
typedef struct {
    wr_serve_reply reply;
    held *h;
    wr_oip_result *out;
    void (*done)(void *arg, int rc);
    void *arg;
} waiting;

static void waited(void *arg, int rc)
{
    waiting *w = arg;
    if (rc == 0) tell(w->out, w->h, &w->reply);
    w->done(w->arg, rc);
}

static int infer(void *ctx, wr_oip_result *out, const wr_oip_model *m, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    source *s = ctx;
    held *h = m->handle;
    WR_TRY(allowed(s->access, m->name, WR_CAN_USE, err));
    if (q->timeout_us && q->start_ns && wr_clock_mono_ns() - q->start_ns > (int64_t)q->timeout_us * 1000)
        return wr_err_set(err, WEIR_ETIMEOUT, "Request timeout expired");
    wr_infer_request r = {.in = q->in,
                          .nin = q->nin,
                          .outputs = q->outputs,
                          .noutputs = q->noutputs,
                          .start_ns = q->start_ns,
                          .timeout_us = q->timeout_us > INT32_MAX ? INT32_MAX : (int64_t)q->timeout_us,
                          .explain = q->explain};
    waiting *w = wr_arena_alloc(a, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->h = h;
    w->out = out;
    w->done = q->done;
    w->arg = q->arg;
    asked_of k = {s, q, a};
    wr_serve_asked asked = {.id = q->id,
                            .pinned = h->pinned,
                            .lookup = look_up,
                            .ctx = &k,
                            .batch = q->done ? s->batch : NULL,
                            .done = waited,
                            .arg = w};
    int rc = wr_serve_answer_to(&w->reply, s->round, h->package, h->model, &r, &asked, a, err);
    if (rc == 0) tell(out, h, &w->reply);
    return rc;
}

/* ---- about models ---- */

static void put_tensor_config(wr_jsonw *w, const char *key, const wr_tensor_spec *specs, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        char type[32];
        snprintf(type, sizeof type, "TYPE_%s",
                 specs[i].type == WR_TENSOR_BYTES ? "STRING" : wr_tensor_type_name(specs[i].type));
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", specs[i].name);
        wr_jsonw_kstr(w, "data_type", type);
        wr_jsonw_key(w, "dims");
        wr_jsonw_arr(w);
        wr_jsonw_i64(w, 1);
        wr_jsonw_end(w);
        if (specs[i].optional) wr_jsonw_kbool(w, "optional", true);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

/* A package's: as far as clients read it. */
static void package_config(wr_jsonw *w, const wr_oip_model *m)
{
    wr_jsonw_kslice(w, "name", m->name);
    wr_jsonw_kstr(w, "platform", m->platform);
    wr_jsonw_kstr(w, "backend", "weir");
    wr_jsonw_ki64(w, "max_batch_size", WR_LIMIT_ROWS_INFER);
    put_tensor_config(w, "input", m->in, m->nin);
    put_tensor_config(w, "output", m->out, m->nout);
}

/* The model's own, but that requests bring what its features are made of. */
static int fed_config(wr_jsonw *w, const wr_oip_model *m, const char *own, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    size_t i, n;
    yyjson_val *key, *value;
    WR_TRY(wr_json_parse(&j, wr_str_of(own), "config", err));
    yyjson_obj_foreach(j.root, i, n, key, value)
    {
        if (yyjson_equals_str(key, "input")) {
            put_tensor_config(w, "input", m->in, m->nin);
            continue;
        }
        wr_jsonw_key(w, yyjson_get_str(key));
        wr_jsonw_val(w, value);
    }
    return 0;
}

static int config(void *ctx, wr_str *json, const wr_oip_model *m, wr_arena *a, wr_err *err)
{
    const held *h = m->handle;
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    (void)ctx;
    if (!h->package && m->in == h->model->in) {
        *json = h->model->config_json;
        return 0;
    }
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    if (h->package) package_config(&w, m);
    else WR_TRY(fed_config(&w, m, h->model->config_json.p, err));
    wr_jsonw_end(&w);
    *json = wr_arena_str(a, wr_buf_view(&b));
    return b.failed || !json->p ? wr_err_nomem(err) : 0;
}

static int models(void *ctx, wr_index_entry **out, size_t *n, wr_arena *a, wr_err *err)
{
    return wr_serve_index(out, n, ((source *)ctx)->server->serve, a, err);
}

static int stats(void *ctx, wr_stats_entry **out, size_t *n, wr_str name, wr_str version, wr_arena *a, wr_err *err)
{
    return wr_serve_stats(out, n, ((source *)ctx)->server->serve, name, version, a, err);
}

static int load(void *ctx, wr_str name, wr_str json, wr_err *err)
{
    return wr_repository_load(wr_serve_repository(((source *)ctx)->server->serve), name, json, err);
}

static int unload(void *ctx, wr_str name, wr_err *err)
{
    return wr_repository_unload(wr_serve_repository(((source *)ctx)->server->serve), name, err);
}

wr_oip_ops wr_asker_ops(wr_asker *s)
{
    return (wr_oip_ops){.ctx = s,
                        .ready = ready,
                        .model = model,
                        .release = release,
                        .infer = infer,
                        .config = config,
                        .index = models,
                        .stats = stats,
                        .load = s->server->loads ? load : NULL,
                        .unload = s->server->loads ? unload : NULL};
}

/* ---- a request ---- */

typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_auth_who *who; /* to be given back; NULL = nobody was asked */
    wr_str path, body;
    wr_str control; /* of loads, unloads and settings: the model, or "*"; else empty */
    int64_t start;
    bool admitted; /* among the large ones */
} job;

/* A request while it is answered. */
typedef struct {
    job j;
    source from;
    wr_oip_ops ops;
    wr_oip_request in;
    wr_oip_response out;
} answering;

/* later: {0}, or who will be told when the answer waits for others. alike: the loop's; NULL off the loop. */
static void answer(answering *x, wr_buf *body, wr_oip_later later, wr_oip_alike *alike)
{
    const job *j = &x->j;
    const wr_http_head *h = wr_http_req_head(j->req);
    x->ops = wr_asker_ops(&x->from);
    x->in = (wr_oip_request){.method = h->method,
                             .path = j->path,
                             .query = h->query,
                             .body = j->body,
                             .header_length = wr_http_get(h, "inference-header-content-length"),
                             .content_type = wr_http_get(h, "content-type"),
                             .accept_encoding = wr_http_get(h, "accept-encoding"),
                             .endpoint = wr_http_get(h, "x-weir-endpoint"),
                             .start_ns = j->start,
                             .later = later,
                             .alike = alike};
    x->from.head = h;
    x->from.all_versions = wr_str_is(h->method, "GET");
    x->out.body = body;
    wr_oip_rest(&x->out, j->server->oip, &x->in, &x->ops, wr_http_req_arena(j->req));
}

static wr_http_reply_opt reply_of(const wr_oip_response *out)
{
    const char *headers = out->status == 503 ? "Retry-After: 1\r\n" : out->headers;
    return (wr_http_reply_opt){.status = out->status,
                               .type = out->type,
                               .headers = headers[0] ? headers : NULL,
                               .durable = out->kept};
}

/* ---- off the loop ---- */

static void finish(job *j, const wr_http_reply_opt *opt, wr_str body)
{
    if (j->admitted) wr_infer_done(j->server);
    wr_server_count(j->loop, WR_KIND_INFER, opt->status, wr_clock_mono_ns() - j->start);
    if (j->who) wr_auth_done(j->who);
    wr_http_finish(j->req, opt, body);
    wr_free(j);
}

static void finish_error(job *j, int status, const char *json)
{
    wr_http_reply_opt opt = {.status = status};
    finish(j, &opt, wr_str_of(json));
}

typedef struct {
    const wr_auth_who *who;
    wr_http_req *req;
    wr_str path, subject;
} change;

static int audit_fn(wr_track *t, void *arg, wr_err *err)
{
    const change *c = arg;
    return wr_audit_add(t, c->who->access.user->name, c->path, c->subject, wr_str_of(wr_http_req_peer(c->req)), 200,
                        err);
}

void wr_asker_audit(wr_server *s, const wr_auth_who *who, wr_http_req *req, wr_str path, wr_str subject)
{
    wr_err err;
    change c = {who, req, path, subject};
    if (!who || !subject.n || wr_track_write(s->track, audit_fn, &c, &err) == 0) return;
    wr_warn("the audit log lacks %.*s: %s", WR_STR_FMT(path), err.msg);
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
        finish_error(j, 500, "{\"error\":\"out of memory\"}");
        return;
    }
    answer(&x, &body, (wr_oip_later){0}, NULL);
    if (x.out.status == 200 && wr_str_is(wr_http_req_head(j->req)->method, "POST"))
        wr_asker_audit(j->server, j->who, j->req, j->path, j->control);
    int rc = wr_serve_round_end(x.from.round, &err);
    wr_round_free(x.from.round);
    wr_http_reply_opt opt = reply_of(&x.out);
    opt.durable = false; /* it is kept by now */
    if (rc < 0) finish_error(j, 503, "{\"error\":\"the predictions could not be kept\"}");
    else finish(j, &opt, wr_buf_view(&body));
}

static bool hand_over(wr_call *c, const job *j, wr_pool *pool)
{
    job *own = wr_alloc(sizeof *own);
    if (!own) return false;
    *own = *j;
    bool sent = j->body.p == c->body.p;
    wr_call_defer(c);
    if (sent) own->body = c->body;
    own->who = c->who;
    c->who = NULL;
    if (wr_pool_post(pool, run_job, own, 0) < 0) finish_error(own, 503, "{\"error\":\"out of memory\"}");
    return true;
}

/* ---- on the loop ---- */

const char wr_infer_queue_full[] = "too many predictions wait";

bool wr_infer_admit(wr_call *c, bool large)
{
    wr_server *s = c->server;
    if (!large) return c->loop->infers++ < s->queue_max;
    if (atomic_fetch_add(&s->waiting, 1) < s->queue_max) return true;
    wr_infer_done(s);
    return false;
}

void wr_infer_refused(wr_server *s, wr_str name, wr_str version)
{
    wr_served *package = NULL;
    wr_instance *model = NULL;
    wr_err err = {0};
    atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
    if (!name.n || wr_serve_find(&package, &model, s->serve, name, version, &err) < 0) return;
    wr_model_stats *stats = package ? package->stats : model->stats;
    atomic_fetch_add_explicit(&stats->fail.n, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->failures[WR_FAIL_REJECTED], 1, memory_order_relaxed);
    if (package) wr_serve_give(package);
    else wr_instance_give(model);
}

void wr_infer_done(wr_server *s) { atomic_fetch_sub(&s->waiting, 1); }

/* Loading and unloading, and what changes the server for all. */
static bool controls(wr_str path, wr_str method, wr_str *name)
{
    static const char models_path[] = "/v2/repository/models/";
    *name = WR_STR("*");
    if (wr_str_starts(path, models_path)) {
        wr_str rest = wr_str_sub(path, sizeof models_path - 1, path.n);
        *name = wr_str_cut(&rest, '/');
        return true;
    }
    return wr_str_is(method, "POST") && (wr_str_starts(path, "/v2/logging") || wr_str_starts(path, "/v2/trace") ||
                                         wr_str_ends(path, "/trace/setting"));
}

static void refuse(wr_call *c, const wr_err *e)
{
    wr_http_reply_opt opt = {.status = wr_err_http(e->code)};
    if (opt.status == 503) opt.headers = "Retry-After: 1\r\n";
    wr_jsonw w;
    wr_jsonw_init(&w, &c->loop->body, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "error", e->msg);
    wr_jsonw_kstr(&w, "hint", e->hint);
    wr_jsonw_end(&w);
    wr_http_reply(c->req, &opt, wr_buf_view(&c->loop->body));
    c->status = opt.status;
}

/* Before anything of it is read: what is refused should cost next to nothing. */
static void refuse_crowded(wr_call *c, wr_str path)
{
    wr_err err = {0};
    wr_str name, version = {NULL, 0};
    if (!wr_oip_asked_model(&name, &version, path)) name = wr_http_get(wr_http_req_head(c->req), "x-weir-endpoint");
    wr_infer_refused(c->server, name, version);
    wr_err_set(&err, WEIR_EUNAVAILABLE, "%s", wr_infer_queue_full);
    wr_err_hint(&err, WEIR_EUNAVAILABLE, "ask again later; serving.queue of weir.yaml says how many may wait");
    refuse(c, &err);
}

static wr_str decoded(wr_call *c)
{
    WR_AUTOBUF wr_buf b = {0};
    if (!memchr(c->path.p, '%', c->path.n)) return c->path;
    if (!wr_http_decode(&b, c->path, false) || b.failed) return (wr_str){"", 0};
    return wr_arena_str(c->arena, wr_buf_view(&b));
}

/* ---- with others of the round ---- */

static void begin(void *arg) { wr_buf_clear(&((answering *)arg)->j.loop->body); }

static void done(void *arg)
{
    answering *x = arg;
    job *j = &x->j;
    wr_http_reply_opt opt = reply_of(&x->out);
    wr_server_count(j->loop, WR_KIND_INFER, opt.status, wr_clock_mono_ns() - j->start);
    if (j->who) wr_auth_done(j->who);
    wr_http_reply(j->req, &opt, wr_buf_view(&j->loop->body)); /* `x` is gone now */
}

static void on_loop(wr_call *c, const job *j)
{
    answering *x = wr_arena_alloc(c->arena, sizeof *x);
    if (!x) {
        wr_err e = {0};
        wr_err_nomem(&e);
        refuse(c, &e);
        return;
    }
    x->j = *j;
    x->from = (source){.server = c->server,
                       .round = c->loop->round,
                       .batch = c->loop->batch,
                       .access = c->who ? &c->who->access : NULL};
    answer(x, &c->loop->body, (wr_oip_later){begin, done, x}, c->loop->alike);
    if (x->out.waits) {
        x->j.who = c->who;
        wr_call_hold(c);
        return;
    }
    wr_http_reply_opt opt = reply_of(&x->out);
    wr_http_reply(c->req, &opt, wr_buf_view(&c->loop->body));
    c->status = opt.status;
}

void wr_handle_infer(wr_call *c)
{
    wr_server *s = c->server;
    const wr_mlflow_access *access = c->who ? &c->who->access : NULL;
    wr_str name;
    wr_err err;
    job j = {.server = s, .loop = c->loop, .req = c->req, .path = decoded(c), .body = c->body, .start = c->start};
    wr_err_clear(&err);
    bool control = controls(j.path, wr_http_req_head(c->req)->method, &name);
    if (control && allowed(access, name, WR_CAN_MANAGE, &err) < 0) {
        refuse(c, &err);
        return;
    }
    bool predicts = !control && wr_str_is(wr_http_req_head(c->req)->method, "POST"),
         large = c->body.n > WR_INFER_ON_LOOP_MAX;
    if (predicts && !wr_infer_admit(c, large)) {
        refuse_crowded(c, j.path);
        return;
    }
    j.admitted = predicts && large;
    if (j.path.p != c->path.p || control || large)
        j.path = wr_arena_str(c->arena, j.path); /* lasts as long as the request */
    if (control) j.control = wr_arena_str(c->arena, name);
    if (control && j.path.p && j.control.p && hand_over(c, &j, s->loader)) return;
    if (large && j.path.p && hand_over(c, &j, s->heavy)) return;
    if (j.admitted) wr_infer_done(s);
    on_loop(c, &j);
}
