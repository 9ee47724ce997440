/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.c - POST /v1/traces. */
#include "wire/mlflow/otlp.h"

#include <stdio.h>

#include "codec/json.h"
#include "codec/otlp.h"
#include "wire/mlflow/access.h"

#define PROTOBUF "application/x-protobuf"

/* {"detail": text} */
static int refuse(wr_otlp_call *c, int status, const char *detail)
{
    wr_jsonw w;
    wr_buf_clear(c->out);
    wr_jsonw_init(&w, c->out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "detail", detail);
    wr_jsonw_end(&w);
    c->status = status;
    c->answer_type = "application/json";
    return WEIR_EINVAL;
}

static int no_experiment(wr_otlp_call *c)
{
    static const char detail[] = "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"header\",\"x-mlflow-experiment-id\"],"
                                 "\"msg\":\"Field required\",\"input\":null}]}";
    wr_buf_clear(c->out);
    wr_buf_str(c->out, detail);
    c->status = 422;
    c->answer_type = "application/json";
    return WEIR_EINVAL;
}

static int content_type(wr_otlp_call *c)
{
    wr_str rest = c->type, media = wr_str_trim(rest.p ? wr_str_cut(&rest, ';') : WR_STR(""));
    char detail[200];
    c->json = wr_str_ieq(media, "application/json");
    if (c->json || wr_str_ieq(media, PROTOBUF)) return 0;
    wr_str shown = wr_str_fit(c->type.p ? c->type : WR_STR("None"), 80);
    snprintf(detail, sizeof detail, "Invalid Content-Type: %.*s. Expected: " PROTOBUF " or application/json",
             WR_STR_FMT(shown));
    return refuse(c, 400, detail);
}

int wr_otlp_begin(wr_otlp_call *c)
{
    wr_otlp_spans spans;
    wr_err err = {0};
    c->status = 0;
    if (!c->experiment.n) return no_experiment(c);
    WR_TRY(content_type(c));
    int rc = wr_mlflow_experiment_id(&c->experiment_id, c->experiment, &err);
    if (rc == 0) rc = wr_mlflow_edits_experiment(c->access, c->experiment_id, &err);
    if (rc == 0) {
        rc = c->json ? wr_otlp_read_json(&spans, c->arena, c->body, &err)
                     : wr_otlp_read_protobuf(&spans, c->arena, c->body, &err);
        if (rc == WEIR_EPARSE || rc == WEIR_ELIMIT) return refuse(c, 400, "Invalid OpenTelemetry format");
        if (rc == WEIR_EINVAL) return refuse(c, 422, "Cannot convert OpenTelemetry span to MLflow span");
        if (rc == 0 && !spans.nresources) return refuse(c, 400, "Invalid OpenTelemetry format - no spans found");
    }
    if (rc == 0) rc = wr_span_batch_make(&c->batch, c->arena, &spans, &err);
    if (rc < 0) wr_otlp_end(c, rc, &err);
    return rc;
}

/* Traces whose root came are tied to the run that the client names; one that is not there is the client's affair. */
static int link_run(wr_otlp_call *c, wr_err *err)
{
    for (size_t i = 0; c->run.n && i < c->batch.n; i++)
        if (c->batch.traces[i].root >= 0) WR_TRY(wr_trace_link_run(c->track, &c->batch.traces[i].uuid, 1, c->run, err));
    return 0;
}

int wr_otlp_store(wr_otlp_call *c, wr_err *err)
{
    for (size_t i = 0; c->access && i < c->batch.n; i++)
        WR_TRY(wr_mlflow_edits_trace(c->access, c->track, c->batch.traces[i].uuid, err));
    WR_TRY(wr_trace_log_spans(c->track, c->arena, c->experiment_id, &c->batch, err));
    return link_run(c, err);
}

void wr_otlp_end(wr_otlp_call *c, int rc, const wr_err *err)
{
    wr_buf_clear(c->out);
    if (rc < 0) {
        wr_mlflow_call m = {.out = c->out};
        wr_mlflow_end(&m, rc, err);
        c->status = m.status;
        c->answer_type = "application/json";
        return;
    }
    c->status = 200;
    c->answer_type = c->json ? "application/json" : PROTOBUF;
    wr_otlp_response(c->out, c->json, c->batch.refused, c->batch.why);
}

static int store_fn(wr_track *t, void *arg, wr_err *err)
{
    (void)t;
    return wr_otlp_store(arg, err);
}

void wr_otlp_run(wr_otlp_call *c)
{
    wr_err err = {0};
    if (wr_otlp_begin(c) < 0) return;
    wr_otlp_end(c, wr_track_write(c->track, store_fn, c, &err), &err);
}
