/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - the answer to an inference of V2: outputs as JSON, as bytes behind it, in shared memory, or as classes;
 * packed if asked for. */
#include <math.h>
#include <stdio.h>

#include "codec/inflate.h"
#include "wire/oip/inside.h"

/* ---- classes ---- */

typedef struct {
    double value;
    size_t index;
} class;

/* Before another: the greater value, then the lower index; what is no number comes last. */
static bool before(const class *a, const class *b)
{
    if (isnan(a->value) || isnan(b->value)) {
        if (isnan(a->value) != isnan(b->value)) return isnan(b->value);
        return a->index < b->index;
    }
    return a->value != b->value ? a->value > b->value : a->index < b->index;
}

/* heap[0] is the worst of n. */
static void sift_down(class *heap, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(&heap[worst], &heap[child])) worst = child;
        if (worst == i) return;
        class t = heap[i];
        heap[i] = heap[worst];
        heap[worst] = t;
        i = worst;
    }
}

/* The k best of n values, best first: a heap of k whose worst makes place for what is better. */
static void best(class *out, size_t k, const double *values, size_t n)
{
    for (size_t i = 0; i < k; i++) out[i] = (class){values[i], i};
    for (size_t i = k / 2; i-- > 0;) sift_down(out, k, i);
    for (size_t i = k; i < n; i++) {
        class new = {values[i], i};
        if (!before(&new, &out[0])) continue;
        out[0] = new;
        sift_down(out, k, 0);
    }
    for (size_t left = k; left > 1;) {
        class t = out[0];
        out[0] = out[--left];
        out[left] = t;
        sift_down(out, left, 0);
    }
}

static const wr_tensor_spec *spec_of(const wr_oip_model *m, const wr_tensor *t)
{
    size_t at = wr_oip_find(m->out, m->nout, t->name, 0);
    return at < m->nout ? &m->out[at] : NULL;
}

/* "value:index[:label]" */
static int class_text(wr_str *out, const wr_tensor *t, size_t at, const class *k, const wr_tensor_spec *spec,
                      wr_buf *text, wr_arena *a, wr_err *err)
{
    wr_buf_clear(text);
    wr_tensor_write_json_element(text, t, at, true);
    wr_buf_printf(text, ":%zu", k->index);
    if (spec && k->index < spec->nlabels) wr_buf_printf(text, ":%s", spec->labels[k->index]);
    *out = wr_arena_str(a, wr_buf_view(text));
    return out->p && !text->failed ? 0 : wr_err_nomem(err);
}

static int classify_rows(wr_tensor *out, const wr_tensor *t, const double *values, size_t rows, size_t each, size_t k,
                         const wr_tensor_spec *spec, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    class *top = wr_arena_alloc(a, (k + 1) * sizeof *top);
    if (!top) return wr_err_nomem(err);
    for (size_t row = 0; row < rows; row++) {
        best(top, k, values + row * each, each);
        for (size_t i = 0; i < k; i++) {
            wr_str *to = (wr_str *)out->data + row * k + i;
            WR_TRY(class_text(to, t, row * each + top[i].index, &top[i], spec, &text, a, err));
        }
    }
    return 0;
}

/* The k greatest of each row instead of the values. */
static int classify(wr_tensor *t, uint64_t classes, const wr_oip_model *m, wr_arena *a, wr_err *err)
{
    enum { MOST = 1000000 };
    wr_tensor values, out = {.name = t->name, .type = WR_TENSOR_BYTES};
    bool rows = m->rows && t->ndims > 0;
    size_t n = rows ? (size_t)t->shape[0] : 1, each = n ? t->count / n : 0, k = classes < each ? (size_t)classes : each;
    if (t->type == WR_TENSOR_BYTES || t->type == WR_TENSOR_BOOL || t->type == WR_TENSOR_FP16 ||
        t->type == WR_TENSOR_BF16)
        return wr_err_set(err, WEIR_EINVAL, "class result not available for output due to unsupported type '%s'",
                          wr_tensor_type_name(t->type));
    if (t->count > MOST) return wr_err_set(err, WEIR_EINVAL, "classification output tensor too large");
    WR_TRY(wr_tensor_convert(&values, t, WR_TENSOR_FP64, a, err));
    if (rows) out.shape[out.ndims++] = (int64_t)n;
    out.shape[out.ndims++] = (int64_t)k;
    WR_TRY(wr_tensor_count(&out, err));
    WR_TRY(wr_tensor_alloc(&out, a, err));
    WR_TRY(classify_rows(&out, t, values.data, n, each, k, spec_of(m, t), a, err));
    *t = out;
    return 0;
}

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

static int to_region(answer *s, const wr_tensor *t, const wr_oip_output *o, wr_err *err)
{
    WR_AUTOBUF wr_buf bytes = {0};
    size_t n = wr_tensor_binary_size(t);
    if (n > o->size)
        return wr_err_set(
            err, WEIR_EINVAL,
            "shared memory size specified with the request for output '%.*s' (%llu bytes) should be at least %zu "
            "bytes to hold the results",
            WR_STR_FMT(wr_str_fit(t->name, 80)), (unsigned long long)o->size, n);
    if (t->type != WR_TENSOR_BYTES)
        return wr_oip_region_write(s->c->o, o->region, o->offset, (wr_str){n ? t->data : "", n}, err);
    wr_tensor_write_binary(&bytes, t);
    if (bytes.failed) return wr_err_nomem(err);
    return wr_oip_region_write(s->c->o, o->region, o->offset, wr_buf_view(&bytes), err);
}

static int put_output(answer *s, size_t i, wr_err *err)
{
    wr_jsonw *w = &s->c->w;
    wr_tensor *t = &s->r->out[i];
    wr_oip_output o = how(s, i);
    if (o.classes) WR_TRY(classify(t, o.classes, &s->c->m, s->c->arena, err));
    if (o.region.p) WR_TRY(to_region(s, t, &o, err));
    else if (!o.binary && (t->type == WR_TENSOR_FP16 || t->type == WR_TENSOR_BF16))
        return wr_err_set(err, WEIR_EINVAL,
                          "sending %s data via JSON is not supported. Please use the binary data format for output",
                          wr_tensor_type_name(t->type));
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", t->name);
    wr_jsonw_kstr(w, "datatype", wr_tensor_type_name(t->type));
    wr_oip_put_shape(w, t->shape, t->ndims);
    if (o.binary) {
        size_t n = wr_tensor_binary_size(t);
        s->binary += n;
        wr_jsonw_key(w, "parameters");
        wr_jsonw_obj(w);
        wr_jsonw_key(w, "binary_data_size");
        wr_jsonw_u64(w, n);
        wr_jsonw_end(w);
    } else if (!o.region.p) {
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
