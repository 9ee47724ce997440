/* SPDX-License-Identifier: Apache-2.0 */
/* logged_model.c - logged models: life, params, tags, metrics. */
#include "track/logged_model_inside.h"

#include "base/os.h"
#include "codec/json.h"
#include "track/experiment.h"
#include "track/run.h"

enum { NAME = 500, KEY = 255, VALUE = 8000, METRIC_KEY = 250, DATASET_NAME = 500, DATASET_DIGEST = 36 };

static const char *const status_names[] = {"", "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY",
                                           "LOGGED_MODEL_UPLOAD_FAILED"};

const char *wr_logged_status_name(int status)
{
    return status > 0 && (size_t)status < sizeof status_names / sizeof *status_names ? status_names[status] : NULL;
}

int wr_logged_status_parse(wr_str s)
{
    for (int i = 1; i < (int)(sizeof status_names / sizeof *status_names); i++)
        if (wr_str_is(s, status_names[i])) return i;
    return 0;
}

/* ---- reading ---- */

static int not_found(wr_str uuid, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "Logged model with ID '%.*s' not found.", WR_STR_FMT(wr_str_fit(uuid, 64)));
}

/* Without what load fills; deleted ones too. */
static int find(wr_logged_model *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT " WR_LOGGED_COLUMNS " FROM logged_models m WHERE m.uuid = ?", "s", uuid));
    int rc = wr_step(s, err);
    if (rc > 0) *out = wr_logged_model_row(a, s);
    wr_stmt_done(s);
    if (rc == 0) return not_found(uuid, err);
    return rc > 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc < 0 ? rc : 0;
}

int wr_logged_model_get(wr_logged_model *out, wr_arena *a, wr_track *t, wr_str uuid, bool deleted, wr_err *err)
{
    WR_TRY(find(out, a, t, uuid, err));
    if (out->deleted_ms >= 0 && !deleted) return not_found(uuid, err);
    return wr_logged_model_load(out, 1, a, t, err);
}

int wr_logged_model_source(wr_str *uri, wr_str *run, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_logged_model m;
    WR_TRY(find(&m, a, t, uuid, err));
    if (m.deleted_ms >= 0) return not_found(uuid, err);
    *uri = m.artifact_uri;
    *run = m.run_id;
    return 0;
}

static int id_of(int64_t *out, wr_track *t, wr_str uuid, wr_err *err)
{
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM logged_models WHERE uuid = ?", "s", uuid));
    return *out ? 0 : not_found(uuid, err);
}

/* ---- params, tags ---- */

static int check_key(wr_str key, wr_err *err)
{
    if (!key.n) return wr_err_set(err, WEIR_EINVAL, "Missing value for required parameter 'key'.");
    if (!wr_str_utf8(key) || memchr(key.p, 0, key.n)) return wr_err_set(err, WEIR_EINVAL, "'key' is not UTF-8 text");
    return wr_track_length_check(key, KEY, "key", err);
}

static int put_param(wr_track *t, int64_t model, const wr_track_item *p, wr_err *err)
{
    int64_t same;
    wr_str value = p->value.p ? p->value : WR_STR("");
    WR_TRY(check_key(p->key, err));
    value = wr_track_cut(value, VALUE);
    int rc = wr_track_exec(t, err,
                           "INSERT INTO logged_model_params (model, key, value) VALUES (?, ?, ?) ON CONFLICT (model, "
                           "key) DO NOTHING RETURNING 1",
                           "iss", model, p->key, value);
    if (rc != 0) return rc < 0 ? rc : 0;
    WR_TRY(wr_track_number(&same, 0, t, err,
                           "SELECT 1 FROM logged_model_params WHERE model = ? AND key = ? AND value = ?", "iss", model,
                           p->key, value));
    if (same) return 0;
    return wr_err_set(err, WEIR_EINVAL,
                      "Changing param values is not allowed. Param with key='%.*s' was already logged with another "
                      "value.",
                      WR_STR_FMT(wr_str_fit(p->key, 100)));
}

