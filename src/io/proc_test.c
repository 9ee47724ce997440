/* SPDX-License-Identifier: Apache-2.0 */
/* proc_test.c - exit codes, output, environment, descriptors and signals of children, stubborn children, accounting. */
#include "io/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "io/file.h"

static wr_arena *arena;
static char *top;

static int setup(void **state)
{
    (void)state;
    static char path[256];
    const char *base = getenv("TMPDIR");
    if (snprintf(path, sizeof path, "%s/weir-proc-XXXXXX", base && *base ? base : "/tmp") >= (int)sizeof path)
        return -1;
    arena = wr_arena_new(0);
    top = mkdtemp(path);
    return arena && top ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int rc = wr_file_remove_tree(top, NULL);
    wr_arena_free(arena);
    return rc;
}

static char *at(const char *name) { return wr_path_join(arena, top, name); }

/* Runs a shell line with its output in a file and returns that; the exit code must be `code`. */
static const char *output_of(wr_proc_opt opt, int code)
{
    wr_proc_result r;
    wr_err err = {0};
    opt.log = at("out");
    if (wr_proc_run(&r, &opt, &err) < 0) fail_msg("%s %s", err.msg, err.detail);
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, opt.log, 1 << 20, NULL), 0);
    const char *text = wr_arena_strdup(arena, wr_buf_cstr(&b));
    wr_buf_fini(&b);
    if (r.exit_code != code) fail_msg("exit code %d: %s", r.exit_code, text);
    return text;
}

static int exit_of(const char *line)
{
    wr_proc_result r;
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.shell = line, .quiet = true}, NULL), 0);
    return r.exit_code;
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(exit_of("true"), 0);
    assert_int_equal(exit_of("exit 7"), 7);
    assert_int_equal(exit_of("kill -9 $$"), 137);
    assert_int_equal(exit_of("kill -TERM $$"), 143);
    assert_int_equal(exit_of("no-such-command-here"), 127);
    assert_non_null(strstr(wr_proc_exit_hint(127), "PATH"));
    assert_non_null(strstr(wr_proc_exit_hint(137), "memory"));
    assert_string_equal(wr_proc_exit_hint(3), "");
}

static void test_programs(void **state)
{
    (void)state;
    const char *const echo[] = {"echo", "a b", "$HOME", "", NULL};
    assert_string_equal(output_of((wr_proc_opt){.argv = echo}, 0), "a b $HOME \n");
    wr_proc_result r;
    wr_err err = {0};
    const char *const none[] = {"no-such-command-here", NULL};
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.argv = none}, &err), WEIR_ENOTFOUND);
    assert_string_equal(err.msg, "command 'no-such-command-here' not found");
    assert_non_null(strstr(err.hint, "PATH"));
    assert_int_equal(wr_file_write(at("weir-test-script"), WR_STR("#!/bin/sh\nexit 5\n"), NULL), 0);
    const char *const script[] = {at("weir-test-script"), NULL};
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.argv = script}, &err), WEIR_EACCESS);
    assert_non_null(strstr(err.hint, "chmod"));
    assert_int_equal(chmod(script[0], 0755), 0);
    output_of((wr_proc_opt){.argv = script}, 5);
    assert_int_equal(wr_file_write(at("bare"), WR_STR("exit 5\n"), NULL), 0);
    const char *const bare[] = {at("bare"), NULL};
    assert_int_equal(chmod(bare[0], 0755), 0);
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.argv = bare}, &err), WEIR_EIO);
    assert_non_null(strstr(err.hint, "#!"));
    /* the PATH of the child counts */
    char *path = wr_arena_printf(arena, "PATH=/nowhere:%s", top);
    const char *const env[] = {path, NULL}, *const short_name[] = {"weir-test-script", NULL};
    output_of((wr_proc_opt){.argv = short_name, .env = env}, 5);
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.argv = short_name}, &err), WEIR_ENOTFOUND);
}

