/* SPDX-License-Identifier: Apache-2.0 */
/* metric.c - the metric log and its memory: opening, appending, committing, what readers see of it. */
#include "track/metric.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "track/metric_inside.h"
#include "track/metric_record.h"

enum {
    DRAIN_BYTES = 16 << 20,
    MEMORY_MAX = 64 << 20,
    WAIT_MS = 100,   /* so long appending waits for room */
    RETRY_MS = 1000, /* after a drain that failed */
};

/* ---- shards ---- */

wr_metric_shard *wr_metric_shard_of(wr_metric_state *m, int64_t run)
{
    return &m->shards[(uint64_t)run * UINT64_C(0x9e3779b97f4a7c15) >> 60];
}

/* With the shard's lock. All or none. */
static int add(wr_metric_state *m, wr_metric_shard *s, int64_t run, const wr_track_point *p, size_t n, wr_err *err)
{
    size_t before = s->active ? wr_metric_table_bytes(s->active) : 0;
    if (!s->active && !(s->active = wr_metric_table_new())) return wr_err_nomem(err);
    int rc = wr_metric_table_add(s->active, run, p, n);
    atomic_fetch_add(&m->active_bytes, wr_metric_table_bytes(s->active) - before);
    if (rc < 0) return wr_err_nomem(err);
    int64_t none = 0;
    if (!atomic_load(&m->oldest_ns)) atomic_compare_exchange_strong(&m->oldest_ns, &none, wr_clock_mono_ns());
    return 0;
}

/* ---- opening ---- */

typedef struct {
    wr_metric_state *m;
    wr_arena *a;
    const char *dir;
    uint64_t segment;
    wr_err *err;
} replay;

static int replay_record(void *ctx, uint32_t type, wr_str payload)
{
    replay *r = ctx;
    int64_t run;
    wr_track_point *p;
    size_t n;
    if (type != WR_METRIC_RECORD) {
        wr_err_set(r->err, WEIR_EUNSUPPORTED, "the metric log '%s' was written by a newer program", r->dir);
        return wr_err_hint(r->err, WEIR_EUNSUPPORTED, "use the newer version of weir");
    }
    wr_arena_clear(r->a);
    int rc = wr_metric_record_read(&run, &p, &n, r->a, payload, r->err);
    if (rc == 0) rc = add(r->m, wr_metric_shard_of(r->m, run), run, p, n, r->err);
    if (rc == 0) atomic_fetch_add(&r->m->appended, 1);
    return rc < 0 ? wr_err_wrap(r->err, rc, "'%s', segment %llu", r->dir, (unsigned long long)r->segment) : 0;
}

/* Segments above `drained` into memory. One that is gone meanwhile is in the database. */
static int replay_log(wr_metric_state *m, const char *dir, uint64_t drained, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0), *scratch = wr_arena_new(0);
    uint64_t *numbers;
    size_t n;
    if (!a || !scratch) return wr_err_nomem(err);
    WR_TRY(wr_applog_list(&numbers, &n, a, dir, err));
    for (size_t i = 0; i < n; i++) {
        replay r = {m, scratch, dir, numbers[i], err};
        if (numbers[i] <= drained) continue;
        int rc = wr_applog_read(dir, numbers[i], replay_record, &r, err);
        if (rc < 0 && !(rc == WEIR_ENOTFOUND && !m->log)) return rc;
    }
    return 0;
}

/* ---- whose log is it? ----
 *
 * Records name runs by the ids of one database. So a log has a name, in its folder, and the database knows it: another
 * database's points are not taken for its own, and the mark of another log says nothing. */

typedef struct {
    char name[33];
    int64_t drained;
} mark;

static int read_name(char out[33], wr_arena *a, const char *dir, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    const char *path = wr_path_join(a, dir, "id");
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_file_read(&text, path, 64, err));
    wr_str name = wr_str_trim(wr_buf_view(&text));
    if (name.n != 32) return wr_err_set(err, WEIR_ECORRUPT, "'%s' does not hold the name of a log", path);
    memcpy(out, name.p, name.n);
    out[32] = 0;
    return 0;
}

/* Durable before the database hears of it. */
static int make_name(char out[33], wr_arena *a, const char *dir, wr_err *err)
{
    const char *path = wr_path_join(a, dir, "id");
    if (!path) return wr_err_nomem(err);
    wr_track_new_id(out);
    return wr_file_write(path, (wr_str){out, 32}, err);
}

