/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c - fork, exec, wait, account.
 *
 * Everything that allocates is done before fork; the child only makes system calls (other threads may hold any lock).
 * It tells a failed step through a pipe that exec closes, so wr_proc_start knows whether the command really runs. The
 * end of the child is seen with WNOWAIT first: while it is not reaped its process group cannot be somebody else's, so
 * the group can be killed without a race.
 */
#include "io/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/file.h"

enum {
    TEE_PIECE = 64 << 10,
    TEE_ROUNDS = 16,    /* pieces taken before looking at the clock again; more than a pipe holds */
    PAUSE_MAX_MS = 250, /* between two looks at the child's memory */
    PAUSE_BLIND_MS = 10 /* the same when the kernel has no pidfd and we must look for the end ourselves */
};

struct wr_proc {
    pid_t pid;
    int pidfd; /* -1 where the kernel has none */
    int tee;   /* our end of the pipe, -1 = none or at its end */
    int log;   /* with tee: the log file */
    int pause_ms;
    int64_t started_ns;
    uint64_t rss_at_fork; /* ours: the child's ru_maxrss is never below it */
    uint64_t rss_seen;    /* of the child, sampled */
};

/* ---- before fork ---- */

typedef WR_VEC(char *) strings;

typedef struct {
    strings programs; /* paths to try one after the other; owned */
    strings env;      /* borrowed */
    const char *shell_argv[4];
    char *const *argv;
    const char *cwd;
    int in, out; /* out -1 = ours */
    int report;
    pid_t parent;
} plan;

static int push(strings *s, char *text) { return text && wr_vec_push(s, text) == 0 ? 0 : WEIR_ENOMEM; }

static size_t key_length(const char *entry) { return strcspn(entry, "="); }

static bool same_key(const char *a, const char *b)
{
    size_t n = key_length(a);
    return n == key_length(b) && memcmp(a, b, n) == 0;
}

static bool overridden(const char *entry, const char *const *by)
{
    for (; by && *by; by++) {
        if (same_key(entry, *by)) return true;
    }
    return false;
}

static int plan_env(plan *p, const char *const *over, wr_err *err)
{
    for (char **e = environ; e && *e; e++) {
        if (!overridden(*e, over) && push(&p->env, *e) < 0) return wr_err_nomem(err);
    }
    for (; over && *over; over++) {
        if (!strchr(*over, '=') || **over == '=')
            return wr_err_set(err, WEIR_EINVAL, "'%s' is not of the form KEY=value", *over);
        if (!overridden(*over, over + 1) && push(&p->env, (char *)(uintptr_t)*over) < 0) return wr_err_nomem(err);
    }
    return wr_vec_push(&p->env, NULL) < 0 ? wr_err_nomem(err) : 0;
}

static char *program_in(wr_str dir, const char *name)
{
    size_t n = strlen(name);
    char *path = wr_alloc(dir.n + n + 2);
    if (!path) return NULL;
    memcpy(path, dir.p, dir.n);
    path[dir.n] = '/';
    memcpy(path + dir.n + 1, name, n + 1);
    return path;
}

static int add_program(plan *p, char *path, wr_err *err)
{
    if (push(&p->programs, path) == 0) return 0;
    wr_free(path);
    return wr_err_nomem(err);
}

/* The PATH that counts is the child's. An empty component means the working folder, as in the shell. */
static int plan_programs(plan *p, const char *name, wr_err *err)
{
    if (strchr(name, '/')) return add_program(p, wr_strdup(name), err);
    const char *path = "/usr/local/bin:/usr/bin:/bin";
    for (size_t i = 0; i + 1 < p->env.n; i++) {
        if (same_key(p->env.at[i], "PATH")) path = p->env.at[i] + 5;
    }
    wr_str rest = wr_str_of(path);
    while (rest.p) {
        wr_str dir = wr_str_cut(&rest, ':');
        WR_TRY(add_program(p, program_in(dir.n ? dir : WR_STR("."), name), err));
    }
    return 0;
}

