/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - rollouts begin, load their arms, and go. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "stage/rollout/rollout_inside.h"

const char *const wr_phase_names[] = {"running", "held", "promoting", "promoted", "rolled_back"};

/* ---- life ---- */

static void destroy(wr_rollout *r)
{
    if (!r) return;
    for (size_t i = 0; r->arms && i < r->spec.narms; i++)
        if (r->arms[i].model) pthread_mutex_destroy(&r->arms[i].model->lock);
    wr_free(r->arms);
    wr_reward_map_free(r->rewards);
    pthread_mutex_destroy(&r->judge);
    pthread_mutex_destroy(&r->lock);
    wr_arena_free(r->arena);
    wr_free(r);
}

wr_rollout *wr_rollout_hold(wr_serve_endpoint *e)
{
    if (!e) return NULL;
    pthread_mutex_lock(&e->lock);
    wr_rollout *r = e->rollout;
    if (r) atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&e->lock);
    return r;
}

void wr_rollout_drop(wr_rollout *r)
{
    if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) destroy(r);
}

/* A model beside the endpoint's: an endpoint of its own that nobody asks by name. */
static int make_model(wr_rollout *r, size_t i, wr_err *err)
{
    const wr_rollout_arm *arm = &r->spec.arms[i];
    wr_serve_endpoint *e = r->endpoint, *m = wr_arena_calloc(r->arena, 1, sizeof *m);
    char *name = wr_arena_printf(r->arena, "%s:%s", e->name, arm->name);
    if (!m || !name) return wr_err_nomem(err);
    m->name = name;
    m->parent = e;
    m->version = arm->name;
    m->reference = arm->path ? arm->path : arm->model;
    m->path = arm->path;
    m->threshold = e->threshold;
    m->config = e->config;
    atomic_init(&m->watermark, INT64_MIN);
    if (m->path) m->seen = wr_model_print(m->path); /* it was there before: no need to look twice */
    pthread_mutex_init(&m->lock, NULL);
    r->arms[i].model = m;
    return 0;
}

static int build(wr_rollout *r, wr_project *p, wr_str text, const char *what, wr_err *err)
{
    WR_AUTOBUF wr_buf json = {0};
    wr_jsonw w;
    wr_str own = wr_arena_str(r->arena, text);
    if (!own.p) return wr_err_nomem(err);
    WR_TRY(wr_rollout_spec_parse(&r->spec, r->arena, wr_project_root(p), own, what, err));
    wr_jsonw_init(&w, &json, 0);
    wr_rollout_spec_write(&w, &r->spec);
    r->spec_json = wr_arena_strdup(r->arena, wr_buf_cstr(&json));
    r->declared = "";
    r->salt = r->spec.salt ? r->spec.salt : r->endpoint->name;
    r->arms = wr_calloc(r->spec.narms, sizeof *r->arms);
    r->rewards = wr_reward_map_new();
    if (!r->arms || !r->rewards || !r->spec_json || json.failed) return wr_err_nomem(err);
    for (size_t i = 1; i < r->spec.narms; i++) WR_TRY(make_model(r, i, err));
    r->weight = r->spec.step_weight;
    r->started_us = wr_clock_wall_us();
    r->interval_ns = wr_clock_mono_ns();
    wr_rollout_table(r);
    return 0;
}

