/* SPDX-License-Identifier: Apache-2.0 */
/* graph_encode.c - ai.onnx.ml: what prepares columns for a learner. Imputer, Scaler, Normalizer, Binarizer, encoders,
 * feature vectors. */
#include "predict/graph_inside.h"

#include <math.h>

#include "base/map.h"
#include "base/mem.h"

static bool is_number(const wr_tensor *t)
{
    return t->type == WR_TENSOR_FP32 || t->type == WR_TENSOR_FP64 || t->type == WR_TENSOR_INT32 ||
           t->type == WR_TENSOR_INT64;
}

static float as_float(const wr_tensor *t, size_t i)
{
    switch (t->type) {
    case WR_TENSOR_FP32:
        return ((const float *)t->data)[i];
    case WR_TENSOR_FP64:
        return (float)((const double *)t->data)[i];
    case WR_TENSOR_INT32:
        return (float)((const int32_t *)t->data)[i];
    default:
        return (float)((const int64_t *)t->data)[i];
    }
}

/* Columns of a matrix; a vector is one row. */
static size_t columns(const wr_tensor *t) { return t->ndims == 0 ? 1 : (size_t)t->shape[t->ndims - 1]; }

/* ---- numbers ---- */

static int run_imputer(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const wr_onnx_attr *f = wr_graph_attr_list(n, "imputed_value_floats", WR_ONNX_ATTR_FLOATS),
                       *w = wr_graph_attr_list(n, "imputed_value_int64s", WR_ONNX_ATTR_INTS);
    size_t cols = columns(a), have = a->type == WR_TENSOR_INT64 ? (w ? w->n : 0) : f ? f->n : 0;
    if (a->type != WR_TENSOR_FP32 && a->type != WR_TENSOR_INT64) return wr_graph_unsupported(r, a);
    if (have != 1 && have != cols) return wr_graph_bad(r, "values to put in are not as many as columns");
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, a->shape);
    if (!o) return r->err->code;
    float missing = wr_graph_attr_f(n, "replaced_value_float", 0);
    int64_t absent = wr_graph_attr_i(n, "replaced_value_int64", 0);
    for (size_t i = 0; i < a->count; i++) {
        size_t c = have == 1 ? 0 : i % cols;
        if (a->type == WR_TENSOR_INT64) {
            int64_t x = ((const int64_t *)a->data)[i];
            ((int64_t *)o->data)[i] = x == absent ? w->ints[c] : x;
        } else {
            float x = ((const float *)a->data)[i];
            ((float *)o->data)[i] = (isnan(missing) ? isnan(x) : x == missing) ? f->floats[c] : x;
        }
    }
    return 0;
}

static int run_scaler(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const wr_onnx_attr *offset = wr_graph_attr_list(n, "offset", WR_ONNX_ATTR_FLOATS),
                       *scale = wr_graph_attr_list(n, "scale", WR_ONNX_ATTR_FLOATS);
    size_t cols = columns(a);
    if (!is_number(a)) return wr_graph_unsupported(r, a);
    if (!offset || !scale || offset->n != scale->n || (scale->n != 1 && scale->n != cols))
        return wr_graph_bad(r, "offsets or factors are not as many as columns");
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_FP32, a->ndims, a->shape);
    if (!o) return r->err->code;
    size_t step = scale->n == 1 ? 0 : 1;
    float *y = o->data;
    for (size_t k = 0; cols && k < a->count; k += cols) {
        if (a->type == WR_TENSOR_FP32) {
            const float *x = (const float *)a->data + k;
            for (size_t c = 0; c < cols; c++) y[k + c] = (x[c] - offset->floats[c * step]) * scale->floats[c * step];
        } else {
            for (size_t c = 0; c < cols; c++)
                y[k + c] = (as_float(a, k + c) - offset->floats[c * step]) * scale->floats[c * step];
        }
    }
    return 0;
}

