/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - candidates; versions and aliases as the tracking store's registry keeps them. */
#include "core/model.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/vec.h"
#include "base/limits.h"
#include "core/signing.h"
#include "io/file.h"
#include "track/registry_policy.h"

typedef struct {
    const char *name, *package, *run, *alias;
    int64_t version;
} change;

static int check_name(const char *name, wr_err *err)
{
    if (wr_name_ok(wr_str_of(name))) return 0;
    wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a model name", name);
    return wr_err_hint(err, WEIR_EINVAL, "letters, digits, '_', '-' and '.', first a letter, digit or '_'");
}

/* NAME@3 is version 3, so no alias may be a number. */
static int check_alias(const char *alias, wr_err *err)
{
    int64_t number;
    if (wr_name_ok(wr_str_of(alias)) && wr_num_i64(&number, wr_str_of(alias), NULL) < 0) return 0;
    wr_err_set(err, WEIR_EINVAL, "\"%s\" is not an alias", alias);
    return wr_err_hint(err, WEIR_EINVAL, "a name that is not a number, for example champion");
}

static int propose_fn(wr_db *db, void *arg, wr_err *err)
{
    change *c = arg;
    wr_stmt *s;
    /* A package that comes back without its run (restored from the cache) keeps the one that made it. */
    WR_TRY(
        wr_db_prepare(db, &s,
                      "INSERT INTO packages (model, package, run, created_us) VALUES (?1, ?2, coalesce(nullif(?3, ''),"
                      " (SELECT run FROM packages WHERE package = ?2 AND run <> '' ORDER BY id DESC LIMIT 1), ''), ?4)",
                      err));
    wr_bind_cstr(s, 1, c->name);
    wr_bind_cstr(s, 2, c->package);
    wr_bind_cstr(s, 3, c->run ? c->run : "");
    wr_bind_i64(s, 4, wr_clock_wall_us());
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_model_propose(wr_project *p, const char *name, const char *package, const char *run_id, wr_err *err)
{
    wr_db *db;
    change c = {.name = name, .package = package, .run = run_id};
    WR_TRY(check_name(name, err));
    WR_TRY(wr_project_db(&db, p, err));
    return wr_db_write(db, propose_fn, &c, err);
}

/* ---- registering ---- */

static wr_str text_or_none(const char *s) { return s ? wr_str_of(s) : (wr_str){NULL, 0}; }

/* The model is made by its first version. */
static int make_version(wr_registered_version *v, wr_arena *a, wr_track *t, const change *c, wr_err *err)
{
    wr_registered_model m;
    wr_err none = {0};
    wr_str name = wr_str_of(c->name);
    int rc = wr_registered_model_get(&m, a, t, name, &none);
    if (rc == WEIR_ENOTFOUND) rc = wr_registered_model_create(&m, a, t, name, WR_STR(""), NULL, 0, err);
    else if (rc < 0 && err) *err = none;
    WR_TRY(rc);
    char *source = wr_arena_printf(a, WR_PACKAGE_URI "%s", c->package);
    if (!source) return wr_err_nomem(err);
    wr_registered_version_new in = {.name = name,
                                    .source = wr_str_of(source),
                                    .run_id = wr_str_of(c->run),
                                    .description = WR_STR(""),
                                    .package = wr_str_of(c->package)};
    return wr_registered_version_create(v, a, t, &in, err);
}

static int register_fn(wr_track *t, void *arg, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    change *c = arg;
    wr_registered_version v;
    wr_err none = {0};
    if (!a) return wr_err_nomem(err);
    int rc = wr_registered_version_by_package(&v, a, t, wr_str_of(c->name), wr_str_of(c->package), &none);
    if (rc == WEIR_ENOTFOUND) rc = make_version(&v, a, t, c, err);
    else if (rc < 0 && err) *err = none;
    WR_TRY(rc);
    c->version = v.version;
    return c->alias ? wr_registered_alias_set(t, wr_str_of(c->name), wr_str_of(c->alias), v.version, NULL, err) : 0;
}

int wr_model_register(int64_t *version, wr_project *p, const char *name, const char *package, const char *run_id,
                      const char *alias, wr_err *err)
{
    wr_track *t;
    change c = {name, package, run_id, alias, 0};
    WR_TRY(check_name(name, err));
    if (alias) WR_TRY(check_alias(alias, err));
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_track_write(t, register_fn, &c, err));
    *version = c.version;
    return 0;
}

/* ---- the package as files ---- */

