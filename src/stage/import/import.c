/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - from a source into the records, a batch at a time.
 *
 *   source --next--> batch (arena) --one write--> records
 *
 * Things are put in the order of wr_import_kind, so that what they name is there by then. Points of a run follow the
 * run: it is put in as RUNNING, and takes its true state with the batch that ends them. */
#include "stage/import/import.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/vec.h"
#include "codec/series.h"
#include "stage/import/copy.h"
#include "stage/import/place.h"

enum { BATCH_ITEMS = 300, BATCH_POINTS = 20000, BATCH_BYTES = 8 << 20 };

const char *const wr_import_names[WR_IMPORT_KINDS] = {"experiments",    "runs",   "logged models", "registered models",
                                                      "model versions", "traces", "users",         "grants"};

typedef enum { ITEM_ROW, ITEM_POINTS, ITEM_ENDED } item_what;
typedef struct {
    item_what what;
    wr_import_kind kind;
    wr_import_row row;
    wr_track_point *points;
    size_t npoints;
    int status; /* ENDED: of row.run */
    int64_t end_ms;
    int64_t theirs, ours; /* of an experiment */
    bool made, again;     /* again: points of a run that has some already */
} item;

typedef struct {
    const wr_import_opt *opt;
    wr_import_report *report;
    wr_import_source *source;
    wr_track *track;
    wr_import_places places;
    wr_arena *a;  /* of the batch */
    wr_arena *pa; /* of its points, which go while their run stays */
    WR_VEC(item) items;
    size_t npoints;
    int64_t total, done;     /* of the kind under way */
    const wr_track_run *run; /* whose points come; again: it has some here */
    bool again;
    wr_str last_key;
} import;

/* ---- writing ---- */

static int by_time(const void *x, const void *y)
{
    const wr_track_point *a = x, *b = y;
    if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
    if (a->step != b->step) return a->step < b->step ? -1 : 1;
    uint64_t v = wr_series_value_key(a->value), w = wr_series_value_key(b->value);
    return v < w ? -1 : v > w;
}

static int by_key(const void *x, const void *y)
{
    const wr_track_point *a = x, *b = y;
    int c = wr_str_cmp(a->key, b->key);
    return c ? c : by_time(x, y);
}

/* A series is a set when it is read, but kept twice what is put in twice: points that are here are left out. Rare: a
 * run that was cut short, or went on. */
static int drop_known(item *x, wr_track *t, int64_t run, wr_err *err)
{
    size_t kept = 0;
    qsort(x->points, x->npoints, sizeof *x->points, by_key);
    for (size_t i = 0, end; i < x->npoints; i = end) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_track_point *known;
        size_t n;
        for (end = i + 1; end < x->npoints && wr_str_eq(x->points[end].key, x->points[i].key);) end++;
        if (!a) return wr_err_nomem(err);
        WR_TRY(wr_metric_history(&known, &n, a, t, run, x->points[i].key, NULL, 0, err));
        for (size_t k = i; k < end; k++)
            if (!bsearch(&x->points[k], known, n, sizeof *known, by_time)) x->points[kept++] = x->points[k];
    }
    x->npoints = kept;
    return 0;
}

static int put_points(wr_track *t, item *x, wr_err *err)
{
    wr_metric_run run;
    int64_t n;
    WR_TRY(wr_import_run_find(&run, &n, t, x->row.run.uuid, err));
    if (!run.run)
        return wr_err_set(err, WEIR_ECONFLICT, "run %.*s has gone while it was imported", WR_STR_FMT(x->row.run.uuid));
    if (x->again) WR_TRY(drop_known(x, t, run.run, err));
    return x->npoints ? wr_metric_put(t, &run, x->points, x->npoints, err) : 0;
}

static int put_trace(import *m, wr_track *t, item *x, wr_err *err)
{
    const wr_import_trace_row *r = &x->row.trace;
    WR_TRY(wr_import_trace(&x->made, m->a, t, &r->trace, &r->spans, err));
    for (size_t i = 0; i < r->nruns; i++) WR_TRY(wr_trace_link_run(t, &r->trace.uuid, 1, r->runs[i], err));
    return 0;
}

