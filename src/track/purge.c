/* SPDX-License-Identifier: Apache-2.0 */
/* purge.c - purging runs and experiments, files first. */
#include "track/purge.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/vec.h"
#include "track/logged_model.h"
#include "track/run.h"
#include "track/trace.h"
#include "track/track_inside.h"

enum {
    PIECE = 256,                /* records whose files go before they do */
    SLICE_NS = 8 * 1000 * 1000, /* a write goes on no longer than this when there is more */
};

/* ---- room for others ----
 *
 * Another process that wants to write looks now and then whether it may: a purge that writes without a pause would keep
 * it waiting. So it rests as long as it worked while others write, and a little else. */

enum { BREATH_NS = 4 * 1000 * 1000, REST_MAX_NS = 50 * 1000 * 1000 };
#define OTHERS_NS (2 * INT64_C(1000000000)) /* whoever wrote so lately will again */

typedef struct {
    wr_track *t;
    const wr_purge_opt *opt;
    int64_t since_ns, others_ns, counter; /* working since; others wrote at */
} work;

static work begin(wr_track *t, const wr_purge_opt *opt)
{
    work w = {.t = t, .opt = opt, .since_ns = wr_clock_mono_ns()};
    w.others_ns = w.since_ns - OTHERS_NS;
    (void)wr_db_changed(t->db, &w.counter, NULL);
    return w;
}

static void rest(work *w)
{
    int64_t now = wr_clock_mono_ns(), worked = now - w->since_ns, counter = w->counter;
    if (worked < BREATH_NS) return;
    if (wr_db_changed(w->t->db, &counter, NULL) == 0 && counter != w->counter) w->others_ns = now;
    w->counter = counter;
    int64_t pause = now - w->others_ns < OTHERS_NS ? worked : worked / 4;
    nanosleep(&(struct timespec){.tv_nsec = pause < REST_MAX_NS ? pause : REST_MAX_NS}, NULL);
    w->since_ns = wr_clock_mono_ns();
}

/* ---- files ---- */

/* A file or a folder with all below. Nearly all traces and many runs have none: looking is cheaper than a write for
 * nothing. A path that the store would not take has nothing in it. */
static int remove_at(wr_artifacts *files, wr_str path, wr_err *err)
{
    wr_artifact_info info;
    if (wr_artifact_path_check(path, NULL) < 0) return 0;
    int rc = wr_artifacts_stat(&info, files, path, err);
    if (rc == 0) rc = wr_artifacts_delete(files, path, err);
    return rc == WEIR_ENOTFOUND ? 0 : rc;
}

/* "a//b" is a/b: so clients mean it, who ask for the files of a location that ends with a slash. */
static wr_str one_slash(char *out, size_t size, wr_str path)
{
    size_t n = 0;
    for (size_t i = 0; i < path.n && n < size; i++)
        if (path.p[i] != '/' || n == 0 || out[n - 1] != '/') out[n++] = path.p[i];
    return (wr_str){out, n};
}

/* A root of artifacts is FOLDER/ID/artifacts: FOLDER/ID goes. A root of another form (an import has such) goes as it
 * is. */
static int remove_root(work *w, wr_str uri, wr_str id, wr_err *err)
{
    char clean[WR_ARTIFACT_PATH + 1]; /* what is longer is no path, and cut it is none either */
    wr_str path;
    const wr_str tail = WR_STR("/artifacts");
    if (!wr_track_artifact_path(&path, uri)) return 0;
    path = one_slash(clean, sizeof clean, path);
    if (wr_str_ends(path, "/artifacts")) {
        wr_str folder = wr_str_sub(path, 0, path.n - tail.n);
        size_t from = folder.n > id.n ? folder.n - id.n : 0;
        if (wr_str_eq(wr_str_sub(folder, from, folder.n), id) && (from == 0 || folder.p[from - 1] == '/'))
            path = folder;
    }
    rest(w);
    return remove_at(w->opt->files, path, err);
}

/* ---- kinds of records with files ---- */

typedef struct {
    const char *next; /* ids and roots of artifacts, the root "" when it follows from the experiment's */
    int (*purge)(wr_track *t, wr_arena *a, int64_t experiment, wr_str id, wr_err *err);
} kind;

