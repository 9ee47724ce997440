/* SPDX-License-Identifier: Apache-2.0 */
/* meter_testing.h - for tests only: a tree in place of "/" with one RAPL package and one processor, whose counters move by hand. */
#pragma once
#include <stdio.h>
#include <unistd.h>

#include "core/trips_testing.h"

static char meter_root[400];

static inline void meter_put(const char *name, const char *text)
{
    char path[500];
    snprintf(path, sizeof path, "%s/%s", meter_root, name);
    FILE *f = fopen(path, "w"); /* in place: the meter keeps it open */
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Since the beginning: joules of the machine, busy seconds of its processor (it is never idle). */
static inline void meter_set(double joules, double busy_s)
{
    char text[200];
    long long ticks = (long long)(busy_s * (double)sysconf(_SC_CLK_TCK));
    snprintf(text, sizeof text, "%lld\n", (long long)(joules * 1e6));
    meter_put("sys/class/powercap/intel-rapl:0/energy_uj", text);
    snprintf(text, sizeof text, "cpu  %lld 0 0 0 0 0 0 0\ncpu0 %lld 0 0 0 0 0 0 0\n", ticks, ticks);
    meter_put("proc/stat", text);
}

static inline const char *meter_make(trips *w)
{
    snprintf(meter_root, sizeof meter_root, "%s/machine", w->dir);
    OK(wr_file_mkdirs(trips_path(w, "machine/proc"), err));
    OK(wr_file_mkdirs(trips_path(w, "machine/sys/class/powercap/intel-rapl:0"), err));
    meter_put("proc/cpuinfo", "processor\t: 0\n");
    meter_put("proc/meminfo", "MemTotal:       16000000 kB\n");
    meter_put("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    meter_put("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
    meter_set(0, 0);
    return meter_root;
}
