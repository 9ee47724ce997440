/* SPDX-License-Identifier: Apache-2.0 */
/* oip.c - paths and answers of the Open Inference Protocol. Tensors: oip_tensor.c. */
#include "wire/oip/oip.h"

#include <stdio.h>

#include "base/limits.h"
#include "wire/oip/oip_tensor.h"

typedef struct {
    wr_oip_response *out;
    const wr_oip_request *in;
    const wr_oip_ops *ops;
    wr_arena *arena;
    wr_jsonw w;
    wr_str model, version, verb; /* of the path */
} call;

enum { OUT_PROBABILITY = 1, OUT_LABEL = 2 };
static const char *const output_names[] = {"probability", "label"};
static const char *const output_types[] = {"FP64", "INT64"};

/* ---- answers ---- */

static void fail(call *c, int status, const wr_err *e)
{
    wr_buf *b = c->out->body;
    wr_buf_clear(b);
    c->out->status = status;
    wr_jsonw_init(&c->w, b, 0);
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 4096);
    wr_buf_str(&text, e->msg[0] ? e->msg : wr_err_text(e->code));
    if (e->detail[0]) wr_buf_printf(&text, ": %s", e->detail);
    if (e->hint[0]) wr_buf_printf(&text, " (%s)", e->hint);
    wr_jsonw_obj(&c->w);
    wr_jsonw_key(&c->w, "error");
    wr_jsonw_str(&c->w, wr_buf_view(&text));
    wr_jsonw_end(&c->w);
}

/* Triton answers 400 whatever is wrong with a request; limits and the server's own trouble keep their status. */
static void fail_with(call *c, const wr_err *e)
{
    int status = wr_err_http(e->code);
    if (status > 400 && status < 500 && e->code != WEIR_ENOTFOUND && e->code != WEIR_ELIMIT) status = 400;
    fail(c, status, e);
}

static void fail_text(call *c, int status, const char *text, const char *hint)
{
    wr_err e = {0};
    snprintf(e.msg, sizeof e.msg, "%s", text);
    if (hint) snprintf(e.hint, sizeof e.hint, "%s", hint);
    fail(c, status, &e);
}

static bool method(call *c, const char *want)
{
    bool ok = wr_str_is(c->in->method, want) || (strcmp(want, "GET") == 0 && wr_str_is(c->in->method, "HEAD"));
    char text[64];
    if (ok) return true;
    snprintf(text, sizeof text, "this path takes %s", want);
    fail_text(c, 405, text, NULL);
    return false;
}

static void server_metadata(call *c)
{
    if (!method(c, "GET")) return;
    wr_jsonw_obj(&c->w);
    wr_jsonw_kstr(&c->w, "name", "weir");
    wr_jsonw_kstr(&c->w, "version", c->ops->server_version);
    wr_jsonw_key(&c->w, "extensions");
    wr_jsonw_arr(&c->w);
    wr_jsonw_end(&c->w);
    wr_jsonw_end(&c->w);
}

static void health(call *c, bool live)
{
    if (!method(c, "GET")) return;
    bool ok = live || c->ops->ready(c->ops->ctx);
    c->out->status = ok ? 200 : 400;
    wr_jsonw_obj(&c->w);
    wr_jsonw_kbool(&c->w, live ? "live" : "ready", ok);
    if (!ok) wr_jsonw_kstr(&c->w, "error", "an endpoint has no model yet");
    wr_jsonw_end(&c->w);
}

static void put_shape(wr_jsonw *w, int64_t n)
{
    wr_jsonw_key(w, "shape");
    wr_jsonw_arr(w);
    wr_jsonw_i64(w, n);
    wr_jsonw_end(w);
}

static void put_tensor(wr_jsonw *w, const char *name, const char *datatype)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", name);
    wr_jsonw_kstr(w, "datatype", datatype);
    put_shape(w, -1);
    wr_jsonw_end(w);
}