static int publish_file(wr_artifacts *to, wr_objects *from, wr_arena *a, const char *package, wr_str id, wr_str name,
                        wr_err *err)
{
    enum { FILE_MAX = 1 << 30 };
    WR_AUTOBUF wr_buf content;
    wr_artifact_info there;
    wr_buf_init(&content, FILE_MAX);
    char *path = wr_arena_printf(a, WR_PACKAGE_FOLDER "%s/%.*s", package, WR_STR_FMT(name));
    char *object = wr_arena_strndup(a, id.p, id.n);
    if (!path || !object) return wr_err_nomem(err);
    if (wr_artifacts_stat(&there, to, wr_str_of(path), NULL) == 0) return 0;
    WR_TRY(wr_objects_get(from, object, &content, FILE_MAX, err));
    return wr_artifacts_put(to, wr_str_of(path), wr_buf_view(&content), NULL, err);
}

int wr_model_publish(wr_project *p, const char *package, wr_err *err)
{
    enum { TREE_MAX = 1 << 20 };
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf tree;
    wr_artifacts *to;
    wr_objects *from;
    wr_buf_init(&tree, TREE_MAX);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_project_artifacts(&to, p, NULL, err));
    WR_TRY(wr_project_objects(&from, p, err));
    WR_TRY(wr_objects_get(from, package, &tree, TREE_MAX, err));
    for (wr_str rest = wr_buf_view(&tree); rest.n;) { /* "sha256 size path" */
        wr_str line = wr_str_cut(&rest, '\n'), id = wr_str_cut(&line, ' ');
        if (line.p) (void)wr_str_cut(&line, ' ');
        if (!line.p) return wr_err_set(err, WEIR_ECORRUPT, "object %.12s is not a package", package);
        WR_TRY(publish_file(to, from, a, package, id, line, err));
    }
    return 0;
}

/* ---- reading ---- */

static int joined(char **out, wr_arena *a, const wr_registered_version *v)
{
    WR_AUTOBUF wr_buf b = {0};
    for (size_t i = 0; i < v->naliases; i++) wr_buf_printf(&b, "%s%s", i ? "," : "", v->aliases[i].p);
    *out = wr_arena_strdup(a, wr_buf_cstr(&b));
    return b.failed || !*out ? WEIR_ENOMEM : 0;
}

static int version_of(wr_model_version *out, wr_arena *a, const wr_registered_version *v)
{
    *out = (wr_model_version){.name = (char *)v->name.p,
                              .version = v->version,
                              .package = v->package.p ? (char *)v->package.p : wr_arena_strdup(a, ""),
                              .run_id = v->run_id.p ? (char *)v->run_id.p : wr_arena_strdup(a, ""),
                              .created_us = v->created_ms * 1000};
    return out->package && out->run_id ? joined(&out->aliases, a, v) : WEIR_ENOMEM;
}

int wr_model_versions(wr_model_version **out, size_t *n, wr_arena *a, wr_project *p, const char *name, wr_err *err)
{
    wr_track *t;
    wr_registered_version *v;
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_registered_versions_all(&v, n, a, t, text_or_none(name), err));
    *out = wr_arena_calloc(a, *n + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++)
        if (version_of(&(*out)[i], a, &v[i]) < 0) return wr_err_nomem(err);
    return 0;
}

/* Names of all models there are, candidates and registered ones. */
static int model_names(const char ***out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(const char *) names = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, "SELECT model FROM packages UNION SELECT name FROM registered_models", err));
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&names, wr_arena_str(a, wr_stmt_str(s, 0)).p, err)) < 0) break;
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &names, rc, err);
}

/* " 1=champion 2", the versions of one model. */
static int version_list(wr_buf *out, wr_arena *a, wr_project *p, wr_str name, wr_err *err)
{
    wr_model_version *v;
    size_t n;
    char *model = wr_arena_strndup(a, name.p, name.n);
    if (!model) return wr_err_nomem(err);
    WR_TRY(wr_model_versions(&v, &n, a, p, model, err));
    for (size_t i = 0; i < n; i++)
        wr_buf_printf(out, " %lld%s%s", (long long)v[i].version, v[i].aliases[0] ? "=" : "", v[i].aliases);
    return out->failed ? wr_err_nomem(err) : 0;
}

