/* SPDX-License-Identifier: Apache-2.0 */
/* infer.c - one request: inputs found by name, judged, put in the model's order; the run; outputs in the order asked
 * for. */
#include <stdio.h>

#include "predict/infer_inside.h"

enum { SHAPE_TEXT = 256 };

static const char contributions[] = "contributions";

typedef wr_infer_job job;

/* ---- words ---- */

static char *shape_text(char out[SHAPE_TEXT], const int64_t *dims, int n)
{
    size_t at = 1;
    out[0] = '[';
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, SHAPE_TEXT - at, "%s%lld", i ? "," : "", (long long)dims[i]);
    snprintf(out + at, SHAPE_TEXT - at, "]");
    return out;
}

static const char *type_text(wr_tensor_type t) { return wr_tensor_type_name(t); }

static int missing(job *j)
{
    WR_AUTOBUF wr_buf got = {0}, lacking = {0};
    size_t required = 0;
    for (size_t i = 0; i < j->q->nin && got.n < 200; i++)
        wr_buf_printf(&got, "%s'%.*s'", i ? "," : "", WR_STR_FMT(j->q->in[i].name));
    for (size_t i = 0; i < j->m->nin; i++) {
        required += !j->m->in[i].optional;
        if (j->m->in[i].optional || j->in[j->s->in_map[i].at].type != WR_TENSOR_NONE || lacking.n > 200) continue;
        wr_buf_printf(&lacking, "%s'%s'", lacking.n ? "," : "", j->m->in[i].name);
    }
    const char *tail = "Please provide all required input(s).";
    if (required == j->m->nin)
        return wr_err_set(j->err, WEIR_EINVAL,
                          "expected %zu inputs but got %zu inputs for model '%s'. Got input(s) [%s], but missing "
                          "required input(s) [%s]. %s",
                          j->m->nin, j->q->nin, j->m->name, wr_buf_cstr(&got), wr_buf_cstr(&lacking), tail);
    return wr_err_set(j->err, WEIR_EINVAL,
                      "expected number of inputs between %zu and %zu but got %zu inputs for model '%s'. Got input(s) "
                      "[%s], but missing required input(s) [%s]. %s",
                      required, j->m->nin, j->q->nin, j->m->name, wr_buf_cstr(&got), wr_buf_cstr(&lacking), tail);
}

static int wrong_shape(job *j, const wr_tensor_spec *s, const wr_tensor *t)
{
    char expected[SHAPE_TEXT], got[SHAPE_TEXT];
    shape_text(expected, s->shape, s->ndims);
    shape_text(got, t->shape, t->ndims);
    wr_err_set(j->err, WEIR_EINVAL, "unexpected shape for input '%s' for model '%s'. Expected %s, got %s", s->name,
               j->m->name, expected, got);
    if (j->m->config.max_batch > 0)
        wr_err_detail(j->err, WEIR_EINVAL, "the first dimension counts rows: max_batch_size %lld",
                      (long long)j->m->config.max_batch);
    return WEIR_EINVAL;
}

/* ---- inputs ---- */

static int check_rows(job *j, const wr_tensor_spec *s, const wr_tensor *t)
{
    if (j->m->config.max_batch == 0) return 0;
    if (t->ndims < 1)
        return wr_err_set(j->err, WEIR_EINVAL, "input '%s' has no shape but model requires batch dimension for '%s'",
                          s->name, j->m->name);
    if (j->rows >= 0 && t->shape[0] != j->rows)
        return wr_err_set(j->err, WEIR_EINVAL, "input '%s' batch size does not match other inputs for '%s'", s->name,
                          j->m->name);
    j->rows = t->shape[0];
    if (j->rows <= j->m->config.max_batch) return 0;
    return wr_err_set(j->err, WEIR_EINVAL, "inference request batch-size must be <= %lld for '%s'",
                      (long long)j->m->config.max_batch, j->m->name);
}

