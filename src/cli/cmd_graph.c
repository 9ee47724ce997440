/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_graph.c - weir graph: the pipeline as a drawing or for other tools. */
#include "cli/commands.h"
#include "flow/graph.h"

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_graph g;
    WR_AUTOPIPELINE wr_pipeline *pl = NULL;
    WR_AUTOBUF wr_buf text = {0};
    if (wr_cli_flag(c, "dot") + wr_cli_flag(c, "mermaid") + wr_cli_json(c) > 1)
        return wr_err_set(err, WEIR_EUSAGE, "--dot, --mermaid and --json exclude each other");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_pipeline_load(&pl, p, NULL, 0, err));
    WR_TRY(wr_graph_build(&g, wr_cli_arena(c), pl, err));
    if (wr_cli_json(c)) {
        wr_graph_json(wr_cli_jsonw(c), &g);
        return 0;
    }
    if (pl->n == 0) {
        wr_say(c, "there are no stages; weir.yaml describes them");
        return 0;
    }
    if (wr_cli_flag(c, "dot")) wr_graph_dot(&text, &g);
    else if (wr_cli_flag(c, "mermaid")) wr_graph_mermaid(&text, &g);
    else wr_graph_draw(&text, &g);
    if (text.failed) return wr_err_nomem(err);
    fputs(wr_buf_cstr(&text), stdout);
    return 0;
}

static const wr_cmd_arg args[] = {
    {"dot", 0, WR_ARG_FLAG, NULL, "for Graphviz", NULL},
    {"mermaid", 0, WR_ARG_FLAG, NULL, "for Mermaid (Markdown pages)", NULL},
};

const wr_cmd wr_cmd_graph = {
    "graph",
    "draw the pipeline",
    NULL,
    0,
    0,
    args,
    sizeof args / sizeof *args,
    "A line per stage in the order they run; lanes carry what a stage makes to those\n"
    "that need it.",
    "  # in the terminal\n  weir graph\n  # as a picture\n  weir graph --dot | dot -Tsvg > graph.svg",
    run};
