/* SPDX-License-Identifier: Apache-2.0 */
/* search.h - one search of a noun: filter, order, page, rows.
 *
 *   wr_search s = {.noun = &wr_model_noun, .columns = "m.id AS id, m.name AS name", .ncolumns = 2,
 *                  .from = "registered_models m", .defaults = defaults, .ties = ties,
 *                  .filter = filter, .order = order, .norder = norder, .token = token, .max = 100};
 *   wr_sql_add(&s.scope, "m.deleted_ms IS NULL");
 *   int rc = wr_search_begin(&s, a, t, err);
 *   while (rc == 0 && (rc = wr_search_next(&s, err)) > 0) { ... wr_stmt_i64(s.row, 0) ...; rc = 0; }
 *   rc = wr_search_end(&s, rc, &token, err);     // always
 *
 * Every row that matches is sorted, so it suits nouns of which there are some ten thousand; runs have their own way
 * (search_run.h). The ties must make the order total. */
#pragma once
#include "track/filter.h"
#include "track/order.h"
#include "track/page.h"

typedef struct {
    /* by the caller */
    const wr_filter_noun *noun;
    const char *columns; /* what rows have, each with a name that does not start with p or v and a digit */
    int ncolumns;
    const char *from;            /* the noun's table with the alias that its fields use */
    wr_sql scope;                /* condition on what is searched at all; empty: everything */
    const char *const *defaults; /* order_by items when none are given, up to NULL; may be NULL */
    const char *const *ties;     /* order_by items behind those, up to NULL; ones already there are left out */
    wr_str filter, token;
    const wr_str *order;
    size_t norder, max;
    const wr_order_item *items; /* parsed ones instead of `order`; norder counts them */
    /* inside */
    wr_stmt *row; /* the row, from column 0 */
    wr_arena *arena;
    wr_track *track;
    wr_order_item *sort;
    size_t nsort, given;
    uint64_t query;
    int64_t skip;
    wr_str next;
} wr_search;

/* WEIR_EINVAL as MLflow says it. The arena keeps the token. */
int wr_search_begin(wr_search *s, wr_arena *a, wr_track *t, wr_err *err);
/* 1 and a row, 0 at the end of the page. */
int wr_search_next(wr_search *s, wr_err *err);
/* Gives all back; `rc` is how it went so far and comes back (1 counts as 0). `next` {NULL,0}: that was the last page.
 */
int wr_search_end(wr_search *s, int rc, wr_str *next, wr_err *err);

/* ---- parts of it, for searches with plans of their own ---- */

/* The whole order: given items, else the defaults, then the ties. */
int wr_search_order(wr_order_item **out, size_t *n, wr_arena *a, const wr_filter_noun *noun, const wr_str *order,
                    size_t norder, const char *const *defaults, const char *const *ties, wr_err *err);
/* ", phase AS p0, value AS v0, ..." and " LEFT JOIN ..." for items first..n-1; the alias of item i is oI. */
int wr_search_sort_columns(wr_sql *columns, wr_sql *joins, wr_track *t, const wr_order_item *sort, size_t first,
                           size_t n, wr_err *err);
/* The condition that a row comes behind the page's keys of items first..n-1, and what goes behind ORDER BY. With
 * `names` over p0, v0, ... of a subquery, else over the columns themselves, which lets an index give the order. */
void wr_search_behind(wr_sql *q, const wr_order_item *sort, size_t first, size_t n, const wr_page *page, bool names);
void wr_search_order_by(wr_sql *q, const wr_order_item *sort, size_t first, size_t n, bool names);
/* The value of item i as an expression. */
void wr_search_value(wr_sql *q, const wr_order_item *sort, size_t i, bool names);
/* Sort values of a row, whose p0 is column `at`; texts are kept in the arena. */
void wr_search_keys(wr_page_key *out, wr_arena *a, wr_stmt *row, int at, const wr_order_item *sort, size_t n);
/* wr_page_read for this order: every key of the token has its item's type. */
int wr_search_page(wr_page *out, wr_arena *a, wr_str token, uint64_t query, const wr_order_item *sort, size_t n,
                   wr_err *err);
/* Hash of what makes two pages belong together. */
uint64_t wr_search_hash(const wr_filter_noun *noun, wr_str filter, const wr_order_item *sort, size_t n,
                        const wr_sql *scope);
/* Appends `more` with its values. */
void wr_sql_append(wr_sql *q, const wr_sql *more);
