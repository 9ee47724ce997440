/* SPDX-License-Identifier: Apache-2.0 */
/* forest_predictor.c - tensors to rows, margins to answers. */
#include "predict/forest_predictor.h"

#include <math.h>

#include "base/limits.h"
#include "base/mem.h"
#include "predict/forest_columns.h"

typedef struct {
    wr_predictor base;
    wr_tensor_spec in, out;
    wr_arena *mem; /* names */
    wr_forest *forest;
    float *linear, *linear_base;
    bool labels;
    wr_forest_columns columns; /* categories NULL: one input, the matrix itself */
} model;

/* ---- margins ---- */

/* As XGBoost's linear booster: missing values add nothing. */
static void linear_margins(const model *m, const float *rows, size_t n, double *out)
{
    size_t nf = wr_forest_nfeatures(m->forest), nm = wr_forest_nmargins(m->forest);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < nm; k++) {
            float sum = m->linear[nf * nm + k] + m->linear_base[k];
            for (size_t j = 0; j < nf; j++) {
                float x = rows[i * nf + j];
                if (x == x) sum += x * m->linear[j * nm + k];
            }
            out[i * nm + k] = (double)sum;
        }
    }
}

const wr_forest *wr_forest_predictor_forest(const wr_predictor *p) { return ((const model *)p)->forest; }

int wr_forest_predictor_margins(const wr_predictor *p, const float *rows, size_t n, double *out, wr_err *err)
{
    const model *m = (const model *)p;
    if (!m->linear) return wr_forest_predict(m->forest, rows, n, true, out, NULL, err);
    linear_margins(m, rows, n, out);
    return 0;
}

static int answers(const model *m, const float *rows, size_t n, double *out, wr_arena *a, wr_err *err)
{
    if (!m->linear) return wr_forest_predict(m->forest, rows, n, false, out, NULL, err);
    double *margins = wr_arena_alloc(a, n * wr_forest_nmargins(m->forest) * sizeof *margins);
    if (!margins) return wr_err_nomem(err);
    linear_margins(m, rows, n, margins);
    wr_forest_answer(m->forest, margins, n, out);
    return 0;
}

/* ---- run ---- */

static void to_labels(const model *m, int64_t *out, const double *x, size_t n, size_t k, size_t per_row)
{
    bool already = wr_forest_transform_of(m->forest) == WR_FOREST_ARGMAX;
    for (size_t i = 0; i < n; i++) {
        if (already) {
            out[i] = (int64_t)x[i];
        } else if (per_row == 1 && k > 1) { /* probabilities of classes */
            size_t best = 0;
            for (size_t c = 1; c < k; c++) best = x[i * k + c] > x[i * k + best] ? c : best;
            out[i] = (int64_t)best;
        } else {
            for (size_t c = 0; c < k; c++) out[i * k + c] = x[i * k + c] > 0.5;
        }
    }
}

static int rows_of(const float **out, size_t *n, const model *m, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    float *made;
    *n = (size_t)in->shape[0];
    *out = in->data;
    if (m->base.in == &m->in) return 0;
    WR_TRY(wr_forest_columns_matrix(&made, n, &m->columns, in, a, err));
    *out = made;
    return 0;
}

static int run(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    const model *m = (const model *)p;
    const float *rows;
    size_t n, k = wr_forest_noutputs(m->forest), per_row = m->out.ndims == 1 ? 1 : k;
    if (want && !want[0]) return 0;
    WR_TRY(rows_of(&rows, &n, m, in, a, err));
    out->ndims = m->out.ndims;
    out->shape[0] = in->shape[0];
    out->shape[1] = (int64_t)per_row;
    WR_TRY(wr_tensor_count(out, err));
    WR_TRY(wr_tensor_alloc(out, a, err));
    bool direct = m->out.type == WR_TENSOR_FP64;
    double *x = direct ? out->data : wr_arena_alloc(a, n * k * sizeof *x);
    if (!x) return wr_err_nomem(err);
    WR_TRY(answers(m, rows, n, x, a, err));
    if (m->labels) {
        to_labels(m, out->data, x, n, k, per_row);
    } else if (!direct) {
        float *y = out->data;
        for (size_t i = 0; i < n * k; i++) y[i] = (float)x[i];
    }
    return 0;
}

static void linear_explain(const model *m, const float *rows, size_t n, double *out)
{
    size_t nf = wr_forest_nfeatures(m->forest), nm = wr_forest_nmargins(m->forest);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < nm; k++) {
            double *to = out + (i * nm + k) * (nf + 1);
            for (size_t j = 0; j < nf; j++) {
                float x = rows[i * nf + j];
                to[j] = x == x ? (double)(x * m->linear[j * nm + k]) : 0;
            }
            to[nf] = (double)(m->linear[nf * nm + k] + m->linear_base[k]);
        }
    }
}

