/* SPDX-License-Identifier: Apache-2.0 */
/* fault_test.c - counting, stickiness, the environment, threads, the crash point. */
#include "base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

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

static int disarm_all(void **state)
{
    (void)state;
    for (int k = 0; k < WR_FAULT_KINDS; k++) wr_fault_arm((wr_fault_kind)k, 0, false);
    return 0;
}

static void test_once(void **state)
{
    (void)state;
    assert_false(wr_fault_hit(WR_FAULT_WRITE));
    wr_fault_arm(WR_FAULT_WRITE, 3, false);
    const bool want[] = {false, false, true, false, false};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(wr_fault_fired(WR_FAULT_WRITE), i > 2);
        assert_int_equal(wr_fault_hit(WR_FAULT_WRITE), want[i]);
        assert_false(wr_fault_hit(WR_FAULT_FSYNC)); /* kinds do not mix */
    }
    assert_true(wr_fault_fired(WR_FAULT_WRITE));
    wr_fault_arm(WR_FAULT_WRITE, 1, false); /* arming again starts anew */
    assert_false(wr_fault_fired(WR_FAULT_WRITE));
    assert_true(wr_fault_hit(WR_FAULT_WRITE));
}

static void test_sticky(void **state)
{
    (void)state;
    wr_fault_arm(WR_FAULT_RENAME, 2, true);
    assert_false(wr_fault_hit(WR_FAULT_RENAME));
    for (int i = 0; i < 10; i++) assert_true(wr_fault_hit(WR_FAULT_RENAME));
    wr_fault_arm(WR_FAULT_RENAME, 0, true);
    assert_false(wr_fault_hit(WR_FAULT_RENAME));
    assert_false(wr_fault_fired(WR_FAULT_RENAME));
}

static int warnings;
static void count_warning(void *ctx, wr_log_level level, const char *line)
{
    (void)ctx;
    (void)line;
    warnings += level == WR_LOG_WARN;
}

static void test_env(void **state)
{
    (void)state;
    setenv("WEIR_FAULT", "write:2, fsync:1!", 1);
    wr_fault_from_env();
    assert_false(wr_fault_hit(WR_FAULT_WRITE));
    assert_true(wr_fault_hit(WR_FAULT_WRITE));
    assert_false(wr_fault_hit(WR_FAULT_WRITE));
    assert_true(wr_fault_hit(WR_FAULT_FSYNC));
    assert_true(wr_fault_hit(WR_FAULT_FSYNC));
    assert_false(wr_fault_hit(WR_FAULT_ALLOC));

    wr_log_set_sink(count_warning, NULL);
    setenv("WEIR_FAULT", "nonsense:1,write,write:x,write:-1,write:!,,rename:1", 1);
    wr_fault_from_env();
    wr_log_set_sink(NULL, NULL);
    assert_int_equal(warnings, 6);
    assert_true(wr_fault_hit(WR_FAULT_RENAME));
    unsetenv("WEIR_FAULT");
    wr_fault_from_env();
}

enum { THREADS = 4, CALLS = 5000 };
static atomic_int failures;
static void *many_hits(void *arg)
{
    for (int i = 0; i < CALLS; i++) failures += wr_fault_hit(WR_FAULT_ALLOC);
    return arg;
}

static void test_threads(void **state)
{
    (void)state;
    for (int sticky = 0; sticky < 2; sticky++) {
        failures = 0;
        wr_fault_arm(WR_FAULT_ALLOC, 7777, sticky);
        pthread_t t[THREADS];
        for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, many_hits, NULL), 0);
        for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
        assert_int_equal(failures, sticky ? THREADS * CALLS - 7776 : 1);
        assert_true(wr_fault_fired(WR_FAULT_ALLOC));
    }
}

static void crash_second(void)
{
    wr_fault_crash_point();
    wr_fault_arm(WR_FAULT_CRASH, 2, false);
    wr_fault_crash_point();
    wr_fault_crash_point();
}
static void crash_never(void)
{
    wr_fault_arm(WR_FAULT_CRASH, 3, false);
    wr_fault_crash_point();
    wr_fault_crash_point();
}

static void test_crash_point(void **state)
{
    (void)state;
    int status = ends(crash_second);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 137);
    assert_int_equal(ends(crash_never), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_once, disarm_all),        cmocka_unit_test_setup(test_sticky, disarm_all),
        cmocka_unit_test_setup(test_env, disarm_all),         cmocka_unit_test_setup(test_threads, disarm_all),
        cmocka_unit_test_setup(test_crash_point, disarm_all),
    };
    return cmocka_run_group_tests(tests, NULL, disarm_all);
}
