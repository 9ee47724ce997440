/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c - edges, order and selection. Edges are found through maps of paths, so their number costs, not their square.
 */
#include "flow/graph.h"

#include <stdlib.h>

#include "base/vec.h"

typedef WR_VEC(size_t) indices;

typedef struct {
    wr_arena *a;
    const wr_pipeline *pl;
    wr_map makers;  /* out -> 1 + stage */
    wr_map needers; /* dep -> indices * */
    indices *up;    /* of each stage */
} builder;

/* ---- edges ---- */

static int note_needer(builder *b, const char *ref, size_t stage, wr_err *err)
{
    indices *list = wr_map_get(&b->needers, wr_str_of(ref));
    if (!list) {
        list = wr_calloc(1, sizeof *list);
        if (!list) return wr_err_nomem(err);
        if (wr_map_put(&b->needers, wr_str_of(ref), list) < 0) {
            wr_free(list);
            return wr_err_nomem(err);
        }
    }
    return wr_vec_push(list, stage) < 0 ? wr_err_nomem(err) : 0;
}

static int collect(builder *b, wr_err *err)
{
    for (size_t i = 0; i < b->pl->n; i++) {
        const wr_stage *s = &b->pl->stages[i];
        for (size_t k = 0; k < s->nouts; k++)
            if (wr_map_put(&b->makers, wr_str_of(s->outs[k].ref), (void *)(uintptr_t)(i + 1)) < 0)
                return wr_err_nomem(err);
        if (s->frozen) continue;
        for (size_t k = 0; k < s->ndeps; k++) WR_TRY(note_needer(b, s->deps[k].ref, i, err));
        for (size_t k = 0; k < s->nparams; k++) WR_TRY(note_needer(b, s->params[k].file, i, err));
    }
    return 0;
}

static int add_edge(builder *b, size_t from, size_t to, wr_err *err)
{
    if (from == to) {
        const wr_stage *s = &b->pl->stages[from];
        return wr_yaml_error(s->at, WEIR_EINVAL, err, "stage \"%s\" depends on its own out", s->name);
    }
    return wr_vec_push(&b->up[to], from) < 0 ? wr_err_nomem(err) : 0;
}

/* The folders above `path`, longest first; false when there is none left. */
static bool folder_above(wr_str *path)
{
    while (path->n && path->p[path->n - 1] != '/') path->n--;
    if (!path->n) return false;
    path->n--;
    return path->n > 0;
}

/* Who makes the dep, or a folder it lies in. */
static int edges_of_dep(builder *b, wr_str dep, const indices *who, wr_err *err)
{
    do {
        uintptr_t maker = (uintptr_t)wr_map_get(&b->makers, dep);
        for (size_t i = 0; maker && i < who->n; i++) WR_TRY(add_edge(b, maker - 1, who->at[i], err));
    } while (folder_above(&dep));
    return 0;
}

/* Who needs a folder that the out lies in. */
static int edges_of_out(builder *b, wr_str out, size_t maker, wr_err *err)
{
    while (folder_above(&out)) {
        const indices *who = wr_map_get(&b->needers, out);
        for (size_t i = 0; who && i < who->n; i++) WR_TRY(add_edge(b, maker, who->at[i], err));
    }
    const indices *all = wr_map_get(&b->needers, WR_STR("."));
    for (size_t i = 0; all && i < all->n; i++) WR_TRY(add_edge(b, maker, all->at[i], err));
    return 0;
}

static int find_edges(builder *b, wr_err *err)
{
    WR_TRY(collect(b, err));
    for (size_t i = 0; i < b->needers.n; i++)
        WR_TRY(edges_of_dep(b, b->needers.at[i].key, b->needers.at[i].value, err));
    for (size_t i = 0; i < b->pl->n; i++)
        for (size_t k = 0; k < b->pl->stages[i].nouts; k++) {
            const wr_ref *out = &b->pl->stages[i].outs[k];
            if (out->kind == WR_NOUN_PATH) WR_TRY(edges_of_out(b, wr_str_of(out->ref), i, err));
        }
    return 0;
}

static int by_index(const void *x, const void *y)
{
    size_t a = *(const size_t *)x, b = *(const size_t *)y;
    return (a > b) - (a < b);
}

static int store_edges(wr_graph *g, builder *b, wr_err *err)
{
    size_t n = b->pl->n;
    g->up = wr_arena_calloc(b->a, n + 1, sizeof *g->up);
    g->down = wr_arena_calloc(b->a, n + 1, sizeof *g->down);
    if (!g->up || !g->down) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        indices *in = &b->up[i];
        size_t kept = 0;
        if (in->n) qsort(in->at, in->n, sizeof *in->at, by_index);
        for (size_t k = 0; k < in->n; k++)
            if (kept == 0 || in->at[kept - 1] != in->at[k]) in->at[kept++] = in->at[k];
        g->up[i] = (wr_graph_list){wr_arena_dup(b->a, in->at, kept * sizeof *in->at), kept};
        if (!g->up[i].at) return wr_err_nomem(err);
        for (size_t k = 0; k < kept; k++) g->down[in->at[k]].n++;
    }
    for (size_t i = 0; i < n; i++) {
        g->down[i].at = wr_arena_alloc(b->a, (g->down[i].n + 1) * sizeof(size_t));
        if (!g->down[i].at) return wr_err_nomem(err);
        g->down[i].n = 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < g->up[i].n; k++) {
            wr_graph_list *d = &g->down[g->up[i].at[k]];
            d->at[d->n++] = i;
        }
    return 0;
}