static int plan_command(plan *p, const wr_proc_opt *opt, wr_err *err)
{
    bool shell = opt->shell != NULL, argv = opt->argv && opt->argv[0] && *opt->argv[0];
    if (shell == argv)
        return wr_err_set(err, WEIR_EINVAL, "a command is a shell line or a program with arguments, one of them");
    WR_TRY(plan_env(p, opt->env, err));
    if (shell) {
        p->shell_argv[0] = "sh";
        p->shell_argv[1] = "-c";
        p->shell_argv[2] = opt->shell;
    }
    p->argv = (char *const *)(uintptr_t)(shell ? p->shell_argv : opt->argv);
    return plan_programs(p, shell ? "/bin/sh" : opt->argv[0], err);
}

static void plan_fini(plan *p)
{
    for (size_t i = 0; i < p->programs.n; i++) wr_free(p->programs.at[i]);
    wr_vec_fini(&p->programs);
    wr_vec_fini(&p->env);
    if (p->in >= 0) close(p->in);
    if (p->out >= 0) close(p->out);
}

/* ---- where the output goes ---- */

static int open_tee(wr_proc *p, plan *pl, int log, wr_err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        int rc = wr_err_sys(err, errno, "cannot make a pipe");
        close(log);
        return rc;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    p->tee = ends[0];
    p->log = log;
    pl->out = ends[1];
    return 0;
}

static int open_output(wr_proc *p, plan *pl, const wr_proc_opt *opt, wr_err *err)
{
    /* the child is in the background of its terminal: reading from it would stop it for ever */
    pl->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (pl->in < 0) return wr_err_sys(err, errno, "cannot open '/dev/null'");
    const char *path = opt->log ? opt->log : opt->quiet ? "/dev/null" : NULL;
    if (!path) return 0;
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | (opt->log ? O_CREAT | O_TRUNC : 0);
    int fd = open(path, flags, 0644);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open the log '%s'", path);
    if (opt->log && opt->tee) return open_tee(p, pl, fd, err);
    pl->out = fd;
    return 0;
}

/* ---- the child ---- */

typedef struct {
    enum { STEP_CWD, STEP_OUTPUT, STEP_EXEC } step;
    int sys;
} report;

static _Noreturn void give_up(const plan *p, report r)
{
    ssize_t n = write(p->report, &r, sizeof r);
    (void)n;
    _exit(127);
}

/* Our handlers must not run in the child (they may write to pipes that it shares with us), and ignored SIGPIPE is a
 * server's way that commands do not expect. */
