/* SPDX-License-Identifier: Apache-2.0 */
/* meter_rapl.c - RAPL by /sys/class/powercap (Intel, and AMD under the same names).
 *
 * Zones overlap: package contains core and uncore, psys contains everything; dram stands beside package. Counted are
 * package and dram, or psys alone where there is no package. The same package can be listed twice, by MSR (intel-rapl)
 * and by MMIO (intel-rapl-mmio); MMIO wins, because the MSR one may be locked by firmware.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "io/meter_source.h"

enum { ZONES = 64 };

typedef enum { PACKAGE, DRAM, PSYS, OTHER } part;

typedef struct {
    char id[64];     /* "intel-rapl:0:2" */
    char domain[64]; /* "package-0", "package-0/dram": the same in both interfaces */
    part part;
    bool mmio;
    int fd;
    uint64_t range, last; /* microjoules */
} zone;

typedef struct {
    wr_counter base;
    size_t n;
    zone zones[ZONES];
    double sum_j;
} rapl;

static part part_of(const char *name)
{
    if (strncmp(name, "package", 7) == 0) return PACKAGE;
    if (strcmp(name, "dram") == 0) return DRAM;
    return strcmp(name, "psys") == 0 ? PSYS : OTHER;
}

/* "intel-rapl:0:2" is part of "intel-rapl:0": its domain is "package-0/dram". */
static bool name_zone(zone *z, const char *root)
{
    char name[24], parent[24] = "", up[64];
    if (!wr_meter_text(name, sizeof name, root, "sys/class/powercap/%s/name", z->id)) return false;
    z->part = part_of(name);
    z->mmio = strncmp(z->id, "intel-rapl-mmio", 15) == 0;
    memcpy(up, z->id, sizeof up);
    char *colon = strrchr(up, ':');
    if (colon && colon != strchr(up, ':')) {
        *colon = 0;
        if (!wr_meter_text(parent, sizeof parent, root, "sys/class/powercap/%s/name", up)) return false;
    }
    int n = snprintf(z->domain, sizeof z->domain, "%s%s%s", parent, *parent ? "/" : "", name);
    return n > 0 && (size_t)n < sizeof z->domain;
}

static bool open_zone(zone *z, const char *root, char *why, size_t why_size)
{
    double range = 0;
    z->fd = wr_meter_fd(root, "sys/class/powercap/%s/energy_uj", z->id);
    if (z->fd >= 0 && wr_meter_fd_u64(&z->last, z->fd)) {
        if (wr_meter_number(&range, root, "sys/class/powercap/%s/max_energy_range_uj", z->id) && range > 0 &&
            range < 1.8e19)
            z->range = (uint64_t)range;
        return true;
    }
    if (errno == EACCES || errno == EPERM) snprintf(why, why_size, "RAPL is there, but only root may read it");
    if (z->fd >= 0) close(z->fd);
    z->fd = -1;
    return false;
}

static zone *same_domain(rapl *r, const zone *z)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->zones[i].domain, z->domain) == 0) return &r->zones[i];
    }
    return NULL;
}

static void take(rapl *r, const char *id, const char *root, char *why, size_t why_size)
{
    zone z = {.fd = -1};
    size_t n = strlen(id);
    if (strncmp(id, "intel-rapl", 10) != 0 || !strchr(id, ':') || n >= sizeof z.id) return;
    memcpy(z.id, id, n + 1);
    if (!name_zone(&z, root) || z.part == OTHER) return;
    zone *twin = same_domain(r, &z);
    if ((twin && twin->mmio >= z.mmio) || (!twin && r->n == ZONES)) return;
    if (!open_zone(&z, root, why, why_size)) return;
    if (twin) close(twin->fd);
    *(twin ? twin : &r->zones[r->n++]) = z;
}

static void drop_where(rapl *r, bool (*unwanted)(const rapl *, const zone *))
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (unwanted(r, &r->zones[i])) close(r->zones[i].fd);
        else r->zones[kept++] = r->zones[i];
    }
    r->n = kept;
}

static bool has(const rapl *r, part wanted)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->zones[i].part == wanted) return true;
    }
    return false;
}

static bool overlapping(const rapl *r, const zone *z) { return has(r, PACKAGE) ? z->part == PSYS : z->part != PSYS; }

static int by_domain(const void *a, const void *b)
{
    return strcmp(((const zone *)a)->domain, ((const zone *)b)->domain);
}

/* "rapl package-0 + dram + package-1 + dram" */
static void name_counter(rapl *r)
{
    for (size_t i = 0; i < r->n; i++) {
        char part_name[72];
        const char *domain = r->zones[i].domain, *sub = strchr(domain, '/');
        snprintf(part_name, sizeof part_name, "%s%s", i ? "" : "rapl ", sub ? sub + 1 : domain);
        wr_meter_add_name(r->base.name, sizeof r->base.name, part_name);
    }
}

static void rapl_close(wr_counter *c)
{
    rapl *r = (rapl *)c;
    for (size_t i = 0; i < r->n; i++) close(r->zones[i].fd);
    wr_free(r);
}

static wr_counter *rapl_open(const char *root, char *why, size_t why_size)
{
    char path[1024];
    int len = snprintf(path, sizeof path, "%s/sys/class/powercap", root);
    DIR *d = len > 0 && (size_t)len < sizeof path ? opendir(path) : NULL;
    if (!d) return NULL;
    rapl *r = wr_calloc(1, sizeof *r);
    for (struct dirent *e; r && (e = readdir(d)) != NULL;) take(r, e->d_name, root, why, why_size);
    closedir(d);
    if (!r) return NULL;
    r->base.ops = &wr_counter_rapl;
    drop_where(r, overlapping);
    if (r->n == 0) {
        rapl_close(&r->base);
        return NULL;
    }
    qsort(r->zones, r->n, sizeof *r->zones, by_domain);
    name_counter(r);
    return &r->base;
}

/* A step back is a wrap at `range`; without a known range, or beyond it, the counter began again from 0. */
static uint64_t step(const zone *z, uint64_t now)
{
    if (now >= z->last) return now - z->last;
    return z->range >= z->last ? z->range - z->last + now : now;
}

static double rapl_read(wr_counter *c, int64_t mono_ns)
{
    (void)mono_ns;
    rapl *r = (rapl *)c;
    for (size_t i = 0; i < r->n; i++) {
        uint64_t now;
        if (!wr_meter_fd_u64(&now, r->zones[i].fd)) continue;
        r->sum_j += (double)step(&r->zones[i], now) * 1e-6;
        r->zones[i].last = now;
    }
    return r->sum_j;
}

const wr_counter_ops wr_counter_rapl = {WR_METER_RAPL, rapl_open, rapl_read, rapl_close};
