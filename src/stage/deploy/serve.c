/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - rounds: predictions, labels and feature events on their way into the log. Loading and swapping:
 * serve_models.c. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "stage/deploy/serve_inside.h"

struct wr_round {
    wr_serve *serve;
    bool wrote, sync, gated;
    wr_buf record;
    wr_buf events; /* (wr_live *, u32 length, record) of events to apply after the commit */
    float *num;    /* WR_VIEW_FEATURES */
    wr_str *text;
    size_t rows;                 /* of a request, still to be answered */
    int64_t since_ns, before_ns; /* when the row before was; what each has of the time before the first */
};

wr_round *wr_round_new(wr_serve *s)
{
    wr_round *r = wr_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->serve = s;
    wr_buf_init(&r->record, 0);
    wr_buf_init(&r->events, 0);
    r->num = wr_alloc(WR_VIEW_FEATURES * sizeof *r->num);
    r->text = wr_alloc(WR_VIEW_FEATURES * sizeof *r->text);
    if (r->num && r->text) return r;
    wr_round_free(r);
    return NULL;
}

wr_serve *wr_round_serve(wr_round *r) { return r->serve; }

void wr_round_free(wr_round *r)
{
    if (!r) return;
    if (r->wrote || r->gated) (void)wr_serve_round_end(r, NULL);
    wr_buf_fini(&r->record);
    wr_buf_fini(&r->events);
    wr_free(r->num);
    wr_free(r->text);
    wr_free(r);
}

/* A row of any size is encoded; the log says when it is too large. */
static int log_record(wr_round *r, wr_predlog_type type, wr_err *err)
{
    if (r->record.failed) return wr_err_nomem(err);
    int rc = wr_applog_add(r->serve->log, type, wr_buf_view(&r->record), err);
    if (r->record.cap > WR_LIMIT_RECORD) {
        wr_buf_fini(&r->record);
        wr_buf_init(&r->record, 0);
    }
    WR_TRY(rc);
    r->wrote = true;
    return 0;
}

/* Clocks that run ahead must not move the watermark beyond what has happened. */
static void advance(atomic_int_fast64_t *watermark, int64_t time_us, int64_t now_us)
{
    int_fast64_t seen = atomic_load_explicit(watermark, memory_order_relaxed);
    if (time_us > now_us + WR_DAY_US) return;
    while (time_us > seen && !atomic_compare_exchange_weak(watermark, &seen, time_us)) continue;
}

void wr_round_rows(wr_round *r, int64_t start_ns, size_t rows)
{
    r->since_ns = wr_clock_mono_ns();
    r->rows = rows;
    r->before_ns = rows && r->since_ns > start_ns ? (r->since_ns - start_ns) / (int64_t)rows : 0;
}

/* NaN when it is not known how long it took, or what a second takes. */
static double joules_of_row(wr_round *r)
{
    wr_serve *s = r->serve;
    if (!r->rows) return NAN;
    int64_t now = wr_clock_mono_ns(), took_ns = now - r->since_ns + r->before_ns;
    r->rows--;
    r->since_ns = now;
    atomic_fetch_add_explicit(&s->busy_ns, (uint64_t)took_ns, memory_order_relaxed);
    double joules_s = atomic_load_explicit(&s->joules_s, memory_order_relaxed);
    return joules_s > 0 ? (double)took_ns / 1e9 * joules_s : NAN;
}

