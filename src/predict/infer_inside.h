/* SPDX-License-Identifier: Apache-2.0 */
/* infer_inside.h - a request on its way through a model: what infer.c, infer_job.c and batch.c share. Private to them.
 *
 *   begin    inputs judged and put in the model's order, outputs chosen, the cache asked
 *   run      alone (wr_infer_job_run), or with others (batch.c), which fills `full`
 *   end      outputs in the order asked for, the cache fed, everything counted
 */
#pragma once
#include "predict/repository_inside.h"

typedef struct {
    const wr_served_instance *s;
    const wr_instance *m;
    const wr_infer_request *q;
    wr_infer_answer *out;
    wr_arena *a;
    wr_err *err;
    wr_tensor *in;                     /* in the predictor's order */
    wr_tensor *full;                   /* of the run, in the predictor's order */
    bool *want;                        /* the same */
    size_t *pick;                      /* indices of m->out, in the order asked for */
    size_t npick;
    int64_t rows;                      /* -1 = not known */
    wr_cache_key key;
    bool cache;                        /* the answer is to be kept under the key */
    wr_fail_reason why;                /* if it fails now */
    int64_t start, ready, begun, ran;  /* wr_clock_mono_ns: asked, may run, runs, has run */
    int64_t part_ns;                   /* of the run of one that waited; 0 = it did not */
} wr_infer_job;

static inline wr_infer_job wr_infer_job_of(wr_infer_answer *out, const wr_instance *m, const wr_infer_request *q, wr_arena *a, wr_err *err)
{
    return (wr_infer_job){.s = (const wr_served_instance *)m, .m = m, .q = q, .out = out, .a = a, .err = err, .rows = -1};
}

/* ---- infer.c: nothing is counted ---- */
int wr_infer_job_prepare(wr_infer_job *j);
int wr_infer_job_run(wr_infer_job *j);
int wr_infer_job_collect(wr_infer_job *j);
/* Names and types of what a run fills. */
int wr_infer_outputs(wr_tensor **out, const wr_predictor *p, wr_arena *a, wr_err *err);

/* ---- infer_job.c ---- */
/* 0: to be run; 1: the cache had it. After an error it is over; else wr_infer_job_end has to be called. */
int wr_infer_job_begin(wr_infer_job *j);
void wr_infer_count_run(const wr_instance *m);
/* rc: of the run. */
int wr_infer_job_end(wr_infer_job *j, int rc);

/* Sums of several that end together, so that what all loops count in is touched once. */
typedef struct {
    wr_model_stats *of;                /* NULL = nothing was counted */
    uint64_t n, ran, rows;             /* ran: not those of the cache */
    int64_t success, queue, input, infer, output; /* ns */
} wr_infer_tally;
/* The end in two halves: outputs and cache, of which the clock is to know; then, at `end` (wr_clock_mono_ns), the counts. rc goes from the run to the first
 * to the second. wr_infer_tally_end() has to follow. */
int wr_infer_job_finish(wr_infer_job *j, int rc);
int wr_infer_job_end_at(wr_infer_job *j, int rc, int64_t end, wr_infer_tally *t);
void wr_infer_tally_end(wr_infer_tally *t);