static void test_wrong_options(void **state)
{
    (void)state;
    wr_proc *p;
    wr_err err = {0};
    const char *const argv[] = {"true", NULL}, *const empty[] = {NULL}, *const bad_env[] = {"NOVALUE", NULL};
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){0}, &err), WEIR_EINVAL);
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.argv = empty}, &err), WEIR_EINVAL);
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.argv = argv, .shell = "true"}, &err), WEIR_EINVAL);
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.argv = argv, .env = bad_env}, &err), WEIR_EINVAL);
    assert_null(p);
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.argv = argv, .cwd = at("none")}, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.msg, "cannot enter the folder"));
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.argv = argv, .log = at("none/log")}, &err), WEIR_ENOTFOUND);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left to wait for */
    assert_int_equal(errno, ECHILD);
}

static void test_environment_and_folder(void **state)
{
    (void)state;
    setenv("WEIR_TEST_KEPT", "kept", 1);
    setenv("WEIR_TEST_OVER", "old", 1);
    const char *const env[] = {"WEIR_TEST_OVER=first", "WEIR_TEST_NEW=a=b", "WEIR_TEST_OVER=last", NULL};
    wr_proc_opt opt = {.shell = "echo $WEIR_TEST_KEPT $WEIR_TEST_OVER $WEIR_TEST_NEW; env | grep -c WEIR_TEST_OVER",
                       .env = env};
    assert_string_equal(output_of(opt, 0), "kept last a=b\n1\n");
    assert_string_equal(getenv("WEIR_TEST_OVER"), "old");
    assert_int_equal(wr_file_mkdirs(at("sub"), NULL), 0);
    const char *text = output_of((wr_proc_opt){.shell = "pwd -P", .cwd = at("sub")}, 0);
    assert_true(wr_str_ends(wr_str_trim(wr_str_of(text)), "/sub"));
}

static void test_output(void **state)
{
    (void)state;
    assert_string_equal(output_of((wr_proc_opt){.shell = "echo one; echo two >&2; echo three"}, 0),
                        "one\ntwo\nthree\n");
    assert_string_equal(output_of((wr_proc_opt){.shell = "cat"}, 0), ""); /* reads /dev/null, does not hang */
    assert_string_equal(output_of((wr_proc_opt){.shell = "echo x", .quiet = true}, 0),
                        "x\n"); /* a log is kept all the same */
}

/* Our stderr becomes a file while `f` runs. */
static const char *stderr_of(void (*f)(void))
{
    fflush(stderr);
    int saved = dup(2), file = open(at("stderr"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && file >= 0 && dup2(file, 2) == 2);
    f();
    dup2(saved, 2);
    close(saved);
    close(file);
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, at("stderr"), 1 << 22, NULL), 0);
    const char *text = wr_arena_strdup(arena, wr_buf_cstr(&b));
    wr_buf_fini(&b);
    return text;
}

static void tee_much(void)
{
    /* much more than a pipe holds */
    wr_proc_opt opt = {.shell = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo last >&2",
                       .tee = true};
    output_of(opt, 0);
}

static void test_tee(void **state)
{
    (void)state;
    const char *seen = stderr_of(tee_much);
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, at("out"), 1 << 22, NULL), 0);
    assert_true(b.n > 150000);
    assert_string_equal(b.p, seen);
    assert_true(wr_str_ends(wr_buf_view(&b), "line 19999\nlast\n"));
    wr_buf_fini(&b);
}

static void tee_with_background(void) { output_of((wr_proc_opt){.shell = "echo a; sleep 3 & echo b", .tee = true}, 0); }

static void test_tee_does_not_wait_for_the_background(void **state)
{
    (void)state;
    int64_t start = wr_clock_mono_ns();
    assert_string_equal(stderr_of(tee_with_background), "a\nb\n");
    assert_true(wr_clock_mono_ns() - start < 2000000000LL);
}

static int warnings;
static void count_warnings(void *ctx, wr_log_level level, const char *line)
{
    (void)ctx, (void)line;
    warnings += level == WR_LOG_WARN;
}

static void tee_on_a_full_disk(void)
{
    wr_fault_arm(WR_FAULT_WRITE, 1, false);
    wr_proc_result r;
    wr_proc_opt opt = {.shell = "echo a; sleep 0.05; echo b", .tee = true, .log = at("out")};
    assert_int_equal(wr_proc_run(&r, &opt, NULL), 0);
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    assert_int_equal(r.exit_code, 0);
}

