/* SPDX-License-Identifier: Apache-2.0 */
/* forest_shap.c - exact path-dependent Shapley values of trees.
 *
 * A leaf of value v is a game of its path's features: with z_j the share of rows that pass feature j's comparisons on the path (product of
 * cover ratios) and o_j = 1 when the row passes them, else 0, a coalition S gets v prod_{j in S} o_j prod_{j not in S} z_j. Its Shapley
 * values are integrals over the multilinear extension (Owen 1972):
 *
 *     phi_i = v (o_i - z_i) int_0^1 prod_{j != i} f_j(t) dt,     f_j(t) = o_j t + z_j (1 - t)
 *
 * a polynomial of degree d - 1, which d / 2 Gauss-Legendre points integrate exactly. All f_j are sums of numbers that are not negative, so
 * nothing cancels. For a whole tree (as Bifet, Read & Xu 2022, "Linear tree Shap", who interpolate the polynomial): products at the points
 * go down the edges, sums over leaves come up, and each edge adds (o - z) / f of its feature times the sum below it, less the same of the
 * edge above that has the same feature, which it replaces. Work: nodes x points.
 *
 * An edge's factors depend on two bits of the row only, so they are tables: 3 cases x (ratio of products, difference of weights).
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "calc/forest_internal.h"

enum { MAX_DEPTH = 512, MAX_POINTS = WR_FOREST_SHAP_PATH / 2, CACHE_BYTES = 32 << 20, ROWS = 16 };
#define ALWAYS inline __attribute__((always_inline))

typedef struct {
    uint32_t above; /* node below the nearest edge above of the same feature; 0: none */
    uint32_t slot;  /* of the feature */
    double z;       /* share of all the feature's comparisons down to here */
    double ratio;   /* of this edge alone */
} edge;

/* Edges by the node below them. cases: [node][0: row passes all, 1: fails here, 2: failed above][ratio, difference][point] */
typedef struct {
    size_t points;
    edge *edges;
    double *cases;
} table;

struct wr_fshap {
    size_t nslots;
    uint32_t *slot_of, *feature_of; /* column to slot, slot to feature */
    double *expected;               /* of each margin, base and average included */
    table *tables;                  /* one a tree; NULL: made when needed */
    size_t most_work;               /* doubles of a tree's products */
    size_t most_nodes;
};

static void table_fini(table *t)
{
    wr_free(t->edges);
    wr_free(t->cases);
    *t = (table){0};
}

static void shap_free(wr_fshap *s, size_t ntrees)
{
    if (!s) return;
    for (size_t k = 0; s->tables && k < ntrees; k++) table_fini(&s->tables[k]);
    wr_free(s->tables);
    wr_free(s->slot_of);
    wr_free(s->feature_of);
    wr_free(s->expected);
    wr_free(s);
}

void wr_forest_shap_free(wr_forest *f) { shap_free(f->shap, f->trees.n); }

/* ---- tables ---- */

/* Points and weights of Gauss-Legendre on [0, 1]: roots of the Legendre polynomial by Newton. */
static void gauss(size_t n, double *t, double *w)
{
    for (size_t i = 0; i < n; i++) {
        double x = cos(M_PI * ((double)i + 0.75) / ((double)n + 0.5)), slope = 1;
        for (int pass = 0; pass < 100; pass++) {
            double p0 = 1, p1 = x;
            for (size_t k = 2; k <= n; k++) {
                double p2 = ((2 * (double)k - 1) * x * p1 - ((double)k - 1) * p0) / (double)k;
                p0 = p1;
                p1 = p2;
            }
            slope = (double)n * (x * p1 - p0) / (x * x - 1);
            double dx = p1 / slope;
            x -= dx;
            if (fabs(dx) < 1e-16) break;
        }
        t[i] = (1 + x) / 2;
        w[i] = 1 / ((1 - x * x) * slope * slope);
    }
}

/* Edges of a tree, and the most features on a path. parent: scratch, a number a node. */
static int find_edges(const wr_forest *f, const wr_fshap *s, const wr_ftree *t, edge *edges, uint32_t *parent, size_t *most, wr_err *err)
{
    const wr_fnode *nodes = f->nodes.at + t->node;
    WR_AUTOFREE uint32_t *features = wr_calloc(t->nnodes, sizeof *features); /* different ones on the path */
    if (!features) return wr_err_nomem(err);
    *most = 1;
    for (size_t i = 0; i < t->nnodes; i++) {
        if (!nodes[i].left) continue;
        uint32_t slot = s->slot_of[nodes[i].column], above = (uint32_t)i;
        while (above && edges[above].slot != slot) above = parent[above];
        for (uint32_t c = nodes[i].left; c <= nodes[i].left + 1; c++) {
            double ratio = nodes[i].cover > 0 ? (double)nodes[c].cover / (double)nodes[i].cover : 0;
            edges[c] = (edge){.above = above, .slot = slot, .ratio = ratio, .z = above ? edges[above].z * ratio : ratio};
            parent[c] = (uint32_t)i;
            features[c] = features[i] + !above;
            if (features[c] > *most) *most = features[c];
        }
    }
    if (*most > WR_FOREST_SHAP_PATH) {
        return wr_err_set(err, WEIR_EUNSUPPORTED, "contributions: a path of tree %u has more than %d features", t->number, WR_FOREST_SHAP_PATH);
    }
    return 0;
}

