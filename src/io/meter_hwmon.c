/* SPDX-License-Identifier: Apache-2.0 */
/* meter_hwmon.c - board and socket sensors under /sys/class/hwmon: energyN_input (microjoules) or powerN_average,
 * powerN_input (microwatts).
 *
 * One chip is used, so that nothing is counted twice: the first with energy counters, else the first with power. Chips
 * of graphics cards, disks and batteries measure something else. amd_energy lists cores beside sockets; only its
 * sockets count. Power between two readings is taken as the mean of both, so it is as good as it is read often.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/meter_source.h"

enum { SENSORS = 32, CHIPS = 64 };

typedef struct {
    wr_counter base;
    size_t n;
    int fds[SENSORS];
    uint64_t last[SENSORS]; /* microjoules, or microwatts */
    int64_t last_ns;        /* 0 before the first reading */
    double sum_j;
} hwmon;

static bool foreign_chip(const char *name)
{
    static const char *const others[] = {"amdgpu", "nouveau",   "radeon", "i915", "xe",
                                         "nvme",   "drivetemp", "ucsi",   "BAT",  "iwlwifi"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strncmp(name, others[i], strlen(others[i])) == 0) return true;
    }
    return false;
}

/* Cores are parts of their socket. */
static bool part_of_another(const char *root, int chip, const char *kind, int i)
{
    char label[64];
    if (!wr_meter_text(label, sizeof label, root, "sys/class/hwmon/hwmon%d/%s%d_label", chip, kind, i)) return false;
    return strncmp(label, "Ecore", 5) == 0 || strncmp(label, "core", 4) == 0;
}

static int sensor_fd(const char *root, int chip, const char *kind, int i)
{
    int fd = -1;
    if (strcmp(kind, "power") == 0) fd = wr_meter_fd(root, "sys/class/hwmon/hwmon%d/power%d_average", chip, i);
    return fd >= 0 ? fd : wr_meter_fd(root, "sys/class/hwmon/hwmon%d/%s%d_input", chip, kind, i);
}

static bool open_chip(hwmon *h, const char *root, int chip, const char *kind)
{
    char name[32];
    if (!wr_meter_text(name, sizeof name, root, "sys/class/hwmon/hwmon%d/name", chip) || foreign_chip(name))
        return false;
    for (int i = 1; i <= SENSORS && h->n < SENSORS; i++) {
        if (part_of_another(root, chip, kind, i)) continue;
        int fd = sensor_fd(root, chip, kind, i);
        if (fd < 0) continue;
        if (wr_meter_fd_u64(&h->last[h->n], fd)) h->fds[h->n++] = fd;
        else close(fd);
    }
    if (h->n > 0) snprintf(h->base.name, sizeof h->base.name, "hwmon %s %s", name, kind);
    return h->n > 0;
}

static wr_counter *hwmon_open(const char *root, char *why, size_t why_size)
{
    (void)why, (void)why_size;
    static const char *const kinds[] = {"energy", "power"};
    hwmon *h = wr_calloc(1, sizeof *h);
    if (!h) return NULL;
    h->base.ops = &wr_counter_hwmon;
    for (int kind = 0; kind < 2; kind++) {
        for (int chip = 0; chip < CHIPS; chip++) {
            if (!open_chip(h, root, chip, kinds[kind])) continue;
            h->base.sampled = kind == 1;
            return &h->base;
        }
    }
    wr_free(h);
    return NULL;
}

static double hwmon_read(wr_counter *c, int64_t mono_ns)
{
    hwmon *h = (hwmon *)c;
    double passed_s = h->last_ns ? (double)(mono_ns - h->last_ns) * 1e-9 : 0;
    for (size_t i = 0; i < h->n; i++) {
        uint64_t now, before = h->last[i];
        if (!wr_meter_fd_u64(&now, h->fds[i])) continue;
        if (h->base.sampled) h->sum_j += ((double)before + (double)now) / 2 * 1e-6 * passed_s;
        else h->sum_j += (double)(now >= before ? now - before : now) * 1e-6; /* a step back: it began again from 0 */
        h->last[i] = now;
    }
    h->last_ns = mono_ns;
    return h->sum_j;
}

static void hwmon_close(wr_counter *c)
{
    hwmon *h = (hwmon *)c;
    for (size_t i = 0; i < h->n; i++) close(h->fds[i]);
    wr_free(h);
}

const wr_counter_ops wr_counter_hwmon = {WR_METER_HWMON, hwmon_open, hwmon_read, hwmon_close};
