/* SPDX-License-Identifier: Apache-2.0 */
/* compare_print.c - the report of a comparison, and the limits. */
#include "cli/compare_print.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "cli/commands.h"
#include "core/endpoint.h"
#include "core/run.h"
#include "stage/replay/compare.h"

static void put_report(wr_jsonw *w, const wr_compare_opt *o, const wr_compare_report *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "endpoint", o->endpoint);
    wr_jsonw_kstr(w, "candidate", o->candidate);
    wr_jsonw_ki64(w, "rows", (int64_t)r->rows);
    wr_jsonw_ki64(w, "skipped", (int64_t)r->skipped);
    wr_jsonw_ki64(w, "labelled", (int64_t)r->labelled);
    wr_jsonw_kf64(w, "agreement", r->agreement);
    wr_jsonw_kf64(w, "max_delta", r->max_delta);
    wr_jsonw_kf64(w, "mean_delta", r->mean_delta);
    wr_jsonw_kf64(w, "psi", r->psi);
    wr_jsonw_kf64(w, "candidate_p50_us", r->candidate_us);
    wr_jsonw_kf64(w, "candidate_p99_us", r->candidate_p99_us);
    wr_jsonw_kf64(w, "candidate_batch_us", r->batch_us);
    wr_jsonw_kf64(w, "logged_p50_us", r->logged_us);
    wr_jsonw_kf64(w, "logged_p99_us", r->logged_p99_us);
    wr_jsonw_key(w, "metrics");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->nmetrics; i++) {
        const wr_compare_metric *m = &r->metrics[i];
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", m->name);
        wr_jsonw_kf64(w, "logged", m->logged);
        wr_jsonw_kf64(w, "candidate", m->candidate);
        wr_jsonw_kf64(w, "difference", m->candidate - m->logged);
        wr_jsonw_kf64(w, "low", m->low);
        wr_jsonw_kf64(w, "high", m->high);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void cell(wr_table *t, const char *format, double x)
{
    char text[64];
    int n = isnan(x) ? 0 : snprintf(text, sizeof text, *format == 't' ? "%.1f" : "%.6g", x);
    wr_table_cell(t, "%s", n > 0 ? text : "-");
}

static void print(wr_cli *c, const wr_compare_report *r)
{
    char rows[WR_NUM_TEXT], labelled[WR_NUM_TEXT];
    wr_say(c, "%s predictions compared, %s with a label", wr_fmt_count(rows, (double)r->rows),
           wr_fmt_count(labelled, (double)r->labelled));
    if (r->skipped) wr_say(c, "%s lack a value that the candidate needs", wr_fmt_count(rows, (double)r->skipped));
    wr_say(c, "same class: %.4f; scores differ by %.6g at most, %.6g on average; PSI %.4f", r->agreement, r->max_delta,
           r->mean_delta, r->psi);
    wr_table *t = wr_table_new(c, "", ">LOGGED", ">CANDIDATE", ">DIFFERENCE", ">LOW", ">HIGH", NULL);
    for (size_t i = 0; i < r->nmetrics; i++) {
        const wr_compare_metric *m = &r->metrics[i];
        wr_table_cell(t, "%s", m->name);
        cell(t, "m", m->logged);
        cell(t, "m", m->candidate);
        cell(t, "m", m->candidate - m->logged);
        cell(t, "m", m->low);
        cell(t, "m", m->high);
    }
    for (int k = 0; k < 2; k++) {
        double l = k ? r->logged_p99_us : r->logged_us, x = k ? r->candidate_p99_us : r->candidate_us;
        wr_table_cell(t, "%s", k ? "p99 us" : "p50 us");
        cell(t, "t", l);
        cell(t, "t", x);
        cell(t, "t", NAN); /* a request there, the model alone here */
        cell(t, "t", NAN);
        cell(t, "t", NAN);
    }
    wr_table_print(t);
}

/* ---- limits ---- */

/* A value that is not known is no pass. */
static void judge(wr_buf *b, wr_cli *c, const char *option, const char *what, double value)
{
    if (!wr_cli_has(c, option)) return;
    double most = wr_cli_num(c, option);
    if (value <= most) return;
    wr_buf_printf(b, "%s%s", b->n ? ", " : "", what);
    if (isnan(value)) wr_buf_str(b, " is not known");
    else wr_buf_printf(b, " %.6g is above %.6g", value, most);
}

static double worse(const wr_compare_report *r, const char *name)
{
    for (size_t i = 0; i < r->nmetrics; i++) {
        const wr_compare_metric *m = &r->metrics[i];
        if (strcmp(m->name, name) == 0)
            return m->bigger_is_better ? m->logged - m->candidate : m->candidate - m->logged;
    }
    return NAN;
}

static int check(wr_cli *c, const wr_compare_report *r, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    judge(&b, c, "max-disagreement", "disagreement", 1 - r->agreement);
    judge(&b, c, "max-delta", "the greatest difference", r->max_delta);
    judge(&b, c, "max-mean-delta", "the mean difference", r->mean_delta);
    judge(&b, c, "max-psi", "PSI", r->psi);
    judge(&b, c, "max-p99-us", "p99", r->candidate_p99_us);
    judge(&b, c, "max-auc-drop", "the drop of auc", worse(r, "auc"));
    judge(&b, c, "max-accuracy-drop", "the drop of accuracy", worse(r, "accuracy"));
    judge(&b, c, "max-log-loss-rise", "the rise of log_loss", worse(r, "log_loss"));
    judge(&b, c, "max-rmse-rise", "the rise of rmse", worse(r, "rmse"));
    if (b.failed) return wr_err_nomem(err);
    return b.n ? wr_err_set(err, WEIR_ENO, "the candidate is not good enough: %.400s", wr_buf_cstr(&b)) : 0;
}

static void record(wr_run *r, const wr_compare_report *o)
{
    wr_run_metric(r, "rows", (double)o->rows);
    if (!isnan(o->agreement)) wr_run_metric(r, "agreement", o->agreement);
    if (!isnan(o->psi)) wr_run_metric(r, "psi", o->psi);
    for (size_t i = 0; i < o->nmetrics; i++)
        if (!isnan(o->metrics[i].candidate)) wr_run_metric(r, o->metrics[i].name, o->metrics[i].candidate);
    wr_run_units(r, (double)o->rows, "predictions");
}

int wr_cli_compare(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    wr_endpoint e;
    wr_compare_report report;
    wr_err end = {0};
    wr_compare_opt o = {.endpoint = wr_cli_arg(c, 0),
                        .candidate = wr_cli_text(c, "candidate"),
                        .score = wr_cli_text(c, "score"),
                        .has_from = wr_cli_has(c, "from"),
                        .has_until = wr_cli_has(c, "until"),
                        .rows = wr_cli_int(c, "rows"),
                        .seed = (uint64_t)wr_cli_int(c, "seed")};
    if (o.has_from) o.from_us = wr_cli_int(c, "from");
    if (o.has_until) o.until_us = wr_cli_int(c, "until");
    if (o.rows < 1) return wr_err_set(err, WEIR_EINVAL, "--rows is 1 or more");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_endpoint_find(&e, wr_cli_arena(c), p, o.endpoint, err));
    o.threshold = e.threshold;
    wr_run_opt ro = {"compare", "validation", o.endpoint, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    wr_progress(c, "comparing", -1);
    int rc = wr_compare(&report, wr_cli_arena(c), p, &o, err);
    wr_progress_end(c);
    if (rc == 0) record(r, &report);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    put_report(wr_cli_jsonw(c), &o, &report);
    print(c, &report);
    return check(c, &report, err);
}