static int put_grant(wr_track *t, item *x, wr_err *err)
{
    wr_err none = {0};
    wr_permission there;
    int64_t user;
    const wr_import_grant_row *g = &x->row.grant;
    int rc = wr_grant_get(&there, &user, t, g->user, g->type, g->resource, &none);
    if (rc == 0 && there >= g->permission) return 0; /* through two roles the stronger one counts */
    x->made = rc == WEIR_ENOTFOUND;
    return wr_grant_set(t, g->user, g->type, g->resource, g->permission, err);
}

static int put_item(import *m, wr_track *t, item *x, wr_err *err)
{
    int64_t id;
    x->made = false;
    if (x->what == ITEM_POINTS) return put_points(t, x, err);
    if (x->what == ITEM_ENDED) return wr_import_run_ended(t, x->row.run.uuid, x->status, x->end_ms, err);
    switch (x->kind) {
    case WR_IMPORT_EXPERIMENT:
        return wr_import_experiment(&x->ours, &x->made, t, &x->row.experiment, err);
    case WR_IMPORT_RUN:
        return wr_import_run(&id, &x->made, t, &x->row.run, err);
    case WR_IMPORT_LOGGED:
        return wr_import_logged_model(&x->made, t, &x->row.logged, err);
    case WR_IMPORT_MODEL:
        return wr_import_model(&x->made, t, &x->row.model, err);
    case WR_IMPORT_VERSION:
        return wr_import_version(&x->made, t, &x->row.version, err);
    case WR_IMPORT_TRACE:
        return put_trace(m, t, x, err);
    case WR_IMPORT_USER:
        return wr_import_user(&x->made, t, x->row.user.name, x->row.user.password, x->row.user.admin, err);
    case WR_IMPORT_GRANT:
        return put_grant(t, x, err);
    case WR_IMPORT_KINDS:
        break;
    }
    return 0;
}

static int write_batch(wr_track *t, void *arg, wr_err *err)
{
    import *m = arg;
    for (size_t i = 0; i < m->items.n; i++) WR_TRY(put_item(m, t, &m->items.at[i], err));
    return 0;
}

static int count_batch(import *m, wr_err *err)
{
    for (size_t i = 0; i < m->items.n; i++) {
        item *x = &m->items.at[i];
        if (x->what == ITEM_POINTS) m->report->points += (int64_t)x->npoints;
        if (x->what != ITEM_ROW) continue;
        m->report->kinds[x->kind].made += x->made;
        if (x->kind != WR_IMPORT_EXPERIMENT) continue;
        m->report->moved += x->theirs != x->ours;
        WR_TRY(wr_import_places_add(&m->places, x->theirs, x->ours, x->row.experiment.deleted, err));
    }
    return 0;
}

static int flush(import *m, wr_err *err)
{
    if (!m->items.n) return 0;
    int rc = wr_track_write(m->track, write_batch, m, err);
    if (rc == WEIR_EEXIST && !m->opt->prefix)
        wr_err_hint(err, rc, "--prefix TEXT puts a text in front of the names of experiments and models");
    if (rc == 0) rc = count_batch(m, err);
    m->items.n = 0;
    m->npoints = 0;
    m->last_key = (wr_str){NULL, 0};
    wr_arena_clear(m->pa);
    return rc;
}

/* The arena may go only where nothing points into it any more. */
static int flush_if_full(import *m, bool may_clear, wr_err *err)
{
    bool full = m->items.n >= BATCH_ITEMS || m->npoints >= BATCH_POINTS || wr_arena_used(m->a) >= BATCH_BYTES;
    if (!full) return 0;
    WR_TRY(flush(m, err));
    if (may_clear) wr_arena_clear(m->a);
    return 0;
}

static int add(import *m, item x, wr_err *err) { return wr_vec_push(&m->items, x) < 0 ? wr_err_nomem(err) : 0; }

