/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h - must a stage run, and why.
 *
 * In this order, as DVC does it: no entry in weir.lock ("never ran"); command; always_changed; deps; params; outs. All
 * reasons are told, not only the first. A stage that is not up to date and has an entry in the run cache is to be
 * restored. A frozen stage is up to date as long as its outs are there.
 *
 * For a plan (nothing is run) the judge can be told what a stage would make: wr_judge_assume(). What depends on outs
 * that nobody knows yet is WR_VERDICT_MAY_RUN.
 */
#pragma once
#include "flow/cache.h"
#include "flow/identity.h"

typedef enum {
    WR_VERDICT_FRESH,
    WR_VERDICT_RUN,
    WR_VERDICT_RESTORE,
    WR_VERDICT_MAY_RUN,             /* a dep is still to be made */
    WR_VERDICT_BLOCKED              /* a dep or a param does not exist; `why` names it */
} wr_verdict_kind;

typedef struct {
    wr_verdict_kind kind;
    const char *why;                /* "dep data:flights changed, cmd changed"; "" when fresh */
    wr_lock_stage now;              /* name, cmd, deps and params as they are now, outs empty */
    char key[WR_SHA256_HEX];        /* of the run cache; "" when the stage is not cacheable */
    wr_lock_ref *cached;            /* RESTORE: the outs */
} wr_verdict;

typedef struct {
    wr_project *p;
    const wr_pipeline *pl;
    wr_identity *identity;
    const wr_lock_file *lock;
    bool force;
    wr_map assumed;                 /* ref -> wr_lock_ref * (hash "" = unknown); see wr_judge_assume */
} wr_judge;

/* Strings in `a`. Errors are of reading files and records; a missing dep is a verdict. */
int wr_judge_stage(wr_verdict *out, wr_arena *a, wr_judge *j, const wr_stage *s, wr_err *err);
/* From now on the outs of `s` count as `outs`, or as unknown when NULL. */
int wr_judge_assume(wr_judge *j, wr_arena *a, const wr_stage *s, const wr_lock_ref *outs, wr_err *err);
void wr_judge_fini(wr_judge *j);
