/* SPDX-License-Identifier: Apache-2.0 */
/* routes_feedback.c - labels, rewards and feature events. A request is checked as a whole before anything of it is
 * kept. */
#include <math.h>

#include "base/clock.h"
#include "base/limits.h"
#include "server/server_inside.h"
#include "stage/deploy/feedback_take.h"

static void accepted(wr_call *c, size_t n)
{
    wr_jsonw w;
    wr_jsonw_init(&w, &c->loop->body, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_ki64(&w, "accepted", (int64_t)n);
    wr_jsonw_end(&w);
    wr_call_json(c, 200, &c->loop->body, true);
}

/* ISO text or microseconds. */
static int read_time(int64_t *out, yyjson_val *v, const char *key, size_t i, wr_err *err)
{
    if (yyjson_is_int(v) && !(yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX) && yyjson_get_sint(v) > INT64_MIN) {
        *out = yyjson_get_sint(v);
        return 0;
    }
    wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
    if (s.p && wr_time_parse(out, s, NULL) == 0) return 0;
    wr_err_set(err, WEIR_EINVAL, "item %zu: \"%s\" is not a time", i, key);
    return wr_err_hint(err, WEIR_EINVAL, "ISO 8601 such as 2001-06-14T13:05:00Z, or microseconds since 1970 UTC");
}

static int read_list(yyjson_val **out, wr_json *j, const char *key, wr_err *err)
{
    if (!yyjson_is_obj(j->root)) return wr_err_set(err, WEIR_EINVAL, "the request is not {\"%s\": [...]}", key);
    WR_TRY(wr_json_arr(out, j->root, key, err));
    if (yyjson_arr_size(*out) <= WR_LIMIT_LABELS) return 0;
    return wr_err_set(err, WEIR_ELIMIT, "more than %d items in one request", WR_LIMIT_LABELS);
}

/* ---- labels ---- */

typedef struct {
    wr_str id;
    double label;
    int64_t known_us;
} label;

static int read_label(label *out, yyjson_val *v, size_t i, int64_t now, wr_err *err)
{
    yyjson_val *known = yyjson_obj_get(v, "known_at"), *value = yyjson_obj_get(v, "label");
    if (!yyjson_is_obj(v)) return wr_err_set(err, WEIR_ETYPE, "label %zu is not an object", i);
    int rc = wr_json_str(&out->id, v, "id", err);
    if (rc < 0) return wr_err_wrap(err, rc, "label %zu", i);
    if (!out->id.n || out->id.n > WR_LIMIT_ID)
        return wr_err_set(err, WEIR_EINVAL, "label %zu: an id has 1 to %d bytes", i, WR_LIMIT_ID);
    if (!yyjson_is_num(value) && !yyjson_is_bool(value))
        return wr_err_set(err, WEIR_EINVAL, "label %zu: \"label\" is not a number", i);
    out->label = yyjson_is_bool(value) ? yyjson_get_bool(value) : yyjson_get_num(value);
    out->known_us = now;
    return !known || yyjson_is_null(known) ? 0 : read_time(&out->known_us, known, "known_at", i, err);
}

static int take_labels(size_t *n, wr_call *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *list, *v;
    size_t i, max;
    int64_t now = wr_clock_wall_us();
    WR_TRY(wr_json_parse(&j, c->body, "request", err));
    WR_TRY(read_list(&list, &j, "labels", err));
    *n = yyjson_arr_size(list);
    label *all = wr_arena_alloc(c->arena, (*n + 1) * sizeof *all);
    if (!all) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v) WR_TRY(read_label(&all[i], v, i, now, err));
    for (i = 0; i < *n; i++)
        WR_TRY(wr_serve_label(c->loop->round, c->param, all[i].id, all[i].label, all[i].known_us, err));
    return 0;
}

static int check_endpoint(wr_call *c, wr_err *err)
{
    wr_served *m;
    int rc = wr_serve_take(&m, c->server->serve, c->param, err);
    if (rc == 0) wr_serve_give(m);
    return rc == WEIR_EUNAVAILABLE ? 0 : rc; /* labels of what was predicted before are welcome */
}

void wr_handle_labels(wr_call *c)
{
    wr_err err = {0};
    size_t n = 0;
    int rc = check_endpoint(c, &err);
    if (rc == 0) rc = take_labels(&n, c, &err);
    if (rc < 0) wr_call_err(c, &err);
    else accepted(c, n);
}

