/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c - from a model's nodes to a list that runs: names become slots, constant nodes are computed, dead values are
 * noted. */
#include "predict/graph_inside.h"

#include "base/map.h"
#include "base/mem.h"

/* ---- building ---- */

typedef struct {
    wr_graph *g;
    wr_map slots; /* name -> 1 + slot */
    size_t room;  /* of g->konst */
    wr_err *err;
} builder;

static int unknown_value(wr_err *err, wr_str name)
{
    return wr_err_set(err, WEIR_ECORRUPT, "value \"%.*s\" of an ONNX graph is used before it is made",
                      WR_STR_FMT(wr_str_fit(name, 100)));
}

static int add_slot(int32_t *out, builder *b, wr_str name, const wr_tensor *konst)
{
    wr_graph *g = b->g;
    if (wr_map_find(&b->slots, name) >= 0)
        return wr_err_set(b->err, WEIR_ECORRUPT, "value \"%.*s\" of an ONNX graph is made twice",
                          WR_STR_FMT(wr_str_fit(name, 100)));
    if (wr_map_put(&b->slots, name, (void *)(uintptr_t)(g->nslots + 1)) < 0) return wr_err_nomem(b->err);
    WR_BUG_IF(g->nslots >= b->room);
    g->konst[g->nslots] = konst;
    *out = (int32_t)g->nslots++;
    return 0;
}

static int find_slot(int32_t *out, const builder *b, wr_str name)
{
    void *p = wr_map_get(&b->slots, name);
    *out = (int32_t)(uintptr_t)p - 1;
    return p ? 0 : unknown_value(b->err, name);
}

static int node_operands(wr_graph_node *n, builder *b)
{
    const wr_onnx_node *of = n->of;
    n->nin = (uint32_t)of->nin;
    n->nout = (uint32_t)of->nout;
    n->in = wr_arena_alloc(b->g->mem, (of->nin + of->nout + 1) * sizeof *n->in);
    if (!n->in) return wr_err_nomem(b->err);
    n->out = n->in + of->nin;
    for (size_t i = 0; i < of->nin; i++) {
        n->in[i] = -1;
        if (of->in[i].n) WR_TRY(find_slot(&n->in[i], b, of->in[i]));
    }
    while (n->nin && n->in[n->nin - 1] < 0) n->nin--; /* left out at the end: not there */
    for (size_t i = 0; i < of->nout; i++) {
        n->out[i] = -1;
        if (of->out[i].n) WR_TRY(add_slot(&n->out[i], b, of->out[i], NULL));
    }
    n->first_own = (uint32_t)b->g->nown;
    b->g->nown += of->nout;
    return 0;
}

static int node_find_op(wr_graph_node *n, wr_err *err)
{
    const wr_onnx_node *of = n->of;
    n->op = wr_graph_op_find(of->domain, of->op);
    if (!n->op)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "op \"%s%s%.*s\" is not one of Weir's own executor",
                          of->domain.n ? "ai.onnx.ml" : "", of->domain.n ? "." : "",
                          WR_STR_FMT(wr_str_fit(of->op, 60)));
    if (of->nin > n->op->max_in && n->op->max_in != WR_GRAPH_ANY)
        return wr_graph_corrupt(n, err, "it has too many inputs");
    if ((of->nout > n->op->max_out && n->op->max_out != WR_GRAPH_ANY) || of->nout == 0)
        return wr_graph_corrupt(n, err, "it has too many outputs or none");
    return 0;
}

static bool all_constant(const wr_graph *g, const wr_graph_node *n)
{
    for (uint32_t i = 0; i < n->nin; i++)
        if (n->in[i] >= 0 && !g->konst[n->in[i]]) return false;
    return true;
}

static int run_node(wr_graph_ctx *r, const wr_graph_node *n)
{
    int rc = n->op->run(r, n);
    return rc < 0 ? wr_err_wrap(r->err, rc, "node \"%.*s\" (%.*s)", WR_STR_FMT(wr_str_fit(n->of->name, 60)),
                                WR_STR_FMT(wr_str_fit(n->of->op, 60)))
                  : rc;
}

