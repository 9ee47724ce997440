/* SPDX-License-Identifier: Apache-2.0 */
/* file_lock.c - advisory locks by flock(2): tied to the open file, so two threads exclude each other as two processes
 * do, and the kernel drops the lock when the process ends however it ends. The holder's pid stands in the file, for
 * messages only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "io/file.h"

static void note_holder(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (n <= 0 || ftruncate(fd, 0) < 0) return;
    ssize_t done = pwrite(fd, text, (size_t)n, 0); /* a full disk costs the message a detail, not us the lock */
    (void)done;
}

static int busy(int fd, const char *path, wr_err *err)
{
    int rc = wr_err_set(err, WEIR_ETIMEOUT, "'%s' is locked by another process", path);
    char text[24];
    int64_t pid;
    ssize_t n = pread(fd, text, sizeof text, 0);
    if (n > 0 && wr_num_i64(&pid, wr_str_trim((wr_str){text, (size_t)n}), NULL) == 0)
        wr_err_detail(err, rc, "held by pid %lld", (long long)pid);
    return wr_err_hint(err, rc, "wait until it has finished, or end it");
}

/* Tries, with pauses growing from 1 to 25 ms, until the deadline. 0 or an errno; EWOULDBLOCK = still taken. */
static int lock_until(int fd, int wait_ms)
{
    if (wait_ms < 0) {
        while (flock(fd, LOCK_EX) < 0) {
            if (errno != EINTR) return errno;
        }
        return 0;
    }
    int64_t deadline = wr_clock_mono_ns() + wait_ms * 1000000LL;
    for (long pause_ms = 1;; pause_ms = pause_ms < 25 ? pause_ms * 2 : 25) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
        if (errno != EWOULDBLOCK && errno != EINTR) return errno;
        int64_t left = deadline - wr_clock_mono_ns();
        if (left <= 0) return EWOULDBLOCK;
        if (pause_ms * 1000000LL < left) left = pause_ms * 1000000LL;
        nanosleep(&(struct timespec){.tv_nsec = (long)left}, NULL);
    }
}

int wr_lock_take(wr_lock *out, const char *path, int wait_ms, wr_err *err)
{
    out->fd = -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open the lock file '%s'", path);
    int sys = lock_until(fd, wait_ms);
    int rc = sys == 0 ? 0 : sys == EWOULDBLOCK ? busy(fd, path, err) : wr_err_sys(err, sys, "cannot lock '%s'", path);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    note_holder(fd);
    out->fd = fd;
    return 0;
}

void wr_lock_drop(wr_lock *l)
{
    if (!l || l->fd < 0) return;
    if (ftruncate(l->fd, 0) < 0) { /* the file stays: removing it would let two processes lock two files of one name */
    }
    close(l->fd);
    l->fd = -1;
}
