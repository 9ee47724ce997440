/* SPDX-License-Identifier: Apache-2.0 */
/* metric_store.c - points into chunks and latest values: few statements for all series of a call.
 *
 *   1. one query: for each series its latest point and its last chunk
 *   2. new points that are in the last chunk already are dropped; it is filled up and written again while that is cheap
 *      against what comes in; the rest makes new chunks
 *   3. chunks, then series rows, in statements of several rows each
 *
 * A point never moves to another chunk, so a reader may look at the heads of chunks first and at their data later. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "track/metric_inside.h"

enum {
    FULL = 1024, /* points of a chunk that takes no more */
    CHEAP = 128, /* a last chunk of up to so many is written again for one point */
    SHARE = 8,   /* a longer one when at least 1/SHARE of its points come in */
    MARKS = 64,  /* keys asked for in one query */
    ROWS = 16,   /* rows of one INSERT */
};

/* ---- points ---- */

int wr_metric_by_step(const void *a, const void *b)
{
    const wr_series_point *x = a, *y = b;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
    uint64_t v = wr_series_value_key(x->value), w = wr_series_value_key(y->value);
    return (v > w) - (v < w);
}

int wr_metric_by_time(const void *a, const void *b)
{
    const wr_series_point *x = a, *y = b;
    if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
    return wr_metric_by_step(a, b);
}

size_t wr_metric_sort(wr_series_point *p, size_t n, int (*by)(const void *, const void *))
{
    size_t kept = 1, i = 1;
    while (i < n && by(&p[i - 1], &p[i]) < 0) i++;
    if (i >= n) return n;
    for (; i < n && by(&p[i - 1], &p[i]) <= 0;) i++;
    if (i < n) qsort(p, n, sizeof *p, by);
    for (i = 1; i < n; i++) {
        if (by(&p[kept - 1], &p[i]) != 0) p[kept++] = p[i];
    }
    return kept;
}

/* ---- statements ---- */

size_t wr_metric_marks(wr_buf *sql, size_t n)
{
    size_t marks = 1;
    while (marks < n) marks *= 4;
    for (size_t i = 0; i < marks; i++) wr_buf_str(sql, i ? ",?" : "?");
    return marks;
}

/* "HEAD (?,?,..),(?,?,..) TAIL" */
static int prepare_rows(wr_stmt **out, wr_track *t, const char *head, size_t columns, size_t rows, const char *tail,
                        wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_buf_str(&sql, head);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) wr_buf_str(&sql, c ? ",?" : r ? "),(?" : "(?");
    }
    wr_buf_char(&sql, ')');
    wr_buf_str(&sql, tail);
    if (sql.failed) return wr_err_nomem(err);
    return wr_db_prepare(t->db, out, wr_buf_cstr(&sql), err);
}

static int run_rows(wr_stmt *s, wr_err *err)
{
    int rc = wr_stmt_run(s, err);
    wr_stmt_done(s);
    return rc;
}

/* Rows of the next statement when n are left: few sizes, so few prepared texts. */
static size_t rows_of(size_t n) { return n >= ROWS ? ROWS : n >= 4 ? 4 : 1; }

/* ---- keys ---- */

/* Rows (id, name) fill in the ids of the names they meet. */
static int take_ids(int64_t *ids, const wr_str *names, size_t n, wr_stmt *s, wr_err *err)
{
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wr_str name = wr_stmt_str(s, 1);
        for (size_t i = 0; i < n; i++) {
            if (!ids[i] && wr_str_eq(names[i], name)) ids[i] = wr_stmt_i64(s, 0);
        }
    }
    wr_stmt_done(s);
    return rc;
}

static size_t list_unknown(size_t *out, const int64_t *ids, size_t n)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (!ids[i]) out[m++] = i;
    }
    return m;
}