/* ---- feedback of all kinds ----
 * On a thread of its own: bodies may be large, and what was told last is remembered behind the commit
 * (feedback_take.h). */

/* In the request's arena until it is finished. */
typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_auth_who *who;
    wr_arena *arena;
    wr_feedback_form form;
    wr_str endpoint, body;
    int64_t start;
} feedback_job;

static void put_error(wr_jsonw *w, const wr_err *e)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "error", e->msg);
    if (e->detail[0]) wr_jsonw_kstr(w, "detail", e->detail);
    if (e->hint[0]) wr_jsonw_kstr(w, "hint", e->hint);
    wr_jsonw_end(w);
}

static int take_feedback(wr_feedback_taken *out, feedback_job *j, wr_err *err)
{
    wr_feedback_item *items;
    size_t n;
    const wr_mlflow_access *access = j->who ? &j->who->access : NULL;
    WR_TRY(wr_asker_may(access, j->endpoint, WR_CAN_USE, err));
    WR_TRY(wr_feedback_read(&items, &n, j->body, &j->form, j->arena, err));
    wr_round *r = wr_round_new(j->server->serve);
    if (!r) return wr_err_nomem(err);
    int rc = wr_serve_feedback(out, r, j->endpoint, items, n, err);
    wr_round_free(r);
    return rc;
}

static void run_feedback(void *ctx, size_t index)
{
    feedback_job *j = ctx;
    wr_feedback_taken taken;
    wr_err err = {0};
    wr_jsonw w;
    WR_AUTOBUF wr_buf body = {0};
    (void)index;
    int rc = take_feedback(&taken, j, &err);
    wr_jsonw_init(&w, &body, 0);
    if (rc < 0) {
        put_error(&w, &err);
    } else {
        wr_jsonw_obj(&w);
        wr_jsonw_ki64(&w, "accepted", (int64_t)taken.accepted);
        wr_jsonw_ki64(&w, "unchanged", (int64_t)taken.unchanged);
        wr_jsonw_end(&w);
    }
    wr_http_reply_opt opt = {.status = rc < 0 ? wr_err_http(rc) : 200};
    wr_server_count(j->loop, WR_KIND_LABELS, opt.status, wr_clock_mono_ns() - j->start);
    if (j->who) wr_auth_done(j->who);
    wr_http_finish(j->req, &opt, wr_buf_view(&body)); /* the job goes with it */
}

static wr_str lasting(wr_arena *a, wr_str s) { return s.p ? wr_arena_str(a, s) : s; }

void wr_handle_feedback(wr_call *c)
{
    wr_err err = {0};
    feedback_job *j = wr_arena_calloc(c->arena, 1, sizeof *j);
    wr_str endpoint = wr_arena_str(c->arena, c->param);
    if (!j || !endpoint.p) {
        wr_err_nomem(&err);
        wr_call_err(c, &err);
        return;
    }
    wr_call_defer(c);
    const wr_http_head *h = wr_http_req_head(c->req);
    *j = (feedback_job){.server = c->server,
                        .loop = c->loop,
                        .req = c->req,
                        .who = c->who,
                        .arena = c->arena,
                        .endpoint = endpoint,
                        .body = c->body,
                        .start = wr_clock_mono_ns()};
    j->form = (wr_feedback_form){.content_type = lasting(c->arena, wr_http_get(h, "content-type")),
                                 .ce_version = lasting(c->arena, wr_http_get(h, "ce-specversion")),
                                 .ce_subject = lasting(c->arena, wr_http_get(h, "ce-subject")),
                                 .ce_time = lasting(c->arena, wr_http_get(h, "ce-time")),
                                 .now_us = wr_clock_wall_us()};
    c->who = NULL;
    if (wr_pool_post(c->server->heavy, run_feedback, j, 0) == 0) return;
    if (j->who) wr_auth_done(j->who);
    wr_http_finish(j->req, &(wr_http_reply_opt){.status = 503}, WR_STR("{\"error\":\"out of memory\"}"));
}

/* ---- feature events ---- */

typedef struct {
    const wr_view *view;
    const char *time_key;
    size_t item;
    wr_err *err;
} event_reader;

