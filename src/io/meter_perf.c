/* SPDX-License-Identifier: Apache-2.0 */
/* meter_perf.c - RAPL by perf events (PMU "power"): 64 bits wide, so it does not wrap; one event for each socket. */
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "io/meter_source.h"

enum { EVENTS = 2 * WR_PERF_CPUS };
#define POWER "sys/bus/event_source/devices/power/"

typedef struct {
    wr_counter base;
    size_t n;
    struct {
        int fd;
        double scale;
        uint64_t first;
    } at[EVENTS];
    double last_j;
} perf;

/* "event=0x02" */
static bool parse_config(uint64_t *out, const char *text)
{
    char *end;
    if (strncmp(text, "event=", 6) != 0) return false;
    *out = strtoull(text + 6, &end, 0);
    return end > text + 6 && *end == 0;
}

/* "0,18" or "0-1": the processors on which a socket's counter is read. */
static void parse_cpus(wr_perf_event *e, const char *text)
{
    wr_str rest = wr_str_of(text);
    while (rest.p) {
        wr_str last = wr_str_trim(wr_str_cut(&rest, ','));
        wr_str first = wr_str_cut(&last, '-');
        int64_t from, to;
        if (wr_num_i64(&from, first, NULL) < 0 || from < 0) continue;
        if (!last.p || wr_num_i64(&to, last, NULL) < 0) to = from;
        for (int64_t cpu = from; cpu <= to && e->ncpus < WR_PERF_CPUS; cpu++) e->cpus[e->ncpus++] = (int)cpu;
    }
}

bool wr_perf_event_find(wr_perf_event *out, const char *root, const char *event)
{
    double type;
    char text[128];
    *out = (wr_perf_event){0};
    if (!wr_meter_number(&type, root, POWER "type") || type < 0 || type > UINT32_MAX) return false;
    out->type = (uint32_t)type;
    if (!wr_meter_text(text, sizeof text, root, POWER "events/%s", event) || !parse_config(&out->config, text))
        return false;
    if (!wr_meter_number(&out->scale, root, POWER "events/%s.scale", event) || !(out->scale > 0)) return false;
    if (wr_meter_text(text, sizeof text, root, POWER "cpumask")) parse_cpus(out, text);
    return out->ncpus > 0;
}

static bool add_events(perf *p, const wr_perf_event *e, char *why, size_t why_size)
{
    for (int i = 0; i < e->ncpus && p->n < EVENTS; i++) {
        struct perf_event_attr attr = {.type = e->type, .size = sizeof attr, .config = e->config};
        int fd = (int)syscall(SYS_perf_event_open, &attr, -1, e->cpus[i], -1, PERF_FLAG_FD_CLOEXEC);
        if (fd < 0) {
            if ((errno == EACCES || errno == EPERM) && !*why)
                snprintf(why, why_size, "perf has energy counters; they need CAP_PERFMON or perf_event_paranoid 0");
            return false;
        }
        p->at[p->n].fd = fd;
        p->at[p->n++].scale = e->scale;
        if (read(fd, &p->at[p->n - 1].first, sizeof(uint64_t)) != sizeof(uint64_t)) return false;
    }
    return true;
}

static void perf_close(wr_counter *c)
{
    perf *p = (perf *)c;
    for (size_t i = 0; i < p->n; i++) close(p->at[i].fd);
    wr_free(p);
}

static wr_counter *perf_open(const char *root, char *why, size_t why_size)
{
    wr_perf_event package, memory;
    /* a type number from another root would name some other event here */
    if (*root || !wr_perf_event_find(&package, root, "energy-pkg")) return NULL;
    perf *p = wr_calloc(1, sizeof *p);
    if (!p) return NULL;
    p->base.ops = &wr_counter_perf;
    if (!add_events(p, &package, why, why_size)) {
        perf_close(&p->base);
        return NULL;
    }
    bool dram = wr_perf_event_find(&memory, root, "energy-ram") && add_events(p, &memory, why, why_size);
    wr_meter_add_name(p->base.name, sizeof p->base.name,
                      dram ? "perf power/energy-pkg + energy-ram" : "perf power/energy-pkg");
    return &p->base;
}

static double perf_read(wr_counter *c, int64_t mono_ns)
{
    (void)mono_ns;
    perf *p = (perf *)c;
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        uint64_t now;
        if (read(p->at[i].fd, &now, sizeof now) != sizeof now) return p->last_j;
        sum += (double)(now - p->at[i].first) * p->at[i].scale;
    }
    p->last_j = fmax(sum, p->last_j);
    return p->last_j;
}

const wr_counter_ops wr_counter_perf = {WR_METER_PERF, perf_open, perf_read, perf_close};