/* Runs a constant node into the graph's own memory, once and for all. `work` of one run bounds all of them together. */
static int fold(builder *b, const wr_graph_node *n, uint64_t *left)
{
    wr_graph *g = b->g;
    wr_graph_ctx r = {.g = g, .a = g->mem, .err = b->err, .left = *left};
    r.v = wr_arena_dup(g->mem, g->konst, g->nslots * sizeof *r.v);
    wr_tensor *own = wr_arena_calloc(g->mem, n->nout, sizeof *own);
    size_t *room = wr_arena_calloc(g->mem, n->nout, sizeof *room);
    if (!r.v || !own || !room) return wr_err_nomem(b->err);
    wr_graph_node here = *n;
    here.first_own = 0;
    r.own = own;
    r.room = room;
    WR_TRY(run_node(&r, &here));
    *left = r.left;
    for (uint32_t i = 0; i < n->nout; i++)
        if (n->out[i] >= 0) g->konst[n->out[i]] = r.v[n->out[i]];
    return 0;
}

static int add_node(builder *b, const wr_onnx_node *of, uint64_t *left)
{
    wr_graph *g = b->g;
    wr_graph_node n = {.of = of};
    WR_TRY(node_find_op(&n, b->err));
    WR_TRY(node_operands(&n, b));
    if (n.nin < n.op->min_in) return wr_graph_corrupt(&n, b->err, "an input is missing");
    for (uint32_t i = 0; i < n.op->min_in; i++)
        if (n.in[i] < 0) return wr_graph_corrupt(&n, b->err, "an input is missing");
    bool constant = all_constant(g, &n);
    wr_graph_node *kept = constant ? &g->folded[g->nfolded++] : &g->nodes[g->nnodes++];
    *kept = n;
    if (n.op->prepare) WR_TRY(n.op->prepare(kept, g, b->err));
    return constant ? fold(b, kept, left) : 0;
}

/* ---- two nodes in one ---- */

/* The node that alone uses slot s, with constants beside it; NULL when there are more or none. */
static wr_graph_node *only_user(const wr_graph *g, const uint32_t *uses, const uint32_t *user, int32_t s)
{
    if (s < 0 || uses[s] != 1) return NULL;
    wr_graph_node *n = &g->nodes[user[s]];
    for (uint32_t i = 0; i < n->nin; i++)
        if (n->in[i] >= 0 && n->in[i] != s && !g->konst[n->in[i]]) return NULL;
    return n;
}

static int join_nodes(wr_graph *g, wr_err *err)
{
    WR_AUTOFREE uint32_t *uses = wr_calloc(g->nslots + 1, sizeof *uses);
    WR_AUTOFREE uint32_t *user = wr_calloc(g->nslots + 1, sizeof *user);
    if (!uses || !user) return wr_err_nomem(err);
    for (uint32_t k = 0; k < g->nnodes; k++)
        for (uint32_t i = 0; i < g->nodes[k].nin; i++) {
            if (g->nodes[k].in[i] < 0) continue;
            uses[g->nodes[k].in[i]]++;
            user[g->nodes[k].in[i]] = k;
        }
    for (size_t i = 0; i < g->model->nout; i++) uses[g->out[i]] += 2; /* of the world's, too */
    for (size_t k = 0; k < g->nnodes; k++) {
        wr_graph_node *n = &g->nodes[k], *next;
        while (n->op && n->op->absorb && n->nout == 1 && (next = only_user(g, uses, user, n->out[0])) &&
               next->nout == 1 && n->op->absorb(n, next, g)) {
            n->out[0] = next->out[0];
            next->op = NULL;
        }
    }
    size_t kept = 0;
    for (size_t k = 0; k < g->nnodes; k++)
        if (g->nodes[k].op) g->nodes[kept++] = g->nodes[k];
    g->nnodes = kept;
    return 0;
}

/* ---- who is dead after which node ---- */

typedef struct {
    int32_t root;
    uint32_t last;
    bool made, kept;
} life;

static void note_use(life *l, int32_t slot, uint32_t at)
{
    if (slot >= 0) l[l[slot].root].last = at;
}