/* The error of a failed look-up, with the versions there are or the nearest name as the hint. */
static int not_found(wr_project *p, wr_str name, wr_str what, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf versions;
    const char **names;
    size_t n;
    bool known = false;
    wr_buf_init(&versions, 0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(version_list(&versions, a, p, name, err));
    WR_TRY(model_names(&names, &n, a, p, err));
    wr_err_set(err, WEIR_ENOTFOUND, "no model \"%.*s%s%.*s\"", WR_STR_FMT(name), what.n ? "@" : "", WR_STR_FMT(what));
    if (versions.n) return wr_err_hint(err, WEIR_ENOTFOUND, "registered versions:%.200s", wr_buf_cstr(&versions));
    for (size_t i = 0; i < n; i++) known = known || wr_str_is(name, names[i]);
    if (known)
        return wr_err_hint(err, WEIR_ENOTFOUND, "it has a candidate but no version: weir model register %.*s",
                           WR_STR_FMT(name));
    int near = wr_str_nearest(name, names, n);
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    const char *text = wr_arena_strndup(a, name.p, name.n);
    if (text && wr_model_is_path(text))
        return wr_err_hint(err, WEIR_ENOTFOUND,
                           "that reads like a file; the name of a model is wanted: weir model list");
    return wr_err_hint(
        err, WEIR_ENOTFOUND,
        "weir model train makes one, weir model register gives it a version, weir model list shows them");
}

static int candidate(wr_model_version *out, wr_arena *a, wr_project *p, wr_str name, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(
        db, &s, "SELECT model, package, run, created_us FROM packages WHERE model = ? ORDER BY id DESC LIMIT 1", err));
    wr_bind_str(s, 1, name);
    int rc = wr_step(s, err);
    if (rc > 0)
        *out = (wr_model_version){.name = (char *)wr_arena_str(a, wr_stmt_str(s, 0)).p,
                                  .package = (char *)wr_arena_str(a, wr_stmt_str(s, 1)).p,
                                  .run_id = (char *)wr_arena_str(a, wr_stmt_str(s, 2)).p,
                                  .aliases = wr_arena_strdup(a, ""),
                                  .created_us = wr_stmt_i64(s, 3)};
    wr_stmt_done(s);
    if (rc == 0) return not_found(p, name, (wr_str){NULL, 0}, err);
    return rc > 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc < 0 ? rc : 0;
}

/* An MLflow client may register what is no package: there is nothing in it that Weir could load. */
static int no_package(const wr_registered_version *v, wr_err *err)
{
    wr_err_set(err, WEIR_ENOTFOUND, "version %lld of model \"%s\" has no package of Weir", (long long)v->version,
               v->name.p);
    return wr_err_hint(err, WEIR_ENOTFOUND, "it was registered from \"%.200s\"", v->source.p);
}

/* Cut into the name and what is behind it (p NULL = nothing). */
static wr_str cut_reference(wr_str *rest, const char *ref)
{
    static const char scheme[] = "models:/";
    wr_str all = wr_str_of(ref);
    bool uri = wr_str_starts(all, scheme);
    if (uri) all = wr_str_sub(all, sizeof scheme - 1, all.n);
    *rest = (wr_str){NULL, 0};
    for (size_t i = all.n; i-- > 0;) {
        if (all.p[i] != '@' && !(uri && all.p[i] == '/')) continue;
        *rest = wr_str_sub(all, i + 1, all.n);
        return wr_str_sub(all, 0, i);
    }
    return all;
}

static int registered(wr_registered_version *out, wr_arena *a, wr_project *p, wr_str name, wr_str rest, wr_err *err)
{
    wr_track *t;
    wr_err why = {0};
    int64_t version;
    WR_TRY(wr_project_track(&t, p, err));
    int rc = wr_num_i64(&version, rest, NULL) == 0 ? wr_registered_version_get(out, a, t, name, version, &why)
                                                   : wr_registered_version_by_alias(out, a, t, name, rest, &why);
    if (rc == WEIR_ENOTFOUND || rc == WEIR_EINVAL) return not_found(p, name, rest, err);
    if (rc < 0 && err) *err = why;
    return rc;
}

int wr_model_registered(wr_registered_version *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err)
{
    wr_track *t;
    wr_err none;
    wr_str rest, name = cut_reference(&rest, ref);
    if (rest.p) return registered(out, a, p, name, rest, err);
    WR_TRY(wr_project_track(&t, p, err));
    if (wr_registered_version_by_alias(out, a, t, name, WR_STR("latest"), &none) == 0) return 0;
    return not_found(p, name, rest, err);
}

