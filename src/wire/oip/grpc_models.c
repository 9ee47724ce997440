/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_models.c - what the server and its models say of themselves: health, metadata, statistics. */
#include "wire/oip/grpc_inside.h"

/* ---- health ---- */

int wr_oip_rpc_live(wr_oip_rpc *c, wr_err *err)
{
    (void)err;
    wr_pbw_bool(c->b, 1, true);
    return 0;
}

int wr_oip_rpc_ready(wr_oip_rpc *c, wr_err *err)
{
    (void)err;
    wr_pbw_bool(c->b, 1, c->ops->ready(c->ops->ctx));
    return 0;
}

int wr_oip_rpc_health(wr_oip_rpc *c, wr_err *err)
{
    enum { SERVING = 1, NOT_SERVING = 2 };
    wr_str service;
    WR_TRY(wr_oip_rpc_text(&service, c, err));
    if (service.n && !wr_str_is(service, &WR_OIP_GRPC_PATH[1]))
        return wr_err_set(err, WEIR_ENOTFOUND, "unknown service '%.*s'", WR_STR_FMT(wr_str_fit(service, 100)));
    wr_pbw_u64(c->b, 1, c->ops->ready(c->ops->ctx) ? SERVING : NOT_SERVING);
    return 0;
}

/* Who does not know a model gets a no, not an error. */
int wr_oip_rpc_model_ready(wr_oip_rpc *c, wr_err *err)
{
    wr_oip_named q;
    WR_TRY(wr_oip_rpc_named(&q, c, err));
    int rc = wr_oip_take_model(&c->m, c->ops, q.name, q.version, c->arena, err);
    if (rc < 0 && rc != WEIR_ENOTFOUND && rc != WEIR_EUNAVAILABLE) return rc;
    if (rc == 0) c->ops->release(c->ops->ctx, &c->m);
    wr_pbw_bool(c->b, 1, rc == 0);
    return 0;
}

/* ---- metadata ---- */

int wr_oip_rpc_server(wr_oip_rpc *c, wr_err *err)
{
    const char *extensions[WR_OIP_EXTENSIONS];
    const wr_oip_opt *opt = wr_oip_options(c->o);
    (void)err;
    wr_pbw_str(c->b, 1, wr_str_of(opt->server_name ? opt->server_name : "weir"));
    wr_pbw_str(c->b, 2, wr_str_of(opt->server_version ? opt->server_version : ""));
    size_t n = wr_oip_extensions(extensions, c->o, c->ops);
    for (size_t i = 0; i < n; i++) wr_pbw_str(c->b, 3, wr_str_of(extensions[i]));
    return 0;
}

static void put_specs(wr_buf *b, uint32_t number, const wr_tensor_spec *specs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = wr_pbw_open(b, number);
        wr_pbw_str(b, 1, wr_str_of(specs[i].name));
        wr_pbw_str(b, 2, wr_str_of(wr_tensor_type_name(specs[i].type)));
        wr_oip_put_shape64(b, 3, specs[i].shape, specs[i].ndims);
        wr_pbw_close(b, at);
    }
}

int wr_oip_rpc_model(wr_oip_rpc *c, wr_err *err)
{
    wr_oip_named q;
    size_t n;
    WR_TRY(wr_oip_rpc_named(&q, c, err));
    WR_TRY(wr_oip_take_model(&c->m, c->ops, q.name, q.version, c->arena, err));
    const wr_str *versions = wr_oip_versions(&n, &c->m, q.version);
    wr_pbw_str(c->b, 1, c->m.name);
    for (size_t i = 0; i < n; i++) wr_pbw_str(c->b, 2, versions[i]);
    wr_pbw_str(c->b, 3, wr_str_of(c->m.platform ? c->m.platform : "weir"));
    put_specs(c->b, 4, c->m.in, c->m.nin);
    put_specs(c->b, 5, c->m.out, c->m.nout);
    c->ops->release(c->ops->ctx, &c->m);
    return 0;
}

/* ---- statistics ---- */

static void put_duration(wr_buf *b, uint32_t number, const wr_duration *d)
{
    size_t at = wr_pbw_open(b, number);
    wr_pbw_u64(b, 1, d->n);
    wr_pbw_u64(b, 2, d->ns);
    wr_pbw_close(b, at);
}

static void put_stats(wr_buf *b, const wr_stats_entry *e)
{
    const wr_model_stats *s = e->stats;
    const wr_duration *durations[] = {&s->success, &s->fail,   &s->queue,     &s->input,
                                      &s->infer,   &s->output, &s->cache_hit, &s->cache_miss};
    size_t at = wr_pbw_open(b, 1);
    wr_pbw_str(b, 1, e->name);
    wr_pbw_str(b, 2, e->version);
    wr_pbw_u64(b, 3, (uint64_t)s->last_ms);
    wr_pbw_u64(b, 4, s->inferences);
    wr_pbw_u64(b, 5, s->executions);
    size_t of = wr_pbw_open(b, 6);
    for (uint32_t i = 0; i < sizeof durations / sizeof *durations; i++) put_duration(b, i + 1, durations[i]);
    wr_pbw_close(b, of);
    wr_pbw_close(b, at);
}

int wr_oip_rpc_stats(wr_oip_rpc *c, wr_err *err)
{
    wr_oip_named q;
    wr_stats_entry *e;
    size_t n;
    WR_TRY(wr_oip_rpc_named(&q, c, err));
    if (!q.name.n) q.name = (wr_str){NULL, 0};
    if (!q.version.n) q.version = (wr_str){NULL, 0};
    WR_TRY(wr_oip_find_stats(&e, &n, c->ops, q.name, q.version, c->arena, err));
    for (size_t i = 0; i < n; i++) put_stats(c->b, &e[i]);
    return 0;
}