/* Dimensions as the model has them: what was free goes where it is free there, in order. */
static void reshape(wr_tensor *t, const wr_tensor_spec *s, const wr_config_map *map, int first)
{
    int64_t free_dims[WR_TENSOR_DIMS];
    int n = 0, at = 0;
    for (int i = first; i < s->ndims; i++)
        if (s->shape[i] == -1) free_dims[n++] = t->shape[i];
    for (int i = 0; i < map->nreshape; i++)
        t->shape[i + first] = map->reshape[i] == -1 ? free_dims[at++] : map->reshape[i];
    t->ndims = map->nreshape + first;
}

static int put_input(job *j, size_t i, const wr_tensor *sent)
{
    const wr_tensor_spec *s = &j->m->in[i];
    const wr_config_map *map = &j->s->in_map[i];
    const wr_tensor_spec *own = &j->m->predictor->in[map->at];
    wr_tensor *to = &j->in[map->at];
    if (to->type != WR_TENSOR_NONE)
        return wr_err_set(j->err, WEIR_EINVAL, "input '%s' already exists in request", s->name);
    if (sent->type != s->type && (!s->lenient || s->type == WR_TENSOR_BYTES))
        return wr_err_set(j->err, WEIR_EINVAL, "inference input '%s' data-type is '%s', but model '%s' expects '%s'",
                          s->name, type_text(sent->type), j->m->name, type_text(s->type));
    WR_TRY(check_rows(j, s, sent));
    bool column = s->lenient && s->ndims == 1 && sent->ndims == 2 && sent->shape[1] == 1; /* as frames are often sent */
    bool fits = sent->ndims == s->ndims || column;
    for (int d = 0; fits && d < s->ndims; d++) fits = s->shape[d] == -1 || s->shape[d] == sent->shape[d];
    if (!fits) return wrong_shape(j, s, sent);
    if (sent->type == own->type) *to = *sent;
    else {
        int rc = wr_tensor_convert(to, sent, own->type, j->a, j->err);
        if (rc < 0) return wr_err_wrap(j->err, rc, "input '%s'", s->name);
    }
    to->name = wr_str_of(own->name);
    if (column) to->ndims = 1;
    if (map->has_reshape) reshape(to, s, map, j->m->config.max_batch > 0);
    return 0;
}

static int find_input(size_t *out, job *j, wr_str name)
{
    for (size_t i = 0; i < j->m->nin; i++) {
        if (!wr_str_is(name, j->m->in[i].name)) continue;
        *out = i;
        return 0;
    }
    return wr_err_set(j->err, WEIR_EINVAL, "unexpected inference input '%.*s' for model '%s'", WR_STR_FMT(name),
                      j->m->name);
}

static int inputs(job *j)
{
    const wr_predictor *p = j->m->predictor;
    j->in = wr_arena_calloc(j->a, p->nin + 1, sizeof *j->in);
    if (!j->in) return wr_err_nomem(j->err);
    for (size_t i = 0; i < j->q->nin; i++) {
        size_t at = i; /* most send them in order */
        if (i >= j->m->nin || !wr_str_is(j->q->in[i].name, j->m->in[i].name))
            WR_TRY(find_input(&at, j, j->q->in[i].name));
        WR_TRY(put_input(j, at, &j->q->in[i]));
    }
    for (size_t i = 0; i < j->m->nin; i++)
        if (!j->m->in[i].optional && j->in[j->s->in_map[i].at].type == WR_TENSOR_NONE) return missing(j);
    return 0;
}

/* ---- outputs ---- */

static int find_output(size_t *out, job *j, wr_str name)
{
    for (size_t i = 0; i < j->m->nout; i++) {
        if (!wr_str_is(name, j->m->out[i].name)) continue;
        *out = i;
        return 0;
    }
    return wr_err_set(j->err, WEIR_EINVAL, "unexpected inference output '%.*s' for model '%s'", WR_STR_FMT(name),
                      j->m->name);
}

