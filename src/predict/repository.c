/* SPDX-License-Identifier: Apache-2.0 */
/* repository.c - names, versions, states: taking and giving, putting in place and out of it, looking. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "io/file.h"
#include "predict/repository_inside.h"

static const char *const state_names[] = {"", "LOADING", "READY", "UNLOADING", "UNAVAILABLE"};

/* ---- life ---- */

int wr_repository_open(wr_repository **out, const wr_repository_opt *opt, wr_err *err)
{
    wr_repository *r = wr_calloc(1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    pthread_mutex_init(&r->lock, NULL);
    r->opt = *opt;
    r->dir = opt->dir ? wr_strdup(opt->dir) : NULL;
    if (!r->opt.open) r->opt.open = wr_predictor_open;
    if (!r->opt.cache_bytes) r->opt.cache_bytes = (size_t)64 << 20;
    int rc = opt->dir && !r->dir ? wr_err_nomem(err) : wr_response_cache_new(&r->cache, r->opt.cache_bytes, err);
    if (rc == 0 && r->dir) rc = wr_repository_poll(r, err);
    if (rc < 0) wr_repository_close(r);
    else *out = r;
    return rc;
}

static void free_version(wr_served_version *v)
{
    wr_instance *now = v->now;
    v->now = NULL;
    if (now) wr_instance_give(now);
    wr_free(atomic_load(&v->stats.latency));
    wr_free(v->name);
    wr_free(v->reason);
    wr_free(v);
}

void wr_repository_close(wr_repository *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->models.n; i++) {
        wr_served_model *m = r->models.at[i].value;
        for (size_t k = 0; k < m->nversions; k++) free_version(m->versions[k]);
        wr_free(m->versions);
        wr_free(m->reason);
        wr_free(m->name);
        pthread_mutex_destroy(&m->load);
        wr_free(m);
    }
    for (wr_latency *l = r->spare, *next; l; l = next) {
        next = l->next;
        wr_free(l);
    }
    wr_map_fini(&r->models);
    wr_response_cache_free(r->cache);
    pthread_mutex_destroy(&r->lock);
    wr_free(r->dir);
    wr_free(r);
}

/* ---- names ---- */

