/* SPDX-License-Identifier: Apache-2.0 */
/* contract.c - checks 1 to 5: do rows and answers there mean what they meant in training? */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "calc/drift.h"
#include "core/endpoint.h"
#include "core/view_source.h"
#include "io/file.h"
#include "stage/predlog/tables.h"
#include "stage/study/study_inside.h"

/* ---- 1 schema ---- */

/* An endpoint that serves this model by another view would refuse it. */
static int other_views(wr_feasibility_work *w, wr_feasibility_result *r, size_t *n, wr_err *err)
{
    wr_registered_version *all;
    wr_track *t;
    size_t count;
    *n = 0;
    if (!w->registered || !w->package) return 0;
    WR_TRY(wr_project_track(&t, w->p, err));
    WR_TRY(wr_registered_versions_all(&all, &count, w->a, t, w->version.name, err));
    for (size_t i = 0; i < count; i++) {
        wr_package *k;
        if (!all[i].naliases || !all[i].package.n || all[i].version == w->version.version) continue;
        if (wr_package_load(&k, w->p, all[i].package.p, NULL) < 0) continue;
        const wr_view *v = wr_package_get(k)->view;
        if (strcmp(v->hash, w->view->hash) != 0) {
            ++*n;
            wr_check_text(w, r, wr_arena_printf(w->a, "version %lld", (long long)all[i].version),
                          "\"%s\" has view %.12s, this one %.12s", all[i].aliases[0].p, v->hash, w->view->hash);
        }
        wr_package_free(k);
    }
    return 0;
}

static void tell_inputs(wr_feasibility_work *w, wr_feasibility_result *r)
{
    char shape[WR_TENSOR_SHAPE_TEXT];
    for (size_t i = 0; i < w->m->nin && i < 12; i++) {
        wr_tensor_shape_text(shape, w->m->in[i].shape, w->m->in[i].ndims);
        wr_check_text(w, r, w->m->in[i].name, "%s %s%s", wr_tensor_type_name(w->m->in[i].type), shape,
                      w->m->in[i].optional ? ", optional" : "");
    }
    if (w->m->nin > 12) wr_check_text(w, r, "more", "%zu inputs more", w->m->nin - 12);
}

int wr_check_schema(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_infer_answer answer;
    wr_err why = {0};
    size_t views;
    if (!a) return wr_err_nomem(err);
    tell_inputs(w, r);
    WR_TRY(other_views(w, r, &views, err));
    int rc = wr_feasibility_ask(&answer, w, w->in, a, &why);
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    wr_check_text(w, r, "rows", "%zu, %s", w->nrows, w->report->rows);
    if (w->no_rows) return wr_check_says(w, r, WR_CHECK_FAIL, "the rows do not fit: %s", w->no_rows);
    if (views) {
        wr_check_hint(w, r, "give it an endpoint of its own, or train it with the view that is in use");
        return wr_check_says(w, r, WR_CHECK_FAIL,
                             "%zu versions in use have another feature view: their endpoints refuse it", views);
    }
    if (w->no_source && !w->report->rows_real)
        return wr_check_says(w, r, WR_CHECK_FAIL, "its view does not fit the data here: %s", w->no_source);
    if (rc < 0) return wr_check_says(w, r, WR_CHECK_FAIL, "it refuses the rows: %s", why.msg);
    wr_check_hint(w, r, "weir deploy study %.100s --rows FILE, or --replay ENDPOINT with what was logged",
                  wr_feasibility_called(w));
    if (!w->report->rows_real)
        return wr_check_says(w, r, WR_CHECK_WARN, "%zu inputs; no real rows to hold against them", w->m->nin);
    return wr_check_says(w, r, WR_CHECK_PASS, "%zu inputs, %zu rows fit", w->m->nin, w->nrows);
}

/* ---- 2 missing and late features ---- */

static double null_share(const wr_col *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) n += wr_col_missing(c, i) || (c->type != WR_TEXT && isnan(wr_col_num(c, i)));
    return c->n ? (double)n / (double)c->n : NAN;
}

/* The features of rows: as logged, or computed from the view's own. */
static int features_now(wr_frame **out, wr_feasibility_work *w, wr_err *err)
{
    *out = NULL;
    if (!w->source) return 0;
    if (!(*out = wr_frame_new())) return wr_err_nomem(err);
    return wr_view_compute(*out, w->view, w->source, w->events, NULL, err);
}

