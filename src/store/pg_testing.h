/* SPDX-License-Identifier: Apache-2.0 */
/* pg_testing.h - a PostgreSQL server of the test program's own, for tests only.
 *
 *   char url[WR_PG_TESTING_URL];
 *   if (wr_pg_testing_start(url) < 0) return -1;          // in the setup of a test: a new empty database
 *   wr_db_open(&db, url, &opt, &err) ...
 *   wr_pg_testing_restart();                              // as after a crash: immediate shutdown, then start
 *
 * The cluster is made at the first call in a temporary folder, listens on a free port of 127.0.0.1 and in that folder,
 * is shared by all tests of the program, and ends with it, however that ends: a supervisor process waits for the
 * program's end of a pipe. PostgreSQL refuses root, so root starts it as "postgres" or "nobody". fsync is on. Its
 * programs are looked for in $WEIR_PG_BIN, in /usr/lib/postgresql/N/bin (the highest N), where pg_config points, and in
 * PATH; tools/setup test installs them. All functions return 0, or -1 with the reason on stderr; they are called by one
 * thread at a time.
 */
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"

enum { WR_PG_TESTING_URL = 200 };

static struct {
    char bin[300], dir[200], data[220];
    int port, databases;
    uid_t uid;
    gid_t gid;
    pid_t supervisor, owner; /* owner: who started it; a forked child does not end it */
    int pipe;                /* write end; the server ends when the last copy is closed */
} wr_pg_testing;

static inline int wr_pg_testing_fail(const char *what)
{
    fprintf(stderr, "pg_testing: %s\n", what);
    return -1;
}

static inline bool wr_pg_testing_has(const char *folder)
{
    char path[400];
    static const char *const needed[] = {"postgres", "initdb", "createdb"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%.300s/%s", folder, needed[i]);
        if (access(path, X_OK) < 0) return false;
    }
    return snprintf(wr_pg_testing.bin, sizeof wr_pg_testing.bin, "%.290s", folder) > 0;
}

static inline bool wr_pg_testing_of_debian(void)
{
    glob_t g;
    int best = -1;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &g)) return false;
    for (size_t i = 0; i < g.gl_pathc; i++) {
        int version = (int)strtol(g.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
        if (version > best && wr_pg_testing_has(g.gl_pathv[i])) best = version;
    }
    globfree(&g);
    return best >= 0;
}

static inline bool wr_pg_testing_of_config(void)
{
    char line[300] = "";
    FILE *f = popen("pg_config --bindir 2>/dev/null", "r");
    if (!f) return false;
    bool got = fgets(line, sizeof line, f) != NULL;
    pclose(f);
    line[strcspn(line, "\n")] = 0;
    return got && wr_pg_testing_has(line);
}

static inline int wr_pg_testing_find(void)
{
    const char *given = getenv("WEIR_PG_BIN"), *path = getenv("PATH");
    if (given && wr_pg_testing_has(given)) return 0;
    if (wr_pg_testing_of_debian() || wr_pg_testing_of_config()) return 0;
    for (wr_str rest = wr_str_of(path); rest.p && rest.n;) {
        char folder[300];
        wr_str one = wr_str_cut(&rest, ':');
        snprintf(folder, sizeof folder, "%.*s", (int)(one.n < 290 ? one.n : 290), one.p);
        if (wr_pg_testing_has(folder)) return 0;
    }
    return wr_pg_testing_fail(
        "no PostgreSQL server found: run tools/setup test, or set WEIR_PG_BIN to the folder of its programs");
}

/* In a child: become the unprivileged user and run. Output goes to the folder's log. */
static inline void wr_pg_testing_exec(char *const argv[])
{
    char path[512], log[300];
    snprintf(path, sizeof path, "%s/%s", wr_pg_testing.bin, argv[0]);
    snprintf(log, sizeof log, "%s/log", wr_pg_testing.dir);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666), in = open("/dev/null", O_RDONLY);
    if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(126);
    if (geteuid() == 0 && (setgid(wr_pg_testing.gid) < 0 || setuid(wr_pg_testing.uid) < 0)) _exit(126);
    if (chdir(wr_pg_testing.dir) < 0) _exit(126);
    static const char *const drop[] = {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGDATA", "PGOPTIONS"};
    for (size_t i = 0; i < sizeof drop / sizeof *drop; i++) unsetenv(drop[i]);
    execv(path, argv);
    _exit(127);
}

