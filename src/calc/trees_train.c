/* SPDX-License-Identifier: Apache-2.0 */
/* trees_train.c - the boosting loop: gradients, quantisation, rounds, early stopping.
 *
 * Gradients are rounded to integers stochastically: floor(value / quantum + u), u from a hash of (seed, round, row), so
 * a sum is unbiased and the same on every run. The quantum is the smallest power of two for which the sum over all
 * rows, rounding included, stays inside 31 bits: with 2.4 million rows a gradient keeps 11 to 12 bits, with 10,000
 * rows 19. Sums of doubles (loss, size of the gradients) are taken per chunk of rows and then in chunk order: no
 * dependence on threads.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "calc/trees_internal.h"

enum { CHUNK = 16384, TILE = WR_TREES_TILE };
#define SUM_BITS   2147483648.0 /* 2^31 */
#define MOST_LABEL 1e15f        /* of labels and weights: their products stay inside float */

void (*wr_trees_margins)(const double *margin, size_t n);

typedef union {
    struct {
        float g, h;
    } real;
    uint64_t packed;
} cell;

typedef struct {
    double loss, abs_g, h;
    float most_h;
} sums;

/* One set of rows on its way through the rounds. */
typedef struct {
    const wr_trees_set *set;
    wr_tdata data;
    double *margin;
    cell *cells; /* NULL for the validation set */
    sums *chunk;
    size_t nchunks;
    double weights; /* sum of weights */
} side;

typedef struct {
    wr_trees *t;
    wr_trees_opt opt;
    wr_pool *pool;
    wr_tgrow *grow;
    side train, valid;
    bool has_valid;
    bool *drawn;
    uint16_t *order; /* feature numbers, for drawing */
    /* the tree of this round */
    wr_tgrown tree;
    wr_top ops[WR_TREES_FAST_LEAVES];
    float leaves[WR_TREES_FAST_LEAVES];
    uint32_t nops;
    bool has_tree, want_loss;
    /* quanta of this round */
    double unit_g, unit_h;
    uint64_t dither;
    size_t cap_nodes, cap_sets;
} trainer;

/* ---- options and input ---- */

static int bad(wr_err *err, const char *name, const char *allowed)
{
    return wr_err_set(err, WEIR_EINVAL, "option '%s' must be %s", name, allowed);
}

static int fill_options(wr_trees_opt *o, wr_err *err)
{
    if (!o->rounds) o->rounds = 200;
    if (!o->max_leaves) o->max_leaves = 31;
    if (!o->max_bins) o->max_bins = 254;
    if (o->learning_rate == 0) o->learning_rate = 0.1;
    if (o->l2 == 0) o->l2 = 1;
    if (o->min_child_weight == 0) o->min_child_weight = 1;
    if (!o->min_child_rows) o->min_child_rows = 20;
    if (o->cat_smooth == 0) o->cat_smooth = 10;
    if (o->row_share == 0) o->row_share = 1;
    if (o->feature_share == 0) o->feature_share = 1;
    if (o->objective != WR_TREES_LOGISTIC && o->objective != WR_TREES_SQUARED)
        return bad(err, "objective", "logistic or squared");
    if (o->rounds < 1 || o->rounds > WR_TREES_MAX_ROUNDS) return bad(err, "rounds", "1 to 100000");
    if (o->max_leaves < 2 || o->max_leaves > WR_TREES_MAX_LEAVES) return bad(err, "max_leaves", "2 to 32768");
    if (o->max_depth < 0 || o->max_depth > 30) return bad(err, "max_depth", "0 (no limit) to 30");
    if (o->max_bins < 2 || o->max_bins > WR_TREES_OTHER) return bad(err, "max_bins", "2 to 254");
    if (!(o->learning_rate > 0 && o->learning_rate <= 1)) return bad(err, "learning_rate", "above 0, at most 1");
    if (!(o->l2 > 0 && o->l2 < 1e12)) return bad(err, "l2", "above 0");
    if (!(o->min_child_weight > 0 && o->min_child_weight < 1e12)) return bad(err, "min_child_weight", "above 0");
    if (o->min_child_rows < 1) return bad(err, "min_child_rows", "at least 1");
    if (!(o->min_gain >= 0 && o->min_gain < INFINITY)) return bad(err, "min_gain", "0 or more");
    if (!(o->cat_smooth > 0 && o->cat_smooth < 1e12)) return bad(err, "cat_smooth", "above 0");
    if (!(o->row_share > 0 && o->row_share <= 1)) return bad(err, "row_share", "above 0, at most 1");
    if (!(o->feature_share > 0 && o->feature_share <= 1)) return bad(err, "feature_share", "above 0, at most 1");
    if (o->early_stop < 0) return bad(err, "early_stop", "0 (off) or a number of rounds");
    return 0;
}

