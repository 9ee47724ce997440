/* SPDX-License-Identifier: Apache-2.0 */
/* search_run.h - searching runs, and loading what many runs have at once.
 *
 * A page of a million runs is a walk of an index where there is one for the order: by start, by end, by a metric (numbers, then
 * NaN, then runs without it), by a param or tag; a filter is tested run by run on the way. When an equal param or tag,
 * a bound on a metric, a name or a list of ids leaves fewer runs than the walk would visit, those are fetched and
 * sorted instead: both are counted and bounded by each other (search_run_choose.c). Orders without an index sort all
 * that match. Metrics mean their latest values, those still in the metric log too. */
#pragma once
#include "track/filter.h"
#include "track/run.h"
#include "track/search_experiment.h"

/* What a search may name of a run. Beyond MLflow: numbers for params and tags (a text that is no number fails), and
 * min(metrics.k), max(metrics.k) over the whole series. */
extern const wr_filter_noun wr_run_noun;

enum {
    WR_RUN_PARAMS = 1,
    WR_RUN_TAGS = 2,
    WR_RUN_METRICS = 4,
    WR_RUN_INPUTS = 8, /* and outputs */
    WR_RUN_EVERYTHING = 15,
};
/* Parts to load; a list of keys narrows its part down to them. */
typedef struct {
    unsigned parts;
    const wr_str *params, *tags, *metrics; /* NULL: all of them */
    size_t nparams, ntags, nmetrics;
} wr_run_load;

/* Every plan gives the same page; they differ in what they visit. */
typedef enum {
    WR_RUN_PLAN_BEST,  /* the one that costs least */
    WR_RUN_PLAN_WALK,  /* for tests: in the order of an index if there is one */
    WR_RUN_PLAN_DRIVE, /* the first clause that an index can answer, if there is one, then sort */
    WR_RUN_PLAN_SORT,
    WR_RUN_PLAN_TIGHT, /* the best one as if a few runs were many */
} wr_run_plan;

typedef struct {
    const int64_t *experiments; /* those that do not exist are left out */
    size_t nexperiments;
    wr_view_type view;
    wr_str filter, token;
    const wr_str *order; /* none: start_time DESC; ties: start_time DESC, run_id ASC */
    size_t norder, max;
    wr_run_load load;
    wr_run_plan plan;
} wr_run_search_opt;

/* `next` {NULL,0}: there are no more. WEIR_EINVAL as MLflow says it. Not in a write. */
int wr_track_run_search(wr_track_run **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                        const wr_run_search_opt *opt, wr_err *err);
/* wr_track_run_load for many, each there once. */
int wr_track_run_load_many(wr_track_run *runs, size_t n, wr_arena *a, wr_track *t, const wr_run_load *load,
                           wr_err *err);
