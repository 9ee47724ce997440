/* SPDX-License-Identifier: Apache-2.0 */
/* applog_test.c - the append log: order, group commit, torn tails at every byte, damaged and foreign files, faults,
 * kill -9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/vec.h"
#include "io/file.h"
#include "store/applog.h"

static char top[256], dir[300];

static void quiet(void *ctx, wr_log_level level, const char *line)
{
    (void)level;
    (void)line;
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static atomic_int warnings;

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(top, sizeof top, "%s/weir-applog-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(top)) return -1;
    snprintf(dir, sizeof dir, "%s/log", top);
    atomic_store(&warnings, 0);
    wr_log_set_sink(quiet, &warnings);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int k = 0; k < WR_FAULT_KINDS; k++) wr_fault_arm((wr_fault_kind)k, 0, false);
    wr_log_set_sink(NULL, NULL);
    return wr_file_remove_tree(top, NULL);
}

static wr_applog *opened(void)
{
    wr_applog *l = NULL;
    wr_err err = {0};
    if (wr_applog_open(&l, dir, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    return l;
}

static char *segment(uint64_t number)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%010llu.log", dir, (unsigned long long)number);
    return path;
}

static void add(wr_applog *l, const char *text) { assert_int_equal(wr_applog_add(l, 7, wr_str_of(text), NULL), 0); }

static void commit(wr_applog *l) { assert_int_equal(wr_applog_commit(l, false, NULL), 0); }

/* All records as "type:payload;". */
static int join(void *ctx, uint32_t type, wr_str payload)
{
    wr_buf_printf(ctx, "%u:", type);
    wr_buf_slice(ctx, payload);
    wr_buf_char(ctx, ';');
    return 0;
}

static void reads(uint64_t number, const char *expect)
{
    WR_AUTOBUF wr_buf b;
    wr_err err = {0};
    wr_buf_init(&b, 0);
    if (wr_applog_read(dir, number, join, &b, &err) < 0) fail_msg("%s", err.msg);
    assert_string_equal(wr_buf_cstr(&b), expect);
}

static void records_come_back(void **state)
{
    (void)state;
    wr_applog *l = opened();
    assert_int_equal(wr_applog_newest(l), 1);
    assert_int_equal(wr_applog_bytes(l), 0);
    assert_int_equal(wr_applog_add(l, UINT32_MAX, WR_STR("a\0b"), NULL), 0);
    assert_int_equal(wr_applog_add(l, 0, (wr_str){NULL, 0}, NULL), 0);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_applog_read(dir, 1, join, &b, NULL), 0);
    assert_int_equal(b.n, 0); /* nothing is written before the commit */
    assert_int_equal(wr_applog_commit(l, true, NULL), 0);
    assert_int_equal(wr_applog_bytes(l), 16 + 3 + 16);
    assert_int_equal(wr_applog_commit(l, true, NULL), 0); /* nothing to do */
    assert_int_equal(wr_applog_read(dir, 1, join, &b, NULL), 0);
    assert_true(wr_str_eq(wr_buf_view(&b), WR_STR("4294967295:a\0b;0:;")));
    wr_applog_close(l);
    l = opened();
    add(l, "again");
    commit(l);
    wr_applog_close(l);
    wr_buf_clear(&b);
    assert_int_equal(wr_applog_read(dir, 1, join, &b, NULL), 0);
    assert_true(wr_str_eq(wr_buf_view(&b), WR_STR("4294967295:a\0b;0:;7:again;")));
}

static void the_format_is_what_the_header_says(void **state)
{
    (void)state;
    wr_applog *l = opened();
    assert_int_equal(wr_applog_add(l, 0x01020304, WR_STR("xyz"), NULL), 0);
    commit(l);
    wr_applog_close(l);
    uint64_t sum = wr_hash64("xyz", 3, 0x01020304);
    unsigned char expect[16 + 16 + 3] = "WEIRLOG1\1\0\0\0\0\0\0\0\3\0\0\0\4\3\2\1";
    for (int i = 0; i < 8; i++) expect[24 + i] = (unsigned char)(sum >> 8 * i);
    memcpy(expect + 32, "xyz", 3);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, segment(1), 1000, NULL), 0);
    assert_int_equal(b.n, sizeof expect);
    assert_memory_equal(b.p, expect, sizeof expect);
}