static int put_tag(wr_track *t, int64_t model, const wr_track_item *tag, wr_err *err)
{
    WR_TRY(check_key(tag->key, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO logged_model_tags (model, key, value) VALUES (?, ?, ?) ON CONFLICT (model, "
                           "key) DO UPDATE SET value = excluded.value",
                           "iss", model, tag->key, tag->value.p ? tag->value : WR_STR(""));
    return rc < 0 ? rc : 0;
}

int wr_logged_model_set_params(wr_track *t, wr_str uuid, const wr_track_item *params, size_t n, wr_err *err)
{
    int64_t id;
    WR_TRY(id_of(&id, t, uuid, err));
    for (size_t i = 0; i < n; i++) WR_TRY(put_param(t, id, &params[i], err));
    return 0;
}

int wr_logged_model_set_tags(wr_track *t, wr_str uuid, const wr_track_item *tags, size_t n, wr_err *err)
{
    int64_t id;
    WR_TRY(id_of(&id, t, uuid, err));
    for (size_t i = 0; i < n; i++) WR_TRY(put_tag(t, id, &tags[i], err));
    return 0;
}

int wr_logged_model_delete_tag(wr_track *t, wr_str uuid, wr_str key, wr_err *err)
{
    int64_t id;
    WR_TRY(id_of(&id, t, uuid, err));
    int rc =
        wr_track_exec(t, err, "DELETE FROM logged_model_tags WHERE model = ? AND key = ? RETURNING 1", "is", id, key);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "No tag with key '%.*s' found for model with ID '%.*s'.",
                          WR_STR_FMT(wr_str_fit(key, 100)), WR_STR_FMT(wr_str_fit(uuid, 64)));
    return rc < 0 ? rc : 0;
}

/* ---- the tag mlflow.modelVersions ---- */

static const wr_str versions_tag = {"mlflow.modelVersions", 20};

/* With spaces, as Python writes JSON: clients compare the text. */
static void write_version(wr_buf *out, wr_str name, int64_t version)
{
    wr_jsonw w;
    wr_buf_str(out, out->n > 1 ? ", {\"name\": " : "{\"name\": ");
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_str(&w, name);
    wr_buf_printf(out, ", \"version\": %lld}", (long long)version);
}

static void write_versions(wr_buf *out, yyjson_val *old, wr_str name, int64_t version)
{
    yyjson_val *v;
    size_t i, max;
    bool there = false;
    wr_buf_char(out, '[');
    yyjson_arr_foreach(old, i, max, v)
    {
        yyjson_val *n = yyjson_obj_get(v, "name"), *number = yyjson_obj_get(v, "version");
        if (!yyjson_is_str(n) || !yyjson_is_int(number)) continue;
        wr_str at = {yyjson_get_str(n), yyjson_get_len(n)};
        there = there || (wr_str_eq(at, name) && yyjson_get_sint(number) == version);
        write_version(out, at, yyjson_get_sint(number));
    }
    if (!there) write_version(out, name, version);
    wr_buf_char(out, ']');
}

int wr_logged_model_add_version(wr_track *t, wr_str uuid, wr_str name, int64_t version, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOJSON wr_json old = {0};
    WR_AUTOBUF wr_buf b;
    wr_logged_model m;
    wr_buf_init(&b, 1 << 20);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_logged_model_get(&m, a, t, uuid, false, err));
    for (size_t i = 0; i < m.ntags; i++)
        if (wr_str_eq(m.tags[i].key, versions_tag)) (void)wr_json_parse(&old, m.tags[i].value, "versions", NULL);
    write_versions(&b, old.root, name, version);
    if (b.failed) return wr_err_set(err, WEIR_ELIMIT, "the list of versions of \"%.*s\" is full", WR_STR_FMT(m.uuid));
    wr_track_item tag = {versions_tag, wr_buf_view(&b)};
    return put_tag(t, m.id, &tag, err);
}

/* ---- life ---- */

static int check_name(wr_str name, wr_err *err)
{
    bool ok = name.n > 0 && wr_str_utf8(name);
    for (size_t i = 0; ok && i < name.n; i++) ok = name.p[i] && !strchr("/:.%\"'", name.p[i]);
    if (!ok)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid model name ('%.*s') provided. Model name must be a non-empty string and cannot "
                          "contain the following characters: ('/', ':', '.', '%%', '\"', \"'\")",
                          WR_STR_FMT(wr_str_fit(name, 100)));
    return wr_track_length_check(name, NAME, "name", err);
}

static int insert(wr_logged_model *m, wr_track *t, wr_err *err)
{
    return wr_track_number(&m->id, 0, t, err,
                           "INSERT INTO logged_models (uuid, experiment, name, artifact_uri, status, model_type, "
                           "run_id, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                           "sississii", m->uuid, m->experiment, m->name, m->artifact_uri, (int64_t)m->status,
                           m->model_type, m->run_id, m->created_ms, m->updated_ms);
}

int wr_logged_model_create(wr_logged_model *out, wr_arena *a, wr_track *t, const wr_logged_model_new *in, wr_err *err)
{
    wr_experiment e;
    char id[33], made[48];
    uint64_t random;
    wr_str name = in->name;
    if (name.p) WR_TRY(check_name(name, err));
    WR_TRY(wr_experiment_get(&e, a, t, in->experiment, err));
    if (e.deleted)
        return wr_err_set(err, WEIR_EINVAL,
                          "The experiment %lld must be in the 'active' state. Current state is deleted.",
                          (long long)e.id);
    if (!name.p) {
        wr_os_random(&random, sizeof random);
        wr_track_made_name(made, random);
        name = wr_str_of(made);
    }
    wr_track_new_id(id);
    char *uuid = wr_arena_printf(a, "m-%s", id);
    char *uri = wr_arena_printf(a, "%.*s/models/m-%s/artifacts", WR_STR_FMT(e.location), id);
    if (!uuid || !uri) return wr_err_nomem(err);
    wr_logged_model m = {.experiment = e.id,
                         .uuid = wr_str_of(uuid),
                         .name = name,
                         .artifact_uri = wr_str_of(uri),
                         .status = WR_LOGGED_PENDING,
                         .model_type = in->model_type,
                         .run_id = in->run_id,
                         .created_ms = wr_track_now_ms()};
    m.updated_ms = m.created_ms;
    WR_TRY(insert(&m, t, err));
    for (size_t i = 0; i < in->nparams; i++) WR_TRY(put_param(t, m.id, &in->params[i], err));
    for (size_t i = 0; i < in->ntags; i++) WR_TRY(put_tag(t, m.id, &in->tags[i], err));
    return wr_logged_model_get(out, a, t, m.uuid, false, err);
}

