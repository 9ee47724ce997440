/* SPDX-License-Identifier: Apache-2.0 */
/* users.c - users/..., permissions of experiments, registered models and scorers, grants and roles (3.x). Who may call
 * them: access.c. */
#include <stdio.h>

#include "base/num.h"
#include "base/password.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

static int need_auth(const wr_mlflow_call *c, wr_err *err)
{
    if (c->access) return 0;
    wr_err_set(err, WEIR_EUNSUPPORTED, "this server has no authentication");
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "weir up --auth");
}

/* ---- users ---- */

static int find_user(const wr_user **out, const wr_mlflow_call *c, wr_str name, wr_err *err)
{
    WR_TRY(need_auth(c, err));
    *out = wr_users_find(c->access->users, name);
    if (*out) return 0;
    return wr_err_set(err, WEIR_ENOTFOUND, "User with username=%.*s not found", WR_STR_FMT(wr_str_fit(name, 100)));
}

static void put_role(wr_jsonw *w, const wr_role *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "id", r->id);
    wr_jsonw_kslice(w, "name", r->name);
    wr_jsonw_kslice(w, "workspace", r->workspace);
    wr_jsonw_kslice(w, "description", r->description);
    wr_jsonw_key(w, "permissions");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->ngrants; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_ki64(w, "id", r->grants[i].id);
        wr_jsonw_ki64(w, "role_id", r->id);
        wr_jsonw_kslice(w, "resource_type", r->grants[i].type);
        wr_jsonw_kslice(w, "resource_pattern", r->grants[i].resource);
        wr_jsonw_kstr(w, "permission", wr_permission_name(r->grants[i].permission));
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

/* What a grant of 2.x is on; a scorer's is "EXPERIMENT/NAME". */
static void put_resource(wr_jsonw *w, wr_str type, wr_str id)
{
    if (wr_str_is(type, "registered_model")) {
        wr_jsonw_kslice(w, "name", id);
        wr_jsonw_kstr(w, "workspace", WR_WORKSPACE);
    } else if (wr_str_is(type, "scorer")) {
        wr_jsonw_kslice(w, "experiment_id", wr_str_cut(&id, '/'));
        wr_jsonw_kslice(w, "scorer_name", id);
    } else wr_jsonw_kslice(w, "experiment_id", id);
}

/* 2.x: what was granted directly, by kind of resource. */
static void put_permissions(wr_jsonw *w, const wr_user *u, const char *key, const char *type)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < u->nroles; i++)
        for (size_t k = 0; u->roles[i]->personal && k < u->roles[i]->ngrants; k++) {
            const wr_grant *g = &u->roles[i]->grants[k];
            if (!wr_str_is(g->type, type)) continue;
            wr_jsonw_obj(w);
            put_resource(w, g->type, g->resource);
            wr_jsonw_ki64(w, "user_id", u->id);
            wr_jsonw_kstr(w, "permission", wr_permission_name(g->permission));
            wr_jsonw_end(w);
        }
    wr_jsonw_end(w);
}

static void put_user(wr_jsonw *w, const char *key, const wr_user *u, bool permissions)
{
    static const char *const none[] = {"gateway_secret_permissions", "gateway_endpoint_permissions",
                                       "gateway_model_definition_permissions"};
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "id", u->id);
    wr_jsonw_kslice(w, "username", u->name);
    wr_jsonw_kbool(w, "is_admin", u->admin);
    if (permissions) {
        put_permissions(w, u, "experiment_permissions", "experiment");
        put_permissions(w, u, "registered_model_permissions", "registered_model");
        put_permissions(w, u, "scorer_permissions", "scorer");
        for (size_t i = 0; i < sizeof none / sizeof *none;
             i++) { /* kinds of resources that are not here; clients look */
            wr_jsonw_key(w, none[i]);
            wr_jsonw_arr(w);
            wr_jsonw_end(w);
        }
    }
    wr_jsonw_end(w);
}

static int create_user(wr_mlflow_call *c, wr_err *err)
{
    wr_user u = {.name = wr_mlflow_str(c, "username")};
    WR_TRY(need_auth(c, err));
    WR_TRY(wr_user_create(&u.id, c->track, u.name, wr_mlflow_str(c, "password"), false, err));
    put_user(&c->w, "user", &u, true);
    return 0;
}

static int get_user(wr_mlflow_call *c, wr_err *err)
{
    const wr_user *u;
    WR_TRY(find_user(&u, c, wr_mlflow_str(c, "username"), err));
    put_user(&c->w, "user", u, true);
    return 0;
}