static inline int wr_pg_testing_run(char *const argv[])
{
    int status;
    pid_t pid = fork();
    if (pid == 0) wr_pg_testing_exec(argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "pg_testing: %s failed; see %s/log\n", argv[0], wr_pg_testing.dir);
        return -1;
    }
    return 0;
}

static inline int wr_pg_testing_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = -1;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0)
        port = ntohs(a.sin_port);
    if (fd >= 0) close(fd);
    return port;
}

/* After a crash the server fsyncs every file it has, a thousand and more; from 14 on it can ask for all in one call. */
static inline bool wr_pg_testing_has_syncfs(void)
{
    char path[300];
    int version = 0;
    snprintf(path, sizeof path, "%s/PG_VERSION", wr_pg_testing.data);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &version) != 1) version = 0;
    if (f) fclose(f);
    return version >= 14;
}

/* The supervisor: ends the server at once (SIGQUIT) when the pipe is closed. */
static inline void wr_pg_testing_supervise(int pipe_read)
{
    char port[16], sockets[220], byte;
    snprintf(port, sizeof port, "%d", wr_pg_testing.port);
    snprintf(sockets, sizeof sockets, "%s", wr_pg_testing.dir);
    char *argv[] = {"postgres",
                    "-D",
                    wr_pg_testing.data,
                    "-p",
                    port,
                    "-k",
                    sockets,
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "max_connections=200",
                    "-c",
                    "shared_buffers=32MB",
                    "-c",
                    "max_wal_size=128MB",
                    wr_pg_testing_has_syncfs() ? "-c" : NULL,
                    "recovery_init_sync_method=syncfs",
                    NULL};
    setpgid(0, 0); /* a Ctrl-C is the test program's */
    pid_t server = fork();
    if (server == 0) wr_pg_testing_exec(argv);
    if (server < 0) _exit(1);
    ssize_t told;
    while ((told = read(pipe_read, &byte, 1)) < 0) {} /* EINTR */
    kill(server, SIGQUIT);
    waitpid(server, NULL, 0);
    if (told == 0) wr_file_remove_tree(wr_pg_testing.dir, NULL); /* the test program did not end by itself */
    _exit(0);
}

/* postmaster.pid says "ready" in its last line; the server removes it at its end. */
static inline bool wr_pg_testing_ready(void)
{
    char path[300], text[1000];
    snprintf(path, sizeof path, "%s/postmaster.pid", wr_pg_testing.data);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    return strstr(text, "\nready") != NULL;
}

