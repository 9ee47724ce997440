/* SPDX-License-Identifier: Apache-2.0 */
/* user.c - changes of users, tokens, grants and roles; the audit log. */
#include "track/user.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/os.h"
#include "base/password.h"
#include "track/run.h"
#include "track/schema.h"
#include "track/track_inside.h"

const char wr_track_schema_users[] = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL "
                                     "UNIQUE, password TEXT NOT NULL, admin INTEGER NOT NULL);"
                                     "CREATE TABLE user_tokens (hash TEXT PRIMARY KEY, user_id INTEGER NOT NULL, name "
                                     "TEXT NOT NULL, created_ms INTEGER NOT NULL,"
                                     "  expires_ms INTEGER NOT NULL, UNIQUE (user_id, name)) WITHOUT ROWID;"
                                     "CREATE TABLE roles (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL "
                                     "UNIQUE, description TEXT NOT NULL, user_id INTEGER);"
                                     "CREATE TABLE role_grants (id INTEGER PRIMARY KEY AUTOINCREMENT, role INTEGER NOT "
                                     "NULL, type TEXT NOT NULL, resource TEXT NOT NULL,"
                                     "  permission INTEGER NOT NULL, UNIQUE (role, type, resource));"
                                     "CREATE TABLE user_roles (user_id INTEGER NOT NULL, role INTEGER NOT NULL, "
                                     "PRIMARY KEY (user_id, role)) WITHOUT ROWID;"
                                     "CREATE TABLE users_version (n INTEGER NOT NULL);"
                                     "INSERT INTO users_version (n) VALUES (1);"
                                     "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT "
                                     "NULL, user_name TEXT NOT NULL, action TEXT NOT NULL,"
                                     "  subject TEXT NOT NULL, peer TEXT NOT NULL, status INTEGER NOT NULL);";

/* Of MLflow's protocol. Here all is in "default"; roles of others are kept, and give nothing. */
const char wr_track_schema_workspaces[] = "ALTER TABLE roles ADD COLUMN workspace TEXT NOT NULL DEFAULT 'default';";

enum { NAME_MAX_CHARACTERS = 255, PASSWORD_MAX = 1024 };

static const struct {
    const char *name;
    wr_permission value;
} permissions[] = {{"READ", WR_CAN_READ},     {"USE", WR_CAN_USE}, {"EDIT", WR_CAN_EDIT},
                   {"MANAGE", WR_CAN_MANAGE}, {"DENY", WR_DENY},   {"NO_PERMISSIONS", WR_NO_PERMISSIONS}};

const char *wr_permission_name(wr_permission p)
{
    for (size_t i = 0; i < sizeof permissions / sizeof *permissions; i++)
        if (permissions[i].value == p) return permissions[i].name;
    return "NO_PERMISSIONS";
}

int wr_permission_parse(wr_permission *out, wr_str name, wr_err *err)
{
    for (size_t i = 0; i < sizeof permissions / sizeof *permissions; i++)
        if (wr_str_is(name, permissions[i].name)) {
            *out = permissions[i].value;
            return 0;
        }
    return wr_err_set(
        err, WEIR_EINVAL,
        "Invalid permission '%.*s'. Valid permissions are: ('READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS', 'DENY')",
        WR_STR_FMT(wr_str_fit(name, 60)));
}

/* Every change ends here: `rc` of its last statement, a negative code or a count. */
static int changed(wr_track *t, int rc, wr_err *err)
{
    if (rc >= 0) rc = wr_track_exec(t, err, "UPDATE users_version SET n = n + 1", "");
    return rc < 0 ? rc : 0;
}

int wr_users_version(int64_t *out, wr_track *t, wr_err *err)
{
    return wr_track_number(out, 0, t, err, "SELECT n FROM users_version", "");
}

/* ---- users ---- */

static int no_user(wr_str name, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "User with username=%.*s not found", WR_STR_FMT(wr_str_fit(name, 100)));
}

static int user_id(int64_t *out, wr_track *t, wr_str name, wr_err *err)
{
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM users WHERE name = ?", "s", name));
    return *out ? 0 : no_user(name, err);
}

static int check_password(wr_str password, wr_err *err)
{
    if (password.n < WR_PASSWORD_MIN)
        return wr_err_set(err, WEIR_EINVAL, "Password must be a string longer than %d characters.",
                          WR_PASSWORD_MIN - 1);
    return wr_track_length_check(password, PASSWORD_MAX, "password", err);
}

