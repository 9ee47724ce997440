/* SPDX-License-Identifier: Apache-2.0 */
/* serve_models.c - which model each endpoint answers with: opening, looking whether it moved, swapping. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "core/event.h"
#include "core/model.h"
#include "core/rollout.h"
#include "core/signing.h"
#include "stage/deploy/materialize.h"
#include "stage/deploy/rows.h"
#include "stage/deploy/serve_inside.h"

/* ---- events ---- */

void wr_serve_say(wr_serve *s, const wr_serve_endpoint *e, const char *kind, const wr_model_version *v, int64_t before,
                  const wr_err *why)
{
    WR_AUTOBUF wr_buf b;
    char subject[300];
    wr_err err;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "model", v->name);
    wr_jsonw_ki64(&w, "version", v->version);
    if (v->package[0]) wr_jsonw_kstr(&w, "package", v->package);
    if (before >= 0) wr_jsonw_ki64(&w, why ? "stays" : "previous", before);
    if (why) wr_jsonw_kstr(&w, "error", why->msg);
    if (why && why->hint[0]) wr_jsonw_kstr(&w, "hint", why->hint);
    wr_jsonw_end(&w);
    snprintf(subject, sizeof subject, "endpoint:%s", e->name);
    if (b.failed || wr_event_add(s->project, kind, subject, wr_buf_cstr(&b), NULL, &err) < 0)
        wr_warn("event \"%s\" of %s was lost", kind, subject);
}

/* ---- states ---- */

static int other_view(const wr_live *l, const wr_view *v, wr_err *err)
{
    wr_err_set(err, WEIR_ECONFLICT, "the model was trained on another version of view \"%s\" than the one served",
               v->name);
    wr_err_detail(err, WEIR_ECONFLICT, "served %.12s, model %.12s", l->view->hash, v->hash);
    return wr_err_hint(err, WEIR_ECONFLICT, "materialize the new view, then restart weir up");
}

int wr_serve_state_for(wr_live **out, wr_serve *s, const wr_view *v, wr_err *err)
{
    size_t n = atomic_load(&s->nlives);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s->lives[i]->view->name, v->name) != 0) continue;
        if (strcmp(s->lives[i]->view->hash, v->hash) != 0) return other_view(s->lives[i], v, err);
        *out = s->lives[i];
        return 0;
    }
    if (n >= s->max_lives) return wr_err_set(err, WEIR_ELIMIT, "more feature views than %zu are served", n);
    wr_lookup_info tables;
    WR_TRY(wr_live_open(out, s->project, v, s->log_dir, UINT64_MAX, err));
    if (v->nlookups && !wr_live_tables(&tables, *out))
        wr_warn("view \"%s\" looks columns up and has no tables yet: weir feature materialize makes them", v->name);
    s->lives[n] = *out;
    atomic_store_explicit(&s->nlives, n + 1, memory_order_release);
    return 0;
}

/* ---- swapping ---- */

static wr_serve_version *counters(wr_serve *s, wr_serve_endpoint *e, int64_t version)
{
    for (wr_serve_version *v = e->versions; v; v = v->next)
        if (v->version == version) return v;
    wr_serve_version *v = wr_arena_calloc(s->arena, 1, sizeof *v);
    if (!v) return NULL;
    v->version = version;
    atomic_init(&v->stats.latency, &v->latency);
    v->next = e->versions;
    pthread_mutex_lock(&e->lock);
    e->versions = v;
    pthread_mutex_unlock(&e->lock);
    return v;
}

