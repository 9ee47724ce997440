/* SPDX-License-Identifier: Apache-2.0 */
/* graph_shape.c - ops that move elements, or only say how they lie: of any type, by their size. */
#include "predict/graph_inside.h"

/* ---- the same elements in another shape ---- */

static int run_identity(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    return wr_graph_share(r, n, 0, a, a->ndims, a->shape);
}

/* Dropout of a finished model: all elements pass; the mask says so. */
static int run_dropout(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *training = wr_graph_in(r, n, 2);
    if (training && training->type == WR_TENSOR_BOOL && training->count == 1 && *(const uint8_t *)training->data)
        return wr_graph_bad(r, "training mode");
    WR_TRY(run_identity(r, n));
    if (n->nout < 2) return 0;
    wr_tensor *mask = wr_graph_make(r, n, 1, WR_TENSOR_BOOL, a->ndims, a->shape);
    if (!mask) return r->err->code;
    memset(mask->data, 1, mask->count);
    return 0;
}

static int run_reshape(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    int64_t shape[WR_TENSOR_DIMS];
    size_t nd, known = 1;
    int open = -1;
    bool allowzero = wr_graph_attr_i(n, "allowzero", 0) != 0;
    WR_TRY(wr_graph_ints(shape, &nd, WR_TENSOR_DIMS, wr_graph_in(r, n, 1), r->err));
    for (size_t d = 0; d < nd; d++) {
        if (shape[d] == 0 && !allowzero) {
            if ((int)d >= a->ndims) return wr_graph_bad(r, "the new shape copies a dimension that is not there");
            shape[d] = a->shape[d];
        }
        if (shape[d] < -1 || (shape[d] == -1 && open >= 0)) return wr_graph_bad(r, "the new shape is not one");
        if (shape[d] == -1) open = (int)d;
        else if (__builtin_mul_overflow(known, (size_t)shape[d], &known))
            return wr_graph_bad(r, "the new shape is too large");
    }
    if (open >= 0) {
        if (known == 0 || a->count % known != 0) return wr_graph_bad(r, "the new shape has another number of elements");
        shape[open] = (int64_t)(a->count / known);
    }
    return wr_graph_share(r, n, 0, a, (int)nd, shape);
}

static int run_flatten(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    int64_t axis = wr_graph_attr_i(n, "axis", 1);
    if (axis < -a->ndims || axis > a->ndims) return wr_graph_bad(r, "the axis is outside of the tensor");
    int at = (int)(axis < 0 ? axis + a->ndims : axis);
    int64_t shape[2] = {(int64_t)wr_graph_product(a, 0, at), (int64_t)wr_graph_product(a, at, a->ndims)};
    return wr_graph_share(r, n, 0, a, 2, shape);
}

/* Axes of Squeeze and Unsqueeze: an attribute before operator set 13, an input since. *n = SIZE_MAX: none are given. */
static int axes_of(wr_graph_ctx *r, const wr_graph_node *n, int64_t *axes, size_t *count)
{
    const wr_tensor *t = wr_graph_in(r, n, 1);
    if (t) return wr_graph_ints(axes, count, WR_TENSOR_DIMS, t, r->err);
    const wr_onnx_attr *a = wr_graph_attr_list(n, "axes", WR_ONNX_ATTR_INTS);
    *count = SIZE_MAX;
    if (!a) return 0;
    if (a->n > WR_TENSOR_DIMS) return wr_graph_bad(r, "too many axes");
    memcpy(axes, a->ints, a->n * sizeof *axes);
    *count = a->n;
    return 0;
}

