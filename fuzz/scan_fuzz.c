/* SPDX-License-Identifier: Apache-2.0 */
/* scan_fuzz.c - bodies of metrics: whatever the scanner takes, the tree reads the same. First byte: batch or single. */
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "wire/mlflow/mlflow.h"

static void same(yyjson_val *o, const wr_track_point *p)
{
    double value = 0;
    int64_t time = 0, step = 0;
    (void)wr_mlflow_f64_of(&value, yyjson_obj_get(o, "value"));
    (void)wr_mlflow_i64_of(&time, yyjson_obj_get(o, "timestamp"));
    (void)wr_mlflow_i64_of(&step, yyjson_obj_get(o, "step"));
    wr_str key = wr_mlflow_str_of(o, "key");
    if (!wr_str_eq(key, p->key) || memcmp(&value, &p->value, sizeof value) != 0 || time != p->time_ms ||
        step != p->step)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOJSON wr_json j = {0};
    wr_mlflow_scan s;
    if (!a || size < 1) return 0;
    bool batch = data[0] & 1;
    wr_str body = {(const char *)data + 1, size - 1};
    if (!(batch ? wr_mlflow_scan_batch(&s, a, body) : wr_mlflow_scan_metric(&s, a, body))) return 0;
    if (wr_json_parse(&j, body, "body", NULL) < 0) abort();
    if (!wr_str_eq(wr_mlflow_str_of(j.root, "run_id"), s.run_id)) abort();
    if (!batch) same(j.root, s.points);
    yyjson_val *metrics = yyjson_obj_get(j.root, "metrics");
    if (batch && yyjson_arr_size(metrics) != s.n) abort();
    for (size_t i = 0; batch && i < s.n; i++) same(yyjson_arr_get(metrics, i), &s.points[i]);
    return 0;
}