int wr_metric_keys(int64_t *ids, wr_track *t, const wr_str *names, size_t n, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_stmt *s;
    size_t which[WR_METRIC_KEYS];
    WR_BUG_IF(n > WR_METRIC_KEYS);
    for (size_t i = 0; i < n; i++) ids[i] = wr_track_key_known(t, names[i]);
    size_t m = list_unknown(which, ids, n);
    if (!m) return 0;
    wr_buf_str(&sql, "SELECT id, name FROM track_keys WHERE name IN (");
    size_t marks = wr_metric_marks(&sql, m);
    wr_buf_char(&sql, ')');
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(t->db, &s, wr_buf_cstr(&sql), err));
    for (size_t i = 0; i < marks; i++) wr_bind_str(s, (int)i + 1, names[which[i < m ? i : m - 1]]);
    WR_TRY(take_ids(ids, names, n, s, err));
    m = list_unknown(which, ids, n);
    for (size_t i = 0, rows; i < m; i += rows) {
        rows = rows_of(m - i);
        WR_TRY(prepare_rows(&s, t, "INSERT INTO track_keys (name) VALUES ", 1, rows, " RETURNING id, name", err));
        for (size_t r = 0; r < rows; r++) wr_bind_str(s, (int)r + 1, names[which[i + r]]);
        WR_TRY(take_ids(ids, names, n, s, err));
    }
    return 0;
}

/* ---- the work on one series ---- */

typedef struct {
    int64_t seq;
    wr_series_head head;
    wr_str data;
    int64_t key;
} chunk_row;

typedef struct {
    bool known;             /* has a row */
    wr_series_point latest; /* of that row, then the new one */
    double min, max;        /* the same, of its numbers; NaN = it has none */
    int64_t tail;           /* seq of the last chunk, -1 = none */
    size_t tail_n;
    wr_str tail_data;
    bool changed;
} series;

typedef struct {
    wr_track *t;
    wr_arena *a;
    const wr_metric_run *run;
    const wr_metric_part *parts;
    size_t n;
    series *series; /* of each part */
    WR_VEC(chunk_row) chunks;
} work;

static int part_by_key(const work *w, int64_t key, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (w->parts[i].key == key) return (int)i;
    }
    return -1;
}

static int load_rows(work *w, wr_stmt *s, size_t from, size_t to, bool chunks, wr_err *err)
{
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        int at = part_by_key(w, wr_stmt_i64(s, 0), from, to);
        if (at < 0) continue;
        series *x = &w->series[at];
        x->known = true;
        x->latest = (wr_series_point){wr_stmt_i64(s, 1), wr_stmt_i64(s, 2), wr_stmt_f64(s, 3)};
        x->tail = wr_stmt_i64(s, 4);
        x->min = wr_stmt_f64(s, 5);
        x->max = wr_stmt_f64(s, 6);
        if (!chunks || wr_stmt_null(s, 7)) continue;
        x->tail_n = (size_t)wr_stmt_i64(s, 7);
        if (x->tail_n < FULL) x->tail_data = wr_arena_str(w->a, wr_stmt_str(s, 8));
    }
    if (rc == 0 && wr_arena_failed(w->a)) rc = wr_err_nomem(err);
    return rc;
}

/* What the database has of the parts [from, to). */
static int load_some(work *w, size_t from, size_t to, bool chunks, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_stmt *s;
    wr_buf_str(&sql, chunks ? "SELECT m.key, m.step, m.time_ms, m.value, m.tail, m.min_value, m.max_value, c.n, c.data"
                              " FROM track_metrics m LEFT JOIN track_chunks c ON c.run = m.run AND c.key = m.key AND c.seq = m.tail"
                            : "SELECT m.key, m.step, m.time_ms, m.value, m.tail, m.min_value, m.max_value FROM track_metrics m");
    wr_buf_str(&sql, " WHERE m.run = ? AND m.key IN (");
    size_t marks = wr_metric_marks(&sql, to - from);
    wr_buf_char(&sql, ')');
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(w->t->db, &s, wr_buf_cstr(&sql), err));
    wr_bind_i64(s, 1, w->run->run);
    for (size_t i = 0; i < marks; i++) wr_bind_i64(s, (int)i + 2, w->parts[from + i < to ? from + i : to - 1].key);
    int rc = load_rows(w, s, from, to, chunks, err);
    wr_stmt_done(s);
    return rc;
}