static void fill_cases(table *b, size_t node, const double *t, const double *w)
{
    size_t q = b->points;
    const edge *e = &b->edges[node];
    double *c = b->cases + node * 6 * q, za = e->above ? b->edges[e->above].z : 1;
    for (size_t k = 0; k < q; k++) {
        double above = e->above ? za * (1 - t[k]) + t[k] : 1, pass = e->z * (1 - t[k]) + t[k], fail = e->z * (1 - t[k]);
        double weight_above = e->above ? (1 - za) / above : 0;
        c[k] = pass / above;
        c[q + k] = w[k] * ((1 - e->z) / pass - weight_above);
        c[2 * q + k] = fail / above;
        c[3 * q + k] = w[k] * (-1 / (1 - t[k]) - weight_above);
        c[4 * q + k] = e->ratio;
        c[5 * q + k] = 0; /* a feature that failed above has nothing to add */
    }
}

static int table_make(table *b, const wr_forest *f, const wr_fshap *s, const wr_ftree *t, wr_err *err)
{
    size_t most;
    double points[MAX_POINTS + 4], weights[MAX_POINTS + 4];
    WR_AUTOFREE uint32_t *parent = wr_calloc(t->nnodes, sizeof *parent);
    *b = (table){.edges = wr_calloc(t->nnodes, sizeof *b->edges)};
    if (!parent || !b->edges) return wr_err_nomem(err);
    WR_TRY(find_edges(f, s, t, b->edges, parent, &most, err));
    b->points = (most + 7) / 8 * 4; /* half as many as features, in fours */
    b->cases = wr_alloc(t->nnodes * 6 * b->points * sizeof *b->cases);
    if (!b->cases) return wr_err_nomem(err);
    gauss(b->points, points, weights);
    for (size_t i = 1; i < t->nnodes; i++) fill_cases(b, i, points, weights);
    return 0;
}

/* What a tree's leaves are worth on average, added to expected[]. */
static int add_expected(const wr_forest *f, const wr_ftree *t, double *expected, wr_err *err)
{
    const wr_fnode *nodes = f->nodes.at + t->node;
    WR_AUTOFREE double *share = wr_alloc(t->nnodes * sizeof *share);
    if (!share) return wr_err_nomem(err);
    share[0] = 1;
    for (size_t i = 0; i < t->nnodes; i++) {
        if (!nodes[i].left) {
            const double *v = f->values.at + (t->leaf + nodes[i].index) * f->nvalues;
            for (uint32_t k = 0; k < f->nvalues; k++) expected[t->output + k] += share[i] * v[k];
            continue;
        }
        for (uint32_t c = nodes[i].left; c <= nodes[i].left + 1; c++) {
            share[c] = nodes[i].cover > 0 ? share[i] * (double)nodes[c].cover / (double)nodes[i].cover : 0;
        }
    }
    return 0;
}

static double trees_of(const wr_forest *f, uint32_t output)
{
    size_t n = f->nvalues > 1 ? f->trees.n : f->output_first[output + 1] - f->output_first[output];
    return f->average && n ? (double)n : 1;
}

static int shap_fill(wr_fshap *s, const wr_forest *f, wr_err *err)
{
    size_t bytes = 0;
    s->slot_of = wr_calloc(f->ncolumns + 1, sizeof *s->slot_of);
    s->feature_of = wr_calloc(f->ncolumns + 1, sizeof *s->feature_of);
    s->expected = wr_calloc(f->nmargins, sizeof *s->expected);
    if (!s->slot_of || !s->feature_of || !s->expected) return wr_err_nomem(err);
    for (size_t j = 0; j < f->ncolumns; j++) { /* columns stand in the order of features */
        if (!j || f->columns[j].feature != f->columns[j - 1].feature) s->feature_of[s->nslots++] = f->columns[j].feature;
        s->slot_of[j] = (uint32_t)s->nslots - 1;
    }
    for (size_t k = 0; k < f->trees.n; k++) {
        const wr_ftree *t = &f->trees.at[k];
        if (t->depth > MAX_DEPTH) return wr_err_set(err, WEIR_EUNSUPPORTED, "contributions: tree %u is deeper than %d", t->number, MAX_DEPTH);
        size_t path = t->depth < WR_FOREST_SHAP_PATH ? t->depth : WR_FOREST_SHAP_PATH, points = (path + 7) / 8 * 4;
        if (path > s->nslots) points = (s->nslots + 7) / 8 * 4;
        if (t->nnodes * points > s->most_work) s->most_work = t->nnodes * points;
        if (t->nnodes > s->most_nodes) s->most_nodes = t->nnodes;
        bytes += t->nnodes * (points * 6 * sizeof(double) + sizeof(edge));
        WR_TRY(add_expected(f, t, s->expected, err));
    }
    for (uint32_t k = 0; k < f->nmargins; k++) s->expected[k] = s->expected[k] / trees_of(f, k) + f->base[k];
    if (bytes > CACHE_BYTES) return 0;
    s->tables = wr_calloc(f->trees.n + 1, sizeof *s->tables);
    if (!s->tables) return wr_err_nomem(err);
    for (size_t k = 0; k < f->trees.n; k++) WR_TRY(table_make(&s->tables[k], f, s, &f->trees.at[k], err));
    return 0;
}

