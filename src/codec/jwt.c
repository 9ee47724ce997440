/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.c - key sets and tokens; the arithmetic is OpenSSL's. */
#include "codec/jwt.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "codec/json.h"

enum { TOKEN_MAX = 16 << 10, SET_MAX = 1 << 20, KEYS_MAX = 100, LEEWAY_S = 60 };

typedef struct {
    EVP_PKEY *key;
    char *kid, *alg; /* NULL when the set does not say */
    const char *kty; /* "RSA", "EC", "OKP" */
} jwk;

struct wr_jwks {
    WR_VEC(jwk) keys;
};

/* ---- key sets ---- */

static BIGNUM *number(yyjson_val *o, const char *name)
{
    WR_AUTOBUF wr_buf b;
    const char *text = yyjson_get_str(yyjson_obj_get(o, name));
    wr_buf_init(&b, 4096);
    if (!text || !wr_base64_decode(&b, wr_str_of(text)) || !b.n) return NULL;
    return BN_bin2bn((const unsigned char *)b.p, (int)b.n, NULL);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(yyjson_val *o)
{
    BIGNUM *n = number(o, "n"), *e = number(o, "e");
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (n && e && bld && BN_num_bits(n) >= 2048 && BN_num_bits(n) <= 16384 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e))
        key = from_params("RSA", bld);
    OSSL_PARAM_BLD_free(bld);
    BN_free(n);
    BN_free(e);
    return key;
}

static size_t curve_size(const char *crv)
{
    return strcmp(crv, "P-256") == 0 ? 32 : strcmp(crv, "P-384") == 0 ? 48 : 0;
}

static EVP_PKEY *ec_key(yyjson_val *o)
{
    WR_AUTOBUF wr_buf x, y;
    wr_buf_init(&x, 256);
    wr_buf_init(&y, 256);
    const char *crv = yyjson_get_str(yyjson_obj_get(o, "crv")), *tx = yyjson_get_str(yyjson_obj_get(o, "x")),
               *ty = yyjson_get_str(yyjson_obj_get(o, "y"));
    size_t size = crv ? curve_size(crv) : 0;
    unsigned char point[1 + 2 * 48] = {4}; /* uncompressed */
    EVP_PKEY *key = NULL;
    if (!size || !tx || !ty || !wr_base64_decode(&x, wr_str_of(tx)) || !wr_base64_decode(&y, wr_str_of(ty)) ||
        x.n != size || y.n != size)
        return NULL;
    memcpy(point + 1, x.p, size);
    memcpy(point + 1 + size, y.p, size);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, crv, 0) &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size))
        key = from_params("EC", bld);
    OSSL_PARAM_BLD_free(bld);
    return key;
}

static EVP_PKEY *ed_key(yyjson_val *o)
{
    WR_AUTOBUF wr_buf x;
    wr_buf_init(&x, 256);
    const char *crv = yyjson_get_str(yyjson_obj_get(o, "crv")), *tx = yyjson_get_str(yyjson_obj_get(o, "x"));
    if (!crv || strcmp(crv, "Ed25519") != 0 || !tx || !wr_base64_decode(&x, wr_str_of(tx)) || x.n != 32) return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
}

static int add_key(wr_jwks *k, yyjson_val *o, wr_err *err)
{
    const char *kty = yyjson_get_str(yyjson_obj_get(o, "kty")), *use = yyjson_get_str(yyjson_obj_get(o, "use"));
    jwk j = {0};
    if (!kty || (use && strcmp(use, "sig") != 0)) return 0;
    if (strcmp(kty, "RSA") == 0) j = (jwk){.key = rsa_key(o), .kty = "RSA"};
    else if (strcmp(kty, "EC") == 0) j = (jwk){.key = ec_key(o), .kty = "EC"};
    else if (strcmp(kty, "OKP") == 0) j = (jwk){.key = ed_key(o), .kty = "OKP"};
    if (!j.key) return 0;
    const char *kid = yyjson_get_str(yyjson_obj_get(o, "kid")), *alg = yyjson_get_str(yyjson_obj_get(o, "alg"));
    j.kid = kid ? wr_strdup(kid) : NULL;
    j.alg = alg ? wr_strdup(alg) : NULL;
    if ((kid && !j.kid) || (alg && !j.alg) || wr_vec_push(&k->keys, j) < 0) {
        EVP_PKEY_free(j.key);
        wr_free(j.kid);
        wr_free(j.alg);
        return wr_err_nomem(err);
    }
    return 0;
}

