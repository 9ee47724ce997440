/* SPDX-License-Identifier: Apache-2.0 */
/* search_run_choose.c - which plan costs least.
 *
 * A driver of m rows costs m look-ups; a walk costs as many as it visits rows until its page is full, say W. Nobody
 * knows W, and the tables of the planner know nothing of it either, so both are bounded by each other:
 *
 *   1. a driver of less than FEW rows is taken at once
 *   2. the filter is tried on the walk's first SAMPLE rows. It may fill the page; if not, it gives a guess of W
 *   3. a driver of less than W rows is taken. Otherwise the walk goes on for 2 W visits; if its page is not full then,
 * W was wrong (what passes comes in clusters, or is away from where the walk begins): W grows by 4, and 3 again
 *
 * Each count stops at the number it is compared with. So whatever the data, a search costs a small multiple of what the
 * better of both plans would have cost. */
#include "track/search_run_inside.h"

enum { FEW = 512, SAMPLE = 400, SAMPLED_EXPERIMENTS = 4, LEGS = 8, GROWTH = 4 };

/* WR_RUN_PLAN_TIGHT: a test's few hundred runs meet every branch. */
static int64_t few(const wr_run_finder *s) { return s->opt->plan == WR_RUN_PLAN_TIGHT ? 4 : FEW; }
static int64_t sample(const wr_run_finder *s) { return s->opt->plan == WR_RUN_PLAN_TIGHT ? 8 : SAMPLE; }

/* ---- drivers ---- */

static void add_heads(wr_sql *q, const wr_filter_clause *c)
{
    for (size_t i = 0; i < c->nvalues; i++) {
        wr_sql_add(q, i ? ", " : " AND " WR_RUN_HEAD("d") " IN (");
        wr_sql_str(q, wr_run_head(c->values[i].text));
    }
    if (c->nvalues) wr_sql_add(q, ")");
}

bool wr_run_drives(const wr_filter_clause *c)
{
    bool text = c->nvalues && !c->values[0].number, list = c->op & (WR_OP_EQ | WR_OP_IN);
    if (c->field == wr_run_search_params || c->field == wr_run_search_tags)
        return (list && text) || c->op == WR_OP_NOT_NULL;
    if (c->field == wr_run_search_metrics)
        return !(c->op & (WR_OP_NE | WR_OP_NOT_IN | WR_OP_NOT_BETWEEN | WR_OP_IS_NULL));
    return list && (c->field == &wr_run_search_attributes[WR_RUN_AT_ID] ||
                    c->field == &wr_run_search_attributes[WR_RUN_AT_NAME]);
}

int wr_run_add_driver(wr_sql *q, wr_run_finder *s, const wr_filter_clause *c, wr_err *err)
{
    int64_t key = 0;
    if (c->field->key == WR_KEY_INTERNED) WR_TRY(wr_track_key_find(&key, s->t, c->key, err));
    if (c->field == wr_run_search_params || c->field == wr_run_search_tags) {
        wr_sql_add(q, c->field == wr_run_search_params ? "SELECT d.run FROM track_params d WHERE d.key = "
                                                       : "SELECT d.run FROM track_tags d WHERE d.key = ");
        wr_sql_i64(q, key);
        add_heads(q, c);
    } else if (c->field == wr_run_search_metrics) {
        wr_sql_add(q, "SELECT d.run FROM track_metrics d WHERE d.key = ");
        wr_sql_i64(q, key);
        wr_run_add_experiments(q, s, " AND d.experiment");
        if (c->nvalues) wr_sql_add(q, " AND ");
        if (c->nvalues) wr_filter_compare(q, "d.value", 0, c);
    } else {
        bool name = c->field == &wr_run_search_attributes[WR_RUN_AT_NAME];
        wr_sql_add(q, "SELECT d.id AS run FROM track_runs d WHERE ");
        if (name) wr_run_add_experiments(q, s, "d.experiment");
        if (name) wr_sql_add(q, " AND ");
        wr_filter_compare(q, name ? "d.name" : "d.uuid", 0, c);
    }
    return 0;
}

/* ---- counts ---- */

/* The columns of the one row of a statement. */
static int numbers_of(int64_t *out, wr_run_finder *s, const wr_sql *q, int columns, wr_err *err)
{
    wr_stmt *st;
    WR_TRY(wr_sql_prepare(&st, s->t, q, err));
    int rc = wr_step(st, err);
    for (int i = 0; i < columns; i++) out[i] = rc > 0 && !wr_stmt_null(st, i) ? wr_stmt_i64(st, i) : 0;
    wr_stmt_done(st);
    return rc < 0 ? rc : 0;
}

