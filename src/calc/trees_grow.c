/* SPDX-License-Identifier: Apache-2.0 */
/* trees_grow.c - grows one tree leaf by leaf from quantised gradients.
 *
 * A leaf owns a range of a row index array, ascending. Splitting partitions the range, builds the histogram of the
 * smaller child from its rows and takes that of the larger one as parent minus smaller. A histogram cell is one 64-bit
 * integer: sum of gradients (signed) in the high half, sum of hessians in the low half. Both are exact, so threads may
 * add rows in any order, and subtraction is exact too. trees_train.c chooses the quanta so that neither half can
 * overflow.
 *
 * min_child_rows without counting rows in the histograms: a child with hessian sum H holds at least H / (largest
 * hessian of a row) rows. Only when the best split of a leaf is not proven that way are the rows of its feature
 * counted, and that feature searched again with exact counts.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "calc/trees_internal.h"

enum {
    HIST = 264,          /* cells from one feature to the next: 256 and a skew, against cache set conflicts */
    CHUNK = 16384,       /* rows of one task */
    INLINE_ROWS = 24576, /* fewer rows than this: no threads */
    LEAST_HISTS = 4,
};

size_t wr_trees_hist_bytes = (size_t)512 << 20;

typedef struct {
    double gain;
    uint64_t left; /* packed sums of the left side */
    wr_tset set;
    uint16_t feature;
    uint8_t kind, bin;
    bool found, sure; /* sure: both sides proven to have min_child_rows */
} split;

typedef struct {
    size_t from, to; /* rows[from..to) */
    int buffer;      /* which of the two index arrays */
    int hist;        /* slot or -1 */
    uint32_t node;
    int depth;
    uint64_t sum;
    split best;
} leaf;

struct wr_tgrow {
    const wr_tgrow_in *in;
    size_t most_leaves;
    uint16_t *active; /* features of this tree, ascending; histograms are by position in this list */
    size_t nactive, hist_cells;
    const uint8_t *bins; /* rows of the active features: the data's own, or `picked` */
    size_t stride;
    uint8_t *picked; /* NULL when every tree has all features */
    uint32_t *rows[2], *right;
    int64_t *hists; /* nhists slots, then one per further thread */
    int *owner;     /* leaf of each slot, -1 = free */
    int nhists, threads;
    leaf *leaves;
    int nleaves;
    wr_tnode *nodes, *ordered;
    uint32_t nnodes;
    wr_tset *sets;
    size_t nsets;
    uint32_t *queue;
    split *best;        /* per feature */
    size_t *chunk_left; /* rows going left, per chunk */
    bool identity;      /* the root is all rows: rows[0] is not filled */
};

/* ---- packed sums ---- */

static inline int32_t grad_of(uint64_t s) { return (int32_t)(uint32_t)(s >> 32); }
static inline uint32_t hess_of(uint64_t s) { return (uint32_t)s; }

/* ---- histograms ---- */

#define ADD(k) h[(k)*HIST + (bits >> (8 * (k)) & 255)] += v

static inline void add_row(int64_t *restrict hist, const uint8_t *row, size_t nf, int64_t v)
{
    int64_t *h = hist;
    uint64_t bits;
    for (; nf >= 8; nf -= 8, row += 8, h += 8 * HIST) {
        memcpy(&bits, row, 8);
        ADD(0), ADD(1), ADD(2), ADD(3), ADD(4), ADD(5), ADD(6), ADD(7);
    }
    if (!nf) return;
    memcpy(&bits, row, 8); /* rows are padded */
    switch (nf) {
    case 7:
        ADD(6); /* fall through */
    case 6:
        ADD(5); /* fall through */
    case 5:
        ADD(4); /* fall through */
    case 4:
        ADD(3); /* fall through */
    case 3:
        ADD(2); /* fall through */
    case 2:
        ADD(1); /* fall through */
    default:
        ADD(0);
    }
}

