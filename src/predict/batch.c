/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - requests that wait, put together by what may run together. */
#include "predict/batch.h"

#include "base/clock.h"
#include "base/mem.h"
#include "predict/infer_inside.h"

enum { ROWS_MAX = 1024 /* a run; more gain nothing and make the first wait */ };

typedef struct waiting {
    struct waiting *next;   /* in order of arrival */
    struct waiting *beside; /* of the same run */
    wr_infer_job job;
    wr_batch_done done;
    void *arg;
    int64_t until; /* it may wait; wr_clock_mono_ns */
    int rc;
    bool seen; /* in this wr_batch_run */
    bool ran;
} waiting;

struct wr_batch {
    waiting *first, **last;
    size_t n;
    wr_arena *arena; /* of what a run puts together */
};

wr_batch *wr_batch_new(void)
{
    wr_batch *b = wr_calloc(1, sizeof *b);
    if (!b) return NULL;
    b->last = &b->first;
    b->arena = wr_arena_new(0);
    if (b->arena) return b;
    wr_free(b);
    return NULL;
}

void wr_batch_free(wr_batch *b)
{
    if (!b) return;
    wr_arena_free(b->arena);
    wr_free(b);
}

size_t wr_batch_waiting(const wr_batch *b) { return b->n; }

/* ---- waiting ---- */

static void append(wr_batch *b, waiting *w)
{
    w->next = NULL;
    *b->last = w;
    b->last = &w->next;
    b->n++;
}

/* Counted where it is a matter of time: see begin() of infer_job.c. */
static void hold(const waiting *w, int n)
{
    const wr_instance *m = w->job.m;
    if (m->config.delay_us) atomic_fetch_add_explicit(&m->stats->held, n, memory_order_relaxed);
}

static int64_t until(const wr_infer_job *j)
{
    int64_t at = j->ready + j->m->config.delay_us * 1000, half = j->start + j->q->timeout_us * 500;
    return j->q->timeout_us && half < at ? half : at;
}

static bool may_share(const wr_instance *m, const wr_infer_request *q)
{
    return m->config.max_batch > 1 && m->predictor->rows && (m->predictor->steady || m->config.batching) && !q->explain;
}

int wr_batch_infer(wr_infer_answer *out, wr_batch *b, const wr_instance *m, const wr_infer_request *q,
                   wr_batch_done done, void *arg, wr_arena *a, wr_err *err)
{
    waiting *w = may_share(m, q) ? wr_arena_alloc(a, sizeof *w) : NULL;
    if (!w) return wr_infer(out, m, q, a, err);
    *w = (waiting){.job = wr_infer_job_of(out, m, q, a, err), .done = done, .arg = arg};
    int rc = wr_infer_job_begin(&w->job);
    if (rc < 0) return rc;
    if (rc == 1) return wr_infer_job_end(&w->job, 0);
    w->until = until(&w->job);
    hold(w, 1);
    append(b, w);
    return 1;
}

/* ---- runs ---- */

static bool same_rest(const wr_tensor *a, const wr_tensor *b)
{
    if (a->type != b->type) return false;
    if (a->type == WR_TENSOR_NONE) return true;
    return a->ndims == b->ndims && memcmp(a->shape + 1, b->shape + 1, (size_t)(a->ndims - 1) * sizeof *a->shape) == 0;
}

static bool fits_beside(const wr_infer_job *a, const wr_infer_job *b)
{
    const wr_predictor *p = a->m->predictor;
    if (a->m != b->m || b->rows < 1 || memcmp(a->want, b->want, p->nout * sizeof *a->want) != 0) return false;
    for (size_t i = 0; i < p->nin; i++)
        if (!same_rest(&a->in[i], &b->in[i])) return false;
    return true;
}

/* Who runs with `w`: a list by `beside`, w first; how many rows. */
static int64_t gather(waiting *w)
{
    int64_t rows = w->job.rows, most = w->job.m->config.max_batch;
    waiting **last = &w->beside;
    w->beside = NULL;
    if (most > ROWS_MAX) most = ROWS_MAX;
    for (waiting *o = w->next; o && rows > 0 && rows < most; o = o->next) {
        if (o->seen || rows + o->job.rows > most || !fits_beside(&w->job, &o->job)) continue;
        *last = o;
        last = &o->beside;
        o->beside = NULL;
        rows += o->job.rows;
        o->seen = true;
    }
    return rows;
}

/* Are these rows worth a run? */
static bool enough(const wr_model_config *c, int64_t rows)
{
    int64_t least = c->preferred[0] ? c->preferred[0] : c->max_batch < ROWS_MAX ? c->max_batch : ROWS_MAX;
    for (size_t i = 1; i < WR_PREFERRED_BATCHES && c->preferred[i]; i++)
        if (c->preferred[i] < least) least = c->preferred[i];
    return rows >= least;
}

