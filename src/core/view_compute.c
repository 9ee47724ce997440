/* SPDX-License-Identifier: Apache-2.0 */
/* view_compute.c - the features of many rows at once.
 *
 * Aggregates go group by group: one point-in-time index (calc/pit.h) is made, asked by every feature of the group and
 * freed, so memory stays at a few arrays of rows and events. Texts are compared once per distinct value: events keep
 * the codes of their dictionary, a row's code is translated through the strings, and several key columns are folded
 * into one code pair by pair:
 *
 *   (code of key 1, code of key 2) -> pair code;  (pair code, code of key 3) -> pair code; ...
 */
#include <math.h>

#include "base/mem.h"
#include "calc/pit.h"
#include "core/view_ops.h"

enum { STEP = 1024 };
#define NONE UINT32_MAX /* a key that no event has, or a missing one */

typedef struct {
    const wr_view *v;
    const wr_frame *rows, *events;
    wr_frame *out;
    size_t first; /* column of feature 0 in out */
    wr_pool *pool;
    wr_err *err;
    const int64_t *row_time, *event_time;
    bool *done;    /* by feature */
    uint32_t *key; /* of the rows, then three more arrays of rows */
    uint8_t *missing;
    double *sum;
    uint32_t *count;
} job;

/* ---- columns ---- */

static int need(wr_col **out, const wr_frame *f, const char *name, wr_type type, const job *j, wr_err *err)
{
    const char *side = f == j->rows ? "rows" : "events";
    int rc = wr_frame_need(out, f, name, type == WR_F64 ? -1 : (int)type, err);
    if (rc == 0 && type == WR_F64 && (*out)->type == WR_TEXT)
        rc = wr_err_set(err, WEIR_ETYPE, "column \"%.200s\" is text, not a number", name);
    return rc < 0 ? wr_err_wrap(err, rc, "%s of view \"%s\"", side, j->v->name) : 0;
}

static int mark_missing(wr_col *c, wr_err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        if (isnan(c->f32[i]) && wr_col_set_missing(c, i) < 0) return wr_err_nomem(err);
    }
    return 0;
}

static wr_col *column_of(const job *j, size_t feature) { return &j->out->cols[j->first + feature]; }

static int add_columns(job *j)
{
    j->first = j->out->ncols;
    for (size_t i = 0; i < j->v->nfeatures; i++) {
        const wr_view_feature *f = &j->v->features[i];
        if (wr_frame_col(j->out, f->name))
            return wr_err_set(j->err, WEIR_EEXIST, "there is a column \"%s\" already", f->name);
        if (!wr_frame_add(j->out, f->name, f->category ? WR_TEXT : WR_F32)) return wr_err_nomem(j->err);
    }
    return 0;
}

/* ---- operations of a row ---- */

static void fill_numbers(wr_col *to, const wr_view_op *op, const wr_col *from)
{
    double x[STEP];
    for (size_t i = 0; i < from->n; i += STEP) {
        size_t n = from->n - i < STEP ? from->n - i : STEP;
        for (size_t k = 0; k < n; k++) x[k] = wr_col_num(from, i + k);
        op->number(to->f32 + i, x, n);
    }
}

/* Codes in order of first appearance in this frame, as every text column has them. */
static int fill_texts(wr_col *to, const wr_col *from, wr_err *err)
{
    size_t nold = from->dict.n + 1; /* the last: rows of a code beyond the dictionary, whose text is "" */
    WR_AUTOFREE uint32_t *code_of = wr_alloc(nold * sizeof *code_of);
    if (!code_of) return wr_err_nomem(err);
    for (size_t i = 0; i < nold; i++) code_of[i] = NONE;
    for (size_t i = 0; i < from->n; i++) {
        if (wr_col_missing(from, i)) {
            if (wr_col_set_missing(to, i) < 0) return wr_err_nomem(err);
            continue;
        }
        size_t old = from->code[i] < from->dict.n ? from->code[i] : from->dict.n;
        if (code_of[old] == NONE && wr_col_code(to, wr_col_text(from, i), &code_of[old]) < 0) return wr_err_nomem(err);
        to->code[i] = code_of[old];
    }
    return 0;
}

