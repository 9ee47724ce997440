/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_explain.c - weir model explain: contributions of features without a server. */
#include "cli/commands.h"
#include "cli/explain_print.h"
#include "stage/model/explain.h"

static const wr_cmd_arg args[] = {WR_EXPLAIN_TOP,
                                  {"limit", 'n', WR_ARG_INT, "N", "the first N rows", "10"}};

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_explanation e;
    wr_explain_opt opt = {.model = wr_cli_arg(c, 0), .rows = wr_cli_arg(c, 1), .limit = (size_t)wr_cli_int(c, "limit")};
    if (wr_cli_int(c, "top") < 1) return wr_err_set(err, WEIR_EUSAGE, "--top is 1 or more");
    if (wr_cli_int(c, "limit") < 1) return wr_err_set(err, WEIR_EUSAGE, "--limit is 1 or more");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_explain(&e, wr_cli_arena(c), p, &opt, wr_cli_pool(c), err));
    wr_explained shown = {e.phi, e.rows, e.outputs, e.features, e.names};
    wr_explained_json(wr_cli_jsonw(c), &shown);
    return wr_explained_print(c, &shown, (size_t)wr_cli_int(c, "top"), err);
}

const wr_cmd wr_cmd_model_explain = {
    "model explain",
    "show what each feature adds to a model's predictions",
    "MODEL ROWS",
    2,
    2,
    args,
    sizeof args / sizeof *args,
    "MODEL is NAME, NAME@ALIAS or NAME@VERSION of a package, or a file of XGBoost or LightGBM.\n"
    "ROWS is a file (.csv, .json, .parquet), a query or a dataset whose columns are the model's\n"
    "features; of a package those that weir feature build computes. Contributions are exact\n"
    "Shapley values; with the base value they add up to the margin (log-odds of a package).",
    "  # the first rows of the training table\n  weir model explain delay@champion flights_features --top 3\n"
    "  # a model file\n  weir model explain model.ubj rows.csv --json",
    run};