static void test_full_disk_does_not_stop_the_command(void **state)
{
    (void)state;
    wr_log_set_sink(count_warnings, NULL);
    assert_string_equal(stderr_of(tee_on_a_full_disk), "a\nb\n");
    wr_log_set_sink(NULL, NULL);
    assert_int_equal(warnings, 1);
}

static void test_descriptors_are_not_inherited(void **state)
{
    (void)state;
    int leak = open("/dev/null", O_RDONLY); /* as a careless library would */
    assert_true(leak > 2);
    const char *text = output_of((wr_proc_opt){.shell = "ls /proc/$$/fd"}, 0);
    close(leak);
    assert_string_equal(text, "0\n1\n2\n");
}

static void noise(int sig) { (void)sig; }

static void test_signals_are_default(void **state)
{
    (void)state;
    sigset_t blocked, before;
    struct sigaction was_term, was_pipe;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = noise}, &was_term);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &was_pipe);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    const char *text = output_of((wr_proc_opt){.shell = "grep -E 'SigBlk|SigIgn' /proc/self/status"}, 0);
    sigset_t now;
    sigprocmask(SIG_SETMASK, &before, &now);
    sigaction(SIGTERM, &was_term, NULL);
    sigaction(SIGPIPE, &was_pipe, NULL);
    assert_true(sigismember(&now, SIGTERM)); /* ours is as it was */
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    const char *ignored = strstr(text, "SigIgn:");
    assert_non_null(ignored);
    assert_int_equal(strtoull(ignored + 7, NULL, 16) >> (SIGPIPE - 1) & 1, 0);
}

static void test_wait_with_timeout(void **state)
{
    (void)state;
    wr_proc *p;
    wr_proc_result r;
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.shell = "sleep 0.3; exit 4"}, NULL), 0);
    pid_t pid = wr_proc_pid(p);
    assert_int_equal(getpgid(pid), pid); /* a group of its own */
    int64_t start = wr_clock_mono_ns();
    assert_int_equal(wr_proc_wait(p, &r, 0, NULL), 0);
    assert_int_equal(wr_proc_wait(p, &r, 50, NULL), 0);
    assert_true(wr_clock_mono_ns() - start >= 50000000);
    assert_int_equal(wr_proc_wait(p, &r, -1, NULL), 1);
    assert_int_equal(r.exit_code, 4);
    assert_true(r.wall_s >= 0.3 && r.wall_s < 3);
    assert_int_equal(kill(pid, 0), -1);
}

/* Is a process of the group alive? A zombie is not: who inherits it may be slow to reap. */
static bool member_alive(const char *pid, pid_t group)
{
    char path[300], text[512] = "", state;
    long parent, its_group;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    const char *after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1, " %c %ld %ld", &state, &parent, &its_group) != 3) return false;
    return its_group == group && state != 'Z';
}

static bool any_alive(pid_t group)
{
    DIR *d = opendir("/proc");
    assert_non_null(d);
    bool found = false;
    for (struct dirent *e; !found && (e = readdir(d)) != NULL;)
        found = e->d_name[0] >= '1' && e->d_name[0] <= '9' && member_alive(e->d_name, group);
    closedir(d);
    return found;
}

static bool gone(pid_t group)
{
    for (int i = 0; i < 100 && any_alive(group); i++) usleep(10000);
    return !any_alive(group);
}

static void test_stop(void **state)
{
    (void)state;
    wr_proc *p;
    wr_proc_result r;
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.shell = "sleep 60 & sleep 60"}, NULL), 0);
    pid_t group = wr_proc_pid(p);
    int64_t start = wr_clock_mono_ns();
    assert_int_equal(wr_proc_stop(p, 5000, &r), 0);
    assert_int_equal(r.exit_code, 143);
    assert_true(wr_clock_mono_ns() - start < 3000000000LL);
    assert_true(gone(group));
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.shell = "exit 3"}, NULL), 0);
    usleep(50000);
    assert_int_equal(wr_proc_stop(p, 100, &r), 0); /* it had ended by itself */
    assert_int_equal(r.exit_code, 3);
    assert_int_equal(wr_proc_start(&p, &(wr_proc_opt){.shell = "sleep 60"}, NULL), 0);
    assert_int_equal(wr_proc_stop(p, 1000, NULL), 0);
}

