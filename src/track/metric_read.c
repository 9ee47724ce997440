/* SPDX-License-Identifier: Apache-2.0 */
/* metric_read.c - latest values and history: memory, then the database, each point once. */
#include <stdlib.h>
#include <string.h>

#include "track/metric_inside.h"

enum {
    MARKS = 256,  /* runs asked for in one query */
    AT_ONCE = 16, /* chunks */
};

/* ---- latest ---- */

typedef struct {
    size_t run; /* its number among those asked for */
    wr_track_point p;
} row;
typedef WR_VEC(row) rows;

typedef struct {
    int64_t id;
    size_t at;
} wanted;

static int by_id(const void *a, const void *b)
{
    const wanted *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Runs, keys, and of one key the greatest point first. */
static int by_run_key(const void *a, const void *b)
{
    const row *x = a, *y = b;
    if (x->run != y->run) return x->run < y->run ? -1 : 1;
    int c = wr_str_cmp(x->p.key, y->p.key);
    if (c) return c;
    wr_series_point p = {x->p.step, x->p.time_ms, x->p.value}, q = {y->p.step, y->p.time_ms, y->p.value};
    return wr_metric_by_step(&q, &p);
}

static int read_latest(rows *out, wr_track *t, wr_stmt *s, const wanted *want, size_t n, wr_err *err)
{
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wanted key = {.id = wr_stmt_i64(s, 0)};
        const wanted *found = bsearch(&key, want, n, sizeof *want, by_id);
        row r = {.p = {.value = wr_stmt_f64(s, 2), .step = wr_stmt_i64(s, 3), .time_ms = wr_stmt_i64(s, 4)}};
        if (!found) continue;
        r.run = found->at;
        WR_TRY(wr_track_key_name(&r.p.key, t, wr_stmt_i64(s, 1), err));
        if (wr_vec_push(out, r) < 0) return wr_err_nomem(err);
    }
    return rc;
}

/* Rows of the runs [from, to) of `want`. */
static int query_latest(rows *out, wr_track *t, const wanted *want, size_t n, size_t from, size_t to, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_stmt *s;
    wr_buf_str(&sql, "SELECT run, key, value, step, time_ms FROM track_metrics WHERE run IN (");
    size_t marks = wr_metric_marks(&sql, to - from);
    wr_buf_char(&sql, ')');
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(t->db, &s, wr_buf_cstr(&sql), err));
    for (size_t i = 0; i < marks; i++) wr_bind_i64(s, (int)i + 1, want[from + i < to ? from + i : to - 1].id);
    int rc = read_latest(out, t, s, want, n, err);
    wr_stmt_done(s);
    return rc;
}

static int recent_latest(rows *out, wr_arena *a, wr_track *t, size_t at, int64_t run, wr_err *err)
{
    wr_track_point *p;
    size_t n;
    WR_TRY(wr_metric_recent_latest(&p, &n, a, t, run, err));
    if (wr_vec_reserve(out, n) < 0) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) out->at[out->n++] = (row){at, p[i]};
    return 0;
}

static int collect_latest(rows *out, wr_arena *a, wr_track *t, const int64_t *runs, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n && t->metric; i++) WR_TRY(recent_latest(out, a, t, i, runs[i], err));
    wanted *want = wr_arena_alloc(a, n * sizeof *want);
    if (!want) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) want[i] = (wanted){runs[i], i};
    qsort(want, n, sizeof *want, by_id);
    for (size_t i = 0; i < n; i += MARKS) WR_TRY(query_latest(out, t, want, n, i, i + MARKS < n ? i + MARKS : n, err));
    if (out->n) qsort(out->at, out->n, sizeof *out->at, by_run_key);
    return 0;
}

/* The first of each key; `all` is sorted. */
static int cut_latest(wr_metric_series *out, wr_arena *a, size_t n, const rows *all, wr_err *err)
{
    wr_track_point *p = wr_arena_alloc(a, all->n * sizeof *p);
    if (!p) return wr_err_nomem(err);
    for (size_t i = 0, at = 0; i < n; i++) {
        out[i] = (wr_metric_series){.points = p};
        for (; at < all->n && all->at[at].run == i; at++) {
            const wr_track_point *next = &all->at[at].p;
            if (out[i].n && wr_str_eq(p[-1].key, next->key)) continue;
            *p = *next;
            p++->value += 0.0; /* -0 becomes 0, as in the database */
            out[i].n++;
        }
    }
    return 0;
}

int wr_metric_latest_many(wr_metric_series *out, wr_arena *a, wr_track *t, const int64_t *runs, size_t n, wr_err *err)
{
    rows all = {0};
    int rc = collect_latest(&all, a, t, runs, n, err);
    if (rc == 0) rc = cut_latest(out, a, n, &all, err);
    wr_vec_fini(&all);
    return rc;
}

int wr_metric_latest(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_err *err)
{
    wr_metric_series one;
    WR_TRY(wr_metric_latest_many(&one, a, t, &run, 1, err));
    *out = one.points;
    *n = one.n;
    return 0;
}

/* ---- history ---- */

typedef struct {
    int64_t seq, min_ms, max_ms;
    size_t n;
} head;
typedef WR_VEC(head) heads;

static int by_start(const void *a, const void *b)
{
    const head *x = a, *y = b;
    return (x->min_ms > y->min_ms) - (x->min_ms < y->min_ms);
}