/* What the learner saw: the table that `weir feature build` wrote. */
static int training_table(wr_frame **out, wr_feasibility_work *w, wr_err *err)
{
    enum { TRAINING_ROWS = 20000 };
    WR_AUTOBUF wr_buf sql = {0};
    wr_tables *t;
    wr_buf_str(&sql, "SELECT * FROM ");
    wr_sql_ident(&sql, wr_str_of(w->view->name));
    wr_buf_str(&sql, " ORDER BY hash(");
    wr_sql_ident(&sql, wr_str_of(w->view->time));
    wr_buf_printf(&sql, ") LIMIT %d", TRAINING_ROWS);
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_project_tables(&t, w->p, NULL, err));
    int rc = wr_query_datasets(out, w->p, t, wr_buf_cstr(&sql), NULL, err);
    wr_tables_close(t);
    return rc;
}

static const wr_col *feature_of(const wr_frame *f, wr_feasibility_work *w, size_t j)
{
    const char *name = w->view->features[j].name, *logged = wr_drain_column(w->a, name);
    const wr_col *c = wr_frame_col(f, name);
    return c || !logged ? c : wr_frame_col(f, logged);
}

/* Frames of the checks 2 and 5: rows of now, and those of training. Either may be NULL, with the reason. */
typedef struct {
    wr_frame *made, *training;
    const wr_frame *now;
    const char *why;
} two_tables;

static int open_tables(two_tables *t, wr_feasibility_work *w, wr_err *err)
{
    wr_err why = {0};
    *t = (two_tables){0};
    int rc = training_table(&t->training, w, &why);
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    if (rc < 0) t->why = wr_arena_printf(w->a, "no training table: %s", why.msg);
    if (w->logged) t->now = w->logged;
    else {
        WR_TRY(features_now(&t->made, w, err));
        t->now = t->made;
    }
    if (!t->now) t->why = w->no_source ? w->no_source : "no rows of now";
    return 0;
}

static void close_tables(two_tables *t)
{
    wr_frame_free(t->made);
    wr_frame_free(t->training);
}

typedef struct {
    size_t empty, moved;
    double most;
    const char *worst;
} nulls;

static void count_nulls(nulls *n, wr_feasibility_work *w, wr_feasibility_result *r, const two_tables *t)
{
    const wr_package_parts *parts = wr_package_get(w->package);
    *n = (nulls){.worst = ""};
    for (size_t k = 0; k < parts->nuse; k++) {
        const wr_col *now = feature_of(t->now, w, parts->use[k]),
                     *then = t->training ? feature_of(t->training, w, parts->use[k]) : NULL;
        const char *name = w->view->features[parts->use[k]].name;
        double share = now ? null_share(now) : 1, was = then ? null_share(then) : NAN;
        if (!now || share == 1) {
            n->empty += !(was == 1); /* it was empty in training too: nothing learned from it */
            wr_check_text(w, r, name, "nothing fills it");
            continue;
        }
        double change = share - was;
        if (isnan(change)) continue;
        if (change > n->most) n->most = change, n->worst = name;
        if (change <= w->t->null_change) continue;
        n->moved++;
        wr_check_text(w, r, name, "%.1f %% null, in training %.1f %%", 100 * share, 100 * was);
    }
}

/* How old is the newest event, seen from the newest row? */
static int64_t event_age(const wr_feasibility_work *w)
{
    const wr_col *time = w->source ? wr_frame_col(w->source, w->view->time) : NULL,
                 *event = w->events ? wr_frame_col(w->events, "_time") : NULL;
    if (!time || !time->n || !event) return -1;
    if (!event->n) return INT64_MAX;
    int64_t age = time->i64[time->n - 1] - event->i64[event->n - 1];
    return age > 0 ? age : 0;
}

