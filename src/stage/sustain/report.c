/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the ledger, summed. */
#include "stage/sustain/report.h"

#include <math.h>

#include "base/clock.h"

static wr_sustain_stage *stage_of(wr_sustain_report *r, const wr_footprint *f)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->stages[i].stage, f->stage) == 0) return &r->stages[i];
    wr_sustain_stage *s = &r->stages[r->n++];
    *s = (wr_sustain_stage){.stage = f->stage, .activity = f->activity, .unit = f->unit};
    return s;
}

static void add(wr_sustain_stage *s, const wr_footprint *f)
{
    double spread = f->energy.energy_j * f->energy.rel_uncertainty;
    s->runs++;
    s->wall_s += f->wall_s;
    s->cpu_s += f->cpu_s;
    s->max_rss = fmax(s->max_rss, f->max_rss);
    s->energy_j += f->energy.energy_j;
    s->active_j += f->energy.active_j;
    s->idle_j += f->energy.idle_j;
    s->energy_lo_j += f->energy.energy_j - spread;
    s->energy_hi_j += f->energy.energy_j + spread;
    s->gco2e += f->gco2e;
    s->gco2e_lo += f->gco2e_lo;
    s->gco2e_hi += f->gco2e_hi;
    if (s->unit && strcmp(s->unit, f->unit) == 0) s->units += f->units;
    else s->unit = "";
}

static void add_source(wr_sustain_report *r, const wr_footprint *f)
{
    size_t i = 0;
    while (i < r->nsources && strcmp(r->sources[i].source, f->energy.source) != 0) i++;
    if (i == r->nsources)
        r->sources[r->nsources++] = (wr_sustain_source){f->energy.tier, f->energy.source, 0, f->energy.rel_uncertainty};
    r->sources[i].energy_j += f->energy.energy_j;
}

int wr_sustain_report_make(wr_sustain_report *out, wr_arena *a, wr_project *p, int64_t since_us, wr_err *err)
{
    wr_footprint *rows;
    size_t n;
    memset(out, 0, sizeof *out);
    WR_TRY(wr_carbon_of(&out->carbon, p, err));
    WR_TRY(wr_footprint_list(&rows, &n, a, p, NULL, err));
    out->stages = wr_arena_calloc(a, n + 1, sizeof *out->stages);
    out->sources = wr_arena_calloc(a, n + 1, sizeof *out->sources);
    if (!out->stages || !out->sources) return wr_err_nomem(err);
    out->total = (wr_sustain_stage){.stage = "total", .activity = "", .unit = ""};
    for (size_t i = 0; i < n; i++) {
        if (rows[i].t1_us < since_us) continue;
        add(stage_of(out, &rows[i]), &rows[i]);
        add(&out->total, &rows[i]);
        add_source(out, &rows[i]);
        if (strcmp(rows[i].unit, "predictions") != 0) continue;
        out->predictions += rows[i].units;
        out->serve_j += rows[i].energy.energy_j;
        out->serve_active_j += rows[i].energy.active_j;
        out->serve_g += rows[i].gco2e;
    }
    return 0;
}

static void stage_json(wr_jsonw *w, const wr_sustain_stage *s)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "stage", s->stage);
    wr_jsonw_kstr(w, "activity", s->activity);
    wr_jsonw_ki64(w, "runs", (int64_t)s->runs);
    wr_jsonw_kf64(w, "seconds", s->wall_s);
    wr_jsonw_kf64(w, "cpu_seconds", s->cpu_s);
    wr_jsonw_kf64(w, "max_rss", s->max_rss);
    wr_jsonw_kf64(w, "energy_j", s->energy_j);
    wr_jsonw_kf64(w, "energy_lo_j", s->energy_lo_j);
    wr_jsonw_kf64(w, "energy_hi_j", s->energy_hi_j);
    wr_jsonw_kf64(w, "active_j", s->active_j);
    wr_jsonw_kf64(w, "idle_j", s->idle_j);
    wr_jsonw_kf64(w, "gco2e", s->gco2e);
    wr_jsonw_kf64(w, "gco2e_lo", s->gco2e_lo);
    wr_jsonw_kf64(w, "gco2e_hi", s->gco2e_hi);
    if (s->unit && s->unit[0]) {
        wr_jsonw_kf64(w, "units", s->units);
        wr_jsonw_kstr(w, "unit", s->unit);
    }
    wr_jsonw_end(w);
}

static void serving_json(wr_jsonw *w, const wr_sustain_report *r)
{
    wr_jsonw_key(w, "serving");
    wr_jsonw_obj(w);
    wr_jsonw_kf64(w, "predictions", r->predictions);
    if (r->predictions > 0) {
        wr_jsonw_kf64(w, "energy_j_per_1000", r->serve_j / r->predictions * 1000);
        wr_jsonw_kf64(w, "active_j_per_1000", r->serve_active_j / r->predictions * 1000);
        wr_jsonw_kf64(w, "gco2e_per_1000", r->serve_g / r->predictions * 1000);
    }
    wr_jsonw_end(w);
}

void wr_sustain_report_json(wr_jsonw *w, const wr_sustain_report *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "stages");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->n; i++) stage_json(w, &r->stages[i]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "total");
    stage_json(w, &r->total);
    serving_json(w, r);
    wr_jsonw_key(w, "sources");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->nsources; i++) {
        char tier[2] = {r->sources[i].tier, 0};
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "tier", tier);
        wr_jsonw_kstr(w, "source", r->sources[i].source);
        wr_jsonw_kf64(w, "relative_uncertainty", r->sources[i].rel_uncertainty);
        wr_jsonw_kf64(w, "energy_j", r->sources[i].energy_j);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_key(w, "grid");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "region", r->carbon.region);
    wr_jsonw_kf64(w, "gco2e_per_kwh", r->carbon.g_per_kwh);
    wr_jsonw_ki64(w, "year", r->carbon.year);
    wr_jsonw_kstr(w, "source", r->carbon.source);
    wr_jsonw_kf64(w, "pue", r->carbon.pue);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "not_included");
    wr_jsonw_arr(w);
    wr_jsonw_cstr(w, "embodied carbon of the hardware");
    wr_jsonw_cstr(w, "network and clients");
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

int wr_sustain_csv(wr_buf *out, wr_project *p, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_footprint *rows;
    size_t n;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_footprint_list(&rows, &n, a, p, NULL, err));
    wr_buf_str(out, "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_energy,gpu_"
                    "energy,energy_consumed,"
                    "country_iso_code,tracking_mode,pue\n");
    wr_carbon c;
    WR_TRY(wr_carbon_of(&c, p, err));
    for (size_t i = 0; i < n; i++) {
        const wr_footprint *f = &rows[i];
        char when[WR_TIME_TEXT];
        double kwh = f->energy.energy_j / 3.6e6;
        wr_time_format(when, f->t1_us);
        wr_buf_printf(out, "%s,%s,%s,%s,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%s,process,%.6g\n", when, f->stage, f->run_id,
                      f->activity, f->wall_s, f->gco2e / 1000, f->wall_s > 0 ? f->gco2e / 1000 / f->wall_s : 0,
                      (f->energy.energy_j - f->energy.gpu_j) / 3.6e6, f->energy.gpu_j / 3.6e6, kwh, f->region, c.pue);
    }
    return out->failed ? wr_err_nomem(err) : 0;
}
