/* SPDX-License-Identifier: Apache-2.0 */
/* scorer.h - scorers of an experiment: judges of traces under a name, each version a JSON text that clients made and
 * clients run. Versions count from 1 and go up; the number of the last one is given again when that one is deleted. */
#pragma once
#include "track/track.h"

enum { WR_SCORER_TEXT = 4 << 20, WR_SCORER_LIST_BYTES = 64 << 20 };

typedef struct {
    int64_t experiment, version, created_ms;
    wr_str uuid /* of the scorer */, name, serialized;
} wr_scorer;

/* In a write. WEIR_ENOTFOUND, WEIR_EINVAL for a deleted experiment and for a text that is no scorer. */
int wr_scorer_register(wr_scorer *out, wr_arena *a, wr_track *t, int64_t experiment, wr_str name, wr_str serialized,
                       wr_err *err);
/* version 0: the newest. WEIR_ENOTFOUND. */
int wr_scorer_get(wr_scorer *out, wr_arena *a, wr_track *t, int64_t experiment, wr_str name, int64_t version,
                  wr_err *err);
/* The newest version of each, by experiment and name. A deleted experiment: WEIR_EINVAL. */
int wr_scorer_list(wr_scorer **out, size_t *n, wr_arena *a, wr_track *t, int64_t experiment, wr_err *err);
/* The same of all active experiments. */
int wr_scorer_list_all(wr_scorer **out, size_t *n, wr_arena *a, wr_track *t, wr_err *err);
/* All versions of one, by number. WEIR_ENOTFOUND. */
int wr_scorer_versions(wr_scorer **out, size_t *n, wr_arena *a, wr_track *t, int64_t experiment, wr_str name,
                       wr_err *err);
/* In a write. version 0: all of them. WEIR_ENOTFOUND. */
int wr_scorer_delete(wr_track *t, int64_t experiment, wr_str name, int64_t version, wr_err *err);
int wr_scorer_purge_experiment(wr_track *t, int64_t experiment, wr_err *err);