static void limits(void **state)
{
    (void)state;
    wr_applog *l = opened();
    wr_err err = {0};
    char *big = calloc(1, WR_LIMIT_RECORD + 1);
    assert_non_null(big);
    assert_int_equal(wr_applog_add(l, 1, (wr_str){big, WR_LIMIT_RECORD + 1}, &err), WEIR_ELIMIT);
    int rc = 0, added = 0;
    while ((rc = wr_applog_add(l, 1, (wr_str){big, WR_LIMIT_RECORD}, &err)) == 0) added++;
    assert_int_equal(rc, WEIR_EUNAVAILABLE);
    assert_int_equal(added, 63); /* 64 MiB with the frames */
    commit(l);
    add(l, "room again");
    commit(l);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_applog_read(dir, 1, join, &b, NULL), 0);
    assert_int_equal(b.n, (size_t)added * (WR_LIMIT_RECORD + 3) + 13);
    free(big);
    wr_applog_close(l);
}

static int stop_at_two(void *ctx, uint32_t type, wr_str payload)
{
    (void)type;
    (void)payload;
    return ++*(int *)ctx == 2 ? WEIR_ECANCELED : 0;
}

static void reading_can_stop(void **state)
{
    (void)state;
    wr_applog *l = opened();
    for (int i = 0; i < 5; i++) add(l, "x");
    commit(l);
    int n = 0;
    assert_int_equal(wr_applog_read(dir, 1, stop_at_two, &n, NULL), WEIR_ECANCELED);
    assert_int_equal(n, 2);
    assert_int_equal(wr_applog_read(dir, 9, stop_at_two, &n, NULL), WEIR_ENOTFOUND);
    wr_applog_close(l);
}

static void one_writer(void **state)
{
    (void)state;
    wr_applog *l = opened(), *second;
    wr_err err = {0};
    assert_int_equal(wr_applog_open(&second, dir, &err), WEIR_ECONFLICT);
    assert_non_null(strstr(err.msg, dir));
    wr_applog_close(l);
    wr_applog_close(opened());
    assert_int_equal(wr_applog_open(&second, "", &err), WEIR_EINVAL);
    wr_applog_close(NULL);
}

