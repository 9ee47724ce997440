/* SPDX-License-Identifier: Apache-2.0 */
/* tick.c - each second: energy to arms, verdicts, steps, the end. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/event.h"
#include "core/model.h"
#include "stage/rollout/rollout_inside.h"

static const int64_t SAVE_NS = (int64_t)5 * 1000000000;
enum { ENERGY_ROWS = 20 /* of a second, below which its ratio is noise */ };

/* ---- totals ---- */

static double get(const atomic_uint_fast64_t *v) { return (double)atomic_load_explicit(v, memory_order_relaxed); }

static void copy(uint64_t *to, const atomic_uint_fast64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
}

void wr_rollout_totals(wr_arm_totals *out, wr_rollout *r, size_t i)
{
    wr_rollout_arm_run *a = &r->arms[i];
    out->errors = get(&a->errors); /* before the requests they are part of, so that there are never more of them */
    out->requests = get(&a->requests);
    out->rows = get(&a->rows);
    out->busy_s = get(&a->busy_ns) / 1e9;
    out->joules = a->joules;
    out->joule_ratio = a->joule_ratio;
    out->agree = get(&a->agree);
    out->pairs = get(&a->pairs);
    out->dropped = get(&a->dropped);
    copy(out->latency, a->latency, WR_DURATION_BINS);
    copy(out->score, a->score, WR_VALUE_BINS);
    out->rewards_us = wr_clock_wall_us();
    pthread_mutex_lock(&r->lock);
    out->reward = a->reward;
    out->value = a->value;
    out->most_apart = a->most_apart;
    pthread_mutex_unlock(&r->lock);
}

/* ---- events ---- */

static void put_verdicts(wr_jsonw *w, const wr_rollout_arm_run *a)
{
    wr_jsonw_key(w, "evidence");
    wr_jsonw_obj(w);
    for (int k = 0; k < WR_GUARDS; k++) {
        const wr_verdict *v = &a->verdicts[k];
        if (v->kind != WR_VERDICT_CERTAIN && v->kind != WR_VERDICT_FAILED) continue;
        wr_jsonw_kstr(w, wr_guard_names[k], v->why);
    }
    wr_jsonw_end(w);
}

void wr_rollout_event(wr_serve *s, const wr_rollout *r, const char *kind, size_t arm, const char *why)
{
    WR_AUTOBUF wr_buf b = {0};
    char subject[300];
    wr_err err;
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "mode", wr_rollout_mode_names[r->spec.mode]);
    wr_jsonw_kstr(&w, "phase", wr_phase_names[r->phase]);
    if (arm) {
        wr_jsonw_kstr(&w, "arm", r->spec.arms[arm].name);
        wr_jsonw_kstr(&w, "model", r->arms[arm].model->reference);
        wr_jsonw_kf64(&w, "requests", r->arms[arm].now.requests);
        wr_jsonw_kf64(&w, "errors", r->arms[arm].now.errors);
        put_verdicts(&w, &r->arms[arm]);
    }
    if (why) wr_jsonw_kstr(&w, "why", why);
    wr_jsonw_end(&w);
    snprintf(subject, sizeof subject, "endpoint:%s", r->endpoint->name);
    if (b.failed || wr_event_add(s->project, kind, subject, wr_buf_cstr(&b), NULL, &err) < 0)
        wr_warn("event \"%s\" of %s was lost", kind, subject);
}

/* ---- ends ---- */

void wr_rollout_arm_out(wr_serve *s, wr_rollout *r, size_t arm, const char *why)
{
    bool all = true;
    pthread_mutex_lock(&r->lock);
    r->out[arm] = true;
    for (size_t i = 1; i < r->spec.narms; i++) all &= r->out[i];
    pthread_mutex_unlock(&r->lock);
    if (all) r->phase = WR_PHASE_ROLLED_BACK;
    wr_rollout_table(r); /* from here on no request goes there */
    snprintf(r->why, sizeof r->why, "%s: %s", r->spec.arms[arm].name, why);
    r->dirty = true;
    wr_warn("endpoint \"%s\": arm \"%s\" is rolled back: %s", r->endpoint->name, r->spec.arms[arm].name, why);
    wr_rollout_event(s, r, "rollback", arm, why);
}