static int explain(const wr_predictor *p, wr_tensor *out, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    const model *m = (const model *)p;
    const float *rows;
    size_t n;
    out->type = WR_TENSOR_FP64;
    out->ndims = 3;
    out->shape[0] = in->shape[0];
    out->shape[1] = (int64_t)wr_forest_nmargins(m->forest);
    out->shape[2] = (int64_t)wr_forest_nfeatures(m->forest) + 1;
    WR_TRY(wr_tensor_count(out, err));
    if (out->count > WR_LIMIT_EXPLAIN) {
        return wr_err_set(err, WEIR_ELIMIT, "contributions of more than %d numbers: ask for fewer rows",
                          WR_LIMIT_EXPLAIN);
    }
    WR_TRY(wr_tensor_alloc(out, a, err));
    WR_TRY(rows_of(&rows, &n, m, in, a, err));
    if (!m->linear) return wr_forest_shap(m->forest, rows, n, out->data, NULL, err);
    linear_explain(m, rows, n, out->data);
    return 0;
}

static void model_free(wr_predictor *p)
{
    model *m = (model *)p;
    wr_forest_free(m->forest);
    wr_free(m->linear);
    wr_free(m->linear_base);
    wr_categories_free(m->columns.categories);
    wr_arena_free(m->mem);
    wr_free(m);
}

static const wr_predictor_ops explaining = {run, explain, model_free}, silent = {run, NULL, model_free};

/* ---- making one ---- */

static int copy_names(model *m, const wr_str *names, wr_err *err)
{
    size_t n = wr_forest_nfeatures(m->forest);
    if (!names) return 0;
    const char **copy = wr_arena_alloc(m->mem, n * sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) copy[i] = wr_arena_strndup(m->mem, names[i].p, names[i].n);
    if (wr_arena_failed(m->mem)) return wr_err_nomem(err);
    m->base.features = copy;
    return 0;
}

static int copy_linear(model *m, const wr_forest_predictor_opt *opt, wr_err *err)
{
    size_t nm = wr_forest_nmargins(m->forest), n = (wr_forest_nfeatures(m->forest) + (size_t)1) * nm;
    if (!opt->linear) return 0;
    m->linear = wr_alloc(n * sizeof *m->linear);
    m->linear_base = wr_alloc(nm * sizeof *m->linear_base);
    if (!m->linear || !m->linear_base) return wr_err_nomem(err);
    memcpy(m->linear, opt->linear, n * sizeof *m->linear);
    memcpy(m->linear_base, opt->linear_base, nm * sizeof *m->linear_base);
    m->base.memory += n * sizeof *m->linear;
    return 0;
}

/* Inputs by feature in place of the matrix. Without names there is nothing to call them by. */
static int take_columns(model *m, const wr_forest_predictor_opt *opt, wr_err *err)
{
    wr_tensor_spec *in;
    if (!opt->categories || !m->base.features) return 0;
    m->columns = (wr_forest_columns){.categories = opt->categories,
                                     .names = m->base.features,
                                     .n = m->base.nfeatures,
                                     .unseen_is_missing = opt->unseen_is_missing};
    m->base.memory += wr_categories_memory(opt->categories);
    WR_TRY(wr_forest_columns_specs(&in, &m->columns, m->mem, err));
    m->base.in = in;
    m->base.nin = m->columns.n;
    m->base.matrix = &m->in;
    for (size_t i = 0; i < m->columns.n; i++)
        if (strcmp(m->columns.names[i], m->in.name) == 0) m->base.matrix = NULL;
    return 0;
}

static int fill(model *m, const wr_forest_predictor_opt *opt, wr_err *err)
{
    uint32_t k = wr_forest_noutputs(m->forest), nf = wr_forest_nfeatures(m->forest);
    bool classes = opt->labels && wr_forest_transform_of(m->forest) == WR_FOREST_SOFTMAX;
    m->labels = opt->labels;
    m->in = (wr_tensor_spec){.name = "input", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, nf}, .lenient = true};
    m->out = (wr_tensor_spec){
        .name = "output", .type = opt->labels ? WR_TENSOR_INT64 : opt->type, .ndims = 1, .shape = {-1}};
    if (k > 1 && !classes) {
        m->out.ndims = 2;
        m->out.shape[1] = k;
    }
    m->base = (wr_predictor){.ops = opt->linear || wr_forest_has_cover(m->forest) ? &explaining : &silent,
                             .no_explain = "its file does not say how many rows passed the nodes of its trees",
                             .platform = opt->platform,
                             .in = &m->in,
                             .out = &m->out,
                             .nin = 1,
                             .nout = 1,
                             .rows = true,
                             .steady = true,
                             .nfeatures = nf,
                             .memory = sizeof *m + wr_forest_memory(m->forest)};
    WR_TRY(copy_names(m, opt->features, err));
    WR_TRY(take_columns(m, opt, err));
    return copy_linear(m, opt, err);
}

int wr_forest_predictor_new(wr_predictor **out, wr_forest *f, const wr_forest_predictor_opt *opt, wr_err *err)
{
    model *m = wr_calloc(1, sizeof *m);
    wr_arena *mem = wr_arena_new(0);
    if (!m || !mem) {
        wr_free(m);
        wr_arena_free(mem);
        wr_forest_free(f);
        wr_categories_free(opt->categories);
        return wr_err_nomem(err);
    }
    m->mem = mem;
    m->forest = f;
    int rc = fill(m, opt, err);
    if (!m->columns.categories) wr_categories_free(opt->categories);
    if (rc < 0) model_free(&m->base);
    else *out = &m->base;
    return rc;
}
