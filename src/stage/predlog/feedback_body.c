/* SPDX-License-Identifier: Apache-2.0 */
/* feedback_body.c - bodies to items. */
#include "stage/predlog/feedback_body.h"

#include <math.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/num.h"
#include "codec/json.h"

enum { CSV_COLUMNS = 64 };

typedef struct {
    wr_feedback_item *items;
    size_t n, cap, row;
    wr_arena *arena;
    wr_str subject;   /* of the event the item is in; {NULL, 0} = none */
    int64_t known_us; /* when the item does not say */
    int64_t now_us;
    wr_err *err;
} reader;

/* ---- an item ---- */

static int add(reader *r, const wr_feedback_item *item)
{
    if (r->n == WR_LIMIT_LABELS)
        return wr_err_set(r->err, WEIR_ELIMIT, "more than %d labels and rewards in one request", WR_LIMIT_LABELS);
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        wr_feedback_item *more = wr_arena_alloc(r->arena, cap * sizeof *more);
        if (!more) return wr_err_nomem(r->err);
        if (r->n) memcpy(more, r->items, r->n * sizeof *more);
        r->items = more;
        r->cap = cap;
    }
    r->items[r->n++] = *item;
    return 0;
}

static int keep_text(wr_str *out, const reader *r, wr_str s)
{
    *out = wr_arena_str(r->arena, s);
    return out->p ? 0 : wr_err_nomem(r->err);
}

static int check_id(const reader *r, wr_str id)
{
    if (id.n && id.n <= WR_LIMIT_ID) return 0;
    return wr_err_set(r->err, WEIR_EINVAL, "row %zu: an id has 1 to %d bytes", r->row, WR_LIMIT_ID);
}

static int check_time(const reader *r, int64_t us)
{
    if (us <= r->now_us + WR_DAY_US) return 0;
    wr_err_set(r->err, WEIR_EINVAL, "row %zu: \"ts\" has not come yet", r->row);
    return wr_err_hint(r->err, WEIR_EINVAL, "times are UTC; they may be a day ahead of this machine's clock");
}

static int check_class(const reader *r, wr_str s)
{
    if (s.n && s.n <= WR_LIMIT_NAME) return 0;
    return wr_err_set(r->err, WEIR_EINVAL, "row %zu: the name of a class has 1 to %d bytes", r->row, WR_LIMIT_NAME);
}

static int bad_value(const reader *r, const char *key)
{
    bool reward = strcmp(key, "reward") == 0;
    return wr_err_set(r->err, WEIR_ETYPE, "row %zu: \"%s\" is not %s", r->row, key,
                      reward ? "a number" : "a number, a boolean or a string");
}

static int bad_time(const reader *r)
{
    wr_err_set(r->err, WEIR_EINVAL, "row %zu: \"ts\" is not a time", r->row);
    return wr_err_hint(r->err, WEIR_EINVAL, "ISO 8601 such as 2001-06-14T13:05:00Z, or microseconds since 1970 UTC");
}

static int nothing_said(const reader *r)
{
    wr_err_set(r->err, WEIR_EINVAL, "row %zu has neither \"label\" nor \"reward\"", r->row);
    return wr_err_hint(r->err, WEIR_EINVAL, "{\"id\": \"...\", \"label\": 1}");
}

/* ---- JSON ---- */

static int json_time(int64_t *out, const reader *r, yyjson_val *v)
{
    if (yyjson_is_int(v) && !(yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX) && yyjson_get_sint(v) > INT64_MIN) {
        *out = yyjson_get_sint(v);
        return check_time(r, *out);
    }
    wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
    if (!yyjson_is_str(v) || wr_time_parse(out, s, NULL) < 0) return bad_time(r);
    return check_time(r, *out);
}

static int json_value(reader *r, wr_feedback_item *item, yyjson_val *v, const char *key)
{
    item->text = (wr_str){NULL, 0};
    item->value = NAN;
    if (yyjson_is_bool(v)) item->value = yyjson_get_bool(v);
    else if (yyjson_is_num(v)) item->value = yyjson_get_num(v);
    else if (yyjson_is_str(v) && !item->reward) {
        wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
        WR_TRY(check_class(r, s));
        WR_TRY(keep_text(&item->text, r, s));
    }
    if (!item->text.p && !isfinite(item->value)) return bad_value(r, key);
    return add(r, item);
}

