/* SPDX-License-Identifier: Apache-2.0 */
/* serve_ledger.c - what serving takes, for the footprint ledger: the CPU time of the process, shared by predictions. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/os.h"
#include "core/footprint.h"
#include "stage/deploy/drain.h"
#include "stage/deploy/serve_inside.h"

typedef struct wr_serve_ledger {
    pthread_mutex_t lock; /* guards all below; rank after every other */
    wr_meter *meter;
    wr_meter_mark start, mark;
    double start_cpu_s, cpu_s;
    wr_meter_mark arms; /* where arms of rollouts were given their energy last */
    double arms_cpu_s;
    wr_meter_mark each; /* where the window began that single predictions get their energy by */
    double each_cpu_s;
    uint64_t each_busy_ns;
    wr_energy method; /* of the last window: tier, source, uncertainty; tier 0 = there was none */
    int64_t t_us;
} wr_serve_ledger;

int wr_serve_ledger_open(wr_serve *s, const char *meter_root, wr_err *err)
{
    wr_serve_ledger *g = wr_calloc(1, sizeof *g);
    if (!g) return wr_err_nomem(err);
    pthread_mutex_init(&g->lock, NULL);
    s->ledger = g;
    WR_TRY(wr_meter_open(&g->meter, meter_root, err));
    wr_meter_read(g->meter, &g->start);
    g->mark = g->arms = g->each = g->start;
    g->start_cpu_s = g->arms_cpu_s = g->each_cpu_s = g->cpu_s = wr_clock_cpu_s();
    g->t_us = wr_clock_wall_us();
    return 0;
}

void wr_serve_ledger_close(wr_serve *s)
{
    wr_serve_ledger *g = s->ledger;
    if (!g) return;
    wr_meter_close(g->meter);
    pthread_mutex_destroy(&g->lock);
    wr_free(g);
    s->ledger = NULL;
}

/* ---- who answers ---- */

static bool is_of(const wr_serve_answerer *r, const char *name, const char *version)
{
    return r->name && strcmp(r->name, name) == 0 && strcmp(r->version, version) == 0;
}

wr_serve_answerer *wr_serve_answerer_of(wr_serve_endpoint *e, const wr_instance *m)
{
    wr_serve_answerer *r = atomic_load_explicit(&e->answerers, memory_order_acquire);
    while (r->next && !is_of(r, m->name, m->version)) r = r->next;
    return r;
}

/* The one there is that requests find, if it says the same. */
static wr_serve_answerer *known(wr_serve_endpoint *face, const char *name, const char *version, const char *by)
{
    wr_serve_answerer *r = atomic_load_explicit(&face->answerers, memory_order_relaxed);
    for (; r->next; r = r->next) {
        if (!version && !r->name && strcmp(r->by, by) == 0) return r;
        if (version && is_of(r, name, version)) return strcmp(r->by, by) == 0 ? r : NULL;
    }
    return NULL;
}

wr_serve_answerer *wr_serve_answerer_add(wr_serve *s, wr_serve_endpoint *e, const char *version,
                                         const wr_model_version *v)
{
    wr_serve_endpoint *face = e->parent ? e->parent : e;
    const char *by = v->version ? wr_arena_printf(s->arena, "model:%s@%lld", v->name, (long long)v->version) : v->name;
    wr_serve_answerer *r = by ? known(face, e->name, version, by) : NULL;
    if (r || !by) return r;
    if (!(r = wr_arena_calloc(s->arena, 1, sizeof *r))) return NULL;
    r->by = wr_arena_strdup(s->arena, by);
    r->name = version ? wr_arena_strdup(s->arena, e->name) : NULL;
    r->version = version ? wr_arena_strdup(s->arena, version) : NULL;
    if (!r->by || (version && (!r->name || !r->version))) return NULL;
    r->next = atomic_load_explicit(&face->answerers, memory_order_relaxed);
    atomic_store_explicit(&face->answerers, r, memory_order_release);
    return r;
}

/* ---- rows ---- */

/* One row: `share` of the process's work since the last ones. */
static int add_row(wr_serve *s, const wr_serve_endpoint *e, const char *by, double units, double share,
                   const wr_footprint *whole, const wr_energy *energy, wr_err *err)
{
    char subject[300];
    wr_footprint f = *whole;
    snprintf(subject, sizeof subject, "endpoint:%s", e->name);
    f.subject = subject;
    f.answered_by = by;
    f.units = units;
    f.cpu_s *= share;
    f.energy = *energy;
    f.energy.energy_j *= share;
    f.energy.active_j *= share;
    f.energy.idle_j *= share;
    f.energy.gpu_j *= share;
    return wr_footprint_add(s->project, &f, err);
}

static uint64_t since(const wr_serve_answerer *r)
{
    return atomic_load_explicit(&r->n, memory_order_relaxed) - r->before;
}

