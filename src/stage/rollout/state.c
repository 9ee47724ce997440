/* SPDX-License-Identifier: Apache-2.0 */
/* state.c - a rollout as JSON: to be kept over a restart, and to be shown. */
#include <math.h>

#include "base/clock.h"
#include "core/rollout.h"
#include "stage/rollout/rollout_inside.h"

/* ---- kept ---- */

/* Counts that are not 0: [bin, count, bin, count, ...]. */
static void put_bins(wr_jsonw *w, const char *key, const uint64_t *count, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        if (!count[i]) continue;
        wr_jsonw_i64(w, (int64_t)i);
        wr_jsonw_u64(w, count[i]);
    }
    wr_jsonw_end(w);
}

static void put_numbers(wr_jsonw *w, const char *key, const double *v, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_f64(w, v[i]);
    wr_jsonw_end(w);
}

static void put_moments(wr_jsonw *w, const char *key, const wr_moments *m)
{
    double v[] = {m->n, m->mean, m->m2};
    put_numbers(w, key, v, 3);
}

enum { VALUE_SUMS = 6, COUNTS = 6 };

static void put_arm(wr_jsonw *w, wr_rollout *r, size_t i)
{
    static _Thread_local uint64_t pairs[WR_VALUE_BINS];
    wr_rollout_arm_run *a = &r->arms[i];
    const wr_arm_totals *t = &a->now;
    double counts[COUNTS] = {t->requests, t->errors, t->rows, t->agree, t->pairs, t->dropped};
    double value[VALUE_SUMS] = {t->value.n, t->value.w, t->value.w2, t->value.wr, t->value.w2r, t->value.w2r2};
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", r->spec.arms[i].name);
    wr_jsonw_kbool(w, "out", r->out[i]);
    wr_jsonw_ki64(w, "failed", a->failed);
    put_numbers(w, "counts", counts, COUNTS);
    wr_jsonw_kf64(w, "busy_s", t->busy_s);
    wr_jsonw_kf64(w, "joules", t->joules);
    wr_jsonw_kf64(w, "most_apart", t->most_apart);
    put_moments(w, "reward", &t->reward);
    wr_jsonw_ki64(w, "rewards_us", t->rewards_us);
    put_moments(w, "joule_ratio", &t->joule_ratio);
    put_numbers(w, "value", value, VALUE_SUMS);
    put_moments(w, "ips", &t->value.ips);
    put_bins(w, "latency", t->latency, WR_DURATION_BINS);
    put_bins(w, "score", t->score, WR_VALUE_BINS);
    for (size_t k = 0; k < WR_VALUE_BINS; k++) pairs[k] = atomic_load_explicit(&a->pair_score[k], memory_order_relaxed);
    put_bins(w, "pair_score", pairs, WR_VALUE_BINS);
    wr_jsonw_key(w, "looks");
    wr_jsonw_arr(w);
    for (int k = 0; k < WR_GUARDS; k++) {
        wr_jsonw_u64(w, a->looks[k].looks);
        wr_jsonw_f64(w, a->looks[k].seen);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void put_state(wr_jsonw *w, wr_rollout *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "phase", wr_phase_names[r->phase]);
    wr_jsonw_kf64(w, "weight", r->weight);
    wr_jsonw_ki64(w, "step", r->step);
    wr_jsonw_ki64(w, "started_us", r->started_us);
    wr_jsonw_ki64(w, "promoted", (int64_t)r->promoted);
    wr_jsonw_ki64(w, "promoted_version", r->promoted_version);
    wr_jsonw_kstr(w, "why", r->why);
    wr_jsonw_key(w, "arms");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->spec.narms; i++) put_arm(w, r, i);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

int wr_rollout_save(wr_serve *s, wr_rollout *r, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    put_state(&w, r);
    if (b.failed) return wr_err_nomem(err);
    wr_rollout_record rec = {
        .spec = wr_str_of(r->spec_json), .state = wr_buf_view(&b), .declared = wr_str_of(r->declared)};
    WR_TRY(wr_rollout_record_put(s->project, r->endpoint->name, &rec, err));
    r->dirty = false;
    r->saved_ns = wr_clock_mono_ns();
    r->saved_requests = r->arms[0].now.requests + r->arms[1].now.requests;
    return 0;
}

/* ---- restored: what is damaged or of another shape counts as not there ---- */

static void get_bins(atomic_uint_fast64_t *count, size_t n, yyjson_val *list)
{
    size_t i, max;
    yyjson_val *v;
    uint64_t bin = 0;
    yyjson_arr_foreach(list, i, max, v)
    {
        if (i % 2 == 0) bin = yyjson_get_uint(v);
        else if (bin < n) atomic_store(&count[bin], yyjson_get_uint(v));
    }
}

static size_t get_numbers(double *out, size_t n, yyjson_val *list)
{
    size_t i, max;
    yyjson_val *v;
    memset(out, 0, n * sizeof *out);
    yyjson_arr_foreach(list, i, max, v) if (i < n && isfinite(yyjson_get_num(v))) out[i] = yyjson_get_num(v);
    return yyjson_arr_size(list);
}

static wr_moments get_moments(yyjson_val *v)
{
    double m[3];
    return get_numbers(m, 3, v) == 3 && m[0] >= 0 && m[2] >= 0 ? (wr_moments){m[0], m[1], m[2]} : (wr_moments){0, 0, 0};
}

static void set(atomic_uint_fast64_t *to, double v) { atomic_store(to, v > 0 && v < 9e15 ? (uint64_t)v : 0); }

static void restore_arm(wr_rollout *r, size_t i, yyjson_val *v)
{
    wr_rollout_arm_run *a = &r->arms[i];
    double c[COUNTS], value[VALUE_SUMS], looks[2 * WR_GUARDS];
    (void)get_numbers(c, COUNTS, yyjson_obj_get(v, "counts"));
    (void)get_numbers(value, VALUE_SUMS, yyjson_obj_get(v, "value"));
    (void)get_numbers(looks, 2 * WR_GUARDS, yyjson_obj_get(v, "looks"));
    set(&a->requests, c[0]);
    set(&a->errors, c[1] < c[0] ? c[1] : c[0]);
    set(&a->rows, c[2]);
    set(&a->agree, c[3]);
    set(&a->pairs, c[4]);
    set(&a->dropped, c[5]);
    set(&a->busy_ns, yyjson_get_num(yyjson_obj_get(v, "busy_s")) * 1e9);
    a->busy_then_s = (double)atomic_load(&a->busy_ns) / 1e9;
    a->rows_then = c[2];
    a->joules = yyjson_get_num(yyjson_obj_get(v, "joules"));
    a->most_apart = yyjson_get_num(yyjson_obj_get(v, "most_apart"));
    a->reward = get_moments(yyjson_obj_get(v, "reward"));
    a->joule_ratio = get_moments(yyjson_obj_get(v, "joule_ratio"));
    a->value = (wr_offpolicy){.n = value[0],
                              .w = value[1],
                              .w2 = value[2],
                              .wr = value[3],
                              .w2r = value[4],
                              .w2r2 = value[5],
                              .ips = get_moments(yyjson_obj_get(v, "ips"))};
    get_bins(a->latency, WR_DURATION_BINS, yyjson_obj_get(v, "latency"));
    get_bins(a->score, WR_VALUE_BINS, yyjson_obj_get(v, "score"));
    get_bins(a->pair_score, WR_VALUE_BINS, yyjson_obj_get(v, "pair_score"));
    for (int k = 0; k < WR_GUARDS; k++)
        a->looks[k] = (wr_look){looks[2 * k] > 0 ? (uint64_t)looks[2 * k] : 0, looks[2 * k + 1]};
    a->failed = yyjson_get_sint(yyjson_obj_get(v, "failed"));
    r->out[i] = i && yyjson_get_bool(yyjson_obj_get(v, "out"));
    wr_rollout_totals(&a->now, r, i);
    a->then = a->now;
    yyjson_val *read = yyjson_obj_get(v, "rewards_us"); /* older states do not say: then nothing is told them again */
    a->rewards_us = read ? yyjson_get_sint(read) : INT64_MAX;
}

static wr_rollout_phase phase_of(yyjson_val *v)
{
    const char *name = yyjson_get_str(v);
    for (int k = 0; name && k < WR_PHASES; k++)
        if (strcmp(name, wr_phase_names[k]) == 0) return (wr_rollout_phase)k;
    return WR_PHASE_RUNNING;
}

void wr_rollout_restore(wr_rollout *r, wr_str state)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *v;
    size_t i, max;
    if (!state.n || wr_json_parse(&j, state, "state", NULL) < 0) return;
    double weight = yyjson_get_num(yyjson_obj_get(j.root, "weight"));
    r->phase = phase_of(yyjson_obj_get(j.root, "phase"));
    if (weight > 0 && weight <= r->spec.max_weight) r->weight = weight;
    r->step = yyjson_get_sint(yyjson_obj_get(j.root, "step"));
    if (yyjson_get_sint(yyjson_obj_get(j.root, "started_us")) > 0)
        r->started_us = yyjson_get_sint(yyjson_obj_get(j.root, "started_us"));
    r->promoted = (size_t)yyjson_get_uint(yyjson_obj_get(j.root, "promoted"));
    if (r->promoted >= r->spec.narms) r->promoted = 0;
    r->promoted_version = yyjson_get_sint(yyjson_obj_get(j.root, "promoted_version"));
    const char *why = yyjson_get_str(yyjson_obj_get(j.root, "why"));
    snprintf(r->why, sizeof r->why, "%s", why ? why : "");
    yyjson_arr_foreach(yyjson_obj_get(j.root, "arms"), i, max, v) if (i < r->spec.narms) restore_arm(r, i, v);
}

