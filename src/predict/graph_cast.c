/* SPDX-License-Identifier: Apache-2.0 */
/* graph_cast.c - Cast between all types, strings included. Floats to whole numbers are cut; what does not fit becomes
 * what x86 makes of it. */
#include "predict/graph_inside.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"

static void store_whole(wr_tensor *t, size_t i, int64_t x)
{
    switch (t->type) {
    case WR_TENSOR_BOOL:
        ((uint8_t *)t->data)[i] = x != 0;
        break;
    case WR_TENSOR_UINT8:
    case WR_TENSOR_INT8:
        ((uint8_t *)t->data)[i] = (uint8_t)x;
        break;
    case WR_TENSOR_UINT16:
    case WR_TENSOR_INT16:
        ((uint16_t *)t->data)[i] = (uint16_t)x;
        break;
    case WR_TENSOR_UINT32:
    case WR_TENSOR_INT32:
        ((uint32_t *)t->data)[i] = (uint32_t)x;
        break;
    default:
        ((int64_t *)t->data)[i] = x;
        break;
    }
}

/* The nearest whole number towards zero; out of range: the least one, as the processor's own instruction gives. */
static int64_t cut(double x, wr_tensor_type to)
{
    if (to == WR_TENSOR_INT32) return x > -2147483649.0 && x < 2147483648.0 ? (int64_t)x : INT32_MIN;
    if (to == WR_TENSOR_UINT64 && x >= 9223372036854775808.0 && x < 18446744073709551616.0) return (int64_t)(uint64_t)x;
    return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? (int64_t)x : INT64_MIN;
}

static int from_text(wr_graph_ctx *r, wr_tensor *o, const wr_tensor *a)
{
    if (o->type == WR_TENSOR_BOOL) return wr_graph_unsupported(r, a);
    for (size_t i = 0; i < a->count; i++) {
        wr_str s = wr_str_trim(((const wr_str *)a->data)[i]);
        if (wr_tensor_is_float(o->type)) {
            double x = 0;
            WR_TRY(wr_num_f64(&x, s, r->err));
            wr_tensor_set_f64(o, i, x);
        } else {
            int64_t x = 0;
            WR_TRY(wr_num_i64(&x, s, r->err));
            store_whole(o, i, x);
        }
    }
    return 0;
}

static int number_text(char *buf, size_t size, const wr_tensor *a, size_t i)
{
    if (!wr_tensor_is_float(a->type)) {
        if (a->type == WR_TENSOR_UINT64) return snprintf(buf, size, "%llu", (unsigned long long)wr_tensor_i64(a, i));
        return snprintf(buf, size, "%lld", (long long)wr_tensor_i64(a, i));
    }
    double x = wr_tensor_f64(a, i);
    if (isnan(x)) return snprintf(buf, size, "NaN");
    if (isinf(x)) return snprintf(buf, size, x < 0 ? "-INF" : "INF");
    return snprintf(buf, size, "%.8g", x);
}

static int to_text(wr_graph_ctx *r, wr_tensor *o, const wr_tensor *a)
{
    WR_TRY(wr_graph_work(r, a->count * 32));
    for (size_t i = 0; i < a->count; i++) {
        char buf[40];
        int n = number_text(buf, sizeof buf, a, i);
        char *p = wr_arena_dup(r->a, buf, (size_t)n);
        if (!p) return wr_err_nomem(r->err);
        ((wr_str *)o->data)[i] = (wr_str){p, (size_t)n};
    }
    return 0;
}

static void numbers(wr_tensor *o, const wr_tensor *a)
{
    if (a->type == WR_TENSOR_INT64 && o->type == WR_TENSOR_FP32) {
        for (size_t i = 0; i < a->count; i++) ((float *)o->data)[i] = (float)((const int64_t *)a->data)[i];
    } else if (a->type == WR_TENSOR_FP64 && o->type == WR_TENSOR_FP32) {
        for (size_t i = 0; i < a->count; i++) ((float *)o->data)[i] = (float)((const double *)a->data)[i];
    } else if (wr_tensor_is_float(o->type)) {
        for (size_t i = 0; i < a->count; i++) wr_tensor_set_f64(o, i, wr_tensor_f64(a, i));
    } else if (wr_tensor_is_float(a->type)) {
        for (size_t i = 0; i < a->count; i++) {
            double x = wr_tensor_f64(a, i);
            store_whole(o, i, o->type == WR_TENSOR_BOOL ? x != 0 : cut(x, o->type));
        }
    } else {
        for (size_t i = 0; i < a->count; i++) store_whole(o, i, wr_tensor_i64(a, i));
    }
}

static int cast(wr_graph_ctx *r, const wr_graph_node *n, wr_tensor_type to)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    if (to == WR_TENSOR_NONE) return wr_err_set(r->err, WEIR_EUNSUPPORTED, "a type that is not supported");
    if (a->type == to) return wr_graph_share(r, n, 0, a, a->ndims, a->shape);
    wr_tensor *o = wr_graph_make(r, n, 0, to, a->ndims, a->shape);
    if (!o) return r->err->code;
    if (a->type == WR_TENSOR_BYTES) return from_text(r, o, a);
    if (to == WR_TENSOR_BYTES) return to_text(r, o, a);
    numbers(o, a);
    return 0;
}

static int run_cast(wr_graph_ctx *r, const wr_graph_node *n)
{
    int64_t to = wr_graph_attr_i(n, "to", 0);
    return cast(r, n, to < 0 ? WR_TENSOR_NONE : wr_onnx_type((uint64_t)to));
}

static int run_cast_like(wr_graph_ctx *r, const wr_graph_node *n) { return cast(r, n, wr_graph_in(r, n, 1)->type); }

const wr_graph_op wr_graph_cast_ops[] = {
    {.name = "Cast", .run = run_cast, .min_in = 1, .max_in = 1, .max_out = 1, .alias = true},
    {.name = "CastLike", .run = run_cast_like, .min_in = 2, .max_in = 2, .max_out = 1, .alias = true},
    {0},
};