static uint64_t all_since(wr_serve *s)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->nendpoints; i++)
        for (wr_serve_answerer *r = atomic_load(&s->endpoints[i].answerers); r; r = r->next) total += since(r);
    return total;
}

/* What an endpoint's models answered, at most `total` of all; without any a part of the time that nobody asked for. */
static int rows_of(wr_serve *s, wr_serve_endpoint *e, double total, const wr_footprint *whole, const wr_energy *energy,
                   wr_err *err)
{
    if (!(total > 0)) return add_row(s, e, "", 0, 1.0 / (double)s->nendpoints, whole, energy, err);
    for (wr_serve_answerer *r = atomic_load(&e->answerers); r; r = r->next) {
        uint64_t units = since(r);
        if (!units) continue;
        WR_TRY(add_row(s, e, r->by, (double)units, (double)units / total, whole, energy, err));
        r->before += units;
    }
    return 0;
}

static int add_rows(wr_serve *s, bool last, wr_err *err)
{
    wr_serve_ledger *g = s->ledger;
    wr_meter_mark now;
    wr_energy e;
    wr_meter_read(g->meter, &now);
    uint64_t total = all_since(s);
    if ((!total && !last) || !s->nendpoints) return 0;
    double cpu = wr_clock_cpu_s(), used = cpu - g->cpu_s;
    int64_t t = wr_clock_wall_us();
    wr_meter_energy(g->meter, &g->mark, &now, used, &e);
    wr_footprint whole = {.t0_us = g->t_us,
                          .t1_us = t,
                          .stage = "serve",
                          .activity = "inference",
                          .run_id = "",
                          .unit = "predictions",
                          .wall_s = (double)(t - g->t_us) / 1e6,
                          .cpu_s = used,
                          .max_rss = (double)wr_os_rss()};
    for (size_t i = 0; i < s->nendpoints; i++) WR_TRY(rows_of(s, &s->endpoints[i], (double)total, &whole, &e, err));
    g->mark = now;
    g->cpu_s = cpu;
    g->t_us = t;
    return 0;
}

int wr_serve_footprint(wr_serve *s, bool last, wr_err *err)
{
    pthread_mutex_lock(&s->ledger->lock);
    int rc = add_rows(s, last, err);
    pthread_mutex_unlock(&s->ledger->lock);
    return rc;
}

void wr_serve_energy_since(wr_energy *out, double *cpu_s, wr_serve *s)
{
    wr_serve_ledger *g = s->ledger;
    wr_meter_mark now;
    pthread_mutex_lock(&g->lock);
    double cpu = wr_clock_cpu_s();
    wr_meter_read(g->meter, &now);
    *cpu_s = cpu - g->arms_cpu_s;
    wr_meter_energy(g->meter, &g->arms, &now, *cpu_s, out);
    g->arms = now;
    g->arms_cpu_s = cpu;
    pthread_mutex_unlock(&g->lock);
}

/* ---- a single prediction ---- */

static const double LEAST_CPU_S = 0.005; /* a window with less goes on: counters are too coarse for it */

void wr_serve_energy_tick(wr_serve *s)
{
    wr_serve_ledger *g = s->ledger;
    wr_meter_mark now;
    wr_energy e;
    pthread_mutex_lock(&g->lock);
    uint64_t busy_ns = atomic_load_explicit(&s->busy_ns, memory_order_relaxed);
    double cpu = wr_clock_cpu_s(), used = cpu - g->each_cpu_s, busy_s = (double)(busy_ns - g->each_busy_ns) / 1e9;
    if (busy_s <= 0 || used >= LEAST_CPU_S) {
        wr_meter_read(g->meter, &now);
        if (busy_s > 0) {
            wr_meter_energy(g->meter, &g->each, &now, used, &e);
            double whole = used > busy_s ? used : busy_s;
            atomic_store_explicit(&s->joules_s, (e.active_j + e.idle_j) / whole, memory_order_relaxed);
            g->method = e;
        }
        g->each = now;
        g->each_cpu_s = cpu;
        g->each_busy_ns = busy_ns;
    }
    pthread_mutex_unlock(&g->lock);
}

bool wr_serve_energy_method(wr_energy *out, wr_serve *s)
{
    wr_serve_ledger *g = s->ledger;
    pthread_mutex_lock(&g->lock);
    *out = g->method;
    pthread_mutex_unlock(&g->lock);
    return out->tier != 0;
}

double wr_serve_energy(wr_serve *s)
{
    wr_serve_ledger *g = s->ledger;
    wr_meter_mark now;
    wr_energy e;
    pthread_mutex_lock(&g->lock);
    wr_meter_read(g->meter, &now);
    wr_meter_energy(g->meter, &g->start, &now, wr_clock_cpu_s() - g->start_cpu_s, &e);
    pthread_mutex_unlock(&g->lock);
    return e.energy_j;
}