static int make(wr_rollout **out, wr_serve *s, wr_serve_endpoint *e, wr_str text, const char *what, wr_err *err)
{
    wr_rollout *r = wr_calloc(1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    atomic_init(&r->refs, 1);
    pthread_mutex_init(&r->judge, NULL);
    pthread_mutex_init(&r->lock, NULL);
    r->endpoint = e;
    wr_os_random(&r->seed, sizeof r->seed);
    r->arena = wr_arena_new(0);
    int rc = r->arena ? build(r, s->project, text, what, err) : wr_err_nomem(err);
    if (rc < 0) destroy(r);
    else *out = r;
    return rc;
}

/* A request of a run with many costs less than one of a run with few, and waits for other things. So where durations or
 * joules of arms are compared, requests run one by one: the arm that has more of them must not look better for it.
 */
static bool may_share(const wr_rollout *r)
{
    const wr_rollout_guard *g = r->spec.guards;
    bool durations = g[WR_GUARD_P99].on && r->spec.mode != WR_ROLLOUT_SHADOW; /* those of copies are not judged */
    return !wr_rollout_on(r) || (!durations && !g[WR_GUARD_JOULES].on);
}

void wr_rollout_table(wr_rollout *r)
{
    wr_route next;
    wr_moments reward[WR_ROLLOUT_ARMS] = {0};
    bool out[WR_ROLLOUT_ARMS];
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->spec.narms; i++) reward[i] = r->arms[i].reward;
    memcpy(out, r->out, sizeof out);
    pthread_mutex_unlock(&r->lock);
    if (r->phase == WR_PHASE_ROLLED_BACK || (r->phase == WR_PHASE_PROMOTED && r->promoted_version)) {
        next = (wr_route){.n = r->spec.narms, .share = {1}};
    } else if (r->phase == WR_PHASE_PROMOTED || r->phase == WR_PHASE_PROMOTING) {
        next = (wr_route){.n = r->spec.narms};
        next.share[r->promoted] = 1;
    } else {
        wr_route_make(&next, &r->spec, out, r->weight, reward);
    }
    pthread_mutex_lock(&r->lock);
    r->route = next;
    r->shares = may_share(r);
    pthread_mutex_unlock(&r->lock);
}

/* ---- arms ---- */

bool wr_rollout_take(wr_served **package, wr_instance **model, wr_serve *s, wr_rollout_arm_run *arm)
{
    wr_serve_endpoint *m = arm->model;
    wr_err none;
    *model = NULL;
    pthread_mutex_lock(&m->lock);
    *package = m->now;
    if (m->now) atomic_fetch_add_explicit(&m->now->refs, 1, memory_order_relaxed);
    bool plain = m->plain;
    pthread_mutex_unlock(&m->lock);
    if (*package) return true;
    return plain && wr_repository_take(model, s->repository, wr_str_of(m->name), (wr_str){NULL, 0}, &none) == 0;
}

static void unload(wr_serve *s, wr_rollout *r)
{
    for (size_t i = 1; i < r->spec.narms; i++) {
        wr_serve_endpoint *m = r->arms[i].model;
        pthread_mutex_lock(&m->lock);
        wr_served *old = m->now;
        bool plain = m->plain;
        m->now = NULL;
        m->plain = false;
        pthread_mutex_unlock(&m->lock);
        wr_serve_give(old);
        if (plain) wr_serve_plain_ends(s, m);
    }
    r->loaded = false;
}

static int refresh_one(wr_serve *s, wr_rollout *r, wr_err *err)
{
    pthread_mutex_lock(&r->judge);
    bool keep = wr_rollout_on(r) || (r->phase == WR_PHASE_PROMOTED && !r->promoted_version);
    pthread_mutex_unlock(&r->judge);
    if (!keep) {
        if (r->loaded) unload(s, r);
        return 0;
    }
    r->loaded = true;
    for (size_t i = 1; i < r->spec.narms; i++) WR_TRY(wr_serve_look(s, r->arms[i].model, err));
    return 0;
}

static int refresh(wr_serve *s, wr_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->nendpoints && rc == 0; i++) {
        wr_rollout *r = wr_rollout_hold(&s->endpoints[i]);
        if (r) rc = refresh_one(s, r, err);
        wr_rollout_drop(r);
    }
    return rc;
}

/* ---- beginning ---- */

/* Under refresh. Takes over `r`. */
static void install(wr_serve *s, wr_serve_endpoint *e, wr_rollout *r)
{
    pthread_mutex_lock(&e->lock);
    wr_rollout *old = e->rollout;
    e->rollout = r;
    pthread_mutex_unlock(&e->lock);
    if (old) unload(s, old);
    wr_rollout_drop(old);
}

static int begin(wr_serve *s, wr_serve_endpoint *e, wr_str text, const char *declared, const char *what, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_rollout *r;
    wr_rollout_record before;
    wr_err none;
    if (!a) return wr_err_nomem(err);
    WR_TRY(make(&r, s, e, text, what, err));
    if (!declared && wr_rollout_record_get(&before, a, s->project, e->name, &none) == 0) declared = before.declared.p;
    r->declared = wr_arena_strdup(r->arena, declared ? declared : "");
    int rc = r->declared ? wr_rollout_save(s, r, err) : wr_err_nomem(err);
    if (rc < 0) {
        wr_rollout_drop(r);
        return rc;
    }
    wr_rollout_event(s, r, "rollout", 0, NULL);
    install(s, e, r);
    return refresh(s, err);
}