static int choose_outputs(job *j)
{
    const wr_predictor *p = j->m->predictor;
    size_t max = j->q->noutputs ? j->q->noutputs : j->m->nout;
    j->pick = wr_arena_alloc(j->a, (max + 1) * sizeof *j->pick);
    j->want = wr_arena_calloc(j->a, p->nout + 1, sizeof *j->want);
    if (!j->pick || !j->want) return wr_err_nomem(j->err);
    for (size_t i = 0; i < max; i++) {
        size_t at = i;
        if (j->q->noutputs && j->q->explain && wr_str_is(j->q->outputs[i], contributions)) continue;
        if (j->q->noutputs) WR_TRY(find_output(&at, j, j->q->outputs[i]));
        bool *want = &j->want[j->s->out_map[at].at];
        if (*want) return wr_err_set(j->err, WEIR_EINVAL, "output '%s' already exists in request", j->m->out[at].name);
        *want = true;
        j->pick[j->npick++] = at;
    }
    return 0;
}

/* ---- running ---- */

int wr_infer_outputs(wr_tensor **out, const wr_predictor *p, wr_arena *a, wr_err *err)
{
    *out = wr_arena_calloc(a, p->nout + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < p->nout; i++) {
        (*out)[i].name = wr_str_of(p->out[i].name);
        (*out)[i].type = p->out[i].type;
    }
    return 0;
}

int wr_infer_job_run(job *j)
{
    WR_TRY(wr_infer_outputs(&j->full, j->m->predictor, j->a, j->err));
    if (!j->npick) return 0;
    return wr_infer_split(j->full, j->want, j->m, j->in, j->rows, j->a, j->err);
}

static int explain(wr_tensor *out, job *j)
{
    const wr_predictor *p = j->m->predictor;
    if (!p->ops->explain)
        return wr_err_set(j->err, WEIR_EUNSUPPORTED, "model '%s' cannot explain itself%s%s", j->m->name,
                          p->no_explain ? ": " : "", p->no_explain ? p->no_explain : "");
    *out = (wr_tensor){.name = WR_STR("contributions"), .type = WR_TENSOR_FP64};
    return p->ops->explain(p, out, j->in, j->a, j->err);
}

static int collect(job *j)
{
    wr_infer_answer *out = j->out;
    int first = j->m->config.max_batch > 0;
    for (size_t i = 0; i < j->npick; i++) {
        const wr_tensor_spec *s = &j->m->out[j->pick[i]];
        const wr_config_map *map = &j->s->out_map[j->pick[i]];
        wr_tensor *t = &out->out[i];
        if (!out->cached) *t = j->full[map->at];
        t->name = wr_str_of(s->name);
        if (out->cached) continue;
        if (t->type != s->type) WR_TRY(wr_tensor_convert(t, &j->full[map->at], s->type, j->a, j->err));
        t->name = wr_str_of(s->name);
        if (!map->has_reshape || t->ndims != map->nreshape + first) continue;
        wr_tensor_spec own = {.ndims = t->ndims}; /* back: the free dimensions of the model's shape into the client's */
        wr_config_map back = {.nreshape = s->ndims - first};
        memcpy(back.reshape, s->shape + first, (size_t)back.nreshape * sizeof *back.reshape);
        for (int d = first; d < t->ndims; d++) own.shape[d] = map->reshape[d - first];
        reshape(t, &own, &back, first);
    }
    return 0;
}

int wr_infer_job_prepare(job *j)
{
    wr_infer_answer *out = j->out;
    *out = (wr_infer_answer){0};
    WR_TRY(inputs(j));
    WR_TRY(choose_outputs(j));
    out->nout = j->npick + j->q->explain;
    out->out = wr_arena_calloc(j->a, out->nout + 1, sizeof *out->out);
    out->rows = j->m->config.max_batch > 0 && j->rows >= 0 ? (size_t)j->rows : 1;
    return out->out ? 0 : wr_err_nomem(j->err);
}

int wr_infer_job_collect(job *j)
{
    WR_TRY(collect(j));
    return j->q->explain ? explain(&j->out->out[j->npick], j) : 0;
}

int wr_infer_plain(wr_infer_answer *out, const wr_instance *m, const wr_infer_request *q, wr_arena *a, wr_err *err)
{
    job j = wr_infer_job_of(out, m, q, a, err);
    WR_TRY(wr_infer_job_prepare(&j));
    WR_TRY(wr_infer_job_run(&j));
    return wr_infer_job_collect(&j);
}
