/* SPDX-License-Identifier: Apache-2.0 */
/* load_testing.h - for tests only: 64 writers on the tracking server, each with a connection and a chapter of its own.
 */
#pragma once
#include <pthread.h>

#include "server/ledger_testing.h"
#include "server/program_testing.h"

enum { WRITERS = 64, LOAD_THREADS = 2, LOAD_EACH = WRITERS / LOAD_THREADS, AT_ONCE = 4 };

typedef struct {
    const program *servers; /* writer i asks number i modulo nservers */
    int nservers;
    chapter *chapters; /* one a writer; read after load_end() */
    atomic_int answered;
    atomic_bool stop;
    wr_rng rng;
    pthread_t threads[LOAD_THREADS];
    struct load_part {
        void *load;
        int first;
        uint64_t seed;
    } parts[LOAD_THREADS];
} load;

static inline wr_http_client *reach(const program *p)
{
    char url[64];
    wr_http_client *c = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", atomic_load(&p->port));
    return wr_http_client_open(&c, url, 60000, NULL) < 0 ? NULL : c;
}

/* Queues one request of a writer, sometimes four; their number. `h` becomes NULL when its connection is gone: that
 * writer writes no more. */
static inline int load_send(int asked[AT_ONCE], chapter *c, wr_http_client **h, wr_rng *r, wr_buf *b)
{
    int n = 0;
    bool once = c->model != NOTHING && certain(&c->deleted, false) && wr_rng_below(r, 4) == 0;
    while (*h && n < (once ? AT_ONCE : 1)) {
        int number = chapter_next(c, r, once);
        if (number < 0) break;
        asked[n++] = number;
        if (chapter_send(c, *h, b, number)) continue;
        wr_http_client_close(*h);
        *h = NULL;
    }
    if (*h) (void)wr_http_client_flush(*h, NULL);
    return n;
}

static inline void load_receive(load *l, const int *asked, int n, chapter *c, wr_http_client **h)
{
    int status;
    wr_str reply;
    for (int k = 0; *h && k < n; k++) {
        if (wr_http_client_recv(*h, &status, &reply, NULL) < 0) {
            wr_http_client_close(*h);
            *h = NULL;
            return;
        }
        chapter_told(c, asked[k], status, reply);
        atomic_fetch_add(&l->answered, 1);
    }
}

static inline void *load_main(void *arg)
{
    const struct load_part *part = arg;
    load *l = part->load;
    wr_rng r;
    WR_AUTOBUF wr_buf b = {0};
    wr_http_client *h[LOAD_EACH];
    int asked[LOAD_EACH][AT_ONCE], n[LOAD_EACH];
    chapter *c = l->chapters + part->first;
    wr_rng_init(&r, part->seed);
    for (int i = 0; i < LOAD_EACH; i++) h[i] = reach(&l->servers[i % l->nservers]);
    for (bool some = true; some && !atomic_load(&l->stop);) {
        for (int i = 0; i < LOAD_EACH; i++) n[i] = load_send(asked[i], &c[i], &h[i], &r, &b);
        for (int i = 0; i < LOAD_EACH; i++) load_receive(l, asked[i], n[i], &c[i], &h[i]);
        some = false;
        for (int i = 0; i < LOAD_EACH; i++) some |= h[i] && c[i].nops < OPS_MAX;
    }
    for (int i = 0; i < LOAD_EACH; i++) wr_http_client_close(h[i]);
    return NULL;
}

/* New chapters of life number `life`. */
static inline void load_start(load *l, chapter *chapters, int life)
{
    l->chapters = chapters;
    atomic_store(&l->stop, false);
    atomic_store(&l->answered, 0);
    for (int i = 0; i < WRITERS; i++) chapter_init(&chapters[i], i, life);
    for (int i = 0; i < LOAD_THREADS; i++) {
        l->parts[i] = (struct load_part){.load = l, .first = i * LOAD_EACH, .seed = wr_rng_u64(&l->rng)};
        assert_int_equal(pthread_create(&l->threads[i], NULL, load_main, &l->parts[i]), 0);
    }
}

/* Waits until `n` more requests were answered, or so long; and a random moment more. */
static inline void load_await(load *l, int n, int most_ms)
{
    int upto = atomic_load(&l->answered) + n;
    for (int ms = 0; ms < most_ms && atomic_load(&l->answered) < upto; ms += 5) usleep(5000);
    usleep((useconds_t)wr_rng_below(&l->rng, 8000));
}

static inline void load_end(load *l, bool stop)
{
    if (stop) atomic_store(&l->stop, true);
    for (int i = 0; i < LOAD_THREADS; i++) pthread_join(l->threads[i], NULL);
}

/* Asks for all that each `nth` of `n` chapters made; the number of acknowledged operations. Of two servers the other
 * one is asked. */
static inline int load_check(load *l, chapter *chapters, int n, int nth)
{
    int acked = 0;
    WR_AUTOBUF wr_buf b = {0};
    for (int i = (int)wr_rng_below(&l->rng, (uint64_t)nth); i < n; i += nth) {
        chapter *c = &chapters[i];
        wr_http_client *h = reach(&l->servers[(i + 1) % l->nservers]);
        assert_non_null(h);
        chapter_check(c, h, &b);
        wr_http_client_close(h);
        if (c->trouble[0]) fail_msg("life %d, writer %d: %s", c->life, c->writer, c->trouble);
        acked += c->nacked;
    }
    return acked;
}
