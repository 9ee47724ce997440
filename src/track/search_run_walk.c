/* SPDX-License-Identifier: Apache-2.0 */
/* search_run_walk.c - runs in the order of an index: statements, rows, and the merge of several experiments. */
#include "track/search_run_inside.h"

/* Which rows of the first item a walk gives. */
typedef enum { NUMBERS, NANS, MISSING, ALL, ENDED } part;

void wr_run_add_view(wr_sql *q, wr_view_type view)
{
    if (view == WR_VIEW_ACTIVE) wr_sql_add(q, " AND r.deleted_ms IS NULL");
    else if (view == WR_VIEW_DELETED) wr_sql_add(q, " AND r.deleted_ms IS NOT NULL");
}

void wr_run_add_experiments(wr_sql *q, const wr_run_finder *s, const char *column)
{
    wr_sql_add(q, column);
    wr_sql_add(q, " IN (");
    for (size_t i = 0; i < s->nexperiments; i++) {
        if (i) wr_sql_add(q, ", ");
        wr_sql_i64(q, s->experiments[i]);
    }
    wr_sql_add(q, ")");
}

int wr_run_add_filter(wr_sql *q, wr_run_finder *s, wr_err *err)
{
    int alias = 0;
    wr_run_add_view(q, s->opt->view);
    if (!s->filter.root) return 0;
    wr_sql_add(q, " AND ");
    return wr_filter_sql(q, s->t, &s->filter, &alias, err);
}

void wr_run_add_tail(wr_sql *q, const wr_run_finder *s, size_t first, bool behind)
{
    if (behind && first < s->nsort) {
        wr_sql_add(q, " AND ");
        wr_search_behind(q, s->sort, first, s->nsort, &s->page, false);
    }
    wr_sql_add(q, " ORDER BY ");
    wr_search_order_by(q, s->sort, first, s->nsort, false);
    wr_sql_add(q, " LIMIT ");
    wr_sql_i64(q, (int64_t)s->want);
}

/* ---- rows ---- */

static int compare_values(const wr_sql_value *x, const wr_sql_value *y)
{
    if (x->kind == 's') return wr_str_cmp(x->s, y->s);
    if (x->kind == 'i') return (x->i > y->i) - (x->i < y->i);
    return (x->f > y->f) - (x->f < y->f);
}

static int compare_rows(const wr_run_finder *s, const wr_run_row *x, const wr_run_row *y)
{
    for (size_t i = 0; i < s->nsort; i++) {
        const wr_page_key *a = &x->keys[i], *b = &y->keys[i];
        int c = a->phase - b->phase;
        if (c == 0 && a->phase == 0) {
            c = compare_values(&a->value, &b->value);
            if (s->sort[i].desc) c = -c;
        }
        if (c) return c;
    }
    return 0;
}

