/* SPDX-License-Identifier: Apache-2.0 */
/* import.h - nouns of another tracking store, put in as they are: ids, times, states and owners are kept, nothing is
 * checked against the present (a deleted experiment may get runs), nobody is told (no webhooks).
 *
 * All functions are "in a write" and may be repeated: what is there already stays as it is, and only what is missing is
 * added. What makes two things the same: a run, a logged model, a trace: the uuid; an experiment and a registered
 * model: name (an experiment also: id) and time of creation; a version: model and number; a user: the name. `made` is
 * set to what was new. */
#pragma once
#include "track/experiment.h"
#include "track/logged_model.h"
#include "track/registry.h"
#include "track/run.h"
#include "track/trace.h"
#include "track/user.h"

/* `in->id` is kept when it is free; else a location mlflow-artifacts:/ID has the new one. WEIR_EEXIST: the name belongs
 * to another experiment. "Default" of id 0 is ours. */
int wr_import_experiment(int64_t *id, bool *made, wr_track *t, const wr_experiment *in, wr_err *err);
/* In its place: nothing that comes behind it is refused because it is deleted. */
int wr_import_experiment_deleted(wr_track *t, int64_t id, wr_err *err);
/* All but metrics. in->experiment is ours. A run that had not ended takes status and end. `id`: inside this database.
 */
int wr_import_run(int64_t *id, bool *made, wr_track *t, const wr_track_run *in, wr_err *err);
/* The run's id, or 0, and how many points of it are in the database. Also outside of a write. */
int wr_import_run_find(wr_metric_run *out, int64_t *points, wr_track *t, wr_str uuid, wr_err *err);
/* Its metrics are all there: it takes status and end, unless it ended already. */
int wr_import_run_ended(wr_track *t, wr_str uuid, int status, int64_t end_ms, wr_err *err);
int wr_import_logged_model(bool *made, wr_track *t, const wr_logged_model *in, wr_err *err);
/* WEIR_EEXIST: the name belongs to another model. */
int wr_import_model(bool *made, wr_track *t, const wr_registered_model *in, wr_err *err);
/* in->name: its model, WEIR_ENOTFOUND without it. A stage Deleted_Internal keeps its number taken. */
int wr_import_version(bool *made, wr_track *t, const wr_registered_version *in, wr_err *err);
/* `spans` may be NULL: they are kept elsewhere. A trace that had ended is left alone. */
int wr_import_trace(bool *made, wr_arena *a, wr_track *t, const wr_trace *in, const wr_span_batch *spans, wr_err *err);
/* A row of MLflow's table of spans as a span. `content` is kept as it is; usage and cost are read from it. */
int wr_import_span(wr_span *out, wr_arena *a, wr_str id, wr_str parent, wr_str content, wr_err *err);
/* `password`: a hash as base/password.h takes it. */
int wr_import_user(bool *made, wr_track *t, wr_str name, wr_str password, bool admin, wr_err *err);
