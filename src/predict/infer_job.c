/* SPDX-License-Identifier: Apache-2.0 */
/* infer_job.c - what surrounds the run of a request: its place in the queue, the cache, the counts. */
#include "base/clock.h"
#include "predict/infer_inside.h"

typedef wr_infer_job job;

/* ---- counting ---- */

static void count_failure(wr_model_stats *s, wr_fail_reason why, int64_t ns)
{
    wr_duration_add(&s->fail, ns);
    atomic_fetch_add_explicit(&s->failures[why], 1, memory_order_relaxed);
}

static void touch(wr_model_stats *s)
{
    atomic_store_explicit(&s->last_ms, wr_clock_wall_us() / 1000, memory_order_relaxed);
}

void wr_infer_tally_end(wr_infer_tally *t)
{
    wr_model_stats *s = t->of;
    if (!s) return;
    wr_durations_add(&s->success, t->n, t->success);
    wr_durations_add(&s->queue, t->n, t->queue);
    if (t->n > t->ran) touch(s); /* answers of the cache */
    if (t->ran) {
        wr_durations_add(&s->input, t->ran, t->input);
        wr_durations_add(&s->infer, t->ran, t->infer);
        wr_durations_add(&s->output, t->ran, t->output);
        atomic_fetch_add_explicit(&s->inferences, t->rows, memory_order_relaxed);
    }
    *t = (wr_infer_tally){0};
}

static int64_t positive(int64_t ns) { return ns > 0 ? ns : 0; }

static void count_success(const job *j, int64_t end, wr_infer_tally *t)
{
    wr_model_stats *s = j->m->stats;
    if (t->of != s) wr_infer_tally_end(t);
    t->of = s;
    t->n++;
    t->success += positive(end - j->start);
    t->queue += positive(j->begun - j->ready);
    wr_latency_count(s, end - j->start);
    if (j->out->cached) return;
    t->ran++;
    t->rows += j->out->rows;
    t->input += positive(j->ready - j->start);
    t->infer += positive(j->ran - j->begun);
    t->output += positive(end - j->ran);
}

void wr_infer_count_run(const wr_instance *m)
{
    atomic_fetch_add_explicit(&m->stats->executions, 1, memory_order_relaxed);
    touch(m->stats);
}

/* ---- the cache ---- */

/* 1: it was there. */
static int from_cache(job *j)
{
    const wr_predictor *p = j->m->predictor;
    int64_t start = wr_clock_mono_ns();
    wr_cache_key_of(&j->key, j->m->generation, j->in, p->nin, j->pick, j->npick);
    for (size_t i = 0; i < j->npick; i++) j->out->out[i].type = j->m->out[j->pick[i]].type;
    int rc = wr_response_cache_get(j->out->out, j->npick, j->m->of->cache, &j->key, j->a, j->err);
    j->cache = rc == 0;
    if (rc != 1) return rc;
    j->out->cached = true;
    wr_duration_add(&j->m->stats->cache_hit, wr_clock_mono_ns() - start);
    return 1;
}

static void into_cache(const job *j)
{
    int64_t start = wr_clock_mono_ns();
    wr_response_cache_put(j->m->of->cache, &j->key, j->out->out, j->npick);
    wr_duration_add(&j->m->stats->cache_miss, wr_clock_mono_ns() - start);
}

/* ---- begin and end ---- */

static int over(job *j, int rc)
{
    atomic_fetch_sub_explicit(&j->m->stats->pending, 1, memory_order_relaxed);
    if (rc < 0) count_failure(j->m->stats, j->why, wr_clock_mono_ns() - j->start);
    return rc;
}

static int begin(job *j)
{
    const wr_model_config *c = &j->m->config;
    j->why = WR_FAIL_REJECTED;
    int64_t waiting = atomic_fetch_add_explicit(&j->m->stats->pending, 1, memory_order_relaxed);
    int64_t held = c->delay_us ? atomic_load_explicit(&j->m->stats->held, memory_order_relaxed) : 0;
    /* who waits for company is in the queue although nothing runs; without a delay somebody runs, and is not */
    if (c->queue_max && (held >= c->queue_max || waiting - held >= c->queue_max + c->instances))
        return wr_err_set(j->err, WEIR_EUNAVAILABLE, "Exceeds maximum queue size");
    j->why = WR_FAIL_OTHER;
    WR_TRY(wr_infer_job_prepare(j));
    int hit = c->cache && !j->q->explain ? from_cache(j) : 0;
    j->ready = j->begun = j->ran = wr_clock_mono_ns();
    return hit;
}

int wr_infer_job_begin(job *j)
{
    j->start = j->q->start_ns ? j->q->start_ns : wr_clock_mono_ns();
    int rc = begin(j);
    j->why = rc < 0 ? j->why : WR_FAIL_BACKEND;
    return rc < 0 ? over(j, rc) : rc;
}

int wr_infer_job_finish(job *j, int rc)
{
    if (rc == 0) rc = wr_infer_job_collect(j);
    if (rc == 0 && j->cache) into_cache(j);
    return rc;
}

int wr_infer_job_end_at(job *j, int rc, int64_t end, wr_infer_tally *t)
{
    j->out->busy_ns = j->part_ns ? j->ready - j->start + j->part_ns : end - j->start;
    if (over(j, rc) < 0) return rc;
    count_success(j, end, t);
    if (j->m->of->opt.answered) j->m->of->opt.answered(j->m->of->opt.ctx, j->m, j->q, j->out);
    return 0;
}

int wr_infer_job_end(job *j, int rc)
{
    wr_infer_tally t = {0};
    rc = wr_infer_job_finish(j, rc);
    rc = wr_infer_job_end_at(j, rc, wr_clock_mono_ns(), &t);
    wr_infer_tally_end(&t);
    return rc;
}

int wr_infer(wr_infer_answer *out, const wr_instance *m, const wr_infer_request *q, wr_arena *a, wr_err *err)
{
    job j = wr_infer_job_of(out, m, q, a, err);
    int rc = wr_infer_job_begin(&j);
    if (rc < 0) return rc;
    if (rc == 0) {
        rc = wr_infer_job_run(&j);
        j.ran = wr_clock_mono_ns();
        if (rc == 0) wr_infer_count_run(m);
    }
    return wr_infer_job_end(&j, rc < 0 ? rc : 0);
}
