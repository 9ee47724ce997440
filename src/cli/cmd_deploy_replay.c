/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_replay.c - weir deploy replay. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "cli/compare_print.h"
#include "cli/deploy_server.h"
#include "io/file.h"
#include "stage/replay/replay.h"

static const wr_cmd_arg args[] = {
    WR_DEPLOY_URL,
    {"from", 0, WR_ARG_TIME, "TIME", "first row, by the view's time column", NULL},
    {"until", 0, WR_ARG_TIME, "TIME", "first row that is not sent any more", NULL},
    {"speed", 0, WR_ARG_NUM, "X", "event time so many times faster than the clock on the wall", NULL},
    {"seconds", 0, WR_ARG_NUM, "S", "all of it in so many seconds (default: as fast as it goes)", NULL},
    {"connections", 0, WR_ARG_INT, "N", "connections for predictions", "4"},
    {"label-batch", 0, WR_ARG_FLAG, NULL, "send labels at midnight of event time, not when they are known", NULL},
    {"slow", 0, WR_ARG_NUM, "FACTOR", "while the server runs a job, go so many times slower", "1"},
    {"report", 0, WR_ARG_TEXT, "FILE", "write the report as JSON too", NULL},
    {"candidate", 0, WR_ARG_TEXT, "MODEL", "no server: this model (a path, MODEL@VERSION) over what was logged", NULL},
    {"score", 0, WR_ARG_TEXT, "COLUMN", "candidate: the score that was answered (default: as its outputs are called)",
     NULL},
    {"rows", 0, WR_ARG_INT, "N", "candidate: the newest so many predictions", "100000"},
    {"seed", 0, WR_ARG_INT, "N", "candidate: of the bootstrap", "1"},
    {"max-disagreement", 0, WR_ARG_NUM, "SHARE", "candidate: rows of another class", NULL},
    {"max-delta", 0, WR_ARG_NUM, "X", "candidate: greatest difference of scores", NULL},
    {"max-mean-delta", 0, WR_ARG_NUM, "X", "candidate: mean difference of scores", NULL},
    {"max-psi", 0, WR_ARG_NUM, "X", "candidate: shift of the distribution of scores", NULL},
    {"max-p99-us", 0, WR_ARG_NUM, "US", "candidate: a single row, 99 %", NULL},
    {"max-auc-drop", 0, WR_ARG_NUM, "X", "candidate: area under the curve lost", NULL},
    {"max-accuracy-drop", 0, WR_ARG_NUM, "X", "candidate: accuracy lost", NULL},
    {"max-log-loss-rise", 0, WR_ARG_NUM, "X", "candidate: log loss gained", NULL},
    {"max-rmse-rise", 0, WR_ARG_NUM, "X", "candidate: root mean squared error gained", NULL},
};

static void put_version(wr_jsonw *w, const wr_replay_version *v)
{
    char first[WR_TIME_TEXT], last[WR_TIME_TEXT];
    wr_time_format(first, v->first_us);
    wr_time_format(last, v->last_us);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "version", v->version);
    wr_jsonw_ki64(w, "predictions", (int64_t)v->predictions);
    wr_jsonw_ki64(w, "labelled", (int64_t)v->labelled);
    wr_jsonw_kf64(w, "auc", v->auc);
    wr_jsonw_kstr(w, "first", first);
    wr_jsonw_kstr(w, "last", last);
    wr_jsonw_end(w);
}

