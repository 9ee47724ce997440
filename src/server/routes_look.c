/* SPDX-License-Identifier: Apache-2.0 */
/* routes_look.c - looking at the server: endpoints, jobs, events; and flushing. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/event.h"
#include "server/server_inside.h"
#include "stage/deploy/keep.h"

/* ---- endpoints and jobs ---- */

static void put_time(wr_jsonw *w, const char *key, int64_t us)
{
    char text[WR_TIME_TEXT];
    wr_jsonw_key(w, key);
    if (us == INT64_MIN) {
        wr_jsonw_null(w);
        return;
    }
    wr_time_format(text, us);
    wr_jsonw_cstr(w, text);
}

static void put_endpoint(wr_jsonw *w, const wr_serve_status *st)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", st->name);
    wr_jsonw_kstr(w, "reference", st->reference);
    wr_jsonw_kbool(w, "ready", st->ready);
    if (st->ready) {
        wr_jsonw_kstr(w, "model", st->model);
        wr_jsonw_ki64(w, "version", st->version);
        if (!st->plain) wr_jsonw_kstr(w, "package", st->package);
        if (!st->plain) wr_jsonw_kstr(w, "view", st->view);
    }
    wr_jsonw_kf64(w, "threshold", st->threshold);
    wr_jsonw_ki64(w, "predictions", (int64_t)st->predictions);
    wr_jsonw_ki64(w, "labels", (int64_t)st->labels);
    wr_jsonw_ki64(w, "rewards", (int64_t)st->rewards);
    put_time(w, "watermark", st->watermark_us);
    if (st->error[0]) wr_jsonw_kstr(w, "error", st->error);
    wr_jsonw_end(w);
}

void wr_server_put_endpoints(wr_jsonw *w, wr_server *s)
{
    wr_jsonw_arr(w);
    for (size_t i = 0; i < wr_serve_count(s->serve); i++) {
        wr_serve_status st;
        wr_serve_status_of(&st, s->serve, i);
        put_endpoint(w, &st);
    }
    wr_jsonw_end(w);
}

static void put_log(wr_jsonw *w, wr_server *s)
{
    wr_queue_stats k;
    wr_serve_keep_stats(&k, s->serve);
    wr_jsonw_key(w, "log");
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "answers", (int64_t)k.put);
    wr_jsonw_ki64(w, "dropped", (int64_t)k.dropped);
    wr_jsonw_ki64(w, "waiting_bytes", (int64_t)k.waiting);
    wr_jsonw_end(w);
}

static void put_sink(void *ctx, const wr_sink_status *st)
{
    wr_jsonw *w = ctx;
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "endpoint", st->endpoint);
    wr_jsonw_kstr(w, "url", st->url);
    wr_jsonw_ki64(w, "sent", (int64_t)st->sent);
    wr_jsonw_ki64(w, "dropped", (int64_t)st->dropped);
    wr_jsonw_ki64(w, "waiting_bytes", (int64_t)st->waiting);
    if (st->error[0]) wr_jsonw_kstr(w, "error", st->error);
    wr_jsonw_end(w);
}

void wr_handle_endpoints(wr_call *c)
{
    wr_jsonw w;
    wr_jsonw_init(&w, &c->loop->body, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_key(&w, "endpoints");
    wr_server_put_endpoints(&w, c->server);
    put_log(&w, c->server);
    wr_jsonw_key(&w, "sinks");
    wr_jsonw_arr(&w);
    wr_serve_sinks(c->server->serve, put_sink, &w);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    wr_call_json(c, 200, &c->loop->body, false);
}

void wr_server_put_jobs(wr_jsonw *w, wr_server *s)
{
    if (s->schedule) {
        wr_schedule_jobs(s->schedule, w);
        return;
    }
    wr_jsonw_arr(w);
    wr_jsonw_end(w);
}

void wr_handle_jobs(wr_call *c)
{
    wr_jsonw w;
    wr_jsonw_init(&w, &c->loop->body, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kbool(&w, "busy", c->server->schedule && wr_schedule_busy(c->server->schedule));
    wr_jsonw_key(&w, "jobs");
    wr_server_put_jobs(&w, c->server);
    wr_jsonw_end(&w);
    wr_call_json(c, 200, &c->loop->body, false);
}

/* ---- events ---- */

static void put_event(wr_jsonw *w, const wr_event *e)
{
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "id", e->id);
    put_time(w, "time", e->time_us);
    wr_jsonw_kstr(w, "kind", e->kind);
    wr_jsonw_kstr(w, "subject", e->subject);
    wr_jsonw_key(w, "payload");
    wr_jsonw_raw(w, wr_str_of(e->payload));
    wr_jsonw_end(w);
}

int wr_server_newest_event(int64_t *out, wr_project *p, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, "SELECT coalesce(max(id), 0) FROM events", err));
    int rc = wr_step(s, err);
    *out = rc > 0 ? wr_stmt_i64(s, 0) : 0;
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

