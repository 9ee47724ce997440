/* SPDX-License-Identifier: Apache-2.0 */
/* trace_assessment.h - what somebody or something thinks of a trace: feedback, an expectation, or a known issue.
 *
 * An assessment may override another of the same trace, which is invalid from then on and valid again when the newer
 * one is deleted. */
#pragma once
#include "track/track.h"

typedef enum { WR_ASSESS_FEEDBACK = 1, WR_ASSESS_EXPECTATION, WR_ASSESS_ISSUE } wr_assess_kind;

typedef struct {
    wr_str id, trace, name; /* id "a-" and 32 digits; trace: the uuid */
    wr_assess_kind kind;
    wr_str value; /* JSON */
    wr_str error; /* JSON object {error_code, error_message, stack_trace}; p NULL: none */
    int64_t created_ms, updated_ms;
    wr_str source_type, source_id, run, span, rationale, overrides; /* p NULL: none */
    wr_str metadata;                                                /* JSON object of texts; p NULL: none */
    bool valid;
} wr_assessment;

/* Those of a trace, oldest first. `uuid` is what they are given as their trace. */
int wr_assessments_of(wr_assessment **out, size_t *n, wr_arena *a, wr_track *t, int64_t trace, wr_str uuid,
                      wr_err *err);
/* WEIR_ENOTFOUND. */
int wr_assessment_get(wr_assessment *out, wr_arena *a, wr_track *t, wr_str trace, wr_str id, wr_err *err);

/* In a write. An empty id is made, times 0 are now. WEIR_ENOTFOUND without the trace or what it overrides. */
int wr_assessment_create(wr_track *t, wr_arena *a, wr_assessment *in, wr_err *err);
/* The same for a trace that is there; one of that id is replaced. */
int wr_assessment_put(wr_track *t, int64_t trace, wr_arena *a, wr_assessment *in, wr_err *err);
/* What `name`, `value`, `error`, `rationale`, `metadata` should be from now on; kind, source and span stay. */
int wr_assessment_update(wr_track *t, const wr_assessment *in, wr_err *err);
int wr_assessment_delete(wr_track *t, wr_arena *a, wr_str trace, wr_str id, wr_err *err); /* again: nothing happens */
