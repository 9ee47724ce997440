/* SPDX-License-Identifier: Apache-2.0 */
/* signature_fuzz.c - any bytes as a signature's bundle ('b' before them), as the statement inside one ('s'), or as PEM
 * ('k').
 *
 * What is taken is in order: paths that stay in the model, sorted, no two the same, and it is never by a key that did
 * not sign it. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/base64.h"
#include "core/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void signature_require(bool ok)
{
    if (!ok) abort();
}

/* Made for this, and used nowhere. */
static const char signature_key[] =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAK0FNLZ72StaPI1j02alacOTg5HqCuj4DkX+GYy8/T8Q=\n-----END PUBLIC "
    "KEY-----\n";

static void signature_manifest(const wr_manifest *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const char *path = m->files[i].path;
        signature_require(path[0] && path[0] != '/' && strlen(m->files[i].digest) == 64);
        signature_require(strncmp(path, "../", 3) != 0 && !strstr(path, "/../"));
        if (i) signature_require(wr_manifest_path_cmp(m->files[i - 1].path, path) <= 0);
    }
    signature_require(wr_manifest_compare(m, m, NULL) == 0);
}

static void signature_bundle(wr_arena *a, wr_str text)
{
    wr_signature s;
    wr_trust *t;
    wr_err err = {0};
    const char *by;
    int rc = wr_signature_parse(&s, a, text, "model.sig", &err);
    signature_require(rc == 0 || (rc < 0 && err.msg[0]));
    if (rc < 0) return;
    signature_manifest(&s.manifest);
    if (wr_trust_new(&t, NULL) < 0) return;
    signature_require(wr_trust_add(t, wr_str_of(signature_key), "key", NULL) == 0);
    signature_require(wr_signature_verify(&s, t, a, &by, &err) < 0 && err.msg[0]);
    wr_trust_free(t);
}

static void signature_statement(wr_arena *a, wr_str text)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(
        &b,
        "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{\"publicKey\":{}},"
        "\"dsseEnvelope\":{\"payloadType\":\"application/"
        "vnd.in-toto+json\",\"signatures\":[{\"sig\":\"AAAA\"}],\"payload\":\"");
    wr_base64_encode(&b, text, false);
    wr_buf_str(&b, "\"}}");
    signature_bundle(a, wr_buf_view(&b));
}

static void signature_pem(wr_str pem)
{
    wr_signing_key *k;
    wr_trust *t;
    wr_str none = {NULL, 0};
    wr_err err = {0};
    if (wr_trust_new(&t, NULL) < 0) return;
    int rc = wr_trust_add(t, pem, "key", &err);
    signature_require(rc == 0 || err.msg[0]);
    wr_trust_free(t);
    if (wr_signing_key_read(&k, pem, none, pem, "key", &err) == 0) wr_signing_key_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    signature_require(a != NULL);
    if (!size) return 0;
    wr_str rest = {(const char *)data + 1, size - 1};
    if (data[0] == 'b') signature_bundle(a, rest);
    else if (data[0] == 's') signature_statement(a, rest);
    else if (data[0] == 'k') signature_pem(rest);
    return 0;
}
