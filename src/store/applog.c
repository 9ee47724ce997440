/* SPDX-License-Identifier: Apache-2.0 */
/* applog.c - the append log: collecting, committing in rounds, sealing, recovery, reading.
 *
 *   add()    -> `fill` (records of the round that is collecting)
 *   commit() -> joins that round; the first one that finds no round under way leads: takes the whole of `fill` and
 * everybody who waits, writes once, syncs once if one of them asked for it, and answers all of them
 *
 * After a failed write the file is cut back to `end`. After a failed fdatasync, or when cutting failed, the segment is
 * given up besides: the kernel may have dropped pages of earlier unsynced records, and recovery would stop at such a
 * hole and lose what came after it. So the log goes on in a new segment, made by the next commit that has something to
 * write. A thread whose records went into a round that somebody else led and that failed learns it from its own commit
 * (`first_add`).
 */
#include "store/applog.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "io/file.h"

enum {
    HEADER = 16,            /* of a segment: magic, number */
    FRAME = 16,             /* of a record: length, type, checksum */
    PENDING_MAX = 64 << 20, /* bytes added and not committed */
    KEEP_MAX = 4 << 20,     /* a buffer that grew beyond is given back */
    NUMBER_DIGITS = 10,
    READ_STEP = 1 << 20,
};
#define NO_NUMBER 0
static const char magic[] = "WEIRLOG1";

typedef struct waiter {
    struct waiter *next;
    pthread_cond_t turn;
    bool sync, done;
    uintptr_t first; /* oldest round that may hold records of the waiting thread */
    int rc;
    wr_err err;
} waiter;

struct wr_applog {
    char *dir, *path; /* path: of the newest segment */
    wr_lock process;
    pthread_key_t first_add; /* per thread: round of its first add since its last commit; 0 = none */
    bool has_key;

    pthread_mutex_t lock; /* rank 1; guards all below; not held during I/O, which `busy` guards instead */
    pthread_cond_t idle;  /* busy went false */
    bool busy;
    int sealers;         /* waiting for their turn; nobody leads a round meanwhile */
    wr_buf fill, flight; /* flight: of the round under way, belongs to whoever set busy */
    waiter *waiting, **waiting_tail;
    uintptr_t round;        /* that collects; from 1 */
    uintptr_t failed_round; /* the last one that failed */
    wr_err failed_err;

    /* changed by whoever set busy */
    int fd;
    uint64_t end;                   /* good bytes of the newest segment */
    bool unsynced;                  /* some of them have not been fdatasynced */
    bool give_up;                   /* go on in a new segment */
    _Atomic uint64_t bytes, number; /* for other threads: end - HEADER, number of the newest segment */
};

/* --- format --- */

static void put32(unsigned char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}

