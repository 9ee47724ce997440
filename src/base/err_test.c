/* SPDX-License-Identifier: Apache-2.0 */
/* err_test.c - codes, filling, cutting. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `act` in a child with stderr closed; how the child ended. */
static int ends(void (*act)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_table(void **state)
{
    (void)state;
    assert_string_equal(wr_err_name(WEIR_OK), "WEIR_OK");
    assert_string_equal(wr_err_name(WEIR_EINVAL), "WEIR_EINVAL");
    assert_string_equal(wr_err_text(WEIR_EINVAL), "invalid value");
    assert_int_equal(wr_err_http(WEIR_OK), 200);
    assert_int_equal(wr_err_http(WEIR_ENOTFOUND), 404);
    assert_int_equal(wr_err_exit(WEIR_OK), 0);
    assert_int_equal(wr_err_exit(WEIR_ENO), 1);
    assert_int_equal(wr_err_exit(WEIR_EUSAGE), 64);
    assert_string_equal(wr_err_text(-9999), "unknown error");
    assert_int_equal(wr_err_http(-9999), 500);
    assert_int_equal(wr_err_exit(7), 2);
    int count = 0;
#define X(sym, val, text, http, ex)                                                                                    \
    assert_string_equal(wr_err_name(sym), #sym);                                                                       \
    assert_int_equal(sym, --count);
    WEIR_ERRORS(X)
#undef X
}

static void test_set_overwrites(void **state)
{
    (void)state;
    wr_err e = {.code = 5, .msg = "old", .detail = "old", .hint = "old"};
    assert_int_equal(wr_err_set(&e, WEIR_ETYPE, "column '%s'", "age"), WEIR_ETYPE);
    assert_int_equal(e.code, WEIR_ETYPE);
    assert_string_equal(e.msg, "column 'age'");
    assert_string_equal(e.detail, "");
    assert_string_equal(e.hint, "");
    assert_int_equal(wr_err_detail(&e, WEIR_ETYPE, "it is %s", "text"), WEIR_ETYPE);
    assert_int_equal(wr_err_hint(&e, WEIR_ETYPE, "cast it"), WEIR_ETYPE);
    assert_string_equal(e.detail, "it is text");
    assert_string_equal(e.hint, "cast it");
    assert_int_equal(wr_err_nomem(&e), WEIR_ENOMEM);
    assert_string_equal(e.msg, "out of memory");
    assert_string_equal(e.hint, "");
}

static void test_null_err(void **state)
{
    (void)state;
    assert_int_equal(wr_err_set(NULL, WEIR_EIO, "x"), WEIR_EIO);
    assert_int_equal(wr_err_detail(NULL, WEIR_EIO, "x"), WEIR_EIO);
    assert_int_equal(wr_err_hint(NULL, WEIR_EIO, "x"), WEIR_EIO);
    assert_int_equal(wr_err_wrap(NULL, WEIR_EIO, "x"), WEIR_EIO);
    assert_int_equal(wr_err_sys(NULL, ENOSPC, "x"), WEIR_ENOSPC);
    assert_int_equal(wr_err_nomem(NULL), WEIR_ENOMEM);
}

static void test_sys(void **state)
{
    (void)state;
    static const struct {
        int sys, code, hint;
    } cases[] = {
        {ENOSPC, WEIR_ENOSPC, 1},      {EDQUOT, WEIR_ENOSPC, 1},    {EACCES, WEIR_EACCESS, 1}, {EPERM, WEIR_EACCESS, 1},
        {EROFS, WEIR_EACCESS, 1},      {ENOENT, WEIR_ENOTFOUND, 0}, {EEXIST, WEIR_EEXIST, 0},  {ENOMEM, WEIR_ENOMEM, 0},
        {ETIMEDOUT, WEIR_ETIMEOUT, 0}, {EIO, WEIR_EIO, 0},          {EMFILE, WEIR_EIO, 1},     {123456, WEIR_EIO, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_err e;
        assert_int_equal(wr_err_sys(&e, cases[i].sys, "cannot write '%s'", "f"), cases[i].code);
        assert_int_equal(e.code, cases[i].code);
        assert_string_equal(e.msg, "cannot write 'f'");
        assert_string_equal(e.detail, strerror(cases[i].sys));
        assert_int_equal(e.hint[0] != 0, cases[i].hint);
    }
}

static void test_wrap(void **state)
{
    (void)state;
    wr_err e;
    wr_err_set(&e, WEIR_EIO, "cannot read 'f'");
    wr_err_hint(&e, WEIR_EIO, "h");
    assert_int_equal(wr_err_wrap(&e, WEIR_EIO, "stage '%s'", "train"), WEIR_EIO);
    assert_string_equal(e.msg, "stage 'train': cannot read 'f'");
    assert_string_equal(e.hint, "h");
    for (int i = 0; i < 100; i++) wr_err_wrap(&e, WEIR_EIO, "layer %d", i);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    assert_memory_equal(e.msg, "layer 99: layer 98: ", 20);
}

static void test_arguments_from_itself(void **state)
{
    (void)state;
    wr_err e;
    wr_err_set(&e, WEIR_EIO, "inner");
    wr_err_set(&e, WEIR_EPARSE, "outer(%s)", e.msg);
    assert_string_equal(e.msg, "outer(inner)");
    wr_err_wrap(&e, WEIR_EPARSE, "%s again", e.msg);
    assert_string_equal(e.msg, "outer(inner) again: outer(inner)");
}

static void test_cut_at_character(void **state)
{
    (void)state;
    for (int pad = 0; pad < 4; pad++) { /* wherever the cut falls among three-byte characters */
        char text[1200] = "xxxx";
        size_t n = (size_t)pad;
        while (n + 4 < sizeof text) {
            memcpy(text + n, "\xE2\x82\xAC", 3);
            n += 3;
        }
        text[n] = 0;
        wr_err e;
        wr_err_set(&e, WEIR_EIO, "%s", text);
        size_t len = strlen(e.msg);
        assert_true(len >= sizeof e.msg - 3 && len < sizeof e.msg);
        assert_int_equal((len - (size_t)pad) % 3, 0);
    }
}

static void hit_bug(void) { WR_BUG_IF(1 + 1 == 2); }
static void miss_bug(void) { WR_BUG_IF(1 + 1 == 3); }

static void test_bug(void **state)
{
    (void)state;
    int status = ends(hit_bug);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(ends(miss_bug), 0);
}

static int fails_with(int code)
{
    WR_TRY(code);
    return 1;
}

static void test_try(void **state)
{
    (void)state;
    assert_int_equal(fails_with(WEIR_EIO), WEIR_EIO);
    assert_int_equal(fails_with(0), 1);
    assert_int_equal(fails_with(3), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_set_overwrites),
        cmocka_unit_test(test_null_err),
        cmocka_unit_test(test_sys),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_arguments_from_itself),
        cmocka_unit_test(test_cut_at_character),
        cmocka_unit_test(test_bug),
        cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
