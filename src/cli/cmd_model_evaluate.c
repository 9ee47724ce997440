/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_evaluate.c - weir model evaluate: metrics, slices, comparison, gate. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "io/file.h"
#include "stage/model/evaluate.h"

static const wr_cmd_arg args[] = {
    {"rows", 0, WR_ARG_TEXT, "SQL", "rows to judge on (default: the dataset of the model's view)", NULL},
    {"from", 0, WR_ARG_TIME, "TIME", "rows from this moment on", NULL},
    {"until", 'u', WR_ARG_TIME, "TIME", "rows before this moment", NULL},
    {"last", 0, WR_ARG_DURATION, "SPAN", "only the last SPAN before --until", NULL},
    {"against", 'a', WR_ARG_TEXT, "MODEL", "the model in use, e.g. delay@champion; may not exist yet", NULL},
    {"baseline", 'b', WR_ARG_TEXT, "MODEL", "a simpler model (default: the constant share)", NULL},
    {"by", 0, WR_ARG_LIST, "COLUMN", "slice by a column, or week, day, month", NULL},
    {"threshold", 't', WR_ARG_NUM, "P", "probability from which the answer is yes", "0.5"},
    {"gate", 'g', WR_ARG_TEXT, "FILE", "rules; exit 1 when one fails", NULL},
    {"report", 'r', WR_ARG_TEXT, "FILE", "write the whole evaluation as JSON", NULL},
};

static void print_metrics(wr_cli *c, const wr_evaluation *e)
{
    size_t n;
    const wr_metric *m = wr_metrics(&n);
    wr_table *t = e->has_against ? wr_table_new(c, "METRIC", ">MODEL", ">AGAINST", ">BASELINE", NULL)
                                 : wr_table_new(c, "METRIC", ">MODEL", ">BASELINE", NULL);
    for (size_t k = 0; k < n && k < WR_EVALUATE_METRICS; k++) {
        wr_table_cell(t, "%s", m[k].name);
        wr_table_cell(t, "%.5f", e->own.metric[k]);
        if (e->has_against) wr_table_cell(t, "%.5f", e->against.metric[k]);
        wr_table_cell(t, "%.5f", e->baseline.metric[k]);
    }
    wr_table_print(t);
}

static void print_slices(wr_cli *c, const wr_slices *s)
{
    wr_table *t = wr_table_new(c, s->by, ">ROWS", ">OBSERVED", ">PREDICTED", ">AUC", "", NULL);
    size_t shown = s->n < 10 ? s->n : 10;
    for (size_t i = 0; i < shown; i++) {
        char rows[WR_NUM_TEXT];
        wr_table_cell(t, "%s", s->slices[i].value);
        wr_table_cell(t, "%s", wr_fmt_count(rows, (double)s->slices[i].n));
        wr_table_cell(t, "%.1f %%", 100 * s->slices[i].positives / (double)s->slices[i].n);
        wr_table_cell(t, "%.1f %%", 100 * s->slices[i].mean_p);
        wr_table_cell(t, "%.4f", s->slices[i].auc);
        wr_table_cell(t, "%s", wr_bar(c, s->slices[i].auc - 0.5, 0.5, 12));
    }
    wr_table_print(t);
    if (s->n > shown) wr_say(c, "(%zu more in the report)", s->n - shown);
}

static void print_gate(wr_cli *c, const wr_evaluation *e)
{
    static const char *const mark[] = {"pass", "FAIL", "skip"};
    for (size_t i = 0; i < e->ngate; i++) wr_say(c, "gate %s: %s", mark[e->gate[i].state], e->gate[i].text);
}

