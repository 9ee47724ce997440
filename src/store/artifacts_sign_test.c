/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_sign_test.c - the secret's file, and links that nobody else can make. */
#include "store/artifacts_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static char dir[256], path[300];

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/weir-sign-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/secret", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return wr_file_remove_tree(dir, NULL);
}

static void *open_one(void *out)
{
    wr_err err = {0};
    if (wr_signer_open(out, path, &err) < 0) abort();
    return NULL;
}

static void one_secret_for_all(void **state)
{
    (void)state;
    wr_signer s[6] = {0}, zero = {0};
    pthread_t t[6];
    for (int i = 0; i < 6; i++) assert_int_equal(pthread_create(&t[i], NULL, open_one, &s[i]), 0);
    for (int i = 0; i < 6; i++) pthread_join(t[i], NULL);
    assert_memory_not_equal(&s[0], &zero, sizeof zero);
    for (int i = 1; i < 6; i++) assert_memory_equal(&s[0], &s[i], sizeof zero);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_nlink, 1);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    assert_int_equal(wr_file_list(&names, &n, a, dir, NULL), 0);
    assert_int_equal(n, 1);
}

static void bad_secrets(void **state)
{
    (void)state;
    wr_signer s;
    wr_err err = {0};
    assert_int_equal(wr_file_write(path, WR_STR("short"), NULL), 0);
    assert_int_equal(wr_signer_open(&s, path, &err), WEIR_EACCESS); /* 0644 */
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(wr_signer_open(&s, path, &err), WEIR_ECORRUPT);
    assert_non_null(strstr(err.hint, "delete"));
    assert_int_equal(wr_signer_open(&s, "/nowhere/at/all", &err), WEIR_ENOTFOUND);
}

static int check(const wr_signer *s, const char *method, const char *target, int64_t now)
{
    wr_err err = {0};
    int rc = wr_sign_check(s, wr_str_of(method), wr_str_of(target), now, &err);
    if (rc < 0) assert_non_null(strstr(err.msg, "signed link"));
    return rc;
}

static void links(void **state)
{
    (void)state;
    wr_signer s, other;
    wr_buf b;
    wr_buf_init(&b, 0);
    memset(s.key, 7, sizeof s.key);
    memset(other.key, 8, sizeof other.key);
    wr_buf_str(&b, "/api/x/part?upload=abc&n=1");
    wr_sign_target(&b, &s, "PUT", 1000);
    /* a known value: HMAC-SHA256 by another program (Python's hmac) */
    assert_string_equal(wr_buf_cstr(&b), "/api/x/part?upload=abc&n=1&expires=1000&signature="
                                         "79d1fd8ba628623c0833e35f172bd72a4c1606491c904518909b83e566537d3c");
    const char *link = wr_buf_cstr(&b);
    assert_int_equal(check(&s, "PUT", link, 1000), 0);
    assert_int_equal(check(&s, "PUT", link, 1001), WEIR_EACCESS);
    assert_int_equal(check(&s, "GET", link, 1000), WEIR_EACCESS);
    assert_int_equal(check(&other, "PUT", link, 1000), WEIR_EACCESS);
    char *changed = strdup(link);
    for (size_t i = 0; i < b.n; i++) { /* no byte of it may be another */
        changed[i] ^= 1;
        assert_int_equal(check(&s, "PUT", changed, 0), WEIR_EACCESS);
        changed[i] ^= 1;
    }
    for (size_t i = 0; i < b.n; i++) { /* nor missing at the end, or at the start */
        changed[b.n - i - 1] = 0;
        assert_int_equal(check(&s, "PUT", changed, 0), WEIR_EACCESS);
        assert_int_equal(check(&s, "PUT", link + i + 1, 0), WEIR_EACCESS);
    }
    free(changed);
    wr_buf_str(&b, "&more=1");
    assert_int_equal(check(&s, "PUT", wr_buf_cstr(&b), 0), WEIR_EACCESS);
    wr_buf_clear(&b);
    wr_buf_str(&b, "/plain");
    wr_sign_target(&b, &s, "GET", 5);
    assert_non_null(strstr(wr_buf_cstr(&b), "/plain?expires=5&signature="));
    assert_int_equal(check(&s, "GET", wr_buf_cstr(&b), 5), 0);
    assert_int_equal(check(&s, "HEAD", wr_buf_cstr(&b), 5), 0); /* who may read may ask for the length */
    assert_int_equal(check(&s, "DELETE", wr_buf_cstr(&b), 5), WEIR_EACCESS);
    assert_int_equal(check(&s, "GET", "", 5), WEIR_EACCESS);
    assert_int_equal(check(&s, "GET", "/plain", 5), WEIR_EACCESS);
    wr_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_secret_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_secrets, setup, teardown),
        cmocka_unit_test(links),
    };
    return cmocka_run_group_tests_name("artifacts_sign", tests, NULL, NULL);
}