static void sealing_and_dropping(void **state)
{
    (void)state;
    wr_applog *l = opened();
    uint64_t sealed = 99;
    assert_int_equal(wr_applog_seal(l, &sealed, NULL), 0);
    assert_int_equal(sealed, 0); /* empty */
    add(l, "a");
    commit(l);
    add(l, "b"); /* not committed: goes into the next segment */
    assert_int_equal(wr_applog_seal(l, &sealed, NULL), 0);
    assert_int_equal(sealed, 1);
    assert_int_equal(wr_applog_newest(l), 2);
    commit(l);
    assert_int_equal(wr_applog_seal(l, &sealed, NULL), 0);
    assert_int_equal(sealed, 2);
    reads(1, "7:a;");
    reads(2, "7:b;");
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    uint64_t *numbers;
    size_t n;
    assert_int_equal(wr_applog_list(&numbers, &n, a, dir, NULL), 0);
    assert_int_equal(n, 3);
    assert_true(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3);
    assert_int_equal(wr_applog_drop(l, 1, NULL), 0);
    assert_int_equal(wr_applog_drop(l, 1, NULL), 0);
    assert_int_equal(wr_applog_drop(l, UINT64_MAX, NULL), 0); /* the newest stays */
    assert_int_equal(wr_applog_list(&numbers, &n, a, dir, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(numbers[0], 3);
    wr_applog_close(l);
    assert_int_equal(unlink(segment(3)), 0);
    l = opened();
    assert_int_equal(wr_applog_newest(l), 4); /* numbers are not reused */
    wr_applog_close(l);
}

static void damaged_next(void **state)
{
    (void)state;
    char next[400];
    wr_err err = {0};
    wr_applog *l = opened();
    uint64_t sealed;
    add(l, "a");
    commit(l);
    snprintf(next, sizeof next, "%s/next", dir);
    assert_int_equal(wr_file_write(next, WR_STR("many\n"), NULL), 0);
    assert_int_equal(wr_applog_seal(l, &sealed, NULL), 0); /* known from the segments */
    assert_int_equal(wr_applog_newest(l), 2);
    assert_true(atomic_load(&warnings) > 0);
    wr_applog_close(l);
    assert_int_equal(unlink(segment(1)) | unlink(segment(2)), 0);
    assert_int_equal(wr_file_write(next, WR_STR("-3\n"), NULL), 0);
    assert_int_equal(wr_applog_open(&l, dir, &err), WEIR_ECORRUPT); /* starting at 1 would use numbers again */
    assert_true(err.hint[0] != 0);
    assert_int_equal(wr_file_write(next, WR_STR("41"), NULL), 0);
    l = opened();
    assert_int_equal(wr_applog_newest(l), 41);
    wr_applog_close(l);
}

/* --- torn and foreign files --- */

static void put_segment(uint64_t number, const char *p, size_t n)
{
    int fd = open(segment(number), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    close(fd);
}

/* The file is cut at every byte: what is whole stays, and the log goes on behind it. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    wr_applog *l = opened();
    add(l, "first");
    add(l, "second one");
    add(l, "");
    commit(l);
    wr_applog_close(l);
    WR_AUTOBUF wr_buf whole;
    wr_buf_init(&whole, 0);
    assert_int_equal(wr_file_read(&whole, segment(1), 1000, NULL), 0);
    size_t ends[] = {16 + 21, 16 + 21 + 26, 16 + 21 + 26 + 16};
    const char *kept[] = {"7:new;", "7:first;7:new;", "7:first;7:second one;7:new;", "7:first;7:second one;7:;7:new;"};
    for (size_t cut = 0; cut <= whole.n; cut++) {
        put_segment(1, whole.p, cut);
        l = opened();
        add(l, "new");
        commit(l);
        wr_applog_close(l);
        reads(1, kept[(cut >= ends[0]) + (cut >= ends[1]) + (cut >= ends[2])]);
    }
}

/* Every byte is spoilt: no record that comes back is another than one of those written, and those before the spoilt one
 * come. */
static void flip_every_byte(void **state)
{
    (void)state;
    wr_applog *l = opened();
    add(l, "first");
    add(l, "second one");
    commit(l);
    wr_applog_close(l);
    WR_AUTOBUF wr_buf whole, b;
    wr_buf_init(&whole, 0);
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&whole, segment(1), 1000, NULL), 0);
    for (size_t at = 0; at < whole.n; at++) {
        for (int bit = 0; bit < 8; bit++) {
            whole.p[at] ^= (char)(1 << bit);
            put_segment(1, whole.p, whole.n);
            whole.p[at] ^= (char)(1 << bit);
            wr_buf_clear(&b);
            int rc = wr_applog_read(dir, 1, join, &b, NULL);
            assert_int_equal(rc, at < 16 ? WEIR_ECORRUPT : 0);
            assert_string_equal(wr_buf_cstr(&b), at < 16 + 21 ? "" : "7:first;");
        }
    }
}

static void zeros_are_not_records(void **state)
{
    (void)state;
    wr_applog *l = opened();
    add(l, "a");
    commit(l);
    wr_applog_close(l);
    assert_int_equal(truncate(segment(1), 100000), 0); /* as a file system may leave it after a power cut */
    reads(1, "7:a;");
    l = opened();
    assert_int_equal(wr_applog_bytes(l), 17);
    assert_int_equal(atomic_load(&warnings), 1);
    add(l, "b");
    commit(l);
    wr_applog_close(l);
    reads(1, "7:a;7:b;");
}

static void foreign_files(void **state)
{
    (void)state;
    wr_err err = {0};
    wr_applog *l = opened();
    wr_applog_close(l);
    const char *const others[] = {"README",
                                  "x.log",
                                  "123.log",
                                  "0000000000.log",
                                  "00000000001.log",
                                  "-000000001.log",
                                  "99999999999999999999.log",
                                  "0000000005.log.tmp"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", dir, others[i]);
        assert_int_equal(wr_file_write(path, WR_STR("hello"), NULL), 0);
    }
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    uint64_t *numbers;
    size_t n;
    assert_int_equal(wr_applog_list(&numbers, &n, a, dir, NULL), 0);
    assert_int_equal(n, 1);
    wr_applog_close(opened());
    put_segment(9, "this is somebody else's file", 28);
    assert_int_equal(wr_applog_open(&l, dir, &err), WEIR_ECORRUPT);
    assert_non_null(strstr(err.msg, "0000000009.log"));
    assert_int_equal(wr_applog_read(dir, 9, join, NULL, &err), WEIR_ECORRUPT);
    assert_int_equal(unlink(segment(9)), 0);
    char other[400];
    snprintf(other, sizeof other, "%s", segment(1));
    assert_int_equal(rename(other, segment(3)), 0); /* a segment under another number */
    assert_int_equal(wr_applog_open(&l, dir, &err), WEIR_ECORRUPT);
}

/* --- threads --- */

enum { THREADS = 8, EACH = 60 };

static void *committer(void *arg)
{
    void **a = arg;
    for (int i = 0; i < EACH; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s-%d", (char *)a[1], i);
        assert_int_equal(wr_applog_add(a[0], 7, wr_str_of(text), NULL), 0);
        assert_int_equal(wr_applog_commit(a[0], i % 3 == 0, NULL), 0);
        if (i % 20 == 19) {
            uint64_t sealed;
            assert_int_equal(wr_applog_seal(a[0], &sealed, NULL), 0);
        }
    }
    return NULL;
}

static int count_next(void *ctx, uint32_t type, wr_str payload)
{
    int *next = ctx; /* by thread: records of one thread keep their order, across segments too */
    if (type != 7 || payload.n < 3) return WEIR_ECORRUPT;
    char text[32];
    snprintf(text, sizeof text, "t%c-%d", payload.p[1], next[payload.p[1] - '0']);
    if (!wr_str_is(payload, text)) return WEIR_ECORRUPT;
    next[payload.p[1] - '0']++;
    return 0;
}

static void many_threads(void **state)
{
    (void)state;
    wr_applog *l = opened();
    pthread_t t[THREADS];
    char names[THREADS][16];
    void *args[THREADS][2];
    for (int i = 0; i < THREADS; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i % 10);
        args[i][0] = l;
        args[i][1] = names[i];
        assert_int_equal(pthread_create(&t[i], NULL, committer, args[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    wr_applog_close(l);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    uint64_t *numbers;
    size_t n;
    int next[10] = {0};
    assert_int_equal(wr_applog_list(&numbers, &n, a, dir, NULL), 0);
    for (size_t i = 0; i < n; i++) assert_int_equal(wr_applog_read(dir, numbers[i], count_next, next, NULL), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(next[i], EACH);
}

static void *commit_for_others(void *l) { return wr_applog_commit(l, false, NULL) < 0 ? l : NULL; }

/* Thread A adds, thread B commits and fails: A's own commit must not say 0. */
static void a_failure_reaches_the_thread_that_added(void **state)
{
    (void)state;
    wr_applog *l = opened();
    wr_err err = {0};
    add(l, "mine");
    pthread_t b;
    void *failed;
    wr_fault_arm(WR_FAULT_WRITE, 1, false);
    assert_int_equal(pthread_create(&b, NULL, commit_for_others, l), 0);
    pthread_join(b, &failed);
    assert_ptr_equal(failed, l);
    assert_int_equal(wr_applog_commit(l, false, &err), WEIR_ENOSPC);
    assert_true(err.hint[0] != 0);
    assert_int_equal(wr_applog_commit(l, false, &err), 0); /* told once */
    add(l, "again");
    commit(l);
    wr_applog_close(l);
    reads(1, "7:again;");
}

/* --- faults --- */

static void the_log_goes_on_after_a_failed_write(void **state)
{
    (void)state;
    wr_applog *l = opened();
    wr_err err = {0};
    add(l, "a");
    commit(l);
    for (int i = 0; i < 3; i++) {
        add(l, "lost, and long enough that half of it is something");
        wr_fault_arm(WR_FAULT_WRITE, 1, false);
        assert_int_equal(wr_applog_commit(l, i & 1, &err), WEIR_ENOSPC);
        reads(1, "7:a;");
        assert_int_equal(wr_applog_bytes(l), 17);
    }
    add(l, "b");
    assert_int_equal(wr_applog_commit(l, true, &err), 0);
    reads(1, "7:a;7:b;");
    wr_applog_close(l);
}

/* After a failed fsync nobody knows what the disk has of the segment: the log goes on in another one. */
static void a_failed_fsync_starts_a_new_segment(void **state)
{
    (void)state;
    wr_applog *l = opened();
    wr_err err = {0};
    add(l, "a");
    commit(l);
    add(l, "lost");
    wr_fault_arm(WR_FAULT_FSYNC, 1, false);
    assert_int_equal(wr_applog_commit(l, true, &err), WEIR_EIO);
    assert_int_equal(wr_applog_commit(l, true, &err),
                     WEIR_EIO); /* "a" may not be on disk: no second fsync can say so */
    add(l, "lost too");
    wr_fault_arm(WR_FAULT_RENAME, 1, false); /* and there is no new segment to be had */
    assert_int_equal(wr_applog_commit(l, false, &err), WEIR_EIO);
    add(l, "b");
    assert_int_equal(wr_applog_commit(l, true, &err), 0);
    assert_int_equal(wr_applog_commit(l, true, &err), 0);
    uint64_t newest = wr_applog_newest(l);
    assert_true(newest > 1);
    reads(1, "7:a;");
    reads(newest, "7:b;");
    wr_applog_close(l);
}

static void a_failed_seal_changes_nothing(void **state)
{
    (void)state;
    wr_applog *l = opened();
    uint64_t sealed;
    add(l, "a");
    commit(l);
    const wr_fault_kind kinds[] = {WR_FAULT_ALLOC, WR_FAULT_WRITE, WR_FAULT_RENAME};
    for (size_t k = 0; k < 3; k++) {
        for (int n = 1;; n++) {
            wr_fault_arm(kinds[k], n, false);
            int rc = wr_applog_seal(l, &sealed, NULL);
            bool fired = wr_fault_fired(kinds[k]);
            wr_fault_arm(kinds[k], 0, false);
            if (rc < 0) assert_int_equal(sealed, 0);
            uint64_t newest = wr_applog_newest(l);
            add(l, "b");
            commit(l);
            reads(newest, rc < 0 ? "7:a;7:b;" : "7:b;");
            if (rc == 0) assert_true(sealed && sealed < newest);
            if (rc < 0) assert_int_equal(wr_applog_seal(l, &sealed, NULL), 0);
            else if (!fired) break;
            add(l, "a");
            if (rc == 0) assert_int_equal(wr_applog_seal(l, &sealed, NULL), 0);
            commit(l);
            assert_true(n < 200);
        }
        assert_int_equal(wr_applog_seal(l, &sealed, NULL), 0);
        add(l, "a");
        commit(l);
    }
    wr_applog_close(l);
}

/* A child adds and commits until it is killed; what it was told to be committed (a counter in shared memory) must be
 * there. */
static void kill_while_writing(void **state)
{
    (void)state;
    _Atomic int *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    int next[10] = {0};
    for (int round = 0; round < 4; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            wr_applog *l;
            if (wr_applog_open(&l, dir, NULL) < 0) _exit(1);
            for (int i = atomic_load(told);; i++) {
                char text[32];
                snprintf(text, sizeof text, "t0-%d", i);
                if (wr_applog_add(l, 7, wr_str_of(text), NULL) < 0 || wr_applog_commit(l, false, NULL) < 0) _exit(2);
                atomic_store(told, i + 1);
                uint64_t sealed;
                if (i % 50 == 49 && wr_applog_seal(l, &sealed, NULL) < 0) _exit(3);
            }
        }
        usleep(60000 + 7000 * (useconds_t)round);
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        wr_applog_close(opened());
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        uint64_t *numbers;
        size_t n;
        next[0] = 0;
        assert_int_equal(wr_applog_list(&numbers, &n, a, dir, NULL), 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(wr_applog_read(dir, numbers[i], count_next, next, NULL), 0);
        int at_least = atomic_load(told);
        assert_in_range(next[0], at_least, at_least + 1); /* the one under way may be there too */
        atomic_store(told, next[0]);
    }
    assert_true(next[0] > 0);
    munmap((void *)told, 4096);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(records_come_back),
        T(the_format_is_what_the_header_says),
        T(limits),
        T(reading_can_stop),
        T(one_writer),
        T(sealing_and_dropping),
        T(damaged_next),
        T(cut_at_every_byte),
        T(flip_every_byte),
        T(zeros_are_not_records),
        T(foreign_files),
        T(many_threads),
        T(a_failure_reaches_the_thread_that_added),
        T(the_log_goes_on_after_a_failed_write),
        T(a_failed_fsync_starts_a_new_segment),
        T(a_failed_seal_changes_nothing),
        T(kill_while_writing),
    };
#undef T
    return cmocka_run_group_tests_name("applog", tests, NULL, NULL);
}
