/* SPDX-License-Identifier: Apache-2.0 */
/* shadow.c - copies of requests for models that nobody listens to: a bounded ring, one thread that runs when nothing
 * else does.
 *
 * A request is copied after its answer was made and before it leaves: the tensors, and score and class of each row of
 * the answer (not the answer). At most RING copies and RING_BYTES wait; one that finds no room is dropped and counted,
 * so the request path never waits for more than the lock around a pointer. The thread has scheduling class SCHED_IDLE.
 * Durations of copies are its CPU time. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "predict/scores.h"
#include "stage/deploy/features.h"
#include "stage/deploy/rows.h"
#include "stage/rollout/rollout_inside.h"

enum { RING = 1024, RING_BYTES = 32 << 20, COPY_BYTES = 1 << 20, ROWS = 1000 };

typedef struct {
    wr_rollout *r;
    size_t arm, rows, bytes;
    wr_arena *arena;
    wr_infer_request q;
    wr_row_verdict *primary;
} job;

struct wr_shadow {
    wr_serve *serve;
    pthread_t thread;
    pthread_mutex_t lock; /* after every other; guards all below */
    pthread_cond_t more;
    job *ring[RING];
    size_t head, n, bytes;
    bool stop, started;
};

/* ---- copies ---- */

static size_t bytes_of(const wr_tensor *t)
{
    size_t n = t->count * wr_tensor_type_size(t->type);
    for (size_t i = 0; t->type == WR_TENSOR_BYTES && i < t->count && n <= COPY_BYTES; i++)
        n += ((const wr_str *)t->data)[i].n;
    return n;
}

static bool copy_tensor(wr_tensor *to, const wr_tensor *t, wr_arena *a)
{
    *to = *t;
    to->name = wr_arena_str(a, t->name);
    to->data = wr_arena_dup(a, t->data, t->count * wr_tensor_type_size(t->type));
    for (size_t i = 0; to->data && t->type == WR_TENSOR_BYTES && i < t->count; i++) {
        wr_str *s = &((wr_str *)to->data)[i];
        if (s->p) *s = wr_arena_str(a, *s);
    }
    return to->data && to->name.p;
}

static void job_free(job *j)
{
    wr_rollout_drop(j->r);
    wr_arena_free(j->arena);
}

/* In an arena of its own; NULL: too large, or no memory. */
static job *copy(wr_rollout *r, size_t arm, const wr_infer_request *q, const wr_serve_reply *primary, size_t rows)
{
    size_t bytes = sizeof(job) + rows * sizeof(wr_row_verdict);
    for (size_t i = 0; i < q->nin; i++) bytes += bytes_of(&q->in[i]) + sizeof(wr_tensor);
    if (bytes > COPY_BYTES) return NULL;
    wr_arena *a = wr_arena_new(0);
    job *j = a ? wr_arena_calloc(a, 1, sizeof *j) : NULL;
    wr_tensor *in = j ? wr_arena_alloc(a, (q->nin + 1) * sizeof *in) : NULL;
    wr_row_verdict *v = in ? wr_arena_alloc(a, (rows + 1) * sizeof *v) : NULL;
    bool fine = v != NULL;
    for (size_t i = 0; fine && i < q->nin; i++) fine = copy_tensor(&in[i], &q->in[i], a);
    if (!fine) {
        wr_arena_free(a);
        return NULL;
    }
    for (size_t i = 0; i < rows; i++)
        v[i] = wr_row_verdict_of(primary->out, primary->nout, rows, i, r->endpoint->threshold);
    *j = (job){.arm = arm, .rows = rows, .bytes = bytes, .arena = a, .q = {.in = in, .nin = q->nin}, .primary = v};
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    j->r = r;
    return j;
}

/* ---- comparing ---- */

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void add(atomic_uint_fast64_t *to, uint64_t n) { atomic_fetch_add_explicit(to, n, memory_order_relaxed); }

static void compare(job *j, const wr_tensor *out, size_t nout)
{
    wr_rollout_arm_run *arm = &j->r->arms[j->arm];
    double apart = 0;
    for (size_t i = 0; i < j->rows; i++) {
        wr_row_verdict v = wr_row_verdict_of(out, nout, j->rows, i, j->r->endpoint->threshold), p = j->primary[i];
        size_t mine = wr_value_bin(v.score), theirs = wr_value_bin(p.score);
        add(&arm->pairs, 1);
        add(&arm->agree, v.klass == p.klass);
        if (mine >= WR_VALUE_BINS || theirs >= WR_VALUE_BINS) continue;
        add(&arm->score[mine], 1);
        add(&arm->pair_score[theirs], 1);
        if (fabs(v.score - p.score) > apart) apart = fabs(v.score - p.score);
    }
    pthread_mutex_lock(&j->r->lock);
    if (apart > arm->most_apart) arm->most_apart = apart;
    pthread_mutex_unlock(&j->r->lock);
}

