/* SPDX-License-Identifier: Apache-2.0 */
/* scoring.c - MLflow's scoring server: POST /invocations with a frame in one of five forms. Texts and statuses are
 * those of mlflow.pyfunc.scoring_server, whose clients look at them.
 */
#include <stdio.h>

#include "codec/http.h"
#include "wire/oip/frame.h"

static const char formats_text[] = "The input must be a JSON dictionary with exactly one of the input fields "
                                   "{'dataframe_split', 'dataframe_records', 'instances', 'inputs'}";

/* ---- content types ---- */

static bool refuse_type(wr_oip_call *c, const char *why, wr_str what)
{
    wr_buf_clear(c->out->body);
    wr_buf_str(c->out->body, why);
    wr_buf_slice(c->out->body, wr_str_fit(what, 100));
    wr_buf_str(c->out->body, what.p ? "'." : "");
    c->out->status = 415;
    c->out->type = "text/plain";
    return false;
}

/* False: 415 was answered. */
static bool read_type(wr_oip_call *c, bool *csv)
{
    wr_str rest = c->in->content_type, mime = rest.p ? wr_str_trim(wr_str_cut(&rest, ';')) : WR_STR("application/json");
    while (rest.p) {
        wr_str value = wr_str_trim(wr_str_cut(&rest, ';')), key = wr_str_trim(wr_str_cut(&value, '='));
        if (!key.n) continue;
        if (!wr_str_ieq(key, "charset")) return refuse_type(c, "Unrecognized content type parameters: '", key);
        if (!wr_str_ieq(value, "utf-8"))
            return refuse_type(c, "The scoring server only supports UTF-8", (wr_str){NULL, 0});
    }
    *csv = wr_str_ieq(mime, "text/csv");
    if (*csv || wr_str_ieq(mime, "application/json")) return true;
    return refuse_type(
        c, "This predictor only supports the following content types: Types: ['text/csv', 'application/json']. Got '",
        c->in->content_type);
}

/* ---- the request ---- */

typedef struct {
    wr_oip_call *c;
    wr_oip_infer *q;
    wr_jscan s;
    wr_oip_frame f;
    int formats; /* that were there */
    bool frame;  /* f is to be finished */
    wr_str keys[6];
    size_t nkeys;
    wr_oip_param *params;
} reading;

static int read_param(reading *r, wr_str key)
{
    enum { MOST = 100 };
    wr_oip_param p = {.name = key};
    wr_jnumber n;
    char c = wr_jscan_peek(&r->s);
    if (c == '"') {
        p.kind = WR_OIP_STR;
        WR_TRY(wr_jscan_str(&r->s, &p.str));
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        WR_TRY(wr_jscan_number(&r->s, &n));
        bool fits = n.whole && n.magnitude <= INT64_MAX;
        p.kind = fits ? WR_OIP_I64 : WR_OIP_F64;
        if (fits) p.i64 = n.minus ? -(int64_t)n.magnitude : (int64_t)n.magnitude;
        else p.f64 = n.real;
    } else if (c == 't' || c == 'f') {
        p.kind = WR_OIP_BOOL;
        p.b = wr_jscan_word(&r->s, "true");
        if (!p.b && !wr_jscan_word(&r->s, "false")) return wr_jscan_fail(&r->s, "expected a value");
    } else {
        return wr_jscan_skip(&r->s, NULL); /* lists and null: no model here has a use for them */
    }
    if (!r->params) r->params = wr_arena_alloc(r->c->arena, MOST * sizeof *r->params);
    if (!r->params) return wr_err_nomem(&r->c->err);
    if (r->q->nparams == MOST) return wr_err_set(&r->c->err, WEIR_EINVAL, "more than %d params", MOST);
    r->params[r->q->nparams++] = p;
    return 0;
}

static int read_params(reading *r)
{
    bool first;
    wr_str key;
    int more;
    if (wr_jscan_word(&r->s, "null")) return 0;
    if (wr_jscan_peek(&r->s) != '{') return wr_err_set(&r->c->err, WEIR_EINVAL, "'params' is no object");
    WR_TRY(wr_jscan_open(&r->s, '{', &first));
    while ((more = wr_jscan_member(&r->s, &first, &key)) == 1) WR_TRY(read_param(r, key));
    r->q->params = r->params;
    return more;
}

static int read_format(reading *r, wr_str key)
{
    bool inputs = wr_str_is(key, "inputs");
    if (++r->formats > 1) return wr_jscan_skip(&r->s, NULL); /* is refused at the end */
    if (!r->c->m.rows && inputs) return wr_oip_whole_tensors(r->q, r->c, &r->s, &r->c->err);
    WR_TRY(wr_oip_frame_init(&r->f, r->c, &r->c->err));
    r->frame = true;
    if (wr_str_is(key, "dataframe_split")) return wr_oip_frame_split(&r->f, &r->s);
    if (inputs && wr_jscan_peek(&r->s) == '{') return wr_oip_frame_columns(&r->f, &r->s);
    return wr_oip_frame_rows(&r->f, &r->s);
}

static int member(reading *r, wr_str key)
{
    static const char *const formats[] = {"dataframe_split", "dataframe_records", "instances", "inputs"};
    for (size_t i = 0; i < 4; i++)
        if (wr_str_is(key, formats[i])) return read_format(r, key);
    if (wr_str_is(key, "params")) return read_params(r);
    if (wr_str_is(key, "signature_name"))
        return wr_err_set(
            &r->c->err, WEIR_EINVAL,
            "Failed to parse data as TF serving input. 'signature_name' parameter is currently not supported");
    return wr_jscan_skip(&r->s, NULL);
}