int wr_jwks_parse(wr_jwks **out, wr_str json, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *v;
    size_t i, max;
    if (json.n > SET_MAX) return wr_err_set(err, WEIR_ELIMIT, "the key set is larger than %d bytes", SET_MAX);
    WR_TRY(wr_json_parse(&j, json, "key set", err));
    yyjson_val *keys = yyjson_obj_get(j.root, "keys");
    if (!yyjson_is_arr(keys) || yyjson_arr_size(keys) > KEYS_MAX)
        return wr_err_set(err, WEIR_EINVAL, "a key set is {\"keys\": [...]} of at most %d", KEYS_MAX);
    wr_jwks *k = wr_calloc(1, sizeof *k);
    if (!k) return wr_err_nomem(err);
    int rc = 0;
    yyjson_arr_foreach(keys, i, max, v) if (rc == 0) rc = add_key(k, v, err);
    if (rc == 0 && !k->keys.n)
        rc = wr_err_set(err, WEIR_EINVAL,
                        "the key set has no key that can be used (RSA of 2048 bits, P-256, P-384, Ed25519)");
    if (rc < 0) wr_jwks_free(k);
    else *out = k;
    return rc;
}

void wr_jwks_free(wr_jwks *k)
{
    if (!k) return;
    for (size_t i = 0; i < k->keys.n; i++) {
        EVP_PKEY_free(k->keys.at[i].key);
        wr_free(k->keys.at[i].kid);
        wr_free(k->keys.at[i].alg);
    }
    wr_vec_fini(&k->keys);
    wr_free(k);
}

size_t wr_jwks_count(const wr_jwks *k) { return k->keys.n; }

/* ---- signatures ---- */

typedef struct {
    const char *name, *kty, *digest;
    bool pss;
    size_t half; /* of an ECDSA signature */
} algorithm;

static const algorithm algorithms[] = {
    {"RS256", "RSA", "SHA256", false, 0}, {"RS384", "RSA", "SHA384", false, 0}, {"RS512", "RSA", "SHA512", false, 0},
    {"PS256", "RSA", "SHA256", true, 0},  {"PS384", "RSA", "SHA384", true, 0},  {"PS512", "RSA", "SHA512", true, 0},
    {"ES256", "EC", "SHA256", false, 32}, {"ES384", "EC", "SHA384", false, 48}, {"EdDSA", "OKP", NULL, false, 0}};

/* The token has r and s side by side, OpenSSL wants them in DER. */
static int der_of(unsigned char **out, wr_str raw, size_t half)
{
    *out = NULL;
    if (raw.n != 2 * half) return -1;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const unsigned char *)raw.p, (int)half, NULL),
           *s = BN_bin2bn((const unsigned char *)raw.p + half, (int)half, NULL);
    int n = -1;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL;
        n = i2d_ECDSA_SIG(sig, out);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n;
}

