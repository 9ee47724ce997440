/* SPDX-License-Identifier: Apache-2.0 */
/* webhook.c - webhooks, and what goes into their outbox. Sending is in webhook_send.c. */
#include "track/webhook.h"

#include <stdio.h>

#include "base/num.h"
#include "base/os.h"
#include "codec/json.h"
#include "io/address.h"
#include "track/registry.h"
#include "track/run.h"
#include "track/webhook_inside.h"

enum { URL = 2048, DESCRIPTION = 1000, SECRET = 1000, LIST_MAX = 1000, OUTBOX_MAX = 10000, BODY_MAX = 4 << 20 };

/* ---- events ---- */

/* What "data" has, a letter a member: n name, v version, s source, r run_id, m template, t tags, k key, l value, a
 * alias, d description. */
static const struct {
    const char *entity, *action, *members;
} events[] = {
    {"registered_model", "created", "ntd"},
    {"model_version", "created", "nvsrtd"},
    {"model_version_tag", "set", "nvkl"},
    {"model_version_tag", "deleted", "nvk"},
    {"model_version_alias", "created", "nav"},
    {"model_version_alias", "deleted", "na"},
    {"prompt", "created", "ntd"},
    {"prompt_version", "created", "nvmtd"},
    {"prompt_tag", "set", "nkl"},
    {"prompt_tag", "deleted", "nk"},
    {"prompt_version_tag", "set", "nvkl"},
    {"prompt_version_tag", "deleted", "nvk"},
    {"prompt_alias", "created", "nav"},
    {"prompt_alias", "deleted", "na"},
    {"budget_policy", "exceeded", ""},
};
enum { EVENTS = sizeof events / sizeof *events };

const char *wr_webhook_event_entity(int event) { return events[event].entity; }
const char *wr_webhook_event_action(int event) { return events[event].action; }

int wr_webhook_event_find(int *out, wr_str entity, wr_str action, wr_err *err)
{
    char valid[80] = "";
    size_t n = 0;
    for (int i = 0; i < EVENTS; i++) {
        if (!wr_str_is(entity, events[i].entity)) continue;
        if (wr_str_is(action, events[i].action)) {
            *out = i;
            return 0;
        }
        n += (size_t)snprintf(valid + n, sizeof valid - n, "%s'%s'", n ? ", " : "", events[i].action);
    }
    return wr_err_set(err, WEIR_EINVAL, "Invalid action '%.*s' for entity '%.*s'. Valid actions are: [%s]",
                      WR_STR_FMT(wr_str_fit(action, 40)), WR_STR_FMT(wr_str_fit(entity, 40)), valid);
}

static void event_text(char out[48], int event)
{
    snprintf(out, 48, "%s.%s", events[event].entity, events[event].action);
}

static int event_of(wr_str text)
{
    int event;
    wr_str action = text, entity = wr_str_cut(&action, '.');
    return wr_webhook_event_find(&event, entity, action, NULL) < 0 ? -1 : event;
}

/* ---- checks ---- */

void wr_webhook_allow(wr_track *t, unsigned flags) { t->webhook_allow = flags; }

int wr_webhook_allow_parse(unsigned *out, wr_str text, wr_err *err)
{
    *out = 0;
    for (wr_str rest = text; rest.p && text.n;) {
        wr_str word = wr_str_trim(wr_str_cut(&rest, ','));
        if (wr_str_is(word, "http")) *out |= WR_WEBHOOK_HTTP;
        else if (wr_str_is(word, "private")) *out |= WR_WEBHOOK_PRIVATE;
        else
            return wr_err_set(err, WEIR_EINVAL,
                              "\"%.*s\" is nothing webhooks can be allowed; \"http\" and \"private\" are",
                              WR_STR_FMT(wr_str_fit(word, 40)));
    }
    return 0;
}

