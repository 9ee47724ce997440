/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_plain.c - the model's bytes without ZipMap: its maps of classes and probabilities say nothing that the tensor
 * before it does not.
 *
 * The message is copied field by field as it stands; only nodes and outputs that change are written anew. */
#include "predict/onnx_inside.h"

static bool is_output(const wr_onnx_model *m, wr_str name)
{
    for (size_t i = 0; i < m->nout; i++)
        if (m->out[i].kind == WR_ONNX_MAPS && wr_str_eq(m->out[i].name, name)) return true;
    return false;
}

static bool goes(const wr_onnx_model *m, const wr_onnx_node *n)
{
    return wr_str_is(n->op, "ZipMap") && wr_str_is(n->domain, "ai.onnx.ml") && n->nin == 1 && n->nout == 1 &&
           is_output(m, n->out[0]);
}

static bool made_by_zipmap(const wr_onnx_model *m, const wr_onnx_value *v)
{
    for (size_t i = 0; i < m->nnodes; i++)
        if (goes(m, &m->nodes[i]) && wr_str_eq(m->nodes[i].out[0], v->name)) return true;
    return false;
}

static void put_identity(wr_buf *b, const wr_onnx_node *n)
{
    size_t at = wr_pbw_open(b, 1);
    wr_pbw_str(b, 1, n->in[0]);
    wr_pbw_str(b, 2, n->out[0]);
    wr_pbw_str(b, 3, n->name);
    wr_pbw_str(b, 4, WR_STR("Identity"));
    wr_pbw_close(b, at);
}

/* ValueInfo: name, type { tensor_type { elem_type FLOAT, shape { dim {} dim {} } } } */
static void put_output(wr_buf *b, const wr_onnx_value *v)
{
    size_t at = wr_pbw_open(b, 12);
    wr_pbw_str(b, 1, v->name);
    size_t type = wr_pbw_open(b, 2), tensor = wr_pbw_open(b, 1);
    wr_pbw_u64(b, 1, 1);
    size_t shape = wr_pbw_open(b, 2);
    wr_pbw_str(b, 1, WR_STR(""));
    wr_pbw_str(b, 1, WR_STR(""));
    wr_pbw_close(b, shape);
    wr_pbw_close(b, tensor);
    wr_pbw_close(b, type);
    wr_pbw_close(b, at);
}

static void put_graph(wr_buf *b, const wr_onnx_model *m, wr_pb *r)
{
    size_t at = wr_pbw_open(b, 7), node = 0, out = 0;
    wr_pb_field f;
    for (const char *from = r->p; wr_pb_next(r, &f); from = r->p) {
        if (f.number == 1 && node < m->nnodes && goes(m, &m->nodes[node])) put_identity(b, &m->nodes[node]);
        else if (f.number == 12 && out < m->nout && made_by_zipmap(m, &m->out[out])) put_output(b, &m->out[out]);
        else wr_buf_add(b, from, (size_t)(r->p - from));
        node += f.number == 1;
        out += f.number == 12;
    }
    wr_pbw_close(b, at);
}

static void put_opset(wr_buf *b)
{
    size_t at = wr_pbw_open(b, 8);
    wr_pbw_str(b, 1, WR_STR(""));
    wr_pbw_u64(b, 2, 13);
    wr_pbw_close(b, at);
}

int wr_onnx_model_plain(wr_str *out, const wr_onnx_model *m, wr_arena *a, wr_err *err)
{
    bool any = false;
    for (size_t i = 0; i < m->nnodes && !any; i++) any = goes(m, &m->nodes[i]);
    *out = m->bytes;
    if (!any) return 0;
    wr_buf b;
    wr_pb r, sub;
    wr_pb_field f;
    wr_buf_init(&b, 0);
    wr_pb_init(&r, m->bytes);
    for (const char *from = r.p; wr_pb_next(&r, &f); from = r.p) {
        if (f.number == 7) {
            wr_pb_enter(&sub, &r, &f);
            put_graph(&b, m, &sub);
        } else {
            wr_buf_add(&b, from, (size_t)(r.p - from));
        }
    }
    if (m->opset == 0) put_opset(&b);
    *out = wr_arena_str(a, wr_buf_view(&b));
    bool failed = b.failed || !out->p;
    wr_buf_fini(&b);
    return failed ? wr_err_nomem(err) : wr_pb_end(&r, "ModelProto", err);
}
