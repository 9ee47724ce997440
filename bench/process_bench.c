/* SPDX-License-Identifier: Apache-2.0 */
/* process_bench.c - what a start costs and what an idle server holds.
 *
 * The peers are floors: an interpreter that runs nothing, and the smallest server that comes with it. Any tool written
 * in Python costs at least as much, real ones a hundred times more. The interpreter is the system's own
 * /usr/bin/python3: a version manager's wrapper in PATH would be measured in its place.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "base/str.h"
#include "bench.h"
#include "io/file.h"

enum { STARTS = 101, READY_MS = 10000, SETTLE_MS = 500 };
static const char PYTHON[] = "/usr/bin/python3";

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0) continue;
}

/* Output to the file `log`; the folder by name, since posix_spawn has none. Process id or -1. */
static pid_t start(const char *const *argv, const char *cwd, const char *log)
{
    static char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
    posix_spawn_file_actions_t files;
    pid_t pid = -1;
    if (posix_spawn_file_actions_init(&files) != 0) return -1;
    int rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0) rc = posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(&files, 1, 2);
    if (rc == 0 && cwd) rc = posix_spawn_file_actions_addchdir_np(&files, cwd);
    if (rc == 0) rc = posix_spawn(&pid, argv[0], &files, NULL, (char *const *)argv, environment);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0) (void)fprintf(stderr, "weir_bench: \"%s\": %s\n", argv[0], strerror(rc));
    return rc == 0 ? pid : -1;
}

/* CPU of one run in milliseconds, negative if it did not end with 0. */
static double run_cpu_ms(const char *const *argv, const char *cwd)
{
    struct rusage u;
    int status;
    pid_t pid = start(argv, cwd, "/dev/null");
    if (pid < 0 || wait4(pid, &status, 0, &u) != pid || status != 0) return -1;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

int wr_bench_start(FILE *out, const char *weir)
{
    static const char name[] = "start: weir --version";
    double ours[STARTS], theirs[STARTS];
    const char *const mine[] = {weir, "--version", NULL}, *const peer[] = {PYTHON, "-c", "pass", NULL};
    if (access(PYTHON, X_OK) < 0) return wr_bench_skip(out, name, "/usr/bin/python3 is not there to compare with"), 0;
    size_t n = wr_bench_size(STARTS, 5);
    if (n > STARTS) n = STARTS;
    for (size_t i = 0; i < n; i++) {
        ours[i] = run_cpu_ms(mine, NULL);
        theirs[i] = run_cpu_ms(peer, NULL);
        if (ours[i] < 0 || theirs[i] < 0) return (void)fprintf(stderr, "weir_bench: start: a run failed\n"), -1;
    }
    const wr_bench_entry e = {
        .name = name,
        .unit = "CPU ms",
        .ours = wr_bench_median(ours, n),
        .peer = "python3 -c pass",
        .theirs = wr_bench_median(theirs, n),
        .how = "user + system CPU of a process, median; the peer is the floor of every tool in Python: "
               "the interpreter alone, nothing imported"};
    wr_bench_write(out, &e);
    return 0;
}

/* ---- idle ---- */

static long status_kb(pid_t pid, const char *field)
{
    char path[64], line[256];
    long kb = -1;
    if (snprintf(path, sizeof path, "/proc/%d/status", (int)pid) < 0) return -1;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, field, strlen(field)) == 0) kb = strtol(line + strlen(field), NULL, 10);
    }
    if (f) (void)fclose(f);
    return kb;
}

/* Ready when it has printed its address, or listens (http.server prints only when unbuffered, which -u asks for). */
static bool ready(pid_t pid, const char *log)
{
    int status;
    for (int waited = 0; waited < READY_MS; waited += 20) {
        if (waitpid(pid, &status, WNOHANG) == pid) return false;
        WR_AUTOBUF wr_buf text = {0};
        if (wr_file_read(&text, log, 1 << 16, NULL) == 0 && strstr(wr_buf_cstr(&text), "http://")) return true;
        sleep_ms(20);
    }
    return false;
}

static void stop(pid_t pid)
{
    (void)kill(pid, SIGTERM);
    for (int waited = 0; waited < 3000; waited += 20) {
        if (waitpid(pid, NULL, WNOHANG) != 0) return;
        sleep_ms(20);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* Resident MiB of an idle server half a second after it is ready; -1 if it does not come up. */
static double idle_mib(const char *const *argv, const char *cwd, const char *log)
{
    (void)unlink(log);
    pid_t pid = start(argv, cwd, log);
    if (pid < 0) return -1;
    if (!ready(pid, log)) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return -1;
    }
    sleep_ms(SETTLE_MS);
    double mib = (double)status_kb(pid, "VmRSS:") / 1024;
    stop(pid);
    return mib;
}

static int idle(FILE *out, const char *weir, const char *folder)
{
    static const char name[] = "idle memory: weir up";
    char log[4200];
    double ours[3], theirs[3];
    const char *const init[] = {weir, "init", NULL}, *const mine[] = {weir, "up", "--port", "0", NULL};
    const char *const peer[] = {PYTHON, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0", NULL};
    int n = snprintf(log, sizeof log, "%s/up.log", folder);
    if (n < 0 || (size_t)n >= sizeof log) return -1;
    if (access(PYTHON, X_OK) < 0) return wr_bench_skip(out, name, "/usr/bin/python3 is not there to compare with"), 0;
    if (run_cpu_ms(init, folder) < 0) return wr_bench_skip(out, name, "weir init does not run here"), 0;
    for (int i = 0; i < 3; i++) {
        ours[i] = idle_mib(mine, folder, log);
        if (ours[i] <= 0) return wr_bench_skip(out, name, "weir up does not come up here"), 0;
        theirs[i] = idle_mib(peer, folder, log);
        if (theirs[i] <= 0) return wr_bench_skip(out, name, "the peer does not come up here"), 0;
    }
    const wr_bench_entry e = {
        .name = name,
        .unit = "MiB",
        .ours = wr_bench_median(ours, 3),
        .peer = "python3 -m http.server",
        .theirs = wr_bench_median(theirs, 3),
        .how = "resident memory half a second after the address is printed, empty project, median of 3; the peer is a "
               "generous floor: a file server without any machine learning library"};
    wr_bench_write(out, &e);
    return 0;
}

int wr_bench_idle(FILE *out, const char *weir)
{
    char *folder = wr_bench_folder();
    int rc = folder ? idle(out, weir, folder) : -1;
    if (folder) (void)wr_file_remove_tree(folder, NULL);
    free(folder);
    return rc;
}