/* A whole number of the query; `out` stays when it is not there. */
static int query_number(int64_t *out, wr_str query, const char *key, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 256);
    if (!wr_http_query(&b, query, key)) return 0;
    if (wr_num_i64(out, wr_buf_view(&b), NULL) == 0 && *out >= 0) return 0;
    return wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a whole number", key);
}

static int list_events(wr_call *c, const char *kind, int64_t after, int64_t limit, wr_err *err)
{
    wr_event *events;
    wr_jsonw w;
    size_t n;
    WR_TRY(wr_event_list(&events, &n, c->arena, c->server->project, after, kind, (size_t)limit, err));
    wr_jsonw_init(&w, &c->loop->body, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_key(&w, "events");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < n; i++) put_event(&w, &events[i]);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    return 0;
}

static int stream_events(wr_call *c, int64_t after, wr_err *err)
{
    wr_http_reply_opt opt = {.type = "text/event-stream", .headers = "Cache-Control: no-store\r\n"};
    wr_http_stream *s = wr_http_stream_open(c->req, &opt);
    if (!s) return wr_err_nomem(err);
    c->status = 200;
    if (wr_feed_add(c->server->feed, s, after, err) < 0)
        wr_http_stream_close(s); /* the head is on its way: an early end is all that is left */
    else wr_feed_push(c->server->feed);
    return 0;
}

static int answer_events(wr_call *c, wr_err *err)
{
    enum { LIMIT = 1000 };
    const wr_http_head *h = wr_http_req_head(c->req);
    wr_str accept = wr_http_get(h, "accept"), last = wr_http_get(h, "last-event-id");
    int64_t after = 0, limit = 100;
    WR_AUTOBUF wr_buf kind;
    wr_buf_init(&kind, 256);
    WR_TRY(query_number(&after, h->query, "after", err));
    WR_TRY(query_number(&limit, h->query, "limit", err));
    if (limit < 1 || limit > LIMIT) return wr_err_set(err, WEIR_EINVAL, "\"limit\" is between 1 and %d", LIMIT);
    if (accept.p && memmem(accept.p, accept.n, "text/event-stream", 17)) {
        if (last.p && (wr_num_i64(&after, last, NULL) < 0 || after < 0))
            return wr_err_set(err, WEIR_EINVAL, "Last-Event-ID is not a number");
        return stream_events(c, after, err);
    }
    bool has_kind = wr_http_query(&kind, h->query, "kind");
    WR_TRY(list_events(c, has_kind ? wr_buf_cstr(&kind) : NULL, after, limit, err));
    wr_call_json(c, 200, &c->loop->body, false);
    return 0;
}

void wr_handle_events(wr_call *c)
{
    wr_err err = {0};
    if (answer_events(c, &err) < 0) wr_call_err(c, &err);
}

/* ---- flush ---- */

typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    int64_t start;
} flush_job;

static void flush_answer(wr_jsonw *w, const wr_drained *d)
{
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "segments", (int64_t)d->segments);
    wr_jsonw_ki64(w, "predictions", (int64_t)d->predictions);
    wr_jsonw_ki64(w, "labels", (int64_t)d->labels);
    wr_jsonw_ki64(w, "events", (int64_t)d->events);
    wr_jsonw_end(w);
}

static void flush_failed(wr_jsonw *w, const wr_err *e)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "error", e->msg);
    if (e->detail[0]) wr_jsonw_kstr(w, "detail", e->detail);
    if (e->hint[0]) wr_jsonw_kstr(w, "hint", e->hint);
    wr_jsonw_end(w);
}

static void flush_task(void *ctx, size_t index)
{
    flush_job *f = ctx;
    wr_drained d;
    wr_err err = {0}, ignored;
    wr_jsonw w;
    WR_AUTOBUF wr_buf body;
    (void)index;
    wr_buf_init(&body, 0);
    wr_jsonw_init(&w, &body, 0);
    int rc = wr_serve_drain(&d, f->server->serve, &err);
    (void)wr_serve_footprint(f->server->serve, false, &ignored);
    atomic_store(&f->server->drained_ns, wr_clock_mono_ns());
    if (rc < 0) flush_failed(&w, &err);
    else flush_answer(&w, &d);
    wr_http_reply_opt opt = {.status = rc < 0 ? wr_err_http(rc) : 200};
    wr_server_count(f->loop, WR_KIND_OTHER, opt.status, wr_clock_mono_ns() - f->start);
    wr_http_finish(f->req, &opt, wr_buf_view(&body));
    wr_free(f);
}

void wr_handle_flush(wr_call *c)
{
    wr_err err = {0};
    flush_job *f = wr_alloc(sizeof *f);
    if (!f) {
        wr_err_nomem(&err);
        wr_call_err(c, &err);
        return;
    }
    *f = (flush_job){c->server, c->loop, c->req, wr_clock_mono_ns()};
    wr_http_defer(c->req);
    c->deferred = true;
    if (wr_pool_post(c->server->worker, flush_task, f, 0) == 0) return;
    wr_http_finish(c->req, &(wr_http_reply_opt){.status = 503}, WR_STR("{\"error\":\"out of memory\"}"));
    wr_free(f);
}
