/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_test.c - limits read from made-up trees of version 1 and 2. */
#include "base/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64], proc[80];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/weir-cgroup-XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(proc, sizeof proc, "%s/proc", root);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes root/path, making the directories on the way. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static double cpus(void) { return wr_cgroup_cpus(proc, root); }
static uint64_t memory(void) { return wr_cgroup_memory(proc, root); }

static void test_nothing_there(void **state)
{
    (void)state;
    assert_true(cpus() == 0 && memory() == 0);
    put("proc", "");
    assert_true(cpus() == 0 && memory() == 0);
    put("proc", "garbage\n::\n0:\n0::\n:cpu:\n");
    assert_true(cpus() == 0 && memory() == 0);
}

static void test_v2(void **state)
{
    (void)state;
    put("proc", "0::/a/b\n");
    put("a/b/cpu.max", "max 100000\n");
    put("a/b/memory.max", "max\n");
    assert_true(cpus() == 0 && memory() == 0);
    put("a/b/cpu.max", "150000 100000\n");
    put("a/b/memory.max", "1073741824\n");
    assert_true(cpus() == 1.5 && memory() == 1073741824);
    put("a/cpu.max", "50000 100000\n"); /* the parent is tighter */
    put("a/memory.max", "1048576\n");
    assert_true(cpus() == 0.5 && memory() == 1048576);
    put("a/b/cpu.max", "10000 100000\n"); /* the child is tighter */
    assert_true(cpus() == 0.1);
}

static void test_v2_in_a_container(void **state)
{
    (void)state;
    put("cpu.max", "200000 100000\n");
    put("memory.max", "4096\n");
    static const char *const procs[] = {"0::/\n", "0::/host/path/not/here\n", "0::/../..\n", "0::/"};
    for (size_t i = 0; i < sizeof procs / sizeof *procs; i++) {
        put("proc", procs[i]);
        assert_true(cpus() == 2 && memory() == 4096);
    }
}

static void test_v1(void **state)
{
    (void)state;
    put("proc", "12:memory:/box\n5:cpu,cpuacct:/box\n1:name=systemd:/x\n0::/\n");
    put("cpu/box/cpu.cfs_quota_us", "-1\n");
    put("cpu/box/cpu.cfs_period_us", "100000\n");
    put("memory/box/memory.limit_in_bytes", "9223372036854771712\n"); /* how version 1 says "none" */
    assert_true(cpus() == 0 && memory() >= 1ULL << 62);
    put("cpu/box/cpu.cfs_quota_us", "250000\n");
    put("memory/box/memory.limit_in_bytes", "65536\n");
    assert_true(cpus() == 2.5 && memory() == 65536);
    put("memory/memory.limit_in_bytes", "4096\n");
    assert_true(memory() == 4096);
}

static void test_odd_files(void **state)
{
    (void)state;
    put("proc", "0::/\n");
    static const char *const odd[] = {"",           "\n",           "x y\n",      "100000\n",
                                      "100000 0\n", "100000 max\n", "0 100000\n", "1 2 3\n"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        put("cpu.max", odd[i]);
        if (cpus() != 0) fail_msg("'%s'", odd[i]);
    }
    char longest[9000];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "0::/", 4);
    longest[sizeof longest - 1] = 0;
    put("cpu.max", "100000 100000\n");
    put("proc", longest); /* longer than a path can be: only the mount itself counts */
    assert_true(cpus() == 1);
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOT(test_nothing_there), IN_ROOT(test_v2), IN_ROOT(test_v2_in_a_container), IN_ROOT(test_v1),
        IN_ROOT(test_odd_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
