/* SPDX-License-Identifier: Apache-2.0 */
/* graph_draw.c - the graph as text: lanes for a terminal, Graphviz, Mermaid, JSON. */
#include "base/mem.h"
#include "flow/graph.h"

/* ---- lanes ----
 * A lane carries the outs of one stage down to the stages that need them and ends at the last one:
 *
 *   ○        ingest             ○ a stage that needs none, ● one that needs others
 *   ├─●      profile            a lane that turns into a stage: ├ goes on, ╰ ends; one that becomes it ends too
 *   ├───●    check
 *   ●        clean
 *
 * What stands directly below a stage comes from it: the column of a stage that nobody needs rests for a row.
 */
enum { NO_STAGE = -1 };

typedef struct {
    ptrdiff_t *owner;  /* of each lane */
    size_t *left;      /* how many still need it */
    size_t n, resting; /* resting: column not to be taken now */
} lanes;

static bool needs(const wr_graph *g, size_t stage, ptrdiff_t maker)
{
    for (size_t i = 0; i < g->up[stage].n; i++)
        if ((ptrdiff_t)g->up[stage].at[i] == maker) return true;
    return false;
}

/* Where the stage stands: in the first lane that ends in it, else in the first free one. */
static size_t place(lanes *l, const wr_graph *g, size_t stage)
{
    for (size_t c = 0; c < l->n; c++)
        if (l->owner[c] != NO_STAGE && l->left[c] == 1 && needs(g, stage, l->owner[c])) return c;
    size_t c = 0;
    while (c < l->n && (l->owner[c] != NO_STAGE || c == l->resting)) c++;
    if (c == l->n) l->owner[l->n++] = NO_STAGE;
    return c;
}

static const char *sign(const lanes *l, const wr_graph *g, size_t stage, size_t c, size_t node, size_t first,
                        size_t last)
{
    if (c == node) return g->up[stage].n ? "●" : "○";
    bool used = l->owner[c] != NO_STAGE, joins = used && needs(g, stage, l->owner[c]), ends = joins && l->left[c] == 1;
    if (joins && c < node) return ends ? (c == first ? "╰" : "┴") : (c == first ? "├" : "┼");
    if (joins) return ends ? (c == last ? "╯" : "┴") : (c == last ? "┤" : "┼");
    return used ? "│" : c > first && c < last ? "─" : " ";
}

static void draw_row(wr_buf *out, lanes *l, const wr_graph *g, size_t stage, size_t width)
{
    size_t node = place(l, g, stage), first = node, last = node;
    for (size_t c = 0; c < l->n; c++) {
        if (l->owner[c] == NO_STAGE || !needs(g, stage, l->owner[c])) continue;
        first = c < first ? c : first;
        last = c > last ? c : last;
    }
    for (size_t c = 0; c < width; c++) {
        wr_buf_str(out, c < l->n ? sign(l, g, stage, c, node, first, last) : " ");
        wr_buf_str(out, c >= first && c < last ? "─" : " ");
    }
    for (size_t c = 0; c < l->n; c++)
        if (l->owner[c] != NO_STAGE && needs(g, stage, l->owner[c]) && --l->left[c] == 0) l->owner[c] = NO_STAGE;
    l->owner[node] = g->down[stage].n ? (ptrdiff_t)stage : NO_STAGE;
    l->left[node] = g->down[stage].n;
    l->resting = g->down[stage].n ? SIZE_MAX : node;
}

/* The same walk without drawing tells how wide it gets. */
static size_t lane_count(lanes *l, const wr_graph *g)
{
    wr_buf none;
    wr_buf_init(&none, 1); /* full at once: nothing is kept */
    for (size_t i = 0; i < g->pl->n; i++) draw_row(&none, l, g, g->order[i], 0);
    wr_buf_fini(&none);
    size_t n = l->n;
    l->n = 0;
    l->resting = SIZE_MAX;
    return n;
}

