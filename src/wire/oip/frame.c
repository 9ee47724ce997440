/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - rows and columns of JSON into tensors. CSV: frame_csv.c. What comes back: predictions.c. */
#include "wire/oip/frame.h"

#include <math.h>
#include <stdio.h>

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

/* ---- rows ---- */

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

static int object_row(wr_oip_frame *f, size_t row, wr_jscan *s)
{
    bool first;
    wr_str key;
    int more;
    size_t guess = 0;
    WR_TRY(wr_jscan_open(s, '{', &first));
    while ((more = wr_jscan_member(s, &first, &key)) == 1) {
        wr_oip_column *k = wr_oip_frame_find(f, key, guess);
        if (!k) WR_TRY(wr_jscan_skip(s, NULL));
        else if (k->now)
            return wr_err_set(f->err, WEIR_EINVAL, "'%.*s' is there twice in row %zu", WR_STR_FMT(wr_str_fit(key, 80)),
                              row);
        else WR_TRY(wr_oip_frame_cell(f, k, row, s));
        if (k) guess = (size_t)(k - f->columns) + 1;
    }
    return more < 0 ? more : wr_oip_frame_row_end(f, row);
}

/* By place: one value for each input; of a model with one input the row is the input. */
static int list_row(wr_oip_frame *f, size_t row, wr_jscan *s)
{
    bool first;
    int more;
    size_t i = 0;
    if (f->m->nin == 1) {
        wr_oip_column *k = &f->columns[f->ncolumns - 1];
        WR_TRY(wr_oip_frame_cell(f, k, row, s));
        return wr_oip_frame_row_end(f, row);
    }
    WR_TRY(wr_jscan_open(s, '[', &first));
    while ((more = wr_jscan_item(s, &first)) == 1) {
        if (i < f->ninputs) WR_TRY(wr_oip_frame_cell(f, &f->columns[i], row, s));
        else WR_TRY(wr_jscan_skip(s, NULL));
        i++;
    }
    if (more < 0) return more;
    if (i < f->ninputs)
        return wr_err_set(f->err, WEIR_EINVAL,
                          "Model inference is missing inputs. The model signature declares %zu inputs but row %zu only "
                          "has %zu inputs",
                          f->ninputs, row, i);
    return wr_oip_frame_row_end(f, row);
}

static int count_items(const wr_jscan *s, size_t *n)
{
    wr_jscan look = *s;
    bool first;
    int more;
    *n = 0;
    WR_TRY(wr_jscan_open(&look, '[', &first));
    for (; (more = wr_jscan_item(&look, &first)) == 1; ++*n) WR_TRY(wr_jscan_skip(&look, NULL));
    return more;
}

int wr_oip_frame_rows(wr_oip_frame *f, wr_jscan *s)
{
    bool first;
    int more;
    size_t rows, row = 0;
    if (wr_jscan_peek(s) != '[') return wr_err_set(f->err, WEIR_EINVAL, "the rows are no list");
    WR_TRY(count_items(s, &rows));
    WR_TRY(wr_oip_frame_start(f, rows));
    WR_TRY(wr_jscan_open(s, '[', &first));
    for (; (more = wr_jscan_item(s, &first)) == 1; row++) {
        char c = wr_jscan_peek(s);
        if (c == '{') WR_TRY(object_row(f, row, s));
        else if (c == '[' || f->m->nin == 1) WR_TRY(list_row(f, row, s));
        else return wr_err_set(f->err, WEIR_EINVAL, "row %zu is one value, the model has %zu inputs", row, f->m->nin);
    }
    return more;
}

/* ---- columns ---- */

static int count_columns(wr_oip_frame *f, const wr_jscan *s, size_t *rows)
{
    wr_jscan look = *s;
    bool first, any = false;
    wr_str key;
    int more;
    size_t guess = 0;
    *rows = 0;
    WR_TRY(wr_jscan_open(&look, '{', &first));
    while ((more = wr_jscan_member(&look, &first, &key)) == 1) {
        const wr_oip_column *k = wr_oip_frame_find(f, key, guess++);
        size_t n = 1;
        if (k && wr_jscan_peek(&look) == '[') WR_TRY(count_items(&look, &n));
        WR_TRY(wr_jscan_skip(&look, NULL));
        if (!k) continue;
        if (any && n != *rows)
            return wr_err_set(f->err, WEIR_EINVAL,
                              "All arrays must be of the same length: '%.*s' has %zu values, another one %zu",
                              WR_STR_FMT(wr_str_fit(key, 80)), n, *rows);
        *rows = n;
        any = true;
    }
    return more;
}

