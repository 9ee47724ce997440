/* SPDX-License-Identifier: Apache-2.0 */
/* search_run.c - searching runs: the table of names, and the plans.
 *
 * Plans are written down here rather than left to the planner, which knows nothing of how many runs a value has:
 *   start   FROM track_runs in order of track_runs_started, one experiment at a time
 *   metric  FROM track_metrics in order of track_metrics_value, one experiment at a time, for numbers, then for NaN;
 *           runs without the metric by the plan "start"
 *   text    FROM track_params or track_tags in order of their value index, runs without the key as above
 *   sort    FROM the runs of all experiments, or of a driver: the rows of the value index that belong to one clause
 * Plans of one experiment give rows in order; those of several are merged, each read until it falls behind the page.
 * With a filter, a sample of the walk's first runs tells whether it finds its page soon; if not, and if a clause has
 * few rows in a value index, that drives. */
#include "track/search_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "track/search.h"
#include "track/track_inside.h"

/* ---- the table ---- */

/* As many digits as cannot overflow when they are cast. */
#define NUMERIC   "'^[-+]?([0-9]{1,200}([.][0-9]{0,100})?|[.][0-9]{1,100})([eE][-+]?[0-9]{1,2})?$$'"
#define AS_NUMBER "CASE WHEN wr_rlike($.value, " NUMERIC ") THEN CAST($.value AS REAL) END"

static const wr_filter_field attributes[] = {
    {.names = "run_id",
     .ops = WR_OPS_TEXT | WR_OPS_IN,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "r.uuid"},
    {.names = "run_name|run name|Run name|Run Name",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "r.name"},
    {.names = "user_id", .ops = WR_OPS_TEXT, .more = WR_OPS_MORE, .order = true, .always = true, .column = "r.user_id"},
    {.names = "status",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "CASE r.status WHEN 1 THEN 'RUNNING' WHEN 2 THEN 'SCHEDULED' WHEN 3 THEN 'FINISHED' WHEN 4 THEN 'FAILED'"
               " ELSE 'KILLED' END"},
    {.names = "artifact_uri",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "r.artifact_uri"},
    {.names = "start_time|created|Created",
     .number_ops = WR_OPS_NUMBER,
     .number_more = WR_OPS_NUMBER_MORE,
     .order = true,
     .always = true,
     .column = "r.start_ms"},
    {.names = "end_time",
     .number_ops = WR_OPS_NUMBER,
     .number_more = WR_OPS_NUMBER_MORE,
     .order = true,
     .column = "r.end_ms"},
    {0}};
enum { RUN_ID, RUN_NAME, START_TIME = 5 };

static const wr_filter_field metrics[] = {{.names = "*",
                                           .number_ops = WR_OPS_NUMBER,
                                           .number_more = WR_OPS_NUMBER_MORE,
                                           .order = true,
                                           .nan = true,
                                           .key = WR_KEY_INTERNED,
                                           .table = "track_metrics $",
                                           .link = "$.run = r.id AND $.key = ?",
                                           .column = "$.value"},
                                          {0}};
/* The least and the greatest of a series, from what its chunks say of themselves. */
static int write_extreme(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    char expression[160];
    int64_t key;
    WR_TRY(wr_track_key_find(&key, t, c->key, err));
    snprintf(expression, sizeof expression, "(SELECT %s FROM track_chunks f%d WHERE f%d.run = r.id AND f%d.key = %lld)",
             c->field->column, alias, alias, alias, (long long)key);
    wr_sql_add(q, "(CASE WHEN ");
    wr_filter_compare(q, expression, alias, c);
    wr_sql_add(q, " THEN 1 ELSE 0 END = 1)");
    return 0;
}