static void skip(import *m, const char *fmt, wr_str what, const char *why)
{
    if (!m->report->skipped++)
        snprintf(m->report->why, sizeof m->report->why, fmt, WR_STR_FMT(wr_str_fit(what, 100)), why);
}

/* ---- runs ---- */

static int take_points(void *arg, const wr_track_point *points, size_t n, wr_err *err)
{
    import *m = arg;
    wr_track_point *copy = wr_arena_dup(m->pa, points, n * sizeof *points);
    if (!copy) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        if (!m->last_key.p || !wr_str_eq(m->last_key, copy[i].key)) m->last_key = wr_arena_str(m->pa, copy[i].key);
        copy[i].key = m->last_key;
    }
    if (wr_arena_failed(m->pa)) return wr_err_nomem(err);
    m->npoints += n;
    WR_TRY(add(m,
               (item){.what = ITEM_POINTS,
                      .kind = WR_IMPORT_RUN,
                      .row.run = {.uuid = m->run->uuid},
                      .points = copy,
                      .again = m->again,
                      .npoints = n},
               err));
    return flush_if_full(m, false, err);
}

/* Of a source that cannot count: a run that ended alike and has the same latest values was taken over whole, as it ends
 * last. */
static int looks_same(bool *out, import *m, const wr_track_run *theirs, wr_err *err)
{
    wr_err none = {0};
    wr_track_run ours;
    wr_track_point *latest;
    size_t n, same = 0;
    *out = false;
    if (wr_track_run_get(&ours, m->a, m->track, theirs->uuid, &none) < 0) return 0;
    if (theirs->end_ms < 0 || ours.status != theirs->status || ours.end_ms != theirs->end_ms) return 0;
    WR_TRY(wr_metric_latest(&latest, &n, m->a, m->track, ours.id, err));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < theirs->nmetrics; k++) {
            const wr_track_point *p = &latest[i], *q = &theirs->metrics[k];
            if (wr_str_eq(p->key, q->key))
                same +=
                    p->step == q->step && p->time_ms == q->time_ms && (p->value == q->value || p->value != p->value);
        }
    *out = same == theirs->nmetrics;
    return 0;
}

/* Are all its points here? */
static int complete(bool *out, import *m, const wr_track_run *run, wr_err *err)
{
    wr_metric_run ours;
    int64_t n, have;
    WR_TRY(m->source->ops->npoints(&n, m->source, run->uuid, err));
    WR_TRY(wr_import_run_find(&ours, &have, m->track, run->uuid, err));
    m->again = have > 0;
    if (n < 0) return looks_same(out, m, run, err);
    *out = n == 0 || (ours.run && have == n);
    return 0;
}

static int take_run(import *m, item *x, wr_err *err)
{
    bool whole;
    wr_track_run *run = &x->row.run;
    int status = run->status;
    int64_t end_ms = run->end_ms;
    WR_TRY(complete(&whole, m, run, err));
    if (!whole) {
        run->status = WR_RUN_RUNNING;
        run->end_ms = -1;
    }
    WR_TRY(add(m, *x, err));
    if (whole) return 0;
    const wr_track_run copy = *run;
    m->run = &copy;
    WR_TRY(m->source->ops->points(m->source, &copy, take_points, m, err));
    m->run = NULL;
    return add(m,
               (item){.what = ITEM_ENDED,
                      .kind = WR_IMPORT_RUN,
                      .row.run = {.uuid = copy.uuid},
                      .status = status,
                      .end_ms = end_ms},
               err);
}

/* ---- what is another here ---- */

static wr_str prefixed(import *m, wr_str name)
{
    if (!m->opt->prefix || !*m->opt->prefix) return name;
    return wr_str_of(wr_arena_printf(m->a, "%s%.*s", m->opt->prefix, WR_STR_FMT(name)));
}

/* Ids stand in paths. */
static bool good_id(import *m, wr_str id, bool ok)
{
    if (!ok) skip(m, "\"%.*s\": %s", id, "that is no id");
    return ok;
}

