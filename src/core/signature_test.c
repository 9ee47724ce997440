/* SPDX-License-Identifier: Apache-2.0 */
/* signature_test.c - signatures of the real model_signing are verified, ours are read back, and nothing that was
 * touched passes. */
#include "core/signature.h"

#include <sys/stat.h>

#include "../../tests/reference/signature_values.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "core/core_testing.h"

static const wr_str none = {NULL, 0};

/* The folder that tests/reference/signature_values.py signed. */
static const char *make_model(place *s, const char *name)
{
    put(s, wr_arena_printf(s->a, "%s/a.txt", name), "hi\n");
    put(s, wr_arena_printf(s->a, "%s/sub/b.txt", name), "b\n");
    put(s, wr_arena_printf(s->a, "%s/sub.txt", name), "c\n");
    put(s, wr_arena_printf(s->a, "%s/empty", name), "");
    put(s,
        wr_arena_printf(s->a,
                        "%s/\xc3\xbc"
                        "ber.txt",
                        name),
        "d\n");
    put(s, wr_arena_printf(s->a, "%s/.gitignore", name), "g\n");
    return at(s, name);
}

static wr_trust *trust(place *s, const char *pem)
{
    wr_trust *t;
    OK(wr_trust_new(&t, &s->err));
    OK(wr_trust_add(t, wr_str_of(pem), "trusted", &s->err));
    return t;
}

static int check(place *s, const char *bundle, const char *pem, const char *path)
{
    wr_signature sig;
    wr_manifest found;
    const char *by = NULL;
    wr_trust *t = trust(s, pem);
    int rc = wr_signature_parse(&sig, s->a, wr_str_of(bundle), "model.sig", &s->err);
    if (rc == 0) rc = wr_signature_verify(&sig, t, s->a, &by, &s->err);
    if (rc == 0) rc = wr_manifest_read(&found, s->a, path, &sig.manifest, &s->err);
    if (rc == 0) rc = wr_manifest_compare(&found, &sig.manifest, &s->err);
    if (rc == 0) assert_non_null(by);
    wr_trust_free(t);
    return rc;
}

/* ---- what model_signing made ---- */

static void test_recorded(void **state)
{
    place *s = *state;
    const char *model = make_model(s, "model"), *one = at(s, "model/a.txt");
    OK(check(s, p256_bundle, p256_public, model));
    OK(check(s, p384_bundle, p384_public, model));
    OK(check(s, p521_bundle, p521_public, model));
    OK(check(s, shards_bundle, p256_public, model));
    OK(check(s, single_bundle, p256_public, one));
    OK(check(s, chain_bundle, root_certificate, model));
    put(s, "model/model.sig", p256_bundle); /* its own place is left out */
    OK(check(s, p256_bundle, p256_public, model));
}

static void test_recorded_refused(void **state)
{
    place *s = *state;
    const char *model = make_model(s, "model");
    FAILS(WEIR_ENO, check(s, p256_bundle, p384_public, model));
    SAYS("another key", s->err.msg);
    FAILS(WEIR_ENO, check(s, chain_bundle, p256_public, model));
    SAYS("no certificate is trusted", s->err.msg);
    FAILS(WEIR_ENO, check(s, chain_bundle, middle_certificate, model)); /* only a root ends a chain */
    SAYS("not trusted", s->err.msg);
    FAILS(WEIR_ENO, check(s, p256_bundle, root_certificate, model));
    put(s, "model/sub/b.txt", "B\n");
    FAILS(WEIR_ENO, check(s, p256_bundle, p256_public, model));
    SAYS("\"sub/b.txt\" is not what was signed", s->err.msg);
    SAYS("1 changed, 0 missing, 0 added", s->err.detail);
    FAILS(WEIR_ENO, check(s, shards_bundle, p256_public, model));
    SAYS("\"sub/b.txt\"", s->err.msg);
    put(s, "model/sub/b.txt", "b\nlonger"); /* more pieces than were signed */
    FAILS(WEIR_ENO, check(s, shards_bundle, p256_public, model));
    SAYS("3 added", s->err.detail);
}

/* ---- what was touched ---- */

static const char *edited(place *s, const char *text, const char *from, const char *to)
{
    const char *p = strstr(text, from);
    assert_non_null(p);
    return wr_arena_printf(s->a, "%.*s%s%s", (int)(p - text), text, to, p + strlen(from));
}

