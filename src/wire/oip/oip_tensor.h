/* SPDX-License-Identifier: Apache-2.0 */
/* oip_tensor.h - the inputs of an inference request as rows of cells. Private to this folder. */
#pragma once
#include "codec/json.h"
#include "wire/oip/oip.h"

typedef struct { wr_cell *cells; size_t rows; } wr_oip_rows;

/* All inputs of the request object. Messages name the input. */
int wr_oip_read_inputs(wr_oip_rows *out, const wr_oip_model *m, yyjson_val *inputs, wr_arena *a, wr_err *err);
