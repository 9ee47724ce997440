/* SPDX-License-Identifier: Apache-2.0 */
/* logged_model.h - logged models: what log_model made, before anybody registers it; with params, tags and the metrics
 * that were measured of it, each on a dataset or on none.
 *
 * Ids are "m-" and 32 hexadecimal digits. Deleting is soft; a deleted one still takes tags and params, as in MLflow. A
 * point of a metric is known by model, key, time, step and run: one that comes again changes nothing. */
#pragma once
#include "track/track.h"

enum { WR_LOGGED_PENDING = 1, WR_LOGGED_READY, WR_LOGGED_FAILED };
const char *wr_logged_status_name(int status); /* "LOGGED_MODEL_READY"; NULL for another number */
int wr_logged_status_parse(wr_str s);          /* 0 when it is none */

typedef struct {
    wr_str key;
    double value;
    int64_t step, time_ms;
    wr_str run_id, dataset_name, dataset_digest; /* p NULL = none */
} wr_logged_point;

typedef struct {
    wr_str name;
    int64_t version;
} wr_logged_registration;

typedef struct {
    int64_t id, experiment;
    wr_str uuid, name, artifact_uri;
    wr_str model_type, run_id, status_message; /* p NULL = none */
    int status;
    int64_t created_ms, updated_ms, deleted_ms; /* deleted_ms -1 = active */
    wr_track_item *params, *tags;               /* by key */
    wr_logged_point *metrics;                   /* by key, time, step */
    wr_logged_registration *registrations;      /* versions of registered models that it became */
    size_t nparams, ntags, nmetrics, nregistrations;
} wr_logged_model;

typedef struct {
    int64_t experiment;
    wr_str name, model_type, run_id; /* name {NULL,0} = a made one */
    const wr_track_item *params, *tags;
    size_t nparams, ntags;
} wr_logged_model_new;

/* In a write. WEIR_ENOTFOUND without the experiment, WEIR_EINVAL when it is deleted or for a bad name. */
int wr_logged_model_create(wr_logged_model *out, wr_arena *a, wr_track *t, const wr_logged_model_new *in, wr_err *err);
/* With all that belongs to it. `deleted`: deleted ones too. WEIR_ENOTFOUND. */
int wr_logged_model_get(wr_logged_model *out, wr_arena *a, wr_track *t, wr_str uuid, bool deleted, wr_err *err);
/* Artifact URI and run of one (run {NULL,0} = none). WEIR_ENOTFOUND. */
int wr_logged_model_source(wr_str *uri, wr_str *run, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err);
/* In a write. */
int wr_logged_model_finish(wr_track *t, wr_str uuid, int status, wr_err *err);
int wr_logged_model_delete(wr_track *t, wr_str uuid, wr_err *err); /* again: nothing happens */
/* Set again to the same value is fine, another is WEIR_EINVAL. */
int wr_logged_model_set_params(wr_track *t, wr_str uuid, const wr_track_item *params, size_t n, wr_err *err);
int wr_logged_model_set_tags(wr_track *t, wr_str uuid, const wr_track_item *tags, size_t n, wr_err *err);
int wr_logged_model_delete_tag(wr_track *t, wr_str uuid, wr_str key, wr_err *err); /* WEIR_ENOTFOUND without it */
/* In a write. The version goes to the end of the list in the tag mlflow.modelVersions. */
int wr_logged_model_add_version(wr_track *t, wr_str uuid, wr_str name, int64_t version, wr_err *err);
/* In a write. Points that the run `run` (its id inside this database) measured of the model. */
int wr_logged_model_put_metrics(wr_track *t, wr_str uuid, int64_t run, const wr_logged_point *points, size_t n,
                                wr_err *err);
/* In a write. For good, deleted or not; WEIR_ENOTFOUND. */
int wr_logged_model_purge(wr_track *t, wr_str uuid, wr_err *err);
/* In a write. All of an experiment go for good, with it. */
int wr_logged_model_purge_experiment(wr_track *t, int64_t experiment, wr_err *err);

/* ---- searching ---- */

typedef struct {
    wr_str name, digest; /* digest {NULL,0} = any */
} wr_logged_dataset;

typedef struct {
    wr_str field; /* "name", "metrics.loss" */
    bool desc;
    wr_logged_dataset dataset; /* of a metric: its latest value on this one; name {NULL,0} = on any */
} wr_logged_order;

typedef struct {
    const int64_t *experiments;
    const wr_logged_dataset *datasets; /* metrics of the filter were measured on one of these */
    const wr_logged_order *order;      /* newest first when there is none, and behind it */
    size_t nexperiments, ndatasets, norder;
    wr_str filter, token;
    size_t max;
} wr_logged_query;
/* Active ones, with all that belongs to them. A token of another search is WEIR_EINVAL. */
int wr_logged_model_search(wr_logged_model **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                           const wr_logged_query *q, wr_err *err);