static int read_row(wr_run_row *out, wr_run_finder *s, wr_stmt *st, wr_err *err)
{
    wr_arena *a = s->a;
    out->run = (wr_track_run){.id = wr_stmt_i64(st, 0),
                              .uuid = wr_arena_str(a, wr_stmt_str(st, 1)),
                              .experiment = wr_stmt_i64(st, 2),
                              .name = wr_arena_str(a, wr_stmt_str(st, 3)),
                              .user = wr_arena_str(a, wr_stmt_str(st, 4)),
                              .status = (int)wr_stmt_i64(st, 5),
                              .start_ms = wr_stmt_i64(st, 6),
                              .end_ms = wr_stmt_null(st, 7) ? -1 : wr_stmt_i64(st, 7),
                              .deleted_ms = wr_stmt_null(st, 8) ? -1 : wr_stmt_i64(st, 8),
                              .artifact_uri = wr_arena_str(a, wr_stmt_str(st, 9))};
    out->keys = wr_arena_alloc(a, s->nsort * sizeof *out->keys);
    if (!out->keys) return wr_err_nomem(err);
    wr_search_keys(out->keys, a, st, WR_RUN_NCOLUMNS, s->sort, s->nsort);
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

/* Rows of a statement up to the first that comes behind `full`, the last row of a full page: then 1. Takes over `st`.
 */
int wr_run_read_rows(wr_run_rows *out, wr_run_finder *s, wr_stmt *st, const wr_run_row *full, wr_err *err)
{
    int rc;
    bool stop = false;
    while (!stop && (rc = wr_step(st, err)) > 0) {
        wr_run_row r;
        rc = read_row(&r, s, st, err);
        if (rc < 0) break;
        stop = full && compare_rows(s, &r, full) >= 0;
        if (!stop && (rc = wr_vec_add(out, r, err)) < 0) break;
    }
    wr_stmt_done(st);
    return rc < 0 ? rc : stop;
}

/* Merge `more` into found[from..], at most `want` in all. */
static int merge(wr_run_finder *s, size_t from, const wr_run_rows *more, wr_err *err)
{
    wr_run_rows all = {0};
    size_t i = from, k = 0;
    int rc = 0;
    if (more->n == 0) return 0;
    while (rc == 0 && from + all.n < s->want && (i < s->found.n || k < more->n)) {
        bool first = k == more->n || (i < s->found.n && compare_rows(s, &s->found.at[i], &more->at[k]) <= 0);
        rc = wr_vec_push(&all, first ? s->found.at[i++] : more->at[k++]);
    }
    s->found.n = from;
    for (size_t j = 0; rc == 0 && j < all.n; j++) rc = wr_vec_push(&s->found, all.at[j]);
    wr_vec_fini(&all);
    return rc < 0 ? wr_err_nomem(err) : 0;
}

/* ---- walks ---- */

const char *wr_run_table_of(const wr_order_item *i)
{
    return wr_run_by_metric(i)                   ? "track_metrics o0"
           : i->at.field == wr_run_search_params ? "track_params o0"
                                                 : "track_tags o0";
}

void wr_run_add_bound(wr_sql *q, const wr_run_finder *s, size_t i)
{
    if (s->page.keys[i].phase) return;
    wr_sql_add(q, " AND ");
    wr_search_value(q, s->sort, i, false);
    wr_sql_add(q, s->sort[i].desc ? " <= " : " >= ");
    wr_sql_val(q, &s->page.keys[i].value);
}

int wr_run_add_early_filter(wr_sql *q, wr_run_finder *s, const char *id, wr_err *err)
{
    WR_AUTOSQL wr_sql f = {0};
    WR_TRY(wr_run_add_filter(&f, s, err));
    wr_str rest = wr_buf_view(&f.text);
    for (const char *at; (at = memmem(rest.p, rest.n, " r.id ", 6));) {
        wr_buf_add(&q->text, rest.p, (size_t)(at - rest.p));
        wr_buf_str(&q->text, id);
        rest = wr_str_sub(rest, (size_t)(at - rest.p) + 6, rest.n);
    }
    wr_buf_slice(&q->text, rest);
    for (size_t k = 0; k < f.values.n; k++) wr_sql_bind(q, &f.values.at[k]);
    if (f.failed || f.text.failed) q->failed = true;
    return 0;
}

/* A part of a metric's numbers; zeroed: all of them. */
typedef struct {
    bool from, behind_from, to, only; /* value >= lo, value > lo, value < hi; value = lo */
    double lo, hi;
} range;

static void add_range(wr_sql *q, const range *r)
{
    if (r->only || r->from) {
        wr_sql_add(q, r->only ? " AND o0.value = " : r->behind_from ? " AND o0.value > " : " AND o0.value >= ");
        wr_sql_f64(q, r->lo);
    } else {
        wr_sql_add(q, " AND o0.value IS NOT NULL");
    }
    if (!r->to) return;
    wr_sql_add(q, " AND o0.value < ");
    wr_sql_f64(q, r->hi);
}

static void add_metric(wr_sql *q, int64_t experiment, int64_t key)
{
    wr_sql_add(q, "o0.experiment = ");
    wr_sql_i64(q, experiment);
    wr_sql_add(q, " AND o0.key = ");
    wr_sql_i64(q, key);
}

/* Rows of one metric are in order of (value, start_ms, run): descending, and within one value, they need no sorting but
 * among runs of one start. */
static void add_metric_order(wr_sql *q, const wr_run_finder *s, part which, const range *r)
{
    size_t next = 1;
    wr_sql_add(q, " ORDER BY ");
    if (which == NUMBERS && !r->only) wr_sql_add(q, s->sort[0].desc ? "o0.value DESC, " : "o0.value, ");
    if (s->sort[1].desc && wr_run_by_start(&s->sort[1])) {
        wr_sql_add(q, "o0.start_ms DESC, ");
        next = 2;
    }
    wr_search_order_by(q, s->sort, next, s->nsort, false);
    wr_sql_add(q, " LIMIT ");
    wr_sql_i64(q, (int64_t)s->want);
}

/* Plan "metric". */
static int walk_metric(wr_sql *q, wr_run_finder *s, int64_t experiment, part which, bool behind, int64_t key,
                       const range *r, wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 1, s->nsort, err));
    wr_sql_add(q, which == NUMBERS ? "SELECT " WR_RUN_COLUMNS ", 0 AS p0, o0.value AS v0"
                                   : "SELECT " WR_RUN_COLUMNS ", 1 AS p0, NULL AS v0");
    wr_sql_append(q, &columns);
    wr_sql_add(q, " FROM track_metrics o0 CROSS JOIN track_runs r");
    wr_sql_append(q, &joins);
    wr_sql_add(q, " WHERE r.id = o0.run AND ");
    add_metric(q, experiment, key);
    if (which == NUMBERS) add_range(q, r);
    else wr_sql_add(q, " AND o0.value IS NULL");
    if (behind && which == NUMBERS) wr_run_add_bound(q, s, 0);
    WR_TRY(wr_run_add_early_filter(q, s, " o0.run ", err));
    if (behind && which == NUMBERS) {
        wr_sql_add(q, " AND (o0.value <> ");
        wr_sql_val(q, &s->page.keys[0].value);
        wr_sql_add(q, " OR ");
        wr_search_behind(q, s->sort, 1, s->nsort, &s->page, false);
        wr_sql_add(q, ")");
    } else if (behind) {
        wr_sql_add(q, " AND ");
        wr_search_behind(q, s->sort, 1, s->nsort, &s->page, false);
    }
    add_metric_order(q, s, which, r);
    return 0;
}

