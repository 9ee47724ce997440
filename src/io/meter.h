/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h - joules of a piece of work, from the best source the machine has, each figure with its source and uncertainty.
 *
 * Chain: RAPL powercap (/sys/class/powercap) -> RAPL by perf (power/energy-pkg) -> hwmon energyN_input / powerN_input -> NVML (added to
 * the CPU figure when present) -> model: P = n [idle + (max - idle)(2u - u^2)] by processor family (CPUID), SPECpower medians.
 * Machine energy is shared out to a piece of work by its share of busy CPU time (tier B when counted, C when modelled).
 * The idle part is reported apart (reserved share = CPU share of the work). Wraps of counters are handled.
 * `root` replaces "/" so that fixture trees can be read in tests.
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
    char source[48];                /* "rapl package-0", "model Milan (CPUID 25/1), SPECpower median 0.42..1.92 W/thread" */
} wr_energy;

/* Opens the best source. root NULL = "/". Never fails for lack of counters (the model remains); WEIR_ENOMEM. */
int wr_meter_open(wr_meter **out, const char *root, wr_err *err);
void wr_meter_close(wr_meter *m);
wr_meter_source wr_meter_kind(const wr_meter *m);

/* A reading: machine counters and busy time now. */
typedef struct { double machine_j, busy_s, total_s, gpu_j; int64_t mono_ns; } wr_meter_mark;
void wr_meter_read(wr_meter *m, wr_meter_mark *out);
/* Energy of a work that used `cpu_s` CPU seconds between two marks. */
void wr_meter_energy(const wr_meter *m, const wr_meter_mark *from, const wr_meter_mark *to, double cpu_s, wr_energy *out);
/* The model alone (no marks needed): `cpu_s` CPU seconds in `wall_s`; used for work whose marks are not known. */
void wr_meter_model(const wr_meter *m, double cpu_s, double wall_s, wr_energy *out);
/* One line for people: what is measured how here. */
const char *wr_meter_describe(const wr_meter *m);
