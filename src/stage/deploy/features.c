/* SPDX-License-Identifier: Apache-2.0 */
/* features.c - features of views as inputs of a model that knows nothing of views. */
#include "stage/deploy/features.h"

#include <math.h>

#include "base/limits.h"
#include "stage/deploy/rows.h"
#include "stage/deploy/serve_inside.h"

typedef struct {
    const wr_fed *fed;
    const wr_instance *m;
    const wr_infer_request *q;
    const char *endpoint;
    const wr_tensor **feature; /* by feature: said by the request; NULL = computed */
    size_t rows;
    float *num; /* rows x features */
    wr_str *text;
    wr_arena *a;
    wr_err *err;
} work;

/* ---- what the request says ---- */

static ptrdiff_t feature_named(const wr_fed *f, wr_str name, size_t guess)
{
    for (size_t k = 0; k < f->nfeatures; k++) {
        size_t i = (guess + k) % f->nfeatures; /* most models have them in order */
        if (wr_str_is(name, f->features[i]->name)) return (ptrdiff_t)i;
    }
    return -1;
}

static bool is_request(const wr_view *v, wr_str name)
{
    for (size_t i = 0; i < v->nrequest; i++)
        if (wr_str_is(name, v->request[i])) return true;
    return false;
}

static const wr_tensor *sent_whole(const work *w, const char *input)
{
    for (size_t i = 0; i < w->q->nin; i++)
        if (wr_str_is(w->q->in[i].name, input)) return &w->q->in[i];
    return NULL;
}

static bool is_input(const wr_instance *m, wr_str name)
{
    for (size_t i = 0; i < m->nin; i++)
        if (wr_str_is(name, m->in[i].name)) return true;
    return false;
}

static int unknown(const work *w, wr_str name)
{
    const char **names = wr_arena_alloc(w->a, (w->fed->nin + 1) * sizeof *names);
    if (!names) return wr_err_nomem(w->err);
    for (size_t i = 0; i < w->fed->nin; i++) names[i] = w->fed->in[i].name;
    int near = wr_str_nearest(name, names, w->fed->nin);
    wr_err_set(w->err, WEIR_EINVAL, "unexpected inference input '%.*s' for model '%s'",
               WR_STR_FMT(wr_str_fit(name, 100)), w->endpoint);
    return near >= 0 ? wr_err_hint(w->err, WEIR_EINVAL, "did you mean '%s'?", names[near]) : WEIR_EINVAL;
}

static bool is_column(const wr_fed *f, wr_str name)
{
    for (size_t i = 0; i < f->nin; i++)
        if (wr_str_is(name, f->in[i].name)) return true;
    return false;
}

static int sort_inputs(work *w)
{
    w->feature = wr_arena_calloc(w->a, w->fed->nfeatures + 1, sizeof *w->feature);
    if (!w->feature) return wr_err_nomem(w->err);
    for (size_t i = 0; i < w->q->nin; i++) {
        const wr_tensor *t = &w->q->in[i];
        ptrdiff_t f = feature_named(w->fed, t->name, i);
        if (t->ndims) w->rows = (size_t)t->shape[0];
        if (is_column(w->fed, t->name)) continue;
        if (f >= 0) w->feature[f] = t;
        else if (!is_input(w->m, t->name)) return unknown(w, t->name);
    }
    if (w->rows > WR_LIMIT_ROWS_INFER) return wr_err_set(w->err, WEIR_ELIMIT, "more than %d rows", WR_LIMIT_ROWS_INFER);
    return 0;
}

/* ---- features ---- */

