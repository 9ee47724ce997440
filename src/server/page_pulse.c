/* SPDX-License-Identifier: Apache-2.0 */
/* page_pulse.c - requests for predictions of the last ten minutes, for the picture at the top of the status page.
 *
 * A ring of what came in steps of five seconds; the keeper writes it, whoever shows the page reads it. */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "server/page.h"

struct wr_pulse {
    pthread_mutex_t lock; /* a leaf; guards all below */
    int64_t step_ns;      /* when the newest step ends */
    uint64_t all_then, bad_then;
    uint64_t all[WR_PULSE_STEPS], bad[WR_PULSE_STEPS];
    size_t next;
};

int wr_pulse_new(wr_pulse **out, wr_err *err)
{
    wr_pulse *p = wr_calloc(1, sizeof *p);
    if (!p) return wr_err_nomem(err);
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return 0;
}

void wr_pulse_free(wr_pulse *p)
{
    if (!p) return;
    pthread_mutex_destroy(&p->lock);
    wr_free(p);
}

static void asked(uint64_t *all, uint64_t *bad, const wr_server *s)
{
    *all = *bad = 0;
    for (int i = 0; i < s->nloops; i++)
        for (size_t d = 1; d < 6; d++) {
            uint64_t n = atomic_load_explicit(&s->loops[i].counts[WR_KIND_INFER].status[d], memory_order_relaxed);
            *all += n;
            if (d >= 4) *bad += n;
        }
}

/* What came while the keeper was late is in the newest step. */
void wr_pulse_beat(wr_pulse *p, wr_server *s, int64_t now_ns)
{
    static const int64_t STEP_NS = (int64_t)WR_PULSE_STEP_S * 1000000000;
    uint64_t all, bad;
    asked(&all, &bad, s);
    pthread_mutex_lock(&p->lock);
    if (!p->step_ns) p->step_ns = now_ns + STEP_NS;
    for (int i = 0; i < WR_PULSE_STEPS && now_ns >= p->step_ns; i++) {
        p->next = (p->next + 1) % WR_PULSE_STEPS;
        p->all[p->next] = p->bad[p->next] = 0;
        p->step_ns += STEP_NS;
    }
    if (now_ns >= p->step_ns) p->step_ns = now_ns + STEP_NS;
    p->all[p->next] += all - p->all_then;
    p->bad[p->next] += bad - p->bad_then;
    p->all_then = all;
    p->bad_then = bad;
    pthread_mutex_unlock(&p->lock);
}

void wr_page_pulse(wr_page *page)
{
    wr_pulse *p = page->server->pulse;
    uint64_t all[WR_PULSE_STEPS], bad[WR_PULSE_STEPS], sum = 0, failed = 0;
    char title[160], n[WR_NUM_TEXT], rate[WR_NUM_TEXT];
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < WR_PULSE_STEPS; i++) { /* the oldest first, the one that is filling last */
        all[i] = p->all[(p->next + 1 + i) % WR_PULSE_STEPS];
        bad[i] = p->bad[(p->next + 1 + i) % WR_PULSE_STEPS];
        sum += all[i];
        failed += bad[i];
    }
    pthread_mutex_unlock(&p->lock);
    wr_fmt_count(n, (double)sum);
    snprintf(title, sizeof title, "requests of the last ten minutes: %s, of which %llu refused or failed", n,
             (unsigned long long)failed);
    wr_fmt_count(rate, (double)(all[WR_PULSE_STEPS - 2] / WR_PULSE_STEP_S));
    wr_buf_printf(page->b, "<div class=wide><dt>Requests, last ten minutes</dt><dd>%s <small>now %s/s", n, rate);
    if (failed)
        wr_buf_printf(page->b, " &middot; <span class=no>%s refused or failed</span>", wr_fmt_count(n, (double)failed));
    wr_buf_str(page->b, "</small>");
    wr_page_bars(page->b, title, all, bad, WR_PULSE_STEPS);
    wr_buf_str(page->b, "</dd></div>");
}