static void put64(unsigned char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

static uint32_t get32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static uint64_t get64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static void put_header(unsigned char p[HEADER], uint64_t number)
{
    memcpy(p, magic, 8);
    put64(p + 8, number);
}

static void put_frame(unsigned char p[FRAME], uint32_t type, wr_str payload)
{
    put32(p, (uint32_t)payload.n);
    put32(p + 4, type);
    put64(p + 8, wr_hash64(payload.p, payload.n, type));
}

/* Bytes of the whole record at `p`, 0 if it is torn (or not all there). `more`: it goes on behind `n`. */
static size_t whole_record(const unsigned char *p, size_t n, bool *more)
{
    *more = n < FRAME;
    if (*more) return 0;
    size_t length = get32(p);
    if (length > WR_LIMIT_RECORD) return 0;
    *more = n < FRAME + length;
    if (*more) return 0;
    return wr_hash64(p + FRAME, length, get32(p + 4)) == get64(p + 8) ? FRAME + length : 0;
}

/* --- names --- */

static char *segment_path(const char *dir, uint64_t number)
{
    size_t cap = strlen(dir) + 40;
    char *p = wr_alloc(cap);
    if (p && snprintf(p, cap, "%s/%0*llu.log", dir, NUMBER_DIGITS, (unsigned long long)number) < 0) *p = 0;
    return p;
}

/* Number of a segment's file name, NO_NUMBER for every other file. */
static uint64_t number_of(const char *name)
{
    wr_str s = wr_str_of(name);
    if (!wr_str_ends(s, ".log")) return NO_NUMBER;
    s = wr_str_sub(s, 0, s.n - 4);
    if (s.n < NUMBER_DIGITS || (s.n > NUMBER_DIGITS && s.p[0] == '0')) return NO_NUMBER;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return NO_NUMBER;
    }
    int64_t v;
    return wr_num_i64(&v, s, NULL) == 0 && v > 0 ? (uint64_t)v : NO_NUMBER;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int wr_applog_list(uint64_t **out, size_t *n, wr_arena *a, const char *dir, wr_err *err)
{
    char **names;
    size_t found;
    WR_TRY(wr_file_list(&names, &found, a, dir, err));
    uint64_t *numbers = wr_arena_calloc(a, found ? found : 1, sizeof *numbers);
    if (!numbers) return wr_err_nomem(err);
    size_t kept = 0;
    for (size_t i = 0; i < found; i++) {
        uint64_t number = number_of(names[i]);
        if (number != NO_NUMBER) numbers[kept++] = number;
    }
    qsort(numbers, kept, sizeof *numbers, by_number);
    *out = numbers;
    *n = kept;
    return 0;
}

/* --- reading --- */

typedef int (*record_fn)(void *ctx, uint32_t type, wr_str payload);

static int foreign(const char *path, wr_err *err)
{
    wr_err_set(err, WEIR_ECORRUPT, "'%s' is not a segment of this log", path);
    wr_err_detail(err, WEIR_ECORRUPT, "its first 16 bytes are not \"WEIRLOG1\" and its number");
    return wr_err_hint(err, WEIR_ECORRUPT, "move the file to another folder");
}

static int read_some(int fd, unsigned char *p, size_t n, size_t *got, const char *path, wr_err *err)
{
    *got = 0;
    while (*got < n) {
        ssize_t k = read(fd, p + *got, n - *got);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
        if (k == 0) break;
        *got += (size_t)k;
    }
    return 0;
}

/* Calls fn (may be NULL) for the whole records in `p`; `used` becomes their length, `torn` whether the rest can never
 * be one. */
static int scan(const unsigned char *p, size_t n, size_t *used, bool *torn, record_fn fn, void *ctx)
{
    bool more = true;
    size_t at = 0, size;
    while ((size = whole_record(p + at, n - at, &more)) > 0) {
        if (fn) WR_TRY(fn(ctx, get32(p + at + 4), (wr_str){(const char *)p + at + FRAME, size - FRAME}));
        at += size;
    }
    *used = at;
    *torn = !more;
    return 0;
}

/* Reads the segment in `fd` from its start; `end` becomes the length of the part that is good (0: not even the header
 * is there). */
static int read_segment(int fd, const char *path, uint64_t number, uint64_t *end, record_fn fn, void *ctx, wr_err *err)
{
    size_t cap = READ_STEP + FRAME + WR_LIMIT_RECORD, have = 0, got;
    unsigned char expect[HEADER];
    WR_AUTOFREE unsigned char *p = wr_alloc(cap);
    if (!p) return wr_err_nomem(err);
    *end = 0;
    WR_TRY(read_some(fd, p, HEADER, &got, path, err));
    put_header(expect, number);
    if (memcmp(p, expect, got) != 0) return foreign(path, err);
    if (got < HEADER) return 0;
    *end = HEADER;
    for (bool torn = false; !torn;) {
        size_t used;
        WR_TRY(read_some(fd, p + have, cap - have, &got, path, err));
        if (got == 0) return 0;
        have += got;
        WR_TRY(scan(p, have, &used, &torn, fn, ctx));
        memmove(p, p + used, have - used);
        have -= used;
        *end += used;
    }
    return 0;
}

int wr_applog_read(const char *dir, uint64_t number, record_fn fn, void *ctx, wr_err *err)
{
    WR_AUTOFREE char *path = segment_path(dir, number);
    if (!path) return wr_err_nomem(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    uint64_t end;
    int rc = read_segment(fd, path, number, &end, fn, ctx, err);
    close(fd);
    return rc;
}

/* --- segments --- */

static int read_next(wr_arena *a, const char *dir, uint64_t newest, uint64_t *out, wr_err *err)
{
    wr_buf text;
    int64_t v = 0;
    const char *path = wr_path_join(a, dir, "next");
    if (!path) return wr_err_nomem(err);
    wr_buf_init(&text, 64);
    int rc = wr_file_read(&text, path, 32, err);
    if (rc == 0 && (wr_num_i64(&v, wr_str_trim(wr_buf_view(&text)), NULL) < 0 || v < 1)) rc = WEIR_EPARSE;
    wr_buf_fini(&text);
    *out = rc == 0 && (uint64_t)v > newest ? (uint64_t)v : newest + 1;
    if (rc == 0 || rc == WEIR_ENOTFOUND) return 0;
    if (rc != WEIR_EPARSE && rc != WEIR_ELIMIT) return rc;
    if (newest) { /* numbers above the newest segment's were never given to anybody */
        wr_warn("'%s' is damaged; numbers go on after segment %llu", path, (unsigned long long)newest);
        return 0;
    }
    wr_err_set(err, WEIR_ECORRUPT, "'%s' is damaged", path);
    return wr_err_hint(err, WEIR_ECORRUPT,
                       "write a number into it that is higher than that of any segment there ever was");
}

static int newest_segment(wr_arena *a, const char *dir, uint64_t *out, wr_err *err)
{
    uint64_t *numbers;
    size_t n;
    WR_TRY(wr_applog_list(&numbers, &n, a, dir, err));
    *out = n ? numbers[n - 1] : NO_NUMBER;
    return 0;
}

static int write_next(const char *dir, wr_arena *a, uint64_t number, wr_err *err)
{
    const char *path = wr_path_join(a, dir, "next"), *text = wr_arena_printf(a, "%llu\n", (unsigned long long)number);
    if (!path || !text) return wr_err_nomem(err);
    return wr_file_write(path, wr_str_of(text), err);
}

/* Take over an open segment as the newest. Owns `path`. */
static void adopt(wr_applog *l, int fd, char *path, uint64_t number, uint64_t end)
{
    if (l->fd >= 0) close(l->fd);
    wr_free(l->path);
    l->fd = fd;
    l->path = path;
    l->end = end;
    l->unsynced = l->give_up = false;
    atomic_store(&l->number, number);
    atomic_store(&l->bytes, end - HEADER);
}

static int open_segment(const char *path, uint64_t end, wr_err *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    if (lseek(fd, (off_t)end, SEEK_SET) >= 0) return fd;
    int rc = wr_err_sys(err, errno, "cannot write '%s'", path);
    close(fd);
    return rc;
}

/* The number is used up before the file exists, so that it is never given twice whatever happens in between. */
static int new_segment(wr_applog *l, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    uint64_t newest = NO_NUMBER, number = NO_NUMBER;
    unsigned char header[HEADER];
    WR_TRY(newest_segment(a, l->dir, &newest, err));
    WR_TRY(read_next(a, l->dir, newest, &number, err));
    WR_TRY(write_next(l->dir, a, number + 1, err));
    char *path = segment_path(l->dir, number);
    if (!path) return wr_err_nomem(err);
    put_header(header, number);
    int rc = wr_file_create(path, (wr_str){(const char *)header, HEADER}, err);
    if (rc == 0) rc = open_segment(path, HEADER, err);
    if (rc < 0) {
        if (rc != WEIR_EEXIST) unlink(path); /* or readers would take the segment that still grows for sealed */
        wr_free(path);
        return rc;
    }
    adopt(l, rc, path, number, HEADER);
    return 0;
}

int wr_applog_renew(const char *dir, wr_err *err)
{
    wr_applog l = {.fd = -1, .dir = (char *)dir};
    int rc = new_segment(&l, err);
    if (l.fd >= 0) close(l.fd);
    wr_free(l.path);
    return rc;
}

/* Cut off what is not whole. A header that is not whole is the work of a damaged file system; nothing can follow it. */
static int cut_tail(int fd, const char *path, uint64_t number, uint64_t *end, wr_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) return wr_err_sys(err, errno, "cannot read '%s'", path);
    if ((uint64_t)st.st_size == *end && *end >= HEADER) return 0;
    if ((uint64_t)st.st_size > *end)
        wr_warn("'%s': %llu torn bytes at the end are cut off", path,
                (unsigned long long)((uint64_t)st.st_size - *end));
    if (ftruncate(fd, (off_t)*end) < 0 || lseek(fd, (off_t)*end, SEEK_SET) < 0)
        return wr_err_sys(err, errno, "cannot cut '%s'", path);
    if (*end < HEADER) {
        unsigned char header[HEADER];
        put_header(header, number);
        WR_TRY(wr_file_write_all(fd, header, HEADER, path, err));
        *end = HEADER;
    }
    wr_fault_crash_point();
    return wr_file_fdatasync(fd, path, err);
}

static int reopen_segment(wr_applog *l, uint64_t number, wr_err *err)
{
    char *path = segment_path(l->dir, number);
    if (!path) return wr_err_nomem(err);
    uint64_t end = 0;
    int fd = open_segment(path, 0, err);
    int rc = fd < 0 ? fd : read_segment(fd, path, number, &end, NULL, NULL, err);
    if (rc == 0) rc = cut_tail(fd, path, number, &end, err);
    if (rc == 0 && lseek(fd, (off_t)end, SEEK_SET) < 0) rc = wr_err_sys(err, errno, "cannot write '%s'", path);
    if (rc < 0) {
        if (fd >= 0) close(fd);
        wr_free(path);
        return rc;
    }
    adopt(l, fd, path, number, end);
    l->unsynced = true; /* what the last process left in the page cache */
    return 0;
}

/* --- opening and closing --- */

static int take_process_lock(wr_applog *l, wr_arena *a, wr_err *err)
{
    const char *path = wr_path_join(a, l->dir, "lock");
    if (!path) return wr_err_nomem(err);
    int rc = wr_lock_take(&l->process, path, 0, err);
    if (rc != WEIR_ETIMEOUT) return rc;
    char holder[128];
    int n = snprintf(holder, sizeof holder, "%s", err ? err->detail : "");
    wr_err_set(err, WEIR_ECONFLICT, "the log '%s' is open in another process", l->dir);
    if (n > 0) wr_err_detail(err, WEIR_ECONFLICT, "%s", holder);
    return wr_err_hint(err, WEIR_ECONFLICT, "stop that process, or use another project folder");
}

static int open_in(wr_applog *l, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(l->dir, err));
    WR_TRY(take_process_lock(l, a, err));
    uint64_t newest;
    WR_TRY(newest_segment(a, l->dir, &newest, err));
    return newest == NO_NUMBER ? new_segment(l, err) : reopen_segment(l, newest, err);
}

