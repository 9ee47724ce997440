/* SPDX-License-Identifier: Apache-2.0 */
/* view_source.c - SQL made from a view's columns. */
#include "core/view_source.h"

#include "core/dataset.h"

static const char *sql_type(wr_type t) { return t == WR_TS ? "TIMESTAMP" : t == WR_TEXT ? "VARCHAR" : "DOUBLE"; }

/* ", CAST(column AS TYPE) AS name" */
static void column(wr_buf *b, const char *col, wr_type type, const char *prefix)
{
    WR_AUTOBUF wr_buf as;
    wr_buf_init(&as, 0);
    wr_buf_printf(&as, "%s%s", prefix, col);
    wr_buf_str(b, b->n > 7 ? ", CAST(" : "CAST(");
    wr_sql_ident(b, wr_str_of(col));
    wr_buf_printf(b, " AS %s) AS ", sql_type(type));
    wr_sql_ident(b, wr_buf_view(&as));
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

int wr_view_rows(wr_frame **out, const wr_view *v, wr_project *p, wr_tables *t, const wr_view_rows_opt *opt,
                 wr_run *run, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "SELECT ");
    for (size_t i = 0; i < v->nrequest; i++) column(&b, v->request[i], v->request_type[i], "");
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
    const name_list needed[] = {{v->request, v->nrequest},
                                {v->keep, v->nkeep},
                                {&v->label_of.of, label},
                                {v->event_columns, opt->events ? v->nevent_columns : 0}};
    int rc = need_columns(p, t, v->source, needed, 4, err);
    if (rc == 0) rc = wr_query_datasets(out, p, t, wr_buf_cstr(&b), run, err);
    if (rc == 0) rc = wr_frame_sort(out, v->time, err);
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
