/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_internal.h - between pipeline.c (sections, foreach, what must hold between stages) and pipeline_stage.c. */
#pragma once
#include "flow/pipeline.h"

/* `body` with its keys checked and its variables replaced becomes `out`. `name` and `at` are the stage's. */
int wr_stage_parse(wr_stage *out, const wr_yaml *body, const char *name, const wr_yaml *at, const wr_vars *vars,
                   wr_err *err);
/* "a/../b/./c" -> "b/c" relative to the root, absolute when outside of it; "./" stays before a name with a colon. */
const char *wr_stage_path(wr_arena *a, const char *root, const char *wdir, const char *path);
