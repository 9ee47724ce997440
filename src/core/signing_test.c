/* SPDX-License-Identifier: Apache-2.0 */
/* signing_test.c - signatures of registered versions: kept, found, judged when a version moves and when it is loaded.
 */
#include "core/signing.h"

#include "core/core_testing.h"
#include "core/model.h"
#include "store/artifacts.h"

static const wr_str none = {NULL, 0};

static wr_signing_key *make_key(place *s, const char *public_file)
{
    WR_AUTOBUF wr_buf secret = {0}, open_text = {0};
    wr_signing_key *key = NULL;
    OK(wr_signing_key_make(&secret, &open_text, "Ed25519", none, &s->err));
    if (public_file) put(s, public_file, wr_buf_cstr(&open_text));
    OK(wr_signing_key_read(&key, wr_buf_view(&secret), none, none, "key", &s->err));
    return key;
}

static void artifact(place *s, const char *path, const char *content)
{
    wr_artifacts *store;
    OK(wr_project_artifacts(&store, s->p, NULL, &s->err));
    OK(wr_artifacts_put(store, wr_str_of(path), wr_str_of(content), NULL, &s->err));
}

typedef struct {
    const char *name, *source, *to; /* to: an alias, or a stage with its capital letter; NULL = register */
    int64_t version;
} client;

/* As an MLflow client's request does it, in one write. */
static int client_fn(wr_track *t, void *arg, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const client *c = arg;
    wr_registered_version v;
    wr_registered_model m;
    wr_err ignored;
    wr_str name = wr_str_of(c->name);
    if (c->to && c->to[0] >= 'A' && c->to[0] <= 'Z')
        return wr_registered_version_move(t, name, c->version, wr_str_of(c->to), false, NULL, err);
    if (c->to) return wr_registered_alias_set(t, name, wr_str_of(c->to), c->version, NULL, err);
    if (wr_registered_model_get(&m, a, t, name, &ignored) < 0)
        WR_TRY(wr_registered_model_create(&m, a, t, name, none, NULL, 0, err));
    wr_registered_version_new in = {.name = name, .source = wr_str_of(c->source)};
    return wr_registered_version_create(&v, a, t, &in, err);
}

static int ask(place *s, const char *source, int64_t version, const char *to)
{
    wr_track *t;
    client c = {"churn", source, to, version};
    OK(wr_project_track(&t, s->p, &s->err));
    return wr_track_write(t, client_fn, &c, &s->err);
}

static wr_registered_version get_version(place *s, int64_t version)
{
    wr_registered_version v;
    OK(wr_model_registered(&v, s->a, s->p, wr_arena_printf(s->a, "churn@%lld", (long long)version), &s->err));
    return v;
}

static void sign_version(place *s, int64_t version, const wr_signing_key *key)
{
    wr_registered_version v = get_version(s, version);
    OK(wr_signing_sign(NULL, NULL, s->a, s->p, &v, key, &s->err));
}

/* Version 1 is a folder of two files, version 2 one file. */
static void two_versions(place *s, const char *yaml)
{
    put(s, "weir.yaml", yaml);
    reopen(s);
    artifact(s, "0/r/artifacts/model/MLmodel", "flavors: {}\n");
    artifact(s, "0/r/artifacts/model/sub/weights", "1 2 3");
    artifact(s, "0/r/artifacts/one.onnx", "onnx");
    OK(ask(s, "mlflow-artifacts:/0/r/artifacts/model", 0, NULL));
    OK(ask(s, "mlflow-artifacts:/0/r/artifacts/one.onnx", 0, NULL));
}

static int check(place *s, int64_t version) { return wr_signature_check_policy(s->p, "churn", version, &s->err); }

static const char strict[] = "registry: {require: signature, trust: [key.pub]}\n";