/* The bundle with another payload, under the old signature. */
static const char *with_payload(place *s, const char *bundle, const char *from, const char *to)
{
    WR_AUTOBUF wr_buf payload = {0}, coded = {0};
    wr_json j;
    OK(wr_json_parse(&j, wr_str_of(bundle), "bundle", &s->err));
    const char *old = yyjson_get_str(yyjson_ptr_get(j.root, "/dsseEnvelope/payload"));
    assert_non_null(old);
    assert_true(wr_base64_decode(&payload, wr_str_of(old)));
    wr_base64_encode(&coded, wr_str_of(edited(s, wr_buf_cstr(&payload), from, to)), false);
    const char *out = edited(s, bundle, old, wr_buf_cstr(&coded));
    wr_json_free(&j);
    return out;
}

static void test_touched(void **state)
{
    place *s = *state;
    const char *model = make_model(s, "model");
    /* a name is not part of the root: only the signature guards it */
    FAILS(WEIR_ENO,
          check(s, with_payload(s, p256_bundle, "\"name\": \"model\"", "\"name\": \"other\""), p256_public, model));
    SAYS("does not fit", s->err.msg);
    FAILS(WEIR_ENO, check(s, with_payload(s, p256_bundle, "sub.txt", "sun.txt"), p256_public, model));
    FAILS(WEIR_ENO, check(s, with_payload(s, p256_bundle, ".github", "sub"), p256_public, model));
    /* a digest is: the statement contradicts itself before any key is asked */
    FAILS(WEIR_ECORRUPT, check(s, with_payload(s, p256_bundle, "98ea6e4f", "08ea6e4f"), p256_public, model));
    FAILS(WEIR_ENO, check(s, edited(s, p256_bundle, "\"sig\":\"ME", "\"sig\":\"MF"), p256_public, model));
    FAILS(WEIR_ENO, check(s, edited(s, p256_bundle, "\"hint\":\"", "\"hint\":\"0"), p256_public, model));
    /* without a hint every trusted key is tried */
    wr_trust *t = trust(s, p256_public);
    OK(wr_trust_add(t, wr_str_of(p384_public), "trusted", &s->err));
    wr_json j;
    OK(wr_json_parse(&j, wr_str_of(p384_bundle), "bundle", &s->err));
    const char *hint = yyjson_get_str(yyjson_ptr_get(j.root, "/verificationMaterial/publicKey/hint"));
    wr_signature sig;
    const char *by = NULL;
    OK(wr_signature_parse(&sig, s->a, wr_str_of(edited(s, p384_bundle, hint, "")), "model.sig", &s->err));
    assert_null(sig.hint);
    OK(wr_signature_verify(&sig, t, s->a, &by, &s->err));
    SAYS(wr_arena_printf(s->a, "%.12s", hint), by);
    wr_json_free(&j);
    wr_trust_free(t);
}