/* Made at the first call and kept. */
static int shap_of(const wr_fshap **out, const wr_forest *f, wr_err *err)
{
    wr_forest *mine = (wr_forest *)(uintptr_t)f; /* what is made late does not change what f is */
    *out = atomic_load_explicit(&mine->shap, memory_order_acquire);
    if (*out) return 0;
    (void)pthread_mutex_lock(&mine->shap_lock);
    int rc = 0;
    *out = atomic_load_explicit(&mine->shap, memory_order_relaxed);
    if (!*out) {
        wr_fshap *s = wr_calloc(1, sizeof *s);
        rc = s ? shap_fill(s, f, err) : wr_err_nomem(err);
        if (rc < 0) {
            shap_free(s, f->trees.n);
        } else {
            atomic_store_explicit(&mine->shap, s, memory_order_release);
            *out = s;
        }
    }
    (void)pthread_mutex_unlock(&mine->shap_lock);
    return rc;
}

/* ---- a row in a tree ---- */

typedef double four __attribute__((vector_size(32), aligned(8), may_alias));

typedef struct {
    double *product, *below; /* [node][point] */
    uint8_t *pick;           /* of each edge: its case; case 0: passed */
    double *sum;             /* [row][margin][slot][4] */
} scratch;

/* Products at the points from the root down. */
static ALWAYS void go_down(const wr_forest *f, const wr_ftree *t, const table *b, size_t q, const float *row, const scratch *w)
{
    const wr_fnode *nodes = f->nodes.at + t->node;
    for (size_t k = 0; k < q; k++) w->product[k] = 1;
    w->pick[0] = 0;
    for (size_t i = 0; i < t->nnodes; i++) {
        if (!nodes[i].left) continue;
        uint8_t right = !wr_fnode_left(f, &nodes[i], row);
        const double *from = w->product + i * q;
        for (uint8_t side = 0; side < 2; side++) {
            size_t c = nodes[i].left + side;
            uint8_t above = w->pick[b->edges[c].above], pick = above ? 2 : side != right; /* pick[0] is 0: nothing above has passed */
            w->pick[c] = pick;
            const double *ratio = b->cases + (c * 6 + 2 * (size_t)pick) * q;
            double *to = w->product + c * q;
            for (size_t k = 0; k < q; k += 4) *(four *)(to + k) = *(const four *)(from + k) * *(const four *)(ratio + k);
        }
    }
}

/* Sums over leaves from below, and what each edge adds. value: of leaf 0, `stride` apart. */
static ALWAYS void come_up(const wr_ftree *t, const wr_fnode *nodes, const table *b, size_t q, const scratch *w, const double *value, size_t stride,
                    double *sum)
{
    for (size_t i = t->nnodes; i-- > 1;) {
        double *s = w->below + i * q;
        const double *difference = b->cases + (i * 6 + 2 * (size_t)w->pick[i] + 1) * q;
        four *to = (four *)(sum + (size_t)b->edges[i].slot * 4), added = *to;
        if (nodes[i].left) {
            const double *l = w->below + nodes[i].left * q, *r = l + q;
            for (size_t k = 0; k < q; k += 4) {
                four both = *(const four *)(l + k) + *(const four *)(r + k);
                *(four *)(s + k) = both;
                added += both * *(const four *)(difference + k);
            }
        } else {
            double v = value[nodes[i].index * stride];
            const double *p = w->product + i * q;
            for (size_t k = 0; k < q; k += 4) {
                four mine = *(const four *)(p + k) * v;
                *(four *)(s + k) = mine;
                added += mine * *(const four *)(difference + k);
            }
        }
        *to = added;
    }
}

