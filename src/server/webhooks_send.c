/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks_send.c - the thread that empties the outbox of webhooks. */
#include "server/webhooks_send.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/yaml.h"

/* LOOK_MS: other processes fill the outbox too (weir model promote). */
enum { TICK_MS = 250, LOOK_MS = 2000, AT_ONCE = 32, COMPLAIN_NS = 60 };

struct wr_sender {
    wr_track *track;
    pthread_t thread;
    pthread_mutex_t lock; /* for the condition alone; a leaf */
    pthread_cond_t wake;
    atomic_bool stop;
    wr_webhook_transport inner; /* opened at the first message */
    int64_t complained_ns;
};

/* ---- settings ---- */

int wr_sender_config(wr_track *t, wr_project *p, wr_err *err)
{
    static const char *const known[] = {"allow", NULL};
    const wr_yaml *config;
    const char *given = getenv("WEIR_WEBHOOKS_ALLOW");
    wr_str text;
    unsigned flags;
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *w = wr_yaml_get(config, "webhooks");
    if (w) WR_TRY(wr_yaml_known(w, "webhooks", known, err));
    WR_TRY(wr_yaml_get_str(&text, w, "allow", "", err));
    if (given) text = wr_str_of(given);
    WR_TRY(wr_webhook_allow_parse(&flags, text, err));
    wr_webhook_allow(t, flags);
    return 0;
}

/* ---- the thread ---- */

static void send_lazily(void *ctx, const wr_webhook_request *in, wr_webhook_answer *out)
{
    wr_sender *s = ctx;
    wr_err err = {0};
    if (!s->inner.ctx && wr_webhook_transport_open(&s->inner, &s->stop, &err) < 0) {
        snprintf(out->why, sizeof out->why, "%.190s", err.msg);
        return;
    }
    s->inner.send(s->inner.ctx, in, out);
}

static void complain(wr_sender *s, const wr_err *err)
{
    int64_t now = wr_clock_mono_ns();
    if (s->complained_ns && now - s->complained_ns < COMPLAIN_NS * 1000000000LL) return;
    s->complained_ns = now;
    wr_warn("webhooks wait in the outbox: %s%s%s", err->msg, err->detail[0] ? ": " : "", err->detail);
}

/* When to look again. */
static int64_t empty_outbox(wr_sender *s)
{
    wr_webhook_transport transport = {.send = send_lazily, .ctx = s};
    wr_err err = {0};
    int64_t next, soon = wr_track_now_ms() + LOOK_MS;
    int rc;
    do rc = wr_webhook_deliver(&next, s->track, &transport, AT_ONCE, &err);
    while (rc > 0 && !atomic_load(&s->stop));
    if (rc < 0) complain(s, &err);
    return rc == 0 && next < soon ? next : soon;
}

static void tick(wr_sender *s)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += TICK_MS * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    pthread_mutex_lock(&s->lock);
    if (!atomic_load(&s->stop)) pthread_cond_timedwait(&s->wake, &s->lock, &at);
    pthread_mutex_unlock(&s->lock);
}

static void *run(void *arg)
{
    wr_sender *s = arg;
    int64_t next = 0;
    while (!atomic_load(&s->stop)) {
        if (wr_webhook_stirred(s->track) || wr_track_now_ms() >= next) next = empty_outbox(s);
        tick(s);
    }
    wr_webhook_transport_close(&s->inner);
    return NULL;
}

int wr_sender_start(wr_sender **out, wr_track *t, wr_err *err)
{
    sigset_t all, before;
    wr_sender *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->track = t;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    sigfillset(&all); /* signals are for the thread that runs the server */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (sys) {
        wr_free(s);
        return wr_err_sys(err, sys, "cannot start the thread of webhooks");
    }
    *out = s;
    return 0;
}

void wr_sender_stop(wr_sender *s)
{
    if (!s) return;
    atomic_store(&s->stop, true);
    pthread_mutex_lock(&s->lock);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    wr_free(s);
}