static void test_malformed(void **state)
{
    place *s = *state;
    static const struct {
        const char *from, *to;
        int code;
    } outer[] = {
        {"bundle.v0.3", "bundle.v0.1", WEIR_EUNSUPPORTED},
        {"vnd.in-toto", "vnd.other", WEIR_EUNSUPPORTED},
        {"\"publicKey\"", "\"certificate\"", WEIR_EUNSUPPORTED},
        {"\"publicKey\"", "\"nothing\"", WEIR_EINVAL},
        {"\"payload\":\"", "\"payload\":\"*", WEIR_EPARSE},
        {"\"signatures\":[", "\"signatures\":[{},", WEIR_EPARSE},
        {"\"signatures\"", "\"signature\"", WEIR_EINVAL},
        {"{", "[", WEIR_EPARSE},
    };
    static const struct {
        const char *from, *to;
        int code;
    } inner[] = {
        {"Statement/v1", "Statement/v2", WEIR_EUNSUPPORTED},
        {"signature/v1.0", "signature/v9.0", WEIR_EUNSUPPORTED},
        {"\"files\"", "\"pages\"", WEIR_EUNSUPPORTED},
        {"\"hash_type\": \"sha256\"", "\"hash_type\": \"blake2b\"", WEIR_EUNSUPPORTED},
        {"\"algorithm\": \"sha256\"", "\"algorithm\": \"blake3\"", WEIR_EUNSUPPORTED},
        {"\"a.txt\"", "\"../a.txt\"", WEIR_EPARSE},
        {"\"a.txt\"", "\"/a.txt\"", WEIR_EPARSE},
        {"\"a.txt\"", "\"./a.txt\"", WEIR_EPARSE},
        {"\"a.txt\"", "\"a\\u0000.txt\"", WEIR_EPARSE},
        {"\"a.txt\"", "\"\"", WEIR_EPARSE},
        {"\"a.txt\"", "\"empty\"", WEIR_EINVAL}, /* twice */
        {"98ea6e4f", "98eg6e4f", WEIR_EPARSE},
        {"98ea6e4f", "98ea6e4", WEIR_EPARSE},
        {"\"resources\": [", "\"resources\": [1,", WEIR_ETYPE},
        {"\"ignore_paths\": [", "\"ignore_paths\": [1,", WEIR_ETYPE},
        {"\"subject\": [", "\"subject\": [{},", WEIR_EPARSE},
        {"\"predicate\"", "\"predicament\"", WEIR_EINVAL},
    };
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
        FAILS(outer[i].code, check(s, edited(s, p256_bundle, outer[i].from, outer[i].to), p256_public, s->dir));
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        FAILS(inner[i].code, check(s, with_payload(s, p256_bundle, inner[i].from, inner[i].to), p256_public, s->dir));
    FAILS(WEIR_EPARSE, check(s, with_payload(s, shards_bundle, "a.txt:0:2", "a.txt:2:2"), p256_public, s->dir));
    FAILS(WEIR_EPARSE, check(s, with_payload(s, shards_bundle, "a.txt:0:2", "a.txt:2"), p256_public, s->dir));
    FAILS(WEIR_EPARSE,
          check(s, with_payload(s, shards_bundle, "\"shard_size\": 2.0", "\"shard_size\": 0"), p256_public, s->dir));
    FAILS(WEIR_EPARSE, check(s, "", p256_public, s->dir));
    FAILS(WEIR_ETYPE, check(s, "[]", p256_public, s->dir));
}

/* ---- our own ---- */

static void make_key(place *s, const char *kind, wr_str phrase, const char **secret, const char **open_text)
{
    WR_AUTOBUF wr_buf a = {0}, b = {0};
    OK(wr_signing_key_make(&a, &b, kind, phrase, &s->err));
    *secret = wr_arena_strdup(s->a, wr_buf_cstr(&a));
    *open_text = wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

static void test_round_trip(void **state)
{
    place *s = *state;
    static const char *const kinds[] = {"P-256", "P-384", "P-521", "Ed25519"};
    const char *model = make_model(s, "model");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        WR_AUTOBUF wr_buf bundle = {0};
        wr_signing_key *k;
        wr_manifest m;
        const char *secret, *open_text;
        wr_str phrase = i % 2 ? WR_STR("open sesame") : none;
        make_key(s, kinds[i], phrase, &secret, &open_text);
        OK(wr_signing_key_read(&k, wr_str_of(secret), phrase, none, "key", &s->err));
        OK(wr_manifest_read(&m, s->a, model, NULL, &s->err));
        OK(wr_signature_make(&bundle, &m, k, &s->err));
        OK(check(s, wr_buf_cstr(&bundle), open_text, model));
        FAILS(WEIR_ENO, check(s, wr_buf_cstr(&bundle), p256_public, model));
        FAILS(WEIR_ENO, check(s, with_payload(s, wr_buf_cstr(&bundle), "sub.txt", "sun.txt"), open_text, model));
        wr_signing_key_free(k);
    }
}