static int check_rows(const wr_trees_set *s, wr_trees_objective objective, const char *what, wr_err *err)
{
    if (!s->n || s->n > (size_t)1 << 30)
        return wr_err_set(err, WEIR_EINVAL, "the %s set must have 1 to 2^30 rows", what);
    if (!s->label) return wr_err_set(err, WEIR_EINVAL, "the %s set has no label", what);
    double weights = 0;
    for (size_t i = 0; i < s->n; i++) {
        float y = s->label[i], w = s->weight ? s->weight[i] : 1;
        if (!(fabsf(y) <= MOST_LABEL)) {
            return wr_err_set(err, WEIR_EINVAL, "the label of row %zu of the %s set is not a number of at most 1e15", i,
                              what);
        }
        if (objective == WR_TREES_LOGISTIC && !(y >= 0 && y <= 1)) {
            return wr_err_set(err, WEIR_EINVAL, "the label of row %zu of the %s set is not in 0..1", i, what);
        }
        if (!(w >= 0 && w <= MOST_LABEL)) {
            return wr_err_set(err, WEIR_EINVAL, "the weight of row %zu of the %s set is not a number of 0 to 1e15", i,
                              what);
        }
        weights += (double)w;
    }
    if (!(weights > 0)) return wr_err_set(err, WEIR_EINVAL, "all weights of the %s set are 0", what);
    return 0;
}

static int check_sets(const wr_trees_set *train, const wr_trees_set *valid, wr_trees_objective objective, wr_err *err)
{
    if (!train->nfeatures || train->nfeatures > WR_TREES_MAX_FEATURES) {
        return wr_err_set(err, WEIR_EINVAL, "the number of features must be 1 to %d, not %zu", WR_TREES_MAX_FEATURES,
                          train->nfeatures);
    }
    size_t maps = 0;
    for (size_t j = 0; j < train->nfeatures; j++) {
        const wr_trees_feature *f = &train->features[j];
        const char *name = f->name ? f->name : "";
        if (!f->x) return wr_err_set(err, WEIR_EINVAL, "feature '%s' has no values", name);
        if (strlen(name) > UINT16_MAX) return wr_err_set(err, WEIR_EINVAL, "the name of feature %zu is too long", j);
        if (!f->categorical) continue;
        maps += f->ncats;
        if (f->ncats > WR_TREES_MAX_CATS || maps > WR_TREES_MAP_BYTES) {
            return wr_err_set(err, WEIR_EINVAL, "feature '%s' has too many categories", name);
        }
    }
    WR_TRY(check_rows(train, objective, "training", err));
    if (!valid) return 0;
    if (valid->nfeatures != train->nfeatures) {
        return wr_err_set(err, WEIR_EINVAL, "the validation set has %zu features, the training set %zu",
                          valid->nfeatures, train->nfeatures);
    }
    for (size_t j = 0; j < valid->nfeatures; j++) {
        const wr_trees_feature *f = &valid->features[j];
        if (!f->x || f->categorical != train->features[j].categorical) {
            return wr_err_set(err, WEIR_EINVAL, "feature '%s' of the validation set differs from training's",
                              f->name ? f->name : "");
        }
    }
    return check_rows(valid, objective, "validation", err);
}

/* ---- gradients ---- */

/* Compiled for every instruction set that has a wrapper below; the results are the same bits (no contraction). */
#define TWICE inline __attribute__((always_inline))

