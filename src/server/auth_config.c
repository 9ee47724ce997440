/* SPDX-License-Identifier: Apache-2.0 */
/* auth_config.c - `auth:` of weir.yaml:
 *
 *   auth:
 *     enabled: true                    # as weir up --auth
 *     default_permission: READ         # where nothing is granted
 *     jwks: keys.json                  # public keys of an OpenID Connect issuer, relative to the project; read again
 * when it changes issuer: https://issuer.example audience: weir user_claim: email                # whose name it is;
 * sub when left out
 */
#include "server/server_inside.h"

static const char *text_of(const wr_yaml *map, const char *key, wr_err *err, int *rc)
{
    wr_str s = {NULL, 0};
    if (*rc == 0) *rc = wr_yaml_get_str(&s, map, key, NULL, err);
    return s.p;
}

int wr_auth_config(wr_auth_opt *out, bool *on, wr_arena *arena, wr_project *p, const wr_yaml *config, wr_err *err)
{
    static const char *const known[] = {"enabled",  "default_permission", "jwks", "issuer",
                                        "audience", "user_claim",         NULL};
    const wr_yaml *a = wr_yaml_get(config, "auth");
    bool enabled;
    *out = (wr_auth_opt){.otherwise = WR_CAN_READ};
    if (!a) return 0;
    WR_TRY(wr_yaml_known(a, "auth", known, err));
    WR_TRY(wr_yaml_get_bool(&enabled, a, "enabled", *on, err));
    *on = *on || enabled;
    int rc = 0;
    const char *level = text_of(a, "default_permission", err, &rc);
    out->jwks = text_of(a, "jwks", err, &rc);
    out->issuer = text_of(a, "issuer", err, &rc);
    out->audience = text_of(a, "audience", err, &rc);
    out->user_claim = text_of(a, "user_claim", err, &rc);
    if (rc == 0 && level && wr_permission_parse(&out->otherwise, wr_str_of(level), err) < 0)
        rc = wr_yaml_error(wr_yaml_get(a, "default_permission"), WEIR_EINVAL, err,
                           "\"%s\" is not a permission: READ, USE, EDIT, MANAGE or NO_PERMISSIONS", level);
    if (rc == 0 && out->jwks && out->jwks[0] != '/' && !strstr(out->jwks, "://")) {
        char *path = wr_arena_printf(arena, "%s/%s", wr_project_root(p), out->jwks);
        out->jwks = path;
        if (!path) rc = wr_err_nomem(err);
    }
    return rc;
}
