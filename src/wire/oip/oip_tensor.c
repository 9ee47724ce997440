/* SPDX-License-Identifier: Apache-2.0 */
/* oip_tensor.c - tensors of a request: names, shapes, datatypes and values, all checked. */
#include "wire/oip/oip_tensor.h"

#include <math.h>

#include "base/clock.h"
#include "base/limits.h"

typedef enum { D_BOOL, D_INT, D_UINT, D_FLOAT, D_BYTES } kind;
typedef struct {
    const char *name;
    kind kind;
    int64_t lo;
    uint64_t hi;
} datatype;

static const datatype datatypes[] = {{"FP64", D_FLOAT, 0, 0},
                                     {"BYTES", D_BYTES, 0, 0},
                                     {"INT64", D_INT, INT64_MIN, INT64_MAX},
                                     {"FP32", D_FLOAT, 0, 0},
                                     {"INT32", D_INT, INT32_MIN, INT32_MAX},
                                     {"BOOL", D_BOOL, 0, 0},
                                     {"INT16", D_INT, INT16_MIN, INT16_MAX},
                                     {"INT8", D_INT, INT8_MIN, INT8_MAX},
                                     {"UINT8", D_UINT, 0, UINT8_MAX},
                                     {"UINT16", D_UINT, 0, UINT16_MAX},
                                     {"UINT32", D_UINT, 0, UINT32_MAX},
                                     {"UINT64", D_UINT, 0, UINT64_MAX}};
enum { NDATATYPES = sizeof datatypes / sizeof *datatypes };

typedef struct {
    const wr_oip_model *model;
    size_t column, rows;
    const datatype *type;
    wr_cell *cells; /* of row 0; the next row is ninputs cells further */
    wr_err *err;
} tensor;

static const char *name_of(const tensor *t) { return t->model->inputs[t->column]; }

/* ---- values ---- */

static int bad_value(const tensor *t, size_t row, const char *want)
{
    return wr_err_set(t->err, WEIR_EINVAL, "input '%s': value %zu is not %s", name_of(t), row, want);
}

static int read_number(const tensor *t, size_t row, yyjson_val *v, wr_cell *out)
{
    switch (t->type->kind) {
    case D_BOOL:
        if (!yyjson_is_bool(v) && !(yyjson_is_uint(v) && yyjson_get_uint(v) <= 1))
            return bad_value(t, row, "true or false");
        out->num = yyjson_is_bool(v) ? yyjson_get_bool(v) : (double)yyjson_get_uint(v);
        return 0;
    case D_INT:
        if (!yyjson_is_int(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) > t->type->hi) ||
            (yyjson_is_sint(v) && yyjson_get_sint(v) < t->type->lo))
            return bad_value(t, row, t->type->name);
        out->num = yyjson_is_uint(v) ? (double)yyjson_get_uint(v) : (double)yyjson_get_sint(v);
        return 0;
    case D_UINT:
        if (!yyjson_is_uint(v) || yyjson_get_uint(v) > t->type->hi) return bad_value(t, row, t->type->name);
        out->num = (double)yyjson_get_uint(v);
        return 0;
    case D_FLOAT:
        if (!yyjson_is_num(v)) return bad_value(t, row, "a number");
        out->num = yyjson_get_num(v);
        return 0;
    case D_BYTES:
        break;
    }
    return bad_value(t, row, "a number");
}

static int read_time(const tensor *t, size_t row, yyjson_val *v, wr_cell *out)
{
    if (t->type->kind == D_BYTES) {
        if (!yyjson_is_str(v)) return bad_value(t, row, "a time as text");
        wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
        if (wr_time_parse(&out->ts, s, NULL) < 0) return bad_value(t, row, "a time such as 2001-06-14T13:05:00Z");
        return 0;
    }
    if (!yyjson_is_int(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX))
        return bad_value(t, row, "a time in microseconds");
    out->ts = yyjson_get_sint(v);
    return out->ts == INT64_MIN ? bad_value(t, row, "a time in microseconds") : 0;
}

static int read_value(tensor *t, size_t row, yyjson_val *v)
{
    wr_cell *out = &t->cells[row * t->model->ninputs + t->column];
    *out = (wr_cell){.num = NAN};
    if (yyjson_is_null(v)) {
        out->missing = true;
        return 0;
    }
    switch (t->model->types[t->column]) {
    case WR_TS:
        return read_time(t, row, v, out);
    case WR_TEXT:
        if (!yyjson_is_str(v)) return bad_value(t, row, "text");
        out->text = (wr_str){yyjson_get_str(v), yyjson_get_len(v)};
        return 0;
    default:
        return read_number(t, row, v, out);
    }
}

/* Flat, or each value in a list of its own (any depth of lists of one). */
static int read_data(tensor *t, yyjson_val *data)
{
    size_t n = yyjson_arr_size(data), i, max;
    yyjson_val *v;
    if (n == 1 && t->rows != 1 && yyjson_is_arr(yyjson_arr_get_first(data)))
        return read_data(t, yyjson_arr_get_first(data));
    if (n != t->rows)
        return wr_err_set(t->err, WEIR_EINVAL, "input '%s' has %zu values, its shape says %zu", name_of(t), n, t->rows);
    yyjson_arr_foreach(data, i, max, v)
    {
        while (yyjson_is_arr(v) && yyjson_arr_size(v) == 1) v = yyjson_arr_get_first(v);
        if (yyjson_is_arr(v)) return bad_value(t, i, "one value");
        WR_TRY(read_value(t, i, v));
    }
    return 0;
}

/* ---- names, types, shapes ---- */

