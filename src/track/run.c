/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - runs: life, params, tags. */
#include "track/run.h"

#include <stdio.h>

#include "base/os.h"
#include "track/experiment.h"
#include "track/track_inside.h"

enum { KEY = 250, PARAM_VALUE = 6000, TAG_VALUE = 8000 };

static const char *const status_names[] = {"", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"};
static const wr_str name_tag = {"mlflow.runName", 14};

const char *wr_run_status_name(int status)
{
    return status > 0 && (size_t)status < sizeof status_names / sizeof *status_names ? status_names[status] : NULL;
}

int wr_run_status_parse(wr_str s)
{
    for (int i = 1; i < (int)(sizeof status_names / sizeof *status_names); i++)
        if (wr_str_is(s, status_names[i])) return i;
    return 0;
}

/* ---- reading ---- */

#define COLUMNS                                                                                                        \
    "SELECT id, uuid, experiment, name, user_id, status, start_ms, end_ms, deleted_ms, artifact_uri FROM track_runs "

int wr_track_run_get(wr_track_run *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, COLUMNS "WHERE uuid = ?", "s", uuid));
    int rc = wr_step(s, err);
    if (rc > 0)
        *out = (wr_track_run){.id = wr_stmt_i64(s, 0),
                              .uuid = wr_arena_str(a, wr_stmt_str(s, 1)),
                              .experiment = wr_stmt_i64(s, 2),
                              .name = wr_arena_str(a, wr_stmt_str(s, 3)),
                              .user = wr_arena_str(a, wr_stmt_str(s, 4)),
                              .status = (int)wr_stmt_i64(s, 5),
                              .start_ms = wr_stmt_i64(s, 6),
                              .end_ms = wr_stmt_null(s, 7) ? -1 : wr_stmt_i64(s, 7),
                              .deleted_ms = wr_stmt_null(s, 8) ? -1 : wr_stmt_i64(s, 8),
                              .artifact_uri = wr_arena_str(a, wr_stmt_str(s, 9))};
    wr_stmt_done(s);
    if (rc == 0) return wr_err_set(err, WEIR_ENOTFOUND, "Run with id=%.*s not found", WR_STR_FMT(wr_str_fit(uuid, 64)));
    return rc > 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc < 0 ? rc : 0;
}

int wr_track_run_active(wr_track_run *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    WR_TRY(wr_track_run_get(out, a, t, uuid, err));
    if (out->deleted_ms < 0) return 0;
    return wr_err_set(err, WEIR_EINVAL, "The run %.*s must be in the 'active' state. Current state is deleted.",
                      WR_STR_FMT(out->uuid));
}

static int load_items(wr_track_item **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, bool tags, wr_err *err)
{
    static const char params_sql[] =
        "SELECT k.name, x.value FROM track_params x JOIN track_keys k ON k.id = x.key WHERE x.run = ? ORDER BY k.name";
    static const char tags_sql[] =
        "SELECT k.name, x.value FROM track_tags x JOIN track_keys k ON k.id = x.key WHERE x.run = ? ORDER BY k.name";
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, tags ? tags_sql : params_sql, "i", run));
    return wr_track_items(out, n, a, s, err);
}

int wr_track_run_load(wr_track_run *r, wr_arena *a, wr_track *t, wr_err *err)
{
    WR_TRY(load_items(&r->params, &r->nparams, a, t, r->id, false, err));
    WR_TRY(load_items(&r->tags, &r->ntags, a, t, r->id, true, err));
    WR_TRY(wr_metric_latest(&r->metrics, &r->nmetrics, a, t, r->id, err));
    WR_TRY(wr_track_run_load_inputs(r, a, t, err));
    return 0;
}

/* ---- tags and params ---- */