static int run(const wr_tensor **out, size_t *nout, size_t *rows, wr_serve *s, wr_served *package, wr_instance *model,
               job *j, wr_err *err)
{
    wr_serve_answer p;
    wr_infer_answer m;
    wr_infer_request fed = j->q;
    int rc = package ? 0 : wr_serve_features(&fed, s, model, &j->q, j->arena, err);
    if (rc == 0)
        rc = package ? wr_serve_try(&p, package, &j->q, j->arena, err) : wr_infer(&m, model, &fed, j->arena, err);
    if (rc < 0) return rc;
    *out = package ? p.out : m.out;
    *nout = package ? p.nout : m.nout;
    *rows = package ? p.rows : m.rows;
    return 0;
}

static void serve(wr_serve *s, job *j)
{
    wr_served *package;
    wr_instance *model;
    const wr_tensor *out;
    size_t nout, rows;
    wr_err err;
    wr_rollout_arm_run *arm = &j->r->arms[j->arm];
    if (!wr_rollout_take(&package, &model, s, arm)) {
        add(&arm->unready, 1);
        return;
    }
    int64_t start = cpu_ns();
    int rc = run(&out, &nout, &rows, s, package, model, j, &err);
    int64_t took = cpu_ns() - start;
    add(&arm->requests, 1);
    add(&arm->busy_ns, (uint64_t)took);
    if (rc < 0 || rows != j->rows) {
        add(&arm->errors, 1); /* the primary could */
    } else {
        add(&arm->rows, rows);
        add(&arm->latency[wr_duration_bin((uint64_t)took)], 1);
        compare(j, out, nout);
    }
    wr_serve_give(package);
    if (model) wr_instance_give(model);
}

/* ---- the thread ---- */

static job *next(struct wr_shadow *h)
{
    pthread_mutex_lock(&h->lock);
    while (!h->n && !h->stop) pthread_cond_wait(&h->more, &h->lock);
    job *j = NULL;
    if (h->n && !h->stop) {
        j = h->ring[h->head];
        h->head = (h->head + 1) % RING;
        h->n--;
        h->bytes -= j->bytes;
    }
    pthread_mutex_unlock(&h->lock);
    return j;
}

static void *work(void *ctx)
{
    struct wr_shadow *h = ctx;
    struct sched_param p = {0};
    job *j;
    wr_serve_silent = true;
    (void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &p);
    while ((j = next(h))) {
        serve(h->serve, j);
        job_free(j);
    }
    return NULL;
}

/* Under lock. */
static bool start(struct wr_shadow *h)
{
    sigset_t all, before;
    if (h->started) return true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->started = pthread_create(&h->thread, NULL, work, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return h->started;
}

struct wr_shadow *wr_shadow_new(wr_serve *s)
{
    struct wr_shadow *h = wr_calloc(1, sizeof *h);
    if (!h) return NULL;
    h->serve = s;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
    return h;
}

void wr_shadow_offer(wr_serve *s, wr_rollout *r, size_t arm, const wr_infer_request *q, const wr_serve_reply *primary)
{
    struct wr_shadow *h = s->shadow;
    size_t rows = primary->nids;
    job *j = rows && rows <= ROWS ? copy(r, arm, q, primary, rows) : NULL;
    if (!j) {
        add(&r->arms[arm].dropped, 1);
        return;
    }
    pthread_mutex_lock(&h->lock);
    bool room = !h->stop && h->n < RING && h->bytes + j->bytes <= RING_BYTES && start(h);
    if (room) {
        h->ring[(h->head + h->n++) % RING] = j;
        h->bytes += j->bytes;
        pthread_cond_signal(&h->more);
    }
    pthread_mutex_unlock(&h->lock);
    if (room) return;
    add(&r->arms[arm].dropped, 1);
    job_free(j);
}

void wr_shadow_close(wr_serve *s)
{
    struct wr_shadow *h = s->shadow;
    if (!h) return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_broadcast(&h->more);
    pthread_mutex_unlock(&h->lock);
    if (h->started) pthread_join(h->thread, NULL);
    for (; h->n; h->n--, h->head = (h->head + 1) % RING) job_free(h->ring[h->head]);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->more);
    wr_free(h);
    s->shadow = NULL;
}