static int one_column(wr_oip_frame *f, wr_oip_column *k, wr_jscan *s)
{
    bool first;
    int more;
    size_t row = 0;
    if (wr_jscan_peek(s) != '[') return wr_oip_frame_cell(f, k, 0, s);
    WR_TRY(wr_jscan_open(s, '[', &first));
    for (; (more = wr_jscan_item(s, &first)) == 1; row++) WR_TRY(wr_oip_frame_cell(f, k, row, s));
    return more;
}

int wr_oip_frame_columns(wr_oip_frame *f, wr_jscan *s)
{
    bool first;
    wr_str key;
    int more;
    size_t rows, guess = 0;
    WR_TRY(count_columns(f, s, &rows));
    f->nextra = 0; /* were looked for twice */
    WR_TRY(wr_oip_frame_start(f, rows));
    WR_TRY(wr_jscan_open(s, '{', &first));
    while ((more = wr_jscan_member(s, &first, &key)) == 1) {
        wr_oip_column *k = wr_oip_frame_find(f, key, guess++);
        if (!k) WR_TRY(wr_jscan_skip(s, NULL));
        else if (k->seen)
            return wr_err_set(f->err, WEIR_EINVAL, "'%.*s' is there twice", WR_STR_FMT(wr_str_fit(key, 80)));
        else WR_TRY(one_column(f, k, s));
    }
    if (more < 0) return more;
    for (size_t row = 0; row < rows; row++) { /* what was seen was seen in each row */
        for (size_t i = 0; i < f->ncolumns; i++) f->columns[i].now = f->columns[i].seen;
        WR_TRY(wr_oip_frame_row_end(f, row));
    }
    return 0;
}

/* ---- columns' names and rows apart ---- */

typedef struct {
    wr_oip_column **at; /* by place in a row; NULL = dropped */
    size_t n;
} header;

static int read_header(wr_oip_frame *f, header *h, wr_str text)
{
    wr_jscan s;
    bool first;
    wr_str name;
    int more;
    size_t i = 0;
    wr_jscan_init(&s, text, f->c->arena, f->err);
    WR_TRY(count_items(&s, &h->n));
    h->at = wr_arena_calloc(f->c->arena, h->n + 1, sizeof *h->at);
    if (!h->at) return nomem(f);
    WR_TRY(wr_jscan_open(&s, '[', &first));
    for (; (more = wr_jscan_item(&s, &first)) == 1; i++) {
        if (wr_jscan_peek(&s) != '"') { /* pandas names columns by number when nobody does */
            WR_TRY(wr_jscan_skip(&s, NULL));
            if (i < f->ninputs) h->at[i] = &f->columns[i];
            continue;
        }
        WR_TRY(wr_jscan_str(&s, &name));
        h->at[i] = wr_oip_frame_find(f, name, i);
        if (h->at[i]) h->at[i]->seen = true;
        for (size_t k = 0; h->at[i] && k < i && h->n <= 1000; k++)
            if (h->at[k] == h->at[i])
                return wr_err_set(f->err, WEIR_EINVAL, "column '%.*s' is there twice",
                                  WR_STR_FMT(wr_str_fit(name, 80)));
    }
    return more;
}

static int split_row(wr_oip_frame *f, const header *h, size_t row, wr_jscan *s)
{
    bool first;
    int more;
    size_t i = 0;
    if (wr_jscan_peek(s) != '[') return wr_err_set(f->err, WEIR_EINVAL, "row %zu of 'data' is no list", row);
    WR_TRY(wr_jscan_open(s, '[', &first));
    for (; (more = wr_jscan_item(s, &first)) == 1; i++) {
        wr_oip_column *k = i < h->n ? h->at[i] : NULL;
        WR_TRY(k && !k->now ? wr_oip_frame_cell(f, k, row, s) : wr_jscan_skip(s, NULL));
    }
    if (more < 0) return more;
    if (i != h->n)
        return wr_err_set(f->err, WEIR_EINVAL, "%zu columns passed, passed data had %zu columns in row %zu", h->n, i,
                          row);
    return wr_oip_frame_row_end(f, row);
}

