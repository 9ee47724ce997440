/* SPDX-License-Identifier: Apache-2.0 */
/* registry_version.c - versions of registered models: life, stages, tags, and what models:/... means. */
#include "base/num.h"
#include "base/vec.h"
#include "track/logged_model.h"
#include "track/registry_inside.h"
#include "track/registry_policy.h"

/* ---- reading ---- */

int wr_registered_version_number(int64_t *out, wr_str text, wr_err *err)
{
    if (wr_num_i64(out, wr_str_trim(text), NULL) == 0) return 0;
    return wr_err_set(err, WEIR_EINVAL, "Parameter 'version' must be an integer, got '%.*s'.",
                      WR_STR_FMT(wr_str_fit(text, 80)));
}

int wr_registered_version_get(wr_registered_version *out, wr_arena *a, wr_track *t, wr_str name, int64_t version,
                              wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_registered_name_check(name, "name", err));
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT " WR_VERSION_COLUMNS WR_VERSION_FROM
                          "WHERE m.name = ? AND v.version = ? AND v.stage <> '" WR_REGISTERED_DELETED "'",
                          "si", name, version));
    int rc = wr_step(s, err);
    if (rc > 0) *out = wr_registered_version_row(a, s);
    wr_stmt_done(s);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "Model Version (name=%.*s, version=%lld) not found",
                          WR_STR_FMT(wr_str_fit(name, 256)), (long long)version);
    return rc < 0 ? rc : wr_registered_version_load(out, 1, a, t, err);
}

int wr_registered_version_by_package(wr_registered_version *out, wr_arena *a, wr_track *t, wr_str name, wr_str package,
                                     wr_err *err)
{
    int64_t version;
    WR_TRY(
        wr_track_number(&version, 0, t, err,
                        "SELECT min(v.version) FROM registered_versions v JOIN registered_models m ON m.id = v.model "
                        "WHERE m.name = ? AND v.package = ? AND v.stage <> '" WR_REGISTERED_DELETED "'",
                        "ss", name, package));
    if (version) return wr_registered_version_get(out, a, t, name, version, err);
    return wr_err_set(err, WEIR_ENOTFOUND, "no version of \"%.*s\" has package %.*s", WR_STR_FMT(wr_str_fit(name, 256)),
                      WR_STR_FMT(wr_str_fit(package, 64)));
}

int wr_registered_versions_all(wr_registered_version **out, size_t *n, wr_arena *a, wr_track *t, wr_str name,
                               wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT " WR_VERSION_COLUMNS WR_VERSION_FROM "WHERE v.stage <> '" WR_REGISTERED_DELETED
                          "' AND (CAST(? AS TEXT) IS NULL OR m.name = ?) AND NOT EXISTS (SELECT 1 FROM "
                          "registered_model_tags x WHERE x.model = m.id AND x.key = '" WR_PROMPT_TAG
                          "' AND x.value = 'true') ORDER BY m.name, v.version",
                          "ss", name, name));
    return wr_registered_version_rows(out, n, a, t, s, err);
}

wr_str wr_registered_version_location(const wr_registered_version *v) { return v->storage.n ? v->storage : v->source; }

