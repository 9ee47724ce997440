/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - run a command as a child process and account for what it used.
 *
 * The child reads from /dev/null: it is in a process group of its own, where reading from the terminal would stop it.
 * Ctrl-C at the terminal reaches only us; pass it on by wr_proc_stop(). Only descriptors 0, 1 and 2 are passed on.
 * Threads: one thread at a time uses a wr_proc. The thread that called wr_proc_start() must outlive the child: the
 * kernel takes the end of that thread for the end of the parent and sends SIGTERM.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

typedef struct {
    const char *shell;              /* a command line for /bin/sh -c; or */
    const char *const *argv;        /* a program and its arguments, NULL-terminated, looked up in PATH */
    const char *cwd;                /* NULL = ours */
    const char *const *env;         /* "KEY=value" put over our environment, NULL-terminated; may be NULL */
    const char *log;                /* file for stdout and stderr together (created, truncated); NULL = ours */
    bool tee;                       /* with log: copy to our stderr too, as it comes */
    bool quiet;                     /* without log: to /dev/null */
} wr_proc_opt;

typedef struct {
    int exit_code;                  /* 128 + signal when killed */
    double wall_s, cpu_s;           /* cpu: user + system of the process and its waited-for children */
    uint64_t max_rss;               /* bytes; when below our own size at the start, sampled four times a second */
    uint64_t read_bytes, write_bytes; /* storage I/O as the kernel counts (rusage blocks x 512) */
} wr_proc_result;

typedef struct wr_proc wr_proc;

/* Start in a process group of its own; it gets SIGTERM when we die (PR_SET_PDEATHSIG). WEIR_ENOTFOUND when the program
 * does not exist (a shell line ends with exit code 127 instead), WEIR_EACCESS, WEIR_EINVAL. With tee the output flows
 * while wr_proc_wait() is called; a child that writes much waits for it. */
int wr_proc_start(wr_proc **out, const wr_proc_opt *opt, wr_err *err);
/* Wait up to timeout_ms (< 0: for ever). 1 = ended and `out` filled and the object freed, 0 = still running. */
int wr_proc_wait(wr_proc *p, wr_proc_result *out, int timeout_ms, wr_err *err);
/* Ask the group to end (SIGTERM), kill what is left of it after grace_ms; then wait and free. `out` may be NULL.
 * Returns 0. */
int wr_proc_stop(wr_proc *p, int grace_ms, wr_proc_result *out);
pid_t wr_proc_pid(const wr_proc *p);
/* start + wait. The exit code is not an error here. */
int wr_proc_run(wr_proc_result *out, const wr_proc_opt *opt, wr_err *err);
/* What an exit code usually means ("the command was not found ..." for 127), "" when it says nothing. */
const char *wr_proc_exit_hint(int exit_code);
