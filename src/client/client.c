/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - the public functions. Producers fill `filling` under the lock; the thread swaps it for an empty one,
 * appends it to the spool and sends. Nobody waits for the thread but weir_run_flush() and weir_run_end(). */
#include "weir/weir.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/os.h"
#include "client/sender.h"

enum {
    BUFFER = 8 << 20,
    PATH = 4096,
    WAKE_BYTES = 64 << 10,
    TICK_MS = 100,
    BACKOFF_LEAST_MS = 200,
    BACKOFF_MOST_MS = 5000
};

struct weir_run {
    char id[72], url[1024], spool_dir[PATH], *token;
    wr_spool *spool;
    wr_sender *sender;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake, progress;
    wr_buf filling;
    size_t cap;
    uint64_t logged, dropped, acknowledged, refused; /* values */
    uint64_t given, taken, delivered; /* numbers of records: given by callers, moved into the spool, sent from it */
    bool stop, hurry, lost;           /* lost: the spool cannot be written */
    char error[1024];
    wr_buf draining; /* the thread's alone */
};

/* ---- the thread ---- */

static struct timespec in_ms(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + ms % 1000 * 1000000;
    at.tv_sec += ms / 1000 + ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    return at;
}

static void set_error(weir_run *r, const wr_err *err)
{
    snprintf(r->error, sizeof r->error, "%s%s%s", err->msg, err->detail[0] ? ": " : "", err->detail);
}

/* Under the lock: takes what was filled; true when there is something. */
static bool take(weir_run *r, uint64_t *records)
{
    wr_buf empty = r->draining;
    if (!r->filling.n) return false;
    wr_buf_clear(&empty);
    r->draining = r->filling;
    r->filling = empty;
    *records = r->given;
    return true;
}

static void spool_some(weir_run *r)
{
    uint64_t records;
    wr_err err = {0};
    pthread_mutex_lock(&r->lock);
    bool some = take(r, &records);
    if (!some) { /* what was given since was dropped: there is nothing to deliver of it */
        if (r->delivered == r->taken) r->delivered = r->given;
        r->taken = r->given;
        pthread_cond_broadcast(&r->progress);
    }
    pthread_mutex_unlock(&r->lock);
    if (!some) return;
    int rc = wr_spool_append(r->spool, wr_buf_view(&r->draining), &err);
    pthread_mutex_lock(&r->lock);
    if (rc < 0) {
        set_error(r, &err);
        r->lost = true;
        r->dropped += records - r->taken;
    }
    r->taken = records;
    pthread_mutex_unlock(&r->lock);
}