static int current_user(wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(need_auth(c, err));
    put_user(&c->w, "user", c->access->user, false);
    wr_jsonw_kbool(&c->w, "is_basic_auth", true);
    return 0;
}

static int list_users(wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(need_auth(c, err));
    wr_jsonw_key(&c->w, "users");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < wr_users_count(c->access->users); i++) {
        const wr_user *u = wr_users_at(c->access->users, i);
        wr_jsonw_obj(&c->w);
        wr_jsonw_ki64(&c->w, "id", u->id);
        wr_jsonw_kslice(&c->w, "username", u->name);
        wr_jsonw_kbool(&c->w, "is_admin", u->admin);
        wr_jsonw_key(&c->w, "roles");
        wr_jsonw_arr(&c->w);
        for (size_t k = 0; k < u->nroles; k++) put_role(&c->w, u->roles[k]);
        wr_jsonw_end(&c->w);
        wr_jsonw_end(&c->w);
    }
    wr_jsonw_end(&c->w);
    return 0;
}

/* Who changes their own password proves that they know it. */
static int update_password(wr_mlflow_call *c, wr_err *err)
{
    const wr_user *u;
    wr_str password = wr_mlflow_str(c, "password"), current = wr_mlflow_str(c, "current_password");
    WR_TRY(find_user(&u, c, wr_mlflow_str(c, "username"), err));
    if (wr_str_eq(u->name, c->access->user->name)) {
        if (!current.n)
            return wr_err_set(err, WEIR_EINVAL, "Current password is required when changing your own password.");
        if (!wr_password_ok(current, u->password))
            return wr_err_set(err, WEIR_EINVAL, "Current password does not match.");
        if (wr_str_eq(current, password))
            return wr_err_set(err, WEIR_EINVAL, "New password must differ from the current password.");
    }
    return wr_user_set_password(c->track, u->name, password, err);
}

static int update_admin(wr_mlflow_call *c, wr_err *err)
{
    const wr_user *u;
    WR_TRY(find_user(&u, c, wr_mlflow_str(c, "username"), err));
    return wr_user_set_admin(c->track, u->name, wr_mlflow_bool(c, "is_admin", false), err);
}

static int delete_user(wr_mlflow_call *c, wr_err *err)
{
    const wr_user *u;
    WR_TRY(find_user(&u, c, wr_mlflow_str(c, "username"), err));
    if (u != c->access->user) return wr_user_delete(c->track, u->name, err);
    c->error_code = "BAD_REQUEST";
    return wr_err_set(err, WEIR_EINVAL,
                      "Users cannot delete their own account. Ask another admin to delete this user instead.");
}

/* ---- permissions of one resource (2.x), grants (3.x): the same rows ---- */

typedef struct {
    wr_str user, type, id;
    const char *noun;
} target;

static int target_scorer(target *out, wr_mlflow_call *c, wr_err *err)
{
    int64_t experiment;
    out->type = WR_STR("scorer");
    out->noun = "scorer_permission";
    WR_TRY(wr_mlflow_experiment_id(&experiment, wr_mlflow_str(c, "experiment_id"), err));
    out->id = wr_mlflow_scorer_id(c->arena, experiment, wr_mlflow_str(c, "scorer_name"));
    return out->id.p ? 0 : wr_err_nomem(err);
}

static int target_of(target *out, wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(need_auth(c, err));
    *out = (target){.user = wr_mlflow_str(c, "username")};
    if (strstr(c->rpc->path, "scorers/")) return target_scorer(out, c, err);
    if (strstr(c->rpc->path, "experiments/"))
        *out = (target){out->user, WR_STR("experiment"), wr_mlflow_str(c, "experiment_id"), "experiment_permission"};
    else if (strstr(c->rpc->path, "registered-models/"))
        *out = (target){out->user, WR_STR("registered_model"), wr_mlflow_str(c, "name"), "registered_model_permission"};
    else *out = (target){out->user, wr_mlflow_str(c, "resource_type"), wr_mlflow_str(c, "resource_id"), NULL};
    return 0;
}

static void put_permission(wr_mlflow_call *c, const target *t, int64_t user, wr_permission p)
{
    wr_jsonw_key(&c->w, t->noun);
    wr_jsonw_obj(&c->w);
    put_resource(&c->w, t->type, t->id);
    wr_jsonw_ki64(&c->w, "user_id", user);
    wr_jsonw_kstr(&c->w, "permission", wr_permission_name(p));
    wr_jsonw_end(&c->w);
}