static void draw_label(wr_buf *out, const wr_stage *s)
{
    wr_buf_printf(out, " %s", s->name);
    if (s->manual) wr_buf_str(out, " (manual)");
    if (s->frozen) wr_buf_str(out, " (frozen)");
    for (size_t i = 0; i < s->nouts; i++) wr_buf_printf(out, "%s%s", i ? ", " : "  → ", s->outs[i].ref);
    wr_buf_char(out, '\n');
}

void wr_graph_draw(wr_buf *out, const wr_graph *g)
{
    WR_AUTOFREE ptrdiff_t *owner = wr_calloc(2 * g->pl->n + 2, sizeof *owner);
    WR_AUTOFREE size_t *left = wr_calloc(2 * g->pl->n + 2, sizeof *left);
    if (!owner || !left) {
        out->failed = true;
        return;
    }
    lanes l = {.owner = owner, .left = left, .resting = SIZE_MAX};
    size_t width = lane_count(&l, g);
    for (size_t i = 0; i < g->pl->n; i++) {
        draw_row(out, &l, g, g->order[i], width);
        draw_label(out, &g->pl->stages[g->order[i]]);
    }
}

/* ---- Graphviz and Mermaid ---- */

static void put_escaped(wr_buf *out, const char *s, const char *quote)
{
    for (; *s; s++) {
        if (*s == '"') wr_buf_str(out, quote);
        else if (*s == '\\') wr_buf_str(out, "\\\\");
        else wr_buf_char(out, *s);
    }
}

void wr_graph_dot(wr_buf *out, const wr_graph *g)
{
    wr_buf_str(out, "digraph weir {\n  node [shape=box];\n");
    for (size_t i = 0; i < g->pl->n; i++) {
        wr_buf_str(out, "  \"");
        put_escaped(out, g->pl->stages[i].name, "\\\"");
        wr_buf_str(out, g->pl->stages[i].manual ? "\" [style=dashed];\n" : "\";\n");
    }
    for (size_t i = 0; i < g->pl->n; i++)
        for (size_t k = 0; k < g->down[i].n; k++) {
            wr_buf_str(out, "  \"");
            put_escaped(out, g->pl->stages[i].name, "\\\"");
            wr_buf_str(out, "\" -> \"");
            put_escaped(out, g->pl->stages[g->down[i].at[k]].name, "\\\"");
            wr_buf_str(out, "\";\n");
        }
    wr_buf_str(out, "}\n");
}

void wr_graph_mermaid(wr_buf *out, const wr_graph *g)
{
    wr_buf_str(out, "flowchart TD\n");
    for (size_t i = 0; i < g->pl->n; i++) {
        wr_buf_printf(out, "  s%zu[\"", i);
        put_escaped(out, g->pl->stages[i].name, "#quot;");
        wr_buf_str(out, "\"]\n");
    }
    for (size_t i = 0; i < g->pl->n; i++)
        for (size_t k = 0; k < g->down[i].n; k++) wr_buf_printf(out, "  s%zu --> s%zu\n", i, g->down[i].at[k]);
}

/* ---- JSON ---- */

static void put_refs(wr_jsonw *w, const char *key, const wr_ref *refs, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_cstr(w, refs[i].ref);
    wr_jsonw_end(w);
}

void wr_graph_json(wr_jsonw *w, const wr_graph *g)
{
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "stages");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < g->pl->n; i++) {
        const wr_stage *s = &g->pl->stages[g->order[i]];
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", s->name);
        wr_jsonw_kstr(w, "cmd", s->cmd);
        if (s->desc) wr_jsonw_kstr(w, "desc", s->desc);
        put_refs(w, "deps", s->deps, s->ndeps);
        put_refs(w, "outs", s->outs, s->nouts);
        wr_jsonw_kbool(w, "manual", s->manual);
        wr_jsonw_kbool(w, "frozen", s->frozen);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_key(w, "edges");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < g->pl->n; i++)
        for (size_t k = 0; k < g->down[i].n; k++) {
            wr_jsonw_arr(w);
            wr_jsonw_cstr(w, g->pl->stages[i].name);
            wr_jsonw_cstr(w, g->pl->stages[g->down[i].at[k]].name);
            wr_jsonw_end(w);
        }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}
