/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_golden.c - see onnx_golden.h. */
#include "predict/onnx_golden.h"

#include <math.h>
#include <stdio.h>

#include "base/rng.h"

enum { ELEMENTS_MAX = 1 << 20, WORDS_MAX = 256 };

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

/* ---- elements ---- */

static double number(wr_rng *r, wr_golden_kind kind, wr_tensor_type t)
{
    bool whole = t != WR_TENSOR_FP32 && t != WR_TENSOR_FP64 && t != WR_TENSOR_FP16 && t != WR_TENSOR_BF16;
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
    switch (t->type) {
    case WR_TENSOR_FP32:
        ((float *)t->data)[i] = (float)x;
        break;
    case WR_TENSOR_FP64:
        ((double *)t->data)[i] = x;
        break;
    case WR_TENSOR_FP16:
        ((uint16_t *)t->data)[i] = wr_float_to_half((float)x);
        break;
    case WR_TENSOR_BF16:
        ((uint16_t *)t->data)[i] = wr_float_to_bf16((float)x);
        break;
    case WR_TENSOR_BOOL:
        ((uint8_t *)t->data)[i] = x > 0;
        break;
    default: {
        int64_t v = (int64_t)x; /* small and not negative: its low bytes are the value in every width */
        memcpy((char *)t->data + i * wr_tensor_type_size(t->type), &v, wr_tensor_type_size(t->type));
    }
    }
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
    if (kind != WR_GOLDEN_MISSING) return true;
    for (size_t i = 0; i < m->nnodes; i++)
        if (wr_str_is(m->nodes[i].op, "Imputer") || wr_str_starts(m->nodes[i].op, "TreeEnsemble") ||
            wr_str_is(m->nodes[i].op, "IsNaN"))
            return true;
    return false;
}

int wr_onnx_golden(wr_tensor *in, const wr_onnx_model *m, size_t rows, wr_golden_kind kind, wr_arena *a, wr_err *err)
{
    words w = {.n = 0};
    collect(&w, m);
    for (size_t k = 0; k < m->nin; k++) {
        const wr_onnx_value *v = &m->in[k];
        wr_tensor *t = &in[k];
        wr_rng r;
        wr_rng_split(&r, 20240229 + (uint64_t)kind, k);
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
        WR_TRY(wr_tensor_alloc(t, a, err));
        for (size_t i = 0; i < t->count; i++) {
            if (t->type != WR_TENSOR_BYTES) put_number(t, i, number(&r, kind, t->type));
            else if (!put_text(t, i, &w, &r, kind, a)) return wr_err_nomem(err);
        }
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

static double element(const wr_tensor *t, size_t i)
{
    switch (t->type) {
    case WR_TENSOR_FP32:
        return (double)((const float *)t->data)[i];
    case WR_TENSOR_FP64:
        return ((const double *)t->data)[i];
    case WR_TENSOR_FP16:
        return (double)wr_half_to_float(((const uint16_t *)t->data)[i]);
    default:
        return (double)wr_bf16_to_float(((const uint16_t *)t->data)[i]);
    }
}

static bool floats_agree(const wr_tensor *a, const wr_tensor *b, double relative)
{
    double mean = 0;
    for (size_t i = 0; i < a->count; i++) {
        double x = fabs(element(a, i));
        if (isfinite(x)) mean += x / (double)a->count;
    }
    for (size_t i = 0; i < a->count; i++) {
        double x = element(a, i), y = element(b, i);
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
    bool real = a->type == WR_TENSOR_FP32 || a->type == WR_TENSOR_FP64 || a->type == WR_TENSOR_FP16 ||
                a->type == WR_TENSOR_BF16;
    return real ? floats_agree(a, b, relative) : memcmp(a->data, b->data, a->count * wr_tensor_type_size(a->type)) == 0;
}