/* ---- budgets ---- */

/* Rows that a walk may visit in one experiment. */
static size_t share(const wr_run_finder *s) { return s->budget ? s->budget / s->nexperiments + s->want : SIZE_MAX; }

/* Rows from this value of item i on were not visited. */
static void note_cut(wr_run_finder *s, size_t i, const wr_sql_value *at)
{
    int c = s->cuts ? compare_values(at, &s->cut_at) : 0;
    if (!s->cuts || (s->sort[i].desc ? c > 0 : c < 0)) s->cut_at = *at;
    s->cuts = true;
    s->cut_item = i;
}

/* Does the page end before what was not visited? */
static bool is_cut(const wr_run_finder *s)
{
    if (!s->cuts) return false;
    if (s->found.n < s->want) return true;
    int c = compare_values(&s->found.at[s->want - 1].keys[s->cut_item].value, &s->cut_at);
    return s->sort[s->cut_item].desc ? c <= 0 : c >= 0;
}

/* The number `offset` rows behind the start of `r`, with `desc` before the end of all or of the page. 0: there is none.
 */
static int number_at(double *out, wr_run_finder *s, int64_t experiment, int64_t key, const range *r, size_t offset,
                     bool desc, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    wr_sql_add(&q, "SELECT o0.value FROM track_metrics o0 WHERE ");
    add_metric(&q, experiment, key);
    add_range(&q, r);
    if (desc && s->page.nkeys) wr_run_add_bound(&q, s, 0);
    wr_sql_add(&q, desc ? " ORDER BY o0.value DESC LIMIT 1 OFFSET " : " ORDER BY o0.value LIMIT 1 OFFSET ");
    wr_sql_i64(&q, (int64_t)offset);
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    int rc = wr_step(st, err);
    if (rc > 0) *out = wr_stmt_f64(st, 0);
    wr_stmt_done(st);
    return rc;
}

static int read_metric(wr_run_rows *out, wr_run_finder *s, int64_t experiment, part which, bool behind, int64_t key,
                       const range *r, const wr_run_row *full, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    WR_TRY(walk_metric(&q, s, experiment, which, behind, key, r, err));
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return wr_run_read_rows(out, s, st, full, err);
}