/* exp(a) for -87 <= a <= 0, relative error under 2e-7; plain arithmetic, so the same bits whatever the instruction set.
 */
static TWICE float exp_negative(float a)
{
    int n = (int)(a * 1.44269504f - 0.5f);
    float k = (float)n, r = a - k * 0.693359375f + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return p * scale;
}

typedef struct {
    float y[TILE], w[TILE], g[TILE], h[TILE], e[TILE];
    double m[TILE];
} tile;

/* Loops so small that the compiler finds no branch to make of them, and vectorises. */
static TWICE void logistic_tile(tile *t)
{
    for (int i = 0; i < TILE; i++) {
        float a = -fabsf((float)t->m[i]);
        t->e[i] = a < -87.0f ? -87.0f : a;
    }
    for (int i = 0; i < TILE; i++) t->e[i] = exp_negative(t->e[i]);
    for (int i = 0; i < TILE; i++) {
        float e = t->e[i], q = 1.0f / (1.0f + e), up = t->m[i] < 0 ? e : 1.0f;
        t->g[i] = (up * q - t->y[i]) * t->w[i];
        t->h[i] = e * q * q * t->w[i];
    }
}

static TWICE void squared_tile(tile *t)
{
    for (int i = 0; i < TILE; i++) {
        t->e[i] = (float)(t->m[i] - (double)t->y[i]);
        t->g[i] = t->e[i] * t->w[i];
        t->h[i] = t->w[i];
    }
}

#if defined(__x86_64__)
static WR_TREES_AVX2 void logistic_avx2(tile *t) { logistic_tile(t); }
static WR_TREES_AVX2 void squared_avx2(tile *t) { squared_tile(t); }
#endif

static void gradient_tile(tile *t, wr_trees_objective objective)
{
#if defined(__x86_64__)
    if (wr_trees_avx2()) {
        if (objective == WR_TREES_LOGISTIC) logistic_avx2(t);
        else squared_avx2(t);
        return;
    }
#endif
    if (objective == WR_TREES_LOGISTIC) logistic_tile(t);
    else squared_tile(t);
}

/* Log loss of a row is log(1 + e) + max(m, 0) - y m, e = exp(-|m|). With unit weights the 64 factors (1 + e) <= 2 are
 * multiplied first: one logarithm a tile. */
static double tile_loss(const tile *t, size_t n, wr_trees_objective objective, bool weighted)
{
    double loss = 0, product = 1;
    if (objective == WR_TREES_SQUARED) {
        for (size_t i = 0; i < n; i++) loss += (double)t->w[i] * (double)t->e[i] * (double)t->e[i];
        return loss;
    }
    for (size_t i = 0; i < n; i++) {
        double m = t->m[i], linear = (m > 0 ? m : 0) - (double)t->y[i] * m;
        if (weighted) loss += (double)t->w[i] * (log1p((double)t->e[i]) + linear);
        else loss += linear;
        product *= 1 + (double)t->e[i];
    }
    return weighted ? loss : loss + log(product);
}

static void add_gradients(sums *s, const tile *t, cell *out, size_t n)
{
    float a[8] = {0}, h[8] = {0}, most[8] = {0}; /* padding rows have weight 0: they add nothing */
    for (int i = 0; i < TILE; i += 8) {
        for (int k = 0; k < 8; k++) {
            a[k] += fabsf(t->g[i + k]);
            h[k] += t->h[i + k];
            most[k] = most[k] > t->h[i + k] ? most[k] : t->h[i + k];
        }
    }
    for (int k = 0; k < 8; k++) {
        s->abs_g += (double)a[k];
        s->h += (double)h[k];
        if (most[k] > s->most_h) s->most_h = most[k];
    }
    for (size_t i = 0; i < n; i++) out[i] = (cell){.real = {t->g[i], t->h[i]}};
}

typedef struct {
    trainer *tr;
    side *s;
} pass;

