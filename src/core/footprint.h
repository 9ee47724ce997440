/* SPDX-License-Identifier: Apache-2.0 */
/* footprint.h - the ledger: what each piece of work took in time, CPU, joules and grams of CO2e. Append-only; reports are queries.
 *
 * gCO2e = energy_kWh x PUE x grid intensity (operational, location based; SCI's O term). Intensity: `carbon:` in weir.yaml
 * ({region: DEU} from the built-in yearly table, or {intensity: 344}), default WORLD; value, year and source go into each row.
 * lo/hi = the energy's stated uncertainty.
 */
#pragma once
#include "core/project.h"
#include "io/meter.h"

typedef struct {
    int64_t t0_us, t1_us;
    const char *stage;              /* pipeline stage or command: "train", "serve", ... */
    const char *activity;           /* CycloneDX-like: data-collection, data-preparation, training, validation, deployment, inference, other */
    const char *run_id, *subject;   /* subject: "dataset:flights", "model:delay@1", "endpoint:delay" or "" */
    const char *answered_by;        /* of predictions: "model:delay@2", or a path; "" = the row says no more than its subject */
    double wall_s, cpu_s, max_rss, read_bytes, write_bytes;
    double units; const char *unit; /* functional unit: 1e6 "rows", "predictions", 1 "run" */
    wr_energy energy;
    double intensity; int intensity_year; const char *region, *intensity_source;
    double gco2e, gco2e_lo, gco2e_hi;
} wr_footprint;

typedef struct { double g_per_kwh, pue; int year; char region[32]; char source[96]; } wr_carbon;
int wr_carbon_of(wr_carbon *out, wr_project *p, wr_err *err);  /* unknown region: WEIR_EINVAL with did-you-mean */
/* Completes gco2e and intensity from `carbon` and appends the row, durable. */
int wr_footprint_add(wr_project *p, wr_footprint *f, wr_err *err);
/* All rows, oldest first, in the arena; `stage` NULL = all. */
int wr_footprint_list(wr_footprint **out, size_t *n, wr_arena *a, wr_project *p, const char *stage, wr_err *err);
