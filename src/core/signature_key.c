/* SPDX-License-Identifier: Apache-2.0 */
/* signature_key.c - keys and certificates that sign models; the arithmetic is OpenSSL's.
 *
 * OpenSSL keeps a list of errors for each thread: what fails here is cleared from it, so that nobody reads it later as
 * his own. */
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/limits.h"
#include "base/mem.h"
#include "core/signature_inside.h"
#include "io/file.h"

static const char KINDS[] = "keys on P-256, P-384 or P-521, and Ed25519";

/* ---- what a key can do ---- */

const char *wr_signature_digest(EVP_PKEY *key)
{
    char curve[40] = "";
    if (EVP_PKEY_is_a(key, "ED25519")) return "";
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) != 1) return NULL;
    if (strcmp(curve, "prime256v1") == 0) return "SHA256";
    if (strcmp(curve, "secp384r1") == 0) return "SHA384";
    return strcmp(curve, "secp521r1") == 0 ? "SHA512" : NULL;
}

static const char *digest_or_null(EVP_PKEY *key)
{
    const char *name = wr_signature_digest(key);
    return name && *name ? name : NULL;
}

bool wr_signature_fits(EVP_PKEY *key, wr_str text, wr_str sig)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && wr_signature_digest(key) &&
              EVP_DigestVerifyInit_ex(ctx, NULL, digest_or_null(key), NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, (const unsigned char *)sig.p, sig.n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

int wr_signature_of(wr_buf *out, EVP_PKEY *key, wr_str text, wr_err *err)
{
    unsigned char sig[WR_SIGNATURE_BYTES];
    size_t n = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, digest_or_null(key), NULL, NULL, key, NULL) == 1 &&
              EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (!ok) return wr_err_set(err, WEIR_EINTERNAL, "the key does not sign");
    wr_buf_add(out, sig, n);
    return 0;
}

/* ---- PEM ---- */

static int hint_of(char out[WR_SHA256_HEX], EVP_PKEY *key, wr_err *err)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    long n = bio && PEM_write_bio_PUBKEY(bio, key) == 1 ? BIO_get_mem_data(bio, &text) : 0;
    if (n > 0) wr_sha256_of(text, (size_t)n, out);
    BIO_free(bio);
    ERR_clear_error();
    return n > 0 ? 0 : wr_err_nomem(err);
}

static int check_kind(EVP_PKEY *key, const char *what, wr_err *err)
{
    if (wr_signature_digest(key)) return 0;
    wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a kind of key that signs models", what);
    return wr_err_hint(err, WEIR_EINVAL, "%s do: weir model keygen makes one", KINDS);
}

static BIO *bio_of(wr_str pem) { return pem.n <= WR_LIMIT_PEM ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL; }

typedef struct {
    wr_str passphrase;
    bool asked;
} asking;

/* Without this OpenSSL would ask at the terminal. */
static int give_passphrase(char *to, int size, int writing, void *arg)
{
    asking *q = arg;
    (void)writing;
    q->asked = true;
    if (!q->passphrase.p || q->passphrase.n > (size_t)size) return -1;
    memcpy(to, q->passphrase.p, q->passphrase.n);
    return (int)q->passphrase.n;
}

static int read_private(EVP_PKEY **out, wr_str pem, wr_str passphrase, const char *what, wr_err *err)
{
    asking q = {passphrase, false};
    BIO *bio = bio_of(pem);
    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &q) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (*out) return check_kind(*out, what, err);
    if (q.asked && !passphrase.p) {
        wr_err_set(err, WEIR_EACCESS, "the private key \"%s\" is encrypted", what);
        return wr_err_hint(err, WEIR_EACCESS,
                           "give its passphrase by --passphrase-file FILE or in WEIR_KEY_PASSPHRASE");
    }
    if (q.asked) return wr_err_set(err, WEIR_EACCESS, "the passphrase does not open the private key \"%s\"", what);
    wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a private key in PEM", what);
    return wr_err_hint(err, WEIR_EINVAL, "%s are taken: weir model keygen makes one", KINDS);
}