/* Margins of rows [at, at + 64) move by the new tree's leaves. */
static void move_margins(const trainer *tr, const side *s, size_t at, wr_tscratch *scratch)
{
    const uint8_t *cols = s->data.cols + at;
    double *m = s->margin + at;
    if (tr->tree.n < 2 * WR_TREES_FAST_LEAVES) {
        uint8_t id[TILE];
        wr_tree_tile(tr->ops, tr->nops, tr->tree.sets, cols, s->data.column, scratch, id);
        for (int i = 0; i < TILE; i++) m[i] += (double)tr->leaves[id[i]];
    } else {
        for (int i = 0; i < TILE; i++) {
            size_t leaf = wr_tree_walk_bins(tr->tree.nodes, tr->tree.sets, cols + i, s->data.column);
            m[i] += (double)tr->tree.nodes[leaf].value;
        }
    }
}

/* New margins, gradients and loss of one chunk. */
static void round_task(void *p, size_t index)
{
    const pass *c = p;
    const trainer *tr = c->tr;
    side *s = c->s;
    const wr_trees_set *set = s->set;
    size_t from = index * CHUNK, to = s->data.n - from < CHUNK ? s->data.n : from + CHUNK;
    wr_tscratch scratch;
    wr_tree_scratch(&scratch, tr->tree.n < 2 * WR_TREES_FAST_LEAVES ? (uint32_t)tr->tree.n / 2 + 1 : 1);
    sums sum = {0};
    tile t;
    for (int i = 0; i < TILE; i++) t.w[i] = 1;
    for (size_t at = from; at < to; at += TILE) {
        size_t n = to - at < TILE ? to - at : TILE;
        if (tr->has_tree) move_margins(tr, s, at, &scratch);
        if (n < TILE) memset(t.w, 0, sizeof t.w), memset(t.y, 0, sizeof t.y);
        memcpy(t.m, s->margin + at, sizeof t.m);
        memcpy(t.y, set->label + at, n * sizeof *t.y);
        if (set->weight) memcpy(t.w, set->weight + at, n * sizeof *t.w);
        else if (n < TILE)
            for (size_t i = 0; i < n; i++) t.w[i] = 1;
        gradient_tile(&t, tr->opt.objective);
        if (s->cells) add_gradients(&sum, &t, s->cells + at, n);
        if (tr->want_loss || !s->cells) sum.loss += tile_loss(&t, n, tr->opt.objective, set->weight != NULL);
    }
    s->chunk[index] = sum;
}

static sums run_round(trainer *tr, side *s)
{
    pass c = {tr, s};
    wr_pool_for(tr->pool, s->nchunks, round_task, &c);
    sums sum = {0};
    for (size_t k = 0; k < s->nchunks; k++) {
        sum.loss += s->chunk[k].loss;
        sum.abs_g += s->chunk[k].abs_g;
        sum.h += s->chunk[k].h;
        if (s->chunk[k].most_h > sum.most_h) sum.most_h = s->chunk[k].most_h;
    }
    sum.loss /= s->weights;
    return sum;
}

/* ---- quantisation ---- */

/* Smallest power of two q with sum / q + n < 2^31. */
static double quantum(double sum, size_t n)
{
    double room = (SUM_BITS - (double)n) * 0.999;
    int exponent;
    if (!(sum > 0)) return 1;
    frexp(sum / room, &exponent); /* sum / room < 2^exponent */
    return ldexp(1, exponent < -120 ? -120 : exponent);
}

/* floor(v + u); where v has no bits to spare for u, the nearest integer. */
static TWICE uint32_t round_by(float v, float u)
{
    float size = v < 0 ? -v : v;
    v += size < 32768.0f ? u : 0.5f;
    int32_t i = (int32_t)v;
    return (uint32_t)(i - (v < (float)i));
}

static TWICE void quantise(cell *c, size_t from, size_t to, float per_g, float per_h, uint32_t k0, uint32_t k1)
{
    for (size_t i = from; i < to; i++) {
        uint32_t x = ((uint32_t)i ^ k0) * 0x9e3779b1u;
        x = (x ^ x >> 15 ^ k1) * 0x85ebca77u;
        x ^= x >> 13;
        float ug = (float)(int32_t)(x >> 23 | 1) * 0x1p-9f, uh = (float)(int32_t)((x >> 14 & 511) | 1) * 0x1p-9f;
        uint32_t g = round_by(c[i].real.g * per_g, ug), h = round_by(c[i].real.h * per_h, uh);
        c[i].packed = ((uint64_t)g << 32) + h;
    }
}

