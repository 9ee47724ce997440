/* SPDX-License-Identifier: Apache-2.0 */
/* graph_learn.c - ai.onnx.ml: linear models, and what all learners share (graph_scores.h). */
#include "predict/graph_scores.h"

#include <math.h>

#include "base/limits.h"
#include "predict/graph_gemm.h"

/* ---- scores ---- */

int wr_post_of(wr_post *out, const wr_graph_node *n, wr_err *err)
{
    static const char *const names[] = {"NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"};
    wr_str s = wr_graph_attr_s(n, "post_transform", "NONE");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!wr_str_is(s, names[i])) continue;
        *out = (wr_post)i;
        return 0;
    }
    return wr_graph_corrupt(n, err, "an unknown transformation of scores");
}

static float logistic(float x)
{
    float v = 1 / (1 + expf(-fabsf(x)));
    return x < 0 ? 1 - v : v;
}

/* The inverse of the normal distribution by Winitzki's approximation of erf, a = 0.147, as ONNX Runtime has it. */
static float probit(float p)
{
    float x = 2 * p - 1, sign = x < 0 ? -1.0f : 1.0f, l = logf((1 - x) * (1 + x));
    float v = 2 / (3.14159f * 0.147f) + 0.5f * l;
    return 1.41421356f * sign * sqrtf(-v + sqrtf(v * v - l / 0.147f));
}

static float greatest(const float *z, size_t n)
{
    float top = z[0];
    for (size_t i = 1; i < n; i++) top = z[i] > top ? z[i] : top;
    return top;
}

/* Scores of exactly nothing keep out of the sum when `skip_zero`. */
static void softmax(float *z, size_t n, bool skip_zero)
{
    float top = greatest(z, n), sum = 0, low = expf(-top);
    for (size_t i = 0; i < n; i++) {
        bool zero = skip_zero && z[i] <= 0.0000001f && z[i] >= -0.0000001f;
        z[i] = zero ? z[i] * low : expf(z[i] - top);
        sum += zero ? 0 : z[i];
    }
    for (size_t i = 0; i < n; i++) z[i] /= sum;
}

void wr_post_many(float *z, size_t n, wr_post post)
{
    if (post == WR_POST_PROBIT) {
        for (size_t i = 0; i < n; i++) z[i] = probit(z[i]);
    } else if (n > 1 && post == WR_POST_LOGISTIC) {
        for (size_t i = 0; i < n; i++) z[i] = logistic(z[i]);
    } else if (n > 1 && (post == WR_POST_SOFTMAX || post == WR_POST_SOFTMAX_ZERO)) {
        softmax(z, n, post == WR_POST_SOFTMAX_ZERO);
    }
}

void wr_post_pair(float *out, float s, wr_post post, bool mixed)
{
    if (post == WR_POST_LOGISTIC) {
        out[0] = logistic(-s);
        out[1] = logistic(s);
    } else {
        out[0] = mixed ? -s : 1 - s;
        out[1] = s;
    }
}

/* ---- labels, operands ---- */

int wr_labels_of(wr_labels *out, const wr_graph_node *n, const char *ints, const char *strings, wr_err *err)
{
    const wr_onnx_attr *s = wr_graph_attr_list(n, strings, WR_ONNX_ATTR_STRINGS),
                       *i = wr_graph_attr_list(n, ints, WR_ONNX_ATTR_INTS);
    if (!s && !i) return wr_graph_corrupt(n, err, "it has no labels");
    *out = (wr_labels){s ? s : i, s ? s->n : i->n, s ? WR_TENSOR_BYTES : WR_TENSOR_INT64};
    return 0;
}

void wr_labels_put(wr_tensor *to, size_t row, const wr_labels *l, size_t which)
{
    if (l->type == WR_TENSOR_BYTES) ((wr_str *)to->data)[row] = l->list->strings[which];
    else ((int64_t *)to->data)[row] = l->list->ints[which];
}

const float *wr_graph_floats(wr_graph_ctx *r, const wr_tensor *t)
{
    if (t->type == WR_TENSOR_FP32) return t->data;
    if (t->type != WR_TENSOR_FP64 && t->type != WR_TENSOR_INT32 && t->type != WR_TENSOR_INT64) {
        (void)wr_graph_unsupported(r, t);
        return NULL;
    }
    float *to = wr_graph_scratch(r, t->count * sizeof *to);
    for (size_t i = 0; to && i < t->count; i++)
        to[i] = t->type == WR_TENSOR_FP64    ? (float)((const double *)t->data)[i]
                : t->type == WR_TENSOR_INT32 ? (float)((const int32_t *)t->data)[i]
                                             : (float)((const int64_t *)t->data)[i];
    return to;
}

int wr_graph_matrix(wr_graph_ctx *r, const wr_tensor *t, size_t *rows, size_t *columns)
{
    if (t->ndims != 1 && t->ndims != 2) return wr_graph_bad(r, "the features are not a matrix");
    *rows = t->ndims == 1 ? 1 : (size_t)t->shape[0];
    *columns = (size_t)t->shape[t->ndims - 1];
    return 0;
}

/* ---- linear models ---- */

typedef struct {
    size_t targets, features;
    float *packed, *bias;
    wr_post post;
    wr_labels labels;
} linear;

