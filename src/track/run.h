/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - a run: one execution with params, tags, metrics, inputs and outputs. Deleting is soft; a deleted run takes no
 * writes.
 *
 * Limits and texts of errors follow MLflow's (docs/mlflow.md): keys of 250 characters, params of 6000 and tags of 8000,
 * cut silently.
 */
#pragma once
#include "track/metric.h"
#include "track/track.h"

enum { WR_RUN_RUNNING = 1, WR_RUN_SCHEDULED, WR_RUN_FINISHED, WR_RUN_FAILED, WR_RUN_KILLED };
const char *wr_run_status_name(int status); /* "RUNNING"; NULL for another number */
int wr_run_status_parse(wr_str s);          /* 0 when it is none */

typedef struct {
    wr_str name, digest, source_type, source, schema, profile;
    wr_track_item *tags;
    size_t ntags;
} wr_track_dataset;
typedef struct {
    wr_str model_id;
    int64_t step;
} wr_track_model_ref;

typedef struct {
    int64_t id; /* inside this database */
    int64_t experiment;
    wr_str uuid, name, user, artifact_uri;
    int status;
    int64_t start_ms, end_ms; /* end_ms -1 = none */
    int64_t deleted_ms;       /* -1 = active */
    /* filled by wr_track_run_load */
    wr_track_item *params, *tags;
    wr_track_point *metrics; /* latest of each */
    wr_track_dataset *inputs;
    wr_track_model_ref *input_models, *output_models;
    size_t nparams, ntags, nmetrics, ninputs, ninput_models, noutput_models;
} wr_track_run;

typedef struct {
    int64_t experiment;
    wr_str uuid;                    /* its id; {NULL,0}: a new one */
    wr_str user, name; /* name {NULL,0}: from the tag mlflow.runName, else a made one */
    int64_t start_ms;
    const wr_track_item *tags;
    size_t ntags;
} wr_track_run_new;

/* In a write. WEIR_ENOTFOUND without the experiment, WEIR_EINVAL when it is deleted or name and tag differ. */
int wr_track_run_create(wr_track_run *out, wr_arena *a, wr_track *t, const wr_track_run_new *in, wr_err *err);
/* Without what load fills; deleted ones too. WEIR_ENOTFOUND. */
int wr_track_run_get(wr_track_run *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err);
/* The same, and WEIR_EINVAL if it is deleted: the first thing every change of a run does. */
int wr_track_run_active(wr_track_run *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err);
/* Params, tags, latest metrics, inputs and outputs, each sorted by key; names of keys are the store's. */
int wr_track_run_load(wr_track_run *r, wr_arena *a, wr_track *t, wr_err *err);
int wr_track_run_load_inputs(wr_track_run *r, wr_arena *a, wr_track *t, wr_err *err); /* inputs and outputs alone */

/* In a write. status 0, end_ms -1, name {NULL,0}: left as it is. The name is kept in the tag mlflow.runName too. */
int wr_track_run_update(wr_track *t, wr_track_run *r, int status, int64_t end_ms, wr_str name, wr_err *err);
int wr_track_run_delete(wr_track *t, wr_str uuid, wr_err *err); /* again: nothing happens */
int wr_track_run_restore(wr_track *t, wr_str uuid, wr_err *err);
int wr_track_run_purge(wr_track *t, wr_str uuid, wr_err *err); /* for good; WEIR_ECONFLICT unless deleted */

/* In a write. `r` is active. A param may be set again to the same value; another is WEIR_EINVAL naming both. */
int wr_track_run_set_param(wr_track *t, const wr_track_run *r, wr_str key, wr_str value, wr_err *err);
/* The program's own: replaces, and is not cut. */
int wr_track_run_replace_param(wr_track *t, const wr_track_run *r, wr_str key, wr_str value, wr_err *err);
int wr_track_run_set_tag(wr_track *t, wr_track_run *r, wr_str key, wr_str value,
                         wr_err *err); /* mlflow.runName renames */
int wr_track_run_delete_tag(wr_track *t, const wr_track_run *r, wr_str key,
                            wr_err *err); /* WEIR_ENOTFOUND without it */
/* One dataset of one experiment, name and digest is kept once. */
int wr_track_run_add_input(wr_track *t, const wr_track_run *r, const wr_track_dataset *d, wr_err *err);
int wr_track_run_add_model(wr_track *t, const wr_track_run *r, bool output, wr_str model_id, int64_t step, wr_err *err);

/* Checks shared with other nouns (names.c). Messages are MLflow's; `what` names the place ("metrics[3].name", or "key"). */
int wr_track_key_check(wr_str key, size_t max, const char *what, wr_err *err);
int wr_track_length_check(wr_str s, size_t max, const char *what, wr_err *err);
void wr_track_made_name(char out[48], uint64_t random); /* "calm-otter-417" */
/* The longest prefix of `max` characters. */
wr_str wr_track_cut(wr_str s, size_t max);
