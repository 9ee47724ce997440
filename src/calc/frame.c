/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - columns of equal length.
 *
 * Invariants: 1. every column has n == frame.nrows <= cap; 2. `valid`, where there is one, has room for cap rows; 3. a
 * call that fails leaves names, lengths and values as they were (only spare capacity may have grown).
 */
#include "calc/frame.h"

#include <math.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [WR_F64] = {"double", 8},   [WR_F32] = {"float", 4},    [WR_I64] = {"long", 8},
    [WR_TS] = {"timestamp", 8}, [WR_BOOL] = {"boolean", 1}, [WR_TEXT] = {"string", 4},
};

const char *wr_type_name(wr_type t) { return types[t].name; }
size_t wr_type_size(wr_type t) { return types[t].size; }

wr_frame *wr_frame_new(void) { return wr_calloc(1, sizeof(wr_frame)); }

static void col_fini(wr_col *c)
{
    wr_free(c->name);
    wr_free(c->data);
    wr_free(c->valid);
    wr_map_fini(&c->dict);
}

void wr_frame_free(wr_frame *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->ncols; i++) col_fini(&f->cols[i]);
    wr_free(f->cols);
    wr_free(f);
}

void wr_frame_free_ref(wr_frame **f)
{
    wr_frame_free(*f);
    *f = NULL;
}

static int col_reserve(wr_col *c, size_t rows)
{
    size_t bytes;
    if (rows <= c->cap) return 0;
    if (__builtin_mul_overflow(rows, types[c->type].size, &bytes)) return WEIR_ENOMEM;
    void *data = wr_realloc(c->data, bytes);
    if (!data) return WEIR_ENOMEM;
    c->data = data;
    if (c->valid) {
        uint8_t *valid = wr_realloc(c->valid, rows);
        if (!valid) return WEIR_ENOMEM; /* data is merely larger than cap says */
        c->valid = valid;
    }
    c->cap = rows;
    return 0;
}

/* Length within the capacity; new rows are zeros that are not missing. */
static void col_set_length(wr_col *c, size_t rows)
{
    if (rows > c->n) {
        size_t size = types[c->type].size;
        memset((char *)c->data + c->n * size, 0, (rows - c->n) * size);
        if (c->valid) memset(c->valid + c->n, 1, rows - c->n);
    }
    c->n = rows;
}

wr_col *wr_frame_add(wr_frame *f, const char *name, wr_type type)
{
    if (wr_frame_col(f, name)) return NULL;
    size_t cap = f->ncols;
    wr_col *cols = f->cols;
    /* Doubling at powers of two: no capacity field needed. */
    if ((cap & (cap - 1)) == 0) {
        cols = wr_realloc(f->cols, (cap ? cap * 2 : 1) * sizeof *cols);
        if (!cols) return NULL;
        f->cols = cols;
    }
    wr_col c = {.name = wr_strdup(name), .type = type};
    wr_map_init(&c.dict);
    if (!c.name || col_reserve(&c, f->nrows) < 0) {
        col_fini(&c);
        return NULL;
    }
    col_set_length(&c, f->nrows);
    cols[f->ncols] = c;
    return &cols[f->ncols++];
}

wr_col *wr_frame_col(const wr_frame *f, const char *name)
{
    for (size_t i = 0; i < f->ncols; i++) {
        if (strcmp(f->cols[i].name, name) == 0) return &f->cols[i];
    }
    return NULL;
}

static int no_such_column(const wr_frame *f, const char *name, wr_err *err)
{
    wr_err_set(err, WEIR_ENOTFOUND, "no column \"%.200s\"", name);
    const char **names = wr_calloc(f->ncols + 1, sizeof *names);
    if (!names) return WEIR_ENOTFOUND; /* the hint is a courtesy */
    for (size_t i = 0; i < f->ncols; i++) names[i] = f->cols[i].name;
    int near = wr_str_nearest(wr_str_of(name), names, f->ncols);
    if (near >= 0) {
        wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%.200s\"?", names[near]);
    } else {
        wr_buf list;
        wr_buf_init(&list, 256);
        for (size_t i = 0; i < f->ncols && !list.failed; i++) wr_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
        if (list.n) wr_err_hint(err, WEIR_ENOTFOUND, "columns: %s%s", wr_buf_cstr(&list), list.failed ? ", ..." : "");
        wr_buf_fini(&list);
    }
    wr_free(names);
    return WEIR_ENOTFOUND;
}

int wr_frame_need(wr_col **out, const wr_frame *f, const char *name, int type, wr_err *err)
{
    wr_col *c = wr_frame_col(f, name);
    if (!c) return no_such_column(f, name, err);
    if (type >= 0 && c->type != (wr_type)type)
        return wr_err_set(err, WEIR_ETYPE, "column \"%.200s\" is %s, not %s", name, types[c->type].name,
                          types[type].name);
    *out = c;
    return 0;
}

int wr_frame_reserve(wr_frame *f, size_t rows)
{
    for (size_t i = 0; i < f->ncols; i++) WR_TRY(col_reserve(&f->cols[i], rows));
    return 0;
}