static int purge_run(wr_track *t, wr_arena *a, int64_t experiment, wr_str id, wr_err *err)
{
    (void)a, (void)experiment;
    return wr_track_run_purge(t, id, err);
}

static int purge_model(wr_track *t, wr_arena *a, int64_t experiment, wr_str id, wr_err *err)
{
    (void)a, (void)experiment;
    return wr_logged_model_purge(t, id, err);
}

static int purge_trace(wr_track *t, wr_arena *a, int64_t experiment, wr_str id, wr_err *err)
{
    int64_t deleted;
    return wr_trace_delete(&deleted, t, a, experiment, &id, 1, 0, 0, err);
}

static const kind kinds[] = {
    {"SELECT uuid, artifact_uri FROM track_runs WHERE experiment = ? AND deleted_ms IS NOT NULL LIMIT ?", purge_run},
    {"SELECT uuid, artifact_uri FROM logged_models WHERE experiment = ? LIMIT ?", purge_model},
    {"SELECT uuid, '' FROM track_traces WHERE experiment = ? LIMIT ?", purge_trace},
};

/* ---- an experiment ---- */

typedef struct {
    const kind *k;
    int64_t experiment;
    const wr_track_item *items;
    size_t n, next; /* where a write starts, then where the next one does */
} piece;

static int still_deleted(wr_track *t, int64_t id, wr_err *err)
{
    int64_t deleted;
    WR_TRY(wr_track_number(&deleted, -1, t, err, "SELECT deleted FROM experiments WHERE id = ?", "i", id));
    if (deleted > 0) return 0;
    if (deleted < 0) return wr_err_set(err, WEIR_ENOTFOUND, "experiment %lld was purged meanwhile", (long long)id);
    wr_err_set(err, WEIR_ECONFLICT, "experiment %lld was restored while it was purged", (long long)id);
    return wr_err_detail(err, WEIR_ECONFLICT, "what is still there stays");
}

static int purge_slice(wr_track *t, void *arg, wr_err *err)
{
    piece *p = arg;
    const int64_t until = wr_clock_mono_ns() + SLICE_NS;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(still_deleted(t, p->experiment, err));
    while (p->next < p->n && wr_clock_mono_ns() < until) {
        wr_arena_clear(a);
        int rc = p->k->purge(t, a, p->experiment, p->items[p->next].key, err);
        if (rc < 0 && rc != WEIR_ENOTFOUND) return rc; /* not there: another purge was faster */
        p->next++;
    }
    return 0;
}

static int piece_files(work *w, const piece *p, const wr_experiment *e, wr_arena *a, wr_err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        wr_str id = p->items[i].key, uri = p->items[i].value;
        if (!uri.n) {
            char *made = wr_arena_printf(a, "%.*s/traces/%.*s/artifacts", WR_STR_FMT(e->location), WR_STR_FMT(id));
            if (!made) return wr_err_nomem(err);
            uri = wr_str_of(made);
        }
        WR_TRY(remove_root(w, uri, id, err));
    }
    return 0;
}

/* All records of a kind, piece by piece. */
static int purge_kind(work *w, const kind *k, const wr_experiment *e, int64_t *done, wr_err *err)
{
    piece p;
    wr_track *t = w->t;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    do {
        wr_stmt *s;
        wr_track_item *items;
        wr_arena_clear(a);
        p = (piece){.k = k, .experiment = e->id};
        WR_TRY(still_deleted(t, e->id, err));
        WR_TRY(wr_track_query(&s, t, err, k->next, "ii", e->id, (int64_t)PIECE));
        WR_TRY(wr_track_items(&items, &p.n, a, s, err));
        p.items = items;
        WR_TRY(piece_files(w, &p, e, a, err));
        wr_fault_crash_point();
        while (p.next < p.n) {
            const size_t before = p.next;
            WR_TRY(wr_track_write(t, purge_slice, &p, err));
            *done += (int64_t)(p.next - before);
            wr_fault_crash_point();
            rest(w);
            if (w->opt->step) w->opt->step(w->opt->arg, *done);
        }
    } while (p.n);
    return 0;
}

/* ---- what is left in an experiment's folder ---- */

