/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - a list of jobs behind one mutex; workers sleep on a condition variable.
 *
 *   jobs   for <-> for <-> post <-> post       a for goes to the front (someone waits for it), a post to the back
 *
 * A job is a range of indices. Threads claim batches of it under the lock and run them without. Invariants: (1) a job
 * is in the list if and only if it has unclaimed indices; (2) `left` counts indices not finished, claimed or not;
 * whoever brings it to 0 wakes the waiting caller (for) or frees the job (post). A for's job lives on the stack of the
 * caller, who leaves only when left is 0.
 */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/os.h"

enum { THREADS_MAX = 1024, BATCH_MAX = 256, BATCHES_PER_THREAD = 8 };

typedef struct job {
    struct job *next, *prev;
    wr_task task;
    void *ctx;
    size_t at, end; /* unclaimed indices */
    size_t batch, left;
    bool posted;
} job;

struct wr_pool {
    pthread_mutex_t lock; /* guards jobs, their fields, stopping. Rank: leaf; no lock is taken while it is held */
    pthread_cond_t work;  /* a job came, or stopping */
    pthread_cond_t done;  /* some for reached left == 0 */
    job jobs;             /* head of the ring */
    bool stopping;
    int workers;       /* constant after wr_pool_new() */
    pthread_t *thread; /* workers of them */
};

/* The pools whose tasks this thread is in, innermost first. */
typedef struct frame {
    const wr_pool *pool;
    struct frame *up;
} frame;
static _Thread_local frame *frames;

static bool inside(const wr_pool *p)
{
    for (const frame *f = frames; f; f = f->up) {
        if (f->pool == p) return true;
    }
    return false;
}

static void run(const wr_pool *p, wr_task task, void *ctx, size_t from, size_t to)
{
    frame here = {p, frames};
    frames = &here;
    for (size_t i = from; i < to; i++) task(ctx, i);
    frames = here.up;
}

/* ---- with the lock held ---- */

static void link_before(job *where, job *j)
{
    j->next = where;
    j->prev = where->prev;
    j->prev->next = j->next->prev = j;
}

static void unlink_job(job *j)
{
    j->prev->next = j->next;
    j->next->prev = j->prev;
}

/* Claim a batch of `j`, run it with the lock released, account for it. `j` may be gone afterwards. */
static void step(wr_pool *p, job *j)
{
    size_t from = j->at, take = j->end - j->at < j->batch ? j->end - j->at : j->batch;
    wr_task task = j->task;
    void *ctx = j->ctx;
    j->at += take;
    if (j->at == j->end) unlink_job(j);
    pthread_mutex_unlock(&p->lock);
    run(p, task, ctx, from, from + take);
    pthread_mutex_lock(&p->lock);
    j->left -= take;
    if (j->left) return;
    if (j->posted) {
        wr_free(j);
    } else {
        pthread_cond_broadcast(&p->done);
    }
}

static void *worker(void *arg)
{
    wr_pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        if (p->jobs.next != &p->jobs) {
            step(p, p->jobs.next);
        } else if (p->stopping) {
            break;
        } else {
            pthread_cond_wait(&p->work, &p->lock);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- life cycle ---- */

/* Signals are the main thread's business; those a fault raises in its own thread stay open. */
static void block_signals(sigset_t *before)
{
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) sigdelset(&all, open[i]);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

wr_pool *wr_pool_new(int threads)
{
    if (threads <= 0) threads = wr_os_cpus();
    if (threads > THREADS_MAX) threads = THREADS_MAX;
    wr_pool *p = wr_calloc(1, sizeof *p);
    pthread_t *thread = wr_calloc((size_t)threads, sizeof *thread);
    if (!p || !thread) {
        wr_free(p);
        wr_free(thread);
        return NULL;
    }
    p->thread = thread;
    p->jobs.next = p->jobs.prev = &p->jobs;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    sigset_t before;
    block_signals(&before);
    while (p->workers < threads - 1) { /* fewer than wanted is slower, not wrong */
        if (pthread_create(&thread[p->workers], NULL, worker, p) != 0) break;
        p->workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p;
}

void wr_pool_free(wr_pool *p)
{
    if (!p) return;
    WR_BUG_IF(inside(p));
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->workers; i++) pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    wr_free(p->thread);
    wr_free(p);
}

int wr_pool_threads(const wr_pool *p) { return p ? p->workers + 1 : 1; }

/* ---- verbs ---- */

void wr_pool_for(wr_pool *p, size_t n, wr_task task, void *ctx)
{
    WR_BUG_IF(p && inside(p));
    if (!p || p->workers == 0 || n < 2) {
        run(p, task, ctx, 0, n);
        return;
    }
    size_t batch = n / ((size_t)wr_pool_threads(p) * BATCHES_PER_THREAD);
    if (batch < 1) batch = 1;
    if (batch > BATCH_MAX) batch = BATCH_MAX;
    job j = {.task = task, .ctx = ctx, .end = n, .batch = batch, .left = n};
    pthread_mutex_lock(&p->lock);
    link_before(p->jobs.next, &j);
    pthread_cond_broadcast(&p->work);
    while (j.at < j.end) step(p, &j);
    while (j.left) pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

int wr_pool_post(wr_pool *p, wr_task task, void *ctx, size_t index)
{
    if (!p || p->workers == 0) {
        run(p, task, ctx, index, index + 1);
        return 0;
    }
    job *j = wr_alloc(sizeof *j);
    if (!j) return WEIR_ENOMEM;
    *j = (job){.task = task, .ctx = ctx, .at = index, .end = index + 1, .batch = 1, .left = 1, .posted = true};
    pthread_mutex_lock(&p->lock);
    link_before(&p->jobs, j);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return 0;
}
