/* SPDX-License-Identifier: Apache-2.0 */
/* raw.c - an inference request of V2 without JSON: the body is the one tensor (Triton's raw binary requests). */
#include "wire/oip/inside.h"

static int raw_shape(wr_tensor *t, const wr_oip_model *m, size_t bytes, wr_err *err)
{
    const wr_tensor_spec *s = &m->in[0];
    int free_at = -1;
    size_t known = wr_tensor_type_size(t->type);
    t->ndims = s->ndims;
    for (int i = 0; i < s->ndims; i++) {
        bool row = i == 0 && m->rows;
        t->shape[i] = row ? 1 : s->shape[i];
        if (t->shape[i] >= 0) {
            known *= (size_t)t->shape[i];
            continue;
        }
        if (free_at >= 0)
            return wr_err_set(err, WEIR_EINVAL,
                              "The shape of the raw input '%s' can not be deduced because there are more than one "
                              "variable-sized dimension",
                              s->name);
        free_at = i;
    }
    if (t->type == WR_TENSOR_BYTES) {
        if (free_at < 0 && known == wr_tensor_type_size(t->type)) return 0;
        return wr_err_set(err, WEIR_EINVAL, "For BYTE datatype raw input '%s', the model must have input shape [1]",
                          s->name);
    }
    if (free_at >= 0) t->shape[free_at] = known ? (int64_t)(bytes / known) : 0;
    return 0;
}

int wr_oip_read_raw(wr_oip_asked *out, wr_oip_call *c, wr_err *err)
{
    wr_oip_asking k;
    *out = wr_oip_asked_by(c);
    WR_TRY(wr_oip_ask(&k, out, &c->m, c->arena, err));
    if (c->m.nin != 1)
        return wr_err_set(err, WEIR_EINVAL,
                          "Raw request must only have 1 input (found 1) to be deduced but got %zu inputs in '%.*s' "
                          "model configuration",
                          c->m.nin, WR_STR_FMT(wr_str_fit(c->m.name, 100)));
    wr_tensor one = {.name = wr_str_of(c->m.in[0].name), .type = c->m.in[0].type}, *t = &one;
    WR_TRY(raw_shape(t, &c->m, c->in->body.n, err));
    WR_TRY(wr_tensor_count(t, err));
    if (t->type == WR_TENSOR_BYTES) { /* the one string, without its length */
        WR_TRY(wr_tensor_alloc(t, c->arena, err));
        *(wr_str *)t->data = (wr_str){c->in->body.n ? c->in->body.p : "", c->in->body.n};
    } else {
        WR_TRY(wr_tensor_read_binary(t, c->in->body, c->arena, err));
    }
    out->binary = out->raw = true;
    return wr_oip_ask_input(&k, t, err);
}
