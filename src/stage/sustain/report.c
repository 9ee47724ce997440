/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the ledger, summed. */
#include "stage/sustain/report.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

static wr_sustain_stage *stage_of(wr_sustain_report *r, const wr_footprint *f)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->stages[i].stage, f->stage) == 0) return &r->stages[i];
    wr_sustain_stage *s = &r->stages[r->n++];
    *s = (wr_sustain_stage){.stage = f->stage, .activity = f->activity, .unit = ""};
    return s;
}

/* A row without countable work (a run that failed, a stage that says nothing) leaves the unit as it is. */
static void add_units(wr_sustain_stage *s, const wr_footprint *f)
{
    if (s->mixed || !f->unit[0] || !(f->units > 0)) return;
    if (!s->unit[0]) s->unit = f->unit;
    s->mixed = strcmp(s->unit, f->unit) != 0;
    s->units = s->mixed ? 0 : s->units + f->units;
    if (s->mixed) s->unit = "";
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
    s->energy_lo_j += fmax(f->energy.energy_j - spread, 0);
    s->energy_hi_j += f->energy.energy_j + spread;
    s->gco2e += f->gco2e;
    s->gco2e_lo += f->gco2e_lo;
    s->gco2e_hi += f->gco2e_hi;
    add_units(s, f);
}

static void add_source(wr_sustain_report *r, const wr_footprint *f)
{
    size_t i = 0;
    while (i < r->nsources &&
           (r->sources[i].tier != f->energy.tier || strcmp(r->sources[i].source, f->energy.source) != 0))
        i++;
    if (i == r->nsources) r->sources[r->nsources++] = (wr_sustain_source){f->energy.tier, f->energy.source, 0, 0};
    r->sources[i].energy_j += f->energy.energy_j;
    r->sources[i].rel_uncertainty = fmax(r->sources[i].rel_uncertainty, f->energy.rel_uncertainty);
}

static bool same_grid(const wr_sustain_grid *g, const wr_footprint *f)
{
    return strcmp(g->region, f->region) == 0 && strcmp(g->source, f->intensity_source) == 0 &&
           g->year == f->intensity_year && fabs(g->g_per_kwh - f->intensity) < 1e-9;
}

static void add_grid(wr_sustain_report *r, const wr_footprint *f)
{
    size_t i = 0;
    while (i < r->ngrids && !same_grid(&r->grids[i], f)) i++;
    if (i == r->ngrids)
        r->grids[r->ngrids++] = (wr_sustain_grid){f->region, f->intensity_source, f->intensity_year, f->intensity, 0};
    r->grids[i].energy_j += f->energy.energy_j;
}

static void add_serving(wr_sustain_report *r, const wr_footprint *f)
{
    if (strcmp(f->unit, "predictions") != 0) return;
    r->predictions += f->units;
    r->serve_j += f->energy.energy_j;
    r->serve_active_j += f->energy.active_j;
    r->serve_idle_j += f->energy.idle_j;
    r->serve_g += f->gco2e;
    r->serve_g_lo += f->gco2e_lo;
    r->serve_g_hi += f->gco2e_hi;
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
    out->grids = wr_arena_calloc(a, n + 1, sizeof *out->grids);
    if (!out->stages || !out->sources || !out->grids) return wr_err_nomem(err);
    out->total = (wr_sustain_stage){.stage = "total", .activity = "", .unit = ""};
    for (size_t i = 0; i < n; i++) {
        if (rows[i].t1_us < since_us) continue;
        add(stage_of(out, &rows[i]), &rows[i]);
        add(&out->total, &rows[i]);
        add_source(out, &rows[i]);
        add_grid(out, &rows[i]);
        add_serving(out, &rows[i]);
    }
    out->total.units = 0; /* the same rows pass through many stages: their sum means nothing */
    out->total.unit = "";
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
    if (s->unit[0]) {
        wr_jsonw_kf64(w, "units", s->units);
        wr_jsonw_kstr(w, "unit", s->unit);
        wr_jsonw_kf64(w, "energy_j_per_unit", s->energy_j / s->units);
        wr_jsonw_kf64(w, "gco2e_per_unit", s->gco2e / s->units);
    }
    wr_jsonw_end(w);
}

