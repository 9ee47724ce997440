/* SPDX-License-Identifier: Apache-2.0 */
/* trigger.c - from events to jobs. */
#include "flow/trigger.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/json.h"
#include "core/dataset.h"
#include "core/endpoint.h"
#include "flow/pipeline.h"

static const char jobs_consumer[] = "trigger-jobs";
enum { MAX_VALUE = 128, BATCH = 1000 };

/* ---- the section ---- */

typedef struct {
    wr_arena *a;
    wr_project *p;
    const wr_pipeline *pl;
    const wr_yaml *config;
} reader;

static int at_node(const wr_yaml *at, wr_err *err, const wr_err *why)
{
    wr_yaml_error(at, why->code, err, "%s", why->msg);
    return why->hint[0] ? wr_err_hint(err, why->code, "%s", why->hint) : why->code;
}

static int read_kind(wr_trigger *t, const reader *r, const wr_yaml *on, const wr_yaml *y, wr_err *err)
{
    static const char *const kinds[] = {"drift", "performance", "cron", "data:NAME"};
    wr_str text;
    if (wr_yaml_null(on)) {
        int rc = wr_yaml_error(y, WEIR_EINVAL, err, "a trigger needs \"on\"");
        return wr_err_hint(err, rc, "drift, performance or data:NAME");
    }
    WR_TRY(wr_yaml_str(&text, on, "on", err));
    t->kind = wr_str_is(text, "performance") ? WR_TRIGGER_PERFORMANCE : WR_TRIGGER_DRIFT;
    if (wr_str_is(text, "drift") || wr_str_is(text, "performance")) return 0;
    if (wr_str_is(text, "cron")) {
        int rc = wr_yaml_error(on, WEIR_EUNSUPPORTED, err, "triggers by the clock (cron) are not supported yet");
        return wr_err_hint(err, rc, "let the system's cron call weir run; it waits for its turn by itself");
    }
    if (wr_str_starts(text, "data:") && wr_name_ok(wr_str_sub(text, 5, text.n))) {
        t->kind = WR_TRIGGER_DATA;
        t->dataset = wr_arena_strdup(r->a, text.p + 5);
        return t->dataset ? 0 : wr_err_nomem(err);
    }
    int near = wr_str_nearest(text, kinds, 4),
        rc = wr_yaml_error(on, WEIR_EINVAL, err, "unknown kind of trigger \"%.60s\"", text.p);
    if (near >= 0) return wr_err_hint(err, rc, "did you mean \"%s\"?", kinds[near]);
    return wr_err_hint(err, rc, "drift, performance or data:NAME");
}

static int read_endpoint(wr_trigger *t, const reader *r, const wr_yaml *y, wr_err *err)
{
    const wr_yaml *at = wr_yaml_get(y, "endpoint");
    wr_endpoint e;
    wr_err why = {0};
    wr_str name;
    if (t->kind == WR_TRIGGER_DATA) {
        static const char *const none[] = {"endpoint", "metric", "above", "below"};
        for (size_t i = 0; i < 4; i++)
            if (wr_yaml_get(y, none[i]))
                return wr_yaml_error(wr_yaml_get(y, none[i]), WEIR_EINVAL, err, "a trigger on data has no \"%s\"",
                                     none[i]);
        return 0;
    }
    if (wr_yaml_null(at)) return wr_yaml_error(y, WEIR_EINVAL, err, "the trigger names no endpoint");
    WR_TRY(wr_yaml_str(&name, at, "endpoint", err));
    t->endpoint = name.p;
    int rc = wr_endpoint_find(&e, r->a, r->p, name.p, &why);
    return rc < 0 ? at_node(at, err, &why) : 0;
}