/* Input i of all, one behind the other. */
static int put_together(wr_tensor *out, const waiting *w, size_t i, int64_t rows, wr_arena *a)
{
    *out = w->job.in[i];
    if (out->type == WR_TENSOR_NONE) return 0;
    out->count = out->count / (size_t)out->shape[0] * (size_t)rows;
    out->shape[0] = rows;
    WR_TRY(wr_tensor_alloc(out, a, NULL));
    char *to = out->data;
    for (; w; w = w->beside) {
        size_t n = w->job.in[i].count * wr_tensor_type_size(out->type);
        memcpy(to, w->job.in[i].data, n);
        to += n;
    }
    return 0;
}

static int run_together(waiting *w, int64_t rows, wr_arena *a)
{
    const wr_instance *m = w->job.m;
    const wr_predictor *p = m->predictor;
    wr_tensor *in = wr_arena_alloc(a, (p->nin + 1) * sizeof *in), *full;
    if (!in) return WEIR_ENOMEM;
    for (size_t i = 0; i < p->nin; i++) WR_TRY(put_together(&in[i], w, i, rows, a));
    WR_TRY(wr_infer_outputs(&full, p, a, NULL));
    if (w->job.npick) WR_TRY(wr_infer_split(full, w->job.want, m, in, rows, a, NULL));
    for (size_t i = 0; i < p->nout; i++)
        if (w->job.want[i] && (full[i].ndims < 1 || full[i].shape[0] != rows)) return WEIR_EINTERNAL;
    for (size_t from = 0; w; w = w->beside) {
        size_t n = (size_t)w->job.rows;
        w->job.full = wr_arena_alloc(a, (p->nout + 1) * sizeof *full);
        if (!w->job.full) return WEIR_ENOMEM;
        for (size_t i = 0; i < p->nout; i++) {
            if (w->job.want[i]) wr_infer_cut(&w->job.full[i], &full[i], from, n);
            else w->job.full[i] = full[i];
        }
        from += n;
    }
    return 0;
}

static void run_alone(waiting *w)
{
    w->job.begun = wr_clock_mono_ns();
    w->rc = wr_infer_job_run(&w->job);
    w->job.ran = wr_clock_mono_ns();
    w->job.part_ns = w->job.ran - w->job.begun + 1;
    if (w->rc == 0) wr_infer_count_run(w->job.m);
}

static void run_group(wr_batch *b, waiting *w, int64_t rows)
{
    int64_t begun = wr_clock_mono_ns();
    for (waiting *o = w; o; o = o->beside) {
        o->ran = true;
        hold(o, -1);
    }
    if (!w->beside || run_together(w, rows, b->arena) < 0) {
        for (waiting *next; w; w = next) {
            next = w->beside;
            run_alone(w);
        }
        return;
    }
    int64_t ran = wr_clock_mono_ns();
    wr_infer_count_run(w->job.m);
    for (; w; w = w->beside) {
        w->job.begun = begun;
        w->job.ran = ran;
        w->job.part_ns = (ran - begun) * w->job.rows / rows + 1;
    }
}

/* One look at all: those that ran, and go; the others wait on. */
static waiting *look(wr_batch *b, bool all)
{
    int64_t now = wr_clock_mono_ns();
    waiting *w = b->first, *gone = NULL, **last = &gone;
    for (waiting *o = w; o; o = o->next) {
        if (o->seen) continue;
        int64_t rows = gather(o);
        if (all || o->until <= now || enough(&o->job.m->config, rows)) run_group(b, o, rows);
    }
    b->first = NULL;
    b->last = &b->first;
    b->n = 0;
    for (waiting *next; w; w = next) {
        next = w->next;
        w->seen = false;
        if (w->ran) {
            *last = w;
            last = &w->next;
        } else {
            append(b, w);
        }
    }
    *last = NULL;
    return gone;
}

int64_t wr_batch_run(wr_batch *b, bool all)
{
    int64_t soonest = INT64_MAX;
    for (waiting *w; b->n && (w = look(b, all));) {
        wr_infer_tally t = {0};
        for (waiting *o = w; o; o = o->next) o->rc = wr_infer_job_finish(&o->job, o->rc);
        int64_t end = wr_clock_mono_ns();
        for (waiting *next; w; w = next) {
            next = w->next; /* done may free it */
            int rc = wr_infer_job_end_at(&w->job, w->rc, end, &t);
            w->done(w->arg, rc);
        }
        wr_infer_tally_end(&t);
        wr_arena_clear(b->arena);
    }
    for (const waiting *w = b->first; w; w = w->next)
        if (w->until < soonest) soonest = w->until;
    return soonest;
}