static int check_missing(wr_feasibility_work *w, wr_feasibility_result *r, const two_tables *t)
{
    nulls n;
    char age_text[WR_NUM_TEXT];
    count_nulls(&n, w, r, t);
    int64_t age = event_age(w);
    if (age >= 0 && age < INT64_MAX)
        wr_check_number(w, r, "newest event", (double)age / 1e6, wr_fmt_seconds(age_text, (double)age / 1e6));
    if ((double)n.empty > w->t->missing)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%zu features that nothing fills", n.empty);
    if (w->t->max_age_us && w->view->event_source && age > w->t->max_age_us) {
        wr_check_hint(w, r, "bring the events of \"%.60s\" up to date, or raise features: {max_age} of the target",
                      w->view->event_source);
        if (age == INT64_MAX) return wr_check_says(w, r, WR_CHECK_FAIL, "there is no event at all");
        return wr_check_says(w, r, WR_CHECK_FAIL, "the newest event is %s older than the newest row",
                             wr_fmt_seconds(age_text, (double)age / 1e6));
    }
    if (!t->training) {
        wr_check_hint(w, r, "weir feature build writes \"%.60s\", the table it was trained on", w->view->name);
        return wr_check_says(w, r, WR_CHECK_WARN, "all features filled; nulls not compared: %s", t->why);
    }
    if (n.moved)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%zu features with more nulls than in training; \"%s\" %.1f pp more",
                             n.moved, n.worst, 100 * n.most);
    return wr_check_says(w, r, WR_CHECK_PASS, "all features filled; nulls at most %.1f pp more than in training",
                         100 * n.most);
}

static int plain_missing(wr_feasibility_work *w, wr_feasibility_result *r)
{
    size_t empty = 0, cells = 0;
    if (!w->report->rows_real) return wr_check_says(w, r, WR_CHECK_SKIP, "no real rows: give --rows or --replay");
    for (size_t i = 0; i < w->nin; i++) {
        size_t n = 0;
        double v;
        for (size_t k = 0; k < w->in[i].count; k++) {
            if (w->in[i].type == WR_TENSOR_BYTES) n += !((const wr_str *)w->in[i].data)[k].p;
            else if (w->in[i].type == WR_TENSOR_FP32) n += isnan(((const float *)w->in[i].data)[k]);
            else if (w->in[i].type == WR_TENSOR_FP64) v = ((const double *)w->in[i].data)[k], n += isnan(v);
        }
        cells += n;
        empty += w->in[i].count && n == w->in[i].count;
    }
    wr_check_number(w, r, "missing cells", (double)cells, NULL);
    if ((double)empty > w->t->missing)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%zu inputs that nothing fills", empty);
    return wr_check_says(w, r, WR_CHECK_PASS, "every input comes with the request; %zu cells missing", cells);
}

int wr_check_missing(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    two_tables t;
    wr_check_limit(w, r, "%g missing, nulls +%g pp", w->t->missing, 100 * w->t->null_change);
    bool fed = false;
    if (!w->view && w->p) WR_TRY(wr_check_fed(&fed, w, r, err));
    if (!w->view) return fed ? 0 : plain_missing(w, r);
    int rc = open_tables(&t, w, err);
    if (rc == 0) rc = t.now ? check_missing(w, r, &t) : wr_check_says(w, r, WR_CHECK_SKIP, "%s", t.why);
    close_tables(&t);
    return rc < 0 ? rc : wr_check_served_view(w, r, err);
}

/* ---- 3 leakage ---- */

static int count_sql(int64_t *out, wr_feasibility_work *w, const char *dataset, const char *condition, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_frame *f = NULL;
    wr_tables *t;
    wr_buf_str(&sql, "SELECT count(*) AS n FROM ");
    wr_sql_ident(&sql, wr_str_of(dataset));
    wr_buf_printf(&sql, " WHERE %s", condition);
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_project_tables(&t, w->p, NULL, err));
    int rc = wr_query_datasets(&f, w->p, t, wr_buf_cstr(&sql), NULL, err);
    if (rc == 0) *out = f->nrows ? (int64_t)wr_col_num(&f->cols[0], 0) : 0;
    wr_frame_free(f);
    wr_tables_close(t);
    return rc;
}

/* Rows whose own outcome is known no later than they are asked: their features may hold the answer. */
static int early(int64_t *out, wr_feasibility_work *w, const char *known, wr_err *err)
{
    WR_AUTOBUF wr_buf where = {0};
    wr_buf_printf(&where, "CAST((%s) AS TIMESTAMP) <= CAST(", known);
    wr_sql_ident(&where, wr_str_of(w->view->time));
    wr_buf_str(&where, " AS TIMESTAMP)");
    if (where.failed) return wr_err_nomem(err);
    return count_sql(out, w, w->view->source, wr_buf_cstr(&where), err);
}