#define EXTREME(expression)                                                                                            \
    {                                                                                                                  \
        {.names = "*",                                                                                                 \
         .number_ops = WR_OPS_NUMBER,                                                                                  \
         .number_more = WR_OPS_NUMBER_MORE,                                                                            \
         .column = expression,                                                                                         \
         .write = write_extreme},                                                                                      \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
static const wr_filter_field least[] = EXTREME("min(min_value)"), greatest[] = EXTREME("max(max_value)");
static const wr_filter_field params[] = {{.names = "*",
                                          .ops = WR_OPS_TEXT | WR_OPS_NULL,
                                          .more = WR_OPS_MORE,
                                          .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
                                          .order = true,
                                          .key = WR_KEY_INTERNED,
                                          .table = "track_params $",
                                          .link = "$.run = r.id AND $.key = ?",
                                          .column = "$.value",
                                          .number = AS_NUMBER},
                                         {0}};
static const wr_filter_field tags[] = {{.names = "*",
                                        .ops = WR_OPS_TEXT | WR_OPS_NULL,
                                        .more = WR_OPS_MORE,
                                        .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
                                        .order = true,
                                        .key = WR_KEY_INTERNED,
                                        .table = "track_tags $",
                                        .link = "$.run = r.id AND $.key = ?",
                                        .column = "$.value",
                                        .number = AS_NUMBER},
                                       {0}};
#define DATASET(name, what)                                                                                            \
    {                                                                                                                  \
        .names = name, .ops = WR_OPS_TEXT | WR_OPS_IN, .more = WR_OPS_MORE & ~WR_OPS_NULL,                             \
        .table = "track_inputs $ JOIN track_datasets $d ON $d.id = $.dataset", .link = "$.run = r.id", .column = what  \
    }
static const wr_filter_field datasets[] = {
    DATASET("name", "$d.name"), DATASET("digest", "$d.digest"), DATASET("context", "$.context"), {0}};

static const wr_filter_entity entities[] = {
    {.names = "metric|metrics", .fields = metrics},
    {.names = "parameter|parameters|param|params", .fields = params},
    {.names = "tag|tags", .fields = tags},
    {.names = "attribute|attributes|attr|run", .bare = true, .fields = attributes},
    {.names = "dataset|datasets", .fields = datasets},
    {.names = "metric|metrics", .function = "min", .fields = least},
    {.names = "metric|metrics", .function = "max", .fields = greatest},
    {.names = "metric|metrics", .function = "last", .fields = metrics},
    {0}};
const wr_filter_noun wr_run_noun = {.name = "run", .entities = entities};

static const char *const ties[] = {"start_time DESC", "run_id ASC", NULL};

/* ---- one search ---- */

#define COLUMNS                                                                                                        \
    "r.id, r.uuid, r.experiment, r.name, r.user_id, r.status, r.start_ms, r.end_ms, r.deleted_ms, r.artifact_uri"
enum { NCOLUMNS = 10 };

typedef struct {
    wr_track_run run;
    wr_page_key *keys;
} row;
typedef WR_VEC(row) rows;

typedef struct {
    wr_track *t;
    wr_arena *a;
    const wr_run_search_opt *opt;
    int64_t *experiments; /* sorted, each once */
    size_t nexperiments;
    wr_filter filter;
    wr_order_item *sort;
    size_t nsort;
    wr_page page;
    size_t want; /* rows to find: those to skip, the page, and one to know that there is a next */
    rows found;
} search;

/* Which rows of the first item a walk gives. */
typedef enum { NUMBERS, NANS, MISSING, ALL } part;

static void add_view(wr_sql *q, wr_view view)
{
    if (view == WR_VIEW_ACTIVE) wr_sql_add(q, " AND r.deleted_ms IS NULL");
    else if (view == WR_VIEW_DELETED) wr_sql_add(q, " AND r.deleted_ms IS NOT NULL");
}

static void add_experiments(wr_sql *q, const search *s, const char *column)
{
    wr_sql_add(q, column);
    wr_sql_add(q, " IN (");
    for (size_t i = 0; i < s->nexperiments; i++) {
        if (i) wr_sql_add(q, ", ");
        wr_sql_i64(q, s->experiments[i]);
    }
    wr_sql_add(q, ")");
}

static int add_filter(wr_sql *q, search *s, wr_err *err)
{
    int alias = 0;
    add_view(q, s->opt->view);
    if (!s->filter.root) return 0;
    wr_sql_add(q, " AND ");
    return wr_filter_sql(q, s->t, &s->filter, &alias, err);
}

static void add_tail(wr_sql *q, const search *s, size_t first, bool behind)
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

static int compare_rows(const search *s, const row *x, const row *y)
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

static int read_row(row *out, search *s, wr_stmt *st, wr_err *err)
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
    wr_search_keys(out->keys, a, st, NCOLUMNS, s->sort, s->nsort);
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

/* Rows of a statement up to the first that comes behind `full`, the last row of a full page: then 1. Takes over `st`.
 */
static int read_rows(rows *out, search *s, wr_stmt *st, const row *full, wr_err *err)
{
    int rc;
    bool stop = false;
    while (!stop && (rc = wr_step(st, err)) > 0) {
        row r;
        rc = read_row(&r, s, st, err);
        if (rc < 0) break;
        stop = full && compare_rows(s, &r, full) >= 0;
        if (!stop && wr_vec_push(out, r) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    }
    wr_stmt_done(st);
    return rc < 0 ? rc : stop;
}

/* Merge `more` into found[from..], at most `want` in all. */
static int merge(search *s, size_t from, const rows *more, wr_err *err)
{
    rows all = {0};
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

/* The value indexes have the first characters of texts. */
#define HEAD(alias) "substr(" alias ".value, 1, 100)"
static wr_str head_of(wr_str s) { return wr_track_cut(s, 100); }

static bool is_metric(const wr_order_item *i) { return i->at.field == metrics; }
static bool is_text(const wr_order_item *i) { return i->at.field == params || i->at.field == tags; }
static bool is_start(const wr_order_item *i) { return i->at.field == &attributes[START_TIME]; }
static const char *table_of(const wr_order_item *i)
{
    return is_metric(i) ? "track_metrics o0" : i->at.field == params ? "track_params o0" : "track_tags o0";
}

/* Redundant bound on the first item, which an index can use where it cannot use the whole condition. */
static void add_bound(wr_sql *q, const search *s, size_t i)
{
    if (s->page.keys[i].phase) return;
    wr_sql_add(q, " AND ");
    wr_search_value(q, s->sort, i, false);
    wr_sql_add(q, s->sort[i].desc ? " <= " : " >= ");
    wr_sql_val(q, &s->page.keys[i].value);
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
static void add_metric_order(wr_sql *q, const search *s, part which, const range *r)
{
    size_t next = 1;
    wr_sql_add(q, " ORDER BY ");
    if (which == NUMBERS && !r->only) wr_sql_add(q, s->sort[0].desc ? "o0.value DESC, " : "o0.value, ");
    if (s->sort[1].desc && is_start(&s->sort[1])) {
        wr_sql_add(q, "o0.start_ms DESC, ");
        next = 2;
    }
    wr_search_order_by(q, s->sort, next, s->nsort, false);
    wr_sql_add(q, " LIMIT ");
    wr_sql_i64(q, (int64_t)s->want);
}

/* Plan "metric". */
static int walk_metric(wr_sql *q, search *s, int64_t experiment, part which, bool behind, int64_t key, const range *r,
                       wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 1, s->nsort, err));
    wr_sql_add(q, which == NUMBERS ? "SELECT " COLUMNS ", 0 AS p0, o0.value AS v0"
                                   : "SELECT " COLUMNS ", 1 AS p0, NULL AS v0");
    wr_sql_append(q, &columns);
    wr_sql_add(q, " FROM track_metrics o0 CROSS JOIN track_runs r");
    wr_sql_append(q, &joins);
    wr_sql_add(q, " WHERE r.id = o0.run AND ");
    add_metric(q, experiment, key);
    if (which == NUMBERS) add_range(q, r);
    else wr_sql_add(q, " AND o0.value IS NULL");
    if (behind && which == NUMBERS) add_bound(q, s, 0);
    WR_TRY(add_filter(q, s, err));
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

/* The number `offset` rows behind the start of `r`. 0 when there is none. */
static int number_at(double *out, search *s, int64_t experiment, int64_t key, const range *r, size_t offset,
                     wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    wr_sql_add(&q, "SELECT o0.value FROM track_metrics o0 WHERE ");
    add_metric(&q, experiment, key);
    add_range(&q, r);
    wr_sql_add(&q, " ORDER BY o0.value LIMIT 1 OFFSET ");
    wr_sql_i64(&q, (int64_t)offset);
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    int rc = wr_step(st, err);
    if (rc > 0) *out = wr_stmt_f64(st, 0);
    wr_stmt_done(st);
    return rc;
}

static int read_metric(rows *out, search *s, int64_t experiment, part which, bool behind, int64_t key, const range *r,
                       const row *full, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    WR_TRY(walk_metric(&q, s, experiment, which, behind, key, r, err));
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return read_rows(out, s, st, full, err);
}

/* Ascending numbers, in pieces: runs that share a value would have to be sorted by start, and half a million may share
 * one. A piece is a value that many share, which is in order by itself, or what lies before such a value. */
static int walk_up(rows *out, search *s, int64_t experiment, bool behind, int64_t key, const row *full, wr_err *err)
{
    range r = {.from = behind, .lo = behind ? s->page.keys[0].value.f : 0};
    size_t step = 4 * s->want;
    int rc = 0, more = 1;
    while (rc == 0 && more && out->n < s->want) {
        double first, far = 0;
        rc = number_at(&first, s, experiment, key, &r, 0, err);
        if (rc <= 0) break;
        more = number_at(&far, s, experiment, key, &r, step, err);
        if (more < 0) return more;
        r.only = more && !(far > first);
        r.to = more && far > first;
        if (r.only) r.lo = first;
        r.hi = far;
        rc = read_metric(out, s, experiment, NUMBERS, behind, key, &r, full, err);
        r = (range){.from = true, .behind_from = r.only, .lo = far};
        step *= 2;
    }
    return rc < 0 ? rc : 0;
}

/* Plan "start", from item `first` on: 0 for all runs, 1 for those without what item 0 names. */
static int walk_start(wr_sql *q, search *s, int64_t experiment, size_t first, bool behind, int64_t key, wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, first, s->nsort, err));
    wr_sql_add(q, first ? "SELECT " COLUMNS ", 2 AS p0, NULL AS v0" : "SELECT " COLUMNS);
    wr_sql_append(q, &columns);
    wr_sql_add(q, " FROM track_runs r");
    wr_sql_append(q, &joins);
    wr_sql_add(q, " WHERE r.experiment = ");
    wr_sql_i64(q, experiment);
    if (first && key) {
        wr_sql_add(q, " AND NOT EXISTS (SELECT 1 FROM ");
        wr_sql_add(q, table_of(&s->sort[0]));
        wr_sql_add(q, " WHERE o0.run = r.id AND o0.key = ");
        wr_sql_i64(q, key);
        wr_sql_add(q, ")");
    }
    if (behind && is_start(&s->sort[first])) add_bound(q, s, first);
    WR_TRY(add_filter(q, s, err));
    add_tail(q, s, first, behind);
    return 0;
}

static int walk_one(rows *out, search *s, int64_t experiment, part which, bool behind, int64_t key, const row *full,
                    wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    const range everything = {0};
    wr_stmt *st;
    bool by_start = s->sort[1].desc && is_start(&s->sort[1]);
    if (which == NUMBERS && !s->sort[0].desc && by_start) return walk_up(out, s, experiment, behind, key, full, err);
    if (which == NUMBERS || which == NANS)
        return read_metric(out, s, experiment, which, behind, key, &everything, full, err);
    WR_TRY(walk_start(&q, s, experiment, which == MISSING, behind, key, err));
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return read_rows(out, s, st, full, err);
}

static int walk(search *s, part which, bool behind, wr_err *err)
{
    size_t from = s->found.n;
    int64_t key = 0;
    int rc = 0;
    if (which != ALL) WR_TRY(wr_track_key_find(&key, s->t, s->sort[0].at.key, err));
    for (size_t i = 0; rc >= 0 && i < s->nexperiments; i++) {
        rows more = {0};
        const row *full = s->found.n >= s->want ? &s->found.at[s->want - 1] : NULL;
        rc = walk_one(&more, s, s->experiments[i], which, behind, key, full, err);
        if (rc >= 0) rc = merge(s, from, &more, err);
        wr_vec_fini(&more);
    }
    return rc < 0 ? rc : 0;
}

/* Plan "text": all experiments at once, as the index has none. */
static int walk_texts(search *s, bool behind, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0}, columns = {0}, joins = {0};
    const wr_sql_value *from = behind ? &s->page.keys[0].value : NULL;
    bool desc = s->sort[0].desc;
    wr_stmt *st;
    int64_t key;
    WR_TRY(wr_track_key_find(&key, s->t, s->sort[0].at.key, err));
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 1, s->nsort, err));
    wr_sql_add(&q, "SELECT " COLUMNS ", 0 AS p0, o0.value AS v0");
    wr_sql_append(&q, &columns);
    wr_sql_add(&q, " FROM ");
    wr_sql_add(&q, table_of(&s->sort[0]));
    wr_sql_add(&q, " CROSS JOIN track_runs r");
    wr_sql_append(&q, &joins);
    wr_sql_add(&q, " WHERE o0.key = ");
    wr_sql_i64(&q, key);
    if (from) {
        wr_sql_add(&q, desc ? " AND " HEAD("o0") " <= " : " AND " HEAD("o0") " >= ");
        wr_sql_str(&q, head_of(from->s));
        wr_sql_add(&q, desc ? " AND (o0.value < " : " AND (o0.value > ");
        wr_sql_val(&q, from);
        wr_sql_add(&q, " OR (o0.value = ");
        wr_sql_val(&q, from);
        wr_sql_add(&q, " AND ");
        wr_search_behind(&q, s->sort, 1, s->nsort, &s->page, false);
        wr_sql_add(&q, "))");
    }
    add_experiments(&q, s, " AND r.id = o0.run AND r.experiment");
    WR_TRY(add_filter(&q, s, err));
    wr_sql_add(&q, desc ? " ORDER BY " HEAD("o0") " DESC, o0.value DESC, " : " ORDER BY " HEAD("o0") ", o0.value, ");
    wr_search_order_by(&q, s->sort, 1, s->nsort, false);
    wr_sql_add(&q, " LIMIT ");
    wr_sql_i64(&q, (int64_t)s->want);
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return read_rows(&s->found, s, st, NULL, err);
}

