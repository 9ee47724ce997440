/* SPDX-License-Identifier: Apache-2.0 */
/* serve_look.c - what there is and how it does: status of endpoints, index and statistics of all models. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stage/deploy/serve_inside.h"

size_t wr_serve_count(const wr_serve *s) { return s->nendpoints; }

void wr_serve_status_of(wr_serve_status *out, wr_serve *s, size_t i)
{
    wr_serve_endpoint *e = &s->endpoints[i];
    *out = (wr_serve_status){.name = e->name,
                             .reference = e->reference,
                             .threshold = e->threshold,
                             .predictions = atomic_load_explicit(&e->predictions, memory_order_relaxed),
                             .labels = atomic_load_explicit(&e->labels, memory_order_relaxed),
                             .rewards = atomic_load_explicit(&e->rewards, memory_order_relaxed),
                             .watermark_us = atomic_load_explicit(&e->watermark, memory_order_relaxed)};
    pthread_mutex_lock(&e->lock);
    out->plain = e->plain;
    out->ready = e->now || e->plain;
    if (e->plain) {
        snprintf(out->model, sizeof out->model, "%s", e->plain_model);
        out->version = e->plain_version;
    }
    if (e->now) {
        snprintf(out->model, sizeof out->model, "%s", e->now->model);
        snprintf(out->view, sizeof out->view, "%s", e->now->view->name);
        out->version = e->now->version;
    }
    memcpy(out->package, e->package, sizeof out->package);
    memcpy(out->error, e->error, sizeof out->error);
    pthread_mutex_unlock(&e->lock);
}

bool wr_serve_ready(wr_serve *s)
{
    bool ready = true;
    for (size_t i = 0; i < s->nendpoints; i++) {
        pthread_mutex_lock(&s->endpoints[i].lock);
        ready &= s->endpoints[i].now || s->endpoints[i].plain;
        pthread_mutex_unlock(&s->endpoints[i].lock);
    }
    return ready && wr_repository_ready(s->repository);
}

void wr_serve_counts(wr_serve *s, void (*fn)(void *ctx, const char *endpoint, int64_t version, uint64_t n), void *ctx)
{
    for (size_t i = 0; i < s->nendpoints; i++) {
        pthread_mutex_lock(&s->endpoints[i].lock);
        wr_serve_version *first = s->endpoints[i].versions;
        pthread_mutex_unlock(&s->endpoints[i].lock);
        for (wr_serve_version *v = first; v; v = v->next) fn(ctx, s->endpoints[i].name, v->version, atomic_load(&v->n));
    }
}

void wr_serve_lookups(wr_serve *s, void (*fn)(void *ctx, const char *view, const wr_lookup_info *info), void *ctx)
{
    size_t n = atomic_load_explicit(&s->nlives, memory_order_acquire);
    wr_lookup_info info;
    for (size_t i = 0; i < n; i++)
        if (wr_live_tables(&info, s->lives[i])) fn(ctx, s->lives[i]->view->name, &info);
}

uint64_t wr_serve_log_bytes(const wr_serve *s) { return wr_applog_bytes(s->log); }

/* ---- all models ---- */

static int by_name(const void *a, const void *b)
{
    const wr_index_entry *x = a, *y = b;
    return wr_str_cmp(x->name, y->name);
}

/* false: the repository tells of it. */
static int endpoint_entry(wr_index_entry *out, bool *mine, wr_serve_endpoint *e, wr_arena *a)
{
    *out = (wr_index_entry){.name = wr_str_of(e->name)};
    pthread_mutex_lock(&e->lock);
    *mine = !e->plain;
    bool ready = e->now != NULL;
    char *version =
        ready && e->now->version ? wr_arena_printf(a, "%lld", (long long)e->now->version) : wr_arena_strdup(a, "");
    char *reason = ready ? NULL : wr_arena_strdup(a, e->error);
    pthread_mutex_unlock(&e->lock);
    out->state = ready ? WR_STR("READY") : WR_STR("UNAVAILABLE");
    out->version = wr_str_of(version);
    if (reason) out->reason = wr_str_of(reason);
    return !version || (!ready && !reason) ? WEIR_ENOMEM : 0;
}

int wr_serve_index(wr_index_entry **out, size_t *n, wr_serve *s, wr_arena *a, wr_err *err)
{
    wr_index_entry *models;
    size_t nmodels;
    WR_TRY(wr_repository_index(&models, &nmodels, s->repository, a, err));
    *n = 0;
    *out = wr_arena_alloc(a, (nmodels + s->nendpoints + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nendpoints; i++) {
        bool mine;
        if (endpoint_entry(&(*out)[*n], &mine, &s->endpoints[i], a) < 0) return wr_err_nomem(err);
        *n += mine;
    }
    size_t mine = *n;
    for (size_t i = 0; i < nmodels; i++) {
        bool hidden = false; /* a package goes before a model of the name */
        for (size_t k = 0; k < mine && !hidden; k++) hidden = wr_str_eq((*out)[k].name, models[i].name);
        if (!hidden) (*out)[(*n)++] = models[i];
    }
    qsort(*out, mine, sizeof **out, by_name);
    return 0;
}

/* Of an endpoint with a package; false: there is none now. */
static bool package_stats(wr_stats_entry *out, wr_serve_endpoint *e, wr_str version, wr_arena *a, int *rc)
{
    pthread_mutex_lock(&e->lock);
    wr_served *m = e->now;
    char *text = m ? wr_arena_printf(a, "%lld", (long long)m->version) : NULL;
    if (m && !text) *rc = WEIR_ENOMEM;
    if (text) *out = (wr_stats_entry){wr_str_of(e->name), wr_str_of(text), m->stats};
    pthread_mutex_unlock(&e->lock);
    return text && (!version.n || wr_str_is(version, text));
}

int wr_serve_stats(wr_stats_entry **out, size_t *n, wr_serve *s, wr_str name, wr_str version, wr_arena *a, wr_err *err)
{
    wr_stats_entry *models = NULL;
    size_t nmodels = 0;
    int rc = 0;
    *n = 0;
    *out = wr_arena_alloc(a, (s->nendpoints + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nendpoints; i++)
        if (!name.n || wr_str_is(name, s->endpoints[i].name))
            *n += package_stats(&(*out)[*n], &s->endpoints[i], version, a, &rc);
    if (rc < 0) return wr_err_nomem(err);
    if (name.n && *n) return 0;
    WR_TRY(wr_repository_stats(&models, &nmodels, s->repository, name, version, a, err));
    wr_stats_entry *all = wr_arena_alloc(a, (*n + nmodels + 1) * sizeof *all);
    if (!all) return wr_err_nomem(err);
    memcpy(all, *out, *n * sizeof *all);
    if (nmodels) memcpy(all + *n, models, nmodels * sizeof *all);
    *out = all;
    *n += nmodels;
    return 0;
}