/* ---- shown ---- */

static void put_model(wr_jsonw *w, wr_rollout *r, size_t i)
{
    wr_serve_endpoint *m = r->arms[i].model ? r->arms[i].model : r->endpoint;
    char model[256], error[320];
    pthread_mutex_lock(&m->lock);
    bool ready = m->now || m->plain;
    int64_t version = m->now ? m->now->version : m->plain_version;
    snprintf(model, sizeof model, "%s", m->now ? m->now->model : m->plain ? m->plain_model : "");
    snprintf(error, sizeof error, "%s", m->error);
    pthread_mutex_unlock(&m->lock);
    wr_jsonw_kstr(w, "reference", m->reference);
    wr_jsonw_kbool(w, "ready", ready);
    if (ready) wr_jsonw_kstr(w, "model", model);
    if (ready) wr_jsonw_ki64(w, "version", version);
    if (error[0]) wr_jsonw_kstr(w, "error", error);
}

static void put_interval(wr_jsonw *w, const char *key, wr_interval v)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kf64(w, "at", v.at);
    wr_jsonw_kf64(w, "lo", v.lo);
    wr_jsonw_kf64(w, "hi", v.hi);
    wr_jsonw_end(w);
}

static void put_guards(wr_jsonw *w, wr_rollout *r, size_t i)
{
    wr_jsonw_key(w, "guardrails");
    wr_jsonw_arr(w);
    for (int k = 0; i && k < WR_GUARDS; k++) {
        const wr_verdict *v = &r->arms[i].verdicts[k];
        if (!r->spec.guards[k].on) continue;
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", wr_guard_names[k]);
        wr_jsonw_kstr(w, "verdict", wr_verdict_names[v->kind ? v->kind : WR_VERDICT_WAITS]);
        wr_jsonw_kf64(w, "primary", v->kind ? v->primary : NAN);
        wr_jsonw_kf64(w, "arm", v->kind ? v->arm : NAN);
        wr_jsonw_kstr(w, "why", v->why);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_shadow(wr_jsonw *w, const wr_arm_totals *t)
{
    wr_jsonw_key(w, "shadow");
    wr_jsonw_obj(w);
    wr_jsonw_kf64(w, "pairs", t->pairs);
    wr_jsonw_kf64(w, "agree", t->pairs > 0 ? t->agree / t->pairs : NAN);
    wr_jsonw_kf64(w, "most_apart", t->most_apart);
    wr_jsonw_kf64(w, "dropped", t->dropped);
    wr_jsonw_end(w);
}

static void show_arm(wr_jsonw *w, wr_rollout *r, size_t i, double share, bool out)
{
    wr_arm_totals *t = &r->arms[i].now;
    wr_rollout_totals(t, r, i);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", r->spec.arms[i].name);
    put_model(w, r, i);
    wr_jsonw_kf64(w, "share", share);
    wr_jsonw_kbool(w, "out", out);
    wr_jsonw_ki64(w, "failed_checks", r->arms[i].failed);
    wr_jsonw_kf64(w, "requests", t->requests);
    wr_jsonw_kf64(w, "errors", t->errors);
    wr_jsonw_kf64(w, "predictions", t->rows);
    wr_jsonw_kf64(w, "not_ready", (double)atomic_load(&r->arms[i].unready));
    wr_jsonw_kf64(w, "p50_ms", wr_arm_p(t, 0.5) * 1000);
    wr_jsonw_kf64(w, "p99_ms", wr_arm_p(t, 0.99) * 1000);
    wr_jsonw_kf64(w, "joules_1000", wr_arm_joules_1000(t));
    wr_jsonw_kf64(w, "rewards", t->reward.n);
    wr_jsonw_kf64(w, "reward", t->reward.n > 0 ? t->reward.mean : NAN);
    if (t->value.w > 0) put_interval(w, "value", wr_offpolicy_of(&t->value, 1 - r->spec.confidence).snips);
    if (i && r->spec.mode == WR_ROLLOUT_SHADOW) put_shadow(w, t);
    put_guards(w, r, i);
    wr_jsonw_end(w);
}

static void show(wr_jsonw *w, wr_rollout *r)
{
    wr_route route;
    bool out[WR_ROLLOUT_ARMS];
    wr_moments reward[WR_ROLLOUT_ARMS];
    char time[WR_TIME_TEXT];
    pthread_mutex_lock(&r->lock);
    route = r->route;
    memcpy(out, r->out, sizeof out);
    for (size_t i = 0; i < r->spec.narms; i++) reward[i] = r->arms[i].reward;
    pthread_mutex_unlock(&r->lock);
    wr_time_format(time, r->started_us);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "endpoint", r->endpoint->name);
    wr_jsonw_kstr(w, "mode", wr_rollout_mode_names[r->spec.mode]);
    wr_jsonw_kstr(w, "phase", wr_phase_names[r->phase]);
    wr_jsonw_kstr(w, "why", r->why);
    wr_jsonw_kstr(w, "started", time);
    wr_jsonw_ki64(w, "step", r->step);
    if (r->spec.mode == WR_ROLLOUT_BANDIT) wr_jsonw_kf64(w, "regret", wr_bandit_regret(reward, r->spec.narms));
    wr_jsonw_key(w, "arms");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->spec.narms; i++) show_arm(w, r, i, route.share[i], out[i]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "rollout");
    wr_jsonw_raw(w, wr_str_of(r->spec_json));
    wr_jsonw_end(w);
}