static int check_formats(const reading *r)
{
    char keys[200] = "";
    size_t used = 0;
    if (r->formats == 1) return 0;
    for (size_t i = 0; i < r->nkeys && used + 50 < sizeof keys; i++)
        used += (size_t)snprintf(keys + used, sizeof keys - used, "%s'%.*s'", i ? ", " : "",
                                 WR_STR_FMT(wr_str_fit(r->keys[i], 40)));
    wr_err_set(&r->c->err, WEIR_EINVAL, "%s. Received dictionary with input fields: [%s]", formats_text, keys);
    return WEIR_EINVAL;
}

static int read_json(wr_oip_call *c, wr_oip_infer *q)
{
    reading r = {.c = c, .q = q};
    bool first;
    wr_str key;
    int more;
    wr_jscan_init(&r.s, c->in->body, c->arena, &c->err);
    char begin = wr_jscan_peek(&r.s);
    if (begin == '[') return wr_err_set(&c->err, WEIR_EINVAL, "%s. Received a list.", formats_text);
    if (begin != '{')
        return wr_err_set(&c->err, WEIR_EINVAL, "Invalid input. Ensure that input is a valid JSON formatted string.");
    WR_TRY(wr_jscan_open(&r.s, '{', &first));
    while ((more = wr_jscan_member(&r.s, &first, &key)) == 1) {
        if (r.nkeys < sizeof r.keys / sizeof *r.keys) r.keys[r.nkeys++] = key;
        WR_TRY(member(&r, key));
    }
    if (more < 0) return more;
    WR_TRY(wr_jscan_end(&r.s));
    WR_TRY(check_formats(&r));
    return r.frame ? wr_oip_frame_finish(&r.f, q) : 0;
}

static int read_csv(wr_oip_call *c, wr_oip_infer *q)
{
    wr_oip_frame f;
    WR_TRY(wr_oip_frame_init(&f, c, &c->err));
    WR_TRY(wr_oip_frame_csv(&f, c->in->body));
    return wr_oip_frame_finish(&f, q);
}

/* ---- the answer ---- */

/* Ours: ?explain=true. */
static bool explains(const wr_oip_call *c)
{
    WR_AUTOBUF wr_buf text = {0};
    return wr_http_query(&text, c->in->query, "explain") && strcmp(wr_buf_cstr(&text), "true") == 0;
}

static int put_answer(wr_oip_inference *f)
{
    wr_oip_call *c = f->c;
    const wr_oip_result *r = &f->result;
    const wr_tensor *told = wr_oip_contributions(c, r);
    wr_jsonw_obj(&c->w);
    wr_jsonw_key(&c->w, "predictions");
    wr_jsonw_raw(&c->w, (wr_str){"", 0});
    wr_oip_put_predictions(c->out->body, r, told, c->m.rows, true);
    if (told) wr_oip_put_explanations(c, told);
    wr_oip_put_ids(c, r);
    wr_jsonw_end(&c->w);
    return 0;
}

static int ask(wr_oip_call *c, bool csv)
{
    wr_oip_infer q = {.start_ns = c->in->start_ns, .explain = c->explain = explains(c)};
    wr_oip_inference *f = wr_arena_alloc(c->arena, sizeof *f);
    if (!f) return wr_err_nomem(&c->err);
    *f = (wr_oip_inference){.c = c, .put = put_answer};
    WR_TRY(wr_oip_may_explain(c, &c->err));
    int rc = csv ? read_csv(c, &q) : read_json(c, &q);
    if (rc == WEIR_EPARSE && !csv)
        wr_err_wrap(&c->err, rc, "Invalid input. Ensure that input is a valid JSON formatted string. Error");
    return rc < 0 ? rc : wr_oip_ask_model(f, &q);
}

static void invoke(wr_oip_call *c)
{
    bool csv;
    if (read_type(c, &csv) && ask(c, csv) < 0) wr_oip_fail_with(c, &c->err);
}

/* The model that the request names, or the only one there is. */
static int choose_model(wr_oip_call *c)
{
    wr_index_entry *e = NULL;
    size_t n = 0, names = 0;
    WR_AUTOBUF wr_buf query = {0};
    if (c->model.p) return 0;
    c->model = c->in->endpoint;
    if (!c->model.p && wr_http_query(&query, c->in->query, "endpoint"))
        c->model = wr_arena_str(c->arena, wr_buf_view(&query));
    if (c->model.p) return 0;
    WR_TRY(c->ops->index(c->ops->ctx, &e, &n, c->arena, &c->err));
    for (size_t i = 0; i < n; i++) {
        if (!wr_str_is(e[i].state, "READY") || (names && wr_str_eq(e[i].name, c->model))) continue;
        c->model = e[i].name;
        names++;
    }
    if (names == 1) return 0;
    if (!names) return wr_err_set(&c->err, WEIR_EUNAVAILABLE, "no model is ready");
    wr_err_set(&c->err, WEIR_EINVAL, "there are several models: the request must name one");
    return wr_err_hint(&c->err, WEIR_EINVAL, "POST /endpoints/NAME/invocations, or /invocations?endpoint=NAME");
}

void wr_oip_invocations(wr_oip_call *c)
{
    c->scoring = true;
    if (!wr_oip_method(c, "POST")) return;
    if (choose_model(c) < 0) wr_oip_fail_with(c, &c->err);
    else wr_oip_with_model(c, "POST", invoke);
}

void wr_oip_ping(wr_oip_call *c)
{
    if (!wr_oip_method(c, "GET")) return;
    c->out->status = c->ops->ready(c->ops->ctx) ? 200 : 404;
    wr_buf_char(c->out->body, '\n');
}
