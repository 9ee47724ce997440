/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - experiments, runs and logged models of another store. */
#include "track/import.h"

#include <stdio.h>

#include "base/num.h"
#include "track/track_inside.h"

/* ---- experiments ---- */

static int find_experiment(int64_t *out, wr_track *t, const wr_experiment *in, wr_err *err)
{
    *out = -1;
    if (in->id == 0 && wr_str_is(in->name, "Default")) {
        *out = 0;
        return 0;
    }
    return wr_track_number(
        out, -1, t, err, "SELECT id FROM experiments WHERE created_ms = ? AND (name = ? OR id = ?) ORDER BY id LIMIT 1",
        "isi", in->created_ms, in->name, in->id);
}

static int name_is_free(wr_track *t, wr_str name, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_track_number(&id, -1, t, err, "SELECT id FROM experiments WHERE name = ?", "s", name));
    if (id < 0) return 0;
    return wr_err_set(err, WEIR_EEXIST, "there is another experiment \"%.*s\" already (%lld)",
                      WR_STR_FMT(wr_str_fit(name, 200)), (long long)id);
}

/* A folder that is called after its id gets the id it has here. */
static int move_location(wr_track *t, int64_t id, wr_str location, wr_err *err)
{
    int64_t theirs;
    char moved[64];
    static const char root[] = "mlflow-artifacts:/";
    if (!wr_str_starts(location, root)) return 0;
    if (wr_num_i64(&theirs, wr_str_sub(location, strlen(root), location.n), NULL) < 0 || theirs == id) return 0;
    snprintf(moved, sizeof moved, "%s%lld", root, (long long)id);
    int rc = wr_track_exec(t, err, "UPDATE experiments SET location = ? WHERE id = ?", "si", wr_str_of(moved), id);
    return rc < 0 ? rc : 0;
}

static int insert_experiment(int64_t *id, wr_track *t, const wr_experiment *in, wr_err *err)
{
    int64_t taken;
    WR_TRY(wr_track_number(&taken, -1, t, err, "SELECT id FROM experiments WHERE id = ?", "i", in->id));
    if (taken < 0 && in->id > 0) {
        *id = in->id;
        int rc = wr_track_exec(
            t, err, "INSERT INTO experiments (id, name, location, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?)",
            "issii", in->id, in->name, in->location, in->created_ms, in->updated_ms);
        return rc < 0 ? rc : 0;
    }
    WR_TRY(wr_track_number(
        id, -1, t, err,
        "INSERT INTO experiments (name, location, created_ms, updated_ms) VALUES (?, ?, ?, ?) RETURNING id", "ssii",
        in->name, in->location, in->created_ms, in->updated_ms));
    return move_location(t, *id, in->location, err);
}

int wr_import_experiment(int64_t *id, bool *made, wr_track *t, const wr_experiment *in, wr_err *err)
{
    WR_TRY(find_experiment(id, t, in, err));
    *made = *id < 0;
    if (*made) {
        WR_TRY(name_is_free(t, in->name, err));
        WR_TRY(insert_experiment(id, t, in, err));
    }
    for (size_t i = 0; i < in->ntags; i++) {
        int rc = wr_track_exec(
            t, err, "INSERT INTO experiment_tags (experiment, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            "iss", *id, in->tags[i].key, in->tags[i].value);
        if (rc < 0) return rc;
    }
    return 0;
}

int wr_import_experiment_deleted(wr_track *t, int64_t id, wr_err *err)
{
    int rc = wr_track_exec(t, err, "UPDATE experiments SET deleted = 1 WHERE id = ? AND deleted = 0", "i", id);
    return rc < 0 ? rc : 0;
}

/* ---- runs ---- */

int wr_import_run_find(wr_metric_run *out, int64_t *points, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    *out = (wr_metric_run){0};
    *points = 0;
    WR_TRY(wr_track_query(&s, t, err, "SELECT id, experiment, start_ms FROM track_runs WHERE uuid = ?", "s", uuid));
    int rc = wr_step(s, err);
    if (rc > 0) *out = (wr_metric_run){wr_stmt_i64(s, 0), wr_stmt_i64(s, 1), wr_stmt_i64(s, 2)};
    wr_stmt_done(s);
    if (rc <= 0) return rc;
    return wr_track_number(points, 0, t, err, "SELECT sum(n) FROM track_chunks WHERE run = ?", "i", out->run);
}

static int add_items(wr_track *t, const char *sql, int64_t owner, const wr_track_item *items, size_t n, bool interned,
                     wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t key = 0;
        if (interned) WR_TRY(wr_track_key_make(&key, t, items[i].key, err));
        int rc = interned ? wr_track_exec(t, err, sql, "iis", owner, key, items[i].value)
                          : wr_track_exec(t, err, sql, "iss", owner, items[i].key, items[i].value);
        if (rc < 0) return rc;
    }
    return 0;
}