bool wr_rollout_look_at(wr_rollout_look *out, wr_serve *s, size_t i, size_t arm)
{
    wr_rollout *r = wr_rollout_hold(&s->endpoints[i]);
    bool there = r && arm < r->spec.narms;
    if (there) {
        wr_rollout_arm_run *a = &r->arms[arm];
        *out = (wr_rollout_look){.requests = atomic_load(&a->requests),
                                 .errors = atomic_load(&a->errors),
                                 .dropped = atomic_load(&a->dropped)};
        snprintf(out->name, sizeof out->name, "%s", r->spec.arms[arm].name);
        pthread_mutex_lock(&r->lock);
        out->share = r->route.share[arm];
        out->out = r->out[arm];
        pthread_mutex_unlock(&r->lock);
    }
    wr_rollout_drop(r);
    return there;
}

int wr_rollout_status(wr_buf *out, wr_serve *s, wr_str endpoint, wr_err *err)
{
    wr_jsonw w;
    wr_serve_endpoint *e = wr_serve_endpoint_named(s, endpoint);
    if (!e) return wr_serve_no_endpoint(s, endpoint, err);
    wr_rollout *r = wr_rollout_hold(e);
    if (!r) {
        wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has no rollout", e->name);
        return wr_err_hint(err, WEIR_ENOTFOUND, "weir deploy rollout %s --to MODEL@VERSION begins one", e->name);
    }
    wr_jsonw_init(&w, out, 0);
    pthread_mutex_lock(&r->judge);
    show(&w, r);
    pthread_mutex_unlock(&r->judge);
    wr_rollout_drop(r);
    return out->failed ? wr_err_nomem(err) : 0;
}
