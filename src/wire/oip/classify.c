/* SPDX-License-Identifier: Apache-2.0 */
/* classify.c - the best classes of an output in its place. */
#include <math.h>

#include "wire/oip/service.h"

typedef struct {
    double value;
    size_t index;
} class;

/* Before another: the greater value, then the lower index; what is no number comes last. */
static bool before(const class *a, const class *b)
{
    if (isnan(a->value) || isnan(b->value)) {
        if (isnan(a->value) != isnan(b->value)) return isnan(b->value);
        return a->index < b->index;
    }
    return a->value != b->value ? a->value > b->value : a->index < b->index;
}

/* heap[0] is the worst of n. */
static void sift_down(class *heap, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(&heap[worst], &heap[child])) worst = child;
        if (worst == i) return;
        class t = heap[i];
        heap[i] = heap[worst];
        heap[worst] = t;
        i = worst;
    }
}

/* The k best of n values, best first: a heap of k whose worst makes place for what is better. */
static void best(class *out, size_t k, const double *values, size_t n)
{
    for (size_t i = 0; i < k; i++) out[i] = (class){values[i], i};
    for (size_t i = k / 2; i-- > 0;) sift_down(out, k, i);
    for (size_t i = k; i < n; i++) {
        class new = {values[i], i};
        if (!before(&new, &out[0])) continue;
        out[0] = new;
        sift_down(out, k, 0);
    }
    for (size_t left = k; left > 1;) {
        class t = out[0];
        out[0] = out[--left];
        out[left] = t;
        sift_down(out, left, 0);
    }
}

static const wr_tensor_spec *spec_of(const wr_oip_model *m, const wr_tensor *t)
{
    size_t at = wr_oip_find(m->out, m->nout, t->name, 0);
    return at < m->nout ? &m->out[at] : NULL;
}

/* "value:index[:label]" */
static int class_text(wr_str *out, const wr_tensor *t, size_t at, const class *k, const wr_tensor_spec *spec,
                      wr_buf *text, wr_arena *a, wr_err *err)
{
    wr_buf_clear(text);
    wr_tensor_write_json_element(text, t, at, true);
    wr_buf_printf(text, ":%zu", k->index);
    if (spec && k->index < spec->nlabels) wr_buf_printf(text, ":%s", spec->labels[k->index]);
    *out = wr_arena_str(a, wr_buf_view(text));
    return out->p && !text->failed ? 0 : wr_err_nomem(err);
}

static int classify_rows(wr_tensor *out, const wr_tensor *t, const double *values, size_t rows, size_t each, size_t k,
                         const wr_tensor_spec *spec, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    class *top = wr_arena_alloc(a, (k + 1) * sizeof *top);
    if (!top) return wr_err_nomem(err);
    for (size_t row = 0; row < rows; row++) {
        best(top, k, values + row * each, each);
        for (size_t i = 0; i < k; i++) {
            wr_str *to = (wr_str *)out->data + row * k + i;
            WR_TRY(class_text(to, t, row * each + top[i].index, &top[i], spec, &text, a, err));
        }
    }
    return 0;
}

int wr_oip_classify(wr_tensor *t, uint64_t classes, const wr_oip_model *m, wr_arena *a, wr_err *err)
{
    enum { MOST = 1000000 };
    wr_tensor values, out = {.name = t->name, .type = WR_TENSOR_BYTES};
    bool rows = m->rows && t->ndims > 0;
    size_t n = rows ? (size_t)t->shape[0] : 1, each = n ? t->count / n : 0, k = classes < each ? (size_t)classes : each;
    if (t->type == WR_TENSOR_BYTES || t->type == WR_TENSOR_BOOL || t->type == WR_TENSOR_FP16 ||
        t->type == WR_TENSOR_BF16)
        return wr_err_set(err, WEIR_EINVAL, "class result not available for output due to unsupported type '%s'",
                          wr_tensor_type_name(t->type));
    if (t->count > MOST) return wr_err_set(err, WEIR_EINVAL, "classification output tensor too large");
    WR_TRY(wr_tensor_convert(&values, t, WR_TENSOR_FP64, a, err));
    if (rows) out.shape[out.ndims++] = (int64_t)n;
    out.shape[out.ndims++] = (int64_t)k;
    WR_TRY(wr_tensor_count(&out, err));
    WR_TRY(wr_tensor_alloc(&out, a, err));
    WR_TRY(classify_rows(&out, t, values.data, n, each, k, spec_of(m, t), a, err));
    *t = out;
    return 0;
}