int wr_import_run_ended(wr_track *t, wr_str uuid, int status, int64_t end_ms, wr_err *err)
{
    int rc = wr_track_exec(
        t, err,
        "UPDATE track_runs SET status = ?, end_ms = nullif(?, -1) WHERE uuid = ? AND status <= 2 AND end_ms IS NULL",
        "iis", (int64_t)status, end_ms, uuid);
    return rc < 0 ? rc : 0;
}

static int put_run(int64_t *id, bool *made, wr_track *t, const wr_track_run *in, wr_err *err)
{
    WR_TRY(wr_track_number(id, 0, t, err, "SELECT id FROM track_runs WHERE uuid = ?", "s", in->uuid));
    *made = *id == 0;
    if (!*made) return wr_import_run_ended(t, in->uuid, in->status, in->end_ms, err);
    WR_TRY(wr_track_number(
        id, 0, t, err,
        "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, end_ms, deleted_ms, "
        "artifact_uri) VALUES (?, ?, ?, ?, ?, ?, nullif(?, -1), nullif(?, -1), ?) RETURNING id",
        "sissiiiis", in->uuid, in->experiment, in->name, in->user, (int64_t)in->status, in->start_ms, in->end_ms,
        in->deleted_ms, in->artifact_uri));
    return 0;
}

int wr_import_run(int64_t *id, bool *made, wr_track *t, const wr_track_run *in, wr_err *err)
{
    static const char params[] = "INSERT INTO track_params (run, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                      tags[] = "INSERT INTO track_tags (run, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    WR_TRY(put_run(id, made, t, in, err));
    wr_track_run ours = {.id = *id, .experiment = in->experiment};
    WR_TRY(add_items(t, params, *id, in->params, in->nparams, true, err));
    WR_TRY(add_items(t, tags, *id, in->tags, in->ntags, true, err));
    for (size_t i = 0; i < in->ninputs; i++) WR_TRY(wr_track_run_add_input(t, &ours, &in->inputs[i], err));
    for (size_t i = 0; i < in->ninput_models; i++)
        WR_TRY(wr_track_run_add_model(t, &ours, false, in->input_models[i].model_id, in->input_models[i].step, err));
    for (size_t i = 0; i < in->noutput_models; i++)
        WR_TRY(wr_track_run_add_model(t, &ours, true, in->output_models[i].model_id, in->output_models[i].step, err));
    return 0;
}

/* ---- logged models ---- */

/* Points of runs that are not here are left out: nobody could say of which run they are. */
static int add_points(wr_track *t, const wr_logged_model *in, wr_err *err)
{
    for (size_t i = 0; i < in->nmetrics; i++) {
        int64_t run;
        WR_TRY(
            wr_track_number(&run, 0, t, err, "SELECT id FROM track_runs WHERE uuid = ?", "s", in->metrics[i].run_id));
        if (run) WR_TRY(wr_logged_model_put_metrics(t, in->uuid, run, &in->metrics[i], 1, err));
    }
    return 0;
}

int wr_import_logged_model(bool *made, wr_track *t, const wr_logged_model *in, wr_err *err)
{
    static const char params[] =
        "INSERT INTO logged_model_params (model, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                      tags[] =
                          "INSERT INTO logged_model_tags (model, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    int64_t id;
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM logged_models WHERE uuid = ?", "s", in->uuid));
    *made = id == 0;
    if (*made)
        WR_TRY(wr_track_number(
            &id, 0, t, err,
            "INSERT INTO logged_models (uuid, experiment, name, artifact_uri, status, status_message, model_type, "
            "run_id, "
            "created_ms, updated_ms, deleted_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, -1)) RETURNING id",
            "sississsiii", in->uuid, in->experiment, in->name, in->artifact_uri, (int64_t)in->status,
            in->status_message, in->model_type, in->run_id, in->created_ms, in->updated_ms, in->deleted_ms));
    WR_TRY(add_items(t, params, id, in->params, in->nparams, false, err));
    WR_TRY(add_items(t, tags, id, in->tags, in->ntags, false, err));
    return add_points(t, in, err);
}
