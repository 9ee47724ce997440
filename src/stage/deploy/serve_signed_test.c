/* SPDX-License-Identifier: Apache-2.0 */
/* serve_signed_test.c - an endpoint takes signed models only, when the project says so. */
#include "core/signing.h"
#include "core/trips_testing.h"
#include "stage/deploy/serve.h"

static const char config[] =
    "endpoints:\n  late: {model: late@champion}\nregistry:\n  require: signature\n  trust: [key.pub]\n";

static wr_signing_key *make_key(trips *w, const char *public_file)
{
    WR_AUTOBUF wr_buf secret = {0}, open_text = {0};
    wr_str none = {NULL, 0};
    wr_signing_key *key = NULL;
    OK(wr_signing_key_make(&secret, &open_text, "P-256", none, err));
    if (public_file) trips_write(w, public_file, wr_buf_cstr(&open_text));
    OK(wr_signing_key_read(&key, wr_buf_view(&secret), none, none, "key", err));
    return key;
}

static void sign_version(trips *w, int64_t version, const wr_signing_key *key)
{
    wr_registered_version v;
    char ref[40];
    snprintf(ref, sizeof ref, "late@%lld", (long long)version);
    OK(wr_model_registered(&v, w->a, w->project, ref, err));
    OK(wr_signing_sign(NULL, NULL, w->a, w->project, &v, key, err));
}

static int64_t served(wr_serve *s)
{
    wr_served *m;
    if (wr_serve_take(&m, s, WR_STR("late"), NULL) < 0) return 0;
    int64_t version = m->version;
    wr_serve_give(m);
    return version;
}

static void reopen(trips *w)
{
    wr_project_close(w->project);
    w->project = NULL;
    OK(wr_project_open(&w->project, w->dir, err));
}

/* The alias was moved before anything was required: what it points at is not taken until it is signed by the right key.
 */
static void test_signed_only(void **state)
{
    trips *w = *state;
    wr_serve *s;
    wr_err why = {0};
    int64_t version;
    wr_signing_key *right = make_key(w, "key.pub"), *wrong = make_key(w, NULL);
    OK(wr_model_register(&version, w->project, "late", w->package[0], "", "champion", err));
    trips_write(w, "weir.yaml", config);
    reopen(w);
    OK(wr_serve_open(&s, w->project, NULL, err));
    assert_int_equal(served(s), 0);
    sign_version(w, 1, wrong);
    OK(wr_serve_refresh(s, err));
    assert_int_equal(served(s), 0);
    assert_int_equal(wr_signature_check_policy(w->project, "late", 1, &why), WEIR_ENO);
    assert_non_null(strstr(why.msg, "another key"));
    sign_version(w, 1, right);
    OK(wr_serve_refresh(s, err));
    assert_int_equal(served(s), 1);
    assert_int_equal(wr_signature_check_policy(w->project, "late", 0, &why), WEIR_ENO); /* a candidate */

    /* the next one: not promoted as long as it is not signed, and the first one goes on */
    OK(wr_model_register(&version, w->project, "late", w->package[1], "", NULL, err));
    assert_int_equal(wr_model_alias(w->project, "late", "champion", 2, &why), WEIR_ENO);
    OK(wr_serve_refresh(s, err));
    assert_int_equal(served(s), 1);
    sign_version(w, 2, right);
    OK(wr_model_alias(w->project, "late", "champion", 2, err));
    OK(wr_serve_refresh(s, err));
    assert_int_equal(served(s), 2);
    wr_serve_close(s);
    wr_signing_key_free(right);
    wr_signing_key_free(wrong);
}

static const char simple_onnx[] = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx";

static void sign_path(trips *w, const char *path, const char *to, const wr_signing_key *key)
{
    WR_AUTOBUF wr_buf bundle = {0};
    wr_manifest m;
    OK(wr_manifest_read(&m, w->a, trips_path(w, path), NULL, err));
    OK(wr_signature_make(&bundle, &m, key, err));
    trips_write(w, to, wr_buf_cstr(&bundle));
}

static bool ready(wr_serve *s, const char *name)
{
    wr_instance *m;
    if (wr_repository_take(&m, wr_serve_repository(s), wr_str_of(name), (wr_str){NULL, 0}, NULL) < 0) return false;
    wr_instance_give(m);
    return true;
}

/* What no version names is signed by a file of its own: an endpoint's path, and the versions of a folder of models. */
static void test_signed_paths(void **state)
{
    trips *w = *state;
    wr_serve *s;
    wr_signing_key *right = make_key(w, "key.pub"), *wrong = make_key(w, NULL);
    trips_write(w, "weir.yaml",
                "endpoints:\n  file: {path: m.onnx}\nregistry:\n  require: signature\n  trust: [key.pub]\n");
    reopen(w);
    OK(wr_file_copy(simple_onnx, trips_path(w, "m.onnx"), err));
    OK(wr_file_mkdirs(trips_path(w, "models/simple/1"), err));
    OK(wr_file_copy(simple_onnx, trips_path(w, "models/simple/1/model.onnx"), err));
    wr_serve_opt opt = {.repository = trips_path(w, "models")};
    OK(wr_serve_open(&s, w->project, &opt, err));
    assert_false(ready(s, "file"));
    assert_int_equal(wr_repository_load(wr_serve_repository(s), WR_STR("simple"), (wr_str){NULL, 0}, NULL), WEIR_ENO);
    sign_path(w, "m.onnx", "m.onnx.sig", wrong);
    sign_path(w, "models/simple/1", "models/simple/1/model.sig", wrong);
    for (int i = 0; i < 3; i++) OK(wr_serve_refresh(s, err));
    assert_false(ready(s, "file"));
    assert_int_equal(wr_repository_load(wr_serve_repository(s), WR_STR("simple"), (wr_str){NULL, 0}, NULL), WEIR_ENO);
    assert_false(ready(s, "simple"));
    sign_path(w, "m.onnx", "m.onnx.sig", right);
    sign_path(w, "models/simple/1", "models/simple/1/model.sig", right);
    for (int i = 0; i < 3; i++) OK(wr_serve_refresh(s, err));
    assert_true(ready(s, "file"));
    OK(wr_repository_load(wr_serve_repository(s), WR_STR("simple"), (wr_str){NULL, 0}, err));
    assert_true(ready(s, "simple"));
    wr_serve_close(s);
    wr_signing_key_free(right);
    wr_signing_key_free(wrong);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trips_make, trips_end)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_signed_only), TEST(test_signed_paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
