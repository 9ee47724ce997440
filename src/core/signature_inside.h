/* SPDX-License-Identifier: Apache-2.0 */
/* signature_inside.h - what signature.c and signature_key.c share. Private to them. */
#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/vec.h"
#include "core/signature.h"

enum { WR_SIGNATURE_CHAIN = 16, WR_SIGNATURE_BYTES = 256 }; /* certificates; of one signature in DER */

struct wr_signing_key {
    EVP_PKEY *key;
    char hint[WR_SHA256_HEX];
    WR_VEC(X509 *) chain; /* the signing certificate first; empty = none */
};

typedef struct {
    EVP_PKEY *key;
    char hint[WR_SHA256_HEX];
} wr_trusted_key;

struct wr_trust {
    WR_VEC(wr_trusted_key) keys;
    X509_STORE *roots;
    size_t nroots;
};

/* NULL: not a kind of key that signs models. Else the digest's name, "" for Ed25519, which has its own. */
const char *wr_signature_digest(EVP_PKEY *key);
bool wr_signature_fits(EVP_PKEY *key, wr_str text, wr_str sig);
int wr_signature_of(wr_buf *out, EVP_PKEY *key, wr_str text, wr_err *err);
/* The key of the chain's first certificate, if a root of `t` vouches for it; the caller's. `by`: its subject. */
int wr_signature_chain_key(EVP_PKEY **out, const char **by, const wr_signature *s, const wr_trust *t, wr_arena *a,
                           wr_err *err);
