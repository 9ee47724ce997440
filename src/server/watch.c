/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - runs as they go, by server-sent events.
 *
 *   GET /api/weir/1/runs/ID/events           "run" {id, name, status, ...}, "metric" {key, value, step, timestamp}
 *   GET /api/weir/1/experiments/ID/events    "run" for each run that is running, begins, or ends
 *
 * The first events tell the state as it is, so who was cut off just asks again. The keeper looks once a second and
 * tells what has changed; a stream about a run ends with the run. Metrics that came and went within the second are not
 * told: histories are read from the store. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/vec.h"
#include "server/server_inside.h"
#include "track/experiment.h"
#include "track/search_run.h"
#include "wire/mlflow/access.h"

enum { WATCHERS = 256, RUNNING_MAX = 1000, ALIVE_S = 15 };

typedef struct {
    wr_http_stream *stream;
    int64_t experiment; /* -1: a run is watched */
    char uuid[64];
    wr_arena *arena[2]; /* what was told last, and what is seen now */
    int turn;
    wr_track_run *before;  /* of a run: NULL before the first look */
    wr_track_run *running; /* of an experiment: those told as running */
    size_t nrunning;
    int64_t newest, alive_ns;
} watcher;

struct wr_watch {
    wr_track *track;
    pthread_mutex_t lock; /* guards the list; rank after every other of this room */
    WR_VEC(watcher) all;
};

int wr_watch_new(wr_watch **out, wr_track *t, wr_err *err)
{
    wr_watch *w = wr_calloc(1, sizeof *w);
    if (!w) return wr_err_nomem(err);
    w->track = t;
    pthread_mutex_init(&w->lock, NULL);
    *out = w;
    return 0;
}

static void drop(watcher *w)
{
    wr_http_stream_close(w->stream);
    wr_arena_free(w->arena[0]);
    wr_arena_free(w->arena[1]);
}

void wr_watch_free(wr_watch *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->all.n; i++) drop(&w->all.at[i]);
    wr_vec_fini(&w->all);
    pthread_mutex_destroy(&w->lock);
    wr_free(w);
}

/* ---- telling ---- */

static int tell(watcher *w, const char *event, wr_buf *b)
{
    if (b->failed) return WEIR_ENOMEM;
    w->alive_ns = wr_clock_mono_ns();
    return wr_http_sse(w->stream, -1, event, wr_buf_view(b));
}

static int tell_run(watcher *w, const wr_track_run *r)
{
    wr_jsonw j;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&j, &b, 0);
    wr_jsonw_obj(&j);
    wr_jsonw_kslice(&j, "id", r->uuid);
    wr_jsonw_kslice(&j, "name", r->name);
    wr_jsonw_ki64(&j, "experiment", r->experiment);
    wr_jsonw_kstr(&j, "status", wr_run_status_name(r->status));
    wr_jsonw_ki64(&j, "start_time", r->start_ms);
    if (r->end_ms >= 0) wr_jsonw_ki64(&j, "end_time", r->end_ms);
    wr_jsonw_kbool(&j, "deleted", r->deleted_ms >= 0);
    wr_jsonw_end(&j);
    return tell(w, "run", &b);
}

static int tell_metric(watcher *w, const wr_track_point *p)
{
    wr_jsonw j;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&j, &b, 0);
    wr_jsonw_obj(&j);
    wr_jsonw_kslice(&j, "key", p->key);
    wr_mlflow_put_double(&j, "value", p->value);
    wr_jsonw_ki64(&j, "step", p->step);
    wr_jsonw_ki64(&j, "timestamp", p->time_ms);
    wr_jsonw_end(&j);
    return tell(w, "metric", &b);
}

/* ---- a run ---- */

static bool same_point(const wr_track_run *r, const wr_track_point *p)
{
    for (size_t i = 0; r && i < r->nmetrics; i++) {
        const wr_track_point *o = &r->metrics[i];
        if (wr_str_eq(o->key, p->key))
            return o->step == p->step && o->time_ms == p->time_ms && memcmp(&o->value, &p->value, sizeof p->value) == 0;
    }
    return false;
}