/* Descending numbers down to where the budget ends. */
static int cut_numbers(range *out, wr_run_finder *s, int64_t experiment, int64_t key, wr_err *err)
{
    double at;
    int rc = number_at(&at, s, experiment, key, &(range){0}, share(s), true, err);
    if (rc <= 0) return rc;
    *out = (range){.from = true, .behind_from = true, .lo = at};
    note_cut(s, 0, &(wr_sql_value){.kind = 'f', .f = at});
    return 0;
}

/* The same in order of start or end, which is item i: " AND ..." */
static int cut_starts(wr_sql *q, wr_run_finder *s, int64_t experiment, size_t i, bool behind, wr_err *err)
{
    const char *column = wr_run_by_end(&s->sort[i]) ? "r.end_ms" : "r.start_ms";
    WR_AUTOSQL wr_sql at = {0};
    wr_stmt *st;
    wr_sql_add(&at, "SELECT ");
    wr_sql_add(&at, column);
    wr_sql_add(&at, " FROM track_runs r WHERE r.experiment = ");
    wr_sql_i64(&at, experiment);
    if (wr_run_by_end(&s->sort[i])) wr_sql_add(&at, " AND r.end_ms IS NOT NULL");
    if (behind) wr_run_add_bound(&at, s, i);
    wr_sql_add(&at, " ORDER BY ");
    wr_sql_add(&at, column);
    wr_sql_add(&at, s->sort[i].desc ? " DESC LIMIT 1 OFFSET " : " LIMIT 1 OFFSET ");
    wr_sql_i64(&at, (int64_t)share(s));
    WR_TRY(wr_sql_prepare(&st, s->t, &at, err));
    int rc = wr_step(st, err);
    if (rc > 0) {
        wr_sql_value v = {.kind = 'i', .i = wr_stmt_i64(st, 0)};
        wr_sql_add(q, " AND ");
        wr_sql_add(q, column);
        wr_sql_add(q, s->sort[i].desc ? " > " : " < ");
        wr_sql_val(q, &v);
        note_cut(s, i, &v);
    }
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* Ascending numbers, in pieces: runs that share a value would have to be sorted by start, and half a million may share
 * one. A piece is a value that many share, which is in order by itself, or what lies before such a value. */
static int walk_up(wr_run_rows *out, wr_run_finder *s, int64_t experiment, bool behind, int64_t key,
                   const wr_run_row *full, wr_err *err)
{
    range r = {.from = behind, .lo = behind ? s->page.keys[0].value.f : 0};
    size_t step = 4 * s->want, visited = 0;
    int rc = 0, more = 1;
    while (rc == 0 && more && out->n < s->want) {
        double first, far = 0;
        rc = number_at(&first, s, experiment, key, &r, 0, false, err);
        if (rc <= 0) break;
        more = number_at(&far, s, experiment, key, &r, step, false, err);
        if (more < 0) return more;
        r.only = more && !(far > first);
        if (r.only && s->budget) { /* how many share the value is not known */
            note_cut(s, 0, &(wr_sql_value){.kind = 'f', .f = far});
            break;
        }
        r.to = more && far > first;
        if (r.only) r.lo = first;
        r.hi = far;
        rc = read_metric(out, s, experiment, NUMBERS, behind, key, &r, full, err);
        r = (range){.from = true, .behind_from = r.only, .lo = far};
        visited += step;
        if (rc == 0 && more && out->n < s->want && visited >= share(s)) {
            note_cut(s, 0, &(wr_sql_value){.kind = 'f', .f = far});
            break;
        }
        step *= 2;
    }
    return rc < 0 ? rc : 0;
}

/* Plan "start", from item `first` on: 0 for all runs, 1 for those without what item 0 names. */
static int walk_start(wr_sql *q, wr_run_finder *s, int64_t experiment, size_t first, bool behind, int64_t key,
                      wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, first, s->nsort, err));
    wr_sql_add(q, first ? "SELECT " WR_RUN_COLUMNS ", 2 AS p0, NULL AS v0" : "SELECT " WR_RUN_COLUMNS);
    wr_sql_append(q, &columns);
    wr_sql_add(q, " FROM track_runs r");
    wr_sql_append(q, &joins);
    wr_sql_add(q, " WHERE r.experiment = ");
    wr_sql_i64(q, experiment);
    if (first && wr_run_by_end(&s->sort[0])) wr_sql_add(q, " AND r.end_ms IS NULL");
    if (first && key) {
        wr_sql_add(q, " AND NOT EXISTS (SELECT 1 FROM ");
        wr_sql_add(q, wr_run_table_of(&s->sort[0]));
        wr_sql_add(q, " WHERE o0.run = r.id AND o0.key = ");
        wr_sql_i64(q, key);
        wr_sql_add(q, ")");
    }
    if (behind && wr_run_by_start(&s->sort[first])) wr_run_add_bound(q, s, first);
    if (s->budget) WR_TRY(cut_starts(q, s, experiment, first, behind && wr_run_by_start(&s->sort[first]), err));
    WR_TRY(wr_run_add_filter(q, s, err));
    wr_run_add_tail(q, s, first, behind);
    return 0;
}

