/* SPDX-License-Identifier: Apache-2.0 */
/* tables_scan.c - frames as tables: weir_frame(slot), and a view with the caller's name over it.
 *
 * One thread reads a frame, so rows keep their order. Columns that the query does not use are not touched. Text is not
 * copied: a DuckDB string longer than 12 bytes points at its characters, and those of a frame's dictionary outlive the
 * query.
 */
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "store/tables_inside.h"

enum { INLINED = 12 };

struct wr_scan_frame {
    char *name;
    const wr_frame *frame;
};

/* State of one scan. `text[k]` maps codes to DuckDB strings when the k-th wanted column is TEXT. */
typedef struct {
    const wr_duck *d;
    const wr_frame *frame;
    size_t row, n;
    size_t *wanted;
    duckdb_string_t **text;
} scan;

static const duckdb_type duck_type[] = {
    [WR_F64] = DUCKDB_TYPE_DOUBLE,   [WR_F32] = DUCKDB_TYPE_FLOAT,    [WR_I64] = DUCKDB_TYPE_BIGINT,
    [WR_TS] = DUCKDB_TYPE_TIMESTAMP, [WR_BOOL] = DUCKDB_TYPE_BOOLEAN, [WR_TEXT] = DUCKDB_TYPE_VARCHAR,
};

static void bind(duckdb_bind_info info)
{
    const wr_duck *d;
    if (wr_duck_load(&d, NULL) < 0) return; /* cannot be: it is running */
    wr_tables *t = d->bind_get_extra_info(info);
    duckdb_value value = d->bind_get_parameter(info, 0);
    uint64_t slot = (uint64_t)d->get_int64(value); /* negative becomes large */
    d->destroy_value(&value);
    if (slot >= t->frames.n || !t->frames.at[slot]) {
        d->bind_set_error(info, "no such frame");
        return;
    }
    const wr_frame *f = t->frames.at[slot]->frame;
    for (size_t i = 0; i < f->ncols; i++) {
        duckdb_logical_type type = d->create_logical_type(duck_type[f->cols[i].type]);
        d->bind_add_result_column(info, f->cols[i].name, type);
        d->destroy_logical_type(&type);
    }
    d->bind_set_cardinality(info, f->nrows, true);
    d->bind_set_bind_data(info, (void *)f, NULL);
}

static void scan_free(void *p)
{
    scan *s = p;
    for (size_t i = 0; s->text && i < s->n; i++) wr_free(s->text[i]);
    wr_free(s->text);
    wr_free(s->wanted);
    wr_free(s);
}

static int text_table(duckdb_string_t **out, const wr_col *c)
{
    duckdb_string_t *table =
        wr_calloc(c->dict.n + 1, sizeof *table); /* one empty string for codes of an empty dictionary */
    *out = table;
    if (!table) return WEIR_ENOMEM;
    for (size_t i = 0; i < c->dict.n; i++) {
        wr_str s = c->dict.at[i].key;
        if (s.n > UINT32_MAX || !wr_str_utf8(s)) return WEIR_EINVAL;
        table[i].value.inlined.length = (uint32_t)s.n;
        if (s.n <= INLINED) {
            memcpy(table[i].value.inlined.inlined, s.p, s.n);
        } else {
            memcpy(table[i].value.pointer.prefix, s.p, 4);
            table[i].value.pointer.ptr = (char *)s.p;
        }
    }
    return 0;
}

static int scan_columns(scan *s, duckdb_init_info info)
{
    s->n = s->d->init_get_column_count(info);
    s->wanted = wr_calloc(s->n, sizeof *s->wanted);
    s->text = wr_calloc(s->n, sizeof *s->text);
    if (!s->wanted || !s->text) return WEIR_ENOMEM;
    for (size_t k = 0; k < s->n; k++) {
        s->wanted[k] = s->d->init_get_column_index(info, k);
        if (s->wanted[k] >= s->frame->ncols) continue; /* count(*) asks for a row number that it never reads */
        const wr_col *c = &s->frame->cols[s->wanted[k]];
        if (c->type == WR_TEXT) WR_TRY(text_table(&s->text[k], c));
    }
    return 0;
}