static int new_chunk(work *w, int64_t key, int64_t seq, const wr_series_point *p, size_t n, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    chunk_row row = {.seq = seq, .key = key};
    wr_series_encode(&b, &row.head, p, n);
    if (b.failed) return wr_err_nomem(err);
    row.data = wr_arena_str(w->a, wr_buf_view(&b));
    if (!row.data.p || wr_vec_push(&w->chunks, row) < 0) return wr_err_nomem(err);
    return 0;
}

/* Of the n new ones those that are not among the m old; both sorted. */
static size_t without(wr_series_point *out, const wr_series_point *p, size_t n, const wr_series_point *old, size_t m)
{
    size_t kept = 0, k = 0;
    for (size_t i = 0; i < n; i++) {
        while (k < m && wr_metric_by_step(&old[k], &p[i]) < 0) k++;
        if (k == m || wr_metric_by_step(&old[k], &p[i]) != 0) out[kept++] = p[i];
    }
    return kept;
}

/* Fill the last chunk up; `fresh` and `n` become what is still to be stored. */
static int refill(work *w, int64_t key, series *x, const wr_series_point **fresh, size_t *n, wr_err *err)
{
    wr_series_head head;
    size_t got;
    if (!x->tail_data.p) return 0; /* none, or full */
    WR_TRY(wr_series_read_head(&head, x->tail_data, err));
    if (head.n != x->tail_n) return wr_err_set(err, WEIR_ECORRUPT, "a chunk of metric points has another length");
    wr_series_point *p = wr_arena_alloc(w->a, (FULL + *n) * sizeof *p);
    if (!p) return wr_err_nomem(err);
    WR_TRY(wr_series_decode(p, &got, x->tail_data, err));
    wr_series_point *left = p + FULL;
    size_t m = without(left, *fresh, *n, p, got);
    *fresh = left;
    *n = m;
    if (!m || (got > CHEAP && m * SHARE < got)) return 0;
    size_t take = m < FULL - got ? m : FULL - got;
    memcpy(p + got, left, take * sizeof *p);
    size_t total = wr_metric_sort(p, got + take, wr_metric_by_step);
    *fresh += take;
    *n -= take;
    return new_chunk(w, key, x->tail, p, total, err);
}

static int store_points(work *w, const wr_metric_part *part, series *x, wr_err *err)
{
    const wr_series_point *p = part->points;
    size_t n = part->n;
    WR_TRY(refill(w, part->key, x, &p, &n, err));
    for (size_t size; n; p += size, n -= size) {
        size = n < FULL ? n : FULL;
        WR_TRY(new_chunk(w, part->key, ++x->tail, p, size, err));
        x->changed = true;
    }
    return 0;
}

/* ---- writing ---- */

static const char chunk_head[] =
    "INSERT INTO track_chunks (run, key, seq, n, min_step, max_step, stride, min_ms, max_ms, "
    "min_value, max_value, data) VALUES ";
static const char chunk_tail[] =
    " ON CONFLICT (run, key, seq) DO UPDATE SET n = excluded.n, min_step = excluded.min_step, max_step = "
    "excluded.max_step, "
    "stride = excluded.stride, min_ms = excluded.min_ms, max_ms = excluded.max_ms, min_value = excluded.min_value, "
    "max_value = excluded.max_value, data = excluded.data";
enum { SERIES_COLUMNS = 10 };
static const char series_head[] =
    "INSERT INTO track_metrics (run, key, value, step, time_ms, experiment, start_ms, tail, min_value, max_value) VALUES ";
static const char series_tail[] =
    " ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, step = excluded.step, time_ms = excluded.time_ms, "
    "experiment = excluded.experiment, start_ms = excluded.start_ms, tail = excluded.tail, min_value = excluded.min_value, max_value = excluded.max_value";

