/* SPDX-License-Identifier: Apache-2.0 */
/* graph_vectors.c - ai.onnx.ml SVMClassifier and SVMRegressor: support vector machines as LIBSVM has them.
 *
 * A classifier of k classes has k (k - 1) / 2 decisions, one for each pair; each votes, and where probabilities are
 * wanted they are coupled by the second method of Wu, Lin and Weng, "Probability estimates for multi-class
 * classification by pairwise coupling" (JMLR 2004). */
#include "predict/graph_scores.h"

#include <math.h>

#include "base/limits.h"

typedef enum { LINEAR, POLY, RBF, SIGMOID } kernel;
enum { CLASSES_MAX = 1000 };

typedef struct {
    kernel kernel;
    float gamma, coef0, degree;
    size_t vectors, features;
    float *across;                             /* support vectors by feature: the loop over vectors has no stride */
    const float *coef, *rho, *prob_a, *prob_b; /* prob_a NULL: no probabilities */
    size_t *first;                             /* of each class, and the end */
    wr_labels labels;
    wr_post post;
    bool one_class;
} machine;

/* ---- opening ---- */

static int read_kernel(machine *m, wr_graph_node *n, wr_err *err)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    wr_str s = wr_graph_attr_s(n, "kernel_type", "LINEAR");
    const wr_onnx_attr *p = wr_graph_attr_list(n, "kernel_params", WR_ONNX_ATTR_FLOATS);
    size_t k = 0;
    while (k < 4 && !wr_str_is(s, names[k])) k++;
    if (k == 4 || (p && p->n != 3) || (!p && k != LINEAR))
        return wr_graph_corrupt(n, err, "an unknown kernel, or its parameters are not three");
    m->kernel = (kernel)k;
    if (p) {
        m->gamma = p->floats[0];
        m->coef0 = p->floats[1];
        m->degree = p->floats[2];
    }
    return 0;
}

static int read_vectors(machine *m, wr_graph_node *n, wr_graph *g, wr_err *err)
{
    const wr_onnx_attr *v = wr_graph_attr_list(n, "support_vectors", WR_ONNX_ATTR_FLOATS);
    if (!v || m->vectors == 0 || v->n % m->vectors != 0)
        return wr_graph_corrupt(n, err, "the support vectors are not as many as said");
    m->features = v->n / m->vectors;
    m->across = wr_arena_alloc(g->mem, v->n * sizeof *m->across);
    if (!m->across) return wr_err_nomem(err);
    for (size_t i = 0; i < m->vectors; i++)
        for (size_t f = 0; f < m->features; f++) m->across[f * m->vectors + i] = v->floats[i * m->features + f];
    return 0;
}

/* At least `least` floats of that name. */
static int read_floats(const float **out, const wr_graph_node *n, const char *name, size_t least, wr_err *err)
{
    const wr_onnx_attr *a = wr_graph_attr_list(n, name, WR_ONNX_ATTR_FLOATS);
    if (!a || a->n < least) return wr_graph_corrupt(n, err, "a list of numbers is too short");
    *out = a->floats;
    return 0;
}

static int new_machine(machine **out, wr_graph_node *n, wr_graph *g, wr_err *err)
{
    machine *m = wr_arena_calloc(g->mem, 1, sizeof *m);
    if (!m) return wr_err_nomem(err);
    n->state = *out = m;
    WR_TRY(wr_post_of(&m->post, n, err));
    return read_kernel(m, n, err);
}

static int prepare_classifier(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    machine *m;
    const wr_onnx_attr *per = wr_graph_attr_list(n, "vectors_per_class", WR_ONNX_ATTR_INTS);
    WR_TRY(new_machine(&m, n, g, err));
    WR_TRY(wr_labels_of(&m->labels, n, "classlabels_ints", "classlabels_strings", err));
    size_t k = m->labels.n, pairs = k * (k - 1) / 2;
    if (!per) return wr_graph_refuse(n, err, "a linear classifier");
    if (k < 2 || k > CLASSES_MAX || per->n != k)
        return wr_graph_corrupt(n, err, "classes and their vectors are not as many");
    m->first = wr_arena_calloc(g->mem, k + 1, sizeof *m->first);
    if (!m->first) return wr_err_nomem(err);
    for (size_t i = 0; i < k; i++) {
        if (per->ints[i] < 0 || per->ints[i] > WR_LIMIT_ONNX_ELEMENTS)
            return wr_graph_corrupt(n, err, "a strange number of vectors");
        m->first[i + 1] = m->first[i] + (size_t)per->ints[i];
    }
    m->vectors = m->first[k];
    WR_TRY(read_vectors(m, n, g, err));
    WR_TRY(read_floats(&m->coef, n, "coefficients", (k - 1) * m->vectors, err));
    WR_TRY(read_floats(&m->rho, n, "rho", pairs, err));
    if (wr_graph_attr_list(n, "prob_a", WR_ONNX_ATTR_FLOATS)) {
        WR_TRY(read_floats(&m->prob_a, n, "prob_a", pairs, err));
        WR_TRY(read_floats(&m->prob_b, n, "prob_b", pairs, err));
    }
    if (!m->prob_a && m->post != WR_POST_NONE) return wr_graph_refuse(n, err, "a transformation of decisions");
    return 0;
}

