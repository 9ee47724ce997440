/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - the configuration of a model: its own, or one that is made of what is known of its tensors. */
#include <stdio.h>

#include "base/limits.h"
#include "codec/json.h"
#include "wire/oip/service.h"

static void put_tensor_config(wr_jsonw *w, const char *key, const wr_tensor_spec *specs, size_t n, bool rows)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        char type[16];
        const char *name = specs[i].type == WR_TENSOR_BYTES ? "STRING" : wr_tensor_type_name(specs[i].type);
        snprintf(type, sizeof type, "TYPE_%s", name);
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", specs[i].name);
        wr_jsonw_kstr(w, "data_type", type);
        wr_jsonw_key(w, "dims");
        wr_jsonw_arr(w);
        for (int k = rows; k < specs[i].ndims; k++) wr_jsonw_i64(w, specs[i].shape[k]);
        wr_jsonw_end(w);
        if (specs[i].optional) wr_jsonw_kbool(w, "optional", true);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_made(wr_jsonw *w, const wr_oip_model *m)
{
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", m->name);
    wr_jsonw_kstr(w, "platform", m->platform ? m->platform : "weir");
    wr_jsonw_kstr(w, "backend", "weir");
    wr_jsonw_ki64(w, "max_batch_size", m->rows ? WR_LIMIT_ROWS_INFER : 0);
    put_tensor_config(w, "input", m->in, m->nin, m->rows);
    put_tensor_config(w, "output", m->out, m->nout, m->rows);
    wr_jsonw_end(w);
}

int wr_oip_config(wr_str *json, const wr_oip_ops *ops, const wr_oip_model *m, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    if (ops->config) return ops->config(ops->ctx, json, m, a, err);
    wr_jsonw_init(&w, &b, 0);
    put_made(&w, m);
    *json = wr_arena_str(a, wr_buf_view(&b));
    return b.failed || !json->p ? wr_err_nomem(err) : 0;
}