/* Numbers, NaN, missing: each part only as far as the page needs it. */
static int walk_parts(search *s, bool present, wr_err *err)
{
    int start = s->page.nkeys ? s->page.keys[0].phase : 0;
    for (int p = start; p <= 2 && s->found.n < s->want; p++) {
        bool behind = s->page.nkeys && p == start, text = is_text(&s->sort[0]);
        if ((p == 2 && present) || (p == 1 && text)) continue;
        if (p == 0 && text) WR_TRY(walk_texts(s, behind, err));
        else WR_TRY(walk(s, p == 0 ? NUMBERS : p == 1 ? NANS : MISSING, behind, err));
    }
    return 0;
}

/* ---- drivers ---- */

static void add_heads(wr_sql *q, const wr_filter_clause *c)
{
    for (size_t i = 0; i < c->nvalues; i++) {
        wr_sql_add(q, i ? ", " : " AND " HEAD("d") " IN (");
        wr_sql_str(q, head_of(c->values[i].text));
    }
    if (c->nvalues) wr_sql_add(q, ")");
}

/* "SELECT d.run FROM ... " of the runs that may satisfy a clause, through an index. False when there is none for it. */
static bool driver_sql(wr_sql *q, search *s, const wr_filter_clause *c, int64_t key)
{
    bool text = c->nvalues && !c->values[0].number, list = c->op & (WR_OP_EQ | WR_OP_IN);
    if (c->field == params || c->field == tags) {
        if (!(list && text) && c->op != WR_OP_NOT_NULL) return false;
        wr_sql_add(q, c->field == params ? "SELECT d.run FROM track_params d WHERE d.key = "
                                         : "SELECT d.run FROM track_tags d WHERE d.key = ");
        wr_sql_i64(q, key);
        add_heads(q, c);
    } else if (c->field == metrics) {
        if (c->op & (WR_OP_NE | WR_OP_NOT_IN | WR_OP_NOT_BETWEEN | WR_OP_IS_NULL)) return false;
        wr_sql_add(q, "SELECT d.run FROM track_metrics d WHERE d.key = ");
        wr_sql_i64(q, key);
        add_experiments(q, s, " AND d.experiment");
        if (c->nvalues) wr_sql_add(q, " AND ");
        if (c->nvalues) wr_filter_compare(q, "d.value", 0, c);
    } else if (list && (c->field == &attributes[RUN_ID] || c->field == &attributes[RUN_NAME])) {
        wr_sql_add(q, "SELECT d.id AS run FROM track_runs d WHERE ");
        if (c->field == &attributes[RUN_NAME]) add_experiments(q, s, "d.experiment");
        if (c->field == &attributes[RUN_NAME]) wr_sql_add(q, " AND ");
        wr_filter_compare(q, c->field == &attributes[RUN_NAME] ? "d.name" : "d.uuid", 0, c);
    } else {
        return false;
    }
    return true;
}