/* A row of zeros stays one. */
static void normalize(float *y, const wr_tensor *a, size_t at, size_t cols, wr_str norm)
{
    float s = 0;
    bool top = wr_str_is(norm, "MAX"), l1 = wr_str_is(norm, "L1");
    for (size_t c = 0; c < cols; c++) {
        float x = as_float(a, at + c);
        if (top) s = c == 0 || x > s ? x : s;
        else s += l1 ? fabsf(x) : x * x;
    }
    if (!top && !l1) s = sqrtf(s);
    for (size_t c = 0; c < cols; c++) {
        float x = as_float(a, at + c);
        y[c] = s != 0 ? x / s : x;
    }
}

static int run_normalizer(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    wr_str norm = wr_graph_attr_s(n, "norm", "MAX");
    size_t cols = columns(a);
    if (!is_number(a)) return wr_graph_unsupported(r, a);
    if (!wr_str_is(norm, "MAX") && !wr_str_is(norm, "L1") && !wr_str_is(norm, "L2"))
        return wr_graph_bad(r, "the norm is none of MAX, L1, L2");
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_FP32, a->ndims, a->shape);
    if (!o) return r->err->code;
    for (size_t k = 0; cols && k < a->count; k += cols) normalize((float *)o->data + k, a, k, cols, norm);
    return 0;
}

static int run_binarizer(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    float threshold = wr_graph_attr_f(n, "threshold", 0);
    if (a->type != WR_TENSOR_FP32) return wr_graph_unsupported(r, a);
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, a->shape);
    if (!o) return r->err->code;
    for (size_t i = 0; i < a->count; i++) ((float *)o->data)[i] = ((const float *)a->data)[i] > threshold ? 1 : 0;
    return 0;
}

/* ---- columns ---- */

static int run_feature_vectorizer(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_onnx_attr *dims = wr_graph_attr_list(n, "inputdimensions", WR_ONNX_ATTR_INTS);
    int64_t shape[2] = {0, 0};
    if (dims && dims->n < n->nin) return wr_graph_bad(r, "widths are not as many as inputs");
    for (uint32_t i = 0; i < n->nin; i++) {
        const wr_tensor *a = wr_graph_in(r, n, i);
        if (!a || !is_number(a)) return wr_graph_unsupported(r, a);
        int64_t rows = a->ndims > 1 ? a->shape[0] : 1, width = dims ? dims->ints[i] : (int64_t)columns(a);
        if (a->ndims > 2 || width < 0 || width > 1 << 28 || (i && rows != shape[0]))
            return wr_graph_bad(r, "inputs do not fit side by side");
        shape[0] = rows;
        shape[1] += width;
    }
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_FP32, 2, shape);
    if (!o) return r->err->code;
    size_t at = 0;
    for (uint32_t i = 0; i < n->nin; i++) {
        const wr_tensor *a = wr_graph_in(r, n, i);
        size_t cols = columns(a), width = dims ? (size_t)dims->ints[i] : cols;
        for (size_t k = 0; k < (size_t)shape[0];
             k++) /* what is too wide is cut, what is too narrow filled with zeros */
            for (size_t c = 0; c < width; c++)
                ((float *)o->data)[k * (size_t)shape[1] + at + c] = c < cols ? as_float(a, k * cols + c) : 0;
        at += width;
    }
    return 0;
}

static int run_extractor(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *b = wr_graph_in(r, n, 1);
    if (b->type != WR_TENSOR_INT64) return wr_graph_unsupported(r, b);
    if (a->ndims == 0) return wr_graph_bad(r, "a number has no columns");
    size_t cols = columns(a), rows = cols ? a->count / cols : 0, size = wr_tensor_type_size(a->type);
    int64_t shape[WR_TENSOR_DIMS];
    int nd = a->ndims < 2 ? 2 : a->ndims;
    shape[0] = 1;
    if (a->ndims >= 2) memcpy(shape, a->shape, sizeof shape);
    shape[nd - 1] = (int64_t)b->count;
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, nd, shape);
    if (!o) return r->err->code;
    char *to = o->data;
    for (size_t k = 0; k < rows; k++)
        for (size_t i = 0; i < b->count; i++, to += size) {
            int64_t c = ((const int64_t *)b->data)[i];
            if (c < 0 || (size_t)c >= cols) return wr_graph_bad(r, "a column is outside of the matrix");
            memcpy(to, (const char *)a->data + (k * cols + (size_t)c) * size, size);
        }
    return o->count == rows * b->count ? 0 : wr_graph_bad(r, "no columns to choose from");
}

