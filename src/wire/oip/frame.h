/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - rows and columns, as V1 and MLflow's scoring send them, into the tensors of a model. Private to this folder.
 *
 * A model that takes rows has columns: its inputs; or, when it has one input of [rows, n] and says what its features are called, these and
 * the input as a whole. What comes by name may come in any order; names that the model does not know are dropped, names that are missing
 * are an error that lists them (MLflow's words: "Model is missing inputs ['a', 'b']."). A row without a value that others have, and null,
 * is a missing value where the column has one (floats, lenient inputs), else an error.
 * Values are read straight into place; nothing is kept but the tensors. Values are not rounded into whole numbers: 1.5 for INT64 is refused.
 */
#pragma once
#include "wire/oip/inside.h"

typedef struct {
    wr_str name;
    size_t tensor, offset, n;         /* of the elements of a row: first, how many */
    bool optional, seen;              /* seen: in any row */
    bool now;                         /* seen in this row */
    bool absent;                      /* some row has no value, and cannot do without */
    size_t absent_row;
} wr_oip_column;

typedef struct {
    wr_oip_call *c;
    const wr_oip_model *m;
    wr_err *err;
    wr_tensor *t;                     /* m->nin; data NULL until the first value */
    uint8_t **missing;                /* of lenient inputs, by element */
    size_t *each;                     /* elements of a row; 0 = not known before the first one */
    wr_oip_column *columns;
    size_t ncolumns, ninputs;         /* ninputs: columns that stand for a place in a row that is a list */
    bool matrix;                      /* columns are features of the one input; the last one is the input itself */
    size_t rows;
    wr_str extra[4];                  /* names that were dropped, some of them */
    size_t nextra;
    uint32_t *slots;                  /* 1 + place in columns by hash of the name, 0 = free; nslots is a power of two */
    size_t nslots;
} wr_oip_frame;

/* WEIR_EINVAL for a model whose inputs are no rows. */
int wr_oip_frame_init(wr_oip_frame *f, wr_oip_call *c, wr_err *err);
/* The next value of `s`: a list of rows, each a list, an object or a scalar. */
int wr_oip_frame_rows(wr_oip_frame *f, wr_jscan *s);
/* An object of columns, each a list (or a scalar: one row). */
int wr_oip_frame_columns(wr_oip_frame *f, wr_jscan *s);
/* {"columns": [...], "index": [...], "data": [[...], ...]} in any order. */
int wr_oip_frame_split(wr_oip_frame *f, wr_jscan *s);
/* A header line and records (RFC 4180). */
int wr_oip_frame_csv(wr_oip_frame *f, wr_str text);
/* Checks that nothing is missing; fills q->in. */
int wr_oip_frame_finish(wr_oip_frame *f, wr_oip_infer *q);
/* For the files of the forms: */
int wr_oip_frame_start(wr_oip_frame *f, size_t rows);
int wr_oip_frame_ready(wr_oip_frame *f, size_t tensor, wr_tensor_type type);
wr_oip_column *wr_oip_frame_find(wr_oip_frame *f, wr_str name, size_t guess);
int wr_oip_frame_null(wr_oip_frame *f, wr_oip_column *k, size_t row);
int wr_oip_frame_row_end(wr_oip_frame *f, size_t row);
int wr_oip_frame_cell(wr_oip_frame *f, wr_oip_column *k, size_t row, wr_jscan *s);

/* Items of the list that comes next; the scanner stays where it is. */
int wr_oip_count_items(const wr_jscan *s, size_t *n);

/* Whole tensors by name for a model without rows, the shape from the nesting; a list: of its one input. */
int wr_oip_whole_tensors(wr_oip_infer *q, wr_oip_call *c, wr_jscan *s, wr_err *err);

/* Outputs as the value of "predictions": one output as nested lists, several as rows of {name: value}. `skip`: one that is left out, or NULL.
 * words: NaN as such. */
void wr_oip_put_predictions(wr_buf *out, const wr_oip_result *r, const wr_tensor *skip, bool rows, bool words);
void wr_oip_put_nested(wr_buf *out, const wr_tensor *t, bool words);