static void add_rows(const wr_tgrow *g, int64_t *hist, const uint32_t *idx, size_t from, size_t to)
{
    const uint8_t *bins = g->bins;
    const uint64_t *gh = g->in->gh;
    const size_t nf = g->nactive, stride = g->stride, ahead = 12;
    if (!idx) {
        for (size_t i = from; i < to; i++) add_row(hist, bins + i * stride, nf, (int64_t)gh[i]);
        return;
    }
    size_t i = from;
    for (; i + ahead < to; i++) {
        size_t next = idx[i + ahead], r = idx[i];
        __builtin_prefetch(bins + next * stride);
        __builtin_prefetch(bins + next * stride + stride - 1);
        __builtin_prefetch(gh + next);
        add_row(hist, bins + r * stride, nf, (int64_t)gh[r]);
    }
    for (; i < to; i++) add_row(hist, bins + idx[i] * stride, nf, (int64_t)gh[idx[i]]);
}

typedef struct {
    const wr_tgrow *g;
    int64_t *target;
    const uint32_t *idx;
    size_t from, to;
    atomic_size_t next;   /* chunk to take */
    atomic_bool used[64]; /* by buffer */
} hist_ctx;

static int64_t *hist_at(const wr_tgrow *g, int slot) { return g->hists + (size_t)slot * g->hist_cells; }

/* Task k adds to its own buffer whatever chunks it gets; integer sums make the division of work invisible. */
static void hist_task(void *p, size_t k)
{
    hist_ctx *c = p;
    int64_t *hist = k ? hist_at(c->g, c->g->nhists + (int)k - 1) : c->target;
    bool cleared = false;
    for (;;) {
        size_t at = c->from + atomic_fetch_add(&c->next, 1) * CHUNK;
        if (at >= c->to) break;
        if (!cleared) memset(hist, 0, c->g->hist_cells * sizeof *hist);
        cleared = true;
        add_rows(c->g, hist, c->idx, at, c->to - at < CHUNK ? c->to : at + CHUNK);
    }
    atomic_store(&c->used[k], cleared);
}

static const uint32_t *rows_of(const wr_tgrow *g, const leaf *l)
{
    return g->identity && l->node == 0 ? NULL : g->rows[l->buffer];
}

static void build_hist(wr_tgrow *g, const leaf *l, int64_t *hist)
{
    hist_ctx c = {.g = g, .target = hist, .idx = rows_of(g, l), .from = l->from, .to = l->to};
    size_t tasks = l->to - l->from < INLINE_ROWS ? 1 : (size_t)g->threads;
    wr_pool_for(tasks > 1 ? g->in->pool : NULL, tasks, hist_task, &c);
    if (!atomic_load(&c.used[0])) memset(hist, 0, g->hist_cells * sizeof *hist);
    for (size_t k = 1; k < tasks; k++) {
        if (!atomic_load(&c.used[k])) continue;
        const int64_t *add = hist_at(g, g->nhists + (int)k - 1);
        for (size_t i = 0; i < g->hist_cells; i++) hist[i] += add[i];
    }
}

/* A slot for leaf `who`: free, or taken from the other leaf that promises least. */
static int take_hist(wr_tgrow *g, int who, int keep)
{
    int slot = -1;
    for (int s = 0; s < g->nhists && slot < 0; s++) {
        if (g->owner[s] < 0) slot = s;
    }
    for (int s = 0; s < g->nhists && (slot < 0 || g->owner[slot] >= 0); s++) {
        if (g->owner[s] == who || g->owner[s] == keep) continue;
        if (slot < 0 || g->leaves[g->owner[s]].best.gain < g->leaves[g->owner[slot]].best.gain) slot = s;
    }
    if (g->owner[slot] >= 0) g->leaves[g->owner[slot]].hist = -1;
    g->owner[slot] = who;
    return slot;
}

static void drop_hist(wr_tgrow *g, leaf *l)
{
    if (l->hist >= 0) g->owner[l->hist] = -1;
    l->hist = -1;
}

/* ---- search ---- */

typedef struct {
    wr_tgrow *g;
    const leaf *l;
    const uint64_t *hist;   /* of the feature */
    const uint32_t *counts; /* of the feature, or NULL: not counted */
    uint64_t total;
    double unit_g, unit_h, l2, least_h, parent;
    uint64_t sure_h; /* quanta of hessian that prove min_child_rows */
    uint32_t rows, least_rows;
} scan;

static double score(const scan *s, uint64_t sum)
{
    double g = grad_of(sum) * s->unit_g, h = hess_of(sum) * s->unit_h;
    return g * g / (h + s->l2);
}

