/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.c - procedures by name, errors to statuses. */
#include "wire/oip/grpc.h"

#include <stdio.h>

#include "wire/oip/grpc_inside.h"

/* ---- pieces of messages ---- */

int wr_oip_rpc_named(wr_oip_named *out, const wr_oip_rpc *c, wr_err *err)
{
    wr_pb r;
    wr_pb_field f;
    *out = (wr_oip_named){WR_STR(""), WR_STR("")};
    wr_pb_init(&r, c->in->message);
    while (wr_pb_next(&r, &f)) {
        if (f.number == 1) out->name = wr_pb_str(&r, &f);
        else if (f.number == 2) out->version = wr_pb_str(&r, &f);
    }
    return wr_pb_end(&r, "request", err);
}

int wr_oip_rpc_text(wr_str *out, const wr_oip_rpc *c, wr_err *err)
{
    wr_pb r;
    wr_pb_field f;
    *out = WR_STR("");
    wr_pb_init(&r, c->in->message);
    while (wr_pb_next(&r, &f))
        if (f.number == 1) *out = wr_pb_str(&r, &f);
    return wr_pb_end(&r, "request", err);
}

void wr_oip_put_shape64(wr_buf *b, uint32_t number, const int64_t *shape, int ndims)
{
    if (!ndims) return;
    size_t at = wr_pbw_open(b, number);
    for (int i = 0; i < ndims; i++) wr_pbw_varint(b, (uint64_t)shape[i]);
    wr_pbw_close(b, at);
}

size_t wr_oip_open_entry(wr_buf *b, uint32_t number, wr_str key)
{
    size_t at = wr_pbw_open(b, number);
    wr_pbw_str(b, 1, key);
    return at;
}

/* ---- procedures ---- */

static int stream(wr_oip_rpc *c, wr_err *err)
{
    (void)c;
    wr_err_set(err, WEIR_EUNSUPPORTED, "ModelStreamInfer is not supported: a call has one request");
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "use ModelInfer; calls of one connection run side by side");
}

static const struct {
    const char *name;
    int (*run)(wr_oip_rpc *c, wr_err *err);
} procedures[] = {
    {"ModelInfer", wr_oip_rpc_infer},
    {"ServerLive", wr_oip_rpc_live},
    {"ServerReady", wr_oip_rpc_ready},
    {"ModelReady", wr_oip_rpc_model_ready},
    {"ServerMetadata", wr_oip_rpc_server},
    {"ModelMetadata", wr_oip_rpc_model},
    {"ModelConfig", wr_oip_rpc_config},
    {"ModelStatistics", wr_oip_rpc_stats},
    {"RepositoryIndex", wr_oip_rpc_index},
    {"RepositoryModelLoad", wr_oip_rpc_load},
    {"RepositoryModelUnload", wr_oip_rpc_unload},
    {"SystemSharedMemoryStatus", wr_oip_rpc_regions},
    {"SystemSharedMemoryRegister", wr_oip_rpc_register},
    {"SystemSharedMemoryUnregister", wr_oip_rpc_unregister},
    {"CudaSharedMemoryStatus", wr_oip_rpc_cuda_regions},
    {"CudaSharedMemoryRegister", wr_oip_rpc_cuda_register},
    {"CudaSharedMemoryUnregister", wr_oip_rpc_cuda_unregister},
    {"TraceSetting", wr_oip_rpc_trace},
    {"LogSettings", wr_oip_rpc_log},
    {"ModelStreamInfer", stream},
};

/* The name of the method behind a service's path. */
static bool method_of(wr_str *out, wr_str path, const char *service)
{
    size_t n = strlen(service);
    *out = wr_str_sub(path, n + 1, path.n);
    return wr_str_starts(path, service) && path.n > n && path.p[n] == '/';
}

static int run(wr_oip_rpc *c, wr_err *err)
{
    wr_str method;
    if (method_of(&method, c->in->path, WR_OIP_GRPC_PATH)) {
        for (size_t i = 0; i < sizeof procedures / sizeof *procedures; i++)
            if (wr_str_is(method, procedures[i].name)) return procedures[i].run(c, err);
    } else if (method_of(&method, c->in->path, WR_OIP_HEALTH_PATH) && wr_str_is(method, "Check")) {
        return wr_oip_rpc_health(c, err);
    }
    wr_str shown = wr_str_utf8(c->in->path) ? wr_str_fit(c->in->path, 120) : WR_STR("?");
    return wr_err_set(err, WEIR_EUNSUPPORTED, "there is no procedure '%.*s'", WR_STR_FMT(shown));
}

