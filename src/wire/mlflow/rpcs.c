/* SPDX-License-Identifier: Apache-2.0 */
/* rpcs.c - the list of tables. */
#include "wire/mlflow/rpcs.h"

const wr_mlflow_rpcs *const wr_mlflow_tables[] = {
    &wr_mlflow_experiments,    &wr_mlflow_runs,          &wr_mlflow_metrics,
    &wr_mlflow_traces,         &wr_mlflow_assessments,   &wr_mlflow_registered_models,
    &wr_mlflow_model_versions, &wr_mlflow_logged_models, &wr_mlflow_artifacts,
    &wr_mlflow_webhooks,       &wr_mlflow_users,
    &wr_mlflow_eval_datasets,  &wr_mlflow_scorers,       &wr_mlflow_graphql,
    &wr_mlflow_issues,
};
const size_t wr_mlflow_tables_count = sizeof wr_mlflow_tables / sizeof *wr_mlflow_tables;
