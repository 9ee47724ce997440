/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - two buffers and a thread. */
#include "stage/deploy/queue.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/mem.h"

enum { NAP_NS = 5000000 };

struct wr_queue {
    pthread_mutex_t lock; /* a leaf; guards what follows */
    pthread_cond_t wake, taken;
    char *front, *back;
    size_t n, cap;
    uint64_t round, done; /* batches begun and ended */
    bool asleep, stop;
    atomic_uint_fast64_t put, dropped;
    wr_queue_take take;
    void *ctx;
    pthread_t thread;
};

bool wr_queue_next(wr_str *message, wr_str *batch)
{
    uint32_t n;
    if (batch->n < sizeof n) return false;
    memcpy(&n, batch->p, sizeof n);
    if (n > batch->n - sizeof n) return false;
    *message = (wr_str){batch->p + sizeof n, n};
    *batch = wr_str_sub(*batch, sizeof n + n, batch->n);
    return true;
}

bool wr_queue_put(wr_queue *q, wr_str message)
{
    uint32_t n = (uint32_t)message.n;
    bool wake = false;
    pthread_mutex_lock(&q->lock);
    bool fits = message.n < q->cap && q->cap - q->n >= sizeof n + message.n;
    if (fits) {
        memcpy(q->front + q->n, &n, sizeof n);
        memcpy(q->front + q->n + sizeof n, message.p, n);
        q->n += sizeof n + n;
        wake = q->asleep;
        q->asleep = false;
    }
    pthread_mutex_unlock(&q->lock);
    if (wake) pthread_cond_signal(&q->wake);
    atomic_fetch_add_explicit(fits ? &q->put : &q->dropped, 1, memory_order_relaxed);
    return fits;
}

void wr_queue_lose(wr_queue *q, size_t n) { atomic_fetch_add_explicit(&q->dropped, n, memory_order_relaxed); }

void wr_queue_look(wr_queue_stats *out, wr_queue *q)
{
    *out = (wr_queue_stats){.put = atomic_load_explicit(&q->put, memory_order_relaxed),
                            .dropped = atomic_load_explicit(&q->dropped, memory_order_relaxed)};
    pthread_mutex_lock(&q->lock);
    out->waiting = q->n;
    pthread_mutex_unlock(&q->lock);
}

/* Everything put before is in the batch that is being taken now, or in the one after it. */
void wr_queue_flush(wr_queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint64_t until = q->round + (q->n > 0);
    if (q->asleep && q->n) pthread_cond_signal(&q->wake);
    while (q->done < until) pthread_cond_wait(&q->taken, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

/* The next batch; false: there is none and there will be none. */
static bool swap(wr_queue *q, wr_str *batch)
{
    pthread_mutex_lock(&q->lock);
    q->done = q->round;
    pthread_cond_broadcast(&q->taken);
    while (!q->n && !q->stop) {
        q->asleep = true;
        pthread_cond_wait(&q->wake, &q->lock);
    }
    q->asleep = false;
    char *full = q->front;
    *batch = (wr_str){full, q->n};
    q->front = q->back;
    q->back = full;
    q->round += q->n > 0;
    q->n = 0;
    pthread_mutex_unlock(&q->lock);
    return batch->n > 0;
}

static void nap(wr_queue *q)
{
    static const struct timespec pause = {0, NAP_NS};
    pthread_mutex_lock(&q->lock);
    bool stop = q->stop;
    pthread_mutex_unlock(&q->lock);
    if (!stop) nanosleep(&pause, NULL);
}

static void *run(void *arg)
{
    wr_queue *q = arg;
    wr_str batch;
    while (swap(q, &batch)) {
        q->take(q->ctx, batch);
        nap(q);
    }
    return NULL;
}

static void release(wr_queue *q)
{
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->wake);
    pthread_cond_destroy(&q->taken);
    wr_free(q->front);
    wr_free(q->back);
    wr_free(q);
}

int wr_queue_start(wr_queue **out, size_t bytes, wr_queue_take take, void *ctx, wr_err *err)
{
    sigset_t all, before;
    wr_queue *q = wr_calloc(1, sizeof *q);
    if (!q) return wr_err_nomem(err);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    pthread_cond_init(&q->taken, NULL);
    q->front = wr_alloc(bytes);
    q->back = wr_alloc(bytes);
    q->cap = bytes;
    q->take = take;
    q->ctx = ctx;
    if (!q->front || !q->back) {
        release(q);
        return wr_err_nomem(err);
    }
    sigfillset(&all); /* signals are for the thread that runs the server */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = pthread_create(&q->thread, NULL, run, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (sys) {
        release(q);
        return wr_err_sys(err, sys, "cannot start a thread for what is logged");
    }
    *out = q;
    return 0;
}

void wr_queue_stop(wr_queue *q)
{
    if (!q) return;
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    release(q);
}
