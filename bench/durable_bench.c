/* SPDX-License-Identifier: Apache-2.0 */
/* durable_bench.c - records a second that are on the disk when the caller hears so: group commit against one sync a
 * record.
 *
 * Informative: the disk decides. The baseline is what a program does that asks the disk for every record: the same
 * bytes with write + fdatasync each, and the same database with one caller, so one transaction and one sync each. Many
 * callers, each waiting for its own record, are what a server has.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"
#include "io/file.h"
#include "store/applog.h"
#include "store/db.h"

enum { CALLERS = 32, RECORD = 100, ROUNDS = 3 };

typedef struct {
    wr_applog *log;
    wr_db *db;
    size_t each;
    bool failed; /* set by any caller, never cleared */
} job;

static void complain(const char *what, const wr_err *err)
{
    (void)fprintf(stderr, "weir_bench: %s: %s %s\n", what, err->msg, err->detail);
}

static void *append(void *arg)
{
    job *j = arg;
    char record[RECORD];
    wr_err err = {0};
    memset(record, 'x', sizeof record);
    for (size_t i = 0; i < j->each; i++) {
        if (wr_applog_add(j->log, 1, (wr_str){record, sizeof record}, &err) < 0 ||
            wr_applog_commit(j->log, true, &err) < 0) {
            complain("append", &err);
            __atomic_store_n(&j->failed, true, __ATOMIC_RELAXED);
            break;
        }
    }
    return NULL;
}

static int insert_one(wr_db *db, void *arg, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t (text) VALUES (?)", err));
    wr_bind_cstr(s, 1, arg);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static void *insert(void *arg)
{
    job *j = arg;
    char text[RECORD + 1];
    wr_err err = {0};
    memset(text, 'x', RECORD);
    text[RECORD] = 0;
    for (size_t i = 0; i < j->each; i++) {
        if (wr_db_write(j->db, insert_one, text, &err) < 0) {
            complain("insert", &err);
            __atomic_store_n(&j->failed, true, __ATOMIC_RELAXED);
            break;
        }
    }
    return NULL;
}

/* Records a second of `callers` threads, 0 when one failed. */
static double rate(job *j, void *(*fn)(void *), int callers)
{
    pthread_t threads[CALLERS];
    int started = 0;
    int64_t begin = wr_clock_mono_ns();
    while (started < callers && pthread_create(&threads[started], NULL, fn, j) == 0) started++;
    for (int i = 0; i < started; i++) (void)pthread_join(threads[i], NULL);
    double seconds = (double)(wr_clock_mono_ns() - begin) / 1e9;
    return j->failed || started < callers ? 0 : (double)j->each * callers / seconds;
}

static double plain_rate(const char *folder, size_t n)
{
    char path[4200], record[RECORD];
    int len = snprintf(path, sizeof path, "%s/plain", folder);
    if (len < 0 || (size_t)len >= sizeof path) return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    memset(record, 'x', sizeof record);
    int64_t begin = wr_clock_mono_ns();
    bool ok = fd >= 0;
    for (size_t i = 0; ok && i < n; i++) ok = write(fd, record, sizeof record) == RECORD && fdatasync(fd) == 0;
    double seconds = (double)(wr_clock_mono_ns() - begin) / 1e9;
    if (fd >= 0) (void)close(fd);
    return ok ? (double)n / seconds : 0;
}

static void write_entry(FILE *out, const char *name, const char *peer, double *ours, double *theirs, const char *how)
{
    const wr_bench_entry e = {.name = name,
                              .unit = "1/s",
                              .ours = wr_bench_median(ours, ROUNDS),
                              .peer = peer,
                              .theirs = wr_bench_median(theirs, ROUNDS),
                              .more = true,
                              .how = how};
    wr_bench_write(out, &e);
}

static int log_rates(FILE *out, const char *folder, size_t n, wr_err *err)
{
    job j = {0};
    char path[4200];
    double ours[ROUNDS], theirs[ROUNDS];
    int len = snprintf(path, sizeof path, "%s/log", folder);
    if (len < 0 || (size_t)len >= sizeof path) return wr_err_set(err, WEIR_EINVAL, "the path is too long");
    WR_TRY(wr_applog_open(&j.log, path, err));
    bool ok = true;
    for (int i = 0; i < ROUNDS && ok; i++) {
        j.each = n;
        ours[i] = rate(&j, append, CALLERS);
        theirs[i] = plain_rate(folder, n);
        ok = ours[i] > 0 && theirs[i] > 0;
    }
    wr_applog_close(j.log);
    if (!ok) return wr_err_set(err, WEIR_EIO, "the append log or the plain file failed");
    write_entry(out, "durable: append log", "write + fdatasync each", ours, theirs,
                "records of 100 bytes, 32 callers each waiting for its own record to be synced, against one caller "
                "that syncs each; "
                "wall time, informative: the disk decides");
    return 0;
}

static int db_rates(FILE *out, const char *folder, size_t n, wr_err *err)
{
    static const char *const migrations[] = {"CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)"};
    const wr_db_opt opt = {.migrations = migrations, .n = 1};
    job j = {0};
    char path[4200];
    double ours[ROUNDS], theirs[ROUNDS];
    int len = snprintf(path, sizeof path, "%s/db.sqlite", folder);
    if (len < 0 || (size_t)len >= sizeof path) return wr_err_set(err, WEIR_EINVAL, "the path is too long");
    WR_TRY(wr_db_open(&j.db, path, &opt, err));
    bool ok = true;
    for (int i = 0; i < ROUNDS && ok; i++) {
        j.each = n;
        ours[i] = rate(&j, insert, CALLERS);
        theirs[i] = rate(&j, insert, 1);
        ok = ours[i] > 0 && theirs[i] > 0;
    }
    wr_db_close(j.db);
    if (!ok) return wr_err_set(err, WEIR_EIO, "the database failed");
    write_entry(out, "durable: database", "SQLite, a commit each", ours, theirs,
                "rows of 100 bytes, synchronous=FULL, 32 callers in group commits against one caller, a commit each; "
                "wall time, "
                "informative: the disk decides");
    return 0;
}

int wr_bench_durable(FILE *out)
{
    wr_err err = {0};
    char *folder = wr_bench_folder();
    if (!folder) return -1;
    size_t n = wr_bench_size(500, 20);
    int rc = log_rates(out, folder, n, &err);
    if (rc == 0) rc = db_rates(out, folder, n, &err);
    if (rc < 0) complain("durable", &err);
    (void)wr_file_remove_tree(folder, NULL);
    free(folder);
    return rc;
}