static int prepare_linear(linear **out, wr_graph_node *n, wr_graph *g, size_t targets, wr_err *err)
{
    const wr_onnx_attr *coef = wr_graph_attr_list(n, "coefficients", WR_ONNX_ATTR_FLOATS),
                       *bias = wr_graph_attr_list(n, "intercepts", WR_ONNX_ATTR_FLOATS);
    linear *l = wr_arena_calloc(g->mem, 1, sizeof *l);
    if (!l) return wr_err_nomem(err);
    if (bias) targets = bias->n;
    if (!coef || targets == 0 || coef->n % targets != 0)
        return wr_graph_corrupt(n, err, "coefficients and intercepts do not fit together");
    l->targets = targets;
    l->features = coef->n / targets;
    if (wr_gemm_packed(l->features, targets) > WR_LIMIT_ONNX_ELEMENTS)
        return wr_graph_refuse(n, err, "that many coefficients");
    l->packed = wr_arena_alloc(g->mem, wr_gemm_packed(l->features, targets) * sizeof *l->packed);
    l->bias = wr_arena_calloc(g->mem, targets, sizeof *l->bias);
    if (!l->packed || !l->bias) return wr_err_nomem(err);
    wr_gemm_pack(l->packed, coef->floats, l->features, targets, 1, l->features, 1);
    if (bias) memcpy(l->bias, bias->floats, targets * sizeof *l->bias);
    n->state = *out = l;
    return wr_post_of(&l->post, n, err);
}

static int prepare_regressor(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    linear *l;
    int64_t targets = wr_graph_attr_i(n, "targets", 1);
    if (targets < 1 || targets > WR_LIMIT_ONNX_ELEMENTS) return wr_graph_corrupt(n, err, "a strange number of targets");
    WR_TRY(prepare_linear(&l, n, g, (size_t)targets, err));
    return l->targets == (size_t)targets ? 0 : wr_graph_corrupt(n, err, "targets and intercepts are not as many");
}

static int run_regressor(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const linear *l = n->state;
    size_t rows = 0, cols = 0;
    WR_TRY(wr_graph_matrix(r, a, &rows, &cols));
    if (cols != l->features) return wr_graph_bad(r, "the model has another number of features");
    const float *x = wr_graph_floats(r, a);
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_FP32, 2, (const int64_t[]){(int64_t)rows, (int64_t)l->targets});
    if (!x || !o) return r->err->code;
    WR_TRY(wr_graph_work(r, a->count * l->targets));
    wr_gemm(o->data, x, l->packed, l->bias, rows, cols, l->targets, WR_GEMM_PLAIN);
    for (size_t i = 0; l->post && i < rows; i++) wr_post_many((float *)o->data + i * l->targets, l->targets, l->post);
    return 0;
}

static int prepare_classifier(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    linear *l;
    wr_labels labels;
    WR_TRY(wr_labels_of(&labels, n, "classlabels_ints", "classlabels_strings", err));
    WR_TRY(prepare_linear(&l, n, g, labels.n, err));
    l->labels = labels;
    if (l->targets != labels.n && !(l->targets == 1 && labels.n == 2))
        return wr_graph_corrupt(n, err, "labels and intercepts are not as many");
    if (l->targets == 1 && (labels.n != 2 || l->post == WR_POST_PROBIT))
        return wr_graph_refuse(n, err, "one class, or the probit of two");
    return 0;
}

static size_t first_greatest(const float *z, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if (z[k] > z[best]) best = k;
    return best;
}

static int run_classifier(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const linear *l = n->state;
    size_t rows = 0, cols = 0, classes = l->labels.n;
    WR_TRY(wr_graph_matrix(r, a, &rows, &cols));
    if (cols != l->features) return wr_graph_bad(r, "the model has another number of features");
    const float *x = wr_graph_floats(r, a);
    wr_tensor *y = wr_graph_make(r, n, 0, l->labels.type, 1, (const int64_t[]){(int64_t)rows});
    wr_tensor scores_only,
        *z = n->nout > 1 ? wr_graph_make(r, n, 1, WR_TENSOR_FP32, 2, (const int64_t[]){(int64_t)rows, (int64_t)classes})
                         : &scores_only;
    float *s = x && y && z ? wr_graph_scratch(r, rows * l->targets * sizeof *s) : NULL;
    if (!s) return r->err->code;
    WR_TRY(wr_graph_work(r, a->count * l->targets));
    wr_gemm(s, x, l->packed, l->bias, rows, cols, l->targets, WR_GEMM_PLAIN);
    for (size_t i = 0; i < rows; i++, s += l->targets) {
        wr_labels_put(y, i, &l->labels, l->targets == 1 ? s[0] > 0 : first_greatest(s, classes));
        if (n->nout < 2) continue;
        float *to = (float *)z->data + i * classes;
        if (l->targets == 1) {
            wr_post_pair(to, s[0], l->post, false);
        } else {
            memcpy(to, s, classes * sizeof *to);
            wr_post_many(to, classes, l->post);
        }
    }
    return 0;
}

const wr_graph_op wr_graph_learn_ops[] = {
    {.name = "LinearRegressor",
     .prepare = prepare_regressor,
     .run = run_regressor,
     .min_in = 1,
     .max_in = 1,
     .max_out = 1,
     .ml = true},
    {.name = "LinearClassifier",
     .prepare = prepare_classifier,
     .run = run_classifier,
     .min_in = 1,
     .max_in = 1,
     .max_out = 2,
     .ml = true},
    {0},
};