static bool letter_or_digit(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static int check_name(wr_str name, wr_err *err)
{
    bool ok = name.n >= 1 && name.n <= 63 && letter_or_digit(name.p[0]) && letter_or_digit(name.p[name.n - 1]);
    for (size_t i = 0; ok && i < name.n; i++)
        ok = letter_or_digit(name.p[i]) || name.p[i] == '.' || name.p[i] == '_' || name.p[i] == '-';
    if (ok) return 0;
    return wr_err_set(err, WEIR_EINVAL,
                      "Webhook name '%.*s' is invalid. It must start and end with a letter or digit, be less than 63 "
                      "characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-).",
                      WR_STR_FMT(wr_str_fit(name, 80)));
}

/* The host of scheme://user@host:port/..., with brackets; {NULL,0} when it cannot be one. */
static wr_str host_of(wr_str rest)
{
    size_t n = 0;
    while (n < rest.n && !strchr("/?#\\", rest.p[n])) n++;
    wr_str authority = wr_str_sub(rest, 0, n);
    const char *at = memrchr(authority.p, '@', authority.n);
    if (at) authority = wr_str_sub(authority, (size_t)(at - authority.p) + 1, authority.n);
    if (wr_str_starts(authority, "[")) {
        const char *end = memchr(authority.p, ']', authority.n);
        return end ? wr_str_sub(authority, 0, (size_t)(end - authority.p) + 1) : (wr_str){NULL, 0};
    }
    return memchr(authority.p, ']', authority.n) ? (wr_str){NULL, 0} : wr_str_cut(&authority, ':');
}

static int check_host(wr_str url, wr_str host, unsigned allow, wr_err *err)
{
    if (!host.p)
        return wr_err_set(err, WEIR_EINVAL, "Invalid webhook URL '%.*s': its host cannot be read",
                          WR_STR_FMT(wr_str_fit(url, 100)));
    if (!host.n)
        return wr_err_set(err, WEIR_EINVAL, "Webhook URL must include a hostname: '%.*s'",
                          WR_STR_FMT(wr_str_fit(url, 100)));
    if (wr_address_host(host) == 0 && !(allow & WR_WEBHOOK_PRIVATE))
        return wr_err_set(err, WEIR_EINVAL, "Webhook URL must not resolve to a non-public IP address. '%.*s' is none.",
                          WR_STR_FMT(wr_str_fit(host, 100)));
    return 0;
}

/* Names are looked up when a message is sent, and what they give is judged then. */
static int check_url(wr_str url, unsigned allow, wr_err *err)
{
    wr_str shown = wr_str_fit(url, 100), rest = url;
    if (!wr_str_trim(url).n)
        return wr_err_set(err, WEIR_EINVAL, "Webhook URL cannot be empty or just whitespace: '%.*s'",
                          WR_STR_FMT(shown));
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
            return wr_err_set(err, WEIR_EINVAL, "Invalid webhook URL '%.*s': it has spaces or control characters",
                              WR_STR_FMT(shown));
    wr_str scheme = wr_str_cut(&rest, ':');
    if (!rest.p) scheme = WR_STR("");
    bool http = wr_str_ieq(scheme, "http") && allow & WR_WEBHOOK_HTTP;
    if (!http && !wr_str_ieq(scheme, "https"))
        return wr_err_set(err, WEIR_EINVAL, "Invalid webhook URL scheme: '%.*s'. Allowed schemes are: https%s.",
                          WR_STR_FMT(wr_str_fit(scheme, 40)), allow & WR_WEBHOOK_HTTP ? ", http" : "");
    if (!wr_str_starts(rest, "//"))
        return wr_err_set(err, WEIR_EINVAL, "Webhook URL must include a hostname: '%.*s'", WR_STR_FMT(shown));
    WR_TRY(check_host(url, host_of(wr_str_sub(rest, 2, rest.n)), allow, err));
    return wr_track_length_check(url, URL, "url", err);
}

static int check_set(const wr_track *t, const wr_webhook_set *in, wr_err *err)
{
    if (in->name.p) WR_TRY(check_name(in->name, err));
    if (in->url.p) WR_TRY(check_url(in->url, t->webhook_allow, err));
    WR_TRY(wr_track_length_check(in->description, DESCRIPTION, "description", err));
    return wr_track_length_check(in->secret, SECRET, "secret", err);
}

/* ---- reading ---- */

#define COLUMNS                                                                                                        \
    "SELECT w.id, w.uuid, w.name, w.url, w.description, w.status, w.created_ms, w.updated_ms FROM webhooks w "

static int load_events(wr_webhook *w, wr_arena *a, wr_track *t, wr_err *err)
{
    wr_stmt *s;
    int rc, found[EVENTS + 1];
    WR_TRY(wr_track_query(&s, t, err, "SELECT event FROM webhook_events WHERE webhook = ?", "i", w->id));
    while ((rc = wr_step(s, err)) > 0 && w->nevents < EVENTS) {
        int event = event_of(wr_stmt_str(s, 0));
        if (event >= 0) found[w->nevents++] = event;
    }
    wr_stmt_done(s);
    w->events = wr_arena_dup(a, found, w->nevents * sizeof *found);
    return rc < 0 ? rc : w->events ? 0 : wr_err_nomem(err);
}

/* All rows of `s`, which is taken over, with their events. */
static int read_rows(wr_webhook **out, size_t *n, wr_arena *a, wr_track *t, wr_stmt *s, wr_err *err)
{
    WR_VEC(wr_webhook) rows = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wr_webhook w = {.id = wr_stmt_i64(s, 0),
                        .uuid = wr_arena_str(a, wr_stmt_str(s, 1)),
                        .name = wr_arena_str(a, wr_stmt_str(s, 2)),
                        .url = wr_arena_str(a, wr_stmt_str(s, 3)),
                        .status = (int)wr_stmt_i64(s, 5),
                        .created_ms = wr_stmt_i64(s, 6),
                        .updated_ms = wr_stmt_i64(s, 7)};
        w.description = wr_stmt_text(a, s, 4);
        if ((rc = wr_vec_add(&rows, w, err)) < 0) break;
    }
    wr_stmt_done(s);
    WR_TRY(wr_vec_keep(out, n, a, &rows, rc, err));
    for (size_t i = 0; i < *n; i++) WR_TRY(load_events(&(*out)[i], a, t, err));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_webhook_get(wr_webhook *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    wr_webhook *rows;
    size_t n;
    WR_TRY(wr_track_query(&s, t, err, COLUMNS "WHERE w.uuid = ?", "s", uuid));
    WR_TRY(read_rows(&rows, &n, a, t, s, err));
    if (!n) return wr_err_set(err, WEIR_ENOTFOUND, "Webhook with ID %.*s not found.", WR_STR_FMT(wr_str_fit(uuid, 64)));
    *out = rows[0];
    return 0;
}

/* A token is the id of the last webhook that was given; ids grow with time. */
int wr_webhook_list(wr_webhook **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, int64_t max, wr_str token,
                    wr_err *err)
{
    wr_stmt *s;
    int64_t before = INT64_MAX;
    *next = (wr_str){NULL, 0};
    if (max < 1 || max > LIST_MAX) return wr_err_set(err, WEIR_EINVAL, "max_results must be between 1 and 1000.");
    if (token.n && wr_num_i64(&before, token, NULL) < 0)
        return wr_err_set(err, WEIR_EINVAL, "Invalid page token, could not decode it");
    WR_TRY(wr_track_query(&s, t, err, COLUMNS "WHERE w.id < ? ORDER BY w.id DESC LIMIT ?", "ii", before, max + 1));
    WR_TRY(read_rows(out, n, a, t, s, err));
    if (*n <= (size_t)max) return 0;
    *n = (size_t)max;
    char *text = wr_arena_printf(a, "%lld", (long long)(*out)[*n - 1].id);
    if (!text) return wr_err_nomem(err);
    *next = wr_str_of(text);
    return 0;
}

/* ---- life ---- */

static int put_events(wr_track *t, int64_t id, const wr_webhook_set *in, wr_err *err)
{
    char text[48];
    WR_TRY(wr_track_exec(t, err, "DELETE FROM webhook_events WHERE webhook = ?", "i", id));
    for (size_t i = 0; i < in->nevents; i++) {
        event_text(text, in->events[i]);
        WR_TRY(wr_track_exec(t, err, "INSERT INTO webhook_events (event, webhook) VALUES (?, ?) ON CONFLICT DO NOTHING",
                             "si", wr_str_of(text), id));
    }
    return 0;
}

void wr_webhook_new_id(char out[37])
{
    char hex[33];
    wr_track_new_id(hex);
    hex[12] = '4'; /* a random UUID of RFC 9562 */
    hex[16] = "89ab"[hex[16] & 3];
    snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

int wr_webhook_create(wr_webhook *out, wr_arena *a, wr_track *t, const wr_webhook_set *in, wr_err *err)
{
    int64_t id, now = wr_track_now_ms();
    char uuid[37];
    wr_webhook_set whole = *in;
    if (!whole.name.p) whole.name = WR_STR("");
    if (!whole.url.p) whole.url = WR_STR("");
    WR_TRY(check_set(t, &whole, err));
    if (!in->nevents)
        return wr_err_set(err, WEIR_EINVAL, "Webhook events must be a non-empty list of WebhookEvent objects: [].");
    wr_webhook_new_id(uuid);
    WR_TRY(
        wr_track_number(&id, 0, t, err,
                        "INSERT INTO webhooks (uuid, name, url, description, secret, status, created_ms, updated_ms) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                        "sssssiii", wr_str_of(uuid), in->name, in->url, in->description, in->secret,
                        (int64_t)(in->status ? in->status : WR_WEBHOOK_ACTIVE), now, now));
    WR_TRY(put_events(t, id, in, err));
    return wr_webhook_get(out, a, t, wr_str_of(uuid), err);
}

int wr_webhook_update(wr_webhook *out, wr_arena *a, wr_track *t, wr_str uuid, const wr_webhook_set *in, wr_err *err)
{
    WR_TRY(wr_webhook_get(out, a, t, uuid, err));
    WR_TRY(check_set(t, in, err));
    if (in->nevents) WR_TRY(put_events(t, out->id, in, err));
    WR_TRY(wr_track_exec(t, err,
                         "UPDATE webhooks SET name = coalesce(?, name), url = coalesce(?, url), description = "
                         "coalesce(?, description), secret = coalesce(?, secret), status = coalesce(nullif(?, 0), "
                         "status), updated_ms = ? WHERE id = ?",
                         "ssssiii", in->name, in->url, in->description, in->secret, (int64_t)in->status,
                         wr_track_now_ms(), out->id));
    t->webhook_stirred = true; /* it may be active again */
    return wr_webhook_get(out, a, t, uuid, err);
}

int wr_webhook_delete(wr_track *t, wr_str uuid, wr_err *err)
{
    static const char *const statements[] = {"DELETE FROM webhook_outbox WHERE webhook = ?",
                                             "DELETE FROM webhook_events WHERE webhook = ?",
                                             "DELETE FROM webhooks WHERE id = ?"};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_webhook w;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_webhook_get(&w, a, t, uuid, err));
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        WR_TRY(wr_track_exec(t, err, statements[i], "i", w.id));
    return 0;
}

/* ---- messages ---- */

static void text_or_null(wr_jsonw *w, const char *key, wr_str v)
{
    wr_jsonw_key(w, key);
    if (v.p) wr_jsonw_str(w, v);
    else wr_jsonw_null(w);
}

/* Marks of a prompt and its text have places of their own. */
static bool is_prompt_mark(wr_str key)
{
    return wr_str_is(key, WR_PROMPT_TAG) || wr_str_is(key, "_mlflow_prompt_type") ||
           wr_str_is(key, "mlflow.prompt.text");
}

static void put_tags(wr_jsonw *w, const wr_webhook_data *d, bool prompt)
{
    wr_jsonw_key(w, "tags");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < d->ntags; i++) {
        if (prompt && is_prompt_mark(d->tags[i].key)) continue;
        wr_jsonw_key(w, d->tags[i].key.p);
        wr_jsonw_str(w, d->tags[i].value);
    }
    wr_jsonw_end(w);
}