static int read_mark(mark *out, wr_track *t, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT log, drained FROM track_log WHERE id = 1", ""));
    int rc = wr_step(s, err);
    *out = (mark){0};
    if (rc > 0) {
        wr_str name = wr_str_fit(wr_stmt_str(s, 0), 32);
        memcpy(out->name, name.p, name.n);
        out->drained = wr_stmt_i64(s, 1);
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int write_mark(wr_track *t, void *arg, wr_err *err)
{
    const mark *m = arg;
    int rc = wr_track_exec(t, err, "UPDATE track_log SET log = ?, drained = ? WHERE id = 1", "si", wr_str_of(m->name),
                           m->drained);
    return rc < 0 ? rc : 0;
}

static int has_points(bool *out, wr_metric_state *m, wr_arena *a, wr_err *err)
{
    uint64_t *numbers;
    size_t n;
    WR_TRY(wr_applog_list(&numbers, &n, a, m->dir, err));
    *out = n > 1 || wr_applog_bytes(m->log) > 0;
    return 0;
}

/* `drained`: segments up to here are in the database already. */
static int own_log(wr_metric_state *m, uint64_t *drained, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    mark known, ours = {0};
    bool points;
    if (!a) return wr_err_nomem(err);
    int rc = read_name(ours.name, a, m->dir, err);
    if (rc == WEIR_ENOTFOUND) rc = make_name(ours.name, a, m->dir, err);
    if (rc < 0) return rc;
    WR_TRY(read_mark(&known, m->t, err));
    *drained = (uint64_t)known.drained;
    if (strcmp(known.name, ours.name) == 0) return 0;
    *drained = 0;
    WR_TRY(has_points(&points, m, a, err));
    if (!points) return wr_track_write(m->t, write_mark, &ours, err);
    wr_err_set(err, WEIR_ECONFLICT, "the metric log '%s' belongs to another database", m->dir);
    wr_err_detail(err, WEIR_ECONFLICT, "it holds metric points of runs of that one");
    return wr_err_hint(err, WEIR_ECONFLICT, "put that database back, or move the folder away and lose these points");
}

/* Is the log that another process may be filling one of this database? */
static int is_ours(bool *out, wr_metric_state *m, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char name[33];
    mark known;
    *out = false;
    if (!a) return wr_err_nomem(err);
    int rc = read_name(name, a, m->dir, err);
    if (rc < 0) return rc == WEIR_ENOTFOUND ? 0 : rc;
    WR_TRY(read_mark(&known, m->t, err));
    *out = strcmp(name, known.name) == 0;
    return 0;
}

static void *drainer(void *arg);

static int start(wr_metric_state *m, wr_err *err)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&m->thread, NULL, drainer, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) return wr_err_sys(err, rc, "cannot start the thread of the metric log");
    m->started = true;
    return 0;
}

static int open_log(wr_metric_state *m, wr_err *err)
{
    uint64_t drained = 0;
    WR_TRY(wr_applog_open(&m->log, m->dir, err));
    WR_TRY(own_log(m, &drained, err));
    WR_TRY(replay_log(m, m->dir, drained, err));
    return start(m, err);
}

int wr_metric_open(wr_track *t, const wr_track_opt *opt, wr_err *err)
{
    if (!opt->log && !opt->peek) return 0;
    wr_metric_state *m = wr_calloc(1, sizeof *m);
    if (!m) return wr_err_nomem(err);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    m->t = t;
    m->drain_bytes = DRAIN_BYTES;
    m->memory_max = MEMORY_MAX;
    for (int i = 0; i < WR_METRIC_SHARDS; i++) pthread_mutex_init(&m->shards[i].lock, NULL);
    pthread_mutex_init(&m->settle_lock, NULL);
    pthread_mutex_init(&m->drain_lock, NULL);
    pthread_mutex_init(&m->wake_lock, NULL);
    pthread_cond_init(&m->wake, &clock);
    pthread_cond_init(&m->room, &clock);
    pthread_condattr_destroy(&clock);
    wr_metric_runs_init(&m->runs, opt->log ? t : NULL);
    t->metric = m;
    m->dir = wr_strdup(opt->log ? opt->log : opt->peek);
    if (!m->dir) return wr_err_nomem(err);
    return opt->log ? open_log(m, err) : 0;
}

/* What another process has in its log: read when somebody asks for the first time. */
int wr_metric_peek(wr_metric_state *m, wr_err *err)
{
    if (m->log || atomic_load(&m->peeked)) return 0;
    bool ours = false;
    int rc = 0;
    pthread_mutex_lock(&m->drain_lock);
    if (!atomic_load(&m->peeked)) {
        rc = is_ours(&ours, m, err);
        if (rc == 0 && ours) rc = replay_log(m, m->dir, 0, err);
        if (rc == 0) atomic_store(&m->peeked, true);
    }
    pthread_mutex_unlock(&m->drain_lock);
    return rc;
}