static int json_item(reader *r, yyjson_val *v)
{
    wr_feedback_item item = {.known_us = r->known_us};
    if (!yyjson_is_obj(v)) return wr_err_set(r->err, WEIR_ETYPE, "row %zu is not an object", r->row);
    yyjson_val *id = yyjson_obj_get(v, "id"), *label = yyjson_obj_get(v, "label"),
               *reward = yyjson_obj_get(v, "reward");
    yyjson_val *ts = yyjson_obj_get(v, "ts");
    if (!ts) ts = yyjson_obj_get(v, "known_at");
    wr_str text = yyjson_is_str(id) ? (wr_str){yyjson_get_str(id), yyjson_get_len(id)} : r->subject;
    if (id && !yyjson_is_str(id)) return wr_err_set(r->err, WEIR_ETYPE, "row %zu: \"id\" is not a string", r->row);
    if (!text.p) return wr_err_set(r->err, WEIR_EINVAL, "row %zu has no \"id\"", r->row);
    WR_TRY(check_id(r, text));
    WR_TRY(keep_text(&item.id, r, text));
    if (ts && !yyjson_is_null(ts)) WR_TRY(json_time(&item.known_us, r, ts));
    if (!label && !reward) return nothing_said(r);
    if (label) WR_TRY(json_value(r, &item, label, "label"));
    item.reward = true;
    return reward ? json_value(r, &item, reward, "reward") : 0;
}

static int json_items(reader *r, yyjson_val *v)
{
    yyjson_val *each, *inner = yyjson_obj_get(v, "feedback");
    size_t i, max;
    if (yyjson_is_arr(inner)) v = inner;
    if (!yyjson_is_arr(v)) {
        WR_TRY(json_item(r, v));
        r->row++;
        return 0;
    }
    yyjson_arr_foreach(v, i, max, each)
    {
        WR_TRY(json_item(r, each));
        r->row++;
    }
    return 0;
}

static int read_json(reader *r, wr_str body)
{
    WR_AUTOJSON wr_json j = {0};
    WR_TRY(wr_json_parse(&j, body, "request", r->err));
    return json_items(r, j.root);
}

static int read_lines(reader *r, wr_str body)
{
    while (body.p && body.n) {
        WR_AUTOJSON wr_json j = {0};
        wr_str line = wr_str_trim(wr_str_cut(&body, '\n'));
        if (!line.n) continue;
        int rc = wr_json_parse(&j, line, "line", r->err);
        if (rc < 0) return wr_err_wrap(r->err, rc, "row %zu", r->row);
        WR_TRY(json_item(r, j.root));
        r->row++;
    }
    return 0;
}

/* ---- CloudEvents ---- */

static int event_time(reader *r, wr_str s)
{
    r->known_us = r->now_us;
    if (!s.p) return 0;
    if (wr_time_parse(&r->known_us, s, NULL) < 0) return bad_time(r);
    return check_time(r, r->known_us);
}

static wr_str text_of(yyjson_val *v, const char *key)
{
    yyjson_val *s = yyjson_obj_get(v, key);
    return yyjson_is_str(s) ? (wr_str){yyjson_get_str(s), yyjson_get_len(s)} : (wr_str){NULL, 0};
}

static int read_event(reader *r, yyjson_val *v)
{
    wr_str version = text_of(v, "specversion");
    yyjson_val *data = yyjson_obj_get(v, "data");
    if (!version.p || !wr_str_starts(version, "1."))
        return wr_err_set(r->err, WEIR_EINVAL, "row %zu is not a CloudEvent of version 1.0", r->row);
    if (yyjson_obj_get(v, "data_base64"))
        return wr_err_set(r->err, WEIR_EUNSUPPORTED, "row %zu: \"data_base64\" is not read; \"data\" is", r->row);
    if (!data) return wr_err_set(r->err, WEIR_EINVAL, "row %zu: the event has no \"data\"", r->row);
    r->subject = text_of(v, "subject");
    WR_TRY(event_time(r, text_of(v, "time")));
    return json_items(r, data);
}