static void put_data(wr_jsonw *w, int event, const wr_webhook_data *d)
{
    wr_jsonw_key(w, "data");
    wr_jsonw_obj(w);
    for (const char *m = events[event].members; *m; m++) {
        if (*m == 'n') text_or_null(w, "name", d->name);
        else if (*m == 'v') text_or_null(w, "version", d->version);
        else if (*m == 's') text_or_null(w, "source", d->source);
        else if (*m == 'r') text_or_null(w, "run_id", d->run_id.n ? d->run_id : (wr_str){NULL, 0});
        else if (*m == 'm') text_or_null(w, "template", d->template);
        else if (*m == 't') put_tags(w, d, wr_str_starts(wr_str_of(events[event].entity), "prompt"));
        else if (*m == 'k') text_or_null(w, "key", d->key);
        else if (*m == 'l') text_or_null(w, "value", d->value);
        else if (*m == 'a') text_or_null(w, "alias", d->alias);
        else if (*m == 'd') text_or_null(w, "description", d->description);
    }
    wr_jsonw_end(w);
}

void wr_webhook_message(wr_buf *out, int event, const wr_webhook_data *data, int64_t now_us)
{
    wr_jsonw w;
    char time[WR_TIME_TEXT], stamp[48];
    wr_time_format(time, now_us - now_us % WR_US); /* "2001-06-14T13:05:07Z" */
    snprintf(stamp, sizeof stamp, "%.19s.%06d+00:00", time, (int)(now_us % WR_US));
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "entity", events[event].entity);
    wr_jsonw_kstr(&w, "action", events[event].action);
    wr_jsonw_kstr(&w, "timestamp", stamp);
    put_data(&w, event, data);
    wr_jsonw_end(&w);
}

