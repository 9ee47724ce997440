/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - candidates, versions and aliases in the records database. */
#include "core/model.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/vec.h"

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

/* First column of the first row as a number; `none` when there is no row. */
static int scalar(int64_t *out, wr_db *db, const char *sql, const char *one, const char *two, int64_t none, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, sql, err));
    wr_bind_cstr(s, 1, one);
    if (two) wr_bind_cstr(s, 2, two);
    int rc = wr_step(s, err);
    *out = rc > 0 ? wr_stmt_i64(s, 0) : none;
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int alias_row(wr_db *db, const change *c, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(
        db, &s,
        "INSERT INTO model_aliases (model, alias, version, moved_us) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version, moved_us = excluded.moved_us",
        err));
    wr_bind_cstr(s, 1, c->name);
    wr_bind_cstr(s, 2, c->alias);
    wr_bind_i64(s, 3, c->version);
    wr_bind_i64(s, 4, wr_clock_wall_us());
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int register_fn(wr_db *db, void *arg, wr_err *err)
{
    change *c = arg;
    WR_TRY(scalar(&c->version, db, "SELECT version FROM model_versions WHERE model = ? AND package = ?", c->name,
                  c->package, 0, err));
    if (!c->version) {
        wr_stmt *s;
        WR_TRY(scalar(&c->version, db, "SELECT coalesce(max(version), 0) + 1 FROM model_versions WHERE model = ?",
                      c->name, NULL, 1, err));
        WR_TRY(wr_db_prepare(
            db, &s, "INSERT INTO model_versions (model, version, package, run, created_us) VALUES (?, ?, ?, ?, ?)",
            err));
        wr_bind_cstr(s, 1, c->name);
        wr_bind_i64(s, 2, c->version);
        wr_bind_cstr(s, 3, c->package);
        wr_bind_cstr(s, 4, c->run ? c->run : "");
        wr_bind_i64(s, 5, wr_clock_wall_us());
        int rc = wr_step(s, err);
        wr_stmt_done(s);
        if (rc < 0) return rc;
    }
    return c->alias ? alias_row(db, c, err) : 0;
}

int wr_model_register(int64_t *version, wr_project *p, const char *name, const char *package, const char *run_id,
                      const char *alias, wr_err *err)
{
    wr_db *db;
    change c = {name, package, run_id, alias, 0};
    WR_TRY(check_name(name, err));
    if (alias) WR_TRY(check_alias(alias, err));
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_write(db, register_fn, &c, err));
    *version = c.version;
    return 0;
}

#define VERSION_COLUMNS                                                                                                \
    "v.model, v.version, v.package, v.run, (SELECT group_concat(alias) FROM (SELECT alias FROM model_aliases a "       \
    "WHERE a.model = v.model AND a.version = v.version ORDER BY alias) x), v.created_us FROM model_versions v "

static wr_model_version read_version(wr_arena *a, wr_stmt *s)
{
    return (wr_model_version){.name = (char *)wr_arena_str(a, wr_stmt_str(s, 0)).p,
                              .version = wr_stmt_i64(s, 1),
                              .package = (char *)wr_arena_str(a, wr_stmt_str(s, 2)).p,
                              .run_id = (char *)wr_arena_str(a, wr_stmt_str(s, 3)).p,
                              .aliases = (char *)wr_arena_str(a, wr_stmt_str(s, 4)).p,
                              .created_us = wr_stmt_i64(s, 5)};
}

int wr_model_versions(wr_model_version **out, size_t *n, wr_arena *a, wr_project *p, const char *name, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(wr_model_version) rows = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(
        db, &s, "SELECT " VERSION_COLUMNS "WHERE ?1 IS NULL OR v.model = ?1 ORDER BY v.model, v.version", err));
    wr_bind_cstr(s, 1, name);
    while ((rc = wr_step(s, err)) > 0)
        if (wr_vec_push(&rows, read_version(a, s)) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    wr_stmt_done(s);
    *n = rows.n;
    *out = wr_arena_dup(a, rows.at, rows.n * sizeof *rows.at);
    wr_vec_fini(&rows);
    if (rc == 0 && wr_arena_failed(a)) rc = wr_err_nomem(err);
    return rc;
}

/* Names of all models there are, candidates and registered ones. */
static int model_names(const char ***out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(const char *) names = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, "SELECT model FROM packages UNION SELECT model FROM model_versions", err));
    while ((rc = wr_step(s, err)) > 0)
        if (wr_vec_push(&names, wr_arena_str(a, wr_stmt_str(s, 0)).p) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    wr_stmt_done(s);
    *n = names.n;
    *out = wr_arena_dup(a, names.at, names.n * sizeof *names.at);
    wr_vec_fini(&names);
    return rc == 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc;
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
    return wr_err_hint(
        err, WEIR_ENOTFOUND,
        "weir model train makes one, weir model register gives it a version, weir model list shows them");
}

/* The statement that resolves a reference: candidate, number or alias. */
static int prepare_find(wr_stmt **s, wr_db *db, wr_str name, wr_str what, wr_err *err)
{
    int64_t version;
    if (!what.p) {
        WR_TRY(wr_db_prepare(
            db, s,
            "SELECT model, 0, package, run, '', created_us FROM packages WHERE model = ? ORDER BY id DESC LIMIT 1",
            err));
    } else if (wr_num_i64(&version, what, NULL) == 0) {
        WR_TRY(wr_db_prepare(db, s, "SELECT " VERSION_COLUMNS "WHERE v.model = ? AND v.version = ?", err));
        wr_bind_i64(*s, 2, version);
    } else {
        WR_TRY(wr_db_prepare(
            db, s,
            "SELECT " VERSION_COLUMNS
            "JOIN model_aliases m ON m.model = v.model AND m.version = v.version WHERE v.model = ? AND m.alias = ?",
            err));
        wr_bind_str(*s, 2, what);
    }
    wr_bind_str(*s, 1, name);
    return 0;
}

int wr_model_find(wr_model_version *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    wr_str rest = wr_str_of(ref), name = wr_str_cut(&rest, '@');
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(prepare_find(&s, db, name, rest, err));
    int rc = wr_step(s, err);
    if (rc > 0) *out = read_version(a, s);
    wr_stmt_done(s);
    if (rc == 0) return not_found(p, name, rest, err);
    if (rc > 0 && wr_arena_failed(a)) return wr_err_nomem(err);
    return rc < 0 ? rc : 0;
}

static int alias_fn(wr_db *db, void *arg, wr_err *err) { return alias_row(db, arg, err); }

int wr_model_alias(wr_project *p, const char *name, const char *alias, int64_t version, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_model_version v;
    wr_db *db;
    change c = {.name = name, .alias = alias, .version = version};
    if (!a) return wr_err_nomem(err);
    WR_TRY(check_alias(alias, err));
    char *ref = wr_arena_printf(a, "%s@%lld", name, (long long)version);
    if (!ref) return wr_err_nomem(err);
    WR_TRY(wr_model_find(&v, a, p, ref, err));
    WR_TRY(wr_project_db(&db, p, err));
    return wr_db_write(db, alias_fn, &c, err);
}

int wr_model_node(wr_node *out, wr_arena *a, const wr_model_version *v)
{
    *out = (wr_node){.kind = v->version ? "model" : "package",
                     .name = wr_arena_strdup(a, v->name),
                     .hash = wr_arena_strdup(a, v->package),
                     .version = v->version ? v->version : -1};
    return out->name && out->hash ? 0 : WEIR_ENOMEM;
}