static int create_permission(wr_mlflow_call *c, wr_err *err)
{
    target t;
    wr_permission p;
    int64_t id;
    WR_TRY(target_of(&t, c, err));
    WR_TRY(wr_permission_parse(&p, wr_mlflow_str(c, "permission"), err));
    WR_TRY(wr_grant_create(c->track, t.user, t.type, t.id, p, err));
    WR_TRY(wr_grant_get(&p, &id, c->track, t.user, t.type, t.id, err));
    put_permission(c, &t, id, p);
    return 0;
}

static int get_permission(wr_mlflow_call *c, wr_err *err)
{
    target t;
    wr_permission p;
    int64_t id;
    WR_TRY(target_of(&t, c, err));
    WR_TRY(wr_grant_get(&p, &id, c->track, t.user, t.type, t.id, err));
    put_permission(c, &t, id, p);
    return 0;
}

static int update_permission(wr_mlflow_call *c, wr_err *err)
{
    target t;
    wr_permission p;
    WR_TRY(target_of(&t, c, err));
    WR_TRY(wr_permission_parse(&p, wr_mlflow_str(c, "permission"), err));
    return wr_grant_update(c->track, t.user, t.type, t.id, p, err);
}

static int delete_permission(wr_mlflow_call *c, wr_err *err)
{
    target t;
    WR_TRY(target_of(&t, c, err));
    return wr_grant_delete(c->track, t.user, t.type, t.id, err);
}

static int grant(wr_mlflow_call *c, wr_err *err)
{
    target t;
    wr_permission p;
    WR_TRY(target_of(&t, c, err));
    WR_TRY(wr_permission_parse(&p, wr_mlflow_str(c, "permission"), err));
    return wr_grant_set(c->track, t.user, t.type, t.id, p, err);
}

/* What a request would get, not only what was granted directly. */
static int effective(wr_mlflow_call *c, wr_err *err)
{
    target t;
    const wr_user *u;
    WR_TRY(target_of(&t, c, err));
    WR_TRY(find_user(&u, c, t.user, err));
    wr_permission p = wr_users_check(u, t.type, t.id, c->access->otherwise);
    wr_jsonw_kbool(&c->w, "allowed", p >= WR_CAN_USE);
    wr_jsonw_kstr(&c->w, "permission", wr_permission_name(p));
    return 0;
}

static void put_grants(wr_mlflow_call *c, const wr_user *u)
{
    wr_jsonw_kbool(&c->w, "is_admin", u->admin);
    wr_jsonw_key(&c->w, "permissions");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < u->nroles; i++)
        for (size_t k = 0; k < u->roles[i]->ngrants; k++) {
            const wr_grant *g = &u->roles[i]->grants[k];
            wr_jsonw_obj(&c->w);
            wr_jsonw_ki64(&c->w, "role_id", u->roles[i]->id);
            wr_jsonw_kslice(&c->w, "role_name", u->roles[i]->name);
            wr_jsonw_kslice(&c->w, "workspace", u->roles[i]->workspace);
            wr_jsonw_kslice(&c->w, "resource_type", g->type);
            wr_jsonw_kslice(&c->w, "resource_pattern", g->resource);
            wr_jsonw_kstr(&c->w, "permission", wr_permission_name(g->permission));
            wr_jsonw_end(&c->w);
        }
    wr_jsonw_end(&c->w);
}

static int list_permissions(wr_mlflow_call *c, wr_err *err)
{
    const wr_user *u;
    WR_TRY(find_user(&u, c, wr_mlflow_str(c, "username"), err));
    put_grants(c, u);
    return 0;
}

static int current_permissions(wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(need_auth(c, err));
    put_grants(c, c->access->user);
    return 0;
}

/* ---- roles ---- */

static int put_new_role(wr_mlflow_call *c, int64_t id, wr_err *err)
{
    wr_users *now; /* with what this write has changed */
    WR_TRY(wr_users_read(&now, c->track, err));
    const wr_role *r = wr_users_role(now, id);
    if (r) {
        wr_jsonw_key(&c->w, "role");
        put_role(&c->w, r);
    }
    wr_users_free(now);
    return r ? 0 : wr_err_set(err, WEIR_ENOTFOUND, "Role with id=%lld not found", (long long)id);
}

