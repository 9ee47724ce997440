/* SPDX-License-Identifier: Apache-2.0 */
/* whole.c - tensors of a model without rows: each is the value of its name, of the shape that its lists have. */
#include "wire/oip/frame.h"

static int nested_shape(wr_tensor *t, const wr_jscan *s, wr_err *err)
{
    wr_jscan look = *s;
    bool first;
    for (t->ndims = 0; wr_jscan_peek(&look) == '['; t->ndims++) {
        size_t n;
        if (t->ndims == WR_TENSOR_DIMS) return wr_err_set(err, WEIR_EINVAL, "more than %d dimensions", WR_TENSOR_DIMS);
        WR_TRY(wr_oip_count_items(&look, &n));
        t->shape[t->ndims] = (int64_t)n;
        WR_TRY(wr_jscan_open(&look, '[', &first));
    }
    return wr_tensor_count(t, err);
}

static int whole_tensor(wr_tensor *t, wr_oip_call *c, size_t i, wr_jscan *s, wr_err *err)
{
    *t = (wr_tensor){.name = wr_str_of(c->m.in[i].name), .type = c->m.in[i].type};
    WR_TRY(nested_shape(t, s, err));
    WR_TRY(wr_tensor_alloc(t, c->arena, err));
    int rc = wr_tensor_read_json_part(t, 0, t->count, NULL, s);
    return rc < 0 ? wr_err_wrap(err, rc, "input '%s'", c->m.in[i].name) : 0;
}

int wr_oip_whole_tensors(wr_oip_infer *q, wr_oip_call *c, wr_jscan *s, wr_err *err)
{
    bool first;
    wr_str key;
    int more;
    size_t n = 0;
    wr_tensor *t = wr_arena_calloc(c->arena, c->m.nin + 1, sizeof *t);
    if (!t) return wr_err_nomem(err);
    q->in = t;
    if (wr_jscan_peek(s) != '{') {
        if (c->m.nin != 1)
            return wr_err_set(err, WEIR_EINVAL, "the model has %zu inputs: expected {name: values}", c->m.nin);
        q->nin = 1;
        return whole_tensor(t, c, 0, s, err);
    }
    WR_TRY(wr_jscan_open(s, '{', &first));
    while ((more = wr_jscan_member(s, &first, &key)) == 1) {
        size_t i = wr_oip_find(c->m.in, c->m.nin, key, n);
        for (size_t k = 0; i < c->m.nin && k < n; k++)
            if (wr_str_eq(t[k].name, key))
                return wr_err_set(err, WEIR_EINVAL, "input '%s' is there twice", c->m.in[i].name);
        if (i == c->m.nin) WR_TRY(wr_jscan_skip(s, NULL));
        else WR_TRY(whole_tensor(&t[n++], c, i, s, err));
    }
    q->nin = n;
    return more;
}