static int read_events(reader *r, wr_str body, bool batch)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *v;
    size_t i, max;
    WR_TRY(wr_json_parse(&j, body, "request", r->err));
    if (!batch) return read_event(r, j.root);
    if (!yyjson_is_arr(j.root)) return wr_err_set(r->err, WEIR_ETYPE, "a batch of events is a list");
    yyjson_arr_foreach(j.root, i, max, v) WR_TRY(read_event(r, v));
    return 0;
}

/* ---- CSV ---- */

typedef struct {
    wr_str text;
    bool quoted;
} field;

static int unquote(field *out, reader *r, wr_str *rest)
{
    char *to = wr_arena_alloc(r->arena, rest->n + 1);
    size_t n = 0, i = 1;
    if (!to) return wr_err_nomem(r->err);
    for (;; i++) {
        if (i >= rest->n) return wr_err_set(r->err, WEIR_EPARSE, "row %zu: a quote is not closed", r->row);
        if (rest->p[i] == '"' && !(i + 1 < rest->n && rest->p[i + 1] == '"')) break;
        if (rest->p[i] == '"') i++;
        to[n++] = rest->p[i];
    }
    *out = (field){{to, n}, true};
    *rest = wr_str_sub(*rest, i + 1, rest->n);
    if (rest->n && rest->p[0] != ',' && rest->p[0] != '\n' && rest->p[0] != '\r')
        return wr_err_set(r->err, WEIR_EPARSE, "row %zu: text behind a closing quote", r->row);
    return 0;
}

/* The fields of a line; those beyond `max` are passed over. */
static int read_row(field *out, size_t *n, size_t max, reader *r, wr_str *body)
{
    field f, none = {{"", 0}, false};
    for (size_t i = 0; i < max; i++) out[i] = none;
    for (*n = 0;; ++*n) {
        size_t end = 0;
        if (body->n && body->p[0] == '"') {
            WR_TRY(unquote(&f, r, body));
        } else {
            while (end < body->n && body->p[end] != ',' && body->p[end] != '\n') end++;
            f = (field){wr_str_trim(wr_str_sub(*body, 0, end)), false};
            *body = wr_str_sub(*body, end, body->n);
        }
        if (*n < max) out[*n] = f;
        if (body->n && body->p[0] == '\r') *body = wr_str_sub(*body, 1, body->n);
        bool more = body->n && body->p[0] == ',';
        if (body->n) *body = wr_str_sub(*body, 1, body->n);
        if (!more) break;
    }
    ++*n;
    return 0;
}

static int csv_value(reader *r, wr_feedback_item *item, const field *f, const char *key)
{
    item->text = (wr_str){NULL, 0};
    bool number = !f->quoted && wr_num_f64(&item->value, f->text, NULL) == 0;
    if (!number && !f->quoted && (wr_str_ieq(f->text, "true") || wr_str_ieq(f->text, "false"))) {
        item->value = wr_str_ieq(f->text, "true");
        number = true;
    }
    if (!number && item->reward) return bad_value(r, key);
    if (number && !isfinite(item->value)) return bad_value(r, key);
    if (!number) WR_TRY(check_class(r, f->text));
    if (!number) WR_TRY(keep_text(&item->text, r, f->text));
    return add(r, item);
}

typedef struct {
    int id, label, reward, ts;
} columns;

static int csv_item(reader *r, const field *f, const columns *c)
{
    wr_feedback_item item = {.known_us = r->known_us};
    bool label = c->label >= 0 && (f[c->label].text.n || f[c->label].quoted);
    bool reward = c->reward >= 0 && f[c->reward].text.n;
    WR_TRY(check_id(r, f[c->id].text));
    WR_TRY(keep_text(&item.id, r, f[c->id].text));
    if (c->ts >= 0 && f[c->ts].text.n) {
        if (wr_num_i64(&item.known_us, f[c->ts].text, NULL) < 0 &&
            wr_time_parse(&item.known_us, f[c->ts].text, NULL) < 0)
            return bad_time(r);
        WR_TRY(check_time(r, item.known_us));
    }
    if (!label && !reward) return nothing_said(r);
    if (label) WR_TRY(csv_value(r, &item, &f[c->label], "label"));
    item.reward = true;
    return reward ? csv_value(r, &item, &f[c->reward], "reward") : 0;
}