static int endpoint_of(wr_serve_endpoint **out, wr_serve *s, wr_str name, wr_err *err)
{
    *out = wr_serve_endpoint_named(s, name);
    return *out ? 0 : wr_serve_no_endpoint(s, name, err);
}

int wr_rollout_begin(wr_serve *s, wr_str endpoint, wr_str text, wr_err *err)
{
    wr_serve_endpoint *e;
    WR_TRY(endpoint_of(&e, s, endpoint, err));
    pthread_mutex_lock(&s->refresh);
    int rc = begin(s, e, text, NULL, "rollout", err);
    pthread_mutex_unlock(&s->refresh);
    return rc;
}

/* What the records have goes on; what weir.yaml declares anew begins. */
static int open_one(wr_serve *s, wr_serve_endpoint *e, const char *declared, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_rollout_record kept;
    wr_rollout *r;
    wr_err why = {0};
    if (!a) return wr_err_nomem(err);
    int rc = wr_rollout_record_get(&kept, a, s->project, e->name, &why);
    if (rc < 0 && rc != WEIR_ENOTFOUND) {
        if (err) *err = why;
        return rc;
    }
    if (declared[0] && (rc < 0 || !wr_str_is(kept.declared, declared)))
        return begin(s, e, wr_str_of(declared), declared, "weir.yaml", err);
    if (rc < 0 || !kept.spec.n) return 0;
    if ((rc = make(&r, s, e, kept.spec, "kept rollout", &why)) < 0) {
        if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
        wr_warn("the rollout of endpoint \"%s\" is over: %s", e->name, why.msg);
        return 0;
    }
    r->declared = wr_arena_str(r->arena, kept.declared).p;
    wr_rollout_restore(r, kept.state);
    if ((rc = wr_rollout_memory_load(s, r, err)) < 0) {
        destroy(r);
        return rc;
    }
    wr_rollout_table(r);
    install(s, e, r);
    return 0;
}

static int open_all(wr_serve *s, wr_err *err)
{
    if (!(s->shadow = wr_shadow_new(s))) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nendpoints; i++) WR_TRY(open_one(s, &s->endpoints[i], s->endpoints[i].declared, err));
    return refresh(s, err);
}

static void close_all(wr_serve *s)
{
    wr_err err;
    wr_shadow_close(s);
    if (s->opened && s->log && wr_rollouts_memory_save(s, wr_applog_newest(s->log) - 1, &err) < 0)
        wr_warn("%s", err.msg);
    for (size_t i = 0; i < s->nendpoints; i++) {
        wr_rollout *r = s->endpoints[i].rollout;
        if (!r) continue;
        pthread_mutex_lock(&r->judge);
        for (size_t k = 0; k < r->spec.narms; k++) wr_rollout_totals(&r->arms[k].now, r, k);
        if (s->opened && wr_rollout_save(s, r, &err) < 0) wr_warn("rollout of \"%s\": %s", r->endpoint->name, err.msg);
        pthread_mutex_unlock(&r->judge);
        s->endpoints[i].rollout = NULL;
        if (s->repository) unload(s, r);
        wr_rollout_drop(r);
    }
}

/* ---- commands ---- */

static int held(wr_rollout **out, wr_serve *s, wr_str endpoint, wr_err *err)
{
    wr_serve_endpoint *e;
    WR_TRY(endpoint_of(&e, s, endpoint, err));
    *out = wr_rollout_hold(e);
    if (*out) return 0;
    wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has no rollout", e->name);
    return wr_err_hint(err, WEIR_ENOTFOUND, "weir deploy rollout %s --to MODEL@VERSION begins one", e->name);
}

static int over(const wr_rollout *r, wr_err *err)
{
    wr_err_set(err, WEIR_ECONFLICT, "the rollout of endpoint \"%s\" is over: %s", r->endpoint->name,
               wr_phase_names[r->phase]);
    return r->promoted_version ? wr_err_hint(err, WEIR_ECONFLICT, "weir model rollback brings its alias back")
                               : WEIR_ECONFLICT;
}

