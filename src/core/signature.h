/* SPDX-License-Identifier: Apache-2.0 */
/* signature.h - a model's signature, as OpenSSF Model Signing v1 writes it, and the keys for it.
 *
 * One JSON text: a Sigstore bundle (application/vnd.dev.sigstore.bundle.v0.3+json) with a DSSE envelope around an in-toto v1 statement of
 * the predicate https://model_signing/signature/v1.0, which lists the model's files (manifest.h). What is signed is DSSE's "DSSEv1 LENGTH
 * TYPE LENGTH BODY". The program `model_signing` of the sigstore project verifies what is signed here, and the reverse.
 *
 * Keys: EC on P-256, P-384, P-521 (ECDSA with SHA-256, 384, 512) and Ed25519 (which model_signing does not know yet), in PEM. The bundle names
 * a public key by its hint, the SHA-256 of its PEM text. With certificates the bundle carries the chain; what is trusted is its root. As there
 * is no trusted time in the bundle, the chain is checked for the moment from which the signing certificate holds.
 * Keyless signatures (Fulcio, Rekor) are WEIR_EUNSUPPORTED.
 *
 * Memory is the arena's; keys are immutable and may be used by any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/str.h"
#include "core/manifest.h"

/* ---- keys ---- */

typedef struct wr_signing_key wr_signing_key;
/* PEM of a private key; `passphrase` for an encrypted one ({NULL,0} = none). `what` names it in messages. WEIR_EINVAL: no such key;
 * WEIR_EACCESS: the passphrase is missing or wrong. `certificates` (PEM, {NULL,0} = none): the signing certificate first, then those above
 * it; they go into the bundle. */
int wr_signing_key_read(wr_signing_key **out, wr_str pem, wr_str passphrase, wr_str certificates, const char *what, wr_err *err);
/* A new one: "P-256", "P-384", "P-521" or "Ed25519". Both texts in PEM; `passphrase` encrypts the private one. WEIR_EINVAL names the kinds. */
int wr_signing_key_make(wr_buf *private_pem, wr_buf *public_pem, const char *kind, wr_str passphrase, wr_err *err);
void wr_signing_key_free(wr_signing_key *k);
const char *wr_signing_key_hint(const wr_signing_key *k);      /* 64 digits */

/* Whom to believe: public keys and root certificates. */
typedef struct wr_trust wr_trust;
int wr_trust_new(wr_trust **out, wr_err *err);
void wr_trust_free(wr_trust *t);
/* All PEM blocks of the text: PUBLIC KEY and CERTIFICATE. WEIR_EINVAL when there is none, or another kind of key. */
int wr_trust_add(wr_trust *t, wr_str pem, const char *what, wr_err *err);
int wr_trust_add_file(wr_trust *t, const char *path, wr_err *err);

/* ---- signatures ---- */

typedef struct {
    wr_manifest manifest;            /* what was signed */
    wr_str payload, sig;             /* bytes */
    const char *hint;                /* of the public key; NULL */
    wr_str *chain;                   /* certificates in DER, the signing one first */
    size_t nchain;
} wr_signature;

/* Checks everything that needs no key: the manifest is in order and hashes to its root. Nothing in it may be believed before
 * wr_signature_verify. WEIR_EPARSE, WEIR_ECORRUPT, WEIR_EUNSUPPORTED, WEIR_ELIMIT; `what` names the text in messages. */
int wr_signature_parse(wr_signature *out, wr_arena *a, wr_str text, const char *what, wr_err *err);
/* Signed by one of them? `by` (may be NULL): "key 98ea6e4f216f" or "certificate CN=...". WEIR_ENO says why not. */
int wr_signature_verify(const wr_signature *s, const wr_trust *t, wr_arena *a, const char **by, wr_err *err);
/* The bundle of a manifest. */
int wr_signature_make(wr_buf *out, const wr_manifest *m, const wr_signing_key *key, wr_err *err);
