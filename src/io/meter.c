/* SPDX-License-Identifier: Apache-2.0 */
/* meter.c - chooses the source, reads it, and shares energy out. The formulas stand in meter.h. */
#include "io/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/meter_source.h"

enum { PATH_ROOM = 1024 };
static const double WHOLE = 0.95; /* from this share of the busy time on a counter counts as the work's own */
static const double GPU_UNCERTAINTY = 0.10;

struct wr_meter {
    pthread_mutex_t lock; /* guards the counter: its reading is an update */
    wr_counter *counter;  /* NULL = model */
    wr_nvml *gpu;
    wr_cpu_model cpu;
    int stat_fd; /* /proc/stat, -1 if there is none */
    char text[400];
};

static const wr_counter_ops *const chain[] = {&wr_counter_rapl, &wr_counter_perf, &wr_counter_hwmon};

/* ---- small files ---- */

static bool rooted(char *path, const char *root, const char *fmt, va_list ap)
{
    int n = snprintf(path, PATH_ROOM, "%s/", root);
    if (n < 0 || n >= PATH_ROOM) return false;
    int m = vsnprintf(path + n, (size_t)(PATH_ROOM - n), fmt, ap);
    return m >= 0 && m < PATH_ROOM - n;
}

static bool read_text(char *out, size_t cap, int fd)
{
    ssize_t n = pread(fd, out, cap - 1, 0);
    if (n < 0) return false;
    while (n > 0 && strchr(" \t\r\n", out[n - 1])) n--;
    out[n] = 0;
    return true;
}

static bool text_at(char *out, size_t cap, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ok = read_text(out, cap, fd);
    int sys = errno;
    close(fd);
    errno = sys;
    return ok;
}

bool wr_meter_text(char *out, size_t cap, const char *root, const char *fmt, ...)
{
    char path[PATH_ROOM];
    va_list ap;
    va_start(ap, fmt);
    bool ok = rooted(path, root, fmt, ap);
    va_end(ap);
    return ok && text_at(out, cap, path);
}

bool wr_meter_number(double *out, const char *root, const char *fmt, ...)
{
    char path[PATH_ROOM], text[64], *end;
    va_list ap;
    va_start(ap, fmt);
    bool ok = rooted(path, root, fmt, ap);
    va_end(ap);
    if (!ok || !text_at(text, sizeof text, path)) return false;
    *out = strtod(text, &end);
    return end > text && isfinite(*out);
}