static int name_features(wr_served *m, wr_err *err)
{
    size_t n = wr_package_get(m->package)->nuse;
    const char **names = wr_arena_alloc(m->arena, (n + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t j = 0; j < n; j++) names[j] = wr_package_feature_name(m->package, j);
    m->explained = names;
    m->nexplained = n;
    return 0;
}

/* Takes over `k`, also on failure. */
static int make_served(wr_served **out, wr_serve *s, wr_serve_endpoint *e, const wr_model_version *v, wr_package *k,
                       wr_live *live, wr_err *err)
{
    wr_served *m = wr_calloc(1, sizeof *m);
    wr_arena *a = wr_arena_new(0);
    char *name = a ? wr_arena_strdup(a, v->name) : NULL;
    wr_serve_endpoint *face = e->parent ? e->parent : e;
    wr_serve_version *count = counters(s, face, v->version);
    wr_serve_answerer *by = wr_serve_answerer_add(s, e, NULL, v);
    wr_tensor_spec *in, *outputs;
    if (!m || !name || !count || !by) {
        wr_free(m);
        wr_arena_free(a);
        wr_package_free(k);
        return wr_err_nomem(err);
    }
    atomic_init(&m->refs, 1);
    m->package = k;
    m->view = wr_package_get(k)->view;
    m->endpoint = face->name;
    m->model = name;
    m->version = v->version;
    m->threshold = e->threshold;
    m->live = live;
    m->view_id = live->id;
    m->of = face;
    m->by = by;
    m->count = &count->n;
    m->stats = &count->stats;
    m->arena = a;
    int rc = wr_serve_specs(&in, &m->nin, &outputs, &m->nout, m, a, err);
    if (rc == 0) wr_features_optional(in, face, m->view);
    m->in = in;
    m->out = outputs;
    if (rc == 0) rc = name_features(m, err);
    if (rc < 0) wr_serve_give(m);
    else *out = m;
    return rc;
}

static int load(wr_served **out, wr_serve *s, wr_serve_endpoint *e, const wr_model_version *v, wr_err *err)
{
    wr_package *k;
    wr_live *live = e->now ? e->now->live : NULL;
    WR_TRY(wr_signature_check_policy(s->project, v->name, v->version, err));
    WR_TRY(wr_package_load(&k, s->project, v->package, err));
    const wr_view *view = wr_package_get(k)->view;
    int rc = wr_features_fit(e->parent ? e->parent : e, view, err);
    if (rc == 0 && live && strcmp(live->view->hash, view->hash) != 0) rc = other_view(live, view, err);
    if (rc == 0 && !live) rc = wr_serve_state_for(&live, s, view, err);
    if (rc < 0) {
        wr_package_free(k);
        return rc;
    }
    return make_served(out, s, e, v, k, live, err);
}

static void install(wr_serve *s, wr_serve_endpoint *e, const wr_model_version *v, wr_served *m)
{
    pthread_mutex_lock(&e->lock);
    wr_served *old = e->now;
    e->now = m;
    snprintf(e->package, sizeof e->package, "%s", v->package);
    e->error[0] = 0;
    bool plain = e->plain;
    e->plain = false;
    pthread_mutex_unlock(&e->lock);
    if (plain) wr_serve_plain_ends(s, e);
    int64_t newest = wr_live_newest(m->live), seen = atomic_load(&e->watermark);
    if (newest > seen && newest <= wr_clock_wall_us() + WR_DAY_US)
        atomic_compare_exchange_strong(&e->watermark, &(int_fast64_t){seen}, newest);
    wr_serve_say(s, e, "served", v, old ? old->version : -1, NULL);
    wr_serve_give(old);
}

void wr_serve_set_error(wr_serve_endpoint *e, const wr_err *why)
{
    pthread_mutex_lock(&e->lock);
    size_t n = (size_t)snprintf(e->error, sizeof e->error, "%s", why->msg);
    if (why->hint[0] && n + strlen(why->hint) + 4 < sizeof e->error)
        snprintf(e->error + n, sizeof e->error - n, " (%s)", why->hint);
    pthread_mutex_unlock(&e->lock);
}

bool wr_serve_is_said(const wr_serve_endpoint *e, const wr_err *why)
{
    return strncmp(e->error, why->msg, strlen(why->msg)) == 0; /* a hint may follow */
}

void wr_serve_refuse(wr_serve *s, wr_serve_endpoint *e, const wr_model_version *v, const wr_err *why)
{
    char version[40] = "";
    int64_t stays = e->now ? e->now->version : e->plain ? e->plain_version : -1;
    if (v->version) snprintf(version, sizeof version, " version %lld", (long long)v->version);
    wr_serve_set_error(e, why);
    wr_warn("endpoint \"%s\" does not take %s%s: %s%s%s%s", e->name, v->name, version, why->msg,
            why->hint[0] ? " (" : "", why->hint, why->hint[0] ? ")" : "");
    wr_serve_say(s, e, "rollback", v, stays, why);
}

/* `now` and `package` change only here, under s->refresh. */
int wr_serve_look(wr_serve *s, wr_serve_endpoint *e, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_model_version v;
    wr_served *m = NULL;
    wr_err why = {0};
    if (!a) return wr_err_nomem(err);
    if (e->path) return wr_serve_look_path(s, e, err);
    int rc = wr_model_find(&v, a, s->project, e->reference, &why);
    if (rc == WEIR_ENOTFOUND) {
        wr_registered_version other;
        wr_err none;
        if (wr_model_registered(&other, a, s->project, e->reference, &none) == 0 && !other.package.n)
            return wr_serve_look_registered(s, e, &other, err);
        wr_serve_set_error(e, &why);
        return 0;
    }
    if (rc < 0) {
        if (err) *err = why;
        return rc;
    }
    if (e->now && strcmp(v.package, e->package) == 0 && e->now->version == v.version) return 0;
    if (strcmp(v.package, e->refused) == 0) return 0;
    rc = load(&m, s, e, &v, &why);
    if (rc == 0) {
        e->refused[0] = 0;
        install(s, e, &v, m);
        return 0;
    }
    if (rc == WEIR_ENO && wr_serve_is_said(e, &why)) return 0; /* it may be signed meanwhile: looked at again */
    if (rc != WEIR_ENOMEM && rc != WEIR_ENO) snprintf(e->refused, sizeof e->refused, "%s", v.package);
    wr_serve_refuse(s, e, &v, &why);
    return 0;
}

int wr_serve_refresh(wr_serve *s, wr_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&s->refresh);
    for (size_t i = 0; i < atomic_load(&s->nlives); i++) wr_live_look(s->lives[i]);
    for (size_t i = 0; i < s->nendpoints && rc == 0; i++) rc = wr_serve_look(s, &s->endpoints[i], err);
    if (rc == 0 && s->opened && s->rollouts) rc = s->rollouts->refresh(s, err);
    pthread_mutex_unlock(&s->refresh);
    return rc;
}