#if defined(__x86_64__)
static WR_TREES_AVX2 void quantise_avx2(cell *c, size_t from, size_t to, float per_g, float per_h, uint32_t k0,
                                        uint32_t k1)
{
    quantise(c, from, to, per_g, per_h, k0, k1);
}
#endif

static void quantise_task(void *p, size_t index)
{
    const trainer *tr = p;
    size_t from = index * CHUNK, n = tr->train.data.n, to = n - from < CHUNK ? n : from + CHUNK;
    float per_g = (float)(1 / tr->unit_g), per_h = (float)(1 / tr->unit_h);
    uint32_t k0 = (uint32_t)tr->dither, k1 = (uint32_t)(tr->dither >> 32);
#if defined(__x86_64__)
    if (wr_trees_avx2()) {
        quantise_avx2(tr->train.cells, from, to, per_g, per_h, k0, k1);
        return;
    }
#endif
    quantise(tr->train.cells, from, to, per_g, per_h, k0, k1);
}

/* ---- one tree ---- */

static size_t draw_rows(trainer *tr, wr_rng *rng)
{
    if (tr->opt.row_share >= 1) return tr->train.data.n;
    uint32_t *rows = wr_tgrow_rows(tr->grow);
    size_t k = 0;
    for (size_t i = 0; i < tr->train.data.n; i++) {
        rows[k] = (uint32_t)i;
        k += wr_rng_f64(rng) < tr->opt.row_share;
    }
    return k;
}

static void draw_features(trainer *tr, wr_rng *rng)
{
    size_t nf = tr->t->nfeatures, want = (size_t)ceil(tr->opt.feature_share * (double)nf - 1e-9);
    memset(tr->drawn, want >= nf, nf * sizeof *tr->drawn);
    if (want >= nf) return;
    for (size_t k = 0; k < (want ? want : 1); k++) {
        size_t j = k + (size_t)wr_rng_below(rng, nf - k);
        uint16_t swap = tr->order[k];
        tr->order[k] = tr->order[j];
        tr->order[j] = swap;
        tr->drawn[tr->order[k]] = true;
    }
}

static void grow_tree(trainer *tr, int round, const sums *s)
{
    wr_rng rng;
    wr_rng_split(&rng, tr->opt.seed, (uint64_t)round);
    tr->dither = wr_rng_u64(&rng);
    tr->unit_g = quantum(s->abs_g, tr->train.data.n);
    tr->unit_h = quantum(s->h, tr->train.data.n);
    wr_pool_for(tr->pool, tr->train.nchunks, quantise_task, tr);
    draw_features(tr, &rng);
    size_t rows = draw_rows(tr, &rng);
    wr_tgrow_in in = {.opt = &tr->opt,
                      .data = &tr->train.data,
                      .features = tr->t->features,
                      .gh = &tr->train.cells->packed,
                      .unit_g = tr->unit_g,
                      .unit_h = tr->unit_h,
                      .drawn = tr->drawn,
                      .pool = tr->pool,
                      .most_h = (uint32_t)((double)s->most_h / tr->unit_h) + 1};
    wr_tgrow_tree(tr->grow, &in, rows, rows == tr->train.data.n && tr->opt.row_share >= 1, &tr->tree);
    if (tr->tree.n < 2 * WR_TREES_FAST_LEAVES) {
        tr->nops = wr_tree_program(tr->tree.nodes, tr->tree.n, NULL, tr->ops, tr->leaves);
    }
    tr->has_tree = true;
}

static int make_room(void **at, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) return 0;
    size_t grown = *cap * 2 > need ? *cap * 2 : need;
    void *p = wr_realloc(*at, grown * size);
    if (!p) return WEIR_ENOMEM;
    *at = p;
    *cap = grown;
    return 0;
}

