/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_sign.h - signed URLs of our own server: who has one may do the one thing it names, until it expires.
 *
 * "&expires=SECONDS&signature=64 HEX" is appended to a target; the signature is HMAC-SHA256 over the method and the target before it, under
 * a secret of 32 random bytes that each project keeps in .weir/secret (mode 0600). Compared in constant time.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

typedef struct wr_signer { unsigned char key[32]; } wr_signer;

/* Read the secret, or make it (two processes that start at once agree). A file of another size or readable by others is WEIR_ECORRUPT / EACCESS. */
int wr_signer_open(wr_signer *out, const char *path, wr_err *err);
/* `target` gets "?" or "&" "expires=...&signature=...". HEAD is signed as GET. */
void wr_sign_target(wr_buf *target, const wr_signer *s, const char *method, int64_t expires_s /* since 1970 */);
/* `target` as it came. WEIR_EACCESS when it is unsigned, forged, for another method or too old at `now_s`. */
int wr_sign_check(const wr_signer *s, wr_str method, wr_str target, int64_t now_s, wr_err *err);
