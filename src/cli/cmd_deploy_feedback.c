/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_feedback.c - weir deploy feedback. */
#include "base/num.h"
#include "cli/commands.h"
#include "stage/predlog/feedback.h"

static const wr_cmd_arg args[] = {
    {"out", 'o', WR_ARG_TEXT, "DATASET", "dataset to write (required)", NULL},
    {"until", 0, WR_ARG_TIME, "TIME", "only labels known by then", NULL},
};

static void print(wr_cli *c, const wr_feedback_opt *o, const wr_feedback_made *m)
{
    char rows[WR_NUM_TEXT], all[WR_NUM_TEXT];
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataset", o->out);
    wr_jsonw_ki64(w, "version", m->written.version);
    wr_jsonw_ki64(w, "rows", m->written.rows);
    wr_jsonw_ki64(w, "predictions", m->predictions);
    wr_jsonw_kstr(w, "hash", m->written.hash);
    wr_jsonw_end(w);
    wr_say(c, "%s version %lld: %s of %s predictions have a label", o->out, (long long)m->written.version,
           wr_fmt_count(rows, (double)m->written.rows), wr_fmt_count(all, (double)m->predictions));
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    wr_feedback_made made;
    wr_err end = {0};
    wr_feedback_opt opt = {
        .endpoint = wr_cli_arg(c, 0), .out = wr_cli_text(c, "out"), .has_until = wr_cli_has(c, "until")};
    if (opt.has_until) opt.until_us = wr_cli_int(c, "until");
    if (!opt.out) {
        wr_err_set(err, WEIR_EUSAGE, "weir deploy feedback: --out is needed");
        return wr_err_hint(err, WEIR_EUSAGE, "weir deploy feedback %s --out %s_feedback", opt.endpoint, opt.endpoint);
    }
    WR_TRY(wr_cli_project(c, &p, err));
    wr_run_opt ro = {"feedback", "data-collection", opt.endpoint, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    wr_progress(c, "joining", -1);
    int rc = wr_feedback(&made, p, &opt, r, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    print(c, &opt, &made);
    return 0;
}

const wr_cmd wr_cmd_deploy_feedback = {
    "deploy feedback",
    "make training data of what was served and came true",
    "ENDPOINT --out DATASET",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "Joins the predictions of an endpoint with the label known last for each. The dataset\n"
    "has the columns of the view's training table, so both can be trained on together:\n"
    "  rows: SELECT * FROM flights_features UNION ALL BY NAME SELECT * FROM flights_feedback\n"
    "Features are those the model saw. What the server has not drained yet is not in it\n"
    "(weir deploy flush). Of a model without a view (`log:` in weir.yaml) the dataset has its\n"
    "inputs and outputs, label, label_text and reward. What came later than feedback_ttl of the\n"
    "endpoint is left out.",
    "  # everything that is labelled by now\n  weir deploy feedback delay --out flights_feedback\n"
    "  # as it was known in the middle of June\n  weir deploy feedback delay --out flights_feedback --until 2001-06-16",
    run};