static int row_feature(job *j, size_t feature)
{
    static const wr_type types[] = {[WR_VIEW_NUMBER] = WR_F64, [WR_VIEW_TIME] = WR_TS, [WR_VIEW_TEXT] = WR_TEXT};
    const wr_view_feature *f = &j->v->features[feature];
    wr_col *from, *to = column_of(j, feature);
    WR_TRY(need(&from, j->rows, f->of, types[f->op->input], j, j->err));
    if (f->op->input == WR_VIEW_TEXT) return fill_texts(to, from, j->err);
    if (f->op->input == WR_VIEW_NUMBER) fill_numbers(to, f->op, from);
    else f->op->time(to->f32, from->i64, from->n);
    for (size_t i = 0; i < from->n; i++) {
        if (wr_col_missing(from, i)) to->f32[i] = NAN;
    }
    return mark_missing(to, j->err);
}

/* ---- keys ---- */

/* Pairs of codes to codes 0, 1, 2, ...: open addressing, linear probing, load at most 1/2. */
typedef struct {
    uint64_t *pair;
    uint32_t *code; /* NONE = free */
    size_t nslots;
    uint32_t n;
} pairs;

static void pairs_fini(pairs *p)
{
    wr_free(p->pair);
    wr_free(p->code);
}

static size_t pairs_probe(const pairs *p, uint64_t pair)
{
    uint64_t h = pair * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(h ^ h >> 32) & (p->nslots - 1);
    while (p->code[i] != NONE && p->pair[i] != pair) i = (i + 1) & (p->nslots - 1);
    return i;
}

static int pairs_grow(pairs *p)
{
    pairs big = {.nslots = p->nslots ? p->nslots * 2 : 1024, .n = p->n};
    big.pair = wr_alloc(big.nslots * sizeof *big.pair);
    big.code = wr_alloc(big.nslots * sizeof *big.code);
    if (!big.pair || !big.code) {
        pairs_fini(&big);
        return WEIR_ENOMEM;
    }
    memset(big.code, 0xff, big.nslots * sizeof *big.code);
    for (size_t i = 0; i < p->nslots; i++) {
        if (p->code[i] == NONE) continue;
        size_t to = pairs_probe(&big, p->pair[i]);
        big.pair[to] = p->pair[i];
        big.code[to] = p->code[i];
    }
    pairs_fini(p);
    *p = big;
    return 0;
}

static uint64_t pair_of(uint32_t a, uint32_t b) { return (uint64_t)a << 32 | b; }

static int pairs_put(pairs *p, uint32_t a, uint32_t b, uint32_t *code)
{
    if ((size_t)p->n * 2 >= p->nslots) WR_TRY(pairs_grow(p));
    size_t i = pairs_probe(p, pair_of(a, b));
    if (p->code[i] == NONE) {
        p->pair[i] = pair_of(a, b);
        p->code[i] = p->n++;
    }
    *code = p->code[i];
    return 0;
}

static uint32_t pairs_get(const pairs *p, uint32_t a, uint32_t b)
{
    if (a == NONE || b == NONE || p->nslots == 0) return NONE;
    return p->code[pairs_probe(p, pair_of(a, b))];
}

/* The keys of a group's events. */
typedef struct {
    int n;
    const wr_col *col[WR_VIEW_KEYS];
    uint32_t blank[WR_VIEW_KEYS]; /* code of "", also where the dictionary has none */
    pairs level[WR_VIEW_KEYS];    /* 1..n-1 are used */
    uint32_t nkeys;
} event_keys;

static void event_keys_fini(event_keys *k)
{
    for (int i = 0; i < k->n; i++) pairs_fini(&k->level[i]);
}

static uint32_t event_code(const event_keys *k, int part, size_t row)
{
    const wr_col *c = k->col[part];
    if (wr_col_missing(c, row)) return NONE;
    return c->code[row] < c->dict.n ? c->code[row] : k->blank[part];
}

static int fold_event(event_keys *k, size_t row, uint32_t *out)
{
    uint32_t code = k->n ? event_code(k, 0, row) : 0;
    for (int part = 1; part < k->n && code != NONE; part++) {
        uint32_t next = event_code(k, part, row);
        if (next == NONE) code = NONE;
        else WR_TRY(pairs_put(&k->level[part], code, next, &code));
    }
    *out = code;
    return 0;
}