static int put_tag(wr_track *t, int64_t run, wr_str key, wr_str value, wr_err *err)
{
    int64_t k;
    WR_TRY(wr_track_key_make(&k, t, key, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO track_tags (run, key, value) VALUES (?, ?, ?) ON CONFLICT (run, key) DO UPDATE "
                           "SET value = excluded.value",
                           "iis", run, k, wr_track_cut(value, TAG_VALUE));
    return rc < 0 ? rc : 0;
}

int wr_track_run_set_tag(wr_track *t, wr_track_run *r, wr_str key, wr_str value, wr_err *err)
{
    WR_TRY(wr_track_key_check(key, KEY, "key", err));
    if (wr_str_eq(key, name_tag)) return wr_track_run_update(t, r, 0, -1, value, err);
    return put_tag(t, r->id, key, value, err);
}

int wr_track_run_delete_tag(wr_track *t, const wr_track_run *r, wr_str key, wr_err *err)
{
    int64_t k;
    WR_TRY(wr_track_key_find(&k, t, key, err));
    int rc = wr_track_exec(t, err, "DELETE FROM track_tags WHERE run = ? AND key = ? RETURNING 1", "ii", r->id, k);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "No tag with name: %.*s in run with id %.*s",
                          WR_STR_FMT(wr_str_fit(key, 100)), WR_STR_FMT(r->uuid));
    return rc < 0 ? rc : 0;
}

static int param_changed(const wr_track_run *r, wr_str key, wr_str old, wr_str value, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL,
               "Changing param values is not allowed. Param with key='%.*s' was already logged with value='%.*s' for "
               "run ID='%.*s'.",
               WR_STR_FMT(wr_str_fit(key, 60)), WR_STR_FMT(wr_str_fit(old, 80)), WR_STR_FMT(r->uuid));
    return wr_err_detail(err, WEIR_EINVAL, "Attempted logging new value '%.*s'.", WR_STR_FMT(wr_str_fit(value, 200)));
}