static bool same_cell(const wr_col *a, const wr_col *b, size_t row)
{
    if (wr_col_missing(a, row) != wr_col_missing(b, row)) return false;
    if (a->type == WR_TEXT) return wr_str_eq(wr_col_text(a, row), wr_col_text(b, row));
    double x = wr_col_num(a, row), y = wr_col_num(b, row);
    return x == y || (isnan(x) && isnan(y));
}

/* Features of the rows of the older half, with the events of later taken away: they may not notice. */
static int future(size_t *changed, size_t *rows, wr_feasibility_work *w, wr_err *err)
{
    WR_AUTOFRAME wr_frame *before = NULL, *half = NULL, *all = wr_frame_new(), *cut = wr_frame_new();
    const wr_col *time = wr_frame_col(w->source, w->view->time), *event = wr_frame_col(w->events, "_time");
    size_t n = (w->source->nrows + 1) / 2, m = 0;
    uint32_t *take = wr_arena_alloc(w->a, (w->source->nrows + w->events->nrows + 1) * sizeof *take);
    if (!all || !cut || !take || !time || !event || !n) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) take[i] = (uint32_t)i;
    WR_TRY(wr_frame_take(&half, w->source, take, n, err));
    for (size_t i = 0; i < w->events->nrows; i++)
        if (event->i64[i] <= time->i64[n - 1]) take[m++] = (uint32_t)i;
    WR_TRY(wr_frame_take(&before, w->events, take, m, err));
    WR_TRY(wr_view_compute(all, w->view, half, w->events, NULL, err));
    WR_TRY(wr_view_compute(cut, w->view, half, before, NULL, err));
    for (size_t i = 0; i < n; i++) {
        bool same = true;
        for (size_t j = 0; same && j < all->ncols && j < cut->ncols; j++)
            same = same_cell(&all->cols[j], &cut->cols[j], i);
        *changed += !same;
    }
    *rows = n;
    return 0;
}

int wr_check_leakage(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    const wr_view *v = w->view;
    int64_t events = 0, labels = 0;
    size_t changed = 0, rows = 0;
    if (!v) return wr_check_says(w, r, WR_CHECK_SKIP, "no feature view: all features come with the request");
    if (!w->source)
        return wr_check_says(w, r, WR_CHECK_SKIP, "%s", w->no_source ? w->no_source : "no rows of its view");
    if (v->event_time && strcmp(v->event_source, v->source) == 0) WR_TRY(early(&events, w, v->event_time, err));
    if (v->known_at) WR_TRY(early(&labels, w, v->known_at, err));
    if (w->events && w->events->nrows) WR_TRY(future(&changed, &rows, w, err));
    wr_check_number(w, r, "events known before their row", (double)events, NULL);
    wr_check_number(w, r, "labels known before their row", (double)labels, NULL);
    wr_check_number(w, r, "rows whose features look ahead", (double)changed, NULL);
    wr_check_number(w, r, "rows compared", (double)rows, NULL);
    if (events)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%lld rows are their own events: known when they are asked",
                             (long long)events);
    if (changed) return wr_check_says(w, r, WR_CHECK_FAIL, "features of %zu rows change with events of later", changed);
    if (labels)
        return wr_check_says(w, r, WR_CHECK_FAIL, "labels of %lld rows are known when they are asked",
                             (long long)labels);
    if (!v->known_at && !v->event_time)
        return wr_check_says(w, r, WR_CHECK_PASS, "no aggregates: features are of the row alone");
    return wr_check_says(w, r, WR_CHECK_PASS, "0 violations; %zu rows recomputed without later events", rows);
}

/* ---- 4 numeric parity ---- */

typedef struct {
    wr_feasibility_gap single, wire, offline, features, served;
} parity;