static int create_role(wr_mlflow_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(need_auth(c, err));
    WR_TRY(wr_role_create(&id, c->track, wr_mlflow_str(c, "workspace"), wr_mlflow_str(c, "name"),
                          wr_mlflow_str(c, "description"), err));
    return put_new_role(c, id, err);
}

static int role_of(const wr_role **out, wr_mlflow_call *c, wr_err *err)
{
    int64_t id = wr_mlflow_i64(c, "role_id", 0);
    WR_TRY(need_auth(c, err));
    *out = wr_users_role(c->access->users, id);
    return *out ? 0 : wr_err_set(err, WEIR_ENOTFOUND, "Role with id=%lld not found", (long long)id);
}

static int get_role(wr_mlflow_call *c, wr_err *err)
{
    const wr_role *r;
    WR_TRY(role_of(&r, c, err));
    wr_jsonw_key(&c->w, "role");
    put_role(&c->w, r);
    return 0;
}

static int list_roles(wr_mlflow_call *c, wr_err *err)
{
    wr_str workspace = wr_mlflow_str(c, "workspace");
    WR_TRY(need_auth(c, err));
    wr_jsonw_key(&c->w, "roles");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < wr_users_roles(c->access->users); i++) {
        const wr_role *r = wr_users_role_at(c->access->users, i);
        if (!r->personal && (!workspace.n || wr_str_eq(workspace, r->workspace))) put_role(&c->w, r);
    }
    wr_jsonw_end(&c->w);
    return 0;
}

static int update_role(wr_mlflow_call *c, wr_err *err)
{
    const wr_role *r;
    WR_TRY(role_of(&r, c, err));
    if (!wr_mlflow_str(c, "name").p && !wr_mlflow_str(c, "description").p)
        return wr_err_set(err, WEIR_EINVAL, "At least one of 'name' or 'description' must be given.");
    WR_TRY(wr_role_update(c->track, r->id, wr_mlflow_str(c, "name"), wr_mlflow_str(c, "description"), err));
    return put_new_role(c, r->id, err);
}

static int delete_role(wr_mlflow_call *c, wr_err *err)
{
    const wr_role *r;
    WR_TRY(role_of(&r, c, err));
    return wr_role_delete(c->track, r->id, err);
}

static void put_grant(wr_jsonw *w, int64_t role, const wr_grant *g)
{
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "id", g->id);
    wr_jsonw_ki64(w, "role_id", role);
    wr_jsonw_kslice(w, "resource_type", g->type);
    wr_jsonw_kslice(w, "resource_pattern", g->resource);
    wr_jsonw_kstr(w, "permission", wr_permission_name(g->permission));
    wr_jsonw_end(w);
}

static int add_grant(wr_mlflow_call *c, wr_err *err)
{
    const wr_role *r;
    wr_grant g = {.type = wr_mlflow_str(c, "resource_type"), .resource = wr_mlflow_str(c, "resource_pattern")};
    WR_TRY(role_of(&r, c, err));
    WR_TRY(wr_permission_parse(&g.permission, wr_mlflow_str(c, "permission"), err));
    WR_TRY(wr_role_grant(&g.id, c->track, r->id, g.type, g.resource, g.permission, err));
    wr_jsonw_key(&c->w, "role_permission");
    put_grant(&c->w, r->id, &g);
    return 0;
}

static int remove_grant(wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(need_auth(c, err));
    return wr_role_grant_remove(c->track, wr_mlflow_i64(c, "role_permission_id", 0), err);
}

static int change_grant(wr_mlflow_call *c, wr_err *err)
{
    wr_permission p;
    int64_t id = wr_mlflow_i64(c, "role_permission_id", 0);
    WR_TRY(need_auth(c, err));
    WR_TRY(wr_permission_parse(&p, wr_mlflow_str(c, "permission"), err));
    WR_TRY(wr_role_grant_update(c->track, id, p, err));
    for (size_t i = 0; i < wr_users_roles(c->access->users); i++) {
        const wr_role *r = wr_users_role_at(c->access->users, i);
        for (size_t k = 0; k < r->ngrants; k++) {
            if (r->grants[k].id != id) continue;
            wr_grant g = r->grants[k];
            g.permission = p;
            wr_jsonw_key(&c->w, "role_permission");
            put_grant(&c->w, r->id, &g);
        }
    }
    return 0;
}

