/* SPDX-License-Identifier: Apache-2.0 */
/* graph.h - which stage needs which: an edge runs from the maker of an out to every stage that has it as a dep.
 *
 * A folder counts for everything in it, both ways: out "data" feeds dep "data/a.csv", out "data/a.csv" feeds dep
 * "data". The files of `params:` count as deps. A frozen stage has no edges into it. Cycles are refused with their
 * names in order. The order is topological; between stages that do not need each other it is the order of the file.
 * Immutable after building.
 */
#pragma once
#include "codec/json.h"
#include "flow/pipeline.h"

typedef struct { size_t *at, n; } wr_graph_list; /* indices into pipeline->stages, ascending */

typedef struct {
    const wr_pipeline *pl;
    wr_graph_list *up, *down;       /* of each stage: what it needs, what needs it */
    size_t *order;                  /* all stages, what is needed first */
} wr_graph;

/* In the arena. WEIR_EINVAL "FILE:LINE:COLUMN: stages depend on each other: a -> b -> a". */
int wr_graph_build(wr_graph *out, wr_arena *a, const wr_pipeline *pl, wr_err *err);

typedef struct {
    const char *const *targets; size_t n;   /* none = all that are not manual */
    bool single;                    /* only the targets, nothing they need */
    bool downstream;                /* the targets and what needs them, nothing they need */
} wr_graph_pick;
/* wanted[i] for every stage. A manual stage is wanted only when it is named. */
int wr_graph_select(bool *wanted, const wr_graph *g, const wr_graph_pick *pick, wr_err *err);

/* Drawings (graph_draw.c). The first is for a terminal: a line per stage, lanes at the left carry what is made to who
 * needs it; "─" passes under "│" without touching it. */
void wr_graph_draw(wr_buf *out, const wr_graph *g);
void wr_graph_dot(wr_buf *out, const wr_graph *g);
void wr_graph_mermaid(wr_buf *out, const wr_graph *g);
/* {"stages": [{"name", "cmd", "deps", "outs", "manual", "frozen"}], "edges": [["a", "b"]]} */
void wr_graph_json(wr_jsonw *w, const wr_graph *g);
