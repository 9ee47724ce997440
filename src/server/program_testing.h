/* SPDX-License-Identifier: Apache-2.0 */
/* program_testing.h - for tests only: the real program as a process of its own, started, asked how it does, ended. */
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef WEIR_BINARY_DIR
#define WEIR_BINARY_DIR "." /* the build says where */
#endif

typedef struct {
    pid_t pid;
    atomic_int port;
} program;

/* Another build of it may be named in the environment. */
static inline const char *program_path(void)
{
    const char *named = getenv("WEIR_PROGRAM");
    return named && *named ? named : WEIR_BINARY_DIR "/weir";
}

/* Runs `weir -C DIR up`; its stdout up to the first line, its stderr goes to DIR/up.err. False when it
 * ended without a line; pid is minus its exit code then. */
static inline bool program_launch(program *out, const char *dir, const char *port)
{
    int pipes[2], status, at = 0;
    char line[200];
    size_t n = 0;
    if (pipe2(pipes, O_CLOEXEC) < 0) return false;
    fflush(NULL);
    out->pid = fork();
    if (out->pid == 0) {
        char err[400];
        snprintf(err, sizeof err, "%s/up.err", dir);
        dup2(pipes[1], 1);
        if (!freopen(err, "w", stderr)) _exit(9);
        execl(program_path(), "weir", "-C", dir, "up", "--port", port, "--no-schedule", "--loops", "2", (char *)NULL);
        _exit(9);
    }
    close(pipes[1]);
    while (n < sizeof line - 1 && read(pipes[0], line + n, 1) == 1 && line[n] != '\n') n++;
    close(pipes[0]);
    line[n] = 0;
    if (n && sscanf(line, "weir is up at http://127.0.0.1:%d", &at) == 1) {
        atomic_store(&out->port, at);
        return true;
    }
    waitpid(out->pid, &status, 0);
    out->pid = WIFEXITED(status) ? -WEXITSTATUS(status) : -99;
    return false;
}

/* Its exit code (-1: it does not run), or 128 and the signal that ended it. */
static inline int program_wait(program *p)
{
    int status;
    pid_t pid = p->pid;
    p->pid = 0;
    if (pid <= 0 || waitpid(pid, &status, 0) != pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int program_end(program *p, int sig)
{
    if (p->pid > 0) kill(p->pid, sig);
    return program_wait(p);
}

static inline int64_t program_resident_kb(const program *p)
{
    char path[64], line[200];
    long long kb = -1;
    snprintf(path, sizeof path, "/proc/%d/status", p->pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %lld", &kb) == 1) break;
    if (f) fclose(f);
    return kb;
}
