/* SPDX-License-Identifier: Apache-2.0 */
/* logged_model_inside.h - what the logged_model*.c files share. */
#pragma once
#include "track/filter.h"
#include "track/logged_model.h"
#include "track/track_inside.h"

#define WR_LOGGED_COLUMNS                                                                                              \
    "m.id, m.experiment, m.uuid, m.name, m.artifact_uri, m.model_type, m.run_id, m.status_message, m.status, "         \
    "m.created_ms, m.updated_ms, m.deleted_ms"
enum { WR_LOGGED_NCOLUMNS = 12 };
/* What a search may name of one, metrics being those on the query's datasets; kept in the arena. */
int wr_logged_model_noun(const wr_filter_noun **out, wr_arena *a, wr_track *t, const wr_logged_query *q, wr_err *err);
wr_logged_model wr_logged_model_row(wr_arena *a, wr_stmt *s);
/* Params, tags, metrics and registrations of many. */
int wr_logged_model_load(wr_logged_model *m, size_t n, wr_arena *a, wr_track *t, wr_err *err);
