/* SPDX-License-Identifier: Apache-2.0 */
/* infer.c - one inference of V2: where the JSON ends, the request, the model, the answer. */
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

typedef struct {
    wr_oip_call *c;
    wr_oip_asked asked;
    wr_oip_result result;
} inference;

static int answer(inference *f)
{
    f->c->out->kept = f->result.kept; /* also when the answer fails: the prediction is there */
    return wr_oip_answer(f->c, &f->asked, &f->result, &f->c->err);
}

static void waited(void *arg, int rc)
{
    inference *f = arg;
    wr_oip_call *c = f->c;
    c->in->later.begin(c->in->later.arg);
    wr_jsonw_init(&c->w, c->out->body, 0);
    if (rc < 0 || answer(f) < 0) wr_oip_fail_with(c, &c->err);
    wr_oip_over(c);
}

static int infer(wr_oip_call *c, wr_err *err)
{
    size_t header;
    inference *f = wr_arena_alloc(c->arena, sizeof *f);
    if (!f) return wr_err_nomem(err);
    f->c = c;
    f->result = (wr_oip_result){0};
    WR_TRY(wr_oip_may_explain(c, err));
    WR_TRY(header_length(&header, c, err));
    WR_TRY(c->in->header_length.p && !header ? wr_oip_read_raw(&f->asked, c, err)
                                             : wr_oip_read_request(&f->asked, c, header, err));
    f->asked.q.done = c->in->later.begin ? waited : NULL;
    f->asked.q.arg = f;
    int rc = c->ops->infer(c->ops->ctx, &f->result, &c->m, &f->asked.q, c->arena, err);
    c->waits = rc == 1;
    return rc == 0 ? answer(f) : rc;
}

void wr_oip_infer_v2(wr_oip_call *c)
{
    if (infer(c, &c->err) < 0) wr_oip_fail_with(c, &c->err);
}