/* Is `path` the folder that the server gave the experiment, and no other one's is in it? */
static int own_folder(bool *own, wr_str *path, wr_arena *a, wr_track *t, const wr_experiment *e, wr_err *err)
{
    char id[24];
    wr_track_item *others;
    size_t n;
    wr_stmt *s;
    snprintf(id, sizeof id, "%lld", (long long)e->id);
    *own = wr_track_artifact_path(path, e->location) && wr_str_is(*path, id);
    if (!*own) return 0;
    WR_TRY(wr_track_query(&s, t, err, "SELECT location, '' FROM experiments WHERE id <> ?", "i", e->id));
    WR_TRY(wr_track_items(&others, &n, a, s, err));
    for (size_t i = 0; i < n; i++) {
        wr_str other;
        if (!wr_track_artifact_path(&other, others[i].key)) continue;
        if (wr_str_eq(other, *path) || (wr_str_starts(other, id) && other.p[path->n] == '/')) *own = false;
    }
    return 0;
}

static int remove_entries(work *w, wr_arena *a, wr_str folder, int depth, wr_err *err)
{
    wr_artifact_entry *entries;
    size_t n;
    WR_TRY(wr_artifacts_list(&entries, &n, a, w->opt->files, folder, err));
    for (size_t i = 0; i < n; i++) {
        char *path = wr_arena_printf(a, "%.*s/%s", WR_STR_FMT(folder), entries[i].name);
        if (!path) return wr_err_nomem(err);
        bool many = depth > 0 && entries[i].is_dir &&
                    (strcmp(entries[i].name, "traces") == 0 || strcmp(entries[i].name, "models") == 0);
        if (many) WR_TRY(remove_entries(w, a, wr_str_of(path), depth - 1, err));
        else WR_TRY(remove_at(w->opt->files, wr_str_of(path), err));
        rest(w);
    }
    return remove_at(w->opt->files, folder,
                     err); /* a store of folders keeps an empty one when a deletion was cut off */
}

/* Files of traces that were deleted one by one, and whatever else clients put there: nothing else names them. */
static int purge_folder(work *w, const wr_experiment *e, wr_err *err)
{
    bool own;
    wr_str path;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(own_folder(&own, &path, a, w->t, e, err));
    if (!own) return 0;
    WR_TRY(still_deleted(w->t, e->id, err));
    return remove_entries(w, a, path, 1, err);
}

/* ---- the whole ---- */

static int finish(wr_track *t, void *arg, wr_err *err) { return wr_experiment_purge(t, *(const int64_t *)arg, err); }

int wr_purge_may(const wr_purge_experiment_facts *f, wr_err *err)
{
    const wr_experiment *e = &f->experiment;
    if (e->id == 0) return wr_err_set(err, WEIR_ECONFLICT, "the experiment \"Default\" cannot be purged");
    if (!e->deleted) {
        wr_err_set(err, WEIR_ECONFLICT, "experiment \"%.*s\" is active", WR_STR_FMT(wr_str_fit(e->name, 200)));
        return wr_err_hint(err, WEIR_ECONFLICT,
                           "weir runs delete --experiment deletes it; deleted runs alone go without --experiments");
    }
    if (!f->active) return 0;
    wr_err_set(err, WEIR_ECONFLICT, "experiment \"%.*s\" is deleted, but %lld of its runs are not",
               WR_STR_FMT(wr_str_fit(e->name, 200)), (long long)f->active);
    return wr_err_hint(err, WEIR_ECONFLICT, "weir runs restore --experiment, or delete those runs too");
}

int wr_purge_experiment(wr_track *t, int64_t id, const wr_purge_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_purge_experiment_facts f;
    int64_t done = 0;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_purge_look(&f, a, t, id, err));
    WR_TRY(wr_purge_may(&f, err));
    work w = begin(t, opt);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        WR_TRY(purge_kind(&w, &kinds[i], &f.experiment, &done, err));
    WR_TRY(purge_folder(&w, &f.experiment, err));
    wr_fault_crash_point();
    return wr_track_write(t, finish, &id, err);
}

/* ---- looking ---- */