static void bind_chunk(wr_stmt *s, int at, int64_t run, const chunk_row *c)
{
    const wr_series_head *h = &c->head;
    const int64_t v[] = {run, c->key, c->seq, (int64_t)h->n, h->min_step, h->max_step, h->stride, h->min_ms, h->max_ms};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) wr_bind_i64(s, at++, v[i]);
    wr_bind_f64(s, at++, h->min);
    wr_bind_f64(s, at++, h->max);
    wr_bind_blob(s, at, c->data.p, c->data.n);
}

static int write_chunks(work *w, wr_err *err)
{
    wr_stmt *s;
    for (size_t i = 0, rows; i < w->chunks.n; i += rows) {
        rows = rows_of(w->chunks.n - i);
        WR_TRY(prepare_rows(&s, w->t, chunk_head, 12, rows, chunk_tail, err));
        for (size_t r = 0; r < rows; r++) bind_chunk(s, (int)r * 12 + 1, w->run->run, &w->chunks.at[i + r]);
        WR_TRY(run_rows(s, err));
    }
    return 0;
}

static void bind_series(const work *w, wr_stmt *s, int at, size_t i)
{
    const series *x = &w->series[i];
    wr_bind_i64(s, at++, w->run->run);
    wr_bind_i64(s, at++, w->parts[i].key);
    wr_bind_f64(s, at++, x->latest.value);
    wr_bind_i64(s, at++, x->latest.step);
    wr_bind_i64(s, at++, x->latest.time_ms);
    wr_bind_i64(s, at++, w->run->experiment);
    wr_bind_i64(s, at++, w->run->start_ms);
    wr_bind_i64(s, at++, x->tail);
    wr_bind_f64(s, at++, x->min);
    wr_bind_f64(s, at, x->max);
}

static int write_series(work *w, wr_err *err)
{
    size_t *which = wr_arena_alloc(w->a, w->n * sizeof *which), n = 0;
    wr_stmt *s;
    if (!which) return wr_err_nomem(err);
    for (size_t i = 0; i < w->n; i++) {
        if (w->series[i].changed) which[n++] = i;
    }
    for (size_t i = 0, rows; i < n; i += rows) {
        rows = rows_of(n - i);
        WR_TRY(prepare_rows(&s, w->t, series_head, SERIES_COLUMNS, rows, series_tail, err));
        for (size_t r = 0; r < rows; r++) bind_series(w, s, (int)r * SERIES_COLUMNS + 1, which[i + r]);
        WR_TRY(run_rows(s, err));
    }
    return 0;
}

static void stretch(series *x, const wr_metric_part *part)
{
    double min = x->min, max = x->max;
    for (size_t i = 0; i < part->n; i++) { /* NaN gives way to a number */
        min = fmin(min, part->points[i].value);
        max = fmax(max, part->points[i].value);
    }
    if (isnan(min)) return;
    if (!(x->min <= min && x->max >= max)) x->changed = true;
    x->min = min;
    x->max = max;
}

static int store_all(work *w, bool chunks, wr_err *err)
{
    for (size_t i = 0; i < w->n; i++) w->series[i] = (series){.tail = -1, .min = NAN, .max = NAN};
    for (size_t i = 0; i < w->n; i += MARKS) WR_TRY(load_some(w, i, i + MARKS < w->n ? i + MARKS : w->n, chunks, err));
    for (size_t i = 0; i < w->n; i++) {
        series *x = &w->series[i];
        const wr_metric_part *part = &w->parts[i];
        const wr_series_point *last = &part->points[part->n - 1];
        if (!x->known || wr_metric_by_step(last, &x->latest) > 0) {
            x->latest = *last;
            x->changed = true;
        }
        stretch(x, part);
        if (chunks) WR_TRY(store_points(w, part, x, err));
    }
    WR_TRY(write_chunks(w, err));
    return write_series(w, err);
}