static void default_signals(void)
{
    for (int s = 1; s < NSIG; s++) {
        struct sigaction now;
        if (sigaction(s, NULL, &now) < 0) continue;
        bool ours = (now.sa_flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
        if (ours || s == SIGPIPE) signal(s, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int exec_first(const plan *p)
{
    int sys = ENOENT;
    for (size_t i = 0; i < p->programs.n; i++) {
        execve(p->programs.at[i], p->argv, p->env.at);
        if (errno == EACCES) sys = EACCES; /* go on, but remember that there was one */
        else if (errno != ENOENT && errno != ENOTDIR) return errno;
    }
    return sys;
}

static _Noreturn void child(const plan *p)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != p->parent) _exit(128 + SIGTERM); /* we died before the line above */
    default_signals();
    if (p->cwd && chdir(p->cwd) < 0) give_up(p, (report){STEP_CWD, errno});
    if (dup2(p->in, 0) < 0) give_up(p, (report){STEP_OUTPUT, errno});
    if (p->out >= 0 && (dup2(p->out, 1) < 0 || dup2(p->out, 2) < 0)) give_up(p, (report){STEP_OUTPUT, errno});
    /* ours are all close-on-exec; this is for those of libraries. The report pipe closes itself too. */
    syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    give_up(p, (report){STEP_EXEC, exec_first(p)});
}

/* ---- starting ---- */

static int explain(const wr_proc_opt *opt, report r, wr_err *err)
{
    const char *name = opt->shell ? "/bin/sh" : opt->argv[0];
    if (r.step == STEP_CWD) return wr_err_sys(err, r.sys, "cannot enter the folder '%s'", opt->cwd);
    if (r.step == STEP_OUTPUT) return wr_err_sys(err, r.sys, "cannot redirect the output of '%s'", name);
    if (r.sys == ENOENT) {
        int rc = wr_err_set(err, WEIR_ENOTFOUND, "command '%s' not found", name);
        return wr_err_hint(err, rc, "%s", wr_proc_exit_hint(127));
    }
    int rc = wr_err_sys(err, r.sys, "cannot run '%s'", name);
    if (r.sys == ENOEXEC) return wr_err_hint(err, rc, "a script needs a first line such as #!/bin/sh");
    return r.sys == EACCES ? wr_err_hint(err, rc, "%s", wr_proc_exit_hint(126)) : rc;
}

/* 1 with `out` filled when the child could not run its program, 0 when it does. */
static int read_report(int fd, report *out)
{
    ssize_t n;
    do n = read(fd, out, sizeof *out);
    while (n < 0 && errno == EINTR);
    return n == sizeof *out;
}

static int launch(wr_proc *p, plan *pl, const wr_proc_opt *opt, wr_err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return wr_err_sys(err, errno, "cannot make a pipe");
    pl->report = ends[1];
    pl->parent = getpid();
    pl->cwd = opt->cwd;
    p->rss_at_fork = wr_os_rss();
    p->started_ns = wr_clock_mono_ns();
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    p->pid = fork();
    int sys = errno;
    if (p->pid == 0) child(pl);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    report r = {0};
    int failed = p->pid > 0 ? read_report(ends[0], &r) : 0;
    close(ends[0]);
    if (p->pid < 0) return wr_err_sys(err, sys, "cannot start a process");
    if (!failed) return 0;
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {}
    return explain(opt, r, err);
}

static void proc_free(wr_proc *p)
{
    if (p->pidfd >= 0) close(p->pidfd);
    if (p->tee >= 0) close(p->tee);
    if (p->log >= 0) close(p->log);
    wr_free(p);
}

int wr_proc_start(wr_proc **out, const wr_proc_opt *opt, wr_err *err)
{
    *out = NULL;
    wr_proc *p = wr_calloc(1, sizeof *p);
    if (!p) return wr_err_nomem(err);
    p->pidfd = p->tee = p->log = -1;
    p->pause_ms = 2;
    plan pl = {.in = -1, .out = -1};
    int rc = plan_command(&pl, opt, err);
    if (rc == 0) rc = open_output(p, &pl, opt, err);
    if (rc == 0) rc = launch(p, &pl, opt, err);
    plan_fini(&pl);
    if (rc < 0) {
        proc_free(p);
        return rc;
    }
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    *out = p;
    return 0;
}

/* ---- while it runs ---- */

static void put_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return;
        p += done;
        n -= (size_t)done;
    }
}

static void tee_piece(wr_proc *p, const char *piece, size_t n)
{
    wr_err err = {0};
    put_all(STDERR_FILENO, piece, n);
    if (p->log < 0 || wr_file_write_all(p->log, piece, n, "the log", &err) == 0) return;
    wr_warn("%s: %s; the rest of the output is not kept", err.msg, err.detail); /* the command must not suffer */
    close(p->log);
    p->log = -1;
}

static void tee_some(wr_proc *p)
{
    char piece[TEE_PIECE];
    for (int i = 0; i < TEE_ROUNDS && p->tee >= 0; i++) {
        ssize_t n = read(p->tee, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n > 0) {
            tee_piece(p, piece, (size_t)n);
            continue;
        }
        close(p->tee);
        p->tee = -1;
    }
}

/* Highest resident size of the child so far, from /proc/PID/status. */
static uint64_t peak_now(pid_t pid)
{
    char path[48], text[4096];
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *line = strstr(text, "VmHWM:");
    return line ? strtoull(line + 6, NULL, 10) << 10 : 0;
}

/* Has it ended? It stays a zombie until it is reaped. */
static bool ended(const wr_proc *p)
{
    siginfo_t info = {0};
    int rc;
    do rc = waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    while (rc < 0 && errno == EINTR);
    return rc < 0 || info.si_pid == p->pid;
}