static void print_text(wr_cli *c, const wr_evaluation *e, const wr_evaluate_opt *opt)
{
    char rows[WR_NUM_TEXT], from[WR_TIME_TEXT], until[WR_TIME_TEXT];
    wr_time_format(from, e->from_us);
    wr_time_format(until, e->until_us);
    wr_say(c, "%s on %s rows, %.10s to %.10s, %.1f %% positive", opt->model, wr_fmt_count(rows, (double)e->rows), from,
           until, 100 * (double)e->positives / (double)e->rows);
    if (opt->against && !e->has_against)
        wr_say(c, "\"%s\" does not exist yet: compared with the baseline only", opt->against);
    print_metrics(c, e);
    wr_say(
        c,
        "at %.2f: %.0f true and %.0f false positives, %.0f true and %.0f false negatives; precision %.3f, recall %.3f",
        opt->threshold, e->confusion.tp, e->confusion.fp, e->confusion.tn, e->confusion.fn,
        wr_confusion_precision(&e->confusion), wr_confusion_recall(&e->confusion));
    for (size_t i = 0; i < e->nby; i++) print_slices(c, &e->by[i]);
    print_gate(c, e);
}

static int write_report(const char *path, const wr_evaluation *e, const wr_evaluate_opt *opt, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 2);
    wr_evaluation_json(&w, e, opt);
    wr_buf_char(&b, '\n');
    if (b.failed) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(wr_path_dir(a, path), err));
    return wr_file_write(path, wr_buf_view(&b), err);
}

static int fill(wr_evaluate_opt *o, wr_cli *c, wr_gate *gate, wr_err *err)
{
    const char **by;
    *o = (wr_evaluate_opt){.model = wr_cli_arg(c, 0),
                           .rows = wr_cli_text(c, "rows"),
                           .from_us = INT64_MIN,
                           .until_us = INT64_MAX,
                           .against = wr_cli_text(c, "against"),
                           .baseline = wr_cli_text(c, "baseline"),
                           .threshold = wr_cli_num(c, "threshold")};
    if (!(o->threshold >= 0 && o->threshold <= 1))
        return wr_err_set(err, WEIR_EUSAGE, "--threshold is a probability, 0 to 1");
    o->nby = wr_cli_list(c, "by", &by);
    o->by = by;
    if (wr_cli_has(c, "from")) o->from_us = wr_cli_int(c, "from");
    if (wr_cli_has(c, "until")) o->until_us = wr_cli_int(c, "until");
    if (wr_cli_has(c, "last")) {
        if (!wr_cli_has(c, "until")) return wr_err_set(err, WEIR_EUSAGE, "--last goes with --until");
        o->from_us = o->until_us - wr_cli_int(c, "last");
    }
    if (!wr_cli_has(c, "gate")) return 0;
    o->gate = gate;
    return wr_gate_load(gate, wr_cli_arena(c), wr_cli_text(c, "gate"), ".", err);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_evaluate_opt opt;
    wr_gate gate;
    wr_evaluation e;
    wr_run *r;
    wr_err end = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(fill(&opt, c, &gate, err));
    wr_run_opt ro = {"evaluate", "validation", opt.model, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    int rc = wr_evaluate(&e, wr_cli_arena(c), p, &opt, wr_cli_pool(c), r, err);
    if (rc == 0 && wr_cli_has(c, "report")) rc = write_report(wr_cli_text(c, "report"), &e, &opt, wr_cli_arena(c), err);
    int verdict = rc < 0 ? rc : e.passed ? 0 : WEIR_ENO;
    int rc_end = wr_run_end(r, verdict, err, &end);
    if (rc < 0) return rc;
    if (rc_end < 0) {
        if (err) *err = end;
        return rc_end;
    }
    wr_evaluation_json(wr_cli_jsonw(c), &e, &opt);
    print_text(c, &e, &opt);
    if (!e.passed) wr_say(c, "the gate %s says no", gate.path);
    return verdict;
}

const wr_cmd wr_cmd_model_evaluate = {
    "model evaluate",
    "judge a model on labelled rows, with a gate",
    "MODEL",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "MODEL is NAME (the newest candidate), NAME@ALIAS or NAME@VERSION. All models named are\n"
    "judged on the same rows. A gate is a file of rules; when one fails the exit code is 1.",
    "  # on June, by airport and week, with a gate\n"
    "  weir model evaluate delay --from 2001-06-01 --until 2001-07-01 \\\n"
    "      --against delay@champion --by origin --by week --gate gate.yaml",
    run};