static bool verify(EVP_PKEY *key, const algorithm *alg, wr_str text, wr_str sig)
{
    unsigned char *der = NULL;
    const unsigned char *s = (const unsigned char *)sig.p;
    size_t n = sig.n;
    if (alg->half) {
        int len = der_of(&der, sig, alg->half);
        if (len <= 0) return false;
        s = der;
        n = (size_t)len;
    }
    EVP_PKEY_CTX *pctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit_ex(ctx, &pctx, alg->digest, NULL, NULL, key, NULL) == 1;
    if (ok && alg->pss)
        ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    ok = ok && EVP_DigestVerify(ctx, s, n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    return ok;
}

static bool fits(const jwk *k, const algorithm *alg, const char *kid)
{
    if (strcmp(k->kty, alg->kty) != 0 || (k->alg && strcmp(k->alg, alg->name) != 0)) return false;
    return !kid || !k->kid || strcmp(k->kid, kid) == 0;
}

static int check_signature(const wr_jwks *keys, wr_str head, wr_str text, wr_str sig, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    const algorithm *alg = NULL;
    if (wr_json_parse(&j, head, "header", NULL) < 0 || !yyjson_is_obj(j.root))
        return wr_err_set(err, WEIR_EACCESS, "the token's header cannot be read");
    const char *name = yyjson_get_str(yyjson_obj_get(j.root, "alg")),
               *kid = yyjson_get_str(yyjson_obj_get(j.root, "kid"));
    for (size_t i = 0; name && i < sizeof algorithms / sizeof *algorithms; i++)
        if (strcmp(name, algorithms[i].name) == 0) alg = &algorithms[i];
    if (!alg || yyjson_obj_get(j.root, "crit"))
        return wr_err_set(err, WEIR_EACCESS, "the token's algorithm \"%.20s\" is not one to trust", name ? name : "");
    for (size_t i = 0; i < keys->keys.n; i++)
        if (fits(&keys->keys.at[i], alg, kid) && verify(keys->keys.at[i].key, alg, text, sig)) return 0;
    return wr_err_set(err, WEIR_EACCESS, "the token is not signed by a key of the set");
}

/* ---- claims ---- */

static bool names_audience(yyjson_val *aud, const char *want)
{
    yyjson_val *v;
    size_t i, max;
    if (yyjson_is_str(aud)) return strcmp(yyjson_get_str(aud), want) == 0;
    yyjson_arr_foreach(aud, i, max, v) if (yyjson_is_str(v) && strcmp(yyjson_get_str(v), want) == 0) return true;
    return false;
}

static int check_claims(wr_str claims, const wr_jwt_opt *opt, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    if (wr_json_parse(&j, claims, "claims", NULL) < 0 || !yyjson_is_obj(j.root))
        return wr_err_set(err, WEIR_EACCESS, "the token's claims cannot be read");
    yyjson_val *exp = yyjson_obj_get(j.root, "exp"), *nbf = yyjson_obj_get(j.root, "nbf");
    double now = (double)opt->now_s;
    if (!yyjson_is_num(exp)) return wr_err_set(err, WEIR_EACCESS, "the token never expires");
    if (yyjson_get_num(exp) + LEEWAY_S < now) return wr_err_set(err, WEIR_EACCESS, "the token has expired");
    if (nbf && (!yyjson_is_num(nbf) || yyjson_get_num(nbf) - LEEWAY_S > now))
        return wr_err_set(err, WEIR_EACCESS, "the token is not valid yet");
    const char *iss = yyjson_get_str(yyjson_obj_get(j.root, "iss"));
    if (opt->issuer && (!iss || strcmp(iss, opt->issuer) != 0))
        return wr_err_set(err, WEIR_EACCESS, "the token is of another issuer");
    if (opt->audience && !names_audience(yyjson_obj_get(j.root, "aud"), opt->audience))
        return wr_err_set(err, WEIR_EACCESS, "the token is for another audience");
    return 0;
}

int wr_jwt_check(wr_str *claims, wr_arena *a, wr_str token, const wr_jwks *keys, const wr_jwt_opt *opt, wr_err *err)
{
    WR_AUTOBUF wr_buf h, p, s;
    wr_buf_init(&h, TOKEN_MAX);
    wr_buf_init(&p, TOKEN_MAX);
    wr_buf_init(&s, TOKEN_MAX);
    wr_str rest = token, head = wr_str_cut(&rest, '.'), payload = rest.p ? wr_str_cut(&rest, '.') : (wr_str){NULL, 0};
    if (token.n > TOKEN_MAX || !payload.p || !rest.p || !wr_base64_decode(&h, head) || !wr_base64_decode(&p, payload) ||
        !wr_base64_decode(&s, rest))
        return wr_err_set(err, WEIR_EACCESS, "this is not a signed token");
    wr_str text = {token.p, head.n + 1 + payload.n};
    WR_TRY(check_signature(keys, wr_buf_view(&h), text, wr_buf_view(&s), err));
    WR_TRY(check_claims(wr_buf_view(&p), opt, err));
    *claims = wr_arena_str(a, wr_buf_view(&p));
    return claims->p ? 0 : wr_err_nomem(err);
}