int wr_frame_resize(wr_frame *f, size_t rows)
{
    for (size_t i = 0; i < f->ncols; i++) {
        wr_col *c = &f->cols[i];
        if (rows <= c->cap) continue;
        size_t want = c->cap + c->cap / 2; /* half as much again, so that growing chunk by chunk stays linear */
        WR_TRY(col_reserve(c, want < rows ? rows : want));
    }
    for (size_t i = 0; i < f->ncols; i++) col_set_length(&f->cols[i], rows);
    f->nrows = rows;
    return 0;
}

static void take_values(wr_col *to, const wr_col *from, const uint32_t *rows, size_t n)
{
    switch (types[from->type].size) {
    case 8:
        for (size_t i = 0; i < n; i++) to->i64[i] = from->i64[rows[i]];
        break;
    case 4:
        for (size_t i = 0; i < n; i++) to->code[i] = from->code[rows[i]];
        break;
    default:
        for (size_t i = 0; i < n; i++) to->b[i] = from->b[rows[i]];
        break;
    }
}

/* Give the strings that are used codes of their own, in order of first appearance. */
static int take_dict(wr_col *to, const wr_col *from)
{
    if (from->dict.n == 0) return 0;
    uint32_t *map = wr_calloc(from->dict.n, sizeof *map); /* 1 + new code */
    if (!map) return WEIR_ENOMEM;
    int rc = 0;
    for (size_t i = 0; i < to->n; i++) {
        uint32_t old = to->code[i];
        if (wr_col_missing(to, i) || old >= from->dict.n) continue;
        if (!map[old]) {
            uint32_t code;
            rc = wr_col_code(to, from->dict.at[old].key, &code);
            if (rc < 0) break;
            map[old] = code + 1;
        }
        to->code[i] = map[old] - 1;
    }
    wr_free(map);
    return rc;
}

static int take_col(wr_frame *to, const wr_col *from, const uint32_t *rows, size_t n)
{
    wr_col *c = wr_frame_add(to, from->name, from->type);
    if (!c) return WEIR_ENOMEM;
    take_values(c, from, rows, n);
    if (from->valid) {
        c->valid = wr_alloc(c->cap ? c->cap : 1);
        if (!c->valid) return WEIR_ENOMEM;
        for (size_t i = 0; i < n; i++) c->valid[i] = from->valid[rows[i]];
    }
    return from->type == WR_TEXT ? take_dict(c, from) : 0;
}

int wr_frame_take(wr_frame **out, const wr_frame *f, const uint32_t *rows, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i] >= f->nrows)
            return wr_err_set(err, WEIR_EINVAL, "row %u of a frame of %zu rows", rows[i], f->nrows);
    }
    WR_AUTOFRAME wr_frame *g = wr_frame_new();
    if (!g) return wr_err_nomem(err);
    g->nrows = n;
    for (size_t i = 0; i < f->ncols; i++) {
        if (take_col(g, &f->cols[i], rows, n) < 0) return wr_err_nomem(err);
    }
    *out = g;
    g = NULL;
    return 0;
}

int wr_col_set_missing(wr_col *c, size_t row)
{
    if (!c->valid) {
        c->valid = wr_alloc(c->cap ? c->cap : 1);
        if (!c->valid) return WEIR_ENOMEM;
        memset(c->valid, 1, c->n);
    }
    c->valid[row] = 0;
    switch (c->type) {
    case WR_F64:
        c->f64[row] = NAN;
        break;
    case WR_F32:
        c->f32[row] = NAN;
        break;
    case WR_I64:
    case WR_TS:
        c->i64[row] = 0;
        break;
    case WR_BOOL:
        c->b[row] = 0;
        break;
    case WR_TEXT:
        c->code[row] = 0;
        break;
    }
    return 0;
}

int wr_col_code(wr_col *c, wr_str s, uint32_t *code)
{
    ptrdiff_t i = wr_map_find(&c->dict, s);
    if (i < 0) {
        if (c->dict.n >= WR_LIMIT_DICT) return WEIR_ELIMIT;
        i = wr_map_put(&c->dict, s, NULL);
        if (i < 0) return WEIR_ENOMEM;
    }
    *code = (uint32_t)i;
    return 0;
}

wr_str wr_col_text(const wr_col *c, size_t row)
{
    if (wr_col_missing(c, row)) return (wr_str){NULL, 0};
    uint32_t code = c->code[row];
    return code < c->dict.n ? c->dict.at[code].key : (wr_str){"", 0}; /* rows of a resize that nobody has filled */
}

double wr_col_num(const wr_col *c, size_t row)
{
    if (wr_col_missing(c, row)) return NAN;
    switch (c->type) {
    case WR_F64:
        return c->f64[row];
    case WR_F32:
        return (double)c->f32[row];
    case WR_I64:
    case WR_TS:
        return (double)c->i64[row];
    case WR_BOOL:
        return c->b[row];
    case WR_TEXT:
        break;
    }
    return NAN;
}