static int plan_deaths(wr_graph *g, wr_err *err)
{
    WR_AUTOFREE life *l = wr_calloc(g->nslots + 1, sizeof *l);
    WR_AUTOFREE uint32_t *count = wr_calloc(g->nnodes + 1, sizeof *count);
    if (!l || !count) return wr_err_nomem(err);
    for (size_t s = 0; s < g->nslots; s++) l[s].root = (int32_t)s;
    for (uint32_t k = 0; k < g->nnodes; k++) {
        const wr_graph_node *n = &g->nodes[k];
        for (uint32_t i = 0; i < n->nin; i++) note_use(l, n->in[i], k);
        for (uint32_t i = 0; i < n->nout; i++) {
            if (n->out[i] < 0) continue;
            if (i == 0 && n->op->alias) l[n->out[0]].root = l[n->in[0]].root;
            else l[n->out[i]].made = true;
            note_use(l, n->out[i], k);
        }
    }
    for (size_t i = 0; i < g->model->nout; i++) l[l[g->out[i]].root].kept = true;
    for (size_t s = 0; s < g->nslots; s++)
        if (l[s].made && !l[s].kept) count[l[s].last]++;
    for (uint32_t k = 0; k < g->nnodes; k++) {
        g->nodes[k].dead = wr_arena_alloc(g->mem, (count[k] + 1) * sizeof(uint32_t));
        if (!g->nodes[k].dead) return wr_err_nomem(err);
    }
    for (uint32_t s = 0; s < g->nslots; s++)
        if (l[s].made && !l[s].kept) g->nodes[l[s].last].dead[g->nodes[l[s].last].ndead++] = s;
    return 0;
}

/* ---- all of it ---- */

static int check_sets(const wr_onnx_model *m, wr_err *err)
{
    if (m->opset && (m->opset < 7 || m->opset > WR_GRAPH_OPSET))
        return wr_err_set(err, WEIR_EUNSUPPORTED,
                          "operator set %lld of ai.onnx is not one of Weir's own executor (7 to %d)",
                          (long long)m->opset, WR_GRAPH_OPSET);
    if (m->opset_ml > WR_GRAPH_OPSET_ML)
        return wr_err_set(err, WEIR_EUNSUPPORTED,
                          "operator set %lld of ai.onnx.ml is not one of Weir's own executor (1 to %d)",
                          (long long)m->opset_ml, WR_GRAPH_OPSET_ML);
    if (m->ir_version > WR_GRAPH_IR)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "IR version %lld is newer than Weir's own executor knows (%d)",
                          (long long)m->ir_version, WR_GRAPH_IR);
    if (m->nfunctions)
        return wr_err_set(err, WEIR_EUNSUPPORTED,
                          "an ONNX model with functions of its own is nothing for Weir's own executor");
    return 0;
}

static int make_room(builder *b)
{
    wr_graph *g = b->g;
    const wr_onnx_model *m = g->model;
    b->room = m->ninit + m->nin;
    for (size_t i = 0; i < m->nnodes; i++) b->room += m->nodes[i].nout;
    g->konst = wr_arena_calloc(g->mem, b->room + 1, sizeof(wr_tensor *));
    g->nodes = wr_arena_calloc(g->mem, m->nnodes + 1, sizeof *g->nodes);
    g->folded = wr_arena_calloc(g->mem, m->nnodes + 1, sizeof *g->folded);
    g->in = wr_arena_alloc(g->mem, (m->nin + m->nout + 1) * sizeof *g->in);
    g->out = g->in ? g->in + m->nin : NULL;
    return g->konst && g->nodes && g->folded && g->in ? 0 : wr_err_nomem(b->err);
}

static int build(builder *b)
{
    wr_graph *g = b->g;
    const wr_onnx_model *m = g->model;
    int32_t slot;
    WR_TRY(check_sets(m, b->err));
    WR_TRY(make_room(b));
    wr_graph_ctx caps = {.g = g, .left = UINT64_MAX, .err = b->err};
    for (size_t i = 0; i < m->ninit; i++) {
        WR_TRY(wr_graph_check_input(&caps, &m->init[i]));
        WR_TRY(add_slot(&slot, b, m->init[i].name, &m->init[i]));
    }
    for (size_t i = 0; i < m->nin; i++) WR_TRY(add_slot(&g->in[i], b, m->in[i].name, NULL));
    uint64_t left = g->work;
    for (size_t i = 0; i < m->nnodes; i++) WR_TRY(add_node(b, &m->nodes[i], &left));
    for (size_t i = 0; i < m->nout; i++) WR_TRY(find_slot(&g->out[i], b, m->out[i].name));
    WR_TRY(join_nodes(g, b->err));
    return plan_deaths(g, b->err);
}

