/* SPDX-License-Identifier: Apache-2.0 */
/* trace_print.c - a trace as a tree: rails, hashes, times, and what each run cost. */
#include "cli/trace_print.h"

#include "base/clock.h"
#include "base/num.h"

/* "dataset flights@3", "run 6d2430fa train delay" */
static const char *title(wr_arena *a, const wr_trace_node *n)
{
    const wr_node *x = &n->node;
    if (n->run.id) return wr_arena_printf(a, "run %.8s %s %s", x->name, n->run.kind, n->run.name);
    if (strcmp(x->kind, "run") == 0) return wr_arena_printf(a, "run %.8s", x->name);
    if (x->version >= 0) return wr_arena_printf(a, "%s %s@%lld", x->kind, x->name, (long long)x->version);
    return wr_arena_printf(a, "%s %s", x->kind, x->name);
}

/* Above each other: a rail for every ancestor that has younger siblings. */
static const char *rails(wr_arena *a, const wr_trace *t, size_t i)
{
    enum { DEEPEST = 24 };
    const char *s = i ? (t->nodes[i].last ? "└─ " : "├─ ") : "";
    int depth = 0;
    for (size_t up = t->nodes[i].parent; s && i && up && depth < DEEPEST; up = t->nodes[up].parent, depth++)
        s = wr_arena_printf(a, "%s%s", t->nodes[up].last ? "   " : "│  ", s);
    return s ? s : "";
}

static void node_row(wr_cli *c, wr_table *table, const wr_trace *t, size_t i)
{
    const wr_trace_node *n = &t->nodes[i];
    wr_arena *a = wr_cli_arena(c);
    char when[WR_TIME_TEXT] = "", wall[WR_NUM_TEXT], energy[WR_NUM_TEXT], grams[WR_NUM_TEXT];
    const char *text = title(a, n), *hash = n->code ? n->code : n->node.hash ? n->node.hash : "";
    int64_t at = n->run.id ? n->run.started_us : n->node.created_us;
    if (at > 0) wr_time_format(when, at);
    if (when[0]) when[16] = 0, when[10] = ' ';
    wr_table_cell(table, "%s%s", rails(a, t, i), text ? text : "");
    wr_table_cell(table, n->code ? "%.20s" : "%.12s", hash);
    wr_table_cell(table, "%s", when);
    wr_table_cell(table, "%s", n->costs ? wr_fmt_seconds(wall, n->wall_s) : "");
    wr_table_cell(table, "%s", n->costs ? wr_fmt_si(energy, n->energy_j, "J") : "");
    wr_table_cell(table, "%s", n->costs ? wr_fmt_si(grams, n->gco2e, "g") : "");
}

void wr_trace_print(wr_cli *c, const wr_trace *t)
{
    char energy[WR_NUM_TEXT], grams[WR_NUM_TEXT];
    wr_table *table = wr_table_new(c, t->down ? "WHAT CAME OF IT" : "WHERE IT COMES FROM", "HASH OR CODE", "TIME (UTC)",
                                   ">WALL", ">ENERGY", ">CO2e", NULL);
    for (size_t i = 0; i < t->n; i++) node_row(c, table, t, i);
    wr_table_print(table);
    if (t->n == 1) wr_say(c, t->down ? "nothing was made from it" : "nothing is recorded of how it was made");
    bool costs = false;
    for (size_t i = 0; i < t->n; i++) costs = costs || t->nodes[i].costs;
    if (costs)
        wr_say(c, "%zu run%s: %s, %s CO2e", t->runs, t->runs == 1 ? "" : "s", wr_fmt_si(energy, t->energy_j, "J"),
               wr_fmt_si(grams, t->gco2e, "g"));
}