static char *text_of(wr_str s)
{
    char *p = wr_alloc(s.n + 1);
    if (!p) return NULL;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

static wr_served_model *make_model(wr_repository *r, wr_str name)
{
    wr_served_model *m = wr_calloc(1, sizeof *m);
    char *text = text_of(name);
    if (!m || !text || wr_map_put(&r->models, name, m) < 0) {
        wr_free(m);
        wr_free(text);
        return NULL;
    }
    m->name = text;
    pthread_mutex_init(&m->load, NULL);
    return m;
}

wr_served_model *wr_served_model_get(wr_repository *r, wr_str name, bool make)
{
    pthread_mutex_lock(&r->lock);
    wr_served_model *m = wr_map_get(&r->models, name);
    if (!m && make) m = make_model(r, name);
    pthread_mutex_unlock(&r->lock);
    return m;
}

/* Canonical numbers only, so that "01" and "1" are not the same version twice. */
static int64_t number_of(wr_str name)
{
    int64_t n;
    if (!name.n || name.n > 18 || name.p[0] < '0' || name.p[0] > '9' || (name.p[0] == '0' && name.n > 1)) return -1;
    return wr_num_i64(&n, name, NULL) == 0 ? n : -1;
}

static int order(const wr_served_version *v, int64_t number, wr_str name)
{
    if ((v->number < 0) != (number < 0)) return v->number < 0 ? 1 : -1;
    if (number >= 0) return v->number < number ? -1 : v->number > number;
    return wr_str_cmp(wr_str_of(v->name), name);
}

static wr_served_version *make_version(wr_served_model *m, size_t at, wr_str name, int64_t number)
{
    wr_served_version *v = wr_calloc(1, sizeof *v);
    char *text = text_of(name);
    if (!v || !text || wr_vec_grow_((void **)&m->versions, m->nversions, &m->cap, sizeof *m->versions, 1) < 0) {
        wr_free(v);
        wr_free(text);
        return NULL;
    }
    memmove(m->versions + at + 1, m->versions + at, (m->nversions - at) * sizeof *m->versions);
    m->versions[at] = v;
    m->nversions++;
    v->name = text;
    v->number = number;
    return v;
}

/* Under the lock. */
static wr_served_version *find_version(wr_served_model *m, wr_str name, bool make)
{
    int64_t number = number_of(name);
    size_t at = 0;
    while (at < m->nversions) {
        int cmp = order(m->versions[at], number, name);
        if (cmp == 0) return m->versions[at];
        if (cmp > 0) break;
        at++;
    }
    return make ? make_version(m, at, name, number) : NULL;
}

wr_served_version *wr_served_version_get(wr_repository *r, wr_served_model *m, wr_str name, bool make)
{
    pthread_mutex_lock(&r->lock);
    wr_served_version *v = find_version(m, name, make);
    pthread_mutex_unlock(&r->lock);
    return v;
}

/* ---- in service and out of it ---- */

static void set_state(wr_served_version *v, wr_version_state state, const char *reason)
{
    v->state = state;
    wr_free(v->reason);
    v->reason = reason ? wr_strdup(reason) : NULL; /* without memory there is no reason to tell */
}

void wr_served_install(wr_repository *r, wr_served_version *v, wr_instance *new, uint64_t print)
{
    pthread_mutex_lock(&r->lock);
    wr_instance *old = v->now;
    v->now = new;
    v->print = print;
    set_state(v, WR_STATE_READY, NULL);
    pthread_mutex_unlock(&r->lock);
    if (old) wr_instance_give(old);
}

void wr_served_retire(wr_repository *r, wr_served_version *v, const char *reason)
{
    pthread_mutex_lock(&r->lock);
    wr_instance *old = v->now;
    v->now = NULL;
    v->print = 0;
    if (old) set_state(v, WR_STATE_UNLOADING, reason);
    pthread_mutex_unlock(&r->lock);
    if (old) wr_instance_give(old);
}

void wr_served_fail(wr_repository *r, wr_served_version *v, const char *reason)
{
    pthread_mutex_lock(&r->lock);
    set_state(v, v->now ? WR_STATE_READY : reason ? WR_STATE_UNAVAILABLE : WR_STATE_NONE, reason);
    pthread_mutex_unlock(&r->lock);
}

void wr_served_tell(wr_repository *r, wr_served_model *m, const char *reason)
{
    pthread_mutex_lock(&r->lock);
    wr_free(m->reason);
    m->reason = reason ? wr_strdup(reason) : NULL;
    pthread_mutex_unlock(&r->lock);
}

void wr_served_loading(wr_repository *r, wr_served_version *v)
{
    pthread_mutex_lock(&r->lock);
    if (!v->now) set_state(v, WR_STATE_LOADING, NULL);
    pthread_mutex_unlock(&r->lock);
}

void wr_served_begin(wr_repository *r, wr_served_version *v)
{
    pthread_mutex_lock(&r->lock);
    v->instances++;
    wr_latency *l = atomic_load_explicit(&v->stats.latency, memory_order_relaxed);
    if (!l) {
        l = r->spare;
        if (l) r->spare = l->next;
        else l = wr_alloc(sizeof *l); /* without memory durations are not told by bins */
        if (l) memset(l, 0, sizeof *l);
        atomic_store_explicit(&v->stats.latency, l, memory_order_release);
    }
    pthread_mutex_unlock(&r->lock);
}

/* Nobody counts in it any more; who looks at it may still be there, and sees what is not its own at most. */
static void spare(wr_repository *r, wr_served_version *v)
{
    wr_latency *l = atomic_exchange(&v->stats.latency, NULL);
    if (!l) return;
    l->next = r->spare;
    r->spare = l;
}

void wr_instance_give(wr_instance *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1) return;
    wr_served_instance *s = (wr_served_instance *)m;
    wr_served_version *v = s->version;
    wr_repository *r = m->of;
    wr_predictor_free(s->predictor);
    wr_arena_free(s->arena);
    wr_free(s);
    pthread_mutex_lock(&r->lock);
    bool last = --v->instances == 0;
    if (last) spare(r, v);
    if (last && v->state == WR_STATE_UNLOADING)
        v->state = v->reason ? WR_STATE_UNAVAILABLE : WR_STATE_NONE; /* replaced: nobody has to be told of it */
    pthread_mutex_unlock(&r->lock);
}