static int send_some(weir_run *r)
{
    wr_err err = {0};
    wr_sender_counts counts = {0};
    uint64_t sending = r->taken; /* this thread alone changes it */
    int rc = 0;
    if (!r->sender) rc = wr_sender_new(&r->sender, r->spool, r->url, r->token, &err);
    if (rc == 0) rc = wr_sender_run(r->sender, &err);
    if (r->sender) wr_sender_counters(r->sender, &counts);
    pthread_mutex_lock(&r->lock);
    r->acknowledged = counts.acknowledged;
    r->refused = counts.refused;
    if (rc == 0) r->delivered = sending;
    if (rc < 0 || err.code) set_error(r, &err);
    pthread_cond_broadcast(&r->progress);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static void *run_thread(void *arg)
{
    weir_run *r = arg;
    int64_t backoff = 0, next_ns = 0;
    for (bool stop = false; !stop;) {
        pthread_mutex_lock(&r->lock);
        struct timespec until = in_ms(TICK_MS);
        if (!r->stop && !r->hurry) pthread_cond_timedwait(&r->wake, &r->lock, &until);
        if (r->hurry) next_ns = 0;
        r->hurry = false;
        stop = r->stop;
        pthread_mutex_unlock(&r->lock);
        spool_some(r);
        if (r->delivered == r->taken || stop || wr_clock_mono_ns() < next_ns) continue;
        if (send_some(r) == 0) backoff = 0;
        else {
            backoff = backoff ? 2 * backoff : BACKOFF_LEAST_MS;
            if (backoff > BACKOFF_MOST_MS) backoff = BACKOFF_MOST_MS;
            next_ns = wr_clock_mono_ns() + backoff * 1000000;
        }
    }
    return NULL;
}

/* ---- starting ---- */

static const char *or_env(const char *given, const char *name, const char *fallback)
{
    const char *env = given ? NULL : getenv(name);
    return given ? given : env && env[0] ? env : fallback;
}

static int make_dirs(const char *path)
{
    char p[PATH];
    if (snprintf(p, sizeof p, "%s", path) >= (int)sizeof p) return -1;
    for (char *s = p + 1; *s; s++) {
        if (*s != '/') continue;
        *s = 0;
        if (mkdir(p, 0700) < 0 && errno != EEXIST) return -1;
        *s = '/';
    }
    return mkdir(p, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

static int spool_folder(char out[PATH], const char *given)
{
    const char *dir = or_env(given, "WEIR_SPOOL", NULL), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (dir) n = snprintf(out, PATH, "%s", dir);
    else if (state && state[0]) n = snprintf(out, PATH, "%s/weir/spool", state);
    else n = snprintf(out, PATH, "%s/.local/state/weir/spool", home && home[0] ? home : "/tmp");
    return n < PATH && make_dirs(out) == 0 ? 0 : WEIR_CLIENT_EIO;
}

static void new_id(char out[72])
{
    unsigned char r[16];
    wr_os_random(r, sizeof r);
    for (size_t i = 0; i < sizeof r; i++) snprintf(out + 2 * i, 3, "%02x", r[i]);
}

static void release(weir_run *r)
{
    wr_sender_free(r->sender);
    wr_buf_fini(&r->filling);
    wr_buf_fini(&r->draining);
    pthread_cond_destroy(&r->wake);
    pthread_cond_destroy(&r->progress);
    pthread_mutex_destroy(&r->lock);
    wr_free(r->token);
    wr_free(r);
}

static int start_thread(weir_run *r)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are for the threads of the program */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = pthread_create(&r->thread, NULL, run_thread, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return sys ? WEIR_CLIENT_ENOMEM : 0;
}

/* A second spool of one run, when its id was given and an older one waits: numbered. */
static int make_spool(weir_run *r)
{
    char name[96];
    wr_err err = {0};
    for (int i = 0; i < 1000; i++) {
        if (i) snprintf(name, sizeof name, "%s.%d", r->id, i);
        else snprintf(name, sizeof name, "%s", r->id);
        int rc = wr_spool_create(&r->spool, r->spool_dir, name, &err);
        if (rc != WEIR_EEXIST) return rc == 0 ? 0 : WEIR_CLIENT_EIO;
    }
    return WEIR_CLIENT_EIO;
}

static int describe(weir_run *r, const weir_run_options *o, bool existing)
{
    WR_AUTOBUF wr_buf meta, record;
    wr_err err = {0};
    wr_buf_init(&meta, 0);
    wr_buf_init(&record, 0);
    const char *experiment = or_env(o->experiment, "MLFLOW_EXPERIMENT_NAME", "Default");
    if (wr_sender_describe(&meta, r->url, experiment, o->name, r->id, wr_clock_wall_us() / 1000, existing) < 0)
        return WEIR_CLIENT_ENOMEM;
    wr_spool_encode(&record, &(wr_spool_record){.kind = WR_SPOOL_RUN, .key = WR_STR(""), .text = wr_buf_view(&meta)});
    if (record.failed) return WEIR_CLIENT_ENOMEM;
    return wr_spool_append(r->spool, wr_buf_view(&record), &err) < 0 ? WEIR_CLIENT_EIO : 0;
}

static int start(weir_run *r, const weir_run_options *o)
{
    const char *url = or_env(o->url, "MLFLOW_TRACKING_URI", "http://127.0.0.1:8080"),
               *token = or_env(o->token, "MLFLOW_TRACKING_TOKEN", NULL);
    const char *id = or_env(o->run_id, "MLFLOW_RUN_ID", NULL);
    wr_transport *probe;
    wr_err err;
    if (id && (strlen(id) > 64 ||
               strspn(id, "0123456789abcdefABCDEFghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ-_") != strlen(id)))
        return WEIR_CLIENT_EINVAL;
    if (snprintf(r->url, sizeof r->url, "%s", url) >= (int)sizeof r->url ||
        wr_transport_open(&probe, url, token, &err) < 0)
        return WEIR_CLIENT_EINVAL;
    wr_transport_close(probe);
    if (id) snprintf(r->id, sizeof r->id, "%s", id);
    else new_id(r->id);
    r->token = token ? wr_strdup(token) : NULL;
    if (token && !r->token) return WEIR_CLIENT_ENOMEM;
    int rc = spool_folder(r->spool_dir, o->spool);
    if (rc == 0) rc = make_spool(r);
    if (rc == 0) rc = describe(r, o, id != NULL);
    if (rc == 0) rc = start_thread(r);
    if (rc < 0 && r->spool) wr_spool_remove(r->spool);
    return rc;
}

int weir_run_start(weir_run **out, const weir_run_options *options)
{
    weir_run_options none = {0};
    pthread_condattr_t attr;
    weir_run *r = wr_calloc(1, sizeof *r);
    if (!r) return WEIR_CLIENT_ENOMEM;
    if (!options) options = &none;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, &attr);
    pthread_cond_init(&r->progress, &attr);
    pthread_condattr_destroy(&attr);
    r->cap = options->buffer ? options->buffer : BUFFER;
    wr_buf_init(&r->filling, 0);
    wr_buf_init(&r->draining, 0);
    int rc = start(r, options);
    if (rc < 0) {
        release(r);
        return rc;
    }
    *out = r;
    return 0;
}

const char *weir_run_id(const weir_run *run) { return run->id; }

/* ---- logging ---- */

static int put(weir_run *r, const wr_spool_record *rec)
{
    size_t need = rec->key.n + rec->text.n + 64;
    int rc = 0;
    if (!rec->key.n || rec->key.n > WR_SPOOL_KEY || rec->text.n > WR_SPOOL_TEXT) return WEIR_CLIENT_EINVAL;
    pthread_mutex_lock(&r->lock);
    r->logged++;
    r->given++;
    if (r->lost || r->filling.n + need > r->cap) rc = WEIR_CLIENT_EFULL;
    else {
        wr_spool_encode(&r->filling, rec);
        if (r->filling.failed) rc = WEIR_CLIENT_EFULL;
    }
    if (rc < 0) r->dropped++;
    if (r->filling.n >= WAKE_BYTES) pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

int weir_log_metric_at(weir_run *run, const char *key, double value, int64_t step, int64_t time_ms)
{
    if (!key) return WEIR_CLIENT_EINVAL;
    return put(run, &(wr_spool_record){.kind = WR_SPOOL_METRIC,
                                       .step = step,
                                       .time_ms = time_ms,
                                       .value = value,
                                       .key = wr_str_of(key),
                                       .text = WR_STR("")});
}

int weir_log_metric(weir_run *run, const char *key, double value, int64_t step)
{
    return weir_log_metric_at(run, key, value, step, wr_clock_wall_us() / 1000);
}

static int put_text(weir_run *run, char kind, const char *key, const char *value)
{
    if (!key || !value) return WEIR_CLIENT_EINVAL;
    return put(run, &(wr_spool_record){.kind = kind, .key = wr_str_of(key), .text = wr_str_of(value)});
}

int weir_log_param(weir_run *run, const char *key, const char *value)
{
    return put_text(run, WR_SPOOL_PARAM, key, value);
}
int weir_set_tag(weir_run *run, const char *key, const char *value) { return put_text(run, WR_SPOOL_TAG, key, value); }

/* ---- waiting, ending ---- */

int weir_run_flush(weir_run *run, int timeout_ms)
{
    struct timespec until = in_ms(timeout_ms < 0 ? 0 : timeout_ms);
    int sys = 0;
    pthread_mutex_lock(&run->lock);
    uint64_t target = run->given;
    run->hurry = true;
    pthread_cond_signal(&run->wake);
    while (sys == 0 && !run->lost && run->delivered < target)
        sys = timeout_ms < 0 ? pthread_cond_wait(&run->progress, &run->lock)
                             : pthread_cond_timedwait(&run->progress, &run->lock, &until);
    int rc = run->lost ? WEIR_CLIENT_EIO : run->delivered >= target ? 0 : WEIR_CLIENT_ELATER;
    pthread_mutex_unlock(&run->lock);
    return rc;
}

int weir_run_end(weir_run *run, weir_run_status status, int timeout_ms)
{
    wr_spool_record end = {.kind = WR_SPOOL_END,
                           .step = status,
                           .time_ms = wr_clock_wall_us() / 1000,
                           .key = WR_STR("end"),
                           .text = WR_STR("")};
    pthread_mutex_lock(&run->lock);
    wr_spool_encode(&run->filling, &end); /* whatever the buffer holds: this is not dropped */
    run->given++;
    pthread_mutex_unlock(&run->lock);
    int rc = weir_run_flush(run, timeout_ms);
    pthread_mutex_lock(&run->lock);
    run->stop = true;
    pthread_cond_signal(&run->wake);
    pthread_mutex_unlock(&run->lock);
    pthread_join(run->thread, NULL);
    if (rc == 0) wr_spool_remove(run->spool);
    else wr_spool_close(run->spool);
    release(run);
    return rc;
}

void weir_run_counters(const weir_run *run, weir_run_counts *out)
{
    weir_run *r = (weir_run *)(uintptr_t)run;
    pthread_mutex_lock(&r->lock);
    *out = (weir_run_counts){r->logged, r->acknowledged, r->dropped, r->refused};
    pthread_mutex_unlock(&r->lock);
}

void weir_run_last_error(const weir_run *run, char *out, size_t size)
{
    weir_run *r = (weir_run *)(uintptr_t)run;
    pthread_mutex_lock(&r->lock);
    snprintf(out, size, "%s", r->error);
    pthread_mutex_unlock(&r->lock);
}

/* ---- what others left ---- */

/* 0: sent and removed; 1: it stays. */
static int send_file(const char *dir, const char *name)
{
    char url[1024];
    wr_spool *s;
    wr_sender *sender = NULL;
    wr_err err = {0};
    if (wr_spool_open(&s, dir, name, &err) < 0) return 1;
    int rc = wr_sender_url(url, sizeof url, s, &err);
    if (rc == 0) rc = wr_sender_new(&sender, s, url, getenv("MLFLOW_TRACKING_TOKEN"), &err);
    if (rc == 0) rc = wr_sender_run(sender, &err);
    wr_sender_free(sender);
    if (rc == 0) wr_spool_remove(s);
    else wr_spool_close(s);
    return rc == 0 ? 0 : 1;
}

int weir_spool_send(const char *spool, int timeout_ms, size_t *left)
{
    char dir[PATH], name[96];
    size_t stay = 0;
    int64_t until = wr_clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    int rc = spool_folder(dir, spool);
    DIR *d = rc == 0 ? opendir(dir) : NULL;
    if (!d) return WEIR_CLIENT_EIO;
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 7 || n - 6 >= sizeof name || strcmp(e->d_name + n - 6, ".spool") != 0) continue;
        memcpy(name, e->d_name, n - 6);
        name[n - 6] = 0;
        stay += timeout_ms >= 0 && wr_clock_mono_ns() > until ? 1 : (size_t)send_file(dir, name);
    }
    closedir(d);
    if (left) *left = stay;
    return stay ? WEIR_CLIENT_ELATER : 0;
}
