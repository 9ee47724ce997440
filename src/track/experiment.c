/* SPDX-License-Identifier: Apache-2.0 */
/* experiment.c - experiments and their tags. */
#include "track/experiment.h"

#include <stdio.h>

#include "track/eval_dataset.h"
#include "track/issue.h"
#include "track/logged_model.h"
#include "track/run.h"
#include "track/scorer.h"
#include "track/trace.h"
#include "track/track_inside.h"
#include "track/user.h"

enum { NAME_MAX_CHARACTERS = 500, TAG_KEY = 250, TAG_VALUE = 5000, LOCATION = 2048 };

#define COLUMNS "SELECT id, name, location, deleted, created_ms, updated_ms FROM experiments "

static wr_experiment read_row(wr_arena *a, wr_stmt *s)
{
    return (wr_experiment){.id = wr_stmt_i64(s, 0),
                           .name = wr_arena_str(a, wr_stmt_str(s, 1)),
                           .location = wr_arena_str(a, wr_stmt_str(s, 2)),
                           .deleted = wr_stmt_i64(s, 3) != 0,
                           .created_ms = wr_stmt_i64(s, 4),
                           .updated_ms = wr_stmt_i64(s, 5)};
}

/* Takes over `s`. 1 = found. */
static int read_one(wr_experiment *out, wr_arena *a, wr_stmt *s, wr_err *err)
{
    int rc = wr_step(s, err);
    if (rc > 0) *out = read_row(a, s);
    wr_stmt_done(s);
    return rc > 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc;
}

static int no_experiment(int64_t id, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "No Experiment with id=%lld exists", (long long)id);
}

static int find_by_id(wr_experiment *out, wr_arena *a, wr_track *t, int64_t id, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, COLUMNS "WHERE id = ?", "i", id));
    return read_one(out, a, s, err);
}

static int find_by_name(wr_experiment *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, COLUMNS "WHERE name = ?", "s", name));
    return read_one(out, a, s, err);
}

int wr_experiment_tags(wr_experiment *e, wr_arena *a, wr_track *t, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT key, value FROM experiment_tags WHERE experiment = ? ORDER BY key", "i",
                          e->id));
    return wr_track_items(&e->tags, &e->ntags, a, s, err);
}

int wr_experiment_get(wr_experiment *out, wr_arena *a, wr_track *t, int64_t id, wr_err *err)
{
    int rc = find_by_id(out, a, t, id, err);
    if (rc == 0) return no_experiment(id, err);
    return rc < 0 ? rc : wr_experiment_tags(out, a, t, err);
}

int wr_experiment_find(wr_experiment *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err)
{
    int rc = find_by_name(out, a, t, name, err);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "Could not find experiment with name '%.*s'",
                          WR_STR_FMT(wr_str_fit(name, 200)));
    return rc < 0 ? rc : wr_experiment_tags(out, a, t, err);
}

/* ---- changes ---- */

static int check_name(wr_str name, wr_err *err)
{
    if (!wr_str_trim(name).n)
        return wr_err_set(err, WEIR_EINVAL, "Invalid experiment name: '%.*s'", WR_STR_FMT(wr_str_fit(name, 40)));
    if (!wr_str_utf8(name)) return wr_err_set(err, WEIR_EINVAL, "Invalid experiment name: it is not UTF-8");
    return wr_track_length_check(name, NAME_MAX_CHARACTERS, "name", err);
}

static int taken(wr_track *t, wr_str name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_experiment e;
    if (!a) return wr_err_nomem(err);
    int rc = find_by_name(&e, a, t, name, err);
    if (rc <= 0) return rc;
    wr_err_set(err, WEIR_EEXIST, "Experiment(name=%.*s) already exists.", WR_STR_FMT(wr_str_fit(name, 200)));
    if (e.deleted)
        wr_err_hint(err, WEIR_EEXIST,
                    "it is deleted: restore experiment %lld, or purge it: weir runs purge --experiments -e %lld "
                    "--older-than 0s",
                    (long long)e.id, (long long)e.id);
    return WEIR_EEXIST;
}

static int check_tag(wr_str key, wr_str value, wr_err *err)
{
    WR_TRY(wr_track_key_check(key, TAG_KEY, "key", err));
    return wr_track_length_check(value, TAG_VALUE, "value", err);
}