/* false: its experiment is not known. */
static bool place(import *m, int64_t *experiment, wr_str what)
{
    int64_t ours = wr_import_place(&m->places, *experiment);
    if (ours < 0) skip(m, "%.*s: %s", what, "its experiment is missing");
    *experiment = ours;
    return ours >= 0;
}

static void place_experiment(import *m, wr_experiment *e)
{
    e->name = prefixed(m, e->name);
    if (e->id == 0 && m->opt->prefix && *m->opt->prefix) e->id = -1; /* not our Default */
    e->location = wr_import_uri(&m->places, m->a, e->location);
}

static void place_version(import *m, wr_registered_version *v)
{
    v->name = prefixed(m, v->name);
    v->source = wr_import_uri(&m->places, m->a, v->source);
    v->storage = wr_import_uri(&m->places, m->a, v->storage);
}

static bool place_grant(import *m, wr_import_grant_row *g)
{
    int64_t theirs;
    if (wr_str_is(g->resource, "*")) return true;
    if (wr_str_is(g->type, "registered_model") || wr_str_is(g->type, "prompt")) g->resource = prefixed(m, g->resource);
    if (!wr_str_is(g->type, "experiment") || wr_num_i64(&theirs, g->resource, NULL) < 0) return true;
    int64_t ours = wr_import_place(&m->places, theirs);
    if (ours < 0) return false;
    g->resource = wr_str_of(wr_arena_printf(m->a, "%lld", (long long)ours));
    return true;
}

static bool place_trace(import *m, wr_import_trace_row *r)
{
    wr_trace *t = &r->trace;
    if (!good_id(m, t->uuid, wr_trace_uuid_ok(t->uuid))) return false;
    return place(m, &t->experiment, t->uuid);
}

/* true: it goes in. */
static bool fit(import *m, wr_import_kind kind, wr_import_row *r)
{
    switch (kind) {
    case WR_IMPORT_EXPERIMENT:
        place_experiment(m, &r->experiment);
        return true;
    case WR_IMPORT_RUN:
        r->run.artifact_uri = wr_import_uri(&m->places, m->a, r->run.artifact_uri);
        return good_id(m, r->run.uuid, wr_name_ok(r->run.uuid)) && place(m, &r->run.experiment, r->run.uuid);
    case WR_IMPORT_LOGGED:
        r->logged.artifact_uri = wr_import_uri(&m->places, m->a, r->logged.artifact_uri);
        return good_id(m, r->logged.uuid, wr_name_ok(r->logged.uuid)) &&
               place(m, &r->logged.experiment, r->logged.uuid);
    case WR_IMPORT_MODEL:
        r->model.name = prefixed(m, r->model.name);
        return true;
    case WR_IMPORT_VERSION:
        place_version(m, &r->version);
        return true;
    case WR_IMPORT_TRACE:
        return place_trace(m, &r->trace);
    case WR_IMPORT_USER:
        return true;
    case WR_IMPORT_GRANT:
        return place_grant(m, &r->grant);
    case WR_IMPORT_KINDS:
        break;
    }
    return false;
}

/* ---- the walk ---- */

static void show(import *m, wr_import_kind kind)
{
    if (m->opt->progress)
        m->opt->progress(m->opt->arg, wr_import_names[kind], m->total > 0 ? (double)m->done / (double)m->total : -1);
}

/* Dry: only counted, but what is read is read whole, so that what cannot be read is found. */
static int dry_one(import *m, item *x, wr_err *err)
{
    int64_t n = 0;
    if (x->kind == WR_IMPORT_EXPERIMENT) {
        int64_t id = x->row.experiment.id;
        return wr_import_places_add(&m->places, id, id, x->row.experiment.deleted, err);
    }
    if (x->kind == WR_IMPORT_RUN) WR_TRY(m->source->ops->npoints(&n, m->source, x->row.run.uuid, err));
    if (n > 0) m->report->points += n;
    return 0;
}

