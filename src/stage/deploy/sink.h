/* SPDX-License-Identifier: Apache-2.0 */
/* sink.h - requests and answers of an endpoint told to others as CloudEvents, as KServe's logger tells them.
 *
 * A sampled pair is copied into the sink's own queue; a thread makes the bodies and posts them. Nobody who answers waits for a sink: when it is
 * slow or gone the queue fills, and what does not fit is dropped and counted. A post that fails (no answer, 429, 5xx) is tried again up to
 * WR_SINK_TRIES times with growing pauses; another status, or the last try, drops it.
 *
 * HTTP binary mode: ce-specversion 1.0; ce-id, the prediction's id, the same for both; ce-source /v2/models/ENDPOINT unless said; ce-type
 * org.kubeflow.serving.inference.request or .response; ce-time; ce-inferenceservicename the endpoint; ce-namespace, ce-component as said;
 * ce-endpoint "default" or the arm; ce-recordedtime. The body is that of the Open Inference Protocol V2, as JSON, however the request came.
 * When the server stops, a sink that takes them has two seconds for what is in its queue; kill -9 loses it.
 */
#pragma once
#include "core/endpoint.h"
#include "stage/deploy/queue.h"
#include "stage/predlog/predlog.h"

enum { WR_SINK_BYTES = 8 << 20, WR_SINK_TRIES = 6 };

typedef struct wr_sink wr_sink;
int wr_sink_open(wr_sink **out, const char *endpoint, const wr_endpoint_sink *spec, wr_err *err); /* strings of spec live as long */
void wr_sink_close(wr_sink *s);
/* Is this request one that the sink should have? */
bool wr_sink_wants(wr_sink *s);
/* A record as wr_predlog_put_tensors makes it, of all rows. */
void wr_sink_put(wr_sink *s, wr_str record);
void wr_sink_lose(wr_sink *s);

typedef struct { const char *endpoint, *url; uint64_t sent, dropped; size_t waiting; char error[200]; /* "" = fine */ } wr_sink_status;
void wr_sink_look(wr_sink_status *out, wr_sink *s);

/* The body of one side; for tests and for who writes a sink. */
void wr_sink_body(wr_buf *out, const wr_predlog_tensors *r, bool response);
