/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - sums over the footprint ledger: what each stage, and each thousand predictions, took in time, energy and carbon.
 *
 * Nothing is measured here: every figure is a sum of ledger rows (core/footprint.h), and names its sources. Uncertainties of rows are
 * added linearly (they share their systematic error: the model's coefficients), so the interval is honest rather than narrow.
 * Functional units follow the Software Carbon Intensity specification: SCI = (E x I + M) / R, with M (embodied) not included.
 */
#pragma once
#include "codec/json.h"
#include "core/footprint.h"

typedef struct {
    const char *stage, *activity;
    size_t runs;
    double wall_s, cpu_s, max_rss;
    double energy_j, active_j, idle_j, energy_lo_j, energy_hi_j;
    double gco2e, gco2e_lo, gco2e_hi;
    double units; const char *unit; /* summed where the rows that did countable work agree on the unit, else 0 and "" */
    bool mixed;                     /* they do not agree */
} wr_sustain_stage;

typedef struct { char tier; const char *source; double energy_j, rel_uncertainty; /* the largest of its rows */ } wr_sustain_source;
typedef struct { const char *region, *source; int year; double g_per_kwh, energy_j; } wr_sustain_grid; /* what rows were counted with */

typedef struct {
    wr_sustain_stage *stages; size_t n;   /* in order of first appearance */
    wr_sustain_stage total;
    wr_sustain_source *sources; size_t nsources; /* each source and tier once */
    wr_sustain_grid *grids; size_t ngrids;
    double predictions, serve_j, serve_active_j, serve_idle_j, serve_g, serve_g_lo, serve_g_hi; /* of the rows whose unit is "predictions" */
    wr_carbon carbon;                     /* as weir.yaml says now; rows keep what held when they were written */
} wr_sustain_report;

/* Everything in `a`. `since_us` leaves older rows out (INT64_MIN = all). */
int wr_sustain_report_make(wr_sustain_report *out, wr_arena *a, wr_project *p, int64_t since_us, wr_err *err);
void wr_sustain_report_json(wr_jsonw *w, const wr_sustain_report *r);
/* CodeCarbon's emissions.csv columns (those that have a counterpart), one row a ledger entry. */
int wr_sustain_csv(wr_buf *out, wr_project *p, wr_err *err);