static int run_squeeze(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    int64_t axes[WR_TENSOR_DIMS], shape[WR_TENSOR_DIMS];
    size_t count;
    bool drop[WR_TENSOR_DIMS] = {false};
    WR_TRY(axes_of(r, n, axes, &count));
    for (int d = 0; d < a->ndims; d++) drop[d] = count == SIZE_MAX && a->shape[d] == 1;
    for (size_t i = 0; count != SIZE_MAX && i < count; i++) {
        int d;
        WR_TRY(wr_graph_axis(&d, axes[i], a->ndims, r->err));
        if (a->shape[d] != 1) return wr_graph_bad(r, "only dimensions of 1 can be squeezed");
        drop[d] = true;
    }
    int nd = 0;
    for (int d = 0; d < a->ndims; d++)
        if (!drop[d]) shape[nd++] = a->shape[d];
    return wr_graph_share(r, n, 0, a, nd, shape);
}

static int run_unsqueeze(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    int64_t axes[WR_TENSOR_DIMS], shape[WR_TENSOR_DIMS];
    size_t count;
    bool fresh[WR_TENSOR_DIMS] = {false};
    WR_TRY(axes_of(r, n, axes, &count));
    if (count == SIZE_MAX) return wr_graph_bad(r, "no axes");
    if (a->ndims + (int)count > WR_TENSOR_DIMS) return wr_graph_bad(r, "too many dimensions");
    int nd = a->ndims + (int)count;
    for (size_t i = 0; i < count; i++) {
        int d;
        WR_TRY(wr_graph_axis(&d, axes[i], nd, r->err));
        if (fresh[d]) return wr_graph_bad(r, "an axis is named twice");
        fresh[d] = true;
    }
    for (int d = 0, from = 0; d < nd; d++) shape[d] = fresh[d] ? 1 : a->shape[from++];
    return wr_graph_share(r, n, 0, a, nd, shape);
}

/* ---- about shapes ---- */

static int run_shape(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    int64_t start = wr_graph_attr_i(n, "start", 0), end = wr_graph_attr_i(n, "end", a->ndims);
    if (start < 0) start += a->ndims;
    if (end < 0) end += a->ndims;
    start = start < 0 ? 0 : start > a->ndims ? a->ndims : start;
    end = end < start ? start : end > a->ndims ? a->ndims : end;
    int64_t len = end - start;
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_INT64, 1, &len);
    if (!o) return r->err->code;
    memcpy(o->data, a->shape + start, (size_t)len * sizeof(int64_t));
    return 0;
}

static int run_size(wr_graph_ctx *r, const wr_graph_node *n)
{
    wr_tensor *o = wr_graph_make(r, n, 0, WR_TENSOR_INT64, 0, NULL);
    if (!o) return r->err->code;
    *(int64_t *)o->data = (int64_t)wr_graph_in(r, n, 0)->count;
    return 0;
}

static void fill(wr_tensor *o, const void *element, size_t size)
{
    for (size_t i = 0; i < o->count; i++) memcpy((char *)o->data + i * size, element, size);
}

static int run_constant_of_shape(wr_graph_ctx *r, const wr_graph_node *n)
{
    int64_t shape[WR_TENSOR_DIMS];
    size_t nd;
    const wr_onnx_attr *a = wr_onnx_attr_find(n->of, "value");
    static const float zero = 0;
    WR_TRY(wr_graph_ints(shape, &nd, WR_TENSOR_DIMS, wr_graph_in(r, n, 0), r->err));
    if (a && (!a->tensor || a->tensor->count != 1)) return wr_graph_bad(r, "the value is not one element");
    wr_tensor_type type = a ? a->tensor->type : WR_TENSOR_FP32;
    wr_tensor *o = wr_graph_make(r, n, 0, type, (int)nd, shape);
    if (!o) return r->err->code;
    fill(o, a ? a->tensor->data : &zero, wr_tensor_type_size(type));
    return 0;
}