static int arm_named(size_t *out, const wr_rollout *r, wr_str name, wr_err *err)
{
    const char *names[WR_ROLLOUT_ARMS];
    for (size_t i = 0; i < r->spec.narms; i++) {
        names[i] = r->spec.arms[i].name;
        if (!wr_str_is(name, names[i])) continue;
        *out = i;
        return 0;
    }
    int near = wr_str_nearest(name, names, r->spec.narms);
    wr_err_set(err, WEIR_ENOTFOUND, "the rollout of endpoint \"%s\" has no arm \"%.*s\"", r->endpoint->name,
               WR_STR_FMT(wr_str_fit(name, 100)));
    return wr_err_hint(err, WEIR_ENOTFOUND, near >= 0 ? "did you mean \"%s\"?" : "it has \"%s\"",
                       names[near >= 0 ? near : 1]);
}

static int promote(wr_serve *s, wr_rollout *r, wr_str name, wr_err *err)
{
    size_t arm = 1;
    if (name.n) WR_TRY(arm_named(&arm, r, name, err));
    if (!wr_rollout_on(r)) return over(r, err);
    if (!name.n && r->spec.narms > 2) {
        wr_err_set(err, WEIR_EINVAL, "which arm of endpoint \"%s\" is promoted?", r->endpoint->name);
        return wr_err_hint(err, WEIR_EINVAL, "it has %zu beside the primary, \"%s\" is one", r->spec.narms - 1,
                           r->spec.arms[1].name);
    }
    if (!arm) return wr_err_set(err, WEIR_EINVAL, "the primary is where it would be promoted to");
    return wr_rollout_promote_arm(s, r, arm, err);
}

int wr_rollout_promote(wr_serve *s, wr_str endpoint, wr_str arm, wr_err *err)
{
    wr_rollout *r;
    WR_TRY(held(&r, s, endpoint, err));
    pthread_mutex_lock(&r->judge);
    int rc = promote(s, r, arm, err);
    pthread_mutex_unlock(&r->judge);
    wr_rollout_drop(r);
    return rc;
}

int wr_rollout_back(wr_serve *s, wr_str endpoint, wr_err *err)
{
    wr_rollout *r;
    WR_TRY(held(&r, s, endpoint, err));
    pthread_mutex_lock(&r->judge);
    bool on = !r->promoted_version && r->phase != WR_PHASE_ROLLED_BACK;
    if (on) r->phase = WR_PHASE_RUNNING;
    for (size_t i = 1; on && i < r->spec.narms; i++)
        if (!r->out[i]) wr_rollout_arm_out(s, r, i, "it was asked for");
    int rc = on ? wr_rollout_save(s, r, err) : over(r, err);
    pthread_mutex_unlock(&r->judge);
    wr_rollout_drop(r);
    return rc;
}

int wr_rollout_reward_arm(wr_serve *s, wr_str endpoint, wr_str name, double reward, wr_err *err)
{
    wr_rollout *r;
    size_t arm;
    if (!isfinite(reward)) return wr_err_set(err, WEIR_EINVAL, "a reward is a number");
    WR_TRY(held(&r, s, endpoint, err));
    int rc = arm_named(&arm, r, name, err);
    if (rc == 0) {
        pthread_mutex_lock(&r->lock);
        wr_moments_add(&r->arms[arm].reward, reward);
        pthread_mutex_unlock(&r->lock);
    }
    wr_rollout_drop(r);
    return rc;
}

/* ---- what the serving process asks ---- */

static size_t folders(const char **out, wr_serve_endpoint *e)
{
    size_t n = 0;
    for (size_t k = 1; e->rollout && k < e->rollout->spec.narms; k++) out[n++] = e->rollout->arms[k].model->folder;
    return n;
}

const struct wr_serve_rollouts wr_rollouts = {.open = open_all,
                                              .close = close_all,
                                              .refresh = refresh,
                                              .save = wr_rollouts_memory_save,
                                              .folders = folders,
                                              .answer = wr_rollout_answer,
                                              .reward = wr_rollout_reward};
