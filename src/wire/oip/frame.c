/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - what a frame is while it is read: columns of a model by name, room for their values, one value into its
 * place. Which values those are, the forms say: frame_json.c, frame_csv.c; frame_finish.c has the last word. */
#include "wire/oip/frame.h"

#include <math.h>

#include "base/hash.h"
#include "base/limits.h"

static int nomem(const wr_oip_frame *f) { return wr_err_nomem(f->err); }

/* ---- the columns of a model ---- */

/* Elements of a row; 0 when a dimension but the first is free. */
static size_t row_size(const wr_tensor_spec *s)
{
    size_t n = 1;
    for (int i = 1; i < s->ndims; i++) {
        if (s->shape[i] < 0) return 0;
        if (__builtin_mul_overflow(n, (size_t)s->shape[i], &n)) return 0;
    }
    return n;
}

static void name_columns(wr_oip_frame *f)
{
    const wr_oip_model *m = f->m;
    for (size_t i = 0; f->matrix && i < m->nfeatures; i++)
        f->columns[i] = (wr_oip_column){.name = wr_str_of(m->features[i]), .offset = i, .n = 1};
    size_t first = f->matrix ? m->nfeatures : 0;
    for (size_t i = 0; i < m->nin; i++)
        f->columns[first + i] = (wr_oip_column){
            .name = wr_str_of(m->in[i].name), .tensor = i, .n = f->each[i], .optional = m->in[i].optional || f->matrix};
}

/* The place of a name, or the free one where it belongs. */
static uint32_t *slot_of(const wr_oip_frame *f, wr_str name)
{
    size_t i = (size_t)wr_hash64(name.p, name.n, wr_hash_seed()) & (f->nslots - 1);
    while (f->slots[i] && !wr_str_eq(name, f->columns[f->slots[i] - 1].name)) i = (i + 1) & (f->nslots - 1);
    return &f->slots[i];
}

static int index_columns(wr_oip_frame *f)
{
    f->nslots = 16;
    while (f->nslots < 2 * f->ncolumns) f->nslots *= 2;
    f->slots = wr_arena_calloc(f->c->arena, f->nslots, sizeof *f->slots);
    if (!f->slots) return nomem(f);
    for (size_t i = 0; i < f->ncolumns; i++) {
        uint32_t *slot = slot_of(f, f->columns[i].name);
        if (!*slot) *slot = (uint32_t)i + 1;
    }
    return 0;
}

int wr_oip_frame_init(wr_oip_frame *f, wr_oip_call *c, wr_err *err)
{
    const wr_oip_model *m = &c->m;
    *f = (wr_oip_frame){.c = c, .m = m, .err = err};
    if (!m->rows) {
        wr_err_set(err, WEIR_EINVAL, "model '%.*s' does not take rows", WR_STR_FMT(wr_str_fit(m->name, 100)));
        return wr_err_hint(err, WEIR_EINVAL,
                           "send whole tensors: {\"inputs\": {name: values}}, or POST /v2/models/NAME/infer");
    }
    f->t = wr_arena_calloc(c->arena, m->nin + 1, sizeof *f->t);
    f->missing = wr_arena_calloc(c->arena, m->nin + 1, sizeof *f->missing);
    f->each = wr_arena_calloc(c->arena, m->nin + 1, sizeof *f->each);
    if (!f->t || !f->missing || !f->each) return nomem(f);
    for (size_t i = 0; i < m->nin; i++) f->each[i] = row_size(&m->in[i]);
    f->matrix = m->nin == 1 && m->features && m->nfeatures && (!f->each[0] || f->each[0] == m->nfeatures);
    if (f->matrix) f->each[0] = m->nfeatures;
    f->ninputs = f->matrix ? m->nfeatures : m->nin;
    f->ncolumns = m->nin + (f->matrix ? m->nfeatures : 0);
    f->columns = wr_arena_alloc(c->arena, (f->ncolumns + 1) * sizeof *f->columns);
    if (!f->columns) return nomem(f);
    name_columns(f);
    return index_columns(f);
}

