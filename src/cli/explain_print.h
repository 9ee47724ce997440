/* SPDX-License-Identifier: Apache-2.0 */
/* explain_print.h - contributions of features to predictions as a table with bars. */
#pragma once
#include "cli/cli.h"

typedef struct {
    const double *phi;              /* rows x outputs x (features + 1), the last is the base value */
    size_t rows, outputs, features;
    const char *const *names;       /* of the features; NULL = numbers */
} wr_explained;

/* explanations, features, base_values, margins: as the server answers. */
void wr_explained_json(wr_jsonw *w, const wr_explained *e);

#define WR_EXPLAIN_TOP {"top", 0, WR_ARG_INT, "N", "with contributions: so many features of each row", "5"}

/* The `top` features of each row by size, what the others add up to, base value and margin. At most 100 rows are shown. */
int wr_explained_print(wr_cli *c, const wr_explained *e, size_t top, wr_err *err);
