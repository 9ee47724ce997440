/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_inside.h - what the files of gRPC share: a call on its way. Private to them. */
#pragma once
#include "codec/protobuf.h"
#include "wire/oip/grpc.h"
#include "wire/oip/service.h"

typedef struct {
    wr_oip *o;
    const wr_oip_grpc_request *in;
    const wr_oip_ops *ops;
    wr_arena *arena;
    wr_buf *b;                        /* the response is appended */
    wr_oip_model m;                   /* of procedures about a model */
    bool kept;
    bool waits;                       /* the answer comes later; m is kept */
    wr_oip_grpc_response *out;
    wr_err err;                       /* the last member */
} wr_oip_rpc;

/* Requests about a model that have nothing but its name and version. */
typedef struct { wr_str name, version; } wr_oip_named;
int wr_oip_rpc_named(wr_oip_named *out, const wr_oip_rpc *c, wr_err *err);
/* One string, or nothing: field 1. */
int wr_oip_rpc_text(wr_str *out, const wr_oip_rpc *c, wr_err *err);
void wr_oip_put_shape64(wr_buf *b, uint32_t number, const int64_t *shape, int ndims);
/* An entry of a map from strings is begun; the value is field 2. */
size_t wr_oip_open_entry(wr_buf *b, uint32_t number, wr_str key);

/* ---- parameters: grpc_params.c ---- */

typedef enum { WR_OIP_NO_VALUE, WR_OIP_BOOL_VALUE, WR_OIP_INT_VALUE, WR_OIP_STR_VALUE, WR_OIP_REAL_VALUE, WR_OIP_UINT_VALUE } wr_oip_value_kind;
typedef struct {
    wr_str key;
    wr_oip_value_kind kind;
    union { bool b; int64_t i64; double f64; uint64_t u64; wr_str str; };
} wr_oip_value;
/* An entry of map<string, InferParameter>. */
void wr_oip_read_value(wr_oip_value *out, wr_pb *r, const wr_pb_field *f);
/* Shared memory of a tensor: false when `v` is about something else. */
bool wr_oip_place_value(int *rc, wr_oip_place *p, const wr_oip_value *v, wr_err *err);
/* A whole number from 0 on, sent as int64 or uint64. */
int wr_oip_whole_value(uint64_t *out, const wr_oip_value *v, wr_err *err);

/* ---- procedures: 0 or an error ---- */

int wr_oip_rpc_infer(wr_oip_rpc *c, wr_err *err);              /* grpc_infer.c */
/* One that waited is answered, rc < 0: with c->err. The message is behind the first `start` bytes. */
void wr_oip_rpc_over(wr_oip_rpc *c, size_t start, int rc);
int wr_oip_rpc_answer(wr_oip_rpc *c, const wr_oip_asked *asked, wr_oip_result *r, wr_err *err); /* grpc_answer.c */
int wr_oip_rpc_live(wr_oip_rpc *c, wr_err *err);               /* grpc_models.c */
int wr_oip_rpc_ready(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_health(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_server(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_model_ready(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_model(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_stats(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_config(wr_oip_rpc *c, wr_err *err);             /* grpc_config.c */
int wr_oip_rpc_index(wr_oip_rpc *c, wr_err *err);              /* grpc_repository.c */
int wr_oip_rpc_load(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_unload(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_regions(wr_oip_rpc *c, wr_err *err);            /* grpc_regions.c */
int wr_oip_rpc_register(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_unregister(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_cuda_regions(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_cuda_register(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_cuda_unregister(wr_oip_rpc *c, wr_err *err);
int wr_oip_rpc_trace(wr_oip_rpc *c, wr_err *err);              /* grpc_settings.c */
int wr_oip_rpc_log(wr_oip_rpc *c, wr_err *err);
