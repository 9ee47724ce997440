/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - run a command as a child process and account for what it used. */
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
    uint64_t max_rss;               /* bytes */
    uint64_t read_bytes, write_bytes; /* storage I/O as the kernel counts (rusage blocks x 512) */
} wr_proc_result;

typedef struct wr_proc wr_proc;

/* Start in a process group of its own; it gets SIGTERM when we die (PR_SET_PDEATHSIG). */
int wr_proc_start(wr_proc **out, const wr_proc_opt *opt, wr_err *err);
/* Wait up to timeout_ms (< 0: for ever). 1 = ended and `out` filled and the object freed, 0 = still running. */
int wr_proc_wait(wr_proc *p, wr_proc_result *out, int timeout_ms, wr_err *err);
/* Ask the group to end (SIGTERM), kill it after grace_ms; then wait and free. */
int wr_proc_stop(wr_proc *p, int grace_ms, wr_proc_result *out);
pid_t wr_proc_pid(const wr_proc *p);
/* start + wait. The exit code is not an error here. */
int wr_proc_run(wr_proc_result *out, const wr_proc_opt *opt, wr_err *err);