/* Alone as in the batch, and through the JSON of the wire. */
static int ask_both(wr_feasibility_work *w, parity *p, size_t rows, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0), *each = wr_arena_new(0);
    wr_infer_answer whole, one;
    wr_tensor *in = a ? wr_arena_alloc(a, (w->nin + 1) * sizeof *in) : NULL;
    if (!in || !each) return wr_err_nomem(err);
    wr_feasibility_slice(in, w, w->in, 0, rows);
    WR_TRY(wr_feasibility_ask(&whole, w, in, a, err));
    for (size_t i = 0; i < rows; i++) {
        wr_arena_clear(each);
        wr_feasibility_slice(in, w, w->in, i, 1);
        WR_TRY(wr_feasibility_ask(&one, w, in, each, err));
        wr_feasibility_compare(&p->single, &whole, i, &one);
    }
    wr_arena_clear(each);
    wr_feasibility_slice(in, w, w->in, 0, rows);
    for (size_t k = 0; k < w->nin; k++) {
        WR_AUTOBUF wr_buf b = {0};
        size_t used;
        if (in[k].type == WR_TENSOR_FP16 || in[k].type == WR_TENSOR_BF16) continue; /* they travel binary alone */
        wr_tensor_write_json(&b, &in[k]);
        wr_str text = wr_arena_str(a, wr_buf_view(&b));
        if (b.failed || !text.p) return wr_err_nomem(err);
        uint8_t *missing;
        WR_TRY(wr_tensor_read_json_missing(&in[k], &missing, &used, text, a, err));
    }
    WR_TRY(wr_feasibility_ask(&one, w, in, each, err));
    wr_feasibility_compare(&p->wire, &whole, 0, &one);
    return 0;
}

static void gap_of(wr_feasibility_gap *g, double x, double y)
{
    wr_tensor a = {.type = WR_TENSOR_FP64, .count = 1, .data = &x},
              b = {.type = WR_TENSOR_FP64, .count = 1, .data = &y};
    wr_infer_answer l = {.out = &a, .nout = 1, .rows = 1}, r = {.out = &b, .nout = 1, .rows = 1};
    wr_feasibility_compare(g, &l, 0, &r);
}

static void request_cells(wr_cell *out, const wr_view *v, const wr_frame *rows, size_t i)
{
    for (size_t k = 0; k < v->nrequest; k++) {
        const wr_col *c = wr_frame_col(rows, v->request[k]);
        out[k] = (wr_cell){.num = NAN, .missing = !c || wr_col_missing(c, i)};
        if (out[k].missing) continue;
        if (c->type == WR_TEXT) out[k].text = wr_col_text(c, i);
        else if (c->type == WR_TS) out[k].ts = c->i64[i];
        else out[k].num = wr_col_num(c, i);
    }
}

typedef struct {
    wr_online *online;
    size_t at; /* next event */
    wr_cell *event, *request;
    float *num;
    wr_str *text;
} walker;

/* Events up to the moment, then the row's features as the server has them. */
static int walk(walker *k, wr_feasibility_work *w, size_t row, wr_err *err)
{
    const wr_view *v = w->view;
    const wr_col *event = w->events ? wr_frame_col(w->events, "_time") : NULL;
    int64_t now = wr_frame_col(w->source, v->time)->i64[row];
    for (; event && k->at < event->n && event->i64[k->at] <= now; k->at++) {
        for (size_t j = 0; j < v->nevent_columns; j++) {
            const wr_col *c = wr_frame_col(w->events, v->event_columns[j]);
            k->event[j] = (wr_cell){.num = NAN, .missing = !c || wr_col_missing(c, k->at)};
            if (k->event[j].missing) continue;
            if (c->type == WR_TEXT) k->event[j].text = wr_col_text(c, k->at);
            else k->event[j].num = wr_col_num(c, k->at);
        }
        if (!wr_col_missing(event, k->at)) WR_TRY(wr_online_add(k->online, event->i64[k->at], k->event, err));
    }
    request_cells(k->request, v, w->source, row);
    wr_online_row(k->online, k->request, k->num, k->text);
    return 0;
}

static int walk_rows(walker *k, wr_feasibility_work *w, parity *p, const wr_frame *features, const double *scores,
                     size_t from, wr_err *err)
{
    const wr_view *v = w->view;
    k->event = wr_arena_calloc(w->a, v->nevent_columns + 1, sizeof *k->event);
    k->request = wr_arena_calloc(w->a, v->nrequest + 1, sizeof *k->request);
    k->num = wr_arena_calloc(w->a, v->nfeatures + 1, sizeof *k->num);
    k->text = wr_arena_calloc(w->a, v->nfeatures + 1, sizeof *k->text);
    if (wr_arena_failed(w->a)) return wr_err_nomem(err);
    for (size_t i = 0; i < w->source->nrows; i++) {
        WR_TRY(walk(k, w, i, err));
        if (i < from) continue;
        for (size_t j = 0; j < v->nfeatures; j++) {
            const wr_col *c = wr_frame_col(features, v->features[j].name);
            if (!c) continue;
            if (c->type == WR_TEXT) p->features.flips += !wr_str_eq(wr_col_text(c, i), k->text[j]);
            else gap_of(&p->features, wr_col_num(c, i), k->num[j]);
        }
        gap_of(&p->offline, scores[i], wr_package_predict_row(w->package, k->num, k->text));
    }
    return 0;
}