static int compute_view(work *w, const wr_fed_view *v)
{
    wr_cell *cells;
    size_t rows = w->rows, nf = w->fed->nfeatures;
    wr_tensor *own = wr_arena_alloc(w->a, (w->q->nin + 1) * sizeof *own);
    wr_infer_request q = {.in = own};
    if (!own) return wr_err_nomem(w->err);
    for (size_t i = 0; i < w->q->nin; i++)
        if (is_request(v->view, w->q->in[i].name)) own[q.nin++] = w->q->in[i];
    WR_TRY(wr_rows_read(&cells, &rows, v->live, v->in, w->endpoint, &q, w->a, w->err));
    if (!w->num) {
        w->rows = rows;
        w->num = wr_arena_alloc(w->a, (rows * nf + 1) * sizeof *w->num);
        w->text = wr_arena_alloc(w->a, (rows * nf + 1) * sizeof *w->text);
        if (!w->num || !w->text) return wr_err_nomem(w->err);
    }
    if (rows != w->rows)
        return wr_err_set(w->err, WEIR_EINVAL, "columns of view \"%s\" have %zu rows, others %zu", v->view->name, rows,
                          w->rows);
    for (size_t i = 0; i < rows; i++)
        wr_live_row(v->live, cells + i * v->view->nrequest, w->num + i * nf + v->first, w->text + i * nf + v->first);
    return 0;
}

/* What the request says of a feature goes before what the view does. */
static int say(work *w, size_t f)
{
    const wr_tensor *t = w->feature[f];
    const wr_view_feature *as = w->fed->features[f];
    wr_tensor wide;
    if (t->count != w->rows)
        return wr_err_set(w->err, WEIR_EINVAL, "input '%s' has %zu values, the others %zu rows", as->name, t->count,
                          w->rows);
    if (as->category != (t->type == WR_TENSOR_BYTES))
        return wr_err_set(w->err, WEIR_EINVAL, "input '%s' is of datatype %s, the feature is %s", as->name,
                          wr_tensor_type_name(t->type), as->category ? "text" : "a number");
    if (!as->category) WR_TRY(wr_tensor_convert(&wide, t, WR_TENSOR_FP32, w->a, w->err));
    for (size_t i = 0; i < w->rows; i++) {
        size_t to = i * w->fed->nfeatures + f;
        if (as->category) w->text[to] = ((const wr_str *)t->data)[i];
        else w->num[to] = ((const float *)wide.data)[i];
    }
    return 0;
}

/* ---- the model's inputs ---- */

static int no_feature(const work *w, const char *name)
{
    wr_err_set(w->err, WEIR_EINVAL, "model '%s' needs \"%.150s\", which is no feature of %s", w->endpoint, name,
               w->fed->called);
    return wr_err_hint(w->err, WEIR_EINVAL, "add it to the view, or send it as an input of that name");
}

/* Which features the k columns of a matrix are. */
static int columns_of(size_t *at, const work *w, const wr_tensor_spec *s, size_t k)
{
    const wr_predictor *p = w->m->predictor;
    bool named = p->features && p->nfeatures == k;
    if (!named && k != w->fed->nfeatures) {
        wr_err_set(w->err, WEIR_EINVAL, "input '%s' of model '%s' has %zu columns, %s %zu features", s->name,
                   w->endpoint, k, w->fed->called, w->fed->nfeatures);
        return wr_err_hint(w->err, WEIR_EINVAL, "a model that names its columns takes them by name");
    }
    for (size_t i = 0; i < k; i++) {
        ptrdiff_t f = named ? feature_named(w->fed, wr_str_of(p->features[i]), i) : (ptrdiff_t)i;
        if (f < 0) return no_feature(w, p->features[i]);
        at[i] = (size_t)f;
        if (w->fed->features[f]->category)
            return wr_err_set(w->err, WEIR_EINVAL, "feature \"%s\" is text, the model's input '%s' numbers",
                              w->fed->features[f]->name, s->name);
    }
    return 0;
}