static void test_required(void **state)
{
    place *s = *state;
    wr_artifacts *store;
    wr_artifact_info info;
    wr_signing_key *right = make_key(s, "key.pub"), *wrong = make_key(s, NULL);
    two_versions(s, strict);
    FAILS(WEIR_ENO, check(s, 1));
    SAYS("not signed", s->err.msg);
    SAYS("weir model sign churn@1", s->err.hint);
    FAILS(WEIR_ENO, check(s, 0));
    FAILS(WEIR_ENOTFOUND, check(s, 7));
    FAILS(WEIR_ENO, ask(s, NULL, 1, "champion"));
    SAYS("signature", s->err.msg);
    FAILS(WEIR_ENO, ask(s, NULL, 1, "Production"));
    OK(ask(s, NULL, 1, "Archived")); /* nobody uses that */
    OK(ask(s, NULL, 1, "None"));

    sign_version(s, 1, wrong);
    FAILS(WEIR_ENO, check(s, 1));
    SAYS("another key", s->err.msg);
    FAILS(WEIR_ENO, ask(s, NULL, 1, "champion"));
    FAILS(WEIR_ENO, ask(s, NULL, 1, "Staging"));
    sign_version(s, 1, right);
    OK(check(s, 1));
    OK(ask(s, NULL, 1, "champion"));
    OK(ask(s, NULL, 1, "Production"));
    OK(wr_project_artifacts(&store, s->p, NULL, &s->err));
    OK(wr_artifacts_stat(&info, store, WR_STR("0/r/artifacts/model/model.sig"), &s->err));

    sign_version(s, 2, right); /* of one file */
    OK(check(s, 2));
    OK(wr_model_alias(s->p, "churn", "challenger", 2, &s->err));
    wr_signing_key_free(right);
    wr_signing_key_free(wrong);
}

static void test_changed(void **state)
{
    place *s = *state;
    wr_signing_key *key = make_key(s, "key.pub");
    two_versions(s, strict);
    sign_version(s, 1, key);
    sign_version(s, 2, key);
    artifact(s, "0/r/artifacts/model/sub/weights", "1 2 4");
    FAILS(WEIR_ENO, check(s, 1));
    SAYS("\"sub/weights\" is not what was signed", s->err.msg);
    SAYS("version 1 of \"churn\"", s->err.msg);
    FAILS(WEIR_ENO, wr_model_alias(s->p, "churn", "champion", 1, &s->err)); /* the bytes are read before the move */
    artifact(s, "0/r/artifacts/model/sub/weights", "1 2 3");
    OK(check(s, 1));
    artifact(s, "0/r/artifacts/model/more.py", "import os");
    FAILS(WEIR_ENO, check(s, 1));
    SAYS("\"more.py\" is not in the signature", s->err.msg);
    artifact(s, "0/r/artifacts/one.onnx", "Onnx");
    FAILS(WEIR_ENO, check(s, 2));
    wr_signing_key_free(key);
}

static void test_loaded_files(void **state)
{
    place *s = *state;
    wr_signing_key *key = make_key(s, "key.pub");
    two_versions(s, strict);
    sign_version(s, 1, key);
    put(s, "copy/MLmodel", "flavors: {}\n");
    put(s, "copy/sub/weights", "1 2 3");
    OK(wr_signature_check_loaded(s->p, "churn", 1, at(s, "copy"), &s->err));
    put(s, "copy/sub/weights", "evil"); /* between the check and the opening */
    FAILS(WEIR_ENO, wr_signature_check_loaded(s->p, "churn", 1, at(s, "copy"), &s->err));

    FAILS(WEIR_ENO, wr_signature_check_path(s->p, at(s, "copy"), &s->err));
    SAYS("has none", s->err.msg);
    WR_AUTOBUF wr_buf bundle = {0};
    wr_manifest m;
    OK(wr_manifest_read(&m, s->a, at(s, "copy"), NULL, &s->err));
    OK(wr_signature_make(&bundle, &m, key, &s->err));
    put(s, "copy/model.sig", wr_buf_cstr(&bundle));
    OK(wr_signature_check_path(s->p, at(s, "copy"), &s->err));
    put(s, "copy/sub/weights", "more evil");
    FAILS(WEIR_ENO, wr_signature_check_path(s->p, at(s, "copy"), &s->err));
    put(s, "copy/model.sig", "{}");
    FAILS(WEIR_ENO, wr_signature_check_path(s->p, at(s, "copy"), &s->err)); /* whatever is wrong with it */
    wr_signing_key_free(key);
}

/* One alias asks for it: only what stands there is checked. */
static void test_one_place(void **state)
{
    place *s = *state;
    wr_signing_key *key = make_key(s, "key.pub");
    two_versions(s, "registry: {trust: key.pub, policies: [{alias: champion, requires: [signature]}]}\n");
    OK(check(s, 1));
    OK(check(s, 0));
    OK(wr_signature_check_path(s->p, s->dir, &s->err));
    OK(ask(s, NULL, 1, "challenger"));
    OK(check(s, 1));
    FAILS(WEIR_ENO, ask(s, NULL, 1, "champion"));
    sign_version(s, 1, key);
    OK(ask(s, NULL, 1, "champion"));
    OK(check(s, 1));
    artifact(s, "0/r/artifacts/model/sub/weights", "changed");
    FAILS(WEIR_ENO, check(s, 1));
    OK(check(s, 2));
    wr_signing_key_free(key);
}

