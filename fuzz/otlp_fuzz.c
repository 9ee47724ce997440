/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_fuzz.c - any bytes as an export of spans, in protobuf and in JSON: what is read keeps the limits, and what is
 * kept of it is JSON that reads back, whatever the texts hold. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/json.h"
#include "track/trace_span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void otlp_require(bool ok)
{
    if (!ok) abort();
}

static void otlp_value(const wr_otlp_value *v, int depth)
{
    otlp_require(depth <= WR_LIMIT_OTLP_DEPTH);
    if (v->kind != WR_OTLP_LIST && v->kind != WR_OTLP_MAP) return;
    otlp_require(v->items.n <= WR_LIMIT_OTLP_ITEMS);
    for (size_t i = 0; i < v->items.n; i++) otlp_value(&v->items.at[i].value, depth + 1);
}

static void otlp_kept(const wr_span *s)
{
    WR_AUTOJSON wr_json j = {0}, usage = {0};
    otlp_require(wr_json_parse_lenient(&j, s->content, NULL) == 0 && yyjson_is_obj(j.root));
    yyjson_val *attributes = yyjson_obj_get(j.root, "attributes"), *k, *v;
    size_t i, max;
    yyjson_val *name = yyjson_obj_get(j.root, "name");
    otlp_require(wr_str_eq((wr_str){yyjson_get_str(name), yyjson_get_len(name)}, s->name));
    otlp_require(yyjson_is_obj(attributes) && yyjson_obj_get(attributes, "mlflow.traceRequestId"));
    yyjson_obj_foreach(attributes, i, max, k, v) otlp_require(yyjson_is_str(v));
    otlp_require(!s->usage.p || (wr_json_parse_lenient(&usage, s->usage, NULL) == 0 && yyjson_is_obj(usage.root)));
}

static void otlp_check(wr_arena *a, const wr_otlp_spans *in)
{
    wr_span_batch batch;
    wr_err err = {0};
    size_t spans = 0;
    otlp_require(in->n + in->refused == 0 || in->nresources > 0);
    otlp_require((in->refused > 0) == (in->why != NULL));
    for (size_t i = 0; i < in->n; i++) {
        const wr_otlp_span *s = &in->spans[i];
        otlp_require(s->resource && s->status >= 0 && s->status <= 2 && s->attrs.n <= WR_LIMIT_OTLP_ATTRIBUTES);
        for (size_t k = 0; k < s->attrs.n; k++) otlp_value(&s->attrs.at[k].value, 0);
    }
    otlp_require(wr_span_batch_make(&batch, a, in, &err) == 0);
    for (size_t t = 0; t < batch.n; t++) {
        spans += batch.traces[t].n;
        otlp_require(batch.traces[t].uuid.n > 0);
        for (size_t k = 0; k < batch.traces[t].n; k++) otlp_kept(&batch.traces[t].spans[k]);
    }
    otlp_require(spans <= in->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_str body = {(const char *)data, size};
    for (int json = 0; json < 2; json++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_otlp_spans spans;
        wr_err err = {0};
        otlp_require(a != NULL);
        int rc = json ? wr_otlp_read_json(&spans, a, body, &err) : wr_otlp_read_protobuf(&spans, a, body, &err);
        if (rc == 0) otlp_check(a, &spans);
        else otlp_require((rc == WEIR_EPARSE || rc == WEIR_EINVAL || rc == WEIR_ELIMIT) && err.msg[0]);
    }
    return 0;
}
