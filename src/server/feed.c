/* SPDX-License-Identifier: Apache-2.0 */
/* feed.c - events pushed to those who listen (server-sent events). The keeper looks once a second, and only while
 * somebody listens. */
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "core/event.h"
#include "server/server_inside.h"

enum { LISTENERS = 256, BATCH = 1000 };
static const int64_t ALIVE_NS = (int64_t)15 * 1000000000;

typedef struct {
    wr_http_stream *stream;
    int64_t after, alive_ns;
} listener;

struct wr_feed {
    wr_project *project;
    pthread_mutex_t lock; /* guards the list; rank after every other of this room */
    WR_VEC(listener) all;
};

int wr_feed_new(wr_feed **out, wr_project *p, wr_err *err)
{
    wr_feed *f = wr_calloc(1, sizeof *f);
    if (!f) return wr_err_nomem(err);
    f->project = p;
    pthread_mutex_init(&f->lock, NULL);
    *out = f;
    return 0;
}

void wr_feed_free(wr_feed *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->all.n; i++) wr_http_stream_close(f->all.at[i].stream);
    wr_vec_fini(&f->all);
    pthread_mutex_destroy(&f->lock);
    wr_free(f);
}

int wr_feed_add(wr_feed *f, wr_http_stream *s, int64_t after, wr_err *err)
{
    listener l = {s, after, wr_clock_mono_ns()};
    int rc = wr_http_stream_write(s, WR_STR(":listening\n\n"));
    pthread_mutex_lock(&f->lock);
    if (rc == 0 && f->all.n == LISTENERS) rc = WEIR_ELIMIT;
    if (rc == 0) rc = wr_vec_push(&f->all, l);
    pthread_mutex_unlock(&f->lock);
    return rc < 0 ? wr_err_set(err, rc, "%s", wr_err_text(rc)) : 0;
}

static int push_event(listener *l, const wr_event *e)
{
    char time[WR_TIME_TEXT];
    wr_jsonw w;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    wr_time_format(time, e->time_us);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "time", time);
    wr_jsonw_kstr(&w, "subject", e->subject);
    wr_jsonw_key(&w, "payload");
    wr_jsonw_raw(&w, wr_str_of(e->payload));
    wr_jsonw_end(&w);
    if (b.failed) return WEIR_ENOMEM;
    l->after = e->id;
    l->alive_ns = wr_clock_mono_ns();
    return wr_http_sse(l->stream, e->id, e->kind, wr_buf_view(&b));
}

static int serve_listener(listener *l, const wr_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (events[i].id > l->after) WR_TRY(push_event(l, &events[i]));
    if (wr_clock_mono_ns() - l->alive_ns < ALIVE_NS) return 0;
    l->alive_ns = wr_clock_mono_ns();
    return wr_http_stream_write(l->stream, WR_STR(":\n\n")); /* notices those who are gone */
}

void wr_feed_push(wr_feed *f)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_event *events;
    size_t n;
    wr_err err;
    pthread_mutex_lock(&f->lock);
    int64_t after = INT64_MAX;
    for (size_t i = 0; i < f->all.n; i++)
        if (f->all.at[i].after < after) after = f->all.at[i].after;
    if (f->all.n && a) {
        if (wr_event_list(&events, &n, a, f->project, after, NULL, BATCH, &err) < 0) {
            wr_warn("events cannot be read: %s", err.msg);
            n = 0;
        }
        for (size_t i = f->all.n; i-- > 0;) {
            if (serve_listener(&f->all.at[i], events, n) == 0) continue;
            wr_http_stream_close(f->all.at[i].stream);
            f->all.at[i] = f->all.at[--f->all.n];
        }
    }
    pthread_mutex_unlock(&f->lock);
}