static int run_constant(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_onnx_attr *a = wr_onnx_attr_find(n->of, "value");
    if (a && a->tensor) return wr_graph_share(r, n, 0, a->tensor, a->tensor->ndims, a->tensor->shape);
    static const struct {
        const char *name;
        wr_onnx_attr_type type;
        wr_tensor_type of;
        bool list;
    } forms[] = {
        {"value_float", WR_ONNX_ATTR_FLOAT, WR_TENSOR_FP32, false},
        {"value_floats", WR_ONNX_ATTR_FLOATS, WR_TENSOR_FP32, true},
        {"value_int", WR_ONNX_ATTR_INT, WR_TENSOR_INT64, false},
        {"value_ints", WR_ONNX_ATTR_INTS, WR_TENSOR_INT64, true},
        {"value_string", WR_ONNX_ATTR_STRING, WR_TENSOR_BYTES, false},
        {"value_strings", WR_ONNX_ATTR_STRINGS, WR_TENSOR_BYTES, true},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        a = wr_onnx_attr_find(n->of, forms[i].name);
        if (!a || a->type != forms[i].type) continue;
        int64_t len = (int64_t)a->n;
        wr_tensor *o = wr_graph_make(r, n, 0, forms[i].of, forms[i].list ? 1 : 0, &len);
        if (!o) return r->err->code;
        const void *from = forms[i].of == WR_TENSOR_FP32    ? (forms[i].list ? (const void *)a->floats : &a->f)
                           : forms[i].of == WR_TENSOR_INT64 ? (forms[i].list ? (const void *)a->ints : &a->i)
                                                            : (forms[i].list ? (const void *)a->strings : &a->s);
        memcpy(o->data, from, o->count * wr_tensor_type_size(o->type));
        return 0;
    }
    return wr_err_set(r->err, WEIR_EUNSUPPORTED, "a constant of a form that is not one of Weir's own executor");
}

/* ---- elements in other places ---- */

static int run_concat(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    int axis;
    WR_TRY(wr_graph_axis(&axis, wr_graph_attr_i(n, "axis", 1), a->ndims, r->err));
    int64_t shape[WR_TENSOR_DIMS];
    memcpy(shape, a->shape, sizeof shape);
    for (uint32_t i = 1; i < n->nin; i++) {
        const wr_tensor *b = wr_graph_in(r, n, i);
        if (!b || b->type != a->type || b->ndims != a->ndims)
            return wr_graph_bad(r, "what is put together has two types or numbers of dimensions");
        for (int d = 0; d < a->ndims; d++)
            if (d != axis && b->shape[d] != a->shape[d]) return wr_graph_bad(r, "what is put together has two shapes");
        shape[axis] += b->shape[axis];
    }
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, shape);
    if (!o) return r->err->code;
    size_t size = wr_tensor_type_size(a->type), outer = wr_graph_product(o, 0, axis),
           row = wr_graph_product(o, axis, o->ndims) * size, at = 0;
    for (uint32_t i = 0; i < n->nin; i++) {
        const wr_tensor *b = wr_graph_in(r, n, i);
        size_t part = wr_graph_product(b, axis, b->ndims) * size;
        for (size_t k = 0; part && k < outer; k++)
            memcpy((char *)o->data + k * row + at, (const char *)b->data + k * part, part);
        at += part;
    }
    return 0;
}

static int run_gather(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *b = wr_graph_in(r, n, 1);
    int axis;
    WR_TRY(wr_graph_axis(&axis, wr_graph_attr_i(n, "axis", 0), a->ndims, r->err));
    if (b->type != WR_TENSOR_INT64 && b->type != WR_TENSOR_INT32) return wr_graph_unsupported(r, b);
    if (a->ndims - 1 + b->ndims > WR_TENSOR_DIMS) return wr_graph_bad(r, "too many dimensions");
    int64_t shape[WR_TENSOR_DIMS], len = a->shape[axis];
    int nd = 0;
    for (int d = 0; d < axis; d++) shape[nd++] = a->shape[d];
    for (int d = 0; d < b->ndims; d++) shape[nd++] = b->shape[d];
    for (int d = axis + 1; d < a->ndims; d++) shape[nd++] = a->shape[d];
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, nd, shape);
    if (!o) return r->err->code;
    size_t size = wr_tensor_type_size(a->type), outer = wr_graph_product(a, 0, axis),
           part = wr_graph_product(a, axis + 1, a->ndims) * size;
    char *to = o->data;
    for (size_t k = 0; k < outer; k++) {
        for (size_t i = 0; i < b->count; i++, to += part) {
            int64_t at = b->type == WR_TENSOR_INT64 ? ((const int64_t *)b->data)[i] : ((const int32_t *)b->data)[i];
            if (at < -len || at >= len) return wr_graph_bad(r, "an index is outside of the tensor");
            memcpy(to, (const char *)a->data + (k * (size_t)len + (size_t)(at < 0 ? at + len : at)) * part, part);
        }
    }
    return 0;
}