/* Code of each event, NONE for those without a whole key or a time. */
static int code_events(uint32_t *out, event_keys *k, const wr_view_group *g, const job *j)
{
    wr_col *time;
    WR_TRY(need(&time, j->events, "_time", WR_TS, j, j->err));
    k->nkeys = 1;
    for (k->n = 0; k->n < g->nkey; k->n++) {
        wr_col *c;
        WR_TRY(need(&c, j->events, g->key[k->n], WR_TEXT, j, j->err));
        ptrdiff_t blank = wr_map_find(&c->dict, WR_STR(""));
        k->col[k->n] = c;
        k->blank[k->n] = blank < 0 ? (uint32_t)c->dict.n : (uint32_t)blank;
        k->nkeys = (uint32_t)c->dict.n + 1;
    }
    for (size_t i = 0; i < j->events->nrows; i++) {
        out[i] = NONE;
        if (!wr_col_missing(time, i) && fold_event(k, i, &out[i]) < 0) return wr_err_nomem(j->err);
    }
    if (k->n > 1) k->nkeys = k->level[k->n - 1].n;
    return 0;
}

/* The rows' codes of one key column to the events' codes. The last entry is for codes beyond the dictionary. */
static uint32_t *translation(const wr_col *row, const event_keys *k, int part)
{
    uint32_t *to = wr_alloc((row->dict.n + 1) * sizeof *to);
    if (!to) return NULL;
    for (size_t i = 0; i <= row->dict.n; i++) {
        wr_str s = i < row->dict.n ? row->dict.at[i].key : WR_STR("");
        ptrdiff_t at = wr_map_find(&k->col[part]->dict, s);
        to[i] = at >= 0 ? (uint32_t)at : s.n == 0 ? k->blank[part] : NONE;
    }
    return to;
}

static void fold_rows(job *j, const event_keys *k, int part, const wr_col *c, const uint32_t *to)
{
    for (size_t i = 0; i < c->n; i++) {
        bool missing = wr_col_missing(c, i);
        uint32_t code = missing ? NONE : to[c->code[i] < c->dict.n ? c->code[i] : c->dict.n];
        j->missing[i] |= missing;
        j->key[i] = part == 0 ? code : pairs_get(&k->level[part], j->key[i], code);
    }
}

/* Fill j->key and j->missing for a feature's key columns. */
static int code_rows(job *j, const event_keys *k, const wr_view_feature *f)
{
    wr_col *time;
    WR_TRY(need(&time, j->rows, j->v->time, WR_TS, j, j->err));
    for (size_t i = 0; i < j->rows->nrows; i++) {
        j->missing[i] = wr_col_missing(time, i);
        j->key[i] = 0;
    }
    for (int part = 0; part < f->nkey; part++) {
        wr_col *c;
        WR_TRY(need(&c, j->rows, f->key[part], WR_TEXT, j, j->err));
        WR_AUTOFREE uint32_t *to = translation(c, k, part);
        if (!to) return wr_err_nomem(j->err);
        fold_rows(j, k, part, c, to);
    }
    for (size_t i = 0; i < j->rows->nrows; i++) {
        if (j->missing[i]) j->key[i] = NONE;
    }
    return 0;
}

/* ---- aggregates ---- */

static bool same_row_key(const wr_view_feature *a, const wr_view_feature *b)
{
    if (a->group != b->group || a->nkey != b->nkey) return false;
    for (int i = 0; i < a->nkey; i++) {
        if (strcmp(a->key[i], b->key[i]) != 0) return false;
    }
    return true;
}

/* All features that need the same sums as feature `first`. */
static int finish_windows(job *j, const wr_pit *pit, size_t first)
{
    const wr_view *v = j->v;
    const wr_view_feature *f = &v->features[first];
    size_t n = j->rows->nrows;
    wr_pit_window(pit, (size_t)f->slot, j->key, j->row_time, n, f->over_us, j->sum, j->count, j->pool);
    for (size_t i = first; i < v->nfeatures; i++) {
        const wr_view_feature *g = &v->features[i];
        if (j->done[i] || g->op->input != WR_VIEW_WINDOW || g->slot != f->slot || g->over_us != f->over_us ||
            !same_row_key(f, g))
            continue;
        wr_col *to = column_of(j, i);
        g->op->window(to->f32, j->sum, j->count, n);
        for (size_t r = 0; r < n; r++) {
            if (j->missing[r]) to->f32[r] = NAN;
        }
        WR_TRY(mark_missing(to, j->err));
        j->done[i] = true;
    }
    return 0;
}

