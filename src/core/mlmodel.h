/* SPDX-License-Identifier: Apache-2.0 */
/* mlmodel.h - the MLmodel file that MLflow puts beside each model, as far as people ask for it: flavours and signature.
 *
 *   flavors: {python_function: {...}, sklearn: {...}}
 *   signature: {inputs: '[{"type":"double","name":"x","required":true}]', outputs: '...', params: null}
 *
 * YAML with JSON inside its strings. Columns, tensors, arrays, objects and maps are known; a type that is not is shown
 * by its own name. What is missing is NULL or 0; WEIR_EPARSE, WEIR_ETYPE and WEIR_ELIMIT for what is no MLmodel.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum { WR_MLMODEL_MAX = 4 << 20, WR_MLMODEL_COLUMNS = 10000 }; /* bytes; columns of one side of a signature */

typedef struct {
    const char *name;  /* "" when it has none, as a lone tensor */
    const char *type;  /* "double", "float64[-1, 4]", "array<long>", "{a: long, b?: string}" */
    const char *value; /* a parameter's default as JSON; else NULL */
    bool optional;
} wr_mlmodel_column;

typedef struct {
    wr_mlmodel_column *at;
    size_t n;
} wr_mlmodel_columns;

typedef struct {
    const char *flavors; /* "python_function, sklearn"; "" */
    const char *mlflow_version, *model_uuid, *run_id;
    bool has_signature;
    wr_mlmodel_columns inputs, outputs, params;
} wr_mlmodel;

/* Everything in the arena. `what` names the file in messages. */
int wr_mlmodel_parse(wr_mlmodel *out, wr_arena *a, wr_str text, const char *what, wr_err *err);
