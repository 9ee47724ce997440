/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_monitor.c - weir monitor: windows of an endpoint's predictions against the reference and the labels. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "io/file.h"
#include "stage/monitor/page.h"

static const wr_cmd_arg args[] = {
    {"window-end", 'w', WR_ARG_TIME, "TIME", "judge only the window that ends then", NULL},
    {"record", 0, WR_ARG_FLAG, NULL, "judge one window (the newest complete) and write it as events", NULL},
    {"report", 'r', WR_ARG_TEXT, "FILE", "write the figures as JSON", NULL},
    {"html", 0, WR_ARG_TEXT, "FILE", "write a page with tables and lines", NULL},
};

typedef struct {
    wr_cli *cli;
    wr_project *project;
    wr_monitor monitor;
    wr_monitor_session *session;
    wr_monitor_result *windows;
    size_t n;
    bool drifts; /* a complete window does */
} job;

/* ---- judging ---- */

static int window_end(int64_t *out, job *j, wr_err *err)
{
    if (wr_cli_has(j->cli, "window-end")) {
        *out = wr_cli_int(j->cli, "window-end");
        return 0;
    }
    int64_t watermark = wr_monitor_watermark(j->session);
    if (wr_monitor_newest(out, &j->monitor, watermark)) return 0;
    char text[WR_TIME_TEXT] = "none";
    if (watermark != INT64_MIN) wr_monitor_time(text, watermark);
    wr_err_set(err, WEIR_ENOTFOUND, "no window of endpoint \"%s\" is complete yet", j->monitor.endpoint);
    return wr_err_hint(err, WEIR_ENOTFOUND, "newest prediction: %s; the first window and label_lag must lie before it",
                       text);
}

static int judge(job *j, wr_err *err)
{
    wr_arena *a = wr_cli_arena(j->cli);
    int64_t one, *ends = &one;
    if (wr_cli_has(j->cli, "window-end") || wr_cli_flag(j->cli, "record")) {
        WR_TRY(window_end(&one, j, err));
        j->n = 1;
    } else {
        WR_TRY(wr_monitor_ends(&ends, &j->n, a, j->session, err));
    }
    j->windows = wr_arena_calloc(a, j->n + 1, sizeof *j->windows);
    if (!j->windows) return wr_err_nomem(err);
    for (size_t i = 0; i < j->n; i++) {
        wr_progress(j->cli, "judging windows", (double)i / (double)j->n);
        WR_TRY(wr_monitor_window(&j->windows[i], a, j->session, ends[i], err));
        j->drifts = j->drifts || (j->windows[i].complete && j->windows[i].drifts);
    }
    return 0;
}

/* ---- text ---- */

static const char *number(wr_cli *c, const char *fmt, double v)
{
    char text[48];
    if (isnan(v)) return "-";
    if (strcmp(fmt, "%") == 0) snprintf(text, sizeof text, "%.1f %%", 100 * v);
    else snprintf(text, sizeof text, "%.4f", v);
    const char *s = wr_arena_strdup(wr_cli_arena(c), text);
    return s ? s : "";
}

static const char *mark(const wr_monitor_result *r) { return !r->complete ? "open" : r->drifts ? "DRIFT" : "ok"; }

/* "1 2" */
static const char *versions(wr_cli *c, const wr_monitor_result *r)
{
    const char *s = "";
    for (size_t i = 0; s && i < r->nversions; i++)
        s = wr_arena_printf(wr_cli_arena(c), "%s%s%lld", s, i ? " " : "", (long long)r->versions[i].version);
    return s ? s : "";
}

static void window_row(job *j, wr_table *t, const wr_monitor_result *r, double most)
{
    wr_cli *c = j->cli;
    char from[WR_TIME_TEXT], to[WR_TIME_TEXT], rows[WR_NUM_TEXT], value[40] = "";
    const wr_monitor_drift *worst = r->ndrift ? &r->drift[r->worst] : NULL;
    wr_monitor_time(from, r->start_us);
    wr_monitor_time(to, r->end_us);
    if (worst) snprintf(value, sizeof value, "%s", isnan(worst->value) ? "no value" : number(c, "", worst->value));
    wr_table_cell(t, "%s", from);
    wr_table_cell(t, "%s", to);
    wr_table_cell(t, "%s", wr_fmt_count(rows, (double)r->all.rows));
    wr_table_cell(t, "%s", number(c, "%", r->all.rows ? (double)r->all.labelled / (double)r->all.rows : NAN));
    wr_table_cell(t, "%s", number(c, "%", r->all.label_share));
    wr_table_cell(t, "%s", number(c, "%", r->all.mean_score));
    wr_table_cell(t, "%s", number(c, "", r->all.auc));
    wr_table_cell(t, "%s", number(c, "", r->all.log_loss));
    wr_table_cell(t, "%s", versions(c, r));
    wr_table_cell(t, "%s", worst ? worst->column : "");
    wr_table_cell(t, "%s", value);
    wr_table_cell(t, "%s", worst ? wr_bar(c, worst->severity, most, 12) : "");
    wr_table_cell(t, "%s", mark(r));
}