int wr_model_find(wr_model_version *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err)
{
    wr_registered_version v;
    wr_str rest, name = cut_reference(&rest, ref);
    if (!rest.p) return candidate(out, a, p, name, err);
    WR_TRY(registered(&v, a, p, name, rest, err));
    if (!v.package.n) return no_package(&v, err);
    return version_of(out, a, &v) < 0 ? wr_err_nomem(err) : 0;
}

const char *wr_model_nearest(wr_arena *a, wr_project *p, wr_str name)
{
    const char **names;
    size_t n;
    int near = model_names(&names, &n, a, p, NULL) < 0 ? -1 : wr_str_nearest(name, names, n);
    return near >= 0 ? names[near] : NULL;
}

/* ---- a model, or a file? ---- */

bool wr_model_is_path(const char *text)
{
    static const char *const endings[] = {".onnx", ".json", ".ubj", ".txt", ".model",  ".xgb",
                                          ".lgb",  ".bin",  ".pkl", ".pt",  ".joblib", ".pickle"};
    const char *slash = strchr(text, '/');
    if (strncmp(text, "models:/", 8) == 0) return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (wr_str_ends(wr_str_of(text), endings[i])) return true;
    if (text[0] == '/' || text[0] == '~' || strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0) return true;
    return slash && strchr(slash + 1, '/');
}

/* Which of the files may have been meant: a name that is near, leaving the ending aside when it is the same, or the
 * same name with another ending. -1: none. */
static int nearest_file(wr_arena *a, const char *base, char **files, size_t n)
{
    const char *dot = strrchr(base, '.'), **names = wr_arena_calloc(a, n + 1, sizeof *names);
    size_t len = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    for (size_t i = 0; names && i < n; i++) {
        const char *end = strrchr(files[i], '.');
        bool same_end = base[len] ? end && strcmp(end, base + len) == 0 : !end;
        names[i] = same_end ? wr_arena_strndup(a, files[i], end ? (size_t)(end - files[i]) : strlen(files[i])) : "";
        if (!same_end && strncmp(files[i], base, len) == 0 && files[i][len] == '.') return (int)i;
        if (!names[i]) return -1;
    }
    return names ? wr_str_nearest((wr_str){base, len}, names, n) : -1;
}

int wr_model_no_file(int rc, const char *text, wr_arena *a, wr_project *p, wr_err *err)
{
    char **files, *folder = wr_path_dir(a, text);
    const char *base = wr_path_base(text), *model;
    size_t n;
    wr_err none;
    bool path = wr_model_is_path(text);
    if (rc != WEIR_ENOTFOUND || strncmp(text, "models:/", 8) == 0 || (!path && !strchr(text, '.'))) return rc;
    if (!path) { /* a name with a dot in it, or an ending mistyped */
        bool there = folder && wr_file_list(&files, &n, a, folder, &none) == 0;
        int which = there ? nearest_file(a, base, files, n) : -1;
        return which < 0 ? rc : wr_err_hint(err, rc, "did you mean the file \"%s\"?", files[which]);
    }
    wr_err_set(err, rc, "there is no file or folder \"%.200s\"", text);
    if (!folder || wr_file_list(&files, &n, a, folder, &none) < 0)
        return wr_err_hint(err, rc, "there is no folder \"%.200s\" either; paths are relative to the folder you are in",
                           folder ? folder : "");
    int near = nearest_file(a, base, files, n);
    if (near >= 0) return wr_err_hint(err, rc, "did you mean \"%.*s%s\"?", (int)(base - text), text, files[near]);
    wr_str rest = wr_str_of(base), stem = wr_str_cut(&rest, '.');
    model = p ? wr_model_nearest(a, p, stem) : NULL;
    if (model) return wr_err_hint(err, rc, "did you mean the model \"%s\"? weir model list shows them", model);
    return wr_err_hint(err, rc, "paths are relative to the folder you are in, or to -C DIR");
}

/* ---- moving an alias ---- */

static int move_fn(wr_track *t, void *arg, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_model_move *m = arg;
    wr_registered_version at;
    wr_err none;
    wr_str name = wr_str_of(m->name), alias = wr_str_of(m->alias);
    int rc;
    if (!a) return wr_err_nomem(err);
    m->was = wr_registered_version_by_alias(&at, a, t, name, alias, &none) == 0 ? at.version : 0;
    if (m->version == WR_MODEL_BACK) rc = wr_registered_alias_rollback(&m->version, t, name, alias, NULL, err);
    else if (m->version == WR_MODEL_AWAY) rc = wr_registered_alias_delete(t, name, alias, NULL, err);
    else rc = wr_registered_alias_set(t, name, alias, m->version, NULL, err);
    return rc == 0 && m->dry_run ? WEIR_ECANCELED : rc; /* a write that fails is undone */
}