static int put_tag(wr_track *t, int64_t id, wr_str key, wr_str value, wr_err *err)
{
    WR_TRY(check_tag(key, value, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO experiment_tags (experiment, key, value) VALUES (?, ?, ?)"
                           " ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value",
                           "iss", id, key, value);
    return rc < 0 ? rc : 0;
}

int wr_experiment_create(int64_t *id, wr_track *t, wr_str name, wr_str location, const wr_track_item *tags,
                         size_t ntags, wr_err *err)
{
    char made[LOCATION + 32];
    int64_t now = wr_track_now_ms();
    WR_TRY(check_name(name, err));
    WR_TRY(wr_track_length_check(location, LOCATION, "artifact_location", err));
    WR_TRY(taken(t, name, err));
    WR_TRY(wr_track_number(
        id, 0, t, err,
        "INSERT INTO experiments (name, location, created_ms, updated_ms) VALUES (?, ?, ?, ?) RETURNING id", "ssii",
        name, location.n ? location : WR_STR(""), now, now));
    if (!location.n) {
        snprintf(made, sizeof made, "%s/%lld", wr_track_artifacts(t), (long long)*id);
        WR_TRY(wr_track_exec(t, err, "UPDATE experiments SET location = ? WHERE id = ?", "si", wr_str_of(made), *id));
    }
    for (size_t i = 0; i < ntags; i++) WR_TRY(put_tag(t, *id, tags[i].key, tags[i].value, err));
    return 0;
}

/* 1 when the experiment was in the other state. */
static int set_deleted(wr_track *t, int64_t id, bool deleted, wr_err *err)
{
    int64_t now = wr_track_now_ms();
    int rc = wr_track_exec(
        t, err, "UPDATE experiments SET deleted = ?, updated_ms = ? WHERE id = ? AND deleted <> ? RETURNING 1", "iiii",
        (int64_t)deleted, now, id, (int64_t)deleted);
    if (rc == 0) return no_experiment(id, err);
    if (rc < 0) return rc;
    if (deleted)
        rc = wr_track_exec(t, err, "UPDATE track_runs SET deleted_ms = ? WHERE experiment = ? AND deleted_ms IS NULL",
                           "ii", now, id);
    else rc = wr_track_exec(t, err, "UPDATE track_runs SET deleted_ms = NULL WHERE experiment = ?", "i", id);
    wr_metric_forget_run(t, (wr_str){NULL, 0});
    return rc < 0 ? rc : 0;
}

int wr_experiment_delete(wr_track *t, int64_t id, wr_err *err) { return set_deleted(t, id, true, err); }
int wr_experiment_restore(wr_track *t, int64_t id, wr_err *err) { return set_deleted(t, id, false, err); }

int wr_experiment_rename(wr_track *t, int64_t id, wr_str name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_experiment e;
    if (!a) return wr_err_nomem(err);
    WR_TRY(check_name(name, err));
    WR_TRY(wr_experiment_get(&e, a, t, id, err));
    if (e.deleted) return wr_err_set(err, WEIR_ECONFLICT, "Cannot rename a non-active experiment.");
    if (!wr_str_eq(e.name, name)) WR_TRY(taken(t, name, err));
    int rc = wr_track_exec(t, err, "UPDATE experiments SET name = ?, updated_ms = ? WHERE id = ?", "sii", name,
                           wr_track_now_ms(), id);
    return rc < 0 ? rc : 0;
}

static int active(wr_track *t, int64_t id, wr_err *err)
{
    int64_t deleted;
    WR_TRY(wr_track_number(&deleted, -1, t, err, "SELECT deleted FROM experiments WHERE id = ?", "i", id));
    if (deleted < 0) return no_experiment(id, err);
    if (deleted)
        return wr_err_set(err, WEIR_EINVAL,
                          "The experiment %lld must be in the 'active' state. Current state is deleted.",
                          (long long)id);
    return 0;
}

int wr_experiment_set_tag(wr_track *t, int64_t id, wr_str key, wr_str value, wr_err *err)
{
    WR_TRY(check_tag(key, value, err));
    WR_TRY(active(t, id, err));
    return put_tag(t, id, key, value, err);
}

int wr_experiment_delete_tag(wr_track *t, int64_t id, wr_str key, wr_err *err)
{
    WR_TRY(active(t, id, err));
    int rc = wr_track_exec(t, err, "DELETE FROM experiment_tags WHERE experiment = ? AND key = ? RETURNING 1", "is", id,
                           key);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "No tag with name: %.*s in experiment with id %lld",
                          WR_STR_FMT(wr_str_fit(key, 100)), (long long)id);
    return rc < 0 ? rc : 0;
}

int wr_experiment_purge(wr_track *t, int64_t id, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_experiment e;
    wr_track_item *runs;
    char resource[24];
    size_t n;
    wr_stmt *s;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_experiment_get(&e, a, t, id, err));
    if (id == 0) return wr_err_set(err, WEIR_ECONFLICT, "the experiment \"Default\" cannot be purged");
    if (!e.deleted)
        return wr_err_set(err, WEIR_ECONFLICT, "experiment %lld is active; delete it before it is purged",
                          (long long)id);
    WR_TRY(wr_track_query(&s, t, err, "SELECT uuid, '' FROM track_runs WHERE experiment = ?", "i", id));
    WR_TRY(wr_track_items(&runs, &n, a, s, err));
    for (size_t i = 0; i < n; i++) WR_TRY(wr_track_run_purge(t, runs[i].key, err));
    WR_TRY(wr_logged_model_purge_experiment(t, id, err));
    WR_TRY(wr_trace_purge_experiment(t, id, err));
    WR_TRY(wr_eval_dataset_purge_experiment(t, id, err));
    WR_TRY(wr_scorer_purge_experiment(t, id, err));
    WR_TRY(wr_issue_purge_experiment(t, id, err));
    snprintf(resource, sizeof resource, "%lld", (long long)id);
    WR_TRY(wr_grant_forget(t, WR_STR("experiment"), wr_str_of(resource), err));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM track_datasets WHERE experiment = ?", "i", id));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM experiment_tags WHERE experiment = ?", "i", id));
    int rc = wr_track_exec(t, err, "DELETE FROM experiments WHERE id = ?", "i", id);
    return rc < 0 ? rc : 0;
}
