/* SPDX-License-Identifier: Apache-2.0 */
/* runs_find.c - finding runs for the runs commands. */
#include "cli/runs_find.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

enum { EXPERIMENTS_MAX = 50000, ID_LEAST = 4, NAMES_LOOKED_AT = 1000 };

static int store(wr_track **out, wr_cli *c, wr_err *err)
{
    wr_project *p;
    WR_TRY(wr_cli_project(c, &p, err));
    return wr_project_track(out, p, err);
}

int wr_runs_row(wr_run_row *out, wr_cli *c, const char *id, wr_err *err)
{
    wr_project *p;
    wr_run_row *rows;
    size_t n;
    if (strlen(id) < ID_LEAST) {
        wr_err_set(err, WEIR_EUSAGE, "\"%s\" is too short: at least %d digits of a run's id", id, ID_LEAST);
        return wr_err_hint(err, WEIR_EUSAGE, "weir runs list shows them");
    }
    WR_TRY(wr_cli_project(c, &p, err));
    int rc = wr_run_get(out, wr_cli_arena(c), p, id, err);
    if (rc != WEIR_ENOTFOUND || wr_run_list(&rows, &n, wr_cli_arena(c), p, NAMES_LOOKED_AT, NULL) < 0) return rc;
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, id) == 0)
            return wr_err_hint(err, rc, "runs go by their ids; the last with this name is %.12s", rows[i].id);
    return rc;
}

int wr_runs_one(wr_track_run *out, wr_cli *c, const char *id, wr_err *err)
{
    wr_project *p;
    wr_track *t;
    wr_run_row row;
    WR_TRY(wr_runs_row(&row, c, id, err));
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_track_run_get(out, wr_cli_arena(c), t, wr_str_of(row.id), err));
    return wr_track_run_load(out, wr_cli_arena(c), t, err);
}

/* What it may have meant: a name that is nearly the same, else the first ones there are. */
static int no_experiment(wr_cli *c, wr_track *t, const char *name, wr_err *err)
{
    enum { SHOWN = 4 };
    wr_experiment *all;
    size_t n;
    wr_str next;
    WR_AUTOBUF wr_buf b = {0};
    wr_err_set(err, WEIR_ENOTFOUND, "no experiment \"%s\"", name);
    wr_experiment_search_opt opt = {.view = WR_VIEW_ALL, .max = 1000};
    if (wr_experiment_search(&all, &n, &next, wr_cli_arena(c), t, &opt, NULL) < 0) return WEIR_ENOTFOUND;
    const char **names = wr_arena_alloc(wr_cli_arena(c), (n + 1) * sizeof *names);
    if (!names) return WEIR_ENOTFOUND;
    for (size_t i = 0; i < n; i++) names[i] = all[i].name.p;
    int near = wr_str_nearest(wr_str_of(name), names, n);
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    wr_buf_init(&b, 300);
    for (size_t i = 0; i < n && i < SHOWN; i++) wr_buf_printf(&b, "%s\"%.40s\"", i ? ", " : "", names[i]);
    return wr_err_hint(err, WEIR_ENOTFOUND, "there %s %s%s", n == 1 ? "is" : "are", wr_buf_cstr(&b),
                       n > SHOWN ? ", ..." : "");
}

/* An experiment by name, or by number. */
static int experiment(wr_experiment *out, wr_cli *c, wr_track *t, const char *name, wr_err *err)
{
    int64_t id;
    int rc = wr_experiment_find(out, wr_cli_arena(c), t, wr_str_of(name), err);
    if (rc == WEIR_ENOTFOUND && wr_num_i64(&id, wr_str_of(name), NULL) == 0 &&
        wr_experiment_get(out, wr_cli_arena(c), t, id, NULL) == 0)
        rc = 0;
    return rc == WEIR_ENOTFOUND ? no_experiment(c, t, name, err) : rc;
}

int wr_runs_experiment(wr_experiment *out, wr_cli *c, const char *name, wr_err *err)
{
    wr_track *t;
    wr_experiment other;
    int64_t id;
    WR_TRY(store(&t, c, err));
    WR_TRY(experiment(out, c, t, name, err));
    if (wr_num_i64(&id, wr_str_of(name), NULL) < 0 || id == out->id) return 0;
    if (wr_experiment_get(&other, wr_cli_arena(c), t, id, NULL) < 0) return 0;
    wr_err_set(err, WEIR_EUSAGE, "\"%s\" is the name of experiment %lld, and the number of \"%.*s\"", name,
               (long long)out->id, WR_STR_FMT(wr_str_fit(other.name, 100)));
    return wr_err_hint(err, WEIR_EUSAGE, "the number %lld, or the name \"%.*s\", says which one", (long long)out->id,
                       WR_STR_FMT(wr_str_fit(other.name, 100)));
}

