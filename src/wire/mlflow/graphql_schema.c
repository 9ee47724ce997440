/* SPDX-License-Identifier: Apache-2.0 */
/* graphql_schema.c - the types. */
#include "wire/mlflow/graphql_schema.h"

#include <string.h>

#define TYPE(id, name_, ...)                                                                                           \
    static const wr_graphql_field id##_fields[] = {__VA_ARGS__, {0}};                                                  \
    static const wr_graphql_type id = {name_, id##_fields}

TYPE(api_error, "ApiError", {"code", 's', 0}, {"message", 's', 0}, {"helpUrl", 's', 0});
#define API_ERROR                                                                                                      \
    {                                                                                                                  \
        "apiError", 'n', &api_error                                                                                    \
    }
#define PAIR(id, name) TYPE(id, name, {"key", 's', 0}, {"value", 's', 0})

PAIR(experiment_tag, "MlflowExperimentTag");
TYPE(experiment, "MlflowExperiment", {"experimentId", 's', 0}, {"name", 's', 0}, {"artifactLocation", 's', 0},
     {"lifecycleStage", 's', 0}, {"lastUpdateTime", 'l', 0}, {"creationTime", 'l', 0}, {"tags", 'O', &experiment_tag},
     {"effectiveTraceArchivalRetention", 's', 0}, {"workspace", 's', 0});
TYPE(get_experiment, "MlflowGetExperimentResponse", {"experiment", 'o', &experiment}, API_ERROR);

PAIR(version_tag, "MlflowModelVersionTag");
TYPE(model_param, "MlflowModelParam", {"name", 's', 0}, {"value", 's', 0});
#define METRIC                                                                                                         \
    {"key", 's', 0}, {"value", 'f', 0}, {"timestamp", 'l', 0}, {"step", 'l', 0}, {"datasetName", 's', 0},              \
        {"datasetDigest", 's', 0}, {"modelId", 's', 0},                                                                \
    {                                                                                                                  \
        "runId", 's', 0                                                                                                \
    }
TYPE(model_metric, "MlflowModelMetric", METRIC);
TYPE(job_state, "MlflowModelVersionDeploymentJobState", {"jobId", 's', 0}, {"runId", 's', 0}, {"jobState", 'e', 0},
     {"runState", 'e', 0}, {"currentTaskName", 's', 0});
TYPE(model_version, "MlflowModelVersion", {"name", 's', 0}, {"version", 's', 0}, {"creationTimestamp", 'l', 0},
     {"lastUpdatedTimestamp", 'l', 0}, {"userId", 's', 0}, {"currentStage", 's', 0}, {"description", 's', 0},
     {"source", 's', 0}, {"runId", 's', 0}, {"status", 'e', 0}, {"statusMessage", 's', 0}, {"tags", 'O', &version_tag},
     {"runLink", 's', 0}, {"aliases", 'S', 0}, {"modelId", 's', 0}, {"modelParams", 'O', &model_param},
     {"modelMetrics", 'O', &model_metric}, {"deploymentJobState", 'o', &job_state});
TYPE(search_versions, "MlflowSearchModelVersionsResponse", {"modelVersions", 'O', &model_version},
     {"nextPageToken", 's', 0}, API_ERROR);

TYPE(summary, "MlflowDatasetSummary", {"experimentId", 's', 0}, {"name", 's', 0}, {"digest", 's', 0},
     {"context", 's', 0});
TYPE(search_datasets, "MlflowSearchDatasetsResponse", {"datasetSummaries", 'O', &summary}, API_ERROR);

TYPE(run_metric, "MlflowMetricWithRunId", {"key", 's', 0}, {"value", 'f', 0}, {"timestamp", 'l', 0}, {"step", 'l', 0},
     {"runId", 's', 0});
TYPE(interval, "MlflowGetMetricHistoryBulkIntervalResponse", {"metrics", 'O', &run_metric}, API_ERROR);

TYPE(file_info, "MlflowFileInfo", {"path", 's', 0}, {"isDir", 'b', 0}, {"fileSize", 'l', 0});
TYPE(list_artifacts, "MlflowListArtifactsResponse", {"rootUri", 's', 0}, {"files", 'O', &file_info},
     {"nextPageToken", 's', 0}, API_ERROR);

TYPE(model_output, "MlflowModelOutput", {"modelId", 's', 0}, {"step", 'l', 0});
TYPE(run_outputs, "MlflowRunOutputs", {"modelOutputs", 'O', &model_output});
TYPE(model_input, "MlflowModelInput", {"modelId", 's', 0});
TYPE(dataset, "MlflowDataset", {"name", 's', 0}, {"digest", 's', 0}, {"sourceType", 's', 0}, {"source", 's', 0},
     {"schema", 's', 0}, {"profile", 's', 0});
PAIR(input_tag, "MlflowInputTag");
TYPE(dataset_input, "MlflowDatasetInput", {"tags", 'O', &input_tag}, {"dataset", 'o', &dataset});
TYPE(run_inputs, "MlflowRunInputs", {"datasetInputs", 'O', &dataset_input}, {"modelInputs", 'O', &model_input});
PAIR(run_tag, "MlflowRunTag");
PAIR(param, "MlflowParam");
TYPE(metric, "MlflowMetricExtension", METRIC);
TYPE(run_data, "MlflowRunData", {"metrics", 'O', &metric}, {"params", 'O', &param}, {"tags", 'O', &run_tag});
TYPE(run_info, "MlflowRunInfo", {"runId", 's', 0}, {"runUuid", 's', 0}, {"runName", 's', 0}, {"experimentId", 's', 0},
     {"userId", 's', 0}, {"status", 'e', 0}, {"startTime", 'l', 0}, {"endTime", 'l', 0}, {"artifactUri", 's', 0},
     {"lifecycleStage", 's', 0});
TYPE(run, "MlflowRunExtension", {"info", 'o', &run_info}, {"data", 'o', &run_data}, {"inputs", 'o', &run_inputs},
     {"outputs", 'o', &run_outputs}, {"experiment", 'x', &experiment}, {"modelVersions", 'v', &model_version});
TYPE(search_runs, "MlflowSearchRunsResponse", {"runs", 'O', &run}, {"nextPageToken", 's', 0}, API_ERROR);
TYPE(get_run, "MlflowGetRunResponse", {"run", 'o', &run}, API_ERROR);

TYPE(echo, "Test", {"output", 's', 0});

#define AT "/api/2.0/mlflow/"
const wr_graphql_root wr_graphql_roots[] = {
    {{"mlflowGetExperiment", 'o', &get_experiment}, true, false, "GET", AT "experiments/get", " experimentId "},
    {{"mlflowGetRun", 'o', &get_run}, true, false, "GET", AT "runs/get", " runId runUuid "},
    {{"mlflowGetMetricHistoryBulkInterval", 'o', &interval},
     true,
     false,
     "GET",
     AT "metrics/get-history-bulk-interval",
     " runIds metricKey startStep endStep maxResults "},
    {{"mlflowListArtifacts", 'o', &list_artifacts},
     true,
     false,
     "GET",
     AT "artifacts/list",
     " runId runUuid path pageToken "},
    {{"mlflowSearchModelVersions", 'o', &search_versions},
     true,
     false,
     "GET",
     AT "model-versions/search",
     " filter maxResults orderBy pageToken "},
    {{"mlflowSearchRuns", 'o', &search_runs},
     true,
     true,
     "POST",
     AT "runs/search",
     " experimentIds filter runViewType maxResults orderBy pageToken "},
    {{"mlflowSearchDatasets", 'o', &search_datasets},
     false,
     true,
     "POST",
     AT "experiments/search-datasets",
     " experimentIds "},
    {{"test", 'o', &echo}, true, false, 0, 0, 0},
    {{"testMutation", 'o', &echo}, false, true, 0, 0, 0},
    {{0}, 0, 0, 0, 0, 0},
};

const wr_graphql_field *wr_graphql_field_find(const wr_graphql_type *type, const char *name)
{
    static const wr_graphql_field type_name = {"__typename", 't', 0};
    for (const wr_graphql_field *f = type->fields; f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return strcmp(name, type_name.name) == 0 ? &type_name : NULL;
}