/* Offers "left | rest" to `best`; true when it is the best so far. `count` is meant only when rows were counted. */
static inline bool offer(const scan *s, uint64_t left, uint32_t count, split *best)
{
    uint64_t right = s->total - left;
    double hl = hess_of(left) * s->unit_h, hr = hess_of(right) * s->unit_h;
    if (hl < s->least_h || hr < s->least_h) return false;
    if (s->counts && (count < s->least_rows || s->rows - count < s->least_rows)) return false;
    double gl = grad_of(left) * s->unit_g, gr = grad_of(right) * s->unit_g;
    double gain = gl * gl / (hl + s->l2) + gr * gr / (hr + s->l2) - s->parent;
    if (!(gain > best->gain)) return false;
    best->gain = gain;
    best->left = left;
    best->sure = s->counts || (hess_of(left) >= s->sure_h && hess_of(right) >= s->sure_h);
    best->found = true;
    return true;
}

static bool empty_bin(const scan *s, int b) { return s->counts ? !s->counts[b] : !s->hist[b]; }
static uint32_t count_of(const scan *s, int b) { return s->counts ? s->counts[b] : 0; }

/* Where what the leaf has not seen goes: to the heavier side. */
static bool left_heavier(const scan *s, const split *b) { return hess_of(b->left) >= hess_of(s->total - b->left); }

static void search_numeric(const scan *s, uint32_t ncuts, split *best)
{
    bool missing = !empty_bin(s, WR_TREES_MISSING);
    uint64_t sum = 0, gone = s->hist[WR_TREES_MISSING];
    uint32_t count = 0, count_gone = count_of(s, WR_TREES_MISSING);
    for (int b = 0; b <= (int)ncuts; b++) {
        if (empty_bin(s, b)) continue;
        sum += s->hist[b];
        count += count_of(s, b);
        if (offer(s, sum, count, best)) best->bin = (uint8_t)b, best->kind = 0;
        if (missing && offer(s, sum + gone, count + count_gone, best))
            best->bin = (uint8_t)b, best->kind = WR_TN_MISSING_LEFT;
    }
    if (best->found && !missing && left_heavier(s, best)) best->kind = WR_TN_MISSING_LEFT;
}

typedef struct {
    double key;
    int bin;
} category;

static int by_key(const void *pa, const void *pb)
{
    const category *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->bin - b->bin;
}

static void search_categorical(const scan *s, double smooth, split *best)
{
    category order[WR_TREES_BINS];
    int n = 0, take = 0;
    double extra = smooth * hess_of(s->total) * s->unit_h / s->rows;
    for (int b = 0; b < WR_TREES_MISSING; b++) {
        if (empty_bin(s, b)) continue;
        double h = hess_of(s->hist[b]) * s->unit_h + extra;
        order[n++] = (category){h > 0 ? grad_of(s->hist[b]) * s->unit_g / h : 0, b};
    }
    qsort(order, (size_t)n, sizeof *order, by_key);
    bool missing = !empty_bin(s, WR_TREES_MISSING), gone_left = false;
    uint64_t sum = 0, gone = s->hist[WR_TREES_MISSING];
    uint32_t count = 0, count_gone = count_of(s, WR_TREES_MISSING);
    for (int i = 0; i < n; i++) {
        sum += s->hist[order[i].bin];
        count += count_of(s, order[i].bin);
        if (offer(s, sum, count, best)) take = i + 1, gone_left = false;
        if (missing && offer(s, sum + gone, count + count_gone, best)) take = i + 1, gone_left = true;
    }
    if (!best->found) return;
    best->kind = WR_TN_CAT;
    bool heavier = left_heavier(s, best);
    memset(&best->set, heavier ? 255 : 0, sizeof best->set);
    for (int i = 0; i < n; i++) {
        uint8_t b = (uint8_t)order[i].bin;
        if (i < take) wr_tset_add(&best->set, b);
        else best->set.bits[b >> 3] &= (uint8_t) ~(1u << (b & 7));
    }
    if (missing && !gone_left) best->set.bits[31] &= 127;
    if (missing && gone_left) best->set.bits[31] |= 128;
}