/* ---- encoders: a map from the bytes of a key to its place ---- */

typedef struct {
    wr_map map; /* value: 1 + place */
    wr_tensor_type key, value;
    const wr_onnx_attr *values;
    size_t n;
    bool nan;    /* NaN is a key like any other */
    wr_str text; /* what an unknown key becomes */
    int64_t whole;
    float real;
} encoder;

/* Floats are keys by value: -0 is 0 and all NaN are one (which only ai.onnx.ml 4 finds). */
static wr_str float_key(float *room, float x)
{
    *room = isnan(x) ? NAN : x == 0 ? 0 : x;
    return (wr_str){(const char *)room, sizeof *room};
}

static wr_str attr_key(float *room, const wr_onnx_attr *a, size_t i)
{
    if (a->type == WR_ONNX_ATTR_STRINGS) return a->strings[i];
    if (a->type == WR_ONNX_ATTR_INTS) return (wr_str){(const char *)&a->ints[i], sizeof(int64_t)};
    return float_key(room, a->floats[i]);
}

static void fini_encoder(void *state)
{
    encoder *e = state;
    wr_map_fini(&e->map);
}

/* The first of equal keys counts. */
static int new_encoder(encoder **out, wr_graph_node *n, wr_graph *g, const wr_onnx_attr *keys, wr_err *err)
{
    encoder *e = wr_arena_calloc(g->mem, 1, sizeof *e);
    if (!e) return wr_err_nomem(err);
    wr_map_init(&e->map);
    n->state = e;
    e->n = keys->n;
    e->nan = g->opset_ml >= 4;
    e->key = keys->type == WR_ONNX_ATTR_STRINGS ? WR_TENSOR_BYTES
             : keys->type == WR_ONNX_ATTR_INTS  ? WR_TENSOR_INT64
                                                : WR_TENSOR_FP32;
    for (size_t i = 0; i < keys->n; i++) {
        float room;
        wr_str k = attr_key(&room, keys, i);
        if (wr_map_find(&e->map, k) < 0 && wr_map_put(&e->map, k, (void *)(uintptr_t)(i + 1)) < 0)
            return wr_err_nomem(err);
    }
    *out = e;
    return 0;
}

/* The place of element i, or SIZE_MAX. Whole keys take numbers of other types, as the standard lets them. */
static size_t find(const encoder *e, const wr_tensor *a, size_t i)
{
    int64_t whole;
    float real;
    wr_str k;
    if (e->key == WR_TENSOR_BYTES) {
        k = ((const wr_str *)a->data)[i];
    } else if (e->key == WR_TENSOR_FP32) {
        k = float_key(&real, as_float(a, i));
        if (isnan(real) && !e->nan) return SIZE_MAX;
    } else {
        double x = a->type == WR_TENSOR_FP64   ? ((const double *)a->data)[i]
                   : a->type == WR_TENSOR_FP32 ? (double)((const float *)a->data)[i]
                                               : 0;
        whole = a->type == WR_TENSOR_INT64   ? ((const int64_t *)a->data)[i]
                : a->type == WR_TENSOR_INT32 ? ((const int32_t *)a->data)[i]
                : x > -9e18 && x < 9e18      ? (int64_t)x
                                             : INT64_MIN;
        k = (wr_str){(const char *)&whole, sizeof whole};
    }
    void *p = wr_map_get(&e->map, k);
    return p ? (size_t)(uintptr_t)p - 1 : SIZE_MAX;
}

static const wr_onnx_attr *first_list(const wr_graph_node *n, const char *strings, const char *ints, const char *floats)
{
    const wr_onnx_attr *a = wr_graph_attr_list(n, strings, WR_ONNX_ATTR_STRINGS);
    if (!a) a = wr_graph_attr_list(n, ints, WR_ONNX_ATTR_INTS);
    if (!a && floats) a = wr_graph_attr_list(n, floats, WR_ONNX_ATTR_FLOATS);
    return a;
}