/* ---- taking ---- */

static wr_served_version *best(const wr_served_model *m)
{
    wr_served_version *found = NULL;
    for (size_t i = 0; i < m->nversions; i++) {
        if (!m->versions[i]->now) continue;
        if (found && found->number >= 0 && m->versions[i]->number < 0) break;
        found = m->versions[i];
    }
    return found;
}

/* Of names, the nearest; under the lock. */
static void did_you_mean(wr_repository *r, wr_str name, wr_err *err)
{
    const char **names = wr_alloc((r->models.n + 1) * sizeof *names);
    if (!names) return;
    for (size_t i = 0; i < r->models.n; i++) names[i] = r->models.at[i].key.p;
    int near = r->models.n <= 10000 ? wr_str_nearest(name, names, r->models.n) : -1;
    if (near >= 0) wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    wr_free(names);
}

static int unknown(wr_repository *r, wr_str name, wr_str version, wr_err *err)
{
    if (version.p && version.n)
        return wr_err_set(err, WEIR_ENOTFOUND, "Request for unknown model: '%.*s' version %.*s is not found",
                          WR_STR_FMT(name), WR_STR_FMT(version));
    wr_err_set(err, WEIR_ENOTFOUND, "Request for unknown model: '%.*s' is not found", WR_STR_FMT(name));
    if (err) did_you_mean(r, name, err);
    return WEIR_ENOTFOUND;
}

static int not_ready(const wr_served_model *m, const wr_served_version *v, wr_err *err)
{
    if (v)
        wr_err_set(err, WEIR_EUNAVAILABLE, "Request for unknown model: '%s' version %s is not at ready state", m->name,
                   v->name);
    else wr_err_set(err, WEIR_EUNAVAILABLE, "Request for unknown model: '%s' has no available versions", m->name);
    for (size_t i = m->nversions; !v && i-- > 0;)
        if (m->versions[i]->reason) v = m->versions[i];
    if (!v && m->reason) wr_err_detail(err, WEIR_EUNAVAILABLE, "%s", m->reason);
    if (v && v->reason) wr_err_detail(err, WEIR_EUNAVAILABLE, "version %s: %s", v->name, v->reason);
    return WEIR_EUNAVAILABLE;
}

static int take(wr_instance **out, wr_repository *r, wr_str name, wr_str version, wr_err *err)
{
    wr_served_model *m = wr_map_get(&r->models, name);
    if (!m || (!m->nversions && !m->wanted)) return unknown(r, name, (wr_str){NULL, 0}, err);
    bool any = !version.p || !version.n;
    wr_served_version *v = any ? best(m) : find_version(m, version, false);
    if (!v && !any) return unknown(r, name, version, err);
    if (!v || !v->now) return not_ready(m, v, err);
    *out = v->now;
    atomic_fetch_add_explicit(&v->now->refs, 1, memory_order_relaxed);
    return 0;
}

