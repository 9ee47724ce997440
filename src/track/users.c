/* SPDX-License-Identifier: Apache-2.0 */
/* users.c - the picture of users, roles and grants that requests are checked against. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "track/track_inside.h"
#include "track/user.h"

typedef struct {
    wr_str hash;
    int64_t user;
    int64_t expires_ms;
} token;

struct wr_users {
    wr_arena *arena;
    wr_user *users; /* by name */
    wr_role *roles; /* by id */
    size_t nusers, nroles;
    wr_map names, tokens; /* -> wr_user, token */
};

/* Rows of one query, each through `fn`. */
static int each(wr_users *u, wr_track *t, const char *sql, int (*fn)(wr_users *u, wr_stmt *s), wr_err *err)
{
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err, sql, ""));
    while ((rc = wr_step(s, err)) > 0)
        if (fn(u, s) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    wr_stmt_done(s);
    return rc;
}

static int count(size_t *out, wr_track *t, const char *sql, wr_err *err)
{
    int64_t n;
    WR_TRY(wr_track_number(&n, 0, t, err, sql, ""));
    *out = (size_t)n;
    return 0;
}

static int add_user(wr_users *u, wr_stmt *s)
{
    wr_user *user = &u->users[u->nusers++];
    *user = (wr_user){.id = wr_stmt_i64(s, 0),
                      .name = wr_arena_str(u->arena, wr_stmt_str(s, 1)),
                      .password = wr_arena_str(u->arena, wr_stmt_str(s, 2)).p,
                      .admin = wr_stmt_i64(s, 3) != 0};
    return user->name.p ? (int)wr_map_put(&u->names, user->name, user) : -1;
}

static int add_role(wr_users *u, wr_stmt *s)
{
    wr_role *r = &u->roles[u->nroles++];
    *r = (wr_role){.id = wr_stmt_i64(s, 0),
                   .name = wr_arena_str(u->arena, wr_stmt_str(s, 1)),
                   .description = wr_arena_str(u->arena, wr_stmt_str(s, 2)),
                   .personal = !wr_stmt_null(s, 3),
                   .workspace = wr_arena_str(u->arena, wr_stmt_str(s, 4))};
    size_t n = (size_t)wr_stmt_i64(s, 5);
    r->grants = wr_arena_alloc(u->arena, (n + 1) * sizeof *r->grants);
    r->elsewhere = !wr_str_is(r->workspace, WR_WORKSPACE);
    return r->grants && r->name.p && r->workspace.p ? 0 : -1;
}

static int by_role_id(const void *key, const void *role)
{
    int64_t a = *(const int64_t *)key, b = ((const wr_role *)role)->id;
    return a < b ? -1 : a > b;
}

const wr_role *wr_users_role(const wr_users *u, int64_t id)
{
    return bsearch(&id, u->roles, u->nroles, sizeof *u->roles, by_role_id);
}

static int add_grant(wr_users *u, wr_stmt *s)
{
    int64_t role = wr_stmt_i64(s, 1);
    wr_role *r = bsearch(&role, u->roles, u->nroles, sizeof *u->roles, by_role_id);
    if (!r) return 0;
    wr_grant *g = &r->grants[r->ngrants++];
    *g = (wr_grant){wr_stmt_i64(s, 0), wr_arena_str(u->arena, wr_stmt_str(s, 2)),
                    wr_arena_str(u->arena, wr_stmt_str(s, 3)), (wr_permission)wr_stmt_i64(s, 4)};
    return g->type.p && g->resource.p ? 0 : -1;
}

static int add_user_role(wr_users *u, wr_stmt *s)
{
    wr_user *user = wr_map_get(&u->names, wr_stmt_str(s, 0));
    const wr_role *r = wr_users_role(u, wr_stmt_i64(s, 1));
    if (!user || !r) return 0;
    if ((user->nroles & (user->nroles - 1)) == 0) { /* doubles at powers of two */
        const wr_role **more = wr_arena_alloc(u->arena, (user->nroles ? 2 * user->nroles : 1) * sizeof *more);
        if (!more) return -1;
        if (user->nroles) memcpy((void *)more, (void *)user->roles, user->nroles * sizeof *more);
        user->roles = more;
    }
    user->roles[user->nroles++] = r;
    return 0;
}