/* ---- what is no signature of the whole model ---- */

static void keep_bundle(place *s, int64_t version, const char *text)
{
    put(s, "other.sig", text);
    OK(wr_model_report(s->p, "churn", version, "signature", at(s, "other.sig"), &s->err));
}

static void test_not_whole(void **state)
{
    place *s = *state;
    wr_signing_key *key = make_key(s, "key.pub");
    two_versions(s, strict);
    WR_AUTOBUF wr_buf bundle = {0};
    static const char *const ignore[] = {"sub", "model.sig"};
    wr_manifest m;
    wr_registered_version v = get_version(s, 1);
    OK(wr_signing_manifest(&m, s->a, s->p, &v, WR_FILES_READ, &s->err));
    m.ignore = ignore; /* everything is listed, and more could come without anybody noticing */
    m.nignore = 2;
    OK(wr_signature_make(&bundle, &m, key, &s->err));
    keep_bundle(s, 1, wr_buf_cstr(&bundle));
    FAILS(WEIR_ENO, check(s, 1));
    SAYS("leaves \"sub\" out", s->err.msg);
    FAILS(WEIR_ENO, ask(s, NULL, 1, "champion"));
    keep_bundle(s, 1, "no signature at all");
    FAILS(WEIR_ENO, check(s, 1));
    FAILS(WEIR_ENO, ask(s, NULL, 1, "champion"));
    wr_signing_key_free(key);
}

static int tag_fn(wr_track *t, void *arg, wr_err *err)
{
    return wr_registered_version_set_tag(t, WR_STR("churn"), 1, WR_STR("weir.report.signature"), wr_str_of(arg), err);
}

/* A tag alone is no signature; a client's own model.sig counts when the version is loaded. */
static void test_tags_and_files(void **state)
{
    place *s = *state;
    wr_track *t;
    WR_AUTOBUF wr_buf bundle = {0};
    wr_signing_key *key = make_key(s, "key.pub");
    two_versions(s, strict);
    wr_registered_version v = get_version(s, 1);
    wr_manifest m;
    OK(wr_signing_manifest(&m, s->a, s->p, &v, WR_FILES_READ, &s->err));
    OK(wr_signature_make(&bundle, &m, key, &s->err));
    artifact(s, "0/r/artifacts/model/model.sig", wr_buf_cstr(&bundle));
    OK(check(s, 1));
    OK(wr_project_track(&t, s->p, &s->err));
    char digits[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", word[] = "yes";
    OK(wr_track_write(t, tag_fn, digits, &s->err));
    FAILS(WEIR_ENO, check(s, 1));
    SAYS("not kept here", s->err.msg);
    FAILS(WEIR_ENO, ask(s, NULL, 1, "champion"));
    OK(wr_track_write(t, tag_fn, word, &s->err));
    FAILS(WEIR_ENO, check(s, 1));
    keep_bundle(s, 1, wr_buf_cstr(&bundle));
    OK(ask(s, NULL, 1, "champion"));
    wr_signing_key_free(key);
}

static void test_trust(void **state)
{
    place *s = *state;
    wr_trust *t;
    put(s, "weir.yaml", "registry: {require: signature}\n");
    reopen(s);
    FAILS(WEIR_ENO, wr_signing_trust(&t, s->p, &s->err));
    SAYS("nobody's is trusted", s->err.msg);
    put(s, "weir.yaml", "registry: {require: signature, trust: [weir.yaml]}\n");
    reopen(s);
    FAILS(WEIR_EINVAL, wr_signing_trust(&t, s->p, &s->err));
    SAYS("weir.yaml:1:", s->err.msg);
    static const char *const bad[] = {"registry: {require: evaluation}\n", "registry: {require: [signature]}\n",
                                      "registry: {trust: {a: b}}\n", "registry: {trusted: x}\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wr_track *track;
        put(s, "weir.yaml", bad[i]);
        reopen(s);
        assert_true(wr_project_track(&track, s->p, &s->err) < 0);
        SAYS("weir.yaml:1:", s->err.msg);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_required),  TEST(test_changed),   TEST(test_loaded_files),
                                       TEST(test_one_place), TEST(test_not_whole), TEST(test_tags_and_files),
                                       TEST(test_trust)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