int wr_serve_predict(double *score, wr_round *r, wr_served *m, const wr_cell *request, wr_str id, wr_err *err)
{
    const wr_view *v = m->view;
    if (request[0].missing)
        return wr_err_set(err, WEIR_EINVAL, "\"%s\" is missing: it says when the prediction is made", v->time);
    wr_live_row(m->live, request, r->num, r->text);
    double p = wr_package_predict_row(m->package, r->num, r->text);
    int64_t now = wr_clock_wall_us();
    wr_predlog_prediction rec = {.endpoint = wr_str_of(m->endpoint),
                                 .model = wr_str_of(m->model),
                                 .id = id,
                                 .version = m->version,
                                 .served_us = now,
                                 .event_us = request[0].ts,
                                 .view = m->view_id,
                                 .score = p,
                                 .joules = joules_of_row(r),
                                 .request = request,
                                 .num = r->num,
                                 .text = r->text};
    wr_buf_clear(&r->record);
    wr_predlog_put_prediction(&r->record, &rec, v);
    WR_TRY(log_record(r, WR_PREDLOG_PREDICTION, err));
    atomic_fetch_add_explicit(m->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->of->predictions, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->by->n, 1, memory_order_relaxed);
    advance(&m->of->watermark, request[0].ts, now);
    *score = p;
    return 0;
}

size_t wr_serve_id(wr_serve *s, char out[WR_SERVE_ID])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t n = atomic_fetch_add_explicit(&s->id_next, 1, memory_order_relaxed);
    char *p = out;
    for (int shift = 60; shift >= 0; shift -= 4) *p++ = digits[s->id_seed >> shift & 15];
    *p++ = '-';
    int top = 60;
    while (top > 0 && !(n >> top & 15)) top -= 4;
    for (; top >= 0; top -= 4) *p++ = digits[n >> top & 15];
    *p = 0;
    return (size_t)(p - out);
}

int wr_serve_no_endpoint(wr_serve *s, wr_str name, wr_err *err)
{
    const char *names[64];
    size_t n = s->nendpoints < 64 ? s->nendpoints : 64;
    for (size_t i = 0; i < n; i++) names[i] = s->endpoints[i].name;
    int near = wr_str_nearest(name, names, n);
    wr_err_set(err, WEIR_ENOTFOUND, "no endpoint \"%.*s\"", (int)(name.n < 200 ? name.n : 200), name.p);
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, WEIR_ENOTFOUND, "endpoints are declared in weir.yaml and read when weir up starts");
}

int wr_serve_label(wr_round *r, wr_str endpoint, wr_str id, double label, int64_t known_us, wr_err *err)
{
    wr_serve_endpoint *e = wr_serve_endpoint_named(r->serve, endpoint);
    if (!e) return wr_serve_no_endpoint(r->serve, endpoint, err);
    if (id.n == 0 || id.n > WR_LIMIT_ID) return wr_err_set(err, WEIR_EINVAL, "an id has 1 to %d bytes", WR_LIMIT_ID);
    if (!isfinite(label)) return wr_err_set(err, WEIR_EINVAL, "the label of \"%.*s\" is not a number", WR_STR_FMT(id));
    wr_predlog_label rec = {
        .endpoint = endpoint, .id = id, .label = label, .known_us = known_us, .received_us = wr_clock_wall_us()};
    wr_buf_clear(&r->record);
    wr_predlog_put_label(&r->record, &rec);
    WR_TRY(log_record(r, WR_PREDLOG_LABEL, err));
    r->sync = true;
    atomic_fetch_add_explicit(&e->labels, 1, memory_order_relaxed);
    return 0;
}

int wr_serve_log_decision(wr_round *r, const wr_predlog_decision *d, wr_err *err)
{
    wr_buf_clear(&r->record);
    wr_predlog_put_decision(&r->record, d);
    return log_record(r, WR_PREDLOG_DECISION, err);
}

int wr_serve_log_feedback(wr_round *r, const wr_predlog_feedback *rec, wr_err *err)
{
    wr_buf_clear(&r->record);
    wr_predlog_put_feedback(&r->record, rec);
    WR_TRY(log_record(r, WR_PREDLOG_FEEDBACK, err));
    r->sync = true;
    return 0;
}

/* The event waits here until its commit; wr_live_apply reads the same bytes that a restart would. */
static int remember(wr_round *r, wr_live *l, wr_err *err)
{
    uint32_t n = (uint32_t)r->record.n;
    size_t before = r->events.n;
    wr_buf_add(&r->events, &l, sizeof l);
    wr_buf_add(&r->events, &n, sizeof n);
    wr_buf_slice(&r->events, wr_buf_view(&r->record));
    if (!r->events.failed) return 0;
    r->events.n = before;
    r->events.failed = false;
    return wr_err_nomem(err);
}

