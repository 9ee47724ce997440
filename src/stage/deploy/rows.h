/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - a package behind an endpoint as a model of tensors: each column that a request brings is an input, one element a row.
 *
 * Inputs, in order of the view's request columns, all of shape [n] or [n,1]: a text column takes BYTES; a number any number or BOOL; a time BYTES
 * (ISO 8601) or INT64 (microseconds since 1970 UTC). NaN, a text {NULL, 0} and the time INT64_MIN are missing values. Outputs: "probability"
 * FP64 [n], "label" INT64 [n], 1 from the endpoint's threshold on. Asked to explain, one more: "contributions" FP64 [n, 1, features + 1] of the
 * features that the learner sees (m->explained), computed for the row as for a prediction; the last is the base value, the sum the margin.
 *
 * An explanation is a reading, no prediction: nothing is recorded, no prediction is counted, there are no ids.
 */
#pragma once
#include "stage/deploy/serve.h"

typedef struct {
    wr_tensor *out;                 /* in the order asked for */
    size_t nout;
    size_t rows;
    const wr_str *ids;              /* that the predictions are kept under, one a row */
} wr_serve_answer;

/* What clients see of `m`: specs of inputs and outputs, in `a`. */
int wr_serve_specs(wr_tensor_spec **in, size_t *nin, wr_tensor_spec **out, size_t *nout, const wr_served *m, wr_arena *a, wr_err *err);
/* Ids of rows: `id`, of several rows ID/i, or made. WEIR_EINVAL when it is too long. */
int wr_serve_ids(wr_str *ids, size_t rows, wr_serve *s, wr_str id, wr_arena *a, wr_err *err);
/* Predicts as below, and neither records nor counts it: for copies of requests, and explanations. No ids. */
int wr_serve_try(wr_serve_answer *out, wr_served *m, const wr_infer_request *q, wr_arena *a, wr_err *err);
/* Rows of the request columns of live's view out of those inputs of `q`, each one of them. `in` says which may be left out: such a time is now, columns
 * that are looked up are found (also where a request has null), others are missing. rows: how many there are when no input says so. Cells in
 * order of the view's request, in `a`. Errors name the input; WEIR_EUNAVAILABLE: nothing to look up in. */
int wr_rows_read(wr_cell **cells, size_t *rows, wr_live *live, const wr_tensor_spec *in, const char *endpoint, const wr_infer_request *q, wr_arena *a,
                 wr_err *err);
/* Predicts and records each row in round `r`; counts in m->stats. `id`: of the request, row i of several is kept as ID/i; n 0 = ids are made.
 * Errors name the input. */
int wr_serve_infer(wr_serve_answer *out, wr_round *r, wr_served *m, const wr_infer_request *q, wr_str id, wr_arena *a, wr_err *err);
