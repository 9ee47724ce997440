/* SPDX-License-Identifier: Apache-2.0 */
/* infer.c - one inference: a model is asked, and its answer written when it is there. And that of V2: where the JSON
 * ends, the request, the answer. */
#include "base/num.h"
#include "wire/oip/inside.h"

/* Inference-Header-Content-Length: bytes of JSON in front of binary tensors; not there: all of the body. */
static int header_length(size_t *out, const wr_oip_call *c, wr_err *err)
{
    static const char name[] = "Inference-Header-Content-Length";
    wr_str text = c->in->header_length, shown = wr_str_fit(text, 40);
    int64_t n;
    *out = c->in->body.n;
    if (!text.p) return 0;
    int rc = wr_num_i64(&n, wr_str_trim(text), NULL);
    if (rc == WEIR_EPARSE)
        return wr_err_set(err, WEIR_EINVAL, "Unable to parse %s, got: %.*s", name, WR_STR_FMT(shown));
    if (rc < 0 || n > INT32_MAX || n < INT32_MIN)
        return wr_err_set(err, WEIR_EINVAL,
                          "Unable to parse %s, value is out of range [ -2147483648, 2147483647 ], got: %.*s", name,
                          WR_STR_FMT(shown));
    if (n < 0 || (uint64_t)n > c->in->body.n)
        return wr_err_set(err, WEIR_EINVAL, "inference header size should be in range (0, %zu), got: %.*s",
                          c->in->body.n, WR_STR_FMT(shown));
    *out = (size_t)n;
    return 0;
}

int wr_oip_may_explain(const wr_oip_call *c, wr_err *err)
{
    if (!c->explain || c->m.explains) return 0;
    return wr_err_set(err, WEIR_EUNSUPPORTED, "model '%.*s' does not explain its predictions%s%s",
                      WR_STR_FMT(wr_str_fit(c->m.name, 100)), c->m.no_explain ? ": " : "",
                      c->m.no_explain ? c->m.no_explain : "");
}

/* ---- asking ---- */

static int answer(wr_oip_inference *f)
{
    f->c->out->kept = f->result.kept; /* also when the answer fails: the prediction is there */
    return f->put(f);
}

static void waited(void *arg, int rc)
{
    wr_oip_inference *f = arg;
    wr_oip_call *c = f->c;
    c->in->later.begin(c->in->later.arg);
    wr_jsonw_init(&c->w, c->out->body, 0);
    if (rc < 0 || answer(f) < 0) wr_oip_fail_with(c, &c->err);
    wr_oip_over(c);
}

int wr_oip_ask_model(wr_oip_inference *f, wr_oip_infer *q)
{
    wr_oip_call *c = f->c;
    f->result = (wr_oip_result){0};
    q->done = c->in->later.begin ? waited : NULL;
    q->arg = f;
    int rc = c->ops->infer(c->ops->ctx, &f->result, &c->m, q, c->arena, &c->err);
    c->waits = rc == 1;
    return rc == 0 ? answer(f) : rc;
}

/* ---- V2 ---- */

typedef struct {
    wr_oip_inference f; /* the first member */
    wr_oip_asked asked;
} inference;

static int put_answer(wr_oip_inference *f)
{
    return wr_oip_answer(f->c, &((inference *)f)->asked, &f->result, &f->c->err);
}

static int infer(wr_oip_call *c, wr_err *err)
{
    size_t header;
    inference *v2 = wr_arena_alloc(c->arena, sizeof *v2);
    if (!v2) return wr_err_nomem(err);
    v2->f = (wr_oip_inference){.c = c, .put = put_answer};
    WR_TRY(wr_oip_may_explain(c, err));
    WR_TRY(header_length(&header, c, err));
    WR_TRY(c->in->header_length.p && !header ? wr_oip_read_raw(&v2->asked, c, err)
                                             : wr_oip_read_request(&v2->asked, c, header, err));
    return wr_oip_ask_model(&v2->f, &v2->asked.q);
}

void wr_oip_infer_v2(wr_oip_call *c)
{
    if (infer(c, &c->err) < 0) wr_oip_fail_with(c, &c->err);
}