int wr_metric_store(wr_track *t, wr_arena *scratch, const wr_metric_run *run, const wr_metric_part *parts, size_t n,
                    bool chunks, wr_err *err)
{
    work w = {.t = t, .a = scratch, .run = run, .parts = parts, .n = n};
    if (!n) return 0;
    w.series = wr_arena_calloc(scratch, n, sizeof *w.series);
    if (!w.series) return wr_err_nomem(err);
    int rc = store_all(&w, chunks, err);
    wr_vec_fini(&w.chunks);
    return rc;
}

/* ---- put ---- */

typedef struct {
    wr_str key;
    size_t at, n; /* its points in the grouped array */
} group;

/* Number of the group of `key`; `slots` is open addressing over the groups, 1 + number. */
static size_t group_of(group *groups, size_t *ngroups, uint32_t *slots, size_t mask, wr_str key)
{
    size_t slot = wr_hash64(key.p, key.n, wr_hash_seed()) & mask;
    for (; slots[slot]; slot = (slot + 1) & mask) {
        if (wr_str_eq(groups[slots[slot] - 1].key, key)) return slots[slot] - 1;
    }
    slots[slot] = (uint32_t)++ * ngroups;
    groups[*ngroups - 1] = (group){.key = key};
    return *ngroups - 1;
}

/* The points one series after the other, series in order of first appearance. */
static int group_points(wr_series_point **out, group **groups, size_t *ngroups, wr_arena *a, const wr_track_point *p,
                        size_t n, wr_err *err)
{
    size_t nslots = 8;
    while (nslots < 2 * n) nslots *= 2;
    uint32_t *slots = wr_arena_calloc(a, nslots, sizeof *slots), *of = wr_arena_alloc(a, n * sizeof *of);
    *groups = wr_arena_alloc(a, n * sizeof **groups);
    *out = wr_arena_alloc(a, n * sizeof **out);
    if (wr_arena_failed(a)) return wr_err_nomem(err);
    *ngroups = 0;
    for (size_t i = 0; i < n; i++) {
        of[i] = i && wr_str_eq(p[i].key, p[i - 1].key)
                    ? of[i - 1]
                    : (uint32_t)group_of(*groups, ngroups, slots, nslots - 1, p[i].key);
        (*groups)[of[i]].n++;
    }
    for (size_t g = 0, at = 0; g < *ngroups; g++) {
        (*groups)[g].at = at;
        at += (*groups)[g].n;
        (*groups)[g].n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        group *g = &(*groups)[of[i]];
        (*out)[g->at + g->n++] = (wr_series_point){p[i].step, p[i].time_ms, p[i].value};
    }
    return 0;
}

int wr_metric_put(wr_track *t, const wr_metric_run *run, const wr_track_point *points, size_t n, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_series_point *p;
    group *groups;
    size_t ngroups = 0;
    if (!a) return wr_err_nomem(err);
    if (!n) return 0;
    WR_TRY(group_points(&p, &groups, &ngroups, a, points, n, err));
    wr_metric_part *parts = wr_arena_alloc(a, ngroups * sizeof *parts);
    if (!parts) return wr_err_nomem(err);
    for (size_t i = 0; i < ngroups; i += WR_METRIC_KEYS) {
        wr_str names[WR_METRIC_KEYS];
        int64_t ids[WR_METRIC_KEYS];
        size_t some = ngroups - i < WR_METRIC_KEYS ? ngroups - i : WR_METRIC_KEYS;
        for (size_t k = 0; k < some; k++) names[k] = groups[i + k].key;
        WR_TRY(wr_metric_keys(ids, t, names, some, err));
        for (size_t k = 0; k < some; k++) {
            const group *g = &groups[i + k];
            parts[i + k] = (wr_metric_part){ids[k], p + g->at, wr_metric_sort(p + g->at, g->n, wr_metric_by_step)};
        }
    }
    return wr_metric_store(t, a, run, parts, ngroups, true, err);
}

int wr_metric_purge(wr_track *t, int64_t run, wr_err *err)
{
    WR_TRY(wr_track_exec(t, err, "DELETE FROM track_chunks WHERE run = ?", "i", run));
    return wr_track_exec(t, err, "DELETE FROM track_metrics WHERE run = ?", "i", run);
}