int wr_repository_take(wr_instance **out, wr_repository *r, wr_str name, wr_str version, wr_err *err)
{
    pthread_mutex_lock(&r->lock);
    int rc = take(out, r, name, version, err);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

/* ---- putting and unloading ---- */

int wr_repository_put(wr_repository *r, const char *name, const char *version, wr_predictor *p, wr_str config,
                      wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOCONFIG wr_config c = {0};
    wr_instance *i;
    int rc = a ? wr_config_parse(&c, a, config.p ? config : WR_STR("{}"), "the configuration", err) : wr_err_nomem(err);
    wr_served_model *m = rc == 0 ? wr_served_model_get(r, wr_str_of(name), true) : NULL;
    if (rc == 0 && !m) rc = wr_err_nomem(err);
    if (rc < 0) {
        wr_predictor_free(p);
        return rc;
    }
    pthread_mutex_lock(&m->load);
    wr_served_version *v = wr_served_version_get(r, m, wr_str_of(version), true);
    if (!v) {
        wr_predictor_free(p);
        rc = wr_err_nomem(err);
    } else if ((rc = wr_served_make(&i, r, m, v, &c, p, NULL, NULL, err)) == 0) {
        wr_served_install(r, v, i, 0);
        for (size_t k = 0; k < m->nversions; k++)
            if (m->versions[k] != v) wr_served_retire(r, m->versions[k], NULL);
        pthread_mutex_lock(&r->lock);
        m->put = m->wanted = true;
        pthread_mutex_unlock(&r->lock);
    } else {
        wr_served_fail(r, v, err ? err->msg : wr_err_text(rc));
    }
    pthread_mutex_unlock(&m->load);
    return rc;
}

/* m->load is held. */
static void retire_all(wr_repository *r, wr_served_model *m, const char *reason)
{
    for (size_t i = 0; i < m->nversions; i++) wr_served_retire(r, m->versions[i], reason);
}

static void set_wanted(wr_repository *r, wr_served_model *m, bool wanted, bool unloaded)
{
    pthread_mutex_lock(&r->lock);
    m->wanted = wanted;
    m->unloaded = unloaded;
    pthread_mutex_unlock(&r->lock);
}

int wr_repository_remove(wr_repository *r, const char *name, wr_err *err)
{
    wr_served_model *m = wr_served_model_get(r, wr_str_of(name), false);
    if (m) pthread_mutex_lock(&m->load);
    bool put = m && m->put;
    if (put) {
        set_wanted(r, m, false, false);
        retire_all(r, m, "unloaded");
    }
    if (m) pthread_mutex_unlock(&m->load);
    return put ? 0 : wr_err_set(err, WEIR_ENOTFOUND, "model '%s' was not put into service", name);
}

int wr_repository_unload(wr_repository *r, wr_str name, wr_err *err)
{
    wr_served_model *m = wr_served_model_get(r, name, false);
    int rc = 0;
    if (m) pthread_mutex_lock(&m->load);
    if (!m || !m->nversions) {
        rc = wr_err_set(err, WEIR_ENOTFOUND, "failed to unload '%.*s', it is not served", WR_STR_FMT(name));
    } else if (m->put) {
        rc = wr_err_set(err, WEIR_ECONFLICT, "failed to unload '%s', it is an endpoint", m->name);
        wr_err_hint(err, rc, "take it out of weir.yaml");
    } else {
        set_wanted(r, m, false, true);
        retire_all(r, m, "unloaded");
    }
    if (m) pthread_mutex_unlock(&m->load);
    return rc;
}

/* ---- looking ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(wr_served_model *const *)a)->name, (*(wr_served_model *const *)b)->name);
}

/* All models, sorted; in `a`, so that the lock is held shortly. */
static int sorted(wr_served_model ***out, size_t *n, wr_repository *r, wr_arena *a, wr_err *err)
{
    pthread_mutex_lock(&r->lock);
    *n = r->models.n;
    *out = wr_arena_alloc(a, (*n + 1) * sizeof **out);
    for (size_t i = 0; *out && i < *n; i++) (*out)[i] = r->models.at[i].value;
    pthread_mutex_unlock(&r->lock);
    if (!*out) return wr_err_nomem(err);
    qsort(*out, *n, sizeof **out, by_name);
    return 0;
}

/* Under the lock. */
static int add_entries(wr_index_entry *to, size_t *n, size_t max, wr_served_model *m, wr_arena *a)
{
    bool any = false;
    for (size_t k = 0; k < m->nversions; k++) any |= m->versions[k]->state != WR_STATE_NONE;
    if (!any && *n < max && !m->put) {
        wr_index_entry *e = &to[(*n)++];
        *e = (wr_index_entry){.name = wr_str_of(m->name)};
        if (m->reason) e->state = wr_str_of(state_names[WR_STATE_UNAVAILABLE]);
        if (m->reason && !(e->reason = wr_arena_str(a, wr_str_of(m->reason))).p) return WEIR_ENOMEM;
    }
    for (size_t k = 0; k < m->nversions && *n < max; k++) {
        wr_served_version *v = m->versions[k];
        if (v->state == WR_STATE_NONE) continue; /* there, and not wanted so far */
        wr_index_entry *e = &to[(*n)++];
        *e = (wr_index_entry){
            .name = wr_str_of(m->name), .version = wr_str_of(v->name), .state = wr_str_of(state_names[v->state])};
        if (v->reason && !(e->reason = wr_arena_str(a, wr_str_of(v->reason))).p) return WEIR_ENOMEM;
    }
    return 0;
}

int wr_repository_index(wr_index_entry **out, size_t *n, wr_repository *r, wr_arena *a, wr_err *err)
{
    wr_served_model **all;
    size_t nall, max = 0;
    WR_TRY(sorted(&all, &nall, r, a, err));
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < nall; i++) max += all[i]->nversions + 1;
    *n = 0;
    *out = wr_arena_alloc(a, (max + 1) * sizeof **out);
    int rc = *out ? 0 : WEIR_ENOMEM;
    for (size_t i = 0; rc == 0 && i < nall; i++) rc = add_entries(*out, n, max, all[i], a);
    pthread_mutex_unlock(&r->lock);
    return rc < 0 ? wr_err_nomem(err) : 0;
}

