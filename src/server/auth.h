/* SPDX-License-Identifier: Apache-2.0 */
/* auth.h - who asks: names and passwords (HTTP Basic), tokens and OpenID Connect tokens (Bearer), against a picture of
 * the users in memory.
 *
 * A password is checked by its slow hash once and remembered as a keyed digest until the picture changes; then a check
 * is two hashes, some microseconds. After ten wrong ones
 * for a name from an address within a minute (a hundred from the address) it waits (429). Nothing is
 * remembered of what was wrong. Threads: any. A wr_auth_who holds its picture until wr_auth_done().
 */
#pragma once
#include "codec/http.h"
#include "wire/mlflow/access.h"

typedef struct wr_auth wr_auth;

typedef struct {
    wr_permission otherwise;       /* where nothing is granted */
    const char *jwks;              /* public keys of an OpenID Connect issuer: a file, or a URL; NULL = none */
    const char *issuer, *audience; /* as in the tokens */
    const char *user_claim;        /* which claim is the name; NULL = "sub" */
} wr_auth_opt;

/* Without users one is made: "admin", with the password of WEIR_ADMIN_PASSWORD (or MLFLOW_AUTH_ADMIN_PASSWORD);
 * WEIR_EINVAL without. */
int wr_auth_open(wr_auth **out, wr_track *t, const wr_auth_opt *opt, wr_err *err);
void wr_auth_close(wr_auth *a);

typedef struct {
    struct wr_auth_view *view;
    wr_mlflow_access access;
    wr_user stranger; /* of an issuer, not in the database */
} wr_auth_who;
/* WEIR_EACCESS: not known (401); WEIR_ELIMIT: too many wrong ones (429). */
int wr_auth_check(wr_auth_who *out, wr_auth *a, const wr_http_head *h, const char *peer, wr_arena *arena, wr_err *err);
void wr_auth_done(wr_auth_who *who);
/* Users may have changed: the next check looks. wr_auth_tick: each second, for changes of other processes and new keys.
 */
void wr_auth_touch(wr_auth *a);
void wr_auth_tick(wr_auth *a);
void wr_auth_fetch(wr_auth *a); /* keys that come by URL, anew; waits for the network */