/* Blocks until something happens, at most `ms`. */
static void doze(wr_proc *p, int64_t ms)
{
    struct pollfd fds[2];
    nfds_t n = 0;
    if (p->pidfd >= 0) fds[n++] = (struct pollfd){.fd = p->pidfd, .events = POLLIN};
    else if (ms > PAUSE_BLIND_MS) ms = PAUSE_BLIND_MS;
    if (p->tee >= 0) fds[n++] = (struct pollfd){.fd = p->tee, .events = POLLIN};
    if (ms > p->pause_ms) ms = p->pause_ms;
    p->pause_ms = p->pause_ms * 2 < PAUSE_MAX_MS ? p->pause_ms * 2 : PAUSE_MAX_MS;
    poll(fds, n, (int)ms);
    if (p->tee >= 0) tee_some(p);
    uint64_t peak = peak_now(p->pid);
    if (peak > p->rss_seen) p->rss_seen = peak;
}

static bool wait_until_end(wr_proc *p, int timeout_ms)
{
    int64_t deadline = wr_clock_mono_ns() + timeout_ms * 1000000LL;
    for (;;) {
        if (ended(p)) return true;
        int64_t left_ms = timeout_ms < 0 ? INT32_MAX : (deadline - wr_clock_mono_ns() + 999999) / 1000000;
        if (left_ms <= 0) return false;
        doze(p, left_ms);
    }
}

/* ---- the end ---- */

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

/* Linux lets a child start with the peak of the process it was forked from. Below that only the samples tell something.
 */
static uint64_t peak_of(const wr_proc *p, uint64_t maxrss)
{
    uint64_t doubtful = p->rss_at_fork + p->rss_at_fork / 50;
    return maxrss <= doubtful && p->rss_seen > 0 ? p->rss_seen : maxrss;
}

static int reap(wr_proc *p, wr_proc_result *out, wr_err *err)
{
    if (p->tee >= 0) tee_some(p); /* what is in the pipe; a process left in the background may keep it open */
    int status = 0;
    struct rusage use = {0};
    pid_t got;
    do got = wait4(p->pid, &status, 0, &use);
    while (got < 0 && errno == EINTR);
    int rc = got < 0 ? wr_err_sys(err, errno, "cannot wait for process %ld", (long)p->pid) : 1;
    *out = (wr_proc_result){
        .exit_code = got < 0               ? 255
                     : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                           : WEXITSTATUS(status),
        .wall_s = (double)(wr_clock_mono_ns() - p->started_ns) * 1e-9,
        .cpu_s = seconds(use.ru_utime) + seconds(use.ru_stime),
        .max_rss = peak_of(p, (uint64_t)use.ru_maxrss << 10),
        .read_bytes = (uint64_t)use.ru_inblock * 512,
        .write_bytes = (uint64_t)use.ru_oublock * 512,
    };
    proc_free(p);
    return rc;
}

int wr_proc_wait(wr_proc *p, wr_proc_result *out, int timeout_ms, wr_err *err)
{
    return wait_until_end(p, timeout_ms) ? reap(p, out, err) : 0;
}

int wr_proc_stop(wr_proc *p, int grace_ms, wr_proc_result *out)
{
    wr_proc_result unused;
    kill(-p->pid, SIGTERM);
    kill(-p->pid, SIGCONT); /* a stopped process gets to see it */
    wait_until_end(p, grace_ms < 0 ? 0 : grace_ms);
    kill(-p->pid, SIGKILL); /* also what the leader left behind */
    wait_until_end(p, -1);
    int rc = reap(p, out ? out : &unused, NULL);
    return rc < 0 ? rc : 0;
}

pid_t wr_proc_pid(const wr_proc *p) { return p->pid; }

int wr_proc_run(wr_proc_result *out, const wr_proc_opt *opt, wr_err *err)
{
    wr_proc *p;
    WR_TRY(wr_proc_start(&p, opt, err));
    int rc = wr_proc_wait(p, out, -1, err);
    return rc < 0 ? rc : 0;
}

const char *wr_proc_exit_hint(int exit_code)
{
    switch (exit_code) {
    case 126:
        return "the command was found but is not executable; check its mode (chmod +x)";
    case 127:
        return "the command was not found; is it installed, and its folder in PATH?";
    case 128 + SIGKILL:
        return "it was killed; the kernel does that when memory runs out (see `dmesg`)";
    case 128 + SIGTERM:
        return "it was asked to end by SIGTERM";
    case 128 + SIGINT:
        return "it was interrupted";
    case 128 + SIGSEGV:
        return "it crashed with a segmentation fault";
    case 128 + SIGABRT:
        return "it aborted";
    default:
        return "";
    }
}
