/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - one model and a request. */
#include "stage/deploy/answer.h"

#include <math.h>

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

static int run_plain(wr_serve_reply *out, wr_serve *s, const wr_instance *m, const wr_infer_request *q,
                     const wr_keep_opt *opt, size_t *rows, wr_arena *a, wr_err *err)
{
    wr_infer_answer ans;
    wr_infer_request fed;
    WR_TRY(wr_serve_features(&fed, s, m, q, a, err));
    WR_TRY(wr_infer(&ans, m, &fed, a, err));
    *rows = ans.rows;
    keep_plain(out, s, m, &fed, &ans, opt, a);
    return 0;
}

/* One that waits for its run. */
typedef struct {
    wr_serve_reply *out;
    wr_serve *s;
    const wr_instance *m;
    wr_infer_request q, fed;
    wr_infer_answer ans;
    wr_keep_opt opt;
    wr_batch_done done;
    void *arg;
    wr_arena *a;
} waiting;

static void has_run(void *arg, int rc)
{
    waiting *w = arg;
    if (rc == 0) keep_plain(w->out, w->s, w->m, &w->fed, &w->ans, &w->opt, w->a);
    w->done(w->arg, rc);
}

static int wait_plain(wr_serve_reply *out, wr_serve *s, const wr_instance *m, const wr_infer_request *q,
                      const wr_keep_opt *opt, const wr_serve_asked *asked, wr_arena *a, wr_err *err)
{
    waiting *w = wr_arena_alloc(a, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->out = out;
    w->s = s;
    w->m = m;
    w->q = *q;
    w->opt = *opt;
    w->done = asked->done;
    w->arg = asked->arg;
    w->a = a;
    WR_TRY(wr_serve_features(&w->fed, s, m, &w->q, a, err));
    int rc = wr_batch_infer(&w->ans, asked->batch, m, &w->fed, has_run, w, a, err);
    if (rc == 0) keep_plain(out, s, m, &w->fed, &w->ans, opt, a);
    return rc;
}

int wr_serve_run(wr_serve_reply *out, size_t *rows, wr_round *round, wr_served *package, wr_instance *model,
                 const wr_infer_request *q, const wr_keep_opt *opt, wr_arena *a, wr_err *err)
{
    if (!package) return run_plain(out, wr_round_serve(round), model, q, opt, rows, a, err);
    WR_TRY(run_package(out, round, package, q, opt, a, err));
    *rows = out->nids;
    return 0;
}

int wr_serve_answer_to(wr_serve_reply *out, wr_round *round, wr_served *package, wr_instance *model,
                       const wr_infer_request *q, const wr_serve_asked *asked, wr_arena *a, wr_err *err)
{
    size_t rows;
    wr_serve *s = wr_round_serve(round);
    wr_keep_opt opt = {.id = asked->id, .propensity = NAN};
    *out = (wr_serve_reply){0};
    if (s->rollouts && !asked->pinned && !q->explain) {
        int rc = s->rollouts->answer(out, round, package, model, q, asked, a, err);
        if (rc <= 0) return rc;
    }
    if (asked->batch && model) return wait_plain(out, s, model, q, &opt, asked, a, err);
    return wr_serve_run(out, &rows, round, package, model, q, &opt, a, err);
}
