/* SPDX-License-Identifier: Apache-2.0 */
/* rest.c - paths to handlers, errors to answers. */
#include "wire/oip/rest.h"

#include <stdio.h>

#include "wire/oip/inside.h"

/* ---- errors ---- */

void wr_oip_fail(wr_oip_call *c, int status, const wr_err *e)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_buf_clear(c->out->body);
    c->out->status = status;
    c->out->kept = false;
    c->out->type = "application/json";
    c->out->headers[0] = 0;
    wr_buf_init(&text, 4096);
    wr_oip_error_text(&text, e);
    wr_jsonw_init(&c->w, c->out->body, 0);
    wr_jsonw_obj(&c->w);
    if (c->scoring) {
        wr_jsonw_kstr(&c->w, "error_code",
                      status == 404   ? "RESOURCE_DOES_NOT_EXIST"
                      : status == 503 ? "TEMPORARILY_UNAVAILABLE"
                      : status >= 500 ? "INTERNAL_ERROR"
                                      : "BAD_REQUEST");
        wr_jsonw_kslice(&c->w, "message", wr_buf_view(&text));
    } else {
        wr_jsonw_kslice(&c->w, "error", wr_buf_view(&text));
    }
    wr_jsonw_end(&c->w);
}

/* Triton answers 400 whatever is wrong with a request; the server's own trouble keeps its status. */
void wr_oip_fail_with(wr_oip_call *c, const wr_err *e)
{
    int status = wr_err_http(e->code);
    if (status > 400 && status < 500 && e->code != WEIR_ENOTFOUND && e->code != WEIR_ELIMIT && e->code != WEIR_EACCESS)
        status = 400;
    if (e->code == WEIR_ETIMEOUT) status = 503; /* its queue was too long for it */
    wr_oip_fail(c, status, e);
}

void wr_oip_fail_text(wr_oip_call *c, int status, const char *text, const char *hint)
{
    wr_err e = {0};
    snprintf(e.msg, sizeof e.msg, "%s", text);
    if (hint) snprintf(e.hint, sizeof e.hint, "%s", hint);
    wr_oip_fail(c, status, &e);
}

bool wr_oip_method(wr_oip_call *c, const char *want)
{
    if (wr_str_is(c->in->method, want) || (strcmp(want, "GET") == 0 && wr_str_is(c->in->method, "HEAD"))) return true;
    wr_oip_fail_text(c, 405, "Method Not Allowed",
                     strcmp(want, "GET") == 0 ? "this path takes GET" : "this path takes POST");
    return false;
}

/* ---- models by name ---- */