static void print_windows(job *j)
{
    double most = 1;
    for (size_t i = 0; i < j->n; i++) {
        const wr_monitor_result *r = &j->windows[i];
        if (r->ndrift && isfinite(r->drift[r->worst].severity)) most = fmax(most, r->drift[r->worst].severity);
    }
    wr_table *t = wr_table_new(j->cli, "FROM", "UNTIL", ">ROWS", ">LABELLED", ">LABEL", ">SCORE", ">AUC", ">LOG LOSS",
                               "MODEL", "WORST", ">DRIFT", "", "", NULL);
    for (size_t i = 0; i < j->n; i++) window_row(j, t, &j->windows[i], most);
    wr_table_print(t);
    wr_say(j->cli, "drift is %s from the reference, at %g and more; \"open\" windows are not complete yet",
           j->monitor.stat->name, j->monitor.threshold);
}

static void print_drift(job *j, const wr_monitor_result *r)
{
    double most = 1;
    wr_table *t = wr_table_new(j->cli, "COLUMN", "STATISTIC", ">VALUE", ">THRESHOLD", "", "", ">REFERENCE", ">CURRENT",
                               ">MISSING", NULL);
    for (size_t i = 0; i < r->ndrift; i++)
        if (isfinite(r->drift[i].severity)) most = fmax(most, r->drift[i].severity);
    for (size_t i = 0; i < r->ndrift; i++) {
        const wr_monitor_drift *d = &r->drift[i];
        wr_table_cell(t, "%s", d->column);
        wr_table_cell(t, "%s", d->stat->name);
        wr_table_cell(t, "%s", isnan(d->value) ? "no value" : number(j->cli, "", d->value));
        wr_table_cell(t, "%s %g", d->stat->p_value ? "p <=" : ">=", d->threshold);
        wr_table_cell(t, "%s", wr_bar(j->cli, d->severity, most, 16));
        wr_table_cell(t, "%s", d->drifts ? "DRIFT" : "ok");
        wr_table_cell(t, "%s", d->category ? "" : number(j->cli, "", d->all.mean_ref));
        wr_table_cell(t, "%s", d->category ? "" : number(j->cli, "", d->all.mean_cur));
        wr_table_cell(t, "%s", number(j->cli, "%", d->all.missing_cur));
    }
    wr_table_print(t);
}

static void performance_row(job *j, wr_table *t, const wr_monitor_performance *p, const char *name)
{
    char rows[WR_NUM_TEXT], labelled[WR_NUM_TEXT];
    wr_table_cell(t, "%s", name);
    wr_table_cell(t, "%s", wr_fmt_count(rows, (double)p->rows));
    wr_table_cell(t, "%s", wr_fmt_count(labelled, (double)p->labelled));
    wr_table_cell(t, "%s", number(j->cli, "%", p->label_share));
    wr_table_cell(t, "%s", number(j->cli, "%", p->mean_score_labelled));
    wr_table_cell(t, "%s", number(j->cli, "", p->auc));
    wr_table_cell(t, "%s", number(j->cli, "", p->log_loss));
    wr_table_cell(t, "%s", number(j->cli, "", p->brier));
    wr_table_cell(t, "%s", number(j->cli, "", p->calibration_error));
}

static void print_window(job *j, const wr_monitor_result *r)
{
    char from[WR_TIME_TEXT], to[WR_TIME_TEXT], rows[WR_NUM_TEXT];
    wr_monitor_time(from, r->start_us);
    wr_monitor_time(to, r->end_us);
    wr_say(j->cli, "%s from %s to %s: %s predictions%s", r->endpoint, from, to, wr_fmt_count(rows, (double)r->all.rows),
           r->complete ? "" : " so far");
    if (!r->all.rows) return;
    print_drift(j, r);
    wr_table *t = wr_table_new(j->cli, "MODEL", ">ROWS", ">LABELLED", ">LABEL", ">SCORE", ">AUC", ">LOG LOSS", ">BRIER",
                               ">CALIB. ERROR", NULL);
    for (size_t i = 0; i < r->nversions; i++) {
        const char *name =
            wr_arena_printf(wr_cli_arena(j->cli), "%s@%lld", r->versions[i].model, (long long)r->versions[i].version);
        performance_row(j, t, &r->versions[i], name ? name : "");
    }
    if (r->nversions > 1) performance_row(j, t, &r->all, "together");
    wr_table_print(t);
    if (!r->all.labelled) wr_say(j->cli, "no label has come for these predictions yet");
    const wr_monitor_drift *d = &r->drift[r->worst];
    if (r->drifts) wr_say(j->cli, "drift: %s by %s, threshold %g", d->column, d->stat->name, d->threshold);
}

/* ---- files ---- */

