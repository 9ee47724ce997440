/* SPDX-License-Identifier: Apache-2.0 */
/* meter_source.h - private to the meter: counters behind one table, and what the model needs to know of the processor.
 *
 * A new counter is one file with a wr_counter_ops and one line in `chain` of meter.c.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/meter.h"

typedef struct wr_counter wr_counter;

typedef struct {
    wr_meter_source kind;
    /* A counter, or NULL when this machine has none; then `why` may tell what is missing ("needs root"). */
    wr_counter *(*open)(const char *root, char *why, size_t why_size);
    double (*read)(wr_counter *c, int64_t mono_ns); /* joules since open; called by one thread at a time */
    void (*close)(wr_counter *c);
} wr_counter_ops;

struct wr_counter { /* first member of each counter's own struct */
    const wr_counter_ops *ops;
    char name[64];   /* "rapl package-0 + dram" */
    bool sampled;    /* a power sensor: energy is known only as often as it is read */
};

extern const wr_counter_ops wr_counter_rapl, wr_counter_perf, wr_counter_hwmon;

/* A file of `root` as text without the white space at its end; false if it cannot be read (errno says why). */
bool wr_meter_text(char *out, size_t cap, const char *root, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same as a number. */
bool wr_meter_number(double *out, const char *root, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* An open descriptor, -1 if it cannot be opened. */
int wr_meter_fd(const char *root, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool wr_meter_fd_u64(uint64_t *out, int fd); /* number at the start of the file, read again each time */
/* Adds to a name "a + b"; what does not fit is left out. */
void wr_meter_add_name(char *name, size_t cap, const char *more);

/* ---- meter_cpu.c ---- */

typedef struct {
    char label[72];          /* "Milan (CPUID 25/1), SPECpower median 0.42..1.92 W/thread" */
    bool known;              /* family found in the table */
    int threads;
    double idle_w, max_w;    /* a hardware thread */
    double dram_w;           /* whole machine, beyond what the two above include */
} wr_cpu_model;

void wr_cpu_model_find(wr_cpu_model *out, const char *root);
/* Busy and total processor seconds of the machine since boot; false without /proc/stat. */
bool wr_cpu_times(int fd, double *busy_s, double *total_s);

/* ---- meter_perf.c ---- */

enum { WR_PERF_CPUS = 16 }; /* one for each socket */
typedef struct {
    uint32_t type;
    uint64_t config;
    double scale;            /* joules a count */
    int cpus[WR_PERF_CPUS], ncpus;
} wr_perf_event;
/* What sysfs says of power/`event` ("energy-pkg"); false when there is none. */
bool wr_perf_event_find(wr_perf_event *out, const char *root, const char *event);

/* ---- meter_nvml.c ---- */

typedef struct wr_nvml wr_nvml;
wr_nvml *wr_nvml_open(const char *library); /* NULL without library, driver or device */
void wr_nvml_close(wr_nvml *n);
double wr_nvml_joules(const wr_nvml *n);    /* of all devices since the driver was loaded */