static ALWAYS void add_tree(const wr_forest *f, const wr_ftree *t, const table *b, size_t q, const float *row, const scratch *w, size_t nslots,
                     double *sum)
{
    const double *values = f->values.at + t->leaf * f->nvalues;
    go_down(f, t, b, q, row, w);
    for (uint32_t k = 0; k < f->nvalues; k++) {
        come_up(t, f->nodes.at + t->node, b, q, w, values + k, f->nvalues, sum + (t->output + k) * nslots * 4);
    }
}

static void add_tree_plain(const wr_forest *f, const wr_ftree *t, const table *b, const float *row, const scratch *w, size_t nslots, double *sum)
{
    if (b->points == 4) add_tree(f, t, b, 4, row, w, nslots, sum);
    else add_tree(f, t, b, b->points, row, w, nslots, sum);
}

#if defined(__x86_64__)
static WR_TREES_AVX2 void add_tree_avx2(const wr_forest *f, const wr_ftree *t, const table *b, const float *row, const scratch *w,
                                        size_t nslots, double *sum)
{
    if (b->points == 4) add_tree(f, t, b, 4, row, w, nslots, sum);
    else add_tree(f, t, b, b->points, row, w, nslots, sum);
}
#endif

/* ---- rows ---- */

typedef struct {
    const wr_forest *f;
    const wr_fshap *s;
    const float *rows;
    size_t n;
    double *out;
    atomic_int failed; /* the first error's code */
} work;

static void write_rows(const work *w, size_t from, size_t n, const double *sum)
{
    const wr_forest *f = w->f;
    size_t nm = f->nmargins, nf = f->nfeatures, ns = w->s->nslots;
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < nm; k++) {
            double *out = w->out + ((from + i) * nm + k) * (nf + 1), trees = trees_of(f, k);
            const double *s = sum + (i * nm + k) * ns * 4;
            for (size_t j = 0; j < nf; j++) out[j] = 0;
            for (size_t j = 0; j < ns; j++) {
                out[w->s->feature_of[j]] = ((s[4 * j] + s[4 * j + 1]) + (s[4 * j + 2] + s[4 * j + 3])) / trees;
            }
            out[nf] = w->s->expected[k];
        }
    }
}

static int shap_block(const work *w, size_t from, size_t n)
{
    const wr_forest *f = w->f;
    const wr_fshap *s = w->s;
    size_t per_row = f->nmargins * s->nslots * 4;
    WR_AUTOFREE double *doubles = wr_alloc((2 * s->most_work + 8) * sizeof *doubles);
    WR_AUTOFREE uint8_t *pick = wr_alloc(s->most_nodes + 1);
    WR_AUTOFREE double *sum = wr_calloc(n, per_row * sizeof *sum);
    if (!doubles || !pick || !sum) return WEIR_ENOMEM;
    scratch mine = {.product = doubles, .below = doubles + s->most_work, .pick = pick};
    for (size_t k = 0; k < f->trees.n; k++) {
        const wr_ftree *t = &f->trees.at[k];
        table made = {0};
        int rc = s->tables ? 0 : table_make(&made, f, s, t, NULL);
        const table *b = s->tables ? &s->tables[k] : &made;
        for (size_t i = 0; i < n && rc == 0; i++) {
            const float *row = w->rows + (from + i) * f->nfeatures;
#if defined(__x86_64__)
            if (wr_trees_avx2()) add_tree_avx2(f, t, b, row, &mine, s->nslots, sum + i * per_row);
            else
#endif
                add_tree_plain(f, t, b, row, &mine, s->nslots, sum + i * per_row);
        }
        table_fini(&made);
        if (rc < 0) return rc;
    }
    write_rows(w, from, n, sum);
    return 0;
}

static void shap_task(void *p, size_t index)
{
    work *w = p;
    size_t from = index * ROWS, n = w->n - from < ROWS ? w->n - from : ROWS;
    int rc = shap_block(w, from, n), none = 0;
    if (rc < 0) (void)atomic_compare_exchange_strong(&w->failed, &none, rc);
}

int wr_forest_shap(const wr_forest *f, const float *rows, size_t n, double *out, wr_pool *pool, wr_err *err)
{
    WR_BUG_IF(!f->finished);
    const wr_fshap *s;
    if (!f->has_cover) return wr_err_set(err, WEIR_EUNSUPPORTED, "contributions: the model does not say how many rows passed its nodes");
    WR_TRY(shap_of(&s, f, err));
    work w = {.f = f, .s = s, .rows = rows, .n = n, .out = out};
    wr_pool_for(n > ROWS ? pool : NULL, (n + ROWS - 1) / ROWS, shap_task, &w);
    if (w.failed == WEIR_EUNSUPPORTED) return wr_err_set(err, WEIR_EUNSUPPORTED, "contributions: a path has more than %d features", WR_FOREST_SHAP_PATH);
    return w.failed < 0 ? wr_err_nomem(err) : 0;
}
