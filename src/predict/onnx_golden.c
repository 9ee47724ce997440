/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_golden.c - see onnx_golden.h. */
#include "predict/onnx_golden.h"

#include <math.h>
#include <stdio.h>

#include "base/rng.h"

enum { ELEMENTS_MAX = 1 << 20, WORDS_MAX = 256, TREES_MAX = 16 };

/* ---- strings that the model names ---- */

typedef struct {
    wr_str word[WORDS_MAX];
    size_t n;
} words;

static void collect(words *w, const wr_onnx_model *m)
{
    static const char *const lists[] = {"cats_strings", "keys_strings", "classes_strings", "string_vocabulary"};
    for (size_t i = 0; i < m->nnodes; i++)
        for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
            const wr_onnx_attr *a = wr_onnx_attr_find(&m->nodes[i], lists[k]);
            for (size_t j = 0; a && a->type == WR_ONNX_ATTR_STRINGS && j < a->n && w->n < WORDS_MAX; j++)
                w->word[w->n++] = a->strings[j];
        }
    for (size_t i = 0; i < m->ninit; i++)
        for (size_t j = 0; m->init[i].type == WR_TENSOR_BYTES && j < m->init[i].count && w->n < WORDS_MAX; j++)
            w->word[w->n++] = ((const wr_str *)m->init[i].data)[j];
}

/* ---- thresholds of its trees ---- */

typedef struct {
    const wr_onnx_attr *value[TREES_MAX], *feature[TREES_MAX];
    size_t n;
} trees;

static void collect_trees(trees *t, const wr_onnx_model *m)
{
    for (size_t i = 0; i < m->nnodes && t->n < TREES_MAX; i++) {
        const wr_onnx_attr *v = wr_onnx_attr_find(&m->nodes[i], "nodes_values");
        const wr_onnx_attr *f = wr_onnx_attr_find(&m->nodes[i], "nodes_featureids");
        if (!v || !f || v->type != WR_ONNX_ATTR_FLOATS || f->type != WR_ONNX_ATTR_INTS || v->n != f->n || v->n == 0)
            continue;
        t->value[t->n] = v;
        t->feature[t->n++] = f;
    }
}

/* A threshold that some node has for that column, or one step or some way beside it; any number when none is found
 * soon. */
static double near_threshold(wr_rng *r, const trees *t, int64_t column)
{
    for (int tries = 0; t->n && tries < 40; tries++) {
        size_t k = wr_rng_below(r, t->n), i = wr_rng_below(r, t->value[k]->n);
        float x = t->value[k]->floats[i];
        if (t->feature[k]->ints[i] != column || !isfinite(x)) continue;
        switch (wr_rng_below(r, 4)) {
        case 0:
            return (double)x;
        case 1:
            return (double)nextafterf(x, wr_rng_below(r, 2) ? INFINITY : -INFINITY);
        default:
            return (double)x + 0.1 * fabs((double)x) * wr_rng_normal(r);
        }
    }
    return wr_rng_normal(r);
}

/* ---- elements ---- */

static double number(wr_rng *r, wr_golden_kind kind, bool whole)
{
    switch (kind) {
    case WR_GOLDEN_WIDE:
        return whole ? (double)wr_rng_below(r, 100) : 25 * wr_rng_normal(r);
    case WR_GOLDEN_ZEROS:
        return (double)wr_rng_below(r, 2);
    case WR_GOLDEN_MISSING:
        if (!whole && wr_rng_below(r, 4) == 0) return (double)NAN;
        return whole ? (double)wr_rng_below(r, 4) : wr_rng_normal(r);
    default:
        return whole ? (double)wr_rng_below(r, 4) : wr_rng_normal(r);
    }
}

static void put_number(wr_tensor *t, size_t i, double x)
{
    if (wr_tensor_is_float(t->type)) {
        wr_tensor_set_f64(t, i, x);
        return;
    }
    /* small and not negative: its low bytes are the value in every width */
    int64_t v = t->type == WR_TENSOR_BOOL ? x > 0 : (int64_t)x;
    memcpy((char *)t->data + i * wr_tensor_type_size(t->type), &v, wr_tensor_type_size(t->type));
}

static bool put_text(wr_tensor *t, size_t i, const words *w, wr_rng *r, wr_golden_kind kind, wr_arena *a)
{
    wr_str *to = &((wr_str *)t->data)[i];
    if (w->n && kind != WR_GOLDEN_WIDE) {
        *to = w->word[wr_rng_below(r, w->n)];
        return true;
    }
    char *p = wr_arena_printf(a, "%d", (int)wr_rng_below(r, 50));
    *to = wr_str_of(p);
    return p != NULL;
}