int wr_repository_stats(wr_stats_entry **out, size_t *n, wr_repository *r, wr_str name, wr_str version, wr_arena *a,
                        wr_err *err)
{
    wr_served_model **all;
    size_t nall, max = 0;
    if (name.p && name.n) {
        wr_instance *m;
        WR_TRY(wr_repository_take(&m, r, name, version, err));
        wr_instance_give(m);
    }
    WR_TRY(sorted(&all, &nall, r, a, err));
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < nall; i++) max += all[i]->nversions;
    *n = 0;
    *out = wr_arena_alloc(a, (max + 1) * sizeof **out);
    for (size_t i = 0; *out && i < nall; i++) {
        if (name.p && name.n && !wr_str_is(name, all[i]->name)) continue;
        for (size_t k = 0; k < all[i]->nversions && *n < max; k++) {
            wr_served_version *v = all[i]->versions[k];
            if (!v->now || (version.p && version.n && !wr_str_is(version, v->name))) continue;
            (*out)[(*n)++] = (wr_stats_entry){wr_str_of(all[i]->name), wr_str_of(v->name), &v->stats};
        }
    }
    pthread_mutex_unlock(&r->lock);
    return *out ? 0 : wr_err_nomem(err);
}

int wr_repository_versions(wr_str **out, size_t *n, wr_repository *r, wr_str name, wr_arena *a, wr_err *err)
{
    wr_instance *i;
    WR_TRY(wr_repository_take(&i, r, name, (wr_str){NULL, 0}, err));
    wr_instance_give(i);
    pthread_mutex_lock(&r->lock);
    wr_served_model *m = wr_map_get(&r->models, name);
    *n = 0;
    *out = wr_arena_alloc(a, (m->nversions + 1) * sizeof **out);
    for (size_t k = 0; *out && k < m->nversions; k++)
        if (m->versions[k]->now) (*out)[(*n)++] = wr_str_of(m->versions[k]->name);
    pthread_mutex_unlock(&r->lock);
    return *out ? 0 : wr_err_nomem(err);
}

bool wr_repository_ready(wr_repository *r)
{
    bool ready = true;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; ready && i < r->models.n; i++) {
        const wr_served_model *m = r->models.at[i].value;
        ready = !m->wanted || best(m);
    }
    pthread_mutex_unlock(&r->lock);
    return ready;
}
