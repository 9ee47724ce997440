/* SPDX-License-Identifier: Apache-2.0 */
/* mlmodel_fuzz.c - any bytes as an MLmodel: what is taken has texts everywhere, and defaults that are JSON. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/json.h"
#include "core/mlmodel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mlmodel_require(bool ok)
{
    if (!ok) abort();
}

static void mlmodel_columns(const wr_mlmodel_columns *l)
{
    mlmodel_require(l->n <= WR_MLMODEL_COLUMNS);
    for (size_t i = 0; i < l->n; i++) {
        mlmodel_require(l->at[i].name && l->at[i].type);
        if (!l->at[i].value) continue;
        wr_json j = {0};
        mlmodel_require(wr_json_parse(&j, wr_str_of(l->at[i].value), "default", NULL) == 0);
        wr_json_free(&j);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_mlmodel m;
    wr_err err = {0};
    mlmodel_require(a != NULL);
    int rc = wr_mlmodel_parse(&m, a, (wr_str){(const char *)data, size}, "MLmodel", &err);
    mlmodel_require(rc == 0 || (rc < 0 && err.msg[0]));
    if (rc < 0) return 0;
    mlmodel_require(m.flavors != NULL);
    mlmodel_columns(&m.inputs);
    mlmodel_columns(&m.outputs);
    mlmodel_columns(&m.params);
    return 0;
}