static int prepare_regressor(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    machine *m;
    int64_t supports = wr_graph_attr_i(n, "n_supports", 0);
    WR_TRY(new_machine(&m, n, g, err));
    if (supports <= 0 || supports > WR_LIMIT_ONNX_ELEMENTS) return wr_graph_refuse(n, err, "no support vectors");
    m->vectors = (size_t)supports;
    m->one_class = wr_graph_attr_i(n, "one_class", 0) != 0;
    WR_TRY(read_vectors(m, n, g, err));
    WR_TRY(read_floats(&m->coef, n, "coefficients", m->vectors, err));
    return read_floats(&m->rho, n, "rho", 1, err);
}

/* ---- kernels ---- */

static void distances(float *out, const machine *m, const float *x)
{
    size_t n = m->vectors;
    memset(out, 0, n * sizeof *out);
    for (size_t f = 0; f < m->features; f++) {
        const float *v = m->across + f * n;
        if (m->kernel == RBF) {
            for (size_t i = 0; i < n; i++) out[i] += (x[f] - v[i]) * (x[f] - v[i]);
        } else {
            for (size_t i = 0; i < n; i++) out[i] += x[f] * v[i];
        }
    }
}

/* The kernel of one row with every support vector. */
static void kernels(float *out, const machine *m, const float *x)
{
    distances(out, m, x);
    for (size_t i = 0; i < m->vectors && m->kernel != LINEAR; i++) {
        float s = m->gamma * out[i] + m->coef0;
        out[i] = m->kernel == RBF       ? expf(-m->gamma * out[i])
                 : m->kernel == SIGMOID ? tanhf(s)
                 : m->degree == 2       ? s * s
                 : m->degree == 3       ? s * s * s
                                        : powf(s, m->degree);
    }
}

/* ---- classifiers ---- */

/* The decision between classes i and j: positive is i. */
static float decision(const machine *m, const float *k, size_t i, size_t j, size_t pair)
{
    double s = 0;
    for (size_t v = m->first[i]; v < m->first[i + 1]; v++) s += (double)(m->coef[(j - 1) * m->vectors + v] * k[v]);
    for (size_t v = m->first[j]; v < m->first[j + 1]; v++) s += (double)(m->coef[i * m->vectors + v] * k[v]);
    return (float)(s + (double)m->rho[pair]);
}

/* P(i) of all classes from r[i * n + j] = P(i | i or j): the p that minimizes the sum of (r_ji p_i - r_ij p_j)^2, by
 * iteration. */
static void couple(float *p, const float *r, float *q, float *qp, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = 1.0f / (float)n;
        q[i * n + i] = 0;
        for (size_t j = 0; j < n; j++) {
            if (j == i) continue;
            q[i * n + i] += r[j * n + i] * r[j * n + i];
            q[i * n + j] = -r[j * n + i] * r[i * n + j];
        }
    }
    for (int round = 0; round < 100; round++) {
        float whole = 0, worst = 0;
        for (size_t i = 0; i < n; i++) {
            qp[i] = 0;
            for (size_t j = 0; j < n; j++) qp[i] += q[i * n + j] * p[j];
            whole += p[i] * qp[i];
        }
        for (size_t i = 0; i < n; i++) worst = fmaxf(worst, fabsf(qp[i] - whole));
        if (worst < 0.005f / (float)n) return;
        for (size_t i = 0; i < n; i++) {
            float d = (whole - qp[i]) / q[i * n + i];
            p[i] += d;
            whole = (whole + d * (d * q[i * n + i] + 2 * qp[i])) / (1 + d) / (1 + d);
            for (size_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + d * q[i * n + j]) / (1 + d);
                p[j] /= 1 + d;
            }
        }
    }
}

static float pair_probability(const machine *m, float score, size_t pair)
{
    float x = score * m->prob_a[pair] + m->prob_b[pair], v = 1 / (1 + expf(-fabsf(x)));
    return fminf(fmaxf(1 - (x < 0 ? 1 - v : v), 1.0e-7f), 1 - 1.0e-7f);
}

/* Room of a row, and what it makes of the decisions: the class with most votes. z: the scores. */
typedef struct {
    float *kernel, *decision, *r, *q, *qp;
    size_t *votes;
} rooms;

