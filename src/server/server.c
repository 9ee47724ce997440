/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - opening and closing in the right order, and the keeper thread. */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "server/page.h"
#include "stage/rollout/run.h"
#include "track/metric.h"

enum {
    READERS = 2,
    LOADERS = 2,
    SYNC_MS = 100,
    SECOND_MS = 1000,
    DRAIN_MS = 10000 /* of requests in flight when stopping */,
    POLL_SHARE = 50, /* of the time at most goes into looking */
    POLL_PAUSE_MAX_MS = 5000
};
static const int64_t NS = 1000000000, DRAIN_AFTER_NS = (int64_t)600 * 1000000000, LEDGER_NS = (int64_t)60 * 1000000000;
static const int64_t SWEEP_FIRST_NS = (int64_t)600 * 1000000000, SWEEP_NS = (int64_t)86400 * 1000000000;
static const uint64_t DRAIN_BYTES = (uint64_t)64 << 20;

/* ---- the keeper ---- */

static void sleep_ms(wr_server *s, int ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    at.tv_sec += ms / 1000 + at.tv_nsec / NS;
    at.tv_nsec %= NS;
    pthread_mutex_lock(&s->lock);
    if (!s->stop) pthread_cond_timedwait(&s->wake, &s->lock, &at);
    pthread_mutex_unlock(&s->lock);
}