/* ---- order ---- */

typedef struct {
    size_t stage, next;
} frame; /* next: index into its `up` still to be visited */
enum { WHITE, OPEN, DONE };

/* The open stages from `again` on are a cycle; the stack runs from a stage to what it needs. */
static int cycle(const wr_graph *g, const frame *stack, size_t depth, size_t again, wr_err *err)
{
    WR_AUTOBUF wr_buf names = {0};
    size_t i = depth;
    wr_buf_str(&names, g->pl->stages[again].name);
    do {
        i--;
        wr_buf_printf(&names, " -> %s", g->pl->stages[stack[i].stage].name);
    } while (stack[i].stage != again && i > 0);
    return wr_yaml_error(g->pl->stages[again].at, WEIR_EINVAL, err, "stages depend on each other: %s",
                         wr_buf_cstr(&names));
}

/* Depth first without recursion: pipelines may be ten thousand stages deep. */
static int visit(wr_graph *g, size_t start, unsigned char *state, frame *stack, size_t *done, wr_err *err)
{
    size_t depth = 0;
    stack[depth++] = (frame){start, 0};
    state[start] = OPEN;
    while (depth) {
        frame *top = &stack[depth - 1];
        const wr_graph_list *up = &g->up[top->stage];
        if (top->next == up->n) {
            state[top->stage] = DONE;
            g->order[(*done)++] = top->stage;
            depth--;
            continue;
        }
        size_t need = up->at[top->next++];
        if (state[need] == OPEN) return cycle(g, stack, depth, need, err);
        if (state[need] == DONE) continue;
        state[need] = OPEN;
        stack[depth++] = (frame){need, 0};
    }
    return 0;
}

static int sort(wr_graph *g, wr_arena *a, wr_err *err)
{
    size_t n = g->pl->n, done = 0;
    WR_AUTOFREE unsigned char *state = wr_calloc(n + 1, 1);
    WR_AUTOFREE frame *stack = wr_calloc(n + 1, sizeof *stack);
    g->order = wr_arena_alloc(a, (n + 1) * sizeof *g->order);
    if (!state || !stack || !g->order) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (state[i] == WHITE) WR_TRY(visit(g, i, state, stack, &done, err));
    return 0;
}

static void builder_fini(builder *b)
{
    for (size_t i = 0; i < b->needers.n; i++) {
        indices *list = b->needers.at[i].value;
        wr_vec_fini(list);
        wr_free(list);
    }
    for (size_t i = 0; b->up && i < b->pl->n; i++) wr_vec_fini(&b->up[i]);
    wr_free(b->up);
    wr_map_fini(&b->makers);
    wr_map_fini(&b->needers);
}

int wr_graph_build(wr_graph *out, wr_arena *a, const wr_pipeline *pl, wr_err *err)
{
    builder b = {.a = a, .pl = pl, .up = wr_calloc(pl->n + 1, sizeof *b.up)};
    *out = (wr_graph){.pl = pl};
    int rc = b.up ? find_edges(&b, err) : wr_err_nomem(err);
    if (rc == 0) rc = store_edges(out, &b, err);
    if (rc == 0) rc = sort(out, a, err);
    builder_fini(&b);
    return rc;
}

/* ---- selection ---- */

/* Spread the marks along `edges`; in order, so that one pass is enough. Manual stages are not pulled in. */
static void spread(bool *wanted, const wr_graph *g, bool upstream)
{
    for (size_t i = 0; i < g->pl->n; i++) {
        size_t s = g->order[upstream ? g->pl->n - 1 - i : i];
        const wr_graph_list *next = upstream ? &g->up[s] : &g->down[s];
        for (size_t k = 0; wanted[s] && k < next->n; k++)
            if (!g->pl->stages[next->at[k]].manual) wanted[next->at[k]] = true;
    }
}

int wr_graph_select(bool *wanted, const wr_graph *g, const wr_graph_pick *pick, wr_err *err)
{
    for (size_t i = 0; i < g->pl->n; i++) wanted[i] = pick->n == 0 && !g->pl->stages[i].manual;
    for (size_t i = 0; i < pick->n; i++) WR_TRY(wr_pipeline_mark(g->pl, pick->targets[i], wanted, err));
    if (pick->single || pick->n == 0) return 0;
    spread(wanted, g, !pick->downstream);
    return 0;
}