/* A queue that was too long for a request is not the client's deadline. */
static wr_grpc_status status_of(const wr_oip_rpc *c, int code)
{
    if (code == WEIR_ETIMEOUT && !c->in->deadline_ns) return WR_GRPC_UNAVAILABLE;
    return code == WEIR_ENOMEM ? WR_GRPC_RESOURCE_EXHAUSTED : wr_grpc_status_of(code);
}

static void fail(wr_oip_grpc_response *out, wr_grpc_status status, const wr_err *e)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, sizeof out->text);
    wr_oip_error_text(&text, e);
    out->status = status;
    snprintf(out->text, sizeof out->text, "%s", text.failed ? wr_err_text(e->code) : wr_buf_cstr(&text));
}

static void end(wr_oip_rpc *c, size_t start, int rc)
{
    wr_oip_grpc_response *out = c->out;
    if (rc == 0 && out->body->failed) rc = wr_err_nomem(&c->err);
    out->kept = c->kept;
    if (rc == 0) return;
    if (!out->body->failed) out->body->n = start;
    fail(out, status_of(c, rc), &c->err);
}

void wr_oip_rpc_over(wr_oip_rpc *c, size_t start, int rc)
{
    end(c, start, rc);
    c->ops->release(c->ops->ctx, &c->m);
    c->in->later.done(c->in->later.arg);
}

void wr_oip_grpc(wr_oip_grpc_response *out, wr_oip *o, const wr_oip_grpc_request *in, const wr_oip_ops *ops,
                 wr_arena *a)
{
    wr_oip_rpc *c = wr_arena_alloc(a, sizeof *c);
    size_t start = out->body->n;
    out->status = c ? WR_GRPC_OK : WR_GRPC_RESOURCE_EXHAUSTED;
    out->text[0] = 0;
    out->kept = out->waits = false;
    if (!c) return;
    memset(c, 0, offsetof(wr_oip_rpc, err));
    wr_err_clear(&c->err);
    c->out = out;
    c->o = o;
    c->in = in;
    c->ops = ops;
    c->arena = a;
    c->b = out->body;
    int rc = run(c, &c->err);
    out->waits = c->waits;
    if (!c->waits) end(c, start, rc);
}

/* ---- asked before ---- */

/* Has a request settings to be changed? Field 1 of both kinds. */
static bool has_settings(wr_str message)
{
    wr_pb r;
    wr_pb_field f;
    bool found = false;
    wr_pb_init(&r, message);
    while (wr_pb_next(&r, &f)) found |= f.number == 1;
    return found;
}

static wr_str model_name(wr_str message)
{
    wr_pb r;
    wr_pb_field f;
    wr_str name = WR_STR("");
    wr_pb_init(&r, message);
    while (wr_pb_next(&r, &f))
        if (f.number == 2) name = wr_pb_str(&r, &f);
    return name;
}

bool wr_oip_grpc_controls(wr_str *name, wr_str path, wr_str message)
{
    wr_str method;
    *name = WR_STR("*");
    if (!method_of(&method, path, WR_OIP_GRPC_PATH)) return false;
    if (wr_str_is(method, "TraceSetting") || wr_str_is(method, "LogSettings")) return has_settings(message);
    if (!wr_str_is(method, "RepositoryModelLoad") && !wr_str_is(method, "RepositoryModelUnload")) return false;
    *name = model_name(message);
    return true;
}

void wr_oip_grpc_asked_model(wr_str *model, wr_str *version, wr_str message)
{
    wr_pb r;
    wr_pb_field f;
    *model = *version = WR_STR("");
    wr_pb_init(&r, message);
    while (wr_pb_next(&r, &f))
        if (f.number == 1) *model = wr_pb_str(&r, &f);
        else if (f.number == 2) *version = wr_pb_str(&r, &f);
        else break; /* clients write fields in their order; tensors are behind */
}

bool wr_oip_grpc_is_open(wr_str path)
{
    wr_str method;
    if (method_of(&method, path, WR_OIP_HEALTH_PATH)) return wr_str_is(method, "Check");
    return method_of(&method, path, WR_OIP_GRPC_PATH) &&
           (wr_str_is(method, "ServerLive") || wr_str_is(method, "ServerReady"));
}
