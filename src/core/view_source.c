/* SPDX-License-Identifier: Apache-2.0 */
/* view_source.c - SQL made from a view's columns. */
#include "core/view_source.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "core/dataset.h"
#include "core/lookup.h"

static const char *sql_type(wr_type t) { return t == WR_TS ? "TIMESTAMP" : t == WR_TEXT ? "VARCHAR" : "DOUBLE"; }

/* ", CAST(column AS TYPE) AS name" */
static void column_as(wr_buf *b, const char *col, wr_type type, wr_str as)
{
    wr_buf_str(b, b->n > 7 ? ", CAST(" : "CAST(");
    wr_sql_ident(b, wr_str_of(col));
    wr_buf_printf(b, " AS %s) AS ", sql_type(type));
    wr_sql_ident(b, as);
}

static void column(wr_buf *b, const char *col, wr_type type, const char *prefix)
{
    WR_AUTOBUF wr_buf as;
    wr_buf_init(&as, 0);
    wr_buf_printf(&as, "%s%s", prefix, col);
    column_as(b, col, type, wr_buf_view(&as));
    b->failed = b->failed || as.failed;
}

static void event_columns(wr_buf *b, const wr_view *v, const char *prefix)
{
    for (size_t i = 0; i < v->nevent_columns; i++) column(b, v->event_columns[i], v->event_type[i], prefix);
}

int wr_query_datasets(wr_frame **out, wr_project *p, wr_tables *t, const char *sql, wr_run *run, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_node *used;
    size_t n;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_dataset_views_for(t, p, sql, &used, &n, a, err));
    for (size_t i = 0; run && i < n; i++) wr_run_input(run, &used[i]);
    return wr_dataset_explain(p, wr_tables_query(t, out, sql, NULL, 0, err), err);
}

/* A column that is not there would make the engine speak of SQL the user never wrote. */
static int need_column(const char *source, const char *name, const wr_table_column *c, size_t n, wr_arena *a,
                       wr_err *err)
{
    const char **names = wr_arena_alloc(a, (n + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        names[i] = c[i].name;
        if (strcasecmp(names[i], name) == 0) return 0;
    }
    int near = wr_str_nearest(wr_str_of(name), names, n);
    wr_err_set(err, WEIR_ENOTFOUND, "dataset \"%s\" has no column \"%s\"", source, name);
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near])
                     : wr_err_hint(err, WEIR_ENOTFOUND, "weir data show %s shows its columns", source);
}

typedef struct {
    char *const *at;
    size_t n;
} name_list;

static int need_columns(wr_project *p, wr_tables *t, const char *source, const name_list *lists, size_t nlists,
                        wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf sql = {0};
    wr_table_column *c;
    size_t n;
    wr_buf_str(&sql, "SELECT * FROM ");
    wr_sql_ident(&sql, wr_str_of(source));
    if (!a || sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_dataset_views_for(t, p, wr_buf_cstr(&sql), NULL, NULL, a, err));
    int rc = wr_tables_describe(t, &c, &n, a, wr_buf_cstr(&sql), err);
    if (rc < 0) return wr_dataset_explain(p, rc, err);
    for (size_t l = 0; l < nlists; l++)
        for (size_t i = 0; i < lists[l].n; i++) WR_TRY(need_column(source, lists[l].at[i], c, n, a, err));
    return 0;
}

static void from(wr_buf *b, const char *source, const char *where)
{
    wr_buf_str(b, " FROM ");
    wr_sql_ident(b, wr_str_of(source));
    if (where) wr_buf_printf(b, " WHERE (%s)", where);
}

static bool is_request(const wr_view *v, const char *name)
{
    for (size_t i = 0; i < v->nrequest; i++)
        if (strcmp(v->request[i], name) == 0) return true;
    return false;
}

/* ---- lookups ---- */

