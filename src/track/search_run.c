/* SPDX-License-Identifier: Apache-2.0 */
/* search_run.c - searching runs: the whole of a search, and the plan that sorts.
 *
 * Plans are written down here rather than left to the planner, which knows nothing of how many runs a value has:
 *   start   FROM track_runs in order of track_runs_started, one experiment at a time
 *   end     the same in order of track_runs_ended, then those without an end by the plan "start"
 *   metric  FROM track_metrics in order of track_metrics_value, one experiment at a time, for numbers, then for NaN;
 *           runs without the metric by the plan "start"
 *   text    FROM track_params or track_tags in order of their value index, runs without the key as above
 *   sort    FROM the runs of all experiments, or of a driver: the rows of the value index that belong to one clause
 * Plans of one experiment give rows in order; those of several are merged, each read until it falls behind the page.
 * search_run_choose.c says which one is taken. */
#include <stdlib.h>

#include "track/search_run_inside.h"

static const char *const ties[] = {"start_time DESC", "run_id ASC", NULL};

/* ---- sorting ---- */

/* What is sorted: the run's id and its sort values, no more. */
static int sort_inner(wr_sql *q, wr_run_finder *s, const wr_filter_clause *driver, wr_err *err)
{
    WR_AUTOSQL wr_sql columns = {0}, joins = {0};
    WR_TRY(wr_search_sort_columns(&columns, &joins, s->t, s->sort, 0, s->nsort, err));
    wr_sql_add(q, "SELECT r.id AS id");
    wr_sql_append(q, &columns);
    if (driver) {
        wr_sql_add(q, " FROM (");
        WR_TRY(wr_run_add_driver(q, s, driver, err));
        wr_sql_add(q, ") d CROSS JOIN track_runs r");
    } else {
        wr_sql_add(q, " FROM track_runs r");
    }
    wr_sql_append(q, &joins);
    wr_sql_add(q, driver ? " WHERE r.id = d.run AND " : " WHERE ");
    wr_run_add_experiments(q, s, "r.experiment");
    if (driver) WR_TRY(wr_run_add_early_filter(q, s, " d.run ", err));
    else WR_TRY(wr_run_add_filter(q, s, err));
    wr_run_add_tail(q, s, 0, s->page.nkeys > 0);
    return 0;
}

int wr_run_sort(wr_run_finder *s, const wr_filter_clause *driver, wr_err *err)
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

static bool names(const wr_run_finder *s, const wr_filter_field *field)
{
    for (size_t i = 0; i < s->nsort; i++)
        if (s->sort[i].at.field == field) return true;
    return wr_filter_names(&s->filter, field);
}

static int find(wr_run_finder *s, wr_err *err)
{
    bool extremes = names(s, wr_run_search_least) || names(s, wr_run_search_greatest);
    if (s->nexperiments == 0 || s->opt->max == 0) return 0;
    if (extremes) WR_TRY(wr_metric_drain(s->t, true, err)); /* all points count, not only the latest */
    if (extremes || names(s, wr_run_search_metrics)) WR_TRY(wr_metric_settle(s->t, err));
    return wr_run_choose(s, err);
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