static void init(duckdb_init_info info)
{
    const wr_duck *d;
    if (wr_duck_load(&d, NULL) < 0) return;
    scan *s = wr_calloc(1, sizeof *s);
    if (!s) {
        d->init_set_error(info, "out of memory");
        return;
    }
    s->d = d;
    s->frame = d->init_get_bind_data(info);
    d->init_set_max_threads(info, 1);
    d->init_set_init_data(info, s, scan_free);
    int rc = scan_columns(s, info);
    if (rc < 0) d->init_set_error(info, rc == WEIR_ENOMEM ? "out of memory" : "text of a frame is not UTF-8");
}

static void put_missing(const wr_duck *d, duckdb_vector v, const uint8_t *valid, size_t n)
{
    if (!memchr(valid, 0, n)) return;
    d->vector_ensure_validity_writable(v);
    uint64_t *mask = d->vector_get_validity(v);
    for (size_t i = 0; i < n; i++) {
        if (!valid[i]) mask[i >> 6] &= ~((uint64_t)1 << (i & 63));
    }
}

static void put_column(const scan *s, size_t k, duckdb_vector v, size_t n)
{
    const wr_col *c = &s->frame->cols[s->wanted[k]];
    void *to = s->d->vector_get_data(v);
    if (c->type == WR_TEXT) {
        duckdb_string_t *out = to;
        for (size_t i = 0; i < n; i++) out[i] = s->text[k][c->code[s->row + i]];
    } else {
        size_t size = wr_type_size(c->type);
        memcpy(to, (const char *)c->data + s->row * size, n * size);
    }
    if (c->valid) put_missing(s->d, v, c->valid + s->row, n);
}

static void next_chunk(duckdb_function_info info, duckdb_data_chunk output)
{
    const wr_duck *d;
    if (wr_duck_load(&d, NULL) < 0) return;
    scan *s = d->function_get_init_data(info);
    size_t n = s->frame->nrows - s->row;
    if (n > d->vector_size()) n = d->vector_size();
    for (size_t k = 0; n && k < s->n; k++) {
        if (s->wanted[k] < s->frame->ncols) put_column(s, k, d->data_chunk_get_vector(output, k), n);
    }
    s->row += n;
    d->data_chunk_set_size(output, n);
}

/* -- weir_none(): one column, no rows. A query that also reads it is written by one thread in order, see
 * tables_parquet.c. */

static void none_bind(duckdb_bind_info info)
{
    const wr_duck *d;
    if (wr_duck_load(&d, NULL) < 0) return;
    duckdb_logical_type type = d->create_logical_type(DUCKDB_TYPE_BOOLEAN);
    d->bind_add_result_column(info, "none", type);
    d->destroy_logical_type(&type);
}

static void none_init(duckdb_init_info info) { (void)info; }

static void none_next(duckdb_function_info info, duckdb_data_chunk output)
{
    const wr_duck *d;
    (void)info;
    if (wr_duck_load(&d, NULL) == 0) d->data_chunk_set_size(output, 0);
}

static bool install_none(wr_tables *t)
{
    const wr_duck *d = t->d;
    duckdb_table_function f = d->create_table_function();
    d->table_function_set_name(f, "weir_none");
    d->table_function_set_bind(f, none_bind);
    d->table_function_set_init(f, none_init);
    d->table_function_set_function(f, none_next);
    bool ok = d->register_table_function(t->con, f) == DuckDBSuccess;
    d->destroy_table_function(&f);
    return ok;
}