int wr_view_lookup_rows(wr_frame **out, const wr_view *v, size_t i, wr_project *p, wr_tables *t, wr_run *run,
                        wr_err *err)
{
    const wr_view_lookup *l = &v->lookups[i];
    WR_AUTOBUF wr_buf b = {0};
    char name[32];
    wr_buf_printf(&b, "SELECT CAST((%s) AS TIMESTAMP) AS \"_time\"", l->time);
    for (int k = 0; k < l->nkey; k++) {
        int n = snprintf(name, sizeof name, "_key%d", k);
        column_as(&b, l->source_key[k], WR_TEXT, (wr_str){name, (size_t)n});
    }
    for (size_t c = 0; c < l->ncolumns; c++) {
        int n = snprintf(name, sizeof name, "_of%zu", c);
        column_as(&b, l->of[c], v->request_type[l->at[c]], (wr_str){name, (size_t)n});
    }
    from(&b, l->source, NULL);
    if (b.failed) return wr_err_nomem(err);
    const name_list needed[] = {{l->source_key, (size_t)l->nkey}, {l->of, l->ncolumns}};
    int rc = need_columns(p, t, l->source, needed, 2, err);
    if (rc == 0) rc = wr_query_datasets(out, p, t, wr_buf_cstr(&b), run, err);
    if (rc == 0) rc = wr_frame_sort(out, "_time", err);
    return rc < 0 ? wr_err_wrap(err, rc, "lookup of view \"%s\" in dataset \"%s\"", v->name, l->source) : 0;
}

static int open_tables(wr_lookup **out, const wr_view *v, wr_project *p, wr_tables *t, wr_run *run, wr_err *err)
{
    wr_frame *sources[WR_VIEW_LOOKUPS] = {0};
    wr_buf bytes;
    int rc = 0;
    wr_buf_init(&bytes, 0);
    for (size_t i = 0; i < v->nlookups && rc == 0; i++) rc = wr_view_lookup_rows(&sources[i], v, i, p, t, run, err);
    if (rc == 0) rc = wr_lookup_make(&bytes, v, sources, INT64_MAX, true, err);
    for (size_t i = 0; i < v->nlookups; i++) wr_frame_free(sources[i]);
    if (rc == 0) return wr_lookup_open(out, v, &bytes, err);
    wr_buf_fini(&bytes);
    return rc;
}

static wr_cell cell_of(const wr_col *c, size_t row)
{
    wr_cell out = {.num = NAN, .missing = wr_col_missing(c, row)};
    if (out.missing) return out;
    if (c->type == WR_TEXT) out.text = wr_col_text(c, row);
    else if (c->type == WR_TS) out.ts = c->i64[row];
    else out.num = wr_col_num(c, row);
    return out;
}

static int put_cell(wr_col *c, size_t row, const wr_cell *x)
{
    if (c->type == WR_F64) c->f64[row] = x->missing ? NAN : x->num;
    else if (c->type == WR_TS) c->i64[row] = x->missing ? 0 : x->ts;
    else if (!x->missing) return wr_col_code(c, x->text, &c->code[row]);
    return x->missing ? wr_col_set_missing(c, row) : 0;
}

static int fill_rows(wr_frame *f, const wr_view *v, const wr_lookup *tables, wr_arena *a, wr_err *err)
{
    wr_cell *cells = wr_arena_calloc(a, v->nrequest, sizeof *cells);
    wr_col **cols = wr_arena_calloc(a, v->nrequest, sizeof *cols);
    if (!cells || !cols) return wr_err_nomem(err);
    for (size_t k = 0; k < v->nrequest; k++)
        if (v->looked_up[k] && !wr_frame_add(f, v->request[k], v->request_type[k])) return wr_err_nomem(err);
    for (size_t k = 0; k < v->nrequest; k++) WR_TRY(wr_frame_need(&cols[k], f, v->request[k], -1, err));
    for (size_t i = 0; i < f->nrows; i++) {
        for (size_t k = 0; k < v->nrequest; k++)
            cells[k] = v->looked_up[k] ? (wr_cell){.num = NAN, .missing = true} : cell_of(cols[k], i);
        wr_lookup_row(tables, cells);
        for (size_t k = 0; k < v->nrequest; k++)
            if (v->looked_up[k] && put_cell(cols[k], i, &cells[k]) < 0) return wr_err_nomem(err);
    }
    return 0;
}