/* ---- life ---- */

static void init_gate(pthread_rwlock_t *gate)
{
    pthread_rwlockattr_t attr; /* a drain must not wait for ever behind loops that take turns */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(gate, &attr);
    pthread_rwlockattr_destroy(&attr);
}

/* "" = none; NULL without memory. */
static const char *declared(wr_arena *a, const wr_yaml *rollout)
{
    WR_AUTOBUF wr_buf b = {0};
    if (rollout) wr_yaml_to_json(&b, rollout);
    return b.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&b));
}

static int list_endpoints(wr_serve *s, wr_err *err)
{
    wr_endpoint *list;
    int rc = 0;
    WR_TRY(wr_endpoint_list(&list, &s->nendpoints, s->arena, s->project, err));
    s->endpoints = wr_arena_calloc(s->arena, s->nendpoints + 1, sizeof *s->endpoints);
    s->max_lives = s->nendpoints * WR_ROLLOUT_ARMS;
    for (size_t i = 0; i < s->nendpoints; i++) s->max_lives += list[i].service ? list[i].service->nviews : 1;
    s->lives = wr_arena_calloc(s->arena, s->max_lives + 1, sizeof *s->lives);
    if (!s->endpoints || !s->lives) {
        s->nendpoints = 0;
        return wr_err_nomem(err);
    }
    for (size_t i = 0; i < s->nendpoints; i++) {
        wr_serve_endpoint *e = &s->endpoints[i];
        e->name = list[i].name;
        e->reference = list[i].path ? list[i].path : list[i].model;
        e->path = list[i].path;
        e->threshold = list[i].threshold;
        e->log = list[i].log;
        e->features_path = list[i].features;
        e->service = list[i].service;
        e->config = list[i].config;
        e->declared = declared(s->arena, list[i].rollout);
        if (!e->declared) rc = wr_err_nomem(err);
        if (wr_map_put(&s->names, wr_str_of(e->name), e) < 0) rc = wr_err_nomem(err);
        atomic_init(&e->watermark, INT64_MIN);
        e->somebody.by = "";
        atomic_init(&e->answerers, &e->somebody);
        pthread_mutex_init(&e->lock, NULL);
        if (rc == 0) rc = wr_sinks_open(s, e, &list[i], err);
    }
    return rc;
}