static void stop(wr_metric_state *m)
{
    if (!m->started) return;
    pthread_mutex_lock(&m->wake_lock);
    m->stop = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->wake_lock);
    pthread_join(m->thread, NULL);
}

void wr_metric_close(wr_track *t)
{
    wr_metric_state *m = t->metric;
    wr_err err;
    if (!m) return;
    stop(m);
    if (m->started && wr_metric_drain(t, true, &err) < 0)
        wr_warn("metric points stay in the log '%s': %s", m->dir, err.msg);
    wr_metric_drain_free(m);
    for (int i = 0; i < WR_METRIC_SHARDS; i++) {
        wr_metric_table_drop(m->shards[i].active);
        pthread_mutex_destroy(&m->shards[i].lock);
    }
    wr_applog_close(m->log);
    wr_metric_runs_fini(&m->runs);
    pthread_cond_destroy(&m->wake);
    pthread_cond_destroy(&m->room);
    pthread_mutex_destroy(&m->wake_lock);
    pthread_mutex_destroy(&m->drain_lock);
    pthread_mutex_destroy(&m->settle_lock);
    wr_free(m->dir);
    wr_free(m);
    t->metric = NULL;
}

/* ---- the thread ---- */

static struct timespec in_ms(int ms)
{
    int64_t ns = wr_clock_mono_ns() + ms * 1000000LL;
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static void *drainer(void *arg)
{
    wr_metric_state *m = arg;
    wr_err err;
    pthread_mutex_lock(&m->wake_lock);
    while (!m->stop) {
        if (!m->wanted) {
            pthread_cond_wait(&m->wake, &m->wake_lock);
            continue;
        }
        m->wanted = false;
        pthread_mutex_unlock(&m->wake_lock);
        int rc = wr_metric_drain(m->t, true, &err);
        if (rc < 0) wr_warn("metric points stay in the log '%s' for now: %s", m->dir, err.msg);
        pthread_mutex_lock(&m->wake_lock);
        pthread_cond_broadcast(&m->room);
        struct timespec until = in_ms(RETRY_MS);
        while (rc < 0 && !m->stop && pthread_cond_timedwait(&m->wake, &m->wake_lock, &until) != ETIMEDOUT) {}
    }
    pthread_mutex_unlock(&m->wake_lock);
    return NULL;
}

static void want_drain(wr_metric_state *m)
{
    pthread_mutex_lock(&m->wake_lock);
    if (!m->wanted) pthread_cond_signal(&m->wake);
    m->wanted = true;
    pthread_mutex_unlock(&m->wake_lock);
}

static size_t memory(wr_metric_state *m) { return atomic_load(&m->active_bytes) + atomic_load(&m->draining_bytes); }

/* Wait a moment when memory is full; not for a disk that is. */
static int make_room(wr_metric_state *m, wr_err *err)
{
    if (memory(m) < m->memory_max) return 0;
    want_drain(m);
    struct timespec until = in_ms(WAIT_MS);
    pthread_mutex_lock(&m->wake_lock);
    while (memory(m) >= m->memory_max && !atomic_load(&m->stuck) &&
           pthread_cond_timedwait(&m->room, &m->wake_lock, &until) != ETIMEDOUT) {}
    pthread_mutex_unlock(&m->wake_lock);
    if (memory(m) < m->memory_max) return 0;
    if (atomic_load(&m->stuck)) {
        wr_err_set(err, WEIR_EUNAVAILABLE, "the database takes no metric points, and the memory for them is full");
        return wr_err_hint(err, WEIR_EUNAVAILABLE, "is its disk full? the log of the server says why");
    }
    wr_err_set(err, WEIR_EUNAVAILABLE, "metric points come in faster than the database takes them");
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "try again shortly");
}

/* ---- appending ---- */

static _Thread_local const wr_metric_state *appended_to; /* since this thread's last commit */

bool wr_metric_has_log(const wr_track *t) { return t->metric && t->metric->log; }