static int read_bounds(wr_trigger *t, const wr_yaml *y, wr_err *err)
{
    wr_str metric;
    WR_TRY(wr_yaml_get_str(&metric, y, "metric", t->kind == WR_TRIGGER_DRIFT ? "value" : "auc", err));
    WR_TRY(wr_yaml_get_f64(&t->above, y, "above", 0, err));
    WR_TRY(wr_yaml_get_f64(&t->below, y, "below", 0, err));
    WR_TRY(wr_yaml_get_duration_us(&t->cooldown_us, y, "cooldown", 0, err));
    t->metric = metric.p;
    t->has_above = wr_yaml_get(y, "above") != NULL;
    t->has_below = wr_yaml_get(y, "below") != NULL;
    if (t->cooldown_us < 0) return wr_yaml_error(wr_yaml_get(y, "cooldown"), WEIR_EINVAL, err, "cooldown is negative");
    if (t->kind == WR_TRIGGER_PERFORMANCE && !t->has_above && !t->has_below) {
        int rc = wr_yaml_error(y, WEIR_EINVAL, err, "a trigger on performance needs \"below\" or \"above\"");
        return wr_err_hint(err, rc, "for example metric: auc, below: 0.7");
    }
    return 0;
}

static int read_run(wr_trigger *t, const reader *r, const wr_yaml *y, wr_err *err)
{
    const wr_yaml *run = wr_yaml_get(y, "run");
    if (!run || run->kind != WR_YAML_SEQ || run->n == 0) {
        int rc = wr_yaml_error(run ? run : y, WEIR_EINVAL, err, "a trigger needs \"run\", a list of stages");
        return wr_err_hint(err, rc, "run: [retrain]");
    }
    t->run = wr_arena_calloc(r->a, run->n, sizeof *t->run);
    WR_AUTOFREE bool *marked = wr_calloc(r->pl->n + 1, sizeof *marked);
    if (!t->run || !marked) return wr_err_nomem(err);
    for (; t->nrun < run->n; t->nrun++) {
        wr_str name;
        wr_err why = {0};
        WR_TRY(wr_yaml_str(&name, run->items[t->nrun], "a stage's name", err));
        if (wr_pipeline_mark(r->pl, name.p, marked, &why) < 0) return at_node(run->items[t->nrun], err, &why);
        t->run[t->nrun] = name.p;
    }
    return 0;
}

/* Is there such a variable? Asked of the variables themselves, so that the answer is that of weir run -S. */
static int check_variable(const reader *r, const wr_yaml *key, wr_err *err)
{
    wr_vars v;
    wr_err why = {0};
    WR_TRY(wr_vars_init(&v, r->a, wr_project_root(r->p), err));
    WR_TRY(wr_vars_add(&v, wr_yaml_get(r->config, "vars"), err));
    const char *assignment = wr_arena_printf(r->a, "%s=x", key->text.p);
    if (!assignment) return wr_err_nomem(err);
    if (wr_vars_set(&v, assignment, &why) == 0) return 0;
    int rc = wr_yaml_error(key, WEIR_EINVAL, err, "there is no variable \"%.60s\" to set", key->text.p);
    return why.hint[0] ? wr_err_hint(err, rc, "%s", why.hint) : rc;
}

static int read_set(wr_trigger *t, const reader *r, const wr_yaml *set, wr_err *err)
{
    if (wr_yaml_null(set)) return 0;
    if (set->kind != WR_YAML_MAP)
        return wr_yaml_error(set, WEIR_ETYPE, err,
                             "set is a map of variable: member of the event, such as {until: window_end}");
    t->set = wr_arena_calloc(r->a, set->n + 1, sizeof *t->set);
    if (!t->set) return wr_err_nomem(err);
    for (; t->nset < set->n; t->nset++) {
        wr_str key;
        WR_TRY(wr_yaml_str(&key, set->items[t->nset], "a member of the event", err));
        WR_TRY(check_variable(r, set->keys[t->nset], err));
        t->set[t->nset] = (wr_trigger_set){set->keys[t->nset]->text.p, key.p};
    }
    return 0;
}