int wr_user_create(int64_t *id, wr_track *t, wr_str name, wr_str password, bool admin, wr_err *err)
{
    char hash[WR_PASSWORD_TEXT];
    if (!name.n || !wr_str_utf8(name) || memchr(name.p, ':', name.n))
        return wr_err_set(err, WEIR_EINVAL, "Username cannot be empty, and has no colon.");
    WR_TRY(wr_track_length_check(name, NAME_MAX_CHARACTERS, "username", err));
    WR_TRY(check_password(password, err));
    WR_TRY(wr_track_number(id, 0, t, err, "SELECT id FROM users WHERE name = ?", "s", name));
    if (*id)
        return wr_err_set(err, WEIR_EEXIST, "User (username=%.*s) already exists.", WR_STR_FMT(wr_str_fit(name, 100)));
    WR_TRY(wr_password_hash(hash, password, err));
    WR_TRY(wr_track_number(id, 0, t, err, "INSERT INTO users (name, password, admin) VALUES (?, ?, ?) RETURNING id",
                           "ssi", name, wr_str_of(hash), (int64_t)admin));
    return changed(t, 0, err);
}

int wr_user_set_password(wr_track *t, wr_str name, wr_str password, wr_err *err)
{
    char hash[WR_PASSWORD_TEXT];
    WR_TRY(check_password(password, err));
    WR_TRY(wr_password_hash(hash, password, err));
    int rc =
        wr_track_exec(t, err, "UPDATE users SET password = ? WHERE name = ? RETURNING 1", "ss", wr_str_of(hash), name);
    return rc == 0 ? no_user(name, err) : changed(t, rc, err);
}

int wr_user_set_admin(wr_track *t, wr_str name, bool admin, wr_err *err)
{
    int rc = wr_track_exec(t, err, "UPDATE users SET admin = ? WHERE name = ? RETURNING 1", "is", (int64_t)admin, name);
    return rc == 0 ? no_user(name, err) : changed(t, rc, err);
}

int wr_user_delete(wr_track *t, wr_str name, wr_err *err)
{
    static const char *const all[] = {"DELETE FROM user_tokens WHERE user_id = ?",
                                      "DELETE FROM role_grants WHERE role IN (SELECT id FROM roles WHERE user_id = ?)",
                                      "DELETE FROM roles WHERE user_id = ?", "DELETE FROM user_roles WHERE user_id = ?",
                                      "DELETE FROM users WHERE id = ?"};
    int64_t id;
    WR_TRY(user_id(&id, t, name, err));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) WR_TRY(wr_track_exec(t, err, all[i], "i", id));
    return changed(t, 0, err);
}

/* ---- tokens ---- */

static void token_text(char out[WR_TOKEN_TEXT])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char r[43];
    wr_os_random(r, sizeof r);
    memcpy(out, "weir_", 5);
    for (size_t i = 0; i < sizeof r; i++) out[5 + i] = letters[r[i] & 63];
    out[5 + sizeof r] = 0;
}

int wr_token_create(char out[WR_TOKEN_TEXT], wr_track *t, wr_str user, wr_str name, int64_t expires_ms, wr_err *err)
{
    char hash[WR_SHA256_HEX];
    int64_t id, there;
    if (!name.n) return wr_err_set(err, WEIR_EINVAL, "a token needs a name");
    WR_TRY(wr_track_length_check(name, NAME_MAX_CHARACTERS, "name of the token", err));
    WR_TRY(user_id(&id, t, user, err));
    WR_TRY(
        wr_track_number(&there, 0, t, err, "SELECT 1 FROM user_tokens WHERE user_id = ? AND name = ?", "is", id, name));
    if (there)
        return wr_err_set(err, WEIR_EEXIST, "user \"%.*s\" has a token \"%.*s\" already",
                          WR_STR_FMT(wr_str_fit(user, 80)), WR_STR_FMT(wr_str_fit(name, 80)));
    token_text(out);
    wr_sha256_of(out, strlen(out), hash);
    int rc = wr_track_exec(
        t, err, "INSERT INTO user_tokens (hash, user_id, name, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)", "sisii",
        wr_str_of(hash), id, name, wr_track_now_ms(), expires_ms);
    return changed(t, rc, err);
}