static int read_names(columns *c, const field *f, size_t n, reader *r)
{
    *c = (columns){-1, -1, -1, -1};
    for (size_t i = 0; i < n && i < CSV_COLUMNS; i++) {
        wr_str s = f[i].text;
        int *to = wr_str_is(s, "id")                               ? &c->id
                  : wr_str_is(s, "label")                          ? &c->label
                  : wr_str_is(s, "reward")                         ? &c->reward
                  : wr_str_is(s, "ts") || wr_str_is(s, "known_at") ? &c->ts
                                                                   : NULL;
        if (to && *to >= 0) return wr_err_set(r->err, WEIR_EINVAL, "column \"%.*s\" is there twice", WR_STR_FMT(s));
        if (to) *to = (int)i;
    }
    if (c->id >= 0 && (c->label >= 0 || c->reward >= 0)) return 0;
    wr_err_set(r->err, WEIR_EINVAL, "the first line names no column \"id\", or neither \"label\" nor \"reward\"");
    return wr_err_hint(r->err, WEIR_EINVAL, "id,label,ts");
}

static int read_csv(reader *r, wr_str body)
{
    field f[CSV_COLUMNS];
    size_t n;
    columns c;
    if (wr_str_starts(body, "\xef\xbb\xbf")) body = wr_str_sub(body, 3, body.n);
    WR_TRY(read_row(f, &n, CSV_COLUMNS, r, &body));
    WR_TRY(read_names(&c, f, n, r));
    while (body.n) {
        WR_TRY(read_row(f, &n, CSV_COLUMNS, r, &body));
        if (n == 1 && !f[0].text.n && !f[0].quoted) continue; /* an empty line */
        WR_TRY(csv_item(r, f, &c));
        r->row++;
    }
    return 0;
}

/* ---- which of them ---- */

static bool is_type(wr_str type, const char *name)
{
    wr_str rest = type;
    return wr_str_ieq(wr_str_trim(wr_str_cut(&rest, ';')), name);
}

static int read_body(reader *r, wr_str body, const wr_feedback_form *f)
{
    wr_str t = f->content_type;
    if (is_type(t, "application/cloudevents+json")) return read_events(r, body, false);
    if (is_type(t, "application/cloudevents-batch+json")) return read_events(r, body, true);
    if (f->ce_version.p) {
        if (!wr_str_starts(f->ce_version, "1."))
            return wr_err_set(r->err, WEIR_EINVAL, "only CloudEvents of version 1.0 are read");
        r->subject = f->ce_subject;
        WR_TRY(event_time(r, f->ce_time));
    }
    if (is_type(t, "text/csv")) return read_csv(r, body);
    if (is_type(t, "application/x-ndjson") || is_type(t, "application/jsonl") || is_type(t, "application/json-lines"))
        return read_lines(r, body);
    if (!t.n || is_type(t, "application/json") || is_type(t, "application/x-www-form-urlencoded") /* curl -d */)
        return read_json(r, body);
    wr_err_set(r->err, WEIR_EUNSUPPORTED, "feedback of type '%.*s' is not read", WR_STR_FMT(wr_str_fit(t, 100)));
    return wr_err_hint(r->err, WEIR_EUNSUPPORTED, "application/json, application/x-ndjson, text/csv, or a CloudEvent");
}

int wr_feedback_read(wr_feedback_item **out, size_t *n, wr_str body, const wr_feedback_form *f, wr_arena *a,
                     wr_err *err)
{
    reader r = {.arena = a, .known_us = f->now_us, .now_us = f->now_us, .err = err};
    WR_TRY(read_body(&r, body, f));
    *out = r.items;
    *n = r.n;
    return 0;
}