static int list_grants(wr_mlflow_call *c, wr_err *err)
{
    const wr_role *r;
    WR_TRY(role_of(&r, c, err));
    wr_jsonw_key(&c->w, "role_permissions");
    wr_jsonw_arr(&c->w);
    for (size_t k = 0; k < r->ngrants; k++) put_grant(&c->w, r->id, &r->grants[k]);
    wr_jsonw_end(&c->w);
    return 0;
}

static int assign(wr_mlflow_call *c, wr_err *err)
{
    const wr_role *r;
    const wr_user *u;
    WR_TRY(role_of(&r, c, err));
    WR_TRY(find_user(&u, c, wr_mlflow_str(c, "username"), err));
    WR_TRY(wr_role_assign(c->track, u->name, r->id, err));
    wr_jsonw_key(&c->w, "assignment");
    wr_jsonw_obj(&c->w);
    wr_jsonw_ki64(&c->w, "id", r->id);
    wr_jsonw_ki64(&c->w, "user_id", u->id);
    wr_jsonw_ki64(&c->w, "role_id", r->id);
    wr_jsonw_end(&c->w);
    return 0;
}

static int unassign(wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(need_auth(c, err));
    return wr_role_unassign(c->track, wr_mlflow_str(c, "username"), wr_mlflow_i64(c, "role_id", 0), err);
}

static int roles_of_user(wr_mlflow_call *c, wr_err *err)
{
    const wr_user *u;
    WR_TRY(find_user(&u, c, wr_mlflow_str(c, "username"), err));
    wr_jsonw_key(&c->w, "roles");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < u->nroles; i++)
        if (!u->roles[i]->personal) put_role(&c->w, u->roles[i]);
    wr_jsonw_end(&c->w);
    return 0;
}

static int users_of_role(wr_mlflow_call *c, wr_err *err)
{
    const wr_role *r;
    WR_TRY(role_of(&r, c, err));
    wr_jsonw_key(&c->w, "assignments");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < wr_users_count(c->access->users); i++) {
        const wr_user *u = wr_users_at(c->access->users, i);
        for (size_t k = 0; k < u->nroles; k++) {
            if (u->roles[k] != r) continue;
            wr_jsonw_obj(&c->w);
            wr_jsonw_ki64(&c->w, "id", r->id);
            wr_jsonw_ki64(&c->w, "user_id", u->id);
            wr_jsonw_ki64(&c->w, "role_id", r->id);
            wr_jsonw_end(&c->w);
        }
    }
    wr_jsonw_end(&c->w);
    return 0;
}

#define NAME                                                                                                           \
    {                                                                                                                  \
        "username", 's', true                                                                                          \
    }
#define LEVEL                                                                                                          \
    {                                                                                                                  \
        "permission", 's', true                                                                                        \
    }
#define EXPERIMENT                                                                                                     \
    {                                                                                                                  \
        "experiment_id", 's', true                                                                                     \
    }
#define MODEL                                                                                                          \
    {                                                                                                                  \
        "name", 's', true                                                                                              \
    }
#define SCORER                                                                                                         \
    EXPERIMENT, { "scorer_name", 's', true }
#define RESOURCE                                                                                                       \
    {"resource_type", 's', true}, { "resource_id", 's', true }
#define ROLE                                                                                                           \
    {                                                                                                                  \
        "role_id", 'i', true                                                                                           \
    }