static void model_metadata(call *c, const wr_oip_model *m)
{
    wr_jsonw *w = &c->w;
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", m->name);
    wr_jsonw_key(w, "versions");
    wr_jsonw_arr(w);
    if (m->version.n) wr_jsonw_str(w, m->version);
    wr_jsonw_end(w);
    wr_jsonw_kstr(w, "platform", "weir");
    wr_jsonw_key(w, "inputs");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < m->ninputs; i++) put_tensor(w, m->inputs[i], m->types[i] == WR_F64 ? "FP64" : "BYTES");
    wr_jsonw_end(w);
    wr_jsonw_key(w, "outputs");
    wr_jsonw_arr(w);
    for (int i = 0; i < 2; i++) put_tensor(w, output_names[i], output_types[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void model_ready(call *c, const wr_oip_model *m)
{
    wr_jsonw_obj(&c->w);
    wr_jsonw_kslice(&c->w, "name", m->name);
    wr_jsonw_kbool(&c->w, "ready", true);
    wr_jsonw_end(&c->w);
}

/* ---- infer ---- */

typedef struct {
    wr_str id;
    wr_oip_rows rows;
    int outputs[2];
    size_t noutputs;
    double *scores;
    wr_str *ids;
} inference;

static int read_outputs(inference *f, yyjson_val *outputs, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    f->noutputs = 2;
    f->outputs[0] = OUT_PROBABILITY;
    f->outputs[1] = OUT_LABEL;
    if (!outputs || yyjson_is_null(outputs) || (yyjson_is_arr(outputs) && yyjson_arr_size(outputs) == 0)) return 0;
    if (!yyjson_is_arr(outputs)) return wr_err_set(err, WEIR_ETYPE, "outputs is not a list");
    f->noutputs = 0;
    yyjson_arr_foreach(outputs, i, max, v)
    {
        yyjson_val *name = yyjson_obj_get(v, "name");
        wr_str s = {yyjson_get_str(name), yyjson_get_len(name)};
        int which = wr_str_is(s, "probability") ? OUT_PROBABILITY : wr_str_is(s, "label") ? OUT_LABEL : 0;
        if (!s.p || !which) {
            wr_err_set(err, WEIR_EINVAL, "unexpected inference output '%.*s'", (int)(s.n < 100 ? s.n : 100),
                       s.p ? s.p : "");
            return wr_err_hint(err, WEIR_EINVAL, "there are 'probability' and 'label'");
        }
        if (f->noutputs == 2 || (f->noutputs == 1 && f->outputs[0] == which))
            return wr_err_set(err, WEIR_EINVAL, "an output is asked for twice");
        f->outputs[f->noutputs++] = which;
    }
    return 0;
}

static int row_ids(inference *f, wr_arena *a, wr_err *err)
{
    size_t n = f->rows.rows;
    f->ids = wr_arena_calloc(a, n + 1, sizeof *f->ids);
    f->scores = wr_arena_alloc(a, (n + 1) * sizeof *f->scores);
    if (!f->ids || !f->scores) return wr_err_nomem(err);
    if (!f->id.n) return 0;
    if (n == 1) {
        f->ids[0] = f->id;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        char *id = wr_arena_printf(a, "%.*s/%zu", WR_STR_FMT(f->id), i);
        if (!id) return wr_err_nomem(err);
        f->ids[i] = wr_str_of(id);
    }
    return 0;
}

static int read_request(inference *f, call *c, const wr_oip_model *m, yyjson_val *root, wr_err *err)
{
    enum { ROOM_FOR_ROW = 8 };
    if (!yyjson_is_obj(root)) return wr_err_set(err, WEIR_EPARSE, "the request is not a JSON object");
    WR_TRY(wr_json_str_or(&f->id, root, "id", "", err));
    if (f->id.n > WR_LIMIT_ID - ROOM_FOR_ROW)
        return wr_err_set(err, WEIR_EINVAL, "the id is longer than %d bytes", WR_LIMIT_ID - ROOM_FOR_ROW);
    yyjson_val *params = yyjson_obj_get(root, "parameters");
    if (params && !yyjson_is_obj(params) && !yyjson_is_null(params))
        return wr_err_set(err, WEIR_ETYPE, "parameters is not an object");
    WR_TRY(read_outputs(f, yyjson_obj_get(root, "outputs"), err));
    WR_TRY(wr_oip_read_inputs(&f->rows, m, yyjson_obj_get(root, "inputs"), c->arena, err));
    return row_ids(f, c->arena, err);
}

static void put_output(wr_jsonw *w, const inference *f, int which, double threshold)
{
    size_t n = f->rows.rows;
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", output_names[which - 1]);
    wr_jsonw_kstr(w, "datatype", output_types[which - 1]);
    put_shape(w, (int64_t)n);
    wr_jsonw_key(w, "data");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        if (which == OUT_LABEL) wr_jsonw_i64(w, f->scores[i] >= threshold);
        else wr_jsonw_f64(w, f->scores[i]);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void put_answer(call *c, const wr_oip_model *m, const inference *f)
{
    wr_jsonw *w = &c->w;
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "model_name", m->name);
    if (m->version.n) wr_jsonw_kslice(w, "model_version", m->version);
    if (f->id.n) wr_jsonw_kslice(w, "id", f->id);
    wr_jsonw_key(w, "parameters");
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "prediction_ids");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < f->rows.rows; i++) wr_jsonw_str(w, f->ids[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "outputs");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < f->noutputs; i++) put_output(w, f, f->outputs[i], m->threshold);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void infer(call *c, const wr_oip_model *m)
{
    WR_AUTOJSON wr_json j = {0};
    inference f = {0};
    wr_err err = {0};
    if (c->in->binary) {
        fail_text(c, 400, "binary tensors are not supported",
                  "send the values as JSON: InferInput.set_data_from_numpy(x, binary_data=False)");
        return;
    }
    int rc = wr_json_parse(&j, c->in->body, "request", &err);
    if (rc == WEIR_ELIMIT) err.code = WEIR_EPARSE; /* too deep, not too large */
    if (rc == 0) rc = read_request(&f, c, m, j.root, &err);
    if (rc == 0) rc = c->ops->predict(c->ops->ctx, m, f.rows.cells, f.rows.rows, f.scores, f.ids, c->arena, &err);
    c->out->predicted = rc == 0;
    if (rc == 0) put_answer(c, m, &f);
    else fail_with(c, &err);
}

/* ---- paths ---- */

static wr_str segment(wr_str *rest) { return rest->p ? wr_str_cut(rest, '/') : (wr_str){NULL, 0}; }

/* "M[/versions/V][/VERB]" */
static bool split(call *c, wr_str rest)
{
    c->model = segment(&rest);
    c->verb = segment(&rest);
    if (wr_str_is(c->verb, "versions") && rest.p) {
        c->version = segment(&rest);
        if (!c->version.n) return false;
        c->verb = segment(&rest);
    }
    return c->model.n > 0 && !rest.p;
}

static void unknown_model(call *c, wr_err *e, bool version)
{
    char before[200];
    snprintf(before, sizeof before, "%.*s", (int)(c->model.n < 150 ? c->model.n : 150), c->model.p);
    if (version)
        snprintf(e->msg, sizeof e->msg, "Request for unknown model: '%s' version %.*s is not served", before,
                 (int)(c->version.n < 50 ? c->version.n : 50), c->version.p);
    else snprintf(e->msg, sizeof e->msg, "Request for unknown model: '%s' is not found", before);
    fail(c, 404, e);
}

static void with_model(call *c, const char *want, void (*then)(call *c, const wr_oip_model *m))
{
    if (!method(c, want)) return;
    wr_oip_model m;
    wr_err err = {0};
    bool asks_ready = then == model_ready;
    int rc = c->ops->model(c->ops->ctx, &m, c->model, c->arena, &err);
    if (rc == WEIR_ENOTFOUND) {
        unknown_model(c, &err, false);
    } else if (rc < 0) {
        if (asks_ready) fail(c, 400, &err);
        else fail_with(c, &err);
    } else {
        if (c->version.n && !wr_str_eq(c->version, m.version)) {
            wr_err_hint(&err, WEIR_ENOTFOUND, "version %.*s is", WR_STR_FMT(m.version));
            unknown_model(c, &err, true);
        } else {
            then(c, &m);
        }
        c->ops->release(c->ops->ctx, &m);
    }
}

static void model_path(call *c, wr_str rest)
{
    if (!split(c, rest)) fail_text(c, 404, "no such path", "models are at /v2/models/NAME[/versions/V][/ready|/infer]");
    else if (!c->verb.p) with_model(c, "GET", model_metadata);
    else if (wr_str_is(c->verb, "ready")) with_model(c, "GET", model_ready);
    else if (wr_str_is(c->verb, "infer")) with_model(c, "POST", infer);
    else fail_text(c, 404, "no such path", "a model has /ready and /infer");
}

static void dispatch(call *c)
{
    wr_str path = c->in->path;
    if (wr_str_is(path, "/v2") || wr_str_is(path, "/v2/")) server_metadata(c);
    else if (wr_str_is(path, "/v2/health/live")) health(c, true);
    else if (wr_str_is(path, "/v2/health/ready")) health(c, false);
    else if (wr_str_starts(path, "/v2/models/")) model_path(c, wr_str_sub(path, 11, path.n));
    else
        fail_text(c, 404, "no such path",
                  "the protocol has /v2, /v2/health/live, /v2/health/ready and /v2/models/NAME");
}

void wr_oip_handle(wr_oip_response *out, const wr_oip_request *in, const wr_oip_ops *ops, wr_arena *a)
{
    call c = {.out = out, .in = in, .ops = ops, .arena = a};
    out->status = 200;
    out->predicted = false;
    wr_jsonw_init(&c.w, out->body, 0);
    dispatch(&c);
    if (!out->body->failed) return;
    wr_buf_clear(out->body);
    out->status = 500;
}