/* Clauses that all must hold and that can drive, with what is known of their sizes. */
typedef struct {
    const wr_filter_clause *clause;
    int64_t size; /* at least, or when it is below `upto` just so */
    int64_t upto; /* how far it was counted */
} leg;
typedef struct {
    leg at[LEGS]; /* looking at more costs more than it can save */
    size_t n;
    int64_t least; /* size of the smallest that was found */
} legs;

static void find_legs(legs *out, const wr_run_finder *s)
{
    const wr_filter_node *root = s->filter.root;
    bool all = root && root->kind == WR_FILTER_AND;
    for (size_t i = 0; root && i < (all ? root->nkids : 1) && out->n < LEGS; i++) {
        const wr_filter_node *n = all ? root->kids[i] : root;
        if (n->kind == WR_FILTER_CLAUSE && wr_run_drives(&n->clause)) out->at[out->n++] = (leg){.clause = &n->clause};
    }
}

static int count_leg(leg *l, wr_run_finder *s, int64_t upto, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    if (l->upto > l->size || l->upto >= upto) return 0;
    wr_sql_add(&q, "SELECT count(*) FROM (");
    WR_TRY(wr_run_add_driver(&q, s, l->clause, err));
    wr_sql_add(&q, " LIMIT ");
    wr_sql_i64(&q, upto);
    wr_sql_add(&q, ") n");
    l->upto = upto;
    return numbers_of(&l->size, s, &q, 1, err);
}

/* The smallest of those with less than `upto` rows; NULL: there is none. */
static int smallest(const wr_filter_clause **out, legs *all, wr_run_finder *s, int64_t upto, wr_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < all->n; i++) {
        WR_TRY(count_leg(&all->at[i], s, upto, err));
        if (all->at[i].size >= upto) continue;
        upto = all->least = all->at[i].size;
        *out = all->at[i].clause;
    }
    return 0;
}

/* Runs of the experiments, counting no further than `upto`. */
static int scope_size(int64_t *out, wr_run_finder *s, int64_t upto, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_sql_add(&q, "SELECT count(*) FROM (SELECT 1 FROM track_runs r WHERE ");
    wr_run_add_experiments(&q, s, "r.experiment");
    wr_sql_add(&q, " LIMIT ");
    wr_sql_i64(&q, upto);
    wr_sql_add(&q, ") n");
    return numbers_of(out, s, &q, 1, err);
}

/* ---- samples ---- */

/* "SELECT ... AS run FROM ..." of the walk's first rows in one experiment, or of a text in all of them. */
static int sample_rows(wr_sql *q, wr_run_finder *s, int64_t experiment, wr_err *err)
{
    const wr_order_item *first = &s->sort[0];
    bool end = wr_run_by_end(first), start = wr_run_by_start(first) || end, text = wr_run_by_text(first);
    int64_t key = 0;
    if (!start) WR_TRY(wr_track_key_find(&key, s->t, first->at.key, err));
    wr_sql_add(q, start ? "SELECT r.id AS run FROM track_runs r WHERE r.experiment = " : "SELECT o0.run AS run FROM ");
    if (!start) wr_sql_add(q, wr_run_table_of(first));
    if (!start) wr_sql_add(q, text ? " WHERE o0.key = " : " WHERE o0.value IS NOT NULL AND o0.key = ");
    if (!start) wr_sql_i64(q, key);
    if (!start && !text) wr_sql_add(q, " AND o0.experiment = ");
    if (!text) wr_sql_i64(q, experiment);
    if (end) wr_sql_add(q, " AND r.end_ms IS NOT NULL");
    if (s->page.nkeys && !text) wr_run_add_bound(q, s, 0);
    if (s->page.nkeys && text) wr_run_add_head_bound(q, s);
    wr_sql_add(q, " ORDER BY ");
    if (text) wr_sql_add(q, WR_RUN_HEAD("o0"));
    else wr_search_value(q, s->sort, 0, false);
    wr_sql_add(q, first->desc ? " DESC LIMIT " : " LIMIT ");
    wr_sql_i64(q, sample(s));
    return 0;
}

/* out: of the first rows of a walk, how many there are and how many the filter lets through. */
static int sample_one(int64_t out[2], wr_run_finder *s, int64_t experiment, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_sql_add(&q, "SELECT count(*), sum(CASE WHEN ");
    wr_run_add_experiments(&q, s, "r.experiment");
    WR_TRY(wr_run_add_filter(&q, s, err));
    wr_sql_add(&q, " THEN 1 ELSE 0 END) FROM (");
    WR_TRY(sample_rows(&q, s, experiment, err));
    wr_sql_add(&q, ") o0 CROSS JOIN track_runs r WHERE r.id = o0.run");
    return numbers_of(out, s, &q, 2, err);
}

