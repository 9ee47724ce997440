/* SPDX-License-Identifier: Apache-2.0 */
/* frame_json.c - the forms that a frame has in JSON: rows that are lists or objects, an object of columns, names and
 * rows apart. */
#include "wire/oip/frame.h"

int wr_oip_count_items(const wr_jscan *s, size_t *n)
{
    wr_jscan look = *s;
    bool first;
    int more;
    *n = 0;
    WR_TRY(wr_jscan_open(&look, '[', &first));
    for (; (more = wr_jscan_item(&look, &first)) == 1; ++*n) WR_TRY(wr_jscan_skip(&look, NULL));
    return more;
}

/* ---- rows ---- */

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

int wr_oip_frame_rows(wr_oip_frame *f, wr_jscan *s)
{
    bool first;
    int more;
    size_t rows, row = 0;
    if (wr_jscan_peek(s) != '[') return wr_err_set(f->err, WEIR_EINVAL, "the rows are no list");
    WR_TRY(wr_oip_count_items(s, &rows));
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
        if (k && wr_jscan_peek(&look) == '[') WR_TRY(wr_oip_count_items(&look, &n));
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
    WR_TRY(wr_oip_count_items(&s, &h->n));
    h->at = wr_arena_calloc(f->c->arena, h->n + 1, sizeof *h->at);
    if (!h->at) return wr_err_nomem(f->err);
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
    WR_TRY(wr_oip_count_items(&s, &rows));
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