/* Most send columns in their order: `guess` is looked at first. */
wr_oip_column *wr_oip_frame_find(wr_oip_frame *f, wr_str name, size_t guess)
{
    if (guess < f->ncolumns && wr_str_eq(name, f->columns[guess].name)) return &f->columns[guess];
    uint32_t at = *slot_of(f, name);
    if (at) return &f->columns[at - 1];
    if (f->nextra < sizeof f->extra / sizeof *f->extra) f->extra[f->nextra++] = name;
    return NULL;
}

/* ---- room ---- */

int wr_oip_frame_start(wr_oip_frame *f, size_t rows)
{
    enum { ALWAYS = 1 << 20 };
    size_t total = 0, most = f->c->in->body.n > ALWAYS ? f->c->in->body.n : ALWAYS;
    f->rows = rows;
    if (rows > WR_LIMIT_ROWS_INFER) return wr_err_set(f->err, WEIR_ELIMIT, "more than %d rows", WR_LIMIT_ROWS_INFER);
    for (size_t i = 0; i < f->m->nin; i++) total += rows * (f->each[i] < most ? f->each[i] : most);
    /* a few bytes of "{}" must not become a thousand values each */
    if (total > most)
        return wr_err_set(f->err, WEIR_ELIMIT, "%zu values of %zu rows, most of them not there", total, rows);
    return 0;
}

/* Room for all rows of an input, of its own type or the one that its first value has. */
int wr_oip_frame_ready(wr_oip_frame *f, size_t tensor, wr_tensor_type type)
{
    wr_tensor *t = &f->t[tensor];
    const wr_tensor_spec *s = &f->m->in[tensor];
    if (t->data) return 0;
    t->name = wr_str_of(s->name);
    t->type = type;
    t->count = f->rows * f->each[tensor];
    WR_TRY(wr_tensor_alloc(t, f->c->arena, f->err));
    if (!s->lenient) return 0;
    f->missing[tensor] = wr_arena_calloc(f->c->arena, t->count + 1, 1);
    return f->missing[tensor] ? 0 : nomem(f);
}

/* Scalars in the next value, whatever its nesting. */
static int count_leaves(const wr_jscan *s, size_t *n)
{
    wr_jscan look = *s;
    bool first = false;
    int depth = 0, more = 0;
    *n = 0;
    do {
        if (wr_jscan_peek(&look) == '[' && depth < WR_LIMIT_TENSOR_DEPTH) {
            WR_TRY(wr_jscan_open(&look, '[', &first));
            depth++;
        } else {
            WR_TRY(wr_jscan_skip(&look, NULL));
            ++*n;
        }
        while (depth && (more = wr_jscan_item(&look, &first)) == 0) {
            depth--;
            first = false;
        }
        if (more < 0) return more;
    } while (depth);
    return 0;
}

/* The first row says how long rows are when the model does not. */
static int learn_size(wr_oip_frame *f, wr_oip_column *k, const wr_jscan *s)
{
    size_t n;
    if (f->each[k->tensor]) return 0;
    WR_TRY(count_leaves(s, &n));
    if (!n) return wr_err_set(f->err, WEIR_EINVAL, "a row of '%.*s' is empty", WR_STR_FMT(wr_str_fit(k->name, 80)));
    k->n = f->each[k->tensor] = n;
    return wr_oip_frame_start(f, f->rows);
}

/* ---- cells ---- */

static bool can_be_missing(const wr_oip_frame *f, size_t tensor)
{
    const wr_tensor_spec *s = &f->m->in[tensor];
    return s->lenient || s->type == WR_TENSOR_FP32 || s->type == WR_TENSOR_FP64;
}

