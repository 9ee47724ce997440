/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the list of paths, and from a request to its handler and back. */
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "codec/inflate.h"
#include "server/server_inside.h"
#include "wire/mlflow/artifacts.h"
#include "wire/oip/grpc.h"

/* Pattern: {} is one segment, a star at the end the rest. One line adds a path. */
typedef struct {
    const char *method, *pattern;
    void (*handle)(wr_call *c);
    size_t body_max;
    wr_server_kind kind;
} route;

static const route routes[] = {
    {"POST", "/v2/models/{}/feedback", wr_handle_feedback, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_LABELS},
    {"POST", WR_OIP_GRPC_PATH "*", wr_handle_infer_grpc, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_INFER},
    {NULL, "/v2*", wr_handle_infer, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_INFER}, /* the protocol answers for its methods */
    {NULL, "/v1/models*", wr_handle_infer, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_INFER},
    {NULL, "/invocations", wr_handle_infer, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_INFER},
    {NULL, "/endpoints/{}/invocations", wr_handle_infer, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_INFER},
    {NULL, "/ping", wr_handle_infer, WR_LIMIT_HTTP_BODY_API, WR_KIND_INFER},
    {"POST", WR_OIP_HEALTH_PATH "*", wr_handle_infer_grpc, WR_LIMIT_HTTP_BODY_API, WR_KIND_INFER},
    {"POST", "/api/weir/1/endpoints/{}/labels", wr_handle_labels, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_LABELS},
    {"GET", "/api/weir/1/endpoints/{}/rollout", wr_handle_rollout, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"PUT", "/api/weir/1/endpoints/{}/rollout", wr_handle_rollout, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"POST", "/api/weir/1/endpoints/{}/rollout", wr_handle_rollout, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_OTHER},
    {"POST", "/api/weir/1/endpoints/{}/feedback", wr_handle_feedback, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_LABELS},
    {"POST", "/api/weir/1/views/{}/events", wr_handle_view_events, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_EVENTS},
    {"GET", "/api/weir/1/runs/{}/events", wr_handle_watch_run, WR_LIMIT_HTTP_BODY_API, WR_KIND_TRACK},
    {"GET", "/api/weir/1/experiments/{}/events", wr_handle_watch_experiment, WR_LIMIT_HTTP_BODY_API, WR_KIND_TRACK},
    {"POST", "/api/weir/1/flush", wr_handle_flush, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/api/weir/1/endpoints", wr_handle_endpoints, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/api/weir/1/jobs", wr_handle_jobs, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/api/weir/1/events", wr_handle_events, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/api/3.0/mlflow/server-info", wr_handle_server_info, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/ajax-api/3.0/mlflow/server-info", wr_handle_server_info, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {NULL, "/api/2.0*", wr_handle_mlflow, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_TRACK}, /* this protocol too */
    {NULL, "/api/3.0*", wr_handle_mlflow, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_TRACK},
    {NULL, "/ajax-api*", wr_handle_mlflow, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_TRACK},
    {"POST", "/optuna.StorageService*", wr_handle_optuna, WR_LIMIT_HTTP_BODY_INFER, WR_KIND_TRACK},
    {"POST", "/graphql", wr_handle_mlflow, WR_LIMIT_HTTP_BODY_API, WR_KIND_TRACK},
    {"GET", "/get-artifact", wr_handle_mlflow, WR_LIMIT_HTTP_BODY_API, WR_KIND_TRACK},
    {"GET", "/model-versions/get-artifact", wr_handle_mlflow, WR_LIMIT_HTTP_BODY_API, WR_KIND_TRACK},
    {"POST", "/v1/traces", wr_handle_otlp, WR_LIMIT_HTTP_BODY_OTLP, WR_KIND_TRACK},
    {"GET", "/health", wr_handle_health, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/version", wr_handle_version, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/metrics", wr_handle_metrics, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
    {"GET", "/", wr_handle_page, WR_LIMIT_HTTP_BODY_API, WR_KIND_OTHER},
};
enum { NROUTES = sizeof routes / sizeof *routes };

static bool matches(const char *pattern, wr_str path, wr_str *param)
{
    size_t at = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '*') return at == path.n || path.p[at] == '/';
        if (*pattern == '{') {
            size_t from = at;
            while (at < path.n && path.p[at] != '/') at++;
            if (at == from) return false;
            *param = (wr_str){path.p + from, at - from};
            pattern++; /* the closing one */
        } else if (at == path.n || path.p[at++] != *pattern) {
            return false;
        }
    }
    return at == path.n;
}

