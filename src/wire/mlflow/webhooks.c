/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks.c - webhooks/...: who is told of changes. Secrets go in and never come out. */
#include <ctype.h>
#include <stdio.h>

#include "track/webhook.h"
#include "wire/mlflow/rpcs.h"

/* ---- writing ---- */

static void put_upper(wr_jsonw *w, const char *key, const char *text)
{
    char upper[32];
    size_t n = 0;
    for (; text[n] && n < sizeof upper - 1; n++) upper[n] = (char)toupper((unsigned char)text[n]);
    wr_jsonw_kslice(w, key, (wr_str){upper, n});
}

static void put_webhook(wr_jsonw *w, const char *key, const wr_webhook *h)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "webhook_id", h->uuid);
    wr_jsonw_kslice(w, "name", h->name);
    if (h->description.p) wr_jsonw_kslice(w, "description", h->description);
    wr_jsonw_kslice(w, "url", h->url);
    wr_jsonw_key(w, "events");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < h->nevents; i++) {
        wr_jsonw_obj(w);
        put_upper(w, "entity", wr_webhook_event_entity(h->events[i]));
        put_upper(w, "action", wr_webhook_event_action(h->events[i]));
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_kstr(w, "status", h->status == WR_WEBHOOK_DISABLED ? "DISABLED" : "ACTIVE");
    wr_jsonw_ki64(w, "creation_timestamp", h->created_ms);
    wr_jsonw_ki64(w, "last_updated_timestamp", h->updated_ms);
    wr_jsonw_end(w);
}

/* ---- reading ---- */

/* A name of an enum, or its number as protobuf has it, in lower case. */
static wr_str enum_of(char out[32], yyjson_val *v, const char *const *names, size_t n)
{
    int64_t number;
    if (yyjson_is_str(v) && yyjson_get_len(v) < 32) {
        for (size_t i = 0; i <= yyjson_get_len(v); i++) out[i] = (char)tolower((unsigned char)yyjson_get_str(v)[i]);
        return (wr_str){out, yyjson_get_len(v)};
    }
    return wr_mlflow_i64_of(&number, v) && number > 0 && (size_t)number < n ? wr_str_of(names[number]) : WR_STR("");
}

static int event_of(int *out, yyjson_val *v, wr_err *err)
{
    static const char *const entities[] = {"",
                                           "registered_model",
                                           "model_version",
                                           "model_version_tag",
                                           "model_version_alias",
                                           "prompt",
                                           "prompt_version",
                                           "prompt_tag",
                                           "prompt_version_tag",
                                           "prompt_alias",
                                           "budget_policy"};
    static const char *const actions[] = {"", "created", "updated", "deleted", "set", "exceeded"};
    char entity[32], action[32];
    return wr_webhook_event_find(out, enum_of(entity, yyjson_obj_get(v, "entity"), entities, 11),
                                 enum_of(action, yyjson_obj_get(v, "action"), actions, 6), err);
}

static int status_of(int *out, wr_mlflow_call *c, wr_err *err)
{
    static const char *const names[] = {"", "active", "disabled"};
    char text[32];
    yyjson_val *v = wr_mlflow_val(c, "status");
    *out = 0;
    if (!v) return 0;
    wr_str name = enum_of(text, v, names, 3);
    if (wr_str_is(name, "active")) *out = WR_WEBHOOK_ACTIVE;
    else if (wr_str_is(name, "disabled")) *out = WR_WEBHOOK_DISABLED;
    else return wr_mlflow_invalid(err, "status", v, "expected ACTIVE or DISABLED.");
    return 0;
}

/* An empty text is none, as in MLflow. */
static wr_str some(const wr_mlflow_call *c, const char *name)
{
    wr_str v = wr_mlflow_str(c, name);
    return v.n ? v : (wr_str){NULL, 0};
}

static int read_set(wr_webhook_set *out, wr_mlflow_call *c, wr_err *err)
{
    yyjson_val *v, *all = wr_mlflow_val(c, "events");
    size_t i, max;
    int *events = wr_arena_alloc(c->arena, (yyjson_arr_size(all) + 1) * sizeof *events);
    if (!events) return wr_err_nomem(err);
    *out = (wr_webhook_set){.name = some(c, "name"),
                            .url = some(c, "url"),
                            .description = some(c, "description"),
                            .secret = some(c, "secret"),
                            .events = events};
    yyjson_arr_foreach(all, i, max, v) WR_TRY(event_of(&events[out->nevents++], v, err));
    return status_of(&out->status, c, err);
}