static int read_chain(wr_signing_key *k, wr_str pem, const char *what, wr_err *err)
{
    BIO *bio = bio_of(pem);
    X509 *cert;
    int rc = 0;
    while (rc == 0 && bio && (cert = PEM_read_bio_X509(bio, NULL, give_passphrase, &(asking){0})) != NULL) {
        if (k->chain.n >= WR_SIGNATURE_CHAIN)
            rc = wr_err_set(err, WEIR_ELIMIT, "more than %d certificates", WR_SIGNATURE_CHAIN);
        else rc = wr_vec_add(&k->chain, cert, err);
        if (rc < 0) X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    WR_TRY(rc);
    if (!k->chain.n) return wr_err_set(err, WEIR_EINVAL, "there is no certificate in PEM");
    if (EVP_PKEY_eq(X509_get0_pubkey(k->chain.at[0]), k->key) == 1) return 0;
    wr_err_set(err, WEIR_EINVAL, "the first certificate is not of the key \"%s\"", what);
    return wr_err_hint(err, WEIR_EINVAL, "the signing certificate comes first, then those above it");
}

static int fill_key(wr_signing_key *k, wr_str pem, wr_str passphrase, wr_str certificates, const char *what,
                    wr_err *err)
{
    WR_TRY(read_private(&k->key, pem, passphrase, what, err));
    WR_TRY(hint_of(k->hint, k->key, err));
    return certificates.p ? read_chain(k, certificates, what, err) : 0;
}

int wr_signing_key_read(wr_signing_key **out, wr_str pem, wr_str passphrase, wr_str certificates, const char *what,
                        wr_err *err)
{
    wr_signing_key *k = wr_calloc(1, sizeof *k);
    if (!k) return wr_err_nomem(err);
    int rc = fill_key(k, pem, passphrase, certificates, what, err);
    if (rc < 0) wr_signing_key_free(k);
    else *out = k;
    return rc;
}

void wr_signing_key_free(wr_signing_key *k)
{
    if (!k) return;
    for (size_t i = 0; i < k->chain.n; i++) X509_free(k->chain.at[i]);
    wr_vec_fini(&k->chain);
    EVP_PKEY_free(k->key);
    wr_free(k);
}

const char *wr_signing_key_hint(const wr_signing_key *k) { return k->hint; }

/* ---- making one ---- */

static EVP_PKEY *make_key(const char *kind)
{
    if (strcmp(kind, "Ed25519") == 0) return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (strcmp(kind, "P-256") != 0 && strcmp(kind, "P-384") != 0 && strcmp(kind, "P-521") != 0) return NULL;
    return EVP_EC_gen(kind);
}

static bool add_bio(wr_buf *out, BIO *bio)
{
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    if (n > 0) wr_buf_add(out, text, (size_t)n);
    return n > 0 && !out->failed;
}

int wr_signing_key_make(wr_buf *private_pem, wr_buf *public_pem, const char *kind, wr_str passphrase, wr_err *err)
{
    static const char *const kinds[] = {"P-256", "P-384", "P-521", "Ed25519"};
    EVP_PKEY *key = make_key(kind);
    if (!key) {
        int near = wr_str_nearest(wr_str_of(kind), kinds, sizeof kinds / sizeof *kinds);
        wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a kind of key", kind);
        if (near >= 0) return wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", kinds[near]);
        return wr_err_hint(err, WEIR_EINVAL, "P-256, P-384, P-521 or Ed25519");
    }
    BIO *secret = BIO_new(BIO_s_secmem()), *open = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = passphrase.p ? EVP_aes_256_cbc() : NULL;
    bool ok = secret && open &&
              PEM_write_bio_PKCS8PrivateKey(secret, key, cipher, passphrase.p, (int)passphrase.n, NULL, NULL) == 1 &&
              PEM_write_bio_PUBKEY(open, key) == 1 && add_bio(private_pem, secret) && add_bio(public_pem, open);
    BIO_free(secret);
    BIO_free(open);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok ? 0 : wr_err_nomem(err);
}

/* ---- trust ---- */

int wr_trust_new(wr_trust **out, wr_err *err)
{
    wr_trust *t = wr_calloc(1, sizeof *t);
    if (t) t->roots = X509_STORE_new();
    if (!t || !t->roots) {
        wr_trust_free(t);
        return wr_err_nomem(err);
    }
    *out = t;
    return 0;
}

void wr_trust_free(wr_trust *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->keys.n; i++) EVP_PKEY_free(t->keys.at[i].key);
    wr_vec_fini(&t->keys);
    X509_STORE_free(t->roots);
    wr_free(t);
}

static int add_key(wr_trust *t, const unsigned char *der, long n, const char *what, wr_err *err)
{
    wr_trusted_key k = {.key = d2i_PUBKEY(NULL, &der, n)};
    int rc = k.key ? check_kind(k.key, what, err)
                   : wr_err_set(err, WEIR_EINVAL, "the public key in \"%s\" cannot be read", what);
    if (rc == 0) rc = hint_of(k.hint, k.key, err);
    if (rc == 0) rc = wr_vec_add(&t->keys, k, err);
    if (rc < 0) EVP_PKEY_free(k.key);
    return rc;
}

static int add_root(wr_trust *t, const unsigned char *der, long n, const char *what, wr_err *err)
{
    X509 *cert = d2i_X509(NULL, &der, n);
    if (!cert) return wr_err_set(err, WEIR_EINVAL, "a certificate in \"%s\" cannot be read", what);
    int ok = X509_STORE_add_cert(t->roots, cert);
    X509_free(cert);
    if (ok != 1) return wr_err_nomem(err);
    t->nroots++;
    return 0;
}

