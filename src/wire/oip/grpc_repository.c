/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_repository.c - which models there are; loading and unloading them. */
#include "wire/oip/grpc_inside.h"

/* ---- the index ---- */

static int read_index_request(bool *ready, const wr_oip_rpc *c, wr_err *err)
{
    wr_pb r;
    wr_pb_field f;
    *ready = false;
    wr_pb_init(&r, c->in->message);
    while (wr_pb_next(&r, &f))
        if (f.number == 2) *ready = wr_pb_bool(&r, &f);
    return wr_pb_end(&r, "RepositoryIndexRequest", err);
}

int wr_oip_rpc_index(wr_oip_rpc *c, wr_err *err)
{
    bool ready;
    wr_index_entry *e;
    size_t n;
    WR_TRY(read_index_request(&ready, c, err));
    WR_TRY(c->ops->index(c->ops->ctx, &e, &n, c->arena, err));
    for (size_t i = 0; i < n; i++) {
        const wr_str texts[] = {e[i].name, e[i].version, e[i].state, e[i].reason};
        if (ready && !wr_str_is(e[i].state, "READY")) continue;
        size_t at = wr_pbw_open(c->b, 1);
        for (uint32_t k = 0; k < 4; k++)
            if (texts[k].n) wr_pbw_str(c->b, k + 1, texts[k]);
        wr_pbw_close(c->b, at);
    }
    return 0;
}

/* ---- load and unload ---- */

typedef struct {
    wr_str name, config;
} request;

/* ModelRepositoryParameter: a string where the configuration is meant. */
static int read_parameter(request *q, wr_pb *r, const wr_pb_field *f, wr_err *err)
{
    wr_pb_field key, value, choice;
    wr_pb sub;
    wr_str name;
    bool config, text = false;
    wr_pb_entry(&key, &value, r, f);
    name = key.number ? wr_pb_str(r, &key) : WR_STR("");
    int rc = wr_oip_load_parameter(&config, name, err);
    if (rc == WEIR_EUNSUPPORTED) err->code = rc = WEIR_EINTERNAL; /* what Triton's clients expect of such files */
    if (rc < 0 || !value.number || !config) return rc;
    wr_pb_enter(&sub, r, &value);
    while (wr_pb_next(&sub, &choice)) {
        text = choice.number == 3;
        if (text) q->config = wr_pb_str(&sub, &choice);
    }
    if (text || wr_pb_failed(&sub)) return 0;
    return wr_err_set(err, WEIR_EINVAL, "invalid value type for load parameter 'config', expected string_param.");
}

static int read_request(request *q, const wr_oip_rpc *c, wr_err *err)
{
    wr_pb r;
    wr_pb_field f;
    int rc = 0;
    wr_pb_init(&r, c->in->message);
    while (rc == 0 && wr_pb_next(&r, &f)) {
        if (f.number == 2) q->name = wr_pb_str(&r, &f);
        else if (f.number == 3) rc = read_parameter(q, &r, &f, err);
    }
    return rc < 0 ? rc : wr_pb_end(&r, "request", err);
}

static int control(wr_oip_rpc *c, bool load, wr_err *err)
{
    request q = {.name = WR_STR(""), .config = {NULL, 0}};
    WR_TRY(wr_oip_may_control(c->ops, load, err));
    if (read_request(&q, c, err) < 0) return wr_oip_uncontrolled(load, q.name, err);
    return wr_oip_control(c->ops, load, q.name, q.config, err);
}

int wr_oip_rpc_load(wr_oip_rpc *c, wr_err *err) { return control(c, true, err); }
int wr_oip_rpc_unload(wr_oip_rpc *c, wr_err *err) { return control(c, false, err); }