/* Name and version of the model that an arm has now; false: of none that is registered. */
static bool registered(char *name, size_t size, int64_t *version, wr_serve_endpoint *m)
{
    pthread_mutex_lock(&m->lock);
    *version = m->now ? m->now->version : m->plain ? m->plain_version : 0;
    snprintf(name, size, "%s", m->now ? m->now->model : m->plain ? m->plain_model : "");
    pthread_mutex_unlock(&m->lock);
    return name[0] && *version > 0 && !m->path;
}

/* The alias that the primary's reference names, of the model that the arm is a version of; NULL: there is none to move.
 */
static const char *alias_to_move(const wr_rollout *r, const char *model)
{
    wr_str rest = wr_str_of(r->endpoint->reference), name = wr_str_cut(&rest, '@');
    if (r->endpoint->path || !rest.n || !wr_str_is(name, model)) return NULL;
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] < '0' || rest.p[i] > '9') return rest.p;
    return NULL;
}

int wr_rollout_promote_arm(wr_serve *s, wr_rollout *r, size_t arm, wr_err *err)
{
    char model[256];
    int64_t version;
    bool known = registered(model, sizeof model, &version, r->arms[arm].model);
    const char *alias = known && r->spec.promote ? alias_to_move(r, model) : NULL;
    if (alias) WR_TRY(wr_model_alias(s->project, model, alias, version, err));
    r->promoted = arm;
    r->promoted_version = alias ? version : 0;
    r->phase = alias ? WR_PHASE_PROMOTING : WR_PHASE_PROMOTED;
    snprintf(r->why, sizeof r->why, alias ? "%s is version %lld, where %s@%s is now" : "%s answers all requests",
             r->spec.arms[arm].name, (long long)version, model, alias ? alias : "");
    wr_rollout_table(r);
    r->dirty = true;
    wr_rollout_event(s, r, "promoted", arm, r->why);
    return wr_rollout_save(s, r, err);
}

/* The endpoint has taken the version up: its own model is what the arm was. */
static void finish_promotion(wr_rollout *r)
{
    char model[256];
    int64_t version;
    if (!registered(model, sizeof model, &version, r->endpoint) || version != r->promoted_version) return;
    r->phase = WR_PHASE_PROMOTED;
    wr_rollout_table(r);
    r->dirty = true;
}

/* ---- energy ---- */

static void share_energy(wr_rollout *r, double active_j, double cpu_s)
{
    double primary = NAN;
    for (size_t i = 0; i < r->spec.narms; i++) {
        wr_rollout_arm_run *a = &r->arms[i];
        double busy = get(&a->busy_ns) / 1e9, rows = get(&a->rows), used = busy - a->busy_then_s,
               made = rows - a->rows_then;
        a->busy_then_s = busy;
        a->rows_then = rows;
        double share = cpu_s > 0 ? used / cpu_s : 0, j = active_j * (share < 1 ? share : 1);
        a->joules += j;
        double each = made >= ENERGY_ROWS && j > 0 ? j / made : NAN;
        if (i == 0) primary = each;
        else if (!isnan(each / primary)) wr_moments_add(&a->joule_ratio, log(each / primary));
    }
}

/* ---- judging ---- */

static wr_guard_case case_of(wr_rollout *r, size_t arm, uint64_t *pairs)
{
    bool shadow = r->spec.mode == WR_ROLLOUT_SHADOW;
    if (shadow) copy(pairs, r->arms[arm].pair_score, WR_VALUE_BINS);
    return (wr_guard_case){.spec = &r->spec,
                           .primary = &r->arms[0].now,
                           .arm = &r->arms[arm].now,
                           .primary_then = &r->arms[0].then,
                           .arm_then = &r->arms[arm].then,
                           .baseline = shadow ? pairs : r->arms[0].now.score,
                           .shadow = shadow};
}

static void why_certain(char *out, size_t n, const wr_rollout_arm_run *a)
{
    for (int k = 0; k < WR_GUARDS; k++)
        if (a->verdicts[k].kind == WR_VERDICT_CERTAIN) {
            snprintf(out, n, "%s: %s", wr_guard_names[k], a->verdicts[k].why);
            return;
        }
}