int wr_serve_event_time(int64_t time_us, const wr_live *l, wr_err *err)
{
    char text[WR_TIME_TEXT];
    if (time_us <= wr_clock_wall_us() + WR_DAY_US) return 0;
    wr_time_format(text, time_us);
    wr_err_set(err, WEIR_EINVAL, "an event of view \"%s\" is of %s, which has not come yet", l->view->name, text);
    return wr_err_hint(err, WEIR_EINVAL, "times are UTC; events may be a day ahead of this machine's clock");
}

int wr_serve_event(wr_round *r, wr_live *l, int64_t time_us, const wr_cell *event, wr_err *err)
{
    WR_TRY(wr_serve_event_time(time_us, l, err));
    int64_t now = wr_clock_wall_us();
    wr_predlog_event rec = {
        .view_name = wr_str_of(l->view->name), .view = l->id, .time_us = time_us, .received_us = now, .cells = event};
    wr_buf_clear(&r->record);
    wr_predlog_put_event(&r->record, &rec, l->view);
    if (!r->gated) pthread_rwlock_rdlock(&r->serve->gate);
    r->gated = true;
    size_t before = r->events.n;
    if (!r->record.failed) WR_TRY(remember(r, l, err));
    int rc = log_record(r, WR_PREDLOG_EVENT, err);
    if (rc < 0) r->events.n = before;
    r->sync = true;
    return rc;
}

static void move_watermarks(wr_serve *s, const wr_live *l, int64_t time_us)
{
    int64_t now = wr_clock_wall_us();
    for (size_t i = 0; i < s->nendpoints; i++) {
        wr_serve_endpoint *e = &s->endpoints[i];
        pthread_mutex_lock(&e->lock);
        bool mine = e->now && e->now->live == l;
        pthread_mutex_unlock(&e->lock);
        if (mine) advance(&e->watermark, time_us, now);
    }
}

static void apply_events(wr_round *r)
{
    wr_live *last = NULL;
    for (size_t at = 0; at < r->events.n;) {
        wr_live *l;
        uint32_t n;
        wr_err err;
        memcpy(&l, r->events.p + at, sizeof l);
        memcpy(&n, r->events.p + at + sizeof l, sizeof n);
        at += sizeof l + sizeof n;
        if (wr_live_apply(l, (wr_str){r->events.p + at, n}, &err) < 0)
            wr_warn("event of view \"%s\": %s", l->view->name, err.msg);
        at += n;
        if (last && l != last) move_watermarks(r->serve, last, wr_live_newest(last));
        last = l;
    }
    if (last) move_watermarks(r->serve, last, wr_live_newest(last));
}

int wr_serve_round_end(wr_round *r, wr_err *err)
{
    int rc = r->wrote ? wr_applog_commit(r->serve->log, r->sync, err) : 0;
    if (rc == 0) apply_events(r);
    if (r->gated) pthread_rwlock_unlock(&r->serve->gate);
    if (r->wrote && rc == 0 && !r->sync) atomic_store_explicit(&r->serve->unsynced, true, memory_order_release);
    if (r->events.cap > ((size_t)1 << 20)) wr_buf_fini(&r->events), wr_buf_init(&r->events, 0);
    wr_buf_clear(&r->events);
    r->wrote = r->sync = r->gated = false;
    return rc;
}

int wr_serve_sync(wr_serve *s, wr_err *err)
{
    if (!atomic_exchange_explicit(&s->unsynced, false, memory_order_acquire)) return 0;
    int rc = wr_applog_commit(s->log, true, err);
    if (rc < 0) atomic_store_explicit(&s->unsynced, true, memory_order_release);
    return rc;
}

/* ---- models in use ---- */

