/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - see tree.h. */
#include "tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROCESSES_MAX = 65536, DEPTH_MAX = 8 };

static int parent_of(int pid, double *ticks)
{
    char path[64], line[1024];
    int parent = 0;
    long long utime = 0, stime = 0, cutime = 0, cstime = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    char *end = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL; /* the name may hold anything */
    (void)fclose(f);
    if (!end || sscanf(end + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld", &parent, &utime,
                       &stime, &cutime, &cstime) != 5)
        return 0;
    *ticks = (double)(utime + stime + cutime + cstime);
    return parent;
}

static double status_mib(int pid, const char *name)
{
    char path[64], line[256];
    double kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) kib = strtod(line + strlen(name) + 1, NULL);
    (void)fclose(f);
    return kib / 1024;
}

/* Calls `each` for every process below `root`, itself included. */
static void walk(int root, void (*each)(int pid, double ticks, void *ctx), void *ctx)
{
    DIR *d = opendir("/proc");
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        int pid = (int)strtol(e->d_name, NULL, 10), above = pid;
        double ticks = 0, ignored;
        if (pid <= 0) continue;
        for (int depth = 0; above > 1 && above != root && depth < DEPTH_MAX; depth++)
            above = parent_of(above, &ignored);
        if (above != root || (parent_of(pid, &ticks), ticks < 0)) continue;
        each(pid, ticks, ctx);
    }
    (void)closedir(d);
}

static void sum(int pid, double ticks, void *ctx)
{
    wr_tree *t = ctx;
    t->cpu_us += ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
    t->rss_mib += status_mib(pid, "VmRSS:");
    t->peak_mib += status_mib(pid, "VmHWM:");
    t->processes++;
}

static void reset(int pid, double ticks, void *ctx)
{
    char path[64];
    (void)ticks;
    (void)ctx;
    (void)snprintf(path, sizeof path, "/proc/%d/clear_refs", pid);
    FILE *f = fopen(path, "we");
    if (!f) return;
    (void)fputs("5", f);
    (void)fclose(f);
}

void wr_tree_read(wr_tree *out, int pid)
{
    memset(out, 0, sizeof *out);
    walk(pid, sum, out);
}

void wr_tree_reset_peak(int pid) { walk(pid, reset, NULL); }