/* at: position of the feature among the active ones. */
static void search_feature(scan *s, size_t at, const uint32_t *counts)
{
    const wr_trees_opt *o = s->g->in->opt;
    size_t f = s->g->active[at];
    split *best = &s->g->best[at];
    const wr_tfeature *t = &s->g->in->features[f];
    *best = (split){.gain = o->min_gain, .feature = (uint16_t)f};
    s->hist = (const uint64_t *)hist_at(s->g, s->l->hist) + at * HIST;
    s->counts = counts;
    if (t->categorical) search_categorical(s, o->cat_smooth, best);
    else search_numeric(s, t->ncuts, best);
}

static void count_rows(const wr_tgrow *g, const leaf *l, size_t f, uint32_t counts[WR_TREES_BINS])
{
    const uint8_t *col = g->in->data->cols + f * g->in->data->column;
    const uint32_t *idx = rows_of(g, l);
    memset(counts, 0, WR_TREES_BINS * sizeof *counts);
    for (size_t i = l->from; i < l->to; i++) counts[col[idx ? idx[i] : i]]++;
}

static scan scan_of(wr_tgrow *g, const leaf *l)
{
    const wr_tgrow_in *in = g->in;
    const wr_trees_opt *o = in->opt;
    scan s = {.g = g,
              .l = l,
              .total = l->sum,
              .unit_g = in->unit_g,
              .unit_h = in->unit_h,
              .l2 = o->l2,
              .rows = (uint32_t)(l->to - l->from),
              .least_rows = (uint32_t)o->min_child_rows,
              .sure_h = (uint64_t)o->min_child_rows * in->most_h};
    s.least_h = fmax(o->min_child_weight, 1e-12); /* a side without hessian has no Newton step */
    s.parent = score(&s, l->sum);
    return s;
}

/* Best split of a leaf with a histogram, over all active features; ties go to the lower feature, then the lower bin. */
static void search_leaf(wr_tgrow *g, leaf *l)
{
    scan s = scan_of(g, l);
    for (size_t at = 0; at < g->nactive; at++) search_feature(&s, at, NULL);
    for (;;) {
        const split *top = NULL;
        for (size_t at = 0; at < g->nactive; at++) {
            if (g->best[at].found && (!top || g->best[at].gain > top->gain)) top = &g->best[at];
        }
        if (!top || top->sure) {
            l->best = top ? *top : (split){.found = false};
            return;
        }
        uint32_t counts[WR_TREES_BINS];
        count_rows(g, l, top->feature, counts);
        search_feature(&s, (size_t)(top - g->best), counts);
    }
}

/* ---- partition ---- */

typedef struct {
    wr_tgrow *g;
    const uint8_t *col;
    const uint8_t *go_left; /* by bin, 0 or 1 */
    uint32_t *src, *dst;
    bool identity;
    size_t from, to, nleft;
} part_ctx;

/* Stable: the left rows of [a, b) move to the front of the same range, the right ones to g->right. */
static size_t part_range(const part_ctx *c, size_t a, size_t b)
{
    uint32_t *left = c->src + a, *right = c->g->right + a;
    const uint32_t *idx = c->src;
    size_t nl = 0, nr = 0, ahead = 24;
    for (size_t i = a; i < b; i++) {
        if (!c->identity && i + ahead < b) __builtin_prefetch(c->col + idx[i + ahead]);
        uint32_t r = c->identity ? (uint32_t)i : idx[i];
        size_t go = c->go_left[c->col[r]];
        left[nl] = r;
        right[nr] = r;
        nl += go;
        nr += 1 - go;
    }
    return nl;
}

static void part_task(void *p, size_t k)
{
    part_ctx *c = p;
    size_t a = c->from + k * CHUNK, b = c->to - a < CHUNK ? c->to : a + CHUNK;
    c->g->chunk_left[k] = part_range(c, a, b);
}

/* chunk_left[k] is by now the number of left rows before chunk k. */
static void gather_task(void *p, size_t k)
{
    part_ctx *c = p;
    size_t a = c->from + k * CHUNK, n = c->to - a < CHUNK ? c->to - a : CHUNK;
    size_t before = c->g->chunk_left[k], nl = c->g->chunk_left[k + 1] - before;
    memcpy(c->dst + c->from + before, c->src + a, nl * sizeof *c->src);
    memcpy(c->dst + c->from + c->nleft + (k * CHUNK - before), c->g->right + a, (n - nl) * sizeof *c->src);
}

