/* SPDX-License-Identifier: Apache-2.0 */
/* password.h - passwords as slow hashes: scrypt (RFC 7914) with N = 16384, r = 8, p = 1 (16 MiB, some 40 ms), a random
 * salt each.
 *
 * The text "scrypt$14$8$1$<salt hex>$<hash hex>" says all that a check needs. Checks are slow by intent: whoever checks
 * often keeps what passed in memory (server/auth). Tokens are random and long: SHA-256 is enough for them.
 *
 * Hashes that come from an MLflow server ("scrypt:32768:8:1$salt$hash", "pbkdf2:sha256:600000$salt$hash") are checked too, so that
 * imported users keep their passwords; a new password is hashed as above. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

#define WR_PASSWORD_TEXT 128
int wr_password_hash(char out[WR_PASSWORD_TEXT], wr_str password, wr_err *err);
bool wr_password_ok(wr_str password, const char *hash); /* false for a text that is no such hash */
