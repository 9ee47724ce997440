/* SPDX-License-Identifier: Apache-2.0 */
/* trace_json.h - traces, spans and assessments in MLflow's JSON, both versions of it. Private to this folder. */
#pragma once
#include "track/trace.h"
#include "wire/mlflow/mlflow.h"

/* A member of an object by its name of protobuf, "trace_id", or that of its JSON, "traceId"; NULL when absent or null.
 */
yyjson_val *wr_mlflow_member(yyjson_val *obj, const char *name);
wr_str wr_mlflow_member_str(yyjson_val *obj, const char *name); /* {NULL,0} */
/* RFC 3339 time to milliseconds; absent: untouched. */
int wr_mlflow_time(int64_t *out_ms, yyjson_val *obj, const char *name, wr_err *err);
void wr_mlflow_put_time(wr_jsonw *w, const char *key, int64_t ms);

/* TraceInfoV3. `key` NULL: an element of an array. */
int wr_mlflow_read_trace_info(wr_trace *out, wr_arena *a, yyjson_val *info, wr_err *err);
void wr_mlflow_put_trace_info(wr_jsonw *w, const char *key, const wr_trace *t);
/* TraceInfo of MLflow 2. */
void wr_mlflow_put_trace_info_v2(wr_jsonw *w, const char *key, const wr_trace *t);
/* Kept spans (trace_span.h) as OTLP's messages in JSON: "spans": [...]. WEIR_ECORRUPT when one cannot be read. */
int wr_mlflow_put_spans(wr_jsonw *w, const wr_str *spans, size_t n, wr_err *err);

int wr_mlflow_read_assessment(wr_assessment *out, wr_arena *a, yyjson_val *v, wr_err *err);
void wr_mlflow_put_assessment(wr_jsonw *w, const char *key, const wr_assessment *x);
/* The value (and error) of {"feedback": ...}, {"expectation": ...} or {"issue": ...}. */
int wr_mlflow_read_judgement(wr_assessment *out, wr_arena *a, yyjson_val *v, wr_err *err);
/* Map of texts as a JSON object in the arena; p NULL when absent or empty. */
wr_str wr_mlflow_text_map(wr_arena *a, yyjson_val *map);