/* Which aliases there are; `name` exists. */
static int no_alias(wr_project *p, const wr_model_move *m, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf list;
    wr_track *t;
    wr_registered_model model;
    wr_buf_init(&list, 0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_project_track(&t, p, err));
    if (wr_registered_model_get(&model, a, t, wr_str_of(m->name), NULL) < 0)
        return not_found(p, wr_str_of(m->name), (wr_str){NULL, 0}, err);
    for (size_t i = 0; i < model.naliases; i++) wr_buf_printf(&list, "%s%s", i ? ", " : "", model.aliases[i].alias.p);
    wr_err_set(err, WEIR_ENOTFOUND, "model \"%s\" has no alias \"%s\"", m->name, m->alias);
    if (!list.n)
        return wr_err_hint(err, WEIR_ENOTFOUND, "it has none: weir model promote %s@VERSION makes one", m->name);
    return wr_err_hint(err, WEIR_ENOTFOUND, "it has %.200s", wr_buf_cstr(&list));
}

int wr_model_move_alias(wr_model_move *m, wr_project *p, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_version v;
    wr_track *t;
    wr_err none;
    bool back = m->version == WR_MODEL_BACK;
    if (!a) return wr_err_nomem(err);
    WR_TRY(check_alias(m->alias, err));
    WR_TRY(wr_project_track(&t, p, err));
    if (m->version > 0) {
        char *ref = wr_arena_printf(a, "%s@%lld", m->name, (long long)m->version);
        if (!ref) return wr_err_nomem(err);
        WR_TRY(wr_model_registered(&v, a, p, ref, err));
        WR_TRY(wr_signing_before_move(p, &v, m->alias, err));
    } else if (wr_registered_version_by_alias(&v, a, t, wr_str_of(m->name), wr_str_of(m->alias), &none) < 0) {
        return no_alias(p, m, err);
    }
    int rc = wr_track_write(t, move_fn, m, err);
    if (rc == WEIR_ECANCELED && m->dry_run) return 0;
    if (rc == WEIR_ENOTFOUND && back)
        wr_err_hint(err, rc, "weir model promote %s@VERSION --to %s moves it to any version", m->name, m->alias);
    return rc;
}

int wr_model_alias(wr_project *p, const char *name, const char *alias, int64_t version, wr_err *err)
{
    wr_model_move m = {.name = name, .alias = alias, .version = version};
    if (version <= 0) return not_found(p, wr_str_of(name), WR_STR("0"), err);
    return wr_model_move_alias(&m, p, err);
}

typedef struct {
    const char *name, *kind, *hash;
    int64_t version;
} report;

static int report_fn(wr_track *t, void *arg, wr_err *err)
{
    const report *r = arg;
    char key[WR_LIMIT_NAME + sizeof WR_REPORT_TAG];
    snprintf(key, sizeof key, WR_REPORT_TAG "%s", r->kind);
    return wr_registered_version_set_tag(t, wr_str_of(r->name), r->version, wr_str_of(key), wr_str_of(r->hash), err);
}

int wr_model_report(wr_project *p, const char *name, int64_t version, const char *kind, const char *file, wr_err *err)
{
    wr_objects *o;
    wr_track *t;
    char id[WR_SHA256_HEX];
    report r = {name, kind, id, version};
    if (!wr_name_ok(wr_str_of(kind))) {
        wr_err_set(err, WEIR_EINVAL, "\"%.100s\" is not the name of a report", kind);
        return wr_err_hint(err, WEIR_EINVAL, "such as evaluation or feasibility: letters, digits, '_', '-' and '.'");
    }
    WR_TRY(wr_project_objects(&o, p, err));
    WR_TRY(wr_objects_put_file(o, file, id, err));
    WR_TRY(wr_project_track(&t, p, err));
    return wr_track_write(t, report_fn, &r, err);
}

int wr_model_node(wr_node *out, wr_arena *a, const wr_model_version *v)
{
    *out = (wr_node){.kind = v->version ? "model" : "package",
                     .name = wr_arena_strdup(a, v->name),
                     .hash = wr_arena_strdup(a, v->package),
                     .version = v->version ? v->version : -1};
    return out->name && out->hash ? 0 : WEIR_ENOMEM;
}
