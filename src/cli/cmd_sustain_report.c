/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_sustain_report.c - weir sustain report. */
#include <stdio.h>

#include "base/num.h"
#include "cli/commands.h"
#include "io/file.h"
#include "stage/sustain/report.h"

static const wr_cmd_arg args[] = {
    {"since", 0, WR_ARG_TIME, "TIME", "leave out what ended before", NULL},
    {"csv", 0, WR_ARG_TEXT, "FILE", "write the ledger with CodeCarbon's column names", NULL},
};

typedef struct {
    double times;
    const char *header;
} unit_of_mass;

static unit_of_mass mass_for(double grams)
{
    if (grams >= 1) return (unit_of_mass){1, ">gCO2e"};
    return grams >= 1e-3 ? (unit_of_mass){1e3, ">mgCO2e"} : (unit_of_mass){1e6, ">ugCO2e"};
}

static void row(wr_cli *c, wr_table *t, const wr_sustain_stage *s, double most, unit_of_mass mass)
{
    char text[WR_NUM_TEXT];
    wr_table_cell(t, "%s", s->stage);
    wr_table_cell(t, "%zu", s->runs);
    wr_table_cell(t, "%s", wr_fmt_seconds(text, s->wall_s));
    wr_table_cell(t, "%s", wr_fmt_seconds(text, s->cpu_s));
    wr_table_cell(t, "%s", wr_fmt_si(text, s->energy_j, "J"));
    wr_table_cell(t, "%.3g..%.3g", s->gco2e_lo * mass.times, s->gco2e_hi * mass.times);
    if (s->unit[0]) wr_table_cell(t, "%s %s", wr_fmt_count(text, s->units), s->unit);
    else wr_table_cell(t, "%s", "");
    wr_table_cell(t, "%s", s->unit[0] ? wr_fmt_si(text, s->energy_j / s->units, "J") : "");
    wr_table_cell(t, "%s", most > 0 ? wr_bar(c, s->energy_j, most, 16) : "");
}

static void print_serving(wr_cli *c, const wr_sustain_report *r)
{
    char all[WR_NUM_TEXT], active[WR_NUM_TEXT], idle[WR_NUM_TEXT], lo[WR_NUM_TEXT], hi[WR_NUM_TEXT];
    double thousands = r->predictions / 1000;
    if (!(r->predictions > 0)) return;
    wr_say(c, "per 1000 predictions: %s, of it %s active and %s idle", wr_fmt_si(all, r->serve_j / thousands, "J"),
           wr_fmt_si(active, r->serve_active_j / thousands, "J"), wr_fmt_si(idle, r->serve_idle_j / thousands, "J"));
    wr_say(c, "SCI of serving: %s..%s CO2e per 1000 predictions, (E x I + M) / R with M not included",
           wr_fmt_si(lo, r->serve_g_lo / thousands, "g"), wr_fmt_si(hi, r->serve_g_hi / thousands, "g"));
}

static void print_grids(wr_cli *c, const wr_sustain_report *r)
{
    char energy[WR_NUM_TEXT];
    for (size_t i = 0; i < r->ngrids; i++)
        wr_say(c, "grid %s: %.1f gCO2e/kWh (%d, %s)%s%s", r->grids[i].region, r->grids[i].g_per_kwh, r->grids[i].year,
               r->grids[i].source, r->ngrids > 1 ? " for " : "",
               r->ngrids > 1 ? wr_fmt_si(energy, r->grids[i].energy_j, "J") : "");
}

static void print_text(wr_cli *c, const wr_sustain_report *r)
{
    double most = 0;
    char wh[WR_NUM_TEXT];
    unit_of_mass mass = mass_for(r->total.gco2e_hi);
    wr_table *t = wr_table_new(c, "STAGE", ">RUNS", ">WALL", ">CPU", ">ENERGY", mass.header, "WORK", ">EACH", "", NULL);
    for (size_t i = 0; i < r->n; i++) most = r->stages[i].energy_j > most ? r->stages[i].energy_j : most;
    for (size_t i = 0; i < r->n; i++) row(c, t, &r->stages[i], most, mass);
    row(c, t, &r->total, 0, mass);
    wr_table_print(t);
    wr_say(c, "energy in all: %s, %.3g to %.3g J", wr_fmt_si(wh, r->total.energy_j / 3600, "Wh"), r->total.energy_lo_j,
           r->total.energy_hi_j);
    print_serving(c, r);
    for (size_t i = 0; i < r->nsources; i++)
        wr_say(c, "energy from %s: tier %c, +-%.0f %%", r->sources[i].source, r->sources[i].tier,
               100 * r->sources[i].rel_uncertainty);
    print_grids(c, r);
    wr_say(c, "PUE now %.2f; not included: embodied carbon of the hardware, network, clients", r->carbon.pue);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_sustain_report r;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_sustain_report_make(&r, wr_cli_arena(c), p, wr_cli_has(c, "since") ? wr_cli_int(c, "since") : INT64_MIN,
                                  err));
    if (wr_cli_has(c, "csv")) {
        WR_AUTOBUF wr_buf b;
        wr_buf_init(&b, 0);
        WR_TRY(wr_sustain_csv(&b, p, err));
        WR_TRY(wr_file_write(wr_cli_text(c, "csv"), wr_buf_view(&b), err));
    }
    wr_sustain_report_json(wr_cli_jsonw(c), &r);
    if (r.n) print_text(c, &r);
    else wr_say(c, "the ledger is empty: nothing has run yet");
    return 0;
}

const wr_cmd wr_cmd_sustain_report = {
    "sustain report",
    "time, energy and carbon of stages and predictions",
    "",
    0,
    0,
    args,
    sizeof args / sizeof *args,
    "Every run appends its wall time, CPU time, memory, energy and gCO2e to the ledger. Energy\n"
    "comes from the best source the machine has (RAPL, perf, hwmon, NVML, else a model of CPU\n"
    "time by processor family); every figure names its source and its uncertainty. The grid's\n"
    "carbon intensity is the yearly mean of the region in weir.yaml (carbon: {region: DEU}).",
    "  weir sustain report\n  # for a dashboard that reads CodeCarbon's file\n  weir sustain report --csv "
    "emissions.csv",
    run};
