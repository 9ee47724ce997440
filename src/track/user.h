/* SPDX-License-Identifier: Apache-2.0 */
/* user.h - users, roles, grants, tokens, and the audit log of a server with authentication.
 *
 * A role is a set of grants, "permission on a resource or on all of its type"; a user has roles, and one of their own
 * ("__user_<id>__") for grants made to the user directly. The strongest grant that fits counts, DENY before all;
 * without one the default does; an administrator may everything. Types: "experiment", "registered_model", and what
 * MLflow names besides.
 *
 * Checks happen on every request, so they look at a picture of all users and grants in memory (wr_users), which is read
 * again when something changed. A picture is immutable; wr_users_check() costs about a microsecond.
 */
#pragma once
#include "track/track.h"

typedef enum { WR_DENY = -1, WR_NO_PERMISSIONS = 0, WR_CAN_READ, WR_CAN_USE, WR_CAN_EDIT, WR_CAN_MANAGE } wr_permission;
const char *wr_permission_name(wr_permission p); /* "READ" */
int wr_permission_parse(wr_permission *out, wr_str name, wr_err *err);

/* ---- changes; in a write ---- */

enum { WR_PASSWORD_MIN = 12 };
int wr_user_create(int64_t *id, wr_track *t, wr_str name, wr_str password, bool admin, wr_err *err); /* WEIR_EEXIST */
int wr_user_set_password(wr_track *t, wr_str name, wr_str password, wr_err *err);
int wr_user_set_admin(wr_track *t, wr_str name, bool admin, wr_err *err);
int wr_user_delete(wr_track *t, wr_str name, wr_err *err); /* with roles of its own and tokens */

/* A token is shown once and kept as its SHA-256: "weir_" and 43 characters. expires_ms 0 = never. */
#define WR_TOKEN_TEXT 64
int wr_token_create(char out[WR_TOKEN_TEXT], wr_track *t, wr_str user, wr_str name, int64_t expires_ms, wr_err *err);
int wr_token_delete(wr_track *t, wr_str user, wr_str name, wr_err *err); /* WEIR_ENOTFOUND */

/* Grants to a user directly. `resource` is an id, or "*". */
int wr_grant_set(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_permission p, wr_err *err);
int wr_grant_create(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_permission p,
                    wr_err *err); /* WEIR_EEXIST */
int wr_grant_update(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_permission p,
                    wr_err *err);                                                         /* WEIR_ENOTFOUND */
int wr_grant_delete(wr_track *t, wr_str user, wr_str type, wr_str resource, wr_err *err); /* WEIR_ENOTFOUND */
/* What the user was granted directly; WEIR_ENOTFOUND without. */
int wr_grant_get(wr_permission *out, int64_t *user_id, wr_track *t, wr_str user, wr_str type, wr_str resource,
                 wr_err *err);
/* The resource is gone, or has another name: for everybody. */
int wr_grant_forget(wr_track *t, wr_str type, wr_str resource, wr_err *err);
int wr_grant_rename(wr_track *t, wr_str type, wr_str from, wr_str to, wr_err *err);

/* Roles (MLflow 3.x). A role is of a workspace, and there is one: those of others ("" = that one) can be made and read,
 * and give nothing. Names are unique over all of them. */
#define WR_WORKSPACE "default"
int wr_role_create(int64_t *id, wr_track *t, wr_str workspace, wr_str name, wr_str description, wr_err *err);
int wr_role_update(wr_track *t, int64_t id, wr_str name, wr_str description, wr_err *err); /* {NULL,0} leaves it */
int wr_role_delete(wr_track *t, int64_t id, wr_err *err);
int wr_role_grant(int64_t *id, wr_track *t, int64_t role, wr_str type, wr_str resource, wr_permission p, wr_err *err);
int wr_role_grant_update(wr_track *t, int64_t grant, wr_permission p, wr_err *err);
int wr_role_grant_remove(wr_track *t, int64_t grant, wr_err *err);
int wr_role_assign(wr_track *t, wr_str user, int64_t role, wr_err *err);
int wr_role_unassign(wr_track *t, wr_str user, int64_t role, wr_err *err); /* WEIR_ENOTFOUND */

/* Who did what: one row a change. */
int wr_audit_add(wr_track *t, wr_str user, wr_str action, wr_str subject, wr_str peer, int status, wr_err *err);
typedef struct {
    int64_t id, time_ms;
    wr_str user, action, subject, peer;
    int status;
} wr_audit_row;
int wr_audit_list(wr_audit_row **out, size_t *n, wr_arena *a, wr_track *t, int64_t after, size_t limit,
                  wr_err *err); /* oldest first */

/* ---- the picture ---- */

typedef struct {
    int64_t id;
    wr_str type, resource;
    wr_permission permission;
} wr_grant;
typedef struct {
    int64_t id;
    wr_str name, description, workspace;
    bool personal;
    bool elsewhere; /* of another workspace: its grants do not count */
    wr_grant *grants;
    size_t ngrants;
} wr_role;
typedef struct {
    int64_t id;
    wr_str name;
    const char *password;
    bool admin;
    const wr_role **roles;
    size_t nroles;
} wr_user;
typedef struct wr_users wr_users;

int wr_users_read(wr_users **out, wr_track *t, wr_err *err);
void wr_users_free(wr_users *u);
size_t wr_users_count(const wr_users *u);
const wr_user *wr_users_at(const wr_users *u, size_t i);      /* by name */
const wr_user *wr_users_find(const wr_users *u, wr_str name); /* NULL when there is none */
/* Whose token it is; NULL for an unknown or an expired one. */
const wr_user *wr_users_token(const wr_users *u, wr_str token, int64_t now_ms);
const wr_role *wr_users_role(const wr_users *u, int64_t id);
size_t wr_users_roles(const wr_users *u);
const wr_role *wr_users_role_at(const wr_users *u, size_t i); /* by id */
/* The strongest grant that fits, `otherwise` without one. */
wr_permission wr_users_check(const wr_user *user, wr_str type, wr_str resource, wr_permission otherwise);
/* A number kept in the database that every change raises: other processes' changes show in it. */
int wr_users_version(int64_t *out, wr_track *t, wr_err *err);
