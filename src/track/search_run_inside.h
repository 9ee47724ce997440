/* SPDX-License-Identifier: Apache-2.0 */
/* search_run_inside.h - what the files of the search of runs share. Private to them.
 *
 *   search_run.c        the whole, and sorting              search_run_walk.c   rows in the order of an index
 *   search_run_choose.c which plan, drivers, samples        search_run_names.c  what a search may name
 *   search_load.c       what was found, filled
 */
#pragma once
#include "track/search.h"
#include "track/search_run.h"
#include "track/track_inside.h"

extern const wr_filter_field wr_run_search_attributes[], wr_run_search_metrics[], wr_run_search_params[],
    wr_run_search_tags[];
extern const wr_filter_field wr_run_search_least[], wr_run_search_greatest[];          /* of a series */
enum { WR_RUN_AT_ID = 0, WR_RUN_AT_NAME = 1, WR_RUN_AT_START = 5, WR_RUN_AT_END = 6 }; /* in wr_run_search_attributes */

/* Every plan selects these, and behind them the sort values. */
#define WR_RUN_COLUMNS                                                                                                 \
    "r.id, r.uuid, r.experiment, r.name, r.user_id, r.status, r.start_ms, r.end_ms, r.deleted_ms, r.artifact_uri"
enum { WR_RUN_NCOLUMNS = 10 };
/* The value indexes of params and tags have the first characters of texts. */
#define WR_RUN_HEAD(alias) "substr(" alias ".value, 1, 100)"
static inline wr_str wr_run_head(wr_str s) { return wr_track_cut(s, 100); }

typedef struct {
    wr_track_run run;
    wr_page_key *keys;
} wr_run_row;
typedef WR_VEC(wr_run_row) wr_run_rows;

/* One search. */
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
    wr_run_rows found;
    size_t budget; /* rows a walk may visit, 0 = all */
    bool cuts;     /* it did not visit those from this value of an item on */
    size_t cut_item;
    wr_sql_value cut_at;
} wr_run_finder;

static inline bool wr_run_by_metric(const wr_order_item *i) { return i->at.field == wr_run_search_metrics; }
static inline bool wr_run_by_text(const wr_order_item *i)
{
    return i->at.field == wr_run_search_params || i->at.field == wr_run_search_tags;
}
static inline bool wr_run_by_start(const wr_order_item *i)
{
    return i->at.field == &wr_run_search_attributes[WR_RUN_AT_START];
}

static inline bool wr_run_by_end(const wr_order_item *i)
{
    return i->at.field == &wr_run_search_attributes[WR_RUN_AT_END];
}

/* ---- pieces of statements ---- */

void wr_run_add_view(wr_sql *q, wr_view_type view);                                 /* " AND ..." */
void wr_run_add_experiments(wr_sql *q, const wr_run_finder *s, const char *column); /* "COLUMN IN (...)" */
int wr_run_add_filter(wr_sql *q, wr_run_finder *s, wr_err *err);                    /* " AND ..." with the view */
/* The same with " o0.run " or " d.run ", the id from the row of an index: what the filter asks of other tables is asked
 * before the run itself is looked up. */
int wr_run_add_early_filter(wr_sql *q, wr_run_finder *s, const char *id, wr_err *err);
/* Behind the page's keys, ORDER BY, LIMIT; over the items from `first` on. */
void wr_run_add_tail(wr_sql *q, const wr_run_finder *s, size_t first, bool behind);
/* Redundant bound on item i, which an index can use where it cannot use the whole condition. */
void wr_run_add_bound(wr_sql *q, const wr_run_finder *s, size_t i);
/* The same for item 0 as a param or tag, on the head of its text. */
void wr_run_add_head_bound(wr_sql *q, const wr_run_finder *s);

/* ---- rows ---- */

/* Rows of a statement up to the first that comes behind `full`, the last row of a full page: then 1. Takes over `st`.
 */
int wr_run_read_rows(wr_run_rows *out, wr_run_finder *s, wr_stmt *st, const wr_run_row *full, wr_err *err);
/* The table of a metric's, param's or tag's order, as o0. */
const char *wr_run_table_of(const wr_order_item *i);

/* ---- plans ---- */

/* Takes one and fills `found`. */
int wr_run_choose(wr_run_finder *s, wr_err *err);
/* In order of the first item, which is the start, the end, a metric (numbers, NaN, missing), a param or a tag (texts,
 * missing): each part only as far as the page needs it. With a budget it visits about so many rows at most; not
 * `whole`: the page was not full by then, and what is in `found` is of no use. */
int wr_run_walk(bool *whole, wr_run_finder *s, size_t budget, wr_err *err);
/* Sorts all runs, or those that a clause drives. */
int wr_run_sort(wr_run_finder *s, const wr_filter_clause *driver, wr_err *err);
/* Can an index find the runs that may satisfy a clause? Their "SELECT d.run FROM ...". */
bool wr_run_drives(const wr_filter_clause *c);
int wr_run_add_driver(wr_sql *q, wr_run_finder *s, const wr_filter_clause *c, wr_err *err);
