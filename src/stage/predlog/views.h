/* SPDX-License-Identifier: Apache-2.0 */
/* views.h - the views that records are of: LOG/views/DIGITS.json, canonical JSON, kept from before the first record names the view (predlog.h). */
#pragma once
#include "base/arena.h"
#include "core/view.h"

/* A view by the id that records carry (wr_predlog_view_id). WEIR_ENOTFOUND when it was never kept. */
int wr_predlog_view(wr_view **out, wr_arena *a, const char *log_dir, uint64_t id, wr_err *err);
/* Durable when it returns; nothing to do when it is kept already. */
int wr_predlog_view_keep(const char *log_dir, uint64_t id, wr_str json, wr_err *err);