int wr_token_delete(wr_track *t, wr_str user, wr_str name, wr_err *err)
{
    int64_t id;
    WR_TRY(user_id(&id, t, user, err));
    int rc =
        wr_track_exec(t, err, "DELETE FROM user_tokens WHERE user_id = ? AND name = ? RETURNING 1", "is", id, name);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "user \"%.*s\" has no token \"%.*s\"", WR_STR_FMT(wr_str_fit(user, 80)),
                          WR_STR_FMT(wr_str_fit(name, 80)));
    return changed(t, rc, err);
}

/* ---- grants to a user ---- */

static const char *const types[] = {"experiment",
                                    "registered_model",
                                    "endpoint", /* ours: a name that answers predictions */
                                    "prompt",
                                    "scorer",
                                    "gateway_secret",
                                    "gateway_endpoint",
                                    "gateway_model_definition",
                                    "mcp_server",
                                    "run",
                                    "trace",
                                    "assessment",
                                    "logged_model",
                                    "review_queue",
                                    "registered_model_version",
                                    "prompt_version",
                                    "scorer_version",
                                    "mcp_server_version",
                                    "workspace"};

static int check_type(wr_str type, wr_err *err)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (wr_str_is(type, types[i])) return 0;
    return wr_err_set(err, WEIR_EINVAL, "Invalid resource type '%.*s'.", WR_STR_FMT(wr_str_fit(type, 60)));
}

/* The user's own role; made when `make`, else 0 when there is none. */
static int own_role(int64_t *out, wr_track *t, int64_t user, bool make, wr_err *err)
{
    char name[48];
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM roles WHERE user_id = ?", "i", user));
    if (*out || !make) return 0;
    snprintf(name, sizeof name, "__user_%lld__", (long long)user);
    WR_TRY(wr_track_number(out, 0, t, err,
                           "INSERT INTO roles (name, description, user_id) VALUES (?, '', ?) RETURNING id", "si",
                           wr_str_of(name), user));
    int rc = wr_track_exec(t, err, "INSERT INTO user_roles (user_id, role) VALUES (?, ?)", "ii", user, *out);
    return rc < 0 ? rc : 0;
}

static int put_grant(wr_track *t, int64_t role, wr_str type, wr_str resource, wr_permission p, wr_err *err)
{
    int rc = wr_track_exec(t, err,
                           "INSERT INTO role_grants (role, type, resource, permission) VALUES (?, ?, ?, ?)"
                           " ON CONFLICT (role, type, resource) DO UPDATE SET permission = excluded.permission",
                           "issi", role, type, resource, (int64_t)p);
    return changed(t, rc, err);
}

int wr_grant_set(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_permission p, wr_err *err)
{
    int64_t id, role;
    WR_TRY(check_type(type, err));
    WR_TRY(user_id(&id, t, user, err));
    WR_TRY(own_role(&role, t, id, true, err));
    return put_grant(t, role, type, resource, p, err);
}

static int no_grant(wr_str user, wr_str type, wr_str resource, wr_err *err)
{
    wr_str u = wr_str_fit(user, 60), r = wr_str_fit(resource, 100);
    if (wr_str_is(type, "experiment"))
        return wr_err_set(err, WEIR_ENOTFOUND,
                          "Experiment permission with experiment_id=%.*s and username=%.*s not found", WR_STR_FMT(r),
                          WR_STR_FMT(u));
    if (wr_str_is(type, "registered_model"))
        return wr_err_set(err, WEIR_ENOTFOUND,
                          "Registered model permission with workspace=default, name=%.*s and username=%.*s not found",
                          WR_STR_FMT(r), WR_STR_FMT(u));
    return wr_err_set(err, WEIR_ENOTFOUND,
                      "Permission with resource_type=%.*s, resource_id=%.*s and username=%.*s not found",
                      WR_STR_FMT(wr_str_fit(type, 40)), WR_STR_FMT(r), WR_STR_FMT(u));
}

int wr_grant_get(wr_permission *out, int64_t *id, wr_track *t, wr_str user, wr_str type, wr_str resource, wr_err *err)
{
    int64_t role, p;
    WR_TRY(user_id(id, t, user, err));
    WR_TRY(own_role(&role, t, *id, false, err));
    WR_TRY(wr_track_number(&p, -100, t, err,
                           "SELECT permission FROM role_grants WHERE role = ? AND type = ? AND resource = ?", "iss",
                           role, type, resource));
    if (p == -100) return no_grant(user, type, resource, err);
    *out = (wr_permission)p;
    return 0;
}

