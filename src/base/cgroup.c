/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - reads limits of control groups. Files that are missing or odd count as "no limit". */
#include "base/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "base/str.h"

enum { PATH_ROOM = 4096, FILE_ROOM = 4096 };

/* The file's first bytes, or an empty slice. */
static wr_str slurp(char *buf, size_t cap, const char *dir, const char *name)
{
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s%s%s", dir, *name ? "/" : "", name) >= (int)sizeof path) return WR_STR("");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return WR_STR("");
    size_t n = 0;
    while (n < cap) {
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
    }
    close(fd);
    return (wr_str){buf, n};
}

static double positive(wr_str s)
{
    int64_t v;
    return wr_num_i64(&v, wr_str_trim(s), NULL) == 0 && v > 0 ? (double)v : 0; /* "max" and -1: no limit */
}

static double file_number(const char *dir, const char *name)
{
    char buf[64];
    return positive(slurp(buf, sizeof buf, dir, name));
}

static double cpu_v2(const char *dir)
{
    char buf[64];
    wr_str period = slurp(buf, sizeof buf, dir, "cpu.max"); /* "150000 100000" or "max 100000" */
    double quota = positive(wr_str_cut(&period, ' ')), per = positive(period);
    return per > 0 ? quota / per : 0;
}

static double cpu_v1(const char *dir)
{
    double quota = file_number(dir, "cpu.cfs_quota_us"), per = file_number(dir, "cpu.cfs_period_us");
    return per > 0 ? quota / per : 0;
}

static double memory_v2(const char *dir) { return file_number(dir, "memory.max"); }
static double memory_v1(const char *dir) { return file_number(dir, "memory.limit_in_bytes"); }

typedef double (*limit_of)(const char *dir);

static double tighter(double a, double b) { return a <= 0 || (b > 0 && b < a) ? b : a; }

/* The tightest limit of base/path and of every directory above it up to base. In a container the path may be the host's
 * and not exist here; the walk then still ends at base, which is the container's own group. */
static double walk_up(const char *base, wr_str path, limit_of limit)
{
    char dir[PATH_ROOM];
    size_t base_n = strlen(base);
    int n = snprintf(dir, sizeof dir, "%s%.*s", base, WR_STR_FMT(path));
    if (n < 0 || (size_t)n >= sizeof dir) return limit(base);
    double best = 0;
    for (;;) {
        best = tighter(best, limit(dir));
        char *slash = strrchr(dir + base_n, '/');
        if (!slash) return best;
        *slash = 0;
    }
}

static bool lists(wr_str controllers, const char *name)
{
    while (controllers.p) {
        if (wr_str_is(wr_str_cut(&controllers, ','), name)) return true;
    }
    return false;
}

/* Each line of `proc` is "id:controllers:path"; version 2 has "0::path". */
static double limit(const char *proc, const char *mount, const char *controller, limit_of v1, limit_of v2)
{
    char buf[FILE_ROOM], v1_mount[PATH_ROOM];
    wr_str rest = slurp(buf, sizeof buf, proc, "");
    if (snprintf(v1_mount, sizeof v1_mount, "%s/%s", mount, controller) >= (int)sizeof v1_mount) return 0;
    double best = 0;
    while (rest.p) {
        wr_str path = wr_str_cut(&rest, '\n'), id = wr_str_cut(&path, ':'), controllers = wr_str_cut(&path, ':');
        if (!path.p) continue;
        if (controllers.n == 0 && wr_str_is(id, "0")) {
            best = tighter(best, walk_up(mount, path, v2));
        } else if (lists(controllers, controller)) {
            best = tighter(best, walk_up(v1_mount, path, v1));
        }
    }
    return best;
}

double wr_cgroup_cpus(const char *proc, const char *mount) { return limit(proc, mount, "cpu", cpu_v1, cpu_v2); }

uint64_t wr_cgroup_memory(const char *proc, const char *mount)
{
    return (uint64_t)limit(proc, mount, "memory", memory_v1, memory_v2); /* below 2^63: it was an int64 */
}