static int split_rows(wr_oip_frame *f, const header *h, wr_str data)
{
    wr_jscan s;
    bool first;
    int more;
    size_t rows, row = 0;
    wr_jscan_init(&s, data, f->c->arena, f->err);
    if (wr_jscan_peek(&s) != '[') return wr_err_set(f->err, WEIR_EINVAL, "'data' is no list of rows");
    WR_TRY(count_items(&s, &rows));
    WR_TRY(wr_oip_frame_start(f, rows));
    WR_TRY(wr_jscan_open(&s, '[', &first));
    for (; (more = wr_jscan_item(&s, &first)) == 1; row++) WR_TRY(split_row(f, h, row, &s));
    return more;
}

int wr_oip_frame_split(wr_oip_frame *f, wr_jscan *s)
{
    bool first;
    wr_str key, columns = {NULL, 0}, data = {NULL, 0}, other;
    int more;
    header h = {0};
    if (wr_jscan_peek(s) != '{') return wr_err_set(f->err, WEIR_EINVAL, "'dataframe_split' is no object");
    WR_TRY(wr_jscan_open(s, '{', &first));
    while ((more = wr_jscan_member(s, &first, &key)) == 1)
        WR_TRY(wr_jscan_skip(s, wr_str_is(key, "columns") ? &columns : wr_str_is(key, "data") ? &data : &other));
    if (more < 0) return more;
    if (!data.p) return wr_err_set(f->err, WEIR_EINVAL, "'dataframe_split' has no 'data'");
    if (columns.p && columns.p[0] == '[') {
        WR_TRY(read_header(f, &h, columns));
        return split_rows(f, &h, data);
    }
    wr_jscan rows; /* without names: by place */
    wr_jscan_init(&rows, data, f->c->arena, f->err);
    return wr_oip_frame_rows(f, &rows);
}

/* ---- the end ---- */

static void list_names(char *out, size_t room, const wr_str *names, size_t n, bool more)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && used + 8 < room; i++) {
        int k = snprintf(out + used, room - used, "%s'%.*s'", i ? ", " : "", WR_STR_FMT(wr_str_fit(names[i], 60)));
        used += (size_t)k < room - used ? (size_t)k : room - used - 1;
    }
    if (more && used + 6 < room) snprintf(out + used, room - used, ", ...");
}

static int missing_columns(wr_oip_frame *f)
{
    wr_str names[8];
    size_t n = 0, all = 0;
    char missing[260], extra[160];
    for (size_t i = 0; i < f->ncolumns; i++) {
        const wr_oip_column *k = &f->columns[i];
        if (k->seen || k->optional) continue;
        if (n < sizeof names / sizeof *names) names[n++] = k->name;
        all++;
    }
    if (!all) return 0;
    list_names(missing, sizeof missing, names, n, all > n);
    list_names(extra, sizeof extra, f->extra, f->nextra, false);
    wr_err_set(f->err, WEIR_EINVAL, "Model is missing inputs [%s].", missing);
    if (f->nextra) return wr_err_hint(f->err, WEIR_EINVAL, "Note that there were extra inputs: [%s].", extra);
    return WEIR_EINVAL;
}

static int shape_tensor(wr_oip_frame *f, size_t i)
{
    wr_tensor *t = &f->t[i];
    const wr_tensor_spec *s = &f->m->in[i];
    size_t fixed = 1;
    t->ndims = s->ndims;
    t->shape[0] = (int64_t)f->rows;
    for (int k = 1; k < s->ndims; k++)
        if (s->shape[k] >= 0) fixed *= (size_t)s->shape[k];
    bool open = false; /* the first free dimension takes what is left, others are 1 */
    for (int k = 1; k < s->ndims; k++) {
        t->shape[k] = s->shape[k];
        if (s->shape[k] >= 0) continue;
        t->shape[k] = open || !fixed ? 1 : (int64_t)(f->each[i] / fixed);
        open = true;
    }
    WR_TRY(wr_tensor_count(t, f->err));
    if (t->count != f->rows * f->each[i])
        return wr_err_set(f->err, WEIR_EINVAL, "rows of %zu values do not fit the shape of input '%s'", f->each[i],
                          s->name);
    return wr_oip_fill_missing(t, f->missing[i], s, f->c->arena, f->err);
}