/* Plan "end": those that have one. */
static int walk_ended(wr_sql *q, wr_run_finder *s, int64_t experiment, bool behind, wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 0, s->nsort, err));
    wr_sql_add(q, "SELECT " WR_RUN_COLUMNS);
    wr_sql_append(q, &columns);
    wr_sql_add(q, " FROM track_runs r");
    wr_sql_append(q, &joins);
    wr_sql_add(q, " WHERE r.end_ms IS NOT NULL AND r.experiment = ");
    wr_sql_i64(q, experiment);
    if (behind) wr_run_add_bound(q, s, 0);
    if (s->budget) WR_TRY(cut_starts(q, s, experiment, 0, behind, err));
    WR_TRY(wr_run_add_filter(q, s, err));
    if (behind) {
        wr_sql_add(q, " AND ");
        wr_search_behind(q, s->sort, 0, s->nsort, &s->page, false);
    }
    wr_sql_add(q, s->sort[0].desc ? " ORDER BY r.end_ms DESC, " : " ORDER BY r.end_ms, ");
    wr_search_order_by(q, s->sort, 1, s->nsort, false);
    wr_sql_add(q, " LIMIT ");
    wr_sql_i64(q, (int64_t)s->want);
    return 0;
}

static int walk_one(wr_run_rows *out, wr_run_finder *s, int64_t experiment, part which, bool behind, int64_t key,
                    const wr_run_row *full, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    range r = {0};
    wr_stmt *st;
    bool by_start = s->sort[1].desc && wr_run_by_start(&s->sort[1]);
    if (which == NUMBERS && !s->sort[0].desc && by_start) return walk_up(out, s, experiment, behind, key, full, err);
    if (which == NUMBERS || which == NANS) {
        if (which == NUMBERS && s->budget) WR_TRY(cut_numbers(&r, s, experiment, key, err));
        return read_metric(out, s, experiment, which, behind, key, &r, full, err);
    }
    if (which == ENDED) WR_TRY(walk_ended(&q, s, experiment, behind, err));
    else WR_TRY(walk_start(&q, s, experiment, which == MISSING, behind, key, err));
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return wr_run_read_rows(out, s, st, full, err);
}

static int walk(wr_run_finder *s, part which, bool behind, wr_err *err)
{
    size_t from = s->found.n;
    int64_t key = 0;
    int rc = 0;
    if (which != ALL && !wr_run_by_end(&s->sort[0])) WR_TRY(wr_track_key_find(&key, s->t, s->sort[0].at.key, err));
    for (size_t i = 0; rc >= 0 && i < s->nexperiments; i++) {
        wr_run_rows more = {0};
        const wr_run_row *full = s->found.n >= s->want ? &s->found.at[s->want - 1] : NULL;
        rc = walk_one(&more, s, s->experiments[i], which, behind, key, full, err);
        if (rc >= 0) rc = merge(s, from, &more, err);
        wr_vec_fini(&more);
    }
    return rc < 0 ? rc : 0;
}

void wr_run_add_head_bound(wr_sql *q, const wr_run_finder *s)
{
    wr_sql_add(q, s->sort[0].desc ? " AND " WR_RUN_HEAD("o0") " <= " : " AND " WR_RUN_HEAD("o0") " >= ");
    wr_sql_str(q, wr_run_head(s->page.keys[0].value.s));
}