int wr_registered_version_inputs(wr_registered_input **out, size_t *n, wr_arena *a, wr_track *t,
                                 const wr_registered_version *v, wr_err *err)
{
    WR_VEC(wr_registered_input) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT name, digest, source_type, source, context FROM registered_version_inputs WHERE "
                          "version = ? ORDER BY name, digest",
                          "i", v->id));
    while ((rc = wr_step(s, err)) > 0) {
        wr_registered_input in = {.name = wr_arena_str(a, wr_stmt_str(s, 0)),
                                  .digest = wr_arena_str(a, wr_stmt_str(s, 1)),
                                  .source_type = wr_arena_str(a, wr_stmt_str(s, 2)),
                                  .source = wr_arena_str(a, wr_stmt_str(s, 3))};
        in.context = wr_stmt_text(a, s, 4);
        if ((rc = wr_vec_add(&rows, in, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

/* ---- stages ---- */

static const wr_str stages[] = {{"None", 4}, {"Staging", 7}, {"Production", 10}, {"Archived", 8}};

int wr_registered_stage(wr_str *out, wr_str text, wr_err *err)
{
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (wr_str_ieq(text, stages[i].p)) {
            *out = stages[i];
            return 0;
        }
    return wr_err_set(err, WEIR_EINVAL,
                      "Invalid Model Version stage: %.*s. Value must be one of None, Staging, Production, Archived.",
                      WR_STR_FMT(wr_str_fit(text, 80)));
}

static int touch_model(wr_track *t, int64_t model, int64_t now, wr_err *err)
{
    int rc = wr_track_exec(t, err, "UPDATE registered_models SET updated_ms = ? WHERE id = ?", "ii", now, model);
    return rc < 0 ? rc : 0;
}

int wr_registered_version_move(wr_track *t, wr_str name, int64_t version, wr_str stage, bool archive,
                               const wr_registered_who *who, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_version v;
    wr_str to;
    int64_t now = wr_track_now_ms();
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_registered_stage(&to, stage, err));
    if (archive && !wr_str_is(to, "Staging") && !wr_str_is(to, "Production"))
        return wr_err_set(err, WEIR_EINVAL,
                          "Model version transition cannot archive existing model versions because '%.*s' is not an "
                          "Active stage. Valid stages are ['Staging', 'Production']",
                          WR_STR_FMT(wr_str_fit(stage, 80)));
    WR_TRY(wr_registered_version_get(&v, a, t, name, version, err));
    WR_TRY(wr_registered_policy_check(t, &v, (wr_str){NULL, 0}, to, who, err));
    if (archive)
        WR_TRY(wr_track_exec(t, err,
                             "UPDATE registered_versions SET stage = 'Archived', updated_ms = ? WHERE model = ? AND "
                             "stage = ? AND id <> ?",
                             "iisi", now, v.model, to, v.id));
    WR_TRY(wr_track_exec(t, err, "UPDATE registered_versions SET stage = ?, updated_ms = ? WHERE id = ?", "sii", to,
                         now, v.id));
    return touch_model(t, v.model, now, err);
}

/* ---- what models:/... names ---- */

static int improper(wr_str uri, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL,
                      "Not a proper models:/ URI: %.*s. Models URIs must be of the form 'models:/name/suffix' or "
                      "'models:/name@alias' where suffix is a version, stage, or the string 'latest' and where alias "
                      "is a registered model alias.",
                      WR_STR_FMT(wr_str_fit(uri, 80)));
}

static bool digits(wr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0;
}

static int by_suffix(wr_registered_version *out, wr_arena *a, wr_track *t, wr_str name, wr_str suffix, wr_err *err)
{
    wr_registered_version *latest;
    size_t n;
    int64_t number;
    if (digits(suffix)) {
        WR_TRY(wr_registered_version_number(&number, suffix, err));
        return wr_registered_version_get(out, a, t, name, number, err);
    }
    if (wr_str_ieq(suffix, "latest")) return wr_registered_version_by_alias(out, a, t, name, suffix, err);
    WR_TRY(wr_registered_latest(&latest, &n, a, t, name, &suffix, 1, err));
    if (!n)
        return wr_err_set(err, WEIR_ENOTFOUND, "No versions of model with name '%.*s' and stage '%.*s' found",
                          WR_STR_FMT(wr_str_fit(name, 100)), WR_STR_FMT(wr_str_fit(suffix, 40)));
    *out = latest[0];
    return 0;
}

/* Where the files of "models:/..." are; of a logged model also its id and its run, of a version its package. */
static int resolve(wr_str *storage, wr_str *run, wr_str *model_id, wr_str *package, wr_arena *a, wr_track *t,
                   wr_str uri, wr_err *err)
{
    wr_str path = wr_str_sub(uri, strlen("models:"), uri.n), suffix;
    wr_registered_version v;
    while (path.n && *path.p == '/') path = wr_str_sub(path, 1, path.n);
    suffix = path;
    wr_str name = wr_str_cut(&suffix, '/');
    if (!wr_str_trim(name).n || (suffix.p && (!wr_str_trim(suffix).n || memchr(suffix.p, '/', suffix.n))))
        return improper(uri, err);
    const char *at = suffix.p ? NULL : memrchr(name.p, '@', name.n);
    if (!suffix.p && !at) {
        *model_id = name;
        return wr_logged_model_source(storage, run, a, t, name, err);
    }
    if (at) {
        wr_str alias = wr_str_sub(name, (size_t)(at - name.p) + 1, name.n);
        WR_TRY(wr_registered_version_by_alias(&v, a, t, wr_str_sub(name, 0, (size_t)(at - name.p)), alias, err));
    } else {
        WR_TRY(by_suffix(&v, a, t, name, suffix, err));
    }
    *storage = wr_registered_version_location(&v);
    *package = v.package;
    return 0;
}

/* ---- life ---- */

static int put_tag(wr_track *t, int64_t version, wr_str key, wr_str value, wr_err *err)
{
    int rc = wr_track_exec(t, err,
                           "INSERT INTO registered_version_tags (version, key, value) VALUES (?, ?, ?) ON CONFLICT "
                           "(version, key) DO UPDATE SET value = excluded.value",
                           "iss", version, key, value);
    return rc < 0 ? rc : 0;
}

/* Where it comes from: what the source or the logged model says of storage, run, logged model and package. */
static int origin(wr_str *storage, wr_registered_version_new *in, wr_arena *a, wr_track *t, wr_err *err)
{
    wr_str run = {NULL, 0}, model = {NULL, 0}, package = {NULL, 0};
    *storage = in->source;
    if (wr_str_starts(in->source, "models:")) {
        int rc = resolve(storage, &run, &model, &package, a, t, in->source, err);
        if (rc < 0)
            return wr_err_wrap(err, rc, "Unable to fetch model from model URI source artifact location '%.*s'.Error",
                               WR_STR_FMT(wr_str_fit(in->source, 80)));
    }
    if (!in->package.n && package.n) in->package = package;
    if (!in->model_id.n && model.n) in->model_id = wr_arena_str(a, model);
    if (!in->run_id.n && !run.n && in->model_id.n) {
        wr_str uri;
        WR_TRY(wr_logged_model_source(&uri, &run, a, t, in->model_id, err));
    }
    if (!in->run_id.n && run.n) in->run_id = run;
    return 0;
}

/* The data of the run, as it is now. */
static int keep_inputs(wr_track *t, int64_t version, wr_str run, wr_err *err)
{
    int rc = wr_track_exec(
        t, err,
        "INSERT INTO registered_version_inputs (version, name, digest, source_type, source, context)"
        " SELECT ?, d.name, d.digest, d.source_type, d.source, i.context FROM track_runs r JOIN track_inputs i ON "
        "i.run = r.id JOIN track_datasets d ON d.id = i.dataset WHERE r.uuid = ? ON CONFLICT DO NOTHING",
        "is", version, run);
    return rc < 0 ? rc : 0;
}

static int insert(int64_t *id, wr_track *t, int64_t model, int64_t version, const wr_registered_version_new *in,
                  wr_str storage, wr_err *err)
{
    int64_t now = wr_track_now_ms();
    WR_TRY(wr_track_number(id, 0, t, err,
                           "INSERT INTO registered_versions (model, version, source, storage, run_id, run_link, "
                           "description, user_id, model_id, package, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, "
                           "?, ?, ?, ?, ?, ?) RETURNING id",
                           "iissssssssii", model, version, in->source, storage, in->run_id, in->run_link,
                           in->description, in->user, in->model_id, in->package, now, now));
    return touch_model(t, model, now, err);
}

static int tell_created(wr_track *t, const wr_registered_version *v, const wr_registered_version_new *in, wr_err *err)
{
    char number[24];
    wr_webhook_data news = {.name = in->name,
                            .version = wr_registered_number(number, v->version),
                            .source = in->source,
                            .run_id = in->run_id,
                            .tags = v->tags,
                            .ntags = v->ntags};
    if (in->description.n) news.description = in->description;
    for (size_t i = 0; i < v->ntags; i++)
        if (wr_str_is(v->tags[i].key, "mlflow.prompt.text")) news.template = v->tags[i].value;
    return wr_registered_tell(t, v->model, WR_NEWS_VERSION, "created", &news, err);
}

int wr_registered_version_create(wr_registered_version *out, wr_arena *a, wr_track *t,
                                 const wr_registered_version_new *in, wr_err *err)
{
    wr_registered_model m;
    wr_registered_version_new whole = *in;
    wr_str storage;
    int64_t last, id;
    WR_TRY(wr_registered_model_find(&m, a, t, in->name, err));
    for (size_t i = 0; i < in->ntags; i++) WR_TRY(wr_registered_tag_check(in->tags[i].key, in->tags[i].value, err));
    WR_TRY(origin(&storage, &whole, a, t, err));
    WR_TRY(
        wr_track_number(&last, 0, t, err, "SELECT max(version) FROM registered_versions WHERE model = ?", "i", m.id));
    WR_TRY(insert(&id, t, m.id, last + 1, &whole, storage, err));
    for (size_t i = 0; i < in->ntags; i++) WR_TRY(put_tag(t, id, in->tags[i].key, in->tags[i].value, err));
    if (whole.run_id.n) WR_TRY(keep_inputs(t, id, whole.run_id, err));
    if (whole.model_id.n && !wr_registered_is_prompt(in->tags, in->ntags))
        WR_TRY(wr_logged_model_add_version(t, whole.model_id, in->name, last + 1, err));
    WR_TRY(wr_registered_version_get(out, a, t, in->name, last + 1, err));
    return tell_created(t, out, in, err);
}

/* Finds the version of a change. */
static int find(wr_registered_version *out, wr_track *t, wr_str name, int64_t version, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_registered_version_get(out, a, t, name, version, err));
    *out = (wr_registered_version){.id = out->id, .model = out->model, .version = out->version}; /* no texts */
    return 0;
}

int wr_registered_version_describe(wr_track *t, wr_str name, int64_t version, wr_str description, wr_err *err)
{
    wr_registered_version v;
    WR_TRY(find(&v, t, name, version, err));
    int rc = wr_track_exec(t, err, "UPDATE registered_versions SET description = ?, updated_ms = ? WHERE id = ?", "sii",
                           description, wr_track_now_ms(), v.id);
    return rc < 0 ? rc : 0;
}

int wr_registered_version_delete(wr_track *t, wr_str name, int64_t version, const wr_registered_who *who, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_version v;
    int64_t now = wr_track_now_ms();
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_registered_version_get(&v, a, t, name, version, err));
    for (size_t i = 0; i < v.naliases; i++) WR_TRY(wr_registered_policy_role(t, name, v.aliases[i], who, err));
    WR_TRY(wr_track_exec(t, err,
                         "INSERT INTO registered_alias_moves (model, alias, was, undo, moved_ms) SELECT model, alias, "
                         "version, 0, ? FROM registered_aliases WHERE model = ? AND version = ?",
                         "iii", now, v.model, version));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM registered_aliases WHERE model = ? AND version = ?", "ii", v.model,
                         version));
    WR_TRY(wr_track_exec(t, err,
                         "UPDATE registered_versions SET stage = '" WR_REGISTERED_DELETED "', source = "
                         "'REDACTED-SOURCE-PATH', storage = NULL, run_id = 'REDACTED-RUN-ID', run_link = "
                         "'REDACTED-RUN-LINK', description = NULL, user_id = NULL, model_id = NULL, package = NULL, "
                         "updated_ms = ? WHERE id = ?",
                         "ii", now, v.id));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM registered_version_inputs WHERE version = ?", "i", v.id));
    return touch_model(t, v.model, now, err);
}

int wr_registered_version_set_tag(wr_track *t, wr_str name, int64_t version, wr_str key, wr_str value, wr_err *err)
{
    wr_registered_version v;
    char number[24];
    WR_TRY(wr_registered_tag_check(key, value, err));
    WR_TRY(find(&v, t, name, version, err));
    WR_TRY(put_tag(t, v.id, key, value, err));
    wr_webhook_data news = {.name = name, .version = wr_registered_number(number, version), .key = key, .value = value};
    return wr_registered_tell(t, v.model, WR_NEWS_VERSION_TAG, "set", &news, err);
}

int wr_registered_version_delete_tag(wr_track *t, wr_str name, int64_t version, wr_str key, wr_err *err)
{
    wr_registered_version v;
    char number[24];
    WR_TRY(wr_registered_tag_check(key, WR_STR(""), err));
    WR_TRY(find(&v, t, name, version, err));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM registered_version_tags WHERE version = ? AND key = ?", "is", v.id, key));
    wr_webhook_data news = {.name = name, .version = wr_registered_number(number, version), .key = key};
    return wr_registered_tell(t, v.model, WR_NEWS_VERSION_TAG, "deleted", &news, err);
}
