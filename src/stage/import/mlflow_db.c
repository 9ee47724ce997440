/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_db.c - MLflow's database as a source: opening, experiments, runs, metrics. */
#include "stage/import/mlflow_db.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/vec.h"
#include "io/file.h"

double wr_import_value(double v, bool nan)
{
    if (nan) return NAN;
    /* 1.7976931348623157e308 as databases and JSON give it back, perhaps a digit short */
    if (fabs(v) >= 1.797693134862315e308) return v > 0 ? INFINITY : -INFINITY;
    return v;
}

/* ---- asking ---- */

static int bound(wr_stmt **out, wr_db *db, wr_err *err, const char *sql, const char *kinds, va_list args)
{
    WR_TRY(wr_db_prepare(db, out, sql, err));
    for (int i = 1; *kinds; kinds++, i++) {
        if (*kinds == 'i') wr_bind_i64(*out, i, va_arg(args, int64_t));
        else if (*kinds == 'f') wr_bind_f64(*out, i, va_arg(args, double));
        else wr_bind_str(*out, i, va_arg(args, wr_str));
    }
    return 0;
}

int wr_mlflowdb_query(wr_stmt **out, wr_db *db, wr_err *err, const char *sql, const char *kinds, ...)
{
    va_list args;
    va_start(args, kinds);
    int rc = bound(out, db, err, sql, kinds, args);
    va_end(args);
    return rc;
}

int wr_mlflowdb_first(wr_stmt **out, wr_db *db, wr_err *err, const char *sql, const char *kinds, ...)
{
    va_list args;
    va_start(args, kinds);
    int rc = bound(out, db, err, sql, kinds, args);
    va_end(args);
    if (rc < 0) return rc;
    rc = wr_step(*out, err);
    if (rc <= 0) wr_stmt_done(*out);
    return rc;
}

wr_str wr_mlflowdb_word(wr_arena *a, wr_stmt *s, int at)
{
    return wr_stmt_null(s, at) ? WR_STR("") : wr_arena_str(a, wr_stmt_str(s, at));
}

int64_t wr_mlflowdb_number(wr_stmt *s, int at, int64_t none) { return wr_stmt_null(s, at) ? none : wr_stmt_i64(s, at); }

