/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_rows.h - rows of a frame for people, as JSON and as CSV. */
#pragma once
#include "calc/frame.h"
#include "cli/cli.h"

/* A table on stdout; columns beyond 31 are counted below it. Nothing when --json. */
void wr_rows_print(wr_cli *c, const wr_frame *f);
/* An array with an object a row. */
void wr_rows_json(wr_jsonw *w, const wr_frame *f);
/* Header and rows (RFC 4180, line feeds); missing values are empty, empty texts "". */
void wr_rows_csv(wr_buf *b, const wr_frame *f);