static size_t answer(float *z, const machine *m, const rooms *w, const float *x)
{
    size_t n = m->labels.n, pair = 0, best = 0;
    kernels(w->kernel, m, x);
    memset(w->votes, 0, n * sizeof *w->votes);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, pair++) {
            float s = w->decision[pair] = decision(m, w->kernel, i, j, pair);
            w->votes[s > 0 ? i : j]++;
            if (!m->prob_a) continue;
            w->r[i * n + j] = pair_probability(m, s, pair);
            w->r[j * n + i] = 1 - w->r[i * n + j];
        }
    for (size_t i = 1; i < n; i++)
        if (w->votes[i] > w->votes[best]) best = i;
    if (m->prob_a) {
        couple(z, w->r, w->q, w->qp, n);
        wr_post_many(z, n, m->post);
    } else if (n == 2) {
        wr_post_pair(z, w->decision[0], m->post, true);
    } else {
        memcpy(z, w->decision, pair * sizeof *z);
    }
    return best;
}

static int make_rooms(rooms *w, wr_graph_ctx *r, const machine *m)
{
    size_t n = m->labels.n;
    w->kernel = wr_graph_scratch(r, m->vectors * sizeof(float));
    w->decision = wr_graph_scratch(r, n * n * sizeof(float));
    w->r = wr_graph_scratch(r, n * n * sizeof(float));
    w->q = wr_graph_scratch(r, n * n * sizeof(float));
    w->qp = wr_graph_scratch(r, n * sizeof(float));
    w->votes = wr_graph_scratch(r, n * sizeof(size_t));
    return w->kernel && w->decision && w->r && w->q && w->qp && w->votes ? 0 : r->err->code;
}

/* The matrix of features, and the work of all kernels and decisions. */
static const float *features_of(wr_graph_ctx *r, const wr_tensor *a, const machine *m, size_t *rows, uint64_t more)
{
    size_t cols = 0;
    if (wr_graph_matrix(r, a, rows, &cols) < 0) return NULL;
    if (cols != m->features) {
        (void)wr_graph_bad(r, "the model has another number of features");
        return NULL;
    }
    uint64_t each = (uint64_t)m->vectors * (m->features + 8) + more, work;
    if (__builtin_mul_overflow(each, (uint64_t)*rows, &work)) work = UINT64_MAX;
    return wr_graph_work(r, work) < 0 ? NULL : wr_graph_floats(r, a);
}

static int run_classifier(wr_graph_ctx *r, const wr_graph_node *n)
{
    const machine *m = n->state;
    size_t rows = 0, k = m->labels.n, width = m->prob_a || k == 2 ? k : k * (k - 1) / 2;
    const float *x = features_of(r, wr_graph_in(r, n, 0), m, &rows, m->vectors * k + (m->prob_a ? 100 * k * k : 0));
    rooms w;
    if (!x) return r->err->code;
    WR_TRY(make_rooms(&w, r, m));
    wr_tensor *y = wr_graph_make(r, n, 0, m->labels.type, 1, (const int64_t[]){(int64_t)rows});
    float *room = y ? wr_graph_scratch(r, width * sizeof *room) : NULL;
    wr_tensor *z = room && n->nout > 1
                       ? wr_graph_make(r, n, 1, WR_TENSOR_FP32, 2, (const int64_t[]){(int64_t)rows, (int64_t)width})
                       : NULL;
    if (!room || (n->nout > 1 && !z)) return r->err->code;
    for (size_t i = 0; i < rows; i++, x += m->features)
        wr_labels_put(y, i, &m->labels, answer(z ? (float *)z->data + i * width : room, m, &w, x));
    return 0;
}

/* ---- regressors ---- */

static int run_regressor(wr_graph_ctx *r, const wr_graph_node *n)
{
    const machine *m = n->state;
    size_t rows = 0;
    const float *x = features_of(r, wr_graph_in(r, n, 0), m, &rows, 0);
    float *k = x ? wr_graph_scratch(r, m->vectors * sizeof *k) : NULL;
    wr_tensor *o = k ? wr_graph_make(r, n, 0, WR_TENSOR_FP32, 2, (const int64_t[]){(int64_t)rows, 1}) : NULL;
    if (!o) return r->err->code;
    for (size_t i = 0; i < rows; i++, x += m->features) {
        float s = 0;
        kernels(k, m, x);
        for (size_t v = 0; v < m->vectors; v++) s += m->coef[v] * k[v];
        s += m->rho[0];
        ((float *)o->data)[i] = m->one_class ? (s > 0 ? 1.0f : -1.0f) : s;
    }
    return 0;
}

const wr_graph_op wr_graph_vectors_ops[] = {
    {.name = "SVMClassifier",
     .prepare = prepare_classifier,
     .run = run_classifier,
     .min_in = 1,
     .max_in = 1,
     .max_out = 2,
     .ml = true},
    {.name = "SVMRegressor",
     .prepare = prepare_regressor,
     .run = run_regressor,
     .min_in = 1,
     .max_in = 1,
     .max_out = 1,
     .ml = true},
    {0},
};
