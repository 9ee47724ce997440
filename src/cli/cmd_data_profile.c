/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_profile.c - weir data profile. */
#include <math.h>

#include "base/num.h"
#include "cli/commands.h"
#include "core/run.h"
#include "io/file.h"
#include "stage/data/profile_report.h"

static const wr_cmd_arg args[] = {
    {"column", 'c', WR_ARG_LIST, "NAME", "only this column", NULL},
    {"report", 'r', WR_ARG_TEXT, "FILE", "write the profile as JSON", NULL},
    {"html", 0, WR_ARG_TEXT, "FILE", "write the profile as one HTML page", NULL},
};

static void tick(void *ctx, size_t done, size_t of) { wr_progress(ctx, "profiling", (double)done / (double)of); }

/* The histogram, or the most frequent texts with their shares. */
static const char *picture(wr_cli *c, const wr_profile *p)
{
    WR_AUTOBUF wr_buf b = {0};
    double v[WR_PROFILE_BINS];
    wr_buf_init(&b, 0);
    size_t present = p->rows - p->missing;
    if (p->type != WR_TEXT) {
        for (size_t i = 0; i < WR_PROFILE_BINS; i++) v[i] = (double)p->hist[i];
        return isnan(p->hist_lo) ? "" : wr_spark(c, v, WR_PROFILE_BINS);
    }
    for (size_t i = 0; i < p->ntop && i < 3; i++) {
        wr_str s = wr_str_fit(p->top[i].value, 16);
        wr_buf_printf(&b, "%s%.*s %.2g %%", i ? ", " : "", WR_STR_FMT(s),
                      100.0 * (double)p->top[i].n / (double)present);
    }
    char *text = wr_arena_strdup(wr_cli_arena(c), wr_buf_cstr(&b));
    for (char *t = text; t && *t; t++)
        if ((unsigned char)*t < 0x20 || *t == 0x7f) *t = ' ';
    return text ? text : "";
}

static void print_text(wr_cli *c, const wr_profile_report *r)
{
    char a[WR_NUM_TEXT], b[WR_PROFILE_TEXT];
    wr_table *t =
        wr_table_new(c, "COLUMN", "TYPE", ">MISSING", ">DISTINCT", ">MIN", ">MEDIAN", ">MEAN", ">MAX", "", NULL);
    for (size_t i = 0; i < r->n; i++) {
        const wr_profile *p = &r->column[i];
        bool text = p->type == WR_TEXT;
        wr_table_cell(t, "%s", p->name);
        wr_table_cell(t, "%s", wr_type_name(p->type));
        if (p->missing) wr_table_cell(t, "%.3g %%", 100.0 * (double)p->missing / (double)p->rows);
        else wr_table_cell(t, "0");
        wr_table_cell(t, "%s", wr_fmt_count(a, (double)p->distinct));
        wr_table_cell(t, "%s", text ? "-" : wr_profile_text(b, p, p->min));
        wr_table_cell(t, "%s", text ? "-" : wr_profile_text(b, p, p->quantile[4]));
        wr_table_cell(t, "%s", text || p->type == WR_TS ? "-" : wr_profile_text(b, p, p->mean));
        wr_table_cell(t, "%s", text ? "-" : wr_profile_text(b, p, p->max));
        wr_table_cell(t, "%s", picture(c, p));
    }
    wr_table_print(t);
    for (size_t i = 0; i < r->nskipped; i++) wr_say(c, "%s: binary, not profiled", r->skipped[i]);
    wr_say(c, "%s version %lld, %s rows; histograms span the quantiles 0.001 to 0.999", r->node.name,
           (long long)r->node.version, wr_fmt_count(a, (double)r->rows));
}

static int write_file(wr_cli *c, const char *option, const wr_profile_report *r, bool html, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    const char *path = wr_cli_text(c, option);
    if (!path) return 0;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 2);
    if (html) wr_profile_html(&b, r);
    else {
        wr_profile_json(&w, r);
        wr_buf_char(&b, '\n');
    }
    const char *dir = wr_path_dir(wr_cli_arena(c), path);
    if (b.failed || !dir) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(dir, err));
    return wr_file_write(path, wr_buf_view(&b), err);
}

static int profile(wr_cli *c, wr_profile_report *r, wr_project *p, wr_run *run, wr_err *err)
{
    const char **only;
    size_t n = wr_cli_list(c, "column", &only);
    wr_progress(c, "profiling", 0);
    WR_TRY(wr_profile_dataset(r, wr_cli_arena(c), p, wr_cli_arg(c, 0), only, n, wr_cli_pool(c), tick, c, err));
    wr_run_input(run, &r->node);
    wr_run_metric(run, "rows", (double)r->rows);
    wr_run_metric(run, "columns", (double)r->n);
    wr_run_units(run, (double)r->rows, "rows");
    WR_TRY(write_file(c, "report", r, false, err));
    return write_file(c, "html", r, true, err);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    wr_profile_report report;
    wr_err end = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    wr_run_opt ro = {"profile", "data-preparation", wr_cli_arg(c, 0), wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    int rc = profile(c, &report, p, r, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    wr_progress_end(c);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    wr_profile_json(wr_cli_jsonw(c), &report);
    print_text(c, &report);
    return 0;
}

const wr_cmd wr_cmd_data_profile = {
    "data profile",
    "show what the columns of a dataset look like",
    "NAME[@VERSION]",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "For every column: type, missing and distinct values, range, mean, quantiles and a\n"
    "histogram; for texts the most frequent values and their lengths. All rows are read;\n"
    "numbers are exact. The report is the input of nothing else: look at it, or keep it.",
    "  # on the terminal\n  weir data profile flights\n"
    "  # for a pipeline, and a page to pass on\n"
    "  weir data profile flights --report reports/profile.json --html reports/profile.html",
    run};