/* Training's way (joins over all rows) against the server's (a state that events move). */
static int both_sides(wr_feasibility_work *w, parity *p, size_t rows, wr_err *err)
{
    WR_AUTOFRAME wr_frame *features = NULL;
    walker k = {0};
    size_t n = w->source->nrows;
    WR_TRY(features_now(&features, w, err));
    double *scores = wr_arena_alloc(w->a, (n + 1) * sizeof *scores);
    if (!scores) return wr_err_nomem(err);
    WR_TRY(wr_package_predict(scores, w->package, features, NULL, err));
    WR_TRY(wr_online_new(&k.online, w->view, err));
    int rc = walk_rows(&k, w, p, features, scores, n > rows ? n - rows : 0, err);
    wr_online_free(k.online);
    return rc;
}

/* Scores in the log, of this version, against those of the logged features now. */
static int served_then(wr_feasibility_work *w, parity *p, wr_err *err)
{
    const wr_col *score = wr_frame_col(w->logged, "score"), *version = wr_frame_col(w->logged, "version");
    WR_AUTOFREE double *now = wr_alloc((w->logged->nrows + 1) * sizeof *now);
    if (!now) return wr_err_nomem(err);
    if (!score || !version || wr_package_predict(now, w->package, w->logged, NULL, NULL) < 0) return 0;
    for (size_t i = 0; i < w->logged->nrows; i++)
        if (w->registered && (int64_t)wr_col_num(version, i) == w->version.version)
            gap_of(&p->served, wr_col_num(score, i), now[i]);
    return 0;
}

static void tell_gap(wr_feasibility_work *w, wr_feasibility_result *r, const char *what, const wr_feasibility_gap *g,
                     double *worst, size_t *flips)
{
    char key[80];
    if (!g->rows && !g->shape) return;
    snprintf(key, sizeof key, "%s, largest relative difference", what);
    wr_check_number(w, r, key, g->shape ? INFINITY : g->relative, NULL);
    if (g->flips) wr_check_text(w, r, what, "%zu of %zu of another class", g->flips, g->rows);
    *worst = fmax(*worst, g->shape ? INFINITY : g->relative);
    *flips += g->flips;
}

int wr_check_parity(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    parity p = {0};
    double worst = 0;
    size_t flips = 0, rows = w->nrows < (size_t)w->t->rows ? w->nrows : (size_t)w->t->rows;
    wr_check_limit(w, r, "%g, %lld flips", w->t->relative, (long long)w->t->flips);
    if (w->m->rows) WR_TRY(ask_both(w, &p, rows, err));
    if (w->source && w->package) WR_TRY(both_sides(w, &p, (size_t)w->t->rows, err));
    if (w->logged && w->package) WR_TRY(served_then(w, &p, err));
    tell_gap(w, r, "one row and batch", &p.single, &worst, &flips);
    tell_gap(w, r, "JSON and memory", &p.wire, &worst, &flips);
    tell_gap(w, r, "features of training and serving", &p.features, &worst, &flips);
    tell_gap(w, r, "scores of training and serving", &p.offline, &worst, &flips);
    tell_gap(w, r, "scores logged and now", &p.served, &worst, &flips);
    if (w->package) wr_check_text(w, r, "golden rows", "replayed when the package was opened: equal");
    size_t compared = p.single.rows + p.offline.rows + p.served.rows;
    if (!compared)
        return wr_check_says(w, r, WR_CHECK_SKIP, "the model does not answer rows: there is one way to an answer");
    bool good = worst <= w->t->relative && flips <= (size_t)w->t->flips;
    return wr_check_says(w, r, good ? WR_CHECK_PASS : WR_CHECK_FAIL,
                         "largest relative difference %.2g, %zu class flips, %zu comparisons", worst, flips, compared);
}

/* ---- 5 distribution ---- */