/* How many rows a driver gives, counting no further than `most`; -1: this clause drives nothing. */
static int driver_size(int64_t *out, search *s, const wr_filter_clause *c, int64_t most, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    int64_t key = 0;
    *out = -1;
    if (c->field->key == WR_KEY_INTERNED) WR_TRY(wr_track_key_find(&key, s->t, c->key, err));
    wr_sql_add(&q, "SELECT count(*) FROM (");
    if (!driver_sql(&q, s, c, key)) return 0;
    wr_sql_add(&q, " LIMIT ");
    wr_sql_i64(&q, most);
    wr_sql_add(&q, ") n");
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    int rc = wr_step(st, err);
    if (rc > 0) *out = wr_stmt_i64(st, 0);
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* ---- samples ---- */

enum { SAMPLE = 400, SAMPLED_EXPERIMENTS = 4, VISITS = 20000 };

/* Of the first rows of a walk, how many there are and how many the filter lets through. */
static int sample_one(int64_t *rows_out, int64_t *hits, search *s, int64_t experiment, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    bool metric = is_metric(&s->sort[0]), behind = s->page.nkeys > 0;
    int64_t key = 0;
    wr_stmt *st;
    wr_sql_add(&q, "SELECT count(*), sum(CASE WHEN 1 = 1");
    WR_TRY(add_filter(&q, s, err));
    wr_sql_add(&q, metric
                       ? " THEN 1 ELSE 0 END) FROM (SELECT o0.run AS run FROM track_metrics o0 WHERE o0.experiment = "
                       : " THEN 1 ELSE 0 END) FROM (SELECT * FROM track_runs r WHERE r.experiment = ");
    wr_sql_i64(&q, experiment);
    if (metric) {
        WR_TRY(wr_track_key_find(&key, s->t, s->sort[0].at.key, err));
        wr_sql_add(&q, " AND o0.value IS NOT NULL AND o0.key = ");
        wr_sql_i64(&q, key);
    }
    if (behind) add_bound(&q, s, 0);
    wr_sql_add(&q, " ORDER BY ");
    wr_search_value(&q, s->sort, 0, false);
    wr_sql_add(&q, s->sort[0].desc ? " DESC LIMIT " : " LIMIT ");
    wr_sql_i64(&q, SAMPLE);
    wr_sql_add(&q, metric ? ") o0 CROSS JOIN track_runs r WHERE r.id = o0.run" : ") r");
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    int rc = wr_step(st, err);
    *rows_out = rc > 0 ? wr_stmt_i64(st, 0) : 0;
    *hits = rc > 0 && !wr_stmt_null(st, 1) ? wr_stmt_i64(st, 1) : 0;
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* Would a walk find the page within some thousand runs? */
static int walk_is_short(bool *out, search *s, wr_err *err)
{
    int64_t rows_seen = 0, hits = 0;
    bool all = s->nexperiments <= SAMPLED_EXPERIMENTS;
    for (size_t i = 0; i < s->nexperiments && i < SAMPLED_EXPERIMENTS; i++) {
        int64_t n, h;
        WR_TRY(sample_one(&n, &h, s, s->experiments[i], err));
        rows_seen += n;
        hits += h;
        all = all && n < SAMPLE;
    }
    *out = all || (double)hits * VISITS >= (double)s->want * (double)rows_seen;
    return 0;
}

/* Are there so few runs that sorting them all costs little? */
static int scope_is_small(bool *out, search *s, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    wr_sql_add(&q, "SELECT count(*) FROM (SELECT 1 FROM track_runs r WHERE ");
    add_experiments(&q, s, "r.experiment");
    wr_sql_add(&q, " LIMIT ");
    wr_sql_i64(&q, VISITS);
    wr_sql_add(&q, ") n");
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    int rc = wr_step(st, err);
    *out = rc > 0 && wr_stmt_i64(st, 0) < VISITS / 4;
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* ---- choosing ---- */

/* A driver of m rows costs m look-ups. A walk visits about want x runs / m to find `want`: the first is cheaper while m
 * is below sqrt(want x runs). */
static int choose_driver(const wr_filter_clause **out, search *s, wr_err *err)
{
    const wr_filter_node *root = s->filter.root;
    enum { SIZED = 8 };
    int64_t runs, best;
    int sized = 0;
    *out = NULL;
    if (!root) return 0;
    WR_TRY(wr_track_number(&runs, 0, s->t, err, "SELECT max(id) FROM track_runs", ""));
    best = (int64_t)sqrt((double)s->want * (double)runs) + 16;
    bool all = root->kind == WR_FILTER_AND;
    for (size_t i = 0; i < (all ? root->nkids : 1); i++) {
        const wr_filter_node *n = all ? root->kids[i] : root;
        int64_t size;
        if (n->kind != WR_FILTER_CLAUSE) continue;
        WR_TRY(driver_size(&size, s, &n->clause, best, err));
        if (size >= 0 && ++sized > SIZED) break; /* looking at more costs more than it can save */
        if (size < 0 || size >= best) continue;
        *out = &n->clause;
        best = size;
        if (best < 10) break; /* good enough */
    }
    return 0;
}

/* Plan "sort". */
static int sort_all(search *s, const wr_filter_clause *driver, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0}, columns = {0}, joins = {0};
    wr_stmt *st;
    int64_t key = 0;
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 0, s->nsort, err));
    wr_sql_add(&q, "SELECT " COLUMNS);
    wr_sql_append(&q, &columns);
    if (driver) {
        if (driver->field->key == WR_KEY_INTERNED) WR_TRY(wr_track_key_find(&key, s->t, driver->key, err));
        wr_sql_add(&q, " FROM (");
        driver_sql(&q, s, driver, key);
        wr_sql_add(&q, ") d CROSS JOIN track_runs r");
    } else {
        wr_sql_add(&q, " FROM track_runs r");
    }
    wr_sql_append(&q, &joins);
    wr_sql_add(&q, " WHERE ");
    if (driver) wr_sql_add(&q, "r.id = d.run AND ");
    add_experiments(&q, s, "r.experiment");
    WR_TRY(add_filter(&q, s, err));
    add_tail(&q, s, 0, s->page.nkeys > 0);
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return read_rows(&s->found, s, st, NULL, err);
}

