/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h - joules of a piece of work, from the best source the machine has, each figure with its source and
 * uncertainty.
 *
 * Chain: RAPL powercap (/sys/class/powercap) -> RAPL by perf (power/energy-pkg) -> hwmon energyN_input / powerN_input
 * -> NVML (added to the CPU figure when present) -> model: P = n [idle + (max - idle)(2u - u^2)] by processor family
 * (CPUID), SPECpower medians. Machine energy is shared out to a piece of work by its share of busy CPU time (tier A
 * when the work was nearly all of it, B when shared, C when modelled). The idle part is reported apart (reserved share
 * = CPU share of the work).
 *
 * With b = busy share of the machine in the interval (without steal), w = wall time, n = hardware threads, E = counted
 * energy:
 *   counted   active = E b cpu_s / busy_s                    idle = E (1 - b) cpu_s / (n w)
 *   modelled  active = n (max - idle) (2b - b^2) w cpu_s / busy_s   idle = (n idle + dram) w cpu_s / (n w)
 * so that the parts of several works never add up to more than the machine used. dram = 0.34 W for each GB beyond 1.1
 * GB a thread, which the watts of the family are taken to include. Full load of a 2-thread Milan guest: 3.8 W, with
 * 24 GB 12 W.
 *
 * Counters wrap (RAPL after about 262 kJ, 20 minutes at 200 W) and power sensors are only known when they are read:
 * while a long work runs call wr_meter_read() at least once a minute and throw the mark away. A read costs some 10 us.
 * A GPU is counted whole, not by share. Threads: all functions may be called from any thread. `root` replaces "/" so
 * that fixture trees can be read in tests.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

typedef enum { WR_METER_RAPL, WR_METER_PERF, WR_METER_HWMON, WR_METER_MODEL } wr_meter_source;

typedef struct wr_meter wr_meter;

typedef struct {
    double energy_j;                /* attributed to the work: active + idle share + gpu */
    double active_j, idle_j, gpu_j;
    double rel_uncertainty;         /* 0.15 = +-15 % */
    char tier;                      /* 'A' counter of the whole work, 'B' counter and share, 'C' model */
    char source[96];                /* "rapl package-0", "model Milan (CPUID 25/1), SPECpower median ..." */
} wr_energy;

/* Opens the best source. root NULL = "/". Never fails for lack of counters (the model remains); WEIR_ENOMEM. */
int wr_meter_open(wr_meter **out, const char *root, wr_err *err);
void wr_meter_close(wr_meter *m);
wr_meter_source wr_meter_kind(const wr_meter *m);

/* A reading: machine counters (joules since open) and busy time now. */
typedef struct { double machine_j, busy_s, total_s, gpu_j; int64_t mono_ns; } wr_meter_mark;
void wr_meter_read(wr_meter *m, wr_meter_mark *out);
/* Energy of a work that used `cpu_s` CPU seconds between two marks. */
void wr_meter_energy(const wr_meter *m, const wr_meter_mark *from, const wr_meter_mark *to, double cpu_s,
                     wr_energy *out);
/* The model alone (no marks needed): `cpu_s` CPU seconds in `wall_s`; used for work whose marks are not known. */
void wr_meter_model(const wr_meter *m, double cpu_s, double wall_s, wr_energy *out);
/* One line for people: what is measured how here. */
const char *wr_meter_describe(const wr_meter *m);
