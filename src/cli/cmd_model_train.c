/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_train.c - weir model train. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "stage/model/train.h"

static const wr_cmd_arg args[] = {
    {"until", 'u', WR_ARG_TIME, "TIME", "train on rows before this moment (instead of train.until)", NULL},
    {"holdout", 0, WR_ARG_DURATION, "SPAN", "leave the last SPAN before --until out, to judge the model on", "0s"},
    {"rounds", 0, WR_ARG_INT, "N", "at most N trees (instead of learner.rounds)", "0"},
};

typedef struct {
    wr_cli *cli;
    int rounds;
} ticker;

static int tick(void *ctx, int round, double train_loss, double valid_loss)
{
    ticker *t = ctx;
    char what[96];
    snprintf(what, sizeof what, isnan(valid_loss) ? "training, loss %.4f" : "training, loss %.4f, validation %.4f",
             train_loss, valid_loss);
    wr_progress(t->cli, what, (double)round / t->rounds);
    return 0;
}

static void print_text(wr_cli *c, const wr_train_spec *s, const wr_trained *t)
{
    char train[WR_NUM_TEXT], valid[WR_NUM_TEXT];
    wr_say(c, "model %s: %d trees from %s rows, validated on %s rows", s->model, t->trees,
           wr_fmt_count(train, (double)t->train_rows), wr_fmt_count(valid, (double)t->valid_rows));
    wr_table *m = wr_table_new(c, "METRIC", ">TRAIN", ">VALID", NULL);
    for (size_t i = 0; i < t->nmetrics; i++) {
        wr_table_cell(m, "%s", t->metrics[i].name);
        wr_table_cell(m, "%.5f", t->metrics[i].train);
        if (isnan(t->metrics[i].valid)) wr_table_cell(m, "-");
        else wr_table_cell(m, "%.5f", t->metrics[i].valid);
    }
    wr_table_print(m);
    wr_table *g = wr_table_new(c, "FEATURE", ">GAIN", "", NULL);
    for (size_t i = 0; i < t->ngain && i < 12; i++) {
        wr_table_cell(g, "%s", t->gain[i].feature);
        wr_table_cell(g, "%.1f %%", 100 * t->gain[i].share);
        wr_table_cell(g, "%s", wr_bar(c, t->gain[i].share, t->gain[0].share, 24));
    }
    wr_table_print(g);
    wr_say(c, "package %.12s is the newest candidate of %s", t->package, s->model);
}

static void print_json(wr_cli *c, const wr_train_spec *s, const wr_trained *t)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", s->model);
    wr_jsonw_kstr(w, "package", t->package);
    wr_jsonw_ki64(w, "train_rows", (int64_t)t->train_rows);
    wr_jsonw_ki64(w, "valid_rows", (int64_t)t->valid_rows);
    wr_jsonw_ki64(w, "trees", t->trees);
    for (int side = 0; side < 2; side++) {
        wr_jsonw_key(w, side ? "valid" : "train");
        wr_jsonw_obj(w);
        for (size_t i = 0; i < t->nmetrics; i++)
            wr_jsonw_kf64(w, t->metrics[i].name, side ? t->metrics[i].valid : t->metrics[i].train);
        wr_jsonw_end(w);
    }
    wr_jsonw_key(w, "gain");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < t->ngain; i++) wr_jsonw_kf64(w, t->gain[i].feature, t->gain[i].share);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int apply_options(wr_cli *c, wr_train_spec *s, wr_err *err)
{
    int64_t rounds = wr_cli_int(c, "rounds");
    if (wr_cli_has(c, "until")) s->train_until_us = wr_cli_int(c, "until");
    if (wr_cli_has(c, "holdout")) {
        if (s->train_until_us == INT64_MAX)
            return wr_err_set(err, WEIR_EUSAGE, "--holdout goes with --until or train.until");
        s->train_until_us -= wr_cli_int(c, "holdout");
    }
    if (!wr_cli_has(c, "rounds")) return 0;
    if (rounds < 1 || rounds > 100000) return wr_err_set(err, WEIR_EUSAGE, "--rounds is a number from 1 to 100000");
    s->learner.rounds = (int)rounds;
    return 0;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_train_spec s;
    wr_trained t;
    wr_run *r;
    wr_err end = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_train_spec_load(&s, wr_cli_arena(c), wr_cli_arg(c, 0), ".", err));
    WR_TRY(apply_options(c, &s, err));
    wr_run_opt opt = {"train", "training", s.model, wr_cli_command_line(c)};
    ticker tk = {c, s.learner.rounds ? s.learner.rounds : 200};
    WR_TRY(wr_run_begin(&r, p, &opt, err));
    wr_progress(c, "reading rows", -1);
    int rc = wr_train(&t, wr_cli_arena(c), p, &s, wr_cli_pool(c), r, tick, &tk, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    wr_progress_end(c);
    if (rc < 0) return rc;
    if (rc_end < 0) {
        if (err) *err = end;
        return rc_end;
    }
    print_json(c, &s, &t);
    print_text(c, &s, &t);
    return 0;
}

const wr_cmd wr_cmd_model_train = {
    "model train",
    "train a model and package it as a candidate",
    "SPEC.yaml",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "The specification names the model, the feature view, the rows (SQL over datasets), the\n"
    "time ranges of training and validation, and the learner with its options. Only rows whose\n"
    "label was known by the end of the training range are used. The result is a package: the\n"
    "transform, the learner, its metrics, golden rows and a model card, kept by content hash.",
    "  # train and look at the candidate\n  weir model train train.yaml\n"
    "  # retrain on what was known on June 16th, keeping the last three days to judge it on\n"
    "  weir model train retrain.yaml --until 2001-06-16 --holdout 3d",
    run};