static bool uses_metrics(const search *s)
{
    for (size_t i = 0; i < s->nsort; i++)
        if (is_metric(&s->sort[i])) return true;
    return wr_filter_names(&s->filter, metrics);
}

/* Does the filter let only runs through that have what the first item names? */
static bool requires_first(const search *s)
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

static int find(search *s, wr_err *err)
{
    const wr_order_item *first = &s->sort[0];
    const wr_filter_clause *driver;
    bool yes = false;
    if (s->nexperiments == 0 || s->opt->max == 0) return 0;
    if (wr_filter_names(&s->filter, least) || wr_filter_names(&s->filter, greatest))
        WR_TRY(wr_metric_drain(s->t, true, err)); /* chunks count, not only latest values */
    if (uses_metrics(s)) WR_TRY(wr_metric_settle(s->t, err));
    bool numbers = is_metric(first) && (!s->page.nkeys || s->page.keys[0].phase == 0);
    if (s->filter.root && (is_start(first) || numbers)) WR_TRY(walk_is_short(&yes, s, err));
    if (!yes) WR_TRY(choose_driver(&driver, s, err));
    if (!yes && driver) return sort_all(s, driver, err);
    if (is_start(first)) return walk(s, ALL, s->page.nkeys > 0, err);
    if (is_metric(first)) return walk_parts(s, requires_first(s), err);
    if (is_text(first)) WR_TRY(scope_is_small(&yes, s, err));
    if (is_text(first) && !yes) return walk_parts(s, requires_first(s), err);
    return sort_all(s, NULL, err);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int prepare(search *s, uint64_t *query, wr_err *err)
{
    WR_AUTOSQL wr_sql scope = {0};
    const wr_run_search_opt *o = s->opt;
    s->experiments = wr_arena_dup(s->a, o->experiments ? o->experiments : (const int64_t *)"",
                                  o->nexperiments * sizeof *o->experiments);
    if (!s->experiments) return wr_err_nomem(err);
    qsort(s->experiments, o->nexperiments, sizeof *s->experiments, by_number);
    for (size_t i = 0; i < o->nexperiments; i++)
        if (i == 0 || s->experiments[i] != s->experiments[s->nexperiments - 1])
            s->experiments[s->nexperiments++] = s->experiments[i];
    WR_TRY(wr_filter_parse(&s->filter, s->a, &wr_run_noun, o->filter, err));
    WR_TRY(wr_search_order(&s->sort, &s->nsort, s->a, &wr_run_noun, o->order, o->norder, NULL, ties, err));
    add_view(&scope, o->view);
    add_experiments(&scope, s, "");
    *query = wr_search_hash(&wr_run_noun, o->filter, s->sort, s->nsort, &scope);
    WR_TRY(wr_search_page(&s->page, s->a, o->token, *query, s->sort, s->nsort, err));
    s->want = (size_t)s->page.offset + o->max + 1;
    return 0;
}

int wr_track_run_search(wr_track_run **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                        const wr_run_search_opt *opt, wr_err *err)
{
    search s = {.t = t, .a = a, .opt = opt};
    uint64_t query;
    wr_str token = {0}; /* `next` may be opt->token */
    int rc = prepare(&s, &query, err);
    if (rc == 0) rc = find(&s, err);
    size_t skip = (size_t)s.page.offset < s.found.n ? (size_t)s.page.offset : s.found.n, rest = s.found.n - skip;
    *n = rest < opt->max ? rest : opt->max;
    *out = wr_arena_alloc(a, (*n + 1) * sizeof **out);
    for (size_t i = 0; *out && i < *n; i++) (*out)[i] = s.found.at[skip + i].run;
    if (rc == 0 && rest > opt->max && *n) token = wr_page_token(a, query, s.found.at[skip + *n - 1].keys, s.nsort);
    wr_vec_fini(&s.found);
    *next = token;
    if (rc == 0 && wr_arena_failed(a)) rc = wr_err_nomem(err);
    return rc < 0 ? rc : wr_track_run_load_many(*out, *n, a, t, &opt->load, err);
}