/* What is put in as deleted: at the end, as nothing goes into it afterwards. */
static int one(import *m, wr_import_kind kind, wr_err *err)
{
    item x = {.what = ITEM_ROW, .kind = kind};
    int rc = m->source->ops->next(m->source, kind, m->a, &x.row, err);
    if (rc <= 0) return rc;
    m->report->kinds[kind].found++;
    m->done++;
    if (kind == WR_IMPORT_EXPERIMENT) x.theirs = x.row.experiment.id;
    if (m->opt->dry_run) rc = dry_one(m, &x, err);
    else if (!fit(m, kind, &x.row)) rc = 0;
    else if (wr_arena_failed(m->a)) rc = wr_err_nomem(err);
    else rc = kind == WR_IMPORT_RUN ? take_run(m, &x, err) : add(m, x, err);
    return rc < 0 ? rc : 1;
}

static int walk(import *m, wr_import_kind kind, wr_err *err)
{
    int rc;
    m->done = 0;
    WR_TRY(m->source->ops->count(&m->total, m->source, kind, err));
    while ((rc = one(m, kind, err)) > 0) {
        if (m->opt->dry_run) wr_arena_clear(m->a);
        WR_TRY(flush_if_full(m, true, err));
        if (m->done % 16 == 0) show(m, kind);
    }
    if (rc == 0) rc = flush(m, err);
    wr_arena_clear(m->a);
    return rc;
}

static int write_deleted(wr_track *t, void *arg, wr_err *err)
{
    import *m = arg;
    for (size_t i = 0; i < m->places.ids.n; i++) {
        const wr_import_place_id *id = &m->places.ids.at[i];
        if (id->deleted && id->ours > 0) WR_TRY(wr_import_experiment_deleted(t, id->ours, err));
    }
    return 0;
}

static int walk_all(import *m, wr_err *err)
{
    for (int kind = 0; kind < WR_IMPORT_KINDS; kind++) {
        int rc = walk(m, (wr_import_kind)kind, err);
        if (rc < 0) return wr_err_wrap(err, rc, "%s", wr_import_names[kind]);
    }
    return m->opt->dry_run ? 0 : wr_track_write(m->track, write_deleted, m, err);
}

static int open_source(import *m, wr_err *err)
{
    wr_str s = wr_str_of(m->opt->source);
    if (!wr_str_starts(s, "http://") && !wr_str_starts(s, "https://"))
        return wr_import_mlflow_db(&m->source, m->opt->source, m->opt->auth, err);
    if (m->opt->auth)
        return wr_err_set(err, WEIR_EINVAL,
                          "a server does not give its users away; only their database can be imported");
    return wr_import_mlflow_http(&m->source, m->opt->source, err);
}

static int copy(import *m, wr_project *p, wr_err *err)
{
    wr_import_copy c = {.report = m->report,
                        .places = &m->places,
                        .source = m->source,
                        .dry_run = m->opt->dry_run,
                        .progress = m->opt->progress,
                        .arg = m->opt->arg};
    if (m->opt->artifacts) return wr_import_copy_tree(&c, p, m->opt->artifacts, err);
    return m->source->ops->list ? wr_import_copy_source(&c, p, err) : 0;
}

int wr_import_mlflow(wr_import_report *out, wr_project *p, const wr_import_opt *opt, wr_err *err)
{
import m = {.opt = opt, .report = out, .a = wr_arena_new(0), .pa = wr_arena_new(0) };
    *out = (wr_import_report){0};
    int rc = m.a && m.pa ? wr_import_places_init(&m.places, opt->artifacts, opt->root, err) : wr_err_nomem(err);
    if (rc == 0) rc = open_source(&m, err);
    if (rc == 0) rc = wr_project_track(&m.track, p, err);
    if (rc == 0) rc = walk_all(&m, err);
    if (rc == 0) rc = copy(&m, p, err);
    if (m.source) m.source->ops->close(m.source);
    wr_vec_fini(&m.items);
    wr_import_places_fini(&m.places);
    wr_arena_free(m.a);
    wr_arena_free(m.pa);
    return rc;
}