static int every_experiment(int64_t **out, size_t *n, wr_cli *c, wr_track *t, wr_err *err)
{
    wr_experiment *all;
    wr_str next;
    wr_experiment_search_opt opt = {.view = WR_VIEW_ALL, .max = EXPERIMENTS_MAX};
    WR_TRY(wr_experiment_search(&all, n, &next, wr_cli_arena(c), t, &opt, err));
    *out = wr_arena_alloc(wr_cli_arena(c), (*n + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) (*out)[i] = all[i].id;
    return 0;
}

int wr_runs_search(wr_track_run **out, size_t *n, wr_cli *c, const wr_runs_query *q, wr_err *err)
{
    wr_track *t;
    int64_t one, *ids = &one;
    wr_str next, *order = wr_arena_alloc(wr_cli_arena(c), (q->norder + 1) * sizeof *order);
    wr_run_search_opt opt = {.view = q->view,
                             .filter = wr_str_of(q->filter ? q->filter : ""),
                             .nexperiments = 1,
                             .norder = q->norder,
                             .max = q->max,
                             .load = {.parts = WR_RUN_EVERYTHING}};
    if (!order) return wr_err_nomem(err);
    for (size_t i = 0; i < q->norder; i++) order[i] = wr_str_of(q->order[i]);
    WR_TRY(store(&t, c, err));
    if (q->experiment) {
        wr_experiment e;
        WR_TRY(experiment(&e, c, t, q->experiment, err));
        one = e.id;
    } else {
        WR_TRY(every_experiment(&ids, &opt.nexperiments, c, t, err));
    }
    opt.experiments = ids;
    opt.order = order;
    return wr_track_run_search(out, n, &next, wr_cli_arena(c), t, &opt, err);
}

/* ---- columns ---- */

static const wr_track_item *item(const wr_track_item *items, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (wr_str_is(items[i].key, key)) return &items[i];
    return NULL;
}

static const char *metric_text(wr_cli *c, const wr_track_run *r, const char *key)
{
    char text[32];
    for (size_t i = 0; i < r->nmetrics; i++) {
        if (!wr_str_is(r->metrics[i].key, key)) continue;
        if (wr_cli_json(c)) wr_f64_text(text, r->metrics[i].value);
        else snprintf(text, sizeof text, "%.6g", r->metrics[i].value);
        return wr_arena_strdup(wr_cli_arena(c), text);
    }
    return NULL;
}

static const char *attribute(wr_cli *c, const wr_track_run *r, const char *name)
{
    char text[WR_TIME_TEXT];
    if (strcmp(name, "name") == 0 || strcmp(name, "run_name") == 0) return r->name.p;
    if (strcmp(name, "user") == 0 || strcmp(name, "user_id") == 0) return r->user.p;
    if (strcmp(name, "status") == 0) return wr_runs_status(r);
    if (strcmp(name, "start_time") != 0) return NULL;
    wr_time_format(text, r->start_ms * 1000);
    return wr_arena_strdup(wr_cli_arena(c), text);
}

const char *wr_runs_cell(wr_cli *c, const wr_track_run *r, const char *column)
{
    const char *dot = strchr(column, '.'), *key = dot ? dot + 1 : column;
    size_t n = dot ? (size_t)(dot - column) : 0;
    wr_str kind = {column, n};
    bool bare = !(wr_str_is(kind, "metrics") || wr_str_is(kind, "metric") || wr_str_is(kind, "params") ||
                  wr_str_is(kind, "param") || wr_str_is(kind, "tags") || wr_str_is(kind, "tag") ||
                  wr_str_is(kind, "attributes"));
    const char *text = NULL;
    const wr_track_item *i = NULL;
    if (bare) key = column;
    if (bare || wr_str_starts(kind, "metric")) text = metric_text(c, r, key);
    if (!text && (bare || wr_str_starts(kind, "param"))) i = item(r->params, r->nparams, key);
    if (!text && !i && (bare || wr_str_starts(kind, "tag"))) i = item(r->tags, r->ntags, key);
    if (i) text = i->value.p;
    if (!text && (bare || wr_str_starts(kind, "attr"))) text = attribute(c, r, key);
    return text ? text : "";
}

const char *wr_runs_status(const wr_track_run *r)
{
    static const char *const names[] = {"?", "running", "scheduled", "finished", "failed", "killed"};
    if (r->deleted_ms >= 0) return "deleted";
    return r->status >= 1 && r->status <= 5 ? names[r->status] : names[0];
}

static void put_items(wr_jsonw *w, const char *key, const wr_track_item *items, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_kslice(w, items[i].key.p, items[i].value);
    wr_jsonw_end(w);
}

void wr_runs_json(wr_jsonw *w, const wr_track_run *r)
{
    char time[WR_TIME_TEXT];
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "id", r->uuid);
    wr_jsonw_kslice(w, "name", r->name);
    wr_jsonw_ki64(w, "experiment", r->experiment);
    wr_jsonw_kslice(w, "user", r->user);
    wr_jsonw_kstr(w, "status", wr_runs_status(r));
    wr_time_format(time, r->start_ms * 1000);
    wr_jsonw_kstr(w, "started", time);
    if (r->end_ms >= 0) {
        wr_time_format(time, r->end_ms * 1000);
        wr_jsonw_kstr(w, "ended", time);
    }
    wr_jsonw_kslice(w, "artifacts", r->artifact_uri);
    put_items(w, "params", r->params, r->nparams);
    wr_jsonw_key(w, "metrics");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < r->nmetrics; i++) wr_jsonw_kf64(w, r->metrics[i].key.p, r->metrics[i].value);
    wr_jsonw_end(w);
    put_items(w, "tags", r->tags, r->ntags);
    wr_jsonw_end(w);
}