static int look_up(wr_frame *f, const wr_view *v, wr_project *p, wr_tables *t, wr_run *run, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_lookup *tables;
    if (!v->nlookups) return 0;
    if (!a) return wr_err_nomem(err);
    WR_TRY(open_tables(&tables, v, p, t, run, err));
    int rc = fill_rows(f, v, tables, a, err);
    wr_lookup_free(tables);
    return rc;
}

/* ---- rows and events ---- */

/* Columns that the source must have: of the request, the time first, and what is kept beside them. */
static size_t own_columns(char **out, const wr_view *v)
{
    size_t n = 0;
    for (size_t i = 0; i < v->nrequest; i++)
        if (!v->looked_up[i]) out[n++] = v->request[i];
    for (size_t i = 0; i < v->nkeep; i++)
        if (!is_request(v, v->keep[i])) out[n++] = v->keep[i];
    return n;
}

int wr_view_rows(wr_frame **out, const wr_view *v, wr_project *p, wr_tables *t, const wr_view_rows_opt *opt,
                 wr_run *run, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOFREE char **own = wr_alloc((v->nrequest + v->nkeep) * sizeof *own);
    if (!own) return wr_err_nomem(err);
    wr_buf_str(&b, "SELECT ");
    for (size_t i = 0; i < v->nrequest; i++)
        if (!v->looked_up[i]) column(&b, v->request[i], v->request_type[i], "");
    if (v->known_at) wr_buf_printf(&b, ", CAST((%s) AS TIMESTAMP) AS \"_known_at\"", v->known_at);
    if (v->label_of.of && v->label_of.of[0]) {
        wr_buf_str(&b, ", CAST(");
        wr_sql_ident(&b, wr_str_of(v->label_of.of));
        wr_buf_str(&b, " AS DOUBLE) AS \"_outcome\"");
    }
    for (size_t i = 0; i < v->nkeep; i++) {
        if (is_request(v, v->keep[i])) continue; /* is there already */
        wr_buf_str(&b, ", ");
        wr_sql_ident(&b, wr_str_of(v->keep[i]));
        wr_buf_str(&b, " AS ");
        wr_sql_ident(&b, wr_str_of(v->keep[i]));
    }
    if (opt->events && v->event_time) {
        wr_buf_printf(&b, ", CAST((%s) AS TIMESTAMP) AS \"_event_time\"", v->event_time);
        event_columns(&b, v, "_event.");
    }
    from(&b, v->source, opt->where);
    if (b.failed) return wr_err_nomem(err);
    bool label = v->label_of.of && v->label_of.of[0];
    const name_list needed[] = {
        {own, own_columns(own, v)}, {&v->label_of.of, label}, {v->event_columns, opt->events ? v->nevent_columns : 0}};
    int rc = need_columns(p, t, v->source, needed, 3, err);
    if (rc == 0) rc = wr_query_datasets(out, p, t, wr_buf_cstr(&b), run, err);
    if (rc == 0) rc = wr_frame_sort(out, v->time, err);
    if (rc == 0) rc = look_up(*out, v, p, t, run, err);
    return rc < 0 ? wr_err_wrap(err, rc, "rows of view \"%s\"", v->name) : 0;
}

int wr_view_events(wr_frame **out, const wr_view *v, wr_project *p, wr_tables *t, const char *where, wr_run *run,
                   wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    if (!v->event_source) return wr_err_set(err, WEIR_EINVAL, "view \"%s\" has no events", v->name);
    wr_buf_printf(&b, "SELECT CAST((%s) AS TIMESTAMP) AS \"_time\"", v->event_time);
    event_columns(&b, v, "");
    from(&b, v->event_source, where);
    if (b.failed) return wr_err_nomem(err);
    const name_list needed = {v->event_columns, v->nevent_columns};
    int rc = need_columns(p, t, v->event_source, &needed, 1, err);
    if (rc == 0) rc = wr_query_datasets(out, p, t, wr_buf_cstr(&b), run, err);
    if (rc == 0) rc = wr_frame_sort(out, "_time", err);
    return rc < 0 ? wr_err_wrap(err, rc, "events of view \"%s\"", v->name) : 0;
}

wr_node wr_view_node(const wr_view *v)
{
    return (wr_node){.kind = "view", .name = v->name, .hash = v->hash, .version = -1};
}
