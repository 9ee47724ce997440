/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - the SQL around the user's rows. */
#include "stage/model/table.h"

#include <string.h>

#include "base/clock.h"
#include "core/dataset.h"
#include "core/view_source.h"

/* Columns the user's SQL gives, to know whether known_at is there and to name what is missing. */
typedef struct {
    wr_table_column *at;
    size_t n;
} columns;

static bool has(const columns *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->at[i].name, name) == 0) return true;
    return false;
}

static int missing_column(const columns *c, const char *name, wr_arena *a, wr_err *err)
{
    const char **names = wr_arena_alloc(a, (c->n + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < c->n; i++) names[i] = c->at[i].name;
    int near = wr_str_nearest(wr_str_of(name), names, c->n);
    wr_err_set(err, WEIR_ENOTFOUND, "the rows have no column \"%s\"", name);
    return near >= 0
               ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near])
               : wr_err_hint(
                     err, WEIR_ENOTFOUND,
                     "rows must give the view's time, label and features; weir feature build writes such a dataset");
}

static int add(wr_buf *b, const columns *c, const char *name, const char *type, wr_arena *a, wr_err *err)
{
    if (!has(c, name)) return missing_column(c, name, a, err);
    wr_buf_str(b, b->n > 7 ? ", " : "");
    if (type) wr_buf_str(b, "CAST(");
    wr_sql_ident(b, wr_str_of(name));
    if (type) wr_buf_printf(b, " AS %s) AS ", type);
    if (type) wr_sql_ident(b, wr_str_of(name));
    return 0;
}

static int add_features(wr_buf *b, const columns *c, const wr_view *v, const wr_model_table_opt *opt, wr_arena *a,
                        wr_err *err)
{
    for (size_t i = 0; i < (opt->use ? opt->nuse : v->nfeatures); i++) {
        const wr_view_feature *f = &v->features[opt->use ? opt->use[i] : i];
        WR_TRY(add(b, c, f->name, f->category ? "VARCHAR" : "FLOAT", a, err));
    }
    return 0;
}

static bool is_used(const wr_view *v, const wr_model_table_opt *opt, const char *name)
{
    for (size_t i = 0; i < (opt->use ? opt->nuse : v->nfeatures); i++)
        if (strcmp(v->features[opt->use ? opt->use[i] : i].name, name) == 0) return true;
    return strcmp(name, v->time) == 0 || strcmp(name, v->label) == 0 || strcmp(name, "known_at") == 0;
}

static bool is_earlier(const char *const *list, const char *const *at)
{
    while (list < at)
        if (strcmp(*list++, *at) == 0) return true;
    return false;
}

static void add_range(wr_buf *b, const wr_view *v, const wr_model_table_opt *opt)
{
    char text[WR_TIME_TEXT];
    wr_buf_str(b, " WHERE "); /* a row without a time is in no range */
    wr_sql_ident(b, wr_str_of(v->time));
    wr_buf_str(b, " IS NOT NULL");
    for (int side = 0; side < 2; side++) {
        int64_t at = side ? opt->until_us : opt->from_us;
        if (at == INT64_MIN || at == INT64_MAX) continue;
        wr_time_format(text, at);
        wr_buf_str(b, " AND CAST(");
        wr_sql_ident(b, wr_str_of(v->time));
        wr_buf_printf(b, " AS TIMESTAMP) %s TIMESTAMP '%.*s'", side ? "<" : ">=", (int)strcspn(text, "Z"), text);
    }
}

static int make_sql(wr_buf *b, wr_arena *a, wr_tables *t, const wr_view *v, const wr_model_table_opt *opt, wr_err *err)
{
    columns c;
    WR_TRY(wr_tables_describe(t, &c.at, &c.n, a, opt->rows, err));
    wr_buf_str(b, "SELECT ");
    WR_TRY(add(b, &c, v->time, "TIMESTAMP", a, err));
    WR_TRY(add(b, &c, v->label, "DOUBLE", a, err));
    if (has(&c, "known_at")) WR_TRY(add(b, &c, "known_at", "TIMESTAMP", a, err));
    WR_TRY(add_features(b, &c, v, opt, a, err));
    for (const char *const *e = opt->extra; e && *e; e++)
        if (!is_used(v, opt, *e) && !is_earlier(opt->extra, e)) WR_TRY(add(b, &c, *e, NULL, a, err));
    wr_buf_printf(b, " FROM (%s\n)", opt->rows); /* the line break ends a comment */
    add_range(b, v, opt);
    return b->failed ? wr_err_nomem(err) : 0;
}

static int read_frame(wr_frame **out, wr_project *p, wr_tables *t, const wr_view *v, const wr_model_table_opt *opt,
                      wr_run *run, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf sql;
    wr_node *used;
    size_t n;
    wr_buf_init(&sql, 0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_dataset_views_for(t, p, opt->rows, &used, &n, a, err));
    for (size_t i = 0; run && i < n; i++) wr_run_input(run, &used[i]);
    int rc = make_sql(&sql, a, t, v, opt, err);
    if (rc == 0) rc = wr_tables_query(t, out, wr_buf_cstr(&sql), NULL, 0, err);
    return wr_dataset_explain(p, rc, err);
}

int wr_model_table_read(wr_model_table *out, wr_project *p, const wr_view *v, const wr_model_table_opt *opt,
                        wr_run *run, wr_err *err)
{
    wr_tables *t;
    wr_col *c;
    memset(out, 0, sizeof *out);
    if (!v->label) return wr_err_set(err, WEIR_EINVAL, "view \"%s\" has no label", v->name);
    WR_TRY(wr_project_tables(&t, p, NULL, err));
    int rc = read_frame(&out->frame, p, t, v, opt, run, err);
    wr_tables_close(t);
    if (rc == 0 && out->frame->nrows == 0) {
        wr_err_set(err, WEIR_EINVAL, "the rows asked for are none");
        rc = wr_err_hint(err, WEIR_EINVAL, "check the SQL and the time range: %s", opt->rows);
    }
    if (rc == 0) rc = wr_frame_sort(&out->frame, v->time, err);
    if (rc == 0) rc = wr_frame_need(&c, out->frame, v->time, WR_TS, err);
    if (rc == 0) out->time_us = c->i64;
    if (rc == 0) rc = wr_frame_need(&c, out->frame, v->label, WR_F64, err);
    if (rc == 0) out->label = c->f64;
    if (rc < 0) {
        wr_model_table_free(out);
        return rc;
    }
    c = wr_frame_col(out->frame, "known_at");
    if (!c || c->type != WR_TS) return 0;
    out->known_us = c->i64;
    for (size_t i = 0; i < c->n; i++)
        if (wr_col_missing(c, i)) c->i64[i] = INT64_MAX; /* nobody can say that it was known by then */
    return 0;
}

void wr_model_table_free(wr_model_table *t)
{
    wr_frame_free(t->frame);
    t->frame = NULL;
}