static bool method_fits(const route *r, wr_str method)
{
    if (!r->method || wr_str_is(method, r->method)) return true;
    return strcmp(r->method, "GET") == 0 && wr_str_is(method, "HEAD");
}

/* Segments are decoded after the path was matched, so that an encoded slash stays inside its segment. */
static wr_str decoded(wr_call *c, wr_str s)
{
    if (!s.n || !memchr(s.p, '%', s.n)) return s;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, WR_LIMIT_HTTP_TARGET);
    if (!wr_http_decode(&b, s, false) || b.failed) return (wr_str){"", 0};
    return wr_arena_str(c->arena, wr_buf_view(&b));
}

/* ---- answers ---- */

void wr_call_json(wr_call *c, int status, wr_buf *body, bool durable)
{
    wr_http_reply_opt opt = {.status = body->failed ? 500 : status, .durable = durable};
    wr_http_reply(c->req, &opt, body->failed ? WR_STR("{\"error\":\"out of memory\"}\n") : wr_buf_view(body));
    c->status = opt.status;
}

void wr_call_err(wr_call *c, const wr_err *e)
{
    wr_http_reply_err(c->req, e);
    c->status = wr_err_http(e->code);
}

static void refuse(wr_call *c, int status, const char *error, const char *hint, const char *headers)
{
    wr_jsonw w;
    wr_buf_clear(&c->loop->body);
    wr_jsonw_init(&w, &c->loop->body, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "error", error);
    wr_jsonw_kstr(&w, "hint", hint);
    wr_jsonw_end(&w);
    wr_http_reply_opt opt = {.status = status, .headers = headers};
    wr_http_reply(c->req, &opt, wr_buf_view(&c->loop->body));
    c->status = status;
}

/* ---- finding the route ---- */

static const route *find(wr_str path, wr_str method, wr_str *param, bool *path_known)
{
    *path_known = false;
    for (size_t i = 0; i < NROUTES; i++) {
        if (!matches(routes[i].pattern, path, param)) continue;
        if (method_fits(&routes[i], method)) return &routes[i];
        *path_known = true;
    }
    return NULL;
}

/* "//x" that would be there as "/x" is sent there (308 keeps method and body), as MLflow's server does. */
static bool elsewhere(wr_call *c, const wr_http_head *h)
{
    wr_str param, rest = h->target;
    wr_str query = wr_str_sub(h->target, wr_str_cut(&rest, '?').n, h->target.n);
    bool path_known;
    char *path = wr_arena_alloc(c->arena, c->path.n + 1);
    size_t n = 0;
    if (!path) return false;
    for (size_t i = 0; i < c->path.n; i++)
        if (c->path.p[i] != '/' || !n || path[n - 1] != '/') path[n++] = c->path.p[i];
    if (n == c->path.n || !find((wr_str){path, n}, h->method, &param, &path_known)) return false;
    char *to = wr_arena_printf(c->arena, "Location: %.*s%.*s\r\n", (int)n, path, WR_STR_FMT(query));
    if (to) refuse(c, 308, "this path has one slash", "follow the Location", to);
    return to;
}

static void no_path(wr_call *c)
{
    const char *names[NROUTES];
    char hint[300];
    for (size_t i = 0; i < NROUTES; i++) names[i] = routes[i].pattern;
    int near = wr_str_nearest(c->path, names, NROUTES);
    if (near >= 0) snprintf(hint, sizeof hint, "did you mean %s?", names[near]);
    else snprintf(hint, sizeof hint, "models answer at /v2/models/NAME/infer, everything else is under /api/weir/1/");
    refuse(c, 404, "no such path", hint, NULL);
}

