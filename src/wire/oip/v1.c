/* SPDX-License-Identifier: Apache-2.0 */
/* v1.c - the protocol before V2 (TensorFlow Serving, KServe): rows in, predictions out. */
#include <stdio.h>

#include "wire/oip/frame.h"

/* ---- the list and one of it ---- */

static void list_models(wr_oip_call *c)
{
    wr_index_entry *e = NULL;
    size_t n = 0;
    if (!wr_oip_method(c, "GET")) return;
    if (c->ops->index(c->ops->ctx, &e, &n, c->arena, &c->err) < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    wr_jsonw_obj(&c->w);
    wr_jsonw_key(&c->w, "models");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++) /* by name: versions of one follow each other */
        if (!i || !wr_str_eq(e[i].name, e[i - 1].name)) wr_jsonw_str(&c->w, e[i].name);
    wr_jsonw_end(&c->w);
    wr_jsonw_end(&c->w);
}

static void ready(wr_oip_call *c)
{
    wr_jsonw_obj(&c->w);
    wr_jsonw_kslice(&c->w, "name", c->m.name);
    wr_jsonw_kbool(&c->w, "ready", true);
    wr_jsonw_end(&c->w);
}

/* ---- predict ---- */

static int read_values(wr_oip_call *c, wr_oip_infer *q, wr_jscan *s, bool instances)
{
    wr_oip_frame f;
    if (!c->m.rows && !instances) return wr_oip_whole_tensors(q, c, s, &c->err);
    WR_TRY(wr_oip_frame_init(&f, c, &c->err));
    WR_TRY(wr_jscan_peek(s) == '{' && !instances ? wr_oip_frame_columns(&f, s) : wr_oip_frame_rows(&f, s));
    return wr_oip_frame_finish(&f, q);
}

static int read_request(wr_oip_call *c, wr_oip_infer *q)
{
    wr_jscan s;
    bool first, read = false;
    wr_str key;
    int more;
    wr_jscan_init(&s, c->in->body, c->arena, &c->err);
    if (wr_jscan_peek(&s) != '{')
        return wr_err_set(&c->err, WEIR_EPARSE, "Expected a JSON object as the request's body");
    WR_TRY(wr_jscan_open(&s, '{', &first));
    while ((more = wr_jscan_member(&s, &first, &key)) == 1) {
        bool instances = wr_str_is(key, "instances"), inputs = wr_str_is(key, "inputs");
        if (!instances && !inputs) {
            WR_TRY(wr_jscan_skip(&s, NULL));
            continue;
        }
        if (read)
            return wr_err_set(&c->err, WEIR_EINVAL, "Expected \"instances\" or \"inputs\", and only one of them, once");
        WR_TRY(read_values(c, q, &s, instances));
        read = true;
    }
    if (more < 0) return more;
    WR_TRY(wr_jscan_end(&s));
    return read ? 0 : wr_err_set(&c->err, WEIR_EINVAL, "Expected \"instances\" to be a list");
}

static int put_answer(wr_oip_inference *f)
{
    wr_oip_call *c = f->c;
    const wr_oip_result *r = &f->result;
    wr_jsonw *w = &c->w;
    const wr_tensor *told = wr_oip_contributions(c, r);
    wr_jsonw_obj(w);
    if (!told || r->nout > 1) {
        wr_jsonw_key(w, "predictions");
        wr_jsonw_raw(w, (wr_str){"", 0});
        wr_oip_put_predictions(c->out->body, r, told, c->m.rows, false);
    }
    if (told) wr_oip_put_explanations(c, told);
    wr_oip_put_ids(c, r);
    wr_jsonw_end(w);
    return 0;
}

static int ask(wr_oip_call *c)
{
    wr_oip_infer q = {.explain = c->explain, .start_ns = c->in->start_ns};
    wr_oip_inference *f = wr_arena_alloc(c->arena, sizeof *f);
    if (!f) return wr_err_nomem(&c->err);
    *f = (wr_oip_inference){.c = c, .put = put_answer};
    WR_TRY(wr_oip_may_explain(c, &c->err));
    WR_TRY(read_request(c, &q));
    return wr_oip_ask_model(f, &q);
}

static void predict(wr_oip_call *c)
{
    if (ask(c) < 0) wr_oip_fail_with(c, &c->err);
}

/* ---- paths ---- */

/* "M[/versions/V][:VERB]" */
void wr_oip_v1(wr_oip_call *c, wr_str rest)
{
    if (!rest.n) {
        list_models(c);
        return;
    }
    const char *colon = rest.n ? memrchr(rest.p, ':', rest.n) : NULL;
    wr_str verb = {NULL, 0};
    if (colon) {
        verb = wr_str_sub(rest, (size_t)(colon - rest.p) + 1, rest.n);
        rest = wr_str_sub(rest, 0, (size_t)(colon - rest.p));
    }
    rest = wr_str_sub(rest, 1, rest.n); /* '/' */
    c->model = wr_oip_segment(&rest);
    if (rest.p && wr_str_starts(rest, "versions/")) c->version = wr_str_sub(rest, strlen("versions/"), rest.n);
    else if (rest.p) c->model.n = 0;
    c->explain = wr_str_is(verb, "explain");
    if (!c->model.n || (c->version.p && !c->version.n))
        wr_oip_fail_text(c, 404, "Not Found", "models are at /v1/models/NAME[:predict|:explain]");
    else if (!verb.p) wr_oip_with_model(c, "GET", ready);
    else if (c->explain || wr_str_is(verb, "predict")) wr_oip_with_model(c, "POST", predict);
    else wr_oip_fail_text(c, 404, "Not Found", "a model has :predict and :explain");
}