static int read_trigger(wr_trigger *t, const reader *r, const wr_yaml *y, size_t index, wr_err *err)
{
    static const char *const keys[] = {"on",    "name",     "endpoint", "metric", "above",
                                       "below", "cooldown", "run",      "set",    NULL};
    wr_str name;
    char place[24];
    if (y->kind != WR_YAML_MAP)
        return wr_yaml_error(y, WEIR_ETYPE, err, "a trigger is a map: {on: drift, endpoint: NAME, run: [...]}");
    if (wr_yaml_get(y, "cron") && !wr_yaml_get(y, "on")) {
        wr_trigger ignored;
        wr_yaml cron = *wr_yaml_get(y, "cron");
        cron.text = WR_STR("cron");
        return read_kind(&ignored, r, &cron, y, err);
    }
    WR_TRY(wr_yaml_known(y, "a trigger", keys, err));
    snprintf(place, sizeof place, "%zu", index);
    WR_TRY(wr_yaml_get_str(&name, y, "name", place, err));
    if (!wr_name_ok(name))
        return wr_yaml_error(wr_yaml_get(y, "name"), WEIR_EINVAL, err, "\"%.60s\" is not a name", name.p);
    t->name = wr_arena_strndup(r->a, name.p, name.n);
    if (!t->name) return wr_err_nomem(err);
    WR_TRY(read_kind(t, r, wr_yaml_get(y, "on"), y, err));
    WR_TRY(read_endpoint(t, r, y, err));
    WR_TRY(read_bounds(t, y, err));
    WR_TRY(read_run(t, r, y, err));
    return read_set(t, r, wr_yaml_get(y, "set"), err);
}

static int read_all(wr_trigger *out, size_t *n, const reader *r, const wr_yaml *list, wr_err *err)
{
    for (*n = 0; *n < list->n; ++*n) {
        WR_TRY(read_trigger(&out[*n], r, list->items[*n], *n, err));
        for (size_t i = 0; i < *n; i++)
            if (strcmp(out[i].name, out[*n].name) == 0)
                return wr_yaml_error(list->items[*n], WEIR_EINVAL, err, "there are two triggers \"%s\"", out[i].name);
    }
    return 0;
}

int wr_trigger_list(wr_trigger **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    reader r = {.a = a, .p = p};
    WR_AUTOPIPELINE wr_pipeline *pl = NULL;
    WR_TRY(wr_project_config(&r.config, p, err));
    const wr_yaml *list = wr_yaml_get(r.config, "triggers");
    *n = 0;
    *out = wr_arena_calloc(a, wr_yaml_null(list) ? 1 : list->n + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    if (wr_yaml_null(list)) return 0;
    if (list->kind != WR_YAML_SEQ) return wr_yaml_error(list, WEIR_ETYPE, err, "triggers is a list");
    WR_TRY(wr_pipeline_load(&pl, p, NULL, 0, err));
    r.pl = pl;
    return read_all(*out, n, &r, list, err);
}

/* ---- what an event says ---- */

static yyjson_val *member(yyjson_val *root, const char *key)
{
    static const char *const inside[] = {"performance", "all"};
    yyjson_val *v = yyjson_obj_get(root, key);
    for (size_t i = 0; !v && i < 2; i++) v = yyjson_obj_get(yyjson_obj_get(root, inside[i]), key);
    return v;
}

static bool beyond(const wr_trigger *t, yyjson_val *payload)
{
    if (!t->has_above && !t->has_below) return true;
    yyjson_val *v = member(payload, t->metric);
    double x = yyjson_is_num(v) ? yyjson_get_num(v) : NAN;
    return (t->has_above && x > t->above) || (t->has_below && x < t->below);
}

/* The window's end; an event without one counts from when it was written. */
static int64_t event_time(const wr_event *e, yyjson_val *payload)
{
    int64_t us;
    yyjson_val *exact = yyjson_obj_get(payload, "window_end_us"), *text = yyjson_obj_get(payload, "window_end");
    if (yyjson_is_int(exact)) return yyjson_get_sint(exact);
    if (yyjson_is_str(text) && wr_time_parse(&us, wr_str_of(yyjson_get_str(text)), NULL) == 0) return us;
    return e->time_us;
}

/* Text of a member that may stand in a command line. */
static bool value_text(char out[MAX_VALUE], yyjson_val *v)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:+@/-";
    char number[32];
    const char *text = yyjson_get_str(v);
    if (yyjson_is_int(v)) snprintf(number, sizeof number, "%lld", (long long)yyjson_get_sint(v));
    else if (yyjson_is_real(v)) wr_f64_text(number, yyjson_get_real(v));
    else if (!text) return false;
    if (!text) text = number;
    size_t n = strlen(text);
    if (n == 0 || n >= MAX_VALUE || strspn(text, safe) != n) return false;
    memcpy(out, text, n + 1);
    return true;
}