static int add_block(wr_trust *t, const char *name, const unsigned char *der, long n, const char *what, wr_err *err)
{
    if (strcmp(name, PEM_STRING_PUBLIC) == 0) return add_key(t, der, n, what, err);
    if (strcmp(name, PEM_STRING_X509) == 0) return add_root(t, der, n, what, err);
    if (!strstr(name, "PRIVATE")) return 0;
    wr_err_set(err, WEIR_EINVAL, "\"%s\" holds a private key where a public one belongs", what);
    return wr_err_hint(err, WEIR_EINVAL, "openssl pkey -in FILE -pubout writes the public one");
}

int wr_trust_add(wr_trust *t, wr_str pem, const char *what, wr_err *err)
{
    size_t before = t->keys.n + t->nroots;
    char *name, *header;
    unsigned char *der;
    long n;
    int rc = 0;
    BIO *bio = bio_of(pem);
    while (rc == 0 && bio && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
        rc = add_block(t, name, der, n, what, err);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)n);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (rc < 0 || t->keys.n + t->nroots > before) return rc;
    wr_err_set(err, WEIR_EINVAL, "there is no public key and no certificate in \"%s\"", what);
    return wr_err_hint(err, WEIR_EINVAL, "PEM is expected: -----BEGIN PUBLIC KEY-----");
}

int wr_trust_add_file(wr_trust *t, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf pem;
    wr_buf_init(&pem, 0);
    WR_TRY(wr_file_read(&pem, path, WR_LIMIT_PEM, err));
    return wr_trust_add(t, wr_buf_view(&pem), path, err);
}

/* ---- chains ---- */

static X509 *certificate_of(wr_str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *cert = d2i_X509(NULL, &p, (long)der.n);
    if (cert && p == (const unsigned char *)der.p + der.n) return cert;
    X509_free(cert);
    return NULL;
}

static STACK_OF(X509) * chain_of(const wr_signature *s)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    for (size_t i = 0; all && i < s->nchain; i++) {
        X509 *cert = certificate_of(s->chain[i]);
        if (cert && sk_X509_push(all, cert)) continue;
        X509_free(cert);
        sk_X509_pop_free(all, X509_free);
        all = NULL;
    }
    return all;
}

static bool may_sign(X509 *cert)
{
    uint32_t flags = X509_get_extension_flags(cert);
    if ((flags & EXFLAG_KUSAGE) && (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE)) return true;
    return (flags & EXFLAG_XKUSAGE) && (X509_get_extended_key_usage(cert) & XKU_CODE_SIGN);
}

/* The moment from which it holds, since nobody vouches for another one. */
static bool set_time(X509_STORE_CTX *ctx, X509 *cert)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days, seconds;
    bool ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notBefore(cert)) == 1;
    ASN1_TIME_free(epoch);
    if (ok) X509_STORE_CTX_set_time(ctx, 0, (time_t)days * 86400 + seconds);
    return ok;
}

static int check_chain(const wr_trust *t, STACK_OF(X509) * chain, X509 *leaf, wr_err *err)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int rc = 0;
    if (!ctx || X509_STORE_CTX_init(ctx, t->roots, leaf, chain) != 1 || !set_time(ctx, leaf)) {
        rc = wr_err_set(err, WEIR_ENO, "the certificates of the signature cannot be checked");
    } else if (X509_verify_cert(ctx) != 1) {
        rc = wr_err_set(err, WEIR_ENO, "the certificate of the signature is not trusted");
        wr_err_detail(err, rc, "%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    } else if (!may_sign(leaf)) {
        rc = wr_err_set(err, WEIR_ENO, "the certificate of the signature is not for signing");
    }
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

static const char *subject_of(wr_arena *a, X509 *cert)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    long n = bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0
                 ? BIO_get_mem_data(bio, &text)
                 : 0;
    const char *subject = wr_arena_printf(a, "certificate %.*s", (int)(n > 200 ? 200 : n), n > 0 ? text : "");
    BIO_free(bio);
    return subject;
}

int wr_signature_chain_key(EVP_PKEY **out, const char **by, const wr_signature *s, const wr_trust *t, wr_arena *a,
                           wr_err *err)
{
    if (!t->nroots) {
        wr_err_set(err, WEIR_ENO, "it is signed with a certificate, and no certificate is trusted");
        return wr_err_hint(err, WEIR_ENO, "give the root certificate: --cert FILE, or trust: in weir.yaml");
    }
    STACK_OF(X509) *chain = chain_of(s);
    if (!chain) return wr_err_set(err, WEIR_EPARSE, "a certificate of the signature cannot be read");
    X509 *leaf = sk_X509_value(chain, 0);
    int rc = check_chain(t, chain, leaf, err);
    if (rc == 0) {
        *out = X509_get_pubkey(leaf);
        *by = subject_of(a, leaf);
        if (!*out || !*by) rc = wr_err_nomem(err);
    }
    sk_X509_pop_free(chain, X509_free);
    return rc;
}