int wr_grant_create(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_permission p, wr_err *err)
{
    wr_permission there;
    int64_t id;
    int rc = wr_grant_get(&there, &id, t, user, type, resource, err);
    if (rc == 0)
        return wr_err_set(err, WEIR_EEXIST, "Permission of user %.*s for %.*s %.*s already exists.",
                          WR_STR_FMT(wr_str_fit(user, 60)), WR_STR_FMT(wr_str_fit(type, 40)),
                          WR_STR_FMT(wr_str_fit(resource, 100)));
    if (rc != WEIR_ENOTFOUND) return rc;
    return wr_grant_set(t, user, type, resource, p, err); /* says so when the user is what was not found */
}

int wr_grant_update(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_permission p, wr_err *err)
{
    wr_permission there;
    int64_t id;
    WR_TRY(wr_grant_get(&there, &id, t, user, type, resource, err));
    return wr_grant_set(t, user, type, resource, p, err);
}

int wr_grant_delete(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_err *err)
{
    int64_t id, role;
    WR_TRY(user_id(&id, t, user, err));
    WR_TRY(own_role(&role, t, id, false, err));
    int rc = wr_track_exec(t, err, "DELETE FROM role_grants WHERE role = ? AND type = ? AND resource = ? RETURNING 1",
                           "iss", role, type, resource);
    return rc == 0 ? no_grant(user, type, resource, err) : changed(t, rc, err);
}

int wr_grant_forget(wr_track *t, wr_str type, wr_str resource, wr_err *err)
{
    return changed(
        t, wr_track_exec(t, err, "DELETE FROM role_grants WHERE type = ? AND resource = ?", "ss", type, resource), err);
}

int wr_grant_rename(wr_track *t, wr_str type, wr_str from, wr_str to, wr_err *err)
{
    WR_TRY(wr_track_exec(t, err, "DELETE FROM role_grants WHERE type = ? AND resource = ?", "ss", type, to));
    return changed(t,
                   wr_track_exec(t, err, "UPDATE role_grants SET resource = ? WHERE type = ? AND resource = ?", "sss",
                                 to, type, from),
                   err);
}

/* ---- roles ---- */

static int no_role(int64_t id, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "Role with id=%lld not found", (long long)id);
}

static int check_role(wr_track *t, int64_t id, wr_err *err)
{
    int64_t there;
    WR_TRY(wr_track_number(&there, 0, t, err, "SELECT id FROM roles WHERE id = ?", "i", id));
    return there ? 0 : no_role(id, err);
}

static int role_name_free(wr_track *t, wr_str name, int64_t but, wr_err *err)
{
    int64_t there;
    if (!name.n || wr_str_starts(name, "__user_"))
        return wr_err_set(err, WEIR_EINVAL, "\"%.*s\" is not a name for a role", WR_STR_FMT(wr_str_fit(name, 80)));
    WR_TRY(wr_track_length_check(name, NAME_MAX_CHARACTERS, "name", err));
    WR_TRY(wr_track_number(&there, 0, t, err, "SELECT id FROM roles WHERE name = ?", "s", name));
    return there && there != but
               ? wr_err_set(err, WEIR_EEXIST, "Role with name '%.*s' already exists.", WR_STR_FMT(wr_str_fit(name, 80)))
               : 0;
}

int wr_role_create(int64_t *id, wr_track *t, wr_str workspace, wr_str name, wr_str description, wr_err *err)
{
    WR_TRY(role_name_free(t, name, 0, err));
    WR_TRY(wr_track_length_check(workspace, NAME_MAX_CHARACTERS, "workspace", err));
    WR_TRY(wr_track_number(
        id, 0, t, err, "INSERT INTO roles (name, description, workspace) VALUES (?, ?, ?) RETURNING id", "sss", name,
        description.p ? description : WR_STR(""), workspace.n ? workspace : WR_STR(WR_WORKSPACE)));
    return changed(t, 0, err);
}

int wr_role_update(wr_track *t, int64_t id, wr_str name, wr_str description, wr_err *err)
{
    WR_TRY(check_role(t, id, err));
    if (name.p) {
        WR_TRY(role_name_free(t, name, id, err));
        WR_TRY(wr_track_exec(t, err, "UPDATE roles SET name = ? WHERE id = ?", "si", name, id));
    }
    if (description.p)
        WR_TRY(wr_track_exec(t, err, "UPDATE roles SET description = ? WHERE id = ?", "si", description, id));
    return changed(t, 0, err);
}

