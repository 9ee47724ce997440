/* SPDX-License-Identifier: Apache-2.0 */
/* os_test.c - plausible facts. */
#include "base/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static void test_cpus(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    int cpus = wr_os_cpus();
    assert_true(cpus >= 1 && cpus <= CPU_COUNT(&all));
    int first = 0;
    while (!CPU_ISSET(first, &all)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) return; /* not allowed here */
    assert_int_equal(wr_os_cpus(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(wr_os_cpus(), cpus);
}

static void test_memory(void **state)
{
    (void)state;
    uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_true(wr_os_memory() > 0 && wr_os_memory() <= ram);
    size_t n = 64 << 20;
    uint64_t before = wr_os_rss();
    char *p = malloc(n);
    for (size_t i = 0; i < n; i += 1024) ((volatile char *)p)[i] = 1;
    uint64_t after = wr_os_rss();
    free(p);
    assert_true(after >= before + n / 2);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(wr_os_hostname()[0]);
    assert_ptr_equal(wr_os_hostname(), wr_os_hostname());
    assert_int_equal(wr_os_exe()[0], '/');
    assert_int_equal(access(wr_os_exe(), X_OK), 0);
    assert_non_null(strstr(wr_os_exe(), "os"));
}

static void test_terminal(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(wr_os_tty(fds[0]), 0);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(wr_os_tty(-1), 0);
    setenv("COLUMNS", "132", 1);
    assert_int_equal(wr_os_columns(), 132);
    static const char *const odd[] = {"0", "-5", "x", "", "99999999999999999999"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        setenv("COLUMNS", odd[i], 1);
        assert_true(wr_os_columns() > 0 && wr_os_columns() < 10000);
    }
    unsetenv("COLUMNS");
    assert_true(wr_os_columns() > 0);
}

static void test_random(void **state)
{
    (void)state;
    static unsigned char a[100000], b[100000]; /* more than one getrandom(2) is sure to give at once */
    wr_os_random(a, sizeof a);
    wr_os_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - 16, (unsigned char[16]){0}, 16); /* filled to the end */
    int ones = 0;
    for (size_t i = 0; i < sizeof a; i++) ones += __builtin_popcount(a[i]);
    assert_true(abs(ones - 400000) < 3200); /* 7 standard deviations */
    wr_os_random(NULL, 0);
}

static void test_uuid(void **state)
{
    (void)state;
    char before[37] = "";
    for (int i = 0; i < 1000; i++) {
        char u[37];
        wr_os_uuid(u);
        assert_int_equal(strlen(u), 36);
        for (int k = 0; k < 36; k++) {
            bool dash = k == 8 || k == 13 || k == 18 || k == 23;
            assert_non_null(strchr(dash ? "-" : "0123456789abcdef", u[k]));
        }
        assert_int_equal(u[14], '4');
        assert_non_null(strchr("89ab", u[19]));
        assert_string_not_equal(u, before);
        memcpy(before, u, sizeof u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpus),     cmocka_unit_test(test_memory), cmocka_unit_test(test_names),
        cmocka_unit_test(test_terminal), cmocka_unit_test(test_random), cmocka_unit_test(test_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