static bool install_frame(wr_tables *t)
{
    const wr_duck *d = t->d;
    duckdb_table_function f = d->create_table_function();
    duckdb_logical_type slot = d->create_logical_type(DUCKDB_TYPE_BIGINT);
    d->table_function_set_name(f, "weir_frame");
    d->table_function_add_parameter(f, slot);
    d->table_function_set_extra_info(f, t, NULL);
    d->table_function_set_bind(f, bind);
    d->table_function_set_init(f, init);
    d->table_function_set_function(f, next_chunk);
    d->table_function_supports_projection_pushdown(f, true);
    bool ok = d->register_table_function(t->con, f) == DuckDBSuccess;
    d->destroy_logical_type(&slot);
    d->destroy_table_function(&f);
    return ok;
}

int wr_scan_install(wr_tables *t, wr_err *err)
{
    if (install_frame(t) && install_none(t)) return 0;
    return wr_err_set(err, WEIR_EINTERNAL, "table engine refuses the frame function");
}

static void drop_slot(wr_tables *t, size_t i)
{
    wr_free(t->frames.at[i]->name);
    wr_free(t->frames.at[i]);
    t->frames.at[i] = NULL;
}

void wr_scan_free(wr_tables *t)
{
    for (size_t i = 0; i < t->frames.n; i++) {
        if (t->frames.at[i]) drop_slot(t, i);
    }
    wr_vec_fini(&t->frames);
}

/* Slot of `name`, or -1. */
static ptrdiff_t find_slot(const wr_tables *t, const char *name)
{
    for (size_t i = 0; i < t->frames.n; i++) {
        if (t->frames.at[i] && strcasecmp(t->frames.at[i]->name, name) == 0) return (ptrdiff_t)i;
    }
    return -1;
}

/* A free slot that holds `f` under `name`. */
static ptrdiff_t take_slot(wr_tables *t, const char *name, const wr_frame *f)
{
    wr_scan_frame *s = wr_calloc(1, sizeof *s);
    if (!s) return WEIR_ENOMEM;
    *s = (wr_scan_frame){wr_strdup(name), f};
    size_t i = 0;
    while (i < t->frames.n && t->frames.at[i]) i++;
    if (!s->name || (i == t->frames.n && wr_vec_push(&t->frames, NULL) < 0)) {
        wr_free(s->name);
        wr_free(s);
        return WEIR_ENOMEM;
    }
    t->frames.at[i] = s;
    return (ptrdiff_t)i;
}

static int sql_with_name(wr_tables *t, const char *before, const char *name, ptrdiff_t slot, wr_err *err)
{
    WR_AUTOBUF wr_buf sql;
    wr_buf_init(&sql, 0);
    wr_buf_str(&sql, before);
    wr_sql_ident(&sql, wr_str_of(name));
    if (slot >= 0) wr_buf_printf(&sql, " AS SELECT * FROM weir_frame(%td)", slot);
    return sql.failed ? wr_err_nomem(err) : wr_tables_run(t, wr_buf_cstr(&sql), err);
}

static int check_columns(const wr_frame *f, wr_err *err)
{
    if (f->ncols == 0) return wr_err_set(err, WEIR_EINVAL, "a frame without columns cannot be a table");
    for (size_t i = 0; i < f->ncols; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcasecmp(f->cols[i].name, f->cols[j].name)) continue;
            return wr_err_set(err, WEIR_EINVAL, "columns \"%.120s\" and \"%.120s\" differ only in case",
                              f->cols[j].name, f->cols[i].name);
        }
    }
    return 0;
}

int wr_tables_register(wr_tables *t, const char *name, const wr_frame *f, wr_err *err)
{
    ptrdiff_t old = find_slot(t, name);
    if (!f) {
        if (old < 0) return 0;
        WR_TRY(sql_with_name(t, "DROP VIEW IF EXISTS ", name, -1, err));
        drop_slot(t, (size_t)old);
        return 0;
    }
    WR_TRY(check_columns(f, err));
    ptrdiff_t slot = take_slot(t, name, f);
    if (slot < 0) return wr_err_nomem(err);
    int rc = sql_with_name(t, "CREATE OR REPLACE VIEW ", name, slot, err);
    if (rc < 0) drop_slot(t, (size_t)slot);
    else if (old >= 0) drop_slot(t, (size_t)old);
    return rc;
}