static int keep_tree(trainer *tr, wr_err *err)
{
    wr_trees *t = tr->t;
    size_t at = t->first[t->ntrees], n = tr->tree.n;
    if (make_room((void **)&t->nodes, &tr->cap_nodes, at + n, sizeof *t->nodes) < 0 ||
        make_room((void **)&t->sets, &tr->cap_sets, t->nsets + tr->tree.nsets, sizeof *t->sets) < 0) {
        return wr_err_nomem(err);
    }
    for (size_t i = 0; i < n; i++) {
        wr_tnode d = tr->tree.nodes[i];
        if (d.kind & WR_TN_CAT) d.set += (uint32_t)t->nsets;
        t->nodes[at + i] = d;
    }
    if (tr->tree.nsets) memcpy(t->sets + t->nsets, tr->tree.sets, tr->tree.nsets * sizeof *t->sets);
    t->nsets += tr->tree.nsets;
    t->first[++t->ntrees] = at + n;
    return 0;
}

/* ---- rounds ---- */

static void keep_best(wr_trees *t, int best)
{
    t->ntrees = best;
    t->nsets = 0;
    for (size_t i = 0; i < t->first[best]; i++) {
        const wr_tnode *d = &t->nodes[i];
        if (d->kind & WR_TN_CAT && d->set >= t->nsets) t->nsets = d->set + 1;
    }
}

static int run_rounds(trainer *tr, wr_trees_progress progress, void *ctx, wr_err *err)
{
    double best_loss = INFINITY;
    int best = 0;
    bool sampled = tr->opt.row_share < 1 || tr->opt.feature_share < 1;
    tr->want_loss = progress != NULL;
    sums s = run_round(tr, &tr->train);
    for (int round = 1; round <= tr->opt.rounds; round++) {
        grow_tree(tr, round, &s);
        if (tr->tree.n == 1 && !sampled) break; /* nothing left to gain, now or later */
        WR_TRY(keep_tree(tr, err));
        if (round < tr->opt.rounds || progress || wr_trees_margins) s = run_round(tr, &tr->train);
        double loss = tr->has_valid ? run_round(tr, &tr->valid).loss : NAN;
        if (loss < best_loss) {
            best_loss = loss;
            best = round;
        }
        if (progress && progress(ctx, round, s.loss, loss) != 0) {
            return wr_err_set(err, WEIR_ECANCELED, "training was cancelled in round %d", round);
        }
        if (tr->has_valid && tr->opt.early_stop && round - best >= tr->opt.early_stop) break;
    }
    if (wr_trees_margins) wr_trees_margins(tr->train.margin, tr->train.data.n);
    if (tr->has_valid) keep_best(tr->t, best);
    return 0;
}

/* ---- set-up ---- */

static int side_init(side *s, const trainer *tr, const wr_trees_set *set, bool train, wr_err *err)
{
    s->set = set;
    WR_TRY(wr_tdata_make(&s->data, tr->t->features, set, train, tr->pool, err));
    s->nchunks = (set->n + CHUNK - 1) / CHUNK;
    s->margin = wr_alloc(s->data.column * sizeof *s->margin);
    s->chunk = wr_alloc(s->nchunks * sizeof *s->chunk);
    if (train) s->cells = wr_alloc(s->data.column * sizeof *s->cells);
    if (!s->margin || !s->chunk || (train && !s->cells)) return wr_err_nomem(err);
    for (size_t i = 0; i < s->data.column; i++) s->margin[i] = tr->t->base;
    for (size_t i = 0; i < set->n; i++) s->weights += set->weight ? (double)set->weight[i] : 1;
    return 0;
}

static void side_fini(side *s)
{
    wr_tdata_fini(&s->data);
    wr_free(s->margin);
    wr_free(s->chunk);
    wr_free(s->cells);
}

/* Log odds or mean of the labels; a single class is taken as one in a million of the other. */
static double base_margin(const wr_trees_set *s, wr_trees_objective objective)
{
    double sum = 0, weights = 0;
    for (size_t i = 0; i < s->n; i++) {
        double w = s->weight ? (double)s->weight[i] : 1;
        sum += w * (double)s->label[i];
        weights += w;
    }
    double mean = sum / weights;
    if (objective == WR_TREES_SQUARED) return mean;
    mean = fmin(fmax(mean, 1e-6), 1 - 1e-6);
    return log(mean / (1 - mean));
}