static void all_json(wr_jsonw *w, const job *j)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "endpoint", j->monitor.endpoint);
    wr_jsonw_kstr(w, "statistic", j->monitor.stat->name);
    wr_jsonw_kf64(w, "threshold", j->monitor.threshold);
    wr_jsonw_kbool(w, "drifts", j->drifts);
    wr_jsonw_key(w, "windows");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < j->n; i++) wr_monitor_json(w, &j->windows[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int write_file(job *j, const char *path, wr_buf *b, wr_err *err)
{
    if (b->failed) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(wr_path_dir(wr_cli_arena(j->cli), path), err));
    return wr_file_write(path, wr_buf_view(b), err);
}

static void page_progress(void *ctx, double fraction) { wr_progress(ctx, "drawing", fraction); }

static int write_files(job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf report, page;
    wr_buf_init(&report, 0);
    wr_buf_init(&page, 0);
    if (wr_cli_has(j->cli, "report")) {
        wr_jsonw w;
        wr_jsonw_init(&w, &report, 2);
        all_json(&w, j);
        wr_buf_char(&report, '\n');
        WR_TRY(write_file(j, wr_cli_text(j->cli, "report"), &report, err));
    }
    if (!wr_cli_has(j->cli, "html")) return 0;
    WR_TRY(wr_monitor_page(&page, j->project, &j->monitor, j->session, page_progress, j->cli, err));
    return write_file(j, wr_cli_text(j->cli, "html"), &page, err);
}

/* ---- the command ---- */

static int work(job *j, wr_run *run, wr_err *err)
{
    WR_TRY(wr_monitor_open(&j->session, j->project, &j->monitor, wr_cli_pool(j->cli), run, err));
    int rc = judge(j, err);
    if (rc == 0 && run) rc = wr_monitor_record(j->project, &j->windows[0], err);
    if (rc == 0) rc = write_files(j, err);
    wr_monitor_close(j->session);
    return rc;
}

static void run_metrics(wr_run *run, const wr_monitor_result *r)
{
    wr_run_units(run, (double)r->all.rows, "rows");
    wr_run_metric(run, "rows", (double)r->all.rows);
    wr_run_metric(run, "labelled", (double)r->all.labelled);
    wr_run_metric(run, "drifts", r->drifts);
    if (isfinite(r->all.auc)) wr_run_metric(run, "auc", r->all.auc);
    if (isfinite(r->all.log_loss)) wr_run_metric(run, "log_loss", r->all.log_loss);
    if (r->ndrift && isfinite(r->drift[r->worst].value)) wr_run_metric(run, "worst_drift", r->drift[r->worst].value);
}

static int recorded(job *j, wr_err *err)
{
    wr_run *run;
    wr_err end = {0};
    wr_run_opt opt = {"monitor", "other", j->monitor.endpoint, wr_cli_command_line(j->cli)};
    WR_TRY(wr_run_begin(&run, j->project, &opt, err));
    int rc = work(j, run, err);
    if (rc == 0) run_metrics(run, &j->windows[0]);
    int rc_end = wr_run_end(run, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    return rc < 0 ? rc : rc_end;
}

static int run(wr_cli *c, wr_err *err)
{
    job j = {.cli = c};
    bool record = wr_cli_flag(c, "record");
    WR_TRY(wr_cli_project(c, &j.project, err));
    WR_TRY(wr_monitor_find(&j.monitor, wr_cli_arena(c), j.project, wr_cli_arg(c, 0), err));
    WR_TRY(record ? recorded(&j, err) : work(&j, NULL, err));
    wr_progress_end(c);
    all_json(wr_cli_jsonw(c), &j);
    if (!j.n) wr_say(c, "endpoint \"%s\" has no predictions from the monitor's first window on", j.monitor.endpoint);
    else if (record || wr_cli_has(c, "window-end")) print_window(&j, &j.windows[0]);
    else print_windows(&j);
    if (record) wr_say(c, "recorded%s", j.drifts || j.windows[0].drifts ? ", with a drift event" : "");
    return j.drifts && !record ? WEIR_ENO : 0;
}

const wr_cmd wr_cmd_monitor = {
    "monitor",
    "watch an endpoint: drift, and performance with labels",
    "ENDPOINT",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "Without options: every window since the monitor's start, one after the other. A window's\n"
    "predictions are compared with the reference rows of weir.yaml (monitors:), column by column;\n"
    "labels that came are joined by prediction id. A window that the data have not passed yet\n"
    "is shown as open and does not count.\n"
    "Exit code 1 when a complete window drifts. With --record it is 0 nevertheless: a job that\n"
    "found drift has done its work, the event \"drift\" says the rest.",
    "  weir monitor delay\n"
    "  # what the scheduler runs when a window is complete\n"
    "  weir monitor delay --window-end 2001-06-15 --record\n"
    "  # a page to show around\n"
    "  weir monitor delay --html reports/monitor.html",
    run};