int wr_metric_append(wr_track *t, wr_str run_uuid, const wr_track_point *points, size_t n, wr_err *err)
{
    wr_metric_state *m = t->metric;
    int64_t run;
    if (!m || !m->log) return wr_err_set(err, WEIR_EUNSUPPORTED, "there is no metric log here");
    WR_TRY(wr_metric_runs_find(&run, &m->runs, t, run_uuid, err));
    if (!n) return 0;
    WR_TRY(make_room(m, err));
    WR_AUTOBUF wr_buf record = {0};
    wr_metric_record_write(&record, run, points, n);
    if (record.failed) return wr_err_nomem(err);
    wr_metric_shard *s = wr_metric_shard_of(m, run);
    pthread_mutex_lock(&s->lock);
    int rc = add(m, s, run, points, n, err);
    if (rc == 0) {
        rc = wr_applog_add(m->log, WR_METRIC_RECORD, wr_buf_view(&record), err);
        if (rc < 0) wr_metric_table_undo(s->active, run, points, n);
        else atomic_fetch_add(&m->appended, 1);
        if (rc == 0) appended_to = m;
    }
    pthread_mutex_unlock(&s->lock);
    if (atomic_load(&m->active_bytes) >= m->drain_bytes) want_drain(m);
    return rc;
}

int wr_metric_commit(wr_track *t, wr_err *err)
{
    if (!wr_metric_has_log(t) || appended_to != t->metric) return 0;
    appended_to = NULL;
    return wr_applog_commit(t->metric->log, true, err);
}

void wr_metric_forget_run(wr_track *t, wr_str run_uuid)
{
    (void)run_uuid; /* such writes are rare: all runs are looked up again */
    if (t->metric) wr_track_forget_at_end();
}

void wr_metric_forgotten(wr_track *t)
{
    if (t->metric) wr_metric_runs_clear(&t->metric->runs);
}

/* ---- what readers see ---- */

typedef struct {
    wr_metric_table *table;
    const wr_metric_block *first;
    size_t n;
} glimpse;

/* With the shard's lock. */
static void look(glimpse *out, size_t *n, wr_metric_table *m, int64_t run, wr_str key)
{
    const wr_metric_recent *s = m ? wr_metric_table_find(m, run, key) : NULL;
    if (!s) return;
    wr_metric_table_keep(m);
    out[(*n)++] = (glimpse){m, s->first, s->n};
}

static int copy(wr_metric_points *out, const glimpse *g, const wr_series_point *after)
{
    size_t left = g->n;
    if (wr_vec_reserve(out, left) < 0) return WEIR_ENOMEM;
    for (const wr_metric_block *b = g->first; left; b = b->next) { /* blocks are full but for the last */
        size_t n = b->cap < left ? b->cap : left;
        for (size_t i = 0; i < n; i++) {
            if (!after || wr_metric_by_time(&b->p[i], after) > 0) out->at[out->n++] = b->p[i];
        }
        left -= n;
        if (!left) break;
    }
    return 0;
}

int wr_metric_recent_points(wr_metric_points *out, wr_track *t, int64_t run, wr_str key, const wr_series_point *after,
                            wr_err *err)
{
    glimpse g[2];
    size_t n = 0;
    int rc = 0;
    if (!t->metric) return 0;
    WR_TRY(wr_metric_peek(t->metric, err));
    wr_metric_shard *s = wr_metric_shard_of(t->metric, run);
    pthread_mutex_lock(&s->lock);
    look(g, &n, s->draining, run, key);
    look(g, &n, s->active, run, key);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        if (rc == 0) rc = copy(out, &g[i], after);
        wr_metric_table_drop(g[i].table);
    }
    return rc < 0 ? wr_err_nomem(err) : 0;
}

static size_t latest_of(wr_track_point *out, wr_arena *a, const wr_metric_table *m, int64_t run)
{
    size_t n = 0;
    for (const wr_metric_recent *s = NULL; m && (s = wr_metric_table_next(m, run, s));) {
        if (!s->n) continue;
        if (out) out[n] = (wr_track_point){wr_arena_str(a, s->key), s->latest.value, s->latest.step, s->latest.time_ms};
        n++;
    }
    return n;
}

int wr_metric_recent_latest(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_err *err)
{
    *n = 0;
    *out = NULL;
    if (!t->metric) return 0;
    WR_TRY(wr_metric_peek(t->metric, err));
    wr_metric_shard *s = wr_metric_shard_of(t->metric, run);
    pthread_mutex_lock(&s->lock);
    size_t first = latest_of(NULL, a, s->draining, run), second = latest_of(NULL, a, s->active, run);
    if (first + second) {
        *out = wr_arena_alloc(a, (first + second) * sizeof **out);
        if (*out) *n = latest_of(*out, a, s->draining, run);
        if (*out) *n += latest_of(*out + first, a, s->active, run);
    }
    pthread_mutex_unlock(&s->lock);
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}