static int read_type(tensor *t, yyjson_val *v)
{
    wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
    t->type = NULL;
    for (size_t i = 0; s.p && i < NDATATYPES && !t->type; i++)
        if (wr_str_is(s, datatypes[i].name)) t->type = &datatypes[i];
    if (!s.p) return wr_err_set(t->err, WEIR_EINVAL, "input '%s' has no datatype", name_of(t));
    if (!t->type) {
        bool half = wr_str_is(s, "FP16") || wr_str_is(s, "BF16");
        return wr_err_set(t->err, WEIR_EINVAL,
                          half ? "input '%s': datatype %.*s exists in binary tensors only"
                               : "input '%s': unknown datatype '%.*s'",
                          name_of(t), (int)(s.n < 32 ? s.n : 32), s.p);
    }
    wr_type want = t->model->types[t->column];
    bool bytes = t->type->kind == D_BYTES;
    bool fits = want == WR_TEXT ? bytes : want == WR_TS ? bytes || strcmp(t->type->name, "INT64") == 0 : !bytes;
    if (fits) return 0;
    return wr_err_set(t->err, WEIR_EINVAL, "input '%s' is of datatype %s, expected %s", name_of(t), t->type->name,
                      want == WR_TEXT ? "BYTES"
                      : want == WR_TS ? "BYTES or INT64"
                                      : "FP64");
}

/* [n] or [n,1], with any number of further ones. */
static int read_shape(tensor *t, size_t *n, yyjson_val *shape)
{
    size_t i, max;
    yyjson_val *d;
    if (!yyjson_is_arr(shape) || yyjson_arr_size(shape) == 0)
        return wr_err_set(t->err, WEIR_EINVAL, "input '%s' has no shape", name_of(t));
    yyjson_arr_foreach(shape, i, max, d)
    {
        if (!yyjson_is_uint(d))
            return wr_err_set(t->err, WEIR_EINVAL, "input '%s': a dimension is not a whole number", name_of(t));
        if (i == 0 && yyjson_get_uint(d) > WR_LIMIT_ROWS_INFER)
            return wr_err_set(t->err, WEIR_ELIMIT, "input '%s' has more than %d rows", name_of(t), WR_LIMIT_ROWS_INFER);
        if (i > 0 && yyjson_get_uint(d) != 1)
            return wr_err_set(t->err, WEIR_EINVAL, "input '%s': shape must be [n] or [n,1]", name_of(t));
        if (i == 0) *n = (size_t)yyjson_get_uint(d);
    }
    return 0;
}

static int find_column(size_t *out, const wr_oip_model *m, size_t guess, yyjson_val *input, wr_err *err)
{
    yyjson_val *v = yyjson_obj_get(input, "name");
    wr_str name = {yyjson_get_str(v), yyjson_get_len(v)};
    if (!name.p) return wr_err_set(err, WEIR_EINVAL, "input %zu has no name", guess);
    for (size_t k = 0; k < m->ninputs; k++) {
        *out = (guess + k) % m->ninputs; /* most send them in order */
        if (wr_str_is(name, m->inputs[*out])) return 0;
    }
    int near = wr_str_nearest(name, (const char *const *)m->inputs, m->ninputs);
    wr_err_set(err, WEIR_EINVAL, "unexpected input '%.*s' for model '%.*s'", (int)(name.n < 100 ? name.n : 100), name.p,
               WR_STR_FMT(m->name));
    return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean '%s'?", m->inputs[near]) : WEIR_EINVAL;
}

static int read_input(wr_oip_rows *out, bool *seen, const wr_oip_model *m, size_t i, yyjson_val *input, wr_arena *a,
                      wr_err *err)
{
    tensor t = {.model = m, .err = err};
    size_t n = 0;
    yyjson_val *data = yyjson_obj_get(input, "data");
    WR_TRY(find_column(&t.column, m, i, input, err));
    if (seen[t.column]) return wr_err_set(err, WEIR_EINVAL, "input '%s' is there twice", name_of(&t));
    seen[t.column] = true;
    WR_TRY(read_shape(&t, &n, yyjson_obj_get(input, "shape")));
    WR_TRY(read_type(&t, yyjson_obj_get(input, "datatype")));
    if (!yyjson_is_arr(data)) return wr_err_set(err, WEIR_EINVAL, "input '%s' has no data", name_of(&t));
    if (!out->cells) {
        out->rows = n;
        out->cells = wr_arena_alloc(a, (n * m->ninputs + 1) * sizeof *out->cells);
        if (!out->cells) return wr_err_nomem(err);
    }
    if (n != out->rows)
        return wr_err_set(err, WEIR_EINVAL, "input '%s' has %zu rows, the input before it %zu", name_of(&t), n,
                          out->rows);
    t.rows = n;
    t.cells = out->cells;
    return read_data(&t, data);
}

int wr_oip_read_inputs(wr_oip_rows *out, const wr_oip_model *m, yyjson_val *inputs, wr_arena *a, wr_err *err)
{
    size_t i, max, n = yyjson_arr_size(inputs);
    yyjson_val *v;
    *out = (wr_oip_rows){0};
    bool *seen = wr_arena_calloc(a, m->ninputs + 1, sizeof *seen);
    if (!seen) return wr_err_nomem(err);
    if (!yyjson_is_arr(inputs)) return wr_err_set(err, WEIR_EINVAL, "the request has no inputs");
    yyjson_arr_foreach(inputs, i, max, v) WR_TRY(read_input(out, seen, m, i, v, a, err));
    for (size_t k = 0; k < m->ninputs; k++) {
        if (seen[k]) continue;
        return wr_err_set(err, WEIR_EINVAL, "expected %zu inputs but got %zu for model '%.*s': '%s' is missing",
                          m->ninputs, n, WR_STR_FMT(m->name), m->inputs[k]);
    }
    return 0;
}