static void fill_go_left(uint8_t go_left[WR_TREES_BINS], const split *s)
{
    for (int b = 0; b < WR_TREES_BINS; b++) {
        if (s->kind & WR_TN_CAT) go_left[b] = wr_tset_has(&s->set, (uint8_t)b);
        else go_left[b] = b == WR_TREES_MISSING ? (s->kind & WR_TN_MISSING_LEFT) != 0 : b <= s->bin;
    }
}

/* Returns the number of rows going left; l->buffer may change. */
static size_t partition(wr_tgrow *g, leaf *l)
{
    uint8_t go_left[WR_TREES_BINS];
    fill_go_left(go_left, &l->best);
    const wr_tdata *d = g->in->data;
    part_ctx c = {.g = g,
                  .col = d->cols + l->best.feature * d->column,
                  .go_left = go_left,
                  .src = g->rows[l->buffer],
                  .dst = g->rows[1 - l->buffer],
                  .identity = !rows_of(g, l),
                  .from = l->from,
                  .to = l->to};
    size_t n = l->to - l->from;
    if (n < INLINE_ROWS) {
        size_t nl = part_range(&c, l->from, l->to);
        memcpy(c.src + l->from + nl, g->right + l->from, (n - nl) * sizeof *c.src);
        return nl;
    }
    size_t chunks = (n + CHUNK - 1) / CHUNK;
    wr_pool_for(g->in->pool, chunks, part_task, &c);
    for (size_t k = 0; k < chunks; k++) {
        size_t nl = g->chunk_left[k];
        g->chunk_left[k] = c.nleft;
        c.nleft += nl;
    }
    g->chunk_left[chunks] = c.nleft;
    wr_pool_for(g->in->pool, chunks, gather_task, &c);
    l->buffer = 1 - l->buffer;
    return c.nleft;
}

/* ---- growth ---- */

static double weight_of(const wr_tgrow *g, uint64_t sum)
{
    const wr_tgrow_in *in = g->in;
    double h = hess_of(sum) * in->unit_h + in->opt->l2;
    return h > 0 ? -(grad_of(sum) * in->unit_g) / h * in->opt->learning_rate : 0;
}

static uint32_t new_node(wr_tgrow *g, uint64_t sum)
{
    wr_tnode *n = &g->nodes[g->nnodes];
    *n = (wr_tnode){
        .kind = WR_TN_LEAF, .value = (float)weight_of(g, sum), .cover = (float)(hess_of(sum) * g->in->unit_h)};
    return g->nnodes++;
}

static bool may_split(const wr_tgrow *g, const leaf *l)
{
    const wr_trees_opt *o = g->in->opt;
    return (!o->max_depth || l->depth < o->max_depth) && l->to - l->from >= 2 * (size_t)o->min_child_rows &&
           hess_of(l->sum) * g->in->unit_h >= 2 * o->min_child_weight * (1 - 1e-9);
}

static void write_split(wr_tgrow *g, wr_tnode *n, const split *s)
{
    const wr_tfeature *f = &g->in->features[s->feature];
    n->kind = s->kind;
    n->feature = s->feature;
    n->bin = s->bin;
    n->gain = (float)s->gain;
    n->value = s->kind & WR_TN_CAT || s->bin >= f->ncuts ? INFINITY : f->cuts[s->bin];
    if (!(s->kind & WR_TN_CAT)) return;
    n->set = (uint32_t)g->nsets;
    g->sets[g->nsets++] = s->set;
}

/* Histograms and best splits of two fresh children; the parent's histogram, if there is one, is in `slot`, owned by a.
 */
