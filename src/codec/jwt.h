/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.h - signed tokens (RFC 7519, RFC 7515) checked against a set of public keys (RFC 7517), as OpenID Connect issues them.
 *
 * Signatures: RS256/384/512, PS256/384/512, ES256/384, EdDSA (Ed25519). "none" and the symmetric ones are refused: the key set is
 * public. A key is used for what it says (kid, alg, kty), never for what the token asks of it. Limits: tokens of 16 KiB, sets of 1 MiB and
 * 100 keys. A set is immutable after wr_jwks_parse: any thread.
 */
#pragma once
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct wr_jwks wr_jwks;
int wr_jwks_parse(wr_jwks **out, wr_str json, wr_err *err); /* keys of kinds that are not known are passed over; WEIR_EINVAL without any */
void wr_jwks_free(wr_jwks *k);
size_t wr_jwks_count(const wr_jwks *k);

typedef struct {
    const char *issuer, *audience;  /* must be there and equal; NULL = not looked at */
    int64_t now_s;                  /* exp and nbf, with a minute of leeway; exp is required */
} wr_jwt_opt;

/* Checks everything; `claims` is the payload, a JSON object, in the arena. WEIR_EACCESS with the reason. */
int wr_jwt_check(wr_str *claims, wr_arena *a, wr_str token, const wr_jwks *keys, const wr_jwt_opt *opt, wr_err *err);