static void wake(wr_server *s, bool stop)
{
    pthread_mutex_lock(&s->lock);
    s->stop |= stop;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

static bool stopped(wr_server *s)
{
    pthread_mutex_lock(&s->lock);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static void drain_task(void *ctx, size_t index)
{
    wr_server *s = ctx;
    wr_drained d;
    wr_err err;
    (void)index;
    if (wr_serve_drain(&d, s->serve, &err) < 0) wr_warn("%s", err.msg);
    if (wr_serve_footprint(s->serve, false, &err) < 0) wr_warn("footprint of serving: %s", err.msg);
    atomic_store(&s->drained_ns, wr_clock_mono_ns());
    atomic_store(&s->draining, false);
}

static void drain_if_due(wr_server *s, int64_t now)
{
    uint64_t bytes = wr_serve_log_bytes(s->serve);
    bool due = bytes > DRAIN_BYTES || (bytes && now - atomic_load(&s->drained_ns) > DRAIN_AFTER_NS);
    if (!due || atomic_exchange(&s->draining, true)) return;
    if (wr_pool_post(s->worker, drain_task, s, 0) < 0) atomic_store(&s->draining, false);
}

/* ---- models ---- */

/* A folder of thousands takes its time to look at: then it is looked at less often. */
static void poll_repository(wr_server *s)
{
    wr_err err = {0};
    int64_t start = wr_clock_mono_ns();
    if (!s->polls || start < atomic_load(&s->polled_ns)) return;
    bool there = wr_repository_poll(wr_serve_repository(s->serve), &err) == 0;
    if (!there && !s->blind) wr_warn("looking for models: %s", err.msg);
    s->blind = !there; /* said once */
    int64_t end = wr_clock_mono_ns(), pause = (end - start) * POLL_SHARE, most = (int64_t)POLL_PAUSE_MAX_MS * 1000000;
    if (pause > most) pause = most; /* it may have loaded a model, or waited for a processor */
    atomic_store(&s->polled_ns, end + (pause > s->poll_us * 1000 ? pause : s->poll_us * 1000) - NS / 10);
}

static void look_for_models(void *ctx, size_t index)
{
    wr_server *s = ctx;
    wr_err err;
    (void)index;
    if (wr_serve_refresh(s->serve, &err) < 0) wr_warn("looking for new models: %s", err.msg);
    poll_repository(s);
    atomic_store(&s->looking, false);
}

static void look_soon(wr_server *s)
{
    if (atomic_exchange(&s->looking, true)) return;
    if (wr_pool_post(s->looker, look_for_models, s, 0) < 0) atomic_store(&s->looking, false);
}

static void each_second(wr_server *s, int64_t now)
{
    wr_err err;
    look_soon(s);
    wr_rollout_tick(s->serve);
    wr_serve_energy_tick(s->serve);
    wr_pulse_beat(s->pulse, s, now);
    wr_feed_push(s->feed);
    wr_watch_look(s->watch);
    wr_auth_tick(s->auth);
    drain_if_due(s, now);
    if (wr_metric_drain(s->track, false, &err) < 0) wr_warn("metrics stay in the log: %s", err.msg);
}

static void sweep_task(void *ctx, size_t index)
{
    wr_server *s = ctx;
    wr_err err;
    (void)index;
    if (wr_artifacts_sweep(s->artifacts, &err) < 0) wr_warn("sweeping artifacts: %s", err.msg);
}

/* What crashes and uploads nobody completed have left; once a day. */
static void sweep_if_due(wr_server *s)
{
    int64_t now = wr_clock_mono_ns();
    if (now < s->sweep_at_ns || wr_pool_post(s->worker, sweep_task, s, 0) < 0) return;
    s->sweep_at_ns = now + SWEEP_NS;
}

static void fetch_keys(void *ctx, size_t index)
{
    (void)index;
    wr_auth_fetch(ctx);
}

static void each_minute(wr_server *s)
{
    wr_err err;
    if (s->auth && s->minutes++ % 10 == 9) (void)wr_pool_post(s->worker, fetch_keys, s->auth, 0);
    sweep_if_due(s);
    (void)wr_serve_energy(s->serve); /* counters wrap when nobody looks */
    if (wr_serve_footprint(s->serve, false, &err) < 0) wr_warn("footprint of serving: %s", err.msg);
}

/* After a pass with nothing to sync the keeper sleeps until the next second, or until a round wakes it; then 100 ms, so
 * that what a round wrote is synced with what came after it. */
static void *keep(void *ctx)
{
    wr_server *s = ctx;
    int64_t second = wr_clock_mono_ns(), minute = second;
    int quiet = 0;
    while (!stopped(s)) {
        atomic_store(&s->idle, quiet >= 3);
        sleep_ms(s, quiet >= 3 ? SECOND_MS : SYNC_MS);
        wr_err err;
        int rc = wr_serve_sync(s->serve, &err);
        if (rc < 0) wr_warn("predictions are not on disk yet: %s", err.msg);
        quiet = atomic_exchange(&s->idle, false) ? quiet : quiet < 3 ? quiet + 1 : 0;
        int64_t now = wr_clock_mono_ns();
        if (now - second >= NS) {
            second = now;
            each_second(s, now);
        }
        if (now - minute >= LEDGER_NS) {
            minute = now;
            each_minute(s);
        }
    }
    return NULL;
}

/* ---- the loops' callbacks ---- */

/* A full disk fails thousands of rounds a second: one line in five seconds tells as much. */
static void warn_unkept(wr_server *s, const wr_err *why)
{
    int_fast64_t now = wr_clock_mono_ns(), last = atomic_load(&s->warned_ns);
    if (last && now - last < 5 * NS) return;
    if (atomic_compare_exchange_strong(&s->warned_ns, &last, now))
        wr_warn("requests are answered 503: %s%s%s", why->msg, why->detail[0] ? ": " : "", why->detail);
}

static int round_end(void *ctx, int loop)
{
    wr_server *s = ctx;
    wr_err err;
    s->loops[loop].infers = 0;
    int rc = wr_serve_round_end(s->loops[loop].round, &err);
    if (rc == 0) rc = wr_metric_commit(s->track, &err);
    if (rc < 0) warn_unkept(s, &err);
    if (atomic_load_explicit(&s->idle, memory_order_relaxed) && atomic_exchange(&s->idle, false)) wake(s, false);
    return rc;
}

static int64_t settle(void *ctx, int loop, bool all)
{
    wr_server_loop *l = &((wr_server *)ctx)->loops[loop];
    int64_t next = wr_batch_run(l->batch, all);
    wr_loop_trim(l);
    return next;
}

/* ---- the scheduler's callbacks ---- */

static size_t marks(void *ctx, wr_endpoint_mark *out, size_t max)
{
    wr_server *s = ctx;
    size_t n = 0;
    for (size_t i = 0; i < wr_serve_count(s->serve) && n < max; i++) {
        wr_serve_status st;
        wr_serve_status_of(&st, s->serve, i);
        if (!st.ready || st.watermark_us == INT64_MIN) continue;
        snprintf(out[n].name, sizeof out[n].name, "%s", st.name);
        out[n++].watermark_us = st.watermark_us;
    }
    return n;
}

static int flush(void *ctx, const char *endpoint, wr_err *err)
{
    wr_server *s = ctx;
    wr_drained d;
    (void)endpoint;
    int rc = wr_serve_drain(&d, s->serve, err);
    if (rc == 0) atomic_store(&s->drained_ns, wr_clock_mono_ns());
    return rc;
}

static void job_ended(void *ctx, const char *kind, int exit_code)
{
    wr_server *s = ctx;
    wr_err err;
    (void)kind;
    (void)exit_code;
    if (wr_serve_refresh(s->serve, &err) < 0) wr_warn("looking for new models: %s", err.msg);
}

/* ---- life ---- */

static int open_http(wr_server *s, const wr_server_opt *opt, wr_err *err)
{
    wr_http_server_opt h = {.host = opt->host,
                            .port = opt->port,
                            .loops = opt->loops,
                            .listeners = opt->listeners,
                            .nlisteners = opt->nlisteners,
                            .cert = opt->tls_certificate,
                            .key = opt->tls_key,
                            .route = wr_server_route,
                            .settle = settle,
                            .round_end = round_end,
                            .ctx = s};
    WR_TRY(wr_http_server_open(&s->http, &h, err));
    s->loops = wr_calloc((size_t)opt->loops, sizeof *s->loops);
    if (!s->loops) return wr_err_nomem(err);
    s->nloops = opt->loops;
    for (int i = 0; i < s->nloops; i++) wr_buf_init(&s->loops[i].body, 0);
    return 0;
}

static int start_keeper(wr_server *s, wr_err *err)
{
    sigset_t all, before;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_destroy(&s->wake);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all); /* signals are for the thread that runs the server */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = pthread_create(&s->keeper, NULL, keep, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->keeping = sys == 0;
    return sys ? wr_err_sys(err, sys, "cannot start a thread of the server") : 0;
}

static int start_schedule(wr_server *s, wr_err *err)
{
    wr_schedule_ops ops = {.ctx = s, .marks = marks, .flush = flush, .job_ended = job_ended};
    return wr_schedule_start(&s->schedule, s->project, &ops, err);
}

static int open_auth(wr_server *s, const wr_server_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *arena = wr_arena_new(0);
    const wr_yaml *config;
    wr_auth_opt a;
    bool on = opt->auth;
    if (!arena) return wr_err_nomem(err);
    s->guard = (wr_guard){opt->allowed_hosts, opt->allowed_origins};
    WR_TRY(wr_project_config(&config, s->project, err));
    WR_TRY(wr_auth_config(&a, &on, arena, s->project, config, err));
    return on ? wr_auth_open(&s->auth, s->track, &a, err) : 0;
}

static int open_artifacts(wr_server *s, const wr_server_opt *opt, wr_err *err)
{
    const char *secret;
    WR_TRY(wr_project_artifacts(&s->artifacts, s->project, opt->artifacts, err));
    WR_TRY(wr_project_state(&secret, s->project, "secret", false, err));
    s->sweep_at_ns = wr_clock_mono_ns() + SWEEP_FIRST_NS;
    return wr_signer_open(&s->signer, secret, err);
}

typedef struct {
    wr_server *server;
    const wr_server_opt *opt;
} opening;

/* The metric log and the store of artifacts are opened as the server wants them, before somebody who asks for a model
 * opens them otherwise. */
static int open_records(void *ctx, wr_err *err)
{
    opening *o = ctx;
    WR_TRY(wr_project_track_log(&o->server->track, o->server->project, err));
    return open_artifacts(o->server, o->opt, err);
}

/* Only programs of this machine reach it. */
static bool is_local(const char *host)
{
    return !host || strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0;
}

static int open_models(wr_server *s, const wr_server_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_serving config;
    opening o = {s, opt};
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_serving_read(&config, a, s->project, err));
    if (opt->repository) config.repository = opt->repository;
    s->heavy = wr_pool_new(wr_os_cpus() + 1);
    s->split = wr_pool_new(0);
    s->loader = wr_pool_new(LOADERS + 1);
    s->looker = wr_pool_new(2); /* one beside the caller */
    if (!s->heavy || !s->split || !s->loader || !s->looker) return wr_err_nomem(err);
    wr_serve_opt serving = {.rollouts = &wr_rollouts,
                            .repository = config.repository,
                            .load_all = config.load_all,
                            .cache_bytes = config.cache_bytes,
                            .pool = s->split,
                            .before = open_records,
                            .ctx = &o};
    WR_TRY(wr_serve_open(&s->serve, s->project, &serving, err));
    if (config.rate > 0) WR_TRY(wr_limiter_new(&s->limiter, config.rate, config.burst, err));
    s->queue_max = config.queue;
    s->body_max = config.body_max;
    s->loads = config.repository != NULL;
    s->polls = s->loads && config.poll_us > 0;
    s->poll_us = config.poll_us;
    s->polled_ns = wr_clock_mono_ns() + config.poll_us * 1000;
    if (config.name && !(s->oip_name = wr_strdup(config.name))) return wr_err_nomem(err);
    wr_oip_opt oip = {.server_name = s->oip_name,
                      .server_version = WEIR_VERSION,
                      .shared_memory = config.shared_memory && is_local(opt->host)};
    return wr_oip_new(&s->oip, &oip, err);
}

static int open_in(wr_server *s, const wr_server_opt *opt, wr_err *err)
{
    WR_TRY(open_http(s, opt, err));
    WR_TRY(open_models(s, opt, err));
    for (int i = 0; i < s->nloops; i++) {
        s->loops[i].round = wr_round_new(s->serve);
        s->loops[i].batch = wr_batch_new();
        s->loops[i].alike = wr_oip_alike_new();
        if (!s->loops[i].round || !s->loops[i].batch || !s->loops[i].alike) return wr_err_nomem(err);
    }
    WR_TRY(open_auth(s, opt, err));
    WR_TRY(wr_feed_new(&s->feed, s->project, err));
    WR_TRY(wr_watch_new(&s->watch, s->track, err));
    WR_TRY(wr_pulse_new(&s->pulse, err));
    s->worker = wr_pool_new(2); /* one beside the caller */
    s->readers = wr_pool_new(READERS + 1);
    if (!s->worker || !s->readers) return wr_err_nomem(err);
    s->drained_ns = wr_clock_mono_ns();
    WR_TRY(wr_sender_config(s->track, s->project, err));
    WR_TRY(wr_sender_start(&s->sender, s->track, err));
    WR_TRY(start_keeper(s, err));
    return opt->schedule ? start_schedule(s, err) : 0;
}

int wr_server_open(wr_server **out, wr_project *p, const wr_server_opt *opt, wr_err *err)
{
    wr_server_opt o = *opt;
    wr_server *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    if (o.loops <= 0) o.loops = 1;
    if (o.nlisteners) o.loops = o.nlisteners;
    s->project = p;
    s->started_us = wr_clock_wall_us();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    int rc = open_in(s, &o, err);
    if (rc < 0) {
        wr_err ignored; /* what is to be told is why it did not open */
        (void)wr_server_close(s, &ignored);
        return rc;
    }
    *out = s;
    return 0;
}

int wr_server_port(const wr_server *s) { return wr_http_server_port(s->http); }
int wr_server_run(wr_server *s, wr_err *err) { return wr_http_server_run(s->http, err); }
void wr_server_stop(wr_server *s) { wr_http_server_stop(s->http, DRAIN_MS); }
void wr_server_hand_over(wr_server *s) { wr_http_server_hand_over(s->http, DRAIN_MS); }

int wr_server_listeners(wr_server *s, int *out, int max)
{
    s->handed = true;
    return wr_http_server_listeners(s->http, out, max);
}

static int last_words(wr_server *s, wr_err *err)
{
    wr_drained d;
    wr_err other;
    int rc = s->handed ? 0 : wr_serve_drain(&d, s->serve, err); /* which takes a while, and somebody waits */
    int ledger = wr_serve_footprint(s->serve, true, &other);
    if (rc == 0 && ledger < 0 && err) *err = other;
    return rc < 0 ? rc : ledger;
}

int wr_server_close(wr_server *s, wr_err *err)
{
    if (!s) return 0;
    bool ran = s->keeping;
    wr_schedule_stop(s->schedule);
    wr_sender_stop(s->sender);
    if (s->keeping) {
        wake(s, true);
        pthread_join(s->keeper, NULL);
    }
    wr_pool_free(s->looker); /* runs what was posted */
    wr_pool_free(s->loader);
    wr_pool_free(s->heavy);
    wr_pool_free(s->worker);
    wr_pool_free(s->readers);
    wr_pool_free(s->transfers);                       /* after those who post to it */
    if (s->track) wr_db_await(wr_track_db(s->track)); /* writes whose client is gone: nobody else waits for them */
    wr_feed_free(s->feed);
    wr_watch_free(s->watch);
    wr_pulse_free(s->pulse);
    wr_http_server_close(s->http);
    wr_auth_close(s->auth);
    for (int i = 0; i < s->nloops; i++) {
        wr_round_free(s->loops[i].round);
        wr_batch_free(s->loops[i].batch);
        wr_oip_alike_free(s->loops[i].alike);
        wr_buf_fini(&s->loops[i].body);
    }
    int rc = ran ? last_words(s, err) : 0;
    wr_serve_close(s->serve);
    wr_oip_free(s->oip);
    wr_free(s->oip_name);
    wr_limiter_free(s->limiter);
    wr_pool_free(s->split);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    wr_free(s->loops);
    wr_free(s);
    return rc;
}
