/* SPDX-License-Identifier: Apache-2.0 */
/* search_load.c - params, tags, metrics, inputs and outputs of many runs, some statements for all of them. */
#include <stdio.h>
#include <stdlib.h>

#include "track/search_run.h"
#include "track/track_inside.h"

enum { RUNS = 128 }; /* a statement: one text whatever the number, so that it stays prepared */

typedef struct {
    int64_t id;
    size_t at; /* in the caller's runs */
} place;

typedef struct {
    wr_track_run *runs;
    const place *places; /* by id */
    size_t n;
    wr_arena *a;
    wr_track *t;
    const wr_run_load *load;
} batch;

static int by_id(const void *x, const void *y)
{
    const place *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static int by_key(const void *x, const void *y)
{
    return wr_str_cmp(((const wr_track_item *)x)->key, ((const wr_track_item *)y)->key);
}

/* `head` IN (ids) `tail`. */
static int ask(wr_stmt **out, const batch *b, const char *head, const char *tail, wr_err *err)
{
    char sql[256 + 2 * RUNS];
    size_t n = (size_t)snprintf(sql, sizeof sql - 2 * RUNS, "%s (?", head);
    for (size_t i = 1; i < RUNS; i++, n += 2) memcpy(sql + n, ",?", 2);
    snprintf(sql + n, sizeof sql - n, ") %s", tail);
    WR_TRY(wr_db_prepare(wr_track_db(b->t), out, sql, err));
    for (size_t i = 0; i < RUNS; i++) wr_bind_i64(*out, (int)i + 1, b->places[i < b->n ? i : b->n - 1].id);
    return 0;
}

static wr_track_run *run_of(const batch *b, int64_t id)
{
    place *p = bsearch(&(place){.id = id}, b->places, b->n, sizeof *b->places, by_id);
    return p ? &b->runs[p->at] : NULL;
}

static bool wanted(const wr_str *keys, size_t n, wr_str key)
{
    for (size_t i = 0; i < n; i++)
        if (wr_str_eq(keys[i], key)) return true;
    return keys == NULL;
}

typedef WR_VEC(wr_track_item) items;

static int put_items(batch *b, int64_t run, bool params, items *v, wr_err *err)
{
    wr_track_run *r = run_of(b, run);
    if (!r || v->n == 0) return 0;
    qsort(v->at, v->n, sizeof *v->at, by_key);
    wr_track_item *kept = wr_arena_dup(b->a, v->at, v->n * sizeof *v->at);
    if (!kept) return wr_err_nomem(err);
    if (params) r->params = kept, r->nparams = v->n;
    else r->tags = kept, r->ntags = v->n;
    v->n = 0;
    return 0;
}

static int load_items(batch *b, bool params, wr_err *err)
{
    const wr_str *keys = params ? b->load->params : b->load->tags;
    size_t nkeys = params ? b->load->nparams : b->load->ntags;
    items v = {0};
    wr_stmt *s;
    int64_t current = -1;
    int rc;
    WR_TRY(ask(&s, b,
               params ? "SELECT run, key, value FROM track_params WHERE run IN"
                      : "SELECT run, key, value FROM track_tags WHERE run IN",
               "ORDER BY run", err));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_item i;
        int64_t run = wr_stmt_i64(s, 0);
        rc = run == current ? 0 : put_items(b, current, params, &v, err);
        current = run;
        if (rc == 0) rc = wr_track_key_name(&i.key, b->t, wr_stmt_i64(s, 1), err);
        if (rc < 0) break;
        if (!wanted(keys, nkeys, i.key)) continue;
        i.value = wr_arena_str(b->a, wr_stmt_str(s, 2));
        if ((rc = wr_vec_add(&v, i, err)) < 0) break;
    }
    if (rc == 0) rc = put_items(b, current, params, &v, err);
    wr_stmt_done(s);
    wr_vec_fini(&v);
    return rc;
}

/* Most runs have none: those that have are found at once and read one by one. */
static int load_inputs(batch *b, const char *which, wr_err *err)
{
    WR_VEC(int64_t) ids = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(ask(&s, b, which, "ORDER BY run", err));
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&ids, wr_stmt_i64(s, 0), err)) < 0) break;
    wr_stmt_done(s);
    for (size_t i = 0; rc == 0 && i < ids.n; i++) {
        wr_track_run *r = run_of(b, ids.at[i]);
        if (r && !r->inputs) rc = wr_track_run_load_inputs(r, b->a, b->t, err);
    }
    wr_vec_fini(&ids);
    return rc;
}

static void keep_metrics(wr_track_run *r, const wr_run_load *load)
{
    size_t n = 0;
    for (size_t i = 0; i < r->nmetrics; i++)
        if (wanted(load->metrics, load->nmetrics, r->metrics[i].key)) r->metrics[n++] = r->metrics[i];
    r->nmetrics = n;
}

static int load_metrics(batch *b, wr_err *err)
{
    int64_t ids[RUNS];
    wr_metric_series series[RUNS];
    for (size_t i = 0; i < b->n; i++) ids[i] = b->places[i].id;
    WR_TRY(wr_metric_latest_many(series, b->a, b->t, ids, b->n, err));
    for (size_t i = 0; i < b->n; i++) {
        wr_track_run *r = &b->runs[b->places[i].at];
        r->metrics = series[i].points;
        r->nmetrics = series[i].n;
        if (b->load->metrics) keep_metrics(r, b->load);
    }
    return 0;
}

static int load_batch(batch *b, wr_err *err)
{
    unsigned parts = b->load->parts;
    if (parts & WR_RUN_PARAMS) WR_TRY(load_items(b, true, err));
    if (parts & WR_RUN_TAGS) WR_TRY(load_items(b, false, err));
    if (parts & WR_RUN_METRICS) WR_TRY(load_metrics(b, err));
    if (!(parts & WR_RUN_INPUTS)) return 0;
    WR_TRY(load_inputs(b, "SELECT DISTINCT run FROM track_inputs WHERE run IN", err));
    return load_inputs(b, "SELECT DISTINCT run FROM track_run_models WHERE run IN", err);
}

int wr_track_run_load_many(wr_track_run *runs, size_t n, wr_arena *a, wr_track *t, const wr_run_load *load, wr_err *err)
{
    place *places = wr_arena_calloc(a, n + 1, sizeof *places);
    if (!places) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) places[i] = (place){runs[i].id, i};
    qsort(places, n, sizeof *places, by_id);
    for (size_t from = 0; from < n; from += RUNS) {
        batch b = {.runs = runs,
                   .places = places + from,
                   .n = n - from < RUNS ? n - from : RUNS,
                   .a = a,
                   .t = t,
                   .load = load};
        WR_TRY(load_batch(&b, err));
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}