static int add_token(wr_users *u, wr_stmt *s)
{
    token *k = wr_arena_alloc(u->arena, sizeof *k);
    wr_user *user = wr_map_get(&u->names, wr_stmt_str(s, 1));
    if (!user) return 0;
    if (!k) return -1;
    *k = (token){wr_arena_str(u->arena, wr_stmt_str(s, 0)), user - u->users, wr_stmt_i64(s, 2)};
    return k->hash.p ? (int)wr_map_put(&u->tokens, k->hash, k) : -1;
}

static int read_in(wr_users *u, wr_track *t, wr_err *err)
{
    size_t users, roles;
    WR_TRY(count(&users, t, "SELECT count(*) FROM users", err));
    WR_TRY(count(&roles, t, "SELECT count(*) FROM roles", err));
    u->users = wr_arena_calloc(u->arena, users + 1, sizeof *u->users);
    u->roles = wr_arena_calloc(u->arena, roles + 1, sizeof *u->roles);
    if (!u->users || !u->roles) return wr_err_nomem(err);
    WR_TRY(each(u, t, "SELECT id, name, password, admin FROM users ORDER BY name", add_user, err));
    WR_TRY(each(u, t,
                "SELECT r.id, r.name, r.description, r.user_id, r.workspace, (SELECT count(*) FROM role_grants g WHERE "
                "g.role = "
                "r.id) FROM roles r ORDER BY r.id",
                add_role, err));
    WR_TRY(
        each(u, t, "SELECT id, role, type, resource, permission FROM role_grants ORDER BY role, id", add_grant, err));
    WR_TRY(each(u, t, "SELECT u.name, x.role FROM user_roles x JOIN users u ON u.id = x.user_id ORDER BY x.role",
                add_user_role, err));
    return each(u, t, "SELECT k.hash, u.name, k.expires_ms FROM user_tokens k JOIN users u ON u.id = k.user_id",
                add_token, err);
}

/* Inside a write nothing changes between the counts and the rows. */
static int read_fn(wr_track *t, void *arg, wr_err *err) { return read_in(arg, t, err); }

int wr_users_read(wr_users **out, wr_track *t, wr_err *err)
{
    wr_users *u = wr_calloc(1, sizeof *u);
    if (!u) return wr_err_nomem(err);
    u->arena = wr_arena_new(0);
    int rc = !u->arena            ? wr_err_nomem(err)
             : wr_track_writing() ? read_in(u, t, err)
                                  : wr_track_write(t, read_fn, u, err);
    if (rc < 0) {
        wr_users_free(u);
        return rc;
    }
    *out = u;
    return 0;
}

void wr_users_free(wr_users *u)
{
    if (!u) return;
    wr_map_fini(&u->names);
    wr_map_fini(&u->tokens);
    wr_arena_free(u->arena);
    wr_free(u);
}

size_t wr_users_count(const wr_users *u) { return u->nusers; }
const wr_user *wr_users_at(const wr_users *u, size_t i) { return &u->users[i]; }
const wr_user *wr_users_find(const wr_users *u, wr_str name) { return wr_map_get(&u->names, name); }
size_t wr_users_roles(const wr_users *u) { return u->nroles; }
const wr_role *wr_users_role_at(const wr_users *u, size_t i) { return &u->roles[i]; }

/* The table is by hash: where a look-up fails says nothing about a token that would pass. */
const wr_user *wr_users_token(const wr_users *u, wr_str text, int64_t now_ms)
{
    char hash[WR_SHA256_HEX];
    if (!wr_str_starts(text, "weir_")) return NULL;
    wr_sha256_of(text.p, text.n, hash);
    const token *k = wr_map_get(&u->tokens, wr_str_of(hash));
    if (!k || (k->expires_ms && k->expires_ms <= now_ms)) return NULL;
    return &u->users[k->user];
}

wr_permission wr_users_check(const wr_user *user, wr_str type, wr_str resource, wr_permission otherwise)
{
    wr_permission best = WR_NO_PERMISSIONS;
    bool any = false;
    if (user->admin) return WR_CAN_MANAGE;
    for (size_t i = 0; i < user->nroles; i++)
        for (size_t k = 0; !user->roles[i]->elsewhere && k < user->roles[i]->ngrants; k++) {
            const wr_grant *g = &user->roles[i]->grants[k];
            if (!wr_str_eq(g->type, type) || (!wr_str_eq(g->resource, resource) && !wr_str_is(g->resource, "*")))
                continue;
            if (g->permission == WR_DENY) return WR_DENY;
            if (g->permission > best) best = g->permission;
            any = true;
        }
    return any ? best : otherwise;
}