static void put_report(wr_jsonw *w, const char *endpoint, const wr_replay_report *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "endpoint", endpoint);
    wr_jsonw_ki64(w, "predictions", (int64_t)r->predictions);
    wr_jsonw_ki64(w, "labels", (int64_t)r->labels);
    wr_jsonw_ki64(w, "events", (int64_t)r->events);
    wr_jsonw_ki64(w, "requests", (int64_t)r->requests);
    wr_jsonw_ki64(w, "failed", (int64_t)r->failed);
    if (r->failure[0]) wr_jsonw_kstr(w, "first_failure", r->failure);
    wr_jsonw_kf64(w, "wall_s", r->wall_s);
    wr_jsonw_kf64(w, "requests_per_second", r->per_s);
    wr_jsonw_kf64(w, "latency_p50_us", r->p50_us);
    wr_jsonw_kf64(w, "latency_p99_us", r->p99_us);
    wr_jsonw_kf64(w, "busy_s", r->busy_s);
    wr_jsonw_key(w, "versions");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->nversions; i++) put_version(w, &r->versions[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int write_report(const char *path, wr_arena *a, wr_project *p, const char *endpoint, const wr_replay_report *r,
                        wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    if (!path) return 0;
    const char *at = wr_path_join(a, wr_project_root(p), path), *dir = at ? wr_path_dir(a, at) : NULL;
    if (!dir) return wr_err_nomem(err);
    wr_jsonw_init(&w, &b, 2);
    put_report(&w, endpoint, r);
    wr_buf_char(&b, '\n');
    if (b.failed) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(dir, err));
    return wr_file_write(at, wr_buf_view(&b), err);
}

static void print(wr_cli *c, const wr_replay_report *r)
{
    char n[WR_NUM_TEXT], m[WR_NUM_TEXT], k[WR_NUM_TEXT], first[WR_TIME_TEXT], last[WR_TIME_TEXT];
    wr_say(c, "%s predictions, %s labels, %s events in %.1f s", wr_fmt_count(n, (double)r->predictions),
           wr_fmt_count(m, (double)r->labels), wr_fmt_count(k, (double)r->events), r->wall_s);
    wr_say(c, "%s requests, %s failed, %s a second; a prediction took %s (99 %%: %s)",
           wr_fmt_count(n, (double)r->requests), wr_fmt_count(m, (double)r->failed), wr_fmt_count(k, r->per_s),
           wr_fmt_seconds(first, r->p50_us / 1e6), wr_fmt_seconds(last, r->p99_us / 1e6));
    if (r->failure[0]) wr_say(c, "the first failure: %s", r->failure);
    wr_table *t = wr_table_new(c, "VERSION", ">PREDICTIONS", ">LABELLED", ">AUC", "FIRST", "LAST", NULL);
    for (size_t i = 0; i < r->nversions; i++) {
        const wr_replay_version *v = &r->versions[i];
        wr_time_format(first, v->first_us);
        wr_time_format(last, v->last_us);
        wr_table_cell(t, "%s", v->version);
        wr_table_cell(t, "%s", wr_fmt_count(n, (double)v->predictions));
        wr_table_cell(t, "%s", wr_fmt_count(m, (double)v->labelled));
        if (isnan(v->auc)) wr_table_cell(t, "-");
        else wr_table_cell(t, "%.4f", v->auc);
        wr_table_cell(t, "%s", first);
        wr_table_cell(t, "%s", last);
    }
    wr_table_print(t);
}

static void progress(void *ctx, double fraction, int64_t event_us)
{
    char what[WR_TIME_TEXT + 16], time[WR_TIME_TEXT];
    wr_time_format(time, event_us);
    snprintf(what, sizeof what, "%.16s", time);
    wr_progress(ctx, what, fraction);
}

static int read_options(wr_replay_opt *o, wr_cli *c, wr_err *err)
{
    *o = (wr_replay_opt){.endpoint = wr_cli_arg(c, 0),
                         .connections = (int)wr_cli_int(c, "connections"),
                         .label_batch = wr_cli_flag(c, "label-batch"),
                         .slow = wr_cli_num(c, "slow"),
                         .progress = progress,
                         .ctx = c};
    if (!wr_cli_has(c, "from") || !wr_cli_has(c, "until")) {
        wr_err_set(err, WEIR_EUSAGE, "weir deploy replay: --from and --until are needed");
        return wr_err_hint(err, WEIR_EUSAGE, "weir deploy replay %s --from 2001-06-01 --until 2001-06-08", o->endpoint);
    }
    if (wr_cli_has(c, "speed") && wr_cli_has(c, "seconds"))
        return wr_err_set(err, WEIR_EUSAGE, "weir deploy replay: --speed or --seconds, not both");
    o->from_us = wr_cli_int(c, "from");
    o->until_us = wr_cli_int(c, "until");
    if (wr_cli_has(c, "speed")) o->speed = wr_cli_num(c, "speed");
    if (wr_cli_has(c, "seconds")) o->seconds = wr_cli_num(c, "seconds");
    if (o->speed < 0 || o->seconds < 0) return wr_err_set(err, WEIR_EINVAL, "--speed and --seconds are above 0");
    if (o->slow < 1) return wr_err_set(err, WEIR_EINVAL, "--slow is 1 or more");
    if (o->connections < 1) return wr_err_set(err, WEIR_EINVAL, "--connections is 1 or more");
    return wr_deploy_url(&o->url, c, err);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    wr_replay_opt opt;
    wr_replay_report report;
    wr_err end = {0};
    if (wr_cli_has(c, "candidate")) return wr_cli_compare(c, err);
    WR_TRY(read_options(&opt, c, err));
    WR_TRY(wr_cli_project(c, &p, err));
    wr_run_opt ro = {"replay", "other", opt.endpoint, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    int rc = wr_replay(&report, wr_cli_arena(c), p, &opt, r, err);
    wr_progress_end(c);
    if (rc == 0) rc = write_report(wr_cli_text(c, "report"), wr_cli_arena(c), p, opt.endpoint, &report, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    put_report(wr_cli_jsonw(c), opt.endpoint, &report);
    print(c, &report);
    if (!report.failed) return 0;
    return wr_err_set(err, WEIR_ENO, "%llu of %llu requests failed", (unsigned long long)report.failed,
                      (unsigned long long)report.requests);
}

const wr_cmd wr_cmd_deploy_replay = {
    "deploy replay",
    "send the past to a server, or to a candidate",
    "ENDPOINT (--from TIME --until TIME | --candidate MODEL)",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "Rows of the endpoint's feature view become prediction requests in the order of their time;\n"
    "their outcomes become labels and feature events once they were known. So a server goes\n"
    "through months in minutes, with the features it would have seen. Materialize the view until\n"
    "--from first. Failed requests are counted, not repeated; any makes the exit code 1.\n"
    "\n"
    "With --candidate no server is asked: the model, of any format that is served, answers the\n"
    "logged requests of an endpoint without a view (`log:` in weir.yaml; --from and --until are\n"
    "times of serving then), and both answers are compared: classes, scores, their distribution,\n"
    "time, and, where labels came, AUC, log loss and accuracy, or RMSE, with 95 % intervals of the\n"
    "difference by paired bootstrap. Exit code 1 when it is worse than a --max-... allows.",
    "  # a week as fast as it goes\n  weir deploy replay delay --from 2001-06-01 --until 2001-06-08\n"
    "  # a month in two minutes, giving retraining the time it would have had\n"
    "  weir deploy replay delay --from 2001-06-01 --until 2001-07-01 --seconds 120 --slow 20\n"
    "  # may this file take over?\n"
    "  weir deploy replay fraud --candidate exports/fraud.json --max-psi 0.1 --max-auc-drop 0.005",
    run};
