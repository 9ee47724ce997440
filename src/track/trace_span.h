/* SPDX-License-Identifier: Apache-2.0 */
/* trace_span.h - spans as they are kept: from OTLP to rows, and what they say of their trace. Plain functions; any
 * thread.
 *
 * A span is kept as the JSON text that MLflow keeps (Span.to_dict), spaced as Python spaces it, because searches look
 * into that text:
 *   {"trace_id": base64, "span_id": base64, "parent_span_id": base64|null, "name", "start_time_unix_nano",
 * "end_time_unix_nano", "events": [{"name", "time_unix_nano", "attributes"}], "status": {"code": "STATUS_CODE_OK",
 * "message"}, "attributes": {key: JSON as text}, "links": [{"trace_id": "tr-...", "span_id", "attributes"}]} A text
 * attribute that itself is a JSON text, list or object is kept as that, other values are written as JSON.
 *
 * Attributes of other conventions (OpenInference, OpenTelemetry's gen_ai, Traceloop, Google ADK, Vercel AI, Laminar,
 * Langfuse) are translated: type, inputs, outputs, token usage, model, provider, tools. Costs are kept when they are
 * sent; there is no price list here.
 */
#pragma once
#include "base/arena.h"
#include "codec/otlp.h"
#include "track/track.h"

enum {
    WR_TOKENS = 6, /* input, output, total, cache read, cache creation, of it above one hour */
    WR_COSTS = 3,  /* input, output, total */
};
extern const char *const wr_token_names[WR_TOKENS], *const wr_cost_names[WR_COSTS];

typedef struct {
    uint64_t id, parent;
    bool root;
    int status;               /* of OTLP */
    int64_t start_ns, end_ns; /* end 0: none */
    wr_str name, content;
    double costs[WR_COSTS];                    /* NaN: none */
    wr_str type, usage, cost, model, provider; /* p NULL: none; usage, cost: JSON objects */
} wr_span;

/* The spans of one trace in a batch. */
typedef struct {
    wr_str uuid;
    wr_span *spans;
    size_t n;
    int64_t start_ms, end_ms;                                      /* end_ms WR_SPAN_NO_END: no span has ended */
    int root;                                                      /* state by the root span, or -1 */
    bool usage, cost;                                              /* some span has it */
    wr_str session, user, name, request_preview, response_preview; /* p NULL: none */
    wr_track_item *tags; /* of the resource, then of the root span; later ones count */
    size_t ntags;
} wr_span_trace;
#define WR_SPAN_NO_END INT64_MIN

typedef struct {
    wr_span_trace *traces;
    size_t n, nspans, refused;
    const char *why; /* the first refused was */
} wr_span_batch;

/* Of a span that comes twice in a request the last one counts. */
int wr_span_batch_make(wr_span_batch *out, wr_arena *a, const wr_otlp_spans *in, wr_err *err);

/* Sums over the tree of a trace's spans: what a span says includes what those below it say. `at` are JSON objects, p
 * NULL: none. false: nobody says anything; sums[i] is NaN where nobody did and the name is not one of the first
 * `always`. */
typedef struct {
    uint64_t id, parent;
    bool root;
    wr_str data;
} wr_span_node;
bool wr_span_sum(double *sums, const char *const *names, size_t n, size_t always, const wr_span_node *nodes,
                 size_t nnodes);

/* JSON as Python's json.dumps(ensure_ascii=False) writes it. */
void wr_span_json_str(wr_buf *out, wr_str s);
void wr_span_json(wr_buf *out, const wr_otlp_value *v);
/* The first 1000 characters of what a request or answer says: of chat messages the last one's text. JSON text in. */
wr_str wr_span_preview(wr_arena *a, wr_str json, const char *role);