/* Copies a box out of `a`: element (i0, i1, ...) of o is element base + i0 step0 + i1 step1 + ... of a. The last
 * dimension as one piece where it lies so. */
static void copy_strided(wr_tensor *o, const wr_tensor *a, ptrdiff_t base, const int64_t *step)
{
    size_t size = wr_tensor_type_size(a->type);
    int last = o->ndims - 1;
    char *to = o->data;
    const char *from = a->data;
    if (o->count == 0) return;
    if (last < 0) {
        memcpy(to, from + (size_t)base * size, size);
        return;
    }
    int64_t index[WR_TENSOR_DIMS] = {0}, len = o->shape[last];
    for (ptrdiff_t at = base;;) {
        if (step[last] == 1) {
            memcpy(to, from + (size_t)at * size, (size_t)len * size);
            to += (size_t)len * size;
        } else {
            for (int64_t i = 0; i < len; i++, to += size) memcpy(to, from + (size_t)(at + i * step[last]) * size, size);
        }
        int d = last - 1;
        for (; d >= 0; d--) {
            at += step[d];
            if (++index[d] < o->shape[d]) break;
            at -= step[d] * o->shape[d];
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

static void steps_of(int64_t *step, const wr_tensor *a)
{
    int64_t s = 1;
    for (int d = a->ndims - 1; d >= 0; d--) {
        step[d] = s;
        s *= a->shape[d];
    }
}

static int run_transpose(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    const wr_onnx_attr *perm = wr_graph_attr_list(n, "perm", WR_ONNX_ATTR_INTS);
    int64_t shape[WR_TENSOR_DIMS], plain[WR_TENSOR_DIMS], step[WR_TENSOR_DIMS];
    if (perm && perm->n != (size_t)a->ndims) return wr_graph_bad(r, "the permutation has another number of dimensions");
    steps_of(plain, a);
    unsigned seen = 0;
    for (int d = 0; d < a->ndims; d++) {
        int from;
        WR_TRY(wr_graph_axis(&from, perm ? perm->ints[d] : a->ndims - 1 - d, a->ndims, r->err));
        seen |= 1u << from;
        shape[d] = a->shape[from];
        step[d] = plain[from];
    }
    if (seen != (1u << a->ndims) - 1) return wr_graph_bad(r, "the permutation names a dimension twice");
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, shape);
    if (!o) return r->err->code;
    copy_strided(o, a, 0, step);
    return 0;
}

typedef struct {
    int64_t start[WR_TENSOR_DIMS], end[WR_TENSOR_DIMS], axis[WR_TENSOR_DIMS], step[WR_TENSOR_DIMS];
    size_t n;
} slices;

/* Attributes before operator set 10, inputs since. */
static int slices_of(wr_graph_ctx *r, const wr_graph_node *n, slices *s)
{
    size_t ends, more;
    for (size_t i = 0; i < WR_TENSOR_DIMS; i++) {
        s->axis[i] = (int64_t)i;
        s->step[i] = 1;
    }
    const wr_onnx_attr *start = wr_graph_attr_list(n, "starts", WR_ONNX_ATTR_INTS),
                       *end = wr_graph_attr_list(n, "ends", WR_ONNX_ATTR_INTS);
    const wr_onnx_attr *axes = wr_graph_attr_list(n, "axes", WR_ONNX_ATTR_INTS);
    if (start && end) {
        if (start->n > WR_TENSOR_DIMS || start->n != end->n || (axes && axes->n != start->n))
            return wr_graph_bad(r, "starts, ends and axes are not as many");
        s->n = start->n;
        memcpy(s->start, start->ints, s->n * sizeof(int64_t));
        memcpy(s->end, end->ints, s->n * sizeof(int64_t));
        if (axes) memcpy(s->axis, axes->ints, s->n * sizeof(int64_t));
        return 0;
    }
    const wr_tensor *in[5];
    for (uint32_t i = 1; i < 5; i++) in[i] = wr_graph_in(r, n, i);
    if (!in[1] || !in[2]) return wr_graph_bad(r, "starts or ends are missing");
    WR_TRY(wr_graph_ints(s->start, &s->n, WR_TENSOR_DIMS, in[1], r->err));
    WR_TRY(wr_graph_ints(s->end, &ends, WR_TENSOR_DIMS, in[2], r->err));
    more = s->n;
    if (in[3]) WR_TRY(wr_graph_ints(s->axis, &more, WR_TENSOR_DIMS, in[3], r->err));
    if (ends != s->n || more != s->n) return wr_graph_bad(r, "starts, ends and axes are not as many");
    if (in[4]) WR_TRY(wr_graph_ints(s->step, &more, WR_TENSOR_DIMS, in[4], r->err));
    return more == s->n ? 0 : wr_graph_bad(r, "steps are not as many as starts");
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

static int run_slice(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    slices s = {.n = 0};
    int64_t shape[WR_TENSOR_DIMS], step[WR_TENSOR_DIMS];
    ptrdiff_t base = 0;
    unsigned seen = 0;
    WR_TRY(slices_of(r, n, &s));
    memcpy(shape, a->shape, sizeof shape);
    steps_of(step, a);
    for (size_t i = 0; i < s.n; i++) {
        int d;
        WR_TRY(wr_graph_axis(&d, s.axis[i], a->ndims, r->err));
        int64_t len = a->shape[d], by = clamp(s.step[i], -INT32_MAX, INT32_MAX), from = s.start[i], to = s.end[i];
        if (by == 0 || seen & 1u << d) return wr_graph_bad(r, "a step of 0, or an axis twice");
        seen |= 1u << d;
        from = from < 0 ? (from < -len ? -1 : from + len) : from;
        to = to < 0 ? (to < -len ? -1 : to + len) : to;
        if (by > 0) {
            from = clamp(from, 0, len);
            to = clamp(to, 0, len);
        } else {
            from = clamp(from, 0, len - 1);
            to = clamp(to, -1, len - 1);
        }
        int64_t count = by > 0 ? (to - from + by - 1) / by : (from - to - by - 1) / -by;
        shape[d] = len == 0 || count < 0 ? 0 : count;
        if (shape[d] > 0) base += from * step[d];
        step[d] = shape[d] > 1 ? step[d] * by : step[d];
    }
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, a->ndims, shape);
    if (!o) return r->err->code;
    copy_strided(o, a, base, step);
    return 0;
}

static int run_split(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0), *given = wr_graph_in(r, n, 1);
    const wr_onnx_attr *attr = wr_graph_attr_list(n, "split", WR_ONNX_ATTR_INTS);
    int axis;
    WR_TRY(wr_graph_axis(&axis, wr_graph_attr_i(n, "axis", 0), a->ndims, r->err));
    int64_t len = a->shape[axis], at = 0, each = (len + n->nout - 1) / (n->nout ? n->nout : 1);
    if (given && (given->type != WR_TENSOR_INT64 || given->count != n->nout))
        return wr_graph_bad(r, "the parts are not as many as the outputs");
    if (attr && attr->n != n->nout) return wr_graph_bad(r, "the parts are not as many as the outputs");
    for (uint32_t i = 0; i < n->nout; i++) {
        int64_t part = given             ? ((const int64_t *)given->data)[i]
                       : attr            ? attr->ints[i]
                       : each < len - at ? each
                                         : len - at;
        if (part < 0 || part > len - at) return wr_graph_bad(r, "the parts are more than the whole");
        int64_t shape[WR_TENSOR_DIMS], step[WR_TENSOR_DIMS];
        memcpy(shape, a->shape, sizeof shape);
        steps_of(step, a);
        shape[axis] = part;
        wr_tensor *o = wr_graph_make(r, n, i, a->type, a->ndims, shape);
        if (!o) return r->err->code;
        copy_strided(o, a, at * step[axis], step);
        at += part;
    }
    return at == len ? 0 : wr_graph_bad(r, "the parts are less than the whole");
}

static int run_expand(wr_graph_ctx *r, const wr_graph_node *n)
{
    const wr_tensor *a = wr_graph_in(r, n, 0);
    int64_t want[WR_TENSOR_DIMS], shape[WR_TENSOR_DIMS], plain[WR_TENSOR_DIMS], step[WR_TENSOR_DIMS];
    size_t count;
    WR_TRY(wr_graph_ints(want, &count, WR_TENSOR_DIMS, wr_graph_in(r, n, 1), r->err));
    int nd = (int)count > a->ndims ? (int)count : a->ndims;
    steps_of(plain, a);
    for (int d = 0; d < nd; d++) {
        int at = d - (nd - a->ndims), w = d - (nd - (int)count);
        int64_t have = at < 0 ? 1 : a->shape[at], wish = w < 0 ? 1 : want[w];
        if (have != wish && have != 1 && wish != 1) return wr_graph_bad(r, "shapes do not fit together");
        shape[d] = have == 1 ? wish : have;
        step[d] = have == 1 ? 0 : plain[at];
    }
    wr_tensor *o = wr_graph_make(r, n, 0, a->type, nd, shape);
    if (!o) return r->err->code;
    copy_strided(o, a, 0, step);
    return 0;
}

#define SAME(op, f, inputs)                                                                                            \
    {                                                                                                                  \
        .name = op, .run = f, .min_in = inputs, .max_in = inputs, .max_out = 1, .alias = true                          \
    }
const wr_graph_op wr_graph_shape_ops[] = {
    SAME("Identity", run_identity, 1),
    {.name = "Dropout", .run = run_dropout, .min_in = 1, .max_in = 3, .max_out = 2, .alias = true},
    SAME("Reshape", run_reshape, 2),
    SAME("Flatten", run_flatten, 1),
    {.name = "Squeeze", .run = run_squeeze, .min_in = 1, .max_in = 2, .max_out = 1, .alias = true},
    {.name = "Unsqueeze", .run = run_unsqueeze, .min_in = 1, .max_in = 2, .max_out = 1, .alias = true},
    {.name = "Shape", .run = run_shape, .min_in = 1, .max_in = 1, .max_out = 1},
    {.name = "Size", .run = run_size, .min_in = 1, .max_in = 1, .max_out = 1},
    {.name = "Constant", .run = run_constant, .max_in = 0, .max_out = 1},
    {.name = "ConstantOfShape", .run = run_constant_of_shape, .min_in = 1, .max_in = 1, .max_out = 1},
    {.name = "Concat", .run = run_concat, .min_in = 1, .max_in = WR_GRAPH_ANY, .max_out = 1},
    {.name = "Gather", .run = run_gather, .min_in = 2, .max_in = 2, .max_out = 1},
    {.name = "Transpose", .run = run_transpose, .min_in = 1, .max_in = 1, .max_out = 1},
    {.name = "Slice", .run = run_slice, .min_in = 1, .max_in = 5, .max_out = 1},
    {.name = "Split", .run = run_split, .min_in = 1, .max_in = 2, .max_out = WR_GRAPH_ANY},
    {.name = "Expand", .run = run_expand, .min_in = 2, .max_in = 2, .max_out = 1},
    {0},
};