void wr_oip_with_model(wr_oip_call *c, const char *method, void (*then)(wr_oip_call *c))
{
    if (!wr_oip_method(c, method)) return;
    if (wr_oip_take_model(&c->m, c->ops, c->model, c->version, c->arena, &c->err) < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    then(c);
    if (!c->waits) c->ops->release(c->ops->ctx, &c->m);
}

wr_str wr_oip_segment(wr_str *rest) { return rest->p ? wr_str_cut(rest, '/') : (wr_str){NULL, 0}; }

void wr_oip_put_shape(wr_jsonw *w, const int64_t *shape, int ndims)
{
    wr_jsonw_key(w, "shape");
    wr_jsonw_arr(w);
    for (int i = 0; i < ndims; i++) wr_jsonw_i64(w, shape[i]);
    wr_jsonw_end(w);
}

/* ---- the server itself ---- */

static void server_metadata(wr_oip_call *c)
{
    const char *extensions[WR_OIP_EXTENSIONS];
    const wr_oip_opt *opt = wr_oip_options(c->o);
    if (!wr_oip_method(c, "GET")) return;
    wr_jsonw_obj(&c->w);
    wr_jsonw_kstr(&c->w, "name", opt->server_name ? opt->server_name : "weir");
    wr_jsonw_kstr(&c->w, "version", opt->server_version ? opt->server_version : "");
    wr_jsonw_key(&c->w, "extensions");
    wr_jsonw_arr(&c->w);
    size_t n = wr_oip_extensions(extensions, c->o, c->ops);
    for (size_t i = 0; i < n; i++) wr_jsonw_cstr(&c->w, extensions[i]);
    wr_jsonw_end(&c->w);
    wr_jsonw_end(&c->w);
}

static void health(wr_oip_call *c, bool live)
{
    if (!wr_oip_method(c, "GET")) return;
    bool ok = live || c->ops->ready(c->ops->ctx);
    c->out->status = ok ? 200 : 400;
    wr_jsonw_obj(&c->w);
    wr_jsonw_kbool(&c->w, live ? "live" : "ready", ok);
    if (!ok) wr_jsonw_kstr(&c->w, "error", "a model that should be served is not ready");
    wr_jsonw_end(&c->w);
}

/* ---- paths ---- */

static void endpoint(wr_oip_call *c, wr_str rest)
{
    c->model = wr_oip_segment(&rest);
    if (c->model.n && rest.p && wr_str_is(rest, "invocations")) wr_oip_invocations(c);
    else wr_oip_fail_text(c, 404, "Not Found", "models are asked at /endpoints/NAME/invocations");
}

static bool behind(wr_str path, const char *prefix, wr_str *rest)
{
    *rest = wr_str_sub(path, strlen(prefix), path.n);
    return wr_str_starts(path, prefix);
}

static void v2(wr_oip_call *c, wr_str path)
{
    wr_str rest;
    if (wr_str_is(path, "/v2") || wr_str_is(path, "/v2/")) server_metadata(c);
    else if (wr_str_is(path, "/v2/health/live")) health(c, true);
    else if (wr_str_is(path, "/v2/health/ready")) health(c, false);
    else if (wr_str_is(path, "/v2/models/stats")) wr_oip_all_stats(c);
    else if (behind(path, "/v2/models/", &rest)) wr_oip_models(c, rest);
    else if (behind(path, "/v2/repository/", &rest)) wr_oip_repository(c, rest);
    else if (wr_str_is(path, "/v2/logging")) wr_oip_logging(c);
    else if (wr_str_is(path, "/v2/trace/setting")) wr_oip_trace(c);
    else if (behind(path, "/v2/systemsharedmemory/", &rest)) wr_oip_system_memory(c, rest);
    else if (behind(path, "/v2/cudasharedmemory/", &rest)) wr_oip_cuda_memory(c, rest);
    else
        wr_oip_fail_text(c, 404, "Not Found",
                         "the protocol has /v2, /v2/health/live, /v2/health/ready and /v2/models/NAME");
}

bool wr_oip_knows(wr_str path)
{
    return wr_str_is(path, "/v2") || wr_str_starts(path, "/v2/") || wr_str_is(path, "/v1/models") ||
           wr_str_starts(path, "/v1/models/") || wr_str_is(path, "/invocations") || wr_str_is(path, "/ping") ||
           (wr_str_starts(path, "/endpoints/") && wr_str_ends(path, "/invocations"));
}

bool wr_oip_asked_model(wr_str *model, wr_str *version, wr_str path)
{
    wr_str rest;
    bool v2_path = behind(path, "/v2/models/", &rest);
    if (!v2_path && !behind(path, "/v1/models/", &rest) && !behind(path, "/endpoints/", &rest)) return false;
    *version = (wr_str){NULL, 0};
    *model = wr_oip_segment(&rest);
    if (rest.p && wr_str_starts(rest, "versions/")) {
        rest = wr_str_sub(rest, strlen("versions/"), rest.n);
        *version = wr_oip_segment(&rest);
    }
    if (v2_path) return model->n > 0;
    wr_str *last = version->p ? version : model, verb = *last; /* "M:predict" */
    *last = wr_str_cut(&verb, ':');
    return model->n > 0;
}

static void dispatch(wr_oip_call *c)
{
    wr_str path = c->in->path, rest;
    if (wr_str_is(path, "/invocations")) wr_oip_invocations(c);
    else if (wr_str_is(path, "/ping")) wr_oip_ping(c);
    else if (behind(path, "/endpoints/", &rest)) endpoint(c, rest);
    else if (behind(path, "/v1/models", &rest)) wr_oip_v1(c, rest);
    else v2(c, path);
}

static void check_memory(wr_oip_response *out)
{
    if (!out->body->failed) return;
    wr_buf_clear(out->body);
    out->headers[0] = 0;
    out->status = 500;
}

void wr_oip_over(wr_oip_call *c)
{
    c->ops->release(c->ops->ctx, &c->m);
    check_memory(c->out);
    c->in->later.done(c->in->later.arg);
}

void wr_oip_rest(wr_oip_response *out, wr_oip *o, const wr_oip_request *in, const wr_oip_ops *ops, wr_arena *a)
{
    wr_oip_call *c = wr_arena_alloc(a, sizeof *c);
    out->status = c ? 200 : 500;
    out->waits = out->kept = false;
    out->type = "application/json";
    out->headers[0] = 0;
    if (!c) return;
    memset(c, 0, offsetof(wr_oip_call, err));
    wr_err_clear(&c->err);
    c->out = out;
    c->o = o;
    c->in = in;
    c->ops = ops;
    c->arena = a;
    wr_jsonw_init(&c->w, out->body, 0);
    dispatch(c);
    out->waits = c->waits;
    check_memory(out);
}