static int prepare_one_hot(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    encoder *e;
    const wr_onnx_attr *keys = first_list(n, "cats_strings", "cats_int64s", NULL);
    return keys ? new_encoder(&e, n, g, keys, err) : wr_graph_corrupt(n, err, "it has no categories");
}

static int run_one_hot(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const encoder *e = n->state;
    bool zeros = wr_graph_attr_i(n, "zeros", 1) != 0;
    if (e->key == WR_TENSOR_BYTES ? a->type != WR_TENSOR_BYTES : !is_number(a)) return wr_graph_unsupported(r, a);
    if (a->ndims == WR_TENSOR_DIMS) return wr_graph_bad(r, "too many dimensions");
    int64_t shape[WR_TENSOR_DIMS];
    memcpy(shape, a->shape, sizeof shape);
    shape[a->ndims] = (int64_t)e->n;
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_FP32, a->ndims + 1, shape);
    if (!o) return r->err->code;
    float *y = o->data;
    memset(y, 0, o->count * sizeof *y);
    for (size_t i = 0; i < a->count; i++, y += e->n) {
        size_t at = find(e, a, i);
        if (at != SIZE_MAX) y[at] = 1;
        else if (!zeros) return wr_graph_bad(r, "a category is not known");
    }
    return 0;
}

/* Version 1 has one list: a string becomes its place, a place its string. */
static int prepare_old_labels(wr_graph_node *n, wr_graph *g, const wr_onnx_attr *classes, wr_err *err)
{
    encoder *e;
    WR_TRY(new_encoder(&e, n, g, classes, err));
    e->values = classes;
    e->text = wr_graph_attr_s(n, "default_string", "_Unused");
    e->whole = wr_graph_attr_i(n, "default_int64", -1);
    e->value = WR_TENSOR_NONE; /* the other of the two */
    return 0;
}

static int prepare_labels(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    encoder *e;
    const wr_onnx_attr *classes = wr_graph_attr_list(n, "classes_strings", WR_ONNX_ATTR_STRINGS);
    if (!classes) classes = wr_graph_attr_list(n, "cats_strings", WR_ONNX_ATTR_STRINGS);
    if (classes && n->op->arg == NULL) return prepare_old_labels(n, g, classes, err);
    const wr_onnx_attr *keys = first_list(n, "keys_strings", "keys_int64s", "keys_floats"),
                       *values = first_list(n, "values_strings", "values_int64s", "values_floats");
    if (!keys || !values) return wr_graph_refuse(n, err, "keys or values in another form than lists");
    if (keys->n != values->n) return wr_graph_corrupt(n, err, "keys and values are not as many");
    if (wr_onnx_attr_find(n->of, "default_tensor")) return wr_graph_refuse(n, err, "a default in another form");
    WR_TRY(new_encoder(&e, n, g, keys, err));
    e->values = values;
    e->value = values->type == WR_ONNX_ATTR_STRINGS ? WR_TENSOR_BYTES
               : values->type == WR_ONNX_ATTR_INTS  ? WR_TENSOR_INT64
                                                    : WR_TENSOR_FP32;
    e->text = wr_graph_attr_s(n, "default_string", "_Unused");
    e->whole = wr_graph_attr_i(n, "default_int64", -1);
    e->real = wr_graph_attr_f(n, "default_float", -0.0f);
    return 0;
}

/* CategoryMapper: strings and their numbers, both ways; its keys are strings, numbers are looked for in the list. */
static int prepare_categories(wr_graph_node *n, wr_graph *g, wr_err *err)
{
    const wr_onnx_attr *text = wr_graph_attr_list(n, "cats_strings", WR_ONNX_ATTR_STRINGS),
                       *whole = wr_graph_attr_list(n, "cats_int64s", WR_ONNX_ATTR_INTS);
    if (!text || !whole || text->n != whole->n) return wr_graph_corrupt(n, err, "strings and numbers are not as many");
    encoder *e;
    WR_TRY(new_encoder(&e, n, g, text, err));
    e->values = whole;
    e->value = WR_TENSOR_INT64;
    e->text = wr_graph_attr_s(n, "default_string", "_Unused");
    e->whole = wr_graph_attr_i(n, "default_int64", -1);
    return 0;
}