static int psi_numbers(double *psi, wr_feasibility_work *w, const wr_col *then, const wr_col *now, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_drift_ref *ref;
    wr_drift_result d;
    double *x = a ? wr_arena_alloc(a, (then->n + 1) * sizeof *x) : NULL,
           *y = a ? wr_arena_alloc(a, (now->n + 1) * sizeof *y) : NULL;
    (void)w;
    if (!x || !y) return wr_err_nomem(err);
    for (size_t i = 0; i < then->n; i++) x[i] = wr_col_num(then, i);
    for (size_t i = 0; i < now->n; i++) y[i] = wr_col_num(now, i);
    if (wr_drift_ref_numeric(&ref, x, then->n, 0, NULL) < 0) return 0;
    if (wr_drift_numeric(&d, ref, y, now->n, NULL) == 0) *psi = d.psi;
    wr_drift_ref_free(ref);
    return 0;
}

static int psi_texts(double *psi, const wr_col *then, const wr_col *now, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_drift_ref *ref;
    wr_drift_result d;
    uint32_t *x = a ? wr_arena_alloc(a, (then->n + 1) * sizeof *x) : NULL,
             *y = a ? wr_arena_alloc(a, (now->n + 1) * sizeof *y) : NULL;
    if (!x || !y) return wr_err_nomem(err);
    for (size_t i = 0; i < then->n; i++) x[i] = wr_col_missing(then, i) ? UINT32_MAX : then->code[i];
    for (size_t i = 0; i < now->n; i++) {
        ptrdiff_t k = wr_col_missing(now, i) ? -1 : wr_map_find(&then->dict, wr_col_text(now, i));
        y[i] = wr_col_missing(now, i) ? UINT32_MAX : k >= 0 ? (uint32_t)k : (uint32_t)then->dict.n;
    }
    if (wr_drift_ref_categories(&ref, x, then->n, (uint32_t)then->dict.n, NULL) < 0) return 0;
    if (wr_drift_categories(&d, ref, y, now->n, NULL) == 0) *psi = d.psi;
    wr_drift_ref_free(ref);
    return 0;
}

static int drift_of(wr_feasibility_work *w, wr_feasibility_result *r, const two_tables *t, wr_err *err)
{
    const wr_package_parts *parts = wr_package_get(w->package);
    double most = 0;
    size_t moved = 0, compared = 0;
    const char *worst = "";
    for (size_t k = 0; k < parts->nuse; k++) {
        const wr_col *then = feature_of(t->training, w, parts->use[k]), *now = feature_of(t->now, w, parts->use[k]);
        double psi = NAN;
        if (!then || !now || (then->type == WR_TEXT) != (now->type == WR_TEXT)) continue;
        WR_TRY(then->type == WR_TEXT ? psi_texts(&psi, then, now, err) : psi_numbers(&psi, w, then, now, err));
        if (isnan(psi)) continue;
        const char *name = w->view->features[parts->use[k]].name;
        compared++;
        if (psi > most) most = psi, worst = name;
        if (psi >= w->t->psi) moved++;
        if (psi >= w->t->psi / 2) wr_check_number(w, r, wr_arena_printf(w->a, "PSI of %s", name), psi, NULL);
    }
    if (!compared) return wr_check_says(w, r, WR_CHECK_SKIP, "no feature has values on both sides");
    wr_check_text(w, r, "reference", "%zu rows of dataset \"%s\"", t->training->nrows, w->view->name);
    wr_check_text(w, r, "current", "%zu rows, %s", t->now->nrows,
                  w->logged ? "logged predictions" : "the newest of the view's source");
    return wr_check_says(w, r,
                         !moved      ? WR_CHECK_PASS
                         : w->logged ? WR_CHECK_FAIL
                                     : WR_CHECK_WARN,
                         "%zu of %zu features moved; largest PSI %.3f%s%s", moved, compared, most, *worst ? ", " : "",
                         worst);
}

int wr_check_drift(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    two_tables t;
    wr_check_limit(w, r, "PSI below %g", w->t->psi);
    if (!w->view) return wr_check_says(w, r, WR_CHECK_SKIP, "the model carries no sketch of what it was trained on");
    int rc = open_tables(&t, w, err);
    if (rc == 0) rc = t.training && t.now ? drift_of(w, r, &t, err) : wr_check_says(w, r, WR_CHECK_SKIP, "%s", t.why);
    close_tables(&t);
    return rc;
}
