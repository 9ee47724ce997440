/* SPDX-License-Identifier: Apache-2.0 */
/* search_run.c - searching runs: which plan, and the plan that sorts.
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
#include <math.h>
#include <stdlib.h>

#include "track/search_run_inside.h"

static const char *const ties[] = {"start_time DESC", "run_id ASC", NULL};

/* ---- drivers ---- */

static void add_heads(wr_sql *q, const wr_filter_clause *c)
{
    for (size_t i = 0; i < c->nvalues; i++) {
        wr_sql_add(q, i ? ", " : " AND " WR_RUN_HEAD("d") " IN (");
        wr_sql_str(q, wr_run_head(c->values[i].text));
    }
    if (c->nvalues) wr_sql_add(q, ")");
}

/* "SELECT d.run FROM ... " of the runs that may satisfy a clause, through an index. False when there is none for it. */
static bool driver_sql(wr_sql *q, wr_run_finder *s, const wr_filter_clause *c, int64_t key)
{
    bool text = c->nvalues && !c->values[0].number, list = c->op & (WR_OP_EQ | WR_OP_IN);
    if (c->field == wr_run_search_params || c->field == wr_run_search_tags) {
        if (!(list && text) && c->op != WR_OP_NOT_NULL) return false;
        wr_sql_add(q, c->field == wr_run_search_params ? "SELECT d.run FROM track_params d WHERE d.key = "
                                                       : "SELECT d.run FROM track_tags d WHERE d.key = ");
        wr_sql_i64(q, key);
        add_heads(q, c);
    } else if (c->field == wr_run_search_metrics) {
        if (c->op & (WR_OP_NE | WR_OP_NOT_IN | WR_OP_NOT_BETWEEN | WR_OP_IS_NULL)) return false;
        wr_sql_add(q, "SELECT d.run FROM track_metrics d WHERE d.key = ");
        wr_sql_i64(q, key);
        wr_run_add_experiments(q, s, " AND d.experiment");
        if (c->nvalues) wr_sql_add(q, " AND ");
        if (c->nvalues) wr_filter_compare(q, "d.value", 0, c);
    } else if (list && (c->field == &wr_run_search_attributes[WR_RUN_AT_ID] ||
                        c->field == &wr_run_search_attributes[WR_RUN_AT_NAME])) {
        wr_sql_add(q, "SELECT d.id AS run FROM track_runs d WHERE ");
        if (c->field == &wr_run_search_attributes[WR_RUN_AT_NAME]) wr_run_add_experiments(q, s, "d.experiment");
        if (c->field == &wr_run_search_attributes[WR_RUN_AT_NAME]) wr_sql_add(q, " AND ");
        wr_filter_compare(q, c->field == &wr_run_search_attributes[WR_RUN_AT_NAME] ? "d.name" : "d.uuid", 0, c);
    } else {
        return false;
    }
    return true;
}

/* How many rows a driver gives, counting no further than `most`; -1: this clause drives nothing. */
static int driver_size(int64_t *out, wr_run_finder *s, const wr_filter_clause *c, int64_t most, wr_err *err)
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
static int sample_one(int64_t *rows_out, int64_t *hits, wr_run_finder *s, int64_t experiment, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    bool metric = wr_run_by_metric(&s->sort[0]), behind = s->page.nkeys > 0;
    int64_t key = 0;
    wr_stmt *st;
    wr_sql_add(&q, "SELECT count(*), sum(CASE WHEN 1 = 1");
    WR_TRY(wr_run_add_filter(&q, s, err));
    wr_sql_add(&q, metric
                       ? " THEN 1 ELSE 0 END) FROM (SELECT o0.run AS run FROM track_metrics o0 WHERE o0.experiment = "
                       : " THEN 1 ELSE 0 END) FROM (SELECT * FROM track_runs r WHERE r.experiment = ");
    wr_sql_i64(&q, experiment);
    if (metric) {
        WR_TRY(wr_track_key_find(&key, s->t, s->sort[0].at.key, err));
        wr_sql_add(&q, " AND o0.value IS NOT NULL AND o0.key = ");
        wr_sql_i64(&q, key);
    }
    if (behind) wr_run_add_bound(&q, s, 0);
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
static int walk_is_short(bool *out, wr_run_finder *s, wr_err *err)
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
static int scope_is_small(bool *out, wr_run_finder *s, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    wr_sql_add(&q, "SELECT count(*) FROM (SELECT 1 FROM track_runs r WHERE ");
    wr_run_add_experiments(&q, s, "r.experiment");
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
static int choose_driver(const wr_filter_clause **out, wr_run_finder *s, wr_err *err)
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

/* What is sorted: the run's id and its sort values, no more. */
static int sort_inner(wr_sql *q, wr_run_finder *s, const wr_filter_clause *driver, wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    int64_t key = 0;
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 0, s->nsort, err));
    wr_sql_add(q, "SELECT r.id AS id");
    wr_sql_append(q, &columns);
    if (driver) {
        if (driver->field->key == WR_KEY_INTERNED) WR_TRY(wr_track_key_find(&key, s->t, driver->key, err));
        wr_sql_add(q, " FROM (");
        driver_sql(q, s, driver, key);
        wr_sql_add(q, ") d CROSS JOIN track_runs r");
    } else {
        wr_sql_add(q, " FROM track_runs r");
    }
    wr_sql_append(q, &joins);
    wr_sql_add(q, driver ? " WHERE r.id = d.run AND " : " WHERE ");
    wr_run_add_experiments(q, s, "r.experiment");
    WR_TRY(wr_run_add_filter(q, s, err));
    wr_run_add_tail(q, s, 0, s->page.nkeys > 0);
    return 0;
}

