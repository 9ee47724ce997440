/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_answer.c - ModelInferResponse: outputs by name, type and shape, then their bytes. */
#include "codec/json.h"
#include "wire/oip/grpc_inside.h"

static void put_ids(wr_buf *b, const wr_oip_result *r)
{
    wr_jsonw w;
    if (!r->nids) return;
    size_t entry = wr_oip_open_entry(b, 4, WR_STR("prediction_ids"));
    size_t value = wr_pbw_open(b, 2);
    size_t text = wr_pbw_open(b, 3);
    wr_jsonw_init(&w, b, 0);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < r->nids; i++) wr_jsonw_str(&w, r->ids[i]);
    wr_jsonw_end(&w);
    wr_pbw_close(b, text);
    wr_pbw_close(b, value);
    wr_pbw_close(b, entry);
}

static void put_output(wr_buf *b, const wr_tensor *t)
{
    size_t at = wr_pbw_open(b, 5);
    wr_pbw_str(b, 1, t->name);
    wr_pbw_str(b, 2, wr_str_of(wr_tensor_type_name(t->type)));
    wr_oip_put_shape64(b, 3, t->shape, t->ndims);
    wr_pbw_close(b, at);
}

static void put_raw(wr_buf *b, const wr_tensor *t)
{
    enum { RAW = 6 };
    wr_pbw_varint(b, RAW << 3 | WR_PB_LEN);
    wr_pbw_varint(b, wr_tensor_binary_size(t)); /* known before, so that nothing has to be moved */
    wr_tensor_write_binary(b, t);
}

int wr_oip_rpc_answer(wr_oip_rpc *c, const wr_oip_asked *asked, wr_oip_result *r, wr_err *err)
{
    wr_str version = r->version.p ? r->version : c->m.version;
    const wr_oip_output *how = asked->q.noutputs ? asked->outputs : NULL;
    wr_pbw_str(c->b, 1, c->m.name);
    if (version.n) wr_pbw_str(c->b, 2, version);
    if (asked->q.id.n) wr_pbw_str(c->b, 3, asked->q.id);
    put_ids(c->b, r);
    for (size_t i = 0; i < r->nout; i++) {
        if (how && how[i].classes) WR_TRY(wr_oip_classify(&r->out[i], how[i].classes, &c->m, c->arena, err));
        put_output(c->b, &r->out[i]);
    }
    for (size_t i = 0; i < r->nout; i++) {
        if (!how || !how[i].place.region.p) {
            put_raw(c->b, &r->out[i]);
            continue;
        }
        WR_TRY(wr_oip_region_put(c->o, &how[i].place, &r->out[i], err));
        wr_pbw_str(c->b, 6, WR_STR(""));
    }
    return 0;
}
