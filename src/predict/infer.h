/* SPDX-License-Identifier: Apache-2.0 */
/* infer.h - one request to one model: inputs checked and put in order, run, counted.
 *
 * Errors are worded as Triton words them, since its clients' tests look at the texts: "unexpected inference input 'x' for model 'm'",
 * "unexpected shape for input 'x' for model 'm'. Expected [-1,16], got [1,8]", "inference request batch-size must be <= 8 for 'm'".
 */
#pragma once
#include "predict/repository.h"

typedef struct wr_infer_request {
    const wr_tensor *in;
    size_t nin;
    const wr_str *outputs;         /* names; noutputs 0 = all */
    size_t noutputs;
    int64_t start_ns;              /* wr_clock_mono_ns when the request was there; 0 = not known */
    int64_t timeout_us;            /* of the client: it waits for others half of it at most; 0 = none */
    bool explain;                  /* one output more, "contributions" */
} wr_infer_request;

typedef struct wr_infer_answer {
    wr_tensor *out;                /* in the order asked for; in the arena */
    size_t nout;
    size_t rows;                   /* 1 when the model has no batch dimension */
    bool cached;
    int64_t busy_ns;               /* spent for it: of a run that it shared its part, and nothing of what it waited for others; also when the run fails */
} wr_infer_answer;

/* WEIR_EINVAL: the request does not fit the model; WEIR_EUNAVAILABLE: its queue is full; else errors of run. Counts both ways. */
int wr_infer(wr_infer_answer *out, const wr_instance *m, const wr_infer_request *q, wr_arena *a, wr_err *err);