static bool same_state(const wr_track_run *a, const wr_track_run *b)
{
    return a && a->status == b->status && a->end_ms == b->end_ms && (a->deleted_ms < 0) == (b->deleted_ms < 0) &&
           wr_str_eq(a->name, b->name);
}

static bool goes_on(const wr_track_run *r)
{
    return r->deleted_ms < 0 && (r->status == WR_RUN_RUNNING || r->status == WR_RUN_SCHEDULED);
}

/* 1: the run is over, and so is the stream. */
static int look_at_run(watcher *w, wr_track *t, wr_err *err)
{
    wr_arena *a = w->arena[w->turn ^= 1];
    wr_arena_clear(a);
    wr_track_run *r = wr_arena_calloc(a, 1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    WR_TRY(wr_track_run_get(r, a, t, wr_str_of(w->uuid), err));
    WR_TRY(wr_metric_latest(&r->metrics, &r->nmetrics, a, t, r->id, err));
    for (size_t i = 0; i < r->nmetrics; i++)
        if (!same_point(w->before, &r->metrics[i])) WR_TRY(tell_metric(w, &r->metrics[i]));
    if (!same_state(w->before, r)) WR_TRY(tell_run(w, r));
    w->before = r;
    return goes_on(r) ? 0 : 1;
}

/* ---- an experiment ---- */

static int search(wr_track_run **out, size_t *n, wr_arena *a, wr_track *t, int64_t experiment, wr_err *err)
{
    wr_str next, order = WR_STR("start_time DESC");
    wr_run_search_opt o = {.experiments = &experiment,
                           .nexperiments = 1,
                           .view = WR_VIEW_ACTIVE,
                           .filter = WR_STR("status = 'RUNNING'"),
                           .order = &order,
                           .norder = 1,
                           .max = RUNNING_MAX};
    return wr_track_run_search(out, n, &next, a, t, &o, err);
}

static bool among(const wr_track_run *runs, size_t n, const wr_track_run *r)
{
    for (size_t i = 0; i < n; i++)
        if (runs[i].id == r->id) return true;
    return false;
}

/* Runs that began and ended between two looks are found by their numbers, which grow. */
static int tell_short_ones(watcher *w, wr_arena *a, wr_track *t, const wr_track_run *now, size_t n, wr_err *err)
{
    wr_stmt *s;
    WR_VEC(wr_str) uuids = {0};
    int rc, told = 0;
    WR_TRY(wr_db_prepare(wr_track_db(t), &s,
                         "SELECT id, uuid FROM track_runs WHERE id > ? AND experiment = ? ORDER BY id LIMIT 1000",
                         err));
    wr_bind_i64(s, 1, w->newest);
    wr_bind_i64(s, 2, w->experiment);
    while ((rc = wr_step(s, err)) > 0) {
        w->newest = wr_stmt_i64(s, 0);
        if (!among(now, n, &(wr_track_run){.id = w->newest}) &&
            wr_vec_push(&uuids, wr_arena_str(a, wr_stmt_str(s, 1))) < 0)
            break;
    }
    wr_stmt_done(s);
    for (size_t i = 0; rc == 0 && told == 0 && i < uuids.n; i++) {
        wr_track_run r;
        rc = wr_track_run_get(&r, a, t, uuids.at[i], err);
        if (rc == 0) told = tell_run(w, &r);
    }
    wr_vec_fini(&uuids);
    return rc < 0 ? rc : told;
}

static int look_at_experiment(watcher *w, wr_track *t, wr_err *err)
{
    wr_arena *a = w->arena[w->turn ^= 1];
    wr_track_run *now;
    size_t n;
    wr_arena_clear(a);
    WR_TRY(search(&now, &n, a, t, w->experiment, err));
    for (size_t i = 0; i < w->nrunning; i++) {
        wr_track_run r;
        if (among(now, n, &w->running[i])) continue;
        if (wr_track_run_get(&r, a, t, w->running[i].uuid, err) == 0) WR_TRY(tell_run(w, &r));
    }
    for (size_t i = 0; i < n; i++)
        if (!among(w->running, w->nrunning, &now[i])) WR_TRY(tell_run(w, &now[i]));
    WR_TRY(tell_short_ones(w, a, t, now, n, err));
    w->running = now;
    w->nrunning = n;
    return 0;
}

/* ---- the keeper's side ---- */

static int look(watcher *w, wr_track *t)
{
    wr_err err = {0};
    int rc = w->experiment >= 0 ? look_at_experiment(w, t, &err) : look_at_run(w, t, &err);
    if (rc < 0 && err.code == rc && rc != WEIR_ENOTFOUND) wr_warn("watching runs: %s", err.msg);
    if (rc != 0) return rc;
    if (wr_clock_mono_ns() - w->alive_ns < (int64_t)ALIVE_S * 1000000000) return 0;
    w->alive_ns = wr_clock_mono_ns();
    return wr_http_stream_write(w->stream, WR_STR(":\n\n")); /* notices those who are gone */
}

void wr_watch_look(wr_watch *w)
{
    pthread_mutex_lock(&w->lock);
    for (size_t i = w->all.n; i-- > 0;) {
        if (look(&w->all.at[i], w->track) == 0) continue;
        drop(&w->all.at[i]);
        w->all.at[i] = w->all.at[--w->all.n];
    }
    pthread_mutex_unlock(&w->lock);
}

/* ---- the requests ---- */

static int add(wr_watch *w, const watcher *new, wr_err *err)
{
    watcher x = *new;
    x.arena[0] = wr_arena_new(0);
    x.arena[1] = wr_arena_new(0);
    x.alive_ns = wr_clock_mono_ns();
    pthread_mutex_lock(&w->lock);
    int rc = w->all.n == WATCHERS ? WEIR_ELIMIT : x.arena[0] && x.arena[1] ? wr_vec_push(&w->all, x) : WEIR_ENOMEM;
    pthread_mutex_unlock(&w->lock);
    if (rc == 0) return 0;
    wr_arena_free(x.arena[0]);
    wr_arena_free(x.arena[1]);
    return wr_err_set(err, rc, "%d watch already", WATCHERS);
}

static int subscribe(wr_call *c, watcher *w, wr_err *err)
{
    wr_http_reply_opt opt = {.type = "text/event-stream", .headers = "Cache-Control: no-store\r\n"};
    w->stream = wr_http_stream_open(c->req, &opt);
    if (!w->stream) return wr_err_nomem(err);
    c->status = 200;
    (void)wr_http_stream_write(w->stream, WR_STR(":watching\n\n"));
    if (add(c->server->watch, w, err) < 0)
        wr_http_stream_close(w->stream); /* the head is on its way: an early end is all that is left */
    return 0;
}

static bool may_read(const wr_call *c, int64_t experiment)
{
    wr_mlflow_call m = {.access = c->who ? &c->who->access : NULL};
    return wr_mlflow_may_read_experiment(&m, experiment);
}

static int watch_run(wr_call *c, wr_err *err)
{
    wr_track_run r;
    watcher w = {.experiment = -1};
    WR_TRY(wr_track_run_get(&r, c->arena, c->server->track, c->param, err));
    if (!may_read(c, r.experiment)) return wr_err_set(err, WEIR_EACCESS, "Permission denied");
    snprintf(w.uuid, sizeof w.uuid, "%s", r.uuid.p);
    return subscribe(c, &w, err);
}

static int watch_experiment(wr_call *c, wr_err *err)
{
    wr_experiment e;
    wr_stmt *s;
    watcher w = {0};
    WR_TRY(wr_mlflow_experiment_id(&w.experiment, c->param, err));
    WR_TRY(wr_experiment_get(&e, c->arena, c->server->track, w.experiment, err));
    if (!may_read(c, e.id)) return wr_err_set(err, WEIR_EACCESS, "Permission denied");
    WR_TRY(wr_db_prepare(wr_track_db(c->server->track), &s, "SELECT coalesce(max(id), 0) FROM track_runs", err));
    int rc = wr_step(s, err);
    if (rc > 0) w.newest = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    return rc < 0 ? rc : subscribe(c, &w, err);
}

void wr_handle_watch_run(wr_call *c)
{
    wr_err err = {0};
    if (watch_run(c, &err) < 0) wr_call_err(c, &err);
}

void wr_handle_watch_experiment(wr_call *c)
{
    wr_err err = {0};
    if (watch_experiment(c, &err) < 0) wr_call_err(c, &err);
}
