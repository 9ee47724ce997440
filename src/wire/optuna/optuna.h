/* SPDX-License-Identifier: Apache-2.0 */
/* optuna.h - Optuna's storage protocol (optuna.StorageService of Optuna 4.2 to 5.0, the same in all of them): a request message in, a
 * response message out, between the two track/study.h. No HTTP here: io/http_grpc.h carries the messages.
 *
 *   begin   finds the procedure and reads the request
 *   run     does it and writes the response; where, says `mode`
 *   status  what gRPC status a failure is: Optuna's client turns NOT_FOUND into KeyError, ALREADY_EXISTS into DuplicatedStudyError,
 *           FAILED_PRECONDITION into UpdateFinishedTrialError, INVALID_ARGUMENT into ValueError
 */
#pragma once
#include "io/http_grpc.h"
#include "track/study.h"

typedef enum {
    WR_OPTUNA_READ,  /* some rows by key */
    WR_OPTUNA_QUERY, /* perhaps many */
    WR_OPTUNA_WRITE, /* inside a write (wr_track_write) */
} wr_optuna_mode;

typedef struct wr_optuna_rpc wr_optuna_rpc;
typedef struct {
    wr_track *track; /* by the caller, as arena and out */
    wr_arena *arena;
    wr_buf *out;
    const wr_optuna_rpc *rpc;
    wr_optuna_mode mode;
    /* the request: each procedure has some of these */
    int64_t study, trial, number, after;
    wr_str key, text;
    double value;
    uint64_t state;
    double *values;
    uint64_t *directions;
    int64_t *also;
    size_t nvalues, ndirections, nalso;
    bool no_template;
    wr_trial like;
} wr_optuna_call;

#define WR_OPTUNA_PATH "/optuna.StorageService/"
/* `method` is what follows WR_OPTUNA_PATH; slices of `message` are kept. WEIR_EUNSUPPORTED when there is no such method. */
int wr_optuna_begin(wr_optuna_call *c, wr_str method, wr_str message, wr_err *err);
/* Appends the response to c->out. */
int wr_optuna_run(wr_optuna_call *c, wr_err *err);
wr_grpc_status wr_optuna_status(int weir_code);