static int ask_group(job *j, const wr_pit *pit, const event_keys *k, size_t g)
{
    const wr_view *v = j->v;
    for (size_t i = 0; i < v->nfeatures; i++) {
        const wr_view_feature *f = &v->features[i];
        if (j->done[i] || f->op->input != WR_VIEW_WINDOW || f->group != (int)g) continue;
        WR_TRY(code_rows(j, k, f));
        for (size_t m = i; m < v->nfeatures; m++) {
            const wr_view_feature *other = &v->features[m];
            if (!j->done[m] && other->op->input == WR_VIEW_WINDOW && same_row_key(f, other))
                WR_TRY(finish_windows(j, pit, m));
        }
    }
    return 0;
}

static int value_array(double **out, const job *j, int value)
{
    size_t n = j->events->nrows;
    wr_col *c = NULL;
    if (value >= 0) WR_TRY(need(&c, j->events, j->v->values[value].of, WR_F64, j, j->err));
    double *x = *out = wr_alloc(n * sizeof *x);
    if (!x) return wr_err_nomem(j->err);
    for (size_t i = 0; i < n; i++) x[i] = wr_view_slot_value(j->v, value, c ? wr_col_num(c, i) : 0);
    return 0;
}

static int index_group(wr_pit **out, event_keys *k, const job *j, const wr_view_group *g)
{
    size_t n = j->events->nrows;
    double *values[WR_VIEW_VALUES + 1] = {0};
    WR_AUTOFREE uint32_t *code = wr_alloc(n * sizeof *code);
    int rc = code ? code_events(code, k, g, j) : wr_err_nomem(j->err);
    for (int s = 0; s < g->nvalue && rc == 0; s++) rc = value_array(&values[s], j, g->value[s]);
    if (rc == 0)
        rc =
            wr_pit_new(out, code, j->event_time, n, k->nkeys, (const double *const *)values, (size_t)g->nvalue, j->err);
    for (int s = 0; s < g->nvalue; s++) wr_free(values[s]);
    return rc;
}

static int compute_groups(job *j)
{
    const wr_view *v = j->v;
    wr_col *time, *event_time;
    if (!j->events)
        return wr_err_set(j->err, WEIR_EINVAL, "view \"%s\" has aggregates and there are no events", v->name);
    WR_TRY(need(&time, j->rows, v->time, WR_TS, j, j->err));
    WR_TRY(need(&event_time, j->events, "_time", WR_TS, j, j->err));
    j->row_time = time->i64;
    j->event_time = event_time->i64;
    for (size_t g = 0; g < v->ngroups; g++) {
        event_keys k = {0};
        wr_pit *pit = NULL;
        int rc = index_group(&pit, &k, j, &v->groups[g]);
        if (rc == 0) rc = ask_group(j, pit, &k, g);
        wr_pit_free(pit);
        event_keys_fini(&k);
        WR_TRY(rc);
    }
    return 0;
}

static int compute(job *j)
{
    const wr_view *v = j->v;
    if (j->out->ncols && j->out->nrows != j->rows->nrows)
        return wr_err_set(j->err, WEIR_EINVAL, "features of %zu rows cannot stand beside columns of %zu",
                          j->rows->nrows, j->out->nrows);
    if (wr_frame_resize(j->out, j->rows->nrows) < 0) return wr_err_nomem(j->err);
    WR_TRY(add_columns(j));
    for (size_t i = 0; i < v->nfeatures; i++) {
        if (v->features[i].op->input != WR_VIEW_WINDOW) WR_TRY(row_feature(j, i));
    }
    return v->ngroups ? compute_groups(j) : 0;
}

int wr_view_compute(wr_frame *out, const wr_view *v, const wr_frame *rows, const wr_frame *events, wr_pool *pool,
                    wr_err *err)
{
    size_t n = v->ngroups ? rows->nrows : 0;
    WR_AUTOFREE bool *done = wr_calloc(v->nfeatures, sizeof *done);
    WR_AUTOFREE uint32_t *key = wr_alloc(n * sizeof *key);
    WR_AUTOFREE uint8_t *missing = wr_alloc(n);
    WR_AUTOFREE double *sum = wr_alloc(n * sizeof *sum);
    WR_AUTOFREE uint32_t *count = wr_alloc(n * sizeof *count);
    if (!done || !key || !missing || !sum || !count) return wr_err_nomem(err);
    job j = {.v = v,
             .rows = rows,
             .events = events,
             .out = out,
             .pool = pool,
             .err = err,
             .done = done,
             .key = key,
             .missing = missing,
             .sum = sum,
             .count = count};
    return compute(&j);
}