int wr_graph_new(wr_graph **out, const wr_onnx_model *m, uint64_t work, wr_err *err)
{
    wr_err mine; /* ops find the code in it */
    if (!err) err = &mine;
    wr_graph *g = wr_calloc(1, sizeof *g);
    if (!g) return wr_err_nomem(err);
    *g = (wr_graph){
        .model = m, .opset = m->opset ? m->opset : 1, .opset_ml = m->opset_ml, .work = work ? work : WR_GRAPH_WORK};
    g->mem = wr_arena_new(0);
    builder b = {.g = g, .err = err};
    wr_map_init(&b.slots);
    int rc = g->mem ? build(&b) : wr_err_nomem(err);
    wr_map_fini(&b.slots);
    if (rc < 0) {
        wr_graph_free(g);
        return rc;
    }
    *out = g;
    return 0;
}

static void fini_nodes(wr_graph_node *n, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (n[i].state && n[i].op->fini) n[i].op->fini(n[i].state);
}

void wr_graph_free(wr_graph *g)
{
    if (!g) return;
    fini_nodes(g->nodes, g->nnodes);
    fini_nodes(g->folded, g->nfolded);
    wr_arena_free(g->mem);
    wr_free(g);
}

size_t wr_graph_memory(const wr_graph *g) { return wr_arena_used(g->mem) + g->beside; }

/* ---- running ---- */

static void bury(wr_graph_ctx *r, const wr_graph_node *n)
{
    for (uint32_t i = 0; i < n->ndead; i++) {
        const wr_tensor *t = r->v[n->dead[i]];
        if (!t) continue;
        size_t at = (size_t)(t - r->own);
        wr_graph_block *least = &r->free[0]; /* an empty place, else the smallest makes way */
        for (size_t k = 1; k < WR_GRAPH_BLOCKS && least->p; k++)
            if (!r->free[k].p || r->free[k].n < least->n) least = &r->free[k];
        if (r->room[at] && (!least->p || least->n < r->room[at])) *least = (wr_graph_block){t->data, r->room[at]};
        r->room[at] = 0;
    }
}

static int hand_out(const wr_graph *g, const wr_graph_ctx *r, wr_tensor *out, const bool *want, wr_err *err)
{
    for (size_t i = 0; i < g->model->nout; i++) {
        if (want && !want[i]) continue;
        const wr_tensor *t = r->v[g->out[i]];
        if (!t || t->type == WR_TENSOR_NONE)
            return wr_err_set(err, WEIR_EINVAL, "output \"%.*s\" depends on an input that was left out",
                              WR_STR_FMT(g->model->out[i].name));
        out[i] = *t;
        out[i].name = g->model->out[i].name;
    }
    return 0;
}

int wr_graph_run(const wr_graph *g, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    wr_err mine; /* ops find the code in it */
    if (!err) err = &mine;
    wr_graph_ctx r = {.g = g, .a = a, .left = g->work, .err = err};
    r.v = wr_arena_dup(a, g->konst, g->nslots * sizeof *r.v);
    r.own = wr_arena_calloc(a, g->nown + 1, sizeof *r.own);
    r.room = wr_arena_calloc(a, g->nown + 1, sizeof *r.room);
    if (!r.v || !r.own || !r.room) return wr_err_nomem(err);
    for (size_t i = 0; i < g->model->nin; i++) {
        if (in[i].type == WR_TENSOR_NONE) continue;
        r.v[g->in[i]] = &in[i];
        WR_TRY(wr_graph_check_input(&r, &in[i]));
    }
    for (size_t k = 0; k < g->nnodes; k++) {
        const wr_graph_node *n = &g->nodes[k];
        for (uint32_t i = 0; i < n->op->min_in; i++)
            if (!r.v[n->in[i]])
                return wr_err_set(err, WEIR_EINVAL, "op \"%.*s\" needs an input that was left out",
                                  WR_STR_FMT(n->of->op));
        WR_TRY(run_node(&r, n));
        bury(&r, n);
    }
    return hand_out(g, &r, out, want, err);
}
