/* SPDX-License-Identifier: Apache-2.0 */
/* rpcs.h - the tables of procedures, one a file; and how nouns are written, shared by several files. Private to this
 * folder. */
#pragma once
#include "track/experiment.h"
#include "track/registry.h"
#include "track/run.h"
#include "wire/mlflow/mlflow.h"

extern const wr_mlflow_rpcs wr_mlflow_experiments, wr_mlflow_runs, wr_mlflow_metrics;
extern const wr_mlflow_rpcs wr_mlflow_registered_models, wr_mlflow_model_versions, wr_mlflow_logged_models;
extern const wr_mlflow_rpcs wr_mlflow_users, wr_mlflow_artifacts;
extern const wr_mlflow_rpcs wr_mlflow_traces, wr_mlflow_assessments;
extern const wr_mlflow_rpcs wr_mlflow_webhooks;
extern const wr_mlflow_rpcs wr_mlflow_eval_datasets, wr_mlflow_scorers, wr_mlflow_graphql, wr_mlflow_issues;

/* experiments.c */
void wr_mlflow_put_experiment(wr_jsonw *w, const char *key, const wr_experiment *e);
/* runs.c: "info": {...}, and the whole run. `key` NULL: an element of an array. */
void wr_mlflow_put_run_info(wr_jsonw *w, const char *key, const wr_track_run *r);
void wr_mlflow_put_run(wr_jsonw *w, const char *key, const wr_track_run *r);
void wr_mlflow_put_dataset(wr_jsonw *w, const char *key, const wr_track_dataset *d);
/* metrics.c */
void wr_mlflow_put_metric(wr_jsonw *w, const wr_track_point *p, const char *run_id);
/* registered_models.c; an empty list is left out */
void wr_mlflow_put_version(wr_jsonw *w, const char *key, const wr_registered_version *v);
void wr_mlflow_put_versions(wr_jsonw *w, const char *key, const wr_registered_version *v, size_t n);
/* registered_models.c: who asks, for policies; NULL without authentication */
const wr_registered_who *wr_mlflow_who(wr_mlflow_call *c, wr_err *err);
/* What a search of the registry asks for. `fallback` and `most` are of max_results. */
#define WR_MLFLOW_SEARCH_FIELDS                                                                                        \
    {"filter", 's', false}, {"max_results", 'i', false}, {"order_by", 'a', false}, { "page_token", 's', false }
int wr_mlflow_registered_query(wr_registered_query *out, wr_mlflow_call *c, int64_t fallback, int64_t most,
                               wr_err *err);