static int read_heads(heads *out, wr_track *t, int64_t run, int64_t key, int64_t from_ms, wr_err *err)
{
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT seq, n, min_ms, max_ms FROM track_chunks WHERE run = ? AND key = ? AND "
                          "max_ms >= ?",
                          "iii", run, key, from_ms));
    while ((rc = wr_step(s, err)) > 0) {
        head h = {wr_stmt_i64(s, 0), wr_stmt_i64(s, 2), wr_stmt_i64(s, 3), (size_t)wr_stmt_i64(s, 1)};
        if ((rc = wr_vec_add(out, h, err)) < 0) break;
    }
    wr_stmt_done(s);
    if (rc == 0 && out->n) qsort(out->at, out->n, sizeof *out->at, by_start);
    return rc;
}

int wr_metric_add_chunk(wr_metric_points *out, wr_str chunk, wr_err *err)
{
    size_t got;
    if (wr_vec_reserve(out, WR_SERIES_MAX) < 0) return wr_err_nomem(err); /* to ask its head costs a checksum more */
    WR_TRY(wr_series_decode(out->at + out->n, &got, chunk, err));
    out->n += got;
    return 0;
}

/* The chunks of n heads with one query. */
static int read_some(wr_metric_points *out, wr_track *t, int64_t run, int64_t key, const head *h, size_t n, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_stmt *s;
    int rc;
    wr_buf_str(&sql, "SELECT data FROM track_chunks WHERE run = ? AND key = ? AND seq IN (");
    size_t marks = wr_metric_marks(&sql, n);
    wr_buf_char(&sql, ')');
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(t->db, &s, wr_buf_cstr(&sql), err));
    wr_bind_i64(s, 1, run);
    wr_bind_i64(s, 2, key);
    for (size_t i = 0; i < marks; i++) wr_bind_i64(s, (int)i + 3, h[i < n ? i : n - 1].seq);
    while ((rc = wr_step(s, err)) > 0) {
        rc = wr_metric_add_chunk(out, wr_stmt_str(s, 0), err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return rc;
}

/* Drop what is not after `after`, from number `from` on. */
static void drop_before(wr_metric_points *p, size_t from, const wr_series_point *after)
{
    size_t kept = from;
    for (size_t i = from; after && i < p->n; i++) {
        if (wr_metric_by_time(&p->at[i], after) > 0) p->at[kept++] = p->at[i];
    }
    if (after) p->n = kept;
}

/* Chunks in order of their first time, until what follows cannot be among the first `max`. */
static int read_chunks(wr_metric_points *out, wr_track *t, int64_t run, int64_t key, const wr_series_point *after,
                       size_t max, wr_err *err)
{
    heads h = {0};
    int rc = read_heads(&h, t, run, key, after ? after->time_ms : INT64_MIN, err);
    for (size_t i = 0, n; i < h.n && rc == 0; i += n) {
        if (max && out->n >= max) {
            out->n = wr_metric_sort(out->at, out->n, wr_metric_by_time);
            if (out->n >= max && out->at[max - 1].time_ms < h.at[i].min_ms) break;
        }
        size_t from = out->n, expect = 0;
        for (n = 0; n < AT_ONCE && i + n < h.n && (!max || !n || out->n + expect < max); n++) expect += h.at[i + n].n;
        rc = read_some(out, t, run, key, h.at + i, n, err);
        drop_before(out, from, after);
    }
    wr_vec_fini(&h);
    return rc;
}

/* Values that come from records of before there were series stand as the latest alone. */
static int read_single(wr_metric_points *out, wr_track *t, int64_t run, int64_t key, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT step, time_ms, value FROM track_metrics WHERE run = ? AND key = ? AND tail = -1",
                          "ii", run, key));
    int rc = wr_step(s, err);
    if (rc > 0) {
        wr_series_point p = {.step = wr_stmt_i64(s, 0), .time_ms = wr_stmt_i64(s, 1), .value = wr_stmt_f64(s, 2)};
        if (wr_vec_push(out, p) < 0) rc = wr_err_nomem(err);
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int collect(wr_metric_points *out, wr_track *t, int64_t run, wr_str key, const wr_series_point *after,
                   size_t max, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_metric_recent_points(out, t, run, key, after, err));
    WR_TRY(wr_track_key_find(&id, t, key, err));
    if (id) WR_TRY(read_chunks(out, t, run, id, after, max, err));
    if (id && !out->n && !after) WR_TRY(read_single(out, t, run, id, err));
    out->n = out->n ? wr_metric_sort(out->at, out->n, wr_metric_by_time) : 0;
    if (max && out->n > max) out->n = max;
    return 0;
}

int wr_metric_to_track(wr_track_point **out, wr_arena *a, wr_str key, const wr_series_point *p, size_t n, wr_err *err)
{
    *out = wr_arena_alloc(a, n * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) (*out)[i] = (wr_track_point){key, p[i].value, p[i].step, p[i].time_ms};
    return 0;
}

int wr_metric_history(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_str key,
                      const wr_track_point *after, size_t max, wr_err *err)
{
    wr_metric_points p = {0};
    wr_series_point last;
    if (after) last = (wr_series_point){after->step, after->time_ms, after->value};
    int rc = collect(&p, t, run, key, after ? &last : NULL, max, err);
    if (rc == 0) rc = wr_metric_to_track(out, a, key, p.at, p.n, err);
    *n = p.n;
    wr_vec_fini(&p);
    return rc;
}