int wr_purge_look(wr_purge_experiment_facts *out, wr_arena *a, wr_track *t, int64_t id, wr_err *err)
{
    const struct {
        int64_t *to;
        const char *sql;
    } counts[] = {
        {&out->runs, "SELECT count(*) FROM track_runs WHERE experiment = ?1"},
        {&out->active, "SELECT count(*) FROM track_runs WHERE experiment = ?1 AND deleted_ms IS NULL"},
        {&out->models, "SELECT count(*) FROM logged_models WHERE experiment = ?1"},
        {&out->traces, "SELECT count(*) FROM track_traces WHERE experiment = ?1"},
        {&out->versions, "SELECT count(*) FROM registered_versions v WHERE"
                         " EXISTS (SELECT 1 FROM track_runs r WHERE r.uuid = v.run_id AND r.experiment = ?1) OR"
                         " EXISTS (SELECT 1 FROM logged_models m WHERE m.uuid = v.model_id AND m.experiment = ?1)"},
    };
    *out = (wr_purge_experiment_facts){0};
    WR_TRY(wr_experiment_get(&out->experiment, a, t, id, err));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        WR_TRY(wr_track_number(counts[i].to, 0, t, err, counts[i].sql, "i", id));
    return 0;
}

int wr_purge_find_experiments(int64_t **out, size_t *n, wr_arena *a, wr_track *t, int64_t until_ms, wr_err *err)
{
    WR_VEC(int64_t) ids = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT id FROM experiments WHERE deleted = 1 AND id <> 0 AND updated_ms <= ? ORDER BY id",
                          "i", until_ms));
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&ids, wr_stmt_i64(s, 0), err)) < 0) break;
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &ids, rc, err);
}

int wr_purge_find_runs(wr_purge_run **out, size_t *n, wr_arena *a, wr_track *t, int64_t experiment, int64_t until_ms,
                       wr_err *err)
{
    WR_VEC(wr_purge_run) runs = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT uuid, name, artifact_uri, experiment FROM track_runs WHERE deleted_ms <= ?1 AND (?2 "
                          "= -1 OR experiment = ?2) ORDER BY id DESC",
                          "ii", until_ms, experiment));
    while ((rc = wr_step(s, err)) > 0) {
        wr_purge_run r = {wr_arena_str(a, wr_stmt_str(s, 0)), wr_arena_str(a, wr_stmt_str(s, 1)),
                          wr_arena_str(a, wr_stmt_str(s, 2)), wr_stmt_i64(s, 3)};
        if ((rc = wr_vec_add(&runs, r, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &runs, rc, err);
}

/* ---- runs ---- */

typedef struct {
    const wr_purge_run *runs;
    bool *purged; /* files are gone, then: the run is */
    size_t n, next;
} some_runs;

static int runs_slice(wr_track *t, void *arg, wr_err *err)
{
    some_runs *x = arg;
    const int64_t until = wr_clock_mono_ns() + SLICE_NS;
    for (; x->next < x->n && wr_clock_mono_ns() < until; x->next++) {
        if (!x->purged[x->next]) continue;
        int rc = wr_track_run_purge(t, x->runs[x->next].uuid, err);
        if (rc == WEIR_ENOTFOUND || rc == WEIR_ECONFLICT) x->purged[x->next] = false;
        else if (rc < 0) return rc;
    }
    return 0;
}

/* Files of the runs that are still deleted. */
static int runs_files(work *w, some_runs *x, wr_err *err)
{
    for (size_t i = 0; i < x->n; i++) {
        int64_t deleted;
        WR_TRY(wr_track_number(&deleted, -1, w->t, err, "SELECT deleted_ms FROM track_runs WHERE uuid = ?", "s",
                               x->runs[i].uuid));
        x->purged[i] = deleted >= 0;
        if (x->purged[i]) WR_TRY(remove_root(w, x->runs[i].artifact_uri, x->runs[i].uuid, err));
    }
    return 0;
}

int wr_purge_runs(bool *purged, wr_track *t, const wr_purge_run *runs, size_t n, const wr_purge_opt *opt, wr_err *err)
{
    work w = begin(t, opt);
    for (size_t at = 0; at < n; at += PIECE) {
        some_runs x = {runs + at, purged + at, n - at < PIECE ? n - at : PIECE, 0};
        WR_TRY(runs_files(&w, &x, err));
        wr_fault_crash_point();
        while (x.next < x.n) {
            WR_TRY(wr_track_write(t, runs_slice, &x, err));
            wr_fault_crash_point();
            rest(&w);
            if (opt->step) opt->step(opt->arg, (int64_t)(at + x.next));
        }
    }
    return 0;
}