/* ---- procedures ---- */

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_webhook h;
    wr_webhook_set set;
    WR_TRY(read_set(&set, c, err));
    WR_TRY(wr_webhook_create(&h, c->arena, c->track, &set, err));
    put_webhook(&c->w, "webhook", &h);
    return 0;
}

static int list(wr_mlflow_call *c, wr_err *err)
{
    wr_webhook *h;
    size_t n;
    wr_str next;
    int64_t max = wr_mlflow_i64(c, "max_results", 100);
    WR_TRY(wr_webhook_list(&h, &n, &next, c->arena, c->track, max ? max : 100, wr_mlflow_str(c, "page_token"), err));
    if (n) {
        wr_jsonw_key(&c->w, "webhooks");
        wr_jsonw_arr(&c->w);
        for (size_t i = 0; i < n; i++) put_webhook(&c->w, NULL, &h[i]);
        wr_jsonw_end(&c->w);
    }
    if (next.n) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_webhook h;
    WR_TRY(wr_webhook_get(&h, c->arena, c->track, c->segment[0], err));
    put_webhook(&c->w, "webhook", &h);
    return 0;
}

static int update(wr_mlflow_call *c, wr_err *err)
{
    wr_webhook h;
    wr_webhook_set set;
    WR_TRY(read_set(&set, c, err));
    WR_TRY(wr_webhook_update(&h, c->arena, c->track, c->segment[0], &set, err));
    put_webhook(&c->w, "webhook", &h);
    return 0;
}

static int delete (wr_mlflow_call *c, wr_err *err) { return wr_webhook_delete(c->track, c->segment[0], err); }

static void put_result(wr_jsonw *w, const wr_webhook_answer *a)
{
    wr_jsonw_key(w, "result");
    wr_jsonw_obj(w);
    wr_jsonw_kbool(w, "success", a->status >= 200 && a->status < 400);
    if (a->status) {
        wr_jsonw_ki64(w, "response_status", a->status);
        wr_jsonw_kslice(w, "response_body", wr_buf_view(&a->body));
    } else {
        char why[240];
        snprintf(why, sizeof why, "Failed to test webhook: %s", a->why);
        wr_jsonw_kstr(w, "error_message", why);
    }
    wr_jsonw_end(w);
}

static int test(wr_mlflow_call *c, wr_err *err)
{
    wr_webhook_transport transport;
    wr_webhook_answer answer = {0};
    int event = -1;
    yyjson_val *v = wr_mlflow_val(c, "event");
    if (v) WR_TRY(event_of(&event, v, err));
    WR_TRY(wr_webhook_transport_open(&transport, NULL, err));
    wr_buf_init(&answer.body, 64 << 10);
    int rc = wr_webhook_test(&answer, c->arena, c->track, c->segment[0], event, &transport, err);
    wr_webhook_transport_close(&transport);
    if (rc == 0) put_result(&c->w, &answer);
    wr_buf_fini(&answer.body);
    return rc;
}

#define SET                                                                                                            \
    {"url", 's', false}, {"events", 'a', false}, {"description", 's', false}, {"secret", 's', false},                  \
    {                                                                                                                  \
        "status", '*', false                                                                                           \
    }
#define ONE "2.0/mlflow/webhooks/{}"
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "2.0/mlflow/webhooks",
     WR_MLFLOW_WRITE,
     create,
     {{"name", 's', true},
      {"url", 's', true},
      {"events", 'a', true},
      {"description", 's', false},
      {"secret", 's', false},
      {"status", '*', false}}},
    {"GET", "2.0/mlflow/webhooks", WR_MLFLOW_READ, list, {{"max_results", 'i', false}, {"page_token", 's', false}}},
    {"GET", ONE, WR_MLFLOW_READ, get, {{0}}},
    {"PATCH", ONE, WR_MLFLOW_WRITE, update, {{"name", 's', false}, SET}},
    {"DELETE", ONE, WR_MLFLOW_WRITE, delete, {{0}}},
    {"POST", ONE "/test", WR_MLFLOW_QUERY, test, {{"event", 'o', false}}},
};
const wr_mlflow_rpcs wr_mlflow_webhooks = {rpcs, sizeof rpcs / sizeof *rpcs};