static void search_children(wr_tgrow *g, int a, int b)
{
    leaf *la = &g->leaves[a], *lb = &g->leaves[b];
    bool small_a = la->to - la->from < lb->to - lb->from;
    int small = small_a ? a : b, large = small_a ? b : a, parent = la->hist;
    bool want_small = may_split(g, &g->leaves[small]), want_large = may_split(g, &g->leaves[large]);
    la->hist = lb->hist = -1;
    if (parent >= 0) g->owner[parent] = -1;
    if (!want_small && !want_large) return;
    if (parent >= 0) { /* the larger child gets the slot of its parent */
        g->owner[parent] = large;
        g->leaves[large].hist = parent;
    }
    if (want_small || parent >= 0) {
        int slot = g->leaves[small].hist = take_hist(g, small, large);
        build_hist(g, &g->leaves[small], hist_at(g, slot));
    }
    if (parent >= 0) {
        int64_t *big = hist_at(g, parent);
        const int64_t *less = hist_at(g, g->leaves[small].hist);
        for (size_t i = 0; i < g->hist_cells; i++) big[i] -= less[i];
    } else if (want_large) {
        int slot = g->leaves[large].hist = take_hist(g, large, small);
        build_hist(g, &g->leaves[large], hist_at(g, slot));
    }
    if (want_small) search_leaf(g, &g->leaves[small]);
    if (want_large) search_leaf(g, &g->leaves[large]);
    for (int k = 0; k < 2; k++) { /* what cannot be split needs no histogram */
        leaf *l = &g->leaves[k ? a : b];
        if (!l->best.found) drop_hist(g, l);
    }
}

static void split_leaf(wr_tgrow *g, int at)
{
    leaf *l = &g->leaves[at];
    const split s = l->best;
    uint64_t right_sum = l->sum - s.left;
    size_t nl = partition(g, l);
    uint32_t left = new_node(g, s.left);
    new_node(g, right_sum);
    wr_tnode *n = &g->nodes[l->node];
    n->left = left;
    write_split(g, n, &s);
    int other = g->nleaves++;
    g->leaves[other] = (leaf){.from = l->from + nl,
                              .to = l->to,
                              .buffer = l->buffer,
                              .hist = -1,
                              .node = left + 1,
                              .depth = l->depth + 1,
                              .sum = right_sum};
    *l = (leaf){.from = l->from,
                .to = l->from + nl,
                .buffer = l->buffer,
                .hist = l->hist,
                .node = left,
                .depth = l->depth + 1,
                .sum = s.left};
    if (g->nleaves < (int)g->most_leaves) search_children(g, at, other);
}

/* Nodes in breadth-first order, children of the k-th inner node at 1 + 2k. */
static void order_nodes(wr_tgrow *g)
{
    uint32_t tail = 0;
    g->queue[tail++] = 0;
    for (uint32_t head = 0; head < tail; head++) {
        wr_tnode n = g->nodes[g->queue[head]];
        if (!(n.kind & WR_TN_LEAF)) {
            g->queue[tail] = n.left;
            g->queue[tail + 1] = n.left + 1;
            n.left = tail;
            tail += 2;
        }
        g->ordered[head] = n;
    }
}

/* Every row is in some bin of every feature: the first one's histogram sums to all rows. */
static uint64_t sum_hist(const int64_t *hist)
{
    uint64_t sum = 0;
    for (int b = 0; b < WR_TREES_BINS; b++) sum += (uint64_t)hist[b];
    return sum;
}

static void pick_task(void *p, size_t k)
{
    const wr_tgrow *g = p;
    const wr_tdata *d = g->in->data;
    size_t from = k * CHUNK, to = d->n - from < CHUNK ? d->n : from + CHUNK;
    for (size_t at = 0; at < g->nactive; at++) {
        const uint8_t *col = d->cols + g->active[at] * d->column;
        for (size_t i = from; i < to; i++) g->picked[i * g->stride + at] = col[i];
    }
}

/* The features drawn for this tree, and rows that hold just these. */
static void pick_features(wr_tgrow *g)
{
    const wr_tdata *d = g->in->data;
    g->nactive = 0;
    for (size_t f = 0; f < d->nfeatures; f++) {
        if (g->in->drawn[f]) g->active[g->nactive++] = (uint16_t)f;
    }
    g->hist_cells = g->nactive * HIST;
    g->bins = d->rows;
    g->stride = d->stride;
    if (g->nactive == d->nfeatures) return;
    g->bins = g->picked;
    g->stride = (g->nactive + 7) / 8 * 8;
    wr_pool_for(g->in->pool, (d->n + CHUNK - 1) / CHUNK, pick_task, g);
}

