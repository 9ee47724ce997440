/* SPDX-License-Identifier: Apache-2.0 */
/* experiment.h - a named group of runs. Experiment 0, "Default", is always there. Deleting is soft and takes the runs
 * along; names of deleted experiments stay taken until they are purged. */
#pragma once
#include "track/track.h"

typedef struct {
    int64_t id;
    wr_str name, location; /* location: root of its artifact URIs */
    bool deleted;
    int64_t created_ms, updated_ms;
    wr_track_item *tags; /* by key */
    size_t ntags;
} wr_experiment;

/* In a write. `location` {NULL,0} = the store's root and the id. WEIR_EEXIST if the name is taken (message says when by
 * a deleted one), WEIR_EINVAL for a bad name. */
int wr_experiment_create(int64_t *id, wr_track *t, wr_str name, wr_str location, const wr_track_item *tags,
                         size_t ntags, wr_err *err);
/* Deleted ones too. WEIR_ENOTFOUND. */
int wr_experiment_get(wr_experiment *out, wr_arena *a, wr_track *t, int64_t id, wr_err *err);
int wr_experiment_find(wr_experiment *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err);
/* Fills tags of what was read without them. */
int wr_experiment_tags(wr_experiment *e, wr_arena *a, wr_track *t, wr_err *err);
/* In a write. Delete: WEIR_ENOTFOUND unless active; restore: unless deleted. Restore reactivates all its runs. */
int wr_experiment_delete(wr_track *t, int64_t id, wr_err *err);
int wr_experiment_restore(wr_track *t, int64_t id, wr_err *err);
int wr_experiment_rename(wr_track *t, int64_t id, wr_str name, wr_err *err); /* WEIR_ECONFLICT when deleted */
int wr_experiment_set_tag(wr_track *t, int64_t id, wr_str key, wr_str value, wr_err *err);
int wr_experiment_delete_tag(wr_track *t, int64_t id, wr_str key, wr_err *err); /* WEIR_ENOTFOUND without it */
/* In a write. Removes it, its runs and all they have, and what users were granted on it, for good, but no files: purge.h
 * does both. WEIR_ECONFLICT unless deleted; 0 cannot go. */
int wr_experiment_purge(wr_track *t, int64_t id, wr_err *err);