static void serving_json(wr_jsonw *w, const wr_sustain_report *r)
{
    double thousands = r->predictions / 1000;
    wr_jsonw_key(w, "serving");
    wr_jsonw_obj(w);
    wr_jsonw_kf64(w, "predictions", r->predictions);
    if (r->predictions > 0) {
        wr_jsonw_kf64(w, "energy_j_per_1000", r->serve_j / thousands);
        wr_jsonw_kf64(w, "active_j_per_1000", r->serve_active_j / thousands);
        wr_jsonw_kf64(w, "idle_j_per_1000", r->serve_idle_j / thousands);
        wr_jsonw_kf64(w, "gco2e_per_1000", r->serve_g / thousands);
        wr_jsonw_key(w, "sci");
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "functional_unit", "1000 predictions");
        wr_jsonw_kf64(w, "gco2e", r->serve_g / thousands);
        wr_jsonw_kf64(w, "gco2e_lo", r->serve_g_lo / thousands);
        wr_jsonw_kf64(w, "gco2e_hi", r->serve_g_hi / thousands);
        wr_jsonw_kbool(w, "embodied_included", false);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void sources_json(wr_jsonw *w, const wr_sustain_report *r)
{
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
}

static void grid_json(wr_jsonw *w, const char *region, double g_per_kwh, int year, const char *source)
{
    wr_jsonw_kstr(w, "region", region);
    wr_jsonw_kf64(w, "gco2e_per_kwh", g_per_kwh);
    wr_jsonw_ki64(w, "year", year);
    wr_jsonw_kstr(w, "source", source);
}

static void grids_json(wr_jsonw *w, const wr_sustain_report *r)
{
    wr_jsonw_key(w, "grid");
    wr_jsonw_obj(w);
    grid_json(w, r->carbon.region, r->carbon.g_per_kwh, r->carbon.year, r->carbon.source);
    wr_jsonw_kf64(w, "pue", r->carbon.pue);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "counted_with");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->ngrids; i++) {
        wr_jsonw_obj(w);
        grid_json(w, r->grids[i].region, r->grids[i].g_per_kwh, r->grids[i].year, r->grids[i].source);
        wr_jsonw_kf64(w, "energy_j", r->grids[i].energy_j);
        wr_jsonw_end(w);
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
    sources_json(w, r);
    grids_json(w, r);
    wr_jsonw_key(w, "not_included");
    wr_jsonw_arr(w);
    wr_jsonw_cstr(w, "embodied carbon of the hardware");
    wr_jsonw_cstr(w, "network and clients");
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

/* A field of CSV, quoted when it must be. */
static void field(wr_buf *b, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        wr_buf_str(b, s);
        return;
    }
    wr_buf_char(b, '"');
    for (; *s; s++) {
        if (*s == '"') wr_buf_char(b, '"');
        wr_buf_char(b, *s);
    }
    wr_buf_char(b, '"');
}

static void csv_row(wr_buf *b, const wr_footprint *f)
{
    char when[WR_TIME_TEXT];
    double kwh = f->energy.energy_j / 3.6e6, kg = f->gco2e / 1000;
    double pue = kwh * f->intensity > 0 ? f->gco2e / (kwh * f->intensity) : 1; /* the one it was counted with */
    wr_time_format(when, f->t1_us);
    const char *const texts[] = {when, f->stage, f->run_id, f->activity};
    for (size_t i = 0; i < 4; i++) {
        field(b, texts[i]);
        wr_buf_char(b, ',');
    }
    wr_buf_printf(b, "%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,", f->wall_s, kg, f->wall_s > 0 ? kg / f->wall_s : 0,
                  (f->energy.energy_j - f->energy.gpu_j) / 3.6e6, f->energy.gpu_j / 3.6e6, kwh);
    field(b, f->region);
    wr_buf_printf(b, ",process,%.6g\n", pue);
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
    for (size_t i = 0; i < n; i++) csv_row(out, &rows[i]);
    return out->failed ? wr_err_nomem(err) : 0;
}
