/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_db_registry.c - registered models, versions, logged models, users and what they may. */
#include "base/vec.h"
#include "stage/import/mlflow_db.h"

/* ---- registered models ---- */

static int load_aliases(wr_mlflowdb *m, wr_arena *a, wr_registered_model *out, wr_err *err)
{
    WR_VEC(wr_registered_alias) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_mlflowdb_query(&s, m->db, err, "SELECT alias, version FROM registered_model_aliases WHERE name = ?", "s",
                             out->name));
    while ((rc = wr_step(s, err)) > 0) {
        wr_registered_alias alias = {wr_mlflowdb_word(a, s, 0), wr_stmt_i64(s, 1)};
        if ((rc = wr_vec_add(&rows, alias, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(&out->aliases, &out->naliases, a, &rows, rc, err);
}

int wr_mlflowdb_next_model(wr_mlflowdb *m, wr_arena *a, wr_registered_model *out, wr_err *err)
{
    static const char sql[] =
        "SELECT name, description, creation_time, last_updated_time FROM registered_models WHERE name > ?"
        " ORDER BY name LIMIT 1",
                      tags[] = "SELECT key, value FROM registered_model_tags WHERE name = ?";
    wr_stmt *s;
    int rc = wr_mlflowdb_first(&s, m->db, err, sql, "s", wr_buf_view(&m->last_s));
    if (rc <= 0) return rc;
    *out = (wr_registered_model){.name = wr_mlflowdb_word(a, s, 0),
                                 .description = wr_stmt_text(a, s, 1),
                                 .created_ms = wr_mlflowdb_number(s, 2, 0)};
    out->updated_ms = wr_mlflowdb_number(s, 3, out->created_ms);
    wr_stmt_done(s);
    wr_buf_clear(&m->last_s);
    wr_buf_slice(&m->last_s, out->name);
    rc = wr_mlflowdb_items(&out->tags, &out->ntags, a, m->db, tags, out->name, err);
    if (rc == 0) rc = load_aliases(m, a, out, err);
    return rc < 0 ? rc : 1;
}

static int load_version_tags(wr_mlflowdb *m, wr_arena *a, wr_registered_version *out, wr_err *err)
{
    WR_VEC(wr_track_item) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_mlflowdb_query(&s, m->db, err, "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?",
                             "si", out->name, out->version));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_item item = {wr_mlflowdb_word(a, s, 0), wr_mlflowdb_word(a, s, 1)};
        if (wr_str_is(item.key, "mlflow.model_id")) out->model_id = item.value;
        if ((rc = wr_vec_add(&rows, item, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(&out->tags, &out->ntags, a, &rows, rc, err);
}

int wr_mlflowdb_next_version(wr_mlflowdb *m, wr_arena *a, wr_registered_version *out, wr_err *err)
{
    static const char sql[] = "SELECT name, version, current_stage, source, storage_location, run_id, run_link, "
                              "description, user_id, creation_time,"
                              " last_updated_time FROM model_versions WHERE name > ? OR (name = ? AND version > ?) "
                              "ORDER BY name, version LIMIT 1";
    wr_stmt *s;
    wr_str last = wr_buf_view(&m->last_s);
    int rc = wr_mlflowdb_first(&s, m->db, err, sql, "ssi", last, last, m->started ? m->last_i : INT64_MIN);
    if (rc <= 0) return rc;
    *out = (wr_registered_version){.name = wr_mlflowdb_word(a, s, 0),
                                   .version = wr_stmt_i64(s, 1),
                                   .stage = wr_mlflowdb_word(a, s, 2),
                                   .source = wr_mlflowdb_word(a, s, 3),
                                   .storage = wr_stmt_text(a, s, 4),
                                   .run_id = wr_stmt_text(a, s, 5),
                                   .run_link = wr_stmt_text(a, s, 6),
                                   .description = wr_stmt_text(a, s, 7),
                                   .user = wr_stmt_text(a, s, 8),
                                   .created_ms = wr_mlflowdb_number(s, 9, 0)};
    out->updated_ms = wr_mlflowdb_number(s, 10, out->created_ms);
    wr_stmt_done(s);
    if (!out->stage.n) out->stage = WR_STR("None");
    m->last_i = out->version;
    wr_buf_clear(&m->last_s);
    wr_buf_slice(&m->last_s, out->name);
    rc = load_version_tags(m, a, out, err);
    return rc < 0 ? rc : 1;
}

/* ---- logged models ---- */

static int load_logged_metrics(wr_mlflowdb *m, wr_arena *a, wr_logged_model *out, wr_err *err)
{
    static const char sql[] =
        "SELECT metric_name, metric_value, metric_step, metric_timestamp_ms, run_id, dataset_name, dataset_digest"
        " FROM logged_model_metrics WHERE model_id = ? ORDER BY metric_name, metric_timestamp_ms, metric_step";
    WR_VEC(wr_logged_point) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_mlflowdb_query(&s, m->db, err, sql, "s", out->uuid));
    while ((rc = wr_step(s, err)) > 0) {
        wr_logged_point p = {.key = wr_mlflowdb_word(a, s, 0),
                             .value = wr_import_value(wr_stmt_f64(s, 1), wr_stmt_null(s, 1)),
                             .step = wr_stmt_i64(s, 2),
                             .time_ms = wr_stmt_i64(s, 3),
                             .run_id = wr_stmt_text(a, s, 4),
                             .dataset_name = wr_stmt_text(a, s, 5),
                             .dataset_digest = wr_stmt_text(a, s, 6)};
        if ((rc = wr_vec_add(&rows, p, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(&out->metrics, &out->nmetrics, a, &rows, rc, err);
}

int wr_mlflowdb_next_logged(wr_mlflowdb *m, wr_arena *a, wr_logged_model *out, wr_err *err)
{
    static const char sql[] =
        "SELECT model_id, experiment_id, name, artifact_location, status, status_message, model_type, source_run_id,"
        " creation_timestamp_ms, last_updated_timestamp_ms, lifecycle_stage FROM logged_models WHERE model_id > ?"
        " ORDER BY model_id LIMIT 1",
                      params[] = "SELECT param_key, param_value FROM logged_model_params WHERE model_id = ?",
                      tags[] = "SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ?";
    wr_stmt *s;
    int rc = wr_mlflowdb_first(&s, m->db, err, sql, "s", wr_buf_view(&m->last_s));
    if (rc <= 0) return rc;
    *out = (wr_logged_model){.uuid = wr_mlflowdb_word(a, s, 0),
                             .experiment = wr_stmt_i64(s, 1),
                             .name = wr_mlflowdb_word(a, s, 2),
                             .artifact_uri = wr_mlflowdb_word(a, s, 3),
                             .status = (int)wr_stmt_i64(s, 4),
                             .status_message = wr_stmt_text(a, s, 5),
                             .model_type = wr_stmt_text(a, s, 6),
                             .run_id = wr_stmt_text(a, s, 7),
                             .created_ms = wr_stmt_i64(s, 8),
                             .updated_ms = wr_stmt_i64(s, 9),
                             .deleted_ms = -1};
    if (wr_str_is(wr_stmt_str(s, 10), "deleted")) out->deleted_ms = out->updated_ms;
    if (!wr_logged_status_name(out->status)) out->status = WR_LOGGED_PENDING;
    wr_stmt_done(s);
    wr_buf_clear(&m->last_s);
    wr_buf_slice(&m->last_s, out->uuid);
    rc = wr_mlflowdb_items(&out->params, &out->nparams, a, m->db, params, out->uuid, err);
    if (rc == 0) rc = wr_mlflowdb_items(&out->tags, &out->ntags, a, m->db, tags, out->uuid, err);
    if (rc == 0) rc = load_logged_metrics(m, a, out, err);
    return rc < 0 ? rc : 1;
}

/* ---- users ---- */

int wr_mlflowdb_next_user(wr_mlflowdb *m, wr_arena *a, wr_import_user_row *out, wr_err *err)
{
    static const char sql[] =
        "SELECT id, username, password_hash, CASE WHEN is_admin THEN 1 ELSE 0 END FROM users WHERE id > ?"
        " ORDER BY id LIMIT 1";
    wr_stmt *s;
    int rc = wr_mlflowdb_first(&s, m->auth, err, sql, "i", m->started ? m->last_i : INT64_MIN);
    if (rc <= 0) return rc;
    m->last_i = wr_stmt_i64(s, 0);
    *out = (wr_import_user_row){wr_mlflowdb_word(a, s, 1), wr_stmt_text(a, s, 2), wr_stmt_i64(s, 3) != 0};
    wr_stmt_done(s);
    return 1;
}

/* MLflow 2 has a table for each type; MLflow 3 has roles, whose permissions become those of their users. */
int wr_mlflowdb_next_grant(wr_mlflowdb *m, wr_arena *a, wr_import_grant_row *out, wr_err *err)
{
    static const char direct[] =
        "SELECT g.k, u.username, g.type, g.resource, g.permission FROM (SELECT id * 2 AS k, user_id, 'experiment' AS "
        "type, experiment_id"
        " AS resource, permission FROM experiment_permissions UNION ALL SELECT id * 2 + 1, user_id, "
        "'registered_model', name, permission"
        " FROM registered_model_permissions) AS g JOIN users u ON u.id = g.user_id WHERE g.k > ? ORDER BY g.k LIMIT 1",
                      roles[] =
                          "SELECT g.k, g.username, g.type, g.resource, g.permission FROM (SELECT CAST(x.id AS BIGINT) "
                          "* 1000000000 + p.id AS k, u.username,"
                          " p.resource_type AS type, p.resource_pattern AS resource, p.permission FROM "
                          "user_role_assignments x JOIN users u ON u.id = x.user_id"
                          " JOIN role_permissions p ON p.role_id = x.role_id) AS g WHERE g.k > ? ORDER BY g.k LIMIT 1";
    wr_stmt *s;
    if (!m->roles && !m->grants) return 0;
    int rc = wr_mlflowdb_first(&s, m->auth, err, m->roles ? roles : direct, "i", m->started ? m->last_i : INT64_MIN);
    if (rc <= 0) return rc;
    m->last_i = wr_stmt_i64(s, 0);
    *out = (wr_import_grant_row){
        .user = wr_mlflowdb_word(a, s, 1), .type = wr_mlflowdb_word(a, s, 2), .resource = wr_mlflowdb_word(a, s, 3)};
    wr_str permission = wr_mlflowdb_word(a, s, 4);
    wr_stmt_done(s);
    rc = wr_permission_parse(&out->permission, permission, err);
    return rc < 0 ? rc : 1;
}