void wr_tgrow_tree(wr_tgrow *g, const wr_tgrow_in *in, size_t nrows, bool all, wr_tgrown *out)
{
    g->in = in;
    pick_features(g);
    g->identity = all;
    g->nnodes = 0;
    g->nsets = 0;
    g->nleaves = 1;
    for (int s = 0; s < g->nhists; s++) g->owner[s] = -1;
    leaf *root = &g->leaves[0];
    *root = (leaf){.from = 0, .to = nrows, .hist = -1};
    root->hist = take_hist(g, 0, -1);
    build_hist(g, root, hist_at(g, root->hist));
    root->sum = sum_hist(hist_at(g, root->hist));
    new_node(g, root->sum);
    if (may_split(g, root)) search_leaf(g, root);
    while (g->nleaves < (int)g->most_leaves) {
        int at = -1;
        for (int k = 0; k < g->nleaves; k++) {
            const split *b = &g->leaves[k].best;
            if (b->found && (at < 0 || b->gain > g->leaves[at].best.gain)) at = k;
        }
        if (at < 0) break;
        split_leaf(g, at);
    }
    order_nodes(g);
    *out = (wr_tgrown){g->ordered, g->nnodes, g->sets, g->nsets};
}

uint32_t *wr_tgrow_rows(wr_tgrow *g) { return g->rows[0]; }

int wr_tgrow_new(wr_tgrow **out, const wr_tdata *data, const wr_trees_opt *opt, wr_pool *pool, wr_err *err)
{
    wr_tgrow *g = wr_calloc(1, sizeof *g);
    if (!g) return wr_err_nomem(err);
    size_t n = data->n, nf = data->nfeatures, leaves = (size_t)opt->max_leaves;
    g->most_leaves = leaves;
    g->hist_cells = nf * HIST; /* at most */
    g->threads = wr_pool_threads(pool);
    if (g->threads > 64) g->threads = 64;
    size_t fit = wr_trees_hist_bytes / (g->hist_cells * sizeof *g->hists);
    g->nhists = (int)(fit < LEAST_HISTS ? LEAST_HISTS : fit < leaves + 1 ? fit : leaves + 1);
    g->hists = wr_alloc(((size_t)g->nhists + (size_t)g->threads - 1) * g->hist_cells * sizeof *g->hists);
    g->owner = wr_alloc((size_t)g->nhists * sizeof *g->owner);
    g->rows[0] = wr_alloc(n * sizeof(uint32_t));
    g->rows[1] = wr_alloc(n * sizeof(uint32_t));
    g->right = wr_alloc(n * sizeof(uint32_t));
    g->leaves = wr_calloc(leaves + 1, sizeof *g->leaves);
    g->nodes = wr_calloc(2 * leaves + 1, sizeof *g->nodes);
    g->ordered = wr_calloc(2 * leaves + 1, sizeof *g->ordered);
    g->queue = wr_alloc((2 * leaves + 1) * sizeof *g->queue);
    g->sets = wr_alloc(leaves * sizeof *g->sets);
    g->best = wr_calloc(nf, sizeof *g->best);
    g->active = wr_alloc(nf * sizeof *g->active);
    if (opt->feature_share < 1) g->picked = wr_alloc(n * data->stride);
    g->chunk_left = wr_alloc((n / CHUNK + 2) * sizeof *g->chunk_left);
    if (!g->hists || !g->owner || !g->rows[0] || !g->rows[1] || !g->right || !g->leaves || !g->nodes || !g->ordered ||
        !g->queue || !g->sets || !g->best || !g->active || (opt->feature_share < 1 && !g->picked) || !g->chunk_left) {
        wr_tgrow_free(g);
        return wr_err_nomem(err);
    }
    *out = g;
    return 0;
}

void wr_tgrow_free(wr_tgrow *g)
{
    if (!g) return;
    void *owned[] = {g->hists,   g->owner, g->rows[0], g->rows[1], g->right,  g->leaves, g->nodes,
                     g->ordered, g->queue, g->sets,    g->best,    g->active, g->picked, g->chunk_left};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wr_free(owned[i]);
    wr_free(g);
}
