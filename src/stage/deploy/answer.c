/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - one model and a request. */
#include "stage/deploy/answer.h"

#include <math.h>

#include "base/clock.h"
#include "stage/deploy/features.h"
#include "stage/deploy/keep.h"
#include "stage/deploy/rows.h"
#include "stage/deploy/serve_inside.h"

static int run_package(wr_serve_reply *out, wr_round *round, wr_served *m, const wr_infer_request *q,
                       const wr_keep_opt *opt, wr_arena *a, wr_err *err)
{
    wr_serve_answer ans;
    WR_TRY(wr_serve_infer(&ans, round, m, q, opt->id, a, err));
    *out = (wr_serve_reply){.out = ans.out, .nout = ans.nout};
    if (q->explain) return 0;
    wr_serve_tell(wr_round_serve(round), m, q, &ans, opt, a);
    out->ids = ans.ids;
    out->nids = ans.rows;
    out->kept = true;
    return 0;
}

static void keep_plain(wr_serve_reply *out, wr_serve *s, const wr_instance *m, const wr_infer_request *fed,
                       const wr_infer_answer *ans, const wr_keep_opt *opt, wr_arena *a)
{
    wr_kept kept;
    *out = (wr_serve_reply){.out = ans->out, .nout = ans->nout};
    if (fed->explain) return;
    wr_serve_keep(&kept, s, m, fed, ans, opt, a);
    out->ids = kept.ids;
    out->nids = kept.nids;
}

/* One that may wait for its run. */
typedef struct {
    wr_serve_reply *out;
    wr_serve_took *took;
    wr_serve *s;
    const wr_instance *m;
    wr_infer_request q, fed;
    wr_infer_answer ans;
    wr_keep_opt opt;
    wr_serve_later later;
    int64_t before_ns; /* since the request was there, when its model was asked */
    wr_arena *a;
} waiting;

static void answered(waiting *w)
{
    if (w->took) w->took->rows = w->ans.rows;
    keep_plain(w->out, w->s, w->m, &w->fed, &w->ans, &w->opt, w->a);
}

static void has_run(void *arg, int rc)
{
    waiting *w = arg;
    if (w->took) *w->took = (wr_serve_took){.waited = true, .busy_ns = w->ans.busy_ns - w->before_ns};
    if (rc == 0) answered(w);
    w->later.done(w->later.arg, rc);
}

static int run_plain(wr_serve_reply *out, wr_serve_took *took, wr_serve *s, const wr_instance *m,
                     const wr_infer_request *q, const wr_keep_opt *opt, wr_serve_later later, wr_arena *a, wr_err *err)
{
    waiting *w = wr_arena_alloc(a, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->out = out;
    w->took = took;
    w->s = s;
    w->m = m;
    w->q = *q;
    w->opt = *opt;
    w->later = later;
    w->before_ns = took && q->start_ns ? wr_clock_mono_ns() - q->start_ns : 0;
    w->ans.busy_ns = 0;
    w->a = a;
    WR_TRY(wr_serve_features(&w->fed, s, m, &w->q, a, err));
    int rc = later.batch ? wr_batch_infer(&w->ans, later.batch, m, &w->fed, has_run, w, a, err)
                         : wr_infer(&w->ans, m, &w->fed, a, err);
    if (rc == 0) answered(w);
    return rc;
}

int wr_serve_run(wr_serve_reply *out, wr_serve_took *took, wr_round *round, wr_served *package, wr_instance *model,
                 const wr_infer_request *q, const wr_keep_opt *opt, wr_serve_later later, wr_arena *a, wr_err *err)
{
    if (took) *took = (wr_serve_took){0};
    if (!package) return run_plain(out, took, wr_round_serve(round), model, q, opt, later, a, err);
    WR_TRY(run_package(out, round, package, q, opt, a, err));
    if (took) took->rows = out->nids;
    return 0;
}

int wr_serve_answer_to(wr_serve_reply *out, wr_round *round, wr_served *package, wr_instance *model,
                       const wr_infer_request *q, const wr_serve_asked *asked, wr_arena *a, wr_err *err)
{
    wr_serve *s = wr_round_serve(round);
    wr_keep_opt opt = {.id = asked->id, .propensity = NAN};
    *out = (wr_serve_reply){0};
    if (s->rollouts && !asked->pinned && !q->explain) {
        int rc = s->rollouts->answer(out, round, package, model, q, asked, a, err);
        if (rc != WR_NO_ROLLOUT) return rc;
    }
    wr_serve_later later = {asked->batch, asked->done, asked->arg};
    return wr_serve_run(out, NULL, round, package, model, q, &opt, later, a, err);
}

void wr_serve_reply_end(wr_serve_reply *r)
{
    wr_serve_give(r->package);
    if (r->model) wr_instance_give(r->model);
    r->package = NULL;
    r->model = NULL;
}