static void test_keys(void **state)
{
    place *s = *state;
    const char *secret, *open_text;
    wr_signing_key *k;
    wr_trust *t;
    make_key(s, "P-256", WR_STR("open sesame"), &secret, &open_text);
    FAILS(WEIR_EACCESS, wr_signing_key_read(&k, wr_str_of(secret), none, none, "key.pem", &s->err));
    SAYS("is encrypted", s->err.msg);
    FAILS(WEIR_EACCESS, wr_signing_key_read(&k, wr_str_of(secret), WR_STR("sesame"), none, "key.pem", &s->err));
    FAILS(WEIR_EACCESS, wr_signing_key_read(&k, wr_str_of(secret), WR_STR(""), none, "key.pem", &s->err));
    FAILS(WEIR_EINVAL, wr_signing_key_read(&k, wr_str_of(open_text), none, none, "key.pem", &s->err));
    FAILS(WEIR_EINVAL, wr_signing_key_read(&k, WR_STR(""), none, none, "key.pem", &s->err));
    FAILS(WEIR_EINVAL, wr_signing_key_read(&k, wr_str_of(secret), WR_STR("open sesame"), wr_str_of(root_certificate),
                                           "key.pem", &s->err));
    SAYS("not of the key", s->err.msg);
    FAILS(WEIR_EINVAL, wr_signing_key_make(&(wr_buf){0}, &(wr_buf){0}, "RSA", none, &s->err));
    OK(wr_trust_new(&t, &s->err));
    FAILS(WEIR_EINVAL, wr_trust_add(t, wr_str_of(secret), "key.pem", &s->err));
    SAYS("private key", s->err.msg);
    FAILS(WEIR_EINVAL, wr_trust_add(t, WR_STR("nothing"), "key.pem", &s->err));
    FAILS(WEIR_EINVAL,
          wr_trust_add(t, WR_STR("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "key.pem", &s->err));
    FAILS(WEIR_EINVAL, wr_trust_add(t, WR_STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                                    "key.pem", &s->err));
    /* curves that nobody else takes are refused */
    static const char secp256k1[] = "-----BEGIN PUBLIC KEY-----\n"
                                    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEHzkLPAKP3TiwpQk6nG0VQm3Jp8cUeXjc\n"
                                    "5sSEU95GqpK1GkjbIkB/19vNyMPfne12i3sZRhU/l+Ck3dlTeb24yg==\n"
                                    "-----END PUBLIC KEY-----\n";
    FAILS(WEIR_EINVAL, wr_trust_add(t, wr_str_of(secp256k1), "key.pem", &s->err));
    SAYS("not a kind of key", s->err.msg);
    wr_trust_free(t);
}

/* ---- manifests ---- */

static void test_order(void **state)
{
    (void)state;
    static const char *const sorted[] = {"a", "a/b", "a/b/c", "a-b", "a.b", "ab", "\xc3\xbc"};
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        for (size_t k = 0; k < sizeof sorted / sizeof *sorted; k++) {
            int c = wr_manifest_path_cmp(sorted[i], sorted[k]);
            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
        }
    static const char *const list[] = {"model.sig", ".git/", "sub/x"};
    assert_true(wr_manifest_ignores(list, 3, ".git/objects/aa"));
    assert_true(wr_manifest_ignores(list, 3, "sub/x"));
    assert_false(wr_manifest_ignores(list, 3, ".gitx"));
    assert_false(wr_manifest_ignores(list, 3, "sub"));
    assert_false(wr_manifest_ignores(list, 3, "sub/model.sig"));
}

static void test_links(void **state)
{
    place *s = *state;
    const char *model = make_model(s, "model");
    wr_manifest m, with;
    wr_signature sig;
    OK(wr_manifest_read(&m, s->a, model, NULL, &s->err));
    assert_int_equal(m.n, 5);
    assert_string_equal(m.files[0].path, "a.txt");
    assert_string_equal(m.files[2].path, "sub/b.txt");
    assert_string_equal(m.files[3].path, "sub.txt");
    assert_string_equal(m.name, "model");
    OK(wr_signature_parse(&sig, s->a, wr_str_of(p256_bundle), "model.sig", &s->err));
    assert_string_equal(m.root, sig.manifest.root);
    assert_int_equal(symlink("a.txt", at(s, "model/link")), 0);
    FAILS(WEIR_EINVAL, wr_manifest_read(&with, s->a, model, NULL, &s->err));
    SAYS("link\" is a symbolic link", s->err.msg);
    sig.manifest.links = true;
    OK(wr_manifest_read(&with, s->a, model, &sig.manifest, &s->err));
    assert_int_equal(with.n, 6);
    assert_int_equal(unlink(at(s, "model/link")), 0);
    assert_int_equal(symlink("sub", at(s, "model/link")), 0);
    FAILS(WEIR_EINVAL, wr_manifest_read(&with, s->a, model, &sig.manifest, &s->err));
    assert_int_equal(unlink(at(s, "model/link")), 0);
    assert_int_equal(mkfifo(at(s, "model/pipe"), 0600), 0);
    FAILS(WEIR_EINVAL, wr_manifest_read(&with, s->a, model, NULL, &s->err)); /* and does not wait for a writer */
    FAILS(WEIR_ENOTFOUND, wr_manifest_read(&with, s->a, at(s, "nothing"), NULL, &s->err));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_recorded),   TEST(test_recorded_refused),
                                       TEST(test_touched),    TEST(test_malformed),
                                       TEST(test_round_trip), TEST(test_keys),
                                       TEST(test_order),      TEST(test_links)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