static int fill_matrix(wr_tensor *out, const work *w, const wr_tensor_spec *s, size_t k, const size_t *at)
{
    size_t nf = w->fed->nfeatures;
    wr_tensor t = {
        .name = wr_str_of(s->name), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {(int64_t)w->rows, (int64_t)k}};
    WR_TRY(wr_tensor_count(&t, w->err));
    WR_TRY(wr_tensor_alloc(&t, w->a, w->err));
    for (size_t i = 0; i < w->rows; i++)
        for (size_t c = 0; c < k; c++) ((float *)t.data)[i * k + c] = w->num[i * nf + at[c]];
    if (s->ndims == 1) t.ndims = 1;
    int rc = wr_tensor_convert(out, &t, s->type, w->a, w->err);
    return rc < 0 ? wr_err_wrap(w->err, rc, "input '%s' of model '%s'", s->name, w->endpoint) : 0;
}

static int fill_text(wr_tensor *out, const work *w, const wr_tensor_spec *s, size_t f)
{
    wr_tensor t = {.name = wr_str_of(s->name),
                   .type = WR_TENSOR_BYTES,
                   .ndims = s->ndims == 1 ? 1 : 2,
                   .shape = {(int64_t)w->rows, 1}};
    if (s->type != WR_TENSOR_BYTES)
        return wr_err_set(w->err, WEIR_EINVAL, "feature \"%s\" is text, the model's input of that name %s", s->name,
                          wr_tensor_type_name(s->type));
    WR_TRY(wr_tensor_count(&t, w->err));
    WR_TRY(wr_tensor_alloc(&t, w->a, w->err));
    for (size_t i = 0; i < w->rows; i++) ((wr_str *)t.data)[i] = w->text[i * w->fed->nfeatures + f];
    *out = t;
    return 0;
}

static int fill_input(wr_tensor *out, const work *w, size_t input)
{
    const wr_tensor_spec *s = &w->m->in[input];
    ptrdiff_t f = feature_named(w->fed, wr_str_of(s->name), input);
    const wr_tensor *sent = f < 0 ? sent_whole(w, s->name) : NULL;
    size_t k = s->ndims == 2 && s->shape[1] > 0 ? (size_t)s->shape[1] : 0, one = (size_t)f;
    if (sent) {
        *out = *sent;
        return 0;
    }
    if (f >= 0 && w->fed->features[f]->category) return fill_text(out, w, s, (size_t)f);
    if (f >= 0) return fill_matrix(out, w, s, 1, &one);
    if (w->m->nin > 1 || !k || s->type == WR_TENSOR_BYTES) return no_feature(w, s->name);
    size_t *at = wr_arena_alloc(w->a, k * sizeof *at);
    if (!at) return wr_err_nomem(w->err);
    WR_TRY(columns_of(at, w, s, k));
    return fill_matrix(out, w, s, k, at);
}

int wr_serve_features(wr_infer_request *out, wr_serve *s, const wr_instance *m, const wr_infer_request *q, wr_arena *a,
                      wr_err *err)
{
    wr_str arm;
    wr_serve_endpoint *e = wr_serve_endpoint_of(s, m->name, &arm);
    *out = *q;
    if (!e || !e->fed) return 0;
    work w = {.fed = e->fed, .m = m, .q = q, .endpoint = e->name, .a = a, .err = err, .rows = 1};
    WR_TRY(sort_inputs(&w));
    for (size_t v = 0; v < w.fed->nviews; v++) WR_TRY(compute_view(&w, &w.fed->views[v]));
    for (size_t f = 0; f < w.fed->nfeatures; f++)
        if (w.feature[f]) WR_TRY(say(&w, f));
    wr_tensor *in = wr_arena_calloc(a, m->nin + 1, sizeof *in);
    if (!in) return wr_err_nomem(err);
    for (size_t i = 0; i < m->nin; i++) WR_TRY(fill_input(&in[i], &w, i));
    out->in = in;
    out->nin = m->nin;
    return 0;
}

bool wr_serve_feature_specs(const wr_tensor_spec **in, size_t *nin, wr_serve *s, const char *model)
{
    wr_str arm;
    wr_serve_endpoint *e = wr_serve_endpoint_of(s, model, &arm);
    if (!e || !e->fed) return false;
    *in = e->fed->in;
    *nin = e->fed->nin;
    return true;
}
