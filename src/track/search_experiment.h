/* SPDX-License-Identifier: Apache-2.0 */
/* search_experiment.h - searching experiments, and the datasets that experiments' runs read. */
#pragma once
#include "track/experiment.h"
#include "track/filter.h"

typedef enum { WR_VIEW_ACTIVE = 1, WR_VIEW_DELETED, WR_VIEW_ALL } wr_view_type; /* MLflow's numbers */

/* What a search may name of an experiment: name, experiment_id, creation_time, last_update_time, tags. */
extern const wr_filter_noun wr_experiment_noun;

typedef struct {
    wr_view_type view;
    wr_str filter, token;
    const wr_str *order; /* none: creation_time DESC, experiment_id ASC; ties by experiment_id DESC */
    size_t norder, max;
} wr_experiment_search_opt;

/* With tags. `next` {NULL,0}: there are no more. WEIR_EINVAL as MLflow says it. */
int wr_experiment_search(wr_experiment **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                         const wr_experiment_search_opt *opt, wr_err *err);

typedef struct {
    int64_t experiment;
    wr_str name, digest, context; /* context p NULL: none */
} wr_track_dataset_summary;
/* Datasets with each context they were used in, at most `max`, by experiment, name, digest and context. */
int wr_track_dataset_search(wr_track_dataset_summary **out, size_t *n, wr_arena *a, wr_track *t,
                            const int64_t *experiments, size_t nexperiments, size_t max, wr_err *err);
