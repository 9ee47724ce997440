/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_status.c - weir status: what weir run would do. */
#include "cli/commands.h"
#include "cli/flow_print.h"

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    WR_AUTOPIPELINE wr_pipeline *pl = NULL;
    wr_graph_pick pick;
    wr_flow_result plan;
    const char **set;
    size_t nset = wr_cli_list(c, "set", &set);
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_pipeline_load(&pl, p, set, nset, err));
    WR_TRY(wr_cli_pick(&pick, c, err));
    WR_TRY(wr_flow_plan(&plan, wr_cli_arena(c), p, pl, &pick, false, err));
    if (!wr_cli_json(c)) {
        wr_plan_print(c, &plan);
        return 0;
    }
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < plan.n; i++) wr_stage_json(w, &plan.stages[i]);
    wr_jsonw_end(w);
    return 0;
}

static const wr_cmd_arg args[] = {
    {"set", 'S', WR_ARG_LIST, "KEY=VALUE", "another value for a variable", NULL},
    {"single", 's', WR_ARG_FLAG, NULL, "only the stages named, nothing they need", NULL},
    {"downstream", 0, WR_ARG_FLAG, NULL, "the stages named and what needs them", NULL},
};

const wr_cmd wr_cmd_status = {
    "status",
    "show which stages are out of date, and why",
    "[STAGE...]",
    0,
    -1,
    args,
    sizeof args / sizeof *args,
    "Compares every stage with weir.lock. \"would restore\" means that the run cache\n"
    "knows the result; \"may run\" that it depends on what a stage before it makes.\n"
    "Changes nothing.",
    "  # all stages\n  weir status\n  # a manual stage and what it needs\n  weir status retrain",
    run};