int wr_mlflowdb_items(wr_track_item **out, size_t *n, wr_arena *a, wr_db *db, const char *sql, wr_str owner,
                      wr_err *err)
{
    WR_VEC(wr_track_item) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_mlflowdb_query(&s, db, err, sql, "s", owner));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_item item = {wr_mlflowdb_word(a, s, 0), wr_mlflowdb_word(a, s, 1)};
        if ((rc = wr_vec_add(&rows, item, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

/* ---- experiments and runs ---- */

static int next_experiment(wr_mlflowdb *m, wr_arena *a, wr_experiment *out, wr_err *err)
{
    static const char sql[] =
        "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time"
        " FROM experiments WHERE experiment_id > ? ORDER BY experiment_id LIMIT 1",
                      tags[] = "SELECT key, value FROM experiment_tags WHERE experiment_id = CAST(? AS INTEGER)";
    wr_stmt *s;
    int rc = wr_mlflowdb_first(&s, m->db, err, sql, "i", m->started ? m->last_i : INT64_MIN);
    if (rc <= 0) return rc;
    *out = (wr_experiment){.id = wr_stmt_i64(s, 0),
                           .name = wr_mlflowdb_word(a, s, 1),
                           .location = wr_mlflowdb_word(a, s, 2),
                           .deleted = wr_str_is(wr_stmt_str(s, 3), "deleted"),
                           .created_ms = wr_mlflowdb_number(s, 4, 0)};
    out->updated_ms = wr_mlflowdb_number(s, 5, out->created_ms);
    wr_stmt_done(s);
    m->last_i = out->id;
    wr_str id = wr_str_of(wr_arena_printf(a, "%lld", (long long)out->id));
    rc = wr_mlflowdb_items(&out->tags, &out->ntags, a, m->db, tags, id, err);
    return rc < 0 ? rc : 1;
}

static int add_dataset(wr_mlflowdb *m, wr_arena *a, wr_track_dataset *d, wr_str input, wr_err *err)
{
    return wr_mlflowdb_items(&d->tags, &d->ntags, a, m->db, "SELECT name, value FROM input_tags WHERE input_uuid = ?",
                             input, err);
}

static int load_datasets(wr_mlflowdb *m, wr_arena *a, wr_track_run *r, wr_err *err)
{
    static const char sql[] = "SELECT d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, "
                              "d.dataset_profile, i.input_uuid"
                              " FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id WHERE i.destination_type "
                              "= 'RUN' AND i.source_type = 'DATASET'"
                              " AND i.destination_id = ? ORDER BY d.name, d.digest";
    WR_VEC(wr_track_dataset) rows = {0};
    WR_VEC(wr_str) inputs = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_mlflowdb_query(&s, m->db, err, sql, "s", r->uuid));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_dataset d = {.name = wr_mlflowdb_word(a, s, 0),
                              .digest = wr_mlflowdb_word(a, s, 1),
                              .source_type = wr_mlflowdb_word(a, s, 2),
                              .source = wr_mlflowdb_word(a, s, 3),
                              .schema = wr_stmt_text(a, s, 4),
                              .profile = wr_stmt_text(a, s, 5)};
        rc = wr_vec_add(&rows, d, err);
        if (rc == 0) rc = wr_vec_add(&inputs, wr_mlflowdb_word(a, s, 6), err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    for (size_t i = 0; rc == 0 && i < rows.n; i++) rc = add_dataset(m, a, &rows.at[i], inputs.at[i], err);
    wr_vec_fini(&inputs);
    return wr_vec_keep(&r->inputs, &r->ninputs, a, &rows, rc, err);
}

static int load_models(wr_mlflowdb *m, wr_arena *a, wr_track_model_ref **out, size_t *n, const char *sql, wr_str run,
                       wr_err *err)
{
    WR_VEC(wr_track_model_ref) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_mlflowdb_query(&s, m->db, err, sql, "s", run));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_model_ref ref = {wr_mlflowdb_word(a, s, 0), wr_mlflowdb_number(s, 1, 0)};
        if ((rc = wr_vec_add(&rows, ref, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

static int load_run(wr_mlflowdb *m, wr_arena *a, wr_track_run *r, wr_err *err)
{
    static const char
        inputs[] = "SELECT destination_id, step FROM inputs WHERE source_type = 'RUN_INPUT' AND destination_type = "
                   "'MODEL_INPUT' AND source_id = ?",
        outputs[] = "SELECT destination_id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' AND destination_type = "
                    "'MODEL_OUTPUT' AND source_id = ?";
    WR_TRY(wr_mlflowdb_items(&r->params, &r->nparams, a, m->db, "SELECT key, value FROM params WHERE run_uuid = ?",
                             r->uuid, err));
    WR_TRY(wr_mlflowdb_items(&r->tags, &r->ntags, a, m->db, "SELECT key, value FROM tags WHERE run_uuid = ?", r->uuid,
                             err));
    WR_TRY(load_datasets(m, a, r, err));
    if (!m->input_step) return 0;
    WR_TRY(load_models(m, a, &r->input_models, &r->ninput_models, inputs, r->uuid, err));
    return load_models(m, a, &r->output_models, &r->noutput_models, outputs, r->uuid, err);
}

static int next_run(wr_mlflowdb *m, wr_arena *a, wr_track_run *out, wr_err *err)
{
    static const char sql[] =
        "SELECT run_uuid, experiment_id, name, user_id, status, start_time, end_time, lifecycle_stage,"
        " deleted_time, artifact_uri FROM runs WHERE run_uuid > ? ORDER BY run_uuid LIMIT 1";
    wr_stmt *s;
    int rc = wr_mlflowdb_first(&s, m->db, err, sql, "s", wr_buf_view(&m->last_s));
    if (rc <= 0) return rc;
    *out = (wr_track_run){.uuid = wr_mlflowdb_word(a, s, 0),
                          .experiment = wr_stmt_i64(s, 1),
                          .name = wr_mlflowdb_word(a, s, 2),
                          .user = wr_mlflowdb_word(a, s, 3),
                          .status = wr_run_status_parse(wr_stmt_str(s, 4)),
                          .start_ms = wr_mlflowdb_number(s, 5, 0),
                          .end_ms = wr_mlflowdb_number(s, 6, -1),
                          .deleted_ms = -1,
                          .artifact_uri = wr_mlflowdb_word(a, s, 9)};
    if (!out->status) out->status = WR_RUN_RUNNING;
    if (wr_str_is(wr_stmt_str(s, 7), "deleted"))
        out->deleted_ms = wr_mlflowdb_number(s, 8, out->end_ms < 0 ? out->start_ms : out->end_ms);
    wr_stmt_done(s);
    wr_buf_clear(&m->last_s);
    wr_buf_slice(&m->last_s, out->uuid);
    rc = load_run(m, a, out, err);
    return rc < 0 ? rc : 1;
}

/* ---- metrics ---- */

enum { POINTS = 4096, PAGE = 20000 };
typedef struct {
    wr_import_points_fn fn;
    void *arg;
    wr_arena *keys;
    wr_track_point *at;
    size_t n;
} collector;

static int hand_over(collector *c, wr_err *err)
{
    int rc = c->n ? c->fn(c->arg, c->at, c->n, err) : 0;
    c->n = 0;
    return rc;
}

/* Rows (key, value, is_nan, timestamp, step, row); their number, and the last row. Keys come again and again: the last
 * one is kept. */
static int take_rows(int64_t *rows, int64_t *row, wr_track_point *last, collector *c, wr_stmt *s, wr_err *err)
{
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wr_str key = wr_stmt_str(s, 0);
        if (!last->key.p || !wr_str_eq(last->key, key)) last->key = wr_arena_str(c->keys, key);
        last->value = wr_import_value(wr_stmt_f64(s, 1), wr_stmt_i64(s, 2) != 0);
        last->time_ms = wr_stmt_i64(s, 3);
        last->step = wr_stmt_i64(s, 4);
        if (row) *row = wr_stmt_i64(s, 5);
        c->at[c->n++] = *last;
        ++*rows;
        if (c->n == POINTS && (rc = hand_over(c, err)) < 0) break;
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : wr_arena_failed(c->keys) ? wr_err_nomem(err) : 0;
}

#define POINT_COLUMNS "SELECT key, value, CASE WHEN is_nan THEN 1 ELSE 0 END, timestamp, step"
#define OF_RUN        " FROM metrics WHERE run_uuid = ? "

/* SQLite's index of runs is in the order of rows behind each run. Pages, since an open statement keeps MLflow's server
 * from writing. */
static int file_points(wr_mlflowdb *m, collector *c, wr_str run, wr_err *err)
{
    static const char sql[] = POINT_COLUMNS ", rowid" OF_RUN "AND rowid > ? ORDER BY rowid LIMIT ?";
    int64_t row = INT64_MIN, rows = PAGE;
    wr_track_point last = {0};
    while (rows == PAGE) {
        wr_stmt *s;
        rows = 0;
        WR_TRY(wr_mlflowdb_query(&s, m->db, err, sql, "sii", run, row, (int64_t)PAGE));
        WR_TRY(take_rows(&rows, &row, &last, c, s, err));
    }
    return hand_over(c, err);
}

/* Pages of one series, each behind the last row of the one before. NaN is stored as 0 beside a flag. */
static int page_points(wr_mlflowdb *m, collector *c, wr_str run, wr_str key, wr_err *err)
{
    static const char sql[] =
        POINT_COLUMNS OF_RUN "AND key = ? AND (step > ? OR (step = ? AND (timestamp > ? OR (timestamp = ? AND (CASE "
                             "WHEN is_nan THEN 1 ELSE 0 END > ? OR"
                             " (CASE WHEN is_nan THEN 1 ELSE 0 END = ? AND value > ?)))))) ORDER BY step, timestamp, "
                             "CASE WHEN is_nan THEN 1 ELSE 0 END, value LIMIT ?";
    int64_t rows = PAGE;
    wr_track_point last = {.step = INT64_MIN, .time_ms = INT64_MIN};
    while (rows == PAGE) {
        wr_stmt *s;
        int64_t nan = isnan(last.value);
        double value = nan ? 0 : isinf(last.value) ? copysign(DBL_MAX, last.value) : last.value;
        rows = 0;
        WR_TRY(wr_mlflowdb_query(&s, m->db, err, sql, "ssiiiiiifi", run, key, last.step, last.step, last.time_ms,
                                 last.time_ms, nan, nan, value, (int64_t)PAGE));
        WR_TRY(take_rows(&rows, NULL, &last, c, s, err));
    }
    return hand_over(c, err);
}

static int points(wr_import_source *source, const wr_track_run *run, wr_import_points_fn fn, void *arg, wr_err *err)
{
    wr_mlflowdb *m = (wr_mlflowdb *)source;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    collector c = {.fn = fn, .arg = arg, .keys = a};
    c.at = a ? wr_arena_calloc(a, POINTS, sizeof *c.at) : NULL;
    if (!c.at) return wr_err_nomem(err);
    if (m->file) return file_points(m, &c, run->uuid, err);
    wr_track_item *keys;
    size_t n;
    WR_TRY(wr_mlflowdb_items(&keys, &n, a, m->db, "SELECT key, '' FROM latest_metrics WHERE run_uuid = ? ORDER BY key",
                             run->uuid, err));
    for (size_t i = 0; i < n; i++) WR_TRY(page_points(m, &c, run->uuid, keys[i].key, err));
    return 0;
}

/* ---- the source ---- */

static int one_number(int64_t *out, wr_db *db, const char *sql, wr_str arg, wr_err *err)
{
    wr_stmt *s;
    int rc = wr_mlflowdb_first(&s, db, err, sql, arg.p ? "s" : "", arg);
    if (rc <= 0) return rc;
    *out = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    return 0;
}

static int npoints(int64_t *out, wr_import_source *source, wr_str run, wr_err *err)
{
    *out = 0;
    return one_number(out, ((wr_mlflowdb *)source)->db, "SELECT count(*) FROM metrics WHERE run_uuid = ?", run, err);
}

static int count(int64_t *out, wr_import_source *source, wr_import_kind kind, wr_err *err)
{
    static const char *const sql[WR_IMPORT_KINDS] = {[WR_IMPORT_EXPERIMENT] = "SELECT count(*) FROM experiments",
                                                     [WR_IMPORT_RUN] = "SELECT count(*) FROM runs",
                                                     [WR_IMPORT_LOGGED] = "SELECT count(*) FROM logged_models",
                                                     [WR_IMPORT_MODEL] = "SELECT count(*) FROM registered_models",
                                                     [WR_IMPORT_VERSION] = "SELECT count(*) FROM model_versions",
                                                     [WR_IMPORT_TRACE] = "SELECT count(*) FROM trace_info",
                                                     [WR_IMPORT_USER] = "SELECT count(*) FROM users"};
    wr_mlflowdb *m = (wr_mlflowdb *)source;
    wr_db *db = kind == WR_IMPORT_USER ? m->auth : m->db;
    *out = 0;
    if (kind == WR_IMPORT_GRANT) *out = -1;
    if (!sql[kind] || !db || (kind == WR_IMPORT_LOGGED && !m->logged)) return 0;
    return one_number(out, db, sql[kind], (wr_str){NULL, 0}, err);
}

static int dispatch(wr_mlflowdb *m, wr_import_kind kind, wr_arena *a, wr_import_row *out, wr_err *err)
{
    switch (kind) {
    case WR_IMPORT_EXPERIMENT:
        return next_experiment(m, a, &out->experiment, err);
    case WR_IMPORT_RUN:
        return next_run(m, a, &out->run, err);
    case WR_IMPORT_LOGGED:
        return m->logged ? wr_mlflowdb_next_logged(m, a, &out->logged, err) : 0;
    case WR_IMPORT_MODEL:
        return wr_mlflowdb_next_model(m, a, &out->model, err);
    case WR_IMPORT_VERSION:
        return wr_mlflowdb_next_version(m, a, &out->version, err);
    case WR_IMPORT_TRACE:
        return wr_mlflowdb_next_trace(m, a, &out->trace, err);
    case WR_IMPORT_USER:
        return m->auth ? wr_mlflowdb_next_user(m, a, &out->user, err) : 0;
    case WR_IMPORT_GRANT:
        return m->auth ? wr_mlflowdb_next_grant(m, a, &out->grant, err) : 0;
    case WR_IMPORT_KINDS:
        break;
    }
    return 0;
}

static int next(wr_import_source *source, wr_import_kind kind, wr_arena *a, wr_import_row *out, wr_err *err)
{
    wr_mlflowdb *m = (wr_mlflowdb *)source;
    int rc = dispatch(m, kind, a, out, err);
    m->started = rc > 0;
    if (rc == 0) wr_buf_clear(&m->last_s); /* the next kind begins */
    if (m->last_s.failed || (rc > 0 && wr_arena_failed(a))) return wr_err_nomem(err);
    return rc;
}

static void close_source(wr_import_source *source)
{
    wr_mlflowdb *m = (wr_mlflowdb *)source;
    if (m->db) wr_db_close(m->db);
    if (m->auth) wr_db_close(m->auth);
    wr_buf_fini(&m->last_s);
    wr_free(m);
}

static const wr_import_ops ops = {
    .next = next, .count = count, .npoints = npoints, .points = points, .close = close_source};

/* Is there such a column? */
static bool has(wr_db *db, const char *column, const char *table)
{
    char sql[160];
    wr_stmt *s;
    wr_err none = {0};
    snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE 1 = 0", column, table);
    if (wr_db_prepare(db, &s, sql, &none) < 0) return false;
    int rc = wr_step(s, &none);
    wr_stmt_done(s);
    return rc >= 0;
}

/* SQLAlchemy's addresses name a driver behind a plus; three slashes stand before a relative path, four before an
 * absolute one. */
static const char *plain_address(wr_arena *a, const char *url)
{
    wr_str s = wr_str_of(url);
    if (wr_str_starts(s, "sqlite:///")) return url + strlen("sqlite:///");
    if (wr_str_starts(s, "postgresql+") || wr_str_starts(s, "postgres+")) {
        const char *rest = strstr(url, "://");
        return rest ? wr_arena_printf(a, "postgresql%s", rest) : url;
    }
    return url;
}

static int open_one(wr_db **out, bool *server, const char *url, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *path = a ? plain_address(a, url) : NULL;
    if (!path) return wr_err_nomem(err);
    *server = wr_db_is_url(path);
    static const char sources[] =
        "the file of MLflow's database (mlflow.db), or its address: postgresql://..., http://... of a running server";
    if (!*server && strstr(path, "://")) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "only databases of SQLite and PostgreSQL can be imported");
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "%s", sources);
    }
    if (!*server && !wr_file_exists(path)) {
        wr_err_set(err, WEIR_ENOTFOUND, "there is no database \"%s\"", path);
        return wr_err_hint(err, WEIR_ENOTFOUND, "%s", sources);
    }
    int rc = wr_db_open(out, path, &(wr_db_opt){.read_only = true}, err);
    return rc < 0 && !*server ? wr_err_hint(err, rc, "%s", sources) : rc; /* not the hint for a database of ours */
}

/* Names are unique inside a workspace; here there is but one. */
static int one_workspace(wr_mlflowdb *m, wr_err *err)
{
    int64_t n = 0;
    static const char sql[] =
        "SELECT count(*) FROM (SELECT workspace FROM experiments UNION SELECT workspace FROM registered_models) AS w";
    if (!has(m->db, "workspace", "registered_models")) return 0;
    WR_TRY(one_number(&n, m->db, sql, (wr_str){NULL, 0}, err));
    if (n <= 1) return 0;
    return wr_err_set(err, WEIR_EUNSUPPORTED,
                      "the database has things in %lld workspaces; those of one alone can be imported", (long long)n);
}

static int look(wr_mlflowdb *m, const char *url, wr_err *err)
{
    if (!has(m->db, "run_uuid, lifecycle_stage, artifact_uri, deleted_time", "runs") ||
        !has(m->db, "is_nan, step", "metrics") || !has(m->db, "input_uuid", "inputs") ||
        !has(m->db, "alias", "registered_model_aliases")) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "\"%s\" is no database of MLflow 2.9 or later",
                   wr_db_is_url(url) ? "the database" : url);
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "mlflow db upgrade brings the tables of older versions up to date");
    }
    WR_TRY(one_workspace(m, err));
    m->logged = has(m->db, "model_id", "logged_models");
    m->input_step = has(m->db, "step", "inputs");
    m->trace_columns = has(m->db, "client_request_id, request_preview, response_preview", "trace_info");
    m->trace_name = has(m->db, "trace_name, session_id, db_payload_generation", "trace_info");
    m->spans = has(m->db, "trace_id, span_id, parent_span_id, content", "spans");
    m->assessments = has(m->db, "assessment_id", "assessments");
    m->associations = has(m->db, "association_id", "entity_associations");
    m->roles = m->auth && has(m->auth, "resource_pattern", "role_permissions");
    m->grants = m->auth && has(m->auth, "permission", "experiment_permissions");
    if (m->auth && !has(m->auth, "username, password_hash, is_admin", "users"))
        return wr_err_set(err, WEIR_EUNSUPPORTED, "the database of users is none of MLflow's");
    return 0;
}

int wr_import_mlflow_db(wr_import_source **out, const char *url, const char *auth, wr_err *err)
{
    bool server, auth_server;
    wr_mlflowdb *m = wr_calloc(1, sizeof *m);
    if (!m) return wr_err_nomem(err);
    m->source.ops = &ops;
    int rc = open_one(&m->db, &server, url, err);
    if (rc == 0 && auth) rc = open_one(&m->auth, &auth_server, auth, err);
    if (rc == 0) m->file = !server;
    if (rc == 0) rc = look(m, url, err);
    if (rc < 0) {
        close_source(&m->source);
        return rc;
    }
    *out = &m->source;
    return 0;
}