int wr_track_run_set_param(wr_track *t, const wr_track_run *r, wr_str key, wr_str value, wr_err *err)
{
    int64_t k;
    wr_stmt *s;
    WR_TRY(wr_track_key_check(key, KEY, "key", err));
    WR_TRY(wr_track_key_make(&k, t, key, err));
    value = wr_track_cut(value, PARAM_VALUE);
    int rc = wr_track_exec(
        t, err,
        "INSERT INTO track_params (run, key, value) VALUES (?, ?, ?) ON CONFLICT (run, key) DO NOTHING RETURNING 1",
        "iis", r->id, k, value);
    if (rc != 0) return rc < 0 ? rc : 0;
    WR_TRY(wr_track_query(&s, t, err, "SELECT value FROM track_params WHERE run = ? AND key = ?", "ii", r->id, k));
    rc = wr_step(s, err);
    if (rc > 0 && !wr_str_eq(wr_stmt_str(s, 0), value)) rc = param_changed(r, key, wr_stmt_str(s, 0), value, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_track_run_replace_param(wr_track *t, const wr_track_run *r, wr_str key, wr_str value, wr_err *err)
{
    int64_t k;
    WR_TRY(wr_track_key_check(key, KEY, "key", err));
    WR_TRY(wr_track_key_make(&k, t, key, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO track_params (run, key, value) VALUES (?, ?, ?) ON CONFLICT (run, key) DO "
                           "UPDATE SET value = excluded.value",
                           "iis", r->id, k, value);
    return rc < 0 ? rc : 0;
}

/* ---- life ---- */

static int choose_name(wr_str *out, wr_arena *a, const wr_track_run_new *in, wr_err *err)
{
    wr_str tag = {NULL, 0};
    for (size_t i = 0; i < in->ntags; i++)
        if (wr_str_eq(in->tags[i].key, name_tag)) tag = in->tags[i].value;
    if (in->name.n && tag.n && !wr_str_eq(in->name, tag))
        return wr_err_set(err, WEIR_EINVAL,
                          "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
                          "(run_name='%.*s', "
                          "mlflow.runName='%.*s').",
                          WR_STR_FMT(wr_str_fit(in->name, 60)), WR_STR_FMT(wr_str_fit(tag, 60)));
    *out = in->name.n ? in->name : tag;
    if (out->n) return 0;
    char made[48];
    uint64_t r;
    wr_os_random(&r, sizeof r);
    wr_track_made_name(made, r);
    *out = wr_arena_str(a, wr_str_of(made));
    return out->p ? 0 : wr_err_nomem(err);
}

static int insert_run(wr_track *t, wr_track_run *r, wr_err *err)
{
    return wr_track_number(&r->id, 0, t, err,
                           "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, artifact_uri) "
                           "VALUES (?, ?, ?, ?, ?, ?, ?)"
                           " RETURNING id",
                           "sissiis", r->uuid, r->experiment, r->name, r->user, (int64_t)r->status, r->start_ms,
                           r->artifact_uri);
}

int wr_track_run_create(wr_track_run *out, wr_arena *a, wr_track *t, const wr_track_run_new *in, wr_err *err)
{
    wr_experiment e;
    wr_str name;
    char id[33];
    WR_TRY(wr_experiment_get(&e, a, t, in->experiment, err));
    if (e.deleted)
        return wr_err_set(err, WEIR_EINVAL,
                          "The experiment %lld must be in the 'active' state. Current state is deleted.",
                          (long long)e.id);
    WR_TRY(choose_name(&name, a, in, err));
    if (in->uuid.p && in->uuid.n >= sizeof id)
        return wr_err_set(err, WEIR_EINVAL, "the id of a run has at most 32 characters");
    if (in->uuid.n) snprintf(id, sizeof id, "%.*s", WR_STR_FMT(in->uuid));
    else wr_track_new_id(id);
    *out = (wr_track_run){.experiment = e.id,
                          .uuid = wr_arena_str(a, wr_str_of(id)),
                          .name = name,
                          .user = in->user.p ? in->user : WR_STR(""),
                          .status = WR_RUN_RUNNING,
                          .start_ms = in->start_ms,
                          .end_ms = -1,
                          .deleted_ms = -1};
    char *uri = wr_arena_printf(a, "%.*s/%s/artifacts", WR_STR_FMT(e.location), id);
    if (!uri || !out->uuid.p) return wr_err_nomem(err);
    out->artifact_uri = wr_str_of(uri);
    WR_TRY(insert_run(t, out, err));
    for (size_t i = 0; i < in->ntags; i++) {
        WR_TRY(wr_track_key_check(in->tags[i].key, KEY, "key", err));
        WR_TRY(put_tag(t, out->id, in->tags[i].key, in->tags[i].value, err));
    }
    WR_TRY(put_tag(t, out->id, name_tag, name, err));
    return load_items(&out->tags, &out->ntags, a, t, out->id, true, err);
}

int wr_track_run_update(wr_track *t, wr_track_run *r, int status, int64_t end_ms, wr_str name, wr_err *err)
{
    if (status) r->status = status;
    if (end_ms != -1) r->end_ms = end_ms;
    if (name.n) {
        r->name = name;
        WR_TRY(put_tag(t, r->id, name_tag, name, err));
    }
    int rc = wr_track_exec(t, err, "UPDATE track_runs SET status = ?, name = ? WHERE id = ?", "isi", (int64_t)r->status,
                           r->name, r->id);
    if (rc == 0 && end_ms != -1)
        rc = wr_track_exec(t, err, "UPDATE track_runs SET end_ms = ? WHERE id = ?", "ii", end_ms, r->id);
    return rc;
}

int wr_track_run_delete(wr_track *t, wr_str uuid, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_track_run r;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_track_run_get(&r, a, t, uuid, err));
    wr_metric_forget_run(t, uuid);
    if (r.deleted_ms >= 0) return 0;
    int rc = wr_track_exec(t, err, "UPDATE track_runs SET deleted_ms = ? WHERE id = ?", "ii", wr_track_now_ms(), r.id);
    return rc < 0 ? rc : 0;
}

int wr_track_run_restore(wr_track *t, wr_str uuid, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_track_run r;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_track_run_get(&r, a, t, uuid, err));
    wr_metric_forget_run(t, uuid);
    int rc = wr_track_exec(t, err, "UPDATE track_runs SET deleted_ms = NULL WHERE id = ?", "i", r.id);
    return rc < 0 ? rc : 0;
}

int wr_track_run_purge(wr_track *t, wr_str uuid, wr_err *err)
{
    static const char *const tables[] = {
        "DELETE FROM track_params WHERE run = ?",         "DELETE FROM track_tags WHERE run = ?",
        "DELETE FROM track_inputs WHERE run = ?",         "DELETE FROM track_run_models WHERE run = ?",
        "DELETE FROM logged_model_metrics WHERE run = ?", "DELETE FROM track_runs WHERE id = ?"};
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_track_run r;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_track_run_get(&r, a, t, uuid, err));
    if (r.deleted_ms < 0)
        return wr_err_set(err, WEIR_ECONFLICT, "run %.*s is active; delete it before it is purged", WR_STR_FMT(r.uuid));
    WR_TRY(wr_metric_purge(t, r.id, err));
    wr_metric_forget_run(t, uuid);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) WR_TRY(wr_track_exec(t, err, tables[i], "i", r.id));
    return 0;
}