/* ---- firing ---- */

typedef struct {
    wr_arena *a;
    wr_project *p;
    const wr_trigger *t;
    const wr_event *e;
    yyjson_val *payload;
    int64_t at_us;
} shot;

static const char *consumer(wr_arena *a, const wr_trigger *t) { return wr_arena_printf(a, "trigger:%s", t->name); }

/* 1 = the cause has fired already or comes too soon after one that did. */
static int spent(const shot *s, wr_err *err)
{
    wr_event *list;
    size_t n;
    WR_TRY(wr_event_list(&list, &n, s->a, s->p, 0, "triggered", 0, err));
    for (size_t i = 0; i < n; i++) {
        WR_AUTOJSON wr_json j = {0};
        if (wr_json_parse(&j, wr_str_of(list[i].payload), "event", NULL) < 0) continue;
        const char *name = yyjson_get_str(yyjson_obj_get(j.root, "trigger"));
        if (!name || strcmp(name, s->t->name) != 0) continue;
        if (yyjson_get_sint(yyjson_obj_get(j.root, "event")) == s->e->id) return 1;
        int64_t last = yyjson_get_sint(yyjson_obj_get(j.root, "at_us")), next;
        if (__builtin_add_overflow(last, s->t->cooldown_us, &next)) next = INT64_MAX;
        if (s->at_us <= last || s->at_us < next) return 1;
    }
    return 0;
}

/* False when the event lacks what set: asks for. */
static bool put_set(wr_jsonw *w, const shot *s)
{
    char text[MAX_VALUE];
    wr_jsonw_key(w, "set");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < s->t->nset; i++) {
        yyjson_val *v = member(s->payload, s->t->set[i].key);
        if (!value_text(text, v)) {
            wr_warn("trigger \"%s\" passes over event %lld: \"%s\" is missing or cannot stand in a command", s->t->name,
                    (long long)s->e->id, s->t->set[i].key);
            return false;
        }
        wr_jsonw_cstr(w, wr_arena_printf(s->a, "%s=%s", s->t->set[i].var, text));
    }
    wr_jsonw_end(w);
    return true;
}

static int fire(const shot *s, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &text, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "trigger", s->t->name);
    wr_jsonw_ki64(&w, "event", s->e->id);
    wr_jsonw_ki64(&w, "at_us", s->at_us);
    wr_jsonw_key(&w, "run");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < s->t->nrun; i++) wr_jsonw_cstr(&w, s->t->run[i]);
    wr_jsonw_end(&w);
    if (!put_set(&w, s)) return 0;
    wr_jsonw_end(&w);
    if (text.failed || wr_arena_failed(s->a)) return wr_err_nomem(err);
    WR_TRY(wr_event_add(s->p, "triggered", s->e->subject, wr_buf_cstr(&text), NULL, err));
    return 1;
}

/* 1 = fired, 0 = not. Acknowledging is the caller's, after. */
static int consider(wr_arena *a, wr_project *p, const wr_trigger *t, const wr_event *e, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    int rc = wr_json_parse(&j, wr_str_of(e->payload), "event", NULL);
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    if (rc < 0 || !beyond(t, j.root)) return 0;
    shot s = {a, p, t, e, j.root, event_time(e, j.root)};
    rc = spent(&s, err);
    return rc < 0 ? rc : rc > 0 ? 0 : fire(&s, err);
}

static bool concerns(const wr_trigger *t, const wr_event *e)
{
    if (strncmp(e->subject, "endpoint:", 9) != 0 || strcmp(e->subject + 9, t->endpoint) != 0) return false;
    if (t->kind == WR_TRIGGER_DRIFT) return strcmp(e->kind, "drift") == 0;
    return strcmp(e->kind, "performance") == 0 || strcmp(e->kind, "window") == 0;
}