int wr_oip_frame_null(wr_oip_frame *f, wr_oip_column *k, size_t row)
{
    wr_tensor *t = &f->t[k->tensor];
    if (!can_be_missing(f, k->tensor) || !f->each[k->tensor]) {
        if (!k->absent) k->absent_row = row;
        k->absent = true;
        return 0;
    }
    if (!t->data) { /* nothing says yet of which type it is: a lenient time may be INT64 */
        const wr_tensor_spec *s = &f->m->in[k->tensor];
        WR_TRY(wr_oip_frame_ready(f, k->tensor, s->type));
    }
    for (size_t i = row * f->each[k->tensor] + k->offset, n = k->n; n; n--, i++) {
        if (t->type == WR_TENSOR_FP32) ((float *)t->data)[i] = NAN;
        else if (t->type == WR_TENSOR_FP64) ((double *)t->data)[i] = NAN;
        else if (t->type != WR_TENSOR_BYTES)
            memset((char *)t->data + i * wr_tensor_type_size(t->type), 0, wr_tensor_type_size(t->type));
        if (f->missing[k->tensor]) f->missing[k->tensor][i] = 1;
    }
    return 0;
}

/* A lenient time that begins as BYTES with nothing but nulls and then turns out to be numbers. */
static int become_times(wr_oip_frame *f, size_t tensor)
{
    wr_tensor *t = &f->t[tensor];
    const wr_str *s = t->data;
    for (size_t i = 0; i < t->count; i++)
        if (s[i].p) return 0; /* texts before: the number is refused */
    t->type = WR_TENSOR_INT64;
    memset(t->data, 0, t->count * sizeof(int64_t)); /* smaller than what was there */
    return 0;
}

static int read_bool_as_number(wr_oip_frame *f, wr_tensor *t, size_t at, wr_jscan *s)
{
    bool yes = wr_jscan_word(s, "true");
    if (!yes && !wr_jscan_word(s, "false")) return wr_jscan_fail(s, "expected a value");
    (void)f;
    if (t->type == WR_TENSOR_FP64) ((double *)t->data)[at] = yes;
    else ((float *)t->data)[at] = yes;
    return 0;
}

int wr_oip_frame_cell(wr_oip_frame *f, wr_oip_column *k, size_t row, wr_jscan *s)
{
    const wr_tensor_spec *spec = &f->m->in[k->tensor];
    wr_tensor *t = &f->t[k->tensor];
    WR_TRY(learn_size(f, k, s));
    char c = wr_jscan_peek(s);
    bool number = c == '-' || (c >= '0' && c <= '9'), time = spec->lenient && spec->type == WR_TENSOR_BYTES;
    k->seen = k->now = true;
    if (k->n == 1 && c == 'n' && wr_jscan_word(s, "null")) return wr_oip_frame_null(f, k, row);
    WR_TRY(wr_oip_frame_ready(f, k->tensor, time && number ? WR_TENSOR_INT64 : spec->type));
    if (time && number && t->type == WR_TENSOR_BYTES) WR_TRY(become_times(f, k->tensor));
    size_t at = row * f->each[k->tensor] + k->offset;
    bool real = t->type == WR_TENSOR_FP32 || t->type == WR_TENSOR_FP64;
    int rc = real && k->n == 1 && spec->lenient && (c == 't' || c == 'f')
                 ? read_bool_as_number(f, t, at, s)
                 : wr_tensor_read_json_part(t, at, k->n, f->missing[k->tensor], s);
    if (rc == WEIR_ETYPE || rc == WEIR_EINVAL)
        wr_err_wrap(f->err, rc, "Incompatible input types for column %.*s, row %zu",
                    WR_STR_FMT(wr_str_fit(k->name, 80)), row);
    return rc;
}

int wr_oip_frame_row_end(wr_oip_frame *f, size_t row)
{
    bool whole = f->matrix && f->columns[f->ncolumns - 1].now;
    for (size_t i = 0; i < f->ncolumns; i++) {
        wr_oip_column *k = &f->columns[i];
        bool stands = f->matrix && i == f->ncolumns - 1; /* for the others */
        if (!k->now && !whole && !stands) WR_TRY(wr_oip_frame_null(f, k, row));
        if (whole && !stands) k->seen = true;
        k->now = false;
    }
    return 0;
}