static inline int wr_pg_testing_up(void)
{
    int ends[2];
    char path[300];
    snprintf(path, sizeof path, "%s/postmaster.pid", wr_pg_testing.data);
    unlink(path); /* of a server that was killed */
    if (pipe2(ends, O_CLOEXEC) < 0) return wr_pg_testing_fail("no pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return wr_pg_testing_fail("cannot fork");
    if (pid == 0) {
        close(ends[1]);
        wr_pg_testing_supervise(ends[0]);
    }
    close(ends[0]);
    wr_pg_testing.supervisor = pid;
    wr_pg_testing.pipe = ends[1];
    for (int ms = 0; ms < 30000; ms += 5) {
        if (wr_pg_testing_ready()) return 0;
        usleep(5000);
    }
    return wr_pg_testing_fail("the server did not get ready within 30 s");
}

/* An immediate shutdown: connections break, and the next start recovers from the log as after a crash. */
static inline int wr_pg_testing_down(void)
{
    if (!wr_pg_testing.supervisor) return 0;
    if (write(wr_pg_testing.pipe, "q", 1) < 0) {
    } /* children that were forked have the pipe too: closing it is not enough */
    close(wr_pg_testing.pipe);
    waitpid(wr_pg_testing.supervisor, NULL, 0);
    wr_pg_testing.supervisor = 0;
    return 0;
}

static inline int wr_pg_testing_restart(void)
{
    wr_pg_testing_down();
    return wr_pg_testing_up();
}

static inline void wr_pg_testing_end(void)
{
    if (wr_pg_testing.owner != getpid()) return;
    wr_pg_testing_down();
    wr_file_remove_tree(wr_pg_testing.dir, NULL);
}

/* In memory if there is room: the server is killed in tests, the machine is not, and each new database is 300 files. */
static inline const char *wr_pg_testing_tmp(void)
{
    struct statvfs v;
    const char *tmp = getenv("TMPDIR"), *memory = "/dev/shm";
    if (tmp && *tmp) return tmp;
    bool room = statvfs(memory, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize > (uint64_t)1 << 30;
    return room && access(memory, W_OK | X_OK) == 0 ? memory : "/tmp";
}

static inline int wr_pg_testing_cluster(void)
{
    const struct passwd *user = getpwnam("postgres");
    if (wr_pg_testing_find() < 0) return -1;
    if (!user) user = getpwnam("nobody");
    if (!user) return wr_pg_testing_fail("there is neither a user \"postgres\" nor \"nobody\"");
    wr_pg_testing.uid = user->pw_uid;
    wr_pg_testing.gid = user->pw_gid;
    snprintf(wr_pg_testing.dir, sizeof wr_pg_testing.dir, "%.150s/weir-pg-XXXXXX", wr_pg_testing_tmp());
    if (!mkdtemp(wr_pg_testing.dir)) return wr_pg_testing_fail("no temporary folder");
    snprintf(wr_pg_testing.data, sizeof wr_pg_testing.data, "%s/data", wr_pg_testing.dir);
    if (geteuid() == 0 && chown(wr_pg_testing.dir, user->pw_uid, user->pw_gid) < 0)
        return wr_pg_testing_fail("cannot give the folder away");
    wr_pg_testing.owner = getpid();
    atexit(wr_pg_testing_end);
    char *argv[] = {"initdb",           "-A", "trust", "-U", "weir", "-E", "UTF8", "--locale=C", "--no-sync", "-D",
                    wr_pg_testing.data, NULL};
    if (wr_pg_testing_run(argv) < 0) return -1;
    for (int attempt = 0; attempt < 3; attempt++) { /* somebody else may take the port in between */
        wr_pg_testing.port = wr_pg_testing_free_port();
        if (wr_pg_testing_up() == 0) return 0;
        wr_pg_testing_down();
    }
    return -1;
}

/* A new empty database on the server, which is started if it is not there yet: "postgresql://weir@127.0.0.1:PORT/tN".
 */
static inline int wr_pg_testing_start(char url[WR_PG_TESTING_URL])
{
    char port[16], name[32];
    if (!wr_pg_testing.owner && wr_pg_testing_cluster() < 0) return -1;
    if (!wr_pg_testing.supervisor && wr_pg_testing_up() < 0) return -1;
    snprintf(port, sizeof port, "%d", wr_pg_testing.port);
    snprintf(name, sizeof name, "t%d_%ld", ++wr_pg_testing.databases, (long)getpid());
    char *argv[] = {"createdb", "-h", "127.0.0.1", "-p", port, "-U", "weir", "-w", name, NULL};
    if (wr_pg_testing_run(argv) < 0) return -1;
    snprintf(url, WR_PG_TESTING_URL, "postgresql://weir@127.0.0.1:%s/%s", port, name);
    return 0;
}

/* For tests that take either engine: with WEIR_TEST_PG in the environment as start(), else `url` stays as it is. */
static inline int wr_pg_testing_wanted(char *url, size_t size)
{
    char fresh[WR_PG_TESTING_URL];
    const char *wanted = getenv("WEIR_TEST_PG");
    if (!wanted || !*wanted) return 0;
    if (wr_pg_testing_start(fresh) < 0) return -1;
    return snprintf(url, size, "%s", fresh) < (int)size ? 0 : wr_pg_testing_fail("no room for the address");
}

/* The same for tests of whole projects: their records go to a new database, by WEIR_DATABASE. */
static inline int wr_pg_testing_project(void)
{
    char url[WR_PG_TESTING_URL] = "";
    if (wr_pg_testing_wanted(url, sizeof url) < 0) return -1;
    return *url ? setenv("WEIR_DATABASE", url, 1) : 0;
}