static void wrong_method(wr_call *c)
{
    wr_str param;
    char allow[64] = "", hint[64] = "";
    for (size_t i = 0; i < NROUTES; i++) {
        if (!routes[i].method || !matches(routes[i].pattern, c->path, &param)) continue;
        snprintf(allow, sizeof allow, "Allow: %s\r\n", routes[i].method);
        snprintf(hint, sizeof hint, "use %s", routes[i].method);
    }
    refuse(c, 405, "this path does not take that method", hint, allow);
}

/* ---- who asks ---- */

/* What clients ask before they know whether to say who they are. */
static bool is_open(wr_str path)
{
    return wr_str_is(path, "/health") || wr_str_is(path, "/version") || wr_str_ends(path, "/3.0/mlflow/server-info") ||
           wr_str_is(path, "/ping") || wr_str_is(path, "/v2/health/live") || wr_str_is(path, "/v2/health/ready") ||
           wr_oip_grpc_is_open(path);
}

void wr_server_put_refusal(wr_buf *out, wr_http_reply_opt *opt, int status, const wr_err *err)
{
    wr_jsonw w;
    const char *code = status == 401   ? "UNAUTHENTICATED"
                       : status == 403 ? "PERMISSION_DENIED"
                       : status == 429 ? "REQUEST_LIMIT_EXCEEDED"
                                       : "INTERNAL_ERROR";
    wr_buf_clear(out);
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "error_code", code);
    wr_jsonw_kstr(&w, "message", err->msg);
    wr_jsonw_end(&w);
    *opt = (wr_http_reply_opt){.status = status,
                               .headers = status == 401   ? "WWW-Authenticate: Basic realm=\"mlflow\"\r\n"
                                          : status == 429 ? "Retry-After: 1\r\n"
                                                          : NULL};
}

/* A signed link is its own permission: it is good for what it names, and nobody needs to say who they are. */
static bool is_link(wr_str path)
{
    return wr_str_starts(path, WR_MLFLOW_PART) || wr_str_starts(path, WR_MLFLOW_SIGNED);
}

/* 0, or 429: more requests than `serving.rate` lets one client send, who is a user, or an address where nobody says who
 * he is. */
static int within_rate(wr_server *s, wr_str client, wr_err *err)
{
    int64_t wait = s->limiter ? wr_limiter_take(s->limiter, client, wr_clock_mono_ns()) : 0;
    if (!wait) return 0;
    atomic_fetch_add_explicit(&s->over_rate, 1, memory_order_relaxed);
    wr_err_set(err, WEIR_ELIMIT, "too many requests of '%.*s': wait %.3f s", WR_STR_FMT(wr_str_fit(client, 100)),
               (double)wait / 1e9);
    return 429;
}

int wr_server_judge(wr_auth_who **who, wr_server *s, wr_http_req *r, wr_err *err)
{
    const wr_http_head *h = wr_http_req_head(r);
    const char *why = wr_guard_refuses(&s->guard, h);
    *who = NULL;
    if (why) {
        wr_err_set(err, WEIR_EACCESS, "%s", why);
        return 403;
    }
    if (is_link(h->path))
        return wr_sign_check(&s->signer, h->method, h->target, wr_clock_wall_us() / WR_US, err) < 0 ? 403 : 0;
    if (is_open(h->path)) return 0;
    if (!s->auth) return within_rate(s, wr_str_of(wr_http_req_peer(r)), err);
    wr_arena *a = wr_http_req_arena(r);
    wr_auth_who *found = wr_arena_alloc(a, sizeof *found);
    int rc = found ? wr_auth_check(found, s->auth, h, wr_http_req_peer(r), a, err) : wr_err_nomem(err);
    int over = rc == 0 ? within_rate(s, found->access.user->name, err) : 0;
    if (over) wr_auth_done(found);
    else if (rc == 0) *who = found;
    return over ? over : rc == 0 ? 0 : rc == WEIR_EACCESS ? 401 : rc == WEIR_ELIMIT ? 429 : wr_err_http(rc);
}

