/* SPDX-License-Identifier: Apache-2.0 */
/* eval_dataset_inside.h - what eval_dataset.c and eval_record.c share. Private to track/. */
#pragma once
#include "track/eval_dataset.h"

int wr_eval_dataset_id(int64_t *out, wr_track *t, wr_str uuid, wr_err *err); /* WEIR_ENOTFOUND */
void wr_eval_digest(char out[9], wr_str name, int64_t updated_ms);
/* After records of dataset `id` changed. `by` p NULL: nobody said who. */
int wr_eval_dataset_changed(wr_track *t, int64_t id, wr_str schema, wr_str by, wr_err *err);