#define USERS2 "2.0/mlflow/users/"
#define USERS3 "3.0/mlflow/users/"
#define ROLES3 "3.0/mlflow/roles/"
static const wr_mlflow_rpc rpcs[] = {
    {"POST", USERS2 "create", WR_MLFLOW_WRITE, create_user, {NAME, {"password", 's', true}}},
    {"GET", USERS2 "get", WR_MLFLOW_READ, get_user, {NAME}},
    {"GET", USERS2 "list", WR_MLFLOW_READ, list_users, {{0}}},
    {"GET", USERS2 "current", WR_MLFLOW_READ, current_user, {{0}}},
    {"PATCH",
     USERS2 "update-password",
     WR_MLFLOW_WRITE,
     update_password,
     {NAME, {"password", 's', true}, {"current_password", 's', false}}},
    {"PATCH", USERS2 "update-admin", WR_MLFLOW_WRITE, update_admin, {NAME, {"is_admin", 'b', true}}},
    {"DELETE", USERS2 "delete", WR_MLFLOW_WRITE, delete_user, {NAME}},
    {"POST",
     "2.0/mlflow/experiments/permissions/create",
     WR_MLFLOW_WRITE,
     create_permission,
     {NAME, EXPERIMENT, LEVEL}},
    {"GET", "2.0/mlflow/experiments/permissions/get", WR_MLFLOW_READ, get_permission, {NAME, EXPERIMENT}},
    {"PATCH",
     "2.0/mlflow/experiments/permissions/update",
     WR_MLFLOW_WRITE,
     update_permission,
     {NAME, EXPERIMENT, LEVEL}},
    {"DELETE", "2.0/mlflow/experiments/permissions/delete", WR_MLFLOW_WRITE, delete_permission, {NAME, EXPERIMENT}},
    {"POST",
     "2.0/mlflow/registered-models/permissions/create",
     WR_MLFLOW_WRITE,
     create_permission,
     {NAME, MODEL, LEVEL}},
    {"GET", "2.0/mlflow/registered-models/permissions/get", WR_MLFLOW_READ, get_permission, {NAME, MODEL}},
    {"PATCH",
     "2.0/mlflow/registered-models/permissions/update",
     WR_MLFLOW_WRITE,
     update_permission,
     {NAME, MODEL, LEVEL}},
    {"DELETE", "2.0/mlflow/registered-models/permissions/delete", WR_MLFLOW_WRITE, delete_permission, {NAME, MODEL}},
    {"POST", "3.0/mlflow/scorers/permissions/create", WR_MLFLOW_WRITE, create_permission, {NAME, SCORER, LEVEL}},
    {"GET", "3.0/mlflow/scorers/permissions/get", WR_MLFLOW_READ, get_permission, {NAME, SCORER}},
    {"PATCH", "3.0/mlflow/scorers/permissions/update", WR_MLFLOW_WRITE, update_permission, {NAME, SCORER, LEVEL}},
    {"DELETE", "3.0/mlflow/scorers/permissions/delete", WR_MLFLOW_WRITE, delete_permission, {NAME, SCORER}},
    {"GET", USERS3 "current/permissions", WR_MLFLOW_READ, current_permissions, {{0}}},
    {"GET", USERS3 "permissions/list", WR_MLFLOW_READ, list_permissions, {NAME}},
    {"POST", USERS3 "permissions/grant", WR_MLFLOW_WRITE, grant, {NAME, RESOURCE, LEVEL}},
    {"POST", USERS3 "permissions/revoke", WR_MLFLOW_WRITE, delete_permission, {NAME, RESOURCE}},
    {"GET", USERS3 "permissions/get", WR_MLFLOW_READ, effective, {NAME, RESOURCE}},
    {"GET", USERS3 "roles/list", WR_MLFLOW_READ, roles_of_user, {NAME}},
    {"POST",
     ROLES3 "create",
     WR_MLFLOW_WRITE,
     create_role,
     {MODEL, {"description", 's', false}, {"workspace", 's', false}}},
    {"GET", ROLES3 "get", WR_MLFLOW_READ, get_role, {ROLE}},
    {"GET", ROLES3 "list", WR_MLFLOW_READ, list_roles, {{"workspace", 's', false}}},
    {"PATCH", ROLES3 "update", WR_MLFLOW_WRITE, update_role, {ROLE, {"name", 's', false}, {"description", 's', false}}},
    {"DELETE", ROLES3 "delete", WR_MLFLOW_WRITE, delete_role, {ROLE}},
    {"POST",
     ROLES3 "permissions/add",
     WR_MLFLOW_WRITE,
     add_grant,
     {ROLE, {"resource_type", 's', true}, {"resource_pattern", 's', true}, LEVEL}},
    {"DELETE", ROLES3 "permissions/remove", WR_MLFLOW_WRITE, remove_grant, {{"role_permission_id", 'i', true}}},
    {"GET", ROLES3 "permissions/list", WR_MLFLOW_READ, list_grants, {ROLE}},
    {"PATCH", ROLES3 "permissions/update", WR_MLFLOW_WRITE, change_grant, {{"role_permission_id", 'i', true}, LEVEL}},
    {"POST", ROLES3 "assign", WR_MLFLOW_WRITE, assign, {NAME, ROLE}},
    {"DELETE", ROLES3 "unassign", WR_MLFLOW_WRITE, unassign, {NAME, ROLE}},
    {"GET", ROLES3 "users/list", WR_MLFLOW_READ, users_of_role, {ROLE}},
};
const wr_mlflow_rpcs wr_mlflow_users = {rpcs, sizeof rpcs / sizeof *rpcs};