wr_serve_endpoint *wr_serve_endpoint_named(wr_serve *s, wr_str name) { return s->nendpoints ? wr_map_get(&s->names, name) : NULL; }

/* Files of models that nobody serves any more. */
static void sweep(wr_serve *s)
{
    const char **folders = wr_arena_alloc(s->arena, (s->nendpoints + 1) * WR_ROLLOUT_ARMS * sizeof *folders);
    size_t n = 0;
    if (!folders) return;
    for (size_t i = 0; i < s->nendpoints; i++) {
        folders[n++] = s->endpoints[i].folder;
        if (s->rollouts) n += s->rollouts->folders(folders + n, &s->endpoints[i]);
    }
    wr_materialize_sweep(s->project, folders, n);
}

static int open_in(wr_serve *s, const wr_serve_opt *opt, wr_err *err)
{
    WR_TRY(wr_project_state(&s->log_dir, s->project, "log", true, err));
    WR_TRY(list_endpoints(s, err));
    int rc = wr_applog_open(&s->log, s->log_dir, err);
    if (rc == WEIR_ECONFLICT) {
        wr_err_set(err, rc, "this project is being served already");
        return wr_err_hint(err, rc, "stop the other weir up first, or serve a copy of the project folder");
    }
    WR_TRY(rc);
    if (opt && opt->before) WR_TRY(opt->before(opt->ctx, err));
    WR_TRY(wr_serve_ledger_open(s, opt ? opt->meter_root : NULL, err));
    WR_TRY(wr_serve_repository_open(s, opt, err));
    WR_TRY(wr_feedback_memory_open(&s->feedback, err));
    for (size_t i = 0; i < s->nendpoints; i++) WR_TRY(wr_features_open(s, &s->endpoints[i], err));
    WR_TRY(wr_keep_open(s, err));
    WR_TRY(wr_serve_refresh(s, err));
    pthread_mutex_lock(&s->refresh);
    rc = s->rollouts ? s->rollouts->open(s, err) : 0;
    s->opened = rc == 0;
    pthread_mutex_unlock(&s->refresh);
    WR_TRY(rc);
    sweep(s);
    return 0;
}

int wr_serve_open(wr_serve **out, wr_project *p, const wr_serve_opt *opt, wr_err *err)
{
    wr_serve *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->project = p;
    s->rollouts = opt ? opt->rollouts : NULL;
    s->arena = wr_arena_new(0);
    wr_os_random(&s->id_seed, sizeof s->id_seed);
    pthread_mutex_init(&s->refresh, NULL);
    pthread_mutex_init(&s->drain, NULL);
    init_gate(&s->gate);
    int rc = s->arena ? open_in(s, opt, err) : wr_err_nomem(err);
    if (rc < 0) wr_serve_close(s);
    else *out = s;
    return rc;
}

void wr_serve_close(wr_serve *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->nendpoints; i++) wr_sinks_close(&s->endpoints[i]);
    wr_keep_close(s);
    if (s->rollouts) s->rollouts->close(s);
    wr_feedback_memory_close(s->feedback);
    wr_serve_ledger_close(s);
    wr_applog_close(s->log);
    wr_repository_close(s->repository);
    wr_map_fini(&s->names);
    for (size_t i = 0; i < s->nendpoints; i++) {
        wr_serve_give(s->endpoints[i].now);
        pthread_mutex_destroy(&s->endpoints[i].lock);
    }
    for (size_t i = 0; i < atomic_load(&s->nlives); i++) wr_live_close(s->lives[i]);
    pthread_mutex_destroy(&s->refresh);
    pthread_mutex_destroy(&s->drain);
    pthread_rwlock_destroy(&s->gate);
    wr_arena_free(s->arena);
    wr_free(s);
}