/* The oldest go when a receiver has been away for too long. */
static int make_room(wr_track *t, int64_t webhook, wr_err *err)
{
    int64_t n;
    WR_TRY(wr_track_number(&n, 0, t, err, "SELECT count(*) FROM webhook_outbox WHERE webhook = ?", "i", webhook));
    if (n < OUTBOX_MAX) return 0;
    int rc = wr_track_exec(t, err,
                           "DELETE FROM webhook_outbox WHERE id IN (SELECT id FROM webhook_outbox WHERE webhook = ? "
                           "ORDER BY id LIMIT ?)",
                           "ii", webhook, n - OUTBOX_MAX + 1);
    return rc < 0 ? rc : 0;
}

static int put_message(wr_track *t, int64_t webhook, wr_str body, wr_err *err)
{
    char delivery[37];
    int64_t now = wr_track_now_ms();
    wr_webhook_new_id(delivery);
    WR_TRY(make_room(t, webhook, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO webhook_outbox (webhook, delivery, body, next_ms, created_ms) VALUES (?, ?, ?, "
                           "?, ?)",
                           "issii", webhook, wr_str_of(delivery), body, now, now);
    return rc < 0 ? rc : 0;
}

int wr_webhook_emit(wr_track *t, wr_str entity, wr_str action, const wr_webhook_data *data, wr_err *err)
{
    WR_AUTOBUF wr_buf body;
    WR_VEC(int64_t) ids = {0};
    wr_stmt *s;
    char text[48];
    int event, rc;
    wr_buf_init(&body, BODY_MAX);
    WR_TRY(wr_webhook_event_find(&event, entity, action, err));
    event_text(text, event);
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT w.id FROM webhook_events e JOIN webhooks w ON w.id = e.webhook WHERE e.event = ? AND "
                          "w.status = 1 ORDER BY w.id",
                          "s", wr_str_of(text)));
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&ids, wr_stmt_i64(s, 0), err)) < 0) break;
    wr_stmt_done(s);
    if (rc == 0 && ids.n) wr_webhook_message(&body, event, data, wr_clock_wall_us());
    if (body.failed) rc = wr_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < ids.n; i++) rc = put_message(t, ids.at[i], wr_buf_view(&body), err);
    if (rc == 0 && ids.n) t->webhook_stirred = true;
    wr_vec_fini(&ids);
    return rc;
}

bool wr_webhook_stirred(wr_track *t) { return atomic_exchange(&t->webhook_stirred, false); }
