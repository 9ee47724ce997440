/* SPDX-License-Identifier: Apache-2.0 */
/* trace_search.h - searching traces, and counting those that match.
 *
 * Clauses on spans (span.name, span.type, span.status, span.content, span.attributes.KEY, text) that stand beside each
 * other, joined by AND, must hold for one and the same span. Feedback and expectations: the valid ones; one that was
 * given to a session (its metadata names it) holds for all traces of the session. A value is compared as the text,
 * number or JSON that it is. */
#pragma once
#include "track/filter.h"
#include "track/trace.h"

extern const wr_filter_noun wr_trace_noun;

typedef struct {
    const int64_t *experiments;
    size_t nexperiments;
    wr_str filter, token;
    const wr_str *order; /* none: timestamp DESC; ties by request_id */
    size_t norder, max;
} wr_trace_search_opt;

/* Loaded traces. `next` {NULL,0}: there are no more. WEIR_EINVAL as MLflow says it. */
int wr_trace_search(wr_trace **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, const wr_trace_search_opt *opt,
                    wr_err *err);

/* Appends "t.experiment IN (...) AND filter", over track_traces t. */
int wr_trace_condition(wr_sql *q, wr_arena *a, wr_track *t, const int64_t *experiments, size_t n, wr_str filter,
                       int *alias, wr_err *err);

/* How two filters go together among the traces that pass `base`: counts, and the normalised pointwise mutual
 * information of Bouma (2009), also smoothed by a half in each cell. NaN where it is not defined. */
typedef struct {
    int64_t total, first, second, both;
    double npmi, smoothed;
} wr_trace_correlation;
int wr_trace_correlate(wr_trace_correlation *out, wr_arena *a, wr_track *t, const int64_t *experiments, size_t n,
                       wr_str first, wr_str second, wr_str base, wr_err *err);