int wr_applog_open(wr_applog **out, const char *dir, wr_err *err)
{
    if (!*dir) return wr_err_set(err, WEIR_EINVAL, "the folder of the log has no name");
    wr_applog *l = wr_calloc(1, sizeof *l);
    if (!l) return wr_err_nomem(err);
    l->fd = l->process.fd = -1;
    l->round = 1;
    l->waiting_tail = &l->waiting;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->idle, NULL);
    wr_buf_init(&l->fill, PENDING_MAX);
    wr_buf_init(&l->flight, PENDING_MAX);
    l->dir = wr_strdup(dir);
    int rc = l->dir ? 0 : wr_err_nomem(err);
    if (rc == 0) {
        int sys = pthread_key_create(&l->first_add, NULL);
        l->has_key = sys == 0;
        if (sys) rc = wr_err_sys(err, sys, "cannot open the log '%s'", dir);
    }
    if (rc == 0) rc = open_in(l, err);
    if (rc < 0) {
        wr_applog_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

void wr_applog_close(wr_applog *l)
{
    if (!l) return;
    if (l->fd >= 0) {
        wr_err err; /* nobody waits for it: records without a commit were promised to nobody */
        if (wr_applog_commit(l, true, &err) < 0) wr_warn("closing the log: %s", err.msg);
        close(l->fd);
    }
    wr_lock_drop(&l->process);
    if (l->has_key) pthread_key_delete(l->first_add);
    wr_buf_fini(&l->fill);
    wr_buf_fini(&l->flight);
    pthread_cond_destroy(&l->idle);
    pthread_mutex_destroy(&l->lock);
    wr_free(l->path);
    wr_free(l->dir);
    wr_free(l);
}

/* --- adding and committing --- */

/* With the lock held. A buffer that has no room is as it was. */
static int append(wr_applog *l, const unsigned char frame[FRAME], wr_str payload, wr_err *err)
{
    if (l->fill.n + FRAME + payload.n > PENDING_MAX) {
        wr_err_set(err, WEIR_EUNAVAILABLE, "the log '%s' has too much that is not committed", l->dir);
        return wr_err_hint(err, WEIR_EUNAVAILABLE, "try again shortly");
    }
    if (!wr_buf_reserve(&l->fill, FRAME + payload.n)) {
        l->fill.failed = false;
        return wr_err_nomem(err);
    }
    if (!pthread_getspecific(l->first_add)) {
        int sys = pthread_setspecific(l->first_add, (void *)l->round);
        if (sys) return wr_err_nomem(err);
    }
    wr_buf_add(&l->fill, frame, FRAME);
    wr_buf_slice(&l->fill, payload);
    return 0;
}

int wr_applog_add(wr_applog *l, uint32_t type, wr_str payload, wr_err *err)
{
    if (payload.n > WR_LIMIT_RECORD) {
        return wr_err_set(err, WEIR_ELIMIT, "a record of %zu bytes is more than the log takes (%d)", payload.n,
                          WR_LIMIT_RECORD);
    }
    unsigned char frame[FRAME];
    put_frame(frame, type, payload);
    pthread_mutex_lock(&l->lock);
    int rc = append(l, frame, payload, err);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

/* Undo a write; the caller holds busy. */
static void cut_back(wr_applog *l)
{
    if (ftruncate(l->fd, (off_t)l->end) < 0 || lseek(l->fd, (off_t)l->end, SEEK_SET) < 0) l->give_up = true;
}

/* The I/O of one round; the caller holds busy. */
static int write_round(wr_applog *l, bool sync, wr_err *err)
{
    size_t n = l->flight.n;
    if (!n && sync && l->unsynced && l->give_up) { /* a second fdatasync would say 0 about pages that are gone */
        return wr_err_set(err, WEIR_EIO, "'%s': records of an earlier commit may not be on disk", l->path);
    }
    if (n && l->give_up) WR_TRY(new_segment(l, err));
    wr_fault_crash_point();
    int rc = n ? wr_file_write_all(l->fd, l->flight.p, n, l->path, err) : 0;
    if (rc < 0) {
        cut_back(l);
        return rc;
    }
    if (sync && (n || l->unsynced)) {
        rc = wr_file_fdatasync(l->fd, l->path, err);
        if (rc < 0) {
            l->give_up = true;
            cut_back(l);
            return rc;
        }
        l->unsynced = false;
    } else if (n) {
        l->unsynced = true;
    }
    l->end += n;
    atomic_store(&l->bytes, l->end - HEADER);
    wr_fault_crash_point();
    return 0;
}

/* With the lock held: the next one's turn. */
static void release(wr_applog *l)
{
    l->busy = false;
    if (l->waiting) pthread_cond_signal(&l->waiting->turn);
    if (l->sealers) pthread_cond_signal(&l->idle);
}

/* With the lock held, at the end of a round. A round before it, led by somebody else, may have had records of a waiter
 * and failed. */
static void answer(wr_applog *l, waiter *w, int rc)
{
    for (waiter *next; w; w = next) {
        next = w->next;
        bool failed = rc < 0 || (w->first && l->failed_round >= w->first);
        w->rc = failed ? l->failed_err.code : 0;
        if (failed) w->err = l->failed_err;
        w->done = true;
        pthread_cond_signal(&w->turn);
    }
}

/* With the lock held, which is given up during the I/O: take everything that waits and write it. */
static void lead(wr_applog *l)
{
    waiter *all = l->waiting;
    bool sync = false;
    for (const waiter *w = all; w; w = w->next) sync |= w->sync;
    l->waiting = NULL;
    l->waiting_tail = &l->waiting;
    wr_buf full = l->fill;
    l->fill = l->flight;
    l->flight = full;
    uintptr_t round = l->round++;
    l->busy = true;
    pthread_mutex_unlock(&l->lock);

    wr_err err = {0};
    int rc = write_round(l, sync, &err);
    if (l->flight.cap > KEEP_MAX) wr_buf_fini(&l->flight), wr_buf_init(&l->flight, PENDING_MAX);
    wr_buf_clear(&l->flight);

    pthread_mutex_lock(&l->lock);
    if (rc < 0) {
        l->failed_round = round;
        l->failed_err = err;
    }
    answer(l, all, rc);
    release(l);
}

int wr_applog_commit(wr_applog *l, bool sync, wr_err *err)
{
    waiter w = {.sync = sync, .first = (uintptr_t)pthread_getspecific(l->first_add)};
    pthread_cond_init(&w.turn, NULL);
    pthread_mutex_lock(&l->lock);
    *l->waiting_tail = &w;
    l->waiting_tail = &w.next;
    while (!w.done) {
        if (!l->busy && !l->sealers) lead(l);
        else pthread_cond_wait(&w.turn, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&w.turn);
    if (w.first) pthread_setspecific(l->first_add, NULL);
    if (w.rc < 0 && err) *err = w.err;
    return w.rc;
}

/* --- sealing and dropping --- */

/* The caller holds busy. */
static int seal(wr_applog *l, uint64_t *sealed, wr_err *err)
{
    uint64_t number = atomic_load(&l->number);
    *sealed = 0;
    if (l->end == HEADER && !l->give_up) return 0;
    if (l->unsynced && !l->give_up) {
        int rc = wr_file_fdatasync(l->fd, l->path, err);
        if (rc < 0) {
            l->give_up = true;
            return rc;
        }
        l->unsynced = false;
    }
    WR_TRY(new_segment(l, err));
    *sealed = number;
    return 0;
}

int wr_applog_seal(wr_applog *l, uint64_t *sealed, wr_err *err)
{
    pthread_mutex_lock(&l->lock);
    l->sealers++;
    while (l->busy) pthread_cond_wait(&l->idle, &l->lock);
    l->sealers--;
    l->busy = true;
    pthread_mutex_unlock(&l->lock);
    int rc = seal(l, sealed, err);
    pthread_mutex_lock(&l->lock);
    release(l);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int wr_applog_drop(wr_applog *l, uint64_t up_to, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    uint64_t *numbers, newest = atomic_load(&l->number);
    size_t n;
    WR_TRY(wr_applog_list(&numbers, &n, a, l->dir, err));
    for (size_t i = 0; i < n && numbers[i] <= up_to && numbers[i] < newest; i++) {
        WR_AUTOFREE char *path = segment_path(l->dir, numbers[i]);
        if (!path) return wr_err_nomem(err);
        WR_TRY(wr_file_remove(path, err));
    }
    return wr_file_fsync_dir(l->dir, err);
}

uint64_t wr_applog_bytes(const wr_applog *l) { return atomic_load(&((wr_applog *)l)->bytes); }
uint64_t wr_applog_newest(const wr_applog *l) { return atomic_load(&((wr_applog *)l)->number); }