typedef struct {
    wr_trees *t;
    const wr_trees_set *set;
    const wr_trees_opt *opt;
    int *rc;
} cuts_ctx;

static void cuts_task(void *p, size_t j)
{
    cuts_ctx *c = p;
    c->rc[j] =
        wr_tfeature_cuts(&c->t->features[j], &c->set->features[j], c->set->n, c->opt->max_bins, c->opt->seed, NULL);
}

static int find_cuts(trainer *tr, const wr_trees_set *set, wr_err *err)
{
    WR_AUTOFREE int *rc = wr_calloc(set->nfeatures, sizeof *rc);
    if (!rc) return wr_err_nomem(err);
    cuts_ctx c = {tr->t, set, &tr->opt, rc};
    wr_pool_for(tr->pool, set->nfeatures, cuts_task, &c);
    for (size_t j = 0; j < set->nfeatures; j++) {
        if (rc[j] < 0) return wr_err_nomem(err); /* the only way to fail */
    }
    return 0;
}

static int model_init(trainer *tr, const wr_trees_set *set, wr_err *err)
{
    wr_trees *t = tr->t;
    size_t nf = set->nfeatures;
    t->objective = tr->opt.objective;
    t->base = base_margin(set, t->objective);
    t->features = wr_calloc(nf, sizeof *t->features);
    t->first = wr_calloc((size_t)tr->opt.rounds + 1, sizeof *t->first);
    tr->drawn = wr_calloc(nf, sizeof *tr->drawn);
    tr->order = wr_alloc(nf * sizeof *tr->order);
    if (!t->features || !t->first || !tr->drawn || !tr->order) return wr_err_nomem(err);
    t->nfeatures = nf;
    for (size_t j = 0; j < nf; j++) {
        tr->order[j] = (uint16_t)j;
        t->features[j].name = wr_strdup(set->features[j].name ? set->features[j].name : "");
        if (!t->features[j].name) return wr_err_nomem(err);
    }
    return find_cuts(tr, set, err);
}

static int train_model(trainer *tr, const wr_trees_set *train, const wr_trees_set *valid, wr_trees_progress progress,
                       void *ctx, wr_err *err)
{
    WR_TRY(model_init(tr, train, err));
    WR_TRY(side_init(&tr->train, tr, train, true, err));
    if (valid) WR_TRY(side_init(&tr->valid, tr, valid, false, err));
    tr->has_valid = valid != NULL;
    WR_TRY(wr_tgrow_new(&tr->grow, &tr->train.data, &tr->opt, tr->pool, err));
    WR_TRY(run_rounds(tr, progress, ctx, err));
    return wr_trees_finish(tr->t, err);
}

int wr_trees_train(wr_trees **out, const wr_trees_set *train, const wr_trees_set *valid, const wr_trees_opt *opt,
                   wr_pool *pool, wr_trees_progress progress, void *ctx, wr_err *err)
{
    wr_trees_opt o = opt ? *opt : (wr_trees_opt){0};
    WR_TRY(fill_options(&o, err));
    WR_TRY(check_sets(train, valid, o.objective, err));
    trainer *tr = wr_calloc(1, sizeof *tr);
    wr_trees *t = wr_calloc(1, sizeof *t);
    int rc = WEIR_ENOMEM;
    if (tr && t) {
        tr->t = t;
        tr->opt = o;
        tr->pool = pool;
        rc = train_model(tr, train, valid, progress, ctx, err);
        side_fini(&tr->train);
        side_fini(&tr->valid);
        wr_tgrow_free(tr->grow);
        wr_free(tr->drawn);
        wr_free(tr->order);
    } else {
        rc = wr_err_nomem(err);
    }
    wr_free(tr);
    if (rc < 0) wr_trees_free(t);
    else *out = t;
    return rc < 0 ? rc : 0;
}