int wr_logged_model_finish(wr_track *t, wr_str uuid, int status, wr_err *err)
{
    int64_t id;
    WR_TRY(id_of(&id, t, uuid, err));
    int rc = wr_track_exec(t, err, "UPDATE logged_models SET status = ?, updated_ms = ? WHERE id = ?", "iii",
                           (int64_t)status, wr_track_now_ms(), id);
    return rc < 0 ? rc : 0;
}

int wr_logged_model_delete(wr_track *t, wr_str uuid, wr_err *err)
{
    int64_t id, now = wr_track_now_ms();
    WR_TRY(id_of(&id, t, uuid, err));
    int rc = wr_track_exec(
        t, err, "UPDATE logged_models SET deleted_ms = ?, updated_ms = ? WHERE id = ? AND deleted_ms IS NULL", "iii",
        now, now, id);
    return rc < 0 ? rc : 0;
}

/* ---- metrics ---- */

/* Id of a dataset that a metric was measured on; 0 = on none. */
static int dataset_id(int64_t *out, wr_track *t, const wr_logged_point *p, wr_err *err)
{
    wr_str digest = p->dataset_digest.p ? p->dataset_digest : WR_STR("");
    *out = 0;
    if (!p->dataset_name.n) return 0;
    WR_TRY(wr_track_length_check(p->dataset_name, DATASET_NAME, "dataset_name", err));
    WR_TRY(wr_track_length_check(digest, DATASET_DIGEST, "dataset_digest", err));
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM logged_model_datasets WHERE name = ? AND digest = ?", "ss",
                           p->dataset_name, digest));
    if (*out) return 0;
    return wr_track_number(out, 0, t, err,
                           "INSERT INTO logged_model_datasets (name, digest) VALUES (?, ?) RETURNING id", "ss",
                           p->dataset_name, digest);
}

int wr_logged_model_put_metrics(wr_track *t, wr_str uuid, int64_t run, const wr_logged_point *points, size_t n,
                                wr_err *err)
{
    int64_t model, key, dataset;
    WR_TRY(id_of(&model, t, uuid, err));
    for (size_t i = 0; i < n; i++) {
        const wr_logged_point *p = &points[i];
        WR_TRY(wr_track_key_check(p->key, METRIC_KEY, "name", err));
        WR_TRY(wr_track_key_make(&key, t, p->key, err));
        WR_TRY(dataset_id(&dataset, t, p, err));
        WR_TRY(wr_track_exec(t, err,
                             "INSERT INTO logged_model_metrics (model, key, time_ms, step, run, value, dataset) VALUES "
                             "(?, ?, ?, ?, ?, ?, nullif(?, 0)) ON CONFLICT DO NOTHING",
                             "iiiiifi", model, key, p->time_ms, p->step, run, p->value, dataset));
    }
    return 0;
}

/* ---- purging ---- */

int wr_logged_model_purge(wr_track *t, wr_str uuid, wr_err *err)
{
    static const char *const statements[] = {
        "DELETE FROM logged_model_params WHERE model = ?",
        "DELETE FROM logged_model_tags WHERE model = ?",
        "DELETE FROM logged_model_metrics WHERE model = ?",
        "DELETE FROM logged_models WHERE id = ?",
    };
    int64_t id;
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM logged_models WHERE uuid = ?", "s", uuid));
    if (!id)
        return wr_err_set(err, WEIR_ENOTFOUND, "there is no logged model %.*s", WR_STR_FMT(wr_str_fit(uuid, 64)));
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        WR_TRY(wr_track_exec(t, err, statements[i], "i", id));
    return 0;
}

int wr_logged_model_purge_experiment(wr_track *t, int64_t experiment, wr_err *err)
{
    static const char *const statements[] = {
        "DELETE FROM logged_model_params WHERE model IN (SELECT id FROM logged_models WHERE experiment = ?)",
        "DELETE FROM logged_model_tags WHERE model IN (SELECT id FROM logged_models WHERE experiment = ?)",
        "DELETE FROM logged_model_metrics WHERE model IN (SELECT id FROM logged_models WHERE experiment = ?)",
        "DELETE FROM logged_models WHERE experiment = ?",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        WR_TRY(wr_track_exec(t, err, statements[i], "i", experiment));
    return 0;
}