int wr_oip_frame_finish(wr_oip_frame *f, wr_oip_infer *q)
{
    size_t n = 0;
    if (f->rows || f->nextra) WR_TRY(missing_columns(f));
    for (size_t i = 0; i < f->ncolumns; i++) {
        const wr_oip_column *k = &f->columns[i];
        if (k->absent && k->seen)
            return wr_err_set(f->err, WEIR_EINVAL, "row %zu has no value for column '%.*s'", k->absent_row,
                              WR_STR_FMT(wr_str_fit(k->name, 80)));
    }
    for (size_t i = 0; i < f->m->nin; i++) {
        bool seen = f->matrix || f->columns[i].seen || !f->rows;
        if (!seen) continue;             /* optional */
        if (!f->each[i]) f->each[i] = 1; /* no rows, of any length */
        WR_TRY(wr_oip_frame_ready(f, i, f->m->in[i].type));
        WR_TRY(shape_tensor(f, i));
        f->t[n++] = f->t[i];
    }
    q->in = f->t;
    q->nin = n;
    return 0;
}

/* ---- models without rows ---- */

static int nested_shape(wr_tensor *t, const wr_jscan *s, wr_err *err)
{
    wr_jscan look = *s;
    bool first;
    for (t->ndims = 0; wr_jscan_peek(&look) == '['; t->ndims++) {
        size_t n;
        if (t->ndims == WR_TENSOR_DIMS) return wr_err_set(err, WEIR_EINVAL, "more than %d dimensions", WR_TENSOR_DIMS);
        WR_TRY(count_items(&look, &n));
        t->shape[t->ndims] = (int64_t)n;
        WR_TRY(wr_jscan_open(&look, '[', &first));
    }
    return wr_tensor_count(t, err);
}

static int whole_tensor(wr_tensor *t, wr_oip_call *c, size_t i, wr_jscan *s, wr_err *err)
{
    *t = (wr_tensor){.name = wr_str_of(c->m.in[i].name), .type = c->m.in[i].type};
    WR_TRY(nested_shape(t, s, err));
    WR_TRY(wr_tensor_alloc(t, c->arena, err));
    int rc = wr_tensor_read_json_part(t, 0, t->count, NULL, s);
    return rc < 0 ? wr_err_wrap(err, rc, "input '%s'", c->m.in[i].name) : 0;
}

int wr_oip_whole_tensors(wr_oip_infer *q, wr_oip_call *c, wr_jscan *s, wr_err *err)
{
    bool first;
    wr_str key;
    int more;
    size_t n = 0;
    wr_tensor *t = wr_arena_calloc(c->arena, c->m.nin + 1, sizeof *t);
    if (!t) return wr_err_nomem(err);
    q->in = t;
    if (wr_jscan_peek(s) != '{') {
        if (c->m.nin != 1)
            return wr_err_set(err, WEIR_EINVAL, "the model has %zu inputs: expected {name: values}", c->m.nin);
        q->nin = 1;
        return whole_tensor(t, c, 0, s, err);
    }
    WR_TRY(wr_jscan_open(s, '{', &first));
    while ((more = wr_jscan_member(s, &first, &key)) == 1) {
        size_t i = wr_oip_find(c->m.in, c->m.nin, key, n);
        for (size_t k = 0; i < c->m.nin && k < n; k++)
            if (wr_str_eq(t[k].name, key))
                return wr_err_set(err, WEIR_EINVAL, "input '%s' is there twice", c->m.in[i].name);
        if (i == c->m.nin) WR_TRY(wr_jscan_skip(s, NULL));
        else WR_TRY(whole_tensor(&t[n++], c, i, s, err));
    }
    q->nin = n;
    return more;
}