static int run_old_labels(wr_graph_ctx *r, const wr_graph_node *n, const encoder *e, const wr_tensor *a)
{
    bool text = a->type == WR_TENSOR_BYTES;
    if (!text && a->type != WR_TENSOR_INT64) return wr_graph_unsupported(r, a);
    wr_tensor *o = wr_graph_make(r, n, 0, text ? WR_TENSOR_INT64 : WR_TENSOR_BYTES, a->ndims, a->shape);
    if (!o) return r->err->code;
    for (size_t i = 0; i < a->count; i++) {
        if (text) {
            size_t at = find(e, a, i);
            ((int64_t *)o->data)[i] = at == SIZE_MAX ? e->whole : (int64_t)at;
        } else {
            int64_t at = ((const int64_t *)a->data)[i];
            ((wr_str *)o->data)[i] = at < 0 || (size_t)at >= e->n ? e->text : e->values->strings[at];
        }
    }
    return 0;
}

static int run_labels(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const encoder *e = n->state;
    if (e->value == WR_TENSOR_NONE) return run_old_labels(r, n, e, a);
    if (a->type != e->key) return wr_graph_unsupported(r, a);
    wr_tensor *o = wr_graph_make(r, n, 0, e->value, a->ndims, a->shape);
    if (!o) return r->err->code;
    for (size_t i = 0; i < a->count; i++) {
        size_t at = find(e, a, i);
        bool known = at != SIZE_MAX;
        if (e->value == WR_TENSOR_BYTES) ((wr_str *)o->data)[i] = known ? e->values->strings[at] : e->text;
        else if (e->value == WR_TENSOR_INT64) ((int64_t *)o->data)[i] = known ? e->values->ints[at] : e->whole;
        else ((float *)o->data)[i] = known ? e->values->floats[at] : e->real;
    }
    return 0;
}

/* ---- ZipMap: its values as they are ---- */

static int run_zipmap(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    return wr_graph_share(r, n, 0, a, a->ndims, a->shape);
}

#define ONE(op, f)                                                                                                     \
    {                                                                                                                  \
        .name = op, .run = f, .min_in = 1, .max_in = 1, .max_out = 1, .ml = true                                       \
    }
static const char categories[] = "categories";
const wr_graph_op wr_graph_encode_ops[] = {
    ONE("Imputer", run_imputer),
    ONE("Scaler", run_scaler),
    ONE("Normalizer", run_normalizer),
    ONE("Binarizer", run_binarizer),
    {.name = "FeatureVectorizer",
     .run = run_feature_vectorizer,
     .min_in = 1,
     .max_in = WR_GRAPH_ANY,
     .max_out = 1,
     .ml = true},
    {.name = "ArrayFeatureExtractor", .run = run_extractor, .min_in = 2, .max_in = 2, .max_out = 1, .ml = true},
    {.name = "OneHotEncoder",
     .prepare = prepare_one_hot,
     .run = run_one_hot,
     .fini = fini_encoder,
     .min_in = 1,
     .max_in = 1,
     .max_out = 1,
     .ml = true},
    {.name = "LabelEncoder",
     .prepare = prepare_labels,
     .run = run_labels,
     .fini = fini_encoder,
     .min_in = 1,
     .max_in = 1,
     .max_out = 1,
     .ml = true},
    {.name = "CategoryMapper",
     .prepare = prepare_categories,
     .run = run_labels,
     .fini = fini_encoder,
     .arg = categories,
     .min_in = 1,
     .max_in = 1,
     .max_out = 1,
     .ml = true},
    {.name = "ZipMap", .run = run_zipmap, .min_in = 1, .max_in = 1, .max_out = 1, .alias = true, .ml = true},
    {0},
};