static void watch(wr_serve *s, wr_rollout *r)
{
    static _Thread_local uint64_t pairs[WR_VALUE_BINS];
    char why[300] = "";
    bool early = wr_clock_wall_us() - r->started_us < r->spec.min_time_us;
    for (size_t i = 1; i < r->spec.narms; i++) {
        wr_guard_case c = case_of(r, i, pairs);
        if (r->out[i]) continue;
        if (!wr_guards_watch(r->arms[i].verdicts, r->arms[i].looks, &c) || early) continue;
        why_certain(why, sizeof why, &r->arms[i]);
        wr_rollout_arm_out(s, r, i, why);
    }
}

static void begin_interval(wr_rollout *r)
{
    r->interval_ns = wr_clock_mono_ns();
    for (size_t i = 0; i < r->spec.narms; i++) r->arms[i].then = r->arms[i].now;
}

static void hold(wr_serve *s, wr_rollout *r, const wr_err *why)
{
    bool said = r->phase == WR_PHASE_HELD;
    r->phase = WR_PHASE_HELD;
    snprintf(r->why, sizeof r->why, "%.250s", why->msg);
    r->dirty = true;
    if (!said) wr_rollout_event(s, r, "gate", 1, r->why);
}

static void step(wr_serve *s, wr_rollout *r)
{
    wr_err err = {0};
    if (r->weight < r->spec.max_weight - 1e-9) {
        r->weight += r->spec.step_weight;
        if (r->weight > r->spec.max_weight) r->weight = r->spec.max_weight;
        r->step++;
        wr_rollout_table(r);
        r->dirty = true;
        wr_rollout_event(s, r, "step", 1, NULL);
    } else if (wr_rollout_promote_arm(s, r, 1, &err) < 0) {
        hold(s, r, &err);
    }
}

/* The interval's end: its own values. Without enough answers it goes on. */
static void check(wr_serve *s, wr_rollout *r)
{
    static _Thread_local uint64_t pairs[WR_VALUE_BINS];
    char why[300];
    int worst = -1;
    if (wr_clock_mono_ns() - r->interval_ns < r->spec.interval_us * 1000) return;
    for (size_t i = 1; i < r->spec.narms; i++) {
        wr_guard_case c = case_of(r, i, pairs);
        if (r->out[i]) continue;
        int failed = wr_guards_check(r->arms[i].verdicts, &c);
        if (failed > worst) worst = failed;
        if (failed <= 0) continue;
        r->dirty = true;
        if (++r->arms[i].failed < r->spec.threshold) continue;
        snprintf(why, sizeof why, "%lld failed checks", (long long)r->arms[i].failed);
        wr_rollout_arm_out(s, r, i, why);
    }
    if (worst < 0) return;
    begin_interval(r);
    if (worst == 0 && r->spec.steps && r->phase == WR_PHASE_RUNNING && !r->out[1]) step(s, r);
}

static void judge(wr_serve *s, wr_rollout *r)
{
    for (size_t i = 0; i < r->spec.narms; i++) wr_rollout_totals(&r->arms[i].now, r, i);
    if (r->phase == WR_PHASE_PROMOTING) finish_promotion(r);
    if (r->phase != WR_PHASE_RUNNING && r->phase != WR_PHASE_HELD) return;
    watch(s, r);
    if (wr_rollout_on(r)) check(s, r);
    if (r->spec.mode == WR_ROLLOUT_BANDIT && wr_rollout_on(r)) wr_rollout_table(r);
}

static void save_if_due(wr_serve *s, wr_rollout *r)
{
    wr_err err;
    int64_t now = wr_clock_mono_ns();
    bool moved = r->saved_requests != r->arms[0].now.requests + r->arms[1].now.requests;
    if (!r->dirty && !(moved && now - r->saved_ns > SAVE_NS)) return;
    if (wr_rollout_save(s, r, &err) < 0)
        wr_warn("rollout of endpoint \"%s\" is not kept: %s", r->endpoint->name, err.msg);
}

void wr_rollout_tick(wr_serve *s)
{
    wr_energy e = {0};
    double cpu_s = 0;
    bool any = false;
    for (size_t i = 0; i < s->nendpoints; i++) {
        wr_rollout *r = wr_rollout_hold(&s->endpoints[i]);
        if (!r) continue;
        if (!any) wr_serve_energy_since(&e, &cpu_s, s);
        any = true;
        pthread_mutex_lock(&r->judge);
        share_energy(r, e.active_j, cpu_s);
        judge(s, r);
        save_if_due(s, r);
        pthread_mutex_unlock(&r->judge);
        wr_rollout_drop(r);
    }
}