static void wait_for(const char *path)
{
    for (int i = 0; i < 500 && !wr_file_exists(path); i++) usleep(10000);
    assert_true(wr_file_exists(path));
}

static void test_stubborn_child_is_killed(void **state)
{
    (void)state;
    wr_proc *p;
    wr_proc_result r;
    wr_proc_opt opt = {.shell = "trap '' TERM; : > ready; while :; do sleep 0.05; done", .cwd = top};
    assert_int_equal(wr_proc_start(&p, &opt, NULL), 0);
    pid_t group = wr_proc_pid(p);
    wait_for(at("ready"));
    assert_int_equal(wr_proc_stop(p, 100, &r), 0);
    assert_int_equal(r.exit_code, 137);
    assert_true(r.wall_s >= 0.1);
    assert_true(gone(group));
    /* the leader obeys, a member of its group does not */
    opt.shell = "(trap '' TERM; : > ready2; sleep 60; sleep 60) & wait";
    assert_int_equal(wr_proc_start(&p, &opt, NULL), 0);
    group = wr_proc_pid(p);
    wait_for(at("ready2"));
    assert_int_equal(wr_proc_stop(p, 2000, &r), 0);
    assert_int_equal(r.exit_code, 143);
    assert_true(gone(group));
}

static void test_accounting(void **state)
{
    (void)state;
    wr_proc_result r;
    wr_proc_opt opt = {.shell = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"};
    assert_int_equal(wr_proc_run(&r, &opt, NULL), 0);
    assert_true(r.cpu_s > 0.02 && r.cpu_s <= r.wall_s * 1.2 + 0.05);
    assert_true(r.max_rss > 500 << 10 && r.max_rss < 64 << 20);
    opt.shell = "sleep 0.2";
    assert_int_equal(wr_proc_run(&r, &opt, NULL), 0);
    assert_true(r.wall_s >= 0.2 && r.cpu_s < 0.15);
}

/* ru_maxrss of a small child is at least the size of its parent. */
static void test_memory_of_a_large_parent(void **state)
{
    (void)state;
    size_t n = 200 << 20;
    char *ballast = malloc(n);
    assert_non_null(ballast);
    memset(ballast, 1, n);
    wr_proc_result r;
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.shell = "sleep 0.1"}, NULL), 0);
    assert_int_equal(ballast[n / 2], 1);
    free(ballast);
    assert_in_range(r.max_rss, 200 << 10, 100 << 20);
}

/* When we are killed the child is not left behind. */
static void test_child_ends_with_us(void **state)
{
    (void)state;
    int ends[2];
    pid_t child = 0;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t middle = fork();
    if (middle == 0) {
        wr_proc *p;
        if (wr_proc_start(&p, &(wr_proc_opt){.shell = "exec sleep 60"}, NULL) < 0) _exit(1);
        child = wr_proc_pid(p);
        if (write(ends[1], &child, sizeof child) != sizeof child) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
    kill(middle, SIGKILL);
    waitpid(middle, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    assert_true(gone(child));
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    const char *const argv[] = {"true", NULL}, *const env[] = {"A=1", NULL};
    long n = 0;
    for (bool fired = true; fired;) {
        wr_proc_result r;
        wr_fault_arm(WR_FAULT_ALLOC, ++n, false);
        int rc = wr_proc_run(&r, &(wr_proc_opt){.argv = argv, .env = env}, NULL);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_environment_and_folder),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_tee),
        cmocka_unit_test(test_tee_does_not_wait_for_the_background),
        cmocka_unit_test(test_full_disk_does_not_stop_the_command),
        cmocka_unit_test(test_descriptors_are_not_inherited),
        cmocka_unit_test(test_signals_are_default),
        cmocka_unit_test(test_wait_with_timeout),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stubborn_child_is_killed),
        cmocka_unit_test(test_accounting),
        cmocka_unit_test(test_memory_of_a_large_parent),
        cmocka_unit_test(test_child_ends_with_us),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
