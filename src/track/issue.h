/* SPDX-License-Identifier: Apache-2.0 */
/* issue.h - issues of an experiment: what is wrong with its traces, under a name. Traces are tied to one by assessments
 * of kind issue whose name is the issue's id (trace_assessment.h). */
#pragma once
#include "track/track.h"

enum { WR_ISSUE_TEXTS = 100, WR_ISSUE_PAGE = 50000 };

typedef struct {
    int64_t id, experiment, created_ms, updated_ms;
    int64_t traces;                                                       /* -1: not counted */
    wr_str uuid, name, description, status, severity, run_id, created_by; /* p NULL: none */
    wr_str causes, categories;                                            /* JSON: lists of texts */
} wr_issue;

/* In a write. uuid, times and `traces` are set here; status p NULL is "pending". WEIR_ENOTFOUND without the experiment
 * or the run; WEIR_EINVAL for another status than pending, rejected, resolved and another severity than not_an_issue,
 * low, medium, high. */
int wr_issue_create(wr_issue *out, wr_arena *a, wr_track *t, const wr_issue *in, wr_err *err);
int wr_issue_get(wr_issue *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err); /* WEIR_ENOTFOUND */
/* In a write. Name, description, status, severity where p is not NULL. */
int wr_issue_update(wr_issue *out, wr_arena *a, wr_track *t, wr_str uuid, const wr_issue *in, wr_err *err);
/* The gravest first, then the newest. `experiment` -1: of all of them. `counted`: with their traces, more traces first.
 */
int wr_issue_search(wr_issue **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, int64_t experiment,
                    wr_str filter, bool counted, size_t max, wr_str token, wr_err *err);
int wr_issue_purge_experiment(wr_track *t, int64_t experiment, wr_err *err); /* in a write */