static int not_ready(const wr_serve_endpoint *e, wr_err *err) /* under its lock */
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "endpoint \"%s\" is not ready", e->name);
    wr_err_detail(err, WEIR_EUNAVAILABLE, "%s", e->error);
    if (e->path) return wr_err_hint(err, WEIR_EUNAVAILABLE, "'%s' is looked at again when it changes", e->path);
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "register a model for \"%s\"; it is taken up within a second",
                       e->reference);
}

int wr_serve_take(wr_served **out, wr_serve *s, wr_str endpoint, wr_err *err)
{
    wr_serve_endpoint *e = wr_serve_endpoint_named(s, endpoint);
    if (!e) return wr_serve_no_endpoint(s, endpoint, err);
    pthread_mutex_lock(&e->lock);
    wr_served *m = e->now;
    if (m) {
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    } else {
        not_ready(e, err);
    }
    pthread_mutex_unlock(&e->lock);
    *out = m;
    return m ? 0 : WEIR_EUNAVAILABLE;
}

static bool is_version(const wr_served *m, wr_str version)
{
    char text[24];
    int n = m->version ? snprintf(text, sizeof text, "%lld", (long long)m->version) : 0;
    return wr_str_eq(version, (wr_str){text, (size_t)n});
}

/* Of a name that the repository does not have. */
static int no_model(wr_serve *s, wr_serve_endpoint *e, wr_str name, wr_err *err)
{
    if (!e) {
        const char *names[64];
        size_t n = s->nendpoints < 64 ? s->nendpoints : 64;
        for (size_t i = 0; i < n; i++) names[i] = s->endpoints[i].name;
        int near = err && !err->hint[0] ? wr_str_nearest(name, names, n) : -1;
        return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]) : WEIR_ENOTFOUND;
    }
    pthread_mutex_lock(&e->lock);
    int rc = not_ready(e, err);
    pthread_mutex_unlock(&e->lock);
    return rc;
}

int wr_serve_find(wr_served **package, wr_instance **model, wr_serve *s, wr_str name, wr_str version, wr_err *err)
{
    wr_serve_endpoint *e = wr_serve_endpoint_named(s, name);
    *package = NULL;
    *model = NULL;
    if (e) {
        pthread_mutex_lock(&e->lock);
        *package = e->now;
        if (e->now) atomic_fetch_add_explicit(&e->now->refs, 1, memory_order_relaxed);
        pthread_mutex_unlock(&e->lock);
    }
    wr_served *m = *package;
    if (!m) {
        int rc = wr_repository_take(model, s->repository, name, version, err);
        return rc == WEIR_ENOTFOUND && (!e || !version.n) ? no_model(s, e, name, err) : rc;
    }
    if (!version.n || is_version(m, version)) return 0;
    wr_err_set(err, WEIR_ENOTFOUND, "Request for unknown model: '%s' version %.*s is not found", m->endpoint,
               WR_STR_FMT(wr_str_fit(version, 50)));
    wr_err_hint(err, WEIR_ENOTFOUND, "version %lld is", (long long)m->version);
    *package = NULL;
    wr_serve_give(m);
    return WEIR_ENOTFOUND;
}

void wr_serve_give(wr_served *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1) return;
    wr_package_free((wr_package *)(uintptr_t)m->package);
    wr_arena_free(m->arena);
    wr_free(m);
}

int wr_serve_view(wr_live **out, wr_serve *s, wr_str view, wr_err *err)
{
    const char *names[64];
    size_t n = atomic_load_explicit(&s->nlives, memory_order_acquire), shown = 0;
    for (size_t i = 0; i < n; i++) {
        if (shown < 64) names[shown++] = s->lives[i]->view->name;
        if (!wr_str_is(view, s->lives[i]->view->name)) continue;
        *out = s->lives[i];
        return 0;
    }
    int near = wr_str_nearest(view, names, shown);
    wr_err_set(err, WEIR_ENOTFOUND, "no view \"%.*s\" is served", (int)(view.n < 200 ? view.n : 200), view.p);
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, WEIR_ENOTFOUND, "a view is served when an endpoint's model was trained on it");
}