bool wr_onnx_golden_fits(const wr_onnx_model *m, wr_golden_kind kind)
{
    bool trees_only = kind == WR_GOLDEN_TREES;
    if (kind != WR_GOLDEN_MISSING && !trees_only) return true;
    for (size_t i = 0; i < m->nnodes; i++) {
        wr_str op = m->nodes[i].op;
        if (wr_str_starts(op, "TreeEnsemble")) return true;
        if (!trees_only && (wr_str_is(op, "Imputer") || wr_str_is(op, "IsNaN"))) return true;
    }
    return false;
}

/* What all inputs' elements are drawn from. */
typedef struct {
    words words;
    trees trees;
    int64_t column; /* of the table that the inputs make side by side: the first of this input */
    wr_golden_kind kind;
    wr_arena *a;
} source;

static int shape_of(wr_tensor *t, const wr_onnx_value *v, size_t rows, wr_err *err)
{
    if (v->kind != WR_ONNX_TENSOR || v->type == WR_TENSOR_NONE)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "input \"%.*s\" is no tensor of a type that is supported",
                          WR_STR_FMT(wr_str_fit(v->name, 100)));
    *t = (wr_tensor){.name = v->name, .type = v->type, .ndims = v->shaped ? v->ndims : 2};
    for (int d = 0; d < t->ndims; d++)
        t->shape[d] = v->shaped && v->shape[d] >= 0 ? v->shape[d] : d == 0 ? (int64_t)rows : 1;
    WR_TRY(wr_tensor_count(t, err));
    if (t->count > ELEMENTS_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "input \"%.*s\" is too large to try the model",
                          WR_STR_FMT(wr_str_fit(v->name, 100)));
    return 0;
}

static bool draw(wr_tensor *t, source *s, wr_rng *r)
{
    int64_t width = t->ndims == 2 ? t->shape[1] : 1;
    bool whole = !wr_tensor_is_float(t->type);
    for (size_t i = 0; i < t->count; i++) {
        if (t->type == WR_TENSOR_BYTES) {
            if (!put_text(t, i, &s->words, r, s->kind, s->a)) return false;
        } else if (s->kind == WR_GOLDEN_TREES) {
            double x = near_threshold(r, &s->trees, s->column + (int64_t)i % (width ? width : 1));
            put_number(t, i, whole ? fmin(fabs(x), 100) : x);
        } else {
            put_number(t, i, number(r, s->kind, whole));
        }
    }
    s->column += width;
    return true;
}

int wr_onnx_golden(wr_tensor *in, const wr_onnx_model *m, size_t rows, wr_golden_kind kind, wr_arena *a, wr_err *err)
{
    source s = {.kind = kind, .a = a};
    collect(&s.words, m);
    collect_trees(&s.trees, m);
    for (size_t k = 0; k < m->nin; k++) {
        wr_rng r;
        wr_rng_split(&r, 20240229 + (uint64_t)kind, k);
        WR_TRY(shape_of(&in[k], &m->in[k], rows, err));
        WR_TRY(wr_tensor_alloc(&in[k], a, err));
        if (!draw(&in[k], &s, &r)) return wr_err_nomem(err);
    }
    return 0;
}

void wr_onnx_golden_row(wr_tensor *out, const wr_tensor *in, const wr_onnx_model *m, size_t i)
{
    for (size_t k = 0; k < m->nin; k++) {
        out[k] = in[k];
        bool is_free = in[k].ndims > 0 && (!m->in[k].shaped || m->in[k].shape[0] < 0) && in[k].shape[0] > 0;
        if (!is_free) continue;
        out[k].count = in[k].count / (size_t)in[k].shape[0];
        out[k].shape[0] = 1;
        out[k].data = (char *)in[k].data + i * out[k].count * wr_tensor_type_size(in[k].type);
    }
}

/* ---- agreement ---- */

static bool floats_agree(const wr_tensor *a, const wr_tensor *b, double relative)
{
    double mean = 0;
    for (size_t i = 0; i < a->count; i++) {
        double x = fabs(wr_tensor_f64(a, i));
        if (isfinite(x)) mean += x / (double)a->count;
    }
    for (size_t i = 0; i < a->count; i++) {
        double x = wr_tensor_f64(a, i), y = wr_tensor_f64(b, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        if (!(fabs(x - y) <= relative * fmax(fmax(fabs(x), fabs(y)), mean))) return false;
    }
    return true;
}

bool wr_tensor_agree(const wr_tensor *a, const wr_tensor *b, double relative)
{
    if (a->type != b->type || a->ndims != b->ndims || a->count != b->count) return false;
    for (int d = 0; d < a->ndims; d++)
        if (a->shape[d] != b->shape[d]) return false;
    if (a->count == 0) return true;
    if (a->type == WR_TENSOR_BYTES) {
        for (size_t i = 0; i < a->count; i++)
            if (!wr_str_eq(((const wr_str *)a->data)[i], ((const wr_str *)b->data)[i])) return false;
        return true;
    }
    return wr_tensor_is_float(a->type) ? floats_agree(a, b, relative)
                                       : memcmp(a->data, b->data, a->count * wr_tensor_type_size(a->type)) == 0;
}
