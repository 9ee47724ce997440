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

static void row(wr_cli *c, wr_table *t, const wr_sustain_stage *s, double most)
{
    char wall[WR_NUM_TEXT], cpu[WR_NUM_TEXT], joules[WR_NUM_TEXT], units[WR_NUM_TEXT];
    wr_table_cell(t, "%s", s->stage);
    wr_table_cell(t, "%zu", s->runs);
    wr_table_cell(t, "%s", wr_fmt_seconds(wall, s->wall_s));
    wr_table_cell(t, "%s", wr_fmt_seconds(cpu, s->cpu_s));
    wr_table_cell(t, "%s", wr_fmt_si(joules, s->energy_j, "J"));
    wr_table_cell(t, "%.3g..%.3g", s->gco2e_lo, s->gco2e_hi);
    if (s->unit && s->unit[0] && s->units > 0) wr_table_cell(t, "%s %s", wr_fmt_count(units, s->units), s->unit);
    else wr_table_cell(t, "%s", "");
    wr_table_cell(t, "%s", most > 0 ? wr_bar(c, s->energy_j, most, 16) : "");
}

static void print_text(wr_cli *c, const wr_sustain_report *r)
{
    double most = 0;
    char a[WR_NUM_TEXT], b[WR_NUM_TEXT];
    wr_table *t = wr_table_new(c, "STAGE", ">RUNS", ">WALL", ">CPU", ">ENERGY", ">gCO2e", "WORK", "", NULL);
    for (size_t i = 0; i < r->n; i++) most = r->stages[i].energy_j > most ? r->stages[i].energy_j : most;
    for (size_t i = 0; i < r->n; i++) row(c, t, &r->stages[i], most);
    row(c, t, &r->total, 0);
    wr_table_print(t);
    if (r->predictions > 0)
        wr_say(c, "per 1000 predictions: %s (%s of it active), %.3g gCO2e",
               wr_fmt_si(a, r->serve_j / r->predictions * 1000, "J"),
               wr_fmt_si(b, r->serve_active_j / r->predictions * 1000, "J"), r->serve_g / r->predictions * 1000);
    for (size_t i = 0; i < r->nsources; i++)
        wr_say(c, "energy from %s: tier %c, +-%.0f %%", r->sources[i].source, r->sources[i].tier,
               100 * r->sources[i].rel_uncertainty);
    wr_say(c, "grid %s: %.1f gCO2e/kWh (%d, %s), PUE %.2f", r->carbon.region, r->carbon.g_per_kwh, r->carbon.year,
           r->carbon.source, r->carbon.pue);
    wr_say(c, "not included: embodied carbon of the hardware, network, clients");
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
    "time, energy and carbon of every stage and per 1000 predictions",
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