static int read_cell(const event_reader *r, wr_cell *out, wr_type type, const char *name, yyjson_val *v)
{
    *out = (wr_cell){.num = NAN, .missing = yyjson_is_null(v)};
    if (out->missing) return 0;
    if (type == WR_TEXT && yyjson_is_str(v)) {
        out->text = (wr_str){yyjson_get_str(v), yyjson_get_len(v)};
        return 0;
    }
    if (type == WR_F64 && (yyjson_is_num(v) || yyjson_is_bool(v))) {
        out->num = yyjson_is_bool(v) ? yyjson_get_bool(v) : yyjson_get_num(v);
        return 0;
    }
    return wr_err_set(r->err, WEIR_ETYPE, "event %zu: \"%s\" is not %s", r->item, name,
                      type == WR_TEXT ? "text" : "a number");
}

static int unknown_column(const event_reader *r, const char *name)
{
    int near = wr_str_nearest(wr_str_of(name), (const char *const *)r->view->event_columns, r->view->nevent_columns);
    wr_err_set(r->err, WEIR_EINVAL, "event %zu: view \"%s\" has no event column \"%.100s\"", r->item, r->view->name,
               name);
    return near >= 0 ? wr_err_hint(r->err, WEIR_EINVAL, "did you mean \"%s\"?", r->view->event_columns[near])
                     : WEIR_EINVAL;
}

static int read_event(const event_reader *r, int64_t *time_us, wr_cell *cells, yyjson_val *v)
{
    const wr_view *view = r->view;
    size_t i, max, guess = 0;
    yyjson_val *key, *value;
    bool timed = false;
    if (!yyjson_is_obj(v)) return wr_err_set(r->err, WEIR_ETYPE, "event %zu is not an object", r->item);
    for (i = 0; i < view->nevent_columns; i++) cells[i] = (wr_cell){.num = NAN, .missing = true};
    yyjson_obj_foreach(v, i, max, key, value)
    {
        const char *name = yyjson_get_str(key);
        if (strcmp(name, r->time_key) == 0) {
            WR_TRY(read_time(time_us, value, name, r->item, r->err));
            timed = true;
            continue;
        }
        size_t k = 0;
        while (k < view->nevent_columns && strcmp(view->event_columns[(guess + k) % view->nevent_columns], name) != 0)
            k++;
        if (k == view->nevent_columns) return unknown_column(r, name);
        k = (guess + k) % view->nevent_columns;
        guess = k + 1;
        WR_TRY(read_cell(r, &cells[k], view->event_type[k], name, value));
    }
    return timed ? 0 : wr_err_set(r->err, WEIR_EINVAL, "event %zu has no \"%s\"", r->item, r->time_key);
}

static int take_events(size_t *n, wr_call *c, wr_live *l, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *list, *v;
    size_t i, max, width = l->view->nevent_columns;
    event_reader r = {.view = l->view, .time_key = "time", .err = err};
    for (i = 0; i < width; i++)
        if (strcmp(l->view->event_columns[i], "time") == 0) r.time_key = "_time";
    if (!l->view->event_time) return wr_err_set(err, WEIR_EINVAL, "view \"%s\" is made without events", l->view->name);
    WR_TRY(wr_json_parse(&j, c->body, "request", err));
    WR_TRY(read_list(&list, &j, "events", err));
    *n = yyjson_arr_size(list);
    int64_t *times = wr_arena_alloc(c->arena, (*n + 1) * sizeof *times);
    wr_cell *cells = wr_arena_alloc(c->arena, (*n * width + 1) * sizeof *cells);
    if (!times || !cells) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        r.item = i;
        WR_TRY(read_event(&r, &times[i], cells + i * width, v));
        WR_TRY(wr_serve_event_time(times[i], l, err));
    }
    for (i = 0; i < *n; i++) WR_TRY(wr_serve_event(c->loop->round, l, times[i], cells + i * width, err));
    return 0;
}

void wr_handle_view_events(wr_call *c)
{
    wr_err err = {0};
    wr_live *l;
    size_t n = 0;
    int rc = wr_serve_view(&l, c->server->serve, c->param, &err);
    if (rc == 0) rc = take_events(&n, c, l, &err);
    if (rc < 0) wr_call_err(c, &err);
    else accepted(c, n);
}
