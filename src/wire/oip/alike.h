/* SPDX-License-Identifier: Apache-2.0 */
/* alike.h - requests that differ from one before in the values of their tensors alone. A client asks the same model in the same words again and
 * again: what stands around the values is compared with what was understood before, instead of being understood anew.
 *
 *   {"inputs": [{"name": "x", "shape": [1,4], "datatype": "FP32", "data": |[1, 2, 3, 4]|}]}
 *
 * A form is that text without what stands between the bars, and what it means. It is good for one instance of a model (its generation), since names and
 * what may be missing are the model's. Not every request has a form: one whose data stands before its shape, whose strings have escapes, with an id,
 * parameters or shared memory is read in full each time.
 *
 * Threads: one table for each loop. Private to this folder but for the two functions in rest.h.
 */
#pragma once
#include "wire/oip/rest.h"
#include "wire/oip/service.h"

enum { WR_OIP_FORMS = 8, WR_OIP_FORM_TEXT = 1024, WR_OIP_FORM_TENSORS = 8 };

typedef struct { uint32_t from, n; } wr_oip_span;

/* What a full reading noted of input i, in the order of q.in. Offsets are those of the request's JSON. */
typedef struct {
    size_t at;                        /* of the model's inputs */
    wr_tensor_type type;              /* as the request says: where values are missing, the tensor has another one */
    bool binary;                      /* or its data is JSON, from `from` to `to` */
    uint64_t size;                    /* of binary data */
    size_t from, to;
} wr_oip_noted;

typedef struct {
    bool odd;                         /* it has no form */
    size_t n;
    wr_oip_noted in[WR_OIP_FORM_TENSORS];
} wr_oip_notes;

typedef struct {
    uint64_t generation;
    bool explain;
    unsigned credit;                  /* how much it is worth: the more often it was of use */
    /* The text in pieces: piece k ends where the k-th list of values begins, the last one at the end. */
    size_t npieces, ends[WR_OIP_FORM_TENSORS + 1];
    char text[WR_OIP_FORM_TEXT];
    size_t nin, nout;
    wr_tensor in[WR_OIP_FORM_TENSORS];
    wr_oip_noted noted[WR_OIP_FORM_TENSORS];
    wr_oip_span in_names[WR_OIP_FORM_TENSORS], out_names[WR_OIP_FORM_TENSORS]; /* in `text` */
    wr_oip_output out[WR_OIP_FORM_TENSORS];
    bool binary;                      /* as in wr_oip_asked */
    uint64_t timeout_us, priority;
} wr_oip_form;

/* The form that `json` seems to have, or NULL: its first and last pieces are there, and do not overlap. */
const wr_oip_form *wr_oip_form_of(wr_oip_alike *k, uint64_t generation, bool explain, wr_str json);
/* Keeps the form of a request that was read in full and has none yet, unless all that are kept are worth more. */
void wr_oip_form_keep(wr_oip_alike *k, uint64_t generation, bool explain, wr_str json, const wr_oip_asked *asked, const wr_oip_notes *notes);