static int poll_events(wr_arena *a, wr_project *p, const wr_trigger *t, wr_err *err)
{
    const char *who = consumer(a, t);
    int64_t after;
    wr_event *list;
    size_t n;
    if (!who) return wr_err_nomem(err);
    WR_TRY(wr_event_acked(&after, p, who, err));
    WR_TRY(wr_event_list(&list, &n, a, p, after, t->kind == WR_TRIGGER_DRIFT ? "drift" : NULL, BATCH, err));
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (concerns(t, &list[i])) rc = consider(a, p, t, &list[i], err);
        if (rc >= 0) after = list[i].id;
    }
    if (n == 0 || rc < 0) return rc;
    WR_TRY(wr_event_ack(p, who, after, err));
    return rc;
}

/* The mark of a trigger on data is the version it has seen, plus one; what is there at first is not new. */
static int poll_data(wr_arena *a, wr_project *p, const wr_trigger *t, wr_err *err)
{
    char hash[WR_SHA256_HEX];
    const char *who = consumer(a, t), *subject = wr_arena_printf(a, "data:%s", t->dataset);
    int64_t version, seen;
    if (!who || !subject) return wr_err_nomem(err);
    WR_TRY(wr_event_acked(&seen, p, who, err));
    WR_TRY(wr_dataset_hash(hash, &version, p, t->dataset, err));
    if (version + 1 <= seen) return 0;
    const char *payload = wr_arena_printf(a, "{\"dataset\":\"%s\",\"version\":%lld,\"hash\":\"%s\"}", t->dataset,
                                          (long long)version, hash);
    if (!payload) return wr_err_nomem(err);
    wr_event e = {
        .id = version + 1, .time_us = wr_clock_wall_us(), .kind = "data", .subject = subject, .payload = payload};
    int rc = seen == 0 ? 0 : consider(a, p, t, &e, err);
    if (rc < 0) return rc;
    WR_TRY(wr_event_ack(p, who, version + 1, err));
    return rc;
}

/* ---- jobs ---- */

static const char **texts(size_t *n, wr_arena *a, yyjson_val *list)
{
    *n = yyjson_arr_size(list);
    const char **out = wr_arena_calloc(a, *n + 1, sizeof *out);
    for (size_t i = 0; out && i < *n; i++) {
        const char *s = yyjson_get_str(yyjson_arr_get(list, i));
        out[i] = wr_arena_strdup(a, s ? s : "");
    }
    return out;
}

static int pending(wr_trigger_job *out, wr_arena *a, wr_project *p, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    int64_t after;
    wr_event *list;
    size_t n;
    WR_TRY(wr_event_acked(&after, p, jobs_consumer, err));
    WR_TRY(wr_event_list(&list, &n, a, p, after, "triggered", 1, err));
    if (n == 0) return 0;
    if (wr_json_parse(&j, wr_str_of(list[0].payload), "event", NULL) < 0)
        return wr_event_ack(p, jobs_consumer, list[0].id, err);
    const char *name = yyjson_get_str(yyjson_obj_get(j.root, "trigger"));
    *out =
        (wr_trigger_job){.id = list[0].id, .trigger = wr_arena_strdup(a, name ? name : ""), .cause = list[0].subject};
    out->run = texts(&out->nrun, a, yyjson_obj_get(j.root, "run"));
    out->set = texts(&out->nset, a, yyjson_obj_get(j.root, "set"));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 1;
}

int wr_trigger_next(wr_trigger_job *out, wr_arena *a, wr_project *p, const wr_trigger *triggers, size_t n, wr_err *err)
{
    int rc = pending(out, a, p, err);
    if (rc != 0) return rc;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = triggers[i].kind == WR_TRIGGER_DATA ? poll_data(a, p, &triggers[i], err)
                                                 : poll_events(a, p, &triggers[i], err);
    return rc > 0 ? pending(out, a, p, err) : rc;
}

int wr_trigger_done(wr_project *p, const wr_trigger_job *job, wr_err *err)
{
    return wr_event_ack(p, jobs_consumer, job->id, err);
}