/* Plan "sort". */
static int sort_all(wr_run_finder *s, const wr_filter_clause *driver, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *st;
    wr_sql_add(&q, "SELECT " WR_RUN_COLUMNS);
    for (size_t i = 0; i < s->nsort; i++) {
        wr_sql_add(&q, ", q.p");
        wr_sql_int(&q, (int64_t)i);
        wr_sql_add(&q, ", q.v");
        wr_sql_int(&q, (int64_t)i);
    }
    wr_sql_add(&q, " FROM (");
    WR_TRY(sort_inner(&q, s, driver, err));
    wr_sql_add(&q, ") q CROSS JOIN track_runs r WHERE r.id = q.id ORDER BY ");
    wr_search_order_by(&q, s->sort, 0, s->nsort, true);
    WR_TRY(wr_sql_prepare(&st, s->t, &q, err));
    return wr_run_read_rows(&s->found, s, st, NULL, err);
}

static bool uses_metrics(const wr_run_finder *s)
{
    for (size_t i = 0; i < s->nsort; i++)
        if (wr_run_by_metric(&s->sort[i])) return true;
    return wr_filter_names(&s->filter, wr_run_search_metrics);
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

static int find(wr_run_finder *s, wr_err *err)
{
    const wr_order_item *first = &s->sort[0];
    const wr_filter_clause *driver;
    bool yes = false;
    if (s->nexperiments == 0 || s->opt->max == 0) return 0;
    if (wr_filter_names(&s->filter, wr_run_search_least) || wr_filter_names(&s->filter, wr_run_search_greatest))
        WR_TRY(wr_metric_drain(s->t, true, err)); /* chunks count, not only latest values */
    if (uses_metrics(s)) WR_TRY(wr_metric_settle(s->t, err));
    bool numbers = wr_run_by_metric(first) && (!s->page.nkeys || s->page.keys[0].phase == 0);
    if (s->filter.root && (wr_run_by_start(first) || numbers)) WR_TRY(walk_is_short(&yes, s, err));
    if (!yes) WR_TRY(choose_driver(&driver, s, err));
    if (!yes && driver) return sort_all(s, driver, err);
    if (wr_run_by_start(first)) return wr_run_walk_all(s, err);
    if (wr_run_by_metric(first)) return wr_run_walk_parts(s, requires_first(s), err);
    if (wr_run_by_text(first)) WR_TRY(scope_is_small(&yes, s, err));
    if (wr_run_by_text(first) && !yes) return wr_run_walk_parts(s, requires_first(s), err);
    return sort_all(s, NULL, err);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int prepare(wr_run_finder *s, uint64_t *query, wr_err *err)
{
    enum { OFFSET_MOST = 100000 };
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
    wr_run_add_view(&scope, o->view);
    wr_run_add_experiments(&scope, s, "");
    *query = wr_search_hash(&wr_run_noun, o->filter, s->sort, s->nsort, &scope);
    WR_TRY(wr_search_page(&s->page, s->a, o->token, *query, s->sort, s->nsort, err));
    if (s->page.offset > OFFSET_MOST) /* what is skipped is read */
        return wr_err_set(err, WEIR_EINVAL, "Invalid page token, its offset is beyond %d", OFFSET_MOST);
    s->want = (size_t)s->page.offset + o->max + 1;
    return 0;
}

int wr_track_run_search(wr_track_run **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                        const wr_run_search_opt *opt, wr_err *err)
{
    wr_run_finder s = {.t = t, .a = a, .opt = opt};
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