int wr_role_delete(wr_track *t, int64_t id, wr_err *err)
{
    WR_TRY(check_role(t, id, err));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM role_grants WHERE role = ?", "i", id));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM user_roles WHERE role = ?", "i", id));
    return changed(t, wr_track_exec(t, err, "DELETE FROM roles WHERE id = ?", "i", id), err);
}

int wr_role_grant(int64_t *id, wr_track *t, int64_t role, wr_str type, wr_str resource, wr_permission p, wr_err *err)
{
    WR_TRY(check_type(type, err));
    WR_TRY(check_role(t, role, err));
    WR_TRY(wr_track_number(id, 0, t, err, "SELECT id FROM role_grants WHERE role = ? AND type = ? AND resource = ?",
                           "iss", role, type, resource));
    if (*id)
        return wr_err_set(err, WEIR_EEXIST, "The role has a permission for %.*s already.",
                          WR_STR_FMT(wr_str_fit(resource, 100)));
    WR_TRY(put_grant(t, role, type, resource, p, err));
    return wr_track_number(id, 0, t, err, "SELECT id FROM role_grants WHERE role = ? AND type = ? AND resource = ?",
                           "iss", role, type, resource);
}

int wr_role_grant_update(wr_track *t, int64_t grant, wr_permission p, wr_err *err)
{
    int rc = wr_track_exec(t, err, "UPDATE role_grants SET permission = ? WHERE id = ? RETURNING 1", "ii", (int64_t)p,
                           grant);
    return rc == 0 ? wr_err_set(err, WEIR_ENOTFOUND, "Role permission with id=%lld not found", (long long)grant)
                   : changed(t, rc, err);
}

int wr_role_grant_remove(wr_track *t, int64_t grant, wr_err *err)
{
    int rc = wr_track_exec(t, err, "DELETE FROM role_grants WHERE id = ? RETURNING 1", "i", grant);
    return rc == 0 ? wr_err_set(err, WEIR_ENOTFOUND, "Role permission with id=%lld not found", (long long)grant)
                   : changed(t, rc, err);
}

int wr_role_assign(wr_track *t, wr_str user, int64_t role, wr_err *err)
{
    int64_t id;
    WR_TRY(user_id(&id, t, user, err));
    WR_TRY(check_role(t, role, err));
    return changed(
        t,
        wr_track_exec(t, err,
                      "INSERT INTO user_roles (user_id, role) VALUES (?, ?) ON CONFLICT (user_id, role) DO NOTHING",
                      "ii", id, role),
        err);
}

int wr_role_unassign(wr_track *t, wr_str user, int64_t role, wr_err *err)
{
    int64_t id;
    WR_TRY(user_id(&id, t, user, err));
    int rc = wr_track_exec(t, err, "DELETE FROM user_roles WHERE user_id = ? AND role = ? RETURNING 1", "ii", id, role);
    return rc == 0 ? wr_err_set(err, WEIR_ENOTFOUND, "The user has no role with id=%lld", (long long)role)
                   : changed(t, rc, err);
}

/* ---- audit ---- */

int wr_audit_add(wr_track *t, wr_str user, wr_str action, wr_str subject, wr_str peer, int status, wr_err *err)
{
    int rc = wr_track_exec(
        t, err, "INSERT INTO audit (time_ms, user_name, action, subject, peer, status) VALUES (?, ?, ?, ?, ?, ?)",
        "issssi", wr_track_now_ms(), user, action, subject, peer, (int64_t)status);
    return rc < 0 ? rc : 0;
}

int wr_audit_list(wr_audit_row **out, size_t *n, wr_arena *a, wr_track *t, int64_t after, size_t limit, wr_err *err)
{
    WR_VEC(wr_audit_row) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(
        &s, t, err,
        "SELECT id, time_ms, user_name, action, subject, peer, status FROM audit WHERE id > ? ORDER BY id LIMIT ?",
        "ii", after, (int64_t)limit));
    while ((rc = wr_step(s, err)) > 0) {
        wr_audit_row r = {wr_stmt_i64(s, 0),
                          wr_stmt_i64(s, 1),
                          wr_arena_str(a, wr_stmt_str(s, 2)),
                          wr_arena_str(a, wr_stmt_str(s, 3)),
                          wr_arena_str(a, wr_stmt_str(s, 4)),
                          wr_arena_str(a, wr_stmt_str(s, 5)),
                          (int)wr_stmt_i64(s, 6)};
        if ((rc = wr_vec_add(&rows, r, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}