int wr_meter_fd(const char *root, const char *fmt, ...)
{
    char path[PATH_ROOM];
    va_list ap;
    va_start(ap, fmt);
    bool ok = rooted(path, root, fmt, ap);
    va_end(ap);
    return ok ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

bool wr_meter_fd_u64(uint64_t *out, int fd)
{
    char text[32], *end;
    if (!read_text(text, sizeof text, fd) || text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == 0;
}

void wr_meter_add_name(char *name, size_t cap, const char *more)
{
    size_t n = strlen(name);
    int len = snprintf(name + n, cap - n, "%s%s", n ? " + " : "", more);
    if (len < 0 || (size_t)len >= cap - n) name[n] = 0;
}

/* ---- opening ---- */

static void describe(wr_meter *m, const char *why)
{
    char part[160];
    if (m->counter) snprintf(part, sizeof part, "%s, shared out by busy CPU time", m->counter->name);
    else snprintf(part, sizeof part, "no energy counter: model %s, %d threads", m->cpu.label, m->cpu.threads);
    char dram[64] = "";
    if (!m->counter && m->cpu.dram_w > 0) snprintf(dram, sizeof dram, ", %.1f W memory", m->cpu.dram_w);
    snprintf(m->text, sizeof m->text, "%s%s%s%s%s", part, dram, m->gpu ? "; GPU by NVML" : "", *why ? "; " : "", why);
}

int wr_meter_open(wr_meter **out, const char *root, wr_err *err)
{
    *out = NULL;
    bool real = !root || strcmp(root, "/") == 0;
    if (real) root = "";
    wr_meter *m = wr_calloc(1, sizeof *m);
    if (!m) return wr_err_nomem(err);
    pthread_mutex_init(&m->lock, NULL);
    char why[96] = "";
    for (size_t i = 0; i < sizeof chain / sizeof *chain && !m->counter; i++) {
        m->counter = chain[i]->open(root, why, sizeof why);
    }
    if (m->counter) why[0] = 0;
    if (real) m->gpu = wr_nvml_open("libnvidia-ml.so.1");
    wr_cpu_model_find(&m->cpu, root);
    m->stat_fd = wr_meter_fd(root, "proc/stat");
    describe(m, why);
    *out = m;
    return 0;
}

void wr_meter_close(wr_meter *m)
{
    if (!m) return;
    if (m->counter) m->counter->ops->close(m->counter);
    wr_nvml_close(m->gpu);
    if (m->stat_fd >= 0) close(m->stat_fd);
    pthread_mutex_destroy(&m->lock);
    wr_free(m);
}

wr_meter_source wr_meter_kind(const wr_meter *m) { return m->counter ? m->counter->ops->kind : WR_METER_MODEL; }

const char *wr_meter_describe(const wr_meter *m) { return m->text; }

void wr_meter_read(wr_meter *m, wr_meter_mark *out)
{
    *out = (wr_meter_mark){.mono_ns = wr_clock_mono_ns()};
    wr_cpu_times(m->stat_fd, &out->busy_s, &out->total_s);
    if (m->counter) {
        pthread_mutex_lock(&m->lock);
        out->machine_j = m->counter->ops->read(m->counter, out->mono_ns);
        pthread_mutex_unlock(&m->lock);
    }
    if (m->gpu) out->gpu_j = wr_nvml_joules(m->gpu);
}

/* ---- sharing out ---- */

typedef struct {
    double wall_s;
    double machine; /* n w: processor seconds that the machine could give */
    double busy;    /* share of them that was used, 0..1 */
    double of_busy; /* the work's part of the used ones, 0..1 */
    double of_all;  /* the work's part of all, 0..1 */
} shares;

static double clamp01(double x) { return x > 0 ? x < 1 ? x : 1 : 0; } /* NaN becomes 0 */

/* /proc/stat counts in hundredths of a second and cpu_s exactly, so in short intervals the work can seem busier than
 * the machine. */
static shares shares_of(const wr_meter *m, double wall_s, double busy_s, double total_s, double cpu_s)
{
    shares s = {.wall_s = fmax(wall_s, 0)};
    s.machine = fmax(total_s, m->cpu.threads * s.wall_s);
    if (!(cpu_s > 0)) cpu_s = 0;
    double busy = fmax(busy_s, cpu_s);
    s.busy = s.machine > 0 ? clamp01(busy / s.machine) : 0;
    s.of_busy = busy > 0 ? clamp01(cpu_s / busy) : 0;
    s.of_all = s.machine > 0 ? clamp01(cpu_s / s.machine) : 0;
    return s;
}

static void by_counter(const wr_meter *m, const shares *s, double joules, wr_energy *out)
{
    bool whole = s->of_busy >= WHOLE;
    out->active_j = joules * s->busy * s->of_busy;
    out->idle_j = joules * (1 - s->busy) * s->of_all;
    out->tier = whole ? 'A' : 'B';
    out->rel_uncertainty = m->counter->sampled ? 0.25 : whole ? 0.10 : 0.15;
    snprintf(out->source, sizeof out->source, "%s", m->counter->name);
}

static void by_model(const wr_meter *m, const shares *s, wr_energy *out)
{
    const wr_cpu_model *c = &m->cpu;
    double active_w = c->threads * (c->max_w - c->idle_w) * (2 * s->busy - s->busy * s->busy);
    out->active_j = active_w * s->wall_s * s->of_busy;
    out->idle_j = (c->threads * c->idle_w + c->dram_w) * s->wall_s * s->of_all;
    out->tier = 'C';
    out->rel_uncertainty = c->known ? 0.30 : 0.60;
    snprintf(out->source, sizeof out->source, "model %s", c->label);
}

static void add_gpu(wr_energy *out, double joules)
{
    out->energy_j = out->active_j + out->idle_j;
    if (!(joules > 0)) return;
    double cpu = out->energy_j;
    out->gpu_j = joules;
    out->energy_j += joules;
    out->rel_uncertainty = (out->rel_uncertainty * cpu + GPU_UNCERTAINTY * joules) / out->energy_j;
}

void wr_meter_energy(const wr_meter *m, const wr_meter_mark *from, const wr_meter_mark *to, double cpu_s,
                     wr_energy *out)
{
    *out = (wr_energy){0};
    double wall_s = (double)(to->mono_ns - from->mono_ns) * 1e-9;
    shares s = shares_of(m, wall_s, to->busy_s - from->busy_s, to->total_s - from->total_s, cpu_s);
    double joules = to->machine_j - from->machine_j;
    /* some hypervisors show a counter that stands still */
    bool alive = m->counter && (joules > 0 || wall_s < 1);
    if (alive) by_counter(m, &s, fmax(joules, 0), out);
    else by_model(m, &s, out);
    add_gpu(out, to->gpu_j - from->gpu_j);
}

void wr_meter_model(const wr_meter *m, double cpu_s, double wall_s, wr_energy *out)
{
    *out = (wr_energy){0};
    shares s = shares_of(m, wall_s, cpu_s, 0, cpu_s);
    by_model(m, &s, out);
    add_gpu(out, 0);
}