/* Plan "text": all experiments at once, as the index has none. */
static int walk_texts(wr_run_finder *s, bool behind, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0}, columns = {0}, joins = {0};
    const wr_sql_value *from = behind ? &s->page.keys[0].value : NULL;
    bool desc = s->sort[0].desc;
    wr_stmt *st;
    int64_t key;
    WR_TRY(wr_track_key_find(&key, s->t, s->sort[0].at.key, err));
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 1, s->nsort, err));
    wr_sql_add(&q, "SELECT " WR_RUN_COLUMNS ", 0 AS p0, o0.value AS v0");
    wr_sql_append(&q, &columns);
    wr_sql_add(&q, " FROM ");
    wr_sql_add(&q, wr_run_table_of(&s->sort[0]));
    wr_sql_add(&q, " CROSS JOIN track_runs r");
    wr_sql_append(&q, &joins);
    wr_sql_add(&q, " WHERE o0.key = ");
    wr_sql_i64(&q, key);
    if (from) {
        wr_run_add_head_bound(&q, s);
        wr_sql_add(&q, desc ? " AND (o0.value < " : " AND (o0.value > ");
        wr_sql_val(&q, from);
        wr_sql_add(&q, " OR (o0.value = ");
        wr_sql_val(&q, from);
        wr_sql_add(&q, " AND ");
        wr_search_behind(&q, s->sort, 1, s->nsort, &s->page, false);
        wr_sql_add(&q, "))");
    }
    wr_run_add_experiments(&q, s, " AND r.id = o0.run AND r.experiment");
    WR_TRY(wr_run_add_early_filter(&q, s, " o0.run ", err));
    wr_sql_add(&q, desc ? " ORDER BY " WR_RUN_HEAD("o0") " DESC, o0.value DESC, "
                        : " ORDER BY " WR_RUN_HEAD("o0") ", o0.value, ");
    wr_search_order_by(&q, s->sort, 1, s->nsort, false);
    wr_sql_add(&q, " LIMIT ");
    wr_sql_i64(&q, (int64_t)s->want);
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return wr_run_read_rows(&s->found, s, st, NULL, err);
}

/* Does the filter let only runs through that have what the first item names? */
static bool requires_first(const wr_run_finder *s)
{
    const wr_filter_node *root = s->filter.root;
    bool all = root && root->kind == WR_FILTER_AND;
    for (size_t i = 0; root && i < (all ? root->nkids : 1); i++) {
        const wr_filter_node *n = all ? root->kids[i] : root;
        const wr_filter_clause *c = &n->clause;
        if (n->kind == WR_FILTER_CLAUSE && c->field == s->sort[0].at.field && c->op != WR_OP_IS_NULL &&
            wr_str_eq(c->key, s->sort[0].at.key))
            return true;
    }
    return false;
}

/* In order of an end, metric, param or tag: numbers or texts, NaN, missing, each part only as far as the page needs it.
 */
static int walk_parts(wr_run_finder *s, wr_err *err)
{
    bool behind = s->page.nkeys, present = requires_first(s), text = wr_run_by_text(&s->sort[0]);
    bool end = wr_run_by_end(&s->sort[0]);
    for (int p = behind ? s->page.keys[0].phase : 0; p <= 2 && s->found.n < s->want && !s->cuts; p++, behind = false) {
        if ((p == 2 && present) || (p == 1 && (text || end))) continue;
        if (p == 2 && s->budget && !wr_run_by_start(&s->sort[1])) {
            s->cuts = true; /* these would all be sorted */
            break;
        }
        if (p == 0 && text) WR_TRY(walk_texts(s, behind, err));
        else WR_TRY(walk(s, p == 0 && end ? ENDED : p == 0 ? NUMBERS : p == 1 ? NANS : MISSING, behind, err));
    }
    return 0;
}

int wr_run_walk(bool *whole, wr_run_finder *s, size_t budget, wr_err *err)
{
    s->budget = budget;
    s->cuts = false;
    WR_TRY(wr_run_by_start(&s->sort[0]) ? walk(s, ALL, s->page.nkeys > 0, err) : walk_parts(s, err));
    *whole = !is_cut(s);
    return 0;
}
