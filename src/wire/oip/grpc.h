/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.h - the Open Inference Protocol over gRPC, as Triton has it (triton-inference-server/common protobuf/grpc_service.proto,
 * model_config.proto): a request message in, a response message out. No HTTP here: io/http_grpc.h carries the messages. What a request
 * means is what it means over REST (rest.h); models come through wr_oip_ops (ops.h).
 *
 *   inference.GRPCInferenceService
 *     ServerLive, ServerReady, ModelReady, ServerMetadata, ModelMetadata, ModelInfer: the protocol's own
 *     ModelConfig, ModelStatistics, RepositoryIndex, RepositoryModelLoad, RepositoryModelUnload, SystemSharedMemoryStatus, -Register,
 *     -Unregister, CudaSharedMemoryStatus, -Register, -Unregister, TraceSetting, LogSettings: Triton's
 *     ModelStreamInfer: UNIMPLEMENTED, a call here has one request
 *   grpc.health.v1.Health/Check, for the server ("") and "inference.GRPCInferenceService"
 *
 * ModelInfer: inputs come as raw_input_contents, one for each input that has no region of shared memory and in their order, or all typed
 * (contents); FP16 and BF16 raw only. Numbers of raw tensors that lie aligned in the message are not copied. Outputs always go as
 * raw_output_contents, one each, empty for what went to shared memory. Ids of predictions that were kept are told in parameters:
 * prediction_ids, a string with a JSON list.
 *
 * Errors are in Triton's words: INVALID_ARGUMENT, NOT_FOUND for an unknown model, UNAVAILABLE for one that is not ready or a full queue,
 * DEADLINE_EXCEEDED, UNIMPLEMENTED.
 *
 * Threads: from any; a request's memory is the caller's arena and buffer. Caps: base/limits.h.
 */
#pragma once
#include "io/http_grpc.h"
#include "wire/oip/ops.h"

#define WR_OIP_GRPC_PATH "/inference.GRPCInferenceService"
#define WR_OIP_HEALTH_PATH "/grpc.health.v1.Health"

typedef struct {
    wr_str path;                      /* "/inference.GRPCInferenceService/ModelInfer" */
    wr_str message;                   /* lasts as long as the arena */
    int64_t start_ns;                 /* wr_clock_mono_ns when it was there; 0 = not known */
    int64_t deadline_ns;              /* of the client; heeded before a model runs. 0 = none */
    wr_oip_later later;
} wr_oip_grpc_request;

typedef struct {
    wr_grpc_status status;
    bool kept;                        /* as in wr_oip_result */
    bool waits;                       /* the rest is not there yet: later.done tells */
    wr_buf *body;                     /* the message is appended; nothing is on failure */
    char text[1400];                  /* of a failure */
} wr_oip_grpc_response;

void wr_oip_grpc(wr_oip_grpc_response *out, wr_oip *o, const wr_oip_grpc_request *in, const wr_oip_ops *ops, wr_arena *a);

/* What a call does beside answering, for who decides about it before: it loads or unloads *name, or changes the server for all ("*"). */
bool wr_oip_grpc_controls(wr_str *name, wr_str path, wr_str message);
/* The model that a message of ModelInfer is for, for who refuses it unread; version "" = the default one. */
void wr_oip_grpc_asked_model(wr_str *model, wr_str *version, wr_str message);
/* What clients ask before they know whether to say who they are: liveness and readiness of the server. */
bool wr_oip_grpc_is_open(wr_str path);
