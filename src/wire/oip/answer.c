/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - the answer to an inference of V2: outputs as JSON, as bytes behind it, in shared memory, or as classes;
 * packed if asked for. */
#include <stdio.h>

#include "codec/inflate.h"
#include "wire/oip/inside.h"

/* ---- outputs ---- */

typedef struct {
    wr_oip_call *c;
    const wr_oip_asked *asked;
    wr_oip_result *r;
    size_t binary; /* bytes behind the JSON */
} answer;

static wr_oip_output how(const answer *s, size_t i)
{
    if (i < s->asked->q.noutputs) return s->asked->outputs[i];
    return (wr_oip_output){.binary = s->asked->binary};
}

static void put_parameters(answer *s, const wr_tensor *t, bool binary)
{
    wr_jsonw *w = &s->c->w;
    bool told = s->c->explain && wr_str_is(t->name, "contributions");
    if (!binary && !told) return;
    wr_jsonw_key(w, "parameters");
    wr_jsonw_obj(w);
    if (binary) {
        size_t n = wr_tensor_binary_size(t);
        s->binary += n;
        wr_jsonw_key(w, "binary_data_size");
        wr_jsonw_u64(w, n);
    }
    if (told) wr_oip_put_explained(s->c, t);
    wr_jsonw_end(w);
}

static int put_output(answer *s, size_t i, wr_err *err)
{
    wr_jsonw *w = &s->c->w;
    wr_tensor *t = &s->r->out[i];
    wr_oip_output o = how(s, i);
    if (o.classes) WR_TRY(wr_oip_classify(t, o.classes, &s->c->m, s->c->arena, err));
    if (o.place.region.p) WR_TRY(wr_oip_region_put(s->c->o, &o.place, t, err));
    else if (!o.binary && (t->type == WR_TENSOR_FP16 || t->type == WR_TENSOR_BF16))
        return wr_err_set(err, WEIR_EINVAL,
                          "sending %s data via JSON is not supported. Please use the binary data format for output",
                          wr_tensor_type_name(t->type));
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", t->name);
    wr_jsonw_kstr(w, "datatype", wr_tensor_type_name(t->type));
    wr_oip_put_shape(w, t->shape, t->ndims);
    put_parameters(s, t, o.binary);
    if (!o.binary && !o.place.region.p) {
        wr_jsonw_key(w, "data");
        wr_jsonw_raw(w, (wr_str){"", 0}); /* the tensor writes itself */
        wr_tensor_write_json(s->c->out->body, t);
    }
    wr_jsonw_end(w);
    return 0;
}

void wr_oip_put_ids(wr_oip_call *c, const wr_oip_result *r)
{
    if (!r->nids) return;
    wr_jsonw_key(&c->w, "prediction_ids");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < r->nids; i++) wr_jsonw_str(&c->w, r->ids[i]);
    wr_jsonw_end(&c->w);
}

static void put_head(answer *s)
{
    wr_jsonw *w = &s->c->w;
    const wr_oip_result *r = s->r;
    wr_str version = r->version.p ? r->version : s->c->m.version;
    wr_jsonw_kslice(w, "model_name", s->c->m.name);
    if (version.n) wr_jsonw_kslice(w, "model_version", version);
    if (s->asked->q.id.n) wr_jsonw_kslice(w, "id", s->asked->q.id);
    if (!r->nids) return;
    wr_jsonw_key(w, "parameters");
    wr_jsonw_obj(w);
    wr_oip_put_ids(s->c, r);
    wr_jsonw_end(w);
}

/* ---- the whole ---- */

static void add_header(wr_oip_response *out, const char *name, const char *value)
{
    size_t n = strlen(out->headers);
    snprintf(out->headers + n, sizeof out->headers - n, "%s: %s\r\n", name, value);
}

/* Only what gains by it; an answer that cannot be packed goes as it is. */
static void pack(wr_oip_call *c)
{
    enum { LEAST = 200 };
    WR_AUTOBUF wr_buf packed = {0};
    wr_coding coding = c->in->accept_encoding.p ? wr_coding_accepted(c->in->accept_encoding) : WR_CODING_NONE;
    if (coding == WR_CODING_NONE || c->out->body->n < LEAST || c->out->body->failed) return;
    if (wr_deflate(&packed, wr_buf_view(c->out->body), coding, NULL) < 0) return;
    wr_buf_clear(c->out->body);
    wr_buf_slice(c->out->body, wr_buf_view(&packed));
    add_header(c->out, "Content-Encoding", coding == WR_CODING_GZIP ? "gzip" : "deflate");
}

int wr_oip_answer(wr_oip_call *c, const wr_oip_asked *asked, wr_oip_result *r, wr_err *err)
{
    answer s = {.c = c, .asked = asked, .r = r};
    char text[24];
    wr_jsonw_obj(&c->w);
    put_head(&s);
    wr_jsonw_key(&c->w, "outputs");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < r->nout; i++) WR_TRY(put_output(&s, i, err));
    wr_jsonw_end(&c->w);
    wr_jsonw_end(&c->w);
    size_t json = c->out->body->n;
    if (s.binary || asked->raw) {
        snprintf(text, sizeof text, "%zu", json);
        add_header(c->out, "Inference-Header-Content-Length", text);
        c->out->type = "application/octet-stream";
    }
    for (size_t i = 0; i < r->nout; i++)
        if (how(&s, i).binary) wr_tensor_write_binary(c->out->body, &r->out[i]);
    pack(c);
    return 0;
}
