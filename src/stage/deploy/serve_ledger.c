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
    uint64_t *before; /* predictions of each endpoint at the last row */
} wr_serve_ledger;

int wr_serve_ledger_open(wr_serve *s, const char *meter_root, wr_err *err)
{
    wr_serve_ledger *g = wr_calloc(1, sizeof *g);
    if (!g) return wr_err_nomem(err);
    pthread_mutex_init(&g->lock, NULL);
    s->ledger = g;
    g->before = wr_calloc(s->nendpoints + 1, sizeof *g->before);
    if (!g->before) return wr_err_nomem(err);
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
    wr_free(g->before);
    wr_free(g);
    s->ledger = NULL;
}

/* One row: `share` of the process's work since the last ones. */
static int add_row(wr_serve *s, size_t i, double units, double share, const wr_footprint *whole, const wr_energy *e,
                   wr_err *err)
{
    char subject[300];
    wr_footprint f = *whole;
    snprintf(subject, sizeof subject, "endpoint:%s", s->endpoints[i].name);
    f.subject = subject;
    f.units = units;
    f.cpu_s *= share;
    f.energy = *e;
    f.energy.energy_j *= share;
    f.energy.active_j *= share;
    f.energy.idle_j *= share;
    f.energy.gpu_j *= share;
    return wr_footprint_add(s->project, &f, err);
}

static int add_rows(wr_serve *s, bool last, wr_err *err)
{
    wr_serve_ledger *g = s->ledger;
    wr_meter_mark now;
    wr_energy e;
    uint64_t total = 0;
    wr_meter_read(g->meter, &now);
    for (size_t i = 0; i < s->nendpoints; i++) total += atomic_load(&s->endpoints[i].predictions) - g->before[i];
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
    for (size_t i = 0; i < s->nendpoints; i++) {
        uint64_t n = atomic_load(&s->endpoints[i].predictions), units = n - g->before[i];
        if (total && !units) continue;
        double share = total ? (double)units / (double)total : 1.0 / (double)s->nendpoints;
        WR_TRY(add_row(s, i, (double)units, share, &whole, &e, err));
        g->before[i] = n;
    }
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
