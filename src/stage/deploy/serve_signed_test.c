/* SPDX-License-Identifier: Apache-2.0 */
/* serve_signed_test.c - an endpoint takes signed models only, when the project says so. */
#include "core/signing.h"
#include "stage/deploy/deploy_testing.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_signed_only, trips_make, trips_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
