/* SPDX-License-Identifier: Apache-2.0 */
/* os.c - facts about the machine and the process, from Linux. */
#include "base/os.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/err.h"
#include "base/num.h"

#define CGROUP_PROC  "/proc/self/cgroup"
#define CGROUP_MOUNT "/sys/fs/cgroup"

/* The kernel refuses a set smaller than its own, so the set grows until it fits. */
static int affinity_cpus(void)
{
    for (int room = CPU_SETSIZE; room <= 1 << 17; room *= 2) {
        cpu_set_t *set = CPU_ALLOC(room);
        if (!set) break;
        int rc = sched_getaffinity(0, CPU_ALLOC_SIZE(room), set);
        int n = rc == 0 ? CPU_COUNT_S(CPU_ALLOC_SIZE(room), set) : 0;
        CPU_FREE(set);
        if (n > 0) return n;
        if (errno != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int wr_os_cpus(void)
{
    int cpus = affinity_cpus();
    double quota = wr_cgroup_cpus(CGROUP_PROC, CGROUP_MOUNT);
    return quota > 0 && ceil(quota) < cpus ? (int)ceil(quota) : cpus;
}

uint64_t wr_os_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t ram = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    uint64_t allowed = wr_cgroup_memory(CGROUP_PROC, CGROUP_MOUNT);
    return allowed && (!ram || allowed < ram) ? allowed : ram;
}

static char hostname[HOST_NAME_MAX + 1], exe[PATH_MAX];

static void read_names(void)
{
    if (gethostname(hostname, sizeof hostname - 1) != 0 || !hostname[0]) memcpy(hostname, "localhost", 10);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    wr_str path = {exe, n > 0 ? (size_t)n : 0};
    static const char gone[] = " (deleted)"; /* what the kernel appends when the file was replaced by an upgrade */
    if (wr_str_ends(path, gone)) path.n -= sizeof gone - 1;
    exe[path.n] = 0;
}

static void names_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_names);
}

const char *wr_os_hostname(void)
{
    names_once();
    return hostname;
}

const char *wr_os_exe(void)
{
    names_once();
    return exe;
}

uint64_t wr_os_rss(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    unsigned long long pages = 0;
    if (fscanf(f, "%*u %llu", &pages) != 1) pages = 0;
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int wr_os_tty(int fd) { return isatty(fd) == 1; }

int wr_os_columns(void)
{
    int64_t n;
    if (wr_num_i64(&n, wr_str_of(getenv("COLUMNS")), NULL) == 0 && n >= 1 && n <= 10000) return (int)n;
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        struct winsize w;
        if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
    }
    return 80;
}

void wr_os_random(void *p, size_t n)
{
    unsigned char *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR) continue;
        WR_BUG_IF(got <= 0);
        at += got;
        n -= (size_t)got;
    }
}

void wr_os_uuid(char out[37])
{
    unsigned char b[16];
    wr_os_random(b, sizeof b);
    b[6] = (b[6] & 0x0F) | 0x40; /* version 4 */
    b[8] = (b[8] & 0x3F) | 0x80; /* variant 10 */
    size_t k = 0;
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out[k++] = '-';
        out[k++] = "0123456789abcdef"[b[i] >> 4];
        out[k++] = "0123456789abcdef"[b[i] & 15];
    }
    out[k] = 0;
}