/* A guess of the visits that a walk takes. -1: it finds its page among the first ones. */
static int guess_visits(int64_t *out, wr_run_finder *s, wr_err *err)
{
    int64_t seen = 0, hits = 0, want = (int64_t)s->want;
    size_t n = wr_run_by_text(&s->sort[0]) ? 1 : s->nexperiments;
    for (size_t i = 0; i < n && i < SAMPLED_EXPERIMENTS; i++) {
        int64_t one[2];
        WR_TRY(sample_one(one, s, s->experiments[i], err));
        seen += one[0];
        hits += one[1];
    }
    *out = hits >= want && n <= SAMPLED_EXPERIMENTS ? -1 : want * (seen > 0 ? seen : 1) / (hits > 0 ? hits : 1);
    if (*out >= 0 && *out < few(s)) *out = few(s);
    return 0;
}

/* ---- choosing ---- */

static bool walkable(const wr_run_finder *s)
{
    const wr_order_item *first = &s->sort[0];
    return wr_run_by_start(first) || wr_run_by_end(first) || wr_run_by_metric(first) || wr_run_by_text(first);
}

/* A plan that was asked for, as far as it exists here. */
static int forced(wr_run_finder *s, const legs *all, wr_err *err)
{
    wr_run_plan plan = s->opt->plan;
    bool whole;
    if (plan == WR_RUN_PLAN_WALK && walkable(s)) return wr_run_walk(&whole, s, 0, err);
    return wr_run_sort(s, plan == WR_RUN_PLAN_DRIVE && all->n ? all->at[0].clause : NULL, err);
}

/* Orders that no index gives: all runs, or a driver of fewer. */
static int choose_sort(wr_run_finder *s, legs *all, wr_err *err)
{
    const wr_filter_clause *driver = NULL;
    int64_t runs = few(s);
    WR_TRY(smallest(&driver, all, s, runs, err));
    if (!driver && all->n) {
        WR_TRY(scope_size(&runs, s, INT32_MAX, err));
        WR_TRY(smallest(&driver, all, s, runs, err));
    }
    return wr_run_sort(s, driver, err);
}

/* The index of texts knows no experiments, so sorting all runs may take fewer visits than a walk. Walks of it have no
 * budget. */
static int compete_text(wr_run_finder *s, legs *all, wr_err *err)
{
    const wr_filter_clause *driver;
    int64_t visits = few(s), runs;
    bool whole, texts = !s->page.nkeys || s->page.keys[0].phase == 0;
    if (texts) WR_TRY(guess_visits(&visits, s, err));
    if (visits < 0) return wr_run_walk(&whole, s, 0, err);
    WR_TRY(scope_size(&runs, s, visits, err));
    WR_TRY(smallest(&driver, all, s, runs, err));
    return driver || runs < visits ? wr_run_sort(s, driver, err) : wr_run_walk(&whole, s, 0, err);
}

/* Steps 2 and 3. */
static int compete(wr_run_finder *s, legs *all, wr_err *err)
{
    const wr_filter_clause *driver;
    int64_t visits = few(s), runs; /* behind the numbers nobody knows */
    bool whole, numbers = !s->page.nkeys || s->page.keys[0].phase == 0;
    if (numbers) WR_TRY(guess_visits(&visits, s, err));
    if (visits < 0) return wr_run_walk(&whole, s, 0, err);
    for (;; visits *= GROWTH) {
        WR_TRY(smallest(&driver, all, s, visits, err));
        int64_t most = driver ? all->least : 2 * visits; /* the walk is over after all runs */
        WR_TRY(scope_size(&runs, s, most, err));
        if (driver && runs == most) return wr_run_sort(s, driver, err);
        WR_TRY(wr_run_walk(&whole, s, runs < most ? 0 : (size_t)most, err));
        if (whole) return 0;
        s->found.n = 0;
    }
}

int wr_run_choose(wr_run_finder *s, wr_err *err)
{
    const wr_filter_clause *driver;
    legs all = {0};
    bool whole;
    find_legs(&all, s);
    if (s->opt->plan && s->opt->plan != WR_RUN_PLAN_TIGHT) return forced(s, &all, err);
    if (!walkable(s)) return choose_sort(s, &all, err);
    WR_TRY(smallest(&driver, &all, s, few(s), err));
    if (driver) return wr_run_sort(s, driver, err);
    if (wr_run_by_text(&s->sort[0])) return compete_text(s, &all, err);
    return all.n ? compete(s, &all, err) : wr_run_walk(&whole, s, 0, err);
}