/* Fills c->who; false when the request was refused. */
static bool known(wr_call *c)
{
    wr_err err;
    wr_http_reply_opt opt;
    wr_err_clear(&err);
    int status = wr_server_judge(&c->who, c->server, c->req, &err);
    if (status == 0) return true;
    wr_server_put_refusal(&c->loop->body, &opt, status, &err);
    wr_http_reply(c->req, &opt, wr_buf_view(&c->loop->body));
    c->status = status;
    return false;
}

/* Bytes of a body; of predictions as the configuration says. */
static size_t body_max(const wr_server *s, const route *to)
{
    if (!to) return WR_LIMIT_HTTP_BODY_API;
    return to->kind == WR_KIND_INFER && to->body_max == WR_LIMIT_HTTP_BODY_INFER ? s->body_max : to->body_max;
}

/* A body that came packed is unpacked here, for all routes that read bodies as a whole. */
static int unpack(wr_call *c, const wr_http_head *h, size_t max, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_coding coding;
    c->body = wr_http_req_body(c->req);
    wr_buf_init(&b, 0);
    if (!c->body.n) return 0;
    WR_TRY(wr_coding_parse(&coding, wr_http_get(h, "content-encoding"), err));
    if (coding == WR_CODING_NONE) return 0;
    WR_TRY(wr_inflate(&b, c->body, coding, max, err));
    c->body = wr_arena_str(c->arena, wr_buf_view(&b));
    return c->body.p ? 0 : wr_err_nomem(err);
}

void wr_call_defer(wr_call *c)
{
    bool sent = c->body.p == wr_http_req_body(c->req).p;
    wr_http_defer(c->req);
    if (sent) c->body = wr_http_req_body(c->req);
    c->deferred = true;
}

void wr_call_hold(wr_call *c)
{
    wr_http_hold(c->req);
    c->who = NULL;
    c->deferred = true;
}

void wr_loop_trim(wr_server_loop *l)
{
    enum { KEEP = 1 << 20 };
    wr_buf_clear(&l->body);
    if (l->body.cap <= KEEP) return;
    wr_buf_fini(&l->body);
    wr_buf_init(&l->body, 0);
}

static void handle(wr_http_req *r)
{
    wr_err err;
    wr_server *s = wr_http_req_ctx(r);
    const wr_http_head *h = wr_http_req_head(r);
    wr_call c = {.server = s,
                 .loop = &s->loops[wr_http_req_loop(r)],
                 .req = r,
                 .arena = wr_http_req_arena(r),
                 .start = wr_http_req_round(r),
                 .path = h->path};
    bool path_known = false;
    wr_err_clear(&err);
    const route *to = wr_http_req_arg(r);
    if (to) (void)matches(to->pattern, h->path, &c.param);
    else (void)find(h->path, h->method, &c.param, &path_known);
    c.param = decoded(&c, c.param);
    if (!known(&c)) to = NULL;
    else if (to && unpack(&c, h, body_max(s, to), &err) < 0) wr_call_err(&c, &err);
    else if (to) to->handle(&c);
    else if (path_known) wrong_method(&c);
    else if (!elsewhere(&c, h)) no_path(&c);
    if (c.who) wr_auth_done(c.who);
    if (!c.deferred) wr_server_count(c.loop, to ? to->kind : WR_KIND_OTHER, c.status, wr_clock_mono_ns() - c.start);
    wr_loop_trim(c.loop);
}

void wr_server_route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    const wr_http_head *h = wr_http_req_head(r);
    wr_str param;
    bool known;
    if (wr_server_begin_upload(ctx, r, out)) return;
    const route *to = find(h->path, h->method, &param, &known);
    *out = (wr_http_route){.handle = handle, .body_max = body_max(ctx, to), .arg = (void *)to};
}
